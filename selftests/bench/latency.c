// SPDX-License-Identifier: GPL-2.0
/*
 * Measures how long each single allocation takes, to find the slowest ones.
 *
 * "latency_new" begins with a new allocator, which has to get memory from the page allocator at
 * times. "latency" is a second run, in which the allocator reuses the memory that the first run has
 * freed. All allocations are made with GFP_NOWAIT and interrupts off.
 */
#include <linux/sort.h>

#include "bench.h"

#define SAMPLES		65536

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void print_share(const struct bench_ctx *ctx, const char *rival, const char *bench,
			const char *share, unsigned int index)
{
	char name[32];
	struct bench_label label = { name, rival, 1, ctx->n, BENCH_SIZE };

	snprintf(name, sizeof(name), "%s_%s", bench, share);
	bench_print_value(&label, bench_cost(ctx->ticks[index], 1), NULL);
}

static int sample(const struct rival *rival, struct bench_ctx *ctx, const char *bench)
{
	unsigned int n = ctx->n;
	int err = rival->latency(ctx);

	if (err)
		return err;
	rival->drain(ctx);
	sort(ctx->ticks, n, sizeof(ctx->ticks[0]), compare_u32, NULL);
	print_share(ctx, rival->name, bench, "p50", n / 2);
	print_share(ctx, rival->name, bench, "p99", n - n / 100);
	print_share(ctx, rival->name, bench, "p9999", n - n / 10000);
	print_share(ctx, rival->name, bench, "max", n - 1);
	return 0;
}

static int one_rival(const struct rival *rival, u32 *ticks)
{
	struct bench_ctx ctx = {
		.n	 = SAMPLES,
		.size	 = BENCH_SIZE,
		.largest = BENCH_SIZE,
		.bytes	 = SAMPLES * BENCH_SIZE + SZ_1M,
		.ticks	 = ticks,
	};
	int err = bench_ctx_init(&ctx, rival, NULL);

	if (err)
		return err;
	err = sample(rival, &ctx, "latency_new");
	if (!err)
		err = sample(rival, &ctx, "latency");
	bench_ctx_exit(&ctx, rival);
	return err;
}

/*
 * Returns whether some allocations of @rival can take much longer than others. Allocations of the
 * bump allocators in naive.h cannot, because all of their memory is allocated beforehand.
 */
static bool has_tail(const struct rival *rival)
{
	unsigned int traits = rival->ops->traits;

	return rival->latency && (!(traits & RIVAL_RESETS) || traits & RIVAL_ARENA);
}

int bench_latency(void)
{
	u32 *ticks = kvcalloc(SAMPLES, sizeof(*ticks), GFP_KERNEL);
	unsigned int i;
	int err = ticks ? 0 : -ENOMEM;

	for (i = 0; i < bench_nr_rivals && !err; i++)
		if (has_tail(bench_rivals[i]) && bench_takes_part(bench_rivals[i], 0))
			err = one_rival(bench_rivals[i], ticks);
	kvfree(ticks);
	return err;
}
