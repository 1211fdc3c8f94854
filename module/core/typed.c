// SPDX-License-Identifier: GPL-2.0
/*
 * Typed arenas: elements of one size, found by index, with readers beside writers.
 *
 * A typed arena is dense, and all its memory is committed at creation. So an allocation needs
 * no gfp flags: it is the compare-and-swap of the cursor, a copy, and a compare-and-swap of the
 * stamp with release semantics.
 *
 * Freeing takes a raw spinlock, and so does a reset. Reusing a freed element takes no lock: the
 * elements that may be reused form a chain. A CPU pushes to the chain with the lock held, and pops
 * from it by compare-and-swap, in any context. The head of the chain carries a count of its
 * changes. Without the count, the head that a pop has read could come back while the pop looks at
 * the next element, and the pop would install a stale head. With the count, the same word comes
 * back only after 2^32 changes, while a pop takes a few instructions with preemption off.
 *
 * Each element has a stamp, which lies outside the data. An element is published while its stamp
 * equals the generation, so a reset unpublishes all elements at once. publish() only ever advances
 * a stamp: a CPU that publishes late, for an older generation, leaves a newer stamp alone. Freeing
 * an element sets its stamp back by UNPUBLISHED. Stamps have 32 bits and are compared by
 * serial-number arithmetic. A stamp that is half that range behind would pass for a newer one, so
 * resets bring all stamps up to date before that.
 */
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/cursor.h"
#include "core/events.h"

#define NO_INDEX		U32_MAX
/*
 * The stamp of a freed element is the generation in which it was freed, minus UNPUBLISHED. No
 * generation of the arena has that number: only a rewind begins generations with such numbers, and
 * typed arenas are not rewound. So no reader takes the element for published.
 */
#define UNPUBLISHED		((u32)ARENA_GEN_REWOUND)
/* A reset that moves the generation across a multiple of 2 to this power renews all stamps. */
#define STAMP_TURN_SHIFT	30
/* How many bytes, and how many elements, are copied and published in one preempt-off section. */
#define RUN_BYTES		SZ_64K
#define RUN_MAX			64

/**
 * struct typed_stamp - what is known of one element.
 * @published: low 32 bits of a generation: of the current one while the element is published, of
 *	    an older one otherwise.
 * @next:	    index of the next element in a chain of free elements. A CPU writes it with
 *	    &arena_typed.lock held; free_pop() reads it without the lock.
 */
struct typed_stamp {
	u32	published;
	u32	next;
};

/* A chain of free elements, the newest first. @last is valid while @head is not NO_INDEX. */
struct typed_chain {
	u32	head;
	u32	last;
};

/**
 * struct arena_typed - a typed arena.
 * @arena:    the dense arena that the elements are in.
 * @size:     bytes of an element.
 * @nr:	      number of elements, in all.
 * @per_slab: number of elements in a slab; no element straddles two slabs.
 * @stamps:   one &struct typed_stamp for each element.
 * @lock:     protects the members below, and is held across a reset and the emptying of the
 *	   chains, so that no element is freed in between.
 * @free:     elements that may be reused: index of the first one in the low 32 bits, count of
 *	   changes in the high 32 bits. CPUs push with @lock held, and pop without it.
 * @emptied:  count of changes of @free when a reset last emptied it.
 * @waiting:  elements that may be reused after the grace period that @rcu waits for.
 * @pending:  elements that were freed while @rcu was queued already.
 * @rcu_busy: @rcu is queued.
 * @rcu:      callback that runs after a grace period, see reusable().
 */
struct arena_typed {
	struct arena		*arena;
	size_t			size;
	u32			nr;
	u32			per_slab;
	struct typed_stamp	*stamps;

	raw_spinlock_t		lock;
	atomic64_t		free;
	u32			emptied;
	struct typed_chain	waiting;
	struct typed_chain	pending;
	bool			rcu_busy;
	struct rcu_head		rcu;
};

static bool has_readers(const struct arena_typed *typed)
{
	return typed->arena->flags & ARENA_READERS;
}

static size_t index_to_offset(const struct arena_typed *typed, u32 index)
{
	return ((size_t)(index / typed->per_slab) << typed->arena->slab_shift) +
	       index % typed->per_slab * typed->size;
}

/* Index of the first element that begins at @offset or above. */
static u32 offset_to_index(const struct arena_typed *typed, size_t offset)
{
	size_t slab = offset >> typed->arena->slab_shift;
	size_t in_slab = offset & (arena_slab_size(typed->arena) - 1);

	return slab * typed->per_slab + DIV_ROUND_UP(in_slab, typed->size);
}

static void *element(const struct arena_typed *typed, unsigned long generation, u32 index)
{
	size_t offset = index_to_offset(typed, index);

	return arena_slab_base(typed->arena, generation, offset) +
	       (offset & (arena_slab_size(typed->arena) - 1));
}

/* Advance the stamp of @index to @generation. Returns false if that is no advance. */
static bool publish(struct arena_typed *typed, u32 index, u32 generation)
{
	u32 *stamp = &typed->stamps[index].published;
	u32 old = READ_ONCE(*stamp);

	do {
		if ((s32)(generation - old) <= 0)
			return false;
		/*
		 * Release: pairs with the smp_load_acquire() in arena_typed_at(). A reader
		 * that sees the stamp sees the whole element; without it, the reader could see
		 * a torn one.
		 */
	} while (!try_cmpxchg_release(stamp, &old, generation));
	return true;
}

/* Make a chain empty. The callers of the chain_*() functions hold typed->lock. */
static void chain_empty(struct typed_chain *chain)
{
	WRITE_ONCE(chain->head, NO_INDEX);
}

static void chain_push(struct arena_typed *typed, struct typed_chain *chain, u32 index)
{
	if (chain->head == NO_INDEX)
		chain->last = index;
	/* Racy with a free_pop() that has @index from an old head: its swap of the head fails. */
	WRITE_ONCE(typed->stamps[index].next, chain->head);
	WRITE_ONCE(chain->head, index);
}

static void chain_splice(struct arena_typed *typed, struct typed_chain *from,
			 struct typed_chain *to)
{
	if (from->head == NO_INDEX)
		return;
	if (to->head == NO_INDEX)
		to->last = from->last;
	/* Racy with a free_pop() that has @from->last from an old head: its swap fails. */
	WRITE_ONCE(typed->stamps[from->last].next, to->head);
	WRITE_ONCE(to->head, from->head);
	chain_empty(from);
}

/*
 * Poison the elements in a chain, from @index to @last, before they can be reused. The caller holds
 * typed->lock, so no reset intervenes. A granule of KASAN that an element shares with another
 * element remains accessible.
 */
static void chain_poison(struct arena_typed *typed, u32 index, u32 last)
{
	unsigned long generation = __arena_snap(typed->arena).generation;

	for (;; index = typed->stamps[index].next) {
		void *to = element(typed, generation, index);

		arena_shadow_poison(to, to + typed->size, ARENA_POISON_FREED);
		if (index == last)
			break;
	}
}

/* The value of arena_typed.free with the head @index, and one change more than in @word. */
static s64 free_head(s64 word, u32 index)
{
	return (s64)(((u64)word >> 32) + 1) << 32 | index;
}

/*
 * Let the linked elements from @head to @last be reused. The caller holds typed->lock, but other
 * CPUs may be in free_pop().
 */
static void free_push(struct arena_typed *typed, u32 head, u32 last)
{
	s64 old = atomic64_read(&typed->free);

	if (ARENA_SHADOW)
		chain_poison(typed, head, last);
	do {
		WRITE_ONCE(typed->stamps[last].next, (u32)old);
		/*
		 * Full barrier: pairs with the address dependency in free_pop(). A CPU that reads
		 * the new head reads the link that was stored above, and not an older link.
		 */
	} while (!atomic64_try_cmpxchg(&typed->free, &old, free_head(old, head)));
}

/* The count of changes in @word, a value of arena_typed.free. */
static u32 free_changes(s64 word)
{
	return (u64)word >> 32;
}

static void free_empty(struct arena_typed *typed)
{
	s64 old = atomic64_read(&typed->free), new;

	do {
		new = free_head(old, NO_INDEX);
	} while (!atomic64_try_cmpxchg(&typed->free, &old, new));
	WRITE_ONCE(typed->emptied, free_changes(new));
}

/*
 * Take the first element of the free chain, in any context. Returns NO_INDEX if there is none.
 * Otherwise sets *@changes to the number of changes of the chain, this one included.
 */
static u32 free_pop(struct arena_typed *typed, u32 *changes)
{
	s64 old;
	u32 index, next;

	preempt_disable();
	old = atomic64_read(&typed->free);
	do {
		index = old;
		if (index == NO_INDEX)
			break;
		/*
		 * If another CPU has taken this element since @old was read, @next is stale, but
		 * then the compare-and-swap fails.
		 */
		next = READ_ONCE(typed->stamps[index].next);
	} while (!atomic64_try_cmpxchg(&typed->free, &old, free_head(old, next)));
	preempt_enable();
	*changes = free_changes(old) + 1;
	return index;
}

DEFINE_PER_CPU(bool, arena_in_chains);

/*
 * Take the lock, unless this CPU may hold the lock of a typed arena already: in NMI, or in a probe
 * that fired between taking and dropping such a lock on this CPU. Waiting would then deadlock. The
 * per-CPU flag arena_in_chains is set around every such lock, and only its own CPU reads and writes
 * it. Returns false, with interrupts as they were, where the lock cannot be taken.
 */
static bool lock_chains(struct arena_typed *typed, unsigned long *flags)
{
	local_irq_save(*flags);
	if (in_nmi() || __this_cpu_read(arena_in_chains)) {
		local_irq_restore(*flags);
		return false;
	}
	__this_cpu_write(arena_in_chains, true);
	raw_spin_lock(&typed->lock);
	__release(&typed->lock);	/* for sparse; unlock_chains() undoes this */
	return true;
}

static void unlock_chains(struct arena_typed *typed, unsigned long flags)
{
	__acquire(&typed->lock);
	raw_spin_unlock(&typed->lock);
	__this_cpu_write(arena_in_chains, false);
	local_irq_restore(flags);
}

/*
 * RCU callback: a grace period has passed for the elements in @waiting, so that they may be
 * reused. Elements that were freed later wait for another grace period.
 */
static void reusable(struct rcu_head *rcu)
{
	struct arena_typed *typed = container_of(rcu, struct arena_typed, rcu);
	unsigned long flags;
	bool again;

	if (WARN_ON_ONCE(!lock_chains(typed, &flags)))
		return;
	if (typed->waiting.head != NO_INDEX)
		free_push(typed, typed->waiting.head, typed->waiting.last);
	chain_empty(&typed->waiting);
	chain_splice(typed, &typed->pending, &typed->waiting);
	again = typed->waiting.head != NO_INDEX;
	typed->rcu_busy = again;
	unlock_chains(typed, flags);
	if (again)
		call_rcu_hurry(&typed->rcu, reusable);
}

/*
 * Take an element to reuse, or return NO_INDEX. The stamp shows whether the element was freed in
 * the present generation. While a reset has moved the cursor, but has not emptied the chain yet,
 * the chain contains elements of the former generation: this function drops them, as the cursor
 * hands out their places again.
 */
static u32 take_recycled(struct arena_typed *typed, unsigned long *generation)
{
	u32 changes, index = free_pop(typed, &changes);

	if (likely(index == NO_INDEX))
		return NO_INDEX;
	*generation = arena_snap(typed->arena).generation;
	if (READ_ONCE(typed->stamps[index].published) != (u32)*generation - UNPUBLISHED)
		return NO_INDEX;
	/*
	 * Since the pop, a reset may have emptied the chain, and the element may have been
	 * allocated and freed again. Then it is in a chain already and must not be handed out here,
	 * too. The reset set @emptied with typed->lock held. arena_typed_free() took that lock
	 * later and stored the stamp that was read above. So this barrier pairs with the lock:
	 * after it, this CPU reads @emptied as that reset or a later one set it.
	 */
	smp_rmb();
	return (s32)(changes - READ_ONCE(typed->emptied)) > 0 ? index : NO_INDEX;
}

/*
 * Move the cursor past @nr elements. Returns 0; -ENOSPC if there is no room for all of them; -EBUSY
 * if the generation is unsettled.
 */
static int claim_run(struct arena_typed *typed, u32 nr, u32 *first, unsigned long *generation)
{
	struct arena *arena = typed->arena;
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	long cursor = snap.cursor;
	size_t end;
	int err = 0;

	do {
		snap.generation = cursor_generation(cursor, snap.generation);
		*first = offset_to_index(typed, cursor_offset(cursor));
		if (!cursor_settled(cursor))
			err = -EBUSY;
		else if (nr > typed->nr - *first)
			err = -ENOSPC;
		end = index_to_offset(typed, *first + nr - 1) + typed->size;
	} while (!err && (!cursor_count(arena, &cursor) ||
			  !atomic_long_try_cmpxchg(&arena->cursor, &cursor,
						   cursor_move(cursor, end))));
	if (!err)
		arena_account(arena, arena_slot(cpu), snap.generation, nr * typed->size);
	arena_leave(cpu);
	*generation = snap.generation;
	return err;
}

/*
 * Copy in and publish @nr elements, which lie in one slab. Returns false if the generation is over.
 *
 * From the copy to the publication this CPU is counted as a writer, so no newer generation is
 * settled in this slab set; and preemption is off, so the grace period after which
 * arena_reset_rcu() uses the set again does not end. So no other element gets the memory in
 * between: a reader that sees the stamp sees this element, complete.
 */
static bool write_run(struct arena_typed *typed, unsigned long generation, u32 first,
		      const void *src, u32 nr)
{
	struct arena_cpu *cpu = arena_enter(typed->arena), *writer;
	void *to = element(typed, generation, first);
	u32 i;

	writer = arena_write_begin(typed->arena, cpu, generation, to);
	if (writer) {
		arena_shadow_object(to, nr * typed->size, 0);
		memcpy(to, src, nr * typed->size);
		for (i = 0; i < nr; i++)
			publish(typed, first + i, generation);
		arena_write_end(typed->arena, writer);
	}
	arena_leave(cpu);
	return writer;
}

/* Copy in and publish one element that is too large for one preempt-off section. */
static bool write_big(struct arena_typed *typed, unsigned long generation, u32 index,
		      const void *src)
{
	size_t offset = index_to_offset(typed, index);

	if (arena_write(typed->arena, generation, offset, src, typed->size, ARENA_NOGROW))
		return false;
	arena_object_placed(typed->arena, generation, offset, typed->size);
	publish(typed, index, generation);
	return true;
}

/* How many elements from @first on can be copied in one preempt-off section. */
static u32 run_length(const struct arena_typed *typed, u32 first, u32 nr)
{
	u32 in_slab = typed->per_slab - first % typed->per_slab;

	return min3(min_t(u32, nr, in_slab), (u32)(RUN_BYTES / typed->size), (u32)RUN_MAX);
}

/*
 * Copy in and publish @nr elements. Returns false if the generation ended meanwhile; then no
 * element was published in a newer generation.
 */
static bool fill_run(struct arena_typed *typed, unsigned long generation, u32 first,
		     const void *src, u32 nr)
{
	u32 done, run;

	for (done = 0; done < nr; done += run, src += run * typed->size) {
		bool big = typed->size > RUN_BYTES;

		run = big ? 1 : run_length(typed, first + done, nr - done);
		if (big ? !write_big(typed, generation, first + done, src) :
			  !write_run(typed, generation, first + done, src, run))
			return false;
	}
	return true;
}

static int append(struct arena_typed *typed, const void *src, u32 nr, u32 *first,
		  unsigned long *generation)
{
	for (;;) {
		int err = claim_run(typed, nr, first, generation);

		if (!err && fill_run(typed, *generation, *first, src, nr))
			return 0;
		if (err == -EBUSY && !arena_settle(typed->arena))
			return -ENOMEM;
		if (err && err != -EBUSY)
			return err;
	}
}

/* Trace an allocation. The alignment is traced as 0, as callers cannot ask for one. */
static void trace_elements(struct arena_typed *typed, unsigned long generation, u32 first,
			   u32 nr)
{
	arena_trace_alloc(typed->arena, generation, index_to_offset(typed, first),
			  nr * typed->size, 0, ARENA_NOGROW);
}

static void count_failure(struct arena_typed *typed, u32 nr, int err)
{
	arena_count_failure(typed->arena, err);
	arena_trace_alloc_fail(typed->arena, nr * typed->size, 0, ARENA_NOGROW, err);
}

/*
 * Install a state for this CPU, if it has none. The state only makes allocations faster: the memory
 * of the elements is committed already. The caller has no gfp flags, and may be a probe inside the
 * page allocator, so allocate memory for the state only where preemption is on.
 */
static void prepare(struct arena_typed *typed)
{
	arena_cpu_prepare(typed->arena, preemptible() ? GFP_NOWAIT : ARENA_NOGROW);
}

/**
 * arena_typed_append() - Copy several elements in, all or none.
 * @typed: the arena, not NULL.
 * @src:   @nr elements, one after the other.
 * @nr:    number of elements, not 0.
 *
 * The elements get consecutive indices, and become visible to readers one by one. Freed
 * elements are not reused (clauses 14 and 15).
 *
 * Context: Any. Takes no lock. Does not sleep.
 * Return: The index of the first element; -EINVAL if @nr is 0; -ENOSPC if there is no room for all
 * of them; -ENOMEM while the generation cannot be settled, as another CPU still writes to an
 * element of the former one.
 */
long arena_typed_append(struct arena_typed *typed, const void *src, u32 nr)
{
	unsigned long generation;
	u32 first;
	int err;

	prepare(typed);
	err = nr ? append(typed, src, nr, &first, &generation) : -EINVAL;
	if (err) {
		count_failure(typed, nr, err);
		return err;
	}
	arena_count_objects(typed->arena, 1);
	trace_elements(typed, generation, first, nr);
	return first;
}
EXPORT_SYMBOL_GPL(arena_typed_append);

/**
 * arena_typed_alloc() - Copy an element in.
 * @typed: the arena, not NULL.
 * @src:   the element.
 *
 * Reuses a freed element if there is one. Readers see the element complete or not at all
 * (clause 15). With room for N elements, N allocations succeed (clause 16).
 *
 * Context: Any. Takes no lock. Does not sleep.
 * Return: The copy; NULL with nothing changed if there is no room, or while the generation cannot
 * be settled, as another CPU still writes to an element of the former one.
 */
void *arena_typed_alloc(struct arena_typed *typed, const void *src)
{
	unsigned long generation;
	int err = 0;
	u32 index;

	prepare(typed);
	index = take_recycled(typed, &generation);
	if (index == NO_INDEX || !fill_run(typed, generation, index, src, 1))
		err = append(typed, src, 1, &index, &generation);
	if (err) {
		count_failure(typed, 1, err);
		return NULL;
	}
	/* The allocation of a reused element counts, too, although the cursor does not move. */
	arena_count_objects(typed->arena, 1);
	trace_elements(typed, generation, index, 1);
	return element(typed, generation, index);
}
EXPORT_SYMBOL_GPL(arena_typed_alloc);

/**
 * arena_typed_at() - Find an element by its index (clause 15).
 * @typed: the arena, not NULL.
 * @index: index of the element. Indices are handed out in order, from 0 on.
 *
 * In an arena created with %ARENA_READERS, a caller inside rcu_read_lock() may use the element
 * until rcu_read_unlock(), even if the element is freed or the arena is reset meanwhile. Otherwise
 * the caller excludes resets and frees of the element.
 *
 * Context: Any. Takes no lock.
 * Return: The element; NULL if none is published at @index.
 */
void *arena_typed_at(const struct arena_typed *typed, size_t index)
{
	unsigned long generation = arena_snap(typed->arena).generation;

	if (index >= typed->nr)
		return NULL;
	/* Acquire: pairs with the release in publish(): the element is complete. */
	if (smp_load_acquire(&typed->stamps[index].published) != (u32)generation)
		return NULL;
	return element(typed, generation, index);
}
EXPORT_SYMBOL_GPL(arena_typed_at);

/**
 * arena_typed_next() - Find the next published element.
 * @typed: the arena, not NULL.
 * @index: index of the first element to look at; on return, one more than that of the element
 *	found.
 *
 * Context: Any. Takes no lock. In an arena with %ARENA_READERS, a caller inside rcu_read_lock() may
 * use the element until rcu_read_unlock(), even if the element is freed or the arena is reset
 * meanwhile. Otherwise the caller excludes resets and frees of the element.
 * Return: The element; NULL if there is none left.
 */
void *arena_typed_next(const struct arena_typed *typed, size_t *index)
{
	size_t len = arena_typed_len(typed);

	while (*index < len) {
		void *found = arena_typed_at(typed, (*index)++);

		if (found)
			return found;
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(arena_typed_next);

/**
 * arena_typed_len() - How many indices have been handed out since the last reset.
 * @typed: the arena, not NULL.
 *
 * Elements that were freed, or are not published yet, count.
 *
 * Context: Any. Takes no lock.
 * Return: One more than the largest index in use, or 0.
 */
size_t arena_typed_len(const struct arena_typed *typed)
{
	return offset_to_index(typed, arena_high(typed->arena));
}
EXPORT_SYMBOL_GPL(arena_typed_len);

/**
 * arena_typed_arena() - The arena that the elements are in, for calls that only read.
 * @typed: the arena, not NULL.
 *
 * Context: Any. Takes no lock.
 * Return: The arena, for arena_offset(), arena_stats() and the like; valid until
 * arena_typed_destroy().
 */
const struct arena *arena_typed_arena(const struct arena_typed *typed)
{
	return typed->arena;
}
EXPORT_SYMBOL_GPL(arena_typed_arena);

/*
 * Returns the index of an element in either slab set, or NO_INDEX if no element begins at the
 * address. Sets *@current_set to whether the address lies in the slab set of the present
 * generation.
 */
static u32 element_index(const struct arena_typed *typed, const void *element, bool *current_set)
{
	unsigned long generation = arena_snap(typed->arena).generation;
	size_t offset;
	u32 index;

	*current_set = arena_find(typed->arena, generation, element, &offset);
	if (!*current_set && (!has_readers(typed) ||
			      !arena_find(typed->arena, generation + 1, element, &offset)))
		return NO_INDEX;
	index = offset_to_index(typed, offset);
	return index < typed->nr && index_to_offset(typed, index) == offset ? index : NO_INDEX;
}

/*
 * Put an element that was freed into the free chain or, if the arena has readers, into a chain that
 * waits for a grace period. Returns true if the caller is to queue @typed->rcu.
 */
static bool recycle(struct arena_typed *typed, u32 index)
{
	if (!has_readers(typed)) {
		free_push(typed, index, index);
		return false;
	}
	chain_push(typed, typed->rcu_busy ? &typed->pending : &typed->waiting, index);
	if (typed->rcu_busy)
		return false;
	typed->rcu_busy = true;
	return true;
}

/**
 * arena_typed_free() - Take one element out, to be reused by later allocations.
 * @typed:   the arena, not NULL.
 * @element: an element of this arena. It must not have been freed before, by this call or by a
 *	  reset: another element may be in its place by then.
 *
 * After this call, no reader finds the element. Its place is reused only after a grace period, or
 * at once if the arena was created without %ARENA_READERS (clause 15). If the call finds that an
 * earlier call freed the element, or that the element is not in the arena, it warns once and
 * changes nothing.
 *
 * Context: Any but NMI. Takes a raw spinlock with interrupts off. Does not sleep. If a probe that
 * fired while this CPU held the lock of a typed arena calls this function, the element is not
 * freed.
 */
void arena_typed_free(struct arena_typed *typed, void *element)
{
	bool current_set, misuse, queue = false;
	u32 index, generation, stamp;
	unsigned long flags;

	if (WARN_ON_ONCE(in_nmi()) || !lock_chains(typed, &flags))
		return;
	generation = __arena_snap(typed->arena).generation;
	index = element_index(typed, element, &current_set);
	misuse = index == NO_INDEX;
	if (current_set && !misuse) {
		stamp = cmpxchg(&typed->stamps[index].published, generation,
				generation - UNPUBLISHED);
		misuse = stamp == generation - UNPUBLISHED;
		if (stamp == generation)
			queue = recycle(typed, index);
	}
	unlock_chains(typed, flags);
	if (queue)
		call_rcu_hurry(&typed->rcu, reusable);
	/* The element was freed twice, or is not in this arena. */
	WARN_ON_ONCE(misuse);
}
EXPORT_SYMBOL_GPL(arena_typed_free);

/*
 * Bring all stamps up to date. Otherwise, a stamp that was left behind for long could pass for that
 * of a newer generation, or for that of an element that was freed in this generation.
 */
static void refresh_marks(struct arena_typed *typed, u32 generation)
{
	u32 i;

	for (i = 0; i < typed->nr; i++)
		publish(typed, i, generation - ARENA_GEN_STEP - UNPUBLISHED);
}

/**
 * arena_typed_reset() - Free all elements at once.
 * @typed: the arena, not NULL.
 *
 * Resets by arena_reset_rcu() if the arena was created with %ARENA_READERS. Otherwise it
 * resets by arena_reset(), and the caller excludes all readers.
 *
 * Takes constant time, except that one reset in 2^28 brings the stamps of all elements up to date.
 *
 * Context: Any but NMI. Takes raw spinlocks with interrupts off. Does not sleep.
 * Return: 0; -EBUSY with nothing changed if arena_reset_rcu() or arena_reset() returned that, in
 * NMI, or in a probe that fired while this CPU held the lock of a typed arena.
 */
int arena_typed_reset(struct arena_typed *typed)
{
	unsigned long before, after, flags;
	int err;

	if (!lock_chains(typed, &flags))
		return -EBUSY;
	before = __arena_snap(typed->arena).generation;
	err = has_readers(typed) ? arena_reset_rcu(typed->arena) : arena_reset(typed->arena);
	after = __arena_snap(typed->arena).generation;
	if (!err) {
		free_empty(typed);
		chain_empty(&typed->waiting);
		chain_empty(&typed->pending);
	}
	unlock_chains(typed, flags);
	if ((before ^ after) >> STAMP_TURN_SHIFT)
		refresh_marks(typed, after);
	return err;
}
EXPORT_SYMBOL_GPL(arena_typed_reset);

/*
 * The slab size for @nr elements of @size bytes. Where possible, a slab has several elements, so
 * that less is wasted at its end.
 */
static size_t typed_slab_size(size_t size, u32 nr)
{
	size_t want = max_t(size_t, 8 * size, ARENA_SLAB_DEFAULT);

	if (want > ARENA_SLAB_MAX)
		want = size;
	want = min_t(u64, want, (u64)size * nr);
	return max_t(size_t, roundup_pow_of_two(want), PAGE_SIZE);
}

static int typed_layout(struct arena_typed *typed, struct arena_config *config, size_t size,
			u32 nr)
{
	if (!size || !nr || nr == NO_INDEX || size > ARENA_SLAB_MAX)
		return -EINVAL;
	typed->size = size;
	typed->nr = nr;
	config->slab_size = typed_slab_size(typed->size, nr);
	typed->per_slab = config->slab_size / typed->size;
	config->capacity = (size_t)((nr - 1) / typed->per_slab) * config->slab_size +
			   ((nr - 1) % typed->per_slab + 1) * typed->size;
	return 0;
}

static size_t stamps_size(const struct arena_typed *typed)
{
	return array_size(typed->nr, sizeof(*typed->stamps));
}

static int typed_init(struct arena_typed *typed, struct arena_config *config, size_t size, u32 nr)
{
	int err = typed_layout(typed, config, size, nr);

	if (err)
		return err;
	raw_spin_lock_init(&typed->lock);
	atomic64_set(&typed->free, NO_INDEX);
	chain_empty(&typed->waiting);
	chain_empty(&typed->pending);
	typed->stamps = arena_table_alloc(&arena_total, stamps_size(typed),
					  arena_account_gfp(config->flags));
	if (!typed->stamps)
		return -ENOMEM;
	typed->arena = arena_create_noprof(config);
	if (IS_ERR(typed->arena)) {
		err = PTR_ERR(typed->arena);
		typed->arena = NULL;
		return err;
	}
	/* Elements lie directly one behind the other, with no room for redzones. */
	if (ARENA_REDZONE)
		typed->arena->redzone = 0;
	return arena_populate(typed->arena, typed->arena->capacity, GFP_KERNEL);
}

static void typed_release(struct arena_typed *typed)
{
	arena_destroy(typed->arena);
	arena_table_free(&arena_total, typed->stamps, stamps_size(typed));
	kfree(typed);
}

/*
 * The macro arena_typed_create() calls this function, after it has set the line of code that memory
 * allocation profiling counts the arena for.
 */
struct arena_typed *arena_typed_create_noprof(const char *name, size_t size, u32 nr,
					      unsigned int flags)
{
	struct arena_config config = { .name = name, .flags = flags };
	struct arena_typed *typed;
	int err;

	if (flags & ~(ARENA_READERS | ARENA_ACCOUNT))
		return ERR_PTR(-EINVAL);
	typed = kmalloc_noprof(sizeof(*typed), ARENA_GFP_META | __GFP_ZERO);
	if (!typed)
		return ERR_PTR(-ENOMEM);
	err = typed_init(typed, &config, size, nr);
	if (err) {
		typed_release(typed);
		return ERR_PTR(err);
	}
	return typed;
}
EXPORT_SYMBOL_GPL(arena_typed_create_noprof);

/**
 * arena_typed_destroy() - Give back a typed arena.
 * @typed: the arena, or NULL. The caller excludes all other users.
 *
 * Context: Task, may sleep: it waits for the callbacks of elements that were freed.
 */
void arena_typed_destroy(struct arena_typed *typed)
{
	if (!typed)
		return;
	/* The callback may queue itself once more, for elements that were freed later. */
	if (has_readers(typed)) {
		rcu_barrier();
		rcu_barrier();
	}
	typed_release(typed);
}
EXPORT_SYMBOL_GPL(arena_typed_destroy);
