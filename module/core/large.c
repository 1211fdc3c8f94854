// SPDX-License-Identifier: GPL-2.0
/*
 * Objects larger than a slab: several slabs, and one view of their pages.
 *
 * This code takes no lock of the arena. vmap() takes locks of its own, so these allocations
 * need GFP_KERNEL.
 *
 * Committing memory and mapping it may fail, and a call that fails must leave the cursor where it
 * was. So the first tries commit and map memory where the cursor stands, and move the cursor past
 * it last. Where other CPUs keep allocating, the cursor has moved on by then, in every try. So
 * after a few tries the order changes: the call commits memory at the cursor and beyond it, twice
 * as far beyond after each try in which other CPUs have moved the cursor too far; then it moves the
 * cursor past the object, wherever within that memory the cursor stands; and it makes the view
 * last. If the view cannot be made, the stretch remains as padding.
 */
#include <linux/sched/signal.h>

#include "core/cursor.h"

/* The first LARGE_TRIES tries make the view before they claim, the others afterwards. */
#define LARGE_TRIES	3
#define LARGE_TRIES_MAX	64

/* The end of @stretch or, if @generation is checked, of its redzone. Sets @stretch->checked. */
static size_t stretch_end(struct arena *arena, struct arena_stretch *stretch,
			  unsigned long generation)
{
	stretch->checked = arena_is_checked(arena, generation);
	return stretch->checked ? arena_check_end(arena, stretch->end) : stretch->end;
}

/*
 * Move the cursor past @stretch if the cursor still stands at its start, or in the padding
 * directly before it; the bytes in between become padding. Returns false if the generation is
 * over or the cursor has moved on.
 */
bool arena_claim_stretch(struct arena *arena, struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	long cursor = snap.cursor;
	bool done = false;

	while (snap.generation == stretch->generation && cursor_settled(cursor) &&
	       ALIGN(cursor_offset(cursor), stretch->grain) == stretch->start) {
		size_t end = stretch_end(arena, stretch, snap.generation);

		done = cursor_count(arena, &cursor) &&
		       atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_move(cursor, end));
		if (done)
			break;
		snap.generation = cursor_generation(cursor, snap.generation);
	}
	if (done)
		arena_account(arena, arena_slot(cpu), stretch->generation, stretch->used);
	arena_leave(cpu);
	return done;
}

/*
 * Count the bytes of a stretch that arena_claim_ahead() has claimed as used. Until then they are
 * padding.
 */
void arena_count_stretch(struct arena *arena, const struct arena_stretch *stretch)
{
	struct arena_cpu *cpu = arena_enter(arena);

	arena_account(arena, arena_slot(cpu), stretch->generation, stretch->used);
	arena_leave(cpu);
}

/*
 * Claim @size bytes from the start of the next slab on, if they end at offset @ready or below. The
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
		size_t end;

		stretch->generation = snap.generation;
		stretch->start = ALIGN(cursor_offset(cursor), stretch->grain);
		stretch->end = arena_object_end(arena, stretch->start, size);
		end = stretch_end(arena, stretch, snap.generation);
		if (stretch->start + size > ready) {
			err = stretch->start + size > arena->capacity ? -ENOSPC : -EAGAIN;
			break;
		}
		if (cursor_count(arena, &cursor) &&
		    atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					    cursor_move(cursor, end))) {
			err = 0;
			break;
		}
		snap.generation = cursor_generation(cursor, snap.generation);
	}
	arena_leave(cpu);
	return err;
}

/*
 * Claim @size bytes that begin at a slab, even while other CPUs keep allocating. First commit
 * memory for these bytes and, if there is enough, for *@lead bytes beyond, as other CPUs may move
 * the cursor by so much in the meantime. Sets @stretch to what was claimed; it counts as padding
 * until the caller calls arena_count_stretch().
 *
 * Returns 0 or an error. After -EAGAIN the caller tries again with the new value of *@lead, which a
 * failed claim has doubled (0 becomes two slabs).
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
	/* A reset may have released the slabs of the claim in between: commit them again. */
	return err ?: arena_slabs_populate(arena, set, stretch->start, size, gfp);
}

/*
 * Commit the slabs for an object and make a view of them, unless the arena is mappable. Slabs are
 * gathered, mapped and only then installed, so that on error no more is committed than before. The
 * exception is -EAGAIN: if other CPUs have installed some of the same slabs in between, the rest is
 * installed all the same, but the view shows pages that are not in the directory, and is dropped.
 */
static int large_map(struct arena *arena, unsigned long generation, size_t start, size_t size,
		     gfp_t gfp, struct arena_large **large)
{
	LIST_HEAD(slabs);
	int err = arena_slabs_gather(arena, generation & ARENA_GEN_SET, start, size, gfp, &slabs);

	*large = NULL;
	if (!err && !(arena->flags & ARENA_MAPPABLE)) {
		*large = arena_view_make(arena, generation, start, size, &slabs);
		err = PTR_ERR_OR_ZERO(*large);
	}
	if (err) {
		arena_slabs_drop(arena, &slabs, gfp);
		return err;
	}
	if (!arena_slabs_install(arena, generation & ARENA_GEN_SET, &slabs, gfp) && *large) {
		/*
		 * Another CPU has installed some of these slabs first, so the view shows wrong
		 * pages.
		 */
		arena_view_drop(*large);
		return -EAGAIN;
	}
	return 0;
}

/*
 * Zero a large object that was claimed as @stretch, if the arena or @gfp asks for that. If the
 * generation is checked, also fill the redzone and record the object. Errors are those of
 * arena_write().
 */
static int large_fill(struct arena *arena, const struct arena_stretch *stretch, size_t size,
		      gfp_t gfp, struct arena_place *place)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;

	place_set(place, stretch->generation, stretch->start, NULL);
	if (unlikely(stretch->checked))
		return arena_check_object(arena, place, size, arena_check_end(arena, stretch->end),
					  zero, gfp);
	return zero ? arena_write(arena, stretch->generation, stretch->start, NULL, size, gfp) : 0;
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
	stretch.end = arena_object_end(arena, start, size);
	if (!arena_claim_stretch(arena, &stretch)) {
		arena_view_drop(large);
		return -EAGAIN;
	}
	err = large_fill(arena, &stretch, size, gfp, place);
	if (err) {
		arena_view_drop(large);
		return err == -ESTALE ? -EAGAIN : err;
	}
	arena_object_placed(arena, snap.generation, start, size);
	place->ptr = large ? large->view : NULL;
	if (large)
		arena_view_list(arena, large);
	return 0;
}

/*
 * Try once: claim memory, then map it. If a reset comes after that, the object is returned all the
 * same, as a reset may free any object at any time. Returns -EAGAIN if other CPUs have moved the
 * cursor too far, or if a reset has released slabs before they were mapped.
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
		large = arena_view_make(arena, stretch.generation, stretch.start, size, &none);
		if (IS_ERR(large))
			return PTR_ERR(large);
	}
	arena_count_stretch(arena, &stretch);
	err = large_fill(arena, &stretch, size, gfp, place);
	if (err == -EINTR) {
		arena_view_drop(large);
		return err;
	}
	arena_object_placed(arena, stretch.generation, stretch.start, size);
	place->ptr = large ? large->view : NULL;
	if (large)
		arena_view_list(arena, large);
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

