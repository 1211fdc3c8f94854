/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libarena: allocation from /dev/arena without a call.
 *
 * Each thread leases stretches of an arena from the kernel, one ioctl a stretch,
 * and hands them out by moving a pointer. Whether its lease still holds it sees,
 * at each allocation, in a page that the kernel writes and nobody else can. The
 * manual is libarena(3).
 *
 *  ===============================  =========================================
 *  arena_close()                    nobody else uses this struct arena, now or
 *                                   later
 *  anything with a cursor           by the thread that asked for it
 *  arena_reset() in its modes       with anything: the allocator stays sound.
 *                                   Whether objects are in use is the
 *                                   program's to know, see %ARENA_RESET_STRICT
 *  all else                         any number of threads, and processes
 *  ===============================  =========================================
 *
 * Nothing here is for signal handlers, but for arena_generation(), arena_ptr()
 * and arena_off(). After fork() the child goes on with leases of its own.
 *
 * Functions that return a pointer return NULL, and others -1, when they fail, and
 * set errno. Those of the ioctls are in linux/arena.h.
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

/** ARENA_ALIGN - what objects are aligned to, and their sizes rounded up to. */
#define ARENA_ALIGN	((size_t)8)

/** ARENA_OPEN_MAX - most arenas that a process may have open by this library. */
#define ARENA_OPEN_MAX	1023

/**
 * struct arena - an open arena. Its members are for the functions below.
 * @cursor: where each thread has its &struct arena_cursor of this arena.
 * @base: where the arena is mapped; aligned as its slabs are.
 * @capacity: bytes in all.
 * @status: the status page.
 */
struct arena {
	size_t cursor;
	char *base;
	size_t capacity;
	const struct arena_status *status;
};

/**
 * struct arena_cursor - what one thread has left of its lease of one arena. Its
 * members are for the functions below.
 * @pos: next free byte. All zero without a lease, and in the child of a fork().
 * @end: behind the last one.
 * @generation: the one that the lease belongs to.
 * @want: bytes to lease next.
 * @now: the generation of the arena, in the status page.
 */
struct arena_cursor {
	char *pos;
	char *end;
	__aligned_u64 generation;
	__u64 want;
	const __aligned_u64 *now;
} __attribute__((__aligned__(64)));

/*
 * The cursors of this thread. Without a TLS model: the compiler chooses initial-exec for
 * code of an executable, and for code of a shared object one that dlopen() takes.
 */
extern __thread char *libarena_cursors;

void *libarena_refill(struct arena_cursor *cursor, size_t size, size_t align);
void *libarena_copy_in(struct arena *arena, const void *src, size_t size, size_t align);

/* Lifetime. */

/**
 * arena_open() - Make an arena.
 * @name: for humans, see &struct arena_setup_args; NULL for none.
 * @capacity: bytes, 0 for the default. Memory is taken when it is needed.
 * @flags: ARENA_SETUP_*. %ARENA_SETUP_SPANS is for kernel code; threads here are
 *	fast without it.
 *
 * Return: The arena. Errors: of open(), mmap() and %ARENA_IOC_SETUP; EMFILE also:
 * %ARENA_OPEN_MAX arenas are open; EINVAL also: the name is too long.
 */
struct arena *arena_open(const char *name, __u64 capacity, unsigned int flags);

/**
 * arena_attach() - Use an arena that exists.
 * @fd: a descriptor of it with %ARENA_RIGHT_READ, by whatever way it came. It
 *	remains the caller's: the arena has a duplicate.
 *
 * With more rights more works: allocation needs %ARENA_RIGHT_ALLOC, and
 * %ARENA_RIGHT_WRITE, too, but for what copies (arena_memdup() and what is built
 * on it), where a call to the kernel stands in.
 *
 * Return: The arena. Errors: of mmap() and fcntl(); ENOTTY: not an arena; EACCES:
 * no right to read; EMFILE also: as for arena_open().
 */
struct arena *arena_attach(int fd);

/**
 * arena_close() - End the use of an arena.
 * @arena: the arena; NULL does nothing.
 *
 * Its memory is no longer mapped. The kernel frees it when no process has a
 * descriptor or a mapping any more.
 */
void arena_close(struct arena *arena);

/**
 * arena_share() - A descriptor for others, with fewer rights.
 * @arena: the arena.
 * @rights: ARENA_RIGHT_*, none that this arena's descriptor does not have.
 *
 * Return: A new descriptor, close-on-exec, of the caller. Errors: of
 * %ARENA_IOC_DUP.
 */
int arena_share(struct arena *arena, unsigned int rights);

/**
 * arena_fd() - The descriptor of an arena.
 * @arena: the arena.
 *
 * For the ioctls that have no function here, and for poll(). Not for
 * %ARENA_IOC_REWIND where any process allocates by this library: it takes back
 * leases, too, which their threads go on using.
 *
 * Return: The descriptor, which stays the arena's. Close-on-exec.
 */
int arena_fd(const struct arena *arena);

/* Where things are. */

/**
 * arena_ptr() - The address of an offset.
 * @arena: the arena.
 * @offset: as the kernel and other processes know it, from whomever.
 *
 * Return: The address. NULL, without errno, from the end of the arena on. Whether
 * anything is allocated there is not asked.
 */
static inline void *arena_ptr(const struct arena *arena, __u64 offset)
{
	return offset < arena->capacity ? arena->base + offset : NULL;
}

/**
 * arena_off() - The offset of an address.
 * @arena: the arena.
 * @ptr: into it.
 *
 * Return: The offset. No less than arena_capacity() if @ptr is elsewhere.
 */
static inline __u64 arena_off(const struct arena *arena, const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)arena->base;
}

/**
 * arena_capacity() - The size of an arena.
 * @arena: the arena.
 *
 * Return: Bytes in all.
 */
static inline size_t arena_capacity(const struct arena *arena)
{
	return arena->capacity;
}

/**
 * arena_generation() - How often an arena was reset, in a way.
 * @arena: the arena.
 *
 * Objects live as long as this stays the same. What is read after this call was
 * there in that generation or later.
 *
 * Return: A number that grows at every reset. Odd while one is on its way.
 */
static inline __u64 arena_generation(const struct arena *arena)
{
	return __atomic_load_n(&arena->status->generation, __ATOMIC_ACQUIRE);
}

/**
 * arena_high() - Where objects end.
 * @arena: the arena.
 *
 * What kernel code has allocated is seen when that notifies. Leases of any process
 * are in it.
 *
 * Return: An offset above which no object ends.
 */
static inline __u64 arena_high(const struct arena *arena)
{
	return __atomic_load_n(&arena->status->high, __ATOMIC_ACQUIRE);
}

/**
 * arena_offset() - How much is allocated.
 * @arena: the arena.
 *
 * Objects count as rounded up to %ARENA_ALIGN, with what their alignment cost.
 * What threads of this process leased and did not use is not in it; the leases of
 * other processes are, as a whole. Exact when quiet.
 *
 * Return: Bytes handed out since the last reset.
 */
__u64 arena_offset(struct arena *arena);

/* Allocation. */

#define LIBARENA_PRINTF(_format, _first)					\
	__attribute__((__format__(__printf__, _format, _first)))

static inline int libarena_fits(uintptr_t at, uintptr_t end, size_t bytes)
{
	/* Cheaper, and cannot wrap: nothing is mapped in the last page. */
	if (__builtin_constant_p(bytes) && bytes && bytes <= 4096)
		return at + bytes <= end;
	return bytes - 1 < end - at;
}

/**
 * arena_cursor_alloc_aligned() - arena_alloc_aligned() with a cursor.
 * @cursor: of this thread, from arena_cursor().
 * @size: bytes, not 0.
 * @align: a power of two, see arena_alloc_aligned().
 *
 * Return: As arena_alloc_aligned().
 */
static inline void *arena_cursor_alloc_aligned(struct arena_cursor *cursor, size_t size,
					       size_t align)
{
	uintptr_t at = (uintptr_t)cursor->pos, end = (uintptr_t)cursor->end, padding = 0;
	size_t bytes = (size + ARENA_ALIGN - 1) & -ARENA_ALIGN;

	/* The aligned address could wrap where they have 32 bits. */
	if (align > ARENA_ALIGN)
		padding = -at & (align - 1);
	/* No bytes: none were asked for, or the sum wrapped. */
	if (!bytes || align & (align - 1) || padding > end - at ||
	    !libarena_fits(at + padding, end, bytes))
		return libarena_refill(cursor, size, align);
	if (__atomic_load_n(cursor->now, __ATOMIC_ACQUIRE) != cursor->generation)
		return libarena_refill(cursor, size, align);
	/* arena_offset() in another thread looks at it. */
	at += padding;
	__atomic_store_n(&cursor->pos, (char *)(at + bytes), __ATOMIC_RELAXED);
	return (void *)at;
}

/**
 * arena_cursor_alloc() - arena_alloc() with a cursor.
 * @cursor: of this thread, from arena_cursor().
 * @size: bytes, not 0.
 *
 * Return: As arena_alloc().
 */
static inline void *arena_cursor_alloc(struct arena_cursor *cursor, size_t size)
{
	return arena_cursor_alloc_aligned(cursor, size, ARENA_ALIGN);
}

/**
 * arena_cursor() - What this thread allocates with, for the hottest loops.
 * @arena: the arena.
 *
 * Allocations with the cursor and without are the same ones; with it, each saves
 * finding it. It is good for this thread until that ends or closes the arena,
 * resets included, and in the child of a fork() for the copy of this thread.
 *
 * Return: The cursor. Errors: ENOMEM.
 */
struct arena_cursor *arena_cursor(struct arena *arena);

/**
 * arena_alloc_aligned() - Allocate with an alignment.
 * @arena: the arena.
 * @size: bytes, not 0.
 * @align: a power of two, 0 and less than %ARENA_ALIGN for that; at most the size
 *	of a slab, for objects larger than a slab at most that of a page. Offset and
 *	address have it.
 *
 * Return: The object, with whatever bytes an earlier one left there, unless the
 * arena has %ARENA_SETUP_ZERO. Errors: EINVAL: 0 bytes, bad alignment; ENOSPC: not
 * so many bytes left; ENOMEM; EACCES: no right to allocate, or to write.
 */
static inline void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align)
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
 * Return: The object, aligned to %ARENA_ALIGN; else as arena_alloc_aligned().
 */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
	return arena_alloc_aligned(arena, size, ARENA_ALIGN);
}

/**
 * arena_memdup_aligned() - Copy bytes into an arena, with an alignment.
 * @arena: the arena.
 * @src: the bytes.
 * @size: how many, not 0.
 * @align: see arena_alloc_aligned().
 *
 * Return: The copy. Errors: as for arena_alloc_aligned(), but %ARENA_RIGHT_WRITE is
 * not needed; without that EMSGSIZE: more than %ARENA_STORE_MAX bytes.
 */
static inline void *arena_memdup_aligned(struct arena *arena, const void *src, size_t size,
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
 * @src: the bytes.
 * @size: how many, not 0.
 *
 * Return: As arena_memdup_aligned().
 */
static inline void *arena_memdup(struct arena *arena, const void *src, size_t size)
{
	return arena_memdup_aligned(arena, src, size, ARENA_ALIGN);
}

/**
 * arena_strdup() - Copy a string into an arena.
 * @arena: the arena.
 * @string: the string.
 *
 * Return: As arena_memdup().
 */
static inline char *arena_strdup(struct arena *arena, const char *string)
{
	return (char *)arena_memdup(arena, string, strlen(string) + 1);
}

/**
 * arena_strndup() - Copy the beginning of a string into an arena.
 * @arena: the arena.
 * @string: the string.
 * @max: no more bytes of it, nor beyond its end.
 *
 * Return: The copy, with a zero behind it; else as arena_memdup().
 */
char *arena_strndup(struct arena *arena, const char *string, size_t max);

/**
 * arena_printf() - Print into an arena.
 * @arena: the arena.
 * @format: as for printf().
 *
 * Return: The string; else as arena_memdup(). Errors also: of vasprintf().
 */
char *arena_printf(struct arena *arena, const char *format, ...)
	LIBARENA_PRINTF(2, 3);

/**
 * arena_vprintf() - arena_printf() with its arguments in a list.
 * @arena: the arena.
 * @format: as for printf().
 * @args: the arguments.
 *
 * Return: As arena_printf().
 */
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
	LIBARENA_PRINTF(2, 0);

/* Taking everything back. */

/**
 * arena_reset() - Free all objects of an arena, whoever made them.
 * @arena: the arena.
 * @mode: what becomes of the memory.
 *
 * Leases of all threads and processes end with it: the next allocation of each
 * sees that. A thread that has passed this check, or still has an old pointer, may
 * store to where new objects are by now; where others may allocate or write
 * meanwhile, use %ARENA_RESET_STRICT, with which such a store is SIGBUS unless
 * somebody has allocated in that page again.
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
 * Return: As arena_reset(), to which it is %ARENA_RESET_RELEASE with @keep.
 */
int arena_reset_release(struct arena *arena, __u64 keep);

/* Waiting. */

/**
 * arena_watch() - Choose what poll() on arena_fd() waits for.
 * @arena: the arena.
 * @mark: in bytes handed out, as the kernel counts them: leases as a whole.
 *
 * Return: 0: from now on there is POLLIN when more than @mark bytes are handed out or
 * somebody notified, POLLPRI when the arena was reset. Errors: of %ARENA_IOC_WATCH.
 */
int arena_watch(struct arena *arena, __u64 mark);

/**
 * arena_notify() - Wake those who poll().
 * @arena: the arena.
 *
 * Return: 0. Errors: of %ARENA_IOC_NOTIFY.
 */
int arena_notify(struct arena *arena);

#ifdef __cplusplus
}
#endif

/*
 * Types: arena_new(arena, T) takes memory for one object of a type, and
 * arena_store(arena, value) copies a value in. Both return a T *, or NULL as
 * arena_memdup() does.
 */
#define arena_new(arena, T)							\
	((T *)arena_alloc_aligned(arena, sizeof(T), __alignof__(T)))

#define arena_store(arena, value)						\
	(__extension__ ({							\
		__typeof__(value) __stored = (value);				\
		(__typeof__(value) *)arena_memdup_aligned(arena, &__stored,	\
			sizeof(__stored), __alignof__(__stored));		\
	}))

#endif /* LIBARENA_H */
