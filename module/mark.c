// SPDX-License-Identifier: GPL-2.0
/*
 * Marks in shared dense arenas: go back to where the cursor stood, if nobody
 * else has allocated since.
 *
 * Marking takes no lock, and allocation none for it; a rewind takes the reset
 * lock for a moment, to note how far the arena had come.
 *
 * One task at a time may have marks open in an arena. It notes what it
 * allocates, and where the cursor stood after that: if the cursor stood
 * elsewhere when it allocates again, or rewinds, somebody else was there. The
 * others need not know; nor could they tell in time.
 *
 * A rewind ends the life of objects within a generation, so a handle must say
 * how many rewinds it has seen. That number, the epoch, is in the upper bits of
 * its offset. For the last so many rewinds, how far down they went is known.
 */
#include <linux/export.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "cursor.h"

#define MARK_DEPTH	32
#define FLOORS		64
#define EPOCH_MAX	((1UL << (BITS_PER_LONG_LONG - ARENA_HANDLE_EPOCH_SHIFT)) - 1)

/**
 * struct arena_marks - marks of an arena, made with the first one.
 * @owner:	the task that has marks open, or NULL.
 * @generation:	in which.
 * @depth:	how many are open.
 * @serial:	the last one given out.
 * @open:	serial of each open one.
 * @expected:	where the cursor stands unless somebody else allocated.
 * @used:	bytes that the owner allocated since the outermost mark.
 * @foreign:	somebody else did.
 * @epoch:	rewinds so far.
 * @floor:	offset that the rewind of an epoch went down to.
 */
struct arena_marks {
	struct task_struct	*owner;
	unsigned long		generation;
	unsigned int		depth;
	u64			serial;
	u64			open[MARK_DEPTH];
	size_t			expected;
	size_t			used;
	bool			foreign;
	unsigned long		epoch;
	size_t			floor[FLOORS];
};

/* Called with what the cursor handed out, from @from to @end. */
void arena_mark_note(struct arena *arena, unsigned long generation, size_t from, size_t end,
		     size_t size)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	if (!marks || !in_task() || READ_ONCE(marks->owner) != current ||
	    marks->generation != generation)
		return;
	if (from != marks->expected)
		marks->foreign = true;
	marks->expected = end;
	marks->used += size;
}

static struct arena_marks *marks_get(struct arena *arena)
{
	struct arena_marks *marks = READ_ONCE(arena->marks), *old;

	if (marks)
		return marks;
	marks = kzalloc_obj(*marks, ARENA_GFP_META);
	if (!marks)
		return NULL;
	old = cmpxchg(&arena->marks, NULL, marks);
	if (!old)
		return marks;
	kfree(marks);
	return old;
}

/* Become the owner, or stay it. What an earlier generation left is void. */
static bool marks_own(struct arena *arena, struct arena_marks *marks)
{
	struct arena_view view = arena_peek(arena);
	struct task_struct *owner = NULL;

	if (!cursor_settled(view.cursor) && !arena_settle(arena))
		return false;
	/* Nobody's, or of a generation that is over. */
	if (!try_cmpxchg(&marks->owner, &owner, current) && owner != current &&
	    (READ_ONCE(marks->generation) == view.generation ||
	     !try_cmpxchg(&marks->owner, &owner, current)))
		return false;
	if (owner == current && marks->generation == view.generation)
		return true;
	WRITE_ONCE(marks->generation, view.generation);
	marks->depth = 0;
	marks->used = 0;
	marks->foreign = false;
	/* After owner is set, and from one word: what is allocated later counts. */
	marks->expected = cursor_offset(arena_peek(arena).cursor);
	return true;
}

/**
 * arena_mark() - Remember where a dense arena stands.
 * @arena: the arena, not NULL, without %ARENA_SPANS.
 * @mark:  filled in.
 *
 * Marks nest, up to 32 deep; end each by arena_unmark(), or all by the outermost.
 *
 * Context: Task, may sleep (for memory, at the first mark of an arena).
 * Return: 0; -EOPNOTSUPP with spans; -EBUSY if another task has marks open, if
 * nested too deep, or if the arena has been rewound sixteen million times;
 * -ENOMEM.
 */
int arena_mark(struct arena *arena, struct arena_mark *mark)
{
	struct arena_marks *marks;
	struct arena_view view;

	might_sleep();
	*mark = (struct arena_mark) { .arena = arena, .level = MARK_DEPTH };
	if (arena->spans)
		return -EOPNOTSUPP;
	marks = marks_get(arena);
	if (!marks)
		return -ENOMEM;
	if (!marks_own(arena, marks))
		return -EBUSY;
	if (marks->depth == MARK_DEPTH || marks->epoch == EPOCH_MAX) {
		if (!marks->depth)
			WRITE_ONCE(marks->owner, NULL);
		return -EBUSY;
	}
	view = arena_peek(arena);
	mark->generation = marks->generation;
	mark->serial = ++marks->serial;
	mark->level = marks->depth;
	mark->offset = cursor_offset(view.cursor);
	mark->used = marks->used;
	/* Allocated by others before this mark is no matter of ours. */
	if (mark->offset != marks->expected) {
		marks->foreign |= marks->depth > 0;
		marks->expected = mark->offset;
	}
	marks->open[marks->depth++] = mark->serial;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_mark);

static bool mark_is_open(const struct arena *arena, const struct arena_marks *marks,
			 const struct arena_mark *mark)
{
	return mark->arena == arena && marks && READ_ONCE(marks->owner) == current &&
	       mark->level < marks->depth && marks->open[mark->level] == mark->serial;
}

/* 0 if @mark is open; -ESTALE if not, or if its generation is over. */
static int mark_check(const struct arena *arena, const struct arena_mark *mark)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	if (arena->spans)
		return -EOPNOTSUPP;
	if (!mark_is_open(arena, marks, mark) ||
	    mark->generation != arena_peek(arena).generation)
		return -ESTALE;
	return 0;
}

static void uncount(struct arena *arena, unsigned long generation, size_t size)
{
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_slot *slot = arena_slot(cpu);

	/* A sum over slots: one of them may well be below zero. */
	if (slot && slot->generation < generation)
		slot_adopt(slot, generation);
	if (!WARN_ON_ONCE(!slot) && slot->generation == generation)
		/* Who reads it from elsewhere shows it, no more. */
		data_race(slot->used -= size);
	arena_leave(cpu);
}

/**
 * arena_rewind() - Free all that was allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(), by the same task, still open; it stays so, marks
 *	   inside it end.
 *
 * Handles to what is freed become stale. So do, in the end, others: a handle
 * does not outlive another 64 rewinds.
 *
 * Context: Task. Takes a raw spinlock; sleeps only if objects larger than a slab
 * were allocated.
 * Return: 0; or, with nothing changed, -EOPNOTSUPP with spans, -ESTALE if the mark
 * has ended or the arena was reset since, -EBUSY if others allocated since.
 */
int arena_rewind(struct arena *arena, const struct arena_mark *mark)
{
	int err = mark_check(arena, mark);
	struct arena_marks *marks = arena->marks;
	struct arena_view view;
	long cursor;

	if (err)
		return err;
	view = arena_peek(arena);
	if (marks->foreign || cursor_offset(view.cursor) != marks->expected ||
	    marks->epoch == EPOCH_MAX)
		return -EBUSY;
	if (mark->offset == marks->expected) {
		marks->depth = mark->level + 1;
		return 0;
	}
	arena_note_high(arena, marks->expected);
	/* The floor is known before the epoch is, and that before anything is reused. */
	WRITE_ONCE(marks->floor[(marks->epoch + 1) % FLOORS], mark->offset);
	/* Release: pairs with the smp_load_acquire() in arena_mark_gone(). */
	smp_store_release(&marks->epoch, marks->epoch + 1);
	cursor = view.cursor;
	preempt_disable();
	if (arena_look(arena).generation != mark->generation ||
	    !atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_move(cursor, mark->offset)))
		err = -EBUSY;
	preempt_enable();
	if (err) {
		/* That epoch freed nothing. */
		WRITE_ONCE(marks->floor[marks->epoch % FLOORS], SIZE_MAX);
		return err;
	}
	uncount(arena, mark->generation, marks->used - mark->used);
	if (!llist_empty(&arena->larges))
		arena_reap_larges(arena, mark->offset);
	marks->expected = mark->offset;
	marks->used = mark->used;
	marks->depth = mark->level + 1;
	return 0;
}
EXPORT_SYMBOL_GPL(arena_rewind);

/**
 * arena_unmark() - End a mark, and those inside it; frees nothing.
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(); does nothing if that has ended already.
 *
 * Context: Task. Takes no lock.
 */
void arena_unmark(struct arena *arena, const struct arena_mark *mark)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	if (!mark_is_open(arena, marks, mark))
		return;
	marks->depth = mark->level;
	if (!marks->depth)
		/* Release: the next owner comes after us. */
		smp_store_release(&marks->owner, NULL);
}
EXPORT_SYMBOL_GPL(arena_unmark);

/* The epoch for a handle that is made now. */
u64 arena_mark_epoch(const struct arena *arena)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	return marks ? READ_ONCE(marks->epoch) : 0;
}

/* Has what was at @offset in @epoch been freed by a rewind since, for all we know? */
bool arena_mark_gone(const struct arena *arena, size_t offset, u64 epoch)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);
	unsigned long now, e;

	if (!marks)
		return epoch;
	/* Acquire: pairs with the smp_store_release() in arena_rewind(). */
	now = smp_load_acquire(&marks->epoch);
	if (epoch > now || now - epoch >= FLOORS - 1)
		return true;
	for (e = epoch + 1; e <= now; e++)
		if (READ_ONCE(marks->floor[e % FLOORS]) <= offset)
			return true;
	smp_rmb();	/* Against the floors of later epochs, which come before those. */
	return READ_ONCE(marks->epoch) - epoch >= FLOORS - 1;
}

void arena_marks_exit(struct arena *arena)
{
	kfree(arena->marks);
}
