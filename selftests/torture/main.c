// SPDX-License-Identifier: GPL-2.0
/*
 * arena_torture: parameters, callers in each context, counts of calls. The file
 * /sys/kernel/debug/arena_torture shows how often each kind of call was made, and the number of
 * violations. torture.h says what the words mean.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/nmi.h>

#include "../context/compat.h"
#include "torture.h"

#define VIOLATIONS_SHOWN	20
#define PROGRESS_SECONDS	10
#define HARDIRQ_NS		300000

static unsigned long seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Determines the choices of each caller, but not when the callers run");

static unsigned int callers = 2;
module_param(callers, uint, 0444);
MODULE_PARM_DESC(callers, "Kernel threads for each CPU");

unsigned int nr_targets = 6;
module_param_named(targets, nr_targets, uint, 0444);
MODULE_PARM_DESC(targets, "Arenas at a time");

unsigned long capacity_max = SZ_1M;
module_param_named(capacity, capacity_max, ulong, 0444);
MODULE_PARM_DESC(capacity, "The largest capacity of an arena, in bytes");

unsigned int kinds = 2 * ARENA_SHRINK - 1;
module_param(kinds, uint, 0444);
MODULE_PARM_DESC(kinds, "ARENA_* flags that the arenas may have");

/**
 * struct cpu_callers - the interrupts of a CPU, each of which is a caller.
 * @hard:    the handler of @timer.
 * @soft:    the handler of @soft_timer.
 * @queued:  the handler of @work.
 * @nmi:     the NMI handler.
 * @timer:   fires in hard interrupts.
 * @soft_timer: fires in softirqs.
 * @work:    irq_work that the handler of @timer and the NMI handler queue.
 * @expected: an NMI was sent, and the NMI handler has not served it yet.
 */
struct cpu_callers {
	struct caller		hard;
	struct caller		soft;
	struct caller		queued;
	struct caller		nmi;
	struct hrtimer		timer;
	struct timer_list	soft_timer;
	struct irq_work		work;
	bool			expected;
};

/**
 * struct thread - a kernel thread that is a caller.
 * @caller: what chooses its calls.
 * @task:   the thread.
 */
struct thread {
	struct caller		caller;
	struct task_struct	*task;
};

struct target *targets;
DEFINE_PER_CPU(unsigned long [NR_CALLS], torture_counts);

static const char * const call_names[] = {
	TORTURE_CALLS(TORTURE_NAME)
};

static DEFINE_PER_CPU(struct cpu_callers, cpu_callers);
static struct thread *threads;
static unsigned int nr_threads;
static struct task_struct *nmi_task, *progress_task;
static struct dentry *file;
static atomic_t violations;
static int online_state;

bool torture_broken(void)
{
	return atomic_read(&violations);
}

/* Reports a broken promise. From then on, no caller makes calls. */
void violation(const char *name, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (atomic_inc_return(&violations) > VIOLATIONS_SHOWN)
		return;
	va_start(args, fmt);
	vaf.va = &args;
	pr_err("arena_torture: VIOLATION seed %lu arena %s: %pV\n", seed, name, &vaf);
	va_end(args);
}

static unsigned long calls_made(unsigned int call)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		/* Racy with the CPUs that count: statistics only. */
		sum += data_race(per_cpu(torture_counts, cpu)[call]);
	return sum;
}

static int counts_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_printf(m, "violations %d\n", atomic_read(&violations));
	for (i = 0; i < NR_CALLS; i++)
		seq_printf(m, "%s %lu\n", call_names[i], calls_made(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counts);

static int progress(void *unused)
{
	unsigned int seconds = 0, i;
	unsigned long calls;

	while (!kthread_should_stop()) {
		schedule_timeout_interruptible(HZ);
		if (++seconds % PROGRESS_SECONDS)
			continue;
		for (calls = 0, i = 0; i < NR_CONTEXTS; i++)
			calls += calls_made(CALL_in_task + i);
		pr_notice("arena_torture: seed %lu, %u s, %lu calls, %d violations\n", seed,
			  seconds, calls, atomic_read(&violations));
	}
	return 0;
}

static int run_thread(void *data)
{
	struct thread *thread = data;
	unsigned int i;

	for (i = 1; !kthread_should_stop(); i++) {
		call_once(&thread->caller);
		cond_resched();
		/* Let the keepers run. */
		if (i % 128 == 0 || torture_broken())
			usleep_range(100, 1000);
	}
	return 0;
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	struct cpu_callers *cpu = container_of(timer, struct cpu_callers, timer);

	call_once(&cpu->hard);
	irq_work_queue(&cpu->work);
	hrtimer_forward_now(timer, ns_to_ktime(HARDIRQ_NS + below(&cpu->hard, HARDIRQ_NS)));
	return HRTIMER_RESTART;
}

static void on_soft_timer(struct timer_list *timer)
{
	struct cpu_callers *cpu = container_of(timer, struct cpu_callers, soft_timer);
	unsigned int i;

	for (i = 0; i < 4; i++)
		call_once(&cpu->soft);
	mod_timer(timer, jiffies + 1);
}

static void on_irq_work(struct irq_work *work)
{
	call_once(&container_of(work, struct cpu_callers, work)->queued);
}

/* Leaves NMIs from other sources to their own handlers. */
static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	struct cpu_callers *cpu = this_cpu_ptr(&cpu_callers);

	if (!READ_ONCE(cpu->expected))
		return NMI_DONE;
	call_once(&cpu->nmi);
	irq_work_queue(&cpu->work);
	WRITE_ONCE(cpu->expected, false);
	return NMI_HANDLED;
}

/* Sends NMIs to all CPUs in turn, and waits for each before it sends the next. */
static int send_nmis(void *unused)
{
	int cpu = 0;

	while (!kthread_should_stop()) {
		cpus_read_lock();
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		WRITE_ONCE(per_cpu(cpu_callers, cpu).expected, true);
		apic->send_IPI(cpu, NMI_VECTOR);
		while (READ_ONCE(per_cpu(cpu_callers, cpu).expected))
			usleep_range(20, 100);
		cpus_read_unlock();
		usleep_range(100, 600);
	}
	return 0;
}

/* Runs on a CPU that has come online. */
static int cpu_up_callers(unsigned int nr)
{
	struct cpu_callers *cpu = this_cpu_ptr(&cpu_callers);

	/* Not HARD: an arena that grows takes locks that sleep on PREEMPT_RT. */
	context_timer_setup(&cpu->timer, on_timer, HRTIMER_MODE_REL_PINNED);
	hrtimer_start(&cpu->timer, ns_to_ktime(HARDIRQ_NS), HRTIMER_MODE_REL_PINNED);
	cpu->soft_timer.expires = jiffies + 1;
	add_timer_on(&cpu->soft_timer, nr);
	return 0;
}

/* Runs on a CPU that is to go offline. */
static int cpu_down_callers(unsigned int nr)
{
	struct cpu_callers *cpu = this_cpu_ptr(&cpu_callers);

	hrtimer_cancel(&cpu->timer);
	timer_delete_sync(&cpu->soft_timer);
	irq_work_sync(&cpu->work);
	return 0;
}

static void seed_all(void)
{
	u64 next = (u64)seed << 20;
	int nr;

	for_each_possible_cpu(nr) {
		struct cpu_callers *cpu = per_cpu_ptr(&cpu_callers, nr);

		seed_caller(&cpu->hard, IN_HARDIRQ, next++);
		seed_caller(&cpu->soft, IN_SOFTIRQ, next++);
		seed_caller(&cpu->queued, IN_IRQ_WORK, next++);
		seed_caller(&cpu->nmi, IN_NMI, next++);
		timer_setup(&cpu->soft_timer, on_soft_timer, TIMER_PINNED);
		init_irq_work(&cpu->work, on_irq_work);
	}
	for (nr = 0; nr < nr_threads; nr++)
		seed_caller(&threads[nr].caller, IN_TASK, next++);
}

static struct task_struct *start(int (*fn)(void *data), void *data, const char *name)
{
	struct task_struct *task = kthread_run(fn, data, "torture_%s", name);

	return IS_ERR(task) ? NULL : task;
}

static void stop(struct task_struct *task)
{
	if (task)
		kthread_stop(task);
}

static void close_all(void)
{
	unsigned int i;

	debugfs_remove(file);
	stop(progress_task);
	if (nmi_task) {
		stop(nmi_task);
		unregister_nmi_handler(NMI_LOCAL, "arena_torture");
	}
	if (online_state > 0)
		cpuhp_remove_state(online_state);
	for (i = 0; threads && i < nr_threads; i++)
		stop(threads[i].task);
	typed_close();
	for (i = 0; targets && i < nr_targets; i++)
		target_close(&targets[i]);
	kvfree(targets);
	kfree(threads);
	if (torture_broken())
		pr_err("arena_torture: seed %lu: %d violations\n", seed, atomic_read(&violations));
}

static int open_targets(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr_targets && !err; i++)
		err = target_open(&targets[i], i, seed * 1000 + i);
	return err ?: typed_open(seed * 1000 + i);
}

static int start_callers(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < nr_threads; i++) {
		threads[i].task = start(run_thread, &threads[i], "call");
		if (!threads[i].task)
			return -ENOMEM;
	}
	online_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "arena:torture", cpu_up_callers,
					 cpu_down_callers);
	if (online_state < 0)
		return online_state;
	err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "arena_torture");
	if (err)
		return err;
	nmi_task = start(send_nmis, NULL, "nmi");
	if (!nmi_task) {
		unregister_nmi_handler(NMI_LOCAL, "arena_torture");
		return -ENOMEM;
	}
	progress_task = start(progress, NULL, "progress");
	return progress_task ? 0 : -ENOMEM;
}

static int __init torture_init(void)
{
	int err = -ENOMEM;

	if (!nr_targets || capacity_max < PAGE_SIZE)
		return -EINVAL;
	nr_threads = callers * num_online_cpus();
	threads = kcalloc(nr_threads, sizeof(*threads), GFP_KERNEL);
	targets = kvcalloc(nr_targets, sizeof(*targets), GFP_KERNEL);
	if (threads && targets) {
		seed_all();
		err = open_targets();
		err = err ?: start_callers();
	}
	if (err)
		close_all();
	else
		file = debugfs_create_file("arena_torture", 0400, NULL, NULL, &counts_fops);
	return err;
}
module_init(torture_init);

static void __exit torture_exit(void)
{
	close_all();
}
module_exit(torture_exit);

MODULE_DESCRIPTION("All calls of arenas at once");
MODULE_LICENSE("GPL");
