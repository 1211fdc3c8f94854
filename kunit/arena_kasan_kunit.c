// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of KASAN's reports (clause 26): an access to memory outside all live objects causes one
 * report, with the right address, and an access to a live object causes none.
 *
 * A work item makes the accesses, because a report fails the test case of the task that causes it.
 * Without kasan_multi_shot on the kernel's command line, KASAN reports only the first bad access,
 * so all cases need this parameter.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>
#include <trace/events/error_report.h>

#include <linux/arena_buf.h>
#include <linux/arena_private.h>

#include "arena_test.h"
#include "arena_typed_test.h"

#define CAPACITY	(8 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/*
 * The number of reports since the suite began, the address in the last report, and whether KASAN
 * reports every bad access.
 */
static atomic_t reports;
static unsigned long reported;
static bool every_report;

static void count_report(void *data, enum error_detector detector, unsigned long address)
{
	if (detector != ERROR_DETECTOR_KASAN)
		return;
	WRITE_ONCE(reported, address);
	atomic_inc(&reports);
}

/* A work item that reads bytes one by one. */
struct look {
	struct work_struct	work;
	const char		*at;
	size_t			size;
};

static void look_at(struct work_struct *work)
{
	const struct look *look = container_of(work, struct look, work);
	size_t i;

	for (i = 0; i < look->size; i++)
		READ_ONCE(look->at[i]);
}

/* Read @size bytes at @at in a work item. Returns the number of reports. */
static int look(const void *at, size_t size)
{
	struct look look = { .at = at, .size = size };
	int before = atomic_read(&reports);

	INIT_WORK_ONSTACK(&look.work, look_at);
	pr_warn("arena-test: expect splat\n");
	schedule_work(&look.work);
	flush_work(&look.work);
	pr_warn("arena-test: end of splat\n");
	destroy_work_on_stack(&look.work);
	return atomic_read(&reports) - before;
}

/* Expect one report about the byte at @at. */
static void expect_bad(struct kunit *test, const void *at)
{
	WRITE_ONCE(reported, 0);
	KUNIT_EXPECT_EQ(test, look(at, 1), 1);
	KUNIT_EXPECT_EQ(test, READ_ONCE(reported), (unsigned long)at);
}

static void expect_good(struct kunit *test, const void *at, size_t size)
{
	KUNIT_EXPECT_EQ(test, look(at, size), 0);
}

/* Expect that an object is accessible, and that the bytes before and behind it are not. */
static void expect_object(struct kunit *test, const void *object, size_t size)
{
	expect_good(test, object, size);
	expect_bad(test, object - 1);
	expect_bad(test, object + size);
}

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, 0);
}

static char *take(struct kunit *test, struct arena *arena, size_t size)
{
	char *object = arena_alloc(arena, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	return object;
}

static void needs_redzones(struct kunit *test, const struct arena *arena)
{
	if (!arena->redzone)
		kunit_skip(test, "needs arena.kasan_redzones=1");
}

/* Clause 26: exactly the bytes of an object are accessible, and redzones surround them. */
static void alloc_bounds_reported(struct kunit *test)
{
	static const size_t sizes[] = { 1, 13, 64, 8, 100, 4096, 7, SLAB - 13 };
	struct arena *arena = usual(test);
	char *object[ARRAY_SIZE(sizes)];
	unsigned int i;

	needs_redzones(test, arena);
	take(test, arena, 8);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		object[i] = take(test, arena, sizes[i]);
	for (i = 0; i < ARRAY_SIZE(sizes) - 1; i++)
		expect_object(test, object[i], sizes[i]);
	/*
	 * The last object lies at the start of its slab. The byte before the object belongs to
	 * other memory, which may be accessible, so check only the object and its end.
	 */
	expect_good(test, object[i], sizes[i]);
	expect_bad(test, object[i] + sizes[i]);
}

/* Clause 26: KASAN reports accesses just outside copies, strings and zeroed objects. */
static void copy_bounds_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	char *string, *copy, *zeroed;

	needs_redzones(test, arena);
	take(test, arena, 8);
	copy = arena_memdup_aligned(arena, "0123456789", 10, 1, GFP_KERNEL);
	string = arena_strdup(arena, "hello", GFP_KERNEL);
	zeroed = arena_zalloc(arena, 77, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_ASSERT_NOT_NULL(test, string);
	KUNIT_ASSERT_NOT_NULL(test, zeroed);
	expect_object(test, copy, 10);
	expect_object(test, string, 6);
	expect_object(test, zeroed, 77);
}

/* Clause 26: memory of a committed slab is poisoned, except the bytes of live objects. */
static void unused_memory_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	char *object = take(test, arena, 24);

	expect_good(test, object, 24);
	expect_bad(test, object + 24 + SZ_1K);
	expect_bad(test, object + SLAB - 1);
}

/*
 * Clause 26: resets that keep the slabs poison all objects. The next generation can use the memory.
 */
static void reset_objects_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	unsigned int way;

	for (way = 2; way < 4; way++) {
		char *object = take(test, arena, 100), *next;

		expect_good(test, object, 100);
		arena_test_reset(test, arena, way);
		expect_bad(test, object);
		expect_bad(test, object + 96);
		next = take(test, arena, 40);
		expect_good(test, next, 40);
		KUNIT_EXPECT_PTR_EQ(test, next, object);
		expect_bad(test, object + 96);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	}
}

/* Clause 26: the memory of a destroyed arena is poisoned, also while it is in the pool. */
static void destroy_objects_reported(struct kunit *test)
{
	const struct arena_config config = { .capacity = CAPACITY, .slab_size = SLAB };
	struct arena *arena = arena_create(&config);
	char *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	object = arena_alloc(arena, 100, GFP_KERNEL);
	arena_destroy(arena);
	KUNIT_ASSERT_NOT_NULL(test, object);
	expect_bad(test, object);
}

/* Clause 26: a rewind poisons the objects that it frees, and no others. */
static void rewind_objects_reported(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	char *below = take(test, arena, 100), *above, *other;
	struct arena_mark mark;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	above = take(test, arena, 100);
	other = take(test, arena, SLAB);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	expect_good(test, below, 100);
	expect_bad(test, above);
	expect_bad(test, other);
	expect_good(test, take(test, arena, 100), 100);
	expect_bad(test, other);
}

/* Read bytes in this task: the test case fails if KASAN reports an access. Returns their sum. */
static unsigned int sum(const char *object, size_t size)
{
	unsigned int n = 0;

	while (size--)
		n += object[size];
	return n;
}

/* Clause 26: after arena_reset_rcu(), objects are poisoned only when all readers have left. */
static void reset_rcu_objects_reported(struct kunit *test)
{
	struct arena *arena = arena_test_create_kind(test, CAPACITY, ARENA_READERS);
	int before = atomic_read(&reports);
	char *object = take(test, arena, 100), *next;

	memset(object, 1, 100);
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	KUNIT_EXPECT_EQ(test, sum(object, 100), 100);
	KUNIT_EXPECT_EQ(test, atomic_read(&reports), before);
	rcu_read_unlock();
	next = take(test, arena, 100);
	rcu_barrier();
	expect_bad(test, object);
	expect_good(test, next, 100);
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	expect_good(test, take(test, arena, 100), 100);
	rcu_barrier();
	expect_bad(test, next);
}

static void read_object(void *data)
{
	sum(data, 100);
}

/*
 * Clauses 26 and 27: actions may use the objects that end with them. A reset poisons these objects
 * only after the actions have returned.
 */
static void action_object_unpoisoned(struct kunit *test)
{
	struct arena *arena = usual(test);
	int before = atomic_read(&reports);
	char *object = arena_zalloc(arena, 100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_ASSERT_EQ(test, arena_add_action(arena, read_object, object, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&reports), before);
	expect_bad(test, object);
}

/* Clause 26: the unallocated part of a reservation is poisoned; after a reset, all of it is. */
static void reserve_rest_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	char *first, *second;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 4, 24, 8, GFP_KERNEL), 0);
	expect_bad(test, reserve.base);
	first = arena_reserve_alloc(&reserve, 24, 8);
	KUNIT_ASSERT_NOT_NULL(test, first);
	expect_good(test, first, 24);
	expect_bad(test, first + 24);
	second = arena_reserve_alloc(&reserve, 13, 1);
	KUNIT_ASSERT_NOT_NULL(test, second);
	expect_good(test, second, 13);
	expect_bad(test, second + 16);
	if (arena->redzone)
		expect_object(test, second, 13);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	expect_bad(test, first);
	expect_bad(test, second);
	expect_bad(test, reserve.base + 80);
}

/*
 * Clauses 26 and 28: when an object is resized, the bytes that it loses are poisoned, and the bytes
 * that it gains are accessible.
 */
static void resize_lost_bytes_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	char *object;

	needs_redzones(test, arena);
	take(test, arena, 8);
	object = take(test, arena, 100);
	KUNIT_ASSERT_TRUE(test, arena_resize(arena, object, 100, 50));
	expect_object(test, object, 50);
	KUNIT_ASSERT_TRUE(test, arena_resize(arena, object, 50, 91));
	expect_object(test, object, 91);
	/* With this allocation, @object is no longer the arena's last object. */
	expect_good(test, take(test, arena, 8), 8);
	KUNIT_ASSERT_TRUE(test, arena_resize(arena, object, 91, 13));
	expect_object(test, object, 13);
	expect_bad(test, object + 80);
}

/*
 * Print into an empty buffer, which grows in place, and finish it. Expects that exactly the room of
 * the buffer is accessible while it grows, and exactly the printed bytes after it is finished.
 */
static void expect_buf(struct kunit *test, struct arena_buf *buf)
{
	const char *object;
	unsigned int i;
	size_t size;

	for (i = 0; i < 50; i++) {
		KUNIT_ASSERT_TRUE(test, arena_buf_printf(buf, "%u,", 100 + i));
		if (i % 16)
			continue;
		expect_good(test, buf->data, buf->room);
		expect_bad(test, buf->data + buf->room);
	}
	KUNIT_EXPECT_TRUE(test, arena_buf_append(buf, "0123456789abc", 13));
	object = arena_buf_finish(buf, &size);
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_EQ(test, size, 213);
	expect_object(test, object, size);
}

/*
 * Clauses 26 and 28: KASAN reports accesses behind a buffer while the buffer grows, after it is
 * finished, and after it has been copied to a larger object.
 */
static void buf_bounds_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_buf buf;
	const char *was;

	needs_redzones(test, arena);
	take(test, arena, 8);
	arena_buf_init(&buf, arena, GFP_KERNEL);
	expect_buf(test, &buf);
	KUNIT_EXPECT_TRUE(test, arena_buf_printf(&buf, "%064d", 1));
	was = buf.data;
	/* With this allocation, the buffer is no longer the last object, so it grows by a copy. */
	take(test, arena, 8);
	KUNIT_EXPECT_TRUE(test, arena_buf_printf(&buf, "%0100d", 2));
	KUNIT_EXPECT_PTR_NE(test, (const char *)buf.data, was);
	expect_good(test, buf.data, buf.room);
	expect_bad(test, buf.data + buf.room);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	expect_bad(test, was);
	expect_bad(test, buf.data);
}

/* Clauses 26 and 28: KASAN reports accesses behind buffers and strings of a private arena. */
static void private_buf_bounds_reported(struct kunit *test)
{
	struct arena_private arena;
	struct arena_buf buf;
	const char *string;

	arena_private_init(&arena, NULL, 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 13, GFP_KERNEL));
	arena_buf_init_private(&buf, &arena, GFP_KERNEL);
	expect_buf(test, &buf);
	string = arena_private_printf(&arena, GFP_KERNEL, "%s", "0123456789");
	KUNIT_EXPECT_NOT_NULL(test, string);
	expect_object(test, string, 11);
	arena_private_destroy(&arena);
}

/*
 * Clause 26: with CONFIG_KASAN_VMALLOC, KASAN reports accesses behind an object larger than a slab.
 */
static void large_bounds_reported(struct kunit *test)
{
	struct arena *arena = usual(test);
	const size_t size = 2 * SLAB + 100;
	char *object;

	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC))
		kunit_skip(test, "needs CONFIG_KASAN_VMALLOC");
	object = take(test, arena, size);
	expect_good(test, object, size);
	expect_bad(test, object + size);
	expect_bad(test, object + 2 * SLAB + PAGE_SIZE - 1);
}

/* Clause 26: elements that are free, or not allocated yet, are poisoned. */
static void typed_free_elements_reported(struct kunit *test)
{
	const struct element *kind = test->param_value;
	struct arena_typed *typed = typed_create(test, kind->size, 100, kind->flags);
	char *src = kunit_kzalloc(test, kind->size, GFP_KERNEL), *first, *second;
	int before;

	KUNIT_ASSERT_NOT_NULL(test, src);
	first = arena_typed_alloc(typed, src);
	second = arena_typed_alloc(typed, src);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, second);
	expect_good(test, first, 2 * kind->size);
	expect_bad(test, second + kind->size);

	before = atomic_read(&reports);
	rcu_read_lock();
	arena_typed_free(typed, first);
	if (kind->flags & ARENA_READERS)
		sum(first, kind->size);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, atomic_read(&reports), before);
	rcu_barrier();
	expect_bad(test, first);
	expect_good(test, second, kind->size);
	KUNIT_EXPECT_PTR_EQ(test, (char *)arena_typed_alloc(typed, src), first);
	expect_good(test, first, 2 * kind->size);

	typed_reset(test, typed);
	rcu_barrier();
	expect_bad(test, first);
	expect_bad(test, second);
}

/*
 * Clause 26: in a private arena, memory outside live objects is poisoned, both in the caller's
 * buffer and in chunks.
 */
static void private_bounds_reported(struct kunit *test)
{
	char *buffer = kunit_kzalloc(test, 256, GFP_KERNEL), *in_buffer, *words, *in_chunk;
	struct arena_private_mark mark;
	struct arena_private arena;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	arena_private_init(&arena, buffer, 256);
	expect_bad(test, buffer + 100);
	arena_ignore(arena_private_alloc(&arena, 8, GFP_KERNEL));
	in_buffer = arena_private_alloc(&arena, 13, GFP_KERNEL);
	expect_good(test, in_buffer, 13);
	expect_bad(test, in_buffer + 13);
	mark = arena_private_mark(&arena);
	words = arena_private_alloc(&arena, 64, GFP_KERNEL);
	expect_good(test, words, 64);
	expect_bad(test, words + 64);
	in_chunk = arena_private_alloc(&arena, 1000, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, in_chunk);
	expect_good(test, in_chunk, 1000);
	expect_bad(test, in_chunk + 1000);
	KUNIT_EXPECT_TRUE(test, arena_private_resize(&arena, in_chunk, 1000, 99));
	expect_bad(test, in_chunk + 99);
	KUNIT_EXPECT_EQ(test, arena_private_rewind(&arena, &mark), 0);
	expect_good(test, in_buffer, 13);
	expect_bad(test, words);
	expect_bad(test, in_chunk);
	arena_private_reset(&arena);
	expect_bad(test, in_buffer);
	arena_private_destroy(&arena);
	expect_good(test, buffer, 256);
}

/* The following cases call functions that are not exported to modules. */
#if IS_BUILTIN(CONFIG_ARENA_KUNIT_TEST) && defined(CONFIG_KASAN_GENERIC)
/*
 * Clause 26: KASAN reports accesses just outside the objects of a batch, whether copied or zeroed.
 */
static void batch_bounds_reported(struct kunit *test)
{
	struct arena_part part[] = {
		{ .bytes = 13, .src = "0123456789abc" }, { .bytes = 64 }, { .bytes = 5 },
	};
	struct arena_batch batch = { .part = part, .nr = ARRAY_SIZE(part), .align = 1 };
	struct arena *arena = usual(test);
	unsigned int i;
	u64 generation;

	needs_redzones(test, arena);
	take(test, arena, 8);
	KUNIT_ASSERT_EQ(test, arena_claim_batch(arena, &batch, GFP_KERNEL | __GFP_ZERO,
						&generation), 0);
	for (i = 0; i < batch.nr; i++)
		expect_object(test, arena_page_address(arena, part[i].offset) +
			      offset_in_page(part[i].offset), part[i].bytes);
}

/* Clause 26: memory of an arena that programs may map is poisoned until a program maps it. */
static void mappable_unmapped_objects_reported(struct kunit *test)
{
	const struct arena_config config = { .capacity = CAPACITY, .slab_size = SLAB };
	static struct address_space mapping;
	struct arena *arena = __arena_create(&config, ARENA_MAPPABLE, &arena_total);
	char *object, *mapped;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, arena_test_destroy, arena));
	object = take(test, arena, PAGE_SIZE);
	mapped = take(test, arena, 100);
	expect_good(test, object, 100);
	expect_bad(test, mapped + 200);
	page_folio(arena_block_page(mapped))->mapping = &mapping;
	arena_shadow_map_page(mapped);
	expect_good(test, mapped + 200, 1);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	expect_bad(test, object);
	expect_good(test, mapped, 100);
}

/*
 * Clauses 25 and 26: when a new slab replaces one that the shrinker has taken, the new slab is
 * poisoned, except for its objects.
 */
static void shrink_regrown_slab_reported(struct kunit *test)
{
	struct arena *arena = arena_test_create_kind(test, CAPACITY, ARENA_SHRINK);
	char *object;

	take(test, arena, SLAB);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_GT(test, arena_idle_shrink(ULONG_MAX, 0), 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 0);
	object = take(test, arena, 13);
	expect_good(test, object, 13);
	expect_bad(test, object + 16);
	expect_bad(test, object + SLAB - 1);
}
#else
static void batch_bounds_reported(struct kunit *test)
{
	kunit_skip(test, "needs functions that are not exported to modules");
}

#define mappable_unmapped_objects_reported	batch_bounds_reported
#define shrink_regrown_slab_reported		batch_bounds_reported
#endif

static int reports_init(struct kunit_suite *suite)
{
	char *object = kmalloc(8, GFP_KERNEL);
	int err = arena_test_suite_init(suite);

	if (!object || err || !IS_ENABLED(CONFIG_KASAN_GENERIC)) {
		kfree(object);
		return err;
	}
	register_trace_error_report_end(count_report, NULL);
	every_report = look(object + 8, 1) && look(object + 8, 1);
	kfree(object);
	return 0;
}

static void reports_exit(struct kunit_suite *suite)
{
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		unregister_trace_error_report_end(count_report, NULL);
	tracepoint_synchronize_unregister();
}

static int each_case_init(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "needs CONFIG_KASAN_GENERIC");
	if (!every_report)
		kunit_skip(test, "needs kasan_multi_shot on the kernel's command line");
	return arena_test_stay_on_cpu(test);
}

static struct kunit_case arena_kasan_cases[] = {
	KUNIT_CASE_PARAM(alloc_bounds_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(copy_bounds_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(unused_memory_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_objects_reported, arena_kind_gen_params),
	KUNIT_CASE(destroy_objects_reported),
	KUNIT_CASE(rewind_objects_reported),
	KUNIT_CASE_PARAM(reset_rcu_objects_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(action_object_unpoisoned, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_rest_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resize_lost_bytes_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(buf_bounds_reported, arena_kind_gen_params),
	KUNIT_CASE(private_buf_bounds_reported),
	KUNIT_CASE_PARAM(large_bounds_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(typed_free_elements_reported, kind_gen_params),
	KUNIT_CASE(private_bounds_reported),
	KUNIT_CASE_PARAM(batch_bounds_reported, arena_kind_gen_params),
	KUNIT_CASE(mappable_unmapped_objects_reported),
	KUNIT_CASE_PARAM(shrink_regrown_slab_reported, arena_kind_gen_params),
	{ }
};

static struct kunit_suite arena_kasan_suite = {
	.name = "arena_kasan",
	.suite_init = reports_init,
	.suite_exit = reports_exit,
	.init = each_case_init,
	.test_cases = arena_kasan_cases,
};

kunit_test_suite(arena_kasan_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: reports of KASAN");
MODULE_LICENSE("GPL");
