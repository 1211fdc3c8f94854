// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: marks and handles. A program knows a mark by its number; all else
 * about it stays in the kernel.
 */
#include <linux/atomic.h>
#include <linux/rwsem.h>

#include "device/ioctl.h"

int arena_check_mark(const union arena_args *args)
{
	return args->mark.flags ? -EINVAL : 0;
}

/* The number is told before anybody can use it: a fault there undoes everything. */
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
	args->mark = mark.serial;
	args->generation = mark.generation;
	err = arena_copy_out(call);
	if (err)
		arena_unmark(dev->arena, &mark);
	return err;
}

/* For writing, as a reset: what the cursor falls below, nobody is filling. */
int arena_do_rewind(struct arena_call *call)
{
	struct arena_mark_args *args = &call->args.mark;
	struct arena_dev *dev = call->file->dev;
	struct arena_mark mark;
	int err;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	err = arena_mark_find(dev->arena, args->mark, &mark);
	/*
	 * Kernel code has pointers into it (clause 23). Acquire: pairs with the release in
	 * arena_unhold().
	 */
	if (!err && atomic_read_acquire(&dev->holds))
		err = -EBUSY;
	if (!err)
		err = arena_rewind(dev->arena, &mark);
	if (!err)
		arena_map_trim(dev);
	args->generation = arena_peek(dev->arena).generation;
	up_write(&dev->lock);
	return err;
}

int arena_do_unmark(struct arena_call *call)
{
	struct arena_mark_args *args = &call->args.mark;
	struct arena_dev *dev = call->file->dev;
	struct arena_mark mark;
	int err;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	err = arena_mark_find(dev->arena, args->mark, &mark);
	if (!err)
		arena_unmark(dev->arena, &mark);
	args->generation = arena_peek(dev->arena).generation;
	up_read(&dev->lock);
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
	err = arena_handle_find(dev->arena, handle, &args->offset);
	up_read(&dev->lock);
	return err;
}
