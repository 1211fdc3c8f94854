// SPDX-License-Identifier: GPL-2.0
/*
 * Tests page faults that map many pages at once, or a whole slab by a PMD, and calls that split,
 * move, protect or fork the mapping of such a slab (clauses 19 and 20).
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include "arena_test.h"

#define HUGE		(2UL << 20)
#define CAPACITY	(4 * HUGE)

/*
 * Returns whether huge pages have 2 MiB, like the slabs of these tests: on a machine with base
 * pages of 16 KiB or more, huge pages are larger.
 */
static bool has_huge(void)
{
	return read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") == HUGE;
}

/* Returns whether the kernel can map huge pages in a VM_MIXEDMAP area: kernels from 6.15 on can. */
static bool maps_huge(void)
{
	int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return false;
	return (major > 6 || (major == 6 && minor >= 15)) && has_huge();
}

/* Returns how many bytes of the mapping at @map the kernel has mapped by PMDs. */
static long huge_bytes(const char *map)
{
	long huge = 0, kilobytes;
	bool inside = false;
	char line[512];
	FILE *smaps;

	smaps = fopen("/proc/self/smaps", "re");
	while (smaps && fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (unsigned long)map >= start && (unsigned long)map < end;
		else if (inside && sscanf(line, "FilePmdMapped: %ld", &kilobytes) == 1)
			huge = kilobytes << 10;
	}
	if (smaps)
		fclose(smaps);
	return huge;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Writes to each page and returns the number of page faults. */
static long touch_all(char *at, size_t bytes)
{
	long page = sysconf(_SC_PAGESIZE), before = faults();
	size_t i;

	for (i = 0; i < bytes; i += page)
		__atomic_store_n(at + i, 'x', __ATOMIC_RELAXED);
	return faults() - before;
}

FIXTURE(huge)
{
	int fd;
	long page;
	char *map;
	struct arena_info_args info;
};

FIXTURE_SETUP(huge)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_create_mapped(CAPACITY, HUGE, 0, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(huge)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/*
 * clause 19: a program that touches each page of a slab takes one page fault for the slab if the
 * module maps it by a PMD, and otherwise one page fault for each 64 KiB
 */
TEST_F(huge, fault_huge_slab_few_faults)
{
	long nr;

	if (on_uml())
		SKIP(return, "UML touches each page by itself");
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	if (has_huge())
		EXPECT_EQ(0, (unsigned long)self->map % HUGE);
	nr = touch_all(self->map, CAPACITY);
	if (maps_huge()) {
		EXPECT_EQ(CAPACITY, huge_bytes(self->map));
		EXPECT_GE(4 + 4, nr);
	} else {
		EXPECT_GE(CAPACITY / SLAB + 4, nr);
	}
	EXPECT_TRUE(all_bytes(self->map + self->page + 1, 0, self->page - 1));
}

/* clause 19: fault-around maps several smaller slabs at once */
TEST(fault_small_slabs_few_faults)
{
	const size_t slabs[] = { page_size(), 2 * page_size(), SLAB, 4 * SLAB }, bytes = 1 << 20;
	unsigned int i;
	char *map;
	int fd;

	if (on_uml())
		SKIP(return, "UML touches each page by itself");
	for (i = 0; i < ARRAY_SIZE(slabs); i++) {
		fd = arena_create_mapped(bytes, slabs[i], 0, &map);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, arena_alloc(fd, bytes, NULL));
		EXPECT_GE(bytes / SLAB + 4, touch_all(map, bytes));
		munmap(map, bytes);
		close(fd);
	}
}

/* clause 19: fault-around maps only committed pages inside the mapping */
TEST(fault_around_committed_pages_only)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = arena_open();
	char *map, *part;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_setup(fd, 16 * page, page, 0));
	map = arena_map(fd, 16 * page, PROT_READ | PROT_WRITE, 0);
	part = arena_map(fd, 3 * page, PROT_READ | PROT_WRITE, 2 * page);
	ASSERT_NE(NULL, map);
	ASSERT_NE(NULL, part);
	ASSERT_EQ(0, arena_alloc(fd, 4 * page, NULL));
	EXPECT_EQ(0, touch_write(part + page));
	EXPECT_EQ(0, touch_write(part));
	EXPECT_EQ(SIGBUS, touch_write(part + 2 * page));
	EXPECT_EQ(0, touch_write(map + 2 * page));
	EXPECT_EQ(SIGBUS, touch_write(map + 4 * page));
	/*
	 * This allocation commits all pages. A page fault also maps pages around its address, so
	 * the release reset must also revoke pages that the test has not touched.
	 */
	ASSERT_EQ(0, arena_alloc(fd, 12 * page, NULL));
	EXPECT_EQ(0, touch_write(map + 15 * page));
	EXPECT_EQ(0, touch_write(map + 4 * page));
	EXPECT_EQ(0, touch_write(part + 2 * page));
	ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_RELEASE, 3 * page));
	EXPECT_EQ(0, touch_write(map + 2 * page));
	EXPECT_EQ(SIGBUS, touch_write(map + 3 * page));
	EXPECT_EQ(SIGBUS, touch_write(part + page));
	munmap(map, 16 * page);
	munmap(part, 3 * page);
	close(fd);
}

/*
 * Expects that each page outside of [hole, hole_end) begins with the byte that write_stripes()
 * wrote.
 */
static void expect_stripes(struct __test_metadata *_metadata, struct _test_data_huge *self,
			   size_t hole, size_t hole_end)
{
	size_t at;

	for (at = 0; at < CAPACITY; at += self->page) {
		if (at >= hole && at < hole_end)
			continue;
		ASSERT_EQ((char)(at / self->page), self->map[at]);
	}
}

static void write_stripes(struct _test_data_huge *self)
{
	size_t at;

	for (at = 0; at < CAPACITY; at += self->page)
		self->map[at] = at / self->page;
}

/*
 * clauses 19, 20: a reset revokes huge pages from a mapping, whichever call has split or moved the
 * mapping
 */
TEST_F(huge, split_huge_mapping_then_reset_revokes)
{
	const size_t hole = HUGE + HUGE / 2, end = 2 * HUGE + HUGE / 4;
	char *there;
	int how;

	for (how = 0; how < 6; how++) {
		munmap(self->map, CAPACITY);
		self->map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
		ASSERT_NE(NULL, self->map);
		ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
		write_stripes(self);
		switch (how) {
		case 0:
			ASSERT_EQ(0, madvise(self->map + hole, end - hole, MADV_DONTNEED));
			expect_stripes(_metadata, self, 0, 0);
			break;
		case 1:
			ASSERT_EQ(0, mprotect(self->map + hole, end - hole, PROT_READ));
			expect_stripes(_metadata, self, 0, 0);
			EXPECT_EQ(SIGSEGV, touch_write(self->map + hole));
			EXPECT_EQ(0, touch_write(self->map + hole - 1));
			EXPECT_EQ(0, touch_write(self->map + end));
			ASSERT_EQ(0, mprotect(self->map + hole, end - hole,
					      PROT_READ | PROT_WRITE));
			EXPECT_EQ(0, touch_write(self->map + hole));
			break;
		case 2:
			there = mmap(NULL, CAPACITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			ASSERT_NE(MAP_FAILED, there);
			ASSERT_EQ(there + self->page,
				  mremap(self->map + hole, end - hole, end - hole,
					 MREMAP_MAYMOVE | MREMAP_FIXED, there + self->page));
			expect_stripes(_metadata, self, hole, end);
			EXPECT_EQ((char)(hole / self->page), there[self->page]);
			ASSERT_EQ(self->map + hole,
				  mremap(there + self->page, end - hole, end - hole,
					 MREMAP_MAYMOVE | MREMAP_FIXED, self->map + hole));
			munmap(there, CAPACITY);
			expect_stripes(_metadata, self, 0, 0);
			break;
		case 3:
			ASSERT_EQ(0, mprotect(self->map, CAPACITY, PROT_READ));
			expect_stripes(_metadata, self, 0, 0);
			EXPECT_EQ(SIGSEGV, touch_write(self->map));
			ASSERT_EQ(0, mprotect(self->map, CAPACITY, PROT_READ | PROT_WRITE));
			EXPECT_EQ(0, touch_write(self->map));
			break;
		case 4:
			/* Move the whole mapping. */
			there = mmap(NULL, 2 * CAPACITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
				     -1, 0);
			ASSERT_NE(MAP_FAILED, there);
			there += -(unsigned long)there % HUGE;
			ASSERT_EQ(there, mremap(self->map, CAPACITY, CAPACITY,
						MREMAP_MAYMOVE | MREMAP_FIXED, there));
			self->map = there;
			expect_stripes(_metadata, self, 0, 0);
			break;
		case 5:
			ASSERT_EQ(0, munmap(self->map + hole, end - hole));
			expect_stripes(_metadata, self, hole, end);
			EXPECT_EQ(SIGSEGV, touch_read(self->map + hole));
			EXPECT_EQ(SIGSEGV, touch_read(self->map + end - 1));
			break;
		}
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
		EXPECT_EQ(SIGBUS, touch_read(self->map));
		EXPECT_EQ(SIGBUS, touch_write(self->map + hole - 1));
		EXPECT_EQ(SIGBUS, touch_write(self->map + end));
		EXPECT_EQ(SIGBUS, touch_write(self->map + CAPACITY - 1));
	}
}

/* clauses 17, 20: a reset revokes huge pages from the mappings of parent and child */
TEST_F(huge, fork_huge_mapping_reset_revokes)
{
	int to_child[2], to_parent[2];
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(to_parent));
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	write_stripes(self);
	pid = fork();
	if (!pid) {
		if (self->map[HUGE + self->page] != (char)(HUGE / self->page + 1))
			_exit(1);
		self->map[HUGE] = 'c';
		if (write(to_parent[1], &c, 1) != 1 || read(to_child[0], &c, 1) != 1)
			_exit(2);
		_exit(touch_write(self->map + HUGE) == SIGBUS ? 0 : 3);
	}
	ASSERT_EQ(1, read(to_parent[0], &c, 1));
	EXPECT_EQ('c', self->map[HUGE]);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, HUGE));
	ASSERT_EQ(1, write(to_child[1], &c, 1));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(SIGBUS, touch_write(self->map + HUGE));
}

/* clause 19: a fault maps single pages if the mapping is not aligned as a PMD requires */
TEST_F(huge, map_unaligned_small_pages)
{
	char *space = mmap(NULL, 2 * CAPACITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *map;

	ASSERT_NE(MAP_FAILED, space);
	space += -(unsigned long)space % HUGE;
	map = mmap(space + self->page, CAPACITY - HUGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, self->fd, HUGE);
	ASSERT_EQ(space + self->page, map);
	ASSERT_EQ(0, arena_alloc(self->fd, 2 * HUGE, NULL));
	memset(self->map, 1, 2 * HUGE);
	EXPECT_EQ(0, touch_write(map));
	put_string(self->map + HUGE + 12345, "same");
	EXPECT_STREQ("same", map + 12345);
	EXPECT_EQ(SIGBUS, touch_read(map + HUGE));
	EXPECT_EQ(0, huge_bytes(map));
	munmap(map, CAPACITY - HUGE);
}

/* clause 20: in a strict arena, a PMD maps a slab only if objects reach to the end of the slab */
TEST_F(huge, fault_strict_huge_when_slab_full)
{
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	EXPECT_EQ(0, touch_write(self->map));
	EXPECT_EQ(SIGBUS, touch_write(self->map + self->page));
	EXPECT_EQ(0, huge_bytes(self->map));
	ASSERT_EQ(0, arena_alloc(self->fd, HUGE, NULL));
	EXPECT_EQ(0, touch_write(self->map + HUGE));
	EXPECT_EQ(0, touch_write(self->map + self->page));
	if (maps_huge())
		EXPECT_EQ(HUGE, huge_bytes(self->map));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(SIGBUS, touch_write(self->map));
	EXPECT_EQ(SIGBUS, touch_write(self->map + HUGE));
}

/* clause 19: no byte of a huge page changes, whether madvise() succeeds or fails */
TEST_F(huge, madvise_huge_mapping_keeps_bytes)
{
	/*
	 * MADV_DONTNEED, COLD, PAGEOUT, HUGEPAGE, NOHUGEPAGE, COLLAPSE, POPULATE_WRITE,
	 * POPULATE_READ, WILLNEED, SEQUENTIAL, RANDOM, NORMAL, DONTDUMP and DODUMP: the C library
	 * may lack some of these names.
	 */
	const int may[] = { 4, 20, 21, 14, 15, 25, 23, 22, 3, 2, 1, 0, 16, 17 };
	const int refused[] = { MADV_REMOVE, MADV_FREE, 12 /* MERGEABLE */ + 0 };
	unsigned int i, part;

	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	write_stripes(self);
	for (i = 0; i < ARRAY_SIZE(may); i++) {
		for (part = 0; part < 2; part++) {
			madvise(self->map + part * 5 * self->page, HUGE, may[i]);
			expect_stripes(_metadata, self, 0, 0);
		}
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(-1, madvise(self->map, HUGE, refused[i]));
	madvise(self->map, HUGE, refused[2]);
	expect_stripes(_metadata, self, 0, 0);
	EXPECT_EQ(0, mlock(self->map, HUGE));
	EXPECT_EQ(0, munlock(self->map, HUGE));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	for (i = 0; i < CAPACITY; i += HUGE / 2)
		EXPECT_EQ(SIGBUS, touch_read(self->map + i));
}

/* clause 19: a child does not inherit a mapping with MADV_DONTFORK */
TEST_F(huge, fork_dontfork_not_inherited)
{
	pid_t pid;

	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
	ASSERT_EQ(0, touch_write(self->map));
	ASSERT_EQ(0, madvise(self->map, CAPACITY, MADV_DONTFORK));
	pid = fork();
	if (!pid)
		_exit(touch_read(self->map) == SIGSEGV ? 0 : 1);
	EXPECT_EQ(0, wait_for(pid));
}

/* clause 19: MAP_POPULATE maps committed pages and no others */
TEST_F(huge, map_populate_committed_only)
{
	char *map;
	long nr;

	ASSERT_EQ(0, arena_alloc(self->fd, 2 * HUGE, NULL));
	map = mmap(NULL, CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	nr = touch_all(map, 2 * HUGE);
	/* On UML, the first access to each page faults, even if the page is mapped already. */
	EXPECT_GE(on_uml() ? (long)(2 * HUGE / self->page) : 4, nr);
	EXPECT_EQ(SIGBUS, touch_write(map + 2 * HUGE));
	munmap(map, CAPACITY);
}

/*
 * A thread that stores to @at by read() from /dev/zero. If no page is mapped at @at, read() returns
 * an error, while a store instruction would raise a signal.
 */
struct toucher {
	int zero;
	char *at;
	bool stop;
};

static void *touch_always(void *arg)
{
	struct toucher *toucher = arg;

	while (!__atomic_load_n(&toucher->stop, __ATOMIC_RELAXED))
		if (read(toucher->zero, toucher->at, 1) < 0)
			sched_yield();
	return NULL;
}

/*
 * clauses 19, 21: threads touch a slab that the test allocates and releases repeatedly, so that
 * page faults map single pages of the slab or the whole slab; no access to an allocated page fails
 */
TEST_F(huge, fault_huge_or_small_races_with_reset)
{
	const __u32 modes[] = { ARENA_RESET_RELEASE, ARENA_RESET_STRICT };
	struct toucher toucher = { open("/dev/zero", O_RDONLY | O_CLOEXEC), self->map };
	pthread_t thread[3];
	unsigned int i, missed = 0;
	time_t end;

	ASSERT_LE(0, toucher.zero);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, touch_always, &toucher));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (end = time(NULL) + 3; time(NULL) < end;) {
			ASSERT_EQ(0, arena_alloc(self->fd, HUGE / 2, NULL));
			missed += read(toucher.zero, self->map + self->page, 1) != 1;
			ASSERT_EQ(0, arena_alloc(self->fd, HUGE / 2, NULL));
			missed += read(toucher.zero, self->map + 2 * self->page, 1) != 1;
			ASSERT_EQ(0, arena_reset(self->fd, modes[i], 0));
		}
	}
	__atomic_store_n(&toucher.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, missed);
	close(toucher.zero);
}

static long free_memory(void)
{
	long kilobytes = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %ld", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	return kilobytes << 10;
}

/*
 * clause 20: a release reset frees all memory even if mappings were split: no page reference leaks
 */
TEST_F_TIMEOUT(huge, reset_split_mappings_frees_all, 120)
{
	const int rounds = 60;
	long before = 0;
	char *map;
	int i;

	for (i = 0; i < rounds; i++) {
		if (i == 10)
			before = free_memory();
		ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
		map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
		ASSERT_NE(NULL, map);
		touch_all(map, CAPACITY);
		ASSERT_EQ(0, madvise(map + self->page, HUGE, MADV_DONTNEED));
		ASSERT_EQ(0, mprotect(map + 2 * HUGE + self->page, self->page, PROT_READ));
		ASSERT_EQ(0, munmap(map + HUGE / 2, 2 * HUGE));
		touch_write(map);
		if (i % 2)
			ASSERT_EQ(0, munmap(map, CAPACITY));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
		if (!(i % 2))
			ASSERT_EQ(0, munmap(map, CAPACITY));
	}
	/* If each round leaked a slab, twice as much memory as this limit would be missing. */
	EXPECT_GT((rounds - 10) * (long)HUGE / 2, before - free_memory());
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);
}

TEST_HARNESS_MAIN
