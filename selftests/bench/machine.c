// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what the basic operations of allocators cost on this machine. On User-Mode Linux,
 * switching interrupts off is slow because it makes a system call, so an allocator that does it
 * looks worse there than elsewhere.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>

#include "bench.h"

#define STEPS	1000	/* operations in a round */

static DEFINE_RAW_SPINLOCK(lock);
static DEFINE_PER_CPU(unsigned long, word);
static atomic_long_t shared = ATOMIC_LONG_INIT(0);

static void step_nothing(void)
{
	barrier();
}

static void step_preempt(void)
{
	preempt_disable();
	barrier();
	preempt_enable();
}

static void step_irq(void)
{
	unsigned long flags;

	local_irq_save(flags);
	barrier();
	local_irq_restore(flags);
}

static void step_lock(void)
{
	raw_spin_lock(&lock);
	raw_spin_unlock(&lock);
}

static void step_lock_irq(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	raw_spin_unlock_irqrestore(&lock, flags);
}

static void step_cmpxchg(void)
{
	long old = atomic_long_read(&shared);

	atomic_long_try_cmpxchg(&shared, &old, old + 1);
}

static void step_barrier(void)
{
	smp_mb();	/* pairs with nothing: only its cost is measured */
}

static void step_per_cpu(void)
{
	this_cpu_inc(word);
}

static const struct {
	const char	*name;
	void		(*step)(void);
} steps[] = {
	{ "nothing", step_nothing },
	{ "preempt_off_on", step_preempt },
	{ "irq_save_restore", step_irq },
	{ "lock_unlock", step_lock },
	{ "lock_irqsave", step_lock_irq },
	{ "cmpxchg", step_cmpxchg },
	{ "smp_mb", step_barrier },
	{ "this_cpu_inc", step_per_cpu },
};

static u64 one_round(void (*step)(void))
{
	u64 start = bench_ticks();
	int i;

	for (i = 0; i < STEPS; i++)
		step();
	return bench_ticks() - start;
}

/* Each result includes the loop and the indirect call; the line "nothing" is their cost. */
int bench_machine(void)
{
	struct bench_series *series = kcalloc(ARRAY_SIZE(steps), sizeof(*series), GFP_KERNEL);
	unsigned int round, i;

	if (!series)
		return -ENOMEM;
	for (round = 0; round < bench_rounds; round++) {
		for (i = 0; i < ARRAY_SIZE(steps); i++)
			bench_note(&series[i], one_round(steps[i].step), STEPS);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct bench_label label = { "machine", steps[i].name, 1, STEPS, 0 };

		bench_print(&label, &series[i]);
	}
	kfree(series);
	return 0;
}
