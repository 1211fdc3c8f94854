// SPDX-License-Identifier: GPL-2.0
/*
 * Tests in which memory allocations fail. Each call is repeated: in the first call, its first
 * memory allocation fails, in the second call the second allocation, and so on until a call
 * succeeds. A call that fails returns an error, changes nothing, leaks nothing, and succeeds when
 * it is repeated (clause 4).
 */
#include <linux/arena_private.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kasan.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_test.h"

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/* One page: a larger slab would be made of single pages where its one allocation fails. */
#define ONE_PAGE	PAGE_SIZE
#define CAPACITY	(8 * ONE_PAGE)

#if IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS) && IS_ENABLED(CONFIG_FAILSLAB) && \
	IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC)
/*
 * By default, fault injection spares allocations that may sleep, and prints a call trace for each
 * failure. Files in debugfs control both. A case sets the variables behind these files, and
 * restores them when it ends.
 */
enum knob_type { KNOB_BOOL, KNOB_U32, KNOB_ULONG };

struct knob {
	const char	*dir;
	const char	*file;
	enum knob_type	type;
	unsigned long	was;
	void		*var;
};

static struct knob knobs[] = {
	{ "failslab",		"ignore-gfp-wait",	KNOB_BOOL },
	{ "failslab",		"verbose",		KNOB_ULONG },
	{ "fail_page_alloc",	"ignore-gfp-wait",	KNOB_BOOL },
	{ "fail_page_alloc",	"ignore-gfp-highmem",	KNOB_BOOL },
	{ "fail_page_alloc",	"min-order",		KNOB_U32 },
	{ "fail_page_alloc",	"verbose",		KNOB_ULONG },
};

static void *knob_find(const struct knob *knob)
{
	struct dentry *dir = debugfs_lookup(knob->dir, NULL), *file;
	void *var = NULL;

	if (!dir)
		return NULL;
	file = debugfs_lookup(knob->file, dir);
	if (file) {
		var = d_inode(file)->i_private;
		dput(file);
	}
	dput(dir);
	return var;
}

static unsigned long knob_swap(const struct knob *knob, unsigned long value)
{
	unsigned long was;

	switch (knob->type) {
	case KNOB_BOOL:
		was = *(bool *)knob->var;
		*(bool *)knob->var = value;
		break;
	case KNOB_U32:
		was = *(u32 *)knob->var;
		*(u32 *)knob->var = value;
		break;
	default:
		was = *(unsigned long *)knob->var;
		*(unsigned long *)knob->var = value;
	}
	return was;
}

static void faults_end(void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		knob_swap(&knobs[i], knobs[i].was);
}

static int arena_fault_init(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		knobs[i].var = knob_find(&knobs[i]);
		if (!knobs[i].var)
			kunit_skip(test, "no %s/%s in debugfs", knobs[i].dir, knobs[i].file);
	}
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		knobs[i].was = knob_swap(&knobs[i], 0);
	return kunit_add_action_or_reset(test, faults_end, NULL);
}

static void fail_nth(unsigned int n)
{
	WRITE_ONCE(current->fail_nth, n);
}

/*
 * What makes the page allocator refuse this task more than one page at once, as if memory were
 * fragmented. While it does, @was has the values that the knobs had before.
 */
static struct knob fragments[] = {
	{ "fail_page_alloc",	"probability",		KNOB_ULONG, 100 },
	{ "fail_page_alloc",	"times",		KNOB_U32, -1 },
	{ "fail_page_alloc",	"task-filter",		KNOB_BOOL, true },
	{ "fail_page_alloc",	"min-order",		KNOB_U32, 1 },
};

static bool fragmented;

/* KUnit runs fragment_end() in another task, so the task's own flag does not tell the state. */
static void fragment(bool on)
{
	int i;

	if (fragmented == on)
		return;
	fragmented = on;
	current->make_it_fail = on;
	for (i = 0; i < ARRAY_SIZE(fragments); i++)
		fragments[i].was = knob_swap(&fragments[i], fragments[i].was);
}

static void fragment_end(void *unused)
{
	fragment(false);
}

static void fragment_begin(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fragments); i++) {
		fragments[i].var = knob_find(&fragments[i]);
		KUNIT_ASSERT_NOT_NULL(test, fragments[i].var);
	}
	fragment(true);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fragment_end, NULL));
}

/* Returns whether the allocation that fail_nth() selected has been reached, and so has failed. */
static bool fail_met(void)
{
	return !READ_ONCE(current->fail_nth);
}
#else
static int arena_fault_init(struct kunit *test)
{
	kunit_skip(test, "this kernel has no fault injection");
	return 0;
}

static void fail_nth(unsigned int n)
{
}

static void fragment(bool on)
{
}

static void fragment_begin(struct kunit *test)
{
}

static bool fail_met(void)
{
	return false;
}
#endif

/* No call makes as many memory allocations as MAX_FAULTS. */
#define MAX_FAULTS	200

/*
 * During a call, other code allocates memory, too: KASAN stores a stack trace, a cache of kmalloc()
 * grows. If such an allocation is the n-th one, it fails, and the call may succeed, which ends the
 * sweep early. So a sweep in which too few calls failed is repeated, at most this many times.
 */
#define MAX_PASSES	30

/*
 * A sweep repeats one call. In the first call, the first memory allocation fails, in the second
 * call the second one, and so on until a call succeeds. Each call gets a new arena, because an
 * arena that an earlier call has grown would not need to allocate.
 */
struct sweep {
	struct kunit	*test;
	unsigned int	flags;
	const char	*what;
	/* Prepares the arena, before fault injection is on. */
	void		(*before)(struct sweep *sweep);
	/* The call whose n-th allocation fails. */
	int		(*call)(struct sweep *sweep);
	/* Checks that what @before has made is intact. Called whether @call has failed or not. */
	void		(*after)(struct sweep *sweep);
	struct arena	*arena;
	u8		*kept;
	void		*got;
};

/*
 * Returns the name of a statistic that a failed call has changed but must not change, or "". The
 * four statistics that count memory which the call took and gave back may change.
 */
static const char *touched(const struct arena_stats *was, const struct arena_stats *now)
{
	struct arena_stats same = *now;

	same.committed_peak = was->committed_peak;
	same.page_allocs = was->page_allocs;
	same.page_frees = was->page_frees;
	same.pool_hits = was->pool_hits;
	return arena_stats_differ(was, &same);
}

static void expect_failed(struct sweep *sweep, int err, unsigned int n,
			  const struct arena_stats *was, u64 failures)
{
	const struct arena_stats now = arena_test_stats(sweep->arena);
	struct kunit *test = sweep->test;

	KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "%s, fault %u", sweep->what, n);
	KUNIT_EXPECT_STREQ_MSG(test, touched(was, &now), "", "%s, fault %u", sweep->what, n);
	KUNIT_EXPECT_EQ(test, now.fail_memory - was->fail_memory, failures);
	KUNIT_EXPECT_EQ(test, now.fail_space, was->fail_space);
	KUNIT_EXPECT_EQ(test, now.fail_arg, was->fail_arg);
	arena_expect_sane(test, sweep->arena);
}

/*
 * Sweep once. @failures: how many failures the arena must count for a failed call. Returns how many
 * calls failed.
 */
static unsigned int sweep_pass(struct sweep *sweep, u64 failures)
{
	struct kunit *test = sweep->test;
	unsigned int n, failed = 0;
	bool met = true;

	for (n = 1; met && n < MAX_FAULTS; n++) {
		struct arena_stats was;
		int err;

		/* Empty the pool, so that the call needs the page allocator. */
		arena_total_now();
		sweep->arena = arena_test_create(test, CAPACITY, ONE_PAGE, sweep->flags);
		sweep->before(sweep);
		was = arena_test_stats(sweep->arena);

		fail_nth(n);
		err = sweep->call(sweep);
		met = fail_met();
		fail_nth(0);

		if (err) {
			KUNIT_EXPECT_TRUE_MSG(test, met, "%s fails by itself", sweep->what);
			expect_failed(sweep, err, n, &was, failures);
			failed++;
			sweep->after(sweep);
			/* If no allocation fails, the same call succeeds. */
			KUNIT_EXPECT_EQ(test, sweep->call(sweep), 0);
		}
		sweep->after(sweep);
		arena_expect_sane(test, sweep->arena);
		kunit_release_action(test, arena_test_destroy, sweep->arena);
	}
	KUNIT_EXPECT_FALSE_MSG(test, met, "%s never gets through", sweep->what);
	return failed;
}

/*
 * Repeat the sweep until @least calls fail in one sweep: a call makes at least @least allocations.
 */
static void sweep_run(struct sweep *sweep, u64 failures, unsigned int least)
{
	unsigned int failed, passes = 0;

	do {
		failed = sweep_pass(sweep, failures);
	} while (failed < least && ++passes < MAX_PASSES);
	KUNIT_EXPECT_GE_MSG(sweep->test, failed, least, "%s", sweep->what);
}

static void nothing_before(struct sweep *sweep)
{
}

static void nothing_after(struct sweep *sweep)
{
}

/* Commit one slab, and fill it with an object, so that a further object needs a new slab. */
static void one_slab_before(struct sweep *sweep)
{
	sweep->kept = arena_alloc(sweep->arena, ONE_PAGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(sweep->test, sweep->kept);
	arena_pattern_fill(sweep->kept, ONE_PAGE, 5);
}

static void one_slab_after(struct sweep *sweep)
{
	KUNIT_EXPECT_EQ(sweep->test, arena_pattern_check(sweep->kept, ONE_PAGE, 5), ONE_PAGE);
}

/*
 * Use and reset the arena, so that its slab and its directory are left from an earlier generation.
 */
static void reset_before(struct sweep *sweep)
{
	KUNIT_ASSERT_NOT_NULL(sweep->test, arena_alloc(sweep->arena, 3 * ONE_PAGE, GFP_KERNEL));
	arena_reset_release(sweep->arena, ONE_PAGE);
	one_slab_before(sweep);
	arena_total_now();
}

static int use(void *ptr, size_t size)
{
	if (!ptr)
		return -ENOMEM;
	memset(ptr, 0xff, size);
	return 0;
}

static int call_alloc(struct sweep *sweep)
{
	return use(arena_alloc(sweep->arena, 100, GFP_KERNEL), 100);
}

/*
 * With a constant size, arena_alloc() is inlined. In a new arena, its slow path is alloc_first().
 */
static int call_words(struct sweep *sweep)
{
	return use(arena_alloc(sweep->arena, 96, GFP_KERNEL), 96);
}

static int call_zalloc(struct sweep *sweep)
{
	u8 *ptr = arena_zalloc(sweep->arena, 1000, GFP_KERNEL);

	if (ptr)
		KUNIT_EXPECT_TRUE(sweep->test, arena_is_zero(ptr, 1000));
	return use(ptr, 1000);
}

static int call_alloc_nowait(struct sweep *sweep)
{
	return use(arena_alloc(sweep->arena, 100, GFP_NOWAIT), 100);
}

static int call_alloc_atomic(struct sweep *sweep)
{
	return use(arena_alloc_aligned(sweep->arena, ONE_PAGE, ONE_PAGE, GFP_ATOMIC), ONE_PAGE);
}

static int call_large(struct sweep *sweep)
{
	return use(arena_alloc(sweep->arena, 3 * ONE_PAGE + 5, GFP_KERNEL), 3 * ONE_PAGE + 5);
}

static int call_large_zeroed(struct sweep *sweep)
{
	u8 *ptr = arena_zalloc(sweep->arena, 2 * ONE_PAGE, GFP_KERNEL);

	if (ptr)
		KUNIT_EXPECT_TRUE(sweep->test, arena_is_zero(ptr, 2 * ONE_PAGE));
	return use(ptr, 2 * ONE_PAGE);
}

static int call_copy(struct sweep *sweep)
{
	u8 *ptr = arena_memdup(sweep->arena, sweep, sizeof(*sweep), GFP_KERNEL);

	if (ptr)
		KUNIT_EXPECT_EQ(sweep->test, memcmp(ptr, sweep, sizeof(*sweep)), 0);
	return use(ptr, sizeof(*sweep));
}

static int call_string(struct sweep *sweep)
{
	/* A string of more than 255 characters takes a buffer from kmalloc(), too. */
	char *string = arena_printf(sweep->arena, GFP_KERNEL, "%-300s of %zu", "string",
				    CAPACITY);

	if (!string)
		return -ENOMEM;
	KUNIT_EXPECT_EQ(sweep->test, strncmp(string, "string  ", 8), 0);
	return 0;
}

static int call_reserve(struct sweep *sweep)
{
	struct arena_reserve reserve;
	int err = arena_reserve(sweep->arena, &reserve, 4, 100, 64, GFP_KERNEL), i;

	for (i = 0; i < 4; i++) {
		void *ptr = arena_reserve_alloc(&reserve, 100, 64);

		KUNIT_EXPECT_EQ(sweep->test, !ptr, !!err);
		if (ptr)
			memset(ptr, 0xff, 100);
	}
	return err;
}

static int call_handle(struct sweep *sweep)
{
	arena_handle_t handle;
	void *ptr = arena_alloc_handle(sweep->arena, 100, GFP_KERNEL, &handle);

	KUNIT_EXPECT_PTR_EQ(sweep->test, arena_deref(sweep->arena, handle), ptr);
	return use(ptr, 100);
}

static int call_mark(struct sweep *sweep)
{
	struct arena_mark mark;
	int err = arena_mark(sweep->arena, &mark);

	/* Arenas with spans have no marks. */
	if (err == -EOPNOTSUPP)
		return 0;
	if (!err)
		KUNIT_EXPECT_EQ(sweep->test, arena_rewind(sweep->arena, &mark), 0);
	return err;
}

static int call_populate(struct sweep *sweep)
{
	return arena_populate(sweep->arena, CAPACITY, GFP_KERNEL);
}

static const struct {
	const char	*what;
	int		(*call)(struct sweep *sweep);
	u64		failures;
	/* How many allocations the call makes at least, in any arena. */
	unsigned int	least;
} calls[] = {
	{ "alloc",		call_alloc,		1, 1 },
	{ "alloc, words",	call_words,		1, 1 },
	{ "zalloc",		call_zalloc,		1, 1 },
	{ "alloc, nowait",	call_alloc_nowait,	1, 1 },
	{ "alloc, atomic",	call_alloc_atomic,	1, 1 },
	/* These calls allocate slabs, an array of pages, the view, and struct arena_large. */
	{ "large",		call_large,		1, 6 },
	{ "large, zeroed",	call_large_zeroed,	1, 5 },
	{ "copy",		call_copy,		1, 1 },
	/* This call allocates a slab, and a buffer in which it formats the long string. */
	{ "string",		call_string,		1, 2 },
	{ "reserve",		call_reserve,		1, 1 },
	{ "handle",		call_handle,		1, 1 },
	/* These calls allocate no objects, so the arena counts no failure. */
	{ "mark",		call_mark,		0, 0 },
	{ "populate",		call_populate,		0, CAPACITY / ONE_PAGE - 1 },
};

static void sweep_calls(struct kunit *test, void (*before)(struct sweep *),
			void (*after)(struct sweep *))
{
	const struct arena_kind *kind = test->param_value;
	const long total = arena_total_now();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct sweep sweep = {
			.test = test,
			.flags = kind->flags,
			.what = calls[i].what,
			.before = before,
			.call = calls[i].call,
			.after = after,
		};

		sweep_run(&sweep, calls[i].failures, calls[i].least);
		KUNIT_EXPECT_EQ_MSG(test, arena_total_now(), total, "%s leaks", calls[i].what);
	}
}

/* Clause 4: a call that fails in a new arena leaves the arena unchanged. */
static void new_arena_nth_alloc_fails_unchanged(struct kunit *test)
{
	sweep_calls(test, nothing_before, nothing_after);
}

/*
 * Clause 4: growth that fails leaves the arena unchanged, and an existing object keeps its bytes.
 */
static void growing_arena_nth_alloc_fails_unchanged(struct kunit *test)
{
	sweep_calls(test, one_slab_before, one_slab_after);
}

/* Clause 4: growth that fails in a generation after a reset leaves the arena unchanged. */
static void reset_arena_nth_alloc_fails_unchanged(struct kunit *test)
{
	sweep_calls(test, reset_before, one_slab_after);
}

/* Sweeps arena_create() once. Returns how often it failed. */
static unsigned int create_pass(struct kunit *test, const struct arena_config *config, long total)
{
	unsigned int n, failed = 0;
	bool met = true;

	for (n = 1; met && n < MAX_FAULTS; n++) {
		struct arena *arena;

		fail_nth(n);
		arena = arena_create(config);
		met = fail_met();
		fail_nth(0);
		if (!IS_ERR(arena)) {
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
			arena_destroy(arena);
			continue;
		}
		failed++;
		KUNIT_EXPECT_TRUE(test, met);
		KUNIT_EXPECT_EQ(test, PTR_ERR(arena), -ENOMEM);
		KUNIT_EXPECT_EQ_MSG(test, arena_total_now(), total, "capacity %zu fault %u",
				    config->capacity, n);
	}
	KUNIT_EXPECT_FALSE(test, met);
	return failed;
}

/* Clause 4: a creation that fails gives back all memory that it had taken. */
static void create_nth_alloc_fails_enomem(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	static const struct {
		size_t		capacity;
		unsigned int	least;	/* creation allocates only struct arena */
	} sizes[] = {
		{ PAGE_SIZE, 1 },
		{ CAPACITY, 1 },
		{ SZ_64M, 1 },
	};
	const long total = arena_total_now();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct arena_config config = {
			.name = "fault",
			.capacity = sizes[i].capacity,
			.slab_size = PAGE_SIZE,
			.flags = kind->flags,
		};
		unsigned int failed, passes = 0;

		do {
			failed = create_pass(test, &config, total);
		} while (failed < sizes[i].least && ++passes < MAX_PASSES);
		KUNIT_EXPECT_GE_MSG(test, failed, sizes[i].least, "capacity %zu",
				    sizes[i].capacity);
	}
	KUNIT_EXPECT_EQ(test, arena_total_now(), total);
}

static unsigned int create_typed_pass(struct kunit *test, unsigned int flags, long total)
{
	const u32 nr = ONE_PAGE / sizeof(u64);
	unsigned int n, failed = 0;
	bool met = true;

	for (n = 1; met && n < MAX_FAULTS; n++) {
		struct arena_typed *typed;
		const u64 value = n;

		fail_nth(n);
		typed = arena_typed_create("fault", sizeof(u64), nr, flags);
		met = fail_met();
		fail_nth(0);
		if (!IS_ERR(typed)) {
			KUNIT_EXPECT_NOT_NULL(test, arena_typed_alloc(typed, &value));
			arena_typed_destroy(typed);
		} else {
			failed++;
			KUNIT_EXPECT_TRUE(test, met);
			KUNIT_EXPECT_EQ(test, PTR_ERR(typed), -ENOMEM);
		}
		/* arena_total_now() also empties the pool, so the next creation has to allocate. */
		KUNIT_EXPECT_EQ(test, arena_total_now(), total);
	}
	KUNIT_EXPECT_FALSE(test, met);
	return failed;
}

/* Clause 4: a typed arena allocates all memory at creation. A failed creation leaks nothing. */
static void typed_create_nth_alloc_fails_enomem(struct kunit *test)
{
	/*
	 * Creation allocates struct arena_typed, struct arena, the stamps and the slabs; with
	 * ARENA_READERS, the slabs of two slab sets.
	 */
	static const struct {
		unsigned int	flags;
		unsigned int	least;
	} kinds[] = { { 0, 4 }, { ARENA_READERS, 5 } };
	const long total = arena_total_now();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		unsigned int failed, passes = 0;

		do {
			failed = create_typed_pass(test, kinds[i].flags, total);
		} while (failed < kinds[i].least && ++passes < MAX_PASSES);
		KUNIT_EXPECT_GE_MSG(test, failed, kinds[i].least, "flags %x", kinds[i].flags);
	}
}

static unsigned int private_pass(struct kunit *test, long total)
{
	unsigned int n, failed = 0;
	bool met = true;

	for (n = 1; met && n < MAX_FAULTS; n++) {
		struct arena_private arena;
		char first[64], *ptr;

		arena_private_init(&arena, first, sizeof(first));
		KUNIT_ASSERT_NOT_NULL(test, arena_private_alloc(&arena, 32, GFP_KERNEL));
		fail_nth(n);
		ptr = arena_private_alloc(&arena, SZ_64K, GFP_KERNEL);
		met = fail_met();
		fail_nth(0);
		if (!ptr) {
			failed++;
			KUNIT_EXPECT_TRUE(test, met);
			KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 32);
			/* Allocations can still use the rest of the caller's buffer. */
			KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 16, ARENA_NOGROW));
		}
		arena_private_destroy(&arena);
		KUNIT_EXPECT_EQ(test, arena_total_now(), total);
	}
	KUNIT_EXPECT_FALSE(test, met);
	return failed;
}

/* Clause 4: if a private arena cannot grow, allocation returns NULL and changes nothing. */
static void private_nth_alloc_fails_null(struct kunit *test)
{
	const long total = arena_total_now();
	unsigned int failed, passes = 0;

	do {
		failed = private_pass(test, total);
	} while (!failed && ++passes < MAX_PASSES);
	KUNIT_EXPECT_GT(test, failed, 0);
}

/*
 * Clauses 4, 21: when all arenas together have reached the limit on their memory, calls fail with
 * the same error as for lack of memory, although the page allocator still has memory.
 */
static void alloc_at_module_limit_refused(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const size_t eighth = (totalram_pages() / 8) << PAGE_SHIFT;
	const long total = arena_total_now();
	struct arena_stats was;
	struct arena *arena;

	if (eighth > SZ_256M || eighth + SZ_4M > arena_capacity_max())
		kunit_skip(test, "too much memory to use up an eighth of it");
	arena = arena_test_create(test, eighth + SZ_4M, SZ_64K, kind->flags);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, eighth + SZ_4M, GFP_KERNEL), -ENOMEM);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
	arena_expect_sane(test, arena);

	/* Allocations succeed up to the limit, and are refused from then on. */
	while (arena_alloc(arena, SZ_64K, GFP_KERNEL))
		;
	was = arena_test_stats(arena);
	KUNIT_EXPECT_LE(test, was.committed, eighth);
	KUNIT_EXPECT_GE(test, was.committed, eighth - SZ_4M);
	KUNIT_EXPECT_GE(test, was.used, eighth - SZ_4M);
	KUNIT_EXPECT_NULL(test, arena_alloc(arena, SZ_64K, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "at the bound");
	kunit_release_action(test, arena_test_destroy, arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), total);
}

static const size_t pieced_slabs[] = { 2 * PAGE_SIZE, SZ_64K, SZ_2M };

static void pieced_desc(const size_t *slab, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "slabs of %zu KiB", *slab >> 10);
}

KUNIT_ARRAY_PARAM(pieced, pieced_slabs, pieced_desc);

/* Check an object that is in a slab of single pages, and fill it. */
static void expect_object(struct kunit *test, u8 *object, size_t size, u32 owner)
{
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(object));
	KUNIT_EXPECT_TRUE(test, arena_is_zero(object, size));
	arena_pattern_fill(object, size, owner);
}

/* Clause 13: the object has a handle, and the arena owns its bytes. */
static void expect_known(struct kunit *test, struct arena *arena, u8 *object, size_t size)
{
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, object)), object);
	KUNIT_EXPECT_TRUE(test, arena_owns(arena, object));
	KUNIT_EXPECT_TRUE(test, arena_owns(arena, object + size - 1));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, page_address(vmalloc_to_page(object))));
}

#ifdef CONFIG_KASAN_VMALLOC
/* Clause 26: KASAN would report an access to the granule at @at. The shadow has no shadow. */
static __no_sanitize_address bool is_poisoned(const void *at)
{
	return *(const s8 *)kasan_mem_to_shadow(at) < 0;
}

static void expect_poison(struct kunit *test, const void *at, bool poisoned)
{
	KUNIT_EXPECT_EQ(test, is_poisoned(at), poisoned);
}
#else
static void expect_poison(struct kunit *test, const void *at, bool poisoned)
{
}
#endif

/*
 * Clauses 1, 2, 5, 13, 26: where the page allocator has single pages only, a caller that may sleep
 * gets slabs of any size, aligned and contiguous in kernel addresses.
 */
static void grow_in_fragmented_memory_succeeds(struct kunit *test)
{
	const size_t slab = *(const size_t *)test->param_value;
	struct arena *arena = arena_test_create(test, 8 * slab, slab, ARENA_ZERO);
	struct arena_stats was;
	u8 *aligned, *rest, *large;

	arena_total_now();	/* empties the pool */
	fragment_begin(test);
	aligned = arena_alloc_aligned(arena, slab / 2 + 1, slab, GFP_KERNEL);
	expect_object(test, aligned, slab / 2 + 1, 1);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)aligned, slab));
	expect_known(test, arena, aligned, slab / 2 + 1);
	expect_poison(test, aligned, false);
	expect_poison(test, aligned + slab - 8, true);
	rest = arena_alloc(arena, slab / 4, GFP_KERNEL);
	expect_object(test, rest, slab / 4, 2);
	expect_known(test, arena, rest, slab / 4);
	large = arena_alloc(arena, 3 * slab + 100, GFP_KERNEL);
	expect_object(test, large, 3 * slab + 100, 3);
	expect_known(test, arena, large, 3 * slab + 100);
	KUNIT_EXPECT_EQ(test, arena_populate(arena, 8 * slab, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 8);

	/* A caller that may not sleep gets none. */
	arena_reset_release(arena, 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 8, GFP_NOWAIT));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "without sleep");

	/* Committed slabs serve again after a reset, and do not go to the pool at the end. */
	KUNIT_EXPECT_EQ(test, arena_populate(arena, 2 * slab, GFP_KERNEL), 0);
	expect_object(test, arena_alloc(arena, slab, GFP_NOWAIT), slab, 4);
	aligned = arena_alloc_aligned(arena, 8, slab, GFP_NOWAIT);
	expect_object(test, aligned, 8, 6);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	expect_object(test, arena_alloc(arena, slab, GFP_NOWAIT), slab, 5);
	expect_poison(test, aligned, true);
	arena_expect_sane(test, arena);
	fragment(false);
	kunit_release_action(test, arena_test_destroy, arena);
#ifndef MODULE
	KUNIT_EXPECT_EQ(test, arena_pool_pages(), 0);
#endif
}

/* Clauses 1, 4: objects of slabs of both kinds side by side keep their contents. */
static void grow_between_fragments_keeps_objects(struct kunit *test)
{
	const size_t slab = *(const size_t *)test->param_value;
	struct arena *arena = arena_test_create(test, 8 * slab, slab, 0);
	unsigned int i, pieced = 0;
	u8 *object[8];

	arena_total_now();	/* empties the pool */
	fragment_begin(test);
	for (i = 0; i < ARRAY_SIZE(object); i++) {
		fragment(i % 2);
		object[i] = arena_alloc(arena, slab, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, object[i]);
		pieced += is_vmalloc_addr(object[i]);
		arena_pattern_fill(object[i], slab, i);
	}
	KUNIT_EXPECT_GE(test, pieced, 4);
	for (i = 0; i < ARRAY_SIZE(object); i++)
		KUNIT_EXPECT_EQ(test, arena_pattern_check(object[i], slab, i), slab);
}

static struct kunit_case arena_fault_cases[] = {
	KUNIT_CASE_PARAM(create_nth_alloc_fails_enomem, arena_kind_gen_params),
	KUNIT_CASE(typed_create_nth_alloc_fails_enomem),
	KUNIT_CASE(private_nth_alloc_fails_null),
	KUNIT_CASE_PARAM(new_arena_nth_alloc_fails_unchanged, arena_kind_gen_params),
	KUNIT_CASE_PARAM(growing_arena_nth_alloc_fails_unchanged, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_arena_nth_alloc_fails_unchanged, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_at_module_limit_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(grow_in_fragmented_memory_succeeds, pieced_gen_params),
	KUNIT_CASE_PARAM(grow_between_fragments_keeps_objects, pieced_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_fault_suite = {
	.name = "arena_fault",
	.suite_init = arena_test_suite_init,
	.init = arena_fault_init,
	.test_cases = arena_fault_cases,
};

kunit_test_suite(arena_fault_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: every allocation that can fail does");
MODULE_LICENSE("GPL");
