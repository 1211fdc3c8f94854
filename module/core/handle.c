// SPDX-License-Identifier: GPL-2.0
/*
 * Handles: names of objects. The arena can tell whether the object of a handle was freed.
 *
 * This code takes no lock. A handle holds the full generation, which does not repeat.
 */
#include <linux/export.h>
#include <linux/mm.h>

#include "core/cursor.h"

static const arena_handle_t no_handle;

static bool handle_is_live(const struct arena *arena, arena_handle_t handle)
{
	struct arena_snap snap = arena_snap_begun(arena);

	if (likely(handle.generation == snap.generation))
		return handle.offset < cursor_offset(snap.cursor);
	return arena_outlives(arena, snap.generation, handle.generation, handle.offset);
}

/*
 * Set *@offset to the offset of @ptr. Returns false if @ptr does not point into a committed slab of
 * the slab set that @generation uses.
 */
bool arena_find(const struct arena *arena, unsigned long generation, const void *ptr,
		size_t *offset)
{
	const size_t within = (unsigned long)ptr & (arena_slab_size(arena) - 1);
	const void *base = ptr - within;
	const struct page *first = arena_block_first(base);
	size_t at;

	if (!first)
		return false;
	at = page_private(first);
	/*
	 * If the page is not the arena's, its owner may have stored any number in page_private():
	 * ask the directory.
	 */
	if (at >= arena->capacity || arena_slab_base(arena, generation, at) != base)
		return false;
	*offset = at + within;
	return true;
}

/*
 * The address of @page, which is mapped by vmap(), in the slab of single pages that it is a part
 * of; NULL if it is not a part of one that @generation uses.
 */
static const void *pieced_address(const struct arena *arena, unsigned long generation,
				  const struct page *page)
{
	size_t offset = page_private(page);
	const void *at;

	if (offset >= arena->capacity)
		return NULL;
	at = arena_slab_base(arena, generation, offset);
	if (!at || !is_vmalloc_addr(at))
		return NULL;
	at += offset & (arena_slab_size(arena) - 1);
	return vmalloc_to_page(at) == page ? at : NULL;
}

/*
 * For a pointer into the view of an object larger than a slab, returns the address of the same byte
 * in its slab. Returns any other pointer as it is.
 */
const void *arena_slab_address(const struct arena *arena, unsigned long generation,
			       const void *ptr)
{
	struct page *page = is_vmalloc_addr(ptr) ? vmalloc_to_page(ptr) : NULL;
	const void *at;

	if (!page || !virt_addr_valid(page_address(page)))
		return ptr;
	at = pieced_address(arena, generation, page) ?: page_address(page);
	return at + offset_in_page(ptr);
}

/*
 * Name the object larger than a slab whose view begins at @view, and which lies at @offset, in the
 * slab at @base.
 */
static arena_handle_t handle_of_view(const struct arena *arena, const void *view, const void *base,
				     size_t offset)
{
	arena_handle_t handle = { .offset = offset };

	if (offset & (arena_slab_size(arena) - 1))
		return no_handle;
	handle.generation = arena_record_generation(base, view);
	return handle_is_live(arena, handle) ? handle : no_handle;
}

/**
 * arena_handle() - Name an object (clause 13).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena. If it is larger than a slab, its first byte; an object from a
 *	   reservation of more than a slab has no handle, unless it is the first one.
 *
 * Context: Any. Takes no lock. The caller excludes resets and rewinds that free the object. If the
 * arena is reset by arena_reset_rcu() only, it suffices that the caller is inside rcu_read_lock(),
 * and has got the object inside the same section.
 * Return: The handle; one that never resolves if @ptr is not in the arena.
 */
arena_handle_t arena_handle(const struct arena *arena, const void *ptr)
{
	struct arena_snap snap = arena_snap_begun(arena);
	const void *at = arena_slab_address(arena, snap.generation, ptr);
	size_t offset;

	if (!arena_find(arena, snap.generation, at, &offset) ||
	    offset >= cursor_offset(snap.cursor))
		return no_handle;
	if (at != ptr)
		return handle_of_view(arena, ptr, at, offset);
	return (arena_handle_t) { snap.generation, offset };
}
EXPORT_SYMBOL_GPL(arena_handle);

/**
 * arena_alloc_handle() - Take memory for one object, and name it (clauses 1 and 13).
 * @arena:  the arena, not NULL.
 * @size:   bytes, not 0, at most the capacity.
 * @gfp:    how the arena may grow, see arena_alloc().
 * @handle: the name of the object; on failure one that never resolves.
 *
 * Context: Any that @gfp fits.
 * Return: The object, aligned to %ARENA_MIN_ALIGN, or NULL on failure.
 */
void *arena_alloc_handle(struct arena *arena, size_t size, gfp_t gfp, arena_handle_t *handle)
{
	struct arena_place place = { .caller = _RET_IP_ };

	*handle = no_handle;
	if (arena_claim(arena, size_with_address(arena, size), ARENA_MIN_ALIGN, gfp, &place))
		return NULL;
	*handle = (arena_handle_t) { place.generation, place.offset };
	return place.ptr;
}
EXPORT_SYMBOL_GPL(arena_alloc_handle);

/**
 * arena_deref() - Find the object that a handle names.
 * @arena:  the arena, not NULL.
 * @handle: from arena_handle() or arena_alloc_handle(); any other value is safe, too.
 *
 * A handle is stale for ever after the next reset of any kind, and after a rewind that frees its
 * object (clause 13). Rewinds may make some handles stale early, see arena_rewind(). A forged
 * handle resolves at most to an address below arena_high(), where no object need begin.
 *
 * Context: Any. Takes no lock. The object stays alive after the return only if the caller
 * excludes resets and rewinds that free it, or is inside rcu_read_lock() and the arena is
 * reset by arena_reset_rcu() only.
 * Return: The address. It is valid up to the end of the object if kernel code has allocated it.
 * If the handle was forged, or made by a program, whose objects may straddle slabs, it is valid up
 * to the end of its slab at least. NULL if the handle is stale, forged or out of range.
 */
void *arena_deref(const struct arena *arena, arena_handle_t handle)
{
	const size_t within = handle.offset & (arena_slab_size(arena) - 1);
	void *base, *object;

	if (!handle_is_live(arena, handle))
		return NULL;
	/*
	 * Read the directory after the cursor. A handle may be forged, so no address dependency
	 * orders these reads. Pairs with the compare-and-swap in arena_settle() after slabs were
	 * released: a reader that has read a cursor word of the generation that was settled there
	 * finds the directory entries of those slabs empty. Otherwise it could return the address
	 * of a released slab.
	 */
	smp_rmb();
	base = arena_slab_base(arena, handle.generation, handle.offset);
	if (!base)
		return NULL;
	object = base + within;
	/* had_larges was set before there was a handle of any object with a view. */
	if (!within && unlikely(READ_ONCE(arena->had_larges)))
		object = arena_record_view(base, handle.generation) ?: object;
	/*
	 * Pairs with the compare-and-swap of the cursor in next_generation(), which comes before
	 * slabs are released: if this reader has read an entry or a record that has changed since,
	 * handle_is_live() below finds the handle stale. Otherwise the reader could return the
	 * address of another slab.
	 */
	smp_rmb();
	return handle_is_live(arena, handle) ? object : NULL;
}
EXPORT_SYMBOL_GPL(arena_deref);

/*
 * Make a handle for @offset. Returns 0, or -ERANGE if the cursor has not passed @offset. The caller
 * excludes resets and rewinds.
 */
int arena_handle_at(const struct arena *arena, u64 offset, arena_handle_t *handle)
{
	struct arena_snap snap = arena_snap_begun(arena);

	if (offset >= min(cursor_offset(snap.cursor), arena->capacity))
		return -ERANGE;
	*handle = (arena_handle_t) { snap.generation, offset };
	return 0;
}

/* Returns 0, or -ESTALE if @handle is stale or lies beyond what was handed out. */
int arena_handle_check(const struct arena *arena, arena_handle_t handle)
{
	return handle_is_live(arena, handle) ? 0 : -ESTALE;
}
