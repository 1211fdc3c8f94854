// SPDX-License-Identifier: GPL-2.0
/*
 * Kills processes at any time (clauses 17, 22 and 24). A child process makes calls on an arena of
 * its own and on an arena that it shares with the test, and the test kills the child after its nth
 * step. Afterwards the child's own arena must be gone, and the shared arena must still work.
 */
#include "kselftest_harness.h"
#include <sched.h>
#include <sys/epoll.h>
#include "arena_calls.h"

#define CAPACITY	(32 * SLAB)

/* Opens an arena whose slabs are single pages, so that most calls commit memory. */
static int open_arena(__u32 flags)
{
	int fd = arena_open();

	return fd < 0 || arena_setup(fd, CAPACITY, sysconf(_SC_PAGESIZE), flags) ? -1 : fd;
}

static void batch_some(int fd)
{
	struct arena_batch_item item[40];
	static char bytes[3000];
	int i;

	for (i = 0; i < 40; i++)
		item[i] = (struct arena_batch_item) { .bytes = sizeof(bytes),
						      .src = (unsigned long)bytes };
	arena_batch(fd, item, 40, 0, NULL);
}

static void lease_some(int fd)
{
	struct arena_lease_args args = { .size = sizeof(args), .min = 64, .want = 10000 };

	arena_ioctl(fd, ARENA_IOC_LEASE, &args);
}

static void mark_some(int fd)
{
	struct arena_mark_args outer, inner;

	if (arena_mark(fd, &outer))
		return;
	arena_alloc(fd, 5000, NULL);
	arena_mark(fd, &inner);
	arena_store(fd, "some", 5, NULL);
	arena_rewind(fd, outer);
}

static void map_some(int fd)
{
	const struct arena_status *status = arena_map_status(fd);
	char *map = arena_map(fd, CAPACITY, PROT_READ | PROT_WRITE, 0);

	touch_read(status);
	touch_write(map);
	touch_write(map + 20000);
	/* In some steps, leave the mappings, so that the exit of the process must unmap them. */
	if (arena_used(fd) & 8)
		return;
	munmap((void *)status, sysconf(_SC_PAGESIZE));
	munmap(map, CAPACITY);
}

static void dup_some(int fd)
{
	int other = arena_dup(fd, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC);

	arena_alloc(other, 40, NULL);
	if (arena_used(fd) & 16)
		close(other);
}

/* Makes step @nr: the number selects a call and one of the two arenas. */
static void step(unsigned int nr, int own, int shared)
{
	int fd = nr & 1 ? own : shared;

	switch (nr / 2 % 8) {
	case 0:
		arena_alloc(fd, 100 + nr, NULL);
		break;
	case 1:
		batch_some(fd);
		break;
	case 2:
		lease_some(fd);
		break;
	case 3:
		map_some(fd);
		break;
	case 4:
		mark_some(fd);
		break;
	case 5:
		dup_some(fd);
		break;
	case 6:
		arena_commit(fd, nr % 5 * 8 * SLAB, 0, 0);
		arena_alloc(fd, 3 * SLAB, NULL);
		break;
	default:
		arena_reset(fd, nr / 16 % 4, 0);
	}
}

static void run_until_killed(unsigned int *steps, int shared, __u32 flags)
{
	int own = open_arena(flags);
	unsigned int nr;

	for (nr = 0; ; nr++) {
		__atomic_store_n(steps, nr + 1, __ATOMIC_RELEASE);
		step(nr, own, shared);
		/* After each 1000 steps, replace the child's own arena by a new arena. */
		if (nr % 1000 == 999) {
			close(own);
			own = open_arena(flags);
		}
	}
}

FIXTURE(kill)
{
	int shared;
	unsigned int *steps;
	long long held;
	int arenas;
	struct arena_info_args info;
};

FIXTURE_VARIANT(kill)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(kill, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(kill, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(kill)
{
	arena_held_falls_to(0);
	self->held = arena_held_bytes();
	self->arenas = arena_count();
	if (self->arenas < 0)
		SKIP(return, "no debugfs to look at");
	self->steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->steps);
	self->shared = open_arena(variant->flags);
	ASSERT_LE(0, self->shared);
}

FIXTURE_TEARDOWN(kill)
{
}

/* clauses 17, 22, 24: a process that is killed after its nth step leaves nothing behind */
TEST_F_TIMEOUT(kill, kill_after_nth_step_leaves_nothing, 200)
{
	unsigned int nr;
	pid_t pid;

	for (nr = 1; more_rounds(nr - 1, 150); nr++) {
		__atomic_store_n(self->steps, 0, __ATOMIC_RELEASE);
		pid = fork();
		if (!pid)
			run_until_killed(self->steps, self->shared, variant->flags);
		while (__atomic_load_n(self->steps, __ATOMIC_ACQUIRE) < nr)
			sched_yield();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-1 - SIGKILL, wait_for(pid));
		/* The child's own arena is gone, and the shared arena is consistent. */
		ASSERT_GE(self->arenas + 1, arena_count());
		ASSERT_EQ(0, arena_info(self->shared, &self->info));
		EXPECT_EQ(self->info.capacity,
			  self->info.used + self->info.padding + self->info.free);
		ASSERT_EQ(0, arena_reset(self->shared, nr % 4, 0));
		ASSERT_EQ(0, arena_alloc(self->shared, 100, NULL));
	}
	close(self->shared);
	EXPECT_GE(self->arenas, arena_count());
	EXPECT_TRUE(arena_held_falls_to(self->held));
}

/*
 * Returns how many bytes the calls of the following tests allocate, zero or free: so many that the
 * tests can kill the process during the call. To learn that the call has begun, a test reads how
 * much memory all arenas hold, or the fdinfo of the descriptor; neither read waits for the call.
 */
static long long_bytes(void)
{
	/*
	 * The module refuses memory above 3/32 of the machine's memory for all programs together,
	 * so take less.
	 */
	return sysconf(_SC_PHYS_PAGES) / 16 * sysconf(_SC_PAGESIZE) / SLAB * SLAB;
}

/* Returns the number behind @name in the fdinfo of @fd, or -1 if @name is not there. */
static long long told_of(int fd, const char *name)
{
	char path[64], word[64];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fscanf(file, "%63s", word) == 1)
		if (!strcmp(word, name) && fscanf(file, "%lld", &value) == 1)
			break;
	fclose(file);
	return value;
}

static int run_alloc(int fd)
{
	return arena_alloc(fd, long_bytes(), NULL);
}

static int run_lease(int fd)
{
	struct arena_lease_args lease;

	return arena_lease(fd, long_bytes(), long_bytes(), 0, &lease);
}

static int run_batch(int fd)
{
	struct arena_batch_item item[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(item); i++)
		item[i] = (struct arena_batch_item) { .bytes = long_bytes() / ARRAY_SIZE(item) };
	return arena_batch(fd, item, ARRAY_SIZE(item), 0, NULL);
}

static int run_zeroed(int fd)
{
	return arena_alloc_flags(fd, long_bytes(), 0, ARENA_ALLOC_ZERO, NULL);
}

static int run_wipe(int fd)
{
	return arena_reset(fd, ARENA_RESET_ZERO, 0);
}

static int run_release(int fd)
{
	return arena_reset(fd, ARENA_RESET_RELEASE, 0);
}

static bool fills(int fd)
{
	return arena_held_bytes() > (long long)SLAB * 32;
}

static bool is_used(int fd)
{
	return told_of(fd, "arena-used:") > 0;
}

static bool is_empty(int fd)
{
	return !told_of(fd, "arena-used:");
}

static bool nothing_committed(int fd, const char *map)
{
	return !told_of(fd, "arena-committed:");
}

static bool some_committed(int fd, const char *map)
{
	return !nothing_committed(fd, map);
}

static bool end_not_wiped(int fd, const char *map)
{
	return map[long_bytes() - 1] == 'x';
}

FIXTURE(long_call)
{
	int fd;
	char *map;
	struct arena_info_args info;
};

FIXTURE_VARIANT(long_call)
{
	int	(*run)(int fd);
	bool	(*under_way)(int fd);
	/* Returns whether the call ended before its work was complete. */
	bool	(*cut_short)(int fd, const char *map);
	/* Whether the call is a reset, before which the test allocates an object. */
	bool	allocated;
	/* Whether the test commits the memory before the call. */
	bool	committed;
};

FIXTURE_VARIANT_ADD(long_call, alloc)
{
	run_alloc, fills, nothing_committed, false, false,
};

FIXTURE_VARIANT_ADD(long_call, lease)
{
	run_lease, fills, nothing_committed, false, false,
};

FIXTURE_VARIANT_ADD(long_call, batch)
{
	run_batch, fills, nothing_committed, false, false,
};

FIXTURE_VARIANT_ADD(long_call, alloc_zeroed)
{
	run_zeroed, is_used, end_not_wiped, false, true,
};

FIXTURE_VARIANT_ADD(long_call, reset_zero)
{
	run_wipe, is_empty, end_not_wiped, true, true,
};

FIXTURE_VARIANT_ADD(long_call, reset_release)
{
	run_release, is_empty, some_committed, true, true,
};

FIXTURE_SETUP(long_call)
{
	if (arena_held_bytes() < 0)
		SKIP(return, "no debugfs to look at");
	if (!arena_held_falls_to(0))
		SKIP(return, "other arenas are in use");
}

FIXTURE_TEARDOWN(long_call)
{
}

/* Returns whether a child ended, without reaping it. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* Returns an epoll descriptor that becomes ready when a reset wakes the waiters on @fd. */
static int watch_resets(int fd)
{
	struct arena_watch_args args = { .size = sizeof(args), .mark = ~0ULL };
	struct epoll_event event = { .events = EPOLLPRI };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	return arena_ioctl(fd, ARENA_IOC_WATCH, &args) ||
	       epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -1 : epoll;
}

/* Kills a process during the call; returns whether the call ended before its work was complete. */
static bool kill_under_way(struct __test_metadata *_metadata, struct _test_data_long_call *self,
			   const struct _fixture_variant_long_call *variant)
{
	struct epoll_event event;
	bool cut_short;
	int epoll;
	pid_t pid;

	self->fd = arena_create_mapped(long_bytes(), sysconf(_SC_PAGESIZE), 0, &self->map);
	ASSERT_LE(0, self->fd);
	if (variant->committed) {
		ASSERT_EQ(0, arena_alloc(self->fd, long_bytes(), NULL));
		memset(self->map, 'x', long_bytes());
	}
	if (variant->committed && !variant->allocated)
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	epoll = watch_resets(self->fd);
	ASSERT_LE(0, epoll);
	pid = fork();
	if (!pid)
		_exit(variant->run(self->fd) ? 1 : 0);
	while (!variant->under_way(self->fd) && !has_ended(pid))
		;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cut_short = variant->cut_short(self->fd, self->map);
	/*
	 * A reset whose process is killed still empties the arena and wakes programs that wait for
	 * resets.
	 */
	EXPECT_EQ(variant->allocated, epoll_wait(epoll, &event, 1, 0));
	close(epoll);
	/* A killed allocation has either made its object or committed no memory. */
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.capacity, self->info.used + self->info.padding + self->info.free);
	if (!variant->committed)
		EXPECT_EQ(self->info.used, self->info.committed);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	munmap(self->map, long_bytes());
	close(self->fd);
	return cut_short;
}

/* clause 21: a long call ends early when its process is killed */
TEST_F_TIMEOUT(long_call, kill_during_long_call_ends_it, 600)
{
	int round;

	for (round = 0; round < 100; round++)
		if (kill_under_way(_metadata, self, variant))
			break;
	TH_LOG("cut short in round %d", round);
	EXPECT_GT(100, round);
	EXPECT_TRUE(arena_held_falls_to(0));
}

TEST_HARNESS_MAIN
