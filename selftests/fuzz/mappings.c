// SPDX-License-Identifier: GPL-2.0
/* Operations on mappings and descriptors, other than ioctls. */
#include <sys/uio.h>

#include "../arena_pass.h"
#include "fuzz.h"

void op_mmap(struct arena *a)
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
	if (alone && a->sealed && prot & PROT_WRITE)
		broken("a sealed arena mapped for writing");
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

/* clause 19: mprotect() never makes a mapping executable */
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

/* clauses 6, 20: a page that can be touched holds no byte of another arena */
static void op_touch(void)
{
	struct map *map = get_map();
	char *page;

	if (!map)
		return;
	page = map->at + PAGE * (get_byte() % (map->bytes / PAGE));
	if (touch_read(page))
		return;
	/*
	 * If other processes use the arena, one of them may reset it at any time, so its bytes are
	 * unknown.
	 */
	if (alone && !arenas[map->arena].alien)
		check_page(map, page);
	if (map->writable && alone)
		memset(page, arenas[map->arena].tag, PAGE);
	else if (map->writable)
		touch_write(page);
}

void op_status(struct arena *a)
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

void op_close(struct arena *a)
{
	unsigned int i = 1 + get_byte() % (FDS - 1);

	if (a->fd[i] >= 0)
		close(a->fd[i]);
	a->fd[i] = -1;
}

/* Sends a descriptor over a socket and usually receives it again. */
void op_send(struct arena *a)
{
	unsigned int i = get_byte() % FDS;
	__u32 rights = a->fd[i] >= 0 ? a->rights[i] : a->rights[0];
	int fd = a->fd[i] >= 0 ? a->fd[i] : a->fd[0], pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		return;
	if (!send_fd(pair[0], fd) && get_byte() & 3) {
		fd = receive_fd(pair[1]);
		if (fd >= 0)
			keep_fd(a, fd, rights);
	}
	/* A descriptor that was not received is closed with the socket. */
	close(pair[0]);
	close(pair[1]);
}

/* clause 17: reopening a descriptor through /proc gives no rights to its arena */
void op_reopen(struct arena *a)
{
	char path[64], byte;
	int fd = get_fd(a), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, get_byte() & 1 ? O_RDWR : O_RDONLY);
	if (again >= 0) {
		struct arena_offset_args offset = { .size = sizeof(offset) };

		/* The new descriptor must belong to a new arena. */
		if (!ioctl(again, ARENA_IOC_OFFSET, &offset) && offset.offset)
			broken("opened again, it is the same arena");
		close(again);
	}
	if (read(fd, &byte, 1) >= 0 || write(fd, &byte, 1) >= 0)
		broken("read() or write() of an arena");
	if (!ftruncate(fd, PAGE))
		broken("ftruncate() of an arena");
}

/* Puts pages into a pipe, which pins them. */
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

/* Forks a child that shares all mappings and descriptors for a moment. */
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

void (*const ops_of_mappings[])(void) = {
	op_munmap, op_mremap, op_mprotect, op_madvise, op_touch, op_touch, op_splice, op_fork,
};

const unsigned int nr_ops_of_mappings = ARRAY_SIZE(ops_of_mappings);
