// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_IOC_SEAL (clauses 4, 17, 19, 20 and 30). SEAL must fail while a writable mapping or a
 * page reference could still change the arena; after SEAL, no call and no store may change the
 * arena. arena_hold_test tests SEAL while kernel code holds the arena.
 */
#include "kselftest_harness.h"
#include <poll.h>
#include <sys/uio.h>
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)
#define R		ARENA_RIGHT_READ
#define W		ARENA_RIGHT_WRITE
#define A		ARENA_RIGHT_ALLOC
#define T		ARENA_RIGHT_RESET

FIXTURE(seal)
{
	int fd;
	int reader;		/* a duplicate with the right to read only */
	const char *map;	/* a mapping through @reader */
	__u64 offset;		/* the offset of the string "original" */
	struct arena_info_args info;
};

FIXTURE_VARIANT(seal)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(seal, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(seal, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(seal)
{
	self->fd = arena_create(CAPACITY, SLAB, variant->flags);
	ASSERT_LE(0, self->fd);
	self->reader = arena_dup(self->fd, R);
	ASSERT_LE(0, self->reader);
	self->map = arena_map(self->reader, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	ASSERT_EQ(0, arena_store(self->fd, "original", 9, &self->offset));
	ASSERT_EQ(0, touch_read(self->map + self->offset));
}

FIXTURE_TEARDOWN(seal)
{
	munmap((void *)self->map, CAPACITY);
	close(self->reader);
	close(self->fd);
}

static bool is_sealed(int fd)
{
	struct arena_info_args info;

	return !arena_info(fd, &info) && info.flags & ARENA_SEALED;
}

/* clause 30: INFO, status page and fdinfo show that an arena is sealed; a second SEAL succeeds */
TEST_F(seal, seal_reported_to_reader)
{
	const struct arena_status *status = arena_map_status(self->reader);
	char path[64], text[1024] = "";
	int file;

	ASSERT_NE(NULL, status);
	EXPECT_EQ(variant->flags, status->flags);
	EXPECT_FALSE(is_sealed(self->reader));
	EXPECT_EQ(0, arena_seal(self->fd));
	EXPECT_TRUE(is_sealed(self->reader));
	EXPECT_EQ(variant->flags | ARENA_SEALED, status->flags);
	EXPECT_EQ(0, arena_seal(self->fd));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->reader);
	file = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LT(0, read(file, text, sizeof(text) - 1));
	EXPECT_NE(NULL, strstr(text, "arena-sealed:\t1\n"));
	close(file);
	munmap((void *)status, page_size());
}

/* clause 30: after SEAL, each call that allocates fails, through any descriptor */
TEST_F(seal, seal_then_allocate_eperm)
{
	struct arena_batch_item item = { .bytes = 8 };
	int allocator = arena_dup(self->fd, A);
	struct arena_lease_args lease;
	int fds[] = { self->fd, allocator, -1 }, i;

	ASSERT_LE(0, allocator);
	ASSERT_EQ(0, arena_seal(self->fd));
	fds[2] = arena_dup(self->fd, A);
	ASSERT_LE(0, fds[2]);
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EPERM, arena_alloc(fds[i], 8, NULL));
		EXPECT_EQ(-EPERM, arena_alloc(fds[i], CAPACITY + 1, NULL));
		EXPECT_EQ(-EPERM, arena_store(fds[i], "x", 2, NULL));
		EXPECT_EQ(-EPERM, arena_batch(fds[i], &item, 1, 0, NULL));
		EXPECT_EQ(-EPERM, arena_lease(fds[i], 8, 64, 0, &lease));
		EXPECT_EQ(-EPERM, arena_commit(fds[i], CAPACITY, 0, 0));
	}
	EXPECT_TRUE(arena_unchanged(self->fd, &self->info));
	EXPECT_STREQ("original", self->map + self->offset);
	close(fds[2]);
	close(allocator);
}

/* clause 30: the kernel refuses to reset or rewind a sealed arena, through any descriptor */
TEST_F(seal, seal_then_reset_eperm)
{
	int resetter = arena_dup(self->fd, A | T);
	struct arena_mark_args mark;
	__u32 mode;

	ASSERT_LE(0, resetter);
	if (!variant->flags)
		ASSERT_EQ(0, arena_mark(self->fd, &mark));
	ASSERT_EQ(0, arena_seal(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_STRICT; mode++) {
		EXPECT_EQ(-EPERM, arena_reset(self->fd, mode, 0));
		EXPECT_EQ(-EPERM, arena_reset(resetter, mode, 0));
	}
	if (!variant->flags) {
		EXPECT_EQ(-EPERM, arena_rewind(self->fd, mark));
		EXPECT_EQ(-EPERM, arena_rewind(resetter, mark));
	}
	EXPECT_TRUE(arena_unchanged(self->fd, &self->info));
	EXPECT_STREQ("original", self->map + self->offset);
	close(resetter);
}

/* clause 30: calls that change no byte and no object still work in a sealed arena */
TEST_F(seal, seal_then_ask_ok)
{
	struct arena_watch_args watch;
	struct name name = { 0, 0 };
	__u64 offset;

	ASSERT_EQ(0, arena_seal(self->fd));
	EXPECT_EQ(9, arena_used(self->reader));
	EXPECT_EQ(0, arena_handle(self->reader, self->offset, &name));
	EXPECT_EQ(0, arena_deref(self->reader, name, &offset));
	EXPECT_EQ(self->offset, offset);
	EXPECT_EQ(0, arena_watch(self->reader, 0, &watch));
	EXPECT_EQ(9, watch.offset);
	EXPECT_EQ(0, arena_notify(self->fd));
}

/* clause 30: after SEAL, poll() reports POLLHUP, so that readers do not wait for further objects */
TEST_F(seal, seal_pollhup)
{
	struct pollfd poller = { .fd = self->reader, .events = POLLPRI };

	EXPECT_EQ(0, poll(&poller, 1, 0));
	ASSERT_EQ(0, arena_seal(self->fd));
	EXPECT_EQ(1, poll(&poller, 1, 0));
	EXPECT_EQ(POLLHUP, poller.revents);
	poller.fd = self->fd;
	EXPECT_EQ(1, poll(&poller, 1, 0));
	EXPECT_EQ(POLLHUP, poller.revents);
}

/* clause 30: the kernel maps a sealed arena for reading only, whatever rights a descriptor has */
TEST_F(seal, seal_then_map_writable_eperm)
{
	char *map;
	int mem;

	ASSERT_EQ(0, arena_seal(self->fd));
	EXPECT_EQ(NULL, arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, CAPACITY, PROT_WRITE, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(NULL, arena_map(self->reader, CAPACITY, PROT_READ | PROT_WRITE, 0));
	EXPECT_EQ(EACCES, errno);
	map = arena_map(self->fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, map);
	EXPECT_STREQ("original", map + self->offset);
	EXPECT_EQ(-1, mprotect(map, CAPACITY, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(SIGSEGV, touch_write(map + self->offset));
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	EXPECT_EQ(-1, pwrite(mem, "tampered", 9, (unsigned long)map + self->offset));
	close(mem);
	EXPECT_STREQ("original", map + self->offset);
	munmap(map, CAPACITY);
}

/* clause 30: SEAL succeeds while readers have mappings, which show the same bytes afterwards */
TEST_F(seal, seal_while_reader_maps_ok)
{
	int extra = arena_dup(self->fd, R | A);
	const char *map = arena_map(extra, CAPACITY, PROT_READ, 0);

	ASSERT_NE(NULL, map);
	EXPECT_STREQ("original", map + self->offset);
	EXPECT_EQ(0, arena_seal(self->fd));
	EXPECT_STREQ("original", map + self->offset);
	EXPECT_STREQ("original", self->map + self->offset);
	EXPECT_EQ(SIGBUS, touch_read(map + 15 * SLAB));
	munmap((void *)map, CAPACITY);
	close(extra);
}

/*
 * clauses 4, 30: SEAL fails while a mapping exists through a descriptor that may write, whatever
 * its protection
 */
TEST_F(seal, seal_while_mapped_writable_ebusy)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };
	unsigned int i;
	char *map;

	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		map = arena_map(self->fd, CAPACITY, prots[i], 0);
		ASSERT_NE(NULL, map);
		EXPECT_EQ(-EBUSY, arena_seal(self->fd));
		EXPECT_FALSE(is_sealed(self->fd));
		EXPECT_TRUE(arena_unchanged(self->fd, &self->info));
		ASSERT_EQ(0, mprotect(map, CAPACITY, PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, touch_write(map));
		munmap(map, CAPACITY);
	}
	EXPECT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, arena_seal(self->fd));
}

/*
 * clause 30: SEAL fails while munmap() and mremap() have left any part of a mapping that may be
 * written
 */
TEST_F(seal, seal_while_part_mapped_ebusy)
{
	char *map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0), *moved;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, munmap(map + 4 * SLAB, SLAB));
	ASSERT_EQ(0, mprotect(map, SLAB, PROT_READ));
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	ASSERT_EQ(0, munmap(map, 4 * SLAB));
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	/* The rest of the mapping moves to where its first part was. */
	moved = mremap(map + 5 * SLAB, 11 * SLAB, SLAB, MREMAP_MAYMOVE | MREMAP_FIXED, map);
	ASSERT_EQ(map, moved);
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	/* Other memory is mapped over the rest, so no part of the arena is mapped any more. */
	ASSERT_NE(MAP_FAILED, mmap(map, SLAB, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, arena_seal(self->fd));
	munmap(map, SLAB);
}

/* clause 30: SEAL fails while a child process has an inherited mapping that may be written */
TEST_F(seal, seal_while_child_maps_ebusy)
{
	char *map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	int go[2];
	pid_t pid;
	char c;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &c, 1) ? 1 : 0);
	}
	ASSERT_LT(0, pid);
	munmap(map, CAPACITY);
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	close(go[1]);
	ASSERT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, arena_seal(self->fd));
	close(go[0]);
}

/* clauses 20, 30: SEAL fails while the kernel refers to a page, even if no program maps the page */
TEST_F(seal, seal_while_page_in_pipe_ebusy)
{
	char *map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0), copy[9];
	struct iovec part = { map + self->offset, 9 };
	int pipes[2];

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(9, vmsplice(pipes[1], &part, 1, 0));
	munmap(map, CAPACITY);
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->info));
	EXPECT_STREQ("original", self->map + self->offset);
	ASSERT_EQ(9, read(pipes[0], copy, 9));
	EXPECT_EQ(0, arena_seal(self->fd));
	close(pipes[0]);
	close(pipes[1]);
}

/* clauses 17, 30: SEAL needs a descriptor with all rights */
TEST_F(seal, seal_needs_rights_it_takes)
{
	__u32 rights;

	for (rights = 1; rights <= ARENA_RIGHTS_ALL; rights++) {
		int other = arena_dup(self->fd, rights);

		if (rights & W && !(rights & R)) {
			EXPECT_EQ(-EINVAL, other);
			continue;
		}
		ASSERT_LE(0, other);
		EXPECT_EQ(rights == ARENA_RIGHTS_ALL ? 0 : -EACCES, arena_seal(other));
		EXPECT_EQ(rights == ARENA_RIGHTS_ALL, is_sealed(self->fd));
		close(other);
	}
}

/*
 * Repeats SEAL on an arena that other processes use until it does not fail with EBUSY, at most two
 * minutes; returns the last result.
 */
static int seal_among_others(int fd)
{
	time_t end = time(NULL) + 120;
	int err;

	do {
		err = arena_seal(fd);
	} while (err == -EBUSY && time(NULL) < end);
	return err;
}

/* Makes calls that change the arena, until each of them fails because the arena is sealed. */
static int change_until_sealed(int fd, unsigned int seed)
{
	static char bytes[30000];
	struct arena_batch_item item[2] = {
		{ .bytes = 3000, .src = (unsigned long)bytes }, { .bytes = 100 },
	};
	int err[5], i, sealed;

	for (;;) {
		memset(bytes, ++seed, sizeof(bytes));
		err[0] = arena_alloc_flags(fd, 5000, 0, ARENA_ALLOC_ZERO, NULL);
		err[1] = arena_store(fd, bytes, sizeof(bytes), NULL);
		err[2] = arena_batch(fd, item, 2, 0, NULL);
		err[3] = arena_commit(fd, (seed % 16 + 1) * SLAB, 0, 0);
		err[4] = arena_reset(fd, seed % 2 ? ARENA_RESET_ZERO : ARENA_RESET_KEEP, 0);
		for (sealed = i = 0; i < 5; i++) {
			if (err[i] && err[i] != -EPERM && err[i] != -ENOSPC)
				return 1;
			/*
			 * After one call has failed with EPERM, all later calls must fail with
			 * EPERM, too.
			 */
			if (sealed && err[i] != -EPERM)
				return 2;
			sealed += err[i] == -EPERM;
		}
		if (sealed == 5)
			return 0;
	}
}

/*
 * Makes, changes and removes mappings and writes to them, until the kernel refuses a writable
 * mapping.
 */
static int write_until_sealed(int fd, unsigned int seed)
{
	char *map;

	for (;; seed++) {
		map = arena_map(fd, 2 * SLAB, PROT_READ | seed % 2 * PROT_WRITE, 0);
		if (!map)
			return errno == EPERM ? 0 : 1;
		if (!(seed % 2) && mprotect(map, 2 * SLAB, PROT_READ | PROT_WRITE)) {
			munmap(map, 2 * SLAB);
			return errno == EACCES ? 0 : 2;
		}
		if (seed % 3 && munmap(map + page_size(), page_size()))
			return 3;
		memset(map, seed, 64);
		__atomic_store_n(map + SLAB, seed, __ATOMIC_RELAXED);
		munmap(map, 2 * SLAB);
		/* Sleep without a mapping, so that SEAL can succeed. */
		usleep(seed % 5 * 100);
	}
}

/* clause 30: no byte changes after SEAL has returned, whatever calls other processes were making */
static void race(struct __test_metadata *_metadata, int fd, const char *map,
		 int (*change)(int fd, unsigned int seed))
{
	char *copy = malloc(2 * SLAB);
	struct arena_info_args info;
	pid_t pids[3];
	unsigned int i;

	ASSERT_NE(NULL, copy);
	ASSERT_EQ(0, arena_commit(fd, 2 * SLAB, 0, 0));
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			_exit(change(fd, 77 * i));
	}
	usleep(20000);
	EXPECT_EQ(0, seal_among_others(fd));
	memcpy(copy, map, 2 * SLAB);
	ASSERT_EQ(0, arena_info(fd, &info));
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, wait_for(pids[i]));
	EXPECT_EQ(0, memcmp(copy, map, 2 * SLAB));
	EXPECT_TRUE(arena_unchanged(fd, &info));
	free(copy);
}

/* Runs race() several times, each time on a new arena. */
static void races(struct __test_metadata *_metadata, __u32 flags,
		  int (*change)(int fd, unsigned int seed))
{
	unsigned int round;

	for (round = 0; more_rounds(round, 30); round++) {
		int fd = arena_create(CAPACITY, SLAB, flags), reader = arena_dup(fd, R);
		const char *map = arena_map(reader, CAPACITY, PROT_READ, 0);

		ASSERT_NE(NULL, map);
		race(_metadata, fd, map, change);
		munmap((void *)map, CAPACITY);
		close(reader);
		close(fd);
	}
}

TEST_F_TIMEOUT(seal, seal_races_with_calls_bytes_stay, 300)
{
	races(_metadata, variant->flags, change_until_sealed);
}

TEST_F_TIMEOUT(seal, seal_races_with_mappings_bytes_stay, 300)
{
	races(_metadata, variant->flags, write_until_sealed);
}

TEST_HARNESS_MAIN
