/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls of /dev/arena, one function each, as a program may wrap them: what
 * fails is said on standard error, and the answer is 0 or -1.
 */
#ifndef ARENA_REGION_H
#define ARENA_REGION_H

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/arena.h>

/* An arena as a process sees it. */
struct region {
	int fd;
	char *map;
	size_t size;
};

static inline int region_open(struct region *region, const char *name, size_t capacity)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.capacity = capacity,
	};

	region->map = MAP_FAILED;
	region->size = capacity;
	region->fd = open("/dev/arena", O_RDWR | O_CLOEXEC);
	if (region->fd < 0) {
		warn("/dev/arena");
		return -1;
	}
	snprintf((char *)args.name, sizeof(args.name), "%s", name);
	if (ioctl(region->fd, ARENA_IOC_SETUP, &args)) {
		warn("ARENA_IOC_SETUP");
		return -1;
	}
	return 0;
}

static inline int region_map(struct region *region, int prot)
{
	region->map = mmap(NULL, region->size, prot, MAP_SHARED, region->fd, 0);
	if (region->map == MAP_FAILED) {
		warn("mmap of the arena");
		return -1;
	}
	return 0;
}

static inline void region_close(struct region *region)
{
	if (region->map != MAP_FAILED)
		munmap(region->map, region->size);
	if (region->fd >= 0)
		close(region->fd);
}

/* Memory for an object; what it holds is whatever was there, unless @flags say. */
static inline int region_alloc(const struct region *region, size_t bytes, __u32 flags,
			       __u64 *offset)
{
	struct arena_alloc_args args = {
		.size = sizeof(args),
		.flags = flags,
		.bytes = bytes,
	};

	if (ioctl(region->fd, ARENA_IOC_ALLOC, &args)) {
		warn("ARENA_IOC_ALLOC of %zu bytes", bytes);
		return -1;
	}
	*offset = args.offset;
	return 0;
}

/* A copy of @object, complete before anybody can know where it is. */
static inline int region_store(const struct region *region, const void *object, size_t bytes,
			       __u64 *offset)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (uintptr_t)object,
		.bytes = bytes,
	};

	if (ioctl(region->fd, ARENA_IOC_STORE, &args)) {
		warn("ARENA_IOC_STORE of %zu bytes", bytes);
		return -1;
	}
	*offset = args.offset;
	return 0;
}

static inline int region_info(const struct region *region, struct arena_info_args *info)
{
	*info = (struct arena_info_args){ .size = sizeof(*info) };
	if (ioctl(region->fd, ARENA_IOC_INFO, info)) {
		warn("ARENA_IOC_INFO");
		return -1;
	}
	return 0;
}

/* Bytes in all objects. */
static inline int region_offset(const struct region *region, __u64 *offset)
{
	struct arena_offset_args args = { .size = sizeof(args) };

	if (ioctl(region->fd, ARENA_IOC_OFFSET, &args)) {
		warn("ARENA_IOC_OFFSET");
		return -1;
	}
	*offset = args.offset;
	return 0;
}

/* The objects are gone, the memory is kept, mappings stay valid. */
static inline int region_reset(const struct region *region)
{
	struct arena_reset_args args = {
		.size = sizeof(args),
		.mode = ARENA_RESET_KEEP,
	};

	if (ioctl(region->fd, ARENA_IOC_RESET, &args)) {
		warn("ARENA_IOC_RESET");
		return -1;
	}
	return 0;
}

/* A descriptor of the same arena that may read and nothing else, or -1. */
static inline int region_dup_readonly(const struct region *region)
{
	struct arena_dup_args args = {
		.size = sizeof(args),
		.rights = ARENA_RIGHT_READ,
	};

	if (ioctl(region->fd, ARENA_IOC_DUP, &args)) {
		warn("ARENA_IOC_DUP");
		return -1;
	}
	return args.fd;
}

#endif /* ARENA_REGION_H */
