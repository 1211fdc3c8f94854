// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: the status page, which shows a program the state of its arena without a call.
 *
 * Within a generation, offset and high only grow, so writers raise them by compare-and-swap and
 * need no lock: a writer with older values than those on the page changes nothing. The kernel
 * relies on nothing that it reads there: a wrong value on the page would harm only its readers.
 *
 * A new generation lowers offset and high. Resets begin it with arena_dev.lock held for writing,
 * and calls that raise offset and high hold that lock for reading. Writers without that lock (the
 * irq_work of arena_notify(), NOTIFY and WATCH) may find a new generation before the page shows it.
 * They and the resets take status_lock, and read the arena with it held: otherwise a writer could
 * show a generation that is over by then. status_lock nests inside arena_dev.lock, and no lock
 * nests in status_lock.
 */
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>

#include "device/device.h"

static __always_inline void status_raise(__u64 *shown, __u64 value)
{
	__u64 old = READ_ONCE(*shown);

	while (old < value && !try_cmpxchg(shown, &old, value))
		;
}

/*
 * The compare-and-swap that raises offset is a full barrier, which pairs with the read barrier of a
 * program that reads offset and then high. If the program reads this offset, it also reads this
 * high or a later one (litmus test "status"). If offset were raised first, the program could find
 * more bytes used than lie below high.
 */
static __always_inline void status_raise_usage(struct arena_status *status, size_t used,
					       size_t high)
{
	status_raise(&status->high, high);
	status_raise(&status->offset, used);
}

/*
 * Show on the page what a call has changed. The call holds @dev->lock, so the page shows the call's
 * generation already.
 */
void arena_status_raise(struct arena_dev *dev)
{
	struct arena_status *status = dev->status;
	struct arena_usage now;

	lockdep_assert_held(&dev->lock);
	now = arena_usage_no_reset(dev->arena);
	status_raise_usage(status, now.used, now.high);
}

/*
 * Show a new generation on the page. While the other members change from the old generation to the
 * new one, the page shows an odd generation; all real ones are even. So a program that reads the
 * same even number before and after the other members knows that they belong to that generation.
 */
static void status_begin(struct arena_dev *dev, const struct arena_moment *now)
{
	struct arena_status *status = dev->status;

	WRITE_ONCE(status->generation, now->generation - 1);
	/* Pairs with the read barrier of a program before it reads the generation again. */
	smp_wmb();
	WRITE_ONCE(status->offset, now->used);
	WRITE_ONCE(status->high, now->high);
	/* Pairs with the read barrier of a program after it has read the generation. */
	smp_wmb();
	WRITE_ONCE(status->generation, now->generation);
	dev->status_generation = now->generation;
}

/* Bring the page up to date, if there is one, with or without @dev->lock and in any context. */
void arena_status_update(struct arena_dev *dev)
{
	/* Acquire: pairs with the smp_store_release() in arena_status_make(). */
	struct arena_status *status = smp_load_acquire(&dev->status);
	struct arena_moment now;
	unsigned long flags;

	if (likely(!status))
		return;
	spin_lock_irqsave(&dev->status_lock, flags);
	arena_moment_read(dev->arena, &now);
	if (now.generation != dev->status_generation)
		status_begin(dev, &now);
	status_raise_usage(status, now.used, now.high);
	WRITE_ONCE(status->flags, READ_ONCE(dev->flags));
	status_raise(&status->notices, (unsigned long)atomic_long_read(&dev->notices));
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
	status = __arena_counted(arena_block_uncharged(0, ARENA_DEV_GFP | __GFP_HARDWALL |
						       __GFP_ZERO, NUMA_NO_NODE));
	set_active_memcg(old);
	if (!status) {
		arena_budget_uncharge(dev->budget, 1);
		return -ENOMEM;
	}
	status->version = ARENA_STATUS_VERSION;
	status->flags = dev->flags;
	status->capacity = arena_capacity(dev->arena);
	/*
	 * Release: pairs with the smp_load_acquire() in arena_status_update(). Code that finds the
	 * page without the lock, such as the irq_work of arena_notify(), finds it initialized.
	 */
	smp_store_release(&dev->status, status);
	arena_status_update(dev);
	return 0;
}

/*
 * Free the page. A program may still have a reference to the page by other means than a mapping,
 * such as a pipe: arena_block_put() leaves the page charged until that reference is gone.
 */
void arena_status_free(struct arena_dev *dev)
{
	if (!dev->status)
		return;
	arena_block_put(dev->budget, dev->status, 0);
}
