// SPDX-License-Identifier: GPL-2.0
/*
 * The allocation calls: their fast paths first.
 */
#include <linux/export.h>
#include <linux/log2.h>

#include "core/cursor.h"
#include "core/events.h"

static noinline void *alloc_slow(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_place place;

	size = size_with_address(arena, size);
	return arena_claim(arena, size, align, gfp, &place) ? NULL : place.ptr;
}

/* One object of a dense arena, at depth 1. */
static noinline void *dense_claim(struct arena *arena, size_t size, size_t align, bool zero)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct claim claim = {};	/* lest the compiler does it, with a string operation */
	void *object = NULL;

	/* Large objects are zeroed in several steps, with preemption on in between. */
	if (likely(arena_slot(cpu) && size - 1 < arena_slab_size(arena) &&
		   !(zero && size > ARENA_COPY_CHUNK)) &&
	    likely(!cursor_claim(arena, arena_look(arena), NULL, size, align, 0, &claim)) &&
	    likely(!zero || !claim_zero(arena, cpu, &claim, claim.object, claim.end))) {
		claim_done(arena, cpu, &cpu->slot, &claim, size);
		object = claim_address(arena, &claim, claim.object);
	}
	arena_leave(cpu);
	return object;
}

/* One object of an arena with spans, from a new span if need be, not nested. */
static noinline void *span_claim(struct arena *arena, size_t size)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	struct arena_place place = {};

	if (unlikely(!slot || arena_slot_claim(arena, cpu, slot, size, ARENA_MIN_ALIGN,
					       arena->zero, &place)))
		place.ptr = NULL;
	arena_leave(cpu);
	return place.ptr;
}

/*
 * From the span of this CPU, which was just seen to be of @generation. An interrupt in
 * between has left it usable; from here on one finds it busy.
 */
static __always_inline void *bump_span(struct arena_cpu *cpu, unsigned long generation,
				       size_t size)
{
	struct arena_slot *slot = &cpu->slot;
	void *object = NULL;
	unsigned long taken;

	WRITE_ONCE(slot->span, ARENA_SPAN_BUSY);
	barrier();
	taken = slot->taken;
	if (likely(taken + size <= slot->limit)) {
		object = (void *)(taken + slot->delta);
		local_inc(&cpu->allocs);
		/* Racy with a remote reader: statistics only. */
		WRITE_ONCE(slot->taken, taken + size);
	}
	barrier();
	WRITE_ONCE(slot->span, generation);
	return object;
}

/*
 * From the window of this CPU: moving the cursor is all there is to do. An interrupt
 * that opens another window has moved the cursor: then what was read before it does not
 * matter. False if the object is not in the window; or, with the new value in @cursor, if
 * that has moved.
 */
static __always_inline bool bump_window_once(struct arena *arena, struct arena_cpu *cpu,
					     unsigned long *cursor, size_t size, void **object)
{
	unsigned long next = *cursor + size, delta;

	/*
	 * In a circle: what is ahead by up to half a turn of the tag is outside, and
	 * nothing is further off: preemption is off, see wrapped(). A write to the window
	 * meanwhile makes the exchange fail, or closes it.
	 */
	if (unlikely((long)(data_race(cpu->limit) - next) < 0))
		return false;
	/* Neither before the cursor nor after the exchange: there may be another window then. */
	delta = READ_ONCE(cpu->delta);
	if (unlikely(!atomic_long_try_cmpxchg(&arena->cursor, (long *)cursor, next)))
		return false;
	local_inc(&cpu->allocs);
	*object = (void *)(*cursor + delta);
	return true;
}

/* From the window, however often another CPU is faster, or NULL. */
static __always_inline void *bump_window(struct arena *arena, struct arena_cpu *cpu, size_t size,
					 size_t align)
{
	unsigned long cursor = atomic_long_read(&arena->cursor), seen;
	void *object;

	do {
		if (align > ARENA_WORD && cursor % align)
			return NULL;
		seen = cursor;
		if (bump_window_once(arena, cpu, &cursor, size, &object))
			return object;
	} while (cursor != seen);
	return NULL;
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
		next = cursor + size;
		/* As there: who writes it meanwhile makes the exchange fail, or closes it. */
		if (unlikely((long)(data_race(cpu->zero_limit) - next) < 0))
			return NULL;
		if (align > ARENA_WORD && cursor % align)
			return NULL;
		/* As there. */
		object = cursor + READ_ONCE(cpu->delta);
		WRITE_ONCE(cpu->writers, READ_ONCE(cpu->writers) + 1);
		moved = atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, next);
		if (likely(moved))
			zero_words((void *)object, size);
		arena_write_end(arena, cpu);
	} while (unlikely(!moved));
	local_inc(&cpu->allocs);
	return (void *)object;
}

/* What bump_words() does not find at once. In this order, so that arguments stay where they are. */
static noinline void *bump_window_more(struct arena *arena, size_t size, struct arena_cpu *cpu,
				       bool zeroed)
{
	if (arena->zero)
		return zeroed ? bump_zeroed(arena, cpu, size, 1) : NULL;
	return bump_window(arena, cpu, size, 1);
}

/*
 * @size arena_is_words(). NULL where more is to be done: in a dense arena whose objects are
 * zeroed, always, unless @zeroed.
 */
static __always_inline void *bump_words(struct arena *arena, size_t size, bool zeroed)
{
	unsigned long generation, cursor;
	struct arena_cpu *cpu;
	void *object;

	preempt_disable();
	arena_assert_rcu();
	cpu = arena_cpu_fast(arena);
	generation = READ_ONCE(arena->generation);
	/* Racy with revoke(): a span that is being revoked serves until it is closed. */
	if (likely(data_race(cpu->slot.span) > generation)) {
		cursor = atomic_long_read(&arena->cursor);
		if (unlikely(!bump_window_once(arena, cpu, &cursor, size, &object)))
			object = bump_window_more(arena, size, cpu, zeroed);
		preempt_enable();
		return object;
	}
	if (likely(data_race(cpu->slot.span) == generation)) {
		object = bump_span(cpu, generation, size);
		preempt_enable();
		return object;
	}
	preempt_enable();
	return NULL;
}

/**
 * __arena_alloc_words() - The fast path of arena_alloc(), without the slow one.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0: a multiple of %ARENA_WORD, at most %ARENA_WORDS_MAX.
 *
 * Context: Any.
 * Return: An object, or NULL: then __arena_alloc_more() may have one.
 */
notrace void *__arena_alloc_words(struct arena *arena, size_t size)
{
	return bump_words(arena, size, true);
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
	void *object = arena->spans ? span_claim(arena, size) :
			dense_claim(arena, size, ARENA_MIN_ALIGN, arena->zero);

	if (likely(object))
		return arena_tell_object(arena, object, size, ARENA_MIN_ALIGN, gfp);
	return alloc_slow(arena, size, ARENA_MIN_ALIGN, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc_more);

/* Whatever @size and @align (a power of two, at most the slab size): from the span. */
static noinline void *alloc_from_span(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	unsigned long generation = READ_ONCE(arena->generation);
	void *object = NULL;

	if (likely(slot && READ_ONCE(slot->span) == generation &&
		   !(gfp & __GFP_ZERO && !slot->zeroed))) {
		slot_busy(slot);
		if (likely(slot_bump(slot, size, align, &object)))
			count_objects(arena, cpu, 1);
		slot_idle(slot, generation);
	}
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
		arena_assert_rcu();
		cpu = arena_cpu_fast(arena);
		if (arena_cpu_missing(cpu))
			object = NULL;
		else if (zero)
			object = bump_zeroed(arena, cpu, size, align);
		else
			object = bump_window(arena, cpu, size, align);
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
			return object;
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
