// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: those who wait for something to happen, by poll().
 *
 * Every arena has one queue, on which all who poll any of its files wait. They
 * wait for different things, so whoever wakes one wakes all, and each looks for
 * himself. Lest each allocation does that, arena_dev.wake_above is the lowest mark
 * that anybody waits for. Looking lowers it again, waking raises it to the top.
 *
 * Nobody sleeps through what he waits for:
 *
 *	poll()				a call that allocates, resets, ...
 *	------				----------------------------------
 *	1. go on the queue		a. change the arena
 *	2. lower wake_above		b. full barrier, in wq_has_sleeper()
 *	3. full barrier			c. is anybody on the queue?
 *	4. look at the arena		d. above wake_above? wake all
 *
 * If 4 does not see a, then c and d see 1 and 2 (litmus test "poll"). Where wake_above is
 * raised between 2 and 4 on behalf of somebody else, the queue is woken after
 * that, and who was on it looks again.
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

/* What @af waits for and has happened. */
static __poll_t arena_happened(struct arena_file *af)
{
	struct arena_dev *dev = af->dev;
	struct arena_moment now = {};
	__poll_t events = 0;
	struct arena *arena;

	/* Pairs with the smp_store_release() in arena_dev_make(). */
	arena = smp_load_acquire(&dev->arena);
	spin_lock(&af->watch_lock);
	if (arena)
		arena_dev_look(arena, &now);
	if (now.offset > af->mark || arena_notices(dev) != af->notices)
		events |= ARENA_POLL_IN;
	if (af->generation && af->generation != now.generation)
		events |= EPOLLPRI;
	spin_unlock(&af->watch_lock);
	return events;
}

static void arena_wake_above(struct arena_dev *dev, u64 mark)
{
	unsigned long above = min_t(u64, mark, ARENA_WAKE_NEVER);
	unsigned long old = READ_ONCE(dev->wake_above);

	while (above < old && !try_cmpxchg(&dev->wake_above, &old, above))
		;
}

__poll_t arena_poll(struct file *file, struct poll_table_struct *wait)
{
	struct arena_file *af = file->private_data;
	struct arena_dev *dev = af->dev;
	u64 mark;

	poll_wait(file, &dev->wait, wait);
	spin_lock(&af->watch_lock);
	mark = af->mark;
	spin_unlock(&af->watch_lock);
	arena_wake_above(dev, mark);
	/* Pairs with the full barrier in wq_has_sleeper(), see above. */
	smp_mb();
	return arena_happened(af);
}

/*
 * Wake all pollers, exclusive ones too, without a key. Pollers of one arena wait for
 * different events, so that no key is true for all of them, and io_uring and AIO report
 * the events of a key without calling arena_poll(). Without a key each poller calls
 * arena_poll(), which also lowers wake_above again for a poller that goes on waiting.
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

	if (unlikely(READ_ONCE(dev->status)))
		arena_status_write(dev);
	/* The full barrier in here pairs with the one in arena_poll(). */
	if (likely(!wq_has_sleeper(&dev->wait)))
		return;
	above = READ_ONCE(dev->wake_above);
	if (above != ARENA_WAKE_NEVER && arena_offset(dev->arena) > above)
		arena_dev_wake(dev);
}

static void arena_notify_work(struct irq_work *work)
{
	struct arena_dev *dev = container_of(work, struct arena_dev, notify_work);

	arena_dev_moved(dev);
	arena_dev_wake(dev);
}

/**
 * arena_notify() - Wake the programs that poll an arena.
 * @arena: the arena, not NULL; of arena_get_from_fd(), and held by it until this
 *	   returns. On others this does nothing.
 *
 * Objects that kernel code makes wake nobody, and are not seen on the status page:
 * this, after the last of them, is how to say that they are there. Programs are
 * told soon afterwards, by the same CPU; notices that come faster become one.
 *
 * Context: Any, NMI included. Takes no lock.
 */
void arena_notify(struct arena *arena)
{
	struct arena_dev *dev = arena->owner;

	if (!dev)
		return;
	atomic_long_inc(&dev->notices);
	irq_work_queue(&dev->notify_work);
}
EXPORT_SYMBOL_GPL(arena_notify);

int arena_check_notify(const union arena_args *args)
{
	return args->notify.flags ? -EINVAL : 0;
}

/* Waking is the dispatcher's. */
int arena_do_notify(struct arena_call *call)
{
	atomic_long_inc(&call->file->dev->notices);
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
	/* Whatever happens from here on is news. */
	af->notices = arena_notices(af->dev);
	arena_dev_look(af->dev->arena, &now);
	af->generation = now.generation;
	af->mark = watch->mark;
	spin_unlock(&af->watch_lock);
	watch->offset = now.offset;
	watch->generation = now.generation;
	/* Somebody may be waiting on this file for the mark that was. */
	arena_wake_above(af->dev, watch->mark);
	/* As in arena_poll(). */
	smp_mb();
	if (arena_happened(af))
		arena_dev_wake(af->dev);
	return 0;
}

void arena_watch_init(struct arena_dev *dev)
{
	init_waitqueue_head(&dev->wait);
	init_irq_work(&dev->notify_work, arena_notify_work);
	dev->wake_above = ARENA_WAKE_NEVER;
}

/* Nobody holds the arena, so no new notices come. */
void arena_watch_exit(struct arena_dev *dev)
{
	irq_work_sync(&dev->notify_work);
}

/* Until the first WATCH: anything at all, and notices since the file was opened. */
void arena_watch_open(struct arena_file *af)
{
	spin_lock_init(&af->watch_lock);
	af->notices = arena_notices(af->dev);
}
