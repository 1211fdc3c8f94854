// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the memory that an arena takes in addition to its slabs, and compares ten thousand small
 * arenas with ten thousand groups of objects from other allocators.
 *
 * The benchmark counts all pages that the page allocator gives out while the arenas are made. So
 * the result includes structs, per-CPU memory of every possible CPU, directories, page tables and
 * debugfs. The benchmark makes many arenas, so that partly used pages do not matter.
 */
#include <linux/delay.h>
#include <linux/rcupdate.h>

#include "bench.h"

#define MANY		10000
#define MANY_OBJECTS	10
#define FIXED		1000
#define FIXED_PAGES	(SZ_512M / PAGE_SIZE)	/* a sample of this size is exact enough */

/**
 * struct herd - arenas of one kind.
 * @config:  the properties of each arena.
 * @objects: number of objects to allocate from each arena, 0 or 1.
 * @arenas:  array of arenas, with room for twice %FIXED of them.
 * @nr:	     number of arenas made so far.
 */
struct herd {
	struct arena_config	config;
	unsigned int		objects;
	struct arena		**arenas;
	unsigned int		nr;
};

/* Waits until RCU callbacks have freed their memory, and then counts the pages. */
static int count_quiet_pages(struct bench_pages *pages)
{
	rcu_barrier();
	msleep(20);
	return bench_count_pages(pages);
}

static s64 pages_between(const struct bench_pages *before, const struct bench_pages *after)
{
	return (after->taken - before->taken) - (after->freed - before->freed);
}

/* Makes FIXED arenas, or fewer if these have taken more than FIXED_PAGES. */
static int make_arenas(struct herd *herd)
{
	struct bench_pages before, now;
	unsigned int end = herd->nr + FIXED;
	int err = bench_count_pages(&before);

	while (herd->nr < end && !err) {
		struct arena *arena = arena_create(&herd->config);

		if (IS_ERR(arena))
			return PTR_ERR(arena);
		herd->arenas[herd->nr++] = arena;
		if (herd->objects && !arena_alloc(arena, BENCH_SIZE, GFP_KERNEL))
			return -ENOMEM;
		err = bench_count_pages(&now);
		if (pages_between(&before, &now) > FIXED_PAGES)
			break;
		cond_resched();
	}
	return err;
}

/* Returns the bytes of all slabs of the arenas from number @first on; slabs are no overhead. */
static u64 slab_bytes(const struct herd *herd, unsigned int first)
{
	struct arena_stats stats;
	unsigned int i;
	u64 bytes = 0;

	for (i = first; i < herd->nr; i++) {
		arena_stats(herd->arenas[i], &stats);
		bytes += stats.committed;
	}
	return bytes;
}

/*
 * Sets *@bytes to the memory that an arena takes in addition to its slabs, in hundredths of a byte.
 * Measures only the second half of the arenas: the first half takes memory from pages that were
 * partly used before.
 */
static int measure_herd(struct herd *herd, s64 *bytes)
{
	struct bench_pages before, after;
	unsigned int first;
	int err = make_arenas(herd) ?: count_quiet_pages(&before);

	if (err)
		return err;
	first = herd->nr;
	err = make_arenas(herd) ?: count_quiet_pages(&after);
	if (err)
		return err;
	*bytes = pages_between(&before, &after) * PAGE_SIZE - slab_bytes(herd, first);
	*bytes = div64_s64(max(*bytes, 0LL) * 100, herd->nr - first);
	return 0;
}

/* Prints the bytes that an arena with @n objects takes in addition to its slabs. */
static int fixed(const char *name, const struct arena_config *config, unsigned int n)
{
	struct bench_label label = { "fixed", name, 1, n, config->capacity };
	struct herd herd = { .config = *config, .objects = n };
	s64 bytes;
	int err = -ENOMEM;

	herd.arenas = kvcalloc(2 * FIXED, sizeof(*herd.arenas), GFP_KERNEL);
	if (herd.arenas)
		err = measure_herd(&herd, &bytes);
	if (!err)
		bench_print_value(&label, bytes, "bytes");
	while (herd.nr)
		arena_destroy(herd.arenas[--herd.nr]);
	kvfree(herd.arenas);
	return err;
}

static int fixed_kinds(size_t capacity)
{
	struct arena_config dense = { .name = "fixed", .capacity = capacity };
	struct arena_config spans = dense;

	spans.flags = ARENA_SPANS;
	return fixed("arena_dense", &dense, 0) ?: fixed("arena_dense", &dense, 1) ?:
	       fixed("arena_spans", &spans, 0) ?: fixed("arena_spans", &spans, 1);
}

/**
 * struct crowd - many contexts of one rival.
 * @rival: the allocator.
 * @ctx:   %MANY contexts. If the rival is an arena, each has one of its own; otherwise all share
 *	   one allocator.
 * @made:  number of contexts that are set up.
 */
struct crowd {
	const struct rival	*rival;
	struct bench_ctx	*ctx;
	unsigned int		made;
};

static int crowd_create(struct crowd *crowd)
{
	const struct rival *rival = crowd->rival;
	bool shared = !(rival->ops->traits & (RIVAL_ARENA | RIVAL_PRIVATE));
	unsigned int i;
	int err = 0;

	for (i = 0; i < MANY && !err; i++) {
		struct bench_ctx *ctx = &crowd->ctx[i];

		ctx->lent = shared && i;
		err = rival->ops->setup(ctx, ctx->lent ? crowd->ctx : NULL);
		if (err)
			break;
		crowd->made++;
		err = rival->fill(ctx);
		cond_resched();
	}
	return err;
}

/* Destroys the first context last, because other contexts may use its allocator. */
static void crowd_destroy(struct crowd *crowd)
{
	const struct rival *rival = crowd->rival;
	bool arena = rival->ops->traits & RIVAL_ARENA;

	while (crowd->made) {
		struct bench_ctx *ctx = &crowd->ctx[--crowd->made];

		if (!arena)
			rival->drain(ctx);
		rival->ops->teardown(ctx);
		cond_resched();
	}
}

static void print_crowd(const struct rival *rival, s64 bytes, u64 create, u64 destroy)
{
	struct bench_label label = {
		"many_memory", rival->name, 1, MANY, MANY_OBJECTS * BENCH_SIZE,
	};

	/* The struct of a private arena is part of struct bench_ctx, which was not counted. */
	if ((rival->ops->traits & RIVAL_ARENA) && (rival->ops->traits & RIVAL_PRIVATE))
		bytes += MANY * sizeof(struct arena_private);
	bench_print_value(&label, div64_s64(max(bytes, 0LL) * 100, MANY), "bytes");
	label.bench = "many_create";
	bench_print_value(&label, bench_cost(create, MANY), NULL);
	label.bench = "many_destroy";
	bench_print_value(&label, bench_cost(destroy, MANY), NULL);
}

static int run_crowd(struct crowd *crowd)
{
	struct bench_pages before, after;
	u64 start, create, destroy;
	int err = count_quiet_pages(&before);

	start = bench_ticks();
	err = err ?: crowd_create(crowd);
	create = bench_ticks() - start;
	err = err ?: count_quiet_pages(&after);
	start = bench_ticks();
	crowd_destroy(crowd);
	destroy = bench_ticks() - start;
	if (!err)
		print_crowd(crowd->rival, pages_between(&before, &after) * PAGE_SIZE, create,
			    destroy);
	return err;
}

static int one_crowd(const struct rival *rival)
{
	struct crowd crowd = { .rival = rival };
	void **objs = kvcalloc(MANY * MANY_OBJECTS, sizeof(*objs), GFP_KERNEL);
	unsigned int i;
	int err = -ENOMEM;

	crowd.ctx = kvcalloc(MANY, sizeof(*crowd.ctx), GFP_KERNEL);
	if (!objs || !crowd.ctx)
		goto free;
	for (i = 0; i < MANY; i++) {
		struct bench_ctx *ctx = &crowd.ctx[i];

		ctx->n = MANY_OBJECTS;
		ctx->size = BENCH_SIZE;
		ctx->largest = BENCH_SIZE;
		ctx->bytes = SZ_64K;
		ctx->objs = objs + i * MANY_OBJECTS;
	}
	err = run_crowd(&crowd);
free:
	kvfree(crowd.ctx);
	kvfree(objs);
	return err;
}

int bench_many(void)
{
	static const size_t capacities[] = { SZ_64K, SZ_1M, SZ_64M, 512ULL * SZ_1G };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(capacities) && !err; i++)
		err = fixed_kinds(min(capacities[i], arena_capacity_max()));
	for (i = 0; i < bench_nr_rivals && !err; i++)
		if (bench_rivals[i]->ops->traits & RIVAL_LARGE)
			err = one_crowd(bench_rivals[i]);
	return err;
}
