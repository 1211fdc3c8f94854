// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics in debugfs: arena/, with a table of all arenas and a file for each.
 *
 * An arena gets its file some time after its creation, so that an arena which lives for one
 * request costs one exchange when it is created and one when it is destroyed. Until then an
 * element of young[], which its number selects, points to it. A worker moves each arena that has
 * lived for LOOK_DELAY to the list all_arenas, and gives it a file. An arena goes to the list
 * earlier, still without a file, if its element of young[] is taken when it is created, or when
 * the table is read.
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

/* Protects all_arenas, in which arenas without a file are last, and arena->look. */
static DEFINE_MUTEX(all_mutex);
static LIST_HEAD(all_arenas);
/* Arenas that are not in the list yet; each element is set and cleared by an exchange. */
static struct arena *young[NR_YOUNG];
static atomic64_t last_id;
static struct dentry *debug_dir;

/* Names may come from programs: escape what would break the columns of the table. */
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

/* One member of struct arena_stats: its name and offset. */
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

/*
 * A line of the table. Programs that read it find columns by the names in the first line, as
 * columns may be added.
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
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		seq_printf(m, " %llu", look_value(&looks[i], &stats));
	seq_putc(m, '\n');
}

static struct arena **young_place(u64 id)
{
	return &young[id % NR_YOUNG];
}

/*
 * Move all arenas from young[] to the list, the oldest first. The mutex is held until they
 * are in the list: arena_debug_remove() of one of them waits for it.
 */
static void list_young(void)
{
	u64 id = atomic64_read(&last_id);
	struct arena *arena;
	int i;

	lockdep_assert_held(&all_mutex);
	for (i = 1; i <= NR_YOUNG; i++) {
		struct arena **place = young_place(id + i);

		/*
		 * Full barrier: pairs with the cmpxchg() in arena_debug_add(). The arena that
		 * is read here was filled in before; otherwise its name could be read
		 * half-written.
		 */
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

/*
 * The file of one arena. Showing it takes no lock, so that destroying the arena, which waits
 * for readers of its file, does not wait for long.
 */
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

/*
 * Create the file of an arena: its number, which is unique, and its name, in which all but
 * printable characters is replaced.
 */
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
	/* On failure, an ERR_PTR() stays there, so that it is not tried again. */
	arena->look = debugfs_create_file(file, 0400, debug_dir, arena, &arena_fops);
}

static void make_files(struct work_struct *unused)
{
	struct arena *arena;

	/* If the code is built in, arenas may be created before the directory is. */
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
	/* Full barrier: pairs with the xchg() in list_young(); the arena is filled in before. */
	if (READ_ONCE(*place) || cmpxchg(place, NULL, arena)) {
		mutex_lock(&all_mutex);
		list_add_tail(&arena->all, &all_arenas);
		mutex_unlock(&all_mutex);
	}
	if (!delayed_work_pending(&look_work))
		schedule_delayed_work(&look_work, LOOK_DELAY);
}

/*
 * If the arena is still in its element of young[], neither the worker nor a reader of the table
 * has seen it, and one exchange takes it out. Otherwise list_young() has taken it out, and
 * holds the mutex until the arena is in the list. debugfs_remove() waits for readers of the
 * file; a program that has it open reads nothing from then on.
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
	/* debugfs is a convenience: the arenas work without it, so errors are ignored. */
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
