// SPDX-License-Identifier: GPL-2.0
/*
 * Tests mappings of /dev/arena: which mappings the device permits, what a mapping shows, and what a
 * mapping shows after resets (clauses 6, 9, 17, 19 and 20).
 */
#include "kselftest_harness.h"
#include <sys/uio.h>
#include "arena_test.h"

#define CAPACITY	(16 * SLAB)

FIXTURE(mapping)
{
	int fd;
	long page;
	char *map;
	__u64 offset;
	struct arena_info_args info;
};

FIXTURE_SETUP(mapping)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(mapping)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clause 19: a mapping shows the bytes that STORE copies, even in a page that was touched before */
TEST_F(mapping, map_after_store_shows_bytes)
{
	__u64 a, b;

	ASSERT_EQ(0, arena_store(self->fd, "hello", 6, &a));
	EXPECT_STREQ("hello", self->map + a);
	ASSERT_EQ(0, arena_store(self->fd, "world", 6, &b));
	EXPECT_STREQ("world", self->map + b);
	EXPECT_STREQ("hello", self->map + a);
}

/* clause 19: the file offset of a mapping is the arena offset */
TEST_F(mapping, map_at_offset_shows_same_bytes)
{
	__u64 at = 3 * SLAB + 2 * self->page;
	char *part;

	ASSERT_EQ(0, arena_alloc(self->fd, 5 * SLAB, &self->offset));
	ASSERT_EQ(0, self->offset);
	put_string(self->map + at, "here");
	part = arena_map(self->fd, self->page, PROT_READ | PROT_WRITE, at);
	ASSERT_NE(NULL, part);
	EXPECT_STREQ("here", part);
	put_string(part, "there");
	EXPECT_STREQ("there", self->map + at);
	munmap(part, self->page);
}

/* clause 19: touching an arena without slabs raises SIGBUS and commits nothing */
TEST_F(mapping, touch_empty_arena_sigbus)
{
	size_t at;

	for (at = 0; at < CAPACITY; at += SLAB / 2) {
		EXPECT_EQ(SIGBUS, touch_read(self->map + at));
		EXPECT_EQ(SIGBUS, touch_write(self->map + at));
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);
}

/* clause 19: committed slabs can be touched; touching pages behind them raises SIGBUS */
TEST_F(mapping, touch_beyond_committed_sigbus)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB + 1, NULL));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(0, touch_write(self->map + 2 * SLAB - 1));
	EXPECT_EQ(SIGBUS, touch_write(self->map + 2 * SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + CAPACITY - 1));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB + 1, NULL));
	EXPECT_EQ(0, touch_write(self->map + 4 * SLAB - 1));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 4 * SLAB));
}

/* clause 19: a system call that reads uncommitted pages returns EFAULT */
TEST_F(mapping, write_from_uncommitted_efault)
{
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-1, write(pipes[1], self->map, 1));
	EXPECT_EQ(EFAULT, errno);
	close(pipes[0]);
	close(pipes[1]);
}

/* clause 19: a mapping may not exceed the capacity */
TEST_F(mapping, map_past_capacity_enxio)
{
	EXPECT_EQ(NULL, arena_map(self->fd, CAPACITY + 1, PROT_READ, 0));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, self->page, PROT_READ, CAPACITY));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, 2 * self->page, PROT_READ, CAPACITY - self->page));
	EXPECT_EQ(ENXIO, errno);
}

/* clause 19: mmap() fails if the sum of offset and length wraps */
TEST_F(mapping, map_wrapping_offset_refused)
{
	/* How many pages 64 bits of offset can address: 1 << 52 pages of 4 KiB. */
	const __u64 all = -1ULL / self->page + 1;
	const __u64 pages[] = { all / 2, all - 1, all - 2, 1ULL << 40 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		EXPECT_EQ(NULL, arena_map(self->fd, 2 * self->page, PROT_READ,
					  pages[i] * self->page));
		EXPECT_TRUE(errno == ENXIO || errno == EOVERFLOW || errno == EINVAL);
	}
}

/* clause 19: if the capacity ends inside a page, all of that page can be mapped */
TEST(map_tiny_capacity_last_page_ok)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = arena_create(100, 0, 0);
	char *map;

	ASSERT_LE(0, fd);
	EXPECT_EQ(NULL, arena_map(fd, 2 * page, PROT_READ, 0));
	EXPECT_EQ(NULL, arena_map(fd, page, PROT_READ, page));
	map = arena_map(fd, page, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	EXPECT_EQ(SIGBUS, touch_read(map));
	ASSERT_EQ(0, arena_alloc(fd, 100, NULL));
	EXPECT_EQ(-ENOSPC, arena_alloc(fd, 1, NULL));
	EXPECT_EQ(0, touch_write(map + 99));
	EXPECT_TRUE(all_bytes(map, 0, page));
	munmap(map, page);
	close(fd);
}

/* clause 19: mmap() refuses private mappings */
TEST_F(mapping, map_private_einval)
{
	int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, prots[i], MAP_PRIVATE, self->fd, 0));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* clause 19: mmap() refuses executable mappings, and a mapping cannot become executable */
TEST_F(mapping, map_executable_eperm)
{
	int prots[] = { PROT_EXEC, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		EXPECT_EQ(NULL, arena_map(self->fd, self->page, prots[i], 0));
		EXPECT_EQ(EPERM, errno);
	}
	EXPECT_EQ(-1, mprotect(self->map, self->page, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
}

/* clause 19: mprotect() can take away access to a mapping and give it back */
TEST_F(mapping, mprotect_down_and_up_ok)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	ASSERT_EQ(0, touch_write(self->map));
	ASSERT_EQ(0, mprotect(self->map, CAPACITY, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_write(self->map));
	EXPECT_EQ(0, touch_read(self->map));
	ASSERT_EQ(0, mprotect(self->map, CAPACITY, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch_read(self->map));
	ASSERT_EQ(0, mprotect(self->map, CAPACITY, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(0, touch_write(self->map + self->page));
}

/* clause 19: VM_DONTEXPAND keeps a mapping from growing */
TEST_F(mapping, mremap_growing_efault)
{
	EXPECT_EQ(MAP_FAILED, mremap(self->map, CAPACITY, 2 * CAPACITY, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->map, self->page, CAPACITY + SLAB, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(self->map, 0, CAPACITY + SLAB, MREMAP_MAYMOVE));
}

/*
 * clauses 19, 20: a mapping that has moved shows the same part of the arena, and a reset revokes
 * it
 */
TEST_F(mapping, mremap_moving_same_bytes)
{
	char *there = mmap(NULL, CAPACITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, there);
	ASSERT_EQ(0, arena_alloc(self->fd, 4 * SLAB, NULL));
	put_string(self->map + 2 * SLAB, "moved");
	ASSERT_EQ(there, mremap(self->map + SLAB, 3 * SLAB, 3 * SLAB,
				MREMAP_MAYMOVE | MREMAP_FIXED, there));
	EXPECT_EQ(SIGSEGV, touch_read(self->map + 2 * SLAB));
	EXPECT_STREQ("moved", there + SLAB);
	EXPECT_EQ(0, touch_write(there + 2 * SLAB));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(SIGBUS, touch_read(there + SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	munmap(there, CAPACITY);
}

/*
 * clauses 19, 20: after munmap() of the middle of a mapping, a reset revokes the rest of the
 * mapping
 */
TEST_F(mapping, munmap_part_then_reset_revokes_rest)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 8 * SLAB, NULL));
	memset(self->map, 'x', 8 * SLAB);
	ASSERT_EQ(0, munmap(self->map + 2 * SLAB, 3 * SLAB));
	EXPECT_EQ(0, touch_write(self->map + 2 * SLAB - 1));
	EXPECT_EQ(SIGSEGV, touch_read(self->map + 2 * SLAB));
	EXPECT_EQ('x', self->map[5 * SLAB]);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 5 * SLAB));
}

/* clause 17: a mapping alone keeps the arena alive */
TEST_F(mapping, close_while_mapped_keeps_arena)
{
	ASSERT_EQ(0, arena_store(self->fd, "still", 6, &self->offset));
	close(self->fd);
	EXPECT_STREQ("still", self->map + self->offset);
	EXPECT_EQ(0, touch_write(self->map + SLAB - 1));
	self->fd = -1;
}

/* clause 19: smaps shows the documented flags of a mapping */
TEST_F(mapping, map_vma_has_documented_flags)
{
	char line[512], wanted[32];
	bool inside = false, found = false;
	FILE *smaps = fopen("/proc/self/smaps", "re");

	if (!smaps)
		SKIP(return, "no /proc/self/smaps");
	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)self->map);
	while (fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, wanted, strlen(wanted)))
			inside = true;
		if (!inside || strncmp(line, "VmFlags:", 8))
			continue;
		found = true;
		EXPECT_NE(NULL, strstr(line, " de"));	/* VM_DONTEXPAND */
		EXPECT_NE(NULL, strstr(line, " dd"));	/* VM_DONTDUMP */
		EXPECT_NE(NULL, strstr(line, " mm"));	/* VM_MIXEDMAP */
		EXPECT_EQ(NULL, strstr(line, " me"));	/* VM_MAYEXEC */
		break;
	}
	EXPECT_TRUE(found);
	fclose(smaps);
}

/* clauses 9, 20: a keep reset leaves mappings and bytes as they are */
TEST_F(mapping, reset_keep_keeps_mapping)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	memset(self->map, 'k', 2 * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_TRUE(all_bytes(self->map, 'k', 2 * SLAB));
	EXPECT_EQ(0, touch_write(self->map));
}

/* clause 20: a release reset revokes all mappings; memory allocated again is zero */
TEST_F(mapping, reset_release_revokes_mappings)
{
	char *other = arena_map(self->fd, 4 * SLAB, PROT_READ | PROT_WRITE, 0);

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	memset(self->map, 'r', 2 * SLAB);
	EXPECT_EQ('r', other[SLAB]);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	EXPECT_EQ(SIGBUS, touch_write(self->map + 2 * SLAB - 1));
	EXPECT_EQ(SIGBUS, touch_read(other));
	EXPECT_EQ(SIGBUS, touch_read(other + SLAB));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, &self->offset));
	EXPECT_EQ(0, self->offset);
	EXPECT_TRUE(all_bytes(self->map, 0, SLAB));
	EXPECT_TRUE(all_bytes(other, 0, SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + SLAB));
	munmap(other, 4 * SLAB);
}

/* clause 20: slabs that a release reset keeps stay mapped */
TEST_F(mapping, reset_release_keeping_some_revokes_rest)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 3 * SLAB, NULL));
	memset(self->map, 'r', 3 * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, SLAB));
	EXPECT_TRUE(all_bytes(self->map, 'r', SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + SLAB));
	EXPECT_EQ(SIGBUS, touch_read(self->map + 2 * SLAB));
}

/* clauses 6, 20: when a zero reset returns, mapped memory is zero */
TEST_F(mapping, reset_zero_zeroes_mapping)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
	memset(self->map, 'z', 2 * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_ZERO, 0));
	EXPECT_TRUE(all_bytes(self->map, 0, 2 * SLAB));
	EXPECT_EQ(0, touch_write(self->map));
}

/* clause 20: a reset revokes the mappings of other processes as well */
TEST_F(mapping, reset_release_by_child_revokes_parent)
{
	int to_child[2], to_parent[2];
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(to_parent));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'c', SLAB);
	pid = fork();
	if (!pid) {
		if (touch_write(self->map) || self->map[5] != 'c')
			_exit(1);
		if (write(to_parent[1], &c, 1) != 1 || read(to_child[0], &c, 1) != 1)
			_exit(2);
		_exit(touch_read(self->map) == SIGBUS ? 0 : 3);
	}
	ASSERT_EQ(1, read(to_parent[0], &c, 1));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(1, write(to_child[1], &c, 1));
	EXPECT_EQ(0, wait_for(pid));
}

/* clause 17: a parent sees the bytes that its child writes through a mapping */
TEST_F(mapping, fork_mapping_shared)
{
	pid_t pid;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	pid = fork();
	if (!pid) {
		__u64 offset;

		put_string(self->map + 100, "from the child");
		if (arena_store(self->fd, "stored", 7, &offset) || offset != SLAB)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_STREQ("from the child", self->map + 100);
	EXPECT_STREQ("stored", self->map + SLAB);
	EXPECT_EQ(SLAB + 7, arena_used(self->fd));
}

static void *toucher(void *arg)
{
	char *map = arg;
	unsigned int i;

	for (i = 0;; i++) {
		char *at = &map[i * page_size() % CAPACITY];

		__atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void ignore_bus(int sig, siginfo_t *info, void *context)
{
	/*
	 * When the handler returns, the CPU retries the access: the parent may have committed the
	 * memory by then.
	 */
}

/* clause 20: release resets race with faults, allocations and forks */
TEST_F(mapping, reset_release_races_with_faults)
{
	struct sigaction action = { .sa_sigaction = ignore_bus, .sa_flags = SA_SIGINFO };
	pid_t pids[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		sigaction(SIGBUS, &action, NULL);
		if (i == 2) {
			/* Fork while resets remove entries from the page tables of this process. */
			for (;;) {
				pid_t pid = fork();

				if (!pid)
					_exit(0);
				waitpid(pid, NULL, 0);
			}
		}
		toucher(self->map);
	}
	for (i = 0; more_rounds(i, 400); i++) {
		ASSERT_EQ(0, arena_alloc_flags(self->fd, CAPACITY, 0, 0, NULL));
		if (i % 7 == 0)
			usleep(1000);
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, i % 3 * SLAB));
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		ASSERT_EQ(i % 3 * SLAB, self->info.committed);
	}
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	for (i = 0; i < CAPACITY; i += SLAB)
		EXPECT_EQ(SIGBUS, touch_read(self->map + i));
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		kill(pids[i], SIGKILL);
		EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	}
}

/* clauses 6, 20: no byte of one arena is ever visible in another */
TEST(alloc_recycled_memory_zero)
{
	const size_t bytes = 8 << 20;
	int round, fd;
	size_t at;
	char *map;

	for (round = 0; round < 6; round++) {
		fd = arena_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, arena_setup(fd, bytes, round & 1 ? page_size() : SLAB,
					 round & 2 ? ARENA_SETUP_SPANS : 0));
		map = arena_map(fd, bytes, PROT_READ | PROT_WRITE, 0);
		ASSERT_NE(NULL, map);
		/*
		 * Allocate small objects. The first object in a slab makes the whole slab visible
		 * in mappings, so the module must zero the whole slab.
		 */
		for (at = 0; at < bytes; at += 4096)
			ASSERT_EQ(0, arena_alloc(fd, 4096, NULL));
		EXPECT_TRUE(all_bytes(map, 0, bytes));
		memset(map, 0xee, bytes);
		/* In some rounds, release half of the slabs and allocate them again. */
		if (round % 3 == 1) {
			ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_RELEASE, bytes / 2));
			ASSERT_EQ(0, arena_alloc(fd, bytes, NULL));
			EXPECT_TRUE(all_bytes(map + bytes / 2, 0, bytes / 2));
			memset(map, 0xee, bytes);
		}
		munmap(map, bytes);
		close(fd);
	}
}

/* clause 20: the module does not reuse a page to which a pipe refers */
TEST_F(mapping, reset_release_pinned_page_not_reused)
{
	struct iovec part = { .iov_base = self->map, .iov_len = self->page };
	char *copy = malloc(self->page);
	int pipes[2];

	ASSERT_NE(NULL, copy);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'p', SLAB);
	ASSERT_EQ(self->page, vmsplice(pipes[1], &part, 1, 0));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	EXPECT_TRUE(all_bytes(self->map, 0, CAPACITY));
	memset(self->map, 'q', CAPACITY);
	ASSERT_EQ(self->page, read(pipes[0], copy, self->page));
	EXPECT_TRUE(all_bytes(copy, 'p', self->page));
	close(pipes[0]);
	close(pipes[1]);
	free(copy);
}

/* clause 19: MAP_POPULATE maps committed pages and ignores others */
TEST_F(mapping, map_populate_maps_committed)
{
	char *map;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	map = mmap(NULL, CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(0, touch_write(map));
	EXPECT_EQ(SIGBUS, touch_write(map + SLAB));
	munmap(map, CAPACITY);
}

/*
 * clause 19: MADV_DONTNEED keeps the bytes, and madvise() refuses advice that would lose the bytes
 */
TEST_F(mapping, madvise_keeps_bytes)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	memset(self->map, 'm', SLAB);
	EXPECT_EQ(0, madvise(self->map, SLAB, MADV_DONTNEED));
	EXPECT_TRUE(all_bytes(self->map, 'm', SLAB));
	EXPECT_EQ(-1, madvise(self->map, SLAB, MADV_REMOVE));
	EXPECT_EQ(-1, madvise(self->map, SLAB, MADV_FREE));
	EXPECT_TRUE(all_bytes(self->map, 'm', SLAB));
}

/* clause 19: read(), write(), lseek() and ftruncate() on the descriptor fail */
TEST_F(mapping, read_write_file_refused)
{
	char c = 0;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(-1, ftruncate(self->fd, 0));
	EXPECT_EQ(0, touch_write(self->map));
}

TEST_HARNESS_MAIN
