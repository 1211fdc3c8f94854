/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks of pages: the budgets that they are charged to, the page allocator, the pool, and pages
 * that something else still refers to after their arena has given them back. None of this code uses
 * a struct arena.
 */
#ifndef _ARENA_MEM_H
#define _ARENA_MEM_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/vmalloc.h>

struct mem_cgroup;
struct shrink_control;
struct shrinker;

/* GFP flags for the module's bookkeeping: a failure starts no OOM killer and logs no warning. */
#define ARENA_GFP_META		(GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/*
 * The gfp flags for memory that a caller asks for with @gfp: a failure becomes an errno, starts no
 * OOM killer and logs no warning (clause 21). If @gfp allows to sleep, __GFP_RETRY_MAYFAIL lets the
 * page allocator reclaim and compact before it fails, as several contiguous pages are not always
 * free.
 */
static inline gfp_t arena_gfp_quiet(gfp_t gfp)
{
	gfp |= __GFP_NOWARN;
	if (gfpflags_allow_blocking(gfp) && !(gfp & __GFP_NORETRY))
		gfp |= __GFP_RETRY_MAYFAIL;
	return gfp;
}

/*
 * Memory allocation profiling. arena_tag_record() notes in @owner, an arena, which line of code is
 * creating it. arena_tagged() evaluates @call. The memory that *_noprof() functions allocate in it
 * counts for that line, or for the line of arena_tagged() if profiling was off when the arena was
 * created.
 */
#ifdef CONFIG_MEM_ALLOC_PROFILING
#define arena_tag_record(owner)		alloc_tag_record((owner)->tag)
#define arena_tagged(owner, call)						\
({										\
	DEFINE_ALLOC_TAG(_tag_here);						\
	struct alloc_tag *_tag_to_use = (owner)->tag ?: &_tag_here;		\
										\
	alloc_hooks_tag(_tag_to_use, call);					\
})
#else
#define arena_tag_record(owner)		((void)(owner))
#define arena_tagged(owner, call)	((void)(owner), call)
#endif

/* The gfp flags that a caller may choose; the module chooses the others. */
#define ARENA_GFP_MASK	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | \
			 __GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_NOMEMALLOC | \
			 __GFP_MEMALLOC | __GFP_HARDWALL | __GFP_THISNODE | \
			 __GFP_NOLOCKDEP)

/* The gfp flags that no arena can honour: callers of arena_alloc() must not pass them. */
#define ARENA_GFP_REFUSED	(__GFP_NOFAIL | __GFP_DMA | __GFP_DMA32)

static inline bool arena_may_grow(gfp_t gfp)
{
	return gfp & ARENA_GFP_MASK && !in_nmi();
}

/*
 * Let kmemleak scan a block: an object in it may contain the only pointer to kmalloc() memory,
 * which kmemleak would otherwise report as a leak.
 */
static inline void arena_kmemleak_alloc(void *base, unsigned int order, gfp_t gfp)
{
	kmemleak_alloc(base, PAGE_SIZE << order, 0, gfp & ARENA_GFP_MASK);
}

/* The gfp flags for bookkeeping that is allocated on behalf of a caller with @gfp. */
static inline gfp_t arena_gfp_meta(gfp_t gfp)
{
	return arena_gfp_quiet(gfp & ARENA_GFP_MASK);
}

/**
 * struct arena_budget - a limit of pages, and how many pages are charged.
 * @pages:   pages charged to this budget and to the budgets below it.
 * @parent:  every charge to this budget is charged to @parent, too; NULL for the root.
 * @limit:   returns the most that @pages may be.
 * @refs:    reference count of a budget that has @release.
 * @release: called when the last reference is dropped; NULL for a static budget.
 */
struct arena_budget {
	atomic_long_t		pages;
	struct arena_budget	*parent;
	long			(*limit)(void);
	refcount_t		refs;
	void			(*release)(struct arena_budget *budget);
};

/*
 * A caller frees pages at most this often to make room in a budget, before its charge fails. Once
 * is not enough, as another caller may take the room.
 */
#define ARENA_ROOM_TRIES	1024

extern struct arena_budget arena_total;

long arena_mb_to_pages(unsigned long mb);
bool arena_charge(atomic_long_t *charged, long pages, long limit);
bool arena_budget_try_charge(struct arena_budget *budget, long pages);
bool arena_budget_charge(struct arena_budget *budget, long pages, gfp_t gfp);
void arena_budget_uncharge(struct arena_budget *budget, long pages);
bool arena_budget_make_room(const struct arena_budget *budget, long pages, gfp_t gfp);
unsigned long arena_budget_room(const struct arena_budget *budget);
void arena_budget_get(struct arena_budget *budget);
void arena_budget_put(struct arena_budget *budget);
long arena_total_pages(void);

/* pinned.c */
void arena_pinned_add(struct arena_budget *budget, struct page *page);
bool arena_pinned_reap(void);
void arena_pinned_exit(void);

/* block.c */

/* The page at @at in a block that is not freed meanwhile, contiguous or not. Any context. */
static inline struct page *arena_block_page(const void *at)
{
	return is_vmalloc_addr(at) ? vmalloc_to_page(at) : virt_to_page(at);
}

struct page *arena_block_first(const void *base);
gfp_t arena_block_gfp(gfp_t gfp);
void *arena_block_uncharged(unsigned int order, gfp_t gfp, int node);
void *arena_block_uncharged_or_pages(unsigned int order, gfp_t gfp, int node);
void *arena_block_alloc(unsigned int order, gfp_t gfp, struct mem_cgroup *memcg);
void arena_block_free(void *base, unsigned int order, bool charged);
bool arena_block_unshared(const void *base, unsigned int order);
void arena_block_put_uncharged(void *base, unsigned int order);
void arena_block_put(struct arena_budget *budget, void *base, unsigned int order);
void *arena_table_alloc(struct arena_budget *budget, size_t size, gfp_t gfp);
void arena_table_free(struct arena_budget *budget, void *table, size_t size);

/* pool.c */
void *arena_pool_take(int node, unsigned int order);
void *arena_pool_take_uncharged(int node, unsigned int order);
bool arena_pool_put(void *base, unsigned int order);
unsigned long arena_pool_shrink(unsigned long pages);
void arena_pool_drain(void);
unsigned long arena_pool_pages(void);
unsigned long arena_pool_reclaimed(void);
void arena_pool_note_reclaimed(unsigned long pages);

/* Makes and registers a shrinker; returns NULL if there is no memory. shrinker_free() ends it. */
typedef unsigned long (*arena_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);
struct shrinker *arena_shrinker_register(const char *name, unsigned int flags,
					 arena_shrink_fn count, arena_shrink_fn scan);

int arena_pool_init(void);
void arena_pool_exit(void);

#endif /* _ARENA_MEM_H */
