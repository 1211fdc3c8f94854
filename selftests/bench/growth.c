// SPDX-License-Identifier: GPL-2.0
/*
 * Measures how the cost of an arena grows with its capacity, and with the number of possible CPUs:
 * tools/bench.sh boots guests in which one CPU runs and 1, 64 or 240 are possible. In the lines
 * growth_create and growth_release, the column SIZE is the capacity.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/workqueue.h>
#ifdef CONFIG_X86
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/nmi.h>
#endif

#include "bench.h"

#define WARM_UP		2
#define OBJECTS		100
#define NMI_PATIENCE	10000000

static const struct {
	const char	*name;
	unsigned int	flags;
} kinds[] = {
	{ "arena_dense", 0 },
	{ "arena_spans", ARENA_SPANS },
};

/**
 * struct subject - the arena that is measured.
 * @flags:    ARENA_* flags to make it with.
 * @capacity: capacity to make it with, in bytes.
 * @arena:    the arena; make() sets it.
 */
struct subject {
	unsigned int	flags;
	size_t		capacity;
	struct arena	*arena;
};

static int make(struct subject *subject)
{
	const struct arena_config config = {
		.name		= "growth",
		.capacity	= subject->capacity,
		.flags		= subject->flags,
	};

	subject->arena = arena_create(&config);
	return PTR_ERR_OR_ZERO(subject->arena);
}

static int fill(struct arena *arena, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!arena_alloc(arena, BENCH_SIZE, GFP_KERNEL))
			return -ENOMEM;
	return 0;
}

/* Calls @timed many times, and prints one line of results, which begins with @label. */
static int measure(const struct bench_label *label, struct subject *subject,
		   int (*timed)(struct subject *subject, u64 *ticks))
{
	struct bench_series *series = kzalloc(sizeof(*series), GFP_KERNEL);
	unsigned int i;
	u64 ticks;
	int err = series ? 0 : -ENOMEM;

	for (i = 0; i < WARM_UP + bench_rounds && !err; i++) {
		err = timed(subject, &ticks);
		if (!err && i >= WARM_UP)
			bench_note(series, ticks, 1);
		cond_resched();
	}
	if (!err)
		bench_print(label, series);
	kfree(series);
	return err;
}

/*
 * Each timed_*() function does one operation and sets *@ticks to how long that took. The arena was
 * used by this CPU only.
 */
static int timed_reset(struct subject *subject, u64 *ticks)
{
	int err = fill(subject->arena, OBJECTS);
	u64 start = bench_ticks();

	arena_reset(subject->arena);
	*ticks = bench_ticks() - start;
	return err;
}

static int timed_offset(struct subject *subject, u64 *ticks)
{
	u64 start = bench_ticks();
	size_t offset = arena_offset(subject->arena);

	*ticks = bench_ticks() - start;
	return offset ? 0 : -EINVAL;
}

static int timed_stats(struct subject *subject, u64 *ticks)
{
	struct arena_stats stats;
	u64 start = bench_ticks();

	arena_stats(subject->arena, &stats);
	*ticks = bench_ticks() - start;
	return stats.used ? 0 : -EINVAL;
}

static int timed_release(struct subject *subject, u64 *ticks)
{
	int err = fill(subject->arena, 1);
	u64 start = bench_ticks();

	arena_reset_release(subject->arena, 0);
	*ticks = bench_ticks() - start;
	return err;
}

static int used_arena(const char *name, struct subject *subject)
{
	struct bench_label label = { "growth_reset", name, 1, OBJECTS, BENCH_SIZE };
	int err = make(subject);

	if (err)
		return err;
	err = measure(&label, subject, timed_reset) ?: fill(subject->arena, OBJECTS);
	label.bench = "growth_offset";
	err = err ?: measure(&label, subject, timed_offset);
	label.bench = "growth_stats";
	err = err ?: measure(&label, subject, timed_stats);
	arena_destroy(subject->arena);
	return err;
}

static int timed_create(struct subject *subject, u64 *ticks)
{
	u64 start = bench_ticks();
	int err = make(subject);

	if (err)
		return err;
	err = fill(subject->arena, 1);
	arena_destroy(subject->arena);
	*ticks = bench_ticks() - start;
	return err;
}

/*
 * Measures the creation of an arena, and a reset that releases the arena's memory. The capacity is
 * @subject->capacity, or the largest that the module allows if that is less.
 */
static int one_capacity(const char *name, struct subject *subject)
{
	struct bench_label label = { "growth_create", name, 1, 1, subject->capacity };
	int err;

	subject->capacity = min(subject->capacity, arena_capacity_max());
	err = measure(&label, subject, timed_create) ?: make(subject);
	if (err)
		return err;
	label.bench = "growth_release";
	err = measure(&label, subject, timed_release);
	arena_destroy(subject->arena);
	return err;
}

/**
 * struct first - measures the first allocation of a CPU from an arena.
 * @work:   irq_work that makes the allocation in a hard interrupt; unused in other contexts.
 * @arena:  the arena, whose memory another CPU has committed if the machine has one.
 * @ticks:  how long the allocation took.
 * @object: the object that it returned, or NULL.
 * @done:   set by the NMI handler when it has made the allocation.
 */
struct first {
	struct irq_work	work;
	struct arena	*arena;
	u64		ticks;
	void		*object;
	bool		done;
};

static __always_inline void first_alloc(struct first *first, gfp_t gfp)
{
	u64 start = bench_ticks();

	first->object = arena_alloc(first->arena, BENCH_SIZE, gfp);
	first->ticks = bench_ticks() - start;
}

static int first_in_task(struct first *first)
{
	first_alloc(first, GFP_KERNEL);
	return 0;
}

static void first_work(struct irq_work *work)
{
	first_alloc(container_of(work, struct first, work), GFP_ATOMIC);
}

static int first_in_hardirq(struct first *first)
{
	first->work = IRQ_WORK_INIT_HARD(first_work);
	irq_work_queue(&first->work);
	irq_work_sync(&first->work);
	return 0;
}

#ifdef CONFIG_X86
static struct first *in_nmi;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	struct first *first = READ_ONCE(in_nmi);

	if (!first || first->done)
		return NMI_DONE;
	first_alloc(first, ARENA_NOGROW);
	WRITE_ONCE(first->done, true);
	return NMI_HANDLED;
}

/* Sends an NMI to this CPU and waits, with preemption off, until the NMI was served. */
static int first_in_nmi(struct first *first)
{
	unsigned long patience = NMI_PATIENCE;
	int err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "arena_bench");

	if (err)
		return err;
	preempt_disable();
	WRITE_ONCE(in_nmi, first);
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
	while (!READ_ONCE(first->done) && --patience)
		cpu_relax();
	preempt_enable();
	unregister_nmi_handler(NMI_LOCAL, "arena_bench");
	WRITE_ONCE(in_nmi, NULL);
	return first->done ? 0 : -EIO;
}
#endif

static const struct {
	const char	*name;
	int		(*run)(struct first *first);
} contexts[] = {
	{ "first_task", first_in_task },
	{ "first_hardirq", first_in_hardirq },
#ifdef CONFIG_X86
	{ "first_nmi", first_in_nmi },
#endif
};

static long populate(void *arena)
{
	return arena_populate(arena, BENCH_SIZE, GFP_KERNEL);
}

/* Lets another CPU commit the memory, so that this CPU has not used the arena yet. */
static long populate_elsewhere(struct arena *arena)
{
	int cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());

	return cpu < nr_cpu_ids ? work_on_cpu(cpu, populate, arena) : populate(arena);
}

/*
 * Measures the first allocation of this CPU, which must succeed, because the memory is committed.
 */
static int one_first(struct subject *subject, int (*run)(struct first *first), u64 *ticks)
{
	struct first first = { };
	int err = make(subject);

	if (err)
		return err;
	first.arena = subject->arena;
	err = populate_elsewhere(subject->arena) ?: run(&first);
	if (!err && !first.object)
		err = -ENOMEM;
	*ticks = first.ticks;
	arena_destroy(subject->arena);
	return err;
}

static int first_allocations(const char *name, struct subject *subject)
{
	struct bench_series *series = kcalloc(ARRAY_SIZE(contexts), sizeof(*series), GFP_KERNEL);
	unsigned int i, round;
	int err = series ? 0 : -ENOMEM;
	u64 ticks;

	for (round = 0; round < WARM_UP + bench_rounds; round++)
		for (i = 0; i < ARRAY_SIZE(contexts) && !err; i++) {
			err = one_first(subject, contexts[i].run, &ticks);
			if (!err && round >= WARM_UP)
				bench_note(&series[i], ticks, 1);
		}
	for (i = 0; i < ARRAY_SIZE(contexts) && !err; i++) {
		struct bench_label label = { contexts[i].name, name, 1, 1, BENCH_SIZE };

		bench_print(&label, &series[i]);
	}
	kfree(series);
	return err;
}

int bench_growth(void)
{
	static const size_t capacities[] = { SZ_1M, SZ_64M, 64ULL * SZ_1G, 512ULL * SZ_1G };
	struct subject subject;
	int i, j, err = 0;

	for (i = 0; i < ARRAY_SIZE(kinds) && !err; i++) {
		subject = (struct subject){ .flags = kinds[i].flags, .capacity = SZ_1M };
		err = used_arena(kinds[i].name, &subject) ?:
		      first_allocations(kinds[i].name, &subject);
		for (j = 0; j < ARRAY_SIZE(capacities) && !err; j++) {
			subject.capacity = capacities[j];
			err = one_capacity(kinds[i].name, &subject);
		}
	}
	return err;
}
