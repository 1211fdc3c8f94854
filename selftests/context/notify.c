// SPDX-License-Identifier: GPL-2.0
/*
 * The debugfs file arena_context/notify wakes programs that poll() an arena, from a chosen context.
 *
 * A write of "FD CONTEXT NR" calls arena_notify() NR times for the arena behind the
 * writer's descriptor FD: in a "task", in hard interrupts ("irq") of the writer's CPU,
 * or in NMIs ("nmi"), which are sent to all CPUs in turn.
 */
#include <linux/arena_device.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <uapi/linux/arena.h>

#include "context.h"

/**
 * struct notice - the calls of arena_notify() for one write.
 * @dev:   the arena, on which this test has a hold.
 * @work:  irq_work that calls arena_notify().
 * @times: how often arena_notify() was called in the context that the writer named.
 */
struct notice {
	struct arena_dev *dev;
	struct irq_work	work;
	atomic_t	times;
};

static void give(struct notice *notice, bool right)
{
	arena_notify(notice->dev);
	if (right)
		atomic_inc(&notice->times);
}

static void on_work(struct irq_work *work)
{
	give(container_of(work, struct notice, work), in_hardirq());
}

static void on_nmi(struct pt_regs *regs, void *data)
{
	give(data, in_nmi());
}

static void from_task(struct notice *notice, unsigned int nr)
{
	while (nr--)
		give(notice, in_task());
}

static void from_irq(struct notice *notice, unsigned int nr)
{
	notice->work = IRQ_WORK_INIT_HARD(on_work);
	while (nr--) {
		irq_work_queue(&notice->work);
		irq_work_sync(&notice->work);
	}
}

static void from_nmi(struct notice *notice, unsigned int nr)
{
	int cpu = -1;

	if (nmi_open(on_nmi, notice))
		return;
	while (nr--) {
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		if (!nmi_raise(cpu))
			break;
		cond_resched();
	}
	nmi_close();
}

static const struct {
	const char	*name;
	void		(*from)(struct notice *notice, unsigned int nr);
} contexts[] = {
	{ "task", from_task },
	{ "irq", from_irq },
	{ "nmi", from_nmi },
};

/*
 * Returns 0, -EINVAL for an unknown context, the error of arena_get_from_fd(), or -EIO if not all
 * calls ran in the context @name.
 */
int notify_from(int fd, const char *name, unsigned int nr)
{
	struct notice notice = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(contexts) && strcmp(name, contexts[i].name); i++)
		;
	if (i == ARRAY_SIZE(contexts))
		return -EINVAL;
	notice.dev = arena_get_from_fd(fd, ARENA_RIGHT_ALLOC);
	if (IS_ERR(notice.dev))
		return PTR_ERR(notice.dev);
	contexts[i].from(&notice, nr);
	arena_unhold(notice.dev);
	return atomic_read(&notice.times) == nr ? 0 : -EIO;
}
