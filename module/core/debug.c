// SPDX-License-Identifier: GPL-2.0
/*
 * To look at: debugfs arena/, with a table of all arenas and a file for each.
 *
 * The file of an arena comes a moment after the arena: an arena that is made for the
 * time of a request pays for one exchange when it comes, and one when it goes. It stands
 * in a place of young[] meanwhile, which its number selects. An arena that has lived for
 * FILES_DELAY is worth a place in the list and a file, and gets both from a worker, which
 * removes the file a moment after the arena. An arena whose place is taken, and those that
 * are young when the table is read, go to the list at once.
 *
 * Creation and the end of an arena wait for no reader. A program that lists the directory
 * holds its lock, and a program that reads a file delays the removal of that file, until
 * the buffer that they read into has been faulted in, which may take for ever. So only the
 * worker makes and removes files. Arenas take all_lock, which is held for a few
 * instructions or for one page of the table, and never while user memory is touched.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "core/core.h"

#define FILES_DELAY	(HZ / 4)

#define NR_YOUNG	64

/**
 * struct arena_debug - the file of an arena in debugfs.
 * @arena:  what the file shows; NULL once that is gone.
 * @dentry: the file. Only the worker uses it.
 * @node:   in files_to_remove, once @arena is NULL.
 */
struct arena_debug {
	const struct arena	*arena;
	struct dentry		*dentry;
	struct list_head	node;
};

/* Protects what follows, arena->debug, and what a struct arena_debug shows. */
static DEFINE_SPINLOCK(all_lock);
static LIST_HEAD(all_arenas);		/* in the order of their ids */
static struct arena *next_to_show;	/* the oldest arena without a file, or NULL */
static LIST_HEAD(files_to_remove);

/* Arenas that are not in the list. They come and go without the lock. */
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
struct column {
	const char	*name;
	size_t		at;
	bool		wide;		/* u64, else size_t */
};

#define SIZE(_member)	{ #_member, offsetof(struct arena_stats, _member), false }
#define WIDE(_member)	{ #_member, offsetof(struct arena_stats, _member), true }

static const struct column columns[] = {
	WIDE(generation), SIZE(capacity), SIZE(used), SIZE(padding), SIZE(free),
	SIZE(high), SIZE(peak), SIZE(committed), SIZE(committed_peak), SIZE(slab_size),
	SIZE(slabs), SIZE(slabs_kept), WIDE(resets), WIDE(allocs), WIDE(fail_space),
	WIDE(fail_memory), WIDE(fail_arg), WIDE(page_allocs), WIDE(page_frees),
	WIDE(pool_hits),
};

static u64 column_value(const struct column *column, const struct arena_stats *stats)
{
	const void *at = (const void *)stats + column->at;

	return column->wide ? *(const u64 *)at : *(const size_t *)at;
}

/* The table. Programs find a column by its name in the first line, as columns may be added. */
static void show_line(struct seq_file *m, const struct arena *arena)
{
	struct arena_stats stats;
	int i;

	arena_stats(arena, &stats);
	seq_printf(m, "%llu ", arena->id);
	show_name(m, arena->name);
	seq_putc(m, ' ');
	show_flags(m, arena);
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		seq_printf(m, " %llu", column_value(&columns[i], &stats));
	seq_putc(m, '\n');
}

static struct arena **young_place(u64 id)
{
	return &young[id % NR_YOUNG];
}

/*
 * Arenas come to the list nearly in the order of their ids, so the way back to the place of
 * one is short.
 */
static void list_arena(struct arena *arena)
{
	struct arena *before;

	lockdep_assert_held(&all_lock);
	list_for_each_entry_reverse(before, &all_arenas, all)
		if (before->id < arena->id)
			break;
	list_add(&arena->all, &before->all);
	if (!next_to_show || next_to_show->id > arena->id)
		next_to_show = arena;
}

/* Move the young arenas to the list, the oldest first. One that goes meanwhile waits. */
static void list_young(void)
{
	u64 id = atomic64_read(&last_id);
	struct arena *arena;
	int i;

	for (i = 1; i <= NR_YOUNG; i++) {
		struct arena **place = young_place(id + i);

		/* Full barrier: pairs with the cmpxchg() in arena_debug_add(). */
		arena = READ_ONCE(*place) ? xchg(place, NULL) : NULL;
		if (arena)
			list_arena(arena);
	}
}

/* With all_lock held: what comes after @arena in the list, or NULL. */
static struct arena *next_arena(struct arena *arena)
{
	lockdep_assert_held(&all_lock);
	return list_is_last(&arena->all, &all_arenas) ? NULL : list_next_entry(arena, all);
}

/* A position in the table is the id of the next arena, or 0 for the first line. */
static void *arenas_start(struct seq_file *m, loff_t *pos)
	__acquires(&all_lock)
{
	struct arena *arena;

	spin_lock(&all_lock);
	list_young();
	if (!*pos)
		return SEQ_START_TOKEN;
	list_for_each_entry(arena, &all_arenas, all)
		if (arena->id >= (u64)*pos)
			return arena;
	return NULL;
}

static void *arenas_next(struct seq_file *m, void *at, loff_t *pos)
{
	struct arena *arena = at;

	*pos = at == SEQ_START_TOKEN ? 1 : arena->id + 1;
	if (at == SEQ_START_TOKEN)
		return list_first_entry_or_null(&all_arenas, struct arena, all);
	return next_arena(arena);
}

static void arenas_stop(struct seq_file *m, void *at)
	__releases(&all_lock)
{
	spin_unlock(&all_lock);
}

static int arenas_show(struct seq_file *m, void *at)
{
	int i;

	if (at != SEQ_START_TOKEN) {
		show_line(m, at);
		return 0;
	}
	seq_puts(m, "id name flags");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		seq_printf(m, " %s", columns[i].name);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations arenas_sops = {
	.start = arenas_start,
	.next  = arenas_next,
	.stop  = arenas_stop,
	.show  = arenas_show,
};
DEFINE_SEQ_ATTRIBUTE(arenas);

static void show_arena(struct seq_file *m, const struct arena *arena)
{
	struct arena_stats stats;
	int i;

	arena_stats(arena, &stats);
	seq_printf(m, "id %llu\nname ", arena->id);
	show_name(m, arena->name);
	seq_puts(m, "\nflags ");
	show_flags(m, arena);
	seq_putc(m, '\n');
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		seq_printf(m, "%s %llu\n", columns[i].name, column_value(&columns[i], &stats));
}

/* The file of one arena. The lock keeps the arena. */
static int arena_show(struct seq_file *m, void *unused)
{
	const struct arena_debug *debug = m->private;
	int err = -ENODEV;

	spin_lock(&all_lock);
	if (debug->arena) {
		show_arena(m, debug->arena);
		err = 0;
	}
	spin_unlock(&all_lock);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(arena);

#define FILE_NAME_MAX	(ARENA_NAME_MAX + 24)

/* The number makes it unique; the name is for humans, and had better be a word. */
static void file_name(const struct arena *arena, char *file)
{
	int prefix = scnprintf(file, FILE_NAME_MAX, "%llu", arena->id);

	if (*arena->name)
		scnprintf(file + prefix, FILE_NAME_MAX - prefix, "-%s", arena->name);
	for (; *file; file++)
		if (*file <= ' ' || *file > '~' || *file == '/')
			*file = '_';
}

/* Let @debug show the oldest arena that has no file; false if all that are listed have one. */
static bool pick_without_file(struct arena_debug *debug, char *file)
{
	struct arena *arena;

	spin_lock(&all_lock);
	arena = next_to_show;
	while (arena && arena->debug)
		arena = next_arena(arena);
	next_to_show = arena;
	if (arena) {
		debug->arena = arena;
		arena->debug = debug;
		file_name(arena, file);
		next_to_show = next_arena(arena);
	}
	spin_unlock(&all_lock);
	return arena;
}

static void make_files(void)
{
	struct arena_debug *debug = NULL;
	char file[FILE_NAME_MAX];

	for (;;) {
		debug = kzalloc_obj(*debug, GFP_KERNEL);
		if (!debug || !pick_without_file(debug, file))
			break;
		/* If it fails, an error that says so: it is not tried again. */
		debug->dentry = debugfs_create_file(file, 0400, debug_dir, debug, &arena_fops);
	}
	kfree(debug);
}

static void remove_files(void)
{
	struct arena_debug *debug, *next;
	LIST_HEAD(gone);

	spin_lock(&all_lock);
	list_splice_init(&files_to_remove, &gone);
	spin_unlock(&all_lock);
	list_for_each_entry_safe(debug, next, &gone, node) {
		/* Waits for readers; later ones do not get as far as arena_show(). */
		debugfs_remove(debug->dentry);
		kfree(debug);
	}
}

static void files_worker(struct work_struct *unused)
{
	/* Built in, there may be arenas before there is a directory; and there may be none. */
	if (IS_ERR_OR_NULL(debug_dir))
		return;
	remove_files();
	spin_lock(&all_lock);
	list_young();
	spin_unlock(&all_lock);
	make_files();
}

static DECLARE_DELAYED_WORK(files_work, files_worker);

static void update_files_soon(void)
{
	if (!delayed_work_pending(&files_work))
		schedule_delayed_work(&files_work, FILES_DELAY);
}

void arena_debug_add(struct arena *arena)
{
	struct arena **place;

	arena->id = atomic64_inc_return(&last_id);
	place = young_place(arena->id);
	/* Full barrier: an arena that is found there is found complete. */
	if (READ_ONCE(*place) || cmpxchg(place, NULL, arena)) {
		spin_lock(&all_lock);
		/* Older ones come first. */
		list_young();
		list_arena(arena);
		spin_unlock(&all_lock);
	}
	update_files_soon();
}

/*
 * What is in its place was not seen by the worker, nor by a reader of the table. If it is
 * not, the task that moved it holds the lock until it is in the list. From here on the file
 * of @arena, if it has one, has nothing to show.
 */
void arena_debug_remove(struct arena *arena)
{
	struct arena **place = young_place(arena->id);
	struct arena_debug *debug;

	if (READ_ONCE(*place) == arena && cmpxchg(place, arena, NULL) == arena)
		return;
	spin_lock(&all_lock);
	if (next_to_show == arena)
		next_to_show = next_arena(arena);
	list_del(&arena->all);
	debug = arena->debug;
	if (debug) {
		debug->arena = NULL;
		list_add_tail(&debug->node, &files_to_remove);
	}
	spin_unlock(&all_lock);
	if (debug)
		update_files_soon();
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
	schedule_delayed_work(&files_work, FILES_DELAY);
}

void arena_debug_exit(void)
{
	cancel_delayed_work_sync(&files_work);
	remove_files();
	debugfs_remove_recursive(debug_dir);
}
