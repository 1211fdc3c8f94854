// SPDX-License-Identifier: GPL-2.0
/*
 * The slab directory: from the number of a slab to its entry.
 *
 * The entries of the first slabs lie in the arena itself. The entries of the other slabs are in the
 * leaves of a tree. Its nodes are a page each, and are allocated as slabs are committed: an arena
 * of few slabs needs no node, whatever its capacity. The root pointer is the address of the root
 * node plus the height of the tree, which is 0 if the root is a leaf. A tree that is too low gets a
 * higher root, which has the old root as its first child.
 *
 * Nodes are zeroed before other CPUs can see them, and are added by compare-and-swap without a
 * lock. They are never moved, and are freed only with the arena. So lookups take no lock either and
 * run in any context, and an entry that a lookup has found stays where it is. Nodes remain when
 * slabs are released: they cost sixteen bytes for each slab that was ever committed, 0.4 % of slabs
 * of 4 KiB and 0.02 % of slabs of 64 KiB, the default.
 */
#include <linux/kmemleak.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "core/core.h"

#define LEAF_BITS	(PAGE_SHIFT - ilog2(sizeof(struct arena_slab)))
#define CHILD_BITS	(PAGE_SHIFT - ilog2(sizeof(void *)))
#define HEIGHT_MASK	7UL
/* The height of a tree that resolves every offset that fits into the cursor. */
#define HEIGHT_MAX	DIV_ROUND_UP(ARENA_CURSOR_BITS - PAGE_SHIFT - LEAF_BITS, CHILD_BITS)

/**
 * union arena_dir_node - a page of the directory.
 * @child: in a node of height 1 or more: the nodes one level below, NULL where there is none.
 * @entry: in a leaf, of height 0: the entries of slabs.
 * @next:  in a node that is in no directory yet: the next node on the caller's list of spare nodes.
 */
union arena_dir_node {
	union arena_dir_node	*child[PAGE_SIZE / sizeof(void *)];
	struct arena_slab	entry[PAGE_SIZE / sizeof(struct arena_slab)];
	union arena_dir_node	*next;
};

static unsigned int root_height(const union arena_dir_node *root)
{
	return (unsigned long)root & HEIGHT_MASK;
}

static union arena_dir_node *root_node(union arena_dir_node *root)
{
	return (void *)root - root_height(root);
}

/* How many bits of a slab's number a tree of @height resolves. */
static unsigned int height_bits(unsigned int height)
{
	return LEAF_BITS + height * CHILD_BITS;
}

static bool root_reaches(const union arena_dir_node *root, size_t index)
{
	return root && !(index >> height_bits(root_height(root)));
}

static union arena_dir_node **node_cell(union arena_dir_node *node, unsigned int height,
					size_t index)
{
	return &node->child[(index >> height_bits(height - 1)) & (BIT(CHILD_BITS) - 1)];
}

static struct arena_slab *leaf_entry(union arena_dir_node *leaf, size_t index)
{
	return &leaf->entry[index & (BIT(LEAF_BITS) - 1)];
}

/*
 * Find the leaf of slab @index. Returns NULL if the leaf, or a node on the way to it, is
 * missing; *@height then is the height of the missing node, or %HEIGHT_MAX if the tree is too
 * low.
 *
 * The address dependency from each node to the next one pairs with the cmpxchg() in dir_raise() and
 * dir_extend(). A CPU that sees a node sees it zeroed. Without the dependency, that CPU could
 * follow a pointer that the page held before.
 */
static __always_inline union arena_dir_node *dir_walk(const struct arena_dir *dir, size_t index,
						      unsigned int *height)
{
	union arena_dir_node *node = READ_ONCE(dir->root);

	*height = root_height(node);
	if (!root_reaches(node, index)) {
		*height = HEIGHT_MAX;
		return NULL;
	}
	for (node = root_node(node); node && *height; (*height)--)
		node = READ_ONCE(*node_cell(node, *height, index));
	return node;
}

/* Find the entry of slab @index in the tree. Returns NULL if its leaf does not exist yet. */
struct arena_slab *arena_dir_find(const struct arena_dir *dir, size_t index)
{
	unsigned int height;
	union arena_dir_node *leaf = dir_walk(dir, index, &height);

	return leaf ? leaf_entry(leaf, index) : NULL;
}

/*
 * Find the entry of slab *@index or, if the leaf of that slab is missing, of the first slab behind
 * it and below @end whose leaf exists, and set *@index to its number. Skips all slabs below a
 * missing node in one step. Serves arena_dir_next() for the slabs whose entries are in the tree.
 */
struct arena_slab *arena_dir_find_next(const struct arena_dir *dir, size_t *index, size_t end)
{
	union arena_dir_node *leaf;
	unsigned int height;

	while (*index < end) {
		leaf = dir_walk(dir, *index, &height);
		if (leaf)
			return leaf_entry(leaf, *index);
		*index = ALIGN(*index + 1, BIT(height_bits(height)));
	}
	return NULL;
}

/* The least height of a tree that has a place for slab @index. */
static unsigned int index_height(size_t index)
{
	unsigned int height = 0;

	while (index >> height_bits(height))
		height++;
	return height;
}

/*
 * How many nodes are missing on the way from the root to slab @index, new roots included. Other
 * CPUs may add nodes meanwhile, which can only lower the number: no CPU removes nodes, and a CPU
 * that makes the tree higher than counted here adds the additional roots itself.
 */
static unsigned int nodes_missing(const struct arena_dir *dir, size_t index)
{
	const union arena_dir_node *root = READ_ONCE(dir->root);
	unsigned int height;

	if (!root_reaches(root, index)) {
		height = index_height(index);
		/*
		 * Count the nodes above the old root, up to the new root, and the nodes below the
		 * new root, down to the leaf. The way down does not lead through the old root: all
		 * slabs below the old root have lower numbers than @index.
		 */
		return height + 1 - (root ? root_height(root) + 1 : 0) + height;
	}
	/* The tree is high enough: count the first missing node, and all nodes below it. */
	return dir_walk(dir, index, &height) ? 0 : height + 1;
}

static union arena_dir_node *node_new(struct arena *arena, gfp_t gfp)
{
	int nid = arena->flags & ARENA_ON_NODE ? arena->node : numa_mem_id();
	struct mem_cgroup *old = set_active_memcg(arena->memcg);
	void *node = NULL;

	if (arena_budget_charge(arena->budget, 1, gfp)) {
		node = arena_tagged(arena, arena_block_uncharged(0, gfp | __GFP_ZERO | __GFP_COMP,
								 nid));
		if (!node)
			arena_budget_uncharge(arena->budget, 1);
	}
	set_active_memcg(old);
	/*
	 * kmemleak must scan the node, which holds the only pointers to slabs that kmemleak tracks:
	 * otherwise kmemleak would report these slabs as leaked.
	 */
	if (node)
		arena_kmemleak_alloc(node, 0, gfp);
	return node;
}

static void node_free(struct arena *arena, void *node)
{
	kmemleak_free(node);
	arena_block_put(arena->budget, node, 0);
}

/* Take a node from a list of spare nodes, which are in no directory. */
static union arena_dir_node *spare_pop(union arena_dir_node **spare)
{
	union arena_dir_node *node = *spare;

	*spare = node->next;
	node->next = NULL;
	return node;
}

static void spare_push(union arena_dir_node **spare, union arena_dir_node *node)
{
	node->next = *spare;
	*spare = node;
}

static void spare_free(struct arena *arena, union arena_dir_node *spare)
{
	while (spare)
		node_free(arena, spare_pop(&spare));
}

/*
 * Allocate the nodes that slab @index needs into @spare, which is empty: all or none. Returns
 * false if one cannot be allocated.
 */
static bool spare_fill(struct arena *arena, const struct arena_dir *dir, size_t index,
		       gfp_t gfp, union arena_dir_node **spare)
{
	unsigned int missing;

	for (missing = nodes_missing(dir, index); missing; missing--) {
		union arena_dir_node *node = node_new(arena, gfp);

		if (!node) {
			spare_free(arena, *spare);
			return false;
		}
		spare_push(spare, node);
	}
	return true;
}

/* Make the tree high enough for slab @index. Returns the root pointer of the tree. */
static union arena_dir_node *dir_raise(struct arena_dir *dir, size_t index,
				       union arena_dir_node **spare)
{
	union arena_dir_node *root = READ_ONCE(dir->root), *node, *higher;

	while (!root_reaches(root, index)) {
		node = spare_pop(spare);
		node->child[0] = root_node(root);
		higher = root ? (void *)node + root_height(root) + 1 : node;
		/*
		 * Full barrier: pairs with the address dependency in dir_walk(), so that a CPU that
		 * sees the new root sees it zeroed, with its first child. If another CPU has stored
		 * a root first, @root is that root now.
		 */
		if (try_cmpxchg(&dir->root, &root, higher)) {
			root = higher;
		} else {
			node->child[0] = NULL;
			spare_push(spare, node);
		}
	}
	return root;
}

/* Add the nodes that are missing on the way to the leaf of slab @index, from @spare. */
static void dir_extend(struct arena_dir *dir, size_t index, union arena_dir_node **spare)
{
	union arena_dir_node *root = dir_raise(dir, index, spare), *node = root_node(root);
	union arena_dir_node *child, *added, **cell;
	unsigned int height;

	for (height = root_height(root); height; height--, node = child) {
		cell = node_cell(node, height, index);
		child = READ_ONCE(*cell);
		if (child)
			continue;
		added = spare_pop(spare);
		/*
		 * Full barrier: pairs with the address dependency in dir_walk(), so that a CPU that
		 * sees the address of the node sees it zeroed. Without the barrier, that CPU could
		 * read what the page held before.
		 */
		child = cmpxchg(cell, NULL, added);
		if (child)
			spare_push(spare, added);
		else
			child = added;
	}
}

/*
 * Provide a place for the entry of slab @index. @gfp says how to allocate the nodes that are
 * missing. Returns false if one cannot be allocated; then none was added. If the slab itself
 * cannot be committed afterwards, the nodes stay, and the next attempt uses them.
 */
bool arena_dir_reserve(struct arena *arena, struct arena_dir *dir, size_t index, gfp_t gfp)
{
	union arena_dir_node *spare = NULL;

	if (arena_dir_entry(dir, index))
		return true;
	if (!spare_fill(arena, dir, index, gfp, &spare))
		return false;
	dir_extend(dir, index, &spare);
	/* Nodes are left over if other CPUs have added theirs meanwhile. */
	spare_free(arena, spare);
	return true;
}

static void nodes_free(struct arena *arena, union arena_dir_node *node, unsigned int height)
{
	size_t i;

	for (i = 0; height && i < BIT(CHILD_BITS); i++)
		if (node->child[i])
			nodes_free(arena, node->child[i], height - 1);
	node_free(arena, node);
	cond_resched();
}

/*
 * Free the nodes of a directory that has nodes. The caller has given back all slabs, and no other
 * CPU uses the arena.
 */
void arena_dir_exit(struct arena *arena, struct arena_dir *dir)
{
	nodes_free(arena, root_node(dir->root), root_height(dir->root));
}
