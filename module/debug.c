// SPDX-License-Identifier: GPL-2.0
/*
 * To look at: debugfs arena/arenas, one line an arena.
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "internal.h"

static DEFINE_MUTEX(all_mutex);	/* protects all_arenas */
static LIST_HEAD(all_arenas);
static struct dentry *debug_dir;

void arena_debug_add(struct arena *arena)
{
	mutex_lock(&all_mutex);
	list_add_tail(&arena->all, &all_arenas);
	mutex_unlock(&all_mutex);
}

void arena_debug_remove(struct arena *arena)
{
	mutex_lock(&all_mutex);
	list_del(&arena->all);
	mutex_unlock(&all_mutex);
}

/* Names come from user space, and the table must stay one. */
static void show_name(struct seq_file *m, const char *name)
{
	seq_escape(m, *name ? name : "-", " \t\n\\");
}

static void show_arena(struct seq_file *m, const struct arena *arena)
{
	struct arena_stats s;

	arena_stats(arena, &s);
	show_name(m, arena->name);
	seq_printf(m, " %llu %zu %zu %zu %zu %zu %zu %zu %zu %zu",
		   s.generation, s.capacity, s.used, s.padding, s.free, s.high, s.peak,
		   s.committed, s.committed_peak, s.slabs_kept);
	seq_printf(m, " %llu %llu %llu %llu %llu %llu %llu %llu\n",
		   s.resets, s.allocs, s.fail_space, s.fail_memory, s.fail_arg,
		   s.page_allocs, s.page_frees, s.pool_hits);
}

static int arenas_show(struct seq_file *m, void *unused)
{
	struct arena *arena;

	seq_puts(m, "name generation capacity used padding free high peak");
	seq_puts(m, " committed committed_peak slabs_kept");
	seq_puts(m, " resets allocs fail_space fail_memory fail_arg");
	seq_puts(m, " page_allocs page_frees pool_hits\n");
	mutex_lock(&all_mutex);
	list_for_each_entry(arena, &all_arenas, all)
		show_arena(m, arena);
	mutex_unlock(&all_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(arenas);

static int total_get(void *unused, u64 *bytes)
{
	*bytes = (u64)arena_total_pages() << PAGE_SHIFT;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(total_fops, total_get, NULL, "%llu\n");

static int pool_get(void *unused, u64 *bytes)
{
	*bytes = (u64)arena_pool_pages() << PAGE_SHIFT;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(pool_fops, pool_get, NULL, "%llu\n");

static int reclaimed_get(void *unused, u64 *bytes)
{
	*bytes = (u64)arena_pool_reclaimed() << PAGE_SHIFT;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(reclaimed_fops, reclaimed_get, NULL, "%llu\n");

void arena_debug_init(void)
{
	/* debugfs is a convenience: errors are not ours to care about. */
	debug_dir = debugfs_create_dir("arena", NULL);
	debugfs_create_file("arenas", 0400, debug_dir, NULL, &arenas_fops);
	debugfs_create_file_unsafe("total_bytes", 0400, debug_dir, NULL, &total_fops);
	debugfs_create_file_unsafe("pool_bytes", 0400, debug_dir, NULL, &pool_fops);
	debugfs_create_file_unsafe("reclaimed_bytes", 0400, debug_dir, NULL, &reclaimed_fops);
}

void arena_debug_exit(void)
{
	debugfs_remove_recursive(debug_dir);
}
