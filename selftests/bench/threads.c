// SPDX-License-Identifier: GPL-2.0
/*
 * Measures several threads at once, each on a CPU of its own: "threads_one" with one allocator for
 * all threads, "threads_own" with an allocator for each thread.
 *
 * The time of a round is from the start of the first thread to the end of the last one. If a rival
 * frees all objects at once, one thread frees them between rounds; with other rivals, each thread
 * frees its objects within the round, batch by batch.
 *
 * For each rival, threads_one is measured right after threads_own. "threads_ratio" is the median
 * over all such pairs: the throughput with one allocator in percent of that with several. If the
 * host is busy for a while, that spoils some of the pairs, but not the median.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/sched.h>

#include "bench.h"

#define MOST		16	/* the largest number of threads */
#define BATCHES		4	/* batches that each thread allocates in one round */
#define ROUNDS		8	/* rounds that measure() runs one after the other */
/* A rival that takes more hundredths of a ns for an object than this runs only ROUNDS rounds. */
#define SLOW		100000

struct worker;

/**
 * struct team - threads that measure together.
 * @rival:   the allocator.
 * @nr:	     number of threads.
 * @arrived: how often threads have come to a barrier, all of them together; never reset.
 * @err:     the first error.
 * @left:    number of threads that have not ended.
 * @done:    completed when all threads have ended.
 * @series:  the results.
 * @workers: the threads.
 */
struct team {
	const struct rival	*rival;
	unsigned int		nr;
	atomic_t		arrived;
	int			err;
	atomic_t		left;
	struct completion	done;
	struct bench_series	*series;
	struct worker		*workers;
};

struct worker {
	struct team		*team;
	unsigned int		index;
	unsigned int		passed;
	struct bench_ctx	ctx;
	u64			start;
	u64			end;
} ____cacheline_aligned;

/* Waits until all threads have called this as often as @worker, which @worker->passed counts. */
static void barrier_wait(struct worker *worker)
{
	struct team *team = worker->team;
	int goal = ++worker->passed * team->nr;

	atomic_inc(&team->arrived);
	while (atomic_read_acquire(&team->arrived) < goal)
		cpu_relax();
}

static bool resets(const struct team *team)
{
	return team->rival->ops->traits & RIVAL_RESETS;
}

static int work(struct worker *worker)
{
	const struct rival *rival = worker->team->rival;
	int i, err = 0;

	for (i = 0; i < BATCHES && !err; i++) {
		err = rival->fill(&worker->ctx);
		if (!err && !resets(worker->team))
			rival->drain(&worker->ctx);
	}
	return err;
}

static u64 wall_time(const struct team *team)
{
	u64 start = team->workers[0].start, end = team->workers[0].end;
	unsigned int i;

	for (i = 1; i < team->nr; i++) {
		start = min(start, team->workers[i].start);
		end = max(end, team->workers[i].end);
	}
	return end - start;
}

static void one_round(struct worker *worker, bool warm_up)
{
	struct team *team = worker->team;
	int err;

	barrier_wait(worker);
	worker->start = bench_ticks();
	err = work(worker);
	worker->end = bench_ticks();
	if (err)
		WRITE_ONCE(team->err, err);
	barrier_wait(worker);
	if (resets(team) && !worker->ctx.lent)
		team->rival->drain(&worker->ctx);
	if (!worker->index && !warm_up)
		bench_note(team->series, wall_time(team), BATCHES * worker->ctx.n);
}

static int thread(void *data)
{
	struct worker *worker = data;
	int i;

	for (i = 0; i <= ROUNDS; i++)
		one_round(worker, !i);
	/* Only the last thread calls complete(), after which run_team() frees the workers. */
	if (atomic_dec_and_test(&worker->team->left))
		complete(&worker->team->done);
	return 0;
}

static int start(struct team *team)
{
	struct task_struct *tasks[MOST] = { };
	unsigned int i, cpu = cpumask_first(cpu_online_mask);
	int err = 0;

	for (i = 0; i < team->nr && !err; i++) {
		tasks[i] = kthread_create_on_cpu(thread, &team->workers[i], cpu, "arena_bench/%u");
		err = PTR_ERR_OR_ZERO(tasks[i]);
		cpu = cpumask_next(cpu, cpu_online_mask);
	}
	for (i = 0; i < team->nr && !IS_ERR_OR_NULL(tasks[i]); i++) {
		if (err)
			kthread_stop(tasks[i]);
		else
			wake_up_process(tasks[i]);
	}
	return err;
}

static int init_workers(struct team *team, bool one)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < team->nr && !err; i++) {
		struct worker *worker = &team->workers[i];

		worker->team = team;
		worker->index = i;
		worker->ctx.n = BENCH_BATCH;
		worker->ctx.size = BENCH_SIZE;
		worker->ctx.largest = BENCH_SIZE;
		/* 1.5 times the bytes of the objects, so that no rival gets full. */
		worker->ctx.bytes = BATCHES * BENCH_BATCH * BENCH_SIZE * 3 / 2;
		if (one)
			worker->ctx.bytes *= team->nr;
		err = bench_ctx_init(&worker->ctx, team->rival,
				     one && i ? &team->workers[0].ctx : NULL);
	}
	return err;
}

static int run_team(struct team *team, bool one)
{
	int i, err = init_workers(team, one);

	init_completion(&team->done);
	atomic_set(&team->left, team->nr);
	if (!err)
		err = start(team);
	if (!err) {
		wait_for_completion(&team->done);
		err = team->err;
	}
	for (i = team->nr - 1; i >= 0; i--)
		bench_ctx_exit(&team->workers[i].ctx, team->rival);
	return err;
}

/* Measures ROUNDS rounds with new threads, and adds them to @series. */
static int measure(const struct rival *rival, unsigned int nr, bool one,
		   struct bench_series *series)
{
	struct team team = { .rival = rival, .nr = nr, .series = series };
	int err;

	team.workers = kvcalloc(nr, sizeof(*team.workers), GFP_KERNEL);
	if (!team.workers)
		return -ENOMEM;
	err = run_team(&team, one);
	kvfree(team.workers);
	return err;
}

/*
 * Returns whether @rival takes part with @nr threads. If @one, all threads share one allocator:
 * that needs at least two threads, and a rival that more than one thread may use. Otherwise each
 * thread has an allocator of its own, and all rivals of this run take part.
 */
static bool takes_part(const struct rival *rival, unsigned int nr, bool one)
{
	if (one)
		return nr > 1 && bench_takes_part(rival, RIVAL_PRIVATE);
	return bench_takes_part(rival, 0);
}

/*
 * @ratio contains the times with an allocator for each thread. Divides each of them by the time
 * with one allocator for all threads; the results are in hundredths of a percent.
 */
static void make_ratios(struct bench_series *ratio, const struct bench_series *one)
{
	unsigned int i;

	ratio->nr = min(ratio->nr, one->nr);
	for (i = 0; i < ratio->nr; i++)
		ratio->value[i] = div64_u64(ratio->value[i] * 10000, one->value[i] ?: 1);
}

static void print_rival(const struct rival *rival, unsigned int nr, struct bench_series *own,
			struct bench_series *one)
{
	struct bench_label label = { "threads_own", rival->name, nr, BENCH_BATCH, BENCH_SIZE };
	static struct bench_series ratio;	/* too large for the stack; main.c has a lock */

	ratio = *own;
	make_ratios(&ratio, one);
	bench_print(&label, own);
	label.bench = "threads_one";
	bench_print(&label, one);
	label.bench = "threads_ratio";
	bench_print_unit(&label, &ratio, "percent");
	own->nr = 0;
	one->nr = 0;
}

static int one_count(struct bench_series *series, unsigned int nr)
{
	unsigned int round, i, one;
	int err = 0;

	for (round = 0; round < DIV_ROUND_UP(bench_rounds, ROUNDS) && !err; round++)
		for (i = 0; i < bench_nr_rivals * 2 && !err; i++) {
			one = i & 1;
			if (series[i].nr && series[i].value[0] > SLOW)
				continue;
			if (takes_part(bench_rivals[i / 2], nr, one))
				err = measure(bench_rivals[i / 2], nr, one, &series[i]);
			cond_resched();
		}
	for (i = 0; i < bench_nr_rivals && !err; i++)
		print_rival(bench_rivals[i], nr, &series[2 * i], &series[2 * i + 1]);
	return err;
}

int bench_threads(void)
{
	struct bench_series *series;
	unsigned int nr;
	int err = 0;

	series = kvcalloc(bench_nr_rivals * 2, sizeof(*series), GFP_KERNEL);
	if (!series)
		return -ENOMEM;
	for (nr = 1; nr <= min_t(unsigned int, num_online_cpus(), MOST) && !err; nr *= 2)
		err = one_count(series, nr);
	kvfree(series);
	return err;
}
