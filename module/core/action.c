// SPDX-License-Identifier: GPL-2.0
/*
 * Reset actions: functions that are called when their generation ends.
 *
 * To add an action, the caller's CPU claims one word of the arena. The generation and the offset of
 * the claim say which resets and rewinds free that word, and these end the action. As a program may
 * have mapped that word, the function to call is kept outside of the arena, in a struct
 * arena_action. Each slab set has a list of these structures.
 *
 * Actions may use the objects that end with them. So no memory of a generation may be handed out
 * again before the actions of that generation have returned. Once an arena has had an action,
 * %ARENA_BLOCKED_ACTIONS in arena->settle_blocked sends each attempt to settle a generation to
 * arena_settle_blocked(), which lets it succeed only after the actions of the generation before
 * have returned. The CPU that resets or rewinds runs these actions, in arena_begun() in reset.c:
 *
 *	reset, rewind       the next generation is unsettled; actions run; it is settled
 *	arena_reset_rcu()   the next generation is in the other slab set; after a grace period,
 *	                    actions run; then a later generation may return to this set
 *
 * Adding an action takes no lock, except for the first action of an arena, so it races with resets:
 * a CPU that has added an action, and finds that the generation of the action is over, runs the
 * action itself. Resets race with each other, and interrupt each other: each one takes all actions
 * off the lists, runs those whose generation is over, and puts the others back. arena->acting
 * counts the CPUs and tasks that are running actions. While it is not 0, no generation is settled,
 * and arena_reset_rcu() returns -EBUSY.
 */
#include <linux/llist.h>
#include <linux/slab.h>

#include "core/core.h"

/* Was @a added after @b? */
static bool action_is_newer(const struct arena_action *a, const struct arena_action *b)
{
	return (long)(a->nr - b->nr) > 0;
}

/**
 * struct action_list - actions in the order in which they run: the one added last runs first.
 * @first: the one that was added last.
 * @last:  the one that was added first.
 */
struct action_list {
	struct arena_action	*first;
	struct arena_action	*last;
};

static struct arena_action *action_next(const struct arena_action *action)
{
	return llist_entry(action->node.next, struct arena_action, node);
}

/*
 * Insert @action at its place in @list. Callers insert the actions of arena->actions one after the
 * other, from its head on. arena_add_action() puts each new action at that head, so nearly every
 * action is older than those in @list, and belongs at its end.
 */
static void actions_insert(struct action_list *list, struct arena_action *action)
{
	struct arena_action *at = list->first;

	action->node.next = NULL;
	if (!at) {
		list->first = action;
		list->last = action;
		return;
	}
	if (action_is_newer(list->last, action)) {
		list->last->node.next = &action->node;
		list->last = action;
		return;
	}
	if (action_is_newer(action, at)) {
		action->node.next = &at->node;
		list->first = action;
		return;
	}
	while (action_is_newer(action_next(at), action))
		at = action_next(at);
	action->node.next = at->node.next;
	at->node.next = &action->node;
}

static void actions_call(const struct action_list *list)
{
	struct arena_action *action, *next;

	llist_for_each_entry_safe(action, next, list->first ? &list->first->node : NULL, node) {
		void (*fn)(void *data) = action->fn;
		void *data = action->data;

		kfree(action);
		fn(data);
	}
}

/*
 * Has one of the resets and rewinds up to generation @now freed the word of @action, so that
 * @action must run? The history of the arena has an exact entry for each of the last few rewinds,
 * and entries in which older rewinds are merged. Where the answer depends on a merged entry, this
 * returns false, and @action counts as alive. That does no harm: an entry is merged only after the
 * generation that its rewind began was settled, and so after the actions on the lists that the
 * rewind ended have run.
 */
static bool action_is_dead(const struct arena *arena, const struct arena_action *action,
			   unsigned long now)
{
	return action->generation != now &&
	       !arena_may_outlive(arena, now, action->generation, action->offset);
}

/**
 * struct taken - the actions that were taken off the list of a slab set.
 * @dead:	the actions that are to run.
 * @alive:	the others, which were put back on the list.
 * @generation:	the generation of the arena after the actions were taken.
 * @readers:	readers may be in that slab set, so all actions were put back.
 */
struct taken {
	struct action_list	dead;
	struct action_list	alive;
	unsigned long		generation;
	bool			readers;
};

/*
 * Take the actions of slab set @set off their list, and put those back that are not to run. In a
 * set that arena_reset_rcu() has left, no action runs before the grace period of that reset has
 * ended, which @retired says.
 */
static void actions_take(struct arena *arena, unsigned int set, bool retired, struct taken *taken)
{
	struct llist_node *all = llist_del_all(&arena->actions[set]);
	struct arena_action *action, *next;

	/* Read the generation after the list was taken: no action in @all is of a newer one. */
	*taken = (struct taken) { .generation = arena_snap(arena).generation };
	if (!retired && (taken->generation & ARENA_GEN_SET) != set) {
		/*
		 * Pairs with the compare-and-swap in next_generation(): a CPU that has read the
		 * generation in the other slab set sees that arena_reset_rcu() has set retiring.
		 */
		smp_rmb();
		/*
		 * Acquire: pairs with the smp_store_release() in retired(). Actions see what the
		 * last readers wrote.
		 */
		taken->readers = smp_load_acquire(&arena->retiring);
	}
	llist_for_each_entry_safe(action, next, all, node)
		actions_insert(!taken->readers && action_is_dead(arena, action, taken->generation) ?
			       &taken->dead : &taken->alive, action);
	if (taken->alive.first)
		llist_add_batch(&taken->alive.first->node, &taken->alive.last->node,
				&arena->actions[set]);
}

/*
 * Must the caller take the actions once more? While those in @taken->alive were on no list, another
 * CPU may have reset the arena, or the grace period of arena_reset_rcu() may have ended. The code
 * that ran actions at that moment has not found them, so some of them may have to run now.
 * llist_add_batch() is a full barrier and pairs with smp_mb() in retired().
 */
static bool taken_is_stale(const struct arena *arena, const struct taken *taken)
{
	return taken->alive.first &&
	       (arena_snap(arena).generation != taken->generation ||
		(taken->readers && !READ_ONCE(arena->retiring)));
}

/*
 * Run the actions of slab set @set whose generation is over. The caller has called
 * arena_acting_begin().
 * @retired: the grace period is over that began when arena_reset_rcu() left the set.
 */
static void actions_run(struct arena *arena, unsigned int set, bool retired)
{
	struct taken taken;

	do {
		actions_take(arena, set, retired, &taken);
		actions_call(&taken.dead);
	} while (taken_is_stale(arena, &taken));
}

void arena_acting_begin(struct arena *arena)
{
	/*
	 * The caller then takes the lists by llist_del_all(), a full barrier: a CPU that finds an
	 * action taken off its list finds arena->acting raised.
	 */
	atomic_inc(&arena->acting);
}

void arena_acting_end(struct arena *arena)
{
	/*
	 * Release: pairs with the atomic_read_acquire() in arena_settle_blocked(). What actions
	 * have done to their objects comes before the next claim of that memory.
	 */
	atomic_fetch_dec_release(&arena->acting);
	/*
	 * Full barrier: pairs with llist_add() in arena_reap_larges(). Either the reaper finds that
	 * the actions have returned, or this CPU finds the views that the reaper has kept for them.
	 */
	smp_mb();
	if (!llist_empty(&arena->larges))
		schedule_work(&arena->reaper);
}

/* Run all actions that resets and rewinds have ended. The caller then settles the generation. */
void arena_actions_end(struct arena *arena)
{
	unsigned long begun = arena_snap(arena).generation;
	unsigned int set;

	arena_acting_begin(arena);
	for (set = 0; set < arena_nr_dirs(arena); set++)
		actions_run(arena, set, false);
	/*
	 * Full barrier: pairs with the atomic_long_read_acquire() in arena_settle_blocked() and
	 * arena_actions_pending(). Another reset may have taken some of the actions, and may still
	 * be running them. A CPU that reads @begun in arena->acted then also finds that reset in
	 * arena->acting.
	 */
	arena_raise(&arena->acted, begun);
	arena_acting_end(arena);
}

/*
 * Do a reset that sleeps, or actions, keep the generation of @cursor unsettled? @blocked is
 * arena->settle_blocked.
 */
bool arena_settle_blocked(const struct arena *arena, unsigned int blocked, unsigned long cursor)
{
	if (blocked & ARENA_BLOCKED_ASLEEP)
		return true;
	if (!(blocked & ARENA_BLOCKED_ACTIONS))
		return false;
	/*
	 * Acquire: pairs with the full barrier of arena_raise() in arena_actions_end(). A CPU that
	 * finds its generation in arena->acted then finds in arena->acting each reset that still
	 * runs actions. Otherwise it would settle the generation while actions use their objects.
	 */
	if (atomic_long_read_acquire(&arena->acted) !=
	    cursor_generation(cursor, READ_ONCE(arena->generation)))
		return true;
	/* Acquire: pairs with atomic_fetch_dec_release() in arena_acting_end(). */
	return atomic_read_acquire(&arena->acting);
}

/*
 * May there be actions that ended when the generation of @snap began, and have not returned yet? If
 * so, the views of their objects must stay. No such action is left once that generation is settled.
 */
bool arena_actions_pending(const struct arena *arena, const struct arena_snap *snap)
{
	if (!(READ_ONCE(arena->settle_blocked) & ARENA_BLOCKED_ACTIONS))
		return false;
	/*
	 * Acquire: pairs with the full barrier of arena_raise() in arena_actions_end(). A CPU that
	 * finds its generation in arena->acted then finds in arena->acting each reset that still
	 * runs actions. Otherwise the reaper could unmap views that actions use.
	 */
	if (!cursor_settled(snap->cursor) &&
	    atomic_long_read_acquire(&arena->acted) != snap->generation)
		return true;
	/* Acquire: pairs with atomic_fetch_dec_release() in arena_acting_end(). */
	return atomic_read_acquire(&arena->acting);
}

/*
 * Run the actions of the slab set that arena_reset_rcu() has left, after the grace period of that
 * reset. The arena cannot return to the set meanwhile, as arena->retiring is still set. The caller
 * has called arena_acting_begin().
 */
void arena_actions_retired(struct arena *arena)
{
	if (READ_ONCE(arena->settle_blocked) & ARENA_BLOCKED_ACTIONS)
		actions_run(arena, !(arena_snap(arena).generation & ARENA_GEN_SET), true);
}

/*
 * Is there an action on the list of the slab set that the last arena_reset_rcu() left? A CPU may
 * have claimed the word of the action before that reset, and have put the action on the list only
 * afterwards.
 */
bool arena_actions_left(const struct arena *arena)
{
	return !llist_empty(&arena->actions[!(arena_snap(arena).generation & ARENA_GEN_SET)]);
}

/* Wait for actions that other CPUs are running, before slabs are released. */
void arena_actions_wait(struct arena *arena)
{
	/* Acquire: pairs with atomic_fetch_dec_release() in arena_acting_end(). */
	while (atomic_read_acquire(&arena->acting))
		synchronize_rcu();
}

/* The arena is about to be freed: run all actions. */
void arena_actions_exit(struct arena *arena)
{
	struct arena_action *action, *next;
	struct action_list all = { };
	struct llist_node *first;
	unsigned int set;

	for (set = 0; set < arena_nr_dirs(arena); set++) {
		first = llist_del_all(&arena->actions[set]);
		llist_for_each_entry_safe(action, next, first, node)
			actions_insert(&all, action);
	}
	actions_call(&all);
}
