// SPDX-License-Identifier: GPL-2.0
/* arena_owns() says whether an address belongs to an arena. It takes no lock. */
#include <linux/export.h>

#include "core/cursor.h"

/**
 * arena_owns() - Does an address lie in what an arena has handed out?
 * @arena: the arena, not NULL.
 * @ptr:   any value: it is not dereferenced.
 *
 * Padding counts as handed out, and so do the unused rests of spans and reservations. Memory that a
 * reset or rewind has freed does not count, even while readers may still use it after
 * arena_reset_rcu().
 *
 * Context: Any. Takes no lock. The answer holds while the caller excludes resets and rewinds.
 * Return: true if @ptr lies in a slab of the present generation, at an offset that the cursor has
 * passed.
 */
bool arena_owns(const struct arena *arena, const void *ptr)
{
	struct arena_snap snap = arena_snap_begun(arena);
	size_t offset;

	ptr = arena_slab_address(arena, snap.generation, ptr);
	return arena_find(arena, snap.generation, ptr, &offset) &&
	       offset < cursor_offset(snap.cursor);
}
EXPORT_SYMBOL_GPL(arena_owns);
