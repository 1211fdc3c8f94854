// SPDX-License-Identifier: GPL-2.0
/*
 * Growing and shrinking an object in place, if it is the last one that was allocated.
 *
 * This code takes no lock. The end of an object can be moved if the next object would begin
 * directly behind it, at the cursor or in this CPU's span. Growing is one more claim, without
 * padding. Shrinking is the only step within a generation that moves the cursor back. Four things
 * depend on the cursor, and stay right all the same:
 *
 *  - A compare-and-swap of the cursor may succeed although the word has changed and come back. It
 *    relies on the directory entry that was read with the word, and within a generation a slab that
 *    is in an entry stays there.
 *  - A window serves every cursor word up to the end of its slab. So shrinking moves the cursor
 *    only within one slab, and never back from the end of that slab: arena_window_reopen() may have
 *    opened a window of the next slab by then, without a claim.
 *  - A slab may be recorded as zero since it was installed. Shrinking clears the record before it
 *    moves the cursor.
 *  - arena->peak is the highest offset so far, and memory below arena->dirty may not be zero.
 *    Shrinking raises both, if need be, before it moves the cursor.
 *
 * In an arena of the device, the cursor is never moved back: the status page promises programs that
 * the offset only grows within a generation, and poll() waits for it to exceed a value.
 */
#include <linux/export.h>

#include "core/cursor.h"

/**
 * struct object_end - the end of an object, which is to be moved.
 * @generation: a generation in which the object lives.
 * @offset:	where the object begins in the space.
 * @object:	where it begins, in kernel addresses.
 * @old:	its size.
 * @new:	the size that it is to have.
 */
struct object_end {
	unsigned long	generation;
	size_t		offset;
	char		*object;
	size_t		old;
	size_t		new;
};

/* May the cursor be moved from @from to @to? It may within a slab, except back from its end. */
static bool may_move_cursor(const struct arena *arena, size_t from, size_t to)
{
	if (to <= from)
		return from >> arena->slab_shift == to >> arena->slab_shift;
	return from && to <= arena->capacity &&
	       (from - 1) >> arena->slab_shift == (to - 1) >> arena->slab_shift;
}

/*
 * The caller is about to move the cursor back from @from to @to. Record that the bytes in between
 * have been handed out: they count for the peak and for arena->dirty, and may no longer be zero.
 */
static void note_return(struct arena *arena, unsigned long generation, size_t from, size_t to)
{
	struct arena_slab *slab = arena_entry(arena, generation, to);

	arena_note_dirty(arena, from);
	arena_raise(&arena->peak, from);
	/*
	 * The compare-and-swap of the cursor that comes next is a full barrier. It pairs with the
	 * compare-and-swap in cursor_claim(): a CPU that claims these bytes finds that they may not
	 * be zero. Without that order, __GFP_ZERO could return what the former owner has written.
	 */
	if (slab)
		slab_note_clean(slab, generation | ARENA_RETURNED);
}

/*
 * Move the cursor from the old end of the object to the new end. Returns false, with nothing
 * changed, if the cursor is elsewhere, or if the object is to shrink and @slot is NULL: then there
 * is no count from which the bytes could be subtracted.
 */
static bool move_cursor(struct arena *arena, struct arena_slot *slot,
			const struct arena_snap *snap, const struct object_end *end)
{
	const size_t from = arena_object_end(arena, end->offset, end->old);
	const size_t to = arena_object_end(arena, end->offset, end->new);
	long cursor = snap->cursor;
	bool moved = false;

	if (!may_move_cursor(arena, from, to) || (to < from && !slot))
		return false;
	while (!moved && cursor_settled(cursor) && cursor_offset(cursor) == from &&
	       cursor_tag(cursor) == cursor_tag(snap->cursor)) {
		if (to % ARENA_WORD || arena_redzone(arena) || cursor & ARENA_COUNTED) {
			if (arena_is_checked(arena, snap->generation))
				return false;
			if (!cursor_count(arena, &cursor))
				continue;
		}
		if (to < from)
			note_return(arena, snap->generation, from, to);
		moved = atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_move(cursor, to));
	}
	if (moved && cursor & ARENA_COUNTED)
		arena_account(arena, slot, snap->generation, end->new - end->old);
	return moved;
}

/*
 * Can the end of the object of @end be moved in the span of @slot? The object must lie directly
 * before the place where the next object of the span begins, and the span must have room for it to
 * grow. While nothing has been taken from the span, an object that did not come from it may lie
 * there, too. The first check refuses such an object if it lies in another slab, or if it is larger
 * than @slot->taken, from which the bytes that it loses are to be subtracted.
 */
static bool slot_fits(const struct arena *arena, const struct arena_slot *slot,
		      unsigned long generation, const struct object_end *end)
{
	unsigned long start = (unsigned long)end->object;
	size_t old = ALIGN(end->old, ARENA_MIN_ALIGN), new = ALIGN(end->new, ARENA_MIN_ALIGN);

	if (slot->taken < end->old || (start ^ (slot_end(slot) - 1)) >> arena->slab_shift)
		return false;
	return slot->generation == generation &&
	       start + old + arena_redzone(arena) == slot->taken + slot->delta &&
	       (new <= old || new - old <= slot->limit - slot->taken);
}

/*
 * Move the place where the next object of the span begins, @slot->taken + @slot->delta, from the
 * old end of the object to the new end, and count the difference. The end of the span stays where
 * it is.
 */
static void slot_move(struct arena_slot *slot, const struct object_end *end)
{
	size_t less = end->old - end->new;
	size_t back = ALIGN(end->old, ARENA_MIN_ALIGN) - ALIGN(end->new, ARENA_MIN_ALIGN);

	slot->delta += less - back;
	slot->limit -= less - back;
	slot_take(slot, -less);
}

/*
 * The span is about to get back bytes that an object has lost. If the arena zeroes its objects,
 * zero these bytes, as what the span hands out below slot->limit must be zero. Otherwise, record
 * that the span may contain bytes that are not zero. Returns false if a reset has freed the object.
 */
static bool slot_wipe(struct arena *arena, struct arena_cpu *cpu, const struct object_end *end)
{
	char *from = end->object + end->new;

	if (!arena->zero) {
		cpu->slot.zeroed = false;
		return true;
	}
	return !zero_claimed(arena, cpu, end->generation, from,
			     ALIGN(end->old, ARENA_MIN_ALIGN) + arena_redzone(arena) - end->new);
}

/*
 * Move the end of an object that is the last one in the span of this CPU. An interrupt before
 * slot_busy() may have refilled the slot, so compare the object with the slot only after
 * slot_busy().
 */
static bool move_in_span(struct arena *arena, struct arena_cpu *cpu,
			 const struct arena_snap *snap, const struct object_end *end)
{
	struct arena_slot *slot = arena_slot(cpu);
	bool moved;

	if (!slot || READ_ONCE(slot->span) != snap->generation)
		return false;
	slot_busy(slot);
	moved = slot_fits(arena, slot, snap->generation, end) &&
		(end->new >= end->old || slot_wipe(arena, cpu, end));
	if (moved)
		slot_move(slot, end);
	slot_idle(slot, snap->generation);
	return moved;
}

/* Move the end of an object. Returns false, with nothing changed, if the end cannot be moved. */
static bool move_end(struct arena *arena, const struct object_end *end)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	bool may_move = end->new >= end->old || !(arena->flags & ARENA_MAPPABLE), moved = false;

	if (may_move && (snap.generation == end->generation ||
			 arena_outlives(arena, snap.generation, end->generation, end->offset)))
		moved = arena->spans ? move_in_span(arena, cpu, &snap, end) :
				       move_cursor(arena, arena_slot(cpu), &snap, end);
	arena_leave(cpu);
	return moved;
}

/*
 * An object has become smaller, but its end could not be moved: if its generation is checked, the
 * bytes that the object has lost become part of its redzone.
 */
static void note_shrunk(struct arena *arena, const struct object_end *end)
{
	if (unlikely(arena->check))
		arena_check_shrunk(arena, end->generation, end->offset, end->old, end->new);
}

static bool resize(struct arena *arena, void *ptr, size_t old, size_t new, gfp_t gfp)
{
	struct object_end end = {
		.generation = arena_snap_begun(arena).generation,
		.object = ptr, .old = old, .new = new,
	};

	if (!arena_find(arena, end.generation, ptr, &end.offset) ||
	    max(old, new) > arena_slab_size(arena) - (end.offset & (arena_slab_size(arena) - 1)))
		return new <= old;
	/*
	 * Once the end has moved, the bytes that the object loses may be allocated again: poison
	 * them before that.
	 */
	if (new < old)
		arena_object_resized(arena, ptr, end.offset, old, new);
	if (!move_end(arena, &end)) {
		if (new < old)
			note_shrunk(arena, &end);
		return new <= old;
	}
	if (new > old)
		arena_object_resized(arena, ptr, end.offset, old, new);
	/* A reset that intervenes frees the object: there is nothing to zero. */
	if (new > old && (arena->zero || gfp & __GFP_ZERO))
		arena_write(arena, end.generation, end.offset + old, NULL, new - old, ARENA_NOGROW);
	return true;
}

/**
 * arena_resize() - Change the size of an object where it is (clause 28).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena, from any call but arena_reserve_alloc().
 * @old:   its size in bytes, as it was asked for.
 * @new:   the size that it is to have, in bytes.
 *
 * An object can grow if it is the last one: in a dense arena, if nothing was allocated after it;
 * with %ARENA_SPANS, if nothing was allocated after it by the CPU that it came from, and the caller
 * runs on that CPU. It grows in committed memory, within its slab. The bytes that it gains are zero
 * if the arena zeroes its objects, and otherwise undefined.
 *
 * Every object can shrink. If it is the last one, as above, the bytes that it loses can be
 * allocated again, and arena_offset() falls by their number. But they remain unused in an arena of
 * the device; while the module parameter debug names the arena; if the caller has interrupted an
 * allocation of the same arena; and, in a dense arena, if the object ends where its slab does, or
 * if the caller's CPU has not allocated from the arena before.
 *
 * A mark does not record sizes: an object that is older than a mark must not be resized before the
 * arena is rewound to that mark for the last time.
 *
 * Context: Any. Takes no lock. The caller excludes resets and rewinds that free the object, as for
 * any use of it, and other users of the object.
 * Return: @ptr, if the object has @new bytes now; NULL, with nothing changed, if it cannot grow
 * where it is, or if @old or @new is 0. The compiler assumes that the object behind @ptr has its
 * old size, and that the object behind the returned pointer has @new bytes: use the returned
 * pointer.
 */
void *arena_resize(struct arena *arena, void *ptr, size_t old, size_t new)
{
	return old && new && resize(arena, ptr, old, new, ARENA_NOGROW) ? ptr : NULL;
}
EXPORT_SYMBOL_GPL(arena_resize);

/* arena_realloc(), with the return address @caller for reports of checks (check.c). */
void *arena_realloc_for(struct arena *arena, void *ptr, size_t old, size_t new, gfp_t gfp,
			unsigned long caller)
{
	struct arena_place place = { .caller = caller };
	int err;

	if (!ptr && !arena->check)
		return arena_alloc(arena, new, gfp);
	if (ptr && old && new && resize(arena, ptr, old, new, gfp))
		return ptr;
	new = size_with_address(arena, new);
	err = ptr ? arena_claim_copy(arena, ptr, old, new, ARENA_MIN_ALIGN, gfp, &place) :
		    arena_claim(arena, new, ARENA_MIN_ALIGN, gfp, &place);
	return err ? NULL : place.ptr;
}

/**
 * arena_realloc() - Change the size of an object, where it is or by a copy (clause 28).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena, as for arena_resize(); or NULL, for arena_alloc().
 * @old:   its size in bytes, as it was asked for; not used if @ptr is NULL.
 * @new:   the size that it is to have, in bytes, not 0.
 * @gfp:   how the arena may grow, see arena_alloc(). With __GFP_ZERO, the bytes that the object
 *	gains are zeroed.
 *
 * Where arena_resize() fails, the object is copied. The old object remains until the next reset, or
 * until a rewind to an offset at or below it, as no single object is ever freed. A copy is aligned
 * to %ARENA_MIN_ALIGN.
 *
 * Context: As arena_alloc(), and as arena_resize().
 * Return: The object; NULL, with the old object unchanged, where arena_alloc() would return NULL,
 * or if the task is killed during a copy of more than %ARENA_SLAB_MAX.
 */
void *arena_realloc(struct arena *arena, void *ptr, size_t old, size_t new, gfp_t gfp)
{
	return arena_realloc_for(arena, ptr, old, new, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(arena_realloc);

/**
 * arena_unreserve() - Give back what is left of a reservation (clause 3).
 * @reserve: filled in by arena_reserve(). Afterwards nothing can be allocated from it; objects that
 *	  were allocated from it remain.
 *
 * What is left can be allocated again under the same conditions as the bytes that arena_resize()
 * takes from an object: in short, if nothing was allocated after the reservation, and if the arena
 * is not one of the device. A reservation of more than a slab must be used up to its last slab.
 * Otherwise what is left remains unused until the next reset. A mark does not know what is given
 * back later: a reservation that is older than a mark must not be given back before the arena is
 * rewound to the mark for the last time.
 *
 * Context: Any. Takes no lock. The caller makes sure that nothing is allocated from @reserve at the
 * same time.
 * Return: The number of bytes that were given back, by which arena_offset() has fallen.
 */
size_t arena_unreserve(struct arena_reserve *reserve)
{
	const struct object_end end = {
		.generation = reserve->generation,
		.offset	    = reserve->offset,
		.object	    = reserve->base,
		.old	    = reserve->size,
		.new	    = atomic_long_xchg(&reserve->used, reserve->size),
	};

	if (!reserve->base || end.new >= end.old)
		return 0;
	if (move_end(reserve->arena, &end))
		return end.old - end.new;
	note_shrunk(reserve->arena, &end);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_unreserve);
