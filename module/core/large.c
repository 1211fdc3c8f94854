// SPDX-License-Identifier: GPL-2.0
/*
 * Objects larger than a slab: several slabs, and one view of their pages.
 *
 * Takes no lock of ours; vmap() takes its own, so these need GFP_KERNEL.
 *
 * Memory is committed, and mapped, before the cursor is moved past it, as either may fail
 * and a call that fails leaves the cursor where it was. Beside others that allocate the
 * cursor has moved on by then, again and again. So after a few tries the order is turned
 * round: memory is committed at and beyond the cursor, as far ahead as others moved it
 * during the try before; the cursor is moved, wherever in there it stands; and only the
 * view is made afterwards. If not even that is to be had, the stretch remains as padding.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core/cursor.h"

/* Tries that commit and map before they claim; and tries in all. */
#define LARGE_TRIES	3
#define LARGE_TRIES_MAX	64

/*
 * The pages from @start on: of slabs that were gathered, or else of those in the
 * directory. -EAGAIN if one of these is gone: the arena was reset.
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

/* One stretch of kernel addresses for the slabs from @start on. */
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
 * A reset that came between the claim and this has not seen the view: then it
 * is for us to have it unmapped. llist_add() is a full barrier, and so is the
 * reset's compare-and-swap of the cursor before it looks at the list.
 */
static void large_list(struct arena *arena, struct arena_large *large)
{
	unsigned long generation = large->generation;

	WRITE_ONCE(arena->had_larges, true);
	llist_add(&large->node, &arena->larges);
	if (arena_peek(arena).generation != generation)
		schedule_work(&arena->reaper);
}

/* Count the objects of a stretch, as arena_account() does for one. */
static void commit_account(struct arena *arena, struct arena_cpu *cpu,
			   const struct arena_stretch *stretch)
{
	arena_account(arena, arena_slot(cpu), stretch->generation, stretch->used);
	count_objects(arena, cpu, stretch->objects);
}

/*
 * Move the cursor past @stretch if what it would begin with is still where that
 * begins. What was in between becomes padding.
 */
bool arena_commit(struct arena *arena, const struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_view view = arena_look(arena);
	long cursor = view.cursor;
	bool done = false;

	while (view.generation == stretch->generation && cursor_settled(cursor) &&
	       ALIGN(cursor_offset(cursor), stretch->grain) == stretch->start) {
		done = cursor_count(arena, &cursor) &&
		       atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					       cursor_move(cursor, stretch->end));
		if (done)
			break;
		view.generation = cursor_generation(cursor, view.generation);
	}
	if (done)
		commit_account(arena, cpu, stretch);
	arena_leave(cpu);
	return done;
}

/* Count what arena_commit_first() claimed, when nothing can fail any more. */
void arena_commit_done(struct arena *arena, const struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);

	commit_account(arena, cpu, stretch);
	arena_leave(cpu);
}

/*
 * Move the cursor past the next @size bytes that begin at a slab and are below @ready,
 * whatever the generation, if it uses the slab set of @stretch: there memory is committed.
 * -EAGAIN if others have moved the cursor too far.
 */
static int commit_below(struct arena *arena, struct arena_stretch *stretch, size_t size,
			size_t ready)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_view view = arena_look(arena);
	unsigned long set = stretch->generation & ARENA_GEN_SET;
	long cursor = view.cursor;
	int err = -EAGAIN;

	while (cursor_settled(cursor) && (view.generation & ARENA_GEN_SET) == set) {
		stretch->generation = view.generation;
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
		view.generation = cursor_generation(cursor, view.generation);
	}
	arena_leave(cpu);
	return err;
}

/*
 * Claim @size bytes from a slab's begin on, beside others that allocate and reset. Memory is
 * committed for that, and for @lead bytes beyond, if that is to be had: others may move the
 * cursor so far meanwhile. A try that fails says how much more it should have been. Fills
 * in where @stretch is; it counts as padding until arena_commit_done().
 */
int arena_commit_first(struct arena *arena, struct arena_stretch *stretch, size_t size,
		       size_t *lead, gfp_t gfp)
{
	struct arena_view view = arena_peek(arena);
	unsigned int set = view.generation & ARENA_GEN_SET;
	size_t start, ready;
	int err;

	if (!cursor_settled(view.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	stretch->grain = arena_slab_size(arena);
	stretch->generation = view.generation;
	start = ALIGN(cursor_offset(view.cursor), stretch->grain);
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
	err = commit_below(arena, stretch, size, ready);
	if (err == -EAGAIN)
		*lead = 2 * max(*lead, stretch->grain);
	/* A release came between: its slabs are for us to bring back. */
	return err ?: arena_slabs_populate(arena, set, stretch->start, size, gfp);
}

/*
 * Commit the slabs for an object and make a view of them, where it gets one. On error, no
 * more is committed than before, unless other callers commit the same slabs: -EAGAIN.
 */
static int large_commit(struct arena *arena, unsigned long generation, size_t start, size_t size,
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
		/* It shows slabs that were not installed. */
		large_drop(*large);
		return -EAGAIN;
	}
	return 0;
}

/* One try that claims last. -EAGAIN if others have moved on to another slab, or reset. */
static int large_try(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place)
{
	struct arena_view view = arena_peek(arena);
	struct arena_stretch stretch = {
		.generation = view.generation,
		.grain	    = arena_slab_size(arena),
		.used	    = size,
		.objects    = 1,
	};
	struct arena_large *large;
	size_t start;
	int err;

	if (!cursor_settled(view.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	start = ALIGN(cursor_offset(view.cursor), arena_slab_size(arena));
	if (start > arena->capacity || size > arena->capacity - start)
		return -ENOSPC;
	err = large_commit(arena, view.generation, start, size, gfp, &large);
	if (err)
		return err;
	stretch.start = start;
	stretch.end = start + size;
	if (!arena_commit(arena, &stretch)) {
		large_drop(large);
		return -EAGAIN;
	}
	if (arena->zero || gfp & __GFP_ZERO)
		err = arena_write(arena, view.generation, start, NULL, size, gfp);
	if (err) {
		arena_uncount(arena);
		large_drop(large);
		return err == -ESTALE ? -EAGAIN : err;
	}
	place_set(place, view.generation, start, large ? large->view : NULL);
	if (large)
		large_list(arena, large);
	return 0;
}

/*
 * One try that claims first. A reset that comes after the claim frees the object, as it
 * may free any: no reason to try again. -EAGAIN also if a release took the slabs.
 */
static int large_try_first(struct arena *arena, size_t size, gfp_t gfp, size_t *lead,
			   struct arena_place *place)
{
	struct arena_stretch stretch = { .used = size, .objects = 1 };
	struct arena_large *large = NULL;
	LIST_HEAD(none);
	int err;

	err = arena_commit_first(arena, &stretch, size, lead, gfp);
	if (err)
		return err;
	if (!(arena->flags & ARENA_MAPPABLE)) {
		large = large_view(arena, stretch.generation, stretch.start, size, &none);
		if (IS_ERR(large))
			return PTR_ERR(large);
	}
	arena_commit_done(arena, &stretch);
	if (arena->zero || gfp & __GFP_ZERO)
		err = arena_write(arena, stretch.generation, stretch.start, NULL, size, gfp);
	if (err == -EINTR) {
		arena_uncount(arena);
		large_drop(large);
		return err;
	}
	place_set(place, stretch.generation, stretch.start, large ? large->view : NULL);
	if (large)
		large_list(arena, large);
	return 0;
}

/* An object larger than a slab begins at a slab. */
int arena_claim_large(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place)
{
	size_t lead = 0;
	int err, tries;

	if ((gfp & GFP_KERNEL) != GFP_KERNEL)
		return -ENOMEM;
	for (tries = 0; tries < LARGE_TRIES_MAX; tries++) {
		err = tries < LARGE_TRIES ? large_try(arena, size, gfp, place) :
					    large_try_first(arena, size, gfp, &lead, place);
		if (err != -EAGAIN)
			return err;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
}

/*
 * Unmap the views of objects that resets and rewinds have freed, or @all. A view is
 * listed with the generation that its claim took from the cursor, so the cursor read here
 * is not behind it. What readers may still be using is left for the next time: a reaper
 * that sees the generation that arena_reset_rcu() began sees retiring, too, which was set
 * before; the end of the grace period runs this again.
 */
void arena_reap_larges(struct arena *arena, bool all)
{
	struct llist_node *views = llist_del_all(&arena->larges);
	unsigned long generation = arena_peek(arena).generation;
	struct arena_large *large, *next;
	bool readers;

	smp_rmb();	/* Pairs with the compare-and-swap in next_generation(). */
	readers = READ_ONCE(arena->retiring);
	llist_for_each_entry_safe(large, next, views, node) {
		if (!all && (readers || large->generation == generation ||
			     arena_may_outlive(arena, generation, large->generation,
					       large->offset))) {
			llist_add(&large->node, &arena->larges);
			continue;
		}
		large_drop(large);
		cond_resched();
	}
	/* What was put back while a reset, or its end, found the list empty. */
	if (!llist_empty(&arena->larges) &&
	    (readers ? !READ_ONCE(arena->retiring) :
		       arena_peek(arena).generation != generation))
		schedule_work(&arena->reaper);
}

void arena_reaper(struct work_struct *work)
{
	arena_reap_larges(container_of(work, struct arena, reaper), false);
}
