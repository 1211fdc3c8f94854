// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of retired slabs, so that arenas which come and go leave the page
 * allocator alone. Bounded, per node, and given back under memory pressure.
 *
 * Takes no lock: a place in the pool is a pointer, taken and filled by exchange.
 * Only slabs with no other reference and charged to nobody come here.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "compat.h"
#include "internal.h"

static unsigned int pool_mb = 32;
module_param(pool_mb, uint, 0644);
MODULE_PARM_DESC(pool_mb, "Retired slabs to keep for the next arena, in MiB for each node");

#define POOL_ORDERS	(ilog2(ARENA_SLAB_MAX) - PAGE_SHIFT + 1)
#define POOL_PLACES	64

/**
 * struct pool_node - retired slabs of one node.
 * @pages: how many pages they are, at most pool_mb's worth.
 * @place: kernel addresses by order, NULL where empty.
 */
struct pool_node {
	atomic_long_t	pages;
	void		*place[POOL_ORDERS][POOL_PLACES];
};

static struct pool_node **pool;
static struct shrinker *pool_shrinker;

static void *pool_take(struct pool_node *node, unsigned int order)
{
	void **place = node->place[order];
	int i;

	if (!atomic_long_read(&node->pages))
		return NULL;
	for (i = 0; i < POOL_PLACES; i++) {
		void *base = READ_ONCE(place[i]) ? xchg(&place[i], NULL) : NULL;

		if (base) {
			atomic_long_sub(1L << order, &node->pages);
			return base;
		}
	}
	return NULL;
}

/* A retired slab of @node, contents undefined, or NULL. Any context but NMI. */
void *arena_pool_take(int node, unsigned int order)
{
	return pool_take(pool[node], order);
}

static bool pool_reserve(struct pool_node *node, unsigned int order)
{
	long limit = (long)READ_ONCE(pool_mb) << (20 - PAGE_SHIFT);
	long old = atomic_long_read(&node->pages);

	do {
		if (1L << order > limit - old)
			return false;
	} while (!atomic_long_try_cmpxchg(&node->pages, &old, old + (1L << order)));
	return true;
}

/* Keep a slab for the next arena; false if the pool is full. */
bool arena_pool_put(void *base, unsigned int order)
{
	struct pool_node *node = pool[page_to_nid(virt_to_page(base))];
	int i;

	if (!pool_reserve(node, order))
		return false;
	if (want_init_on_free())
		memset(base, 0, PAGE_SIZE << order);
	for (i = 0; i < POOL_PLACES; i++)
		/* Full barrier: our last use of the slab comes before the next one's first. */
		if (!READ_ONCE(node->place[order][i]) &&
		    !cmpxchg(&node->place[order][i], NULL, base))
			return true;
	atomic_long_sub(1L << order, &node->pages);
	return false;
}

static unsigned long pool_drain(struct pool_node *node, unsigned long pages)
{
	unsigned long freed = 0;
	int order;
	void *base;

	for (order = POOL_ORDERS - 1; order >= 0; order--) {
		while (freed < pages && (base = pool_take(node, order))) {
			arena_slab_free(base, order);
			freed += 1UL << order;
		}
	}
	return freed;
}

/* Give back all; returns the number of pages. */
unsigned long arena_pool_drain(void)
{
	unsigned long freed = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		freed += pool_drain(pool[nid], ULONG_MAX);
	return freed;
}

unsigned long arena_pool_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		pages += atomic_long_read(&pool[nid]->pages);
	return pages;
}

static unsigned long pool_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return atomic_long_read(&pool[sc->nid]->pages) ?: SHRINK_EMPTY;
}

static unsigned long pool_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	return pool_drain(pool[sc->nid], sc->nr_to_scan) ?: SHRINK_STOP;
}

static void pool_free(void)
{
	int nid;

	for (nid = 0; pool && nid < nr_node_ids; nid++)
		kfree(pool[nid]);
	kfree(pool);
}

int arena_pool_init(void)
{
	int nid;

	pool = kcalloc(nr_node_ids, sizeof(*pool), GFP_KERNEL);
	for (nid = 0; pool && nid < nr_node_ids; nid++) {
		pool[nid] = kzalloc(sizeof(**pool), GFP_KERNEL);
		if (!pool[nid])
			break;
	}
	if (pool && nid == nr_node_ids)
		pool_shrinker = arena_shrinker_register("arena-pool", pool_count, pool_scan);
	if (!pool_shrinker) {
		pool_free();
		return -ENOMEM;
	}
	return 0;
}

void arena_pool_exit(void)
{
	arena_shrinker_unregister(pool_shrinker);
	arena_pool_drain();
	pool_free();
}
