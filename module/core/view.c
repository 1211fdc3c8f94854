// SPDX-License-Identifier: GPL-2.0
/*
 * Views: contiguous kernel addresses for the pages of an object larger than a slab, and the reaper,
 * which unmaps them after the object is gone. vmap() and vunmap() may sleep.
 *
 * An object larger than a slab begins at the start of a slab, and no other object of its generation
 * begins there: the bytes that arena_unreserve() gives back lie in its last slab. So its first slab
 * has a record, for arena_deref(): the view, and the generation that the object was allocated in.
 * The record is in the lru field of the slab's first page, which nothing else uses while the slab
 * is installed.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "core/cursor.h"

/*
 * Store in @pages the @nr pages that back the space from offset @start on. A slab that is in
 * @slabs, gathered but not installed, comes from there; any other one comes from the directory.
 * Returns 0; -EAGAIN if a slab is in neither, because a reset has released it; -EINTR if the task
 * is being killed.
 */
static int view_pages(struct arena *arena, unsigned long generation, size_t start,
		      const struct list_head *slabs, struct page **pages, size_t nr)
{
	struct page *next = list_first_entry(slabs, struct page, lru);
	const size_t per_slab = arena_slab_size(arena) >> PAGE_SHIFT;
	size_t i, at, offset = start;

	for (i = 0; i < nr; i += per_slab, offset += arena_slab_size(arena)) {
		void *base = arena_slab_base(arena, generation, offset);

		if (!list_entry_is_head(next, slabs, lru) &&
		    arena_gathered_offset(next) == offset) {
			base = arena_gathered_base(next);
			next = list_next_entry(next, lru);
		}
		if (!base)
			return -EAGAIN;
		for (at = 0; at < min(per_slab, nr - i); at++) {
			pages[i + at] = arena_block_page(base + (at << PAGE_SHIFT));
			/*
			 * A reset has released a slab of single pages since @base was read. If this
			 * CPU has found other pages instead, the claim fails for the same reason.
			 */
			if (!pages[i + at])
				return -EAGAIN;
		}
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/*
 * Make a view of @size bytes from offset @start on. Slabs that are in @slabs are not in the
 * directory yet. Returns the view, or an ERR_PTR().
 */
struct arena_large *arena_view_make(struct arena *arena, unsigned long generation, size_t start,
				    size_t size, const struct list_head *slabs)
{
	size_t nr = DIV_ROUND_UP(size, PAGE_SIZE);
	struct arena_large *large = arena_tagged(arena, kmalloc_noprof(sizeof(*large),
								       ARENA_GFP_META));
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), ARENA_GFP_META);
	int err = -ENOMEM;

	if (!large || !pages)
		goto fail;
	err = view_pages(arena, generation, start, slabs, pages, nr);
	if (err)
		goto fail;
	err = -ENOMEM;
	large->generation = generation;
	large->offset = start;
	large->view = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!large->view)
		goto fail;
	arena_shadow_object(large->view, size, nr << PAGE_SHIFT);
	kvfree(pages);
	return large;
fail:
	kvfree(pages);
	kfree(large);
	return ERR_PTR(err);
}

void arena_view_drop(struct arena_large *large)
{
	if (!large)
		return;
	vunmap(large->view);
	kfree(large);
}

/* The record of the slab at @base; NULL if the slab was released meanwhile. */
static struct list_head *slab_lru(const void *base)
{
	struct page *first = arena_block_first(base);

	return first ? &first->lru : NULL;
}

/* Record a view in its first slab, unless a reset or rewind has freed the object. */
static void slab_record(struct arena *arena, const struct arena_large *large)
{
	struct arena_cpu *cpu = arena_enter(arena), *writer;
	void *base = arena_slab_base(arena, large->generation, large->offset);

	writer = base ? arena_write_begin(arena, cpu, large->generation, base) : NULL;
	if (writer) {
		struct list_head *lru = slab_lru(base);

		WRITE_ONCE(lru->next, large->view);
		/* Release: pairs with the smp_load_acquire() in arena_record_view(). */
		smp_store_release(&lru->prev, (struct list_head *)large->generation);
		arena_write_end(arena, writer);
	}
	arena_leave(cpu);
}

/*
 * Returns the view of the object that was allocated in @generation and begins at the slab at @base,
 * or NULL if there is none. If the slab was released meanwhile, the value is meaningless:
 * afterwards, the caller must check that the object was not freed.
 */
void *arena_record_view(const void *base, u64 generation)
{
	const struct list_head *lru = slab_lru(base);

	if (!lru)
		return NULL;
	/*
	 * Acquire: pairs with the smp_store_release() in slab_record(). Without it, a forged handle
	 * could be resolved to the view of an older object, which may be unmapped.
	 */
	if ((unsigned long)smp_load_acquire(&lru->prev) != generation)
		return NULL;
	return READ_ONCE(lru->next);
}

/*
 * Returns the generation that was recorded together with @view in the slab at @base. Returns 0,
 * which no generation has as its number, if another view or none is recorded there.
 */
unsigned long arena_record_generation(const void *base, const void *view)
{
	const struct list_head *lru = slab_lru(base);

	return lru && READ_ONCE(lru->next) == view ? (unsigned long)READ_ONCE(lru->prev) : 0;
}

/*
 * List the view of an object that was claimed, so that the reaper unmaps it after a reset, and
 * record it, so that arena_deref() finds it.
 *
 * llist_add() is a full barrier, and so is the compare-and-swap of the cursor by a reset
 * before it looks at the list. So either the reset sees the view, or this CPU sees the new
 * generation and schedules the reaper itself. Otherwise the view could stay mapped.
 */
void arena_view_list(struct arena *arena, struct arena_large *large)
{
	unsigned long generation = large->generation;

	WRITE_ONCE(arena->had_larges, true);
	slab_record(arena, large);
	llist_add(&large->node, &arena->larges);
	if (arena_snap(arena).generation != generation)
		schedule_work(&arena->reaper);
}

/*
 * Unmap the views of objects that resets and rewinds have freed, or with @all every view.
 *
 * A view is listed with the generation that its claim took from the cursor. This function takes all
 * views off the list before it reads the cursor, so the generation that it reads is never older
 * than that of a view which it took.
 *
 * It puts back the views that readers may still use. arena_reset_rcu() sets retiring before it
 * moves the cursor: a reaper that sees the new generation also sees retiring. Once the readers are
 * done, the RCU callback retired() runs the reaper again. It also puts back the views that actions
 * may still use, and arena_acting_end() runs the reaper again.
 */
void arena_reap_larges(struct arena *arena, bool all)
{
	struct llist_node *views = llist_del_all(&arena->larges);
	struct arena_snap snap = arena_snap(arena), now;
	struct arena_large *large, *next;
	bool readers, actions;

	/*
	 * Pairs with the compare-and-swap in next_generation(), and with llist_add() in
	 * arena_add_action(): a reaper that sees the new generation also sees in retiring and
	 * settle_blocked that readers or actions may use objects of the old one.
	 */
	smp_mb();
	/*
	 * Acquire: pairs with the release in retired(), which raises acting before it clears
	 * retiring. A CPU that sees retiring cleared also sees in acting that actions may run.
	 */
	readers = smp_load_acquire(&arena->retiring);
	actions = arena_actions_pending(arena, &snap);
	llist_for_each_entry_safe(large, next, views, node) {
		if (!all && (readers || actions || large->generation == snap.generation ||
			     arena_may_outlive(arena, snap.generation, large->generation,
					       large->offset))) {
			llist_add(&large->node, &arena->larges);
			continue;
		}
		arena_view_drop(large);
		cond_resched();
	}
	/*
	 * A reset, or the end of its grace period or actions, may have found the list empty
	 * between llist_del_all() and llist_add(), and have scheduled nothing: check again.
	 */
	if (llist_empty(&arena->larges))
		return;
	now = arena_snap(arena);
	if (readers ? !READ_ONCE(arena->retiring) :
	    actions ? !arena_actions_pending(arena, &now) : now.generation != snap.generation)
		schedule_work(&arena->reaper);
}

void arena_reaper(struct work_struct *work)
{
	arena_reap_larges(container_of(work, struct arena, reaper), false);
}
