/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KASAN and KMSAN know of the memory of arenas (clause 26).
 *
 * KASAN has a byte, the shadow, for each granule of 8 bytes: it says how many bytes of the granule,
 * from its start on, may be accessed, or why none may. Kernel code that the compiler has
 * instrumented reports each access that the shadow does not allow.
 *
 * All memory of an arena is poisoned, except the objects in it. The functions of KASAN that poison
 * memory are not exported to modules, so shadow.c writes the shadow of generic KASAN itself. The
 * tag-based modes are not supported: with them, as without KASAN, the functions here poison
 * nothing.
 *
 * The allocator itself writes to memory that is no object: it zeroes spans, slabs and blocks. It
 * does so by arena_zero() and arena_copy(), which KASAN does not check.
 *
 * KMSAN has a shadow, too: it says which bits of memory are initialized, and the instrumented code
 * that stores to memory updates it. Arenas tell KMSAN only what they have freed, so that the next
 * object there counts as uninitialized until it is written to.
 */
#ifndef _ARENA_SHADOW_H
#define _ARENA_SHADOW_H

#include <linux/gfp.h>
#include <linux/kmsan-checks.h>
#include <linux/string.h>
#include <linux/types.h>

/* Defined if a tool has to learn what an arena has freed. */
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KMSAN)
#define ARENA_SHADOW		1
#else
#define ARENA_SHADOW		0
#endif

#ifdef CONFIG_KASAN_GENERIC

#include <linux/kasan-checks.h>

/* Bytes behind each object that no object gets, so that KASAN reports accesses beyond its end. */
#define ARENA_REDZONE		16

/*
 * Why memory is poisoned. KASAN itself uses these values for pages, and derives the kind of bug
 * from them.
 */
enum arena_poison {
	ARENA_POISON_UNUSED = 0xfe,	/* not handed out, or a redzone: out of bounds */
	ARENA_POISON_FREED = 0xff,	/* use after free */
};

extern bool arena_redzones;

void arena_shadow_poison(const void *from, const void *end, enum arena_poison why);
void arena_shadow_object(const void *object, size_t size, size_t room);
void arena_shadow_free_pages(const void *from, const void *end);
void arena_shadow_map_page(const void *at);

/* Fill memory that may be poisoned. */
static inline void arena_fill(void *to, u8 byte, size_t size)
{
	__memset(to, byte, size);
}

/* Copy to memory that may be poisoned; @from must not be. */
static inline void arena_copy(void *to, const void *from, size_t size)
{
	kasan_check_read(from, size);
	__memcpy(to, from, size);
}

#else

#define ARENA_REDZONE		0
#define arena_redzones		false

enum arena_poison { ARENA_POISON_UNUSED, ARENA_POISON_FREED };

/* Memory that no object had yet needs nothing: KMSAN knows it from the page allocator. */
static inline void arena_shadow_poison(const void *from, const void *end, enum arena_poison why)
{
	if (why == ARENA_POISON_FREED && from < end)
		kmsan_poison_memory(from, end - from, __GFP_HIGH);
}

/* Programs are shown zeroes only, so what they can map is initialized. */
static inline void arena_shadow_free_pages(const void *from, const void *end)
{
}

static inline void arena_shadow_object(const void *object, size_t size, size_t room)
{
}

static inline void arena_shadow_map_page(const void *at)
{
}

static inline void arena_fill(void *to, u8 byte, size_t size)
{
	memset(to, byte, size);
}

static inline void arena_copy(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

#endif /* CONFIG_KASAN_GENERIC */

static inline void arena_zero(void *to, size_t size)
{
	arena_fill(to, 0, size);
}

#endif /* _ARENA_SHADOW_H */
