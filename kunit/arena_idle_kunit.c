// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of arenas with ARENA_SHRINK: under memory pressure, the shrinker takes the slabs that a
 * reset has kept, and nothing else.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#ifndef MODULE
#define HANDS	4
#define SLABS	16

struct shape {
	size_t		slab;
	unsigned int	flags;
};

static const struct shape shapes[] = {
	{ PAGE_SIZE,	0 },
	{ SZ_64K,	0 },
	{ SZ_64K,	ARENA_SPANS },
	{ SZ_64K,	ARENA_ZERO },
	{ SZ_64K,	ARENA_SPANS | ARENA_ZERO },
	{ SZ_64K,	ARENA_READERS },
};

static void shape_desc(const struct shape *shape, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "slabs of %zu KiB, flags %x", shape->slab >> 10,
		 shape->flags);
}

KUNIT_ARRAY_PARAM(shape, shapes, shape_desc);

static struct arena *create(struct kunit *test, const struct shape *shape, unsigned int flags)
{
	return arena_test_create(test, SLABS * shape->slab, shape->slab, shape->flags | flags);
}

static void fill(struct kunit *test, struct arena *arena)
{
	size_t size = arena_test_stats(arena).slab_size;
	unsigned int i;

	for (i = 0; i < SLABS; i++) {
		u8 *object = arena_alloc(arena, size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, object);
		if (arena->flags & ARENA_ZERO)
			KUNIT_EXPECT_TRUE(test, arena_is_zero(object, size));
		memset(object, 0x5a, size);
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, SLABS);
}

static unsigned long shrink_now(void)
{
	return arena_idle_shrink(ULONG_MAX, 0);
}

/* Clauses 9, 25: the shrinker takes all slabs that a reset has kept. The arena remains usable. */
static void shrink_after_reset_releases(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct arena *arena = create(test, shape, ARENA_SHRINK);
	struct arena_stats was, now;
	unsigned int round;

	arena_total_now();	/* empties the pool */
	for (round = 0; round < 3; round++) {
		fill(test, arena);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		was = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, was.slabs_kept, SLABS);
		KUNIT_EXPECT_EQ(test, shrink_now(), was.committed >> PAGE_SHIFT);
		now = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, now.committed, 0);
		KUNIT_EXPECT_EQ(test, now.page_frees - was.page_frees, SLABS);
		KUNIT_EXPECT_EQ(test, arena_pool_pages(), 0);
		KUNIT_EXPECT_EQ(test, now.resets, was.resets);
		KUNIT_EXPECT_GT(test, now.generation, was.generation);
		arena_expect_sane(test, arena);
		/* The arena has no memory left that the shrinker could take. */
		KUNIT_EXPECT_EQ(test, shrink_now(), 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).generation, now.generation);
	}
}

/* Clause 25: the shrinker takes as many pages as its caller asks for, rounded up to whole slabs. */
static void shrink_some_keeps_the_rest(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct arena *arena = create(test, shape, ARENA_SHRINK);
	const unsigned long pages = shape->slab >> PAGE_SHIFT;
	unsigned int left = SLABS;

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	while (left) {
		unsigned int nr = min(left, 3U);

		KUNIT_EXPECT_EQ(test, arena_idle_shrink((nr - 1) * pages + 1, 0), nr * pages);
		left -= nr;
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, left);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs_kept, left);
	}
	fill(test, arena);
}

/* Clauses 10, 25: an arena with an object, or without ARENA_SHRINK, keeps all its memory. */
static void shrink_while_in_use_takes_nothing(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct arena *live = create(test, shape, ARENA_SHRINK), *other = create(test, shape, 0);
	struct arena_stats was, now;
	void *object;

	fill(test, live);
	fill(test, other);
	KUNIT_EXPECT_EQ(test, arena_reset(live), 0);
	KUNIT_EXPECT_EQ(test, arena_reset(other), 0);
	object = arena_alloc(live, 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	arena_pattern_fill(object, 1000, 1);
	was = arena_test_stats(live);
	KUNIT_EXPECT_EQ(test, shrink_now(), 0);
	now = arena_test_stats(live);
	KUNIT_EXPECT_STREQ(test, arena_stats_differ(&was, &now), "");
	KUNIT_EXPECT_EQ(test, arena_pattern_check(object, 1000, 1), 1000);
	KUNIT_EXPECT_EQ(test, arena_test_stats(other).slabs, SLABS);
}

/*
 * Clause 25: the shrinker takes nothing from an arena until the arena has been empty, in one
 * generation, for the time that the caller of arena_idle_shrink() passes.
 */
static void shrink_too_early_takes_nothing(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[1], ARENA_SHRINK);

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_idle_shrink(ULONG_MAX, 1000 * HZ), 0);
	msleep(20);
	/* The shrinker has seen the arena empty only in the generation that this reset ends. */
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_idle_shrink(ULONG_MAX, 1000 * HZ), 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, SLABS);
	KUNIT_EXPECT_GT(test, shrink_now(), 0);
}

/*
 * Clauses 12, 25: when the shrinker takes slabs of an empty arena, the arena's marks become stale.
 * The shrinker takes nothing from an arena with an object, so the marks of that arena remain valid.
 */
static void shrink_makes_marks_of_the_empty_arena_stale(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[1], ARENA_SHRINK);
	struct arena_mark empty, used;

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &empty), 0);
	KUNIT_EXPECT_GT(test, shrink_now(), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &empty), -ESTALE);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &used), 0);
	KUNIT_EXPECT_EQ(test, shrink_now(), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &used), 0);
}

/*
 * Clause 11: while readers may use the other slab set, the shrinker takes nothing from either set.
 */
static void shrink_while_readers_are_inside_takes_nothing(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[ARRAY_SIZE(shapes) - 1], ARENA_SHRINK);
	void *object;

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	rcu_read_lock();
	object = arena_alloc(arena, 1000, GFP_NOWAIT);
	if (object) {
		arena_pattern_fill(object, 1000, 2);
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		KUNIT_EXPECT_EQ(test, shrink_now(), 0);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(object, 1000, 2), 1000);
	}
	rcu_read_unlock();
	KUNIT_EXPECT_NOT_NULL(test, object);
	synchronize_rcu();
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, shrink_now(), SLABS * (SZ_64K >> PAGE_SHIFT));
}

/* Clauses 25, 27: the shrinker takes nothing while actions run, as these may use the memory. */
static void shrink_while_actions_run_takes_nothing(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[ARRAY_SIZE(shapes) - 1], ARENA_SHRINK);

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	arena_acting_begin(arena);
	KUNIT_EXPECT_EQ(test, shrink_now(), 0);
	arena_acting_end(arena);
	KUNIT_EXPECT_EQ(test, shrink_now(), SLABS * (SZ_64K >> PAGE_SHIFT));
}

static void do_nothing(void *data)
{
}

/* Clauses 25, 27: the shrinker takes nothing from an arena that has had an action. */
static void shrink_after_action_takes_nothing(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[ARRAY_SIZE(shapes) - 1], ARENA_SHRINK);

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_add_action(arena, do_nothing, NULL, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, shrink_now(), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
}

/*
 * Clause 25: the registered shrinker, which drop_slab() calls, takes the slabs of an arena that it
 * already found empty a second earlier.
 */
static void shrinker_takes_from_an_idle_arena(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[1], ARENA_SHRINK);
	unsigned long reclaimed = arena_pool_reclaimed();

	fill(test, arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	drop_slab();
	msleep(1100);
	drop_slab();
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
	KUNIT_EXPECT_GE(test, arena_pool_reclaimed() - reclaimed, SLABS * (SZ_64K >> PAGE_SHIFT));
	fill(test, arena);
}

/*
 * Thread 0 sets this flag, so that the other threads leave the arena empty until thread 0 has taken
 * memory from it. Thread 0 sets the flag only if the arena has memory: otherwise there would be
 * nothing to take, and no thread would ever clear the flag.
 */
static bool paused;

/* Thread 0 calls the shrinker. The other threads allocate and reset as RCU readers. */
static void reader_job(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;
	u32 owner = hand->id;

	while (arena_crew_on(hand->crew)) {
		size_t size = 1 + arena_rnd_below(&hand->rnd, SZ_16K);
		void *object;

		if (!hand->id) {
			unsigned long freed = shrink_now();

			hand->allocs += freed;
			if (freed)
				WRITE_ONCE(paused, false);
			else if (arena_test_stats(arena).committed &&
				 !arena_rnd_below(&hand->rnd, 64))
				WRITE_ONCE(paused, true);
			cond_resched();
			continue;
		}
		if (READ_ONCE(paused)) {
			if (arena_high(arena))
				arena_reset_rcu(arena);
			schedule_timeout_uninterruptible(1);
			continue;
		}
		rcu_read_lock();
		object = arena_alloc(arena, size, GFP_NOWAIT);
		if (object) {
			arena_pattern_fill(object, size, owner);
			if (!arena_rnd_below(&hand->rnd, 2))
				arena_reset_rcu(arena);
			hand->bad += arena_pattern_check(object, size, owner) != size;
		} else {
			arena_reset_rcu(arena);
		}
		rcu_read_unlock();
		cond_resched();
	}
}

/* Clauses 1, 11, 25: while the shrinker runs, no object changes, and the arena remains usable. */
static void shrink_beside_allocations_and_resets(struct kunit *test)
{
	struct arena *arena = create(test, &shapes[ARRAY_SIZE(shapes) - 1], ARENA_SHRINK);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	unsigned long patience = 0;

	WRITE_ONCE(paused, false);
	do {
		arena_crew_go(crew, reader_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (!crew->hand[0].allocs && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GT(test, crew->hand[0].allocs, 0);
	arena_expect_sane(test, arena);
}

/*
 * Thread 0 calls the shrinker. The other threads create, use, reset and destroy their own arenas.
 */
static void life_job(struct arena_hand *hand)
{
	const struct arena_config config = {
		.capacity = 4 * SZ_16K,
		.slab_size = SZ_16K,
		.flags = ARENA_SHRINK | shapes[hand->id % ARRAY_SIZE(shapes)].flags,
	};

	while (arena_crew_on(hand->crew)) {
		struct arena *arena;
		unsigned int i;
		u8 *object;

		if (!hand->id) {
			hand->allocs += shrink_now();
			cond_resched();
			continue;
		}
		arena = arena_create(&config);
		for (i = 0; !IS_ERR(arena) && i < 20; i++) {
			object = arena_alloc(arena, SZ_4K, GFP_KERNEL);
			if (object)
				arena_pattern_fill(object, SZ_4K, i);
			cond_resched();
			hand->bad += !object || arena_pattern_check(object, SZ_4K, i) != SZ_4K;
			if (i % 4 == 3)
				arena_reset(arena);
		}
		if (!IS_ERR(arena))
			arena_destroy(arena);
	}
}

/*
 * Clauses 1, 25: objects stay intact while the shrinker runs and threads create and destroy arenas.
 */
static void shrink_beside_creation_and_destruction(struct kunit *test)
{
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	unsigned long patience = 0;

	do {
		arena_crew_go(crew, life_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (!crew->hand[0].allocs && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GT(test, crew->hand[0].allocs, 0);
}

static struct kunit_case arena_idle_cases[] = {
	KUNIT_CASE_PARAM(shrink_after_reset_releases, shape_gen_params),
	KUNIT_CASE_PARAM(shrink_some_keeps_the_rest, shape_gen_params),
	KUNIT_CASE_PARAM(shrink_while_in_use_takes_nothing, shape_gen_params),
	KUNIT_CASE(shrink_too_early_takes_nothing),
	KUNIT_CASE(shrink_makes_marks_of_the_empty_arena_stale),
	KUNIT_CASE(shrink_while_readers_are_inside_takes_nothing),
	KUNIT_CASE(shrink_while_actions_run_takes_nothing),
	KUNIT_CASE(shrink_after_action_takes_nothing),
	KUNIT_CASE(shrinker_takes_from_an_idle_arena),
	KUNIT_CASE(shrink_beside_allocations_and_resets),
	KUNIT_CASE(shrink_beside_creation_and_destruction),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};
#else
static void shrink_is_built_in(struct kunit *test)
{
	kunit_skip(test, "the shrinker is not exported to modules");
}

static struct kunit_case arena_idle_cases[] = {
	KUNIT_CASE(shrink_is_built_in),
	{ }
};
#endif

static struct kunit_suite arena_idle_suite = {
	.name = "arena_idle",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_idle_cases,
};

kunit_test_suite(arena_idle_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: what memory pressure takes from idle ones");
MODULE_LICENSE("GPL");
