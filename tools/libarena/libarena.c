// SPDX-License-Identifier: GPL-2.0
/*
 * libarena: allocation from /dev/arena, mostly without a system call.
 */
/*
 * Data structures:
 *
 *   thread           process (wiped by fork)        arenas[]
 *   libarena_cursors   lock                           |
 *     |                tables --> table --> table     v
 *     v                spares[]     |         |     struct opened: descriptor,
 *   table of cursors  <-------------'         |       mapping, status page
 *     [index] pos..end of the lease      of other
 *     of this thread in arenas[index]    threads
 *
 * Each arena that is open in this process has an index, at which each thread has its cursor of
 * that arena in its own table. Only the thread itself writes its table, except that arena_close()
 * and arena_seal() clear cursors: their callers ensure that no thread uses the arena meanwhile.
 * The fast path, in libarena.h, reads nothing but the cursor and the status page.
 *
 * fork: a child must not allocate in the leases of its parent, because the parent still uses
 * them. Therefore the tables, and all other data about leases, lie in memory that the
 * kernel wipes in the child (MADV_WIPEONFORK). This works for every kind of fork, needs no fork
 * handler, and spares the fast path a check of the process number: all cursors of the child are
 * empty, so its first allocation takes the slow path and gets a lease of its own. The lock is
 * wiped, too, together with all data that it protects: so it is free in the child, even if a thread
 * of the parent held it during the fork. arenas[] is not wiped, and needs no lock.
 *
 * Threads: the first allocation of a thread makes its table, and the destructor of a pthread
 * key unmaps that table when the thread ends. The unused rest of a lease then becomes the spare of
 * its arena, unless the arena has a larger spare already. A thread that needs a lease takes the
 * spare first. So programs that start a thread for each job do not waste a lease each time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64	/* the status page has offset 1 TiB */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include("valgrind/memcheck.h")
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_NOACCESS(_at, _bytes)		0
#define VALGRIND_MAKE_MEM_UNDEFINED(_at, _bytes)	0
#define VALGRIND_MAKE_MEM_DEFINED(_at, _bytes)		0
#endif

#define LIBARENA_EXPORT
#include <libarena.h>

#define PUBLIC		__attribute__((visibility("default")))
#define DEVICE		"/dev/arena"

#define NR_INDICES	(ARENA_OPEN_MAX + 1)	/* index 0 is not used */

/* A thread's first lease has LEASE_MIN bytes, each further one twice as many, up to LEASE_MAX. */
#define LEASE_MIN	((size_t)4096)
#define LEASE_MAX	((size_t)256 * 1024)
/* Near the end of the arena, a lease has at most the unused bytes of the arena divided by this. */
#define LEASE_SHARE	16
/* Under AddressSanitizer or memcheck, this many bytes behind each object belong to no object. */
#define REDZONE		16
/* Objects of more bytes than a slab / LARGE_SHARE are allocated by an ioctl each, not in leases. */
#define LARGE_SHARE	8
/*
 * Formatted strings of at least this length are printed twice: the first time to learn their
 * length.
 */
#define PRINT_MAX	256

/**
 * struct opened - an arena that is open in this process.
 * @arena: the part that the header declares; comes first.
 * @fd: the library's own descriptor of it.
 * @rights: ARENA_RIGHT_* of @fd.
 * @slab: bytes in a slab; no lease is longer.
 * @large: each object with more bytes is allocated by an ioctl of its own, not in a lease.
 * @shared: other processes, or the program's own ioctls, may allocate in the arena.
 * @mapped: bytes mapped at @arena.base.
 */
struct opened {
	struct arena arena;
	int fd;
	unsigned int rights;
	size_t slab;
	size_t large;
	size_t mapped;
	bool shared;
};

/**
 * struct table - the cursors of a thread. The kernel wipes it in the child of a fork.
 * @cursors: one for each index of an arena.
 * @enlisted: the table is in the list of all tables. Only the thread of the table uses this member.
 * @next: next table in the list, protected by the lock.
 * @link: the pointer in the list that points to this table, protected by the lock.
 */
struct table {
	struct arena_cursor cursors[NR_INDICES];
	bool enlisted;
	struct table *next;
	struct table **link;
};

/**
 * struct process - data that the threads of a process share. The kernel wipes it in the child of a
 * fork.
 * @lock: protects the other members; lock() takes it.
 * @tables: list of the tables of all threads that have allocated.
 * @spares: for each index, the unused rest of a lease whose thread has ended.
 */
struct process {
	unsigned int lock;
	struct table *tables;
	struct arena_cursor spares[NR_INDICES];
};

/* The table of threads that have not allocated yet: its cursors are empty. */
static struct table no_table;

PUBLIC __thread char *libarena_cursors = (char *)&no_table;

static struct process *process;
static struct opened *arenas[NR_INDICES];
static unsigned int highest;	/* the highest index that was ever used */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_deleted;	/* protected by the lock */
static int once_error;

/* The type of the command in the declaration of ioctl(): POSIX says int, glibc differs. */
#ifdef __GLIBC__
#define COMMAND		unsigned long
#else
#define COMMAND		int
#endif

/*
 * The library calls ioctl() and munmap() by these pointers. Under AddressSanitizer or memcheck,
 * they point to functions that also tell the checker what the call does. So the library need not
 * test for a checker where it allocates, resets or rewinds.
 */
static int (*call_kernel)(int fd, COMMAND command, ...) = ioctl;
static int (*unmap)(void *at, size_t bytes) = munmap;
static bool checked;

/* The values of process->lock: 0 free, 1 taken, 2 taken while other threads may be waiting. */

static void futex(unsigned int *word, int op, unsigned int value)
{
	int saved = errno;

	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
	errno = saved;
}

static void lock(void)
{
	unsigned int *word = &process->lock, seen = 0;

	if (__atomic_compare_exchange_n(word, &seen, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE))
		futex(word, FUTEX_WAIT, 2);
}

static void unlock(void)
{
	if (__atomic_exchange_n(&process->lock, 0, __ATOMIC_RELEASE) == 2)
		futex(&process->lock, FUTEX_WAKE, 1);
}

/* Maps zeroed memory, which the kernel zeroes again in a child after a fork. */
static void *map_wiped(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	if (madvise(at, bytes, MADV_WIPEONFORK)) {
		munmap(at, bytes);
		return NULL;
	}
	return at;
}

/* Cursors. */

static size_t room(const struct arena_cursor *cursor)
{
	return __atomic_load_n(&cursor->end, __ATOMIC_RELAXED) -
	       __atomic_load_n(&cursor->pos, __ATOMIC_RELAXED);
}

/* Sets a cursor, by atomic stores, because unused() in another thread may read it meanwhile. */
static void cursor_set(struct arena_cursor *cursor, char *pos, char *end, __u64 generation)
{
	__atomic_store_n(&cursor->pos, pos, __ATOMIC_RELAXED);
	__atomic_store_n(&cursor->end, end, __ATOMIC_RELAXED);
	__atomic_store_n(&cursor->generation, generation, __ATOMIC_RELAXED);
}

/*
 * Returns how many bytes of the lease of a cursor are unused, 0 if the lease is not of @generation.
 * If the cursor is that of another thread, the result may be out of date.
 */
static size_t unused(const struct arena_cursor *cursor, __u64 generation)
{
	size_t bytes = room(cursor);

	if (__atomic_load_n(&cursor->generation, __ATOMIC_RELAXED) != generation)
		return 0;
	/* No lease is longer: another thread has changed the cursor while room() read it. */
	return bytes <= 2 * LEASE_MAX ? bytes : 0;
}

/* Allocates from a cursor's lease, which the caller knows to be valid; NULL if it lacks room. */
static void *bump(struct arena_cursor *cursor, size_t bytes, size_t align)
{
	uintptr_t at = ((uintptr_t)cursor->pos + align - 1) & -(uintptr_t)align;

	if (at > (uintptr_t)cursor->end || bytes > (uintptr_t)cursor->end - at)
		return NULL;
	__atomic_store_n(&cursor->pos, (char *)(at + bytes), __ATOMIC_RELAXED);
	return (void *)at;
}

/* Threads. */

/* Adds a table to the list of all tables. The caller holds the lock. */
static void table_enlist(struct table *table)
{
	table->next = process->tables;
	table->link = &process->tables;
	if (table->next)
		table->next->link = &table->next;
	process->tables = table;
}

/* Removes a table from the list of all tables. The caller holds the lock. */
static void table_delist(struct table *table)
{
	*table->link = table->next;
	if (table->next)
		table->next->link = table->link;
}

/* Keeps the rest of an ending thread's lease as the arena's spare. The caller holds the lock. */
static void cursor_leave(struct table *table, unsigned int index)
{
	struct opened *opened = __atomic_load_n(&arenas[index], __ATOMIC_ACQUIRE);
	struct arena_cursor *cursor = &table->cursors[index], *spare = &process->spares[index];
	__u64 now;

	if (!opened || cursor->pos == cursor->end)
		return;
	now = arena_generation(&opened->arena);
	if (unused(cursor, now) > unused(spare, now))
		cursor_set(spare, cursor->pos, cursor->end, now);
}

/*
 * Destructor of the pthread key. If another destructor allocates after this one has run, the thread
 * gets a new table, and this destructor runs again for the new table.
 */
static void thread_end(void *arg)
{
	struct table *table = arg;
	unsigned int index;

	libarena_cursors = (char *)&no_table;
	if (table->enlisted) {
		lock();
		table_delist(table);
		for (index = 1; index <= __atomic_load_n(&highest, __ATOMIC_RELAXED); index++)
			cursor_leave(table, index);
		unlock();
	}
	munmap(table, sizeof(*table));
}

static bool any_arena_open(void)
{
	unsigned int index;

	for (index = 1; index <= __atomic_load_n(&highest, __ATOMIC_RELAXED); index++)
		if (__atomic_load_n(&arenas[index], __ATOMIC_RELAXED))
			return true;
	return false;
}

/*
 * When a shared object that contains this library is unloaded, threads that end later
 * must not call thread_end(), which is no longer mapped. The C library runs this destructor
 * at exit(), too, and does not tell the two cases apart. At exit(), other threads may still
 * allocate: so their tables stay, and a thread that makes its table from now on keeps it until the
 * process ends. The table of the calling thread stays if any arena is open, as the thread may still
 * allocate, too.
 */
static void __attribute__((destructor)) unload(void)
{
	struct table *table = (struct table *)libarena_cursors;

	if (!process)
		return;
	lock();
	key_deleted = true;
	pthread_key_delete(key);
	unlock();
	if (table != &no_table && !any_arena_open())
		thread_end(table);
}

static bool find_checker(void);
static void check(void);

static void start(void)
{
	if (find_checker())
		check();
	once_error = pthread_key_create(&key, thread_end);
	if (once_error)
		return;
	process = map_wiped(sizeof(*process));
	if (process)
		return;
	once_error = errno;
	pthread_key_delete(key);
}

static int start_once(void)
{
	int err = pthread_once(&once, start) ?: once_error;

	if (!err)
		return 0;
	errno = err;
	return -1;
}

static int call_thread_end(struct table *table)
{
	int err = 0;

	lock();
	if (!key_deleted)
		err = pthread_setspecific(key, table);
	unlock();
	return err;
}

static struct table *table_make(void)
{
	struct table *table = map_wiped(sizeof(*table));

	if (!table)
		return NULL;
	if (call_thread_end(table)) {
		munmap(table, sizeof(*table));
		errno = ENOMEM;
		return NULL;
	}
	libarena_cursors = (char *)table;
	return table;
}

/*
 * Returns this thread's table. First makes the table, and adds it to the list of all tables, if
 * necessary. After a fork, the child has a table, but the kernel has wiped the table, so it is not
 * in the list.
 */
static struct table *table_get(void)
{
	struct table *table = (struct table *)libarena_cursors;

	if (table == &no_table)
		table = table_make();
	if (table && !table->enlisted) {
		lock();
		table_enlist(table);
		unlock();
		table->enlisted = true;
	}
	return table;
}

/* Leases. */

static bool ask_lease(struct opened *opened, struct arena_lease_args *args)
{
	args->size = sizeof(*args);
	return !ioctl(opened->fd, ARENA_IOC_LEASE, args);
}

static size_t align_up(size_t bytes, size_t align)
{
	return (bytes + align - 1) & -align;
}

/* Returns the size of the next lease: twice the last one, or less near the arena's end. */
static size_t wish(struct opened *opened, struct arena_cursor *cursor, size_t bytes)
{
	size_t most = opened->slab < LEASE_MAX ? opened->slab : LEASE_MAX, left, want;
	__u64 used = __atomic_load_n(&opened->arena.status->offset, __ATOMIC_RELAXED);

	want = cursor->want ? 2 * cursor->want : LEASE_MIN;
	want = want < most ? want : most;
	cursor->want = want;
	left = used < opened->arena.capacity ? opened->arena.capacity - used : 0;
	if (want > left / LEASE_SHARE)
		want = align_up(left / LEASE_SHARE, 64);
	return want < bytes ? bytes : want;
}

/* Makes @lease the lease of @cursor; extends the present one if @lease begins at its end. */
static void lease_begin(struct opened *opened, struct arena_cursor *cursor,
			const struct arena_lease_args *lease)
{
	char *first = opened->arena.base + lease->offset, *pos = first;

	if (cursor->generation == lease->generation && first == cursor->end)
		pos = cursor->pos;
	cursor_set(cursor, pos, first + lease->bytes, lease->generation);
	cursor->now = &opened->arena.status->generation;
}

static void *lease_spare(struct opened *opened, struct arena_cursor *cursor, size_t bytes,
			 size_t align)
{
	struct arena_cursor *spare = &process->spares[opened->arena.cursor / sizeof(*spare)];
	__u64 now = arena_generation(&opened->arena);
	void *object = NULL;

	if (unused(spare, now) < bytes)
		return NULL;
	lock();
	if (unused(spare, now) >= bytes && unused(spare, now) >= room(cursor)) {
		object = bump(spare, bytes, align);
		if (object) {
			cursor_set(cursor, spare->pos, spare->end, now);
			cursor->now = &opened->arena.status->generation;
			cursor_set(spare, NULL, NULL, 0);
		}
	}
	unlock();
	return object;
}

/*
 * Extends the present lease and allocates in it. That is possible if the kernel has handed out
 * nothing behind the present lease: then the new lease only needs the bytes that the object lacks,
 * and the unused bytes of the present one are not wasted. If another thread or process allocates
 * first, the new lease lies elsewhere, and the cursor keeps the lease with more room. Returns NULL
 * if the object does not fit then, the kernel grants no lease, or a lease would have to be longer
 * than @want.
 */
static void *lease_more(struct opened *opened, struct arena_cursor *cursor, size_t bytes,
			size_t align, size_t want)
{
	size_t padding = -(uintptr_t)cursor->pos & (align - 1);
	struct arena_lease_args lease = { .align = ARENA_ALIGN, .want = want };

	if (arena_off(&opened->arena, cursor->end) != arena_high(&opened->arena))
		return NULL;
	lease.min = bytes + padding - room(cursor);
	if (lease.min > want)
		return NULL;
	if (!ask_lease(opened, &lease))
		return NULL;
	if (lease.generation == cursor->generation && lease.bytes < room(cursor) &&
	    arena_ptr(&opened->arena, lease.offset) != cursor->end)
		return NULL;
	lease_begin(opened, cursor, &lease);
	return bump(cursor, bytes, align);
}

static void *lease_new(struct opened *opened, struct arena_cursor *cursor, size_t bytes,
		       size_t align)
{
	size_t want = wish(opened, cursor, bytes);
	struct arena_lease_args lease = { .min = bytes, .want = want, .align = align };
	void *object = NULL;

	if (room(cursor))
		object = lease_more(opened, cursor, bytes, align, want);
	if (object || !ask_lease(opened, &lease))
		return object;
	lease_begin(opened, cursor, &lease);
	return bump(cursor, bytes, align);
}

/*
 * Grow the last object by @bytes, for which the present lease has no room. If another thread
 * allocates meanwhile, the new lease lies elsewhere and does not help: keep it for the next object.
 */
static bool grow_lease(struct opened *opened, struct arena_cursor *cursor, size_t bytes)
{
	char *end = cursor->pos, *more;

	more = lease_more(opened, cursor, bytes, ARENA_ALIGN, wish(opened, cursor, bytes));
	if (more && more != end)
		__atomic_store_n(&cursor->pos, more, __ATOMIC_RELAXED);
	return more && more == end;
}

static void *alloc_large(struct opened *opened, size_t size, size_t align)
{
	struct arena_alloc_args args = {
		.size = sizeof(args),
		.bytes = align_up(size, ARENA_ALIGN),
		.align = align,
		/*
		 * This tells alloc_checked() the size before rounding; the kernel ignores the value
		 * of this member.
		 */
		.generation = size,
	};

	if (call_kernel(opened->fd, ARENA_IOC_ALLOC, &args))
		return NULL;
	return opened->arena.base + args.offset;
}

/* Allocates when the lease has no room, belongs to an old generation, or does not exist. */
static void *alloc_slow(struct opened *opened, struct arena_cursor *cursor, size_t size,
			size_t align)
{
	size_t bytes = align_up(size, ARENA_ALIGN);
	void *object;

	if (cursor->generation != arena_generation(&opened->arena))
		cursor_set(cursor, NULL, NULL, 0);
	if (bytes > opened->large || align > opened->slab)
		return alloc_large(opened, size, align);
	object = lease_spare(opened, cursor, bytes, align);
	return object ?: lease_new(opened, cursor, bytes, align);
}

/*
 * Checkers of memory: AddressSanitizer and valgrind's memcheck. The library is compiled for
 * neither, but finds out at run time whether the program runs under one of them. If so, it uses no
 * leases: each object is allocated by an ioctl of its own, with a redzone behind it. The checker
 * reports an access to a redzone, and to memory that a reset or a rewind has freed.
 *
 * An arena that other processes may use is not checked: they may allocate where this process knows
 * of no object.
 */

void __asan_poison_memory_region(const void *at, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const void *at, size_t bytes) __attribute__((weak));

static bool find_checker(void)
{
#ifdef LIBARENA_UNCHECKED
	return false;
#else
	char byte = 0;

	/* Only memcheck answers this request. */
	return __asan_poison_memory_region || VALGRIND_MAKE_MEM_DEFINED(&byte, 1);
#endif
}

static void poison(const char *at, size_t bytes)
{
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(at, bytes);
	(void)VALGRIND_MAKE_MEM_NOACCESS(at, bytes);
}

static void unpoison(const char *at, size_t bytes, bool defined)
{
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(at, bytes);
	if (defined)
		(void)VALGRIND_MAKE_MEM_DEFINED(at, bytes);
	else
		(void)VALGRIND_MAKE_MEM_UNDEFINED(at, bytes);
}

static int alloc_checked(struct opened *opened, struct arena_alloc_args *args)
{
	size_t size = args->generation, room = args->bytes + REDZONE;
	char *object;
	int err;

	args->bytes = room;
	lock();
	err = ioctl(opened->fd, ARENA_IOC_ALLOC, args);
	if (!err && !opened->shared) {
		object = opened->arena.base + args->offset;
		poison(object, room);
		unpoison(object, size, opened->arena.status->flags & ARENA_SETUP_ZERO);
	}
	unlock();
	return err;
}

/* Tells the checker that an object of @old_size bytes has shrunk, or has grown into its padding. */
static void resize_checked(struct opened *opened, char *at, size_t old_size, size_t new_size)
{
	if (opened->shared)
		return;
	if (new_size > old_size)
		unpoison(at + old_size, new_size - old_size, false);
	else
		poison(at + new_size, align_up(old_size, ARENA_ALIGN) - new_size);
}

static void share(struct opened *opened)
{
	lock();
	if (!opened->shared)
		unpoison(opened->arena.base, opened->mapped, true);
	opened->shared = true;
	unlock();
}

/* Runs before a fork. After it, parent and child share all arenas, so stop checking the arenas. */
static void share_all(void)
{
	unsigned int index;

	for (index = 1; index <= __atomic_load_n(&highest, __ATOMIC_RELAXED); index++)
		if (arenas[index])
			share(arenas[index]);
}

static struct opened *opened_by_fd(int fd)
{
	unsigned int index = 1;

	while (!arenas[index] || arenas[index]->fd != fd)
		index++;
	return arenas[index];
}

/*
 * Makes a reset or rewind, and tells the checker which memory it has freed. The lock keeps out
 * allocations that this process makes meanwhile.
 */
static int free_checked(struct opened *opened, COMMAND command, void *args)
{
	__u64 before, now;
	int err;

	lock();
	before = arena_high(&opened->arena);
	err = ioctl(opened->fd, command, args);
	now = arena_high(&opened->arena);
	if (!err && now < before && !opened->shared)
		poison(opened->arena.base + now, before - now);
	unlock();
	return err;
}

static int batch_checked(struct opened *opened, struct arena_batch_args *args)
{
	const struct arena_batch_item *items = (void *)(uintptr_t)args->items;
	unsigned int i;
	int err;

	lock();
	err = ioctl(opened->fd, ARENA_IOC_BATCH, args);
	for (i = 0; !err && i < args->count; i++)
		unpoison(opened->arena.base + items[i].offset, items[i].bytes,
			 opened->shared || items[i].src || args->flags & ARENA_ALLOC_ZERO);
	unlock();
	return err;
}

static int call_checked(int fd, COMMAND command, ...)
{
	struct opened *opened = opened_by_fd(fd);
	va_list list;
	void *args;

	va_start(list, command);
	args = va_arg(list, void *);
	va_end(list);
	if (command == (COMMAND)ARENA_IOC_ALLOC)
		return alloc_checked(opened, args);
	if (command == (COMMAND)ARENA_IOC_BATCH)
		return batch_checked(opened, args);
	if (command != (COMMAND)ARENA_IOC_DUP)
		return free_checked(opened, command, args);
	share(opened);
	return ioctl(fd, command, args);
}

static int unmap_checked(void *at, size_t bytes)
{
	unpoison(at, bytes, true);
	return munmap(at, bytes);
}

static void check(void)
{
	checked = true;
	call_kernel = call_checked;
	unmap = unmap_checked;
	pthread_atfork(share_all, NULL, NULL);
}

/* Returns the arena of a cursor, or NULL if the cursor is not in the table of this thread. */
static struct opened *opened_of(const struct arena_cursor *cursor)
{
	size_t at = (const char *)cursor - libarena_cursors;

	if (at >= sizeof(no_table.cursors))
		return NULL;
	return __atomic_load_n(&arenas[at / sizeof(*cursor)], __ATOMIC_ACQUIRE);
}

PUBLIC void *libarena_refill(struct arena_cursor *cursor, size_t size, size_t align)
{
	struct opened *opened = opened_of(cursor);
	struct table *table;
	void *object;

	if (!opened || !size || align & (align - 1)) {
		errno = EINVAL;
		return NULL;
	}
	if (align_up(size, ARENA_ALIGN) < size) {
		errno = ENOSPC;
		return NULL;
	}
	/* Check the right to write here: the kernel only checks the right to allocate. */
	if (!(opened->rights & ARENA_RIGHT_WRITE)) {
		errno = EACCES;
		return NULL;
	}
	if (align < ARENA_ALIGN)
		align = ARENA_ALIGN;
	for (;;) {
		table = table_get();
		if (!table)
			return NULL;
		cursor = (void *)((char *)table + opened->arena.cursor);
		object = alloc_slow(opened, cursor, size, align);
		if (__atomic_load_n(&table->enlisted, __ATOMIC_RELAXED))
			return object;
		/*
		 * A signal handler has forked meanwhile and this is the child, whose table was
		 * wiped: the lease may be the parent's, so drop it and try again.
		 */
		cursor_set(cursor, NULL, NULL, 0);
	}
}

PUBLIC struct arena_cursor *arena_cursor(struct arena *arena)
{
	struct table *table = table_get();

	return table ? (void *)((char *)table + arena->cursor) : NULL;
}

/*
 * arena_memdup_aligned() calls this function when its allocation has failed. If the descriptor
 * lacks the right to write, the function lets the kernel allocate and copy. Otherwise it returns
 * NULL, with the errno of the allocation.
 */
PUBLIC void *libarena_copy_in(struct arena *arena, const void *src, size_t size, size_t align)
{
	struct opened *opened = (struct opened *)arena;
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (uintptr_t)src,
		.bytes = size,
		/* The kernel refuses an alignment that is not a power of two. */
		.align = align & (align - 1) || align > ARENA_ALIGN ? align : ARENA_ALIGN,
	};

	if (opened->rights & ARENA_RIGHT_WRITE || ioctl(opened->fd, ARENA_IOC_STORE, &args))
		return NULL;
	return arena->base + args.offset;
}

static int fd_of(const struct arena *arena)
{
	return ((const struct opened *)arena)->fd;
}

PUBLIC int arena_commit(struct arena *arena, size_t bytes)
{
	struct arena_commit_args args = { .size = sizeof(args), .bytes = bytes };

	return ioctl(fd_of(arena), ARENA_IOC_COMMIT, &args) ? -1 : 0;
}

PUBLIC int arena_batch(struct arena *arena, struct arena_batch_item *items, unsigned int count,
		       unsigned int flags)
{
	struct arena_batch_args args = {
		.size = sizeof(args),
		.flags = flags,
		.items = (uintptr_t)items,
		.count = count,
		.item_size = sizeof(*items),
	};

	return call_kernel(fd_of(arena), ARENA_IOC_BATCH, &args) ? -1 : 0;
}

/* Growing and shrinking. */

/* Returns whether @end is the end of the last object of this thread, and the object is alive. */
static bool ends_last(struct arena *arena, const struct arena_cursor *cursor, const char *end)
{
	return cursor->pos == end && cursor->generation == arena_generation(arena);
}

/* Move the end of the last object from @end to @to, which is in the lease. */
static void move_end(struct arena *arena, struct arena_cursor *cursor, char *end, char *to)
{
	/* With this flag, an arena hands out zeroed bytes: zero those that are given back. */
	if (to < end && arena->status->flags & ARENA_SETUP_ZERO)
		memset(to, 0, end - to);
	__atomic_store_n(&cursor->pos, to, __ATOMIC_RELAXED);
}

PUBLIC int arena_resize(struct arena *arena, void *ptr, size_t old_size, size_t new_size)
{
	struct arena_cursor *cursor = (void *)(libarena_cursors + arena->cursor);
	size_t old = align_up(old_size, ARENA_ALIGN), bytes = align_up(new_size, ARENA_ALIGN);
	char *end = (char *)ptr + old;
	bool last = ends_last(arena, cursor, end);

	if (!bytes) {
		errno = new_size ? ENOSPC : EINVAL;
		return -1;
	}
	if (last && (bytes <= old || bytes - old <= room(cursor))) {
		move_end(arena, cursor, end, (char *)ptr + bytes);
		return 0;
	}
	if (bytes <= old) {
		if (checked)
			resize_checked((struct opened *)arena, ptr, old_size, new_size);
		return 0;
	}
	if (last && grow_lease((struct opened *)arena, cursor, bytes - old))
		return 0;
	errno = ENOSPC;
	return -1;
}

PUBLIC void *arena_realloc(struct arena *arena, void *ptr, size_t old_size, size_t new_size)
{
	void *copy;

	if (ptr && !arena_resize(arena, ptr, old_size, new_size))
		return ptr;
	copy = arena_alloc(arena, new_size);
	return copy && ptr ? memcpy(copy, ptr, old_size) : copy;
}

/* Handles and marks. */

PUBLIC void *libarena_deref(const struct arena *arena, struct arena_handle handle)
{
	struct arena_handle_args args = {
		.size = sizeof(args),
		.handle_generation = handle.generation,
		.handle_offset = handle.offset,
	};

	if (ioctl(fd_of(arena), ARENA_IOC_DEREF, &args))
		return NULL;
	return arena_ptr(arena, args.offset);
}

/*
 * If nothing was handed out behind the lease of this thread, the mark lies in the lease and not
 * behind it: so the rewind frees what the thread allocates in the rest of the lease, too.
 */
PUBLIC int arena_mark(struct arena *arena, struct arena_mark *mark)
{
	const struct arena_cursor *cursor = (void *)(libarena_cursors + arena->cursor);
	struct arena_mark_args args = { .size = sizeof(args) };
	size_t rest = 0;

	if (ioctl(fd_of(arena), ARENA_IOC_MARK, &args))
		return -1;
	if (cursor->generation == args.generation &&
	    arena_off(arena, cursor->end) == args.offset)
		rest = room(cursor);
	*mark = (struct arena_mark){
		.generation = args.generation,
		.offset = args.offset - rest,
		.used = args.used - rest,
	};
	return 0;
}

PUBLIC int arena_rewind(struct arena *arena, const struct arena_mark *mark)
{
	struct arena_mark_args args = {
		.size = sizeof(args),
		.generation = mark->generation,
		.offset = mark->offset,
		.used = mark->used,
	};

	return call_kernel(fd_of(arena), ARENA_IOC_REWIND, &args) ? -1 : 0;
}

PUBLIC struct libarena_scope libarena_scope_begin(struct arena *arena)
{
	struct libarena_scope scope = { .arena = arena };

	scope.failed = arena_mark(arena, &scope.mark);
	if (scope.failed)
		scope.arena = NULL;
	return scope;
}

/*
 * Ends a scope. arena_scope() calls this at the end of its block, and the compiler calls it again
 * when the scope's variable goes out of scope. The second call does nothing.
 */
PUBLIC void libarena_scope_end(struct libarena_scope *scope)
{
	int saved = errno;

	if (scope->arena)
		arena_rewind(scope->arena, &scope->mark);
	scope->arena = NULL;
	errno = saved;
}

/* Strings. */

PUBLIC char *arena_strndup(struct arena *arena, const char *string, size_t max)
{
	size_t len = strnlen(string, max);
	char *copy = arena_alloc(arena, len + 1), *whole;

	if (copy) {
		memcpy(copy, string, len);
		copy[len] = '\0';
		return copy;
	}
	/*
	 * Without the right to write (EACCES), arena_strdup() lets the kernel copy the string with
	 * its terminating zero: so make a string that ends where the copy is to end.
	 */
	if (errno != EACCES)
		return NULL;
	whole = strndup(string, len);
	if (!whole)
		return NULL;
	copy = arena_strdup(arena, whole);
	free(whole);
	return copy;
}

PUBLIC char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	char text[PRINT_MAX], *all = text, *copy;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(text, sizeof(text), format, args);
	if (len >= (int)sizeof(text))
		len = vasprintf(&all, format, again);
	va_end(again);
	if (len < 0)
		return NULL;
	copy = arena_memdup(arena, all, (size_t)len + 1);
	if (all != text)
		free(all);
	return copy;
}

PUBLIC char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *copy;

	va_start(args, format);
	copy = arena_vprintf(arena, format, args);
	va_end(args);
	return copy;
}

/* Queries and calls to the kernel. */

PUBLIC __u64 arena_offset(struct arena *arena)
{
	unsigned int index = arena->cursor / sizeof(struct arena_cursor);
	__u64 generation, used, idle;
	struct table *table;

	lock();
	do {
		generation = arena_generation(arena);
		used = __atomic_load_n(&arena->status->offset, __ATOMIC_ACQUIRE);
		idle = unused(&process->spares[index], generation);
		for (table = process->tables; table; table = table->next)
			idle += unused(&table->cursors[index], generation);
		/* The generation is odd while a reset is under way. */
	} while (generation & 1 || arena_generation(arena) != generation);
	unlock();
	return used > idle ? used - idle : 0;
}

PUBLIC int arena_fd(const struct arena *arena)
{
	if (checked)
		share((struct opened *)arena);
	return fd_of(arena);
}

PUBLIC int arena_share(struct arena *arena, unsigned int rights)
{
	struct arena_dup_args args = { .size = sizeof(args), .rights = rights };

	return call_kernel(fd_of(arena), ARENA_IOC_DUP, &args) ? -1 : args.fd;
}

static int reset(struct arena *arena, enum arena_reset_mode mode, __u64 keep)
{
	struct arena_reset_args args = {
		.size = sizeof(args),
		.mode = mode,
		.keep = keep,
	};

	return call_kernel(fd_of(arena), ARENA_IOC_RESET, &args) ? -1 : 0;
}

PUBLIC int arena_reset(struct arena *arena, enum arena_reset_mode mode)
{
	return reset(arena, mode, 0);
}

PUBLIC int arena_reset_release(struct arena *arena, __u64 keep)
{
	return reset(arena, ARENA_RESET_RELEASE, keep);
}

PUBLIC int arena_watch(struct arena *arena, __u64 mark)
{
	struct arena_watch_args args = { .size = sizeof(args), .mark = mark };

	return ioctl(fd_of(arena), ARENA_IOC_WATCH, &args) ? -1 : 0;
}

PUBLIC int arena_notify(struct arena *arena)
{
	struct arena_notify_args args = { .size = sizeof(args) };

	return ioctl(fd_of(arena), ARENA_IOC_NOTIFY, &args) ? -1 : 0;
}

/* Lifetime. */

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * Maps the arena at an address that is aligned to its slab size: then an aligned offset has an
 * aligned address, and the kernel can map slabs by huge pages.
 */
static char *map_aligned(struct opened *opened, int prot)
{
	size_t bytes = opened->mapped, room = bytes + opened->slab;
	char *all, *base, *end;

	all = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	base = (char *)align_up((uintptr_t)all, opened->slab);
	end = base + bytes;
	if (mmap(base, bytes, prot, MAP_SHARED | MAP_FIXED, opened->fd, 0) == MAP_FAILED) {
		munmap(all, room);
		return NULL;
	}
	if (base != all)
		munmap(all, base - all);
	if (end != all + room)
		munmap(end, all + room - end);
	return base;
}

static int prot_of(const struct opened *opened)
{
	return PROT_READ | (opened->rights & ARENA_RIGHT_WRITE ? PROT_WRITE : 0);
}

static int map_arena(struct opened *opened)
{
	struct arena *arena = &opened->arena;
	void *status;

	arena->base = map_aligned(opened, prot_of(opened));
	/* A sealed arena can be mapped for reading only, whatever the rights. */
	if (!arena->base && errno == EPERM)
		arena->base = map_aligned(opened, PROT_READ);
	if (!arena->base)
		return -1;
	status = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, opened->fd, ARENA_STATUS_OFFSET);
	if (status != MAP_FAILED) {
		arena->status = status;
		return 0;
	}
	munmap(arena->base, opened->mapped);
	return -1;
}

static void unmap_arena(struct opened *opened)
{
	munmap((void *)opened->arena.status, page_size());
	unmap(opened->arena.base, opened->mapped);
}

static unsigned int index_of(const struct opened *opened)
{
	return opened->arena.cursor / sizeof(struct arena_cursor);
}

/*
 * Clears the cursors of all threads, which may not use the arena during arena_close() and
 * arena_seal().
 */
static void clear_cursors(struct opened *opened)
{
	unsigned int index = index_of(opened);
	struct table *table;

	lock();
	for (table = process->tables; table; table = table->next)
		memset(&table->cursors[index], 0, sizeof(table->cursors[index]));
	memset(&process->spares[index], 0, sizeof(process->spares[index]));
	unlock();
}

/* Maps the arena by descriptor @fd, in place of its present mapping. */
static int map_again(struct opened *opened, int fd, int prot)
{
	void *at = mmap(opened->arena.base, opened->mapped, prot, MAP_SHARED | MAP_FIXED, fd, 0);

	return at == MAP_FAILED ? -1 : 0;
}

/*
 * The kernel does not seal an arena that is mapped by a descriptor with the right to write, because
 * such a mapping can become writable. So this function first replaces the library's mapping by one
 * of @reader, a descriptor without that right. If SEAL fails, it maps the library's own descriptor
 * again.
 */
static int seal_mapped(struct opened *opened, int reader)
{
	struct arena_seal_args args = { .size = sizeof(args) };
	int saved;

	if (!map_again(opened, reader, PROT_READ) && !ioctl(opened->fd, ARENA_IOC_SEAL, &args))
		return 0;
	saved = errno;
	/*
	 * If another process has sealed the arena meanwhile, it cannot be mapped writable, and is
	 * sealed as the caller wanted.
	 */
	if (map_again(opened, opened->fd, prot_of(opened)) && errno == EPERM)
		return 0;
	errno = saved;
	return -1;
}

PUBLIC int arena_seal(struct arena *arena)
{
	struct opened *opened = (struct opened *)arena;
	struct arena_dup_args dup = { .size = sizeof(dup), .rights = ARENA_RIGHT_READ };
	int err, saved;

	if (ioctl(opened->fd, ARENA_IOC_DUP, &dup))
		return -1;
	err = seal_mapped(opened, dup.fd);
	saved = errno;
	close(dup.fd);
	errno = saved;
	/* No thread may use the rest of its lease any more, as that memory cannot be written to. */
	if (!err)
		clear_cursors(opened);
	return err;
}

static int ask_info(struct opened *opened)
{
	struct arena_info_args info = { .size = sizeof(info) };

	if (ioctl(opened->fd, ARENA_IOC_INFO, &info))
		return -1;
	if (!(info.rights & ARENA_RIGHT_READ)) {
		errno = EACCES;
		return -1;
	}
	opened->rights = info.rights;
	opened->slab = info.slab_size;
	opened->large = checked ? 0 : opened->slab / LARGE_SHARE;
	opened->arena.capacity = info.capacity;
	opened->mapped = align_up(info.capacity, page_size());
	/* Fail if the arena does not fit into the address space of a 32-bit program. */
	if (opened->mapped < info.capacity || opened->mapped + opened->slab < opened->mapped) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

static void raise_highest(unsigned int index)
{
	unsigned int was = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	while (was < index &&
	       !__atomic_compare_exchange_n(&highest, &was, index, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

static int take_index(struct opened *opened)
{
	struct opened *none;
	unsigned int index;

	for (index = 1; index < NR_INDICES; index++) {
		none = NULL;
		opened->arena.cursor = index * sizeof(struct arena_cursor);
		if (!__atomic_compare_exchange_n(&arenas[index], &none, opened, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		raise_highest(index);
		return 0;
	}
	errno = EMFILE;
	return -1;
}

static void give_index(struct opened *opened)
{
	clear_cursors(opened);
	__atomic_store_n(&arenas[index_of(opened)], NULL, __ATOMIC_RELEASE);
}

static int opened_init(struct opened *opened)
{
	if (start_once() || ask_info(opened) || map_arena(opened))
		return -1;
	if (!take_index(opened))
		return 0;
	unmap_arena(opened);
	return -1;
}

/* Takes over @fd, and closes it on failure. */
static struct arena *opened_make(int fd, bool shared)
{
	struct opened *opened = calloc(1, sizeof(*opened));
	int saved;

	if (opened) {
		opened->fd = fd;
		opened->shared = shared;
		if (!opened_init(opened))
			return &opened->arena;
	}
	saved = errno;
	free(opened);
	close(fd);
	errno = saved;
	return NULL;
}

PUBLIC struct arena *arena_open_setup(struct arena_setup_args *setup)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), saved;

	if (fd < 0)
		return NULL;
	if (!ioctl(fd, ARENA_IOC_SETUP, setup))
		return opened_make(fd, false);
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

PUBLIC struct arena *arena_open(const char *name, __u64 capacity, unsigned int flags)
{
	struct arena_setup_args setup = {
		.size = sizeof(setup),
		.flags = flags,
		.capacity = capacity,
	};

	if (name && strlen(name) >= sizeof(setup.name)) {
		errno = EINVAL;
		return NULL;
	}
	if (name)
		memcpy(setup.name, name, strlen(name));
	return arena_open_setup(&setup);
}

PUBLIC struct arena *arena_attach(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? NULL : opened_make(own, true);
}

PUBLIC void arena_close(struct arena *arena)
{
	struct opened *opened = (struct opened *)arena;
	int saved = errno;

	if (!arena)
		return;
	give_index(opened);
	unmap_arena(opened);
	close(opened->fd);
	free(opened);
	errno = saved;
}
