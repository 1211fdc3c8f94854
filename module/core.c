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
 *	[ tag | unsettled | offset ]
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
 * So a generation begins unsettled:
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
 * at the generation again and gives up if it has changed. Who settles has read
 * the new tag, passes full barrier B and looks at the counts. Either the writer
 * sees the new generation, or the one who settles sees the writer.
 *
 * ABA. A cursor word that comes back would let a stale compare-and-swap
 * succeed, with a directory entry that may be of another time. Within a
 * generation the offset only grows. Across generations the tag differs, until
 * it wraps: each time its highest bit changes, a grace period must have passed
 * since the last time it did (tag_half_is_clear()), and allocations read and
 * swap the word with preemption off. All else (spans, views, statistics)
 * compares the full generation.
 *
 * Nesting. An allocation can be interrupted by another one of the same arena
 * on the same CPU, in an interrupt, an NMI, or a probe inside the allocator.
 * arena_cpu.depth counts them, and each uses a slot of its own: the outermost
 * slot 0, whoever interrupts it slot 1. Whoever finds depth 0 uses slot 0,
 * whatever context it is: interrupts that did not hit an allocation cost no
 * slot of their own, and the level needs not be found out. Deeper than
 * %ARENA_SLOTS, the shared cursor serves.
 *
 * Barrier pairs, each with a litmus test in kunit/litmus/:
 *
 *	=======  ==============================  ===============================
 *	name     one side                        other side
 *	=======  ==============================  ===============================
 *	A-B      smp_mb() in arena_write_begin() smp_mb() in arena_settle()
 *	install  cmpxchg() in                    address dependency from
 *	         arena_slab_install()            cursor_claim() reading the base
 *	look     store-release of the generation load-acquire in arena_look()
 *	         in next_generation()
 *	done     store-release of the writers in load-acquire in late_writers()
 *	         arena_write_end()
 *	adopt    store-release of the slot's     load-acquire in
 *	         generation in slot_adopt()      used_in_generation()
 *	=======  ==============================  ===============================
 */
#include <linux/build_bug.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "internal.h"

/* Preemption is off for one slab copy at a time, and for no more than this. */
#define ARENA_COPY_CHUNK	SZ_64K

/* The first span of a generation, and what doubling ends at. */
#define ARENA_SPAN_MIN		SZ_4K
#define ARENA_SPAN_MAX		SZ_64K

/*
 * Enter and leave an allocation. Not atomic, no interrupts off: an interrupt
 * between load and store puts back what it found.
 */
static __always_inline struct arena_cpu *arena_enter(struct arena *arena)
{
	struct arena_cpu *cpu;

	preempt_disable();
	cpu = this_cpu_ptr(arena->cpu);
	WRITE_ONCE(cpu->depth, cpu->depth + 1);
	barrier();
	return cpu;
}

static __always_inline void arena_leave(struct arena_cpu *cpu)
{
	barrier();
	WRITE_ONCE(cpu->depth, cpu->depth - 1);
	preempt_enable();
}

/* The slot of the one who entered, NULL where nesting is too deep to have one. */
static struct arena_slot *arena_slot(struct arena_cpu *cpu)
{
	unsigned int depth = cpu->depth - 1;

	return likely(depth < ARENA_SLOTS) ? &cpu->slot[depth] : NULL;
}

/*
 * Before the allocator itself writes to memory of @generation. False if that
 * is over: then do not write, the memory may belong to somebody else.
 */
static bool arena_write_begin(struct arena *arena, struct arena_cpu *cpu,
			      unsigned long generation)
{
	WRITE_ONCE(cpu->writers, cpu->writers + 1);
	/*
	 * Full barrier A: pairs with B in arena_settle(). If the look below
	 * does not see a new tag, then whoever settles that tag sees us
	 * counted and does not hand the memory out again.
	 */
	smp_mb();
	if (likely(arena_look(arena).generation == generation))
		return true;
	WRITE_ONCE(cpu->writers, cpu->writers - 1);
	return false;
}

static void arena_write_end(struct arena_cpu *cpu)
{
	/* Release: pairs with the smp_load_acquire() in late_writers(). */
	smp_store_release(&cpu->writers, cpu->writers - 1);
}

static void slot_adopt(struct arena_slot *slot, unsigned long generation)
{
	slot->pos = 0;
	slot->end = 0;
	slot->want = ARENA_SPAN_MIN;
	WRITE_ONCE(slot->used, 0);
	/*
	 * Release: pairs with the smp_load_acquire() in used_in_generation().
	 * Who sees this generation does not see what was used in the last one.
	 */
	smp_store_release(&slot->generation, generation);
}

static __always_inline void slot_count(struct arena_slot *slot, size_t size)
{
	WRITE_ONCE(slot->used, slot->used + size);
	WRITE_ONCE(slot->allocs, slot->allocs + 1);
}

/* The fast path: take from the span, or not; NULL leaves everything as it was. */
static __always_inline void *slot_bump(struct arena_slot *slot, size_t size, size_t align)
{
	unsigned long object = slot->pos;
	size_t need;

	if (align > ARENA_MIN_ALIGN)
		object = ALIGN(object, align);
	need = object - slot->pos + ALIGN(size, ARENA_MIN_ALIGN);
	/* Size 0 and one that wraps are refused here too: 0 - 1 is never less. */
	if (unlikely(need - 1 >= slot->end - slot->pos))
		return NULL;
	WRITE_ONCE(slot->pos, slot->pos + need);
	slot_count(slot, size);
	return (void *)object;
}

static __always_inline void *arena_bump(struct arena *arena, size_t size, size_t align,
					gfp_t gfp)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = cpu->slot;
	void *object = NULL;

	if (likely(cpu->depth == 1 && slot->generation == READ_ONCE(arena->generation) &&
		   (!(gfp & __GFP_ZERO) || slot->zeroed)))
		object = slot_bump(slot, size, align);
	arena_leave(cpu);
	return object;
}

/**
 * struct claim - a stretch of the space that the cursor handed out.
 * @generation: in which.
 * @from:	first byte that was not ours before.
 * @object:	where the object begins.
 * @end:	first byte that is not ours.
 * @slab:	directory entry.
 * @base:	kernel address of the slab.
 */
struct claim {
	unsigned long		generation;
	size_t			from;
	size_t			object;
	size_t			end;
	struct arena_slab	*slab;
	void			*base;
};

/*
 * Move the cursor past an object, and up to @want bytes further if the slab
 * and the capacity have them. The tail of @slot's span, if it ends where the
 * cursor stands, is joined with what is claimed: a CPU that is alone wastes
 * nothing.
 *
 * 0; -ENOSPC; -EAGAIN if the slab at claim->object is not committed; -EBUSY if
 * the generation is not settled. Only success changes anything.
 */
static __always_inline int cursor_claim(struct arena *arena, struct arena_slot *slot,
					size_t size, size_t align, size_t want,
					struct claim *claim)
{
	const size_t mask = arena_slab_size(arena) - 1;
	struct arena_view view = arena_look(arena);
	long cursor = view.cursor;
	size_t offset, object, end;

	for (;;) {
		if (unlikely(!cursor_settled(cursor)))
			return -EBUSY;
		offset = cursor_offset(cursor);
		object = offset;
		if (want && slot->end_offset == offset && slot->generation == view.generation)
			object -= slot->end - slot->pos;
		object = ALIGN(object, align);
		/* An object lies within one slab. */
		if ((object & mask) + size > mask + 1)
			object = ALIGN(object, mask + 1);
		if (object > arena->capacity || size > arena->capacity - object)
			return -ENOSPC;
		claim->object = object;
		claim->slab = &arena_dir(arena, view.generation)[object >> arena->slab_shift];
		claim->base = READ_ONCE(claim->slab->base);
		if (unlikely(!claim->base))
			return -EAGAIN;
		end = object + size;
		if (want)
			end = max(end, min3(ALIGN(offset + want, ARENA_MIN_ALIGN),
					    (object | mask) + 1, arena->capacity));
		if (likely(atomic_long_try_cmpxchg(&arena->cursor, &cursor,
						   cursor_move(cursor, end))))
			break;
		view.generation = cursor_generation(cursor, view.generation);
	}
	claim->generation = view.generation;
	claim->from = offset;
	claim->end = end;
	return 0;
}

static void *claim_address(const struct arena *arena, const struct claim *claim, size_t offset)
{
	return claim->base + (offset & (arena_slab_size(arena) - 1));
}

/* In this generation the slab was zero when installed, and what was handed out is not again. */
static bool claim_is_clean(const struct claim *claim)
{
	return READ_ONCE(claim->slab->clean) == claim->generation;
}

/* Zero [@from, @end) of what was claimed; -ESTALE if it is no longer ours. */
static int claim_zero(struct arena *arena, struct arena_cpu *cpu, const struct claim *claim,
		      size_t from, size_t end)
{
	if (claim_is_clean(claim))
		return 0;
	if (!arena_write_begin(arena, cpu, claim->generation))
		return -ESTALE;
	memset(claim_address(arena, claim, from), 0, end - from);
	arena_write_end(cpu);
	return 0;
}

static void place_set(struct arena_place *place, unsigned long generation, size_t offset,
		      void *ptr)
{
	place->generation = generation;
	place->offset = offset;
	place->ptr = ptr;
}

/* Deeper than the slots: account on the shared line, in a word tagged like the cursor. */
static void deep_count(struct arena *arena, unsigned long generation, size_t size)
{
	long old = atomic_long_read(&arena->deep_used), new;

	do {
		if (cursor_tag(old) == (generation & ARENA_TAG_MASK))
			new = cursor_move(old, cursor_offset(old) + size);
		else
			new = cursor_move(cursor_start(generation), size);
	} while (!atomic_long_try_cmpxchg(&arena->deep_used, &old, new));
	atomic_long_inc(&arena->deep_allocs);
}

/* Claim exactly one object: all that a dense arena does, and nesting too deep for a slot. */
static int claim_object(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
			size_t size, size_t align, bool zero, struct arena_place *place)
{
	struct claim claim;
	int err;

	err = cursor_claim(arena, NULL, size, align, 0, &claim);
	place->offset = claim.object;
	if (err)
		return err;
	if (zero) {
		err = claim_zero(arena, cpu, &claim, claim.object, claim.end);
		if (err)
			return err;
	}
	if (likely(slot)) {
		if (slot->generation != claim.generation)
			slot_adopt(slot, claim.generation);
		slot_count(slot, size);
	} else {
		deep_count(arena, claim.generation, size);
	}
	place_set(place, claim.generation, claim.object,
		  claim_address(arena, &claim, claim.object));
	return 0;
}

/*
 * How much to claim beside the object: doubles with every refill, so that who
 * allocates much refills seldom and who allocates little wastes little, and
 * shrinks towards the end of the space, so that CPUs share what is left.
 */
static size_t span_want(const struct arena *arena, const struct arena_slot *slot)
{
	size_t left = arena->capacity - min(arena->capacity, arena_high(arena));

	return min_t(size_t, slot->want, left / (4 * num_online_cpus()));
}

/*
 * Give @slot a span with room for the object, joined to the old one where
 * possible, and take the object from it. Where the old span would have more
 * left than the new one, keep it and claim only the object.
 */
static int slot_refill(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		       size_t size, size_t align, bool zero, struct arena_place *place)
{
	size_t want = span_want(arena, slot);
	struct claim claim;
	bool joined;
	int err;

	if (size >= want || slot->end - slot->pos > want - size)
		return claim_object(arena, cpu, slot, size, align, zero, place);

	err = cursor_claim(arena, slot, size, align, want, &claim);
	place->offset = claim.object;
	if (err)
		return err;
	if (slot->generation != claim.generation)
		slot_adopt(slot, claim.generation);
	if (arena->zero) {
		err = claim_zero(arena, cpu, &claim, max(claim.from, claim.object), claim.end);
		if (err)
			return err;
	}
	joined = claim.object < claim.from;
	slot->zeroed = (!joined || slot->zeroed) && (arena->zero || claim_is_clean(&claim));
	place_set(place, claim.generation, claim.object,
		  claim_address(arena, &claim, claim.object));
	slot->end_offset = claim.end;
	slot->end = (unsigned long)place->ptr + (claim.end - claim.object);
	slot->pos = min((unsigned long)place->ptr + ALIGN(size, ARENA_MIN_ALIGN), slot->end);
	slot->want = min_t(size_t, 2 * slot->want, ARENA_SPAN_MAX);
	slot_count(slot, size);
	return 0;
}

static int slot_zero(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		     void *object, size_t size)
{
	if (slot->zeroed)
		return 0;
	if (!arena_write_begin(arena, cpu, slot->generation))
		return -ESTALE;
	memset(object, 0, size);
	arena_write_end(cpu);
	return 0;
}

/* Claim one object by way of the span. */
static int slot_claim(struct arena *arena, struct arena_cpu *cpu, struct arena_slot *slot,
		      size_t size, size_t align, bool zero, struct arena_place *place)
{
	unsigned long generation = arena_look(arena).generation;
	void *object;

	if (slot->generation != generation)
		slot_adopt(slot, generation);
	align = max(align, ARENA_MIN_ALIGN);
	object = slot_bump(slot, size, align);
	if (!object)
		return slot_refill(arena, cpu, slot, size, align, zero, place);
	place_set(place, generation,
		  slot->end_offset - (slot->end - (unsigned long)object), object);
	return zero ? slot_zero(arena, cpu, slot, object, size) : 0;
}

/* One try, with preemption off. */
static int try_claim(struct arena *arena, size_t size, size_t align, bool zero,
		     struct arena_place *place)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);
	int err;

	if (arena->spans && slot)
		err = slot_claim(arena, cpu, slot, size, align, zero, place);
	else
		err = claim_object(arena, cpu, slot, size, align, zero, place);
	arena_leave(cpu);
	return err;
}

/* What stood in the way of a claim: remove it, or say why not. 0 means try again. */
static int make_way(struct arena *arena, int err, size_t offset, gfp_t gfp)
{
	switch (err) {
	case -EAGAIN:
		return arena_slab_install(arena, offset >> arena->slab_shift, gfp);
	case -EBUSY:
		return arena_settle_wait(arena, gfp) ? 0 : -ENOMEM;
	case -ESTALE:	/* A reset came between: the object died before it was born. */
		return 0;
	default:
		return err;
	}
}

static int claim_small(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		       struct arena_place *place)
{
	bool zero = arena->zero || gfp & __GFP_ZERO;
	int err;

	do {
		err = try_claim(arena, size, align, zero, place);
		if (likely(!err))
			return 0;
		err = make_way(arena, err, place->offset, gfp);
	} while (!err);
	return err;
}

/*
 * Write @src, or zeroes, to a place of @generation, slab by slab and never
 * long with preemption off. False if the generation ended meanwhile.
 */
static bool arena_write(struct arena *arena, unsigned long generation, size_t offset,
			const void *src, size_t size)
{
	const size_t mask = arena_slab_size(arena) - 1;

	while (size) {
		size_t chunk = min3(size, (offset | mask) + 1 - offset, (size_t)ARENA_COPY_CHUNK);
		struct arena_cpu *cpu = arena_enter(arena);
		bool live = arena_write_begin(arena, cpu, generation);

		if (live) {
			struct arena_slab *dir = arena_dir(arena, generation);
			void *to = READ_ONCE(dir[offset >> arena->slab_shift].base) + (offset & mask);

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
		cond_resched();
	}
	return true;
}

/* One stretch of kernel addresses for the slabs from @start on. */
static struct arena_large *large_view(struct arena *arena, unsigned long generation,
				      size_t start, size_t size)
{
	size_t nr = DIV_ROUND_UP(size, PAGE_SIZE), i;
	struct arena_large *large = kmalloc(sizeof(*large), GFP_KERNEL | __GFP_NOWARN);
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL | __GFP_NOWARN);

	if (!large || !pages)
		goto fail;
	rcu_read_lock();
	for (i = 0; i < nr; i++) {
		pages[i] = arena_page(arena, start + i * PAGE_SIZE);
		if (!pages[i])
			break;
	}
	rcu_read_unlock();
	if (i < nr)
		goto fail;
	large->generation = generation;
	large->view = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!large->view)
		goto fail;
	kvfree(pages);
	return large;
fail:
	kvfree(pages);
	kfree(large);
	return NULL;
}

static void large_drop(struct arena_large *large)
{
	if (!large)
		return;
	vunmap(large->view);
	kfree(large);
}

/*
 * Move the cursor past [@start, @start + @size) if that is still where the next
 * large object would go in @generation.
 */
static bool large_commit(struct arena *arena, unsigned long generation, size_t start, size_t size)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_view view = arena_look(arena);
	struct arena_slot *slot = arena_slot(cpu);
	long cursor = view.cursor;
	bool done = false;

	while (view.generation == generation && cursor_settled(cursor) &&
	       ALIGN(cursor_offset(cursor), arena_slab_size(arena)) == start) {
		done = atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					       cursor_move(cursor, start + size));
		if (done)
			break;
		view.generation = cursor_generation(cursor, view.generation);
	}
	if (done && slot) {
		if (slot->generation != generation)
			slot_adopt(slot, generation);
		slot_count(slot, size);
	} else if (done) {
		deep_count(arena, generation, size);
	}
	arena_leave(cpu);
	return done;
}

/* Commit the slabs under [@start, @start + @size) of @generation. */
static int large_populate(struct arena *arena, size_t start, size_t size, gfp_t gfp)
{
	size_t i, last = (start + size - 1) >> arena->slab_shift;

	for (i = start >> arena->slab_shift; i <= last; i++) {
		int err = 0;

		if (!arena_page(arena, i << arena->slab_shift))
			err = arena_slab_install(arena, i, gfp);
		if (err)
			return err;
	}
	return 0;
}

/*
 * An object larger than a slab begins at a slab. Its memory is committed and
 * mapped before it is claimed, as neither may fail afterwards; if others have
 * moved on to another slab meanwhile, again.
 */
static int claim_large(struct arena *arena, size_t size, gfp_t gfp, struct arena_place *place)
{
	bool mapped = !(arena->flags & ARENA_MAPPABLE);
	bool zero = arena->zero || gfp & __GFP_ZERO;
	struct arena_large *large = NULL;
	struct arena_view view;
	size_t start;
	int err;

	if ((gfp & GFP_KERNEL) != GFP_KERNEL)
		return -ENOMEM;
	for (;;) {
		view = arena_look(arena);
		if (!cursor_settled(view.cursor)) {
			arena_settle_wait(arena, gfp);
			continue;
		}
		start = ALIGN(cursor_offset(view.cursor), arena_slab_size(arena));
		if (start > arena->capacity || size > arena->capacity - start)
			return -ENOSPC;
		err = large_populate(arena, start, size, gfp);
		if (err)
			return err;
		if (mapped) {
			large = large_view(arena, view.generation, start, size);
			if (!large)
				return -ENOMEM;
		}
		if (large_commit(arena, view.generation, start, size) &&
		    (!zero || arena_write(arena, view.generation, start, NULL, size)))
			break;
		large_drop(large);
		cond_resched();
	}
	place_set(place, view.generation, start, large ? large->view : NULL);
	if (large)
		llist_add(&large->node, &arena->larges);
	return 0;
}

static void count_failure(struct arena *arena, int err)
{
	enum arena_fail cause = err == -ENOSPC ? ARENA_FAIL_SPACE :
				err == -ENOMEM ? ARENA_FAIL_MEMORY : ARENA_FAIL_ARG;

	this_cpu_inc(arena->cpu->fails[cause]);
}

int arena_claim(struct arena *arena, size_t size, size_t align, gfp_t gfp,
		struct arena_place *place)
{
	bool large = size > arena_slab_size(arena);
	int err;

	if (!size || !is_power_of_2(align) ||
	    align > (large ? PAGE_SIZE : arena_slab_size(arena)))
		err = -EINVAL;
	else if (size > arena->capacity)
		err = -ENOSPC;
	else if (large)
		err = claim_large(arena, size, gfp, place);
	else
		err = claim_small(arena, size, align, gfp, place);
	if (unlikely(err))
		count_failure(arena, err);
	return err;
}

int arena_claim_copy(struct arena *arena, const void *src, size_t size, size_t align,
		     gfp_t gfp, struct arena_place *place)
{
	int err;

	do {
		err = arena_claim(arena, size, align, gfp & ~__GFP_ZERO, place);
		if (err)
			return err;
	} while (!arena_write(arena, place->generation, place->offset, src, size));
	return 0;
}

static noinline void *alloc_slow(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	struct arena_place place;

	return arena_claim(arena, size, align, gfp, &place) ? NULL : place.ptr;
}

/**
 * arena_alloc() - Take memory for one object.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow: %ARENA_NOGROW to use only committed memory,
 *	   GFP_NOWAIT or GFP_ATOMIC where sleeping is not allowed, GFP_KERNEL.
 *	   With __GFP_ZERO the object is zeroed.
 *
 * The object is aligned to %ARENA_MIN_ALIGN, contiguous in kernel addresses, and
 * lives until the next reset (clauses 1, 2 and 10). Its contents are undefined
 * unless zeroing was asked for here or at creation (clause 6). Objects larger
 * than a slab need GFP_KERNEL and are not for virt_to_page().
 *
 * Context: Any that @gfp fits; in NMI, committed memory only. Takes no lock.
 * Sleeps only to grow, or to wait for a reset that sleeps.
 * Return: The object, or NULL with nothing changed: no space left, no memory,
 * or a bad argument (clauses 4 and 5). arena_stats() counts which.
 */
void *arena_alloc(struct arena *arena, size_t size, gfp_t gfp)
{
	void *object = arena_bump(arena, size, ARENA_MIN_ALIGN, gfp);

	return likely(object) ? object : alloc_slow(arena, size, ARENA_MIN_ALIGN, gfp);
}
EXPORT_SYMBOL_GPL(arena_alloc);

/**
 * arena_zalloc() - Take zeroed memory for one object.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: As arena_alloc().
 * Return: The object, or NULL, as arena_alloc().
 */
void *arena_zalloc(struct arena *arena, size_t size, gfp_t gfp)
{
	return arena_alloc(arena, size, gfp | __GFP_ZERO);
}
EXPORT_SYMBOL_GPL(arena_zalloc);

/**
 * arena_alloc_aligned() - Take memory for one object, aligned as asked.
 * @arena: the arena, not NULL.
 * @size:  bytes, not 0, at most the capacity.
 * @align: bytes, a power of two, at most the slab size; at most %PAGE_SIZE for
 *	   an object larger than a slab.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * In a dense arena an alignment below %ARENA_MIN_ALIGN packs objects tighter.
 *
 * Context: As arena_alloc().
 * Return: The object, or NULL, as arena_alloc().
 */
void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align, gfp_t gfp)
{
	return alloc_slow(arena, size, align, gfp);
}
EXPORT_SYMBOL_GPL(arena_alloc_aligned);

/**
 * arena_populate() - Commit memory beforehand.
 * @arena: the arena, not NULL.
 * @bytes: from offset 0 on, at most the capacity.
 * @gfp:   how to allocate it.
 *
 * What is committed stays so until arena_reset_release() or arena_destroy(),
 * and is handed out without a lock or the page allocator in any context
 * (clause 2).
 *
 * Context: Any that @gfp fits but NMI.
 * Return: 0; -EINVAL if @bytes exceeds the capacity; -ENOMEM, and then a part may
 * have been committed.
 */
int arena_populate(struct arena *arena, size_t bytes, gfp_t gfp)
{
	if (bytes > arena->capacity)
		return -EINVAL;
	return bytes ? large_populate(arena, 0, bytes, gfp) : 0;
}
EXPORT_SYMBOL_GPL(arena_populate);

struct page *arena_page(const struct arena *arena, size_t offset)
{
	struct arena_slab *dir = arena_dir(arena, arena_look(arena).generation);
	void *base = READ_ONCE(dir[offset >> arena->slab_shift].base);

	return base ? virt_to_page(base + (offset & (arena_slab_size(arena) - 1))) : NULL;
}

static size_t used_in_generation(const struct arena *arena, unsigned long generation)
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
				used += READ_ONCE(slot[i].used);
	}
	return used;
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
	return used_in_generation(arena, arena_look(arena).generation);
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

		stats->fail_space += READ_ONCE(c->fails[ARENA_FAIL_SPACE]);
		stats->fail_memory += READ_ONCE(c->fails[ARENA_FAIL_MEMORY]);
		stats->fail_arg += READ_ONCE(c->fails[ARENA_FAIL_ARG]);
		for (i = 0; i < ARENA_SLOTS; i++)
			stats->allocs += READ_ONCE(c->slot[i].allocs);
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
	struct arena_view view = arena_look(arena);

	*stats = (struct arena_stats) {
		.generation	= view.generation,
		.capacity	= arena->capacity,
		.used		= used_in_generation(arena, view.generation),
		.high		= arena_high(arena),
		.committed	= atomic_long_read(&arena->committed),
		.committed_peak	= atomic_long_read(&arena->committed_peak),
		.slab_size	= arena_slab_size(arena),
		.slabs_kept	= READ_ONCE(arena->slabs_kept),
		.resets		= READ_ONCE(arena->resets),
		.page_allocs	= atomic_long_read(&arena->page_allocs),
		.page_frees	= atomic_long_read(&arena->page_frees),
		.pool_hits	= atomic_long_read(&arena->pool_hits),
	};
	/* A reset in between: the numbers of two generations do not mix. */
	stats->used = min(stats->used, stats->high);
	stats->padding = stats->high - stats->used;
	stats->free = stats->capacity - stats->high;
	stats->peak = max(READ_ONCE(arena->peak), stats->high);
	stats->slabs = stats->committed >> arena->slab_shift;
	stats_sum(arena, stats);
}
EXPORT_SYMBOL_GPL(arena_stats);

static size_t default_slab_size(size_t capacity)
{
	if (capacity >= SZ_1G)
		return ARENA_SLAB_MAX;
	if (capacity >= ARENA_SLAB_DEFAULT)
		return ARENA_SLAB_DEFAULT;
	return max_t(size_t, roundup_pow_of_two(capacity), PAGE_SIZE);
}

static int config_check(const struct arena_config *config)
{
	const unsigned int known = ARENA_SPANS | ARENA_ON_NODE | ARENA_ACCOUNT | ARENA_ZERO;

	if (!config->capacity || config->capacity > arena_capacity_max())
		return -EINVAL;
	if (config->slab_size && (!is_power_of_2(config->slab_size) ||
				  config->slab_size < PAGE_SIZE ||
				  config->slab_size > ARENA_SLAB_MAX))
		return -EINVAL;
	if (config->flags & ~known)
		return -EINVAL;
	if (config->flags & ARENA_ON_NODE &&
	    (config->node < 0 || config->node >= MAX_NUMNODES || !node_online(config->node)))
		return -EINVAL;
	return 0;
}

static void reaper(struct work_struct *work)
{
	arena_reap_larges(container_of(work, struct arena, reaper), false);
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
	raw_spin_lock_init(&arena->reset_lock);
	mutex_init(&arena->reset_mutex);
	INIT_WORK(&arena->reaper, reaper);
	init_llist_head(&arena->larges);
	strscpy(arena->name, config->name ?: "", sizeof(arena->name));
	if (arena->flags & ARENA_ACCOUNT)
		arena->memcg = get_mem_cgroup_from_mm(current->mm);
}

static void arena_free(struct arena *arena)
{
	arena_slabs_exit(arena);
	free_percpu(arena->cpu);
	mem_cgroup_put(arena->memcg);
	kfree(arena);
}

struct arena *__arena_create(const struct arena_config *config, unsigned int flags)
{
	gfp_t gfp = GFP_KERNEL | (config->flags & ARENA_ACCOUNT ? __GFP_ACCOUNT : 0);
	struct arena *arena;
	int err;

	BUILD_BUG_ON(sizeof(struct arena_slot) > 64);
	BUILD_BUG_ON(ARENA_TAG_BITS < 8);
	BUILD_BUG_ON(ARENA_SPAN_MAX > U32_MAX / 2);

	err = config_check(config);
	if (err)
		return ERR_PTR(err);
	arena = kzalloc(sizeof(*arena), gfp);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena_init(arena, config, flags);
	arena->cpu = alloc_percpu_gfp(struct arena_cpu, gfp);
	if (!arena->cpu || arena_slabs_init(arena)) {
		arena_free(arena);
		return ERR_PTR(-ENOMEM);
	}
	arena_debug_add(arena);
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

/**
 * arena_destroy() - Give back an arena and all that is in it.
 * @arena: the arena, or NULL. Nobody else may be using it.
 *
 * Context: Task, may sleep.
 */
void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	arena_debug_remove(arena);
	cancel_work_sync(&arena->reaper);
	arena_reap_larges(arena, true);
	arena_free(arena);
}
EXPORT_SYMBOL_GPL(arena_destroy);

void arena_set_generation(struct arena *arena, unsigned long generation)
{
	generation &= ~1UL;
	arena->generation = generation;
	atomic_long_set(&arena->cursor, cursor_start(generation));
}
