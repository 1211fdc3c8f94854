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

#include "core/cursor.h"

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
 * shrinks towards the end of the space, so that CPUs share what is left. Who has been
 * alone since its last refill leaves as much as it takes.
 */
static size_t span_want(const struct arena *arena, const struct arena_view *view,
			const struct arena_slot *slot, size_t size, size_t align)
{
	size_t left = arena->capacity - min(arena->capacity, cursor_offset(view->cursor));
	size_t share = slot_joins(slot, view) ? left / 2 : left / (4 * num_online_cpus());
	size_t want = min_t(size_t, slot->want, share);
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
		count_objects(arena, cpu, -1);
	return err;
}

/*
 * Whether to leave the span of @slot alone and claim only the object: it would
 * have more left than a new span, and does not end where the cursor stands (or
 * both would be joined, and nothing lost).
 */
static bool span_worth_keeping(const struct arena_view *view, const struct arena_slot *slot,
			       size_t size, size_t want)
{
	return slot_room(slot) > want - size && !slot_joins(slot, view);
}

/* Zero more of the span, enough for an object that needs @need of what is left. */
static int slot_advance(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
			size_t need)
{
	size_t lacking = need - (slot->limit - slot->taken);
	size_t bytes = min(slot->ahead, max_t(size_t, lacking, ARENA_SPAN_ZERO));
	int err = zero_claimed(arena, cpu, slot->generation,
			       (void *)(slot->limit + slot->delta), bytes);

	if (err)
		return err;
	/* Who reads it from elsewhere looks at @ahead first. */
	data_race(slot->limit += bytes);
	/* Release: pairs with the smp_load_acquire() in slot_has_room(). */
	smp_store_release(&slot->ahead, slot->ahead - bytes);
	return 0;
}

/*
 * Let @slot have what was claimed, joined to its old span if the claim begins in that.
 * The object in it is taken; from @ready on it is to be zeroed before use.
 */
static void slot_set(struct arena *arena, struct arena_cpu *cpu, const struct claim *claim,
		     size_t size, size_t ready)
{
	size_t end = ALIGN_DOWN(claim->end, ARENA_MIN_ALIGN);
	size_t next = claim->object + ALIGN(size, ARENA_MIN_ALIGN);
	unsigned long address = (unsigned long)claim_address(arena, claim, claim->object);
	struct arena_slot *slot = &cpu->slot;

	/* At the end of the space an object may end past the last word. */
	ready = max(min(ready, end), next);
	WRITE_ONCE(slot->stale, false);
	slot_take(slot, size);
	count_objects(arena, cpu, 1);
	slot->end_offset = end;
	slot->limit = slot->taken + ready - next;
	WRITE_ONCE(slot->ahead, max(end, ready) - ready);
	slot->delta = address + (end - claim->object) - slot->limit - slot->ahead;
	slot->want = min_t(size_t, 2 * slot->want, ARENA_SPAN_MAX);
	WRITE_ONCE(slot->span, claim->generation);
}

/*
 * Claim a span with room for the object, joined to the old one where possible, and
 * take the object from it.
 */
static int slot_fill(struct arena *arena, struct arena_view view, struct arena_cpu *cpu,
		     struct arena_slot *slot, size_t size, size_t align, size_t want,
		     struct claim *claim)
{
	size_t dirty, ready;
	bool clean, joined;
	int err;

	err = cursor_claim(arena, view, slot, size, align, want, claim);
	if (err)
		return err;
	if (slot->generation != claim->generation)
		slot_adopt(slot, claim->generation);
	WRITE_ONCE(slot->span, 0);
	joined = claim->object < claim->from;
	clean = claim_is_clean(claim);
	ready = claim->end;
	if (arena->zero && !clean) {
		dirty = joined ? max(claim->object, claim->from - slot->ahead) : claim->object;
		ready = min(ready, max(claim->object + ALIGN(size, ARENA_MIN_ALIGN),
				       dirty + ARENA_SPAN_ZERO));
		err = zero_claimed(arena, cpu, claim->generation,
				   claim_address(arena, claim, dirty), ready - dirty);
		if (err)
			return err;
	}
	slot->zeroed = (!joined || slot->zeroed) && (arena->zero || clean);
	slot_set(arena, cpu, claim, size, ready);
	return 0;
}

/* Give @slot another span, unless that would waste more than it saves. */
static int slot_refill(struct arena *arena, struct arena_view view, struct arena_cpu *cpu,
		       struct arena_slot *slot, size_t size, size_t align, bool zero,
		       struct arena_place *place)
{
	size_t want = span_want(arena, &view, slot, size, align);
	struct claim claim;
	int err;

	if (span_worth_keeping(&view, slot, size, want))
		return arena_claim_object(arena, cpu, slot, size, align, zero, place);

	/* What is claimed beside the object is nowhere to be seen until the span is set. */
	WRITE_ONCE(slot->filling, want > size);
	err = slot_fill(arena, view, cpu, slot, size, align, want, &claim);
	/* Release: who sees it over sees the span. Pairs with tails_exist(). */
	smp_store_release(&slot->filling, false);
	place->offset = claim.object;
	if (err && err != -ESTALE)
		return err;
	place_set(place, claim.generation, claim.object,
		  claim_address(arena, &claim, claim.object));
	if (err)
		return err;
	return zero ? slot_zero(arena, cpu, slot, place->ptr, size) : 0;
}

/*
 * An interrupt between the look at the generation and slot_busy() in a fast path may have
 * reset the arena and filled the slot anew: then the fast path took from that, and left the
 * older generation behind. Nothing else leaves one there, see slot_adopt().
 */
static void slot_rename(struct arena_slot *slot)
{
	unsigned long span = READ_ONCE(slot->span);

	/* Acquire: pairs with the smp_store_release() in collect_slot(). */
	if (unlikely(span && span != slot->generation && !smp_load_acquire(&slot->revoked) &&
		     !slot->stale))
		WRITE_ONCE(slot->span, slot->generation);
}

/* Claim one object by way of the span. */
int arena_slot_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     size_t size, size_t align, bool zero, struct arena_place *place)
{
	struct arena_view view = arena_look(arena);
	void *object;
	size_t need;
	int err = 0;

	if (slot->generation != view.generation)
		slot_adopt(slot, view.generation);
	slot_rename(slot);
	align = max(align, ARENA_MIN_ALIGN);
	need = slot_need(slot, size, align);
	/* Acquire: pairs with smp_wmb() in revoke(). Who lost the span sees why. */
	if (smp_load_acquire(&slot->span) != view.generation || need > slot_room(slot)) {
		/* Acquire: pairs with the smp_store_release() in collect_slot(). */
		if (smp_load_acquire(&slot->revoked))
			return arena_claim_object(arena, cpu, slot, size, align, zero, place);
		return slot_refill(arena, view, cpu, slot, size, align, zero, place);
	}
	slot_busy(slot);
	/* The fast path of an interrupt may have taken from it since that look. */
	need = slot_need(slot, size, align);
	if (unlikely(need > slot_room(slot))) {
		slot_idle(slot, view.generation);
		return arena_claim_object(arena, cpu, slot, size, align, zero, place);
	}
	object = (void *)ALIGN(slot->taken + slot->delta, align);
	place_set(place, view.generation,
		  slot->end_offset - (slot_end(slot) - (unsigned long)object), object);
	while (!err && !slot_bump(slot, size, align, &object))
		err = slot_advance(arena, cpu, slot, need);
	slot_idle(slot, view.generation);
	if (err)
		return err;
	count_objects(arena, cpu, 1);
	return zero ? slot_zero(arena, cpu, slot, object, size) : 0;
}

/*
 * A glance at what another CPU owns. Acquire: pairs with slot_advance(), which moves the
 * limit first. Who sees that nothing is ahead sees the limit that it moved to.
 */
static bool slot_has_room(const struct arena_slot *slot)
{
	/* See above; and the rest is a guess, as collecting looks again. */
	return smp_load_acquire(&slot->ahead) || data_race(slot->limit != slot->taken);
}

/*
 * Is a span that @slot has, busy or not, of @generation? Acquire: pairs with the
 * smp_store_release() in slot_adopt().
 */
static bool slot_is_of(const struct arena_slot *slot, unsigned long generation)
{
	/* See above. */
	return smp_load_acquire(&slot->generation) == generation && !READ_ONCE(slot->stale);
}

/* Is anything left that others own, or are about to? */
static bool tails_exist(struct arena *arena, unsigned long generation)
{
	const struct arena_cpu *cpu;

	/*
	 * Pairs with the compare-and-swap in cursor_claim(): who sees what it took from the
	 * cursor sees that a span is being filled, or what there is in it.
	 */
	smp_rmb();
	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		/* Acquire: pairs with the smp_store_release() in slot_refill(). */
		if (smp_load_acquire(&cpu->slot.filling) ||
		    (slot_is_of(&cpu->slot, generation) && slot_has_room(&cpu->slot)))
			return true;
	return false;
}

/* A busy slot stays so, for interrupts to see: its owner is waited for. */
static void slot_close(struct arena_slot *slot)
{
	unsigned long span = READ_ONCE(slot->span);

	while (span && span != ARENA_SPAN_BUSY && !try_cmpxchg(&slot->span, &span, 0))
		;
}

/*
 * Take the spans away from their owners. A refill that had not seen the mark, or a fast
 * path, may have set its span once more: it has ended after the first round, and there
 * is no other.
 */
static void revoke(struct arena_cpu *first)
{
	struct arena_cpu *cpu;
	bool again;

	for (cpu = first; cpu; cpu = cpu->next)
		WRITE_ONCE(cpu->slot.revoked, true);
	/*
	 * Pairs with the smp_load_acquire() of the span in arena_slot_claim(): an owner that
	 * finds it gone and was not told why would fill another one over what is left.
	 */
	smp_wmb();
	do {
		for (cpu = first; cpu; cpu = cpu->next)
			slot_close(&cpu->slot);
		synchronize_rcu();
		again = false;
		for (cpu = first; cpu; cpu = cpu->next)
			again |= READ_ONCE(cpu->slot.span);
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
	unsigned long generation = smp_load_acquire(&slot->generation);

	if (READ_ONCE(slot->stale) || !slot_room(slot))
		generation = 0;
	if (generation > tails->generation) {
		/* A span of a generation that has begun since: it goes back. */
		WRITE_ONCE(slot->span, generation);
	} else {
		if (generation == tails->generation)
			keep_tail(tails, slot->end_offset - slot_room(slot), slot->end_offset);
		slot->limit = slot->taken;
		WRITE_ONCE(slot->ahead, 0);
	}
	/* Release: the owner may refill when we are done reading. */
	smp_store_release(&slot->revoked, false);
}

/* How many tails a collection can find, beside what is left of the one before. */
static unsigned int tails_max(const struct arena_cpu *first, const struct arena_tails *old)
{
	unsigned int most = old ? old->nr : 0;

	for (; first; first = first->next)
		most++;
	return most;
}

/* Collect from @first on into @tails, an empty table that is large enough. */
static void collect(struct arena *arena, struct arena_cpu *first, unsigned long generation,
		    struct arena_tails *tails)
{
	struct arena_tails *old = arena->tails;
	struct arena_cpu *cpu;

	tails->generation = generation;
	keep_old_tails(tails, old);
	revoke(first);
	for (cpu = first; cpu; cpu = cpu->next)
		collect_slot(tails, &cpu->slot);
	arena->tails = tails;
	kvfree(old);
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
 * Take @size bytes from a tail, collecting first if there is something to collect. The table
 * is allocated while tail_mutex is not held: reclaim may call a shrinker that allocates
 * from this arena.
 */
static int claim_collected(struct arena *arena, unsigned long generation, size_t size,
			   size_t align, gfp_t gfp, size_t *offset)
{
	struct arena_tails *tails = NULL;
	unsigned int room = 0, needed;
	struct arena_cpu *first;
	int err;

	for (;;) {
		mutex_lock(&arena->tail_mutex);
		err = take_tail(arena, generation, size, align, offset);
		/* States that come later have nothing yet. */
		first = arena_cpus_first(arena);
		needed = err && tails_exist(arena, generation) ?
			 tails_max(first, arena->tails) : 0;
		if (needed && needed <= room) {
			collect(arena, first, generation, tails);
			tails = NULL;
			err = take_tail(arena, generation, size, align, offset);
			needed = 0;
		}
		mutex_unlock(&arena->tail_mutex);
		kvfree(tails);
		if (!needed)
			return err;
		room = needed;
		tails = kvzalloc(struct_size(tails, tail, room), arena_gfp_meta(gfp));
		if (!tails)
			return err;
	}
}

/*
 * The cursor has nothing left: serve from the tails of other CPUs' spans, so
 * that who may sleep gets all of a full arena (clause 16). @size bytes, of which @used are
 * objects' and count.
 */
int arena_claim_tail(struct arena *arena, size_t size, size_t used, size_t align, gfp_t gfp,
		     struct arena_place *place)
{
	unsigned long generation = arena_peek(arena).generation;
	struct arena_cpu *cpu;
	void *base = NULL;
	size_t offset;
	int err;

	err = claim_collected(arena, generation, size, align, gfp, &offset);
	/* What was full may have been emptied meanwhile. */
	if (err == -ENOSPC && arena_peek(arena).generation != generation)
		return -ESTALE;
	if (err)
		return err;

	cpu = arena_enter(arena);
	if (arena_look(arena).generation == generation) {
		base = arena_slab_base(arena, generation, offset);
		/* Without a slab a release has begun, and there is no object to count. */
		if (base) {
			arena_account(arena, arena_slot(cpu), generation, used);
			count_objects(arena, cpu, 1);
		}
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
