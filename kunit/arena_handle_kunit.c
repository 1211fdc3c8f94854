// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of handles: a stale or forged handle resolves to NULL. The tag in the cursor, which is the
 * low part of the generation, wraps, so a later generation can have the tag of an earlier one. Then
 * the later generation must not use the spans and handles of the earlier one as its own.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

static unsigned long real_resets;
module_param(real_resets, ulong, 0644);
MODULE_PARM_DESC(real_resets,
		 "Resets to wrap the tag by, beside the case that starts near it (17000000: all bits)");

#define CAPACITY	(16 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/*
 * Kinds of arenas that differ in what an old generation can leave behind: nothing, spans, or spans
 * and a slab set.
 */
static const struct arena_kind waiting_kinds[] = {
	{ "dense",		0 },
	{ "spans",		ARENA_SPANS },
	{ "spans, readers",	ARENA_SPANS | ARENA_READERS },
};

KUNIT_ARRAY_PARAM(waiting, waiting_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, ARENA_READERS);
}

static bool same(arena_handle_t a, arena_handle_t b)
{
	return a.generation == b.generation && a.offset == b.offset;
}

static bool is_none(const struct arena *arena, arena_handle_t handle)
{
	return !handle.generation && !arena_deref(arena, handle);
}

/* Clause 13: the handle of an object resolves to the object, whichever slab the object lies in. */
static void handle_each_object_resolves(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8, 24, 100, 4096, SLAB - 8, SLAB };
	struct arena *arena = usual(test);
	unsigned int i, n = 0;

	static_assert(sizeof(arena_handle_t) == 16);
	for (i = 0; i < 60; i++) {
		const size_t size = sizes[i % ARRAY_SIZE(sizes)];
		arena_handle_t handle = { ~0ULL, ~0ULL }, again;
		u8 *ptr = arena_alloc_handle(arena, size, GFP_KERNEL, &handle);

		if (!ptr) {
			KUNIT_EXPECT_TRUE(test, is_none(arena, handle));
			continue;
		}
		memset(ptr, 0xff, size);
		n++;
		KUNIT_EXPECT_EQ(test, handle.generation, arena_test_stats(arena).generation);
		KUNIT_EXPECT_LE(test, handle.offset + size, arena_high(arena));
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, handle), ptr);
		again = arena_handle(arena, ptr);
		KUNIT_EXPECT_TRUE(test, same(again, handle));

		/* Objects of arena_alloc() have handles, too, and so do bytes inside an object. */
		ptr = arena_alloc(arena, 40, GFP_KERNEL);
		if (!ptr)
			continue;
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, ptr)), ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, ptr + 39)),
				    ptr + 39);
	}
	KUNIT_EXPECT_GE(test, n, 20);
}

/* Clauses 4, 5: if arena_alloc_handle() fails, it sets the handle to one that resolves to NULL. */
static void alloc_handle_bad_argument_refused(struct kunit *test)
{
	static const size_t bad[] = { 0, CAPACITY + 1, SIZE_MAX };
	struct arena *arena = usual(test);
	struct arena_stats was;
	arena_handle_t handle;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		handle = (arena_handle_t){ 1, 2 };
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_alloc_handle(arena, bad[i], GFP_KERNEL, &handle));
		arena_expect_unchanged(test, arena, &was,
				       bad[i] ? ARENA_CAUSE_SPACE : ARENA_CAUSE_ARG,
				       "size %zu", bad[i]);
		KUNIT_EXPECT_TRUE(test, is_none(arena, handle));
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_handle(arena, 8, ARENA_NOGROW, &handle));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "not committed");
	KUNIT_EXPECT_TRUE(test, is_none(arena, handle));
}

/*
 * Clause 13: arena_handle() of an address outside the arena returns a handle that resolves to NULL.
 */
static void handle_foreign_address_none(struct kunit *test)
{
	struct arena *arena = usual(test), *other = usual(test);
	void *mine = arena_alloc(arena, 64, GFP_KERNEL);
	void *theirs = arena_alloc(other, 64, GFP_KERNEL);
	void *kmalloced = kunit_kzalloc(test, 64, GFP_KERNEL);
	void *vmalloced = vzalloc(PAGE_SIZE);
	void *large = arena_alloc(other, 2 * SLAB, GFP_KERNEL);
	void *beyond;

	KUNIT_ASSERT_TRUE(test, mine && theirs && kmalloced && vmalloced && large);
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, NULL)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, theirs)));
	KUNIT_EXPECT_TRUE(test, is_none(other, arena_handle(other, mine)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, kmalloced)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, vmalloced)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, &other)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, arena)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, ERR_PTR(-EINVAL))));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, (void *)8)));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, large)));
	vfree(vmalloced);

	/* An address above all objects has no valid handle, even in a committed slab. */
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_ASSERT_PTR_EQ(test, arena_alloc(arena, 64, GFP_KERNEL), mine);
	beyond = mine + SLAB - 64;
	if (arena_high(arena) <= SLAB - 64)
		KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, beyond)));
	/* After arena_reset_rcu(), an object in the old slab set has no valid handle. */
	KUNIT_ASSERT_EQ(test, arena_reset_rcu(arena), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, SLAB, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, mine)));
}

static int reset_in_way(struct arena *arena, unsigned int way)
{
	unsigned long until = 0;
	int err = 0;

	switch (way % 5) {
	case 0:
		return arena_reset(arena);
	case 1:
		do {
			err = arena_reset_rcu(arena);
		} while (err == -EBUSY && arena_sleep_until(&until));
		return err;
	case 2:
		arena_reset_release(arena, 0);
		return 0;
	case 3:
		arena_reset_release(arena, SIZE_MAX);
		return 0;
	default:
		arena_reset_zero(arena);
		return 0;
	}
}

/*
 * Clause 13: the handle of an object larger than a slab resolves to the address that the caller
 * got, and so does the handle of a small object that lies in the last slab of the large one.
 */
static void handle_large_object_resolves(struct kunit *test)
{
	static const size_t sizes[] = { SLAB + 1, 2 * SLAB, 2 * SLAB + PAGE_SIZE + 8 };
	struct arena *arena = usual(test);
	unsigned int i;

	for (i = 0; i < 3 * ARRAY_SIZE(sizes); i++) {
		const size_t size = sizes[i % ARRAY_SIZE(sizes)];
		arena_handle_t handle, small;
		u8 *ptr, *after;

		ptr = arena_alloc_handle(arena, size, GFP_KERNEL, &handle);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		after = arena_alloc_handle(arena, 8, GFP_KERNEL, &small);
		KUNIT_ASSERT_NOT_NULL(test, after);
		KUNIT_EXPECT_TRUE(test, same(arena_handle(arena, ptr), handle));
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, handle), ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, small), after);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, after)), after);
		KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, ptr + SLAB)));
		KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, ptr + size - 1)));

		/*
		 * After a reset, a small object lies where the large one was. Its handle must
		 * resolve to an address in its slab, and not in the view of the large object.
		 */
		KUNIT_ASSERT_EQ(test, reset_in_way(arena, i), 0);
		KUNIT_EXPECT_NULL(test, arena_deref(arena, handle));
		after = arena_alloc_handle(arena, SLAB, GFP_KERNEL, &small);
		KUNIT_ASSERT_NOT_NULL(test, after);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, small), after);
		KUNIT_ASSERT_EQ(test, reset_in_way(arena, i / 2), 0);
	}
}

/*
 * Clause 13: the handle of an object larger than a slab outlives a rewind to a mark above the
 * object.
 */
static void handle_large_object_outlives_rewind(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	arena_handle_t handle, small;
	struct arena_mark below, above;
	void *ptr, *after;

	KUNIT_ASSERT_EQ(test, arena_mark(arena, &below), 0);
	ptr = arena_alloc_handle(arena, 2 * SLAB + 8, GFP_KERNEL, &handle);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_ASSERT_EQ(test, arena_mark(arena, &above), 0);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &above), 0);
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, handle), ptr);
	KUNIT_EXPECT_TRUE(test, same(arena_handle(arena, ptr), handle));
	after = arena_alloc_handle(arena, 8, GFP_KERNEL, &small);
	KUNIT_ASSERT_NOT_NULL(test, after);
	KUNIT_EXPECT_EQ(test, small.offset / SLAB, handle.offset / SLAB + 2);
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, small), after);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &below), 0);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, handle));
	KUNIT_EXPECT_TRUE(test, is_none(arena, arena_handle(arena, ptr)));
}

/*
 * Clause 13: arena_unreserve() gives back the tail of a reservation that is larger than a slab, and
 * the next object begins in this tail. The handle of the object must resolve to the address that
 * the caller got. It must not resolve into the view of the reservation, which ends before the
 * object does.
 */
static void handle_after_large_unreserve_resolves(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	struct arena_reserve reserve;
	arena_handle_t small;
	void *first, *ptr;

	KUNIT_ASSERT_EQ(test, arena_reserve(arena, &reserve, 1, 2 * SLAB + SLAB / 2, 8,
					    GFP_KERNEL), 0);
	first = arena_reserve_alloc(&reserve, 2 * SLAB + 8, 8);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_EQ(test, arena_unreserve(&reserve), SLAB / 2 - 8);
	ptr = arena_alloc_handle(arena, SLAB / 2, GFP_KERNEL, &small);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_LT(test, small.offset % SLAB, SLAB / 2);
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, small), ptr);
	KUNIT_EXPECT_TRUE(test, same(arena_handle(arena, ptr), small));
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, arena_handle(arena, first)), first);
}

/* Clause 13: a handle that was made up resolves to NULL. */
static void deref_forged_null(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t good, h;
	void *ptr;
	u64 g;
	int bit;

	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	ptr = arena_alloc_handle(arena, 64, GFP_KERNEL, &good);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	g = good.generation;

	/* Handles of other generations must not resolve, even if these have the current tag. */
	for (bit = 0; bit < 64; bit++) {
		h = (arena_handle_t){ g ^ BIT_ULL(bit), good.offset };
		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, h), "generation, bit %d", bit);
		h = (arena_handle_t){ g + BIT_ULL(bit), good.offset };
		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, h), "generation, plus bit %d", bit);
		h = (arena_handle_t){ g - BIT_ULL(bit), good.offset };
		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, h), "generation, minus bit %d", bit);
	}
	for (bit = 0; bit < 64; bit++) {
		h = (arena_handle_t){ g, BIT_ULL(bit) };
		if (h.offset >= arena_high(arena))
			KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, h), "offset, bit %d", bit);
		h.offset = ~BIT_ULL(bit);
		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, h), "offset, all but bit %d", bit);
	}
	h = (arena_handle_t){ g, arena_high(arena) };
	KUNIT_EXPECT_NULL(test, arena_deref(arena, h));
	h = (arena_handle_t){ g, arena_high(arena) - 1 };
	KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, h));
	h = (arena_handle_t){ g, CAPACITY };
	KUNIT_EXPECT_NULL(test, arena_deref(arena, h));
	h = (arena_handle_t){ 0, 0 };
	KUNIT_EXPECT_NULL(test, arena_deref(arena, h));
	h = (arena_handle_t){ ~0ULL, ~0ULL };
	KUNIT_EXPECT_NULL(test, arena_deref(arena, h));
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, good), ptr);
}

/* Clause 13: a handle is stale after any kind of reset, and remains stale. */
static void deref_after_reset_null(struct kunit *test)
{
	struct arena *arena = usual(test);
	arena_handle_t old[40];
	unsigned int way, i, alive = 0;
	void *ptr;

	for (way = 0; way < ARRAY_SIZE(old); way++) {
		ptr = arena_alloc_handle(arena, 64, GFP_KERNEL, &old[way]);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_PTR_EQ(test, arena_deref(arena, old[way]), ptr);
		KUNIT_ASSERT_EQ(test, reset_in_way(arena, way + way / 5), 0);
		KUNIT_EXPECT_NULL_MSG(test, arena_deref(arena, old[way]), "way %u", way);
		/* Another object at the same place does not make the handle valid again. */
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, SLAB, GFP_KERNEL));
		for (i = 0; i <= way; i++)
			alive += !!arena_deref(arena, old[i]);
	}
	KUNIT_EXPECT_EQ(test, alive, 0);
}

/*
 * Readers that resolve handles while another thread resets
 */
#define NAMES	16

struct names {
	struct arena	*arena;
	/* The handles. Thread 0 writes them, and the other threads read them. */
	atomic64_t	generation[NAMES];
	atomic64_t	offset[NAMES];
	atomic_long_t	found;
	atomic_long_t	gone;
	atomic_long_t	resets;
	atomic_long_t	bad;
};

struct named {
	u64	generation;
	u64	offset;
	u8	pattern[48];
};

static void names_make(struct arena_hand *hand)
{
	struct names *names = hand->crew->data;

	while (arena_crew_on(hand->crew)) {
		unsigned int i = arena_rnd_below(&hand->rnd, NAMES);
		arena_handle_t handle;
		struct named *named;

		named = arena_alloc_handle(names->arena, sizeof(*named), GFP_KERNEL, &handle);
		if (!named) {
			if (arena_reset_rcu(names->arena))
				schedule_timeout_uninterruptible(1);
			else
				atomic_long_inc(&names->resets);
			continue;
		}
		/* Only this thread resets, so the object cannot be freed meanwhile. */
		named->generation = handle.generation;
		named->offset = handle.offset;
		arena_pattern_fill(named->pattern, sizeof(named->pattern), handle.offset);
		atomic64_set_release(&names->offset[i], handle.offset);
		atomic64_set_release(&names->generation[i], handle.generation);
	}
}

/*
 * Thread 0 stores the offset before the generation, and the readers load the generation first. So a
 * reader may combine a generation with the offset of a newer object. If the newer object is of the
 * same generation, the reader has a valid handle of that object. Otherwise the generation that the
 * reader has loaded is over, and the handle resolves to NULL.
 */
static void names_use(struct arena_hand *hand)
{
	struct names *names = hand->crew->data;

	while (arena_crew_on(hand->crew)) {
		unsigned int i = arena_rnd_below(&hand->rnd, NAMES);
		const struct named *named;
		arena_handle_t handle;

		rcu_read_lock();
		handle.generation = atomic64_read_acquire(&names->generation[i]);
		handle.offset = atomic64_read_acquire(&names->offset[i]);
		named = arena_deref(names->arena, handle);
		if (!named) {
			atomic_long_inc(&names->gone);
		} else {
			if (named->generation != handle.generation ||
			    named->offset != handle.offset ||
			    arena_pattern_check(named->pattern, sizeof(named->pattern),
						handle.offset) != sizeof(named->pattern))
				atomic_long_inc(&names->bad);
			atomic_long_inc(&names->found);
		}
		rcu_read_unlock();
	}
}

static void names_job(struct arena_hand *hand)
{
	if (hand->id)
		names_use(hand);
	else
		names_make(hand);
}

/*
 * Clause 13: if a reader resolves a handle under rcu_read_lock(), the object stays intact until the
 * reader calls rcu_read_unlock().
 */
static void deref_race_reset_object_stays(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	struct names *names = kunit_kzalloc(test, sizeof(*names), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, names);
	names->arena = arena;
	crew->data = names;
	do {
		arena_crew_go(crew, names_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((atomic_long_read(&names->resets) < 3 || atomic_long_read(&names->found) < 100 ||
		  !atomic_long_read(&names->gone)) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&names->bad), 0);
	KUNIT_EXPECT_GE(test, atomic_long_read(&names->found), 100);
	KUNIT_EXPECT_GT(test, atomic_long_read(&names->gone), 0);
	KUNIT_EXPECT_GE(test, atomic_long_read(&names->resets), 3);
	arena_expect_sane(test, arena);
}

/*
 * Wraps of the tag while one CPU, the sleeper, keeps a span and does not allocate
 */
struct sleeper {
	struct arena	*arena;
	arena_handle_t	handle;
	void		*ptr;
	size_t		size;
};

static void sleeper_alloc(void *data)
{
	struct sleeper *s = data;

	s->ptr = arena_alloc_handle(s->arena, s->size, ARENA_NOGROW, &s->handle);
}

/* Allocate on the sleeper, which is not the CPU of this task unless no other CPU is online. */
static void on_sleeper(struct sleeper *s)
{
	int other = cpumask_any_but(cpu_online_mask, arena_irq_cpu());

	if (other >= nr_cpu_ids)
		other = arena_irq_cpu();
	smp_call_function_single(other, sleeper_alloc, s, 1);
}

/*
 * Expect that the sleeper claims a new span at the cursor. If it took its old span for one of the
 * current generation, it would allocate from the tail of that span, inside the object @first.
 */
static void expect_no_old_span(struct kunit *test, struct sleeper *s, arena_handle_t old)
{
	size_t high;
	void *first;

	/* This object covers the stretch of the old span. */
	first = arena_alloc(s->arena, SLAB, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, first);
	arena_pattern_fill(first, SLAB, 1);
	high = arena_high(s->arena);
	on_sleeper(s);
	KUNIT_ASSERT_NOT_NULL(test, s->ptr);
	KUNIT_EXPECT_GE(test, s->handle.offset, high);
	KUNIT_EXPECT_NE(test, s->handle.generation, old.generation);
	KUNIT_EXPECT_EQ(test, s->handle.generation, arena_test_stats(s->arena).generation);
	memset(s->ptr, 0xee, s->size);
	KUNIT_EXPECT_EQ(test, arena_pattern_check(first, SLAB, 1), SLAB);
	KUNIT_EXPECT_NULL(test, arena_deref(s->arena, old));
	KUNIT_EXPECT_PTR_EQ(test, arena_deref(s->arena, s->handle), s->ptr);
	KUNIT_EXPECT_EQ(test, arena_offset(s->arena), SLAB + s->size);
	arena_expect_sane(test, s->arena);
}

static struct arena *wrap_arena(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 4 * SLAB, SLAB, kind->flags);

	KUNIT_ASSERT_EQ(test, arena_populate(arena, 4 * SLAB, GFP_KERNEL), 0);
	return arena;
}

#define TAG_TURN	BIT_ULL(ARENA_TAG_BITS)

#ifdef MODULE
static void skip_hook(struct kunit *test)
{
	kunit_skip(test, "needs the hook, which modules do not have");
}

static void reset_tag_wraps_old_span_unused(struct kunit *test)
{
	skip_hook(test);
}

static void reset_tag_wraps_under_reader_ebusy(struct kunit *test)
{
	skip_hook(test);
}

static void reset_tag_wraps_nested_count_zero(struct kunit *test)
{
	skip_hook(test);
}
#else
/*
 * Clause 13: after one wrap of the tag, the current generation has the same tag as the generation
 * of the sleeper's span. The sleeper must not allocate from that span. arena_set_generation() skips
 * most of the generations in between.
 */
static void reset_tag_wraps_old_span_unused(struct kunit *test)
{
	struct arena *arena = wrap_arena(test);
	struct sleeper s = { .arena = arena, .size = 64 };
	arena_handle_t old;
	unsigned int turn;

	for (turn = 0; turn < 3; turn++) {
		unsigned long until = 0;
		u64 end;

		on_sleeper(&s);
		KUNIT_ASSERT_NOT_NULL(test, s.ptr);
		old = s.handle;
		end = old.generation + TAG_TURN;
		arena_set_generation(arena, end - 100);
		while (arena_test_stats(arena).generation < end) {
			int err = arena_reset(arena);

			if (err == -EBUSY && arena_sleep_until(&until))
				continue;
			KUNIT_ASSERT_EQ(test, err, 0);
			KUNIT_EXPECT_NULL(test, arena_deref(arena, old));
		}
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).generation, end);
		expect_no_old_span(test, &s, old);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Clause 13: if the tag enters another eighth of its range twice without a grace period in between,
 * arena_reset() refuses the second time with -EBUSY, and changes nothing. It succeeds after a grace
 * period, which the arena itself must start, because nothing else does on an idle system.
 */
static void reset_tag_wraps_under_reader_ebusy(struct kunit *test)
{
	struct arena *arena = wrap_arena(test);
	struct arena_stats was;
	unsigned long until = 0;
	arena_handle_t handle;
	int err;

	rcu_read_lock();
	arena_set_generation(arena, ARENA_TAG_HALF - ARENA_GEN_STEP);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	arena_set_generation(arena, TAG_TURN - ARENA_GEN_STEP);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc_handle(arena, 100, ARENA_NOGROW, &handle));
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), -EBUSY);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), -EBUSY);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "a refused reset");
	KUNIT_EXPECT_NOT_NULL(test, arena_deref(arena, handle));
	if (((const struct arena_kind *)test->param_value)->flags & ARENA_READERS) {
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), -EBUSY);
		arena_set_generation(arena, TAG_TURN - 2 * ARENA_GEN_STEP);
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), -EBUSY);
		arena_set_generation(arena, TAG_TURN - ARENA_GEN_STEP);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));
	rcu_read_unlock();

	do {
		err = arena_reset(arena);
	} while (err == -EBUSY && arena_sleep_until(&until));
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).generation, TAG_TURN);
	KUNIT_EXPECT_NULL(test, arena_deref(arena, handle));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, ARENA_NOGROW));

	/* Resets that may sleep do not fail: they wait for the grace period. */
	arena_set_generation(arena, TAG_TURN + ARENA_TAG_HALF - ARENA_GEN_STEP);
	arena_reset_release(arena, SIZE_MAX);
	arena_set_generation(arena, 2 * TAG_TURN - ARENA_GEN_STEP);
	arena_reset_zero(arena);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).generation, 2 * TAG_TURN);
	arena_expect_sane(test, arena);
}

/*
 * Clause 7: arena->deep_used counts the bytes of nested allocations, together with a tag. These
 * bytes must not count again in a later generation with the same tag.
 */
static void reset_tag_wraps_nested_count_zero(struct kunit *test)
{
	struct arena *arena = wrap_arena(test);
	unsigned long until = 0;
	u64 end = arena_test_stats(arena).generation + TAG_TURN;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	atomic_long_set(&arena->deep_used, cursor_start(arena_test_stats(arena).generation) | 100);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 200);
	for (; arena_test_stats(arena).generation < end;) {
		u64 half = (arena_test_stats(arena).generation | (ARENA_TAG_HALF - 1)) + 1;

		arena_set_generation(arena, min(half, end) - ARENA_GEN_STEP);
		do {
			err = arena_reset(arena);
		} while (err == -EBUSY && arena_sleep_until(&until));
		KUNIT_ASSERT_EQ(test, err, 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).generation, end);
}
#endif

/*
 * Clause 13: the tag wraps by real resets only, without arena_set_generation(). The tag has 2^23
 * values, and a reset advances it by four. The case runs only if real_resets is not 0, and makes at
 * least that many resets.
 */
static void reset_tag_wraps_by_real_resets_ok(struct kunit *test)
{
	struct arena *arena = wrap_arena(test);
	struct sleeper s = { .arena = arena, .size = 64 };
	unsigned long n = 0, busy = 0;
	arena_handle_t old;
	int err;

	if (!real_resets)
		kunit_skip(test, "takes a while: see the parameter real_resets");
	on_sleeper(&s);
	KUNIT_ASSERT_NOT_NULL(test, s.ptr);
	old = s.handle;
	while (n < real_resets ||
	       (arena_test_stats(arena).generation - old.generation) % TAG_TURN) {
		err = arena_reset(arena);
		if (err) {
			KUNIT_ASSERT_EQ(test, err, -EBUSY);
			busy++;
			schedule_timeout_uninterruptible(1);
			continue;
		}
		if (++n % 1024 == 0)
			cond_resched();
	}
	kunit_info(test, "%lu resets, %lu had to wait, generation %llu\n", n, busy,
		   arena_test_stats(arena).generation);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).resets, n);
	expect_no_old_span(test, &s, old);
}

/* Keep this task on one CPU, so that the sleeper is another CPU. */
static int arena_handle_init(struct kunit *test)
{
	return set_cpus_allowed_ptr(current, cpumask_of(arena_irq_cpu()));
}

static struct kunit_case arena_handle_cases[] = {
	KUNIT_CASE_PARAM(handle_each_object_resolves, arena_kind_gen_params),
	KUNIT_CASE_PARAM(handle_large_object_resolves, arena_kind_gen_params),
	KUNIT_CASE(handle_large_object_outlives_rewind),
	KUNIT_CASE(handle_after_large_unreserve_resolves),
	KUNIT_CASE_PARAM(alloc_handle_bad_argument_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(handle_foreign_address_none, arena_kind_gen_params),
	KUNIT_CASE_PARAM(deref_forged_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(deref_after_reset_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(deref_race_reset_object_stays, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_tag_wraps_old_span_unused, waiting_gen_params),
	KUNIT_CASE_PARAM(reset_tag_wraps_under_reader_ebusy, waiting_gen_params),
	KUNIT_CASE_PARAM(reset_tag_wraps_nested_count_zero, waiting_gen_params),
	KUNIT_CASE_PARAM(reset_tag_wraps_by_real_resets_ok, waiting_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_handle_suite = {
	.name = "arena_handle",
	.suite_init = arena_test_suite_init,
	.init = arena_handle_init,
	.test_cases = arena_handle_cases,
};

kunit_test_suite(arena_handle_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: handles and generations");
MODULE_LICENSE("GPL");
