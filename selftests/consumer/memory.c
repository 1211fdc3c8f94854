// SPDX-License-Identifier: GPL-2.0
/*
 * The kinds of memory in which the parser can build a tree: three kinds of arena, and kmalloc().
 *
 * There are no locks: each struct json_memory has one user at a time.
 */
#include <linux/slab.h>

#include "consumer.h"
#include "json.h"
#include "memory.h"

/*
 * The text that needs most memory consists of opening brackets, each of which becomes a node. The
 * last MiB is for the tails of slabs and spans.
 */
#define CAPACITY	(CONSUMER_TEXT_MAX * sizeof(struct json_node) + SZ_1M)

static int arena_open(struct json_memory *memory, unsigned int flags)
{
	const struct arena_config config = {
		.name = "json",
		.capacity = CAPACITY,
		.flags = flags,
	};

	memory->arena = arena_create(&config);
	return PTR_ERR_OR_ZERO(memory->arena);
}

static int spans_open(struct json_memory *memory)
{
	return arena_open(memory, ARENA_SPANS);
}

static int dense_open(struct json_memory *memory)
{
	return arena_open(memory, 0);
}

static void *in_arena(struct json_memory *memory, size_t size, size_t align)
{
	return arena_alloc_aligned(memory->arena, size, align, GFP_KERNEL);
}

static void arena_clear(struct json_memory *memory, struct json_node *root)
{
	/* The caller is the only user, so the reset cannot fail. */
	WARN_ON_ONCE(arena_reset(memory->arena));
}

static size_t arena_held(struct json_memory *memory, const struct json_node *root)
{
	struct arena_stats stats;

	arena_stats(memory->arena, &stats);
	return stats.committed;
}

static void arena_close(struct json_memory *memory)
{
	arena_destroy(memory->arena);
	memory->arena = NULL;
}

const struct json_memory_ops json_in_spans = {
	.name	= "spans",
	.open	= spans_open,
	.alloc	= in_arena,
	.clear	= arena_clear,
	.held	= arena_held,
	.close	= arena_close,
};

const struct json_memory_ops json_in_dense = {
	.name	= "dense",
	.open	= dense_open,
	.alloc	= in_arena,
	.clear	= arena_clear,
	.held	= arena_held,
	.close	= arena_close,
};

static int private_open(struct json_memory *memory)
{
	arena_private_init(&memory->private, NULL, 0);
	return 0;
}

static void *in_private(struct json_memory *memory, size_t size, size_t align)
{
	return arena_private_alloc(&memory->private, size, GFP_KERNEL);
}

static void private_clear(struct json_memory *memory, struct json_node *root)
{
	arena_private_reset(&memory->private);
}

static size_t private_held(struct json_memory *memory, const struct json_node *root)
{
	return 0;
}

static void private_close(struct json_memory *memory)
{
	arena_private_destroy(&memory->private);
}

const struct json_memory_ops json_in_private = {
	.name	= "private",
	.open	= private_open,
	.alloc	= in_private,
	.clear	= private_clear,
	.held	= private_held,
	.close	= private_close,
};

static int kmalloc_open(struct json_memory *memory)
{
	return 0;
}

static void *in_kmalloc(struct json_memory *memory, size_t size, size_t align)
{
	return kmalloc(size, GFP_KERNEL);
}

static void free_node(struct json_node *node)
{
	kfree(node->name);
	kfree(node->text);
	kfree(node);
}

/* Frees the children of a node before the node. Clears node->child to mark a visited node. */
static void kmalloc_clear(struct json_memory *memory, struct json_node *root)
{
	struct json_node *node = root, *next;

	while (node) {
		next = node->child;
		if (next) {
			node->child = NULL;
		} else {
			next = node->next ?: node->parent;
			free_node(node);
		}
		node = next;
	}
}

static size_t size_of(const void *object)
{
	return object ? ksize(object) : 0;
}

static size_t kmalloc_held(struct json_memory *memory, const struct json_node *root)
{
	const struct json_node *node;
	size_t held = 0;

	for (node = root; node; node = json_walk(node))
		held += size_of(node) + size_of(node->name) + size_of(node->text);
	return held;
}

static void kmalloc_close(struct json_memory *memory)
{
}

const struct json_memory_ops json_in_kmalloc = {
	.name	= "kmalloc",
	.open	= kmalloc_open,
	.alloc	= in_kmalloc,
	.clear	= kmalloc_clear,
	.held	= kmalloc_held,
	.close	= kmalloc_close,
};
