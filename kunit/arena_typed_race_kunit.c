// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of typed arenas that several threads and interrupts use at once.
 *
 * Each allocation copies a pattern of its own into its element: if two threads got the same
 * element, the first one would not find its pattern there.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_typed_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		6

/*
 * Threads and interrupts race for elements
 */
#define RACE_SIZE	24

static void *race_take(struct arena_race *race, u32 owner)
{
	u8 buffer[RACE_SIZE];

	return typed_alloc(race->from, buffer, RACE_SIZE, owner);
}

/* Clause 16: if there is room for N elements, N allocations of threads and interrupts succeed. */
static void typed_alloc_race_exact(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 3000;
	struct arena_typed *typed = typed_create(test, RACE_SIZE, nr, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, nr);
	struct arena_race *race = arena_race_create(test, race_take, typed, RACE_SIZE, nr);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);

	do {
		arena_race_run(test, race, crew);
		KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), nr * RACE_SIZE);
		KUNIT_EXPECT_EQ(test, 0, walk(typed, nr));
		arena_expect_sane(test, under(typed));
		typed_reset(test, typed);
	} while (time_before(jiffies, until));
}

/*
 * An element that append_job() appends: a random number that identifies the append, the number of
 * elements in the append, and the position of this element among them.
 */
struct run {
	u32	owner;
	u32	nr;
	u32	pos;
};

#define RUN_MAX	8

static void append_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena_typed *typed = crew->data;
	struct run run[RUN_MAX];
	u32 n = RUN_MAX, i;

	arena_crew_meet(crew);
	while (n) {
		u32 owner = arena_rnd(&hand->rnd);
		long first;

		for (i = 0; i < n; i++)
			run[i] = (struct run){ owner, n, i };
		first = arena_typed_append(typed, run, n);
		if (first >= 0)
			hand->allocs += n;
		else if (first != -ENOSPC)
			hand->bad++;
		/* If the append does not fit, try shorter ones, down to a single element. */
		n = first >= 0 ? 1 + arena_rnd_below(&hand->rnd, n) : n - 1;
		if (first >= 0 && n < RUN_MAX && arena_typed_len(typed) < 1000)
			n = RUN_MAX;
	}
}

/* Clauses 4, 14: elements of one append are consecutive, and racing appends use all the room. */
static void typed_append_race_runs_whole(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 6000;
	struct arena_typed *typed = typed_create(test, sizeof(struct run), nr, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);
	unsigned int i;

	crew->data = typed;
	do {
		u32 at, bad = 0;

		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, append_job, 30000);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		KUNIT_EXPECT_EQ(test, arena_crew_allocs(crew), nr);
		KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
		for (at = 0; at < nr;) {
			const struct run *first = arena_typed_at(typed, at), *r;
			u32 n = first ? first->nr : 0;

			if (!n || n > nr - at || first->pos) {
				bad++;
				break;
			}
			for (i = 0; i < n; i++) {
				r = arena_typed_at(typed, at + i);
				bad += !r || r->owner != first->owner || r->nr != n || r->pos != i;
			}
			at += n;
		}
		KUNIT_ASSERT_EQ(test, bad, 0);
		typed_reset(test, typed);
	} while (time_before(jiffies, until));
}

#ifndef MODULE
/*
 * Clauses 4, 8, 16: arena_in_chains says that a call on this CPU holds the lock of a typed arena.
 * The case sets it, as if a probe had interrupted such a call. Then an allocation gets the freed
 * element, while the arena refuses a free and a reset. It counts each allocation of a reused
 * element.
 */
static void typed_calls_nested_in_chain_alloc_only(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct arena_typed *typed = typed_create(test, 24, 4, e->flags);
	u8 buffer[24];
	void *first, *probed, *again;
	int err;

	first = typed_alloc(typed, buffer, 24, 1);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, 24, 2));
	arena_typed_free(typed, first);
	/* With readers, the arena reuses the element only after a grace period. */
	rcu_barrier();

	preempt_disable();
	__this_cpu_write(arena_in_chains, true);
	probed = typed_alloc(typed, buffer, 24, 3);
	arena_typed_free(typed, arena_typed_at(typed, 1));
	err = arena_typed_reset(typed);
	__this_cpu_write(arena_in_chains, false);
	preempt_enable();
	KUNIT_EXPECT_PTR_EQ(test, probed, first);
	KUNIT_EXPECT_TRUE(test, holds(arena_typed_at(typed, 1), 24, 2));
	KUNIT_EXPECT_EQ(test, err, -EBUSY);
	KUNIT_EXPECT_EQ(test, arena_test_stats(under(typed)).allocs, 3);

	again = typed_alloc(typed, buffer, 24, 4);
	KUNIT_ASSERT_NOT_NULL(test, again);
	KUNIT_EXPECT_PTR_EQ(test, again, arena_typed_at(typed, 2));
	KUNIT_EXPECT_TRUE(test, holds(again, 24, 4));
	KUNIT_EXPECT_EQ(test, arena_test_stats(under(typed)).allocs, 4);
}
#else
static void typed_calls_nested_in_chain_alloc_only(struct kunit *test)
{
	kunit_skip(test, "the mark of a CPU is not exported to modules");
}
#endif

/*
 * Threads and interrupts allocate and free elements all the time
 */
#define STORM_NR	64
#define STORM_HOLD	12

struct held {
	void	*ptr;
	u32	owner;
};

struct churn {
	struct arena_typed	*typed;
	int			cpu;
	struct held		irq[STORM_HOLD];
	u32			irq_rnd;
	unsigned long		irq_allocs;
	unsigned long		irq_bad;
};

/*
 * Selects a random place of @held. Allocates an element if the place is empty; otherwise checks and
 * frees its element.
 */
static void churn_step(struct arena_typed *typed, struct held *held, u32 *rnd,
		       unsigned long *allocs, unsigned long *bad)
{
	struct held *h = &held[arena_rnd_below(rnd, STORM_HOLD)];
	u8 buffer[RACE_SIZE];

	if (h->ptr) {
		*bad += !holds(h->ptr, RACE_SIZE, h->owner);
		arena_typed_free(typed, h->ptr);
		h->ptr = NULL;
		return;
	}
	h->owner = arena_rnd(rnd);
	h->ptr = typed_alloc(typed, buffer, RACE_SIZE, h->owner);
	WRITE_ONCE(*allocs, *allocs + !!h->ptr);
}

static void churn_irq(void *data)
{
	struct churn *churn = data;

	churn_step(churn->typed, churn->irq, &churn->irq_rnd, &churn->irq_allocs, &churn->irq_bad);
}

static void churn_job(struct arena_hand *hand)
{
	struct churn *churn = hand->crew->data;
	struct held held[STORM_HOLD] = { };
	unsigned int steps = 0, i;

	if (hand->id == 1) {
		arena_irq_pester(hand, churn->cpu, churn_irq, churn);
		return;
	}
	if (hand->id == 0 && set_cpus_allowed_ptr(current, cpumask_of(churn->cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew)) {
		churn_step(churn->typed, held, &hand->rnd, &hand->allocs, &hand->bad);
		if (++steps % 64)
			continue;
		/*
		 * Sleep until an interrupt has got an element: on a busy host, threads that never
		 * sleep would leave no element for interrupts.
		 */
		if (READ_ONCE(churn->irq_allocs))
			cond_resched();
		else
			schedule_timeout_uninterruptible(1);
	}
	for (i = 0; i < STORM_HOLD; i++) {
		if (!held[i].ptr)
			continue;
		hand->bad += !holds(held[i].ptr, RACE_SIZE, held[i].owner);
		arena_typed_free(churn->typed, held[i].ptr);
	}
}

/* Clauses 1, 15: no two callers get the same element, and all elements can be used at the end. */
static void typed_alloc_free_race_no_slot_twice(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct arena_typed *typed = typed_create(test, RACE_SIZE, STORM_NR, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	struct churn *churn = kunit_kzalloc(test, sizeof(*churn), GFP_KERNEL);
	unsigned long until = 0, patience = 0;
	u8 buffer[RACE_SIZE];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, churn);
	churn->typed = typed;
	churn->cpu = arena_irq_cpu();
	churn->irq_rnd = 815;
	crew->data = churn;
	do {
		arena_crew_go(crew, churn_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((arena_crew_allocs(crew) < 10 * STORM_NR || !churn->irq_allocs) &&
		 arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, churn->irq_bad, 0);
	KUNIT_EXPECT_GT(test, churn->irq_allocs, 0);
	KUNIT_EXPECT_GE(test, arena_crew_allocs(crew), 10 * STORM_NR);
	KUNIT_EXPECT_LE(test, arena_typed_len(typed), STORM_NR);

	for (i = 0; i < STORM_HOLD; i++) {
		if (!churn->irq[i].ptr)
			continue;
		KUNIT_EXPECT_TRUE(test, holds(churn->irq[i].ptr, RACE_SIZE, churn->irq[i].owner));
		arena_typed_free(typed, churn->irq[i].ptr);
	}
	KUNIT_EXPECT_EQ(test, 0, walk(typed, 0));
	for (i = 0; i < STORM_NR && (!until || time_before(jiffies, until));)
		if (typed_alloc(typed, buffer, RACE_SIZE, i))
			i++;
		else
			arena_sleep_until(&until);
	KUNIT_EXPECT_EQ(test, i, STORM_NR);
	KUNIT_EXPECT_NULL(test, typed_alloc(typed, buffer, RACE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, walk(typed, STORM_NR));
}

/*
 * Readers look at elements while other threads allocate, free and reset. An element contains a
 * checksum that shows whether the element is complete.
 */
#define WORDS	14
/* As many elements as one slab holds. */
#define BESIDE_NR	512

struct payload {
	u64	seed;
	u64	word[WORDS];
	u64	sum;
};

static void payload_make(struct payload *p, u64 seed)
{
	int i;

	p->seed = seed;
	p->sum = ~seed;
	for (i = 0; i < WORDS; i++) {
		p->word[i] = (seed + i) * 0x9e3779b97f4a7c15ULL;
		p->sum += p->word[i];
	}
}

/*
 * Returns whether @p is what payload_make() wrote. The seed of a payload is never 0, so memory
 * that was never written does not pass.
 */
static bool payload_complete(const struct payload *p)
{
	u64 sum = ~p->seed;
	int i;

	for (i = 0; i < WORDS; i++) {
		if (p->word[i] != (p->seed + i) * 0x9e3779b97f4a7c15ULL)
			return false;
		sum += p->word[i];
	}
	return p->seed && sum == p->sum;
}

struct beside {
	struct arena_typed	*typed;
	int			cpu;
	atomic_t		resets;
	atomic_t		frees;
	atomic_long_t		seen;
	atomic_long_t		torn;
	atomic_long_t		changed;
};

/* Check all published elements, then the first one again: a reader's element must not change. */
static void beside_read(struct beside *b)
{
	const struct payload *p, *first = NULL;
	unsigned long seen = 0;
	u64 seed = 0;
	size_t i = 0;

	rcu_read_lock();
	while ((p = arena_typed_next(b->typed, &i))) {
		if (!payload_complete(p))
			atomic_long_inc(&b->torn);
		if (!first) {
			first = p;
			seed = p->seed;
		}
		seen++;
	}
	if (first && (first->seed != seed || !payload_complete(first)))
		atomic_long_inc(&b->changed);
	rcu_read_unlock();
	atomic_long_add(seen, &b->seen);
}

/* Check the newest elements, while the thread that this interrupt has stopped may be adding one. */
static void beside_irq(void *data)
{
	struct beside *b = data;
	size_t len = arena_typed_len(b->typed), i;

	for (i = len - min_t(size_t, len, 4); i < len; i++) {
		const struct payload *p = arena_typed_at(b->typed, i);

		if (p && !payload_complete(p))
			atomic_long_inc(&b->torn);
	}
}

/* Returns where the elements of this generation begin: all of them are in one slab. */
static struct payload *beside_begin(const struct arena_typed *typed)
{
	struct payload *p;
	size_t i = 0;

	p = arena_typed_next(typed, &i);
	return p ? p - (i - 1) : NULL;
}

/*
 * Reset, and overwrite the slab of the generation that has ended. The arena uses this slab again
 * after the next reset: if old elements were still in it, complete, a reader that sees a new
 * element before its contents would not notice the fault. After a grace period, no reader uses the
 * slab any more, and no CPU allocates there, as only this thread resets.
 */
static bool beside_reset(struct beside *b)
{
	struct payload *was = beside_begin(b->typed);

	if (arena_typed_reset(b->typed))
		return false;
	synchronize_rcu();
	if (was)
		arena_test_spoil(was, 0xee, BESIDE_NR * sizeof(*was));
	atomic_inc(&b->resets);
	return true;
}

/* Allocate, free and reset. No other thread frees or resets, so all elements in @own are live. */
static void beside_manage(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;
	struct payload *own[16] = { };
	unsigned long last = jiffies;
	struct payload p;
	unsigned int i;

	while (arena_crew_on(hand->crew)) {
		i = arena_rnd_below(&hand->rnd, ARRAY_SIZE(own));
		if (own[i]) {
			arena_typed_free(b->typed, own[i]);
			atomic_inc(&b->frees);
			own[i] = NULL;
		} else {
			payload_make(&p, 1 + arena_rnd(&hand->rnd));
			own[i] = arena_typed_alloc(b->typed, &p);
		}
		/*
		 * Reset at most every other tick: the arena has time to fill up, and there are
		 * still many resets.
		 */
		if (time_after(jiffies, last + 1) && beside_reset(b)) {
			last = jiffies;
			memset(own, 0, sizeof(own));
		}
		cond_resched();
	}
}

static void beside_write(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;
	struct payload p[4];
	unsigned int n, i;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		payload_make(&p[i], 1 + arena_rnd(&hand->rnd));
	n = arena_rnd_below(&hand->rnd, ARRAY_SIZE(p));
	if (n ? arena_typed_append(b->typed, p, n) < 0 : !arena_typed_alloc(b->typed, p))
		cond_resched();
	else
		hand->allocs++;
}

static void beside_job(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;

	switch (hand->id) {
	case 0:
		beside_manage(hand);
		return;
	case 1:
		arena_irq_pester(hand, b->cpu, beside_irq, b);
		return;
	case 2:
		if (set_cpus_allowed_ptr(current, cpumask_of(b->cpu)))
			hand->bad++;
	}
	while (arena_crew_on(hand->crew))
		if (hand->id & 1)
			beside_read(b);
		else
			beside_write(hand);
}

/*
 * Clauses 11, 15: during appends, frees and resets, readers see complete elements only, and these
 * do not change inside the read-side critical section. The case fails if publish() comes before the
 * copy, or if a free or a reset does not wait for readers.
 */
static void typed_read_beside_writes_complete(struct kunit *test)
{
	struct arena_typed *typed = typed_create(test, sizeof(struct payload), BESIDE_NR,
						 ARENA_READERS);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	struct beside *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->typed = typed;
	b->cpu = arena_irq_cpu();
	crew->data = b;
	do {
		arena_crew_go(crew, beside_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while ((atomic_read(&b->resets) < 40 || atomic_read(&b->frees) < 100 ||
		  atomic_long_read(&b->seen) < 10000) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&b->torn), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&b->changed), 0);
	/* The case shows something only if readers, frees and resets often came at once. */
	KUNIT_EXPECT_GE(test, atomic_long_read(&b->seen), 10000);
	KUNIT_EXPECT_GE(test, atomic_read(&b->resets), 40);
	KUNIT_EXPECT_GE(test, atomic_read(&b->frees), 100);
	arena_expect_sane(test, under(typed));
}

/*
 * An interrupt in the middle of the copy into a new element
 */
static const struct element halves[] = { { 50000 }, { 300000 } };

KUNIT_ARRAY_PARAM(half, halves, element_desc);

/* How many copies must be interrupted halfway for the case to show something. */
#define HALVES		30

struct half {
	struct arena_typed	*typed;
	struct arena_alarm	alarm;
	size_t			size;
	u8			*element;	/* complete if its first and last byte are equal */
	unsigned long		halfway;	/* interrupts that found @element incomplete */
	unsigned long		seen;
};

static void __no_sanitize_address half_alarm(void *data)
{
	struct half *half = data;
	size_t index = 0;

	if (READ_ONCE(half->element[0]) == READ_ONCE(half->element[half->size - 1]))
		return;
	half->halfway++;
	half->seen += arena_typed_at(half->typed, 0) || arena_typed_next(half->typed, &index);
}

/*
 * Clause 15: a reader does not find an element whose contents are still being copied. The arena has
 * only one element, which was used and freed before.
 */
static void typed_read_during_copy_unseen(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct half *half = kunit_kzalloc(test, sizeof(*half), GFP_KERNEL);
	u8 *src = kunit_kzalloc(test, e->size, GFP_KERNEL);
	unsigned long patience = 0;
	u32 within = 20000;

	KUNIT_ASSERT_TRUE(test, half && src);
	half->typed = typed_create(test, e->size, 1, 0);
	half->size = e->size;
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id())));
	half->element = arena_typed_alloc(half->typed, src);
	KUNIT_ASSERT_NOT_NULL(test, half->element);
	arena_alarm_setup(&half->alarm, half_alarm, half);
	do {
		u64 begin = ktime_get_ns();
		void *again;

		arena_typed_free(half->typed, half->element);
		src[0]++;
		src[e->size - 1] = src[0];
		arena_alarm_set(&half->alarm, within);
		again = arena_typed_alloc(half->typed, src);
		within = clamp_t(u64, 2 * (ktime_get_ns() - begin), 2000, NSEC_PER_MSEC);
		arena_alarm_stop(&half->alarm);
		KUNIT_ASSERT_PTR_EQ(test, again, half->element);
	} while (half->halfway < HALVES && arena_patient(&patience));
	KUNIT_EXPECT_GE(test, half->halfway, HALVES);
	KUNIT_EXPECT_EQ(test, half->seen, 0);
}

/*
 * A reset between a reader's read of the generation and the same reader's read of the element
 */
struct stale {
	struct arena_typed	*typed;
	int			cpu;
	unsigned long		resets;
};

/* Begin a new generation, and allocate and free its first element. */
static void stale_irq(void *data)
{
	struct stale *stale = data;
	u8 buffer[RACE_SIZE];
	void *ptr;

	if (arena_typed_reset(stale->typed))
		return;
	stale->resets++;
	ptr = typed_alloc(stale->typed, buffer, RACE_SIZE, 1);
	if (ptr)
		arena_typed_free(stale->typed, ptr);
}

static void stale_job(struct arena_hand *hand)
{
	struct stale *stale = hand->crew->data;
	unsigned int i;

	if (hand->id == 1) {
		arena_irq_pester(hand, stale->cpu, stale_irq, stale);
		return;
	}
	if (set_cpus_allowed_ptr(current, cpumask_of(stale->cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew)) {
		rcu_read_lock();
		for (i = 0; i < 20; i++)
			hand->allocs += !!arena_typed_at(stale->typed, 0);
		rcu_read_unlock();
	}
}

/*
 * Clause 15: interrupts publish the first element and free it again before they return, so a task
 * on their CPU can never find it. Nor must the task find the old element at the same place in the
 * slabs of the last generation.
 */
static void typed_read_overtaken_by_reset_null(struct kunit *test)
{
	struct arena_typed *typed = typed_create(test, RACE_SIZE, 10, ARENA_READERS);
	struct arena_crew *crew = arena_crew_create(test, NULL, 2, 0);
	struct stale *stale = kunit_kzalloc(test, sizeof(*stale), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, stale);
	stale->typed = typed;
	stale->cpu = arena_irq_cpu();
	crew->data = stale;
	do {
		arena_crew_go(crew, stale_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (stale->resets < 60 && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, arena_crew_allocs(crew), 0);
	KUNIT_EXPECT_GE(test, stale->resets, 60);
}

static struct kunit_case arena_typed_race_cases[] = {
	KUNIT_CASE_PARAM(typed_alloc_race_exact, kind_gen_params),
	KUNIT_CASE_PARAM(typed_append_race_runs_whole, kind_gen_params),
	KUNIT_CASE_PARAM(typed_calls_nested_in_chain_alloc_only, kind_gen_params),
	KUNIT_CASE_PARAM(typed_alloc_free_race_no_slot_twice, kind_gen_params),
	KUNIT_CASE_PARAM(typed_read_during_copy_unseen, half_gen_params),
	KUNIT_CASE(typed_read_beside_writes_complete),
	KUNIT_CASE(typed_read_overtaken_by_reset_null),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_typed_race_suite = {
	.name = "arena_typed_race",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_typed_race_cases,
};

kunit_test_suite(arena_typed_race_suite);

MODULE_DESCRIPTION("KUnit tests of typed arenas: races");
MODULE_LICENSE("GPL");
