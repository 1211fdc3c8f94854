// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of private arenas. Such an arena has one owner, may begin in a buffer of the owner (the
 * first buffer), and has nested marks.
 */
#include <linux/arena_private.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

#define OBJECTS		400

static void private_destroy(void *arena)
{
	arena_private_destroy(arena);
}

static struct arena_private *private_create(struct kunit *test, void *buffer, size_t size)
{
	struct arena_private *arena = kunit_kzalloc(test, sizeof(*arena), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, arena);
	arena_private_init(arena, buffer, size);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, private_destroy, arena));
	return arena;
}

static bool within(const void *ptr, size_t size, const void *buffer, size_t room)
{
	return ptr >= buffer && ptr + size <= buffer + room;
}

/* With a first buffer of any size and alignment, all objects lie in the buffer until it is full. */
static void private_alloc_first_buffer_within(struct kunit *test)
{
	const size_t room = 512;
	u8 *buffer = kunit_kzalloc(test, room, GFP_KERNEL);
	size_t skew, size;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	for (skew = 0; skew < 20; skew++) {
		for (size = 0; size <= room - skew; size += size < 40 ? 1 : 37) {
			struct arena_private arena;
			size_t got = 0;
			void *ptr;

			arena_private_init(&arena, buffer + skew, size);
			while ((ptr = arena_private_alloc(&arena, 8, ARENA_NOGROW))) {
				if (!within(ptr, 8, buffer + skew, size) ||
				    !IS_ALIGNED((unsigned long)ptr, ARENA_MIN_ALIGN))
					KUNIT_FAIL(test, "skew %zu size %zu", skew, size);
				memset(ptr, 0xff, 8);
				got += 8;
			}
			/*
			 * Fewer than ARENA_MIN_ALIGN bytes are unused at the start of the buffer,
			 * and fewer than an object takes at its end.
			 */
			KUNIT_EXPECT_GT(test, got + ARENA_MIN_ALIGN + 8, size);
			KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), got);
			arena_private_destroy(&arena);
		}
	}
}

/* A zeroed arena needs no initialization, whichever call comes first. */
static void private_zeroed_works_as_initialised(struct kunit *test)
{
	struct arena_private arena = { }, unused = { };
	struct arena_private_mark mark = arena_private_mark(&arena);
	u64 *a, *b;

	KUNIT_EXPECT_NULL(test, arena_private_alloc(&arena, 8, ARENA_NOGROW));
	a = arena_private_alloc(&arena, sizeof(*a), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a);
	*a = 1;
	KUNIT_EXPECT_EQ(test, 0, arena_private_rewind(&arena, &mark));
	b = arena_private_alloc(&arena, sizeof(*b), ARENA_NOGROW);
	KUNIT_EXPECT_PTR_EQ(test, a, b);
	arena_private_adopt(&arena);
	arena_private_reset(&arena);
	KUNIT_EXPECT_EQ(test, 0, arena_private_offset(&arena));
	arena_private_destroy(&arena);

	arena_private_reset(&unused);
	arena_private_trim(&unused);
	arena_private_destroy(&unused);
}

/*
 * An arena grows when its first buffer, here on the stack, is full. After a reset it uses the
 * buffer again.
 */
static void private_alloc_stack_buffer_grows(struct kunit *test)
{
	u8 buffer[200];
	struct arena_private arena;
	unsigned int round, n;
	bool inside = true;

	arena_private_init(&arena, buffer, sizeof(buffer));
	for (round = 0; round < 3; round++) {
		for (n = 0; n < 200; n++) {
			void *ptr = arena_private_alloc(&arena, 24, GFP_KERNEL);

			KUNIT_EXPECT_NOT_NULL(test, ptr);
			if (!ptr)
				break;
			memset(ptr, n, 24);
			inside = within(ptr, 24, buffer, sizeof(buffer));
			KUNIT_EXPECT_EQ(test, inside, n < (sizeof(buffer) - 7) / 24);
		}
		KUNIT_EXPECT_FALSE(test, inside);
		KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 200 * 24);
		arena_private_reset(&arena);
		KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 0);
	}
	arena_private_destroy(&arena);
}

/* Clauses 1, 7: objects of random sizes and alignments keep their bytes and do not overlap. */
static void private_alloc_mixed_no_overlap(struct kunit *test)
{
	static const size_t most[] = { 16, 300, 5000, 70000 };
	struct arena_extent *ext = kunit_kcalloc(test, OBJECTS, sizeof(*ext), GFP_KERNEL);
	struct arena_private *arena = private_create(test, NULL, 0);
	u32 rnd = 31337;
	int i, n;

	KUNIT_ASSERT_NOT_NULL(test, ext);
	for (i = 0; i < ARRAY_SIZE(most); i++) {
		size_t used = 0;

		for (n = 0; n < OBJECTS / (i + 1); n++) {
			size_t size = 1 + arena_rnd_below(&rnd, most[i]);
			size_t align = BIT(arena_rnd_below(&rnd, 13));
			void *ptr;

			if (n & 1) {
				ptr = __arena_private_alloc(arena, size, align, GFP_KERNEL);
			} else {
				align = ARENA_MIN_ALIGN;
				ptr = arena_private_alloc(arena, size, GFP_KERNEL);
			}
			KUNIT_ASSERT_NOT_NULL(test, ptr);
			KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, align));
			arena_pattern_fill(ptr, size, n);
			ext[n] = (struct arena_extent){ ptr, size, n };
			used += size;
			KUNIT_EXPECT_EQ(test, arena_private_offset(arena), used);
		}
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
		KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, n));
		arena_private_reset(arena);
	}
}

/* Clauses 4, 5: an allocation with a bad argument returns NULL and changes nothing. */
static void private_alloc_bad_argument_null(struct kunit *test)
{
	static const struct {
		size_t size;
		size_t align;
	} bad[] = {
		{ 0, 8 }, { SIZE_MAX, 8 }, { SIZE_MAX - 7, 8 }, { SIZE_MAX / 2 + 1, 8 },
		{ ARENA_SLAB_MAX - PAGE_SIZE + 1, 8 }, { ARENA_SLAB_MAX, 1 },
		{ 8, 0 }, { 8, 3 }, { 8, 24 }, { 8, 2 * PAGE_SIZE }, { 8, (SIZE_MAX >> 1) + 1 },
	};
	static const size_t aligns[] = { 8, PAGE_SIZE };
	struct arena_private *arena = private_create(test, NULL, 0);
	void *before, *after;
	int i;

	KUNIT_EXPECT_NULL(test, arena_private_alloc(arena, 8, ARENA_NOGROW));
	KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 0);
	before = arena_private_alloc(arena, 8, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct arena_private was = *arena;

		KUNIT_EXPECT_NULL_MSG(test, __arena_private_alloc(arena, bad[i].size, bad[i].align,
								  GFP_KERNEL), "case %d", i);
		if (bad[i].align == 8)
			KUNIT_EXPECT_NULL_MSG(test, arena_private_alloc(arena, bad[i].size,
									GFP_KERNEL),
					      "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(&was, arena, sizeof(was)), "case %d", i);
	}
	/*
	 * The arena could not grow for a large object, but small objects still fit in its memory.
	 */
	KUNIT_EXPECT_NULL(test, arena_private_alloc(arena, SZ_64K, ARENA_NOGROW));
	after = arena_private_alloc(arena, 8, ARENA_NOGROW);
	KUNIT_EXPECT_PTR_EQ(test, after, before + 8);
	/*
	 * Allocate the largest possible object, if there is memory for it. Each round destroys the
	 * arena, which puts the memory into the pool, and the next round takes it from there.
	 */
	for (i = 0; i < 2 * ARRAY_SIZE(aligns); i++) {
		after = __arena_private_alloc(arena, ARENA_SLAB_MAX - PAGE_SIZE,
					      aligns[i % ARRAY_SIZE(aligns)], GFP_KERNEL);
		if (after)
			memset(after, 0xff, ARENA_SLAB_MAX - PAGE_SIZE);
		arena_private_destroy(arena);
	}
}

/* Clause 6: objects allocated with __GFP_ZERO are zero although their memory was used before. */
static void private_zalloc_dirty_memory_zero(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	size_t bad = 0;
	int round, n;

	for (round = 0; round < 3; round++) {
		for (n = 1; n < 300; n++) {
			void *ptr = n % 3 ? arena_private_alloc(arena, n, GFP_KERNEL | __GFP_ZERO) :
				    __arena_private_alloc(arena, n, 64, GFP_KERNEL | __GFP_ZERO);

			KUNIT_ASSERT_NOT_NULL(test, ptr);
			bad += !arena_is_zero(ptr, n);
			memset(ptr, 0xff, n);
		}
		arena_private_reset(arena);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static void fill(struct kunit *test, struct arena_private *arena)
{
	int n;

	for (n = 0; n < 100; n++) {
		void *ptr = arena_private_alloc(arena, 1000, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 0xee, 1000);
	}
}

/*
 * Clauses 8, 9: a reset keeps all memory of the arena. arena_private_trim() after a reset gives the
 * memory back, and so does arena_private_destroy().
 */
static void private_reset_keeps_trim_returns(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	const long before = arena_total_now();
	long full;
	int round;

	fill(test, arena);
	full = arena_total_now();
	for (round = 0; round < 10; round++) {
		arena_private_reset(arena);
		/* The same objects fit in the memory that the arena has kept. */
		fill(test, arena);
		KUNIT_EXPECT_EQ(test, arena_total_now(), full);
	}
	arena_private_trim(arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), full);
	arena_private_reset(arena);
	arena_private_trim(arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
	fill(test, arena);
	arena_private_destroy(arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
	/* After destruction, the arena can be initialised again. */
	arena_private_init(arena, NULL, 0);
	fill(test, arena);
}

/*
 * A model of the marks and the live objects of a private arena
 */
#define MODEL_OBJECTS	300
#define MODEL_MARKS	60

struct model_mark {
	struct arena_private_mark	mark;
	unsigned int			objects;	/* live objects when the mark was made */
	size_t				used;
	bool				valid;
};

struct model {
	struct arena_extent	ext[MODEL_OBJECTS];
	unsigned int		objects;
	size_t			used;
	struct model_mark	marks[MODEL_MARKS];
	unsigned int		nr_marks;
	u32			rnd;
	u32			owner;
};

static void model_alloc(struct kunit *test, struct model *m, struct arena_private *arena)
{
	size_t size = 1 + arena_rnd_below(&m->rnd, arena_rnd_below(&m->rnd, 10) ? 200 : 9000);
	void *ptr = arena_private_alloc(arena, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	arena_pattern_fill(ptr, size, ++m->owner);
	m->ext[m->objects++] = (struct arena_extent){ ptr, size, m->owner };
	m->used += size;
}

/*
 * A private arena records at most ARENA_PRIVATE_MARKS marks. A mark that is made when so many are
 * valid is never valid itself: arena_private_rewind() to it fails.
 */
static void model_mark(struct model *m, struct arena_private *arena)
{
	unsigned int i, open = 0;

	for (i = 0; i < m->nr_marks; i++)
		open += m->marks[i].valid;
	m->marks[m->nr_marks++] = (struct model_mark){
		.mark = arena_private_mark(arena),
		.objects = m->objects,
		.used = m->used,
		.valid = open < ARENA_PRIVATE_MARKS,
	};
}

/* @from and all marks that were made after it are no longer valid. */
static void model_end_marks(struct model *m, struct model_mark *from)
{
	while (from < m->marks + m->nr_marks)
		from++->valid = false;
}

static void model_unmark(struct model *m, struct arena_private *arena)
{
	struct model_mark *mark = &m->marks[arena_rnd_below(&m->rnd, m->nr_marks)];

	arena_private_unmark(arena, &mark->mark);
	if (mark->valid)
		model_end_marks(m, mark);
}

static void model_reset(struct model *m, struct arena_private *arena)
{
	arena_private_reset(arena);
	model_end_marks(m, m->marks);
	m->objects = 0;
	m->used = 0;
}

/* Rewind to a random mark, valid or not. Returns whether the arena did what the model predicts. */
static bool model_rewind(struct model *m, struct arena_private *arena)
{
	struct model_mark *to = &m->marks[arena_rnd_below(&m->rnd, m->nr_marks)];
	int err = arena_private_rewind(arena, &to->mark);

	if (!to->valid)
		return err == -ESTALE;
	if (err)
		return false;
	m->objects = to->objects;
	m->used = to->used;
	model_end_marks(m, to + 1);
	return true;
}

/*
 * Clause 12: a rewind succeeds only to a valid mark, and frees exactly the objects that are newer
 * than the mark.
 */
static void private_rewind_random_follows_model(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int step, rewinds = 0;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->rnd = 2718;
	for (step = 0; step < 6000; step++) {
		u32 what = arena_rnd_below(&m->rnd, 100);

		if (m->objects == MODEL_OBJECTS || m->nr_marks == MODEL_MARKS || what == 0) {
			model_reset(m, arena);
			/*
			 * If @what is 0, the model keeps the marks that the reset has ended, so
			 * that later steps try to rewind to them.
			 */
			if (what || m->nr_marks == MODEL_MARKS)
				m->nr_marks = 0;
		} else if (what < 60) {
			model_alloc(test, m, arena);
		} else if (what < 85) {
			model_mark(m, arena);
		} else if (what == 85 && m->nr_marks) {
			model_unmark(m, arena);
		} else if (m->nr_marks) {
			KUNIT_ASSERT_TRUE_MSG(test, model_rewind(m, arena), "step %u", step);
			rewinds++;
		}
		KUNIT_ASSERT_EQ_MSG(test, arena_private_offset(arena), m->used, "step %u", step);
		KUNIT_ASSERT_EQ_MSG(test, 0, arena_extents_spoiled(m->ext, m->objects),
				    "step %u", step);
	}
	KUNIT_EXPECT_GT(test, rewinds, 100);
}

/*
 * Clause 12: a rewind below a mark makes the mark stale. The mark remains stale when a newer object
 * lies where the arena stood when the mark was made.
 */
static void private_rewind_to_passed_mark_estale(struct kunit *test)
{
	static const size_t sizes[] = { 100, 20000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct arena_private *arena = private_create(test, NULL, 0);
		struct arena_private_mark low, high;
		u8 *live, *next;

		KUNIT_ASSERT_NOT_NULL(test, arena_private_alloc(arena, 8, GFP_KERNEL));
		low = arena_private_mark(arena);
		KUNIT_ASSERT_NOT_NULL(test, arena_private_alloc(arena, sizes[i], GFP_KERNEL));
		high = arena_private_mark(arena);
		KUNIT_EXPECT_EQ(test, arena_private_rewind(arena, &low), 0);
		live = arena_private_alloc(arena, 2 * sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, live);
		arena_pattern_fill(live, 2 * sizes[i], 1);
		KUNIT_EXPECT_EQ(test, arena_private_rewind(arena, &high), -ESTALE);
		KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 8 + 2 * sizes[i]);
		next = arena_private_alloc(arena, 2 * sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, next);
		memset(next, 0xff, 2 * sizes[i]);
		KUNIT_EXPECT_EQ(test, arena_pattern_check(live, 2 * sizes[i], 1), 2 * sizes[i]);
		/* The rewind to @low has not ended @low itself: a second rewind to it succeeds. */
		KUNIT_EXPECT_EQ(test, arena_private_rewind(arena, &low), 0);
		KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 8);
	}
}

static size_t in_scratch(struct arena_private *arena, bool early)
{
	arena_scratch(arena);

	arena_ignore(arena_private_alloc(arena, 100, GFP_KERNEL));
	if (early)
		return arena_private_offset(arena);
	{
		arena_scratch(arena);

		arena_ignore(arena_private_alloc(arena, 20000, GFP_KERNEL));
	}
	arena_ignore(arena_private_alloc(arena, 50, GFP_KERNEL));
	return arena_private_offset(arena);
}

/*
 * Clause 12: arena_scratch() frees the objects of its scope at the end of the scope, whether a
 * return or the last statement ends it.
 */
static void private_scratch_left_frees(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	u8 *kept;
	int i;

	kept = arena_private_alloc(arena, 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kept);
	arena_pattern_fill(kept, 64, 1);
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, in_scratch(arena, true), 64 + 100);
		KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 64);
		KUNIT_EXPECT_EQ(test, in_scratch(arena, false), 64 + 150);
		KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 64);
	}
	KUNIT_EXPECT_EQ(test, arena_pattern_check(kept, 64, 1), 64);
}

static void deep_scratch(struct arena_private *arena, unsigned int depth)
{
	arena_scratch(arena);

	arena_ignore(arena_private_alloc(arena, 3000, GFP_KERNEL));
	if (depth)
		deep_scratch(arena, depth - 1);
}

/*
 * Clause 12: if arena_scratch() scopes are nested deeper than ARENA_PRIVATE_MARKS, the ends of the
 * outer scopes free the objects of the inner ones.
 */
static void private_scratch_too_deep_outer_frees(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	const long before = arena_total_now();
	unsigned int round;

	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(arena, 64, GFP_KERNEL));
	for (round = 0; round < 3; round++) {
		deep_scratch(arena, ARENA_PRIVATE_MARKS + 5);
		KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 64);
	}
	arena_private_reset(arena);
	arena_private_trim(arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

static void with_cleanup(struct kunit *test, struct arena_private *embedded)
{
	struct arena_private *arena __free(arena_private_destroy) = embedded;

	arena_private_init(arena, NULL, 0);
	fill(test, arena);
}

/* At the end of its scope, a variable with __free(arena_private_destroy) gives all memory back. */
static void private_cleanup_attribute_destroys(struct kunit *test)
{
	const long before = arena_total_now();
	struct arena_private arena;

	with_cleanup(test, &arena);
	KUNIT_EXPECT_EQ(test, arena_total_now(), before);
}

/*
 * Owners and contexts
 */
static void second_owner_job(struct arena_hand *hand)
{
	struct arena_private *arena = hand->crew->data;

	if (arena_private_alloc(arena, 8, GFP_KERNEL))
		hand->allocs++;
}

/* With CONFIG_ARENA_DEBUG, an allocation by a task that is not the owner warns and fails. */
static void private_alloc_second_owner_refused(struct kunit *test)
{
	struct arena_private *arena = private_create(test, NULL, 0);
	struct arena_crew *crew = arena_crew_create(test, NULL, 1, 0);

	if (!IS_ENABLED(CONFIG_ARENA_DEBUG))
		kunit_skip(test, "needs CONFIG_ARENA_DEBUG");
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(arena, 8, GFP_KERNEL));
	crew->data = arena;
	pr_warn("arena-test: expect splat\n");
	arena_crew_go(crew, second_owner_job, 0);
	arena_crew_wait(crew);
	pr_warn("arena-test: end of splat\n");
	KUNIT_EXPECT_EQ(test, arena_crew_allocs(crew), 0);
	KUNIT_EXPECT_EQ(test, arena_private_offset(arena), 8);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(arena, 8, GFP_KERNEL));
	arena_private_adopt(arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(arena, 8, GFP_KERNEL));
}

struct by_irq {
	struct arena_private	*arena;
	void			*nogrow;
	void			*grown;
};

static void alloc_in_irq(void *data)
{
	struct by_irq *b = data;

	b->nogrow = arena_private_alloc(b->arena, 64, ARENA_NOGROW);
	b->grown = arena_private_alloc(b->arena, 3000, GFP_ATOMIC);
}

/*
 * A hard interrupt may allocate from a private arena that no task is using, and with GFP_ATOMIC the
 * arena may grow there.
 */
static void private_alloc_in_hardirq_ok(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, 128, GFP_KERNEL);
	struct by_irq b;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	b.arena = private_create(test, buffer, 128);
	arena_in_irq(alloc_in_irq, &b);
	KUNIT_EXPECT_TRUE(test, within(b.nogrow, 64, buffer, 128));
	KUNIT_EXPECT_NOT_NULL(test, b.grown);
	KUNIT_EXPECT_EQ(test, arena_private_offset(b.arena), 3064);
}

/*
 * Private arenas that take their memory, in chunks, from a shared arena, the parent
 */
static struct arena *parent_create(struct kunit *test, struct arena_private *arena, u8 *buffer)
{
	struct arena *parent = arena_test_create(test, 32 * SLAB, SLAB, 0);

	KUNIT_ASSERT_EQ(test, arena_private_init_in(arena, parent, buffer, buffer ? 64 : 0), 0);
	return parent;
}

/* Clauses 1, 8: all objects of a private arena with a parent lie in the parent. */
static void private_in_parent_lies_there(struct kunit *test)
{
	static const size_t sizes[] = { 8, 100, 4000, SZ_4K, SLAB - 100, SLAB + 8, 3 * SLAB };
	struct arena_private arena;
	struct arena *parent = parent_create(test, &arena, NULL);
	const long before = arena_total_now();
	unsigned int i, align;
	size_t used;
	void *ptr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		align = 8U << (i % 4);
		ptr = __arena_private_alloc(&arena, sizes[i], align, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, align));
		KUNIT_EXPECT_TRUE(test, arena_owns(parent, ptr));
		KUNIT_EXPECT_TRUE(test, arena_owns(parent, ptr + sizes[i] - 1));
		memset(ptr, 0xff, sizes[i]);
	}
	/* Besides its slabs, the parent has allocated at most one page, for its directory. */
	KUNIT_EXPECT_LE(test, arena_total_now() - before,
			(arena_test_stats(parent).committed >> PAGE_SHIFT) + 1);
	/*
	 * After a reset the private arena reuses its chunks, the newest first, and takes nothing
	 * more from the parent. So allocate the objects in reverse order.
	 */
	used = arena_offset(parent);
	arena_private_reset(&arena);
	arena_private_trim(&arena);
	for (i = ARRAY_SIZE(sizes); i--;)
		KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, sizes[i], GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_offset(parent), used);
	arena_private_destroy(&arena);
	KUNIT_EXPECT_EQ(test, arena_offset(parent), used);
	arena_expect_sane(test, parent);
}

/*
 * Clause 23: a private arena keeps pointers in its chunks, so arena_private_init_in() refuses a
 * parent that programs may map. The private arena then has no parent. To need no device, the test
 * sets ARENA_MAPPABLE in an ordinary arena.
 */
static void private_in_mappable_parent_refused(struct kunit *test)
{
	struct arena *parent = arena_test_create(test, 32 * SLAB, SLAB, 0);
	struct arena_private arena;

	parent->flags |= ARENA_MAPPABLE;
	KUNIT_EXPECT_EQ(test, arena_private_init_in(&arena, parent, NULL, 0), -EINVAL);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_offset(parent), 0);
	arena_private_destroy(&arena);
	parent->flags &= ~ARENA_MAPPABLE;
}

/*
 * Clause 4: if the parent is full, an allocation from the private arena returns NULL and changes
 * nothing.
 */
static void private_in_full_parent_null(struct kunit *test)
{
	struct arena_private arena;
	struct arena *parent = parent_create(test, &arena, NULL);
	struct arena_stats was;

	while (arena_alloc(parent, SZ_4K, GFP_KERNEL))
		;
	was = arena_test_stats(parent);
	KUNIT_EXPECT_NULL(test, arena_private_alloc(&arena, 8, GFP_KERNEL));
	arena_expect_unchanged(test, parent, &was, ARENA_CAUSE_SPACE, "no chunk");
	KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 0);
	arena_private_destroy(&arena);
}

static void count_call(void *data)
{
	++*(unsigned int *)data;
}

/*
 * Clause 10: a reset of the parent frees the chunks of a private arena. An allocation that needs a
 * new chunk then warns and returns NULL. arena_private_reset() warns that the actions of the
 * private arena are not called, as their memory is gone, and makes the arena usable again.
 */
static void private_in_reset_parent_void(struct kunit *test)
{
	struct arena_private arena;
	u8 *buffer = kunit_kzalloc(test, 64, GFP_KERNEL);
	struct arena *parent = parent_create(test, &arena, buffer);
	struct arena_private_mark mark;
	unsigned int round, calls = 0;
	void *warnings, *ptr;
	int nr;

	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_TRUE(test, within(arena_private_alloc(&arena, 64, GFP_KERNEL), 64,
					       buffer, 64));
		KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 64, GFP_KERNEL));
		mark = arena_private_mark(&arena);
		KUNIT_EXPECT_EQ(test, arena_private_add_action(&arena, count_call, &calls,
							       GFP_KERNEL), 0);
		KUNIT_ASSERT_EQ(test, arena_reset(parent), 0);
		/* No call on the private arena below may overwrite this object of the parent. */
		ptr = arena_alloc(parent, SLAB, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		memset(ptr, 0xaa, SLAB);
		warnings = arena_warnings_begin(test);
		KUNIT_EXPECT_NULL(test, arena_private_alloc(&arena, SZ_8K, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, arena_private_rewind(&arena, &mark), -ESTALE);
		arena_private_reset(&arena);
		nr = arena_warnings_end(test, warnings);
		/*
		 * The kernel prints each of the two warnings once, so only the first round sees
		 * them.
		 */
		KUNIT_EXPECT_TRUE(test, nr == -1 || nr == 2 || round);
		KUNIT_EXPECT_EQ(test, arena_private_offset(&arena), 0);
		KUNIT_EXPECT_TRUE(test, !memchr_inv(ptr, 0xaa, SLAB));
	}
	KUNIT_EXPECT_EQ(test, calls, 0);
	arena_private_destroy(&arena);
}

/*
 * Clause 12: a rewind of the parent to a mark that is newer than the chunks of a private arena
 * leaves the chunks alone; a rewind to a mark that is older frees them.
 */
static void private_in_rewound_parent_void_below(struct kunit *test)
{
	struct arena_private arena;
	struct arena *parent = parent_create(test, &arena, NULL);
	struct arena_mark below, above;
	void *warnings;

	KUNIT_ASSERT_EQ(test, arena_mark(parent, &below), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, 8, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_mark(parent, &above), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(parent, 8, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_rewind(parent, &above), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_alloc(&arena, SZ_8K, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_rewind(parent, &below), 0);
	warnings = arena_warnings_begin(test);
	KUNIT_EXPECT_NULL(test, arena_private_alloc(&arena, SZ_8K, GFP_KERNEL));
	arena_warnings_end(test, warnings);
	arena_private_destroy(&arena);
}

static struct kunit_case arena_private_cases[] = {
	KUNIT_CASE(private_alloc_first_buffer_within),
	KUNIT_CASE(private_zeroed_works_as_initialised),
	KUNIT_CASE(private_alloc_stack_buffer_grows),
	KUNIT_CASE(private_alloc_mixed_no_overlap),
	KUNIT_CASE(private_alloc_bad_argument_null),
	KUNIT_CASE(private_zalloc_dirty_memory_zero),
	KUNIT_CASE(private_reset_keeps_trim_returns),
	KUNIT_CASE(private_rewind_random_follows_model),
	KUNIT_CASE(private_rewind_to_passed_mark_estale),
	KUNIT_CASE(private_scratch_left_frees),
	KUNIT_CASE(private_scratch_too_deep_outer_frees),
	KUNIT_CASE(private_cleanup_attribute_destroys),
	KUNIT_CASE(private_alloc_second_owner_refused),
	KUNIT_CASE(private_alloc_in_hardirq_ok),
	KUNIT_CASE(private_in_parent_lies_there),
	KUNIT_CASE(private_in_mappable_parent_refused),
	KUNIT_CASE(private_in_full_parent_null),
	KUNIT_CASE(private_in_reset_parent_void),
	KUNIT_CASE(private_in_rewound_parent_void_below),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_private_suite = {
	.name = "arena_private",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_private_cases,
};

kunit_test_suite(arena_private_suite);

MODULE_DESCRIPTION("KUnit tests of private arenas");
MODULE_LICENSE("GPL");
