// SPDX-License-Identifier: GPL-2.0
/*
 * Tests leases: a program gets a stretch of an arena by ARENA_IOC_LEASE and places its objects in
 * the stretch itself, without further calls (clauses 1, 4, 5, 6, 7, 13, 16, 17 and 18).
 */
#include "kselftest_harness.h"
#include "arena_test.h"

#define CAPACITY	(8 * SLAB)

FIXTURE(lease)
{
	int fd;
	struct arena_lease_args args;
	struct arena_info_args info;
};

FIXTURE_VARIANT(lease)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(lease, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(lease, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(lease)
{
	self->fd = arena_create(CAPACITY, SLAB, variant->flags);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(lease)
{
	close(self->fd);
}

/* clauses 1, 7: a lease is as long as the caller wants, and all of its bytes count as used */
TEST_F(lease, lease_as_wanted_counts_all)
{
	__u64 offset;

	ASSERT_EQ(0, arena_lease(self->fd, 64, 4096, 0, &self->args));
	EXPECT_EQ(4096, self->args.bytes);
	EXPECT_EQ(0, self->args.offset % 8);
	EXPECT_EQ(4096, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.generation, self->args.generation);
	EXPECT_EQ(1, self->info.allocs);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, &offset));
	EXPECT_TRUE(offset >= self->args.offset + 4096 || offset + 8 <= self->args.offset);
}

/* clause 1: a lease has the alignment that the caller asked for */
TEST_F(lease, lease_with_alignment_aligned)
{
	__u64 align;

	for (align = 1; align <= SLAB; align *= 2) {
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
		ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
		ASSERT_EQ(0, arena_lease(self->fd, 100, 1000, align, &self->args));
		EXPECT_EQ(0, self->args.offset % align);
	}
}

/* clause 1: a lease does not cross the end of a slab, unless its minimum is larger than a slab */
TEST_F(lease, lease_longer_than_slab_ends_with_it)
{
	__u64 end;

	ASSERT_EQ(0, arena_lease(self->fd, 8, CAPACITY, 0, &self->args));
	EXPECT_EQ(SLAB, self->args.bytes);
	ASSERT_EQ(0, arena_alloc(self->fd, 1000, NULL));
	ASSERT_EQ(0, arena_lease(self->fd, 8, SLAB, 0, &self->args));
	end = self->args.offset + self->args.bytes;
	EXPECT_LE(8, self->args.bytes);
	EXPECT_EQ(self->args.offset / SLAB, (end - 1) / SLAB);
	if (!variant->flags)
		EXPECT_EQ(2 * SLAB, end);
}

/* clause 5: a lease may be larger than a slab if its minimum is larger than a slab */
TEST_F(lease, lease_minimum_over_slab_spans_slabs)
{
	ASSERT_EQ(0, arena_lease(self->fd, 2 * SLAB + 8, 3 * SLAB, 0, &self->args));
	EXPECT_EQ(3 * SLAB, self->args.bytes);
	EXPECT_EQ(0, self->args.offset % SLAB);
	ASSERT_EQ(0, arena_lease(self->fd, SLAB + 8, ~0ULL, 0, &self->args));
	EXPECT_EQ(5 * SLAB, self->args.bytes);
	EXPECT_EQ(-ENOSPC, arena_lease(self->fd, 8, 8, 0, &self->args));
}

/* clause 16: LEASE succeeds until every byte is leased, and then fails and changes nothing */
TEST_F(lease, lease_when_full_takes_every_byte)
{
	__u64 sum = 0, fails;

	/*
	 * Stay on one CPU, so that no other CPU has a span whose tail LEASE would have to take. The
	 * next test covers that case.
	 */
	ASSERT_TRUE(run_on(0));
	while (!arena_lease(self->fd, 8, 24000, 0, &self->args)) {
		ASSERT_LE(8, self->args.bytes);
		ASSERT_EQ(0, self->args.bytes % 8);
		ASSERT_LE(self->args.offset + self->args.bytes, CAPACITY);
		sum += self->args.bytes;
		ASSERT_LE(sum, CAPACITY);
	}
	EXPECT_EQ(CAPACITY, sum);
	EXPECT_EQ(CAPACITY, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.free);
	EXPECT_EQ(0, self->info.padding);
	EXPECT_EQ(1, self->info.fail_space);
	fails = self->info.fail_space;
	EXPECT_EQ(-ENOSPC, arena_lease(self->fd, 1, 1, 0, &self->args));
	EXPECT_EQ(-ENOSPC, arena_lease(self->fd, 1, ~0ULL, 0, &self->args));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(fails + 2, self->info.fail_space);
	EXPECT_EQ(CAPACITY, self->info.used);
}

/*
 * clause 16: before LEASE fails for lack of space, it leases the tails of the spans of other CPUs
 */
TEST_F(lease, lease_when_full_takes_span_tails)
{
	__u64 sum = 0;
	int i;

	ASSERT_TRUE(run_on(0));
	/*
	 * In an arena with spans, these allocations leave CPU 0 with a span that has a tail, and
	 * CPU 1 without a span.
	 */
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
	sum = arena_used(self->fd);
	if (!run_on(1))
		SKIP(return, "one CPU");
	while (!arena_lease(self->fd, 8, SLAB, 0, &self->args))
		sum += self->args.bytes;
	EXPECT_EQ(CAPACITY, sum);
}

/* clause 1: if the minimum of a lease is a multiple of 8, its length is also a multiple of 8 */
TEST_F(lease, lease_odd_bytes_rounded)
{
	ASSERT_EQ(0, arena_lease(self->fd, 8, 4095, 0, &self->args));
	EXPECT_EQ(4088, self->args.bytes);
	ASSERT_EQ(0, arena_lease(self->fd, 13, 13, 0, &self->args));
	EXPECT_EQ(13, self->args.bytes);
}

/* clause 7: leases of several processes do not overlap, and all of their bytes count as used */
TEST_F(lease, lease_by_processes_disjoint)
{
	char *map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	pid_t pids[4];
	__u64 used, i;

	ASSERT_NE(NULL, map);
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		while (!arena_lease(self->fd, 16, 1008, 16, &self->args)) {
			__u64 *word = (__u64 *)(map + self->args.offset);
			__u64 *end = word + self->args.bytes / 8;

			for (; word < end; word++)
				if (__atomic_exchange_n(word, i + 1, __ATOMIC_RELAXED))
					_exit(1);
		}
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, wait_for(pids[i]));
	used = arena_used(self->fd);
	for (i = 0; i < CAPACITY; i += 8)
		used -= *(__u64 *)(map + i) ? 8 : 0;
	EXPECT_EQ(0, used);
	munmap(map, CAPACITY);
}

/* clause 6: a lease in an arena with ARENA_SETUP_ZERO is zeroed */
TEST_F(lease, lease_in_zero_arena_zeroed)
{
	int fd = arena_create(CAPACITY, SLAB, variant->flags | ARENA_SETUP_ZERO);
	char *map;

	ASSERT_LE(0, fd);
	map = arena_map(fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, arena_lease(fd, SLAB, SLAB, 0, &self->args));
	memset(map, 0xff, SLAB);
	ASSERT_EQ(0, arena_reset(fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_lease(fd, 4096, 4096, 0, &self->args));
	EXPECT_TRUE(all_bytes(map + self->args.offset, 0, 4096));
	munmap(map, CAPACITY);
	close(fd);
}

/*
 * clause 13: a lease reports its generation, and a lease after a reset reports a later generation
 */
TEST_F(lease, lease_after_reset_new_generation)
{
	__u64 generation;

	ASSERT_EQ(0, arena_lease(self->fd, 8, 8, 0, &self->args));
	generation = self->args.generation;
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_lease(self->fd, 8, 8, 0, &self->args));
	EXPECT_LT(generation, self->args.generation);
}

/* clauses 5, 18: LEASE refuses each bad field alone */
TEST_F(lease, lease_bad_argument_refused)
{
	const struct {
		__u64 min, want, align;
		int err;
	} cases[] = {
		{ 0, 0, 0, -EINVAL },
		{ 0, 8, 0, -EINVAL },
		{ 8, 7, 0, -EINVAL },
		{ ~0ULL, 1, 0, -EINVAL },
		{ 8, 8, 3, -EINVAL },
		{ 8, 8, 2 * SLAB, -EINVAL },
		{ 8, ~0ULL, ~0ULL, -EINVAL },
		{ 8, 8, 1ULL << 63, -EINVAL },
		{ SLAB + 1, SLAB + 1, 2 * page_size(), -EINVAL },
		{ CAPACITY + 1, CAPACITY + 1, 0, -ENOSPC },
		{ 1ULL << 32, ~0ULL, 0, -ENOSPC },
		{ 1ULL << 63, 1ULL << 63, 0, -ENOSPC },
		{ ~0ULL, ~0ULL, 0, -ENOSPC },
		{ ~0ULL - 4095, ~0ULL, 4096, -ENOSPC },
		{ -8ULL, -8ULL, 8, -ENOSPC },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].err, arena_lease(self->fd, cases[i].min, cases[i].want,
						    cases[i].align, &self->args)) {
			TH_LOG("case %u", i);
		}
	self->args = (struct arena_lease_args){ sizeof(self->args), .min = 8, .want = 8 };
	self->args.flags = 1;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_LEASE, &self->args));
	self->args.flags = 0;
	self->args.size = sizeof(self->args) - 1;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_LEASE, &self->args));
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_LEASE, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.used);
	EXPECT_EQ(0, self->info.high);
	EXPECT_EQ(0, self->info.committed);
}

/*
 * clause 18: LEASE accepts a struct that is longer than the kernel's only if all additional bytes
 * are zero; a LEASE that cannot write its result leases nothing
 */
TEST_F(lease, lease_longer_struct_extensible)
{
	struct {
		struct arena_lease_args args;
		__u64 newer;
	} longer = { { sizeof(longer), .min = 8, .want = 8 }, 1 };
	long page = sysconf(_SC_PAGESIZE);
	struct arena_lease_args *unwritable;

	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, ARENA_IOC_LEASE, &longer));
	unwritable = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, unwritable);
	*unwritable = (struct arena_lease_args){ sizeof(*unwritable), .min = 8, .want = 8 };
	ASSERT_EQ(0, mprotect(unwritable, page, PROT_READ));
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_LEASE, unwritable));
	EXPECT_EQ(0, arena_used(self->fd));
	longer.newer = 0;
	EXPECT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_LEASE, &longer));
	EXPECT_EQ(8, longer.args.bytes);
	munmap(unwritable, page);
}

/* clause 17: LEASE needs the right to allocate and no other right */
TEST_F(lease, lease_without_alloc_right_eacces)
{
	int without = arena_dup(self->fd, ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | ARENA_RIGHT_RESET);
	int with = arena_dup(self->fd, ARENA_RIGHT_ALLOC);

	ASSERT_LE(0, without);
	ASSERT_LE(0, with);
	EXPECT_EQ(-EACCES, arena_lease(without, 8, 8, 0, &self->args));
	EXPECT_EQ(0, arena_lease(with, 8, 8, 0, &self->args));
	close(without);
	close(with);
}

/* clause 17: a LEASE without SETUP gives the arena the defaults */
TEST(lease_without_setup_makes_default)
{
	struct arena_lease_args lease;
	int fd = arena_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_lease(fd, 8, ~0ULL, 0, &lease));
	EXPECT_EQ(SLAB, lease.bytes);
	EXPECT_EQ(-EBUSY, arena_setup(fd, CAPACITY, SLAB, 0));
	close(fd);
}

TEST_HARNESS_MAIN
