/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of /dev/arena say to each other: device.c (descriptors and
 * their lifetime), ioctl.c (commands), map.c (mappings).
 */
#ifndef _ARENA_DEVICE_H
#define _ARENA_DEVICE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include <uapi/linux/arena.h>

#include "internal.h"

/* What an arena gets that is used before it is set up. */
#define ARENA_DEFAULT_CAPACITY	SZ_64M

/*
 * For memory of ours: charged, and a failure is an errno and not a reason to
 * kill anybody (clause 21).
 */
#define ARENA_DEV_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

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
 * @status:	the status page, NULL until somebody maps it. Set with @lock held
 *		for writing.
 * @status_lock: who writes it.
 * @status_generation: that it shows.
 * @notices:	calls of ARENA_IOC_NOTIFY.
 */
struct arena_dev {
	refcount_t		refs;
	atomic_t		holds;
	struct rw_semaphore	lock;
	struct arena		*arena;
	u32			flags;
	struct inode		*inode;
	struct mem_cgroup	*memcg;
	struct arena_status	*status;
	spinlock_t		status_lock;
	unsigned long		status_generation;
	atomic_long_t		notices;
};

/**
 * struct arena_file - private_data of a file.
 * @dev:	the arena, a reference.
 * @rights:	ARENA_RIGHT_* of whoever has the file. Never changes.
 */
struct arena_file {
	struct arena_dev	*dev;
	u32			rights;
};

/* device.c */
struct file *arena_file_open(struct arena_dev *dev, u32 rights);
int arena_dev_make(struct arena_dev *dev, struct arena_config *config, u32 flags);
int arena_dev_settle(struct arena_dev *dev);

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

/*
 * After each call that may have changed what the status page shows. An arena that
 * nobody watches pays a load and a branch.
 */
static inline void arena_dev_moved(struct arena_dev *dev)
{
	if (unlikely(READ_ONCE(dev->status)))
		arena_status_write(dev);
}

/* ioctl.c */
long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fdinfo.c */
void arena_show_fdinfo(struct seq_file *m, struct file *file);

/* map.c */
int arena_mmap(struct file *file, struct vm_area_struct *vma);

#endif /* _ARENA_DEVICE_H */
