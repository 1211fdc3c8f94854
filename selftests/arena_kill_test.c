// SPDX-License-Identifier: GPL-2.0
/*
 * kill -9 at any moment (clauses 17, 22, 24): a program does everything at once to
 * an arena of its own and to one that it shares, and is killed after so many steps.
 * Nothing of its own is left, and the shared one works on.
 */
#include "kselftest_harness.h"
#include <sched.h>
#include "arena_calls.h"

#define CAPACITY	(32 * SLAB)
#define DEBUGFS		"/sys/kernel/debug/arena/"

/* What all arenas hold, but for slabs that lie in the pool. */
static long long held(void)
{
	return read_number(DEBUGFS "total_bytes") - read_number(DEBUGFS "pool_bytes");
}

/* How many arenas there are: lines of the table, less its head. */
static int arenas(void)
{
	FILE *file = fopen(DEBUGFS "arenas", "re");
	int lines = -1, c;

	if (!file)
		return -1;
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

/* Page sized slabs: what else there is to find is found by arena_fault_test. */
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
	__u64 outer, inner;

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
	/* Every other time they are left for the end to unmap. */
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

/* One step of many kinds, to either arena. */
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
		/* As many descriptors as there may be. */
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
	self->held = held();
	self->arenas = arenas();
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

TEST_F_TIMEOUT(kill, after_so_many_steps, 200)
{
	unsigned int nr;
	__u64 mark;
	pid_t pid;

	for (nr = 1; nr <= 150; nr++) {
		__atomic_store_n(self->steps, 0, __ATOMIC_RELEASE);
		pid = fork();
		if (!pid)
			run_until_killed(self->steps, self->shared, variant->flags);
		while (__atomic_load_n(self->steps, __ATOMIC_ACQUIRE) < nr)
			sched_yield();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-1 - SIGKILL, wait_for(pid));
		/* Its own arena is gone, and the shared one is in order. */
		ASSERT_EQ(self->arenas + 1, arenas());
		ASSERT_EQ(0, arena_info(self->shared, &self->info));
		EXPECT_EQ(self->info.capacity,
			  self->info.used + self->info.padding + self->info.free);
		/* Before a reset, after which anybody may mark: those of the dead are over. */
		if (!(variant->flags & ARENA_SETUP_SPANS)) {
			ASSERT_EQ(0, arena_mark(self->shared, &mark));
			ASSERT_EQ(0, arena_unmark(self->shared, mark));
		}
		ASSERT_EQ(0, arena_reset(self->shared, nr % 4, 0));
		ASSERT_EQ(0, arena_alloc(self->shared, 100, NULL));
	}
	close(self->shared);
	EXPECT_EQ(self->arenas, arenas());
	EXPECT_EQ(self->held, held());
}

TEST_HARNESS_MAIN
