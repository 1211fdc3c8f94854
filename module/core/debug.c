// SPDX-License-Identifier: GPL-2.0
/*
 * To look at: debugfs arena/, with a table of all arenas and a file for each.
 *
 * The file of an arena comes a moment after the arena: whoever makes an arena for
 * the time of a request pays for a place in the list, and not for an inode. What
 * has lived for LOOK_DELAY is worth the file, and gets it from a worker.
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core/core.h"

#define LOOK_DELAY	(HZ / 4)

/* Protects all_arenas, in which the youngest is the last; last_id; arena->look. */
static DEFINE_MUTEX(all_mutex);
static LIST_HEAD(all_arenas);
static u64 last_id;
static struct dentry *debug_dir;

/* Names come from user space, and the table must stay one. */
static void show_name(struct seq_file *m, const char *name)
{
	seq_escape(m, *name ? name : "-", " \t\n\\");
}

static void show_flags(struct seq_file *m, const struct arena *arena)
{
	static const struct {
		unsigned int	flag;
		const char	*name;
	} flags[] = {
		{ ARENA_MAPPABLE, "device" },
		{ ARENA_SPANS, "spans" },
		{ ARENA_READERS, "readers" },
		{ ARENA_ZERO, "zero" },
		{ ARENA_ACCOUNT, "account" },
		{ ARENA_ON_NODE, "node" },
	};
	const char *before = "";
	int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!(arena->flags & flags[i].flag))
			continue;
		seq_printf(m, "%s%s", before, flags[i].name);
		before = ",";
	}
	if (!*before)
		seq_putc(m, '-');
}

/* One number of struct arena_stats. */
struct look {
	const char	*name;
	size_t		at;
	bool		wide;		/* u64, else size_t */
};

#define SIZE(_member)	{ #_member, offsetof(struct arena_stats, _member), false }
#define WIDE(_member)	{ #_member, offsetof(struct arena_stats, _member), true }

static const struct look looks[] = {
	WIDE(generation), SIZE(capacity), SIZE(used), SIZE(padding), SIZE(free),
	SIZE(high), SIZE(peak), SIZE(committed), SIZE(committed_peak), SIZE(slab_size),
	SIZE(slabs), SIZE(slabs_kept), WIDE(resets), WIDE(allocs), WIDE(fail_space),
	WIDE(fail_memory), WIDE(fail_arg), WIDE(page_allocs), WIDE(page_frees),
	WIDE(pool_hits),
};

static u64 look_value(const struct look *look, const struct arena_stats *stats)
{
	const void *at = (const void *)stats + look->at;

	return look->wide ? *(const u64 *)at : *(const size_t *)at;
}

/* The table. Who reads it goes by the names in its first line: there may be more some day. */
static void show_line(struct seq_file *m, const struct arena *arena)
{
	struct arena_stats stats;
	int i;

	arena_stats(arena, &stats);
	seq_printf(m, "%llu ", arena->id);
	show_name(m, arena->name);
	seq_putc(m, ' ');
	show_flags(m, arena);
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		seq_printf(m, " %llu", look_value(&looks[i], &stats));
	seq_putc(m, '\n');
}

static int arenas_show(struct seq_file *m, void *unused)
{
	struct arena *arena;
	int i, err = 0;

	if (mutex_lock_killable(&all_mutex))
		return -EINTR;
	seq_puts(m, "id name flags");
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		seq_printf(m, " %s", looks[i].name);
	seq_putc(m, '\n');
	list_for_each_entry(arena, &all_arenas, all) {
		show_line(m, arena);
		cond_resched();
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	mutex_unlock(&all_mutex);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(arenas);

/* The file of one arena: takes no lock, so that its removal need not wait for long. */
static int arena_show(struct seq_file *m, void *unused)
{
	const struct arena *arena = m->private;
	struct arena_stats stats;
	int i;

	arena_stats(arena, &stats);
	seq_printf(m, "id %llu\nname ", arena->id);
	show_name(m, arena->name);
	seq_puts(m, "\nflags ");
	show_flags(m, arena);
	seq_putc(m, '\n');
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		seq_printf(m, "%s %llu\n", looks[i].name, look_value(&looks[i], &stats));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(arena);

/* The number makes it unique; the name is for humans, and had better be a word. */
static void make_file(struct arena *arena)
{
	char file[ARENA_NAME_MAX + 24], *at;
	int prefix = scnprintf(file, sizeof(file), "%llu", arena->id);

	lockdep_assert_held(&all_mutex);
	if (*arena->name)
		scnprintf(file + prefix, sizeof(file) - prefix, "-%s", arena->name);
	for (at = file; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '/')
			*at = '_';
	/* If it fails, an error that says so: it is not tried again. */
	arena->look = debugfs_create_file(file, 0400, debug_dir, arena, &arena_fops);
}

static void make_files(struct work_struct *unused)
{
	struct arena *arena;

	/* Built in, there may be arenas before there is a directory. */
	if (!debug_dir)
		return;
	mutex_lock(&all_mutex);
	list_for_each_entry_reverse(arena, &all_arenas, all) {
		if (arena->look)
			break;
		make_file(arena);
	}
	mutex_unlock(&all_mutex);
}

static DECLARE_DELAYED_WORK(look_work, make_files);

void arena_debug_add(struct arena *arena)
{
	mutex_lock(&all_mutex);
	arena->id = ++last_id;
	list_add_tail(&arena->all, &all_arenas);
	mutex_unlock(&all_mutex);
	if (!delayed_work_pending(&look_work))
		schedule_delayed_work(&look_work, LOOK_DELAY);
}

/* Who is reading its file is waited for, and who has it open finds nothing any more. */
void arena_debug_remove(struct arena *arena)
{
	mutex_lock(&all_mutex);
	list_del(&arena->all);
	mutex_unlock(&all_mutex);
	debugfs_remove(arena->look);
}

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
	schedule_delayed_work(&look_work, LOOK_DELAY);
}

void arena_debug_exit(void)
{
	cancel_delayed_work_sync(&look_work);
	debugfs_remove_recursive(debug_dir);
}
