/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks of pages: the budget of all arenas, the page allocator and the pool of retired
 * blocks. Knows no arena.
 */
#ifndef _ARENA_MEM_H
#define _ARENA_MEM_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/types.h>

/* For our own bookkeeping: never the OOM killer, and no splat. */
#define ARENA_GFP_META		(GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/*
 * The same for what a caller asks for: a full machine is an errno (clause 21). Where it may
 * wait, the page allocator tries hard before giving up: several pages are not always at hand.
 */
static inline gfp_t arena_gfp_quiet(gfp_t gfp)
{
	gfp |= __GFP_NOWARN;
	if (gfpflags_allow_blocking(gfp) && !(gfp & __GFP_NORETRY))
		gfp |= __GFP_RETRY_MAYFAIL;
	return gfp;
}

/* What the caller may decide about an allocation; the rest is ours. */
#define ARENA_GFP_MASK	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | \
			 __GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_NOMEMALLOC | \
			 __GFP_MEMALLOC | __GFP_HARDWALL | __GFP_THISNODE | \
			 __GFP_NOLOCKDEP)

/* What no arena can promise, see arena_alloc(). */
#define ARENA_GFP_REFUSED	(__GFP_NOFAIL | __GFP_DMA | __GFP_DMA32)

/* What a caller that asks by @gfp lets us allocate for our own bookkeeping. */
static inline gfp_t arena_gfp_meta(gfp_t gfp)
{
	return arena_gfp_quiet(gfp & ARENA_GFP_MASK);
}

/* Add @pages unless that exceeds @limit: never above it, not even for a moment. */
static inline bool arena_charge(atomic_long_t *charged, long pages, long limit)
{
	long old = atomic_long_read(charged);

	do {
		if (pages > limit - old)
			return false;
	} while (!atomic_long_try_cmpxchg(charged, &old, old + pages));
	return true;
}

/* block.c */
long arena_total_pages(void);
unsigned long arena_total_headroom(void);
bool arena_total_charge(long pages);
bool arena_total_charge_left(long pages);
void arena_total_uncharge(long pages);
gfp_t arena_block_gfp(gfp_t gfp);
bool arena_may_grow(gfp_t gfp);
void arena_tell_kmemleak(void *base, unsigned int order, gfp_t gfp);
void *arena_block_uncharged(unsigned int order, gfp_t gfp, int node);
void *arena_block_new(unsigned int order, gfp_t gfp, int node);
void *arena_block_alloc(unsigned int order, gfp_t gfp);
void arena_block_free(void *base, unsigned int order);
void arena_block_put_uncharged(void *base, unsigned int order);
void arena_block_put(void *base, unsigned int order);
void arena_slab_free(void *base, unsigned int order);
void *arena_table_alloc(size_t size, unsigned int flags);
void arena_table_free(void *table, size_t size);

/* pool.c */
void *arena_pool_take(int node, unsigned int order);
bool arena_pool_put(void *base, unsigned int order);
void arena_pool_drain(void);
unsigned long arena_pool_pages(void);
unsigned long arena_pool_reclaimed(void);
int arena_pool_init(void);
void arena_pool_exit(void);

#endif /* _ARENA_MEM_H */
