// SPDX-License-Identifier: GPL-2.0
/*
 * The cursor, allocation, creation and accounting.
 */

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
 * A reset swaps in a word with the next tag and offset 0. What remains are
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
 * generation that pads, or that a rewind may take back, sets the bit "counted",
 * without moving the offset. Before anybody claims again, whoever comes notes where
 * that was (arena->uncounted); from then on every claim is counted in a slot, until
 * the next reset. What has been handed out is at any time the offset, or what was
 * noted and what the slots have counted since: exact when quiet, and never less than
 * before.
 *
 * Nesting. An allocation can be interrupted by another one of the same arena
 * on the same CPU, in an interrupt, an NMI, or a probe inside the allocator.
 * arena_cpu.gate (with spans) or arena_cpu.depth counts them, and each uses a slot
 * of its own: the outermost slot 0, whoever interrupts it slot 1. Whoever finds
 * nobody there uses slot 0, whatever context it is: interrupts that did not hit an
 * allocation cost no slot of their own, and the level needs not be found out. Deeper
 * than %ARENA_SLOTS, the shared cursor serves.
 *
 * The fast paths, bump_words(), for sizes that leave no padding:
 *
 *  - With spans, the first to come on this CPU takes from the span of slot 0, if that
 *    is of the present generation. One word, slot.taken, says both where the next
 *    object is and how many bytes were counted.
 *  - Without, each CPU keeps a window: the slab that the cursor was in when it last
 *    looked, as the cursor word of its end and what makes a word an address. Where the
 *    cursor, moved past the object, is not beyond that end, the compare-and-swap is all
 *    there is to do: the tag is in both words, a generation whose bytes are counted
 *    has a higher bit set, and nothing moves the cursor back while that is not so.
 *    Only who is not nested opens a window, and only after it moved the cursor: an
 *    interrupt that does, between the look and the swap, makes the swap fail. What a
 *    CPU that was idle for long keeps is closed by wrapped(), before the tag comes
 *    within half a turn of it again.
 *
 * Barrier pairs, each with a litmus test of that name in kunit/litmus/:
 *
 *	=======  ==============================  ===============================
 *	name     one side                        other side
 *	=======  ==============================  ===============================
 *	ab       smp_mb() A in                   smp_mb() B in arena_settle()
 *	         arena_write_begin()
 *	install  cmpxchg() in                    address dependency from the base
 *	         arena_slab_install()            that cursor_claim() read
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
 *	retire   rcu_read_lock() of readers      call_rcu() in arena_reset_rcu()
 *	spare    rcu_read_lock() of readers      synchronize_rcu() in
 *	                                         wait_retired()
 *	publish  release of the mark in          load-acquire in
 *	         publish()                       arena_typed_at()
 *	views    llist_add() in large_list()     compare-and-swap of the cursor, then
 *	                                         llist_empty() in arena_reset()
 *	reap     compare-and-swap of the cursor  smp_rmb() in arena_reap_larges()
 *	         after retiring was set
 *	deref    compare-and-swap of the cursor  smp_rmb() in arena_deref()
 *	         before slabs change
 *	found    compare-and-swap in             smp_rmb() in arena_deref() before
 *	         arena_settle() after slabs      the slab
 *	         were released
 *	epoch    compare-and-swap in             claim, then the epoch in
 *	         cursor_fall() after the epoch   arena_mark_epoch()
 *	floor    store-release of pending in     load-acquire of pending, then of
 *	         cursor_fall() after the floor   the floors in arena_mark_gone()
 *	move     store-releases of offset and    load-acquires of epoch and offset
 *	         epoch in floor_set()            in arena_mark_gone()
 *	forget   smp_mb() in forget_rewinds()    smp_rmb() in arena_deref()
 *	keep     cmpxchg() in pool_keep() and    xchg() in pool_take() and
 *	         arena_pool_put_cpus()           arena_pool_take_cpus()
 *	unhold   release of holds in             load-acquire in arena_do_reset() and
 *	         arena_unhold()                  arena_do_rewind()
 *	poll     smp_mb() in arena_poll() after  full barrier in wq_has_sleeper()
 *	         going on the queue              in arena_dev_moved()
 *	=======  ==============================  ===============================
 */
#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "cursor.h"
#include "events.h"

/* Preemption is off for one slab copy at a time, and for no more than this. */
#define ARENA_COPY_CHUNK	SZ_64K

/*
 * Deeper than the slots: account on the shared line, in a word tagged like the
 * cursor. Who comes too late for a newer generation counts nowhere.
 */
static void deep_count(struct arena *arena, unsigned long generation, size_t size)
{
	long old = atomic_long_read(&arena->deep_used), new;
	unsigned long ahead;

	do {
		ahead = (generation - cursor_tag(old)) & ARENA_TAG_MASK;
		if (ahead >= ARENA_TAG_HALF)
			break;
		new = cursor_move(ahead ? cursor_start(generation) : old,
				  ahead ? size : cursor_offset(old) + size);
	} while (!atomic_long_try_cmpxchg(&arena->deep_used, &old, new));
	atomic_long_inc(&arena->deep_allocs);
}

/* Count an object of @generation, which may be over by now. */
void arena_account(struct arena *arena, struct arena_slot *slot, unsigned long generation,
		   size_t size)
{
	if (unlikely(!slot)) {
		deep_count(arena, generation, size);
		return;
	}
	if (slot->generation != generation) {
		if (generation < slot->generation)
			return;
		slot_adopt(slot, generation);
	}
	slot_count(slot, size);
}

/* Whatever is claimed from here on in this generation is counted: so that a rewind can. */
void arena_count_from_here(struct arena *arena)
{
	long cursor;

	preempt_disable();
	cursor = atomic_long_read(&arena->cursor);
	while (cursor_settled(cursor) && !cursor_count(arena, &cursor))
		;
	preempt_enable();
}

/* @nr objects more, or fewer, than claims have counted. */
void arena_count_objects(struct arena *arena, int nr)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);

	/* A sum over slots: one of them may well be below zero. */
	if (likely(slot))
		/* Who reads it from elsewhere shows it, no more. */
		data_race(slot->allocs += nr);
	else
		atomic_long_add(nr, &arena->deep_allocs);
	arena_leave(cpu);
}

/*
 * Remember the slab of a claim: what comes next in it, in this generation, need not
 * look it up. Interrupts see the window closed until it is complete.
 */
static void window_open(struct arena *arena, struct arena_cpu *cpu, const struct claim *claim)
{
	const size_t size = arena_slab_size(arena);
	size_t start = ALIGN_DOWN(claim->object, size), end = min(start + size, arena->capacity);
	unsigned long closed = cursor_start(claim->generation);
	unsigned long limit = cursor_move(closed, ALIGN_DOWN(end, ARENA_WORD));

	if (cpu->zero_limit == limit)
		return;
	WRITE_ONCE(cpu->limit, closed);
	WRITE_ONCE(cpu->zero_limit, closed);
	barrier();
	WRITE_ONCE(cpu->delta, (unsigned long)claim->base -
			       (cursor_move(closed, start) << ARENA_GRAIN_SHIFT));
	barrier();
	WRITE_ONCE(cpu->zero_limit, limit);
	if (!arena->zero)
		WRITE_ONCE(cpu->limit, limit);
}

/* Count what was claimed, and be quicker next time. */
static __always_inline void claim_done(struct arena *arena, struct arena_cpu *cpu,
				       struct arena_slot *slot, const struct claim *claim,
				       size_t size)
{
	if (claim->counted) {
		arena_account(arena, slot, claim->generation, size);
		return;
	}
	local_inc(&cpu->allocs);
	if (slot == cpu->slot)
		window_open(arena, cpu, claim);
}

/* Claim exactly one object: all that a dense arena does, and nesting too deep for a slot. */
int arena_claim_object(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		       size_t size, size_t align, bool zero, struct arena_place *place)
{
	struct claim claim;
	int err;

	err = cursor_claim(arena, arena_look(arena), NULL, size, align, 0, &claim);
	place->offset = claim.object;
	if (err)
		return err;
	if (zero) {
		err = claim_zero(arena, cpu, &claim, claim.object, claim.end);
		if (err)
			return err;
	}
	claim_done(arena, cpu, slot, &claim, size);
	arena_mark_note(arena, claim.generation, claim.from, claim.end, size);
	place_set(place, claim.generation, claim.object,
		  claim_address(arena, &claim, claim.object));
	return 0;
}

/* One try, with preemption off. */
static int try_claim(struct arena *arena, size_t size, size_t align, bool zero,
		     struct arena_place *place)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	int err;

	if (arena->spans && slot && size <= ARENA_SPAN_MAX)
		err = arena_slot_claim(arena, cpu, slot, size, align, zero, place);
	else
		err = arena_claim_object(arena, cpu, slot, size, align, zero, place);
	arena_leave(cpu);
	return err;
}

/* What stood in the way of a claim: remove it, or say why not. 0 means try again. */
static int make_way(struct arena *arena, int err, size_t offset, gfp_t gfp)
{
	switch (err) {
	case -EAGAIN:
		return arena_slab_install(arena, arena_peek(arena).generation & 1,
					  offset >> arena->slab_shift, gfp);
	case -EBUSY:
		return arena_settle_wait(arena, gfp) ? 0 : -ENOMEM;
	case -ESTALE:	/* A reset came between: the object died before it was born. */
		return 0;
	default:
		return err;
	}
}

/*
 * Write @src, or zeroes, to a place of @generation, slab by slab and never
 * long with preemption off. False if the generation ended meanwhile.
 */
bool arena_write(struct arena *arena, unsigned long generation, size_t offset,
		 const void *src, size_t size, gfp_t gfp)
{
	const size_t mask = arena_slab_size(arena) - 1;

	while (size) {
		size_t chunk = min3(size, (offset | mask) + 1 - offset, (size_t)ARENA_COPY_CHUNK);
		struct arena_cpu *cpu = arena_enter(arena);
		bool live = arena_write_begin(arena, cpu, generation);

		if (live) {
			void *base = READ_ONCE(arena_entry(arena, generation, offset)->base);
			void *to = base + (offset & mask);

			if (src)
				memcpy(to, src, chunk);
			else
				memset(to, 0, chunk);
			arena_write_end(cpu);
		}
		arena_leave(cpu);
		if (!live)
			return false;
		src = src ? src + chunk : NULL;
		offset += chunk;
		size -= chunk;
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
	}
	return true;
}

/* As arena_write(), of zeroes to an object just claimed; -ESTALE where that says false. */
static int zero_place(struct arena *arena, const struct arena_place *place, size_t size, gfp_t gfp)
{
	if (arena_write(arena, place->generation, place->offset, NULL, size, gfp))
		return 0;
	arena_uncount(arena);
	return -ESTALE;
}

/* The cursor has nothing left, but spans may: only for who can wait for them. */
static int claim_left_over(struct arena *arena, size_t size, size_t align, bool zero, gfp_t gfp,
			   struct arena_place *place)
{
	int err;

	if (!arena->spans || !gfpflags_allow_blocking(gfp))
		return -ENOSPC;
	err = arena_claim_tail(arena, size, size, align, place);
	if (!err && zero)
		err = zero_place(arena, place, size, gfp);
	return err;
}

static int claim_small(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;
	/* Preemption is not off for long where the caller may be preempted. */
	bool later = zero && size > ARENA_COPY_CHUNK && gfpflags_allow_blocking(gfp);
	int err;

	place->offset = 0;
	do {
		err = try_claim(arena, size, align, zero && !later, place);
		if (!err && later)
			err = zero_place(arena, place, size, gfp);
		if (err == -ENOSPC)
			err = claim_left_over(arena, size, align, zero, gfp, place);
		if (likely(!err))
			return 0;
		err = make_way(arena, err, place->offset, gfp);
	} while (!err);
	return err;
}

void arena_count_failure(struct arena *arena, int err)
{
	enum arena_fail cause = err == -ENOSPC ? ARENA_FAIL_SPACE :
				err == -ENOMEM ? ARENA_FAIL_MEMORY : ARENA_FAIL_ARG;

	this_cpu_inc(arena->cpu->fails[cause]);
}

int arena_claim_untold(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place)
{
	bool large = size > arena_slab_size(arena);

	if (!size || !is_power_of_2(align) ||
	    align > (large ? PAGE_SIZE : arena_slab_size(arena)))
		return -EINVAL;
	if (size > arena->capacity)
		return -ENOSPC;
	if (large)
		return arena_claim_large(arena, size, gfp, place);
	return claim_small(arena, size, align, gfp, place);
}

/* Count and trace what became of a claim. Returns @err. */
int arena_claim_tell(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		     const struct arena_place *place, int err)
{
	if (unlikely(err)) {
		arena_count_failure(arena, err);
		arena_tell_fail(arena, size, align, gfp, err);
		return err;
	}
	arena_tell_alloc(arena, place->generation, place->offset, size, align, gfp);
	return 0;
}

int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place)
{
	int err = arena_claim_untold(arena, size, align, gfp, place);

	return arena_claim_tell(arena, size, align, gfp, place, err);
}

int arena_claim_copy(struct arena *arena, const void *src, size_t size, size_t align,
		     gfp_t gfp, struct arena_place *place)
{
	for (;;) {
		int err = arena_claim(arena, size, align, gfp & ~__GFP_ZERO, place);

		if (err || arena_write(arena, place->generation, place->offset, src, size, gfp))
			return err;
		arena_uncount(arena);
	}
}

static noinline void *alloc_slow(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_place place;

	size = size_with_address(arena, size);
	return arena_claim(arena, size, align, gfp, &place) ? NULL : place.ptr;
}

/* One object of a dense arena that has nobody's marks to keep, at depth 1. */
static noinline void *dense_claim(struct arena *arena, size_t size, size_t align, bool zero)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct claim claim = {};	/* lest the compiler does it, with a string operation */
	void *object = NULL;

	/* Who has marks open notes each allocation; much is not zeroed in one go. */
	if (likely(READ_ONCE(cpu->depth) == 1 && size - 1 < arena_slab_size(arena) &&
		   !(zero && size > ARENA_COPY_CHUNK) && !READ_ONCE(arena->marks)) &&
	    likely(!cursor_claim(arena, arena_look(arena), NULL, size, align, 0, &claim)) &&
	    likely(!zero || !claim_zero(arena, cpu, &claim, claim.object, claim.end))) {
		claim_done(arena, cpu, cpu->slot, &claim, size);
		object = claim_address(arena, &claim, claim.object);
	}
	arena_leave(cpu);
	return object;
}

/* From the span of this CPU, if there is one with room and nothing nests. */
static __always_inline void *bump_span(struct arena *arena, struct arena_cpu *cpu, size_t size)
{
	struct arena_slot *slot = cpu->slot;
	void *object = NULL;
	unsigned long taken;

	barrier();
	taken = slot->taken;
	/* A revocation on its way: either look will do, see revoke(). */
	if (likely(data_race(slot->span) == READ_ONCE(arena->generation)) &&
	    likely(taken + size <= slot->limit)) {
		object = (void *)(taken + slot->delta);
		/* Who reads them from elsewhere shows them, no more. */
		WRITE_ONCE(slot->taken, taken + size);
		/* The same. */
		data_race(slot->allocs++);
	} else if (!cpu->spans) {
		/* The gate came round, by way of all numbers: not again for as long. */
		WRITE_ONCE(cpu->gate, 2);
	}
	barrier();
	/* Who interrupts this leaves what it found. */
	data_race(cpu->gate--);
	return object;
}

/*
 * From the window of this CPU: moving the cursor is all there is to do. An interrupt
 * that opens another window has moved the cursor: then what was read before it does not
 * matter.
 */
static __always_inline bool bump_window(struct arena *arena, struct arena_cpu *cpu,
					const unsigned long *limit, size_t size, size_t align,
					void **place)
{
	unsigned long cursor, next, object;

	do {
		cursor = atomic_long_read(&arena->cursor);
		next = cursor + (size >> ARENA_GRAIN_SHIFT);
		/*
		 * In a circle: what is ahead by up to half a turn of the tag is outside, and
		 * nothing is further off: preemption is off, see wrapped(). Who writes the
		 * window meanwhile makes the exchange fail, or closes it.
		 */
		if (unlikely((long)(data_race(*limit) - next) < 0))
			return false;
		if (align > ARENA_WORD && (cursor << ARENA_GRAIN_SHIFT) % align)
			return false;
		/*
		 * Neither before the cursor nor after the exchange: there may be another
		 * window then.
		 */
		object = (cursor << ARENA_GRAIN_SHIFT) + READ_ONCE(cpu->delta);
	} while (unlikely(!atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, next)));
	local_inc(&cpu->allocs);
	*place = (void *)object;
	return true;
}

/*
 * The same, zeroed. A writer counts itself in before the compare-and-swap, which is a
 * full barrier and proves that the generation is not over: A of "DOC: generations". Who
 * finds the window closed is not going to write, and does not count itself: that would
 * keep a new generation from beginning.
 */
static __always_inline void *bump_zeroed(struct arena *arena, struct arena_cpu *cpu, size_t size,
					 size_t align)
{
	unsigned long cursor, next, object;
	bool moved;

	do {
		cursor = atomic_long_read(&arena->cursor);
		next = cursor + (size >> ARENA_GRAIN_SHIFT);
		/* As there: who writes it meanwhile makes the exchange fail, or closes it. */
		if (unlikely((long)(data_race(cpu->zero_limit) - next) < 0))
			return NULL;
		if (align > ARENA_WORD && (cursor << ARENA_GRAIN_SHIFT) % align)
			return NULL;
		/* As there. */
		object = (cursor << ARENA_GRAIN_SHIFT) + READ_ONCE(cpu->delta);
		WRITE_ONCE(cpu->writers, READ_ONCE(cpu->writers) + 1);
		moved = atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, next);
		if (likely(moved))
			zero_words((void *)object, size);
		arena_write_end(cpu);
	} while (unlikely(!moved));
	local_inc(&cpu->allocs);
	return (void *)object;
}

static noinline void *bump_zeroed_words(struct arena *arena, struct arena_cpu *cpu, size_t size)
{
	return bump_zeroed(arena, cpu, size, 1);
}

/*
 * @size arena_is_words(). NULL where more is to be done: in a dense arena whose objects are
 * zeroed, always, unless @zeroed.
 */
static __always_inline void *bump_words(struct arena *arena, size_t size, bool zeroed)
{
	struct arena_cpu *cpu;
	void *object;

	preempt_disable();
	cpu = this_cpu_ptr(arena->cpu);
	/* Who interrupts this leaves what it found, or nobody cares. */
	if (likely(!data_race(++cpu->gate))) {
		object = bump_span(arena, cpu, size);
		preempt_enable();
		return object;
	}
	if (likely(bump_window(arena, cpu, &cpu->limit, size, 1, &object))) {
		preempt_enable();
		return object;
	}
	if (cpu->spans)
		/* The same. */
		data_race(cpu->gate--);
	object = zeroed && arena->zero && !cpu->spans ? bump_zeroed_words(arena, cpu, size) : NULL;
	preempt_enable();
	return object;
}

/**
 * __arena_alloc_words() - The fast path of arena_alloc(), without the rest.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0: a multiple of %ARENA_WORD, at most %ARENA_WORDS_MAX.
 *
 * Context: Any.
 * Return: An object, or NULL: then __arena_alloc_more() may have one.
 */
void *__arena_alloc_words(struct arena *arena, size_t size)
{
	return arena_traced_allocs() ? NULL : bump_words(arena, size, true);
}
EXPORT_SYMBOL_GPL(__arena_alloc_words);

/**
 * __arena_alloc_more() - The rest of arena_alloc(): what the fast path had not.
 * @arena: the arena, not NULL.
 * @size:  see __arena_alloc_words().
 * @gfp:   see arena_alloc(), without __GFP_ZERO.
 *
 * Context: As arena_alloc().
 * Return: As arena_alloc().
 */
void *__arena_alloc_more(struct arena *arena, size_t size, gfp_t gfp)
{
	void *object = NULL;

	if (!arena->spans)
		object = dense_claim(arena, size, ARENA_MIN_ALIGN, arena->zero);
	if (object)
		return arena_tell_object(arena, object, size, ARENA_MIN_ALIGN, gfp);
	return alloc_slow(arena, size, ARENA_MIN_ALIGN, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc_more);

/* Whatever @size and @align (a power of two, at most the slab size): from the span. */
static noinline void *alloc_from_span(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = cpu->slot;
	void *object = NULL;

	if (unlikely(READ_ONCE(cpu->gate) ||
		     READ_ONCE(slot->span) != READ_ONCE(arena->generation) ||
		     (gfp & __GFP_ZERO && !slot->zeroed) ||
		     !slot_bump(slot, size, align, &object)))
		object = NULL;
	arena_leave(cpu);
	return object;
}

/* From the window, or by cursor_claim(); NULL where more is to be done. */
static noinline void *alloc_dense(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;
	void *object = NULL;
	struct arena_cpu *cpu;

	if (arena_is_words(size, align) && (zero || align > ARENA_WORD)) {
		preempt_disable();
		cpu = this_cpu_ptr(arena->cpu);
		if (zero)
			object = bump_zeroed(arena, cpu, size, align);
		else
			bump_window(arena, cpu, &cpu->limit, size, align, &object);
		preempt_enable();
	}
	return object ?: dense_claim(arena, size, align, zero);
}

/* What the fast path had not. */
static noinline void *alloc_rest(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	void *object = arena->spans ? alloc_from_span(arena, size, align, gfp) :
				      alloc_dense(arena, size, align, gfp);

	if (likely(object))
		return arena_tell_object(arena, object, size, align, gfp);
	return alloc_slow(arena, size, align, gfp);
}

/*
 * @align is a power of two and at most the slab size. All calls are the last thing that
 * is done: then there is nothing to save on the stack.
 */
static __always_inline void *alloc_any(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	void *object;

	if (arena_is_words(size, align) && align <= ARENA_MIN_ALIGN && !(gfp & __GFP_ZERO)) {
		object = bump_words(arena, size, false);
		if (likely(object))
			return arena_tell_object(arena, object, size, align, gfp);
		if (arena->spans)
			return alloc_slow(arena, size, align, gfp);
	}
	return alloc_rest(arena, size, align, gfp);
}

/**
 * __arena_alloc() - arena_alloc() as a function.
 * @arena: see there.
 * @size:  see there.
 * @gfp:   see there.
 *
 * Context: As arena_alloc().
 * Return: As arena_alloc().
 */
void *__arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
{
	return alloc_any(arena, size, ARENA_MIN_ALIGN, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc);

/**
 * __arena_alloc_aligned() - arena_alloc_aligned() as a function.
 * @arena: see there.
 * @size:  see there.
 * @align: see there.
 * @gfp:   see there.
 *
 * Context: As arena_alloc().
 * Return: As arena_alloc().
 */
void *__arena_alloc_aligned(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	/* The rest is checked on the slow path. */
	if (unlikely(size - 1 >= arena_slab_size(arena) || align > arena_slab_size(arena) ||
		     !is_power_of_2(align)))
		return alloc_slow(arena, size, align, gfp);
	return alloc_any(arena, size, align, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc_aligned);

/**
 * arena_populate() - Commit memory beforehand.
 * @arena: the arena, not NULL.
 * @bytes: from offset 0 on, at most the capacity.
 * @gfp:   how to allocate it.
 *
 * With %ARENA_READERS, in both slab sets. What is committed stays so until
 * arena_reset_release() or arena_destroy(), and is handed out without a lock
 * or the page allocator in any context (clause 2).
 *
 * Context: Any that @gfp fits but NMI.
 * Return: 0; -EINVAL if @bytes exceeds the capacity; -ENOMEM, and then a part may
 * have been committed.
 */
int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp)
{
	int set, err = 0;

	if (bytes > arena->capacity)
		return -EINVAL;
	for (set = 0; bytes && !err && set < ARRAY_SIZE(arena->dirs); set++)
		if (arena->dirs[set])
			err = arena_slabs_populate(arena, set, 0, bytes, gfp);
	return err;
}
EXPORT_SYMBOL_GPL(arena_populate);

struct page *arena_page(const struct arena *arena, size_t offset)
{
	void *base = READ_ONCE(arena_entry(arena, arena_peek(arena).generation, offset)->base);

	return base ? virt_to_page(base + (offset & (arena_slab_size(arena) - 1))) : NULL;
}

/* What the slots counted in @generation. */
static size_t counted_in_slots(const struct arena *arena, unsigned long generation)
{
	unsigned long deep = atomic_long_read(&arena->deep_used);
	size_t used = 0;
	int cpu, i;

	if (cursor_tag(deep) == (generation & ARENA_TAG_MASK))
		used = cursor_offset(deep);
	for_each_possible_cpu(cpu) {
		const struct arena_slot *slot = per_cpu_ptr(arena->cpu, cpu)->slot;

		for (i = 0; i < ARENA_SLOTS; i++)
			/* Pairs with the smp_store_release() in slot_adopt(). */
			if (smp_load_acquire(&slot[i].generation) == generation)
				used += READ_ONCE(slot[i].used) + READ_ONCE(slot[i].taken);
	}
	return used;
}

/* See cursor_count(). */
static size_t used_in_view(const struct arena *arena, const struct arena_view *view)
{
	unsigned long noted;

	if (arena->spans)
		return counted_in_slots(arena, view->generation);
	if (!(view->cursor & ARENA_COUNTED))
		return cursor_offset(view->cursor);
	/*
	 * Pairs with the compare-and-swap of the cursor by whoever claimed after it was
	 * noted: who sees that claim sees the note.
	 */
	smp_rmb();
	noted = atomic_long_read(&arena->uncounted);
	if (cursor_tag(noted) != cursor_tag(view->cursor))
		return cursor_offset(view->cursor);
	return cursor_offset(noted) + counted_in_slots(arena, view->generation);
}

/**
 * arena_offset() - How many bytes have been handed out since the last reset.
 * @arena: the arena, not NULL.
 *
 * The sum of the sizes asked for, without padding: exact when nobody allocates,
 * and otherwise never less than what it was before (clause 7). Not an end: see
 * arena_high().
 *
 * Context: Any. Takes no lock; linear in possible CPUs.
 * Return: Bytes.
 */
size_t arena_offset(const struct arena *arena)
{
	struct arena_view view = arena_peek(arena);

	return used_in_view(arena, &view);
}
EXPORT_SYMBOL_GPL(arena_offset);

/**
 * arena_high() - An offset that no object of this generation ends above.
 * @arena: the arena, not NULL.
 *
 * Context: Any. Takes no lock.
 * Return: Bytes from offset 0.
 */
size_t arena_high(const struct arena *arena)
{
	return min(cursor_offset(atomic_long_read(&arena->cursor)), arena->capacity);
}
EXPORT_SYMBOL_GPL(arena_high);

/**
 * arena_capacity() - The size of the space, as asked for at creation.
 * @arena: the arena, not NULL.
 *
 * Context: Any.
 * Return: Bytes.
 */
size_t arena_capacity(const struct arena *arena)
{
	return arena->capacity;
}
EXPORT_SYMBOL_GPL(arena_capacity);

/* Sums what each CPU counted. */
static void stats_sum(const struct arena *arena, struct arena_stats *stats)
{
	int cpu, i;

	stats->allocs = atomic_long_read(&arena->deep_allocs);
	for_each_possible_cpu(cpu) {
		const struct arena_cpu *c = per_cpu_ptr(arena->cpu, cpu);

		stats->allocs += local_read(&c->allocs);
		stats->fail_space += READ_ONCE(c->fails[ARENA_FAIL_SPACE]);
		stats->fail_memory += READ_ONCE(c->fails[ARENA_FAIL_MEMORY]);
		stats->fail_arg += READ_ONCE(c->fails[ARENA_FAIL_ARG]);
		for (i = 0; i < ARENA_SLOTS; i++)
			/* Each may be below zero, see arena_count_objects(). */
			stats->allocs += (long)READ_ONCE(c->slot[i].allocs);
	}
}

/**
 * arena_stats() - What an arena holds and what it has done (clause 8).
 * @arena: the arena, not NULL.
 * @stats: filled in.
 *
 * A coherent picture when the arena is quiet; while others allocate, each number
 * is one that was true at some moment during the call.
 *
 * Context: Any. Takes no lock; linear in possible CPUs.
 */
void arena_stats(const struct arena *arena, struct arena_stats *stats)
{
	struct arena_view view = arena_peek(arena);

	*stats = (struct arena_stats) {
		.generation	= view.generation,
		.capacity	= arena->capacity,
		.used		= used_in_view(arena, &view),
		.high		= arena_high(arena),
		.committed	= atomic_long_read(&arena->committed),
		.committed_peak	= atomic_long_read(&arena->committed_peak),
		.slab_size	= arena_slab_size(arena),
		.slabs_kept	= READ_ONCE(arena->slabs_kept),
		.resets		= (unsigned long)atomic_long_read(&arena->resets),
		.page_allocs	= atomic_long_read(&arena->page_allocs),
		.page_frees	= atomic_long_read(&arena->page_frees),
		.pool_hits	= atomic_long_read(&arena->pool_hits),
	};
	/* A reset in between: the numbers of two generations do not mix. */
	stats->used = min(stats->used, stats->high);
	stats->padding = stats->high - stats->used;
	stats->free = stats->capacity - stats->high;
	stats->peak = max_t(size_t, atomic_long_read(&arena->peak), stats->high);
	stats->slabs = stats->committed >> arena->slab_shift;
	stats_sum(arena, stats);
}
EXPORT_SYMBOL_GPL(arena_stats);

/* Some page allocators end below ARENA_SLAB_MAX. */
static size_t slab_size_max(void)
{
	return min_t(size_t, ARENA_SLAB_MAX, PAGE_SIZE << ARENA_PAGE_ORDER_MAX);
}

static size_t default_slab_size(size_t capacity)
{
	size_t size = capacity >= SZ_1G ? ARENA_SLAB_MAX : ARENA_SLAB_DEFAULT;

	if (size > capacity)
		size = roundup_pow_of_two(capacity);
	return clamp_t(size_t, size, PAGE_SIZE, slab_size_max());
}

static int config_check(const struct arena_config *config)
{
	const unsigned int known = ARENA_SPANS | ARENA_ON_NODE | ARENA_ACCOUNT | ARENA_ZERO |
				   ARENA_READERS;

	if (!config->capacity || config->capacity > arena_capacity_max())
		return -EINVAL;
	if (config->slab_size && (!is_power_of_2(config->slab_size) ||
				  config->slab_size < PAGE_SIZE ||
				  config->slab_size > slab_size_max()))
		return -EINVAL;
	if (config->flags & ~known)
		return -EINVAL;
	if (config->flags & ARENA_ON_NODE &&
	    (config->node < 0 || config->node >= MAX_NUMNODES || !node_online(config->node)))
		return -EINVAL;
	return 0;
}

static void arena_init(struct arena *arena, const struct arena_config *config,
		       unsigned int flags)
{
	size_t slab_size = config->slab_size ?: default_slab_size(config->capacity);

	arena->flags = config->flags | flags;
	arena->capacity = config->capacity;
	arena->slab_shift = ilog2(slab_size);
	arena->node = config->node;
	arena->spans = config->flags & ARENA_SPANS;
	arena->zero = config->flags & ARENA_ZERO || want_init_on_alloc(0);
	/* Not 0: a slot and a directory entry that were never used have that. */
	arena->generation = ARENA_NEXT_KEEP;
	atomic_long_set(&arena->cursor, cursor_start(arena->generation));
	atomic_long_set(&arena->uncounted, cursor_start(arena->generation - 1));
	refcount_set(&arena->refs, 1);
	raw_spin_lock_init(&arena->reset_lock);
	mutex_init(&arena->reset_mutex);
	mutex_init(&arena->tail_mutex);
	INIT_WORK(&arena->reaper, arena_reaper);
	init_llist_head(&arena->larges);
	strscpy(arena->name, config->name ?: "", sizeof(arena->name));
	/* NULL: of the task, unless the caller has chosen another one to pay. */
	if (arena->flags & ARENA_ACCOUNT)
		arena->memcg = get_mem_cgroup_from_mm(NULL);
}

/* All are alike, but those that are charged to somebody stay with whom they are charged to. */
static bool cpus_may_pool(const struct arena *arena)
{
	return !(arena->flags & ARENA_ACCOUNT);
}

static bool cpus_init(struct arena *arena)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	int cpu;

	if (cpus_may_pool(arena))
		arena->cpu = arena_pool_take_cpus();
	else
		gfp |= __GFP_ACCOUNT;
	if (!arena->cpu)
		arena->cpu = alloc_percpu_gfp(struct arena_cpu, gfp);
	if (!arena->cpu)
		return false;
	for_each_possible_cpu(cpu) {
		struct arena_cpu *c = per_cpu_ptr(arena->cpu, cpu);

		*c = (struct arena_cpu) {
			.spans = arena->spans,
			.gate  = arena->spans ? -1 : 0,
		};
	}
	return true;
}

static void cpus_exit(struct arena *arena)
{
	if (arena->cpu && !(cpus_may_pool(arena) && arena_pool_put_cpus(arena->cpu)))
		free_percpu(arena->cpu);
}

static void arena_free(struct arena *arena)
{
	arena_slabs_exit(arena);
	arena_tails_exit(arena);
	arena_marks_exit(arena);
	cpus_exit(arena);
	mem_cgroup_put(arena->memcg);
	kfree(arena);
}

struct arena *__arena_create(const struct arena_config *config, unsigned int flags)
{
	gfp_t gfp = config->flags & ARENA_ACCOUNT ? __GFP_ACCOUNT : 0;
	struct arena *arena;
	int err;

	BUILD_BUG_ON(offsetof(struct arena_slot, end_offset) > 64);
	BUILD_BUG_ON(offsetof(struct arena_cpu, slot) > 64);
	BUILD_BUG_ON(ARENA_TAG_BITS < 8);
	BUILD_BUG_ON(ARENA_WORD % BIT(ARENA_GRAIN_SHIFT) || ARENA_WORD % ARENA_MIN_ALIGN);

	err = config_check(config);
	if (err)
		return ERR_PTR(err);
	arena = kzalloc_obj(*arena, gfp | ARENA_GFP_META);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena_init(arena, config, flags);
	if (!cpus_init(arena) || arena_slabs_init(arena)) {
		arena_free(arena);
		return ERR_PTR(-ENOMEM);
	}
	arena_debug_add(arena);
	arena_tell_create(arena);
	return arena;
}

/**
 * arena_create() - Make an arena.
 * @config: what it shall be like, see &struct arena_config.
 *
 * Allocates the slab directory, sixteen bytes a slab, and a few hundred bytes for
 * each CPU; slabs come with the first allocation that needs them.
 *
 * Context: Task, may sleep.
 * Return: The arena; ERR_PTR(-EINVAL) for a bad field; ERR_PTR(-ENOMEM).
 */
struct arena *arena_create(const struct arena_config *config)
{
	return __arena_create(config, 0);
}
EXPORT_SYMBOL_GPL(arena_create);

static void arena_release(struct arena *arena)
{
	arena_tell_destroy(arena);
	arena_debug_remove(arena);
	if (arena->flags & ARENA_READERS || READ_ONCE(arena->wrapping))
		rcu_barrier();
	if (arena->had_larges) {
		cancel_work_sync(&arena->reaper);
		arena_reap_larges(arena, 0);
	}
	arena_free(arena);
}

/**
 * arena_get() - Take a reference to an arena.
 * @arena: the arena, not NULL; the caller holds a reference, or excludes the end of
 *	   the last one.
 *
 * Context: Any.
 * Return: @arena.
 */
struct arena *arena_get(struct arena *arena)
{
	refcount_inc(&arena->refs);
	return arena;
}
EXPORT_SYMBOL_GPL(arena_get);

/**
 * arena_put() - Drop a reference to an arena; with the last one it goes.
 * @arena: the arena, or NULL.
 *
 * Context: Task, may sleep.
 */
void arena_put(struct arena *arena)
{
	if (!arena)
		return;
	might_sleep();
	if (refcount_dec_and_test(&arena->refs))
		arena_release(arena);
}
EXPORT_SYMBOL_GPL(arena_put);

/**
 * arena_destroy() - Give back an arena and all that is in it.
 * @arena: the arena, or NULL. Nobody else may be using it, nor hold a reference:
 *	   where there may be other holders, arena_put() is the call.
 *
 * Context: Task, may sleep.
 */
void arena_destroy(struct arena *arena)
{
	/* The others keep it. */
	WARN_ON_ONCE(arena && refcount_read(&arena->refs) != 1);
	arena_put(arena);
}
EXPORT_SYMBOL_GPL(arena_destroy);

static void devm_arena_release(void *arena)
{
	arena_put(arena);
}

/**
 * devm_arena_create() - Make an arena that goes with a device.
 * @dev:    whose unbinding drops the reference.
 * @config: as for arena_create().
 *
 * Context: Task, may sleep.
 * Return: As arena_create().
 */
struct arena *devm_arena_create(struct device *dev, const struct arena_config *config)
{
	struct arena *arena = arena_create(config);
	int err;

	if (IS_ERR(arena))
		return arena;
	err = devm_add_action_or_reset(dev, devm_arena_release, arena);
	return err ? ERR_PTR(err) : arena;
}
EXPORT_SYMBOL_GPL(devm_arena_create);

void arena_set_generation(struct arena *arena, unsigned long generation)
{
	generation &= ~1UL;
	arena->generation = generation;
	atomic_long_set(&arena->cursor, cursor_start(generation));
	atomic_long_set(&arena->uncounted, cursor_start(generation - 1));
	arena_windows_close(arena);
}
