// SPDX-License-Identifier: GPL-2.0
/*
 * Repeats a call. In the nth repetition, the kernel's fault injection makes the nth allocation of
 * the call fail, until the call makes fewer than n allocations. Copies from and to user space count
 * as allocations. Each failing call must return an errno and change nothing (clauses 4 and 21).
 * Needs a kernel with fault injection.
 */
#include "kselftest_harness.h"
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include "arena_calls.h"

#define CAPACITY	(16 * SLAB)
#define NTH_MAX		500
#define MAX_ARENAS	"/sys/module/arena/parameters/max_arenas"
/*
 * The address range that one page of PTEs covers. If nothing else is mapped in such a range, a new
 * mapping there must allocate a page table.
 */
#define TABLE_SPAN	(page_size() / 8 * page_size())
#define SMALLEST_PAGE	4096

static int fail_fd = -1;

static void set_attribute(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, name);
	write_string(path, value);
}

static bool fail_init(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/*
		 * Print no stack trace for an injected failure: readers of the log would take it
		 * for a bug.
		 */
		set_attribute(kinds[i], "verbose", "0");
		/*
		 * Also make allocations fail that may sleep or that are single pages, which the
		 * kernel's defaults exempt.
		 */
		set_attribute(kinds[i], "ignore-gfp-wait", "N");
		set_attribute(kinds[i], "min-order", "0");
	}
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_fd >= 0;
}

static void fail_start(int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	/* A failure that was not injected yet may hit this write. A second write then succeeds. */
	if (pwrite(fail_fd, text, len, 0) != len && pwrite(fail_fd, text, len, 0) != len)
		abort();
}

/*
 * Returns whether the tested call made an nth allocation, which the kernel then made fail. If not,
 * the failure is not injected yet, and the kernel may inject it into the read here.
 */
static bool fail_stop(void)
{
	char text[16] = "";
	bool reached = pread(fail_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	fail_start(0);
	return reached;
}

/* Returns whether no arena is open: if so, open() succeeds although only one arena may be. */
static bool nobody_counts(void)
{
	char most[32];
	int fd;

	snprintf(most, sizeof(most), "%lld", read_number(MAX_ARENAS));
	write_string(MAX_ARENAS, "1");
	fd = arena_open();
	if (fd >= 0)
		close(fd);
	return write_string(MAX_ARENAS, most) && fd >= 0;
}

FIXTURE(nth)
{
	int fd;
	long long held;
	int err;
	int nth;
	int next;
	char *room;
	char *map;
	struct arena_mark_args mark;
	struct name name;
	struct arena_info_args before;
};

#define NTH	FIXTURE_DATA(nth)

FIXTURE_SETUP(nth)
{
	if (!fail_init())
		SKIP(return, "this kernel injects no faults");
	arena_held_falls_to(0);
	self->held = arena_held_bytes();
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	self->next = dup(0);
	close(self->next);
}

FIXTURE_TEARDOWN(nth)
{
	if (fail_fd < 0)
		return;
	/*
	 * The kernel has made at least one allocation fail, and the last call made no nth
	 * allocation.
	 */
	EXPECT_LT(1, self->nth);
	EXPECT_GT(NTH_MAX, self->nth);
	if (self->map)
		munmap(self->map, CAPACITY);
	close(self->fd);
	EXPECT_TRUE(arena_held_falls_to(self->held));
	EXPECT_TRUE(nobody_counts());
}

/*
 * The head of a loop. Its nth round makes the call @expression while the nth allocation fails; the
 * body of the loop then checks what must hold after a failure. The loop ends with the first round
 * in which no allocation failed.
 */
#define sweep_bare(expression)							\
	for (self->nth = 1;							\
	     ({ fail_start(self->nth); self->err = (expression); fail_stop(); }) && \
	     self->nth < NTH_MAX;						\
	     self->nth++)

/*
 * Like sweep_bare(), but evaluates @preparation and stores the result of INFO in @before ahead of
 * each call.
 */
#define sweep_after(preparation, expression)					\
	sweep_bare(({ fail_start(0);						\
		      preparation;						\
		      ASSERT_EQ(0, arena_info(self->fd, &self->before));	\
		      fail_start(self->nth);					\
		      expression; }))

#define sweep(expression)	sweep_after(, expression)

static bool expected(int err)
{
	return err >= 0 || err == -ENOMEM || err == -EFAULT;
}

static bool same_descriptors(const NTH *self)
{
	int next = dup(0);

	close(next);
	return next == self->next;
}

/*
 * Returns whether a failed call changed nothing. @done says that the call took effect, which is
 * allowed only for a call that returned EFAULT because the kernel could not write its result back.
 */
static bool harmless(const NTH *self, bool done)
{
	struct arena_info_args after;
	bool same;

	if (!expected(self->err) || !same_descriptors(self) || arena_info(self->fd, &after))
		return false;
	same = arena_same_state(&self->before, &after);
	return self->err == -ENOMEM ? same : same || done;
}

/*
 * Like harmless(), for calls that commit several slabs: a call that fails must give back the slabs
 * that it had committed before the failure.
 */
static bool harmless_after_several(NTH *self, bool done)
{
	struct arena_info_args after;

	if (arena_info(self->fd, &after))
		return false;
	if (self->err == -ENOMEM && after.page_allocs - self->before.page_allocs !=
				    after.page_frees - self->before.page_frees)
		return false;
	self->before.page_allocs = after.page_allocs;
	self->before.page_frees = after.page_frees;
	return harmless(self, done);
}

static int make(int fd)
{
	return arena_setup(fd, CAPACITY, SLAB, 0);
}

static bool empty(int fd)
{
	return !arena_reset(fd, ARENA_RESET_RELEASE, 0);
}

/* Replaces the arena by a new one, so that the tested call is the first to use it. */
static bool anew(NTH *self)
{
	close(self->fd);
	self->fd = arena_open();
	return self->fd >= 0;
}

TEST_F_TIMEOUT(nth, open_nth_fails_harmless, 120)
{
	sweep_bare(arena_open()) {
		EXPECT_TRUE(expected(self->err));
		if (self->err >= 0)
			close(self->err);
		EXPECT_TRUE(same_descriptors(self));
	}
	EXPECT_LE(0, self->err);
	close(self->err);
}

/*
 * clause 22: if an allocation fails in open() of the only arena, open() fails harmlessly, and the
 * module does not count that arena against its limit
 */
TEST_F_TIMEOUT(nth, open_as_first_nth_fails_harmless, 120)
{
	close(self->fd);
	sweep_bare(arena_open()) {
		EXPECT_TRUE(expected(self->err));
		if (self->err >= 0)
			close(self->err);
		EXPECT_TRUE(nobody_counts());
	}
	EXPECT_EQ(self->fd, self->err);
}

TEST_F_TIMEOUT(nth, setup_nth_fails_harmless, 120)
{
	long long before = arena_held_bytes();

	sweep_bare(make(self->fd)) {
		EXPECT_TRUE(expected(self->err));
		/*
		 * If SETUP succeeded despite the failure, the next round needs a new arena: a
		 * second SETUP fails.
		 */
		if (!self->err)
			ASSERT_TRUE(anew(self));
		EXPECT_GE(before, arena_held_bytes());
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(-EBUSY, make(self->fd));
}

TEST_F_TIMEOUT(nth, info_as_first_use_nth_fails_harmless, 120)
{
	struct arena_info_args info;

	sweep_bare(arena_info(self->fd, &info)) {
		EXPECT_TRUE(expected(self->err));
		if (!self->err)
			ASSERT_TRUE(anew(self));
	}
	EXPECT_EQ(0, self->err);
}

TEST_F_TIMEOUT(nth, info_nth_fails_harmless, 120)
{
	struct arena_info_args info;

	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	sweep(arena_info(self->fd, &info)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(100, info.used);
	sweep(arena_used(self->fd) == 100 ? 0 : -EFAULT) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
}

TEST_F_TIMEOUT(nth, alloc_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), arena_alloc(self->fd, 100, NULL)) {
		EXPECT_TRUE(harmless(self, arena_used(self->fd) == 100));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(100, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, alloc_in_span_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, arena_setup(self->fd, CAPACITY, SLAB, ARENA_SETUP_SPANS | ARENA_SETUP_ZERO));
	sweep_after(empty(self->fd), arena_alloc(self->fd, 100, NULL)) {
		EXPECT_TRUE(harmless(self, arena_used(self->fd) == 100));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(100, arena_used(self->fd));
}

/*
 * Calls ALLOC with a struct that is longer than the kernel's, which the ioctl handles in its slow
 * path.
 */
static int alloc_longer(int fd, __u64 bytes)
{
	struct {
		struct arena_alloc_args args;
		__u64 later;
	} longer = { .args = { .size = sizeof(longer), .bytes = bytes } };

	return arena_ioctl(fd, ARENA_IOC_ALLOC, &longer);
}

TEST_F_TIMEOUT(nth, alloc_longer_struct_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), alloc_longer(self->fd, 100)) {
		EXPECT_TRUE(harmless(self, arena_used(self->fd) == 100));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(100, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, alloc_large_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), arena_alloc(self->fd, 5 * SLAB, NULL)) {
		EXPECT_TRUE(harmless_after_several(self, arena_used(self->fd) == 5 * SLAB));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(5 * SLAB, arena_used(self->fd));
}

/* Fills the arena except for the tail of a span of CPU 0, from which other CPUs cannot allocate. */
static bool leave_a_tail(int fd)
{
	struct arena_info_args info;

	return empty(fd) && run_on(0) && !arena_alloc(fd, 8, NULL) && run_on(1) &&
	       !arena_info(fd, &info) && !arena_alloc(fd, info.capacity - info.high, NULL);
}

/*
 * clause 16: if the module lacks the memory to collect the tail of another CPU's span, the next
 * call can still allocate from that tail
 */
TEST_F_TIMEOUT(nth, alloc_from_tails_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, arena_setup(self->fd, SLAB, SLAB, ARENA_SETUP_SPANS));
	if (!run_on(1)) {
		self->nth = 2;
		SKIP(return, "one CPU has no tails but its own");
	}
	sweep_after(ASSERT_TRUE(leave_a_tail(self->fd)), arena_alloc(self->fd, 64, NULL)) {
		/*
		 * A call that cannot collect span tails for lack of memory finds no space, and
		 * returns ENOSPC.
		 */
		if (self->err == -ENOSPC)
			self->err = -ENOMEM;
		EXPECT_TRUE(harmless(self, arena_used(self->fd) == self->before.used + 64));
		if (self->err == -ENOMEM)
			EXPECT_EQ(0, arena_alloc(self->fd, 64, NULL));
	}
	EXPECT_EQ(0, self->err);
}

TEST_F_TIMEOUT(nth, store_nth_fails_harmless, 120)
{
	static char bytes[3 * SLAB] = "something";

	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), arena_store(self->fd, bytes, sizeof(bytes), NULL)) {
		EXPECT_TRUE(harmless_after_several(self, arena_used(self->fd) == sizeof(bytes)));
	}
	EXPECT_EQ(0, self->err);
	self->map = arena_map(self->fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	EXPECT_EQ(0, memcmp(self->map, bytes, sizeof(bytes)));
}

/* Makes a batch of large and small objects, with sources and without, that exceeds a slab. */
static int batch(int fd, struct arena_batch_item *item)
{
	static char bytes[SLAB] = "something";
	int i;

	for (i = 0; i < 60; i++)
		item[i] = (struct arena_batch_item) {
			.bytes = i % 20 ? 5000 : 2 * SLAB,
			.src = i % 20 && i % 2 ? (unsigned long)bytes : 0,
		};
	return arena_batch(fd, item, 60, 0, NULL);
}

#define BATCH_BYTES	(57 * 5000ULL + 3 * 2 * SLAB)

TEST_F_TIMEOUT(nth, batch_nth_fails_harmless, 120)
{
	struct arena_batch_item item[60];
	int i;

	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), batch(self->fd, item)) {
		EXPECT_TRUE(harmless_after_several(self, arena_used(self->fd) == BATCH_BYTES));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(BATCH_BYTES, arena_used(self->fd));
	self->map = arena_map(self->fd, CAPACITY, PROT_READ, 0);
	ASSERT_NE(NULL, self->map);
	for (i = 1; i < 60; i += 2)
		EXPECT_STREQ("something", self->map + item[i].offset);
}

TEST_F_TIMEOUT(nth, lease_nth_fails_harmless, 120)
{
	struct arena_lease_args lease;

	ASSERT_EQ(0, make(self->fd));
	sweep_after(empty(self->fd), arena_lease(self->fd, 3 * SLAB, 3 * SLAB, 0, &lease)) {
		EXPECT_TRUE(harmless_after_several(self, arena_used(self->fd) == 3 * SLAB));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(3 * SLAB, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, mark_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep(arena_mark(self->fd, &self->mark))
		EXPECT_TRUE(harmless(self, false));
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark));
}

/*
 * clause 12: a rewind that fails for lack of memory frees nothing, and a second rewind to the same
 * mark succeeds
 */
TEST_F_TIMEOUT(nth, rewind_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark));
	sweep_after(ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL)),
		    arena_rewind(self->fd, self->mark)) {
		EXPECT_TRUE(harmless(self, arena_used(self->fd) == 100));
		ASSERT_EQ(0, arena_rewind(self->fd, self->mark));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(100, arena_used(self->fd));
}

TEST_F_TIMEOUT(nth, handle_nth_fails_harmless, 120)
{
	__u64 offset = 0;

	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	sweep(arena_handle(self->fd, 8, &self->name)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
	sweep(arena_deref(self->fd, self->name, &offset)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(8, offset);
}

TEST_F_TIMEOUT(nth, dup_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep(arena_dup(self->fd, ARENA_RIGHT_READ)) {
		if (self->err >= 0)
			close(self->err);
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(self->next, self->err);
	close(self->err);
}

static bool polls(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLPRI };

	return poll(&poll_fd, 1, 0) >= 0 && poll_fd.revents == events;
}

TEST_F_TIMEOUT(nth, watch_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
	sweep_after(ASSERT_EQ(0, arena_watch(self->fd, 100, NULL)),
		    arena_watch(self->fd, 50, NULL)) {
		EXPECT_TRUE(harmless(self, false));
		EXPECT_TRUE(polls(self->fd, 0) ||
			    (self->err != -ENOMEM && polls(self->fd, POLLIN)));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_TRUE(polls(self->fd, POLLIN));
}

TEST_F_TIMEOUT(nth, notify_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_watch(self->fd, 100, NULL));
	sweep(arena_notify(self->fd)) {
		EXPECT_TRUE(harmless(self, false));
		EXPECT_TRUE(polls(self->fd, 0));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_TRUE(polls(self->fd, POLLIN));
}

/* Polls so many descriptors that the kernel allocates several pages to list them. */
static int poll_many(int fd)
{
	struct pollfd many[200];
	int i, nr;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct pollfd) { .fd = fd, .events = POLLIN };
	nr = poll(many, ARRAY_SIZE(many), 1);
	return nr < 0 ? -errno : nr;
}

/*
 * A poll() that fails leaves no entry on the wait queue. Otherwise arena_notify() would wake a
 * freed entry, which KASAN would report.
 */
TEST_F_TIMEOUT(nth, poll_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	sweep_after(ASSERT_EQ(0, arena_watch(self->fd, 100, NULL)), poll_many(self->fd)) {
		EXPECT_TRUE(harmless(self, false));
		ASSERT_EQ(0, arena_notify(self->fd));
	}
	EXPECT_EQ(0, self->err);
	ASSERT_EQ(0, arena_alloc(self->fd, 101, NULL));
	EXPECT_EQ(200, poll_many(self->fd));
}

static int epoll_change(int epoll, int fd, int how)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(epoll, how, fd, &event) ? -errno : 0;
}

TEST_F_TIMEOUT(nth, epoll_nth_fails_harmless, 120)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	ASSERT_LE(0, epoll);
	self->next++;
	ASSERT_EQ(0, make(self->fd));
	sweep_after(ASSERT_EQ(0, arena_watch(self->fd, 100, NULL)),
		    epoll_change(epoll, self->fd, EPOLL_CTL_ADD)) {
		EXPECT_TRUE(harmless(self, false));
		ASSERT_EQ(0, arena_notify(self->fd));
		EXPECT_EQ(self->err == 0, epoll_wait(epoll, &event, 1, 0));
		if (!self->err)
			ASSERT_EQ(0, epoll_change(epoll, self->fd, EPOLL_CTL_DEL));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, 101, NULL));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, -1));
	close(epoll);
}

/* The resets to try. A reset allocates nothing, so only the copies of its struct can fail. */
static const struct {
	__u32 mode;
	__u64 keep;
} resets[] = {
	{ ARENA_RESET_KEEP },
	{ ARENA_RESET_RELEASE, 2 * SLAB },
	{ ARENA_RESET_RELEASE },
	{ ARENA_RESET_ZERO },
	/* Must be last, because the arena stays strict after a strict reset. */
	{ ARENA_RESET_STRICT },
};

TEST_F_TIMEOUT(nth, reset_nth_fails_harmless, 120)
{
	unsigned int i;

	ASSERT_EQ(0, make(self->fd));
	self->map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, self->map);
	for (i = 0; i < ARRAY_SIZE(resets); i++) {
		sweep_after(({ ASSERT_EQ(0, arena_alloc(self->fd, 3 * SLAB, NULL));
			       memset(self->map, 'x', 3 * SLAB); }),
			    arena_reset(self->fd, resets[i].mode, resets[i].keep)) {
			bool done = arena_used(self->fd) == 0;

			EXPECT_TRUE(self->err == 0 || self->err == -EFAULT);
			EXPECT_TRUE(harmless(self, done));
			/* A reset that failed without effect has left the bytes in place. */
			EXPECT_TRUE(done || all_bytes(self->map, 'x', 3 * SLAB));
			ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_KEEP, 0));
		}
		EXPECT_LT(1, self->nth);
		EXPECT_EQ(0, self->err);
		EXPECT_EQ(0, arena_used(self->fd));
	}
}

/* Returns an address range that has no page table yet. */
static char *find_room(void)
{
	char *room = mmap(NULL, 2 * TABLE_SPAN, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		abort();
	return (char *)(((unsigned long)room + TABLE_SPAN - 1) & -TABLE_SPAN);
}

static int map_at(char *at, int fd, size_t bytes, int prot, off_t offset)
{
	return mmap(at, bytes, prot, MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED ?
	       -errno : 0;
}

/* Unmaps the range, which frees its page table, and reserves its addresses again. */
static bool clear_room(char *room)
{
	return !munmap(room, TABLE_SPAN) &&
	       mmap(room, TABLE_SPAN, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == room;
}

TEST_F_TIMEOUT(nth, map_nth_fails_harmless, 120)
{
	ASSERT_EQ(0, make(self->fd));
	self->room = find_room();
	sweep_after(ASSERT_TRUE(clear_room(self->room)),
		    map_at(self->room, self->fd, CAPACITY, PROT_READ, 0)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
	munmap(self->room, TABLE_SPAN);
}

/*
 * Reads a byte of each page. Makes no system call, because fault injection would count its
 * allocations, too.
 */
static int read_pages(const char *at, const char *end)
{
	for (; at < end; at += SMALLEST_PAGE)
		__atomic_load_n(at, __ATOMIC_RELAXED);
	return 0;
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = touch_signal, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/*
 * Returns the signal that reading the byte raises, or 0. Makes no system call, because fault
 * injection would count its allocations.
 */
static int read_byte(const char *at)
{
	int sig = sigsetjmp(touch_env, 0);

	if (!sig)
		__atomic_load_n(at, __ATOMIC_RELAXED);
	return sig;
}

/*
 * Returns whether @sig means that the byte could not be accessed: SIGBUS, or SIGSEGV if the
 * injected failure hit the kernel when it wrote the signal frame to the stack.
 */
static bool no_access(int sig)
{
	return sig == SIGBUS || sig == SIGSEGV;
}

/*
 * clauses 19, 20: the CPU retries a page fault that could not allocate a page table; the retry maps
 * committed pages and no others
 */
TEST_F_TIMEOUT(nth, fault_nth_fails_retried, 120)
{
	static char bytes[2 * SLAB];
	unsigned int i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i / 97;
	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_store(self->fd, bytes, sizeof(bytes), NULL));
	self->room = find_room();
	sweep_after(ASSERT_TRUE(clear_room(self->room) &&
				!map_at(self->room, self->fd, CAPACITY, PROT_READ, 0)),
		    read_pages(self->room, self->room + sizeof(bytes))) {
		EXPECT_TRUE(harmless(self, false));
		EXPECT_EQ(0, memcmp(self->room, bytes, sizeof(bytes)));
	}
	EXPECT_LT(1, self->nth);
	catch_signals();
	sweep_after(ASSERT_TRUE(clear_room(self->room) &&
				!map_at(self->room, self->fd, CAPACITY, PROT_READ, 0)),
		    read_byte(self->room + 3 * SLAB)) {
		EXPECT_TRUE(no_access(self->err));
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(SIGBUS, self->err);
	munmap(self->room, TABLE_SPAN);
}

/*
 * clauses 19, 20: in a strict arena, the CPU retries a page fault in which an allocation failed,
 * and only pages with objects can be touched
 */
TEST_F_TIMEOUT(nth, fault_strict_nth_fails_retried, 120)
{
	static char bytes[3000] = "something";
	char *end;

	ASSERT_EQ(0, make(self->fd));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_STRICT, 0));
	ASSERT_EQ(0, arena_store(self->fd, bytes, sizeof(bytes), NULL));
	self->room = find_room();
	end = self->room + sysconf(_SC_PAGESIZE);
	sweep_after(ASSERT_TRUE(clear_room(self->room) &&
				!map_at(self->room, self->fd, CAPACITY, PROT_READ, 0)),
		    read_pages(self->room, end)) {
		EXPECT_TRUE(harmless(self, false));
		EXPECT_EQ(SIGBUS, touch_read(end));
		EXPECT_EQ(0, memcmp(self->room, bytes, sizeof(bytes)));
	}
	EXPECT_LT(1, self->nth);
	catch_signals();
	sweep_after(ASSERT_TRUE(clear_room(self->room) &&
				!map_at(self->room, self->fd, CAPACITY, PROT_READ, 0)),
		    read_byte(end)) {
		EXPECT_TRUE(no_access(self->err));
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(SIGBUS, self->err);
	munmap(self->room, TABLE_SPAN);
}

static bool status_shows(const char *at, __u64 offset)
{
	const struct arena_status *status = (const void *)at;

	return __atomic_load_n(&status->version, __ATOMIC_RELAXED) == 1 &&
	       __atomic_load_n(&status->offset, __ATOMIC_RELAXED) == offset &&
	       __atomic_load_n(&status->capacity, __ATOMIC_RELAXED) == CAPACITY;
}

/*
 * The first mmap() of the status page allocates the page; if the allocation fails, the next mmap()
 * allocates the page.
 */
TEST_F_TIMEOUT(nth, map_status_nth_fails_harmless, 120)
{
	const long page = sysconf(_SC_PAGESIZE);

	self->room = find_room();
	sweep_after(({ ASSERT_TRUE(clear_room(self->room) && anew(self));
		       ASSERT_EQ(0, make(self->fd));
		       ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL)); }),
		    map_at(self->room, self->fd, page, PROT_READ, ARENA_STATUS_OFFSET)) {
		EXPECT_TRUE(harmless(self, false));
		ASSERT_EQ(0, map_at(self->room, self->fd, page, PROT_READ, ARENA_STATUS_OFFSET));
		EXPECT_TRUE(status_shows(self->room, 100));
	}
	EXPECT_EQ(0, self->err);
	EXPECT_TRUE(status_shows(self->room, 100));
	EXPECT_LT(1, self->nth);

	sweep_after(ASSERT_TRUE(clear_room(self->room) &&
				!map_at(self->room, self->fd, page, PROT_READ,
					ARENA_STATUS_OFFSET)),
		    read_pages(self->room, self->room + page)) {
		EXPECT_TRUE(harmless(self, false));
		EXPECT_TRUE(status_shows(self->room, 100));
	}
	EXPECT_EQ(0, self->err);
	munmap(self->room, TABLE_SPAN);
}

/*
 * Reads a file to its end. Returns -ENOMEM for any error, because file systems report a lack of
 * memory by different errors.
 */
static int read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t nr = fd < 0 ? -1 : 1;

	while (nr > 0)
		nr = read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
	return nr < 0 ? -ENOMEM : 0;
}

TEST_F_TIMEOUT(nth, read_fdinfo_nth_fails_harmless, 120)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, make(self->fd));
	sweep(read_file(path)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
}

/* Returns the number of the arena of @fd, as its fdinfo shows it, or -1. */
static long long arena_id(int fd)
{
	char path[64], word[64];
	long long id = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fscanf(file, "%63s", word) == 1)
		if (!strcmp(word, "arena-id:") && fscanf(file, "%lld", &id) == 1)
			break;
	if (file)
		fclose(file);
	return id;
}

TEST_F_TIMEOUT(nth, read_debugfs_nth_fails_harmless, 120)
{
	char path[512];

	ASSERT_EQ(0, make(self->fd));
	snprintf(path, sizeof(path), DEBUGFS "%lld-selftest", arena_id(self->fd));
	/* A worker creates the file some time after the arena was made. */
	while (access(path, R_OK))
		usleep(10000);
	sweep(read_file(path)) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
	sweep(read_file(DEBUGFS "arenas")) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
	sweep(read_file(DEBUGFS "total_bytes")) {
		EXPECT_TRUE(harmless(self, false));
	}
	EXPECT_EQ(0, self->err);
}

TEST_HARNESS_MAIN
