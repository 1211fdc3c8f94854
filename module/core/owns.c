// SPDX-License-Identifier: GPL-2.0
/* Whether an address belongs to an arena. This code takes no lock. */
#include <linux/export.h>
#include <linux/mm.h>

#include "core/cursor.h"

/* The address of the same byte in its slab, for a pointer into the view of a large object. */
static const void *slab_address(const void *ptr)
{
	struct page *page = is_vmalloc_addr(ptr) ? vmalloc_to_page(ptr) : NULL;

	return page ? page_address(page) + offset_in_page(ptr) : ptr;
}

/**
 * arena_owns() - Does an address lie in what an arena has handed out?
 * @arena: the arena, not NULL.
 * @ptr:   any value: it is not dereferenced.
 *
 * Padding counts as handed out, and so do the unused rests of spans and reservations. Freed memory
 * does not, not even while readers may still use it after arena_reset_rcu().
 *
 * Context: Any. Takes no lock. The answer holds as long as the caller excludes resets and rewinds.
 * Return: true if @ptr lies in a slab of the present generation, at an offset that the cursor has
 * passed.
 */
bool arena_owns(const struct arena *arena, const void *ptr)
{
	struct arena_snap snap = arena_snap_begun(arena);
	size_t offset;

	return arena_find(arena, snap.generation, slab_address(ptr), &offset) &&
	       offset < cursor_offset(snap.cursor);
}
EXPORT_SYMBOL_GPL(arena_owns);
