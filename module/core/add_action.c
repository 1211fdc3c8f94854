// SPDX-License-Identifier: GPL-2.0
/*
 * Adding actions: functions that are called when the generation ends in which they were added.
 */
#include <linux/export.h>
#include <linux/llist.h>
#include <linux/slab.h>

#include "core/cursor.h"

/*
 * From now on, let a generation be settled only after the actions of older generations have
 * returned.
 */
static void acting_enable(struct arena *arena)
{
	unsigned long flags;

	if (likely(READ_ONCE(arena->settle_blocked) & ARENA_BLOCKED_ACTIONS))
		return;
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	WRITE_ONCE(arena->settle_blocked, arena->settle_blocked | ARENA_BLOCKED_ACTIONS);
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
}

/**
 * arena_add_action() - Call a function when what is allocated now is freed (clause 27).
 * @arena: the arena, not NULL.
 * @fn:	   the function, not NULL.
 * @data:  its argument; may be an object of the arena.
 * @gfp:   how the arena may grow, see arena_alloc(); also used for some 50 bytes from kmalloc().
 *
 * An action takes %ARENA_WORD bytes of the arena, and ends like an object that is allocated at the
 * same time: by the next reset of any kind, by the next rewind to a mark that is older than the
 * action, or with the arena. Then @fn is called once. Of several actions that end together, the one
 * that was added last is called first, and the objects that end with them are intact until all of
 * them have returned: so an action may drop references that an object holds. While actions run
 * after a reset or rewind, allocations from the arena that may sleep wait, and others fail. An
 * action that is added while a reset is under way ends with that reset or with the next one; in the
 * first case @fn may be called before arena_add_action() returns.
 *
 * @fn is called, without a spinlock of the arena held,
 *
 *  - by arena_reset(), arena_rewind(), arena_reset_release() and arena_reset_zero(), in the context
 *    of their caller, before they return;
 *  - in softirq, when the grace period that arena_reset_rcu() began has ended, so that no reader
 *    uses the objects any more. While actions run, arena_reset_rcu() returns -EBUSY;
 *  - by arena_add_action(), in the context of its caller, if a reset or rewind came meanwhile. That
 *    call may also run actions that other callers have added;
 *  - by arena_destroy(), in the context of its caller, before it returns;
 *  - in a worker, after the last arena_put(), see arena_put_barrier().
 *
 * If two resets race, or one interrupts the other, either may call @fn, and the other one may
 * return before @fn has been called.
 *
 * What @fn must heed:
 *
 *  - It may sleep only if every call in the list above that can happen to this arena is made where
 *    sleeping is allowed.
 *  - It may use the objects that end with it, and must not use the arena in any other way. An
 *    allocation from the arena that may sleep would wait for @fn itself, until the task is killed.
 *  - ARENA_IOC_RESET and ARENA_IOC_REWIND call it with a lock held that page faults in mappings of
 *    the arena take. So it must not touch such a mapping, nor wait for a task that does.
 *  - Its module must stay loaded until @fn has returned, which the caller ensures.
 *
 * Context: Any that @gfp fits but NMI. Takes no lock of the arena, except for the first action, for
 * which it takes a raw spinlock.
 * Return: 0; or, with nothing changed and @fn not called, -ENOMEM if there is no memory, or in NMI;
 * -ENOSPC if the arena is full; -EINVAL, with a warning, if @fn is NULL.
 */
int arena_add_action(struct arena *arena, void (*fn)(void *data), void *data, gfp_t gfp)
{
	struct arena_action *action;
	struct arena_place place = { .caller = _RET_IP_ };
	int err;

	if (WARN_ON_ONCE(!fn))
		return -EINVAL;
	action = in_nmi() ? NULL : arena_state_alloc(arena, sizeof(*action), gfp);
	if (!action) {
		arena_count_failure(arena, -ENOMEM);
		return -ENOMEM;
	}
	err = arena_claim(arena, ARENA_WORD, ARENA_MIN_ALIGN, gfp & ~__GFP_ZERO, &place);
	if (err) {
		kfree(action);
		return err;
	}
	action->generation = place.generation;
	action->offset = place.offset;
	action->nr = atomic_long_inc_return(&arena->actions_added);
	action->fn = fn;
	action->data = data;
	/*
	 * A reset that came before this call of acting_enable(), and so did not wait for actions,
	 * may have ended the generation of the claim and settled the next one. In that case, this
	 * CPU finds below that the generation is over, and runs the action itself.
	 */
	acting_enable(arena);
	/*
	 * llist_add() is a full barrier, like the compare-and-swap of the cursor by a reset. So
	 * either the reset finds %ARENA_BLOCKED_ACTIONS and the action, or this CPU finds that the
	 * generation of the action is over, and runs the action. Otherwise the action would run too
	 * late, when its objects are gone.
	 */
	llist_add(&action->node, &arena->actions[place.generation & ARENA_GEN_SET]);
	if (arena_snap(arena).generation != place.generation) {
		arena_actions_end(arena);
		arena_settle(arena);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(arena_add_action);

/**
 * arena_add_action_or_run() - Add an action, or call the function at once if that fails.
 * @arena: the arena, not NULL.
 * @fn:	   the function, not NULL.
 * @data:  its argument.
 * @gfp:   how the arena may grow, see arena_add_action().
 *
 * Context: Any that @gfp fits but NMI. On failure @fn is called in the context of the caller, in
 * NMI, too.
 * Return: 0; or the error of arena_add_action(), and @fn was called unless it is NULL.
 */
int arena_add_action_or_run(struct arena *arena, void (*fn)(void *data), void *data, gfp_t gfp)
{
	int err = arena_add_action(arena, fn, data, gfp);

	if (err && fn)
		fn(data);
	return err;
}
EXPORT_SYMBOL_GPL(arena_add_action_or_run);
