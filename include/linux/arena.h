/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In-kernel arenas: many objects, one lifetime, one reset.
 *
 * An arena is a linear space [0, capacity) that hands out memory by bumping a
 * cursor and takes everything back in one step.
 *
 * Best suited for
 *  - many small objects that die together: a parsed request, a trace record,
 *    a table that is rebuilt as a whole;
 *  - contexts in which the page allocator is not dependable: memory committed
 *    beforehand (arena_populate()) is handed out without a lock, in any
 *    context, NMI included.
 *
 * Limitations
 *  - single objects are not freed; a reset frees them all;
 *  - memory is not for kfree(), and objects larger than a slab are not for
 *    virt_to_page();
 *  - a pointer dies at the next reset, and nothing tells the one who holds it.
 *
 * Which call may run against which, for one arena (shared ones; "any" is task,
 * softirq, hardirq and NMI):
 *
 *  =====================  ==========  =====  =============  =====  =======
 *  call                   context     alloc  offset, stats  reset  destroy
 *  =====================  ==========  =====  =============  =====  =======
 *  arena_alloc and kin    any [1]     yes    yes            yes    no
 *  arena_offset, _high    any         yes    yes            yes    no
 *  arena_stats            any         yes    yes            yes    no
 *  arena_populate         task        yes    yes            yes    no
 *  arena_reset            not NMI     yes    yes            yes    no
 *  arena_reset_rcu        not NMI     yes    yes            yes    no
 *  arena_reset_release    task        yes    yes            yes    no
 *  arena_reset_zero       task        yes    yes            yes    no
 *  arena_destroy          task        no     no             no     no
 *  =====================  ==========  =====  =============  =====  =======
 *
 *  [1] with the gfp flags that the context allows; NMI never grows an arena.
 *
 * "alloc against reset" is safe for the allocator, not for the object: it
 * belongs to the generation before or after, and may be dead on arrival.
 */
#ifndef _LINUX_ARENA_H
#define _LINUX_ARENA_H

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct arena;

/**
 * DOC: arena flags
 *
 * %ARENA_SPANS: give every CPU a stretch of the space to bump in alone, so that
 * CPUs do not share a cache line. Costs memory per CPU; the order of offsets
 * is no longer the order of allocation, and a full arena may leave tails
 * behind (clause 16). Without it the arena is dense.
 *
 * %ARENA_ON_NODE: take memory from &arena_config.node rather than from the node
 * of the CPU that grows the arena.
 *
 * %ARENA_ACCOUNT: charge memory to the memory cgroup of the creating task,
 * whoever triggers the growth. Charged slabs never enter the shared pool.
 *
 * %ARENA_ZERO: every object is zero when handed out, as if each call had
 * __GFP_ZERO.
 *
 * %ARENA_READERS: arena_reset_rcu() will be used. Costs a second slab directory,
 * and where it is used, a second set of slabs.
 */
#define ARENA_SPANS		BIT(0)
#define ARENA_ON_NODE		BIT(1)
#define ARENA_ACCOUNT		BIT(2)
#define ARENA_ZERO		BIT(3)
#define ARENA_READERS		BIT(4)

/** ARENA_MIN_ALIGN - alignment, in bytes, of what arena_alloc() returns. */
#define ARENA_MIN_ALIGN		sizeof(long)

/** ARENA_SLAB_MAX - the largest slab, in bytes. */
#define ARENA_SLAB_MAX		SZ_2M

/**
 * ARENA_NOGROW - gfp argument: use committed memory or fail, never allocate.
 */
#define ARENA_NOGROW		((__force gfp_t)0)

/**
 * struct arena_config - what arena_create() makes.
 * @name:	for humans (debugfs, traces); copied, may be NULL.
 * @capacity:	size of the space in bytes, not 0, at most arena_capacity_max().
 * @slab_size:	bytes that one slab backs: a power of two, at least %PAGE_SIZE,
 *		at most %ARENA_SLAB_MAX; 0 picks one that suits the capacity.
 * @node:	NUMA node, meaningful with %ARENA_ON_NODE.
 * @flags:	ARENA_* flags; unknown ones are refused.
 */
struct arena_config {
	const char	*name;
	size_t		capacity;
	size_t		slab_size;
	int		node;
	unsigned int	flags;
};

/**
 * struct arena_stats - what an arena did so far (clause 8).
 * @generation:	 the current generation; grows at every reset.
 * @capacity:	 bytes in all.
 * @used:	 bytes handed out in this generation, see arena_offset().
 * @padding:	 bytes lost to alignment, slab tails and span tails.
 * @free:	 bytes not handed out; used + padding + free == capacity when
 *		 quiet (clause 7).
 * @high:	 no object ends above this offset.
 * @peak:	 the highest @high of any generation, bytes.
 * @committed:	 bytes of slabs held now.
 * @committed_peak: the most bytes of slabs ever held.
 * @slab_size:	 bytes in one slab.
 * @slabs:	 slabs held now.
 * @slabs_kept:	 slabs that the last reset kept.
 * @resets:	 resets of any kind.
 * @allocs:	 successful allocations since creation.
 * @fail_space:	 failures for want of space.
 * @fail_memory: failures for want of memory.
 * @fail_arg:	 failures for a bad argument.
 * @page_allocs: slabs taken from the page allocator.
 * @page_frees:	 slabs given back to the page allocator.
 * @pool_hits:	 slabs taken from the pool of retired ones instead.
 */
struct arena_stats {
	u64	generation;
	size_t	capacity;
	size_t	used;
	size_t	padding;
	size_t	free;
	size_t	high;
	size_t	peak;
	size_t	committed;
	size_t	committed_peak;
	size_t	slab_size;
	size_t	slabs;
	size_t	slabs_kept;
	u64	resets;
	u64	allocs;
	u64	fail_space;
	u64	fail_memory;
	u64	fail_arg;
	u64	page_allocs;
	u64	page_frees;
	u64	pool_hits;
};

struct arena *arena_create(const struct arena_config *config);
void arena_destroy(struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size, gfp_t gfp) __malloc;
void *arena_zalloc(struct arena *arena, size_t size, gfp_t gfp) __malloc;
void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align,
			  gfp_t gfp) __malloc;
int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp);

size_t arena_offset(const struct arena *arena);
size_t arena_high(const struct arena *arena);
size_t arena_capacity(const struct arena *arena);
size_t arena_capacity_max(void);
void arena_stats(const struct arena *arena, struct arena_stats *stats);

int arena_reset(struct arena *arena);
int arena_reset_rcu(struct arena *arena);
void arena_reset_release(struct arena *arena, size_t keep);
void arena_reset_zero(struct arena *arena);

#endif /* _LINUX_ARENA_H */
