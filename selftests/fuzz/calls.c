// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that make ioctls with good and bad arguments. The structs may lie in unmapped memory.
 */
#include <poll.h>

#include "fuzz.h"

/*
 * The documented errors: first the errors that any call may return, then the further errors of each
 * call.
 */
static const short common_errors[] = { EFAULT, EINVAL, E2BIG, EACCES, ENOMEM, EINTR, 0 };
static const short own_errors[][5] = {
	[_IOC_NR(ARENA_IOC_SETUP)] = { EBUSY, EFBIG },
	[_IOC_NR(ARENA_IOC_ALLOC)] = { EPERM, ENOSPC },
	[_IOC_NR(ARENA_IOC_STORE)] = { EPERM, ENOSPC, EMSGSIZE },
	[_IOC_NR(ARENA_IOC_OFFSET)] = { 0 },
	[_IOC_NR(ARENA_IOC_RESET)] = { EPERM, EBUSY },
	[_IOC_NR(ARENA_IOC_INFO)] = { 0 },
	[_IOC_NR(ARENA_IOC_DUP)] = { EMFILE, ENFILE },
	[_IOC_NR(ARENA_IOC_BATCH)] = { EPERM, ENOSPC, EMSGSIZE },
	[_IOC_NR(ARENA_IOC_LEASE)] = { EPERM, ENOSPC },
	[_IOC_NR(ARENA_IOC_MARK)] = { EOPNOTSUPP },
	[_IOC_NR(ARENA_IOC_REWIND)] = { EPERM, EOPNOTSUPP, EBUSY, ESTALE },
	[_IOC_NR(ARENA_IOC_HANDLE)] = { ERANGE },
	[_IOC_NR(ARENA_IOC_DEREF)] = { ESTALE },
	[_IOC_NR(ARENA_IOC_WATCH)] = { 0 },
	[_IOC_NR(ARENA_IOC_NOTIFY)] = { 0 },
	[_IOC_NR(ARENA_IOC_COMMIT)] = { EPERM },
	[_IOC_NR(ARENA_IOC_SEAL)] = { EBUSY },
	[_IOC_NR(ARENA_IOC_QUERY)] = { 0 },
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

void op_open(void)
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
	/* The arenas of a process have different tags. */
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

union args {
	__u32 size;
	struct arena_setup_args setup;
	struct arena_alloc_args alloc;
	struct arena_store_args store;
	struct arena_commit_args commit;
	struct arena_offset_args offset;
	struct arena_reset_args reset;
	struct arena_info_args info;
	struct arena_query_args query;
	struct arena_dup_args dup;
	struct arena_batch_args batch;
	struct arena_lease_args lease;
	struct arena_mark_args mark;
	struct arena_handle_args handle;
	struct arena_seal_args seal;
	struct arena_watch_args watch;
	struct arena_notify_args notify;
	char bytes[256];
};

struct request {
	unsigned int cmd;
	__u32 size;
	union args args;
	bool honest;	/* bend() and put_args() made no argument bad: the result can be checked */
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

/* Copies the arguments to memory of a random kind; returns the address for the kernel. */
static void *put_args(struct request *r)
{
	unsigned int how = get_byte();
	struct map *map;

	switch (how & 31) {
	case 0:
		r->honest = false;
		return NULL;
	case 1:		/* the end of the struct cannot be read */
		r->honest = false;
		memcpy(args_page + PAGE - r->size / 2, &r->args, r->size / 2);
		return args_page + PAGE - r->size / 2;
	case 2:
		r->honest = false;
		return (void *)(UINTPTR_MAX - (how << 4));
	case 3:		/* the struct lies in a writable mapping of an arena */
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

/*
 * clause 30: after SEAL, no call that changes the arena succeeds; calls return EPERM only for a
 * sealed arena
 */
static void check_sealed(const struct arena *a, unsigned int cmd, int err)
{
	const short *errors = own_errors[_IOC_NR(cmd)];

	if (!alone || a->sealed == (err == -EPERM))
		return;
	if (err == -EPERM)
		broken("command %u: an arena that was not sealed is", _IOC_NR(cmd));
	if (!err && is_one_of(EPERM, errors))
		broken("command %u changed a sealed arena", _IOC_NR(cmd));
}

/* Makes the call. The result is in r->args if r->honest. */
static int request(struct request *r, struct arena *a, int fd)
{
	void *at;
	int err;

	bend(r, a);
	at = put_args(r);
	err = call(fd, r->cmd, at);
	check_sealed(a, r->cmd, err);
	if (r->honest && !err)
		memcpy(&r->args, at, r->size);
	/* The call may have allocated an object whose offset this process does not learn. */
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

/* Returns bytes to copy in, all of which have the tag of @a. */
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
	/* The arena was reset, even if a bad argument makes the result useless. */
	forget(a);
}

static void op_commit(struct arena *a)
{
	struct request r = REQUEST(COMMIT, commit);
	bool lost = a->lost;

	r.args.commit.bytes = get_number(a);
	r.args.commit.flags = get_byte() & ARENA_COMMIT_NODE;
	if (r.args.commit.flags)
		r.args.commit.node = get_byte() & 3;
	if (!request(&r, a, get_fd(a)) && r.honest) {
		check_info(a);
		if (alone && a->info.committed < r.args.commit.bytes)
			broken("%llu committed and not %llu", a->info.committed,
			       r.args.commit.bytes);
	}
	a->lost = lost;
}

/* The fuzzer makes only one of eight SEAL calls, because most calls on a sealed arena fail. */
static void op_seal(struct arena *a)
{
	struct request r = REQUEST(SEAL, seal);
	bool lost = a->lost;

	if (get_byte() & 7)
		return;
	if (!request(&r, a, get_fd(a)))
		a->sealed = true;
	a->lost = lost;
	check_info(a);
	if (alone && a->sealed != !!(a->info.flags & ARENA_SEALED))
		broken("INFO: flags %x", a->info.flags);
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

static void op_query(struct arena *a)
{
	struct request r = REQUEST(QUERY, query);
	bool lost = a->lost;

	if (!request(&r, a, get_fd(a)) && r.honest && !(r.args.query.commands & 1))
		broken("QUERY: no SETUP in %llx", r.args.query.commands);
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
	/*
	 * The struct is always writable. Otherwise the number of the new descriptor would be lost,
	 * and the descriptor would keep the arena alive.
	 */
	memcpy(args_page, &r.args, sizeof(r.args));
	if (call(fd, r.cmd, args_page))
		return;
	memcpy(&r.args, args_page, r.size);
	asked = r.args.dup.rights;
	if (asked & ~mine)
		broken("a descriptor of rights %x gave one of %x", mine, asked);
	keep_fd(a, r.args.dup.fd, asked);
}

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
	/* The kernel must refuse a handle of a generation that has never begun. */
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

/* Makes an ioctl with an unknown command, which must fail with ENOTTY. */
static void op_garbage(struct arena *a)
{
	unsigned int cmd = _IO(ARENA_IOC_MAGIC, get_byte());

	if (_IOC_NR(cmd) <= _IOC_NR(ARENA_IOC_QUERY))
		cmd |= 1U << (16 + get_byte() % 16);
	if (_IOC_TYPE(cmd) != ARENA_IOC_MAGIC || cmd == _IO(ARENA_IOC_MAGIC, _IOC_NR(cmd)))
		cmd = _IO(ARENA_IOC_MAGIC, 0x80 | get_byte());
	if (ioctl(get_fd(a), cmd, args_page) != -1 || errno != ENOTTY)
		broken("command %x: %s", cmd, strerror(errno));
}

void (*const ops_of_calls[])(struct arena *a) = {
	op_alloc, op_alloc, op_store, op_batch, op_lease, op_reset, op_offset, op_info,
	op_commit, op_seal, op_query, op_setup, op_dup, op_mark, op_rewind, op_handle,
	op_watch, op_notify, op_garbage, op_mmap, op_mmap, op_status, op_close, op_send, op_reopen,
};

const unsigned int nr_ops_of_calls = ARRAY_SIZE(ops_of_calls);
