// SPDX-License-Identifier: GPL-2.0
/*
 * The first, second, ... allocation (or copy from or to the program) of a call
 * fails, until there is no further one to fail: an errno, and nothing else
 * (clauses 4 and 21). Needs a kernel that can inject faults.
 */
#include "kselftest_harness.h"
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)
#define NTH_MAX		500

static int fail_fd = -1;

static void set_attribute(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, name);
	write_string(path, value);
}

static bool fail_init(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* A stack dump for every failure would look like real trouble. */
		set_attribute(kinds[i], "verbose", "0");
		/* Allocations that may sleep, and of single pages, are what we do. */
		set_attribute(kinds[i], "ignore-gfp-wait", "N");
		set_attribute(kinds[i], "min-order", "0");
	}
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_fd >= 0;
}

static void fail_start(int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	/* A failure that is still due may hit this very call; then it is over. */
	if (pwrite(fail_fd, text, len, 0) != len && pwrite(fail_fd, text, len, 0) != len)
		abort();
}

/* Was there an nth one? Not if reading the file is what fails. */
static bool fail_stop(void)
{
	char text[16] = "";
	bool reached = pread(fail_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	fail_start(0);
	return reached;
}

/* What all arenas together hold: nothing but what was there before (clause 22). */
static long long held(void)
{
	return read_number("/sys/kernel/debug/arena/total_bytes") -
	       read_number("/sys/kernel/debug/arena/pool_bytes");
}

FIXTURE(nth)
{
	int fd;
	long long held;
	int err;
	int nth;
	char *map;
	struct arena_info_args info;
};

FIXTURE_SETUP(nth)
{
	if (!fail_init())
		SKIP(return, "this kernel injects no faults");
	self->held = held();
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(nth)
{
	/* At least one failure was survived. */
	if (fail_fd >= 0)
		EXPECT_LT(1, self->nth);
	if (self->map)
		munmap(self->map, CAPACITY);
	close(self->fd);
	/* Nothing leaked. */
	if (fail_fd >= 0)
		EXPECT_EQ(self->held, held());
}

/*
 * A loop round what is to be true after each failure: one allocation later every
 * time, until the call has run without.
 */
#define sweep(expression)							\
	for (self->nth = 1;							\
	     ({ fail_start(self->nth); self->err = (expression); fail_stop(); }) && \
	     self->nth < NTH_MAX;						\
	     self->nth++)

static bool expected(int err)
{
	return err >= 0 || err == -ENOMEM || err == -EFAULT;
}

static int make(int fd)
{
	return arena_setup(fd, CAPACITY, SLAB, 0);
}

TEST_F_TIMEOUT(nth, open, 120)
{
	sweep(arena_open()) {
		EXPECT_TRUE(expected(self->err));
		if (self->err >= 0)
			close(self->err);
	}
	EXPECT_LE(0, self->err);
	close(self->err);
}

TEST_F_TIMEOUT(nth, set_up, 120)
{
	sweep(make(self->fd)) {
		EXPECT_TRUE(expected(self->err));
		/* A failure that did no harm: a fresh one for the next. */
		if (!self->err) {
			close(self->fd);
			self->fd = arena_open();
			ASSERT_LE(0, self->fd);
		}
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(-EBUSY, make(self->fd));
}

TEST_F_TIMEOUT(nth, first_use, 120)
{
	sweep(arena_info(self->fd, &self->info)) {
		EXPECT_TRUE(expected(self->err));
		if (!self->err) {
			close(self->fd);
			self->fd = arena_open();
			ASSERT_LE(0, self->fd);
		}
	}
	EXPECT_EQ(0, self->err);
}

/* What failed has changed nothing; with EFAULT, as documented, it may have been made. */
static bool nothing_used(int fd, int err, __u64 bytes)
{
	__u64 used = arena_used(fd);

	return err == -ENOMEM ? used == 0 : used == 0 || used == bytes;
}

TEST_F_TIMEOUT(nth, alloc, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep(arena_alloc(self->fd, 100, NULL)) {
		EXPECT_TRUE(expected(self->err));
		EXPECT_TRUE(nothing_used(self->fd, self->err, 100));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(100, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, alloc_large, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep(arena_alloc(self->fd, 5 * SLAB, NULL)) {
		EXPECT_TRUE(expected(self->err));
		EXPECT_TRUE(nothing_used(self->fd, self->err, 5 * SLAB));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(5 * SLAB, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, store, 120)
{
	static char bytes[3 * SLAB] = "something";

	ASSERT_EQ(0, make(self->fd));
	sweep(arena_store(self->fd, bytes, sizeof(bytes), NULL)) {
		EXPECT_TRUE(expected(self->err));
		EXPECT_TRUE(nothing_used(self->fd, self->err, sizeof(bytes)));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
	EXPECT_EQ(0, self->err);
	self->map = arena_map(self->fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	EXPECT_EQ(0, memcmp(self->map, bytes, sizeof(bytes)));
}

/* Objects large and small, with something to copy and without, beyond a slab. */
static int batch(int fd, struct arena_batch_item *item)
{
	static char bytes[SLAB] = "something";
	int i;

	for (i = 0; i < 60; i++)
		item[i] = (struct arena_batch_item) {
			.bytes = i % 20 ? 5000 : 2 * SLAB,
			.src = i % 20 && i % 2 ? (unsigned long)bytes : 0,
		};
	return arena_batch(fd, item, 60, 0, NULL);
}

#define BATCH_BYTES	(57 * 5000ULL + 3 * 2 * SLAB)

TEST_F_TIMEOUT(nth, batch, 120)
{
	struct arena_batch_item item[60];
	int i;

	ASSERT_EQ(0, make(self->fd));
	sweep(batch(self->fd, item)) {
		EXPECT_TRUE(expected(self->err));
		EXPECT_TRUE(nothing_used(self->fd, self->err, BATCH_BYTES));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(BATCH_BYTES, arena_used(self->fd));
	self->map = arena_map(self->fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	for (i = 1; i < 60; i += 2)
		EXPECT_STREQ("something", self->map + item[i].offset);
}

static int lease(int fd, __u64 min)
{
	struct arena_lease_args args = { .size = sizeof(args), .min = min, .want = min };

	return arena_ioctl(fd, ARENA_IOC_LEASE, &args);
}

TEST_F_TIMEOUT(nth, lease, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep(lease(self->fd, 3 * SLAB)) {
		EXPECT_TRUE(expected(self->err));
		EXPECT_TRUE(nothing_used(self->fd, self->err, 3 * SLAB));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(3 * SLAB, arena_used(self->fd));
}

/* A mark that failed is not there: no other thread finds it in its way. */
static int mark_elsewhere(int fd)
{
	pid_t pid = fork();
	__u64 mark;

	if (!pid)
		_exit(-arena_mark(fd, &mark));
	return -wait_for(pid);
}

TEST_F_TIMEOUT(nth, mark, 120)
{
	__u64 mark = 0;

	ASSERT_EQ(0, make(self->fd));
	sweep(arena_mark(self->fd, &mark)) {
		EXPECT_TRUE(expected(self->err));
		if (!self->err)
			EXPECT_EQ(0, arena_unmark(self->fd, mark));
		ASSERT_EQ(0, mark_elsewhere(self->fd));
		/* The next first mark needs memory again. */
		close(self->fd);
		self->fd = arena_open();
		ASSERT_EQ(0, make(self->fd));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(0, arena_rewind(self->fd, mark));
}

TEST_F_TIMEOUT(nth, dup, 120)
{
	int next = dup(0);

	close(next);
	ASSERT_EQ(0, make(self->fd));
	sweep(arena_dup(self->fd, ARENA_RIGHT_READ)) {
		EXPECT_TRUE(expected(self->err));
		if (self->err >= 0)
			close(self->err);
		/* No descriptor was left behind. */
		ASSERT_EQ(next, dup(0));
		close(next);
	}
	EXPECT_EQ(next, self->err);
	close(self->err);
}

/* Taking back needs nothing, so only the copies of the struct can fail. */
TEST_F_TIMEOUT(nth, reset, 120)
{
	__u32 mode;

	ASSERT_EQ(0, make(self->fd));
	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_ZERO; mode++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 3 * SLAB, NULL));
		sweep(arena_reset(self->fd, mode, 0))
			EXPECT_TRUE(self->err == 0 || self->err == -EFAULT);
		EXPECT_EQ(0, self->err);
		EXPECT_EQ(0, arena_used(self->fd));
	}
	self->nth = 2;
}

static int map_and_touch(int fd)
{
	char *map = arena_map(fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	int sig;

	if (!map)
		return -errno;
	sig = touch_write(map);
	munmap(map, CAPACITY);
	return sig;
}

/* A fault that finds no page table is tried again, or is a signal. */
TEST_F_TIMEOUT(nth, map_and_fault, 120)
{
	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	sweep(map_and_touch(self->fd))
		EXPECT_TRUE(self->err == 0 || self->err == -ENOMEM || self->err == SIGBUS);
	EXPECT_EQ(0, self->err);
}

TEST_HARNESS_MAIN
