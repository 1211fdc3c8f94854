// SPDX-License-Identifier: GPL-2.0
/*
 * A pinned page is a page to which a pipe, direct I/O or io_uring refers besides its arena. Tests
 * that no other object gets a page while it is pinned, and that no byte of an arena is ever visible
 * in another arena (clauses 6, 17, 20, 21 and 22).
 */
#include "kselftest_harness.h"
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "arena_ko.h"
#include "arena_test.h"

#define CAPACITY	(16 * SLAB)
#define PARAMETERS	"/sys/module/arena/parameters/"

FIXTURE(pin)
{
	int fd;
	long page;
	char *map;
	int pipes[2];
	struct arena_info_args info;
};

FIXTURE_SETUP(pin)
{
	self->page = sysconf(_SC_PAGESIZE);
	/*
	 * Wait until the module has freed the pages that the previous test had in a pipe, because
	 * these pages still count as memory that arenas hold.
	 */
	arena_held_falls_to(0);
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe(self->pipes));
}

FIXTURE_TEARDOWN(pin)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
	close(self->pipes[0]);
	close(self->pipes[1]);
}

/* Puts a page of the arena into the pipe. */
static bool to_pipe(struct _test_data_pin *self, size_t offset)
{
	struct iovec part = { self->map + offset, self->page };

	return vmsplice(self->pipes[1], &part, 1, SPLICE_F_GIFT) == self->page;
}

static bool from_pipe(struct _test_data_pin *self, int byte)
{
	char copy[self->page];

	return read(self->pipes[0], copy, self->page) == self->page &&
	       all_bytes(copy, byte, self->page);
}

/*
 * Fills three arenas of 8 MiB, one after the other, with bytes from 0xa0 to 0xa2. If the module has
 * freed a pinned page too early, one of these arenas is likely to get and overwrite the page.
 */
static void use_memory(struct __test_metadata *_metadata, size_t slab)
{
	const size_t bytes = 8 << 20;
	int i, fd;
	char *map;

	for (i = 0; i < 3; i++) {
		fd = arena_create(bytes, slab, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, arena_alloc(fd, bytes, NULL));
		map = arena_map(fd, bytes, PROT_READ | PROT_WRITE, 0);
		ASSERT_NE(NULL, map);
		ASSERT_TRUE(all_bytes(map, 0, bytes));
		memset(map, 0xa0 + i, bytes);
		munmap(map, bytes);
		close(fd);
	}
}

/*
 * clause 20: a page in a pipe keeps its bytes after a reset that frees its slab, although another
 * slab takes that slab's place in the arena
 */
TEST_F(pin, reset_pinned_page_keeps_bytes)
{
	const __u32 modes[] = { ARENA_RESET_RELEASE, ARENA_RESET_STRICT };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
		memset(self->map, 'p', 2 * SLAB);
		ASSERT_TRUE(to_pipe(self, SLAB + self->page));
		ASSERT_EQ(0, arena_reset(self->fd, modes[i], 0));
		ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
		EXPECT_TRUE(all_bytes(self->map, 0, CAPACITY));
		memset(self->map, 'q', CAPACITY);
		use_memory(_metadata, SLAB);
		EXPECT_TRUE(from_pipe(self, 'p'));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
}

/*
 * clauses 17, 20: a page in a pipe keeps its bytes after its arena is gone, and is freed when the
 * pipe has been read
 */
TEST_F_TIMEOUT(pin, close_pinned_page_keeps_bytes, 120)
{
	long long before, held = arena_held_bytes();
	int fd, i;
	char *map;

	if (held < 0)
		SKIP(return, "no debugfs");
	for (i = 0; i < 8; i++) {
		fd = arena_create_mapped(CAPACITY, SLAB, 0, &map);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, arena_alloc(fd, SLAB, NULL));
		memset(map, 'a' + i, SLAB);
		ASSERT_EQ(self->page, vmsplice(self->pipes[1],
					       &(struct iovec){ map, self->page }, 1, 0));
		munmap(map, CAPACITY);
		before = arena_held_bytes();
		close(fd);
		EXPECT_GT(before, arena_held_bytes());
		/* Of the closed arenas, only the pages in the pipe still count as held. */
		EXPECT_LE((i + 1) * self->page, arena_held_bytes());
		EXPECT_GE(held + (i + 1) * self->page, arena_held_bytes());
	}
	use_memory(_metadata, SLAB);
	for (i = 0; i < 8; i++)
		EXPECT_TRUE(from_pipe(self, 'a' + i));
	EXPECT_TRUE(arena_held_falls_to(held));
}

/*
 * Repeatedly allocates a slab, puts its first page into a pipe and frees the slab, until the pinned
 * pages reach the module's limit. Returns the number of pages, or -1.
 */
static int pin_until_full(struct _test_data_pin *self, int (*pipes)[2], int nr)
{
	int pages = 0;

	while (!arena_alloc(self->fd, SLAB, NULL)) {
		struct iovec part = { self->map, self->page };
		int i = pages / 16;

		if (i == nr || touch_write(self->map) ||
		    vmsplice(pipes[i][1], &part, 1, 0) != self->page ||
		    arena_reset(self->fd, ARENA_RESET_RELEASE, 0))
			return -1;
		pages++;
	}
	return pages;
}

/* clauses 20, 21: each page in a pipe counts against the limit until it is free */
TEST_F_TIMEOUT(pin, pin_pages_in_pipes_bounded, 120)
{
	const int limit = (2 << 20) / self->page, nr = limit / 16 + 1;
	int pipes[nr][2], i, pages;

	if (!write_string(PARAMETERS "max_device_mb", "2"))
		SKIP(return, "the module's parameters cannot be set here");
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, pipe(pipes[i]));
	pages = pin_until_full(self, pipes, nr);
	EXPECT_GE(limit, pages);
	EXPECT_LE(limit - 2 * (int)(SLAB / self->page) - 8, pages);
	EXPECT_EQ(-ENOMEM, arena_alloc(self->fd, SLAB, NULL));
	for (i = 0; i < nr; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	/* Before an allocation fails, the module frees pages that are no longer pinned. */
	EXPECT_EQ(0, arena_alloc(self->fd, 1 << 20, NULL));
	EXPECT_TRUE(write_string(PARAMETERS "max_device_mb", "0"));
}

/* clause 20: after a keep reset, a mapping still shows the page that is in the pipe */
TEST_F(pin, reset_keep_pinned_page_shared)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'k', SLAB);
	ASSERT_TRUE(to_pipe(self, 0));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	memset(self->map, 'n', self->page);
	EXPECT_TRUE(from_pipe(self, 'n'));
}

/*
 * clause 20: pread() can store to an arena and pwrite() can read from an arena, by direct I/O where
 * possible
 */
TEST_F(pin, write_direct_io_ok)
{
	char path[] = "/tmp/arena-pin-XXXXXX";
	int file = mkstemp(path), direct;

	ASSERT_LE(0, file);
	unlink(path);
	/* Before 6.6, tmpfs refuses O_DIRECT, and the test runs through the page cache. */
	direct = fcntl(file, F_SETFL, O_DIRECT);
	TH_LOG("%s", direct ? "not direct" : "direct");
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'd', SLAB);
	ASSERT_EQ(self->page, pwrite(file, self->map, self->page, 0));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(-1, pwrite(file, self->map, self->page, self->page));
	EXPECT_EQ(-1, pread(file, self->map, self->page, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	ASSERT_EQ(self->page, pread(file, self->map, self->page, 0));
	EXPECT_TRUE(all_bytes(self->map, 'd', self->page));
	EXPECT_TRUE(all_bytes(self->map + self->page, 0, SLAB - self->page));
	close(file);
}

/* clause 20: the module does not reuse pages that are registered as buffers of io_uring */
TEST_F(pin, register_io_uring_buffers_pins)
{
	struct io_uring_params params = {};
	struct iovec buffer = { self->map, 2 * self->page };
	long long held;
	int ring = syscall(__NR_io_uring_setup, 4, &params);

	if (ring < 0)
		SKIP(return, "no io_uring");
	/*
	 * The arena's directory counts as held until the arena is closed. Let the directory grow to
	 * its full size before the test reads how much memory is held.
	 */
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	held = arena_held_bytes();
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'u', SLAB);
	/* Some kernels refuse to register pages that are neither anonymous nor page cache. */
	if (syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1)) {
		int err = errno;

		close(ring);
		SKIP(return, "io_uring takes no buffers here: %d", err);
	}
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	EXPECT_TRUE(all_bytes(self->map, 0, CAPACITY));
	use_memory(_metadata, SLAB);
	EXPECT_TRUE(all_bytes(self->map, 0, CAPACITY));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(0, syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(ring);
	EXPECT_TRUE(arena_held_falls_to(held));
}

static void end(int sig)
{
	_exit(0);
}

/* clause 20: a reset revokes the mapping of another process that writes to it all the time */
TEST(reset_while_other_process_writes_revokes)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = arena_open(), i;
	char *map;
	pid_t pid;

	if (on_uml())
		SKIP(return, "UML unmaps nothing from a program that runs elsewhere");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_setup(fd, 16 * page, page, 0));
	map = arena_map(fd, 16 * page, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, arena_alloc(fd, 16 * page, NULL));
	pid = fork();
	if (!pid) {
		signal(SIGBUS, end);
		for (i = 0;; i++)
			memset(map + i % 16 * page, 0xbb, 64);
	}
	/* Wait until the child has touched all pages. */
	while (__atomic_load_n(map + 15 * page, __ATOMIC_ACQUIRE) != (char)0xbb)
		sched_yield();
	ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_RELEASE, 0));
	use_memory(_metadata, page);
	EXPECT_EQ(0, wait_for(pid));
	munmap(map, 16 * page);
	close(fd);
}

static unsigned int next_random(unsigned int *seed)
{
	return *seed = *seed * 1103515245 + 12345;
}

/*
 * clauses 6, 20: several processes make arenas, fill them with a byte of their own, reset and close
 * them, so that they reuse each other's memory. Each process must see only zeroes and its own byte.
 */
TEST(alloc_by_processes_isolated)
{
	const size_t slabs[] = { page_size(), SLAB, 4 * SLAB };
	const size_t bytes = 2 << 20;
	pid_t pids[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		unsigned int seed = 77 * i + 1, round;

		pids[i] = fork();
		if (pids[i])
			continue;
		for (round = 0; more_rounds(round, 25); round++) {
			size_t part = (next_random(&seed) >> 8) % bytes & -page_size(), kept;
			int fd = arena_open();
			char *map;

			if (fd < 0 || arena_setup(fd, bytes, slabs[round % 3], 0))
				_exit(1);
			map = arena_map(fd, bytes, PROT_READ | PROT_WRITE, 0);
			if (!map || arena_alloc(fd, bytes, NULL))
				_exit(2);
			if (!all_bytes(map, 0, bytes))
				_exit(3);
			memset(map, i + 1, bytes);
			if (arena_reset(fd, ARENA_RESET_RELEASE, part) ||
			    arena_alloc(fd, bytes, NULL))
				_exit(4);
			/*
			 * Slabs that the reset kept have this process's byte; other slabs are zero.
			 */
			kept = (part + slabs[round % 3] - 1) / slabs[round % 3] * slabs[round % 3];
			if (!all_bytes(map, i + 1, kept))
				_exit(5);
			if (!all_bytes(map + kept, 0, bytes - kept))
				_exit(6);
			memset(map, i + 1, bytes);
			munmap(map, bytes);
			close(fd);
		}
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, wait_for(pids[i]));
}

/*
 * clauses 20, 22: the module can be unloaded while a pipe still has pages of an arena that is gone,
 * which a worker of the module would free later
 */
TEST(unload_while_page_pinned_ok)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int fd = arena_open(), pipes[2], i;
	char *map, copy[page];

	if (access("/ko/arena.ko", R_OK))
		SKIP(return, "no /ko/arena.ko to load again");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, arena_setup(fd, CAPACITY, SLAB, 0));
	map = arena_map(fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, arena_alloc(fd, SLAB, NULL));
	memset(map, 'h', SLAB);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(page, vmsplice(pipes[1], &(struct iovec){ map + i * page, page }, 1,
					 SPLICE_F_GIFT));
	munmap(map, CAPACITY);
	close(fd);
	if (syscall(SYS_delete_module, "arena", O_NONBLOCK))
		SKIP(return, "the module is in use: %s", strerror(errno));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(page, read(pipes[0], copy, page));
		EXPECT_TRUE(all_bytes(copy, 'h', page));
	}
	ASSERT_TRUE(ko_load("arena"));
	close(pipes[0]);
	close(pipes[1]);
}

TEST_HARNESS_MAIN
