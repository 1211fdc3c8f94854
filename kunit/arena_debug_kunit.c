// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the module parameter "debug", which selects arenas by name. A selected arena finds
 * writes behind its objects, and writes to memory that a reset has freed.
 *
 * All cases check clause 26. They write to redzones and to freed memory, but only within the memory
 * of their arena. As KASAN would report these accesses, the compiler does not instrument this file
 * for KASAN (Kbuild).
 */
#include <linux/arena_buf.h>
#include <linux/module.h>
#include <linux/poison.h>
#include <linux/sizes.h>

#include "arena_test.h"

static unsigned int runtime_ms = 300;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

#define CAPACITY	(16 * SLAB)
#define HANDS		6

static void select_none(void *unused)
{
	arena_check_select("");
}

/* Set the module parameter to @names. It is cleared again when the case ends. */
static void selects(struct kunit *test, const char *names)
{
	KUNIT_ASSERT_EQ(test, 0, arena_check_select(names));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, select_none, NULL));
}

/* Create an arena whose first generation is checked already. */
static struct arena *checked(struct kunit *test, unsigned int flags)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena;

	selects(test, test->name);
	arena = arena_test_create(test, CAPACITY, SLAB, (kind ? kind->flags : 0) | flags);
	KUNIT_ASSERT_TRUE(test, arena_check_wanted(arena));
	return arena;
}

static unsigned long findings(const struct arena *arena)
{
	return arena_test_stats(arena).findings;
}

/* Allocate an object. Findings about it name this function, which is_here() recognises. */
static noinline u8 *alloc_here(struct arena *arena, size_t size)
{
	u8 *object = arena_alloc(arena, size, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(object);
	return object;
}

static u8 *object(struct kunit *test, struct arena *arena, size_t size)
{
	u8 *ptr = alloc_here(arena, size);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	return ptr;
}

static bool is_here(unsigned long caller)
{
	return caller - (unsigned long)alloc_here < 1024;
}

static bool is_filled(const u8 *ptr, u8 byte, size_t size)
{
	size_t i;

	for (i = 0; i < size && ptr[i] == byte; i++)
		;
	return i == size;
}

static size_t offset_of(struct arena *arena, const void *ptr)
{
	return arena_handle(arena, ptr).offset;
}

/* Returns the last finding of @arena, or all 0 if there is none. */
static struct arena_finding last_finding(const struct arena *arena)
{
	return findings(arena) ? arena_check_last(arena) : (struct arena_finding) { };
}

/*
 * Expect that @arena has one finding: a zero byte was written at offset @at, behind the object of
 * @size bytes at @offset.
 */
static void expect_overrun(struct kunit *test, struct arena *arena, size_t offset, size_t size,
			   size_t at)
{
	struct arena_finding finding;

	KUNIT_ASSERT_EQ(test, findings(arena), 1);
	finding = last_finding(arena);
	KUNIT_EXPECT_EQ(test, finding.kind, ARENA_FINDING_REDZONE);
	KUNIT_EXPECT_EQ(test, finding.offset, offset);
	KUNIT_EXPECT_EQ(test, finding.size, size);
	KUNIT_EXPECT_EQ(test, finding.at, at);
	KUNIT_EXPECT_EQ(test, finding.wrong, 1);
	KUNIT_EXPECT_EQ(test, finding.expected, SLUB_RED_ACTIVE);
	KUNIT_EXPECT_EQ(test, finding.found, 0);
}

static const size_t sizes[] = { 1, 8, 13, 16, 64, 1000, 3001 };

/*
 * Clause 26: a reset finds a write to the first and to the sixteenth byte of a redzone. Each
 * redzone of these objects has at least 16 bytes.
 */
static void overrun_by_a_byte_found_by_reset(struct kunit *test)
{
	static const size_t beyond[] = { 0, 15 };
	int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (k = 0; k < ARRAY_SIZE(beyond); k++) {
			struct arena *arena = checked(test, 0);
			size_t at = sizes[i] + beyond[k], offset;
			u8 *ptr;

			object(test, arena, 24);
			ptr = object(test, arena, sizes[i]);
			object(test, arena, 24);
			offset = offset_of(arena, ptr);
			ptr[at] = 0;
			KUNIT_EXPECT_EQ(test, findings(arena), 0);
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
			expect_overrun(test, arena, offset, sizes[i], offset + at);
			KUNIT_EXPECT_TRUE(test, is_here(last_finding(arena).caller));
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
			KUNIT_EXPECT_EQ(test, findings(arena), 1);
		}
	}
}

/* Write behind the object of @size bytes at @ptr, and reset. The finding must name @caller. */
static void expect_named(struct kunit *test, struct arena *arena, u8 *ptr, size_t size,
			 void *caller)
{
	unsigned long was = findings(arena);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	ptr[size] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), was + 1);
	KUNIT_EXPECT_LT(test, last_finding(arena).caller - (unsigned long)caller, 4096);
}

/*
 * Clause 26: whichever function allocated the object, a finding names the caller of that function.
 */
static void overrun_names_the_caller(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	void *caller = overrun_names_the_caller;
	struct arena_buf buf;
	u8 *ptr;

	/* Allocations of a constant size have a fast path of their own. */
	expect_named(test, arena, arena_alloc(arena, 48, GFP_KERNEL), 48, caller);
	expect_named(test, arena, arena_zalloc(arena, 13, GFP_KERNEL), 13, caller);
	expect_named(test, arena, arena_strdup(arena, "seven..", GFP_KERNEL), 8, caller);
	expect_named(test, arena, arena_printf(arena, GFP_KERNEL, "%d", 1234567), 8, caller);
	expect_named(test, arena, arena_printf(arena, GFP_KERNEL, "%300d", 7), 301, caller);
	ptr = arena_realloc(arena, NULL, 0, 20, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	ptr = arena_realloc(arena, ptr, 20, 30, GFP_KERNEL);
	expect_named(test, arena, ptr, 30, caller);

	arena_buf_init(&buf, arena, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, arena_buf_printf(&buf, "%0100d", 7));
	expect_named(test, arena, arena_buf_finish_string(&buf), 101, caller);
}

/*
 * Clause 26: resets that sleep check redzones before they zero or release the memory, as the
 * redzones are lost afterwards.
 */
static void overrun_found_by_resets_that_sleep(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	unsigned int way;

	for (way = 0; way < 4; way++) {
		object(test, arena, 40)[40] = 0;
		arena_test_reset(test, arena, way);
		KUNIT_EXPECT_EQ(test, findings(arena), way + 1);
	}
}

/*
 * Clauses 11, 26: after arena_reset_rcu(), the arena checks the freed objects only when their
 * readers are gone. Until then, it finds nothing and fills nothing.
 */
static void overrun_found_after_readers(struct kunit *test)
{
	struct arena *arena = checked(test, ARENA_READERS);
	u8 *ptr = object(test, arena, 40), *next;
	size_t offset = offset_of(arena, ptr);

	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	next = arena_alloc(arena, 40, ARENA_NOGROW);
	ptr[40] = 0;
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	KUNIT_EXPECT_TRUE(test, is_filled(ptr, arena->zero ? 0 : POISON_INUSE, 40));
	rcu_read_unlock();
	rcu_barrier();
	expect_overrun(test, arena, offset, 40, offset + 40);
	KUNIT_EXPECT_TRUE(test, is_filled(ptr, POISON_FREE, 56));

	/*
	 * The other slab set is now in use: the arena checks it, too. After the next
	 * arena_reset_rcu(), the arena checks the first set again.
	 */
	next = object(test, arena, 40);
	next[41] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset_rcu(arena), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, findings(arena), 2);
	ptr = object(test, arena, 40);
	KUNIT_EXPECT_EQ(test, findings(arena), 2);
	ptr[42] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 3);
}

/* Clauses 12, 26: a rewind checks the redzones of the objects that it frees, and no others. */
static void overrun_found_by_rewind(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	struct arena_mark mark, low;
	u8 *below, *above;
	size_t offset;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &low), 0);
	below = object(test, arena, 24);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	above = object(test, arena, 40);
	offset = offset_of(arena, above);
	below[24] = 0;
	above[40] = 0;
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	expect_overrun(test, arena, offset, 40, offset + 40);
	KUNIT_EXPECT_TRUE(test, is_filled(above, POISON_FREE, 56));
	KUNIT_EXPECT_TRUE(test, is_filled(below, arena->zero ? 0 : POISON_INUSE, 24));
	KUNIT_EXPECT_PTR_EQ(test, object(test, arena, 40), above);
	KUNIT_EXPECT_EQ(test, findings(arena), 1);

	/*
	 * The second rewind to @mark does not free @below either. The rewind to @low frees, checks
	 * and fills @below.
	 */
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 1);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &low), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 2);
	KUNIT_EXPECT_EQ(test, last_finding(arena).offset, 0);
	KUNIT_EXPECT_TRUE(test, is_filled(below, POISON_FREE, 24));
	KUNIT_EXPECT_PTR_EQ(test, object(test, arena, 100), below);
	KUNIT_EXPECT_EQ(test, findings(arena), 2);
	arena_expect_sane(test, arena);
}

/*
 * Clause 26: the arena finds a write to freed memory when it hands out this memory again, and
 * reports the write only once.
 */
static void write_after_reset_found_by_alloc(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	struct arena_finding finding;
	u8 *stale = object(test, arena, 100), *ptr;

	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_TRUE(test, is_filled(stale, POISON_FREE, 100));
	stale[70] = 0x17;
	stale[72] = 0x18;
	object(test, arena, 40);
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	ptr = object(test, arena, 60);
	KUNIT_ASSERT_EQ(test, findings(arena), 1);
	finding = last_finding(arena);
	KUNIT_EXPECT_EQ(test, finding.kind, ARENA_FINDING_FREE);
	KUNIT_EXPECT_EQ(test, finding.at, 70);
	KUNIT_EXPECT_EQ(test, finding.wrong, 2);
	KUNIT_EXPECT_EQ(test, finding.offset, offset_of(arena, ptr));
	KUNIT_EXPECT_EQ(test, finding.size, 60);
	KUNIT_EXPECT_EQ(test, finding.expected, POISON_FREE);
	KUNIT_EXPECT_EQ(test, finding.found, 0x17);
	KUNIT_EXPECT_TRUE(test, is_here(finding.caller));
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	object(test, arena, 100);
	KUNIT_EXPECT_EQ(test, findings(arena), 1);
}

/*
 * Clause 26: new objects are filled with POISON_INUSE, or with zeroes if they are zeroed, and a
 * redzone follows each of them.
 */
static void new_objects_filled(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	u8 fill = arena->zero ? 0 : POISON_INUSE;
	int i, round;
	u8 *ptr;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			ptr = object(test, arena, sizes[i]);
			KUNIT_EXPECT_TRUE(test, is_filled(ptr, fill, sizes[i]));
			KUNIT_EXPECT_TRUE(test, is_filled(ptr + sizes[i], SLUB_RED_ACTIVE, 16));
			ptr = arena_zalloc(arena, sizes[i], GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, ptr);
			KUNIT_EXPECT_TRUE(test, is_filled(ptr, 0, sizes[i]));
			KUNIT_EXPECT_TRUE(test, is_filled(ptr + sizes[i], SLUB_RED_ACTIVE, 16));
		}
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
}

/* Clause 26: a reset finds a write through a view, behind an object larger than a slab. */
static void overrun_of_large_object_found(struct kunit *test)
{
	const size_t size = 2 * SLAB + 100;
	struct arena *arena = checked(test, 0);
	size_t offset;
	u8 *ptr;

	object(test, arena, 24);
	ptr = object(test, arena, size);
	offset = ALIGN(1, SLAB);
	KUNIT_EXPECT_TRUE(test, is_filled(ptr, arena->zero ? 0 : POISON_INUSE, size));
	ptr[size + 3] = 0;
	object(test, arena, 24);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	expect_overrun(test, arena, offset, size, offset + size + 3);
	KUNIT_EXPECT_TRUE(test, is_here(last_finding(arena).caller));
}

/*
 * Clauses 3, 26: a reset finds a write behind a reservation, and a write to the part of a
 * reservation that arena_unreserve() has given back.
 */
static void overrun_of_reservation_found(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	struct arena_reserve reserve;
	size_t used;
	u8 *base;
	int i;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 4, 32, 8, GFP_KERNEL), 0);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, 32, 8));
	base = reserve.base;
	base[reserve.size] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	expect_overrun(test, arena, 0, reserve.size, reserve.size);

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 4, 32, 8, GFP_KERNEL), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, 32, 8));
	base = reserve.base;
	used = atomic_long_read(&reserve.used);
	arena_unreserve(&reserve);
	base[used] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 2);
	KUNIT_EXPECT_EQ(test, last_finding(arena).at, used);
	KUNIT_EXPECT_EQ(test, last_finding(arena).size, used);
}

/*
 * Clauses 26, 28: when an object shrinks, the bytes that it loses become part of its redzone. A
 * checked object does not grow in place: arena_realloc() copies it.
 */
static void overrun_of_shrunk_object_found(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	u8 *ptr = object(test, arena, 100), *copy;

	KUNIT_EXPECT_FALSE(test, arena_resize(arena, ptr, 100, 120));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 100, 50));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 50, 30));
	arena_pattern_fill(ptr, 30, 1);
	copy = arena_realloc(arena, ptr, 30, 60, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(copy, 30, 1), 30);
	ptr[30] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	expect_overrun(test, arena, 0, 30, 30);
	KUNIT_EXPECT_EQ(test, last_finding(arena).size, 30);
}

/*
 * Clauses 7, 26: redzones count as padding. An object that ends with its slab or the arena has
 * none.
 */
static void redzones_count_as_padding(struct kunit *test)
{
	struct arena *arena = checked(test, 0);
	struct arena_stats stats;
	size_t used = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		object(test, arena, sizes[i]);
		used += sizes[i];
		stats = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, stats.used, used);
		KUNIT_EXPECT_GE(test, stats.padding, 16 * (i + 1));
		KUNIT_EXPECT_EQ(test, stats.allocs, i + 1);
		arena_expect_sane(test, arena);
	}
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_test_fill(test, arena, SLAB, 8, GFP_KERNEL), CAPACITY / SLAB);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), CAPACITY);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_test_fill(test, arena, CAPACITY, 8, GFP_KERNEL), 1);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
}

/* Create an arena, fill and reset it, and let the shrinker take all of its slabs but @kept. */
static struct arena *shrunk_to(struct kunit *test, unsigned int kept)
{
	struct arena *arena = checked(test, ARENA_SHRINK);

	arena_test_fill(test, arena, SLAB, 8, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_idle_shrink((CAPACITY - kept * SLAB) >> PAGE_SHIFT, 0),
			(CAPACITY - kept * SLAB) >> PAGE_SHIFT);
	KUNIT_ASSERT_EQ(test, arena_test_stats(arena).slabs, kept);
	return arena;
}

/*
 * Clauses 25, 26: new slabs replace those that the shrinker has taken. As they are not filled with
 * POISON_FREE, the arena must not take their contents for a write to free memory.
 */
static void slabs_after_shrinking_not_reported(struct kunit *test)
{
	unsigned int kept, round;

	for (kept = 0; kept < 4; kept++) {
		struct arena *arena = shrunk_to(test, kept);

		for (round = 0; round < 2; round++) {
			KUNIT_EXPECT_EQ(test, arena_test_fill(test, arena, SLAB, 8, GFP_KERNEL),
					CAPACITY / SLAB);
			KUNIT_EXPECT_EQ(test, findings(arena), 0);
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		}
		/*
		 * The shrinker takes nothing from an arena with an object. So in the next round,
		 * shrunk_to() shrinks only its new arena.
		 */
		object(test, arena, 8);
	}
}

/* Clauses 25, 26: the arena finds a write after a reset in slabs that the shrinker has left. */
static void write_after_shrinking_found(struct kunit *test)
{
	struct arena *arena = shrunk_to(test, 2);
	u8 *ptr = arena_slab_base(arena, arena_test_stats(arena).generation, SLAB);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	ptr[SLAB - 1] = 0;
	object(test, arena, SLAB);
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	KUNIT_EXPECT_PTR_EQ(test, object(test, arena, SLAB), ptr);
	KUNIT_EXPECT_EQ(test, findings(arena), 1);
	KUNIT_EXPECT_EQ(test, last_finding(arena).at, 2 * SLAB - 1);
}

static void nothing(void *unused)
{
}

static void use(struct kunit *test, struct arena *arena)
{
	struct arena_reserve reserve;
	arena_handle_t handle;
	struct arena_mark mark;
	struct arena_buf buf;
	u8 *ptr;
	int i;

	for (i = 0; i < 200; i++) {
		const size_t size = 1 + i * 7 % 300;

		ptr = arena_alloc_aligned(arena, size, BIT(i % 8), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		arena_pattern_fill(ptr, size, i);
		ptr = arena_zalloc(arena, size, GFP_KERNEL);
		KUNIT_ASSERT_TRUE(test, ptr && arena_is_zero(ptr, size));
		memset(ptr, 1, size);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_memdup(arena, "twelve bytes", 12, GFP_KERNEL));
	KUNIT_EXPECT_STREQ(test, arena_strdup(arena, "word", GFP_KERNEL), "word");
	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL, "%d", 17), "17");
	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 3, 50, 8, GFP_KERNEL), 0);
	for (i = 0; i < 2; i++) {
		ptr = arena_reserve_alloc(&reserve, 50, 8);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 2, 50);
	}
	arena_unreserve(&reserve);
	ptr = arena_alloc_handle(arena, 30, GFP_KERNEL, &handle);
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, handle), (void *)ptr);
	KUNIT_EXPECT_EQ(test, arena_add_action(arena, nothing, NULL, GFP_KERNEL), 0);
	ptr = arena_realloc(arena, ptr, 30, 70, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	memset(ptr, 3, 70);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 70, 20));
	memset(ptr, 3, 20);
	arena_buf_init(&buf, arena, GFP_KERNEL);
	for (i = 0; i < 50; i++)
		KUNIT_EXPECT_TRUE(test, arena_buf_printf(&buf, "%05d", i));
	KUNIT_EXPECT_NOT_NULL(test, arena_buf_finish_string(&buf));
	ptr = arena_alloc(arena, SLAB + 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	memset(ptr, 4, SLAB + 1000);
	if (!arena_mark(arena, &mark)) {
		memset(object(test, arena, 500), 5, 500);
		KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
		memset(object(test, arena, 300), 6, 300);
	}
	arena_expect_sane(test, arena);
}

/* Clause 26: a checked arena reports nothing if each call is used correctly. */
static void correct_use_not_reported(struct kunit *test)
{
	struct arena *arena = checked(test, ARENA_READERS);
	unsigned int round;

	for (round = 0; round < 10; round++) {
		use(test, arena);
		if (round % 5 == 4) {
			KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
			if (round == 4)
				use(test, arena);
			rcu_barrier();
		} else {
			arena_test_reset(test, arena, round);
		}
		KUNIT_ASSERT_EQ_MSG(test, findings(arena), 0, "round %u", round);
	}
}

/* Clause 26: a change of the parameter applies to an existing arena from its next generation on. */
static void switch_takes_effect_with_next_generation(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, kind->flags | ARENA_READERS);
	unsigned int round;
	size_t plain;

	object(test, arena, 8);
	object(test, arena, 8);
	plain = arena_high(arena);
	for (round = 0; round < 6; round++) {
		KUNIT_ASSERT_EQ(test, arena_check_select(test->name), 0);
		object(test, arena, 40)[40] = 0;
		KUNIT_ASSERT_EQ(test, round % 2 ? arena_reset(arena) : arena_reset_rcu(arena), 0);
		rcu_barrier();
		KUNIT_EXPECT_EQ(test, findings(arena), round);

		KUNIT_ASSERT_EQ(test, arena_check_select(""), 0);
		object(test, arena, 40)[40] = 0;
		KUNIT_ASSERT_EQ(test, round % 3 ? arena_reset(arena) : arena_reset_rcu(arena), 0);
		rcu_barrier();
		KUNIT_EXPECT_EQ(test, findings(arena), round + 1);
		KUNIT_EXPECT_TRUE(test, is_here(last_finding(arena).caller));
		object(test, arena, 8);
		object(test, arena, 8);
		KUNIT_EXPECT_EQ(test, arena_high(arena), plain);
	}
}

static bool name_is_checked(struct kunit *test, const char *name, unsigned int flags)
{
	const struct arena_config config = { .name = name, .capacity = SLAB, .flags = flags };
	struct arena *arena = arena_create(&config);
	bool is;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	is = arena_check_wanted(arena);
	arena_destroy(arena);
	return is;
}

/* Clause 26: the parameter is a list of arena names. A name with a * at its end is a prefix. */
static void names_select_arenas(struct kunit *test)
{
	selects(test, "first,sec*,,third\n");
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, "first", 0));
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, "sec", 0));
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, "second", ARENA_SPANS));
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, "third", 0));
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, "firs", 0));
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, "first1", 0));
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, "se", 0));
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, "", 0));
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, NULL, 0));
	KUNIT_ASSERT_EQ(test, arena_check_select("*"), 0);
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, "any", 0));
	KUNIT_EXPECT_TRUE(test, name_is_checked(test, NULL, 0));
	KUNIT_ASSERT_EQ(test, arena_check_select(""), 0);
	KUNIT_EXPECT_FALSE(test, name_is_checked(test, "first", 0));
}

/* Clauses 20, 26: an arena that user space may write to is never checked. */
static void device_arena_not_checked(struct kunit *test)
{
	const struct arena_config config = { .name = test->name, .capacity = SLAB };
	struct arena *arena;

	selects(test, "*");
	arena = __arena_create(&config, ARENA_MAPPABLE, &arena_total);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, arena_test_destroy, arena), 0);
	KUNIT_EXPECT_FALSE(test, arena_check_wanted(arena));
	KUNIT_ASSERT_EQ(test, arena_check_select("*"), 0);
	KUNIT_EXPECT_FALSE(test, arena_check_wanted(arena));
	KUNIT_EXPECT_NULL(test, arena->check);
}

/*
 * Clause 26: an arena with more objects than records does not check the redzones of the objects
 * that have no record. Everything else works.
 */
static void more_objects_than_records_checked_in_part(struct kunit *test)
{
	const struct arena_config config = { .name = test->name, .capacity = SZ_1M };
	struct arena *arena;
	unsigned int i, round;
	u8 *ptr = NULL;

	selects(test, test->name);
	arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, arena_test_destroy, arena), 0);
	for (round = 0; round < 2; round++) {
		object(test, arena, 8)[8] = 0;
		for (i = 0; i < 20000; i++)
			ptr = object(test, arena, 8);
		ptr[8] = 0;
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, findings(arena), round + 1);
	}
}

/*
 * Threads allocate, reset and rewind without regard to each other. Any thread may free the objects
 * of another thread at any time, so no thread accesses its objects: only the allocator writes to
 * the arena.
 */
static void race_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena *arena = crew->arena;
	struct arena_reserve reserve;
	struct arena_mark mark;
	bool done __maybe_unused;

	arena_crew_meet(crew);
	while (arena_crew_on(crew)) {
		const size_t size = arena_rnd_size(&hand->rnd);
		u32 what = arena_rnd_below(&hand->rnd, 64);

		hand->allocs++;
		if (!what)
			arena_reset(arena);
		else if (what == 1)
			arena_reset_rcu(arena);
		else if (what == 2 && !arena_mark(arena, &mark))
			arena_rewind(arena, &mark);
		else if (what == 3 && !hand->id)
			arena_reset_release(arena, 0);
		else if (what == 4 && !hand->id)
			arena_reset_zero(arena);
		else if (what == 5 && !hand->id && crew->data)
			arena_check_select(hand->allocs % 2 ? crew->data : "");
		else if (what == 8 && !hand->id)
			arena_idle_shrink(ULONG_MAX, 0);
		else if (what == 6)
			done = !arena_reserve(arena, &reserve, 4, 16, 8, GFP_KERNEL);
		else if (what < 12)
			done = arena_strdup(arena, "some string", GFP_KERNEL);
		else if (what < 24)
			done = arena_zalloc(arena, size, GFP_ATOMIC);
		else
			done = arena_alloc(arena, size, what % 2 ? GFP_KERNEL : ARENA_NOGROW);
		if (what == 7 && !arena_mark(arena, &mark)) {
			done = arena_alloc(arena, 24, GFP_KERNEL);
			arena_rewind(arena, &mark);
		}
	}
}

/*
 * Clauses 10, 26: a checked arena reports nothing when allocations race with resets of all kinds.
 */
static void race_not_reported(struct kunit *test)
{
	struct arena *arena = checked(test, ARENA_READERS | ARENA_SHRINK);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);

	arena_crew_go(crew, race_job, runtime_ms);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	KUNIT_EXPECT_GT(test, arena_crew_allocs(crew), 0);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	arena_expect_sane(test, arena);
	object(test, arena, 40)[40] = 0;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, findings(arena), 1);
}

/*
 * Clauses 10, 26: an arena reports nothing when allocations race with resets while thread 0 also
 * changes the module parameter "debug".
 */
static void race_with_switch_not_reported(struct kunit *test)
{
	struct arena *arena = checked(test, ARENA_READERS | ARENA_SHRINK);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);

	crew->data = (void *)test->name;
	arena_crew_go(crew, race_job, runtime_ms);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	arena_expect_sane(test, arena);
}

/*
 * Thread 0 resets by arena_reset_rcu(). The other threads are RCU readers: each allocates an
 * object, writes to it, and checks its bytes before rcu_read_unlock().
 */
static void reader_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;

	arena_crew_meet(crew);
	while (arena_crew_on(crew)) {
		const size_t size = 1 + arena_rnd_below(&hand->rnd, 300);
		u8 *ptr;

		if (!hand->id) {
			hand->allocs += !arena_reset_rcu(crew->arena);
			cond_resched();
			continue;
		}
		rcu_read_lock();
		ptr = arena_alloc(crew->arena, size, GFP_NOWAIT);
		if (ptr) {
			arena_pattern_fill(ptr, size, hand->id);
			cpu_relax();
			hand->bad += arena_pattern_check(ptr, size, hand->id) != size;
			hand->allocs++;
		}
		rcu_read_unlock();
		cond_resched();
	}
}

/*
 * Clauses 11, 26: a checked arena reports nothing when readers write to their objects while another
 * thread calls arena_reset_rcu().
 */
static void readers_beside_reset_rcu_not_reported(struct kunit *test)
{
	struct arena *arena = checked(test, ARENA_READERS);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);

	arena_crew_go(crew, reader_job, runtime_ms);
	arena_crew_wait(crew);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, findings(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GT(test, crew->hand[0].allocs, 0);
}

static struct kunit_case arena_debug_cases[] = {
	KUNIT_CASE_PARAM(overrun_by_a_byte_found_by_reset, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_names_the_caller, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_found_by_resets_that_sleep, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_found_after_readers, arena_kind_gen_params),
	KUNIT_CASE(overrun_found_by_rewind),
	KUNIT_CASE_PARAM(write_after_reset_found_by_alloc, arena_kind_gen_params),
	KUNIT_CASE_PARAM(new_objects_filled, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_of_large_object_found, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_of_reservation_found, arena_kind_gen_params),
	KUNIT_CASE_PARAM(overrun_of_shrunk_object_found, arena_kind_gen_params),
	KUNIT_CASE_PARAM(redzones_count_as_padding, arena_kind_gen_params),
	KUNIT_CASE_PARAM(slabs_after_shrinking_not_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(write_after_shrinking_found, arena_kind_gen_params),
	KUNIT_CASE_PARAM(correct_use_not_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(switch_takes_effect_with_next_generation, arena_kind_gen_params),
	KUNIT_CASE(names_select_arenas),
	KUNIT_CASE(device_arena_not_checked),
	KUNIT_CASE(more_objects_than_records_checked_in_part),
	KUNIT_CASE_PARAM(race_not_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(race_with_switch_not_reported, arena_kind_gen_params),
	KUNIT_CASE_PARAM(readers_beside_reset_rcu_not_reported, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_debug_suite = {
	.name = "arena_debug",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_debug_cases,
};

kunit_test_suite(arena_debug_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: the module parameter debug");
MODULE_LICENSE("GPL");
