// SPDX-License-Identifier: GPL-2.0
/*
 * Tests libarena in several processes: in children of fork(), and in programs that received a
 * descriptor (clauses 1 and 17). This file is also built as a 32-bit program.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Makes the fixture of arena_lib.h open an arena whose mappings survive a fork on any kernel. */
#define LIB_FORKS
#include "arena_lib.h"
#include "arena_pass.h"

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1 - WTERMSIG(status);
}

/* Clause 1: a child of fork() does not allocate in the lease that its parent has. */
TEST_F_TIMEOUT(lib, fork_child_new_lease, PATIENCE)
{
	struct arena_cursor *cursor = arena_cursor(self->arena);
	static struct place all[2 * OBJECTS];
	struct place *shared;
	pid_t pid;

	shared = mmap(NULL, sizeof(all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(NULL, cursor);
	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	pid = fork();
	ASSERT_LE(0, pid);
	for (int i = !pid; i < 2 * OBJECTS; i += 2) {
		struct stamp *stamp = i % 4 < 2 ? arena_alloc(self->arena, CELL) :
						  arena_cursor_alloc(cursor, CELL);

		if (!stamp && !pid)
			_exit(1);
		ASSERT_NE(NULL, stamp);
		*stamp = (struct stamp){ .maker = i % 2, .number = i };
		shared[i].bytes = CELL;
		shared[i].offset = arena_off(self->arena, stamp);
	}
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, wait_for(pid));
	for (int i = 0; i < 2 * OBJECTS; i++)
		ASSERT_TRUE(is_stamped(self->arena, shared[i].offset, i % 2, i));
	memcpy(all, shared, sizeof(all));
	EXPECT_EQ(0, overlaps(all, 2 * OBJECTS));
	munmap(shared, sizeof(all));
}

/*
 * Clause 1: a child does not allocate in its parent's lease even if the parent made it by the
 * system call clone(), which runs no pthread_atfork() handler.
 */
TEST_F_TIMEOUT(lib, clone_child_new_lease, PATIENCE)
{
	__u64 offset = arena_off(self->arena, arena_alloc(self->arena, CELL));
	pid_t pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0UL);

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(arena_off(self->arena, arena_alloc(self->arena, CELL)) == offset + CELL);
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(offset + CELL, arena_off(self->arena, arena_alloc(self->arena, CELL)));
}

/*
 * Clause 1: a child can allocate, start threads and close the arena even if another thread of its
 * parent held libarena's lock at the time of the fork.
 */
TEST_F_TIMEOUT(lib, fork_beside_threads_child_works, PATIENCE)
{
	static struct worker workers[2], one;
	struct turns turns;
	pid_t pid;

	start(workers, 2, self->arena, &turns, alloc_until_told);
	for (int i = 0; i < 30; i++) {
		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			alarm(PATIENCE);
			stamped(self->arena, CELL, 1, 1);
			/* ThreadSanitizer refuses threads in a child of a process with threads. */
			if (!getenv("NO_THREADS_AFTER_FORK")) {
				start(&one, 1, self->arena, NULL, work);
				finish(&one, 1);
			}
			arena_offset(self->arena);
			arena_close(self->arena);
			_exit(0);
		}
		EXPECT_EQ(0, wait_for(pid));
	}
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&workers[i].turns, NULL, __ATOMIC_RELAXED);
	finish(workers, 2);
}

/*
 * Receives a descriptor from @sock and allocates objects in its arena. Sends back the offset of
 * each object.
 */
static int attach_and_fill(int sock, __u64 maker)
{
	int fd = receive_fd(sock);
	struct arena *arena = arena_attach(fd);
	__u64 offset;

	close(fd);
	if (!arena)
		return 1;
	for (int i = 0; i < OBJECTS; i++) {
		void *object = stamped(arena, CELL + i % 5 * 8, maker, i);

		offset = object ? arena_off(arena, object) : -1ULL;
		if (write(sock, &offset, sizeof(offset)) != sizeof(offset))
			return 2;
	}
	arena_close(arena);
	return 0;
}

FIXTURE(processes)
{
	struct arena *arena;
};

FIXTURE_VARIANT(processes)
{
	int nr;
};

FIXTURE_VARIANT_ADD(processes, two)
{
	.nr = 2,
};

FIXTURE_VARIANT_ADD(processes, four)
{
	.nr = 4,
};

FIXTURE_SETUP(processes)
{
	self->arena = NULL;
}

FIXTURE_TEARDOWN(processes)
{
	arena_close(self->arena);
}

/* Clauses 1, 17: processes that share only a descriptor allocate from one arena. */
TEST_F_TIMEOUT(processes, alloc_by_processes_disjoint, PATIENCE)
{
	static struct place all[4 * OBJECTS];
	int ends[4][2], fd;
	pid_t pids[4];

	for (int i = 0; i < variant->nr; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]));
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			_exit(attach_and_fill(ends[i][1], i));
	}
	self->arena = arena_open("processes", 8 * MB, 0);
	if (!self->arena && errno == ENOENT)
		SKIP(goto out, "no /dev/arena");
	ASSERT_NE(NULL, self->arena);
	fd = arena_share(self->arena, ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | ARENA_RIGHT_ALLOC);
	ASSERT_LE(0, fd);
	for (int i = 0; i < variant->nr; i++)
		ASSERT_EQ(0, send_fd(ends[i][0], fd));
	for (int nr = 0; nr < OBJECTS; nr++)
		for (int i = 0; i < variant->nr; i++) {
			struct place *place = &all[i * OBJECTS + nr];

			ASSERT_EQ(8, recv(ends[i][0], &place->offset, 8, MSG_WAITALL));
			place->bytes = CELL + nr % 5 * 8;
			ASSERT_TRUE(is_stamped(self->arena, place->offset, i, nr));
		}
	EXPECT_EQ(0, overlaps(all, variant->nr * OBJECTS));
	for (int i = 0; i < variant->nr; i++)
		EXPECT_EQ(0, wait_for(pids[i]));
	return;
out:
	for (int i = 0; i < variant->nr; i++) {
		kill(pids[i], SIGKILL);
		wait_for(pids[i]);
	}
}

#ifndef FAKE

/*
 * The body of the executed program, which attaches to the arena by the descriptor @number that it
 * inherited.
 */
static int executed(const char *number)
{
	struct arena *arena = arena_attach(atoi(number));

	if (!arena || strcmp(arena_ptr(arena, 0), "before"))
		return 1;
	return arena_strdup(arena, "after") ? 0 : 2;
}

/* Clause 17: a program that is executed can attach to an arena by an inherited descriptor. */
TEST_F_TIMEOUT(lib, exec_with_descriptor_attaches, PATIENCE)
{
	int fd = arena_share(self->arena, ARENA_RIGHTS_ALL);
	char number[16];
	bool found = false;
	pid_t pid;

	ASSERT_STREQ("before", arena_strdup(self->arena, "before"));
	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid) {
		fcntl(fd, F_SETFD, 0);
		snprintf(number, sizeof(number), "%d", fd);
		setenv("ARENA_LIB_TEST_FD", number, 1);
		execl("/proc/self/exe", "arena_lib_fork_test", (char *)NULL);
		_exit(3);
	}
	EXPECT_EQ(0, wait_for(pid));
	for (__u64 at = 0; at < arena_high(self->arena); at += 8)
		found |= !strcmp(arena_ptr(self->arena, at), "after");
	EXPECT_TRUE(found);
	close(fd);
}

static void __attribute__((constructor)) before_main(void)
{
	const char *number = getenv("ARENA_LIB_TEST_FD");

	if (number)
		_exit(executed(number));
}

#endif /* !FAKE */

TEST_HARNESS_MAIN
