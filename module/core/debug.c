// SPDX-License-Identifier: GPL-2.0
/*
 * To look at: debugfs arena/, with a table of all arenas and a file for each.
 *
 * The file of an arena comes a moment after the arena: an arena that is made for the
 * time of a request pays for one exchange when it comes, and one when it goes. It stands
 * in a place of young[] meanwhile, which its number selects. An arena that has lived for
 * LOOK_DELAY is worth a place in the list and a file, and gets both from a worker; so it
 * does at once, but for the file, where its place is taken, or the table is read.
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

#define NR_YOUNG	64

/* Protects all_arenas, in which those without a file are last, and arena->look. */
static DEFINE_MUTEX(all_mutex);
static LIST_HEAD(all_arenas);
/* Arenas that are not in the list. */
static struct arena *young[NR_YOUNG];
static atomic64_t last_id;
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

static struct arena **young_place(u64 id)
{
	return &young[id % NR_YOUNG];
}

/* Move the young arenas to the list, the oldest first. One that goes meanwhile waits. */
static void list_young(void)
{
	u64 id = atomic64_read(&last_id);
	struct arena *arena;
	int i;

	lockdep_assert_held(&all_mutex);
	for (i = 1; i <= NR_YOUNG; i++) {
		struct arena **place = young_place(id + i);

		/* Full barrier: pairs with the cmpxchg() in arena_debug_add(). */
		arena = READ_ONCE(*place) ? xchg(place, NULL) : NULL;
		if (arena)
			list_add_tail(&arena->all, &all_arenas);
	}
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
	list_young();
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
	list_young();
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
	struct arena **place;

	arena->id = atomic64_inc_return(&last_id);
	place = young_place(arena->id);
	/* Full barrier: an arena that is found there is found complete. */
	if (READ_ONCE(*place) || cmpxchg(place, NULL, arena)) {
		mutex_lock(&all_mutex);
		list_add_tail(&arena->all, &all_arenas);
		mutex_unlock(&all_mutex);
	}
	if (!delayed_work_pending(&look_work))
		schedule_delayed_work(&look_work, LOOK_DELAY);
}

/*
 * What is in its place was not seen by the worker, nor by a reader of the table. If it is
 * not, those who moved it hold the mutex until it is in the list. A reader of its file is
 * waited for, and one who has it open finds nothing any more.
 */
void arena_debug_remove(struct arena *arena)
{
	struct arena **place = young_place(arena->id);

	if (READ_ONCE(*place) == arena && cmpxchg(place, arena, NULL) == arena)
		return;
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
