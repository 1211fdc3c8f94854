// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that objects are zero: if the caller or the flags of the arena ask for it, with
 * init_on_alloc, and after arena_reset_zero().
 */
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_test.h"

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

#define CAPACITY	(8 * SLAB)

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, 0);
}

/*
 * Zeroed objects
 */
static const size_t zero_sizes[] = {
	1, 7, 8, 64, 100, 1000, PAGE_SIZE, PAGE_SIZE + 1, SLAB, SLAB + 1, 2 * SLAB + 100,
};

/* Make the memory of an arena dirty: fill it with objects of 0xff bytes, and reset it. */
static void soil(struct kunit *test, struct arena *arena)
{
	const size_t size = 512, most = arena_capacity(arena) / size;
	size_t n;

	for (n = 0; n < most; n++) {
		void *ptr = arena_alloc(arena, size, GFP_KERNEL);

		if (!ptr)
			break;
		memset(ptr, 0xff, size);
	}
	KUNIT_EXPECT_GT(test, n, most / 2);
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

/* Clause 6: a zeroed object is zero in all its bytes, although its memory was dirty. */
static void zalloc_dirty_memory_zero(struct kunit *test)
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

/* With slabs of this size, spans are longer than the part of a span that a CPU zeroes at once. */
#define LONG_SLAB	((size_t)SZ_64K)
#define LONG_CAPACITY	(8 * LONG_SLAB)

/*
 * Fill the arena with objects, and make each dirty. Returns the sum of the sizes of those objects
 * that were not zero when they were allocated.
 */
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
 * Clauses 6, 16: with ARENA_ZERO, objects from a long span are zero, whatever their sizes, on every
 * CPU. When the arena is full, a CPU gets objects from the tails of other CPUs' spans: these are
 * zero, too.
 */
static void alloc_zero_arena_each_size_zero(struct kunit *test)
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
		/* Now only small tails are left, in which small objects fit. */
		KUNIT_EXPECT_EQ(test, fill_and_soil(arena, words, 1, 8), 0);
		arena_expect_sane(test, arena);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/* Clause 6: when the allocator zeroes an object, it changes no byte of the neighbours. */
static void zalloc_among_dirty_neighbours_intact(struct kunit *test)
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

/* Clause 6: zeroed objects are zero also in a slab that another arena has left dirty. */
static void zalloc_slab_of_other_arena_zero(struct kunit *test)
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
static void alloc_init_on_alloc_zero(struct kunit *test)
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

/* Clause 9: after arena_reset_zero(), objects are zero even if the caller does not ask for it. */
static void reset_zero_next_objects_zero(struct kunit *test)
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
		/* Let the next round follow a generation that has used only a few bytes. */
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Clause 9: arena_reset_zero() also zeroes memory that the last generation has not used, but an
 * earlier one has.
 */
static void reset_zero_older_generations_wiped(struct kunit *test)
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

static struct kunit_case arena_zero_cases[] = {
	KUNIT_CASE_PARAM(zalloc_dirty_memory_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_zero_arena_each_size_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_among_dirty_neighbours_intact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_slab_of_other_arena_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_init_on_alloc_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_zero_next_objects_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_zero_older_generations_wiped, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_zero_suite = {
	.name = "arena_zero",
	.suite_init = arena_test_suite_init,
	.init = arena_test_stay_on_cpu,
	.test_cases = arena_zero_cases,
};

kunit_test_suite(arena_zero_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: zeroed memory");
MODULE_LICENSE("GPL");
