// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: memory that a caller sets aside, for later allocations that must not fail.
 *
 * A reservation is a stretch of the arena with a cursor of its own. The code in this file takes no
 * lock.
 */
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/overflow.h>

#include "core/cursor.h"

/* How many bytes of a reservation an object of @size bytes takes, its redzone included. */
static size_t reserve_room(const struct arena *arena, size_t size)
{
	return arena_redzone(arena) ? ALIGN(size, ARENA_MIN_ALIGN) + arena_redzone(arena) : size;
}

/**
 * arena_reserve() - Set memory of an arena aside, to be allocated from later.
 * @arena:   the arena, not NULL.
 * @reserve: filled in. The caller provides it and need not free anything: the next reset
 *	  takes back what is not used up.
 * @nr:	     number of objects, not 0.
 * @size:    largest size of each, in bytes, not 0.
 * @align:   largest alignment of each, in bytes: a power of two, at most %PAGE_SIZE.
 * @gfp:     GFP_KERNEL or weaker, see arena_alloc(); with __GFP_ZERO the memory is zeroed.
 *
 * Takes @nr times @size bytes, and the worst padding that @align can cost. All of it counts as
 * used at once (clause 3).
 *
 * Context: Any that @gfp fits; meant for task context. Takes no lock. A reservation that is larger
 * than a slab needs GFP_KERNEL.
 * Return: 0; or, with nothing changed, -EINVAL for a bad argument; -ENOSPC; -ENOMEM; -EINTR if the
 * reservation is larger than a slab and the task is being killed.
 */
int arena_reserve(struct arena *arena, struct arena_reserve *reserve, size_t nr, size_t size,
		  size_t align, gfp_t gfp)
{
	struct arena_place place = { .caller = _RET_IP_ };
	size_t bytes;
	int err;

	*reserve = (struct arena_reserve) { .arena = arena };
	if (!nr || !size || !is_power_of_2(align) || align > PAGE_SIZE ||
	    size > SIZE_MAX - align - (ARENA_REDZONE ? ARENA_MIN_ALIGN + ARENA_REDZONE : 0) ||
	    check_mul_overflow(nr, ALIGN(reserve_room(arena, size), align), &bytes))
		bytes = 0;
	bytes = size_with_address(arena, bytes);
	/* arena_claim() refuses size 0 and counts it as a bad argument. */
	err = arena_claim(arena, bytes, bytes ? max(align, ARENA_MIN_ALIGN) : 1, gfp, &place);
	if (err)
		return err;
	arena_object_hidden(arena, place.generation, place.offset, bytes);
	reserve->base = place.ptr;
	reserve->size = bytes;
	reserve->generation = place.generation;
	reserve->offset = place.offset;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_reserve);

static void *reserve_take(struct arena_reserve *reserve, size_t size, size_t align)
{
	long old = atomic_long_read(&reserve->used);
	unsigned long base = (unsigned long)reserve->base;
	size_t start, room;

	if (!base || !size || !is_power_of_2(align) ||
	    !arena_lives(reserve->arena, reserve->generation, reserve->offset))
		return NULL;
	align = arena_object_align(reserve->arena, align);
	do {
		start = ALIGN(base + old, align) - base;
		if (start > reserve->size || size > reserve->size - start)
			return NULL;
		room = min(reserve_room(reserve->arena, size), reserve->size - start);
		/*
		 * Pairs with no barrier: the value of the count alone decides which bytes this
		 * object gets, so a relaxed exchange would be enough.
		 */
	} while (!atomic_long_try_cmpxchg(&reserve->used, &old, start + room));
	return reserve->base + start;
}

/**
 * arena_reserve_alloc() - Take memory for one object from a reservation.
 * @reserve: filled in by arena_reserve().
 * @size:    bytes, not 0.
 * @align:   bytes: a power of two, at most the alignment that was reserved for.
 *
 * The call cannot fail, in any context, until as many objects have been taken as were reserved. The
 * exception is an arena that was reset, or rewound to or below the reservation: then every call
 * fails (clause 3).
 *
 * Context: Any, NMI included. Takes no lock. Any number of CPUs may take from one reservation.
 * Return: The object; NULL with nothing changed if the reservation is used up or void, or for
 * a bad argument.
 */
void *arena_reserve_alloc(struct arena_reserve *reserve, size_t size, size_t align)
{
	void *object;

	arena_reserved_begin();
	object = reserve_take(reserve, size, align);
	arena_reserved_end(reserve, object, size);
	return object;
}
EXPORT_SYMBOL_GPL(arena_reserve_alloc);
