// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: ARENA_IOC_BATCH. Before the call takes the lock of the device arena and claims
 * anything, it copies in the items, and the sources that they point to. It copies out the offsets
 * after it has dropped the lock. So it touches no user memory with the lock held (clause 24).
 */
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device/ioctl.h"

int arena_check_batch(const union arena_args *args)
{
	const struct arena_batch_args *batch = &args->batch;

	if (!arena_alloc_flags_ok(batch->flags) || !batch->count || batch->count > ARENA_BATCH_MAX)
		return -EINVAL;
	if (batch->item_size < offsetofend(struct arena_batch_item, offset))
		return -EINVAL;
	if (batch->item_size > PAGE_SIZE)
		return -E2BIG;
	return 0;
}

static struct arena_batch_item __user *nth_item(const struct arena_batch_args *batch,
						unsigned int nth)
{
	return u64_to_user_ptr(batch->items) + (size_t)nth * batch->item_size;
}

/* The user address of the contents of each item; 0 for an item without contents. */
static u64 *batch_sources(const struct arena_call *call)
{
	return (u64 *)(call->parts + call->args.batch.count);
}

/*
 * Copy one item in, and write its @offset back unchanged: if the item cannot be written, the call
 * fails here, before anything is allocated.
 */
static int stage_item(struct arena_call *call, unsigned int nth)
{
	const struct arena_batch_args *batch = &call->args.batch;
	struct arena_batch_item __user *user = nth_item(batch, nth);
	struct arena_batch_item item;
	int err;

	err = copy_struct_from_user(&item, sizeof(item), user, batch->item_size);
	if (err)
		return err;
	if (!item.bytes)
		return -EINVAL;
	if (put_user(item.offset, &user->offset))
		return -EFAULT;
	call->parts[nth] = (struct arena_part) { .bytes = item.bytes };
	batch_sources(call)[nth] = item.src;
	return 0;
}

/* Returns the number of bytes in the sources of all items together, or -EMSGSIZE. */
static ssize_t sources_size(const struct arena_call *call)
{
	const u64 *sources = batch_sources(call);
	ssize_t sum = 0;
	unsigned int i;

	for (i = 0; i < call->args.batch.count; i++) {
		size_t bytes = call->parts[i].bytes;

		if (!sources[i])
			continue;
		if (bytes > ARENA_STORE_MAX - sum)
			return -EMSGSIZE;
		sum += bytes;
	}
	return sum;
}

/* Copy the sources in, and let each part point to its staged copy. */
static int stage_sources(struct arena_call *call)
{
	const u64 *sources = batch_sources(call);
	void *to = call->staged;
	unsigned int i;

	for (i = 0; i < call->args.batch.count; i++) {
		struct arena_part *part = &call->parts[i];

		if (!sources[i])
			continue;
		if (copy_from_user(to, u64_to_user_ptr(sources[i]), part->bytes))
			return -EFAULT;
		part->src = to;
		to += part->bytes;
	}
	return 0;
}

/*
 * Copy the items and their sources in, at most ARENA_BATCH_MAX items and ARENA_STORE_MAX bytes. A
 * page fault in the program's memory may block this function for ever, so it holds no lock.
 */
int arena_stage_batch(struct arena_call *call)
{
	unsigned int count = call->args.batch.count, i;
	ssize_t size;
	int err;

	call->parts = kvmalloc_array(count, sizeof(*call->parts) + sizeof(u64), ARENA_DEV_GFP);
	if (!call->parts)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		err = stage_item(call, i);
		if (err)
			return err;
	}
	size = sources_size(call);
	if (size < 0)
		return size;
	if (size) {
		call->staged = kvmalloc(size, ARENA_DEV_GFP);
		if (!call->staged)
			return -ENOMEM;
	}
	return stage_sources(call);
}

static int copy_out_offsets(const struct arena_call *call)
{
	unsigned int i;

	for (i = 0; i < call->args.batch.count; i++)
		if (put_user((u64)call->parts[i].offset, &nth_item(&call->args.batch, i)->offset))
			return -EFAULT;
	return 0;
}

int arena_do_batch(struct arena_call *call)
{
	struct arena_batch_args *batch = &call->args.batch;
	struct arena_dev *dev = call->file->dev;
	struct arena_batch objects = {
		.part  = call->parts,
		.nr    = batch->count,
		.align = batch->align ?: ARENA_MIN_ALIGN,
	};
	int err;

	err = arena_dev_begin(dev);
	if (err)
		return err;
	err = arena_claim_batch(dev->arena, &objects, arena_alloc_gfp(batch->flags),
				&batch->generation);
	arena_dev_up_read(dev);
	if (err)
		return err;
	/* Wake pollers first: the objects stay allocated even if the copy-out below fails. */
	arena_dev_moved(dev);
	return copy_out_offsets(call);
}
