// SPDX-License-Identifier: GPL-2.0
/*
 * Makes ioctls with the 32-bit calling convention from a 64-bit program: on x86, any program may
 * use int 0x80. This way, the driver's compat_ioctl is also tested on machines that cannot build
 * 32-bit programs (clause 18).
 */
#include "kselftest_harness.h"
#include "arena_calls.h"

#ifdef __x86_64__

#define NR_IOCTL_32	54
#define NR_GETPID_32	20

static int call_32(int nr, int a, unsigned int b, unsigned int c)
{
	int ret;

	asm volatile("int $0x80" : "=a" (ret) : "a" (nr), "b" (a), "c" (b), "d" (c) :
		     "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static int gate_works(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(call_32(NR_GETPID_32, 0, 0, 0) == getpid() ? 0 : 1);
	return wait_for(pid) == 0;
}

FIXTURE(compat)
{
	int fd;
	char *low;		/* memory below 4 GiB */
	char *map;
};

FIXTURE_SETUP(compat)
{
	if (!gate_works())
		SKIP(return, "this kernel runs no 32 bit programs");
	self->low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(compat)
{
	close(self->fd);
}

#define ioctl_32(cmd) call_32(NR_IOCTL_32, self->fd, cmd, (unsigned long)self->low)

/*
 * clause 18: commands of the first version give 32-bit programs the same results as 64-bit programs
 */
TEST_F(compat, command_of_first_version_same_result)
{
	struct arena_setup_args setup = { .size = sizeof(setup), .capacity = 4 * SLAB };
	struct arena_store_args store = { .size = sizeof(store), .bytes = 5 };
	struct arena_alloc_args alloc = { .size = sizeof(alloc), .bytes = 100, .align = 64 };
	struct arena_offset_args offset = { .size = sizeof(offset) };
	struct arena_reset_args reset = { .size = sizeof(reset), .mode = ARENA_RESET_RELEASE,
					  .keep = SLAB };
	struct arena_info_args info = { .size = sizeof(info) };
	struct arena_dup_args dup = { .size = sizeof(dup), .rights = ARENA_RIGHT_READ };

	memcpy(self->low, &setup, sizeof(setup));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_SETUP));
	EXPECT_EQ(-EBUSY, ioctl_32(ARENA_IOC_SETUP));
	self->map = arena_map(self->fd, 4 * SLAB, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);

	store.src = (unsigned long)self->low + 1000;
	put_string(self->low + 1000, "thin");
	memcpy(self->low, &store, sizeof(store));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_STORE));
	memcpy(&store, self->low, sizeof(store));
	EXPECT_STREQ("thin", self->map + store.offset);

	memcpy(self->low, &alloc, sizeof(alloc));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_ALLOC));
	memcpy(&alloc, self->low, sizeof(alloc));
	EXPECT_EQ(64, alloc.offset);
	EXPECT_EQ(store.generation, alloc.generation);

	memcpy(self->low, &offset, sizeof(offset));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_OFFSET));
	memcpy(&offset, self->low, sizeof(offset));
	EXPECT_EQ(105, offset.offset);
	EXPECT_EQ(164, offset.high);

	memcpy(self->low, &info, sizeof(info));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_INFO));
	memcpy(&info, self->low, sizeof(info));
	EXPECT_EQ(4 * SLAB, info.capacity);
	EXPECT_EQ(2, info.allocs);

	memcpy(self->low, &dup, sizeof(dup));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_DUP));
	memcpy(&dup, self->low, sizeof(dup));
	EXPECT_EQ(105, arena_used(dup.fd));
	EXPECT_EQ(-EACCES, arena_alloc(dup.fd, 8, NULL));
	close(dup.fd);

	memcpy(self->low, &reset, sizeof(reset));
	ASSERT_EQ(0, ioctl_32(ARENA_IOC_RESET));
	memcpy(&reset, self->low, sizeof(reset));
	EXPECT_LT(alloc.generation, reset.generation);
	EXPECT_EQ(0, arena_used(self->fd));
}

/*
 * Copies @args to @low, which lies below 4 GiB, makes the ioctl @cmd with @low, and copies the
 * result back to @args.
 */
static int call_copied(int fd, char *low, unsigned int cmd, void *args, size_t size)
{
	int err;

	memcpy(low, args, size);
	err = call_32(NR_IOCTL_32, fd, cmd, (unsigned long)low);
	memcpy(args, low, size);
	return err;
}

/* clause 18: commands of later versions give 32-bit programs the same results as 64-bit programs */
TEST_F(compat, command_of_later_version_same_result)
{
	struct arena_batch_args batch = { .size = sizeof(batch), .count = 3,
					  .item_size = sizeof(struct arena_batch_item) };
	struct arena_batch_item *item = (void *)(self->low + 1024);
	struct arena_lease_args lease = { .size = sizeof(lease), .min = 8, .want = 800 };
	struct arena_mark_args mark = { .size = sizeof(mark) };
	struct arena_handle_args handle = { .size = sizeof(handle), .offset = 8 };
	struct arena_watch_args watch = { .size = sizeof(watch), .mark = 1 << 20 };
	struct arena_notify_args notify = { .size = sizeof(notify) };
	struct arena_commit_args commit = { .size = sizeof(commit), .bytes = 3 * SLAB };
	struct arena_query_args query = { .size = sizeof(query) }, same = query;
	struct arena_seal_args seal = { .size = sizeof(seal) };
	struct arena_info_args info;

	self->map = arena_map(self->fd, 4 * SLAB, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	batch.items = (unsigned long)item;
	put_string(self->low + 2048, "thin");
	item[0] = (struct arena_batch_item) { .bytes = 1 };
	item[1] = (struct arena_batch_item) { .bytes = 5,
					      .src = (unsigned long)self->low + 2048 };
	item[2] = (struct arena_batch_item) { .bytes = 1 };
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_BATCH, &batch, sizeof(batch)));
	EXPECT_EQ(8, item[1].offset);
	EXPECT_EQ(16, item[2].offset);
	EXPECT_STREQ("thin", self->map + 8);

	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_HANDLE, &handle, sizeof(handle)));
	handle.offset = 0;
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_DEREF, &handle, sizeof(handle)));
	EXPECT_EQ(8, handle.offset);
	handle.handle_offset |= 1ULL << 39;
	EXPECT_EQ(-ESTALE,
		  call_copied(self->fd, self->low, ARENA_IOC_DEREF, &handle, sizeof(handle)));

	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_MARK, &mark, sizeof(mark)));
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_LEASE, &lease, sizeof(lease)));
	EXPECT_EQ(24, lease.offset);
	EXPECT_EQ(800, lease.bytes);
	EXPECT_EQ(807, arena_used(self->fd));
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_REWIND, &mark, sizeof(mark)));
	EXPECT_EQ(7, arena_used(self->fd));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	EXPECT_EQ(-ESTALE, call_copied(self->fd, self->low, ARENA_IOC_REWIND, &mark, sizeof(mark)));

	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_WATCH, &watch, sizeof(watch)));
	EXPECT_EQ(0, watch.offset);
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_NOTIFY, &notify, sizeof(notify)));
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_COMMIT, &commit, sizeof(commit)));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(3 * SLAB, info.committed);
	commit.node = 1;
	EXPECT_EQ(-EINVAL,
		  call_copied(self->fd, self->low, ARENA_IOC_COMMIT, &commit, sizeof(commit)));

	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_QUERY, &query));
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_QUERY, &same, sizeof(same)));
	EXPECT_EQ(0, memcmp(&query, &same, sizeof(query)));

	EXPECT_EQ(-EBUSY, call_copied(self->fd, self->low, ARENA_IOC_SEAL, &seal, sizeof(seal)));
	munmap(self->map, 4 * SLAB);
	ASSERT_EQ(0, call_copied(self->fd, self->low, ARENA_IOC_SEAL, &seal, sizeof(seal)));
	EXPECT_EQ(-EPERM,
		  call_copied(self->fd, self->low, ARENA_IOC_LEASE, &lease, sizeof(lease)));
}

/* clause 18: a call with a bad struct fails with the same errno for 32-bit and 64-bit callers */
TEST_F(compat, command_bad_struct_refused)
{
	struct arena_alloc_args alloc = { .size = sizeof(alloc), .bytes = 8 };

	EXPECT_EQ(-ENOTTY, ioctl_32(_IO(ARENA_IOC_MAGIC, 99)));
	EXPECT_EQ(-EFAULT, call_32(NR_IOCTL_32, self->fd, ARENA_IOC_ALLOC, 0));
	EXPECT_EQ(-EFAULT, call_32(NR_IOCTL_32, self->fd, ARENA_IOC_ALLOC, -4096U));
	memcpy(self->low, &alloc, sizeof(alloc));
	*(__u32 *)self->low = sizeof(alloc) - 1;
	EXPECT_EQ(-EINVAL, ioctl_32(ARENA_IOC_ALLOC));
	*(__u32 *)self->low = sizeof(alloc) + 8;
	EXPECT_EQ(0, ioctl_32(ARENA_IOC_ALLOC));
	self->low[sizeof(alloc) + 7] = 1;
	EXPECT_EQ(-E2BIG, ioctl_32(ARENA_IOC_ALLOC));
	EXPECT_EQ(8, arena_used(self->fd));
}

#else

TEST(command_32_bit_unavailable)
{
	SKIP(return, "no way to make 32 bit calls from this program");
}

#endif

TEST_HARNESS_MAIN
