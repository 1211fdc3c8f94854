// SPDX-License-Identifier: GPL-2.0
/*
 * Generations: how an arena is emptied while others may be allocating.
 *
 * See "DOC: generations" in core.h for the states and the barriers. A reset that
 * keeps the memory is one move of the cursor and takes no lock, but for one in half a
 * million, as the tag enters another eighth of its range. That one, and
 * arena_reset_rcu(), take the arena's reset_lock (irq-safe, held for a handful of
 * stores); those that sleep take its reset_mutex. Allocation takes neither, except
 * that a call which may sleep waits for a release or zero reset to end.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "core/cursor.h"
#include "core/events.h"

/* How often to look again before waiting for a grace period. */
#define ARENA_SETTLE_TRIES	64

/*
 * Is anyone still writing to memory of a former generation?
 *
 * Acquire: pairs with the smp_store_release() in arena_write_end(). What was
 * written comes before what the new generation does to the same memory.
 */
static __always_inline bool late_writers(const struct arena *arena)
{
	const struct arena_cpu *cpu;

	/* Acquire: pairs with atomic_fetch_dec_release() in arena_write_end(). */
	if (atomic_read_acquire(&arena->writers))
		return true;
	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		/* See above. */
		if (smp_load_acquire(&cpu->writers))
			return true;
	return false;
}

/*
 * The word at which the generation of @cursor begins, which a rewind started. Where it
 * differs from the bytes used, that is noted as cursor_count() would have done, in the
 * same order: the note, then that the generation is not over. Preemption is off. False if
 * it is over, or if the note got lost to a late one of another generation.
 */
static bool begin_at_mark(struct arena *arena, unsigned long cursor, unsigned long *begun)
{
	long noted = atomic_long_read(&arena->uncounted), now;
	unsigned long used;

	smp_rmb();	/* Pairs with the compare-and-swap in next_generation(). */
	if (atomic_long_read(&arena->cursor) != cursor ||
	    !arena_begin_word(arena, cursor, begun, &used))
		return false;
	if (!(*begun & ARENA_COUNTED) || cursor_tag(noted) == cursor_tag(cursor))
		return true;
	now = atomic_long_cmpxchg(&arena->uncounted, noted, used);
	return now == noted || cursor_tag(now) == cursor_tag(cursor);
}

/*
 * Let the new generation begin, unless a writer of a former one is still at
 * work or a sleeping reset holds it back. Anyone may do it, in any context;
 * true if it has begun, by us or by somebody else.
 *
 * No writer of the new generation can be counted by mistake: there is none
 * before it is settled. An allocation that is only trying, and will find its
 * generation gone, can: then it is tried again later.
 */
static __always_inline bool settle(struct arena *arena)
{
	unsigned long cursor = atomic_long_read(&arena->cursor), settled;

	if (cursor_settled(cursor))
		return true;
	/*
	 * Full barrier B: pairs with A in arena_write_begin(). The tag was
	 * seen above: a writer that did not see it when it looked after A is
	 * counted here. Without B its late store would land in an object of
	 * the new generation. Also orders held, which is set before the tag.
	 */
	smp_mb();
	/* Acquire: who sees that a sleeping reset is done, in hold(), writes after it. */
	if (smp_load_acquire(&arena->held) || late_writers(arena))
		return false;
	settled = cursor & ~ARENA_UNSETTLED;
	while (unlikely(cursor_rewound(cursor)) && !begin_at_mark(arena, cursor, &settled)) {
		/* Another generation: it may not have begun either, but that is a new try. */
		if (atomic_long_read(&arena->cursor) != cursor)
			break;
	}
	/* Full barrier: the look at the writers comes before the first claim. */
	return atomic_long_try_cmpxchg(&arena->cursor, (long *)&cursor, settled) ||
	       cursor_settled(cursor);
}

bool arena_settle(struct arena *arena)
{
	bool done;

	/* As for a claim: the tag must not turn round before the exchange. */
	preempt_disable();
	done = settle(arena);
	preempt_enable();
	return done;
}

/*
 * The same for an allocation that found its generation not settled: waits if
 * @gfp allows it. Most writers need a moment; at the latest after a grace
 * period they are gone, as they run with preemption off. False if it must not
 * wait, or the task is being killed.
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
		if (mutex_lock_killable(&arena->reset_mutex))
			return false;
		mutex_unlock(&arena->reset_mutex);
	}
	return true;
}

/*
 * Close the windows of all CPUs: no word of the present generation, or of one that
 * is less than half a turn of the tag ahead, is in them. The owners may be opening
 * them meanwhile, and either may be the last.
 */
void arena_windows_close(struct arena *arena)
{
	unsigned long closed = cursor_start(READ_ONCE(arena->generation));
	struct arena_cpu *cpu;

	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next) {
		WRITE_ONCE(cpu->limit, closed);
		WRITE_ONCE(cpu->zero_limit, closed);
	}
}

/*
 * The tag is about to enter an eighth of its range. An allocation that began when
 * it was last there could still hold a cursor word, and its compare-and-swap
 * would succeed on a word that only looks the same. Allocations run with
 * preemption off, so a grace period since the tag left that eighth excludes it.
 *
 * So it does whoever uses a window. Who finds the cursor in one eighth began after the
 * windows of two eighths before were closed, or the grace period in between would have
 * waited for it; so the window is of one of the last three, less than half a turn
 * away, without a barrier. The full generation does not wrap (on 64 bits), and
 * everything else compares that.
 */
static void wrapped(struct rcu_head *rcu)
{
	struct arena *arena = container_of(rcu, struct arena, wrap_rcu);

	arena_windows_close(arena);
	/* Release: pairs with the smp_load_acquire() in tag_cross(). */
	smp_store_release(&arena->wrapping, false);
}

/*
 * Nor may this word: it gets a tag that has just been left. Unless it has been written
 * in the new generation already, or in one after it.
 */
static void uncounted_renew(struct arena *arena, unsigned long generation)
{
	long noted = atomic_long_read(&arena->uncounted);

	if (((cursor_tag(noted) - generation) & ARENA_TAG_MASK) >= ARENA_TAG_HALF)
		atomic_long_cmpxchg(&arena->uncounted, noted, cursor_start(generation - 1));
}

/*
 * The cursor, which was just looked at, is about to fall from @high. Before it does: the
 * compare-and-swap that follows is a full barrier, so that wipe_slabs() after a later reset
 * knows all that was written. By slabs, as that wipes them: so it is seldom news.
 */
void arena_note_dirty(struct arena *arena, size_t high)
{
	/*
	 * Pairs with arena_settle() after wipe_slabs(): who saw a cursor of the generation
	 * that began then does not see how much was dirty before.
	 */
	smp_rmb();
	arena_raise(&arena->dirty, ALIGN(high, arena_slab_size(arena)));
}

/*
 * Never back: of two resets the later one may be the first to come here, and what a CPU
 * has of the generation before, a span for instance, must not be good again.
 */
static void generation_reach(struct arena *arena, unsigned long generation)
{
	unsigned long old = READ_ONCE(arena->generation);

	/* Full barrier: pairs with the smp_load_acquire() in arena_look(). */
	while (old < generation)
		if (try_cmpxchg(&arena->generation, &old, generation))
			return;
	/* Overtaken. Whom the caller tells that it is over sees that, as if it were ours. */
	smp_mb();
}

/*
 * May the tag enter another eighth of its range? Only with reset_lock held: of two such
 * entries the second sees that the first has set wrapping.
 */
static int tag_cross(struct arena *arena, unsigned long next, bool locked)
{
	if (!locked)
		return -EAGAIN;
	lockdep_assert_held(&arena->reset_lock);
	/* Acquire: pairs with the smp_store_release() in wrapped(). */
	if (smp_load_acquire(&arena->wrapping))
		return -EBUSY;
	/* Nor may this word match when its tag comes round again. */
	atomic_long_set(&arena->deep_used, cursor_start(next));
	return 0;
}

static bool generation_crosses(unsigned long generation, unsigned long next)
{
	return (generation ^ next) & ARENA_TAG_EIGHTH;
}

/* The cursor stood at @cursor until it got the tag of @generation. */
static void generation_begun(struct arena *arena, unsigned long generation, unsigned long cursor,
			     bool crossing)
{
	generation_reach(arena, generation);
	arena_raise(&arena->peak, min(arena->capacity, cursor_offset(cursor)));
	if (crossing) {
		WRITE_ONCE(arena->wrapping, true);
		uncounted_renew(arena, generation);
	}
}

/*
 * Start the next generation at offset 0. Unsettled in the same slab set; or, to @flip, in
 * the other one: a grace period has passed since that was left. Resets
 * that race each move on from where the other one has left the cursor. Preemption is off.
 *
 * 0, and if @crossed, wrap_rcu is to be queued; -EAGAIN if that takes the lock, which
 * is not @locked; -EBUSY if the tag may not advance yet.
 */
static __always_inline int next_generation(struct arena *arena, bool flip, bool locked,
					   bool *crossed)
{
	const unsigned long settled = flip ? 0 : ARENA_UNSETTLED;
	struct arena_view view = arena_look(arena);
	long cursor = view.cursor;
	unsigned long next;
	bool crossing;
	int err;

	*crossed = false;
	for (;;) {
		next = flip ? generation_flipped(view.generation) :
			      generation_kept(view.generation);
		crossing = generation_crosses(view.generation, next);
		err = crossing ? tag_cross(arena, next, locked) : 0;
		if (err)
			return err;
		arena_note_dirty(arena, cursor_offset(cursor));
		if (atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_start(next) | settled))
			break;
		view.generation = cursor_generation(cursor, view.generation);
	}
	generation_begun(arena, next, cursor, crossing);
	*crossed = crossing;
	atomic_long_inc(&arena->resets);
	return 0;
}

/* Whether the tag may advance to what arena_begin_rewound() begins: 0 or -EBUSY. */
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
 * Start the generation after @generation, unsettled, at @offset, with @used bytes handed
 * out below. Rewinds do not race with each other, but with allocations and resets.
 * reset_lock is held, and arena_may_rewind() has been asked. -ESTALE if a reset has come.
 */
int arena_begin_rewound(struct arena *arena, unsigned long generation, size_t offset, size_t used,
			bool *crossed)
{
	const unsigned long next = generation_rewound(generation);
	long cursor;

	lockdep_assert_held(&arena->reset_lock);
	start_set(arena, next, offset, used);
	do {
		struct arena_view view = arena_look(arena);

		if (view.generation != generation)
			return -ESTALE;
		cursor = view.cursor;
		arena_note_dirty(arena, cursor_offset(cursor));
		/*
		 * Full barrier: whoever sees the tag sees where the generation starts, and
		 * what has been freed. Pairs with smp_mb() B in arena_settle(), and with
		 * smp_rmb() in lowest_since() and arena_peek_begun().
		 */
	} while (!atomic_long_try_cmpxchg(&arena->cursor, &cursor,
					  cursor_start(next) | ARENA_UNSETTLED));
	*crossed = generation_crosses(generation, next);
	generation_begun(arena, next, cursor, *crossed);
	return 0;
}

/* After next_generation() or arena_begin_rewound(), when reset_lock is no longer held. */
void arena_crossed(struct arena *arena, bool crossed)
{
	if (crossed)
		arena_call_rcu_hurry(&arena->wrap_rcu, wrapped);
}

static int next_generation_crossing(struct arena *arena)
{
	unsigned long flags;
	bool crossed;
	int err;

	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	err = next_generation(arena, false, true, &crossed);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	arena_crossed(arena, crossed);
	return err;
}

/*
 * The CPU that reset a dense arena is likely to allocate from it next: open its window in
 * the slab that the cursor is in now, as a claim there would. Without this, its first
 * allocation takes the slow path.
 */
static __always_inline void window_reopen(struct arena *arena, struct arena_cpu *cpu)
{
	struct arena_view view = arena_look(arena);
	struct claim claim = {
		.generation = view.generation,
		.object	    = cursor_offset(view.cursor),
	};

	if (!cursor_settled(view.cursor) || claim.object >= arena->capacity)
		return;
	/* Address dependency on the cursor, as in cursor_claim(). */
	claim.base = arena_slab_base(arena, view.generation, claim.object);
	if (claim.base)
		arena_window_open(arena, cpu, &claim);
}

/*
 * If it succeeds, and none holds it back, the generation is settled at once. A nested reset
 * leaves the window alone: it may have interrupted the opening of one.
 */
static __always_inline int next_generation_kept(struct arena *arena)
{
	struct arena_cpu *cpu = arena_enter(arena);
	bool crossed;
	int err;

	err = next_generation(arena, false, false, &crossed);
	if (likely(!err) && likely(settle(arena)) && !arena->spans && arena_slot(cpu))
		window_reopen(arena, cpu);
	arena_leave(cpu);
	if (unlikely(err == -EAGAIN)) {
		err = next_generation_crossing(arena);
		if (!err)
			arena_settle(arena);
	}
	return err;
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
 * The next generation begins at offset 0, in the slabs of the last one.
 * Takes constant time in objects and bytes (clause 9): it looks once at each
 * CPU that has used the arena. Pointers into the arena are dead from here on. Whoever
 * allocates meanwhile is not disturbed, but gets an object that may already be dead, or
 * NULL in a context that cannot wait for a late writer (clause 10).
 *
 * Context: Any but NMI. Takes no lock, but for one reset in a quarter of a million: a raw
 * spinlock, interrupts off. Does not sleep.
 * Return: 0, or -EBUSY with nothing changed if no RCU grace period has ended
 * during the last quarter of a million resets or so (clause 13).
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
	/* vunmap() may sleep. */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
	arena_tell_reset(arena, ARENA_EVENT_KEEP);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_reset);

/*
 * A grace period has passed since the set was left: no reader is in it, no
 * allocation and no writer. Runs in softirq, so views are left to the reaper.
 */
static void retired(struct rcu_head *rcu)
{
	struct arena *arena = container_of(rcu, struct arena, retire_rcu);

	/* Release: whoever uses the set again comes after its last readers. */
	smp_store_release(&arena->retiring, false);
	smp_mb();	/* Pairs with llist_add(), a full barrier, in arena_reap_larges(). */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
}

/**
 * arena_reset_rcu() - Free all objects of an arena, but let readers finish.
 * @arena: the arena, not NULL, created with %ARENA_READERS.
 *
 * Like arena_reset(), but what was allocated before stays as it is for those
 * who were inside rcu_read_lock() already (clause 11). Allocation goes on at
 * once in the other of two slab sets; after a grace period, which this call
 * starts itself, the one that was left is ready for the next such reset.
 *
 * Who allocates and uses objects inside rcu_read_lock() need not exclude this.
 *
 * Context: Any but NMI. Takes a raw spinlock, interrupts off. Never waits.
 * Return: 0; -EBUSY with nothing changed while the set that was left last is
 * still in use by readers, or a release or zero reset is at work;
 * -EOPNOTSUPP without %ARENA_READERS.
 */
int arena_reset_rcu(struct arena *arena)
{
	unsigned long flags;
	bool crossed = false, undone = false;
	int err = -EBUSY;

	if (WARN_ON_ONCE(in_nmi()))
		return -EINVAL;
	if (!(arena->flags & ARENA_READERS))
		return -EOPNOTSUPP;

	/* Until the callback is queued, see wait_retired(). */
	preempt_disable();
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	/* Acquire: pairs with the smp_store_release() in retired(). */
	if (!smp_load_acquire(&arena->retiring) && !arena->held) {
		/* Before the generation changes: see arena_reap_larges(). */
		WRITE_ONCE(arena->retiring, true);
		err = next_generation(arena, true, true, &crossed);
		undone = err;
		if (undone)
			WRITE_ONCE(arena->retiring, false);
	}
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	if (!err) {
		arena_crossed(arena, crossed);
		arena_call_rcu_hurry(&arena->retire_rcu, retired);
	}
	preempt_enable();
	if (err) {
		/* The reaper may have seen it set, and left views for when it is not. */
		if (undone && !llist_empty(&arena->larges))
			schedule_work(&arena->reaper);
		return err;
	}
	note_kept(arena);
	arena_tell_reset(arena, ARENA_EVENT_RCU);
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
			memset(base, 0, arena_slab_size(arena));
		cond_resched();
		if (killable && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* As next_generation_kept(), but where the tag may not advance yet, wait until it may. */
static void next_generation_asleep(struct arena *arena)
{
	while (next_generation_kept(arena))
		synchronize_rcu();
}

/*
 * Nobody resets by RCU from here on: wait for the readers of the set that was
 * left last. arena_reset_rcu() queues the callback that says so with preemption off since
 * before retiring was set: after a grace period of our own the callback is queued, and
 * waiting for it cannot be in vain.
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
	unsigned int set = arena_peek(arena).generation & ARENA_GEN_SET;
	int err = 0;

	if (arena_nr_dirs(arena) > 1)
		err = arena_slabs_release(arena, arena_dir(arena, !set), 0, killable);

	return err ?: arena_slabs_release(arena, arena_dir(arena, set), keep, killable);
}

/* Where it is cut short, all stays noted as dirty, and the next one wipes it. */
static int wipe_slabs(struct arena *arena, bool killable)
{
	/* Pairs with arena_note_dirty(): the cursor was moved in between. */
	size_t high = atomic_long_read(&arena->dirty);
	int i, err = 0;

	for (i = 0; !err && i < arena_nr_dirs(arena); i++)
		err = zero_slabs(arena, arena_dir(arena, i), high, killable);
	/* Nothing was allocated since: the generation is not settled. */
	if (!err)
		atomic_long_set(&arena->dirty, 0);
	return err;
}

static void hold(struct arena *arena, bool held)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	/* Release: what was done to the slabs comes before the first claim. */
	smp_store_release(&arena->held, held);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
}

/* Nobody allocates: wipe the slabs of an empty arena, or release them. */
static int work_on_slabs(struct arena *arena, size_t keep, bool zero, bool killable)
{
	int err;

	wait_retired(arena);
	smp_mb();	/* B once more, see arena_settle() */
	if (late_writers(arena))
		synchronize_rcu();
	arena_reap_larges(arena, false);
	err = zero ? wipe_slabs(arena, killable) : release_slabs(arena, keep, killable);
	note_kept(arena);
	return err;
}

/*
 * Empty the arena and, before any allocation succeeds again, wipe or release its slabs. 0;
 * -EINTR if @killable and the task is being killed: then the arena is empty, but not all
 * was wiped or released.
 */
int arena_reset_asleep(struct arena *arena, size_t keep, bool zero, bool killable)
{
	int err;

	might_sleep();
	mutex_lock(&arena->reset_mutex);
	hold(arena, true);
	next_generation_asleep(arena);
	err = work_on_slabs(arena, keep, zero, killable);
	hold(arena, false);
	arena_settle(arena);
	mutex_unlock(&arena->reset_mutex);
	arena_tell_reset(arena, zero ? ARENA_EVENT_ZERO : ARENA_EVENT_RELEASE);
	return err;
}

/**
 * arena_reset_release() - Free all objects, keep at most some of the memory.
 * @arena: the arena, not NULL.
 * @keep:  bytes of committed memory to keep, from offset 0 on, rounded up to
 *	   whole slabs; 0 gives back all.
 *
 * Like arena_reset(), but linear in the number of slabs (clause 9). Meanwhile
 * allocations fail, or wait where they may.
 *
 * Context: Task, may sleep.
 */
void arena_reset_release(struct arena *arena, size_t keep)
{
	arena_reset_asleep(arena, keep, false, false);
}
EXPORT_SYMBOL_GPL(arena_reset_release);

/**
 * arena_reset_zero() - Free all objects and wipe what they occupied.
 * @arena: the arena, not NULL.
 *
 * Like arena_reset(), but linear in the bytes used (clause 9): nothing of the
 * former contents is left when it returns. Meanwhile allocations fail, or wait
 * where they may.
 *
 * Context: Task, may sleep.
 */
void arena_reset_zero(struct arena *arena)
{
	arena_reset_asleep(arena, 0, true, false);
}
EXPORT_SYMBOL_GPL(arena_reset_zero);
