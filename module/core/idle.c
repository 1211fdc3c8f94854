// SPDX-License-Identifier: GPL-2.0
/*
 * Under memory pressure, give the slabs that resets keep in arenas with %ARENA_SHRINK back to the
 * page allocator.
 *
 * An arena is idle when nothing has been allocated from it since its generation began, and the
 * shrinker has found it empty for %IDLE_AGE. An arena that is reset and used again all the time has
 * another generation each time that the shrinker looks, so it is never idle.
 *
 * The shrinker releases slabs by arena_release_empty() (reset.c), which uncharges charged slabs,
 * and puts none of them into the pool.
 *
 * While idle_mutex is held, no arena on the list is freed, as arena_release() takes the mutex
 * before it frees one. A task that allocates memory may run the shrinker while it holds any lock,
 * so a shrinker that waited for the mutex could wait for ever: it only tries for the mutex. The
 * holder of the mutex allocates no memory.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/shrinker.h>

#include "compat.h"
#include "core/core.h"

/* The shrinker takes slabs of an arena that it has found empty for this many jiffies. */
#define IDLE_AGE	HZ

/**
 * struct arena_idle - what the shrinker knows of an arena; it lies behind the table of states.
 * @node:	entry in idle_arenas.
 * @arena:	the arena.
 * @generation:	the generation in which the shrinker has found the arena empty.
 * @since:	when the shrinker first found the arena empty in @generation, in jiffies.
 */
struct arena_idle {
	struct list_head	node;
	struct arena		*arena;
	unsigned long		generation;
	unsigned long		since;
};

/* Protects the list and its entries. */
static DEFINE_MUTEX(idle_mutex);
static LIST_HEAD(idle_arenas);
static struct shrinker *idle_shrinker;

static struct arena_idle *idle_of(struct arena *arena)
{
	return (void *)arena + ALIGN(arena_cpus_size(), sizeof(long));
}

/* How many bytes an arena with %ARENA_SHRINK needs behind its table of states. */
size_t arena_idle_size(void)
{
	return sizeof(struct arena_idle);
}

void arena_idle_add(struct arena *arena)
{
	struct arena_idle *idle = idle_of(arena);

	idle->arena = arena;
	mutex_lock(&idle_mutex);
	list_add_tail(&idle->node, &idle_arenas);
	mutex_unlock(&idle_mutex);
}

void arena_idle_remove(struct arena *arena)
{
	mutex_lock(&idle_mutex);
	list_del(&idle_of(arena)->node);
	mutex_unlock(&idle_mutex);
}

/*
 * Returns how many pages the shrinker can take from the arena of @idle: all pages of its slabs if
 * the shrinker has found it empty, in one generation, for @age jiffies; otherwise 0.
 */
static unsigned long idle_pages(struct arena_idle *idle, unsigned long age)
{
	struct arena *arena = idle->arena;
	struct arena_snap snap;

	lockdep_assert_held(&idle_mutex);
	if (!atomic_long_read(&arena->committed))
		return 0;
	arena_settle(arena);
	snap = arena_snap(arena);
	if (!arena_is_empty(&snap))
		return 0;
	if (idle->generation != snap.generation) {
		idle->generation = snap.generation;
		idle->since = jiffies;
	}
	if (time_before(jiffies, idle->since + age))
		return 0;
	return atomic_long_read(&arena->committed) >> PAGE_SHIFT;
}

static unsigned long idle_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long pages = 0;
	struct arena_idle *idle;

	if (!mutex_trylock(&idle_mutex))
		return 0;
	list_for_each_entry(idle, &idle_arenas, node)
		pages += idle_pages(idle, IDLE_AGE);
	mutex_unlock(&idle_mutex);
	return pages ?: SHRINK_EMPTY;
}

/*
 * Release slabs of arenas that were empty for @age jiffies, until @pages pages are released.
 * Returns the number of pages released. The next call begins with the arena that this call ends
 * with.
 */
unsigned long arena_idle_shrink(unsigned long pages, unsigned long age)
{
	unsigned long freed = 0, most;
	struct arena_idle *idle;

	if (!mutex_trylock(&idle_mutex))
		return 0;
	list_for_each_entry(idle, &idle_arenas, node) {
		most = min(idle_pages(idle, age), pages - freed);
		if (most)
			freed += arena_release_empty(idle->arena, &idle->generation, most);
		if (freed >= pages) {
			list_rotate_to_front(&idle->node, &idle_arenas);
			break;
		}
	}
	mutex_unlock(&idle_mutex);
	return freed;
}

static unsigned long idle_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long freed = arena_idle_shrink(sc->nr_to_scan, IDLE_AGE);

	arena_pool_note_reclaimed(freed);
	return freed ?: SHRINK_STOP;
}

int arena_idle_init(void)
{
	idle_shrinker = arena_shrinker_register("arena-idle", 0, idle_count, idle_scan);
	return idle_shrinker ? 0 : -ENOMEM;
}

void arena_idle_exit(void)
{
	shrinker_free(idle_shrinker);
}
