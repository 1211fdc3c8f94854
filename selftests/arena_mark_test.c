// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_IOC_MARK and ARENA_IOC_REWIND (clause 12): a rewind to a valid mark frees all objects
 * that were allocated since the mark; a rewind to any other mark fails and changes nothing. This
 * file is also built as a 32-bit program.
 */
#include "kselftest_harness.h"
#include <assert.h>
#include "arena_calls.h"

#define CAPACITY	(64 * SLAB)

FIXTURE(mark)
{
	int fd;
	char *map;
	struct arena_mark_args mark[6];
	__u64 offset;
	struct arena_info_args before;
	struct arena_info_args info;
};

FIXTURE_VARIANT(mark)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(mark, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(mark, zero)
{
	.flags = ARENA_SETUP_ZERO,
};

FIXTURE_SETUP(mark)
{
	self->fd = arena_create_mapped(CAPACITY, SLAB, variant->flags, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(mark)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clauses 4, 12: expects that @expression fails with @err and changes nothing */
#define refused(err, expression) do {						\
		ASSERT_EQ(0, arena_info(self->fd, &self->before));		\
		EXPECT_EQ(err, expression);					\
		EXPECT_TRUE(arena_unchanged(self->fd, &self->before));		\
	} while (0)

/*
 * clauses 7, 12: a rewind restores all numbers that INFO reports except those that never decrease;
 * the memory stays mapped
 */
TEST_F(mark, rewind_to_mark_restores_counts)
{
	struct arena_batch_item item[3] = { { .bytes = 5 }, { .bytes = 3 * SLAB }, { .bytes = 1 } };
	int round;

	ASSERT_EQ(0, arena_store(self->fd, "kept", 5, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	EXPECT_EQ(self->before.generation, self->mark[0].generation);
	EXPECT_EQ(self->before.high, self->mark[0].offset);
	EXPECT_EQ(self->before.used, self->mark[0].used);
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, arena_store(self->fd, "freed", 6, &self->offset));
		EXPECT_EQ(8, self->offset);
		ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
		ASSERT_EQ(0, arena_batch(self->fd, item, 3, 0, NULL));
		ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		EXPECT_EQ(self->before.used, self->info.used);
		EXPECT_EQ(self->before.high, self->info.high);
		EXPECT_EQ(self->before.padding, self->info.padding);
		EXPECT_EQ(self->before.free, self->info.free);
		EXPECT_LT(self->before.generation, self->info.generation);
		EXPECT_EQ(self->before.resets, self->info.resets);
		EXPECT_EQ(1 + 6 * (round + 1), self->info.allocs);
		EXPECT_LT(5 * SLAB, self->info.peak);
		EXPECT_STREQ("kept", self->map);
		EXPECT_STREQ("freed", self->map + 8);
		/*
		 * A second rewind to the mark changes no number, because no object was allocated
		 * since the first rewind.
		 */
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		EXPECT_EQ(self->before.used, self->info.used);
		EXPECT_EQ(self->before.high, self->info.high);
	}
}

/* clause 6: ARENA_ALLOC_ZERO zeroes memory that a rewind has freed */
TEST_F(mark, alloc_zero_after_rewind_zeroed)
{
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 1000, &self->offset));
	memset(self->map + self->offset, 0xff, 1000);
	ASSERT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, arena_alloc_flags(self->fd, 1000, 0, ARENA_ALLOC_ZERO, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 0, 1000));
}

/*
 * clause 12: a rewind to a mark makes later marks stale, and leaves the mark itself and earlier
 * marks valid
 */
TEST_F(mark, rewind_to_nested_marks_inner_estale)
{
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[i]));
		ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	}
	for (i = 5; i >= 2; i--) {
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[i]));
		EXPECT_EQ(8 * i, arena_used(self->fd));
		ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	}
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	for (i = 1; i < 6; i++)
		refused(-ESTALE, arena_rewind(self->fd, self->mark[i]));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	EXPECT_EQ(0, arena_used(self->fd));
}

/* clause 12: marks are stale after a reset in any mode */
TEST_F(mark, rewind_after_reset_estale)
{
	__u32 mode;

	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_STRICT; mode++) {
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		ASSERT_EQ(0, arena_rewind(self->fd, self->mark[0]));
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[1]));
		ASSERT_EQ(0, arena_reset(self->fd, mode, 0));
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		refused(-ESTALE, arena_rewind(self->fd, self->mark[0]));
		refused(-ESTALE, arena_rewind(self->fd, self->mark[1]));
	}
}

/* clause 12: any process may rewind to a mark */
TEST_F(mark, rewind_by_another_process_ok)
{
	pid_t pid;

	ASSERT_EQ(0, arena_alloc(self->fd, 16, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 16, NULL));
	pid = fork();
	if (!pid)
		_exit(arena_alloc(self->fd, 8, NULL) || arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, wait_for(pid));
	EXPECT_EQ(16, arena_used(self->fd));
}

/* clauses 12, 18: REWIND refuses a mark with a wrong generation, offset, count or flag */
TEST_F(mark, rewind_to_forged_mark_refused)
{
	int bit;

	ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	for (bit = 0; bit < 64; bit++) {
		self->mark[1] = self->mark[0];
		self->mark[1].generation ^= 1ULL << bit;
		refused(-ESTALE, arena_rewind(self->fd, self->mark[1]));
		self->mark[1] = self->mark[0];
		self->mark[1].offset = 40 + (1ULL << bit);
		refused(-ESTALE, arena_rewind(self->fd, self->mark[1]));
		self->mark[1].used = self->mark[1].offset + 1;
		refused(-EINVAL, arena_rewind(self->fd, self->mark[1]));
		self->mark[1] = self->mark[0];
		self->mark[1].flags = bit < 32 ? 1U << bit : 1;
		refused(-EINVAL, arena_rewind(self->fd, self->mark[1]));
	}
	refused(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_REWIND, NULL));
	refused(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_MARK, NULL));
}

/* clauses 12, 17: MARK and REWIND need the rights to allocate and to reset */
TEST_F(mark, mark_without_right_eacces)
{
	const __u32 all = ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | ARENA_RIGHT_ALLOC |
			  ARENA_RIGHT_RESET;
	int fd = arena_dup(self->fd, all & ~ARENA_RIGHT_RESET);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	refused(-EACCES, arena_mark(fd, &self->mark[1]));
	refused(-EACCES, arena_rewind(fd, self->mark[0]));
	close(fd);
}

static_assert(sizeof(struct arena_mark_args) == 32, "mark");

TEST_HARNESS_MAIN
