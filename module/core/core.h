/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arena: its structures, and what the files of this directory offer each other and
 * the device. The core knows no file and no device; it takes memory from module/mem.
 */
#ifndef _ARENA_CORE_H
#define _ARENA_CORE_H

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

#include "mem/mem.h"

/**
 * DOC: generations
 *
 * An arena is a space, a cursor that says how much of it has been handed out,
 * and a directory of the slabs behind it. All races meet in one word, the
 * cursor:
 *
 *	[ tag | counted | offset ]
 *
 * An allocation reads it, reads the directory entry, and moves the offset by
 * compare-and-swap. Success proves that nobody allocated and nobody reset
 * since the word was read; failure has changed nothing. There is no moment at
 * which a count is too high and must be taken back.
 *
 * A reset swaps in a word with the next tag and offset 0. (A rewind is a reset that
 * begins at another offset: of what follows, all holds for it. Where it begins stands
 * beside the cursor, and two bits of the tag say that, see mark.c.) What remains are
 * those who hold an allocation of the generation before: their memory is about
 * to be handed out again. What callers do with it is theirs to order; but the
 * allocator writes there too, when it zeroes and copies in. Such a late write
 * must not land in an object of the new generation, and a reset does not wait.
 * So a generation begins unsettled, with an offset that no claim can reach:
 *
 *	reset:     unsettled, nobody can claim
 *	  |
 *	  | no CPU is writing (arena_settle(), by the reset itself, or by the
 *	  | first allocation that comes)
 *	  v
 *	settled:   claims move the offset
 *	  |
 *	  v
 *	the next reset
 *
 * A writer counts itself in (arena_cpu.writers), passes full barrier A, looks
 * at the generation again and gives up if it has changed; or it counts itself in
 * before it claims, and A is the claim itself, which a reset in between makes fail.
 * Who settles has read the new tag, passes full barrier B and looks at the counts.
 * Either the writer sees the new generation, or the one who settles sees the writer.
 *
 * ABA. A cursor word that comes back would let a stale compare-and-swap
 * succeed, with a directory entry that may be of another time. Within a
 * generation the offset only grows. Across generations the tag differs, until
 * it wraps: each time it enters another eighth of its range, a grace period must
 * have passed since the last time it did (wrapped()), and allocations read and swap
 * the word with preemption off, and so do resets and who settles. Two words are
 * compared with each other only where they are less than half a turn apart (windows,
 * below). All else (spans, views, statistics) compares the full generation.
 *
 * Resets race like allocations: next_generation() is a compare-and-swap of the same
 * word. What else it writes is raised, and never set back: the generation, which lags
 * behind the tag until the last of the resets that moved it returns, how high the
 * cursor has been, and how much of the slabs is dirty, which is noted before it falls.
 *
 * Counting. The offset of a dense arena is the number of bytes handed out until
 * there is padding: so nobody counts bytes until then. The first claim of a
 * generation that pads sets the bit "counted",
 * without moving the offset. Before anybody claims again, whoever comes notes where
 * that was (arena->uncounted); from then on every claim is counted in a slot, until
 * the next reset. What has been handed out is at any time the offset, or what was
 * noted and what the slots have counted since: exact when quiet, and never less than
 * before.
 *
 * Per-CPU state. A CPU gets its own when it first allocates; until then, and where the
 * caller permits no memory to be taken for it, it claims from the shared cursor, and
 * counts in words that all such CPUs share. See cpu.c.
 *
 * Nesting. An allocation can be interrupted by another one of the same arena
 * on the same CPU, in an interrupt, an NMI, or a probe inside the allocator. The nested
 * one must leave the slot alone: it sees arena_cpu.depth, or, where a fast path was
 * interrupted, that the span is busy. It claims from the shared cursor and counts in
 * deep_used. Interrupts that did not hit an allocation use the slot like any context.
 *
 * The fast paths, bump_words(), for sizes that leave no padding. One comparison, of the
 * slot's span with the arena's generation, says which it is, and fails where there is
 * nothing to take from:
 *
 *  - Equal: with spans. The allocation marks the span busy, takes the object, and puts the
 *    generation back. One word, slot.taken, says both where the next object is and how many
 *    bytes were counted. An interrupt between the comparison and the mark may have reset
 *    the arena and filled the slot anew: then the object comes from that, and the older
 *    generation that is put back only sends the next allocation to the slow path, which
 *    mends it: slot_rename().
 *  - Above: without spans, each CPU keeps a window: the slab that the cursor was in when it
 *    last looked, as the cursor word of its end and what makes a word an address. Where the
 *    cursor, moved past the object, is not beyond that end, the compare-and-swap is all
 *    there is to do: the tag is in both words, a generation whose bytes are counted
 *    has a higher bit set, and nothing moves the cursor back while that is not so.
 *    Only an allocation that is not nested opens a window, and only after it moved the
 *    cursor: an interrupt that does, between the look and the swap, makes the swap fail.
 *    What a CPU that was idle for long keeps is closed by wrapped(), before the tag comes
 *    within half a turn of it again.
 *  - Below: the span is of an older generation, or busy, or the CPU has no state.
 *
 * Barrier pairs, each with a litmus test of that name in kunit/litmus/:
 *
 *	=======  ==============================  ===============================
 *	name     one side                        other side
 *	=======  ==============================  ===============================
 *	ab       smp_mb() A in                   smp_mb() B in arena_settle()
 *	         arena_write_begin()
 *	first    cmpxchg() of the list in        smp_mb() B in arena_settle(), then
 *	         cpu_publish(), then smp_mb() A  load-acquire in arena_cpus_first()
 *	states   cmpxchg() of the list in        load-acquire in
 *	         cpu_publish() after the state   arena_cpus_first()
 *	         was filled in
 *	leaf     cmpxchg() in leaf_install()     address dependency from the leaf in
 *	                                         arena_cpu_fast()
 *	install  cmpxchg() in                    address dependency from the base
 *	         slab_publish()                  that cursor_claim() read
 *	node     cmpxchg() in dir_raise() and    address dependency from node to node
 *	         dir_extend()                    in dir_walk()
 *	end      cmpxchg() in slab_publish(),    xchg() of the end, then of the
 *	         then a look at the end in       entries, in arena_slabs_release()
 *	         dir_note()
 *	look     compare-and-swap of the         load-acquire in arena_look()
 *	         generation in
 *	         generation_reach()
 *	reach    compare-and-swap of the         the same, by another reset
 *	         generation in
 *	         generation_reach()
 *	high     arena_note_dirty(), then        compare-and-swap of the cursor by a
 *	         compare-and-swap of the cursor  later reset, then wipe_slabs()
 *	         in next_generation()
 *	wiped    smp_rmb() in arena_note_dirty() compare-and-swap of the cursor in
 *	         after the cursor was read       arena_settle() after wipe_slabs()
 *	told     smp_mb() in generation_reach()  load-acquire by whom the caller of a
 *	         where a reset was overtaken     reset tells of it, then bump_span()
 *	note     cmpxchg() in cursor_count(),    the same of another generation, or
 *	         again if it failed              uncounted_renew()
 *	done     store-release of the writers in load-acquire in late_writers()
 *	         arena_write_end()
 *	adopt    store-release of the slot's     load-acquire in
 *	         generation in slot_adopt()      counted_in_slots()
 *	lost     smp_wmb() in revoke() after     load-acquire of the span in
 *	         revoked was set                 arena_slot_claim()
 *	revoke   store-release of revoked in     load-acquire in arena_slot_claim()
 *	         collect_slot()                  and slot_adopt()
 *	fill     compare-and-swap of the cursor  smp_rmb(), then load-acquire of
 *	         after filling was set, then     filling in tails_exist()
 *	         store-release of filling after
 *	         the span was, in slot_refill()
 *	advance  store-release of ahead after    load-acquire of ahead, then a look at
 *	         limit in slot_advance()         limit, in slot_has_room()
 *	held     store-release of held after     smp_mb() B in arena_settle(), then
 *	         the slabs were worked on        load-acquire of held
 *	settle   compare-and-swap in             address dependency from the cursor
 *	         arena_settle() after slabs      to the directory entry in
 *	         were released                   cursor_claim()
 *	drain    smp_mb() A, preemption off      synchronize_rcu() in
 *	         while writing                   work_on_slabs()
 *	wrap     preemption off from reading to  grace period between two
 *	         swapping the cursor             crossings, wrapped()
 *	collect  preemption off while bumping    synchronize_rcu() in revoke()
 *	zero     claim after counting in, in     smp_mb() B in arena_settle()
 *	         bump_zeroed()
 *	count    claim after the note, in        smp_rmb() in used_in_view()
 *	         cursor_count()
 *	window   preemption off from reading the windows closed, then store-release of
 *	         cursor to using the window      wrapping, in wrapped(), after a
 *	                                         grace period; load-acquire in
 *	                                         tag_cross()
 *	retire   rcu_read_lock() of readers      call_rcu_hurry() in arena_reset_rcu()
 *	spare    rcu_read_lock() of readers      synchronize_rcu() in
 *	                                         wait_retired()
 *	publish  release of the mark in          load-acquire in
 *	         publish()                       arena_typed_at()
 *	recycle  compare-and-swap of the head    address dependency from the head
 *	         after the link, in free_push()  to the link, in free_pop()
 *	views    llist_add() in large_list()     compare-and-swap of the cursor, then
 *	                                         llist_empty() in arena_reset()
 *	reap     compare-and-swap of the cursor  smp_rmb() in arena_reap_larges()
 *	         after retiring was set
 *	deref    compare-and-swap of the cursor  smp_rmb() in arena_deref()
 *	         before slabs change
 *	found    compare-and-swap in             smp_rmb() in arena_deref() before
 *	         arena_settle() after slabs      the slab
 *	         were released
 *	rewound  compare-and-swap of the cursor  smp_rmb() in lowest_since() after the
 *	         in arena_begin_rewound() after  cursor was read
 *	         rewinds_set()
 *	history  smp_wmb() in rewinds_set()      smp_rmb() in lowest_since() after the
 *	         before the unused copy is       copy was read
 *	         written
 *	start    compare-and-swap of the cursor  smp_rmb() in arena_begin_word() after
 *	         in arena_begin_rewound() after  the cursor was read
 *	         start_set()
 *	keep     cmpxchg() in pool_keep()        xchg() in pool_take()
 *	unhold   release of holds in             load-acquire in arena_do_reset() and
 *	         arena_unhold()                  arena_do_rewind()
 *	poll     smp_mb() in arena_poll() after  full barrier in wq_has_sleeper()
 *	         going on the queue              in arena_dev_moved()
 *	=======  ==============================  ===============================
 */

struct dentry;
struct mem_cgroup;

/*
 * User space may map this arena: slabs are zero when taken, objects larger
 * than a slab get no kernel view. Refused from outside callers.
 */
#define ARENA_MAPPABLE		BIT(31)

#define ARENA_NAME_MAX		32
#define ARENA_SLAB_DEFAULT	SZ_64K

/*
 * The cursor word: tag, one bit that says "counted" ("DOC: generations"), and how far
 * the space has been handed out; the highest value, which no offset reaches, says
 * "not settled yet". The tag is the low part of the generation.
 */
#define ARENA_CURSOR_BITS	40
#define ARENA_TAG_SHIFT		(ARENA_CURSOR_BITS + 1)
#define ARENA_TAG_BITS		(BITS_PER_LONG - ARENA_TAG_SHIFT)
#define ARENA_COUNTED		BIT(ARENA_CURSOR_BITS)
#define ARENA_CURSOR_MASK	(BIT(ARENA_CURSOR_BITS) - 1)
#define ARENA_UNSETTLED		ARENA_CURSOR_MASK
#define ARENA_TAG_MASK		(BIT(ARENA_TAG_BITS) - 1)
/* Which of two words is older can be told up to this distance of their tags. */
#define ARENA_TAG_HALF		BIT(ARENA_TAG_BITS - 1)
/* When this bit of the generation changes, a grace period is due: "DOC: generations". */
#define ARENA_TAG_EIGHTH	BIT(ARENA_TAG_BITS - 3)

/*
 * The two lowest bits of a generation say which of the two slab sets it uses, and
 * whether a rewind began it: then it does not start at offset 0 (mark.c). As both are in
 * the tag, too, the cursor word alone tells how its generation began. A reset never
 * begins a generation that a rewind racing with it would begin.
 */
#define ARENA_GEN_SET		BIT(0)
#define ARENA_GEN_REWOUND	BIT(1)
#define ARENA_GEN_STEP		BIT(2)

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

/* So many slabs have their entries in the arena itself. */
#define ARENA_DIR_EMBEDDED	4

union arena_dir_node;

/**
 * struct arena_dir - the directory of one slab set, see directory.c.
 * @root:  of the tree with the entries of all slabs but the first, its height added to
 *	   its address; NULL where there are no such slabs.
 * @end:   no slab is committed from this number on. Raised after a slab is installed,
 *	   lowered before slabs are released.
 * @first: the entries of the first slabs.
 */
struct arena_dir {
	union arena_dir_node	*root;
	atomic_long_t		end;
	struct arena_slab	first[ARENA_DIR_EMBEDDED];
};

/**
 * struct arena_slot - where one CPU allocates.
 * @generation: which one @used belongs to.
 * @span:	which one the span belongs to, 0 if there is none, or one of ARENA_SPAN_*.
 * @taken:	bytes handed out from spans. The next object is here: all else is
 *		relative to it, so that one store takes it and counts it.
 * @limit:	what @taken can grow to in this span, as far as that may be used.
 * @delta:	kernel address of the next object, less @taken: always aligned to
 *		%ARENA_MIN_ALIGN when they are added. Padding moves it.
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
 * Written only by the owner: the CPU it belongs to, by the allocation that is not nested,
 * with preemption off. The exception is @revoked, and with it @span, @limit and @ahead.
 */
struct arena_slot {
	unsigned long	generation;
	unsigned long	span;
	unsigned long	taken;
	unsigned long	limit;
	unsigned long	delta;
	size_t		used;
	size_t		end_offset;
	size_t		ahead;
	unsigned int	want;
	bool		zeroed;
	bool		revoked;
	bool		stale;
	bool		filling;
};

/* No generation: an allocation is about to take from the span, or has just done so. */
#define ARENA_SPAN_BUSY		1UL
/* Above each generation: the arena has no spans, and this CPU may have a window. */
#define ARENA_SPAN_WINDOW	ULONG_MAX

/* Why an allocation fails, an index of arena.fails. */
enum arena_fail { ARENA_FAIL_SPACE, ARENA_FAIL_MEMORY, ARENA_FAIL_ARG, ARENA_NR_FAILS };

/**
 * struct arena_cpu - what an arena keeps for a CPU that has used it.
 * @depth:   allocations in progress, but for those from spans and windows.
 * @writers: how many may be writing to arena memory (zeroing or copying in). Read
 *	     by arena_settle() from other CPUs.
 * @allocs:  objects handed out, ever.
 * @limit:   cursor word at the end of the window, where nothing is to be zeroed.
 * @zero_limit: cursor word at the end of the window, where it is.
 * @delta:   what makes a cursor word in the window an address.
 * @next:    state of another CPU, see arena_cpus_first().
 * @slot:    see &struct arena_slot.
 *
 * The window is the slab that the cursor of a dense arena was in when this CPU
 * last looked; see "DOC: generations". Written by the owner, not nested;
 * @limit and @zero_limit are closed from elsewhere, too.
 *
 * @depth and @writers are plain integers: an interrupt between load and store of an
 * update leaves behind the value that it found.
 */
struct arena_cpu {
	unsigned int		depth;
	unsigned int		writers;
	local_t			allocs;
	unsigned long		limit;
	unsigned long		zero_limit;
	unsigned long		delta;
	struct arena_cpu	*next;
	struct arena_slot	slot;
};

/* How many CPUs share a leaf of the table by which a CPU finds its state. */
#define ARENA_LEAF_CPUS		32

struct arena_leaf {
	struct arena_cpu	*cpu[ARENA_LEAF_CPUS];
};

/*
 * An object larger than a slab: the pages of its slabs as one stretch of kernel
 * addresses, for as long as @generation lasts.
 */
struct arena_large {
	struct llist_node	node;
	unsigned long		generation;
	size_t			offset;
	void			*view;
};

/**
 * struct arena_start - where a generation starts that a rewind begins.
 * @offset: a cursor word: the tag of that generation, and the offset.
 * @used:   the same tag, and the bytes handed out below that offset.
 *
 * Written with reset_lock held, before the cursor gets the tag.
 */
struct arena_start {
	unsigned long	offset;
	unsigned long	used;
};

/* After so many rewinds, each to a higher offset than the one before, two are merged. */
#define ARENA_REWINDS		4

/**
 * struct arena_rewinds - what rewinds have freed since the last reset.
 * @first: the generation that this reset began.
 * @now:   the generation that the last rewind began, or was to begin.
 * @high:  where the oldest steps became one: the highest offset that something of them may
 *	   still live below.
 * @nr:	   how many elements of @to are in use.
 * @to:    of objects made in the generations up to @to.last, and after that of the element
 *	   before, all at or above @to.low were freed. Both grow from each element to the
 *	   next.
 */
struct arena_rewinds {
	unsigned long	first;
	unsigned long	now;
	size_t		high;
	unsigned int	nr;
	struct {
		unsigned long	last;
		size_t		low;
	}		to[ARENA_REWINDS];
};

/**
 * struct arena_history - what an arena remembers of its rewinds; allocated by the first one.
 * @start:	where the last two generations start that rewinds began; arena_start_nr()
 *		selects.
 * @nr:		number of the copy of @rewinds that is valid: its lowest bit selects it. The
 *		other one is being written or is the former one.
 * @rewinds:	see &struct arena_rewinds.
 */
struct arena_history {
	struct arena_start	start[2];
	unsigned int		nr;
	struct arena_rewinds	rewinds[2];
};

/**
 * struct arena - one arena. Lines of the hot path first.
 * @generation: current one. Lags behind the tag of @cursor while a reset is
 *		under way, never runs ahead.
 * @cpus:	the states of the CPUs that have used the arena, see cpu.c. Only ever added to.
 * @capacity:	bytes.
 * @slab_shift: log2 of the slab size.
 * @flags:	ARENA_* flags.
 * @spans:	CPUs bump in spans.
 * @zero:	every object is handed out zeroed.
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
 * @writers:	like arena_cpu.writers, of CPUs without state.
 * @deep_used:	bytes handed out where no slot could count them, tagged like @cursor.
 * @deep_allocs: objects handed out there.
 * @fails:	failed allocations by cause.
 * @history:	of rewinds, NULL before the first one.
 * @reset_lock: serialises rewinds, and the resets that do more than move the cursor;
 *		irq-safe. Protects @retiring, @wrapping, what is written to @history,
 *		and setting @held.
 * @retire_rcu:	says when the readers are gone.
 * @wrap_rcu:	says when that grace period has ended.
 * @reset_mutex: serialises resets that sleep.
 * @reaper:	unmaps views of former generations, which a reset cannot.
 * @had_larges:	there have been views, and the reaper may be at work.
 * @tail_mutex: serialises the collection of span tails, and protects @tails.
 * @tails:	what was collected.
 * @committed_peak: the most of them ever.
 * @growing:	bit lock of the step that charges and installs a slab.
 * @page_allocs: slabs from the page allocator.
 * @page_frees:	slabs back to it.
 * @pool_hits:	slabs from the pool.
 * @refs:	references.
 * @memcg:	who is charged, with %ARENA_ACCOUNT.
 * @budget:	that slabs and directories are charged to; outlives the arena.
 * @node:	for slabs, with %ARENA_ON_NODE.
 * @all:	in the list that debug.c keeps.
 * @id:		number of the arena, never used again.
 * @look:	its file in debugfs, NULL while it has none.
 * @owner:	what the device knows it by.
 * @name:	for humans.
 * @dir:	the directory of slab set 0.
 * @spare_dir:	that of slab set 1, with %ARENA_READERS.
 * @first_used:	a CPU has @first_cpu, or tried to.
 * @first_cpu:	state of the CPU that comes first: most arenas know no other.
 * @root:	leaves of the table of states: the first one stays empty, the others are
 *		of %ARENA_LEAF_CPUS CPUs each.
 *
 * The first two lines are what every allocation reads and resets write, and what
 * claims write, or resets, or who grows the arena before a claim: so that a reset of an
 * arena that has left the caches waits for no other line.
 */
struct arena {
	unsigned long		generation;
	struct arena_cpu	*cpus;
	size_t			capacity;
	unsigned int		slab_shift;
	unsigned int		flags;
	bool			spans;
	bool			zero;
	int			node;
	struct mem_cgroup	*memcg;
	struct arena_budget	*budget;

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
	bool			had_larges;

	atomic_long_t		deep_used ____cacheline_aligned_in_smp;
	atomic_long_t		deep_allocs;
	atomic_long_t		fails[ARENA_NR_FAILS];
	atomic_t		writers;
	raw_spinlock_t		reset_lock;	/* see above */
	refcount_t		refs;
	struct arena_history	*history;
	struct rcu_head		wrap_rcu;
	struct rcu_head		retire_rcu;
	struct mutex		reset_mutex;	/* see above */
	struct work_struct	reaper;

	struct mutex		tail_mutex;	/* see above */
	struct arena_tails	*tails;

	atomic_long_t		committed_peak;
	unsigned long		growing;
	atomic_long_t		page_allocs;
	atomic_long_t		page_frees;
	atomic_long_t		pool_hits;

	struct list_head	all;
	u64			id;
	struct dentry		*look;
	void			*owner;
	char			name[ARENA_NAME_MAX];
	struct arena_dir	dir;
	struct arena_dir	*spare_dir;
	unsigned int		first_used;
	struct arena_cpu	first_cpu;
	struct arena_leaf	*root[];
};

/* At least @value from now on. Full barrier where that changes it. */
static inline void arena_raise(atomic_long_t *peak, long value)
{
	long old = atomic_long_read(peak);

	while (old < value && !atomic_long_try_cmpxchg(peak, &old, value))
		;
}

/* What makes memory of an arena with @flags count in its memory cgroup. */
static inline gfp_t arena_account_gfp(unsigned int flags)
{
	return flags & ARENA_ACCOUNT ? __GFP_ACCOUNT : 0;
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
	return cursor_settled(cursor) ? cursor & ARENA_CURSOR_MASK : 0;
}

static inline unsigned long cursor_tag(unsigned long cursor)
{
	return cursor >> ARENA_TAG_SHIFT;
}

/* The same generation, another offset. */
static inline unsigned long cursor_move(unsigned long cursor, size_t offset)
{
	return (cursor & ~ARENA_CURSOR_MASK) | offset;
}

static inline unsigned long cursor_start(unsigned long generation)
{
	return generation << ARENA_TAG_SHIFT;
}

/* Was the generation of the word begun by a rewind? */
static inline bool cursor_rewound(unsigned long cursor)
{
	return cursor & ARENA_GEN_REWOUND << ARENA_TAG_SHIFT;
}

/* Generations that a reset in the same slab set, one in the other set, or a rewind begins. */
static inline unsigned long generation_kept(unsigned long generation)
{
	return (generation & ~ARENA_GEN_REWOUND) + ARENA_GEN_STEP;
}

static inline unsigned long generation_flipped(unsigned long generation)
{
	return generation_kept(generation) ^ ARENA_GEN_SET;
}

static inline unsigned long generation_rewound(unsigned long generation)
{
	return generation_kept(generation) | ARENA_GEN_REWOUND;
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

static inline unsigned int arena_nr_dirs(const struct arena *arena)
{
	return arena->flags & ARENA_READERS ? 2 : 1;
}

/* directory.c */
struct arena_slab *arena_dir_find(const struct arena_dir *dir, size_t index);
struct arena_slab *arena_dir_next(const struct arena_dir *dir, size_t *index, size_t end);
bool arena_dir_reserve(struct arena *arena, struct arena_dir *dir, size_t index, gfp_t gfp);
void arena_dir_exit(struct arena *arena, struct arena_dir *dir);

static inline struct arena_dir *arena_dir(const struct arena *arena, unsigned int set)
{
	return set ? arena->spare_dir : (struct arena_dir *)&arena->dir;
}

/* The entry of slab @index, or NULL where it has no place yet: then it is not committed. */
static inline struct arena_slab *arena_dir_entry(const struct arena_dir *dir, size_t index)
{
	if (likely(index < ARENA_DIR_EMBEDDED))
		return (struct arena_slab *)&dir->first[index];
	return arena_dir_find(dir, index);
}

/* The same for the slab at @offset in the set of @generation. */
static inline struct arena_slab *arena_entry(const struct arena *arena, unsigned long generation,
					     size_t offset)
{
	return arena_dir_entry(arena_dir(arena, generation & ARENA_GEN_SET),
			       offset >> arena->slab_shift);
}

/* Where the slab at @offset begins in the kernel, NULL if it is not committed. */
static inline void *arena_slab_base(const struct arena *arena, unsigned long generation,
				    size_t offset)
{
	const struct arena_slab *entry = arena_entry(arena, generation, offset);

	return entry ? READ_ONCE(entry->base) : NULL;
}

/* Sizes and alignments that leave no padding behind. */
static __always_inline bool arena_is_words(size_t size, size_t align)
{
	return !(size % ARENA_WORD) && size - 1 < ARENA_WORDS_MAX && is_power_of_2(align);
}

/* mark.c */
bool arena_outlives(const struct arena *arena, unsigned long now, unsigned long generation,
		    size_t offset);
bool arena_may_outlive(const struct arena *arena, unsigned long now, unsigned long generation,
		       size_t offset);

/*
 * Is what was allocated at @offset in @generation still there? It is if only rewinds to
 * offsets above it came since. @offset is not checked against the cursor: what was
 * allocated in the present generation lives.
 */
static inline bool arena_lives(const struct arena *arena, unsigned long generation, size_t offset)
{
	unsigned long now = arena_peek(arena).generation;

	return likely(now == generation) || arena_outlives(arena, now, generation, offset);
}

/*
 * The element of arena->history->start for @generation, which a rewind began, or for its tag: of two
 * such generations in succession, each has its own.
 */
static inline unsigned int arena_start_nr(unsigned long generation)
{
	return !!(generation & ARENA_GEN_STEP);
}

/*
 * The word at which the generation begins that has the tag of @cursor, and the bytes handed
 * out then. False if a rewind began it and another one is at work since.
 */
static inline bool arena_begin_word(const struct arena *arena, unsigned long cursor,
				    unsigned long *begun, unsigned long *used)
{
	const struct arena_start *start;

	*begun = cursor_start(cursor_tag(cursor));
	*used = *begun;
	if (likely(!cursor_rewound(cursor)))
		return true;
	/* Pairs with the compare-and-swap of the cursor in arena_begin_rewound(). */
	smp_rmb();
	start = &READ_ONCE(arena->history)->start[arena_start_nr(cursor_tag(cursor))];
	*begun = READ_ONCE(start->offset);
	*used = READ_ONCE(start->used);
	if (cursor_tag(*begun) != cursor_tag(cursor) || cursor_tag(*used) != cursor_tag(cursor))
		return false;
	/* While nobody counts, all offsets are whole words. */
	if (*used != *begun || *begun % ARENA_WORD)
		*begun |= ARENA_COUNTED;
	return true;
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

/* cpu.c */

/*
 * Of each CPU: where arena.root has its leaf, and where that has its state, in bytes. Until
 * arena_cpus_setup(), and while fast paths are hidden, that is the leaf which stays empty.
 */
DECLARE_PER_CPU(unsigned long, arena_root_offset);
DECLARE_PER_CPU(unsigned long, arena_leaf_offset);
extern const struct arena_cpu arena_cpu_none;

void *arena_state_alloc(const struct arena *arena, size_t size, gfp_t gfp);
size_t arena_cpus_size(void);
void arena_cpus_init(struct arena *arena);
void arena_cpus_exit(struct arena *arena);
void arena_cpu_install(struct arena *arena, gfp_t gfp);
void arena_cpus_hide(bool hide);
void arena_cpus_setup(void);

/*
 * The state of the CPU that came last; those before it follow by arena_cpu.next. Acquire:
 * pairs with the compare-and-swap in cpu_publish(), which comes before the CPU uses it.
 */
static inline struct arena_cpu *arena_cpus_first(const struct arena *arena)
{
	/* See above. */
	return smp_load_acquire(&arena->cpus);
}

/*
 * The state of this CPU as the fast paths find it: &arena_cpu_none, which makes them fail,
 * if it has none, and while allocations are traced. Preemption is off.
 */
static __always_inline struct arena_cpu *arena_cpu_fast(const struct arena *arena)
{
	const void *root = (const void *)arena->root + raw_cpu_read(arena_root_offset);
	/*
	 * Both: address dependencies, pair with cpu_publish() and leaf_install(). Not by
	 * READ_ONCE(), which would cost an instruction each.
	 */
	const void *leaf = data_race(*(struct arena_leaf *const *)root);

	return data_race(*(struct arena_cpu *const *)(leaf + raw_cpu_read(arena_leaf_offset)));
}

/* The state of this CPU or &arena_cpu_none. Preemption is off. */
static inline struct arena_cpu *arena_cpu_find(const struct arena *arena)
{
	/* Written once, by this CPU. */
	unsigned int cpu = raw_smp_processor_id();
	/* Both: address dependencies, pair with cpu_publish() and leaf_install(). */
	const struct arena_leaf *leaf = READ_ONCE(arena->root[1 + cpu / ARENA_LEAF_CPUS]);

	return READ_ONCE(leaf->cpu[cpu % ARENA_LEAF_CPUS]);
}

/* Is there none? Then it may be read, and shows an arena that is empty, but not written. */
static __always_inline bool arena_cpu_missing(const struct arena_cpu *cpu)
{
	return cpu == &arena_cpu_none;
}

/* The caller is about to allocate: let this CPU have a state, if @gfp allows that. */
static inline void arena_cpu_prepare(struct arena *arena, gfp_t gfp)
{
	bool missing;

	preempt_disable();
	missing = arena_cpu_missing(arena_cpu_find(arena));
	preempt_enable();
	if (unlikely(missing))
		arena_cpu_install(arena, gfp);
}

/* create.c */
struct arena *__arena_create(const struct arena_config *config, unsigned int flags,
			     struct arena_budget *budget);

/* For tests: pretend that so many generations have passed. Nobody else may use the arena. */
void arena_set_generation(struct arena *arena, unsigned long generation);

/* claim.c */

/*
 * 0, -ENOSPC, -ENOMEM, -EINVAL, or -EINTR where a task that is being killed asks for more
 * than a slab; on error nothing changed but the failure counts.
 */
int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place);

/* The same in two steps, for who tries again with less before he says that he failed. */
int arena_claim_untold(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place);
int arena_claim_tell(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		     const struct arena_place *place, int err);

/*
 * How many objects in a row may be lost to resets before they are complete. The next one is
 * handed out although its generation is over: callers cannot use it, and the call ends.
 * Readers never get that one: while one reads, there is one such reset at most.
 */
#define ARENA_LOST_MAX	8

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

/* reset.c */
int arena_may_rewind(struct arena *arena, unsigned long generation);
int arena_begin_rewound(struct arena *arena, unsigned long generation, size_t offset, size_t used,
			bool *crossed);
void arena_crossed(struct arena *arena, bool crossed);
bool arena_settle(struct arena *arena);
void arena_windows_close(struct arena *arena);
void arena_note_dirty(struct arena *arena, size_t high);
bool arena_settle_wait(struct arena *arena, gfp_t gfp);
int arena_reset_asleep(struct arena *arena, size_t keep, bool zero, bool killable);

/* account.c */
void arena_count_objects(struct arena *arena, int nr);
void arena_count_failure(struct arena *arena, int err);

/* An object died before it was born: it was counted, and its successor will be. */
static inline void arena_uncount(struct arena *arena)
{
	arena_count_objects(arena, -1);
}

/* typed.c: this CPU is about to take the lock of a typed arena, or has it, or just had it. */
DECLARE_PER_CPU(bool, arena_in_chains);

/* write.c: 0, -ESTALE if @generation was over before the write was complete, or -EINTR. */
int arena_write(struct arena *arena, unsigned long generation, size_t offset,
		const void *src, size_t size, gfp_t gfp);

/* span.c */
int arena_claim_tail(struct arena *arena, size_t size, size_t used, size_t align, gfp_t gfp,
		     struct arena_place *place);
void arena_tails_exit(struct arena *arena);

/* stats.c */
size_t arena_used_in_view(const struct arena *arena, const struct arena_view *view);

/* handle.c */
bool arena_find(const struct arena *arena, unsigned long generation, const void *ptr,
		size_t *offset);
int arena_handle_at(const struct arena *arena, u64 offset, arena_handle_t *handle);
int arena_handle_check(const struct arena *arena, arena_handle_t handle);

/* mark.c */
struct arena_view arena_peek_begun(const struct arena *arena);

/* For tests: called by a rewind that is about to move the cursor; interrupts are off. */
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
int arena_commit_first(struct arena *arena, struct arena_stretch *stretch, size_t size,
		       size_t *lead, gfp_t gfp);
void arena_commit_done(struct arena *arena, const struct arena_stretch *stretch);
void arena_reap_larges(struct arena *arena, bool all);
void arena_reaper(struct work_struct *work);

/* slab.c */
/* The committed page at @offset or NULL. The caller excludes release and destruction. */
struct page *arena_page(const struct arena *arena, size_t offset);

void arena_slabs_exit(struct arena *arena);
int arena_slabs_populate(struct arena *arena, unsigned int set, size_t start, size_t size,
			 gfp_t gfp);
int arena_slab_install(struct arena *arena, unsigned int set, size_t index, gfp_t gfp);
size_t arena_gathered_index(const struct page *page);
int arena_slabs_gather(struct arena *arena, unsigned int set, size_t start, size_t size,
		       gfp_t gfp, struct list_head *slabs);
bool arena_slabs_install(struct arena *arena, unsigned int set, struct list_head *slabs,
			 gfp_t gfp);
void arena_slabs_drop(struct arena *arena, struct list_head *slabs, gfp_t gfp);
int arena_slabs_release(struct arena *arena, struct arena_dir *dir, size_t keep, bool killable);

/* debug.c */
void arena_debug_add(struct arena *arena);
void arena_debug_remove(struct arena *arena);
void arena_debug_init(void);
void arena_debug_exit(void);

#endif /* _ARENA_CORE_H */
