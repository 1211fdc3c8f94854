/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for batches, marks, handles, watches and notices, which return 0 or a negative errno
 * like those of arena_test.h, and a check that a failed call has changed nothing.
 */
#ifndef ARENA_CALLS_H
#define ARENA_CALLS_H

#include "arena_test.h"

static inline int arena_batch(int fd, struct arena_batch_item *items, __u32 count, __u64 align,
			      __u64 *generation)
{
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)items,
		.count = count,
		.item_size = sizeof(*items),
		.align = align,
	};
	int err = arena_ioctl(fd, ARENA_IOC_BATCH, &args);

	if (!err && generation)
		*generation = args.generation;
	return err;
}

static inline int arena_mark(int fd, struct arena_mark_args *mark)
{
	*mark = (struct arena_mark_args) { .size = sizeof(*mark) };
	return arena_ioctl(fd, ARENA_IOC_MARK, mark);
}

static inline int arena_rewind(int fd, struct arena_mark_args mark)
{
	return arena_ioctl(fd, ARENA_IOC_REWIND, &mark);
}

/* A handle as programs see it: the generation and the offset of an object. */
struct name {
	__u64 generation;
	__u64 offset;
};

static inline int arena_handle(int fd, __u64 offset, struct name *name)
{
	struct arena_handle_args args = { .size = sizeof(args), .offset = offset };
	int err = arena_ioctl(fd, ARENA_IOC_HANDLE, &args);

	if (!err)
		*name = (struct name) { args.handle_generation, args.handle_offset };
	return err;
}

static inline int arena_deref(int fd, struct name name, __u64 *offset)
{
	struct arena_handle_args args = {
		.size = sizeof(args),
		.handle_generation = name.generation,
		.handle_offset = name.offset,
	};
	int err = arena_ioctl(fd, ARENA_IOC_DEREF, &args);

	if (!err && offset)
		*offset = args.offset;
	return err;
}

/*
 * Makes poll() on @fd report POLLIN once more than @mark bytes are used. Stores the result of the
 * ioctl in @args, which may be NULL.
 */
static inline int arena_watch(int fd, __u64 mark, struct arena_watch_args *args)
{
	struct arena_watch_args own;

	args = args ?: &own;
	*args = (struct arena_watch_args) { .size = sizeof(*args), .mark = mark };
	return arena_ioctl(fd, ARENA_IOC_WATCH, args);
}

static inline int arena_notify(int fd)
{
	struct arena_notify_args args = { .size = sizeof(args) };

	return arena_ioctl(fd, ARENA_IOC_NOTIFY, &args);
}

/*
 * Returns whether two results of INFO are equal except for the counts of failures, which a failed
 * call may change (clause 4).
 */
static inline bool arena_same_state(const struct arena_info_args *a,
				    const struct arena_info_args *b)
{
	struct arena_info_args c = *b;

	c.fail_space = a->fail_space;
	c.fail_memory = a->fail_memory;
	c.fail_arg = a->fail_arg;
	return !memcmp(a, &c, sizeof(c));
}

/* Returns whether INFO reports the numbers in @before, except for the counts of failures. */
static inline bool arena_unchanged(int fd, const struct arena_info_args *before)
{
	struct arena_info_args now;

	return !arena_info(fd, &now) && arena_same_state(before, &now);
}

#endif /* ARENA_CALLS_H */
