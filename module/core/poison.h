/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How an arena tells KASAN which of its memory is part of an object and which is not, and KASAN and
 * KMSAN what was freed (clause 26). Without these tools, arena_redzone() is 0, and no function here
 * changes anything.
 */
#ifndef _ARENA_POISON_H
#define _ARENA_POISON_H

#include "core/core.h"

/* Bytes behind each object of @arena that no object gets. They count as padding. */
static __always_inline size_t arena_redzone(const struct arena *arena)
{
	return ARENA_REDZONE ? arena->redzone : 0;
}

/*
 * The alignment of an object for which the caller asks for @align. With redzones, each object
 * begins in a granule (8 bytes) of its own, as the KASAN shadow of a granule describes one object
 * only.
 */
static __always_inline size_t arena_object_align(const struct arena *arena, size_t align)
{
	return arena_redzone(arena) ? max(align, ARENA_MIN_ALIGN) : align;
}

/*
 * The offset at which the redzone of an object of @size bytes at @offset ends. The redzone reaches
 * at most to the end of the slab in which the object ends, and to the capacity: so an object may be
 * as large as a slab, or as the arena.
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

/* The end of the slab that @offset is in, or @end if that is nearer. */
static inline size_t arena_part_end(const struct arena *arena, size_t offset, size_t end)
{
	return min(end, ALIGN(offset + 1, arena_slab_size(arena)));
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
 * An allocation from a reservation calls arena_reserved_begin() before it checks that the
 * reservation is valid, and arena_reserved_end() with its object, or with NULL if it fails.
 * Preemption is off in between.
 */
void arena_reserved_begin(void);
void arena_reserved_end(const struct arena_reserve *reserve, void *object, size_t size);
/* Poison what a reservation has claimed at @offset, as no object lies there yet. */
void arena_object_hidden(struct arena *arena, unsigned long generation, size_t offset, size_t size);
/*
 * Make the @new bytes of an object accessible that is resized from @old bytes, and poison the rest.
 * Neither size includes the redzone.
 */
void arena_object_resized(struct arena *arena, void *object, size_t offset, size_t old, size_t new);

/* Note that arena_reset_rcu() is about to leave @generation to its readers. */
void arena_left_note(struct arena *arena, unsigned long generation);

#else

/* These are macros, as unused arguments of functions would change the compiled fast paths. */
#define arena_object_claimed(...)	((void)0)
#define arena_word_claimed(...)		((void)0)
#define arena_object_placed(...)	((void)0)
#define arena_object_hidden(...)	((void)0)
#define arena_object_resized(...)	((void)0)
#define arena_reserved_begin()		((void)0)
#define arena_reserved_end(...)		((void)0)
#define arena_left_note(...)		((void)0)

#endif /* CONFIG_KASAN_GENERIC */

#if ARENA_SHADOW

/* Note that a generation of slab set @set is about to end, with the cursor at @high. */
void arena_freed_note(struct arena *arena, unsigned int set, size_t high);
/* Poison what resets and rewinds have freed in slab set @set, from offset @from on. */
void arena_poison_freed(struct arena *arena, unsigned int set, size_t from);
/*
 * Poison what was freed before the generation of @cursor began, which the caller is about to
 * settle. Returns false if the caller must not settle it: another CPU may be doing so.
 */
bool arena_poison_begin(struct arena *arena, unsigned long cursor);
void arena_poison_end(struct arena *arena);

#else

#define arena_freed_note(...)		((void)0)
#define arena_poison_freed(...)		((void)0)
#define arena_poison_begin(...)		true
#define arena_poison_end(...)		((void)0)

#endif /* ARENA_SHADOW */

#endif /* _ARENA_POISON_H */
