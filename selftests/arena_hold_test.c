// SPDX-License-Identifier: GPL-2.0
/*
 * Clause 23: kernel code uses the arena of a program. When the test writes a descriptor to a
 * debugfs file of the module arena_consumer, the module takes a hold on the arena of that
 * descriptor and stores records in the arena. The module drops the hold when the test closes the
 * debugfs file.
 */
#include "kselftest_harness.h"

#include <poll.h>
#include "arena_calls.h"
#include "arena_ko.h"

#define PRODUCE		"/sys/kernel/debug/arena_consumer/produce"
#define RECORDS		1000

KO_FOR_TESTS(arena_consumer)

static int produce(int producer, int fd, unsigned int nr)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%d %u", fd, nr);

	return write(producer, line, len) == len ? 0 : -errno;
}

FIXTURE(hold)
{
	int fd;
	int producer;
	long long before;
};

FIXTURE_SETUP(hold)
{
	self->fd = -1;
	self->producer = open(PRODUCE, O_WRONLY | O_CLOEXEC);
	if (self->producer < 0)
		SKIP(return, "no module arena_consumer");
	arena_held_falls_to(0);
	self->before = arena_held_bytes();
	ASSERT_GE(self->before, 0);
	self->fd = arena_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, arena_setup(self->fd, 16 * SLAB, SLAB, 0));
}

FIXTURE_TEARDOWN(hold)
{
	close(self->producer);
	close(self->fd);
}

/* clause 23: records that the kernel stores appear in the mapping */
TEST_F(hold, produce_records_visible_in_mapping)
{
	char *map = mmap(NULL, 16 * SLAB, PROT_READ, MAP_SHARED, self->fd, 0);
	char expected[32], *at = map;
	int i;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, produce(self->producer, self->fd, RECORDS));
	for (i = 0; i < RECORDS; i++) {
		snprintf(expected, sizeof(expected), "record %d\n", i);
		ASSERT_STREQ(expected, at);
		at += strlen(expected) + 1;
	}
	munmap(map, 16 * SLAB);
}

/*
 * clause 23: arena_get_from_fd() refuses descriptors without the right to allocate, and other files
 */
TEST_F(hold, produce_wrong_descriptor_refused)
{
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_GE(reader, 0);
	EXPECT_EQ(-EACCES, produce(self->producer, reader, 1));
	EXPECT_EQ(-EINVAL, produce(self->producer, null, 1));
	close(null);
	EXPECT_EQ(-EBADF, produce(self->producer, null, 1));
	/* The failed calls have left no hold on the arena: otherwise this reset would fail. */
	EXPECT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(0, produce(self->producer, self->fd, 1));
	close(reader);
}

/* clause 23: while kernel code holds the arena, a reset fails with EBUSY */
TEST_F(hold, reset_while_held_ebusy)
{
	ASSERT_EQ(0, produce(self->producer, self->fd, RECORDS));
	EXPECT_EQ(-EBUSY, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(0, produce(self->producer, self->fd, RECORDS));
	close(self->producer);
	self->producer = -1;
	EXPECT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
}

/*
 * clauses 23, 30: SEAL fails while kernel code holds the arena, and arena_get_from_fd() fails for a
 * sealed arena
 */
TEST_F(hold, seal_while_held_ebusy)
{
	ASSERT_EQ(0, produce(self->producer, self->fd, RECORDS));
	EXPECT_EQ(-EBUSY, arena_seal(self->fd));
	EXPECT_EQ(0, produce(self->producer, self->fd, RECORDS));
	close(self->producer);
	EXPECT_EQ(0, arena_seal(self->fd));
	self->producer = open(PRODUCE, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->producer);
	EXPECT_EQ(-EPERM, produce(self->producer, self->fd, 1));
}

/* clauses 12, 23: while kernel code holds the arena, a rewind fails with EBUSY */
TEST_F(hold, rewind_while_held_ebusy)
{
	struct arena_info_args before, after;
	struct arena_mark_args mark;

	ASSERT_EQ(0, arena_mark(self->fd, &mark));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	EXPECT_EQ(0, arena_rewind(self->fd, mark));
	ASSERT_EQ(0, produce(self->producer, self->fd, RECORDS));
	ASSERT_EQ(0, arena_info(self->fd, &before));
	EXPECT_EQ(-EBUSY, arena_rewind(self->fd, mark));
	ASSERT_EQ(0, arena_info(self->fd, &after));
	EXPECT_TRUE(arena_same_state(&before, &after));
	close(self->producer);
	self->producer = -1;
	/* The rewind also frees the objects that kernel code allocated after the mark. */
	EXPECT_EQ(0, arena_rewind(self->fd, mark));
	ASSERT_EQ(0, arena_info(self->fd, &after));
	EXPECT_EQ(0, after.used);
}

/*
 * clause 23: while kernel code holds the arena, it may allocate objects, so poll() does not report
 * POLLHUP
 */
TEST_F(hold, poll_while_held_no_pollhup)
{
	struct pollfd poller = { .fd = arena_dup(self->fd, ARENA_RIGHT_READ) };

	ASSERT_LE(0, poller.fd);
	ASSERT_EQ(0, produce(self->producer, self->fd, 1));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, poll(&poller, 1, 0));
	close(self->producer);
	self->producer = -1;
	EXPECT_EQ(1, poll(&poller, 1, 60000));
	EXPECT_EQ(POLLHUP, poller.revents);
	close(poller.fd);
}

/* clauses 22, 23: an arena without descriptors lives until kernel code gives up its hold */
TEST_F(hold, close_while_held_deferred)
{
	ASSERT_EQ(0, produce(self->producer, self->fd, 1));
	close(self->fd);
	EXPECT_LE((long long)SLAB, arena_held_bytes());
	EXPECT_EQ(0, produce(self->producer, -1, 10 * RECORDS));
	EXPECT_LE(2 * (long long)SLAB, arena_held_bytes());
	close(self->producer);
	EXPECT_TRUE(arena_held_falls_to(self->before));
	self->fd = -1;
	self->producer = -1;
}

/* clause 23: when kernel code gives up its hold, the module frees the arena of a killed program */
TEST_F(hold, kill_while_held_deferred)
{
	int status, err;
	pid_t pid = fork();

	if (!pid) {
		int fd = arena_open();

		while (!produce(self->producer, fd, 10))
			;
		/* The arena is full; the child keeps its descriptor until it is killed. */
		pause();
		_exit(1);
	}
	ASSERT_LT(0, pid);
	usleep(200000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	/*
	 * This process also has the debugfs file open, so the module still holds the killed child's
	 * arena.
	 */
	err = produce(self->producer, -1, 1);
	EXPECT_TRUE(!err || err == -ENOMEM);
	close(self->producer);
	close(self->fd);
	self->producer = -1;
	self->fd = -1;
	EXPECT_TRUE(arena_held_falls_to(self->before));
}

TEST_HARNESS_MAIN
