// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the contract of the in-kernel arena, clause by clause, with one caller at a time.
 * arena_stress_kunit.c tests races.
 */
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>

#include "arena_test.h"

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/* Sizes of the usual arena here. Slabs are small, so that allocations often meet their ends. */
#define SLAB		((size_t)4 * PAGE_SIZE)
#define CAPACITY	(8 * SLAB)

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, CAPACITY, SLAB, kind->flags);
}

static bool is_dense(struct kunit *test)
{
	return arena_kind_is_dense(test->param_value);
}

/*
 * Clause 16: an object may fail to fit although the tail of another CPU's span has room for it.
 * How many objects that may cost: none in a dense arena, one if a single CPU allocates.
 */
#define TAIL_OBJECTS(test)	(is_dense(test) ? 0 : 1)

/*
 * Allocate objects of @size until the arena is full. Expects that all keep their pattern and that
 * none overlaps another. Returns how many there were.
 */
static size_t fill_up(struct kunit *test, struct arena *arena, size_t size, size_t align,
		      gfp_t gfp)
{
	size_t max = arena_capacity(arena) / size + 1, nr;
	struct arena_extent *ext = kvcalloc(max, sizeof(*ext), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ext);
	for (nr = 0; nr < max; nr++) {
		void *ptr = arena_alloc_aligned(arena, size, align, gfp);

		if (!ptr)
			break;
		arena_pattern_fill(ptr, size, nr);
		ext[nr] = (struct arena_extent){ ptr, size, nr };
	}
	KUNIT_EXPECT_LT(test, nr, max);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, nr));
	if (size <= arena_test_stats(arena).slab_size)
		KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, nr));
	kvfree(ext);
	return nr;
}

/*
 * Creation
 */
static const struct arena_config good_config = {
	.name = "good",
	.capacity = CAPACITY,
	.slab_size = SLAB,
};

static void expect_create(struct kunit *test, const struct arena_config *config, int err,
			  const char *what)
{
	struct arena *arena = arena_create(config);

	if (err) {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(arena), err, "%s", what);
	} else {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(arena), 0, "%s", what);
		KUNIT_EXPECT_NOT_NULL_MSG(test, arena, "%s", what);
	}
	if (!IS_ERR_OR_NULL(arena))
		arena_destroy(arena);
}

/* Clause 5: creation refuses each bad field alone, in an otherwise good configuration. */
static void create_refuses(struct kunit *test)
{
	static const size_t bad_capacity[] = { 0, SIZE_MAX, SIZE_MAX / 2 + 1 };
	static const size_t bad_slab_size[] = {
		1, PAGE_SIZE / 2, PAGE_SIZE - 1, PAGE_SIZE + 1, 3 * PAGE_SIZE,
		SZ_4M, SIZE_MAX, SIZE_MAX / 2 + 1,
	};
	static const int bad_node[] = { -2, MAX_NUMNODES, INT_MAX, INT_MIN };
	struct arena_config config;
	char what[48];
	int i;

	expect_create(test, &good_config, 0, "good configuration");
	for (i = 0; i < ARRAY_SIZE(bad_capacity); i++) {
		config = good_config;
		config.capacity = bad_capacity[i];
		snprintf(what, sizeof(what), "capacity %zx", bad_capacity[i]);
		expect_create(test, &config, -EINVAL, what);
	}
	config = good_config;
	config.capacity = arena_capacity_max() + 1;
	expect_create(test, &config, -EINVAL, "capacity above the maximum");

	for (i = 0; i < ARRAY_SIZE(bad_slab_size); i++) {
		config = good_config;
		config.slab_size = bad_slab_size[i];
		snprintf(what, sizeof(what), "slab size %zx", bad_slab_size[i]);
		expect_create(test, &config, -EINVAL, what);
	}
	for (i = 0; i < ARRAY_SIZE(bad_node); i++) {
		config = good_config;
		config.node = bad_node[i];
		config.flags = ARENA_ON_NODE;
		snprintf(what, sizeof(what), "node %d", bad_node[i]);
		expect_create(test, &config, -EINVAL, what);
		config.flags = 0;
		expect_create(test, &config, 0, "a node that is not asked for");
	}
	for (i = 0; i < BITS_PER_TYPE(config.flags); i++) {
		const unsigned int known = ARENA_SPANS | ARENA_ON_NODE | ARENA_ACCOUNT |
					   ARENA_ZERO | ARENA_READERS;

		config = good_config;
		config.node = first_online_node;
		config.flags = BIT(i);
		snprintf(what, sizeof(what), "flags %x", config.flags);
		expect_create(test, &config, config.flags & known ? 0 : -EINVAL, what);
	}
}

static void create_accepts(struct kunit *test)
{
	static const size_t capacity[] = {
		1, 7, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, SZ_1M, SZ_16M + 3,
	};
	static const size_t slab_size[] = { 0, PAGE_SIZE, SZ_64K, SZ_2M };
	struct arena_config config = { };
	char name[] = "a name that is far longer than any name that one wants to keep of an arena";
	unsigned int flags, cases = 0;
	struct arena *arena;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(capacity); i++) {
		for (j = 0; j < ARRAY_SIZE(slab_size); j++) {
			for (flags = 0; flags < 2; flags++) {
				config.capacity = capacity[i];
				config.slab_size = slab_size[j];
				config.flags = flags ? ARENA_SPANS : 0;
				arena = arena_create(&config);
				KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
				KUNIT_EXPECT_EQ(test, arena_capacity(arena), capacity[i]);
				KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
				KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
				KUNIT_EXPECT_NOT_NULL(test, arena_alloc_aligned(arena, 1, 1,
										GFP_KERNEL));
				if (slab_size[j])
					KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slab_size,
							slab_size[j]);
				arena_destroy(arena);
				cases++;
			}
		}
	}
	KUNIT_EXPECT_EQ(test, cases,
			2 * ARRAY_SIZE(capacity) * ARRAY_SIZE(slab_size));

	/* The arena copies the name, so the caller may reuse its memory. */
	config.name = name;
	arena = arena_create(&config);
	memset(name, 0xff, sizeof(name) - 1);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	arena_destroy(arena);

	/* The largest possible arena: an allocation of one byte commits one slab. */
	config = (struct arena_config) {
		.capacity = arena_capacity_max(),
		.slab_size = SZ_2M,
	};
	arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 1, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, SZ_2M);
	arena_destroy(arena);
}

/* A fresh arena has committed nothing, and its statistics say so. */
static void fresh(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats s = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, s.capacity, CAPACITY);
	KUNIT_EXPECT_EQ(test, s.slab_size, SLAB);
	KUNIT_EXPECT_EQ(test, s.free, CAPACITY);
	KUNIT_EXPECT_EQ(test, s.used, 0);
	KUNIT_EXPECT_EQ(test, s.padding, 0);
	KUNIT_EXPECT_EQ(test, s.high, 0);
	KUNIT_EXPECT_EQ(test, s.peak, 0);
	KUNIT_EXPECT_EQ(test, s.committed, 0);
	KUNIT_EXPECT_EQ(test, s.committed_peak, 0);
	KUNIT_EXPECT_EQ(test, s.slabs, 0);
	KUNIT_EXPECT_EQ(test, s.slabs_kept, 0);
	KUNIT_EXPECT_EQ(test, s.resets, 0);
	KUNIT_EXPECT_EQ(test, s.allocs, 0);
	KUNIT_EXPECT_EQ(test, s.fail_space, 0);
	KUNIT_EXPECT_EQ(test, s.fail_memory, 0);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 0);
	KUNIT_EXPECT_EQ(test, s.page_allocs, 0);
	KUNIT_EXPECT_EQ(test, s.page_frees, 0);
	KUNIT_EXPECT_EQ(test, s.pool_hits, 0);
	arena_expect_sane(test, arena);
}

/*
 * Allocation
 */

/* Clauses 1, 7: a few allocations, whose bytes are counted exactly. */
static void alloc_counts_bytes(struct kunit *test)
{
	static const size_t sizes[] = { 100, 200, 1, 7, 8, 9, 4095, 4096, 1, 3 };
	struct arena *arena = usual(test);
	size_t used = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *ptr = arena_alloc(arena, sizes[i], GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, ARENA_MIN_ALIGN));
		memset(ptr, 0xff, sizes[i]);
		used += sizes[i];
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
		KUNIT_EXPECT_GE(test, arena_high(arena), used);
		arena_expect_sane(test, arena);
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, ARRAY_SIZE(sizes));
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
	arena_expect_sane(test, arena);
}

/* Clause 7: if no object needs alignment, the offset is n * size exactly. */
static void alloc_offset_is_n_times_size(struct kunit *test)
{
	static const size_t sizes[] = { 8, 16, 24, 64, 256 };
	struct arena *arena = usual(test);
	int i, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (n = 1; n <= 100; n++) {
			KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, sizes[i], GFP_KERNEL));
			KUNIT_EXPECT_EQ(test, arena_offset(arena), n * sizes[i]);
		}
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	}
}

static const size_t table_sizes[] = {
	1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100,
	127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 1023, 1024, 1025,
	2047, 2048, 2049, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1,
	2 * PAGE_SIZE, SLAB - 1, SLAB, SLAB + 1, 2 * SLAB, 2 * SLAB + PAGE_SIZE + 5,
};

/*
 * Allocate one object of @size between two objects of one byte: the first makes the cursor
 * unaligned, and the second begins right where the object ends.
 */
static void check_aligned(struct kunit *test, struct arena *arena, size_t size, size_t align)
{
	u8 *before = arena_alloc_aligned(arena, 1, 1, GFP_KERNEL);
	u8 *ptr = arena_alloc_aligned(arena, size, align, GFP_KERNEL);
	u8 *after = arena_alloc_aligned(arena, 1, 1, GFP_KERNEL);

	KUNIT_ASSERT_TRUE_MSG(test, before && ptr && after, "size %zu align %zu", size, align);
	*before = 1;
	*after = 2;
	arena_pattern_fill(ptr, size, size + align);
	if (!IS_ALIGNED((unsigned long)ptr, align))
		KUNIT_FAIL(test, "size %zu align %zu: off by %lu\n", size, align,
			   (unsigned long)ptr % align);
	if (*before != 1 || *after != 2 ||
	    arena_pattern_check(ptr, size, size + align) != size)
		KUNIT_FAIL(test, "size %zu align %zu: overlap\n", size, align);
	if (arena_offset(arena) != size + 2)
		KUNIT_FAIL(test, "size %zu align %zu: offset %zu\n", size, align,
			   arena_offset(arena));
}

/* Clause 1: every size in the table, at every alignment that is allowed for it. */
static void align_table(struct kunit *test)
{
	const size_t nr_small_aligns = ilog2(SLAB) + 1, nr_large_aligns = ilog2(PAGE_SIZE) + 1;
	struct arena *arena = usual(test);
	size_t cases = 0, nr_small = 0, align;
	int i;

	for (i = 0; i < ARRAY_SIZE(table_sizes); i++) {
		const bool small = table_sizes[i] <= SLAB;

		nr_small += small;
		for (align = 1; align <= (small ? SLAB : PAGE_SIZE); align <<= 1) {
			check_aligned(test, arena, table_sizes[i], align);
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
			cases++;
		}
	}
	KUNIT_EXPECT_EQ(test, cases, nr_small * nr_small_aligns +
			(ARRAY_SIZE(table_sizes) - nr_small) * nr_large_aligns);
	arena_expect_sane(test, arena);
}

/* Clauses 1, 7: mixed sizes and alignments until the arena is full; no object's bytes change. */
static void no_overlap(struct kunit *test)
{
	const size_t max = 4096;
	struct arena_extent *ext = kvcalloc(max, sizeof(*ext), GFP_KERNEL);
	struct arena *arena = usual(test);
	size_t nr = 0, used = 0, tries;
	u32 rnd = 12345;

	KUNIT_ASSERT_NOT_NULL(test, ext);
	for (tries = 0; tries < max && nr < max; tries++) {
		size_t size = 1 + arena_rnd_below(&rnd, BIT(1 + arena_rnd_below(&rnd, 12)));
		size_t align = BIT(arena_rnd_below(&rnd, 9));
		void *ptr = arena_alloc_aligned(arena, size, align, GFP_KERNEL);

		if (!ptr)
			continue;
		if (!IS_ALIGNED((unsigned long)ptr, align))
			KUNIT_FAIL(test, "size %zu align %zu: off by %lu\n", size, align,
				   (unsigned long)ptr % align);
		arena_pattern_fill(ptr, size, nr);
		ext[nr] = (struct arena_extent){ ptr, size, nr };
		used += size;
		nr++;
	}
	KUNIT_EXPECT_GT(test, nr, 100);
	KUNIT_EXPECT_LT(test, nr, tries);	/* the arena did become full */
	KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, nr);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_space, tries - nr);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, nr));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, nr));
	arena_expect_sane(test, arena);
	kvfree(ext);
}

/* Clause 1: arenas do not share memory. */
static void no_overlap_of_arenas(struct kunit *test)
{
	struct arena *arena[4];
	void *ptr[4][16];
	int i, j, round;

	for (i = 0; i < ARRAY_SIZE(arena); i++)
		arena[i] = usual(test);
	for (round = 0; round < 4; round++) {
		for (j = 0; j < 16; j++) {
			for (i = 0; i < ARRAY_SIZE(arena); i++) {
				ptr[i][j] = arena_alloc(arena[i], 1000, GFP_KERNEL);
				KUNIT_ASSERT_NOT_NULL(test, ptr[i][j]);
				arena_pattern_fill(ptr[i][j], 1000, 16 * i + j);
			}
		}
		for (j = 0; j < 16; j++)
			for (i = 0; i < ARRAY_SIZE(arena); i++)
				KUNIT_EXPECT_EQ(test, 1000, arena_pattern_check(ptr[i][j], 1000,
										16 * i + j));
		for (i = 0; i < ARRAY_SIZE(arena); i++) {
			if (round & 1)
				KUNIT_EXPECT_EQ(test, 0, arena_reset(arena[i]));
			else
				arena_reset_release(arena[i], 0);
		}
	}
}

/* A dense arena has no padding but for alignment and at the ends of slabs. */
static void dense_is_contiguous(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	u8 *last = NULL, *ptr;
	size_t n;

	for (n = 0; n < CAPACITY / 64; n++) {
		ptr = arena_alloc(arena, 64, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		if (n % (SLAB / 64))
			KUNIT_EXPECT_PTR_EQ(test, ptr, last + 64);
		else
			KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, SLAB));
		last = ptr;
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).padding, 0);
	KUNIT_EXPECT_EQ(test, arena_high(arena), CAPACITY);
}

/*
 * Clause 7: in a dense arena all padding can be computed in advance. Compares the statistics with a
 * model that does so.
 */
static void dense_follows_the_model(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	size_t used = 0, end = 0, n;
	u32 rnd = 4711;

	for (n = 0; n < 1000; n++) {
		size_t size = 1 + arena_rnd_below(&rnd, 700);
		size_t align = BIT(arena_rnd_below(&rnd, 8));
		size_t start = ALIGN(end, align);
		struct arena_stats s;
		void *ptr;

		if (start / SLAB != (start + size - 1) / SLAB)
			start = ALIGN(end, SLAB);
		ptr = arena_alloc_aligned(arena, size, align, GFP_KERNEL);
		if (start + size > CAPACITY) {
			KUNIT_EXPECT_NULL(test, ptr);
			break;
		}
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		end = start + size;
		used += size;
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, (unsigned long)ptr % SLAB, start % SLAB);
		KUNIT_EXPECT_EQ(test, s.used, used);
		KUNIT_EXPECT_EQ(test, s.high, end);
		KUNIT_EXPECT_EQ(test, s.free, CAPACITY - end);
		KUNIT_EXPECT_EQ(test, s.padding, end - used);
	}
	KUNIT_EXPECT_LT(test, n, 1000);
}

/* Clauses 1, 16: a capacity that is not a multiple of a page or slab is kept exactly. */
static void exact_capacity(struct kunit *test)
{
	static const size_t capacity[] = {
		1, 2, 7, 8, 9, 63, 100, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1,
		SLAB - 1, SLAB, SLAB + 1, 2 * SLAB - 8, 2 * SLAB + 17,
	};
	const struct arena_kind *kind = test->param_value;
	int i;

	for (i = 0; i < ARRAY_SIZE(capacity); i++) {
		struct arena *arena = arena_test_create(test, capacity[i], SLAB, kind->flags);
		/* Spans hand out whole words only. */
		size_t size = is_dense(test) ? 1 : 8;
		size_t nr = fill_up(test, arena, size, 1, GFP_KERNEL);

		KUNIT_EXPECT_EQ_MSG(test, nr, capacity[i] / size, "capacity %zu", capacity[i]);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), nr * size);
		arena_expect_sane(test, arena);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NULL(test, arena_alloc_aligned(arena, capacity[i] + 1, 1,
							    GFP_KERNEL));
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc_aligned(arena, capacity[i], 1,
								GFP_KERNEL));
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/*
 * Refusals
 */
struct refusal {
	size_t			size;
	size_t			align;
	enum arena_cause	cause;
};

static const struct refusal refusals[] = {
	{ 0,			8,		ARENA_CAUSE_ARG },
	{ 0,			1,		ARENA_CAUSE_ARG },
	{ 0,			16,		ARENA_CAUSE_ARG },
	{ 0,			64,		ARENA_CAUSE_ARG },
	{ 0,			SLAB,		ARENA_CAUSE_ARG },
	{ 0,			0,		ARENA_CAUSE_ARG },
	{ 8,			0,		ARENA_CAUSE_ARG },
	{ 8,			3,		ARENA_CAUSE_ARG },
	{ 8,			6,		ARENA_CAUSE_ARG },
	{ 8,			12,		ARENA_CAUSE_ARG },
	{ 8,			SLAB - 1,	ARENA_CAUSE_ARG },
	{ 8,			SLAB + 1,	ARENA_CAUSE_ARG },
	{ 8,			2 * SLAB,	ARENA_CAUSE_ARG },
	{ 8,			CAPACITY,	ARENA_CAUSE_ARG },
	{ 8,			SIZE_MAX,	ARENA_CAUSE_ARG },
	{ 8,			SIZE_MAX / 2 + 1, ARENA_CAUSE_ARG },
	{ SLAB + 1,		2 * PAGE_SIZE,	ARENA_CAUSE_ARG },
	{ SLAB + 1,		SLAB,		ARENA_CAUSE_ARG },
	{ CAPACITY + 1,		1,		ARENA_CAUSE_SPACE },
	{ CAPACITY + 1,		PAGE_SIZE,	ARENA_CAUSE_SPACE },
	{ 2 * CAPACITY,		8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX / 2,		8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX / 2 + 1,	8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX - PAGE_SIZE,	8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX - PAGE_SIZE + 1, PAGE_SIZE,	ARENA_CAUSE_SPACE },
	{ SIZE_MAX - SLAB + 1,	8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX - CAPACITY,	8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX - 7,		8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX - 7,		1,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX,		1,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX,		8,		ARENA_CAUSE_SPACE },
	{ SIZE_MAX,		PAGE_SIZE,	ARENA_CAUSE_SPACE },
};

static void expect_refusal(struct kunit *test, struct arena *arena, const struct refusal *r,
			   gfp_t gfp)
{
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_NULL(test, arena_alloc_aligned(arena, r->size, r->align, gfp));
	arena_expect_unchanged(test, arena, &was, r->cause, "size %zx align %zx gfp %x",
			       r->size, r->align, (__force unsigned int)gfp);
	if (r->align != ARENA_MIN_ALIGN)
		return;

	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc(arena, r->size, gfp));
	arena_expect_unchanged(test, arena, &was, r->cause, "size %zx", r->size);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_zalloc(arena, r->size, gfp));
	arena_expect_unchanged(test, arena, &was, r->cause, "zeroed, size %zx", r->size);
}

/*
 * Clauses 4, 5: bad arguments are refused, counted by cause, and never wrap, in an arena that is
 * empty, has a cursor at an odd offset, or is nearly full.
 */
static void refuse_table(struct kunit *test)
{
	static const size_t hold[] = { 0, 13, SLAB, SLAB + 1, CAPACITY - 1 };
	struct arena *arena = usual(test);
	unsigned int cases = 0;
	int i, h, g;

	for (h = 0; h < ARRAY_SIZE(hold); h++) {
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		if (hold[h]) {
			KUNIT_ASSERT_NOT_NULL(test, arena_alloc_aligned(arena, hold[h], 1,
									GFP_KERNEL));
		}
		for (g = 0; g < 2; g++) {
			for (i = 0; i < ARRAY_SIZE(refusals); i++) {
				expect_refusal(test, arena, &refusals[i],
					       g ? GFP_KERNEL : ARENA_NOGROW);
				cases++;
			}
		}
		KUNIT_EXPECT_EQ(test, arena_offset(arena), hold[h]);
	}
	KUNIT_EXPECT_EQ(test, cases, 2 * ARRAY_SIZE(hold) * ARRAY_SIZE(refusals));
}

/* Clause 4: a full arena refuses objects that do not fit, and still serves smaller ones. */
static void full(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	u8 *first, *last;
	int i;

	first = arena_alloc(arena, SLAB, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, first);
	arena_pattern_fill(first, SLAB, 1);
	for (i = 1; i < CAPACITY / SLAB - 1; i++)
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB, GFP_KERNEL));
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB - 64, GFP_KERNEL));

	was = arena_test_stats(arena);
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 65 + i, GFP_KERNEL));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "try %d", i);
		was = arena_test_stats(arena);
	}
	last = arena_alloc(arena, 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, last);
	memset(last, 0xff, 64);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), CAPACITY);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).free, 0);

	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_aligned(arena, 1, 1, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "full");
	KUNIT_EXPECT_EQ(test, arena_pattern_check(first, SLAB, 1), SLAB);
	arena_expect_sane(test, arena);
}

/* Clause 8: each cause of failure has a count of its own, and success raises none of them. */
static void failures_by_cause(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats s;
	int i;

	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 0, GFP_KERNEL));
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, CAPACITY + 1, GFP_KERNEL));
	for (i = 0; i < 7; i++)
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	for (i = 0; i < 11; i++)
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 3);
	KUNIT_EXPECT_EQ(test, s.fail_space, 5);
	KUNIT_EXPECT_EQ(test, s.fail_memory, 7);
	KUNIT_EXPECT_EQ(test, s.allocs, 11);

	/* A reset frees the objects and keeps the counts of failures. */
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 3);
	KUNIT_EXPECT_EQ(test, s.fail_space, 5);
	KUNIT_EXPECT_EQ(test, s.fail_memory, 7);
	KUNIT_EXPECT_EQ(test, s.allocs, 11);
	KUNIT_EXPECT_EQ(test, s.resets, 1);
}

/*
 * Growth
 */

/* Clause 2: if growth is not allowed, allocation returns NULL at once and changes nothing. */
static void nogrow(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was = arena_test_stats(arena);
	size_t nr;

	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "uncommitted");
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_zalloc(arena, SLAB, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "uncommitted, zeroed");

	/* With one slab committed, objects fit into that slab only. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, 1, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, was.slabs, 1);
	KUNIT_EXPECT_EQ(test, was.used, 0);
	nr = fill_up(test, arena, 64, 64, ARENA_NOGROW);
	KUNIT_EXPECT_EQ(test, nr, SLAB / 64);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_memory, was.fail_memory + 1);

	/* With all slabs committed, nothing more is taken from the page allocator. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, was.slabs, CAPACITY / SLAB);
	KUNIT_EXPECT_EQ(test, was.committed, CAPACITY);
	KUNIT_EXPECT_EQ(test, was.used, SLAB);
	nr = fill_up(test, arena, 64, 64, ARENA_NOGROW);
	KUNIT_EXPECT_LE(test, nr, (CAPACITY - SLAB) / 64);
	KUNIT_EXPECT_GE(test, nr + TAIL_OBJECTS(test), (CAPACITY - SLAB) / 64);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_space, was.fail_space + 1);

	/* Populating an arena that is populated takes nothing either. */
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY, ARENA_NOGROW), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "populate again");
	arena_expect_sane(test, arena);
}

/* A refused arena_populate() is no failed allocation, so no count of failures grows. */
static void populate_refuses(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY + 1, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, SIZE_MAX, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, SLAB, ARENA_NOGROW), -ENOMEM);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, 0, ARENA_NOGROW), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "populate");
}

/* Clause 8: slabs are committed one at a time, as the space is used. */
static void committed_follows_use(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats s;
	size_t n;

	for (n = 1; n <= CAPACITY / SLAB; n++) {
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB, GFP_KERNEL));
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.slabs, n);
		KUNIT_EXPECT_EQ(test, s.committed, n * SLAB);
		KUNIT_EXPECT_EQ(test, s.committed_peak, n * SLAB);
		KUNIT_EXPECT_EQ(test, s.page_allocs + s.pool_hits, n);
		KUNIT_EXPECT_EQ(test, s.page_frees, 0);
		KUNIT_EXPECT_EQ(test, s.high, n * SLAB);
		KUNIT_EXPECT_EQ(test, s.peak, n * SLAB);
		arena_expect_sane(test, arena);
	}
}

static DEFINE_SPINLOCK(test_lock);

/*
 * Clause 2: atomic callers may allocate under a spinlock, in an RCU read-side critical section and
 * with interrupts off. Lockdep and the checks for sleeping in atomic context report violations.
 */
static void atomic_callers(struct kunit *test)
{
	struct arena *arena = usual(test);
	void *ptr[5];
	unsigned long flags;
	int err, i;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, SLAB, GFP_KERNEL), 0);
	spin_lock_irqsave(&test_lock, flags);
	ptr[0] = arena_alloc(arena, 100, ARENA_NOGROW);
	ptr[1] = arena_zalloc(arena, SLAB, GFP_ATOMIC);
	err = arena_reset(arena);
	ptr[2] = arena_alloc_aligned(arena, 100, 64, GFP_NOWAIT);
	spin_unlock_irqrestore(&test_lock, flags);
	rcu_read_lock();
	ptr[3] = arena_zalloc(arena, SLAB / 2, GFP_NOWAIT);
	rcu_read_unlock();
	preempt_disable();
	ptr[4] = arena_alloc(arena, SLAB, GFP_NOWAIT);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < ARRAY_SIZE(ptr); i++)
		KUNIT_EXPECT_NOT_NULL_MSG(test, ptr[i], "allocation %d", i);
	arena_expect_sane(test, arena);
}

/*
 * Large objects
 */

/* Clauses 1, 5: objects of several slabs are contiguous and writable, in each generation. */
static void large(struct kunit *test)
{
	static const size_t sizes[] = {
		SLAB + 1, SLAB + PAGE_SIZE, 2 * SLAB, 2 * SLAB + 1, 3 * SLAB + SLAB / 2,
		CAPACITY - SLAB, CAPACITY - 1, CAPACITY,
	};
	struct arena *arena = usual(test);
	struct arena_stats s;
	int i, round;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; round < 3; round++) {
			u8 *ptr = arena_alloc(arena, sizes[i], GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL_MSG(test, ptr, "size %zu round %d", sizes[i], round);
			arena_pattern_fill(ptr, sizes[i], sizes[i] + round);
			KUNIT_EXPECT_EQ(test, sizes[i],
					arena_pattern_check(ptr, sizes[i], sizes[i] + round));
			KUNIT_EXPECT_EQ(test, arena_offset(arena), sizes[i]);
			KUNIT_EXPECT_GE(test, arena_high(arena), sizes[i]);
			arena_expect_sane(test, arena);
			s = arena_test_stats(arena);
			KUNIT_EXPECT_EQ(test, s.slabs, max_t(size_t, s.slabs_kept,
							     DIV_ROUND_UP(sizes[i], SLAB)));
			if (round == 1)
				arena_reset_release(arena, SLAB);
			else
				KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
		}
	}
}

/* Large objects between small ones: all stay intact until the reset. */
static void large_among_small(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent ext[24];
	size_t used, n;
	int round;

	for (round = 0; round < 4; round++) {
		used = 0;
		for (n = 0; n < ARRAY_SIZE(ext); n++) {
			size_t size = n % 8 == 5 ? SLAB + 1 + 700 * round + n : 33 * n + 1;
			void *ptr = arena_alloc_aligned(arena, size, 1, GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL_MSG(test, ptr, "size %zu", size);
			arena_pattern_fill(ptr, size, n);
			ext[n] = (struct arena_extent){ ptr, size, n };
			used += size;
		}
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
		arena_expect_sane(test, arena);
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
	}
}

/* Clause 5: objects larger than a slab need a context that may sleep. */
static void large_atomic(struct kunit *test)
{
	static const gfp_t gfp[] = { ARENA_NOGROW, GFP_NOWAIT, GFP_ATOMIC };
	struct arena *arena = usual(test);
	struct arena_stats was;
	int i;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	for (i = 0; i < ARRAY_SIZE(gfp); i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, SLAB + 1, gfp[i]));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ANY, "gfp %d", i);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, SLAB + 1, GFP_KERNEL));
}

/*
 * Zero
 */
static const size_t zero_sizes[] = {
	1, 7, 8, 64, 100, 1000, PAGE_SIZE, PAGE_SIZE + 1, SLAB, SLAB + 1, 2 * SLAB + 100,
};

/* Use all of the space, and fill it with ones. */
static void soil(struct kunit *test, struct arena *arena)
{
	size_t n;

	for (n = 0; n < arena_capacity(arena) / 64; n++) {
		void *ptr = arena_alloc(arena, 64, GFP_KERNEL);

		if (!ptr)
			break;
		memset(ptr, 0xff, 64);
	}
	KUNIT_EXPECT_GT(test, n, arena_capacity(arena) / 64 / 2);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
}

enum zero_by { BY_ZALLOC, BY_GFP, BY_GFP_ALIGNED, BY_FLAG, NR_ZERO_BY };

static void *alloc_zeroed(struct arena *arena, size_t size, enum zero_by by)
{
	switch (by) {
	case BY_ZALLOC:
		return arena_zalloc(arena, size, GFP_KERNEL);
	case BY_GFP:
		return arena_alloc(arena, size, GFP_KERNEL | __GFP_ZERO);
	case BY_GFP_ALIGNED:
		return arena_alloc_aligned(arena, size, 64, GFP_KERNEL | __GFP_ZERO);
	default:
		return arena_alloc(arena, size, GFP_KERNEL);
	}
}

/* Clause 6: a zeroed object is zero in all its bytes, in memory that was dirty before. */
static void zeroed(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	unsigned int objects = 0;
	enum zero_by by;
	int i, n;

	for (by = 0; by < NR_ZERO_BY; by++) {
		if (by == BY_FLAG && !(kind->flags & ARENA_ZERO))
			continue;
		for (i = 0; i < ARRAY_SIZE(zero_sizes); i++) {
			soil(test, arena);
			for (n = 0; n < 50; n++) {
				void *ptr = alloc_zeroed(arena, zero_sizes[i], by);

				if (!ptr)
					break;
				if (!arena_is_zero(ptr, zero_sizes[i]))
					KUNIT_FAIL(test, "way %d size %zu object %d is not zero\n",
						   by, zero_sizes[i], n);
				memset(ptr, 0xee, zero_sizes[i]);
				objects++;
			}
			KUNIT_EXPECT_GE(test, n, 2);
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		}
	}
	KUNIT_EXPECT_GE(test, objects, 500);
}

/* So large that spans are longer than the part of a span that is zeroed at once. */
#define LONG_SLAB	((size_t)SZ_64K)
#define LONG_CAPACITY	(8 * LONG_SLAB)

/* Fill the arena with dirty objects; returns the bytes of those that were not zero when made. */
static size_t fill_and_soil(struct arena *arena, const size_t *sizes, unsigned int nr, size_t align)
{
	size_t dirty = 0;
	unsigned int n;
	u8 *ptr;

	for (n = 0;; n++) {
		size_t size = sizes[n % nr];

		ptr = arena_alloc_aligned(arena, size, align, GFP_KERNEL);
		if (!ptr)
			return dirty;
		if (!arena_is_zero(ptr, size))
			dirty += size;
		memset(ptr, 0xee, size);
	}
}

/*
 * Clauses 6, 16: objects from a long span are zeroed, whatever their sizes, on every CPU. So are
 * objects from the rest of a CPU's span that another CPU allocates when the arena is full.
 */
static void zeroed_ahead(struct kunit *test)
{
	static const size_t words[] = { 64 }, odd[] = { 100, 8, 4096, 1 };
	static const size_t long_ones[] = { SZ_16K + 8, 24, SZ_32K + 1 };
	static const size_t slabs[] = { LONG_SLAB, 8 };
	static const struct {
		const size_t	*sizes;
		unsigned int	nr;
		size_t		align;
	} ways[] = {
		{ words, 1, 8 }, { words, 1, 1 }, { odd, 4, 8 }, { odd, 4, 256 },
		{ long_ones, 3, 8 }, { long_ones, 3, SZ_16K }, { slabs, 2, 8 },
	};
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, LONG_CAPACITY, LONG_SLAB,
						kind->flags | ARENA_ZERO);
	unsigned int i, n, cpu;

	for (i = 0; i < 3 * ARRAY_SIZE(ways); i++) {
		unsigned int way = i % ARRAY_SIZE(ways);

		/* Let each CPU claim a span, and use only a part of it. */
		for_each_online_cpu(cpu) {
			KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
			for (n = 0; n < 600; n++) {
				u8 *ptr = arena_alloc(arena, 64, GFP_KERNEL);

				KUNIT_ASSERT_NOT_NULL(test, ptr);
				KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, 64));
				memset(ptr, 0xee, 64);
			}
		}
		KUNIT_EXPECT_EQ_MSG(test, fill_and_soil(arena, ways[way].sizes, ways[way].nr,
							ways[way].align), 0, "way %u", way);
		/* Only small tails are left now: fill them with small objects. */
		KUNIT_EXPECT_EQ(test, fill_and_soil(arena, words, 1, 8), 0);
		arena_expect_sane(test, arena);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/* Clause 6: zeroing an object among dirty ones changes no byte of its neighbours. */
static void zeroed_among_others(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent ext[60];
	int n, round;

	soil(test, arena);
	for (round = 0; round < 2; round++) {
		for (n = 0; n < ARRAY_SIZE(ext); n++) {
			size_t size = 1 + 13 * n % 301;
			void *ptr = arena_alloc_aligned(arena, size, 1, n & 1 ?
							GFP_KERNEL | __GFP_ZERO : GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, ptr);
			if (n & 1)
				KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, size));
			arena_pattern_fill(ptr, size, n);
			ext[n] = (struct arena_extent){ ptr, size, n };
		}
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/* Clause 6: zeroed objects are zero in slabs that another arena has left dirty, too. */
static void zeroed_second_hand(struct kunit *test)
{
	struct arena *arena;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(zero_sizes); n++) {
		const size_t size = zero_sizes[n];
		void *ptr;

		arena = arena_test_create(test, CAPACITY, SLAB, 0);
		soil(test, arena);
		kunit_release_action(test, arena_test_destroy, arena);

		arena = usual(test);
		ptr = arena_zalloc(arena, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr, size), "size %zu", size);
		memset(ptr, 0xff, size);
		ptr = arena_alloc(arena, size, GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr, size), "size %zu", size);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/* Clause 6: with init_on_alloc, each object is zero even if the caller does not ask for it. */
static void init_on_alloc_zeroes(struct kunit *test)
{
	struct arena *arena = usual(test);
	int i;

	if (!want_init_on_alloc(0))
		kunit_skip(test, "init_on_alloc is off in this kernel");
	for (i = 0; i < ARRAY_SIZE(zero_sizes); i++) {
		void *ptr;

		soil(test, arena);
		ptr = arena_alloc(arena, zero_sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr, zero_sizes[i]), "size %zu",
				      zero_sizes[i]);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Resets
 */

/* Make a fixed series of objects, with patterns that @seed distinguishes. */
static void work(struct kunit *test, struct arena *arena, u32 seed)
{
	struct arena_extent ext[48];
	size_t used = 0;
	int n;

	for (n = 0; n < ARRAY_SIZE(ext); n++) {
		size_t size = 1 + (n * 97) % 900;
		void *ptr = arena_alloc(arena, size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		arena_pattern_fill(ptr, size, seed + n);
		ext[n] = (struct arena_extent){ ptr, size, seed + n };
		used += size;
	}
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	arena_expect_sane(test, arena);
}

/* Clause 9: the slabs stay, and the next generation of the same objects needs no others. */
static void reset_keeps(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats first, s;
	int round;

	work(test, arena, 0);
	first = arena_test_stats(arena);
	KUNIT_EXPECT_GE(test, first.slabs, 2);
	for (round = 1; round < 20; round++) {
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		KUNIT_EXPECT_EQ(test, s.padding, 0);
		KUNIT_EXPECT_EQ(test, s.high, 0);
		KUNIT_EXPECT_EQ(test, s.free, CAPACITY);
		KUNIT_EXPECT_EQ(test, s.peak, first.high);
		KUNIT_EXPECT_EQ(test, s.resets, round);
		KUNIT_EXPECT_EQ(test, s.slabs, first.slabs);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, first.slabs);
		work(test, arena, round);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.page_allocs, first.page_allocs);
		KUNIT_EXPECT_EQ(test, s.pool_hits, first.pool_hits);
		KUNIT_EXPECT_EQ(test, s.page_frees, first.page_frees);
		KUNIT_EXPECT_EQ(test, s.used, first.used);
		KUNIT_EXPECT_EQ(test, s.high, first.high);
		KUNIT_EXPECT_EQ(test, s.padding, first.padding);
	}
}

/* Clauses 9, 13: the generation grows at every reset of every kind. */
static void reset_advances_generation(struct kunit *test)
{
	struct arena *arena = usual(test);
	u64 last = arena_test_stats(arena).generation;
	int i;

	for (i = 0; i < 1000; i++) {
		u64 now;

		switch (i % 5) {
		case 0:
			arena_reset_release(arena, 0);
			break;
		case 1:
			arena_reset_zero(arena);
			break;
		default:
			KUNIT_ASSERT_EQ(test, 0, arena_reset(arena));
		}
		now = arena_test_stats(arena).generation;
		KUNIT_EXPECT_GT(test, now, last);
		last = now;
		if (i % 3 == 0)
			KUNIT_ASSERT_NOT_NULL(test, arena_zalloc(arena, 100, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).resets, 1000);
}

/* Clause 9: release gives back all slabs but those that the caller asked to keep. */
static void reset_releases(struct kunit *test)
{
	static const size_t keep[] = {
		0, 1, SLAB - 1, SLAB, SLAB + 1, 3 * SLAB, CAPACITY, SIZE_MAX,
	};
	const size_t all = CAPACITY / SLAB;
	int i;

	for (i = 0; i < ARRAY_SIZE(keep); i++) {
		size_t want = min(all, DIV_ROUND_UP(min(keep[i], CAPACITY), SLAB));
		struct arena *arena = usual(test);
		struct arena_stats s;

		KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
		work(test, arena, i);
		arena_reset_release(arena, keep[i]);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ_MSG(test, s.slabs, want, "keep %zx", keep[i]);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, want);
		KUNIT_EXPECT_EQ(test, s.committed, want * SLAB);
		KUNIT_EXPECT_EQ(test, s.committed_peak, CAPACITY);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		KUNIT_EXPECT_EQ(test, s.resets, 1);

		/* Exactly the slabs that were kept can be used without growing. */
		if (is_dense(test))
			KUNIT_EXPECT_EQ(test, fill_up(test, arena, 64, 64, ARENA_NOGROW),
					want * SLAB / 64);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		work(test, arena, i);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/* Clause 9: after a zero reset, objects are zero even if the caller does not ask for it. */
static void reset_zeroes(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was, s;
	size_t n;

	for (n = 0; n < 3; n++) {
		size_t i;

		for (i = 0; i < CAPACITY / SLAB; i++) {
			void *ptr = arena_alloc(arena, SLAB, GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, ptr);
			memset(ptr, 0xff, SLAB);
		}
		was = arena_test_stats(arena);
		arena_reset_zero(arena);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.slabs, was.slabs);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, was.slabs);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		for (i = 0; i < CAPACITY / SLAB; i++) {
			void *ptr = arena_alloc(arena, SLAB, GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, ptr);
			KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr, SLAB), "slab %zu", i);
		}
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, was.page_allocs);
		/* The next zero reset must zero what this, larger generation left, too. */
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Clause 9: a zero reset also zeroes what earlier generations left behind, and not only what the
 * last one used.
 */
static void reset_zeroes_older_dirt(struct kunit *test)
{
	struct arena *arena = usual(test);
	size_t n;

	soil(test, arena);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	arena_reset_zero(arena);
	for (n = 0; n < CAPACITY / SLAB; n++) {
		void *ptr = arena_alloc(arena, SLAB, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr, SLAB), "slab %zu", n);
	}
}

/* Clause 8: the peak covers all generations, high and offset only the present one. */
static void peak_and_high(struct kunit *test)
{
	static const size_t objects[] = { 10, 500, 20, 400, 501, 1 };
	struct arena *arena = usual(test);
	size_t peak = 0;
	int i, n;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		struct arena_stats s;

		for (n = 0; n < objects[i]; n++)
			KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 128, GFP_KERNEL));
		s = arena_test_stats(arena);
		peak = max(peak, s.high);
		KUNIT_EXPECT_EQ(test, s.used, objects[i] * 128);
		KUNIT_EXPECT_GE(test, s.high, s.used);
		if (is_dense(test))
			KUNIT_EXPECT_EQ(test, s.high, s.used);
		KUNIT_EXPECT_EQ(test, s.peak, peak);
		KUNIT_EXPECT_EQ(test, arena_high(arena), s.high);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, peak);
	}
}

/*
 * Statistics while other threads allocate
 */
static void alloc_until_full(struct arena_hand *hand)
{
	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew) && arena_alloc(hand->crew->arena, 40, GFP_KERNEL))
		hand->allocs++;
}

/* Clause 7: the offset never goes back while other threads allocate, and is exact at the end. */
static void offset_is_monotone(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_2M, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 3, 0);
	unsigned long looks = 0, back = 0, beyond = 0, moved = 0, patience = 0;
	unsigned int i, round;

	for (round = 0; round < 10 || ((looks <= 10 || moved <= 3) && arena_patient(&patience));
	     round++) {
		size_t last = 0, last_high = 0;
		u64 last_allocs = 0;

		arena_crew_go(crew, alloc_until_full, 1000);
		while (atomic_read(&crew->busy)) {
			size_t now = arena_offset(arena), high = arena_high(arena);
			struct arena_stats s = arena_test_stats(arena);

			back += now < last || high < last_high || s.used < now ||
				s.allocs < last_allocs;
			beyond += s.used > SZ_2M || high > SZ_2M || s.high > SZ_2M ||
				  s.used > s.high;
			moved += now != last;
			last = now;
			last_high = high;
			last_allocs = s.allocs;
			looks++;
			cond_resched();
		}
		arena_crew_wait(crew);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 40 * arena_crew_allocs(crew));
		arena_expect_sane(test, arena);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
	}
	KUNIT_EXPECT_EQ(test, back, 0);
	KUNIT_EXPECT_EQ(test, beyond, 0);
	/* The reads must have seen the offset move: otherwise they have shown nothing. */
	KUNIT_EXPECT_GT(test, looks, 10);
	KUNIT_EXPECT_GT(test, moved, 3);
}

/*
 * Destroy an arena right after creation, after a reset, and with views of large objects alive.
 */
static void destroy_anytime(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena_config config = good_config;
	int i, cases = 0;

	config.flags = kind->flags;
	for (i = 0; i < 6; i++) {
		struct arena *arena = arena_create(&config);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
		if (i >= 1)
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 10, GFP_KERNEL));
		if (i >= 2)
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 2 * SLAB, GFP_KERNEL));
		if (i >= 3)
			KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
		if (i >= 4)
			KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, CAPACITY, GFP_KERNEL));
		if (i >= 5)
			arena_reset_release(arena, 0);
		arena_destroy(arena);
		cases++;
	}
	KUNIT_EXPECT_EQ(test, cases, 6);
}

/*
 * Clauses 3, 4: in an arena of programs, objects larger than a slab have no kernel address. Calls
 * that return an address refuse such objects, and change nothing.
 */
static void no_address(struct kunit *test)
{
	const size_t slab = SZ_64K, size = slab + 8;
	struct arena *arena = arena_test_create(test, 8 * slab, slab, 0);
	char *source = kunit_kzalloc(test, size + 1, GFP_KERNEL);
	struct arena_reserve reserve;
	struct arena_stats was;
	unsigned int way;

	KUNIT_ASSERT_NOT_NULL(test, source);
	memset(source, 's', size);
	arena->flags |= ARENA_MAPPABLE;
	for (way = 0; way < 5; way++) {
		void *object = NULL;
		int err = -ENOMEM;

		was = arena_test_stats(arena);
		if (way == 0)
			object = arena_alloc(arena, size, GFP_KERNEL);
		else if (way == 1)
			object = arena_alloc_aligned(arena, size, 64, GFP_KERNEL);
		else if (way == 2)
			object = arena_memdup(arena, source, size, GFP_KERNEL);
		else if (way == 3)
			object = arena_strdup(arena, source, GFP_KERNEL);
		else
			err = arena_reserve(arena, &reserve, size / 8, 8, 8, GFP_KERNEL);
		KUNIT_EXPECT_NULL_MSG(test, object, "way %u", way);
		KUNIT_EXPECT_LT_MSG(test, err, 0, "way %u", way);
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "way %u", way);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, slab, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_reserve(arena, &reserve, slab / 8, 8, 8, GFP_KERNEL), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, 8, 8));
}

/* Must be the last case: all memory of the arenas of the other cases was given back. */
static void nothing_is_left(struct kunit *test)
{
	arena_expect_nothing_left(test);
}

static unsigned int nr_states(const struct arena *arena)
{
	const struct arena_cpu *cpu;
	unsigned int nr = 0;

	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		nr++;
	return nr;
}

/*
 * Clause 25: a new arena has no state for any CPU. The first allocation on a CPU creates the state
 * of that CPU only, and a reset keeps it.
 */
static void cpu_state_comes_with_first_use(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	unsigned int cpu = get_cpu(), round;

	put_cpu();
	KUNIT_EXPECT_EQ(test, nr_states(arena), 0);
	KUNIT_EXPECT_LE(test, sizeof(struct arena_cpu) + sizeof(struct arena_leaf), 512);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
	for (round = 0; round < 3; round++) {
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, nr_states(arena), 1);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 64);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, round + 1);
		arena_reset(arena);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 2, 8, 25: a caller that permits no growth is served from committed memory even on a CPU
 * without state. Each byte, object and failure is counted, also across a reset, and together
 * with the counts of the state that the CPU gets later.
 */
static void cpu_without_state_serves_and_counts(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	struct arena_stats s;
	unsigned int i, n;
	u8 *ptr;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, SZ_64K, GFP_KERNEL), 0);
	/* Otherwise the first CPU to allocate would get a state without permission to grow. */
	arena->first_used = 1;
	for (n = 0; n < 2; n++) {
		for (i = 0; (ptr = arena_zalloc(arena, 100, ARENA_NOGROW)); i++) {
			KUNIT_ASSERT_NULL(test, memchr_inv(ptr, 0, 100));
			memset(ptr, 0x5a, 100);
		}
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, i, SZ_64K / 104);
		KUNIT_EXPECT_EQ(test, nr_states(arena), 0);
		KUNIT_EXPECT_EQ(test, s.used, i * 100);
		KUNIT_EXPECT_EQ(test, s.allocs, (n + 1) * i);
		KUNIT_EXPECT_EQ(test, s.fail_space, n + 1);
		arena_expect_sane(test, arena);
		arena_reset(arena);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, ARENA_NOGROW));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	KUNIT_EXPECT_GE(test, nr_states(arena), 1);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 264);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, 2 * i + 3);
	arena_expect_sane(test, arena);
}

static struct kunit_case arena_core_cases[] = {
	KUNIT_CASE(create_refuses),
	KUNIT_CASE(create_accepts),
	KUNIT_CASE_PARAM(fresh, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_counts_bytes, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_offset_is_n_times_size, arena_kind_gen_params),
	KUNIT_CASE_PARAM(align_table, arena_kind_gen_params),
	KUNIT_CASE_PARAM(no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(no_overlap_of_arenas, arena_kind_gen_params),
	KUNIT_CASE(dense_is_contiguous),
	KUNIT_CASE(dense_follows_the_model),
	KUNIT_CASE_PARAM(exact_capacity, arena_kind_gen_params),
	KUNIT_CASE_PARAM(refuse_table, arena_kind_gen_params),
	KUNIT_CASE_PARAM(full, arena_kind_gen_params),
	KUNIT_CASE_PARAM(failures_by_cause, arena_kind_gen_params),
	KUNIT_CASE_PARAM(nogrow, arena_kind_gen_params),
	KUNIT_CASE_PARAM(populate_refuses, arena_kind_gen_params),
	KUNIT_CASE_PARAM(committed_follows_use, arena_kind_gen_params),
	KUNIT_CASE_PARAM(atomic_callers, arena_kind_gen_params),
	KUNIT_CASE_PARAM(large, arena_kind_gen_params),
	KUNIT_CASE_PARAM(large_among_small, arena_kind_gen_params),
	KUNIT_CASE_PARAM(large_atomic, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zeroed, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zeroed_ahead, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zeroed_among_others, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zeroed_second_hand, arena_kind_gen_params),
	KUNIT_CASE_PARAM(init_on_alloc_zeroes, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_keeps, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_advances_generation, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_releases, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_zeroes, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_zeroes_older_dirt, arena_kind_gen_params),
	KUNIT_CASE_PARAM(peak_and_high, arena_kind_gen_params),
	KUNIT_CASE_PARAM(offset_is_monotone, arena_kind_gen_params),
	KUNIT_CASE_PARAM(destroy_anytime, arena_kind_gen_params),
	KUNIT_CASE_PARAM(cpu_state_comes_with_first_use, arena_kind_gen_params),
	KUNIT_CASE_PARAM(cpu_without_state_serves_and_counts, arena_kind_gen_params),
	KUNIT_CASE(no_address),
	KUNIT_CASE(nothing_is_left),
	{ }
};

/* Each CPU has its own span, so cases with exact counts must stay on one CPU. */
static int arena_core_init(struct kunit *test)
{
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

static int arena_core_suite_init(struct kunit_suite *suite)
{
	arena_remember_total();
	return 0;
}

static struct kunit_suite arena_core_suite = {
	.name = "arena_core",
	.suite_init = arena_core_suite_init,
	.init = arena_core_init,
	.test_cases = arena_core_cases,
};

kunit_test_suite(arena_core_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: the contract, one caller at a time");
MODULE_LICENSE("GPL");
