// SPDX-License-Identifier: GPL-2.0
/*
 * Tests how the rest of the kernel handles descriptors of arenas: inotify and fanotify, file locks,
 * paths, and security modules treat each descriptor as an open file of the device node, even a
 * descriptor that ARENA_IOC_DUP has made (clauses 17 and 22).
 */
#include "kselftest_harness.h"

#include <limits.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <linux/landlock.h>

#include "arena_test.h"

#define R	ARENA_RIGHT_READ
#define PATIENCE 150	/* seconds in which a child must have ended */

static void path_of(int fd, char *path, size_t size)
{
	snprintf(path, size, "/proc/self/fd/%d", fd);
}

/*
 * Returns whether a child process that closes an arena and calls sync() ends in time. Does not wait
 * for the end of a child that is late, because the child may sleep in the kernel for ever.
 */
static bool comes_back(void)
{
	pid_t pid = fork();
	int tick;

	if (!pid) {
		int fd = arena_open();

		if (fd < 0 || arena_setup(fd, 1 << 20, SLAB, 0) || close(fd))
			_exit(1);
		sync();
		_exit(0);
	}
	for (tick = 0; tick < PATIENCE * 10; tick++) {
		int status;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) && !WEXITSTATUS(status);
		usleep(100000);
	}
	kill(pid, SIGKILL);
	return false;
}

FIXTURE(node)
{
	int fd, other;
	char path[64];
};

FIXTURE_SETUP(node)
{
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	self->other = arena_dup(self->fd, R);
	ASSERT_LE(0, self->other);
	path_of(self->other, self->path, sizeof(self->path));
}

FIXTURE_TEARDOWN(node)
{
}

/* clause 17: an inotify watch on a descriptor's /proc path does not stall the close of an arena */
TEST_F_TIMEOUT(node, close_with_inotify_watch_returns, PATIENCE + 60)
{
	int watches = inotify_init1(IN_CLOEXEC);

	ASSERT_LE(0, watches);
	ASSERT_LE(0, inotify_add_watch(watches, self->path, IN_ALL_EVENTS));
	close(self->other);
	close(self->fd);
	EXPECT_TRUE(comes_back());
	close(watches);
	EXPECT_TRUE(comes_back());
}

/* clause 17: fanotify marks on inode, mount and file system do not stall the close of an arena */
TEST_F_TIMEOUT(node, close_with_fanotify_mark_returns, PATIENCE + 60)
{
	static const unsigned int kinds[] = {
		FAN_MARK_INODE, FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM,
	};
	int marks = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
	unsigned int i;

	if (marks < 0)
		SKIP(return, "no fanotify: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		ASSERT_EQ(0, fanotify_mark(marks, FAN_MARK_ADD | kinds[i], FAN_OPEN | FAN_CLOSE,
					   AT_FDCWD, self->path));
	close(self->other);
	close(self->fd);
	EXPECT_TRUE(comes_back());
	close(marks);
}

/*
 * clause 17: file locks do not stall the close of an arena; fcntl() refuses file leases
 * (F_SETLEASE), as for any device
 */
TEST_F_TIMEOUT(node, close_with_file_lock_returns, PATIENCE + 60)
{
	struct flock lock = { .l_type = F_RDLCK };

	EXPECT_EQ(0, flock(self->other, LOCK_EX));
	EXPECT_EQ(0, fcntl(self->other, F_OFD_SETLK, &lock));
	EXPECT_EQ(-1, fcntl(self->other, F_SETLEASE, F_RDLCK));
	EXPECT_TRUE(comes_back());
}

/* clause 17: an O_PATH descriptor of a duplicate does not stall the close of an arena */
TEST_F_TIMEOUT(node, close_with_path_descriptor_returns, PATIENCE + 60)
{
	int fd = open(self->path, O_PATH | O_CLOEXEC);

	ASSERT_LE(0, fd);
	close(self->other);
	close(self->fd);
	EXPECT_TRUE(comes_back());
	close(fd);
}

/*
 * Returns the minor number that the kernel gives to a newly mounted file system without a device,
 * or -1.
 */
static int next_anonymous_minor(void)
{
	char dir[] = "/tmp/arena-XXXXXX";
	struct stat st;
	int minor = -1;

	if (!mkdtemp(dir))
		return -1;
	if (!mount("none", dir, "tmpfs", 0, NULL)) {
		if (!stat(dir, &st))
			minor = minor(st.st_dev);
		umount(dir);
	}
	rmdir(dir);
	return minor;
}

static long slab_kib(void)
{
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Slab: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* clause 22: an arena that is gone leaves no superblock, inode or device number behind */
TEST_F_TIMEOUT(node, close_leaves_no_inode, 600)
{
	enum { ROUNDS = 4000 };
	struct rlimit limit = { ROUNDS + 100, ROUNDS + 100 };
	int minor, i;
	long slab;

	close(self->other);
	close(self->fd);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		SKIP(return, "no %d descriptors: %s", ROUNDS, strerror(errno));
	minor = next_anonymous_minor();
	slab = slab_kib();
	for (i = 0; i < ROUNDS; i++) {
		int fd = arena_open(), other = arena_dup(fd, R);
		char path[64];

		path_of(other, path, sizeof(path));
		if (fd < 0 || other < 0 || open(path, O_PATH) < 0 || close(other) || close(fd))
			break;
	}
	ASSERT_EQ(ROUNDS, i);
	if (minor >= 0)
		EXPECT_GT(minor + 100, next_anonymous_minor());
	/* The O_PATH descriptors, which stay open, take up to 2 KiB each. */
	EXPECT_GT(slab + ROUNDS * 2, slab_kib());
}

/* clause 22: fstat() and the /proc path of a duplicate show the device node */
TEST_F(node, stat_duplicate_is_device_node)
{
	char opened[PATH_MAX], dup[PATH_MAX], path[64];
	struct stat node, st;
	ssize_t n;

	ASSERT_EQ(0, stat(DEVICE, &node));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(node.st_ino, st.st_ino);
	ASSERT_EQ(0, fstat(self->other, &st));
	EXPECT_EQ(node.st_dev, st.st_dev);
	EXPECT_EQ(node.st_ino, st.st_ino);
	EXPECT_EQ(node.st_rdev, st.st_rdev);
	EXPECT_EQ(node.st_mode, st.st_mode);
	n = readlink(self->path, dup, sizeof(dup));
	path_of(self->fd, path, sizeof(path));
	ASSERT_LT(0, n);
	ASSERT_EQ(n, readlink(path, opened, sizeof(opened)));
	EXPECT_EQ(0, memcmp(opened, dup, n));
}

/*
 * clause 22: if a security module does not let a process open the device, the process cannot make a
 * duplicate either. The test uses Landlock, which a process can set up for itself.
 */
TEST_F(node, dup_under_landlock_refused)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE,
	};
	int rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (rules < 0)
		SKIP(return, "no Landlock: %s", strerror(errno));
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, syscall(SYS_landlock_restrict_self, rules, 0));
	EXPECT_EQ(-EACCES, arena_open());
	EXPECT_EQ(-EACCES, arena_dup(self->fd, R));
	/* Landlock does not concern descriptors that are open already. */
	EXPECT_EQ(0, arena_alloc(self->fd, 8, NULL));
}

/*
 * clause 17: when several processes make duplicates at the same time, each duplicate belongs to the
 * arena of the descriptor that DUP was called on, and has the rights that the process asked for
 */
TEST_F_TIMEOUT(node, dup_races_with_open_own_arena, 300)
{
	pid_t pids[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			int round, fd = arena_open(), other, fresh;

			if (arena_setup(fd, 1 << 20, SLAB, 0) || arena_alloc(fd, 8 * (i + 1), NULL))
				_exit(1);
			for (round = 0; more_rounds(round, 500); round++) {
				fresh = arena_open();
				other = arena_dup(fd, R);
				if (fresh < 0 || other < 0 || arena_used(fresh) ||
				    arena_used(other) != 8 * (i + 1) ||
				    arena_alloc(other, 8, NULL) != -EACCES)
					_exit(1);
				close(other);
				close(fresh);
			}
			_exit(0);
		}
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, wait_for(pids[i]));
}

TEST_HARNESS_MAIN
