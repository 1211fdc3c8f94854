// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs that go and come while their spans are in use.
 *
 * Two tasks, free to run where they like, fill an arena by objects of one size
 * while user space takes a CPU down and up again. Each round ends with a full
 * arena: exactly as many objects as fit, also out of the span of a CPU that is
 * not there (clause 16).
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "context.h"

#define CAPACITY	SZ_1M
#define OBJECT		64
#define OBJECTS		(CAPACITY / OBJECT)
#define SECONDS		8
#define FILLERS		2

/**
 * struct filler - a task that allocates until nothing is left.
 * @stage: where.
 * @done:  nothing is.
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
	complete(&filler->done);
	return 0;
}

/* One round. False if it could not be started. */
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

void test_hotplug(void)
{
	unsigned long end = jiffies + SECONDS * HZ;
	unsigned int rounds = 0, with[2] = {};
	struct stage stage;

	/* Room for the ones that fail, too. */
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
