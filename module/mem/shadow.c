// SPDX-License-Identifier: GPL-2.0
/*
 * This file writes the shadow of generic KASAN. The compiler does not instrument it (Kbuild), as
 * the shadow has no shadow.
 *
 * This code takes no lock and works in any context. Callers ensure that no other CPU changes the
 * shadow of the same granules meanwhile.
 */
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "mem/mem.h"
#include "mem/shadow.h"

/*
 * Redzones change which offsets objects get, and how many objects fit. So a parameter can switch
 * them off; objects of a dense arena may then share a granule.
 */
bool arena_redzones = true;
module_param_named(kasan_redzones, arena_redzones, bool, 0444);
MODULE_PARM_DESC(kasan_redzones, "With KASAN: leave room behind each object");

#define GRANULE		BIT(KASAN_SHADOW_SCALE_SHIFT)

/*
 * Does @ptr have a shadow that may be written to? Without KASAN_VMALLOC, all vmalloc() memory has
 * one and the same page as its shadow, which must not change.
 */
static bool has_shadow(const void *ptr)
{
	return kasan_enabled() && (IS_ENABLED(CONFIG_KASAN_VMALLOC) || !is_vmalloc_addr(ptr));
}

/* Set the shadow of the granules from @from on and below @end; both are multiples of a granule. */
static void set_shadow(const void *from, const void *end, u8 value)
{
	if (from < end && has_shadow(from))
		__memset(kasan_mem_to_shadow(from), value,
			 (end - from) >> KASAN_SHADOW_SCALE_SHIFT);
}

static const void *granule_up(const void *ptr)
{
	return PTR_ALIGN(ptr, GRANULE);
}

static const void *granule_down(const void *ptr)
{
	return PTR_ALIGN_DOWN(ptr, GRANULE);
}

/* Poison the granules that lie wholly between @from and @end. */
void arena_shadow_poison(const void *from, const void *end, enum arena_poison why)
{
	set_shadow(granule_up(from), granule_down(end), why);
}

/*
 * Make an object accessible. If @room is 0, the object may share its first and its last granule
 * with other objects: these granules become accessible as a whole. Otherwise the object begins at a
 * granule, and no other object lies in the @room bytes from its start: the object becomes
 * accessible to the byte, and the rest of these bytes becomes a redzone.
 */
void arena_shadow_object(const void *object, size_t size, size_t room)
{
	const void *end = object + size;

	set_shadow(granule_down(object), granule_up(end), 0);
	if (!room)
		return;
	if ((unsigned long)end % GRANULE && has_shadow(object))
		*(u8 *)kasan_mem_to_shadow(end) = (unsigned long)end % GRANULE;
	arena_shadow_poison(end, object + room, ARENA_POISON_UNUSED);
}

/* The part of a block that the folio around @at backs: in a block of single pages, one page. */
static const void *folio_begin(const void *at)
{
	return is_vmalloc_addr(at) ? PTR_ALIGN_DOWN(at, PAGE_SIZE) :
				     folio_address(virt_to_folio(at));
}

static const void *folio_end(const void *at)
{
	return folio_begin(at) + folio_size(page_folio(arena_block_page(at)));
}

/*
 * A program is about to map the page at @at: make its whole folio accessible, as from now on the
 * kernel may access any byte of it on behalf of programs, for process_vm_readv() for instance. The
 * caller has set folio->mapping before.
 */
void arena_shadow_map_page(const void *at)
{
	/*
	 * Full barrier: pairs with smp_mb() in arena_shadow_free_pages(). Either this CPU makes the
	 * folio accessible after the CPU there has poisoned it, or the CPU there sees
	 * folio->mapping set, and makes the folio accessible itself. Without the barrier, KASAN
	 * could report an access by the kernel for a program.
	 */
	smp_mb();
	set_shadow(folio_begin(at), folio_end(at), 0);
}

/* Poison memory of pages that programs may map, except for folios that they have mapped. */
void arena_shadow_free_pages(const void *from, const void *end)
{
	const void *next;

	for (; from < end; from = next) {
		struct folio *folio = page_folio(arena_block_page(from));

		next = folio_end(from);
		if (READ_ONCE(folio->mapping))
			continue;
		arena_shadow_poison(from, min(next, end), ARENA_POISON_FREED);
		/*
		 * Full barrier: pairs with smp_mb() in arena_shadow_map_page(). If that function
		 * has set the shadow before it was poisoned here, this CPU sees folio->mapping set.
		 */
		smp_mb();
		if (READ_ONCE(folio->mapping))
			arena_shadow_map_page(from);
	}
}
