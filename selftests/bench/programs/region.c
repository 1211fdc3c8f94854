// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: libarena and its rivals. Each has one region, which lives as long as the program.
 */
#include <err.h>
#include <obstack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <apr_pools.h>
#include <libarena.h>
#include <talloc.h>

#include "program.h"

#define CAPACITY	((size_t)4 << 30)

/* The largest pool that talloc makes; what does not fit into it is allocated by malloc(). */
#define TALLOC_POOL	((size_t)255 << 20)

#define obstack_chunk_alloc	malloc
#define obstack_chunk_free	free

static struct arena *arena;

static void arena_region_open(void)
{
	arena = arena_open("program", CAPACITY, 0);
	if (!arena)
		err(1, "arena_open");
}

static void *arena_region_alloc(size_t bytes)
{
	return arena_alloc(arena, bytes);
}

static void *arena_region_grow(void *at, size_t old, size_t bytes)
{
	return arena_realloc(arena, at, old, bytes);
}

static void arena_region_reset(void)
{
	if (arena_reset(arena, ARENA_RESET_KEEP))
		err(1, "arena_reset");
}

/* The least that an allocator can do: it moves a pointer in private memory of the process. */
static char *bump_base, *bump_at;

static void bump_open(void)
{
	bump_base = mmap(NULL, CAPACITY, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bump_base == MAP_FAILED)
		err(1, "mmap");
	bump_at = bump_base;
}

static void *bump_alloc(size_t bytes)
{
	char *at = bump_at;

	bytes = (bytes + 7) & -(size_t)8;
	if (bytes > (size_t)(bump_base + CAPACITY - at))
		return NULL;
	bump_at = at + bytes;
	return at;
}

static void bump_reset(void)
{
	bump_at = bump_base;
}

static void *pool;

static void pool_open(void)
{
	pool = talloc_pool(NULL, TALLOC_POOL);
	if (!pool)
		err(1, "talloc_pool");
}

static void *pool_alloc(size_t bytes)
{
	return talloc_size(pool, bytes);
}

static void *pool_grow(void *at, size_t old, size_t bytes)
{
	(void)old;
	return talloc_realloc_size(pool, at, bytes);
}

static void pool_reset(void)
{
	talloc_free_children(pool);
}

static apr_pool_t *apr;

static void apr_open(void)
{
	if (apr_initialize() || apr_pool_create(&apr, NULL))
		errx(1, "no APR pool");
}

static void *apr_alloc(size_t bytes)
{
	return apr_palloc(apr, bytes);
}

static void apr_reset(void)
{
	apr_pool_clear(apr);
}

static struct obstack obstack;
static void *obstack_first;

static void obstack_open(void)
{
	obstack_init(&obstack);
	obstack_first = obstack_alloc(&obstack, 1);
}

static void *obstack_object(size_t bytes)
{
	return obstack_alloc(&obstack, bytes);
}

static void obstack_reset(void)
{
	obstack_free(&obstack, obstack_first);
	obstack_first = obstack_alloc(&obstack, 1);
}

static const struct region regions[] = {
	{ "arena", arena_region_open, arena_region_alloc, arena_region_grow, arena_region_reset },
	{ "bump", bump_open, bump_alloc, NULL, bump_reset },
	{ "talloc", pool_open, pool_alloc, pool_grow, pool_reset },
	{ "apr", apr_open, apr_alloc, NULL, apr_reset },
	{ "obstack", obstack_open, obstack_object, NULL, obstack_reset },
};

/* Returns the region of a name, or NULL for "malloc". */
const struct region *region_find(const char *name)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (!strcmp(regions[i].name, name))
			return &regions[i];
	if (strcmp(name, "malloc"))
		errx(2, "%s: no such allocator", name);
	return NULL;
}

/* A realloc() for hooks: @at may be NULL; an object that shrinks stays as it is. */
void *region_grow(const struct region *region, void *at, size_t old, size_t bytes)
{
	void *copy;

	if (at && bytes <= old)
		return at;
	if (at && region->grow)
		return region->grow(at, old, bytes);
	copy = region->alloc(bytes);
	return copy && at ? memcpy(copy, at, old) : copy;
}
