// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what an object costs on one CPU: in batches of one size or of various sizes, one object
 * at a time, in a hard interrupt, and together with the creation of an arena.
 */
#include <linux/irq_work.h>

#include "bench.h"

#define WARM_UP		2
#define CREATE_OBJECTS	100
#define BULK_SIZE	256	/* bytes in an object */
#define BULK_BATCHES	64	/* batches in a round */
/* Few rounds, because on User-Mode Linux each irq_work waits for the next timer tick. */
#define HARDIRQ_ROUNDS	15

/**
 * struct workload - one benchmark.
 * @name:    the name of the benchmark in the results.
 * @n:	     number of objects.
 * @size:    bytes in an object, or 0 for various sizes.
 * @largest: bytes in the largest object.
 * @bytes:   capacity of arenas, pools and bump allocators.
 * @per:     number by which the time is divided, usually @n.
 * @without: RIVAL_* traits that exclude a rival.
 * @rounds:  the most rounds, or 0 for bench_rounds.
 * @timed:   runs the benchmark once; returns -EOPNOTSUPP if @rival cannot run it.
 */
struct workload {
	const char	*name;
	unsigned int	n;
	size_t		size;
	size_t		largest;
	size_t		bytes;
	unsigned int	per;
	unsigned int	without;
	unsigned int	rounds;
	int		(*timed)(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks);
};

struct entrant {
	struct bench_ctx	ctx;
	struct bench_series	series;
	bool			in;
};

static int enter(struct entrant *entrant, const struct rival *rival, const struct workload *work)
{
	struct bench_ctx *ctx = &entrant->ctx;
	int err;

	if (!bench_takes_part(rival, work->without))
		return 0;
	ctx->n = work->n;
	ctx->size = work->size;
	ctx->largest = work->largest;
	ctx->bytes = work->bytes;
	err = bench_ctx_init(ctx, rival, NULL);
	entrant->in = !err;
	return err;
}

static int one_round(struct entrant *entrants, const struct workload *work, bool warm_up)
{
	unsigned int i;

	for (i = 0; i < bench_nr_rivals; i++) {
		struct entrant *entrant = &entrants[i];
		u64 ticks;
		int err;

		if (!entrant->in)
			continue;
		err = work->timed(bench_rivals[i], &entrant->ctx, &ticks) ?:
		      work->timed(bench_rivals[i], &entrant->ctx, &ticks);
		if (err == -EOPNOTSUPP)
			entrant->in = false;
		else if (err)
			return err;
		else if (!warm_up)
			bench_note(&entrant->series, ticks, work->per);
	}
	return 0;
}

/*
 * Each round runs all rivals in turn, so that a disturbance of the machine affects all of them. A
 * rival runs twice in a row and the second run counts, so that it does not pay for the state in
 * which the rival before it has left the CPU caches.
 */
static int compare(const struct workload *work)
{
	struct entrant *entrants = kvcalloc(bench_nr_rivals, sizeof(*entrants), GFP_KERNEL);
	unsigned int i, rounds = min_not_zero(work->rounds, bench_rounds);
	int err = 0;

	if (!entrants)
		return -ENOMEM;
	for (i = 0; i < bench_nr_rivals && !err; i++)
		err = enter(&entrants[i], bench_rivals[i], work);
	for (i = 0; i < WARM_UP + rounds && !err; i++) {
		err = one_round(entrants, work, i < WARM_UP);
		cond_resched();
	}
	for (i = 0; i < bench_nr_rivals; i++) {
		struct bench_label label = {
			work->name, bench_rivals[i]->name, 1, work->n, work->size,
		};

		if (!err)
			bench_print(&label, &entrants[i].series);
		bench_ctx_exit(&entrants[i].ctx, bench_rivals[i]);
	}
	kvfree(entrants);
	return err;
}

/* Allocates a batch of objects, then frees all of them. */
static int timed_batch(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	u64 start = bench_ticks();
	int err = rival->fill(ctx);

	if (err)
		return err;
	rival->drain(ctx);
	*ticks = bench_ticks() - start;
	return 0;
}

int bench_batch(void)
{
	const struct workload work = {
		.name		= "batch",
		.n		= BENCH_BATCH,
		.size		= BENCH_SIZE,
		.largest	= BENCH_SIZE,
		.bytes		= SZ_1M,
		.per		= BENCH_BATCH,
		.timed		= timed_batch,
	};

	return compare(&work);
}

static int timed_bulk(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	u64 start = bench_ticks();
	int i, err = 0;

	for (i = 0; i < BULK_BATCHES && !err; i++) {
		err = rival->fill_any(ctx);
		if (!err)
			rival->drain(ctx);
	}
	*ticks = bench_ticks() - start;
	return err;
}

/*
 * Allocates a batch of objects and frees all of them, again and again. Objects and batches have the
 * sizes for which measurements of kmem_cache_alloc_bulk() are usually published.
 */
int bench_bulk(void)
{
	static const u16 batches[] = { 1, 2, 3, 4, 8, 16, 30, 32, 34, 48, 64, 128, 158, 250 };
	struct workload work = {
		.name		= "bulk",
		.size		= BULK_SIZE,
		.largest	= BULK_SIZE,
		.bytes		= SZ_64K,
		.timed		= timed_bulk,
	};
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(batches) && !err; i++) {
		work.n = batches[i];
		work.per = batches[i] * BULK_BATCHES;
		err = compare(&work);
	}
	return err;
}

static int timed_pingpong(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	u64 start = bench_ticks();
	int err;

	if (!rival->pingpong)
		return -EOPNOTSUPP;
	err = rival->pingpong(ctx);
	*ticks = bench_ticks() - start;
	return err;
}

/* Allocates an object, uses it and frees it, many times. Arenas are reset when they are full. */
int bench_pingpong(void)
{
	const struct workload work = {
		.name		= "pingpong",
		.n		= BENCH_BATCH,
		.size		= BENCH_SIZE,
		.largest	= BENCH_SIZE,
		.bytes		= SZ_64K,
		.per		= BENCH_BATCH,
		.without	= RIVAL_UNBOUNDED,
		.timed		= timed_pingpong,
	};

	return compare(&work);
}

static int timed_once(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	u64 start = bench_ticks();
	int err;

	if (!rival->once)
		return -EOPNOTSUPP;
	err = rival->once(ctx);
	*ticks = bench_ticks() - start;
	return err;
}

/* Allocates an object, uses it and frees it, many times. Arenas are reset after each object. */
int bench_once(void)
{
	const struct workload work = {
		.name		= "once",
		.n		= BENCH_BATCH,
		.size		= BENCH_SIZE,
		.largest	= BENCH_SIZE,
		.bytes		= SZ_64K,
		.per		= BENCH_BATCH,
		.timed		= timed_once,
	};

	return compare(&work);
}

static int timed_mix(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	u64 start = bench_ticks();
	int err;

	if (!rival->mix)
		return -EOPNOTSUPP;
	err = rival->mix(ctx);
	*ticks = bench_ticks() - start;
	return err;
}

/* Allocates objects of various sizes. An allocator with one size gives all objects the largest. */
int bench_mix(void)
{
	const struct workload work = {
		.name		= "mix",
		.n		= BENCH_MIX,
		.size		= 0,
		.largest	= BENCH_MIX_MAX,
		.bytes		= SZ_1M,
		.per		= BENCH_MIX,
		.timed		= timed_mix,
	};

	return compare(&work);
}

/* An irq_work that allocates and frees a whole batch in a hard interrupt. */
struct hardirq {
	struct irq_work		work;
	const struct rival	*rival;
	struct bench_ctx	*ctx;
	u64			ticks;
	int			err;
};

static void in_hardirq_work(struct irq_work *work)
{
	struct hardirq *irq = container_of(work, struct hardirq, work);
	u64 start = bench_ticks();

	irq->err = WARN_ON_ONCE(!in_hardirq()) ? -EINVAL : irq->rival->fill_atomic(irq->ctx);
	if (irq->err)
		return;
	irq->rival->drain(irq->ctx);
	irq->ticks = bench_ticks() - start;
}

static int timed_hardirq(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	struct hardirq irq = { .rival = rival, .ctx = ctx, .err = -EIO };

	if (!rival->fill_atomic)
		return -EOPNOTSUPP;
	irq.work = IRQ_WORK_INIT_HARD(in_hardirq_work);
	irq_work_queue(&irq.work);
	irq_work_sync(&irq.work);
	*ticks = irq.ticks;
	return irq.err;
}

int bench_hardirq(void)
{
	const struct workload work = {
		.name		= "hardirq",
		.n		= BENCH_BATCH,
		.size		= BENCH_SIZE,
		.largest	= BENCH_SIZE,
		.bytes		= SZ_1M,
		.per		= BENCH_BATCH,
		.rounds		= HARDIRQ_ROUNDS,
		.timed		= timed_hardirq,
	};

	return compare(&work);
}

/* Allocates objects and frees them. If the rival is an arena, creates and destroys it, too. */
static int timed_create(const struct rival *rival, struct bench_ctx *ctx, u64 *ticks)
{
	bool anew = rival->ops->traits & RIVAL_ARENA;
	u64 start;
	int err;

	if (anew)
		rival->ops->teardown(ctx);
	start = bench_ticks();
	if (anew) {
		err = rival->ops->setup(ctx, NULL);
		if (err)
			return err;
	}
	err = rival->fill(ctx);
	if (!anew && !err)
		rival->drain(ctx);
	if (anew)
		rival->ops->teardown(ctx);
	*ticks = bench_ticks() - start;
	if (anew && !err)
		err = rival->ops->setup(ctx, NULL);
	return err;
}

int bench_create(void)
{
	const struct workload work = {
		.name		= "create",
		.n		= CREATE_OBJECTS,
		.size		= BENCH_SIZE,
		.largest	= BENCH_SIZE,
		.bytes		= SZ_64K,
		.per		= 1,
		.timed		= timed_create,
	};

	return compare(&work);
}
