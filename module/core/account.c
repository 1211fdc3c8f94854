// SPDX-License-Identifier: GPL-2.0
/*
 * Counting: the bytes and objects that each CPU has handed out, and failed allocations.
 */
#include "core/cursor.h"

/*
 * Count @size bytes for an allocation without a slot, in a shared word that is tagged like the
 * cursor. An update that belongs to an older generation than the word is dropped.
 */
static void deep_count(struct arena *arena, unsigned long generation, size_t size)
{
	long old = atomic_long_read(&arena->deep_used), new;
	unsigned long ahead;

	do {
		ahead = (generation - cursor_tag(old)) & ARENA_TAG_MASK;
		if (ahead >= ARENA_TAG_HALF)
			break;
		new = cursor_move(ahead ? cursor_start(generation) : old,
				  ahead ? size : cursor_offset(old) + size);
	} while (!atomic_long_try_cmpxchg(&arena->deep_used, &old, new));
}

/*
 * Count @size bytes of @generation, which may be over by now: a slot that already counts for a
 * newer generation drops the update.
 */
void arena_account(struct arena *arena, struct arena_slot *slot, unsigned long generation,
		   size_t size)
{
	if (slot && generation < slot->generation)
		return;
	if (likely(slot && (slot->generation == generation || slot_adopt(slot, generation))))
		slot_count(slot, size);
	else
		deep_count(arena, generation, size);
}

/* Count @nr objects that are complete. */
void arena_count_objects(struct arena *arena, unsigned int nr)
{
	preempt_disable();
	count_objects(arena, arena_cpu_find(arena), nr);
	preempt_enable();
}

/* Count a failed allocation. -EINTR, of a task that is being killed, counts as lack of memory. */
void arena_count_failure(struct arena *arena, int err)
{
	enum arena_fail cause = err == -ENOSPC ? ARENA_FAIL_SPACE :
				err == -EINVAL ? ARENA_FAIL_ARG : ARENA_FAIL_MEMORY;

	atomic_long_inc(&arena->fails[cause]);
}
