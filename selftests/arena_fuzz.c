// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer for /dev/arena: processes that read bytes as calls, well-formed ones and
 * hostile ones, and check after each what must always hold.
 *
 *   arena_fuzz [-s SEED] [-t SECONDS] [-n ROUNDS] [-p PROCESSES] [-i HEX]
 *
 * A round is one input, played by a process of its own. Inputs follow from the seed
 * and, where the kernel has KCOV, from what earlier ones reached: those that found
 * new code are kept, and varied. Without KCOV the same seed gives the same calls. An
 * input that breaks something is printed, and -i plays it again.
 *
 * What must hold: each errno is one that <linux/arena.h> names for that call; the
 * sums of INFO add up; what an arena hands out lies inside it, aligned, and
 * overlaps nothing; no page shows a byte that its arena did not put there; and when
 * all are gone the module holds no arena and no memory.
 */
#include <getopt.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include "arena_test.h"

#define INPUT_MAX	512
#define CORPUS_MAX	512
#define ARENAS		3
#define FDS		5
#define MAPS		12
#define OBJECTS		256
#define MARKS		8
#define PAGE		page_size()
#define ROUND_LIMIT	120	/* seconds, until a round counts as hanging */
#define COVER_WORDS	65536UL
#define COVER_SLOTS	32768UL

#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)

struct input {
	unsigned char bytes[INPUT_MAX];
	unsigned int len;
	unsigned int at;
};

struct object {
	__u64 offset;
	__u64 bytes;
};

/* What is known of an arena. @lost: of its sums and objects, nothing until a reset. */
struct arena {
	int fd[FDS];
	__u32 rights[FDS];
	bool made;
	bool lost;
	bool alien;	/* bytes that are neither zero nor @tag may be in it */
	unsigned char tag;
	struct arena_info_args info;
	__u64 used;
	unsigned int nr;
	struct object object[OBJECTS];
	unsigned int depth;
	struct {
		struct arena_mark_args mark;
		__u64 high;
		__u64 used;
	} mark[MARKS];
};

struct map {
	char *at;
	size_t bytes;
	int arena;
	bool writable;
};

/* Shared by all processes. */
struct shared {
	unsigned long rounds;
	unsigned long calls;
	unsigned long successes;
	unsigned long covered;
	unsigned long failures;
	unsigned long cover[COVER_SLOTS];
};

static struct shared *shared;
static struct arena arenas[ARENAS];
static struct map maps[MAPS];
static struct input *in;
static bool alone;	/* no other process uses our arenas */
static unsigned long *kcov;
static char *args_page;	/* the last page before one that cannot be touched */

/* With the input that broke it. */
static void end_broken(void)
{
	unsigned int i;

	printf("\n  again: arena_fuzz -i ");
	for (i = 0; i < in->len; i++)
		printf("%02x", in->bytes[i]);
	printf("\n");
	fflush(stdout);
	__atomic_fetch_add(&shared->failures, 1, __ATOMIC_RELAXED);
	_exit(1);
}

#define broken(...)	do { printf("BROKEN: " __VA_ARGS__); end_broken(); } while (0)

static unsigned int get_byte(void)
{
	return in->at < in->len ? in->bytes[in->at++] : 0;
}

static unsigned int get_short(void)
{
	unsigned int low = get_byte();

	return low | get_byte() << 8;
}

/* Numbers around what matters. */
static __u64 get_number(const struct arena *a)
{
	unsigned int kind = get_byte(), extra = get_byte();
	__u64 slab = a->info.slab_size ?: PAGE, capacity = a->info.capacity ?: SLAB;

	switch (kind & 15) {
	case 0:
		return slab + extra - 128;
	case 1:
		return capacity + 8 - (extra & 15);
	case 2:
		return slab * (extra & 7) + (extra >> 3);
	case 3:
		return 1ULL << (extra & 63);
	case 4:
		return (extra & 64 ? UINT64_MAX : UINT32_MAX) - (extra & 63);
	case 5:
		return extra & 3;
	case 6:
		return PAGE * extra;
	default:
		return 1 + (__u64)extra * (kind >> 6);
	}
}

/* Errors: those of every call, then each one's own. */
static const short common_errors[] = { EFAULT, EINVAL, E2BIG, EACCES, ENOMEM, EINTR, 0 };
static const short own_errors[][4] = {
	[_IOC_NR(ARENA_IOC_SETUP)] = { EBUSY, EFBIG },
	[_IOC_NR(ARENA_IOC_ALLOC)] = { ENOSPC },
	[_IOC_NR(ARENA_IOC_STORE)] = { ENOSPC, EMSGSIZE },
	[_IOC_NR(ARENA_IOC_OFFSET)] = { 0 },
	[_IOC_NR(ARENA_IOC_RESET)] = { EBUSY },
	[_IOC_NR(ARENA_IOC_INFO)] = { 0 },
	[_IOC_NR(ARENA_IOC_DUP)] = { EMFILE, ENFILE },
	[_IOC_NR(ARENA_IOC_BATCH)] = { ENOSPC, EMSGSIZE },
	[_IOC_NR(ARENA_IOC_LEASE)] = { ENOSPC },
	[_IOC_NR(ARENA_IOC_MARK)] = { EOPNOTSUPP },
	[_IOC_NR(ARENA_IOC_REWIND)] = { EOPNOTSUPP, EBUSY, ESTALE },
	[_IOC_NR(ARENA_IOC_HANDLE)] = { ERANGE },
	[_IOC_NR(ARENA_IOC_DEREF)] = { ESTALE },
	[_IOC_NR(ARENA_IOC_WATCH)] = { 0 },
	[_IOC_NR(ARENA_IOC_NOTIFY)] = { 0 },
};

static bool is_one_of(int err, const short *errors)
{
	for (; *errors; errors++)
		if (*errors == err)
			return true;
	return false;
}

static int call(int fd, unsigned int cmd, void *args)
{
	int err = ioctl(fd, cmd, args) ? errno : 0;

	__atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
	if (!err)
		__atomic_fetch_add(&shared->successes, 1, __ATOMIC_RELAXED);
	else if (!is_one_of(err, common_errors) && !is_one_of(err, own_errors[_IOC_NR(cmd)]))
		broken("command %u: undocumented error %s", _IOC_NR(cmd), strerror(err));
	return -err;
}

/* Arenas. */

static void forget(struct arena *a)
{
	a->used = 0;
	a->nr = 0;
	a->depth = 0;
	a->lost = !alone;
}

static void lose(struct arena *a)
{
	a->lost = true;
}

/* Whether descriptor 0, which has all rights, is open. */
static struct arena *get_arena(void)
{
	struct arena *a = &arenas[get_byte() % ARENAS];

	return a->fd[0] >= 0 ? a : NULL;
}

static int get_fd(const struct arena *a)
{
	int fd = a->fd[get_byte() % FDS];

	return fd >= 0 ? fd : a->fd[0];
}

static void check_info(struct arena *a)
{
	__u64 generation = a->info.generation;
	int err = arena_info(a->fd[0], &a->info);

	if (err == -ENOMEM && !a->made)
		return;
	if (err)
		broken("INFO: %s", strerror(-err));
	a->made = true;
	if (a->info.generation < generation)
		broken("generation %llu after %llu", a->info.generation, generation);
	if (a->info.high > a->info.capacity || a->info.peak > a->info.capacity)
		broken("high %llu, peak %llu of %llu", a->info.high, a->info.peak,
		       a->info.capacity);
	if (a->info.slabs * a->info.slab_size != a->info.committed)
		broken("%llu slabs of %llu are not %llu", a->info.slabs, a->info.slab_size,
		       a->info.committed);
	if (!alone)
		return;
	if (a->info.used + a->info.padding + a->info.free != a->info.capacity)
		broken("%llu used, %llu padding, %llu free: not %llu", a->info.used,
		       a->info.padding, a->info.free, a->info.capacity);
	if (!a->lost && a->info.used != a->used)
		broken("%llu used and not %llu", a->info.used, a->used);
}

/* One more object: it lies inside, aligned, and on nobody else's place. */
static void add_object(struct arena *a, __u64 offset, __u64 bytes, __u64 align)
{
	unsigned int i;

	if (offset % (align ?: 8) || offset > a->info.capacity ||
	    bytes > a->info.capacity - offset)
		broken("%llu bytes by %llu at %llu of %llu", bytes, align, offset,
		       a->info.capacity);
	a->used += bytes;
	if (a->lost)
		return;
	for (i = 0; i < a->nr; i++)
		if (offset < a->object[i].offset + a->object[i].bytes &&
		    a->object[i].offset < offset + bytes)
			broken("%llu+%llu overlaps %llu+%llu", offset, bytes,
			       a->object[i].offset, a->object[i].bytes);
	if (a->nr < OBJECTS)
		a->object[a->nr++] = (struct object) { offset, bytes };
}

static void close_arena(struct arena *a)
{
	int i;

	for (i = 0; i < FDS; i++) {
		if (a->fd[i] >= 0)
			close(a->fd[i]);
		a->fd[i] = -1;
	}
}

static void op_open(void)
{
	struct arena *a = &arenas[get_byte() % ARENAS];
	unsigned int how = get_byte();
	struct arena_setup_args setup = {
		.size = sizeof(setup),
		.flags = how & 3,
		.capacity = (__u64)get_short() << (how >> 2 & 7),
		.slab_size = how & 0x80 ? PAGE : PAGE << (how >> 4 & 7),
		.name = "fuzz",
	};
	int i, err;

	for (i = 0; i < MAPS; i++)
		if (maps[i].at && maps[i].arena == a - arenas)
			return;
	close_arena(a);
	*a = (struct arena) { .fd = { -1, -1, -1, -1, -1 }, .tag = 1 + (get_byte() & 127) };
	/* No two of one process alike. */
	a->tag = a->tag % 80 * 3 + (a - arenas) + 1;
	a->fd[0] = arena_open();
	if (a->fd[0] == -ENOMEM) {
		a->fd[0] = -1;
		return;
	}
	if (a->fd[0] < 0)
		broken("open: %s", strerror(-a->fd[0]));
	a->rights[0] = ARENA_RIGHTS_ALL;
	if (how != 0xff) {
		err = call(a->fd[0], ARENA_IOC_SETUP, &setup);
		a->made = !err;
	}
	forget(a);
	check_info(a);
}

/* Arguments: right ones, and some that are not, in memory that may not be. */

union args {
	__u32 size;
	struct arena_setup_args setup;
	struct arena_alloc_args alloc;
	struct arena_store_args store;
	struct arena_offset_args offset;
	struct arena_reset_args reset;
	struct arena_info_args info;
	struct arena_dup_args dup;
	struct arena_batch_args batch;
	struct arena_lease_args lease;
	struct arena_mark_args mark;
	struct arena_handle_args handle;
	struct arena_watch_args watch;
	struct arena_notify_args notify;
	char bytes[256];
};

struct request {
	unsigned int cmd;
	__u32 size;
	union args args;
	bool honest;	/* nothing was bent: the answer can be believed */
};

static void bend(struct request *r, const struct arena *a)
{
	unsigned int how = get_byte(), at;
	__u64 number;

	r->honest = how & 3;
	if (r->honest)
		return;
	switch (how >> 2 & 7) {
	case 0:
		r->args.size = get_byte();
		break;
	case 1:
		r->args.size = r->size + 8 * (get_byte() % 16);
		break;
	case 2:
		r->args.size = get_number(a);
		break;
	case 3:
		at = get_byte() % sizeof(r->args);
		r->args.bytes[at] ^= 1 << (get_byte() & 7);
		break;
	default:
		number = get_number(a);
		at = get_byte() % (r->size / 4);
		memcpy(r->args.bytes + 4 * at, &number,
		       4 * at + 8 <= sizeof(r->args) ? 4 << (how >> 7) : 4);
	}
}

static struct map *get_map(void)
{
	struct map *map = &maps[get_byte() % MAPS];

	return map->at ? map : NULL;
}

/* Where the struct lies for the kernel. */
static void *put_args(struct request *r)
{
	unsigned int how = get_byte();
	struct map *map;

	switch (how & 31) {
	case 0:
		r->honest = false;
		return NULL;
	case 1:		/* its end cannot be read */
		r->honest = false;
		memcpy(args_page + PAGE - r->size / 2, &r->args, r->size / 2);
		return args_page + PAGE - r->size / 2;
	case 2:
		r->honest = false;
		return (void *)(UINTPTR_MAX - (how << 4));
	case 3:		/* in an arena, if it can be written there */
		map = get_map();
		if (!map || !map->writable || touch_write(map->at))
			break;
		r->honest = false;
		arenas[map->arena].alien = true;
		memcpy(map->at, &r->args, sizeof(r->args));
		return map->at;
	default:
		break;
	}
	memcpy(args_page + PAGE - r->size, &r->args, r->size);
	return args_page + PAGE - r->size;
}

/* Do it; what came back is in r->args if it can be believed. */
static int request(struct request *r, struct arena *a, int fd)
{
	void *at;
	int err;

	bend(r, a);
	at = put_args(r);
	err = call(fd, r->cmd, at);
	if (r->honest && !err)
		memcpy(&r->args, at, r->size);
	/* What cannot be told stays allocated, as documented. */
	if (!r->honest || err == -EFAULT)
		lose(a);
	return err;
}

#define REQUEST(_CMD, name)	{				\
		.cmd = ARENA_IOC_##_CMD,			\
		.size = sizeof(struct arena_##name##_args),	\
		.args.size = sizeof(struct arena_##name##_args), \
	}

static void op_alloc(struct arena *a)
{
	struct request r = REQUEST(ALLOC, alloc);

	r.args.alloc.flags = get_byte() & ARENA_ALLOC_ZERO;
	r.args.alloc.bytes = get_number(a);
	r.args.alloc.align = get_byte() & 1 ? 1ULL << get_byte() % 14 : 0;
	if (!request(&r, a, get_fd(a)) && r.honest)
		add_object(a, r.args.alloc.offset, r.args.alloc.bytes, r.args.alloc.align);
}

/* Bytes to copy in: all of them @a's. */
static const void *get_source(const struct arena *a, __u64 bytes)
{
	static char source[256 * 1024];

	memset(source, a->tag, bytes < sizeof(source) ? bytes : sizeof(source));
	return source;
}

static void op_store(struct arena *a)
{
	struct request r = REQUEST(STORE, store);
	struct map *map = get_map();

	r.args.store.bytes = get_number(a);
	r.args.store.src = (uintptr_t)get_source(a, r.args.store.bytes);
	if (map && get_byte() & 1 && &arenas[map->arena] == a)
		r.args.store.src = (uintptr_t)map->at;
	else if (r.args.store.bytes > 256 * 1024)
		a->alien = true;
	if (!request(&r, a, get_fd(a)) && r.honest)
		add_object(a, r.args.store.offset, r.args.store.bytes, 0);
	if (!r.honest)
		a->alien = true;
}

static void op_batch(struct arena *a)
{
	static struct arena_batch_item items[64];
	struct request r = REQUEST(BATCH, batch);
	unsigned int i;

	r.args.batch.items = (uintptr_t)items;
	r.args.batch.count = get_byte() % 65;
	r.args.batch.item_size = sizeof(items[0]);
	r.args.batch.align = get_byte() & 1 ? 1ULL << get_byte() % 14 : 0;
	for (i = 0; i < r.args.batch.count && i < 64; i++) {
		items[i].bytes = i % 8 ? 1 + get_byte() : get_number(a);
		items[i].src = get_byte() & 1 && items[i].bytes < 65536 ?
			       (uintptr_t)get_source(a, 65536) : 0;
	}
	if (!request(&r, a, get_fd(a)) && r.honest)
		for (i = 0; i < r.args.batch.count; i++)
			add_object(a, items[i].offset, items[i].bytes, r.args.batch.align);
	if (!r.honest)
		a->alien = true;
}

static void op_lease(struct arena *a)
{
	struct request r = REQUEST(LEASE, lease);

	r.args.lease.min = get_number(a);
	r.args.lease.want = r.args.lease.min + get_number(a) % (1 << 20);
	r.args.lease.align = get_byte() & 1 ? 1ULL << get_byte() % 14 : 0;
	if (request(&r, a, get_fd(a)) || !r.honest)
		return;
	if (r.args.lease.bytes < r.args.lease.min || r.args.lease.bytes > r.args.lease.want)
		broken("a lease of %llu, not %llu to %llu", r.args.lease.bytes,
		       r.args.lease.min, r.args.lease.want);
	add_object(a, r.args.lease.offset, r.args.lease.bytes, r.args.lease.align);
}

static void op_reset(struct arena *a)
{
	struct request r = REQUEST(RESET, reset);
	int err;

	r.args.reset.mode = get_byte() % 5;
	if (r.args.reset.mode == ARENA_RESET_RELEASE)
		r.args.reset.keep = get_number(a);
	err = request(&r, a, get_fd(a));
	if (err)
		return;
	if (r.honest && r.args.reset.generation <= a->info.generation)
		broken("generation %llu after %llu", r.args.reset.generation,
		       a->info.generation);
	/* By whatever arguments: it was done. */
	forget(a);
}

static void op_offset(struct arena *a)
{
	struct request r = REQUEST(OFFSET, offset);
	bool lost = a->lost;
	int err = request(&r, a, get_fd(a));

	a->lost = lost;
	if (!err && r.honest && !lost && r.args.offset.offset != a->used)
		broken("offset %llu and not %llu", r.args.offset.offset, a->used);
}

static void op_info(struct arena *a)
{
	struct request r = REQUEST(INFO, info);
	bool lost = a->lost;

	request(&r, a, get_fd(a));
	a->lost = lost;
}

static void op_setup(struct arena *a)
{
	struct request r = REQUEST(SETUP, setup);

	r.args.setup.capacity = get_number(a);
	r.args.setup.slab_size = get_number(a);
	r.args.setup.flags = get_byte() & 3;
	if (!request(&r, a, get_fd(a)) && a->made)
		broken("SETUP of an arena in use");
}

static void keep_fd(struct arena *a, int fd, __u32 rights)
{
	unsigned int i = 1 + get_byte() % (FDS - 1);

	if (a->fd[i] >= 0)
		close(a->fd[i]);
	a->fd[i] = fd;
	a->rights[i] = rights;
}

static void op_dup(struct arena *a)
{
	struct request r = REQUEST(DUP, dup);
	unsigned int i = get_byte() % FDS;
	int fd = a->fd[i] >= 0 ? a->fd[i] : a->fd[0];
	__u32 mine = a->fd[i] >= 0 ? a->rights[i] : a->rights[0], asked;

	asked = get_byte() & 31;
	r.args.dup.rights = asked;
	r.args.dup.fd = -1;
	bend(&r, a);
	/* Always where it can be read: else the descriptor is nobody's. */
	memcpy(args_page, &r.args, sizeof(r.args));
	if (call(fd, r.cmd, args_page))
		return;
	memcpy(&r.args, args_page, r.size);
	asked = r.args.dup.rights;
	if (asked & ~mine)
		broken("a descriptor of rights %x gave one of %x", mine, asked);
	keep_fd(a, r.args.dup.fd, asked);
}

/* Marks and handles. */

static void op_mark(struct arena *a)
{
	struct request r = REQUEST(MARK, mark);
	bool lost = a->lost;

	if (request(&r, a, a->fd[0]) || !r.honest)
		return;
	a->lost = lost;
	check_info(a);
	if (a->depth < MARKS) {
		a->mark[a->depth].mark = r.args.mark;
		a->mark[a->depth].high = a->info.high;
		a->mark[a->depth].used = a->used;
		a->depth++;
	}
}

static void op_rewind(struct arena *a)
{
	struct request r = REQUEST(REWIND, mark);
	unsigned int level = a->depth ? get_byte() % a->depth : 0, i, nr = 0;
	bool lost = a->lost;
	int err;

	if (a->depth) {
		r.args.mark.generation = a->mark[level].mark.generation;
		r.args.mark.offset = a->mark[level].mark.offset;
		r.args.mark.used = a->mark[level].mark.used;
	} else {
		r.args.mark.generation = get_number(a);
		r.args.mark.offset = get_number(a);
	}
	err = request(&r, a, get_fd(a));
	if (err || !r.honest) {
		if (err)
			a->lost = lost;
		return;
	}
	if (!a->depth) {
		lose(a);
		return;
	}
	for (i = 0; i < a->nr; i++)
		if (a->object[i].offset < a->mark[level].high)
			a->object[nr++] = a->object[i];
	a->nr = nr;
	a->used = a->mark[level].used;
	a->depth = level + 1;
}

static void op_handle(struct arena *a)
{
	struct request r = REQUEST(HANDLE, handle);
	struct request d = REQUEST(DEREF, handle);
	bool lost = a->lost;
	__u64 offset;
	int err;

	offset = a->nr ? a->object[get_byte() % a->nr].offset : get_number(a);
	r.args.handle.offset = offset;
	err = request(&r, a, get_fd(a));
	a->lost = lost;
	if (!r.honest || lost)
		return;
	if (err) {
		if (a->nr && err == -ERANGE)
			broken("no handle for an object at %llu", offset);
		return;
	}
	d.args.handle.handle_generation = r.args.handle.handle_generation;
	d.args.handle.handle_offset = r.args.handle.handle_offset;
	err = request(&d, a, get_fd(a));
	a->lost = lost;
	if (!d.honest)
		return;
	if (err || d.args.handle.offset != offset)
		broken("DEREF of the handle of %llu: %s, %llu", offset, strerror(-err),
		       d.args.handle.offset);
	/* One generation on it must be stale. */
	d.args.handle.handle_generation++;
	err = call(a->fd[0], ARENA_IOC_DEREF, memcpy(args_page, &d.args, d.size));
	if (err != -ESTALE)
		broken("DEREF of a forged generation: %s", strerror(-err));
}

static void op_watch(struct arena *a)
{
	struct request r = REQUEST(WATCH, watch);
	struct pollfd pollfd = { .fd = get_fd(a), .events = POLLIN | POLLPRI };
	bool lost = a->lost;

	r.args.watch.mark = get_number(a);
	request(&r, a, pollfd.fd);
	a->lost = lost;
	poll(&pollfd, 1, 0);
	if (pollfd.revents & POLLNVAL)
		broken("poll() knows no such descriptor");
}

static void op_notify(struct arena *a)
{
	struct request r = REQUEST(NOTIFY, notify);
	bool lost = a->lost;

	request(&r, a, get_fd(a));
	a->lost = lost;
}

/* No command of ours, with whatever argument. */
static void op_garbage(struct arena *a)
{
	unsigned int cmd = _IO(ARENA_IOC_MAGIC, get_byte());

	if (_IOC_NR(cmd) <= _IOC_NR(ARENA_IOC_NOTIFY))
		cmd |= 1U << (16 + get_byte() % 16);
	if (_IOC_TYPE(cmd) != ARENA_IOC_MAGIC || cmd == _IO(ARENA_IOC_MAGIC, _IOC_NR(cmd)))
		cmd = _IO(ARENA_IOC_MAGIC, 0x80 | get_byte());
	if (ioctl(get_fd(a), cmd, args_page) != -1 || errno != ENOTTY)
		broken("command %x: %s", cmd, strerror(errno));
}

/* Mappings. */

static struct map *free_map(void)
{
	int i;

	for (i = 0; i < MAPS; i++)
		if (!maps[i].at)
			return &maps[i];
	return NULL;
}

static void op_mmap(struct arena *a)
{
	unsigned int how = get_byte(), i = get_byte() % FDS;
	int fd = a->fd[i] >= 0 ? a->fd[i] : a->fd[0];
	__u32 rights = a->fd[i] >= 0 ? a->rights[i] : a->rights[0];
	int prot = how & 3 ? PROT_READ | (how & 1 ? PROT_WRITE : 0) : how >> 2 & 7;
	int flags = how & 0xe0 ? MAP_SHARED : how & 4 ? MAP_PRIVATE : MAP_SHARED | MAP_POPULATE;
	size_t bytes = PAGE * (1 + get_byte() % 64);
	off_t offset = PAGE * get_byte() * (how >> 7);
	struct map *map = free_map();
	void *at;

	if (!map)
		return;
	at = mmap(NULL, bytes, prot, flags, fd, offset);
	if (at == MAP_FAILED) {
		if (errno != EINVAL && errno != EACCES && errno != EPERM && errno != ENXIO &&
		    errno != ENOMEM && errno != EAGAIN)
			broken("mmap: %s", strerror(errno));
		return;
	}
	if (flags & MAP_PRIVATE)
		broken("a private mapping");
	if (prot & PROT_EXEC)
		broken("an executable mapping");
	if (!(rights & ARENA_RIGHT_READ) || (prot & PROT_WRITE && !(rights & ARENA_RIGHT_WRITE)))
		broken("rights %x mapped with %x", rights, prot);
	*map = (struct map) { at, bytes, a - arenas, prot & PROT_WRITE };
}

static void op_munmap(void)
{
	struct map *map = get_map();
	size_t part;

	if (!map)
		return;
	part = PAGE * (1 + get_byte() % 64);
	if (part >= map->bytes) {
		munmap(map->at, map->bytes);
		map->at = NULL;
		return;
	}
	munmap(map->at + map->bytes - part, part);
	map->bytes -= part;
}

static void op_mremap(void)
{
	struct map *map = get_map();
	size_t bytes;
	void *at;

	if (!map)
		return;
	bytes = PAGE * (1 + get_byte() % 64);
	at = mremap(map->at, map->bytes, bytes, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		return;
	if (bytes > map->bytes)
		broken("a mapping grew");
	map->at = at;
	map->bytes = bytes;
}

/* clause 19: what a descriptor may not write never becomes writable */
static void op_mprotect(void)
{
	struct map *map = get_map();
	unsigned int how = get_byte();
	int prot = how & 7;

	if (!map || mprotect(map->at, map->bytes, prot))
		return;
	if (prot & PROT_EXEC)
		broken("mprotect() made it executable");
	map->writable = prot & PROT_WRITE;
	if (!(prot & PROT_READ)) {
		mprotect(map->at, map->bytes, PROT_READ);
		map->writable = false;
	}
}

static void op_madvise(void)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_DONTNEED, MADV_WILLNEED, MADV_REMOVE, MADV_FREE,
		MADV_HUGEPAGE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_MERGEABLE, MADV_SEQUENTIAL,
	};
	struct map *map = get_map();

	if (map)
		madvise(map->at, map->bytes, advices[get_byte() % ARRAY_SIZE(advices)]);
}

static void check_page(const struct map *map, const char *page)
{
	const struct arena *a = &arenas[map->arena];
	unsigned int i;

	for (i = 0; i < PAGE; i++) {
		unsigned char byte = __atomic_load_n(&page[i], __ATOMIC_RELAXED);

		if (byte && byte != a->tag)
			broken("byte %#x in an arena of %#x", byte, a->tag);
	}
}

/* A page that can be touched holds nothing of anybody else's (clauses 6 and 20). */
static void op_touch(void)
{
	struct map *map = get_map();
	char *page;

	if (!map)
		return;
	page = map->at + PAGE * (get_byte() % (map->bytes / PAGE));
	if (touch_read(page))
		return;
	/* Another process may reset meanwhile. */
	if (alone && !arenas[map->arena].alien)
		check_page(map, page);
	if (map->writable && alone)
		memset(page, arenas[map->arena].tag, PAGE);
	else if (map->writable)
		touch_write(page);
}

static void op_status(struct arena *a)
{
	struct arena_status *status;
	void *at = mmap(NULL, PAGE, get_byte() & 1 ? PROT_READ : PROT_READ | PROT_WRITE,
			MAP_SHARED, get_fd(a), ARENA_STATUS_OFFSET);

	if (at == MAP_FAILED)
		return;
	status = at;
	if (mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0)
		broken("the status page can be written");
	check_info(a);
	if (status->version != 1 || status->capacity != a->info.capacity)
		broken("status: version %u, capacity %llu", status->version, status->capacity);
	if (alone && status->generation != a->info.generation)
		broken("status: generation %llu, not %llu", status->generation,
		       a->info.generation);
	munmap(at, PAGE);
}

/* Descriptors. */

static void op_close(struct arena *a)
{
	unsigned int i = 1 + get_byte() % (FDS - 1);

	if (a->fd[i] >= 0)
		close(a->fd[i]);
	a->fd[i] = -1;
}

/* Over a socket, and back. */
static void op_send(struct arena *a)
{
	unsigned int i = get_byte() % FDS;
	__u32 rights = a->fd[i] >= 0 ? a->rights[i] : a->rights[0];
	int fd = a->fd[i] >= 0 ? a->fd[i] : a->fd[0], pair[2];
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		return;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(pair[0], &msg, 0) == 1 && get_byte() & 3 &&
	    recvmsg(pair[1], &msg, 0) == 1 && CMSG_FIRSTHDR(&msg)) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		keep_fd(a, fd, rights);
	}
	/* Else it goes with the socket. */
	close(pair[0]);
	close(pair[1]);
}

/* clause 17: no more rights by way of /proc */
static void op_reopen(struct arena *a)
{
	char path[64], byte;
	int fd = get_fd(a), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, get_byte() & 1 ? O_RDWR : O_RDONLY);
	if (again >= 0) {
		struct arena_offset_args offset = { .size = sizeof(offset) };

		/* Then it is a new one, with nothing in it. */
		if (!ioctl(again, ARENA_IOC_OFFSET, &offset) && offset.offset)
			broken("opened again, it is the same arena");
		close(again);
	}
	if (read(fd, &byte, 1) >= 0 || write(fd, &byte, 1) >= 0)
		broken("read() or write() of an arena");
	if (!ftruncate(fd, PAGE))
		broken("ftruncate() of an arena");
}

/* Pages that a pipe keeps while the arena goes on. */
static void op_splice(void)
{
	struct map *map = get_map();
	int fds[2];
	char buffer[256];
	struct iovec iov;

	if (!map || pipe(fds))
		return;
	iov.iov_base = map->at;
	iov.iov_len = PAGE * (1 + get_byte() % (map->bytes / PAGE));
	if (vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK) > 0 && get_byte() & 1 &&
	    read(fds[0], buffer, sizeof(buffer)) < 0)
		broken("what was spliced cannot be read");
	close(fds[0]);
	close(fds[1]);
}

/* A child that has all of it for a moment. */
static void op_fork(void)
{
	pid_t pid = fork();
	int i;

	if (pid < 0)
		return;
	if (!pid) {
		struct arena *a = &arenas[get_byte() % ARENAS];

		for (i = 0; i < MAPS; i++)
			if (maps[i].at)
				touch_read(maps[i].at);
		if (a->fd[0] >= 0)
			arena_used(a->fd[0]);
		_exit(0);
	}
	if (wait_for(pid))
		broken("a forked child died");
}

static void op_on_arena(unsigned int op)
{
	static void (*const ops[])(struct arena *a) = {
		op_alloc, op_alloc, op_store, op_batch, op_lease, op_reset, op_offset, op_info,
		op_setup, op_dup, op_mark, op_rewind, op_handle, op_watch, op_notify,
		op_garbage, op_mmap, op_mmap, op_status, op_close, op_send, op_reopen,
	};
	struct arena *a = get_arena();

	if (!a)
		return;
	ops[op % ARRAY_SIZE(ops)](a);
	check_info(a);
}

static void step(void)
{
	static void (*const ops[])(void) = {
		op_munmap, op_mremap, op_mprotect, op_madvise, op_touch, op_touch, op_splice,
		op_fork,
	};
	unsigned int op = get_byte();

	if (op < 8)
		op_open();
	else if (op < 72)
		ops[op % ARRAY_SIZE(ops)]();
	else
		op_on_arena(op);
}

/* A round. */

static void kcov_start(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);

	kcov = NULL;
	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, COVER_WORDS))
		return;
	kcov = mmap(NULL, COVER_WORDS * sizeof(*kcov), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kcov == MAP_FAILED || ioctl(fd, KCOV_ENABLE, 0)) {
		kcov = NULL;
		return;
	}
	madvise(kcov, COVER_WORDS * sizeof(*kcov), MADV_DONTFORK);
	__atomic_store_n(&kcov[0], 0, __ATOMIC_RELAXED);
}

/* Remember a place; true if it is new to all processes. */
static bool cover(unsigned long pc)
{
	unsigned long slot = pc * 0x9e3779b97f4a7c15UL >> 49, old = 0;

	while (!__atomic_compare_exchange_n(&shared->cover[slot % COVER_SLOTS], &old, pc, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		if (old == pc)
			return false;
		old = 0;
		slot++;
	}
	__atomic_fetch_add(&shared->covered, 1, __ATOMIC_RELAXED);
	return true;
}

static bool kcov_news(void)
{
	unsigned long i, nr;
	bool news = false;

	if (!kcov)
		return false;
	nr = __atomic_load_n(&kcov[0], __ATOMIC_RELAXED);
	for (i = 1; i <= nr && i < COVER_WORDS; i++)
		news |= cover(kcov[i]);
	return news;
}

static void play(void)
{
	while (in->at < in->len)
		step();
}

/* Two processes at once on the same arenas; afterwards it is quiet. */
static void play_together(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < ARENAS; i++)
		op_open();
	alone = false;
	for (i = 0; i < ARENAS; i++)
		arenas[i].lost = true;
	pid = fork();
	if (!pid) {
		/* Other operations, from the same bytes. */
		in->at += 1 + in->bytes[0] % 7;
		kcov = NULL;
		play();
		_exit(0);
	}
	play();
	if (pid > 0 && wait_for(pid))
		_exit(1);
	alone = true;
	for (i = 0; i < ARENAS; i++)
		if (arenas[i].fd[0] >= 0)
			check_info(&arenas[i]);
}

/* Exit status: 0, 1 for broken, 2 if it reached something new. */
static int round_main(void)
{
	struct sigaction fatal = { .sa_handler = SIG_DFL };
	int i, j;

	sigaction(SIGALRM, &fatal, NULL);
	alarm(ROUND_LIMIT);
	for (i = 0; i < ARENAS; i++)
		for (j = 0; j < FDS; j++)
			arenas[i].fd[j] = -1;
	args_page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (args_page == MAP_FAILED || mprotect(args_page + PAGE, PAGE, PROT_NONE))
		return 0;
	kcov_start();
	alone = true;
	if (get_byte() & 3)
		play();
	else
		play_together();
	return kcov_news() ? 2 : 0;
}

/* A worker: rounds, and what they found worth keeping. */

static unsigned long long state;

static unsigned int random_number(unsigned int below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

static struct input *corpus;
static unsigned int nr_corpus;

static void new_input(struct input *input)
{
	unsigned int i;

	input->len = 32 + random_number(INPUT_MAX - 32);
	for (i = 0; i < input->len; i++)
		input->bytes[i] = random_number(256);
}

static void vary(struct input *input)
{
	const struct input *other = &corpus[random_number(nr_corpus)];
	unsigned int changes = 1 + random_number(8), at, len;

	*input = corpus[random_number(nr_corpus)];
	while (changes--) {
		at = random_number(input->len);
		switch (random_number(4)) {
		case 0:
			input->bytes[at] ^= 1 << random_number(8);
			break;
		case 1:
			input->bytes[at] = random_number(256);
			break;
		case 2:		/* the end of another one */
			len = random_number(other->len) + 1;
			if (at + len > INPUT_MAX)
				len = INPUT_MAX - at;
			memcpy(input->bytes + at, other->bytes + other->len -
			       (len < other->len ? len : other->len),
			       len < other->len ? len : other->len);
			if (at + len > input->len)
				input->len = at + (len < other->len ? len : other->len);
			break;
		default:	/* a stretch once more, elsewhere */
			len = 1 + random_number(16);
			if (at + len <= input->len && input->len + len <= INPUT_MAX) {
				memmove(input->bytes + at + len, input->bytes + at,
					input->len - at);
				input->len += len;
			}
		}
	}
}

static int play_round(struct input *input, bool murder)
{
	pid_t pid;
	int status;

	in = input;
	in->at = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 0;
	if (!pid)
		_exit(round_main());
	if (murder) {
		usleep(random_number(20000));
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 0;
	__atomic_fetch_add(&shared->rounds, 1, __ATOMIC_RELAXED);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (!murder && !WIFEXITED(status)) {
		printf("signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
		if (!fork())
			broken("killed by a signal");
		wait(NULL);
		return 1;
	}
	return 0;
}

static void work(unsigned long seed, time_t end, unsigned long rounds)
{
	struct input input = { };
	unsigned long i;

	state = seed;
	random_number(1);
	corpus = calloc(CORPUS_MAX, sizeof(*corpus));
	for (i = 0; corpus && (rounds ? i < rounds : time(NULL) < end); i++) {
		int result;

		if (nr_corpus && random_number(8))
			vary(&input);
		else
			new_input(&input);
		result = play_round(&input, !random_number(16));
		if (result == 1)
			_exit(1);
		if (result == 2)
			corpus[nr_corpus < CORPUS_MAX ? nr_corpus++ :
			       random_number(CORPUS_MAX)] = input;
	}
	_exit(0);
}

/* clauses 17 and 21: with the last descriptor and the last mapping all is gone */
static bool all_is_gone(void)
{
	int tries;

	for (tries = 0; tries < 300; tries++) {
		long long bytes = read_number("/sys/kernel/debug/arena/total_bytes");

		if (bytes <= 0)
			return true;
		usleep(100000);
	}
	printf("BROKEN: %lld bytes are held, and nobody holds them\n",
	       read_number("/sys/kernel/debug/arena/total_bytes"));
	return false;
}

static bool read_hex(const char *hex, struct input *input)
{
	unsigned int byte;

	for (input->len = 0; input->len < INPUT_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		input->bytes[input->len++] = byte;
	return !*hex;
}

int main(int argc, char **argv)
{
	unsigned long seed = 1, seconds = 20, rounds = 0, processes = 2, i;
	struct input input = { };
	bool failed = false;
	time_t end;
	int option;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	while ((option = getopt(argc, argv, "s:t:n:p:i:")) != -1) {
		switch (option) {
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			processes = strtoul(optarg, NULL, 0);
			break;
		case 'i':
			if (!read_hex(optarg, &input))
				return 2;
			break;
		default:
			fprintf(stderr, "-s SEED -t SECONDS -n ROUNDS -p PROCESSES -i HEX\n");
			return 2;
		}
	}
	if (input.len)
		return play_round(&input, false) == 1 || !all_is_gone();

	printf("arena_fuzz: seed %lu, %lu processes\n", seed, processes);
	fflush(stdout);
	end = time(NULL) + seconds;
	for (i = 0; i < processes; i++)
		if (!fork())
			work(seed + i * 1000003, end, rounds);
	for (i = 0; i < processes; i++) {
		int status;

		failed |= wait(&status) < 0 || status;
	}
	failed |= !all_is_gone();
	printf("arena_fuzz: %lu rounds, %lu calls, %lu of them successful, %lu places covered\n",
	       shared->rounds, shared->calls, shared->successes, shared->covered);
	printf("arena_fuzz: %s\n", failed || shared->failures ? "FAILED" : "passed");
	return failed || shared->failures;
}
