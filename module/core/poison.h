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

/* Objects with a redzone do not share a granule of the shadow with the object before. */
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
 * An object of @generation was claimed at address @object, or where the cursor stood in the word
 * @cursor, in this section with preemption off.
 */
void arena_object_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long generation,
			  void *object, size_t size);
void arena_word_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long cursor,
			void *object, size_t size);
/* An object of @generation was claimed at @offset. The caller is not inside rcu_read_lock(). */
void arena_object_placed(struct arena *arena, unsigned long generation, size_t offset, size_t size);
/*
 * Called around taking an object, which may be NULL, from a reservation: preemption is off from
 * before the reservation is found to be valid until the object is known.
 */
void arena_reserved_begin(void);
void arena_reserved_end(const struct arena_reserve *reserve, void *object, size_t size);
/* What was claimed at @offset is no object yet. */
void arena_object_hidden(struct arena *arena, unsigned long generation, size_t offset, size_t size);
/* An object has got another size. Its redzone is included in neither. */
void arena_object_resized(struct arena *arena, void *object, size_t offset, size_t old, size_t new);

/* A generation in @set ends, in which the cursor stood at @high. */
void arena_freed_note(struct arena *arena, unsigned int set, size_t high);
/* arena_reset_rcu() is about to leave @generation to its readers. */
void arena_left_note(struct arena *arena, unsigned long generation);
/* Poison what was freed in @set, from offset @from on. */
void arena_poison_freed(struct arena *arena, unsigned int set, size_t from);
/* Poison what was freed before the generation of @cursor, which is not settled. */
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
