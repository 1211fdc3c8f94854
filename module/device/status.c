// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: the status page, which shows a program the state of its arena without a call.
 *
 * The kernel writes the page and never reads it back. A writer reads the arena and writes the
 * page with status_lock held throughout: otherwise a writer that has read the arena earlier could
 * overwrite newer values with older ones. status_lock nests inside all other locks of the
 * device, and no other lock nests in it.
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
 * Read the bytes used and the high offset of one generation. Each of these calls reads the
 * cursor, and later reads of one word never see older values. So if the first and the last read
 * see the same generation, the reads between them have seen it, too.
 */
void arena_moment_read(const struct arena *arena, struct arena_moment *now)
{
	do {
		now->generation = arena_snap(arena).generation;
		now->used = arena_offset(arena);
		now->high = arena_high(arena);
	} while (arena_snap(arena).generation != now->generation);
}

/*
 * The generation on the page is odd, which no generation is, while the other members still change
 * from the old generation to the new one. So a program that reads the same even number before and
 * after the other members knows that they belong to that generation.
 */
void arena_status_write(struct arena_dev *dev)
{
	struct arena_status *status = dev->status;
	struct arena_moment now;
	unsigned long flags;
	bool begins;

	spin_lock_irqsave(&dev->status_lock, flags);
	arena_moment_read(dev->arena, &now);
	begins = now.generation != dev->status_generation;
	if (begins) {
		WRITE_ONCE(status->generation, now.generation - 1);
		/* Pairs with the read barrier of a program before it reads the generation again. */
		smp_wmb();
	}
	WRITE_ONCE(status->offset, now.used);
	WRITE_ONCE(status->high, now.high);
	WRITE_ONCE(status->notices, (unsigned long)atomic_long_read(&dev->notices));
	if (begins) {
		/* Pairs with the read barrier of a program after it has read the generation. */
		smp_wmb();
		WRITE_ONCE(status->generation, now.generation);
		dev->status_generation = now.generation;
	}
	spin_unlock_irqrestore(&dev->status_lock, flags);
}

/*
 * Allocate the status page when it is first mapped; the opener of @dev pays (clause 21). The
 * caller holds @dev->lock for writing. So calls that did not see the page have ended, and the page
 * shows what they did; later calls see the page, and update it.
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
	status = arena_block_uncharged(0, ARENA_DEV_GFP | __GFP_HARDWALL | __GFP_ZERO,
				       NUMA_NO_NODE);
	set_active_memcg(old);
	if (!status) {
		arena_budget_uncharge(dev->budget, 1);
		return -ENOMEM;
	}
	status->version = ARENA_STATUS_VERSION;
	status->flags = dev->flags;
	status->capacity = arena_capacity(dev->arena);
	/*
	 * Release: code that finds the page without the lock, such as the irq_work of
	 * arena_notify(), finds it initialized.
	 */
	smp_store_release(&dev->status, status);
	arena_status_write(dev);
	return 0;
}

/*
 * Put the page and do not reuse it: a program may still have a reference to it by other means than
 * a mapping, such as a pipe.
 */
void arena_status_free(struct arena_dev *dev)
{
	if (!dev->status)
		return;
	arena_block_put(dev->budget, dev->status, 0);
}
