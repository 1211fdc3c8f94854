// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the status page of /dev/arena: what the page shows, when the kernel updates it, and that
 * programs cannot write to it (clauses 4, 7, 13, 17, 19, 20, 21 and 23).
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/uio.h>
#include "arena_test.h"

#define CAPACITY	(8 * SLAB)

FIXTURE(status)
{
	int fd;
	long page;
	const struct arena_status *status;
	struct arena_info_args info;
};

FIXTURE_SETUP(status)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_create(CAPACITY, SLAB, ARENA_SETUP_SPANS);
	ASSERT_LE(0, self->fd);
	self->status = arena_map_status(self->fd);
	ASSERT_NE(NULL, self->status);
}

FIXTURE_TEARDOWN(status)
{
	munmap((void *)self->status, self->page);
	close(self->fd);
}

/* Expects that the status page shows the numbers which INFO reports. */
static void expect_status(struct __test_metadata *_metadata, struct _test_data_status *self)
{
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.generation, self->status->generation);
	EXPECT_EQ(self->info.used, self->status->offset);
	EXPECT_EQ(self->info.high, self->status->high);
}

/* clause 7: the status page describes the arena, and its bytes behind the struct are zero */
TEST_F(status, status_of_fresh_arena_describes_it)
{
	EXPECT_EQ(1, self->status->version);
	EXPECT_EQ(ARENA_SETUP_SPANS, self->status->flags);
	EXPECT_EQ(CAPACITY, self->status->capacity);
	EXPECT_EQ(0, self->status->offset);
	EXPECT_EQ(0, self->status->high);
	EXPECT_EQ(0, self->status->notices);
	expect_status(_metadata, self);
	EXPECT_TRUE(all_bytes((void *)(self->status + 1), 0,
			      self->page - sizeof(*self->status)));
}

/* clause 7: the status page is up to date after an allocation by any call through any descriptor */
TEST_F(status, status_after_alloc_updated)
{
	struct arena_lease_args lease;
	int other = arena_dup(self->fd, ARENA_RIGHT_ALLOC);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	EXPECT_EQ(100, self->status->offset);
	EXPECT_LE(100, self->status->high);
	ASSERT_EQ(0, arena_store(other, "abc", 4, NULL));
	EXPECT_EQ(104, self->status->offset);
	ASSERT_EQ(0, arena_lease(other, 8, 4096, 0, &lease));
	EXPECT_EQ(104 + lease.bytes, self->status->offset);
	expect_status(_metadata, self);
	close(other);
}

/* clause 13: when a reset returns, the status page shows the new generation */
TEST_F(status, status_after_reset_updated)
{
	const __u32 modes[] = { ARENA_RESET_KEEP, ARENA_RESET_RELEASE, ARENA_RESET_ZERO };
	__u64 generation = self->status->generation;
	unsigned int i;

	for (i = 0; i < 3 * ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 5000, NULL));
		EXPECT_EQ(5000, self->status->offset);
		ASSERT_EQ(0, arena_reset(self->fd, modes[i % ARRAY_SIZE(modes)], 0));
		EXPECT_LT(generation, self->status->generation);
		EXPECT_EQ(0, self->status->generation % 2);
		EXPECT_EQ(0, self->status->offset);
		EXPECT_EQ(0, self->status->high);
		generation = self->status->generation;
		expect_status(_metadata, self);
	}
}

/* clause 4: a call that fails does not change the status page */
TEST_F(status, status_after_failure_unchanged)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, CAPACITY, NULL));
	EXPECT_EQ(-EINVAL, arena_alloc_flags(self->fd, 8, 3, 0, NULL));
	EXPECT_EQ(64, self->status->offset);
	expect_status(_metadata, self);
}

/* clause 7: a status page that a program maps after allocations shows these allocations */
TEST(status_mapped_later_up_to_date)
{
	const struct arena_status *status;
	int fd = arena_create(CAPACITY, SLAB, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(fd, 1234, NULL));
	status = arena_map_status(fd);
	ASSERT_NE(NULL, status);
	EXPECT_EQ(1234, status->offset);
	EXPECT_LT(2, status->generation);
	munmap((void *)status, sysconf(_SC_PAGESIZE));
	close(fd);
}

/* clause 17: mapping the status page of an arena without SETUP gives the arena the defaults */
TEST(status_without_setup_makes_default)
{
	const struct arena_status *status;
	int fd = arena_open();

	ASSERT_LE(0, fd);
	status = arena_map_status(fd);
	ASSERT_NE(NULL, status);
	EXPECT_EQ(64 << 20, status->capacity);
	EXPECT_EQ(0, status->flags);
	EXPECT_EQ(-EBUSY, arena_setup(fd, CAPACITY, SLAB, 0));
	close(fd);
	/* The mapping keeps the arena and its status page alive. */
	EXPECT_EQ(64 << 20, status->capacity);
	munmap((void *)status, sysconf(_SC_PAGESIZE));
}

/*
 * clause 19: mmap() maps exactly one page at ARENA_STATUS_OFFSET, and refuses other lengths and
 * offsets
 */
TEST_F(status, status_other_offset_or_length_refused)
{
	const off_t base = ARENA_STATUS_OFFSET;
	const struct {
		size_t bytes;
		off_t offset;
	} refused[] = {
		{ 2 * self->page, base },
		{ 2 * self->page, base - self->page },
		{ self->page, base + self->page },
		{ self->page, base - self->page },
		{ self->page, 2 * base },
		{ 1UL << 30, base },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		errno = 0;
		EXPECT_EQ(NULL, arena_map(self->fd, refused[i].bytes, PROT_READ,
					  refused[i].offset));
		EXPECT_EQ(ENXIO, errno);
	}
}

/* clauses 19, 23: a program cannot write to the status page, not even with all rights */
TEST_F(status, status_write_refused)
{
	void *page = (void *)self->status;

	EXPECT_EQ(SIGSEGV, touch_write(page));
	EXPECT_EQ(-1, mprotect(page, self->page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(page, self->page, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, self->page, PROT_READ | PROT_WRITE,
				  ARENA_STATUS_OFFSET));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, self->page, PROT_WRITE, ARENA_STATUS_OFFSET));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_map(self->fd, self->page, PROT_READ | PROT_EXEC,
				  ARENA_STATUS_OFFSET));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, PROT_READ, MAP_PRIVATE, self->fd,
				   ARENA_STATUS_OFFSET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(SIGSEGV, touch_write(page));
	EXPECT_EQ(1, self->status->version);
}

/* clause 19: /proc/self/mem, process_vm_writev() and read() cannot write to the status page */
TEST_F(status, status_write_by_debugger_refused)
{
	char c = 'x';
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	struct iovec from = { &c, 1 }, to = { (void *)self->status, 1 };
	int pipes[2];

	ASSERT_LE(0, mem);
	EXPECT_EQ(-1, pwrite(mem, &c, 1, (off_t)(unsigned long)self->status));
	close(mem);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(1, write(pipes[1], &c, 1));
	EXPECT_EQ(-1, read(pipes[0], (void *)self->status, 1));
	EXPECT_EQ(EFAULT, errno);
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_EQ(1, self->status->version);
}

/* clause 19: a mapping of the status page can move but not grow */
TEST_F(status, status_mremap_stays_one_page)
{
	void *page = (void *)self->status, *there;

	EXPECT_EQ(MAP_FAILED, mremap(page, self->page, 2 * self->page, MREMAP_MAYMOVE));
	there = mmap(NULL, self->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, there);
	ASSERT_EQ(there, mremap(page, self->page, self->page, MREMAP_MAYMOVE | MREMAP_FIXED,
				there));
	self->status = there;
	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	EXPECT_EQ(64, self->status->offset);
	EXPECT_EQ(-1, mprotect(there, self->page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, madvise(there, self->page, MADV_DONTNEED));
	EXPECT_EQ(64, self->status->offset);
	EXPECT_EQ(-1, madvise(there, self->page, MADV_REMOVE));
	EXPECT_EQ(64, self->status->offset);
}

/* clause 17: a forked child shares the status page, which also shows allocations by the child */
TEST_F(status, status_in_child_shared)
{
	pid_t pid = fork();

	if (!pid) {
		if (arena_alloc(self->fd, 64, NULL) || self->status->offset != 64)
			_exit(1);
		if (!mprotect((void *)self->status, self->page, PROT_READ | PROT_WRITE))
			_exit(2);
		_exit(touch_write((void *)self->status) == SIGSEGV ? 0 : 3);
	}
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(64, self->status->offset);
}

/* clause 17: a program can map the status page whatever rights its descriptor has */
TEST_F(status, status_without_right_ok)
{
	const struct arena_status *status;
	__u32 right;
	int fd;

	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	for (right = 1; right < ARENA_RIGHTS_ALL; right *= 2) {
		if (right == ARENA_RIGHT_WRITE)
			continue;
		fd = arena_dup(self->fd, right);
		ASSERT_LE(0, fd);
		status = arena_map_status(fd);
		ASSERT_NE(NULL, status);
		EXPECT_EQ(64, status->offset);
		EXPECT_EQ(-1, mprotect((void *)status, self->page, PROT_READ | PROT_WRITE));
		munmap((void *)status, self->page);
		close(fd);
	}
}

/* clause 20: a reset that revokes mappings of the arena does not revoke those of the status page */
TEST_F(status, status_after_release_mapped)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(0, touch_read((void *)self->status));
	EXPECT_EQ(CAPACITY, self->status->capacity);
}

/*
 * clause 21: the status page of an arena counts once against the limit, however often it is mapped
 */
TEST_F(status, status_page_counts_once)
{
	const struct arena_status *again;
	long long before;
	int fd;

	/* Wait until this arena's status page is the only memory that any arena holds. */
	arena_held_falls_to(self->page);
	before = arena_held_bytes();
	if (before < 0)
		SKIP(return, "no debugfs");
	EXPECT_LE(self->page, before);
	again = arena_map_status(self->fd);
	ASSERT_NE(NULL, again);
	EXPECT_GE(before, arena_held_bytes());
	munmap((void *)again, self->page);
	fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, fd);
	again = arena_map_status(fd);
	ASSERT_NE(NULL, again);
	EXPECT_LE(2 * self->page, arena_held_bytes());
	EXPECT_GE(before + self->page, arena_held_bytes());
	munmap((void *)again, self->page);
	close(fd);
	EXPECT_TRUE(arena_held_falls_to(before));
}

struct reader {
	const struct arena_status *status;
	bool stop;
	__u64 torn, shrank, back;
};

/*
 * Counts how often the status page shows a smaller generation than before or, within a generation,
 * an offset that is smaller than before or too large.
 */
static void *read_status(void *arg)
{
	__u64 last_generation = 0, last_offset = 0;
	struct reader *reader = arg;

	while (!__atomic_load_n(&reader->stop, __ATOMIC_RELAXED)) {
		const struct arena_status *s = reader->status;
		__u64 generation = __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE);
		__u64 offset = __atomic_load_n(&s->offset, __ATOMIC_ACQUIRE);

		if (generation < last_generation)
			reader->back++;
		if (generation % 2 ||
		    generation != __atomic_load_n(&s->generation, __ATOMIC_RELAXED))
			continue;
		/* The main thread allocates at most generation % 64 bytes in a generation. */
		if (offset > generation % 64)
			reader->torn++;
		if (generation == last_generation && offset < last_offset)
			reader->shrank++;
		last_generation = generation;
		last_offset = offset;
	}
	return NULL;
}

/*
 * clauses 7, 13: a reader never sees the offset of one generation together with the number of
 * another
 */
TEST_F(status, status_races_with_reader_coherent)
{
	struct reader reader = { .status = self->status };
	__u64 generation, i;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_status, &reader));
	for (i = 0; more_rounds(i, 3000); i++) {
		generation = self->status->generation;
		/*
		 * Allocate a number of bytes that depends on the generation, so that read_status()
		 * can check it.
		 */
		while (self->status->offset + 8 <= generation % 64)
			ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, reader.torn);
	EXPECT_EQ(0, reader.shrank);
	EXPECT_EQ(0, reader.back);
}

struct allocator {
	int fd;
	const struct arena_status *status;
	__u64 rounds, shrank, behind, above;
};

/*
 * Allocates objects. After each, checks that the numbers on the status page include the object and
 * have not decreased.
 */
static void *allocate_and_look(void *arg)
{
	struct allocator *allocator = arg;
	const struct arena_status *status = allocator->status;
	__u64 i, offset, high, last_offset = 0, last_high = 0;

	for (i = 0; i < allocator->rounds; i++) {
		if (arena_alloc(allocator->fd, 8, NULL))
			break;
		offset = __atomic_load_n(&status->offset, __ATOMIC_ACQUIRE);
		high = __atomic_load_n(&status->high, __ATOMIC_ACQUIRE);
		allocator->shrank += offset < last_offset || high < last_high;
		allocator->behind += offset < last_offset + 8;
		allocator->above += offset > high;
		last_offset = offset;
		last_high = high;
	}
	allocator->rounds -= i;
	return NULL;
}

/* clause 7: the numbers on the status page never decrease while several threads allocate */
TEST_F(status, status_races_with_allocs_only_grows)
{
	const __u64 rounds = on_uml() ? 1000 : 10000;
	struct allocator allocators[3];
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++) {
		allocators[i] = (struct allocator) { self->fd, self->status, rounds };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, allocate_and_look, &allocators[i]));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, allocators[i].rounds);
		EXPECT_EQ(0, allocators[i].shrank);
		EXPECT_EQ(0, allocators[i].behind);
		EXPECT_EQ(0, allocators[i].above);
	}
	EXPECT_EQ(3 * rounds * 8, self->status->offset);
	expect_status(_metadata, self);
}

TEST_HARNESS_MAIN
