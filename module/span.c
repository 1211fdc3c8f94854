// SPDX-License-Identifier: GPL-2.0
/*
 * Spans: stretches of the space in which one CPU bumps alone.
 *
 * Refilling takes no lock. Collecting the tails of a full arena takes
 * tail_mutex, and only callers that may sleep do it.
 *
 * A tail cannot be stolen: its owner bumps without an atomic. So collecting
 * revokes: it marks each slot, and takes the span's generation away so that
 * the fast path does not match. After a grace period nobody is in the middle
 * of a bump (they run with preemption off), and who comes later sees the mark
 * and leaves the span alone. Only then are the tails read.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "cursor.h"

/**
 * struct arena_tails - what collecting found.
 * @generation: in which; void in another.
 * @nr:		how many.
 * @tail:	stretches [offset, end) that are still free.
 */
struct arena_tails {
	unsigned long	generation;
	unsigned int	nr;
	struct {
		size_t	offset;
		size_t	end;
	}		tail[];
};

/*
 * How much to claim beside the object: doubles with every refill, so that who
 * allocates much refills seldom and who allocates little wastes little, and
 * shrinks towards the end of the space, so that CPUs share what is left.
 */
static size_t span_want(const struct arena *arena, const struct arena_slot *slot, size_t size,
			size_t align)
{
	size_t left = arena->capacity - arena_high(arena);
	size_t most = arena->zero ? min_t(size_t, slot->want, ARENA_SPAN_ZERO) : slot->want;
	size_t want = min(most, left / (4 * num_online_cpus()));
	size_t stride = ALIGN(size, align);

	/* Whole objects, so that those of one size leave no holes between spans. */
	return max(want - want % stride, size);
}

static int slot_zero(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     void *object, size_t size)
{
	int err = slot->zeroed ? 0 : zero_claimed(arena, cpu, slot->generation, object, size);

	/* It died before it was born: it was counted, and its successor will be. */
	if (err)
		/* Who reads it from elsewhere shows it, no more. */
		data_race(slot->allocs--);
	return err;
}

/*
 * Whether to leave the span of @slot alone and claim only the object: it would
 * have more left than a new span, and does not end where the cursor stands (or
 * both would be joined, and nothing lost).
 */
static bool span_worth_keeping(const struct arena *arena, const struct arena_slot *slot,
			       size_t size, size_t want)
{
	return slot_room(slot) > want - size &&
	       slot->end_offset != cursor_offset(arena_look(arena).cursor);
}

/*
 * Give @slot a span with room for the object, joined to the old one where
 * possible, and take the object from it.
 */
static int slot_refill(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		       size_t size, size_t align, bool zero, struct arena_place *place)
{
	size_t want = span_want(arena, slot, size, align), next, room;
	struct claim claim;
	bool joined;
	void *object;
	int err;

	if (span_worth_keeping(arena, slot, size, want))
		return arena_claim_object(arena, cpu, slot, size, align, zero, place);

	err = cursor_claim(arena, slot, size, align, want, &claim);
	place->offset = claim.object;
	if (err)
		return err;
	if (slot->generation != claim.generation)
		slot_adopt(slot, claim.generation);
	WRITE_ONCE(slot->span, 0);
	if (arena->zero) {
		err = claim_zero(arena, cpu, &claim, max(claim.from, claim.object), claim.end);
		if (err)
			return err;
	}
	object = claim_address(arena, &claim, claim.object);
	joined = claim.object < claim.from;
	slot->zeroed = (!joined || slot->zeroed) && (arena->zero || claim_is_clean(arena, &claim));
	slot->end_offset = ALIGN_DOWN(claim.end, ARENA_MIN_ALIGN);
	WRITE_ONCE(slot->stale, false);
	next = claim.object + ALIGN(size, ARENA_MIN_ALIGN);
	room = max(slot->end_offset, next) - next;
	slot_take(slot, size);
	slot->limit = slot->taken + room;
	slot->delta = (unsigned long)object + (slot->end_offset - claim.object) - slot->limit;
	slot->want = min_t(size_t, 2 * slot->want, ARENA_SPAN_MAX);
	WRITE_ONCE(slot->span, claim.generation);
	place_set(place, claim.generation, claim.object, object);
	return zero ? slot_zero(arena, cpu, slot, object, size) : 0;
}

/* Claim one object by way of the span. */
int arena_slot_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     size_t size, size_t align, bool zero, struct arena_place *place)
{
	unsigned long generation = arena_look(arena).generation;
	void *object;

	if (slot->generation != generation)
		slot_adopt(slot, generation);
	align = max(align, ARENA_MIN_ALIGN);
	if (READ_ONCE(slot->span) != generation || !slot_bump(slot, size, align, &object)) {
		/* Acquire: pairs with the smp_store_release() in collect(). */
		if (smp_load_acquire(&slot->revoked))
			return arena_claim_object(arena, cpu, slot, size, align, zero, place);
		return slot_refill(arena, cpu, slot, size, align, zero, place);
	}
	place_set(place, generation,
		  slot->end_offset - (slot_end(slot) - (unsigned long)object), object);
	return zero ? slot_zero(arena, cpu, slot, object, size) : 0;
}

static struct arena_slot *nth_slot(const struct arena *arena, int cpu, int nth)
{
	return &per_cpu_ptr(arena->cpu, cpu)->slot[nth];
}

/* A glance at what others own: worth collecting? */
static bool tails_exist(struct arena *arena, unsigned long generation)
{
	int cpu, i;

	for_each_possible_cpu(cpu) {
		for (i = 0; i < ARENA_SLOTS; i++) {
			struct arena_slot *slot = nth_slot(arena, cpu, i);
			/* A guess: collecting looks again. */
			bool room = data_race(slot->limit != slot->taken);

			if (room && READ_ONCE(slot->span) == generation)
				return true;
		}
	}
	return false;
}

/*
 * Take the spans away from their owners. A refill that had not seen the mark
 * may have set its span once more: it has ended after the first round, and
 * there is no other.
 */
static void revoke(struct arena *arena)
{
	bool again;
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < ARENA_SLOTS; i++)
			WRITE_ONCE(nth_slot(arena, cpu, i)->revoked, true);
	do {
		for_each_possible_cpu(cpu)
			for (i = 0; i < ARENA_SLOTS; i++)
				WRITE_ONCE(nth_slot(arena, cpu, i)->span, 0);
		synchronize_rcu();
		again = false;
		for_each_possible_cpu(cpu)
			for (i = 0; i < ARENA_SLOTS; i++)
				again |= READ_ONCE(nth_slot(arena, cpu, i)->span);
	} while (again);
}

static void keep_tail(struct arena_tails *tails, size_t offset, size_t end)
{
	tails->tail[tails->nr].offset = offset;
	tails->tail[tails->nr].end = end;
	tails->nr++;
}

/* What is left of the collection before, if it was of the same generation. */
static void keep_old_tails(struct arena_tails *tails, const struct arena_tails *old)
{
	unsigned int i;

	for (i = 0; old && old->generation == tails->generation && i < old->nr; i++)
		if (old->tail[i].offset < old->tail[i].end)
			keep_tail(tails, old->tail[i].offset, old->tail[i].end);
}

static void collect_slot(struct arena_tails *tails, struct arena_slot *slot)
{
	/* Acquire: pairs with the smp_store_release() in slot_adopt(). */
	if (smp_load_acquire(&slot->generation) == tails->generation &&
	    !READ_ONCE(slot->stale) && slot_room(slot))
		keep_tail(tails, slot->end_offset - slot_room(slot), slot->end_offset);
	slot->limit = slot->taken;
	/* Release: the owner may refill when we are done reading. */
	smp_store_release(&slot->revoked, false);
}

static int collect(struct arena *arena, unsigned long generation)
{
	unsigned int most = num_possible_cpus() * ARENA_SLOTS;
	struct arena_tails *tails, *old = arena->tails;
	int cpu, i;

	/* Whoever asks may hold a lock that reclaim takes: so NOIO, or no tails. */
	tails = kvzalloc(struct_size(tails, tail, most + (old ? old->nr : 0)),
			 GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY);
	if (!tails)
		return -ENOSPC;
	tails->generation = generation;
	keep_old_tails(tails, old);
	revoke(arena);
	for_each_possible_cpu(cpu)
		for (i = 0; i < ARENA_SLOTS; i++)
			collect_slot(tails, nth_slot(arena, cpu, i));
	arena->tails = tails;
	kvfree(old);
	return 0;
}

static int take_tail(struct arena *arena, unsigned long generation, size_t size, size_t align,
		     size_t *offset)
{
	struct arena_tails *tails = arena->tails;
	unsigned int i;

	if (!tails || tails->generation != generation)
		return -ENOSPC;
	for (i = 0; i < tails->nr; i++) {
		size_t start = ALIGN(tails->tail[i].offset, align);

		if (start > tails->tail[i].end || size > tails->tail[i].end - start)
			continue;
		tails->tail[i].offset = start + size;
		*offset = start;
		return 0;
	}
	return -ENOSPC;
}

/*
 * The cursor has nothing left: serve from the tails of other CPUs' spans, so
 * that who may sleep gets all of a full arena (clause 16).
 */
int arena_claim_tail(struct arena *arena, size_t size, size_t align, struct arena_place *place)
{
	unsigned long generation = arena_peek(arena).generation;
	struct arena_cpu *cpu;
	void *base = NULL;
	size_t offset;
	int err;

	mutex_lock(&arena->tail_mutex);
	err = take_tail(arena, generation, size, align, &offset);
	if (err && tails_exist(arena, generation)) {
		err = collect(arena, generation);
		if (!err)
			err = take_tail(arena, generation, size, align, &offset);
	}
	mutex_unlock(&arena->tail_mutex);
	/* What was full may have been emptied meanwhile. */
	if (err == -ENOSPC && arena_peek(arena).generation != generation)
		return -ESTALE;
	if (err)
		return err;

	cpu = arena_enter(arena);
	if (arena_look(arena).generation == generation) {
		arena_account(arena, arena_slot(cpu), generation, size);
		base = READ_ONCE(arena_dir(arena, generation)[offset >> arena->slab_shift].base);
	}
	arena_leave(cpu);
	if (!base)
		return -ESTALE;
	place_set(place, generation, offset, base + (offset & (arena_slab_size(arena) - 1)));
	return 0;
}

void arena_tails_exit(struct arena *arena)
{
	kvfree(arena->tails);
}
