// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks of pages: how many all arenas may hold, and where they come from.
 */
#include <linux/export.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "compat.h"
#include "mem/mem.h"

static unsigned long max_total_mb;
module_param(max_total_mb, ulong, 0644);
MODULE_PARM_DESC(max_total_mb, "Memory for all arenas, in MiB (0: an eighth of RAM)");

/* Pages held by all arenas, directories included. */
static atomic_long_t total_pages;

long arena_total_pages(void)
{
	return atomic_long_read(&total_pages);
}

static long total_limit(void)
{
	unsigned long mb = READ_ONCE(max_total_mb);

	return mb ? mb << (20 - PAGE_SHIFT) : totalram_pages() / 8;
}

/* What may still be charged, pool included; a guess as soon as it is returned. */
unsigned long arena_total_headroom(void)
{
	long left = total_limit() - atomic_long_read(&total_pages);

	return max(left, 0L) + arena_pool_pages();
}

/* Only what is left now: in any context, and quick. */
bool arena_total_charge_left(long pages)
{
	return arena_charge(&total_pages, pages, total_limit());
}

/* What the pool holds gives way, whoever of several drains it. */
bool arena_total_charge(long pages)
{
	if (arena_total_charge_left(pages))
		return true;
	arena_pool_drain();
	return arena_total_charge_left(pages);
}

void arena_total_uncharge(long pages)
{
	atomic_long_sub(pages, &total_pages);
}

/*
 * A block from the page allocator that the caller charges, before or after. @node may be
 * NUMA_NO_NODE: then the memory policy of the task decides, of which alloc_pages_node()
 * knows nothing. Without __GFP_COMP the block is made of pages that stand alone.
 */
void *arena_block_uncharged(unsigned int order, gfp_t gfp, int node)
{
	struct page *page = node == NUMA_NO_NODE ? alloc_pages(gfp, order) :
						   alloc_pages_node(node, gfp, order);

	if (!page)
		return NULL;
	if (!(gfp & __GFP_COMP))
		split_page(page, order);
	return page_address(page);
}

/* Bounded by the limit on all arenas. */
void *arena_block_new(unsigned int order, gfp_t gfp, int node)
{
	void *base;

	if (!arena_total_charge(1L << order))
		return NULL;
	base = arena_block_uncharged(order, gfp, node);
	if (!base)
		arena_total_uncharge(1L << order);
	return base;
}

gfp_t arena_block_gfp(gfp_t gfp)
{
	return arena_gfp_quiet(gfp & ARENA_GFP_MASK) | __GFP_COMP;
}

bool arena_may_grow(gfp_t gfp)
{
	return gfp & ARENA_GFP_MASK && !in_nmi();
}

/* Where objects hold the only pointer to kmalloc() memory, that is no leak. */
void arena_tell_kmemleak(void *base, unsigned int order, gfp_t gfp)
{
	kmemleak_alloc(base, PAGE_SIZE << order, 0, gfp & ARENA_GFP_MASK);
}

/* Pages for a private arena: charged to nobody, counted in the total. Contents undefined. */
void *arena_block_alloc(unsigned int order, gfp_t gfp)
{
	void *base;

	/* Private arenas are charged to nobody. */
	WARN_ON_ONCE(gfp & (ARENA_GFP_REFUSED | __GFP_ACCOUNT));
	if (!arena_may_grow(gfp))
		return NULL;
	might_alloc(gfp);
	gfp = arena_block_gfp(gfp);
	base = arena_pool_take(numa_mem_id(), order) ?: arena_block_new(order, gfp, numa_mem_id());
	if (base)
		arena_tell_kmemleak(base, order, gfp);
	return base;
}

/*
 * The device gives the pages that it maps a mapping, so that the kernel can treat them as
 * pages of a file; the page allocator refuses pages that have one. A task that holds a
 * reference may mark the page dirty at any time, and uses the mapping with the lock held.
 */
static void forget_mapping(struct folio *folio)
{
	if (!folio->mapping)
		return;
	folio_lock(folio);
	folio->mapping = NULL;
	folio_unlock(folio);
}

/*
 * Drop our references: one for each page, or one for all where they are a compound page.
 * Programs may hold references of their own, and may be marking the pages dirty.
 *
 * Context: any; may sleep if programs have mapped the block.
 */
void arena_block_put_uncharged(void *base, unsigned int order)
{
	struct page *page = virt_to_page(base), *end = page + (1UL << order);

	while (page < end) {
		struct folio *folio = page_folio(page);

		page += folio_nr_pages(folio);
		forget_mapping(folio);
		folio_put(folio);
	}
}

void arena_block_put(void *base, unsigned int order)
{
	arena_block_put_uncharged(base, order);
	arena_total_uncharge(1L << order);
}

void arena_block_free(void *base, unsigned int order)
{
	kmemleak_free(base);
	/* As in slab_give_back(): someone else may hold a page. */
	if (page_count(virt_to_page(base)) != 1 || !arena_pool_put(base, order))
		arena_block_put(base, order);
}

/* For the pool: a block that nobody else refers to. */
void arena_slab_free(void *base, unsigned int order)
{
	arena_block_put(base, order);
}

/* What an arena with @flags needs beside its slabs, zeroed. Charged as those are (clause 21). */
void *arena_table_alloc(size_t size, unsigned int flags)
{
	gfp_t gfp = ARENA_GFP_META;
	long pages = DIV_ROUND_UP(size, PAGE_SIZE);
	void *table;

	if (flags & ARENA_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	if (!arena_total_charge(pages))
		return NULL;
	table = kvzalloc(size, gfp);
	if (!table)
		arena_total_uncharge(pages);
	return table;
}

void arena_table_free(void *table, size_t size)
{
	if (!table)
		return;
	kvfree(table);
	arena_total_uncharge(DIV_ROUND_UP(size, PAGE_SIZE));
}
