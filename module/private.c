// SPDX-License-Identifier: GPL-2.0
/*
 * Private arenas: the owner allocates by moving a pointer through the newest of its chunks or,
 * before there is one, through the buffer that it gave to arena_private_init().
 *
 * A private arena has one owner, so this code takes no lock and uses no atomics. Chunks come
 * from the pool or the page allocator, or they are objects of a shared arena, the parent. A reset
 * of the parent frees them; the private arena notices that the handle of its newest chunk is stale.
 *
 * With ARENA_PRIVATE_ALONE, this file and arena_private.h are a part of another module, and use no
 * other file of the arena: chunks come from kmalloc(), and there are no parents.
 */
#include <linux/bug.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#ifdef ARENA_PRIVATE_ALONE
#include <linux/slab.h>
#include "arena_private.h"
#else
#include <linux/arena_private.h>
#include "core/core.h"
#include "mem/shadow.h"
#endif

#define CHUNK_ORDER	get_order(SZ_16K)
/* The smallest chunk to take from a parent: each slab of a parent is at least as large. */
#define CHUNK_IN_PARENT	SZ_4K

/**
 * struct arena_chunk - header of a chunk, at its start.
 * @below: the next older chunk, or NULL.
 * @size:  bytes of the chunk, this header included.
 * @data:  the memory that objects get.
 */
struct arena_chunk {
	struct arena_chunk	*below;
	size_t			size;
	char			data[] __aligned(sizeof(u64));
};

/**
 * struct arena_private_action - an action, in the memory of its arena.
 * @below: the action that was added before, or NULL.
 * @fn:	   the function.
 * @data:  its argument.
 */
struct arena_private_action {
	struct arena_private_action	*below;
	void				(*fn)(void *data);
	void				*data;
};

static char *chunk_end(struct arena_chunk *chunk)
{
	return (char *)chunk + chunk->size;
}

#ifdef ARENA_PRIVATE_ALONE

#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(...)

/* KASAN and KMSAN are not told what is an object. */
#define ARENA_SHADOW			0
#define ARENA_REDZONE			0
#define arena_redzones			false
#define arena_shadow_poison(...)	((void)0)
#define arena_shadow_object(...)	((void)0)
#define arena_tag_record(arena)		((void)(arena))

static bool has_parent(const struct arena_private *arena)
{
	return false;
}

static bool chunks_are_lost(const struct arena_private *arena)
{
	return false;
}

static bool warn_if_lost(const struct arena_private *arena)
{
	return false;
}

static void chunks_forget(struct arena_private *arena)
{
}

/*
 * Take a chunk of @need bytes or more from kmalloc(), which aligns memory whose size is a power of
 * two to that size. A failure starts no OOM killer and logs no warning.
 */
static struct arena_chunk *chunk_new(struct arena_private *arena, size_t need, gfp_t gfp)
{
	const gfp_t refused = __GFP_NOFAIL | __GFP_DMA | __GFP_DMA32;
	size_t size = roundup_pow_of_two(max_t(size_t, need, SZ_16K));
	struct mem_cgroup *old;
	struct arena_chunk *chunk;

	WARN_ON_ONCE(gfp & refused || (gfp & __GFP_ACCOUNT && !arena->charged));
	gfp &= ~(refused | __GFP_ZERO | __GFP_ACCOUNT);
	if (!gfp || in_nmi())
		return NULL;
	gfp |= __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	old = set_active_memcg(arena->memcg);
	chunk = kmalloc(size, arena->memcg ? gfp | __GFP_ACCOUNT : gfp);
	set_active_memcg(old);
	if (chunk)
		chunk->size = size;
	return chunk;
}

static void chunk_free(const struct arena_private *arena, struct arena_chunk *chunk)
{
	kfree(chunk);
}

#else

static bool has_parent(const struct arena_private *arena)
{
	return arena->parent;
}

/*
 * Has a reset or rewind of the parent freed chunks of @arena? If so, the newest chunk is among
 * them: a reset frees all chunks, and only a dense parent can be rewound, in which the newest chunk
 * lies highest. So check only its handle.
 */
static bool chunks_are_lost(const struct arena_private *arena)
{
	return arena->parent && arena->newest.generation &&
	       !arena_deref(arena->parent, arena->newest);
}

static bool warn_if_lost(const struct arena_private *arena)
{
	return WARN_ONCE(chunks_are_lost(arena),
			 "allocation from a private arena whose parent was reset");
}

/* Take a chunk of @need bytes or more from the parent. */
static struct arena_chunk *chunk_in_parent(struct arena_private *arena, size_t need, gfp_t gfp)
{
	size_t size = ALIGN(max_t(size_t, need, CHUNK_IN_PARENT), ARENA_MIN_ALIGN);
	struct arena_chunk *chunk;
	arena_handle_t handle;

	chunk = arena_alloc_handle(arena->parent, size, gfp & ~__GFP_ZERO, &handle);
	/*
	 * The handle of the newest chunk shows whether the parent was reset meanwhile: check that
	 * handle before the handle of the new chunk replaces it.
	 */
	if (chunk && warn_if_lost(arena))
		return NULL;
	if (chunk) {
		chunk->size = size;
		arena_shadow_poison(chunk->data, chunk_end(chunk), ARENA_POISON_UNUSED);
		arena->newest = handle;
	}
	return chunk;
}

/* Take a chunk of @need bytes or more from the pool or the page allocator. */
static struct arena_chunk *chunk_of_pages(struct arena_private *arena, size_t need, gfp_t gfp)
{
	unsigned int order = max_t(unsigned int, CHUNK_ORDER, get_order(need));
	struct arena_chunk *chunk;

	WARN_ON_ONCE(gfp & __GFP_ACCOUNT && !arena->charged);
	chunk = arena_tagged(arena, arena_block_alloc(order, gfp, arena->memcg));
	if (chunk) {
		arena_shadow_object(chunk, sizeof(*chunk), 0);
		chunk->size = PAGE_SIZE << order;
	}
	return chunk;
}

static struct arena_chunk *chunk_new(struct arena_private *arena, size_t need, gfp_t gfp)
{
	return arena->parent ? chunk_in_parent(arena, need, gfp) :
			       chunk_of_pages(arena, need, gfp);
}

static void chunk_free(const struct arena_private *arena, struct arena_chunk *chunk)
{
	arena_block_free(chunk, get_order(chunk->size), arena->memcg);
}

/* Forget chunks and actions that a reset of the parent has freed. */
static void chunks_forget(struct arena_private *arena)
{
	WARN_ONCE(arena->actions, "the parent of a private arena was reset before its actions ran");
	arena->actions = NULL;
	arena->chunks = NULL;
	arena->spare = NULL;
	arena->newest = (arena_handle_t) { };
}

#endif /* ARENA_PRIVATE_ALONE */

/* Give back chunks. Chunks in a parent stay allocated until the parent is reset. */
static void chunks_free(const struct arena_private *arena, struct arena_chunk *chunk)
{
	while (chunk && !has_parent(arena)) {
		struct arena_chunk *below = chunk->below;

		chunk_free(arena, chunk);
		chunk = below;
	}
}

/*
 * Get a chunk with room for @size bytes at @align: one that a reset or rewind has kept, or a new
 * one. A chunk of pages begins at a page, so alignment costs only the gap behind its header, and
 * the largest object fits into %ARENA_SLAB_MAX. A chunk in a parent may begin at any multiple of
 * %ARENA_MIN_ALIGN, so room to align is added. Returns NULL if there is no memory, or if a reset of
 * the parent has freed the chunks.
 */
static struct arena_chunk *chunk_get(struct arena_private *arena, size_t size, size_t align,
				     gfp_t gfp)
{
	size_t need = ALIGN(offsetof(struct arena_chunk, data), align) + size;
	struct arena_chunk **link, *chunk;

	if (warn_if_lost(arena))
		return NULL;
	if (has_parent(arena) && align > ARENA_MIN_ALIGN)
		need += align - ARENA_MIN_ALIGN;
	for (link = &arena->spare; (chunk = *link); link = &chunk->below) {
		if (chunk->size >= need) {
			*link = chunk->below;
			return chunk;
		}
	}
	return chunk_new(arena, need, gfp);
}

/*
 * Where the next object can begin after @object, of @size bytes. With KASAN, a redzone lies in
 * between, which ends at arena->end at the latest.
 */
static char *object_end(const struct arena_private *arena, char *object, size_t size)
{
	char *end = PTR_ALIGN(object + size, ARENA_MIN_ALIGN);

	if (!arena_redzones || end > arena->end)
		return end;
	return min(end + ARENA_REDZONE, arena->end);
}

/*
 * The macro arena_private_init() calls this function, after it has set the line of code that memory
 * allocation profiling counts the arena for.
 */
void arena_private_init_noprof(struct arena_private *arena, void *buffer, size_t size)
{
	char *first = PTR_ALIGN((char *)buffer, ARENA_MIN_ALIGN);

	*arena = (struct arena_private) { .generation = 1 };
	if (buffer && size >= (size_t)(first - (char *)buffer)) {
		arena->first = first;
		arena->first_size = ALIGN_DOWN(size - (first - (char *)buffer), ARENA_MIN_ALIGN);
	}
	arena->pos = arena->first;
	arena->end = arena->first + arena->first_size;
	arena_shadow_poison(arena->first, arena->end, ARENA_POISON_UNUSED);
	arena_tag_record(arena);
	arena_private_adopt(arena);
}
EXPORT_SYMBOL_GPL(arena_private_init_noprof);

/*
 * The macro arena_private_init_charged() calls this function, after it has made the line of its
 * caller the one for which memory allocation profiling counts the arena.
 */
void arena_private_init_charged_noprof(struct arena_private *arena, void *buffer, size_t size)
{
	arena_private_init_noprof(arena, buffer, size);
	arena->charged = true;
	/*
	 * With NULL, this call returns the active memory cgroup if one is set, and otherwise that
	 * of the task.
	 */
	arena->memcg = get_mem_cgroup_from_mm(NULL);
}
EXPORT_SYMBOL_GPL(arena_private_init_charged_noprof);

#ifndef ARENA_PRIVATE_ALONE
/**
 * arena_private_init_in() - Make a private arena that takes its memory from another arena.
 * @arena:  where to make it; may be an object of @parent.
 * @parent: a shared arena, not NULL.
 * @buffer: the first memory to hand out, or NULL.
 * @size:   size of @buffer, in bytes.
 *
 * As arena_private_init(), but its chunks are objects of @parent, 4 KiB or more each. So one reset
 * of @parent frees what many private arenas in it have handed out, and none of them need be
 * destroyed. The memory that such an arena keeps after a reset or trim, or has when it is
 * destroyed, remains allocated in @parent until @parent is reset.
 *
 * A reset of @parent, or a rewind to a mark that is older than a chunk, makes the private arena
 * void. Then its owner must not allocate before it has called arena_private_reset() or one of the
 * init functions. An allocation that needs a new chunk finds the arena void, warns once and returns
 * NULL. An allocation that fits into the freed chunk checks for that only in debug builds
 * (CONFIG_ARENA_DEBUG), and otherwise returns memory that was freed. Actions that were added before
 * @parent was reset are not called; arena_private_reset() and arena_private_destroy() warn once
 * about them. Like a handle, the private arena may also become void after rewinds of @parent to
 * more than four rising offsets.
 *
 * Programs must not be able to map @parent: a private arena keeps pointers in its chunks.
 *
 * The caller keeps @parent alive while it uses @arena. Once @parent is destroyed, the only calls
 * for @arena are the init functions.
 *
 * Context: Any. The caller becomes the owner.
 * Return: 0, or -EINVAL if @parent is an arena of the device; then @arena is like one that
 * arena_private_init() has made.
 */
int arena_private_init_in(struct arena_private *arena, struct arena *parent, void *buffer,
			  size_t size)
{
	arena_private_init_noprof(arena, buffer, size);
	if (parent->flags & ARENA_MAPPABLE)
		return -EINVAL;
	arena->parent = parent;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_private_init_in);
#endif

/* Run the actions that were added after @last, the last one first. */
static void actions_run(struct arena_private *arena, struct arena_private_action *last)
{
	while (arena->actions != last) {
		struct arena_private_action *action = arena->actions;

		arena->actions = action->below;
		action->fn(action->data);
	}
}

/**
 * arena_private_destroy() - Give back the memory of a private arena.
 * @arena: the arena, not NULL; to be initialised before it is used again.
 *
 * Runs the actions of the arena first.
 *
 * Context: Any but NMI; the caller excludes all other users. Does not sleep, if no action does.
 */
void arena_private_destroy(struct arena_private *arena)
{
	if (chunks_are_lost(arena))
		chunks_forget(arena);
	actions_run(arena, NULL);
	arena_shadow_object(arena->first, arena->first_size, 0);
	chunks_free(arena, arena->chunks);
	chunks_free(arena, arena->spare);
	mem_cgroup_put(arena->memcg);
	arena_private_init_noprof(arena, NULL, 0);
}
EXPORT_SYMBOL_GPL(arena_private_destroy);

#ifdef CONFIG_ARENA_DEBUG
/* A zeroed arena has no owner to compare with until arena_private_adopt(). */
static bool is_owner(const struct arena_private *arena)
{
	return !WARN_ON_ONCE(in_task() && arena->owner && arena->owner != current);
}

bool arena_private_owned(const struct arena_private *arena)
{
	return is_owner(arena) && !WARN_ONCE(chunks_are_lost(arena),
					     "use of a private arena whose parent was reset");
}
EXPORT_SYMBOL_GPL(arena_private_owned);

void arena_private_adopt(struct arena_private *arena)
{
	arena->owner = current;
}
EXPORT_SYMBOL_GPL(arena_private_adopt);
#else
static bool is_owner(const struct arena_private *arena)
{
	return true;
}
#endif

static char *place_object(const struct arena_private *arena, size_t size, size_t align)
{
	char *object = PTR_ALIGN(arena->pos, align);

	return object <= arena->end && size <= (size_t)(arena->end - object) ? object : NULL;
}

/**
 * __arena_private_alloc() - Take memory for one object of a private arena, aligned as asked.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most %ARENA_SLAB_MAX less a page.
 * @align: bytes: a power of two, at most %PAGE_SIZE.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * arena_private_alloc() calls this where the object does not fit into the newest chunk. Call
 * it directly to ask for an alignment.
 *
 * Context: Any that @gfp fits; the caller is the owner.
 * Return: The object; NULL with nothing changed for a bad argument, or if there is no memory.
 */
void *__arena_private_alloc(struct arena_private *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_chunk *chunk;
	char *object;

	if (!size || size > ARENA_SLAB_MAX - PAGE_SIZE || !is_power_of_2(align) ||
	    align > PAGE_SIZE || !arena_private_owned(arena))
		return NULL;
	object = place_object(arena, size, align);
	if (!object) {
		chunk = chunk_get(arena, size, align, gfp);
		if (!chunk)
			return NULL;
		if (!arena->chunks)
			arena->oldest = chunk;
		chunk->below = arena->chunks;
		arena->chunks = chunk;
		arena->pos = chunk->data;
		arena->end = chunk_end(chunk);
		object = place_object(arena, size, align);
	}
	arena->pos = min(object_end(arena, object, size), arena->end);
	arena->used += size;
	arena_shadow_object(object, size, arena->pos - object);
	if (want_init_on_alloc(gfp))
		memset(object, 0, size);
	return object;
}
EXPORT_SYMBOL_GPL(__arena_private_alloc);

/**
 * arena_private_resize() - Change the size of an object where it is (clause 28).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena.
 * @old:   its size in bytes, as it was asked for.
 * @new:   the size that it is to have, in bytes.
 *
 * The object that was allocated last can grow within its chunk, and the arena hands out again what
 * that object loses. Other objects can only shrink, and what they lose remains unused. The bytes
 * that an object gains are zero if the kernel was booted with init_on_alloc, and otherwise
 * undefined. An object that is older than a mark must not be resized before the last rewind to that
 * mark.
 *
 * Context: Any; the caller is the owner.
 * Return: @ptr, if the object has @new bytes now; NULL, with nothing changed, if it cannot grow
 * where it is, or if @old or @new is 0. As with arena_resize(), use the returned pointer.
 */
void *arena_private_resize(struct arena_private *arena, void *ptr, size_t old, size_t new)
{
	char *object = ptr;

	if (!old || !new || !arena_private_owned(arena))
		return NULL;
	if (new < old)
		arena_shadow_object(object, new, ALIGN(old, ARENA_MIN_ALIGN));
	if (object_end(arena, object, old) != arena->pos)
		return new <= old ? ptr : NULL;
	if (new > (size_t)(arena->end - object))
		return NULL;
	arena->pos = object_end(arena, object, new);
	arena->used += new - old;
	if (new > old)
		arena_shadow_object(object, new, arena->pos - object);
	if (new > old && want_init_on_alloc(0))
		memset(object + old, 0, new - old);
	return ptr;
}
EXPORT_SYMBOL_GPL(arena_private_resize);

/**
 * arena_private_free_last() - Give back the object that was allocated last (clause 28).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena.
 * @size:  its size in bytes, as it was asked for.
 *
 * The arena hands out the memory of the object again, but not a gap that its alignment has left
 * below it. Of several objects, the caller can free the last one first. An object that is older
 * than a mark must not be freed before the last rewind to that mark, nor one that an action uses.
 *
 * Context: Any; the caller is the owner.
 * Return: true; or false, with nothing changed, if another object or an action was allocated after
 * the object, or if @size is 0.
 */
bool arena_private_free_last(struct arena_private *arena, void *ptr, size_t size)
{
	if (!size || !arena_private_owned(arena) || object_end(arena, ptr, size) != arena->pos)
		return false;
	arena_shadow_poison(ptr, arena->pos, ARENA_POISON_FREED);
	arena->pos = ptr;
	arena->used -= size;
	return true;
}
EXPORT_SYMBOL_GPL(arena_private_free_last);

/**
 * arena_private_realloc() - Change the size of an object, where it is or by a copy (clause 28).
 * @arena: the arena, not NULL.
 * @ptr:   a live object of the arena; or NULL, for arena_private_alloc().
 * @old:   its size in bytes, as it was asked for; not used if @ptr is NULL.
 * @new:   the size that it is to have, in bytes, not 0.
 * @gfp:   how the arena may grow, see arena_alloc(). With __GFP_ZERO, the bytes that the object
 *	gains are zeroed.
 *
 * Where arena_private_resize() fails, the object is copied, and the old object remains until the
 * next reset, or rewind to a mark that is older than it. A copy is aligned to %ARENA_MIN_ALIGN.
 *
 * Context: Any that @gfp fits; the caller is the owner.
 * Return: The object; NULL, with the old object unchanged, for a bad argument or if there is no
 * memory.
 */
void *arena_private_realloc(struct arena_private *arena, void *ptr, size_t old, size_t new,
			    gfp_t gfp)
{
	void *object = ptr;

	if (!ptr || !arena_private_resize(arena, ptr, old, new)) {
		object = arena_private_alloc(arena, new, gfp);
		if (object && ptr)
			memcpy(object, ptr, old);
	} else if (new > old && gfp & __GFP_ZERO) {
		memset(object + old, 0, new - old);
	}
	return object;
}
EXPORT_SYMBOL_GPL(arena_private_realloc);

/**
 * arena_private_add_action() - Call a function when what is allocated now is freed (clause 27).
 * @arena: the arena, not NULL.
 * @fn:	   the function, not NULL.
 * @data:  its argument; may be an object of the arena.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * An action takes 24 bytes of the arena. @fn is called once: by the next reset, by the next rewind
 * to a mark that is older than the action, or when the arena is destroyed. Of several actions that
 * end together, the one that was added last is called first; their objects are intact until all of
 * them have returned. @fn runs in the context of the reset, rewind or destruction. It may use the
 * objects that are freed with it, and must not use the arena in any other way.
 *
 * Context: Any that @gfp fits; the caller is the owner.
 * Return: 0; or, with nothing changed and @fn not called, -ENOMEM; -EINVAL, with a warning, if @fn
 * is NULL.
 */
int arena_private_add_action(struct arena_private *arena, void (*fn)(void *data), void *data,
			     gfp_t gfp)
{
	struct arena_private_action *action;

	if (WARN_ON_ONCE(!fn))
		return -EINVAL;
	action = arena_private_alloc(arena, sizeof(*action), gfp);
	if (!action)
		return -ENOMEM;
	*action = (struct arena_private_action) { arena->actions, fn, data };
	arena->actions = action;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_private_add_action);

/**
 * arena_private_add_action_or_run() - Add an action, or call the function at once if that fails.
 * @arena: the arena, not NULL.
 * @fn:	   the function, not NULL.
 * @data:  its argument.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits; the caller is the owner.
 * Return: 0; or the error of arena_private_add_action(), and @fn was called unless it is NULL.
 */
int arena_private_add_action_or_run(struct arena_private *arena, void (*fn)(void *data),
				    void *data, gfp_t gfp)
{
	int err = arena_private_add_action(arena, fn, data, gfp);

	if (err && fn)
		fn(data);
	return err;
}
EXPORT_SYMBOL_GPL(arena_private_add_action_or_run);

/* Move the chunks that are newer than @chunk to the list of spare chunks. */
static void unwind_to(struct arena_private *arena, struct arena_chunk *chunk)
{
	while (arena->chunks != chunk) {
		struct arena_chunk *top = arena->chunks;

		arena->chunks = top->below;
		top->below = arena->spare;
		arena->spare = top;
		arena_shadow_poison(top->data, chunk_end(top), ARENA_POISON_FREED);
	}
	arena->end = chunk ? chunk_end(chunk) : arena->first + arena->first_size;
}

/* With KASAN or KMSAN, poison what is in the chunks that a reset keeps. */
static void chunks_poison(struct arena_chunk *chunk)
{
	for (; ARENA_SHADOW && chunk; chunk = chunk->below)
		arena_shadow_poison(chunk->data, chunk_end(chunk), ARENA_POISON_FREED);
}

/**
 * arena_private_reset() - Free all objects of a private arena, keep its memory.
 * @arena: the arena, not NULL.
 *
 * The call ends all marks. It runs the actions first; apart from them it takes constant time. An
 * arena that a reset of its parent made void can be used again.
 *
 * Context: Any; the caller is the owner.
 */
void arena_private_reset(struct arena_private *arena)
{
	if (!is_owner(arena))
		return;
	if (chunks_are_lost(arena))
		chunks_forget(arena);
	actions_run(arena, NULL);
	chunks_poison(arena->chunks);
	if (arena->chunks) {
		arena->oldest->below = arena->spare;
		arena->spare = arena->chunks;
		arena->chunks = NULL;
	}
	arena->pos = arena->first;
	arena->end = arena->first + arena->first_size;
	arena_shadow_poison(arena->pos, arena->end, ARENA_POISON_FREED);
	arena->used = 0;
	arena->depth = 0;
	arena->generation++;
}
EXPORT_SYMBOL_GPL(arena_private_reset);

/**
 * arena_private_trim() - Give back the memory that resets and rewinds kept.
 * @arena: the arena, not NULL. Nothing happens if arena_private_init_in() has made it.
 *
 * Context: Any but NMI; the caller is the owner. Does not sleep.
 */
void arena_private_trim(struct arena_private *arena)
{
	if (has_parent(arena))
		return;
	chunks_free(arena, arena->spare);
	arena->spare = NULL;
}
EXPORT_SYMBOL_GPL(arena_private_trim);

/**
 * arena_private_mark() - Remember where a private arena stands (clause 12).
 * @arena: the arena, not NULL.
 *
 * Marks nest. If %ARENA_PRIVATE_MARKS marks are open already, the arena cannot be rewound to the
 * new mark: objects allocated since then stay until a rewind to an outer mark, or a reset.
 *
 * Context: Any; the caller is the owner.
 * Return: The mark. It ends when the caller passes it or an outer mark to arena_private_unmark(),
 * rewinds to an outer mark, or resets the arena.
 */
struct arena_private_mark arena_private_mark(struct arena_private *arena)
{
	struct arena_private_mark mark = {
		.arena	= arena,
		.chunk	= arena->chunks,
		.pos	= arena->pos,
		.used	= arena->used,
		.actions = arena->actions,
		.serial	= ++arena->serial,
		.level	= arena->depth,
	};

	if (arena->depth < ARENA_PRIVATE_MARKS)
		arena->open[arena->depth++] = mark.serial;
	return mark;
}
EXPORT_SYMBOL_GPL(arena_private_mark);

static bool mark_is_open(const struct arena_private *arena, const struct arena_private_mark *mark)
{
	return mark->arena == arena && mark->level < arena->depth &&
	       arena->open[mark->level] == mark->serial;
}

/**
 * arena_private_rewind() - Free all objects allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_private_mark(). It stays open; marks that were taken after it end.
 *
 * Context: Any; the caller is the owner.
 * Return: 0; -ESTALE with nothing changed if the mark has ended, was nested too deep, or belongs
 * to another arena, or if the arena is void, see arena_private_init_in().
 */
int arena_private_rewind(struct arena_private *arena, const struct arena_private_mark *mark)
{
	if (!mark_is_open(arena, mark) || chunks_are_lost(arena))
		return -ESTALE;
	actions_run(arena, mark->actions);
	unwind_to(arena, mark->chunk);
	arena->pos = mark->pos;
	arena_shadow_poison(arena->pos, arena->end, ARENA_POISON_FREED);
	arena->used = mark->used;
	arena->depth = mark->level + 1;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_private_rewind);

/**
 * arena_private_unmark() - End a mark, and the marks taken after it; frees nothing (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_private_mark(); nothing happens if it has ended.
 *
 * Context: Any; the caller is the owner.
 */
void arena_private_unmark(struct arena_private *arena, const struct arena_private_mark *mark)
{
	if (mark_is_open(arena, mark))
		arena->depth = mark->level;
}
EXPORT_SYMBOL_GPL(arena_private_unmark);

/**
 * arena_scratch_end() - End a scope of arena_scratch(): rewind to its mark, and end the mark.
 * @scratch: filled in by arena_scratch() at the start of the block.
 *
 * Context: Any; the caller is the owner.
 */
void arena_scratch_end(const struct arena_scratch *scratch)
{
	arena_private_rewind(scratch->arena, &scratch->mark);
	arena_private_unmark(scratch->arena, &scratch->mark);
}
EXPORT_SYMBOL_GPL(arena_scratch_end);
