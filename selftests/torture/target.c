// SPDX-License-Identifier: GPL-2.0
/* Targets and their keepers: logs, checks, resets, and the lives of the arenas. */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "torture.h"

/* May be called in any context, and never waits. */
bool gate_enter(struct gate *gate)
{
	return atomic_inc_unless_negative(&gate->inside);
}

void gate_leave(struct gate *gate)
{
	/* Release: pairs with the acquire in gate_close(). */
	atomic_fetch_sub_release(1, &gate->inside);
}

/* Lets no caller in any more, and waits until all callers inside have left. */
void gate_close(struct gate *gate)
{
	atomic_add(INT_MIN, &gate->inside);
	/* Acquire: pairs with the release in gate_leave(): what callers have done is visible. */
	while (atomic_read_acquire(&gate->inside) != INT_MIN)
		usleep_range(20, 100);
}

void gate_open(struct gate *gate)
{
	/* Release: pairs with the full barrier of a gate_enter() that succeeds. */
	atomic_set_release(&gate->inside, 0);
}

/*
 * Fills an object with a pattern that depends on @key. The pattern of a smaller object is the
 * beginning of that of a larger one.
 */
void stamp(void *ptr, size_t size, u64 key)
{
	size_t at;

	for (at = 0; at < size; at += sizeof(key)) {
		key += 0x9e3779b97f4a7c15ULL;
		memcpy(ptr + at, &key, min(sizeof(key), size - at));
	}
}

bool stamped(const void *ptr, size_t size, u64 key)
{
	size_t at;

	for (at = 0; at < size; at += sizeof(key)) {
		key += 0x9e3779b97f4a7c15ULL;
		if (memcmp(ptr + at, &key, min(sizeof(key), size - at)))
			return false;
	}
	return true;
}

bool entry_lock(struct entry *entry)
{
	return !test_and_set_bit_lock(0, &entry->locked);
}

void entry_unlock(struct entry *entry)
{
	clear_bit_unlock(0, &entry->locked);
}

/* Returns whether a rewind has freed the object; only under RULE_GUARDED. */
bool entry_is_dead(const struct target *target, const struct entry *entry)
{
	return target->dead >> entry->segment & 1;
}

/* Checks an object. The caller is inside the gate, and under RULE_RCU inside rcu_read_lock(). */
void entry_verify(struct target *target, const struct entry *entry)
{
	const void *found = arena_deref(target->arena, entry->handle);
	const bool guarded = target->rule == RULE_GUARDED;

	count(CALL_verify);
	if (guarded && entry_is_dead(target, entry)) {
		if (found)
			violation(target->name, "a handle that a rewind made stale resolves");
		return;
	}
	if (found && found != entry->ptr)
		violation(target->name, "a handle resolves to another object");
	/* After several rewinds, handles of live objects may be reported stale. */
	if (guarded && !found && !target->dead)
		violation(target->name, "the handle of a live object does not resolve");
	if ((guarded || found) && !stamped(entry->ptr, entry->size, entry->key))
		violation(target->name, "an object of %zu bytes at %llu was overwritten",
			  entry->size, entry->handle.offset);
	if (guarded && entry->handle.offset + entry->size > arena_high(target->arena))
		violation(target->name, "an object at %llu ends above arena_high()",
			  entry->handle.offset);
}

static void verify_log(struct target *target)
{
	unsigned int i, nr = min(atomic_read(&target->nr), LOG_MAX);

	for (i = 0; i < nr; i++) {
		if (target->log[i].ptr) {
			rcu_read_lock();
			entry_verify(target, &target->log[i]);
			rcu_read_unlock();
		}
		cond_resched();
	}
}

/* Compares the bytes used with the log. No caller is inside the gate. */
static void verify_used(struct target *target)
{
	size_t sum = 0, offset = arena_offset(target->arena);
	unsigned int i;

	if (target->rule != RULE_GUARDED || target->inexact || !target->tight)
		return;
	for (i = 0; i <= target->segment; i++)
		if (!(target->dead >> i & 1))
			sum += atomic_long_read(&target->used[i]);
	if (offset != sum)
		violation(target->name, "arena_offset() is %zu, handed out were %zu", offset, sum);
}

static void verify_reserve(struct target *target)
{
	int taken = atomic_read(&target->reserve_taken);

	if (atomic_read(&target->reserve_state) == 2 &&
	    taken < min(atomic_read(&target->reserve_begun), (int)target->reserve_nr))
		violation(target->name, "%d objects of %u reserved ones were to be had", taken,
			  target->reserve_nr);
}

/* Checks the statistics while no call runs. */
static void verify_stats(struct target *target)
{
	struct arena *arena = target->arena;
	struct arena_stats s;

	/* The shrinker may take the slabs of an empty arena at any time. */
	arena_stats(arena, &s);
	if (s.used + s.padding + s.free != s.capacity || s.capacity != target->capacity)
		violation(target->name, "%zu used, %zu padding, %zu free of %zu", s.used, s.padding,
			  s.free, s.capacity);
	if (s.used > s.high || s.high > s.peak || s.peak > s.capacity)
		violation(target->name, "used %zu, high %zu, peak %zu", s.used, s.high, s.peak);
	if (!(target->flags & ARENA_SHRINK) &&
	    (s.slabs * s.slab_size != s.committed || s.committed > s.committed_peak ||
	     s.slabs_kept > s.slabs || s.page_allocs + s.pool_hits < s.slabs ||
	     s.used != arena_offset(arena) || s.high != arena_high(arena)))
		violation(target->name, "%zu slabs, %zu bytes committed, %zu used, %zu high",
			  s.slabs, s.committed, s.used, s.high);
	if (s.fail_arg || s.findings)
		violation(target->name, "%llu bad arguments, %llu findings", s.fail_arg,
			  s.findings);
	if (s.generation < target->generation)
		violation(target->name, "generation %llu follows %llu", s.generation,
			  target->generation);
	target->generation = s.generation;
}

/* Forgets all objects, after a reset; remembers some of their handles, which are stale now. */
static void forget(struct target *target)
{
	unsigned int i, nr = min(atomic_read(&target->nr), LOG_MAX);

	if (nr)
		target->nr_stale = 0;
	for (i = 0; i < nr; i++) {
		struct entry *entry = &target->log[i];

		if (entry->ptr && target->nr_stale < STALE)
			target->stale[target->nr_stale++] = entry->handle;
		entry->ptr = NULL;
	}
	for (i = 0; i < SEGMENTS; i++)
		atomic_long_set(&target->used[i], 0);
	atomic_set(&target->nr, 0);
	atomic_set(&target->reserve_state, 0);
	target->segment = 0;
	target->dead = 0;
	target->nr_marks = 0;
	target->inexact = false;
	target->full = false;
}

/* Returns true if the arena was reset. */
static bool try_reset_rcu(struct target *target)
{
	int err = arena_reset_rcu(target->arena);
	int want = target->flags & ARENA_READERS ? 0 : -EOPNOTSUPP;

	count(err == -EBUSY ? CALL_busy : CALL_reset_rcu);
	if (err != want && err != -EBUSY)
		violation(target->name, "arena_reset_rcu: %d", err);
	return !err;
}

static bool try_reset(struct target *target)
{
	int err = arena_reset(target->arena);

	count(err ? CALL_busy : CALL_reset);
	if (err && err != -EBUSY)
		violation(target->name, "arena_reset: %d", err);
	return !err;
}

static void race_rewind(struct target *target)
{
	bool spans = target->flags & ARENA_SPANS;
	struct arena_mark mark;
	int err = arena_mark(target->arena, &mark);

	count(CALL_mark);
	if (err != (spans ? -EOPNOTSUPP : 0))
		violation(target->name, "arena_mark: %d", err);
	if (err)
		return;
	err = arena_rewind(target->arena, &mark);
	count(CALL_rewind);
	if (err && err != -ESTALE && err != -EBUSY && err != -ENOMEM)
		violation(target->name, "arena_rewind: %d", err);
}

/* Resets the arena while others use it, in any way that the caller's context permits. */
void race_reset(struct caller *caller, struct target *target)
{
	count(CALL_race_reset);
	switch (below(caller, caller->context == IN_TASK ? 5 : 3)) {
	case 0:
		try_reset(target);
		break;
	case 1:
		try_reset_rcu(target);
		break;
	case 2:
		race_rewind(target);
		break;
	case 3:
		arena_reset_release(target->arena, below(caller, 4) * target->slab);
		count(CALL_reset_release);
		break;
	default:
		arena_reset_zero(target->arena);
		count(CALL_reset_zero);
	}
}

/* Resets the arena in one of four ways while no caller is inside the gate. */
static void reset_closed(struct target *target)
{
	struct arena_mark old = target->mark[0];
	bool was_marked = target->nr_marks;
	bool done = true;

	switch (below(&target->keeper, 4)) {
	case 0:
		done = try_reset(target);
		break;
	case 1:
		done = target->flags & ARENA_READERS ? try_reset_rcu(target) : try_reset(target);
		break;
	case 2:
		arena_reset_release(target->arena, below(&target->keeper, 5) * target->slab);
		count(CALL_reset_release);
		break;
	default:
		arena_reset_zero(target->arena);
		count(CALL_reset_zero);
	}
	if (!done)
		return;
	forget(target);
	if (was_marked && !arena_rewind(target->arena, &old))
		violation(target->name, "a rewind to a mark that is older than a reset");
}

static void make_mark(struct target *target)
{
	int err = arena_mark(target->arena, &target->mark[target->nr_marks]);

	count(CALL_mark);
	if (err)
		violation(target->name, "arena_mark: %d", err);
	target->mark_segment[target->nr_marks++] = ++target->segment;
}

/* Rewinds to one of the marks. What was allocated before the mark must be intact afterwards. */
static void rewind_closed(struct target *target)
{
	unsigned int i = below(&target->keeper, target->nr_marks);
	unsigned int first = target->mark_segment[i];
	const struct arena_mark *mark = &target->mark[i];
	int err = arena_rewind(target->arena, mark);

	count(CALL_rewind);
	if (err == -EBUSY || err == -ENOMEM)
		return;
	if (err) {
		/*
		 * The arena remembers four rewinds only. The shrinker makes marks of the empty
		 * arena stale.
		 */
		if (err != -ESTALE || (!(target->flags & ARENA_SHRINK) && !target->dead))
			violation(target->name, "arena_rewind: %d", err);
		return reset_closed(target);
	}
	target->dead |= GENMASK_ULL(target->segment, first);
	target->mark_segment[i] = ++target->segment;
	if (atomic_read(&target->reserve_state) && target->reserve_segment >= first)
		atomic_set(&target->reserve_state, 0);
	if (i + 1 < target->nr_marks && target->mark[i + 1].offset > mark->offset &&
	    !arena_rewind(target->arena, &target->mark[i + 1]))
		violation(target->name, "a rewind to a mark that an earlier one has passed");
	target->nr_marks = i + 1;
	verify_log(target);
	verify_used(target);
}

/* Gives back a reservation, unless it is older than a mark. */
static void unreserve(struct target *target)
{
	size_t given;

	if (atomic_read(&target->reserve_state) != 2 ||
	    (target->nr_marks &&
	     target->reserve_segment < target->mark_segment[target->nr_marks - 1]))
		return;
	given = arena_unreserve(&target->reserve);
	count(CALL_unreserve);
	atomic_long_sub(given, &target->used[target->reserve_segment]);
	atomic_set(&target->reserve_state, 0);
	verify_used(target);
}

static void change(struct target *target)
{
	bool may_mark = target->rule == RULE_GUARDED && !(target->flags & ARENA_SPANS) &&
			!target->full && target->segment < SEGMENTS - 1;

	switch (below(&target->keeper, 5)) {
	case 0:
		unreserve(target);
		break;
	case 1:
		if (may_mark && target->nr_marks < MARKS)
			return make_mark(target);
		fallthrough;
	case 2:
		if (may_mark && target->nr_marks)
			return rewind_closed(target);
		fallthrough;
	default:
		reset_closed(target);
	}
}

/* Creates the arena of the next life. */
static bool create(struct target *target)
{
	struct caller *keeper = &target->keeper;
	struct arena_config config = { .name = target->name, .node = first_online_node };

	target->flags = below(keeper, 2 * ARENA_SHRINK) & kinds;
	target->rule = target->flags & ARENA_READERS ? below(keeper, NR_RULES) :
		       below(keeper, 2) ? RULE_GUARDED : RULE_RACING;
	target->tight = target->rule == RULE_GUARDED && below(keeper, 2);
	target->slab = PAGE_SIZE << below(keeper, 5);
	target->capacity = min(target->slab * (4 + below(keeper, 28)) -
			       below(keeper, 2) * below(keeper, target->slab), capacity_max);
	target->generation = 0;
	scnprintf(target->name, sizeof(target->name), "torture-%u-%u",
		  (unsigned int)(target - targets), target->life++);
	config.capacity = target->capacity;
	config.slab_size = target->slab;
	config.flags = target->flags;
	target->arena = arena_create(&config);
	if (!IS_ERR(target->arena)) {
		count(CALL_create);
		return true;
	}
	if (target->arena != ERR_PTR(-ENOMEM))
		violation(target->name, "arena_create: %ld", PTR_ERR(target->arena));
	target->arena = NULL;
	return false;
}

static void verify_actions(struct target *target)
{
	unsigned int i;

	for (i = 0; i < ACTIONS; i++)
		if (atomic_read(&target->act[i].state))
			violation(target->name, "an action has not run");
	if (atomic_long_read(&target->added) != atomic_long_read(&target->ran))
		violation(target->name, "of %ld actions, %ld have run",
			  atomic_long_read(&target->added), atomic_long_read(&target->ran));
	atomic_long_set(&target->added, 0);
	atomic_long_set(&target->ran, 0);
}

/* Destroys the arena while both gates are closed. */
static void destroy(struct target *target)
{
	if (!target->arena)
		return;
	if (below(&target->keeper, 2)) {
		arena_destroy(target->arena);
		count(CALL_destroy);
	} else {
		arena_put(target->arena);
		arena_put_barrier();
		count(CALL_put_last);
	}
	target->arena = NULL;
	forget(target);
	target->nr_stale = 0;
	verify_actions(target);
}

/* Checks everything while no call runs, and changes something. */
static void keep_closed(struct target *target)
{
	bool quiet = target->rule == RULE_RACING || !below(&target->keeper, 3);
	bool end = !below(&target->keeper, 24);

	gate_close(&target->gate);
	if (quiet || end)
		gate_close(&target->loose);
	verify_log(target);
	verify_used(target);
	verify_reserve(target);
	if (quiet || end)
		verify_stats(target);
	if (end) {
		destroy(target);
		while (!create(target) && !kthread_should_stop())
			msleep(20);
	} else if (target->rule != RULE_RACING) {
		change(target);
	}
	if (!target->arena)
		return;
	if (quiet || end)
		gate_open(&target->loose);
	gate_open(&target->gate);
}

static int keep(void *data)
{
	struct target *target = data;
	struct caller *keeper = &target->keeper;

	while (!kthread_should_stop()) {
		msleep(1 + below(keeper, 12));
		if (torture_broken())
			continue;
		if (target->rule == RULE_GUARDED || !below(keeper, 6))
			keep_closed(target);
		else if (target->rule == RULE_RACING)
			race_reset(keeper, target);
		else
			try_reset_rcu(target);
	}
	return 0;
}

int target_open(struct target *target, unsigned int index, u64 seed)
{
	unsigned int i;

	seed_caller(&target->keeper, IN_TASK, seed);
	for (i = 0; i < ACTIONS; i++)
		target->act[i].target = target;
	target->log = kvcalloc(LOG_MAX, sizeof(*target->log), GFP_KERNEL);
	if (!target->log || !create(target))
		return -ENOMEM;
	target->task = kthread_run(keep, target, "torture_keep%u", index);
	if (!IS_ERR(target->task))
		return 0;
	target->task = NULL;
	return -ENOMEM;
}

/* Called when no caller makes calls any more. */
void target_close(struct target *target)
{
	if (target->task)
		kthread_stop(target->task);
	if (target->arena && !torture_broken()) {
		verify_log(target);
		verify_used(target);
		verify_stats(target);
	}
	destroy(target);
	kvfree(target->log);
}
