// SPDX-License-Identifier: GPL-2.0
/*
 * Creation, references and destruction of arenas.
 */
#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "core/cursor.h"
#include "core/events.h"

/* The largest block of the page allocator may be smaller than ARENA_SLAB_MAX. */
size_t arena_slab_size_max(void)
{
	return min_t(size_t, ARENA_SLAB_MAX, PAGE_SIZE << MAX_PAGE_ORDER);
}

size_t arena_slab_size_default(size_t capacity)
{
	size_t size = capacity >= SZ_1G ? ARENA_SLAB_MAX : ARENA_SLAB_DEFAULT;

	if (size > capacity)
		size = roundup_pow_of_two(capacity);
	return clamp_t(size_t, size, PAGE_SIZE, arena_slab_size_max());
}

int arena_config_check(const struct arena_config *config)
{
	const unsigned int known = ARENA_SPANS | ARENA_ON_NODE | ARENA_ACCOUNT | ARENA_ZERO |
				   ARENA_READERS | ARENA_SHRINK;

	if (!config->capacity || config->capacity > arena_capacity_max())
		return -EINVAL;
	if (config->slab_size && (!is_power_of_2(config->slab_size) ||
				  config->slab_size < PAGE_SIZE ||
				  config->slab_size > arena_slab_size_max()))
		return -EINVAL;
	if (config->flags & ~known)
		return -EINVAL;
	if (config->flags & ARENA_ON_NODE &&
	    (config->node < 0 || config->node >= MAX_NUMNODES || !node_online(config->node)))
		return -EINVAL;
	return 0;
}

/*
 * @to is zeroed already. strscpy() would be slower: with FORTIFY_SOURCE, it first computes the
 * length of @name.
 */
static void copy_name(char *to, const char *name)
{
	unsigned int i;

	for (i = 0; i < ARENA_NAME_MAX - 1 && name[i]; i++)
		to[i] = name[i];
}

static void arena_init(struct arena *arena, const struct arena_config *config,
		       unsigned int flags)
{
	size_t slab_size = config->slab_size ?: arena_slab_size_default(config->capacity);

	arena->flags = config->flags | flags;
	arena->capacity = config->capacity;
	arena->slab_shift = ilog2(slab_size);
	arena->node = config->node;
	arena->spans = config->flags & ARENA_SPANS;
	arena->zero = config->flags & ARENA_ZERO ||
		      (!(flags & ARENA_MAPPABLE) && want_init_on_alloc(0));
	/* Programs see offsets in an arena of the device, which redzones must not change. */
	if (arena_redzones && !(flags & ARENA_MAPPABLE))
		arena->redzone = ARENA_REDZONE;
	/*
	 * The first generation is not 0: slots and directory entries that were never used have
	 * generation 0, which must not match.
	 */
	arena->generation = ARENA_GEN_STEP;
	atomic_long_set(&arena->cursor, cursor_start(arena->generation));
	atomic_long_set(&arena->uncounted, cursor_start(arena->generation - 1));
	refcount_set(&arena->refs, 1);
	raw_spin_lock_init(&arena->reset_lock);
	mutex_init(&arena->reset_mutex);
	mutex_init(&arena->tail_mutex);
	INIT_WORK(&arena->reaper, arena_reaper);
	init_llist_head(&arena->larges);
	if (config->name)
		copy_name(arena->name, config->name);
	/*
	 * Called with NULL, get_mem_cgroup_from_mm() returns the active memory cgroup or, if none
	 * is set, that of the task.
	 */
	if (arena->flags & ARENA_ACCOUNT)
		arena->memcg = get_mem_cgroup_from_mm(NULL);
}

static void arena_free(struct arena *arena)
{
	arena_slabs_exit(arena);
	if (arena->tails)
		arena_tails_exit(arena);
	arena_cpus_exit(arena);
	kfree(arena->history);
	mem_cgroup_put(arena->memcg);
	kfree(arena);
}

struct arena *__arena_create(const struct arena_config *config, unsigned int flags,
			     struct arena_budget *budget)
{
	gfp_t gfp = arena_account_gfp(config->flags);
	struct arena *arena;
	size_t size;
	int err;

	BUILD_BUG_ON(offsetof(struct arena_cpu, slot) > 64);
	BUILD_BUG_ON(sizeof(struct arena_cpu) + sizeof(struct arena_leaf) > 512);
	BUILD_BUG_ON(ARENA_TAG_BITS < 8);
	BUILD_BUG_ON(ARENA_WORD % ARENA_MIN_ALIGN);

	err = arena_config_check(config);
	if (err)
		return ERR_PTR(err);
	size = ALIGN(arena_cpus_size(), sizeof(long));
	if (config->flags & ARENA_SHRINK)
		size += arena_idle_size();
	if (config->flags & ARENA_READERS)
		size += sizeof(*arena->spare_dir);
	/* kzalloc() would be slower: it zeroes all of the size that kmalloc() rounds up to. */
	arena = kmalloc_noprof(size, gfp | ARENA_GFP_META);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	zero_words(arena, size);
	arena_tag_record(arena);
	if (config->flags & ARENA_READERS)
		arena->spare_dir = (void *)arena + size - sizeof(*arena->spare_dir);
	arena->budget = budget;
	arena_init(arena, config, flags);
	arena_cpus_init(arena);
	arena_debug_add(arena);
	arena_check_create(arena);
	if (config->flags & ARENA_SHRINK)
		arena_idle_add(arena);
	arena_trace_create(arena);
	return arena;
}

/*
 * The function behind arena_create(), which adds memory allocation profiling. Wrappers that count
 * the memory for a line of their callers call this function, as they would call kmalloc_noprof().
 */
struct arena *arena_create_noprof(const struct arena_config *config)
{
	return __arena_create(config, 0, &arena_total);
}
EXPORT_SYMBOL_GPL(arena_create_noprof);

static void arena_release(struct arena *arena)
{
	arena_trace_destroy(arena);
	if (arena->flags & ARENA_SHRINK)
		arena_idle_remove(arena);
	arena_debug_remove(arena);
	if (arena->flags & ARENA_READERS || READ_ONCE(arena->wrapping))
		rcu_barrier();
	if (arena->settle_blocked & ARENA_BLOCKED_ACTIONS)
		arena_actions_exit(arena);
	if (arena->check)
		arena_check_exit(arena);
	if (arena->had_larges) {
		cancel_work_sync(&arena->reaper);
		arena_reap_larges(arena, true);
	}
	arena_free(arena);
}

/**
 * arena_get() - Take a reference to an arena.
 * @arena: the arena, not NULL. The caller holds a reference, or keeps the last one from being
 *	   dropped.
 *
 * Context: Any.
 * Return: @arena.
 */
struct arena *arena_get(struct arena *arena)
{
	refcount_inc(&arena->refs);
	return arena;
}
EXPORT_SYMBOL_GPL(arena_get);

static void put_worker(struct work_struct *work);

/* Arenas without a reference, which put_worker() destroys. */
static LLIST_HEAD(unreferenced);
static DECLARE_WORK(put_work, put_worker);

static void put_worker(struct work_struct *work)
{
	struct llist_node *nodes = llist_del_all(&unreferenced);
	struct arena *arena, *next;

	llist_for_each_entry_safe(arena, next, nodes, unreferenced) {
		arena_release(arena);
		cond_resched();
	}
}

/**
 * arena_put() - Drop a reference to an arena, and destroy it with the last one.
 * @arena: the arena, or NULL.
 *
 * If this drops the last reference, a worker destroys the arena soon after the call returns, as
 * destroying may sleep. Until then the memory of the arena counts against the limits. The actions
 * of the arena run in the worker, so a module that adds actions calls arena_put_barrier() before it
 * is unloaded. Unlike this call, arena_destroy() destroys the arena before it returns.
 *
 * Context: Any but NMI. Takes no lock of the arena, and does not sleep.
 */
void arena_put(struct arena *arena)
{
	if (!arena || !refcount_dec_and_test(&arena->refs))
		return;
	llist_add(&arena->unreferenced, &unreferenced);
	schedule_work(&put_work);
}
EXPORT_SYMBOL_GPL(arena_put);

/**
 * arena_put_barrier() - Wait for arenas whose last reference was dropped.
 *
 * When this returns, each arena whose last reference was dropped before the call has been
 * destroyed, and its actions have returned. If one of these actions dropped the last reference to
 * another arena, that arena has been destroyed, too.
 *
 * Context: Task, may sleep. No action may call this.
 */
void arena_put_barrier(void)
{
	/* The actions of an arena may drop the last references to others. */
	while (flush_work(&put_work) || !llist_empty(&unreferenced))
		cond_resched();
}
EXPORT_SYMBOL_GPL(arena_put_barrier);

/* Drop a reference. If it was the last one, destroy the arena before returning. */
static void put_and_wait(struct arena *arena)
{
	might_sleep();
	if (refcount_dec_and_test(&arena->refs))
		arena_release(arena);
}

/**
 * arena_destroy() - Destroy an arena and all objects in it.
 * @arena: the arena, or NULL. The caller must be its only user and hold its only reference; if
 *	   there may be other references, call arena_put() instead.
 *
 * Context: Task, may sleep.
 */
void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	/*
	 * If the caller does not hold the only reference, the arena stays until the last one is
	 * dropped.
	 */
	WARN_ON_ONCE(refcount_read(&arena->refs) != 1);
	put_and_wait(arena);
}
EXPORT_SYMBOL_GPL(arena_destroy);

static void devm_arena_release(void *arena)
{
	put_and_wait(arena);
}

/*
 * The function behind devm_arena_create(), which adds memory allocation profiling. Wrappers that
 * count the memory for a line of their callers call this function.
 */
struct arena *devm_arena_create_noprof(struct device *dev, const struct arena_config *config)
{
	struct arena *arena = arena_create_noprof(config);
	int err;

	if (IS_ERR(arena))
		return arena;
	err = devm_add_action_or_reset(dev, devm_arena_release, arena);
	return err ? ERR_PTR(err) : arena;
}
EXPORT_SYMBOL_GPL(devm_arena_create_noprof);

void arena_set_generation(struct arena *arena, unsigned long generation)
{
	generation = ALIGN_DOWN(generation, ARENA_GEN_STEP);
	arena->generation = generation;
	atomic_long_set(&arena->cursor, cursor_start(generation) |
			(arena_is_checked(arena, generation) ? ARENA_COUNTED : 0));
	atomic_long_set(&arena->uncounted, cursor_start(generation - 1));
	atomic_long_set(&arena->deep_used, cursor_start(generation - 1));
	atomic_long_set(&arena->written, cursor_start(generation));
	arena_windows_close(arena);
}
