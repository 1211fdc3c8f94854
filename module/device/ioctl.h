/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/arena: one ioctl in progress, as the dispatcher (ioctl.c) and the functions of the
 * commands see it.
 */
#ifndef _ARENA_IOCTL_H
#define _ARENA_IOCTL_H

#include "device/device.h"

union arena_args {
	u32				size;
	struct arena_setup_args		setup;
	struct arena_alloc_args		alloc;
	struct arena_store_args		store;
	struct arena_commit_args	commit;
	struct arena_offset_args	offset;
	struct arena_reset_args		reset;
	struct arena_info_args		info;
	struct arena_query_args		query;
	struct arena_dup_args		dup;
	struct arena_batch_args		batch;
	struct arena_lease_args		lease;
	struct arena_mark_args		mark;
	struct arena_handle_args	handle;
	struct arena_seal_args		seal;
	struct arena_watch_args		watch;
	struct arena_notify_args	notify;
};

/**
 * struct arena_call - one ioctl in progress.
 * @file:	the file that the ioctl was called on.
 * @user:	the caller's struct, in user memory.
 * @bytes:	size of that part of the struct that both the caller and this kernel know.
 * @args:	the kernel's copy of the struct; zero behind @bytes.
 * @staged:	the contents of objects, as STORE and BATCH have copied them in.
 * @parts:	the objects of a BATCH. Behind the last one, in the same block, are the user
 *		addresses of their contents.
 */
struct arena_call {
	struct arena_file	*file;
	void __user		*user;
	size_t			bytes;
	union arena_args	args;
	void			*staged;
	struct arena_part	*parts;
};

static inline bool arena_alloc_flags_ok(u32 flags)
{
	return !(flags & ~ARENA_ALLOC_ZERO);
}

/* The gfp flags for an allocation with these ARENA_ALLOC_* flags. */
static inline gfp_t arena_alloc_gfp(u32 flags)
{
	return GFP_KERNEL | (flags & ARENA_ALLOC_ZERO ? __GFP_ZERO : 0);
}

/*
 * Begin a call that allocates: take the lock for reading. Returns 0; or, without the lock, -EPERM
 * if the arena is sealed, -EINTR if the task is being killed. The trylock is faster, but fails if a
 * reset holds the lock or waits for it.
 */
static __always_inline int arena_dev_begin(struct arena_dev *dev)
{
	if (unlikely(!down_read_trylock(&dev->lock)) && down_read_killable(&dev->lock))
		return -EINTR;
	if (likely(!(dev->flags & ARENA_SEALED)))
		return 0;
	up_read(&dev->lock);
	return -EPERM;
}

/* ioctl.c */
int arena_copy_out(const struct arena_call *call);
int arena_dev_begin_reset(struct arena_dev *dev);

/*
 * arena_check_*() checks the arguments of a command and does not look at the arena, arena_stage_*()
 * copies in what the arguments point to, arena_do_*() runs the command.
 */
int arena_check_batch(const union arena_args *args);
int arena_stage_batch(struct arena_call *call);
int arena_do_batch(struct arena_call *call);
int arena_check_mark(const union arena_args *args);
int arena_do_mark(struct arena_call *call);
int arena_do_rewind(struct arena_call *call);
int arena_check_handle(const union arena_args *args);
int arena_do_handle(struct arena_call *call);
int arena_do_deref(struct arena_call *call);
int arena_check_seal(const union arena_args *args);
int arena_do_seal(struct arena_call *call);
int arena_check_watch(const union arena_args *args);
int arena_do_watch(struct arena_call *call);
int arena_check_notify(const union arena_args *args);
int arena_do_notify(struct arena_call *call);

#endif /* _ARENA_IOCTL_H */
