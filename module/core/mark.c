// SPDX-License-Identifier: GPL-2.0
/*
 * Marks: a dense arena can be rewound to where it stood earlier.
 *
 * A mark is a plain value. A rewind is a reset to the offset of a mark: it begins the next
 * generation at that offset (arena_begin_rewound()). history.c remembers which objects rewinds have
 * freed.
 */
#include <linux/export.h>

#include "core/events.h"

/**
 * arena_mark() - Say where a dense arena stands (clause 12).
 * @arena: the arena, not NULL, created without %ARENA_SPANS.
 * @mark:  filled in. It is a plain value, which may be copied, kept or forgotten.
 *
 * The used bytes in @mark are exact if no allocation runs meanwhile.
 *
 * Context: Any but NMI. Takes no lock. Does not sleep.
 * Return: 0; -EOPNOTSUPP with %ARENA_SPANS: an arena with spans cannot be rewound to @mark.
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
	    !arena_lowest_since(arena, snap->generation, mark->generation, false, &low))
		return -ESTALE;
	return mark->offset <= low ? 0 : -ESTALE;
}

/*
 * The part of arena_rewind() that needs reset_lock. Returns 0; 1 if the arena still stands at
 * @mark, so that there is nothing to free; or an error of arena_rewind().
 */
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
	arena_rewinds_add(arena, snap.generation, mark->offset);
	rewind_pause(arena);
	return arena_begin_rewound(arena, snap.generation, mark->offset, mark->used, crossed);
}

/**
 * arena_rewind() - Free all that was allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(), taken by any task. After the rewind, the arena can be rewound to it
 *	again, and to the marks that were taken before it.
 *
 * A rewind is a reset to the offset of @mark: the next generation begins there. Objects allocated
 * since the mark are gone, whichever task or CPU allocated them; the caller excludes their users.
 * Objects allocated before the mark stay where they are, with their contents, and their handles
 * stay valid, with one exception: the arena remembers at most four rewinds that each went to a
 * higher offset than the one before. A fifth such rewind merges the two oldest into one rewind to
 * the lower of their offsets, and arena_deref() and arena_rewind() may then report handles and
 * marks that were made between these two rewinds as stale early.
 *
 * With %ARENA_READERS, a rewind keeps the slab set: readers may go on using objects that were
 * allocated before the mark, and no others.
 *
 * Context: Any but NMI. Takes a raw spinlock with interrupts off. Does not sleep. The first
 * rewind of an arena allocates some 200 bytes.
 * Return: 0; or, with nothing changed, -EOPNOTSUPP with %ARENA_SPANS; -ESTALE if the arena was
 * reset, or rewound below @mark, since @mark was taken; -EINVAL if @mark has more used bytes than
 * its offset, or, with a warning, in NMI; -EBUSY if resets and rewinds follow each other too fast,
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
	arena_history_alloc(arena);
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	err = rewind_locked(arena, mark, &crossed);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	if (err)
		return err < 0 ? err : 0;
	arena_crossed(arena, crossed);
	arena_begun(arena);
	/*
	 * vunmap() may sleep, and a rewind must not: the reaper, a worker, unmaps views of freed
	 * objects.
	 */
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
	arena_trace_reset(arena, ARENA_EVENT_REWIND);
	return 0;
}
EXPORT_SYMBOL_GPL(arena_rewind);
