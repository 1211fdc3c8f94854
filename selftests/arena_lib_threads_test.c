// SPDX-License-Identifier: GPL-2.0
/*
 * Tests libarena in several threads, each of which has a lease of its own (clauses 1, 9, 10, 13, 16
 * and 20). This file is also built as a 32-bit program.
 */
#include <sched.h>

#include "arena_lib.h"

/* Clause 1: objects of several threads do not overlap, and keep what the threads wrote. */
TEST_F_TIMEOUT(lib, alloc_by_threads_disjoint, PATIENCE)
{
	static struct worker workers[THREADS];
	static struct place all[THREADS * OBJECTS];
	__u64 bytes = 0;
	size_t nr = 0;

	arena_close(self->arena);
	self->arena = arena_open("threads", 8 * MB, 0);
	ASSERT_NE(NULL, self->arena);
	start(workers, THREADS, self->arena, NULL, work);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++) {
		ASSERT_EQ(OBJECTS, workers[i].nr);
		for (size_t j = 0; j < OBJECTS; j++) {
			all[nr] = workers[i].places[j];
			bytes += all[nr].bytes;
			ASSERT_TRUE(is_stamped(self->arena, all[nr++].offset, i + 1, j));
		}
	}
	EXPECT_EQ(0, overlaps(all, nr));
	/*
	 * The unused end of a lease counts as used if it was too short for the thread's next
	 * object.
	 */
	EXPECT_LE(bytes, arena_offset(self->arena));
	EXPECT_LE(arena_offset(self->arena), arena_high(self->arena));
}

static void *fill_cells(void *arg)
{
	struct worker *worker = arg;

	for (worker->nr = 0; arena_alloc(worker->arena, CELL); worker->nr++)
		;
	return errno == ENOSPC ? arg : NULL;
}

/*
 * Clause 16: where there is room for N objects, all threads together allocate N. This holds only
 * for an arena of one slab. In an arena of several slabs, a thread asks for the rest of a slab as
 * its lease; if another thread takes a part of the rest first, the lease begins in the next slab,
 * and some of the rest stays unused.
 */
TEST_F_TIMEOUT(lib, alloc_by_threads_exact_capacity, PATIENCE)
{
	struct arena_setup_args setup = { .size = sizeof(setup), .capacity = MB, .slab_size = MB };
	struct arena *arena = arena_open_setup(&setup);
	static struct worker workers[THREADS];
	size_t nr = 0;

	ASSERT_NE(NULL, arena);
	start(workers, THREADS, arena, NULL, fill_cells);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++)
		nr += workers[i].nr;
	EXPECT_EQ(MB / CELL, nr);
	EXPECT_EQ(MB, arena_offset(arena));
	arena_close(arena);
}

static void *one_cell(void *arg)
{
	return arena_alloc(arg, CELL);
}

/* Clause 16: when a thread ends, the next thread takes over the unused bytes of its lease. */
TEST_F_TIMEOUT(lib, alloc_after_thread_exit_uses_lease, PATIENCE)
{
	pthread_t thread;
	void *cell;

	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, one_cell, self->arena));
		pthread_join(thread, &cell);
		ASSERT_EQ(i * CELL, arena_off(self->arena, cell));
	}
	EXPECT_EQ(200 * CELL, arena_offset(self->arena));
}

static void one_cell_more(void *arg)
{
	one_cell(arg);
}

/* Registers a destructor that allocates when the thread ends, after the destructor of libarena. */
static void *alloc_late(void *arg)
{
	static pthread_key_t key;

	arena_alloc(arg, CELL);
	/*
	 * The C library calls destructors in the order in which the keys were created, and libarena
	 * has created its key before.
	 */
	pthread_key_create(&key, one_cell_more);
	pthread_setspecific(key, arg);
	return NULL;
}

/* Clause 1: a thread that ends may still allocate in destructors of its thread-specific data. */
TEST_F_TIMEOUT(lib, alloc_in_destructor_ok, PATIENCE)
{
	pthread_t thread;

	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, alloc_late, self->arena));
	pthread_join(thread, NULL);
	EXPECT_EQ(3 * CELL, arena_offset(self->arena));
}

static void *alloc_in_turns(void *arg)
{
	struct worker *worker = arg;

	for (worker->nr = 0; worker->nr < OBJECTS; worker->nr++) {
		struct place *place = &worker->places[worker->nr];

		turn(worker->turns);
		place->offset = arena_off(worker->arena, arena_alloc(worker->arena, CELL));
		turn(worker->turns);
		/*
		 * Until the next turn(), the main thread checks the object. In the last round, the
		 * main thread sets worker->arena to NULL.
		 */
		turn(worker->turns);
		if (!worker->arena)
			break;
	}
	return NULL;
}

/*
 * Clauses 9, 20: a thread does not use its lease after a reset in any mode. If the thread did, its
 * next object would lie behind the previous object instead of at offset 0.
 */
TEST_F_TIMEOUT(lib, alloc_after_reset_new_lease, PATIENCE)
{
	static const enum arena_reset_mode modes[] = {
		ARENA_RESET_KEEP, ARENA_RESET_RELEASE, ARENA_RESET_ZERO, ARENA_RESET_STRICT,
	};
	static struct worker worker;
	struct turns turns;
	__u64 generation;

	pthread_barrier_init(&turns.barrier, NULL, 2);
	start(&worker, 1, self->arena, &turns, alloc_in_turns);
	for (int i = 0; i < 8; i++) {
		turn(&turns);
		turn(&turns);
		EXPECT_EQ(0, worker.places[i].offset);
		EXPECT_EQ(CELL, arena_offset(self->arena));
		generation = arena_generation(self->arena);
		EXPECT_EQ(0, arena_reset(self->arena, modes[i % 4]));
		EXPECT_LT(generation, arena_generation(self->arena));
		EXPECT_EQ(0, arena_offset(self->arena));
		if (i == 7)
			worker.arena = NULL;
		turn(&turns);
	}
	finish(&worker, 1);
}

/*
 * Clauses 1, 10: resets race with allocations, and objects of one generation do not overlap. The
 * test knows the generation of an object only if the thread reads the same generation before and
 * after the allocation, and leaves out all other objects.
 */
TEST_F_TIMEOUT(lib, reset_beside_threads_disjoint, PATIENCE)
{
	static struct worker workers[THREADS];
	static struct place all[THREADS * OBJECTS];
	struct turns turns;
	size_t nr = 0;

	start(workers, THREADS, self->arena, &turns, alloc_until_told);
	for (int i = 0; i < 400; i++) {
		ASSERT_EQ(0, arena_reset(self->arena, i % 4));
		sched_yield();
	}
	for (int i = 0; i < THREADS; i++)
		__atomic_store_n(&workers[i].turns, NULL, __ATOMIC_RELAXED);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++) {
		size_t mine = workers[i].nr < OBJECTS ? workers[i].nr : OBJECTS;

		memcpy(all + nr, workers[i].places, mine * sizeof(*all));
		nr += mine;
	}
	EXPECT_EQ(0, overlaps(all, nr));
	for (size_t i = 0; i < nr; i++)
		ASSERT_LE(all[i].offset + all[i].bytes, MB);
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	EXPECT_EQ(CELL, arena_offset(self->arena));
}

static void *alloc_where_told(void *arg)
{
	struct worker *worker = arg;

	for (;;) {
		turn(worker->turns);
		if (!worker->arena)
			return NULL;
		worker->places[0].offset =
			arena_off(worker->arena, arena_alloc(worker->arena, CELL));
		turn(worker->turns);
	}
}

/*
 * Clause 13: after an arena is closed, a thread does not use its lease of that arena in the next
 * arena, which may be mapped at the same address.
 */
TEST_F_TIMEOUT(lib, open_after_close_new_lease, PATIENCE)
{
	static struct worker worker;
	struct turns turns;

	pthread_barrier_init(&turns.barrier, NULL, 2);
	start(&worker, 1, NULL, &turns, alloc_where_told);
	for (int i = 0; i < 50; i++) {
		worker.arena = arena_open(NULL, MB, 0);
		ASSERT_NE(NULL, worker.arena);
		turn(&turns);
		turn(&turns);
		EXPECT_EQ(0, worker.places[0].offset);
		EXPECT_EQ(CELL, arena_offset(worker.arena));
		arena_close(worker.arena);
	}
	worker.arena = NULL;
	turn(&turns);
	finish(&worker, 1);
}

TEST_HARNESS_MAIN
