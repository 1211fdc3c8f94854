/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the module say to each other.
 *
 * Dependencies go one way: device -> core -> slabs. The core knows no file, no
 * user pointer and no device.
 */
#ifndef _ARENA_INTERNAL_H
#define _ARENA_INTERNAL_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <asm/local.h>

struct dentry;
struct mem_cgroup;

/*
 * User space may map this arena: slabs are zero when taken, objects larger
 * than a slab get no kernel view. Refused from outside callers.
 */
#define ARENA_MAPPABLE		BIT(31)

/* For our own bookkeeping: never the OOM killer, and no splat. */
#define ARENA_GFP_META		(GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/*
 * The same for what a caller asks for: a full machine is an errno (clause 21). Where it may
 * wait, the page allocator tries hard before giving up: several pages are not always at hand.
 */
static inline gfp_t arena_gfp_quiet(gfp_t gfp)
{
	gfp |= __GFP_NOWARN;
	if (gfpflags_allow_blocking(gfp) && !(gfp & __GFP_NORETRY))
		gfp |= __GFP_RETRY_MAYFAIL;
	return gfp;
}

/* Above the offset in a handle: how many rewinds it has seen, see mark.c. */
#define ARENA_HANDLE_EPOCH_SHIFT 40
#define ARENA_HANDLE_OFFSET_MASK (BIT_ULL(ARENA_HANDLE_EPOCH_SHIFT) - 1)

#define ARENA_NAME_MAX		32
#define ARENA_SLAB_DEFAULT	SZ_64K

/*
 * The cursor word: tag, one bit that says "counted" (see core.c), and how far
 * the space has been handed out; the highest value, which no offset reaches, says
 * "not settled yet". The tag is the low part of the generation. On 32 bits the
 * offset counts grains of several bytes.
 */
#ifdef CONFIG_64BIT
#define ARENA_GRAIN_SHIFT	0
#define ARENA_CURSOR_BITS	40
#else
#define ARENA_GRAIN_SHIFT	3
#define ARENA_CURSOR_BITS	22
#endif
#define ARENA_TAG_SHIFT		(ARENA_CURSOR_BITS + 1)
#define ARENA_TAG_BITS		(BITS_PER_LONG - ARENA_TAG_SHIFT)
#define ARENA_COUNTED		BIT(ARENA_CURSOR_BITS)
#define ARENA_CURSOR_MASK	(BIT(ARENA_CURSOR_BITS) - 1)
#define ARENA_UNSETTLED		ARENA_CURSOR_MASK
#define ARENA_TAG_MASK		(BIT(ARENA_TAG_BITS) - 1)
/* Which of two words is older can be told up to this distance of their tags. */
#define ARENA_TAG_HALF		BIT(ARENA_TAG_BITS - 1)
/* When this bit of the generation changes, a grace period is due, see core.c. */
#define ARENA_TAG_EIGHTH	BIT(ARENA_TAG_BITS - 3)

/* A generation is even where it uses slab set 0 and odd where it uses set 1. */
#define ARENA_NEXT_KEEP		2
#define ARENA_NEXT_FLIP		1

/*
 * How deep allocations of one arena may interrupt each other on one CPU and
 * still have spans and statistics of their own: task, softirq, hardirq, NMI.
 */
#define ARENA_SLOTS		4

/**
 * struct arena_slab - one entry of the slab directory.
 * @base:  kernel address, NULL while not committed. Installed by cmpxchg() by
 *	   whoever grows, removed only while no claim can succeed.
 * @clean: generation for which the slab was zero when installed: in that one,
 *	   what the cursor hands out needs no zeroing.
 */
struct arena_slab {
	void		*base;
	unsigned long	clean;
};

/**
 * struct arena_slot - where one nesting level of one CPU allocates.
 * @generation: which one @used belongs to.
 * @span:	which one the span belongs to, 0 if there is none.
 * @taken:	bytes handed out from spans. The next object is here: all else is
 *		relative to it, so that one store takes it and counts it.
 * @limit:	what @taken can grow to in this span, as far as that may be used.
 * @delta:	kernel address of the next object, less @taken: always aligned to
 *		%ARENA_MIN_ALIGN when they are added. Padding moves it.
 * @allocs:	objects handed out, ever.
 * @used:	bytes handed out in @generation, less @taken.
 * @end_offset: offset in the arena of the end of the span.
 * @ahead:	bytes of the span above @limit, to be zeroed before they are used.
 * @want:	bytes to ask for at the next refill.
 * @zeroed:	the span is all zero.
 * @revoked:	the span is being taken back, see span.c: hands off.
 * @stale:	the span is of an older generation than @generation: adopted while
 *		revoked.
 * @filling:	more is being claimed for the span than an object.
 *
 * Written only by the owner: the CPU it belongs to, at the depth it belongs
 * to, with preemption off. The exception is @revoked, and with it @span, @limit
 * and @ahead.
 */
struct arena_slot {
	unsigned long	generation;
	unsigned long	span;
	unsigned long	taken;
	unsigned long	limit;
	unsigned long	delta;
	unsigned long	allocs;
	size_t		used;
	size_t		end_offset;
	size_t		ahead;
	unsigned int	want;
	bool		zeroed;
	bool		revoked;
	bool		stale;
	bool		filling;
};

/* Why an allocation fails, an index of arena_cpu.fails. */
enum arena_fail { ARENA_FAIL_SPACE, ARENA_FAIL_MEMORY, ARENA_FAIL_ARG, ARENA_NR_FAILS };

/**
 * struct arena_cpu - what an arena keeps for each CPU.
 * @gate:    with spans, one less than the allocations in progress on this CPU: the
 *	     slot to use. Without, a number that is not below 0 for long.
 * @writers: how many may be writing to arena memory (zeroing or copying in). Read
 *	     by arena_settle() from other CPUs.
 * @limit:   cursor word at the end of the window, where nothing is to be zeroed.
 * @zero_limit: the same where it is.
 * @delta:   what makes a cursor word in the window an address.
 * @allocs:  objects handed out from windows.
 * @depth:   allocations in progress, but for those from spans and windows.
 * @spans:   the arena has spans.
 * @in_chains: of a typed arena: is about to take its lock, or has it, or just had it.
 * @slot:    see &struct arena_slot.
 * @fails:   failed allocations by cause.
 *
 * The window is the slab that the cursor of a dense arena was in when this CPU
 * last looked; see "DOC: the fast paths" in core.c. Written by the owner, at depth
 * 1; @limit and @zero_limit are closed from elsewhere, too.
 *
 * @gate, @depth and @writers are plain integers: whoever interrupts an update
 * leaves behind the value that it found, but for @gate without spans, which
 * nobody needs.
 */
struct arena_cpu {
	int			gate;
	unsigned int		writers;
	unsigned long		limit;
	unsigned long		zero_limit;
	unsigned long		delta;
	local_t			allocs;
	unsigned int		depth;
	bool			spans;
	bool			in_chains;
	struct arena_slot	slot[ARENA_SLOTS] ____cacheline_aligned;
	unsigned long		fails[ARENA_NR_FAILS];
};

/*
 * An object larger than a slab: the pages of its slabs as one stretch of kernel
 * addresses, for as long as @generation lasts.
 */
struct arena_large {
	struct llist_node	node;
	unsigned long		generation;
	size_t			offset;
	u64			epoch;	/* see arena_mark_epoch() */
	void			*view;
};

/**
 * struct arena - one arena. Lines of the hot path first.
 * @generation: current one. Lags behind the tag of @cursor while a reset is
 *		under way, never runs ahead.
 * @cpu:	slots and counters of each CPU.
 * @dirs:	the two slab directories; the generation's lowest bit selects.
 * @capacity:	bytes.
 * @slab_shift: log2 of the slab size.
 * @flags:	ARENA_* flags.
 * @spans:	CPUs bump in spans.
 * @zero:	every object is handed out zeroed.
 * @marks:	open marks, NULL before the first one.
 * @cursor:	tag, counted or not, offset. The only word that CPUs contend for.
 * @uncounted:	where counting began in the generation whose tag it has.
 * @larges:	views of objects larger than a slab.
 * @resets:	of any kind.
 * @peak:	highest offset of any generation but the present one.
 * @dirty:	nothing was written above this offset, a multiple of the slab size, since
 *		all was zero.
 * @committed:	bytes of slabs.
 * @slabs_kept:	by the last reset.
 * @held:	a reset that sleeps is at work: the new generation stays unsettled.
 * @retiring:	readers may still be in the slab set that was left last.
 * @wrapping:	a grace period must end before the tag may enter its next eighth.
 * @deep_used:	bytes handed out below the last slot, tagged like @cursor.
 * @deep_allocs: objects handed out there.
 * @reset_lock: serialises the resets that do more than move the cursor; irq-safe.
 *		Protects @retiring, @wrapping, and setting @held.
 * @retire_rcu:	says when the readers are gone.
 * @wrap_rcu:	says when that grace period has ended.
 * @reset_mutex: serialises resets that sleep.
 * @reaper:	unmaps views of former generations, which a reset cannot.
 * @had_larges:	there have been views, and the reaper may be at work.
 * @tail_mutex: serialises the collection of span tails, and protects @tails.
 * @tails:	what was collected.
 * @committed_peak: the most of them ever.
 * @page_allocs: slabs from the page allocator.
 * @page_frees:	slabs back to it.
 * @pool_hits:	slabs from the pool.
 * @refs:	references.
 * @memcg:	who is charged, with %ARENA_ACCOUNT.
 * @dir_size:	bytes of one slab directory.
 * @node:	for slabs, with %ARENA_ON_NODE.
 * @all:	in the list that debug.c keeps.
 * @id:		number of the arena, never used again.
 * @look:	its file in debugfs, NULL while it has none.
 * @owner:	what the device knows it by.
 * @name:	for humans.
 *
 * The first two lines are what every allocation reads and resets write, and what
 * claims write, or resets, or who grows the arena before a claim: so that a reset of an
 * arena that has left the caches waits for no other line.
 */
struct arena {
	unsigned long		generation;
	struct arena_cpu __percpu *cpu;
	struct arena_slab	*dirs[2];
	size_t			capacity;
	unsigned int		slab_shift;
	unsigned int		flags;
	bool			spans;
	bool			zero;
	struct arena_marks	*marks;

	atomic_long_t		cursor ____cacheline_aligned_in_smp;
	atomic_long_t		uncounted;
	struct llist_head	larges;
	atomic_long_t		resets;
	atomic_long_t		peak;
	atomic_long_t		dirty;
	atomic_long_t		committed;
	unsigned int		slabs_kept;
	bool			held;
	bool			retiring;
	bool			wrapping;

	atomic_long_t		deep_used ____cacheline_aligned_in_smp;
	atomic_long_t		deep_allocs;
	raw_spinlock_t		reset_lock;	/* see above */
	struct rcu_head		wrap_rcu;
	struct rcu_head		retire_rcu;
	struct mutex		reset_mutex;	/* see above */
	struct work_struct	reaper;
	bool			had_larges;

	struct mutex		tail_mutex;	/* see above */
	struct arena_tails	*tails;

	atomic_long_t		committed_peak;
	atomic_long_t		page_allocs;
	atomic_long_t		page_frees;
	atomic_long_t		pool_hits;

	refcount_t		refs;
	struct mem_cgroup	*memcg;
	size_t			dir_size;
	int			node;
	struct list_head	all;
	u64			id;
	struct dentry		*look;
	void			*owner;
	char			name[ARENA_NAME_MAX];
};

/* At least @value from now on. Full barrier where that changes it. */
static inline void arena_raise(atomic_long_t *peak, long value)
{
	long old = atomic_long_read(peak);

	while (old < value && !atomic_long_try_cmpxchg(peak, &old, value))
		;
}

/* Add @pages unless that exceeds @limit: never above it, not even for a moment. */
static inline bool arena_charge(atomic_long_t *charged, long pages, long limit)
{
	long old = atomic_long_read(charged);

	do {
		if (pages > limit - old)
			return false;
	} while (!atomic_long_try_cmpxchg(charged, &old, old + pages));
	return true;
}

static inline size_t arena_slab_size(const struct arena *arena)
{
	return (size_t)1 << arena->slab_shift;
}

static inline size_t arena_nr_slabs(const struct arena *arena)
{
	return ((arena->capacity - 1) >> arena->slab_shift) + 1;
}

/* The parts of a cursor word. */
static inline bool cursor_settled(unsigned long cursor)
{
	return (cursor & ARENA_CURSOR_MASK) != ARENA_UNSETTLED;
}

static inline size_t cursor_offset(unsigned long cursor)
{
	return cursor_settled(cursor) ? (cursor & ARENA_CURSOR_MASK) << ARENA_GRAIN_SHIFT : 0;
}

static inline unsigned long cursor_tag(unsigned long cursor)
{
	return cursor >> ARENA_TAG_SHIFT;
}

/* The same generation, another offset; rounds up to a grain. */
static inline unsigned long cursor_move(unsigned long cursor, size_t offset)
{
	return (cursor & ~ARENA_CURSOR_MASK) |
	       ((offset + BIT(ARENA_GRAIN_SHIFT) - 1) >> ARENA_GRAIN_SHIFT);
}

static inline unsigned long cursor_start(unsigned long generation)
{
	return generation << ARENA_TAG_SHIFT;
}

/**
 * struct arena_view - one coherent look at the cursor.
 * @generation: full generation of @cursor.
 * @cursor:	the word.
 */
struct arena_view {
	unsigned long	generation;
	unsigned long	cursor;
};

/*
 * The full generation of a cursor word read after @base was: the tag says how
 * far the cursor is ahead.
 */
static inline unsigned long cursor_generation(unsigned long cursor, unsigned long base)
{
	return base + ((cursor_tag(cursor) - base) & ARENA_TAG_MASK);
}

/*
 * Pairs with the compare-and-swap of arena->generation in generation_reach(),
 * which comes after the cursor got the new tag: a generation read here is never
 * ahead of the cursor read after it. Were it ahead, cursor_generation() would be
 * off by a whole turn of the tag. With preemption off, it cannot fall behind by
 * one either.
 */
static inline struct arena_view arena_look(const struct arena *arena)
{
	/* See above. */
	unsigned long base = smp_load_acquire(&arena->generation);
	unsigned long cursor = atomic_long_read(&arena->cursor);

	return (struct arena_view) { cursor_generation(cursor, base), cursor };
}

/* The same where preemption is on: between the two reads the tag must not turn round. */
static inline struct arena_view arena_peek(const struct arena *arena)
{
	struct arena_view view;

	preempt_disable();
	view = arena_look(arena);
	preempt_enable();
	return view;
}

static inline struct arena_slab *arena_dir(const struct arena *arena, unsigned long generation)
{
	return READ_ONCE(arena->dirs[generation & 1]);
}

static inline struct arena_slab *arena_entry(const struct arena *arena, unsigned long generation,
					     size_t offset)
{
	return &arena_dir(arena, generation)[offset >> arena->slab_shift];
}

/* Sizes and alignments that leave no padding behind. */
static __always_inline bool arena_is_words(size_t size, size_t align)
{
	return !(size % ARENA_WORD) && size - 1 < ARENA_WORDS_MAX && is_power_of_2(align);
}

/* The offset of what is known to lie in a slab of @arena: those are aligned to their size. */
static inline size_t arena_slab_offset(const struct arena *arena, const void *ptr)
{
	size_t within = (unsigned long)ptr & (arena_slab_size(arena) - 1);

	return (page_private(virt_to_page(ptr - within)) << arena->slab_shift) + within;
}

/* Where an allocation landed. @ptr is NULL where the arena has no contiguous view of it. */
struct arena_place {
	u64	generation;
	size_t	offset;
	void	*ptr;
};

/* core.c */
struct arena *__arena_create(const struct arena_config *config, unsigned int flags);

/* 0, -ENOSPC, -ENOMEM or -EINVAL; on error nothing changed but the failure counts. */
int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place);

/* The same in two steps, for who tries again with less before he says that he failed. */
int arena_claim_untold(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place);
int arena_claim_tell(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		     const struct arena_place *place, int err);

/* As arena_claim(), and copies @src in: the copy never lands in a newer generation. */
int arena_claim_copy(struct arena *arena, const void *src, size_t size, size_t align,
		     gfp_t gfp, struct arena_place *place);

/**
 * struct arena_part - one object of a lot.
 * @bytes:  its size.
 * @user:   the address in a program that @src is to be copied from: the device's
 *	    own affair, until it has done that.
 * @src:    as many bytes to copy in, or NULL.
 * @offset: where it is.
 */
struct arena_part {
	size_t			bytes;
	union {
		const void __user *user;
		const void	*src;
	};
	size_t			offset;
};

/**
 * struct arena_lot - several objects, all or none.
 * @part:  the objects.
 * @nr:	   how many.
 * @align: of each.
 * @used:  the sum of their sizes.
 * @end:   where the last one ends.
 * @bare:  not all of them have something to copy in.
 */
struct arena_lot {
	struct arena_part	*part;
	unsigned int		nr;
	size_t			align;
	size_t			used;
	size_t			end;
	bool			bare;
};

/* The first three members of @lot are the caller's. As arena_claim(); needs GFP_KERNEL. */
int arena_claim_lot(struct arena *arena, struct arena_lot *lot, gfp_t gfp, u64 *generation);

/* The committed page at @offset or NULL. The caller excludes release and destruction. */
struct page *arena_page(const struct arena *arena, size_t offset);

/* For tests: pretend that so many generations have passed. Nobody else may use the arena. */
void arena_set_generation(struct arena *arena, unsigned long generation);

/* reset.c */
bool arena_settle(struct arena *arena);
void arena_windows_close(struct arena *arena);
void arena_note_dirty(struct arena *arena, size_t high);
bool arena_settle_wait(struct arena *arena, gfp_t gfp);
int arena_reset_asleep(struct arena *arena, size_t keep, bool zero);

void arena_count_objects(struct arena *arena, int nr);
void arena_count_from_here(struct arena *arena);
void arena_count_failure(struct arena *arena, int err);

/* An object died before it was born: it was counted, and its successor will be. */
static inline void arena_uncount(struct arena *arena)
{
	arena_count_objects(arena, -1);
}

/* False if @generation was over before the write was complete. */
bool arena_write(struct arena *arena, unsigned long generation, size_t offset,
		 const void *src, size_t size, gfp_t gfp);

/* span.c */
int arena_claim_tail(struct arena *arena, size_t size, size_t used, size_t align,
		     struct arena_place *place);
void arena_tails_exit(struct arena *arena);

/* handle.c */
bool arena_find(const struct arena *arena, unsigned long generation, const void *ptr,
		size_t *offset);
int arena_handle_at(const struct arena *arena, u64 offset, arena_handle_t *handle);
int arena_handle_find(const struct arena *arena, arena_handle_t handle, u64 *offset);

/* mark.c */
void arena_mark_note(struct arena *arena, unsigned long generation, size_t from, size_t end,
		     size_t size);
int arena_mark_find(struct arena *arena, u64 serial, struct arena_mark *mark);
u64 arena_mark_epoch(const struct arena *arena, u64 generation);
bool arena_mark_gone(const struct arena *arena, u64 generation, size_t offset, u64 epoch);
void arena_marks_exit(struct arena *arena);

/* For tests: called by a rewind that has looked at the cursor and not yet moved it. */
extern void (*arena_rewind_pause)(struct arena *arena);

/**
 * struct arena_stretch - what the cursor is to be moved past, memory committed.
 * @generation: in which.
 * @grain:	the cursor may stand anywhere that rounds up to @start by this.
 * @start:	where it begins.
 * @end:	where it ends.
 * @used:	bytes of objects in it.
 * @objects:	how many objects.
 */
struct arena_stretch {
	unsigned long	generation;
	size_t		grain;
	size_t		start;
	size_t		end;
	size_t		used;
	unsigned int	objects;
};

/* lease.c */
int arena_claim_some(struct arena *arena, size_t min, size_t want, size_t align, gfp_t gfp,
		     struct arena_place *place, size_t *bytes);

/* large.c */
int arena_claim_large(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place);
bool arena_commit(struct arena *arena, const struct arena_stretch *stretch);
void arena_reap_larges(struct arena *arena, size_t floor);
void arena_reap_rewound(struct arena *arena, size_t floor, u64 epoch);
void arena_reaper(struct work_struct *work);

/* slab.c */
void *arena_table_alloc(size_t size, unsigned int flags);
void arena_table_free(void *table, size_t size);
int arena_slabs_init(struct arena *arena);
void arena_slabs_exit(struct arena *arena);
int arena_slabs_populate(struct arena *arena, unsigned int set, size_t start, size_t size,
			 gfp_t gfp);
int arena_slab_install(struct arena *arena, unsigned int set, size_t index, gfp_t gfp);
void arena_slabs_release(struct arena *arena, struct arena_slab *dir, size_t keep);
void arena_slab_free(void *base, unsigned int order);
void *arena_block_alloc(unsigned int order, gfp_t gfp);
void arena_block_free(void *base, unsigned int order);
long arena_total_pages(void);
bool arena_total_charge(long pages);
void arena_total_uncharge(long pages);

/* pool.c */
void *arena_pool_take(int node, unsigned int order);
bool arena_pool_put(void *base, unsigned int order);
struct arena_cpu __percpu *arena_pool_take_cpus(void);
bool arena_pool_put_cpus(struct arena_cpu __percpu *cpus);
void arena_pool_drain(void);
unsigned long arena_pool_pages(void);
unsigned long arena_pool_reclaimed(void);
int arena_pool_init(void);
void arena_pool_exit(void);

/* debug.c */
void arena_debug_add(struct arena *arena);
void arena_debug_remove(struct arena *arena);
void arena_debug_init(void);
void arena_debug_exit(void);

/* device.c */
int arena_device_init(void);
void arena_device_exit(void);

#endif /* _ARENA_INTERNAL_H */
