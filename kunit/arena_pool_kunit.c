// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the pool: arenas that are created and destroyed repeatedly take their slabs from the
 * pool, and not from the page allocator; the pool is bounded; memory pressure empties it.
 */
#include <linux/arena_private.h>
#include <linux/mm.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		6

struct size {
	size_t		slab;
	size_t		capacity;
	unsigned int	flags;
};

static const struct size sizes[] = {
	{ PAGE_SIZE,	16 * PAGE_SIZE },
	{ SZ_16K,	SZ_256K },
	{ 0,		SZ_1M },			/* the default slab size */
	{ 0,		SZ_1M,		ARENA_SPANS },
	{ 0,		SZ_1M,		ARENA_ZERO },
	{ 0,		SZ_1M,		ARENA_READERS },
	{ SZ_2M,	SZ_4M },
	{ 0,		SZ_8M },			/* many slabs */
};

static void size_desc(const struct size *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu KiB in slabs of %zu, flags %x",
		 size->capacity >> 10, size->slab >> 10, size->flags);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

#ifdef MODULE
/*
 * The functions of the pool are not exported to modules. A suite that is a module cannot check what
 * the pool contains.
 */
static unsigned long pool_bytes(void)
{
	return 0;
}

static void pool_drain(void)
{
}

static void pool_shrink(void)
{
}

static bool see_the_pool(void)
{
	return false;
}

static void charge_all(void)
{
}

static void pinned_reap(void)
{
}

static const int early_err = 1;
#else
/* Charge as many pages to arena_total as its limit permits, and uncharge them. */
static void charge_all(void)
{
	long pages = 0, step;

	for (step = totalram_pages(); step; step /= 2)
		while (arena_budget_charge(&arena_total, step, GFP_KERNEL))
			pages += step;
	arena_budget_uncharge(&arena_total, pages);
}

static void pinned_reap(void)
{
	arena_pinned_reap();
}

static int early_err;

/* Use arenas before the pool is initialised, as built-in code could do. */
static int __init early(void)
{
	const struct arena_config config = { .name = "early", .capacity = SZ_1M };
	struct arena *arena = arena_create(&config);
	struct arena_private private;

	arena_private_init(&private, NULL, 0);
	if (IS_ERR(arena))
		early_err = PTR_ERR(arena);
	else if (!arena_alloc(arena, SZ_4K, GFP_KERNEL) ||
		 arena_populate(arena, SZ_1M, GFP_KERNEL) ||
		 !arena_private_alloc(&private, 100, GFP_KERNEL))
		early_err = -ENOMEM;
	arena_private_destroy(&private);
	if (!IS_ERR(arena))
		arena_destroy(arena);
	return 0;
}
subsys_initcall(early);

static unsigned long pool_bytes(void)
{
	return arena_pool_pages() << PAGE_SHIFT;
}

static void pool_drain(void)
{
	arena_pool_drain();
}

/* Run all shrinkers, as writing 2 to drop_caches does. */
static void pool_shrink(void)
{
	drop_slab();
}

static bool see_the_pool(void)
{
	return true;
}
#endif

static struct arena *create(struct kunit *test, const struct size *size, unsigned int flags)
{
	return arena_test_create(test, size->capacity, size->slab, size->flags | flags);
}

static void destroy(struct kunit *test, struct arena *arena)
{
	kunit_release_action(test, arena_test_destroy, arena);
}

/* Fill the arena. Returns its number of slabs. */
static size_t use(struct kunit *test, struct arena *arena)
{
	struct arena_stats s = arena_test_stats(arena);
	size_t n;

	for (n = 0; n < s.capacity; n += s.slab_size) {
		u8 *ptr = arena_alloc(arena, s.slab_size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 0x5a, s.slab_size);
	}
	return arena_test_stats(arena).slabs;
}

/*
 * Clause 8: after the first round, creating, filling and destroying an arena takes no slab from the
 * page allocator, and the statistics show it.
 */
static void create_destroy_repeated_no_page_allocs(struct kunit *test)
{
	const struct size *size = test->param_value;
	unsigned long pooled = 0;
	unsigned int round;

	pool_drain();
	for (round = 0; round < 10; round++) {
		struct arena *arena = create(test, size, 0);
		size_t slabs = use(test, arena);
		struct arena_stats s = arena_test_stats(arena);

		KUNIT_EXPECT_EQ(test, s.page_allocs + s.pool_hits, slabs);
		if (round)
			KUNIT_EXPECT_EQ_MSG(test, s.page_allocs, 0, "round %u", round);
		/* After arena_reset(), the arena uses the same slabs again. */
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, use(test, arena), slabs);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, s.page_allocs);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).pool_hits, s.pool_hits);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_frees, 0);
		destroy(test, arena);
		if (round && see_the_pool())
			KUNIT_EXPECT_EQ(test, pool_bytes(), pooled);
		pooled = pool_bytes();
		if (see_the_pool())
			KUNIT_EXPECT_EQ(test, pooled, s.committed);
	}
}

/*
 * Clauses 8, 9: slabs that a reset releases go to the pool, and the arena takes them from there
 * when it grows again.
 */
static void release_regrow_reuses_pool(struct kunit *test)
{
	const struct size *size = test->param_value;
	struct arena *arena;
	struct arena_stats first, s;
	size_t all, kept;
	unsigned int round;

	pool_drain();
	arena = create(test, size, 0);
	all = use(test, arena);
	first = arena_test_stats(arena);
	for (round = 0; round < 6; round++) {
		size_t keep = round % 3 * size->capacity / 4;

		arena_reset_release(arena, keep);
		s = arena_test_stats(arena);
		kept = min(all, DIV_ROUND_UP(keep, s.slab_size));
		KUNIT_EXPECT_EQ(test, s.slabs, kept);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, kept);
		if (see_the_pool())
			KUNIT_EXPECT_EQ(test, pool_bytes(), (all - kept) * s.slab_size);
		KUNIT_EXPECT_EQ(test, use(test, arena), all);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, first.page_allocs);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).pool_hits, s.pool_hits + all - kept);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_frees, 0);
		KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
	}
}

/*
 * Clause 6: with ARENA_ZERO, objects are zeroed even if another arena has written to their slabs.
 */
static void alloc_slab_from_pool_zero(struct kunit *test)
{
	const struct size *size = test->param_value;
	struct arena *arena = create(test, size, 0);
	struct arena_stats s;
	size_t n, bad = 0;

	use(test, arena);
	destroy(test, arena);
	arena = create(test, size, ARENA_ZERO);
	s = arena_test_stats(arena);
	for (n = 0; n < size->capacity; n += s.slab_size) {
		void *ptr = arena_alloc(arena, s.slab_size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		bad += !arena_is_zero(ptr, s.slab_size);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* The case proves something only if slabs came from the pool. */
	KUNIT_EXPECT_GT(test, arena_test_stats(arena).pool_hits, 0);
}

/* Clause 21: slabs charged to a cgroup neither enter the pool nor come from it. */
static void release_charged_skips_pool(struct kunit *test)
{
	const struct size *size = test->param_value;
	struct arena *arena;
	unsigned long pooled;
	struct arena_stats s;
	size_t slabs;

	if (!IS_ENABLED(CONFIG_MEMCG))
		kunit_skip(test, "this kernel has no memory cgroups");
	arena = create(test, size, 0);
	use(test, arena);
	destroy(test, arena);
	pooled = pool_bytes();

	arena = create(test, size, ARENA_ACCOUNT);
	slabs = use(test, arena);
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.pool_hits, 0);
	KUNIT_EXPECT_EQ(test, s.page_allocs, slabs);
	arena_reset_release(arena, 0);
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.page_frees, slabs);
	KUNIT_EXPECT_EQ(test, pool_bytes(), pooled);
	use(test, arena);
	destroy(test, arena);
	KUNIT_EXPECT_EQ(test, pool_bytes(), pooled);
}

/* Clause 21: chunks that are charged to a cgroup neither enter the pool nor come from it. */
static void private_charged_skips_pool(struct kunit *test)
{
	struct arena_private arena;
	unsigned long pooled;

	if (!IS_ENABLED(CONFIG_MEMCG) || mem_cgroup_disabled())
		kunit_skip(test, "this kernel has no memory cgroups");
	arena_private_init(&arena, NULL, 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 8, GFP_KERNEL));
	arena_private_destroy(&arena);
	pooled = pool_bytes();
	arena_private_init_charged(&arena, NULL, 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 8, GFP_KERNEL_ACCOUNT));
	KUNIT_EXPECT_EQ(test, pool_bytes(), pooled);
	arena_private_destroy(&arena);
	KUNIT_EXPECT_EQ(test, pool_bytes(), pooled);
}

/* Clause 21: the pool never exceeds its limit, however many slabs arenas give back. */
static void destroy_many_pool_bounded(struct kunit *test)
{
	static const struct size big = { SZ_2M, SZ_16M };
	struct arena *arena[5];
	unsigned long pooled, total;
	unsigned int i, n;

	if (!see_the_pool())
		kunit_skip(test, "cannot see the pool from a module");
	pool_drain();
	total = arena_total_now();
	for (n = 0; n < ARRAY_SIZE(arena); n++) {
		arena[n] = create(test, &big, 0);
		if (arena_populate(arena[n], SZ_16M, GFP_KERNEL)) {
			n++;
			break;
		}
	}
	for (i = 0; i < n; i++)
		destroy(test, arena[i]);
	pooled = pool_bytes();
	/* SZ_32M is the default of the parameter pool_mb. */
	KUNIT_EXPECT_LE(test, pooled, nr_node_ids * SZ_32M);
	KUNIT_EXPECT_GT(test, pooled, 0);
	kunit_info(test, "%u MiB given back, %lu MiB kept\n", n * 16, pooled >> 20);
	if (n == ARRAY_SIZE(arena))
		KUNIT_EXPECT_EQ(test, pooled, SZ_32M);
	/*
	 * arena_total_now() empties the pool, whose blocks count in the total. So the total must
	 * now be what it was before.
	 */
	KUNIT_EXPECT_EQ(test, arena_total_now(), total);
	KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
}

/* Clause 8: the shrinker empties the pool. Arenas that are in use do not change. */
static void shrink_empties_pool(struct kunit *test)
{
	const struct size *size = test->param_value;
	unsigned int round;

	if (!see_the_pool())
		kunit_skip(test, "cannot see the pool from a module");
	pool_drain();
	for (round = 0; round < 3; round++) {
		struct arena *arena = create(test, size, 0);
		struct arena *live = create(test, size, 0);
		size_t slabs = use(test, arena);
		void *kept = arena_alloc(live, 4096, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, kept);
		arena_pattern_fill(kept, 4096, round);
		destroy(test, arena);
		KUNIT_EXPECT_GT(test, pool_bytes(), 0);
		pool_shrink();
		KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
		/*
		 * The arena in use is intact, and a new arena gets slabs from the page allocator.
		 */
		arena_expect_sane(test, live);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(kept, 4096, round), 4096);
		arena = create(test, size, 0);
		KUNIT_EXPECT_EQ(test, use(test, arena), slabs);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).pool_hits, 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, slabs);
		destroy(test, arena);
		destroy(test, live);
		pool_drain();
		KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
	}
}

/* With ARENA_ON_NODE, slabs are on the node that the caller asked for, even slabs from the pool. */
static void alloc_on_node_slab_of_node(struct kunit *test)
{
	const struct arena_config config = {
		.capacity = SZ_256K,
		.slab_size = SZ_64K,
		.node = first_online_node,
		.flags = ARENA_ON_NODE,
	};
	unsigned int round;

	for (round = 0; round < 3; round++) {
		struct arena *arena = arena_create(&config);
		unsigned int i;

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
		for (i = 0; i < 4; i++) {
			void *ptr = arena_alloc(arena, SZ_64K, GFP_KERNEL);

			KUNIT_EXPECT_NOT_NULL(test, ptr);
			if (ptr)
				KUNIT_EXPECT_EQ(test, page_to_nid(arena_block_page(ptr)),
						config.node);
		}
		arena_destroy(arena);
	}
}

/* Threads create and destroy arenas, while another thread empties the pool */
struct churn {
	atomic_long_t	hits;
	atomic_long_t	allocs;
};

#define CHURN_OBJECTS	8

/* Create, fill, check and destroy an arena. */
static void one_life(struct arena_hand *hand)
{
	const struct size *size = &sizes[arena_rnd_below(&hand->rnd, 4)];
	const struct arena_config config = {
		.capacity = size->capacity,
		.slab_size = size->slab,
		.flags = size->flags,
	};
	struct churn *churn = hand->crew->data;
	struct arena *arena = arena_create(&config);
	struct arena_extent ext[CHURN_OBJECTS];
	struct arena_stats s;
	unsigned int n;

	if (IS_ERR(arena)) {
		cond_resched();
		return;
	}
	s = arena_test_stats(arena);
	for (n = 0; n < CHURN_OBJECTS; n++) {
		u32 owner = arena_rnd(&hand->rnd);
		void *ptr = arena_alloc(arena, s.slab_size, GFP_KERNEL);

		if (!ptr)
			break;
		arena_pattern_fill(ptr, s.slab_size, owner);
		ext[n] = (struct arena_extent){ ptr, s.slab_size, owner };
	}
	cond_resched();
	hand->bad += arena_extents_spoiled(ext, n);
	s = arena_test_stats(arena);
	atomic_long_add(s.pool_hits, &churn->hits);
	atomic_long_add(s.page_allocs, &churn->allocs);
	hand->allocs++;
	arena_destroy(arena);
}

static void churn_job(struct arena_hand *hand)
{
	while (arena_crew_on(hand->crew))
		if (hand->id) {
			one_life(hand);
		} else {
			schedule_timeout_uninterruptible(2);
			if (arena_rnd_below(&hand->rnd, 2))
				pool_drain();
			else
				pool_shrink();
		}
}

/* Clauses 1, 20: while threads create and destroy arenas, no slab is lost or used by two arenas. */
static void create_destroy_race_no_slab_twice(struct kunit *test)
{
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	struct churn *churn = kunit_kzalloc(test, sizeof(*churn), GFP_KERNEL);
	const long total = arena_total_now();
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, churn);
	crew->data = churn;
	do {
		arena_crew_go(crew, churn_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while ((!atomic_long_read(&churn->hits) || !atomic_long_read(&churn->allocs) ||
		  arena_crew_allocs(crew) < 50) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&churn->hits), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&churn->allocs), 0);
	KUNIT_EXPECT_GE(test, arena_crew_allocs(crew), 50);
	KUNIT_EXPECT_EQ(test, arena_total_now(), total);
	KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
}

static void create_before_pool_ok(struct kunit *test)
{
	if (!see_the_pool())
		kunit_skip(test, "modules come after the pool");
	KUNIT_EXPECT_EQ(test, early_err, 0);
}

/* Clause 21: at the limit of the root budget, a further charge frees blocks of the pool. */
static void charge_at_limit_drains_pool(struct kunit *test)
{
	const struct size size = { SZ_64K, SZ_1M, 0 };
	struct arena *arena;

	if (!see_the_pool())
		kunit_skip(test, "the total is not exported to modules");
	pool_drain();
	arena = create(test, &size, 0);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, SZ_1M, GFP_KERNEL), 0);
	destroy(test, arena);
	KUNIT_EXPECT_EQ(test, pool_bytes(), SZ_1M);
	charge_all();
	KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
}

/* Clause 20: a page to which something besides its arena refers does not enter the pool. */
static void private_destroy_pinned_page_skips_pool(struct kunit *test)
{
	struct arena_private private;
	struct page *page;
	void *object;

	if (!see_the_pool())
		kunit_skip(test, "the pool is not exported to modules");
	pool_drain();
	arena_private_init(&private, NULL, 0);
	object = arena_private_alloc(&private, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	page = arena_block_page(object);
	get_page(page);
	arena_private_destroy(&private);
	KUNIT_EXPECT_EQ(test, pool_bytes(), 0);
	put_page(page);
	pinned_reap();
}

#ifndef MODULE
#define CHILD_PAGES	256

static long child_limit(void)
{
	return CHILD_PAGES;
}

/* Clause 21: a budget's pages are also charged to its ancestors. Each budget has its own limit. */
static void budget_charge_each_level_bounded(struct kunit *test)
{
	struct arena_budget child = { .parent = &arena_total, .limit = child_limit };
	struct arena_budget grandchild = { .parent = &child, .limit = child_limit };
	const long total = arena_total_now();

	KUNIT_EXPECT_FALSE(test, arena_budget_charge(&child, CHILD_PAGES + 1, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_total_pages(), total);
	KUNIT_EXPECT_TRUE(test, arena_budget_charge(&grandchild, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&child.pages), 100);
	KUNIT_EXPECT_EQ(test, arena_total_pages(), total + 100);
	KUNIT_EXPECT_EQ(test, arena_budget_room(&child), CHILD_PAGES - 100);
	/* If the parent refuses a charge, the child is not charged. */
	KUNIT_EXPECT_TRUE(test, arena_budget_charge(&child, CHILD_PAGES - 100, GFP_KERNEL));
	KUNIT_EXPECT_FALSE(test, arena_budget_charge(&grandchild, 1, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&grandchild.pages), 100);
	KUNIT_EXPECT_EQ(test, arena_total_pages(), total + CHILD_PAGES);
	/* Kernel code charges the root budget, which has room although the others are used up. */
	KUNIT_EXPECT_TRUE(test, arena_budget_charge(&arena_total, 1, GFP_KERNEL));
	arena_budget_uncharge(&arena_total, 1);
	arena_budget_uncharge(&grandchild, 100);
	arena_budget_uncharge(&child, CHILD_PAGES - 100);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&child.pages), 0);
	KUNIT_EXPECT_EQ(test, arena_total_pages(), total);
}

/* Clause 21: a limit of nearly ULONG_MAX megabytes does not overflow to a negative limit. */
static void budget_huge_limit_no_overflow(struct kunit *test)
{
	unsigned int bit;

	for (bit = 0; bit < BITS_PER_LONG; bit++) {
		KUNIT_EXPECT_GT(test, arena_mb_to_pages(BIT(bit)), 0);
		KUNIT_EXPECT_GE(test, arena_mb_to_pages(ULONG_MAX - BIT(bit)),
				arena_mb_to_pages(BIT(30)));
	}
	KUNIT_EXPECT_EQ(test, arena_mb_to_pages(3), 3 * (SZ_1M >> PAGE_SHIFT));
}

static void fill_pool(struct kunit *test)
{
	const struct size size = { SZ_64K, SZ_1M, 0 };
	struct arena *arena = create(test, &size, 0);

	KUNIT_EXPECT_EQ(test, arena_populate(arena, SZ_1M, GFP_KERNEL), 0);
	destroy(test, arena);
	KUNIT_EXPECT_EQ(test, pool_bytes(), SZ_1M);
}

/*
 * Charge the root budget so that, unless blocks of the pool are freed, only @left more pages fit.
 * Returns the pages charged, or 0 if the charge failed.
 */
static long charge_but(long left)
{
	long pages = arena_budget_room(&arena_total) - arena_pool_pages() - left;

	return arena_budget_charge(&arena_total, pages, GFP_KERNEL) ? pages : 0;
}

/* Clause 21: a failed charge to the budget of a program does not free blocks of the pool. */
static void budget_charge_of_program_keeps_pool(struct kunit *test)
{
	struct arena_budget child = { .parent = &arena_total, .limit = child_limit };
	long taken;
	int i;

	pool_drain();
	fill_pool(test);
	taken = charge_but(0);
	KUNIT_EXPECT_GT(test, taken, 0);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_FALSE(test, arena_budget_charge(&child, 1, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pool_bytes(), SZ_1M);
	arena_budget_uncharge(&arena_total, taken);
}

/* Clause 21: a charge to the root budget frees as many blocks of the pool as it needs. */
static void budget_charge_of_kernel_drains_lack(struct kunit *test)
{
	const long pool = SZ_1M >> PAGE_SHIFT;
	long taken;

	pool_drain();
	fill_pool(test);
	taken = charge_but(1);
	KUNIT_EXPECT_GT(test, taken, 0);
	/* A charge that would fail even with an empty pool frees no block of the pool. */
	KUNIT_EXPECT_FALSE(test, arena_budget_charge(&arena_total, pool + 2, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pool_bytes(), SZ_1M);
	KUNIT_EXPECT_TRUE(test, arena_budget_charge(&arena_total, 3, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pool_bytes(), SZ_1M - SZ_64K);
	arena_budget_uncharge(&arena_total, taken + 3);
}

/* Clause 20: a page of a destroyed arena stays charged while something else refers to it. */
static void private_destroy_pinned_page_counted(struct kunit *test)
{
	const long total = arena_total_now();
	struct arena_private private;
	struct page *page;
	void *object;

	arena_private_init(&private, NULL, 0);
	object = arena_private_alloc(&private, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	page = arena_block_page(object);
	get_page(page);
	arena_private_destroy(&private);
	KUNIT_EXPECT_FALSE(test, arena_pinned_reap());
	KUNIT_EXPECT_GT(test, arena_total_now(), total);
	put_page(page);
	/* arena_pinned_reap() frees the page, unless the worker for pinned pages has done so. */
	arena_pinned_reap();
	KUNIT_EXPECT_EQ(test, arena_total_now(), total);
}
#else
static void budget_charge_each_level_bounded(struct kunit *test)
{
	kunit_skip(test, "budgets are not exported to modules");
}

#define budget_huge_limit_no_overflow		budget_charge_each_level_bounded
#define budget_charge_of_program_keeps_pool	budget_charge_each_level_bounded
#define budget_charge_of_kernel_drains_lack		budget_charge_each_level_bounded
#define private_destroy_pinned_page_counted		budget_charge_each_level_bounded
#endif

static struct kunit_case arena_pool_cases[] = {
	KUNIT_CASE_PARAM(create_destroy_repeated_no_page_allocs, size_gen_params),
	KUNIT_CASE_PARAM(release_regrow_reuses_pool, size_gen_params),
	KUNIT_CASE_PARAM(alloc_slab_from_pool_zero, size_gen_params),
	KUNIT_CASE_PARAM(release_charged_skips_pool, size_gen_params),
	KUNIT_CASE(private_charged_skips_pool),
	KUNIT_CASE_PARAM(shrink_empties_pool, size_gen_params),
	KUNIT_CASE(destroy_many_pool_bounded),
	KUNIT_CASE(alloc_on_node_slab_of_node),
	KUNIT_CASE(create_destroy_race_no_slab_twice),
	KUNIT_CASE(create_before_pool_ok),
	KUNIT_CASE(charge_at_limit_drains_pool),
	KUNIT_CASE(private_destroy_pinned_page_skips_pool),
	KUNIT_CASE(budget_charge_each_level_bounded),
	KUNIT_CASE(budget_huge_limit_no_overflow),
	KUNIT_CASE(budget_charge_of_program_keeps_pool),
	KUNIT_CASE(budget_charge_of_kernel_drains_lack),
	KUNIT_CASE(private_destroy_pinned_page_counted),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_pool_suite = {
	.name = "arena_pool",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_pool_cases,
};

kunit_test_suite(arena_pool_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: the pool of blocks");
MODULE_LICENSE("GPL");
