/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/arena: arenas for programs.
 *
 * Opening the device makes an arena: a linear space [0, capacity) that the
 * kernel hands out piece by piece and takes back as a whole. mmap() at file
 * offset x shows the space from x on. What an object is called is its offset,
 * the same for every process and for the kernel.
 *
 * The numbers of clauses are those of the project's contract.
 */
#ifndef _UAPI_LINUX_ARENA_H
#define _UAPI_LINUX_ARENA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: General format of the ioctls
 *
 * The argument of each ioctl is a pointer to its struct. The first member of
 * each struct is its size in bytes as the program knows it (clause 18). Newer
 * kernels may know longer structs: what a program leaves out is taken as zero.
 * A program may be newer than the kernel: as long as what the kernel does not
 * know is zero, the call works. The numbers of commands do not encode a size,
 * and so stay the same when structs grow. Structs have the same layout for 32
 * bit and 64 bit programs.
 *
 * A call that fails changes nothing, neither in the arena (but for its counts
 * of failures) nor in the struct, with the one exception that
 * &struct arena_alloc_args tells. An arena that was not set up gets the
 * defaults (64 MiB) by the first call that gets as far as asking something of
 * it, mmap() included, whatever the answer.
 *
 * What errors mean for all of them; others and finer points stand at each:
 *
 *  ========  =============================================================
 *  ENOTTY    no such command
 *  EFAULT    the struct cannot be read or written
 *  EINVAL    the struct is shorter than its first version; an unknown flag
 *            or value, or a reserved member that is not zero
 *  E2BIG     the struct is longer than the kernel knows, and what the kernel
 *            does not know is not zero (or it is longer than a page)
 *  EACCES    the descriptor does not have the right to do this
 *  ENOMEM    no memory: of the system, of the memory cgroup of the process
 *            that opened the arena, or within the limits of the module
 *            (a cgroup is charged unless the kernel was booted with
 *            cgroup.memory=nokmem)
 *  EINTR     killed while waiting, or while doing what takes long: then
 *            nothing was committed, but an object that was being zeroed
 *            stays allocated, and a reset has emptied the arena without
 *            wiping or releasing all of its memory
 *  ========  =============================================================
 */
#define ARENA_IOC_MAGIC		0xA8

/** ARENA_NAME_LEN - bytes in the name of an arena, the terminating zero included. */
#define ARENA_NAME_LEN		32

/** ARENA_STORE_MAX - most bytes that one %ARENA_IOC_STORE copies. */
#define ARENA_STORE_MAX		(1024 * 1024)

/**
 * DOC: Rights of a descriptor
 *
 * open() gives all of them; %ARENA_IOC_DUP makes descriptors with fewer.
 *
 *  - %ARENA_RIGHT_READ: map for reading.
 *  - %ARENA_RIGHT_WRITE: map for writing, too. Needs %ARENA_RIGHT_READ.
 *  - %ARENA_RIGHT_ALLOC: %ARENA_IOC_ALLOC, %ARENA_IOC_STORE, %ARENA_IOC_BATCH,
 *    %ARENA_IOC_LEASE and %ARENA_IOC_NOTIFY. A store writes nothing but the
 *    object that it makes, so it does not need %ARENA_RIGHT_WRITE: without
 *    that, one may add, and alter nothing.
 *  - %ARENA_RIGHT_RESET: %ARENA_IOC_RESET and %ARENA_IOC_SETUP; and, together
 *    with %ARENA_RIGHT_ALLOC, marks: %ARENA_IOC_MARK and %ARENA_IOC_REWIND.
 *
 * Asking (%ARENA_IOC_OFFSET, %ARENA_IOC_INFO, %ARENA_IOC_HANDLE,
 * %ARENA_IOC_DEREF), waiting (%ARENA_IOC_WATCH, poll()), the status page and
 * %ARENA_IOC_DUP need none.
 */
#define ARENA_RIGHT_READ	(1U << 0)
#define ARENA_RIGHT_WRITE	(1U << 1)
#define ARENA_RIGHT_ALLOC	(1U << 2)
#define ARENA_RIGHT_RESET	(1U << 3)
#define ARENA_RIGHTS_ALL	(ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | \
				 ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET)

/* Flags of an arena, see struct arena_setup_args. */
#define ARENA_SETUP_SPANS	(1U << 0)
#define ARENA_SETUP_ZERO	(1U << 1)

/**
 * struct arena_setup_args - ioctl(ARENA_IOC_SETUP): choose what the arena is.
 * @size:	sizeof(struct arena_setup_args).
 * @flags:	%ARENA_SETUP_SPANS: each CPU bumps in a stretch of its own; faster
 *		with many callers, and offsets are no longer in the order of
 *		allocation. %ARENA_SETUP_ZERO: every object is zero when made.
 * @capacity:	bytes, 0 for the default. Memory is taken when it is needed.
 * @slab_size:	bytes taken at a time: a power of two, at least a page; 0 lets
 *		the kernel choose.
 * @__reserved:	must be zero.
 * @name:	for humans: printable ASCII but no slash, all zero behind its
 *		end, at least one zero; empty for none.
 *
 * Optional; once, before anything else is done with the arena (clause 17).
 *
 * Errors: EBUSY: the arena is in use, or was set up. EFBIG: more capacity than
 * the module allows. EINVAL also: bad slab size or name.
 */
struct arena_setup_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 capacity;
	__u32 slab_size;
	__u32 __reserved;
	char name[ARENA_NAME_LEN];
};

/* Flag of struct arena_alloc_args. */
#define ARENA_ALLOC_ZERO	(1U << 0)

/**
 * struct arena_alloc_args - ioctl(ARENA_IOC_ALLOC): allocate.
 * @size:	sizeof(struct arena_alloc_args).
 * @flags:	%ARENA_ALLOC_ZERO: the object is zero when the call returns, but
 *		for what programs write to its place through a mapping, be it
 *		before the call, in memory that was nobody's. Without the flag,
 *		the object may hold what an earlier object of this arena left
 *		there, even if the kernel zeroes all memory of its own
 *		(init_on_alloc); never the bytes of anything else (clause 6).
 * @bytes:	size of the object, not 0.
 * @align:	alignment of its offset: a power of two, 0 for the default of 8;
 *		at most the size of a slab, and for objects larger than a slab
 *		at most that of a page (clause 1).
 * @offset:	out: where it is.
 * @generation:	out: the generation it belongs to (clause 13).
 *
 * Whether the struct can be written is tried before anything is allocated. If
 * the program makes it unwritable during the call, the call fails with EFAULT
 * and the object stays allocated until the next reset, its offset unknown.
 *
 * Errors: ENOSPC: not so many bytes left. EINVAL also: 0 bytes, bad alignment.
 */
struct arena_alloc_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 bytes;
	__aligned_u64 align;
	__aligned_u64 offset;
	__aligned_u64 generation;
};

/**
 * struct arena_store_args - ioctl(ARENA_IOC_STORE): allocate and copy in.
 * @size:	sizeof(struct arena_store_args).
 * @flags:	must be zero.
 * @src:	address of the bytes to copy, in the calling process.
 * @bytes:	how many, not 0, at most %ARENA_STORE_MAX.
 * @align:	as in &struct arena_alloc_args.
 * @offset:	out: where the copy is.
 * @generation:	out: the generation it belongs to.
 *
 * The source is read to its end before anything is allocated (clause 24), so
 * it may lie in a mapping of the same arena. Nobody can be given the object's
 * place before the copy is complete.
 *
 * Errors: as for &struct arena_alloc_args. EFAULT also: @src cannot be read.
 * EMSGSIZE: more than %ARENA_STORE_MAX bytes.
 */
struct arena_store_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 src;
	__aligned_u64 bytes;
	__aligned_u64 align;
	__aligned_u64 offset;
	__aligned_u64 generation;
};

/**
 * struct arena_offset_args - ioctl(ARENA_IOC_OFFSET): how much is allocated.
 * @size:	sizeof(struct arena_offset_args).
 * @__reserved:	must be zero.
 * @offset:	out: bytes handed out since the last reset (clause 7). Not an
 *		end: @high is.
 * @high:	out: no object ends above this offset.
 * @generation:	out: the present generation.
 *
 * The three belong together as far as resets by this device are concerned.
 */
struct arena_offset_args {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 offset;
	__aligned_u64 high;
	__aligned_u64 generation;
};

/**
 * enum arena_reset_mode - what becomes of the memory at a reset (clause 9).
 * @ARENA_RESET_KEEP: it is kept, with its bytes; mappings stay as they are. The
 *	cost depends on neither objects nor bytes.
 * @ARENA_RESET_RELEASE: it is given back, but for the first
 *	&arena_reset_args.keep bytes' worth of slabs. Touching what was given
 *	back is SIGBUS until it is allocated again, and then it is zero
 *	(clause 20).
 * @ARENA_RESET_ZERO: it is kept; all that was handed out is zero when the call
 *	returns, but for what programs write to it through a mapping meanwhile.
 * @ARENA_RESET_STRICT: all of it is given back, and revoked from every mapping.
 *	From then on, in this arena, touching a page beyond the highest offset
 *	handed out in the present generation is SIGBUS, be it committed or not:
 *	the store of a thread that missed the reset faults instead of landing,
 *	unless others have allocated there, or further on, by then. Below that
 *	offset, padding and what is left of spans can be touched.
 */
enum arena_reset_mode {
	ARENA_RESET_KEEP = 0,
	ARENA_RESET_RELEASE = 1,
	ARENA_RESET_ZERO = 2,
	ARENA_RESET_STRICT = 3,
};

/**
 * struct arena_reset_args - ioctl(ARENA_IOC_RESET): take everything back.
 * @size:	sizeof(struct arena_reset_args).
 * @mode:	one of &enum arena_reset_mode.
 * @keep:	bytes to keep, rounded up to slabs, with %ARENA_RESET_RELEASE;
 *		else must be zero.
 * @flags:	must be zero.
 * @__reserved:	must be zero.
 * @generation:	out: the generation that begins.
 *
 * Errors: EBUSY: kernel code holds the arena.
 *
 * Calls on the same arena that are under way are waited for: when this returns,
 * none of them writes to, or was given, memory of the new generation as part
 * of the old one. As for &struct arena_alloc_args, whether the struct can be
 * written is tried first.
 */
struct arena_reset_args {
	__u32 size;
	__u32 mode;
	__aligned_u64 keep;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 generation;
};

/**
 * struct arena_info_args - ioctl(ARENA_IOC_INFO): what the arena is and did.
 * @size:	sizeof(struct arena_info_args).
 * @__reserved:	must be zero.
 * @flags:	out: ARENA_SETUP_* flags of the arena.
 * @rights:	out: ARENA_RIGHT_* of this descriptor.
 * @generation:	out: the present generation; grows at every reset.
 * @capacity:	out: bytes in all.
 * @used:	out: bytes handed out in this generation.
 * @padding:	out: bytes lost to alignment and to tails of slabs and spans.
 * @free:	out: bytes not handed out. When nobody allocates,
 *		@used + @padding + @free == @capacity (clause 7).
 * @high:	out: no object ends above this offset.
 * @peak:	out: the highest @high ever.
 * @committed:	out: bytes of slabs held now.
 * @committed_peak: out: the most that were ever held.
 * @slab_size:	out: bytes in one slab.
 * @slabs:	out: slabs held now.
 * @slabs_kept:	out: slabs that the last reset kept.
 * @resets:	out: resets of any kind.
 * @allocs:	out: objects made since the arena was.
 * @fail_space:	out: failures with ENOSPC.
 * @fail_memory: out: failures with ENOMEM.
 * @fail_arg:	out: failures with EINVAL, by size or alignment.
 * @page_allocs: out: slabs taken from the page allocator.
 * @page_frees:	out: slabs given back to it.
 * @pool_hits:	out: slabs taken from the pool of retired ones instead.
 * @name:	out: as given at set-up, zero-terminated.
 */
struct arena_info_args {
	__u32 size;
	__u32 __reserved;
	__u32 flags;
	__u32 rights;
	__aligned_u64 generation;
	__aligned_u64 capacity;
	__aligned_u64 used;
	__aligned_u64 padding;
	__aligned_u64 free;
	__aligned_u64 high;
	__aligned_u64 peak;
	__aligned_u64 committed;
	__aligned_u64 committed_peak;
	__aligned_u64 slab_size;
	__aligned_u64 slabs;
	__aligned_u64 slabs_kept;
	__aligned_u64 resets;
	__aligned_u64 allocs;
	__aligned_u64 fail_space;
	__aligned_u64 fail_memory;
	__aligned_u64 fail_arg;
	__aligned_u64 page_allocs;
	__aligned_u64 page_frees;
	__aligned_u64 pool_hits;
	char name[ARENA_NAME_LEN];
};

/**
 * struct arena_dup_args - ioctl(ARENA_IOC_DUP): a descriptor with fewer rights.
 * @size:	sizeof(struct arena_dup_args).
 * @rights:	ARENA_RIGHT_* of the new descriptor, at least one.
 * @flags:	must be zero.
 * @fd:		out: the new descriptor, close-on-exec.
 *
 * The new descriptor is of the same arena and keeps it alive. To the rest of the
 * system it is an open file of the device node, as this one is. Opening it anew
 * through /proc makes another arena, so nobody gets more rights from it.
 *
 * Errors: EACCES: rights that this descriptor does not have itself, or a security
 * module does not let the caller open the device. EINVAL
 * also: no rights, or %ARENA_RIGHT_WRITE without %ARENA_RIGHT_READ. EMFILE,
 * ENFILE: too many descriptors or files. An error leaves no descriptor.
 */
struct arena_dup_args {
	__u32 size;
	__u32 rights;
	__u32 flags;
	__s32 fd;
};

/** ARENA_BATCH_MAX - most items in one %ARENA_IOC_BATCH. */
#define ARENA_BATCH_MAX		4096

/**
 * struct arena_batch_item - one object of a batch.
 * @bytes:	its size, not 0.
 * @src:	address of as many bytes to copy in, in the calling process; 0: none.
 * @offset:	out: where it is.
 */
struct arena_batch_item {
	__aligned_u64 bytes;
	__aligned_u64 src;
	__aligned_u64 offset;
};

/**
 * struct arena_batch_args - ioctl(ARENA_IOC_BATCH): many objects, all or none.
 * @size:	sizeof(struct arena_batch_args).
 * @flags:	%ARENA_ALLOC_ZERO: objects without a source are zero.
 * @items:	address of @count &struct arena_batch_item.
 * @count:	how many, 1 to %ARENA_BATCH_MAX.
 * @item_size:	sizeof(struct arena_batch_item): the items may grow, too.
 * @align:	alignment of each, as in &struct arena_alloc_args.
 * @generation:	out: the generation they belong to.
 *
 * The objects lie behind each other in the order of the items, each aligned.
 * All sources are read to their ends before anything is allocated (clause 24);
 * they sum up to at most %ARENA_STORE_MAX bytes. If the call fails, nothing is
 * allocated, and what @offset of the items holds is undefined; the exception of
 * &struct arena_alloc_args is one here, too.
 *
 * Errors: as for &struct arena_store_args. EINVAL also: no items or too many,
 * @item_size too short. E2BIG also: items longer than the kernel knows that are
 * not zero there.
 */
struct arena_batch_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 items;
	__u32 count;
	__u32 item_size;
	__aligned_u64 align;
	__aligned_u64 generation;
};

/**
 * struct arena_lease_args - ioctl(ARENA_IOC_LEASE): a stretch to allocate from
 * without calls.
 * @size:	sizeof(struct arena_lease_args).
 * @flags:	must be zero.
 * @min:	bytes that are needed at least, not 0.
 * @want:	bytes wished for, not below @min. Less is given where less is
 *		left, and never more than a slab unless @min is.
 * @align:	of its start, as in &struct arena_alloc_args.
 * @offset:	out: where it is.
 * @bytes:	out: how long it is; a multiple of 8 where @min is.
 * @generation:	out: in which it may be used. The status page tells when that
 *		is over.
 *
 * All of it counts as used, however much the program makes of it; the kernel
 * never looks. The bytes are as those of an object made without
 * %ARENA_ALLOC_ZERO. Nothing remains to be given back.
 *
 * Errors: as for &struct arena_alloc_args. EINVAL also: @want below @min.
 */
struct arena_lease_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 min;
	__aligned_u64 want;
	__aligned_u64 align;
	__aligned_u64 offset;
	__aligned_u64 bytes;
	__aligned_u64 generation;
};

/**
 * struct arena_mark_args - ioctl(ARENA_IOC_MARK): say where the arena stands;
 * ioctl(ARENA_IOC_REWIND): free what was allocated since.
 * @size:	sizeof(struct arena_mark_args).
 * @flags:	must be zero.
 * @generation:	out of MARK, in of REWIND: in which.
 * @offset:	out of MARK, in of REWIND: what lies from here on is freed.
 * @used:	out of MARK, in of REWIND: bytes handed out below; at most @offset.
 *
 * A mark is a plain value: any thread may rewind to it, as often as it likes; the
 * kernel keeps nothing of it. A rewind is a reset to @offset: the next generation
 * begins there, what was allocated since the mark is freed, whoever allocated it,
 * and poll() says %POLLPRI. Marks that were taken before it remain good. Bytes stay
 * as they are, and mapped but where %ARENA_RESET_STRICT forbids touching what is
 * beyond all that is allocated. Handles to what a rewind frees are stale from then
 * on, others are not (clause 12). After rewinds to more than four offsets, each
 * above the one before, handles and marks made between the oldest of these may be
 * told stale early.
 *
 * Arenas with %ARENA_SETUP_SPANS have no marks. Where objects lie is the program's to
 * know: a REWIND to an @offset inside of an object that it made up is obeyed.
 *
 * Errors: EOPNOTSUPP: the arena has spans. Of REWIND, EBUSY: kernel code holds the
 * arena. ESTALE: the arena was reset, or rewound below the mark, since. EINVAL: no
 * mark says so.
 */
struct arena_mark_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 generation;
	__aligned_u64 offset;
	__aligned_u64 used;
};

/**
 * struct arena_handle_args - ioctl(ARENA_IOC_HANDLE): name an object;
 * ioctl(ARENA_IOC_DEREF): find the object of a name.
 * @size:	sizeof(struct arena_handle_args).
 * @flags:	must be zero.
 * @offset:	in of HANDLE, out of DEREF: where the object is.
 * @handle_generation: out of HANDLE, in of DEREF: first half of the name.
 * @handle_offset: out of HANDLE, in of DEREF: second half of the name.
 *
 * A name becomes stale by the next reset, or by a rewind that frees its object,
 * and remains so for ever (clause 13). Any thread may reset right after DEREF:
 * who uses the offset excludes that, or checks again afterwards.
 *
 * Errors: ESTALE: of DEREF, the name is of another generation, was freed by a
 * rewind, or was never given out for anything that is allocated now. ERANGE: of
 * HANDLE, nothing is allocated at @offset.
 */
struct arena_handle_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 handle_generation;
	__aligned_u64 handle_offset;
};

/**
 * struct arena_watch_args - ioctl(ARENA_IOC_WATCH): what poll() waits for.
 * @size:	sizeof(struct arena_watch_args).
 * @flags:	must be zero.
 * @mark:	in bytes handed out, as in &arena_offset_args.offset.
 * @offset:	out: bytes handed out now.
 * @generation:	out: the present generation.
 *
 * From now on, poll() on this descriptor, and on those that share its file, says
 * %POLLIN when more than @mark bytes are handed out, or when %ARENA_IOC_NOTIFY or
 * its counterpart in the kernel was called since; and %POLLPRI when the arena
 * was reset since. Until the first WATCH, @mark is 0 and nothing has been reset.
 * Kernel code that allocates says so when it is done with its objects; what
 * programs do inside a lease they say by NOTIFY.
 */
struct arena_watch_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 mark;
	__aligned_u64 offset;
	__aligned_u64 generation;
};

/**
 * struct arena_notify_args - ioctl(ARENA_IOC_NOTIFY): wake those who poll().
 * @size:	sizeof(struct arena_notify_args).
 * @flags:	must be zero.
 */
struct arena_notify_args {
	__u32 size;
	__u32 flags;
};

/**
 * ARENA_STATUS_OFFSET64 - %ARENA_STATUS_OFFSET for calls whose offset has 64 bits
 * whatever off_t has, such as mmap64().
 */
#define ARENA_STATUS_OFFSET64	(1ULL << 40)

/**
 * ARENA_STATUS_OFFSET - file offset at which mmap() shows the status page.
 *
 * Behind the end of any arena. One page, for reading only (%PROT_READ,
 * %MAP_SHARED), with any descriptor.
 *
 * An off_t of 32 bits would make 0 of it, where the first page of the arena is. A
 * program that is built with such an off_t does not compile; what it lacks is
 * -D_FILE_OFFSET_BITS=64.
 */
#ifdef __KERNEL__
#define ARENA_STATUS_OFFSET	ARENA_STATUS_OFFSET64
#else
#define ARENA_STATUS_OFFSET							\
	(ARENA_STATUS_OFFSET64 * sizeof(char[sizeof(off_t) < 8 ? -1 : 1]))
#endif

/**
 * struct arena_status - the status page: the arena without a call.
 * @version:	of this layout, 1. Newer ones only add members.
 * @flags:	ARENA_SETUP_* flags of the arena.
 * @generation:	the present generation. Written before a reset returns, and
 *		before anything of the new generation is handed out. Odd for the
 *		moment in which the rest becomes that of the new one; no
 *		generation is.
 * @offset:	bytes handed out, see below.
 * @high:	no object ends above this offset, see below.
 * @capacity:	bytes in all.
 * @notices:	grows at each %ARENA_IOC_NOTIFY, and at the kernel's.
 *
 * @offset and @high are those of the last call by way of any descriptor that
 * allocated, reset, rewound, notified or asked for them; allocations by kernel
 * code are seen when that notifies. Within a generation they grow, except by
 * a rewind. The members are single words, written one by one: who reads several
 * reads @generation before and after.
 *
 * The kernel only ever writes it.
 */
struct arena_status {
	__u32 version;
	__u32 flags;
	__aligned_u64 generation;
	__aligned_u64 offset;
	__aligned_u64 high;
	__aligned_u64 capacity;
	__aligned_u64 notices;
};

/*
 * The numbers. _IO() and not _IOWR(): see above, a struct that grows must not
 * change them.
 */
#define ARENA_IOC_SETUP		_IO(ARENA_IOC_MAGIC, 0x00)
#define ARENA_IOC_ALLOC		_IO(ARENA_IOC_MAGIC, 0x01)
#define ARENA_IOC_STORE		_IO(ARENA_IOC_MAGIC, 0x02)
#define ARENA_IOC_OFFSET	_IO(ARENA_IOC_MAGIC, 0x03)
#define ARENA_IOC_RESET		_IO(ARENA_IOC_MAGIC, 0x04)
#define ARENA_IOC_INFO		_IO(ARENA_IOC_MAGIC, 0x05)
#define ARENA_IOC_DUP		_IO(ARENA_IOC_MAGIC, 0x06)
#define ARENA_IOC_BATCH		_IO(ARENA_IOC_MAGIC, 0x07)
#define ARENA_IOC_LEASE		_IO(ARENA_IOC_MAGIC, 0x08)
#define ARENA_IOC_MARK		_IO(ARENA_IOC_MAGIC, 0x09)
#define ARENA_IOC_REWIND	_IO(ARENA_IOC_MAGIC, 0x0a)
#define ARENA_IOC_HANDLE	_IO(ARENA_IOC_MAGIC, 0x0c)
#define ARENA_IOC_DEREF		_IO(ARENA_IOC_MAGIC, 0x0d)
#define ARENA_IOC_WATCH		_IO(ARENA_IOC_MAGIC, 0x0e)
#define ARENA_IOC_NOTIFY	_IO(ARENA_IOC_MAGIC, 0x0f)

#endif /* _UAPI_LINUX_ARENA_H */
