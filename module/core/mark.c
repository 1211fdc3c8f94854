// SPDX-License-Identifier: GPL-2.0
/*
 * Marks in shared dense arenas: go back to where the cursor stood, if nobody
 * else has allocated since.
 *
 * One thread at a time may have marks open in an arena. It notes what it
 * allocates, and where the cursor stood after that: if the cursor stood
 * elsewhere when it allocates again, or rewinds, somebody else was there. The
 * others need not know; nor could they tell in time. Allocation takes no lock for
 * this. Marking, rewinding and ending marks take the lock of the marks for a
 * moment, which is for who may become the owner: anybody, once the owner is dead
 * or its generation over. The owner is held as a struct pid, which unlike a
 * task_struct is nobody else's as long as it is held.
 *
 * A rewind ends the life of objects within a generation, so a handle must say
 * how many rewinds of its generation it has seen. That number, the epoch, is in
 * the upper bits of its offset. What the rewinds since then freed is known from
 * the floors: how far down they went, but for those that a later rewind made
 * pointless by going down as far or further. So floors grow with their epochs,
 * and those that count for a handle are the topmost ones.
 *
 * Floors are read in any context, beside a rewind. Each is written offset first
 * and epoch last, and read the other way round: an offset read after an epoch
 * is of that rewind or a later one, so it tells nothing wrong. They are read from
 * the top down, as a rewind writes its own floor before it drops those above, and
 * those move down one by one from below when there is no room: so none is missed.
 * The rewind at work is pending first, and among the floors before it is not.
 */
#include <linux/export.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/cursor.h"

#define MARK_DEPTH	32
#define FLOORS		128
#define EPOCH_MAX	((1UL << (BITS_PER_LONG_LONG - ARENA_HANDLE_EPOCH_SHIFT)) - 1)

/**
 * struct arena_floor - how far down a rewind went.
 * @epoch:  which rewind.
 * @offset: nothing from here on outlived it.
 */
struct arena_floor {
	unsigned long	epoch;
	size_t		offset;
};

/**
 * struct arena_marks - marks of an arena, made with the first one.
 * @lock:	for all that follows, but for what the owner notes when it allocates.
 * @owner:	the thread that has marks open, or NULL. A reference.
 * @generation:	in which; also that of @epoch and the floors.
 * @depth:	how many are open.
 * @spoiled:	of these, after how many somebody else allocated.
 * @serial:	the last one given out.
 * @open:	the open ones.
 * @expected:	where the cursor stands unless somebody else allocated.
 * @used:	bytes that the owner allocated since the outermost mark.
 * @epoch:	rewinds of this generation so far.
 * @pending:	where the rewind at work goes down to, SIZE_MAX if there is none.
 * @pending_end: where it comes from.
 * @nr_floors:	how many floors are known.
 * @floor:	the floors. Where there were too many, the lowest stands for several,
 *		and says too much about what was made between those.
 */
struct arena_marks {
	raw_spinlock_t		lock;
	struct pid		*owner;
	unsigned long		generation;
	unsigned int		depth;
	unsigned int		spoiled;
	u64			serial;
	struct arena_mark	open[MARK_DEPTH];
	size_t			expected;
	size_t			used;
	unsigned long		epoch;
	size_t			pending;
	size_t			pending_end;
	unsigned int		nr_floors;
	struct arena_floor	floor[FLOORS];
};

/* Called with what the cursor handed out, from @from to @end; preemption is off. */
void arena_mark_note(struct arena *arena, unsigned long generation, size_t from, size_t end,
		     size_t size)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	if (!marks || !in_task() || READ_ONCE(marks->owner) != task_pid(current) ||
	    READ_ONCE(marks->generation) != generation)
		return;
	if (from != marks->expected)
		marks->spoiled = marks->depth;
	marks->expected = end;
	marks->used += size;
}

static struct arena_marks *marks_alloc(const struct arena *arena)
{
	gfp_t gfp = arena->flags & ARENA_ACCOUNT ? __GFP_ACCOUNT : 0;
	struct mem_cgroup *old = set_active_memcg(arena->memcg);
	struct arena_marks *marks = kzalloc_obj(*marks, gfp | ARENA_GFP_META);

	set_active_memcg(old);
	if (!marks)
		return NULL;
	raw_spin_lock_init(&marks->lock);
	marks->pending = SIZE_MAX;
	return marks;
}

static struct arena_marks *marks_get(struct arena *arena)
{
	struct arena_marks *marks = READ_ONCE(arena->marks), *old;

	if (marks)
		return marks;
	marks = marks_alloc(arena);
	if (!marks)
		return NULL;
	old = cmpxchg(&arena->marks, NULL, marks);
	if (!old)
		return marks;
	kfree(marks);
	return old;
}

/* It will neither allocate nor rewind again. */
static bool thread_is_dead(struct pid *pid)
{
	struct task_struct *task;
	bool dead;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_PID);
	dead = !task || READ_ONCE(task->exit_state);
	rcu_read_unlock();
	return dead;
}

/*
 * Rewinds of an older generation say nothing about this one. Who sees the new
 * generation sees no floors and no epoch. Who still sees the old one may miss
 * some, and then sees that the arena's generation is over: the full barrier pairs
 * with smp_rmb() in arena_deref().
 */
static void forget_rewinds(struct arena_marks *marks, unsigned long generation)
{
	smp_mb();	/* See above. */
	WRITE_ONCE(marks->epoch, 0);
	WRITE_ONCE(marks->nr_floors, 0);
	/* Release: pairs with the smp_load_acquire() in arena_mark_gone(). */
	smp_store_release(&marks->generation, generation);
}

/*
 * Begin with no mark open. False if somebody else may have one; else the former
 * owner, whose reference is the caller's now, and whether it may still be noting
 * what it allocated in a generation that is over.
 */
static bool marks_take(struct arena_marks *marks, unsigned long generation, struct pid **former,
		       bool *alive)
{
	struct pid *me = task_pid(current), *owner = marks->owner;

	lockdep_assert_held(&marks->lock);
	*alive = owner && owner != me && !thread_is_dead(owner);
	if (*alive && marks->generation == generation)
		return false;
	if (marks->generation != generation)
		forget_rewinds(marks, generation);
	marks->depth = 0;
	*former = owner;
	WRITE_ONCE(marks->owner, get_pid(me));
	return true;
}

/*
 * What is allocated from here on counts: after owner is set, and from one word. False
 * if somebody else has become the owner after another reset.
 */
static bool marks_begin(struct arena *arena, struct arena_marks *marks, unsigned long generation)
{
	bool mine;

	raw_spin_lock(&marks->lock);
	mine = marks->owner == task_pid(current) && marks->generation == generation;
	if (mine) {
		marks->expected = cursor_offset(arena_peek(arena).cursor);
		/* The former owner may have noted its last object after marks_take(). */
		marks->spoiled = 0;
		marks->used = 0;
	}
	raw_spin_unlock(&marks->lock);
	return mine;
}

/* Become the owner, or stay it. */
static bool marks_own(struct arena *arena, struct arena_marks *marks)
{
	unsigned long generation;
	struct pid *former = NULL;
	bool alive = false, mine;

	if (!arena_settle_wait(arena, GFP_KERNEL))
		return false;
	generation = arena_peek(arena).generation;
	raw_spin_lock(&marks->lock);
	mine = marks->owner == task_pid(current) && marks->generation == generation;
	if (mine) {
		raw_spin_unlock(&marks->lock);
		return true;
	}
	mine = marks_take(marks, generation, &former, &alive);
	raw_spin_unlock(&marks->lock);
	put_pid(former);
	if (!mine)
		return false;
	/* It notes with preemption off. */
	if (alive)
		synchronize_rcu();
	return marks_begin(arena, marks, generation);
}

/* Nobody's; the caller puts the reference. */
static struct pid *marks_disown(struct arena_marks *marks)
{
	struct pid *former = marks->owner;

	lockdep_assert_held(&marks->lock);
	WRITE_ONCE(marks->owner, NULL);
	return former;
}

static int mark_open(struct arena *arena, struct arena_marks *marks, struct arena_mark *mark)
{
	size_t offset = cursor_offset(arena_peek(arena).cursor);

	/* Lost again, to a reset and another thread after it. */
	if (marks->owner != task_pid(current))
		return -EBUSY;
	if (marks->depth == MARK_DEPTH || marks->epoch == EPOCH_MAX)
		return -EBUSY;
	/* Allocated by others before this mark: a matter of those outside it only. */
	if (offset != marks->expected) {
		marks->spoiled = marks->depth;
		marks->expected = offset;
	}
	*mark = (struct arena_mark) {
		.arena	    = arena,
		.generation = marks->generation,
		.serial	    = ++marks->serial,
		.offset	    = offset,
		.used	    = marks->used,
		.level	    = marks->depth,
	};
	marks->open[marks->depth++] = *mark;
	return 0;
}

/**
 * arena_mark() - Remember where a dense arena stands.
 * @arena: the arena, not NULL, without %ARENA_SPANS.
 * @mark:  filled in.
 *
 * Marks nest, up to 32 deep; end each by arena_unmark(), or all by the outermost.
 * Those of a thread that died are over, and so are those of a generation that is.
 *
 * Context: Task, may sleep.
 * Return: 0; -EOPNOTSUPP with spans; -EBUSY if another thread has marks open, if
 * nested too deep, or if the arena has been rewound sixteen million times since
 * the last reset; -ENOMEM.
 */
int arena_mark(struct arena *arena, struct arena_mark *mark)
{
	struct pid *former = NULL;
	struct arena_marks *marks;
	int err;

	might_sleep();
	*mark = (struct arena_mark) { .arena = arena, .level = MARK_DEPTH };
	if (arena->spans)
		return -EOPNOTSUPP;
	marks = marks_get(arena);
	if (!marks)
		return -ENOMEM;
	if (!marks_own(arena, marks))
		return -EBUSY;
	arena_count_from_here(arena);
	raw_spin_lock(&marks->lock);
	err = mark_open(arena, marks, mark);
	if (!marks->depth && marks->owner == task_pid(current))
		former = marks_disown(marks);
	raw_spin_unlock(&marks->lock);
	put_pid(former);
	return err;
}
EXPORT_SYMBOL_GPL(arena_mark);

/* Nothing but the level and the serial is believed: the rest is known here. */
static bool mark_is_open(const struct arena *arena, const struct arena_marks *marks,
			 const struct arena_mark *mark)
{
	return mark->arena == arena && marks->owner == task_pid(current) &&
	       mark->level < marks->depth && marks->open[mark->level].serial == mark->serial;
}

/*
 * The open mark of the calling thread with that number. 0; -EOPNOTSUPP with spans;
 * -ESTALE if there is none, or if its generation is over.
 */
int arena_mark_find(struct arena *arena, u64 serial, struct arena_mark *mark)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);
	int err = -ESTALE;
	unsigned int i;

	if (arena->spans)
		return -EOPNOTSUPP;
	if (!marks)
		return -ESTALE;
	raw_spin_lock(&marks->lock);
	for (i = 0; i < marks->depth && marks->owner == task_pid(current); i++) {
		if (marks->open[i].serial != serial)
			continue;
		*mark = marks->open[i];
		err = mark->generation == arena_peek(arena).generation ? 0 : -ESTALE;
		break;
	}
	raw_spin_unlock(&marks->lock);
	return err;
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

/* Offset first, epoch last: see the top. */
static void floor_set(struct arena_floor *floor, unsigned long epoch, size_t offset)
{
	/* Release, both: pair with the smp_load_acquire() in arena_mark_gone(). */
	smp_store_release(&floor->offset, offset);
	/* Release: as above. */
	smp_store_release(&floor->epoch, epoch);
}

/* Let the lowest floor stand for the second lowest, too. */
static void floors_merge(struct arena_marks *marks)
{
	struct arena_floor *floor = marks->floor;
	unsigned int i;

	floor_set(&floor[0], floor[1].epoch, floor[0].offset);
	for (i = 1; i < FLOORS - 1; i++)
		floor_set(&floor[i], floor[i + 1].epoch, floor[i + 1].offset);
}

static void floors_push(struct arena_marks *marks, unsigned long epoch, size_t offset)
{
	unsigned int nr = marks->nr_floors;

	while (nr && marks->floor[nr - 1].offset >= offset)
		nr--;
	if (nr == FLOORS) {
		floors_merge(marks);
		nr--;
	}
	floor_set(&marks->floor[nr], epoch, offset);
	/* Release: who misses those above sees this one. Pairs with arena_mark_gone(). */
	smp_store_release(&marks->nr_floors, nr + 1);
}

/*
 * Let the cursor fall, from where nobody but the owner has moved it. Handles are
 * told stale before that, as afterwards the place may be somebody else's; those
 * made from here on are of objects that it does not free. Preemption is off.
 */
static int cursor_fall(struct arena *arena, struct arena_marks *marks, struct arena_view view,
		       size_t offset)
{
	unsigned long epoch = marks->epoch + 1;
	long cursor = view.cursor;
	bool fell;

	WRITE_ONCE(marks->pending_end, marks->expected);
	/* Release: with pending, its end is known. Pairs with arena_mark_gone(). */
	smp_store_release(&marks->pending, offset);
	/* Release: who sees the epoch sees what is pending, or the floor. The same pair. */
	smp_store_release(&marks->epoch, epoch);
	/* Full barrier: pairs with the claim of whoever gets the place, see arena_mark_epoch(). */
	fell = arena_look(arena).generation == view.generation &&
	       atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_move(cursor, offset));
	if (fell)
		floors_push(marks, epoch, offset);
	/* Release: who does not see it pending any more sees the floor. The same pair. */
	smp_store_release(&marks->pending, SIZE_MAX);
	return fell ? 0 : -EBUSY;
}

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

static int rewind_to(struct arena *arena, struct arena_marks *marks, const struct arena_mark *mark)
{
	struct arena_view view = arena_peek(arena);
	int err;

	lockdep_assert_held(&marks->lock);
	if (view.generation != mark->generation)
		return -ESTALE;
	if (mark->level < marks->spoiled || cursor_offset(view.cursor) != marks->expected ||
	    marks->epoch == EPOCH_MAX)
		return -EBUSY;
	if (mark->offset != marks->expected) {
		arena_note_dirty(arena, marks->expected);
		arena_raise(&arena->peak, marks->expected);
		rewind_pause(arena);
		err = cursor_fall(arena, marks, view, mark->offset);
		if (err)
			return err;
		uncount(arena, mark->generation, marks->used - mark->used);
	}
	marks->expected = mark->offset;
	marks->used = mark->used;
	marks->depth = mark->level + 1;
	return 0;
}

/**
 * arena_rewind() - Free all that was allocated since a mark (clause 12).
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(), by the same thread, still open; it stays so, marks
 *	   inside it end.
 *
 * Handles to what is freed become stale, and are NULL from when this begins, even
 * if it then fails as others allocate at that very moment. Reservations made since
 * the mark are freed as well: nobody may take from them any more. Handles to all else
 * live on, but for one case: after rewinds to more than 128 different offsets,
 * each higher than the one before, those that were made in between may become
 * stale, the oldest first.
 *
 * Context: Task. Takes raw spinlocks; sleeps only if objects larger than a slab
 * were allocated.
 * Return: 0; or, with nothing changed, -EOPNOTSUPP with spans, -ESTALE if the mark
 * has ended or the arena was reset since, -EBUSY if others allocated since, or
 * after sixteen million rewinds since the last reset.
 */
int arena_rewind(struct arena *arena, const struct arena_mark *mark)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);
	size_t floor = SIZE_MAX;
	int err = -ESTALE;
	u64 epoch = 0;

	if (arena->spans)
		return -EOPNOTSUPP;
	if (!marks)
		return -ESTALE;
	/* What is taken back is counted there, see uncount(). */
	arena_cpu_prepare(arena, GFP_NOWAIT);
	raw_spin_lock(&marks->lock);
	if (mark_is_open(arena, marks, mark)) {
		floor = marks->open[mark->level].offset;
		err = rewind_to(arena, marks, &marks->open[mark->level]);
		epoch = marks->epoch;
	}
	raw_spin_unlock(&marks->lock);
	if (!err && !llist_empty(&arena->larges))
		arena_reap_rewound(arena, floor, epoch);
	return err;
}
EXPORT_SYMBOL_GPL(arena_rewind);

/**
 * arena_unmark() - End a mark, and those inside it; frees nothing.
 * @arena: the arena, not NULL.
 * @mark:  from arena_mark(); does nothing if that has ended already.
 *
 * Context: Task. Takes a raw spinlock.
 */
void arena_unmark(struct arena *arena, const struct arena_mark *mark)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);
	struct pid *former = NULL;

	if (!marks)
		return;
	raw_spin_lock(&marks->lock);
	if (mark_is_open(arena, marks, mark)) {
		marks->depth = mark->level;
		marks->spoiled = min(marks->spoiled, marks->depth);
		if (!marks->depth)
			former = marks_disown(marks);
	}
	raw_spin_unlock(&marks->lock);
	put_pid(former);
}
EXPORT_SYMBOL_GPL(arena_unmark);

/*
 * The epoch for a handle that is made now, in @generation, of what has been claimed
 * before: the claim is a full barrier, which pairs with that of cursor_fall(). Who was
 * given what a rewind freed sees its epoch.
 */
u64 arena_mark_epoch(const struct arena *arena, u64 generation)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);

	/* Acquire: pairs with the smp_store_release() in forget_rewinds(). */
	if (!marks || smp_load_acquire(&marks->generation) != generation)
		return 0;
	return READ_ONCE(marks->epoch);
}

/*
 * Is a rewind at work that goes down below @offset, from above? Looks twice, or the end
 * might be that of the next one; and who is over by then has left a floor, or failed.
 */
static bool rewind_pending(const struct arena_marks *marks, size_t offset)
{
	/* Acquire, both: pair with the smp_store_release() of each in cursor_fall(). */
	size_t pending = smp_load_acquire(&marks->pending);

	if (pending > offset || READ_ONCE(marks->pending_end) <= offset)
		return false;
	smp_rmb();	/* Pairs with the lock, which was released and taken between two rewinds. */
	/* Acquire: as above. */
	return smp_load_acquire(&marks->pending) == pending;
}

/*
 * Has what was at @offset in @epoch of @generation been freed by a rewind since?
 * The caller looks at the arena's generation afterwards.
 */
bool arena_mark_gone(const struct arena *arena, u64 generation, size_t offset, u64 epoch)
{
	struct arena_marks *marks = READ_ONCE(arena->marks);
	unsigned long now;
	unsigned int i;

	/* Acquire, all of them: pair with the smp_store_release() of each, see the top. */
	if (!marks || smp_load_acquire(&marks->generation) != generation)
		return epoch;
	/* Acquire: as above. */
	now = smp_load_acquire(&marks->epoch);
	if (epoch >= now)
		return epoch > now;
	if (rewind_pending(marks, offset))
		return true;
	/* Acquire: as above. */
	for (i = smp_load_acquire(&marks->nr_floors); i-- > 0;) {
		/* Acquire: as above. */
		if (smp_load_acquire(&marks->floor[i].epoch) <= epoch)
			break;
		/* Acquire: as above. */
		if (smp_load_acquire(&marks->floor[i].offset) <= offset)
			return true;
	}
	return false;
}

void arena_marks_exit(struct arena *arena)
{
	if (!arena->marks)
		return;
	put_pid(arena->marks->owner);
	kfree(arena->marks);
}
