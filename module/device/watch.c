// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: poll(), and what it waits for.
 *
 * Every arena has one queue, on which the pollers of all its files wait. Pollers wait for different
 * events, so a call that wakes one poller wakes all, and each checks for its own events. Most
 * allocations should wake no poller: arena_dev.wake_above is the lowest number of bytes used above
 * which a poller must be woken. Each poller lowers wake_above to its own threshold whenever it
 * checks, and each wakeup raises wake_above to ARENA_WAKE_NEVER.
 *
 * No poller sleeps through an event that it waits for:
 *
 *	poll()				a call that allocates, resets, ...
 *	------				----------------------------------
 *	1. join the queue		a. change the arena
 *	2. lower wake_above		b. full barrier, in wq_has_sleeper()
 *	3. full barrier			c. is the queue empty? then return
 *	4. look at the arena		d. more used than wake_above? then wake all
 *
 * If step 4 does not see the change of step a, then steps c and d see steps 1 and 2 (litmus test
 * "poll"). A call that raises wake_above between steps 2 and 4 wakes the queue afterwards, and
 * every poller on the queue checks again and lowers wake_above again.
 */
#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "device/ioctl.h"

#define ARENA_POLL_IN	(EPOLLIN | EPOLLRDNORM)

static unsigned long arena_notices(const struct arena_dev *dev)
{
	return atomic_long_read(&dev->notices);
}

/* Returns the events that have happened, of those that @af waits for. */
static __poll_t arena_happened(struct arena_file *af)
{
	struct arena_dev *dev = af->dev;
	struct arena_moment now = {};
	__poll_t events = 0;
	struct arena *arena;

	/* Acquire: pairs with the smp_store_release() in arena_dev_make(). */
	arena = smp_load_acquire(&dev->arena);
	spin_lock(&af->watch_lock);
	if (arena)
		arena_moment_read(arena, &now);
	if (now.used > af->above || arena_notices(dev) != af->notices)
		events |= ARENA_POLL_IN;
	if (af->generation && af->generation != now.generation)
		events |= EPOLLPRI;
	spin_unlock(&af->watch_lock);
	if (!atomic_read(&dev->allocators) || READ_ONCE(dev->flags) & ARENA_SEALED)
		events |= EPOLLHUP;
	return events;
}

static void arena_wake_above(struct arena_dev *dev, u64 bytes)
{
	unsigned long above = min_t(u64, bytes, ARENA_WAKE_NEVER);
	unsigned long old = READ_ONCE(dev->wake_above);

	while (above < old && !try_cmpxchg(&dev->wake_above, &old, above))
		;
}

__poll_t arena_poll(struct file *file, struct poll_table_struct *wait)
{
	struct arena_file *af = file->private_data;
	struct arena_dev *dev = af->dev;
	u64 above;

	poll_wait(file, &dev->wait, wait);
	spin_lock(&af->watch_lock);
	above = af->above;
	spin_unlock(&af->watch_lock);
	arena_wake_above(dev, above);
	/*
	 * Full barrier: pairs with the one in wq_has_sleeper(), for a call that changes the arena.
	 * Either that call finds this poller on the queue, or this poller sees the change.
	 */
	smp_mb();
	return arena_happened(af);
}

/*
 * Wake all pollers, exclusive ones too, without a key. A key is a mask of poll events, which
 * io_uring and AIO report without calling arena_poll(). Pollers of one arena wait for different
 * events, so no key would be right for all of them. Without a key each poller calls arena_poll(),
 * which also lowers wake_above again for a poller that goes on waiting.
 */
void arena_dev_wake(struct arena_dev *dev)
{
	if (!wq_has_sleeper(&dev->wait))
		return;
	xchg(&dev->wake_above, ARENA_WAKE_NEVER);
	wake_up_all(&dev->wait);
}

void arena_dev_moved(struct arena_dev *dev)
{
	unsigned long above;

	/* wq_has_sleeper() has a full barrier, which pairs with the one in arena_poll(). */
	if (likely(!wq_has_sleeper(&dev->wait)))
		return;
	above = READ_ONCE(dev->wake_above);
	if (above != ARENA_WAKE_NEVER && arena_offset(dev->arena) > above)
		arena_dev_wake(dev);
}

static void arena_notify_work(struct irq_work *work)
{
	struct arena_dev *dev = container_of(work, struct arena_dev, notify_work);

	arena_status_update(dev);
	arena_dev_wake(dev);
}

/**
 * arena_notify() - Wake the programs that poll an arena.
 * @dev: the arena, from arena_get_from_fd(), not yet passed to arena_unhold().
 *
 * Objects that kernel code allocates wake no poller and do not appear on the status page. After the
 * last of them, the caller announces them by this call. Soon afterwards an interrupt (irq_work) on
 * the same CPU wakes the pollers and updates the status page; all calls before that interrupt may
 * share one wakeup.
 *
 * Context: Any, NMI included. Takes no lock.
 */
void arena_notify(struct arena_dev *dev)
{
	atomic_long_inc(&dev->notices);
	irq_work_queue(&dev->notify_work);
}
EXPORT_SYMBOL_GPL(arena_notify);

int arena_check_notify(const union arena_args *args)
{
	return args->notify.flags ? -EINVAL : 0;
}

/* The dispatcher wakes the pollers, as the row of this command has ARENA_OP_WAKES. */
int arena_do_notify(struct arena_call *call)
{
	atomic_long_inc(&call->file->dev->notices);
	arena_status_update(call->file->dev);
	return 0;
}

int arena_check_watch(const union arena_args *args)
{
	return args->watch.flags ? -EINVAL : 0;
}

int arena_do_watch(struct arena_call *call)
{
	struct arena_watch_args *watch = &call->args.watch;
	struct arena_file *af = call->file;
	struct arena_moment now;

	spin_lock(&af->watch_lock);
	/* From now on, poll() reports changes since the state that is read here. */
	af->notices = arena_notices(af->dev);
	arena_moment_read(af->dev->arena, &now);
	af->generation = now.generation;
	af->above = watch->mark;
	spin_unlock(&af->watch_lock);
	arena_status_update(af->dev);
	watch->offset = now.used;
	watch->generation = now.generation;
	/*
	 * A poller may be waiting on this file. Lower dev->wake_above to the new threshold, so that
	 * an allocation which exceeds it wakes the poller. If an allocation has exceeded it
	 * already, this call wakes the poller below.
	 */
	arena_wake_above(af->dev, watch->mark);
	/*
	 * Full barrier: pairs with the one in wq_has_sleeper(). A call that changes the arena finds
	 * the lowered wake_above, or this call finds the change below, and wakes.
	 */
	smp_mb();
	/* EPOLLHUP needs no wakeup here: the call that caused it has woken all pollers. */
	if (arena_happened(af) & ~EPOLLHUP)
		arena_dev_wake(af->dev);
	return 0;
}

void arena_watch_init(struct arena_dev *dev)
{
	init_waitqueue_head(&dev->wait);
	init_irq_work(&dev->notify_work, arena_notify_work);
	dev->wake_above = ARENA_WAKE_NEVER;
}

/* No file and no kernel code refers to the arena any more, so notify_work is not queued again. */
void arena_watch_exit(struct arena_dev *dev)
{
	irq_work_sync(&dev->notify_work);
}

/*
 * Until the first WATCH, poll() reports any bytes used, as @af->above is 0, and notices since the
 * file was opened. It reports no reset, as @af->generation is 0.
 */
void arena_watch_open(struct arena_file *af)
{
	spin_lock_init(&af->watch_lock);
	af->notices = arena_notices(af->dev);
}
