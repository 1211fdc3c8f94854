// SPDX-License-Identifier: GPL-2.0
/*
 * The slow path of allocation. An allocation tries these steps in this order, each only if the one
 * before has failed:
 *
 *  1. bump_words(), bump_any(): take the object from the span or window of this CPU (alloc.c,
 *     the fast path)
 *  2. refill_words(): for the sizes that bump_words() serves, a new or longer span in the common
 *     cases (alloc.c)
 *  3. claim_once(): claim from the cursor
 *      - a new span, and the object from it: arena_span_claim() (span.c)
 *      - the object alone, where a span does not serve: claim_from_cursor()
 *  4. claim_retry(): remove what made the claim fail, and claim again
 *      - the cursor is exhausted: collect what is left of all spans, claim_from_tails()
 *      - the CPU has no state: arena_cpu_install() (cpu.c)
 *      - the slab is not committed: arena_slab_install() (slab.c)
 *      - the generation is not settled: arena_settle_wait() (reset.c)
 *      - the generation is checked: claim the object with a redzone, arena_check_claim() (check.c)
 *
 * Steps 1 to 3 run with preemption off and allocate no memory. Objects that are larger than a
 * slab go from __arena_claim() to arena_claim_large() (large.c).
 */
#include <linux/log2.h>

#include "core/cursor.h"
#include "core/events.h"

/*
 * Claim one object from the cursor, and no span: in a dense arena, in a nested allocation, for
 * an object larger than any span, and after arena_span_claim() has returned %ARENA_USE_CURSOR. On
 * -ESTALE, a reset has freed the object before it was zeroed; @place says where it was.
 */
static int claim_from_cursor(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
			     size_t size, size_t align, bool zero, struct arena_place *place)
{
	struct claim claim;
	int err;

	err = cursor_claim(arena, __arena_snap(arena), NULL, size, align, 0, &claim);
	place->offset = claim.object;
	if (err)
		return err;
	place_set(place, claim.generation, claim.object,
		  claim_address(arena, &claim, claim.object));
	if (zero) {
		err = claim_zero(arena, cpu, &claim, claim.object, claim.end);
		if (err)
			return err;
	}
	claim_done(arena, cpu, slot, &claim, size);
	return 0;
}

/*
 * Claim an object, without growing the arena and without waiting. Returns 0; -ENXIO if the CPU
 * has no state, unless @stateless permits that; or what cursor_claim() returns or, if @zero,
 * -ESTALE.
 */
static int claim_once(struct arena *arena, size_t size, size_t align, bool zero, bool stateless,
		      struct arena_place *place)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	int err = ARENA_USE_CURSOR;

	if (unlikely(arena_cpu_missing(cpu) && !stateless))
		err = -ENXIO;
	else if (arena->spans && slot && size <= ARENA_SPAN_MAX)
		err = arena_span_claim(arena, cpu, slot, size, align, zero, place);
	if (err == ARENA_USE_CURSOR)
		err = claim_from_cursor(arena, cpu, slot, size, align, zero, place);
	if (!err)
		arena_object_claimed(arena, cpu, place->generation, place->ptr, size);
	arena_leave(cpu);
	return err;
}

/* Zero an object that was just claimed. Errors are those of arena_write(). */
static int zero_object(struct arena *arena, const struct arena_place *place, size_t size,
		       gfp_t gfp)
{
	return arena_write(arena, place->generation, place->offset, NULL, size, gfp);
}

/*
 * The cursor is exhausted, but unused span tails may remain. Collecting them waits for a grace
 * period, so only callers that may sleep try.
 */
static int claim_from_tails(struct arena *arena, size_t size, size_t align, bool zero, gfp_t gfp,
			    struct arena_place *place)
{
	int err;

	if (!arena->spans || !gfpflags_allow_blocking(gfp))
		return -ENOSPC;
	err = arena_tails_claim(arena, size, size, align, gfp, place);
	if (!err && zero)
		err = zero_object(arena, place, size, gfp);
	return err;
}

/*
 * Remove the cause @err of a failed claim at @place. Returns 0 if the caller shall claim again,
 * else the error to return.
 */
static int remove_cause(struct arena *arena, int err, const struct arena_place *place, gfp_t gfp)
{
	switch (err) {
	case -ENXIO:
		/* If there is no memory for a state, the CPU claims without one. */
		arena_cpu_install(arena, gfp);
		return 0;
	case -EAGAIN:
		return arena_slab_install(arena, arena_snap(arena).generation & ARENA_GEN_SET,
					  place->offset >> arena->slab_shift, gfp);
	case -EBUSY:
		return arena_settle_wait(arena, gfp) ? 0 : -ENOMEM;
	case -ESTALE:	/* A reset intervened between the claim and its completion: retry. */
		return 0;
	default:
		return err;
	}
}

/*
 * Is the object so large that claim_retry() is to zero it in steps, and not claim_once(), which
 * would zero all of it with preemption off?
 */
static bool zero_later(size_t size, bool zero, gfp_t gfp)
{
	return zero && unlikely(size > ARENA_COPY_CHUNK) && gfpflags_allow_blocking(gfp);
}

/* Claim until an object is complete, after a claim_once() that returned @err. */
static noinline int claim_retry(struct arena *arena, size_t size, size_t align, gfp_t gfp,
				struct arena_place *place, int err)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;
	bool later = zero_later(size, zero, gfp);
	unsigned int lost = 0;

	for (;;) {
		if (unlikely(err == ARENA_USE_CHECKS)) {
			err = arena_check_claim(arena, size, align, zero, gfp, place);
			if (!err)
				return 0;
		} else if (!err && later) {
			err = zero_object(arena, place, size, gfp);
		}
		/*
		 * Resets have freed each object before it was zeroed. Return this object, although
		 * it is stale, so that the call ends: a caller that does not exclude resets must
		 * expect stale objects anyway.
		 */
		if (err == -ESTALE && lost++ == ARENA_LOST_MAX)
			return 0;
		if (err == -ENOSPC)
			err = claim_from_tails(arena, size, align, zero, gfp, place);
		if (!err)
			return 0;
		err = remove_cause(arena, err, place, gfp);
		if (err)
			return err;
		err = claim_once(arena, size, align, zero && !later, true, place);
	}
}

/* Warn of flags that an arena cannot honour, rather than ignore them silently. */
static void warn_not_honoured(const struct arena *arena, gfp_t gfp)
{
	WARN_ON_ONCE(gfp & ARENA_GFP_REFUSED);
	WARN_ON_ONCE(gfp & __GFP_ACCOUNT && !(arena->flags & ARENA_ACCOUNT));
}

/*
 * Claim an object, and zero it if need be. The caller may fill it, and then calls
 * arena_claim_report(), which counts it.
 */
int __arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		  struct arena_place *place)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;
	bool large = size > arena_slab_size(arena), later;
	int err;

	__arena_might_alloc(gfp);
	if (unlikely(gfp & (ARENA_GFP_REFUSED | __GFP_ACCOUNT)))
		warn_not_honoured(arena, gfp);
	if (!size || !is_power_of_2(align) ||
	    align > (large ? PAGE_SIZE : arena_slab_size(arena)))
		return -EINVAL;
	if (size > arena->capacity)
		return -ENOSPC;
	if (large)
		return arena_claim_large(arena, size, gfp, place);
	later = zero_later(size, zero, gfp);
	err = claim_once(arena, size, align, zero && !later, false, place);
	return likely(!err && !later) ? 0 : claim_retry(arena, size, align, gfp, place, err);
}

/*
 * Count and trace the result @err of an allocation, and return it. An object counts only now, when
 * nothing can fail any more: so the number of objects never falls (clause 8).
 */
int arena_claim_report(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       const struct arena_place *place, int err)
{
	if (unlikely(err)) {
		arena_count_failure(arena, err);
		arena_trace_alloc_fail(arena, size, align, gfp, err);
		return err;
	}
	arena_count_objects(arena, 1);
	arena_trace_alloc(arena, place->generation, place->offset, size, align, gfp);
	return 0;
}

int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place)
{
	int err = __arena_claim(arena, size, align, gfp, place);

	return arena_claim_report(arena, size, align, gfp, place, err);
}

struct arena_spot arena_claim_spot(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_place place;
	int err = arena_claim(arena, size, align, gfp, &place);

	if (err)
		return (struct arena_spot) { .offset = err };
	return (struct arena_spot) { .offset = place.offset, .generation = place.generation };
}

int arena_claim_copy(struct arena *arena, const void *src, size_t bytes, size_t size,
		     size_t align, gfp_t gfp, struct arena_place *place)
{
	unsigned int lost = 0;
	int err;

	if (bytes == size)
		gfp &= ~__GFP_ZERO;
	do {
		err = __arena_claim(arena, size, align, gfp, place) ?:
		      arena_write(arena, place->generation, place->offset, src, bytes, gfp);
	} while (err == -ESTALE && lost++ < ARENA_LOST_MAX);
	/*
	 * Resets have freed each copy before it was complete. Return the last one, so that the call
	 * ends.
	 */
	if (err == -ESTALE)
		err = 0;
	return arena_claim_report(arena, size, align, gfp, place, err);
}
