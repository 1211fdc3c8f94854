// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of marks and rewinds in arenas that are not private, and of arenas that the last
 * arena_put() destroys, or that are destroyed with their device.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define CAPACITY	(16 * SLAB)

static const struct arena_kind kinds[] = {
	{ "dense",		0 },
	{ "dense, zero",	ARENA_ZERO },
	{ "dense, readers",	ARENA_READERS },
};

KUNIT_ARRAY_PARAM(kind, kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, CAPACITY, SLAB, kind ? kind->flags : 0);
}

static void *must_alloc(struct kunit *test, struct arena *arena, size_t size)
{
	void *object = arena_alloc(arena, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	return object;
}

static struct arena_mark must_mark(struct kunit *test, struct arena *arena)
{
	struct arena_mark mark;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	KUNIT_ASSERT_EQ(test, mark.offset, arena_high(arena));
	KUNIT_ASSERT_EQ(test, mark.used, arena_offset(arena));
	return mark;
}

static arena_handle_t must_name(struct kunit *test, struct arena *arena)
{
	arena_handle_t handle;

	KUNIT_ASSERT_NOT_NULL(test, arena_alloc_handle(arena, 8, GFP_KERNEL, &handle));
	return handle;
}

static void expect_refused(struct kunit *test, struct arena *arena, const struct arena_mark *mark,
			   int err, const char *what)
{
	const struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_EQ_MSG(test, arena_rewind(arena, mark), err, "%s", what);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "%s", what);
}

/* Clause 12: arenas with spans have no marks. */
static void mark_with_spans_eopnotsupp(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, ARENA_SPANS);
	struct arena_mark mark = { };

	must_alloc(test, arena, 100);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &mark), -EOPNOTSUPP);
	expect_refused(test, arena, &mark, -EOPNOTSUPP, "spans");
}

/*
 * Clause 12: a mark is a plain value, so callers can make one up. Rewinds to bad marks are refused.
 */
static void rewind_to_made_up_mark_refused(struct kunit *test)
{
	struct arena *arena = usual(test);
	const u64 now = arena_test_stats(arena).generation;
	const struct {
		struct arena_mark	mark;
		int			err;
	} bad[] = {
		{ { now, 8, 16 }, -EINVAL },
		{ { now, 0, 1 }, -EINVAL },
		{ { now, SIZE_MAX - 1, SIZE_MAX }, -EINVAL },
		{ { now, 101, 100 }, -ESTALE },
		{ { now, SIZE_MAX, 0 }, -ESTALE },
		{ { 0, 0, 0 }, -ESTALE },
		{ { now + 1, 0, 0 }, -ESTALE },
		{ { now + ARENA_GEN_REWOUND, 0, 0 }, -ESTALE },
		{ { now + ARENA_GEN_STEP, 0, 0 }, -ESTALE },
		{ { now - 1, 0, 0 }, -ESTALE },
		{ { U64_MAX, U64_MAX, U64_MAX }, -ESTALE },
	};
	unsigned int i;

	must_alloc(test, arena, 100);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect_refused(test, arena, &bad[i].mark, bad[i].err, "made up");
}

/*
 * Clauses 6, 7, 8, 12: a rewind restores all statistics except those that only ever grow, and later
 * objects are zeroed if their caller asks for it.
 */
static void rewind_restores_accounting_and_zeroing(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8, 100, 4096, SLAB, 2 * SLAB + 5, 3 };
	struct arena *arena = usual(test);
	struct arena_mark mark;
	unsigned int round, i, odd;
	void *first, *ptr;
	u8 *below;

	/* Padding lies below the mark only if @odd is 1: the first object has 97 bytes then. */
	for (odd = 0; odd < 2; odd++) {
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		below = must_alloc(test, arena, 96 + odd);
		arena_pattern_fill(below, 96 + odd, 1);
		must_alloc(test, arena, 8);
		mark = must_mark(test, arena);
		first = NULL;
		for (round = 0; round < 10; round++) {
			const struct arena_stats was = arena_test_stats(arena);
			struct arena_stats s;

			for (i = 0; i < ARRAY_SIZE(sizes); i++) {
				ptr = arena_zalloc(arena, sizes[i], GFP_KERNEL);
				KUNIT_ASSERT_NOT_NULL(test, ptr);
				KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, sizes[i]));
				memset(ptr, 0xff, sizes[i]);
				if (!i && first)
					KUNIT_EXPECT_PTR_EQ(test, ptr, first);
				if (!i)
					first = ptr;
			}
			KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
			s = arena_test_stats(arena);
			KUNIT_EXPECT_EQ(test, s.used, 104 + odd);
			KUNIT_EXPECT_EQ(test, s.high, was.high);
			KUNIT_EXPECT_EQ(test, s.free, was.free);
			KUNIT_EXPECT_GT(test, s.generation, was.generation);
			KUNIT_EXPECT_EQ(test, s.resets, was.resets);
			KUNIT_EXPECT_EQ(test, s.allocs, was.allocs + ARRAY_SIZE(sizes));
			arena_expect_sane(test, arena);
			/* A second rewind to the same mark succeeds, and frees nothing. */
			KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
			KUNIT_EXPECT_EQ(test, arena_offset(arena), 104 + odd);
		}
		KUNIT_EXPECT_EQ(test, arena_pattern_check(below, 96 + odd, 1), 96 + odd);
	}
}

/* Clauses 8, 9: a rewind keeps the peak. arena_reset_zero() also zeroes what a rewind has freed. */
static void rewind_keeps_peak_and_what_reset_zero_wipes(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_mark mark = must_mark(test, arena);
	size_t n;

	for (n = 0; n < 8; n++)
		memset(must_alloc(test, arena, SLAB), 0xff, SLAB);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, 8 * SLAB);
	arena_reset_zero(arena);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, 8 * SLAB);
	for (n = 0; n < 8; n++)
		KUNIT_EXPECT_TRUE(test, arena_is_zero(must_alloc(test, arena, SLAB), SLAB));
}

/* Clause 12: after a rewind to a mark, marks below it are valid, and marks above are stale. */
static void rewind_below_mark_estale(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_mark mark[5];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mark); i++) {
		mark[i] = must_mark(test, arena);
		must_alloc(test, arena, 8);
	}
	for (i = ARRAY_SIZE(mark); i-- > 2;) {
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[i]), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 8 * i);
		must_alloc(test, arena, 8);
	}
	for (i = 3; i < ARRAY_SIZE(mark); i++)
		expect_refused(test, arena, &mark[i], -ESTALE, "inner");
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[0]), 0);
	expect_refused(test, arena, &mark[1], -ESTALE, "inner");
	must_alloc(test, arena, 40);
	expect_refused(test, arena, &mark[2], -ESTALE, "passed again since");
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[0]), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
}

/* Clause 12: after a reset of any kind, marks are stale, and remain so after later rewinds. */
static void rewind_after_reset_estale(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	struct arena_mark mark, empty, later;
	unsigned int way;

	for (way = 0; way < 4; way++) {
		empty = must_mark(test, arena);
		must_alloc(test, arena, 24);
		mark = must_mark(test, arena);
		must_alloc(test, arena, 24);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		if (way == 0)
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		else if (way == 1)
			arena_reset_release(arena, 0);
		else if (way == 2)
			arena_reset_zero(arena);
		else if (kind->flags & ARENA_READERS)
			KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		else
			break;
		expect_refused(test, arena, &mark, -ESTALE, "reset");
		expect_refused(test, arena, &empty, -ESTALE, "reset");
		must_alloc(test, arena, 32);
		later = must_mark(test, arena);
		must_alloc(test, arena, 32);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &later), 0);
		expect_refused(test, arena, &mark, -ESTALE, "reset and rewound");
		expect_refused(test, arena, &empty, -ESTALE, "reset and rewound");
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

struct elsewhere {
	struct work_struct	work;
	struct arena		*arena;
	struct arena_mark	mark;
	int			err;
};

static void rewind_elsewhere(struct work_struct *work)
{
	struct elsewhere *elsewhere = container_of(work, struct elsewhere, work);

	arena_ignore(arena_alloc(elsewhere->arena, 64, GFP_KERNEL));
	elsewhere->err = arena_rewind(elsewhere->arena, &elsewhere->mark);
}

/*
 * Clause 12: any task may rewind to a mark. The rewind frees all objects allocated since the mark,
 * by whichever task.
 */
static void rewind_by_another_task_ok(struct kunit *test)
{
	struct elsewhere elsewhere = { .arena = usual(test) };

	must_alloc(test, elsewhere.arena, 16);
	elsewhere.mark = must_mark(test, elsewhere.arena);
	must_alloc(test, elsewhere.arena, 16);
	INIT_WORK_ONSTACK(&elsewhere.work, rewind_elsewhere);
	schedule_work(&elsewhere.work);
	flush_work(&elsewhere.work);
	destroy_work_on_stack(&elsewhere.work);
	KUNIT_EXPECT_EQ(test, elsewhere.err, 0);
	KUNIT_EXPECT_EQ(test, arena_offset(elsewhere.arena), 16);
	KUNIT_EXPECT_EQ(test, arena_rewind(elsewhere.arena, &elsewhere.mark), 0);
}

/*
 * Clause 13: each round allocates two objects and frees the second one by a rewind, so that each
 * rewind is to a higher offset than the one before. After each round, the case looks up the handles
 * of all objects so far: no handle of a freed object ever resolves.
 */
static void handles_after_rising_rewinds_never_wrong(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t kept[40], gone[40];
	struct arena_mark outer = must_mark(test, arena), mark;
	unsigned int i, j, early = 0;

	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		kept[i] = must_name(test, arena);
		mark = must_mark(test, arena);
		gone[i] = must_name(test, arena);
		KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
		for (j = 0; j <= i; j++) {
			void *found = arena_deref(arena, kept[j]);

			KUNIT_EXPECT_NULL(test, arena_deref(arena, gone[j]));
			/*
			 * The arena merges its oldest rewinds, and may then report the handle of a
			 * live object as stale. If there have been fewer than ARENA_REWINDS rewinds
			 * since the object was allocated, its handle must resolve.
			 */
			if (i - j < ARENA_REWINDS - 1)
				KUNIT_EXPECT_NOT_NULL(test, found);
			early += !found;
			if (found)
				KUNIT_EXPECT_EQ(test, arena_handle(arena, found).offset, 8 * j);
		}
	}
	KUNIT_EXPECT_GT(test, early, 0);
	/* A rewind to the mark below all objects frees all of them. */
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &outer), 0);
	for (j = 0; j < ARRAY_SIZE(kept); j++)
		KUNIT_EXPECT_NULL(test, arena_deref(arena, kept[j]));
}

/* Clause 13: a handle outlives any number of rewinds to a mark above its object. */
static void handle_after_rewinds_above_lives(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t below = must_name(test, arena), at, again;
	struct arena_mark mark = must_mark(test, arena);
	void *ptr = arena_deref(arena, below);
	unsigned int i;

	for (i = 0; i < 100; i++) {
		at = must_name(test, arena);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, below), ptr);
		KUNIT_EXPECT_NULL(test, arena_deref(arena, at));
		/* The next object lies at the place of the object that the rewind has freed. */
		again = must_name(test, arena);
		KUNIT_EXPECT_EQ(test, again.offset, at.offset);
		KUNIT_EXPECT_NULL(test, arena_deref(arena, at));
		KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, again));
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	}
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	must_alloc(test, arena, 64);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, below));
}

/*
 * Clauses 12, 13: a mark and a handle are stale after a reset. They remain stale when the arena is
 * then used, marked and rewound.
 */
static void mark_of_reset_generation_used_late_estale(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_mark late, other;
	arena_handle_t old, lives, gone;

	old = must_name(test, arena);
	late = must_mark(test, arena);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	lives = must_name(test, arena);
	other = must_mark(test, arena);
	gone = must_name(test, arena);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &other), 0);

	expect_refused(test, arena, &late, -ESTALE, "of before the reset");
	KUNIT_EXPECT_NULL(test, arena_deref(arena, old));
	KUNIT_EXPECT_NULL(test, arena_deref(arena, gone));
	KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, lives));
	must_alloc(test, arena, 8);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, gone));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &other), 0);
}

#ifdef MODULE
static void rewind_overtaken_by_reset_estale(struct kunit *test)
{
	kunit_skip(test, "needs a hook, which modules do not have");
}
#else
static void pause_by_reset(struct arena *arena)
{
	arena_reset(arena);
}

static void pause_by_alloc(struct arena *arena)
{
	arena_ignore(arena_alloc(arena, 8, ARENA_NOGROW));
}

/*
 * Clauses 10, 12: just before arena_rewind() moves the cursor, a hook allocates, or resets the
 * arena, as another CPU could. If the hook allocates, the rewind succeeds; if the hook resets, the
 * rewind fails with -ESTALE.
 */
static void rewind_overtaken_by_reset_estale(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t below, above;
	struct arena_mark mark, next;

	below = must_name(test, arena);
	mark = must_mark(test, arena);
	above = must_name(test, arena);
	WRITE_ONCE(arena_rewind_pause, pause_by_alloc);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 8);
	KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, below));
	KUNIT_EXPECT_NULL(test, arena_deref(arena, above));

	must_alloc(test, arena, 8);
	WRITE_ONCE(arena_rewind_pause, pause_by_reset);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), -ESTALE);
	WRITE_ONCE(arena_rewind_pause, NULL);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, below));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	must_alloc(test, arena, 64);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, below));
	next = must_mark(test, arena);
	must_alloc(test, arena, 8);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &next), 0);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, below));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), -ESTALE);
}
#endif

/*
 * Clauses 7, 10, 12: the case raises arena->writers, as a late writer does, so the generation that
 * a rewind begins is unsettled. Until the writer has ended, no allocation succeeds; but offset,
 * marks and handles are those of the new generation, and the arena can be rewound and reset again.
 */
static void rewind_with_late_writer_begins_later(struct kunit *test)
{
	struct arena *arena = usual(test);
	unsigned int odd;
	struct arena_mark mark, later;
	arena_handle_t below, again;

	for (odd = 0; odd < 2; odd++) {
		must_alloc(test, arena, 9 - odd);
		below = must_name(test, arena);
		mark = must_mark(test, arena);
		KUNIT_EXPECT_EQ(test, mark.used, 17 - odd);
		must_alloc(test, arena, 3);
		atomic_set(&arena->writers, 1);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
		later = must_mark(test, arena);
		KUNIT_EXPECT_EQ(test, later.offset, mark.offset);
		KUNIT_EXPECT_EQ(test, later.used, mark.used);
		KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, below));
		again = arena_handle(arena, arena_deref(arena, below));
		KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, again));
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &later), 0);
		atomic_set(&arena->writers, 0);
		must_alloc(test, arena, 8);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), mark.used + 8);
		KUNIT_EXPECT_EQ(test, arena_high(arena), mark.offset + 8);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &later), 0);
		atomic_set(&arena->writers, 1);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
		KUNIT_EXPECT_NULL(test, arena_deref(arena, below));
		atomic_set(&arena->writers, 0);
	}
}

#ifdef MODULE
static void rewind_across_tag_end_ok(struct kunit *test)
{
	kunit_skip(test, "needs a hook, which modules do not have");
}
#else
/*
 * Clause 13: a rewind advances the tag as a reset does. So a rewind, too, is refused with -EBUSY if
 * the tag would enter another eighth of its range before a grace period has passed.
 */
static void rewind_across_tag_end_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	unsigned long until = 0;
	arena_handle_t below, above;
	struct arena_mark mark;
	unsigned int i, busy = 0;

	arena_set_generation(arena, BIT_ULL(ARENA_TAG_BITS) - 3 * ARENA_GEN_STEP);
	must_alloc(test, arena, 3);
	below = must_name(test, arena);
	mark = must_mark(test, arena);
	for (i = 0; i < 8; i++) {
		int err;

		above = must_name(test, arena);
		while ((err = arena_rewind(arena, &mark)) == -EBUSY && arena_sleep_until(&until))
			busy++;
		KUNIT_ASSERT_EQ(test, err, 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 11);
		KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, below));
		KUNIT_EXPECT_NULL(test, arena_deref(arena, above));
	}
	KUNIT_EXPECT_GT(test, arena_test_stats(arena).generation, BIT_ULL(ARENA_TAG_BITS));
	/*
	 * A rewind with which the tag enters another eighth of its range is refused until a grace
	 * period has passed since the tag entered its current eighth. By setting arena->wrapping,
	 * the case pretends that no grace period has passed.
	 */
	rcu_barrier();
	rcu_read_lock();
	WRITE_ONCE(arena->wrapping, true);
	arena->generation += ARENA_TAG_EIGHTH - 2 * ARENA_GEN_STEP * 8;
	arena_set_generation(arena, arena->generation | (ARENA_TAG_EIGHTH - 1));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	expect_refused(test, arena, &mark, -EBUSY, "no grace period");
	WRITE_ONCE(arena->wrapping, false);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 8);
}
#endif

static unsigned int count_views(struct arena *arena)
{
	struct llist_node *node;
	unsigned int views = 0;

	flush_work(&arena->reaper);
	llist_for_each(node, READ_ONCE(arena->larges.first))
		views++;
	return views;
}

/* Clauses 1, 12: an object larger than a slab stays mapped until a rewind or reset frees it. */
static void rewind_unmaps_views_above_only(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_mark mark;
	unsigned int round;
	u8 *below, *ptr;

	below = must_alloc(test, arena, 2 * SLAB);
	arena_pattern_fill(below, 2 * SLAB, 1);
	mark = must_mark(test, arena);
	for (round = 0; round < 30; round++) {
		ptr = must_alloc(test, arena, 2 * SLAB + 1);
		arena_pattern_fill(ptr, 2 * SLAB + 1, round);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(below, 2 * SLAB, 1), 2 * SLAB);
	}
	KUNIT_EXPECT_EQ(test, count_views(arena), 1);
	/* A refused rewind unmaps nothing. */
	mark.offset = CAPACITY;
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), -ESTALE);
	KUNIT_EXPECT_EQ(test, count_views(arena), 1);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, count_views(arena), 0);
}

/* Clauses 3, 12: a reservation made before a mark remains valid after a rewind to this mark. */
static void reservation_below_mark_serves(struct kunit *test)
{
	struct arena_reserve below, above;
	struct arena *arena = usual(test);
	struct arena_mark mark;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &below, 4, 8, 8, GFP_KERNEL), 0);
	mark = must_mark(test, arena);
	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &above, 4, 8, 8, GFP_KERNEL), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&above, 8, 8));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&below, 8, 8));
	KUNIT_EXPECT_NULL(test, arena_reserve_alloc(&above, 8, 8));
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_NULL(test, arena_reserve_alloc(&below, 8, 8));
}

static void scope_in_scope(struct kunit *test, struct arena *arena)
{
	arena_scope(arena);
	must_alloc(test, arena, 100);
	{
		arena_scope(arena);
		must_alloc(test, arena, 3 * SLAB);
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 108);
}

/*
 * Clause 12: the end of arena_scope() frees the objects of the scope, except in arenas with spans.
 */
static void scope_left_frees(struct kunit *test)
{
	struct arena *spans = arena_test_create(test, CAPACITY, SLAB, ARENA_SPANS);
	struct arena *arena = usual(test);

	must_alloc(test, arena, 8);
	scope_in_scope(test, arena);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 8);
	{
		arena_scope(spans);
		must_alloc(test, spans, 8);
	}
	KUNIT_EXPECT_EQ(test, arena_offset(spans), 8);
}

/* Threads 0 and 1 rewind. Threads 2 and 3 allocate; thread 3 asks for zeroed memory. */
struct rewinders {
	struct arena_mark	mark;
	arena_handle_t		below;
	atomic_long_t		rewound;
};

static void rewinder(struct arena_hand *hand)
{
	struct rewinders *race = hand->crew->data;
	struct arena *arena = hand->crew->arena;
	arena_handle_t above;
	struct arena_mark mark;
	int err;

	/* If the threads have filled the arena, none can allocate until one of them rewinds. */
	if (!arena_alloc_handle(arena, 40, ARENA_NOGROW, &above)) {
		err = arena_rewind(arena, &race->mark);
		hand->bad += err && err != -ESTALE;
		return;
	}
	arena_mark(arena, &mark);
	hand->bad += mark.used > mark.offset || mark.offset < race->mark.offset;
	arena_ignore(arena_alloc(arena, 8, ARENA_NOGROW));
	err = arena_rewind(arena, hand->allocs++ % 2 ? &race->mark : &mark);
	hand->bad += err && err != -ESTALE;
	if (err || hand->allocs % 2)
		return;
	atomic_long_inc(&race->rewound);
	hand->bad += !!arena_deref(arena, above);
}

static void race_job(struct arena_hand *hand)
{
	struct rewinders *race = hand->crew->data;
	struct arena *arena = hand->crew->arena;

	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew)) {
		if (hand->id < 2)
			rewinder(hand);
		else
			arena_ignore(arena_alloc(arena, 1 + arena_rnd_below(&hand->rnd, 100),
						 ARENA_NOGROW | (hand->id & 1 ? __GFP_ZERO : 0)));
		hand->bad += !arena_deref(arena, race->below);
		hand->bad += arena_high(arena) < race->mark.offset;
	}
}

/* Clauses 10, 12, 13: while rewinds and allocations race, objects below the mark stay alive. */
static void rewind_races_nothing_below_is_lost(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	struct rewinders race = { };
	unsigned long patience = 0;
	u8 *below;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	below = arena_alloc_handle(arena, 1001, GFP_KERNEL, &race.below);
	KUNIT_ASSERT_NOT_NULL(test, below);
	arena_pattern_fill(below, 1001, 7);
	must_alloc(test, arena, 8);
	race.mark = must_mark(test, arena);
	crew->data = &race;
	do {
		arena_crew_go(crew, race_job, runtime_ms);
		arena_crew_wait(crew);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(below, 1001, 7), 1001);
		arena_expect_sane(test, arena);
	} while (atomic_long_read(&race.rewound) < 20 && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GE(test, atomic_long_read(&race.rewound), 20);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &race.mark), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 1009);
}

/*
 * Lifetimes
 */
static void drop_by_scope(struct arena *arena)
{
	struct arena *held __free(arena_put) = arena_get(arena);

	arena_ignore(arena_alloc(held, 8, GFP_KERNEL));
}

struct last_put {
	struct arena	*arena;
	unsigned int	ran;
	bool		in_task;
};

static void last_put_action(void *data)
{
	struct last_put *last = data;

	last->ran++;
	last->in_task = in_task() && !irqs_disabled();
}

static void last_put_drop(void *data)
{
	struct last_put *last = data;

	arena_put(last->arena);
}

/*
 * Clause 22: a hard interrupt may drop the last reference to an arena. As only a task can unmap the
 * views of the arena, a task destroys the arena later, and arena_put_barrier() waits for the
 * destruction.
 */
static void last_put_in_hardirq_destroys_later(struct kunit *test)
{
	const struct arena_config config = {
		.capacity = CAPACITY, .slab_size = SLAB, .flags = ARENA_READERS,
	};
	const long before = arena_total_now();
	struct last_put last = { };

	last.arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, last.arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(last.arena, 2 * SLAB, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(last.arena), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(last.arena, 2 * SLAB, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_add_action(last.arena, last_put_action, &last, GFP_KERNEL), 0);
	arena_get(last.arena);
	arena_in_irq(last_put_drop, &last);
	arena_put_barrier();
	KUNIT_EXPECT_EQ(test, last.ran, 0);
	arena_in_irq(last_put_drop, &last);
	arena_put_barrier();
	KUNIT_EXPECT_EQ(test, last.ran, 1);
	KUNIT_EXPECT_TRUE(test, last.in_task);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

/* The last arena_put() destroys the arena, even if it has marks. */
static void last_put_destroys(struct kunit *test)
{
	const struct arena_config config = { .capacity = CAPACITY, .slab_size = SLAB };
	const long before = arena_total_now();
	struct arena_mark mark;
	struct arena *arena;

	arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_PTR_EQ(test, arena_get(arena), arena);
	drop_by_scope(arena);
	arena_put(arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 24);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &mark), 0);
	arena_put(arena);
	arena_put_barrier();
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
	arena_put(NULL);
}

/* A device-managed arena is destroyed with its device. */
static void device_unbound_destroys(struct kunit *test)
{
	const struct arena_config good = { .capacity = CAPACITY, .slab_size = SLAB };
	const struct arena_config bad = { .capacity = 0 };
	const long before = arena_total_now();
	struct device *dev = root_device_register("arena_mark_kunit");
	struct arena *arena;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	arena = devm_arena_create(dev, &good);
	KUNIT_EXPECT_FALSE(test, IS_ERR(arena));
	if (!IS_ERR(arena))
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(devm_arena_create(dev, &bad)), -EINVAL);
	root_device_unregister(dev);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

static struct kunit_case arena_mark_cases[] = {
	KUNIT_CASE(mark_with_spans_eopnotsupp),
	KUNIT_CASE_PARAM(rewind_to_made_up_mark_refused, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_restores_accounting_and_zeroing, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_keeps_peak_and_what_reset_zero_wipes, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_below_mark_estale, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_after_reset_estale, kind_gen_params),
	KUNIT_CASE(rewind_by_another_task_ok),
	KUNIT_CASE_PARAM(handles_after_rising_rewinds_never_wrong, kind_gen_params),
	KUNIT_CASE_PARAM(handle_after_rewinds_above_lives, kind_gen_params),
	KUNIT_CASE_PARAM(mark_of_reset_generation_used_late_estale, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_overtaken_by_reset_estale, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_with_late_writer_begins_later, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_across_tag_end_ok, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_unmaps_views_above_only, kind_gen_params),
	KUNIT_CASE_PARAM(reservation_below_mark_serves, kind_gen_params),
	KUNIT_CASE_PARAM(scope_left_frees, kind_gen_params),
	KUNIT_CASE_PARAM(rewind_races_nothing_below_is_lost, kind_gen_params),
	KUNIT_CASE(last_put_destroys),
	KUNIT_CASE(last_put_in_hardirq_destroys_later),
	KUNIT_CASE(device_unbound_destroys),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_mark_suite = {
	.name = "arena_mark",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_mark_cases,
};

kunit_test_suite(arena_mark_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: marks and lifetimes");
MODULE_LICENSE("GPL");
