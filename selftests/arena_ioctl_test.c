// SPDX-License-Identifier: GPL-2.0
/*
 * Tests bad arguments of the ioctls of /dev/arena: each call has one bad argument and is valid
 * otherwise (clauses 4, 5, 17 and 18). This file is also built as a 32-bit program.
 */
#include "kselftest_harness.h"
#include <assert.h>
#include "arena_calls.h"

static char something[64] = "something to store";

static void fill_setup(void *buf)
{
	struct arena_setup_args *args = buf;

	args->capacity = 1 << 20;
}

static void fill_alloc(void *buf)
{
	struct arena_alloc_args *args = buf;

	args->bytes = 64;
}

static void fill_store(void *buf)
{
	struct arena_store_args *args = buf;

	args->src = (unsigned long)something;
	args->bytes = sizeof(something);
}

static void fill_nothing(void *buf)
{
}

static void fill_dup(void *buf)
{
	struct arena_dup_args *args = buf;

	args->rights = ARENA_RIGHT_READ;
}

static struct arena_batch_item one_item = { .bytes = 8 };

static void fill_batch(void *buf)
{
	struct arena_batch_args *args = buf;

	one_item.src = (unsigned long)something;
	args->items = (unsigned long)&one_item;
	args->count = 1;
	args->item_size = sizeof(one_item);
}

static void fill_lease(void *buf)
{
	struct arena_lease_args *args = buf;

	args->min = 64;
	args->want = 128;
}

/*
 * The harness runs each test of this fixture for each command, with a valid struct at the beginning
 * of @buf.
 */
FIXTURE(command)
{
	int fd;
	long page;
	char *buf;			/* two pages; the page behind them is not mapped */
	struct arena_info_args before;
};

FIXTURE_VARIANT(command)
{
	unsigned int cmd;
	__u32 size;			/* the struct's size, the same in all versions so far */
	bool out;			/* whether the kernel writes a result to the struct */
	void (*fill)(void *buf);
	/*
	 * Makes the calls that must precede the command, such as MARK before REWIND, and fills @buf
	 * with their results.
	 */
	int (*prepare)(int fd, void *buf);
};

static int make_mark(int fd, void *buf)
{
	return arena_mark(fd, buf);
}

static int make_object(int fd, void *buf)
{
	return arena_alloc(fd, 64, NULL);
}

static int make_name(int fd, void *buf)
{
	struct arena_handle_args *args = buf;
	struct name name = { 0, 0 };
	int err = arena_alloc(fd, 64, NULL) ?: arena_handle(fd, 32, &name);

	args->handle_generation = name.generation;
	args->handle_offset = name.offset;
	return err;
}

FIXTURE_VARIANT_ADD(command, setup)
{
	.cmd = ARENA_IOC_SETUP, .size = 56, .fill = fill_setup,
};

FIXTURE_VARIANT_ADD(command, alloc)
{
	.cmd = ARENA_IOC_ALLOC, .size = 40, .out = true, .fill = fill_alloc,
};

FIXTURE_VARIANT_ADD(command, store)
{
	.cmd = ARENA_IOC_STORE, .size = 48, .out = true, .fill = fill_store,
};

FIXTURE_VARIANT_ADD(command, offset)
{
	.cmd = ARENA_IOC_OFFSET, .size = 32, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, reset)
{
	.cmd = ARENA_IOC_RESET, .size = 32, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, info)
{
	.cmd = ARENA_IOC_INFO, .size = 208, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, query)
{
	.cmd = ARENA_IOC_QUERY, .size = 96, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, dup)
{
	.cmd = ARENA_IOC_DUP, .size = 16, .out = true, .fill = fill_dup,
};

FIXTURE_VARIANT_ADD(command, batch)
{
	.cmd = ARENA_IOC_BATCH, .size = 40, .out = true, .fill = fill_batch,
};

FIXTURE_VARIANT_ADD(command, lease)
{
	.cmd = ARENA_IOC_LEASE, .size = 56, .out = true, .fill = fill_lease,
};

FIXTURE_VARIANT_ADD(command, commit)
{
	.cmd = ARENA_IOC_COMMIT, .size = 24, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, seal)
{
	.cmd = ARENA_IOC_SEAL, .size = 8, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, mark)
{
	.cmd = ARENA_IOC_MARK, .size = 32, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, rewind)
{
	.cmd = ARENA_IOC_REWIND, .size = 32, .out = false, .fill = fill_nothing,
	.prepare = make_mark,
};

FIXTURE_VARIANT_ADD(command, handle)
{
	.cmd = ARENA_IOC_HANDLE, .size = 32, .out = true, .fill = fill_nothing,
	.prepare = make_object,
};

FIXTURE_VARIANT_ADD(command, deref)
{
	.cmd = ARENA_IOC_DEREF, .size = 32, .out = true, .fill = fill_nothing,
	.prepare = make_name,
};

FIXTURE_VARIANT_ADD(command, watch)
{
	.cmd = ARENA_IOC_WATCH, .size = 32, .out = true, .fill = fill_nothing,
};

FIXTURE_VARIANT_ADD(command, notify)
{
	.cmd = ARENA_IOC_NOTIFY, .size = 8, .fill = fill_nothing,
};

FIXTURE_SETUP(command)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->buf = mmap(NULL, 3 * self->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, munmap(self->buf + 2 * self->page, self->page));
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	variant->fill(self->buf);
	*(__u32 *)self->buf = variant->size;
	if (variant->prepare)
		ASSERT_EQ(0, variant->prepare(self->fd, self->buf));
	/*
	 * SETUP fails after any other call on the arena, so the tests of SETUP make no INFO call.
	 */
	if (variant->cmd != ARENA_IOC_SETUP)
		ASSERT_EQ(0, arena_info(self->fd, &self->before));
}

FIXTURE_TEARDOWN(command)
{
	close(self->fd);
	munmap(self->buf, 2 * self->page);
}

/*
 * Returns whether a failed call changed nothing. If the call was SETUP, another SETUP must succeed.
 */
static bool unchanged(int fd, const struct arena_info_args *before, unsigned int cmd)
{
	struct arena_info_args now;
	int next;

	if (cmd == ARENA_IOC_SETUP)
		return arena_setup(fd, 1 << 20, 0, 0) == 0;
	if (arena_info(fd, &now) || memcmp(&now, before, sizeof(now)))
		return false;
	/* If the lowest free descriptor is @fd + 1, the call has left no descriptor open. */
	next = dup(fd);
	close(next);
	return next == fd + 1;
}

static void set_size(void *at, __u32 size)
{
	memcpy(at, &size, sizeof(size));
}

/* clause 18: the kernel accepts a struct of the first version, and writes the struct's size back */
TEST_F(command, command_valid_ok)
{
	EXPECT_EQ(0, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_EQ(variant->size, *(__u32 *)self->buf);
}

/* clause 18: the kernel refuses a size of 0 */
TEST_F(command, command_size_zero_einval)
{
	set_size(self->buf, 0);
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: the kernel refuses a struct that is shorter than the first version */
TEST_F(command, command_shorter_einval)
{
	__u32 size;

	for (size = 1; size < variant->size; size++) {
		set_size(self->buf, size);
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, variant->cmd, self->buf));
	}
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/*
 * clause 18: the kernel accepts a struct that is longer than its own if all additional bytes are
 * zero
 */
TEST_F(command, command_longer_zero_tail_ok)
{
	set_size(self->buf, variant->size + 24);
	EXPECT_EQ(0, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(all_bytes(self->buf + variant->size, 0, 24));
	EXPECT_EQ(variant->size + 24, *(__u32 *)self->buf);
}

/*
 * clause 18: the kernel refuses a struct longer than its own if the first additional byte is not 0
 */
TEST_F(command, command_longer_first_tail_byte_e2big)
{
	set_size(self->buf, variant->size + 24);
	self->buf[variant->size] = 1;
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: the kernel refuses a struct longer than its own if the last byte is not 0 */
TEST_F(command, command_longer_last_tail_byte_e2big)
{
	set_size(self->buf, variant->size + 24);
	self->buf[variant->size + 23] = 1;
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: the kernel accepts a struct that is as long as a page */
TEST_F(command, command_of_page_size_ok)
{
	set_size(self->buf, self->page);
	EXPECT_EQ(0, arena_ioctl(self->fd, variant->cmd, self->buf));
}

/* clause 18: the kernel refuses a struct that is longer than a page */
TEST_F(command, command_longer_than_page_e2big)
{
	set_size(self->buf, self->page + 1);
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: the kernel refuses the largest size that @size can name */
TEST_F(command, command_size_all_ones_e2big)
{
	set_size(self->buf, ~0U);
	EXPECT_EQ(-E2BIG, arena_ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

static const unsigned long nowhere[] = {
	0, 8, -8UL, -4096UL,
#ifdef __LP64__
	0xffff888000000000UL, 0x7ffffffffffcUL, 0x800000000000UL,
#endif
};

/* clause 18: a call with a struct that is not mapped fails with EFAULT */
TEST_F(command, command_unmapped_struct_efault)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nowhere); i++)
		EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, variant->cmd, (void *)nowhere[i]));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: a call fails with EFAULT if the struct's size can be read but not its last byte */
TEST_F(command, command_struct_ends_unmapped_efault)
{
	char *at = self->buf + 2 * self->page - variant->size + 8;

	memcpy(at, self->buf, variant->size - 8);
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, variant->cmd, at));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: a call fails with EFAULT if the last bytes of a longer struct cannot be read */
TEST_F(command, command_tail_ends_unmapped_efault)
{
	char *at = self->buf + 2 * self->page - variant->size;

	memcpy(at, self->buf, variant->size);
	set_size(at, variant->size + 8);
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, variant->cmd, at));
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clauses 4, 18: a call that cannot write its result changes nothing */
TEST_F(command, command_read_only_struct_efault)
{
	ASSERT_EQ(0, mprotect(self->buf, self->page, PROT_READ));
	EXPECT_EQ(variant->out ? -EFAULT : 0,
		  arena_ioctl(self->fd, variant->cmd, self->buf));
	if (variant->out)
		EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: the kernel refuses a command whose number encodes a size or a direction */
TEST_F(command, command_encoded_size_or_direction_enotty)
{
	unsigned int dirs[] = { _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE };
	unsigned int i, nr = _IOC_NR(variant->cmd);

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		EXPECT_EQ(-ENOTTY, arena_ioctl(self->fd, _IOC(dirs[i], ARENA_IOC_MAGIC, nr, 0),
					       self->buf));
		EXPECT_EQ(-ENOTTY, arena_ioctl(self->fd, _IOC(dirs[i], ARENA_IOC_MAGIC, nr,
							      variant->size), self->buf));
	}
	EXPECT_TRUE(unchanged(self->fd, &self->before, variant->cmd));
}

/* clause 18: unknown commands fail with ENOTTY */
TEST(command_unknown_enotty)
{
	char buf[256] = { 16 };
	int fd = arena_open();
	unsigned int nr;

	ASSERT_LE(0, fd);
	for (nr = _IOC_NR(ARENA_IOC_QUERY) + 1; nr < 256; nr++)
		EXPECT_EQ(-ENOTTY, arena_ioctl(fd, _IO(ARENA_IOC_MAGIC, nr), buf));
	for (nr = 0; nr <= _IOC_NR(ARENA_IOC_QUERY); nr++) {
		EXPECT_EQ(-ENOTTY, arena_ioctl(fd, _IO(ARENA_IOC_MAGIC - 1, nr), buf));
		EXPECT_EQ(-ENOTTY, arena_ioctl(fd, _IO(ARENA_IOC_MAGIC + 1, nr), buf));
	}
	close(fd);
}

/* clause 18: QUERY reports the commands that exist, and no others */
TEST(query_commands_are_those_that_exist)
{
	struct arena_query_args query = { .size = sizeof(query) };
	struct arena_notify_args none = { .size = 0 };
	int fd = arena_open(), err;
	unsigned int nr;

	ASSERT_EQ(0, arena_ioctl(fd, ARENA_IOC_QUERY, &query));
	for (nr = 0; nr < 64; nr++) {
		err = arena_ioctl(fd, _IO(ARENA_IOC_MAGIC, nr), &none);
		EXPECT_EQ(query.commands >> nr & 1 ? -EINVAL : -ENOTTY, err);
	}
	close(fd);
}

static int dup_and_close(int fd, __u32 rights)
{
	int other = arena_dup(fd, rights);

	return other < 0 ? other : close(other);
}

/* clause 18: each call accepts the flags and rights that QUERY reports, and refuses all others */
TEST(query_flags_are_those_accepted)
{
	struct arena_query_args query = { .size = sizeof(query) };
	int fd = arena_create(1 << 20, SLAB, 0), fresh;
	unsigned int bit;
	__u32 right;

	ASSERT_EQ(0, arena_ioctl(fd, ARENA_IOC_QUERY, &query));
	for (bit = 0; bit < 32; bit++) {
		right = 1U << bit | (bit == 1 ? ARENA_RIGHT_READ : 0);
		fresh = arena_open();
		ASSERT_LE(0, fresh);
		EXPECT_EQ(query.setup_flags >> bit & 1 ? 0 : -EINVAL,
			  arena_setup(fresh, 0, 0, 1U << bit));
		EXPECT_EQ(query.alloc_flags >> bit & 1 ? 0 : -EINVAL,
			  arena_alloc_flags(fd, 8, 0, 1U << bit, NULL));
		EXPECT_EQ(query.commit_flags >> bit & 1 ? 0 : -EINVAL,
			  arena_commit(fd, SLAB, 1U << bit, 0));
		EXPECT_EQ(query.reset_modes >> bit & 1 ? 0 : -EINVAL,
			  arena_reset(fd, bit, 0));
		EXPECT_EQ(query.rights >> bit & 1 ? 0 : -EINVAL, dup_and_close(fd, right));
		close(fresh);
	}
	close(fd);
}

/* Sets up a new arena with @capacity and @slab_size, and closes it; returns the result of SETUP. */
static int try_setup(__u64 capacity, __u64 slab_size)
{
	int fd = arena_open(), err = arena_setup(fd, capacity, slab_size, 0);

	close(fd);
	return err;
}

/*
 * clauses 5, 18: each call accepts the limit that QUERY reports, and refuses a value beyond the
 * limit
 */
TEST(query_limits_are_those_enforced)
{
	struct arena_query_args query = { .size = sizeof(query) };
	struct arena_batch_item *items;
	struct arena_info_args info;
	int fd = arena_open();
	__u64 first, second;
	char *source;

	ASSERT_EQ(0, arena_ioctl(fd, ARENA_IOC_QUERY, &query));
	EXPECT_EQ(page_size(), query.slab_size_min);
	EXPECT_EQ(0, try_setup(query.capacity_max, 0));
	EXPECT_EQ(-EFBIG, try_setup(query.capacity_max + 1, 0));
	EXPECT_EQ(0, try_setup(0, query.slab_size_min));
	EXPECT_EQ(-EINVAL, try_setup(0, query.slab_size_min / 2));
	EXPECT_EQ(0, try_setup(0, query.slab_size_max));
	EXPECT_EQ(-EINVAL, try_setup(0, query.slab_size_max * 2));

	/*
	 * QUERY does not count as use of the arena, so SETUP still succeeds here. This SETUP
	 * chooses the default sizes.
	 */
	ASSERT_EQ(0, arena_setup(fd, 0, 0, 0));
	ASSERT_EQ(0, arena_info(fd, &info));
	EXPECT_EQ(query.capacity_default, info.capacity);
	EXPECT_EQ(query.slab_size_default, info.slab_size);
	ASSERT_EQ(0, arena_alloc(fd, 1, &first));
	ASSERT_EQ(0, arena_alloc(fd, 1, &second));
	EXPECT_EQ(query.align_default, second - first);

	items = calloc(query.batch_max + 1, sizeof(*items));
	source = calloc(1, query.store_max + 1);
	for (first = 0; first <= query.batch_max; first++)
		items[first].bytes = 8;
	EXPECT_EQ(0, arena_batch(fd, items, query.batch_max, 0, NULL));
	EXPECT_EQ(-EINVAL, arena_batch(fd, items, query.batch_max + 1, 0, NULL));
	EXPECT_EQ(0, arena_store(fd, source, query.store_max, NULL));
	EXPECT_EQ(-EMSGSIZE, arena_store(fd, source, query.store_max + 1, NULL));
	free(items);
	free(source);
	close(fd);
}

/* clause 18: QUERY refuses a reserved field that is not zero */
TEST(query_reserved_einval)
{
	struct arena_query_args args = { .size = sizeof(args), .__reserved = 1 };
	int fd = arena_open();

	EXPECT_EQ(-EINVAL, arena_ioctl(fd, ARENA_IOC_QUERY, &args));
	close(fd);
}

FIXTURE(fresh)
{
	int fd;
};

FIXTURE_SETUP(fresh)
{
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(fresh)
{
	close(self->fd);
}

/* clause 17: INFO reports the values that the program gave to SETUP */
TEST_F(fresh, info_after_setup_reports_it)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.flags = ARENA_SETUP_SPANS | ARENA_SETUP_ZERO,
		.capacity = 3 << 20,
		.slab_size = 2 * page_size(),
		.name = "a name of thirty-one characters",
	};
	struct arena_info_args info;

	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(args.flags, info.flags);
	EXPECT_EQ(args.capacity, info.capacity);
	EXPECT_EQ(args.slab_size, info.slab_size);
	EXPECT_STREQ("a name of thirty-one characters", info.name);
	EXPECT_EQ(ARENA_RIGHTS_ALL, info.rights);
	EXPECT_EQ(0, info.used);
	EXPECT_EQ(args.capacity, info.free);
}

/* clause 17: without SETUP, an arena has the defaults */
TEST_F(fresh, info_without_setup_reports_default)
{
	struct arena_info_args info;

	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(64 << 20, info.capacity);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.committed);
	EXPECT_TRUE(all_bytes(info.name, 0, sizeof(info.name)));
}

/* clause 17: SETUP with a struct of zeroes gives the arena the defaults */
TEST_F(fresh, setup_of_zeroes_makes_default)
{
	struct arena_setup_args args = { .size = sizeof(args) };
	struct arena_info_args info;

	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
	ASSERT_EQ(0, arena_info(self->fd, &info));
	EXPECT_EQ(64 << 20, info.capacity);
}

/* clause 18: SETUP refuses unknown flags */
TEST_F(fresh, setup_unknown_flags_einval)
{
	unsigned int bit;

	for (bit = 2; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_setup(self->fd, 0, 0, 1U << bit));
	EXPECT_EQ(0, arena_setup(self->fd, 0, 0, 0));
}

/* clause 18: SETUP refuses a reserved field that is not zero */
TEST_F(fresh, setup_reserved_einval)
{
	struct arena_setup_args args = { .size = sizeof(args), .__reserved = 1 };

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
	EXPECT_EQ(0, arena_setup(self->fd, 0, 0, 0));
}

/* clause 21: SETUP refuses a capacity above the limit */
TEST_F(fresh, setup_too_large_efbig)
{
	EXPECT_EQ(-EFBIG, arena_setup(self->fd, 1ULL << 41, 0, 0));
	EXPECT_EQ(-EFBIG, arena_setup(self->fd, 1ULL << 63, 0, 0));
	EXPECT_EQ(-EFBIG, arena_setup(self->fd, ~0ULL, 0, 0));
	EXPECT_EQ(0, arena_setup(self->fd, 1, 0, 0));
}

/* clause 5: SETUP refuses slab sizes that are not powers of two or are out of bounds */
TEST_F(fresh, setup_bad_slab_size_einval)
{
	__u32 page = page_size(), bad[] = { 1, 8, page / 2, page - 1, page + 1, 3 * page, 1U << 22,
					1U << 31, ~0U };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, arena_setup(self->fd, 0, bad[i], 0));
	EXPECT_EQ(0, arena_setup(self->fd, 0, page, 0));
}

/*
 * clause 18: SETUP refuses names with a slash or bytes that are not printable, names without a
 * terminating zero, and names with other bytes behind the zero
 */
TEST_F(fresh, setup_bad_name_einval)
{
	struct arena_setup_args args = { .size = sizeof(args) };
	static const char * const bad[] = { "a/b", "..\n", "a\tb", "\x7f", "\xc3\xa4", "\x1b[2J" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		put_string(args.name, bad[i]);
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
		memset(args.name, 0, sizeof(args.name));
	}
	memset(args.name, 'x', sizeof(args.name));
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
	memset(args.name, 0, sizeof(args.name));
	args.name[5] = 'x';
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
	args.name[5] = 0;
	EXPECT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_SETUP, &args));
}

/* clause 17: a second SETUP fails */
TEST_F(fresh, setup_twice_ebusy)
{
	EXPECT_EQ(0, arena_setup(self->fd, 1 << 20, 0, 0));
	EXPECT_EQ(-EBUSY, arena_setup(self->fd, 1 << 20, 0, 0));
}

static int use_by_alloc(int fd)
{
	return arena_alloc(fd, 8, NULL);
}

static int use_by_store(int fd)
{
	return arena_store(fd, something, 8, NULL);
}

static int use_by_offset(int fd)
{
	return arena_used(fd) ? -1 : 0;
}

static int use_by_reset(int fd)
{
	return arena_reset(fd, ARENA_RESET_KEEP, 0);
}

static int use_by_info(int fd)
{
	struct arena_info_args info;

	return arena_info(fd, &info);
}

static int use_by_batch(int fd)
{
	return arena_batch(fd, &(struct arena_batch_item) { .bytes = 8 }, 1, 0, NULL);
}

static int use_by_mark(int fd)
{
	struct arena_mark_args mark;

	return arena_mark(fd, &mark);
}

/*
 * clause 17: a rewind counts as use of the arena even if the rewind fails because of a stale mark
 */
static int use_by_rewind(int fd)
{
	return arena_rewind(fd, (struct arena_mark_args) { .size = 32 }) != -ESTALE;
}

static int use_by_handle(int fd)
{
	struct name name = { 0, 0 };

	return arena_handle(fd, 0, &name) != -ERANGE;
}

static int use_by_deref(int fd)
{
	return arena_deref(fd, (struct name) { 0, 0 }, NULL) != -ESTALE;
}

static int use_by_lease(int fd)
{
	struct arena_lease_args args = { .size = sizeof(args), .min = 8, .want = 8 };

	return arena_ioctl(fd, ARENA_IOC_LEASE, &args);
}

static int use_by_commit(int fd)
{
	return arena_commit(fd, 0, 0, 0);
}

static int use_by_seal(int fd)
{
	return arena_seal(fd);
}

static int use_by_watch(int fd)
{
	struct arena_watch_args args = { .size = sizeof(args) };

	return arena_ioctl(fd, ARENA_IOC_WATCH, &args);
}

static int use_by_notify(int fd)
{
	struct arena_notify_args args = { .size = sizeof(args) };

	return arena_ioctl(fd, ARENA_IOC_NOTIFY, &args);
}

static int use_by_mmap(int fd)
{
	return !arena_map(fd, page_size(), PROT_READ, 0);
}

/* clause 17: SETUP fails after any call that used the arena */
TEST(setup_after_use_ebusy)
{
	int (*uses[])(int fd) = { use_by_alloc, use_by_store, use_by_offset, use_by_reset,
				  use_by_info, use_by_mmap, use_by_batch, use_by_mark,
				  use_by_rewind, use_by_handle, use_by_deref, use_by_lease,
				  use_by_watch, use_by_notify, use_by_commit, use_by_seal };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(uses); i++) {
		fd = arena_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, uses[i](fd));
		EXPECT_EQ(-EBUSY, arena_setup(fd, 1 << 20, 0, 0));
		close(fd);
	}
}

FIXTURE(idle)
{
	int fd;
	struct arena_info_args info;
};

FIXTURE_SETUP(idle)
{
	self->fd = arena_create(16 * SLAB, SLAB, 0);
	ASSERT_LE(0, self->fd);
}

/* The calls of these tests fail, so no call may have allocated an object or reset the arena. */
FIXTURE_TEARDOWN(idle)
{
	EXPECT_EQ(0, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.allocs);
	EXPECT_EQ(0, self->info.high);
	EXPECT_EQ(0, self->info.resets);
	close(self->fd);
}

/* clause 5: ALLOC refuses size 0 and counts the failure */
TEST_F(idle, alloc_size_zero_einval)
{
	EXPECT_EQ(-EINVAL, arena_alloc(self->fd, 0, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(1, self->info.fail_arg);
}

/*
 * clauses 4, 5: ALLOC refuses sizes above the capacity, including sizes for which offset plus size
 * would wrap
 */
TEST_F(idle, alloc_too_large_enospc)
{
	__u64 sizes[] = { 16 * SLAB + 1, 1ULL << 32, 1ULL << 40, 1ULL << 63, ~0ULL,
			  ~0ULL - 7, ~0ULL - 4095, -SLAB };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_EQ(-ENOSPC, arena_alloc(self->fd, sizes[i], NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);
}

/* clause 5: ALLOC refuses alignments that are not powers of two or exceed the size of a slab */
TEST_F(idle, alloc_bad_alignment_einval)
{
	__u64 aligns[] = { 3, 6, 7, 24, SLAB - 1, 2 * SLAB, 1ULL << 32, 1ULL << 63, ~0ULL,
			   (1ULL << 32) + 8 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		EXPECT_EQ(-EINVAL, arena_alloc_flags(self->fd, 8, aligns[i], 0, NULL));
}

/* clause 1: ALLOC refuses an alignment above a page for an object larger than a slab */
TEST_F(idle, alloc_large_bad_alignment_einval)
{
	EXPECT_EQ(-EINVAL, arena_alloc_flags(self->fd, 2 * SLAB, 2 * sysconf(_SC_PAGESIZE),
					     0, NULL));
}

/* clause 18: ALLOC refuses unknown flags */
TEST_F(idle, alloc_unknown_flags_einval)
{
	unsigned int bit;

	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_alloc_flags(self->fd, 8, 0, 1U << bit, NULL));
}

/* clause 5: STORE refuses size 0 */
TEST_F(idle, store_size_zero_einval)
{
	EXPECT_EQ(-EINVAL, arena_store(self->fd, something, 0, NULL));
}

/*
 * clause 24: STORE refuses more than ARENA_STORE_MAX bytes, which is the size of its buffer in the
 * kernel
 */
TEST_F(idle, store_too_large_emsgsize)
{
	EXPECT_EQ(-EMSGSIZE, arena_store(self->fd, something, ARENA_STORE_MAX + 1, NULL));
	EXPECT_EQ(-EMSGSIZE, arena_store(self->fd, something, ~0ULL, NULL));
	EXPECT_EQ(-EMSGSIZE, arena_store(self->fd, something, 1ULL << 32, NULL));
}

/*
 * clauses 5, 18: COMMIT refuses unknown flags, a reserved field that is not zero, bad nodes, and
 * too many bytes
 */
TEST_F(idle, commit_bad_argument_einval)
{
	struct arena_commit_args args = { .size = sizeof(args), .__reserved = 1 };
	unsigned int bit;

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_COMMIT, &args));
	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_commit(self->fd, SLAB, 1U << bit, 0));
	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_commit(self->fd, SLAB, 0, 1U << bit));
	for (bit = 10; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_commit(self->fd, SLAB, ARENA_COMMIT_NODE, 1U << bit));
	EXPECT_EQ(-EINVAL, arena_commit(self->fd, SLAB, ARENA_COMMIT_NODE, ~0U));
	for (bit = 0; bit < 40; bit++)
		EXPECT_EQ(-EINVAL, arena_commit(self->fd, 16 * SLAB + (1ULL << bit), 0, 0));
	EXPECT_EQ(-EINVAL, arena_commit(self->fd, ~0ULL, 0, 0));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.committed);
}

/* clause 18: SEAL refuses unknown flags */
TEST_F(idle, seal_unknown_flags_einval)
{
	struct arena_seal_args args = { .size = sizeof(args) };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_SEAL, &args));
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(0, self->info.flags);
}

/* clause 18: STORE refuses unknown flags */
TEST_F(idle, store_unknown_flags_einval)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)something,
		.bytes = 8,
	};
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_STORE, &args));
	}
}

/* clause 5: STORE refuses bad alignments */
TEST_F(idle, store_bad_alignment_einval)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)something,
		.bytes = 8,
		.align = 12,
	};

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_STORE, &args));
	args.align = 2 * SLAB;
	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_STORE, &args));
}

/* clauses 4, 24: STORE fails with EFAULT if its source is not mapped */
TEST_F(idle, store_unmapped_source_efault)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
		EXPECT_EQ(-EFAULT, arena_store(self->fd, (void *)nowhere[i], 64, NULL));
		EXPECT_EQ(-EFAULT, arena_store(self->fd, (void *)nowhere[i], ARENA_STORE_MAX,
					       NULL));
	}
}

/* clause 18: STORE uses all 64 bits of the source address, even for 32-bit callers */
TEST_F(idle, store_high_address_efault)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)something | 1ULL << 63,
		.bytes = 8,
	};

	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_STORE, &args));
}

/* clause 4: STORE fails with EFAULT if the second page of its source is not mapped */
TEST_F(idle, store_source_ends_unmapped_efault)
{
	long page = sysconf(_SC_PAGESIZE);
	char *src = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, src);
	ASSERT_EQ(0, munmap(src + page, page));
	EXPECT_EQ(-EFAULT, arena_store(self->fd, src, 2 * page, NULL));
	EXPECT_EQ(-EFAULT, arena_store(self->fd, src + page - 1, 2, NULL));
}

/* clause 18: OFFSET refuses a reserved field that is not zero */
TEST_F(idle, offset_reserved_einval)
{
	struct arena_offset_args args = { .size = sizeof(args), .__reserved = 1 };

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_OFFSET, &args));
}

/* clause 18: INFO refuses a reserved field that is not zero */
TEST_F(idle, info_reserved_einval)
{
	struct arena_info_args args = { .size = sizeof(args), .__reserved = 1 };

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_INFO, &args));
}

/* clause 18: RESET refuses unknown modes */
TEST_F(idle, reset_unknown_mode_einval)
{
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_STRICT + 1, 0));
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ~0U, 0));
}

/* clause 18: RESET refuses a number of bytes to keep in all modes except RELEASE */
TEST_F(idle, reset_keep_count_without_release_einval)
{
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_KEEP, 1));
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_ZERO, 1));
	EXPECT_EQ(-EINVAL, arena_reset(self->fd, ARENA_RESET_STRICT, 1));
}

/* clause 18: RESET refuses unknown flags */
TEST_F(idle, reset_unknown_flags_einval)
{
	struct arena_reset_args args = { .size = sizeof(args) };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_RESET, &args));
	}
}

/* clause 18: RESET refuses a reserved field that is not zero */
TEST_F(idle, reset_reserved_einval)
{
	struct arena_reset_args args = { .size = sizeof(args), .__reserved = 1 };

	EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_RESET, &args));
}

/* clause 18: DUP refuses unknown flags */
TEST_F(idle, dup_unknown_flags_einval)
{
	struct arena_dup_args args = { .size = sizeof(args), .rights = ARENA_RIGHT_READ };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, arena_ioctl(self->fd, ARENA_IOC_DUP, &args));
	}
}

/* clause 18: DUP refuses unknown rights, no rights, and the right to write alone */
TEST_F(idle, dup_unknown_rights_einval)
{
	unsigned int bit;

	for (bit = 4; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, arena_dup(self->fd, ARENA_RIGHT_READ | 1U << bit));
	EXPECT_EQ(-EINVAL, arena_dup(self->fd, 0));
	EXPECT_EQ(-EINVAL, arena_dup(self->fd, ARENA_RIGHT_WRITE));
}

/* The structs have the same sizes in 32-bit and 64-bit programs. */
static_assert(sizeof(struct arena_setup_args) == 56, "setup");
static_assert(sizeof(struct arena_alloc_args) == 40, "alloc");
static_assert(sizeof(struct arena_store_args) == 48, "store");
static_assert(sizeof(struct arena_commit_args) == 24, "commit");
static_assert(sizeof(struct arena_offset_args) == 32, "offset");
static_assert(sizeof(struct arena_reset_args) == 32, "reset");
static_assert(sizeof(struct arena_info_args) == 208, "info");
static_assert(sizeof(struct arena_query_args) == 96, "query");
static_assert(sizeof(struct arena_dup_args) == 16, "dup");
static_assert(sizeof(struct arena_batch_args) == 40, "batch");
static_assert(sizeof(struct arena_batch_item) == 24, "batch item");
static_assert(sizeof(struct arena_lease_args) == 56, "lease");
static_assert(sizeof(struct arena_mark_args) == 32, "mark");
static_assert(sizeof(struct arena_handle_args) == 32, "handle");
static_assert(sizeof(struct arena_seal_args) == 8, "seal");
static_assert(sizeof(struct arena_watch_args) == 32, "watch");
static_assert(sizeof(struct arena_notify_args) == 8, "notify");

TEST_HARNESS_MAIN
