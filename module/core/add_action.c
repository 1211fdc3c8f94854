// SPDX-License-Identifier: GPL-2.0
/*
 * Adding actions: functions that are called when the generation ends in which they were added.
 */
#include <linux/export.h>
#include <linux/llist.h>
#include <linux/slab.h>

#include "core/cursor.h"

/* From now on, a generation is settled only after the actions of the one before. */
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
 * An action takes %ARENA_WORD bytes of the arena, and lives as long as an object that is allocated
 * at the same time: until the next reset of any kind, a rewind to a mark that was taken before, or
 * the end of the arena. Then @fn is called once; of several actions that end together, the one
 * that was added last is called first. Their objects are intact until all of them have
 * returned: so an action may drop references that an object holds. While actions run after a
 * reset or rewind, allocations that may sleep wait, and the others fail. As with allocations, an
 * action that is added while a reset is under way belongs to the generation before or after it; in
 * the first case @fn may be called before arena_add_action() returns.
 *
 * @fn is called, with no spinlock of the arena held,
 *
 *  - by arena_reset(), arena_rewind(), arena_reset_release() and arena_reset_zero(), in the context
 *    of their caller, before they return;
 *  - after arena_reset_rcu(), in softirq, when its grace period has ended: what the arena held
 *    before was intact for readers until then. While actions run, arena_reset_rcu() returns
 *    -EBUSY;
 *  - by arena_add_action(), in the context of its caller, while a reset or rewind is under way.
 *    That call of arena_add_action() may also run actions that other callers have added;
 *  - by arena_destroy(), in the context of its caller, before it returns;
 *  - after the last arena_put(), in a worker, see arena_put_barrier().
 *
 * Of two resets that race, or of which one interrupts the other, either may call @fn, and the one
 * that does not may return before @fn has been called. A program's ARENA_IOC_RESET and
 * ARENA_IOC_REWIND hold a lock that page faults of mappings take: @fn must not touch such a
 * mapping, nor wait for a task that does. @fn must not sleep unless all of these callers may. It
 * must not use the arena but for the objects that end with it: an allocation from it that may
 * sleep would return only when the task is killed.
 * The caller keeps the module of @fn loaded until @fn has been called.
 *
 * Context: Any that @gfp fits but NMI. Takes no lock of the arena, but for the first action,
 * which takes a raw spinlock for a moment.
 * Return: 0; or, with nothing changed and @fn not called, -ENOMEM, also in NMI; -ENOSPC if the
 * arena is full; -EINVAL, with a warning, if @fn is NULL.
 */
int arena_add_action(struct arena *arena, void (*fn)(void *data), void *data, gfp_t gfp)
{
	struct arena_action *action;
	struct arena_place place;
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
	 * Enabled only after the claim: if a reset has ended the generation of the claim before
	 * that, this CPU sees so below, and runs the action itself.
	 */
	acting_enable(arena);
	/*
	 * A full barrier, like the compare-and-swap of the cursor by a reset. So either the reset
	 * finds %ARENA_BLOCKED_ACTIONS and the action, or this CPU finds that its generation is
	 * over, and runs the action. Otherwise it would run too late, when its objects are gone.
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
 * arena_add_action_or_run() - As arena_add_action(), but call the function if that fails.
 * @arena: the arena, not NULL.
 * @fn:	   the function, not NULL.
 * @data:  its argument.
 * @gfp:   as for arena_add_action().
 *
 * Context: As arena_add_action(); on failure @fn is called in that context.
 * Return: 0; or the error of arena_add_action(), and @fn was called.
 */
int arena_add_action_or_run(struct arena *arena, void (*fn)(void *data), void *data, gfp_t gfp)
{
	int err = arena_add_action(arena, fn, data, gfp);

	if (err && fn)
		fn(data);
	return err;
}
EXPORT_SYMBOL_GPL(arena_add_action_or_run);
