// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what it costs to free all objects and to allocate them again, for various numbers and
 * sizes of objects, and what it costs to allocate and free a single object of 100 bytes to 1 GB.
 */
#include <linux/mm.h>

#include "bench.h"

/* Limits on the objects and bytes of all rounds of a measurement together. */
#define OBJECTS_IN_ALL	1000000
#define BYTES_IN_ALL	SZ_256M
/* The size of a slab is a multiple of LARGE_OBJECT, so no memory is lost at the end of a slab. */
#define LARGE_OBJECT	SZ_4K

static unsigned int rounds_for(unsigned long n, size_t bytes)
{
	unsigned long rounds = min(OBJECTS_IN_ALL / n, BYTES_IN_ALL / bytes);

	return clamp_t(unsigned long, rounds, 1, bench_rounds);
}

static int measure(const struct rival *rival, struct bench_ctx *ctx, u64 *drain, u64 *both)
{
	u64 start = bench_ticks();
	int err;

	rival->drain(ctx);
	*drain = bench_ticks() - start;
	err = rival->fill_any(ctx);
	*both = bench_ticks() - start;
	return err;
}

static int measure_rival(const struct rival *rival, struct bench_ctx *ctx,
			 struct bench_series *drain, struct bench_series *both)
{
	unsigned int i, rounds = rounds_for(ctx->n, ctx->n * ctx->size);
	u64 ticks_drain, ticks_both;
	int err = rival->fill_any(ctx);

	/* The first round warms up and is not counted. */
	for (i = 0; i <= rounds && !err; i++) {
		err = measure(rival, ctx, &ticks_drain, &ticks_both);
		if (i && !err) {
			bench_note(drain, ticks_drain, 1);
			bench_note(both, ticks_both, 1);
		}
		cond_resched();
	}
	if (!err)
		rival->drain(ctx);
	return err;
}

static int one_rival(const struct rival *rival, struct bench_ctx *ctx)
{
	struct bench_series *series = kcalloc(2, sizeof(*series), GFP_KERNEL);
	struct bench_label label = { "reset", rival->name, 1, ctx->n, ctx->size };
	int err;

	if (!series)
		return -ENOMEM;
	err = bench_ctx_init(ctx, rival, NULL);
	if (!err) {
		err = measure_rival(rival, ctx, &series[0], &series[1]);
		bench_ctx_exit(ctx, rival);
	}
	if (!err) {
		bench_print(&label, &series[0]);
		label.bench = "reset_refill";
		bench_print(&label, &series[1]);
	}
	kfree(series);
	return err;
}

static int one_point(unsigned int n, size_t size)
{
	unsigned int i;
	int err = 0;

	if ((u64)n * size > (u64)bench_max_mb << 20)
		return 0;
	for (i = 0; i < bench_nr_rivals && !err; i++) {
		struct bench_ctx ctx = {
			.n	 = n,
			.size	 = size,
			.largest = size,
			/* More bytes than the objects have, so that no rival gets full. */
			.bytes	 = (size_t)n * size + SZ_1M,
		};

		if (bench_rivals[i]->ops->traits & RIVAL_LARGE)
			err = one_rival(bench_rivals[i], &ctx);
	}
	return err;
}

int bench_reset(void)
{
	static const unsigned int numbers[] = { 10, 100, 1000, 10000, 100000, 1000000 };
	size_t bytes;
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(numbers) && !err; i++)
		err = one_point(numbers[i], BENCH_SIZE);
	for (bytes = SZ_64K; bytes <= SZ_1G && !err; bytes *= 4)
		err = one_point(bytes / LARGE_OBJECT, LARGE_OBJECT);
	if (!err && bench_max_mb << 20 >= SZ_1G)
		err = one_point(SZ_1G / LARGE_OBJECT, LARGE_OBJECT);
	return err;
}

/* How long it takes to allocate one object, and to free it by a reset or by kvfree(). */
struct seed {
	struct bench_series	alloc;
	struct bench_series	reset;
};

static int seed_arena(struct seed *seed, size_t size, unsigned int rounds, unsigned int flags)
{
	const struct arena_config config = {
		.name = "seed", .capacity = size + SZ_2M, .flags = flags,
	};
	struct arena *arena = arena_create(&config);
	unsigned int i;
	int err = 0;

	if (IS_ERR(arena))
		return PTR_ERR(arena);
	for (i = 0; i <= rounds && !err; i++) {
		u64 start = bench_ticks(), middle;

		if (!arena_alloc(arena, size, GFP_KERNEL))
			err = -ENOMEM;
		middle = bench_ticks();
		arena_reset(arena);
		if (i) {
			bench_note(&seed->reset, bench_ticks() - middle, 1);
			bench_note(&seed->alloc, middle - start, 1);
		}
		cond_resched();
	}
	arena_destroy(arena);
	return err;
}

static int seed_kvmalloc(struct seed *seed, size_t size, unsigned int rounds)
{
	unsigned int i;

	for (i = 0; i <= rounds; i++) {
		u64 start = bench_ticks(), middle;
		void *object = kvmalloc(size, GFP_KERNEL);

		middle = bench_ticks();
		if (!object)
			return -ENOMEM;
		kvfree(object);
		if (i) {
			bench_note(&seed->reset, bench_ticks() - middle, 1);
			bench_note(&seed->alloc, middle - start, 1);
		}
		cond_resched();
	}
	return 0;
}

static void print_seed(const char *rival, size_t size, struct seed *seed)
{
	struct bench_label label = { "seed_alloc", rival, 1, 1, size };

	bench_print(&label, &seed->alloc);
	label.bench = "seed_reset";
	bench_print(&label, &seed->reset);
	seed->alloc.nr = 0;
	seed->reset.nr = 0;
}

static int seed_size(struct seed *seed, size_t size)
{
	unsigned int rounds = rounds_for(1, size);
	int err = seed_arena(seed, size, rounds, ARENA_SPANS);

	if (err)
		return err;
	print_seed("arena_spans", size, seed);
	err = seed_arena(seed, size, rounds, 0);
	if (err)
		return err;
	print_seed("arena_dense", size, seed);
	err = seed_kvmalloc(seed, size, rounds);
	if (!err)
		print_seed("kvmalloc", size, seed);
	return err;
}

/* Measures objects of 100 bytes, 1000 bytes and so on, up to 1 GB. */
int bench_seed(void)
{
	struct seed *seed = kzalloc(sizeof(*seed), GFP_KERNEL);
	size_t size;
	int err = 0;

	if (!seed)
		return -ENOMEM;
	for (size = 100; size <= 1000000000 && !err; size *= 10)
		if (size <= (u64)bench_max_mb << 20)
			err = seed_size(seed, size);
	kfree(seed);
	return err;
}
