/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for the tests of libarena: objects that begin with the number of the thread or process
 * that made them, threads that record where their objects are, and an arena for each test.
 *
 * Each thread that uses libarena allocates from a lease, a stretch of the arena that the kernel
 * gave to the thread, and makes a system call only when the lease is used up.
 *
 * With -DFAKE, the tests run on tools/libarena/fake.c instead of the kernel module, and leave out
 * cases that need the module.
 */
#ifndef ARENA_LIB_H
#define ARENA_LIB_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libarena.h>

#include "kselftest_harness.h"

#define MB		(1024 * 1024UL)
#define SLAB		65536UL
#define CELL		64
#define PATIENCE	200	/* seconds for a test: long, because sanitizers are slow */
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/*
 * The first bytes of an object: the number of its maker, a thread or process, and how many objects
 * that maker had made before.
 */
struct stamp {
	__u64 maker;
	__u64 number;
};

struct place {
	__u64 generation;
	__u64 offset;
	__u64 bytes;
};

static inline int by_place(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	if (p->generation != q->generation)
		return p->generation < q->generation ? -1 : 1;
	return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* Sorts @places and returns how many of them overlap the next place. */
static inline size_t overlaps(struct place *places, size_t nr)
{
	size_t i, bad = 0;

	qsort(places, nr, sizeof(*places), by_place);
	for (i = 1; i < nr; i++)
		bad += places[i - 1].generation == places[i].generation &&
		       places[i - 1].offset + places[i - 1].bytes > places[i].offset;
	return bad;
}

static inline void *stamped(struct arena *arena, size_t bytes, __u64 maker, __u64 number)
{
	struct stamp *stamp = arena_alloc(arena, bytes);

	if (stamp)
		*stamp = (struct stamp){ .maker = maker, .number = number };
	return stamp;
}

static inline bool is_stamped(struct arena *arena, __u64 offset, __u64 maker, __u64 number)
{
	const struct stamp *stamp = arena_ptr(arena, offset);

	return stamp && stamp->maker == maker && stamp->number == number;
}

/* A barrier that makes two threads wait for each other. */
struct turns {
	pthread_barrier_t barrier;
};

static inline void turn(struct turns *turns)
{
	pthread_barrier_wait(&turns->barrier);
}

/*
 * Opens an arena whose slabs are single pages. On User-Mode Linux, a fork breaks the mappings of
 * larger slabs, unless the kernel has the patch of tools/patches.
 */
static inline struct arena *open_to_fork(void)
{
	struct arena_setup_args setup = {
		.size = sizeof(setup),
		.capacity = MB,
		.slab_size = sysconf(_SC_PAGESIZE),
		.name = "lib",
	};

	return arena_open_setup(&setup);
}

FIXTURE(lib)
{
	struct arena *arena;
};

FIXTURE_SETUP(lib)
{
#ifdef LIB_FORKS
	self->arena = open_to_fork();
#else
	self->arena = arena_open("lib", MB, 0);
#endif
	if (!self->arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, self->arena) TH_LOG("arena_open: %s", strerror(errno));
}

FIXTURE_TEARDOWN(lib)
{
	arena_close(self->arena);
}

#define THREADS		4
#define OBJECTS		3000

struct worker {
	pthread_t thread;
	struct arena *arena;
	struct turns *turns;
	unsigned int number;
	size_t nr;
	struct place places[OBJECTS];
};

/* Allocates objects of various sizes that begin with a struct stamp, and records where they are. */
static inline void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned int seed = worker->number;

	for (worker->nr = 0; worker->nr < OBJECTS; worker->nr++) {
		struct place *place = &worker->places[worker->nr];
		void *object;

		place->bytes = sizeof(struct stamp) + rand_r(&seed) % 100 / 8 * 8;
		object = stamped(worker->arena, place->bytes, worker->number, worker->nr);
		if (!object)
			break;
		place->offset = arena_off(worker->arena, object);
	}
	return NULL;
}

static inline void start(struct worker *workers, unsigned int nr, struct arena *arena,
			 struct turns *turns, void *(*run)(void *arg))
{
	for (unsigned int i = 0; i < nr; i++) {
		workers[i].arena = arena;
		workers[i].turns = turns;
		workers[i].number = i + 1;
		pthread_create(&workers[i].thread, NULL, run, &workers[i]);
	}
}

static inline void finish(struct worker *workers, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(workers[i].thread, NULL);
}

/*
 * Allocates until the test sets worker->turns to NULL. Records the place of an object only if no
 * reset came between reading the generation and allocating the object: otherwise the generation of
 * the object is not known.
 */
static inline void *alloc_until_told(void *arg)
{
	struct worker *worker = arg;
	unsigned int seed = worker->number;
	__u64 before, bytes;
	void *object;

	while (__atomic_load_n(&worker->turns, __ATOMIC_RELAXED)) {
		struct place *place = &worker->places[worker->nr % OBJECTS];

		before = arena_generation(worker->arena);
		bytes = 8 + rand_r(&seed) % 500 / 8 * 8;
		object = arena_alloc(worker->arena, bytes);
		if (!object || arena_generation(worker->arena) != before)
			continue;
		place->generation = before;
		place->bytes = bytes;
		place->offset = arena_off(worker->arena, object);
		worker->nr++;
	}
	return NULL;
}

#endif /* ARENA_LIB_H */
