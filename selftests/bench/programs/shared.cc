// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes that share a table: one builds it, and another, which has mapped the memory at
 * another address, reads it.
 *
 *	shared ALLOCATOR NODES
 *
 * The table is an array of buckets, and in each bucket a list of nodes, each with a key and a name
 * of up to 40 bytes. ALLOCATOR says where nodes lie and what a link from one to the next is:
 * offsets in an arena (arena), handles in an arena, whose generation is checked at each step
 * (handle), offsets in a memfd with a cursor made by hand (memfd), or offset_ptr in a
 * managed_shared_memory of Boost.Interprocess (boost). Prints a line for each process: nanoseconds,
 * the KiB by which the peak of its resident memory has grown, page faults, and a checksum.
 */
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <err.h>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <libarena.h>

#include "program.h"

namespace ipc = boost::interprocess;

static const size_t BUCKETS = 1 << 20;
static const size_t CAPACITY = (size_t)1 << 30;	/* of the arena and of the other memories */

static arena *the_arena;
static char *base;
static int fd;

/* Each memory is passed to the reader by a string, which open_reader() gets. */

struct arena_memory {
	typedef uint64_t link;

	static std::string open_writer()
	{
		the_arena = arena_open("shared", CAPACITY, 0);
		if (!the_arena)
			err(1, "arena_open");
		return pass();
	}

	static std::string pass()
	{
		fd = arena_share(the_arena, ARENA_RIGHT_READ);
		if (fd < 0 || fcntl(fd, F_SETFD, 0))
			err(1, "arena_share");
		return std::to_string(fd);
	}

	static void open_reader(const char *passed)
	{
		the_arena = arena_attach(atoi(passed));
		if (!the_arena)
			err(1, "arena_attach");
	}

	static void *alloc(size_t bytes)
	{
		return arena_alloc(the_arena, bytes);
	}

	static link to(const void *at)
	{
		return at ? arena_off(the_arena, at) : UINT64_MAX;
	}

	static void *from(const link &to)
	{
		return arena_ptr(the_arena, to);
	}

	/* The table is the first object. */
	static void publish(void *at)
	{
		if (arena_off(the_arena, at))
			errx(1, "the table is not at offset 0");
	}

	static void *published()
	{
		return arena_ptr(the_arena, 0);
	}

	static void end()
	{
	}
};

struct handle_memory : arena_memory {
	typedef struct arena_handle link;

	static link to(const void *at)
	{
		return at ? arena_handle(the_arena, at) : link();
	}

	static void *from(const link &to)
	{
		return to.generation ? arena_deref(the_arena, to) : nullptr;
	}
};

struct memfd_memory {
	typedef uint64_t link;
	struct head {
		uint64_t used, table;
	};

	static void map(int prot)
	{
		base = (char *)mmap(nullptr, CAPACITY, prot, MAP_SHARED, fd, 0);
		if (base == MAP_FAILED)
			err(1, "mmap");
	}

	static std::string open_writer()
	{
		fd = memfd_create("shared", 0);
		if (fd < 0 || ftruncate(fd, CAPACITY))
			err(1, "memfd_create");
		map(PROT_READ | PROT_WRITE);
		((head *)base)->used = sizeof(head);
		return std::to_string(fd);
	}

	static void open_reader(const char *passed)
	{
		fd = atoi(passed);
		map(PROT_READ);
	}

	/* Other processes may allocate, too, so the cursor is atomic. */
	static void *alloc(size_t bytes)
	{
		uint64_t at = __atomic_fetch_add(&((head *)base)->used, (bytes + 7) & -8,
						 __ATOMIC_RELAXED);

		return at + bytes <= CAPACITY ? base + at : nullptr;
	}

	static link to(const void *at)
	{
		return at ? (char *)at - base : 0;
	}

	static void *from(const link &to)
	{
		return to && to < CAPACITY ? base + to : nullptr;
	}

	static void publish(void *at)
	{
		((head *)base)->table = to(at);
	}

	static void *published()
	{
		return from(((head *)base)->table);
	}

	static void end()
	{
	}
};

static ipc::managed_shared_memory *segment;
static std::string segment_name;

struct boost_memory {
	typedef ipc::offset_ptr<void> link;

	static std::string open_writer()
	{
		segment_name = "shared-" + std::to_string(getpid());
		segment = new ipc::managed_shared_memory(ipc::create_only, segment_name.c_str(),
							 CAPACITY);
		return segment_name;
	}

	static void open_reader(const char *passed)
	{
		segment = new ipc::managed_shared_memory(ipc::open_only, passed);
	}

	static void *alloc(size_t bytes)
	{
		return segment->allocate(bytes);
	}

	static link to(void *at)
	{
		return link(at);
	}

	static void *from(const link &to)
	{
		return to.get();
	}

	static void publish(void *at)
	{
		segment->construct<link>("table")(at);
	}

	static void *published()
	{
		return segment->find<link>("table").first->get();
	}

	static void end()
	{
		ipc::shared_memory_object::remove(segment_name.c_str());
	}
};

template<class memory> struct node {
	typename memory::link next;
	uint64_t key;
	uint32_t bytes;
	char name[];
};

template<class memory> struct table {
	typename memory::link buckets[BUCKETS];
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t sum_node(uint64_t key, const char *name, uint32_t bytes)
{
	uint64_t sum = key;

	for (uint32_t i = 0; i < bytes; i++)
		sum = sum * 31 + (unsigned char)name[i];
	return sum;
}

template<class memory> static void *must_alloc(size_t bytes)
{
	void *at = memory::alloc(bytes);

	if (!at)
		err(1, "allocation");
	return at;
}

template<class memory> static uint64_t build(size_t nr)
{
	auto *all = (table<memory> *)must_alloc<memory>(sizeof(table<memory>));
	uint64_t state = 1, sum = 0;

	for (auto &bucket : all->buckets)
		new (&bucket) typename memory::link(memory::to(nullptr));
	for (size_t i = 0; i < nr; i++) {
		uint64_t key = next_random(&state);
		uint32_t bytes = key % 41;
		auto *at = (node<memory> *)must_alloc<memory>(sizeof(node<memory>) + bytes);
		auto &bucket = all->buckets[key % BUCKETS];

		new (&at->next) typename memory::link(bucket);
		at->key = key;
		at->bytes = bytes;
		memset(at->name, (int)(key >> 56), bytes);
		bucket = memory::to(at);
		sum += sum_node(key, at->name, bytes);
	}
	memory::publish(all);
	return sum;
}

template<class memory> static uint64_t read()
{
	auto *all = (table<memory> *)memory::published();
	uint64_t sum = 0;

	for (auto &bucket : all->buckets)
		for (auto *at = (node<memory> *)memory::from(bucket); at;
		     at = (node<memory> *)memory::from(at->next))
			sum += sum_node(at->key, at->name, at->bytes);
	return sum;
}

static uint64_t now()
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* callgrind counts the instructions of this function, and of what it calls. */
template<class memory> __attribute__((noinline))
static uint64_t measured(std::string *passed, size_t nr)
{
	if (!nr) {
		memory::open_reader(passed->c_str());
		return read<memory>();
	}
	*passed = memory::open_writer();
	return build<memory>(nr);
}

template<class memory> static void run(std::string *passed, size_t nr)
{
	struct rusage before, after;
	long kib = memory_now();
	uint64_t start, end, sum;

	getrusage(RUSAGE_SELF, &before);
	start = now();
	sum = measured<memory>(passed, nr);
	end = now();
	getrusage(RUSAGE_SELF, &after);
	printf("%s,%" PRIu64 ",%ld,%ld,%016" PRIx64 "\n", nr ? "build" : "read", end - start,
	       memory_peak() - kib,
	       after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt, sum);
	fflush(stdout);
}

/* The reader is a new program, so that it inherits no memory of the writer. */
template<class memory> static int both(char **argv, size_t nr, const char *reads)
{
	std::string passed = reads ?: "";
	int status = 1;
	pid_t pid;

	run<memory>(&passed, reads ? 0 : nr);
	if (reads)
		return 0;
	pid = fork();
	if (!pid) {
		execl(argv[0], argv[0], argv[1], "0", passed.c_str(), nullptr);
		err(1, "exec");
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		warn("the reader");
	memory::end();
	return status != 0;
}

int main(int argc, char **argv)
{
	const char *reads = argc > 3 ? argv[3] : nullptr;
	std::string kind = argc > 2 ? argv[1] : "";
	size_t nr = argc > 2 ? strtoul(argv[2], nullptr, 10) : 0;

	if (!nr && !reads)
		errx(2, "usage: shared arena|handle|memfd|boost NODES");
	if (kind == "arena")
		return both<arena_memory>(argv, nr, reads);
	if (kind == "handle")
		return both<handle_memory>(argv, nr, reads);
	if (kind == "memfd")
		return both<memfd_memory>(argv, nr, reads);
	if (kind == "boost")
		return both<boost_memory>(argv, nr, reads);
	errx(2, "%s: no such allocator", argv[1]);
}
