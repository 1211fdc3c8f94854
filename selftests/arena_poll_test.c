// SPDX-License-Identifier: GPL-2.0
/*
 * Tests how programs wait for an arena by poll() and epoll, with ARENA_IOC_WATCH and
 * ARENA_IOC_NOTIFY (clauses 17 and 18, and what include/uapi/linux/arena.h promises).
 *
 * A WATCH gives an open file a threshold, the member @mark: poll() reports POLLIN when more than
 * @mark bytes are used. A NOTIFY, or a call of arena_notify() in the kernel, is a notice: it makes
 * poll() report POLLIN, whatever the threshold.
 */
#include "kselftest_harness.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "arena_ko.h"
#include "arena_calls.h"

#define CAPACITY	(8 * SLAB)
#define PRODUCE		"/sys/kernel/debug/arena_consumer/produce"
#define NOTIFY		"/sys/kernel/debug/arena_context/notify"
#define LONG_ENOUGH	60000	/* ms; only a test that fails waits for so long */

/* Returns the events that poll() reports within @timeout ms. */
static int events(int fd, int timeout)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN | POLLPRI };

	return poll(&poller, 1, timeout) < 0 ? -errno : poller.revents;
}

FIXTURE(poll)
{
	int fd;
};

FIXTURE_SETUP(poll)
{
	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(poll)
{
	close(self->fd);
}

/* Before the first WATCH, poll() reports POLLIN for any object, and no POLLPRI for a reset. */
TEST_F(poll, poll_without_watch_reports_objects)
{
	EXPECT_EQ(0, events(self->fd, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(0, events(self->fd, 0));
}

/* clause 17: poll() does not count as use of the arena, so SETUP still succeeds */
TEST(poll_before_setup_ok)
{
	int fd = arena_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, events(fd, 0));
	EXPECT_EQ(0, arena_setup(fd, CAPACITY, SLAB, 0));
	EXPECT_EQ(0, events(fd, 0));
	ASSERT_EQ(0, arena_alloc(fd, 8, NULL));
	EXPECT_EQ(POLLIN, events(fd, 0));
	close(fd);
}

/* poll() reports POLLIN when more bytes than the threshold are used, but not at the threshold. */
TEST_F(poll, poll_beyond_mark_pollin)
{
	struct arena_watch_args args;
	struct arena_info_args info;

	ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
	ASSERT_EQ(0, arena_watch(self->fd, 64, &args));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(40, args.offset);
	EXPECT_EQ(info.generation, args.generation);
	EXPECT_EQ(0, events(self->fd, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 24, NULL));
	EXPECT_EQ(0, events(self->fd, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	ASSERT_EQ(0, arena_watch(self->fd, 72, NULL));
	EXPECT_EQ(0, events(self->fd, 0));
	ASSERT_EQ(0, arena_watch(self->fd, ~0ULL, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY / 2, NULL));
	EXPECT_EQ(0, events(self->fd, 0));
}

/* After a reset in any mode, poll() reports POLLPRI until the next WATCH. */
TEST_F(poll, poll_after_reset_pollpri)
{
	const __u32 modes[] = { ARENA_RESET_KEEP, ARENA_RESET_RELEASE, ARENA_RESET_ZERO,
				ARENA_RESET_STRICT };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		ASSERT_EQ(0, arena_watch(self->fd, 64, NULL));
		EXPECT_EQ(0, events(self->fd, 0));
		ASSERT_EQ(0, arena_reset(self->fd, modes[i], 0));
		EXPECT_EQ(POLLPRI, events(self->fd, 0));
		ASSERT_EQ(0, arena_alloc(self->fd, 72, NULL));
		EXPECT_EQ(POLLIN | POLLPRI, events(self->fd, 0));
		ASSERT_EQ(0, arena_watch(self->fd, 72, NULL));
		EXPECT_EQ(0, events(self->fd, 0));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	}
}

/* After a notice, poll() reports POLLIN until the next WATCH; the status page counts notices. */
TEST_F(poll, poll_after_notify_pollin)
{
	const struct arena_status *status = arena_map_status(self->fd);

	ASSERT_NE(NULL, status);
	EXPECT_EQ(0, status->notices);
	ASSERT_EQ(0, arena_notify(self->fd));
	EXPECT_EQ(1, status->notices);
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	ASSERT_EQ(0, arena_watch(self->fd, 0, NULL));
	EXPECT_EQ(0, events(self->fd, 0));
	ASSERT_EQ(0, arena_notify(self->fd));
	ASSERT_EQ(0, arena_notify(self->fd));
	EXPECT_EQ(3, status->notices);
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	munmap((void *)status, sysconf(_SC_PAGESIZE));
}

/*
 * clause 17: each open file has a threshold of its own. dup() makes a descriptor of the same file,
 * and ARENA_IOC_DUP a new file.
 */
TEST_F(poll, watch_of_each_file_separate)
{
	int other = arena_dup(self->fd, ARENA_RIGHT_READ), same = dup(self->fd);

	ASSERT_LE(0, other);
	ASSERT_LE(0, same);
	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	ASSERT_EQ(0, arena_watch(self->fd, 100, NULL));
	EXPECT_EQ(0, events(self->fd, 0));
	EXPECT_EQ(0, events(same, 0));
	EXPECT_EQ(POLLIN, events(other, 0));
	ASSERT_EQ(0, arena_watch(other, 64, NULL));
	EXPECT_EQ(0, events(other, 0));
	close(same);
	close(other);
}

/* clauses 17, 18: NOTIFY needs the right to allocate; WATCH and NOTIFY refuse bad arguments */
TEST_F(poll, watch_bad_right_or_argument_refused)
{
	struct arena_notify_args no = { sizeof(no) };
	struct arena_watch_args args = { sizeof(args) };
	struct {
		struct arena_watch_args args;
		__u64 newer;
	} longer = { { sizeof(longer), .mark = 7 }, 1 };
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);

	ASSERT_LE(0, reader);
	EXPECT_EQ(-EACCES, arena_notify(reader));
	EXPECT_EQ(0, arena_watch(reader, 0, NULL));
	args.flags = 1;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_WATCH, &args));
	args.flags = 0;
	args.size = sizeof(args) - 1;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_WATCH, &args));
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, ARENA_IOC_WATCH, &longer));
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_WATCH, NULL));
	no.flags = 1;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_NOTIFY, &no));
	no.flags = 0;
	no.size = 4;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_NOTIFY, &no));
	EXPECT_EQ(0, events(self->fd, 0));
	close(reader);
}

/* clause 18: a WATCH that cannot write its result changes nothing */
TEST_F(poll, watch_unwritable_result_efault)
{
	long page = sysconf(_SC_PAGESIZE);
	struct arena_watch_args *args;

	args = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, args);
	*args = (struct arena_watch_args){ .size = sizeof(*args), .mark = 100 };
	ASSERT_EQ(0, mprotect(args, page, PROT_READ));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_WATCH, args));
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	munmap(args, page);
}

/* A thread that sleeps in poll(), or in epoll_wait() if @epoll is not negative. */
struct sleeper {
	int fd;
	int epoll;
	pid_t tid;
	int events;
	pthread_t thread;
};

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * When its timeout has expired, poll() looks for events once more. Events that poll() finds only
 * then have not woken the thread, so sleeper->events leaves them out.
 */
static void *sleeper_run(void *arg)
{
	struct sleeper *sleeper = arg;
	struct epoll_event event = {};
	long long end = milliseconds() + LONG_ENOUGH;

	__atomic_store_n(&sleeper->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (sleeper->epoll < 0) {
		sleeper->events = events(sleeper->fd, LONG_ENOUGH);
		if (milliseconds() >= end)
			sleeper->events = 0;
	} else if (epoll_wait(sleeper->epoll, &event, 1, LONG_ENOUGH) == 1) {
		sleeper->events = event.events;
	}
	return NULL;
}

static void sleeper_start_epoll(struct sleeper *sleeper, int fd, int epoll)
{
	*sleeper = (struct sleeper){ .fd = fd, .epoll = epoll };
	pthread_create(&sleeper->thread, NULL, sleeper_run, sleeper);
	while (!__atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE) || !thread_sleeps(sleeper->tid))
		sched_yield();
}

static void sleeper_start(struct sleeper *sleeper, int fd)
{
	sleeper_start_epoll(sleeper, fd, -1);
}

static int sleeper_end(struct sleeper *sleeper)
{
	pthread_join(sleeper->thread, NULL);
	return sleeper->events;
}

/*
 * A sleeping thread wakes at an allocation by any call, at a notice, at a reset, and at a WATCH
 * with a threshold below the used bytes.
 */
TEST_F(poll, alloc_beyond_mark_wakes)
{
	struct arena_lease_args lease;
	struct arena_watch_args args;
	struct sleeper sleeper;
	int call, err = -1;

	for (call = 0; call < 6; call++) {
		ASSERT_EQ(0, arena_watch(self->fd, arena_used(self->fd), &args));
		sleeper_start(&sleeper, self->fd);
		switch (call) {
		case 0:
			err = arena_alloc(self->fd, 8, NULL);
			break;
		case 1:
			err = arena_store(self->fd, "abc", 4, NULL);
			break;
		case 2:
			err = arena_lease(self->fd, 8, 64, 0, &lease);
			break;
		case 3:
			err = arena_notify(self->fd);
			break;
		case 4:
			err = arena_reset(self->fd, ARENA_RESET_KEEP, 0);
			break;
		case 5:
			/* A WATCH sets a threshold below the bytes that are used already. */
			err = arena_alloc(self->fd, 8, NULL);
			ASSERT_EQ(POLLIN, sleeper_end(&sleeper));
			ASSERT_EQ(0, arena_watch(self->fd, 1000, NULL));
			sleeper_start(&sleeper, self->fd);
			err = err ?: arena_watch(self->fd, 0, NULL);
			break;
		}
		ASSERT_EQ(0, err);
		EXPECT_EQ(call == 4 ? POLLPRI : POLLIN, sleeper_end(&sleeper));
	}
}

/*
 * A WATCH lowers the threshold while a thread sleeps, but not below the bytes that are used. The
 * allocation that exceeds the new threshold wakes the thread.
 */
TEST_F(poll, watch_lowered_while_asleep_wakes)
{
	struct sleeper sleeper;

	ASSERT_EQ(0, arena_watch(self->fd, 1000, NULL));
	sleeper_start(&sleeper, self->fd);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_watch(self->fd, 16, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(POLLIN, sleeper_end(&sleeper));
}

/*
 * Several threads sleep with different thresholds; each wakes when the used bytes exceed its own
 * threshold.
 */
TEST_F(poll, alloc_beyond_marks_wakes_each)
{
	struct sleeper sleepers[4];
	int fds[4], i;

	for (i = 3; i >= 0; i--) {
		fds[i] = arena_dup(self->fd, ARENA_RIGHT_READ);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, arena_watch(fds[i], 100 * i, NULL));
		sleeper_start(&sleepers[i], fds[i]);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, arena_alloc(self->fd, i ? 100 : 8, NULL));
		EXPECT_EQ(POLLIN, sleeper_end(&sleepers[i]));
		if (i < 3)
			EXPECT_EQ(0, events(fds[i + 1], 0));
	}
	for (i = 0; i < 4; i++)
		close(fds[i]);
}

/*
 * Waiters with EPOLLEXCLUSIVE may have different thresholds, so a wakeup must reach all of them,
 * not only the first waiter. The threads sleep in epoll_wait(), because the kernel passes over
 * exclusive waiters without a sleeping thread.
 */
TEST_F(poll, wake_exclusive_waiters_all)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int fds[4], epolls[4], i;
	struct sleeper sleepers[4];

	for (i = 0; i < 4; i++) {
		fds[i] = arena_dup(self->fd, ARENA_RIGHT_READ);
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, fds[i]);
		ASSERT_LE(0, epolls[i]);
		ASSERT_EQ(0, arena_watch(fds[i], i % 2 ? 8 : 1000, NULL));
		ASSERT_EQ(0, epoll_ctl(epolls[i], EPOLL_CTL_ADD, fds[i], &event));
		sleeper_start_epoll(&sleepers[i], fds[i], epolls[i]);
	}
	ASSERT_EQ(0, arena_alloc(self->fd, 16, NULL));
	for (i = 1; i < 4; i += 2)
		EXPECT_EQ(EPOLLIN, sleeper_end(&sleepers[i]));
	for (i = 0; i < 4; i += 2)
		EXPECT_EQ(0, epoll_wait(epolls[i], &event, 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 1000, NULL));
	for (i = 0; i < 4; i += 2)
		EXPECT_EQ(EPOLLIN, sleeper_end(&sleepers[i]));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, epoll_wait(epolls[i], &event, 1, 0));
		close(fds[i]);
		close(epolls[i]);
	}
}

/* An edge-triggered epoll reports one event each time that the used bytes exceed the threshold. */
TEST_F(poll, epoll_edge_reports_each_passing)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int other = arena_dup(self->fd, ARENA_RIGHT_READ);

	ASSERT_LE(0, epoll);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, arena_watch(self->fd, 64, NULL));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 72, NULL));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	/* Set a higher threshold, and do not poll before the next allocation. */
	ASSERT_EQ(0, arena_watch(self->fd, 128, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, 16, NULL));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	/* After a reset, the used bytes exceed the threshold once more. */
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, arena_watch(other, 0, NULL));
	ASSERT_EQ(0, events(other, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 128, NULL));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	/* Set a threshold below the bytes that are used already. */
	ASSERT_EQ(0, arena_watch(self->fd, 8, NULL));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	close(epoll);
	close(other);
}

/* clause 17: when the last descriptor that may allocate is closed, a reader wakes with POLLHUP */
TEST_F(poll, close_last_allocator_pollhup)
{
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ | ARENA_RIGHT_RESET);
	int allocator = arena_dup(self->fd, ARENA_RIGHT_ALLOC), same;
	struct sleeper sleeper;

	ASSERT_LE(0, reader);
	ASSERT_LE(0, allocator);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_watch(reader, 8, NULL));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, events(reader, 0));
	same = dup(allocator);
	ASSERT_LE(0, same);
	close(allocator);
	EXPECT_EQ(0, events(reader, 0));
	sleeper_start(&sleeper, reader);
	close(same);
	EXPECT_EQ(POLLHUP, sleeper_end(&sleeper));
	EXPECT_EQ(POLLHUP, events(reader, 0));
	/* poll() reports other events together with POLLHUP. */
	ASSERT_EQ(0, arena_reset(reader, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(POLLHUP | POLLPRI, events(reader, 0));
	/* The reader cannot regain the right to allocate: a duplicate never has more rights. */
	EXPECT_EQ(-EACCES, arena_dup(reader, ARENA_RIGHT_ALLOC));
	close(reader);
}

/* clause 17: a mapping keeps its file open, so the file's right to allocate lasts until munmap() */
TEST_F(poll, unmap_last_allocator_pollhup)
{
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);
	char *map = arena_map(self->fd, SLAB, PROT_READ, 0);
	struct epoll_event event = { .events = 0 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, reader);
	ASSERT_LE(0, epoll);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	munmap(map, SLAB);
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, LONG_ENOUGH));
	EXPECT_EQ(EPOLLHUP, event.events);
	close(epoll);
	close(reader);
}

/* A file can be closed while epoll watches it; epoll then reports no event of the file. */
TEST_F(poll, close_while_in_epoll_ok)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int other = arena_dup(self->fd, ARENA_RIGHT_READ);

	ASSERT_LE(0, epoll);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event));
	close(other);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	close(epoll);
}

/*
 * In the following tests, kernel code wakes programs: two test modules take a hold on an arena and
 * call arena_notify() for it.
 */
KO_FOR_TESTS(arena_consumer)
KO_FOR_TESTS(arena_context)

FIXTURE(kernel)
{
	int fd;
	int file;
	const struct arena_status *status;
};

FIXTURE_VARIANT(kernel)
{
	const char *context;
};

FIXTURE_VARIANT_ADD(kernel, task)
{
	.context = "task",
};

FIXTURE_VARIANT_ADD(kernel, irq)
{
	.context = "irq",
};

FIXTURE_VARIANT_ADD(kernel, nmi)
{
	.context = "nmi",
};

FIXTURE_SETUP(kernel)
{
	self->fd = -1;
	self->file = open(NOTIFY, O_WRONLY | O_CLOEXEC);
	if (self->file < 0)
		SKIP(return, "no module arena_context");
	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
	self->status = arena_map_status(self->fd);
	ASSERT_NE(NULL, self->status);
}

FIXTURE_TEARDOWN(kernel)
{
	close(self->fd);
	close(self->file);
}

/* Makes kernel code call arena_notify() in @context, @nr times. */
static int kernel_notify(int file, int fd, const char *context, unsigned int nr)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%d %s %u", fd, context, nr);

	return write(file, line, len) == len ? 0 : -errno;
}

/*
 * Waits until the status page counts @nr notices: an irq_work counts them, possibly on another CPU.
 */
static void await_notices(const struct arena_status *status, __u64 nr)
{
	while (__atomic_load_n(&status->notices, __ATOMIC_ACQUIRE) < nr)
		sched_yield();
}

/*
 * A notice of kernel code wakes a thread whatever its threshold, and the status page counts the
 * notice.
 */
TEST_F(kernel, kernel_notify_wakes)
{
	struct sleeper sleeper;
	unsigned int i;

	for (i = 1; i <= 20; i++) {
		ASSERT_EQ(0, arena_watch(self->fd, ~0ULL, NULL));
		EXPECT_EQ(0, events(self->fd, 0));
		sleeper_start(&sleeper, self->fd);
		ASSERT_EQ(0, kernel_notify(self->file, self->fd, variant->context, 1));
		EXPECT_EQ(POLLIN, sleeper_end(&sleeper));
		await_notices(self->status, i);
		EXPECT_EQ(i, self->status->notices);
	}
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	EXPECT_EQ(0, arena_used(self->fd));
}

/*
 * Polls and wakes pollers in a loop, so that notices of kernel code interrupt these calls at any
 * instruction.
 */
static void *hammer(void *arg)
{
	const int *fd = arg;

	while (__atomic_load_n(fd, __ATOMIC_RELAXED) >= 0) {
		arena_watch(*fd, 0, NULL);
		events(*fd, 0);
		arena_notify(*fd);
	}
	return NULL;
}

/*
 * Notices that interrupt a wakeup, a poll() or another notice of the arena do no harm: a thread
 * still wakes at the next notice.
 */
TEST_F_TIMEOUT(kernel, kernel_notify_amid_calls_wakes, 120)
{
	struct sleeper sleeper;
	pthread_t threads[2];
	int fds[2], i;

	for (i = 0; i < 2; i++) {
		fds[i] = arena_dup(self->fd, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, hammer, &fds[i]));
	}
	ASSERT_EQ(0, arena_watch(self->fd, ~0ULL, NULL));
	EXPECT_EQ(0, kernel_notify(self->file, self->fd, variant->context, 3000));
	await_notices(self->status, 3000);
	EXPECT_EQ(POLLIN, events(self->fd, 0));
	for (i = 0; i < 2; i++) {
		int fd = fds[i];

		__atomic_store_n(&fds[i], -1, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
		close(fd);
	}
	ASSERT_EQ(0, arena_watch(self->fd, ~0ULL, NULL));
	sleeper_start(&sleeper, self->fd);
	ASSERT_EQ(0, kernel_notify(self->file, self->fd, variant->context, 1));
	EXPECT_EQ(POLLIN, sleeper_end(&sleeper));
}

/* clause 23: a producer in the kernel wakes the program that polls for its records */
TEST_F(poll, produce_records_wakes)
{
	struct sleeper sleeper;
	char line[32];
	int file = open(PRODUCE, O_WRONLY | O_CLOEXEC), len, i;
	__u64 used = 0;

	if (file < 0)
		SKIP(return, "no module arena_consumer");
	len = snprintf(line, sizeof(line), "%d %d records", self->fd, 10);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, arena_watch(self->fd, used, NULL));
		EXPECT_EQ(0, events(self->fd, 0));
		sleeper_start(&sleeper, self->fd);
		ASSERT_EQ(len, write(file, line, len));
		EXPECT_EQ(POLLIN, sleeper_end(&sleeper));
		EXPECT_LT(used, arena_used(self->fd));
		used = arena_used(self->fd);
	}
	close(file);
}

/*
 * A thread that, in each round, waits until the arena has one object more than in the previous
 * round.
 */
struct consumer {
	int fd;
	unsigned int rounds;
	unsigned int round;	/* the round in which the consumer is about to wait */
	bool late;
};

static void *consume(void *arg)
{
	struct consumer *consumer = arg;
	unsigned int i;

	for (i = 0; i < consumer->rounds; i++) {
		if (arena_watch(consumer->fd, 8 * i, NULL))
			break;
		__atomic_store_n(&consumer->round, i + 1, __ATOMIC_RELEASE);
		if (events(consumer->fd, LONG_ENOUGH) != POLLIN) {
			consumer->late = true;
			break;
		}
	}
	return NULL;
}

/* No wakeup is lost, even if the allocation happens between the WATCH of a thread and its sleep. */
TEST_F_TIMEOUT(poll, wake_races_with_sleep_none_lost, 120)
{
	struct consumer consumers[2] = {};
	pthread_t threads[2];
	unsigned int i, spin;
	int c;

	for (c = 0; c < 2; c++) {
		consumers[c].fd = arena_dup(self->fd, ARENA_RIGHT_READ);
		ASSERT_LE(0, consumers[c].fd);
		consumers[c].rounds = 2000;
		ASSERT_EQ(0, pthread_create(&threads[c], NULL, consume, &consumers[c]));
	}
	for (i = 1; i <= 2000; i++) {
		for (c = 0; c < 2; c++)
			while (__atomic_load_n(&consumers[c].round, __ATOMIC_ACQUIRE) < i &&
			       !__atomic_load_n(&consumers[c].late, __ATOMIC_RELAXED))
				sched_yield();
		for (spin = i * 37 % 4000; spin; spin--)
			__asm__ volatile("" ::: "memory");
		ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	}
	for (c = 0; c < 2; c++) {
		pthread_join(threads[c], NULL);
		EXPECT_FALSE(consumers[c].late);
		EXPECT_EQ(2000, consumers[c].round);
		close(consumers[c].fd);
	}
}

/* Resets and notices race with allocations, WATCH and poll() of other processes. */
TEST_F_TIMEOUT(poll, reset_races_with_poll_consistent, 120)
{
	pid_t pids[2];
	int i;

	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (;;) {
			arena_watch(self->fd, i * 64, NULL);
			events(self->fd, 1);
			arena_alloc(self->fd, 32, NULL);
		}
	}
	for (i = 0; more_rounds(i, 2000); i++) {
		ASSERT_EQ(0, arena_reset(self->fd, i % 4, 0));
		ASSERT_EQ(0, arena_notify(self->fd));
	}
	for (i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	}
	ASSERT_EQ(0, arena_watch(self->fd, 0, NULL));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(POLLPRI, events(self->fd, 0));
}

TEST_HARNESS_MAIN
