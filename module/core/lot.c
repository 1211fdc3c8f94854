// SPDX-License-Identifier: GPL-2.0
/*
 * Lots: several objects, all or none, by one move of the cursor.
 *
 * This code takes no lock and needs GFP_KERNEL. As with an object larger than a slab, memory
 * is committed before it is claimed. No part that fits into a slab may straddle two, so the
 * layout depends on where the cursor stands: the parts are laid out from where the cursor was
 * seen, and the claim fails if it has moved on. A caller that loses that race again and again
 * lays its lot out from the begin of a slab, where the layout is always the same, and claims
 * it as large.c does after its first tries: wherever the cursor then stands.
 */
#include <linux/log2.h>
#include <linux/sched/signal.h>

#include "core/cursor.h"
#include "core/events.h"

/* After so many tries where the cursor stands, one claims first; and how many tries in all. */
#define LOT_TRIES	8
#define LOT_TRIES_MAX	128

/* Lay the parts out from offset @start on. Returns 0, or -ENOSPC if there is no room. */
static int lot_lay_out(const struct arena *arena, struct arena_lot *lot, size_t start)
{
	const size_t slab = arena_slab_size(arena);
	size_t at = start;
	unsigned int i;

	for (i = 0; i < lot->nr; i++) {
		struct arena_part *part = &lot->part[i];

		at = ALIGN(at, lot->align);
		if ((at & (slab - 1)) + part->bytes > slab)
			at = ALIGN(at, slab);
		if (at > arena->capacity || part->bytes > arena->capacity - at)
			return -ENOSPC;
		part->offset = at;
		at += part->bytes;
	}
	lot->end = at;
	return 0;
}

/*
 * Zero and copy in what was claimed in @generation. Returns false if that is over, or if the
 * task is being killed. Where some parts must be zeroed, all of the lot is: one call for all
 * of it is quicker than one for each part.
 */
static bool lot_fill(struct arena *arena, const struct arena_lot *lot, u64 generation, gfp_t gfp)
{
	size_t first = lot->part[0].offset;
	unsigned int i;

	if (lot->bare && (arena->zero || gfp & __GFP_ZERO) &&
	    arena_write(arena, generation, first, NULL, lot->end - first, gfp))
		return false;
	for (i = 0; i < lot->nr; i++) {
		const struct arena_part *part = &lot->part[i];

		if (part->src &&
		    arena_write(arena, generation, part->offset, part->src, part->bytes, gfp))
			return false;
	}
	return true;
}

/*
 * One try where the cursor stands. Returns -EAGAIN if another CPU has moved the cursor, or
 * reset the arena.
 */
static int lot_try(struct arena *arena, struct arena_lot *lot, gfp_t gfp, u64 *generation)
{
	struct arena_snap snap = arena_snap(arena);
	struct arena_stretch stretch = {
		.generation = snap.generation,
		.grain	    = 1,
		.start	    = cursor_offset(snap.cursor),
		.used	    = lot->used,
		.objects    = lot->nr,
	};
	int err;

	if (!cursor_settled(snap.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	err = lot_lay_out(arena, lot, stretch.start);
	if (err)
		return err;
	err = arena_slabs_populate(arena, snap.generation & ARENA_GEN_SET, lot->part[0].offset,
				   lot->end - lot->part[0].offset, gfp);
	if (err)
		return err;
	stretch.end = lot->end;
	if (!arena_commit(arena, &stretch))
		return -EAGAIN;
	*generation = snap.generation;
	if (lot_fill(arena, lot, snap.generation, gfp))
		return 0;
	arena_count_objects(arena, -(int)lot->nr);
	return -EAGAIN;
}

static void lot_move(struct arena_lot *lot, size_t bytes)
{
	unsigned int i;

	for (i = 0; i < lot->nr; i++)
		lot->part[i].offset += bytes;
	lot->end += bytes;
}

/*
 * One try that claims first, from the begin of a slab. A reset that comes after the claim
 * frees the objects, as it may free any object: that is no reason to try again.
 */
static int lot_try_first(struct arena *arena, struct arena_lot *lot, gfp_t gfp, size_t *lead,
			 u64 *generation)
{
	struct arena_stretch stretch = { .used = lot->used, .objects = lot->nr };
	int err = lot_lay_out(arena, lot, 0);

	err = err ?: arena_commit_first(arena, &stretch, lot->end, lead, gfp);
	if (err)
		return err;
	arena_commit_done(arena, &stretch);
	lot_move(lot, stretch.start);
	*generation = stretch.generation;
	if (lot_fill(arena, lot, *generation, gfp) || !fatal_signal_pending(current))
		return 0;
	arena_count_objects(arena, -(int)lot->nr);
	return -EINTR;
}

/*
 * The cursor is exhausted, but unused span tails may remain: take the whole lot from one
 * tail, as for single objects (clause 16). What is laid out in one slab from its begin on
 * fits wherever its alignment does. Returns -ENOSPC if no tail is large enough.
 */
static int lot_try_tail(struct arena *arena, struct arena_lot *lot, gfp_t gfp, u64 *generation)
{
	struct arena_place place;
	int err;

	if (lot_lay_out(arena, lot, 0) || lot->end > arena_slab_size(arena))
		return -ENOSPC;
	err = arena_claim_tail(arena, lot->end, lot->used, lot->align, gfp, &place);
	if (err)
		return err == -ESTALE ? -EAGAIN : err;
	arena_count_objects(arena, lot->nr - 1);
	lot_move(lot, place.offset);
	*generation = place.generation;
	if (lot_fill(arena, lot, place.generation, gfp))
		return 0;
	arena_count_objects(arena, -(int)lot->nr);
	return -EAGAIN;
}

/* Check sizes and alignment, and sum up the sizes. Returns 0, -EINVAL or -ENOSPC. */
static int lot_check(const struct arena *arena, struct arena_lot *lot)
{
	const size_t slab = arena_slab_size(arena);
	unsigned int i;

	if (!lot->nr || !is_power_of_2(lot->align) || lot->align > slab)
		return -EINVAL;
	lot->used = 0;
	lot->bare = false;
	for (i = 0; i < lot->nr; i++) {
		size_t bytes = lot->part[i].bytes;

		if (!bytes || (bytes > slab && lot->align > PAGE_SIZE))
			return -EINVAL;
		if (bytes > arena->capacity - lot->used)
			return -ENOSPC;
		lot->used += bytes;
		lot->bare |= !lot->part[i].src;
	}
	return 0;
}

static void lot_trace(const struct arena *arena, const struct arena_lot *lot, u64 generation,
		      gfp_t gfp)
{
	unsigned int i;

	if (!tracepoint_enabled(arena_alloc))
		return;
	for (i = 0; i < lot->nr; i++)
		arena_trace_alloc(arena, generation, lot->part[i].offset, lot->part[i].bytes,
				  lot->align, gfp);
}

int arena_claim_lot(struct arena *arena, struct arena_lot *lot, gfp_t gfp, u64 *generation)
{
	int err = lot_check(arena, lot), tries = 0;
	size_t lead = 0;

	arena_cpu_prepare(arena, gfp);
	while (!err) {
		bool first = tries++ % (LOT_TRIES + 1) == LOT_TRIES;

		err = first ? lot_try_first(arena, lot, gfp, &lead, generation) :
			      lot_try(arena, lot, gfp, generation);
		if (err == -ENOSPC && !first && arena->spans)
			err = lot_try_tail(arena, lot, gfp, generation);
		if (!err) {
			lot_trace(arena, lot, *generation, gfp);
			return 0;
		}
		/*
		 * A lot that begins at a slab may need more room than is left, although it
		 * fits at the cursor: -ENOSPC of such a try does not end the call.
		 */
		if (err == -EAGAIN || (first && err == -ENOSPC))
			err = fatal_signal_pending(current) ? -EINTR :
			      tries == LOT_TRIES_MAX ? -ENOMEM : 0;
		cond_resched();
	}
	arena_count_failure(arena, err);
	arena_trace_alloc_fail(arena, lot->used, lot->align, gfp, err);
	return err;
}
