// SPDX-License-Identifier: GPL-2.0
/*
 * Tests in which a task, soft interrupts and hard interrupts of one CPU, and another task on any
 * CPU, allocate from one arena.
 */
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 300;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case");

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static unsigned long deadline(void)
{
	return jiffies + msecs_to_jiffies(runtime_ms);
}

static void free_array(void *array)
{
	vfree(array);
}

/*
 * Objects of mixed sizes, with patterns
 */
enum { CTX_HARDIRQ, CTX_SOFTIRQ, NR_CTX };

struct contexts {
	struct arena		*arena;
	struct arena_irq_source	source;
	struct tasklet_struct	tasklet;
	struct irq_work		work;
	bool			inside;		/* the task is inside arena_alloc() */
	unsigned long		hits;		/* interrupts during arena_alloc() */
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

/* Threads 0 and 2 allocate. Thread 1 interrupts the CPU of thread 0; thread 2 may be on any CPU. */
static void contexts_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct contexts *c = crew->data;

	if (hand->id == 1) {
		arena_irq_source_pester(&c->source, hand);
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
	/* Thread 0 ends, in most cases because the arena is full, and stops the other threads. */
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

/* Runs contexts_job() once, and waits until all interrupts of this round have ended. */
static void contexts_round(struct contexts *c, struct arena_crew *crew)
{
	arena_irq_source_start(&c->source, arena_irq_cpu(), contexts_hardirq, c);
	arena_crew_go(crew, contexts_job, 1000);
	arena_crew_wait(crew);
	arena_irq_source_stop(&c->source);
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

/* Clauses 1, 2: objects of task, soft interrupts and hard interrupts do not overlap. */
static void alloc_task_softirq_hardirq_no_overlap(struct kunit *test)
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

	/* Each context must have allocated, and an interrupt must have hit arena_alloc(). */
	KUNIT_EXPECT_GT(test, hard, 0);
	KUNIT_EXPECT_GT(test, soft, 0);
	if (num_online_cpus() > 1)
		KUNIT_EXPECT_GT(test, c->hits, 0);
	/* Clause 2: the allocations have used committed memory only. */
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.page_allocs, was.page_allocs);
	KUNIT_EXPECT_EQ(test, s.fail_memory, was.fail_memory);
}

/*
 * Thread 0 allocates small objects of one size and writes only one word to each, so it is inside
 * the allocator nearly all the time. Interrupts that allocate come at random times: over many
 * rounds, they come at nearly every instruction of the allocator.
 */
#define HIT_SIZE	16
#define HIT_CAPACITY	((size_t)SZ_1M)
#define HIT_OBJECTS	(HIT_CAPACITY / HIT_SIZE)

struct hit {
	struct arena		*arena;
	struct arena_irq_source	source;
	u64			**object;
	u64			**irq_object;
	size_t			nr;
	size_t			irq_nr;
	unsigned long		irqs;
};

/* The highest bit of the word in an object says that an interrupt allocated the object. */
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
		arena_irq_source_pester(&hit->source, hand);
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

/* Clauses 1, 2: when interrupts allocate in the middle of an allocation, no objects overlap. */
static void alloc_interrupted_by_alloc_no_overlap(struct kunit *test)
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
		arena_irq_source_start(&hit->source, arena_irq_cpu(), hit_hardirq, hit);
		arena_crew_go(crew, hit_job, 10000);
		arena_crew_wait(crew);
		arena_irq_source_stop(&hit->source);
		KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
		hit_check(test, hit);
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
	} while (time_before(jiffies, until) || (hit->irqs < 100 && arena_patient(&patience)));
	KUNIT_EXPECT_GE(test, hit->irqs, 100);
}

static struct kunit_case arena_interrupt_cases[] = {
	KUNIT_CASE_PARAM(alloc_task_softirq_hardirq_no_overlap, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_interrupted_by_alloc_no_overlap, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_interrupt_suite = {
	.name = "arena_interrupt",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_interrupt_cases,
};

kunit_test_suite(arena_interrupt_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: allocation in interrupts");
MODULE_LICENSE("GPL");
