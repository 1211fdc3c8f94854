// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: arenas for programs.
 */
/**
 * DOC: What stands behind a descriptor
 *
 * ::
 *
 *   file of open() --.                             .--> inode, its mapping
 *                     >-- struct arena_file --> struct arena_dev --> struct arena
 *   file of DUP -----'      (the rights)
 *
 * Each struct file has one arena_file, which has a reference to the arena_dev, and the arena_dev
 * owns the arena. Each mapping has a reference to its file. So descriptors and mappings
 * together keep the arena (clause 17), and files keep the module (clause 22).
 *
 * Each file, a duplicate included, comes from an open of the device node: its inode, security
 * label, fsnotify watches and file locks are those of the node. ARENA_IOC_DUP opens the path of its
 * descriptor once more, and arena_open() learns from a struct arena_dup which arena the new file is
 * for. A program that opens a duplicate through /proc opens the node like any other, and gets a
 * fresh arena.
 *
 * The inode of an arena exists for its i_mapping alone. All files of one arena share it and files
 * of different arenas do not, so a reset finds exactly the mappings that it must revoke. With the
 * inode of the device node instead, a reset would revoke the mappings of all arenas. No path leads
 * to the inode of an arena, and the inode of its files is that of the device node, so no program
 * can watch, lock or open the arena's inode. That inode is freed with the arena; its file system
 * stays mounted until the module is unloaded.
 *
 * Before a fault maps a page, it sets the page's mapping to the i_mapping of that inode, and the
 * page's index to the place of the page in the arena: by these two the kernel identifies a futex
 * that processes share. The page cache of the inode stays empty. After a page was unmapped,
 * arena_block_put() clears its mapping, with the page locked: a task that still has a reference to
 * the page may mark it dirty, and holds the page lock while it uses the mapping.
 *
 * The main lock of an arena is arena_dev.lock; its other locks nest inside that. Faults and mmap()
 * take arena_dev.lock inside mmap_lock (or the lock of a VMA); page table locks and i_mmap_rwsem
 * nest inside arena_dev.lock. Touching user memory may fault, which takes mmap_lock, and may block
 * for ever. So no code touches user memory with arena_dev.lock held (clause 24): an ioctl copies
 * its arguments in before it takes the lock, and out after it has dropped the lock.
 *
 *  - Allocations and page faults hold arena_dev.lock for reading: meanwhile the arena stays in its
 *    generation, and its slabs stay committed.
 *  - SETUP, the first use, mmap() of the status page, resets, rewinds and SEAL hold it for writing,
 *    and thus wait for calls and faults under way.
 *
 * Three spinlocks of the device may be taken inside arena_dev.lock, and no lock of the module nests
 * in them: arena_dev.status_lock serializes some writers of the status page, arena_file.watch_lock
 * protects what one file waits for, and the lock of arena_dev.wait protects the queue of pollers.
 * The irq_work of arena_notify() takes status_lock and the lock of the queue in interrupts. Where a
 * PMD may map a slab, faults take a mutex, arena_dev.map_lock, while they look at the page table
 * and change it.
 *
 * Revocation (clause 20): a fault looks up the page and inserts it into the page table with
 * arena_dev.lock held for reading; a reset that releases slabs unmaps them and releases them with
 * the lock held for writing. So a fault comes either before the reset, which then unmaps what the
 * fault has inserted, or after it, and then finds only slabs that are still committed.
 *
 * arena_dev.arena is set once, with arena_dev.lock held for writing, and stays until the last
 * reference to the arena_dev is gone: code that has such a reference, and has found the pointer
 * set, may use the arena without the lock.
 */
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "device/device.h"

#define ARENA_FS_MAGIC		0x4152454e	/* "AREN" */

/*
 * The mount of the file system of the arenas' inodes, which lasts until the module is unloaded. The
 * file system type needs no owner: no path leads to the file system, so only arenas use it, and
 * their files keep the module loaded.
 */
static struct vfsmount *arena_mnt;

static int arena_fs_init(struct fs_context *fc)
{
	if (!init_pseudo(fc, ARENA_FS_MAGIC))
		return -ENOMEM;
	fc->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	return 0;
}

static struct file_system_type arena_fs_type = {
	.name			= "arenafs",
	.init_fs_context	= arena_fs_init,
	.kill_sb		= kill_anon_super,
};

/* The lifetime of a struct arena_dev, and of its files. */

static struct arena_dev *arena_dev_create(void)
{
	struct arena_budget *budget = arena_user_add();
	struct arena_dev *dev;
	int err = -ENOMEM;

	if (IS_ERR(budget))
		return ERR_CAST(budget);
	dev = kzalloc_obj(*dev, ARENA_DEV_GFP);
	if (!dev)
		goto remove_user;
	dev->budget = budget;
	refcount_set(&dev->refs, 1);
	init_rwsem(&dev->lock);
	mutex_init(&dev->map_lock);
	spin_lock_init(&dev->status_lock);
	arena_watch_init(dev);
	dev->inode = alloc_anon_inode(arena_mnt->mnt_sb);
	if (IS_ERR(dev->inode)) {
		err = PTR_ERR(dev->inode);
		goto free_dev;
	}
	dev->memcg = get_mem_cgroup_from_mm(current->mm);
	return dev;

free_dev:
	kfree(dev);
remove_user:
	arena_user_remove(budget);
	return ERR_PTR(err);
}

static void arena_dev_get(struct arena_dev *dev)
{
	refcount_inc(&dev->refs);
}

/* May sleep: dropping the last reference frees all of the arena's memory. */
static void arena_dev_put(struct arena_dev *dev)
{
	if (!refcount_dec_and_test(&dev->refs))
		return;
	arena_watch_exit(dev);
	if (dev->arena)
		arena_destroy(dev->arena);
	arena_status_free(dev);
	iput(dev->inode);
	mem_cgroup_put(dev->memcg);
	arena_user_remove(dev->budget);
	kfree(dev);
}

static struct arena_file *arena_file_create(struct arena_dev *dev, u32 rights)
{
	struct arena_file *af = kzalloc_obj(*af, ARENA_DEV_GFP);

	if (!af)
		return NULL;
	arena_dev_get(dev);
	af->dev = dev;
	af->rights = rights;
	if (rights & ARENA_RIGHT_ALLOC)
		atomic_inc(&dev->allocators);
	arena_watch_open(af);
	return af;
}

static void arena_file_destroy(struct arena_file *af)
{
	if (af->rights & ARENA_RIGHT_ALLOC)
		arena_allocator_gone(af->dev);
	arena_dev_put(af->dev);
	kfree(af);
}

/*
 * The opener must ask for O_RDWR: a new arena that its opener cannot write to is of no use.
 * ARENA_IOC_DUP makes descriptors with fewer rights.
 */
static struct arena_file *arena_file_fresh(fmode_t mode)
{
	const fmode_t both = FMODE_READ | FMODE_WRITE;
	struct arena_dev *dev;
	struct arena_file *af;

	if ((mode & both) != both)
		return ERR_PTR(-EACCES);
	dev = arena_dev_create();
	if (IS_ERR(dev))
		return ERR_CAST(dev);
	af = arena_file_create(dev, ARENA_RIGHTS_ALL);
	/* Drop the reference of arena_dev_create(). If @af is NULL, this frees @dev. */
	arena_dev_put(dev);
	return af ?: ERR_PTR(-ENOMEM);
}

/**
 * struct arena_dup - an ARENA_IOC_DUP that is opening its file.
 * @node:  entry in arena_dups.
 * @task:  the caller. An open of the device node by this task belongs to its ARENA_IOC_DUP.
 * @af:	   becomes private_data of the new file; NULL once arena_open() has taken it.
 *
 * It lies on the stack of @task. arena_dups_lock protects the list, whose entries other tasks read;
 * only @task uses @af.
 */
struct arena_dup {
	struct list_head	node;
	struct task_struct	*task;
	struct arena_file	*af;
};

static LIST_HEAD(arena_dups);
static DEFINE_SPINLOCK(arena_dups_lock);

static void arena_dup_begin(struct arena_dup *dup)
{
	spin_lock(&arena_dups_lock);
	list_add(&dup->node, &arena_dups);
	spin_unlock(&arena_dups_lock);
}

static void arena_dup_end(struct arena_dup *dup)
{
	spin_lock(&arena_dups_lock);
	list_del(&dup->node);
	spin_unlock(&arena_dups_lock);
}

/*
 * Returns the arena_file of the ARENA_IOC_DUP in which this task is opening the device node; NULL
 * if the task has called open().
 */
static struct arena_file *arena_dup_take(void)
{
	struct arena_file *af = NULL;
	struct arena_dup *dup;

	spin_lock(&arena_dups_lock);
	list_for_each_entry(dup, &arena_dups, node) {
		if (dup->task == current) {
			swap(af, dup->af);
			break;
		}
	}
	spin_unlock(&arena_dups_lock);
	return af;
}

static int arena_open(struct inode *inode, struct file *file)
{
	struct arena_file *af = arena_dup_take() ?: arena_file_fresh(file->f_mode);

	if (IS_ERR(af))
		return PTR_ERR(af);
	af->file = file;
	file->private_data = af;
	/* The descriptor is not installed yet, so no program has mapped the file before this. */
	file->f_mapping = af->dev->inode->i_mapping;
	return 0;
}

/* May sleep: closing the last file frees all of the arena's memory. */
static int arena_release(struct inode *inode, struct file *file)
{
	arena_file_destroy(file->private_data);
	return 0;
}

/* The first use of an arena, or ARENA_IOC_SETUP, creates it. */

/*
 * Create the arena of @dev, which has none yet; the caller holds @dev->lock for writing. The
 * opener of @dev pays for the arena, even if another process is the first to use it (clause 21).
 */
int arena_dev_make(struct arena_dev *dev, struct arena_config *config, u32 flags)
{
	struct mem_cgroup *old;
	struct arena *arena;

	lockdep_assert_held_write(&dev->lock);
	config->flags = ARENA_ACCOUNT;
	if (flags & ARENA_SETUP_SPANS)
		config->flags |= ARENA_SPANS;
	if (flags & ARENA_SETUP_ZERO)
		config->flags |= ARENA_ZERO;
	old = set_active_memcg(dev->memcg);
	arena = __arena_counted(__arena_create(config, ARENA_MAPPABLE, dev->budget));
	set_active_memcg(old);
	if (IS_ERR(arena))
		return PTR_ERR(arena);
	WRITE_ONCE(dev->flags, flags);
	/*
	 * Release: pairs with smp_load_acquire(&dev->arena), in arena_dev_make_default() and
	 * elsewhere: a CPU that finds the pointer set finds the arena, and @dev->flags,
	 * initialised.
	 */
	smp_store_release(&dev->arena, arena);
	return 0;
}

/* Make sure that @dev has an arena: create one with default settings if it has none. */
int arena_dev_make_default(struct arena_dev *dev)
{
	struct arena_config config = {
		.capacity = arena_dev_capacity(),
	};
	int err = 0;

	/*
	 * Acquire: pairs with the smp_store_release() in arena_dev_make(): a caller that finds the
	 * pointer set finds the arena initialised.
	 */
	if (smp_load_acquire(&dev->arena))
		return 0;
	if (down_write_killable(&dev->lock))
		return -EINTR;
	if (!dev->arena)
		err = arena_dev_make(dev, &config, 0);
	up_write(&dev->lock);
	return err;
}

/* The operations of files, and ARENA_IOC_DUP. */

static const struct file_operations arena_fops = {
	.owner		= THIS_MODULE,
	.open		= arena_open,
	.release	= arena_release,
	.unlocked_ioctl	= arena_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= arena_show_fdinfo,
	.mmap		= arena_mmap,
	/* fsync() has nothing to do, as for shmem: no storage stands behind the pages. */
	.fsync		= noop_fsync,
	.poll		= arena_poll,
	/* thp_get_unmapped_area() aligns mappings, so that a PMD can map a slab. */
	.get_unmapped_area = thp_get_unmapped_area,
};

/*
 * Open a further file of @from's arena, with @rights. dentry_open() opens the device node once
 * more, at the path of @from, so security modules and fsnotify watches see an open like any other.
 */
struct file *arena_file_open(const struct arena_file *from, u32 rights)
{
	int mode = rights & ARENA_RIGHT_WRITE ? O_RDWR : O_RDONLY;
	struct arena_dup dup = {
		.task = current,
		.af   = arena_file_create(from->dev, rights),
	};
	struct file *file;

	if (!dup.af)
		return ERR_PTR(-ENOMEM);
	arena_dup_begin(&dup);
	file = dentry_open(&from->file->f_path, mode | O_LARGEFILE, current_cred());
	arena_dup_end(&dup);
	if (!dup.af)
		return file;
	/* The open failed before arena_open() took dup.af. */
	arena_file_destroy(dup.af);
	if (WARN_ON_ONCE(!IS_ERR(file))) {
		fput(file);
		return ERR_PTR(-ENODEV);
	}
	return file;
}

/* Kernel code that uses an arena of a program. */

static struct arena_dev *arena_hold(struct file *file, u32 rights)
{
	struct arena_file *af = file->private_data;
	struct arena_dev *dev;
	int err;

	if (file->f_op != &arena_fops)
		return ERR_PTR(-EINVAL);
	if (rights & ~af->rights)
		return ERR_PTR(-EACCES);
	dev = af->dev;
	err = arena_dev_make_default(dev);
	if (err)
		return ERR_PTR(err);
	if (down_read_killable(&dev->lock))
		return ERR_PTR(-EINTR);
	if (dev->flags & ARENA_SEALED && rights & ~ARENA_RIGHT_READ) {
		up_read(&dev->lock);
		return ERR_PTR(-EPERM);
	}
	arena_dev_get(dev);
	atomic_inc(&dev->holds);
	atomic_inc(&dev->allocators);
	up_read(&dev->lock);
	return dev;
}

/**
 * arena_get_from_fd() - Hold the arena behind a descriptor of a program.
 * @fd:	    a descriptor of the calling task, from opening /dev/arena or from ARENA_IOC_DUP.
 * @rights: ARENA_RIGHT_* that the descriptor must have.
 *
 * Until arena_unhold(), resets, rewinds and ARENA_IOC_SEAL by the program are refused with EBUSY,
 * and the memory stays even if the program closes its descriptors or is killed (clause 23). The
 * caller may use arena_alloc() and its kin on what arena_dev_arena() returns, for objects that are
 * no larger than a slab, but must not reset the arena, nor drop a reference that it has not taken.
 *
 * The program may write to all memory of the arena at any time. So the caller must read each value
 * there once, and check the value before relying on it. The allocator itself relies on nothing in
 * that memory. If the arena is sealed, the caller can ask for %ARENA_RIGHT_READ only, and must
 * neither allocate nor write there. Sealed bytes never change, so the caller may read them twice.
 *
 * The allocator zeroes objects if __GFP_ZERO or %ARENA_SETUP_ZERO asks for that, but ignores
 * init_on_alloc, as the program can write to the objects anyway.
 *
 * Context: Task, may sleep; killable.
 * Return: The arena that is held; or ERR_PTR() of -EBADF if @fd is not open; -EINVAL if it is no
 * descriptor of an arena; -EACCES if it does not have all of @rights; -EPERM if the arena is sealed
 * and @rights has more than %ARENA_RIGHT_READ; -ENOMEM; -EINTR if the task is being killed.
 */
struct arena_dev *arena_get_from_fd(int fd, u32 rights)
{
	struct file *file = fget(fd);
	struct arena_dev *dev;

	if (!file)
		return ERR_PTR(-EBADF);
	dev = arena_hold(file, rights);
	fput(file);
	return dev;
}
EXPORT_SYMBOL_GPL(arena_get_from_fd);

/**
 * arena_dev_arena() - The struct arena of an arena that is held, for calls such as arena_alloc().
 * @dev: from arena_get_from_fd().
 *
 * Context: Any.
 * Return: The arena, valid until arena_unhold(). The caller must not pass it to arena_put() or
 * arena_destroy().
 */
struct arena *arena_dev_arena(const struct arena_dev *dev)
{
	return dev->arena;
}
EXPORT_SYMBOL_GPL(arena_dev_arena);

/**
 * arena_unhold() - Stop holding an arena that arena_get_from_fd() has returned.
 * @dev: the arena, not NULL.
 *
 * Context: Task, may sleep: frees the arena if no file and no mapping of it is left.
 */
void arena_unhold(struct arena_dev *dev)
{
	/*
	 * Release: the caller's accesses to objects come before a reset or seal that finds @holds
	 * at 0. Pairs with atomic_read_acquire() in arena_dev_begin_reset() and arena_dev_seal().
	 */
	(void)atomic_dec_return_release(&dev->holds);
	arena_allocator_gone(dev);
	arena_dev_put(dev);
}
EXPORT_SYMBOL_GPL(arena_unhold);

static struct miscdevice arena_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "arena",
	.fops	= &arena_fops,
	.mode	= 0600,
};

int arena_device_init(void)
{
	int err;

	arena_mnt = kern_mount(&arena_fs_type);
	if (IS_ERR(arena_mnt))
		return PTR_ERR(arena_mnt);
	err = misc_register(&arena_misc);
	if (err)
		kern_unmount(arena_mnt);
	return err;
}

/* The module is being unloaded, so no file is open: each open file keeps the module loaded. */
void arena_device_exit(void)
{
	misc_deregister(&arena_misc);
	kern_unmount(arena_mnt);
}
