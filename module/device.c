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
 * The inode lies on a file system of our own that is mounted as long as there
 * is an arena_dev. It is there for its i_mapping, which all files of one arena
 * share and files of different arenas do not: so a reset finds the mappings
 * that it must revoke, and only them. The inode of the device node would be
 * shared by everybody. Its i_fop refuses to open anything, so a descriptor of
 * %ARENA_IOC_DUP cannot be had again with more rights by way of /proc.
 *
 * Locks: arena_dev.lock, nothing else. It is taken inside of mmap_lock (or the
 * lock of a VMA) by faults and by mmap(), and page table locks and i_mmap_rwsem
 * nest inside of it. Therefore, and because user memory may take forever to
 * arrive, nobody touches user memory while holding it (clause 24): arguments
 * are copied in before and out afterwards.
 *
 *  - For reading: whoever needs the arena to stay in its generation and its
 *    slabs to stay committed, which is allocation and page faults.
 *  - For writing: SETUP, the first use, and resets, which thus wait for calls
 *    under way.
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
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/nospec.h>
#include <linux/pseudo_fs.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <uapi/linux/arena.h>

#include "compat.h"
#include "internal.h"

#define ARENA_FS_MAGIC		0x4152454e	/* "AREN" */

/* What an arena gets that is used before it is set up. */
#define ARENA_DEFAULT_CAPACITY	SZ_64M

/* What an object is aligned to that asks for nothing else: alike on all machines. */
#define ARENA_DEFAULT_ALIGN	8

/*
 * For memory of ours: charged, and a failure is an errno and not a reason to
 * kill anybody (clause 21).
 */
#define ARENA_DEV_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

static unsigned int max_arenas = 1024;
module_param(max_arenas, uint, 0644);
MODULE_PARM_DESC(max_arenas, "Arenas that programs may have open at the same time");

static atomic_t nr_arenas = ATOMIC_INIT(0);

/**
 * struct arena_dev - an arena that programs use.
 * @refs:	files, and kernel code that holds the arena.
 * @holds:	the latter. Taken with @lock held for reading: a reset, which has it
 *		for writing, sees all or comes first.
 * @lock:	see above.
 * @arena:	NULL until set up or first used.
 * @flags:	ARENA_SETUP_* of @arena.
 * @inode:	its i_mapping is what all files map.
 * @memcg:	of the process that opened; pays for everything. May be NULL.
 */
struct arena_dev {
	refcount_t		refs;
	atomic_t		holds;
	struct rw_semaphore	lock;
	struct arena		*arena;
	u32			flags;
	struct inode		*inode;
	struct mem_cgroup	*memcg;
};

/**
 * struct arena_file - private_data of a file.
 * @dev:	the arena, a reference.
 * @rights:	ARENA_RIGHT_* of whoever has the file. Never changes.
 */
struct arena_file {
	struct arena_dev	*dev;
	u32			rights;
};

/* The file system. Its type has an owner: a superblock keeps the module. */

static struct vfsmount *arena_mnt;
static int arena_mnt_count;

static int arena_fs_init(struct fs_context *fc)
{
	if (!init_pseudo(fc, ARENA_FS_MAGIC))
		return -ENOMEM;
	fc->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	return 0;
}

static struct file_system_type arena_fs_type = {
	.name			= "arenafs",
	.owner			= THIS_MODULE,
	.init_fs_context	= arena_fs_init,
	.kill_sb		= kill_anon_super,
};

/* Lifetime. */

static bool arena_count_get(void)
{
	int limit = min_t(unsigned int, READ_ONCE(max_arenas), INT_MAX);
	int nr = atomic_read(&nr_arenas);

	do {
		if (nr >= limit)
			return false;
	} while (!atomic_try_cmpxchg(&nr_arenas, &nr, nr + 1));
	return true;
}

static void arena_count_put(void)
{
	atomic_dec(&nr_arenas);
}

static int arena_dev_init_inode(struct arena_dev *dev)
{
	int err = simple_pin_fs(&arena_fs_type, &arena_mnt, &arena_mnt_count);

	if (err)
		return err;
	dev->inode = alloc_anon_inode(arena_mnt->mnt_sb);
	if (!IS_ERR(dev->inode))
		return 0;
	simple_release_fs(&arena_mnt, &arena_mnt_count);
	return PTR_ERR(dev->inode);
}

static struct arena_dev *arena_dev_create(void)
{
	struct arena_dev *dev;
	int err = -ENFILE;

	if (!arena_count_get())
		return ERR_PTR(err);
	err = -ENOMEM;
	dev = kzalloc_obj(*dev, ARENA_DEV_GFP);
	if (!dev)
		goto put_count;
	refcount_set(&dev->refs, 1);
	init_rwsem(&dev->lock);
	err = arena_dev_init_inode(dev);
	if (err)
		goto free_dev;
	dev->memcg = get_mem_cgroup_from_mm(current->mm);
	return dev;

free_dev:
	kfree(dev);
put_count:
	arena_count_put();
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
	if (dev->arena)
		arena_destroy(dev->arena);
	iput(dev->inode);
	simple_release_fs(&arena_mnt, &arena_mnt_count);
	mem_cgroup_put(dev->memcg);
	kfree(dev);
	arena_count_put();
}

static struct arena_file *arena_file_create(struct arena_dev *dev, u32 rights)
{
	struct arena_file *af = kzalloc_obj(*af, ARENA_DEV_GFP);

	if (!af)
		return NULL;
	arena_dev_get(dev);
	af->dev = dev;
	af->rights = rights;
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
static int arena_open(struct inode *inode, struct file *file)
{
	const fmode_t both = FMODE_READ | FMODE_WRITE;
	struct arena_dev *dev;
	struct arena_file *af;

	if ((file->f_mode & both) != both)
		return -EACCES;
	dev = arena_dev_create();
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	af = arena_file_create(dev, ARENA_RIGHTS_ALL);
	if (af) {
		file->private_data = af;
		file->f_mapping = dev->inode->i_mapping;
	}
	/* The file has a reference of its own now. */
	arena_dev_put(dev);
	return af ? 0 : -ENOMEM;
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
static int arena_dev_make(struct arena_dev *dev, struct arena_config *config, u32 flags)
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
	arena = __arena_create(config, ARENA_MAPPABLE);
	set_active_memcg(old);
	if (IS_ERR(arena))
		return PTR_ERR(arena);
	arena->owner = dev;
	dev->flags = flags;
	/* Pairs with the smp_load_acquire() in arena_dev_settle(). */
	smp_store_release(&dev->arena, arena);
	return 0;
}

/* Make sure that there is an arena: the default one if need be. */
static int arena_dev_settle(struct arena_dev *dev)
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

/* Ioctls. */

union arena_args {
	u32				size;
	struct arena_setup_args		setup;
	struct arena_alloc_args		alloc;
	struct arena_store_args		store;
	struct arena_offset_args	offset;
	struct arena_reset_args		reset;
	struct arena_info_args		info;
	struct arena_dup_args		dup;
};

/**
 * struct arena_call - one ioctl in progress.
 * @file:	on what.
 * @user:	the caller's struct.
 * @bytes:	how much of it both sides know.
 * @args:	our copy of it; zero behind @bytes.
 * @staged:	what STORE copies.
 */
struct arena_call {
	struct arena_file	*file;
	void __user		*user;
	size_t			bytes;
	union arena_args	args;
	void			*staged;
};

static int arena_copy_out(const struct arena_call *call)
{
	return copy_to_user(call->user, &call->args, call->bytes) ? -EFAULT : 0;
}

/* All names end, are printable, and can be the name of a file. */
static bool arena_name_ok(const char *name)
{
	size_t len = strnlen(name, ARENA_NAME_LEN), i;

	if (len == ARENA_NAME_LEN || memchr_inv(name + len, 0, ARENA_NAME_LEN - len))
		return false;
	for (i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return true;
}

static int arena_check_setup(const union arena_args *args)
{
	const struct arena_setup_args *setup = &args->setup;

	if (setup->flags & ~(ARENA_SETUP_SPANS | ARENA_SETUP_ZERO) || setup->__reserved)
		return -EINVAL;
	if (!arena_name_ok(setup->name))
		return -EINVAL;
	if (setup->slab_size && (setup->slab_size < PAGE_SIZE ||
				 setup->slab_size > ARENA_SLAB_MAX ||
				 !is_power_of_2(setup->slab_size)))
		return -EINVAL;
	return setup->capacity > arena_capacity_max() ? -EFBIG : 0;
}

static int arena_do_setup(struct arena_call *call)
{
	const struct arena_setup_args *setup = &call->args.setup;
	struct arena_dev *dev = call->file->dev;
	struct arena_config config = {
		.name	   = setup->name,
		.capacity  = setup->capacity ?:
			     min_t(size_t, ARENA_DEFAULT_CAPACITY, arena_capacity_max()),
		.slab_size = setup->slab_size,
	};
	int err = -EBUSY;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	if (!dev->arena)
		err = arena_dev_make(dev, &config, setup->flags);
	up_write(&dev->lock);
	return err;
}

/*
 * Allocate, and copy from @src unless that is NULL. Nothing here touches user
 * memory: see clause 24.
 */
static int arena_dev_claim(struct arena_dev *dev, const void *src, u64 bytes, u64 align,
			   gfp_t gfp, struct arena_place *place)
{
	int err;

	/* On 32 bits. */
	if (bytes > SIZE_MAX)
		return -ENOSPC;
	if (align > SIZE_MAX)
		return -EINVAL;
	align = align ?: ARENA_DEFAULT_ALIGN;
	if (down_read_killable(&dev->lock))
		return -EINTR;
	if (src)
		err = arena_claim_copy(dev->arena, src, bytes, align, gfp, place);
	else
		err = arena_claim(dev->arena, bytes, align, gfp, place);
	up_read(&dev->lock);
	return err;
}

static int arena_check_alloc(const union arena_args *args)
{
	return args->alloc.flags & ~ARENA_ALLOC_ZERO ? -EINVAL : 0;
}

static int arena_do_alloc(struct arena_call *call)
{
	struct arena_alloc_args *alloc = &call->args.alloc;
	gfp_t gfp = GFP_KERNEL;
	struct arena_place place;
	int err;

	if (alloc->flags & ARENA_ALLOC_ZERO)
		gfp |= __GFP_ZERO;
	err = arena_dev_claim(call->file->dev, NULL, alloc->bytes, alloc->align, gfp, &place);
	if (err)
		return err;
	alloc->offset = place.offset;
	alloc->generation = place.generation;
	return 0;
}

static int arena_check_store(const union arena_args *args)
{
	const struct arena_store_args *store = &args->store;

	if (store->flags || !store->bytes)
		return -EINVAL;
	if (store->bytes > ARENA_STORE_MAX)
		return -EMSGSIZE;
	/* On 32 bits, what the cast of the address would cut off. */
	return store->src > ULONG_MAX ? -EFAULT : 0;
}

static int arena_do_store(struct arena_call *call)
{
	struct arena_store_args *store = &call->args.store;
	struct arena_place place;
	int err;

	err = arena_dev_claim(call->file->dev, call->staged, store->bytes, store->align,
			      GFP_KERNEL, &place);
	if (err)
		return err;
	store->offset = place.offset;
	store->generation = place.generation;
	return 0;
}

static int arena_check_offset(const union arena_args *args)
{
	return args->offset.__reserved ? -EINVAL : 0;
}

static int arena_do_offset(struct arena_call *call)
{
	struct arena_offset_args *offset = &call->args.offset;
	struct arena_dev *dev = call->file->dev;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	offset->offset = arena_offset(dev->arena);
	offset->high = arena_high(dev->arena);
	offset->generation = arena_peek(dev->arena).generation;
	up_read(&dev->lock);
	return 0;
}

static int arena_check_reset(const union arena_args *args)
{
	const struct arena_reset_args *reset = &args->reset;

	if (reset->flags || reset->__reserved || reset->mode > ARENA_RESET_ZERO)
		return -EINVAL;
	return reset->keep && reset->mode != ARENA_RESET_RELEASE ? -EINVAL : 0;
}

static int arena_reset_keep(struct arena *arena)
{
	int err = arena_reset(arena);

	if (err != -EBUSY)
		return err;
	/* Millions of resets and no grace period: make one. */
	synchronize_rcu();
	return arena_reset(arena);
}

/* Everybody touching the arena by a call or a fault is gone or waits. */
static int arena_dev_reset(struct arena_dev *dev, u32 mode, u64 keep)
{
	lockdep_assert_held_write(&dev->lock);
	switch (mode) {
	case ARENA_RESET_KEEP:
		return arena_reset_keep(dev->arena);
	case ARENA_RESET_RELEASE:
		unmap_mapping_range(dev->inode->i_mapping, 0, 0, 1);
		arena_reset_release(dev->arena, min_t(u64, keep, arena_capacity(dev->arena)));
		return 0;
	default:
		arena_reset_zero(dev->arena);
		return 0;
	}
}

static int arena_do_reset(struct arena_call *call)
{
	struct arena_reset_args *reset = &call->args.reset;
	struct arena_dev *dev = call->file->dev;
	int err;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	/* Kernel code has pointers into it (clause 23). */
	err = atomic_read(&dev->holds) ? -EBUSY :
	      arena_dev_reset(dev, reset->mode, reset->keep);
	reset->generation = arena_peek(dev->arena).generation;
	up_write(&dev->lock);
	return err;
}

static int arena_check_info(const union arena_args *args)
{
	return args->info.__reserved ? -EINVAL : 0;
}

static void arena_fill_info(struct arena_info_args *info, const struct arena_stats *stats)
{
	info->generation = stats->generation;
	info->capacity = stats->capacity;
	info->used = stats->used;
	info->padding = stats->padding;
	info->free = stats->free;
	info->high = stats->high;
	info->peak = stats->peak;
	info->committed = stats->committed;
	info->committed_peak = stats->committed_peak;
	info->slab_size = stats->slab_size;
	info->slabs = stats->slabs;
	info->slabs_kept = stats->slabs_kept;
	info->resets = stats->resets;
	info->allocs = stats->allocs;
	info->fail_space = stats->fail_space;
	info->fail_memory = stats->fail_memory;
	info->fail_arg = stats->fail_arg;
	info->page_allocs = stats->page_allocs;
	info->page_frees = stats->page_frees;
	info->pool_hits = stats->pool_hits;
}

static int arena_do_info(struct arena_call *call)
{
	struct arena_info_args *info = &call->args.info;
	struct arena_dev *dev = call->file->dev;
	struct arena_stats stats;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	arena_stats(dev->arena, &stats);
	up_read(&dev->lock);
	info->flags = dev->flags;
	info->rights = call->file->rights;
	arena_fill_info(info, &stats);
	BUILD_BUG_ON(sizeof(info->name) != sizeof(dev->arena->name));
	memset(info->name, 0, sizeof(info->name));
	strscpy(info->name, dev->arena->name, sizeof(info->name));
	return 0;
}

static int arena_check_dup(const union arena_args *args)
{
	const struct arena_dup_args *dup = &args->dup;

	if (dup->flags || !dup->rights || dup->rights & ~ARENA_RIGHTS_ALL)
		return -EINVAL;
	if (dup->rights & ARENA_RIGHT_WRITE && !(dup->rights & ARENA_RIGHT_READ))
		return -EINVAL;
	return 0;
}

static const struct file_operations arena_fops;

static struct file *arena_file_open(struct arena_dev *dev, u32 rights)
{
	int mode = rights & ARENA_RIGHT_WRITE ? O_RDWR : O_RDONLY;
	struct arena_file *af = arena_file_create(dev, rights);
	struct file *file;

	if (!af)
		return ERR_PTR(-ENOMEM);
	/* Both are put by the last fput(). */
	ihold(dev->inode);
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(dev->inode, arena_mnt, "arena", mode, &arena_fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		iput(dev->inode);
		arena_file_destroy(af);
		return file;
	}
	file->private_data = af;
	return file;
}

/* The number is told before the file can be used: a fault there undoes everything. */
static int arena_do_dup(struct arena_call *call)
{
	struct arena_dup_args *dup = &call->args.dup;
	struct file *file;
	int err;

	if (dup->rights & ~call->file->rights)
		return -EACCES;
	dup->fd = get_unused_fd_flags(O_CLOEXEC);
	if (dup->fd < 0)
		return dup->fd;
	file = arena_file_open(call->file->dev, dup->rights);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto put_fd;
	}
	err = arena_copy_out(call);
	if (err)
		goto put_file;
	fd_install(dup->fd, file);
	return 0;

put_file:
	fput(file);
put_fd:
	put_unused_fd(dup->fd);
	return err;
}

/* What the dispatcher does for a command. */
#define ARENA_OP_SETTLE		BIT(0)	/* see to it that there is an arena */
#define ARENA_OP_PROBE		BIT(1)	/* do not start if the result cannot be told */
#define ARENA_OP_OUT		BIT(2)	/* copy the struct back */
#define ARENA_OP_STAGE		BIT(3)	/* copy in what STORE stores */

/**
 * struct arena_op - one command.
 * @cmd:	its full number.
 * @min_size:	bytes in the first version of its struct.
 * @size:	bytes in today's.
 * @rights:	what the descriptor must have.
 * @flags:	ARENA_OP_*.
 * @check:	looks at the arguments alone; changes nothing.
 * @run:	does it.
 */
struct arena_op {
	unsigned int	cmd;
	unsigned int	min_size;
	unsigned int	size;
	u32		rights;
	u32		flags;
	int		(*check)(const union arena_args *args);
	int		(*run)(struct arena_call *call);
};

/* @_last is the last member of the first version. */
#define ARENA_OP(_CMD, _name, _last, _rights, _flags)				\
	[_IOC_NR(ARENA_IOC_##_CMD)] = {						\
		.cmd	  = ARENA_IOC_##_CMD,					\
		.min_size = offsetofend(struct arena_##_name##_args, _last),	\
		.size	  = sizeof(struct arena_##_name##_args),		\
		.rights	  = _rights,						\
		.flags	  = _flags,						\
		.check	  = arena_check_##_name,				\
		.run	  = arena_do_##_name,					\
	}

static const struct arena_op arena_ops[] = {
	ARENA_OP(SETUP, setup, name, ARENA_RIGHT_RESET, 0),
	ARENA_OP(ALLOC, alloc, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_SETTLE | ARENA_OP_PROBE | ARENA_OP_OUT),
	ARENA_OP(STORE, store, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_SETTLE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_STAGE),
	ARENA_OP(OFFSET, offset, generation, 0, ARENA_OP_SETTLE | ARENA_OP_OUT),
	ARENA_OP(RESET, reset, generation, ARENA_RIGHT_RESET,
		 ARENA_OP_SETTLE | ARENA_OP_PROBE | ARENA_OP_OUT),
	ARENA_OP(INFO, info, name, 0, ARENA_OP_SETTLE | ARENA_OP_OUT),
	ARENA_OP(DUP, dup, fd, 0, ARENA_OP_SETTLE),
};

static const struct arena_op *arena_find_op(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (nr >= ARRAY_SIZE(arena_ops))
		return NULL;
	nr = array_index_nospec(nr, ARRAY_SIZE(arena_ops));
	return arena_ops[nr].cmd == cmd ? &arena_ops[nr] : NULL;
}

/* Clause 18. Nobody needs more than a page; and looking at gigabytes takes its time. */
static int arena_copy_in(struct arena_call *call, const struct arena_op *op)
{
	u32 size;
	int err;

	if (get_user(size, (u32 __user *)call->user))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&call->args, op->size, call->user, size);
	if (err)
		return err;
	/* The caller may have changed it in between. */
	call->args.size = size;
	call->bytes = min(size, op->size);
	return 0;
}

/* Bounded by ARENA_STORE_MAX. May wait for a page of the caller's for ever, with no lock held. */
static int arena_stage(struct arena_call *call)
{
	const struct arena_store_args *store = &call->args.store;

	call->staged = kvmalloc(store->bytes, ARENA_DEV_GFP);
	if (!call->staged)
		return -ENOMEM;
	if (copy_from_user(call->staged, u64_to_user_ptr(store->src), store->bytes))
		return -EFAULT;
	return 0;
}

static int arena_run_op(struct arena_call *call, const struct arena_op *op)
{
	int err = op->check(&call->args);

	if (!err && op->flags & ARENA_OP_STAGE)
		err = arena_stage(call);
	/* Writes what is there already: not seen if the call fails later. */
	if (!err && op->flags & ARENA_OP_PROBE)
		err = arena_copy_out(call);
	if (!err && op->flags & ARENA_OP_SETTLE)
		err = arena_dev_settle(call->file->dev);
	if (!err)
		err = op->run(call);
	if (!err && op->flags & ARENA_OP_OUT)
		err = arena_copy_out(call);
	return err;
}

static long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct arena_op *op = arena_find_op(cmd);
	struct arena_call call = {
		.file = file->private_data,
		.user = (void __user *)arg,
	};
	int err;

	if (!op)
		return -ENOTTY;
	if (op->rights & ~call.file->rights)
		return -EACCES;
	err = arena_copy_in(&call, op);
	if (!err)
		err = arena_run_op(&call, op);
	kvfree(call.staged);
	return err;
}

/* Mappings. */

/*
 * The mapping of a file keeps it, so the arena is there. Per-VMA locks do as
 * well as mmap_lock: nothing here depends on the VMA's neighbours.
 */
static vm_fault_t arena_fault(struct vm_fault *vmf)
{
	struct arena_file *af = vmf->vma->vm_file->private_data;
	struct arena_dev *dev = af->dev;
	struct page *page;
	int err = -EFAULT;

	/* Whoever is to die need not wait. */
	if (down_read_killable(&dev->lock))
		return VM_FAULT_SIGBUS;
	page = arena_page(dev->arena, (size_t)vmf->pgoff << PAGE_SHIFT);
	if (page)
		err = vm_insert_page(vmf->vma, vmf->address, page);
	up_read(&dev->lock);

	switch (err) {
	case 0:
	case -EBUSY:	/* another thread was faster */
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:	/* not committed */
		return VM_FAULT_SIGBUS;
	}
}

static const struct vm_operations_struct arena_vm_ops = {
	.fault = arena_fault,
};

/*
 * VM_MAYSHARE and not VM_SHARED: that is what is left of MAP_SHARED when the
 * file is not open for writing.
 */
static int arena_may_map(const struct arena_file *af, unsigned long vm_flags)
{
	if (!(vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vm_flags & VM_EXEC)
		return -EPERM;
	if (!(af->rights & ARENA_RIGHT_READ))
		return -EACCES;
	if (vm_flags & VM_WRITE && !(af->rights & ARENA_RIGHT_WRITE))
		return -EACCES;
	return 0;
}

static int arena_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct arena_file *af = file->private_data;
	unsigned long clear = VM_MAYEXEC, pages;
	int err;

	err = arena_may_map(af, vma->vm_flags);
	if (err)
		return err;
	err = arena_dev_settle(af->dev);
	if (err)
		return err;
	pages = DIV_ROUND_UP(arena_capacity(af->dev->arena), PAGE_SIZE);
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -ENXIO;

	/* By our rights, whatever the mode of the file: for mprotect(). */
	if (!(af->rights & ARENA_RIGHT_WRITE))
		clear |= VM_MAYWRITE;
	arena_vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP, clear);
	vma->vm_ops = &arena_vm_ops;
	return 0;
}

static const struct file_operations arena_fops = {
	.owner		= THIS_MODULE,
	.open		= arena_open,
	.release	= arena_release,
	.unlocked_ioctl	= arena_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= arena_mmap,
};

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
 * arena_alloc() and its kin, but none larger than a slab, and no resets.
 *
 * The program may be writing to all of it at any time: read each thing once, and
 * check it. Nothing that the allocator relies on lies there.
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
	atomic_dec(&dev->holds);
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
	return misc_register(&arena_misc);
}

/* No file is open: each keeps the module. */
void arena_device_exit(void)
{
	misc_deregister(&arena_misc);
}
