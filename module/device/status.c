// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: the status page, an arena's state for who cannot afford a call.
 *
 * The kernel writes it and never reads it back. What it holds is looked up and
 * written with status_lock held, so it never goes back except where the arena
 * does; that lock nests inside of everything and nothing nests in it.
 */
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>

#include "device/device.h"

#define ARENA_STATUS_VERSION	1

/*
 * What belongs to one generation. All of it comes with a look at the cursor, and
 * looks at one word never go back: if the first and the last see the same
 * generation, so did those in between.
 */
void arena_dev_look(const struct arena *arena, struct arena_moment *now)
{
	do {
		now->generation = arena_peek(arena).generation;
		now->offset = arena_offset(arena);
		now->high = arena_high(arena);
	} while (arena_peek(arena).generation != now->generation);
}

/*
 * A generation begins by an odd number, which none has, until what was of the one
 * before is gone: who reads the same even one before and after it read the rest has
 * read what belongs to that.
 */
void arena_status_write(struct arena_dev *dev)
{
	struct arena_status *status = dev->status;
	struct arena_moment now;
	unsigned long flags;
	bool begins;

	spin_lock_irqsave(&dev->status_lock, flags);
	arena_dev_look(dev->arena, &now);
	begins = now.generation != dev->status_generation;
	if (begins) {
		WRITE_ONCE(status->generation, now.generation - 1);
		/* Pairs with the program's reading the generation last. */
		smp_wmb();
	}
	WRITE_ONCE(status->offset, now.offset);
	WRITE_ONCE(status->high, now.high);
	WRITE_ONCE(status->notices, (unsigned long)atomic_long_read(&dev->notices));
	if (begins) {
		/* Pairs with the program's reading the generation first. */
		smp_wmb();
		WRITE_ONCE(status->generation, now.generation);
		dev->status_generation = now.generation;
	}
	spin_unlock_irqrestore(&dev->status_lock, flags);
}

/*
 * For the first who maps it; the opener pays (clause 21). @dev->lock is held for
 * writing: calls that did not see the page are over, and what they did is written
 * here; later ones see it.
 */
int arena_status_make(struct arena_dev *dev)
{
	struct arena_status *status;
	struct mem_cgroup *old;

	lockdep_assert_held_write(&dev->lock);
	if (dev->status)
		return 0;
	if (!arena_budget_charge(dev->budget, 1, ARENA_DEV_GFP))
		return -ENOMEM;
	old = set_active_memcg(dev->memcg);
	status = arena_block_uncharged(0, ARENA_DEV_GFP | __GFP_HARDWALL | __GFP_ZERO, NUMA_NO_NODE);
	set_active_memcg(old);
	if (!status) {
		arena_budget_uncharge(dev->budget, 1);
		return -ENOMEM;
	}
	status->version = ARENA_STATUS_VERSION;
	status->flags = dev->flags;
	status->capacity = arena_capacity(dev->arena);
	/* Release: for the kernel's notices, which come without the lock. */
	smp_store_release(&dev->status, status);
	arena_status_write(dev);
	return 0;
}

/* A program may still hold the page by other means than a mapping: put, not reused. */
void arena_status_free(struct arena_dev *dev)
{
	if (!dev->status)
		return;
	arena_block_put(dev->budget, dev->status, 0);
}
