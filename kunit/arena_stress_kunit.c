// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of threads that allocate from one arena at the same time, until it is full. The cases reset
 * the arena only while no thread allocates, so each object must keep what its owner wrote.
 */
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_test.h"

static unsigned int runtime_ms = 300;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case");

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/*
 * More threads than CPUs, so that the scheduler preempts threads at every place in the allocator.
 */
#define HANDS		8

static unsigned long deadline(void)
{
	return jiffies + msecs_to_jiffies(runtime_ms);
}

/*
 * The least number of rounds of a case, however slow the machine is. Each round resets the arena in
 * the next of the four ways of arena_test_reset(), so five rounds use all of them.
 */
#define MIN_ROUNDS	5

static void fill_mixed(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	unsigned int failed = 0;

	arena_crew_meet(crew);
	while (failed < 4 && hand->nr_ext < crew->max_ext) {
		const size_t size = arena_rnd_size(&hand->rnd);
		const size_t align = BIT(arena_rnd_below(&hand->rnd, 7));
		const bool zero = arena_rnd_below(&hand->rnd, 4) == 0;
		const u32 owner = arena_rnd(&hand->rnd);
		void *ptr = arena_alloc_aligned(crew->arena, size, align,
						GFP_KERNEL | (zero ? __GFP_ZERO : 0));

		if (!ptr) {
			failed++;
			continue;
		}
		if (!IS_ALIGNED((unsigned long)ptr, align) ||
		    (zero && !arena_is_zero(ptr, size)))
			hand->bad++;
		arena_pattern_fill(ptr, size, owner);
		hand->ext[hand->nr_ext++] = (struct arena_extent){ ptr, size, owner };
		hand->bytes += size;
		hand->allocs++;
	}
}

static void verify(struct arena_hand *hand)
{
	hand->bad += arena_extents_spoiled(hand->ext, hand->nr_ext);
}

/*
 * Clauses 1, 6, 7: threads fill the arena with objects of mixed sizes. The bytes of no object
 * change, no two objects overlap, and the arena counts the bytes exactly. Between the rounds,
 * resets of all kinds release slabs, so that in each round several threads commit slabs at the same
 * time.
 */
static void alloc_race_mixed_no_overlap(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_1M, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 2048);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	do {
		const struct arena_stats was = arena_test_stats(arena);
		struct arena_extent *all;
		struct arena_stats s;
		size_t nr;

		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, fill_mixed, 0);
		arena_crew_wait(crew);
		arena_crew_go(crew, verify, 0);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);

		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, arena_crew_bytes(crew));
		KUNIT_EXPECT_EQ(test, s.allocs - was.allocs, arena_crew_allocs(crew));
		KUNIT_EXPECT_GE(test, s.used, SZ_1M / 2);
		KUNIT_EXPECT_LE(test, s.committed, SZ_1M);
		arena_expect_sane(test, arena);

		all = arena_crew_extents(crew, NULL, 0, &nr);
		KUNIT_ASSERT_NOT_NULL(test, all);
		i = arena_extents_overlap(all, nr);
		kvfree(all);
		KUNIT_ASSERT_EQ_MSG(test, i, 0, "round %u", round);
		arena_test_reset(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/*
 * Threads allocate exactly as many objects as the arena has room for
 */
struct exact {
	size_t		size;
	gfp_t		gfp;
	unsigned int	flags;
};

static const struct exact exacts[] = {
	{ 8,			GFP_KERNEL },
	{ 24,			GFP_KERNEL },
	{ 64,			GFP_KERNEL },
	{ 1000,			GFP_KERNEL },
	{ SLAB / 2 + 8,		GFP_KERNEL },
	{ SLAB,			GFP_KERNEL },
	{ 2 * SLAB,		GFP_KERNEL },
	{ 8,			ARENA_NOGROW },
	{ 1000,			ARENA_NOGROW },
	{ 8,			GFP_KERNEL,	ARENA_SPANS },
	{ SLAB,			GFP_KERNEL,	ARENA_SPANS },
	{ 24,			GFP_KERNEL,	ARENA_SPANS },
	{ 64,			GFP_KERNEL,	ARENA_SPANS },
	{ 1000,			GFP_KERNEL,	ARENA_SPANS },
	{ SLAB / 2 + 8,		GFP_KERNEL,	ARENA_SPANS },
};

static void exact_desc(const struct exact *exact, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, size %zu%s",
		 exact->flags & ARENA_SPANS ? "spans" : "dense", exact->size,
		 exact->gfp ? "" : ", populated");
}

KUNIT_ARRAY_PARAM(exact, exacts, exact_desc);

static void alloc_until_null(struct arena_hand *hand)
{
	const struct exact *exact = hand->crew->data;

	arena_crew_meet(hand->crew);
	while (arena_alloc(hand->crew->arena, exact->size, exact->gfp))
		hand->allocs++;
}

/*
 * Clause 16: if there is room for N objects, N racing allocations succeed and the next one fails.
 * The room follows from the sizes: an object lies within one slab, and an object of several slabs
 * begins where a slab begins.
 */
static void alloc_race_until_full_exact(struct kunit *test)
{
	const struct exact *exact = test->param_value;
	const size_t slabs = 8, per_slab = SLAB / exact->size;
	const size_t room = per_slab ? slabs * per_slab : slabs / (exact->size / SLAB);
	struct arena *arena = arena_test_create(test, slabs * SLAB, SLAB, exact->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	crew->data = (void *)exact;
	do {
		struct arena_stats was, s;
		size_t got;

		if (!exact->gfp)
			KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, slabs * SLAB, GFP_KERNEL));
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		was = arena_test_stats(arena);
		arena_crew_go(crew, alloc_until_null, 0);
		arena_crew_wait(crew);
		got = arena_crew_allocs(crew);
		KUNIT_ASSERT_EQ_MSG(test, got, room, "round %u", round);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, exact->size, exact->gfp));
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, got * exact->size);
		KUNIT_EXPECT_EQ(test, s.fail_space - was.fail_space, HANDS + 1);
		KUNIT_EXPECT_EQ(test, s.fail_memory, was.fail_memory);
		KUNIT_EXPECT_EQ(test, s.allocs - was.allocs, got);
		arena_expect_sane(test, arena);
		arena_test_reset(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/* Each thread allocates a fixed share and no more, so no thread takes the share of another. */
static void alloc_share(struct arena_hand *hand)
{
	const struct exact *exact = hand->crew->data;

	arena_crew_meet(hand->crew);
	for (; hand->allocs < hand->max; hand->allocs++)
		if (!arena_alloc(hand->crew->arena, exact->size, exact->gfp))
			break;
	hand->bad += hand->allocs < hand->max;
}

/* Clause 16: if the shares of all threads add up to the room, each thread gets its whole share. */
static void alloc_race_shares_all_served(struct kunit *test)
{
	const struct exact *exact = test->param_value;
	const size_t slabs = 8, per_slab = SLAB / exact->size;
	const size_t room = per_slab ? slabs * per_slab : slabs / (exact->size / SLAB);
	struct arena *arena = arena_test_create(test, slabs * SLAB, SLAB, exact->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 3, 0);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	crew->data = (void *)exact;
	do {
		size_t left = room;

		KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, slabs * SLAB, GFP_KERNEL));
		/*
		 * Allocate all but some 50 objects here, so that the threads race for the last
		 * ones.
		 */
		while (left > 40 + round % 16 && arena_alloc(arena, exact->size, exact->gfp))
			left--;
		for (i = 0; i < crew->nr; i++) {
			arena_hand_forget(&crew->hand[i]);
			crew->hand[i].max = left / crew->nr + (i < left % crew->nr);
		}
		arena_crew_go(crew, alloc_share, 0);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, exact->size, exact->gfp));
		KUNIT_EXPECT_EQ(test, arena_offset(arena), room * exact->size);
		arena_expect_sane(test, arena);
		arena_test_reset(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/* Threads with odd numbers ask for more than is free, the others for objects that fit. */
static void succeed_or_fail(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena *arena = crew->arena;

	arena_crew_meet(crew);
	if (hand->id % 2) {
		while (arena_crew_on(crew)) {
			hand->bad += !!arena_alloc(arena, arena_capacity(arena), GFP_KERNEL);
			hand->nr_ext++;
		}
		return;
	}
	while (arena_alloc(arena, 64, GFP_KERNEL))
		hand->allocs++;
	WRITE_ONCE(crew->stop, true);
}

/*
 * Clause 4: allocations that fail do not disturb others, not even for a moment: each object that
 * fits is allocated while other threads ask for objects that do not fit.
 */
static void alloc_race_with_failures_others_served(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const size_t capacity = SZ_256K;
	struct arena *arena = arena_test_create(test, capacity, capacity, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	const unsigned long until = deadline();
	unsigned long patience = 0;
	unsigned int round = 0, i;
	size_t failed = 0;

	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		/*
		 * With this object in the arena, an object as large as the capacity does not fit
		 * any more.
		 */
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		arena_crew_go(crew, succeed_or_fail, ARENA_CREW_TIMEOUT / 2 * MSEC_PER_SEC);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);
		KUNIT_ASSERT_EQ(test, arena_crew_allocs(crew), capacity / 64 - 1);
		for (i = 1; i < crew->nr; i += 2)
			failed += crew->hand[i].nr_ext;
		arena_expect_sane(test, arena);
		arena_test_reset(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS ||
		 (failed <= 10 && arena_patient(&patience)));
	KUNIT_EXPECT_GT(test, failed, 10);
}

/*
 * Threads with odd numbers populate the arena slab by slab. The others allocate with ARENA_NOGROW,
 * so they get only memory that is committed already.
 */
static void populate_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	const size_t capacity = arena_capacity(crew->arena);
	size_t bytes;

	arena_crew_meet(crew);
	if (hand->id % 2) {
		for (bytes = SLAB; bytes <= capacity; bytes += SLAB)
			hand->bad += !!arena_populate(crew->arena, bytes, GFP_KERNEL);
		return;
	}
	while (arena_crew_on(crew) && arena_offset(crew->arena) < capacity)
		if (arena_alloc_aligned(crew->arena, 512, 512, ARENA_NOGROW))
			hand->allocs++;
}

/*
 * Clause 2: all threads can use the memory that one thread has committed. Together they commit no
 * more than the capacity.
 */
static void populate_race_alloc_all_served(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, 0);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	const unsigned long until = deadline();
	unsigned int i, rounds = 0;

	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, populate_job, 10000);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		KUNIT_ASSERT_EQ(test, arena_crew_allocs(crew), 16 * SLAB / 512);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 16 * SLAB);
		arena_expect_sane(test, arena);
		arena_reset_release(arena, 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
		rounds++;
	} while (time_before(jiffies, until) || rounds < MIN_ROUNDS);
}

static struct kunit_case arena_stress_cases[] = {
	KUNIT_CASE_PARAM(alloc_race_mixed_no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_race_until_full_exact, exact_gen_params),
	KUNIT_CASE_PARAM(alloc_race_shares_all_served, exact_gen_params),
	KUNIT_CASE_PARAM(alloc_race_with_failures_others_served, arena_kind_gen_params),
	KUNIT_CASE(populate_race_alloc_all_served),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_stress_suite = {
	.name = "arena_stress",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_stress_cases,
};

kunit_test_suite(arena_stress_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: threads that allocate at once");
MODULE_LICENSE("GPL");
