/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inner steps of an allocation: enter, claim, write, count. All of them run with
 * preemption off. "DOC: generations" in core.h says why they are correct.
 */
#ifndef _ARENA_CURSOR_H
#define _ARENA_CURSOR_H

#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "core/core.h"
#include "core/poison.h"

/* Bounds of the size of a span. Each refill doubles the size, each new generation quarters it. */
#define ARENA_SPAN_MIN		SZ_4K
#define ARENA_SPAN_MAX		SZ_64K
/* Allocations zero a span in steps of this size, so that no single one has to zero all of it. */
#define ARENA_SPAN_ZERO		SZ_16K
/* At most this many bytes are copied or zeroed in one section with preemption off. */
#define ARENA_COPY_CHUNK	SZ_64K

/*
 * An allocation relies on being an RCU reader while preemption is off. It is one only where RCU is
 * watching, which is not so in the idle loop or early in kernel entry: warn there. This does
 * nothing without CONFIG_PROVE_RCU.
 */
static __always_inline void arena_assert_rcu(void)
{
	RCU_LOCKDEP_WARN(!rcu_is_watching(), "allocation from an arena where RCU is not watching");
}

/*
 * Enter and leave an allocation, and count it in arena_cpu.depth. The depth needs neither an atomic
 * nor interrupts off: an interrupt between the load and the store of an update restores it before
 * it returns.
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
 * The slot that an allocation may use after arena_enter(). NULL if the CPU has no state, or if this
 * allocation is nested: the interrupted allocation owns the slot.
 */
static inline struct arena_slot *arena_slot(struct arena_cpu *cpu)
{
	if (unlikely(READ_ONCE(cpu->depth) != 1 || READ_ONCE(cpu->slot.span) == ARENA_SPAN_BUSY))
		return NULL;
	return &cpu->slot;
}

static __always_inline void count_objects(struct arena *arena, struct arena_cpu *cpu,
					  unsigned int nr)
{
	if (likely(!arena_cpu_missing(cpu)))
		local_add(nr, &cpu->allocs);
	else
		atomic_long_add(nr, &arena->deep_allocs);
}

/* End a write for which the CPU has counted itself in its state. */
static __always_inline void cpu_write_end(struct arena_cpu *cpu)
{
	/*
	 * Release: pairs with the smp_load_acquire() in late_writers(). A CPU that sees that this
	 * write has ended sees what was written. Otherwise the write could overwrite a new object.
	 */
	smp_store_release(&cpu->writers, READ_ONCE(cpu->writers) - 1);
}

static __always_inline void arena_write_end(struct arena *arena, struct arena_cpu *cpu)
{
	if (unlikely(arena_cpu_missing(cpu))) {
		/*
		 * Release: pairs with the atomic_read_acquire() in late_writers(). A CPU that sees
		 * that this write has ended sees what was written. Otherwise the write could
		 * overwrite a new object.
		 */
		atomic_fetch_dec_release(&arena->writers);
		return;
	}
	cpu_write_end(cpu);
}

/* cpu.c */
bool __arena_may_write(struct arena *arena, const struct arena_cpu *cpu, unsigned long generation);

/*
 * Make the CPU that settles the next generation look at @cpu, the state of this CPU. If this
 * returns true, this CPU may count itself in @cpu as a writer of @generation, which was settled;
 * otherwise it must count itself in arena->writers.
 */
static __always_inline bool arena_may_write(struct arena *arena, const struct arena_cpu *cpu,
					    unsigned long generation)
{
	return likely(cpu == &arena->first_cpu) || __arena_may_write(arena, cpu, generation);
}

/*
 * Count this CPU as a writer, in @writer or, if that is &arena_cpu_none, in arena->writers. Returns
 * the generation of the arena, read after that.
 */
static inline unsigned long write_enter(struct arena *arena, struct arena_cpu *writer)
{
	if (likely(!arena_cpu_missing(writer)))
		WRITE_ONCE(writer->writers, READ_ONCE(writer->writers) + 1);
	else
		atomic_inc(&arena->writers);
	/*
	 * Full barrier A: pairs with B in arena_settle(). If the read below does not see the tag of
	 * a new generation, the CPU that is to settle that generation sees this writer, and does
	 * not settle it before the write has ended. Without A, the write could land in an object of
	 * the new generation.
	 */
	smp_mb();
	return __arena_snap(arena).generation;
}

/*
 * Register as a writer before the allocator itself writes at @to, to memory of @generation. Returns
 * what to pass to arena_write_end(): the state in which the writer is counted, or &arena_cpu_none
 * if it is counted in arena->writers. Returns NULL, with nothing registered, if a reset or rewind
 * has freed that memory: it may belong to another object by now.
 */
static inline struct arena_cpu *arena_write_begin(struct arena *arena, struct arena_cpu *cpu,
						  unsigned long generation, const void *to)
{
	struct arena_cpu *none = (struct arena_cpu *)&arena_cpu_none;
	struct arena_cpu *writer = arena_may_write(arena, cpu, generation) ? cpu : none;
	unsigned long now = write_enter(arena, writer);

	if (likely(now == generation))
		return writer;
	arena_write_end(arena, writer);
	/* If a reset, and not a rewind, began the present generation, it has freed the object. */
	if (!(now & ARENA_GEN_REWOUND))
		return NULL;
	/*
	 * After a rewind, the object may live on. But the CPU that settles the next generation need
	 * not look at @writer, as the bit of this CPU in arena->written is of an older one. Every
	 * settling CPU reads arena->writers, so this CPU counts itself there.
	 */
	now = write_enter(arena, none);
	if (arena_outlives(arena, now, generation, arena_slab_offset(arena, to)))
		return none;
	arena_write_end(arena, none);
	return NULL;
}

/*
 * The caller is about to replace the bytes that @slot has counted by those of another generation.
 * Until it has done so, the slot counts for no generation.
 */
static __always_inline void slot_generation_ends(struct arena_slot *slot)
{
	WRITE_ONCE(slot->generation, 0);
	/*
	 * Pairs with smp_rmb() in counted_in_slots(): a remote reader that sees bytes of the next
	 * generation no longer finds the former generation in @slot. Otherwise it would count the
	 * new bytes for the former generation.
	 */
	smp_wmb();
}

/*
 * Let @slot count for @generation, which is newer than the one that it counted for, and drop its
 * span. In this preempt-off section, the caller has found that the slot was not revoked.
 */
static inline void slot_begin(struct arena_slot *slot, unsigned long generation)
{
	slot_generation_ends(slot);
	if (READ_ONCE(slot->span) != ARENA_SPAN_WINDOW)
		WRITE_ONCE(slot->span, 0);
	WRITE_ONCE(slot->taken, 0);
	slot->limit = 0;
	WRITE_ONCE(slot->ahead, 0);
	/*
	 * A fast path that this allocation has interrupted may write @span back. No claim may be
	 * joined to such a span then, as its address is not that of @end_offset.
	 */
	slot->end_offset = SIZE_MAX;
	slot->want = max_t(unsigned int, slot->want / 4, ARENA_SPAN_MIN);
	WRITE_ONCE(slot->used, 0);
	/*
	 * Release: pairs with the smp_load_acquire() in counted_in_slots(), slot_is_of() and
	 * collect_slot(). A remote reader that sees this generation does not add the bytes
	 * of the former one.
	 */
	smp_store_release(&slot->generation, generation);
}

/*
 * slot_begin(), unless the slot is revoked: then the collecting CPU may be reading the span, and a
 * fast path that this allocation has interrupted may still take an object from it, which must count
 * for the generation of the span. Returns false in this case; then @slot counts for its old
 * generation only, and the caller counts without a slot.
 */
static inline bool slot_adopt(struct arena_slot *slot, unsigned long generation)
{
	/*
	 * Acquire: pairs with the smp_store_release() in collect_slot(). If the slot is not
	 * revoked, the collecting CPU has read all that is overwritten.
	 */
	if (unlikely(smp_load_acquire(&slot->revoked)))
		return false;
	slot_begin(slot, generation);
	return true;
}

/* Count @size bytes that this CPU has claimed outside of its span. */
static __always_inline void slot_count(struct arena_slot *slot, size_t size)
{
	/* Racy with remote readers: statistics only. */
	data_race(slot->used += size);
}

/* Bytes left in the span, whether zeroed or not. */
static inline size_t slot_room(const struct arena_slot *slot)
{
	return slot->limit - slot->taken + slot->ahead;
}

/* Kernel address of the end of the span. */
static inline unsigned long slot_end(const struct arena_slot *slot)
{
	return slot->limit + slot->delta + slot->ahead;
}

/* Bytes that the next object takes from the span, including the padding around it. */
static inline size_t slot_need(const struct arena *arena, const struct arena_slot *slot,
			       size_t size, size_t align)
{
	unsigned long next = slot->taken + slot->delta;

	return ALIGN(next, align) - next + ALIGN(size, ARENA_MIN_ALIGN) + arena_redzone(arena);
}

/* Skip @bytes of the span as padding: they are lost, and do not count as used. */
static __always_inline void slot_pad(struct arena_slot *slot, size_t bytes)
{
	slot->delta += bytes;
	slot->limit -= bytes;
}

static __always_inline void slot_take(struct arena_slot *slot, size_t size)
{
	/* Racy with remote readers: statistics, and slot_has_room(), which only guesses. */
	data_race(slot->taken += size);
}

/*
 * Keep nested allocations out of the span while this allocation works on it: their fast path fails
 * on a busy span, and arena_slot() returns NULL.
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

/*
 * Take an object from the part of the span below @slot->limit. Returns false, with nothing changed,
 * if it does not fit.
 */
static __always_inline bool slot_bump(const struct arena *arena, struct arena_slot *slot,
				      size_t size, size_t align, void **object)
{
	unsigned long start = slot->taken + slot->delta;
	size_t room = slot->limit - slot->taken, pad = 0;

	if (!__builtin_constant_p(align) || align > ARENA_MIN_ALIGN) {
		pad = ALIGN(start, align) - start;
		if (unlikely(pad > room))
			return false;
	}
	/* This refuses size 0, too: 0 - 1 is the largest value of a size_t. */
	if (unlikely(size - 1 >= room - pad))
		return false;
	if (arena_redzone(arena) && slot_need(arena, slot, size, align) > room)
		return false;
	*object = (void *)(start + pad);
	/*
	 * The ready part of the span ends at a multiple of the minimum alignment, so this padding
	 * fits.
	 */
	pad += -size % ARENA_MIN_ALIGN + arena_redzone(arena);
	if (pad)
		slot_pad(slot, pad);
	slot_take(slot, size);
	return true;
}

/*
 * Begin to count bytes in a dense arena, before a claim with padding. While a generation has no
 * padding, the offset in the cursor equals the bytes used, and no CPU counts. The first claim with
 * padding sets %ARENA_COUNTED in the cursor, without moving the offset. After that, a CPU notes
 * this offset in arena->uncounted before its claim can succeed, unless another CPU has done so.
 * From then until the next reset, each claim counts its bytes.
 *
 * *@cursor is a settled word that the caller has just read. Returns false, with the present word in
 * *@cursor, if the cursor or the note has changed since: the caller must start over from that word.
 */
static inline bool cursor_count(struct arena *arena, long *cursor)
{
	long noted, now;

	if (arena->spans)
		return true;
	/*
	 * Read arena->uncounted first, and check below that the generation of @cursor is not over.
	 * So @noted is of no later generation, and the cmpxchg() below overwrites only a note of an
	 * older one.
	 */
	noted = atomic_long_read(&arena->uncounted);
	if (!(*cursor & ARENA_COUNTED)) {
		/* Success is a full barrier: @noted was read while this generation lasted. */
		if (!atomic_long_try_cmpxchg(&arena->cursor, cursor, *cursor | ARENA_COUNTED))
			return false;
		*cursor |= ARENA_COUNTED;
	} else if (unlikely(cursor_tag(noted) != cursor_tag(*cursor))) {
		/*
		 * Pairs with the compare-and-swap in next_generation(): if @noted is of a
		 * later generation, the cursor read below has changed, too.
		 */
		smp_rmb();
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
	 * If the cmpxchg() failed, another CPU has changed the note. If that CPU noted the offset
	 * of this generation, nothing is left to do. If it noted that of an older generation, as it
	 * was late, or if it ran uncounted_renew(), the note of this generation is still missing,
	 * and the caller retries.
	 */
	if (unlikely(now != noted && cursor_tag(now) != cursor_tag(*cursor))) {
		*cursor = atomic_long_read(&arena->cursor);
		return false;
	}
	return true;
}

/**
 * struct claim - a stretch of the space that cursor_claim() has claimed.
 * @generation: the generation of the claim.
 * @from:	offset of the cursor before the claim. @object lies below it if the claim
 *		was joined to the tail of the CPU's span.
 * @object:	offset of the object.
 * @end:	offset of the cursor after the claim.
 * @slab:	directory entry of the slab.
 * @base:	kernel address of the slab.
 * @counted:	the bytes of the object must be counted in a slot.
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

/*
 * Return values beside 0 and errnos. arena_span_claim() returns %ARENA_USE_CURSOR if its caller is
 * to claim from the cursor, and cursor_claim() returns %ARENA_USE_CHECKS if its caller is to call
 * arena_check_claim().
 */
#define ARENA_USE_CURSOR	1
#define ARENA_USE_CHECKS	2

/*
 * Does the span of @slot end at the cursor, so that a claim can be joined to its tail? The span
 * must be busy: otherwise an interrupt could take from the tail meanwhile.
 */
static inline bool slot_joins(const struct arena_slot *slot, const struct arena_snap *snap)
{
	return slot->end_offset == cursor_offset(snap->cursor) &&
	       READ_ONCE(slot->span) == ARENA_SPAN_BUSY && slot->generation == snap->generation;
}

/*
 * Move the cursor past an object of @size bytes. @snap contains the first cursor word to try; if
 * the cursor has moved since, this tries again with its present word. With @want, it claims a span:
 * up to @want bytes from the start of the object, as far as the slab and the capacity permit. If
 * the old span in @slot ends at the cursor, the new one begins with the tail of the old one, so
 * that a CPU that allocates alone leaves no tails behind. Without @want, @slot is not used.
 *
 * Return: 0; -ENOSPC; -EAGAIN if the slab at claim->object is not committed; -EBUSY if the
 * generation is not settled; %ARENA_USE_CHECKS if it is checked (check.c). A failure leaves the
 * offset as it was, and sets claim->object.
 */
static __always_inline int cursor_claim(struct arena *arena, struct arena_snap snap,
					struct arena_slot *slot, size_t size, size_t align,
					size_t want, struct claim *claim)
{
	const size_t mask = arena_slab_size(arena) - 1;
	long cursor = snap.cursor;
	size_t offset, object, end;

	for (;; snap = (struct arena_snap){ cursor_generation(cursor, snap.generation), cursor }) {
		if (unlikely(!cursor_settled(cursor))) {
			claim->object = 0;
			return -EBUSY;
		}
		offset = cursor_offset(cursor);
		object = offset;
		if (want && slot_joins(slot, &snap))
			object -= slot_room(slot);
		object = ALIGN(object, arena_object_align(arena, align));
		/* An object must not straddle two slabs: it begins in the next one if need be. */
		if ((object & mask) + size > mask + 1)
			object = ALIGN(object, mask + 1);
		claim->object = object;
		if (object > arena->capacity || size > arena->capacity - object)
			return -ENOSPC;
		claim->slab = arena_entry(arena, snap.generation, object);
		if (unlikely(!claim->slab))
			return -EAGAIN;
		claim->base = READ_ONCE(claim->slab->base);
		if (unlikely(!claim->base))
			return -EAGAIN;
		end = arena_object_end(arena, object, size);
		if (want)
			end = max3(end, offset, min3(object + want, (object | mask) + 1,
						     arena->capacity));
		if (object != offset || size % ARENA_WORD || arena_redzone(arena) ||
		    cursor & ARENA_COUNTED) {
			/*
			 * A checked generation begins with the bit "counted" set, so each claim in
			 * it gets here.
			 */
			if (arena_is_checked(arena, snap.generation))
				return ARENA_USE_CHECKS;
			if (!cursor_count(arena, &cursor))
				continue;
		}
		if (likely(atomic_long_try_cmpxchg(&arena->cursor, &cursor,
						   cursor_move(cursor, end))))
			break;
	}
	claim->counted = arena->spans || cursor & ARENA_COUNTED;
	claim->generation = snap.generation;
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
 * Is the claimed memory known to be zero? It is if the slab was installed in the generation of the
 * claim, and was all zero at that time: within a generation, a byte is handed out only once, unless
 * an object that shrank has given it back. For such a byte, note_return() has marked the slab.
 */
static inline bool claim_is_clean(const struct claim *claim)
{
	return READ_ONCE(claim->slab->clean) == claim->generation;
}

/*
 * Zero whole words. Where the architecture has memset64(), it starts faster than memset().
 * Sanitizers need arena_zero() instead: KMSAN and KCSAN instrument memset() only, and with KASAN
 * only arena_zero() may write to memory that is no object yet.
 */
static __always_inline void zero_words(void *to, size_t size)
{
#if defined(__HAVE_ARCH_MEMSET64) && !defined(CONFIG_KASAN) && !defined(CONFIG_KMSAN) && \
	!defined(CONFIG_KCSAN)
	memset64(to, 0, size / ARENA_WORD);
#else
	arena_zero(to, size);
#endif
}

static __always_inline void zero_bytes(void *to, size_t size)
{
	if (likely(!(((unsigned long)to | size) % ARENA_WORD)))
		zero_words(to, size);
	else
		arena_zero(to, size);
}

/*
 * Zero memory that was claimed in @generation. Returns 0; or -ESTALE, with nothing written, if a
 * reset or rewind has freed it: it may belong to another object by now.
 */
static noinline int __maybe_unused zero_claimed(struct arena *arena, struct arena_cpu *cpu,
						unsigned long generation, void *to, size_t size)
{
	cpu = arena_write_begin(arena, cpu, generation, to);
	if (!cpu)
		return -ESTALE;
	zero_bytes(to, size);
	arena_write_end(arena, cpu);
	return 0;
}

/*
 * Zero the bytes [@from, @end) of a claim unless they are known to be zero. Returns 0 or -ESTALE.
 */
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
 * The size to claim for a caller that needs the address of the object. In an ARENA_MAPPABLE arena
 * an object larger than a slab has no kernel address: for such an object this returns 0, a size
 * that arena_claim() refuses.
 */
static inline size_t size_with_address(const struct arena *arena, size_t size)
{
	return arena->flags & ARENA_MAPPABLE && size > arena_slab_size(arena) ? 0 : size;
}

/* account.c. Callers have preemption off. */
void arena_account(struct arena *arena, struct arena_slot *slot, unsigned long generation,
		   size_t size);

/* cpu.c. Callers have preemption off. */
void arena_window_open(struct arena *arena, struct arena_cpu *cpu, unsigned long generation,
		       size_t offset, void *base);

/* span.c. Callers have preemption off. */
int arena_span_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     size_t size, size_t align, bool zero, struct arena_place *place);

/* Count the bytes of a claim or, if that is not needed, open the window for the next claim. */
static __always_inline void claim_done(struct arena *arena, struct arena_cpu *cpu,
				       struct arena_slot *slot, const struct claim *claim,
				       size_t size)
{
	if (claim->counted)
		arena_account(arena, slot, claim->generation, size);
	else if (slot)
		arena_window_open(arena, cpu, claim->generation, claim->object, claim->base);
}

/*
 * Open the window of this CPU on the slab that the cursor is in. A CPU that reset a dense arena is
 * likely to allocate from it next, and its first allocation would take the slow path otherwise. A
 * nested reset opens no window, as it may have interrupted code that is opening one.
 */
static __always_inline void arena_window_reopen(struct arena *arena)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	size_t offset = cursor_offset(snap.cursor);
	void *base;

	if (arena_slot(cpu) && cursor_settled(snap.cursor) && offset < arena->capacity) {
		/*
		 * Address dependency from the cursor to the entry: pairs with the compare-and-swap
		 * in arena_settle() after a release of slabs, so that this CPU does not find a
		 * released slab.
		 */
		base = arena_slab_base(arena, snap.generation, offset);
		if (base)
			arena_window_open(arena, cpu, snap.generation, offset, base);
	}
	arena_leave(cpu);
}

#endif /* _ARENA_CURSOR_H */
