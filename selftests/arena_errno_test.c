// SPDX-License-Identifier: GPL-2.0
/*
 * Makes each call fail once with each errno that include/uapi/linux/arena.h documents for it, and
 * checks that only the counts of failures change (clause 4). arena_ioctl_test checks errors that
 * all calls have in common: ENOTTY, EFAULT, E2BIG, and EINVAL for sizes. arena_fault_test makes
 * each single allocation of a call fail.
 */
#include "kselftest_harness.h"
#include <sys/resource.h>
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)
#define FAR_TOO_BIG	0x4000000000000ULL
#define PARAMETERS	"/sys/module/arena/parameters/"

static char source[64] = "something";

FIXTURE(errnos)
{
	int fd;
	int plain;		/* an arena without spans; @fd is the same descriptor */
	int spans;		/* an arena with spans */
	struct arena_mark_args mark;
	struct arena_mark_args stale_mark;
	struct name stale;
};

/* clause 4: expects that a call on @fd fails with @error and changes nothing */
#define refused(fd, error, expression) do {					\
		const int fd_ = fd;						\
		struct arena_info_args before_;					\
		int next_ = dup(fd_);						\
										\
		ASSERT_EQ(0, arena_info(fd_, &before_));			\
		EXPECT_EQ(-(error), expression);				\
		EXPECT_TRUE(arena_unchanged(fd_, &before_));			\
		close(next_);							\
		/* dup() returns the same number if the call left no file open. */	\
		EXPECT_EQ(next_, dup(fd_));					\
		close(next_);							\
	} while (0)

FIXTURE_SETUP(errnos)
{
	self->plain = arena_open();
	self->spans = arena_open();
	self->fd = self->plain;
	ASSERT_LE(0, self->spans);
	ASSERT_EQ(0, arena_setup(self->plain, CAPACITY, SLAB, 0));
	ASSERT_EQ(0, arena_setup(self->spans, CAPACITY, SLAB, ARENA_SETUP_SPANS));
	ASSERT_EQ(0, arena_alloc(self->plain, 8, NULL));
	ASSERT_EQ(0, arena_handle(self->plain, 0, &self->stale));
	ASSERT_EQ(0, arena_mark(self->plain, &self->stale_mark));
	ASSERT_EQ(0, arena_reset(self->plain, ARENA_RESET_KEEP, 0));
	ASSERT_EQ(0, arena_alloc(self->plain, 100, NULL));
	ASSERT_EQ(0, arena_alloc(self->spans, 100, NULL));
}

FIXTURE_TEARDOWN(errnos)
{
	close(self->plain);
	close(self->spans);
}

static int call_setup(int fd, __u32 flags, __u64 capacity, __u32 slab_size, __u32 reserved,
		      char name)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.flags = flags,
		.capacity = capacity,
		.slab_size = slab_size,
		.__reserved = reserved,
		.name = { name },
	};

	return arena_ioctl(fd, ARENA_IOC_SETUP, &args);
}

static int call_store(int fd, __u32 flags, __u64 src, __u64 bytes, __u64 align)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.flags = flags,
		.src = src,
		.bytes = bytes,
		.align = align,
	};

	return arena_ioctl(fd, ARENA_IOC_STORE, &args);
}

static int call_lease(int fd, __u32 flags, __u64 min, __u64 want, __u64 align)
{
	struct arena_lease_args args = {
		.size = sizeof(args),
		.flags = flags,
		.min = min,
		.want = want,
		.align = align,
	};

	return arena_ioctl(fd, ARENA_IOC_LEASE, &args);
}

static int call_batch_one(int fd, __u64 bytes, __u64 src, __u64 align)
{
	struct arena_batch_item item = { .bytes = bytes, .src = src };

	return arena_batch(fd, &item, 1, align, NULL);
}

static int call_dup(int fd, __u32 rights, __u32 flags)
{
	struct arena_dup_args args = {
		.size = sizeof(args),
		.rights = rights,
		.flags = flags,
	};
	int err = arena_ioctl(fd, ARENA_IOC_DUP, &args);

	return err ?: args.fd;
}

static int call_reset(int fd, __u32 mode, __u64 keep, __u32 flags, __u32 reserved)
{
	struct arena_reset_args args = {
		.size = sizeof(args),
		.mode = mode,
		.keep = keep,
		.flags = flags,
		.__reserved = reserved,
	};

	return arena_ioctl(fd, ARENA_IOC_RESET, &args);
}

/* Makes a call with @word in the second word of its struct, which is @flags or @__reserved. */
static int call_word(int fd, unsigned int cmd, __u32 word)
{
	__u32 args[64] = { 0, word };

	switch (cmd) {
	case ARENA_IOC_OFFSET:
		args[0] = sizeof(struct arena_offset_args);
		break;
	case ARENA_IOC_INFO:
		args[0] = sizeof(struct arena_info_args);
		break;
	case ARENA_IOC_WATCH:
		args[0] = sizeof(struct arena_watch_args);
		break;
	case ARENA_IOC_NOTIFY:
		args[0] = sizeof(struct arena_notify_args);
		break;
	case ARENA_IOC_HANDLE:
	case ARENA_IOC_DEREF:
		args[0] = sizeof(struct arena_handle_args);
		break;
	default:
		args[0] = sizeof(struct arena_mark_args);
	}
	return arena_ioctl(fd, cmd, args);
}

TEST_F(errnos, setup_bad_argument_errno)
{
	int fresh = arena_open();

	ASSERT_LE(0, fresh);
	EXPECT_EQ(-EFBIG, call_setup(fresh, 0, FAR_TOO_BIG, 0, 0, 0));
	EXPECT_EQ(-EINVAL, call_setup(fresh, 1U << 31, 0, 0, 0, 0));
	EXPECT_EQ(-EINVAL, call_setup(fresh, 0, 0, 4095, 0, 0));
	EXPECT_EQ(-EINVAL, call_setup(fresh, 0, 0, 0, 1, 0));
	EXPECT_EQ(-EINVAL, call_setup(fresh, 0, 0, 0, 0, '/'));
	/* A refused SETUP does not count as use of the arena, so another SETUP still succeeds. */
	EXPECT_EQ(0, call_setup(fresh, 0, 0, 0, 0, 'x'));
	refused(fresh, EBUSY, call_setup(fresh, 0, 0, 0, 0, 0));
	refused(self->fd, EBUSY, call_setup(self->fd, ARENA_SETUP_SPANS, 0, 0, 0, 0));
	close(fresh);
}

TEST_F(errnos, alloc_bad_argument_errno)
{
	refused(self->fd, ENOSPC, arena_alloc(self->fd, CAPACITY + 1, NULL));
	refused(self->fd, EINVAL, arena_alloc(self->fd, 0, NULL));
	refused(self->fd, EINVAL, arena_alloc_flags(self->fd, 8, 3, 0, NULL));
	refused(self->fd, EINVAL, arena_alloc_flags(self->fd, 8, 2 * SLAB, 0, NULL));
	refused(self->fd, EINVAL, arena_alloc_flags(self->fd, 8, 0, 1U << 31, NULL));
	refused(self->spans, ENOSPC, arena_alloc(self->spans, CAPACITY, NULL));
	refused(self->spans, EINVAL, arena_alloc(self->spans, 0, NULL));
	refused(self->spans, EINVAL, arena_alloc_flags(self->spans, 8, 3, 0, NULL));
}

/*
 * Each call needs more space than is left. If a call that fails took some of the space, INFO would
 * report other numbers, and the last object here would not fit.
 */
TEST_F(errnos, alloc_almost_full_enospc)
{
	const __u64 src = (unsigned long)source;

	ASSERT_EQ(0, arena_alloc(self->fd, 15 * SLAB - 48, NULL));
	ASSERT_EQ(0, arena_alloc(self->spans, 15 * SLAB - 48, NULL));
	refused(self->fd, ENOSPC, arena_alloc(self->fd, 56, NULL));
	refused(self->fd, ENOSPC, arena_alloc(self->fd, 57, NULL));
	refused(self->fd, ENOSPC, arena_alloc_flags(self->fd, 8, SLAB, 0, NULL));
	refused(self->fd, ENOSPC, arena_alloc_flags(self->fd, 56, 0, ARENA_ALLOC_ZERO, NULL));
	refused(self->fd, ENOSPC, arena_alloc(self->fd, 2 * SLAB, NULL));
	refused(self->fd, ENOSPC, call_store(self->fd, 0, src, 56, 0));
	refused(self->fd, ENOSPC, call_lease(self->fd, 0, 56, 100, 0));
	refused(self->fd, ENOSPC, call_batch_one(self->fd, 56, 0, 0));
	/* The tail of this CPU's span is free, but too small for an object of a slab's size. */
	refused(self->spans, ENOSPC, arena_alloc(self->spans, SLAB, NULL));
	EXPECT_EQ(0, arena_alloc(self->fd, 48, NULL));
}

TEST_F(errnos, store_bad_argument_errno)
{
	const __u64 src = (unsigned long)source;

	refused(self->fd, EINVAL, call_store(self->fd, 0, src, 0, 0));
	refused(self->fd, EINVAL, call_store(self->fd, 1, src, 8, 0));
	refused(self->fd, EINVAL, call_store(self->fd, 0, src, 8, 3));
	refused(self->fd, EFAULT, call_store(self->fd, 0, 8, 8, 0));
	refused(self->fd, EMSGSIZE, call_store(self->fd, 0, src, ARENA_STORE_MAX + 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 15 * SLAB, NULL));
	refused(self->fd, ENOSPC, call_store(self->fd, 0, src, sizeof(source), SLAB));
}

TEST_F(errnos, batch_bad_argument_errno)
{
	const __u64 src = (unsigned long)source;
	struct arena_batch_item item = { .bytes = 8 };

	refused(self->fd, EINVAL, arena_batch(self->fd, &item, 0, 0, NULL));
	refused(self->fd, EINVAL, arena_batch(self->fd, &item, ARENA_BATCH_MAX + 1, 0, NULL));
	refused(self->fd, EINVAL, call_batch_one(self->fd, 0, 0, 0));
	refused(self->fd, EINVAL, call_batch_one(self->fd, 8, 0, 3));
	refused(self->fd, EFAULT, call_batch_one(self->fd, 8, 8, 0));
	refused(self->fd, EFAULT, arena_batch(self->fd, NULL, 1, 0, NULL));
	refused(self->fd, EMSGSIZE, call_batch_one(self->fd, ARENA_STORE_MAX + 1, src, 0));
	refused(self->fd, ENOSPC, call_batch_one(self->fd, CAPACITY, 0, 0));
	refused(self->spans, ENOSPC, call_batch_one(self->spans, CAPACITY, 0, 0));
}

TEST_F(errnos, lease_bad_argument_errno)
{
	refused(self->fd, EINVAL, call_lease(self->fd, 1, 8, 8, 0));
	refused(self->fd, EINVAL, call_lease(self->fd, 0, 0, 8, 0));
	refused(self->fd, EINVAL, call_lease(self->fd, 0, 16, 8, 0));
	refused(self->fd, EINVAL, call_lease(self->fd, 0, 8, 8, 3));
	refused(self->fd, ENOSPC, call_lease(self->fd, 0, CAPACITY, CAPACITY, 0));
	refused(self->spans, ENOSPC, call_lease(self->spans, 0, CAPACITY, CAPACITY, 0));
}

TEST_F(errnos, commit_bad_argument_errno)
{
	refused(self->fd, EINVAL, arena_commit(self->fd, SLAB, 1U << 31, 0));
	refused(self->fd, EINVAL, arena_commit(self->fd, SLAB, 0, 1));
	refused(self->fd, EINVAL, arena_commit(self->fd, SLAB, ARENA_COMMIT_NODE, 1023));
	refused(self->fd, EINVAL, arena_commit(self->fd, CAPACITY + 1, 0, 0));
	refused(self->spans, EINVAL, arena_commit(self->spans, CAPACITY + 1, 0, 0));
}

/*
 * SEAL needs the rights that it takes away, and fails with EBUSY while a mapping may become
 * writable. In a sealed arena, each call that would change the arena fails with EPERM.
 */
TEST_F(errnos, seal_then_change_eperm)
{
	const __u64 src = (unsigned long)source;
	int reader = arena_dup(self->fd, ARENA_RIGHT_READ);
	char *map = arena_map(self->fd, SLAB, PROT_READ, 0);

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	refused(reader, EACCES, arena_seal(reader));
	refused(self->fd, EBUSY, arena_seal(self->fd));
	munmap(map, SLAB);
	ASSERT_EQ(0, arena_seal(self->fd));
	refused(self->fd, EPERM, arena_alloc(self->fd, 8, NULL));
	refused(self->fd, EPERM, arena_alloc_flags(self->fd, 8, 0, ARENA_ALLOC_ZERO, NULL));
	refused(self->fd, EPERM, call_store(self->fd, 0, src, 8, 0));
	refused(self->fd, EPERM, call_batch_one(self->fd, 8, 0, 0));
	refused(self->fd, EPERM, call_lease(self->fd, 0, 8, 8, 0));
	refused(self->fd, EPERM, arena_commit(self->fd, CAPACITY, 0, 0));
	refused(self->fd, EPERM, arena_rewind(self->fd, self->mark));
	refused(self->fd, EPERM, call_reset(self->fd, ARENA_RESET_KEEP, 0, 0, 0));
	refused(self->fd, EPERM, call_reset(self->fd, ARENA_RESET_RELEASE, 0, 0, 0));
	refused(self->fd, EPERM, call_reset(self->fd, ARENA_RESET_ZERO, 0, 0, 0));
	refused(self->fd, EPERM, call_reset(self->fd, ARENA_RESET_STRICT, 0, 0, 0));
	refused(self->fd, EBUSY, call_setup(self->fd, 0, 0, 0, 0, 0));
	close(reader);
}

TEST_F(errnos, reset_bad_argument_errno)
{
	refused(self->fd, EINVAL, call_reset(self->fd, ARENA_RESET_STRICT + 1, 0, 0, 0));
	refused(self->fd, EINVAL, call_reset(self->fd, ARENA_RESET_KEEP, 1, 0, 0));
	refused(self->fd, EINVAL, call_reset(self->fd, ARENA_RESET_KEEP, 0, 1, 0));
	refused(self->fd, EINVAL, call_reset(self->fd, ARENA_RESET_KEEP, 0, 0, 1));
	/* arena_hold_test checks EBUSY, because only kernel code can hold an arena. */
}

TEST_F(errnos, command_bad_word_einval)
{
	static const unsigned int cmds[] = {
		ARENA_IOC_OFFSET, ARENA_IOC_INFO, ARENA_IOC_WATCH, ARENA_IOC_NOTIFY,
		ARENA_IOC_HANDLE, ARENA_IOC_DEREF, ARENA_IOC_MARK, ARENA_IOC_REWIND,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		refused(self->fd, EINVAL, call_word(self->fd, cmds[i], 1U << 31));
}

TEST_F(errnos, mark_bad_argument_errno)
{
	struct arena_mark_args bad;

	refused(self->spans, EOPNOTSUPP, arena_mark(self->spans, &bad));
	refused(self->spans, EOPNOTSUPP, arena_rewind(self->spans, self->stale_mark));
	refused(self->fd, ESTALE, arena_rewind(self->fd, self->stale_mark));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	bad = self->mark;
	bad.used = bad.offset + 1;
	refused(self->fd, EINVAL, arena_rewind(self->fd, bad));
	bad = self->mark;
	bad.offset++;
	refused(self->fd, ESTALE, arena_rewind(self->fd, bad));
	bad = self->mark;
	bad.generation++;
	refused(self->fd, ESTALE, arena_rewind(self->fd, bad));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
	refused(self->fd, ESTALE, arena_rewind(self->fd, self->mark));
}

TEST_F(errnos, handle_bad_argument_errno)
{
	struct name name = { 0, 0 };

	refused(self->fd, ERANGE, arena_handle(self->fd, CAPACITY - 1, &name));
	refused(self->fd, ESTALE, arena_deref(self->fd, self->stale, NULL));
	ASSERT_EQ(0, arena_handle(self->fd, 0, &name));
	name.offset = SLAB;
	refused(self->fd, ESTALE, arena_deref(self->fd, name, NULL));
}

/*
 * A child runs this function, which drops root's rights and then calls DUP: the kernel exempts only
 * root from the system's limit on open files.
 */
static int dup_without_files(int fd)
{
	if (setgid(65534) || setuid(65534))
		return -1;
	return call_dup(fd, ARENA_RIGHT_READ, 0);
}

static int dup_in_child(int fd)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-dup_without_files(fd));
	return -wait_for(pid);
}

TEST_F(errnos, dup_bad_argument_errno)
{
	struct rlimit old, none = { 0, 0 };
	char text[32];
	int reader;

	refused(self->fd, EINVAL, call_dup(self->fd, 0, 0));
	refused(self->fd, EINVAL, call_dup(self->fd, ARENA_RIGHT_READ, 1));
	refused(self->fd, EINVAL, call_dup(self->fd, 1U << 31, 0));
	refused(self->fd, EINVAL, call_dup(self->fd, ARENA_RIGHT_WRITE, 0));
	reader = call_dup(self->fd, ARENA_RIGHT_READ, 0);
	ASSERT_LE(0, reader);
	refused(reader, EACCES, call_dup(reader, ARENA_RIGHT_ALLOC, 0));
	close(reader);

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, call_dup(self->fd, ARENA_RIGHT_READ, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));

	if (read_number("/proc/sys/fs/file-max") < 0)
		SKIP(return, "no limit on files to be set here");
	snprintf(text, sizeof(text), "%lld", read_number("/proc/sys/fs/file-max"));
	ASSERT_TRUE(write_string("/proc/sys/fs/file-max", "0"));
	EXPECT_EQ(-ENFILE, dup_in_child(self->fd));
	EXPECT_TRUE(write_string("/proc/sys/fs/file-max", text));
	refused(self->fd, EINVAL, call_dup(self->fd, 0, 0));
}

/* The test makes each call through a descriptor that lacks a right which the call needs. */
TEST_F(errnos, call_without_right_eacces)
{
	const __u32 all = ARENA_RIGHTS_ALL;
	int allocs_not = arena_dup(self->fd, all & ~ARENA_RIGHT_ALLOC);
	int resets_not = arena_dup(self->fd, all & ~ARENA_RIGHT_RESET);
	struct arena_notify_args notify = { .size = sizeof(notify) };
	struct name name = { 0, 0 };

	ASSERT_LE(0, allocs_not);
	ASSERT_LE(0, resets_not);
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	refused(self->fd, EACCES, arena_alloc(allocs_not, 8, NULL));
	refused(self->fd, EACCES, arena_store(allocs_not, source, 8, NULL));
	refused(self->fd, EACCES, call_batch_one(allocs_not, 8, 0, 0));
	refused(self->fd, EACCES, call_lease(allocs_not, 0, 8, 8, 0));
	refused(self->fd, EACCES, arena_commit(allocs_not, SLAB, 0, 0));
	refused(self->fd, EACCES, arena_ioctl(allocs_not, ARENA_IOC_NOTIFY, &notify));
	refused(self->fd, EACCES, arena_seal(allocs_not));
	refused(self->fd, EACCES, arena_seal(resets_not));
	refused(self->fd, EACCES, arena_mark(allocs_not, &self->stale_mark));
	refused(self->fd, EACCES, arena_rewind(allocs_not, self->mark));
	refused(self->fd, EACCES, arena_reset(resets_not, ARENA_RESET_KEEP, 0));
	refused(self->fd, EACCES, arena_setup(resets_not, 0, 0, 0));
	refused(self->fd, EACCES, arena_mark(resets_not, &self->stale_mark));
	refused(self->fd, EACCES, arena_rewind(resets_not, self->mark));
	/* These calls need no right. */
	EXPECT_EQ(0, arena_handle(allocs_not, 0, &name));
	EXPECT_EQ(0, arena_deref(resets_not, name, NULL));
	EXPECT_EQ(0, call_word(allocs_not, ARENA_IOC_WATCH, 0));
	EXPECT_EQ(0, call_word(resets_not, ARENA_IOC_OFFSET, 0));
	close(allocs_not);
	close(resets_not);
}

/* clause 21: at the limit on the memory of all arenas, calls return ENOMEM and change nothing */
TEST_F(errnos, alloc_over_limit_enomem)
{
	char bytes[3 * 1024] = "";
	struct arena_batch_item item[500];
	struct arena_info_args info;
	unsigned int i;
	int big = arena_open();

	if (!write_string(PARAMETERS "max_total_mb", "2"))
		SKIP(return, "the module's parameters cannot be set here");
	ASSERT_EQ(0, arena_setup(big, 8 << 20, SLAB, 0));
	refused(big, ENOMEM, arena_alloc(big, 4 << 20, NULL));
	for (i = 0; i < ARRAY_SIZE(item); i++)
		item[i] = (struct arena_batch_item) { .bytes = 8192 };
	refused(big, ENOMEM, arena_batch(big, item, ARRAY_SIZE(item), 0, NULL));
	refused(big, ENOMEM, call_lease(big, 0, 4 << 20, 4 << 20, 0));
	refused(big, ENOMEM, arena_commit(big, 4 << 20, 0, 0));
	ASSERT_EQ(0, arena_info(big, &info));
	EXPECT_EQ(0, info.committed);
	while (!arena_alloc(big, SLAB, NULL))
		;
	refused(big, ENOMEM, arena_alloc(big, SLAB, NULL));
	refused(big, ENOMEM, arena_store(big, bytes, sizeof(bytes), NULL));
	refused(big, ENOMEM, call_batch_one(big, 8, 0, 0));
	refused(big, ENOMEM, call_lease(big, 0, 8, 8, 0));
	EXPECT_TRUE(write_string(PARAMETERS "max_total_mb", "0"));
	EXPECT_EQ(0, arena_alloc(big, 4 << 20, NULL));
	close(big);
}

TEST_HARNESS_MAIN
