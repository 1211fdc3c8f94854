// SPDX-License-Identifier: GPL-2.0
/*
 * The pool keeps blocks that arenas gave back for the next arena, so that arenas which come and go
 * need not call the page allocator. It is per node and bounded, and a shrinker frees its blocks
 * under memory pressure. While memory allocation profiling is on, the pool is not used: profiling
 * counts a block for the line of code that took it from the page allocator, even while another
 * arena uses it, and no module can change that.
 *
 * For each node and size, the pool keeps one block apart from the others: an arena takes it by one
 * exchange, and gives one back by one compare-and-swap. The others are in lists, which a raw
 * spinlock of the node protects; the lock is held for a few stores. Arenas use the pool only when
 * they grow or give memory back. A block in the pool has no other reference and is charged to no
 * memory cgroup.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "compat.h"
#include "mem/mem.h"
#include "mem/shadow.h"

static unsigned int pool_mb = 32;
module_param(pool_mb, uint, 0644);
MODULE_PARM_DESC(pool_mb, "Memory of arenas to keep for others, in MiB for each node");

#define POOL_ORDERS	(ilog2(ARENA_SLAB_MAX) - PAGE_SHIFT + 1)

/**
 * struct pool_node - the blocks of one node that are in the pool.
 * @pages:  upper bound of the pages in all these blocks; at most pool_mb's worth.
 * @last:   for each order, one block or NULL.
 * @lock:   protects @blocks.
 * @blocks: for each order, a list of the other blocks, linked by the lru field of their pages.
 */
struct pool_node {
	atomic_long_t		pages;
	struct page		*last[POOL_ORDERS];
	raw_spinlock_t		lock;
	struct list_head	blocks[POOL_ORDERS];
};

static struct pool_node **pool;
static atomic_long_t reclaimed;	/* pages freed under memory pressure, from idle arenas, too */
static struct shrinker *pool_shrinker;

/*
 * Returns NULL before arena_pool_init() has run: if the module is built in, other built-in code
 * may create arenas earlier.
 */
static struct pool_node *pool_of(int nid)
{
	/*
	 * Address dependency: pairs with the release in arena_pool_init(). Whoever reads the
	 * pointer reads the nodes as they were initialized.
	 */
	struct pool_node **nodes = READ_ONCE(pool);

	return nodes ? nodes[nid] : NULL;
}

/* Returns the pool of node @nid; NULL while profiling is on, or before arena_pool_init(). */
static struct pool_node *pool_in_use(int nid)
{
	return mem_alloc_profiling_enabled() ? NULL : pool_of(nid);
}

static struct page *pool_pop(struct pool_node *node, unsigned int order)
{
	unsigned long flags;
	struct page *page;

	raw_spin_lock_irqsave(&node->lock, flags);
	page = list_first_entry_or_null(&node->blocks[order], struct page, lru);
	if (page)
		list_del_init(&page->lru);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	return page;
}

static void pool_push(struct pool_node *node, unsigned int order, struct page *page)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	list_add(&page->lru, &node->blocks[order]);
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/* Take a block off @node, or return NULL. The caller must subtract it from @node->pages. */
static void *pool_pick(struct pool_node *node, unsigned int order)
{
	struct page *page = NULL;

	if (!atomic_long_read(&node->pages))
		return NULL;
	/*
	 * The xchg() is a full barrier and pairs with the cmpxchg() in pool_keep(), so that the
	 * accesses by the block's last owner come before those of the caller.
	 */
	if (READ_ONCE(node->last[order]))
		page = xchg(&node->last[order], NULL);
	if (!page)
		page = pool_pop(node, order);
	return page ? page_address(page) : NULL;
}

static void pool_keep(struct pool_node *node, unsigned int order, struct page *page)
{
	/*
	 * Full barrier: pairs with the xchg() in pool_pick(), so that accesses by the block's last
	 * owner come before those by the next one.
	 */
	if (READ_ONCE(node->last[order]) || cmpxchg(&node->last[order], NULL, page))
		pool_push(node, order, page);
}

/*
 * Take a block of node @nid from the pool, or return NULL. The block stays charged to the root
 * budget; its contents are undefined. Any context but NMI.
 */
void *arena_pool_take(int nid, unsigned int order)
{
	struct pool_node *node = pool_in_use(nid);
	void *base = node ? pool_pick(node, order) : NULL;

	if (base)
		atomic_long_sub(1L << order, &node->pages);
	return base;
}

/*
 * Take a block of node @nid from the pool and uncharge it from the root budget, or return NULL. The
 * block is uncharged before it is subtracted from the pool. So a caller that looks for room between
 * the two steps counts the block twice, and tries again. In the other order, that caller would find
 * neither the block in the pool nor room in the budget, and would give up.
 */
void *arena_pool_take_uncharged(int nid, unsigned int order)
{
	struct pool_node *node = pool_in_use(nid);
	void *base = node ? pool_pick(node, order) : NULL;

	if (base) {
		arena_budget_uncharge(&arena_total, 1L << order);
		atomic_long_sub(1L << order, &node->pages);
	}
	return base;
}

/*
 * Keep a block for the next arena. Returns false if the pool is full, or not set up yet: then the
 * caller keeps the block.
 */
bool arena_pool_put(void *base, unsigned int order)
{
	long limit = arena_mb_to_pages(READ_ONCE(pool_mb));
	struct page *page = virt_to_page(base);
	struct pool_node *node = pool_in_use(page_to_nid(page));

	if (!node)
		return false;
	if (want_init_on_free())
		arena_zero(base, PAGE_SIZE << order);
	if (!arena_charge(&node->pages, 1L << order, limit))
		return false;
	arena_shadow_poison(base, base + (PAGE_SIZE << order), ARENA_POISON_FREED);
	pool_keep(node, order, page);
	return true;
}

/* Free blocks of @node, largest first, until they sum up to @pages; returns the pages freed. */
static unsigned long pool_drain(struct pool_node *node, unsigned long pages)
{
	unsigned long freed = 0;
	int order;
	void *base;

	for (order = POOL_ORDERS - 1; order >= 0; order--) {
		while (freed < pages && (base = pool_pick(node, order))) {
			arena_block_put(&arena_total, base, order);
			/*
			 * Subtract the block only after arena_block_put() has uncharged it. A
			 * caller that looks for room between the two steps then counts the block
			 * twice, and tries again. In the other order, the caller would find
			 * neither the block nor room, and would give up.
			 */
			atomic_long_sub(1L << order, &node->pages);
			freed += 1UL << order;
		}
	}
	return freed;
}

/* Free blocks of any node until they sum up to @pages; returns the pages freed. */
unsigned long arena_pool_shrink(unsigned long pages)
{
	unsigned long freed = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids && freed < pages; nid++)
		if (pool_of(nid))
			freed += pool_drain(pool_of(nid), pages - freed);
	return freed;
}

/* Free all blocks in the pool. */
void arena_pool_drain(void)
{
	arena_pool_shrink(ULONG_MAX);
}

unsigned long arena_pool_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		if (pool_of(nid))
			pages += atomic_long_read(&pool_of(nid)->pages);
	return pages;
}

unsigned long arena_pool_reclaimed(void)
{
	return atomic_long_read(&reclaimed);
}

/* The shrinker of idle arenas has given back @pages. */
void arena_pool_note_reclaimed(unsigned long pages)
{
	atomic_long_add(pages, &reclaimed);
}

static unsigned long pool_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct pool_node *node = pool_of(sc->nid);

	return (node ? atomic_long_read(&node->pages) : 0) ?: SHRINK_EMPTY;
}

static unsigned long pool_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct pool_node *node = pool_of(sc->nid);
	unsigned long freed = node ? pool_drain(node, sc->nr_to_scan) : 0;

	arena_pool_note_reclaimed(freed);
	return freed ?: SHRINK_STOP;
}

static void pool_free(struct pool_node **nodes)
{
	int nid;

	for (nid = 0; nodes && nid < nr_node_ids; nid++)
		kfree(nodes[nid]);
	kfree(nodes);
}

static struct pool_node *pool_node_alloc(void)
{
	struct pool_node *node = kzalloc_obj(*node, GFP_KERNEL);
	int order;

	if (!node)
		return NULL;
	raw_spin_lock_init(&node->lock);
	for (order = 0; order < POOL_ORDERS; order++)
		INIT_LIST_HEAD(&node->blocks[order]);
	return node;
}

struct shrinker *arena_shrinker_register(const char *name, unsigned int flags,
					 arena_shrink_fn count, arena_shrink_fn scan)
{
	struct shrinker *shrinker = shrinker_alloc(flags, "%s", name);

	if (shrinker) {
		shrinker->count_objects = count;
		shrinker->scan_objects = scan;
		shrinker_register(shrinker);
	}
	return shrinker;
}

int arena_pool_init(void)
{
	struct pool_node **nodes = kcalloc(nr_node_ids, sizeof(*nodes), GFP_KERNEL);
	int nid;

	for (nid = 0; nodes && nid < nr_node_ids; nid++) {
		nodes[nid] = pool_node_alloc();
		if (!nodes[nid])
			break;
	}
	if (nodes && nid == nr_node_ids)
		pool_shrinker = arena_shrinker_register("arena-pool", SHRINKER_NUMA_AWARE,
							pool_count, pool_scan);
	if (!pool_shrinker) {
		pool_free(nodes);
		return -ENOMEM;
	}
	/* Release: pairs with the address dependency in pool_of(), after the nodes are complete. */
	smp_store_release(&pool, nodes);
	return 0;
}

void arena_pool_exit(void)
{
	struct pool_node **nodes = pool;

	shrinker_free(pool_shrinker);
	arena_pool_drain();
	WRITE_ONCE(pool, NULL);
	pool_free(nodes);
}
