/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where an arena tells the debugging tools of the kernel what is an object and what is not (clause
 * 26). Without KASAN, all of this is empty.
 */
#ifndef _ARENA_POISON_H
#define _ARENA_POISON_H

#include "core/core.h"

/* Bytes behind each object of @arena that no object gets. They count as padding. */
static __always_inline size_t arena_redzone(const struct arena *arena)
{
	return ARENA_REDZONE ? arena->redzone : 0;
}

/* With redzones, align objects such that no two share a granule of the shadow. */
static __always_inline size_t arena_object_align(const struct arena *arena, size_t align)
{
	return arena_redzone(arena) ? max(align, ARENA_MIN_ALIGN) : align;
}

/*
 * The offset behind an object of @size bytes at @offset, and behind its redzone. The redzone ends
 * with the slab that the object ends in, and with the space: so an object may be as large as these.
 */
static __always_inline size_t arena_object_end(const struct arena *arena, size_t offset,
					       size_t size)
{
	size_t end = offset + size;

	if (!arena_redzone(arena) || !size)
		return end;
	return max(end, min3(ALIGN(end, ARENA_MIN_ALIGN) + arena_redzone(arena),
			     ALIGN(end, arena_slab_size(arena)), arena->capacity));
}

#ifdef CONFIG_KASAN_GENERIC

/*
 * Make the object at address @object accessible. This CPU has claimed it in this preempt-off
 * section, in @generation or in the generation of the cursor word @cursor.
 */
void arena_object_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long generation,
			  void *object, size_t size);
void arena_word_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long cursor,
			void *object, size_t size);
/*
 * Make the object at @offset accessible, which was claimed in @generation. The caller is not inside
 * rcu_read_lock().
 */
void arena_object_placed(struct arena *arena, unsigned long generation, size_t offset, size_t size);
/*
 * An allocation from a reservation calls the first before it looks if the reservation is valid, and
 * the second with its object, or NULL if it has none. Preemption is off in between.
 */
void arena_reserved_begin(void);
void arena_reserved_end(const struct arena_reserve *reserve, void *object, size_t size);
/* Poison what a reservation has claimed at @offset, as it is no object yet. */
void arena_object_hidden(struct arena *arena, unsigned long generation, size_t offset, size_t size);
/* An object was resized from @old to @new bytes, both without its redzone. */
void arena_object_resized(struct arena *arena, void *object, size_t offset, size_t old, size_t new);

/* A generation in @set ends, in which the cursor stood at @high. */
void arena_freed_note(struct arena *arena, unsigned int set, size_t high);
/* arena_reset_rcu() is about to leave @generation to its readers. */
void arena_left_note(struct arena *arena, unsigned long generation);
/* Poison what was freed in @set, from offset @from on. */
void arena_poison_freed(struct arena *arena, unsigned int set, size_t from);
/* Poison what was freed before the generation of @cursor, which is about to be settled. */
bool arena_poison_begin(struct arena *arena, unsigned long cursor);
void arena_poison_end(struct arena *arena);

#else

/* Macros: even unused arguments would change how the compiler arranges the fast paths. */
#define arena_object_claimed(...)	((void)0)
#define arena_word_claimed(...)		((void)0)
#define arena_object_placed(...)	((void)0)
#define arena_object_hidden(...)	((void)0)
#define arena_object_resized(...)	((void)0)
#define arena_reserved_begin()		((void)0)
#define arena_reserved_end(...)		((void)0)
#define arena_freed_note(...)		((void)0)
#define arena_left_note(...)		((void)0)
#define arena_poison_freed(...)		((void)0)
#define arena_poison_begin(...)		true
#define arena_poison_end(...)		((void)0)

#endif /* CONFIG_KASAN_GENERIC */

#endif /* _ARENA_POISON_H */
