// SPDX-License-Identifier: GPL-2.0
/*
 * Tests madvise() and other calls that ask the kernel to place, synchronise or protect a mapping of
 * an arena. Each call must return, and the mapping must keep its contents.
 */
#include "kselftest_harness.h"

#include <limits.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/mempolicy.h>

#include "arena_test.h"

#define R	ARENA_RIGHT_READ
#define W	ARENA_RIGHT_WRITE
#define BYTES	(4UL << 20)
#define PATIENCE 150	/* seconds in which all calls of a test must have returned */

/* Older C libraries do not define these constants. */
#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

FIXTURE(advice)
{
	int fd, reader;
	char *map, *view;
	size_t page;
};

/*
 * The module maps slabs of 64 KiB by PTEs, and slabs of 2 MiB by PMDs on kernels that support PMDs
 * in VM_MIXEDMAP areas.
 */
FIXTURE_VARIANT(advice)
{
	__u32 slab;
};

FIXTURE_VARIANT_ADD(advice, slab_64k)
{
	.slab = SLAB,
};

FIXTURE_VARIANT_ADD(advice, slab_2m)
{
	.slab = 2 << 20,
};

FIXTURE_SETUP(advice)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_create(BYTES, variant->slab, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_alloc(self->fd, BYTES, NULL));
	self->reader = arena_dup(self->fd, R);
	ASSERT_LE(0, self->reader);
	self->map = arena_map(self->fd, BYTES, PROT_READ | PROT_WRITE, 0);
	self->view = arena_map(self->reader, BYTES, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	ASSERT_NE(NULL, self->view);
	memset(self->map, 'a', BYTES);
}

FIXTURE_TEARDOWN(advice)
{
	munmap(self->map, BYTES);
	munmap(self->view, BYTES);
	close(self->reader);
	close(self->fd);
}

/* A call that must return. If the call does not return, the test reports @name. */
struct request {
	const char *name;
	int (*call)(char *at, size_t bytes, int arg);
	int arg;
};

static int do_madvise(char *at, size_t bytes, int advice)
{
	return madvise(at, bytes, advice);
}

static int do_process_madvise(char *at, size_t bytes, int advice)
{
	struct iovec part = { at, bytes };
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	int ret = syscall(SYS_process_madvise, pidfd, &part, 1, advice, 0);

	close(pidfd);
	return ret;
}

static int do_mlock(char *at, size_t bytes, int unused)
{
	return mlock(at, bytes) || munlock(at, bytes);
}

static int do_msync(char *at, size_t bytes, int flags)
{
	return msync(at, bytes, flags);
}

static int do_mincore(char *at, size_t bytes, int unused)
{
	unsigned char there[BYTES / 4096];

	return mincore(at, bytes, there);
}

static int do_migrate(char *at, size_t bytes, int unused)
{
	unsigned long from = 1, to = 1;

	return syscall(SYS_migrate_pages, 0, 8 * sizeof(from), &from, &to);
}

static int do_move(char *at, size_t bytes, int unused)
{
	void *pages[] = { at, at + bytes - 1 };
	int nodes[] = { 0, 0 }, status[2];

	return syscall(SYS_move_pages, 0, 2, pages, nodes, status, MPOL_MF_MOVE_ALL);
}

static int do_mbind(char *at, size_t bytes, int flags)
{
	unsigned long mask = 1;

	return syscall(SYS_mbind, at, bytes, MPOL_BIND, &mask, 8 * sizeof(mask), flags);
}

static int do_compact(char *at, size_t bytes, int unused)
{
	return !write_string("/proc/sys/vm/compact_memory", "1") ||
	       !write_string("/proc/sys/vm/drop_caches", "1");
}

static const struct request requests[] = {
	{ "MADV_COLD", do_madvise, MADV_COLD },
	{ "MADV_PAGEOUT", do_madvise, MADV_PAGEOUT },
	{ "MADV_WILLNEED", do_madvise, MADV_WILLNEED },
	{ "MADV_FREE", do_madvise, MADV_FREE },
	{ "MADV_REMOVE", do_madvise, MADV_REMOVE },
	{ "MADV_HUGEPAGE", do_madvise, MADV_HUGEPAGE },
	{ "MADV_COLLAPSE", do_madvise, MADV_COLLAPSE },
	{ "MADV_MERGEABLE", do_madvise, MADV_MERGEABLE },
	{ "process_madvise COLD", do_process_madvise, MADV_COLD },
	{ "process_madvise PAGEOUT", do_process_madvise, MADV_PAGEOUT },
	{ "mlock", do_mlock },
	{ "msync ASYNC", do_msync, MS_ASYNC },
	{ "msync INVALIDATE", do_msync, MS_INVALIDATE },
	{ "msync SYNC", do_msync, MS_SYNC },
	{ "mincore", do_mincore },
	{ "migrate_pages", do_migrate },
	{ "move_pages", do_move },
	{ "mbind", do_mbind, MPOL_MF_MOVE_ALL },
	{ "mbind STRICT", do_mbind, MPOL_MF_STRICT },
	{ "compaction", do_compact },
	{ "MADV_DONTNEED", do_madvise, MADV_DONTNEED },
};

/*
 * The name of the call that ask_all() is making, in memory that the child process which runs
 * ask_all() shares with the test.
 */
static const char **at_work;

static void ask_all(char *map, size_t page, bool touch_first)
{
	static const size_t from[] = { 0, 1, 3, 0, 511 }, to[] = { 1, 2, 9, 1024, 513 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		for (j = 0; j < ARRAY_SIZE(from); j++) {
			size_t begin = from[j] * page, end = to[j] * page;

			if (end > BYTES)
				continue;
			*at_work = requests[i].name;
			if (touch_first && !all_bytes(map, 'a', BYTES))
				_exit(1);
			requests[i].call(map + begin, end - begin, requests[i].arg);
		}
	}
	*at_work = "the end";
	_exit(all_bytes(map, 'a', BYTES) ? 0 : 1);
}

/* Returns whether a child process makes all calls and ends in time. */
static bool all_return(struct __test_metadata *_metadata, char *map, size_t page)
{
	pid_t pid;
	int tick, status;

	at_work = mmap(NULL, sizeof(*at_work), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid)
		ask_all(map, page, true);
	for (tick = 0; tick < PATIENCE * 10; tick++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (status)
				TH_LOG("status %x at %s", status, *at_work);
			return !status;
		}
		usleep(100000);
	}
	TH_LOG("no return from %s", *at_work);
	kill(pid, SIGKILL);
	return false;
}

/* clause 21: each of the requests returns, for several parts of a mapping, and changes no byte */
TEST_F_TIMEOUT(advice, call_on_writable_mapping_returns, PATIENCE + 60)
{
	EXPECT_TRUE(all_return(_metadata, self->map, self->page));
	EXPECT_TRUE(all_bytes(self->view, 'a', BYTES));
}

/*
 * clause 21: each of the requests also returns for a mapping through a descriptor without the right
 * to write
 */
TEST_F_TIMEOUT(advice, call_on_readable_mapping_returns, PATIENCE + 60)
{
	EXPECT_TRUE(all_return(_metadata, self->view, self->page));
	EXPECT_TRUE(all_bytes(self->map, 'a', BYTES));
}

/* clause 19: msync() and fsync() succeed, as they do for shared memory */
TEST_F(advice, sync_mapping_or_file_succeeds)
{
	EXPECT_EQ(0, msync(self->map, BYTES, MS_SYNC));
	EXPECT_EQ(0, msync(self->view, self->page, MS_SYNC));
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, fdatasync(self->reader));
}

/* Returns whether /proc/self/maps shows the permissions @flags, such as "rw-s", for @at. */
static bool mapped_as(const void *at, const char *flags)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[PATH_MAX], perms[8];
	unsigned long start;
	bool same = false;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx-%*x %7s", &start, perms) == 2 &&
		    start == (unsigned long)at)
			same = !strcmp(perms, flags);
	if (file)
		fclose(file);
	return same;
}

/*
 * clause 19: under READ_IMPLIES_EXEC, the kernel adds PROT_EXEC to a mapping for reading; mmap() of
 * an arena succeeds nevertheless, and the mapping is not executable
 */
TEST_F(advice, map_read_implies_exec_not_executable)
{
	const int fds[] = { self->fd, self->reader };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(NULL, arena_map(fds[i], BYTES, PROT_READ | PROT_EXEC, 0));
		EXPECT_EQ(EPERM, errno);
	}
	ASSERT_LE(0, personality(READ_IMPLIES_EXEC));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		char *map = arena_map(fds[i], BYTES, PROT_READ, 0);
		const void *status = arena_map_status(fds[i]);

		ASSERT_NE(NULL, map);
		ASSERT_NE(NULL, status);
		EXPECT_TRUE(mapped_as(map, "r--s"));
		EXPECT_TRUE(mapped_as(status, "r--s"));
		EXPECT_EQ('a', *map);
		EXPECT_EQ(0, mprotect(map, self->page, PROT_READ));
		EXPECT_TRUE(mapped_as(map, "r--s"));
		EXPECT_EQ(-1, mprotect(map, self->page, PROT_READ | PROT_EXEC));
		EXPECT_EQ(EACCES, errno);
		munmap(map, BYTES);
	}
}

/* Returns how many of the pages at @map lie on the NUMA node @node. */
static unsigned int pages_on(char *map, size_t page, int node)
{
	unsigned int nr = BYTES / page, i, on = 0;
	void **pages = calloc(nr, sizeof(*pages));
	int *status = calloc(nr, sizeof(*status));

	for (i = 0; i < nr; i++)
		pages[i] = map + i * page;
	if (!syscall(SYS_move_pages, 0, (unsigned long)nr, pages, NULL, status, 0))
		for (i = 0; i < nr; i++)
			on += status[i] == node;
	free(pages);
	free(status);
	return on;
}

static bool two_nodes(void)
{
	return !access("/sys/devices/system/node/node1/meminfo", F_OK);
}

/* Expects that all pages of a new arena lie on the NUMA node @node. */
static void lies_on(struct __test_metadata *_metadata, size_t page, __u32 slab, int node)
{
	int fd = arena_open();
	char *map;

	EXPECT_EQ(0, arena_setup(fd, BYTES, slab, 0));
	EXPECT_EQ(0, arena_alloc(fd, BYTES, NULL));
	map = arena_map(fd, BYTES, PROT_READ | PROT_WRITE, 0);
	memset(map, 0, BYTES);
	EXPECT_EQ(BYTES / page, pages_on(map, page, node));
	munmap(map, BYTES);
	close(fd);
}

/* clause 21: slabs come from the node that the task's memory policy names */
TEST_F(advice, alloc_memory_policy_on_node)
{
	int node;

	if (!two_nodes())
		SKIP(return, "one node");
	for (node = 0; node < 2; node++) {
		unsigned long mask = 1UL << node;

		ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)));
		lies_on(_metadata, self->page, variant->slab, node);
	}
}

/* clause 21: slabs come from the node that the task's cpuset names */
TEST_F(advice, alloc_cpuset_on_node)
{
	static const char group[] = "/sys/fs/cgroup/arena_advice";
	static const char * const mems[] = { "0", "1" };
	char path[128], text[32];
	int node;

	if (!two_nodes())
		SKIP(return, "one node");
	if (!write_string("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset") ||
	    (mkdir(group, 0700) && errno != EEXIST))
		SKIP(return, "no cpusets");
	snprintf(text, sizeof(text), "%d", getpid());
	for (node = 0; node < 2; node++) {
		snprintf(path, sizeof(path), "%s/cpuset.mems", group);
		ASSERT_TRUE(write_string(path, mems[node]));
		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		ASSERT_TRUE(write_string(path, text));
		lies_on(_metadata, self->page, variant->slab, node);
	}
	EXPECT_TRUE(write_string("/sys/fs/cgroup/cgroup.procs", text));
	rmdir(group);
}

TEST_HARNESS_MAIN
