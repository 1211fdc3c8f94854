// SPDX-License-Identifier: GPL-2.0
/*
 * Claims: one object from the cursor or a span, and what to do where that fails.
 */
#include <linux/log2.h>

#include "core/cursor.h"
#include "core/events.h"

/*
 * Remember the slab of a claim: what comes next in it, in this generation, need not
 * look it up. Interrupts see the window closed until it is complete.
 */
void arena_window_open(struct arena *arena, struct arena_cpu *cpu, const struct claim *claim)
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
	WRITE_ONCE(cpu->delta, (unsigned long)claim->base - cursor_move(closed, start));
	barrier();
	WRITE_ONCE(cpu->zero_limit, limit);
	if (!arena->zero)
		WRITE_ONCE(cpu->limit, limit);
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

/* One try, with preemption off. Where it returns -ESTALE, @place is where the object was. */
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
		return arena_slab_install(arena, arena_peek(arena).generation & ARENA_GEN_SET,
					  offset >> arena->slab_shift, gfp);
	case -EBUSY:
		return arena_settle_wait(arena, gfp) ? 0 : -ENOMEM;
	case -ESTALE:	/* A reset came between: the object died before it was born. */
		return 0;
	default:
		return err;
	}
}

/* Zero an object that was just claimed. -ESTALE, and not counted, if a reset has freed it. */
static int zero_place(struct arena *arena, const struct arena_place *place, size_t size, gfp_t gfp)
{
	int err = arena_write(arena, place->generation, place->offset, NULL, size, gfp);

	if (err)
		arena_uncount(arena);
	return err;
}

/* The cursor has nothing left, but spans may: only for who can wait for them. */
static int claim_left_over(struct arena *arena, size_t size, size_t align, bool zero, gfp_t gfp,
			   struct arena_place *place)
{
	int err;

	if (!arena->spans || !gfpflags_allow_blocking(gfp))
		return -ENOSPC;
	err = arena_claim_tail(arena, size, size, align, gfp, place);
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
	unsigned int lost = 0;
	int err;

	place->offset = 0;
	do {
		err = try_claim(arena, size, align, zero && !later, place);
		if (!err && later)
			err = zero_place(arena, place, size, gfp);
		/* Resets free each object before it is zeroed: this one is dead, too. */
		if (err == -ESTALE && lost == ARENA_LOST_MAX) {
			arena_count_objects(arena, 1);
			return 0;
		}
		if (err == -ENOSPC)
			err = claim_left_over(arena, size, align, zero, gfp, place);
		if (likely(!err))
			return 0;
		lost += err == -ESTALE;
		err = make_way(arena, err, place->offset, gfp);
	} while (!err);
	return err;
}

/* What callers ask for and an arena cannot do: better loud than dropped. */
static void warn_not_honoured(const struct arena *arena, gfp_t gfp)
{
	WARN_ON_ONCE(gfp & ARENA_GFP_REFUSED);
	WARN_ON_ONCE(gfp & __GFP_ACCOUNT && !(arena->flags & ARENA_ACCOUNT));
}

int arena_claim_untold(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place)
{
	bool large = size > arena_slab_size(arena);

	warn_not_honoured(arena, gfp);
	__arena_might_alloc(gfp);
	arena_cpu_prepare(arena, gfp);
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
	unsigned int lost;

	for (lost = 0;; lost++) {
		int err = arena_claim(arena, size, align, gfp & ~__GFP_ZERO, place);

		if (err)
			return err;
		err = arena_write(arena, place->generation, place->offset, src, size, gfp);
		if (!err || (err == -ESTALE && lost == ARENA_LOST_MAX))
			return 0;
		arena_uncount(arena);
		if (err != -ESTALE)
			return err;
	}
}
