// SPDX-License-Identifier: GPL-2.0
/*
 * Tests containers of std::pmr in an arena: they lie in the arena and work, also when they grow; an
 * allocation that does not fit throws an exception; and a scope frees the containers.
 */
#undef NDEBUG
#include <cassert>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>
#include <libarena.hpp>

static bool inside(const arena_resource &resource, const void *at)
{
	return arena_off(resource.arena(), at) < arena_capacity(resource.arena());
}

static void fill(arena_resource &resource)
{
	std::pmr::map<int, std::pmr::vector<std::pmr::string>> all(&resource);

	for (int i = 0; i < 1000; i++)
		all[i % 10].emplace_back("a string that is not short: " + std::to_string(i));
	assert(all.size() == 10 && all[7].size() == 100);
	assert(all[7][99] == "a string that is not short: 997");
	assert(inside(resource, all[7].data()) && inside(resource, all[7][99].data()));
}

static void fill_in_scope(arena_resource &resource)
{
	const auto before = arena_offset(resource.arena());

	arena_scope(resource.arena(), abort()) {
		fill(resource);
		assert(arena_offset(resource.arena()) > before + 30000);
	}
	assert(arena_offset(resource.arena()) == before);
}

static bool too_much_throws(arena_resource &resource)
{
	try {
		std::pmr::vector<char> large(std::size_t(1) << 40, &resource);
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

int main()
{
	struct arena *arena = arena_open("pmr", 1 << 20, 0), *second = arena_open("2", 0, 0);
	arena_resource resource(arena), same(arena), other(second);

	assert(arena && second);
	assert(resource == same && resource != other);
	assert(resource != *std::pmr::new_delete_resource());
	assert(reinterpret_cast<uintptr_t>(resource.allocate(1, 4096)) % 4096 == 0);
	assert(resource.allocate(0) != resource.allocate(0));
	for (int i = 0; i < 20; i++)
		fill_in_scope(resource);
	assert(too_much_throws(resource));
	arena_close(arena);
	arena_close(second);
	return 0;
}
