// SPDX-License-Identifier: GPL-2.0
/*
 * Handles: names of objects that can be told stale.
 *
 * Lock-free. A handle holds the full generation, which does not repeat.
 */
#include <linux/export.h>
#include <linux/mm.h>

#include "core/cursor.h"

static const arena_handle_t no_handle;

static bool handle_is_live(const struct arena *arena, arena_handle_t handle)
{
	struct arena_view view = arena_peek_begun(arena);

	if (likely(handle.generation == view.generation))
		return handle.offset < cursor_offset(view.cursor);
	return arena_outlives(arena, view.generation, handle.generation, handle.offset);
}

/* The offset of @ptr, if it points into a slab of the set of @generation. */
bool arena_find(const struct arena *arena, unsigned long generation, const void *ptr,
		size_t *offset)
{
	const size_t within = (unsigned long)ptr & (arena_slab_size(arena) - 1);
	const void *base = ptr - within;
	size_t index;

	if (!virt_addr_valid(base))
		return false;
	index = page_private(virt_to_page(base));
	/* What another owner of the page may have put there proves nothing yet. */
	if (index >= arena_nr_slabs(arena) ||
	    arena_slab_base(arena, generation, index << arena->slab_shift) != base)
		return false;
	*offset = (index << arena->slab_shift) + within;
	return true;
}

/**
 * arena_handle() - Name an object.
 * @arena: the arena, not NULL.
 * @ptr:   a live object of it, no larger than a slab.
 *
 * Context: Any; the caller excludes resets, and rewinds that free the object, or is
 * inside rcu_read_lock() since before it got it, as for any use of a pointer.
 * Return: The handle; one that never resolves if @ptr is not in the arena.
 */
arena_handle_t arena_handle(const struct arena *arena, const void *ptr)
{
	struct arena_view view = arena_peek_begun(arena);
	size_t offset;

	if (!arena_find(arena, view.generation, ptr, &offset) ||
	    offset >= cursor_offset(view.cursor))
		return no_handle;
	return (arena_handle_t) { view.generation, offset };
}
EXPORT_SYMBOL_GPL(arena_handle);

/**
 * arena_alloc_handle() - Take memory for one object, and name it.
 * @arena:  the arena, not NULL.
 * @size:   bytes, not 0, at most the slab size.
 * @gfp:    how the arena may grow, see arena_alloc().
 * @handle: the name, on success.
 *
 * Context: As arena_alloc().
 * Return: The object, or NULL as arena_alloc().
 */
void *arena_alloc_handle(struct arena *arena, size_t size, gfp_t gfp, arena_handle_t *handle)
{
	struct arena_place place;

	*handle = no_handle;
	if (arena_claim(arena, size > arena_slab_size(arena) ? 0 : size, ARENA_MIN_ALIGN, gfp,
			&place))
		return NULL;
	*handle = (arena_handle_t) { place.generation, place.offset };
	return place.ptr;
}
EXPORT_SYMBOL_GPL(arena_alloc_handle);

/**
 * arena_deref() - Find the object that a handle names.
 * @arena:  the arena, not NULL.
 * @handle: from arena_handle() or arena_alloc_handle(), or from anywhere.
 *
 * A handle is stale for ever after the next reset, of any kind, and after a rewind to its
 * object or below it (clause 13). For handles that are told stale early, see
 * arena_rewind(). One that was forged resolves to somewhere below arena_high() at most.
 *
 * Context: Any. That the object stays alive after the return is promised only
 * if resets, and rewinds that free it, are excluded, or, with arena_reset_rcu(), inside
 * rcu_read_lock().
 * Return: The address, good up to the end of the slab at least: objects of kernel code
 * do not lie in two, those of programs may. NULL if the handle is stale, forged or out
 * of range.
 */
void *arena_deref(const struct arena *arena, arena_handle_t handle)
{
	void *base;

	if (!handle_is_live(arena, handle))
		return NULL;
	/*
	 * A forged handle has no dependency to the slab. Pairs with the compare-and-swap in
	 * arena_settle() after slabs were released: a reader that saw the cursor of the
	 * generation that began then sees none of those.
	 */
	smp_rmb();
	base = arena_slab_base(arena, handle.generation, handle.offset);
	/* Pairs with the compare-and-swap in next_generation(), before slabs are released. */
	smp_rmb();
	if (!base || !handle_is_live(arena, handle))
		return NULL;
	return base + (handle.offset & (arena_slab_size(arena) - 1));
}
EXPORT_SYMBOL_GPL(arena_deref);

/* Name what is at @offset. -ERANGE if nothing is. The caller excludes resets and rewinds. */
int arena_handle_at(const struct arena *arena, u64 offset, arena_handle_t *handle)
{
	struct arena_view view = arena_peek_begun(arena);

	if (offset >= min(cursor_offset(view.cursor), arena->capacity))
		return -ERANGE;
	*handle = (arena_handle_t) { view.generation, offset };
	return 0;
}

/* 0, or -ESTALE if @handle does not name anything any more. */
int arena_handle_check(const struct arena *arena, arena_handle_t handle)
{
	return handle_is_live(arena, handle) ? 0 : -ESTALE;
}
