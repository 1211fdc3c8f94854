// SPDX-License-Identifier: GPL-2.0
/*
 * Slabs: the memory behind the space of an arena, found by way of its directory.
 *
 * A slab is allocated outside of any lock. Charging it to the budget and installing it in
 * its directory entry are one step, under a bit lock that is held for a few instructions:
 * of all callers that grow the same entry only one charges, and a caller that finds the
 * budget used up also finds the slab that used it up. The entry itself is written by
 * compare-and-swap, and a caller that loses the race gives its pages back.
 *
 * A call that needs several slabs charges and allocates all of them before it installs the
 * first: once a slab is in the directory, other callers may have objects in it, and it
 * cannot be taken back where a later one is not to be had.
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
 * The smaller of what the cursor can express, one tebibyte less a page, and the
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
 * How often to try for the bit lock. A probe that interrupts its holder on this CPU and
 * allocates here cannot wait for it: it goes on without. Then a slab may be charged twice
 * for a moment, and nothing else goes wrong.
 */
#define GROW_TRIES	BIT(14)

/* Charged memory stays with whom it is charged to; what user space mapped is not passed on. */
static bool slab_may_pool(const struct arena *arena)
{
	return !(arena->flags & (ARENA_ACCOUNT | ARENA_MAPPABLE));
}

/*
 * A slab that programs map is allocated as their own memory is. Where no PMD maps it, it is
 * made of single pages, which the kernel treats one by one. A larger one it may try to
 * split; kernels without huge pages call that a success, and MADV_COLD begins anew for ever.
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

/* Programs have a memory policy; kernel code allocates where it runs. */
static int slab_node(const struct arena *arena)
{
	if (arena->flags & ARENA_ON_NODE)
		return arena->node;
	return arena->flags & ARENA_MAPPABLE ? NUMA_NO_NODE : numa_mem_id();
}

/*
 * Give back a slab that is not in the directory, or no longer. Programs may still hold
 * pages of one that was.
 */
static void slab_drop(struct arena *arena, void *base, bool charged)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;

	kmemleak_free(base);
	set_page_private(virt_to_page(base), 0);
	if (charged && slab_may_pool(arena) && page_count(virt_to_page(base)) == 1 &&
	    arena_pool_put(base, order))
		return;
	atomic_long_inc(&arena->page_frees);
	if (charged)
		arena_block_put(arena->budget, base, order);
	else
		arena_block_put_uncharged(base, order);
}

/* False where the lock is not to be had, see %GROW_TRIES. */
static bool grow_lock(struct arena *arena, unsigned long *flags)
{
	unsigned int tries;

	for (tries = 0; tries < GROW_TRIES; tries++) {
		local_irq_save(*flags);
		if (!test_and_set_bit_lock(0, &arena->growing))
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
		clear_bit_unlock(0, &arena->growing);
	local_irq_restore(flags);
}

/*
 * Memory for a slab, which slab_publish() charges. What comes from the pool is not zeroed: where that is
 * asked for, it is done as the memory is handed out, little by little, and not all of it in
 * one allocation. The page allocator zeroes by itself; then @clean.
 */
static void *slab_take(struct arena *arena, gfp_t gfp, bool *clean)
{
	unsigned int order = arena->slab_shift - PAGE_SHIFT;
	int node = slab_node(arena);
	void *base = slab_may_pool(arena) ? arena_pool_take_uncharged(node, order) : NULL;

	*clean = !base && want_init_on_alloc(gfp);
	if (base) {
		atomic_long_inc(&arena->pool_hits);
	} else {
		struct mem_cgroup *old = set_active_memcg(arena->memcg);

		base = arena_block_uncharged(order, gfp, node);
		set_active_memcg(old);
		if (!base)
			return NULL;
		atomic_long_inc(&arena->page_allocs);
	}
	arena_tell_kmemleak(base, order, gfp);
	return base;
}

/* Pages left in the budget, where all that this arena has charged is installed. */
static unsigned long grow_room(struct arena *arena)
{
	unsigned long flags;
	bool locked = grow_lock(arena, &flags);
	unsigned long pages = arena_budget_room(arena->budget);

	grow_unlock(arena, locked, flags);
	return pages;
}

/*
 * Charge @base, unless it is @charged, and install it: the step that %GROW_TRIES is about.
 * -EEXIST if there is a slab already, -ENOMEM if the budget is used up.
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
		atomic_long_add(size, &arena->committed);
		/*
		 * Full barrier: the zeroing of the slab comes before its address. Pairs with
		 * the address dependency from READ_ONCE(entry->base) in whoever claims a
		 * part of it.
		 */
		if (cmpxchg(&entry->base, NULL, base)) {
			err = -EEXIST;
			atomic_long_sub(size, &arena->committed);
			if (!charged)
				arena_budget_uncharge(arena->budget, size >> PAGE_SHIFT);
		}
	}
	grow_unlock(arena, locked, flags);
	return err;
}

/* In page_private() of a slab that is not installed yet: it is all zero. */
#define SLAB_CLEAN	BIT(BITS_PER_LONG - 1)

/* Note where a slab is going to be, and whether it is all zero. */
static void slab_prepare(void *base, size_t index, bool clean)
{
	set_page_private(virt_to_page(base), index | (clean ? SLAB_CLEAN : 0));
}

/* Of a slab that was gathered and is not installed yet. */
size_t arena_gathered_index(const struct page *page)
{
	return page_private(page) & ~SLAB_CLEAN;
}

/* Slab @index was installed: raise the end of the directory past it. */
static void dir_note(struct arena_dir *dir, size_t index)
{
	/*
	 * Pairs with the xchg() in arena_slabs_release(): after the full barrier of the
	 * cmpxchg() of the entry, either this sees the end that a release has lowered, and
	 * raises it again, or the release sees the entry.
	 */
	arena_raise(&dir->end, index + 1);
}

static bool slab_committed(const struct arena_dir *dir, size_t index)
{
	const struct arena_slab *entry = arena_dir_entry(dir, index);

	return entry && READ_ONCE(entry->base);
}

/*
 * Install a slab that was prepared, in its place, which was reserved. Errors are those of
 * slab_publish().
 */
static int slab_install(struct arena *arena, unsigned int set, void *base, bool charged, gfp_t gfp)
{
	bool clean = page_private(virt_to_page(base)) & SLAB_CLEAN;
	size_t index = arena_gathered_index(virt_to_page(base));
	struct arena_dir *dir = arena_dir(arena, set);
	struct arena_slab *entry = arena_dir_entry(dir, index);
	struct arena_view view = arena_peek(arena);
	unsigned int tries = 0;
	int err;

	set_page_private(virt_to_page(base), index);	/* see arena_slab_offset() */
	do {
		err = slab_publish(arena, entry, base, charged);
	} while (err == -ENOMEM && tries++ < ARENA_ROOM_TRIES &&
		 arena_budget_make_room(arena->budget, arena_slab_size(arena) >> PAGE_SHIFT, gfp));
	/* Another caller may have used the room, for this very slab. */
	if (err == -ENOMEM)
		err = slab_publish(arena, entry, base, charged);
	if (err)
		return err;
	dir_note(dir, index);
	arena_raise(&arena->committed_peak, atomic_long_read(&arena->committed));
	/*
	 * If that generation is over, it is zeroed once more: no harm. Nor if it had not
	 * begun; a release may be at work in it, and the slab that comes after this one
	 * in the same generation would count as clean, too.
	 */
	if (clean && cursor_settled(view.cursor) && (view.generation & ARENA_GEN_SET) == set)
		WRITE_ONCE(entry->clean, view.generation);
	arena_tell_grow(arena, index, gfp);
	return 0;
}

/*
 * Commit slab @index of a slab set. 0 if it is committed now, by this caller or by
 * another one; -ENOMEM if @gfp does not allow it.
 */
int arena_slab_install(struct arena *arena, unsigned int set, size_t index, gfp_t gfp)
{
	const unsigned long pages = arena_slab_size(arena) >> PAGE_SHIFT;
	struct arena_dir *dir = arena_dir(arena, set);
	void *base = NULL;
	bool clean;
	int err;

	if (!arena_may_grow(gfp))
		return -ENOMEM;
	might_alloc(gfp);
	gfp = slab_gfp(arena, gfp);
	if (arena_dir_reserve(arena, dir, index, gfp) &&
	    (grow_room(arena) >= pages || arena_budget_make_room(arena->budget, pages, gfp)))
		base = slab_take(arena, gfp, &clean);
	if (!base)
		return slab_committed(dir, index) ? 0 : -ENOMEM;
	slab_prepare(base, index, clean);
	err = slab_install(arena, set, base, false, gfp);
	if (err)
		slab_drop(arena, base, false);
	return err == -EEXIST ? 0 : err;
}

/* What a long loop over slabs does each time: yield, and see whether to go on. */
static int slabs_go_on(gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp))
		return 0;
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* How many slabs from @first to @last are not committed. Above the end none is. */
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
 * Charge what a stretch of a directory lacks, all at once: of two callers that do not both
 * fit, one gets all it needs. @nr says how many slabs that is. A caller that does not fit
 * looks again for slabs that another one has charged and installed since it looked.
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
		/* What has been charged in slab_publish() is installed after this. */
		grow_room(arena);
	}
	*nr = missing;
	return 0;
}

/*
 * Memory for slab @index, charged to one of the @nr slabs that slabs_charge() has charged,
 * or anew: a release may have made a gap since. NULL where there is none.
 */
static void *slab_gather(struct arena *arena, size_t index, gfp_t gfp, size_t *nr)
{
	const unsigned long pages = arena_slab_size(arena) >> PAGE_SHIFT;
	void *base;
	bool clean;

	if (!*nr && !arena_budget_charge(arena->budget, pages, gfp))
		return NULL;
	*nr -= !!*nr;
	base = slab_take(arena, gfp, &clean);
	if (!base)
		arena_budget_uncharge(arena->budget, pages);
	if (base)
		slab_prepare(base, index, clean);
	return base;
}

/*
 * Charge and allocate the slabs that a set lacks under [@start, @start + @size) and add
 * them to @slabs, linked by the lru fields of their pages, in order and not installed:
 * where one cannot be had, arena_slabs_drop() undoes it, and no other caller has seen
 * anything. 0, -ENOMEM, or -EINTR where the task is being killed.
 */
int arena_slabs_gather(struct arena *arena, unsigned int set, size_t start, size_t size,
		       gfp_t gfp, struct list_head *slabs)
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
		       slab_gather(arena, i, gfp, &nr) : NULL;
		if (base)
			list_add_tail(&virt_to_page(base)->lru, slabs);
		else
			err = -ENOMEM;
	}
	arena_budget_uncharge(arena->budget, nr << (arena->slab_shift - PAGE_SHIFT));
	return err;
}

/* Give back slabs that were gathered. */
void arena_slabs_drop(struct arena *arena, struct list_head *slabs, gfp_t gfp)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, slabs, lru) {
		list_del_init(&page->lru);
		slab_drop(arena, page_address(page), true);
		slabs_go_on(gfp);
	}
}

/*
 * Install slabs that were gathered; cannot fail. False if other callers have installed
 * some of them meanwhile: those serve, too.
 */
bool arena_slabs_install(struct arena *arena, unsigned int set, struct list_head *slabs, gfp_t gfp)
{
	struct page *page, *next;
	bool all = true;

	list_for_each_entry_safe(page, next, slabs, lru) {
		list_del_init(&page->lru);
		if (slab_install(arena, set, page_address(page), true, gfp)) {
			slab_drop(arena, page_address(page), true);
			all = false;
		}
		slabs_go_on(gfp);
	}
	return all;
}

/* Commit the slabs of a set under [@start, @start + @size), all or none. */
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
 * Give back all slabs of @dir but the first @keep bytes' worth. No claim can succeed
 * meanwhile. -EINTR if @killable and the task is being killed: the rest stays committed.
 */
int arena_slabs_release(struct arena *arena, struct arena_dir *dir, size_t keep, bool killable)
{
	size_t first = DIV_ROUND_UP(min(keep, arena->capacity), arena_slab_size(arena)), i, end;
	struct arena_slab *entry;

	if (atomic_long_read(&dir->end) <= first)
		return 0;
	/* Full barrier: pairs with dir_note(). */
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

/**
 * arena_populate() - Commit memory beforehand.
 * @arena: the arena, not NULL.
 * @bytes: from offset 0 on, at most the capacity.
 * @gfp:   how to allocate it.
 *
 * With %ARENA_READERS, in both slab sets. What is committed stays so until
 * arena_reset_release() or arena_destroy(), and is handed out without a lock
 * or the page allocator in any context (clause 2).
 *
 * Context: Any that @gfp fits but NMI.
 * Return: 0; -EINVAL if @bytes exceeds the capacity; -ENOMEM; -EINTR if the task is being
 * killed. On error, no more is committed than before.
 */
int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp)
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
		err = arena_slabs_gather(arena, set, 0, bytes, gfp, &slabs[set]);
	for (set = 0; set < ARRAY_SIZE(slabs); set++) {
		if (err)
			arena_slabs_drop(arena, &slabs[set], gfp);
		else
			arena_slabs_install(arena, set, &slabs[set], gfp);
	}
	return err;
}
EXPORT_SYMBOL_GPL(arena_populate);

struct page *arena_page(const struct arena *arena, size_t offset)
{
	void *base = arena_slab_base(arena, arena_peek(arena).generation, offset);

	return base ? virt_to_page(base + (offset & (arena_slab_size(arena) - 1))) : NULL;
}

void arena_slabs_exit(struct arena *arena)
{
	int i;

	for (i = 0; i < arena_nr_dirs(arena); i++) {
		arena_slabs_release(arena, arena_dir(arena, i), 0, false);
		arena_dir_exit(arena, arena_dir(arena, i));
	}
}
