// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that each kernel interface by which programs wait for a file reports the same events of an
 * arena as poll() does (clause 17). Some interfaces take the events from the key of the wakeup, and
 * do not ask the driver again.
 *
 * ARENA_IOC_WATCH gives a file a threshold, the member @mark: a waiter wakes with POLLIN when more
 * than @mark bytes are used.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include "arena_calls.h"
#include "arena_poller.h"

#define CAPACITY	(16 * SLAB)
#define MARK		(512 * 1024)

/* A thread that waits by @wait, one of the functions of arena_poller.h. */
struct waiter {
	int (*wait)(int fd, int events);
	int fd;
	int events;
	int answer;
	bool done;
	pid_t tid;
	pthread_t thread;
};

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;

	__atomic_store_n(&waiter->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	waiter->answer = waiter->wait(waiter->fd, waiter->events);
	__atomic_store_n(&waiter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool waiter_done(struct waiter *waiter)
{
	return __atomic_load_n(&waiter->done, __ATOMIC_ACQUIRE);
}

/* Starts a waiter; returns when its thread sleeps or has a result. */
static void waiter_start(struct waiter *waiter, int (*wait)(int fd, int events), int fd, int events)
{
	*waiter = (struct waiter){ .wait = wait, .fd = fd, .events = events };
	pthread_create(&waiter->thread, NULL, waiter_run, waiter);
	while (!waiter_done(waiter) &&
	       (!__atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE) || !thread_sleeps(waiter->tid)))
		sched_yield();
}

static int waiter_end(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	return waiter->answer;
}

/*
 * Gives a waiter that the kernel has woken by mistake the time to return. If the time is too short,
 * the test misses the bug, but does not fail.
 */
static void let_others_run(void)
{
	usleep(100 * 1000);
}

FIXTURE(poller)
{
	int fd;
	int other;		/* another file of the same arena, with its own threshold */
	struct waiter waiter;
};

FIXTURE_VARIANT(poller)
{
	int (*wait)(int fd, int events);
};

FIXTURE_VARIANT_ADD(poller, poll)
{
	.wait = poller_poll,
};

FIXTURE_VARIANT_ADD(poller, select)
{
	.wait = poller_select,
};

FIXTURE_VARIANT_ADD(poller, epoll)
{
	.wait = poller_epoll,
};

FIXTURE_VARIANT_ADD(poller, epoll_edge)
{
	.wait = poller_epoll_edge,
};

FIXTURE_VARIANT_ADD(poller, epoll_oneshot)
{
	.wait = poller_epoll_oneshot,
};

FIXTURE_VARIANT_ADD(poller, epoll_exclusive)
{
	.wait = poller_epoll_exclusive,
};

FIXTURE_VARIANT_ADD(poller, uring)
{
	.wait = poller_uring,
};

FIXTURE_VARIANT_ADD(poller, uring_multishot)
{
	.wait = poller_uring_multishot,
};

FIXTURE_VARIANT_ADD(poller, aio)
{
	.wait = poller_aio,
};

FIXTURE_SETUP(poller)
{
	int has;

	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
	self->other = arena_dup(self->fd, ARENA_RIGHT_READ);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, arena_watch(self->fd, 0, NULL));
	ASSERT_EQ(0, arena_notify(self->fd));
	has = variant->wait(self->fd, POLLIN);
	if (has == POLLER_MISSING)
		SKIP(return, "the kernel refuses it: %s", strerror(errno));
	/* clause 17: a waiter returns at once if the event has already happened */
	ASSERT_EQ(POLLIN, has);
	ASSERT_EQ(0, arena_watch(self->fd, 0, NULL));
}

FIXTURE_TEARDOWN(poller)
{
	close(self->other);
	close(self->fd);
}

/* clause 17: a waiter for POLLPRI wakes at a reset of its arena and at nothing else */
TEST_F(poller, reset_waiter_gets_pollpri)
{
	waiter_start(&self->waiter, variant->wait, self->fd, POLLPRI);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_notify(self->fd));
	let_others_run();
	EXPECT_FALSE(waiter_done(&self->waiter));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(POLLPRI, waiter_end(&self->waiter));
}

/* clause 17: a reset does not report POLLIN to a waiter that asked for POLLIN and POLLPRI */
TEST_F(poller, reset_waiter_gets_no_pollin)
{
	waiter_start(&self->waiter, variant->wait, self->fd, POLLIN | POLLPRI);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(POLLPRI, waiter_end(&self->waiter));
}

/* clause 17: a reset does not wake a waiter for POLLIN */
TEST_F(poller, reset_pollin_waiter_sleeps_on)
{
	waiter_start(&self->waiter, variant->wait, self->fd, POLLIN);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	let_others_run();
	EXPECT_FALSE(waiter_done(&self->waiter));
	ASSERT_EQ(0, arena_notify(self->fd));
	EXPECT_EQ(POLLIN, waiter_end(&self->waiter));
}

/* clause 17: a waiter wakes at the threshold of its own file, and not at that of another file */
TEST_F(poller, alloc_beyond_mark_wakes_own_file)
{
	struct waiter other;

	ASSERT_EQ(0, arena_watch(self->fd, MARK, NULL));
	ASSERT_EQ(0, arena_watch(self->other, 100, NULL));
	waiter_start(&self->waiter, variant->wait, self->fd, POLLIN);
	waiter_start(&other, variant->wait, self->other, POLLIN);
	ASSERT_EQ(0, arena_alloc(self->fd, 104, NULL));
	EXPECT_EQ(POLLIN, waiter_end(&other));
	let_others_run();
	EXPECT_FALSE(waiter_done(&self->waiter));
	/* The waiter on @fd still sleeps, and wakes at its own threshold. */
	ASSERT_EQ(0, arena_alloc(self->fd, MARK, NULL));
	EXPECT_EQ(POLLIN, waiter_end(&self->waiter));
}

/* clause 17: a waiter wakes at a threshold that a WATCH has lowered while the waiter slept */
TEST_F(poller, watch_lowered_while_asleep_wakes)
{
	ASSERT_EQ(0, arena_watch(self->fd, MARK, NULL));
	waiter_start(&self->waiter, variant->wait, self->fd, POLLIN);
	ASSERT_EQ(0, arena_watch(self->fd, 16, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, 16, NULL));
	let_others_run();
	EXPECT_FALSE(waiter_done(&self->waiter));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(POLLIN, waiter_end(&self->waiter));
}

/*
 * clause 17: a multishot request reports each event once, and reports no event from before the last
 * WATCH
 */
TEST(uring_multishot_reports_each_event)
{
	struct io_uring_cqe cqe;
	struct uring uring;
	int fd, i;

	if (!uring_init(&uring))
		SKIP(return, "the kernel refuses it: %s", strerror(errno));
	fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_watch(fd, 0, NULL));
	uring_poll_add(&uring, fd, POLLIN | POLLPRI, IORING_POLL_ADD_MULTI);
	EXPECT_FALSE(uring_wait(&uring, 1, 1, &cqe));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, i % 2 ? arena_reset(fd, ARENA_RESET_KEEP, 0) : arena_notify(fd));
		ASSERT_TRUE(uring_wait(&uring, 0, POLLER_PATIENCE * 1000, &cqe));
		EXPECT_EQ(i % 2 ? POLLPRI : POLLIN, cqe.res);
		EXPECT_TRUE(cqe.flags & IORING_CQE_F_MORE);
		ASSERT_EQ(0, arena_watch(fd, 0, NULL));
	}
	uring_exit(&uring);
	close(fd);
}

TEST_HARNESS_MAIN
