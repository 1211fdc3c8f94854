// SPDX-License-Identifier: GPL-2.0
/*
 * Leases. A program claims as many bytes as the arena can give in one piece, between two bounds,
 * and then allocates in them without further calls. The code in this file takes no lock of its own.
 */
#include <linux/align.h>
#include <linux/minmax.h>

#include "core/cursor.h"

/*
 * Returns how many bytes are left in the span of this CPU, after alignment. A claim of more bytes
 * may start another span and leave these bytes behind as padding.
 */
static size_t span_left(struct arena *arena, size_t align)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	size_t left = 0;

	if (slot && READ_ONCE(slot->span) == __arena_snap(arena).generation) {
		unsigned long next = slot->taken + slot->delta;
		size_t pad = ALIGN(next, max(align, ARENA_MIN_ALIGN)) - next;

		pad += arena_redzone(arena);
		left = pad < slot_room(slot) ? slot_room(slot) - pad : 0;
	}
	arena_leave(cpu);
	return left;
}

/*
 * Returns how large an object this CPU could claim now: the object may reach to the end of the slab
 * where the cursor stands or, if @min does not fit there, fill the next slab. The result is a
 * guess, as other CPUs may be claiming, and is meaningless if @align is not valid. __arena_claim()
 * checks the size and @align.
 */
static size_t room_left(const struct arena *arena, size_t min, size_t align)
{
	const size_t slab = arena_slab_size(arena), capacity = arena_capacity(arena);
	size_t start = ALIGN(arena_high(arena), min > slab ? slab : align);
	size_t end = ALIGN(start + 1, slab);

	if (start >= capacity)
		return 0;
	if (min > slab)
		return capacity - start;
	if (min(end, capacity) - start >= min)
		return min(end, capacity) - start;
	return end < capacity ? min(slab, capacity - end) : 0;
}

/*
 * Claim at least @min bytes and at most @want, but no more than a slab unless @min is larger.
 * Sets *@bytes to what was claimed. Errors are those of arena_claim().
 */
int arena_claim_some(struct arena *arena, size_t min, size_t want, size_t align, gfp_t gfp,
		     struct arena_place *place, size_t *bytes)
{
	const size_t slab = arena_slab_size(arena);
	size_t most = min > slab ? want : min(want, slab);
	size_t size;
	int err;

	for (;;) {
		size_t room = arena->spans ? span_left(arena, align) : 0;

		if (room < min)
			room = room_left(arena, min, align);
		size = room < min ? most : min(room, most);
		if (IS_ALIGNED(min, sizeof(u64)))
			size = round_down(size, sizeof(u64));
		err = __arena_claim(arena, size, align, gfp, place);
		*bytes = size;
		if (size == min || (err != -ENOSPC && err != -ENOMEM))
			break;
		/*
		 * Other CPUs have claimed that space, only tails of spans are left, or memory is
		 * short: try a smaller size.
		 */
		most = err == -ENOMEM ? min : max(min, size / 2);
	}
	return arena_claim_report(arena, size, align, gfp, place, err);
}
