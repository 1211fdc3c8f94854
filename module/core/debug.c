// SPDX-License-Identifier: GPL-2.0
/*
 * The directory arena/ in debugfs: a table of all arenas, and a file for each arena.
 *
 * Most arenas live for one request, and creating a file for each of them would cost more than the
 * request. So creation only stores the arena in young[], at the place that its id selects, by one
 * compare-and-swap, and destruction takes it out by another. While arenas are created or destroyed,
 * a worker runs every FILES_DELAY: it moves the arenas in young[] to the list all_arenas, creates
 * files for them, and removes the files of destroyed arenas. The arenas in young[] also move to the
 * list when a program reads the table, or when creation needs an occupied place in young[].
 *
 * Creating and destroying an arena must not wait for a reader. A program that lists the directory
 * holds the lock of the directory, and a program that reads a file delays the removal of the file,
 * until the buffer that the program reads into has been faulted in, which may never happen. So only
 * the worker creates and removes files. Creation and destruction take all_lock, which is held for a
 * few instructions or for one page of the table, and never while user memory is touched.
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
 * @arena:  the arena that the file shows; NULL once it is destroyed.
 * @dentry: the file. Only the worker uses it.
 * @node:   entry in files_to_remove while @arena is NULL.
 */
struct arena_debug {
	const struct arena	*arena;
	struct dentry		*dentry;
	struct list_head	node;
};

/* Protects the three variables below, arena->debug, and the member @arena of each arena_debug. */
static DEFINE_SPINLOCK(all_lock);
static LIST_HEAD(all_arenas);		/* in ascending order of their ids */
static struct arena *next_to_show;	/* oldest listed arena that may lack a file, or NULL */
static LIST_HEAD(files_to_remove);

/*
 * The arenas that are not in all_arenas yet. No lock protects this array: creation and destruction
 * change an entry by compare-and-swap, and list_young() empties an entry by xchg().
 */
static struct arena *young[NR_YOUNG];
static atomic64_t last_id;
static struct dentry *debug_dir;

/* A name may come from a program: escape what would break the columns of the table. */
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
		{ ARENA_SHRINK, "shrink" },
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
	if (arena_check_wanted(arena)) {
		seq_printf(m, "%sdebug", before);
		before = ",";
	}
	if (!*before)
		seq_putc(m, '-');
}

/* One number of struct arena_stats. */
struct column {
	const char	*name;
	size_t		at;
	bool		wide;		/* the member is a u64, and not a size_t */
};

#define SIZE(_member)	{ #_member, offsetof(struct arena_stats, _member), false }
#define WIDE(_member)	{ #_member, offsetof(struct arena_stats, _member), true }

static const struct column columns[] = {
	WIDE(generation), SIZE(capacity), SIZE(used), SIZE(padding), SIZE(free),
	SIZE(high), SIZE(peak), SIZE(committed), SIZE(committed_peak), SIZE(slab_size),
	SIZE(slabs), SIZE(slabs_kept), WIDE(resets), WIDE(allocs), WIDE(fail_space),
	WIDE(fail_memory), WIDE(fail_arg), WIDE(page_allocs), WIDE(page_frees),
	WIDE(pool_hits), WIDE(findings),
};

static u64 column_value(const struct column *column, const struct arena_stats *stats)
{
	const void *at = (const void *)stats + column->at;

	return column->wide ? *(const u64 *)at : *(const size_t *)at;
}

/*
 * Print one line of the table. The first line of the table names the columns, as later versions of
 * the module may add columns.
 */
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
 * Insert @arena in all_arenas, in the order of ids. Most arenas are inserted nearly in that order,
 * so the walk from the end of the list is short.
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

/*
 * Move the arenas in young[] to all_arenas, the oldest first. The caller holds all_lock until all
 * of them are in the list: if one of them is destroyed meanwhile, arena_debug_remove() does not
 * find it in young[], and waits for all_lock before it takes the arena off the list.
 */
static void list_young(void)
{
	u64 id = atomic64_read(&last_id);
	struct arena *arena;
	int i;

	for (i = 1; i <= NR_YOUNG; i++) {
		struct arena **place = young_place(id + i);

		/*
		 * Full barrier: pairs with the cmpxchg() in arena_debug_add(), so that this CPU
		 * sees the arena initialised.
		 */
		arena = READ_ONCE(*place) ? xchg(place, NULL) : NULL;
		if (arena)
			list_arena(arena);
	}
}

/* The arena after @arena in the list, or NULL. */
static struct arena *next_arena(struct arena *arena)
{
	lockdep_assert_held(&all_lock);
	return list_is_last(&arena->all, &all_arenas) ? NULL : list_next_entry(arena, all);
}

/*
 * Call @fn with each arena until a call returns true. Returns true if a call did. @fn runs with
 * all_lock held, so it must not sleep, and its arena is not destroyed before it returns.
 */
bool arena_debug_each(bool (*fn)(struct arena *arena, void *data), void *data)
{
	struct arena *arena;
	bool done = false;

	spin_lock(&all_lock);
	list_young();
	list_for_each_entry(arena, &all_arenas, all) {
		done = fn(arena, data);
		if (done)
			break;
	}
	spin_unlock(&all_lock);
	return done;
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

/* Show the file of one arena. The arena cannot be destroyed while all_lock is held. */
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

/* The id makes the file name unique; the name of the arena is added for humans. */
static void file_name(const struct arena *arena, char *file)
{
	int prefix = scnprintf(file, FILE_NAME_MAX, "%llu", arena->id);

	if (*arena->name)
		scnprintf(file + prefix, FILE_NAME_MAX - prefix, "-%s", arena->name);
	for (; *file; file++)
		if (*file <= ' ' || *file > '~' || *file == '/')
			*file = '_';
}

/*
 * Choose the oldest arena in all_arenas that has no file, let @debug show it, and store the name of
 * its file in @file. Returns false if all arenas in the list have a file.
 */
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
		/*
		 * If debugfs cannot create the file, debug->dentry is an ERR_PTR(). The worker does
		 * not try again, as arena->debug is set all the same.
		 */
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
		/* debugfs_remove() waits for readers that are in arena_show(). Later reads fail. */
		debugfs_remove(debug->dentry);
		kfree(debug);
	}
}

static void files_worker(struct work_struct *unused)
{
	/*
	 * debug_dir is NULL if built-in code creates arenas before arena_debug_init() runs, and an
	 * ERR_PTR() if debugfs has refused to create the directory.
	 */
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
	/* Full barrier: pairs with xchg() in list_young(), which finds the arena initialised. */
	if (READ_ONCE(*place) || cmpxchg(place, NULL, arena)) {
		spin_lock(&all_lock);
		/* Another arena, nearly always an older one, has the place: list that one first. */
		list_young();
		list_arena(arena);
		spin_unlock(&all_lock);
	}
	update_files_soon();
}

/*
 * Called when @arena is destroyed. If @arena is still in young[], it has no file and is in no list.
 * Otherwise it is in all_arenas, or a caller of list_young() is about to insert it there and holds
 * all_lock until then. After this function a read of the file of @arena, if it has one, fails.
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
	/* The arenas work without debugfs: ignore its errors. */
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
