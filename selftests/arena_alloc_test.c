// SPDX-License-Identifier: GPL-2.0
/*
 * Tests allocation, accounting and resets through /dev/arena, by one process and by several at once
 * (clauses 1, 4 to 10 and 16).
 */
#include "kselftest_harness.h"
#include "arena_test.h"

#define CAPACITY	(64 * SLAB)
#define WORKERS		4

FIXTURE(space)
{
	int fd;
	char *map;
	__u64 offset;
	struct arena_info_args info;
};

FIXTURE_VARIANT(space)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(space, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(space, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_SETUP(space)
{
	self->fd = arena_create_mapped(CAPACITY, SLAB, variant->flags, &self->map);
	ASSERT_LE(0, self->fd);
}

/* clause 7: after any test, used, padding and free add up to the capacity */
FIXTURE_TEARDOWN(space)
{
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(CAPACITY, self->info.used + self->info.padding + self->info.free);
	EXPECT_EQ(self->info.used, arena_used(self->fd));
	EXPECT_GE(self->info.high, self->info.used);
	EXPECT_GE(self->info.peak, self->info.high);
	EXPECT_EQ(self->info.committed, self->info.slabs * self->info.slab_size);
	EXPECT_GE(self->info.committed_peak, self->info.committed);
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clause 7: ARENA_IOC_OFFSET reports the sum of all sizes, and 0 after a reset */
TEST_F(space, offset_after_stores_is_sum_of_sizes)
{
	__u64 a = 100, b = 200;

	EXPECT_EQ(0, arena_used(self->fd));
	ASSERT_EQ(0, arena_store(self->fd, &a, sizeof(a), &self->offset));
	EXPECT_EQ(100, *(__u64 *)(self->map + self->offset));
	ASSERT_EQ(0, arena_store(self->fd, &b, sizeof(b), &self->offset));
	EXPECT_EQ(200, *(__u64 *)(self->map + self->offset));
	EXPECT_EQ(16, arena_used(self->fd));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(0, arena_used(self->fd));
}

/* clauses 1, 7: the default alignment is 8, and ARENA_IOC_OFFSET counts sizes without rounding */
TEST_F(space, alloc_odd_sizes_aligned_to_8)
{
	__u64 bytes, total = 0;

	for (bytes = 1; bytes < 100; bytes++) {
		ASSERT_EQ(0, arena_alloc(self->fd, bytes, &self->offset));
		EXPECT_EQ(0, self->offset % 8);
		total += bytes;
		EXPECT_EQ(total, arena_used(self->fd));
	}
}

/* clause 1: an object has the alignment that the caller asked for */
TEST_F(space, alloc_with_alignment_aligned)
{
	__u64 align, end = 0;

	for (align = 1; align <= SLAB; align *= 2) {
		ASSERT_EQ(0, arena_alloc_flags(self->fd, 3, align, 0, &self->offset));
		EXPECT_EQ(0, self->offset % align);
		EXPECT_LE(end, self->offset);
		end = self->offset + 3;
	}
	EXPECT_GE(CAPACITY, end);
}

/* clauses 1, 5: an object may be larger than a slab, up to the capacity */
TEST_F(space, alloc_larger_than_slab_ok)
{
	__u64 offset;

	ASSERT_EQ(0, arena_alloc(self->fd, 3 * SLAB + 5, &offset));
	EXPECT_EQ(0, offset % sysconf(_SC_PAGESIZE));
	memset(self->map + offset, 0x5a, 3 * SLAB + 5);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, &self->offset));
	EXPECT_LE(offset + 3 * SLAB + 5, self->offset);
	memset(self->map + self->offset, 0xa5, 8);
	EXPECT_TRUE(all_bytes(self->map + offset, 0x5a, 3 * SLAB + 5));
	EXPECT_EQ(3 * SLAB + 5 + 8, arena_used(self->fd));

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, &offset));
	EXPECT_EQ(0, offset);
	EXPECT_EQ(CAPACITY, arena_used(self->fd));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, 1, NULL));
}

/* clauses 4, 16: ALLOC succeeds up to the whole capacity, and then fails and changes nothing */
TEST_F(space, alloc_when_full_enospc)
{
	unsigned int i;

	for (i = 0; i < CAPACITY / 4096; i++)
		ASSERT_EQ(0, arena_alloc(self->fd, 4096, NULL));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, 1, NULL));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, 4096, NULL));
	EXPECT_EQ(CAPACITY, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.free);
	EXPECT_EQ(2, self->info.fail_space);
	EXPECT_EQ(CAPACITY / 4096, self->info.allocs);
}

/*
 * clause 4: after an allocation has failed for lack of space, a smaller allocation still succeeds
 */
TEST_F(space, alloc_after_failure_uses_the_rest)
{
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY - SLAB, NULL));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, SLAB + 1, NULL));
	EXPECT_EQ(CAPACITY - SLAB, arena_used(self->fd));
	EXPECT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	EXPECT_EQ(CAPACITY, arena_used(self->fd));
}

/* clause 6: ARENA_ALLOC_ZERO zeroes memory that was used before */
TEST_F(space, alloc_zero_in_used_memory_zeroed)
{
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, &self->offset));
	memset(self->map, 0xff, CAPACITY);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc_flags(self->fd, 1000, 0, ARENA_ALLOC_ZERO, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 0, 1000));
	ASSERT_EQ(0, arena_alloc_flags(self->fd, 3 * SLAB, 0, ARENA_ALLOC_ZERO, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 0, 3 * SLAB));
}

/* clauses 1, 24: STORE copies all bytes, whatever their number and the alignment of the source */
TEST_F(space, store_any_size_copies)
{
	static const __u64 sizes[] = { 1, 7, 8, 63, 4096, 4097, SLAB - 1, SLAB, SLAB + 1,
				       5 * SLAB + 3, ARENA_STORE_MAX };
	const size_t room = ARENA_STORE_MAX + ARRAY_SIZE(sizes);
	char *src = malloc(room);
	unsigned int i;

	ASSERT_NE(NULL, src);
	for (i = 0; i < room; i++)
		src[i] = i * 7 + i / 251;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, arena_store(self->fd, src + i, sizes[i], &self->offset));
		EXPECT_EQ(0, memcmp(self->map + self->offset, src + i, sizes[i]));
	}
	free(src);
}

/*
 * clauses 8, 9: after a keep reset, objects lie in the slabs that the arena kept, and the module
 * allocates no page
 */
TEST_F(space, reset_keep_reuses_slabs)
{
	struct arena_info_args before;

	ASSERT_EQ(0, arena_alloc(self->fd, 10 * SLAB, &self->offset));
	memset(self->map, 'x', 10 * SLAB);
	ASSERT_EQ(0, arena_info(self->fd, &before));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(0, arena_used(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, 10 * SLAB, &self->offset));
	EXPECT_EQ(0, self->offset);
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(before.page_allocs, self->info.page_allocs);
	EXPECT_EQ(before.committed, self->info.committed);
	EXPECT_LT(before.generation, self->info.generation);
	EXPECT_EQ(before.resets + 1, self->info.resets);
}

/*
 * clauses 8, 9: a release reset keeps as many slabs as hold the number of bytes that the caller
 * passes, and frees all others
 */
TEST_F(space, reset_release_frees_slabs)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 10 * SLAB, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(10 * SLAB, self->info.committed);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 3 * SLAB - 1));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(3 * SLAB, self->info.committed);
	EXPECT_EQ(3, self->info.slabs_kept);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, ~0ULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(3 * SLAB, self->info.committed);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);
	EXPECT_EQ(0, arena_used(self->fd));
}

/* clauses 6, 9: a zero reset zeroes the memory that was used, and keeps the slabs */
TEST_F(space, reset_zero_zeroes)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 10 * SLAB, NULL));
	memset(self->map, 'x', 10 * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_ZERO, 0));
	EXPECT_TRUE(all_bytes(self->map, 0, 10 * SLAB));
	EXPECT_EQ(0, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(10 * SLAB, self->info.committed);
}

/* clause 13: each reset raises the generation, and all calls report the same generation */
TEST_F(space, generation_after_reset_grows)
{
	struct arena_reset_args reset = { .size = sizeof(reset) };
	struct arena_alloc_args alloc = { .size = sizeof(alloc), .bytes = 8 };
	__u64 last = 0;
	int i;

	for (i = 0; i < 10; i++) {
		reset.mode = i % 3;
		ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_RESET, &reset));
		EXPECT_LT(last, reset.generation);
		last = reset.generation;
		ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_ALLOC, &alloc));
		EXPECT_EQ(last, alloc.generation);
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		EXPECT_EQ(last, self->info.generation);
	}
}

/*
 * clauses 1, 13: small objects, for which the ioctl has a fast path, do not overlap, in several
 * slabs and generations; each call reports the offset and the generation of its object
 */
TEST_F(space, alloc_words_places_disjoint)
{
	struct arena_alloc_args alloc = { .size = sizeof(alloc), .bytes = 64 };
	const __u64 count = 3 * SLAB / 64;
	__u64 i, round;

	for (round = 1; round <= 6; round++) {
		ASSERT_EQ(0, arena_reset(self->fd, round % 3, 0));
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		for (i = 0; i < count; i++) {
			ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_ALLOC, &alloc));
			ASSERT_EQ(self->info.generation, alloc.generation);
			ASSERT_EQ(0, alloc.offset % 8);
			ASSERT_GE(CAPACITY - 64, alloc.offset);
			ASSERT_NE(round, *(__u64 *)(self->map + alloc.offset));
			ASSERT_NE(round, *(__u64 *)(self->map + alloc.offset + 56));
			*(__u64 *)(self->map + alloc.offset) = round;
			*(__u64 *)(self->map + alloc.offset + 56) = round;
			if (!variant->flags)
				ASSERT_EQ(i * 64, alloc.offset);
		}
		EXPECT_EQ(count * 64, arena_used(self->fd));
	}
}

/* The contents of an object: its first three words determine the words in @fill. */
struct record {
	__u32 owner;
	__u32 nr;
	__u32 bytes;
	__u32 fill[];
};

static void record_fill(struct record *record, __u32 owner, __u32 nr, __u32 bytes)
{
	unsigned int i;

	record->owner = owner;
	record->nr = nr;
	record->bytes = bytes;
	for (i = 0; i < (bytes - sizeof(*record)) / 4; i++)
		record->fill[i] = owner << 24 ^ nr << 8 ^ i;
}

static bool record_ok(const struct record *record, __u32 owner, __u32 nr, __u32 bytes)
{
	unsigned int i;

	if (record->owner != owner || record->nr != nr || record->bytes != bytes)
		return false;
	for (i = 0; i < (bytes - sizeof(*record)) / 4; i++)
		if (record->fill[i] != (owner << 24 ^ nr << 8 ^ i))
			return false;
	return true;
}

#define RECORD_MAX	220U

static __u32 record_bytes(__u32 owner, __u32 nr)
{
	return sizeof(struct record) + 4 * ((owner * 31 + nr * 17) % 52);
}

/*
 * Stores records until there are @limit or the arena is full, and then checks all of them. Adds the
 * bytes of the records to @total, which lies in memory shared with the parent process.
 */
static int worker(int fd, char *map, __u32 owner, __u64 *total, __u32 limit)
{
	__u64 *offsets = calloc(limit, sizeof(*offsets));
	char copy[RECORD_MAX];
	__u32 nr, bytes, i;
	int err;

	if (!offsets)
		return 10;
	for (nr = 0; nr < limit; nr++) {
		bytes = record_bytes(owner, nr);
		if (nr & 1) {
			err = arena_alloc(fd, bytes, &offsets[nr]);
		} else {
			record_fill((void *)copy, owner, nr, bytes);
			err = arena_store(fd, copy, bytes, &offsets[nr]);
		}
		if (err == -ENOSPC)
			break;
		if (err || offsets[nr] % 8 || offsets[nr] + bytes > CAPACITY)
			return 11;
		if (nr & 1)
			record_fill((void *)(map + offsets[nr]), owner, nr, bytes);
		*total += bytes;
	}
	for (i = 0; i < nr; i++)
		if (!record_ok((void *)(map + offsets[i]), owner, i, record_bytes(owner, i)))
			return 12;
	return 0;
}

static __u64 run_workers(struct __test_metadata *_metadata, int fd, char *map, __u32 limit)
{
	__u64 *totals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[WORKERS];
	__u64 sum = 0;
	int i;

	ASSERT_NE(MAP_FAILED, totals);
	for (i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(worker(fd, map, i + 1, &totals[i], limit));
	}
	for (i = 0; i < WORKERS; i++) {
		EXPECT_EQ(0, wait_for(pids[i]));
		sum += totals[i];
	}
	munmap(totals, 4096);
	return sum;
}

/*
 * clauses 1, 7: objects of several processes do not overlap, and ARENA_IOC_OFFSET reports exactly
 * the sum of their sizes, in several rounds with a reset after each
 */
TEST_F_TIMEOUT(space, alloc_by_processes_disjoint, 120)
{
	int round;

	for (round = 0; round < 4; round++) {
		__u64 sum = run_workers(_metadata, self->fd, self->map, 2000);

		EXPECT_EQ(sum, arena_used(self->fd));
		EXPECT_LT(0, sum);
		ASSERT_EQ(0, arena_reset(self->fd, round % 3, 0));
	}
}

/*
 * clauses 1, 7, 16: objects of several processes do not overlap when the processes fill the arena
 */
TEST_F_TIMEOUT(space, alloc_by_processes_until_full_disjoint, 120)
{
	__u64 sum = run_workers(_metadata, self->fd, self->map, CAPACITY / 32);

	EXPECT_EQ(sum, arena_used(self->fd));
	EXPECT_LT(CAPACITY / 2, sum);
}

/*
 * clause 16: where there is room for N objects, N racing allocations succeed and the next
 * allocation fails; in an arena with spans, at most N succeed
 */
TEST_F_TIMEOUT(space, alloc_by_processes_exact_capacity, 120)
{
	const unsigned int n = CAPACITY / 1024;
	unsigned int i, *made;
	pid_t pids[WORKERS];

	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, made);
	for (i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		while (!arena_alloc(self->fd, 1024, NULL))
			made[i]++;
		_exit(0);
	}
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, wait_for(pids[i]));
	if (!(variant->flags & ARENA_SETUP_SPANS))
		EXPECT_EQ(n, made[0] + made[1] + made[2] + made[3]);
	EXPECT_GE(n, made[0] + made[1] + made[2] + made[3]);
	EXPECT_EQ(1024ULL * (made[0] + made[1] + made[2] + made[3]), arena_used(self->fd));
	EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, 1024, NULL));
	munmap(made, 4096);
}

/* clause 10: keep, release and zero resets race with allocations; the arena stays consistent */
TEST_F_TIMEOUT(space, reset_beside_allocations_consistent, 120)
{
	char record[512] = {};
	unsigned int i, resets;
	pid_t pids[WORKERS];

	for (i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (;;) {
			int err = i & 1 ? arena_alloc(self->fd, 3000 * i, NULL) :
					  arena_store(self->fd, record, sizeof(record), NULL);

			if (err && err != -ENOSPC)
				_exit(13);
		}
	}
	for (resets = 0; more_rounds(resets, 300); resets++)
		EXPECT_EQ(0, arena_reset(self->fd, resets % 3,
					 resets % 5 * SLAB * (resets % 3 == 1)));
	for (i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGKILL);
		EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	}
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(resets + 1, self->info.resets);
	EXPECT_EQ(0, self->info.used);
	EXPECT_EQ(0, self->info.committed);
	EXPECT_EQ(self->info.page_allocs, self->info.page_frees);
	ASSERT_EQ(0, arena_alloc(self->fd, CAPACITY, NULL));
}

TEST_HARNESS_MAIN
