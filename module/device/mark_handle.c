// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: marks and handles. Both are plain values that a program may have made up, so the
 * core checks each of them against the arena.
 */
#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>

#include "device/ioctl.h"

int arena_check_mark(const union arena_args *args)
{
	return args->mark.flags ? -EINVAL : 0;
}

int arena_do_mark(struct arena_call *call)
{
	struct arena_mark_args *args = &call->args.mark;
	struct arena_dev *dev = call->file->dev;
	struct arena_mark mark;
	int err;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	err = arena_mark(dev->arena, &mark);
	up_read(&dev->lock);
	if (err)
		return err;
	args->generation = mark.generation;
	args->offset = mark.offset;
	args->used = mark.used;
	return 0;
}

/*
 * Rewind. If arena_rewind() refuses, because there were too many resets and rewinds without a grace
 * period between them, wait for the RCU callback that permits further ones.
 */
static int arena_rewind_asleep(struct arena *arena, const struct arena_mark *mark)
{
	int err = arena_rewind(arena, mark);

	if (err != -EBUSY)
		return err;
	rcu_barrier();
	return arena_rewind(arena, mark);
}

/*
 * Run ARENA_IOC_REWIND with the lock held for writing, so that no other call is still filling an
 * object that the rewind frees.
 */
int arena_do_rewind(struct arena_call *call)
{
	const struct arena_mark mark = {
		.generation = call->args.mark.generation,
		.offset	    = call->args.mark.offset,
		.used	    = call->args.mark.used,
	};
	struct arena_dev *dev = call->file->dev;
	int err = arena_dev_begin_reset(dev);

	if (err)
		return err;
	err = arena_rewind_asleep(dev->arena, &mark);
	if (!err)
		arena_map_trim(dev);
	/*
	 * Update the status page with the lock held: otherwise a call could return an object of the
	 * new generation before the page shows that generation.
	 */
	arena_status_update(dev);
	up_write(&dev->lock);
	return err;
}

int arena_check_handle(const union arena_args *args)
{
	return args->handle.flags ? -EINVAL : 0;
}

int arena_do_handle(struct arena_call *call)
{
	struct arena_handle_args *args = &call->args.handle;
	struct arena_dev *dev = call->file->dev;
	arena_handle_t handle;
	int err;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	err = arena_handle_at(dev->arena, args->offset, &handle);
	up_read(&dev->lock);
	if (err)
		return err;
	args->handle_generation = handle.generation;
	args->handle_offset = handle.offset;
	return 0;
}

int arena_do_deref(struct arena_call *call)
{
	struct arena_handle_args *args = &call->args.handle;
	const arena_handle_t handle = {
		.generation = args->handle_generation,
		.offset	    = args->handle_offset,
	};
	struct arena_dev *dev = call->file->dev;
	int err;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	err = arena_handle_check(dev->arena, handle);
	args->offset = handle.offset;
	up_read(&dev->lock);
	return err;
}
