// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_IOC_COMMIT, which commits memory before an allocation needs it (clauses 4, 6, 17, 19
 * and 21).
 */
#include "kselftest_harness.h"
#include <sys/syscall.h>
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)
#define PARAMETERS	"/sys/module/arena/parameters/"

FIXTURE(commit)
{
	int fd;
	char *map;
	struct arena_info_args info;
};

FIXTURE_VARIANT(commit)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(commit, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(commit, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(commit)
{
	self->fd = arena_create_mapped(CAPACITY, SLAB, variant->flags, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(commit)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

#define committed()	(arena_info(self->fd, &self->info) ? ~0ULL : self->info.committed)

/* clause 21: COMMIT commits whole slabs, each once; allocations in them take no further memory */
TEST_F(commit, commit_then_alloc_takes_no_pages)
{
	ASSERT_EQ(0, arena_commit(self->fd, 3 * SLAB + 1, 0, 0));
	EXPECT_EQ(4 * SLAB, committed());
	EXPECT_EQ(4, self->info.page_allocs);
	EXPECT_EQ(0, self->info.used);
	EXPECT_EQ(0, self->info.high);
	EXPECT_EQ(0, self->info.allocs);
	EXPECT_EQ(0, arena_commit(self->fd, 4 * SLAB, 0, 0));
	EXPECT_EQ(0, arena_commit(self->fd, SLAB, 0, 0));
	EXPECT_EQ(0, arena_commit(self->fd, 0, 0, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	ASSERT_EQ(0, arena_alloc(self->fd, 3 * SLAB, NULL));
	EXPECT_EQ(4 * SLAB, committed());
	EXPECT_EQ(4, self->info.page_allocs);
	EXPECT_EQ(0, arena_commit(self->fd, CAPACITY, 0, 0));
	EXPECT_EQ(CAPACITY, committed());
}

/* clauses 6, 19: committed memory is mapped and zero; touching other memory raises SIGBUS */
TEST_F(commit, commit_mapped_memory_zero)
{
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	ASSERT_EQ(0, arena_commit(self->fd, 2 * SLAB, 0, 0));
	EXPECT_TRUE(all_bytes(self->map, 0, 2 * SLAB));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 2 * SLAB));
}

/* clauses 9, 20: resets treat slabs that COMMIT has committed like all other slabs */
TEST_F(commit, reset_keeps_or_releases_committed)
{
	ASSERT_EQ(0, arena_commit(self->fd, 8 * SLAB, 0, 0));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(8 * SLAB, committed());
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 2 * SLAB));
	EXPECT_EQ(2 * SLAB, committed());
	EXPECT_EQ(0, touch_read(self->map + SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 2 * SLAB));
}

/* clauses 4, 21: a COMMIT that fails frees the slabs that it has committed itself, and no others */
TEST_F(commit, commit_over_limit_gives_back_own)
{
	long long held;
	int big;

	if (!write_string(PARAMETERS "max_total_mb", "2"))
		SKIP(return, "the module's parameters cannot be set here");
	big = arena_create(8 << 20, SLAB, variant->flags);
	ASSERT_LE(0, big);
	ASSERT_EQ(0, arena_commit(big, 3 * SLAB, 0, 0));
	/*
	 * A COMMIT that fails may leave the directory larger, until the arena is destroyed. Let the
	 * first COMMIT grow the directory, so that the second COMMIT must not raise
	 * arena_held_bytes().
	 */
	EXPECT_EQ(-ENOMEM, arena_commit(big, 8 << 20, 0, 0));
	held = arena_held_bytes();
	EXPECT_EQ(-ENOMEM, arena_commit(big, 8 << 20, 0, 0));
	ASSERT_EQ(0, arena_info(big, &self->info));
	EXPECT_EQ(3 * SLAB, self->info.committed);
	EXPECT_GE(held, arena_held_bytes());
	EXPECT_EQ(0, arena_commit(big, 4 * SLAB, 0, 0));
	EXPECT_TRUE(write_string(PARAMETERS "max_total_mb", "0"));
	EXPECT_EQ(0, arena_commit(big, 8 << 20, 0, 0));
	close(big);
}

/*
 * Returns how many pages of @map, all of which are mapped, lie on @node. Asks the kernel for one
 * page at a time: kernels mix up the pages if a program of 32 bits asks for more than 16.
 */
static unsigned int pages_on(char *map, size_t bytes, int node)
{
	unsigned int on = 0;
	size_t at;

	for (at = 0; at < bytes; at += page_size()) {
		void *page = map + at;
		int status = -1;

		if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0))
			return 0;
		on += status == node;
	}
	return on;
}

/* clause 21: COMMIT takes memory from the node that its caller names, and the memory is zero */
TEST_F(commit, commit_on_node_is_there)
{
	unsigned int node;

	if (access("/sys/devices/system/node/node1/meminfo", F_OK))
		SKIP(return, "one node");
	for (node = 0; node < 2; node++) {
		ASSERT_EQ(0, arena_commit(self->fd, 4 * SLAB, ARENA_COMMIT_NODE, node));
		EXPECT_TRUE(all_bytes(self->map, 0, 4 * SLAB));
		EXPECT_EQ(4 * SLAB / page_size(), pages_on(self->map, 4 * SLAB, node));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	}
}

/* clause 5: COMMIT refuses a node that is not online, and commits nothing */
TEST_F(commit, commit_on_offline_node_einval)
{
	unsigned int node;
	char path[64];

	for (node = 2; node < 100; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
		if (access(path, F_OK))
			EXPECT_EQ(-EINVAL, arena_commit(self->fd, SLAB, ARENA_COMMIT_NODE, node));
	}
	EXPECT_EQ(0, committed());
}

/* clause 17: COMMIT needs the right to allocate, and no other */
TEST_F(commit, commit_needs_alloc_right)
{
	int other = arena_dup(self->fd, ARENA_RIGHTS_ALL & ~ARENA_RIGHT_ALLOC);
	int allocator = arena_dup(self->fd, ARENA_RIGHT_ALLOC);

	ASSERT_LE(0, other);
	ASSERT_LE(0, allocator);
	EXPECT_EQ(-EACCES, arena_commit(other, SLAB, 0, 0));
	EXPECT_EQ(0, committed());
	EXPECT_EQ(0, arena_commit(allocator, SLAB, 0, 0));
	EXPECT_EQ(SLAB, committed());
	close(other);
	close(allocator);
}

/*
 * clauses 21, 24: if a task is killed during COMMIT, the call ends early and gives back the slabs
 * that it has committed. The delay before the kill differs between rounds, so that most kills
 * arrive during the call.
 */
TEST_F_TIMEOUT(commit, commit_killed_gives_back, 300)
{
	const __u64 bytes = 64 << 20;
	unsigned int round, cut = 0;
	int fd = arena_create(bytes, page_size(), variant->flags);

	ASSERT_LE(0, fd);
	for (round = 0; more_rounds(round, 40); round++) {
		int begun[2];
		pid_t pid;
		char c;

		ASSERT_EQ(0, pipe(begun));
		pid = fork();
		if (!pid)
			_exit(write(begun[1], "", 1) != 1 || arena_commit(fd, bytes, 0, 0));
		ASSERT_EQ(1, read(begun[0], &c, 1));
		usleep(500 * (round % 10));
		kill(pid, SIGKILL);
		cut += wait_for(pid) == -1 - SIGKILL;
		ASSERT_EQ(0, arena_info(fd, &self->info));
		EXPECT_TRUE(!self->info.committed || self->info.committed == bytes);
		ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_RELEASE, 0));
		close(begun[0]);
		close(begun[1]);
	}
	TH_LOG("%u of %u calls were killed", cut, round);
	EXPECT_EQ(0, arena_commit(fd, bytes, 0, 0));
	close(fd);
}

TEST_HARNESS_MAIN
