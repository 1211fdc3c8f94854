// SPDX-License-Identifier: GPL-2.0
/*
 * This file tells KASAN which memory is an object (clause 26). It is built only with generic KASAN.
 *
 * A reset may free an object before a CPU has changed the shadow of that object, and another object
 * may then get the same memory. A late change would hit the shadow of the new object. So the CPU
 * counts itself as a writer before it changes the shadow, as before it zeroes an object ("DOC:
 * generations" in core.h), and changes nothing if the generation of the object is over.
 *
 * There is one exception. arena_reset_rcu() leaves the objects of the former generation to readers,
 * and a reader may be allocating an object at that moment. The reader finds the generation over,
 * but is going to use the object. So arena_object_claimed() makes the object accessible all the
 * same. This is safe: the reader made the claim in the same preempt-off section, and the arena does
 * not return to the former slab set before that section has ended.
 */
#include <linux/mm.h>

#include "core/cursor.h"
#include "core/poison.h"

static size_t object_room(const struct arena *arena, size_t offset, size_t size)
{
	return arena_redzone(arena) ? arena_object_end(arena, offset, size) - offset : 0;
}

static void object_show(struct arena *arena, void *object, size_t size)
{
	arena_shadow_object(object, size,
			    object_room(arena, arena_slab_offset(arena, object), size));
}

/* Was the object of @generation alive when arena_reset_rcu() last changed to the other slab set? */
static bool was_left(struct arena *arena, unsigned long generation, void *object)
{
	unsigned long left = READ_ONCE(arena->left);

	return ((__arena_snap(arena).generation ^ generation) & ARENA_GEN_SET) &&
	       (left == generation ||
		arena_outlives(arena, left, generation, arena_slab_offset(arena, object)));
}

void arena_object_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long generation,
			  void *object, size_t size)
{
	struct arena_cpu *writer = arena_write_begin(arena, cpu, generation, object);

	if (writer) {
		object_show(arena, object, size);
		arena_write_end(arena, writer);
	} else if (was_left(arena, generation, object)) {
		object_show(arena, object, size);
	}
}

void arena_word_claimed(struct arena *arena, struct arena_cpu *cpu, unsigned long cursor,
			void *object, size_t size)
{
	unsigned long now = __arena_snap(arena).generation;

	/* With preemption off, the tag has not wrapped since the claim: it tells the generation. */
	arena_object_claimed(arena, cpu, now - ((now - cursor_tag(cursor)) & ARENA_TAG_MASK),
			     object, size);
}

/*
 * Tell KASAN that a stretch is accessible, like an object, or with @hide that it is poisoned. The
 * stretch may be larger than a slab, so the loop proceeds slab by slab. It stops if the generation
 * is over.
 */
static void stretch_shadow(struct arena *arena, unsigned long generation, size_t offset,
			   size_t size, bool hide)
{
	const size_t mask = arena_slab_size(arena) - 1, end = offset + size;
	struct arena_cpu *cpu, *writer;
	size_t next;

	do {
		void *base, *part;

		cpu = arena_enter(arena);
		base = arena_slab_base(arena, generation, offset);
		part = base + (offset & mask);
		next = arena_part_end(arena, offset, end);
		writer = base ? arena_write_begin(arena, cpu, generation, part) : NULL;
		if (writer && hide)
			arena_shadow_poison(part, part + (next - offset), ARENA_POISON_UNUSED);
		else if (writer)
			object_show(arena, part, next - offset);
		if (writer)
			arena_write_end(arena, writer);
		arena_leave(cpu);
		offset = next;
	} while (writer && offset < end);
}

void arena_object_placed(struct arena *arena, unsigned long generation, size_t offset, size_t size)
{
	stretch_shadow(arena, generation, offset, size, false);
}

void arena_reserved_begin(void)
{
	preempt_disable();
}

/*
 * Objects from a reservation that is larger than a slab have addresses in the view of the
 * reservation. arena_view_make() has made the whole view accessible, so nothing remains to be done
 * for them here.
 */
void arena_reserved_end(const struct arena_reserve *reserve, void *object, size_t size)
{
	if (object && reserve->size <= arena_slab_size(reserve->arena))
		arena_object_claimed(reserve->arena, arena_cpu_find(reserve->arena),
				     reserve->generation, object, size);
	preempt_enable();
}

void arena_object_hidden(struct arena *arena, unsigned long generation, size_t offset, size_t size)
{
	stretch_shadow(arena, generation, offset, size, true);
}

void arena_object_resized(struct arena *arena, void *object, size_t offset, size_t old, size_t new)
{
	arena_shadow_object(object, new, object_room(arena, offset, new));
	if (new < old)
		arena_shadow_poison(object + new, object + old, ARENA_POISON_UNUSED);
}

void arena_left_note(struct arena *arena, unsigned long generation)
{
	WRITE_ONCE(arena->left, generation);
}
