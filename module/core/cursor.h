/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How an allocation enters, claims and writes: shared by what runs with
 * preemption off. The reasoning is in "DOC: generations" in core.h.
 */
#ifndef _ARENA_CURSOR_H
#define _ARENA_CURSOR_H

#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "core/core.h"

/* The first span of a generation, and what doubling ends at. */
#define ARENA_SPAN_MIN		SZ_4K
#define ARENA_SPAN_MAX		SZ_64K
/* How much of a span is zeroed at once: so that no allocation takes long. */
#define ARENA_SPAN_ZERO		SZ_16K
/* Preemption is off for one slab copy at a time, and for no more than this. */
#define ARENA_COPY_CHUNK	SZ_64K

/*
 * Preemption off makes a reader only where RCU is watching: not in the idle loop, nor on
 * the way into the kernel. Nothing at all without CONFIG_PROVE_RCU.
 */
static __always_inline void arena_assert_rcu(void)
{
	RCU_LOCKDEP_WARN(!rcu_is_watching(), "allocation from an arena where RCU is not watching");
}

/*
 * Enter and leave an allocation. Not atomic, no interrupts off: an interrupt
 * between load and store puts back what it found.
 */
static __always_inline struct arena_cpu *arena_enter(struct arena *arena)
{
	struct arena_cpu *cpu;

	preempt_disable();
	arena_assert_rcu();
	cpu = arena_cpu_find(arena);
	if (!arena_cpu_missing(cpu))
		WRITE_ONCE(cpu->depth, READ_ONCE(cpu->depth) + 1);
	barrier();
	return cpu;
}

static __always_inline void arena_leave(struct arena_cpu *cpu)
{
	barrier();
	if (!arena_cpu_missing(cpu))
		WRITE_ONCE(cpu->depth, READ_ONCE(cpu->depth) - 1);
	preempt_enable();
}

/*
 * The slot, for the caller of arena_enter(). NULL where the CPU has no state, or where this
 * allocation interrupts another one of the same arena: that one owns the slot.
 */
static inline struct arena_slot *arena_slot(struct arena_cpu *cpu)
{
	if (unlikely(READ_ONCE(cpu->depth) != 1 || READ_ONCE(cpu->slot.span) == ARENA_SPAN_BUSY))
		return NULL;
	return &cpu->slot;
}

/* One more object, or @nr. A sum over CPUs: one of them may well be below zero. */
static __always_inline void count_objects(struct arena *arena, struct arena_cpu *cpu, int nr)
{
	if (likely(!arena_cpu_missing(cpu)))
		local_add(nr, &cpu->allocs);
	else
		atomic_long_add(nr, &arena->deep_allocs);
}

static __always_inline void arena_write_end(struct arena *arena, struct arena_cpu *cpu)
{
	if (unlikely(arena_cpu_missing(cpu))) {
		/* Release: pairs with the atomic_read_acquire() in late_writers(). */
		atomic_fetch_dec_release(&arena->writers);
		return;
	}
	/* Release: pairs with the smp_load_acquire() in late_writers(). */
	smp_store_release(&cpu->writers, READ_ONCE(cpu->writers) - 1);
}

/*
 * Before the allocator itself writes at @to, to memory of @generation. False if a reset
 * or rewind has freed that since: then the memory may belong to another object.
 */
static inline bool arena_write_begin(struct arena *arena, struct arena_cpu *cpu,
				     unsigned long generation, const void *to)
{
	unsigned long now;

	if (likely(!arena_cpu_missing(cpu)))
		WRITE_ONCE(cpu->writers, READ_ONCE(cpu->writers) + 1);
	else
		atomic_inc(&arena->writers);
	/*
	 * Full barrier A: pairs with B in arena_settle(). If the look below
	 * does not see a new tag, then whoever settles that tag sees us
	 * counted and does not hand the memory out again.
	 */
	smp_mb();
	now = arena_look(arena).generation;
	if (likely(now == generation) ||
	    arena_outlives(arena, now, generation, arena_slab_offset(arena, to)))
		return true;
	arena_write_end(arena, cpu);
	return false;
}

/*
 * Let @slot count for @generation, which is newer than the one it counted for.
 * While the slot is revoked, its span is somebody else's to look at.
 */
static inline void slot_adopt(struct arena_slot *slot, unsigned long generation)
{
	/* Acquire: pairs with the smp_store_release() in collect_slot(). */
	bool revoked = smp_load_acquire(&slot->revoked);

	if (!revoked) {
		if (slot->span != ARENA_SPAN_WINDOW)
			WRITE_ONCE(slot->span, 0);
		WRITE_ONCE(slot->taken, 0);
		slot->limit = 0;
		WRITE_ONCE(slot->ahead, 0);
	}
	/* Before the generation: who collects for it must not take what is left there. */
	WRITE_ONCE(slot->stale, revoked);
	slot->want = max_t(unsigned int, slot->want / 4, ARENA_SPAN_MIN);
	WRITE_ONCE(slot->used, -slot->taken);
	/*
	 * Release: pairs with the smp_load_acquire() in counted_in_slots().
	 * Who sees this generation does not see what was used in the last one.
	 */
	smp_store_release(&slot->generation, generation);
}

/* Count what was not taken from the span. */
static __always_inline void slot_count(struct arena_slot *slot, size_t size)
{
	/* Who reads them from elsewhere shows them, no more. */
	data_race(slot->used += size);
}

/* What is left of the span. */
static inline size_t slot_room(const struct arena_slot *slot)
{
	return slot->limit - slot->taken + slot->ahead;
}

/* Where the span ends, as a kernel address. */
static inline unsigned long slot_end(const struct arena_slot *slot)
{
	return slot->limit + slot->delta + slot->ahead;
}

/* What of that the next object would take, with the padding before and after it. */
static inline size_t slot_need(const struct arena_slot *slot, size_t size, size_t align)
{
	unsigned long next = slot->taken + slot->delta;

	return ALIGN(next, align) - next + ALIGN(size, ARENA_MIN_ALIGN);
}

/* Padding: the next object begins further on, and there is as much less room. */
static __always_inline void slot_pad(struct arena_slot *slot, size_t bytes)
{
	slot->delta += bytes;
	slot->limit -= bytes;
}

static __always_inline void slot_take(struct arena_slot *slot, size_t size)
{
	/* Who reads them from elsewhere shows them, no more. */
	data_race(slot->taken += size);
}

/*
 * While the owner works on a span that is of the present generation, interrupts find it
 * busy: their fast path fails, and arena_slot() refuses it.
 */
static __always_inline void slot_busy(struct arena_slot *slot)
{
	WRITE_ONCE(slot->span, ARENA_SPAN_BUSY);
	barrier();
}

static __always_inline void slot_idle(struct arena_slot *slot, unsigned long generation)
{
	barrier();
	WRITE_ONCE(slot->span, generation);
}

/* Take from the span, or leave everything as it was. */
static __always_inline bool slot_bump(struct arena_slot *slot, size_t size, size_t align,
				      void **object)
{
	unsigned long start = slot->taken + slot->delta;
	size_t room = slot->limit - slot->taken, pad = 0;

	if (!__builtin_constant_p(align) || align > ARENA_MIN_ALIGN) {
		pad = ALIGN(start, align) - start;
		if (unlikely(pad > room))
			return false;
	}
	/* Size 0 is refused here too: 0 - 1 is never less. */
	if (unlikely(size - 1 >= room - pad))
		return false;
	*object = (void *)(start + pad);
	/* The end is aligned: up to there is room for it. */
	pad += -size % ARENA_MIN_ALIGN;
	if (pad)
		slot_pad(slot, pad);
	slot_take(slot, size);
	return true;
}

/*
 * Counting. Without spans, what has been handed out is what the cursor says: as
 * long as there is no padding, nobody counts. The first claim that pads sets
 * %ARENA_COUNTED in the cursor, which moves nothing; where the cursor stood then is
 * noted in arena->uncounted before anybody claims again, by whoever comes; and from
 * there on everybody counts in a slot, until the next reset.
 *
 * False if @cursor, a settled word just read, was no longer true and has been read
 * anew.
 */
static inline bool cursor_count(struct arena *arena, long *cursor)
{
	long noted, now;

	if (arena->spans)
		return true;
	/* Before it is seen that the generation is not over: so the note is of no later one. */
	noted = atomic_long_read(&arena->uncounted);
	if (!(*cursor & ARENA_COUNTED)) {
		/* Full barrier. */
		if (!atomic_long_try_cmpxchg(&arena->cursor, cursor, *cursor | ARENA_COUNTED))
			return false;
		*cursor |= ARENA_COUNTED;
	} else if (unlikely(cursor_tag(noted) != cursor_tag(*cursor))) {
		smp_rmb();	/* Pairs with the compare-and-swap in next_generation(). */
		now = atomic_long_read(&arena->cursor);
		if (now != *cursor) {
			*cursor = now;
			return false;
		}
	}
	if (likely(cursor_tag(noted) == cursor_tag(*cursor)))
		return true;
	now = atomic_long_cmpxchg(&arena->uncounted, noted, *cursor & ~ARENA_COUNTED);
	/*
	 * Noted by whoever came first, for this generation; or late, for the one before, or
	 * by uncounted_renew(). Then it is still to be noted.
	 */
	if (unlikely(now != noted && cursor_tag(now) != cursor_tag(*cursor))) {
		*cursor = atomic_long_read(&arena->cursor);
		return false;
	}
	return true;
}

/**
 * struct claim - a stretch of the space that the cursor handed out.
 * @generation: in which.
 * @from:	first byte that was not ours before.
 * @object:	where the object begins.
 * @end:	first byte that is not ours.
 * @slab:	directory entry.
 * @base:	kernel address of the slab.
 * @counted:	to be counted in a slot.
 */
struct claim {
	unsigned long		generation;
	size_t			from;
	size_t			object;
	size_t			end;
	struct arena_slab	*slab;
	void			*base;
	bool			counted;
};

/* The cursor stands where the span ends: nobody else has claimed anything since. */
static inline bool slot_joins(const struct arena_slot *slot, const struct arena_view *view)
{
	return slot->end_offset == cursor_offset(view->cursor) &&
	       READ_ONCE(slot->span) == view->generation;
}

/*
 * Move the cursor from where it was in @view, or is, past an object, and up to @want
 * bytes from its begin if the slab and the capacity have them. The tail of @slot's
 * span, if it ends where the cursor stands, is joined with what is claimed: a CPU that
 * is alone wastes nothing.
 *
 * 0; -ENOSPC; -EAGAIN if the slab at claim->object is not committed; -EBUSY if
 * the generation is not settled. Only success changes anything.
 */
static __always_inline int cursor_claim(struct arena *arena, struct arena_view view,
					struct arena_slot *slot, size_t size, size_t align,
					size_t want, struct claim *claim)
{
	const size_t mask = arena_slab_size(arena) - 1;
	long cursor = view.cursor;
	size_t offset, object, end;

	for (;; view = (struct arena_view){ cursor_generation(cursor, view.generation), cursor }) {
		if (unlikely(!cursor_settled(cursor))) {
			claim->object = 0;
			return -EBUSY;
		}
		offset = cursor_offset(cursor);
		object = offset;
		if (want && slot_joins(slot, &view))
			object -= slot_room(slot);
		object = ALIGN(object, align);
		/* An object lies within one slab. */
		if ((object & mask) + size > mask + 1)
			object = ALIGN(object, mask + 1);
		claim->object = object;
		if (object > arena->capacity || size > arena->capacity - object)
			return -ENOSPC;
		claim->slab = arena_entry(arena, view.generation, object);
		if (unlikely(!claim->slab))
			return -EAGAIN;
		claim->base = READ_ONCE(claim->slab->base);
		if (unlikely(!claim->base))
			return -EAGAIN;
		end = object + size;
		if (want)
			end = max3(end, offset, min3(object + want, (object | mask) + 1,
						     arena->capacity));
		if ((object != offset || size % ARENA_WORD || cursor & ARENA_COUNTED) &&
		    !cursor_count(arena, &cursor))
			continue;
		if (likely(atomic_long_try_cmpxchg(&arena->cursor, &cursor,
						   cursor_move(cursor, end))))
			break;
	}
	claim->counted = arena->spans || cursor & ARENA_COUNTED;
	claim->generation = view.generation;
	claim->from = offset;
	claim->end = end;
	return 0;
}

static inline void *claim_address(const struct arena *arena, const struct claim *claim,
				  size_t offset)
{
	return claim->base + (offset & (arena_slab_size(arena) - 1));
}

/*
 * In this generation the slab was zero when installed, and within a generation nothing
 * is handed out twice: a rewind begins another one.
 */
static inline bool claim_is_clean(const struct claim *claim)
{
	return READ_ONCE(claim->slab->clean) == claim->generation;
}

/*
 * By words: the processors that have an instruction for it begin sooner than with
 * bytes. Sanitizers know memset() only.
 */
static __always_inline void zero_words(void *to, size_t size)
{
#if defined(__HAVE_ARCH_MEMSET64) && !defined(CONFIG_KASAN) && !defined(CONFIG_KMSAN) && \
	!defined(CONFIG_KCSAN)
	memset64(to, 0, size / ARENA_WORD);
#else
	memset(to, 0, size);
#endif
}

static __always_inline void zero_bytes(void *to, size_t size)
{
	if (likely(!(((unsigned long)to | size) % ARENA_WORD)))
		zero_words(to, size);
	else
		memset(to, 0, size);
}

/*
 * Zero memory that @generation handed out. -ESTALE if it is over: then it may be
 * somebody else's by now.
 */
static noinline int __maybe_unused zero_claimed(struct arena *arena, struct arena_cpu *cpu,
						unsigned long generation, void *to, size_t size)
{
	if (!arena_write_begin(arena, cpu, generation, to))
		return -ESTALE;
	zero_bytes(to, size);
	arena_write_end(arena, cpu);
	return 0;
}

/* Zero [@from, @end) of a claim unless it is known to be zero. */
static __always_inline int claim_zero(struct arena *arena, struct arena_cpu *cpu,
				      const struct claim *claim, size_t from, size_t end)
{
	return claim_is_clean(claim) ? 0 :
	       zero_claimed(arena, cpu, claim->generation,
			    claim_address(arena, claim, from), end - from);
}

static inline void place_set(struct arena_place *place, unsigned long generation, size_t offset,
			     void *ptr)
{
	place->generation = generation;
	place->offset = offset;
	place->ptr = ptr;
}

/*
 * Size of an object that is asked for by its address. In an arena of programs there is none
 * for what is larger than a slab: that is refused, as one of no bytes is.
 */
static inline size_t size_with_address(const struct arena *arena, size_t size)
{
	return arena->flags & ARENA_MAPPABLE && size > arena_slab_size(arena) ? 0 : size;
}

/* account.c: with preemption off */
void arena_account(struct arena *arena, struct arena_slot *slot, unsigned long generation,
		   size_t size);

/* claim.c: with preemption off */
void arena_window_open(struct arena *arena, struct arena_cpu *cpu, const struct claim *claim);
int arena_claim_object(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		       size_t size, size_t align, bool zero, struct arena_place *place);

/* span.c: with preemption off */
int arena_slot_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     size_t size, size_t align, bool zero, struct arena_place *place);

/* Count what was claimed, and be quicker next time. */
static __always_inline void claim_done(struct arena *arena, struct arena_cpu *cpu,
				       struct arena_slot *slot, const struct claim *claim,
				       size_t size)
{
	count_objects(arena, cpu, 1);
	if (claim->counted)
		arena_account(arena, slot, claim->generation, size);
	else if (slot)
		arena_window_open(arena, cpu, claim);
}

#endif /* _ARENA_CURSOR_H */
