// SPDX-License-Identifier: GPL-2.0
/*
 * KMSAN: the contents of a new object are uninitialized, even where an older object lay, unless the
 * arena zeroed or copied them (clause 26). "make kmsan" runs this suite.
 */
#include <linux/kmsan-checks.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <trace/events/printk.h>

#include <linux/arena_private.h>

#include "arena_test.h"

#define CAPACITY	(4 * SLAB)
#define SIZE		100

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static atomic_t reports;

/* KMSAN has no tracepoint of its own: count the first lines of its reports in the kernel's log. */
static void count_report(void *data, const char *text, size_t len)
{
	if (strnstr(text, "BUG: KMSAN: ", len))
		atomic_inc(&reports);
}

static bool is_reported(const void *object, size_t size)
{
	int before = atomic_read(&reports);

	pr_warn("arena-test: expect splat\n");
	kmsan_check_memory(object, size);
	pr_warn("arena-test: end of splat\n");
	return atomic_read(&reports) > before;
}

static void expect_initialized(struct kunit *test, const char *object, size_t size)
{
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_FALSE(test, is_reported(object, size));
}

/*
 * Expect that a new object is uninitialized, or initialized if the case is about an arena that
 * zeroes, and that it is initialized once it has been written to.
 */
static void expect_new(struct kunit *test, char *object, size_t size)
{
	const struct arena_kind *kind = test->param_value;
	bool zeroed = kind && (kind->flags & ARENA_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_NE(test, is_reported(object, 1), zeroed);
	KUNIT_EXPECT_NE(test, is_reported(object + size - 1, 1), zeroed);
	memset(object, 1, size);
	expect_initialized(test, object, size);
}

/* Clauses 6 and 26: objects in memory of a former generation are what they are in fresh memory. */
static void alloc_after_reset_uninitialized(struct kunit *test)
{
	struct arena *arena = arena_test_create_kind(test, CAPACITY, 0);
	int round, nr;

	for (round = 0; round < 4; round++) {
		for (nr = 0; nr < 2 * SLAB / SZ_4K; nr++) {
			expect_new(test, arena_alloc(arena, 50, GFP_KERNEL), 50);
			expect_new(test, arena_alloc(arena, SZ_4K, GFP_KERNEL), SZ_4K);
		}
		if (round % 2)
			arena_reset_release(arena, SLAB);
		else
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

static void alloc_after_rewind_uninitialized(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	char *below = arena_alloc(arena, SIZE, GFP_KERNEL), *above;
	struct arena_mark mark;

	expect_new(test, below, SIZE);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	above = arena_alloc(arena, SIZE, GFP_KERNEL);
	expect_new(test, above, SIZE);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	expect_initialized(test, below, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, (char *)arena_alloc(arena, SIZE, GFP_KERNEL), above);
	expect_new(test, above, SIZE);
}

static void alloc_after_reset_rcu_uninitialized(struct kunit *test)
{
	struct arena *arena = arena_test_create_kind(test, CAPACITY, ARENA_READERS);
	char *first = arena_alloc(arena, SIZE, GFP_KERNEL);

	expect_new(test, first, SIZE);
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	expect_initialized(test, first, SIZE);
	rcu_read_unlock();
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	KUNIT_EXPECT_PTR_EQ(test, (char *)arena_alloc(arena, SIZE, GFP_KERNEL), first);
	expect_new(test, first, SIZE);
	rcu_barrier();
}

/* Clauses 6 and 26: what the arena zeroes or copies is initialized, also in reused memory. */
static void zalloc_after_reset_initialized(struct kunit *test)
{
	struct arena *arena = arena_test_create_kind(test, CAPACITY, 0);
	int round;

	for (round = 0; round < 3; round++) {
		expect_initialized(test, arena_zalloc(arena, SIZE, GFP_KERNEL), SIZE);
		expect_initialized(test, arena_strdup(arena, "0123456789", GFP_KERNEL), 11);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/* Clause 26: blocks that other arenas gave to the pool are uninitialized. */
static void alloc_from_pool_uninitialized(struct kunit *test)
{
	int round;

	for (round = 0; round < 3; round++) {
		struct arena *arena = arena_test_create_kind(test, CAPACITY, 0);

		expect_new(test, arena_alloc(arena, SIZE, GFP_KERNEL), SIZE);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

static void private_alloc_after_reset_uninitialized(struct kunit *test)
{
	struct arena_private_mark mark;
	struct arena_private arena;
	char *first, *next;

	arena_private_init(&arena, NULL, 0);
	first = arena_private_alloc(&arena, SIZE, GFP_KERNEL);
	expect_new(test, first, SIZE);
	mark = arena_private_mark(&arena);
	next = arena_private_alloc(&arena, SIZE, GFP_KERNEL);
	expect_new(test, next, SIZE);
	KUNIT_EXPECT_EQ(test, arena_private_rewind(&arena, &mark), 0);
	KUNIT_EXPECT_PTR_EQ(test, (char *)arena_private_alloc(&arena, SIZE, GFP_KERNEL), next);
	expect_new(test, next, SIZE);
	expect_initialized(test, first, SIZE);
	arena_private_reset(&arena);
	KUNIT_EXPECT_PTR_EQ(test, (char *)arena_private_alloc(&arena, SIZE, GFP_KERNEL), first);
	expect_new(test, first, SIZE);
	arena_private_reset(&arena);
	next = arena_private_alloc(&arena, SIZE, GFP_KERNEL | __GFP_ZERO);
	expect_initialized(test, next, SIZE);
	arena_private_destroy(&arena);
}

static int reports_init(struct kunit_suite *suite)
{
	return arena_test_suite_init(suite) ?: register_trace_console(count_report, NULL);
}

static void reports_exit(struct kunit_suite *suite)
{
	unregister_trace_console(count_report, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit_case arena_kmsan_cases[] = {
	KUNIT_CASE_PARAM(alloc_after_reset_uninitialized, arena_kind_gen_params),
	KUNIT_CASE(alloc_after_rewind_uninitialized),
	KUNIT_CASE_PARAM(alloc_after_reset_rcu_uninitialized, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_after_reset_initialized, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_from_pool_uninitialized, arena_kind_gen_params),
	KUNIT_CASE(private_alloc_after_reset_uninitialized),
	{ }
};

static struct kunit_suite arena_kmsan_suite = {
	.name = "arena_kmsan",
	.suite_init = reports_init,
	.suite_exit = reports_exit,
	.init = arena_test_stay_on_cpu,
	.test_cases = arena_kmsan_cases,
};

kunit_test_suite(arena_kmsan_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: reports of KMSAN");
MODULE_LICENSE("GPL");
