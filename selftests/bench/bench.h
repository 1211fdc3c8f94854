/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The types and functions that the source files of arena_bench share.
 *
 * A rival is an allocator with a few loops that are compiled for it, so that no loop calls the
 * allocator indirectly. A benchmark runs the loops of all rivals in turn, many times, and prints
 * one line with median, minimum and maximum for each rival.
 */
#ifndef _ARENA_BENCH_H
#define _ARENA_BENCH_H

#include <linux/arena.h>
#include <linux/arena_private.h>
#include <linux/genalloc.h>
#include <linux/mempool.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "compat.h"
#include "naive.h"

#define BENCH_BATCH	4096	/* objects in a batch */
#define BENCH_SIZE	64	/* bytes in an object, known to the compiler */
#define BENCH_MIX	200	/* objects of various sizes in a round of the benchmark "mix" */
#define BENCH_MIX_MAX	256	/* bytes in the largest object of "mix" */

/**
 * struct bench_ctx - the allocator that one thread uses, and the objects that it got.
 * @n:	     number of objects that rival.fill() allocates; @objs has room for as many.
 * @size:    bytes in an object.
 * @largest: bytes in the largest object, for allocators whose objects have one size.
 * @bytes:   capacity of the allocator, if it has one.
 * @objs:    the objects.
 * @ticks:   how long each allocation took; only rival.latency() fills it in.
 * @lent:    the allocator belongs to another context, which frees it.
 *
 * The other members are the allocators; only the functions of the rivals use them.
 */
struct bench_ctx {
	unsigned int		n;
	size_t			size;
	size_t			largest;
	size_t			bytes;
	void			**objs;
	u32			*ticks;
	bool			lent;

	struct arena		*arena;
	struct arena_private	private;
	void			*buffer;
	struct kmem_cache	*cache;
	mempool_t		*mempool;
	struct gen_pool		*pool;
#ifdef BENCH_OBJPOOL
	struct objpool_head	*objpool;
#endif
	struct bump		*bump;
	struct page_frag_cache	frag;
};

#define RIVAL_RESETS	BIT(0)	/* drain() frees all objects, also those of other threads */
#define RIVAL_ARENA	BIT(1)
#define RIVAL_PRIVATE	BIT(2)	/* only one thread may use an allocator of this kind */
#define RIVAL_LARGE	BIT(3)	/* takes part where there are many or large objects */
#define RIVAL_ANY_SIZE	BIT(4)
#define RIVAL_UNBOUNDED	BIT(5)	/* never fails, so no benchmark fills it up */
#define RIVAL_ZEROES	BIT(6)	/* zeroes each object, even without init_on_alloc */

/**
 * struct rival_ops - the functions of one allocator.
 * @alloc:    allocates one object.
 * @free:     frees one object; NULL if the allocator has @reset.
 * @reset:    frees all objects at once; NULL if the allocator has @free.
 * @setup:    makes the allocator for @ctx; if @lead is not NULL, uses the allocator of @lead.
 * @teardown: frees the allocator, unless @ctx->lent is set.
 * @traits:   RIVAL_* flags.
 *
 * The structs are constant, so that the compiler inlines these functions into the loops.
 */
struct rival_ops {
	void		*(*alloc)(struct bench_ctx *ctx, size_t size, gfp_t gfp);
	void		(*free)(struct bench_ctx *ctx, void *object, size_t size);
	void		(*reset)(struct bench_ctx *ctx);
	int		(*setup)(struct bench_ctx *ctx, struct bench_ctx *lead);
	void		(*teardown)(struct bench_ctx *ctx);
	unsigned int	traits;
};

/**
 * struct rival - one allocator and its loops.
 * @name:     the name of the allocator in the results.
 * @ops:      the functions of the allocator, which the loops call.
 * @fill:     allocates ctx->n objects of %BENCH_SIZE bytes with GFP_KERNEL.
 * @fill_any: allocates ctx->n objects of ctx->size bytes with GFP_KERNEL.
 * @fill_atomic: allocates ctx->n objects of %BENCH_SIZE bytes with GFP_ATOMIC.
 * @drain:    frees ctx->n objects one by one, or resets the allocator.
 * @pingpong: ctx->n times, allocates an object, uses it and frees it; resets only when full.
 * @once:     ctx->n times, allocates an object, uses it, and frees it or resets.
 * @mix:      allocates objects of various sizes, writes them, reads them and frees them.
 * @latency:  allocates ctx->n objects with GFP_NOWAIT and stores how long each one took.
 */
struct rival {
	const char		*name;
	const struct rival_ops	*ops;
	int			(*fill)(struct bench_ctx *ctx);
	int			(*fill_any)(struct bench_ctx *ctx);
	int			(*fill_atomic)(struct bench_ctx *ctx);
	void			(*drain)(struct bench_ctx *ctx);
	int			(*pingpong)(struct bench_ctx *ctx);
	int			(*once)(struct bench_ctx *ctx);
	int			(*mix)(struct bench_ctx *ctx);
	int			(*latency)(struct bench_ctx *ctx);
};

extern const struct rival * const bench_rivals[];
extern const unsigned int bench_nr_rivals;

/*
 * Returns whether @rival takes part in this run: it has none of the traits @without, the parameter
 * "only" does not exclude it, and it has RIVAL_ZEROES only if init_on_alloc is set.
 */
bool bench_takes_part(const struct rival *rival, unsigned int without);

/*
 * bench_ctx_init() allocates the array of objects and the allocator; with @lead, the context uses
 * the allocator of @lead instead. bench_ctx_exit() frees what bench_ctx_init() has allocated.
 */
int bench_ctx_init(struct bench_ctx *ctx, const struct rival *rival, struct bench_ctx *lead);
void bench_ctx_exit(struct bench_ctx *ctx, const struct rival *rival);

/**
 * struct bench_series - the results of one measurement that was repeated.
 * @nr:    number of measurements.
 * @value: the measurements, in hundredths of the unit.
 */
#define BENCH_SERIES_MAX	512
struct bench_series {
	unsigned int	nr;
	u64		value[BENCH_SERIES_MAX];
};

/**
 * struct bench_label - the first columns of a line of results: what was measured.
 */
struct bench_label {
	const char	*bench;
	const char	*rival;
	unsigned int	threads;
	unsigned long	n;
	unsigned long	size;
};

/* How many pages the page allocator has given out and taken back since boot. */
struct bench_pages {
	u64	taken;
	u64	freed;
};

/* memory.c */
int bench_count_pages(struct bench_pages *pages);

/* measure.c */
extern unsigned int bench_rounds;
extern unsigned long bench_max_mb;
int bench_measure_init(void);
void bench_measure_exit(void);
void bench_note(struct bench_series *series, u64 ticks, unsigned int per);
void bench_print(const struct bench_label *label, struct bench_series *series);
void bench_print_unit(const struct bench_label *label, struct bench_series *series,
		      const char *unit);
void bench_print_value(const struct bench_label *label, u64 hundredths, const char *unit);
u64 bench_cost(u64 ticks, unsigned int per);
void bench_clear_output(void);
int bench_output_error(void);
const char *bench_output(size_t *size);

/* nothing.c */
int bench_nothing_init(void);
void bench_nothing_exit(void);

/* The benchmarks, by the names in the table of main.c. */
int bench_machine(void);
int bench_batch(void);
int bench_bulk(void);
int bench_pingpong(void);
int bench_mix(void);
int bench_hardirq(void);
int bench_once(void);
int bench_create(void);
int bench_reset(void);
int bench_seed(void);
int bench_latency(void);
int bench_memory(void);
int bench_steady(void);
int bench_full(void);
int bench_threads(void);
int bench_growth(void);
int bench_many(void);

#endif /* _ARENA_BENCH_H */
