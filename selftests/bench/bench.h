/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of arena_bench say to each other.
 *
 * A rival is an allocator with a few loops of its own, compiled for it: no
 * indirect call stands between a loop and the allocator. A workload runs the
 * loops of all rivals in turn, many times over, and prints for each a line of
 * median, minimum and maximum.
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
#define BENCH_MIX	200	/* objects in a request */
#define BENCH_MIX_MAX	256	/* bytes in the largest of them */

/**
 * struct bench_ctx - what one thread allocates from, and what it allocated.
 * @n:	     objects of a fill, room in @objs.
 * @size:    bytes in an object.
 * @largest: bytes in the largest object, for rivals of one size.
 * @bytes:   memory to provide, for rivals that want to know.
 * @objs:    the objects.
 * @ticks:   how long each allocation took, for latency().
 * @lent:    memory below belongs to another context.
 *
 * The rest is for the rivals.
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

#define RIVAL_RESETS	BIT(0)	/* drain() frees everything, whoever allocated it */
#define RIVAL_ARENA	BIT(1)
#define RIVAL_PRIVATE	BIT(2)	/* for one thread only */
#define RIVAL_LARGE	BIT(3)	/* takes part where there are many or large objects */
#define RIVAL_ANY_SIZE	BIT(4)
#define RIVAL_UNBOUNDED	BIT(5)	/* never says no: not for filling it up */
#define RIVAL_ZEROES	BIT(6)	/* whatever init_on_alloc says */

/**
 * struct rival_ops - how one allocator is used.
 * @alloc:    one object.
 * @free:     one object, or
 * @reset:    all of them at once.
 * @setup:    make what the context says, or borrow it from the lead unless NULL.
 * @teardown: undo it.
 * @traits:   RIVAL_*.
 *
 * Constants: inlined loops contain the allocator's own calls.
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
 * @name:     in the results.
 * @ops:      see there.
 * @fill:     allocate ctx->n objects of %BENCH_SIZE.
 * @fill_any: allocate ctx->n objects of ctx->size.
 * @fill_atomic: as @fill, but GFP_ATOMIC.
 * @drain:    free all of them, or reset.
 * @pingpong: allocate one, use it, free it, ctx->n times.
 * @once:     allocate one, use it, free it or reset, ctx->n times.
 * @mix:      allocate objects of various sizes, write them, read them, free them.
 * @latency:  as @fill, GFP_NOWAIT, and note how long each took.
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

/* Not one of the traits @without, nor of those that have no place in this run. */
bool bench_takes_part(const struct rival *rival, unsigned int without);

/* Where a context comes from. setup() and the reverse. */
int bench_ctx_init(struct bench_ctx *ctx, const struct rival *rival, struct bench_ctx *lead);
void bench_ctx_exit(struct bench_ctx *ctx, const struct rival *rival);

/**
 * struct bench_series - measurements of the same thing.
 * @nr:    how many.
 * @value: hundredths of the unit.
 */
#define BENCH_SERIES_MAX	512
struct bench_series {
	unsigned int	nr;
	u64		value[BENCH_SERIES_MAX];
};

/**
 * struct bench_label - what was measured, the first columns of a line.
 */
struct bench_label {
	const char	*bench;
	const char	*rival;
	unsigned int	threads;
	unsigned long	n;
	unsigned long	size;
};

/* Pages that the page allocator handed out, and got back, since boot. */
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

/* The benchmarks, see main.c. */
int bench_machine(void);
int bench_batch(void);
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
