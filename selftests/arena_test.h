/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for the tests of /dev/arena: functions that make the most frequent ioctls and return 0
 * (or the result) or a negative errno, and functions that access memory which may not be mapped.
 * arena_calls.h has functions for the other ioctls.
 *
 * The comment of a test names the clauses that it checks, of the contract in
 * include/CONTRACT.md.
 */
#ifndef ARENA_TEST_H
#define ARENA_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/arena.h>

/*
 * By default, the harness kills a test after 30 seconds. A busy machine may need 30 seconds for a
 * test that takes two seconds on an idle machine, so raise the limit. The harness still kills a
 * test that hangs.
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	180
#endif

#define DEVICE		"/dev/arena"
#define DEBUGFS		"/sys/kernel/debug/arena/"
#define RACE_SECONDS	10		/* after this time, more_rounds() may end a race early */
#define SLAB		65536UL		/* the slab size that tests ask for */
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* Returns the kernel's page size, 4 to 64 KiB, which is also the smallest size of a slab. */
static inline unsigned long page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * Returns whether this kernel is User-Mode Linux. There, sanitizers make the kernel slow, the first
 * access to each page faults even if an earlier fault on another page has mapped it, and the kernel
 * cannot unmap pages of a program that runs on another CPU.
 */
static inline bool on_uml(void)
{
	char text[4096];
	int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return strstr(text, "User Mode Linux");
}

static inline int arena_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int arena_ioctl(int fd, unsigned int cmd, void *args)
{
	return ioctl(fd, cmd, args) ? -errno : 0;
}

static inline int arena_setup(int fd, __u64 capacity, __u32 slab_size, __u32 flags)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.flags = flags,
		.capacity = capacity,
		.slab_size = slab_size,
		.name = "selftest",
	};

	return arena_ioctl(fd, ARENA_IOC_SETUP, &args);
}

/* Opens the device and sets the arena up; returns a descriptor or a negative errno. */
static inline int arena_create(__u64 capacity, __u32 slab_size, __u32 flags)
{
	int fd = arena_open();
	int err = fd < 0 ? fd : arena_setup(fd, capacity, slab_size, flags);

	if (fd >= 0 && err)
		close(fd);
	return err ?: fd;
}

static inline int arena_alloc_flags(int fd, __u64 bytes, __u64 align, __u32 flags,
				    __u64 *offset)
{
	struct arena_alloc_args args = {
		.size = sizeof(args),
		.flags = flags,
		.bytes = bytes,
		.align = align,
	};
	int err = arena_ioctl(fd, ARENA_IOC_ALLOC, &args);

	if (!err && offset)
		*offset = args.offset;
	return err;
}

static inline int arena_alloc(int fd, __u64 bytes, __u64 *offset)
{
	return arena_alloc_flags(fd, bytes, 0, 0, offset);
}

static inline int arena_store(int fd, const void *src, __u64 bytes, __u64 *offset)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)src,
		.bytes = bytes,
	};
	int err = arena_ioctl(fd, ARENA_IOC_STORE, &args);

	if (!err && offset)
		*offset = args.offset;
	return err;
}

static inline int arena_reset(int fd, __u32 mode, __u64 keep)
{
	struct arena_reset_args args = {
		.size = sizeof(args),
		.mode = mode,
		.keep = keep,
	};

	return arena_ioctl(fd, ARENA_IOC_RESET, &args);
}

static inline int arena_info(int fd, struct arena_info_args *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return arena_ioctl(fd, ARENA_IOC_INFO, info);
}

static inline int arena_lease(int fd, __u64 min, __u64 want, __u64 align,
			      struct arena_lease_args *lease)
{
	*lease = (struct arena_lease_args){
		.size = sizeof(*lease),
		.min = min,
		.want = want,
		.align = align,
	};
	return arena_ioctl(fd, ARENA_IOC_LEASE, lease);
}

static inline int arena_commit(int fd, __u64 bytes, __u32 flags, __u32 node)
{
	struct arena_commit_args args = {
		.size = sizeof(args),
		.flags = flags,
		.bytes = bytes,
		.node = node,
	};

	return arena_ioctl(fd, ARENA_IOC_COMMIT, &args);
}

static inline int arena_seal(int fd)
{
	struct arena_seal_args args = { .size = sizeof(args) };

	return arena_ioctl(fd, ARENA_IOC_SEAL, &args);
}

/* Returns how many bytes all objects have together, or all ones if the ioctl fails. */
static inline __u64 arena_used(int fd)
{
	struct arena_offset_args args = { .size = sizeof(args) };

	return arena_ioctl(fd, ARENA_IOC_OFFSET, &args) ? ~0ULL : args.offset;
}

static inline int arena_dup(int fd, __u32 rights)
{
	struct arena_dup_args args = {
		.size = sizeof(args),
		.rights = rights,
		.fd = -1,
	};
	int err = arena_ioctl(fd, ARENA_IOC_DUP, &args);

	return err ?: args.fd;
}

/* Makes a shared mapping of an arena; on failure, returns NULL with errno set. */
static inline void *arena_map(int fd, size_t bytes, int prot, off_t offset)
{
	void *map = mmap(NULL, bytes, prot, MAP_SHARED, fd, offset);

	return map == MAP_FAILED ? NULL : map;
}

/* Like arena_create(), and maps the whole arena for reading and writing. */
static inline int arena_create_mapped(__u64 capacity, __u32 slab_size, __u32 flags, char **map)
{
	int fd = arena_create(capacity, slab_size, flags);

	if (fd < 0)
		return fd;
	*map = arena_map(fd, capacity, PROT_READ | PROT_WRITE, 0);
	if (!*map) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Maps the status page; on failure, returns NULL with errno set. */
static inline const struct arena_status *arena_map_status(int fd)
{
	return arena_map(fd, sysconf(_SC_PAGESIZE), PROT_READ, ARENA_STATUS_OFFSET);
}

static sigjmp_buf touch_env;

static inline void touch_signal(int sig)
{
	siglongjmp(touch_env, sig);
}

/*
 * Reads the byte at @at and, if @write, writes it back. Returns the signal that the access raises,
 * or 0.
 */
static inline int touch(char *at, bool write)
{
	struct sigaction action = { .sa_handler = touch_signal, .sa_flags = SA_NODEFER };
	struct sigaction old_bus, old_segv;
	int sig;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	sig = sigsetjmp(touch_env, 1);
	if (!sig) {
		char c = __atomic_load_n(at, __ATOMIC_RELAXED);

		if (write)
			__atomic_store_n(at, c, __ATOMIC_RELAXED);
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return sig;
}

static inline int touch_read(const void *at)
{
	return touch((char *)at, false);
}

static inline int touch_write(void *at)
{
	return touch(at, true);
}

/*
 * Copies a string with its terminating zero. The caller must have checked that the string fits at
 * @at.
 */
static inline void put_string(char *at, const char *string)
{
	memcpy(at, string, strlen(string) + 1);
}

/* Returns whether all @bytes bytes at @at have the value @byte. */
static inline bool all_bytes(const void *at, int byte, size_t bytes)
{
	const unsigned char *p = at;

	while (bytes--)
		if (*p++ != (unsigned char)byte)
			return false;
	return true;
}

/* Returns the exit status of a child, or -1 - signal if a signal killed it. */
static inline int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1 - WTERMSIG(status);
}

/* Returns the number at the beginning of a file, or -1 if the file has none. */
static inline long long read_number(const char *path)
{
	long long number = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	if (fscanf(file, "%lld", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

/*
 * Returns the bytes of memory that all arenas of the machine hold, or -1 if there is no debugfs.
 * Leaves out memory in the pool, which the module keeps for new arenas, because the kernel may free
 * it at any time.
 */
static inline long long arena_held_bytes(void)
{
	long long total = read_number(DEBUGFS "total_bytes");

	return total < 0 ? -1 : total - read_number(DEBUGFS "pool_bytes");
}

/*
 * Waits up to half a minute until arena_held_bytes() is at most @bytes; returns false on a timeout.
 * With 0, waits until the memory of earlier tests is free.
 *
 * If a pipe or io_uring refers to a page of a closed arena, the module holds the page until a
 * worker of the module finds that the reference is gone, which may be long after the test. So a
 * test must not expect an exact value of arena_held_bytes(): it may expect upper bounds, and lower
 * bounds that follow from its own arenas.
 */
static inline bool arena_held_falls_to(long long bytes)
{
	int i;

	for (i = 0; i < 3000 && arena_held_bytes() > bytes; i++)
		usleep(10000);
	return arena_held_bytes() <= bytes;
}

/* Moves the calling thread to the CPU @cpu; returns whether the machine has that CPU. */
static inline bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Returns whether a race goes on with round @i, counted from 0. A race ends after @rounds rounds,
 * or after RACE_SECONDS if at least a tenth of the rounds are done: an emulated or busy machine
 * would take too long for all rounds.
 */
static inline bool more_rounds(unsigned int i, unsigned int rounds)
{
	static time_t end;

	if (!i)
		end = time(NULL) + RACE_SECONDS;
	return i < rounds && (i < rounds / 10 || time(NULL) < end);
}

/*
 * Returns whether a thread of this process sleeps interruptibly. In these tests, a thread sleeps
 * interruptibly only in the call in which the test wants it to wait.
 */
static inline bool thread_sleeps(pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state == 'S';
}

/*
 * Returns the number of arenas, or -1 if there is no debugfs. The debugfs file has a heading, and
 * below it a line for each arena.
 */
static inline int arena_count(void)
{
	FILE *file = fopen(DEBUGFS "arenas", "re");
	int lines = -1, c;

	if (!file)
		return -1;
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static inline bool write_string(const char *path, const char *string)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, string, strlen(string)) == (ssize_t)strlen(string);
	close(fd);
	return ok;
}

#endif /* ARENA_TEST_H */
