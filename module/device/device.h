/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations that the files of device/ share: device.c (descriptors and their lifetime), ioctl.c
 * (commands), map.c (mappings), status.c (the status page), watch.c (poll), user.c (limits for
 * users), fdinfo.c (/proc/PID/fdinfo).
 */
#ifndef _ARENA_DEVICE_H
#define _ARENA_DEVICE_H

#include <linux/arena_device.h>
#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <uapi/linux/arena.h>

#include "core/core.h"

/* The capacity of an arena that is used without ARENA_IOC_SETUP, or whose SETUP asks for 0. */
#define ARENA_DEFAULT_CAPACITY	SZ_64M

/*
 * GFP flags for the device's own structures. They are charged to a memory cgroup; a failed
 * allocation becomes an errno and does not start the OOM killer (clause 21).
 */
#define ARENA_DEV_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* Version of the layout of the status page. */
#define ARENA_STATUS_VERSION	1

/* Value of arena_dev.wake_above with which no allocation wakes pollers. */
#define ARENA_WAKE_NEVER	ULONG_MAX

/**
 * struct arena_dev - an arena that programs use.
 * @refs:	references of files, and of kernel code that holds the arena.
 * @holds:	number of arena_get_from_fd() calls whose arena_unhold() is still to come. A call
 *		raises it with @lock held for reading, and a reset holds @lock for writing, so the
 *		reset either sees the hold or comes before it.
 * @allocators:	number of files with ARENA_RIGHT_ALLOC, plus @holds. At 0, poll() reports EPOLLHUP,
 *		as it does for a sealed arena.
 * @lock:	the revocation lock: allocations and faults hold it for reading, resets for writing.
 * @arena:	the arena; NULL until it is set up or first used.
 * @flags:	ARENA_SETUP_* of @arena, and ARENA_SEALED, which is set with @lock held for
 *		writing and never cleared.
 * @may_write:	number of VMAs that are writable or may become so (VM_MAYWRITE). Only mmap() raises
 *		it from 0, with @lock held for reading, and ARENA_IOC_SEAL holds @lock for writing,
 *		so the seal either sees the mapping or comes before it.
 * @inode:	the inode whose i_mapping is the f_mapping of all files of the arena.
 * @memcg:	memory cgroup of the opener; all memory of the arena is charged to it. May be NULL.
 * @budget:	from arena_user_add(); slabs, the directory and the status page are charged to it.
 * @status:	the status page; NULL before a program first maps it. Set with @lock held for
 *		writing.
 * @status_lock: serializes calls of arena_status_update(), which may show a new generation on the
 *		status page, and may run without @lock.
 * @status_generation: the generation that the status page shows.
 * @notices:	counts calls of ARENA_IOC_NOTIFY and arena_notify().
 * @map_lock:	serializes the faults in a slab that a PMD may map: some of them insert a PMD,
 *		others single pages. Taken inside @lock.
 * @strict:	set by the first reset with ARENA_RESET_STRICT, with @lock held for writing: from
 *		then on, faults beyond the last object get SIGBUS.
 * @wait:	the wait queue of the pollers of all files of the arena.
 * @wake_above:	an allocation that leaves more bytes used than this wakes all pollers.
 * @notify_work: the irq_work by which arena_notify() wakes pollers.
 */
struct arena_dev {
	refcount_t		refs;
	atomic_t		holds;
	atomic_t		allocators;
	struct rw_semaphore	lock;
	struct arena		*arena;
	u32			flags;
	atomic_long_t		may_write;
	struct inode		*inode;
	struct mem_cgroup	*memcg;
	struct arena_budget	*budget;
	struct arena_status	*status;
	spinlock_t		status_lock;	/* protects @status_generation */
	unsigned long		status_generation;
	atomic_long_t		notices;
	struct mutex		map_lock;	/* serializes faults in slabs that a PMD may map */
	bool			strict;
	wait_queue_head_t	wait;
	unsigned long		wake_above;
	struct irq_work		notify_work;
};

/**
 * struct arena_file - private_data of a file.
 * @dev:	the arena; the file has a reference to it.
 * @file:	the struct file whose private_data this is.
 * @rights:	ARENA_RIGHT_* of the file. Never changes.
 * @watch_lock:	protects @above, @notices and @generation.
 * @above:	poll() reports EPOLLIN while more bytes than this are used.
 * @notices:	poll() reports EPOLLIN while arena_dev.notices differs from this.
 * @generation:	poll() reports EPOLLPRI while the generation of the arena differs from this; never
 *		if this is 0.
 */
struct arena_file {
	struct arena_dev	*dev;
	struct file		*file;
	u32			rights;
	spinlock_t		watch_lock;	/* protects the members below */
	u64			above;
	unsigned long		notices;
	unsigned long		generation;
};

/* device.c */
int arena_device_init(void);
void arena_device_exit(void);
struct file *arena_file_open(const struct arena_file *from, u32 rights);
int arena_dev_make(struct arena_dev *dev, struct arena_config *config, u32 flags);
int arena_dev_make_default(struct arena_dev *dev);

/* Returns the capacity of an arena for which the program chooses none. */
static inline size_t arena_dev_capacity(void)
{
	return min_t(size_t, ARENA_DEFAULT_CAPACITY, arena_capacity_max());
}

/* user.c */
struct arena_budget *arena_user_add(void);
void arena_user_remove(struct arena_budget *budget);

/* status.c */
int arena_status_make(struct arena_dev *dev);
void arena_status_raise(struct arena_dev *dev);
void arena_status_update(struct arena_dev *dev);
void arena_status_free(struct arena_dev *dev);

/*
 * Drop @dev->lock at the end of an ioctl that allocates, or reads how much is allocated. Update the
 * status page first: without the lock, a reset could begin a new generation, to which the numbers
 * of this ioctl do not belong.
 */
static inline void arena_dev_up_read(struct arena_dev *dev)
{
	if (unlikely(dev->status))
		arena_status_raise(dev);
	up_read(&dev->lock);
}

/* watch.c */
__poll_t arena_poll(struct file *file, struct poll_table_struct *wait);
void arena_watch_init(struct arena_dev *dev);
void arena_watch_exit(struct arena_dev *dev);
void arena_watch_open(struct arena_file *af);

/*
 * An ioctl that may have caused an event that poll() reports calls one of these two functions.
 * arena_dev_moved(), after allocations, wakes all pollers if more bytes are used than wake_above
 * says. arena_dev_wake() always wakes them. Resets and rewinds call it: they lower the number of
 * bytes used, so arena_dev_moved() would not wake the pollers that wait for a reset.
 */
void arena_dev_moved(struct arena_dev *dev);
void arena_dev_wake(struct arena_dev *dev);

/*
 * Called when a file with ARENA_RIGHT_ALLOC is closed, and when kernel code stops holding the
 * arena. The call that lowers @allocators to 0 wakes all pollers, which then report EPOLLHUP. The
 * atomic is a full barrier and pairs with the one in arena_poll(): either this CPU finds the poller
 * on the queue, or the poller finds @allocators at 0.
 */
static inline void arena_allocator_gone(struct arena_dev *dev)
{
	if (atomic_dec_and_test(&dev->allocators))
		arena_dev_wake(dev);
}

/* ioctl.c */
long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fdinfo.c */
void arena_show_fdinfo(struct seq_file *m, struct file *file);

/* map.c */
int arena_mmap(struct file *file, struct vm_area_struct *vma);
void arena_map_revoke(struct arena_dev *dev, size_t from);

/*
 * In a strict arena (arena_dev.strict), unmap all pages above the last object. Resets and rewinds
 * call this at their end, with arena_dev.lock held for writing.
 */
void arena_map_trim(struct arena_dev *dev);

#endif /* _ARENA_DEVICE_H */
