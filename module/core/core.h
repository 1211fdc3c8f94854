/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structures of an arena, and what the source files of this directory offer to each other and
 * to the device. The core uses no struct file and no struct device; it gets its memory from
 * the files in mem/.
 */
#ifndef _ARENA_CORE_H
#define _ARENA_CORE_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/jump_label.h>
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
#include "mem/shadow.h"

/**
 * DOC: generations
 *
 * An arena consists of a space, a cursor that says how much of the space has been handed out, and a
 * directory of the slabs behind the space. All races meet in one word, the cursor:
 *
 *	[ tag | counted | offset ]
 *
 * An allocation reads the cursor, reads the directory entry of the slab, and moves the offset by
 * compare-and-swap. If the compare-and-swap succeeds, no other claim or reset has changed the word
 * since this CPU read it; if it fails, it has moved nothing. So a failed allocation never has to
 * move the offset back. Within a generation, the cursor moves back only where the owner of the last
 * object makes that object smaller (resize.c).
 *
 * A reset swaps in a word with the next tag, and the generation of that tag begins at offset 0. A
 * rewind is a reset whose generation begins at the offset of a mark, which arena->history holds; a
 * bit of the tag tells it from other resets. All that follows holds for rewinds, too. A reset does
 * not wait for other CPUs. Another CPU may have claimed an object in the former generation, and may
 * be about to zero the object or to copy into it, when an allocation of the new generation claims
 * the same memory. This late write by the allocator must not land in the new object. (Callers
 * themselves order the writes to their objects.) So a generation begins unsettled: its cursor word
 * has an offset that no claim can start from:
 *
 *	reset:     unsettled, no claim succeeds
 *	  |
 *	  | no CPU writes to memory of an older generation, and the actions
 *	  | of the last generation have returned (arena_settle() checks both;
 *	  | the reset itself or the next allocation calls it)
 *	  v
 *	settled:   claims move the offset
 *	  |
 *	  v
 *	the next reset
 *
 * Only arena_reset_rcu() begins a generation that is settled at once: it changes to the other slab
 * set, in which no CPU writes, as a grace period has passed since that set was last in use.
 *
 * A CPU that is about to write to an object counts itself in arena_cpu.writers, passes full barrier
 * A, reads the generation again, and does not write if a reset has freed the object. In
 * bump_zeroed() the CPU counts itself before it claims: there the compare-and-swap of the claim is
 * barrier A, and fails if a reset has moved the cursor. The CPU that settles a generation has read
 * the new tag, passes full barrier B and reads the counts. So either the writer sees the new
 * generation, or the settling CPU sees the writer.
 *
 * The settling CPU looks only at CPUs that may be writing: at the one whose state is
 * arena.first_cpu, and at those that have set their bits in arena.written. Any other CPU sets its
 * bit before it counts itself as a writer of a generation, or opens a window in that generation.
 * The first CPU that sets a bit in a generation clears the bits of older ones: as its generation is
 * settled, the writers that those bits stand for have ended, or write to the other slab set. A
 * writer counts itself in arena.writers instead, which every settling CPU reads, if its CPU has no
 * state, if its generation is over, or if its object was allocated before the last rewind.
 *
 * ABA. A CPU reads the cursor word and a directory entry, and swaps the word later. If the word
 * changed and then changed back in between, the swap would succeed although the entry may be out of
 * date. Within a generation the offset may come back (resize.c), but a slab that is in an entry
 * stays there. Across generations the tag differs, until it wraps. The tag cannot wrap between the
 * read and the swap: allocations, resets and settling read and swap the word in one section with
 * preemption off, and the tag enters another eighth of its range only if a grace period has passed
 * since it entered the present one (wrapped()). Some words with a tag are kept for longer than such
 * a section. wrapped() closes each window (below) before the tag of the cursor is half its range
 * ahead of the tag in the window. The reset that moves the tag to another eighth renews
 * arena->uncounted and arena->deep_used. The CPU that settles the next generation clears the bits
 * in arena->written. Spans, views and slots hold the full generation, which does not wrap.
 *
 * Resets race like allocations: next_generation() moves the cursor by compare-and-swap, too. A
 * reset also updates three other words, and racing resets only ever raise them: arena->generation,
 * which lags behind the tag while resets are under way; arena->peak, the highest offset so far; and
 * arena->dirty, the offset below which slabs may hold bytes of objects, which a reset raises before
 * it moves the cursor back.
 *
 * Counting. In a dense arena without padding the offset equals the bytes used, so no CPU counts
 * bytes. The first claim with padding in a generation sets the bit "counted" in the cursor, without
 * moving the offset. Before any claim succeeds after that, a CPU that claims notes the offset in
 * arena->uncounted. From then until the next reset, each claim counts its bytes in a slot or in
 * arena->deep_used. So the bytes used equal the offset while the bit is clear, and afterwards the
 * noted offset plus the counted bytes. That sum is exact while no CPU allocates, and no allocation
 * lowers it.
 *
 * Per-CPU state. When a CPU first allocates from an arena, the slow path installs a state for that
 * CPU, if the caller's gfp permits. A CPU without a state has no span and no window: it claims from
 * the cursor, and counts in words that all such CPUs share (cpu.c).
 *
 * Nesting. An allocation can be interrupted by another one of the same arena on the same CPU: in an
 * interrupt, an NMI, or a probe inside the allocator. The nested allocation must leave the slot of
 * the CPU alone. arena_cpu.depth tells it that it is nested or, if it interrupted a fast path, the
 * busy span does. A nested allocation claims from the cursor and counts in arena->deep_used. Any
 * other allocation in an interrupt uses the slot like an allocation in a task, even if it
 * interrupted a fast path that has marked no span busy.
 *
 * The fast path, bump_words(), serves sizes that leave no padding. One comparison, of
 * arena_slot.span with arena.generation, selects what it does:
 *
 *  - Equal: the CPU has a span. The allocation marks the span busy, takes the object, and writes
 *    the generation back. One word, slot.taken, says both where the next object is and how many
 *    bytes were counted. An interrupt between the comparison and the busy store may have reset the
 *    arena and refilled the slot. In that case the object comes from the new span, and the
 *    generation that the fast path writes back is too old: the next allocation finds that it
 *    differs from arena.generation and takes the slow path, where slot_fix_generation() corrects
 *    it. If the slot is revoked, it keeps its generation as well as its span (slot_adopt()): then
 *    the object comes from the old span and counts for the old generation.
 *  - Above: the arena is dense, and the CPU may have a window on the slab that the cursor was in
 *    when the CPU last claimed or reset. The window consists of the cursor word of the end of the
 *    slab, and of the difference between addresses and cursor words in the slab. If the cursor
 *    word, moved past the object, is not above the word of the end, the object lies in the slab,
 *    and a compare-and-swap of the cursor is all that the claim takes: with a newer tag, or with
 *    the bit "counted" set, the cursor word would be above that of the end; and within a generation
 *    the cursor never goes back to a lower slab. Only an allocation or reset that is not nested
 *    opens a window, and only after it has moved the cursor: if an interrupt opens a window between
 *    the read of the cursor and the compare-and-swap, the compare-and-swap fails. (alloc_first()
 *    opens a window before it claims, but a fast path that it has interrupted has found no state.)
 *    wrapped() closes the windows of all CPUs, those of idle ones included, so that no window is
 *    left whose tag is half a turn away from that of the cursor.
 *  - Below: the CPU has no state or no span, or its span is busy or of an older generation. The
 *    allocation takes the slow path.
 *
 * Barrier pairs, each with a litmus test of that name in kunit/litmus/:
 *
 *	=======  ==============================  ===============================
 *	name     one side                        other side
 *	=======  ==============================  ===============================
 *	ab       smp_mb() A in                   smp_mb() B in arena_settle()
 *	         arena_write_begin()
 *	written  compare-and-swap in             smp_mb() B in arena_settle(), then
 *	         __arena_may_write(), then       the look at arena.written in settle()
 *	         smp_mb() A
 *	dropped  compare-and-swap in             compare-and-swap of the cursor by a
 *	         __arena_may_write(), after the  reset, then smp_mb() B in
 *	         generation was seen settled     arena_settle(), and the look at
 *	                                         arena.written
 *	states   cmpxchg() of the list in        load-acquire in
 *	         cpu_publish() after the state   arena_cpus_first()
 *	         was filled in
 *	leaf     cmpxchg() in leaf_install()     address dependency from the leaf in
 *	                                         arena_cpu_fast()
 *	install  cmpxchg() in                    address dependency from the base
 *	         slab_enter()                    that cursor_claim() read
 *	node     cmpxchg() in dir_raise() and    address dependency from node to node
 *	         dir_extend()                    in dir_walk()
 *	end      cmpxchg() in slab_enter(),      xchg() of the end, then of the
 *	         then a look at the end in       entries, in arena_slabs_release()
 *	         dir_note()
 *	snap     compare-and-swap of the         load-acquire in __arena_snap()
 *	         generation in
 *	         generation_reach()
 *	reach    compare-and-swap of the         generation_reach() of another reset
 *	         generation in
 *	         generation_reach()
 *	high     note_dirty(), then              compare-and-swap of the cursor by a
 *	         compare-and-swap of the cursor  later reset, then wipe_slabs()
 *	         in next_generation()
 *	wiped    smp_rmb() in note_dirty()       compare-and-swap of the cursor in
 *	         after the cursor was read       arena_settle() after wipe_slabs()
 *	told     smp_mb() in generation_reach()  load-acquire of a message of the
 *	         where a reset was overtaken     reset's caller, then bump_span()
 *	note     cmpxchg() in cursor_count(),    cmpxchg() for another generation, in
 *	         again if it failed              cursor_count() or uncounted_renew()
 *	done     store-release of the writers in load-acquire in late_writers()
 *	         cpu_write_end()
 *	adopt    store-release of the slot's     load-acquire in
 *	         generation in slot_begin(),     counted_in_slots()
 *	         span_begin()
 *	mixed    smp_wmb() in                    smp_rmb() in counted_in_slots()
 *	         slot_generation_ends()          before the generation is read again
 *	lost     smp_wmb() in revoke() after     load-acquire of the span in
 *	         revoked was set                 arena_span_claim()
 *	revoke   store-release of revoked in     load-acquire in arena_span_claim()
 *	         collect_slot()                  and slot_adopt()
 *	fill     compare-and-swap of the cursor  smp_rmb(), then load-acquire of
 *	         after filling was set, then     filling in tails_exist()
 *	         store-release of filling after
 *	         the span was, in
 *	         slot_refill(), span_begin(),
 *	         span_extend()
 *	advance  store-release of ahead after    load-acquire of ahead, then a look at
 *	         limit in slot_advance()         limit, in slot_has_room()
 *	blocked  store-release of                smp_mb() B in arena_settle(), then
 *	         settle_blocked after the slabs  load-acquire of settle_blocked
 *	         were worked on
 *	acts     llist_add() in                  compare-and-swap of the cursor, then
 *	         arena_add_action() after        smp_mb() B and the look at
 *	         ARENA_BLOCKED_ACTIONS was set,  settle_blocked in arena_settle(), and
 *	         then a look at the cursor       llist_del_all() in actions_take()
 *	acted    acting raised before            load-acquires of acted, then of
 *	         llist_del_all(), lowered by a   acting, in arena_settle_blocked()
 *	         release after the actions ran
 *	mapped   llist_add() in                  compare-and-swap of the cursor; then
 *	         arena_add_action() after        smp_mb() in arena_reap_larges() and
 *	         ARENA_BLOCKED_ACTIONS was set,  the look at settle_blocked in
 *	         then a look at the cursor       arena_actions_pending()
 *	checked  check_turn(), or                smp_rmb() in __arena_is_checked(),
 *	         arena_check_flip(), before the  then the compare-and-swap of the
 *	         compare-and-swap of the cursor  cursor by the claim
 *	named    exchange in arena_debug_add()   smp_mb() in arena_check_select()
 *	         before arena_check_create()     before all arenas are looked at
 *	kept     llist_add() in                  smp_mb() in arena_acting_end(), then
 *	         arena_reap_larges(), then a     llist_empty()
 *	         look at acting
 *	undone   smp_mb() in retired() and in    llist_add() in arena_reap_larges() and
 *	         arena_reset_rcu() after         llist_add_batch() in actions_take(),
 *	         retiring was cleared, then      then a look at retiring
 *	         a look at the lists
 *	settle   compare-and-swap in             address dependency from the cursor
 *	         arena_settle() after slabs      to the directory entry in
 *	         were released                   cursor_claim()
 *	drain    smp_mb() A, preemption off      synchronize_rcu() in
 *	         while writing                   work_on_slabs()
 *	wrap     preemption off from reading to  grace period between two
 *	         swapping the cursor             crossings, wrapped()
 *	collect  preemption off in bump_span()   synchronize_rcu() in revoke()
 *	zero     claim after counting in, in     smp_mb() B in arena_settle()
 *	         bump_zeroed()
 *	reuse    slab_note_clean() in            compare-and-swap of the cursor; then
 *	         note_return(), then compare-    a look at clean in claim_is_clean()
 *	         and-swap of the cursor in
 *	         move_cursor()
 *	marked   slab_note_clean() in            slab_note_clean() in note_return()
 *	         slab_install()
 *	count    claim after the note, in        smp_rmb() in used_if_counted()
 *	         cursor_count()
 *	window   preemption off from reading the windows closed, then store-release of
 *	         cursor to using the window      wrapping, in wrapped(), after a
 *	                                         grace period; load-acquire in
 *	                                         tag_cross()
 *	retire   rcu_read_lock() of readers      call_rcu_hurry() in arena_reset_rcu()
 *	spare    rcu_read_lock() of readers      synchronize_rcu() in
 *	                                         wait_retired()
 *	publish  release of the stamp in         load-acquire in
 *	         publish()                       arena_typed_at()
 *	recycle  compare-and-swap of the head    address dependency from the head
 *	         after the link, in free_push()  to the link, in free_pop()
 *	emptied  typed->lock around the store of smp_rmb() in take_recycled(), after
 *	         emptied, then around the stamp  the stamp was read
 *	         that arena_typed_free() stores
 *	record   store-release of the generation load-acquire in arena_record_view()
 *	         in slab_record()
 *	pieced   cmpxchg() in slab_enter() after smp_rmb() in arena_block_first()
 *	         the slab was entered into the
 *	         table in pages_join()
 *	kind     cmpxchg() in slab_enter() after compare-and-swap of the cursor by a
 *	         arena.pieced was set, in        claim, or smp_mb() A, before the look
 *	         slab_take()                     at pieced in arena_slab_offset()
 *	views    llist_add() in                  compare-and-swap of the cursor, then
 *	         arena_view_list()               llist_empty() in arena_reset()
 *	reap     compare-and-swap of the cursor  smp_mb() in arena_reap_larges()
 *	         after retiring was set
 *	deref    compare-and-swap of the cursor  smp_rmb() in arena_deref()
 *	         before slabs change
 *	found    compare-and-swap in             smp_rmb() in arena_deref() before
 *	         arena_settle() after slabs      the slab
 *	         were released
 *	rewound  compare-and-swap of the cursor  smp_rmb() in arena_lowest_since()
 *	         in arena_begin_rewound() after  after the cursor was read
 *	         rewinds_set()
 *	history  smp_wmb() in rewinds_set()      smp_rmb() in arena_lowest_since()
 *	         before the unused copy is       after the copy was read
 *	         written
 *	start    compare-and-swap of the cursor  smp_rmb() in arena_begin_word() after
 *	         in arena_begin_rewound() after  the cursor was read
 *	         start_set()
 *	keep     cmpxchg() in pool_keep()        xchg() in pool_pick()
 *	pool     store-release in                address dependency from the pointer in
 *	         arena_pool_init()               pool_of()
 *	shown    smp_mb() in                     smp_mb() in
 *	         arena_shadow_map_page(),        arena_shadow_free_pages() after the
 *	         after folio->mapping was set    shadow was written
 *	unhold   release of holds in             load-acquire in arena_dev_begin_reset()
 *	         arena_unhold()                  and arena_dev_seal()
 *	unmap    release of may_write in         load-acquire in arena_dev_seal()
 *	         arena_vm_close()
 *	poll     smp_mb() in arena_poll() after  full barrier in wq_has_sleeper()
 *	         going on the queue              in arena_dev_moved()
 *	=======  ==============================  ===============================
 */

struct alloc_tag;
struct arena_check;
struct arena_debug;
struct mem_cgroup;

/*
 * The flag of arenas that the device creates: programs may map the arena. So the arena zeroes slabs
 * when it commits them, and makes no view of objects larger than a slab. It zeroes objects for
 * ARENA_ZERO. It does not do so for init_on_alloc, as this would protect nothing: programs may
 * write to committed memory at any time, before an allocation as well as after it. arena_create()
 * refuses this flag.
 */
#define ARENA_MAPPABLE		BIT(31)

#define ARENA_NAME_MAX		32
#define ARENA_SLAB_DEFAULT	SZ_64K

/*
 * The cursor word: the tag, which is the low part of the generation; the bit "counted" ("DOC:
 * generations"); and the offset up to which the space has been handed out. The highest offset,
 * which no arena reaches, says that the generation is unsettled.
 */
#define ARENA_CURSOR_BITS	40
#define ARENA_TAG_SHIFT		(ARENA_CURSOR_BITS + 1)
#define ARENA_TAG_BITS		(BITS_PER_LONG - ARENA_TAG_SHIFT)
#define ARENA_COUNTED		BIT(ARENA_CURSOR_BITS)
#define ARENA_CURSOR_MASK	(BIT(ARENA_CURSOR_BITS) - 1)
#define ARENA_UNSETTLED		ARENA_CURSOR_MASK
#define ARENA_TAG_MASK		(BIT(ARENA_TAG_BITS) - 1)
/* A comparison tells the newer of two cursor words only if their tags are less than this apart. */
#define ARENA_TAG_HALF		BIT(ARENA_TAG_BITS - 1)
/* When this bit of the generation changes, the tag enters another eighth of its range. */
#define ARENA_TAG_EIGHTH	BIT(ARENA_TAG_BITS - 3)

/*
 * The lowest bit of a generation selects its slab set. The next bit says that a rewind began the
 * generation, which starts at the offset of a mark (mark.c). The tag contains both bits. So the
 * cursor word alone tells how its generation began; and if a reset and a rewind race, the two try
 * to begin different generations.
 */
#define ARENA_GEN_SET		BIT(0)
#define ARENA_GEN_REWOUND	BIT(1)
#define ARENA_GEN_STEP		BIT(2)

/**
 * struct arena_slab - one entry of the slab directory.
 * @base:  kernel address, NULL while the slab is not committed. A call that grows the arena stores
 *	   it by cmpxchg(); a call that releases slabs removes it, only while no claim can succeed.
 * @clean: the generation in which the slab was installed, if the slab was all zero at that time: a
 *	   claim in that generation need not zero what it gets. If an object that shrank has given
 *	   back bytes of the slab since, the generation in which it did so, with the bit
 *	   %ARENA_RETURNED.
 */
struct arena_slab {
	void		*base;
	unsigned long	clean;
};

/* A bit of arena_slab.clean that no generation has: bytes of the slab were given back. */
#define ARENA_RETURNED		BIT(BITS_PER_LONG - 1)

/*
 * Raise slab->clean to @clean, a generation with or without %ARENA_RETURNED, and never lower it.
 * Within one generation, the value with that bit counts as the higher one: rol64() makes it the
 * lowest bit for the comparison. A CPU installs a slab before it records here that the slab is
 * zero. If an object of the slab shrinks on another CPU in between, the %ARENA_RETURNED that the
 * other CPU stores must stay: otherwise the bytes that the object has given back would pass for
 * zero.
 */
static inline void slab_note_clean(struct arena_slab *slab, unsigned long clean)
{
	unsigned long old = READ_ONCE(slab->clean);

	while (rol64(old, 1) < rol64(clean, 1) && !try_cmpxchg(&slab->clean, &old, clean))
		;
}

/* How many slabs have their directory entries in struct arena itself. */
#define ARENA_DIR_EMBEDDED	4

union arena_dir_node;

/**
 * struct arena_dir - the directory of one slab set (directory.c).
 * @root:  address of the root of the tree with the entries of all slabs that are not in @first,
 *	   plus the height of that tree. NULL while there is no tree.
 * @end:   exclusive upper bound of the indices of committed slabs. A CPU raises it after it has
 *	   installed a slab, and lowers it before it releases slabs.
 * @first: the entries of the first slabs.
 */
struct arena_dir {
	union arena_dir_node	*root;
	atomic_long_t		end;
	struct arena_slab	first[ARENA_DIR_EMBEDDED];
};

/**
 * struct arena_slot - the span of one CPU and its counts.
 * @generation: the generation that @used and the span belong to.
 * @span:	the generation of the span, 0 if there is none, or one of ARENA_SPAN_*.
 * @taken:	bytes handed out from spans. The position of the next object is relative to it,
 *		so that one store both takes an object and counts it.
 * @limit:	value of @taken at the end of the part of the span that is ready to be handed out.
 * @delta:	kernel address of the next object, minus @taken. Their sum is always a multiple
 *		of %ARENA_MIN_ALIGN; padding increases @delta.
 * @used:	bytes handed out in @generation, minus @taken.
 * @end_offset: offset in the arena of the end of the span, or SIZE_MAX if the span was dropped.
 * @ahead:	bytes of the span above @limit, which the CPU zeroes step by step before it hands
 *		them out.
 * @want:	bytes to claim at the next refill.
 * @zeroed:	the bytes of the span up to @limit that were not handed out yet are zero.
 * @revoked:	the span is being collected (span.c): its owner must not touch it.
 * @filling:	a refill is under way: it may have moved the cursor past a span that is not in the
 *		slot yet.
 *
 * The CPU that the slot belongs to writes it, with preemption off, in allocations that are not
 * nested. A CPU that collects tails (span.c) writes @revoked and @span and, while @revoked is set,
 * @limit, @ahead and @end_offset.
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
	bool		filling;
};

/* A value of arena_slot.span that no generation has: an allocation is at work in the span. */
#define ARENA_SPAN_BUSY		1UL
/* The value of arena_slot.span in a dense arena. It is above every generation. */
#define ARENA_SPAN_WINDOW	ULONG_MAX

/* Causes of failed allocations, as indices of arena.fails. */
enum arena_fail { ARENA_FAIL_SPACE, ARENA_FAIL_MEMORY, ARENA_FAIL_ARG, ARENA_NR_FAILS };

/**
 * struct arena_cpu - what an arena keeps for a CPU that has used it.
 * @depth:   how many allocations are under way on this CPU, including nested ones, but not those in
 *	     the fast paths.
 * @writers: number of allocations that may be writing to arena memory (zeroing or copying in). A
 *	     remote CPU that settles a generation reads it if the bit of this CPU is set in
 *	     arena.written, or if this is arena.first_cpu.
 * @allocs:  objects handed out since the arena was created.
 * @limit:   cursor word of the end of the window, for objects that need not be zeroed. In an arena
 *	that zeroes its objects it is always so low that no object fits.
 * @zero_limit: cursor word of the end of the window, for objects that must be zeroed.
 * @delta:   the number to add to a cursor word in the window to get the kernel address of its
 *	offset.
 * @next:    state of the next CPU on arena.cpus.
 * @slot:    the span and the counts of the CPU.
 *
 * The window is the slab that the cursor of a dense arena was in when this CPU last claimed or
 * reset ("DOC: generations"). Allocations and resets on this CPU that are not nested write it.
 * wrapped() closes the windows of all CPUs: it sets @limit and @zero_limit so low that no object
 * fits.
 *
 * @depth and @writers are plain integers: an interrupt between the load and the store of an
 * update leaves them as it found them.
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

/*
 * How many of the lower bits of arena.written stand for CPUs. Bit N stands for each CPU whose
 * number modulo this is N.
 */
#define ARENA_WRITTEN_CPUS	32
#define ARENA_WRITTEN_MASK	(BIT(ARENA_WRITTEN_CPUS) - 1)

/* How many CPUs share a leaf of the table of states (cpu.c). */
#define ARENA_LEAF_CPUS		32

struct arena_leaf {
	struct arena_cpu	*cpu[ARENA_LEAF_CPUS];
};

/*
 * An object larger than a slab. @view maps the pages of its slabs at consecutive kernel addresses
 * until arena_reap_larges() unmaps them, after the object was freed.
 */
struct arena_large {
	struct llist_node	node;
	unsigned long		generation;
	size_t			offset;
	void			*view;
};

/**
 * struct arena_start - where a generation starts that a rewind has begun.
 * @offset: a cursor word: the tag of that generation, and the offset.
 * @used:   the same tag, and the bytes handed out below that offset.
 *
 * The rewind writes this, with reset_lock held, before it gives the cursor the tag of that
 * generation.
 */
struct arena_start {
	unsigned long	offset;
	unsigned long	used;
};

/*
 * How many rewinds, each to a higher offset than the one before, an arena remembers. If there are
 * more, it merges the two oldest (history.c).
 */
#define ARENA_REWINDS		4

/**
 * struct arena_rewinds - what rewinds have freed since the last reset.
 * @first: the generation that the last reset began.
 * @now:   the generation that the last rewind began, or tried to begin: a reset may have moved the
 *	cursor first.
 * @high:  after two elements were merged into to[0], objects below this offset may still be alive
 *	   although to[0] says that they were freed.
 * @nr:	   how many elements of @to are in use.
 * @to:    an element covers the generations above the @last of the element before it, up to its
 *	   own @last: their objects at or above @low were freed. Both members grow from each
 *	   element to the next.
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
 * struct arena_history - what an arena remembers of its rewinds; the first rewind allocates it.
 * @start:	where the generations of the last two rewinds start, indexed by arena_start_nr().
 * @nr:		number of the valid copy of @rewinds; its lowest bit is the index. The other copy is
 *		out of date, or a rewind is writing it.
 * @rewinds:	what rewinds have freed, in two copies.
 */
struct arena_history {
	struct arena_start	start[2];
	unsigned int		nr;
	struct arena_rewinds	rewinds[2];
};

/**
 * struct arena - one arena. The cache lines of the fast path come first.
 * @generation: the current generation. While a reset is under way, it may lag behind the tag of
 *		@cursor; it is never ahead of that tag.
 * @cpus:	list of the states of the CPUs that have used the arena (cpu.c). It only grows.
 * @capacity:	size of the space, in bytes.
 * @slab_shift: log2 of the slab size.
 * @flags:	ARENA_* flags.
 * @spans:	the arena was created with %ARENA_SPANS; otherwise it is dense.
 * @zero:	every object is handed out zeroed.
 * @shrinking:	the shrinker is releasing slabs, which go to the page allocator and not to the pool.
 * @redzone:	with KASAN: bytes behind each object that no object gets.
 * @cursor:	tag, bit "counted", offset. The only word that CPUs contend for.
 * @uncounted:	cursor word at which CPUs began to count bytes, in the generation of its tag.
 * @larges:	list of views of objects larger than a slab.
 * @resets:	number of resets of any kind; rewinds are not counted.
 * @peak:	highest offset of any generation but the present one.
 * @dirty:	offset, a multiple of the slab size: no former generation has had objects above
 *		it since the slabs were last zeroed.
 * @committed:	bytes of committed slabs.
 * @slabs_kept:	number of slabs that the last reset kept.
 * @settle_blocked: what may keep a generation from being settled: ARENA_BLOCKED_* flags.
 * @retiring:	readers may still use the slab set that the last arena_reset_rcu() left.
 * @wrapping:	a grace period must end before the tag may enter the next eighth of its range.
 * @writers:	number of allocations that may be writing to arena memory and are not counted in the
 *		state of a CPU.
 * @deep_used:	bytes handed out by allocations without a slot, tagged like @cursor.
 * @deep_allocs: objects handed out by CPUs without state.
 * @fails:	failed allocations by cause.
 * @history:	where generations of rewinds start, and what rewinds have freed; NULL before the
 *		first rewind.
 * @reset_lock: serialises rewinds, and the resets that do more than move the cursor; irq-safe. A
 *		CPU holds it to set @retiring or @wrapping, to change @settle_blocked, and to write
 *		to *@history.
 * @retire_rcu:	clears @retiring after a grace period.
 * @wrap_rcu:	clears @wrapping after a grace period.
 * @reset_mutex: serialises resets that sleep.
 * @reaper:	work that unmaps the views of freed objects: a reset must not sleep.
 * @had_larges:	the arena has had views, so the reaper may be at work.
 * @actions:	lists of actions, one for each slab set (action.c).
 * @actions_added: number of actions that were ever added.
 * @acted:	the newest generation for which the actions that ended when it began have been taken
 *		off @actions.
 * @tail_mutex: serialises the collection of span tails, and protects @tails.
 * @tails:	the collected tails.
 * @committed_peak: highest value of @committed.
 * @state:	bits: %ARENA_GROWING, %ARENA_FIRST_USED.
 * @page_allocs: number of slabs taken from the page allocator.
 * @page_frees:	number of slabs given back to the page allocator.
 * @pool_hits:	number of slabs taken from the pool.
 * @refs:	reference count.
 * @acting:	number of resets, rewinds and other calls that are running actions.
 * @written:	tagged like @cursor: bits for the CPUs, other than that of @first_cpu, on which
 *		the allocator may have written to arena memory in the generation of the tag.
 * @unreferenced: entry in the list of arenas that put_worker() destroys.
 * @memcg:	the memory cgroup that is charged, with %ARENA_ACCOUNT.
 * @budget:	what slabs and directories are charged to; it outlives the arena.
 * @check:	the checks of the arena (check.c), NULL before they are first switched on.
 * @node:	NUMA node of the slabs, with %ARENA_ON_NODE.
 * @pieced:	the arena has had slabs of single pages (mem/block.c).
 * @tag:	the line of code for which memory allocation profiling counts the memory of the
 *		arena.
 * @all:	entry in the list of all arenas (debug.c).
 * @id:		number of the arena, unique.
 * @debug:	the file of the arena in debugfs, NULL while there is none.
 * @name:	shown in debugfs and traces.
 * @dir:	the directory of slab set 0.
 * @spare_dir:	the directory of slab set 1, with %ARENA_READERS.
 * @first_cpu:	state of the first CPU that allocates: most arenas need no other.
 * @freed:	with KASAN or KMSAN, for each slab set: an offset. Freed objects whose memory is not
 *		poisoned yet lie below it.
 * @left:	with KASAN: the generation that the last arena_reset_rcu() has left.
 * @no_cpu:	points to &arena_cpu_none. If arena_flat is true, fast paths read this pointer while
 *		states are hidden (arena_cpus_hide()).
 * @root:	pointers to the leaves of the table of states: the first leaf stays empty, and each
 *		other leaf serves %ARENA_LEAF_CPUS CPUs.
 *
 * The first cache line holds what every allocation reads and resets write. The second one holds
 * what claims, resets and growing write. So if an arena has dropped out of the caches, its reset
 * waits for memory for these two lines, for the line of @writers and for the states of CPUs.
 */
struct arena {
	unsigned long		generation;
	struct arena_cpu	*cpus;
	size_t			capacity;
	unsigned int		slab_shift;
	unsigned int		flags;
	bool			spans;
	bool			zero;
	bool			shrinking;
	u8			redzone;
	s16			node;
	bool			pieced;
	struct mem_cgroup	*memcg;
	struct arena_budget	*budget;
	struct arena_check	*check;

	atomic_long_t		cursor ____cacheline_aligned_in_smp;
	atomic_long_t		uncounted;
	struct llist_head	larges;
	atomic_long_t		resets;
	atomic_long_t		peak;
	atomic_long_t		dirty;
	atomic_long_t		committed;
	unsigned int		slabs_kept;
	u8			settle_blocked;
	bool			retiring;
	bool			wrapping;
	bool			had_larges;

	atomic_long_t		deep_used ____cacheline_aligned_in_smp;
	atomic_long_t		deep_allocs;
	atomic_long_t		fails[ARENA_NR_FAILS];
	atomic_t		writers;
	raw_spinlock_t		reset_lock;	/* Serialises rewinds and some resets. */
	refcount_t		refs;
	atomic_t		acting;
	atomic_long_t		written;
	struct arena_history	*history;
	struct rcu_head		wrap_rcu;
	struct rcu_head		retire_rcu;
	struct mutex		reset_mutex;	/* Serialises resets that sleep. */
	struct work_struct	reaper;

	struct llist_head	actions[2];
	atomic_long_t		actions_added;
	atomic_long_t		acted;

	struct mutex		tail_mutex;	/* Serialises collections, protects tails. */
	struct arena_tails	*tails;

	atomic_long_t		committed_peak;
	unsigned long		state;
	atomic_long_t		page_allocs;
	atomic_long_t		page_frees;
	atomic_long_t		pool_hits;

	struct llist_node	unreferenced;
#ifdef CONFIG_MEM_ALLOC_PROFILING
	struct alloc_tag	*tag;
#endif
	struct list_head	all;
	u64			id;
	struct arena_debug	*debug;
	char			name[ARENA_NAME_MAX];
	struct arena_dir	dir;
	struct arena_dir	*spare_dir;
	struct arena_cpu	first_cpu;
#if ARENA_SHADOW
	atomic_long_t		freed[2];
#endif
#ifdef CONFIG_KASAN_GENERIC
	unsigned long		left;
#endif
	const struct arena_cpu	*no_cpu;
	struct arena_leaf	*root[];
};

/* A bit of arena.state: the lock of the step that charges and installs a slab. */
#define ARENA_GROWING		0
/* A bit of arena.state: a CPU has taken arena.first_cpu as its state. */
#define ARENA_FIRST_USED	1

/* A flag in arena.settle_blocked: a reset that may sleep, or the shrinker, is at work on slabs. */
#define ARENA_BLOCKED_ASLEEP	BIT(0)
/* A flag in arena.settle_blocked, which is never cleared: the arena has had an action. */
#define ARENA_BLOCKED_ACTIONS	BIT(1)
/* A flag in arena.settle_blocked, which is never cleared: the arena has a struct arena_check. */
#define ARENA_BLOCKED_CHECKS	BIT(2)

/* Raise @peak to at least @value. This is a full barrier if it changes @peak. */
static inline void arena_raise(atomic_long_t *peak, long value)
{
	long old = atomic_long_read(peak);

	while (old < value && !atomic_long_try_cmpxchg(peak, &old, value))
		;
}

/*
 * The gfp flag that charges memory to the cgroup of an arena with %ARENA_ACCOUNT in its @flags, or
 * 0 for other arenas.
 */
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

/* Can a PMD map a slab of this size into a program? */
static inline bool arena_maps_huge(unsigned int slab_shift)
{
	return IS_ENABLED(CONFIG_ARENA_HUGE) && slab_shift == PMD_SHIFT;
}

/* Is the generation of a cursor word settled? */
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

/* The cursor word of the same generation with another offset. */
static inline unsigned long cursor_move(unsigned long cursor, size_t offset)
{
	return (cursor & ~ARENA_CURSOR_MASK) | offset;
}

/* The cursor word of offset 0 in @generation. */
static inline unsigned long cursor_start(unsigned long generation)
{
	return generation << ARENA_TAG_SHIFT;
}

/* Did a rewind begin the generation of @cursor? */
static inline bool cursor_rewound(unsigned long cursor)
{
	return cursor & ARENA_GEN_REWOUND << ARENA_TAG_SHIFT;
}

/* The generation that begins after @generation with a reset in the same slab set. */
static inline unsigned long generation_kept(unsigned long generation)
{
	return (generation & ~ARENA_GEN_REWOUND) + ARENA_GEN_STEP;
}

/* The generation that begins after @generation with a reset that changes the slab set. */
static inline unsigned long generation_flipped(unsigned long generation)
{
	return generation_kept(generation) ^ ARENA_GEN_SET;
}

/* The generation that begins after @generation with a rewind. */
static inline unsigned long generation_rewound(unsigned long generation)
{
	return generation_kept(generation) | ARENA_GEN_REWOUND;
}

/**
 * struct arena_snap - a snapshot: a cursor word and its generation.
 * @generation: full generation of @cursor.
 * @cursor:	the cursor word.
 */
struct arena_snap {
	unsigned long	generation;
	unsigned long	cursor;
};

/* Is the generation of @snap settled, with the cursor at offset 0? */
static inline bool arena_is_empty(const struct arena_snap *snap)
{
	return cursor_settled(snap->cursor) && !cursor_offset(snap->cursor);
}

/*
 * The full generation of @cursor, a word that the caller has read after it read the generation
 * @base. The difference of their tags says by how much the generation of @cursor is newer.
 */
static inline unsigned long cursor_generation(unsigned long cursor, unsigned long base)
{
	return base + ((cursor_tag(cursor) - base) & ARENA_TAG_MASK);
}

/*
 * Take a snapshot: read the cursor and its full generation. The caller has preemption off, or keeps
 * resets and rewinds out: so the tag does not wrap between the two reads.
 */
static inline struct arena_snap __arena_snap(const struct arena *arena)
{
	/*
	 * Acquire: pairs with the compare-and-swap of the generation in generation_reach(), which
	 * comes after the cursor got the new tag. Without it, @base could be ahead of the cursor
	 * word, and cursor_generation() would return a generation that is too high by a whole turn
	 * of the tag.
	 */
	unsigned long base = smp_load_acquire(&arena->generation);
	unsigned long cursor = atomic_long_read(&arena->cursor);

	return (struct arena_snap) { cursor_generation(cursor, base), cursor };
}

/* Take a snapshot. Unlike __arena_snap(), this may be called with preemption on. */
static inline struct arena_snap arena_snap(const struct arena *arena)
{
	struct arena_snap snap;

	preempt_disable();
	snap = __arena_snap(arena);
	preempt_enable();
	return snap;
}

static inline unsigned int arena_nr_dirs(const struct arena *arena)
{
	return arena->flags & ARENA_READERS ? 2 : 1;
}

/* directory.c */
struct arena_slab *arena_dir_find(const struct arena_dir *dir, size_t index);
struct arena_slab *arena_dir_find_next(const struct arena_dir *dir, size_t *index, size_t end);
bool arena_dir_reserve(struct arena *arena, struct arena_dir *dir, size_t index, gfp_t gfp);
void arena_dir_exit(struct arena *arena, struct arena_dir *dir);

static inline struct arena_dir *arena_dir(const struct arena *arena, unsigned int set)
{
	return set ? arena->spare_dir : (struct arena_dir *)&arena->dir;
}

/* The directory entry of slab @index. NULL if there is none: then the slab is not committed. */
static inline struct arena_slab *arena_dir_entry(const struct arena_dir *dir, size_t index)
{
	if (likely(index < ARENA_DIR_EMBEDDED))
		return (struct arena_slab *)&dir->first[index];
	return arena_dir_find(dir, index);
}

/*
 * Of the slabs from *@index on and below @end, find the first one that has an entry, committed or
 * not, and set *@index to its number. Returns the entry, or NULL if there is none.
 */
static inline struct arena_slab *arena_dir_next(const struct arena_dir *dir, size_t *index,
						size_t end)
{
	if (*index >= end)
		return NULL;
	if (likely(*index < ARENA_DIR_EMBEDDED))
		return (struct arena_slab *)&dir->first[*index];
	return arena_dir_find_next(dir, index, end);
}

/* The directory entry, or NULL, of the slab at @offset in the slab set of @generation. */
static inline struct arena_slab *arena_entry(const struct arena *arena, unsigned long generation,
					     size_t offset)
{
	return arena_dir_entry(arena_dir(arena, generation & ARENA_GEN_SET),
			       offset >> arena->slab_shift);
}

/* The kernel address of the slab at @offset, or NULL if it is not committed. */
static inline void *arena_slab_base(const struct arena *arena, unsigned long generation,
				    size_t offset)
{
	const struct arena_slab *entry = arena_entry(arena, generation, offset);

	return entry ? READ_ONCE(entry->base) : NULL;
}

/* Can the fast paths serve this size and alignment without padding? */
static __always_inline bool arena_is_words(size_t size, size_t align)
{
	return !(size % ARENA_WORD) && size - 1 < ARENA_WORDS_MAX && is_power_of_2(align);
}

/* history.c */
bool arena_lowest_since(const struct arena *arena, unsigned long now, unsigned long generation,
			bool most, size_t *low);
bool arena_outlives(const struct arena *arena, unsigned long now, unsigned long generation,
		    size_t offset);
bool arena_may_outlive(const struct arena *arena, unsigned long now, unsigned long generation,
		       size_t offset);

/*
 * Is an object that was allocated at @offset in @generation still alive? An object lives during its
 * own generation, and survives rewinds to offsets above it. The caller knows that there was such an
 * object: @offset is not checked against the cursor.
 */
static inline bool arena_lives(const struct arena *arena, unsigned long generation, size_t offset)
{
	unsigned long now = arena_snap(arena).generation;

	return likely(now == generation) || arena_outlives(arena, now, generation, offset);
}

/*
 * The index in arena->history->start for @generation, which a rewind began. The tag of a generation
 * may be passed instead. Two successive generations have different indices.
 */
static inline unsigned int arena_start_nr(unsigned long generation)
{
	return !!(generation & ARENA_GEN_STEP);
}

/*
 * Set *@begun to the cursor word at which the generation with the tag of @cursor begins, and *@used
 * to a word with the same tag and the bytes used at that point. Returns false if a rewind began
 * that generation, and a later rewind has overwritten what arena->history held of it.
 */
static inline bool arena_begin_word(const struct arena *arena, unsigned long cursor,
				    unsigned long *begun, unsigned long *used)
{
	const struct arena_start *start;

	*begun = cursor_start(cursor_tag(cursor));
	*used = *begun;
	if (likely(!cursor_rewound(cursor)))
		return true;
	/*
	 * Pairs with the compare-and-swap of the cursor in arena_begin_rewound(), which comes after
	 * start_set(): a CPU that has read the tag of a rewind from the cursor finds in the history
	 * where that generation starts, or where a later one does, but not the start of an older
	 * one.
	 */
	smp_rmb();
	start = &READ_ONCE(arena->history)->start[arena_start_nr(cursor_tag(cursor))];
	*begun = READ_ONCE(start->offset);
	*used = READ_ONCE(start->used);
	if (cursor_tag(*begun) != cursor_tag(cursor) || cursor_tag(*used) != cursor_tag(cursor))
		return false;
	/*
	 * While the bit "counted" is clear, the offset equals the bytes used and is a multiple of a
	 * word. If that does not hold for the mark of the rewind, the generation begins with the
	 * bit set.
	 */
	if (*used != *begun || *begun % ARENA_WORD)
		*begun |= ARENA_COUNTED;
	return true;
}

size_t arena_pieced_offset(const void *base);

/*
 * The offset of @ptr, which lies in a slab of @arena. If the slab was released meanwhile, the value
 * is meaningless. Slabs are aligned to their size, and the first page of each has its offset.
 *
 * The flag @pieced was set before the cmpxchg() in slab_enter(). A full barrier of the caller, the
 * compare-and-swap of its claim or full barrier A, comes after it has read the address of the slab.
 */
static inline size_t arena_slab_offset(const struct arena *arena, const void *ptr)
{
	size_t within = (unsigned long)ptr & (arena_slab_size(arena) - 1);

	if (unlikely(READ_ONCE(arena->pieced)))
		return arena_pieced_offset(ptr - within) + within;
	return page_private(virt_to_page(ptr - within)) + within;
}

/* Is the slab at @base made of single pages? In most arenas, no slab is. */
static inline bool arena_slab_is_pieced(const struct arena *arena, const void *base)
{
	return unlikely(READ_ONCE(arena->pieced)) && is_vmalloc_addr(base);
}

/* The first page of the slab at @base, which is not freed meanwhile. */
static inline struct page *arena_slab_page(const struct arena *arena, const void *base)
{
	return arena_slab_is_pieced(arena, base) ? vmalloc_to_page(base) : virt_to_page(base);
}

/*
 * Clear the record (view.c) of the slab at @base, which the caller is about to install. The record
 * is in the lru field of the first page, which has linked the slab in lists so far, or still holds
 * a record that another arena has left.
 */
static inline void arena_record_clear(const struct arena *arena, const void *base)
{
	struct list_head *lru = &arena_slab_page(arena, base)->lru;

	WRITE_ONCE(lru->next, NULL);
	WRITE_ONCE(lru->prev, NULL);
}

/*
 * Where an object lies. @ptr is NULL if the object is larger than a slab and has no view. Before a
 * function of the API claims an object, it sets @caller to its own return address, which reports of
 * checks show.
 */
struct arena_place {
	u64		generation;
	size_t		offset;
	void		*ptr;
	unsigned long	caller;
};

/* cpu.c */
void arena_windows_close(struct arena *arena);

/*
 * For each CPU, the position of its leaf in arena.root, and of its state in the leaf, both in
 * bytes. Before arena_cpus_setup(), and while arena_cpus_hide() hides the states from the fast
 * paths, arena_root_position is 0: arena.root[0] points to a leaf that stays empty, in which the
 * fast paths find no state.
 */
DECLARE_PER_CPU(unsigned long, arena_root_position);
DECLARE_PER_CPU(unsigned long, arena_leaf_position);
/*
 * On a machine with no more CPUs than a leaf has places, each arena contains its only leaf, if
 * there is room for it, and the fast paths look there for a pointer to the state. For each CPU, the
 * position of this pointer relative to arena.root or, while states are hidden, that of
 * arena.no_cpu. arena_flat says whether the fast paths use this position.
 */
DECLARE_PER_CPU(unsigned long, arena_flat_position);
DECLARE_STATIC_KEY_FALSE(arena_flat);
extern const struct arena_cpu arena_cpu_none;

void *arena_state_alloc(const struct arena *arena, size_t size, gfp_t gfp);
size_t arena_cpus_size(void);
void arena_cpus_init(struct arena *arena);
void arena_cpus_exit(struct arena *arena);
void arena_cpu_install(struct arena *arena, gfp_t gfp);
void arena_cpus_hide(bool hide);
void arena_cpus_setup(void);

/* The first state on the list of all states; the others follow by arena_cpu.next. */
static inline struct arena_cpu *arena_cpus_first(const struct arena *arena)
{
	/*
	 * Acquire: pairs with the compare-and-swap in cpu_publish(), which comes after the
	 * state was filled in. Without it, a walk could use an uninitialised state.
	 */
	return smp_load_acquire(&arena->cpus);
}

/*
 * Returns the state of this CPU, for the fast paths. If the CPU has none, or while allocations are
 * traced, returns &arena_cpu_none, which no fast path can allocate from. The caller has preemption
 * off.
 */
static __always_inline struct arena_cpu *arena_cpu_fast(const struct arena *arena)
{
	const void *root = arena->root, *leaf;

	if (static_branch_likely(&arena_flat)) {
		root += raw_cpu_read(arena_flat_position);
		/*
		 * Racy with the only store of this entry, by this CPU in another context: either
		 * value is good.
		 */
		return data_race(*(struct arena_cpu *const *)root);
	}
	root += raw_cpu_read(arena_root_position);
	/*
	 * Address dependency: pairs with leaf_install(). Racy with the only store of the entry;
	 * READ_ONCE() would cost an instruction.
	 */
	leaf = data_race(*(const void *const *)root) + raw_cpu_read(arena_leaf_position);
	/*
	 * Address dependency: pairs with cpu_publish(). Racy with the only store of this pointer,
	 * by this CPU in another context.
	 */
	return data_race(*(struct arena_cpu *const *)leaf);
}

/* The state of CPU @nr, or &arena_cpu_none if it has none. */
static inline struct arena_cpu *arena_cpu_nr(const struct arena *arena, unsigned int nr)
{
	/* The two address dependencies pair with leaf_install() and cpu_publish(). */
	const struct arena_leaf *leaf = READ_ONCE(arena->root[1 + nr / ARENA_LEAF_CPUS]);

	return READ_ONCE(leaf->cpu[nr % ARENA_LEAF_CPUS]);
}

/* The state of this CPU, or &arena_cpu_none if it has none. Preemption is off. */
static inline struct arena_cpu *arena_cpu_find(const struct arena *arena)
{
	return arena_cpu_nr(arena, raw_smp_processor_id());
}

/* Has the CPU no state? In that case @cpu is &arena_cpu_none, which must not be written to. */
static __always_inline bool arena_cpu_missing(const struct arena_cpu *cpu)
{
	return cpu == &arena_cpu_none;
}

/*
 * Install a state for this CPU before an allocation, if it has none and @gfp permits allocating
 * one.
 */
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

/* Returns 0, or -EINVAL if a member of @config is not valid. */
int arena_config_check(const struct arena_config *config);
size_t arena_slab_size_max(void);
size_t arena_slab_size_default(size_t capacity);

/*
 * Create an arena. Memory allocation profiling counts its memory for the line of source that uses
 * __arena_counted() around the call.
 */
struct arena *__arena_create(const struct arena_config *config, unsigned int flags,
			     struct arena_budget *budget);

/* For tests: set the generation. The caller must be the only user of the arena. */
void arena_set_generation(struct arena *arena, unsigned long generation);

/* claim.c */

/*
 * Allocate an object, count and trace it. Return: 0; -ENOSPC, -ENOMEM or -EINVAL; -EINTR if the
 * object is larger than a slab and the task is being killed. An error leaves no object behind,
 * and is counted.
 */
int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place);

/*
 * Offset and generation of an object, or an errno: two words, which a function returns in
 * registers.
 */
struct arena_spot {
	ssize_t		offset;		/* or a negative errno */
	unsigned long	generation;
};

/* arena_claim(), for a caller that needs no address. */
struct arena_spot arena_claim_spot(struct arena *arena, size_t size, size_t align, gfp_t gfp);

/*
 * arena_claim() for a caller that keeps resets and rewinds out until the call returns. Most of
 * these callers ask for whole words and the default alignment: for them the call tries the fast
 * path of arena_alloc(). The fast path returns only an address. The offset follows from the
 * address, and as no reset intervenes, the generation is the present one.
 */
static __always_inline struct arena_spot arena_claim_no_reset(struct arena *arena, size_t size,
							      size_t align, gfp_t gfp)
{
	void *object;

	if (!arena_is_words(size, align) || align > ARENA_MIN_ALIGN || gfp & __GFP_ZERO)
		return arena_claim_spot(arena, size, align, gfp);
	object = __arena_alloc_words(arena, size);
	if (unlikely(!object))
		return arena_claim_spot(arena, size, align, gfp);
	return (struct arena_spot) {
		.offset	    = arena_slab_offset(arena, object),
		.generation = READ_ONCE(arena->generation),
	};
}

/*
 * The two steps of arena_claim(): __arena_claim() claims an object, and arena_claim_report() counts
 * and traces the result. A caller that calls the two itself can try again after a failure, for
 * instance for a smaller object, and report only the last result.
 */
int __arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		  struct arena_place *place);
int arena_claim_report(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       const struct arena_place *place, int err);

/*
 * If a reset frees an object before the allocating call has zeroed or filled it, the call allocates
 * another object. After losing this many objects in a row, the call returns the next object even if
 * a reset has freed it, too: otherwise the call might never end, and a caller that does not exclude
 * resets must expect freed objects anyway. In an arena that only arena_reset_rcu() resets, a caller
 * inside rcu_read_lock() never gets a freed object in this way: at most one of these resets
 * succeeds before the caller's rcu_read_unlock().
 */
#define ARENA_LOST_MAX	8

/*
 * Allocate an object of @size bytes, copy @bytes from @src to its start, count and trace it. Errors
 * are those of arena_claim(). A late copy never lands in a newer generation.
 */
int arena_claim_copy(struct arena *arena, const void *src, size_t bytes, size_t size,
		     size_t align, gfp_t gfp, struct arena_place *place);

/**
 * struct arena_part - one object of a batch.
 * @bytes:  size of the object.
 * @src:    what to copy into it, or NULL.
 * @offset: offset of the object, set by arena_claim_batch().
 */
struct arena_part {
	size_t		bytes;
	const void	*src;
	size_t		offset;
};

/**
 * struct arena_batch - several objects that are allocated together, all or none.
 * @part:  the objects.
 * @nr:	   number of objects.
 * @align: alignment of each object.
 * @used:  sum of their sizes.
 * @end:   offset of the end of the last object, set by arena_claim_batch().
 * @bare:  some objects have no contents to copy in.
 */
struct arena_batch {
	struct arena_part	*part;
	unsigned int		nr;
	size_t			align;
	size_t			used;
	size_t			end;
	bool			bare;
};

/*
 * Allocate a batch. The caller sets the first three members of @batch. @gfp must permit sleeping.
 */
int arena_claim_batch(struct arena *arena, struct arena_batch *batch, gfp_t gfp, u64 *generation);

/* reset.c */
int arena_may_rewind(struct arena *arena, unsigned long generation);
int arena_begin_rewound(struct arena *arena, unsigned long generation, size_t offset, size_t used,
			bool *crossed);
void arena_crossed(struct arena *arena, bool crossed);
bool arena_settle(struct arena *arena);
void arena_begun(struct arena *arena);
void arena_note_dirty(struct arena *arena, size_t high);
bool arena_settle_wait(struct arena *arena, gfp_t gfp);
int arena_reset_asleep(struct arena *arena, size_t keep, bool zero, bool killable);
unsigned long arena_release_empty(struct arena *arena, unsigned long *generation,
				  unsigned long pages);

/* idle.c */
size_t arena_idle_size(void);
void arena_idle_add(struct arena *arena);
void arena_idle_remove(struct arena *arena);
unsigned long arena_idle_shrink(unsigned long pages, unsigned long age);
int arena_idle_init(void);
void arena_idle_exit(void);

/**
 * struct arena_action - one action.
 * @node:	entry in a list.
 * @generation:	the generation that it was added in.
 * @offset:	offset of the word that was claimed for it.
 * @nr:		its number, in the order in which actions were added.
 * @fn:		the function.
 * @data:	its argument.
 */
struct arena_action {
	struct llist_node	node;
	unsigned long		generation;
	size_t			offset;
	unsigned long		nr;
	void			(*fn)(void *data);
	void			*data;
};

/* action.c */
bool arena_settle_blocked(const struct arena *arena, unsigned int blocked, unsigned long cursor);
bool arena_actions_pending(const struct arena *arena, const struct arena_snap *snap);
void arena_actions_retired(struct arena *arena);
void arena_acting_begin(struct arena *arena);
void arena_acting_end(struct arena *arena);
bool arena_actions_left(const struct arena *arena);
void arena_actions_end(struct arena *arena);
void arena_actions_wait(struct arena *arena);
void arena_actions_exit(struct arena *arena);

/* account.c */
void arena_count_objects(struct arena *arena, unsigned int nr);
void arena_count_failure(struct arena *arena, int err);

/* typed.c. True while this CPU takes, holds or releases the lock of a typed arena. */
DECLARE_PER_CPU(bool, arena_in_chains);

/*
 * write.c. Returns 0; -ESTALE if the object was freed before the write was complete; or -EINTR if
 * the task is being killed.
 */
int arena_write(struct arena *arena, unsigned long generation, size_t offset,
		const void *src, size_t size, gfp_t gfp);

/* span.c */
int arena_tails_claim(struct arena *arena, size_t size, size_t used, size_t align, gfp_t gfp,
		      struct arena_place *place);
void arena_tails_exit(struct arena *arena);

/**
 * struct arena_moment - usage and generation of an arena at one moment.
 * @generation: its generation.
 * @used:	what arena_offset() returns in that generation.
 * @high:	what arena_high() returns in that generation, not below @used.
 */
struct arena_moment {
	unsigned long	generation;
	size_t		used;
	size_t		high;
};

/* An arena_moment without its generation: two words, which a function returns in registers. */
struct arena_usage {
	size_t	used;
	size_t	high;
};

/* stats.c */
size_t arena_used_in_snap(const struct arena *arena, struct arena_snap snap);
void arena_moment_read(const struct arena *arena, struct arena_moment *now);
struct arena_usage arena_usage_no_reset(const struct arena *arena);

/* handle.c */
const void *arena_slab_address(const struct arena *arena, unsigned long generation,
			       const void *ptr);
bool arena_find(const struct arena *arena, unsigned long generation, const void *ptr,
		size_t *offset);
int arena_handle_at(const struct arena *arena, u64 offset, arena_handle_t *handle);
int arena_handle_check(const struct arena *arena, arena_handle_t handle);

/* history.c */
void arena_rewinds_add(struct arena *arena, unsigned long now, size_t low);
void arena_history_alloc(struct arena *arena);
struct arena_snap arena_begun_snap(const struct arena *arena, struct arena_snap snap);

/*
 * Take a snapshot. If the generation is unsettled, the snapshot contains the cursor word that the
 * cursor will have when that generation is settled.
 */
static inline struct arena_snap arena_snap_begun(const struct arena *arena)
{
	struct arena_snap snap = arena_snap(arena);

	return likely(cursor_settled(snap.cursor)) ? snap : arena_begun_snap(arena, snap);
}

/* For tests: a rewind calls this, with interrupts off, before it moves the cursor. */
extern void (*arena_rewind_pause)(struct arena *arena);

/**
 * struct arena_stretch - a stretch of committed memory that is to be claimed.
 * @generation: the generation to claim it in.
 * @grain:	the claim succeeds if the cursor, rounded up to a multiple of this, is @start.
 * @start:	offset at which it begins.
 * @end:	offset of its end, exclusive.
 * @used:	bytes of objects in it.
 * @checked:	set by the claim: the generation is checked, and a redzone was claimed behind @end.
 */
struct arena_stretch {
	unsigned long	generation;
	size_t		grain;
	size_t		start;
	size_t		end;
	size_t		used;
	bool		checked;
};

/* lease.c */
int arena_claim_some(struct arena *arena, size_t min, size_t want, size_t align, gfp_t gfp,
		     struct arena_place *place, size_t *bytes);

/* view.c */
void *arena_record_view(const void *base, u64 generation);
unsigned long arena_record_generation(const void *base, const void *view);
struct arena_large *arena_view_make(struct arena *arena, unsigned long generation, size_t start,
				    size_t size, const struct list_head *slabs);
void arena_view_drop(struct arena_large *large);
void arena_view_list(struct arena *arena, struct arena_large *large);
void arena_reap_larges(struct arena *arena, bool all);
void arena_reaper(struct work_struct *work);

/* resize.c */
void *arena_realloc_for(struct arena *arena, void *ptr, size_t old, size_t new, gfp_t gfp,
			unsigned long caller);

/* large.c */
int arena_claim_large(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place);
bool arena_claim_stretch(struct arena *arena, struct arena_stretch *stretch);
int arena_claim_ahead(struct arena *arena, struct arena_stretch *stretch, size_t size,
		      size_t *lead, gfp_t gfp);
void arena_count_stretch(struct arena *arena, const struct arena_stretch *stretch);

/* slab.c */
/*
 * The address of the committed page at @offset, or NULL. The caller excludes releases and
 * destruction.
 */
void *arena_page_address(const struct arena *arena, size_t offset);

void arena_slabs_exit(struct arena *arena);
int arena_slabs_populate(struct arena *arena, unsigned int set, size_t start, size_t size,
			 gfp_t gfp);
int arena_slabs_unshared(struct arena *arena);
int arena_populate_on(struct arena *arena, size_t bytes, int node, gfp_t gfp);
int arena_slab_install(struct arena *arena, unsigned int set, size_t index, gfp_t gfp);
size_t arena_gathered_offset(const struct page *first);
void *arena_gathered_base(struct page *first);
int arena_slabs_gather(struct arena *arena, unsigned int set, size_t start, size_t size,
		       gfp_t gfp, struct list_head *slabs);
bool arena_slabs_install(struct arena *arena, unsigned int set, struct list_head *slabs,
			 gfp_t gfp);
void arena_slabs_drop(struct arena *arena, struct list_head *slabs, gfp_t gfp);
int arena_slabs_release(struct arena *arena, struct arena_dir *dir, size_t keep, bool killable);

/* What a check found: a write behind an object, or to memory that was free. */
enum arena_finding_kind { ARENA_FINDING_REDZONE, ARENA_FINDING_FREE };

/**
 * struct arena_finding - what a check found.
 * @kind:	what kind of write it was.
 * @generation:	the generation that the object was allocated in.
 * @offset:	offset of the object.
 * @size:	its size.
 * @caller:	the return address of the call that allocated it.
 * @at:		offset of the first wrong byte.
 * @wrong:	number of wrong bytes.
 * @expected:	the value that each of these bytes should have.
 * @found:	the value of the first wrong byte.
 */
struct arena_finding {
	enum arena_finding_kind	kind;
	unsigned long		generation;
	size_t			offset;
	size_t			size;
	unsigned long		caller;
	size_t			at;
	size_t			wrong;
	u8			expected;
	u8			found;
};

/* check.c */
bool arena_check_settle(struct arena *arena, unsigned long cursor, unsigned long *bits);
void arena_check_settled(struct arena *arena);
unsigned long arena_check_flip(struct arena *arena);
void arena_check_retired(struct arena *arena);
void arena_check_asleep(struct arena *arena, bool zero, size_t keep);
void arena_check_shrink(struct arena *arena, unsigned long set, size_t keep);
size_t arena_check_end(const struct arena *arena, size_t end);
int arena_check_object(struct arena *arena, const struct arena_place *place, size_t size,
		       size_t end, bool zero, gfp_t gfp);
int arena_check_claim(struct arena *arena, size_t size, size_t align, bool zero, gfp_t gfp,
		      struct arena_place *place);
void arena_check_shrunk(struct arena *arena, unsigned long generation, size_t offset, size_t old,
			size_t new);
bool arena_check_wanted(const struct arena *arena);
unsigned long arena_check_findings(const struct arena *arena);
struct arena_finding arena_check_last(const struct arena *arena);
struct arena_check *arena_checks_new(void);
void arena_checks_free(struct arena_check *check);
bool arena_check_install(struct arena *arena, struct arena_check *check);
void arena_check_want(struct arena *arena, bool wanted);
void arena_check_first(struct arena *arena);
void arena_check_exit(struct arena *arena);
bool __arena_is_checked(const struct arena *arena, unsigned long generation);

/* Is @generation checked? The caller has just read a settled cursor word of it. */
static inline bool arena_is_checked(const struct arena *arena, unsigned long generation)
{
	return unlikely(arena->check) && __arena_is_checked(arena, generation);
}

/* check_names.c */
extern bool arena_check_named;
int arena_check_select(const char *value);
void __arena_check_create(struct arena *arena);

/*
 * If the module parameter "debug" names @arena, which is new, check it from its first generation
 * on. The arena is on the list of all arenas, and only its creator uses it yet.
 */
static inline void arena_check_create(struct arena *arena)
{
	/*
	 * Comes after the exchange in arena_debug_add(), a full barrier: pairs with smp_mb() in
	 * arena_check_select(). Either names_apply() finds the new arena, or this CPU finds that
	 * there are names. Where that exchange did not succeed, arena_debug_add() has taken
	 * all_lock, as names_apply() does, which gives the same order.
	 */
	if (unlikely(READ_ONCE(arena_check_named)))
		__arena_check_create(arena);
}

/* debug.c */
void arena_debug_add(struct arena *arena);
void arena_debug_remove(struct arena *arena);
bool arena_debug_each(bool (*fn)(struct arena *arena, void *data), void *data);
void arena_debug_init(void);
void arena_debug_exit(void);

#endif /* _ARENA_CORE_H */
