// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks of pages: allocating, charging and freeing them.
 *
 * A block is contiguous physical memory or, where memory is too fragmented for that, single pages
 * under one vmap(). A block must be aligned to its size, and vmap() aligns to a page only. So all
 * pages but the last one are mapped twice, one series after the other: then each stretch of the
 * view that has the size of the block contains each page once, and one such stretch is aligned.
 * The lru field of the second page of the block remembers the view.
 *
 * The first pages of blocks of single pages are also in a table, by the address of the block.
 * vmalloc_to_page() walks the page tables of the kernel: for an address that is unmapped meanwhile
 * it returns NULL or another page. The table can be asked about any address.
 */
#include <linux/kmemleak.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

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

/* The first page of each block of single pages, by the address of the block in pages. */
static DEFINE_XARRAY(pieced);

static unsigned long pieced_key(const void *base)
{
	return (unsigned long)base >> PAGE_SHIFT;
}

/*
 * The first page of the block at @base, or NULL if @base is not mapped, or lies in vmalloc() memory
 * and no block begins there. If @base lies elsewhere, the page need not belong to a block. Any
 * context.
 */
struct page *arena_block_first(const void *base)
{
	if (!is_vmalloc_addr(base))
		return virt_addr_valid(base) ? virt_to_page(base) : NULL;
	/*
	 * Pairs with the cmpxchg() in slab_enter(), which comes after the block was entered into
	 * the table: a CPU that has read the address of the block from a directory finds its page.
	 */
	smp_rmb();
	return xa_load(&pieced, pieced_key(base));
}

/*
 * Map @nr pages as a block, and enter it into the table. @pages has room for 2 * @nr - 1 pointers.
 * Returns NULL if there is no memory for that.
 */
static void *pages_join(struct page **pages, unsigned long nr)
{
	void *view, *base;
	struct page **first;

	memcpy(pages + nr, pages, (nr - 1) * sizeof(*pages));
	view = vmap(pages, 2 * nr - 1, VM_MAP, PAGE_KERNEL);
	if (!view)
		return NULL;
	/* The rest of the view maps the same pages: with KASAN, nothing may access it. */
	arena_shadow_poison(view, view + (2 * nr - 1) * PAGE_SIZE, ARENA_POISON_UNUSED);
	base = PTR_ALIGN(view, nr * PAGE_SIZE);
	first = pages + ((base - view) >> PAGE_SHIFT);
	if (xa_err(xa_store(&pieced, pieced_key(base), first[0], ARENA_GFP_META))) {
		vunmap(view);
		return NULL;
	}
	first[1]->lru.next = view;
	return base;
}

static void *block_of_pages(unsigned int order, gfp_t gfp, int node)
{
	unsigned long nr = 1UL << order, i;
	struct page **pages = kvmalloc_array(2 * nr - 1, sizeof(*pages), ARENA_GFP_META);
	void *page, *base = NULL;

	for (i = 0; pages && i < nr; i++) {
		page = fatal_signal_pending(current) ? NULL :
						       arena_block_uncharged(0, gfp, node);
		if (!page)
			break;
		pages[i] = virt_to_page(page);
		cond_resched();
	}
	if (pages && i == nr)
		base = pages_join(pages, nr);
	while (!base && i--)
		put_page(pages[i]);
	kvfree(pages);
	return base;
}

/*
 * As arena_block_uncharged(). But where the caller may sleep, this does not fail because memory is
 * fragmented: if there is no contiguous block, the block is made of single pages. For large blocks
 * that comes before much reclaim and compaction. vmap() allocates with GFP_KERNEL, so @gfp must
 * permit all of that.
 */
void *arena_block_uncharged_or_pages(unsigned int order, gfp_t gfp, int node)
{
	const gfp_t light = (gfp & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY;
	void *base;

	if (!order || (gfp & GFP_KERNEL) != GFP_KERNEL)
		return arena_block_uncharged(order, gfp, node);
	base = arena_block_uncharged(order, order > PAGE_ALLOC_COSTLY_ORDER ? light : gfp, node);
	return base ?: block_of_pages(order, gfp, node);
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
bool arena_block_unshared(const void *base, unsigned int order)
{
	const void *end = base + (PAGE_SIZE << order);
	struct folio *folio;

	for (; base < end; base += folio_nr_pages(folio) << PAGE_SHIFT) {
		folio = page_folio(arena_block_page(base));
		if (folio_ref_count(folio) != 1)
			return false;
	}
	return true;
}

/*
 * Drop the arena's reference to @page, a single page or the head of a compound page. If something
 * else refers to it, it stays charged to @budget until the last reference is gone. With NULL as
 * @budget, the caller knows that nothing else refers to it. Returns how many pages were freed.
 */
static unsigned long page_drop(struct arena_budget *budget, struct page *page)
{
	struct folio *folio = page_folio(page);
	unsigned long nr = folio_nr_pages(folio);

	forget_mapping(folio);
	if (budget && folio_ref_count(folio) != 1) {
		arena_pinned_add(budget, page);
		return 0;
	}
	folio_put(folio);
	return nr;
}

static unsigned long contiguous_put(struct arena_budget *budget, void *base, unsigned int order)
{
	struct page *page = virt_to_page(base), *end = page + (1UL << order);
	unsigned long nr, freed = 0;

	for (; page < end; page += nr) {
		nr = folio_nr_pages(page_folio(page));
		freed += page_drop(budget, page);
	}
	return freed;
}

/* Unmap a block of single pages before the first of them is freed. May sleep. */
static unsigned long pieced_put(struct arena_budget *budget, void *base, unsigned int order)
{
	void *view = vmalloc_to_page(base + PAGE_SIZE)->lru.next, *at;
	struct page *page, *next;
	unsigned long freed = 0;
	LIST_HEAD(pages);

	xa_erase(&pieced, pieced_key(base));
	for (at = base; at < base + (PAGE_SIZE << order); at += PAGE_SIZE) {
		page = vmalloc_to_page(at);
		set_page_private(page, 0);
		list_add_tail(&page->lru, &pages);
	}
	vunmap(view);
	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del_init(&page->lru);
		freed += page_drop(budget, page);
	}
	return freed;
}

/* Drop the arena's references to a block, one for each single page or compound page in it. */
static void block_put(struct arena_budget *budget, void *base, unsigned int order)
{
	unsigned long freed = is_vmalloc_addr(base) ? pieced_put(budget, base, order) :
						      contiguous_put(budget, base, order);

	if (budget)
		arena_budget_uncharge(budget, freed);
}

/*
 * Free a block that is not charged, and that nothing else refers to. Any context but NMI; may sleep
 * if the block is made of single pages.
 */
void arena_block_put_uncharged(void *base, unsigned int order)
{
	block_put(NULL, base, order);
}

/*
 * Give back a block. Pages that something else still refers to stay charged until the last
 * reference is gone.
 *
 * Context: any but NMI; may sleep if programs have mapped the block, or if it is made of single
 * pages.
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
