/* SPDX-License-Identifier: GPL-2.0 */
/**
 * DOC: Private arenas
 *
 * Private arenas: only one task or interrupt at a time, the owner, uses such an arena, so it needs
 * no atomics and keeps nothing per CPU.
 *
 * Best suited for scratch memory of one call chain, and for objects that belong to one other
 * object. A struct arena_private is embedded in another struct, or lies on the stack. If the owner
 * gives the arena a first buffer, the arena allocates no memory until that buffer is full; then it
 * grows by chunks, which are blocks of pages, or objects of a shared arena
 * (arena_private_init_in()).
 *
 * Limitations: calls on one arena must not run at the same time, nor interrupt each other, which
 * the callers ensure. There are no handles and no offsets. An object has 1 byte to %ARENA_SLAB_MAX
 * (2 MiB) less a page, and is aligned to %ARENA_MIN_ALIGN, or by __arena_private_alloc() to a power
 * of two up to %PAGE_SIZE. At most %ARENA_PRIVATE_MARKS marks can be open inside each other.
 *
 * With KASAN, the first buffer is poisoned but for the objects in it: destroy the arena before any
 * other code uses the buffer, also if the buffer lies on the stack.
 *
 * The owner may allocate in any context that the gfp flags fit; mark, rewind and reset in any
 * context; and give memory back (destroy, trim) in any context but NMI.
 */
#ifndef _LINUX_ARENA_PRIVATE_H
#define _LINUX_ARENA_PRIVATE_H

#include <linux/align.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/string.h>
#ifndef ARENA_PRIVATE_ALONE
#include <linux/arena.h>
#else
/*
 * Alone in a module of your own: a module that must not depend on the arena module can carry
 * private arenas inside itself. Copy this file and module/private.c, and no other file, into the
 * folder of the module, include "arena_private.h" where arenas are used, and add these lines to the
 * Kbuild of the module, where NAME is its name, with _ for each character that no C name can have:
 *
 *	NAME-y += private.o
 *	ccflags-y += -DARENA_PRIVATE_ALONE=NAME
 *
 * The copy exports no symbol, and the preprocessor appends NAME to the names of its functions. So
 * any number of such modules, and the arena module, can be loaded together or built into one
 * kernel. selftests/alone is an example. What differs:
 *  - there is no arena_private_init_in(), and linux/arena_buf.h cannot use such an arena;
 *  - chunks come from kmalloc(). They do not enter the pool of the arena module, nor count for its
 *    limits, and other code must not take references to their pages;
 *  - KASAN and KMSAN see a chunk as one object, and memory allocation profiling counts all chunks
 *    of the module for one line of private.c.
 * Files of such a module must not include linux/arena.h.
 */
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/types.h>

#ifndef CONFIG_64BIT
#error "Arenas need a kernel of 64 bits."
#endif

/* What linux/arena.h defines otherwise. */
#define ARENA_MIN_ALIGN		sizeof(u64)
#define ARENA_SLAB_MAX		SZ_2M
#define ARENA_NOGROW		((__force gfp_t)0)
#define __arena_counted(call)	(call)

static __always_inline void __arena_might_alloc(gfp_t gfp)
{
#if defined(CONFIG_DEBUG_ATOMIC_SLEEP) || defined(CONFIG_LOCKDEP)
	might_alloc(gfp);
#endif
}

/* Each function that is not static, as no two copies in one kernel may define the same symbol. */
#define __arena_alone(name)		__PASTE(name##_, ARENA_PRIVATE_ALONE)
#define arena_private_init_noprof	__arena_alone(arena_private_init_noprof)
#define arena_private_init_charged_noprof __arena_alone(arena_private_init_charged_noprof)
#define arena_private_destroy		__arena_alone(arena_private_destroy)
#define __arena_private_alloc		__arena_alone(__arena_private_alloc)
#define arena_private_resize		__arena_alone(arena_private_resize)
#define arena_private_free_last		__arena_alone(arena_private_free_last)
#define arena_private_realloc		__arena_alone(arena_private_realloc)
#define arena_private_add_action	__arena_alone(arena_private_add_action)
#define arena_private_add_action_or_run	__arena_alone(arena_private_add_action_or_run)
#define arena_private_reset		__arena_alone(arena_private_reset)
#define arena_private_trim		__arena_alone(arena_private_trim)
#define arena_private_mark		__arena_alone(arena_private_mark)
#define arena_private_rewind		__arena_alone(arena_private_rewind)
#define arena_private_unmark		__arena_alone(arena_private_unmark)
#define arena_private_owned		__arena_alone(arena_private_owned)
#define arena_private_adopt		__arena_alone(arena_private_adopt)
#define arena_scratch_end		__arena_alone(arena_scratch_end)
#endif /* ARENA_PRIVATE_ALONE */

struct alloc_tag;
struct arena_chunk;
struct arena_private_action;
struct mem_cgroup;
struct task_struct;

/** ARENA_PRIVATE_MARKS - how many marks of a private arena can be open at once. */
#define ARENA_PRIVATE_MARKS	16

/**
 * struct arena_private - a private arena; callers do not use its members.
 * @pos:	first free byte.
 * @end:	end of the memory that @pos is in: the newest chunk, or the first buffer.
 * @used:	bytes of objects that no reset or rewind has freed, without padding.
 * @generation:	grows with every reset.
 * @chunks:	chunks in use, the newest first; NULL while no chunk is in use.
 * @oldest:	the oldest chunk in use; valid while @chunks is not NULL.
 * @spare:	chunks that a reset or a rewind has kept.
 * @first:	start of the first buffer, aligned; or NULL.
 * @first_size:	bytes of the first buffer that can be handed out.
 * @depth:	number of open marks: those that can still be rewound to.
 * @serial:	number of marks made so far, which is the serial of the newest one.
 * @open:	serials of the open marks.
 * @actions:	the actions that arena_private_add_action() has added, the last one first.
 * @parent:	the shared arena that chunks are taken from; or NULL.
 * @newest:	handle of the chunk that was taken from @parent last.
 * @memcg:	the memory cgroup that chunks are charged to; or NULL.
 * @charged:	the arena was made by arena_private_init_charged().
 * @tag:	the line of code that memory allocation profiling counts chunks for.
 * @owner:	with CONFIG_ARENA_DEBUG: the task that last initialised or adopted the arena.
 *
 * An arena whose bytes are all zero is like one that arena_private_init() has made without a first
 * buffer. So a local variable can have the initializer { }, and a struct from kzalloc() needs no
 * call. With CONFIG_ARENA_DEBUG its owner is not checked until arena_private_adopt().
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
	struct arena_private_action *actions;
#ifndef ARENA_PRIVATE_ALONE
	struct arena		*parent;
	arena_handle_t		newest;
#endif
	struct mem_cgroup	*memcg;
	bool			charged;
#ifdef CONFIG_MEM_ALLOC_PROFILING
	struct alloc_tag	*tag;
#endif
#ifdef CONFIG_ARENA_DEBUG
	struct task_struct	*owner;
#endif
};

/**
 * struct arena_private_mark - where a private arena stood, see arena_private_mark().
 * @arena:	the arena.
 * @chunk:	the newest chunk of the arena at that time.
 * @pos:	the first free byte at that time.
 * @used:	bytes of objects at that time.
 * @actions:	the newest action at that time.
 * @serial:	number of the mark in the order of creation; no other mark of the arena has it.
 * @level:	number of marks that were open when this one was made.
 */
struct arena_private_mark {
	struct arena_private	*arena;
	struct arena_chunk	*chunk;
	char			*pos;
	size_t			used;
	struct arena_private_action *actions;
	u64			serial;
	unsigned int		level;
};

void arena_private_init_noprof(struct arena_private *arena, void *buffer, size_t size);
void arena_private_init_charged_noprof(struct arena_private *arena, void *buffer, size_t size);

/**
 * arena_private_init() - Make a private arena.
 * @arena:  where to make it: embedded in a struct, or on the stack.
 * @buffer: the first memory to hand out, or NULL. The arena does not free it.
 * @size:   size of @buffer, in bytes.
 *
 * Where @buffer is not aligned to %ARENA_MIN_ALIGN, or @size is no multiple of that, a few
 * bytes at its start and end are not used.
 *
 * Context: Any. The caller becomes the owner.
 */
#define arena_private_init(arena, buffer, size)					\
	((void)__arena_counted((arena_private_init_noprof(arena, buffer, size), 0)))

/**
 * arena_private_init_charged() - Make a private arena that charges a memory cgroup (clause 21).
 * @arena:  where to make it.
 * @buffer: the first memory to hand out, or NULL.
 * @size:   size of @buffer, in bytes.
 *
 * Like arena_private_init(), but the chunks of the arena are charged to the memory cgroup of the
 * calling task, whichever task is the owner when the arena grows, and never enter the pool. The
 * owner must call arena_private_destroy() even if nothing was allocated.
 *
 * Context: Task. The caller becomes the owner.
 */
#define arena_private_init_charged(arena, buffer, size)				\
	((void)__arena_counted((arena_private_init_charged_noprof(arena, buffer, size), 0)))

#ifndef ARENA_PRIVATE_ALONE
int arena_private_init_in(struct arena_private *arena, struct arena *parent, void *buffer,
			  size_t size) __must_check;
#endif
void arena_private_destroy(struct arena_private *arena);
void *__arena_private_alloc(struct arena_private *arena, size_t size, size_t align,
			    gfp_t gfp) __alloc_size(2) __must_check;
void *arena_private_resize(struct arena_private *arena, void *ptr, size_t old,
			   size_t new) __realloc_size(4) __must_check;
bool arena_private_free_last(struct arena_private *arena, void *ptr, size_t size);
void *arena_private_realloc(struct arena_private *arena, void *ptr, size_t old, size_t new,
			    gfp_t gfp) __realloc_size(4) __must_check;
int arena_private_add_action(struct arena_private *arena, void (*fn)(void *data), void *data,
			     gfp_t gfp) __must_check;
int arena_private_add_action_or_run(struct arena_private *arena, void (*fn)(void *data),
				    void *data, gfp_t gfp) __must_check;
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
 * @arena: the arena, not NULL. The former owner must not use the arena any more.
 *
 * Has an effect in debug builds (CONFIG_ARENA_DEBUG) only: these warn once when a task other
 * than the owner uses the arena.
 *
 * Context: Task; the caller excludes all other users.
 */
static inline void arena_private_adopt(struct arena_private *arena)
{
}
#endif

/**
 * arena_private_alloc() - Take memory for one object of a private arena.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most %ARENA_SLAB_MAX less a page.
 * @gfp:   how the arena may grow, see arena_alloc(); with __GFP_ZERO the object is zeroed.
 *
 * The compiler does not know the size of an object that the inlined fast path returns: inlining
 * drops the attributes of this function, and the fast path calls no function with __alloc_size().
 *
 * Context: Any that @gfp fits, but an arena never grows in NMI; the caller is the owner. Takes
 * no lock.
 * Return: The object, aligned to %ARENA_MIN_ALIGN; NULL with nothing changed for a bad argument,
 * or if there is no memory.
 */
static __always_inline __alloc_size(2) __must_check
void *arena_private_alloc(struct arena_private *arena, size_t size, gfp_t gfp)
{
	char *object = arena->pos;
	size_t need = ALIGN(size, ARENA_MIN_ALIGN);

	__arena_might_alloc(gfp);
	/*
	 * If @size is 0, or so large that ALIGN() has wrapped to 0, @need - 1 is SIZE_MAX: this
	 * calls __arena_private_alloc(), which refuses both sizes.
	 */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC) ||
	    unlikely(need - 1 >= (size_t)(arena->end - object)))
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
 * arena_private_offset() - How many bytes are handed out.
 * @arena: the arena, not NULL.
 *
 * Context: Any; the caller is the owner.
 * Return: Bytes of objects that no reset or rewind has freed, without padding (clause 7).
 */
static inline size_t arena_private_offset(const struct arena_private *arena)
{
	return arena->used;
}

struct arena_private_mark arena_private_mark(struct arena_private *arena);
void arena_private_unmark(struct arena_private *arena, const struct arena_private_mark *mark);

/*
 * The variable that arena_scratch() defines: the arena that the end of the block rewinds, and the
 * mark to rewind it to.
 */
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
 * The rest of the block is a scope. At most %ARENA_PRIVATE_MARKS scopes can nest. Objects allocated
 * inside a scope must not be used after its end (clause 12).
 *
 * Context: Any; the caller is the owner.
 */
#define arena_scratch(arena)	\
	CLASS(arena_scratch, __UNIQUE_ID(scratch))(arena)

DEFINE_FREE(arena_private_destroy, struct arena_private *, if (_T) arena_private_destroy(_T))

#endif /* _LINUX_ARENA_PRIVATE_H */
