// SPDX-License-Identifier: GPL-2.0
/*
 * Counting: what each CPU has handed out, and why allocations failed.
 */
#include "core/cursor.h"

/*
 * Without a slot: count on the shared line, in a word tagged like the cursor. What belongs
 * to an older generation than that is dropped.
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

/* Count @size bytes of @generation, which may be over by now. */
void arena_account(struct arena *arena, struct arena_slot *slot, unsigned long generation,
		   size_t size)
{
	if (unlikely(!slot)) {
		deep_count(arena, generation, size);
		return;
	}
	if (slot->generation != generation) {
		if (generation < slot->generation)
			return;
		slot_adopt(slot, generation);
	}
	slot_count(slot, size);
}

/* @nr objects more, or fewer, than claims have counted. */
void arena_count_objects(struct arena *arena, int nr)
{
	preempt_disable();
	count_objects(arena, arena_cpu_find(arena), nr);
	preempt_enable();
}

/* A call that was killed did not get the memory it was waiting for. */
void arena_count_failure(struct arena *arena, int err)
{
	enum arena_fail cause = err == -ENOSPC ? ARENA_FAIL_SPACE :
				err == -EINVAL ? ARENA_FAIL_ARG : ARENA_FAIL_MEMORY;

	atomic_long_inc(&arena->fails[cause]);
}
