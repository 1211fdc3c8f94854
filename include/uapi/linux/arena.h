/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/**
 * DOC: Arenas of programs
 *
 * Opening the device makes an arena: a linear space [0, capacity) that the
 * kernel hands out piece by piece and takes back as a whole. mmap() at file
 * offset x maps the space from x on. Processes and the kernel name an object by
 * its offset, which is the same for all of them.
 *
 * "Clause N" in a comment means clause N of the contract,
 * include/CONTRACT.md.
 */
#ifndef _UAPI_LINUX_ARENA_H
#define _UAPI_LINUX_ARENA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: General format of the ioctls
 *
 * The argument of each ioctl is a pointer to its struct. The first member of each
 * struct is its size in bytes as the program knows it (clause 18). If the kernel knows
 * a longer struct, the members that the program does not know count as zero. If the
 * program knows a longer struct, the call works if the members that the kernel does
 * not know are zero. The numbers of commands do not encode a size, and so stay the
 * same when structs grow. Structs have the same layout for 32 bit and 64 bit programs.
 *
 * A call that fails changes nothing, neither in the arena (but for its counts of
 * failures) nor in the struct. There are two exceptions: EINTR, see the table; and
 * EFAULT because the program made the struct unwritable during the call, see &struct
 * arena_alloc_args. If %ARENA_IOC_SETUP has not set the arena up, the first call that
 * uses it, mmap() included, gives it the default properties (a capacity of 64 MiB),
 * even if that call then fails. A call that is refused for its arguments or its rights
 * does not use the arena.
 *
 * The errors that are common to all ioctls; each struct lists further ones:
 *
 *  ========  =============================================================
 *  ENOTTY    no such command
 *  EFAULT    the struct cannot be read or written
 *  EINVAL    the struct is shorter than its first version; an unknown flag
 *            or value, or a reserved member that is not zero
 *  E2BIG     the struct is longer than the kernel knows, and a byte behind the
 *            known part is not zero (or the struct is longer than a page)
 *  EACCES    the descriptor does not have the right that the command needs
 *  ENOMEM    no memory: of the system, of the memory cgroup of the process
 *            that opened the arena, or within the limits of the module
 *            (a cgroup is charged unless the kernel was booted with
 *            cgroup.memory=nokmem)
 *  EPERM     the arena is sealed, see &struct arena_seal_args
 *  EINTR     the task was killed while the call waited or did something
 *            lengthy: then nothing was committed, but an object that was
 *            being zeroed stays allocated, and a reset has emptied the arena
 *            without zeroing or releasing all of its memory
 *  ========  =============================================================
 */
#define ARENA_IOC_MAGIC		0xA8

/** ARENA_NAME_LEN - bytes in the name of an arena, the terminating zero included. */
#define ARENA_NAME_LEN		32

/** ARENA_STORE_MAX - the most bytes that one %ARENA_IOC_STORE copies. */
#define ARENA_STORE_MAX		(1024 * 1024)

/**
 * DOC: Rights of a descriptor
 *
 * A descriptor from open() has all rights; %ARENA_IOC_DUP makes descriptors with
 * fewer.
 *
 *  - %ARENA_RIGHT_READ: map the arena for reading.
 *  - %ARENA_RIGHT_WRITE: map it for writing, too. Needs %ARENA_RIGHT_READ.
 *  - %ARENA_RIGHT_ALLOC: %ARENA_IOC_ALLOC, %ARENA_IOC_STORE, %ARENA_IOC_BATCH,
 *    %ARENA_IOC_LEASE, %ARENA_IOC_COMMIT and %ARENA_IOC_NOTIFY. %ARENA_IOC_STORE writes
 *    nothing but the object that it makes, so it does not need %ARENA_RIGHT_WRITE:
 *    without that right, a program can add objects and cannot alter any.
 *  - %ARENA_RIGHT_RESET: %ARENA_IOC_RESET and %ARENA_IOC_SETUP; and, together
 *    with %ARENA_RIGHT_ALLOC, marks: %ARENA_IOC_MARK and %ARENA_IOC_REWIND.
 *    %ARENA_IOC_SEAL needs the rights to write, to allocate and to reset.
 *
 * Queries (%ARENA_IOC_OFFSET, %ARENA_IOC_INFO, %ARENA_IOC_QUERY, %ARENA_IOC_HANDLE,
 * %ARENA_IOC_DEREF), waiting (%ARENA_IOC_WATCH, poll()), the status page and
 * %ARENA_IOC_DUP need no right.
 */
#define ARENA_RIGHT_READ	(1U << 0)
#define ARENA_RIGHT_WRITE	(1U << 1)
#define ARENA_RIGHT_ALLOC	(1U << 2)
#define ARENA_RIGHT_RESET	(1U << 3)
#define ARENA_RIGHTS_ALL	(ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | \
				 ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET)

/* Flags of an arena; struct arena_setup_args says what they mean. */
#define ARENA_SETUP_SPANS	(1U << 0)
#define ARENA_SETUP_ZERO	(1U << 1)

/* The kernel reports this flag beside those of ARENA_IOC_SETUP: the arena is sealed. */
#define ARENA_SEALED		(1U << 31)

/**
 * struct arena_setup_args - ioctl(ARENA_IOC_SETUP): choose an arena's properties.
 * @size:	sizeof(struct arena_setup_args).
 * @flags:	%ARENA_SETUP_SPANS: each CPU allocates in spans, stretches of the arena
 *		that it has for itself; this is faster if many CPUs allocate, and
 *		offsets are no longer in the order of allocation. %ARENA_SETUP_ZERO:
 *		every object is zero when made.
 * @capacity:	bytes, 0 for the default. Memory is committed (allocated) when an object
 *		first needs it.
 * @slab_size:	bytes of a slab, the block of memory that is committed at a time: a power
 *		of two, at least a page; 0 lets the kernel choose.
 * @__reserved:	must be zero.
 * @name:	shown to people: printable ASCII but no slash, at least one zero
 *		byte at its end, and only zero bytes behind that; empty for none.
 *
 * This call is optional, and possible once (clause 17), before the first use of the
 * arena. poll(), %ARENA_IOC_QUERY and %ARENA_IOC_DUP do not use the arena: so a program
 * can make a duplicate, and pass that to another process, which sets the arena up.
 *
 * Errors: EBUSY: the arena is in use, or was set up. EFBIG: more capacity than
 * the module allows. EINVAL, besides the common causes: bad slab size or name.
 */
struct arena_setup_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 capacity;
	__u32 slab_size;
	__u32 __reserved;
	char name[ARENA_NAME_LEN];
};

/* Flag of struct arena_alloc_args and of struct arena_batch_args. */
#define ARENA_ALLOC_ZERO	(1U << 0)

/**
 * struct arena_alloc_args - ioctl(ARENA_IOC_ALLOC): allocate.
 * @size:	sizeof(struct arena_alloc_args).
 * @flags:	%ARENA_ALLOC_ZERO: the object is zero when the call returns. The
 *		kernel does not promise that for bytes that a program writes there
 *		through a mapping, during the call or even before it, while the
 *		place belongs to no object. Without the flag, the object may contain
 *		what an earlier object of this arena left there, even if the kernel zeroes
 *		its own objects (init_on_alloc); it never contains the bytes of
 *		anything outside the arena (clause 6).
 * @bytes:	size of the object, not 0.
 * @align:	alignment of its offset: a power of two, 0 for the default of 8;
 *		at most the size of a slab, and for objects larger than a slab
 *		at most that of a page (clause 1).
 * @offset:	out: offset of the object.
 * @generation:	out: the generation that the object belongs to (clause 13).
 *
 * The kernel tries to write the struct before it allocates anything. If
 * the program makes it unwritable during the call, the call fails with EFAULT
 * and the object stays allocated until the next reset, its offset unknown.
 *
 * Errors: ENOSPC: fewer bytes are left. EINVAL, besides the common causes:
 * 0 bytes, bad alignment.
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
 * @bytes:	number of bytes, not 0, at most %ARENA_STORE_MAX.
 * @align:	alignment of the offset of the copy, with the values of &arena_alloc_args.align.
 * @offset:	out: offset of the copy.
 * @generation:	out: the generation that the copy belongs to.
 *
 * The source is read to its end before anything is allocated (clause 24), so
 * it may lie in a mapping of the same arena. %ARENA_IOC_RESET waits until the
 * copy is complete, so no other object gets the place of an unfinished copy.
 *
 * Errors, besides those of all ioctls: ENOSPC: fewer bytes are left. EINVAL: @bytes is 0, or
 * @align has no valid value. EFAULT: @src cannot be read. EMSGSIZE: @bytes is more than
 * %ARENA_STORE_MAX.
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

/* Flag of struct arena_commit_args. */
#define ARENA_COMMIT_NODE	(1U << 0)

/**
 * struct arena_commit_args - ioctl(ARENA_IOC_COMMIT): commit memory beforehand.
 * @size:	sizeof(struct arena_commit_args).
 * @flags:	%ARENA_COMMIT_NODE: take the memory from @node while that has free memory.
 *		Without the flag, the memory policy of the task decides.
 * @bytes:	number of bytes to commit, from offset 0 on; rounded up to slabs.
 * @node:	NUMA node, which must be online; zero without %ARENA_COMMIT_NODE.
 * @__reserved:	must be zero.
 *
 * Memory that is committed already stays where it is, so the call may be repeated. The
 * memory stays committed until a reset gives it back: allocations in these slabs need
 * no further memory for objects. It is charged as if an allocation had committed it
 * (clause 21). A call that fails gives back what it committed itself (clause 4).
 *
 * Errors: EINVAL, besides the common causes: @bytes is more than the capacity, or there
 * is no such node.
 */
struct arena_commit_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 bytes;
	__u32 node;
	__u32 __reserved;
};

/**
 * struct arena_offset_args - ioctl(ARENA_IOC_OFFSET): how much is allocated.
 * @size:	sizeof(struct arena_offset_args).
 * @__reserved:	must be zero.
 * @offset:	out: bytes of all objects that no reset or rewind has freed, without
 *		padding (clause 7). Objects may end above this number, but not above @high.
 * @high:	out: no object ends above this offset.
 * @generation:	out: the present generation.
 *
 * All three are of the same generation.
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
 * @ARENA_RESET_KEEP: the memory is kept, with its bytes; mappings stay as they are. The
 *	time that this takes depends neither on the number of objects nor on their size.
 * @ARENA_RESET_RELEASE: the memory is given back, but for the slabs of the first
 *	&arena_reset_args.keep bytes. Touching memory that was given back raises
 *	SIGBUS until it is allocated again, and then it is zero (clause 20).
 * @ARENA_RESET_ZERO: the memory is kept; all bytes that were handed out are zero
 *	when the call returns, but for what programs write through a mapping
 *	meanwhile.
 * @ARENA_RESET_STRICT: all memory is given back, and revoked from every mapping. From
 *	then on, in this arena, touching a page beyond the last object of the present
 *	generation raises SIGBUS, whether the page is committed or not. So a thread that
 *	does not know of the reset, and stores to an old object, gets SIGBUS, unless an
 *	object has been allocated there, or further on, by then. Below the end of the
 *	last object, padding and tails of spans can be touched.
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
 *		must be zero with other modes.
 * @flags:	must be zero.
 * @__reserved:	must be zero.
 * @generation:	out: the generation that begins.
 *
 * Errors: EBUSY: kernel code holds the arena.
 *
 * The reset waits until calls that are allocating or copying in the arena are done. So
 * after the reset, the kernel writes no more to objects of the old generation. A call
 * that has allocated before the reset may still return after it; the generation that it
 * returns tells that the object is gone.
 *
 * The kernel writes the unchanged struct back before it resets: if that fails, the
 * call returns EFAULT and the arena is not reset. If the program makes the struct
 * unwritable only later, the call returns EFAULT although the arena was reset.
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
 * struct arena_info_args - ioctl(ARENA_IOC_INFO): an arena's properties and
 * statistics.
 * @size:	sizeof(struct arena_info_args).
 * @__reserved:	must be zero.
 * @flags:	out: ARENA_SETUP_* flags of the arena, and %ARENA_SEALED if it is sealed.
 * @rights:	out: ARENA_RIGHT_* of this descriptor.
 * @generation:	out: the present generation; grows at every reset and rewind.
 * @capacity:	out: size of the arena in bytes.
 * @used:	out: bytes of all objects that no reset or rewind has freed, without
 *		padding.
 * @padding:	out: bytes lost to alignment and to tails of slabs and spans.
 * @free:	out: bytes not handed out. While no allocation is under way,
 *		@used + @padding + @free == @capacity (clause 7).
 * @high:	out: no object ends above this offset.
 * @peak:	out: the highest value that @high ever had.
 * @committed:	out: bytes of all committed slabs.
 * @committed_peak: out: the highest value that @committed ever had.
 * @slab_size:	out: bytes in one slab.
 * @slabs:	out: number of committed slabs.
 * @slabs_kept:	out: slabs that the last reset kept.
 * @resets:	out: number of resets of any kind; rewinds are not counted.
 * @allocs:	out: number of objects allocated since the arena was made.
 * @fail_space:	out: failures with ENOSPC.
 * @fail_memory: out: failures with ENOMEM.
 * @fail_arg:	out: failures with EINVAL, by size or alignment.
 * @page_allocs: out: slabs taken from the page allocator.
 * @page_frees:	out: slabs given back to the page allocator.
 * @pool_hits:	out: slabs taken from the pool instead of the page allocator.
 * @name:	out: the name from %ARENA_IOC_SETUP, zero-terminated.
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
 * struct arena_query_args - ioctl(ARENA_IOC_QUERY): what the kernel supports.
 * @size:	sizeof(struct arena_query_args).
 * @__reserved:	must be zero.
 * @commands:	out: bit n is set if there is a command whose _IOC_NR() is n.
 * @rights:	out: all ARENA_RIGHT_*.
 * @setup_flags: out: all ARENA_SETUP_* flags of &struct arena_setup_args.
 * @alloc_flags: out: all ARENA_ALLOC_* flags.
 * @commit_flags: out: all ARENA_COMMIT_* flags.
 * @reset_modes: out: bit n is set if n is one of &enum arena_reset_mode.
 * @batch_max:	out: the most items in one %ARENA_IOC_BATCH.
 * @status_version: out: &arena_status.version.
 * @align_default: out: alignment of an object for which the program asks for none.
 * @capacity_default: out: capacity of an arena for which the program asks for none.
 * @capacity_max: out: the largest capacity.
 * @slab_size_default: out: size of a slab in an arena of @capacity_default; in a
 *		smaller arena it may be less, and in a larger one more.
 * @slab_size_min: out: the least size of a slab.
 * @slab_size_max: out: the largest size of a slab.
 * @store_max:	out: the most bytes that one %ARENA_IOC_STORE or %ARENA_IOC_BATCH
 *		copies.
 *
 * This call does not use the arena, and reports nothing about it; %ARENA_IOC_INFO does.
 * The module parameter max_arena_mb may change the capacities at any time.
 */
struct arena_query_args {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 commands;
	__u32 rights;
	__u32 setup_flags;
	__u32 alloc_flags;
	__u32 commit_flags;
	__u32 reset_modes;
	__u32 batch_max;
	__u32 status_version;
	__u32 align_default;
	__aligned_u64 capacity_default;
	__aligned_u64 capacity_max;
	__aligned_u64 slab_size_default;
	__aligned_u64 slab_size_min;
	__aligned_u64 slab_size_max;
	__aligned_u64 store_max;
};

/**
 * struct arena_dup_args - ioctl(ARENA_IOC_DUP): a descriptor with fewer rights.
 * @size:	sizeof(struct arena_dup_args).
 * @rights:	ARENA_RIGHT_* of the new descriptor, at least one.
 * @flags:	must be zero.
 * @fd:		out: the new descriptor, close-on-exec.
 *
 * The new descriptor refers to the same arena and keeps it alive. To the rest of
 * the system it is an open file of the device node, like the descriptor that it
 * was made from. A program that opens it again through /proc gets a new arena, and
 * so no further rights to the old one.
 *
 * Errors: EACCES: the calling descriptor does not have all of @rights, or a
 * security module does not let the caller open the device. EINVAL, besides the
 * common causes: @rights is 0, or has %ARENA_RIGHT_WRITE without
 * %ARENA_RIGHT_READ. EMFILE, ENFILE: too many descriptors or files. A call that
 * fails makes no descriptor.
 */
struct arena_dup_args {
	__u32 size;
	__u32 rights;
	__u32 flags;
	__s32 fd;
};

/** ARENA_BATCH_MAX - the most items in one %ARENA_IOC_BATCH. */
#define ARENA_BATCH_MAX		4096

/**
 * struct arena_batch_item - one object of a batch.
 * @bytes:	size of the object, not 0.
 * @src:	address of @bytes bytes to copy in, in the calling process; 0: none.
 * @offset:	out: offset of the object.
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
 * @items:	address of an array of @count &struct arena_batch_item.
 * @count:	number of items, 1 to %ARENA_BATCH_MAX.
 * @item_size:	sizeof(struct arena_batch_item) as the program knows it; it may differ
 *		from the kernel's size by the rules for the structs of ioctls.
 * @align:	alignment of each object, see &struct arena_alloc_args.
 * @generation:	out: the generation that the objects belong to.
 *
 * The objects lie behind each other in the order of the items, each aligned.
 * All sources are read to their ends before anything is allocated (clause 24);
 * together they have at most %ARENA_STORE_MAX bytes. If the call fails, nothing is
 * allocated, and @offset of each item is undefined. If the program makes the
 * struct or an item unwritable during the call, the call fails with EFAULT and the
 * objects stay allocated, as &struct arena_alloc_args describes.
 *
 * Errors: those of &struct arena_store_args. EINVAL: also if there are no items or
 * too many, or @item_size is too short. E2BIG: also if an item is longer than the
 * kernel knows, and a byte behind the known part is not zero.
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
 * @min:	the least length in bytes, not 0.
 * @want:	the length that the program would like, not below @min. The lease
 *		is shorter if less is left, and no longer than a slab unless
 *		@min is.
 * @align:	alignment of the start of the lease, see &struct arena_alloc_args.
 * @offset:	out: offset of the start of the lease.
 * @bytes:	out: length of the lease; a multiple of 8 if @min is one.
 * @generation:	out: the generation in which the lease may be used. The status page
 *		shows when that generation has ended.
 *
 * The whole lease counts as used, as the kernel does not know how much of it the
 * program uses. Its bytes are like those of an object made without %ARENA_ALLOC_ZERO. A
 * lease need not be given back; a reset ends it.
 *
 * Errors: ENOSPC: fewer than @min bytes are left. EINVAL, besides the common causes:
 * @min is 0, @want is below @min, bad alignment.
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
 * struct arena_mark_args - ioctl(ARENA_IOC_MARK): take a mark; ioctl(ARENA_IOC_REWIND):
 * free what was allocated since the mark.
 * @size:	sizeof(struct arena_mark_args).
 * @flags:	must be zero.
 * @generation:	out of MARK, in of REWIND: generation of the mark.
 * @offset:	out of MARK, in of REWIND: objects from here on are freed.
 * @used:	out of MARK, in of REWIND: bytes of the objects below @offset; at most
 *		@offset.
 *
 * A mark is a plain value of which the kernel keeps no record: any thread may
 * rewind to it, as often as it likes. A rewind is a reset to @offset: the next
 * generation begins there. All objects that were allocated since the mark are
 * freed, also those of other threads and processes, and poll() reports %POLLPRI.
 * Marks at @offset or below stay valid. Bytes and mappings stay as they are; but
 * in an arena that %ARENA_RESET_STRICT has made strict, pages beyond the last
 * object are revoked. Handles to objects that the rewind frees are stale from
 * then on, other handles are not (clause 12). After rewinds to more than four
 * offsets, each above the one before, handles and marks that were made between
 * the two oldest of these rewinds may be reported stale too early.
 *
 * Arenas with %ARENA_SETUP_SPANS have no marks. The kernel does not know where
 * objects begin: a REWIND to a made-up @offset inside an object is carried out.
 *
 * Errors: EOPNOTSUPP: the arena has spans. Of REWIND, EBUSY: kernel code holds the
 * arena. ESTALE: the arena was reset, or rewound below the mark, since. EINVAL: the
 * values cannot be those of a mark.
 */
struct arena_mark_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 generation;
	__aligned_u64 offset;
	__aligned_u64 used;
};

/**
 * struct arena_handle_args - ioctl(ARENA_IOC_HANDLE): make a handle of an object;
 * ioctl(ARENA_IOC_DEREF): find the object of a handle.
 * @size:	sizeof(struct arena_handle_args).
 * @flags:	must be zero.
 * @offset:	in of HANDLE, out of DEREF: offset of the object.
 * @handle_generation: out of HANDLE, in of DEREF: first half of the handle.
 * @handle_offset: out of HANDLE, in of DEREF: second half of the handle.
 *
 * A handle becomes stale by the next reset, or by a rewind that frees its object,
 * and stays stale for ever (clause 13). Any thread may reset the arena right after
 * DEREF: a program that uses the offset must exclude such a reset, or check the
 * handle again after the use.
 *
 * Errors: ESTALE: of DEREF, the handle is of another generation, its object was
 * freed by a rewind, or nothing is allocated at its offset. ERANGE: of
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
 * struct arena_seal_args - ioctl(ARENA_IOC_SEAL): let nothing change the arena any
 * more.
 * @size:	sizeof(struct arena_seal_args).
 * @flags:	must be zero.
 *
 * After this call, the bytes of the arena never change again, and no call through any
 * descriptor allocates or frees (clause 30).
 * %ARENA_IOC_INFO and the status page report %ARENA_SEALED. So a program that was given
 * a descriptor can look for that flag by INFO, and then parse the arena where it lies:
 * no byte changes after the program has checked it.
 *
 * Calls that would allocate, commit, reset or rewind fail with EPERM. A mapping
 * for writing fails with EPERM; one for reading works, and mprotect() cannot make
 * it writable. poll() reports %POLLHUP. Sealing a sealed arena again succeeds.
 *
 * The call is refused, and changes nothing, while something could still write to the
 * arena. Mappings that are writable or may become so must be unmapped first, in all
 * processes: these are all mappings that were made through a descriptor with
 * %ARENA_RIGHT_WRITE, whatever their protection. A producer that goes on reading after
 * the seal maps the arena through a duplicate without that right.
 *
 * The call needs the rights that no descriptor can use afterwards: %ARENA_RIGHT_WRITE,
 * %ARENA_RIGHT_ALLOC and %ARENA_RIGHT_RESET.
 *
 * Errors: EBUSY: the arena is mapped through a descriptor with %ARENA_RIGHT_WRITE;
 * something else refers to a page of it, such as direct I/O in flight, a buffer
 * of io_uring or a pipe; or kernel code holds the arena.
 */
struct arena_seal_args {
	__u32 size;
	__u32 flags;
};

/**
 * struct arena_watch_args - ioctl(ARENA_IOC_WATCH): what poll() waits for.
 * @size:	sizeof(struct arena_watch_args).
 * @flags:	must be zero.
 * @mark:	a threshold, and no mark to rewind to: a number of bytes, counted as
 *		&arena_offset_args.offset is.
 * @offset:	out: bytes of all objects now.
 * @generation:	out: the present generation.
 *
 * After this call, poll() on this descriptor, and on those that share its file,
 * reports %POLLIN when objects have more than @mark bytes, or when
 * %ARENA_IOC_NOTIFY or its counterpart in the kernel was called since; and
 * %POLLPRI when the arena was reset or rewound since. Before the first WATCH of a
 * file, @mark is 0, each NOTIFY since the file was opened is reported, and poll()
 * reports no %POLLPRI. An allocation by kernel code wakes no poller until that code
 * notifies, nor does an allocation inside a lease until the program calls NOTIFY.
 *
 * poll() reports %POLLHUP when nothing is left that may allocate: every descriptor
 * with %ARENA_RIGHT_ALLOC is closed, mappings that were made through such
 * descriptors are unmapped, and no kernel code holds the arena. As a descriptor
 * with this right is made only from another one, programs allocate no more objects
 * after that. poll() reports %POLLHUP for a sealed arena, too.
 */
struct arena_watch_args {
	__u32 size;
	__u32 flags;
	__aligned_u64 mark;
	__aligned_u64 offset;
	__aligned_u64 generation;
};

/**
 * struct arena_notify_args - ioctl(ARENA_IOC_NOTIFY): wake all pollers.
 * @size:	sizeof(struct arena_notify_args).
 * @flags:	must be zero.
 */
struct arena_notify_args {
	__u32 size;
	__u32 flags;
};

/**
 * ARENA_STATUS_OFFSET64 - %ARENA_STATUS_OFFSET for calls whose offset always has 64
 * bits, such as mmap64().
 */
#define ARENA_STATUS_OFFSET64	(1ULL << 40)

/**
 * ARENA_STATUS_OFFSET - file offset at which mmap() maps the status page.
 *
 * It lies behind the end of any arena. One page can be mapped there, for reading
 * only (%PROT_READ, %MAP_SHARED), with any descriptor.
 *
 * An off_t of 32 bits would truncate this offset to 0, where the first page of the
 * arena is. So a program that uses this macro with such an off_t does not compile: it
 * must be built with -D_FILE_OFFSET_BITS=64.
 */
#ifdef __KERNEL__
#define ARENA_STATUS_OFFSET	ARENA_STATUS_OFFSET64
#else
#define ARENA_STATUS_OFFSET							\
	(ARENA_STATUS_OFFSET64 * sizeof(char[sizeof(off_t) < 8 ? -1 : 1]))
#endif

/**
 * struct arena_status - the status page: the state of an arena without a call.
 * @version:	version of this layout, 1. Later versions only add members.
 * @flags:	ARENA_SETUP_* flags of the arena, and %ARENA_SEALED once it is sealed.
 * @generation:	the present generation. A reset writes it before it returns, and
 *		before any object of the new generation is handed out. While the
 *		other members change from the old generation to the new one, this
 *		is an odd number, which no generation has.
 * @offset:	bytes of all objects, as of the last update.
 * @high:	no object ended above this offset at the last update.
 * @capacity:	size of the arena in bytes.
 * @notices:	grows with each %ARENA_IOC_NOTIFY, and when kernel code notifies.
 *
 * The kernel updates @offset and @high in each call that allocates, resets,
 * rewinds, notifies or asks for them, through any descriptor of the arena. It
 * does not update them when kernel code allocates, until that code notifies.
 * Within a generation both only grow. The kernel writes the members one by one: a
 * program that reads several of them must read @generation before and after, and
 * has read a consistent set if @generation was the same even number both times. A
 * program that reads @offset before @high finds @offset at most @high.
 *
 * The page is for programs: the kernel does not rely on its contents.
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
 * The numbers of the commands. They are made by _IO() and not by _IOWR(), which
 * would encode the size of the struct: a struct that grows must not change them.
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
#define ARENA_IOC_COMMIT	_IO(ARENA_IOC_MAGIC, 0x10)
#define ARENA_IOC_SEAL		_IO(ARENA_IOC_MAGIC, 0x11)
#define ARENA_IOC_QUERY		_IO(ARENA_IOC_MAGIC, 0x12)

#endif /* _UAPI_LINUX_ARENA_H */
