// SPDX-License-Identifier: GPL-2.0
/*
 * Tests hard interrupts that allocate from the same arena as the task that they interrupt.
 *
 * The handler of a timer sets the timer to fire again after an irregular time, and queues an
 * irq_work, which interrupts the task at the same instruction right after the timer.
 */
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "context.h"

#define CAPACITY	SZ_16M
#define ENTRIES		120000
#define PERIOD_NS	20000
#define RESERVED	2000
#define TIMERS		1500
#define QUOTA		60		/* entries of the log for each time that the timer fires */
#define PATIENCE	20
#define OBJECT		32

/**
 * struct irqs - interrupts on one CPU, and the task that they interrupt.
 * @stage:    the arena to allocate from.
 * @reserved: the interrupts allocate from the reservation of @stage, and the task does so at times.
 * @timer:    raises hard interrupts at irregular times.
 * @work:     irq_work that the handler of @timer queues.
 * @seed:     state of the generator of sizes and periods.
 * @shares:   how often the task has allocated from the reservation.
 * @enough:   the timer has fired often enough, so the test may end.
 */
struct irqs {
	struct stage	*stage;
	bool		reserved;
	struct hrtimer	timer;
	struct irq_work	work;
	u32		seed;
	unsigned int	shares;
	bool		enough;
};

static u32 next(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void irq_take(struct irqs *irqs, enum source source, size_t size)
{
	if (source == BY_TIMER ? text_interrupted() : READ_ONCE(irqs->stage->busy))
		atomic_inc(&irqs->stage->inside[source]);
	if (irqs->reserved)
		stage_alloc_reserved(irqs->stage, source, OBJECT);
	else
		stage_alloc(irqs->stage, source, size, ARENA_NOGROW);
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	struct irqs *irqs = container_of(timer, struct irqs, timer);

	irq_take(irqs, BY_TIMER, 1 + next(&irqs->seed) % 200);
	irq_work_queue(&irqs->work);
	hrtimer_forward_now(timer, ns_to_ktime(PERIOD_NS + next(&irqs->seed) % PERIOD_NS));
	return HRTIMER_RESTART;
}

static void on_irq_work(struct irq_work *work)
{
	struct irqs *irqs = container_of(work, struct irqs, work);

	irq_take(irqs, BY_IRQ_WORK, 8);
}

/*
 * Allocates in the task, in step with the interrupts. When the task has used its quota, it makes
 * allocations that fail, which must not disturb the allocations of the interrupts.
 */
static void task_take(struct irqs *irqs, unsigned int i)
{
	struct stage *stage = irqs->stage;
	unsigned int timers = atomic_read(&stage->taken[BY_TIMER]) +
			      atomic_read(&stage->spent[BY_TIMER]);

	if (irqs->reserved && irqs->shares < timers) {
		stage_alloc_reserved(stage, BY_TASK, OBJECT);
		irqs->shares++;
	}
	if (atomic_read(&stage->nr) < QUOTA * (1 + timers))
		stage_alloc(stage, BY_TASK, 1 + i % 64, ARENA_NOGROW);
	else
		ignore(arena_alloc(stage->arena, CAPACITY, ARENA_NOGROW));
	irqs->enough = timers >= TIMERS;
}

static long under_irqs(void *data)
{
	struct irqs *irqs = data;
	unsigned long end = jiffies + PATIENCE * HZ;
	unsigned int i;

	context_timer_setup(&irqs->timer, on_timer, HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&irqs->timer, ns_to_ktime(PERIOD_NS), HRTIMER_MODE_REL_PINNED_HARD);
	for (i = 0; !irqs->enough && time_before(jiffies, end); i++) {
		task_take(irqs, i);
		cond_resched();
	}
	hrtimer_cancel(&irqs->timer);
	irq_work_sync(&irqs->work);
	expect(irqs->enough, "not enough interrupts in %d seconds", PATIENCE);
	return 0;
}

static void check(struct stage *stage, bool reserved)
{
	stage_report(stage);
	expect(atomic_read(&stage->inside[BY_TIMER]), "no timer came inside code of the module");
	if (reserved)
		stage_verify_reserve(stage, RESERVED, OBJECT);
	stage_verify(stage, "at the end");
}

static void run(unsigned int flags, bool reserved)
{
	struct stage stage;
	struct irqs irqs = { .stage = &stage, .reserved = reserved, .seed = 7 };

	if (stage_open(&stage, CAPACITY, flags, ENTRIES))
		return;
	init_irq_work(&irqs.work, on_irq_work);
	if (!reserved || !stage_reserve(&stage, RESERVED, OBJECT)) {
		work_on_cpu(cpumask_first(cpu_online_mask), under_irqs, &irqs);
		check(&stage, reserved);
	}
	stage_close(&stage);
}

void test_timer_dense(void)
{
	run(0, false);
}

void test_timer_spans(void)
{
	run(ARENA_SPANS, false);
}

void test_timer_reserved(void)
{
	run(0, true);
}
