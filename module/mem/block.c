// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks of pages: allocating, charging and freeing them.
 */
#include <linux/kmemleak.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "mem/mem.h"
#include "mem/shadow.h"

/*
 * Take a block from the page allocator. The caller charges it, and calls this through
 * arena_tagged(). With NUMA_NO_NODE as @node, the memory policy of the task chooses the node:
 * alloc_pages_node() would ignore that policy. Without __GFP_COMP the block is split into single
 * pages, each with a reference count of its own.
 */
void *arena_block_uncharged(unsigned int order, gfp_t gfp, int node)
{
	struct page *page = node == NUMA_NO_NODE ? alloc_pages_noprof(gfp, order) :
						   alloc_pages_node_noprof(node, gfp, order);

	if (!page)
		return NULL;
	if (!(gfp & __GFP_COMP))
		split_page(page, order);
	return page_address(page);
}

/* Take a block from the page allocator and charge it to the root budget. */
static void *block_new(unsigned int order, gfp_t gfp)
{
	void *base;

	if (!arena_budget_charge(&arena_total, 1L << order, gfp))
		return NULL;
	base = arena_block_uncharged(order, gfp, numa_mem_id());
	if (base)
		arena_shadow_poison(base, base + (PAGE_SIZE << order), ARENA_POISON_UNUSED);
	else
		arena_budget_uncharge(&arena_total, 1L << order);
	return base;
}

gfp_t arena_block_gfp(gfp_t gfp)
{
	return arena_gfp_quiet(gfp & ARENA_GFP_MASK) | __GFP_COMP;
}

/* Take a block from the page allocator, charged to @memcg and to the root budget. */
static void *block_new_charged(unsigned int order, gfp_t gfp, struct mem_cgroup *memcg)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	void *base = block_new(order, gfp | __GFP_ACCOUNT);

	set_active_memcg(old);
	return base;
}

/*
 * Allocate a block for a private arena. It is charged to the root budget and, unless @memcg is
 * NULL, to @memcg. Its contents are undefined.
 */
void *arena_block_alloc(unsigned int order, gfp_t gfp, struct mem_cgroup *memcg)
{
	void *base;

	WARN_ON_ONCE(gfp & ARENA_GFP_REFUSED);
	if (!arena_may_grow(gfp))
		return NULL;
	might_alloc(gfp);
	gfp = arena_block_gfp(gfp);
	if (memcg)
		base = block_new_charged(order, gfp, memcg);
	else
		base = arena_pool_take(numa_mem_id(), order) ?: block_new(order, gfp);
	if (base)
		arena_kmemleak_alloc(base, order, gfp);
	return base;
}

/*
 * Pages that programs have mapped have folio->mapping set, so that the kernel can treat them as
 * pages of a file; the page allocator refuses such pages. Clear folio->mapping with the page
 * locked: a task with a reference may mark the page dirty at any time, and locks the page while it
 * uses the mapping.
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
 * Is the arena's reference the only one to each page of a block? The caller has unmapped the block
 * from all programs.
 */
bool arena_block_unshared(void *base, unsigned int order)
{
	struct page *page = virt_to_page(base), *end = page + (1UL << order);

	for (; page < end; page += folio_nr_pages(page_folio(page)))
		if (folio_ref_count(page_folio(page)) != 1)
			return false;
	return true;
}

/*
 * Drop the arena's references to a block, one for each single page or compound page in it. A page
 * that something else refers to stays charged to @budget until the last reference is gone. With
 * NULL as @budget, the caller knows that nothing else refers to the block.
 */
static void block_put(struct arena_budget *budget, void *base, unsigned int order)
{
	struct page *page = virt_to_page(base), *end = page + (1UL << order);
	unsigned long nr, freed = 0;

	for (; page < end; page += nr) {
		struct folio *folio = page_folio(page);

		nr = folio_nr_pages(folio);
		forget_mapping(folio);
		if (budget && folio_ref_count(folio) != 1) {
			arena_pinned_add(budget, page);
			continue;
		}
		folio_put(folio);
		freed += nr;
	}
	if (budget)
		arena_budget_uncharge(budget, freed);
}

/* Free a block that is not charged, and that nothing else refers to. Any context but NMI. */
void arena_block_put_uncharged(void *base, unsigned int order)
{
	block_put(NULL, base, order);
}

/*
 * Give back a block. Pages that something else still refers to stay charged until the last
 * reference is gone.
 *
 * Context: any but NMI; may sleep if programs have mapped the block.
 */
void arena_block_put(struct arena_budget *budget, void *base, unsigned int order)
{
	block_put(budget, base, order);
}

/* Give back a block from arena_block_alloc(): to the pool, if no memory cgroup is @charged. */
void arena_block_free(void *base, unsigned int order, bool charged)
{
	kmemleak_free(base);
	/* A block that something else refers to must not serve another arena. */
	if (charged || page_count(virt_to_page(base)) != 1 || !arena_pool_put(base, order))
		arena_block_put(&arena_total, base, order);
}

/*
 * Allocate zeroed memory for an arena's bookkeeping. It is charged to @budget as slabs are (clause
 * 21), and to the active memory cgroup if @gfp has __GFP_ACCOUNT. The caller is creating an arena:
 * memory allocation profiling counts the table for the line of code that creates it.
 */
void *arena_table_alloc(struct arena_budget *budget, size_t size, gfp_t gfp)
{
	long pages = DIV_ROUND_UP(size, PAGE_SIZE);
	void *table;

	gfp |= ARENA_GFP_META;
	if (!arena_budget_charge(budget, pages, gfp))
		return NULL;
	table = kvmalloc_node_noprof(size, gfp | __GFP_ZERO, NUMA_NO_NODE);
	if (!table)
		arena_budget_uncharge(budget, pages);
	return table;
}

void arena_table_free(struct arena_budget *budget, void *table, size_t size)
{
	if (!table)
		return;
	kvfree(table);
	arena_budget_uncharge(budget, DIV_ROUND_UP(size, PAGE_SIZE));
}
