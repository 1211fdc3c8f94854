// SPDX-License-Identifier: GPL-2.0
/* Tests what each right on a descriptor of /dev/arena permits (clauses 17, 19 and 20). */
#include "kselftest_harness.h"
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "arena_pass.h"
#include "arena_test.h"

#define CAPACITY	(16 * SLAB)
#define R		ARENA_RIGHT_READ
#define W		ARENA_RIGHT_WRITE
#define A		ARENA_RIGHT_ALLOC
#define T		ARENA_RIGHT_RESET

/* clause 17: open() of the device for reading only fails */
TEST(open_read_only_eacces)
{
	EXPECT_EQ(-1, open(DEVICE, O_RDONLY | O_CLOEXEC));
	EXPECT_EQ(EACCES, errno);
}

/* clause 17: open() of the device for writing only fails */
TEST(open_write_only_eacces)
{
	EXPECT_EQ(-1, open(DEVICE, O_WRONLY | O_CLOEXEC));
	EXPECT_EQ(EACCES, errno);
}

/* clause 17: open() with the access mode O_ACCMODE (3), which permits only ioctls, fails */
TEST(open_for_ioctl_only_eacces)
{
	EXPECT_EQ(-1, open(DEVICE, O_ACCMODE | O_CLOEXEC));
	EXPECT_EQ(EACCES, errno);
}

/*
 * clause 17: open() with O_DIRECT fails; the kernel checks O_DIRECT after the module's open
 * function has run
 */
TEST(open_direct_einval)
{
	EXPECT_EQ(-1, open(DEVICE, O_RDWR | O_DIRECT | O_CLOEXEC));
	EXPECT_EQ(EINVAL, errno);
}

/* clause 17: only root may open the device node by default */
TEST(stat_device_node_mode_0600)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
}

/*
 * clause 17: SETUP works on a duplicate with the right to reset, because DUP does not count as use
 * of the arena
 */
TEST(setup_on_duplicate_ok)
{
	int fd = arena_open(), reader = arena_dup(fd, R), setter = arena_dup(fd, T);
	struct arena_info_args info;

	ASSERT_LE(0, reader);
	ASSERT_LE(0, setter);
	EXPECT_EQ(-EACCES, arena_setup(reader, CAPACITY, SLAB, 0));
	EXPECT_EQ(0, arena_setup(setter, CAPACITY, SLAB, 0));
	ASSERT_EQ(0, arena_info(fd, &info));
	EXPECT_EQ(CAPACITY, info.capacity);
	EXPECT_EQ(-EBUSY, arena_setup(fd, CAPACITY, SLAB, 0));
	close(setter);
	close(reader);
	close(fd);
}

/* clause 17: each open() creates a new arena */
TEST(open_twice_two_arenas)
{
	int a = arena_open(), b = arena_open();

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, arena_alloc(a, 100, NULL));
	EXPECT_EQ(100, arena_used(a));
	EXPECT_EQ(0, arena_used(b));
	close(a);
	close(b);
}

FIXTURE(owner)
{
	int fd;
	int other;
	char *map;
	__u64 offset;
	struct arena_info_args info;
};

FIXTURE_SETUP(owner)
{
	self->other = -1;
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_store(self->fd, "original", 9, &self->offset));
}

FIXTURE_TEARDOWN(owner)
{
	close(self->other);
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* The harness runs each test of this fixture with each set of rights. */
FIXTURE(rights)
{
	int fd;
	int other;
	struct arena_info_args info;
};

FIXTURE_VARIANT(rights)
{
	__u32 rights;
};

FIXTURE_VARIANT_ADD(rights, r)
{
	.rights = R,
};

FIXTURE_VARIANT_ADD(rights, rw)
{
	.rights = R | W,
};

FIXTURE_VARIANT_ADD(rights, a)
{
	.rights = A,
};

FIXTURE_VARIANT_ADD(rights, t)
{
	.rights = T,
};

FIXTURE_VARIANT_ADD(rights, ra)
{
	.rights = R | A,
};

FIXTURE_VARIANT_ADD(rights, rt)
{
	.rights = R | T,
};

FIXTURE_VARIANT_ADD(rights, at)
{
	.rights = A | T,
};

FIXTURE_VARIANT_ADD(rights, rwa)
{
	.rights = R | W | A,
};

FIXTURE_VARIANT_ADD(rights, rwt)
{
	.rights = R | W | T,
};

FIXTURE_VARIANT_ADD(rights, rat)
{
	.rights = R | A | T,
};

FIXTURE_VARIANT_ADD(rights, rwat)
{
	.rights = R | W | A | T,
};

FIXTURE_SETUP(rights)
{
	self->fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_alloc(self->fd, 9, NULL));
	self->other = arena_dup(self->fd, variant->rights);
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(rights)
{
	close(self->other);
	close(self->fd);
}

static int expected(__u32 have, __u32 need)
{
	return (have & need) == need ? 0 : -EACCES;
}

/* clause 17: OFFSET and INFO need no right */
TEST_F(rights, info_without_right_ok)
{
	EXPECT_EQ(9, arena_used(self->other));
	ASSERT_EQ(0, arena_info(self->other, &self->info));
	EXPECT_EQ(variant->rights, self->info.rights);
	EXPECT_EQ(9, self->info.used);
}

/* clause 17: ALLOC and STORE need the right to allocate */
TEST_F(rights, alloc_needs_alloc_right)
{
	EXPECT_EQ(expected(variant->rights, A), arena_alloc(self->other, 8, NULL));
	EXPECT_EQ(expected(variant->rights, A), arena_store(self->other, "x", 1, NULL));
	EXPECT_EQ(variant->rights & A ? 18 : 9, arena_used(self->fd));
}

/* clause 17: RESET needs the right to reset */
TEST_F(rights, reset_needs_reset_right)
{
	__u32 mode;

	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_ZERO; mode++)
		EXPECT_EQ(expected(variant->rights, T), arena_reset(self->other, mode, 0));
	EXPECT_EQ(variant->rights & T ? 0 : 9, arena_used(self->fd));
}

/* clause 17: without the right to reset, SETUP fails with EACCES, even if the arena is in use */
TEST_F(rights, setup_again_needs_reset_right)
{
	EXPECT_EQ(variant->rights & T ? -EBUSY : -EACCES, arena_setup(self->other, 0, 0, 0));
}

/*
 * clause 19: a readable mapping needs the right to read, and cannot become writable without the
 * right to write
 */
TEST_F(rights, map_readable_needs_read_right)
{
	char *map = arena_map(self->other, CAPACITY, PROT_READ, 0);

	if (!(variant->rights & R)) {
		EXPECT_EQ(NULL, map);
		EXPECT_EQ(EACCES, errno);
		return;
	}
	ASSERT_NE(NULL, map);
	EXPECT_EQ(0, touch_read(map));
	EXPECT_EQ(SIGSEGV, touch_write(map));
	EXPECT_EQ(variant->rights & W ? 0 : -1,
		  mprotect(map, CAPACITY, PROT_READ | PROT_WRITE));
	EXPECT_EQ(variant->rights & W ? 0 : SIGSEGV, touch_write(map));
	munmap(map, CAPACITY);
}

/* clause 19: a writable mapping needs the right to write */
TEST_F(rights, map_writable_needs_write_right)
{
	char *map = arena_map(self->other, CAPACITY, PROT_READ | PROT_WRITE, 0);

	if (!(variant->rights & W)) {
		EXPECT_EQ(NULL, map);
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(NULL, arena_map(self->other, CAPACITY, PROT_WRITE, 0));
		EXPECT_EQ(EACCES, errno);
		return;
	}
	ASSERT_NE(NULL, map);
	EXPECT_EQ(0, touch_write(map));
	munmap(map, CAPACITY);
}

/* clause 19: mprotect() gives a PROT_NONE mapping the access that the rights allow, and no more */
TEST_F(rights, mprotect_from_none_within_rights)
{
	char *map = arena_map(self->other, CAPACITY, PROT_NONE, 0);

	if (!(variant->rights & R)) {
		EXPECT_EQ(NULL, map);
		return;
	}
	ASSERT_NE(NULL, map);
	EXPECT_EQ(variant->rights & W ? 0 : -1, mprotect(map, CAPACITY, PROT_WRITE));
	EXPECT_EQ(0, mprotect(map, CAPACITY, PROT_READ));
	EXPECT_EQ(0, touch_read(map));
	munmap(map, CAPACITY);
}

/*
 * clause 17: DUP can give any subset of the rights of its descriptor, and no other right; a DUP
 * that fails leaves no descriptor
 */
TEST_F(rights, dup_subset_of_rights_only)
{
	__u32 wanted;
	int fd, before = dup(0);

	close(before);
	for (wanted = 1; wanted <= ARENA_RIGHTS_ALL; wanted++) {
		if (wanted & W && !(wanted & R))
			continue;
		fd = arena_dup(self->other, wanted);
		if (wanted & ~variant->rights) {
			EXPECT_EQ(-EACCES, fd);
			continue;
		}
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, arena_info(fd, &self->info));
		EXPECT_EQ(wanted, self->info.rights);
		close(fd);
	}
	fd = dup(0);
	EXPECT_EQ(before, fd);
	close(fd);
}

/* clause 17: F_SETFL does not change the access mode */
TEST_F(rights, fcntl_setfl_keeps_mode)
{
	ASSERT_EQ(variant->rights & W ? O_RDWR : O_RDONLY,
		  fcntl(self->other, F_GETFL) & O_ACCMODE);
	fcntl(self->other, F_SETFL, O_RDWR);
	EXPECT_EQ(variant->rights & W ? O_RDWR : O_RDONLY,
		  fcntl(self->other, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(!!(variant->rights & W),
		  !!arena_map(self->other, CAPACITY, PROT_READ | PROT_WRITE, 0));
}

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * clause 17: opening a duplicate again through /proc/self/fd gives a new arena, and no rights to
 * the old arena
 */
TEST_F(rights, reopen_duplicate_fresh_arena)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_ACCMODE };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_EQ(-EACCES, reopen(self->other, flags[i]));
	fd = reopen(self->other, O_RDWR | O_TRUNC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, arena_used(fd));
	ASSERT_EQ(0, arena_alloc(fd, 50, NULL));
	EXPECT_EQ(9, arena_used(self->fd));
	close(fd);
}

/* clause 17: an O_PATH descriptor permits no call; opening it again gives a new arena */
TEST_F(rights, reopen_as_path_no_calls)
{
	int fd = reopen(self->other, O_PATH), fresh;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, arena_alloc(fd, 8, NULL));
	EXPECT_EQ(-EBADF, arena_dup(fd, R));
	EXPECT_EQ(NULL, arena_map(fd, page_size(), PROT_READ, 0));
	fresh = reopen(fd, O_RDWR);
	ASSERT_LE(0, fresh);
	EXPECT_EQ(0, arena_used(fresh));
	close(fresh);
	close(fd);
}

/* clause 17: opening the first descriptor again through /proc/self/fd gives a new arena */
TEST_F(owner, reopen_descriptor_fresh_arena)
{
	self->other = reopen(self->fd, O_RDWR);
	ASSERT_LE(0, self->other);
	EXPECT_EQ(0, arena_used(self->other));
	ASSERT_EQ(0, arena_alloc(self->other, 50, NULL));
	EXPECT_EQ(9, arena_used(self->fd));
	EXPECT_EQ(-EACCES, reopen(self->fd, O_RDONLY));
}

/* clause 17: a duplicate is closed on exec */
TEST_F(owner, dup_close_on_exec_set)
{
	self->other = arena_dup(self->fd, R);
	ASSERT_LE(0, self->other);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->other, F_GETFD));
}

/* clause 17: dup(2) shares the arena and all rights */
TEST_F(owner, dup2_shares_arena)
{
	self->other = dup(self->fd);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, arena_alloc(self->other, 91, NULL));
	EXPECT_EQ(9 + 91, arena_used(self->fd));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(9 + 91, arena_used(self->other));
}

/*
 * clause 17: an arena lives until its last descriptor is closed, even if that descriptor is a
 * duplicate
 */
TEST_F(owner, close_with_duplicate_keeps_arena)
{
	self->other = arena_dup(self->fd, R | A);
	ASSERT_LE(0, self->other);
	munmap(self->map, CAPACITY);
	close(self->fd);
	self->fd = -1;
	self->map = arena_map(self->other, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	EXPECT_STREQ("original", self->map + self->offset);
	ASSERT_EQ(0, arena_store(self->other, "more", 5, &self->offset));
	EXPECT_STREQ("more", self->map + self->offset);
}

/* clauses 17, 20: a reset revokes the mappings of all descriptors */
TEST_F(owner, reset_release_revokes_duplicate)
{
	char *map;

	self->other = arena_dup(self->fd, R);
	ASSERT_LE(0, self->other);
	map = arena_map(self->other, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, map);
	EXPECT_STREQ("original", map + self->offset);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(SIGBUS, touch_read(map));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
	munmap(map, CAPACITY);
}

/* clause 20: a reset through a duplicate revokes the mappings of the first descriptor */
TEST_F(owner, reset_release_by_duplicate_revokes_owner)
{
	self->other = arena_dup(self->fd, R | T);
	ASSERT_LE(0, self->other);
	EXPECT_EQ(0, touch_read(self->map));
	ASSERT_EQ(0, arena_reset(self->other, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
}

/* clause 20: a reset does not revoke mappings of another arena */
TEST_F(owner, reset_release_other_arena_untouched)
{
	char *map;

	self->other = arena_open();
	ASSERT_LE(0, self->other);
	map = arena_map(self->other, SLAB, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, arena_store(self->other, "mine", 5, NULL));
	EXPECT_STREQ("mine", map);
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_STREQ("mine", map);
	munmap(map, SLAB);
}

/*
 * clauses 4, 18: ARENA_IOC_DUP returns EMFILE, and makes no descriptor, if the process has no
 * free descriptor number
 */
TEST_F(owner, dup_without_free_descriptor_emfile)
{
	struct rlimit limit = { self->fd + 1, 4096 };
	struct arena_dup_args args = { .size = sizeof(args), .rights = R, .fd = -7 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, arena_ioctl(self->fd, ARENA_IOC_DUP, &args));
	EXPECT_EQ(-7, args.fd);
}

/*
 * Receives a descriptor with the right to read, and checks that this process can read the arena and
 * cannot change it. Returns 0 or the number of the first failed check.
 */
static int reader(int socket)
{
	int fd = receive_fd(socket);
	char *map;

	if (fd < 0)
		return 1;
	map = arena_map(fd, CAPACITY, PROT_READ, 0);
	if (!map || strcmp(map, "original"))
		return 2;
	if (arena_used(fd) != 9)
		return 3;
	if (touch_write(map) != SIGSEGV)
		return 4;
	if (!mprotect(map, CAPACITY, PROT_READ | PROT_WRITE))
		return 5;
	if (arena_alloc(fd, 8, NULL) != -EACCES || arena_store(fd, "x", 1, NULL) != -EACCES)
		return 6;
	if (arena_reset(fd, ARENA_RESET_ZERO, 0) != -EACCES)
		return 7;
	if (arena_dup(fd, R | W) != -EACCES || arena_dup(fd, R | A) != -EACCES)
		return 8;
	return strcmp(map, "original") ? 9 : 0;
}

/* clause 17: a descriptor can be sent over a socket to a process that is older than the arena */
TEST(pass_over_socket_shares_arena)
{
	int sockets[2], fd, read_only;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	if (!pid)
		_exit(reader(sockets[1]));
	fd = arena_create(CAPACITY, SLAB, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_store(fd, "original", 9, NULL));
	read_only = arena_dup(fd, R);
	ASSERT_LE(0, read_only);
	ASSERT_EQ(0, send_fd(sockets[0], read_only));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(9, arena_used(fd));
	close(read_only);
	close(fd);
}

/*
 * clause 17: an arena lives while a socket has its only descriptor, even if the sender has exited
 */
TEST(pass_after_sender_exit_ok)
{
	int sockets[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	if (!pid) {
		fd = arena_open();
		if (fd < 0 || arena_setup(fd, CAPACITY, SLAB, 0) ||
		    arena_store(fd, "original", 9, NULL))
			_exit(1);
		fd = arena_dup(fd, R);
		if (fd < 0)
			_exit(2);
		send_fd(sockets[1], fd);
		_exit(0);
	}
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, reader(sockets[0]));
}

/*
 * clause 19: /proc/self/mem ignores the protection of private mappings, but cannot write to an
 * arena that is mapped without the right to write
 */
TEST_F(owner, write_proc_mem_read_only_refused)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char buf[9] = {};
	char *map;

	ASSERT_LE(0, mem);
	self->other = arena_dup(self->fd, R | A);
	ASSERT_LE(0, self->other);
	map = arena_map(self->other, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, map);
	EXPECT_EQ(9, pread(mem, buf, 9, (unsigned long)map));
	EXPECT_STREQ("original", buf);
	EXPECT_EQ(-1, pwrite(mem, "tampered", 9, (unsigned long)map));
	EXPECT_STREQ("original", map);
	close(mem);
	munmap(map, CAPACITY);
}

/*
 * Forks a child process, which stops so that the test can trace it. When the child continues, it
 * exits with 0 if the arena is unchanged. Returns the child's process ID, or -1.
 */
static pid_t stopped_child(const char *map)
{
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(strcmp(map, "original") ? 1 : 0);
	}
	return waitpid(pid, NULL, 0) == pid ? pid : -1;
}

static long poke(pid_t pid, const char *at, const char *word)
{
	long data;

	memcpy(&data, word, sizeof(data));
	errno = 0;
	return ptrace(PTRACE_POKEDATA, pid, at, data) ? -errno : 0;
}

static long peek(pid_t pid, const char *at)
{
	errno = 0;
	return ptrace(PTRACE_PEEKDATA, pid, at, NULL);
}

/*
 * clause 19: ptrace() cannot write to a mapping without the right to write. In a private mapping,
 * the kernel would write to a copy of the page; a shared mapping has no copies, so the call fails
 * with EIO.
 */
TEST_F(owner, ptrace_read_only_mapping_eio)
{
	static const int rights[] = { R, R | A, R | A | T };
	long original;
	unsigned int i;
	char *map;
	pid_t pid;

	memcpy(&original, "original", sizeof(original));
	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		self->other = arena_dup(self->fd, rights[i]);
		ASSERT_LE(0, self->other);
		map = arena_map(self->other, CAPACITY, PROT_READ, 0);
		ASSERT_NE(NULL, map);
		pid = stopped_child(map);
		ASSERT_LT(0, pid);
		EXPECT_EQ(original, peek(pid, map));
		EXPECT_EQ(-EIO, poke(pid, map, "tampered"));
		EXPECT_EQ(-EIO, poke(pid, map + 1, "tampered"));
		EXPECT_EQ(original, peek(pid, map));
		EXPECT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
		EXPECT_EQ(0, wait_for(pid));
		/* The test's own mapping, which is writable, shows the original bytes. */
		EXPECT_STREQ("original", self->map);
		munmap(map, CAPACITY);
		close(self->other);
	}
	self->other = -1;
}

/*
 * clause 19: ptrace() can write to a mapping with the right to write, so the calls in
 * ptrace_read_only_mapping_eio fail only because the right to write is missing
 */
TEST_F(owner, ptrace_writable_mapping_ok)
{
	pid_t pid = stopped_child(self->map);

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, poke(pid, self->map, "tampered"));
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	EXPECT_EQ(1, wait_for(pid));
	EXPECT_STREQ("tampered", self->map);
}

/*
 * clause 19: another process cannot write to a read-only mapping, neither by /proc/PID/mem nor by
 * process_vm_writev()
 */
TEST_F(owner, write_from_other_process_refused)
{
	struct iovec from = { "tampered", 8 }, to = { .iov_len = 8 };
	char path[32];
	char *map;
	pid_t pid;
	int mem;

	self->other = arena_dup(self->fd, R);
	ASSERT_LE(0, self->other);
	map = arena_map(self->other, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, map);
	pid = stopped_child(map);
	ASSERT_LT(0, pid);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	EXPECT_EQ(-1, pwrite(mem, "tampered", 8, (unsigned long)map));
	EXPECT_EQ(EIO, errno);
	to.iov_base = map;
	EXPECT_EQ(-1, process_vm_writev(pid, &from, 1, &to, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_STREQ("original", self->map);
	close(mem);
	munmap(map, CAPACITY);
}

TEST_HARNESS_MAIN
