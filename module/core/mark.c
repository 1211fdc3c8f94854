// SPDX-License-Identifier: GPL-2.0
/*
 * Marks: go back to where a dense arena stood.
 *
 * A mark is a plain value. A rewind is a reset to another offset than 0: it begins the next
 * generation (arena_begin_rewound()), and all that "DOC: generations" says of resets holds for
 * it. This file remembers what rewinds have freed: an object of an older generation lives on
 * if it lies below every offset that the arena was rewound to since.
 *
 * Let M(g) be the lowest offset that the arena was rewound to since generation g. An object of
 * g at offset o lives if o < M(g), and the arena can be rewound to a mark of g at o if
 * o <= M(g). A rewind from the present generation to offset t sets M(g) = min(M(g), t) for
 * every g. So M never falls from one generation to the next: it is a staircase, and a few
 * steps describe it, see &struct arena_rewinds. Where there are too many steps, the two oldest
 * become one, at the lower offset. Some live objects are then said to be gone, but no freed
 * object is said to live. A reset frees everything: if the tag in the cursor says that a reset,
 * and not a rewind, began the generation, nothing older lives, whatever is remembered here.
 *
 * arena_deref() reads the history in any context, without a lock. There are two copies of it:
 * a rewind writes the copy that is not in use, makes it the valid one, and only then moves the
 * cursor. So a reader that finds the later generation in the cursor also finds what its rewind
 * freed. A reader that finds another copy valid after reading than before may have read one
 * that a second rewind was writing, and reads again.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "core/events.h"

/*
 * Set *@low to M(@generation). If steps were merged, M is known within bounds only: *@low is the
 * lowest value that it can have, or with @most the highest. Returns false if nothing of
 * @generation lives, or if the arena has had no such generation.
 */
static bool rewinds_find(const struct arena_rewinds *rewinds, unsigned long generation,
			 bool most, size_t *low)
{
	unsigned int nr = min_t(unsigned int, READ_ONCE(rewinds->nr), ARENA_REWINDS), i;

	/* Rewinds stay in one slab set: no generation of the other set lives on. */
	if (generation < READ_ONCE(rewinds->first) ||
	    (generation ^ READ_ONCE(rewinds->first)) & ARENA_GEN_SET)
		return false;
	for (i = 0; i < nr; i++) {
		if (generation > READ_ONCE(rewinds->to[i].last))
			continue;
		*low = READ_ONCE(rewinds->to[i].low);
		if (most && !i)
			*low = max(*low, READ_ONCE(rewinds->high));
		return true;
	}
	return false;
}

/* Set *@low to M(@generation), for a caller that has read generation @now from the cursor. */
static bool lowest_since(const struct arena *arena, unsigned long now, unsigned long generation,
			 bool most, size_t *low)
{
	const struct arena_history *history;
	unsigned int nr;
	bool found;

	if (!(now & ARENA_GEN_REWOUND))
		return false;
	/*
	 * Pairs with the compare-and-swap of the cursor in arena_begin_rewound(): this reader
	 * has read the generation of that rewind, and so sees what rewinds_set() wrote
	 * before. Otherwise an object that the rewind freed could pass for a live one.
	 */
	smp_rmb();
	history = READ_ONCE(arena->history);
	do {
		/*
		 * Acquire: pairs with the smp_store_release() in rewinds_set(); the copy is
		 * complete.
		 */
		nr = smp_load_acquire(&history->nr);
		found = rewinds_find(&history->rewinds[nr & 1], generation, most, low);
		/*
		 * Pairs with smp_wmb() in rewinds_set(): the copy is read before the number
		 * again.
		 */
		smp_rmb();
	} while (unlikely(READ_ONCE(history->nr) != nr));
	return found;
}

/*
 * Does an object of @generation at @offset live on, although the arena has gone on to generation
 * @now? arena_lives() calls this if the two generations differ.
 */
bool arena_outlives(const struct arena *arena, unsigned long now, unsigned long generation,
		    size_t offset)
{
	size_t low;

	return lowest_since(arena, now, generation, false, &low) && offset < low;
}

/*
 * May an object of @generation at @offset live on in generation @now? True in doubt, so that no
 * view of a live object is unmapped.
 */
bool arena_may_outlive(const struct arena *arena, unsigned long now, unsigned long generation,
		       size_t offset)
{
	size_t most;

	return lowest_since(arena, now, generation, true, &most) && offset < most;
}

static void rewinds_copy(struct arena_rewinds *to, const struct arena_rewinds *from)
{
	unsigned int i;

	WRITE_ONCE(to->first, from->first);
	WRITE_ONCE(to->now, from->now);
	WRITE_ONCE(to->high, from->high);
	for (i = 0; i < from->nr; i++) {
		WRITE_ONCE(to->to[i].last, from->to[i].last);
		WRITE_ONCE(to->to[i].low, from->to[i].low);
	}
	WRITE_ONCE(to->nr, from->nr);
}

static void rewinds_set(struct arena *arena, const struct arena_rewinds *rewinds)
{
	unsigned int nr = arena->history->nr + 1;

	lockdep_assert_held(&arena->reset_lock);
	/*
	 * Pairs with smp_rmb() in lowest_since(): a reader that sees any part of what is
	 * written below also sees the number that the last rewind stored, which differs from
	 * the one that the reader began with, and reads again. Without it, the reader could
	 * use a mixture of two histories.
	 */
	smp_wmb();
	rewinds_copy(&arena->history->rewinds[nr & 1], rewinds);
	/* Release: pairs with the smp_load_acquire() in lowest_since(). */
	smp_store_release(&arena->history->nr, nr);
}

/*
 * Record that nothing at or above @low that was allocated up to generation @last lives on.
 * Steps at or above @low are covered by the new one; if there are still too many, the two
 * oldest become one.
 */
static void rewinds_push(struct arena_rewinds *rewinds, unsigned long last, size_t low)
{
	unsigned int nr = rewinds->nr;

	while (nr && rewinds->to[nr - 1].low >= low)
		nr--;
	if (!nr)
		rewinds->high = low;
	rewinds->high = min(rewinds->high, low);
	if (nr == ARENA_REWINDS) {
		rewinds->high = rewinds->to[1].low;
		rewinds->to[0].last = rewinds->to[1].last;
		memmove(&rewinds->to[1], &rewinds->to[2], (--nr - 1) * sizeof(rewinds->to[0]));
	}
	rewinds->to[nr].last = last;
	rewinds->to[nr].low = low;
	rewinds->nr = nr + 1;
}

/*
 * Remember that a rewind from generation @now frees what lies at or above @low. If the last rewind
 * neither began @now nor tried to, a reset has come since: nothing of what was remembered lives,
 * and the history starts anew.
 */
static void rewinds_add(struct arena *arena, unsigned long now, size_t low)
{
	struct arena_rewinds rewinds = arena->history->rewinds[arena->history->nr & 1];

	if (rewinds.now != now) {
		rewinds.first = now;
		rewinds.nr = 0;
	}
	rewinds.now = generation_rewound(now);
	rewinds_push(&rewinds, now, low);
	rewinds_set(arena, &rewinds);
}

/* The word that the generation of @snap will be settled with; or a newer snapshot, settled. */
struct arena_snap arena_begun_snap(const struct arena *arena, struct arena_snap snap)
{
	unsigned long begun, used;

	while (!cursor_settled(snap.cursor)) {
		if (arena_begin_word(arena, snap.cursor, &begun, &used)) {
			snap.cursor = begun;
			break;
		}
		snap = arena_snap(arena);
	}
	return snap;
}

/**
 * arena_mark() - Say where a dense arena stands (clause 12).
 * @arena: the arena, not NULL, created without %ARENA_SPANS.
 * @mark:  filled in: a plain value, which may be copied, kept or forgotten. Its offset and
 *	its count of used bytes are in bytes.
 *
 * The used bytes in @mark are exact if no allocation runs meanwhile.
 *
 * Context: Any but NMI. Takes no lock. Does not sleep.
 * Return: 0; -EOPNOTSUPP with %ARENA_SPANS: such a mark cannot be rewound to.
 */
int arena_mark(struct arena *arena, struct arena_mark *mark)
{
	struct arena_snap snap = arena_snap_begun(arena);
	size_t offset = cursor_offset(snap.cursor);

	*mark = (struct arena_mark) {
		.generation = snap.generation,
		.offset	    = offset,
		.used	    = min(offset, arena_used_in_snap(arena, snap)),
	};
	return arena->spans ? -EOPNOTSUPP : 0;
}
EXPORT_SYMBOL_GPL(arena_mark);

#if IS_BUILTIN(CONFIG_ARENA_KUNIT_TEST)
void (*arena_rewind_pause)(struct arena *arena);

static void rewind_pause(struct arena *arena)
{
	void (*pause)(struct arena *arena) = READ_ONCE(arena_rewind_pause);

	if (pause)
		pause(arena);
}
#else
static void rewind_pause(struct arena *arena)
{
}
#endif

/* Check every field of @mark: a program may have made it up. Returns 0, -EINVAL or -ESTALE. */
static int mark_check(const struct arena *arena, const struct arena_snap *snap,
		      const struct arena_mark *mark)
{
	size_t low = cursor_offset(snap->cursor);

	if (mark->used > mark->offset)
		return -EINVAL;
	if (mark->generation != snap->generation &&
	    !lowest_since(arena, snap->generation, mark->generation, false, &low))
		return -ESTALE;
	return mark->offset <= low ? 0 : -ESTALE;
}

/*
 * Allocate the history at the first rewind, as most arenas are never rewound. A reader uses the
 * history only after it has seen the cursor of a generation that a rewind began.
 */
static void history_alloc(struct arena *arena)
{
	struct arena_history *history;

	if (READ_ONCE(arena->history))
		return;
	history = arena_state_alloc(arena, sizeof(*history), GFP_ATOMIC);
	/* Full barrier: the history is zero before another rewind finds it. */
	if (history && cmpxchg(&arena->history, NULL, history))
		kfree(history);
}

/* Returns 0; 1 if there is nothing to free; or an error of arena_rewind(). */
static int rewind_locked(struct arena *arena, const struct arena_mark *mark, bool *crossed)
{
	struct arena_snap snap = arena_snap_begun(arena);
	int err = mark_check(arena, &snap, mark);

	lockdep_assert_held(&arena->reset_lock);
	if (err)
		return err;
	if (mark->generation == snap.generation && mark->offset == cursor_offset(snap.cursor))
		return 1;
	if (!arena->history)
		return -ENOMEM;
	err = arena_may_rewind(arena, snap.generation);
	if (err)
		return err;
	rewinds_add(arena, snap.generation, mark->offset);
	rewind_pause(arena);
	return arena_begin_rewound(arena, snap.generation, mark->offset, mark->used, crossed);
}

/**
 * arena_rewind() - Free all that was allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(), by any task. The arena can be rewound to it again, and to the
 *	marks that were taken before it.
 *
 * A rewind is a reset to the offset of @mark: the next generation begins there. Objects
 * allocated since the mark are gone, whichever task or CPU allocated them; the caller excludes
 * their users. Objects allocated before it stay where they are, with their contents, and their
 * handles stay valid, with one exception: the arena remembers rewinds to four offsets, each
 * above the one before. With a fifth, the two oldest are taken for one at the lower offset,
 * and handles and marks made between these two rewinds may be reported stale early.
 *
 * With %ARENA_READERS, the slab set remains the same: readers may go on using what was
 * allocated before the mark, and nothing else.
 *
 * Context: Any but NMI. Takes a raw spinlock with interrupts off. Does not sleep. The first
 * rewind of an arena allocates some 200 bytes.
 * Return: 0; or, with nothing changed, -EOPNOTSUPP with %ARENA_SPANS; -ESTALE if the arena was
 * reset, or rewound below @mark, since; -EINVAL if @mark says that more bytes were used than
 * its offset, or in NMI, with a warning; -EBUSY if resets and rewinds follow each other too fast,
 * see arena_reset(); -ENOMEM.
 */
int arena_rewind(struct arena *arena, const struct arena_mark *mark)
{
	bool crossed = false;
	unsigned long flags;
	int err;

	if (WARN_ON_ONCE(in_nmi()))
		return -EINVAL;
	if (arena->spans)
		return -EOPNOTSUPP;
	history_alloc(arena);
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	err = rewind_locked(arena, mark, &crossed);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	if (err)
		return err < 0 ? err : 0;
	arena_crossed(arena, crossed);
	arena_begun(arena);
	/* vunmap() may sleep, and a rewind must not: the reaper unmaps the views. */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
	arena_trace_reset(arena, ARENA_EVENT_REWIND);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_rewind);
