// SPDX-License-Identifier: GPL-2.0
/* Tests of allocation and growth by one caller at a time. arena_stress_kunit.c tests races. */
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>

#include "arena_test.h"

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

#define CAPACITY	(8 * SLAB)

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, 0);
}

/*
 * Clause 16: how many objects a full arena may lack. In an arena with spans, an atomic allocation
 * may fail although the tail of a span has room for the object: if a single CPU allocates, the
 * arena may lack one object. A dense arena must not lack any.
 */
#define TAIL_OBJECTS(test)	(arena_test_is_dense(test) ? 0 : 1)

/*
 * Allocation
 */

/* Clauses 1, 7: arena_offset() is exactly the sum of the sizes of the objects. */
static void alloc_few_objects_bytes_counted(struct kunit *test)
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

/* Clause 7: if no object needs padding, arena_offset() is exactly n * size. */
static void alloc_equal_sizes_offset_is_sum(struct kunit *test)
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
 * Allocate one object of @size between two objects of one byte. The first byte leaves the cursor
 * unaligned, so the object may need padding. Filling the object must change neither of the two
 * bytes.
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

/* Clause 1: objects of every size are aligned as asked, at every alignment allowed for the size. */
static void alloc_each_size_and_alignment_aligned(struct kunit *test)
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

/*
 * Fill @arena with objects of @size, each of which holds the address of the previous object. If two
 * objects overlapped, an address would be overwritten, and the walk along the chain would fail.
 */
static void check_filled(struct kunit *test, struct arena *arena, size_t size)
{
	void **object, **last = NULL;
	size_t nr = 0;

	while ((object = arena_alloc(arena, size, GFP_KERNEL))) {
		KUNIT_ASSERT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, object)),
				    (void *)object);
		*object = last;
		last = object;
		nr++;
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), nr * size);
	for (object = last; object && nr; object = *object)
		nr--;
	KUNIT_EXPECT_EQ(test, nr, 0);
	KUNIT_EXPECT_NULL(test, object);
}

/*
 * Clause 1: objects of one size that fill the arena do not overlap. The test does this for several
 * slab sizes: no span crosses the end of a slab, so the slab size limits the length of spans.
 */
static void alloc_equal_sizes_until_full_no_overlap(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	static const size_t sizes[] = { 64, 192, 1024 };
	struct arena *arena;
	size_t slab, i;

	for (slab = PAGE_SIZE; slab <= 2 * SZ_64K; slab *= 2) {
		arena = arena_test_create(test, 8 * slab, slab, kind->flags);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			check_filled(test, arena, sizes[i]);
			arena_reset_release(arena, 0);
		}
	}
}

/* Clauses 1, 7: objects of mixed sizes and alignments that fill the arena do not overlap. */
static void alloc_mixed_until_full_no_overlap(struct kunit *test)
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
	KUNIT_EXPECT_LT(test, nr, tries);	/* the arena has become full */
	KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, nr);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_space, tries - nr);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, nr));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, nr));
	arena_expect_sane(test, arena);
	kvfree(ext);
}

/* Clause 1: arenas do not share memory. */
static void alloc_several_arenas_no_overlap(struct kunit *test)
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

/* In a dense arena, objects that need no padding and fill slabs exactly are contiguous. */
static void alloc_dense_contiguous(struct kunit *test)
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
 * Clause 7: in a dense arena, all padding can be computed in advance. Compare the statistics with a
 * model that computes the padding.
 */
static void alloc_dense_follows_model(struct kunit *test)
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

/*
 * Clauses 1, 16: an arena hands out exactly its capacity, even if that is no multiple of PAGE_SIZE.
 */
static void alloc_odd_capacity_exact(struct kunit *test)
{
	static const size_t capacity[] = {
		1, 2, 7, 8, 9, 63, 100, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1,
		SLAB - 1, SLAB, SLAB + 1, 2 * SLAB - 8, 2 * SLAB + 17,
	};
	const struct arena_kind *kind = test->param_value;
	size_t pages, n;
	int i;

	for (i = 0; i < ARRAY_SIZE(capacity); i++) {
		struct arena *arena = arena_test_create(test, capacity[i], SLAB, kind->flags);
		/* In a span, each object takes a multiple of 8 bytes. */
		size_t size = arena_test_is_dense(test) ? 1 : 8, nr;

		/*
		 * The case tests the end of the capacity. To be quick, first use up all but the
		 * last one to two pages by objects of one page.
		 */
		pages = max_t(size_t, capacity[i] / PAGE_SIZE, 1) - 1;
		for (n = 0; n < pages; n++)
			KUNIT_ASSERT_NOT_NULL(test, arena_alloc_aligned(arena, PAGE_SIZE, 1,
									GFP_KERNEL));
		nr = arena_test_fill(test, arena, size, 1, GFP_KERNEL);
		KUNIT_EXPECT_EQ_MSG(test, nr, (capacity[i] - pages * PAGE_SIZE) / size,
				    "capacity %zu", capacity[i]);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), pages * PAGE_SIZE + nr * size);
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
 * Clauses 4, 5: an arena refuses allocations with bad arguments, and counts each refusal by its
 * cause. The sum of a huge size and the cursor's offset must not wrap, so the case runs with an
 * empty arena, with the cursor at an odd offset, and with a nearly full arena.
 */
static void alloc_bad_argument_refused(struct kunit *test)
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

/*
 * Clause 4: an object that does not fit into the rest of the arena is refused. A smaller object
 * that fits is allocated afterwards.
 */
static void alloc_when_full_refused(struct kunit *test)
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

/* Clause 8: each cause of failure has its own count. Successful allocations raise none of them. */
static void alloc_failures_counted_by_cause(struct kunit *test)
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
static void alloc_without_growth_null(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was = arena_test_stats(arena);
	size_t nr;

	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "uncommitted");
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_zalloc(arena, SLAB, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "uncommitted, zeroed");

	/* With one slab committed, allocations succeed until that slab is full. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, 1, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, was.slabs, 1);
	KUNIT_EXPECT_EQ(test, was.used, 0);
	nr = arena_test_fill(test, arena, 64, 64, ARENA_NOGROW);
	KUNIT_EXPECT_EQ(test, nr, SLAB / 64);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_memory, was.fail_memory + 1);

	/* With all slabs committed, no allocation calls the page allocator. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, was.slabs, CAPACITY / SLAB);
	KUNIT_EXPECT_EQ(test, was.committed, CAPACITY);
	KUNIT_EXPECT_EQ(test, was.used, SLAB);
	nr = arena_test_fill(test, arena, 64, 64, ARENA_NOGROW);
	KUNIT_EXPECT_LE(test, nr, (CAPACITY - SLAB) / 64);
	KUNIT_EXPECT_GE(test, nr + TAIL_OBJECTS(test), (CAPACITY - SLAB) / 64);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).fail_space, was.fail_space + 1);

	/* Populating an arena whose slabs are all committed changes nothing. */
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY, ARENA_NOGROW), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "populate again");
	arena_expect_sane(test, arena);
}

/* A refused arena_populate() changes nothing, and is not counted as a failed allocation. */
static void populate_bad_argument_refused(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, arena_populate(arena, CAPACITY + 1, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, SIZE_MAX, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, SLAB, ARENA_NOGROW), -ENOMEM);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, 0, ARENA_NOGROW), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "populate");
}

/* Clause 8: the arena commits slabs one at a time, as allocations use its space. */
static void alloc_slab_sized_commits_one_slab(struct kunit *test)
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
 * Clause 2: atomic callers may allocate under a spinlock with interrupts off, in an RCU read-side
 * critical section, and with preemption off. Lockdep and the kernel's checks for sleeping in atomic
 * context would report an allocator that sleeps or takes a sleeping lock.
 */
static void alloc_atomic_context_ok(struct kunit *test)
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

/* Clauses 1, 5: objects of several slabs are contiguous and writable, also after resets. */
static void alloc_large_contiguous(struct kunit *test)
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

/* Objects larger than a slab, and small objects between them, stay intact until the reset. */
static void alloc_large_among_small_intact(struct kunit *test)
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

/* Clause 5: only callers that may sleep can allocate objects larger than a slab. */
static void alloc_large_atomic_null(struct kunit *test)
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
 * Clauses 3, 4: in an arena that programs may map (ARENA_MAPPABLE), objects larger than a slab have
 * no kernel address. Calls that return an address refuse such objects, and change nothing.
 */
static void alloc_large_without_address_refused(struct kunit *test)
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

static struct kunit_case arena_core_cases[] = {
	KUNIT_CASE_PARAM(alloc_few_objects_bytes_counted, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_equal_sizes_offset_is_sum, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_each_size_and_alignment_aligned, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_equal_sizes_until_full_no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_mixed_until_full_no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_several_arenas_no_overlap, arena_kind_gen_params),
	KUNIT_CASE(alloc_dense_contiguous),
	KUNIT_CASE(alloc_dense_follows_model),
	KUNIT_CASE_PARAM(alloc_odd_capacity_exact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_bad_argument_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_when_full_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_failures_counted_by_cause, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_without_growth_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(populate_bad_argument_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_slab_sized_commits_one_slab, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_atomic_context_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_large_contiguous, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_large_among_small_intact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_large_atomic_null, arena_kind_gen_params),
	KUNIT_CASE(alloc_large_without_address_refused),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_core_suite = {
	.name = "arena_core",
	.suite_init = arena_test_suite_init,
	.init = arena_test_stay_on_cpu,
	.test_cases = arena_core_cases,
};

kunit_test_suite(arena_core_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: allocation by one caller at a time");
MODULE_LICENSE("GPL");
