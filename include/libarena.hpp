/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libarena for C++17: the containers of std::pmr in an arena.
 *
 *	arena_resource resource(arena_open("words", 0, 0));
 *	std::pmr::vector<std::pmr::string> words(&resource);
 *
 * Containers do not free memory. Only arena_reset() and arena_rewind() do, which the program calls
 * when the containers are gone. Containers hold addresses, so only their own process, and the
 * children that it forks, can use them.
 */
#ifndef LIBARENA_HPP
#define LIBARENA_HPP

#include <memory_resource>
#include <new>
#include <libarena.h>

/* A resource does not own its arena: the program closes the arena after its containers are gone. */
class arena_resource : public std::pmr::memory_resource {
public:
	explicit arena_resource(struct arena *arena) noexcept : arena_(arena)
	{
	}

	struct arena *arena() const noexcept
	{
		return arena_;
	}

private:
	/* Throws std::bad_alloc if it fails, with errno as arena_alloc_aligned() has set it. */
	void *do_allocate(std::size_t bytes, std::size_t align) override
	{
		void *object = arena_alloc_aligned(arena_, bytes ? bytes : 1, align);

		if (!object)
			throw std::bad_alloc();
		return object;
	}

	void do_deallocate(void *, std::size_t, std::size_t) override
	{
	}

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		auto resource = dynamic_cast<const arena_resource *>(&other);

		return resource && resource->arena_ == arena_;
	}

	struct arena *arena_;
};

#endif /* LIBARENA_HPP */
