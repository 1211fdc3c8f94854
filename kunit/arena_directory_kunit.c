// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the slab directory. Its size depends on the number of committed slabs, and not on the
 * capacity. It grows in any context that may allocate memory, and several CPUs can make it grow at
 * the same time (clause 25).
 */
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

#define HANDS		4
#define ROUNDS		50
/*
 * The directory entries of so many slabs fill the array of entries in struct arena, one leaf of the
 * directory, and a part of a second leaf.
 */
#define MANY		(ARENA_DIR_EMBEDDED + PAGE_SIZE / sizeof(struct arena_slab) + 100)
/* The largest capacity that the cursor can hold, in whole pages: a terabyte less a page. */
#define VAST		((size_t)-1 >> (BITS_PER_LONG - ARENA_CURSOR_BITS) & PAGE_MASK)

static struct arena *create(struct kunit *test, size_t capacity, unsigned int flags)
{
	return arena_test_create(test, min(capacity, arena_capacity_max()), PAGE_SIZE, flags);
}

static void destroy(struct kunit *test, struct arena *arena)
{
	kunit_release_action(test, arena_test_destroy, arena);
}

/* Allocate an object that fills a slab. */
static u8 *alloc_slab(struct arena *arena, gfp_t gfp)
{
	return arena_alloc_aligned(arena, PAGE_SIZE, PAGE_SIZE, gfp);
}

/* Clause 25: how many pages the directory takes depends only on the number of committed slabs. */
static void directory_growth_costs_what_is_committed(struct kunit *test)
{
	const size_t leaf = PAGE_SIZE / sizeof(struct arena_slab);
	struct {
		size_t	slabs;
		long	nodes;
	} steps[] = {
		{ 0, 0 }, { 1, 0 }, { ARENA_DIR_EMBEDDED, 0 }, { ARENA_DIR_EMBEDDED + 1, 1 },
		/* With the second leaf, the directory gets a root above both leaves. */
		{ leaf, 1 }, { leaf + 1, 3 }, { 2 * leaf, 3 }, { 2 * leaf + 1, 4 },
	};
	long before = arena_total_now();
	struct arena *arena = create(test, VAST, 0);
	size_t slabs = 0;
	int i;

	if (!IS_BUILTIN(CONFIG_ARENA_KUNIT_TEST))
		kunit_skip(test, "the total is not exported to modules");
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		for (; slabs < steps[i].slabs; slabs++)
			KUNIT_ASSERT_NOT_NULL(test, alloc_slab(arena, GFP_KERNEL));
		KUNIT_EXPECT_EQ_MSG(test, arena_total_now() - before,
				    (long)slabs + steps[i].nodes, "%zu slabs", slabs);
	}
	arena_expect_sane(test, arena);
	destroy(test, arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

/* Clause 25: the fixed memory of an arena is at most 1 KiB. */
static void create_struct_within_1k(struct kunit *test)
{
	const size_t leaves = DIV_ROUND_UP(nr_cpu_ids, ARENA_LEAF_CPUS);

	if (IS_ENABLED(CONFIG_DEBUG_LOCK_ALLOC) || IS_ENABLED(CONFIG_DEBUG_OBJECTS_WORK))
		kunit_skip(test, "locks and work items are larger where they are debugged");
	KUNIT_EXPECT_LE(test, struct_size_t(struct arena, root, 1 + leaves), SZ_1K);
}

/* Clauses 9, 25: a reset can release all slabs; destruction also frees the directory. */
static void release_many_slabs_all_returned(struct kunit *test)
{
	const unsigned int flags[] = { 0, ARENA_READERS, ARENA_SPANS };
	long before = arena_total_now(), kept = 0;
	unsigned int i, n, round;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct arena *arena = create(test, VAST, flags[i]);

		for (round = 0; round < 3; round++) {
			KUNIT_ASSERT_EQ(test, 0,
					arena_populate(arena, MANY * PAGE_SIZE, GFP_KERNEL));
			for (n = 0; n < MANY; n++)
				KUNIT_ASSERT_NOT_NULL(test, alloc_slab(arena, ARENA_NOGROW));
			arena_reset_release(arena, 3 * PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 3);
			arena_reset_release(arena, 0);
			KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 0);
			/* The arena keeps the nodes of the directory for its next growth. */
			if (!round)
				kept = arena_total_now();
			KUNIT_EXPECT_EQ(test, arena_total_now(), kept);
			KUNIT_EXPECT_NULL(test, arena_alloc(arena, 1, ARENA_NOGROW));
		}
		KUNIT_EXPECT_LE(test, kept - before, 2 * 3);
		destroy(test, arena);
	}
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

/* Clause 9: arena_reset_zero() zeroes the slabs of all leaves of the directory. */
static void reset_zero_many_slabs_wiped(struct kunit *test)
{
	struct arena *arena = create(test, VAST, 0);
	unsigned int n;
	u8 *ptr;

	for (n = 0; n < MANY; n++) {
		ptr = alloc_slab(arena, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 0x5a, PAGE_SIZE);
	}
	arena_reset_zero(arena);
	for (n = 0; n < MANY; n++) {
		ptr = alloc_slab(arena, ARENA_NOGROW);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, PAGE_SIZE));
	}
}

struct irq_growth {
	struct arena		*arena;
	struct arena_extent	ext[MANY];
	arena_handle_t		handle[MANY];
	size_t			nr;
};

static void grow_in_irq(void *data)
{
	struct irq_growth *g = data;
	u8 *ptr = alloc_slab(g->arena, GFP_ATOMIC);

	if (!ptr)
		return;
	arena_pattern_fill(ptr, PAGE_SIZE, g->nr);
	g->ext[g->nr] = (struct arena_extent){ ptr, PAGE_SIZE, g->nr };
	g->handle[g->nr] = arena_handle(g->arena, ptr);
	g->nr++;
}

/* Clauses 2, 13, 25: hard interrupts can add leaves and roots to the directory. */
static void directory_growth_in_hardirq_ok(struct kunit *test)
{
	struct irq_growth *g = kvzalloc(sizeof(*g), GFP_KERNEL);
	size_t i, tries, lost = 0;

	KUNIT_ASSERT_NOT_NULL(test, g);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, arena_race_free, g));
	g->arena = create(test, VAST, 0);
	/* Atomic allocations may fail now and then, so try more often than needed. */
	for (tries = 0; g->nr < MANY && tries < 100 * MANY; tries++)
		arena_in_irq(grow_in_irq, g);
	KUNIT_ASSERT_EQ(test, g->nr, MANY);
	for (i = 0; i < MANY; i++)
		lost += arena_deref(g->arena, g->handle[i]) != g->ext[i].ptr;
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(g->arena).slabs, MANY);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(g->ext, MANY));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(g->ext, MANY));
}

static void alloc_many(struct arena_hand *hand)
{
	arena_crew_meet(hand->crew);
	while (hand->nr_ext < MANY) {
		u8 *ptr = alloc_slab(hand->crew->arena, GFP_KERNEL);

		if (!ptr) {
			hand->bad++;
			break;
		}
		hand->ext[hand->nr_ext] = (struct arena_extent){ ptr, PAGE_SIZE, hand->id };
		arena_pattern_fill(ptr, PAGE_SIZE, hand->id);
		hand->nr_ext++;
	}
}

/*
 * Clauses 1, 25: if several threads make the directory grow at the same time, no slab is lost, and
 * no two threads get the same slab.
 */
static void directory_growth_race_no_overlap(struct kunit *test)
{
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, MANY);
	struct arena_extent *all;
	unsigned int round, i;
	size_t nr;

	for (round = 0; round < ROUNDS / 10; round++) {
		struct arena *arena = create(test, VAST, 0);

		for (i = 0; i < HANDS; i++)
			arena_hand_forget(&crew->hand[i]);
		crew->arena = arena;
		arena_crew_go(crew, alloc_many, ARENA_CREW_TIMEOUT * MSEC_PER_SEC);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		all = arena_crew_extents(crew, NULL, 0, &nr);
		KUNIT_ASSERT_NOT_NULL(test, all);
		KUNIT_EXPECT_EQ(test, nr, HANDS * MANY);
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(all, nr));
		KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(all, nr));
		kvfree(all);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, nr);
		arena_expect_sane(test, arena);
		destroy(test, arena);
	}
}

#ifdef MODULE
static void directory_levels_race_none_lost(struct kunit *test)
{
	kunit_skip(test, "no exported function installs slabs far apart");
}
#else
/*
 * Each row holds the indices of slabs that all threads install, one slab after the other. The first
 * row makes the directory grow level by level, the second by all levels at once. The other rows put
 * pairs of slabs into the same leaf.
 */
static const size_t far_apart[][6] = {
	{ 5, 6, 300, 70000, 200000, 70000000 },
	{ 70000000, 200000, 70000, 300, 6, 5 },
	{ 70000000, 70000001, 200000, 200001, 300, 301 },
	{ 300, 301, 600, 601, 4, 7 },
};

static void install_far_apart(struct arena_hand *hand)
{
	const size_t *index = hand->crew->data;
	int i;

	arena_crew_meet(hand->crew);
	for (i = 0; i < ARRAY_SIZE(far_apart[0]); i++)
		hand->bad += arena_slab_install(hand->crew->arena, 0, index[i], GFP_KERNEL) != 0;
}

static size_t pages_found(const struct arena *arena, const size_t *index)
{
	size_t found = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(far_apart[0]); i++)
		found += !!arena_page_address(arena, index[i] << PAGE_SHIFT);
	return found;
}

/*
 * Clause 25: if several threads add the same root, node or leaf of the directory at once, the
 * directory uses that of one thread, and the other threads free theirs.
 */
static void directory_levels_race_none_lost(struct kunit *test)
{
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	const size_t nr = ARRAY_SIZE(far_apart[0]);
	long before = arena_total_now(), nodes[ARRAY_SIZE(far_apart)] = {};
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		unsigned int which = round % ARRAY_SIZE(far_apart);
		struct arena *arena = create(test, VAST, 0);
		long now;

		if (arena_capacity(arena) != VAST)
			kunit_skip(test, "the capacity is limited");
		crew->arena = arena;
		crew->data = (void *)far_apart[which];
		arena_crew_go(crew, install_far_apart, ARENA_CREW_TIMEOUT * MSEC_PER_SEC);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, nr);
		KUNIT_EXPECT_EQ(test, pages_found(arena, far_apart[which]), nr);
		KUNIT_EXPECT_NULL(test, arena_page_address(arena, (size_t)1234567 << PAGE_SHIFT));
		now = arena_total_now() - before;
		/*
		 * Rounds that install the same slabs must charge the same number of pages. The
		 * numbers would differ if a thread that loses a race kept its nodes.
		 */
		if (!nodes[which])
			nodes[which] = now;
		KUNIT_EXPECT_EQ(test, now, nodes[which]);
		arena_reset_release(arena, 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 0);
		KUNIT_EXPECT_EQ(test, pages_found(arena, far_apart[which]), 0);
		destroy(test, arena);
		KUNIT_EXPECT_EQ(test, arena_total_now(), before);
	}
}
#endif

/* Thread 0 repeatedly releases all slabs, and the other threads grow the arena. */
static void grow_among_releases(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;
	unsigned int n;

	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew)) {
		if (!hand->id)
			arena_reset_release(arena, 0);
		else
			for (n = 0; n < 20; n++)
				alloc_slab(arena, GFP_KERNEL);
		cond_resched();
	}
}

/* Clauses 9, 25: if a thread adds a slab during a release, the next release frees that slab. */
static void release_race_growth_all_returned(struct kunit *test)
{
	struct arena *arena = create(test, SZ_4M, 0);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	unsigned int round;

	for (round = 0; round < 10; round++) {
		arena_crew_go(crew, grow_among_releases, 10);
		arena_crew_wait(crew);
		arena_reset_release(arena, 0);
		KUNIT_ASSERT_EQ(test, arena_test_stats(arena).committed, 0);
	}
}

static struct kunit_case arena_directory_cases[] = {
	KUNIT_CASE(directory_growth_costs_what_is_committed),
	KUNIT_CASE(create_struct_within_1k),
	KUNIT_CASE(release_many_slabs_all_returned),
	KUNIT_CASE(reset_zero_many_slabs_wiped),
	KUNIT_CASE(directory_growth_in_hardirq_ok),
	KUNIT_CASE(directory_growth_race_no_overlap),
	KUNIT_CASE(directory_levels_race_none_lost),
	KUNIT_CASE(release_race_growth_all_returned),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_directory_suite = {
	.name = "arena_directory",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_directory_cases,
};

kunit_test_suite(arena_directory_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: the slab directory");
MODULE_LICENSE("GPL");
