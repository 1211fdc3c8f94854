// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_RESET_STRICT, which makes an arena strict: after that reset, touching a page behind
 * the last object of the current generation raises SIGBUS (clauses 9, 10, 12, 17, 18 and 20).
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/prctl.h>
#include "arena_calls.h"

#define CAPACITY	(8 * SLAB)

FIXTURE(strict)
{
	int fd;
	long page;
	char *map;
	__u64 offset;
	struct arena_info_args info;
};

FIXTURE_SETUP(strict)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(strict)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clause 20: in a strict arena, committed pages without an object cannot be touched */
TEST_F(strict, touch_in_strict_arena_allocated_only)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	EXPECT_EQ(0, touch_write(self->map + SLAB - 1));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	EXPECT_EQ(SIGBUS, touch_write(self->map));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);

	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(0, touch_write(self->map + self->page - 1));
	EXPECT_EQ(SIGBUS, touch_read(self->map + self->page));
	EXPECT_EQ(SIGBUS, touch_write(self->map + SLAB - 1));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(SLAB, self->info.committed);
}

/* clause 20: each allocation makes only those pages accessible in which the object lies */
TEST_F(strict, alloc_in_strict_arena_page_by_page)
{
	__u64 high = 0;

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	while (high + 1000 <= 3 * SLAB) {
		__u64 end;

		ASSERT_EQ(0, arena_alloc(self->fd, 1000, &self->offset));
		high = self->offset + 1000;
		end = (high + self->page - 1) & -self->page;
		ASSERT_EQ(0, touch_write(self->map + high - 1));
		ASSERT_EQ(0, touch_write(self->map + end - 1));
		ASSERT_EQ(SIGBUS, touch_write(self->map + end));
	}
	EXPECT_EQ(0, touch_read(self->map));
}

/* clause 20: an arena stays strict through later resets in any mode */
TEST_F(strict, reset_after_strict_stays_strict)
{
	const __u32 modes[] = { ARENA_RESET_KEEP, ARENA_RESET_ZERO, ARENA_RESET_RELEASE,
				ARENA_RESET_STRICT };
	unsigned int i;

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	for (i = 0; i < 3 * ARRAY_SIZE(modes); i++) {
		__u32 mode = modes[i % ARRAY_SIZE(modes)];

		ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
		memset(self->map, 'x', 2 * SLAB);
		ASSERT_EQ(0, arena_reset(self->fd, mode,
					 mode == ARENA_RESET_RELEASE ? 2 * SLAB : 0));
		EXPECT_EQ(SIGBUS, touch_write(self->map));
		EXPECT_EQ(SIGBUS, touch_write(self->map + 2 * SLAB - 1));
		ASSERT_EQ(0, arena_alloc(self->fd, 1, NULL));
		EXPECT_EQ(0, touch_write(self->map));
		EXPECT_EQ(SIGBUS, touch_write(self->map + self->page));
		if (mode == ARENA_RESET_KEEP)
			EXPECT_TRUE(all_bytes(self->map + 1, 'x', self->page - 1));
		if (mode == ARENA_RESET_ZERO || mode == ARENA_RESET_STRICT)
			EXPECT_TRUE(all_bytes(self->map, 0, self->page));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	}
}

/* clause 20: a strict reset also revokes mappings at other offsets and through other descriptors */
TEST_F(strict, touch_in_other_mappings_allocated_only)
{
	int fd = arena_dup(self->fd, ARENA_RIGHT_READ);
	char *part, *other;

	ASSERT_LE(0, fd);
	part = arena_map(self->fd, SLAB, PROT_READ | PROT_WRITE, SLAB);
	other = arena_map(fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, part);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	EXPECT_EQ(0, touch_write(part));
	EXPECT_EQ(0, touch_read(other + SLAB));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	EXPECT_EQ(SIGBUS, touch_write(part));
	EXPECT_EQ(SIGBUS, touch_read(other + SLAB));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB + 1, NULL));
	EXPECT_EQ(0, touch_write(part));
	EXPECT_EQ(0, touch_read(other + SLAB));
	EXPECT_EQ(SIGBUS, touch_write(part + self->page));
	EXPECT_EQ(SIGBUS, touch_read(other + SLAB + self->page));
	munmap(part, SLAB);
	munmap(other, CAPACITY);
	close(fd);
}

/* clause 20: a system call with a buffer in freed memory of the arena fails with EFAULT */
TEST_F(strict, write_from_freed_memory_efault)
{
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(8, write(pipes[1], self->map, 8));
	EXPECT_EQ(-1, write(pipes[1], self->map + self->page, 8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, read(pipes[0], self->map + self->page, 8));
	EXPECT_EQ(EFAULT, errno);
	/* An ioctl of the arena fails like other system calls. */
	EXPECT_EQ(-EFAULT, arena_store(self->fd, self->map + self->page, 8, NULL));
	close(pipes[0]);
	close(pipes[1]);
}

/*
 * clauses 12, 20: in a strict arena, memory that a rewind frees cannot be touched, and memory below
 * the mark can; ARENA_ALLOC_ZERO zeroes the freed memory
 */
TEST_F(strict, rewind_in_strict_arena_revokes)
{
	struct arena_mark_args outer, inner;

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &outer));
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &inner));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'x', 4 * SLAB);

	ASSERT_EQ(0, arena_rewind(self->fd, inner));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 3 * SLAB));
	EXPECT_EQ(SIGBUS, touch_write(self->map + 4 * SLAB - 1));
	EXPECT_TRUE(all_bytes(self->map, 'x', 3 * SLAB));
	ASSERT_EQ(0, arena_rewind(self->fd, outer));
	EXPECT_EQ(SIGBUS, touch_write(self->map + self->page));
	EXPECT_EQ(SIGBUS, touch_read(self->map + SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 3 * SLAB - 1));
	EXPECT_TRUE(all_bytes(self->map, 'x', self->page));

	ASSERT_EQ(0, arena_alloc(self->fd, self->page, NULL));
	EXPECT_EQ(0, touch_write(self->map + 2 * self->page - 1));
	EXPECT_EQ(SIGBUS, touch_write(self->map + 2 * self->page));
	ASSERT_EQ(0, arena_alloc_flags(self->fd, SLAB, 0, ARENA_ALLOC_ZERO, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 0, SLAB));
	EXPECT_EQ(SIGBUS, touch_write(self->map + 2 * SLAB));
	ASSERT_EQ(0, arena_rewind(self->fd, outer));
	EXPECT_EQ(SIGBUS, touch_read(self->map + self->page));
}

/* clauses 4, 12: a rewind that fails revokes no page */
TEST_F(strict, rewind_refused_revokes_nothing)
{
	struct arena_mark_args mark;

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_mark(self->fd, &mark));
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	memset(self->map, 'x', 2 * SLAB);
	mark.used = 1;
	EXPECT_EQ(-EINVAL, arena_rewind(self->fd, mark));
	mark.used = 0;
	EXPECT_TRUE(all_bytes(self->map, 'x', 2 * SLAB));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	EXPECT_EQ(-ESTALE, arena_rewind(self->fd, mark));
	EXPECT_TRUE(all_bytes(self->map, 'x', 2 * SLAB));
}

/*
 * A child touches two pages of a strict arena. Each test then resets or rewinds the arena so that
 * only the first page has an object; afterwards the child must be able to touch the first page and
 * not the second.
 */
FIXTURE(late)
{
	int fd;
	long page;
	char *map;
	int to_child[2];
	int to_parent[2];
	struct arena_mark_args mark;
	pid_t pid;
};

FIXTURE_SETUP(late)
{
	char c = 0;

	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	/* On UML, unless it is patched, a fork breaks mappings of slabs larger than a page. */
	ASSERT_EQ(0, arena_setup(self->fd, CAPACITY, self->page, 0));
	self->map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, self->map);
	ASSERT_EQ(0, pipe(self->to_child));
	ASSERT_EQ(0, pipe(self->to_parent));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * self->page - 8, NULL));
	self->pid = fork();
	if (!self->pid) {
		if (touch_write(self->map) || touch_write(self->map + self->page))
			_exit(1);
		if (write(self->to_parent[1], &c, 1) != 1 ||
		    read(self->to_child[0], &c, 1) != 1)
			_exit(2);
		/*
		 * After the reset or rewind, only the first page has an object and can be touched.
		 */
		if (touch_write(self->map + self->page) != SIGBUS)
			_exit(3);
		_exit(touch_write(self->map) ? 4 : 0);
	}
	ASSERT_EQ(1, read(self->to_parent[0], &c, 1));
}

FIXTURE_TEARDOWN(late)
{
	char c = 0;

	EXPECT_EQ(1, write(self->to_child[1], &c, 1));
	EXPECT_EQ(0, wait_for(self->pid));
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clause 10: after a reset, a process cannot store to old objects behind the last new object */
TEST_F(late, store_after_reset_sigbus)
{
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
}

/* clauses 10, 12: after a rewind, a process cannot store to an object that the rewind freed */
TEST_F(late, store_after_rewind_sigbus)
{
	ASSERT_EQ(0, arena_rewind(self->fd, self->mark));
}

static void skip_bus(int sig, siginfo_t *info, void *context)
{
	/* When the handler returns, the CPU retries the store, until the store succeeds. */
}

/*
 * clauses 12, 20: a page fault that races with a reset or a rewind does not leave a freed page
 * mapped
 */
TEST_F_TIMEOUT(strict, reset_strict_races_with_faults, 120)
{
	struct sigaction action = { .sa_sigaction = skip_bus, .sa_flags = SA_SIGINFO };
	char *map, *at;
	pid_t pids[2];
	struct arena_mark_args mark;
	int i, fd;

	fd = arena_create_mapped(CAPACITY, self->page, 0, &map);
	ASSERT_LE(0, fd);
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigaction(SIGBUS, &action, NULL);
		for (;; i += 7)
			__atomic_store_n(map + i * self->page % CAPACITY, 1, __ATOMIC_RELAXED);
	}
	for (i = 0; more_rounds(i, 300); i++) {
		ASSERT_EQ(0, arena_reset(fd, i % 3 ? ARENA_RESET_KEEP : ARENA_RESET_STRICT, 0));
		ASSERT_EQ(0, arena_mark(fd, &mark));
		ASSERT_EQ(0, arena_alloc(fd, CAPACITY / 2, NULL));
		at = map + (i * self->page & (CAPACITY / 2 - 1));
		ASSERT_EQ(0, touch_write(at));
		ASSERT_EQ(0, arena_rewind(fd, mark));
		ASSERT_EQ(SIGBUS, touch_read(at));
		ASSERT_EQ(0, arena_alloc(fd, CAPACITY / 2, NULL));
	}
	ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_KEEP, 0));
	for (i = 0; i < CAPACITY; i += self->page)
		ASSERT_EQ(SIGBUS, touch_read(map + i));
	for (i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	}
	munmap(map, CAPACITY);
	close(fd);
}

/* clauses 17, 18: a strict reset checks its arguments and needs the right to reset */
TEST_F(strict, reset_strict_bad_argument_refused)
{
	int fd = arena_dup(self->fd, ARENA_RIGHTS_ALL & ~ARENA_RIGHT_RESET);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_STRICT, SLAB));
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_STRICT + 1, 0));
	EXPECT_EQ(-EACCES, arena_reset(fd, ARENA_RESET_STRICT, 0));
	/* The failed calls have not made the arena strict. */
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, touch_write(self->map + self->page));
	close(fd);
}

TEST_HARNESS_MAIN
