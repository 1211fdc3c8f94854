// SPDX-License-Identifier: GPL-2.0
/*
 * Tests CPUs that go offline and come back while they have spans. A span is a part of the arena
 * from which one CPU allocates alone.
 *
 * Two tasks, which may run on any CPU, fill an arena with objects of one size while user space
 * takes a CPU offline and online again. At the end of each round the arena must contain as many
 * objects as fit. So the tasks must also use up the span of a CPU that has gone offline (clause
 * 16).
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "context.h"

#define CAPACITY	SZ_1M
#define OBJECT		64
#define OBJECTS		(CAPACITY / OBJECT)
#define SECONDS		8
#define FILLERS		2
#define SOME		17

/**
 * struct filler - a task that allocates until the arena is full.
 * @stage: the arena to allocate from.
 * @done:  completed when the arena is full.
 */
struct filler {
	struct stage		*stage;
	struct completion	done;
};

static int fill(void *data)
{
	struct filler *filler = data;

	while (stage_alloc(filler->stage, BY_TASK, OBJECT, GFP_KERNEL))
		cond_resched();
	/* Do not return: after the completion, this code may be unloaded at any time. */
	kthread_complete_and_exit(&filler->done, 0);
}

/* Starts FILLERS tasks that fill the arena; returns false if a task could not be started. */
static bool fill_up(struct stage *stage)
{
	struct filler fillers[FILLERS];
	struct task_struct *task;
	int started, i;

	for (started = 0; started < FILLERS; started++) {
		fillers[started].stage = stage;
		init_completion(&fillers[started].done);
		task = kthread_run(fill, &fillers[started], "arena_fill%d", started);
		if (IS_ERR(task))
			break;
	}
	for (i = 0; i < started; i++)
		wait_for_completion(&fillers[i].done);
	return expect(started == FILLERS, "no thread");
}

static void check_round(struct stage *stage, unsigned int before)
{
	unsigned int made = atomic_read(&stage->allocs) - before;

	expect(made == OBJECTS, "%u objects of %u were to be had", made, (unsigned int)OBJECTS);
	stage_verify(stage, "when it was full");
}

static long take_some(void *data)
{
	struct stage *stage = data;
	int i;

	/* Allocate less than a span, so that a part of the span stays unused. */
	for (i = 0; i < SOME; i++)
		stage_alloc(stage, BY_TASK, OBJECT, GFP_KERNEL);
	return 0;
}

/*
 * Takes @cpu offline while it has a span. Expects that other CPUs get the tail of the span, and
 * that the arena still counts the allocations of @cpu.
 */
static void run_gone(struct stage *stage, unsigned int cpu)
{
	unsigned int before = atomic_read(&stage->allocs);

	work_on_cpu(cpu, take_some, stage);
	if (!expect(!remove_cpu(cpu), "CPU %u cannot be taken down", cpu))
		return;
	if (fill_up(stage))
		check_round(stage, before);
	expect(!add_cpu(cpu), "CPU %u does not come up again", cpu);
	arena_reset(stage->arena);
	stage_forget(stage);
	before = atomic_read(&stage->allocs);
	work_on_cpu(cpu, take_some, stage);
	if (fill_up(stage))
		check_round(stage, before);
}

void test_gone(void)
{
	struct stage stage;
	unsigned int cpu = cpumask_last(cpu_online_mask);

	if (!expect(cpu, "needs two CPUs") ||
	    stage_open(&stage, CAPACITY, ARENA_SPANS, OBJECTS + FILLERS + 1))
		return;
	run_gone(&stage, cpu);
	note("CPU %u went with the rest of a span, and came back", cpu);
	stage_close(&stage);
}

void test_hotplug(void)
{
	unsigned long end = jiffies + SECONDS * HZ;
	unsigned int rounds = 0, with[2] = {};
	struct stage stage;

	/* Each task ends with a failed allocation, which takes an entry of the log, too. */
	if (stage_open(&stage, CAPACITY, ARENA_SPANS, OBJECTS + FILLERS + 1))
		return;
	while (time_before(jiffies, end) && !failed()) {
		unsigned int before = atomic_read(&stage.allocs);

		with[num_online_cpus() > 1]++;
		if (!fill_up(&stage))
			break;
		check_round(&stage, before);
		arena_reset(stage.arena);
		stage_forget(&stage);
		rounds++;
	}
	note("%u rounds, %u began with one CPU, %u with more", rounds, with[0], with[1]);
	stage_close(&stage);
}
