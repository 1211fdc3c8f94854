// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: arenas for programs.
 */
/**
 * DOC: What there is behind a descriptor
 *
 * ::
 *
 *   file of open() --.                             .--> inode, its mapping
 *                     >-- struct arena_file --> struct arena_dev --> struct arena
 *   file of DUP -----'      (the rights)
 *
 * Each struct file has one arena_file, and holds a reference to the arena_dev,
 * which owns the arena. A mapping holds its file, so descriptors and mappings
 * together keep the arena (clause 17), and files keep the module (clause 22).
 *
 * Each file, a duplicate included, is an open of the device node: its inode, label, watches
 * and locks are those of the node. ARENA_IOC_DUP opens the path of its descriptor once more
 * and leaves word, in a struct arena_dup, which arena the open is for. Opening a duplicate by
 * way of /proc is thus an open of the node, too, and makes a fresh arena.
 *
 * The inode of an arena is there for its i_mapping alone, which all files of one arena
 * share and files of different arenas do not: so a reset finds the mappings
 * that it must revoke, and only them. The inode of the device node would be
 * shared by everybody. No path leads to the inode of an arena and no file shows it, so
 * nothing can watch, lock or open it, and closing waits for no such thing. It goes with the
 * arena; its file system is mounted as long as the module is loaded.
 *
 * A page gets the mapping of that inode, and its place there as index, before it is mapped:
 * by these the kernel names a futex that processes share. Nothing is in the page cache.
 * arena_block_put() takes the mapping away, when the page is mapped no longer, with the
 * page locked: a task that holds a reference may mark the page dirty until then.
 *
 * Locks: arena_dev.lock, and small ones below. It is taken inside of mmap_lock (or the
 * lock of a VMA) by faults and by mmap(), and page table locks and i_mmap_rwsem
 * nest inside of it. Therefore, and because user memory may take forever to
 * arrive, nobody touches user memory while holding it (clause 24): arguments
 * are copied in before and out afterwards.
 *
 *  - For reading: whoever needs the arena to stay in its generation and its
 *    slabs to stay committed, which is allocation and page faults.
 *  - For writing: SETUP, the first use, making the status page, and resets, which
 *    thus wait for calls under way.
 *
 * Three that nest in it, and in which nothing nests: arena_dev.status_lock is for who
 * writes the status page, arena_file.watch_lock for what one file waits for, and
 * that of arena_dev.wait for who waits. The first and the last are taken in
 * interrupts, by arena_notify()'s work. A fourth, arena_dev.map_lock, is held by faults
 * where slabs may be mapped by PMDs, while they change the page table.
 *
 * Revocation (clause 20): a fault looks up the page and inserts it into the page
 * table with the lock held for reading; a reset that releases slabs unmaps and
 * releases with the lock held for writing. So a page table entry made by a fault
 * is either seen by the reset's unmapping, or made after it from what is still
 * committed then.
 *
 * arena_dev.arena is set once, with the lock held for writing, and stays until
 * the last file is gone: who has seen it may use it without the lock.
 */
#include <linux/mm.h>	/* before fs.h, which on i386 needs it */
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/miscdevice.h>
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
 * The file system of the inodes. Its type has no owner and it is mounted as long as the
 * module is loaded: no path leads to it, so only arenas use it, and files keep the module.
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

/* Lifetime. */

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

/* May sleep: the last one frees all of the arena's memory. */
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
	arena_watch_open(af);
	return af;
}

static void arena_file_destroy(struct arena_file *af)
{
	arena_dev_put(af->dev);
	kfree(af);
}

/*
 * Nothing but O_RDWR: a new arena that one cannot write is of no use to anyone,
 * and a way to fewer rights is there with ARENA_IOC_DUP.
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
	/* The file has a reference of its own now. */
	arena_dev_put(dev);
	return af ?: ERR_PTR(-ENOMEM);
}

/**
 * struct arena_dup - an ARENA_IOC_DUP that is opening its file.
 * @node:  in the list of all.
 * @task:  the caller: the open that it does meanwhile is for this.
 * @af:	   what the file is to have; NULL once arena_open() has given it that.
 *
 * On the caller's stack. The lock protects the list and nothing else: the caller alone
 * uses the rest.
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

/* What the caller's ARENA_IOC_DUP has prepared for this open, or NULL: then it is another's. */
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
	/* The descriptor is not installed yet: no mapping of the device node was made by it. */
	file->f_mapping = af->dev->inode->i_mapping;
	return 0;
}

/* May sleep, see arena_dev_put(). */
static int arena_release(struct inode *inode, struct file *file)
{
	arena_file_destroy(file->private_data);
	return 0;
}

/* First use. */

/*
 * @dev->lock is held for writing, and there is no arena yet. The opener pays
 * for the arena, whoever uses it first (clause 21).
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
	arena = __arena_create(config, ARENA_MAPPABLE, dev->budget);
	set_active_memcg(old);
	if (IS_ERR(arena))
		return PTR_ERR(arena);
	arena->owner = dev;
	/*
	 * Not at each allocation what init_on_alloc asks of the kernel's own memory:
	 * slabs are zero when programs first see them, and from then on programs may
	 * write to them at any time.
	 */
	arena->zero = flags & ARENA_SETUP_ZERO;
	dev->flags = flags;
	/* Pairs with the smp_load_acquire() in arena_dev_settle(). */
	smp_store_release(&dev->arena, arena);
	return 0;
}

/* Make sure that there is an arena: the default one if need be. */
int arena_dev_settle(struct arena_dev *dev)
{
	struct arena_config config = {
		.capacity = min_t(size_t, ARENA_DEFAULT_CAPACITY, arena_capacity_max()),
	};
	int err = 0;

	/*
	 * Pairs with the smp_store_release() in arena_dev_make(): who sees the
	 * pointer sees the arena made.
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

/* Files. */

static const struct file_operations arena_fops = {
	.owner		= THIS_MODULE,
	.open		= arena_open,
	.release	= arena_release,
	.unlocked_ioctl	= arena_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= arena_show_fdinfo,
	.mmap		= arena_mmap,
	/* As shared memory: there is nothing behind it to write to. */
	.fsync		= noop_fsync,
	.poll		= arena_poll,
	/* Aligned, so that slabs can be mapped by a PMD. */
	.get_unmapped_area = thp_get_unmapped_area,
};

/*
 * A further file of @from's arena, with rights of its own. It is opened as the device node
 * is, at the same path, so security modules and watches see what they see of any open.
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
	/* arena_open() was not reached. */
	arena_file_destroy(dup.af);
	if (WARN_ON_ONCE(!IS_ERR(file))) {
		fput(file);
		return ERR_PTR(-ENODEV);
	}
	return file;
}

/* Kernel code that uses an arena of a program. */

static struct arena *arena_hold(struct file *file, u32 rights)
{
	struct arena_file *af = file->private_data;
	struct arena_dev *dev;
	int err;

	if (file->f_op != &arena_fops)
		return ERR_PTR(-EINVAL);
	if (rights & ~af->rights)
		return ERR_PTR(-EACCES);
	dev = af->dev;
	err = arena_dev_settle(dev);
	if (err)
		return ERR_PTR(err);
	if (down_read_killable(&dev->lock))
		return ERR_PTR(-EINTR);
	arena_dev_get(dev);
	atomic_inc(&dev->holds);
	up_read(&dev->lock);
	return dev->arena;
}

/**
 * arena_get_from_fd() - Hold the arena behind a descriptor of a program.
 * @fd:	    of the calling task; of /dev/arena, or from ARENA_IOC_DUP.
 * @rights: ARENA_RIGHT_* that the descriptor must have.
 *
 * Until arena_unhold(), resets by the program are refused with EBUSY, and memory
 * stays when it closes its descriptors or is killed (clause 23). The arena takes
 * arena_alloc() and its kin, for nothing larger than a slab, and no resets.
 *
 * The program may be writing to all of it at any time: read each thing once, and
 * check it. Nothing that the allocator relies on lies there. For that reason, too,
 * objects are zeroed if asked for by __GFP_ZERO or %ARENA_SETUP_ZERO, and not for
 * init_on_alloc.
 *
 * Context: Task, may sleep; killable.
 * Return: The arena; ERR_PTR(): -EBADF, -EINVAL if it is not a descriptor of an
 * arena, -EACCES, -ENOMEM, -EINTR.
 */
struct arena *arena_get_from_fd(int fd, u32 rights)
{
	struct file *file = fget(fd);
	struct arena *arena;

	if (!file)
		return ERR_PTR(-EBADF);
	arena = arena_hold(file, rights);
	fput(file);
	return arena;
}
EXPORT_SYMBOL_GPL(arena_get_from_fd);

/**
 * arena_unhold() - Stop using an arena that arena_get_from_fd() gave.
 * @arena: the arena, not NULL.
 *
 * Context: Task, may sleep: if the program is gone, so is the arena now.
 */
void arena_unhold(struct arena *arena)
{
	struct arena_dev *dev = arena->owner;

	if (WARN_ON_ONCE(!dev))
		return;
	/*
	 * Release: what was done to the objects comes before a reset that this permits. Pairs
	 * with atomic_read_acquire() in arena_do_reset() and arena_do_rewind().
	 */
	(void)atomic_dec_return_release(&dev->holds);
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

/* No file is open: each keeps the module. */
void arena_device_exit(void)
{
	misc_deregister(&arena_misc);
	kern_unmount(arena_mnt);
}
