// SPDX-License-Identifier: GPL-2.0
/*
 * arena_overrun writes to bytes of an arena named "overrun" that belong to no object, so that the
 * checks which the arena module's parameter "debug" turns on have something to find.
 *
 *	echo make >/sys/kernel/debug/arena_overrun
 *	echo alloc 13 >/sys/kernel/debug/arena_overrun
 *	echo poke 13 >/sys/kernel/debug/arena_overrun
 *	echo reset >/sys/kernel/debug/arena_overrun
 *	echo drop >/sys/kernel/debug/arena_overrun
 *
 * "alloc" allocates an object of so many bytes, and "poke" writes a byte 0 so many bytes behind the
 * beginning of the last object, even after "reset" has freed the object.
 */
#include <linux/arena.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define CAPACITY	SZ_64K

static DEFINE_MUTEX(lock);		/* protects the next two variables */
static struct arena *arena;
static char *object;
static struct dentry *file;

static int make(void)
{
	const struct arena_config config = { .name = "overrun", .capacity = CAPACITY };
	struct arena *new = arena_create(&config);

	if (IS_ERR(new))
		return PTR_ERR(new);
	arena = new;
	object = NULL;
	return 0;
}

static int command(const char *line)
{
	size_t bytes;

	if (sysfs_streq(line, "make"))
		return arena ? -EBUSY : make();
	if (!arena)
		return -ENOENT;
	if (sysfs_streq(line, "reset"))
		return arena_reset(arena);
	if (sysfs_streq(line, "drop")) {
		arena_destroy(arena);
		arena = NULL;
		return 0;
	}
	if (sscanf(line, "alloc %zu", &bytes) == 1) {
		object = arena_alloc(arena, bytes, GFP_KERNEL);
		return object ? 0 : -ENOMEM;
	}
	if (sscanf(line, "poke %zu", &bytes) == 1 && object && bytes < 256) {
		object[bytes] = 0;
		return 0;
	}
	return -EINVAL;
}

static ssize_t overrun_write(struct file *unused, const char __user *from, size_t size,
			     loff_t *pos)
{
	char line[64];
	int err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	line[size] = '\0';
	mutex_lock(&lock);
	err = command(line);
	mutex_unlock(&lock);
	return err ?: size;
}

static const struct file_operations overrun_fops = {
	.owner = THIS_MODULE,
	.write = overrun_write,
};

static int __init overrun_init(void)
{
	file = debugfs_create_file("arena_overrun", 0200, NULL, NULL, &overrun_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit overrun_exit(void)
{
	debugfs_remove(file);
	if (arena)
		arena_destroy(arena);
}

module_init(overrun_init);
module_exit(overrun_exit);
MODULE_DESCRIPTION("Writes that the debug switch of arenas must find");
MODULE_LICENSE("GPL");
