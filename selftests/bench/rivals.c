// SPDX-License-Identifier: GPL-2.0
/*
 * The allocators that are compared, and the loops compiled for each of them.
 */
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "bench.h"

/*
 * The compiler inlines these loops into functions of each rival. A loop does with an object what
 * any caller does: it checks that the pointer is not NULL, and stores it.
 */
static __always_inline int loop_fill(struct bench_ctx *ctx, size_t size, gfp_t gfp,
				     const struct rival_ops *ops)
{
	unsigned int i, n = ctx->n;
	void **objs = ctx->objs;

	for (i = 0; i < n; i++) {
		void *object = ops->alloc(ctx, size, gfp);

		if (unlikely(!object))
			return -ENOMEM;
		WRITE_ONCE(objs[i], object);
	}
	return 0;
}

static __always_inline void loop_free(struct bench_ctx *ctx, size_t size,
				      const struct rival_ops *ops)
{
	unsigned int i, n = ctx->n;
	void **objs = ctx->objs;

	for (i = 0; i < n; i++)
		ops->free(ctx, objs[i], size);
}

static __always_inline void use(void *object)
{
	WRITE_ONCE(*(unsigned long *)object, READ_ONCE(*(unsigned long *)object) + 1);
}

static __always_inline int loop_pingpong(struct bench_ctx *ctx, const struct rival_ops *ops)
{
	unsigned int i, n = ctx->n;

	for (i = 0; i < n; i++) {
		void *object = ops->alloc(ctx, BENCH_SIZE, GFP_KERNEL);

		if (ops->reset && unlikely(!object)) {
			ops->reset(ctx);
			object = ops->alloc(ctx, BENCH_SIZE, GFP_KERNEL);
		}
		if (unlikely(!object))
			return -ENOMEM;
		use(object);
		if (ops->free)
			ops->free(ctx, object, BENCH_SIZE);
	}
	return 0;
}

static __always_inline int loop_once(struct bench_ctx *ctx, const struct rival_ops *ops)
{
	unsigned int i, n = ctx->n;

	for (i = 0; i < n; i++) {
		void *object = ops->alloc(ctx, BENCH_SIZE, GFP_KERNEL);

		if (unlikely(!object))
			return -ENOMEM;
		use(object);
		if (ops->free)
			ops->free(ctx, object, BENCH_SIZE);
		if (ops->reset)
			ops->reset(ctx);
	}
	return 0;
}

/* The sizes for loop_mix(): multiples of 8 from 16 to 256, the same in all runs. */
static u16 mix_size[BENCH_MIX];

static void mix_init(void)
{
	u32 state = 1;
	int i;

	for (i = 0; i < BENCH_MIX; i++) {
		state = state * 1664525 + 1013904223;
		mix_size[i] = 16 + (state >> 16) % 31 * 8;
	}
}

static __always_inline void write_object(unsigned long *object, size_t size)
{
	size_t i;

	for (i = 0; i < size / sizeof(*object); i++)
		WRITE_ONCE(object[i], i);
}

static __always_inline unsigned long read_object(const unsigned long *object, size_t size)
{
	unsigned long sum = 0;
	size_t i;

	for (i = 0; i < size / sizeof(*object); i++)
		sum += READ_ONCE(object[i]);
	return sum;
}

static __always_inline int loop_mix(struct bench_ctx *ctx, const struct rival_ops *ops)
{
	unsigned long sum = 0;
	void **objs = ctx->objs;
	int i;

	for (i = 0; i < BENCH_MIX; i++) {
		objs[i] = ops->alloc(ctx, mix_size[i], GFP_KERNEL);
		if (unlikely(!objs[i]))
			return -ENOMEM;
		write_object(objs[i], mix_size[i]);
	}
	for (i = 0; i < BENCH_MIX; i++)
		sum += read_object(objs[i], mix_size[i]);
	if (ops->free)
		for (i = 0; i < BENCH_MIX; i++)
			ops->free(ctx, objs[i], mix_size[i]);
	else if (ops->reset)
		ops->reset(ctx);
	OPTIMIZER_HIDE_VAR(sum);
	return 0;
}

/* Switches interrupts off during each allocation, so that no interrupt is measured. */
static __always_inline int loop_latency(struct bench_ctx *ctx, const struct rival_ops *ops)
{
	unsigned int i, n = ctx->n;
	unsigned long flags;

	for (i = 0; i < n; i++) {
		u64 start, end;

		local_irq_save(flags);
		start = bench_ticks();
		ctx->objs[i] = ops->alloc(ctx, BENCH_SIZE, GFP_NOWAIT);
		end = bench_ticks();
		local_irq_restore(flags);
		if (unlikely(!ctx->objs[i]))
			return -ENOMEM;
		ctx->ticks[i] = min_t(u64, end - start, U32_MAX);
	}
	return 0;
}

static __always_inline void loop_drain(struct bench_ctx *ctx, const struct rival_ops *ops)
{
	if (ops->free)
		loop_free(ctx, ctx->size, ops);
	if (ops->reset)
		ops->reset(ctx);
}

/* Defines the rival NAME, which uses the functions in NAME_ops. */
#define DEFINE_RIVAL(NAME)								\
static int NAME##_fill(struct bench_ctx *ctx)						\
{											\
	return loop_fill(ctx, BENCH_SIZE, GFP_KERNEL, &NAME##_ops);			\
}											\
static int NAME##_fill_any(struct bench_ctx *ctx)					\
{											\
	return loop_fill(ctx, ctx->size, GFP_KERNEL, &NAME##_ops);			\
}											\
static int NAME##_fill_atomic(struct bench_ctx *ctx)					\
{											\
	return loop_fill(ctx, BENCH_SIZE, GFP_ATOMIC, &NAME##_ops);			\
}											\
static void NAME##_drain(struct bench_ctx *ctx)						\
{											\
	loop_drain(ctx, &NAME##_ops);							\
}											\
static int NAME##_pingpong(struct bench_ctx *ctx)					\
{											\
	return loop_pingpong(ctx, &NAME##_ops);						\
}											\
static int NAME##_once(struct bench_ctx *ctx)						\
{											\
	return loop_once(ctx, &NAME##_ops);						\
}											\
static int NAME##_mix(struct bench_ctx *ctx)						\
{											\
	return loop_mix(ctx, &NAME##_ops);						\
}											\
static int NAME##_latency(struct bench_ctx *ctx)					\
{											\
	return loop_latency(ctx, &NAME##_ops);						\
}											\
											\
static const struct rival rival_##NAME = {						\
	.name		= #NAME,							\
	.ops		= &NAME##_ops,							\
	.fill		= NAME##_fill,							\
	.fill_any	= NAME##_fill_any,						\
	.fill_atomic	= NAME##_fill_atomic,						\
	.drain		= NAME##_drain,							\
	.pingpong	= NAME##_pingpong,						\
	.once		= NAME##_once,							\
	.mix		= NAME##_mix,							\
	.latency	= NAME##_latency,						\
}

/* The rivals arena_spans and arena_dense. */
static int setup_arena(struct bench_ctx *ctx, struct bench_ctx *lead, unsigned int flags)
{
	struct arena_config config = {
		.name		= "bench",
		.capacity	= ctx->bytes,
		.flags		= flags,
	};

	if (lead) {
		ctx->arena = lead->arena;
		return 0;
	}
	ctx->arena = arena_create(&config);
	return PTR_ERR_OR_ZERO(ctx->arena);
}

static int setup_spans(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	return setup_arena(ctx, lead, ARENA_SPANS);
}

static int setup_dense(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	return setup_arena(ctx, lead, 0);
}

static void teardown_arena(struct bench_ctx *ctx)
{
	if (!ctx->lent)
		arena_destroy(ctx->arena);
}

static __always_inline void *alloc_arena(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return arena_alloc(ctx->arena, size, gfp);
}

static __always_inline void reset_arena(struct bench_ctx *ctx)
{
	arena_reset(ctx->arena);
}

static const struct rival_ops arena_spans_ops = {
	.alloc		= alloc_arena,
	.reset		= reset_arena,
	.setup		= setup_spans,
	.teardown	= teardown_arena,
	.traits		= RIVAL_RESETS | RIVAL_ARENA | RIVAL_LARGE | RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(arena_spans);
static const struct rival_ops arena_dense_ops = {
	.alloc		= alloc_arena,
	.reset		= reset_arena,
	.setup		= setup_dense,
	.teardown	= teardown_arena,
	.traits		= RIVAL_RESETS | RIVAL_ARENA | RIVAL_LARGE | RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(arena_dense);

/*
 * The rivals arena_private, which begins without memory, and arena_private_buffer, which has only
 * the memory of a buffer.
 */
static int setup_private(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	arena_private_init(&ctx->private, NULL, 0);
	return 0;
}

static int setup_private_buffer(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	ctx->buffer = kvmalloc(ctx->bytes, GFP_KERNEL);
	if (!ctx->buffer)
		return -ENOMEM;
	arena_private_init(&ctx->private, ctx->buffer, ctx->bytes);
	return 0;
}

static void teardown_private(struct bench_ctx *ctx)
{
	arena_private_destroy(&ctx->private);
	kvfree(ctx->buffer);
	ctx->buffer = NULL;
}

static __always_inline void *alloc_private(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return arena_private_alloc(&ctx->private, size, gfp);
}

static __always_inline void *alloc_private_buffer(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return arena_private_alloc(&ctx->private, size, ARENA_NOGROW);
}

static __always_inline void reset_private(struct bench_ctx *ctx)
{
	arena_private_reset(&ctx->private);
}

static const struct rival_ops arena_private_ops = {
	.alloc		= alloc_private,
	.reset		= reset_private,
	.setup		= setup_private,
	.teardown	= teardown_private,
	.traits		= RIVAL_RESETS | RIVAL_ARENA | RIVAL_PRIVATE | RIVAL_LARGE |
			  RIVAL_ANY_SIZE | RIVAL_UNBOUNDED,
};

DEFINE_RIVAL(arena_private);

static const struct rival_ops arena_private_buffer_ops = {
	.alloc		= alloc_private_buffer,
	.reset		= reset_private,
	.setup		= setup_private_buffer,
	.teardown	= teardown_private,
	.traits		= RIVAL_RESETS | RIVAL_ARENA | RIVAL_PRIVATE | RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(arena_private_buffer);

/* The rivals kmalloc and kmalloc_atomic, and functions for rivals without setup. */
static int setup_nothing(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	return 0;
}

static void teardown_nothing(struct bench_ctx *ctx)
{
}

static __always_inline void *alloc_kmalloc(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

static __always_inline void *alloc_kmalloc_atomic(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return kmalloc(size, GFP_ATOMIC);
}

static __always_inline void free_kmalloc(struct bench_ctx *ctx, void *object, size_t size)
{
	kfree(object);
}

static const struct rival_ops kmalloc_ops = {
	.alloc		= alloc_kmalloc,
	.free		= free_kmalloc,
	.setup		= setup_nothing,
	.teardown	= teardown_nothing,
	.traits		= RIVAL_LARGE | RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(kmalloc);
static const struct rival_ops kmalloc_atomic_ops = {
	.alloc		= alloc_kmalloc_atomic,
	.free		= free_kmalloc,
	.setup		= setup_nothing,
	.teardown	= teardown_nothing,
	.traits		= RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(kmalloc_atomic);

#ifdef BENCH_NOLOCK
/* kmalloc_nolock() takes no gfp and fails where it would have to wait for a lock. */
static __always_inline void *alloc_nolock(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return kmalloc_nolock(size, 0, NUMA_NO_NODE);
}

static __always_inline void free_nolock(struct bench_ctx *ctx, void *object, size_t size)
{
	kfree_nolock(object);
}

static const struct rival_ops kmalloc_nolock_ops = {
	.alloc		= alloc_nolock,
	.free		= free_nolock,
	.setup		= setup_nothing,
	.teardown	= teardown_nothing,
	.traits		= RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(kmalloc_nolock);
#endif

static int setup_cache(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	if (lead) {
		ctx->cache = lead->cache;
		return 0;
	}
	ctx->cache = kmem_cache_create("arena_bench", ctx->largest, 0, 0, NULL);
	return ctx->cache ? 0 : -ENOMEM;
}

static void teardown_cache(struct bench_ctx *ctx)
{
	if (!ctx->lent)
		kmem_cache_destroy(ctx->cache);
}

static __always_inline void *alloc_cache(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return kmem_cache_alloc(ctx->cache, gfp);
}

static __always_inline void free_cache(struct bench_ctx *ctx, void *object, size_t size)
{
	kmem_cache_free(ctx->cache, object);
}

static const struct rival_ops kmem_cache_ops = {
	.alloc		= alloc_cache,
	.free		= free_cache,
	.setup		= setup_cache,
	.teardown	= teardown_cache,
	.traits		= RIVAL_LARGE,
};

DEFINE_RIVAL(kmem_cache);

/* Allocates all objects by one call, which must not be made with interrupts off. */
static int fill_bulk(struct bench_ctx *ctx, unsigned int n)
{
	return kmem_cache_alloc_bulk(ctx->cache, GFP_KERNEL, n, ctx->objs) ? 0 : -ENOMEM;
}

static int bulk_fill(struct bench_ctx *ctx)
{
	return fill_bulk(ctx, ctx->n);
}

static void bulk_drain(struct bench_ctx *ctx)
{
	kmem_cache_free_bulk(ctx->cache, ctx->n, ctx->objs);
}

static int bulk_mix(struct bench_ctx *ctx)
{
	unsigned long sum = 0;
	int i;

	if (fill_bulk(ctx, BENCH_MIX))
		return -ENOMEM;
	for (i = 0; i < BENCH_MIX; i++)
		write_object(ctx->objs[i], mix_size[i]);
	for (i = 0; i < BENCH_MIX; i++)
		sum += read_object(ctx->objs[i], mix_size[i]);
	kmem_cache_free_bulk(ctx->cache, BENCH_MIX, ctx->objs);
	OPTIMIZER_HIDE_VAR(sum);
	return 0;
}

static const struct rival_ops bulk_ops = {
	.setup		= setup_cache,
	.teardown	= teardown_cache,
	.traits		= RIVAL_LARGE,
};

static const struct rival rival_bulk = {
	.name		= "kmem_cache_bulk",
	.ops		= &bulk_ops,
	.fill		= bulk_fill,
	.fill_any	= bulk_fill,
	.drain		= bulk_drain,
	.mix		= bulk_mix,
};

/* The rivals mempool and mempool_bulk. */
static int make_mempool(struct bench_ctx *ctx, struct bench_ctx *lead, int reserved)
{
	int err = setup_cache(ctx, lead);

	if (err)
		return err;
	if (lead) {
		ctx->mempool = lead->mempool;
		return 0;
	}
	ctx->mempool = mempool_create_slab_pool(reserved, ctx->cache);
	if (ctx->mempool)
		return 0;
	kmem_cache_destroy(ctx->cache);
	return -ENOMEM;
}

static int setup_mempool(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	return make_mempool(ctx, lead, 16);
}

static void teardown_mempool(struct bench_ctx *ctx)
{
	if (!ctx->lent)
		mempool_destroy(ctx->mempool);
	teardown_cache(ctx);
}

static __always_inline void *alloc_mempool(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return mempool_alloc(ctx->mempool, gfp);
}

static __always_inline void free_mempool(struct bench_ctx *ctx, void *object, size_t size)
{
	mempool_free(object, ctx->mempool);
}

static const struct rival_ops mempool_ops = {
	.alloc		= alloc_mempool,
	.free		= free_mempool,
	.setup		= setup_mempool,
	.teardown	= teardown_mempool,
};

DEFINE_RIVAL(mempool);

#ifdef BENCH_MEMPOOL_BULK
/*
 * One call of mempool_alloc_bulk() may not ask for more objects than the pool keeps in reserve, so
 * the reserve has ctx->n objects here.
 */
static int setup_mempool_bulk(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	return make_mempool(ctx, lead, ctx->n);
}

static int mempool_bulk_fill(struct bench_ctx *ctx)
{
	return mempool_alloc_bulk(ctx->mempool, ctx->objs, ctx->n);
}

/* mempool_free_bulk() keeps as many objects as its reserve lacks; the others go to the cache. */
static void mempool_bulk_drain(struct bench_ctx *ctx)
{
	unsigned int kept = mempool_free_bulk(ctx->mempool, ctx->objs, ctx->n);

	if (kept < ctx->n)
		kmem_cache_free_bulk(ctx->cache, ctx->n - kept, ctx->objs + kept);
}

static const struct rival_ops mempool_bulk_ops = {
	.setup		= setup_mempool_bulk,
	.teardown	= teardown_mempool,
};

static const struct rival rival_mempool_bulk = {
	.name		= "mempool_bulk",
	.ops		= &mempool_bulk_ops,
	.fill		= mempool_bulk_fill,
	.fill_any	= mempool_bulk_fill,
	.drain		= mempool_bulk_drain,
};
#endif

/*
 * With init_on_alloc, kmalloc() and arenas zero their objects. Of each rival that does not do that,
 * there is a second version, NAME_zero, which zeroes each object. It takes part only in runs with
 * init_on_alloc, where all rivals that are compared must zero.
 */
static __always_inline void *zeroed(void *object, size_t size)
{
	return object ? memset(object, 0, size) : NULL;
}

#define DEFINE_ZEROING(NAME)								\
static __always_inline void *alloc_##NAME##_zero(struct bench_ctx *ctx, size_t size,	\
						 gfp_t gfp)				\
{											\
	return zeroed(alloc_##NAME(ctx, size, gfp), size);				\
}

/* Allocates the memory that a gen_pool or a bump allocator divides into objects. */
static int setup_bump(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	struct bump *bump;

	if (lead) {
		ctx->bump = lead->bump;
		return 0;
	}
	bump = kzalloc(sizeof(*bump), GFP_KERNEL);
	if (!bump)
		return -ENOMEM;
	bump->capacity = ctx->bytes;
	bump->base = (unsigned long)kvzalloc(ctx->bytes, GFP_KERNEL);
	if (!bump->base) {
		kfree(bump);
		return -ENOMEM;
	}
	ctx->bump = bump;
	return 0;
}

static void teardown_bump(struct bench_ctx *ctx)
{
	if (ctx->lent)
		return;
	kvfree((void *)ctx->bump->base);
	kfree(ctx->bump);
}

static int setup_gen_pool(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	int err = setup_bump(ctx, lead);

	if (err)
		return err;
	if (lead) {
		ctx->pool = lead->pool;
		return 0;
	}
	/* If all objects have one size, gen_pool is fastest with that size as its unit. */
	ctx->pool = gen_pool_create(ctx->largest == BENCH_SIZE ? ilog2(BENCH_SIZE) : 3,
				    NUMA_NO_NODE);
	if (ctx->pool)
		err = gen_pool_add(ctx->pool, ctx->bump->base, ctx->bytes, NUMA_NO_NODE);
	if (ctx->pool && !err)
		return 0;
	if (ctx->pool)
		gen_pool_destroy(ctx->pool);
	teardown_bump(ctx);
	return -ENOMEM;
}

static void teardown_gen_pool(struct bench_ctx *ctx)
{
	if (!ctx->lent)
		gen_pool_destroy(ctx->pool);
	teardown_bump(ctx);
}

static __always_inline void *alloc_gen_pool(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return (void *)gen_pool_alloc(ctx->pool, size);
}

static __always_inline void free_gen_pool(struct bench_ctx *ctx, void *object, size_t size)
{
	gen_pool_free(ctx->pool, (unsigned long)object, size);
}

static const struct rival_ops gen_pool_ops = {
	.alloc		= alloc_gen_pool,
	.free		= free_gen_pool,
	.setup		= setup_gen_pool,
	.teardown	= teardown_gen_pool,
	.traits		= RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(gen_pool);

DEFINE_ZEROING(gen_pool)

static const struct rival_ops gen_pool_zero_ops = {
	.alloc		= alloc_gen_pool_zero,
	.free		= free_gen_pool,
	.setup		= setup_gen_pool,
	.teardown	= teardown_gen_pool,
	.traits		= RIVAL_ANY_SIZE | RIVAL_ZEROES,
};

DEFINE_RIVAL(gen_pool_zero);

/* A page_frag_cache has no lock, so each context has one of its own. */
static void teardown_frag(struct bench_ctx *ctx)
{
	bench_frag_drain(&ctx->frag);
}

static __always_inline void *alloc_frag(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return page_frag_alloc(&ctx->frag, size, gfp);
}

static __always_inline void free_frag(struct bench_ctx *ctx, void *object, size_t size)
{
	page_frag_free(object);
}

static const struct rival_ops page_frag_ops = {
	.alloc		= alloc_frag,
	.free		= free_frag,
	.setup		= setup_nothing,
	.teardown	= teardown_frag,
	.traits		= RIVAL_PRIVATE | RIVAL_LARGE | RIVAL_ANY_SIZE,
};

DEFINE_RIVAL(page_frag);

/* With init_on_alloc, page_frag gets zeroed pages, but does not zero memory that it reuses. */
DEFINE_ZEROING(frag)

static const struct rival_ops page_frag_zero_ops = {
	.alloc		= alloc_frag_zero,
	.free		= free_frag,
	.setup		= setup_nothing,
	.teardown	= teardown_frag,
	.traits		= RIVAL_PRIVATE | RIVAL_ANY_SIZE | RIVAL_ZEROES,
};

DEFINE_RIVAL(page_frag_zero);

#ifdef BENCH_OBJPOOL
static int setup_objpool(struct bench_ctx *ctx, struct bench_ctx *lead)
{
	if (lead) {
		ctx->objpool = lead->objpool;
		return 0;
	}
	ctx->objpool = kzalloc(sizeof(*ctx->objpool), GFP_KERNEL);
	if (!ctx->objpool)
		return -ENOMEM;
	if (!objpool_init(ctx->objpool, ctx->bytes / ctx->largest, ctx->largest,
			  GFP_KERNEL, NULL, NULL, NULL))
		return 0;
	kfree(ctx->objpool);
	return -ENOMEM;
}

static void teardown_objpool(struct bench_ctx *ctx)
{
	if (ctx->lent)
		return;
	objpool_fini(ctx->objpool);
	kfree(ctx->objpool);
}

static __always_inline void *alloc_objpool(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	return objpool_pop(ctx->objpool);
}

static __always_inline void free_objpool(struct bench_ctx *ctx, void *object, size_t size)
{
	objpool_push(object, ctx->objpool);
}

static const struct rival_ops objpool_ops = {
	.alloc		= alloc_objpool,
	.free		= free_objpool,
	.setup		= setup_objpool,
	.teardown	= teardown_objpool,
};

DEFINE_RIVAL(objpool);

DEFINE_ZEROING(objpool)

static const struct rival_ops objpool_zero_ops = {
	.alloc		= alloc_objpool_zero,
	.free		= free_objpool,
	.setup		= setup_objpool,
	.teardown	= teardown_objpool,
	.traits		= RIVAL_ZEROES,
};

DEFINE_RIVAL(objpool_zero);
#endif

/* The rivals that are the bump allocators of naive.h. */
static __always_inline void reset_bump(struct bench_ctx *ctx)
{
	atomic_long_set(&ctx->bump->shared, 0);
	WRITE_ONCE(ctx->bump->plain, 0);
}

#define DEFINE_BUMP_ALLOC(NAME)								\
static __always_inline void *alloc_##NAME(struct bench_ctx *ctx, size_t size, gfp_t gfp)	\
{											\
	return bump_##NAME(ctx->bump, size);						\
}

#define DEFINE_BUMP(NAME, TRAITS)							\
static const struct rival_ops NAME##_ops = {						\
	.alloc		= alloc_##NAME,							\
	.reset		= reset_bump,							\
	.setup		= setup_bump,							\
	.teardown	= teardown_bump,						\
	.traits		= RIVAL_RESETS | RIVAL_ANY_SIZE | (TRAITS),			\
}

DEFINE_BUMP_ALLOC(xadd)
DEFINE_BUMP(xadd, 0);
DEFINE_RIVAL(xadd);
DEFINE_ZEROING(xadd)
DEFINE_BUMP(xadd_zero, RIVAL_ZEROES);
DEFINE_RIVAL(xadd_zero);

DEFINE_BUMP_ALLOC(xadd_call)
DEFINE_BUMP(xadd_call, 0);
DEFINE_RIVAL(xadd_call);
DEFINE_ZEROING(xadd_call)
DEFINE_BUMP(xadd_call_zero, RIVAL_ZEROES);
DEFINE_RIVAL(xadd_call_zero);

DEFINE_BUMP_ALLOC(cmpxchg)
DEFINE_BUMP(cmpxchg, 0);
DEFINE_RIVAL(cmpxchg);
DEFINE_ZEROING(cmpxchg)
DEFINE_BUMP(cmpxchg_zero, RIVAL_ZEROES);
DEFINE_RIVAL(cmpxchg_zero);

DEFINE_BUMP_ALLOC(cmpxchg_call)
DEFINE_BUMP(cmpxchg_call, 0);
DEFINE_RIVAL(cmpxchg_call);
DEFINE_ZEROING(cmpxchg_call)
DEFINE_BUMP(cmpxchg_call_zero, RIVAL_ZEROES);
DEFINE_RIVAL(cmpxchg_call_zero);

DEFINE_BUMP_ALLOC(plain)
DEFINE_BUMP(plain, RIVAL_PRIVATE | RIVAL_UNBOUNDED);
DEFINE_RIVAL(plain);
DEFINE_ZEROING(plain)
DEFINE_BUMP(plain_zero, RIVAL_PRIVATE | RIVAL_UNBOUNDED | RIVAL_ZEROES);
DEFINE_RIVAL(plain_zero);

DEFINE_BUMP_ALLOC(bounded)
DEFINE_BUMP(bounded, RIVAL_PRIVATE);
DEFINE_RIVAL(bounded);
DEFINE_ZEROING(bounded)
DEFINE_BUMP(bounded_zero, RIVAL_PRIVATE | RIVAL_ZEROES);
DEFINE_RIVAL(bounded_zero);

DEFINE_BUMP_ALLOC(bounded_call)
DEFINE_BUMP(bounded_call, RIVAL_PRIVATE);
DEFINE_RIVAL(bounded_call);
DEFINE_ZEROING(bounded_call)
DEFINE_BUMP(bounded_call_zero, RIVAL_PRIVATE | RIVAL_ZEROES);
DEFINE_RIVAL(bounded_call_zero);

/* The rival empty, whose functions do nothing, to measure what the loops cost. */
static unsigned long scratch[BENCH_MIX_MAX / sizeof(long)];

static __always_inline void *alloc_empty(struct bench_ctx *ctx, size_t size, gfp_t gfp)
{
	void *object = scratch;

	OPTIMIZER_HIDE_VAR(object);
	return object;
}

static __always_inline void reset_empty(struct bench_ctx *ctx)
{
}

static const struct rival_ops empty_ops = {
	.alloc		= alloc_empty,
	.reset		= reset_empty,
	.setup		= setup_nothing,
	.teardown	= teardown_nothing,
	.traits		= RIVAL_PRIVATE | RIVAL_RESETS,
};

DEFINE_RIVAL(empty);

const struct rival * const bench_rivals[] = {
	&rival_arena_spans,
	&rival_arena_dense,
	&rival_arena_private,
	&rival_arena_private_buffer,
	&rival_kmalloc,
	&rival_kmalloc_atomic,
#ifdef BENCH_NOLOCK
	&rival_kmalloc_nolock,
#endif
	&rival_kmem_cache,
	&rival_bulk,
	&rival_mempool,
#ifdef BENCH_MEMPOOL_BULK
	&rival_mempool_bulk,
#endif
	&rival_gen_pool,
	&rival_gen_pool_zero,
	&rival_page_frag,
	&rival_page_frag_zero,
#ifdef BENCH_OBJPOOL
	&rival_objpool,
	&rival_objpool_zero,
#endif
	&rival_xadd,
	&rival_xadd_zero,
	&rival_xadd_call,
	&rival_xadd_call_zero,
	&rival_cmpxchg,
	&rival_cmpxchg_zero,
	&rival_cmpxchg_call,
	&rival_cmpxchg_call_zero,
	&rival_plain,
	&rival_plain_zero,
	&rival_bounded,
	&rival_bounded_zero,
	&rival_bounded_call,
	&rival_bounded_call_zero,
	&rival_empty,
};

const unsigned int bench_nr_rivals = ARRAY_SIZE(bench_rivals);

static char *only;
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "Names of the allocators to run, with commas between them (default: all)");

static bool named(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

bool bench_takes_part(const struct rival *rival, unsigned int without)
{
	if (only && !named(only, rival->name))
		return false;
	if (!want_init_on_alloc(0))
		without |= RIVAL_ZEROES;
	return !(rival->ops->traits & without);
}

int bench_ctx_init(struct bench_ctx *ctx, const struct rival *rival, struct bench_ctx *lead)
{
	int err;

	mix_init();
	ctx->lent = lead;
	ctx->objs = kvcalloc(ctx->n, sizeof(*ctx->objs), GFP_KERNEL);
	if (!ctx->objs)
		return -ENOMEM;
	err = rival->ops->setup(ctx, lead);
	if (err) {
		kvfree(ctx->objs);
		ctx->objs = NULL;
	}
	return err;
}

void bench_ctx_exit(struct bench_ctx *ctx, const struct rival *rival)
{
	if (!ctx->objs)
		return;
	rival->ops->teardown(ctx);
	kvfree(ctx->objs);
	ctx->objs = NULL;
}
