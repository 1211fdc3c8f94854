/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private arenas: one owner, no atomics, nothing per CPU.
 *
 * Best suited for scratch memory of one call chain, and for objects that hang
 * off one other object. Embedded in a struct or on the stack, and with a first
 * buffer there, an arena costs no allocation until that is full.
 *
 * Limitations: calls on one arena must not run at the same time, nor interrupt
 * each other; the caller sees to that. There are no handles and no offsets,
 * and memory of an object is at most %ARENA_SLAB_MAX less a page.
 *
 * All functions but init, adopt and destroy may be called in any context that
 * their gfp flags fit, by the owner.
 */
#ifndef _LINUX_ARENA_PRIVATE_H
#define _LINUX_ARENA_PRIVATE_H

#include <linux/align.h>
#include <linux/arena.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/string.h>

struct arena_chunk;
struct task_struct;

/** ARENA_PRIVATE_MARKS - how deep marks of a private arena nest. */
#define ARENA_PRIVATE_MARKS	16

/**
 * struct arena_private - a private arena. The fields are not the caller's.
 * @pos:	first free byte.
 * @end:	end of the chunk that @pos is in.
 * @used:	bytes handed out since the last reset, without padding.
 * @generation:	grows at every reset.
 * @chunks:	chunks in use, the newest first; none while the first buffer lasts.
 * @oldest:	the oldest of them, if there are any.
 * @spare:	chunks kept by a reset or a rewind.
 * @first:	the first buffer, or NULL.
 * @first_size:	its size in bytes.
 * @depth:	marks that are open.
 * @serial:	of the last mark.
 * @open:	serials of the open ones.
 * @owner:	whom debug builds hold to be the owner.
 */
struct arena_private {
	char			*pos;
	char			*end;
	size_t			used;
	u64			generation;
	struct arena_chunk	*chunks;
	struct arena_chunk	*oldest;
	struct arena_chunk	*spare;
	char			*first;
	size_t			first_size;
	unsigned int		depth;
	u64			serial;
	u64			open[ARENA_PRIVATE_MARKS];
#ifdef CONFIG_ARENA_DEBUG
	struct task_struct	*owner;
#endif
};

/**
 * struct arena_private_mark - where a private arena stood.
 * @arena:	which one.
 * @chunk:	newest chunk then.
 * @pos:	first free byte then.
 * @used:	bytes handed out then.
 * @serial:	which mark.
 * @level:	how many marks it is inside of.
 */
struct arena_private_mark {
	struct arena_private	*arena;
	struct arena_chunk	*chunk;
	char			*pos;
	size_t			used;
	u64			serial;
	unsigned int		level;
};

void arena_private_init(struct arena_private *arena, void *buffer, size_t size);
void arena_private_destroy(struct arena_private *arena);
void *__arena_private_alloc(struct arena_private *arena, size_t size, size_t align, gfp_t gfp)
	__malloc;
void arena_private_reset(struct arena_private *arena);
void arena_private_trim(struct arena_private *arena);
int arena_private_rewind(struct arena_private *arena, const struct arena_private_mark *mark);

#ifdef CONFIG_ARENA_DEBUG
bool arena_private_owned(const struct arena_private *arena);
void arena_private_adopt(struct arena_private *arena);
#else
static inline bool arena_private_owned(const struct arena_private *arena)
{
	return true;
}

/**
 * arena_private_adopt() - Become the owner of a private arena.
 * @arena: the arena, not NULL. Nobody else uses it any more.
 *
 * Does something in debug builds (CONFIG_ARENA_DEBUG) only: these warn once when
 * a task other than the owner uses the arena.
 */
static inline void arena_private_adopt(struct arena_private *arena)
{
}
#endif

/**
 * arena_private_alloc() - Take memory for one object of a private arena.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0.
 * @gfp:   how the arena may grow, as for arena_alloc().
 *
 * Context: Any that @gfp fits, but NMI never grows; the caller is the owner.
 * Return: The object, aligned to %ARENA_MIN_ALIGN; NULL with nothing changed.
 */
static __always_inline void *arena_private_alloc(struct arena_private *arena, size_t size,
						 gfp_t gfp)
{
	char *object = arena->pos;
	size_t need = ALIGN(size, ARENA_MIN_ALIGN);

	__arena_might_alloc(gfp);
	/* Size 0, and one that wraps, are refused behind the call. */
	if (unlikely(need - 1 >= (size_t)(arena->end - object)))
		return __arena_private_alloc(arena, size, ARENA_MIN_ALIGN, gfp);
	if (unlikely(!arena_private_owned(arena)))
		return NULL;
	arena->pos = object + need;
	arena->used += size;
	if (want_init_on_alloc(gfp))
		memset(object, 0, size);
	return object;
}

/**
 * arena_private_offset() - How many bytes have been handed out since the last reset.
 * @arena: the arena, not NULL.
 *
 * Return: Bytes, without padding (clause 7).
 */
static inline size_t arena_private_offset(const struct arena_private *arena)
{
	return arena->used;
}

struct arena_private_mark arena_private_mark(struct arena_private *arena);
void arena_private_unmark(struct arena_private *arena, const struct arena_private_mark *mark);

/* What arena_scratch() keeps. */
struct arena_scratch {
	struct arena_private		*arena;
	struct arena_private_mark	mark;
};

void arena_scratch_end(const struct arena_scratch *scratch);

DEFINE_CLASS(arena_scratch, struct arena_scratch, arena_scratch_end(&_T),
	     ((struct arena_scratch) { arena, arena_private_mark(arena) }),
	     struct arena_private *arena)

/**
 * arena_scratch() - Free at the end of the block what is allocated from here on.
 * @arena: a private arena, not NULL.
 *
 * Scopes nest. Nothing allocated inside may be used outside.
 */
#define arena_scratch(arena)	\
	CLASS(arena_scratch, __UNIQUE_ID(scratch))(arena)

DEFINE_FREE(arena_private_destroy, struct arena_private *, if (_T) arena_private_destroy(_T))

#endif /* _LINUX_ARENA_PRIVATE_H */
