/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of /dev/arena say to each other: device.c (descriptors and
 * their lifetime), ioctl.c (commands), map.c (mappings), status.c (the status page),
 * watch.c (poll), user.c (what users may have).
 */
#ifndef _ARENA_DEVICE_H
#define _ARENA_DEVICE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <uapi/linux/arena.h>

#include "core/core.h"

/* What an arena gets that is used before it is set up. */
#define ARENA_DEFAULT_CAPACITY	SZ_64M

/*
 * For memory of ours: charged, and a failure is an errno and not a reason to
 * kill anybody (clause 21).
 */
#define ARENA_DEV_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* No call wakes those who poll. */
#define ARENA_WAKE_NEVER	ULONG_MAX

/**
 * struct arena_dev - an arena that programs use.
 * @refs:	files, and kernel code that holds the arena.
 * @holds:	the latter. Taken with @lock held for reading: a reset, which has it
 *		for writing, sees all or comes first.
 * @lock:	see above.
 * @arena:	NULL until set up or first used.
 * @flags:	ARENA_SETUP_* of @arena.
 * @inode:	its i_mapping is what all files map.
 * @memcg:	of the process that opened; pays for everything. May be NULL.
 * @budget:	of the user that opened; all memory that can be mapped is charged to it.
 * @status:	the status page, NULL until somebody maps it. Set with @lock held
 *		for writing.
 * @status_lock: who writes it.
 * @status_generation: that it shows.
 * @notices:	calls of ARENA_IOC_NOTIFY and arena_notify().
 * @map_lock:	who maps a slab by a PMD, or pages where that would be possible. Inside @lock.
 * @strict:	what holds nothing allocated cannot be touched. Set with @lock held
 *		for writing.
 * @wait:	all who poll.
 * @wake_above:	they are woken when more than this is handed out, see watch.c.
 * @notify_work: wakes them on behalf of arena_notify().
 */
struct arena_dev {
	refcount_t		refs;
	atomic_t		holds;
	struct rw_semaphore	lock;
	struct arena		*arena;
	u32			flags;
	struct inode		*inode;
	struct mem_cgroup	*memcg;
	struct arena_budget	*budget;
	struct arena_status	*status;
	spinlock_t		status_lock;	/* see above */
	unsigned long		status_generation;
	atomic_long_t		notices;
	struct mutex		map_lock;	/* see above */
	bool			strict;
	wait_queue_head_t	wait;
	unsigned long		wake_above;
	struct irq_work		notify_work;
};

/**
 * struct arena_file - private_data of a file.
 * @dev:	the arena, a reference.
 * @file:	the file.
 * @rights:	ARENA_RIGHT_* of whoever has the file. Never changes.
 * @watch_lock:	protects the rest.
 * @mark:	poll() waits for more bytes than this,
 * @notices:	for more notices than these,
 * @generation:	and for another generation, unless 0.
 */
struct arena_file {
	struct arena_dev	*dev;
	struct file		*file;
	u32			rights;
	spinlock_t		watch_lock;	/* see above */
	u64			mark;
	unsigned long		notices;
	unsigned long		generation;
};

/* device.c */
int arena_device_init(void);
void arena_device_exit(void);
struct file *arena_file_open(const struct arena_file *from, u32 rights);
int arena_dev_make(struct arena_dev *dev, struct arena_config *config, u32 flags);
int arena_dev_settle(struct arena_dev *dev);

/* user.c */
struct arena_budget *arena_user_add(void);
void arena_user_remove(struct arena_budget *budget);

/* status.c */
struct arena_moment {
	unsigned long	generation;
	size_t		offset;
	size_t		high;
};

void arena_dev_look(const struct arena *arena, struct arena_moment *now);
int arena_status_make(struct arena_dev *dev);
void arena_status_write(struct arena_dev *dev);
void arena_status_free(struct arena_dev *dev);

/* watch.c */
__poll_t arena_poll(struct file *file, struct poll_table_struct *wait);
void arena_watch_init(struct arena_dev *dev);
void arena_watch_exit(struct arena_dev *dev);
void arena_watch_open(struct arena_file *af);

/*
 * After each call that may have changed what the status page shows or what poll()
 * waits for; the latter wakes all, as must who lowers the offset.
 */
void arena_dev_moved(struct arena_dev *dev);
void arena_dev_wake(struct arena_dev *dev);

/* ioctl.c */
long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fdinfo.c */
void arena_show_fdinfo(struct seq_file *m, struct file *file);

/* map.c */
int arena_mmap(struct file *file, struct vm_area_struct *vma);
void arena_map_revoke(struct arena_dev *dev, size_t from);

/* After what was handed out has shrunk, with arena_dev.lock held for writing. */
void arena_map_trim(struct arena_dev *dev);

#endif /* _ARENA_DEVICE_H */
