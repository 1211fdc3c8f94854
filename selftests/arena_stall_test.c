// SPDX-License-Identifier: GPL-2.0
/*
 * Tests calls whose arguments point to user memory that page faults provide late or never, or to
 * memory of the arena itself. Such a call may stall its caller, but no other caller (clause 24).
 */
#include "kselftest_harness.h"
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)

FIXTURE(own)
{
	int fd;
	char *map;
	__u64 offset;
	struct arena_info_args info;
};

FIXTURE_SETUP(own)
{
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(own)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* clause 24: STORE copies from an object of the arena to a new object */
TEST_F(own, store_source_in_arena_copies)
{
	ASSERT_EQ(0, arena_store(self->fd, "echo", 5, &self->offset));
	ASSERT_EQ(0, arena_store(self->fd, self->map + self->offset, 5, &self->offset));
	EXPECT_EQ(8, self->offset);
	EXPECT_STREQ("echo", self->map + 8);
	EXPECT_EQ(10, arena_used(self->fd));
}

/* clause 24: STORE succeeds when its source causes a page fault in the arena itself */
TEST_F(own, store_source_in_arena_faults_ok)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 4 * SLAB, NULL));
	memset(self->map, 'f', 4 * SLAB);
	ASSERT_EQ(0, madvise(self->map, CAPACITY, MADV_DONTNEED));
	ASSERT_EQ(0, arena_store(self->fd, self->map, 4 * SLAB, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 'f', 4 * SLAB));
}

/* clauses 4, 24: STORE fails with EFAULT if its source is uncommitted memory of the arena */
TEST_F(own, store_source_uncommitted_efault)
{
	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	EXPECT_EQ(-EFAULT, arena_store(self->fd, self->map + SLAB, 100, NULL));
	EXPECT_EQ(-EFAULT, arena_store(self->fd, self->map + SLAB - 50, 100, NULL));
	EXPECT_EQ(SLAB, arena_used(self->fd));
}

/* clause 24: STORE succeeds when its source lies where the new object will be */
TEST_F(own, store_source_is_destination_ok)
{
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	memset(self->map + 104, 's', 100);
	ASSERT_EQ(0, arena_store(self->fd, self->map + 104, 100, &self->offset));
	EXPECT_EQ(104, self->offset);
	EXPECT_TRUE(all_bytes(self->map + 104, 's', 100));
}

/* clause 24: the struct of a call may lie in the arena */
TEST_F(own, call_struct_in_arena_ok)
{
	struct arena_alloc_args *alloc;
	struct arena_info_args *info;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	alloc = (void *)self->map;
	alloc->size = sizeof(*alloc);
	alloc->bytes = SLAB;
	ASSERT_EQ(0, madvise(self->map, CAPACITY, MADV_DONTNEED));
	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_ALLOC, alloc));
	EXPECT_EQ(SLAB, alloc->offset);
	info = (void *)(self->map + page_size());
	info->size = sizeof(*info);
	ASSERT_EQ(0, arena_ioctl(self->fd, ARENA_IOC_INFO, info));
	EXPECT_EQ(2 * SLAB, info->used);
}

/*
 * clauses 20, 24: a reset that frees the memory of its own struct takes effect, but returns EFAULT
 */
TEST_F(own, reset_releases_its_struct_ok)
{
	struct arena_reset_args *reset;

	ASSERT_EQ(0, arena_alloc(self->fd, SLAB, NULL));
	reset = (void *)self->map;
	reset->size = sizeof(*reset);
	reset->mode = ARENA_RESET_RELEASE;
	EXPECT_EQ(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_RESET, reset));
	/*
	 * The reset has taken effect nevertheless, as documented: its struct was still writable
	 * when the kernel checked it.
	 */
	EXPECT_EQ(0, arena_used(self->fd));
	EXPECT_EQ(SIGBUS, touch_read(self->map));
}

/* The data that alloc_result_unwritable_efault shares with its second thread. */
struct race {
	int fd;
	struct arena_alloc_args *args;
	bool stop;
};

static void *protector(void *arg)
{
	struct race *race = arg;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		mprotect(race->args, page_size(), PROT_READ);
		mprotect(race->args, page_size(), PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/*
 * clauses 4, 24: another thread makes the struct read-only at times, so that some calls cannot
 * write their result; such a call fails, and its object may stay allocated, as documented
 */
TEST_F(own, alloc_result_unwritable_efault)
{
	struct race race = { .fd = self->fd };
	int i, err, made = 0, failed = 0;
	pthread_t thread;

	race.args = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race.args);
	*race.args = (struct arena_alloc_args) { .size = sizeof(*race.args), .bytes = 8 };
	ASSERT_EQ(0, pthread_create(&thread, NULL, protector, &race));
	for (i = 0; i < 3000; i++) {
		err = arena_ioctl(self->fd, ARENA_IOC_ALLOC, race.args);
		ASSERT_TRUE(err == 0 || err == -EFAULT);
		made += !err;
		failed += !!err;
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	/*
	 * Each successful call has allocated one object, and each failed call may have allocated
	 * one.
	 */
	EXPECT_LE(8ULL * made, arena_used(self->fd));
	EXPECT_GE(8ULL * (made + failed), arena_used(self->fd));
	munmap(race.args, page_size());
}

/*
 * A page of a userfaultfd: a thread that touches the page sleeps until the test provides the page's
 * bytes.
 */
struct late {
	int uffd;
	long page;
	char *at;
};

/* Returns 0, or an errno if this process cannot create a userfaultfd. */
static int late_init(struct late *late)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	late->page = sysconf(_SC_PAGESIZE);
	late->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (late->uffd < 0 || ioctl(late->uffd, UFFDIO_API, &api))
		return errno;
	late->at = mmap(NULL, late->page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (late->at == MAP_FAILED)
		return errno;
	reg.range.start = (unsigned long)late->at;
	reg.range.len = late->page;
	return ioctl(late->uffd, UFFDIO_REGISTER, &reg) ? errno : 0;
}

/*
 * Waits up to 10 seconds until a thread touches the page and is stalled; returns false on a
 * timeout.
 */
static bool late_wanted(const struct late *late)
{
	struct pollfd poll_uffd = { .fd = late->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&poll_uffd, 1, 10000) == 1 &&
	       read(late->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

static bool late_arrive(const struct late *late, const void *bytes)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)late->at,
		.src = (unsigned long)bytes,
		.len = late->page,
	};

	return !ioctl(late->uffd, UFFDIO_COPY, &copy);
}

FIXTURE(late)
{
	int fd;
	char *map;
	char *bytes;
	struct late late;
	pthread_t thread;
	struct arena_info_args info;
};

FIXTURE_SETUP(late)
{
	int err = late_init(&self->late);

	if (err)
		SKIP(return, "no userfaultfd: %s", strerror(err));
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
	self->bytes = calloc(1, self->late.page);
	ASSERT_NE(NULL, self->bytes);
}

FIXTURE_TEARDOWN(late)
{
	free(self->bytes);
	close(self->late.uffd);
	munmap(self->late.at, self->late.page);
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/*
 * Makes the calls that must work while another caller is stalled. If one of these calls stalls,
 * too, the test runs into its time limit. Returns 0 or the number of the failed check.
 */
static int everything(int fd, char *map)
{
	struct arena_info_args info;
	__u64 offset;
	__u32 mode;
	int other;

	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_ZERO; mode++) {
		if (arena_store(fd, "others", 7, &offset) || strcmp(map + offset, "others"))
			return 1;
		if (arena_alloc(fd, 3 * SLAB, &offset) || touch_write(map + offset))
			return 2;
		if (arena_info(fd, &info) || arena_used(fd) != 3 * SLAB + 7)
			return 3;
		other = arena_dup(fd, ARENA_RIGHT_READ);
		if (other < 0 || close(other))
			return 4;
		if (arena_reset(fd, mode, 0) || arena_used(fd))
			return 5;
	}
	return 0;
}

static int everything_elsewhere(int fd, char *map)
{
	pid_t pid = fork();

	if (!pid)
		_exit(everything(fd, map));
	return wait_for(pid);
}

struct late_call {
	int fd;
	unsigned int cmd;
	void *args;
	int err;
};

static void *late_caller(void *arg)
{
	struct late_call *call = arg;

	call->err = arena_ioctl(call->fd, call->cmd, call->args);
	return NULL;
}

/*
 * Starts a call that sleeps in a fault on the userfaultfd's page, and checks that other calls work.
 */
static void stall(struct __test_metadata *_metadata, struct _test_data_late *self,
		  struct late_call *call)
{
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_caller, call));
	ASSERT_TRUE(late_wanted(&self->late));
	EXPECT_EQ(0, everything(self->fd, self->map));
	EXPECT_EQ(0, everything_elsewhere(self->fd, self->map));
}

/*
 * Provides self->bytes for the userfaultfd's page, and checks that the sleeping call then succeeds.
 */
static void end_stall(struct __test_metadata *_metadata, struct _test_data_late *self,
		      struct late_call *call)
{
	ASSERT_TRUE(late_arrive(&self->late, self->bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_EQ(0, call->err);
}

/* clause 24: a STORE that sleeps in a page fault on its source stalls only its caller */
TEST_F(late, store_source_stalls_caller_only)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)self->late.at,
		.bytes = 100,
	};
	struct late_call call = { self->fd, ARENA_IOC_STORE, &args };

	stall(_metadata, self, &call);
	EXPECT_EQ(0, arena_used(self->fd));

	put_string(self->bytes, "late");
	end_stall(_metadata, self, &call);
	/*
	 * The object belongs to the generation in which the kernel allocated it; everything() has
	 * ended the generation in which the call began.
	 */
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.generation, args.generation);
	EXPECT_STREQ("late", self->map + args.offset);
	EXPECT_EQ(100, arena_used(self->fd));
}

/* clause 24: a batch that sleeps in a page fault on its items stalls only its caller */
TEST_F(late, batch_items_stall_caller_only)
{
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)self->late.at,
		.item_size = sizeof(struct arena_batch_item),
		.count = 3,
	};
	struct late_call call = { self->fd, ARENA_IOC_BATCH, &args };
	struct arena_batch_item *item = (void *)self->bytes;
	int i;

	stall(_metadata, self, &call);
	for (i = 0; i < 3; i++)
		item[i].bytes = 100;
	end_stall(_metadata, self, &call);
	EXPECT_EQ(300, arena_used(self->fd));
	item = (void *)self->late.at;
	EXPECT_EQ(208, item[2].offset);
}

/* clause 24: a batch that sleeps in a page fault on its last source stalls only its caller */
TEST_F(late, batch_source_stalls_caller_only)
{
	struct arena_batch_item item[3] = {
		{ .bytes = 5, .src = (unsigned long)"here" },
		{ .bytes = 5 },
		{ .bytes = 100, .src = (unsigned long)self->late.at },
	};
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)item,
		.item_size = sizeof(*item),
		.count = 3,
	};
	struct late_call call = { self->fd, ARENA_IOC_BATCH, &args };

	stall(_metadata, self, &call);
	EXPECT_EQ(0, arena_used(self->fd));
	put_string(self->bytes, "late");
	end_stall(_metadata, self, &call);
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.generation, args.generation);
	EXPECT_EQ(110, self->info.used);
	EXPECT_STREQ("here", self->map + item[0].offset);
	EXPECT_STREQ("late", self->map + item[2].offset);
}

/*
 * clauses 4, 7: if a batch cannot write its result because the items have become read-only, its
 * objects stay allocated and count as used, also on the status page
 */
TEST_F(late, batch_result_unwritable_counts)
{
	struct arena_batch_item *item = mmap(NULL, self->late.page, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct arena_status *status = arena_map_status(self->fd);
	struct arena_batch_args args = {
		.size = sizeof(args),
		.items = (unsigned long)item,
		.item_size = sizeof(*item),
		.count = 1,
	};
	struct late_call call = { self->fd, ARENA_IOC_BATCH, &args };

	ASSERT_NE(MAP_FAILED, item);
	ASSERT_NE(NULL, status);
	*item = (struct arena_batch_item) { .bytes = 48, .src = (unsigned long)self->late.at };
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_caller, &call));
	ASSERT_TRUE(late_wanted(&self->late));
	EXPECT_EQ(0, status->offset);
	ASSERT_EQ(0, mprotect(item, self->late.page, PROT_READ));
	ASSERT_TRUE(late_arrive(&self->late, self->bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_EQ(-EFAULT, call.err);
	EXPECT_EQ(48, status->offset);
	EXPECT_EQ(48, arena_used(self->fd));
	munmap((void *)status, self->late.page);
	munmap(item, self->late.page);
}

/* clause 24: a call that sleeps in a page fault on its struct stalls only its caller */
TEST_F(late, call_struct_stalls_caller_only)
{
	static const unsigned int cmds[] = { ARENA_IOC_ALLOC, ARENA_IOC_RESET, ARENA_IOC_INFO,
					     ARENA_IOC_DUP, ARENA_IOC_OFFSET, ARENA_IOC_BATCH,
					     ARENA_IOC_LEASE, ARENA_IOC_MARK, ARENA_IOC_REWIND,
					     ARENA_IOC_HANDLE, ARENA_IOC_DEREF,
					     ARENA_IOC_WATCH, ARENA_IOC_NOTIFY };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		struct late_call call = { self->fd, cmds[i], self->late.at };

		ASSERT_EQ(0, madvise(self->late.at, self->late.page, MADV_DONTNEED));
		ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_caller, &call));
		ASSERT_TRUE(late_wanted(&self->late));
		EXPECT_EQ(0, everything(self->fd, self->map));
		EXPECT_EQ(0, everything_elsewhere(self->fd, self->map));
		/* Provide a struct of zeroes, which the call refuses for its size. */
		ASSERT_TRUE(late_arrive(&self->late, self->bytes));
		ASSERT_EQ(0, pthread_join(self->thread, NULL));
		EXPECT_EQ(-EINVAL, call.err);
	}
}

/*
 * clause 24: a call that sleeps in a page fault on the last bytes of a longer struct stalls only
 * its caller
 */
TEST_F(late, call_tail_stalls_caller_only)
{
	char *two = mmap(NULL, 2 * self->late.page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct late tail = self->late;
	struct arena_alloc_args *args;
	struct late_call call = { self->fd, ARENA_IOC_ALLOC };

	ASSERT_NE(MAP_FAILED, two);
	reg.range.start = (unsigned long)two + self->late.page;
	reg.range.len = self->late.page;
	ASSERT_EQ(0, ioctl(self->late.uffd, UFFDIO_REGISTER, &reg));
	tail.at = two + self->late.page;
	args = (void *)(tail.at - sizeof(*args));
	args->size = sizeof(*args) + 64;
	args->bytes = 77;
	call.args = args;
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_caller, &call));
	ASSERT_TRUE(late_wanted(&tail));
	EXPECT_EQ(0, everything(self->fd, self->map));
	ASSERT_TRUE(late_arrive(&tail, self->bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_EQ(0, call.err);
	EXPECT_EQ(77, arena_used(self->fd));
	munmap(two, 2 * self->late.page);
}

/*
 * clause 24: a process can be killed while its call sleeps in a page fault that never ends; the
 * call has changed nothing
 */
TEST_F(late, kill_while_stalled_changes_nothing)
{
	int status, i;
	pid_t pid = fork();

	if (!pid) {
		/*
		 * A child does not inherit the userfaultfd. Make another userfaultfd, whose faults
		 * no thread serves.
		 */
		struct late late;

		if (late_init(&late))
			_exit(1);
		arena_store(self->fd, late.at, 100, NULL);
		_exit(2);
	}
	usleep(300000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, everything(self->fd, self->map));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	for (i = 0; i < 500 && !waitpid(pid, &status, WNOHANG); i++)
		usleep(10000);
	ASSERT_GT(500, i);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, arena_used(self->fd));
}

/* clause 24: other calls work while 20 callers are stalled in STORE */
TEST_F(late, call_many_stalled_others_work)
{
	pid_t pids[20];
	int i, status;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (!pids[i]) {
			struct late late;

			if (late_init(&late))
				_exit(1);
			arena_store(self->fd, late.at, 4096, NULL);
			_exit(2);
		}
	}
	usleep(300000);
	EXPECT_EQ(0, everything(self->fd, self->map));
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		EXPECT_EQ(0, waitpid(pids[i], &status, WNOHANG));
		kill(pids[i], SIGKILL);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(-1 - SIGKILL, wait_for(pids[i]));
	EXPECT_EQ(0, arena_used(self->fd));
}

/*
 * A thread that lists a debugfs directory, or reads a debugfs file, to the userfaultfd's page.
 * While a listing is stalled, the kernel holds the lock of the directory; while a read is stalled,
 * the file cannot be removed.
 */
struct late_look {
	int fd;
	bool list;
	char *to;
	size_t bytes;
	long result;
};

static void *late_looker(void *arg)
{
	struct late_look *look = arg;

	look->result = look->list ? syscall(SYS_getdents64, look->fd, look->to, look->bytes) :
				    read(look->fd, look->to, look->bytes);
	return NULL;
}

/* Opens an arena, keeps it open until its debugfs file should exist, and closes it. */
static int come_and_go(void)
{
	int fd = arena_open();

	if (fd < 0 || arena_alloc(fd, 8, NULL))
		return 1;
	usleep(600000);
	close(fd);
	return 0;
}

/* Returns the exit status of a child, or -100 if the child does not end within 30 seconds. */
static int ends_soon(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	int i;

	for (i = 0; i < 3000; i++) {
		if (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return wait_for(pid);
		usleep(10000);
	}
	return -100;
}

/*
 * Opens the debugfs file of an arena; waits for the file, which a worker creates after the arena.
 */
static int open_look(int fd)
{
	char path[64], line[128];
	FILE *file;
	int id = 0, i, look = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "arena-id: %d", &id) == 1)
			break;
	if (file)
		fclose(file);
	snprintf(path, sizeof(path), DEBUGFS "%d-selftest", id);
	for (i = 0; look < 0 && i < 3000; i++) {
		usleep(10000);
		look = open(path, O_RDONLY | O_CLOEXEC);
	}
	return look;
}

/* clauses 17, 24: processes open and close arenas while a listing of debugfs is stalled */
TEST_F(late, list_debugfs_stalled_others_open)
{
	struct late_look look = {
		.fd = open(DEBUGFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.list = true,
		.to = self->late.at,
		.bytes = self->late.page,
	};
	pid_t pid[2];
	int i;

	if (look.fd < 0)
		SKIP(return, "no debugfs to look at");
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_looker, &look));
	ASSERT_TRUE(late_wanted(&self->late));
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(come_and_go() || come_and_go());
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		EXPECT_EQ(0, ends_soon(pid[i]));
	ASSERT_TRUE(late_arrive(&self->late, self->bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_LT(0, look.result);
	close(look.fd);
}

static void *late_closer(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

/* clauses 17, 24: close() of an arena returns while a read of its debugfs file is stalled */
TEST_F(late, read_debugfs_stalled_close_returns)
{
	struct late_look look = { .to = self->late.at, .bytes = self->late.page };
	struct timespec until;
	pthread_t closer;
	int fd = arena_open();

	if (access(DEBUGFS, R_OK))
		SKIP(return, "no debugfs to look at");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_setup(fd, CAPACITY, SLAB, 0));
	look.fd = open_look(fd);
	ASSERT_LE(0, look.fd);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_looker, &look));
	ASSERT_TRUE(late_wanted(&self->late));
	ASSERT_EQ(0, pthread_create(&closer, NULL, late_closer, &fd));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	EXPECT_EQ(0, pthread_timedjoin_np(closer, NULL, &until));
	ASSERT_TRUE(late_arrive(&self->late, self->bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_LT(0, look.result);
	close(look.fd);
}

/*
 * A FUSE file system with one file. The test itself is the FUSE server: it does not answer reads of
 * the file, and learns from a read request that the reader is stalled.
 */
#define FUSE_DIR	"/tmp/arena_stall_fuse"

struct silent {
	int dev;
	bool mounted;
	char *at;		/* a mapped page of the file */
	__u64 unique;		/* the number of the unanswered read request */
};

static bool fuse_answer(int dev, __u64 unique, int err, const void *data, size_t len)
{
	struct fuse_out_header out = { .len = sizeof(out) + len, .error = err, .unique = unique };
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)data, len } };

	return writev(dev, iov, 2) == (ssize_t)out.len;
}

static void fuse_attr(struct fuse_attr *attr, __u64 nodeid)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = nodeid;
	attr->mode = nodeid == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr->size = nodeid == FUSE_ROOT_ID ? 0 : 65536;
	attr->nlink = 1;
	attr->blksize = 4096;
}

/*
 * Receives a request. Stores the number of a read in @silent without an answer, and answers all
 * other requests. Returns whether the request is a read.
 */
static bool fuse_step(struct silent *silent)
{
	static char buf[FUSE_MIN_READ_BUFFER + 65536];
	struct fuse_in_header *in = (void *)buf;
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = FUSE_KERNEL_MINOR_VERSION,
				      .max_write = 65536 };
	struct fuse_entry_out entry = { .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000 };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_open_out open_out = { .fh = 1 };

	if (read(silent->dev, buf, sizeof(buf)) < (ssize_t)sizeof(*in))
		return false;
	switch (in->opcode) {
	case FUSE_INIT:
		fuse_answer(silent->dev, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fuse_attr(&entry.attr, 2);
		fuse_answer(silent->dev, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_attr(&attr.attr, in->nodeid);
		fuse_answer(silent->dev, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_answer(silent->dev, in->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		silent->unique = in->unique;
		return true;
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_answer(silent->dev, in->unique, -EOPNOTSUPP, NULL, 0);
	}
	return false;
}

static void *fuse_open_file(void *arg)
{
	int fd = open(FUSE_DIR "/file", O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0)
		return MAP_FAILED;
	at = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return at;
}

/* Mounts the file system and maps its file; returns NULL, or the reason of a failure. */
static const char *silent_init(struct silent *silent)
{
	char options[64];
	pthread_t opener;
	void *at;

	silent->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (silent->dev < 0)
		return "no /dev/fuse";
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 silent->dev);
	mkdir(FUSE_DIR, 0700);
	if (mount("silent", FUSE_DIR, "fuse", MS_NOSUID | MS_NODEV, options))
		return "a FUSE file system cannot be mounted";
	silent->mounted = true;
	if (pthread_create(&opener, NULL, fuse_open_file, NULL))
		return "no thread";
	while (pthread_tryjoin_np(opener, &at)) {
		struct pollfd pollfd = { .fd = silent->dev, .events = POLLIN };

		if (poll(&pollfd, 1, 10) == 1)
			fuse_step(silent);
	}
	silent->at = at;
	return at == MAP_FAILED ? "its file cannot be mapped" : NULL;
}

static void silent_exit(struct silent *silent)
{
	if (silent->at && silent->at != MAP_FAILED)
		munmap(silent->at, page_size());
	if (silent->mounted)
		umount2(FUSE_DIR, MNT_DETACH);
	if (silent->dev >= 0)
		close(silent->dev);
	rmdir(FUSE_DIR);
}

/* Answers the pending read, and each retry of the kernel, with EIO until @thread ends. */
static void silent_fail(struct silent *silent, pthread_t thread)
{
	struct pollfd pollfd = { .fd = silent->dev, .events = POLLIN };
	bool wanted = true;

	do {
		if (wanted)
			fuse_answer(silent->dev, silent->unique, -EIO, NULL, 0);
		wanted = poll(&pollfd, 1, 10) == 1 && fuse_step(silent);
	} while (pthread_tryjoin_np(thread, NULL));
}

FIXTURE(silent)
{
	int fd;
	char *map;
	struct silent silent;
	pthread_t thread;
};

FIXTURE_SETUP(silent)
{
	const char *why;

	self->silent = (struct silent) { .dev = -1 };
	self->fd = -1;
	why = silent_init(&self->silent);
	if (why)
		SKIP(return, "%s", why);
	self->fd = arena_create_mapped(CAPACITY, SLAB, 0, &self->map);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(silent)
{
	silent_exit(&self->silent);
	if (self->map)
		munmap(self->map, CAPACITY);
	if (self->fd >= 0)
		close(self->fd);
}

/*
 * clause 24: a call whose source lies in a file system that does not answer stalls only its caller
 */
TEST_F_TIMEOUT(silent, call_on_silent_filesystem_stalls_caller_only, 120)
{
	struct arena_batch_item item = { .bytes = 100, .src = (unsigned long)self->silent.at };
	struct arena_batch_args batch = {
		.size = sizeof(batch),
		.items = (unsigned long)&item,
		.item_size = sizeof(item),
		.count = 1,
	};
	struct arena_store_args store = {
		.size = sizeof(store),
		.src = (unsigned long)self->silent.at,
		.bytes = 100,
	};
	struct late_call calls[] = {
		{ self->fd, ARENA_IOC_STORE, &store },
		{ self->fd, ARENA_IOC_BATCH, &batch },
		{ self->fd, ARENA_IOC_ALLOC, self->silent.at },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		ASSERT_EQ(0, pthread_create(&self->thread, NULL, late_caller, &calls[i]));
		while (!fuse_step(&self->silent))
			;
		EXPECT_EQ(0, everything(self->fd, self->map));
		EXPECT_EQ(0, everything_elsewhere(self->fd, self->map));
		silent_fail(&self->silent, self->thread);
		EXPECT_EQ(-EFAULT, calls[i].err);
		EXPECT_EQ(0, arena_used(self->fd));
	}
}

TEST_HARNESS_MAIN
