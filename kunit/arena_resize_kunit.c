// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of arena_resize(), arena_realloc(), arena_unreserve() and arena_owns(): the last object
 * grows and shrinks in place, other objects are copied; a caller can give the rest of a reservation
 * back; an arena tells whether an address is in one of its objects.
 */
#include <linux/arena_private.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "arena_test.h"

static unsigned int runtime_ms = 60;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		4
#define SLAB		((size_t)4 * PAGE_SIZE)
#define CAPACITY	(16 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, kind->flags);

	/* An object can grow in committed memory only, so commit some beforehand. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, 4 * SLAB, GFP_KERNEL), 0);
	return arena;
}

static u8 *object(struct kunit *test, struct arena *arena, size_t size, u32 owner)
{
	u8 *ptr = arena_alloc(arena, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	arena_pattern_fill(ptr, size, owner);
	return ptr;
}

static const size_t sizes[] = { 1, 7, 8, 9, 13, 16, 100, 128, 1000, 1024, 3000, 3001 };

/*
 * Clauses 1, 7, 28: arena_resize() can change the last object from any size to any other. The
 * object keeps its contents, and the arena counts its bytes exactly.
 */
static void resize_last_moves_its_end(struct kunit *test)
{
	struct arena *arena = usual(test);
	int from, to;

	for (from = 0; from < ARRAY_SIZE(sizes); from++) {
		for (to = 0; to < ARRAY_SIZE(sizes); to++) {
			const size_t old = sizes[from], new = sizes[to];
			size_t used;
			u8 *ptr, *next;

			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
			object(test, arena, 5, 1);
			ptr = object(test, arena, old, 2);
			used = arena_offset(arena);
			KUNIT_EXPECT_TRUE_MSG(test, arena_resize(arena, ptr, old, new),
					      "%zu to %zu", old, new);
			KUNIT_EXPECT_EQ(test, arena_offset(arena), used + new - old);
			KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, min(old, new), 2),
					min(old, new));
			if (new > old && arena->zero)
				KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr + old, new - old));
			arena_pattern_fill(ptr, new, 3);
			next = object(test, arena, 24, 4);
			KUNIT_EXPECT_TRUE(test, next >= ptr + new);
			KUNIT_EXPECT_TRUE(test, next < ptr + new + ARENA_MIN_ALIGN);
			KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, new, 3), new);
			arena_expect_sane(test, arena);
		}
	}
}

/*
 * Clause 28: an object that is not the last one can only shrink, and no later object gets the bytes
 * that it loses.
 */
static void resize_not_last_shrinks_only(struct kunit *test)
{
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, 64, 1), *last = object(test, arena, 64, 2);
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_FALSE(test, arena_resize(arena, ptr, 64, 65));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 64, 64));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 64, 1));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "not the last");
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, last, 64, 8));
	/*
	 * @last has 8 bytes now. If the caller passes a wrong old size, the arena does not find the
	 * end of @last, and does not let it grow.
	 */
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, last, 64, 72));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 64 + 8);
}

/*
 * Clauses 5, 28: arena_resize() refuses bad sizes and addresses outside the arena, and then changes
 * nothing.
 */
static void resize_bad_size_refused(struct kunit *test)
{
	static const struct {
		size_t	old;
		size_t	new;
	} bad[] = {
		{ 0, 8 }, { 64, 0 }, { 0, 0 }, { 64, SIZE_MAX }, { 64, SIZE_MAX - 7 },
		{ 64, SIZE_MAX - 63 }, { 64, SLAB + 1 }, { 64, CAPACITY }, { 64, SIZE_MAX / 2 + 1 },
	};
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, 64, 1), *elsewhere = kunit_kzalloc(test, 64, GFP_KERNEL);
	struct arena_stats was = arena_test_stats(arena);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, elsewhere);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_FALSE_MSG(test, arena_resize(arena, ptr, bad[i].old, bad[i].new),
				       "case %d", i);
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, NULL, 8, 16));
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, elsewhere, 8, 16));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "nonsense");
}

/* Clauses 1, 28: an object can grow up to the end of its slab, or of the arena, but not beyond. */
static void grow_past_slab_refused(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	u8 *ptr, *next;

	if (!arena_kind_is_dense(kind))
		kunit_skip(test, "a span ends where it likes");
	ptr = object(test, arena, SLAB - 8, 1);
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, ptr, SLAB - 8, SLAB + 1));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, SLAB - 8, SLAB));
	/*
	 * The object ends where its slab does, so it gives nothing back when it shrinks: a CPU may
	 * already have a window of the next slab, so the cursor must not move back into this slab.
	 */
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, SLAB, 8));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), SLAB);
	next = object(test, arena, 8, 2);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), SLAB + 8);
	KUNIT_EXPECT_TRUE(test, arena_owns(arena, next));
	arena_expect_sane(test, arena);

	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	while (arena_offset(arena) < CAPACITY - SLAB)
		object(test, arena, SLAB, 3);
	ptr = object(test, arena, 16, 4);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 16, SLAB));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), CAPACITY);
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, ptr, SLAB, SLAB + 1));
	arena_expect_sane(test, arena);
}

/* Clauses 6, 28: bytes that an object has given back are zero in the next zeroed object. */
static void zalloc_after_shrink_zeroed(struct kunit *test)
{
	struct arena *arena = usual(test);
	size_t old, size;
	u8 *ptr, *next;

	for (old = 8; old <= 2048; old *= 2) {
		ptr = object(test, arena, old, 1);
		memset(ptr, 0xff, old);
		KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, old, 1));
		for (size = 1; size < old; size += old / 4 + 1) {
			next = arena_zalloc(arena, old / 8 + 1, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, next);
			KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(next, old / 8 + 1), "%zu", old);
			memset(next, 0xff, old / 8 + 1);
		}
		ptr = object(test, arena, 8, 1);
		memset(ptr, 0xff, 8);
		KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 8, 1));
		ptr = arena_realloc(arena, ptr, 1, old, GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_EQ(test, ptr[0], 0xff);
		KUNIT_EXPECT_TRUE_MSG(test, arena_is_zero(ptr + 1, old - 1), "%zu", old);
	}
}

/*
 * Clause 8: when the last object shrinks, the peak stays as it was, and arena_reset_zero() zeroes
 * the bytes that the object has lost, too.
 */
static void shrink_last_keeps_peak(struct kunit *test)
{
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, 3000, 1);
	size_t peak = arena_test_stats(arena).peak;

	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 3000, 8));
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, peak);
	arena_reset_zero(arena);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, peak);
	KUNIT_EXPECT_PTR_EQ(test, arena_alloc(arena, 3000, GFP_KERNEL), (void *)ptr);
	KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr, 3000));
}

/*
 * Clauses 7, 28: an arena of the device never takes bytes back within a generation, because the
 * offset on its status page must only grow. The test sets ARENA_MAPPABLE in an ordinary arena, so
 * that the core treats it as one of the device.
 */
static void shrink_in_device_arena_gives_nothing_back(struct kunit *test)
{
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, 64, 1);
	struct arena_reserve reserve;
	struct arena_stats was;

	arena->flags |= ARENA_MAPPABLE;
	was = arena_test_stats(arena);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 64, 8));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "shrunk");
	/* The bytes that the object has lost are still unused, so it can grow again. */
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 64, 72));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 72);
	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 10, 24, 8, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "unreserved");
	arena->flags &= ~ARENA_MAPPABLE;
}

/*
 * Clauses 4, 28: arena_realloc() grows the last object in place, and copies any other object. If
 * the arena has no room for the copy, the object stays as it was.
 */
static void realloc_not_last_copies(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	u8 *ptr, *copy;
	size_t used;

	ptr = arena_realloc(arena, NULL, 0, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	arena_pattern_fill(ptr, 100, 1);
	KUNIT_EXPECT_PTR_EQ(test, arena_realloc(arena, ptr, 100, 200, GFP_KERNEL), (void *)ptr);
	arena_pattern_fill(ptr, 200, 1);
	object(test, arena, 8, 2);
	used = arena_offset(arena);
	copy = arena_realloc(arena, ptr, 200, 300, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_PTR_NE(test, copy, ptr);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), used + 300);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(copy, 200, 1), 200);
	KUNIT_EXPECT_TRUE(test, arena_is_zero(copy + 200, 100));
	KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, 200, 1), 200);

	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_realloc(arena, ptr, 200, CAPACITY + 1, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "too large");
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_realloc(arena, ptr, 200, 0, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "size 0");
	KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, 200, 1), 200);
}

/*
 * Clauses 5, 28: arena_realloc() can make an object larger than a slab by copying it. The larger
 * object can then shrink in place, but not grow.
 */
static void realloc_above_slab_copies(struct kunit *test)
{
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, SLAB / 2, 1), *large;

	large = arena_realloc(arena, ptr, SLAB / 2, 3 * SLAB, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, large);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(large, SLAB / 2, 1), SLAB / 2);
	KUNIT_EXPECT_TRUE(test, arena_is_zero(large + SLAB / 2, 3 * SLAB - SLAB / 2));
	arena_pattern_fill(large, 3 * SLAB, 2);
	KUNIT_EXPECT_FALSE(test, arena_resize(arena, large, 3 * SLAB, 3 * SLAB + 1));
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, large, 3 * SLAB, SLAB));
	large = arena_realloc(arena, large, SLAB, 4 * SLAB, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, large);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(large, SLAB, 2), SLAB);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 12, 28: after a rewind, the object that ends at the mark is the last one again, so it can
 * grow.
 */
static void resize_after_rewind_ok(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	u8 *ptr = object(test, arena, 100, 1), *slab;
	struct arena_mark mark;

	if (!arena_kind_is_dense(kind))
		kunit_skip(test, "arenas with spans have no marks");
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	object(test, arena, 100, 2);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 100, 200));
	KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr, 100, 1), 100);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 200);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, ptr, 200, 3));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 3);
	arena_expect_sane(test, arena);

	/*
	 * The rewind leaves this CPU with a window of the second slab. So if the object in the
	 * first slab shrinks, the cursor must not move back to the first slab.
	 */
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	slab = object(test, arena, SLAB, 3);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark), 0);
	object(test, arena, 8, 4);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark), 0);
	KUNIT_EXPECT_TRUE(test, arena_resize(arena, slab, SLAB, 64));
	ptr = object(test, arena, 8, 5);
	KUNIT_EXPECT_EQ(test, arena_handle(arena, ptr).offset, SLAB);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(slab, 64, 3), 64);
}

static void grow_and_shrink(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;

	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew) && hand->nr_ext < hand->crew->max_ext) {
		struct arena_extent *ext = &hand->ext[hand->nr_ext];
		size_t size = 1 + arena_rnd_below(&hand->rnd, 64), new;
		int i;

		ext->owner = hand->id * 1000 + hand->nr_ext;
		ext->ptr = arena_alloc(arena, size, GFP_KERNEL);
		if (!ext->ptr)
			break;
		arena_pattern_fill(ext->ptr, size, ext->owner);
		for (i = 0; i < 4; i++) {
			new = 1 + arena_rnd_below(&hand->rnd, 96);
			if (!arena_resize(arena, ext->ptr, size, new)) {
				hand->bad += new <= size;
				continue;
			}
			hand->bad += arena_pattern_check(ext->ptr, min(size, new), ext->owner) !=
				     min(size, new);
			if (new > size && arena->zero)
				hand->bad += !arena_is_zero(ext->ptr + size, new - size);
			size = new;
			arena_pattern_fill(ext->ptr, size, ext->owner);
		}
		ext->size = size;
		hand->nr_ext++;
	}
}

/* Clauses 1, 28: while several threads allocate and resize, no object gets bytes of another one. */
static void resize_racing_with_allocs_no_overlap(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 1000);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);
	struct arena_extent *all;
	unsigned int i;
	size_t nr;

	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, grow_and_shrink, runtime_ms);
		arena_crew_wait(crew);
		KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
		all = arena_crew_extents(crew, NULL, 0, &nr);
		KUNIT_ASSERT_NOT_NULL(test, all);
		KUNIT_EXPECT_EQ(test, arena_extents_spoiled(all, nr), 0);
		KUNIT_EXPECT_EQ(test, arena_extents_overlap(all, nr), 0);
		kvfree(all);
		arena_expect_sane(test, arena);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	} while (time_before(jiffies, until));
}

/*
 * Clauses 3, 7: arena_unreserve() gives back the rest of a reservation, if no stretch was claimed
 * after it. A second call gives back nothing, and no further allocation from the reservation
 * succeeds.
 */
static void unreserve_last_given_back(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	size_t used, taken;
	u8 *ptr, *next;

	for (taken = 0; taken < 10; taken += 3) {
		size_t i;

		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		object(test, arena, 3, 1);
		used = arena_offset(arena);
		KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 10, 24, 8, GFP_KERNEL), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used + 240);
		for (i = 0, ptr = NULL; i < taken; i++) {
			ptr = arena_reserve_alloc(&reserve, 24, 8);
			KUNIT_ASSERT_NOT_NULL(test, ptr);
			arena_pattern_fill(ptr, 24, 2);
		}
		KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 240 - 24 * taken);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used + 24 * taken);
		KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 0);
		KUNIT_EXPECT_NULL(test, arena_reserve_alloc(&reserve, 1, 1));
		next = object(test, arena, 8, 3);
		KUNIT_EXPECT_PTR_EQ(test, (void *)next, reserve.base + 24 * taken);
		KUNIT_EXPECT_TRUE(test, !ptr || arena_pattern_check(ptr, 24, 2) == 24);
		arena_expect_sane(test, arena);
	}
}

/*
 * Clause 3: arena_unreserve() gives back nothing of a reservation after which an object was
 * allocated, which is void after a reset, or which arena_reserve() has refused.
 */
static void unreserve_not_last_refused(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve, failed;
	struct arena_stats was;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 10, 24, 8, GFP_KERNEL), 0);
	object(test, arena, 8, 1);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "not the last");
	KUNIT_EXPECT_NULL(test, arena_reserve_alloc(&reserve, 1, 1));

	/* In the next generation, another object lies where the reservation was. */
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 10, 24, 8, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	object(test, arena, 240, 2);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 0);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "void");

	KUNIT_ASSERT_NE(test, arena_reserve(arena, &failed, 1, CAPACITY + 1, 8, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, arena_unreserve(&failed), 0);
}

/*
 * Clause 3: if all but the last slab of a reservation is used up, arena_unreserve() gives back the
 * rest of that slab. In an arena with spans it gives back nothing, as a reservation larger than a
 * slab lies in no span.
 */
static void unreserve_above_slab_gives_last_slab(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	const size_t part = SLAB / 4;
	int i;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 11, part, 8, GFP_KERNEL), 0);
	for (i = 0; i < 9; i++)
		KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, part, 8));
	KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve),
			arena_kind_is_dense(kind) ? 2 * part : 0);
	arena_expect_sane(test, arena);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 11, part, 8, GFP_KERNEL), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, part, 8));
	KUNIT_EXPECT_EQ(test, arena_unreserve(&reserve), 0);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 1, 10: arena_owns() is true for the bytes of an object until a reset frees the object,
 * and false for all other addresses.
 */
static void owns_other_memory_false(struct kunit *test)
{
	struct arena *arena = usual(test), *other = usual(test);
	u8 *ptr = object(test, arena, 100, 1), *foreign = object(test, other, 100, 1);
	u8 *large = object(test, arena, 3 * SLAB, 2);
	void *page = vmalloc(PAGE_SIZE);
	int i;

	KUNIT_EXPECT_NOT_NULL(test, page);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_TRUE(test, arena_owns(arena, ptr + i));
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_TRUE(test, arena_owns(arena, large + i * SLAB + 1));
	KUNIT_EXPECT_TRUE(test, arena_owns(arena, large + 3 * SLAB - 1));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, foreign));
	KUNIT_EXPECT_FALSE(test, arena_owns(other, ptr));
	KUNIT_EXPECT_FALSE(test, arena_owns(other, large));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, NULL));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, &i));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, page));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, arena));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, (void *)8));
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, (void *)-8));
	vfree(page);
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_FALSE(test, arena_owns(arena, ptr));
	object(test, arena, 8, 1);
	KUNIT_EXPECT_TRUE(test, arena_owns(arena, ptr));
}

/*
 * Clause 28: in a private arena, too, the last object can be resized in place, and
 * arena_private_realloc() copies other objects.
 */
static void private_resize_last_in_place(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, 256, GFP_KERNEL), *ptr, *copy;
	struct arena_private arena;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	arena_private_init(&arena, buffer, 256);
	ptr = arena_private_alloc(&arena, 13, GFP_KERNEL);
	KUNIT_ASSERT_PTR_EQ(test, ptr, buffer);
	arena_pattern_fill(ptr, 13, 1);
	KUNIT_EXPECT_TRUE(test, arena_private_resize(&arena, ptr, 13, 256));
	KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 256);
	KUNIT_EXPECT_FALSE(test, arena_private_resize(&arena, ptr, 256, 257));
	KUNIT_EXPECT_FALSE(test, arena_private_resize(&arena, ptr, 256, SIZE_MAX));
	KUNIT_EXPECT_FALSE(test, arena_private_resize(&arena, ptr, 256, 0));
	KUNIT_EXPECT_TRUE(test, arena_private_resize(&arena, ptr, 256, 13));
	KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 13);
	KUNIT_EXPECT_PTR_EQ(test, arena_private_alloc(&arena, 8, GFP_KERNEL), (void *)ptr + 16);
	KUNIT_EXPECT_FALSE(test, arena_private_resize(&arena, ptr, 13, 14));
	KUNIT_EXPECT_TRUE(test, arena_private_resize(&arena, ptr, 13, 12));
	KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 21);
	copy = arena_private_realloc(&arena, ptr, 12, 5000, GFP_KERNEL | __GFP_ZERO);
	KUNIT_EXPECT_NOT_NULL(test, copy);
	if (copy) {
		KUNIT_EXPECT_EQ(test, arena_pattern_check(copy, 12, 1), 12);
		KUNIT_EXPECT_TRUE(test, arena_is_zero(copy + 12, 4988));
		KUNIT_EXPECT_PTR_EQ(test, (void *)copy,
				    arena_private_realloc(&arena, copy, 5000, 6000, GFP_KERNEL));
	}
	arena_private_destroy(&arena);
}

/*
 * Clause 28: a private arena takes back the object that was allocated last, one after the other,
 * and hands out its memory again. It takes back no other object.
 */
static void private_free_last_hands_out_again(struct kunit *test)
{
	struct arena_private arena;
	size_t i, size;
	u8 *ptr[4];

	arena_private_init(&arena, NULL, 0);
	for (i = 0; i < ARRAY_SIZE(ptr); i++) {
		ptr[i] = arena_private_alloc(&arena, 13 + i, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr[i]);
		arena_pattern_fill(ptr[i], 13 + i, i);
	}
	size = arena_private_offset(&arena);
	KUNIT_EXPECT_FALSE(test, arena_private_free_last(&arena, ptr[2], 15));
	KUNIT_EXPECT_FALSE(test, arena_private_free_last(&arena, ptr[3], 0));
	KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), size);
	for (i = ARRAY_SIZE(ptr) - 1; i; i--) {
		KUNIT_EXPECT_TRUE(test, arena_private_free_last(&arena, ptr[i], 13 + i));
		size -= 13 + i;
		KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), size);
	}
	KUNIT_EXPECT_PTR_EQ(test, arena_private_alloc(&arena, 14, GFP_KERNEL), (void *)ptr[1]);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr[0], 13, 0), 13);
	/* An object that lies in a chunk of its own leaves the arena that chunk. */
	size = SZ_64K;
	ptr[2] = arena_private_alloc(&arena, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptr[2]);
	KUNIT_EXPECT_FALSE(test, arena_private_free_last(&arena, ptr[1], 14));
	KUNIT_EXPECT_TRUE(test, arena_private_free_last(&arena, ptr[2], size));
	KUNIT_EXPECT_FALSE(test, arena_private_free_last(&arena, ptr[1], 14));
	ptr[3] = arena_private_alloc(&arena, size, ARENA_NOGROW);
	KUNIT_EXPECT_PTR_EQ(test, ptr[3], ptr[2]);
	arena_private_destroy(&arena);
}

/* Each CPU has its own span, so cases that expect exact offsets stay on one CPU. */
static int arena_resize_init(struct kunit *test)
{
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

static struct kunit_case arena_resize_cases[] = {
	KUNIT_CASE_PARAM(resize_last_moves_its_end, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resize_not_last_shrinks_only, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resize_bad_size_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(grow_past_slab_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_after_shrink_zeroed, arena_kind_gen_params),
	KUNIT_CASE_PARAM(shrink_last_keeps_peak, arena_kind_gen_params),
	KUNIT_CASE_PARAM(shrink_in_device_arena_gives_nothing_back, arena_kind_gen_params),
	KUNIT_CASE_PARAM(realloc_not_last_copies, arena_kind_gen_params),
	KUNIT_CASE_PARAM(realloc_above_slab_copies, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resize_after_rewind_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resize_racing_with_allocs_no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(unreserve_last_given_back, arena_kind_gen_params),
	KUNIT_CASE_PARAM(unreserve_not_last_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(unreserve_above_slab_gives_last_slab, arena_kind_gen_params),
	KUNIT_CASE_PARAM(owns_other_memory_false, arena_kind_gen_params),
	KUNIT_CASE(private_resize_last_in_place),
	KUNIT_CASE(private_free_last_hands_out_again),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_resize_suite = {
	.name = "arena_resize",
	.suite_init = arena_test_suite_init,
	.init = arena_resize_init,
	.test_cases = arena_resize_cases,
};

kunit_test_suite(arena_resize_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: resizing, unreserving, owning");
MODULE_LICENSE("GPL");
