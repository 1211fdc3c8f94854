// SPDX-License-Identifier: GPL-2.0
/*
 * Marks: go back to where a dense arena stood.
 *
 * A mark is a plain value. A rewind is a reset to somewhere else than offset 0: it begins
 * the next generation (arena_begin_rewound()), and what "DOC: generations" says of resets
 * holds for it. What is here is the memory of what rewinds have freed: objects of older
 * generations live if they are below.
 *
 * With M(g) for the lowest offset that the arena was rewound to since generation g, an
 * object of g at offset o lives if o < M(g), and a mark of g at o can be rewound to if
 * o <= M(g). A rewind from the present generation to an offset t makes M(g) = min(M(g), t)
 * for every g. So M never falls from one generation to the next, and few numbers tell all
 * of it: see &struct arena_rewinds. Where there are too many of them, the two oldest steps
 * become one, at the lower offset: some objects are said to be gone that are not, none to
 * be there that is not. A reset frees all: where the cursor says that a reset began its
 * generation, nothing older lives, whatever is remembered here.
 *
 * arena_deref() reads this in any context. There are two copies: a rewind writes the one
 * that is not in use, and makes it valid before it moves the cursor. A reader that finds
 * a later generation in the cursor finds what its rewind freed; and it reads again where
 * the copy has ceased to be valid meanwhile, so two rewinds must have passed it.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "core/events.h"

/*
 * M(@generation) in @low: the lowest that it can be, or with @most the highest, where steps
 * became one. False if nothing of it lives, or there was no such generation.
 */
static bool rewinds_find(const struct arena_rewinds *rewinds, unsigned long generation,
			 bool most, size_t *low)
{
	unsigned int nr = min_t(unsigned int, READ_ONCE(rewinds->nr), ARENA_REWINDS), i;

	/* A rewind does not change the slab set: of the other one there was none since. */
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

/* M(@generation), from a view of the cursor whose generation is @now. */
static bool lowest_since(const struct arena *arena, unsigned long now, unsigned long generation,
			 bool most, size_t *low)
{
	const struct arena_history *history;
	unsigned int nr;
	bool found;

	if (!(now & ARENA_GEN_REWOUND))
		return false;
	/* Pairs with the compare-and-swap of the cursor in arena_begin_rewound(). */
	smp_rmb();
	history = READ_ONCE(arena->history);
	do {
		/* Acquire: pairs with the smp_store_release() in rewinds_set(). */
		nr = smp_load_acquire(&history->nr);
		found = rewinds_find(&history->rewinds[nr & 1], generation, most, low);
		/* Pairs with smp_wmb() in rewinds_set(). */
		smp_rmb();
	} while (unlikely(READ_ONCE(history->nr) != nr));
	return found;
}

/* arena_lives(), where the present generation is @now and another one than @generation. */
bool arena_outlives(const struct arena *arena, unsigned long now, unsigned long generation,
		    size_t offset)
{
	size_t low;

	return lowest_since(arena, now, generation, false, &low) && offset < low;
}

/* As arena_outlives(), but in doubt it may: so that nothing is unmapped that is in use. */
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
	 * Pairs with smp_rmb() in lowest_since(): a reader that finds a part of what is
	 * written here finds the number that the last rewind has set, and reads again.
	 */
	smp_wmb();
	rewinds_copy(&arena->history->rewinds[nr & 1], rewinds);
	/* Release: pairs with the smp_load_acquire() in lowest_since(). */
	smp_store_release(&arena->history->nr, nr);
}

/* Nothing from @low on outlives @last. */
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
 * Remember that what was allocated up to generation @now at or above @low is gone. The
 * generation that a rewind was to begin before may be another one than @now: then a reset
 * has come since, and nothing of what was remembered lives.
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

/* As arena_peek(), but where the generation has not begun yet, with the word it starts at. */
struct arena_view arena_peek_begun(const struct arena *arena)
{
	struct arena_view view;
	unsigned long begun, used;

	do {
		view = arena_peek(arena);
		if (likely(cursor_settled(view.cursor)))
			return view;
	} while (!arena_begin_word(arena, view.cursor, &begun, &used));
	view.cursor = begun;
	return view;
}

/**
 * arena_mark() - Say where a dense arena stands (clause 12).
 * @arena: the arena, not NULL, without %ARENA_SPANS.
 * @mark:  filled in: a plain value, which may be copied, kept or forgotten.
 *
 * The bytes that @mark says were used are exact if nothing is being allocated meanwhile.
 *
 * Context: Any but NMI. Takes no lock.
 * Return: 0; -EOPNOTSUPP with spans.
 */
int arena_mark(struct arena *arena, struct arena_mark *mark)
{
	struct arena_view view = arena_peek_begun(arena);
	size_t offset = cursor_offset(view.cursor);

	*mark = (struct arena_mark) {
		.generation = view.generation,
		.offset	    = offset,
		.used	    = min(offset, arena_used_in_view(arena, &view)),
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

/* Nothing is believed of @mark: it may be a program's. */
static int mark_check(const struct arena *arena, const struct arena_view *view,
		      const struct arena_mark *mark)
{
	size_t low = cursor_offset(view->cursor);

	if (mark->used > mark->offset)
		return -EINVAL;
	if (mark->generation != view->generation &&
	    !lowest_since(arena, view->generation, mark->generation, false, &low))
		return -ESTALE;
	return mark->offset <= low ? 0 : -ESTALE;
}

/*
 * Most arenas are never rewound. A reader uses the history only after it has seen the cursor
 * of a generation that a rewind began.
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

/* 1 if there is nothing to free. */
static int rewind_locked(struct arena *arena, const struct arena_mark *mark, bool *crossed)
{
	struct arena_view view = arena_peek_begun(arena);
	int err = mark_check(arena, &view, mark);

	lockdep_assert_held(&arena->reset_lock);
	if (err)
		return err;
	if (mark->generation == view.generation && mark->offset == cursor_offset(view.cursor))
		return 1;
	if (!arena->history)
		return -ENOMEM;
	err = arena_may_rewind(arena, view.generation);
	if (err)
		return err;
	rewinds_add(arena, view.generation, mark->offset);
	rewind_pause(arena);
	return arena_begin_rewound(arena, view.generation, mark->offset, mark->used, crossed);
}

/**
 * arena_rewind() - Free all that was allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(), by any task. It may be rewound to again, and so may those
 *	   that were taken before it.
 *
 * A reset to the offset of @mark: the next generation begins there. What was allocated
 * since is gone, whoever allocated it; the caller excludes those who use it. What was
 * allocated before stays where it is, keeps its contents, and its handles live on: but
 * after rewinds to more than four offsets, each above the one before, handles and marks
 * made between the oldest of these may be told stale early.
 *
 * With %ARENA_READERS, the slab set remains the same: readers may go on using what was
 * allocated before the mark, and nothing else.
 *
 * Context: Any but NMI. Takes a raw spinlock, interrupts off. Does not sleep. The first
 * rewind of an arena allocates some 200 bytes.
 * Return: 0; or, with nothing changed, -EOPNOTSUPP with spans; -ESTALE if the arena was
 * reset, or rewound below @mark, since; -EINVAL if that is no mark; -EBUSY as arena_reset();
 * -ENOMEM.
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
	/* vunmap() may sleep. */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
	arena_settle(arena);
	arena_tell_reset(arena, ARENA_EVENT_REWIND);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_rewind);
