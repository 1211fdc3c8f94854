// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: what /proc/PID/fdinfo says of a descriptor.
 *
 * This code takes no lock, so that a task that is stuck with a lock held cannot block readers of
 * fdinfo. It needs none: the arena is set once and stays as long as the file, and reading
 * statistics takes no lock.
 */
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "device/device.h"

static void show_rights(struct seq_file *m, u32 rights)
{
	/* The names of the rights, in the order of their bits. */
	static const char * const names[] = { "read", "write", "alloc", "reset" };
	const char *before = "arena-rights:\t";
	int i;

	BUILD_BUG_ON(BIT(ARRAY_SIZE(names)) - 1 != ARENA_RIGHTS_ALL);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(rights & BIT(i)))
			continue;
		seq_printf(m, "%s%s", before, names[i]);
		before = ",";
	}
	seq_putc(m, '\n');
}

void arena_show_fdinfo(struct seq_file *m, struct file *file)
{
	const struct arena_file *af = file->private_data;
	const struct arena *arena;
	struct arena_stats stats;

	show_rights(m, af->rights);
	/* Acquire: pairs with the smp_store_release() in arena_dev_make(). */
	arena = smp_load_acquire(&af->dev->arena);
	if (!arena)
		return;
	arena_stats(arena, &stats);
	seq_printf(m, "arena-id:\t%llu\n", arena->id);
	seq_puts(m, "arena-name:\t");
	seq_escape(m, *arena->name ? arena->name : "-", " \t\n\\");
	seq_printf(m, "\narena-spans:\t%d\n", arena->spans);
	seq_printf(m, "arena-zero:\t%d\n", !!(arena->flags & ARENA_ZERO));
	seq_printf(m, "arena-sealed:\t%d\n", !!(READ_ONCE(af->dev->flags) & ARENA_SEALED));
	seq_printf(m, "arena-generation:\t%llu\n", stats.generation);
	seq_printf(m, "arena-capacity:\t%zu\n", stats.capacity);
	seq_printf(m, "arena-used:\t%zu\n", stats.used);
	seq_printf(m, "arena-high:\t%zu\n", stats.high);
	seq_printf(m, "arena-committed:\t%zu\n", stats.committed);
}
