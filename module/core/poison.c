// SPDX-License-Identifier: GPL-2.0
/*
 * This file tells KASAN and KMSAN which memory was freed (clause 26). It is built only with one of
 * these.
 *
 * The CPU that settles a generation first poisons what the reset or rewind has freed. By then the
 * late writers are done and the actions have returned, and no claim succeeds yet. Only one CPU may
 * poison: a second CPU could be late, and poison objects of the new generation. So the settling CPU
 * raises arena->writers from 0 to 1, or gives up if arena->writers is not 0. Until that CPU lowers
 * arena->writers again, no other CPU settles the generation, and a reset that releases slabs waits.
 * The objects that arena_reset_rcu() leaves to readers are poisoned when these readers are gone.
 */
#include "core/cursor.h"
#include "core/poison.h"

void arena_freed_note(struct arena *arena, unsigned int set, size_t high)
{
	arena_raise(&arena->freed[set], high);
}

void arena_poison_freed(struct arena *arena, unsigned int set, size_t from)
{
	/*
	 * Without redzones, the last object may end within a granule of KASAN. No other object lies
	 * in the rest of that granule, so round up, to poison the whole granule.
	 */
	size_t high = ALIGN(atomic_long_xchg(&arena->freed[set], 0), ARENA_MIN_ALIGN);
	size_t end = DIV_ROUND_UP(high, arena_slab_size(arena)), i = from >> arena->slab_shift;
	struct arena_slab *entry;

	for (; (entry = arena_dir_next(arena_dir(arena, set), &i, end)); i++) {
		size_t start = max(from, i << arena->slab_shift);
		void *base = READ_ONCE(entry->base), *first, *last;

		if (!base || start >= high)
			continue;
		first = base + (start & (arena_slab_size(arena) - 1));
		last = first + (arena_part_end(arena, start, high) - start);
		if (arena->flags & ARENA_MAPPABLE)
			arena_shadow_free_pages(first, last);
		else
			arena_shadow_poison(first, last, ARENA_POISON_FREED);
	}
}

/*
 * The caller has found that nothing else keeps the generation of @cursor from being settled: poison
 * what the reset or rewind that began it has freed. Returns true if this CPU is to settle the
 * generation, and then to call arena_poison_end(). Returns false if arena->writers is not 0, as
 * another CPU may be settling the generation, or if the cursor has changed.
 */
bool arena_poison_begin(struct arena *arena, unsigned long cursor)
{
	unsigned long begun, used;

	/*
	 * Full barrier A, as in arena_write_begin(): read the cursor only after it. Pairs with B in
	 * settle() and in work_on_slabs(). While this CPU is counted as a writer, no other CPU
	 * settles the generation, and no reset releases slabs.
	 */
	if (atomic_cmpxchg(&arena->writers, 0, 1))
		return false;
	if (atomic_long_read(&arena->cursor) != cursor ||
	    !arena_begin_word(arena, cursor, &begun, &used)) {
		arena_poison_end(arena);
		return false;
	}
	arena_poison_freed(arena, cursor_tag(cursor) & ARENA_GEN_SET, cursor_offset(begun));
	return true;
}

void arena_poison_end(struct arena *arena)
{
	/*
	 * Release: pairs with the atomic_read_acquire() in late_writers(). A CPU that reads the
	 * lowered count sees the memory poisoned.
	 */
	atomic_fetch_dec_release(&arena->writers);
}
