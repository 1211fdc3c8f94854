// SPDX-License-Identifier: GPL-2.0
/*
 * The debugfs file arena_consumer/produce makes the kernel write records into a program's arena.
 *
 * Each open file is a producer. At the first write, the producer takes a hold on the arena behind
 * the writer's descriptor FD, and keeps the hold until the file is closed. A write of "FD NR" makes
 * the producer store NR lines in the arena. A write of "FD NR records" makes the producer store NR
 * records (record.h) and wake tasks that poll() the arena.
 */
#include <linux/arena_device.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <uapi/linux/arena.h>

#include "consumer.h"
#include "record.h"

#define RECORDS_MAX	100000
#define NOTIFY_EVERY	100	/* records between two notices */

/**
 * struct producer - the state of one open file.
 * @lock:   protects the other members.
 * @dev:    the arena that this file holds, or NULL before the first write.
 * @stored: number of lines and records stored through this file.
 */
struct producer {
	struct mutex	lock;	/* protects the other members */
	struct arena_dev *dev;
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

	if (producer->dev)
		arena_unhold(producer->dev);
	kfree(producer);
	return 0;
}

/* Stores lines. Reads no memory of the arena, because programs may change that memory. */
static int store_lines(struct producer *producer, unsigned int nr)
{
	struct arena *arena = arena_dev_arena(producer->dev);

	for (; nr; nr--, producer->stored++)
		if (!arena_printf(arena, GFP_KERNEL, "record %u\n", producer->stored))
			return -ENOMEM;
	return 0;
}

static struct produce_record *store_record(struct arena *arena, unsigned int number)
{
	struct produce_record *record;

	record = arena_alloc_aligned(arena, sizeof(*record), sizeof(*record), GFP_KERNEL);
	if (!record)
		return NULL;
	record->time = ktime_get_ns();
	snprintf(record->text, sizeof(record->text), "event %u, seen by CPU %u", number,
		 raw_smp_processor_id());
	/* Pairs with the acquire load of @number in the reading program. */
	smp_store_release(&record->number, number);
	return record;
}

static int store_records(struct producer *producer, unsigned int nr)
{
	struct arena *arena = arena_dev_arena(producer->dev);
	int err = 0;

	while (nr-- && !err) {
		if (!store_record(arena, ++producer->stored))
			err = -ENOMEM;
		if (!nr || err || !(producer->stored % NOTIFY_EVERY))
			arena_notify(producer->dev);
	}
	return err;
}

static int produce(struct producer *producer, int fd, unsigned int nr, bool records)
{
	struct arena_dev *dev;

	if (!producer->dev) {
		dev = arena_get_from_fd(fd, ARENA_RIGHT_ALLOC);
		if (IS_ERR(dev))
			return PTR_ERR(dev);
		producer->dev = dev;
	}
	return records ? store_records(producer, nr) : store_lines(producer, nr);
}

static ssize_t produce_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct producer *producer = file->private_data;
	unsigned int nr;
	char line[32], what[8] = "";
	int fd, err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	line[size] = '\0';
	if (sscanf(line, "%d %u %7s", &fd, &nr, what) < 2 || nr > RECORDS_MAX)
		return -EINVAL;
	if (*what && strcmp(what, "records"))
		return -EINVAL;
	if (mutex_lock_interruptible(&producer->lock))
		return -EINTR;
	err = produce(producer, fd, nr, *what);
	mutex_unlock(&producer->lock);
	return err ?: size;
}

const struct file_operations produce_fops = {
	.owner		= THIS_MODULE,
	.open		= produce_open,
	.write		= produce_write,
	.release	= produce_release,
};
