// SPDX-License-Identifier: GPL-2.0
/*
 * Spans: stretches of the space in which one CPU allocates alone.
 *
 * A refill takes no lock. Collecting the tails of a full arena takes tail_mutex; only callers that
 * may sleep do so.
 *
 * The owner of a span allocates from it without atomics, so another CPU cannot simply take the
 * tail. The collecting CPU first revokes all spans: it sets @revoked in each slot, then clears
 * @span, so that the fast path fails. Allocations run with preemption off. So after a grace period,
 * all allocations that may have missed these stores have ended, and all allocations that begin
 * later leave the span alone. Only then does the collecting CPU read the tails.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "core/cursor.h"

/**
 * struct arena_tails - the tails that a collection found.
 * @generation: the generation of the tails, which are void in any other.
 * @nr:		number of tails.
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
 * How many bytes to claim for a span, including the object. The number doubles with every refill: a
 * CPU that allocates much refills seldom, and a CPU that allocates little wastes little. It shrinks
 * towards the end of the space, so that CPUs share what is left. A CPU whose span can be joined has
 * been alone since its last refill and may take half of what is left; other CPUs take a smaller
 * part.
 */
static size_t span_want(const struct arena *arena, const struct arena_snap *snap,
			const struct arena_slot *slot, size_t size, size_t align)
{
	size_t left = arena->capacity - min(arena->capacity, cursor_offset(snap->cursor));
	size_t share = slot_joins(slot, snap) ? left / 2 : left / (4 * num_online_cpus());
	size_t want = min_t(size_t, slot->want, share);
	size_t stride = ALIGN(size + arena_redzone(arena), align);

	/* Claim a multiple of the object's size, so that objects of one size leave no tails. */
	return max(want - want % stride, size);
}

/*
 * Zero an object of the span unless the span is known to be zero. Returns -ESTALE if a reset has
 * freed the object.
 */
static int slot_zero(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     void *object, size_t size)
{
	return slot->zeroed ? 0 : zero_claimed(arena, cpu, slot->generation, object, size);
}

/*
 * Should the CPU keep its span and claim only the object? It should if more is left in the present
 * span than would be left in a new one. The exception is a span that ends at the cursor: it is
 * joined with the new span, so its tail is not lost.
 */
static bool span_worth_keeping(const struct arena_snap *snap, const struct arena_slot *slot,
			       size_t size, size_t want)
{
	return slot_room(slot) > want - size && !slot_joins(slot, snap);
}

/* Zero more of the span and raise @slot->limit, so that @need free bytes lie below it. */
static int slot_advance(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
			size_t need)
{
	size_t lacking = need - (slot->limit - slot->taken);
	size_t bytes = min(slot->ahead, max_t(size_t, lacking, ARENA_SPAN_ZERO));
	int err = zero_claimed(arena, cpu, slot->generation,
			       (void *)(slot->limit + slot->delta), bytes);

	if (err)
		return err;
	/* Racy with slot_has_room() on a remote CPU, which reads @ahead before @limit. */
	data_race(slot->limit += bytes);
	/*
	 * Release: pairs with the smp_load_acquire() in slot_has_room(). Otherwise a remote
	 * CPU could see the new @ahead with the old @limit, and take the span for empty.
	 */
	smp_store_release(&slot->ahead, slot->ahead - bytes);
	return 0;
}

/*
 * Make the claimed stretch the span of this CPU, and take the object at its start. The bytes from
 * offset @ready on must be zeroed before an allocation gets them.
 */
static void slot_set(struct arena *arena, struct arena_slot *slot, const struct claim *claim,
		     size_t size, size_t ready)
{
	size_t end = ALIGN_DOWN(claim->end, ARENA_MIN_ALIGN);
	size_t next = claim->object + ALIGN(size, ARENA_MIN_ALIGN) + arena_redzone(arena);
	unsigned long address = (unsigned long)claim_address(arena, claim, claim->object);

	/* As @end is rounded down, an object at the end of the space may end above it. */
	ready = max(min(ready, end), next);
	slot_take(slot, size);
	slot->end_offset = end;
	slot->limit = slot->taken + ready - next;
	WRITE_ONCE(slot->ahead, max(end, ready) - ready);
	slot->delta = address + (end - claim->object) - slot->limit - slot->ahead;
	slot->want = min_t(size_t, 2 * slot->want, ARENA_SPAN_MAX);
	slot_idle(slot, claim->generation);
}

/*
 * Claim a span with room for the object, joined to the tail of the old span where possible, and
 * take the object from it.
 */
static int slot_fill(struct arena *arena, struct arena_snap snap, struct arena_cpu *cpu,
		     struct arena_slot *slot, size_t size, size_t align, size_t want,
		     struct claim *claim)
{
	size_t dirty, ready;
	bool clean, joined;
	int err;

	err = cursor_claim(arena, snap, slot, size, align, want, claim);
	if (err) {
		if (READ_ONCE(slot->span) == ARENA_SPAN_BUSY)
			slot_idle(slot, snap.generation);
		return err;
	}
	if (slot->generation != claim->generation)
		slot_begin(slot, claim->generation);
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
	slot_set(arena, slot, claim, size, ready);
	return 0;
}

/*
 * Refill @slot, and take the object from the new span. Returns 0; %ARENA_USE_CURSOR if the present
 * span is worth more than a new one; or an error of cursor_claim() or zero_claimed().
 */
static int slot_refill(struct arena *arena, struct arena_snap snap, struct arena_cpu *cpu,
		       struct arena_slot *slot, size_t size, size_t align, bool zero,
		       struct arena_place *place)
{
	struct claim claim;
	size_t want;
	int err;

	if (READ_ONCE(slot->span) == snap.generation)
		slot_busy(slot);
	want = span_want(arena, &snap, slot, size, align);
	if (span_worth_keeping(&snap, slot, size, want)) {
		if (READ_ONCE(slot->span) == ARENA_SPAN_BUSY)
			slot_idle(slot, snap.generation);
		return ARENA_USE_CURSOR;
	}

	/*
	 * Between the claim and slot_set(), the claimed bytes beside the object are in no span.
	 * @filling tells tails_exist() of them. The compare-and-swap of the claim orders this store
	 * before the claim.
	 */
	WRITE_ONCE(slot->filling, want > size);
	err = slot_fill(arena, snap, cpu, slot, size, align, want, &claim);
	/*
	 * Release: pairs with the smp_load_acquire() in tails_exist(), which sees the new span if
	 * it does not see @filling. Otherwise tails_exist() could overlook the span.
	 */
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
 * Correct @span where a fast path has left an older generation in it. An interrupt between the
 * comparison of the generations and the busy store may have reset the arena and refilled the slot:
 * the fast path then takes from the new span, and writes back the generation that it compared.
 */
static void slot_fix_generation(struct arena_slot *slot)
{
	unsigned long span = READ_ONCE(slot->span);

	/*
	 * Acquire: pairs with the smp_store_release() in collect_slot(). This CPU must not
	 * write @span while the collecting CPU may.
	 */
	if (unlikely(span && span != slot->generation && !smp_load_acquire(&slot->revoked)))
		WRITE_ONCE(slot->span, slot->generation);
}

/*
 * Take one object from the span of this CPU, refilling the span if needed. Returns 0;
 * %ARENA_USE_CURSOR if the caller is to claim the object from the cursor instead, as the span is
 * revoked or worth keeping; or an error of slot_refill().
 */
int arena_span_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     size_t size, size_t align, bool zero, struct arena_place *place)
{
	struct arena_snap snap = __arena_snap(arena);
	void *object;
	size_t need;
	int err = 0;

	if (slot->generation != snap.generation && !slot_adopt(slot, snap.generation))
		return ARENA_USE_CURSOR;
	slot_fix_generation(slot);
	align = max(align, ARENA_MIN_ALIGN);
	need = slot_need(arena, slot, size, align);
	/*
	 * Acquire: pairs with smp_wmb() in revoke(). An owner that finds its span cleared must
	 * see @revoked, or it would refill the slot, and the old tail would be lost.
	 */
	if (smp_load_acquire(&slot->span) != snap.generation || need > slot_room(slot)) {
		/*
		 * Acquire: pairs with the smp_store_release() in collect_slot(). The owner
		 * refills only after the collecting CPU has read the tail.
		 */
		if (smp_load_acquire(&slot->revoked))
			return ARENA_USE_CURSOR;
		return slot_refill(arena, snap, cpu, slot, size, align, zero, place);
	}
	slot_busy(slot);
	/* An interrupt before slot_busy() may have taken from the span: compute @need again. */
	need = slot_need(arena, slot, size, align);
	if (unlikely(need > slot_room(slot))) {
		slot_idle(slot, snap.generation);
		return ARENA_USE_CURSOR;
	}
	object = (void *)ALIGN(slot->taken + slot->delta, align);
	place_set(place, snap.generation,
		  slot->end_offset - (slot_end(slot) - (unsigned long)object), object);
	while (!err && !slot_bump(arena, slot, size, align, &object))
		err = slot_advance(arena, cpu, slot, need);
	slot_idle(slot, snap.generation);
	if (err)
		return err;
	return zero ? slot_zero(arena, cpu, slot, object, size) : 0;
}

/* Guess, on a remote CPU, whether anything is left in a span. collect_slot() checks that again. */
static bool slot_has_room(const struct arena_slot *slot)
{
	/*
	 * Acquire: pairs with the smp_store_release() in slot_advance(), which raises @limit
	 * before it lowers @ahead. Racy with the owner: only a guess.
	 */
	return smp_load_acquire(&slot->ahead) || data_race(slot->limit != slot->taken);
}

/* Is the span of @slot of @generation? Returns true also while the owner allocates in the span. */
static bool slot_is_of(const struct arena_slot *slot, unsigned long generation)
{
	/*
	 * Acquire: pairs with the smp_store_release() in slot_begin(), which drops the old span
	 * first: slot_has_room() must not find the room of the old span.
	 */
	return smp_load_acquire(&slot->generation) == generation;
}

/* May there be tails in the spans of any CPU, including spans that are being filled? */
static bool tails_exist(struct arena *arena, unsigned long generation)
{
	const struct arena_cpu *cpu;

	/*
	 * Pairs with the compare-and-swap in cursor_claim(). The caller has found the cursor
	 * exhausted: for each span that was claimed before, this CPU now sees either @filling set
	 * or the span itself. Without the barrier an allocation could fail although a tail is free.
	 */
	smp_rmb();
	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		/* Acquire: pairs with the smp_store_release() in slot_refill(). */
		if (smp_load_acquire(&cpu->slot.filling) ||
		    (slot_is_of(&cpu->slot, generation) && slot_has_room(&cpu->slot)))
			return true;
	return false;
}

/*
 * Clear @span of @slot, unless an allocation of the owner is at work in the span: allocations that
 * interrupt that allocation must find the span busy. revoke() waits for the owner and tries again.
 */
static void slot_close(struct arena_slot *slot)
{
	unsigned long span = READ_ONCE(slot->span);

	while (span && span != ARENA_SPAN_BUSY && !try_cmpxchg(&slot->span, &span, 0))
		;
}

/*
 * Take the spans from their CPUs. One round is not enough if an owner was in an allocation in its
 * span when slot_close() read @span, or had read @span or @revoked before: such an allocation may
 * set @span once more, and ends before the grace period does.
 *
 * A fast path that finds too little room in a span writes @span back all the same. If slot_close()
 * runs between the comparison of the fast path and that store, one more round is needed. So the
 * number of rounds has no fixed bound, but each further round is unlikely.
 */
static void revoke(struct arena_cpu *first)
{
	struct arena_cpu *cpu;
	bool again;

	for (cpu = first; cpu; cpu = cpu->next)
		WRITE_ONCE(cpu->slot.revoked, true);
	/*
	 * Pairs with the smp_load_acquire() of the span in arena_span_claim(). An owner that
	 * found @span cleared, but not @revoked set, would refill the slot, and the tail
	 * would be lost.
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

/* Keep the tails that the former collection has left, if they are of the same generation. */
static void keep_old_tails(struct arena_tails *tails, const struct arena_tails *old)
{
	unsigned int i;

	for (i = 0; old && old->generation == tails->generation && i < old->nr; i++)
		if (old->tail[i].offset < old->tail[i].end)
			keep_tail(tails, old->tail[i].offset, old->tail[i].end);
}

/* Collect the tail of a revoked slot, and give the slot back to its owner. */
static void collect_slot(struct arena_tails *tails, struct arena_slot *slot)
{
	/* Acquire: pairs with the smp_store_release() in slot_begin(), which drops the old span. */
	unsigned long generation = smp_load_acquire(&slot->generation);

	if (!slot_room(slot))
		generation = 0;
	if (generation > tails->generation) {
		/* The span belongs to a later generation than @tails: its owner gets it back. */
		WRITE_ONCE(slot->span, generation);
	} else {
		if (generation == tails->generation)
			keep_tail(tails, slot->end_offset - slot_room(slot), slot->end_offset);
		slot->limit = slot->taken;
		WRITE_ONCE(slot->ahead, 0);
		slot->end_offset = SIZE_MAX;
	}
	/*
	 * Release: pairs with the smp_load_acquire() in arena_span_claim(), slot_fix_generation()
	 * and slot_adopt(). The owner overwrites the span only after this CPU has read it.
	 */
	smp_store_release(&slot->revoked, false);
}

/* The most tails that a collection can find, including those that the last one has left. */
static unsigned int tails_max(const struct arena_cpu *first, const struct arena_tails *old)
{
	unsigned int most = old ? old->nr : 0;

	for (; first; first = first->next)
		most++;
	return most;
}

/* Collect the tails of all CPUs from @first on into @tails, an empty table that is large enough. */
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

/* Take @size bytes from the first collected tail that has room for them. */
static int take_tail(struct arena *arena, unsigned long generation, size_t size, size_t align,
		     size_t *offset)
{
	struct arena_tails *tails = arena->tails;
	unsigned int i;

	align = arena_object_align(arena, align);

	if (!tails || tails->generation != generation)
		return -ENOSPC;
	for (i = 0; i < tails->nr; i++) {
		size_t start = ALIGN(tails->tail[i].offset, align);
		size_t end = arena_object_end(arena, start, size);

		if (start > tails->tail[i].end || end - start > tails->tail[i].end - start)
			continue;
		tails->tail[i].offset = end;
		*offset = start;
		return 0;
	}
	return -ENOSPC;
}

/*
 * Take @size bytes from a collected tail. If no tail has room for them, collect the tails of all
 * CPUs and try again. Allocate the table while tail_mutex is not held: reclaim may call a shrinker
 * that allocates from this arena, and would wait for the mutex for ever.
 */
static int claim_collected(struct arena *arena, unsigned long generation, size_t size,
			   size_t align, gfp_t gfp, size_t *offset)
{
	struct arena_tails *tails = NULL;
	unsigned int room = 0, needed;
	struct arena_cpu *first = NULL;
	int err;

	for (;;) {
		mutex_lock(&arena->tail_mutex);
		err = take_tail(arena, generation, size, align, offset);
		needed = 0;
		if (err && tails_exist(arena, generation)) {
			/*
			 * Read the list after the smp_rmb() in tails_exist(): a state that another
			 * CPU adds later has no tail, as the cursor is exhausted already.
			 */
			first = arena_cpus_first(arena);
			needed = tails_max(first, arena->tails);
		}
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
 * The cursor is exhausted: allocate from the tails of all CPUs' spans, so that callers that may
 * sleep can use all of the arena (clause 16). Of the @size bytes, @used belong to objects and count
 * as used.
 */
int arena_tails_claim(struct arena *arena, size_t size, size_t used, size_t align, gfp_t gfp,
		      struct arena_place *place)
{
	unsigned long generation = arena_snap(arena).generation;
	struct arena_cpu *cpu;
	void *base = NULL;
	size_t offset;
	int err;

	err = claim_collected(arena, generation, size, align, gfp, &offset);
	/* If a reset has emptied the arena since the caller found it full, let the caller retry. */
	if (err == -ENOSPC && arena_snap(arena).generation != generation)
		return -ESTALE;
	if (err)
		return err;

	cpu = arena_enter(arena);
	if (__arena_snap(arena).generation == generation) {
		base = arena_slab_base(arena, generation, offset);
		/*
		 * If the slab is gone, a reset has released it and freed the object: there is
		 * nothing to count.
		 */
		if (base)
			arena_account(arena, arena_slot(cpu), generation, used);
		if (base && size == used)
			arena_object_claimed(arena, cpu, generation,
					     base + (offset & (arena_slab_size(arena) - 1)), size);
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
