// SPDX-License-Identifier: GPL-2.0
/*
 * Tests ARENA_IOC_BATCH, which allocates many objects, all or none (clauses 1, 4, 5, 7, 18 and 24).
 * This file is also built as a 32-bit program.
 */
#include "kselftest_harness.h"
#include <assert.h>
#include <pthread.h>
#include "arena_calls.h"

#define CAPACITY	(64 * SLAB)

FIXTURE(batch)
{
	int fd;
	char *map;
	struct arena_batch_item *item;
	struct arena_info_args before;
	struct arena_info_args info;
};

FIXTURE_VARIANT(batch)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(batch, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(batch, spans)
{
	.flags = ARENA_SETUP_SPANS,
};

FIXTURE_VARIANT_ADD(batch, zero)
{
	.flags = ARENA_SETUP_ZERO,
};

FIXTURE_SETUP(batch)
{
	self->fd = arena_create_mapped(CAPACITY, SLAB, variant->flags, &self->map);
	ASSERT_LE(0, self->fd);
	self->item = calloc(ARENA_BATCH_MAX + 1, sizeof(*self->item));
	ASSERT_NE(NULL, self->item);
}

FIXTURE_TEARDOWN(batch)
{
	free(self->item);
	munmap(self->map, CAPACITY);
	close(self->fd);
}

static bool sums_up(const struct arena_info_args *info)
{
	return info->used + info->padding + info->free == info->capacity;
}

/* clauses 1, 7: a batch's objects lie one behind another, aligned, and INFO sums up their sizes */
TEST_F(batch, batch_of_sizes_in_order)
{
	static const __u64 sizes[] = { 1, 7, 8, 9, 100, 4096, 3, 64 };
	__u64 end = 0, sum = 0, generation;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		self->item[i].bytes = sizes[i];
		sum += sizes[i];
	}
	ASSERT_EQ(0, arena_batch(self->fd, self->item, ARRAY_SIZE(sizes), 64, &generation));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ((end + 63) & ~63ULL, self->item[i].offset);
		EXPECT_EQ(sizes[i], self->item[i].bytes);
		EXPECT_EQ(0, self->item[i].src);
		end = self->item[i].offset + sizes[i];
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(sum, self->info.used);
	EXPECT_EQ(end, self->info.high);
	EXPECT_EQ(ARRAY_SIZE(sizes), self->info.allocs);
	EXPECT_EQ(generation, self->info.generation);
	EXPECT_TRUE(sums_up(&self->info));
}

/* clause 1: the default alignment is 8; with an alignment of 1, a batch has no gaps */
TEST_F(batch, batch_with_alignment_aligned)
{
	__u64 align, at;
	unsigned int i;

	for (i = 0; i < 100; i++)
		self->item[i].bytes = 5;
	ASSERT_EQ(0, arena_batch(self->fd, self->item, 100, 0, NULL));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(8 * i, self->item[i].offset);
	for (align = 1; align <= SLAB; align *= 2) {
		ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
		ASSERT_EQ(0, arena_batch(self->fd, self->item, 20, align, NULL));
		for (i = 0, at = 0; i < 20; i++, at += align > 5 ? align : 5 + (-5 & (align - 1)))
			EXPECT_EQ(at, self->item[i].offset);
	}
}

/* clause 16: if nothing else is left in an arena, a batch uses the unused bytes of a span */
TEST(batch_when_full_takes_span_tail)
{
	struct arena_batch_item item[3] = {
		{ .bytes = 100, .src = (unsigned long)"tail" }, { .bytes = 8 }, { .bytes = 24 },
	};
	struct arena_info_args info, full;
	int fd = arena_create(SLAB, SLAB, ARENA_SETUP_SPANS);
	unsigned int i;
	char *map;

	ASSERT_LE(0, fd);
	map = arena_map(fd, SLAB, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	/*
	 * Make this CPU take a span, a stretch from which it allocates small objects. Then
	 * allocate all bytes behind the span.
	 */
	ASSERT_EQ(0, arena_alloc(fd, 8, NULL));
	for (i = SLAB; i && arena_batch(fd, &(struct arena_batch_item) { .bytes = i }, 1, 8, NULL);)
		i -= 4096;
	ASSERT_NE(0, i);
	EXPECT_EQ(0, arena_batch(fd, item, 3, 16, NULL));
	ASSERT_EQ(0, arena_info(fd, &info));
	EXPECT_EQ(8 + i + 132, info.used);
	EXPECT_EQ(1 + 1 + 3, info.allocs);
	EXPECT_TRUE(sums_up(&info));
	EXPECT_STREQ("tail", map + item[0].offset);
	EXPECT_EQ(item[0].offset + 112, item[1].offset);
	EXPECT_EQ(item[1].offset + 16, item[2].offset);
	/* A batch that needs more space than the arena has left fails. */
	item[0].bytes = SLAB / 2;
	item[0].src = 0;
	ASSERT_EQ(0, arena_info(fd, &full));
	EXPECT_EQ(-ENOSPC, arena_batch(fd, item, 3, 16, NULL));
	EXPECT_TRUE(arena_unchanged(fd, &full));
	munmap(map, SLAB);
	close(fd);
}

/*
 * clause 24: in a batch, the kernel copies the source of each item that has a source, even if other
 * items have none
 */
TEST_F(batch, batch_with_sources_copies)
{
	static const char * const words[] = { "some", "things", NULL, "to", "be", NULL, "stored" };
	unsigned int i, n = ARRAY_SIZE(words);

	for (i = 0; i < n; i++) {
		self->item[i].bytes = words[i] ? strlen(words[i]) + 1 : 24;
		self->item[i].src = (unsigned long)words[i];
	}
	ASSERT_EQ(0, arena_batch(self->fd, self->item, n, 0, NULL));
	for (i = 0; i < n; i++)
		if (words[i])
			EXPECT_STREQ(words[i], self->map + self->item[i].offset);
}

/*
 * clauses 1, 16: a batch fills the current slab before it uses the next slab, and an object that
 * fits into a slab does not cross the end of a slab
 */
TEST_F(batch, batch_larger_than_slab_fills_slabs)
{
	unsigned int i, n = 2000;
	__u64 end = 0, sum = 0;

	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	for (i = 0; i < n; i++) {
		self->item[i].bytes = 1 + i % 300;
		self->item[i].src = (unsigned long)self->item;
		sum += self->item[i].bytes;
	}
	ASSERT_EQ(0, arena_batch(self->fd, self->item, n, 0, NULL));
	EXPECT_GT(SLAB, self->item[0].offset);
	for (i = 0; i < n; i++) {
		__u64 at = self->item[i].offset;

		EXPECT_EQ(0, at % 8);
		EXPECT_LE(end, at);
		if (i)
			EXPECT_GE(end + 300, at);
		end = at + self->item[i].bytes;
		EXPECT_EQ(at / SLAB, (end - 1) / SLAB);
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(100 + sum, self->info.used);
	EXPECT_EQ(1 + n, self->info.allocs);
	EXPECT_EQ(end, self->info.high);
	EXPECT_TRUE(sums_up(&self->info));
	/* The next object lies behind the batch. */
	ASSERT_EQ(0, arena_batch(self->fd, self->item, 1, 0, NULL));
	EXPECT_LE(end, self->item[0].offset);
}

/* clause 1: some objects of a batch may be larger than a slab */
TEST_F(batch, batch_of_large_objects_ok)
{
	static const __u64 sizes[] = { 10, 3 * SLAB + 5, 10, SLAB, 10, SLAB + 1 };
	char *bytes = malloc(3 * SLAB + 5);
	unsigned int i;

	ASSERT_NE(NULL, bytes);
	memset(bytes, 'b', 3 * SLAB + 5);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		self->item[i].bytes = sizes[i];
		self->item[i].src = (unsigned long)bytes;
	}
	ASSERT_EQ(0, arena_batch(self->fd, self->item, ARRAY_SIZE(sizes), 0, NULL));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_TRUE(all_bytes(self->map + self->item[i].offset, 'b', sizes[i]));
		if (sizes[i] >= SLAB)
			EXPECT_EQ(0, self->item[i].offset % SLAB);
	}
	/*
	 * clause 1: a batch with an object larger than a slab may ask for an alignment of at most a
	 * page
	 */
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	EXPECT_EQ(-EINVAL, arena_batch(self->fd, self->item, ARRAY_SIZE(sizes),
				       2 * sysconf(_SC_PAGESIZE), NULL));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	EXPECT_EQ(0, arena_batch(self->fd, self->item, ARRAY_SIZE(sizes),
				 sysconf(_SC_PAGESIZE), NULL));
	free(bytes);
}

/* clause 6: ARENA_ALLOC_ZERO and ARENA_SETUP_ZERO zero objects of a batch that have no source */
TEST_F(batch, batch_zero_in_used_memory_zeroed)
{
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)self->item,
		.item_size = sizeof(*self->item),
		.count = 1000,
		.flags = ARENA_ALLOC_ZERO,
	};
	unsigned int i;
	__u64 all;

	ASSERT_EQ(0, arena_alloc(self->fd, 8 * SLAB, &all));
	memset(self->map + all, 0xff, 8 * SLAB);
	for (i = 0; i < args.count; i++) {
		self->item[i].bytes = 300;
		self->item[i].src = i % 7 ? 0 : (unsigned long)self->item;
	}
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
	for (i = 0; i < args.count; i++) {
		bool zero = all_bytes(self->map + self->item[i].offset, 0, 300);

		EXPECT_EQ(i % 7 != 0, zero);
	}
	if (!(variant->flags & ARENA_SETUP_ZERO))
		return;
	memset(self->map, 0xff, 8 * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	args.flags = 0;
	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
	for (i = 0; i < args.count; i++)
		if (i % 7)
			EXPECT_TRUE(all_bytes(self->map + self->item[i].offset, 0, 300));
}

/* clauses 4, 16: a batch that exceeds the capacity by one byte allocates nothing */
TEST_F(batch, batch_too_large_by_a_byte_enospc)
{
	unsigned int i;

	for (i = 0; i < ARENA_BATCH_MAX; i++)
		self->item[i].bytes = CAPACITY / ARENA_BATCH_MAX;
	ASSERT_EQ(0, arena_alloc(self->fd, 1, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	EXPECT_EQ(-ENOSPC, arena_batch(self->fd, self->item, ARENA_BATCH_MAX, 0, NULL));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(1, self->info.fail_space);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(0, arena_batch(self->fd, self->item, ARENA_BATCH_MAX, 0, NULL));
	EXPECT_EQ(CAPACITY, arena_used(self->fd));
	EXPECT_EQ(-ENOSPC, arena_batch(self->fd, self->item, 1, 0, NULL));
}

/*
 * clauses 4, 5: the kernel refuses a batch whose sum of sizes would wrap, with and without sources
 */
TEST_F(batch, batch_with_wrapping_sum_enospc)
{
	static const __u64 bad[] = { CAPACITY + 1, 1ULL << 32, 1ULL << 40, 1ULL << 63, ~0ULL,
				     ~0ULL - 7, -SLAB };
	unsigned int i, j;

	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (j = 0; j < 4; j++) {
			self->item[j].bytes = bad[i];
			self->item[j].src = 0;
			EXPECT_EQ(-ENOSPC, arena_batch(self->fd, self->item, j + 1, 0, NULL));
			self->item[j].src = (unsigned long)self->item;
			EXPECT_EQ(-EMSGSIZE, arena_batch(self->fd, self->item, j + 1, 0, NULL));
			self->item[j].bytes = 8;
			self->item[j].src = 0;
		}
	}
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
}

/*
 * clause 24: all sources of a batch together may have at most ARENA_STORE_MAX bytes; its objects
 * may have more
 */
TEST_F(batch, batch_copies_too_much_emsgsize)
{
	char *bytes = malloc(ARENA_STORE_MAX);

	ASSERT_NE(NULL, bytes);
	memset(bytes, 'm', ARENA_STORE_MAX);
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	self->item[0] = (struct arena_batch_item) { .bytes = ARENA_STORE_MAX / 2,
						    .src = (unsigned long)bytes };
	self->item[1] = (struct arena_batch_item) { .bytes = ARENA_STORE_MAX };
	self->item[2] = (struct arena_batch_item) { .bytes = ARENA_STORE_MAX / 2 + 1,
						    .src = (unsigned long)bytes };
	EXPECT_EQ(-EMSGSIZE, arena_batch(self->fd, self->item, 3, 0, NULL));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	self->item[2].bytes--;
	EXPECT_EQ(0, arena_batch(self->fd, self->item, 3, 0, NULL));
	EXPECT_EQ(2 * ARENA_STORE_MAX, arena_used(self->fd));
	EXPECT_TRUE(all_bytes(self->map + self->item[2].offset, 'm', ARENA_STORE_MAX / 2));
	free(bytes);
}

/* clauses 4, 18: the kernel refuses a batch with a single bad argument */
TEST_F(batch, batch_bad_argument_refused)
{
	const struct arena_batch_args good = {
		.size = sizeof(good),
		.items = (unsigned long)self->item,
		.item_size = sizeof(*self->item),
		.count = 3,
	};
	static const __u64 aligns[] = { 3, 6, 24, SLAB - 1, 2 * SLAB, 1ULL << 32, 1ULL << 63,
					~0ULL };
	struct arena_batch_args args;
	unsigned int i;

#define refused(err, member, value) do {					\
		args = good;							\
		args.member = value;						\
		EXPECT_EQ(err, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));	\
		EXPECT_TRUE(arena_unchanged(self->fd, &self->before));		\
	} while (0)

	for (i = 0; i < 3; i++)
		self->item[i].bytes = 8;
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	for (i = 1; i < 32; i++)
		refused(-EINVAL, flags, 1U << i);
	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		refused(-EINVAL, align, aligns[i]);
	refused(-EINVAL, count, 0);
	refused(-EINVAL, count, ARENA_BATCH_MAX + 1);
	refused(-EINVAL, count, ~0U);
	refused(-EINVAL, item_size, 0);
	refused(-EINVAL, item_size, sizeof(struct arena_batch_item) - 1);
	refused(-E2BIG, item_size, sysconf(_SC_PAGESIZE) + 1);
	refused(-E2BIG, item_size, ~0U);
	refused(-EFAULT, items, 0);
	refused(-EFAULT, items, -4096ULL);
	refused(-EFAULT, items, (unsigned long)self->item | 1ULL << 63);
	for (i = 0; i < 3; i++) {
		self->item[i].bytes = 0;
		refused(-EINVAL, flags, 0);
		self->item[i].bytes = 8;
		self->item[i].src = 8;
		refused(-EFAULT, flags, 0);
		self->item[i].src = (unsigned long)self->item | 1ULL << 63;
		refused(-EFAULT, flags, 0);
		self->item[i].src = 0;
	}
	args = good;
	EXPECT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
}

/*
 * clause 18: the kernel accepts items that are longer than its own if all additional bytes are zero
 */
TEST_F(batch, batch_longer_items_ok)
{
	struct long_item {
		struct arena_batch_item known;
		char unknown[40];
	} *item = calloc(5, sizeof(*item));
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)item,
		.item_size = sizeof(*item),
		.count = 5,
	};
	unsigned int i;

	ASSERT_NE(NULL, item);
	for (i = 0; i < 5; i++)
		item[i].known.bytes = 8;
	item[4].unknown[39] = 1;
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	item[4].unknown[39] = 0;
	item[0].unknown[0] = 1;
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	item[0].unknown[0] = 0;
	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_BATCH, &args));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(8 * i, item[i].known.offset);
		EXPECT_TRUE(all_bytes(item[i].unknown, 0, 40));
	}
	free(item);
}

/* clauses 4, 24: a batch with unwritable items or unreadable sources fails with EFAULT */
TEST_F(batch, batch_unmapped_items_or_source_efault)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct arena_batch_item *at = (void *)(two + page);
	int i;

	ASSERT_NE(MAP_FAILED, two);
	for (i = 1; i <= 10; i++)
		at[-i].bytes = 8;
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	ASSERT_EQ(0, mprotect(two, page, PROT_READ));
	EXPECT_EQ(-EFAULT, arena_batch(self->fd, at - 10, 10, 0, NULL));
	ASSERT_EQ(0, mprotect(two, page, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(two + page, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, arena_batch(self->fd, at - 10, 11, 0, NULL));
	at[-1].src = (unsigned long)two + page - 7;
	EXPECT_EQ(-EFAULT, arena_batch(self->fd, at - 10, 10, 0, NULL));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	at[-1].src--;
	EXPECT_EQ(0, arena_batch(self->fd, at - 10, 10, 0, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	/*
	 * Move the items up by 8 bytes, so that the offset of the last item lies in the page
	 * without access and the kernel cannot write it.
	 */
	memmove((char *)at - 232, (char *)at - 240, 232);
	EXPECT_EQ(-EFAULT, arena_batch(self->fd, (void *)((char *)at - 232), 10, 0, NULL));
	EXPECT_TRUE(arena_unchanged(self->fd, &self->before));
	munmap(two, 2 * page);
}

/*
 * clause 24: items and sources may lie in a mapping of the arena: a page fault on them takes the
 * revocation lock, so the kernel must not access them under that lock
 */
TEST_F(batch, batch_items_in_the_arena_ok)
{
	struct arena_batch_item *item;
	unsigned int i;
	__u64 at;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, &at));
	item = (void *)(self->map + at);
	memset(item, 'i', SLAB);
	for (i = 0; i < 100; i++) {
		item[i] = (struct arena_batch_item) {
			.bytes = 100,
			.src = (unsigned long)item + SLAB / 2 + 100 * i,
		};
	}
	ASSERT_EQ(0, madvise(self->map, CAPACITY, MADV_DONTNEED));
	ASSERT_EQ(0, arena_batch(self->fd, item, 100, 0, NULL));
	for (i = 0; i < 100; i++)
		EXPECT_TRUE(all_bytes(self->map + item[i].offset, 'i', 100));
	EXPECT_EQ(SLAB + 100 * 100, arena_used(self->fd));
}

/* clause 17: a batch needs the right to allocate and no other right */
TEST_F(batch, batch_without_alloc_right_eacces)
{
	int may = arena_dup(self->fd, ARENA_RIGHT_ALLOC);
	int may_not = arena_dup(self->fd, ARENA_RIGHTS_ALL & ~ARENA_RIGHT_ALLOC);

	self->item[0].bytes = 8;
	ASSERT_LE(0, may);
	ASSERT_LE(0, may_not);
	EXPECT_EQ(0, arena_batch(may, self->item, 1, 0, NULL));
	EXPECT_EQ(-EACCES, arena_batch(may_not, self->item, 1, 0, NULL));
	EXPECT_EQ(8, arena_used(self->fd));
	close(may);
	close(may_not);
}

#define BATCH	50

/*
 * Allocates batches and single objects, and checks the bytes of each batch. Counts the bytes of all
 * objects in (*made)[0], and their number in (*made)[1].
 */
static int many_batches(int fd, char *map, int nr, __u64 (*made)[2])
{
	struct arena_batch_item item[BATCH];
	char mine[300];
	int round, i;

	memset(mine, nr, sizeof(mine));
	for (round = 0; round < 150; round++) {
		__u64 generation;

		for (i = 0; i < BATCH; i++)
			item[i] = (struct arena_batch_item) {
				.bytes = 1 + (i * 7 + round) % 300,
				.src = (unsigned long)mine,
			};
		if (arena_batch(fd, item, BATCH, 0, &generation))
			return 1;
		for (i = 0; i < BATCH; i++) {
			if (!all_bytes(map + item[i].offset, nr, item[i].bytes))
				return 2;
			(*made)[0] += item[i].bytes;
			(*made)[1]++;
		}
		if (arena_store(fd, mine, 1, NULL))
			return 3;
		(*made)[0]++;
		(*made)[1]++;
	}
	return 0;
}

/* clauses 1, 7: batches of several processes do not overlap, and INFO counts them exactly */
TEST_F_TIMEOUT(batch, batch_by_processes_disjoint, 120)
{
	__u64 (*made)[2] = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u64 sum = 0, objects = 0;
	pid_t pid[3];
	unsigned int i;

	ASSERT_NE(MAP_FAILED, made);
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(many_batches(self->fd, self->map, i + 1, &made[i]));
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		EXPECT_EQ(0, wait_for(pid[i]));
		sum += made[i][0];
		objects += made[i][1];
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(sum, self->info.used);
	EXPECT_EQ(objects, self->info.allocs);
	EXPECT_TRUE(sums_up(&self->info));
	munmap(made, 4096);
}

/*
 * Allocates batches until *@stop is set. Returns 1 if a batch fails with an error other than
 * ENOSPC.
 */
static int batches_until_stopped(int fd, int *stop)
{
	struct arena_batch_item item[BATCH];
	char mine[3000];
	int i, err;

	memset(mine, 0xee, sizeof(mine));
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < BATCH; i++)
			item[i] = (struct arena_batch_item) { .bytes = sizeof(mine),
							      .src = (unsigned long)mine };
		err = arena_batch(fd, item, BATCH, 0, NULL);
		if (err && err != -ENOSPC)
			return 1;
	}
	return 0;
}

/*
 * clause 10: batches race with resets of the modes KEEP, RELEASE and ZERO; afterwards, what INFO
 * reports as used is a multiple of the size of an object
 */
TEST_F_TIMEOUT(batch, batch_beside_resets_consistent, 120)
{
	int *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);
	unsigned int round, mode;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, stop);
	ASSERT_LE(0, reader);
	pid = fork();
	if (!pid)
		_exit(batches_until_stopped(self->fd, stop));
	for (round = 0; more_rounds(round, 300); round++) {
		mode = round % 3;
		EXPECT_EQ(0, arena_reset(self->fd, mode, 0));
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, wait_for(pid));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_TRUE(sums_up(&self->info));
	EXPECT_EQ(0, self->info.used % 3000);
	munmap(stop, 4096);
	close(reader);
}

static_assert(sizeof(struct arena_batch_args) == 40, "batch");
static_assert(sizeof(struct arena_batch_item) == 24, "item");

TEST_HARNESS_MAIN
