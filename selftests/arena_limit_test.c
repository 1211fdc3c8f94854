// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the limits of /dev/arena, the charging of arenas to cgroups, and that arenas leave nothing
 * behind (clauses 4, 17, 21, 22 and 25). Changes module parameters, and expects that no other
 * program uses arenas meanwhile.
 */
#include "kselftest_harness.h"
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "arena_calls.h"

#define CAPACITY	(1024 * SLAB)
#define PARAMETERS	"/sys/module/arena/parameters/"
#define CGROUP		"/sys/fs/cgroup/"

/*
 * Waits up to half a minute until no arena exists and the module holds no memory: the kernel may
 * drop the last reference to an arena shortly after its process has ended. Returns false on a
 * timeout.
 */
static bool all_gone(void)
{
	int i;

	for (i = 0; i < 3000 && arena_count() > 0; i++)
		usleep(10000);
	return arena_count() <= 0 && arena_held_falls_to(0);
}

static bool set_parameter(const char *name, unsigned int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%u", value);
	return write_string(path, text);
}

FIXTURE(limits)
{
	int fd;
	struct arena_info_args info;
};

FIXTURE_SETUP(limits)
{
	self->fd = -1;
	ASSERT_TRUE(all_gone());
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_TRUE(set_parameter("max_arenas", 1024));
	EXPECT_TRUE(set_parameter("max_user_arenas", 0));
	EXPECT_TRUE(set_parameter("max_device_mb", 0));
	EXPECT_TRUE(set_parameter("max_user_mb", 0));
	EXPECT_TRUE(set_parameter("max_arena_mb", 0));
	EXPECT_TRUE(set_parameter("max_total_mb", 0));
	close(self->fd);
	EXPECT_TRUE(all_gone());
}

/* clause 21: the module limits the number of arenas */
TEST_F(limits, open_too_many_refused)
{
	int fds[4], i;

	ASSERT_TRUE(set_parameter("max_arenas", 4));
	for (i = 0; i < 4; i++) {
		fds[i] = arena_open();
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(-ENFILE, arena_open());
	EXPECT_EQ(-ENFILE, arena_open());
	/*
	 * The limit counts arenas, not descriptors: the duplicate counts only because its arena
	 * stays open.
	 */
	i = arena_dup(fds[0], ARENA_RIGHT_READ);
	EXPECT_LE(0, i);
	close(fds[0]);
	EXPECT_EQ(-ENFILE, arena_open());
	close(i);
	fds[0] = arena_open();
	EXPECT_LE(0, fds[0]);
	ASSERT_TRUE(set_parameter("max_arenas", 0));
	for (i = 0; i < 4; i++)
		close(fds[i]);
	EXPECT_EQ(-ENFILE, arena_open());
}

/* clause 21: the module limits the capacity of an arena */
TEST_F(limits, setup_over_capacity_limit_efbig)
{
	ASSERT_TRUE(set_parameter("max_arena_mb", 2));
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EFBIG, arena_setup(self->fd, (2 << 20) + 1, 0, 0));
	EXPECT_EQ(0, arena_setup(self->fd, 2 << 20, 0, 0));
}

/*
 * clause 21: if the limit on the capacity is below the default capacity, an arena without SETUP
 * gets the limit
 */
TEST_F(limits, info_default_capacity_within_limit)
{
	ASSERT_TRUE(set_parameter("max_arena_mb", 2));
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(2 << 20, self->info.capacity);
}

/* Allocates objects of a slab's size until an allocation fails; returns how many succeeded. */
static int exhaust(int fd, int *err)
{
	int nr = 0;

	while (!(*err = arena_alloc(fd, SLAB, NULL)))
		nr++;
	return nr;
}

/*
 * clauses 4, 21: at the limit on the memory of all arenas, allocations fail and change nothing;
 * they succeed again when another arena has been closed
 */
TEST_F(limits, alloc_over_total_limit_enomem)
{
	int other = arena_open(), nr, err;
	__u64 used;

	ASSERT_TRUE(set_parameter("max_total_mb", 8));
	ASSERT_TRUE(set_parameter("max_device_mb", 8));
	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_setup(other, CAPACITY, SLAB, 0));
	nr = exhaust(self->fd, &err);
	EXPECT_EQ(-ENOMEM, err);
	EXPECT_LE(7 << 20, nr * SLAB);
	EXPECT_GE(8 << 20, nr * SLAB);
	used = arena_used(self->fd);
	EXPECT_EQ(nr * SLAB, used);
	EXPECT_EQ(-ENOMEM, arena_alloc(other, 8, NULL));
	EXPECT_EQ(-ENOMEM, arena_alloc(self->fd, 4 * SLAB, NULL));
	EXPECT_EQ(-ENOMEM, arena_store(self->fd, "x", 1, NULL));
	EXPECT_EQ(used, arena_used(self->fd));
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(3, self->info.fail_memory);
	EXPECT_EQ(0, self->info.fail_space);

	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(0, arena_alloc(other, 8, NULL));
	EXPECT_EQ(nr - 1, exhaust(self->fd, &err));
	EXPECT_EQ(-ENOMEM, err);
	close(other);
	EXPECT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
}

/*
 * clauses 21, 25: the directory, a tree of pages that finds the slab at an offset, counts against
 * the limit, and grows with the committed slabs and not with the capacity
 */
TEST_F(limits, alloc_directory_counts)
{
	/*
	 * A leaf of the directory is a page and has entries for page / 16 slabs. The limit is the
	 * memory of the page-sized slabs in eight leaves: 8 MiB with pages of 4 KiB.
	 */
	const long page = page_size(), leaf = page / 16, limit = 8 * leaf * page;
	long long before = arena_held_bytes(), pages;
	int nr;

	if (limit / page > sysconf(_SC_PHYS_PAGES) / 4)
		SKIP(return, "too little memory for slabs of %ld bytes", page);
	ASSERT_TRUE(set_parameter("max_total_mb", limit >> 20));
	self->fd = arena_create(64ULL << 30, page, 0);
	ASSERT_LE(0, self->fd);
	if (before < 0)
		SKIP(return, "no debugfs");
	EXPECT_EQ(before, arena_held_bytes());
	for (nr = 0; nr < 2 * leaf + 1; nr++)
		ASSERT_EQ(0, arena_alloc(self->fd, page, NULL));
	/* The directory has three leaves and a root. */
	EXPECT_EQ(before + (nr + 4) * page, arena_held_bytes());
	while (!arena_alloc(self->fd, page, NULL))
		nr++;
	pages = (arena_held_bytes() - before) / page;
	EXPECT_LE(nr + nr / leaf, pages);
	EXPECT_GE(limit / page, pages);
}

/* clause 21: programs have a lower limit of their own, which leaves memory for kernel code */
TEST_F(limits, alloc_over_device_limit_enomem)
{
	int nr, err;

	ASSERT_TRUE(set_parameter("max_total_mb", 16));
	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
	nr = exhaust(self->fd, &err);
	EXPECT_EQ(-ENOMEM, err);
	EXPECT_LE(11 << 20, nr * SLAB);
	EXPECT_GE(12 << 20, nr * SLAB);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	ASSERT_TRUE(set_parameter("max_device_mb", 4));
	nr = exhaust(self->fd, &err);
	EXPECT_EQ(-ENOMEM, err);
	EXPECT_LE(3 << 20, nr * SLAB);
	EXPECT_GE(4 << 20, nr * SLAB);
}

/*
 * clause 21: under a limit of so many MiB that their number of bytes overflows, allocations succeed
 */
TEST_F(limits, set_limit_huge_number_ok)
{
	static const char *const numbers[] = {
		"36028797018963967", "36028797018963968", "72057594037927935",
		"9223372036854775808", "18446744073709551615",
	};
	static const char *const names[] = { "max_total_mb", "max_device_mb", "max_user_mb" };
	char path[128];
	unsigned int i, j;

	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), PARAMETERS "%s", names[i]);
		for (j = 0; j < ARRAY_SIZE(numbers); j++) {
			ASSERT_TRUE(write_string(path, numbers[j]));
			EXPECT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
			ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
		}
		ASSERT_TRUE(write_string(path, "0"));
	}
}

/*
 * Changes the user of this process to @uid, and moves it to a new user namespace if @in_namespace.
 */
static bool become(uid_t uid, bool in_namespace)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return false;
	return !in_namespace || !unshare(CLONE_NEWUSER);
}

/*
 * As the user @uid, opens three arenas and fills them with 2 MiB together: the limits of a user,
 * which the caller has set. Returns 0, 1 if an arena could not be opened, 100 if the process could
 * not become the user, or another number for a check that failed.
 */
static int use_up_bounds(uid_t uid, bool in_namespace)
{
	int fds[3], i, err, nr = 0;

	if (!become(uid, in_namespace))
		return 100;
	for (i = 0; i < 3; i++) {
		fds[i] = arena_open();
		if (fds[i] < 0 || arena_setup(fds[i], CAPACITY, SLAB, 0))
			return 1;
	}
	if (arena_open() != -EMFILE)
		return 2;
	for (i = 0; i < 3; i++) {
		nr += exhaust(fds[i], &err);
		if (err != -ENOMEM)
			return 3;
	}
	if (nr * SLAB > 2 << 20 || nr * SLAB < 3 << 19)
		return 4;
	/* After a release reset of one arena, another arena of the user gets memory. */
	if (arena_reset(fds[0], ARENA_RESET_RELEASE, 0) || arena_alloc(fds[1], SLAB, NULL))
		return 5;
	close(fds[0]);
	fds[0] = arena_open();
	return fds[0] < 0 ? 6 : 0;
}

static int use_up_bounds_apart(uid_t uid, bool in_namespace)
{
	pid_t pid = fork();

	if (!pid)
		_exit(use_up_bounds(uid, in_namespace));
	return wait_for(pid);
}

/* clause 21: each user has a limit, so that one user cannot take all memory from another */
TEST_F(limits, alloc_over_user_limit_enomem)
{
	struct stat before;
	int up[2], down[2], err;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));
	ASSERT_EQ(0, stat(DEVICE, &before));
	ASSERT_TRUE(set_parameter("max_user_arenas", 3));
	ASSERT_TRUE(set_parameter("max_user_mb", 2));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	pid = fork();
	if (!pid) {
		c = use_up_bounds(12345, false);
		if (write(up[1], &c, 1) != 1)
			_exit(1);
		close(up[1]);
		close(down[1]);
		_exit(read(down[0], &c, 1) == 1);
	}
	ASSERT_EQ(1, read(up[0], &c, 1));
	EXPECT_EQ(0, c);
	/*
	 * While the first user has reached the limits, a second user can still use all of its own
	 * limits.
	 */
	EXPECT_EQ(0, use_up_bounds_apart(12346, false));
	/* The first user cannot open another arena, not even in a new user namespace. */
	EXPECT_EQ(1, use_up_bounds_apart(12345, false));
	err = use_up_bounds_apart(12345, true);
	if (err != 100)
		EXPECT_EQ(1, err);
	self->fd = arena_open();
	EXPECT_LE(0, self->fd);
	EXPECT_EQ(0, arena_setup(self->fd, CAPACITY, SLAB, 0));
	EXPECT_EQ(0, arena_alloc(self->fd, 3 << 20, NULL));
	close(down[1]);
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, use_up_bounds_apart(12345, false));
	EXPECT_EQ(0, chmod(DEVICE, before.st_mode & 07777));
}

/* A small memory cgroup for processes that the tests fork. */
FIXTURE(cgroup)
{
	char path[64];
	int fd;
};

static const char *cgroup_file(const char *dir, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static bool enter(const char *path)
{
	return write_string(cgroup_file(path, "cgroup.procs"), "0");
}

/*
 * Returns how often the event @name happened in the cgroup @path, or -1 if the kernel does not say.
 */
static long long event(const char *path, const char *name)
{
	FILE *file = fopen(cgroup_file(path, "memory.events"), "re");
	long long value, found = -1;
	char word[64];

	if (!file)
		return -1;
	while (fscanf(file, "%63s %lld", word, &value) == 2)
		if (!strcmp(word, name))
			found = value;
	fclose(file);
	return found;
}

static long long charged(const char *path)
{
	return read_number(cgroup_file(path, "memory.current"));
}

/* Returns whether cgroup.memory=nokmem tells the kernel not to charge its own memory to cgroups. */
static bool told_not_to_charge(void)
{
	char line[4096] = "";
	FILE *file = fopen("/proc/cmdline", "re");

	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	return strstr(line, "cgroup.memory=") && strstr(line, "nokmem");
}

/* Returns whether the kernel charges a cgroup for slabs that a process in the cgroup allocates. */
static bool charges_arenas(const char *path)
{
	int fd, status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		fd = enter(path) ? arena_open() : -1;
		if (fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0) ||
		    arena_alloc(fd, 64 * SLAB, NULL))
			_exit(2);
		_exit(charged(path) >= 64 * SLAB);
	}
	status = wait_for(pid);
	return status != 0;
}

FIXTURE_SETUP(cgroup)
{
	self->fd = -1;
	ASSERT_TRUE(all_gone());
	snprintf(self->path, sizeof(self->path), CGROUP "arena-test-%d", getpid());
	write_string(CGROUP "cgroup.subtree_control", "+memory");
	if (mkdir(self->path, 0700))
		SKIP(return, "no cgroup2 at " CGROUP);
	if (!write_string(cgroup_file(self->path, "memory.max"), "16M")) {
		rmdir(self->path);
		SKIP(return, "no memory controller in cgroup2");
	}
	write_string(cgroup_file(self->path, "memory.swap.max"), "0");
	if (told_not_to_charge() && !charges_arenas(self->path)) {
		rmdir(self->path);
		SKIP(return, "cgroup.memory=nokmem: arenas are not charged");
	}
}

FIXTURE_TEARDOWN(cgroup)
{
	int i;

	close(self->fd);
	EXPECT_TRUE(all_gone());
	for (i = 0; i < 200 && rmdir(self->path) && errno == EBUSY; i++)
		usleep(10000);
}

/*
 * Fills the cgroup with the memory of an arena, and checks that further calls fail with ENOMEM.
 * Returns 0 or the number of the failed check.
 */
static int fill_cgroup(const char *path)
{
	struct arena_info_args info;
	int fd, err, nr;

	if (!enter(path))
		return 1;
	fd = arena_open();
	if (fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0))
		return 2;
	nr = exhaust(fd, &err);
	if (err != -ENOMEM)
		return 3;
	if (nr * SLAB < 12 << 20 || nr * SLAB > 16 << 20)
		return 4;
	if (arena_used(fd) != nr * SLAB)
		return 5;
	if (arena_alloc(fd, 4 * SLAB, NULL) != -ENOMEM)
		return 6;
	if (arena_reset(fd, ARENA_RESET_RELEASE, 0) || arena_alloc(fd, SLAB, NULL))
		return 7;
	return arena_info(fd, &info) || info.fail_memory != 2 ? 8 : 0;
}

/* clause 21: allocations that exhaust a cgroup return an errno and invoke no OOM killer */
TEST_F(cgroup, alloc_in_full_cgroup_enomem)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fill_cgroup(self->path));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, event(self->path, "oom_kill"));
}

/* Returns how many removed cgroups something still refers to, or -1 if that is not known. */
static long long dying_cgroups(void)
{
	FILE *file = fopen(CGROUP "cgroup.stat", "re");
	long long value, found = -1;
	char word[64];

	if (!file)
		return -1;
	while (fscanf(file, "%63s %lld", word, &value) == 2)
		if (!strcmp(word, "nr_dying_descendants"))
			found = value;
	fclose(file);
	return found;
}

/* Makes a cgroup in which a process uses an arena, and removes it. Returns 0 or an error. */
static int use_arena_in_cgroup(const char *path)
{
	int i, fd, status;
	pid_t pid;

	if (mkdir(path, 0700))
		return -errno;
	pid = fork();
	if (!pid) {
		fd = enter(path) ? arena_open() : -1;
		_exit(fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0) || arena_alloc(fd, SLAB, NULL));
	}
	status = wait_for(pid);
	for (i = 0; i < 1000 && rmdir(path); i++)
		usleep(10000);
	return status ? -EIO : 0;
}

/* clauses 21, 22: an arena that is closed refers to its cgroup no longer */
TEST_F(cgroup, close_removed_cgroup_freed)
{
	const int cycles = 16, others = 4;
	long long before = dying_cgroups();
	char path[80];
	int i;

	if (before < 0)
		SKIP(return, "no cgroup.stat");
	snprintf(path, sizeof(path), "%s-dying", self->path);
	for (i = 0; i < cycles; i++)
		ASSERT_EQ(0, use_arena_in_cgroup(path));
	/* The kernel keeps some for a while, for caches of its own. */
	for (i = 0; i < 300 && dying_cgroups() > before + others; i++) {
		write_string("/proc/sys/vm/drop_caches", "3");
		usleep(100000);
	}
	EXPECT_GE(before + others, dying_cgroups());
}

/* Makes calls that need more memory than the cgroup has, and must fail and commit nothing. */
static int fail_large_calls(int fd)
{
	struct arena_lease_args lease = {
		.size = sizeof(lease), .min = 24 << 20, .want = 24 << 20,
	};
	struct arena_batch_item item[6];
	struct arena_info_args info;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(item); i++)
		item[i] = (struct arena_batch_item) { .bytes = 4 << 20 };
	if (arena_alloc(fd, 24 << 20, NULL) != -ENOMEM)
		return 3;
	if (arena_info(fd, &info) || info.committed)
		return 4;
	if (arena_ioctl(fd, ARENA_IOC_LEASE, &lease) != -ENOMEM)
		return 5;
	if (arena_info(fd, &info) || info.committed)
		return 6;
	if (arena_batch(fd, item, ARRAY_SIZE(item), 0, NULL) != -ENOMEM)
		return 7;
	return arena_info(fd, &info) || info.committed ? 8 : 0;
}

/* Makes calls that fail for lack of memory; then another process in the cgroup must get memory. */
static int fail_beside_sibling(const char *path)
{
	int fd, err;
	pid_t pid;

	if (!enter(path))
		return 1;
	fd = arena_open();
	if (fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0))
		return 2;
	err = fail_large_calls(fd);
	if (err)
		return err;
	pid = fork();
	if (!pid) {
		char *memory = malloc(4 << 20);

		memset(memory, 1, 4 << 20);
		_exit(memory[(4 << 20) - 1] - 1);
	}
	return wait_for(pid) ? 9 : 0;
}

/* clauses 4, 21: a call that fails uncharges the pages that it had committed before */
TEST_F_TIMEOUT(cgroup, alloc_failed_in_cgroup_gives_back, 120)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fail_beside_sibling(self->path));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, event(self->path, "oom_kill"));
}

/*
 * Fills the cgroup, and then makes calls that need memory besides slabs: a buffer for STORE, and
 * directories for other arenas. Leaves out open() and DUP, because the kernel itself charges the
 * files that they make, and may kill a process for that. Returns 0 or the number of the failed
 * check.
 */
static int everything_when_full(const char *path)
{
	char *src = malloc(ARENA_STORE_MAX);
	int fds[20], fd, err, i, round;

	if (!src || !enter(path))
		return 1;
	memset(src, 1, ARENA_STORE_MAX);
	fd = arena_open();
	if (fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0))
		return 2;
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = arena_open();
	exhaust(fd, &err);
	if (err != -ENOMEM)
		return 3;
	for (round = 0; round < 2; round++) {
		if (arena_store(fd, src, ARENA_STORE_MAX, NULL) != -ENOMEM)
			return 4;
		for (i = 0; i < ARRAY_SIZE(fds); i++) {
			err = arena_alloc(fds[i], 1 << 20, NULL);
			if (err != -ENOMEM)
				return 5;
			err = arena_commit(fds[i], 1 << 20, 0, 0);
			if (err != -ENOMEM)
				return 7;
		}
	}
	/* When the cgroup has room again, the calls succeed. */
	if (arena_reset(fd, ARENA_RESET_RELEASE, 0) || arena_alloc(fds[0], 1 << 20, NULL))
		return 6;
	return 0;
}

/* clause 21: no call of a process in a full cgroup invokes the OOM killer */
TEST_F_TIMEOUT(cgroup, call_in_full_cgroup_enomem, 120)
{
	pid_t pid;

	if (told_not_to_charge())
		SKIP(return, "cgroup.memory=nokmem: directories are not charged");
	pid = fork();
	if (!pid)
		_exit(everything_when_full(self->path));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, event(self->path, "oom_kill"));
}

/*
 * A child in the cgroup opens an arena, and sets it up if @use_first. The test, which is outside of
 * the cgroup, then allocates from the arena. Returns how many slabs the test got.
 */
static int allocate_at_their_cost(struct __test_metadata *_metadata, const char *path, int *fd,
				  bool use_first, int *err)
{
	int go[2], pidfd;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(go));
	*fd = -1;
	/* The child stays in the cgroup until the parent has copied the child's descriptor. */
	pid = fork();
	if (!pid) {
		int fd = enter(path) ? arena_open() : -1;

		if (fd >= 0 && use_first && arena_setup(fd, CAPACITY, SLAB, 0))
			fd = -1;
		c = fd;
		if (write(go[1], &c, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	ASSERT_LE(0, c);
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	ASSERT_LE(0, pidfd);
	*fd = syscall(__NR_pidfd_getfd, pidfd, c, 0);
	ASSERT_LE(0, *fd);
	close(pidfd);
	kill(pid, SIGKILL);
	wait_for(pid);
	close(go[0]);
	close(go[1]);
	if (!use_first)
		ASSERT_EQ(0, arena_setup(*fd, CAPACITY, SLAB, 0));
	return exhaust(*fd, err);
}

/*
 * clause 21: the kernel charges the cgroup of the task that opened the arena, whichever task
 * allocates
 */
TEST_F(cgroup, alloc_by_other_task_charges_opener)
{
	int err, nr = allocate_at_their_cost(_metadata, self->path, &self->fd, true, &err);

	EXPECT_EQ(-ENOMEM, err);
	EXPECT_GE(16 << 20, nr * SLAB);
	EXPECT_LE(12 << 20, charged(self->path));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_GT(8 << 20, charged(self->path));
	EXPECT_EQ(0, event(self->path, "oom_kill"));
}

/*
 * clause 21: the kernel charges the cgroup of the task that opened the arena, even if another task
 * calls SETUP
 */
TEST_F(cgroup, setup_by_other_task_charges_opener)
{
	int err, nr = allocate_at_their_cost(_metadata, self->path, &self->fd, false, &err);

	EXPECT_EQ(-ENOMEM, err);
	EXPECT_GE(16 << 20, nr * SLAB);
	EXPECT_LE(12 << 20, charged(self->path));
	EXPECT_EQ(0, event(self->path, "oom_kill"));
}

/* Each hold_by_*() leaves one thing that keeps the arena alive: a descriptor or a mapping. */
static int hold_by_nothing(int fd)
{
	return fd;
}

static int hold_by_dup(int fd)
{
	int other = arena_dup(fd, ARENA_RIGHT_READ);

	close(fd);
	return other;
}

static int hold_by_mapping(int fd)
{
	char *map = arena_map(fd, SLAB, PROT_READ | PROT_WRITE, 0);

	if (!map || arena_alloc(fd, SLAB, NULL) || touch_write(map))
		return -1;
	close(fd);
	return 0;
}

static int hold_by_mapping_of_dup(int fd)
{
	int other = arena_dup(fd, ARENA_RIGHT_READ);
	char *map = arena_map(other, SLAB, PROT_READ, 0);

	if (!map || arena_alloc(fd, SLAB, NULL) || touch_read(map))
		return -1;
	close(fd);
	close(other);
	return 0;
}

static bool is_module(void)
{
	char line[256];
	bool found = false;
	FILE *file = fopen("/proc/modules", "re");

	while (file && fgets(line, sizeof(line), file))
		found |= !strncmp(line, "arena ", 6);
	if (file)
		fclose(file);
	return found;
}

/* clause 22: the module cannot be unloaded while a descriptor or a mapping holds an arena */
TEST(unload_in_use_refused)
{
	int (*holds[])(int fd) = { hold_by_nothing, hold_by_dup, hold_by_mapping,
				   hold_by_mapping_of_dup };
	unsigned int i;
	int to[2], from[2];
	pid_t pid;
	char c = 0;

	if (!is_module())
		SKIP(return, "arena is not a module here");
	for (i = 0; i < ARRAY_SIZE(holds); i++) {
		ASSERT_EQ(0, pipe(to));
		ASSERT_EQ(0, pipe(from));
		pid = fork();
		if (!pid) {
			if (holds[i](arena_open()) < 0)
				_exit(1);
			if (write(from[1], &c, 1) != 1)
				_exit(2);
			_exit(read(to[0], &c, 1) == 1 ? 0 : 3);
		}
		close(from[1]);
		ASSERT_EQ(1, read(from[0], &c, 1));
		EXPECT_EQ(-1, syscall(__NR_delete_module, "arena", O_NONBLOCK));
		EXPECT_EQ(EWOULDBLOCK, errno);
		ASSERT_EQ(1, write(to[1], &c, 1));
		EXPECT_EQ(0, wait_for(pid));
		close(to[0]);
		close(to[1]);
		close(from[0]);
	}
}

/* Makes arenas, descriptors and mappings, and uses them until the process is killed. */
static void busy(unsigned int seed)
{
	static char bytes[5000];

	for (;;) {
		int fd = arena_open(), other;
		char *map;

		if (fd < 0)
			continue;
		arena_setup(fd, 64 * SLAB, seed % 2 ? SLAB : page_size(),
			    seed % 3 ? 0 : ARENA_SETUP_SPANS);
		map = arena_map(fd, 64 * SLAB, PROT_READ | PROT_WRITE, 0);
		other = arena_dup(fd, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC);
		if (seed % 5)
			close(fd);
		arena_store(other, bytes, sizeof(bytes), NULL);
		arena_alloc(other, 3 * SLAB, NULL);
		if (map)
			touch_write(map);
		arena_reset(fd, seed % 3, 0);
		if (seed % 7)
			close(other);
		if (seed % 4 && map)
			munmap(map, 64 * SLAB);
		close(fd);
		close(other);
		munmap(map, 64 * SLAB);
		seed = seed * 1103515245 + 12345;
	}
}

/* clauses 17, 22: programs that are killed at any time leave nothing behind */
TEST_F_TIMEOUT(limits, kill_at_any_time_leaves_nothing, 120)
{
	pid_t pids[4];
	int round, i;

	if (arena_held_bytes() < 0)
		SKIP(return, "no debugfs");
	ASSERT_TRUE(all_gone());
	for (round = 0; more_rounds(round, 20); round++) {
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			if (!pids[i])
				busy(round * 17 + i);
		}
		usleep(20000 + round * 3777);
		for (i = 0; i < ARRAY_SIZE(pids); i++)
			kill(pids[i], SIGKILL);
		for (i = 0; i < ARRAY_SIZE(pids); i++)
			EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	}
	EXPECT_TRUE(all_gone());
}

/* clause 22: opening, using and closing many arenas loses no memory */
TEST(open_and_close_repeatedly_leaks_nothing)
{
	int i, fd;

	for (i = 0; more_rounds(i, 1000); i++) {
		fd = arena_open();
		ASSERT_LE(0, fd);
		if (i & 1)
			ASSERT_EQ(0, arena_alloc(fd, 100, NULL));
		close(fd);
	}
	EXPECT_TRUE(all_gone());
}

TEST_HARNESS_MAIN
