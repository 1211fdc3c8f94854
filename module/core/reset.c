// SPDX-License-Identifier: GPL-2.0
/*
 * Resets: how a new generation begins while other CPUs may be allocating.
 *
 * "DOC: generations" in core.h describes the states and the barriers.
 *
 * A reset that keeps the memory is one compare-and-swap of the cursor. It takes no lock, unless it
 * moves the tag to another eighth of its range, as one in a quarter of a million does. Such a
 * reset, arena_reset_rcu() and arena_rewind() take the arena's reset_lock, a raw spinlock, and hold
 * it for a few stores, with interrupts off. The resets that may sleep also take reset_mutex. An
 * allocation takes neither lock, except that one that may sleep waits on reset_mutex for a reset
 * that releases or zeroes slabs.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "core/cursor.h"
#include "core/events.h"

/* How often arena_settle_wait() tries to settle before it waits for a grace period. */
#define ARENA_SETTLE_TRIES	64

/* Is the allocator writing on one of the CPUs that @bits stands for? */
static noinline bool cpus_writing(const struct arena *arena, unsigned long bits)
{
	unsigned int nr;

	for (; bits; bits &= bits - 1)
		for (nr = __ffs(bits); nr < nr_cpu_ids; nr += ARENA_WRITTEN_CPUS)
			/* Acquire: pairs with smp_store_release() in cpu_write_end(). */
			if (smp_load_acquire(&arena_cpu_nr(arena, nr)->writers))
				return true;
	return false;
}

/*
 * Is the allocator on any CPU still writing (zeroing or copying in) to memory of an older
 * generation? The caller has passed full barrier B, and has read arena->written after that.
 *
 * The CPU whose state is part of the arena sets no bit in arena->written, as its state is always
 * read. Where CPUs share a bit, this function may also read the state of a CPU that is not writing.
 *
 * The acquire pairs with the smp_store_release() of the writers in cpu_write_end(): when this CPU
 * sees that a write has ended, the bytes written come before anything that the new generation does
 * to the same memory. Without the acquire, a late store could overwrite a new object.
 */
static __always_inline bool late_writers(const struct arena *arena, unsigned long written)
{
	unsigned long bits = written & ARENA_WRITTEN_MASK;

	/* Acquire: pairs with atomic_fetch_dec_release() in arena_write_end(). */
	if (atomic_read_acquire(&arena->writers))
		return true;
	/* Acquire: pairs with smp_store_release() in cpu_write_end(). */
	if (smp_load_acquire(&arena->first_cpu.writers))
		return true;
	return unlikely(bits) && cpus_writing(arena, bits);
}

/*
 * Clear the bits of the CPUs that @written, a former value of arena->written, stands for, so that
 * the next reset does not look at CPUs that have not written since. The caller has begun or settled
 * a generation, and has read @written before any claim could succeed in it: so none of these CPUs
 * still writes to memory that this generation hands out. Late writers in a slab set that
 * arena_reset_rcu() has left end before the arena returns to that set. If a CPU has set its bit
 * since @written was read, the exchange fails, and all bits remain.
 */
static __always_inline void forget_writers(struct arena *arena, long written)
{
	if (unlikely(written & ARENA_WRITTEN_MASK))
		atomic_long_try_cmpxchg(&arena->written, &written, written & ~ARENA_WRITTEN_MASK);
}

/*
 * A rewind began the generation of @cursor: set *@begun to the cursor word that settles it.
 *
 * Where padding lies below the mark, the offset is not the number of bytes used, so this CPU notes
 * the bytes used in arena->uncounted. It reads the old note first and checks the generation
 * afterwards. So if another CPU writes a note for a later generation in between, the cmpxchg()
 * fails and does not overwrite that note.
 *
 * The caller has preemption off. Returns false if the cursor has changed, or if a late cmpxchg() of
 * another generation has changed the note: then the caller tries again.
 */
static bool begin_at_mark(struct arena *arena, unsigned long cursor, unsigned long *begun)
{
	long noted = atomic_long_read(&arena->uncounted), now;
	unsigned long used;

	/*
	 * Read the note before the cursor: pairs with the compare-and-swap of the cursor in
	 * next_generation(). If the note is of a later generation, the cursor has changed, too.
	 */
	smp_rmb();
	if (atomic_long_read(&arena->cursor) != cursor ||
	    !arena_begin_word(arena, cursor, begun, &used))
		return false;
	if (!(*begun & ARENA_COUNTED) || cursor_tag(noted) == cursor_tag(cursor))
		return true;
	now = atomic_long_cmpxchg(&arena->uncounted, noted, used);
	return now == noted || cursor_tag(now) == cursor_tag(cursor);
}

/*
 * Replace @cursor, the word of an unsettled generation, by @settled. The caller has read @written
 * after @cursor, and arena_poison_begin() has returned true. Returns true if the present generation
 * is settled afterwards, by this CPU or by another one.
 */
static __always_inline bool settle_at(struct arena *arena, unsigned long cursor,
				      unsigned long settled, unsigned long written)
{
	bool done;

	/*
	 * Full barrier: this CPU reads the counts of writers before any CPU can see the settled
	 * word and claim. Without the barrier, a new object could overlap with a late write that
	 * this CPU has missed.
	 */
	done = atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, settled);
	/*
	 * If another CPU has settled the generation, this CPU may have read @written after that:
	 * then the bits may be those of CPUs that write in this generation, and must remain.
	 */
	if (likely(done))
		forget_writers(arena, written);
	arena_poison_end(arena);
	return done || cursor_settled(cursor);
}

/*
 * Settle a generation that a rewind began, and set @bits in the cursor. The caller has found no
 * late writer.
 */
static noinline bool settle_rewound(struct arena *arena, unsigned long cursor, unsigned long bits,
				    unsigned long written)
{
	unsigned long settled = cursor & ~ARENA_UNSETTLED;

	while (!begin_at_mark(arena, cursor, &settled)) {
		/*
		 * If the cursor has changed, the generation is settled or over: then the
		 * compare-and-swap in settle_at() fails, and settle_at() finds out which.
		 */
		if (atomic_long_read(&arena->cursor) != cursor)
			break;
	}
	return settle_at(arena, cursor, settled | bits, written);
}

/*
 * Settle a generation in an arena that has had checks: first check the memory that the last
 * generation has freed.
 */
static noinline bool settle_checked(struct arena *arena, unsigned long cursor,
				    unsigned long written)
{
	unsigned long bits;
	bool done;

	if (!arena_check_settle(arena, cursor, &bits)) {
		arena_poison_end(arena);
		/* Another CPU may be checking that memory, or may have settled the generation. */
		return cursor_settled(atomic_long_read(&arena->cursor));
	}
	done = cursor_rewound(cursor) ? settle_rewound(arena, cursor, bits, written) :
	       settle_at(arena, cursor, (cursor & ~ARENA_UNSETTLED) | bits, written);
	arena_check_settled(arena);
	return done;
}

/*
 * Settle the present generation, unless the allocator still writes to memory of an older one,
 * or actions or a reset that sleeps block settling. Any CPU may settle it, in any context.
 * Returns true if the generation is settled, by this CPU or by another one.
 *
 * This function may also return false for a moment, while an allocation of an older generation has
 * counted itself in and is about to find that its generation is over, while another CPU checks or
 * poisons what was freed, or when one more reset comes at the same time. A caller that may wait
 * tries again.
 */
static __always_inline bool settle(struct arena *arena)
{
	unsigned long cursor = atomic_long_read(&arena->cursor), written;
	unsigned int blocked;

	if (cursor_settled(cursor))
		return true;
	/*
	 * Full barrier B: pairs with full barrier A in arena_write_begin(). This CPU has read the
	 * new tag before B and reads the counts of writers after B. A writer counts itself in
	 * before A and reads the tag after A. So this CPU sees the count of each writer that did
	 * not see the new tag. Without B, the late store of such a writer could land in an object
	 * of the new generation.
	 *
	 * B also orders the read of settle_blocked after that of the tag: a reset that sleeps sets
	 * settle_blocked before it moves the cursor to the new tag.
	 */
	smp_mb();
	/*
	 * Acquire: pairs with the smp_store_release() in block_settling(), so that what a reset did
	 * to the slabs comes before the claims of the new generation; and with the one in
	 * arena_check_install(), so that a CPU that sees the flag finds arena->check.
	 */
	blocked = smp_load_acquire(&arena->settle_blocked);
	written = atomic_long_read(&arena->written);
	if ((unlikely(blocked) && arena_settle_blocked(arena, blocked, cursor)) ||
	    late_writers(arena, written) || !arena_poison_begin(arena, cursor))
		/*
		 * If another CPU has settled the generation since this CPU read the cursor, what
		 * blocks or writes may belong to a newer generation.
		 */
		return cursor_settled(atomic_long_read(&arena->cursor));
	if (unlikely(blocked & ARENA_BLOCKED_CHECKS))
		return settle_checked(arena, cursor, written);
	if (unlikely(cursor_rewound(cursor)))
		return settle_rewound(arena, cursor, 0, written);
	return settle_at(arena, cursor, cursor & ~ARENA_UNSETTLED, written);
}

bool arena_settle(struct arena *arena)
{
	bool done;

	/*
	 * While preemption is off, the tag cannot wrap, as it enters each eighth of its range only
	 * after a grace period. So the compare-and-swap in settle() fails if the generation has
	 * changed.
	 */
	preempt_disable();
	done = settle(arena);
	preempt_enable();
	return done;
}

/*
 * Settle a generation that the caller has begun in the slab set of the former one. If actions block
 * that, first run the actions of generations that are over.
 */
void arena_begun(struct arena *arena)
{
	if (arena_settle(arena) || !(READ_ONCE(arena->settle_blocked) & ARENA_BLOCKED_ACTIONS))
		return;
	arena_actions_end(arena);
	arena_settle(arena);
}

/*
 * Settle the generation for an allocation that has found it unsettled. While late writers, actions
 * or a reset that sleeps prevent that, wait if @gfp permits. Writers run with preemption off: most
 * of them are done within a moment, and all of them after a grace period. Returns false if the
 * caller must not wait, or if the task is being killed.
 */
bool arena_settle_wait(struct arena *arena, gfp_t gfp)
{
	int tries = 0;

	while (!arena_settle(arena)) {
		if (!gfpflags_allow_blocking(gfp) || in_nmi())
			return false;
		if (tries++ < ARENA_SETTLE_TRIES) {
			cond_resched();
			cpu_relax();
			continue;
		}
		synchronize_rcu();
		/*
		 * While actions run, reset_mutex may be free, and locking a free mutex succeeds
		 * even in a task that is being killed. So check for the signal, too: otherwise the
		 * loop would go on until the actions end.
		 */
		if (fatal_signal_pending(current) || mutex_lock_killable(&arena->reset_mutex))
			return false;
		mutex_unlock(&arena->reset_mutex);
	}
	return true;
}

/*
 * RCU callback: a grace period has passed since the tag entered another eighth of its range, so the
 * tag may now enter the next eighth.
 *
 * Premise: the tag is narrow and wraps. An allocation that read a cursor word one turn of the tag
 * ago could still hold it, and its compare-and-swap would succeed on a word that only looks the
 * same. But allocations read and swap the cursor with preemption off, and the callback runs after a
 * grace period that began after the tag had left the eighth before. So no CPU holds a word of an
 * eighth when the tag comes back to that eighth.
 *
 * The windows are safe, too. Say that a CPU finds the cursor in the n-th eighth. Its allocation
 * began after wrapped() had closed the windows in eighth n - 2: had it begun earlier, the grace
 * period of eighth n - 1, which ended before the tag entered eighth n, would have waited for it. So
 * the window that the CPU uses is of eighth n - 2, n - 1 or n, less than half a turn of the tag
 * away, and comparing the two words tells which is newer. No further barrier is needed.
 *
 * The tags in arena->uncounted and arena->deep_used are renewed when the tag enters another eighth.
 * Spans, views and slots hold the full generation, which has 64 bits and does not wrap.
 */
static void wrapped(struct rcu_head *rcu)
{
	struct arena *arena = container_of(rcu, struct arena, wrap_rcu);

	arena_windows_close(arena);
	/*
	 * Release: pairs with the smp_load_acquire() in tag_cross(). A reset that sees that
	 * the tag may advance sees the windows closed; otherwise a stale window could match
	 * the new tag.
	 */
	smp_store_release(&arena->wrapping, false);
}

/*
 * Renew the tag in arena->uncounted: otherwise, after a whole turn of the tag, an old note would
 * pass for one of the present generation. The note gets the tag just below that of @generation,
 * unless the note already belongs to @generation or to a later one.
 */
static void uncounted_renew(struct arena *arena, unsigned long generation)
{
	long noted = atomic_long_read(&arena->uncounted);

	if (((cursor_tag(noted) - generation) & ARENA_TAG_MASK) >= ARENA_TAG_HALF)
		atomic_long_cmpxchg(&arena->uncounted, noted, cursor_start(generation - 1));
}

/*
 * Record in arena->dirty that memory below @high may contain bytes of objects, before the caller
 * moves the cursor back. The compare-and-swap that the caller does next is a full barrier. It pairs
 * with the compare-and-swap of a later reset, so that wipe_slabs() in that reset sees what was
 * recorded here. Without the barrier, wipe_slabs() could leave these bytes behind.
 *
 * wipe_slabs() wipes whole slabs, so the offset is rounded up to whole slabs: arena->dirty then
 * seldom changes, and its cache line is seldom written.
 */
static __always_inline void note_dirty(struct arena *arena, size_t high)
{
	/*
	 * Pairs with the compare-and-swap in arena_settle() after wipe_slabs(), which has set
	 * arena->dirty to 0. A reset that has read the cursor of a settled generation must read
	 * that 0 or a later value here. If it read the higher value from before, it would not
	 * call arena_raise(), and nothing would record what the new generation wrote.
	 */
	smp_rmb();
	if (unlikely(high > (size_t)atomic_long_read(&arena->dirty)))
		arena_raise(&arena->dirty, ALIGN(high, arena_slab_size(arena)));
}

void arena_note_dirty(struct arena *arena, size_t high)
{
	note_dirty(arena, high);
}

/*
 * Advance arena->generation to @generation, and never set it back: of two resets that race,
 * the later one may reach this point first. If the generation went back, a span that a CPU
 * has kept from the older generation would match again.
 */
static __always_inline void generation_reach(struct arena *arena, unsigned long generation)
{
	unsigned long old = READ_ONCE(arena->generation);

	/*
	 * Full barrier: pairs with the smp_load_acquire() in __arena_snap(). The caller has moved
	 * the cursor to the new tag before it calls this function, so a CPU that reads the new
	 * generation reads a cursor that is not older.
	 */
	while (old < generation)
		if (try_cmpxchg(&arena->generation, &old, generation))
			return;
	/*
	 * A later reset has advanced the generation. Full barrier: if the caller tells another CPU
	 * that its reset has returned, and that CPU reads the message by a load-acquire, then
	 * bump_span() on that CPU sees the new generation. Without the barrier, that CPU could
	 * still allocate from a span of the former generation.
	 */
	smp_mb();
}

/*
 * May the tag enter another eighth of its range? Returns 0 if it may; -EAGAIN if the caller does
 * not hold reset_lock (@locked); -EBUSY if the grace period since the tag entered its present
 * eighth has not ended. If two resets want to enter an eighth, the lock makes the second one see
 * that the first one has set arena->wrapping.
 */
static int tag_cross(struct arena *arena, unsigned long next, bool locked)
{
	if (!locked)
		return -EAGAIN;
	lockdep_assert_held(&arena->reset_lock);
	/*
	 * Acquire: pairs with the smp_store_release() in wrapped(). If wrapping is clear, the
	 * windows were closed before.
	 */
	if (smp_load_acquire(&arena->wrapping))
		return -EBUSY;
	/* Renew the tag in deep_used: after a whole turn, an old tag would match again. */
	atomic_long_set(&arena->deep_used, cursor_start(next));
	return 0;
}

static bool generation_crosses(unsigned long generation, unsigned long next)
{
	return (generation ^ next) & ARENA_TAG_EIGHTH;
}

/*
 * The caller has moved the cursor from @cursor to the tag of @generation: advance the other words
 * that go with the cursor.
 */
static __always_inline void generation_begun(struct arena *arena, unsigned long generation,
					     unsigned long cursor, bool crossing)
{
	size_t high = cursor_offset(cursor);

	generation_reach(arena, generation);
	if (unlikely(high > (size_t)atomic_long_read(&arena->peak)))
		arena_raise(&arena->peak, min(arena->capacity, high));
	if (crossing) {
		WRITE_ONCE(arena->wrapping, true);
		uncounted_renew(arena, generation);
	}
}

/*
 * Begin the next generation at offset 0. Without @flip, it begins unsettled, in the slab set of the
 * last generation. With @flip, it begins settled, in the other slab set, with the bits @begun set
 * in the cursor: a grace period has passed since the arena left that set, so no CPU writes there.
 * If another reset moves the cursor first, begin the generation after the one of that reset. The
 * caller has preemption off.
 *
 * Returns 0, with *@crossed to be passed to arena_crossed(); -EAGAIN if the tag would enter another
 * eighth, and the caller does not hold reset_lock (@locked); -EBUSY if the tag may not enter that
 * eighth yet.
 */
static __always_inline int next_generation(struct arena *arena, bool flip, unsigned long begun,
					   bool locked, bool *crossed)
{
	const unsigned long settled = flip ? begun : ARENA_UNSETTLED;
	struct arena_snap snap = __arena_snap(arena);
	long cursor = snap.cursor;
	unsigned long next;
	bool crossing;
	int err;

	*crossed = false;
	for (;;) {
		next = flip ? generation_flipped(snap.generation) :
			      generation_kept(snap.generation);
		crossing = generation_crosses(snap.generation, next);
		err = crossing ? tag_cross(arena, next, locked) : 0;
		if (err)
			return err;
		note_dirty(arena, cursor_offset(cursor));
		arena_freed_note(arena, snap.generation & ARENA_GEN_SET, cursor_offset(cursor));
		if (flip)
			arena_left_note(arena, snap.generation);
		if (atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_start(next) | settled))
			break;
		snap.generation = cursor_generation(cursor, snap.generation);
	}
	generation_begun(arena, next, cursor, crossing);
	*crossed = crossing;
	atomic_long_inc(&arena->resets);
	return 0;
}

/*
 * May a rewind begin the generation after @generation now? Returns 0 if it may; -EBUSY if the tag
 * would enter another eighth of its range too early. The caller holds reset_lock.
 */
int arena_may_rewind(struct arena *arena, unsigned long generation)
{
	unsigned long next = generation_rewound(generation);

	return generation_crosses(generation, next) ? tag_cross(arena, next, true) : 0;
}

static void start_set(struct arena *arena, unsigned long generation, size_t offset, size_t used)
{
	struct arena_start *start = &arena->history->start[arena_start_nr(generation)];

	WRITE_ONCE(start->offset, cursor_move(cursor_start(generation), offset));
	WRITE_ONCE(start->used, cursor_move(cursor_start(generation), used));
}

/*
 * Begin the generation after @generation, unsettled, at @offset, with @used bytes handed out
 * below that. The caller holds reset_lock, so that rewinds do not race with each other; they
 * do race with allocations and resets. arena_may_rewind() has returned 0. Returns -ESTALE if
 * a reset has ended @generation.
 */
int arena_begin_rewound(struct arena *arena, unsigned long generation, size_t offset, size_t used,
			bool *crossed)
{
	const unsigned long next = generation_rewound(generation);
	long cursor;

	lockdep_assert_held(&arena->reset_lock);
	start_set(arena, next, offset, used);
	do {
		struct arena_snap snap = __arena_snap(arena);

		if (snap.generation != generation)
			return -ESTALE;
		cursor = snap.cursor;
		note_dirty(arena, cursor_offset(cursor));
		arena_freed_note(arena, generation & ARENA_GEN_SET, cursor_offset(cursor));
		/*
		 * Full barrier: a CPU that sees the new tag sees where the generation starts and
		 * what the rewind has freed. Pairs with smp_mb() B in arena_settle(), with
		 * smp_rmb() in arena_lowest_since() and with smp_rmb() in arena_begin_word().
		 * Without the barrier, such a CPU could settle at a wrong offset, or take a freed
		 * object for a live one.
		 */
	} while (!atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					  cursor_start(next) | ARENA_UNSETTLED));
	*crossed = generation_crosses(generation, next);
	generation_begun(arena, next, cursor, *crossed);
	return 0;
}

/* Queue wrapped() if the tag has entered another eighth. The caller no longer holds reset_lock. */
void arena_crossed(struct arena *arena, bool crossed)
{
	if (crossed)
		call_rcu_hurry(&arena->wrap_rcu, wrapped);
}

static int next_generation_crossing(struct arena *arena)
{
	unsigned long flags;
	bool crossed;
	int err;

	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	err = next_generation(arena, false, 0, true, &crossed);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	arena_crossed(arena, crossed);
	return err;
}

/*
 * Finish what next_generation_kept() could not do. If @err is -EAGAIN, begin the generation with
 * reset_lock held. If @err is -EINPROGRESS, the generation has begun: settle it.
 */
static noinline int next_generation_rest(struct arena *arena, int err)
{
	if (err == -EAGAIN)
		err = next_generation_crossing(arena);
	if (err && err != -EINPROGRESS)
		return err;
	arena_begun(arena);
	return 0;
}

/*
 * Begin the next generation in the same slab set, and settle it at once unless a late writer,
 * a reset that sleeps or actions block that. Returns 0 or -EBUSY.
 */
static __always_inline int next_generation_kept(struct arena *arena)
{
	bool crossed;
	int err;

	preempt_disable();
	err = next_generation(arena, false, 0, false, &crossed);
	if (likely(!err)) {
		if (unlikely(!settle(arena)))
			err = -EINPROGRESS;
		else if (!arena->spans)
			arena_window_reopen(arena);
	}
	preempt_enable();
	return likely(!err) ? 0 : next_generation_rest(arena, err);
}

static void note_kept(struct arena *arena)
{
	WRITE_ONCE(arena->slabs_kept,
		   atomic_long_read(&arena->committed) >> arena->slab_shift);
}

/**
 * arena_reset() - Free all objects of an arena at once and keep its memory.
 * @arena: the arena, not NULL.
 *
 * The next generation begins at offset 0, in the slabs of the last one. The call takes constant
 * time in objects and bytes (clause 9). It looks at the CPU that used the arena first, and at each
 * other CPU that has, since the last reset, zeroed or copied into memory of the arena or, if the
 * arena is dense, allocated from it. Every pointer into the arena is dead when the call returns. An
 * allocation that races with the reset is safe, but may return an object that the reset has already
 * freed; an allocation that cannot wait for a late writer may return NULL (clause 10).
 *
 * Context: Any but NMI. Does not sleep. Takes no lock, except that one reset in a quarter of a
 * million takes a raw spinlock with interrupts off.
 * Return: 0; -EBUSY with nothing changed if the tag would enter another eighth of its range, which
 * happens every 262,144 resets and rewinds, and no RCU grace period has passed since the tag
 * entered its present eighth (clause 13); -EINVAL in NMI, with a warning.
 */
int arena_reset(struct arena *arena)
{
	int err;

	if (WARN_ON_ONCE(in_nmi()))
		return -EINVAL;
	err = next_generation_kept(arena);
	if (err)
		return err;
	note_kept(arena);
	/* vunmap() may sleep, and this reset must not: the reaper, a worker, unmaps the views. */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
	arena_trace_reset(arena, ARENA_EVENT_KEEP);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_reset);

/*
 * RCU callback: a grace period has passed since arena_reset_rcu() left a slab set, so that no
 * reader, no allocation and no writer uses it any more. The callback runs in softirq, where
 * vunmap() is not allowed, so the callback leaves the views to the reaper.
 */
static void retired(struct rcu_head *rcu)
{
	struct arena *arena = container_of(rcu, struct arena, retire_rcu);

	/*
	 * While arena->acting is raised, no reset returns to this slab set or releases it: the
	 * actions below may use their objects even after retiring is cleared.
	 */
	arena_acting_begin(arena);
	arena_actions_retired(arena);
	/*
	 * Release: pairs with the smp_load_acquire() in arena_reset_rcu(). What the last readers
	 * of this slab set read comes before the first store of the next generation that uses it.
	 * A CPU that sees retiring cleared also sees that arena->acting was raised.
	 */
	smp_store_release(&arena->retiring, false);
	/*
	 * Full barrier: pairs with llist_add() in arena_reap_larges() and arena_add_action(), and
	 * with llist_add_batch() in actions_take(). Either the CPU that puts a view or an action on
	 * a list sees that retiring is cleared, or this CPU finds the view or the action below.
	 * Without the barrier, the view or the action could remain on the list.
	 */
	smp_mb();
	if (arena_actions_left(arena))
		arena_actions_end(arena);
	/* As arena->acting is still raised, no reset returns to the other slab set meanwhile. */
	arena_poison_freed(arena, !(arena_snap(arena).generation & ARENA_GEN_SET), 0);
	if (arena->check)
		arena_check_retired(arena);
	arena_acting_end(arena);
	arena_settle(arena);
}

/**
 * arena_reset_rcu() - Free all objects of an arena, but let readers finish.
 * @arena: the arena, not NULL, created with %ARENA_READERS.
 *
 * Like arena_reset(), but objects allocated before stay intact for readers that were inside
 * rcu_read_lock() when arena_reset_rcu() was called (clause 11). Allocation goes on at once in the
 * other one of two slab sets. The call starts a grace period itself; after that grace period, the
 * next arena_reset_rcu() can return to the slab set that this call has left.
 *
 * A caller that allocates and uses its objects inside one rcu_read_lock() section need not
 * exclude this reset.
 *
 * Context: Any but NMI. Takes a raw spinlock with interrupts off. Never waits.
 * Return: 0; -EBUSY with nothing changed while readers may still use the slab set that the last
 * arena_reset_rcu() left, while a reset that releases or zeroes slabs is at work, while actions
 * run, or if resets follow each other too fast, see arena_reset(); -EOPNOTSUPP without
 * %ARENA_READERS; -EINVAL in NMI, with a warning.
 */
int arena_reset_rcu(struct arena *arena)
{
	unsigned long flags;
	bool crossed = false, undone = false;
	unsigned long written;
	int err = -EBUSY;

	if (WARN_ON_ONCE(in_nmi()))
		return -EINVAL;
	if (!(arena->flags & ARENA_READERS))
		return -EOPNOTSUPP;

	/* Preemption stays off until the callback is queued: wait_retired() relies on it. */
	preempt_disable();
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	/* Acquire: pairs with the smp_store_release() in retired(). */
	if (!smp_load_acquire(&arena->retiring) &&
	    !(arena->settle_blocked & ARENA_BLOCKED_ASLEEP) && !atomic_read(&arena->acting)) {
		/*
		 * Set retiring before the cursor changes: pairs with smp_mb() in
		 * arena_reap_larges() and with smp_rmb() in actions_take(). A CPU that sees the new
		 * generation also sees that readers may be in the old slab set.
		 */
		WRITE_ONCE(arena->retiring, true);
		written = atomic_long_read(&arena->written);
		err = next_generation(arena, true, arena->check ? arena_check_flip(arena) : 0,
				      true, &crossed);
		undone = err;
		if (undone)
			WRITE_ONCE(arena->retiring, false);
		else
			forget_writers(arena, written);
	}
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	if (!err) {
		arena_crossed(arena, crossed);
		call_rcu_hurry(&arena->retire_rcu, retired);
	}
	preempt_enable();
	if (undone) {
		/*
		 * This call has left no slab set, so retired() will not run. But while retiring was
		 * set, the reaper may have kept views for retired(), and another reset may have put
		 * actions back on their list for it.
		 *
		 * Full barrier: pairs with llist_add() in arena_reap_larges() and with
		 * llist_add_batch() in actions_take(). Either the CPU that puts a view or an action
		 * back sees that retiring is cleared, or this CPU finds the view or the action
		 * below. Without the barrier, the view or the action would stay on its list until
		 * the next reset.
		 */
		smp_mb();
		if (!llist_empty(&arena->larges))
			schedule_work(&arena->reaper);
		if (arena_actions_left(arena)) {
			arena_actions_end(arena);
			arena_settle(arena);
		}
	}
	if (err)
		return err;
	note_kept(arena);
	arena_trace_reset(arena, ARENA_EVENT_RCU);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_reset_rcu);

static int zero_slabs(struct arena *arena, const struct arena_dir *dir, size_t high, bool killable)
{
	size_t end = high ? ((high - 1) >> arena->slab_shift) + 1 : 0, i;
	struct arena_slab *entry;

	for (i = 0; (entry = arena_dir_next(dir, &i, end)); i++) {
		void *base = READ_ONCE(entry->base);

		if (base)
			arena_zero(base, arena_slab_size(arena));
		cond_resched();
		if (killable && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* Begin the next generation. While the tag may not advance yet, wait for grace periods. */
static void next_generation_asleep(struct arena *arena)
{
	while (next_generation_kept(arena))
		synchronize_rcu();
}

/*
 * Wait until no reader is in the slab set that arena_reset_rcu() left last. The caller has
 * set arena->settle_blocked, so that no further arena_reset_rcu() succeeds.
 *
 * arena_reset_rcu() has preemption off from before it sets retiring until its callback is
 * queued. So once synchronize_rcu() has returned here, the callback is queued if retiring
 * is set, and rcu_barrier() waits for it. Without the synchronize_rcu(), rcu_barrier()
 * could return before the callback is queued.
 */
static void wait_retired(struct arena *arena)
{
	if (!(arena->flags & ARENA_READERS))
		return;
	synchronize_rcu();
	/* Acquire: pairs with the smp_store_release() in retired(). */
	if (smp_load_acquire(&arena->retiring))
		rcu_barrier();
	WARN_ON_ONCE(READ_ONCE(arena->retiring));
}

static int release_slabs(struct arena *arena, size_t keep, bool killable)
{
	unsigned int set = arena_snap(arena).generation & ARENA_GEN_SET;
	int err = 0;

	if (arena_nr_dirs(arena) > 1)
		err = arena_slabs_release(arena, arena_dir(arena, !set), 0, killable);

	return err ?: arena_slabs_release(arena, arena_dir(arena, set), keep, killable);
}

/*
 * Zero all slabs below the offset arena->dirty, in each slab set. If the task is killed before all
 * are zeroed, arena->dirty keeps its value, so the next reset that zeroes begins again.
 */
static int wipe_slabs(struct arena *arena, bool killable)
{
	/*
	 * The compare-and-swap by which this reset moved the cursor came before. It pairs with that
	 * of a former reset after note_dirty(): this CPU sees what former resets have recorded.
	 */
	size_t high = atomic_long_read(&arena->dirty);
	int i, err = 0;

	for (i = 0; !err && i < arena_nr_dirs(arena); i++)
		err = zero_slabs(arena, arena_dir(arena, i), high, killable);
	/* All below @high is zero: while the generation is unsettled, no CPU claims memory. */
	if (!err)
		atomic_long_set(&arena->dirty, 0);
	return err;
}

static void block_settling(struct arena *arena, bool block)
{
	unsigned long flags;
	u8 blocked;

	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	blocked = arena->settle_blocked & ~ARENA_BLOCKED_ASLEEP;
	if (block)
		blocked |= ARENA_BLOCKED_ASLEEP;
	/*
	 * Release: pairs with the smp_load_acquire() in settle(). What the reset did to the
	 * slabs comes before the first claim of the generation.
	 */
	smp_store_release(&arena->settle_blocked, blocked);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
}

/* Keep new generations unsettled, and let arena_reset_rcu() fail, until resume_settling(). */
static void stop_settling(struct arena *arena)
{
	block_settling(arena, true);
}

static void resume_settling(struct arena *arena)
{
	block_settling(arena, false);
	arena_settle(arena);
}

/*
 * Wipe the slabs of an empty arena, or release them. The caller keeps the generation unsettled, so
 * no claim succeeds meanwhile. First wait for the readers, writers and actions of older
 * generations.
 */
static int work_on_slabs(struct arena *arena, size_t keep, bool zero, bool killable)
{
	int err;

	wait_retired(arena);
	smp_mb();	/* Full barrier B: pairs with A in arena_write_begin(). */
	if (late_writers(arena, atomic_long_read(&arena->written)))
		synchronize_rcu();
	arena_actions_wait(arena);
	if (arena->check)
		arena_check_asleep(arena, zero, keep);
	/* The arena is empty, and no claim can succeed: every view is that of a freed object. */
	arena_reap_larges(arena, true);
	err = zero ? wipe_slabs(arena, killable) : release_slabs(arena, keep, killable);
	note_kept(arena);
	return err;
}

/*
 * Empty the arena and, before any allocation succeeds again, zero its slabs (@zero) or release
 * all but the first @keep bytes of them. Returns 0; -EINTR if @killable and the task is being
 * killed: then the arena is empty, but not all slabs were zeroed or released.
 */
int arena_reset_asleep(struct arena *arena, size_t keep, bool zero, bool killable)
{
	int err;

	might_sleep();
	mutex_lock(&arena->reset_mutex);
	stop_settling(arena);
	next_generation_asleep(arena);
	err = work_on_slabs(arena, keep, zero, killable);
	resume_settling(arena);
	mutex_unlock(&arena->reset_mutex);
	arena_trace_reset(arena, zero ? ARENA_EVENT_ZERO : ARENA_EVENT_RELEASE);
	return err;
}

/*
 * Begin the generation after @generation, unsettled, in the same slab set, if no CPU has allocated
 * in @generation. Then there are no spans and no handles of @generation; there may be windows, but
 * they do not match the new tag. Returns false with nothing changed if there are objects, or if the
 * tag would enter another eighth, which is left to resets and rewinds.
 */
static bool next_generation_empty(struct arena *arena, unsigned long generation)
{
	const unsigned long next = generation_kept(generation);
	struct arena_snap snap;
	bool done;

	preempt_disable();
	snap = __arena_snap(arena);
	done = snap.generation == generation && arena_is_empty(&snap) &&
	       !generation_crosses(generation, next) &&
	       atomic_long_try_cmpxchg(&arena->cursor, (long *)&snap.cursor,
				       cursor_start(next) | ARENA_UNSETTLED);
	if (done)
		generation_begun(arena, next, snap.cursor, false);
	preempt_enable();
	return done;
}

/*
 * Are readers, views and actions done with the memory of former generations? The caller has stopped
 * settling, so no arena_reset_rcu() leaves a slab set to readers. If the arena has ever had a view
 * or an action, this returns false: the reaper may be unmapping the view; and the actions of the
 * former generation must run before the next one settles, and a shrinker must not run them.
 */
static bool former_unused(const struct arena *arena)
{
	bool readers;

	/*
	 * Acquire: pairs with the smp_store_release() in retired(), after the last reader.
	 * retired() raises arena->acting before that store, and lowers it after the actions have
	 * returned.
	 */
	readers = smp_load_acquire(&arena->retiring);
	return !readers && !atomic_read_acquire(&arena->acting) &&
	       !READ_ONCE(arena->had_larges) &&
	       !(READ_ONCE(arena->settle_blocked) & ARENA_BLOCKED_ACTIONS);
}

/* Release the last slabs of slab set @set, as many as contain @pages pages. */
static void release_last(struct arena *arena, unsigned int set, unsigned long pages)
{
	size_t nr = DIV_ROUND_UP(pages, arena_slab_size(arena) >> PAGE_SHIFT);
	struct arena_dir *dir = arena_dir(arena, set);
	size_t end = atomic_long_read(&dir->end), keep;

	keep = (end - min(end, nr)) << arena->slab_shift;
	if (arena->check)
		arena_check_shrink(arena, set, keep);
	arena_slabs_release(arena, dir, keep, false);
}

/*
 * Release slabs with @pages pages, or a few more, if the arena is empty and its generation is
 * *@generation. This function keeps the next generation unsettled while it releases slabs, so no
 * claim succeeds. It never waits: it does nothing if another reset, a reader, a view or an action
 * is in its way.
 *
 * The function need not look for late writers. When *@generation was settled, each writer of an
 * older generation had ended, or was going to find that its generation is over. Late writers in a
 * slab set that arena_reset_rcu() left have ended, too: former_unused() finds that the grace period
 * of that reset is over. A writer of *@generation has moved the cursor, so that the arena is not
 * empty.
 *
 * The shrinker calls this function with idle_mutex held, so that the arena is not freed. Returns
 * how many pages were released, and sets *@generation to the generation that it has begun, if any.
 */
unsigned long arena_release_empty(struct arena *arena, unsigned long *generation,
				  unsigned long pages)
{
	long before, after;
	int i;

	if (!mutex_trylock(&arena->reset_mutex))
		return 0;
	stop_settling(arena);
	before = atomic_long_read(&arena->committed);
	if (former_unused(arena) && next_generation_empty(arena, *generation)) {
		*generation = generation_kept(*generation);
		/*
		 * The former generation was empty, so this one has no actions to wait for: say so
		 * in arena->acted. A CPU that adds the first action of the arena may have set
		 * %ARENA_BLOCKED_ACTIONS since former_unused() looked. From then on, a generation
		 * settles only if arena->acted has reached it, and resume_settling() does not raise
		 * arena->acted.
		 *
		 * Full barrier: pairs with the atomic_long_read_acquire() in
		 * arena_settle_blocked().
		 */
		arena_raise(&arena->acted, *generation);
		WRITE_ONCE(arena->shrinking, true);
		for (i = 0; i < arena_nr_dirs(arena); i++)
			release_last(arena, i, pages);
		WRITE_ONCE(arena->shrinking, false);
		note_kept(arena);
		arena_trace_reset(arena, ARENA_EVENT_SHRINK);
	}
	after = atomic_long_read(&arena->committed);
	resume_settling(arena);
	mutex_unlock(&arena->reset_mutex);
	return max(before - after, 0L) >> PAGE_SHIFT;
}

/**
 * arena_reset_release() - Free all objects, keep at most some of the memory.
 * @arena: the arena, not NULL.
 * @keep:  bytes of committed memory to keep, from offset 0 on, rounded up to whole slabs;
 *	0 gives back all of it.
 *
 * Like arena_reset(), but takes time linear in the number of slabs (clause 9). While the call runs,
 * allocations that may sleep wait for it, and other allocations fail. The call cannot fail: where
 * arena_reset() would return -EBUSY, it waits for a grace period. The pages of the directory stay.
 *
 * Context: Task, may sleep.
 */
void arena_reset_release(struct arena *arena, size_t keep)
{
	arena_reset_asleep(arena, keep, false, false);
}
EXPORT_SYMBOL_GPL(arena_reset_release);

/**
 * arena_reset_zero() - Free all objects and zero the memory that objects occupied.
 * @arena: the arena, not NULL.
 *
 * Like arena_reset(), but zeroes all slabs below the highest offset that objects have had since the
 * last arena_reset_zero(), and takes time linear in that offset (clause 9). When the call returns,
 * nothing of the former contents is left. While it runs, allocations that may sleep wait for it,
 * and other allocations fail. The call cannot fail: where arena_reset() would return -EBUSY, it
 * waits for a grace period.
 *
 * Context: Task, may sleep.
 */
void arena_reset_zero(struct arena *arena)
{
	arena_reset_asleep(arena, 0, true, false);
}
EXPORT_SYMBOL_GPL(arena_reset_zero);
