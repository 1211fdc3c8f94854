// SPDX-License-Identifier: GPL-2.0
/*
 * Raises NMIs by interprocessor interrupts: another CPU sends them at any moment, or a CPU sends an
 * NMI to itself at a chosen instruction.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/nmi.h>
#include <asm/ptrace.h>

#include "context.h"

#define CAPACITY	SZ_16M
#define ENTRIES		120000
#define NMIS		4000
#define QUOTA		20		/* entries of the log for each NMI */
#define RESERVED	2000
#define OBJECT		32
#define PATIENCE	10000000

/*
 * True from the moment before nmi_raise() sends an NMI to the CPU until on_nmi() has served the
 * NMI. on_nmi() leaves NMIs from other sources to their own handlers.
 */
static DEFINE_PER_CPU(bool, expected);
static nmi_fn handler;
static void *handler_data;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!this_cpu_read(expected))
		return NMI_DONE;
	handler(regs, handler_data);
	/* Release: pairs with the acquire in nmi_raise(). */
	smp_store_release(this_cpu_ptr(&expected), false);
	return NMI_HANDLED;
}

int nmi_open(nmi_fn fn, void *data)
{
	handler = fn;
	handler_data = data;
	return register_nmi_handler(NMI_LOCAL, on_nmi, 0, "arena_context");
}

void nmi_close(void)
{
	unregister_nmi_handler(NMI_LOCAL, "arena_context");
}

/*
 * Raises an NMI on @cpu and waits until on_nmi() has served it; returns false on a timeout. Must
 * not be called in an NMI.
 */
bool nmi_raise(int cpu)
{
	bool *flag = per_cpu_ptr(&expected, cpu);
	unsigned long patience = PATIENCE;

	WRITE_ONCE(*flag, true);
	apic->send_IPI(cpu, NMI_VECTOR);
	/* Acquire: pairs with the release in on_nmi(). */
	while (smp_load_acquire(flag) && --patience)
		cpu_relax();
	return patience;
}

/**
 * struct storm - one CPU allocates, and another CPU sends NMIs to it.
 * @stage:    the arena to allocate from.
 * @reserved: interrupts allocate from the reservation of @stage, and the task does so at times.
 * @work:     irq_work that the NMI handler queues; runs in an ordinary interrupt after the NMI, at
 *	      the same instruction of the interrupted code.
 * @cpu:      the CPU that allocates.
 * @stop:     the sender has sent all NMIs.
 * @done:     completed when the sender ends.
 * @missed:   number of NMIs that were sent and not served.
 */
struct storm {
	struct stage		*stage;
	bool			reserved;
	struct irq_work		work;
	int			cpu;
	bool			stop;
	struct completion	done;
	unsigned int		missed;
};

static void storm_take(struct storm *storm, enum source source, size_t size)
{
	if (storm->reserved)
		stage_alloc_reserved(storm->stage, source, OBJECT);
	else
		stage_alloc(storm->stage, source, size, ARENA_NOGROW);
}

static void storm_nmi(struct pt_regs *regs, void *data)
{
	struct storm *storm = data;

	if (text_has(regs->ip))
		atomic_inc(&storm->stage->inside[BY_NMI]);
	storm_take(storm, BY_NMI, 24 + regs->ip % 64);
	irq_work_queue(&storm->work);
}

static void storm_work(struct irq_work *work)
{
	struct storm *storm = container_of(work, struct storm, work);

	if (READ_ONCE(storm->stage->busy))
		atomic_inc(&storm->stage->inside[BY_IRQ_WORK]);
	storm_take(storm, BY_IRQ_WORK, 16);
}

static int storm_sender(void *data)
{
	struct storm *storm = data;
	unsigned int i;

	for (i = 0; i < NMIS && !storm->missed; i++) {
		if (!nmi_raise(storm->cpu))
			storm->missed++;
		/* Let the irq_work run before the next NMI. */
		udelay(i % 40);
		cond_resched();
	}
	WRITE_ONCE(storm->stop, true);
	/* Do not return: after the completion, this code may be unloaded at any time. */
	kthread_complete_and_exit(&storm->done, 0);
}

static long storm_receiver(void *data)
{
	struct storm *storm = data;
	struct stage *stage = storm->stage;
	unsigned int i = 0, shares = 0;

	while (!READ_ONCE(storm->stop)) {
		/*
		 * Take one reserved object for each reserved object that an NMI took, so that the
		 * task and the NMIs share the reservation.
		 */
		if (storm->reserved && shares < atomic_read(&stage->taken[BY_NMI])) {
			stage_alloc_reserved(stage, BY_TASK, OBJECT);
			shares++;
		}
		if (atomic_read(&stage->nr) < QUOTA * (1 + atomic_read(&stage->taken[BY_NMI])))
			stage_alloc(stage, BY_TASK, 8 + i % 5 * 24, ARENA_NOGROW);
		else
			/* This allocation fails and must not disturb the interrupts. */
			ignore(arena_alloc(stage->arena, CAPACITY, ARENA_NOGROW));
		i++;
		cond_resched();
	}
	return 0;
}

static bool start_sender(struct storm *storm)
{
	struct task_struct *task;
	int cpu = cpumask_any_but(cpu_online_mask, storm->cpu);

	task = kthread_create(storm_sender, storm, "arena_nmi");
	if (IS_ERR(task)) {
		fail("no thread");
		return false;
	}
	kthread_bind(task, cpu);
	wake_up_process(task);
	return true;
}

static void storm_check(const struct storm *storm)
{
	struct stage *stage = storm->stage;

	stage_report(stage);
	expect(!storm->missed, "an NMI did not come");
	expect(atomic_read(&stage->inside[BY_NMI]), "no NMI came inside an allocation");
	if (storm->reserved)
		stage_verify_reserve(stage, RESERVED, OBJECT);
	stage_verify(stage, "at the end");
}

static void storm_run(struct storm *storm)
{
	init_completion(&storm->done);
	init_irq_work(&storm->work, storm_work);
	storm->cpu = cpumask_first(cpu_online_mask);
	if (!expect(!nmi_open(storm_nmi, storm), "no NMI handler"))
		return;
	if (start_sender(storm)) {
		work_on_cpu(storm->cpu, storm_receiver, storm);
		wait_for_completion(&storm->done);
	}
	nmi_close();
	irq_work_sync(&storm->work);
	storm_check(storm);
}

static void run(unsigned int flags, bool reserved)
{
	struct stage stage;
	struct storm storm = { .stage = &stage, .reserved = reserved };

	if (num_online_cpus() < 2) {
		fail("needs two CPUs");
		return;
	}
	if (stage_open(&stage, CAPACITY, flags, ENTRIES))
		return;
	if (!reserved || !stage_reserve(&stage, RESERVED, OBJECT))
		storm_run(&storm);
	stage_close(&stage);
}

void test_nmi_dense(void)
{
	run(0, false);
}

void test_nmi_spans(void)
{
	run(ARENA_SPANS, false);
}

void test_nmi_reserved(void)
{
	run(0, true);
}
