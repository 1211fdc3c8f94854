// SPDX-License-Identifier: GPL-2.0
/*
 * Lots: several objects, all or none, by one move of the cursor.
 *
 * Takes no lock, needs GFP_KERNEL. As with an object larger than a slab, memory
 * is committed before it is claimed. Where the parts lie depends on where the
 * cursor stands, as none that fits into a slab may straddle two: so it is laid
 * out for where the cursor was seen, and the claim fails if it has moved on. A caller that
 * loses that race again and again begins at a slab, where the lay-out is always the same,
 * and claims before anything else, see large.c.
 */
#include <linux/log2.h>
#include <linux/sched/signal.h>

#include "core/cursor.h"
#include "core/events.h"

/* Tries at where the cursor stands, before one that claims first; and tries in all. */
#define LOT_TRIES	8
#define LOT_TRIES_MAX	128

/* -ENOSPC if there is no room from @start on. */
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
 * Write to what was claimed in @generation, which may be over: then false. All
 * is zeroed where some of it must be, which is quicker than one by one.
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

/* -EAGAIN if others have moved the cursor, or reset. */
static int lot_try(struct arena *arena, struct arena_lot *lot, gfp_t gfp, u64 *generation)
{
	struct arena_view view = arena_peek(arena);
	struct arena_stretch stretch = {
		.generation = view.generation,
		.grain	    = 1,
		.start	    = cursor_offset(view.cursor),
		.used	    = lot->used,
		.objects    = lot->nr,
	};
	int err;

	if (!cursor_settled(view.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	err = lot_lay_out(arena, lot, stretch.start);
	if (err)
		return err;
	err = arena_slabs_populate(arena, view.generation & ARENA_GEN_SET, lot->part[0].offset,
				   lot->end - lot->part[0].offset, gfp);
	if (err)
		return err;
	stretch.end = lot->end;
	if (!arena_commit(arena, &stretch))
		return -EAGAIN;
	*generation = view.generation;
	if (lot_fill(arena, lot, view.generation, gfp))
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

/* A reset that comes after the claim frees the objects, as it may free any. */
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
 * The cursor has nothing left: by one tail of a span, as for single objects (clause 16). What
 * is laid out in one slab fits wherever its alignment does.
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

/* Where there is room for it, and what it amounts to. */
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

static void lot_tell(const struct arena *arena, const struct arena_lot *lot, u64 generation,
		     gfp_t gfp)
{
	unsigned int i;

	if (!tracepoint_enabled(arena_alloc))
		return;
	for (i = 0; i < lot->nr; i++)
		arena_tell_alloc(arena, generation, lot->part[i].offset, lot->part[i].bytes,
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
			lot_tell(arena, lot, *generation, gfp);
			return 0;
		}
		/* A little less room there: no reason to give up. */
		if (err == -EAGAIN || (first && err == -ENOSPC))
			err = fatal_signal_pending(current) ? -EINTR :
			      tries == LOT_TRIES_MAX ? -ENOMEM : 0;
		cond_resched();
	}
	arena_count_failure(arena, err);
	arena_tell_fail(arena, lot->used, lot->align, gfp, err);
	return err;
}
