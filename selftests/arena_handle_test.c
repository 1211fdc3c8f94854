// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_IOC_HANDLE and ARENA_IOC_DEREF (clause 13). DEREF must refuse forged handles, and
 * must never again accept the handle of a freed object. This file is also built as a 32-bit
 * program.
 */
#include "kselftest_harness.h"
#include <assert.h>
#include "arena_calls.h"

#define CAPACITY	(64 * SLAB)
#define FLOORS		4		/* an arena keeps the offsets of this many rewinds */

FIXTURE(handle)
{
	int fd;
	__u64 offset;
	__u64 found;
	struct arena_mark_args mark;
	struct name name;
};

FIXTURE_VARIANT(handle)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(handle, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(handle, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(handle)
{
	self->fd = arena_create(CAPACITY, SLAB, variant->flags);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(handle)
{
	close(self->fd);
}

/* clause 13: DEREF of a handle to an object's first or last byte returns the offset of that byte */
TEST_F(handle, deref_of_live_object_same_offset)
{
	static const __u64 sizes[] = { 1, 8, 100, 4096, SLAB, SLAB + 1, 3 * SLAB };
	unsigned int i;

	for (i = 0; i < 20; i++) {
		__u64 size = sizes[i % ARRAY_SIZE(sizes)];

		ASSERT_EQ(0, arena_alloc(self->fd, size, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &self->name));
		ASSERT_EQ(0, arena_deref(self->fd, self->name, &self->found));
		EXPECT_EQ(self->offset, self->found);
		ASSERT_EQ(0, arena_handle(self->fd, self->offset + size - 1, &self->name));
		ASSERT_EQ(0, arena_deref(self->fd, self->name, &self->found));
		EXPECT_EQ(self->offset + size - 1, self->found);
	}
}

/* clause 13: HANDLE refuses an offset at which no object lies */
TEST_F(handle, handle_of_unallocated_offset_erange)
{
	static const __u64 far[] = { CAPACITY - 1, CAPACITY, 1ULL << 40, 1ULL << 63, ~0ULL };
	struct arena_info_args info;
	unsigned int i;

	EXPECT_EQ(-ERANGE, arena_handle(self->fd, 0, &self->name));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(0, arena_handle(self->fd, info.high - 1, &self->name));
	EXPECT_EQ(-ERANGE, arena_handle(self->fd, info.high, &self->name));
	for (i = 0; i < ARRAY_SIZE(far); i++)
		EXPECT_EQ(-ERANGE, arena_handle(self->fd, far[i], &self->name));
}

/* clause 13: after a reset, a handle is stale, even if a new object lies at its offset */
TEST_F(handle, deref_after_reset_estale)
{
	struct name old[30];
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(old); n++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &old[n]));
		EXPECT_EQ(0, arena_deref(self->fd, old[n], NULL));
		for (i = 0; i < n; i++)
			EXPECT_EQ(-ESTALE, arena_deref(self->fd, old[i], NULL));
		ASSERT_EQ(0, arena_reset(self->fd, n % 3, 0));
		for (i = 0; i <= n; i++)
			EXPECT_EQ(-ESTALE, arena_deref(self->fd, old[i], NULL));
	}
}

/* clause 13: DEREF refuses a handle with another generation or with an offset beyond all objects */
TEST_F(handle, deref_forged_handle_refused)
{
	struct arena_info_args info;
	struct name forged;
	int bit;

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
	ASSERT_EQ(0, arena_handle(self->fd, self->offset, &self->name));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	for (bit = 0; bit < 64; bit++) {
		forged = self->name;
		forged.generation ^= 1ULL << bit;
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
		forged = self->name;
		forged.generation += 1ULL << bit;
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
		forged = self->name;
		forged.offset ^= 1ULL << bit;
		if (forged.offset >= info.high)
			EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
		forged.offset = ~(1ULL << bit);
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
	}
	forged = (struct name) { 0, 0 };
	EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
	forged = (struct name) { ~0ULL, ~0ULL };
	EXPECT_EQ(-ESTALE, arena_deref(self->fd, forged, NULL));
	EXPECT_EQ(0, arena_deref(self->fd, self->name, NULL));
}

/* clause 13: another process that shares the arena can use a handle */
TEST_F(handle, deref_in_another_process_ok)
{
	pid_t pid;

	ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
	ASSERT_EQ(0, arena_handle(self->fd, self->offset, &self->name));
	pid = fork();
	if (!pid)
		_exit(arena_deref(self->fd, self->name, &self->found) ||
		      self->found != self->offset);
	EXPECT_EQ(0, wait_for(pid));
}

/* clause 17: HANDLE and DEREF need no right */
TEST_F(handle, deref_without_right_ok)
{
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);
	int writer = arena_dup(self->fd, ARENA_RIGHT_ALLOC);

	ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
	EXPECT_EQ(0, arena_handle(reader, self->offset, &self->name));
	EXPECT_EQ(0, arena_deref(writer, self->name, &self->found));
	EXPECT_EQ(self->offset, self->found);
	close(reader);
	close(writer);
}

/* clause 18: HANDLE and DEREF refuse unknown flags */
TEST_F(handle, handle_unknown_flags_einval)
{
	struct arena_handle_args args = { .size = sizeof(args) };
	int bit;

	ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_HANDLE, &args));
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_DEREF, &args));
	}
}

/*
 * clauses 12, 13: handles of objects that a rewind freed are stale for ever; the handle of an
 * object below the mark is not
 */
TEST_F(handle, deref_after_rewind_estale)
{
	struct name below, above[300], inside;
	unsigned int i, n;

	if (variant->flags & ARENA_SETUP_SPANS) {
		EXPECT_EQ(-EOPNOTSUPP, arena_mark(self->fd, &self->mark));
		return;
	}
	ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
	ASSERT_EQ(0, arena_handle(self->fd, self->offset, &below));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	for (n = 0; n < ARRAY_SIZE(above); n++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &above[n]));
		EXPECT_EQ(0, arena_deref(self->fd, above[n], NULL));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset + 63, &inside));
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark));
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, above[n], NULL));
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		for (i = 0; i <= n; i++)
			EXPECT_EQ(-ESTALE, arena_deref(self->fd, above[i], NULL));
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, inside, NULL));
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark));
		EXPECT_EQ(0, arena_deref(self->fd, below, &self->found));
		EXPECT_EQ(0, self->found);
	}
}

/*
 * clause 13: in each round, the test makes a lasting object and, above it, a temporary object,
 * which a rewind frees. The handle of a lasting object stays valid for as many rewinds as
 * documented.
 */
TEST_F(handle, deref_after_many_rewinds_stays_live)
{
	struct name stays[3 * FLOORS], scratch[3 * FLOORS];
	unsigned int i, n, alive = 0;

	if (variant->flags & ARENA_SETUP_SPANS) {
		EXPECT_EQ(-EOPNOTSUPP, arena_mark(self->fd, &self->mark));
		return;
	}
	for (n = 0; n < ARRAY_SIZE(stays); n++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 8, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &stays[n]));
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
		ASSERT_EQ(0, arena_alloc(self->fd, 800, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &scratch[n]));
		ASSERT_EQ(0, arena_rewind(self->fd, self->mark));
		/*
		 * All rewinds were to offsets above the first object, so its handle is still valid.
		 */
		EXPECT_EQ(0, arena_deref(self->fd, stays[0], NULL));
		for (i = n < FLOORS ? 0 : n - FLOORS + 2; i <= n; i++) {
			ASSERT_EQ(0, arena_deref(self->fd, stays[i], &self->found));
			EXPECT_EQ(8 * i, self->found);
		}
		for (i = 0; i <= n; i++)
			alive += !arena_deref(self->fd, scratch[i], NULL);
	}
	EXPECT_EQ(0, alive);
	/*
	 * After rewinds to more than FLOORS offsets, DEREF reports the handle of the second object
	 * stale although the object lives. HANDLE still makes a new handle of the object.
	 */
	ASSERT_EQ(0, arena_handle(self->fd, 8, &self->name));
	ASSERT_EQ(0, arena_deref(self->fd, self->name, &self->found));
	EXPECT_EQ(8, self->found);
}

/* clauses 12, 13: rewinds before a reset do not affect handles that HANDLE makes after the reset */
TEST_F(handle, deref_after_rewind_and_reset_ok)
{
	struct name first;
	int i;

	if (variant->flags & ARENA_SETUP_SPANS) {
		EXPECT_EQ(-EOPNOTSUPP, arena_mark(self->fd, &self->mark));
		return;
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		ASSERT_EQ(0, arena_handle(self->fd, 0, &first));
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
		ASSERT_EQ(0, arena_alloc(self->fd, 64, &self->offset));
		ASSERT_EQ(0, arena_handle(self->fd, self->offset, &self->name));
		EXPECT_EQ(0, arena_deref(self->fd, self->name, NULL));
		ASSERT_EQ(0, arena_rewind(self->fd, self->mark));
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, self->name, NULL));
		EXPECT_EQ(0, arena_deref(self->fd, first, NULL));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
		ASSERT_EQ(0, arena_alloc(self->fd, 256, NULL));
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, self->name, NULL));
		EXPECT_EQ(-ESTALE, arena_deref(self->fd, first, NULL));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
		/* Rewind to offset 0. */
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
		ASSERT_EQ(0, arena_alloc(self->fd, 64, NULL));
		ASSERT_EQ(0, arena_rewind(self->fd, self->mark));
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	}
}

static_assert(sizeof(struct arena_handle_args) == 32, "handle");

TEST_HARNESS_MAIN
