/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of this folder share: regions, which are allocators that free all objects at
 * once, and clients, which are libraries whose users can choose the allocator.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

/**
 * struct region - an allocator that frees all objects at once.
 * @name: the name on the command line.
 * @open: makes the region.
 * @alloc: allocates; returns NULL without memory.
 * @grow: gives an object of @old bytes @bytes, in its place or in another one; NULL: the allocator
 *	has no such function, and objects are copied.
 * @reset: frees all objects.
 */
struct region {
	const char *name;
	void (*open)(void);
	void *(*alloc)(size_t bytes);
	void *(*grow)(void *at, size_t old, size_t bytes);
	void (*reset)(void);
};

/**
 * struct client - a library that reads documents.
 * @set_up: prepares the library, which then allocates in @region by its hooks. If @region is NULL,
 *	the library has no hooks and calls malloc(), realloc() and free().
 * @parse: reads a document. Returns a checksum of all that the library has found in it.
 * @drop: frees the document by the library's own function. Not called with a region.
 */
struct client {
	void (*set_up)(const struct region *region);
	__u64 (*parse)(const char *text, size_t bytes);
	void (*drop)(void);
};

extern const struct client client;

const struct region *region_find(const char *name);
void *region_grow(const struct region *region, void *at, size_t old, size_t bytes);

/* Adds bytes to a checksum, eight at a time, so that the check costs little. */
static inline __u64 sum_bytes(__u64 sum, const void *at, size_t bytes)
{
	const char *byte = (const char *)at;
	__u64 word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), byte += sizeof(word)) {
		memcpy(&word, byte, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15;
		sum ^= sum >> 32;
	}
	while (bytes--)
		sum = (sum ^ (unsigned char)*byte++) * 0x100000001b3;
	return sum;
}

static inline __u64 sum_number(__u64 sum, __u64 number)
{
	return sum_bytes(sum, &number, sizeof(number));
}

static inline __u64 sum_string(__u64 sum, const void *string)
{
	return string ? sum_bytes(sum, string, strlen((const char *)string)) : sum;
}

/* A hook for free(): a region frees all objects at once. */
static inline void free_nothing(void *at)
{
	(void)at;
}

/* Returns a figure in KiB that stands behind a name in a file of /proc. */
static inline long proc_kib(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	size_t bytes = strlen(name);
	char line[128];
	long kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, bytes) && line[bytes] == ':')
			kib = strtol(line + bytes + 1, NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

/* Returns the resident memory in KiB. */
static inline long memory_now(void)
{
	return proc_kib("/proc/self/smaps_rollup", "Rss");
}

/*
 * Returns the peak of the resident memory in KiB, since the program was executed. Kernels before
 * 6.2 count pages late, so the peak that they report may be less than what is resident now.
 */
static inline long memory_peak(void)
{
	long peak = proc_kib("/proc/self/status", "VmHWM"), now = memory_now();

	return peak > now ? peak : now;
}

#endif /* PROGRAM_H */
