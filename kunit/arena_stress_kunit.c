// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas under several threads and interrupts at once.
 *
 * Two kinds of cases. In some, resets are taken while everybody rests, so that
 * every object must keep what its owner wrote. In the others resets come at
 * any time: there an object may be dead on arrival, so that those who do not
 * reset only allocate and never touch what they get. What is asserted is then
 * the allocator's own conduct (clause 10): its counters, and that it never
 * writes into memory that it has given to somebody of a newer generation.
 */
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include "arena_test.h"

static unsigned int runtime_ms = 300;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case");

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/* More threads than CPUs, so that they are preempted everywhere. */
#define HANDS		8
#define SLAB		((size_t)4 * PAGE_SIZE)

static unsigned long deadline(void)
{
	return jiffies + msecs_to_jiffies(runtime_ms);
}

/* However slow the machine: each way to reset, and once more. */
#define MIN_ROUNDS	5

static void free_array(void *array)
{
	vfree(array);
}

static void spin(unsigned int loops)
{
	while (loops--)
		cpu_relax();
}

/* One of several ways to empty an arena that is at rest. */
static void reset_somehow(struct kunit *test, struct arena *arena, unsigned int way)
{
	switch (way % 4) {
	case 0:
		arena_reset_release(arena, 0);
		break;
	case 1:
		arena_reset_release(arena, arena_capacity(arena) / 2);
		break;
	case 2:
		arena_reset_zero(arena);
		break;
	default:
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
}

/*
 * Objects keep what their owners wrote
 */

/* Mostly small ones, some of about a slab, a few larger than that. */
static size_t some_size(u32 *rnd)
{
	switch (arena_rnd_below(rnd, 256)) {
	case 0:
		return SLAB + 1 + arena_rnd_below(rnd, 2 * SLAB);
	case 1 ... 3:
		return SLAB - arena_rnd_below(rnd, 64);
	case 4 ... 20:
		return 1 + arena_rnd_below(rnd, 4096);
	default:
		return 1 + arena_rnd_below(rnd, 200);
	}
}

static void fill_mixed(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	unsigned int failed = 0;

	arena_crew_meet(crew);
	while (failed < 4 && hand->nr_ext < crew->max_ext) {
		const size_t size = some_size(&hand->rnd);
		const size_t align = BIT(arena_rnd_below(&hand->rnd, 7));
		const bool zero = arena_rnd_below(&hand->rnd, 4) == 0;
		const u32 owner = arena_rnd(&hand->rnd);
		void *ptr = arena_alloc_aligned(crew->arena, size, align,
						GFP_KERNEL | (zero ? __GFP_ZERO : 0));

		if (!ptr) {
			failed++;
			continue;
		}
		if (!IS_ALIGNED((unsigned long)ptr, align) ||
		    (zero && !arena_is_zero(ptr, size)))
			hand->bad++;
		arena_pattern_fill(ptr, size, owner);
		hand->ext[hand->nr_ext++] = (struct arena_extent){ ptr, size, owner };
		hand->bytes += size;
		hand->allocs++;
	}
}

static void verify(struct arena_hand *hand)
{
	hand->bad += arena_extents_spoiled(hand->ext, hand->nr_ext);
}

/*
 * Clauses 1, 6, 7: whoever allocates, nobody's bytes change, no two extents
 * meet, and the bytes are counted exactly. Resets of all kinds in between, so
 * that slabs are taken by several threads at once, again and again.
 */
static void fill_and_verify(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_1M, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 2048);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	do {
		const struct arena_stats was = arena_test_stats(arena);
		struct arena_extent *all;
		struct arena_stats s;
		size_t nr;

		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, fill_mixed, 0);
		arena_crew_wait(crew);
		arena_crew_go(crew, verify, 0);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);

		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, arena_crew_bytes(crew));
		KUNIT_EXPECT_EQ(test, s.allocs - was.allocs, arena_crew_allocs(crew));
		KUNIT_EXPECT_GE(test, s.used, SZ_1M / 2);
		KUNIT_EXPECT_LE(test, s.committed, SZ_1M);
		arena_expect_sane(test, arena);

		all = arena_crew_extents(crew, NULL, 0, &nr);
		KUNIT_ASSERT_NOT_NULL(test, all);
		i = arena_extents_overlap(all, nr);
		kvfree(all);
		KUNIT_ASSERT_EQ_MSG(test, i, 0, "round %u", round);
		reset_somehow(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/*
 * Exactly as many as there is room for
 */
struct exact {
	size_t		size;
	gfp_t		gfp;
	unsigned int	flags;
};

static const struct exact exacts[] = {
	{ 8,			GFP_KERNEL },
	{ 24,			GFP_KERNEL },
	{ 64,			GFP_KERNEL },
	{ 1000,			GFP_KERNEL },
	{ SLAB / 2 + 8,		GFP_KERNEL },
	{ SLAB,			GFP_KERNEL },
	{ 2 * SLAB,		GFP_KERNEL },
	{ 8,			ARENA_NOGROW },
	{ 1000,			ARENA_NOGROW },
	{ 8,			GFP_KERNEL,	ARENA_SPANS },
	{ SLAB,			GFP_KERNEL,	ARENA_SPANS },
	{ 24,			GFP_KERNEL,	ARENA_SPANS },
	{ 64,			GFP_KERNEL,	ARENA_SPANS },
	{ 1000,			GFP_KERNEL,	ARENA_SPANS },
	{ SLAB / 2 + 8,		GFP_KERNEL,	ARENA_SPANS },
};

static void exact_desc(const struct exact *exact, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, size %zu%s",
		 exact->flags & ARENA_SPANS ? "spans" : "dense", exact->size,
		 exact->gfp ? "" : ", populated");
}

KUNIT_ARRAY_PARAM(exact, exacts, exact_desc);

static void alloc_until_null(struct arena_hand *hand)
{
	const struct exact *exact = hand->crew->data;

	arena_crew_meet(hand->crew);
	while (arena_alloc(hand->crew->arena, exact->size, exact->gfp))
		hand->allocs++;
}

/*
 * Clause 16: room for N, N racing allocations succeed and the next one fails.
 * An object lies within one slab, or begins at one: so many bytes does it cost.
 */
static void exact_capacity_race(struct kunit *test)
{
	const struct exact *exact = test->param_value;
	const size_t slabs = 8, per_slab = SLAB / exact->size;
	const size_t room = per_slab ? slabs * per_slab : slabs / (exact->size / SLAB);
	struct arena *arena = arena_test_create(test, slabs * SLAB, SLAB, exact->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	crew->data = (void *)exact;
	do {
		struct arena_stats was, s;
		size_t got;

		if (!exact->gfp)
			KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, slabs * SLAB, GFP_KERNEL));
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		was = arena_test_stats(arena);
		arena_crew_go(crew, alloc_until_null, 0);
		arena_crew_wait(crew);
		got = arena_crew_allocs(crew);
		KUNIT_ASSERT_EQ_MSG(test, got, room, "round %u", round);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, exact->size, exact->gfp));
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, got * exact->size);
		KUNIT_EXPECT_EQ(test, s.fail_space - was.fail_space, HANDS + 1);
		KUNIT_EXPECT_EQ(test, s.fail_memory, was.fail_memory);
		KUNIT_EXPECT_EQ(test, s.allocs - was.allocs, got);
		arena_expect_sane(test, arena);
		reset_somehow(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/* As many as there is room for in all, and no more: so nobody uses up what another one left. */
static void alloc_share(struct arena_hand *hand)
{
	const struct exact *exact = hand->crew->data;

	arena_crew_meet(hand->crew);
	for (; hand->allocs < hand->max; hand->allocs++)
		if (!arena_alloc(hand->crew->arena, exact->size, exact->gfp))
			break;
	hand->bad += hand->allocs < hand->max;
}

/* Clause 16: where N threads share the room for as many objects, all of them get theirs. */
static void exact_shares(struct kunit *test)
{
	const struct exact *exact = test->param_value;
	const size_t slabs = 8, per_slab = SLAB / exact->size;
	const size_t room = per_slab ? slabs * per_slab : slabs / (exact->size / SLAB);
	struct arena *arena = arena_test_create(test, slabs * SLAB, SLAB, exact->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 3, 0);
	const unsigned long until = deadline();
	unsigned int round = 0, i;

	crew->data = (void *)exact;
	do {
		size_t left = room;

		KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, slabs * SLAB, GFP_KERNEL));
		/* Few are left when they begin to race: that is where it is decided. */
		while (left > 40 + round % 16 && arena_alloc(arena, exact->size, exact->gfp))
			left--;
		for (i = 0; i < crew->nr; i++) {
			arena_hand_forget(&crew->hand[i]);
			crew->hand[i].max = left / crew->nr + (i < left % crew->nr);
		}
		arena_crew_go(crew, alloc_share, 0);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, exact->size, exact->gfp));
		KUNIT_EXPECT_EQ(test, arena_offset(arena), room * exact->size);
		arena_expect_sane(test, arena);
		reset_somehow(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS);
}

/* Odd hands ask for what cannot be had, the others for what can, until it is used up. */
static void succeed_or_fail(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena *arena = crew->arena;

	arena_crew_meet(crew);
	if (hand->id % 2) {
		while (arena_crew_on(crew)) {
			hand->bad += !!arena_alloc(arena, arena_capacity(arena), GFP_KERNEL);
			hand->nr_ext++;
		}
		return;
	}
	while (arena_alloc(arena, 64, GFP_KERNEL))
		hand->allocs++;
	WRITE_ONCE(crew->stop, true);
}

/*
 * Clause 4: a failure is nobody else's business, not for a moment: who asks for
 * what is there gets it, while others ask for what is not.
 */
static void failures_disturb_nobody(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const size_t capacity = SZ_1M;
	struct arena *arena = arena_test_create(test, capacity, capacity, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	const unsigned long until = deadline();
	unsigned long patience = 0;
	unsigned int round = 0, i;
	size_t failed = 0;

	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		/* From now on there is no room for all of it. */
		KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		arena_crew_go(crew, succeed_or_fail, ARENA_CREW_TIMEOUT / 2 * MSEC_PER_SEC);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ_MSG(test, arena_crew_bad(crew), 0, "round %u", round);
		KUNIT_ASSERT_EQ(test, arena_crew_allocs(crew), capacity / 64 - 1);
		for (i = 1; i < crew->nr; i += 2)
			failed += crew->hand[i].nr_ext;
		arena_expect_sane(test, arena);
		reset_somehow(test, arena, round++);
	} while (time_before(jiffies, until) || round < MIN_ROUNDS ||
		 (failed <= 10 && arena_patient(&patience)));
	KUNIT_EXPECT_GT(test, failed, 10);
}

/*
 * Interrupts
 *
 * Something that runs a function in hard interrupts on one CPU: as often as
 * another CPU can send them, where there is another, and on a timer. That one
 * goes on when the others have stopped, and leaves time for an object larger than a
 * slab, which under sanitizers takes milliseconds: with a reset in each interrupt
 * there would never be one.
 */
#define IRQ_SOURCE_PERIOD	(10 * NSEC_PER_MSEC)

struct irq_source {
	int		cpu;
	void		(*fn)(void *data);
	void		*data;
	bool		stop;
	struct hrtimer	timer;
};

static enum hrtimer_restart irq_source_timer(struct hrtimer *timer)
{
	struct irq_source *source = container_of(timer, struct irq_source, timer);
	ktime_t begin, end;

	if (READ_ONCE(source->stop))
		return HRTIMER_NORESTART;
	begin = ktime_get();
	source->fn(source->data);
	end = ktime_get();
	/* On a busy host that takes long, and those whom it interrupts must get on. */
	hrtimer_set_expires(timer, ktime_add_ns(end, IRQ_SOURCE_PERIOD +
						4 * ktime_to_ns(ktime_sub(end, begin))));
	return HRTIMER_RESTART;
}

static void irq_source_begin(void *data)
{
	struct irq_source *source = data;

	hrtimer_start(&source->timer, ns_to_ktime(IRQ_SOURCE_PERIOD), HRTIMER_MODE_REL_PINNED_HARD);
}

static void irq_source_start(struct irq_source *source, int cpu, void (*fn)(void *), void *data)
{
	source->cpu = cpu;
	source->fn = fn;
	source->data = data;
	source->stop = false;
	hrtimer_setup(&source->timer, irq_source_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);
	smp_call_function_single(cpu, irq_source_begin, source, 1);
}

static void irq_source_stop(struct irq_source *source)
{
	WRITE_ONCE(source->stop, true);
	hrtimer_cancel(&source->timer);
}

/* Run by a thread: interrupt the source's CPU from another one. */
static void irq_source_pester(struct irq_source *source, struct arena_hand *hand)
{
	int cpu = cpumask_any_but(cpu_online_mask, source->cpu);

	if (cpu >= nr_cpu_ids || set_cpus_allowed_ptr(current, cpumask_of(cpu))) {
		/* No other CPU: the timer alone must do. */
		while (arena_crew_on(hand->crew))
			schedule_timeout_uninterruptible(1);
		return;
	}
	while (arena_crew_on(hand->crew)) {
		spin(arena_rnd_below(&hand->rnd, 1000));
		smp_call_function_single(source->cpu, source->fn, source->data, 1);
		cond_resched();
	}
}

/*
 * Clauses 1, 2: a task, soft interrupts and hard interrupts of one CPU, and
 * another task on another CPU, allocate from one arena.
 */
enum { CTX_HARDIRQ, CTX_SOFTIRQ, NR_CTX };

struct contexts {
	struct arena		*arena;
	struct irq_source	source;
	struct tasklet_struct	tasklet;
	struct irq_work		work;
	bool			inside;		/* the task is in the allocator */
	unsigned long		hits;		/* interrupts that found it there */
	unsigned long		bad;
	size_t			max_ext;
	struct {
		struct arena_extent	*ext;
		size_t			nr;
		size_t			bytes;
		u32			rnd;
	} ctx[NR_CTX];
};

static bool contexts_alloc(struct contexts *c, int which)
{
	const size_t size = 1 + arena_rnd_below(&c->ctx[which].rnd, 96);
	const u32 owner = arena_rnd(&c->ctx[which].rnd);
	struct arena_extent *ext;
	void *ptr;

	if (c->ctx[which].nr == c->max_ext)
		return false;
	if (owner & 1)
		ptr = arena_zalloc(c->arena, size, ARENA_NOGROW);
	else
		ptr = arena_alloc(c->arena, size, ARENA_NOGROW);
	if (!ptr)
		return false;
	if (owner & 1 && !arena_is_zero(ptr, size))
		c->bad++;
	arena_pattern_fill(ptr, size, owner);
	ext = &c->ctx[which].ext[c->ctx[which].nr++];
	*ext = (struct arena_extent){ ptr, size, owner };
	c->ctx[which].bytes += size;
	return true;
}

static void contexts_tasklet(struct tasklet_struct *t)
{
	struct contexts *c = from_tasklet(c, t, tasklet);

	contexts_alloc(c, CTX_SOFTIRQ);
}

static void contexts_irq_work(struct irq_work *work)
{
	contexts_alloc(container_of(work, struct contexts, work), CTX_HARDIRQ);
}

static void contexts_hardirq(void *data)
{
	struct contexts *c = data;

	if (READ_ONCE(c->inside))
		c->hits++;
	contexts_alloc(c, CTX_HARDIRQ);
	tasklet_schedule(&c->tasklet);
	irq_work_queue(&c->work);
}

/* Hand 0 is interrupted, hand 1 interrupts, hand 2 allocates elsewhere. */
static void contexts_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct contexts *c = crew->data;

	if (hand->id == 1) {
		irq_source_pester(&c->source, hand);
		return;
	}
	if (hand->id == 0 && set_cpus_allowed_ptr(current, cpumask_of(c->source.cpu)))
		hand->bad++;
	while (arena_crew_on(crew) && hand->nr_ext < crew->max_ext) {
		const size_t size = 1 + arena_rnd_below(&hand->rnd, 96);
		const u32 owner = arena_rnd(&hand->rnd);
		const bool zero = owner & 1;
		void *ptr;

		if (hand->id == 0)
			WRITE_ONCE(c->inside, true);
		ptr = arena_alloc(crew->arena, size,
				  zero ? ARENA_NOGROW | __GFP_ZERO : ARENA_NOGROW);
		if (hand->id == 0)
			WRITE_ONCE(c->inside, false);
		if (!ptr)
			break;
		if (zero && !arena_is_zero(ptr, size))
			hand->bad++;
		arena_pattern_fill(ptr, size, owner);
		hand->ext[hand->nr_ext++] = (struct arena_extent){ ptr, size, owner };
		hand->bytes += size;
	}
	/* Full: whoever interrupts may stop. */
	if (hand->id == 0)
		WRITE_ONCE(crew->stop, true);
}

static void contexts_free(void *data)
{
	struct contexts *c = data;
	int i;

	for (i = 0; i < NR_CTX; i++)
		kvfree(c->ctx[i].ext);
	kfree(c);
}

static struct contexts *contexts_create(struct kunit *test, struct arena *arena, size_t max_ext)
{
	struct contexts *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, contexts_free, c));
	c->arena = arena;
	c->max_ext = max_ext;
	tasklet_setup(&c->tasklet, contexts_tasklet);
	init_irq_work(&c->work, contexts_irq_work);
	for (i = 0; i < NR_CTX; i++) {
		c->ctx[i].rnd = 77 + i;
		c->ctx[i].ext = kvcalloc(max_ext, sizeof(*c->ctx[i].ext), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, c->ctx[i].ext);
	}
	return c;
}

/* Everything that interrupts has ended when this returns. */
static void contexts_round(struct contexts *c, struct arena_crew *crew)
{
	irq_source_start(&c->source, cpumask_first(cpu_online_mask), contexts_hardirq, c);
	arena_crew_go(crew, contexts_job, 1000);
	arena_crew_wait(crew);
	irq_source_stop(&c->source);
	irq_work_sync(&c->work);
	tasklet_kill(&c->tasklet);
}

static void contexts_check(struct kunit *test, struct contexts *c, struct arena_crew *crew)
{
	size_t nr = 0, total, i;
	struct arena_extent *all;
	size_t used = arena_crew_bytes(crew);

	for (i = 0, total = 1; i < NR_CTX; i++) {
		total += c->ctx[i].nr;
		used += c->ctx[i].bytes;
	}
	for (i = 0; i < crew->nr; i++)
		total += crew->hand[i].nr_ext;
	all = kvcalloc(total, sizeof(*all), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, all);
	for (i = 0; i < NR_CTX; i++) {
		memcpy(all + nr, c->ctx[i].ext, c->ctx[i].nr * sizeof(*all));
		nr += c->ctx[i].nr;
	}
	for (i = 0; i < crew->nr; i++) {
		memcpy(all + nr, crew->hand[i].ext, crew->hand[i].nr_ext * sizeof(*all));
		nr += crew->hand[i].nr_ext;
	}
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(all, nr));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(all, nr));
	kvfree(all);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, c->bad, 0);
	KUNIT_EXPECT_EQ(test, arena_offset(c->arena), used);
	arena_expect_sane(test, c->arena);
}

static void contexts(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const size_t capacity = 16 * SLAB, max_ext = capacity / 16;
	struct arena *arena = arena_test_create(test, capacity, SLAB, kind->flags);
	struct contexts *c = contexts_create(test, arena, max_ext);
	struct arena_crew *crew = arena_crew_create(test, arena, 3, max_ext);
	const unsigned long until = deadline();
	unsigned long hard = 0, soft = 0;
	struct arena_stats was, s;
	unsigned long patience = 0;
	bool seen;
	int i;

	crew->data = c;
	KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, capacity, GFP_KERNEL));
	was = arena_test_stats(arena);
	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		for (i = 0; i < NR_CTX; i++) {
			c->ctx[i].nr = 0;
			c->ctx[i].bytes = 0;
		}
		contexts_round(c, crew);
		contexts_check(test, c, crew);
		hard += c->ctx[CTX_HARDIRQ].nr;
		soft += c->ctx[CTX_SOFTIRQ].nr;
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
		seen = hard && soft && (c->hits || num_online_cpus() == 1);
	} while (time_before(jiffies, until) || (!seen && arena_patient(&patience)));

	/* Or nothing was shown: each context had its share, and the task was hit. */
	KUNIT_EXPECT_GT(test, hard, 0);
	KUNIT_EXPECT_GT(test, soft, 0);
	if (num_online_cpus() > 1)
		KUNIT_EXPECT_GT(test, c->hits, 0);
	/* Clause 2: committed memory was enough. */
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, s.fail_memory, was.fail_memory);
}

/*
 * The same with nothing but allocations: most of the time the task is within
 * the allocator, at most of its instructions an interrupt will have hit, and
 * the interrupt allocates as well.
 */
#define HIT_SIZE	16
#define HIT_CAPACITY	((size_t)SZ_1M)
#define HIT_OBJECTS	(HIT_CAPACITY / HIT_SIZE)

struct hit {
	struct arena		*arena;
	struct irq_source	source;
	u64			**object;
	u64			**irq_object;
	size_t			nr;
	size_t			irq_nr;
	unsigned long		irqs;
};

/* Stamps tell the objects of a task from those of an interrupt. */
#define HIT_IRQ		BIT_ULL(63)

static void hit_hardirq(void *data)
{
	struct hit *hit = data;
	u64 *object;

	hit->irqs++;
	object = arena_alloc(hit->arena, HIT_SIZE, ARENA_NOGROW);
	if (!object)
		return;
	*object = HIT_IRQ | hit->irq_nr;
	hit->irq_object[hit->irq_nr++] = object;
}

static void hit_job(struct arena_hand *hand)
{
	struct hit *hit = hand->crew->data;
	u64 *object;

	if (hand->id == 1) {
		irq_source_pester(&hit->source, hand);
		return;
	}
	if (set_cpus_allowed_ptr(current, cpumask_of(hit->source.cpu)))
		hand->bad++;
	for (hit->nr = 0; hit->nr < HIT_OBJECTS; hit->nr++) {
		object = arena_alloc(hit->arena, HIT_SIZE, ARENA_NOGROW);
		if (!object)
			break;
		*object = hit->nr;
		hit->object[hit->nr] = object;
	}
	WRITE_ONCE(hand->crew->stop, true);
}

static void *hit_array(struct kunit *test)
{
	void *array = vzalloc(HIT_OBJECTS * sizeof(void *));

	KUNIT_ASSERT_NOT_NULL(test, array);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_array, array));
	return array;
}

static void hit_check(struct kunit *test, const struct hit *hit)
{
	size_t i, bad = 0;

	for (i = 0; i < hit->nr; i++)
		bad += *hit->object[i] != i;
	for (i = 0; i < hit->irq_nr; i++)
		bad += *hit->irq_object[i] != (HIT_IRQ | i);
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, arena_offset(hit->arena), (hit->nr + hit->irq_nr) * HIT_SIZE);
	arena_expect_sane(test, hit->arena);
}

/* Clauses 1, 2: interrupts within the allocator, that allocate. */
static void interrupted(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, HIT_CAPACITY, SLAB, kind->flags);
	struct hit *hit = kunit_kzalloc(test, sizeof(*hit), GFP_KERNEL);
	const unsigned long until = deadline();
	unsigned long patience = 0;
	struct arena_crew *crew;

	KUNIT_ASSERT_NOT_NULL(test, hit);
	hit->arena = arena;
	hit->object = hit_array(test);
	hit->irq_object = hit_array(test);
	crew = arena_crew_create(test, arena, 2, 0);
	crew->data = hit;
	KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, HIT_CAPACITY, GFP_KERNEL));
	do {
		hit->irq_nr = 0;
		irq_source_start(&hit->source, cpumask_first(cpu_online_mask), hit_hardirq, hit);
		arena_crew_go(crew, hit_job, 10000);
		arena_crew_wait(crew);
		irq_source_stop(&hit->source);
		KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
		hit_check(test, hit);
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
	} while (time_before(jiffies, until) || (hit->irqs < 100 && arena_patient(&patience)));
	KUNIT_EXPECT_GE(test, hit->irqs, 100);
}

/*
 * Resets that race with each other
 */
struct rush {
	struct irq_source	source;
	/* Written by hard interrupts of one CPU. */
	unsigned long		resets;
	unsigned long		backward;
};

/* A reset that has returned is over: no later look sees its generation, or one before. */
static bool rush_reset(struct arena *arena, unsigned long *resets, unsigned long *backward)
{
	unsigned long before = READ_ONCE(arena->generation);

	if (arena_reset(arena))
		return false;
	(*resets)++;
	*backward += READ_ONCE(arena->generation) < before + ARENA_GEN_STEP;
	return true;
}

static void rush_hardirq(void *data)
{
	struct arena *arena = ((struct arena_hand *)data)->crew->arena;
	struct rush *rush = ((struct arena_hand *)data)->crew->data;

	rush_reset(arena, &rush->resets, &rush->backward);
}

static void rush_job(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;
	struct rush *rush = hand->crew->data;
	unsigned long last = 0;

	if (hand->id == 0) {
		irq_source_pester(&rush->source, hand);
		return;
	}
	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew)) {
		unsigned long generation = READ_ONCE(arena->generation);

		hand->bad += generation < last;
		last = generation;
		/* Some fill it, so that there is something to note. */
		if (hand->id & 1)
			arena_alloc(arena, 64 * hand->id, ARENA_NOGROW);
		if (!rush_reset(arena, &hand->allocs, &hand->bad))
			schedule_timeout_uninterruptible(1);
	}
}

/*
 * Clauses 8, 10, 13: of resets that race, and interrupt each other, each one counts, is
 * over when it returns, and sets nothing back.
 */
static void resets_race(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	struct rush *rush = kunit_kzalloc(test, sizeof(*rush), GFP_KERNEL);
	struct arena_stats was, now;
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, rush);
	KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, 16 * SLAB, GFP_KERNEL));
	crew->data = rush;
	was = arena_test_stats(arena);
	irq_source_start(&rush->source, cpumask_first(cpu_online_mask), rush_hardirq,
			 &crew->hand[0]);
	do {
		arena_crew_go(crew, rush_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((!rush->resets || arena_crew_allocs(crew) < 10000) && arena_patient(&patience));
	irq_source_stop(&rush->source);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, rush->backward, 0);
	KUNIT_EXPECT_GT(test, rush->resets, 0);
	KUNIT_EXPECT_GE(test, arena_crew_allocs(crew), 10000);

	now = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, now.resets - was.resets, rush->resets + arena_crew_allocs(crew));
	KUNIT_EXPECT_EQ(test, now.generation - was.generation,
			ARENA_GEN_STEP * (now.resets - was.resets));
	KUNIT_EXPECT_EQ(test, READ_ONCE(arena->generation), now.generation);
	KUNIT_EXPECT_GE(test, now.peak, 64);
	arena_expect_sane(test, arena);
}

/*
 * Resets at any time
 */

/* Hands of the storm, by number. */
enum { STORM_KEEP = 5, STORM_RELEASE, STORM_ZERO };

struct storm {
	struct arena		*arena;
	struct irq_source	source;
	/* Written by hard interrupts of one CPU. */
	unsigned long		resets;
	unsigned long		allocs;
	unsigned long		nulls;
};

static void storm_hardirq(void *data)
{
	struct storm *storm = data;

	if (storm->allocs % 3 == 0 && !arena_reset(storm->arena))
		storm->resets++;
	if (arena_zalloc(storm->arena, 256, ARENA_NOGROW))
		storm->allocs++;
	else
		storm->nulls++;
}

static void storm_alloc(struct arena_hand *hand)
{
	static const gfp_t gfp[] = {
		GFP_KERNEL, GFP_KERNEL | __GFP_ZERO, GFP_KERNEL | __GFP_ZERO,
		GFP_NOWAIT | __GFP_ZERO, ARENA_NOGROW | __GFP_ZERO, ARENA_NOGROW,
	};
	struct arena_crew *crew = hand->crew;

	while (arena_crew_on(crew)) {
		const size_t size = some_size(&hand->rnd);
		const size_t align = BIT(arena_rnd_below(&hand->rnd, 7));
		gfp_t how = gfp[arena_rnd_below(&hand->rnd, ARRAY_SIZE(gfp))];
		void *ptr = arena_alloc_aligned(crew->arena, size, align, how);

		/* Not touched: it may be dead already. */
		if (!ptr)
			hand->nr_ext++;
		else if (IS_ALIGNED((unsigned long)ptr, align))
			hand->allocs++;
		else
			hand->bad++;
		if (!ptr)
			cond_resched();
	}
}

static void storm_reset(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena *arena = crew->arena;

	do {
		switch (hand->id) {
		case STORM_KEEP:
			if (arena_reset(arena))
				continue;
			break;
		case STORM_RELEASE:
			arena_reset_release(arena, arena_rnd_below(&hand->rnd, 4) * SLAB);
			break;
		default:
			arena_reset_zero(arena);
		}
		hand->bytes++;
		if (arena_rnd_below(&hand->rnd, 8) == 0)
			schedule_timeout_uninterruptible(1);
	} while (arena_crew_on(crew));
}

static void storm_job(struct arena_hand *hand)
{
	struct storm *storm = hand->crew->data;

	if (hand->id == 0)
		irq_source_pester(&storm->source, hand);
	else if (hand->id < STORM_KEEP)
		storm_alloc(hand);
	else
		storm_reset(hand);
}

/* What must hold at every moment, seen from outside. */
static unsigned int storm_watch(struct arena_crew *crew, unsigned int *looks)
{
	struct arena *arena = crew->arena;
	u64 generation = 0, resets = 0, allocs = 0;
	unsigned int bad = 0;

	while (atomic_read(&crew->busy)) {
		const struct arena_stats s = arena_test_stats(arena);

		bad += s.generation < generation || s.resets < resets || s.allocs < allocs;
		bad += s.used > s.capacity || s.high > s.capacity || s.peak > s.capacity ||
		       s.padding > s.capacity || s.free > s.capacity;
		bad += arena_offset(arena) > s.capacity || arena_high(arena) > s.capacity;
		generation = s.generation;
		resets = s.resets;
		allocs = s.allocs;
		(*looks)++;
		schedule_timeout_uninterruptible(1);
	}
	return bad;
}

/*
 * Clause 10: resets of every kind, hard interrupts that reset and allocate,
 * zeroing allocations of all sizes: the allocator is never confused, and when
 * all is over, its counts agree with those of its callers.
 */
static void storm(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	u64 resets, allocs, nulls;
	unsigned int looks = 0, bad = 0, i;
	unsigned long patience = 0;
	struct arena_stats s;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->arena = arena;
	crew->data = storm;
	irq_source_start(&storm->source, cpumask_first(cpu_online_mask), storm_hardirq, storm);
	do {
		arena_crew_go(crew, storm_job, runtime_ms);
		bad += storm_watch(crew, &looks);
		arena_crew_wait(crew);
	} while ((!looks || !storm->resets || arena_crew_allocs(crew) <= 100) &&
		 arena_patient(&patience));
	irq_source_stop(&storm->source);
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);

	resets = storm->resets;
	allocs = storm->allocs;
	nulls = storm->nulls;
	for (i = 0; i < STORM_KEEP; i++) {
		allocs += crew->hand[i].allocs;
		nulls += crew->hand[i].nr_ext;
		crew->hand[i].nr_ext = 0;
	}
	for (; i < HANDS; i++) {
		KUNIT_EXPECT_GT(test, crew->hand[i].bytes, 0);
		resets += crew->hand[i].bytes;
	}
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.resets, resets);
	KUNIT_EXPECT_EQ(test, s.allocs, allocs);
	KUNIT_EXPECT_EQ(test, s.fail_space + s.fail_memory, nulls);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 0);
	arena_expect_sane(test, arena);
	/* It was a storm. */
	KUNIT_EXPECT_GT(test, looks, 0);
	KUNIT_EXPECT_GT(test, storm->resets, 0);
	KUNIT_EXPECT_GT(test, allocs, 100);

	/* And afterwards the sea is calm. */
	for (i = 0; i < 4; i++) {
		size_t n, size = 100 + i;
		u8 *ptr[32];

		reset_somehow(test, arena, i);
		for (n = 0; n < ARRAY_SIZE(ptr); n++) {
			ptr[n] = arena_zalloc(arena, size, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, ptr[n]);
			KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr[n], size));
			arena_pattern_fill(ptr[n], size, n);
		}
		for (n = 0; n < ARRAY_SIZE(ptr); n++)
			KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr[n], size, n), size);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), size * ARRAY_SIZE(ptr));
	}
}

/*
 * The allocator's own writes
 *
 * One party empties the arena, lets the others in, and a moment later resets,
 * takes all of it, and stamps it: whoever was being zeroed by then has lost its
 * memory to the stamps. Nobody else may write there before the next reset. All
 * others only ask for zeroed memory and never touch it, so that a stamp that is
 * gone was wiped by the allocator, on behalf of a generation that is over.
 */
#define LATE_SLAB	((size_t)SZ_512K)
#define LATE_CAPACITY	(4 * LATE_SLAB)
#define LATE_SIZE	(LATE_SLAB / 2)
#define LATE_OBJECTS	(LATE_CAPACITY / LATE_SIZE)
/* A stamp every so often: zeroing leaves nothing out. */
#define LATE_STRIDE	1024

struct late {
	struct arena		*arena;
	struct late		*other;
	struct irq_source	source;
	u8			*object[LATE_OBJECTS];
	unsigned int		nr;
	u64			stamp;
	bool			zero;
	const struct late_way	*way;
	/* What happened: all of these must have, or nothing was shown. */
	unsigned long		taken;
	unsigned long		inside_hits;
	bool			inside;
	/* What must not happen. */
	unsigned long		wiped;
	unsigned long		not_zero;
};

static void late_check(struct late *late)
{
	unsigned int i;
	size_t at;

	for (i = 0; i < late->nr; i++)
		for (at = 0; at < LATE_SIZE; at += LATE_STRIDE)
			if (*(u64 *)(late->object[i] + at) != late->stamp + i)
				late->wiped++;
}

static void late_take(struct late *late, gfp_t gfp)
{
	u8 *object;
	size_t at;

	late->stamp += LATE_OBJECTS;
	while (late->nr < LATE_OBJECTS) {
		object = arena_alloc(late->arena, LATE_SIZE, gfp);
		if (!object)
			break;
		for (at = 0; at < LATE_SIZE; at += LATE_STRIDE) {
			if (late->zero && *(u64 *)(object + at))
				late->not_zero++;
			*(u64 *)(object + at) = late->stamp + late->nr;
		}
		late->object[late->nr++] = object;
	}
	late->taken += late->nr;
}

/*
 * What the others ask for. Large enough that nearly all the time goes into the
 * zeroing, and nearly every interrupt hits it: a timer tick will do where no
 * other CPU has the time to send more. The last takes too long to be
 * interrupted more often than by the timer: it would never get done.
 */
struct late_way {
	const char	*what;
	size_t		size;
	gfp_t		gfp;
	bool		pester;
};

static const struct late_way late_ways[] = {
	{ "in one go",		LATE_SLAB - 64,		GFP_NOWAIT,	true },
	{ "in chunks",		LATE_SLAB - 64,		GFP_KERNEL,	true },
	{ "by way of a span",	2000,			GFP_KERNEL,	true },
	{ "large",		2 * LATE_SLAB + 100,	GFP_KERNEL,	false },
};

/*
 * In turn: let the others in, and take it all from them. If a writer was
 * interrupted there is nothing to be had yet, and the next interrupt tries.
 */
static void late_hardirq(void *data)
{
	struct late *late = data;
	const bool take = !late->nr;

	late_check(late);
	if (arena_reset(late->arena))
		return;
	late->nr = 0;
	if (!take)
		return;
	if (READ_ONCE(late->inside))
		late->inside_hits++;
	late_take(late, ARENA_NOGROW);
}

static void late_zalloc(struct arena_hand *hand, const struct late_way *way)
{
	if (arena_zalloc(hand->crew->arena, way->size, way->gfp))
		hand->allocs++;
	else
		cond_resched();
}

/*
 * The one who is interrupted starts over when the space is used up, unless the
 * interrupt has it all: as it runs on the same CPU, one can be sure of that.
 */
static void late_zalloc_again(struct arena_hand *hand, struct late *late)
{
	const struct late_way *way = late->way;
	unsigned long was = hand->allocs;

	WRITE_ONCE(late->inside, true);
	late_zalloc(hand, way);
	WRITE_ONCE(late->inside, false);
	if (hand->allocs != was)
		return;
	local_irq_disable();
	if (!late->nr && arena_reset(late->arena))
		hand->bad++;
	local_irq_enable();
}

/* Hand 0 is interrupted, hand 1 interrupts. */
static void late_irq_job(struct arena_hand *hand)
{
	struct late *late = hand->crew->data;

	if (hand->id == 1) {
		if (late->way->pester)
			irq_source_pester(&late->source, hand);
		return;
	}
	if (set_cpus_allowed_ptr(current, cpumask_of(late->source.cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew))
		late_zalloc_again(hand, late);
}

static bool late_seen(const struct late *late, const struct arena_crew *crew)
{
	return late->taken >= 20 && arena_crew_allocs(crew) >= 20 &&
	       (late->inside_hits >= 5 || !late->way);
}

static void late_expect(struct kunit *test, struct late *late, struct arena_crew *crew)
{
	const char *what = late->way ? late->way->what : "threads";

	late_check(late);
	KUNIT_EXPECT_EQ_MSG(test, late->wiped, 0, "%s", what);
	if (late->other)
		KUNIT_EXPECT_EQ(test, late->other->wiped, 0);
	KUNIT_EXPECT_EQ_MSG(test, late->not_zero, 0, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, arena_crew_bad(crew), 0, "%s", what);
	arena_expect_sane(test, late->arena);
	KUNIT_EXPECT_TRUE_MSG(test, late_seen(late, crew),
			      "%s: taken %lu, inside the allocator %lu, zeroed %lu", what,
			      late->taken, late->inside_hits, arena_crew_allocs(crew));
}

/* Clause 10: resets by hard interrupts in the middle of the zeroing. */
static void late_zero_irq(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct arena_crew *crew;
	struct arena *arena;
	unsigned long patience;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, late);
	for (i = 0; i < ARRAY_SIZE(late_ways); i++) {
		memset(late, 0, sizeof(*late));
		late->way = &late_ways[i];
		late->zero = kind->flags & ARENA_ZERO;
		arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, kind->flags);
		KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, LATE_CAPACITY, GFP_KERNEL));
		late->arena = arena;
		crew = arena_crew_create(test, arena, 2, 0);
		crew->data = late;
		irq_source_start(&late->source, cpumask_first(cpu_online_mask), late_hardirq,
				 late);
		patience = 0;
		do {
			arena_crew_go(crew, late_irq_job, runtime_ms / ARRAY_SIZE(late_ways));
			arena_crew_wait(crew);
		} while (!late_seen(late, crew) && arena_patient(&patience));
		irq_source_stop(&late->source);
		late_expect(test, late, crew);
		kunit_release_action(test, arena_crew_stop, crew);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/*
 * The slabs that a release gave back are at once somebody else's: nobody of
 * the arena that they came from may still be writing to them.
 */
static void late_pass_on(struct late *other)
{
	late_take(other, GFP_KERNEL);
	spin(300);
	late_check(other);
	arena_reset_release(other->arena, 0);
	other->nr = 0;
}

static void late_reset(struct arena_crew *crew, struct late *late, unsigned int way)
{
	switch (way % 8) {
	case 0 ... 2:
		arena_reset_release(late->arena, 0);
		late_pass_on(late->other);
		break;
	case 3:
		arena_reset_release(late->arena, LATE_SLAB);
		break;
	case 4:
		arena_reset_zero(late->arena);
		break;
	default:
		KUNIT_EXPECT_EQ(crew->test, 0, arena_reset(late->arena));
	}
	late->nr = 0;
}

static void late_thread_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct late *late = crew->data;

	if (hand->id) {
		while (arena_crew_on(crew))
			late_zalloc(hand, &late_ways[hand->id % ARRAY_SIZE(late_ways)]);
		return;
	}
	while (arena_crew_on(crew)) {
		unsigned int looks = 1 + arena_rnd_below(&hand->rnd, 4);

		/* A reset that does not wait: it is the others' turn now. */
		late->nr = 0;
		KUNIT_EXPECT_EQ(crew->test, 0, arena_reset(late->arena));
		if (arena_rnd_below(&hand->rnd, 4))
			spin(arena_rnd_below(&hand->rnd, 1000));
		else
			schedule_timeout_uninterruptible(1);
		late_reset(crew, late, arena_rnd(&hand->rnd));
		late_take(late, GFP_KERNEL);
		while (looks--) {
			late_check(late);
			spin(arena_rnd_below(&hand->rnd, 200));
		}
	}
}

/* Clause 10: the same by threads, which are preempted in the middle of it. */
static void late_zero_threads(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct late *other = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, late);
	KUNIT_ASSERT_NOT_NULL(test, other);
	other->arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, 0);
	late->other = other;
	late->arena = arena;
	late->zero = kind->flags & ARENA_ZERO;
	crew->data = late;
	do {
		/* Twice: a reset that sleeps leaves little time for another. */
		arena_crew_go(crew, late_thread_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (!late_seen(late, crew) && arena_patient(&patience));
	late_expect(test, late, crew);
}

/*
 * Populating while others allocate what has just been populated
 */
static void populate_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	const size_t capacity = arena_capacity(crew->arena);
	size_t bytes;

	arena_crew_meet(crew);
	if (hand->id % 2) {
		for (bytes = SLAB; bytes <= capacity; bytes += SLAB)
			hand->bad += !!arena_populate(crew->arena, bytes, GFP_KERNEL);
		return;
	}
	while (arena_crew_on(crew) && arena_offset(crew->arena) < capacity)
		if (arena_alloc_aligned(crew->arena, 512, 512, ARENA_NOGROW))
			hand->allocs++;
}

/* Clause 2: growth by some is of use to all, and costs no more than the arena. */
static void populate_race(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, 0);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	const unsigned long until = deadline();
	unsigned int i, rounds = 0;

	do {
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, populate_job, 10000);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		KUNIT_ASSERT_EQ(test, arena_crew_allocs(crew), 16 * SLAB / 512);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 16 * SLAB);
		arena_expect_sane(test, arena);
		arena_reset_release(arena, 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
		rounds++;
	} while (time_before(jiffies, until) || rounds < MIN_ROUNDS);
}

/* The last case: what all the arenas above held is back. */
static void nothing_is_left(struct kunit *test)
{
	arena_expect_nothing_left(test);
}

static int arena_stress_suite_init(struct kunit_suite *suite)
{
	arena_remember_total();
	return 0;
}

static struct kunit_case arena_stress_cases[] = {
	KUNIT_CASE_PARAM(fill_and_verify, arena_kind_gen_params),
	KUNIT_CASE_PARAM(exact_capacity_race, exact_gen_params),
	KUNIT_CASE_PARAM(exact_shares, exact_gen_params),
	KUNIT_CASE_PARAM(failures_disturb_nobody, arena_kind_gen_params),
	KUNIT_CASE_PARAM(contexts, arena_kind_gen_params),
	KUNIT_CASE_PARAM(interrupted, arena_kind_gen_params),
	KUNIT_CASE_PARAM(resets_race, arena_kind_gen_params),
	KUNIT_CASE_PARAM(storm, arena_kind_gen_params),
	KUNIT_CASE_PARAM(late_zero_irq, arena_kind_gen_params),
	KUNIT_CASE_PARAM(late_zero_threads, arena_kind_gen_params),
	KUNIT_CASE(populate_race),
	KUNIT_CASE(nothing_is_left),
	{ }
};

static struct kunit_suite arena_stress_suite = {
	.name = "arena_stress",
	.suite_init = arena_stress_suite_init,
	.test_cases = arena_stress_cases,
};

kunit_test_suite(arena_stress_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: threads, interrupts and resets at once");
MODULE_LICENSE("GPL");
