// SPDX-License-Identifier: GPL-2.0
/*
 * Slabs: the memory behind the space of an arena, found through its directory.
 *
 * A slab is allocated outside of any lock. A call that needs one slab charges it to the budget and
 * installs it in its directory entry in one step, under a bit lock that is held for a few
 * instructions. So of all callers that grow the same entry only one charges, and a caller that
 * finds the budget used up also finds the slab that used it up. A caller that cannot get the lock
 * goes on without it, so the entry is written by compare-and-swap, and a caller that finds a slab
 * there already gives its own back.
 *
 * A call that needs several slabs charges and allocates all of them before it installs the
 * first one. Once a slab is in the directory, other callers may have objects in it, so it could
 * not be taken back if a later slab cannot be allocated.
 */
#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/kmemleak.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/events.h"

static unsigned long max_arena_mb;
module_param(max_arena_mb, ulong, 0644);
MODULE_PARM_DESC(max_arena_mb, "Capacity of one arena, in MiB (0: what the cursor can hold)");

/**
 * arena_capacity_max() - The largest capacity that arena_create() accepts.
 *
 * This is the smaller of what the cursor can express, which is 1 TiB less one page, and the
 * module parameter max_arena_mb.
 *
 * Context: Any.
 * Return: Bytes.
 */
size_t arena_capacity_max(void)
{
	size_t limit = cursor_offset(ARENA_CURSOR_MASK - 1) & PAGE_MASK;
	unsigned long mb = READ_ONCE(max_arena_mb);

	return mb && mb < limit >> 20 ? mb << 20 : limit;
}
EXPORT_SYMBOL_GPL(arena_capacity_max);

/*
 * How often to try for the bit lock. A probe that interrupts the holder of the lock on its CPU, and
 * allocates from the same arena, would wait for ever: after so many tries it goes on without the
 * lock. Then two CPUs may charge a slab for the same entry, until one of them finds the slab of the
 * other there.
 */
#define GROW_TRIES	BIT(14)

/*
 * May the pool keep slabs of @arena? Memory charged to a memory cgroup stays with that group,
 * and memory that programs mapped is not passed on to another arena.
 */
static bool slab_may_pool(const struct arena *arena)
{
	return !(arena->flags & (ARENA_ACCOUNT | ARENA_MAPPABLE));
}

/*
 * The gfp flags for a slab. Slabs that programs map are zeroed, and taken from nodes that the
 * cpuset of the task permits, like other memory of programs. Where no PMD can map such a slab, it
 * consists of single pages, and not of one compound page: MADV_COLD may try to split a large folio,
 * and kernels without huge pages report success without splitting it, so that MADV_COLD would start
 * over for ever.
 */
static gfp_t slab_gfp(const struct arena *arena, gfp_t gfp)
{
	gfp = arena_block_gfp(gfp);
	if (arena->flags & ARENA_MAPPABLE) {
		gfp |= __GFP_ZERO | __GFP_HARDWALL;
		if (!arena_maps_huge(arena->slab_shift))
			gfp &= ~__GFP_COMP;
	}
	return gfp | arena_account_gfp(arena->flags);
}

/*
 * The NUMA node for the next slab. For programs, their memory policy decides; for kernel
 * code, it is the node of the CPU that grows the arena.
 */
static int slab_node(const struct arena *arena)
{
	if (arena->flags & ARENA_ON_NODE)
		return arena->node;
	return arena->flags & ARENA_MAPPABLE ? NUMA_NO_NODE : numa_mem_id();
}

/*
 * Give back a slab that is not in the directory, or not any more. If it was in the directory,
 * programs may still hold references to its pages: then it does not enter the pool. Slabs of single
 * pages do not enter the pool either, nor do slabs that the shrinker takes, as they are to go to
 * the page allocator. This function may sleep if the slab is made of single pages.
 */
static void slab_drop(struct arena *arena, void *base, bool charged)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;

	kmemleak_free(base);
	set_page_private(arena_slab_page(arena, base), 0);
	if (charged && slab_may_pool(arena) && !READ_ONCE(arena->shrinking) &&
	    !arena_slab_is_pieced(arena, base) && page_count(virt_to_page(base)) == 1 &&
	    arena_pool_put(base, order))
		return;
	atomic_long_inc(&arena->page_frees);
	if (charged)
		arena_block_put(arena->budget, base, order);
	else
		arena_block_put_uncharged(base, order);
}

/*
 * Turn interrupts off and take the bit lock. Returns false, with interrupts off as well, if that
 * has failed GROW_TRIES times: the caller may have interrupted the holder, and goes on without the
 * lock.
 */
static bool grow_lock(struct arena *arena, unsigned long *flags)
{
	unsigned int tries;

	for (tries = 0; tries < GROW_TRIES; tries++) {
		local_irq_save(*flags);
		if (!test_and_set_bit_lock(ARENA_GROWING, &arena->state))
			return true;
		local_irq_restore(*flags);
		cpu_relax();
	}
	local_irq_save(*flags);
	return false;
}

static void grow_unlock(struct arena *arena, bool locked, unsigned long flags)
{
	if (locked)
		clear_bit_unlock(ARENA_GROWING, &arena->state);
	local_irq_restore(flags);
}

/*
 * Get memory for a slab, from the pool or else from the page allocator. Either slabs_charge() has
 * charged the memory before, or slab_publish() is going to. Returns NULL if there is no memory.
 * Sets *@clean if the page allocator has zeroed the memory, as @gfp or the kernel's boot parameters
 * asked for. Memory from the pool is zeroed piece by piece as it is handed out, so that no single
 * allocation takes long.
 */
static void *slab_take(struct arena *arena, int node, gfp_t gfp, bool *clean)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;
	void *base = slab_may_pool(arena) ? arena_pool_take_uncharged(node, order) : NULL;

	*clean = !base && want_init_on_alloc(gfp);
	if (base) {
		atomic_long_inc(&arena->pool_hits);
	} else {
		struct mem_cgroup *old = set_active_memcg(arena->memcg);

		base = arena_tagged(arena, arena_block_uncharged_or_pages(order, gfp, node));
		set_active_memcg(old);
		if (!base)
			return NULL;
		if (is_vmalloc_addr(base))
			WRITE_ONCE(arena->pieced, true);
		/* A block of the pool is poisoned already. */
		arena_shadow_poison(base, base + arena_slab_size(arena), ARENA_POISON_UNUSED);
		atomic_long_inc(&arena->page_allocs);
	}
	arena_kmemleak_alloc(base, order, gfp);
	return base;
}

/*
 * How many pages may still be charged. slab_publish() charges a slab and installs it under one
 * lock, which this function takes, too. So if slab_publish() on another CPU has used up the room,
 * its slab is installed when this function returns, and the caller that has no room finds that slab
 * in the directory.
 */
static unsigned long grow_room(struct arena *arena)
{
	unsigned long flags;
	bool locked = grow_lock(arena, &flags);
	unsigned long pages = arena_budget_room(arena->budget);

	grow_unlock(arena, locked, flags);
	return pages;
}

/*
 * Write @base, which is charged, to @entry in the directory. Returns false if @entry has a slab
 * already.
 */
static bool slab_enter(struct arena *arena, struct arena_slab *entry, void *base)
{
	const size_t size = arena_slab_size(arena);

	atomic_long_add(size, &arena->committed);
	arena_record_clear(arena, base);
	/*
	 * Full barrier: the slab is zeroed before another CPU can see its address. Pairs with the
	 * address dependency from READ_ONCE(claim->slab->base) in cursor_claim(). Without the
	 * barrier, the zeroing could overwrite an object of the claiming CPU.
	 */
	if (!cmpxchg(&entry->base, NULL, base))
		return true;
	atomic_long_sub(size, &arena->committed);
	return false;
}

/*
 * Charge @base, unless it is @charged already, and install it in @entry. Returns 0; -EEXIST
 * if the entry has a slab already; -ENOMEM if the budget is used up.
 */
static int slab_publish(struct arena *arena, struct arena_slab *entry, void *base, bool charged)
{
	const size_t size = arena_slab_size(arena);
	unsigned long flags;
	bool locked = grow_lock(arena, &flags);
	int err = 0;

	if (READ_ONCE(entry->base)) {
		err = -EEXIST;
	} else if (!charged && !arena_budget_try_charge(arena->budget,
								size >> PAGE_SHIFT)) {
		err = -ENOMEM;
	} else {
		if (!slab_enter(arena, entry, base)) {
			err = -EEXIST;
			if (!charged)
				arena_budget_uncharge(arena->budget, size >> PAGE_SHIFT);
		}
	}
	grow_unlock(arena, locked, flags);
	return err;
}

/* This bit of page_private() says that a slab which is not installed yet is all zero. */
#define SLAB_CLEAN	BIT(BITS_PER_LONG - 1)

/*
 * Store in the first page of a slab the offset at which the slab will be installed, whether it is
 * all zero, and its address, which is not that of the page if the slab is made of single pages. The
 * address is in folio->index, which has another use only once the page is mapped.
 */
static void slab_prepare(struct arena *arena, void *base, size_t index, bool clean)
{
	struct page *first = arena_slab_page(arena, base);

	set_page_private(first, index << arena->slab_shift | (clean ? SLAB_CLEAN : 0));
	page_folio(first)->index = (unsigned long)base;
}

/* The offset at which a gathered slab will be installed. @first is its first page. */
size_t arena_gathered_offset(const struct page *first)
{
	return page_private(first) & ~SLAB_CLEAN;
}

/* The address of a gathered slab. */
void *arena_gathered_base(struct page *first)
{
	return (void *)page_folio(first)->index;
}

/*
 * Store in the first page of a slab its offset, for arena_slab_offset(). If the slab is made of
 * single pages, store in each of them its own offset, for arena_slab_address().
 */
static void slab_name(struct arena *arena, void *base, size_t offset)
{
	size_t at;

	set_page_private(arena_slab_page(arena, base), offset);
	if (!arena_slab_is_pieced(arena, base))
		return;
	for (at = PAGE_SIZE; at < arena_slab_size(arena); at += PAGE_SIZE)
		set_page_private(vmalloc_to_page(base + at), offset + at);
}

/* arena_slab_offset() of a slab that begins at @base, in an arena that has had such slabs. */
size_t arena_pieced_offset(const void *base)
{
	const struct page *first = arena_block_first(base);

	return first ? page_private(first) : 0;
}

/* Raise the end of the directory past slab @index, which was installed. */
static void dir_note(struct arena_dir *dir, size_t index)
{
	/*
	 * The cmpxchg() of the entry in slab_enter() came before this, and is a full barrier. It
	 * pairs with the xchg() of the end in arena_slabs_release(), after which the release looks
	 * at the entries. Either this CPU sees the end that the release has lowered, and raises it
	 * again, or the release sees the entry. Otherwise the slab would be committed above the
	 * end, and no release would find it.
	 */
	arena_raise(&dir->end, index + 1);
}

/* Update the end of @dir and the statistics after slab @index was installed, and trace that. */
static void slab_installed(struct arena *arena, struct arena_dir *dir, size_t index, gfp_t gfp)
{
	dir_note(dir, index);
	arena_raise(&arena->committed_peak, atomic_long_read(&arena->committed));
	arena_trace_grow(arena, index, gfp);
}

static bool slab_committed(const struct arena_dir *dir, size_t index)
{
	const struct arena_slab *entry = arena_dir_entry(dir, index);

	return entry && READ_ONCE(entry->base);
}

/*
 * Install a slab after slab_prepare() and arena_dir_reserve(). Errors are those of
 * slab_publish().
 */
static int slab_install(struct arena *arena, unsigned int set, void *base, bool charged, gfp_t gfp)
{
	const struct page *first = arena_slab_page(arena, base);
	bool clean = page_private(first) & SLAB_CLEAN;
	size_t offset = arena_gathered_offset(first), index = offset >> arena->slab_shift;
	struct arena_dir *dir = arena_dir(arena, set);
	struct arena_slab *entry = arena_dir_entry(dir, index);
	struct arena_snap snap = arena_snap(arena);
	unsigned int tries = 0;
	int err;

	slab_name(arena, base, offset);
	do {
		err = slab_publish(arena, entry, base, charged);
	} while (err == -ENOMEM && tries++ < ARENA_ROOM_TRIES &&
		 arena_budget_make_room(arena->budget, arena_slab_size(arena) >> PAGE_SHIFT, gfp));
	/* If another caller used the room for a slab at this index, this returns -EEXIST. */
	if (err == -ENOMEM)
		err = slab_publish(arena, entry, base, charged);
	if (err)
		return err;
	/*
	 * Record that the slab is all zero in the generation that was read above. If that
	 * generation is over, memory of the slab is zeroed needlessly once more. If the generation
	 * was unsettled, nothing is recorded: a reset may be releasing slabs in that generation,
	 * and take this slab back; then the next slab at this index would pass for zeroed in the
	 * same generation.
	 */
	if (clean && cursor_settled(snap.cursor) && (snap.generation & ARENA_GEN_SET) == set)
		slab_note_clean(entry, snap.generation);
	slab_installed(arena, dir, index, gfp);
	return 0;
}

/*
 * Install a block of the pool as slab @index in @entry. Returns true if the slab is committed
 * afterwards, by this caller or by another one; false if the pool has no block.
 *
 * The block stays charged to the root budget, and moves from the pool to the directory while the
 * bit lock is held. So another caller that grows this arena, and looks for room with the lock held,
 * finds the block in one of the two places.
 */
static bool slab_install_pooled(struct arena *arena, struct arena_dir *dir,
				struct arena_slab *entry, size_t index, gfp_t gfp)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;
	unsigned long flags;
	bool locked = grow_lock(arena, &flags), found = READ_ONCE(entry->base), lost = false;
	void *base = found ? NULL : arena_pool_take(slab_node(arena), order);

	if (base) {
		/* Interrupts are off, so kmemleak must not sleep. */
		arena_kmemleak_alloc(base, order, GFP_ATOMIC);
		/* A block of the pool is contiguous, so only its first page needs the offset. */
		set_page_private(virt_to_page(base), index << arena->slab_shift);
		/* A caller that goes on without the lock may have installed a slab first. */
		lost = !slab_enter(arena, entry, base);
	}
	grow_unlock(arena, locked, flags);
	if (lost) {
		slab_drop(arena, base, true);
	} else if (base) {
		atomic_long_inc(&arena->pool_hits);
		slab_installed(arena, dir, index, gfp);
	}
	return base || found;
}

/*
 * Commit slab @index of a slab set. Returns 0 if it is committed now, by this caller or by
 * another one; -ENOMEM if there is no memory, or @gfp does not permit growing.
 */
int arena_slab_install(struct arena *arena, unsigned int set, size_t index, gfp_t gfp)
{
	const unsigned long pages = arena_slab_size(arena) >> PAGE_SHIFT;
	struct arena_dir *dir = arena_dir(arena, set);
	struct arena_slab *entry;
	void *base = NULL;
	bool clean;
	int err;

	if (!arena_may_grow(gfp))
		return -ENOMEM;
	might_alloc(gfp);
	entry = arena_dir_entry(dir, index);
	if (entry && slab_may_pool(arena) && slab_install_pooled(arena, dir, entry, index, gfp))
		return 0;
	gfp = slab_gfp(arena, gfp);
	if (arena_dir_reserve(arena, dir, index, gfp) &&
	    (grow_room(arena) >= pages || arena_budget_make_room(arena->budget, pages, gfp)))
		base = slab_take(arena, slab_node(arena), gfp, &clean);
	if (!base)
		return slab_committed(dir, index) ? 0 : -ENOMEM;
	slab_prepare(arena, base, index, clean);
	err = slab_install(arena, set, base, false, gfp);
	if (err)
		slab_drop(arena, base, false);
	return err == -EEXIST ? 0 : err;
}

/*
 * Called in each turn of a long loop over slabs: yield if @gfp permits sleeping. Returns 0; or
 * -EINTR if @gfp permits sleeping and the task is being killed.
 */
static int slabs_go_on(gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp))
		return 0;
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Set *@missing to how many of the slabs @first to @last (inclusive) are not committed. No slab is
 * committed at or above the end of the directory. Returns 0 or -EINTR.
 */
static int slabs_missing(const struct arena_dir *dir, size_t first, size_t last, gfp_t gfp,
			 size_t *missing)
{
	size_t end = min_t(size_t, last + 1, atomic_long_read(&dir->end)), i;
	struct arena_slab *entry;
	int err = 0;

	*missing = last + 1 - first;
	for (i = first; !err && (entry = arena_dir_next(dir, &i, end)); i++) {
		*missing -= !!READ_ONCE(entry->base);
		err = slabs_go_on(gfp);
	}
	return err;
}

/*
 * Count the slabs from @first to @last that @dir lacks, set *@nr to that number, and charge all of
 * them at once: so if the budget has room for one of two callers, that one gets all it needs. If
 * there is no room, count again, as another caller may have charged, and then installed, some of
 * the same slabs; fail when the count no longer changes.
 */
static int slabs_charge(struct arena *arena, const struct arena_dir *dir, size_t first,
			size_t last, gfp_t gfp, size_t *nr)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;
	size_t missing, before = SIZE_MAX;

	for (;;) {
		int err = slabs_missing(dir, first, last, gfp, &missing);

		if (err)
			return err;
		if (!missing || (arena_may_grow(gfp) &&
				 arena_budget_charge(arena->budget, missing << order, gfp)))
			break;
		if (missing == before)
			return -ENOMEM;
		before = missing;
		/*
		 * Wait for the bit lock: then each slab that slab_publish() has charged is
		 * installed.
		 */
		grow_room(arena);
	}
	*nr = missing;
	return 0;
}

/*
 * Get memory for slab @index. The slab uses up one of the *@nr slabs that slabs_charge() has
 * charged; if none is left, because a release has given back slabs since, charge one more. Returns
 * NULL if there is no memory.
 */
static void *slab_gather(struct arena *arena, size_t index, int node, gfp_t gfp, size_t *nr)
{
	const unsigned long pages = arena_slab_size(arena) >> PAGE_SHIFT;
	void *base;
	bool clean;

	if (!*nr && !arena_budget_charge(arena->budget, pages, gfp))
		return NULL;
	*nr -= !!*nr;
	base = slab_take(arena, node, gfp, &clean);
	if (!base)
		arena_budget_uncharge(arena->budget, pages);
	if (base)
		slab_prepare(arena, base, index, clean);
	return base;
}

/* Does the work of arena_slabs_gather(), and takes the memory from NUMA node @node. */
static int slabs_gather_on(struct arena *arena, unsigned int set, size_t start, size_t size,
			   int node, gfp_t gfp, struct list_head *slabs)
{
	size_t first = start >> arena->slab_shift, last = (start + size - 1) >> arena->slab_shift;
	struct arena_dir *dir = arena_dir(arena, set);
	size_t i, nr;
	int err = slabs_charge(arena, dir, first, last, gfp, &nr);

	if (err || !nr)
		return err;
	might_alloc(gfp);
	gfp = slab_gfp(arena, gfp);
	for (i = first; !err && i <= last; i++) {
		void *base;

		err = slabs_go_on(gfp);
		if (err || slab_committed(dir, i))
			continue;
		base = arena_dir_reserve(arena, dir, i, gfp) ?
		       slab_gather(arena, i, node, gfp, &nr) : NULL;
		if (base)
			list_add_tail(&arena_slab_page(arena, base)->lru, slabs);
		else
			err = -ENOMEM;
	}
	arena_budget_uncharge(arena->budget, nr << (arena->slab_shift - PAGE_SHIFT));
	return err;
}

/*
 * Charge and allocate the slabs that a slab set lacks for [@start, @start + @size), and add them to
 * @slabs in order, linked by the lru fields of their first pages. They are not installed: no other
 * CPU has seen them, and after an error arena_slabs_drop() undoes everything. Returns 0, -ENOMEM,
 * or -EINTR if the task is being killed.
 */
int arena_slabs_gather(struct arena *arena, unsigned int set, size_t start, size_t size,
		       gfp_t gfp, struct list_head *slabs)
{
	return slabs_gather_on(arena, set, start, size, slab_node(arena), gfp, slabs);
}

/* Give back slabs that were gathered and not installed. */
void arena_slabs_drop(struct arena *arena, struct list_head *slabs, gfp_t gfp)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, slabs, lru) {
		list_del_init(&page->lru);
		slab_drop(arena, arena_gathered_base(page), true);
		slabs_go_on(gfp);
	}
}

/*
 * Install slabs that were gathered. This cannot fail. Returns false if other callers have
 * installed some of the same slabs meanwhile: those serve as well, and the duplicates are freed.
 */
bool arena_slabs_install(struct arena *arena, unsigned int set, struct list_head *slabs, gfp_t gfp)
{
	struct page *page, *next;
	bool all = true;

	list_for_each_entry_safe(page, next, slabs, lru) {
		void *base = arena_gathered_base(page);

		list_del_init(&page->lru);
		if (slab_install(arena, set, base, true, gfp)) {
			slab_drop(arena, base, true);
			all = false;
		}
		slabs_go_on(gfp);
	}
	return all;
}

/*
 * Commit the slabs of a slab set that back [@start, @start + @size), all or none. Returns 0,
 * -ENOMEM, or -EINTR if the task is being killed.
 */
int arena_slabs_populate(struct arena *arena, unsigned int set, size_t start, size_t size,
			 gfp_t gfp)
{
	LIST_HEAD(slabs);
	int err = arena_slabs_gather(arena, set, start, size, gfp, &slabs);

	if (err)
		arena_slabs_drop(arena, &slabs, gfp);
	else
		arena_slabs_install(arena, set, &slabs, gfp);
	return err;
}

/*
 * Give back all slabs of @dir, except those that back the first @keep bytes. No claim
 * succeeds meanwhile: the generation is kept unsettled, or the arena is being destroyed.
 * Returns 0; -EINTR if @killable and the task is being killed: then the rest of the slabs
 * stays committed.
 */
int arena_slabs_release(struct arena *arena, struct arena_dir *dir, size_t keep, bool killable)
{
	size_t first = DIV_ROUND_UP(min(keep, arena->capacity), arena_slab_size(arena)), i, end;
	struct arena_slab *entry;

	if (atomic_long_read(&dir->end) <= first)
		return 0;
	/*
	 * Full barrier: pairs with the cmpxchg() of an entry in slab_enter(), after which
	 * dir_note() looks at the end.
	 */
	end = atomic_long_xchg(&dir->end, first);
	for (i = first; (entry = arena_dir_next(dir, &i, end)); i++) {
		void *base = xchg(&entry->base, NULL);

		if (base) {
			atomic_long_sub(arena_slab_size(arena), &arena->committed);
			slab_drop(arena, base, true);
		}
		cond_resched();
		if (killable && fatal_signal_pending(current)) {
			arena_raise(&dir->end, end);
			return -EINTR;
		}
	}
	return 0;
}

/*
 * Does the work of arena_populate(), and takes the memory from NUMA node @node or, with
 * NUMA_NO_NODE, from the node that the memory policy of the task chooses.
 */
int arena_populate_on(struct arena *arena, size_t bytes, int node, gfp_t gfp)
{
	struct list_head slabs[] = { LIST_HEAD_INIT(slabs[0]), LIST_HEAD_INIT(slabs[1]) };
	int set, err = 0;

	WARN_ON_ONCE(gfp & ARENA_GFP_REFUSED);
	WARN_ON_ONCE(gfp & __GFP_ACCOUNT && !(arena->flags & ARENA_ACCOUNT));
	__arena_might_alloc(gfp);
	BUILD_BUG_ON(ARRAY_SIZE(slabs) != 2);
	if (bytes > arena->capacity)
		return -EINVAL;
	for (set = 0; bytes && !err && set < arena_nr_dirs(arena); set++)
		err = slabs_gather_on(arena, set, 0, bytes, node, gfp, &slabs[set]);
	for (set = 0; set < ARRAY_SIZE(slabs); set++) {
		if (err)
			arena_slabs_drop(arena, &slabs[set], gfp);
		else
			arena_slabs_install(arena, set, &slabs[set], gfp);
	}
	return err;
}

/*
 * Does nothing but the arena refer to its committed pages? The caller has unmapped them from all
 * programs, and keeps faults and releases out. Returns 0 if so; -EAGAIN if not; -EINTR if the task
 * is being killed.
 */
int arena_slabs_unshared(struct arena *arena)
{
	const struct arena_dir *dir = arena_dir(arena, 0);
	size_t end = atomic_long_read(&dir->end), i;
	struct arena_slab *entry;
	int err = 0;

	for (i = 0; !err && (entry = arena_dir_next(dir, &i, end)); i++) {
		void *base = READ_ONCE(entry->base);

		if (base && !arena_block_unshared(base, arena->slab_shift - PAGE_SHIFT))
			return -EAGAIN;
		err = slabs_go_on(GFP_KERNEL);
	}
	return err;
}

/**
 * arena_populate() - Commit memory before allocations need it.
 * @arena: the arena, not NULL.
 * @bytes: bytes to commit, from offset 0 on, at most the capacity; rounded up to whole slabs.
 * @gfp:   how to allocate the slabs, see arena_alloc(). With GFP_KERNEL the call yields between
 *	slabs, as many of them take time.
 *
 * With %ARENA_READERS, the memory is committed in both slab sets. It stays committed until
 * arena_reset_release() or arena_destroy(), and allocations take it in any context, without a
 * lock or the page allocator (clause 2).
 *
 * Context: Any that @gfp fits but NMI.
 * Return: 0; or, with no more committed than before, -EINVAL if @bytes exceeds the capacity;
 * -ENOMEM; -EINTR if the task is being killed.
 */
int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp)
{
	return arena_populate_on(arena, bytes, slab_node(arena), gfp);
}
EXPORT_SYMBOL_GPL(arena_populate);

void *arena_page_address(const struct arena *arena, size_t offset)
{
	void *base = arena_slab_base(arena, arena_snap(arena).generation, offset);

	return base ? base + (offset & (arena_slab_size(arena) - 1) & PAGE_MASK) : NULL;
}

void arena_slabs_exit(struct arena *arena)
{
	int i;

	for (i = 0; i < arena_nr_dirs(arena); i++) {
		arena_slabs_release(arena, arena_dir(arena, i), 0, false);
		if (arena_dir(arena, i)->root)
			arena_dir_exit(arena, arena_dir(arena, i));
	}
}
