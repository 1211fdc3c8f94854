// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: several objects, all or none, by one move of the cursor or from one tail.
 *
 * A call first commits all memory of the batch, and then claims. Committing may sleep, so callers
 * need GFP_KERNEL. Only collecting tails takes a lock, tail_mutex. A part that fits into a slab
 * must not straddle two slabs, so the layout of the parts depends on where the batch begins. A call
 * lays the batch out from the cursor on; its claim fails if another CPU has moved the cursor since.
 *
 * After BATCH_TRIES such failures, a call lays the batch out from the start of a slab: that layout
 * fits at every slab. The call commits some slabs ahead of the cursor, then reads the cursor again,
 * and claims from the next slab boundary on.
 */
#include <linux/log2.h>
#include <linux/sched/signal.h>

#include "core/cursor.h"
#include "core/events.h"

/*
 * After each BATCH_TRIES tries to claim where the cursor stands, one try claims from the start of a
 * slab. A call makes at most BATCH_TRIES_MAX tries.
 */
#define BATCH_TRIES	8
#define BATCH_TRIES_MAX	128

/* Lay the parts out from offset @start on. Returns 0, or -ENOSPC if there is no room. */
static int batch_lay_out(const struct arena *arena, struct arena_batch *batch, size_t start)
{
	const size_t slab = arena_slab_size(arena);
	size_t at = start;
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		struct arena_part *part = &batch->part[i];

		at = ALIGN(at, arena_object_align(arena, batch->align));
		if ((at & (slab - 1)) + part->bytes > slab)
			at = ALIGN(at, slab);
		if (at > arena->capacity || part->bytes > arena->capacity - at)
			return -ENOSPC;
		part->offset = at;
		at = arena_object_end(arena, at, part->bytes);
	}
	batch->end = at;
	return 0;
}

/*
 * Fill the objects, which were claimed in @generation: zero them, and copy their contents in.
 * Returns false if a reset or rewind has freed an object, or if the task is being killed. If some
 * parts must be zeroed, the whole batch is zeroed: one call is quicker than one for each part.
 */
static bool batch_fill(struct arena *arena, const struct arena_batch *batch, u64 generation,
		       gfp_t gfp)
{
	size_t first = batch->part[0].offset;
	unsigned int i;

	for (i = 0; ARENA_REDZONE && i < batch->nr; i++)
		arena_object_placed(arena, generation, batch->part[i].offset,
				    batch->part[i].bytes);
	if (batch->bare && (arena->zero || gfp & __GFP_ZERO) &&
	    arena_write(arena, generation, first, NULL, batch->end - first, gfp))
		return false;
	for (i = 0; i < batch->nr; i++) {
		const struct arena_part *part = &batch->part[i];

		if (part->src &&
		    arena_write(arena, generation, part->offset, part->src, part->bytes, gfp))
			return false;
	}
	return true;
}

/*
 * Try once to claim the batch where the cursor stands. Returns -EAGAIN if another CPU has moved
 * the cursor, or reset the arena.
 */
static int batch_claim_at_cursor(struct arena *arena, struct arena_batch *batch, gfp_t gfp,
				 u64 *generation)
{
	struct arena_snap snap = arena_snap(arena);
	struct arena_stretch stretch = {
		.generation = snap.generation,
		.grain	    = 1,
		.start	    = cursor_offset(snap.cursor),
		.used	    = batch->used,
	};
	int err;

	if (!cursor_settled(snap.cursor))
		return arena_settle_wait(arena, gfp) ? -EAGAIN : -ENOMEM;
	err = batch_lay_out(arena, batch, stretch.start);
	if (err)
		return err;
	err = arena_slabs_populate(arena, snap.generation & ARENA_GEN_SET, batch->part[0].offset,
				   batch->end - batch->part[0].offset, gfp);
	if (err)
		return err;
	stretch.end = batch->end;
	if (!arena_claim_stretch(arena, &stretch))
		return -EAGAIN;
	*generation = snap.generation;
	return batch_fill(arena, batch, snap.generation, gfp) ? 0 : -EAGAIN;
}

static void batch_move(struct arena_batch *batch, size_t bytes)
{
	unsigned int i;

	for (i = 0; i < batch->nr; i++)
		batch->part[i].offset += bytes;
	batch->end += bytes;
}

/*
 * Try once to claim the batch from the start of a slab, and fill it afterwards. If a reset comes
 * after the claim, the objects are returned all the same, as a reset may free any object at any
 * time.
 */
static int batch_claim_at_slab(struct arena *arena, struct arena_batch *batch, gfp_t gfp,
			       size_t *lead, u64 *generation)
{
	struct arena_stretch stretch = { .used = batch->used };
	int err = batch_lay_out(arena, batch, 0);

	err = err ?: arena_claim_ahead(arena, &stretch, batch->end, lead, gfp);
	if (err)
		return err;
	arena_count_stretch(arena, &stretch);
	batch_move(batch, stretch.start);
	*generation = stretch.generation;
	return batch_fill(arena, batch, *generation, gfp) || !fatal_signal_pending(current) ?
	       0 : -EINTR;
}

/*
 * The cursor has no room for the batch, but unused span tails may remain: take the whole batch from
 * one tail (clause 16). A layout within one slab stays valid if it is moved, within a slab, by a
 * multiple of its alignment. Returns -ENOSPC if no tail is large enough.
 */
static int batch_claim_tail(struct arena *arena, struct arena_batch *batch, gfp_t gfp,
			    u64 *generation)
{
	struct arena_place place;
	int err;

	if (batch_lay_out(arena, batch, 0) || batch->end > arena_slab_size(arena))
		return -ENOSPC;
	err = arena_tails_claim(arena, batch->end, batch->used, batch->align, gfp, &place);
	if (err)
		return err == -ESTALE ? -EAGAIN : err;
	batch_move(batch, place.offset);
	*generation = place.generation;
	return batch_fill(arena, batch, place.generation, gfp) ? 0 : -EAGAIN;
}

/* Check sizes and alignment, set @batch->used and @batch->bare. Returns 0, -EINVAL or -ENOSPC. */
static int batch_check(const struct arena *arena, struct arena_batch *batch)
{
	const size_t slab = arena_slab_size(arena);
	unsigned int i;

	if (!batch->nr || !is_power_of_2(batch->align) || batch->align > slab)
		return -EINVAL;
	batch->used = 0;
	batch->bare = false;
	for (i = 0; i < batch->nr; i++) {
		size_t bytes = batch->part[i].bytes;

		if (!bytes || (bytes > slab && batch->align > PAGE_SIZE))
			return -EINVAL;
		if (bytes > arena->capacity - batch->used)
			return -ENOSPC;
		batch->used += bytes;
		batch->bare |= !batch->part[i].src;
	}
	return 0;
}

static void batch_trace(const struct arena *arena, const struct arena_batch *batch, u64 generation,
			gfp_t gfp)
{
	unsigned int i;

	if (!tracepoint_enabled(arena_alloc))
		return;
	for (i = 0; i < batch->nr; i++)
		arena_trace_alloc(arena, generation, batch->part[i].offset, batch->part[i].bytes,
				  batch->align, gfp);
}

int arena_claim_batch(struct arena *arena, struct arena_batch *batch, gfp_t gfp, u64 *generation)
{
	int err = batch_check(arena, batch), tries = 0;
	size_t lead = 0;

	arena_cpu_prepare(arena, gfp);
	while (!err) {
		bool first = tries++ % (BATCH_TRIES + 1) == BATCH_TRIES;

		err = first ? batch_claim_at_slab(arena, batch, gfp, &lead, generation) :
			      batch_claim_at_cursor(arena, batch, gfp, generation);
		if (err == -ENOSPC && !first && arena->spans)
			err = batch_claim_tail(arena, batch, gfp, generation);
		if (!err) {
			arena_count_objects(arena, batch->nr);
			batch_trace(arena, batch, *generation, gfp);
			return 0;
		}
		/*
		 * batch_claim_at_slab() skips the rest of the slab that the cursor is in, so it
		 * may return -ENOSPC although the batch fits at the cursor. The loop then goes
		 * on, and batch_claim_at_cursor() tries again.
		 */
		if (err == -EAGAIN || (first && err == -ENOSPC))
			err = fatal_signal_pending(current) ? -EINTR :
			      tries == BATCH_TRIES_MAX ? -ENOMEM : 0;
		cond_resched();
	}
	arena_count_failure(arena, err);
	arena_trace_alloc_fail(arena, batch->used, batch->align, gfp, err);
	return err;
}
