/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a tree lives: one table of operations for each kind of memory, so that
 * the same parser runs on all.
 */
#ifndef _ARENA_CONSUMER_MEMORY_H
#define _ARENA_CONSUMER_MEMORY_H

#include <linux/arena.h>
#include <linux/arena_private.h>
#include <linux/types.h>

struct json_memory;
struct json_node;

/**
 * struct json_memory_ops - a kind of memory.
 * @name:  for humans.
 * @open:  before the first allocation; 0 or an errno.
 * @alloc: bytes, aligned so (strings ask for 1); or NULL.
 * @clear: free the whole tree, for the next one.
 * @held:  bytes taken from the kernel to hold the tree, 0 if it cannot tell.
 * @close: after the last tree was cleared.
 */
struct json_memory_ops {
	const char	*name;
	int		(*open)(struct json_memory *memory);
	void		*(*alloc)(struct json_memory *memory, size_t size, size_t align);
	void		(*clear)(struct json_memory *memory, struct json_node *root);
	size_t		(*held)(struct json_memory *memory, const struct json_node *root);
	void		(*close)(struct json_memory *memory);
};

/**
 * struct json_memory - memory for one tree at a time.
 * @ops:     its kind.
 * @arena:   for kinds that have one,
 * @private: or this.
 * @objects: taken for the present tree.
 * @bytes:   asked for in all.
 */
struct json_memory {
	const struct json_memory_ops	*ops;
	struct arena			*arena;
	struct arena_private		private;
	unsigned long			objects;
	size_t				bytes;
};

extern const struct json_memory_ops json_in_spans, json_in_dense, json_in_private, json_in_kmalloc;

static inline void *json_alloc(struct json_memory *memory, size_t size, size_t align)
{
	memory->objects++;
	memory->bytes += size;
	return memory->ops->alloc(memory, size, align);
}

static inline void json_clear(struct json_memory *memory, struct json_node *root)
{
	memory->ops->clear(memory, root);
	memory->objects = 0;
	memory->bytes = 0;
}

#endif /* _ARENA_CONSUMER_MEMORY_H */
