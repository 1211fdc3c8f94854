/* SPDX-License-Identifier: GPL-2.0 */
/**
 * DOC: In-kernel arenas
 *
 * Many objects, one lifetime, one reset: an arena is a linear space [0, capacity) that hands out
 * memory by moving a cursor and takes everything back in one step, a reset.
 *
 * "Clause N" means clause N of the contract, include/CONTRACT.md.
 *
 * Words, each with one meaning; module/README.md has
 * more of them:
 *
 *  - slab: a power-of-two block of pages that backs one stretch of the space; a slab is committed,
 *    that is, allocated and installed, when an allocation first needs it;
 *  - offset: bytes from the start of the space;
 *  - generation: what begins with each reset or rewind, and its number;
 *  - mark: a value that says where the arena stands; a rewind goes back there;
 *  - span: a stretch of one slab in which one CPU allocates alone (%ARENA_SPANS); an arena
 *    without spans is dense;
 *  - tail: the rest of a slab or span into which an object did not fit.
 *
 * Best suited for
 *
 *  - many small objects that die together: a parsed request, a trace record,
 *    a table that is rebuilt as a whole;
 *  - contexts in which the page allocator is not dependable: memory committed
 *    beforehand (arena_populate()) is handed out without a lock, in any
 *    context, NMI included.
 *
 * Limitations
 *
 *  - single objects are not freed; a reset frees them all;
 *  - memory is not for kfree(), and objects larger than a slab are not for
 *    virt_to_page(). Nor are smaller objects in a slab that is made of single pages: for these
 *    is_vmalloc_addr() is true, and vmalloc_to_page() finds the page. The arena makes such a slab
 *    if a caller with GFP_KERNEL grows it while memory is fragmented;
 *  - the next reset makes pointers stale. KASAN reports each use of a stale pointer, and the module
 *    parameter "debug" finds writes through them (below); arena_deref() recognises each stale
 *    handle.
 */

/**
 * DOC: KASAN and KMSAN
 *
 * Generic KASAN sees an arena as it sees kmalloc(), whether arenas are built in or a module
 * (clause 26). It reports each access of kernel code to memory that is no live object: beyond the
 * end of an object, to what is left of a reservation, or after a reset or rewind; after
 * arena_reset_rcu(), only once the readers are gone.
 *
 *  - A redzone of 16 bytes or more lies behind each object. It counts as padding: arena_offset()
 *    does not change, but fewer objects fit. With the module parameter kasan_redzones=0 there are
 *    no redzones, and bounds of objects are rounded to 8 bytes.
 *  - An object that arena_realloc() has copied remains accessible until the next reset.
 *  - Elements of typed arenas lie one after the other. If their size is no multiple of 8, the 8
 *    bytes that two elements share are poisoned only while both elements are.
 *  - Arenas of programs have no redzones, as programs see the offsets. A page that a program has
 *    mapped is never poisoned, because the kernel may access any byte of it for the program.
 *  - A reset or rewind takes time in proportion to what it frees, with preemption off.
 *  - The buffer of a private arena is poisoned until arena_private_destroy().
 *  - KASAN checks objects larger than a slab only with CONFIG_KASAN_VMALLOC; such an object is
 *    accessible until it is unmapped.
 *
 * The tag-based modes of KASAN see an arena as one block. KMSAN takes the contents of a new object
 * for uninitialized, unless the arena has zeroed or copied them or belongs to a program.
 */

/**
 * DOC: Writes behind objects and after resets
 *
 *  - The module parameter "debug" makes arenas find writes behind objects and after resets, on any
 *    kernel. Its value is a list of names, NAME[,NAME...], as in &arena_config.name; a * at the end
 *    of a name stands for anything. The parameter can be given when the module is loaded, and
 *    changed later in /sys/module/arena/parameters/debug: a new arena is then checked from its
 *    creation on, an existing arena from its next generation on, and an arena that the list no
 *    longer names until the end of its present generation.
 *  - A reset or rewind fills what it frees with 0x6b; an allocation fills an object that it does
 *    not zero with 0x5a; behind each object lies a redzone of 16 to 23 bytes 0xcc, but not beyond
 *    the end of the slab or the capacity. A redzone is checked when its object is freed: by a
 *    reset, after arena_reset_rcu() when the readers are gone, by a rewind below it, and when the
 *    arena is destroyed. Free memory is checked when the arena hands it out again, except after
 *    arena_reset_zero(), which fills memory with zeroes as always, and in slabs that were released
 *    in between, by a reset or under memory pressure (%ARENA_SHRINK).
 *  - Each finding is reported in two lines of the kernel's log, at level "error" and rate limited,
 *    with the return address of the allocating call, or of arena_buf_init(), and is counted in
 *    &arena_stats.findings and in debugfs. Nothing else happens: no warning, no taint.
 *  - A reservation has one redzone, behind all of it. Objects do not grow in place, and the bytes
 *    that a shrinking object loses become part of its redzone. Arenas of programs are never
 *    checked, as programs may write to them; nor are typed arenas, whose elements lie in an array,
 *    nor private arenas (linux/arena_private.h).
 *  - A checked arena takes 330 KB, for records of 8,192 objects of a generation; with
 *    %ARENA_READERS each of the two slab sets has half of the records. Redzones of further objects
 *    are not checked, which the kernel's log says once. Redzones count as padding. Each
 *    allocation takes the slow path, and each reset takes time linear in the objects and bytes that
 *    it frees, with preemption off; allocations that cannot sleep fail meanwhile. An arena that is
 *    not checked pays nothing.
 *  - On a kernel with KASAN, these checks work beside it: KASAN reports the instruction that
 *    accesses free memory or a redzone, and the checks find accesses that KASAN does not see, such
 *    as a write by a device.
 */

/**
 * DOC: Limits
 *
 *  - capacity: 1 byte to 1 TiB less one page, see arena_capacity_max();
 *  - slab size: a power of two from %PAGE_SIZE to 2 MiB (%ARENA_SLAB_MAX), or to the
 *    largest block of the page allocator where that is smaller. The default is 64 KiB, and
 *    2 MiB from a capacity of 1 GiB on, but no more than the capacity needs. Where no contiguous
 *    block of that size is free, callers with GFP_KERNEL get a slab of single pages, mapped by
 *    vmap(), and the others fail to grow the arena;
 *  - object size: 1 byte to the capacity. More than a slab needs GFP_KERNEL;
 *  - alignment: 8 bytes unless asked for otherwise; a power of two, at most the slab size,
 *    or %PAGE_SIZE for an object larger than a slab or a reservation;
 *  - a dense arena that is full has no bytes left but padding. An arena with spans may have up to
 *    64 KiB left in the span of each CPU that allocated from it since the last reset: only
 *    callers that may sleep get those bytes (clause 16);
 *  - resets and rewinds in a row, without an RCU grace period in between: at least 262,144
 *    and fewer than 524,288 succeed. The next one returns -EBUSY, or waits if it may sleep;
 *  - arena_reset_rcu() returns -EBUSY while RCU readers may still use the slabs that the last
 *    such reset left to them;
 *  - rewinds: an arena remembers rewinds to four offsets, each above the one before. After
 *    more, some valid handles and marks are reported stale, see arena_rewind();
 *  - typed arenas: elements of 1 byte to 2 MiB, at most 2^32 - 2 of them.
 */

/**
 * DOC: Contexts
 *
 * The table says in which context each call may be made, and whether it may run at the same time as
 * an allocation, as arena_offset() or arena_stats(), as a reset, and as arena_destroy() of the same
 * arena. "any" is task, softirq, hardirq and NMI. The table is about shared arenas: calls on a
 * private arena (linux/arena_private.h) must not run at the same time. Arenas that programs made
 * have further calls (linux/arena_device.h).
 *
 *  =====================  =========== =====  =============  =====  =======
 *  call                   context     alloc  offset, stats  reset  destroy
 *  =====================  =========== =====  =============  =====  =======
 *  arena_alloc and kin    any [1]     yes    yes            yes    no
 *  arena_offset, _high    any         yes    yes            yes    no
 *  arena_stats            any         yes    yes            yes    no
 *  arena_populate         as gfp      yes    yes            yes    no
 *  arena_reset            not NMI     yes    yes            yes    no
 *  arena_reset_rcu        not NMI     yes    yes            yes    no
 *  arena_reset_release    task        yes    yes            yes    no
 *  arena_reset_zero       task        yes    yes            yes    no
 *  arena_reserve          as gfp      yes    yes            yes    no
 *  arena_reserve_alloc    any         yes    yes            yes    no
 *  arena_unreserve        any         yes    yes            yes    no
 *  arena_resize           any         yes    yes            [3]    no
 *  arena_realloc          any [1]     yes    yes            [3]    no
 *  arena_deref, _handle   any         yes    yes            yes    no
 *  arena_owns             any         yes    yes            yes    no
 *  arena_mark, _rewind    not NMI     yes    yes            yes    no
 *  arena_add_action       not NMI [1] yes    yes            yes    no
 *  arena_get              any         yes    yes            yes    [2]
 *  arena_put              not NMI     yes    yes            yes    [2]
 *  arena_destroy          task        no     no             no     no
 *  =====================  =========== =====  =============  =====  =======
 *
 *  [1] with gfp flags that fit the context; in NMI, an arena never grows.
 *
 *  [2] the last put destroys the arena: no other call may be running then.
 *
 *  [3] the caller uses an object, so resets must not free that object meanwhile.
 *
 * An allocation that races with a reset does not corrupt the arena, but its object is not safe:
 * the object belongs to the generation before or after the reset, and the reset may have freed
 * the object before the call returns.
 */
#ifndef _LINUX_ARENA_H
#define _LINUX_ARENA_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
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
 * %ARENA_SPANS: each CPU that allocates gets a span, a stretch of the space in which this CPU
 * allocates alone, so that CPUs do not write to a shared cache line. Spans cost memory for each
 * CPU; the order of offsets is no longer the order of allocation; and when the arena is full, up to
 * 64 KiB may be left in the span of each CPU, which only callers that may sleep get (clause 16). An
 * arena without spans is dense.
 *
 * %ARENA_ON_NODE: take memory from the NUMA node &arena_config.node rather than from the node of
 * the CPU that grows the arena.
 *
 * %ARENA_ACCOUNT: charge memory to the memory cgroup of the creating task, whichever task grows
 * the arena. Charged slabs never enter the shared pool.
 *
 * %ARENA_ZERO: every object is zeroed, as if each call had __GFP_ZERO (clause 6).
 *
 * %ARENA_READERS: allow arena_reset_rcu() (clause 11). The first such reset makes the arena use a
 * second set of slabs.
 *
 * %ARENA_SHRINK: under memory pressure, and when drop_caches asks for it, the kernel takes back
 * slabs of the arena while the arena is idle: nothing has been allocated from it since its creation
 * or its last reset, and the shrinker has seen it empty for a second. The kernel never takes slabs
 * from an arena with objects, nor from an arena that has ever had an object larger than a slab or
 * an action (arena_add_action()). It takes slabs that a reset kept or arena_populate() committed,
 * so an arena whose users rely on committed memory must not have this flag. The next allocations
 * commit slabs again, as in a new arena: they need a gfp that permits growing, and may fail. The
 * arena gets a new generation, which does not count as a reset, but makes marks of the empty arena
 * stale. While the kernel releases the slabs, allocations that may not sleep can fail, and
 * arena_reset_rcu() can return -EBUSY. If only a memory cgroup reaches its limit, and the machine
 * has free memory, the kernel takes nothing. The state of CPUs that have used the arena stays (see
 * arena_create()), and so does the directory. Without this flag, an arena keeps its slabs until
 * arena_reset_release(), or until it is destroyed. Arenas of programs never have this flag: the
 * kernel must not take memory that a program has mapped unless the program asks for that.
 */
#define ARENA_SPANS		BIT(0)
#define ARENA_ON_NODE		BIT(1)
#define ARENA_ACCOUNT		BIT(2)
#define ARENA_ZERO		BIT(3)
#define ARENA_READERS		BIT(4)
#define ARENA_SHRINK		BIT(5)

/**
 * ARENA_MIN_ALIGN - alignment, in bytes, of what arena_alloc() returns: 8 everywhere.
 *
 * The alignment does not depend on the size: kmalloc() aligns an object whose size is a power of
 * two to that size, but an arena does not. Use arena_alloc_aligned() for more, and arena_new() for
 * the alignment that a type needs. Objects share cache lines, even where ARCH_DMA_MINALIGN is
 * larger than 8, so none of them is for DMA (clause 1).
 */
#define ARENA_MIN_ALIGN		sizeof(u64)

/** ARENA_SLAB_MAX - the largest slab, in bytes. */
#define ARENA_SLAB_MAX		SZ_2M

/**
 * ARENA_NOGROW - gfp argument: use memory that the arena has committed already, or fail.
 */
#define ARENA_NOGROW		((__force gfp_t)0)

/**
 * struct arena_config - the properties of an arena that arena_create() makes.
 * @name:	for humans (debugfs, traces); the first 31 bytes are copied, may be NULL.
 * @capacity:	size of the space in bytes, not 0, at most arena_capacity_max().
 * @slab_size:	bytes that one slab backs: a power of two, at least %PAGE_SIZE, at most
 *		%ARENA_SLAB_MAX; 0 picks a size that suits the capacity, see "DOC: Limits".
 * @node:	NUMA node, which must be online; ignored without %ARENA_ON_NODE.
 * @flags:	ARENA_* flags; with an unknown one arena_create() returns -EINVAL.
 */
struct arena_config {
	const char	*name;
	size_t		capacity;
	size_t		slab_size;
	int		node;
	unsigned int	flags;
};

/**
 * struct arena_stats - what an arena holds, and what its calls have done so far (clause 8).
 * @generation:	 the current generation; grows with every reset and rewind.
 * @capacity:	 size of the space, in bytes.
 * @used:	 bytes handed out and not taken back by a reset or rewind, without padding.
 * @padding:	 bytes lost to alignment, slab tails and span tails.
 * @free:	 bytes not handed out; used + padding + free == capacity while no call
 *	 runs (clause 7).
 * @high:	 no object of the current generation ends above this offset, in bytes.
 * @peak:	 the highest @high of any generation, in bytes.
 * @committed:	 bytes of slabs held now.
 * @committed_peak: the most bytes of slabs held at any time.
 * @slab_size:	 bytes in one slab.
 * @slabs:	 number of slabs held now.
 * @slabs_kept:	 number of slabs that the last reset kept.
 * @resets:	 number of resets of any kind; rewinds are not counted.
 * @allocs:	 number of successful allocations since creation.
 * @fail_space:	 number of failures for lack of space.
 * @fail_memory: number of failures for lack of memory.
 * @fail_arg:	 number of failures because of a bad argument.
 * @page_allocs: number of slabs taken from the page allocator.
 * @page_frees:	 number of slabs given back to the page allocator.
 * @pool_hits:	 number of slabs taken from the pool of blocks that other arenas gave back,
 *	 without a call of the page allocator.
 * @findings:	 number of writes behind an object or after a reset that the module parameter
 *	 "debug" has found.
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
	u64	findings;
};

/*
 * Memory allocation profiling (/proc/allocinfo) counts all memory of an arena for the line that
 * created the arena, whichever code makes the arena grow later. Functions whose names end in
 * _noprof leave the choice of the line to an outer __arena_counted(), as kmalloc_noprof() does.
 */
#ifdef CONFIG_MEM_ALLOC_PROFILING
#define __arena_counted(call)	alloc_hooks(call)
#else
#define __arena_counted(call)	(call)
#endif

struct arena *arena_create_noprof(const struct arena_config *config) __must_check;
struct arena *devm_arena_create_noprof(struct device *dev,
				       const struct arena_config *config) __must_check;

/**
 * arena_create() - Create an arena.
 * @config: its properties, see &struct arena_config.
 *
 * An arena takes at most one KiB, whatever its capacity, or two with %ARENA_READERS; above about
 * 500 possible CPUs, 8 bytes more for each 32 of them. A slab is committed by the first
 * allocation that needs it. From the fifth slab on, the directory takes memory, too: sixteen
 * bytes a slab, a page at a time. A CPU that first allocates takes less than half a KiB more.
 *
 * Context: Task, may sleep.
 * Return: The arena, ERR_PTR(-EINVAL) if a field of @config is invalid, or ERR_PTR(-ENOMEM).
 */
#define arena_create(config)		__arena_counted(arena_create_noprof(config))

/**
 * devm_arena_create() - Create an arena, and drop its reference when a driver is unbound.
 * @dev:    the device of the driver; unbinding drops the reference.
 * @config: its properties, see &struct arena_config.
 *
 * If the driver's reference is the last one, the arena is destroyed before unbinding goes on.
 *
 * Context: Task, may sleep.
 * Return: The arena, ERR_PTR(-EINVAL) if a field of @config is invalid, or ERR_PTR(-ENOMEM).
 */
#define devm_arena_create(dev, config)	__arena_counted(devm_arena_create_noprof(dev, config))

struct arena *arena_get(struct arena *arena);
void arena_put(struct arena *arena);
void arena_put_barrier(void);
void arena_destroy(struct arena *arena);

DEFINE_FREE(arena_put, struct arena *, if (!IS_ERR_OR_NULL(_T)) arena_put(_T))

/*
 * The attributes of functions that allocate tell FORTIFY_SOURCE, UBSAN and the compiler's warnings
 * the bounds of the object (clause 26). __alloc_size() also tells the compiler that the object is
 * new and holds no pointers. So functions that may return an existing object, or a copy that may
 * hold pointers, have __realloc_size() instead.
 */
void *__arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
	__alloc_size(2) __assume_aligned(ARENA_MIN_ALIGN) __must_check;
void *__arena_alloc_aligned(struct arena *arena, size_t size, size_t align,
			    gfp_t gfp) __alloc_size(2) __must_check;
void *__arena_alloc_words(struct arena *arena, size_t size)
	__alloc_size(2) __assume_aligned(ARENA_MIN_ALIGN) __must_check;
void *__arena_alloc_slow(struct arena *arena, size_t size, gfp_t gfp)
	__alloc_size(2) __assume_aligned(ARENA_MIN_ALIGN) __must_check;

/*
 * On a debug kernel, check on every call that @gfp fits the context, and not only on calls that
 * grow the arena. On other kernels might_alloc() would cost time, as it may be a preemption point.
 */
static __always_inline void __arena_might_alloc(gfp_t gfp)
{
#if defined(CONFIG_DEBUG_ATOMIC_SLEEP) || defined(CONFIG_LOCKDEP)
	might_alloc(gfp);
#endif
}

/*
 * Where the compiler knows that an allocation needs neither padding nor zeroing, arena_alloc()
 * first calls __arena_alloc_words(). That fast path takes no gfp flags: only the slow path, which
 * may grow the arena, uses them.
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
 * @gfp:   how the arena may grow: %ARENA_NOGROW to use only committed memory; GFP_NOWAIT or
 *	GFP_ATOMIC where sleeping is not allowed; GFP_KERNEL. With __GFP_ZERO the object is
 *	zeroed. The call warns once about flags that an arena cannot honour, and ignores them:
 *	__GFP_NOFAIL, __GFP_DMA, __GFP_DMA32, and __GFP_ACCOUNT if the arena was created
 *	without %ARENA_ACCOUNT.
 *
 * The object is aligned to %ARENA_MIN_ALIGN, contiguous in kernel addresses, and lives until
 * the next reset, or rewind below it (clauses 1, 2 and 10). Its contents are undefined unless
 * zeroing was asked for here or at creation (clause 6). Objects larger than a slab need
 * GFP_KERNEL. Not all objects are for virt_to_page(), see "Limitations" in linux/arena.h.
 *
 * Context: Any that @gfp fits; in NMI, committed memory only. Takes no lock. Sleeps only to
 * grow, to collect the tails of spans, or to wait for a reset that sleeps.
 * Return: The object; NULL with nothing changed if there is no space or no memory, for a bad
 * argument, or if the task is killed while it allocates more than a slab (clauses 4 and 5).
 * arena_stats() counts the causes.
 */
static __always_inline __alloc_size(2) __must_check
void *arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
{
	__arena_might_alloc(gfp);
	if (__arena_is_words(size, ARENA_MIN_ALIGN, gfp)) {
		void *object = __arena_alloc_words(arena, size);

		return likely(object) ? object : __arena_alloc_slow(arena, size, gfp);
	}
	return __arena_alloc(arena, size, gfp);
}

/**
 * arena_zalloc() - Take zeroed memory for one object (clause 6).
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The object, aligned to %ARENA_MIN_ALIGN, or NULL on failure.
 */
static __always_inline __alloc_size(2) __must_check
void *arena_zalloc(struct arena *arena, size_t size, gfp_t gfp)
{
	__arena_might_alloc(gfp);
	return __arena_alloc(arena, size, gfp | __GFP_ZERO);
}

/**
 * arena_alloc_aligned() - Take memory for one object, aligned as asked (clause 1).
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @align: bytes: a power of two, at most the slab size; at most %PAGE_SIZE for an object larger
 *	than a slab.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * In a dense arena, an alignment below %ARENA_MIN_ALIGN packs objects more tightly.
 *
 * Context: Any that @gfp fits.
 * Return: The object, or NULL on failure.
 */
static __always_inline __alloc_size(2) __must_check
void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	__arena_might_alloc(gfp);
	if (__builtin_constant_p(align) && align && !(align & (align - 1)) &&
	    __arena_is_words(size, align, gfp)) {
		void *object = __arena_alloc_words(arena, size);

		if (likely(object))
			return object;
		if (align == ARENA_MIN_ALIGN)
			return __arena_alloc_slow(arena, size, gfp);
	}
	return __arena_alloc_aligned(arena, size, align, gfp);
}

void *arena_resize(struct arena *arena, void *ptr, size_t old,
		   size_t new) __realloc_size(4) __must_check;
void *arena_realloc(struct arena *arena, void *ptr, size_t old, size_t new,
		    gfp_t gfp) __realloc_size(4) __must_check;

int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp);

/* Copies and strings. */
void *arena_memdup(struct arena *arena, const void *src, size_t size,
		   gfp_t gfp)
	__realloc_size(3) __assume_aligned(ARENA_MIN_ALIGN) __must_check;
void *arena_memdup_aligned(struct arena *arena, const void *src, size_t size, size_t align,
			   gfp_t gfp) __realloc_size(3) __must_check;
char *arena_strdup(struct arena *arena, const char *s, gfp_t gfp) __malloc __must_check;
char *arena_strndup(struct arena *arena, const char *s, size_t max,
		    gfp_t gfp) __malloc __must_check;
__printf(3, 0) __malloc __must_check
char *arena_vprintf(struct arena *arena, gfp_t gfp, const char *fmt, va_list args);
__printf(3, 4) __malloc __must_check
char *arena_printf(struct arena *arena, gfp_t gfp, const char *fmt, ...);

/*
 * Returns the bytes of @n elements of @size bytes each; if the product overflows, 0, a size that
 * every call refuses.
 */
static __always_inline size_t __arena_array_bytes(size_t n, size_t size)
{
	size_t bytes;

	return unlikely(check_mul_overflow(n, size, &bytes)) ? 0 : bytes;
}

/**
 * arena_alloc_array() - Take memory for an array.
 * @arena: the arena, not NULL.
 * @n:	   number of elements, not 0.
 * @size:  bytes of each element, not 0.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The array, aligned to %ARENA_MIN_ALIGN; NULL on failure, also if @n times @size
 * overflows (clause 5).
 */
static inline __alloc_size(2, 3) __must_check
void *arena_alloc_array(struct arena *arena, size_t n, size_t size, gfp_t gfp)
{
	return arena_alloc(arena, __arena_array_bytes(n, size), gfp);
}

/**
 * arena_new() - Take memory for one object of a type (clause 1).
 * @arena: the arena, not NULL.
 * @T:	   the type.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: A pointer to @T, aligned to its __alignof__, or NULL on failure.
 */
#define arena_new(arena, T, gfp)						\
	((typeof(T) *)arena_alloc_aligned(arena, sizeof(T), __alignof__(T), gfp))

/* The gfp flags in the arguments of a macro, or GFP_KERNEL if the caller has left them out. */
#define __arena_gfp_0()		GFP_KERNEL
#define __arena_gfp_1(gfp)	(gfp)
#define __arena_gfp(...)	CONCATENATE(__arena_gfp_, COUNT_ARGS(__VA_ARGS__))(__VA_ARGS__)

/**
 * arena_alloc_obj() - Take memory for one object, as kmalloc_obj() does (clause 28).
 * @arena: the arena, not NULL.
 * @what:  a type, or an expression of that type, which is not evaluated: ``*ptr``.
 * @...:   how the arena may grow, see arena_alloc(); GFP_KERNEL if it is left out.
 *
 * Context: Any that the gfp flags fit.
 * Return: A pointer to the type of @what, aligned to its __alignof__, or NULL on failure.
 */
#define arena_alloc_obj(arena, what, ...)					\
	((typeof(what) *)arena_alloc_aligned(arena, sizeof(typeof(what)),	\
					     __alignof__(typeof(what)),		\
					     __arena_gfp(__VA_ARGS__)))

/**
 * arena_alloc_objs() - Take memory for an array of objects, as kmalloc_objs() does (clause 28).
 * @arena: the arena, not NULL.
 * @what:  the type of each object, or an expression of that type, which is not evaluated.
 * @n:	   number of objects, not 0.
 * @...:   how the arena may grow, see arena_alloc(); GFP_KERNEL if it is left out.
 *
 * Context: Any that the gfp flags fit.
 * Return: A pointer to the first object, aligned to the __alignof__ of its type; or NULL on
 * failure, also if a size_t cannot express the size of the array (clause 5).
 */
#define arena_alloc_objs(arena, what, n, ...)					\
	((typeof(what) *)arena_alloc_aligned(arena,				\
					     __arena_array_bytes(n, sizeof(typeof(what))), \
					     __alignof__(typeof(what)),		\
					     __arena_gfp(__VA_ARGS__)))

/*
 * The address of the member that counts the elements of flexible array @array, which __counted_by()
 * names. If @array has no __counted_by(), or the compiler cannot tell, it is the address of a word
 * that nothing reads.
 */
#ifdef __has_builtin
#if __has_builtin(__builtin_counted_by_ref)
#define __arena_counter(array)							\
	_Generic(__builtin_counted_by_ref(array), default : __builtin_counted_by_ref(array), \
		 void * : &(size_t) { 0 })
#endif
#endif
#ifndef __arena_counter
#define __arena_counter(array)	(&(size_t) { __alignof__(array) })
#endif

/**
 * arena_alloc_flex() - Take memory for a struct with a flexible array, as kmalloc_flex() does
 * (clause 28).
 * @arena: the arena, not NULL.
 * @what:  the type of the struct, or an expression of that type, which is not evaluated.
 * @array: its last member, the flexible array.
 * @n:	   number of elements of @array; may be 0.
 * @...:   how the arena may grow, see arena_alloc(); GFP_KERNEL if it is left out.
 *
 * If @array is annotated by __counted_by(), and the compiler has __builtin_counted_by_ref(), the
 * member that counts the elements is set to @n. Otherwise that member is undefined, as all other
 * members are, unless the object is zeroed.
 *
 * Context: Any that the gfp flags fit.
 * Return: A pointer to the struct, aligned to its __alignof__; or NULL on failure, also if a size_t
 * cannot express the size of the struct, or its counter cannot express @n (clause 5).
 */
#define arena_alloc_flex(arena, what, array, n, ...)				\
({										\
	const size_t __n = (n);							\
	size_t __bytes = struct_size((typeof(what) *)NULL, array, __n);		\
	typeof(what) *__flex;							\
										\
	if (__bytes == SIZE_MAX ||						\
	    (size_t)(typeof(*__arena_counter(__flex->array)))__n != __n)	\
		__bytes = 0;							\
	__flex = arena_alloc_aligned(arena, __bytes, __alignof__(*__flex),	\
				     __arena_gfp(__VA_ARGS__));			\
	if (__flex)								\
		*__arena_counter(__flex->array) = __n;				\
	__flex;									\
})

/**
 * arena_store() - Copy a value into an arena (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @value: an expression of a type that can be assigned, which an array cannot be.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: A pointer to the copy, of the type of @value and aligned for it, or NULL on failure.
 */
#define arena_store(arena, value, gfp)						\
({										\
	typeof(value) __stored = (value);					\
	(typeof(value) *)arena_memdup_aligned(arena, &__stored, sizeof(__stored), \
					      __alignof__(__stored), gfp);	\
})

/**
 * struct arena_reserve - memory set aside by arena_reserve(); callers do not use its members.
 * @arena:	the arena that the memory is a part of.
 * @generation: the generation in which it was set aside.
 * @offset:	where it begins in the space, in bytes.
 * @base:	kernel address of its start.
 * @size:	number of its bytes.
 * @used:	bytes that arena_reserve_alloc() has handed out, with padding.
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
		  size_t align, gfp_t gfp) __must_check;
void *arena_reserve_alloc(struct arena_reserve *reserve, size_t size,
			  size_t align) __alloc_size(2) __must_check;
size_t arena_unreserve(struct arena_reserve *reserve);

/**
 * struct arena_handle - the name of an object, in 16 bytes (clause 13).
 * @generation: a generation in which the object lives; 0 in a handle that names nothing.
 * @offset:	where the object begins in the space, in bytes.
 */
typedef struct arena_handle {
	u64	generation;
	u64	offset;
} arena_handle_t;

void *arena_alloc_handle(struct arena *arena, size_t size, gfp_t gfp,
			 arena_handle_t *handle)
	__alloc_size(2) __assume_aligned(ARENA_MIN_ALIGN) __must_check;
arena_handle_t arena_handle(const struct arena *arena, const void *ptr);
void *arena_deref(const struct arena *arena, arena_handle_t handle);
bool arena_owns(const struct arena *arena, const void *ptr);

size_t arena_offset(const struct arena *arena);
size_t arena_high(const struct arena *arena);
size_t arena_capacity(const struct arena *arena);
size_t arena_capacity_max(void);
void arena_stats(const struct arena *arena, struct arena_stats *stats);

int arena_add_action(struct arena *arena, void (*fn)(void *data), void *data,
		     gfp_t gfp) __must_check;
int arena_add_action_or_run(struct arena *arena, void (*fn)(void *data), void *data,
			    gfp_t gfp) __must_check;

int arena_reset(struct arena *arena);
int arena_reset_rcu(struct arena *arena);
void arena_reset_release(struct arena *arena, size_t keep);
void arena_reset_zero(struct arena *arena);

/**
 * struct arena_mark - where a dense arena stood, see arena_mark().
 * @generation:	the generation at that time.
 * @offset:	how far the cursor had moved, in bytes.
 * @used:	bytes of objects below @offset.
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

/*
 * The variable that arena_scope() defines: the arena that the end of the block rewinds, and the
 * mark to rewind it to.
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
	/* If the rewind fails, a reset has freed the objects already, or the next reset will. */
	arena_rewind(scope->arena, &scope->mark);
}

DEFINE_CLASS(arena_scope, struct arena_scope, arena_scope_end(&_T), arena_scope_begin(arena),
	     struct arena *arena)

/**
 * arena_scope() - Free at the end of the block what is allocated from here on.
 * @arena: a shared arena without %ARENA_SPANS, not NULL.
 *
 * Marks the arena here, and rewinds it when control leaves the block: all objects allocated in
 * between are gone, those of other tasks, too (clause 12). Scopes nest. The end of the block does
 * nothing if the arena was reset in between, or has spans. Use arena_scratch() for private arenas.
 *
 * Context: Any but NMI, see arena_mark() and arena_rewind().
 */
#define arena_scope(arena)	\
	CLASS(arena_scope, __UNIQUE_ID(scope))(arena)

/* Typed arenas, that is, arenas of elements of one type: the functions behind DEFINE_ARENA(). */
struct arena_typed;

struct arena_typed *arena_typed_create_noprof(const char *name, size_t size, u32 nr,
					      unsigned int flags);
/**
 * arena_typed_create() - Make a typed arena.
 * @name:  for humans; copied, may be NULL.
 * @size:  bytes of an element, not 0, at most %ARENA_SLAB_MAX (2 MiB).
 * @nr:    number of elements that there is room for, not 0 (clause 16).
 * @flags: %ARENA_READERS and %ARENA_ACCOUNT, or 0.
 *
 * Elements lie one after the other from the start of a slab on: they are aligned as an array
 * of them would be. This call commits memory for all @nr elements, twice with %ARENA_READERS; the
 * stamp of each element takes eight bytes more.
 *
 * Context: Task, may sleep.
 * Return: The arena; ERR_PTR(-EINVAL) for a bad argument; ERR_PTR(-ENOMEM); ERR_PTR(-EINTR) if
 * the task is being killed.
 */
#define arena_typed_create(name, size, nr, flags)				\
	__arena_counted(arena_typed_create_noprof(name, size, nr, flags))

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
 * Typed arenas are dense and have room for exactly as many elements as they were created for
 * (clauses 14 to 16):
 *
 *  - name_create_flags(nr, flags) makes an arena, name_create(nr) one with %ARENA_READERS. Without
 *    that flag, freed elements are reused at once, and no reset is refused because of readers;
 *  - name_alloc(a, &value) returns a copy of the value, or NULL;
 *  - name_append(a, values, n) copies n values in, all or none, and returns the index of the first
 *    copy, or an errno;
 *  - name_at(a, i) returns the element at index i, or NULL if none is published there;
 *  - name_next(a, &i) and arena_for_each() find the published elements in order, that is, those
 *    that are complete and not freed;
 *  - name_len(a) and name_offset(a) return how many indices and bytes are handed out;
 *  - name_free(a, element) lets later allocations reuse the element;
 *  - name_reset(a) frees all elements, name_destroy(a) frees the arena.
 *
 * Each function has the contexts, errors and units of the arena_typed function behind it. There is
 * no name_for_each(): it would have to be a macro, and this macro cannot define another macro. So
 * arena_for_each() takes the name as an argument.
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
 * @a:	  the arena, not NULL.
 * @i:	  a size_t: in the body, one more than the index of the element visited.
 * @p:	  pointer to the element visited; NULL when the loop ends by itself.
 *
 * Context: Any. Takes no lock. If the arena has %ARENA_READERS, a caller that runs the loop inside
 * rcu_read_lock() may use the elements until rcu_read_unlock(), even if they are freed or the
 * arena is reset meanwhile. Any other caller must exclude frees and resets.
 */
#define arena_for_each(name, a, i, p)						\
	for ((i) = 0; ((p) = name##_next(a, &(i)));)

#endif /* _LINUX_ARENA_H */
