// SPDX-License-Identifier: GPL-2.0
/*
 * Marks in shared arenas, and the lifetimes of arenas: go back to where the
 * cursor stood, if that is sound, and tell when it is not.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define SLAB		((size_t)4 * PAGE_SIZE)
#define CAPACITY	(16 * SLAB)
/* How deep marks nest, and how many rewinds a handle outlives, as documented. */
#define DEPTH		32
#define REWINDS		60

static const struct arena_kind kinds[] = {
	{ "dense",		0 },
	{ "dense, zero",	ARENA_ZERO },
	{ "dense, readers",	ARENA_READERS },
};

KUNIT_ARRAY_PARAM(kind, kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, CAPACITY, SLAB, kind->flags);
}

static void expect_refused(struct kunit *test, struct arena *arena, const struct arena_mark *mark,
			   int err, const char *what)
{
	const struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_EQ_MSG(test, arena_rewind(arena, mark), err, "%s", what);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "%s", what);
}

/* Clause 12: not with spans, and not without a mark. */
static void unsupported(struct kunit *test)
{
	struct arena *spans = arena_test_create(test, CAPACITY, SLAB, ARENA_SPANS);
	struct arena *dense = arena_test_create(test, CAPACITY, SLAB, 0);
	struct arena *other = arena_test_create(test, CAPACITY, SLAB, 0);
	struct arena_mark mark = { }, never;

	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(spans, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_mark(spans, &mark), -EOPNOTSUPP);
	expect_refused(test, spans, &mark, -EOPNOTSUPP, "spans");
	arena_unmark(spans, &mark);

	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(dense, 100, GFP_KERNEL));
	memset(&never, 0, sizeof(never));
	expect_refused(test, dense, &never, -ESTALE, "never marked");
	memset(&never, 0xff, sizeof(never));
	expect_refused(test, dense, &never, -ESTALE, "made up");
	arena_unmark(dense, &never);
	KUNIT_ASSERT_EQ(test, arena_mark(dense, &mark), 0);
	memset(&never, 0, sizeof(never));
	expect_refused(test, dense, &never, -ESTALE, "another one is open");
	arena_unmark(dense, &mark);
	expect_refused(test, dense, &mark, -ESTALE, "ended");

	/* Another arena's mark. */
	KUNIT_ASSERT_EQ(test, arena_mark(other, &mark), 0);
	expect_refused(test, dense, &mark, -ESTALE, "of another arena");
}

/* Clauses 7, 8, 12: everything is as it was, but for what only counts upwards. */
static void rewinds(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8, 100, 4096, SLAB, 2 * SLAB + 5, 3 };
	struct arena *arena = usual(test);
	struct arena_mark mark;
	unsigned int round, i;
	void *first = NULL, *ptr;
	u8 *below;

	below = arena_alloc(arena, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, below);
	arena_pattern_fill(below, 100, 1);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	for (round = 0; round < 10; round++) {
		const struct arena_stats was = arena_test_stats(arena);
		struct arena_stats s;

		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			ptr = arena_zalloc(arena, sizes[i], GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, ptr);
			/* Clause 6: whatever was there before. */
			KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, sizes[i]));
			memset(ptr, 0xff, sizes[i]);
			if (!i && first)
				KUNIT_EXPECT_PTR_EQ(test, ptr, first);
			if (!i)
				first = ptr;
		}
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, was.used);
		KUNIT_EXPECT_EQ(test, s.high, was.high);
		KUNIT_EXPECT_EQ(test, s.padding, was.padding);
		KUNIT_EXPECT_EQ(test, s.free, was.free);
		KUNIT_EXPECT_EQ(test, s.generation, was.generation);
		KUNIT_EXPECT_EQ(test, s.resets, was.resets);
		KUNIT_EXPECT_EQ(test, s.allocs, was.allocs + ARRAY_SIZE(sizes));
		arena_expect_sane(test, arena);
		/* Nothing since: once more does no harm. */
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 100);
	}
	KUNIT_EXPECT_EQ(test, arena_pattern_check(below, 100, 1), 100);
	arena_unmark(arena, &mark);
	expect_refused(test, arena, &mark, -ESTALE, "ended");
}

/* Clauses 8, 9: what was used above a mark was used, rewound or not. */
static void peak_and_dirt(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	struct arena_mark mark;
	size_t bad = 0, n;
	void *ptr;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	for (n = 0; n < 8; n++) {
		ptr = arena_alloc(arena, SLAB, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 0xff, SLAB);
	}
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, 8 * SLAB);
	arena_reset_zero(arena);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, 8 * SLAB);
	for (n = 0; n < 8; n++) {
		ptr = arena_alloc(arena, SLAB, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		bad += !arena_is_zero(ptr, SLAB);
	}
	KUNIT_EXPECT_EQ_MSG(test, bad, 0, "slabs not wiped, flags %x", kind->flags);
}

/* Clause 8: objects larger than a slab leave nothing behind that adds up. */
static void large_views(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct llist_node *node;
	unsigned int round, views = 0;
	struct arena_mark mark;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	for (round = 0; round < 60; round++) {
		u8 *ptr = arena_alloc(arena, 2 * SLAB, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		arena_pattern_fill(ptr, 2 * SLAB, round);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, 2 * SLAB, round), 2 * SLAB);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	}
	/* Unmapping may be left to a worker. */
	flush_work(&arena->reaper);
	llist_for_each(node, READ_ONCE(arena->larges.first))
		views++;
	KUNIT_EXPECT_LE(test, views, 20);
}

/* Clause 12: marks nest, to a documented depth; an outer rewind ends the inner ones. */
static void nested(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_mark *mark = kunit_kcalloc(test, DEPTH + 1, sizeof(*mark), GFP_KERNEL);
	struct arena_stats was;
	unsigned int i, to;

	KUNIT_ASSERT_NOT_NULL(test, mark);
	for (i = 0; i < DEPTH; i++) {
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[i]), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &mark[DEPTH]), -EBUSY);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "too deep");
	expect_refused(test, arena, &mark[DEPTH], -ESTALE, "too deep");

	for (to = DEPTH; to-- > 0;) {
		if (to % 3 == 1)
			continue;
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[to]), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 8 * to);
		KUNIT_EXPECT_EQ(test, arena_high(arena), 8 * to);
		for (i = to + 1; i < DEPTH; i++)
			expect_refused(test, arena, &mark[i], -ESTALE, "inside");
		/* Something at the place of those that have ended. */
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		for (i = to + 1; i < DEPTH; i++)
			expect_refused(test, arena, &mark[i], -ESTALE, "inside");
	}
	/* Ending the outermost ends all. */
	for (i = 1; i < 5; i++)
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[i]), 0);
	arena_unmark(arena, &mark[0]);
	for (i = 0; i < 5; i++)
		expect_refused(test, arena, &mark[i], -ESTALE, "all ended");
	/* An inner one alone: what it was for stays, and belongs to the outer one. */
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[0]), 0);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[1]), 0);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	arena_unmark(arena, &mark[1]);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 8);
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[0]), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
}

/* Clause 12: -ESTALE after a reset of any kind, even at the very same offset. */
static void stale_after_reset(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	struct arena_mark mark, again;
	unsigned int way;

	for (way = 0; way < 5; way++) {
		if (way == 4 && !(kind->flags & ARENA_READERS))
			break;
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 40, GFP_KERNEL));
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 40, GFP_KERNEL));
		switch (way) {
		case 0:
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
			break;
		case 1:
			arena_reset_release(arena, 0);
			break;
		case 2:
			arena_reset_release(arena, SIZE_MAX);
			break;
		case 3:
			arena_reset_zero(arena);
			break;
		default:
			KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		}
		expect_refused(test, arena, &mark, -ESTALE, "reset since");
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 80, GFP_KERNEL));
		expect_refused(test, arena, &mark, -ESTALE, "reset since");
		/* It is not in the way of new ones. */
		KUNIT_EXPECT_EQ(test, arena_mark(arena, &again), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 40, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &again), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 80);
		expect_refused(test, arena, &mark, -ESTALE, "reset since");
		arena_unmark(arena, &again);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Others
 */
struct other {
	struct arena		*arena;
	struct arena_mark	mark;
	int			err;
};

static void other_allocs(struct arena_hand *hand)
{
	struct other *other = hand->crew->data;

	hand->bad += !arena_alloc(other->arena, 8, GFP_KERNEL);
}

static void other_marks(struct arena_hand *hand)
{
	struct other *other = hand->crew->data;

	other->err = arena_mark(other->arena, &other->mark);
	arena_unmark(other->arena, &other->mark);
}

/* Tries to rewind what another task has marked. */
static void other_rewinds(struct arena_hand *hand)
{
	struct other *other = hand->crew->data;

	other->err = arena_rewind(other->arena, &other->mark);
	arena_unmark(other->arena, &other->mark);
}

static void irq_allocs(void *data)
{
	struct other *other = data;

	other->err = !arena_alloc(other->arena, 8, ARENA_NOGROW);
}

/* Clause 12: -EBUSY if others allocated since, and whatever they have stays. */
static void others_allocate(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	struct arena_mark outer, inner;
	struct other other = { .arena = arena };

	crew->data = &other;
	KUNIT_ASSERT_EQ(test, arena_populate(arena, SLAB, GFP_KERNEL), 0);
	/* Before the mark is no matter. */
	arena_crew_go(crew, other_allocs, 0);
	arena_crew_wait(crew);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &outer), 0);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &outer), 0);

	/* Between, at the end, in the middle. */
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &inner), 0);
	arena_crew_go(crew, other_allocs, 0);
	arena_crew_wait(crew);
	expect_refused(test, arena, &inner, -EBUSY, "others at the end");
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
	expect_refused(test, arena, &inner, -EBUSY, "others in the middle");
	expect_refused(test, arena, &outer, -EBUSY, "others in the middle");
	arena_unmark(arena, &outer);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);

	/* An interrupt of this very task is somebody else too. */
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &outer), 0);
	arena_in_irq(irq_allocs, &other);
	KUNIT_EXPECT_EQ(test, other.err, 0);
	expect_refused(test, arena, &outer, -EBUSY, "an interrupt");
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	expect_refused(test, arena, &outer, -EBUSY, "an interrupt");
	arena_unmark(arena, &outer);

	/* One task at a time. */
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &outer), 0);
	arena_crew_go(crew, other_marks, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, other.err, -EBUSY);
	other.mark = outer;
	arena_crew_go(crew, other_rewinds, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, other.err, -ESTALE);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &outer), 0);
	arena_unmark(arena, &outer);
	arena_crew_go(crew, other_marks, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, other.err, 0);
}

/* Two objects in scopes, one in the other; the offset inside of both. */
static size_t in_scopes(struct kunit *test, struct arena *arena)
{
	CLASS(arena_scope, outer)(arena);

	KUNIT_EXPECT_EQ(test, outer.err, 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	{
		const size_t before = arena_offset(arena);

		{
			arena_scope(arena);
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
		}
		KUNIT_EXPECT_EQ(test, arena_offset(arena), before);
	}
	arena_scope(arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 2 * SLAB, GFP_KERNEL));
	/* Left from within, by return. */
	return arena_offset(arena);
}

/* Clause 12: a block frees what was allocated in it, if that is sound. */
static void scopes(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	struct arena *spans = arena_test_create(test, CAPACITY, SLAB, ARENA_SPANS);
	struct other other = { .arena = arena };
	struct arena_mark mark;
	u8 *kept;

	crew->data = &other;
	kept = arena_alloc(arena, 40, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kept);
	arena_pattern_fill(kept, 40, 1);
	KUNIT_EXPECT_EQ(test, in_scopes(test, arena), 40 + 100 + 2 * SLAB);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 40);

	/* Others allocated meanwhile: then nothing is freed, and the mark has ended. */
	{
		arena_scope(arena);
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
		arena_crew_go(crew, other_allocs, 0);
		arena_crew_wait(crew);
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 40 + 100 + 8);
	arena_crew_go(crew, other_marks, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, other.err, 0);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(kept, 40, 1), 40);

	/* A reset meanwhile: what came after it is no business of the scope. */
	{
		arena_scope(arena);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 64);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &mark), 0);
	arena_unmark(arena, &mark);

	/* Where there are no marks, there is no scope. */
	{
		CLASS(arena_scope, scope)(spans);

		KUNIT_EXPECT_EQ(test, scope.err, -EOPNOTSUPP);
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(spans, 64, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, arena_offset(spans), 64);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
}

/*
 * Clauses 12, 13: handles above the mark are stale for ever, with the place in use
 * again or not; those below outlive as many rewinds as documented.
 */
static void handles(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t below, above[REWINDS], h;
	struct arena_mark mark;
	unsigned int i, n, alive = 0;
	void *low, *ptr;
	int bit;

	low = arena_alloc_handle(arena, 64, GFP_KERNEL, &below);
	KUNIT_ASSERT_NOT_NULL(test, low);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	for (n = 0; n < REWINDS; n++) {
		ptr = arena_alloc_handle(arena, 64, GFP_KERNEL, &above[n]);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, above[n]), ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, ptr)), ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, below), low);
		for (i = 0; i < n; i++)
			alive += !!arena_deref(arena, above[i]);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		for (i = 0; i <= n; i++)
			alive += !!arena_deref(arena, above[i]);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, below), low);
	}
	KUNIT_EXPECT_EQ(test, alive, 0);

	/* A handle of a rewind that has not been yet, or never will be. */
	ptr = arena_alloc_handle(arena, 64, GFP_KERNEL, &h);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	for (bit = 40; bit < 64; bit++) {
		arena_handle_t forged = { h.generation, h.offset + BIT_ULL(bit) };

		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, forged), "bit %d", bit);
	}
	/* Many more: none comes back to life. */
	for (n = 0, alive = 0; n < 500; n++) {
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB, GFP_KERNEL));
		for (i = 0; i < REWINDS; i++)
			alive += !!arena_deref(arena, above[i]);
		ptr = arena_deref(arena, below);
		KUNIT_EXPECT_TRUE(test, !ptr || ptr == low);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, low)), low);
	}
	KUNIT_EXPECT_EQ(test, alive, 0);
	arena_unmark(arena, &mark);
}

/*
 * Clauses 7, 12: what was lost to alignment and at the ends of slabs comes back with
 * what it was lost for, at every mark.
 */
static void padding(struct kunit *test)
{
	static const size_t aligns[] = { 8, 64, 256, 4096, 16, 1024 };
	const unsigned int nr = ARRAY_SIZE(aligns);
	struct arena *arena = usual(test);
	struct arena_stats *was = kunit_kcalloc(test, nr, sizeof(*was), GFP_KERNEL), now;
	struct arena_mark mark[ARRAY_SIZE(aligns)];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, was);
	/* Some before all marks, and then more at each. */
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 3, GFP_KERNEL));
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc_aligned(arena, 5, 512, GFP_KERNEL));
	KUNIT_EXPECT_GT(test, arena_test_stats(arena).padding, 0);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[i]), 0);
		was[i] = arena_test_stats(arena);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc_aligned(arena, 7, aligns[i], GFP_KERNEL));
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB - 100, GFP_KERNEL));
		KUNIT_EXPECT_GT(test, arena_test_stats(arena).padding, was[i].padding);
		arena_expect_sane(test, arena);
	}
	while (i-- > 0) {
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark[i]), 0);
		now = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, now.used, was[i].used);
		KUNIT_EXPECT_EQ(test, now.padding, was[i].padding);
		KUNIT_EXPECT_EQ(test, now.free, was[i].free);
		KUNIT_EXPECT_EQ(test, now.used + now.padding + now.free, now.capacity);
		KUNIT_EXPECT_EQ(test, now.used, 3 + 5 + i * (7 + SLAB - 100));
		arena_expect_sane(test, arena);
	}
}

/*
 * Owners that come and go
 */
static void other_opens(struct arena_hand *hand)
{
	struct other *other = hand->crew->data;

	other->err = arena_mark(other->arena, &other->mark);
}

/* Clause 12: after a reset anybody may mark; who had marks before it is somebody else. */
static void taken_over(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	struct other other = { .arena = arena };
	struct arena_mark mark;

	crew->data = &other;
	arena_crew_go(crew, other_opens, 0);
	arena_crew_wait(crew);
	KUNIT_ASSERT_EQ(test, other.err, 0);
	arena_crew_go(crew, other_allocs, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, arena_mark(arena, &mark), -EBUSY);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);

	arena_crew_go(crew, other_rewinds, 0);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, other.err, -ESTALE);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	arena_crew_go(crew, other_allocs, 0);
	arena_crew_wait(crew);
	expect_refused(test, arena, &mark, -EBUSY, "who had the marks before");
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
}

struct mortal {
	struct other		*other;
	int			(*deed)(struct other *other);
	struct completion	done;
};

static int mortal_thread(void *data)
{
	struct mortal *mortal = data;

	mortal->other->err = mortal->deed(mortal->other);
	complete(&mortal->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* A thread that does this and dies. */
static void live_for(struct kunit *test, int (*deed)(struct other *other), struct other *other)
{
	struct mortal mortal = { .other = other, .deed = deed };
	struct task_struct *task;

	init_completion(&mortal.done);
	task = kthread_run(mortal_thread, &mortal, "arena_mortal");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&mortal.done);
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
}

static int mark_and_alloc(struct other *other)
{
	return arena_mark(other->arena, &other->mark) ?:
	       arena_alloc(other->arena, 16, GFP_KERNEL) ? 0 : -ENOMEM;
}

static int try_to_rewind(struct other *other)
{
	return arena_rewind(other->arena, &other->mark);
}

/*
 * Clause 12: the marks of the dead are nobody's. No thread inherits them, though it may
 * well get the memory of the dead one's task_struct; and they are in nobody's way.
 */
static void of_the_dead(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	struct other dead = { .arena = arena }, heir;
	unsigned long patience = 0;
	struct arena_mark mark;
	unsigned int i;
	int err;

	live_for(test, mark_and_alloc, &dead);
	for (i = 0; i < 20; i++) {
		heir = dead;
		live_for(test, try_to_rewind, &heir);
		KUNIT_EXPECT_EQ(test, heir.err, -ESTALE);
	}
	expect_refused(test, arena, &dead.mark, -ESTALE, "a dead one's");
	KUNIT_EXPECT_EQ(test, dead.err, 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 16);

	/* kthread_stop() returns a moment before the end. */
	do {
		err = arena_mark(arena, &mark);
	} while (err == -EBUSY && arena_sleep_until(&patience));
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 24, GFP_KERNEL));
	expect_refused(test, arena, &dead.mark, -ESTALE, "a dead one's");
	KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 16);
}

/*
 * Clauses 1, 12: a rewind unmaps large objects after it gave their place back. Others
 * that got the place meanwhile keep what they have, however late that is.
 */
#ifdef MODULE
static void large_beside_rewind(struct kunit *test)
{
	kunit_skip(test, "calls what is not exported to modules");
}
#else
static void other_allocs_large(struct arena_hand *hand)
{
	struct other *other = hand->crew->data;
	u8 *ptr = arena_alloc(other->arena, 2 * SLAB, GFP_KERNEL);

	hand->bad += !ptr;
	if (ptr)
		arena_pattern_fill(ptr, 2 * SLAB, 7);
	hand->ext[0] = (struct arena_extent){ ptr, 2 * SLAB, 7 };
}

static void large_beside_rewind(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 1);
	struct other other = { .arena = arena };
	struct arena_mark mark;
	u64 generation, epoch;
	size_t floor;

	crew->data = &other;
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	floor = arena_high(arena);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 2 * SLAB, GFP_KERNEL));
	KUNIT_ASSERT_NOT_NULL(test, READ_ONCE(arena->larges.first));
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_NULL(test, READ_ONCE(arena->larges.first));

	generation = arena_test_stats(arena).generation;
	epoch = arena_mark_epoch(arena, generation);
	arena_crew_go(crew, other_allocs_large, 0);
	arena_crew_wait(crew);
	KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
	/* The end of that rewind, again. */
	arena_reap_rewound(arena, floor, epoch);
	KUNIT_ASSERT_NOT_NULL_MSG(test, READ_ONCE(arena->larges.first), "unmapped under its user");
	KUNIT_EXPECT_EQ(test, arena_extents_spoiled(crew->hand[0].ext, 1), 0);
	expect_refused(test, arena, &mark, -EBUSY, "a large object of another");
	KUNIT_EXPECT_EQ(test, arena_extents_spoiled(crew->hand[0].ext, 1), 0);
}
#endif

/*
 * A rewind that finds itself sound and then is not
 */
#ifdef MODULE
static void rewind_meets_alloc(struct kunit *test)
{
	kunit_skip(test, "needs to be told of the moment, which modules are not");
}
#else
#define MEETING	50000000

struct duel {
	struct arena_mark	mark;
	arena_handle_t		handle;
	void			*ptr;
	struct completion	there;
	bool			looked;
	bool			go;
	int			err;
};

static void duel_rewinds(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;
	struct duel *duel = hand->crew->data;

	duel->err = set_cpus_allowed_ptr(current, cpumask_of(cpumask_last(cpu_online_mask))) ?:
		    arena_mark(arena, &duel->mark);
	duel->ptr = arena_alloc_handle(arena, 64, GFP_KERNEL, &duel->handle);
	hand->bad += duel->err || !duel->ptr;
	complete(&duel->there);
	if (!duel->err)
		duel->err = arena_rewind(arena, &duel->mark);
	hand->bad += duel->err == -EBUSY && arena_deref(arena, duel->handle) != duel->ptr;
	hand->bad += !duel->err && arena_deref(arena, duel->handle);
	arena_unmark(arena, &duel->mark);
}

static struct duel *duel_held_up;

/* Between the look at the cursor and the exchange. */
static void duel_pause(struct arena *arena)
{
	struct duel *duel = READ_ONCE(duel_held_up);

	if (!duel || duel->mark.arena != arena)
		return;
	WRITE_ONCE(duel->looked, true);
	while (!READ_ONCE(duel->go))
		cpu_relax();
}

static void duel_end(void *unused)
{
	WRITE_ONCE(arena_rewind_pause, NULL);
	WRITE_ONCE(duel_held_up, NULL);
}

/* Whether it came so far in time, and then whether there was room for @size bytes. */
static bool duel_meet(struct arena *arena, struct duel *duel, size_t size)
{
	unsigned int patience = MEETING;
	bool met;

	while (!READ_ONCE(duel->looked) && --patience)
		cpu_relax();
	met = patience && (!size || arena_alloc(arena, size, ARENA_NOGROW));
	WRITE_ONCE(duel->go, true);
	return met;
}

/* Clause 12: refused by whoever allocates at that very moment, who keeps what he has. */
static void rewind_meets_alloc(struct kunit *test)
{
	static const size_t sizes[] = { 0, 8, 100, SLAB };
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	struct duel duel;
	unsigned int i;
	size_t before;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(arena_irq_cpu())), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, duel_end, NULL), 0);
	crew->data = &duel;
	WRITE_ONCE(arena_rewind_pause, duel_pause);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		bool met;

		duel = (struct duel){ };
		init_completion(&duel.there);
		WRITE_ONCE(duel_held_up, &duel);
		before = arena_offset(arena);
		arena_crew_go(crew, duel_rewinds, 0);
		wait_for_completion(&duel.there);
		met = duel_meet(arena, &duel, sizes[i]);
		arena_crew_wait(crew);
		KUNIT_ASSERT_TRUE(test, met);
		KUNIT_EXPECT_EQ_MSG(test, duel.err, sizes[i] ? -EBUSY : 0, "size %zu", sizes[i]);
		KUNIT_EXPECT_EQ(test, arena_offset(arena),
				before + (sizes[i] ? 64 + sizes[i] : 0));
		KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
		arena_expect_sane(test, arena);
	}
}
#endif

/*
 * One that rewinds, others that allocate now and then
 */
struct race {
	unsigned long	rewound;
	unsigned long	refused;
	unsigned long	spoiled;
};

#define BURST	6

static void race_rewinds(struct arena_hand *hand, struct race *race)
{
	struct arena *arena = hand->crew->arena;
	struct arena_extent own[BURST];
	struct arena_mark mark;
	unsigned int n;
	int err;

	if (arena_mark(arena, &mark)) {
		hand->bad++;
		return;
	}
	for (n = 0; n < BURST; n++) {
		void *ptr = arena_alloc(arena, 40, GFP_KERNEL);
		u32 owner = arena_rnd(&hand->rnd);

		if (!ptr)
			break;
		arena_pattern_fill(ptr, 40, owner);
		own[n] = (struct arena_extent){ ptr, 40, owner };
	}
	race->spoiled += arena_extents_spoiled(own, n);
	err = arena_rewind(arena, &mark);
	if (!err) {
		race->rewound++;
	} else if (err == -EBUSY) {
		race->refused++;
		/* Still ours. */
		race->spoiled += arena_extents_spoiled(own, n);
	} else {
		hand->bad++;
	}
	arena_unmark(arena, &mark);
}

static void race_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;

	while (arena_crew_on(crew)) {
		unsigned int spins = arena_rnd_below(&hand->rnd, 20000);
		u32 owner = arena_rnd(&hand->rnd);
		void *ptr;

		if (hand->id == 0) {
			race_rewinds(hand, crew->data);
			continue;
		}
		while (spins--)
			cpu_relax();
		if (hand->nr_ext == crew->max_ext)
			continue;
		ptr = arena_alloc(crew->arena, 40, GFP_KERNEL);
		if (!ptr)
			continue;
		arena_pattern_fill(ptr, 40, owner);
		hand->ext[hand->nr_ext++] = (struct arena_extent){ ptr, 40, owner };
	}
}

/* Clause 12: no rewind ever takes what another one has. */
static void rewinds_beside_others(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_1M, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 2000);
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	unsigned long patience = 0;
	unsigned int i;
	struct arena_extent *all;
	size_t got, overlap;

	KUNIT_ASSERT_NOT_NULL(test, race);
	crew->data = race;
	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		arena_crew_go(crew, race_job, runtime_ms);
		arena_crew_wait(crew);
		all = arena_crew_extents(crew, NULL, 0, &got);
		KUNIT_ASSERT_NOT_NULL(test, all);
		race->spoiled += arena_extents_spoiled(all, got);
		overlap = arena_extents_overlap(all, got);
		kvfree(all);
		KUNIT_ASSERT_EQ(test, overlap, 0);
	} while ((race->rewound < 20 || race->refused < 5) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, race->spoiled, 0);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GE(test, race->rewound, 20);
	KUNIT_EXPECT_GE(test, race->refused, 5);
	arena_expect_sane(test, arena);
}

/*
 * Lifetimes
 */
static void drop_by_scope(struct arena *arena)
{
	struct arena *held __free(arena_put) = arena_get(arena);

	arena_alloc(held, 8, GFP_KERNEL);
}

/* The last put destroys, open marks or not. */
static void references(struct kunit *test)
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
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
	arena_put(NULL);
}

/* Gone with its device. */
static void of_a_device(struct kunit *test)
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

/* The last case: what all the arenas above held is back. */
static void nothing_is_left(struct kunit *test)
{
	arena_expect_nothing_left(test);
}

static int arena_mark_suite_init(struct kunit_suite *suite)
{
	arena_remember_total();
	return 0;
}

static struct kunit_case arena_mark_cases[] = {
	KUNIT_CASE(unsupported),
	KUNIT_CASE_PARAM(rewinds, kind_gen_params),
	KUNIT_CASE_PARAM(peak_and_dirt, kind_gen_params),
	KUNIT_CASE_PARAM(large_views, kind_gen_params),
	KUNIT_CASE_PARAM(nested, kind_gen_params),
	KUNIT_CASE_PARAM(stale_after_reset, kind_gen_params),
	KUNIT_CASE_PARAM(others_allocate, kind_gen_params),
	KUNIT_CASE_PARAM(scopes, kind_gen_params),
	KUNIT_CASE_PARAM(handles, kind_gen_params),
	KUNIT_CASE_PARAM(padding, kind_gen_params),
	KUNIT_CASE_PARAM(taken_over, kind_gen_params),
	KUNIT_CASE(of_the_dead),
	KUNIT_CASE(large_beside_rewind),
	KUNIT_CASE_PARAM(rewind_meets_alloc, kind_gen_params),
	KUNIT_CASE_PARAM(rewinds_beside_others, kind_gen_params),
	KUNIT_CASE(references),
	KUNIT_CASE(of_a_device),
	KUNIT_CASE(nothing_is_left),
	{ }
};

static struct kunit_suite arena_mark_suite = {
	.name = "arena_mark",
	.suite_init = arena_mark_suite_init,
	.test_cases = arena_mark_cases,
};

kunit_test_suite(arena_mark_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: marks and lifetimes");
MODULE_LICENSE("GPL");
