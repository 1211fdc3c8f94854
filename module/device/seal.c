// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: ARENA_IOC_SEAL. After it has succeeded, the bytes of the arena never change again.
 *
 * The list says what could change these bytes, and what prevents each change:
 *
 *  - Calls that allocate, store, commit, reset or rewind. They take arena_dev.lock before they look
 *    at ARENA_SEALED (arena_dev_begin(), arena_dev_begin_reset()), and hold it until they have
 *    written their last byte. A seal takes the lock for writing.
 *  - Kernel code that holds the arena. A seal is refused while any code does. Once the arena is
 *    sealed, arena_get_from_fd() grants no right but ARENA_RIGHT_READ.
 *  - Stores through a mapping. Each VMA with VM_MAYWRITE counts in arena_dev.may_write, from mmap()
 *    to the moment when the kernel has cleared its page table entries and flushed them from the
 *    TLBs, and a seal is refused unless may_write is 0. fork(), mremap() and munmap() of a part
 *    make further VMAs only from a VMA that counts, so only mmap() raises may_write from 0, and
 *    mmap() looks at ARENA_SEALED with the lock held. In a sealed arena mmap() clears VM_MAYWRITE,
 *    so no mprotect() and no debugger makes the mapping writable.
 *  - Pages that the kernel took a reference to through a writable mapping that is gone by now: for
 *    a read() by direct I/O, a buffer of io_uring, a device. A seal first unmaps the arena. After
 *    that, a page has one reference, that of the arena, unless the kernel still uses the page for
 *    one of these: then the seal is refused. So some seals are refused needlessly: the kernel may
 *    use its reference for reading only, as a pipe does, and the seal cannot tell.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "device/ioctl.h"

/* How often a seal checks that no page is in use, with pauses of 10, 20 and 40 ms in between. */
#define SEAL_TRIES	4

int arena_check_seal(const union arena_args *args)
{
	return args->seal.flags ? -EINVAL : 0;
}

static int arena_dev_seal(struct arena_dev *dev)
{
	int err;

	lockdep_assert_held_write(&dev->lock);
	/* Acquire: pairs with the releases in arena_unhold() and arena_vm_close(). */
	if (atomic_read_acquire(&dev->holds) || atomic_long_read_acquire(&dev->may_write))
		return -EBUSY;
	/* A program that reads the arena later faults its pages in again. */
	arena_map_revoke(dev, 0);
	err = arena_slabs_unshared(dev->arena);
	if (err)
		return err;
	WRITE_ONCE(dev->flags, dev->flags | ARENA_SEALED);
	/*
	 * Update the status page with the lock held: a program whose call fails with EPERM then
	 * finds ARENA_SEALED there.
	 */
	arena_status_update(dev);
	return 0;
}

static int arena_try_seal(struct arena_dev *dev)
{
	int err = 0;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	if (!(dev->flags & ARENA_SEALED))
		err = arena_dev_seal(dev);
	up_write(&dev->lock);
	return err;
}

int arena_do_seal(struct arena_call *call)
{
	struct arena_dev *dev = call->file->dev;
	unsigned int tries = 0;
	int err;

	/*
	 * A program that unmaps the arena drops its references to pages a moment after it has
	 * cleared the page table entries, so a page that is pinned now may soon be free: look again
	 * after a pause.
	 */
	while ((err = arena_try_seal(dev)) == -EAGAIN) {
		if (++tries == SEAL_TRIES)
			return -EBUSY;
		schedule_timeout_killable(msecs_to_jiffies(5 << tries));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return err;
}
