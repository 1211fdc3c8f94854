/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In-kernel arenas: many objects, one lifetime, one reset.
 *
 * An arena is a linear space [0, capacity) that hands out memory by bumping a
 * cursor and takes everything back in one step.
 *
 * Best suited for
 *  - many small objects that die together: a parsed request, a trace record,
 *    a table that is rebuilt as a whole;
 *  - contexts in which the page allocator is not dependable: memory committed
 *    beforehand (arena_populate()) is handed out without a lock, in any
 *    context, NMI included.
 *
 * Limitations
 *  - single objects are not freed; a reset frees them all;
 *  - memory is not for kfree(), and objects larger than a slab are not for
 *    virt_to_page();
 *  - a pointer dies at the next reset, and nothing tells the one who holds it.
 *
 * Which call may run against which, for one arena (shared ones; "any" is task,
 * softirq, hardirq and NMI):
 *
 *  =====================  ==========  =====  =============  =====  =======
 *  call                   context     alloc  offset, stats  reset  destroy
 *  =====================  ==========  =====  =============  =====  =======
 *  arena_alloc and kin    any [1]     yes    yes            yes    no
 *  arena_offset, _high    any         yes    yes            yes    no
 *  arena_stats            any         yes    yes            yes    no
 *  arena_populate         task        yes    yes            yes    no
 *  arena_reset            not NMI     yes    yes            yes    no
 *  arena_reset_rcu        not NMI     yes    yes            yes    no
 *  arena_reset_release    task        yes    yes            yes    no
 *  arena_reset_zero       task        yes    yes            yes    no
 *  arena_reserve          as gfp      yes    yes            yes    no
 *  arena_reserve_alloc    any         yes    yes            yes    no
 *  arena_deref, _handle   any         yes    yes            yes    no
 *  arena_mark, _rewind    not NMI     yes    yes            yes    no
 *  arena_get              any         yes    yes            yes    [2]
 *  arena_put              task        yes    yes            yes    [2]
 *  arena_destroy          task        no     no             no     no
 *  =====================  ==========  =====  =============  =====  =======
 *
 *  [1] with the gfp flags that the context allows; NMI never grows an arena.
 *
 *  [2] the last put destroys: nobody may be in the middle of another call then.
 *
 * "alloc against reset" is safe for the allocator, not for the object: it
 * belongs to the generation before or after, and may be dead on arrival.
 */
#ifndef _LINUX_ARENA_H
#define _LINUX_ARENA_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/types.h>

#ifndef CONFIG_64BIT
#error "Arenas need a kernel of 64 bits."
#endif

struct arena;
struct device;

/**
 * DOC: arena flags
 *
 * %ARENA_SPANS: give every CPU a stretch of the space to bump in alone, so that
 * CPUs do not share a cache line. Costs memory per CPU; the order of offsets
 * is no longer the order of allocation, and a full arena may leave tails
 * behind (clause 16). Without it the arena is dense.
 *
 * %ARENA_ON_NODE: take memory from &arena_config.node rather than from the node
 * of the CPU that grows the arena.
 *
 * %ARENA_ACCOUNT: charge memory to the memory cgroup of the creating task,
 * whoever triggers the growth. Charged slabs never enter the shared pool.
 *
 * %ARENA_ZERO: every object is zero when handed out, as if each call had
 * __GFP_ZERO.
 *
 * %ARENA_READERS: arena_reset_rcu() will be used. Where it is used, it
 * costs a second set of slabs.
 */
#define ARENA_SPANS		BIT(0)
#define ARENA_ON_NODE		BIT(1)
#define ARENA_ACCOUNT		BIT(2)
#define ARENA_ZERO		BIT(3)
#define ARENA_READERS		BIT(4)

/**
 * ARENA_MIN_ALIGN - alignment, in bytes, of what arena_alloc() returns: 8 everywhere.
 *
 * That is all, whatever the size: kmalloc() aligns an object whose size is a power of two
 * to that size, and an arena does not. arena_alloc_aligned() asks for more, and arena_new()
 * for what a type needs. Objects share cache lines, also where
 * ARCH_DMA_MINALIGN is larger, so none of them is for DMA (clause 1).
 */
#define ARENA_MIN_ALIGN		sizeof(u64)

/** ARENA_SLAB_MAX - the largest slab, in bytes. */
#define ARENA_SLAB_MAX		SZ_2M

/**
 * ARENA_NOGROW - gfp argument: use committed memory or fail, never allocate.
 */
#define ARENA_NOGROW		((__force gfp_t)0)

/**
 * struct arena_config - what arena_create() makes.
 * @name:	for humans (debugfs, traces); copied, may be NULL.
 * @capacity:	size of the space in bytes, not 0, at most arena_capacity_max().
 * @slab_size:	bytes that one slab backs: a power of two, at least %PAGE_SIZE,
 *		at most %ARENA_SLAB_MAX; 0 picks one that suits the capacity.
 * @node:	NUMA node, meaningful with %ARENA_ON_NODE.
 * @flags:	ARENA_* flags; unknown ones are refused.
 */
struct arena_config {
	const char	*name;
	size_t		capacity;
	size_t		slab_size;
	int		node;
	unsigned int	flags;
};

/**
 * struct arena_stats - what an arena did so far (clause 8).
 * @generation:	 the current generation; grows at every reset.
 * @capacity:	 bytes in all.
 * @used:	 bytes handed out in this generation, see arena_offset().
 * @padding:	 bytes lost to alignment, slab tails and span tails.
 * @free:	 bytes not handed out; used + padding + free == capacity when
 *		 quiet (clause 7).
 * @high:	 no object ends above this offset.
 * @peak:	 the highest @high of any generation, bytes.
 * @committed:	 bytes of slabs held now.
 * @committed_peak: the most bytes of slabs ever held.
 * @slab_size:	 bytes in one slab.
 * @slabs:	 slabs held now.
 * @slabs_kept:	 slabs that the last reset kept.
 * @resets:	 resets of any kind.
 * @allocs:	 successful allocations since creation.
 * @fail_space:	 failures for want of space.
 * @fail_memory: failures for want of memory.
 * @fail_arg:	 failures for a bad argument.
 * @page_allocs: slabs taken from the page allocator.
 * @page_frees:	 slabs given back to the page allocator.
 * @pool_hits:	 slabs taken from the pool of retired ones instead.
 */
struct arena_stats {
	u64	generation;
	size_t	capacity;
	size_t	used;
	size_t	padding;
	size_t	free;
	size_t	high;
	size_t	peak;
	size_t	committed;
	size_t	committed_peak;
	size_t	slab_size;
	size_t	slabs;
	size_t	slabs_kept;
	u64	resets;
	u64	allocs;
	u64	fail_space;
	u64	fail_memory;
	u64	fail_arg;
	u64	page_allocs;
	u64	page_frees;
	u64	pool_hits;
};

struct arena *arena_create(const struct arena_config *config);
struct arena *devm_arena_create(struct device *dev, const struct arena_config *config);
struct arena *arena_get(struct arena *arena);
void arena_put(struct arena *arena);
void arena_destroy(struct arena *arena);

/* Of a program, by its descriptor; @rights are ARENA_RIGHT_* of the ioctl interface. */
struct arena *arena_get_from_fd(int fd, u32 rights);
void arena_unhold(struct arena *arena);
void arena_notify(struct arena *arena);

DEFINE_FREE(arena_put, struct arena *, if (!IS_ERR_OR_NULL(_T)) arena_put(_T))

void *__arena_alloc(struct arena *arena, size_t size, gfp_t gfp) __malloc;
void *__arena_alloc_aligned(struct arena *arena, size_t size, size_t align,
			    gfp_t gfp) __malloc;
void *__arena_alloc_words(struct arena *arena, size_t size) __malloc;
void *__arena_alloc_more(struct arena *arena, size_t size, gfp_t gfp) __malloc;

/*
 * Debug kernels check on every call that the context fits @gfp, and not only on the call
 * that grows the arena. On others might_alloc() may still be a preemption point.
 */
static __always_inline void __arena_might_alloc(gfp_t gfp)
{
#if defined(CONFIG_DEBUG_ATOMIC_SLEEP) || defined(CONFIG_LOCKDEP)
	might_alloc(gfp);
#endif
}

/*
 * What is known to the compiler to need no padding and no zeroing asks the fast path
 * at once; gfp flags matter only where that says no.
 */
#define ARENA_WORD		8
#define ARENA_WORDS_MAX		SZ_4K

static __always_inline bool __arena_is_words(size_t size, size_t align, gfp_t gfp)
{
	return __builtin_constant_p(size) && size && size <= ARENA_WORDS_MAX &&
	       size % ARENA_WORD == 0 && align <= ARENA_MIN_ALIGN &&
	       __builtin_constant_p(gfp & __GFP_ZERO) && !(gfp & __GFP_ZERO);
}

/**
 * arena_alloc() - Take memory for one object.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow: %ARENA_NOGROW to use only committed memory,
 *	   GFP_NOWAIT or GFP_ATOMIC where sleeping is not allowed, GFP_KERNEL.
 *	   With __GFP_ZERO the object is zeroed. What an arena cannot honour is warned
 *	   of once and ignored: __GFP_NOFAIL, __GFP_DMA, __GFP_DMA32, and __GFP_ACCOUNT
 *	   if the arena was created without %ARENA_ACCOUNT.
 *
 * The object is aligned to %ARENA_MIN_ALIGN, contiguous in kernel addresses, and
 * lives until the next reset (clauses 1, 2 and 10). Its contents are undefined
 * unless zeroing was asked for here or at creation (clause 6). Objects larger
 * than a slab need GFP_KERNEL and are not for virt_to_page().
 *
 * Context: Any that @gfp fits; in NMI, committed memory only. Takes no lock.
 * Sleeps only to grow, or to wait for a reset that sleeps.
 * Return: The object, or NULL with nothing changed: no space left, no memory,
 * or a bad argument (clauses 4 and 5). arena_stats() counts which.
 */
static __always_inline void *arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
{
	__arena_might_alloc(gfp);
	if (__arena_is_words(size, ARENA_MIN_ALIGN, gfp)) {
		void *object = __arena_alloc_words(arena, size);

		return likely(object) ? object : __arena_alloc_more(arena, size, gfp);
	}
	return __arena_alloc(arena, size, gfp);
}

/**
 * arena_zalloc() - Take zeroed memory for one object.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: As arena_alloc().
 * Return: The object, or NULL, as arena_alloc().
 */
static __always_inline void *arena_zalloc(struct arena *arena, size_t size, gfp_t gfp)
{
	__arena_might_alloc(gfp);
	return __arena_alloc(arena, size, gfp | __GFP_ZERO);
}

/**
 * arena_alloc_aligned() - Take memory for one object, aligned as asked.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @align: bytes, a power of two, at most the slab size; at most %PAGE_SIZE for
 *	   an object larger than a slab.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * In a dense arena an alignment below %ARENA_MIN_ALIGN packs objects tighter.
 *
 * Context: As arena_alloc().
 * Return: The object, or NULL, as arena_alloc().
 */
static __always_inline void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align,
						 gfp_t gfp)
{
	__arena_might_alloc(gfp);
	if (__builtin_constant_p(align) && align && !(align & (align - 1)) &&
	    __arena_is_words(size, align, gfp)) {
		void *object = __arena_alloc_words(arena, size);

		if (likely(object))
			return object;
		if (align == ARENA_MIN_ALIGN)
			return __arena_alloc_more(arena, size, gfp);
	}
	return __arena_alloc_aligned(arena, size, align, gfp);
}

int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp);

/* Copies and strings. */
void *arena_memdup(struct arena *arena, const void *src, size_t size, gfp_t gfp);
void *arena_memdup_aligned(struct arena *arena, const void *src, size_t size, size_t align,
			   gfp_t gfp);
char *arena_strdup(struct arena *arena, const char *s, gfp_t gfp);
char *arena_strndup(struct arena *arena, const char *s, size_t max, gfp_t gfp);
__printf(3, 0)
char *arena_vprintf(struct arena *arena, gfp_t gfp, const char *fmt, va_list args);
__printf(3, 4)
char *arena_printf(struct arena *arena, gfp_t gfp, const char *fmt, ...);

/**
 * arena_alloc_array() - Take memory for an array.
 * @arena: the arena, not NULL.
 * @n:	   elements.
 * @size:  bytes of each.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: As arena_alloc().
 * Return: The array, or NULL as arena_alloc(); a product that overflows is a bad
 * argument (clause 5).
 */
static inline void *arena_alloc_array(struct arena *arena, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		bytes = 0;
	return arena_alloc(arena, bytes, gfp);
}

/**
 * arena_new() - Take memory for one object of a type.
 * @arena: the arena, not NULL.
 * @T:	   the type.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: As arena_alloc().
 * Return: A pointer to @T, or NULL as arena_alloc().
 */
#define arena_new(arena, T, gfp)						\
	((typeof(T) *)arena_alloc_aligned(arena, sizeof(T), __alignof__(T), gfp))

/**
 * arena_store() - Copy a value into an arena.
 * @arena: the arena, not NULL.
 * @value: an lvalue or a literal, of a type that can be assigned.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: As arena_alloc().
 * Return: A pointer to the copy, of the type of @value, or NULL as arena_alloc().
 */
#define arena_store(arena, value, gfp)						\
({										\
	typeof(value) __stored = (value);					\
	(typeof(value) *)arena_memdup_aligned(arena, &__stored, sizeof(__stored), \
					      __alignof__(__stored), gfp);	\
})

/**
 * struct arena_reserve - memory set aside by arena_reserve().
 * @arena:	where.
 * @generation: in which.
 * @offset:	where in the space.
 * @base:	kernel address.
 * @size:	bytes.
 * @used:	bytes taken.
 *
 * The fields are not the caller's.
 */
struct arena_reserve {
	struct arena	*arena;
	unsigned long	generation;
	size_t		offset;
	void		*base;
	size_t		size;
	atomic_long_t	used;
};

int arena_reserve(struct arena *arena, struct arena_reserve *reserve, size_t nr, size_t size,
		  size_t align, gfp_t gfp);
void *arena_reserve_alloc(struct arena_reserve *reserve, size_t size, size_t align);

/**
 * struct arena_handle - the name of an object, in 16 bytes.
 * @generation: in which it lives; 0 in a handle that names nothing.
 * @offset:	where in the space.
 */
typedef struct arena_handle {
	u64	generation;
	u64	offset;
} arena_handle_t;

void *arena_alloc_handle(struct arena *arena, size_t size, gfp_t gfp, arena_handle_t *handle);
arena_handle_t arena_handle(const struct arena *arena, const void *ptr);
void *arena_deref(const struct arena *arena, arena_handle_t handle);

size_t arena_offset(const struct arena *arena);
size_t arena_high(const struct arena *arena);
size_t arena_capacity(const struct arena *arena);
size_t arena_capacity_max(void);
void arena_stats(const struct arena *arena, struct arena_stats *stats);

int arena_reset(struct arena *arena);
int arena_reset_rcu(struct arena *arena);
void arena_reset_release(struct arena *arena, size_t keep);
void arena_reset_zero(struct arena *arena);

/**
 * struct arena_mark - where a dense arena stood, see arena_mark().
 * @generation:	in which.
 * @offset:	of the cursor.
 * @used:	bytes handed out in objects below that.
 *
 * A plain value: any task may keep, copy and use it.
 */
struct arena_mark {
	u64	generation;
	size_t	offset;
	size_t	used;
};

int arena_mark(struct arena *arena, struct arena_mark *mark);
int arena_rewind(struct arena *arena, const struct arena_mark *mark);

/**
 * struct arena_scope - a block whose allocations go with it.
 * @arena: which one.
 * @mark:  where it began.
 */
struct arena_scope {
	struct arena		*arena;
	struct arena_mark	mark;
};

static inline struct arena_scope arena_scope_begin(struct arena *arena)
{
	struct arena_scope scope = { .arena = arena };

	arena_mark(arena, &scope.mark);
	return scope;
}

static inline void arena_scope_end(const struct arena_scope *scope)
{
	/* Where it fails, what was allocated stays until the next reset, or is gone already. */
	arena_rewind(scope->arena, &scope->mark);
}

DEFINE_CLASS(arena_scope, struct arena_scope, arena_scope_end(&_T), arena_scope_begin(arena),
	     struct arena *arena)

/**
 * arena_scope() - Free at the end of the block what is allocated from here on.
 * @arena: a shared arena without %ARENA_SPANS, not NULL.
 *
 * Marks the arena, and rewinds it where the block is left: what was allocated since is
 * gone, by other tasks, too (clause 12). Scopes nest. If the arena was reset in between,
 * or has spans, the end of the block does nothing. For private arenas there is
 * arena_scratch().
 *
 * Context: Any but NMI, see arena_mark() and arena_rewind().
 */
#define arena_scope(arena)	\
	CLASS(arena_scope, __UNIQUE_ID(scope))(arena)

/* Typed arenas, behind DEFINE_ARENA(). */
struct arena_typed;

struct arena_typed *arena_typed_create(const char *name, size_t size, u32 nr,
				       unsigned int flags);
void arena_typed_destroy(struct arena_typed *typed);
void *arena_typed_alloc(struct arena_typed *typed, const void *src);
long arena_typed_append(struct arena_typed *typed, const void *src, u32 nr);
void *arena_typed_at(const struct arena_typed *typed, size_t index);
void *arena_typed_next(const struct arena_typed *typed, size_t *index);
size_t arena_typed_len(const struct arena_typed *typed);
void arena_typed_free(struct arena_typed *typed, void *element);
int arena_typed_reset(struct arena_typed *typed);
const struct arena *arena_typed_arena(const struct arena_typed *typed);

/**
 * DEFINE_ARENA() - Define a type-safe arena of elements of one type.
 * @name: prefix of what is defined: struct @name and the functions below.
 * @type: any complete type of at most %ARENA_SLAB_MAX bytes.
 *
 * Typed arenas are dense and have room for exactly as many elements as they
 * were created for (clauses 14 to 16):
 *
 *  - name_create(nr), name_create_flags(nr, flags): without %ARENA_READERS in
 *    @flags, freed elements are reused at once and resets wait for nobody;
 *  - name_alloc(a, &value): a copy, or NULL;
 *  - name_append(a, values, n): the index of the first, or an errno; all or none;
 *  - name_at(a, i): the element, or NULL if it is not published;
 *  - name_next(a, &i), and arena_for_each(): the published elements in order;
 *  - name_len(a), name_offset(a): indices and bytes handed out;
 *  - name_free(a, element): to be reused by later allocations;
 *  - name_reset(a), name_destroy(a).
 *
 * Each is documented with the arena_typed function behind it. There is no
 * name_for_each(): it would have to be a macro, which a macro cannot define; so
 * arena_for_each() is told the name.
 */
#define DEFINE_ARENA(name, type)						\
struct name;									\
static inline struct name *name##_create_flags(u32 nr, unsigned int flags)	\
{										\
	return (struct name *)arena_typed_create(#name, sizeof(type), nr, flags); \
}										\
static inline struct name *name##_create(u32 nr)				\
{										\
	return name##_create_flags(nr, ARENA_READERS);				\
}										\
static inline void name##_destroy(struct name *a)				\
{										\
	arena_typed_destroy((struct arena_typed *)a);				\
}										\
static inline typeof(type) *name##_alloc(struct name *a, typeof(type) const *src) \
{										\
	return arena_typed_alloc((struct arena_typed *)a, src);			\
}										\
static inline long name##_append(struct name *a, typeof(type) const *src, u32 n) \
{										\
	return arena_typed_append((struct arena_typed *)a, src, n);		\
}										\
static inline typeof(type) *name##_at(const struct name *a, size_t i)		\
{										\
	return arena_typed_at((const struct arena_typed *)a, i);		\
}										\
static inline typeof(type) *name##_next(const struct name *a, size_t *i)	\
{										\
	return arena_typed_next((const struct arena_typed *)a, i);		\
}										\
static inline size_t name##_len(const struct name *a)				\
{										\
	return arena_typed_len((const struct arena_typed *)a);			\
}										\
static inline size_t name##_offset(const struct name *a)			\
{										\
	return arena_offset(arena_typed_arena((const struct arena_typed *)a));	\
}										\
static inline void name##_free(struct name *a, typeof(type) *element)		\
{										\
	arena_typed_free((struct arena_typed *)a, element);			\
}										\
static inline int name##_reset(struct name *a)					\
{										\
	return arena_typed_reset((struct arena_typed *)a);			\
}										\
struct name

/**
 * arena_for_each() - Visit the published elements of a typed arena.
 * @name: as in DEFINE_ARENA().
 * @a:	  the arena.
 * @i:	  a size_t: past the element visited.
 * @p:	  pointer to the element visited.
 */
#define arena_for_each(name, a, i, p)						\
	for ((i) = 0; ((p) = name##_next(a, &(i)));)

#endif /* _LINUX_ARENA_H */
