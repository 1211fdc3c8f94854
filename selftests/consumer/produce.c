// SPDX-License-Identifier: GPL-2.0
/*
 * arena_consumer/produce: the kernel writes records into the arena of a program.
 *
 * Each open file is a producer. A write of "FD NR" makes it hold the arena behind
 * the writer's descriptor FD, with the first write, and store NR records there.
 * It holds the arena until it is closed.
 */
#include <linux/arena.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <uapi/linux/arena.h>

#include "consumer.h"

#define RECORDS_MAX	100000

/**
 * struct producer - an open file.
 * @lock:   protects the rest.
 * @arena:  held, or NULL.
 * @stored: records so far.
 */
struct producer {
	struct mutex	lock;	/* see above */
	struct arena	*arena;
	unsigned int	stored;
};

static int produce_open(struct inode *inode, struct file *file)
{
	struct producer *producer = kzalloc(sizeof(*producer), GFP_KERNEL);

	if (!producer)
		return -ENOMEM;
	mutex_init(&producer->lock);
	file->private_data = producer;
	return nonseekable_open(inode, file);
}

static int produce_release(struct inode *inode, struct file *file)
{
	struct producer *producer = file->private_data;

	if (producer->arena)
		arena_unhold(producer->arena);
	kfree(producer);
	return 0;
}

/* Nothing that a program can write is read here: only the allocator is asked. */
static int store_records(struct producer *producer, unsigned int nr)
{
	for (; nr; nr--, producer->stored++)
		if (!arena_printf(producer->arena, GFP_KERNEL, "record %u\n", producer->stored))
			return -ENOMEM;
	return 0;
}

static int produce(struct producer *producer, int fd, unsigned int nr)
{
	struct arena *arena;

	if (!producer->arena) {
		arena = arena_get_from_fd(fd, ARENA_RIGHT_ALLOC);
		if (IS_ERR(arena))
			return PTR_ERR(arena);
		producer->arena = arena;
	}
	return store_records(producer, nr);
}

static ssize_t produce_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct producer *producer = file->private_data;
	unsigned int nr;
	char line[32];
	int fd, err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	line[size] = '\0';
	if (sscanf(line, "%d %u", &fd, &nr) != 2 || nr > RECORDS_MAX)
		return -EINVAL;
	if (mutex_lock_interruptible(&producer->lock))
		return -EINTR;
	err = produce(producer, fd, nr);
	mutex_unlock(&producer->lock);
	return err ?: size;
}

const struct file_operations produce_fops = {
	.owner		= THIS_MODULE,
	.open		= produce_open,
	.write		= produce_write,
	.release	= produce_release,
};
