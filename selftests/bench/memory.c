// SPDX-License-Identifier: GPL-2.0
/*
 * Measures how many pages allocators take, and how full an arena gets.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "bench.h"

#define STEADY_BATCHES	1000

int bench_count_pages(struct bench_pages *pages)
{
	unsigned long *events = kcalloc(NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);
	int i;

	if (!events)
		return -ENOMEM;
	all_vm_events(events);
	pages->taken = 0;
	for (i = 0; i < MAX_NR_ZONES; i++)
		pages->taken += events[PGALLOC_NORMAL - ZONE_NORMAL + i];
	pages->freed = events[PGFREE];
	kfree(events);
	return 0;
}

static void print_pages(const char *bench, const struct rival *rival, unsigned int n,
			const struct bench_pages *before, const struct bench_pages *after)
{
	struct bench_label label = { bench, rival->name, 1, n, BENCH_SIZE };
	long pages = (after->taken - before->taken) - (after->freed - before->freed);

	/* The difference is negative if other tasks have freed more pages meanwhile. */
	bench_print_value(&label, max(pages, 0L) * PAGE_SIZE * 100, "bytes");
}

/*
 * Makes an allocator and allocates @n objects from it. Prints how many bytes the page allocator has
 * given out: "memory_setup" for the allocator alone, and "memory" with the objects.
 */
static int one_rival(const struct rival *rival, unsigned int n, size_t bytes)
{
	struct bench_ctx ctx = {
		.n	 = n,
		.size	 = BENCH_SIZE,
		.largest = BENCH_SIZE,
		.bytes	 = bytes,
	};
	struct bench_pages before, made, after;
	void **objs;
	int err;

	/* Allocate the array before counting, because it is no memory of the allocator. */
	objs = kvcalloc(n, sizeof(*objs), GFP_KERNEL);
	if (!objs)
		return -ENOMEM;
	ctx.objs = objs;
	err = bench_count_pages(&before) ?: rival->ops->setup(&ctx, NULL);
	if (err)
		goto free;
	err = bench_count_pages(&made) ?: rival->fill(&ctx) ?: bench_count_pages(&after);
	if (!err) {
		print_pages("memory_setup", rival, n, &before, &made);
		print_pages("memory", rival, n, &before, &after);
		rival->drain(&ctx);
	}
	rival->ops->teardown(&ctx);
free:
	kvfree(objs);
	return err;
}

int bench_memory(void)
{
	static const size_t sizes[] = { SZ_64K, SZ_1M, SZ_64M };
	unsigned int i, j;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < bench_nr_rivals && !err; j++)
			if (bench_rivals[j]->ops->traits & RIVAL_LARGE)
				err = one_rival(bench_rivals[j], sizes[i] / BENCH_SIZE, sizes[i]);
	}
	return err;
}

/* Counts the pages that a rival takes for STEADY_BATCHES batches, after two that warm it up. */
static int steady_rival(const struct rival *rival)
{
	struct bench_label label = {
		"steady", rival->name, 1, STEADY_BATCHES * BENCH_BATCH, BENCH_SIZE,
	};
	struct bench_ctx ctx = {
		.n	 = BENCH_BATCH,
		.size	 = BENCH_SIZE,
		.largest = BENCH_SIZE,
		.bytes	 = SZ_1M,
	};
	struct bench_pages before, after;
	int i, err = bench_ctx_init(&ctx, rival, NULL);

	if (err)
		return err;
	for (i = -2; i < STEADY_BATCHES && !err; i++) {
		if (!i)
			err = bench_count_pages(&before);
		err = err ?: rival->fill(&ctx);
		if (!err)
			rival->drain(&ctx);
		cond_resched();
	}
	err = err ?: bench_count_pages(&after);
	if (!err)
		bench_print_value(&label, (after.taken - before.taken) * 100, "pages");
	bench_ctx_exit(&ctx, rival);
	return err;
}

int bench_steady(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < bench_nr_rivals && !err; i++)
		if (bench_rivals[i]->ops->traits & RIVAL_LARGE)
			err = steady_rival(bench_rivals[i]);
	return err;
}

/* The argument of fill_thread(). @left is the number of tasks that have not ended. */
struct filler {
	struct arena		*arena;
	gfp_t			gfp;
	struct completion	*done;
	atomic_t		*left;
};

static int fill_thread(void *data)
{
	struct filler *filler = data;

	while (arena_alloc(filler->arena, BENCH_SIZE, filler->gfp))
		cond_resched();
	if (atomic_dec_and_test(filler->left))
		complete(filler->done);
	return 0;
}

static int fill_by_all(struct filler *filler)
{
	struct task_struct *task;
	int cpu, err = 0;

	cpus_read_lock();
	atomic_set(filler->left, num_online_cpus());
	for_each_online_cpu(cpu) {
		task = kthread_create_on_cpu(fill_thread, filler, cpu, "arena_bench/%u");
		if (!IS_ERR(task)) {
			wake_up_process(task);
			continue;
		}
		err = PTR_ERR(task);
		if (atomic_dec_and_test(filler->left))
			complete(filler->done);
	}
	cpus_read_unlock();
	wait_for_completion(filler->done);
	return err;
}

static int one_full(size_t capacity, unsigned int flags, gfp_t gfp, const char *name)
{
	const struct arena_config config = {
		.name = "full", .capacity = capacity, .flags = flags,
	};
	struct bench_label label = {
		"full", name, num_online_cpus(), capacity / BENCH_SIZE, BENCH_SIZE,
	};
	DECLARE_COMPLETION_ONSTACK(done);
	atomic_t left;
	struct filler filler = { .gfp = gfp, .done = &done, .left = &left };
	struct arena_stats stats;
	int err;

	filler.arena = arena_create(&config);
	if (IS_ERR(filler.arena))
		return PTR_ERR(filler.arena);
	/* Commit all memory, so that GFP_NOWAIT fails only when the space is used up. */
	err = arena_populate(filler.arena, capacity, GFP_KERNEL) ?: fill_by_all(&filler);
	arena_stats(filler.arena, &stats);
	if (!err)
		bench_print_value(&label, (u64)(capacity - stats.used) * 100, "bytes_wasted");
	arena_destroy(filler.arena);
	return err;
}

int bench_full(void)
{
	static const size_t capacities[] = { SZ_64K, SZ_1M, SZ_16M };
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(capacities) && !err; i++) {
		err = one_full(capacities[i], ARENA_SPANS, GFP_KERNEL, "arena_spans") ?:
		      one_full(capacities[i], ARENA_SPANS, GFP_NOWAIT, "arena_spans_nowait") ?:
		      one_full(capacities[i], 0, GFP_KERNEL, "arena_dense");
	}
	return err;
}
