/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What suites about contexts share: functions called in hard interrupts, and
 * warnings that are provoked on purpose.
 */
#ifndef _ARENA_KUNIT_IRQ_H
#define _ARENA_KUNIT_IRQ_H

#include <linux/irq_work.h>
#include <linux/smp.h>

#include "arena_test.h"

struct arena_irq_call {
	struct irq_work	work;
	void		(*fn)(void *data);
	void		*data;
};

static inline void arena_irq_call_fn(struct irq_work *work)
{
	struct arena_irq_call *call = container_of(work, struct arena_irq_call, work);

	call->fn(call->data);
}

/* Call a function once in a hard interrupt of this CPU, and wait for it. */
static inline void arena_in_irq(void (*fn)(void *data), void *data)
{
	struct arena_irq_call call = {
		.work = IRQ_WORK_INIT_HARD(arena_irq_call_fn),
		.fn = fn,
		.data = data,
	};

	irq_work_queue(&call.work);
	irq_work_sync(&call.work);
}

/*
 * The job of one hand of a crew: interrupt CPU @cpu from another one, at odd
 * times, for as long as the crew is at work; from its own if it is the only one.
 * Returns how often.
 */
static inline unsigned long arena_irq_pester(struct arena_hand *hand, int cpu,
					     void (*fn)(void *data), void *data)
{
	int other = cpumask_any_but(cpu_online_mask, cpu);
	bool alone = other >= nr_cpu_ids;
	unsigned long calls = 0;

	if (set_cpus_allowed_ptr(current, cpumask_of(alone ? cpu : other)))
		return 0;
	while (arena_crew_on(hand->crew)) {
		unsigned int spins = arena_rnd_below(&hand->rnd, 500);

		while (spins--)
			cpu_relax();
		if (alone)
			arena_in_irq(fn, data);
		else
			smp_call_function_single(cpu, fn, data, 1);
		calls++;
		cond_resched();
	}
	return calls;
}

/* The CPU that is interrupted: whoever shall be hit goes there first. */
static inline int arena_irq_cpu(void)
{
	return cpumask_first(cpu_online_mask);
}

/*
 * Misuse of the API warns once a boot, and that is all it does. Newer kernels
 * can count what a task's calls warn of; older ones print it, between lines that
 * say so to those who read the log.
 */
#ifdef kunit_warning_suppress
static inline void *arena_warnings_begin(struct kunit *test)
{
	return kunit_start_suppress_warning(test);
}

/* How many there were, or -1 if this kernel cannot tell. */
static inline int arena_warnings_end(struct kunit *test, void *warnings)
{
	int nr = kunit_suppressed_warning_count(warnings);

	kunit_end_suppress_warning(test, warnings);
	return nr;
}
#else
static inline void *arena_warnings_begin(struct kunit *test)
{
	pr_info("arena-test: expect splat\n");
	return NULL;
}

static inline int arena_warnings_end(struct kunit *test, void *warnings)
{
	pr_info("arena-test: end of splat\n");
	return -1;
}
#endif

#endif /* _ARENA_KUNIT_IRQ_H */
