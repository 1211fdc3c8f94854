// SPDX-License-Identifier: GPL-2.0
/*
 * The history of rewinds: an object of an older generation lives on if it lies below every offset
 * that the arena was rewound to since.
 *
 * Let M(g) be the lowest offset that the arena was rewound to since generation g. An object of g at
 * offset o lives if o < M(g), and the arena can be rewound to a mark of g at o if o <= M(g). A
 * rewind from the present generation to offset t sets M(g) = min(M(g), t) for every g. So M(g)
 * never falls as g grows: it is a step function, and &struct arena_rewinds holds its steps. If
 * there are too many steps, a rewind merges the two oldest into one step at the lower offset.
 * arena_deref() then reports some live objects as stale, but reports no freed object as alive. A
 * reset frees everything: if the tag in the cursor says that a reset, and not a rewind, began the
 * generation, no older object lives, whatever the history holds.
 *
 * arena_deref() reads the history in any context, without a lock. There are two copies of it: a
 * rewind writes the copy that is not in use, makes it the valid one, and only then moves the
 * cursor. So a reader that finds the later generation in the cursor also finds what the rewind to
 * that generation freed. If the number of the valid copy has changed while a reader was reading, a
 * second rewind may have been writing the copy that was read, so the reader starts again.
 */
#include <linux/slab.h>

#include "core/core.h"

/*
 * Set *@low to M(@generation), the lowest offset that the arena was rewound to since @generation.
 * If steps were merged, M(@generation) is known only within bounds: *@low is then the lower bound,
 * or with @most the upper one. Returns false if no object of @generation lives, or if the arena has
 * had no such generation.
 */
static bool rewinds_find(const struct arena_rewinds *rewinds, unsigned long generation,
			 bool most, size_t *low)
{
	unsigned int nr = min_t(unsigned int, READ_ONCE(rewinds->nr), ARENA_REWINDS), i;

	/* Rewinds keep the slab set: no object of a generation of the other set lives on. */
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

/*
 * Set *@low to the lowest offset that the arena was rewound to since @generation. If merged steps
 * leave that offset open, *@low is its lower bound, or with @most its upper bound. The caller has
 * read generation @now from the cursor. Returns false if no object of @generation lives.
 */
bool arena_lowest_since(const struct arena *arena, unsigned long now, unsigned long generation,
			bool most, size_t *low)
{
	const struct arena_history *history;
	unsigned int nr;
	bool found;

	if (!(now & ARENA_GEN_REWOUND))
		return false;
	/*
	 * Pairs with the compare-and-swap of the cursor in arena_begin_rewound(): a reader that has
	 * read from the cursor the generation that a rewind began sees what rewinds_set() wrote for
	 * that rewind. Otherwise an object that the rewind freed could pass for a live one.
	 */
	smp_rmb();
	history = READ_ONCE(arena->history);
	do {
		/*
		 * Acquire: pairs with the smp_store_release() in rewinds_set(), so that a reader
		 * that sees this number sees the copy complete.
		 */
		nr = smp_load_acquire(&history->nr);
		found = rewinds_find(&history->rewinds[nr & 1], generation, most, low);
		/*
		 * Pairs with smp_wmb() in rewinds_set(): if this reader has read anything that a
		 * later rewind wrote into the copy, the number that is read below has changed, and
		 * the reader starts again.
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

	return arena_lowest_since(arena, now, generation, false, &low) && offset < low;
}

/*
 * May an object of @generation at @offset live on in generation @now? If merged steps leave that
 * open, returns true: the caller must not unmap the view, or run the action, of a live object.
 */
bool arena_may_outlive(const struct arena *arena, unsigned long now, unsigned long generation,
		       size_t offset)
{
	size_t most;

	return arena_lowest_since(arena, now, generation, true, &most) && offset < most;
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
	 * Pairs with smp_rmb() in arena_lowest_since(): a reader that sees any part of what is
	 * written below also sees the number that the rewind before this one stored. That number
	 * differs from the one that the reader began with, so the reader starts again. Without the
	 * barrier, the reader could use a mixture of two histories.
	 */
	smp_wmb();
	rewinds_copy(&arena->history->rewinds[nr & 1], rewinds);
	/* Release: pairs with the smp_load_acquire() in arena_lowest_since(). */
	smp_store_release(&arena->history->nr, nr);
}

/*
 * Add a step: no object lives that was allocated at or above @low in generation @last or before.
 * Drop the older steps that are at or above @low, as the new one covers them. If there are still
 * too many steps, merge the two oldest.
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
 * Record that a rewind from generation @now frees the objects at or above @low. If @now is not the
 * generation that the last recorded rewind was to begin, a reset has come since and has freed all
 * older objects: then the history starts anew.
 */
void arena_rewinds_add(struct arena *arena, unsigned long now, size_t low)
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

/*
 * Allocate the history at the first rewind, as most arenas are never rewound. A reader uses the
 * history only after it has seen the cursor of a generation that a rewind began.
 */
void arena_history_alloc(struct arena *arena)
{
	struct arena_history *history;

	if (READ_ONCE(arena->history))
		return;
	history = arena_state_alloc(arena, sizeof(*history), GFP_ATOMIC);
	/* Full barrier: another rewind that finds the history finds it zeroed. */
	if (history && cmpxchg(&arena->history, NULL, history))
		kfree(history);
}

/*
 * Return @snap, whose generation is unsettled, with the cursor word that the cursor will have when
 * that generation is settled. If the generation is over by now, return a newer snapshot.
 */
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
