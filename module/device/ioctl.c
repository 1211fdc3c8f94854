// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: the ioctls. The dispatcher copies arguments in and out, driven by the table of
 * commands near the end, so that no command touches user memory with a lock held (clause 24).
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/nospec.h>
#include <linux/numa.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device/ioctl.h"

/* The flags of struct arena_setup_args. */
#define ARENA_SETUP_KNOWN	(ARENA_SETUP_SPANS | ARENA_SETUP_ZERO)

int arena_copy_out(const struct arena_call *call)
{
	return copy_to_user(call->user, &call->args, call->bytes) ? -EFAULT : 0;
}

/* A name must end within its array, be printable ASCII, and be usable as a file name. */
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

static struct arena_config arena_setup_config(const struct arena_setup_args *setup)
{
	return (struct arena_config) {
		.name	   = setup->name,
		.capacity  = setup->capacity ?: arena_dev_capacity(),
		.slab_size = setup->slab_size,
	};
}

static int arena_check_setup(const union arena_args *args)
{
	const struct arena_setup_args *setup = &args->setup;
	struct arena_config config;

	if (setup->flags & ~ARENA_SETUP_KNOWN || setup->__reserved)
		return -EINVAL;
	if (!arena_name_ok(setup->name))
		return -EINVAL;
	if (setup->capacity > arena_capacity_max())
		return -EFBIG;
	config = arena_setup_config(setup);
	return arena_config_check(&config);
}

static int arena_do_setup(struct arena_call *call)
{
	const struct arena_setup_args *setup = &call->args.setup;
	struct arena_dev *dev = call->file->dev;
	struct arena_config config = arena_setup_config(setup);
	int err = -EBUSY;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	if (!dev->arena)
		err = arena_dev_make(dev, &config, setup->flags);
	up_write(&dev->lock);
	return err;
}

static int arena_check_alloc(const union arena_args *args)
{
	return arena_alloc_flags_ok(args->alloc.flags) ? 0 : -EINVAL;
}

/* Inline, because ARENA_IOC_ALLOC does little else and is the most frequent ioctl. */
static __always_inline int arena_dev_alloc(struct arena_dev *dev, struct arena_alloc_args *alloc)
{
	struct arena_spot spot;
	int err = arena_dev_begin(dev);

	if (err)
		return err;
	spot = arena_claim_no_reset(dev->arena, alloc->bytes, alloc->align ?: ARENA_MIN_ALIGN,
				    arena_alloc_gfp(alloc->flags));
	arena_dev_up_read(dev);
	if (spot.offset < 0)
		return spot.offset;
	alloc->offset = spot.offset;
	alloc->generation = spot.generation;
	return 0;
}

static int arena_do_alloc(struct arena_call *call)
{
	return arena_dev_alloc(call->file->dev, &call->args.alloc);
}

static int arena_check_store(const union arena_args *args)
{
	const struct arena_store_args *store = &args->store;

	if (store->flags || !store->bytes)
		return -EINVAL;
	return store->bytes > ARENA_STORE_MAX ? -EMSGSIZE : 0;
}

/* Copy the source in. This may wait for ever in a page fault, so the caller holds no lock. */
static int arena_stage_store(struct arena_call *call)
{
	const struct arena_store_args *store = &call->args.store;

	call->staged = kvmalloc(store->bytes, ARENA_DEV_GFP);
	if (!call->staged)
		return -ENOMEM;
	if (copy_from_user(call->staged, u64_to_user_ptr(store->src), store->bytes))
		return -EFAULT;
	return 0;
}

/*
 * Allocate the object and copy the staged bytes, which are in kernel memory, into it: no user
 * memory is touched with the lock held.
 */
static int arena_do_store(struct arena_call *call)
{
	struct arena_store_args *store = &call->args.store;
	struct arena_dev *dev = call->file->dev;
	struct arena_place place;
	int err = arena_dev_begin(dev);

	if (err)
		return err;
	err = arena_claim_copy(dev->arena, call->staged, store->bytes, store->bytes,
			       store->align ?: ARENA_MIN_ALIGN, GFP_KERNEL, &place);
	arena_dev_up_read(dev);
	if (err)
		return err;
	store->offset = place.offset;
	store->generation = place.generation;
	return 0;
}

static int arena_check_lease(const union arena_args *args)
{
	const struct arena_lease_args *lease = &args->lease;

	return lease->flags || !lease->min || lease->want < lease->min ? -EINVAL : 0;
}

static int arena_do_lease(struct arena_call *call)
{
	struct arena_lease_args *lease = &call->args.lease;
	struct arena_dev *dev = call->file->dev;
	struct arena_place place;
	size_t bytes;
	int err = arena_dev_begin(dev);

	if (err)
		return err;
	err = arena_claim_some(dev->arena, lease->min, lease->want,
			       lease->align ?: ARENA_MIN_ALIGN, GFP_KERNEL, &place, &bytes);
	arena_dev_up_read(dev);
	if (err)
		return err;
	lease->offset = place.offset;
	lease->bytes = bytes;
	lease->generation = place.generation;
	return 0;
}

static int arena_check_commit(const union arena_args *args)
{
	const struct arena_commit_args *commit = &args->commit;

	if (commit->flags & ~ARENA_COMMIT_NODE || commit->__reserved)
		return -EINVAL;
	if (!(commit->flags & ARENA_COMMIT_NODE))
		return commit->node ? -EINVAL : 0;
	if (commit->node >= MAX_NUMNODES)
		return -EINVAL;
	return node_online(array_index_nospec(commit->node, MAX_NUMNODES)) ? 0 : -EINVAL;
}

static int arena_do_commit(struct arena_call *call)
{
	const struct arena_commit_args *commit = &call->args.commit;
	struct arena_dev *dev = call->file->dev;
	int node = NUMA_NO_NODE, err;

	/*
	 * The CPU may execute this speculatively with a number that arena_check_commit() refuses.
	 * So bound the number here, too.
	 */
	if (commit->flags & ARENA_COMMIT_NODE)
		node = array_index_nospec(commit->node, MAX_NUMNODES);
	err = arena_dev_begin(dev);
	if (err)
		return err;
	err = arena_populate_on(dev->arena, commit->bytes, node, GFP_KERNEL);
	up_read(&dev->lock);
	return err;
}

static int arena_check_offset(const union arena_args *args)
{
	return args->offset.__reserved ? -EINVAL : 0;
}

static int arena_do_offset(struct arena_call *call)
{
	struct arena_offset_args *offset = &call->args.offset;
	struct arena_dev *dev = call->file->dev;
	struct arena_moment now;

	if (down_read_killable(&dev->lock))
		return -EINTR;
	arena_moment_read(dev->arena, &now);
	arena_dev_up_read(dev);
	offset->offset = now.used;
	offset->high = now.high;
	offset->generation = now.generation;
	return 0;
}

static int arena_check_reset(const union arena_args *args)
{
	const struct arena_reset_args *reset = &args->reset;

	if (reset->flags || reset->__reserved || reset->mode > ARENA_RESET_STRICT)
		return -EINVAL;
	return reset->keep && reset->mode != ARENA_RESET_RELEASE ? -EINVAL : 0;
}

/*
 * Begin a call that starts a new generation: take the lock for writing. Returns 0; or, without the
 * lock, -EPERM if the arena is sealed, -EBUSY if kernel code holds the arena and so has pointers
 * into it (clause 23), -EINTR if the task is being killed.
 */
int arena_dev_begin_reset(struct arena_dev *dev)
{
	int err = 0;

	if (down_write_killable(&dev->lock))
		return -EINTR;
	if (dev->flags & ARENA_SEALED)
		err = -EPERM;
	/* Acquire: pairs with the release in arena_unhold(). */
	else if (atomic_read_acquire(&dev->holds))
		err = -EBUSY;
	if (err)
		up_write(&dev->lock);
	return err;
}

static int arena_reset_keep(struct arena *arena)
{
	int err = arena_reset(arena);

	if (err != -EBUSY)
		return err;
	/*
	 * arena_reset() has refused, as there were too many resets without a grace period between
	 * them. Wait for the RCU callback that permits further resets.
	 */
	rcu_barrier();
	return arena_reset(arena);
}

/*
 * Reset the arena. The caller holds the lock for writing: no other call and no fault uses the arena
 * meanwhile.
 */
static int arena_dev_reset(struct arena_dev *dev, u32 mode, u64 keep)
{
	struct arena *arena = dev->arena;
	int err = 0;

	lockdep_assert_held_write(&dev->lock);
	switch (mode) {
	case ARENA_RESET_KEEP:
		err = arena_reset_keep(arena);
		break;
	case ARENA_RESET_ZERO:
		err = arena_reset_asleep(arena, 0, true, true);
		break;
	default:
		arena_map_revoke(dev, 0);
		err = arena_reset_asleep(arena, min_t(u64, keep, arena_capacity(arena)), false,
					 true);
	}
	if (!err && mode == ARENA_RESET_STRICT)
		dev->strict = true;
	arena_map_trim(dev);
	return err;
}

static int arena_do_reset(struct arena_call *call)
{
	struct arena_reset_args *reset = &call->args.reset;
	struct arena_dev *dev = call->file->dev;
	int err = arena_dev_begin_reset(dev);

	if (err)
		return err;
	err = arena_dev_reset(dev, reset->mode, reset->keep);
	/*
	 * Update the status page with the lock held: otherwise a call could return an object of the
	 * new generation before the page shows that generation.
	 */
	arena_status_update(dev);
	/*
	 * A reset that fails because the task is being killed has begun a new generation, which
	 * pollers wait for. Wake them here: the dispatcher does so after success only.
	 */
	if (err == -EINTR)
		arena_dev_wake(dev);
	reset->generation = arena_snap(dev->arena).generation;
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
	arena_dev_up_read(dev);
	info->flags = READ_ONCE(dev->flags);
	info->rights = call->file->rights;
	arena_fill_info(info, &stats);
	BUILD_BUG_ON(sizeof(info->name) != sizeof(dev->arena->name));
	memset(info->name, 0, sizeof(info->name));
	strscpy(info->name, dev->arena->name, sizeof(info->name));
	return 0;
}

static int arena_check_query(const union arena_args *args)
{
	return args->query.__reserved ? -EINVAL : 0;
}

static u64 arena_commands(void);

/* Report what this module supports. The answer is the same for all arenas. */
static int arena_do_query(struct arena_call *call)
{
	struct arena_query_args *query = &call->args.query;

	query->commands = arena_commands();
	query->rights = ARENA_RIGHTS_ALL;
	query->setup_flags = ARENA_SETUP_KNOWN;
	query->alloc_flags = ARENA_ALLOC_ZERO;
	query->commit_flags = ARENA_COMMIT_NODE;
	query->reset_modes = BIT(ARENA_RESET_STRICT + 1) - 1;
	query->batch_max = ARENA_BATCH_MAX;
	query->status_version = ARENA_STATUS_VERSION;
	query->align_default = ARENA_MIN_ALIGN;
	query->capacity_default = arena_dev_capacity();
	query->capacity_max = arena_capacity_max();
	query->slab_size_default = arena_slab_size_default(arena_dev_capacity());
	query->slab_size_min = PAGE_SIZE;
	query->slab_size_max = arena_slab_size_max();
	query->store_max = ARENA_STORE_MAX;
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

/*
 * Copy the descriptor's number out before the descriptor is installed: if the copy faults, no other
 * thread can have used the new file yet, and this function can still undo everything.
 */
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
	file = arena_file_open(call->file, dup->rights);
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

/* Flags of a command: what the dispatcher does for it. */
#define ARENA_OP_MAKE		BIT(0)	/* create the arena if there is none yet */
#define ARENA_OP_PROBE		BIT(1)	/* fail before @run if the struct cannot be written */
#define ARENA_OP_OUT		BIT(2)	/* copy the struct back after success */
#define ARENA_OP_MOVES		BIT(3)	/* wake pollers if more bytes are used than they wait for */
#define ARENA_OP_WAKES		BIT(4)	/* wake all pollers, whatever they wait for */

/**
 * struct arena_op - one command.
 * @cmd:	ARENA_IOC_*, the number of its ioctl.
 * @min_size:	bytes in the first version of its struct.
 * @size:	bytes in the present version of its struct.
 * @rights:	ARENA_RIGHT_* that the descriptor must have.
 * @flags:	ARENA_OP_*.
 * @check:	validates the arguments; looks at nothing else and changes nothing.
 * @stage:	copies in what the arguments point to; called without locks. NULL: nothing to do.
 * @run:	does what the command asks for.
 */
struct arena_op {
	unsigned int	cmd;
	unsigned int	min_size;
	unsigned int	size;
	u32		rights;
	u32		flags;
	int		(*check)(const union arena_args *args);
	int		(*stage)(struct arena_call *call);
	int		(*run)(struct arena_call *call);
};

/*
 * A row of the table. The command is run by arena_do_<_call>(); its arguments are a struct
 * arena_<_struct>_args, which arena_check_<_struct>() validates and whose first version ends
 * with the member @_last.
 */
#define ARENA_OP(_CMD, _call, _struct, _last, _rights, _flags, _stage)		\
	[_IOC_NR(ARENA_IOC_##_CMD)] = {						\
		.cmd	  = ARENA_IOC_##_CMD,					\
		.min_size = offsetofend(struct arena_##_struct##_args, _last),	\
		.size	  = sizeof(struct arena_##_struct##_args),		\
		.rights	  = _rights,						\
		.flags	  = _flags,						\
		.check	  = arena_check_##_struct,				\
		.stage	  = _stage,						\
		.run	  = arena_do_##_call,					\
	}

static const struct arena_op arena_ops[] = {
	ARENA_OP(SETUP, setup, setup, name, ARENA_RIGHT_RESET, 0, NULL),
	ARENA_OP(ALLOC, alloc, alloc, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_MOVES, NULL),
	ARENA_OP(STORE, store, store, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_MOVES,
		 arena_stage_store),
	ARENA_OP(OFFSET, offset, offset, generation, 0,
		 ARENA_OP_MAKE | ARENA_OP_OUT | ARENA_OP_MOVES, NULL),
	ARENA_OP(RESET, reset, reset, generation, ARENA_RIGHT_RESET,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_WAKES, NULL),
	ARENA_OP(INFO, info, info, name, 0, ARENA_OP_MAKE | ARENA_OP_OUT | ARENA_OP_MOVES, NULL),
	ARENA_OP(QUERY, query, query, store_max, 0, ARENA_OP_OUT, NULL),
	ARENA_OP(DUP, dup, dup, fd, 0, 0, NULL),
	ARENA_OP(LEASE, lease, lease, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_MOVES, NULL),
	ARENA_OP(COMMIT, commit, commit, __reserved, ARENA_RIGHT_ALLOC, ARENA_OP_MAKE, NULL),
	ARENA_OP(SEAL, seal, seal, flags,
		 ARENA_RIGHT_WRITE | ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET,
		 ARENA_OP_MAKE | ARENA_OP_WAKES, NULL),
	ARENA_OP(WATCH, watch, watch, generation, 0,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT | ARENA_OP_MOVES, NULL),
	ARENA_OP(NOTIFY, notify, notify, flags, ARENA_RIGHT_ALLOC,
		 ARENA_OP_MAKE | ARENA_OP_WAKES, NULL),
	ARENA_OP(BATCH, batch, batch, generation, ARENA_RIGHT_ALLOC,
		 ARENA_OP_MAKE | ARENA_OP_PROBE | ARENA_OP_OUT,
		 arena_stage_batch),
	ARENA_OP(MARK, mark, mark, used, ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET,
		 ARENA_OP_MAKE | ARENA_OP_OUT, NULL),
	ARENA_OP(REWIND, rewind, mark, used, ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET,
		 ARENA_OP_MAKE | ARENA_OP_WAKES, NULL),
	ARENA_OP(HANDLE, handle, handle, handle_offset, 0, ARENA_OP_MAKE | ARENA_OP_OUT, NULL),
	ARENA_OP(DEREF, deref, handle, handle_offset, 0, ARENA_OP_MAKE | ARENA_OP_OUT, NULL),
};

/* Returns a mask in which bit n is set if the command of number n exists. */
static u64 arena_commands(void)
{
	u64 commands = 0;
	int nr;

	BUILD_BUG_ON(ARRAY_SIZE(arena_ops) > 64);
	for (nr = 0; nr < ARRAY_SIZE(arena_ops); nr++)
		if (arena_ops[nr].run)
			commands |= BIT_ULL(nr);
	return commands;
}

static const struct arena_op *arena_find_op(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (nr >= ARRAY_SIZE(arena_ops))
		return NULL;
	nr = array_index_nospec(nr, ARRAY_SIZE(arena_ops));
	return arena_ops[nr].cmd == cmd ? &arena_ops[nr] : NULL;
}

/*
 * Copy the caller's struct in, which may be longer or shorter than the kernel's (clause 18). Refuse
 * a struct longer than a page: no version is that long, and checking that gigabytes of it are zero
 * would take too long.
 */
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
	/* The program may have changed the size between the two reads: keep the one checked. */
	call->args.size = size;
	call->bytes = min(size, op->size);
	return 0;
}

static int arena_run_op(struct arena_call *call, const struct arena_op *op)
{
	int err = op->check(&call->args);

	if (!err && op->stage)
		err = op->stage(call);
	/*
	 * Find out whether the program's struct can be written, by writing its own contents back:
	 * a call that fails here, or later, has not changed the struct.
	 */
	if (!err && op->flags & ARENA_OP_PROBE)
		err = arena_copy_out(call);
	if (!err && op->flags & ARENA_OP_MAKE)
		err = arena_dev_make_default(call->file->dev);
	if (!err)
		err = op->run(call);
	if (!err && op->flags & ARENA_OP_MOVES)
		arena_dev_moved(call->file->dev);
	if (!err && op->flags & ARENA_OP_WAKES)
		arena_dev_wake(call->file->dev);
	if (!err && op->flags & ARENA_OP_OUT)
		err = arena_copy_out(call);
	return err;
}

/*
 * Fast path of ARENA_IOC_ALLOC, which programs call once for each object. It copies a struct of the
 * present size in and out member by member, without a struct arena_call on the stack. The steps are
 * those of arena_run_op(), in their order. Returns false, with nothing changed, if anything is
 * unusual: the caller then takes the path of all commands, arena_ioctl_any(), which serves the
 * unusual cases and returns the errors.
 */
static bool arena_alloc_usual(struct arena_file *file, struct arena_alloc_args __user *user,
			      int *err)
{
	struct arena_dev *dev = file->dev;
	struct arena_alloc_args alloc;

	if (!(file->rights & ARENA_RIGHT_ALLOC) ||
	    !user_access_begin(user, sizeof(*user)))
		return false;
	unsafe_get_user(alloc.size, &user->size, fault);
	unsafe_get_user(alloc.flags, &user->flags, fault);
	unsafe_get_user(alloc.bytes, &user->bytes, fault);
	unsafe_get_user(alloc.align, &user->align, fault);
	unsafe_get_user(alloc.offset, &user->offset, fault);
	unsafe_get_user(alloc.generation, &user->generation, fault);
	/*
	 * Leave a struct of another size, and bad flags, to arena_ioctl_any(). The size must be
	 * checked before the two writes below: a shorter struct has no room for them.
	 */
	if (alloc.size != sizeof(alloc) || !arena_alloc_flags_ok(alloc.flags))
		goto fault;
	unsafe_put_user(alloc.offset, &user->offset, fault);
	unsafe_put_user(alloc.generation, &user->generation, fault);
	user_access_end();

	/* Acquire: pairs with the smp_store_release() in arena_dev_make(). */
	if (!smp_load_acquire(&dev->arena))
		return false;
	*err = arena_dev_alloc(dev, &alloc);
	if (*err)
		return true;
	arena_dev_moved(dev);
	*err = -EFAULT;
	if (!user_access_begin(user, sizeof(*user)))
		return true;
	unsafe_put_user(alloc.offset, &user->offset, told);
	unsafe_put_user(alloc.generation, &user->generation, told);
	*err = 0;
told:
	user_access_end();
	return true;
fault:
	user_access_end();
	return false;
}

/*
 * The path of all commands. The function is noinline: inlined, it would make the fast path of
 * ARENA_IOC_ALLOC set up its large stack frame, too.
 */
static noinline long arena_ioctl_any(struct arena_file *file, unsigned int cmd,
				     void __user *user)
{
	const struct arena_op *op = arena_find_op(cmd);
	struct arena_call call = { .file = file, .user = user };
	int err;

	if (!op)
		return -ENOTTY;
	if (op->rights & ~file->rights)
		return -EACCES;
	err = arena_copy_in(&call, op);
	if (!err)
		err = arena_run_op(&call, op);
	kvfree(call.parts);
	kvfree(call.staged);
	return err;
}

long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int err;

	if (cmd == ARENA_IOC_ALLOC &&
	    arena_alloc_usual(file->private_data, (void __user *)arg, &err))
		return err;
	return arena_ioctl_any(file->private_data, cmd, (void __user *)arg);
}
