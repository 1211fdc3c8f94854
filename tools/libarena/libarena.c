// SPDX-License-Identifier: GPL-2.0
/*
 * libarena: allocation from /dev/arena without a call.
 */
/*
 * What there is:
 *
 *   thread           process (wiped by fork)        arenas[]
 *   libarena_cursors   lock                           |
 *     |                tables --> table --> table     v
 *     v                spares[]     |         |     struct handle: descriptor,
 *   table of cursors  <-------------'         |       mapping, status page
 *     [index] pos..end of the lease      of other
 *     of this thread in arenas[index]    threads
 *
 * An arena has an index for as long as it is open here. At that index each thread
 * has its cursor in its own table: nobody else writes it, but for arena_close(),
 * when by contract nobody else uses the arena. The fast path (in the header) looks
 * at nothing else but the status page.
 *
 * fork: a child must not bump in the leases of its parent, which goes on with them.
 * Therefore tables, and all that knows of leases, lie in memory that the kernel
 * wipes in the child (MADV_WIPEONFORK), whichever way it was forked, without a
 * handler and without a look at a process number in the fast path: all cursors of the child
 * are empty, so it comes here for leases of its own. The lock lies there, too, and is
 * free in the child, whatever the threads were doing that it does not have; what
 * the lock protects is all wiped with it. arenas[] needs no lock.
 *
 * Threads: a table is made by the first allocation of a thread and unmapped by the
 * destructor of a pthread key. What it leaves of its leases becomes the spare of the
 * arena: the next thread that needs a lease takes that first. One spare an arena,
 * the largest: programs that start a thread for each job do not lose a lease each.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64	/* the status page lies at 1 TiB */
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

#include <libarena.h>

#define PUBLIC		__attribute__((visibility("default")))
#define DEVICE		"/dev/arena"

#define NR_INDICES	(ARENA_OPEN_MAX + 1)	/* 0 is not used */

/* Leases begin with this, and double while a thread comes back for more. */
#define LEASE_MIN	((size_t)4096)
#define LEASE_MAX	((size_t)256 * 1024)
/* A lease near the end of the arena takes no more than this part of the rest. */
#define LEASE_SHARE	16
/* Objects above this part of a slab get a call of their own, and waste no lease. */
#define LARGE_SHARE	8
/* Strings up to this are printed once. */
#define PRINT_MAX	256

/**
 * struct handle - an arena that is open here.
 * @arena: what programs see of it.
 * @fd: ours.
 * @rights: of @fd.
 * @slab: bytes; no lease is longer.
 * @mapped: bytes at @arena.base.
 */
struct handle {
	struct arena arena;
	int fd;
	unsigned int rights;
	size_t slab;
	size_t mapped;
};

/**
 * struct table - what a thread has. Wiped by fork.
 * @cursors: by index.
 * @enlisted: it is in the list of all; for its own thread to know.
 * @next: of the list, under the lock, as is
 * @link: what points to this one.
 */
struct table {
	struct arena_cursor cursors[NR_INDICES];
	bool enlisted;
	struct table *next;
	struct table **link;
};

/**
 * struct process - what the threads of a process have in common. Wiped by fork.
 * @lock: of the rest; see lock().
 * @tables: of all threads that have allocated.
 * @spares: what threads left at their ends.
 */
struct process {
	unsigned int lock;
	struct table *tables;
	struct arena_cursor spares[NR_INDICES];
};

/* Read by threads that have no table, written by nobody. */
static struct table no_table;

PUBLIC __thread char *libarena_cursors = (char *)&no_table;

static struct process *process;
static struct handle *arenas[NR_INDICES];
static unsigned int highest;	/* index that was ever used */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_deleted;	/* under the lock */
static int once_error;

/* The lock: 0 free, 1 taken, 2 taken and others wait. */

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

/* Memory that is zero now, and in a child. */
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

/* Others may be looking, see unused(). */
static void cursor_set(struct arena_cursor *cursor, char *pos, char *end, __u64 generation)
{
	__atomic_store_n(&cursor->pos, pos, __ATOMIC_RELAXED);
	__atomic_store_n(&cursor->end, end, __ATOMIC_RELAXED);
	__atomic_store_n(&cursor->generation, generation, __ATOMIC_RELAXED);
}

/* Bytes of a lease that nobody has used yet, as far as another thread can tell. */
static size_t unused(const struct arena_cursor *cursor, __u64 generation)
{
	size_t bytes = room(cursor);

	if (__atomic_load_n(&cursor->generation, __ATOMIC_RELAXED) != generation)
		return 0;
	/* Seen halfway through a change. */
	return bytes <= 2 * LEASE_MAX ? bytes : 0;
}

/* What the fast path does, for a lease that is known to be good. */
static void *bump(struct arena_cursor *cursor, size_t bytes, size_t align)
{
	uintptr_t at = ((uintptr_t)cursor->pos + align - 1) & -(uintptr_t)align;

	if (at > (uintptr_t)cursor->end || bytes > (uintptr_t)cursor->end - at)
		return NULL;
	__atomic_store_n(&cursor->pos, (char *)(at + bytes), __ATOMIC_RELAXED);
	return (void *)at;
}

/* Threads. */

/* With the lock. */
static void table_enlist(struct table *table)
{
	table->next = process->tables;
	table->link = &process->tables;
	if (table->next)
		table->next->link = &table->next;
	process->tables = table;
}

/* With the lock. */
static void table_delist(struct table *table)
{
	*table->link = table->next;
	if (table->next)
		table->next->link = table->link;
}

/* With the lock. A thread ends: what it has of @index is for others. */
static void cursor_leave(struct table *table, unsigned int index)
{
	struct handle *handle = __atomic_load_n(&arenas[index], __ATOMIC_ACQUIRE);
	struct arena_cursor *cursor = &table->cursors[index], *spare = &process->spares[index];
	__u64 now;

	if (!handle || cursor->pos == cursor->end)
		return;
	now = arena_generation(&handle->arena);
	if (unused(cursor, now) > unused(spare, now))
		cursor_set(spare, cursor->pos, cursor->end, now);
}

/* Destructors that come after this one may allocate: then it runs again. */
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
 * When a shared object that has this library inside is unloaded, threads that end later
 * must not call thread_end(), which is no longer there. The C library calls this
 * at exit(), too, and does not say which of both it is. At exit() other threads still
 * allocate: their tables stay, and a thread without one gets a table that lasts as long as
 * the process. The table of this thread may be used until its arenas are closed.
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

static void start(void)
{
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

/* The table of this thread. After a fork it is there, wiped, and in no list. */
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

static bool ask_alloc(struct handle *handle, size_t bytes, size_t align, __u64 *offset)
{
	struct arena_alloc_args args = {
		.size = sizeof(args),
		.bytes = bytes,
		.align = align,
	};

	if (ioctl(handle->fd, ARENA_IOC_ALLOC, &args))
		return false;
	*offset = args.offset;
	return true;
}

static bool ask_lease(struct handle *handle, struct arena_lease_args *args)
{
	args->size = sizeof(*args);
	return !ioctl(handle->fd, ARENA_IOC_LEASE, args);
}

static size_t align_up(size_t bytes, size_t align)
{
	return (bytes + align - 1) & -align;
}

/* Twice as much as the last time, but near the end only a part of what is left. */
static size_t wish(struct handle *handle, struct arena_cursor *cursor, size_t bytes)
{
	size_t most = handle->slab < LEASE_MAX ? handle->slab : LEASE_MAX, left, want;
	__u64 used = __atomic_load_n(&handle->arena.status->offset, __ATOMIC_RELAXED);

	want = cursor->want ? 2 * cursor->want : LEASE_MIN;
	want = want < most ? want : most;
	cursor->want = want;
	left = used < handle->arena.capacity ? handle->arena.capacity - used : 0;
	if (want > left / LEASE_SHARE)
		want = align_up(left / LEASE_SHARE, 64);
	return want < bytes ? bytes : want;
}

/* A lease right behind the one that @cursor has makes that one longer. */
static void lease_begin(struct handle *handle, struct arena_cursor *cursor,
			const struct arena_lease_args *lease)
{
	char *first = handle->arena.base + lease->offset, *pos = first;

	if (cursor->generation == lease->generation && first == cursor->end)
		pos = cursor->pos;
	cursor_set(cursor, pos, first + lease->bytes, lease->generation);
	cursor->now = &handle->arena.status->generation;
}

static void *lease_spare(struct handle *handle, struct arena_cursor *cursor, size_t bytes,
			 size_t align)
{
	struct arena_cursor *spare = &process->spares[handle->arena.cursor / sizeof(*spare)];
	__u64 now = arena_generation(&handle->arena);
	void *object = NULL;

	if (unused(spare, now) < bytes)
		return NULL;
	lock();
	if (unused(spare, now) >= bytes && unused(spare, now) >= room(cursor)) {
		object = bump(spare, bytes, align);
		if (object) {
			cursor_set(cursor, spare->pos, spare->end, now);
			cursor->now = &handle->arena.status->generation;
			cursor_set(spare, NULL, NULL, 0);
		}
	}
	unlock();
	return object;
}

/*
 * Nothing lies behind the lease yet: what the object lacks there is enough, and the
 * rest of the lease is not lost. If somebody is faster, and what we get lies
 * elsewhere, then the shorter one of both is. Not for padding that is longer than a lease.
 */
static void *lease_more(struct handle *handle, struct arena_cursor *cursor, size_t bytes,
			size_t align, size_t want)
{
	size_t padding = -(uintptr_t)cursor->pos & (align - 1);
	struct arena_lease_args lease = { .align = ARENA_ALIGN, .want = want };

	if (!room(cursor) || arena_off(&handle->arena, cursor->end) != arena_high(&handle->arena))
		return NULL;
	lease.min = bytes + padding - room(cursor);
	if (lease.min > want)
		return NULL;
	if (!ask_lease(handle, &lease))
		return NULL;
	if (lease.generation == cursor->generation && lease.bytes < room(cursor) &&
	    arena_ptr(&handle->arena, lease.offset) != cursor->end)
		return NULL;
	lease_begin(handle, cursor, &lease);
	return bump(cursor, bytes, align);
}

static void *lease_new(struct handle *handle, struct arena_cursor *cursor, size_t bytes,
		       size_t align)
{
	size_t want = wish(handle, cursor, bytes);
	struct arena_lease_args lease = { .min = bytes, .want = want, .align = align };
	void *object = lease_more(handle, cursor, bytes, align, want);

	if (object || !ask_lease(handle, &lease))
		return object;
	lease_begin(handle, cursor, &lease);
	return bump(cursor, bytes, align);
}

static void *alloc_large(struct handle *handle, size_t bytes, size_t align)
{
	__u64 offset;

	return ask_alloc(handle, bytes, align, &offset) ? handle->arena.base + offset : NULL;
}

/* The lease of this thread does not do: it is used up, void, or not there. */
static void *alloc_slow(struct handle *handle, struct arena_cursor *cursor, size_t bytes,
			size_t align)
{
	void *object;

	if (cursor->generation != arena_generation(&handle->arena))
		cursor_set(cursor, NULL, NULL, 0);
	if (bytes > handle->slab / LARGE_SHARE || align > handle->slab)
		return alloc_large(handle, bytes, align);
	object = lease_spare(handle, cursor, bytes, align);
	return object ?: lease_new(handle, cursor, bytes, align);
}

/* A cursor of another thread has no index in our table. */
static struct handle *handle_of(const struct arena_cursor *cursor)
{
	size_t at = (const char *)cursor - libarena_cursors;

	if (at >= sizeof(no_table.cursors))
		return NULL;
	return __atomic_load_n(&arenas[at / sizeof(*cursor)], __ATOMIC_ACQUIRE);
}

PUBLIC void *libarena_refill(struct arena_cursor *cursor, size_t size, size_t align)
{
	size_t bytes = align_up(size, ARENA_ALIGN);
	struct handle *handle = handle_of(cursor);
	struct table *table;
	void *object;

	if (!handle || !size || align & (align - 1)) {
		errno = EINVAL;
		return NULL;
	}
	if (bytes < size) {
		errno = ENOSPC;
		return NULL;
	}
	/* A call would say no by itself, but only for the other right. */
	if (!(handle->rights & ARENA_RIGHT_WRITE)) {
		errno = EACCES;
		return NULL;
	}
	if (align < ARENA_ALIGN)
		align = ARENA_ALIGN;
	for (;;) {
		table = table_get();
		if (!table)
			return NULL;
		cursor = (void *)((char *)table + handle->arena.cursor);
		object = alloc_slow(handle, cursor, bytes, align);
		if (__atomic_load_n(&table->enlisted, __ATOMIC_RELAXED))
			return object;
		/* A signal handler forked meanwhile, and this is the child: it is the parent's. */
		cursor_set(cursor, NULL, NULL, 0);
	}
}

PUBLIC struct arena_cursor *arena_cursor(struct arena *arena)
{
	struct table *table = table_get();

	return table ? (void *)((char *)table + arena->cursor) : NULL;
}

/* Who may allocate and not write has the kernel write. Otherwise errno stands. */
PUBLIC void *libarena_copy_in(struct arena *arena, const void *src, size_t size, size_t align)
{
	struct handle *handle = (struct handle *)arena;
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (uintptr_t)src,
		.bytes = size,
		/* What is no power of two is for the kernel to refuse. */
		.align = align & (align - 1) || align > ARENA_ALIGN ? align : ARENA_ALIGN,
	};

	if (handle->rights & ARENA_RIGHT_WRITE || ioctl(handle->fd, ARENA_IOC_STORE, &args))
		return NULL;
	return arena->base + args.offset;
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
	/* The kernel would want the zero behind it. */
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

/* What the kernel knows. */

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
		/* Odd while a reset is on its way. */
	} while (generation & 1 || arena_generation(arena) != generation);
	unlock();
	return used > idle ? used - idle : 0;
}

PUBLIC int arena_fd(const struct arena *arena)
{
	return ((const struct handle *)arena)->fd;
}

PUBLIC int arena_share(struct arena *arena, unsigned int rights)
{
	struct arena_dup_args args = { .size = sizeof(args), .rights = rights };

	return ioctl(arena_fd(arena), ARENA_IOC_DUP, &args) ? -1 : args.fd;
}

static int reset(struct arena *arena, enum arena_reset_mode mode, __u64 keep)
{
	struct arena_reset_args args = {
		.size = sizeof(args),
		.mode = mode,
		.keep = keep,
	};

	return ioctl(arena_fd(arena), ARENA_IOC_RESET, &args) ? -1 : 0;
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

	return ioctl(arena_fd(arena), ARENA_IOC_WATCH, &args) ? -1 : 0;
}

PUBLIC int arena_notify(struct arena *arena)
{
	struct arena_notify_args args = { .size = sizeof(args) };

	return ioctl(arena_fd(arena), ARENA_IOC_NOTIFY, &args) ? -1 : 0;
}

/* Lifetime. */

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * At an address aligned as slabs are, so that what is aligned in the arena is so in
 * memory, and large pages can be used.
 */
static char *map_aligned(struct handle *handle, int prot)
{
	size_t bytes = handle->mapped, room = bytes + handle->slab;
	char *all, *base, *end;

	all = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	base = (char *)align_up((uintptr_t)all, handle->slab);
	end = base + bytes;
	if (mmap(base, bytes, prot, MAP_SHARED | MAP_FIXED, handle->fd, 0) == MAP_FAILED) {
		munmap(all, room);
		return NULL;
	}
	if (base != all)
		munmap(all, base - all);
	if (end != all + room)
		munmap(end, all + room - end);
	return base;
}

static int map_arena(struct handle *handle)
{
	int prot = PROT_READ | (handle->rights & ARENA_RIGHT_WRITE ? PROT_WRITE : 0);
	struct arena *arena = &handle->arena;
	void *status;

	arena->base = map_aligned(handle, prot);
	if (!arena->base)
		return -1;
	status = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, handle->fd, ARENA_STATUS_OFFSET);
	if (status != MAP_FAILED) {
		arena->status = status;
		return 0;
	}
	munmap(arena->base, handle->mapped);
	return -1;
}

static void unmap_arena(struct handle *handle)
{
	munmap((void *)handle->arena.status, page_size());
	munmap(handle->arena.base, handle->mapped);
}

static int ask_info(struct handle *handle)
{
	struct arena_info_args info = { .size = sizeof(info) };

	if (ioctl(handle->fd, ARENA_IOC_INFO, &info))
		return -1;
	if (!(info.rights & ARENA_RIGHT_READ)) {
		errno = EACCES;
		return -1;
	}
	handle->rights = info.rights;
	handle->slab = info.slab_size;
	handle->arena.capacity = info.capacity;
	handle->mapped = align_up(info.capacity, page_size());
	/* A program of 32 bits. */
	if (handle->mapped < info.capacity || handle->mapped + handle->slab < handle->mapped) {
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

static int take_index(struct handle *handle)
{
	struct handle *nobody;
	unsigned int index;

	for (index = 1; index < NR_INDICES; index++) {
		nobody = NULL;
		handle->arena.cursor = index * sizeof(struct arena_cursor);
		if (!__atomic_compare_exchange_n(&arenas[index], &nobody, handle, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		raise_highest(index);
		return 0;
	}
	errno = EMFILE;
	return -1;
}

/* Nobody uses the arena any more: its cursors are ours, whoever's they were. */
static void give_index(struct handle *handle)
{
	unsigned int index = handle->arena.cursor / sizeof(struct arena_cursor);
	struct table *table;

	lock();
	for (table = process->tables; table; table = table->next)
		memset(&table->cursors[index], 0, sizeof(table->cursors[index]));
	memset(&process->spares[index], 0, sizeof(process->spares[index]));
	unlock();
	__atomic_store_n(&arenas[index], NULL, __ATOMIC_RELEASE);
}

static int handle_init(struct handle *handle)
{
	if (start_once() || ask_info(handle) || map_arena(handle))
		return -1;
	if (!take_index(handle))
		return 0;
	unmap_arena(handle);
	return -1;
}

/* With a descriptor that is closed if this fails. */
static struct arena *handle_make(int fd)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int saved;

	if (handle) {
		handle->fd = fd;
		if (!handle_init(handle))
			return &handle->arena;
	}
	saved = errno;
	free(handle);
	close(fd);
	errno = saved;
	return NULL;
}

static int set_up(int fd, const char *name, __u64 capacity, unsigned int flags)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.flags = flags,
		.capacity = capacity,
	};

	if (name && strlen(name) >= sizeof(args.name)) {
		errno = EINVAL;
		return -1;
	}
	if (name)
		memcpy(args.name, name, strlen(name));
	return ioctl(fd, ARENA_IOC_SETUP, &args);
}

PUBLIC struct arena *arena_open(const char *name, __u64 capacity, unsigned int flags)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), saved;

	if (fd < 0)
		return NULL;
	if (!set_up(fd, name, capacity, flags))
		return handle_make(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

PUBLIC struct arena *arena_attach(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? NULL : handle_make(own);
}

PUBLIC void arena_close(struct arena *arena)
{
	struct handle *handle = (struct handle *)arena;
	int saved = errno;

	if (!arena)
		return;
	give_index(handle);
	unmap_arena(handle);
	close(handle->fd);
	free(handle);
	errno = saved;
}
