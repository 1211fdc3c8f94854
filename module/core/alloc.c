// SPDX-License-Identifier: GPL-2.0
/*
 * The allocation calls: their fast paths, the common cases of a refill, and the first allocation
 * from an arena.
 */
#include <linux/export.h>
#include <linux/log2.h>

#include "core/cursor.h"
#include "core/events.h"

/*
 * Take an object from the span of this CPU, which the caller has just found to be of @generation.
 * An interrupt since then may have replaced the span, and the new one serves as well. Once this
 * function has marked the span busy, nested allocations leave it alone.
 */
static __always_inline void *bump_span(struct arena *arena, struct arena_cpu *cpu,
				       unsigned long generation, size_t size)
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
		arena_object_claimed(arena, cpu, slot->generation, object, size);
	}
	barrier();
	WRITE_ONCE(slot->span, generation);
	return object;
}

/*
 * Take an object from the window of this CPU, by one compare-and-swap of the cursor. An interrupt
 * that opens another window has moved the cursor first, so the compare-and-swap fails, and what
 * this CPU has read of the old window does not matter.
 *
 * Returns false if the object does not fit in the window, with *@cursor as it was; or if the cursor
 * has moved, with its new value in *@cursor.
 */
static __always_inline bool bump_window_once(struct arena *arena, struct arena_cpu *cpu,
					     unsigned long *cursor, size_t size, void **object)
{
	unsigned long next = *cursor + size, delta;

	/*
	 * Compare the two words by their difference, as the tag wraps: while preemption is off,
	 * wrapped() keeps them less than half the tag space apart. Racy with wrapped() on another
	 * CPU, which closes the window: a limit that this CPU has read before stays good until it
	 * turns preemption on. Racy with an interrupt that opens a window: the compare-and-swap
	 * fails after that.
	 */
	if (unlikely((long)(data_race(cpu->limit) - next) < 0))
		return false;
	/*
	 * Read the delta between reading the cursor and the compare-and-swap. If the
	 * compare-and-swap succeeds, the delta belongs to the slab of the cursor: an interrupt that
	 * changes the delta moves the cursor, too.
	 */
	delta = READ_ONCE(cpu->delta);
	if (unlikely(!atomic_long_try_cmpxchg(&arena->cursor, (long *)cursor, next)))
		return false;
	local_inc(&cpu->allocs);
	*object = (void *)(*cursor + delta);
	arena_word_claimed(arena, cpu, *cursor, *object, size);
	return true;
}

/* Take an object from the window, retrying while the cursor moves. Returns NULL if none fits. */
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
 * Take an object from the window and zero it, or return NULL. The CPU counts itself as a writer
 * before the compare-and-swap, whose success is full barrier A of "DOC: generations" and proves
 * that the generation is not over. A CPU that finds the window closed does not write. It does not
 * count itself either, as this would delay the settling of a new generation.
 */
static __always_inline void *bump_zeroed(struct arena *arena, struct arena_cpu *cpu, size_t size,
					 size_t align)
{
	unsigned long cursor, next, object;
	bool moved;

	do {
		cursor = atomic_long_read(&arena->cursor);
		next = cursor + size;
		/* Racy with wrapped(), which closes the window: either value will do. */
		if (unlikely((long)(data_race(cpu->zero_limit) - next) < 0))
			return NULL;
		if (align > ARENA_WORD && cursor % align)
			return NULL;
		/*
		 * Read the delta after the cursor: an interrupt that changes the delta also moves
		 * the cursor, so that the compare-and-swap fails.
		 */
		object = cursor + READ_ONCE(cpu->delta);
		WRITE_ONCE(cpu->writers, READ_ONCE(cpu->writers) + 1);
		moved = atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, next);
		if (likely(moved))
			zero_words((void *)object, size);
		cpu_write_end(cpu);
	} while (unlikely(!moved));
	local_inc(&cpu->allocs);
	arena_word_claimed(arena, cpu, cursor, (void *)object, size);
	return (void *)object;
}

/*
 * Called by bump_words() in a dense arena after bump_window_once() has failed: the cursor moved,
 * the object did not fit in the window, or the arena zeroes its objects. The order of the arguments
 * keeps those of bump_words() in their registers.
 */
static noinline void *bump_window_again(struct arena *arena, size_t size, bool zeroed,
					struct arena_cpu *cpu)
{
	if (likely(arena->zero))
		return zeroed ? bump_zeroed(arena, cpu, size, 1) : NULL;
	return bump_window(arena, cpu, size, 1);
}

/*
 * The fast path, for a @size that satisfies arena_is_words(). If this returns NULL, the caller
 * takes the slow path. In a dense arena that zeroes its objects, this returns NULL unless @zeroed
 * is set: alloc() leaves such an arena to bump_any().
 */
static __always_inline void *bump_words(struct arena *arena, size_t size, bool zeroed)
{
	unsigned long generation, cursor;
	struct arena_cpu *cpu;
	void *object;

	/* The fast path leaves no padding behind an object, and so no room for a redzone. */
	if (arena_redzone(arena))
		return NULL;
	preempt_disable();
	arena_assert_rcu();
	cpu = arena_cpu_fast(arena);
	generation = READ_ONCE(arena->generation);
	/* Racy with revoke(), which waits for this section with preemption off to end. */
	if (likely(data_race(cpu->slot.span) > generation)) {
		cursor = atomic_long_read(&arena->cursor);
		if (unlikely(!bump_window_once(arena, cpu, &cursor, size, &object)))
			object = bump_window_again(arena, size, zeroed, cpu);
		preempt_enable();
		return object;
	}
	/* Racy with revoke(): a span that it has revoked meanwhile may still be used. */
	if (likely(data_race(cpu->slot.span) == generation)) {
		object = bump_span(arena, cpu, generation, size);
		preempt_enable();
		/* Keep the compiler from merging the two returns: that would add a jump. */
		OPTIMIZER_HIDE_VAR(object);
		return object;
	}
	preempt_enable();
	return NULL;
}

/**
 * __arena_alloc_words() - The fast path of arena_alloc() alone.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0: a multiple of %ARENA_WORD, at most %ARENA_WORDS_MAX.
 *
 * Context: Any.
 * Return: An object; or NULL, and the caller must call __arena_alloc_slow().
 */
notrace void *__arena_alloc_words(struct arena *arena, size_t size)
{
	return bump_words(arena, size, true);
}
EXPORT_SYMBOL_GPL(__arena_alloc_words);

/*
 * Take an object from the span of this CPU, with padding if @size or @align need it. The caller has
 * just found the span to be of @generation. An interrupt since then may have replaced the span, and
 * the new one serves as well.
 */
static __always_inline void *bump_span_padded(struct arena *arena, struct arena_cpu *cpu,
					      unsigned long generation, size_t size,
					      size_t align, bool zero)
{
	struct arena_slot *slot = &cpu->slot;
	void *object = NULL;

	slot_busy(slot);
	if (likely((!zero || slot->zeroed) && slot_bump(arena, slot, size, align, &object))) {
		count_objects(arena, cpu, 1);
		arena_object_claimed(arena, cpu, slot->generation, object, size);
	}
	slot_idle(slot, generation);
	return object;
}

/*
 * The fast path for sizes, alignments and zeroing that bump_words() does not serve. If this returns
 * NULL, as it does in a dense arena for each object that needs padding, the caller takes the slow
 * path.
 */
static noinline void *bump_any(struct arena *arena, size_t size, size_t align, bool zero)
{
	unsigned long generation, span;
	struct arena_cpu *cpu;
	void *object = NULL;

	preempt_disable();
	arena_assert_rcu();
	cpu = arena_cpu_fast(arena);
	generation = READ_ONCE(arena->generation);
	/* Racy with revoke(), which waits for this section with preemption off to end. */
	span = data_race(cpu->slot.span);
	if (span == generation)
		object = bump_span_padded(arena, cpu, generation, size, align, zero);
	else if (span > generation && arena_is_words(size, align) && !arena_redzone(arena))
		object = zero ? bump_zeroed(arena, cpu, size, align) :
				bump_window(arena, cpu, size, align);
	preempt_enable();
	return object;
}

/*
 * Extend the span of this CPU, which has no room for the object, and take the object from it.
 * Returns NULL unless the span is of @generation and ends at @offset, where @cursor stands. The
 * added bytes lie in the slab of the span, which stays committed while the claim can succeed.
 */
static __always_inline void *span_extend(struct arena *arena, struct arena_cpu *cpu, size_t size,
					 unsigned long generation, long cursor, size_t offset)
{
	struct arena_slot *slot = &cpu->slot;
	size_t want = slot->want - slot->want % size, start;
	void *object = NULL;

	/*
	 * Acquire: pairs with smp_wmb() in revoke() and with the release in collect_slot(). While
	 * the span is being collected, its owner finds it cleared or revoked, and leaves it alone.
	 */
	if (smp_load_acquire(&slot->span) != generation || smp_load_acquire(&slot->revoked) ||
	    offset != slot->end_offset || want > (arena->capacity - offset) / 2)
		return NULL;
	slot_busy(slot);
	start = offset - (slot->limit - slot->taken);
	/*
	 * @filling tells tails_exist() that the slot may not contain the claimed bytes yet. The
	 * compare-and-swap, a full barrier, orders this store before the claim.
	 */
	WRITE_ONCE(slot->filling, true);
	if (start + want > offset && !(((offset - 1) ^ (start + want - 1)) >> arena->slab_shift) &&
	    likely(atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					   cursor + (start + want - offset)))) {
		slot->limit += start + want - offset;
		slot->end_offset = start + want;
		slot->want = min_t(size_t, 2 * slot->want, ARENA_SPAN_MAX);
		object = (void *)(slot->taken + slot->delta);
		local_inc(&cpu->allocs);
		slot_take(slot, size);
		arena_object_claimed(arena, cpu, generation, object, size);
	}
	slot_idle(slot, generation);
	/*
	 * Release: pairs with the smp_load_acquire() in tails_exist(). A CPU that sees @filling
	 * cleared sees the bytes in the slot; otherwise it could overlook them.
	 */
	smp_store_release(&slot->filling, false);
	return object;
}

/*
 * Claim the first span that the CPU gets in @generation, at @offset, where @cursor stands, and
 * take the object from the start of the span. The slot counts for @generation from now on. Its
 * former span is of an older generation, so its tail need not be collected.
 */
static __always_inline void *span_begin(struct arena *arena, struct arena_cpu *cpu, size_t size,
					unsigned long generation, long cursor, size_t offset)
{
	struct arena_slot *slot = &cpu->slot;
	size_t double_want = max_t(size_t, slot->want / 4, ARENA_SPAN_MIN), want;
	struct arena_slab *slab;
	void *object;

	want = double_want - double_want % size;
	double_want = min_t(size_t, 2 * double_want, ARENA_SPAN_MAX);
	/*
	 * Acquire: pairs with the smp_store_release() in collect_slot(). If the slot is not
	 * revoked, the collecting CPU has read all that is overwritten below.
	 */
	if (smp_load_acquire(&slot->revoked) ||
	    want * 4 * num_online_cpus() > arena->capacity - offset ||
	    (offset ^ (offset + want - 1)) >> arena->slab_shift)
		return NULL;
	slab = arena_entry(arena, generation, offset);
	/*
	 * Address dependency: pairs with the compare-and-swap in arena_settle(), so that this CPU
	 * does not find a released slab.
	 */
	object = slab ? READ_ONCE(slab->base) : NULL;
	if (!object)
		return NULL;
	/*
	 * @filling tells tails_exist() that the slot may not contain the claimed span yet. The
	 * compare-and-swap, a full barrier, orders this store before the claim.
	 */
	WRITE_ONCE(slot->filling, true);
	if (unlikely(!atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor + want))) {
		WRITE_ONCE(slot->filling, false);
		return NULL;
	}
	object += offset & (arena_slab_size(arena) - 1);
	local_inc(&cpu->allocs);
	arena_object_claimed(arena, cpu, generation, object, size);
	slot->limit = want;
	WRITE_ONCE(slot->ahead, 0);
	slot->delta = (unsigned long)object;
	slot->end_offset = offset + want;
	slot->want = double_want;
	slot->zeroed = READ_ONCE(slab->clean) == generation;
	slot_generation_ends(slot);
	WRITE_ONCE(slot->taken, size);
	WRITE_ONCE(slot->used, 0);
	/*
	 * Release: pairs with the smp_load_acquire() in counted_in_slots(). A reader that finds
	 * @generation does not add the bytes of an older one.
	 */
	smp_store_release(&slot->generation, generation);
	slot_idle(slot, generation);
	/*
	 * Release: pairs with the smp_load_acquire() in tails_exist(). A CPU that sees @filling
	 * cleared sees the bytes in the slot; otherwise it could overlook them.
	 */
	smp_store_release(&slot->filling, false);
	return object;
}

/*
 * Refill the span and take an object of @size bytes, a multiple of %ARENA_WORD, from it. This
 * does what slot_refill() does in the common cases: nothing has to be zeroed, no tail is left
 * behind, and neither the end of the slab nor that of the space is near. Otherwise it returns
 * NULL, with the cursor as it was.
 */
static __always_inline void *span_refill(struct arena *arena, struct arena_cpu *cpu, size_t size)
{
	struct arena_slot *slot = &cpu->slot;
	/*
	 * Acquire: pairs with generation_reach(), so that the cursor read below is not of an older
	 * generation.
	 */
	unsigned long generation = smp_load_acquire(&arena->generation);
	long cursor = atomic_long_read(&arena->cursor);
	/*
	 * The offset of the cursor; above any capacity if the cursor has another tag or the bit
	 * "counted", or is unsettled.
	 */
	size_t offset = cursor ^ cursor_start(generation);

	if (arena->zero || arena_redzone(arena) || offset >= arena->capacity ||
	    offset % ARENA_MIN_ALIGN)
		return NULL;
	if (slot->generation == generation)
		return span_extend(arena, cpu, size, generation, cursor, offset);
	if (slot->generation < generation)
		return span_begin(arena, cpu, size, generation, cursor, offset);
	return NULL;
}

/*
 * Take one object of @size bytes, which satisfies arena_is_words(), from a new span or from one
 * that this call extends. Returns NULL in a nested allocation, and where span_refill() does.
 */
static __always_inline void *refill_words(struct arena *arena, size_t size)
{
	struct arena_cpu *cpu;
	void *object = NULL;

	preempt_disable();
	arena_assert_rcu();
	cpu = arena_cpu_fast(arena);
	if (likely(!arena_cpu_missing(cpu) && !READ_ONCE(cpu->depth) &&
		   READ_ONCE(cpu->slot.span) != ARENA_SPAN_BUSY)) {
		/* An interrupt leaves the depth as it finds it. */
		WRITE_ONCE(cpu->depth, 1);
		barrier();
		object = span_refill(arena, cpu, size);
		barrier();
		WRITE_ONCE(cpu->depth, 0);
	}
	preempt_enable();
	return object;
}

/* The slow path: take the object from the span or the cursor, growing the arena if needed. */
static void *alloc_slowpath(struct arena *arena, size_t size, size_t align, gfp_t gfp,
			    unsigned long caller)
{
	struct arena_place place = { .caller = caller };

	size = size_with_address(arena, size);
	return arena_claim(arena, size, align, gfp, &place) ? NULL : place.ptr;
}

/*
 * Make the first allocation from an arena that has no state and, in most cases, no slab.
 * claim_retry() would find each of the two missing by an attempt that fails. This function installs
 * both, and then takes the object as a later allocation would. If nothing was allocated before, the
 * object begins in slab 0. If CPUs without a state have allocated before, slab 0 is committed
 * already.
 */
static noinline void *alloc_first(struct arena *arena, size_t size, gfp_t gfp,
				  unsigned long caller)
{
	unsigned int set = cursor_tag(atomic_long_read(&arena->cursor)) & ARENA_GEN_SET;
	void *object;
	int err;

	/*
	 * Leave to arena_claim() the flags that no arena honours, which it warns of, and sizes that
	 * cannot fit, which it refuses. Leave to it checked arenas, too: their records need
	 * @caller, which __arena_alloc_slow() would not pass on.
	 */
	if (!arena_may_grow(gfp) || gfp & (ARENA_GFP_REFUSED | __GFP_ACCOUNT) ||
	    size > arena->capacity || arena->check)
		return alloc_slowpath(arena, size, ARENA_MIN_ALIGN, gfp, caller);
	arena_cpu_install(arena, gfp);
	err = READ_ONCE(arena_dir(arena, set)->first[0].base) ? 0 :
	      arena_slab_install(arena, set, 0, gfp);
	if (err) {
		arena_claim_report(arena, size, ARENA_MIN_ALIGN, gfp, NULL, err);
		return NULL;
	}
	/* Without a state, __arena_alloc_slow() would call this function again. */
	if (!READ_ONCE(arena->cpus))
		return alloc_slowpath(arena, size, ARENA_MIN_ALIGN, gfp, caller);
	if (arena->spans)
		return __arena_alloc_slow(arena, size, gfp);
	arena_window_reopen(arena);
	object = __arena_alloc_words(arena, size);
	return object ?: alloc_slowpath(arena, size, ARENA_MIN_ALIGN, gfp, caller);
}

static __always_inline void *alloc_words_slow(struct arena *arena, size_t size, gfp_t gfp,
					      unsigned long caller)
{
	if (arena->spans) {
		void *object = refill_words(arena, size);

		if (likely(object))
			return object;
	}
	if (unlikely(!READ_ONCE(arena->cpus)))
		return alloc_first(arena, size, gfp, caller);
	return alloc_slowpath(arena, size, ARENA_MIN_ALIGN, gfp, caller);
}

/**
 * __arena_alloc_slow() - The slow path of arena_alloc(), after __arena_alloc_words().
 * @arena: the arena, not NULL.
 * @size:  bytes, as given to __arena_alloc_words().
 * @gfp:   how the arena may grow, see arena_alloc(); without __GFP_ZERO.
 *
 * Context: Any that @gfp fits.
 * Return: The object, or NULL on failure.
 */
void *__arena_alloc_slow(struct arena *arena, size_t size, gfp_t gfp)
{
	return alloc_words_slow(arena, size, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(__arena_alloc_slow);

/*
 * Findings name the caller of the API by _RET_IP_. In a function that alloc() tail-calls, _RET_IP_
 * is the caller of the API. With frame pointers or sanitizers the compiler emits ordinary calls
 * instead, and _RET_IP_ would lie in the function that contains alloc(): for these configurations,
 * inline the callee.
 */
#if defined(CONFIG_FRAME_POINTER) || defined(CONFIG_KASAN) || defined(CONFIG_KCSAN) || \
	defined(CONFIG_KMSAN)
#define alloc_tail		__always_inline
#define alloc_words_tail(arena, size, gfp) alloc_words_slow(arena, size, gfp, _RET_IP_)
#else
#define alloc_tail		noinline
#define alloc_words_tail(arena, size, gfp) __arena_alloc_slow(arena, size, gfp)
#endif

static alloc_tail void *alloc_any(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	void *object = bump_any(arena, size, align, arena->zero || gfp & __GFP_ZERO);

	return likely(object) ? object :
				alloc_slowpath(arena, size, align, gfp, _RET_IP_);
}

/*
 * Allocate an object; @align is a power of two and at most the slab size. All calls but the
 * inlined fast path are tail calls, so that the fast path saves no registers on the stack.
 */
static __always_inline void *alloc(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	void *object;

	if (arena_is_words(size, align) && align <= ARENA_MIN_ALIGN && !(gfp & __GFP_ZERO)) {
		object = bump_words(arena, size, false);
		if (likely(object))
			return object;
		if (arena->spans)
			return alloc_words_tail(arena, size, gfp);
	}
	return alloc_any(arena, size, align, gfp);
}

/**
 * __arena_alloc() - arena_alloc(), out of line.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The object, or NULL on failure.
 */
void *__arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
{
	return alloc(arena, size, ARENA_MIN_ALIGN, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc);

/**
 * __arena_alloc_aligned() - arena_alloc_aligned(), out of line.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @align: a power of two, see arena_alloc_aligned().
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The object, or NULL on failure.
 */
void *__arena_alloc_aligned(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	/* The slow path serves objects larger than a slab, and refuses invalid arguments. */
	if (unlikely(size - 1 >= arena_slab_size(arena) || align > arena_slab_size(arena) ||
		     !is_power_of_2(align)))
		return alloc_slowpath(arena, size, align, gfp, _RET_IP_);
	return alloc(arena, size, align, gfp);
}
EXPORT_SYMBOL_GPL(__arena_alloc_aligned);
