/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libarena: allocation from /dev/arena without system calls.
 *
 * A lease is a stretch of an arena that the kernel hands to one thread, by one ioctl
 * (%ARENA_IOC_LEASE); the thread allocates in it by moving a pointer. A reset ends all leases.
 * So at each allocation, the thread checks that its lease is still valid: it reads the
 * generation in the status page (&struct arena_status), which only the kernel can write. The
 * manual is libarena(3).
 *
 * When and where each function may be called:
 *
 *  ===============================  =========================================
 *  arena_close()                    while no other thread uses this struct
 *                                   arena, which it frees
 *  anything with a cursor           in the thread that called arena_cursor()
 *  arena_reset(), arena_rewind()    while any other function runs: the arena stays
 *                                   consistent. The program must know that no object
 *                                   is in use, or use %ARENA_RESET_STRICT
 *  all other functions              in any number of threads and processes
 *  ===============================  =========================================
 *
 * Signal handlers may call only arena_generation(), arena_ptr(), arena_off() and arena_handle().
 * After fork(), the child allocates from leases of its own.
 *
 * When a function fails, it sets errno and returns NULL if it returns a pointer, and -1
 * otherwise. linux/arena.h describes the errors of the ioctls.
 */
#ifndef LIBARENA_H
#define LIBARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <linux/arena.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Functions that are defined here are inlined. When the library itself is compiled, each of them is
 * exported, too, for languages that cannot include this header.
 */
#ifdef LIBARENA_EXPORT
#define LIBARENA_INLINE	extern inline __attribute__((__visibility__("default")))
#else
#define LIBARENA_INLINE	static inline
#endif

/** ARENA_ALIGN - least alignment of objects; their sizes are rounded up to it. */
#define ARENA_ALIGN	((size_t)8)

/** ARENA_OPEN_MAX - the most arenas that a process may have open by this library. */
#define ARENA_OPEN_MAX	1023

/**
 * struct arena - an open arena. Only the library may use its members.
 * @cursor: offset, in bytes, of this arena's &struct arena_cursor in each thread's table.
 * @base: address at which the arena is mapped; aligned as its slabs are.
 * @capacity: size of the arena in bytes.
 * @status: the status page.
 */
struct arena {
	size_t cursor;
	char *base;
	size_t capacity;
	const struct arena_status *status;
};

/**
 * struct arena_cursor - the unused rest of one thread's lease of one arena. Only the
 * library may use its members. They are all zero while the thread has no lease, as in the
 * child after a fork().
 * @pos: the first unused byte.
 * @end: the end of the lease, exclusive.
 * @generation: the generation that the lease belongs to.
 * @want: bytes that the last lease asked for; the next one asks for twice as many.
 * @now: the present generation of the arena, in the status page.
 */
struct arena_cursor {
	char *pos;
	char *end;
	__aligned_u64 generation;
	__u64 want;
	const __aligned_u64 *now;
} __attribute__((__aligned__(64)));

/*
 * The cursors of this thread. The declaration names no TLS model, so that the compiler can
 * choose: initial-exec for code in an executable, and for code in a shared object a model with
 * which dlopen() can load it.
 */
extern __thread char *libarena_cursors;

void *libarena_refill(struct arena_cursor *cursor, size_t size, size_t align);
void *libarena_copy_in(struct arena *arena, const void *src, size_t size, size_t align);

/* Lifetime. */

/**
 * arena_open() - Make an arena.
 * @name: shown to people, see &struct arena_setup_args; NULL for none.
 * @capacity: bytes, 0 for the default. Memory is committed when it is needed.
 * @flags: ARENA_SETUP_*. %ARENA_SETUP_SPANS helps kernel code that allocates;
 *	threads that use this library are as fast without it.
 *
 * Return: The arena. Errors: those of open(), mmap() and %ARENA_IOC_SETUP; EMFILE if
 * %ARENA_OPEN_MAX arenas are open; EINVAL if the name is too long.
 */
struct arena *arena_open(const char *name, __u64 capacity, unsigned int flags);

/**
 * arena_open_setup() - Make an arena, with all properties that the kernel knows.
 * @setup: the argument of %ARENA_IOC_SETUP, with its size set, as linux/arena.h describes it:
 *	the name, capacity and flags of arena_open(), and the size of a slab.
 *
 * Return: The arena. Errors: those of open(), mmap() and %ARENA_IOC_SETUP; EMFILE if
 * %ARENA_OPEN_MAX arenas are open.
 */
struct arena *arena_open_setup(struct arena_setup_args *setup);

/**
 * arena_attach() - Use an arena that exists.
 * @fd: a descriptor of the arena, with %ARENA_RIGHT_READ at least. The library
 *	duplicates it; @fd itself stays the caller's.
 *
 * Allocation needs %ARENA_RIGHT_ALLOC and %ARENA_RIGHT_WRITE. Functions that copy
 * (arena_memdup() and those built on it) need only %ARENA_RIGHT_ALLOC: without the
 * right to write, they let the kernel copy.
 *
 * Return: The arena. Errors: those of mmap() and fcntl(); ENOTTY: not an arena; EACCES:
 * no right to read; EMFILE if %ARENA_OPEN_MAX arenas are open.
 */
struct arena *arena_attach(int fd);

/**
 * arena_close() - End the use of an arena.
 * @arena: the arena; NULL does nothing.
 *
 * Unmaps the arena. The kernel frees its memory when no process has a descriptor or
 * a mapping of it any more.
 */
void arena_close(struct arena *arena);

/**
 * arena_share() - Make a descriptor to pass to another process, with fewer rights.
 * @arena: the arena.
 * @rights: ARENA_RIGHT_* that this arena's descriptor has, too.
 *
 * Return: A new descriptor, close-on-exec, which the caller closes. Errors: of
 * %ARENA_IOC_DUP.
 */
int arena_share(struct arena *arena, unsigned int rights);

/**
 * arena_fd() - The descriptor of an arena.
 * @arena: the arena.
 *
 * The descriptor serves for poll(), and for ioctls that have no function here. A mark of
 * %ARENA_IOC_MARK lies behind the leases of all threads; a mark of arena_mark() may lie in the
 * lease of the caller.
 *
 * Return: The descriptor, close-on-exec, which the caller must not close.
 */
int arena_fd(const struct arena *arena);

/* Addresses, offsets and the state of the arena. */

/**
 * arena_ptr() - The address of an offset.
 * @arena: the arena.
 * @offset: an offset in the arena; it may come from a source that is not trusted.
 *
 * Return: The address, even if nothing is allocated there; NULL if @offset is not below
 * the capacity of the arena. Does not set errno.
 */
LIBARENA_INLINE void *arena_ptr(const struct arena *arena, __u64 offset)
{
	return offset < arena->capacity ? arena->base + offset : NULL;
}

/**
 * arena_off() - The offset of an address.
 * @arena: the arena.
 * @ptr: an address in the arena.
 *
 * Return: The offset. It is at least arena_capacity() if @ptr is not in the arena.
 */
LIBARENA_INLINE __u64 arena_off(const struct arena *arena, const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)arena->base;
}

/**
 * arena_capacity() - The size of an arena.
 * @arena: the arena.
 *
 * Return: The size in bytes.
 */
LIBARENA_INLINE size_t arena_capacity(const struct arena *arena)
{
	return arena->capacity;
}

/**
 * arena_generation() - The present generation of an arena.
 * @arena: the arena.
 *
 * No object is freed while this number stays the same. Reads of the arena after this call see
 * what the arena contained in that generation or later.
 *
 * Return: A number that grows at every reset and rewind. Odd while a reset is under way.
 */
LIBARENA_INLINE __u64 arena_generation(const struct arena *arena)
{
	return __atomic_load_n(&arena->status->generation, __ATOMIC_ACQUIRE);
}

/**
 * arena_high() - Where objects end.
 * @arena: the arena.
 *
 * The leases of all processes count as objects. Objects of kernel code count only after that
 * code has called its own arena_notify().
 *
 * Return: An offset above which no object ends.
 */
LIBARENA_INLINE __u64 arena_high(const struct arena *arena)
{
	return __atomic_load_n(&arena->status->high, __ATOMIC_ACQUIRE);
}

/**
 * arena_offset() - How much is allocated.
 * @arena: the arena.
 *
 * Objects count with their sizes rounded up to %ARENA_ALIGN, and with the padding that
 * their alignment needs. Leases of this process count as far as they are used, leases of
 * other processes in full. The result is exact if no allocation and no reset is under way.
 *
 * Return: Bytes handed out since the last reset.
 */
__u64 arena_offset(struct arena *arena);

/* Allocation. */

#define LIBARENA_PRINTF(_format, _first)					\
	__attribute__((__format__(__printf__, _format, _first)))

static inline int libarena_fits(uintptr_t at, uintptr_t end, size_t bytes)
{
	/*
	 * For a constant size this comparison takes fewer instructions. The sum cannot wrap: @at
	 * lies in a mapping, and nothing is mapped in the last page of the address space.
	 */
	if (__builtin_constant_p(bytes) && bytes && bytes <= 4096)
		return at + bytes <= end;
	return bytes - 1 < end - at;
}

/**
 * arena_cursor_alloc_aligned() - arena_alloc_aligned() with a cursor.
 * @cursor: this thread's cursor, from arena_cursor().
 * @size: bytes, not 0.
 * @align: a power of two, see arena_alloc_aligned().
 *
 * Return: The object, or NULL with an errno of arena_alloc_aligned().
 */
LIBARENA_INLINE void *arena_cursor_alloc_aligned(struct arena_cursor *cursor, size_t size,
						 size_t align)
{
	uintptr_t at = (uintptr_t)cursor->pos, end = (uintptr_t)cursor->end, padding = 0;
	size_t bytes = (size + ARENA_ALIGN - 1) & -ARENA_ALIGN;

	/* Compute the padding, not the aligned address: in 32 bits that address could wrap. */
	if (align > ARENA_ALIGN)
		padding = -at & (align - 1);
	/* @bytes is 0 if @size is 0, or if rounding it up wrapped. */
	if (!bytes || align & (align - 1) || padding > end - at ||
	    !libarena_fits(at + padding, end, bytes))
		return libarena_refill(cursor, size, align);
	if (__atomic_load_n(cursor->now, __ATOMIC_ACQUIRE) != cursor->generation)
		return libarena_refill(cursor, size, align);
	/* The store is atomic, because arena_offset() in another thread may read @pos. */
	at += padding;
	__atomic_store_n(&cursor->pos, (char *)(at + bytes), __ATOMIC_RELAXED);
	return (void *)at;
}

/**
 * arena_cursor_alloc() - arena_alloc() with a cursor.
 * @cursor: this thread's cursor, from arena_cursor().
 * @size: bytes, not 0.
 *
 * Return: The object, or NULL with an errno of arena_alloc().
 */
LIBARENA_INLINE void *arena_cursor_alloc(struct arena_cursor *cursor, size_t size)
{
	return arena_cursor_alloc_aligned(cursor, size, ARENA_ALIGN);
}

/**
 * arena_cursor() - This thread's cursor in an arena, for the hottest loops.
 * @arena: the arena.
 *
 * Every allocation by this thread uses the cursor. arena_cursor_alloc() takes the cursor from
 * its caller, and so saves the instructions that look it up. The cursor stays valid across
 * resets, until this thread ends or the arena is closed. After a fork() by this thread it is
 * also valid in the child.
 *
 * Return: The cursor. Errors: ENOMEM.
 */
struct arena_cursor *arena_cursor(struct arena *arena);

/**
 * arena_alloc_aligned() - Allocate with an alignment.
 * @arena: the arena.
 * @size: bytes, not 0.
 * @align: a power of two; 0, or less than %ARENA_ALIGN, means %ARENA_ALIGN. At most
 *	the size of a slab, and for objects larger than a slab at most the size of a
 *	page. Both offset and address are aligned to it.
 *
 * Return: The object. It contains whatever bytes an earlier object left there, unless
 * the arena has %ARENA_SETUP_ZERO. Errors: EINVAL: 0 bytes, bad alignment; ENOSPC:
 * fewer bytes are left; ENOMEM; EACCES: no right to allocate, or to write.
 */
LIBARENA_INLINE void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align)
{
	struct arena_cursor *cursor;

	cursor = (struct arena_cursor *)(void *)(libarena_cursors + arena->cursor);
	return arena_cursor_alloc_aligned(cursor, size, align);
}

/**
 * arena_alloc() - Allocate.
 * @arena: the arena.
 * @size: bytes, not 0.
 *
 * Return: The object, aligned to %ARENA_ALIGN; NULL with an errno on failure. EINVAL: @size
 * is 0; ENOSPC: fewer bytes are left; ENOMEM: no memory; EACCES: no right to allocate, or to
 * write.
 */
LIBARENA_INLINE void *arena_alloc(struct arena *arena, size_t size)
{
	return arena_alloc_aligned(arena, size, ARENA_ALIGN);
}

/**
 * arena_zalloc() - Allocate bytes that are zero.
 * @arena: the arena.
 * @size: bytes, not 0.
 *
 * Return: The object, or NULL with an errno of arena_alloc().
 */
LIBARENA_INLINE void *arena_zalloc(struct arena *arena, size_t size)
{
	void *object = arena_alloc(arena, size);

	return object ? memset(object, 0, size) : NULL;
}

/**
 * arena_commit() - Commit memory beforehand.
 * @arena: the arena.
 * @bytes: number of bytes to commit, from the start of the arena; rounded up to slabs.
 *
 * Until a reset gives that memory back, allocations in it need no further memory for objects.
 *
 * Return: 0. Errors: of %ARENA_IOC_COMMIT; a call that fails gives back what it has committed.
 */
int arena_commit(struct arena *arena, size_t bytes);

/**
 * arena_batch() - Make many objects by one call of the kernel, all or none.
 * @arena: the arena.
 * @items: the objects. In: @bytes is the size of an object, @src the address of bytes to copy
 *	into the object, or 0. Out: @offset is the offset of the object.
 * @count: number of items, 1 to %ARENA_BATCH_MAX.
 * @flags: %ARENA_ALLOC_ZERO: objects without a source are zero.
 *
 * The objects lie behind each other in the order of the items. %ARENA_RIGHT_WRITE is not needed.
 *
 * Return: 0. Errors: of %ARENA_IOC_BATCH; a call that fails allocates nothing.
 */
int arena_batch(struct arena *arena, struct arena_batch_item *items, unsigned int count,
		unsigned int flags);

/**
 * arena_memdup_aligned() - Copy bytes into an arena, with an alignment.
 * @arena: the arena.
 * @src: the bytes to copy.
 * @size: number of bytes, not 0.
 * @align: see arena_alloc_aligned().
 *
 * Return: The copy. Errors: those of arena_alloc_aligned(), but %ARENA_RIGHT_WRITE is
 * not needed. EMSGSIZE: more than %ARENA_STORE_MAX bytes, without that right.
 */
LIBARENA_INLINE void *arena_memdup_aligned(struct arena *arena, const void *src, size_t size,
					   size_t align)
{
	void *copy = arena_alloc_aligned(arena, size, align);

	if (__builtin_expect(!copy, 0))
		return libarena_copy_in(arena, src, size, align);
	return memcpy(copy, src, size);
}

/**
 * arena_memdup() - Copy bytes into an arena.
 * @arena: the arena.
 * @src: the bytes to copy.
 * @size: number of bytes, not 0.
 *
 * Return: The copy, or NULL with an errno of arena_memdup_aligned().
 */
LIBARENA_INLINE void *arena_memdup(struct arena *arena, const void *src, size_t size)
{
	return arena_memdup_aligned(arena, src, size, ARENA_ALIGN);
}

/**
 * arena_strdup() - Copy a string into an arena.
 * @arena: the arena.
 * @string: the string.
 *
 * Return: The copy, or NULL with an errno of arena_memdup_aligned().
 */
LIBARENA_INLINE char *arena_strdup(struct arena *arena, const char *string)
{
	return (char *)arena_memdup(arena, string, strlen(string) + 1);
}

/**
 * arena_strndup() - Copy the beginning of a string into an arena.
 * @arena: the arena.
 * @string: the string.
 * @max: copy at most this many bytes, and none beyond the end of the string.
 *
 * Return: The copy, with a zero behind it; NULL with an errno of arena_memdup_aligned().
 */
char *arena_strndup(struct arena *arena, const char *string, size_t max);

/**
 * arena_printf() - Print into an arena.
 * @arena: the arena.
 * @format: as for printf().
 *
 * Return: The string; NULL with an errno of arena_memdup_aligned() or vasprintf().
 */
char *arena_printf(struct arena *arena, const char *format, ...)
	LIBARENA_PRINTF(2, 3);

/**
 * arena_vprintf() - arena_printf() with its arguments in a list.
 * @arena: the arena.
 * @format: as for printf().
 * @args: the arguments.
 *
 * Return: The string; NULL with an errno of arena_memdup_aligned() or vasprintf().
 */
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
	LIBARENA_PRINTF(2, 0);

/* Growing and shrinking. */

/**
 * arena_resize() - Grow or shrink an object in its place.
 * @arena: the arena.
 * @ptr: the object.
 * @old_size: its size, as it was allocated or last resized.
 * @new_size: its new size, not 0.
 *
 * An object grows in its place if it is the last that this thread allocated in the arena, and
 * lies in a lease, as objects of up to an eighth of a slab do. Any object shrinks, but only
 * the last one gives its bytes back.
 *
 * Return: 0. Errors: EINVAL: @new_size is 0; ENOSPC: there is no room behind the object, which
 * is unchanged.
 */
int arena_resize(struct arena *arena, void *ptr, size_t old_size, size_t new_size);

/**
 * arena_realloc() - Grow or shrink an object, in its place or by a copy.
 * @arena: the arena.
 * @ptr: the object, aligned to %ARENA_ALIGN; NULL: allocate one.
 * @old_size: its size, as it was allocated or last resized.
 * @new_size: its new size, not 0.
 *
 * The bytes of an object that moves are not given back.
 *
 * Return: The object, or its copy; NULL with an errno of arena_alloc(), and the object unchanged.
 */
void *arena_realloc(struct arena *arena, void *ptr, size_t old_size, size_t new_size);

/* Handles. */

/**
 * struct arena_handle - a name of an object, which tells when the object is gone.
 * @generation: a generation in which the object lives.
 * @offset: its offset.
 *
 * A handle is a plain value, which means the same in every process, for %ARENA_IOC_DEREF, and for
 * kernel code.
 */
struct arena_handle {
	__aligned_u64 generation;
	__aligned_u64 offset;
};

/**
 * arena_handle() - Name an object.
 * @arena: the arena.
 * @ptr: the object. The caller excludes resets and rewinds that free it.
 *
 * Return: The handle; if @ptr is not in the arena, a handle that names nothing.
 */
LIBARENA_INLINE struct arena_handle arena_handle(const struct arena *arena, const void *ptr)
{
	struct arena_handle handle = { arena_generation(arena), arena_off(arena, ptr) };

	return handle;
}

void *libarena_deref(const struct arena *arena, struct arena_handle handle);

/**
 * arena_deref() - Find the object of a handle.
 * @arena: the arena.
 * @handle: from arena_handle(); it may also come from a source that is not trusted.
 *
 * Handles are stale after a reset, and after a rewind that freed their object. This function calls
 * the kernel only if the handle is of another generation than the present one, or its offset is at
 * arena_high() or above. The caller excludes resets and rewinds while it uses the object, or checks
 * the handle again afterwards.
 *
 * Return: The object. NULL with ESTALE if the handle is stale, or if nothing is allocated at its
 * offset.
 */
LIBARENA_INLINE void *arena_deref(const struct arena *arena, struct arena_handle handle)
{
	if (handle.generation == arena_generation(arena) && handle.offset < arena_high(arena))
		return arena->base + handle.offset;
	return libarena_deref(arena, handle);
}

/* Marks. */

/**
 * struct arena_mark - a point in time to which an arena can go back. Only the library may use its
 * members, but a mark is a plain value: a program may copy, send or forget it.
 * @generation: the generation of the mark.
 * @offset: objects from this offset on came later.
 * @used: bytes of the objects below @offset.
 */
struct arena_mark {
	__aligned_u64 generation;
	__aligned_u64 offset;
	__aligned_u64 used;
};

/**
 * arena_mark() - Take a mark.
 * @arena: the arena, without %ARENA_SETUP_SPANS.
 * @mark: set to the mark.
 *
 * Return: 0. Errors: of %ARENA_IOC_MARK; EOPNOTSUPP: the arena has spans; EACCES: no right to
 * allocate, or to reset.
 */
int arena_mark(struct arena *arena, struct arena_mark *mark);

/**
 * arena_rewind() - Free what was allocated since a mark.
 * @arena: the arena.
 * @mark: the mark, taken by any thread or process.
 *
 * A rewind is a reset to the mark. It frees the objects of all threads and processes that were
 * allocated since the mark, with the risk that arena_reset() describes for threads that allocate,
 * write or have old pointers meanwhile. Objects that were allocated before the mark stay. The arena
 * can be rewound to the mark again, and to earlier marks. Like a reset, a rewind ends all leases.
 * Bytes of leases that other threads had not used when the mark was taken lie below the mark: they
 * remain unused until a reset, or a rewind to an earlier mark.
 *
 * Return: 0. Errors: of %ARENA_IOC_REWIND; ESTALE: the arena was reset, or rewound below the
 * mark, since; EBUSY: kernel code holds the arena.
 */
int arena_rewind(struct arena *arena, const struct arena_mark *mark);

/* The variable that arena_scope() declares. @failed: arena_mark() has failed. */
struct libarena_scope {
	struct arena *arena;
	struct arena_mark mark;
	int failed;
};

struct libarena_scope libarena_scope_begin(struct arena *arena);
void libarena_scope_end(struct libarena_scope *scope);

/* Taking everything back. */

/**
 * arena_reset() - Free all objects of an arena, also those of other processes.
 * @arena: the arena.
 * @mode: what becomes of the memory.
 *
 * The reset ends the leases of all threads and processes: at its next allocation, each
 * thread checks the generation and finds its lease ended. But a thread that has passed
 * this check just before the reset, or that still has an old pointer, may store to a
 * place that by then belongs to a new object. If other threads may allocate or write
 * during the reset, use %ARENA_RESET_STRICT: then such a store raises SIGBUS, unless an
 * object has been allocated at that place, or at a higher offset, since the reset.
 *
 * Return: 0. Errors: of %ARENA_IOC_RESET; EACCES: no right to reset; EBUSY: kernel
 * code holds the arena.
 */
int arena_reset(struct arena *arena, enum arena_reset_mode mode);

/**
 * arena_reset_release() - Free all objects, and most of the memory.
 * @arena: the arena.
 * @keep: bytes to keep, rounded up to slabs.
 *
 * The call is arena_reset() with %ARENA_RESET_RELEASE, except that it keeps @keep bytes.
 *
 * Return: 0. Errors: of %ARENA_IOC_RESET; EACCES: no right to reset; EBUSY: kernel
 * code holds the arena.
 */
int arena_reset_release(struct arena *arena, __u64 keep);

/**
 * arena_seal() - Let nothing change the arena any more, for ever.
 * @arena: the arena. No thread may use it during the call.
 *
 * From then on, all processes can read the arena, and none can change it: so a program can parse
 * its contents where they lie. The library maps the arena anew, for reading only; a store there
 * raises SIGSEGV. Allocations and resets fail with EPERM.
 *
 * Return: 0, also if the arena is sealed already. Errors: of %ARENA_IOC_SEAL; EBUSY: another
 * mapping is writable, of another process, say, or kernel code uses the arena; EACCES: a right is
 * missing. After these errors nothing has changed. ENOMEM, EMFILE, ENFILE: the arena cannot be
 * mapped anew.
 */
int arena_seal(struct arena *arena);

/* Waiting. */

/**
 * arena_watch() - Choose what poll() on arena_fd() waits for.
 * @arena: the arena.
 * @mark: a threshold, and no place to rewind to: a number of bytes handed out. The kernel
 *	counts each lease in full.
 *
 * After this call, poll() reports POLLIN when more than @mark bytes are handed out, or
 * when a program or kernel code has notified since, and POLLPRI when the arena was reset
 * since.
 *
 * Return: 0. Errors: of %ARENA_IOC_WATCH.
 */
int arena_watch(struct arena *arena, __u64 mark);

/**
 * arena_notify() - Wake all programs that poll() the arena.
 * @arena: the arena.
 *
 * Return: 0. Errors: of %ARENA_IOC_NOTIFY.
 */
int arena_notify(struct arena *arena);

#ifdef __cplusplus
}
#endif

/*
 * Types: arena_new(arena, T) allocates one object of type T, and arena_store(arena, value)
 * copies a value into the arena. Both return a pointer of that type, or NULL with the errors
 * of arena_memdup(). The value may be a compound literal, whose commas would otherwise end the
 * argument of a macro: arena_store() takes all its further arguments as one expression.
 */
#define arena_new(arena, T)							\
	((T *)arena_alloc_aligned(arena, sizeof(T), __alignof__(T)))

#define arena_store(arena, ...)							\
	(__extension__ ({							\
		__typeof__(__VA_ARGS__) __stored = (__VA_ARGS__);		\
		(__typeof__(__VA_ARGS__) *)arena_memdup_aligned(arena,		\
			&__stored, sizeof(__stored), __alignof__(__stored));	\
	}))

/*
 * Scopes: the end of the block behind arena_scope(arena, fail) frees all objects allocated since
 * its start, however control leaves the block. If arena_mark() fails, the program executes the
 * statement @fail, such as return -1, instead of the block. Scopes nest.
 *
 *	arena_scope(arena, return -1) {
 *		...
 *	}
 */
#define arena_scope(_arena, ...)						\
	for (struct libarena_scope __scope					\
		__attribute__((__cleanup__(libarena_scope_end))) =		\
		libarena_scope_begin(_arena); __scope.arena || __scope.failed;	\
	     libarena_scope_end(&__scope))					\
		if (__scope.failed) {						\
			__VA_ARGS__;						\
			break;							\
		} else

#endif /* LIBARENA_H */
