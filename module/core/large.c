// SPDX-License-Identifier: GPL-2.0
/*
 * Objects larger than a slab: several slabs, and one view of their pages.
 *
 * This code takes no lock of the arena. vmap() takes locks of its own, so these allocations
 * need GFP_KERNEL.
 *
 * Committing memory and mapping it may fail, and a call that fails must leave the cursor where
 * it was. So at first memory is committed and mapped where the cursor stands, and the cursor
 * is moved past it last. Where other CPUs keep allocating, the cursor has moved on by then, in
 * every try. So after a few tries the order changes: memory is committed at the cursor and
 * beyond it, twice as far beyond after each try that other CPUs have overtaken; then the cursor
 * is moved past the object, wherever within that memory it stands; and the view is made last.
 * If that view cannot be made, the stretch remains as padding.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core/cursor.h"

/* The first LARGE_TRIES tries make the view before they claim, the others afterwards. */
#define LARGE_TRIES	3
#define LARGE_TRIES_MAX	64

/*
 * Store in @pages the @nr pages that back the space from offset @start on. A slab that is in
 * @slabs, gathered but not installed, comes from there; any other one comes from the directory.
 * Returns 0; -EAGAIN if a slab is in neither, because a reset has released it; -EINTR if the task
 * is being killed.
 */
static int large_pages(struct arena *arena, unsigned long generation, size_t start,
		       const struct list_head *slabs, struct page **pages, size_t nr)
{
	struct page *next = list_first_entry(slabs, struct page, lru);
	const size_t per_slab = arena_slab_size(arena) >> PAGE_SHIFT;
	size_t i, at, index = start >> arena->slab_shift;

	for (i = 0; i < nr; i += per_slab, index++) {
		void *base = arena_slab_base(arena, generation, index << arena->slab_shift);
		struct page *first = base ? virt_to_page(base) : NULL;

		if (!list_entry_is_head(next, slabs, lru) && arena_gathered_index(next) == index) {
			first = next;
			next = list_next_entry(next, lru);
		}
		if (!first)
			return -EAGAIN;
		for (at = 0; at < min(per_slab, nr - i); at++)
			pages[i + at] = first + at;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/*
 * Map @size bytes from offset @start on at contiguous kernel addresses. Returns an ERR_PTR()
 * on failure.
 */
static struct arena_large *large_view(struct arena *arena, unsigned long generation,
				      size_t start, size_t size, const struct list_head *slabs)
{
	size_t nr = DIV_ROUND_UP(size, PAGE_SIZE);
	struct arena_large *large = kmalloc(sizeof(*large), ARENA_GFP_META);
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), ARENA_GFP_META);
	int err = -ENOMEM;

	if (!large || !pages)
		goto fail;
	err = large_pages(arena, generation, start, slabs, pages, nr);
	if (err)
		goto fail;
	err = -ENOMEM;
	large->generation = generation;
	large->offset = start;
	large->view = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!large->view)
		goto fail;
	kvfree(pages);
	return large;
fail:
	kvfree(pages);
	kfree(large);
	return ERR_PTR(err);
}

static void large_drop(struct arena_large *large)
{
	if (!large)
		return;
	vunmap(large->view);
	kfree(large);
}

/*
 * List the view of an object that was claimed, so that the reaper unmaps it after a reset.
 *
 * llist_add() is a full barrier, and so is the compare-and-swap of the cursor by a reset
 * before it looks at the list. So either the reset sees the view, or this CPU sees the new
 * generation and schedules the reaper itself. Otherwise the view could stay mapped.
 */
static void large_list(struct arena *arena, struct arena_large *large)
{
	unsigned long generation = large->generation;

	WRITE_ONCE(arena->had_larges, true);
	llist_add(&large->node, &arena->larges);
	if (arena_snap(arena).generation != generation)
		schedule_work(&arena->reaper);
}

/*
 * Move the cursor past @stretch if the cursor still stands at its start, or in the padding
 * directly before it; the bytes in between become padding. Returns false if the generation is
 * over or the cursor has moved on.
 */
bool arena_claim_stretch(struct arena *arena, const struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	long cursor = snap.cursor;
	bool done = false;

	while (snap.generation == stretch->generation && cursor_settled(cursor) &&
	       ALIGN(cursor_offset(cursor), stretch->grain) == stretch->start) {
		done = cursor_count(arena, &cursor) &&
		       atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					       cursor_move(cursor, stretch->end));
		if (done)
			break;
		snap.generation = cursor_generation(cursor, snap.generation);
	}
	if (done)
		arena_account(arena, arena_slot(cpu), stretch->generation, stretch->used);
	arena_leave(cpu);
	return done;
}

/* Count the bytes of a stretch that arena_claim_ahead() claimed, once the claim is sure. */
void arena_count_stretch(struct arena *arena, const struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);

	arena_account(arena, arena_slot(cpu), stretch->generation, stretch->used);
	arena_leave(cpu);
}

/*
 * Claim @size bytes from the begin of the next slab on, if they end at offset @ready or below. The
 * memory up to there is committed in the slab set of @stretch->generation, so any generation that
 * uses that set will do. Sets @stretch to what was claimed. Returns 0; -ENOSPC if the bytes would
 * end beyond the capacity; -EAGAIN if they would end beyond @ready, or if a reset has begun a
 * generation that is not settled or uses the other slab set.
 */
static int claim_committed(struct arena *arena, struct arena_stretch *stretch, size_t size,
			   size_t ready)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	unsigned long set = stretch->generation & ARENA_GEN_SET;
	long cursor = snap.cursor;
	int err = -EAGAIN;

	while (cursor_settled(cursor) && (snap.generation & ARENA_GEN_SET) == set) {
		stretch->generation = snap.generation;
		stretch->start = ALIGN(cursor_offset(cursor), stretch->grain);
		stretch->end = stretch->start + size;
		if (stretch->end > ready) {
			err = stretch->end > arena->capacity ? -ENOSPC : -EAGAIN;
			break;
		}
		if (cursor_count(arena, &cursor) &&
		    atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					    cursor_move(cursor, stretch->end))) {
			err = 0;
			break;
		}
		snap.generation = cursor_generation(cursor, snap.generation);
	}
	arena_leave(cpu);
	return err;
}

/*
 * Claim @size bytes that begin at a slab, while other CPUs allocate and reset. First commits the
 * memory for them and, if there is enough memory, for *@lead bytes beyond, as other CPUs may move
 * the cursor that far in the meantime. Sets @stretch to what was claimed; it counts as padding
 * until the caller calls arena_count_stretch().
 *
 * Returns 0 or an error. On -EAGAIN the caller tries again, with *@lead as it is then: a claim
 * that failed has doubled it (0 becomes two slabs).
 */
int arena_claim_ahead(struct arena *arena, struct arena_stretch *stretch, size_t size,
		      size_t *lead, gfp_t gfp)
{
	struct arena_snap snap = arena_snap(arena);
	unsigned int set = snap.generation & ARENA_GEN_SET;
	size_t start, ready;
	int err;

	if (!cursor_settled(snap.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	stretch->grain = arena_slab_size(arena);
	stretch->generation = snap.generation;
	start = ALIGN(cursor_offset(snap.cursor), stretch->grain);
	if (start > arena->capacity || size > arena->capacity - start)
		return -ENOSPC;
	err = arena_slabs_populate(arena, set, start, size, gfp);
	if (err)
		return err;
	ready = start + size;
	if (*lead) {
		size_t more = min(*lead, arena->capacity - ready);

		if (more && !arena_slabs_populate(arena, set, ready, more, gfp))
			ready += more;
	}
	err = claim_committed(arena, stretch, size, ready);
	if (err == -EAGAIN)
		*lead = 2 * max(*lead, stretch->grain);
	/* A reset may have released the slabs in between: commit them again. */
	return err ?: arena_slabs_populate(arena, set, stretch->start, size, gfp);
}

/*
 * Commit the slabs for an object and make a view of them, unless the arena is mappable. Slabs
 * are gathered, mapped and only then installed, so that on error no more is committed than
 * before. The exception is -EAGAIN: other CPUs have installed some of the same slabs in
 * between, and a view of those that lost that race would show other pages.
 */
static int large_map(struct arena *arena, unsigned long generation, size_t start, size_t size,
		     gfp_t gfp, struct arena_large **large)
{
	LIST_HEAD(slabs);
	int err = arena_slabs_gather(arena, generation & ARENA_GEN_SET, start, size, gfp, &slabs);

	*large = NULL;
	if (!err && !(arena->flags & ARENA_MAPPABLE)) {
		*large = large_view(arena, generation, start, size, &slabs);
		err = PTR_ERR_OR_ZERO(*large);
	}
	if (err) {
		arena_slabs_drop(arena, &slabs, gfp);
		return err;
	}
	if (!arena_slabs_install(arena, generation & ARENA_GEN_SET, &slabs, gfp) && *large) {
		/* Another CPU installed some of these slabs first: the view shows wrong pages. */
		large_drop(*large);
		return -EAGAIN;
	}
	return 0;
}

/*
 * Try once: commit and map memory where the cursor stands, then claim it. Returns -EAGAIN if
 * another CPU has moved the cursor on to another slab, or reset the arena.
 */
static int large_map_then_claim(struct arena *arena, size_t size, gfp_t gfp,
				struct arena_place *place)
{
	struct arena_snap snap = arena_snap(arena);
	struct arena_stretch stretch = {
		.generation = snap.generation,
		.grain	    = arena_slab_size(arena),
		.used	    = size,
	};
	struct arena_large *large;
	size_t start;
	int err;

	if (!cursor_settled(snap.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	start = ALIGN(cursor_offset(snap.cursor), arena_slab_size(arena));
	if (start > arena->capacity || size > arena->capacity - start)
		return -ENOSPC;
	err = large_map(arena, snap.generation, start, size, gfp, &large);
	if (err)
		return err;
	stretch.start = start;
	stretch.end = start + size;
	if (!arena_claim_stretch(arena, &stretch)) {
		large_drop(large);
		return -EAGAIN;
	}
	if (arena->zero || gfp & __GFP_ZERO)
		err = arena_write(arena, snap.generation, start, NULL, size, gfp);
	if (err) {
		large_drop(large);
		return err == -ESTALE ? -EAGAIN : err;
	}
	place_set(place, snap.generation, start, large ? large->view : NULL);
	if (large)
		large_list(arena, large);
	return 0;
}

/*
 * Try once: claim memory, then map it. If a reset comes after the claim, the object is returned
 * all the same, as a reset may free any object. Returns -EAGAIN if other CPUs have moved the
 * cursor too far, or have reset the arena before the slabs were mapped.
 */
static int large_claim_then_map(struct arena *arena, size_t size, gfp_t gfp, size_t *lead,
				struct arena_place *place)
{
	struct arena_stretch stretch = { .used = size };
	struct arena_large *large = NULL;
	LIST_HEAD(none);
	int err;

	err = arena_claim_ahead(arena, &stretch, size, lead, gfp);
	if (err)
		return err;
	if (!(arena->flags & ARENA_MAPPABLE)) {
		large = large_view(arena, stretch.generation, stretch.start, size, &none);
		if (IS_ERR(large))
			return PTR_ERR(large);
	}
	arena_count_stretch(arena, &stretch);
	if (arena->zero || gfp & __GFP_ZERO)
		err = arena_write(arena, stretch.generation, stretch.start, NULL, size, gfp);
	if (err == -EINTR) {
		large_drop(large);
		return err;
	}
	place_set(place, stretch.generation, stretch.start, large ? large->view : NULL);
	if (large)
		large_list(arena, large);
	return 0;
}

/* Claim an object larger than a slab; it begins at a slab. Errors are those of arena_claim(). */
int arena_claim_large(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place)
{
	size_t lead = 0;
	int err, tries;

	if ((gfp & GFP_KERNEL) != GFP_KERNEL)
		return -ENOMEM;
	arena_cpu_prepare(arena, gfp);
	for (tries = 0; tries < LARGE_TRIES_MAX; tries++) {
		err = tries < LARGE_TRIES ? large_map_then_claim(arena, size, gfp, place) :
					    large_claim_then_map(arena, size, gfp, &lead, place);
		if (err != -EAGAIN)
			return err;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
}

/*
 * Unmap the views of objects that resets and rewinds have freed, or with @all every view.
 *
 * A view is listed with the generation that its claim took from the cursor. The list is
 * emptied first and the cursor is read afterwards, so the generation read here is never older
 * than that of a listed view.
 *
 * Views that readers may still use stay listed. arena_reset_rcu() sets retiring before it
 * moves the cursor: a reaper that sees the new generation also sees retiring. Once the readers are
 * done, the RCU callback retired() runs the reaper again. Views that actions may still use stay
 * listed, too, and the CPU that has run the last of these actions runs the reaper again.
 */
void arena_reap_larges(struct arena *arena, bool all)
{
	struct llist_node *views = llist_del_all(&arena->larges);
	struct arena_snap snap = arena_snap(arena), now;
	struct arena_large *large, *next;
	bool readers, actions;

	/*
	 * Pairs with the compare-and-swap in next_generation(), and with llist_add() in
	 * arena_add_action(): a reaper that sees the new generation also sees that readers or
	 * actions may use objects of the old one.
	 */
	smp_mb();
	readers = READ_ONCE(arena->retiring);
	actions = arena_actions_pending(arena, &snap);
	llist_for_each_entry_safe(large, next, views, node) {
		if (!all && (readers || actions || large->generation == snap.generation ||
			     arena_may_outlive(arena, snap.generation, large->generation,
					       large->offset))) {
			llist_add(&large->node, &arena->larges);
			continue;
		}
		large_drop(large);
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
