// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of arena_alloc_obj(), arena_alloc_objs() and arena_alloc_flex(), which allocate by type and
 * take the same arguments as the kernel's kmalloc_obj(), kmalloc_objs() and kmalloc_flex().
 */
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sizes.h>

#include "arena_test.h"

#define SLAB		((size_t)4 * PAGE_SIZE)
#define CAPACITY	(16 * SLAB)

#ifdef __has_builtin
#if __has_builtin(__builtin_counted_by_ref)
#define COUNTED_BY_REF
#endif
#endif

#ifndef __counted_by
#define __counted_by(member)
#endif

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

struct wide {
	u64	word __aligned(64);
	u8	byte;
};

struct flexible {
	u8	nr;
	u32	tail[] __counted_by(nr);
};

struct uncounted {
	u64	head;
	u16	tail[];
};

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, CAPACITY, SLAB, kind->flags);
}

/* Clauses 1, 28: an object has the size and alignment of its type, and is zeroed if asked for. */
static void obj_of_type_sized_and_aligned(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct wide *wide;
	u8 *byte;
	int i;

	for (i = 0; i < 10; i++) {
		size_t used = arena_offset(arena);

		byte = arena_alloc_obj(arena, u8);
		KUNIT_ASSERT_NOT_NULL(test, byte);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used + sizeof(u8));
		wide = arena_alloc_obj(arena, struct wide, GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, wide);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)wide, 64));
		KUNIT_EXPECT_TRUE(test, arena_is_zero(wide, sizeof(*wide)));
		memset(wide, 0xff, sizeof(*wide));
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used + sizeof(u8) + sizeof(*wide));
	}
	arena_expect_sane(test, arena);
}

/*
 * Clause 28: if a caller passes an expression instead of a type, only the type of the expression is
 * used. The expression is not evaluated, so it may dereference NULL, and @at is not incremented.
 */
static void alloc_by_expression_not_evaluated(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct wide *one = NULL, *many = NULL;
	struct uncounted *flex = NULL;
	int at = 0;

	one = arena_alloc_obj(arena, one[at++]);
	many = arena_alloc_objs(arena, many[at++], 3);
	flex = arena_alloc_flex(arena, flex[at++], tail, 3);
	KUNIT_EXPECT_EQ(test, at, 0);
	KUNIT_EXPECT_NOT_NULL(test, one);
	KUNIT_EXPECT_NOT_NULL(test, many);
	KUNIT_EXPECT_NOT_NULL(test, flex);
}

/* Clauses 4, 28: if the caller leaves out the gfp flags, the arena may grow, as with GFP_KERNEL. */
static void alloc_without_gfp_grows(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_NULL(test, arena_alloc_obj(arena, u64, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "obj");
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_objs(arena, u64, 4, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "objs");
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_flex(arena, struct uncounted, tail, 4, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "flex");
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc_obj(arena, u64));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc_objs(arena, u64, 4));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc_flex(arena, struct uncounted, tail, 4));
}

/* Clauses 5, 7, 28: an array whose size in bytes overflows a size_t is refused. */
static void objs_overflow_refused(struct kunit *test)
{
	static const size_t bad[] = {
		0, SIZE_MAX, SIZE_MAX / sizeof(struct wide) + 1,
		SIZE_MAX / sizeof(struct wide) + 2,
	};
	struct arena *arena = usual(test);
	struct arena_stats was;
	struct wide *objects;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_alloc_objs(arena, struct wide, bad[i]));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "case %d", i);
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_objs(arena, struct wide,
						 SIZE_MAX / sizeof(struct wide)));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "too many");
	objects = arena_alloc_objs(arena, *objects, 7);
	KUNIT_ASSERT_NOT_NULL(test, objects);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)objects, 64));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 7 * sizeof(*objects));
	memset(objects, 0xff, 7 * sizeof(*objects));
}

/*
 * Clauses 5, 7, 28: a struct is refused if its size, with the flexible array, overflows a size_t.
 */
static void flex_overflow_refused(struct kunit *test)
{
	static const size_t bad[] = {
		SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / sizeof(u16) + 1,
		(SIZE_MAX - sizeof(struct uncounted)) / sizeof(u16) + 1,
	};
	struct arena *arena = usual(test);
	struct uncounted *flex;
	struct arena_stats was;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_alloc_flex(arena, *flex, tail, bad[i]));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "case %d", i);
	}
	for (i = 0; i < 20; i++) {
		size_t used = arena_offset(arena);

		flex = arena_alloc_flex(arena, *flex, tail, i);
		KUNIT_ASSERT_NOT_NULL(test, flex);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used + struct_size(flex, tail, i));
		memset(flex, 0xff, struct_size(flex, tail, i));
	}
	arena_expect_sane(test, arena);
}

#ifdef COUNTED_BY_REF
/*
 * Clause 28: if a flexible array has __counted_by(), arena_alloc_flex() sets the member that counts
 * its elements. An array with more elements than this member can count is refused.
 */
static void flex_counted_by_sets_counter(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	struct flexible *flex;
	size_t n;

	for (n = 0; n < 256; n += 51) {
		flex = arena_alloc_flex(arena, *flex, tail, n);
		KUNIT_ASSERT_NOT_NULL(test, flex);
		KUNIT_EXPECT_EQ(test, flex->nr, n);
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_flex(arena, *flex, tail, 256));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "more than a u8 can count");
}
#else
static void flex_counted_by_sets_counter(struct kunit *test)
{
	kunit_skip(test, "this compiler has no __builtin_counted_by_ref()");
}
#endif

/*
 * Keep each case on one CPU. If the task migrated during a case, it would claim another span on the
 * new CPU, and the statistics would differ from those that the case expects.
 */
static int arena_obj_init(struct kunit *test)
{
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

static struct kunit_case arena_obj_cases[] = {
	KUNIT_CASE_PARAM(obj_of_type_sized_and_aligned, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_by_expression_not_evaluated, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_without_gfp_grows, arena_kind_gen_params),
	KUNIT_CASE_PARAM(objs_overflow_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(flex_overflow_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(flex_counted_by_sets_counter, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_obj_suite = {
	.name = "arena_obj",
	.suite_init = arena_test_suite_init,
	.init = arena_obj_init,
	.test_cases = arena_obj_cases,
};

kunit_test_suite(arena_obj_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: objects by type, as kmalloc_obj()");
MODULE_LICENSE("GPL");
