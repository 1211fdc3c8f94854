// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of reservations. arena_reserve() sets memory aside, from which arena_reserve_alloc() then
 * allocates in any context. A reset makes a reservation void.
 */
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 60;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		6
#define CAPACITY	(32 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, ARENA_READERS);
}

/* A failed allocation from a reservation changes neither the reservation nor the arena. */
static void expect_refused(struct kunit *test, struct arena_reserve *reserve, size_t size,
			   size_t align, const char *what)
{
	const struct arena_stats was = arena_test_stats(reserve->arena);
	const long used = atomic_long_read(&reserve->used);

	KUNIT_EXPECT_NULL_MSG(test, arena_reserve_alloc(reserve, size, align), "%s: %zu, %zu",
			      what, size, align);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&reserve->used), used);
	arena_expect_unchanged(test, reserve->arena, &was, ARENA_CAUSE_NONE, "%s", what);
}

/*
 * Clauses 4, 5: arena_reserve() refuses bad arguments and counts the failure. An allocation from a
 * reservation that was refused returns NULL.
 */
static void reserve_bad_argument_refused(struct kunit *test)
{
	static const struct {
		size_t			nr;
		size_t			size;
		size_t			align;
		int			err;
		enum arena_cause	cause;
	} bad[] = {
		{ 0, 8, 8, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 0, 8, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 8, 0, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 8, 3, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 8, 24, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 8, 2 * PAGE_SIZE, -EINVAL, ARENA_CAUSE_ARG },
		{ 8, 8, (SIZE_MAX >> 1) + 1, -EINVAL, ARENA_CAUSE_ARG },
		{ SIZE_MAX, 2, 1, -EINVAL, ARENA_CAUSE_ARG },
		{ 2, SIZE_MAX, 1, -EINVAL, ARENA_CAUSE_ARG },
		{ SIZE_MAX, SIZE_MAX, 1, -EINVAL, ARENA_CAUSE_ARG },
		{ 1, SIZE_MAX - 4, 8, -EINVAL, ARENA_CAUSE_ARG },
		{ SIZE_MAX / 8 + 2, 1, 8, -EINVAL, ARENA_CAUSE_ARG },
		{ 1, CAPACITY + 1, 1, -ENOSPC, ARENA_CAUSE_SPACE },
		{ CAPACITY / 64 + 1, 1, 64, -ENOSPC, ARENA_CAUSE_SPACE },
		{ SIZE_MAX / 16, 8, 8, -ENOSPC, ARENA_CAUSE_SPACE },
	};
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	struct arena_stats was;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&reserve, 0xff, sizeof(reserve));
		was = arena_test_stats(arena);
		KUNIT_EXPECT_EQ_MSG(test, arena_reserve(arena, &reserve, bad[i].nr, bad[i].size,
							bad[i].align, GFP_KERNEL),
				    bad[i].err, "case %d", i);
		arena_expect_unchanged(test, arena, &was, bad[i].cause, "case %d", i);
		expect_refused(test, &reserve, 1, 1, "failed");
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, -ENOMEM, arena_reserve(arena, &reserve, 1, 8, 8, ARENA_NOGROW));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "not committed");
	expect_refused(test, &reserve, 1, 1, "failed");
}

struct shape {
	size_t nr;
	size_t size;
	size_t align;
};

static const struct shape shapes[] = {
	{ 1, 1, 1 }, { 100, 1, 1 }, { 100, 3, 1 }, { 100, 3, 2 }, { 50, 24, 8 }, { 7, 100, 64 },
	{ 10, 1, PAGE_SIZE }, { 3, PAGE_SIZE + 1, PAGE_SIZE }, { 4, SLAB, 8 }, { 1, 5 * SLAB, 16 },
	{ 1000, 17, 4 },
};

/* Clauses 1, 3, 7: a reservation for n objects counts as used, and exactly n objects fit in it. */
static void reserve_each_shape_exact(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent *ext = kvcalloc(1000, sizeof(*ext), GFP_KERNEL);
	struct arena_reserve reserve;
	size_t used, bad = 0;
	int i, n;

	KUNIT_ASSERT_NOT_NULL(test, ext);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		struct arena_stats was;

		/* Let the reservation begin behind an object that ends at an odd offset. */
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc_aligned(arena, 5, 1, GFP_KERNEL));
		KUNIT_EXPECT_EQ_MSG(test, 0, arena_reserve(arena, &reserve, s->nr, s->size,
							   s->align, GFP_KERNEL), "shape %d", i);
		used = arena_offset(arena);
		KUNIT_EXPECT_GE(test, used, 5 + s->nr * s->size);
		arena_expect_sane(test, arena);

		was = arena_test_stats(arena);
		for (n = 0; n < s->nr; n++) {
			void *ptr = arena_reserve_alloc(&reserve, s->size, s->align);

			if (!ptr || !IS_ALIGNED((unsigned long)ptr, s->align)) {
				bad++;
				break;
			}
			arena_pattern_fill(ptr, s->size, n);
			ext[n] = (struct arena_extent){ ptr, s->size, n };
		}
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "shape %d, object %d", i, n);
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "using it");
		/* The rest of the reservation is padding, too small for another object. */
		expect_refused(test, &reserve, s->size, s->align, "used up");
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
		KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, n));
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	}
	kvfree(ext);
}

/*
 * Clause 3: a reservation for n objects serves n objects in any order, also if some of them are
 * smaller or less aligned than the objects that the reservation was made for.
 */
static void reserve_worst_padding_suffices(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	u32 rnd = 4242, failed = 0;
	int round, n;

	for (round = 0; round < 400; round++) {
		const size_t align = BIT(arena_rnd_below(&rnd, 13));
		const size_t size = 1 + arena_rnd_below(&rnd, 200);
		const size_t nr = 1 + arena_rnd_below(&rnd, 20);
		int err = arena_reserve(arena, &reserve, nr, size, align, GFP_KERNEL);

		if (err == -ENOSPC) {
			KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
			continue;
		}
		KUNIT_ASSERT_EQ(test, err, 0);
		for (n = 0; n < nr; n++) {
			size_t less = BIT(arena_rnd_below(&rnd, ilog2(align) + 1));
			size_t this_size = n % 2 ? 1 : 1 + arena_rnd_below(&rnd, size);
			size_t this_align = n % 3 ? align : less;
			u8 *ptr = arena_reserve_alloc(&reserve, this_size, this_align);

			if (!ptr || !IS_ALIGNED((unsigned long)ptr, this_align))
				failed++;
			else
				memset(ptr, 0xff, this_size);
		}
	}
	KUNIT_EXPECT_EQ(test, failed, 0);
}

/* Clause 5: arena_reserve_alloc() refuses bad arguments although the reservation has room. */
static void reserve_alloc_bad_argument_null(struct kunit *test)
{
	static const size_t sizes[] = { 0, 1001, SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2 + 1 };
	static const size_t aligns[] = { 0, 3, 24, SIZE_MAX, (SIZE_MAX >> 1) + 1 };
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	int i;

	KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &reserve, 10, 100, 1, GFP_KERNEL));
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_refused(test, &reserve, sizes[i], 1, "bad size");
	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		expect_refused(test, &reserve, 10, aligns[i], "bad alignment");
	KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, 1000, 1));
	expect_refused(test, &reserve, 1, 1, "used up");
}

/* Clauses 3, 10: a reset of any kind makes a reservation void, and frees its space. */
static void reserve_alloc_after_reset_null(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	int way;

	for (way = 0; way < 5; way++) {
		void *all;

		KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &reserve, 10, 100, 8, GFP_KERNEL));
		KUNIT_EXPECT_NOT_NULL(test, arena_reserve_alloc(&reserve, 100, 8));
		switch (way) {
		case 0:
			KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
			break;
		case 1:
			KUNIT_EXPECT_EQ(test, 0, arena_reset_rcu(arena));
			break;
		case 2:
			arena_reset_release(arena, 0);
			break;
		case 3:
			arena_reset_release(arena, SIZE_MAX);
			break;
		default:
			arena_reset_zero(arena);
		}
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
		expect_refused(test, &reserve, 1, 1, "void");
		/* The reservation remains void when another object lies in its place. */
		all = arena_alloc(arena, SLAB, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, all);
		expect_refused(test, &reserve, 100, 8, "void");
		/*
		 * An object as large as the arena fits, as the void reservation takes no space any
		 * more.
		 */
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, CAPACITY, GFP_KERNEL));
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		expect_refused(test, &reserve, 1, 1, "void for ever");
	}
}

/*
 * Clause 6: if arena_reserve() is called with __GFP_ZERO, the objects of the reservation are zero,
 * although the slabs were dirty.
 */
static void reserve_with_zero_objects_zero(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_reserve reserve;
	int i, n;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		void *all = arena_alloc(arena, CAPACITY, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, all);
		memset(all, 0xff, CAPACITY);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &reserve, s->nr, s->size, s->align,
						       GFP_KERNEL | __GFP_ZERO));
		for (n = 0; n < s->nr; n++) {
			void *ptr = arena_reserve_alloc(&reserve, s->size, s->align);

			if (!ptr || !arena_is_zero(ptr, s->size))
				break;
		}
		KUNIT_EXPECT_EQ_MSG(test, n, s->nr, "shape %d", i);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	}
}

/*
 * Threads and interrupts that allocate from one reservation
 */
#define RACE_NR		2000
#define RACE_SIZE	24

static void *race_take(struct arena_race *race, u32 owner)
{
	void *ptr = arena_reserve_alloc(race->from, RACE_SIZE, 8);

	if (ptr)
		arena_pattern_fill(ptr, RACE_SIZE, owner);
	return ptr;
}

/* Clauses 1, 3: threads and interrupts together get exactly the objects that were reserved. */
static void reserve_alloc_race_exact(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, RACE_NR);
	struct arena_reserve reserve;
	struct arena_race *race = arena_race_create(test, race_take, &reserve, RACE_SIZE, RACE_NR);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);

	do {
		KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &reserve, RACE_NR, RACE_SIZE, 8,
						       GFP_KERNEL));
		arena_race_run(test, race, crew);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	} while (time_before(jiffies, until));
}

/*
 * Threads fill the arena with objects of their own. Meanwhile and afterwards, interrupts allocate
 * from the reservation.
 */
static void own_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena_race *race = crew->data;

	if (!arena_race_enter(hand, race))
		return;
	while (arena_crew_on(crew)) {
		const u32 owner = arena_rnd(&hand->rnd);
		void *ptr = arena_zalloc(crew->arena, 40, GFP_KERNEL);

		if (!ptr || hand->nr_ext == crew->max_ext) {
			cond_resched();
			continue;
		}
		if (!arena_is_zero(ptr, 40))
			hand->bad++;
		arena_pattern_fill(ptr, 40, owner);
		hand->ext[hand->nr_ext++] = (struct arena_extent){ ptr, 40, owner };
	}
}

/* Clause 3: hard interrupts can use up a reservation, even while the arena is full. */
static void reserve_alloc_in_irq_full_arena_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, CAPACITY / 40 + 1);
	struct arena_reserve reserve;
	struct arena_race *race = arena_race_create(test, race_take, &reserve, RACE_SIZE, RACE_NR);
	unsigned long patience = 0;
	unsigned int irqs = 0;
	struct arena_extent *all;
	size_t got;

	KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &reserve, RACE_NR, RACE_SIZE, 8,
					       GFP_KERNEL));
	crew->data = race;
	do {
		arena_crew_go(crew, own_job, runtime_ms);
		arena_crew_wait(crew);
	} while (race->nr_ext < 100 && arena_patient(&patience));
	KUNIT_EXPECT_GE(test, race->nr_ext, 100);
	KUNIT_EXPECT_EQ(test, race->refused, 0);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	while (arena_alloc(arena, 1, GFP_KERNEL))
		;
	/*
	 * Allocate a few more objects in interrupts. Each interrupt may come only at the next tick,
	 * so allocate the rest in this thread.
	 */
	while (race->nr_ext < RACE_NR && !race->refused && irqs++ < 5)
		arena_in_irq(arena_race_irq, race);
	while (race->nr_ext < RACE_NR && arena_race_take(race, race->ext, &race->nr_ext, 5))
		;
	KUNIT_EXPECT_EQ(test, race->nr_ext, RACE_NR);
	KUNIT_EXPECT_EQ(test, race->refused, 0);
	expect_refused(test, &reserve, RACE_SIZE, 8, "used up");

	all = arena_crew_extents(crew, NULL, 0, &got);
	KUNIT_ASSERT_NOT_NULL(test, all);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(all, got));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(race->ext, race->nr_ext));
	kvfree(all);
}

/*
 * A timer and irq_work that allocate from a reservation made beforehand
 */
struct ticker {
	struct hrtimer		timer;
	struct irq_work		work;
	struct arena_reserve	reserve;
	unsigned int		ticks;
	unsigned int		works;
	unsigned int		failed;
	unsigned int		not_hard;
	struct completion	done;
};

#define TICKS	10

static void ticker_take(struct ticker *t)
{
	u64 *ptr = arena_reserve_alloc(&t->reserve, sizeof(*ptr), __alignof__(*ptr));

	if (ptr)
		*ptr = t->ticks;
	else
		t->failed++;
	t->not_hard += !in_hardirq();
}

static void ticker_work(struct irq_work *work)
{
	struct ticker *t = container_of(work, struct ticker, work);

	ticker_take(t);
	if (++t->works == TICKS)
		complete(&t->done);
}

static enum hrtimer_restart ticker_tick(struct hrtimer *timer)
{
	struct ticker *t = container_of(timer, struct ticker, timer);

	/*
	 * irq_work_queue() does nothing while the work is still queued, so on a slow machine the
	 * timer ticks more often than the work runs.
	 */
	ticker_take(t);
	if (t->works < TICKS)
		irq_work_queue(&t->work);
	if (++t->ticks == 4 * TICKS || t->works >= TICKS)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ms_to_ktime(1));
	return HRTIMER_RESTART;
}

/* Clause 3: an hrtimer and irq_work can allocate from a reservation in hard interrupts. */
static void reserve_alloc_in_timer_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct ticker *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_ASSERT_EQ(test, 0, arena_reserve(arena, &t->reserve, 6 * TICKS, sizeof(u64),
					       __alignof__(u64), GFP_KERNEL));
	init_completion(&t->done);
	t->work = IRQ_WORK_INIT_HARD(ticker_work);
	hrtimer_setup(&t->timer, ticker_tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer_start(&t->timer, ms_to_ktime(1), HRTIMER_MODE_REL_HARD);
	/* Do not sleep: while all CPUs are idle, UML may lose a timer of this mode for good. */
	while (!try_wait_for_completion(&t->done) && arena_patient(&patience))
		cond_resched();
	hrtimer_cancel(&t->timer);
	irq_work_sync(&t->work);
	KUNIT_EXPECT_EQ(test, t->failed, 0);
	KUNIT_EXPECT_EQ(test, t->not_hard, 0);
	KUNIT_EXPECT_GE(test, t->works, 1);
	KUNIT_EXPECT_GE(test, t->ticks, 1);
}

static struct kunit_case arena_reserve_cases[] = {
	KUNIT_CASE_PARAM(reserve_bad_argument_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_each_shape_exact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_worst_padding_suffices, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_alloc_bad_argument_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_alloc_after_reset_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_with_zero_objects_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_alloc_race_exact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_alloc_in_irq_full_arena_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reserve_alloc_in_timer_ok, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_reserve_suite = {
	.name = "arena_reserve",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_reserve_cases,
};

kunit_test_suite(arena_reserve_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: reservations");
MODULE_LICENSE("GPL");
