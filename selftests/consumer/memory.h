/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each kind of memory for a tree has a table of operations, so that the same parser works with all
 * kinds.
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
 * @name:  the name to print.
 * @open:  called before the first allocation; returns 0 or an errno.
 * @alloc: returns memory with this size and alignment (1 for strings), or NULL.
 * @clear: frees the whole tree, so that another tree can be built.
 * @held:  returns the bytes taken from the kernel for the tree, or 0 if unknown.
 * @close: called after the last tree was cleared.
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
 * @ops:     the kind of memory.
 * @arena:   the arena, if this kind of memory has one.
 * @private: the private arena, if this kind of memory has one.
 * @objects: number of objects allocated for the current tree.
 * @bytes:   bytes that the parser asked for in these allocations.
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
