// SPDX-License-Identifier: GPL-2.0
/*
 * Slabs: the memory behind the space of an arena, and its bounds.
 *
 * Takes no lock. A slab is allocated outside of any and installed in its
 * directory entry by compare-and-swap; who loses the race gives its slab back.
 */
#include <linux/kmemleak.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "internal.h"

static unsigned long max_total_mb;
module_param(max_total_mb, ulong, 0644);
MODULE_PARM_DESC(max_total_mb, "Memory for all arenas, in MiB (0: an eighth of RAM)");

static unsigned long max_arena_mb;
module_param(max_arena_mb, ulong, 0644);
MODULE_PARM_DESC(max_arena_mb, "Capacity of one arena, in MiB (0: what the cursor can hold)");

/* Pages held by all arenas, directories included. */
static atomic_long_t total_pages;

/* What the caller may decide about an allocation; the rest is ours. */
#define ARENA_GFP_MASK	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | \
			 __GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_NOMEMALLOC | \
			 __GFP_MEMALLOC | __GFP_HARDWALL | __GFP_THISNODE)

long arena_total_pages(void)
{
	return atomic_long_read(&total_pages);
}

/**
 * arena_capacity_max() - The largest capacity that arena_create() accepts.
 *
 * The smaller of what the cursor can express (one tebibyte on 64-bit kernels,
 * 32 MiB on 32-bit ones, less a page) and the module parameter max_arena_mb.
 *
 * Context: Any.
 * Return: Bytes.
 */
size_t arena_capacity_max(void)
{
	size_t limit = cursor_offset(ARENA_CURSOR_MASK) & PAGE_MASK;
	unsigned long mb = READ_ONCE(max_arena_mb);

	return mb && mb < limit >> 20 ? mb << 20 : limit;
}
EXPORT_SYMBOL_GPL(arena_capacity_max);

static long total_limit(void)
{
	unsigned long mb = READ_ONCE(max_total_mb);

	return mb ? mb << (20 - PAGE_SHIFT) : totalram_pages() / 8;
}

/* What may still be charged, pool included; a guess as soon as it is returned. */
static unsigned long total_headroom(void)
{
	long left = total_limit() - atomic_long_read(&total_pages);

	return max(left, 0L) + arena_pool_pages();
}

/* Bounded: never above the limit, not even for a moment. */
static bool charge_total(long pages)
{
	long old = atomic_long_read(&total_pages), limit = total_limit();

	do {
		if (pages > limit - old)
			return false;
	} while (!atomic_long_try_cmpxchg(&total_pages, &old, old + pages));
	return true;
}

static void uncharge_total(long pages)
{
	atomic_long_sub(pages, &total_pages);
}

static void raise_to(atomic_long_t *peak, long value)
{
	long old = atomic_long_read(peak);

	while (old < value && !atomic_long_try_cmpxchg(peak, &old, value))
		;
}

/*
 * Never the OOM killer: a full machine is an errno. Where the caller may wait,
 * try hard before giving up, as slabs of several pages are not always at hand.
 */
static gfp_t slab_gfp(const struct arena *arena, gfp_t gfp)
{
	gfp &= ARENA_GFP_MASK;
	gfp |= __GFP_COMP | __GFP_NOWARN;
	if (gfpflags_allow_blocking(gfp) && !(gfp & __GFP_NORETRY))
		gfp |= __GFP_RETRY_MAYFAIL;
	if (arena->zero || arena->flags & ARENA_MAPPABLE)
		gfp |= __GFP_ZERO;
	if (arena->flags & ARENA_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	return gfp;
}

/* Bounded by the limit on all arenas; what the pool holds gives way. */
static struct page *slab_alloc(struct arena *arena, gfp_t gfp, int node, unsigned int order)
{
	struct mem_cgroup *old;
	struct page *page;

	if (!charge_total(1L << order) &&
	    (!arena_pool_drain() || !charge_total(1L << order)))
		return NULL;
	old = set_active_memcg(arena->memcg);
	page = alloc_pages_node(node, gfp, order);
	set_active_memcg(old);
	if (page)
		atomic_long_inc(&arena->page_allocs);
	else
		uncharge_total(1L << order);
	return page;
}

/* Charged memory stays with whom it is charged to; what user space mapped is not passed on. */
static bool slab_may_pool(const struct arena *arena)
{
	return !(arena->flags & (ARENA_ACCOUNT | ARENA_MAPPABLE));
}

static void *slab_take(struct arena *arena, gfp_t gfp)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;
	int node = arena->flags & ARENA_ON_NODE ? arena->node : numa_mem_id();
	void *base = slab_may_pool(arena) ? arena_pool_take(node, order) : NULL;

	if (base) {
		atomic_long_inc(&arena->pool_hits);
		if (want_init_on_alloc(gfp))
			memset(base, 0, arena_slab_size(arena));
	} else {
		struct page *page = slab_alloc(arena, gfp, node, order);

		if (!page)
			return NULL;
		base = page_address(page);
	}
	/* Where objects hold the only pointer to kmalloc() memory, it is no leak. */
	kmemleak_alloc(base, arena_slab_size(arena), 0, gfp & ARENA_GFP_MASK);
	raise_to(&arena->committed_peak,
		 atomic_long_add_return(arena_slab_size(arena), &arena->committed));
	return base;
}

/* Someone else may still hold a page (a pin from user space): so put, not free. */
void arena_slab_free(void *base, unsigned int order)
{
	put_page(virt_to_page(base));
	uncharge_total(1L << order);
}

static void slab_give_back(struct arena *arena, void *base)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;

	atomic_long_sub(arena_slab_size(arena), &arena->committed);
	kmemleak_free(base);
	set_page_private(virt_to_page(base), 0);
	if (slab_may_pool(arena) && page_count(virt_to_page(base)) == 1 &&
	    arena_pool_put(base, order))
		return;
	atomic_long_inc(&arena->page_frees);
	arena_slab_free(base, order);
}

/*
 * Commit slab @index of the present generation. 0 if it is committed now, by
 * us or by somebody else; -ENOMEM if @gfp does not allow it.
 */
int arena_slab_install(struct arena *arena, size_t index, gfp_t gfp)
{
	struct arena_slab *entry;
	struct arena_view view;
	void *base;

	if (!(gfp & ARENA_GFP_MASK) || in_nmi())
		return -ENOMEM;
	might_alloc(gfp);
	gfp = slab_gfp(arena, gfp);
	base = slab_take(arena, gfp);
	if (!base)
		return -ENOMEM;
	set_page_private(virt_to_page(base), index);	/* for arena_handle() */

	/*
	 * A directory that is no longer the current one is not freed before a
	 * grace period has passed, and its slabs with it: ours is not lost.
	 */
	rcu_read_lock();
	view = arena_peek(arena);
	entry = &arena_dir(arena, view.generation)[index];
	/*
	 * Full barrier: the zeroing of the slab comes before its address.
	 * Pairs with the address dependency from READ_ONCE(entry->base) in
	 * whoever claims a part of it.
	 */
	if (!cmpxchg(&entry->base, NULL, base)) {
		/* Too late is harmless: then it is zeroed once more. */
		if (want_init_on_alloc(gfp))
			WRITE_ONCE(entry->clean, view.generation);
		base = NULL;
	}
	rcu_read_unlock();

	if (base)
		slab_give_back(arena, base);
	return 0;
}

/* Commit the slabs under [@start, @start + @size) of @generation. */
int arena_slabs_populate(struct arena *arena, size_t start, size_t size, gfp_t gfp)
{
	size_t first = start >> arena->slab_shift, last = (start + size - 1) >> arena->slab_shift;
	size_t i, missing = 0;

	/* What cannot succeed shall not take all there is before it fails. */
	for (i = first; i <= last; i++)
		missing += !arena_page(arena, i << arena->slab_shift);
	if (missing << (arena->slab_shift - PAGE_SHIFT) > total_headroom())
		return -ENOMEM;

	for (i = first; i <= last; i++) {
		int err = 0;

		if (!arena_page(arena, i << arena->slab_shift))
			err = arena_slab_install(arena, i, gfp);
		if (err)
			return err;
	}
	return 0;
}

/* Commit all of both slab sets of an arena that nobody knows yet. */
int arena_slabs_populate_all(struct arena *arena, gfp_t gfp)
{
	struct arena_slab *spare = arena->dirs[1];
	size_t i;

	for (i = 0; spare && i < arena_nr_slabs(arena); i++) {
		spare[i].base = slab_take(arena, slab_gfp(arena, gfp));
		if (!spare[i].base)
			return -ENOMEM;
		set_page_private(virt_to_page(spare[i].base), i);
	}
	return arena_slabs_populate(arena, 0, arena->capacity, gfp);
}

/*
 * Give back all slabs of @dir but the first @keep bytes' worth. No claim can
 * succeed meanwhile.
 */
void arena_slabs_release(struct arena *arena, struct arena_slab *dir, size_t keep)
{
	size_t nr = arena_nr_slabs(arena), i;
	size_t first = DIV_ROUND_UP(min(keep, arena->capacity), arena_slab_size(arena));

	for (i = first; i < nr; i++) {
		void *base = xchg(&dir[i].base, NULL);

		if (base)
			slab_give_back(arena, base);
		cond_resched();
	}
}

static struct arena_slab *dir_alloc(const struct arena *arena)
{
	gfp_t gfp = ARENA_GFP_META;
	long pages = DIV_ROUND_UP(arena->dir_size, PAGE_SIZE);
	struct arena_slab *dir;

	if (arena->flags & ARENA_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	if (!charge_total(pages))
		return NULL;
	dir = kvzalloc(arena->dir_size, gfp);
	if (!dir)
		uncharge_total(pages);
	return dir;
}

int arena_slabs_init(struct arena *arena)
{
	int nr = arena->flags & ARENA_READERS ? 2 : 1, i;

	arena->dir_size = array_size(arena_nr_slabs(arena), sizeof(struct arena_slab));
	for (i = 0; i < nr; i++) {
		arena->dirs[i] = dir_alloc(arena);
		if (!arena->dirs[i])
			return -ENOMEM;
	}
	return 0;
}

void arena_slabs_exit(struct arena *arena)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(arena->dirs); i++) {
		if (!arena->dirs[i])
			continue;
		arena_slabs_release(arena, arena->dirs[i], 0);
		kvfree(arena->dirs[i]);
		uncharge_total(DIV_ROUND_UP(arena->dir_size, PAGE_SIZE));
	}
}
