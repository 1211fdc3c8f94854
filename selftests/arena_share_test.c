// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that processes which share an arena, each through a mapping of its own, can synchronise by
 * futexes in the arena, and by the locks that the C library builds on futexes (clauses 19 and 20).
 */
#include "kselftest_harness.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>

#include "arena_test.h"

#define R	ARENA_RIGHT_READ
#define W	ARENA_RIGHT_WRITE
#define BYTES	(4UL << 20)
#define CHILDREN 4
#define ROUNDS	500

static int futex(void *word, int op, __u32 value)
{
	long ret = syscall(SYS_futex, word, op, value, NULL, NULL, 0);

	return ret < 0 ? -errno : ret;
}

/* The objects that all processes share, at the beginning of the arena. */
struct common {
	pthread_mutex_t		mutex;
	pthread_cond_t		cond;
	pthread_barrier_t	barrier;
	sem_t			sem;
	unsigned int		count, turn;
};

FIXTURE(share)
{
	int fd;
	char *map;
	size_t page;
	struct common *common;
};

FIXTURE_VARIANT(share)
{
	__u32 slab;
};

FIXTURE_VARIANT_ADD(share, slab_4k)
{
	.slab = 4096,
};

FIXTURE_VARIANT_ADD(share, slab_64k)
{
	.slab = SLAB,
};

FIXTURE_VARIANT_ADD(share, slab_2m)
{
	.slab = 2 << 20,
};

FIXTURE_SETUP(share)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	self->page = sysconf(_SC_PAGESIZE);
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_setup(self->fd, BYTES, variant->slab < self->page ? self->page :
				 variant->slab, 0));
	ASSERT_EQ(0, arena_alloc(self->fd, BYTES, NULL));
	self->map = arena_map(self->fd, BYTES, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, self->map);
	self->common = (void *)self->map;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	ASSERT_EQ(0, pthread_mutex_init(&self->common->mutex, &mutex));
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	ASSERT_EQ(0, pthread_cond_init(&self->common->cond, &cond));
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	ASSERT_EQ(0, pthread_barrier_init(&self->common->barrier, &barrier, CHILDREN));
	ASSERT_EQ(0, sem_init(&self->common->sem, 1, 0));
}

FIXTURE_TEARDOWN(share)
{
	munmap(self->map, BYTES);
	close(self->fd);
}

/* Maps the arena at another address than that of the mapping which the parent made. */
static struct common *map_again(int fd)
{
	return arena_map(fd, BYTES, PROT_READ | PROT_WRITE, 0);
}

/*
 * Returns how many waiters FUTEX_WAKE at @wake finds while a child waits at @wait: 1 if both are
 * addresses of the same futex.
 */
static int wakes(__u32 *wait, __u32 *wake)
{
	pid_t pid = fork();
	int woken;

	if (!pid)
		_exit(futex(wait, FUTEX_WAIT, 0) ? 1 : 0);
	do {
		woken = futex(wake, FUTEX_WAKE, 1);
		usleep(1000);
	} while (!woken);
	if (woken < 0)
		kill(pid, SIGKILL);
	return wait_for(pid) ?: woken;
}

/*
 * clause 19: a word of the arena is the same futex in all mappings, whichever descriptor was mapped
 */
TEST_F_TIMEOUT(share, futex_in_two_mappings_shared, 300)
{
	int other = arena_dup(self->fd, R | W), reader = arena_dup(self->fd, R);
	const size_t at = BYTES - 2 * self->page + 64;
	char *again = arena_map(other, BYTES, PROT_READ | PROT_WRITE, 0);
	char *view = arena_map(reader, BYTES, PROT_READ, 0);
	/* Map only a part, so that a word has another offset in this mapping than in the arena. */
	char *part = arena_map(self->fd, 2 * self->page, PROT_READ | PROT_WRITE,
			       BYTES - 2 * self->page);

	ASSERT_NE(NULL, again);
	ASSERT_NE(NULL, view);
	ASSERT_NE(NULL, part);
	EXPECT_EQ(1, wakes((__u32 *)(self->map + at), (__u32 *)(again + at)));
	EXPECT_EQ(1, wakes((__u32 *)(again + at), (__u32 *)(part + 64)));
	EXPECT_EQ(1, wakes((__u32 *)(view + at), (__u32 *)(self->map + at)));
	EXPECT_EQ(-EAGAIN, futex(self->map + at, FUTEX_WAIT, 1));
	munmap(again, BYTES);
	munmap(view, BYTES);
	munmap(part, 2 * self->page);
}

/*
 * clause 20: a FUTEX_WAKE at the same offset of another arena, or in another page of this arena,
 * does not wake a waiter
 */
TEST_F_TIMEOUT(share, futex_elsewhere_separate, 300)
{
	int fd = arena_open();
	char *map, *places[3];
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(0, arena_setup(fd, BYTES, SLAB, 0));
	ASSERT_EQ(0, arena_alloc(fd, BYTES, NULL));
	map = arena_map(fd, BYTES, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, map);
	pid = fork();
	if (!pid)
		_exit(futex(self->map + self->page, FUTEX_WAIT, 0) ? 1 : 0);
	usleep(200000);
	places[0] = map + self->page;
	places[1] = self->map;
	places[2] = self->map + 2 * self->page;
	for (i = 0; i < ARRAY_SIZE(places); i++)
		EXPECT_EQ(0, futex(places[i], FUTEX_WAKE, 1));
	while (!futex(self->map + self->page, FUTEX_WAKE, 1))
		usleep(1000);
	EXPECT_EQ(0, wait_for(pid));
	munmap(map, BYTES);
	close(fd);
}

/*
 * clause 20: futex() fails with EFAULT at an offset whose slab a reset has released; when an
 * allocation commits a new slab, a futex at this offset works again
 */
TEST_F_TIMEOUT(share, futex_after_release_woken, 300)
{
	ASSERT_EQ(1, wakes((__u32 *)self->map + 100, (__u32 *)self->map + 100));
	ASSERT_EQ(0, arena_reset(self->fd, ARENA_RESET_RELEASE, 0));
	EXPECT_EQ(-EFAULT, futex(self->map, FUTEX_WAKE, 1));
	ASSERT_EQ(0, arena_alloc(self->fd, BYTES, NULL));
	EXPECT_EQ(1, wakes((__u32 *)self->map + 100, (__u32 *)self->map + 100));
}

/* clause 19: futex() works on words of the status page, which programs can only read */
TEST_F_TIMEOUT(share, futex_in_status_page_ok, 300)
{
	const struct arena_status *status = arena_map_status(self->fd);
	__u32 *word = (__u32 *)&status->version;

	ASSERT_NE(NULL, status);
	EXPECT_EQ(-EAGAIN, futex(word, FUTEX_WAIT, *word + 1));
	EXPECT_EQ(0, futex(word, FUTEX_WAKE, 1));
}

/* Runs @work in CHILDREN processes; returns how many of them exit with 0. */
static int run(int fd, void (*work)(struct common *common, int me))
{
	pid_t pids[CHILDREN];
	int i, good = 0;

	for (i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			work(map_again(fd), i);
			_exit(0);
		}
	}
	for (i = 0; i < CHILDREN; i++)
		good += !wait_for(pids[i]);
	return good;
}

static void count_under_mutex(struct common *common, int me)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int count;

		if (pthread_mutex_lock(&common->mutex))
			_exit(1);
		count = common->count;
		if (i % 16 == 0)
			sched_yield();
		common->count = count + 1;
		if (pthread_mutex_unlock(&common->mutex))
			_exit(1);
	}
}

/* clause 19: processes share a contended mutex */
TEST_F_TIMEOUT(share, mutex_contended_exclusive, 300)
{
	EXPECT_EQ(CHILDREN, run(self->fd, count_under_mutex));
	EXPECT_EQ(CHILDREN * ROUNDS, self->common->count);
}

static void die_with_mutex(struct common *common, int me)
{
	int err = pthread_mutex_lock(&common->mutex);

	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(&common->mutex);
	if (err)
		_exit(1);
	common->count++;
	/* Give the other processes time to wait for the mutex. */
	usleep(10000);
}

/* clause 19: a robust mutex reports that its owner died */
TEST_F_TIMEOUT(share, mutex_robust_owner_dead, 300)
{
	EXPECT_EQ(CHILDREN, run(self->fd, die_with_mutex));
	EXPECT_EQ(CHILDREN, self->common->count);
	EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&self->common->mutex));
	EXPECT_EQ(0, pthread_mutex_consistent(&self->common->mutex));
	EXPECT_EQ(0, pthread_mutex_unlock(&self->common->mutex));
}

static void take_turns(struct common *common, int me)
{
	int i;

	for (i = 0; i < ROUNDS / 5; i++) {
		pthread_mutex_lock(&common->mutex);
		while (common->turn % CHILDREN != me)
			if (pthread_cond_wait(&common->cond, &common->mutex))
				_exit(1);
		common->turn++;
		if (pthread_cond_broadcast(&common->cond))
			_exit(1);
		pthread_mutex_unlock(&common->mutex);
	}
}

/* clause 19: processes share a condition variable */
TEST_F_TIMEOUT(share, condvar_in_turns_wakes, 300)
{
	EXPECT_EQ(CHILDREN, run(self->fd, take_turns));
	EXPECT_EQ(ROUNDS / 5 * CHILDREN, self->common->turn);
}

static void post_or_wait(struct common *common, int me)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (me % 2 ? sem_post(&common->sem) : sem_wait(&common->sem))
			_exit(1);
}

/* clause 19: processes share a semaphore */
TEST_F_TIMEOUT(share, semaphore_post_and_wait_balance, 300)
{
	int left = -1;

	EXPECT_EQ(CHILDREN, run(self->fd, post_or_wait));
	EXPECT_EQ(0, sem_getvalue(&self->common->sem, &left));
	EXPECT_EQ(0, left);
}

static void meet(struct common *common, int me)
{
	int i, err;

	for (i = 0; i < ROUNDS / 5; i++) {
		__atomic_add_fetch(&common->count, 1, __ATOMIC_RELAXED);
		err = pthread_barrier_wait(&common->barrier);
		if (err && err != PTHREAD_BARRIER_SERIAL_THREAD)
			_exit(1);
		if (__atomic_load_n(&common->count, __ATOMIC_RELAXED) < (i + 1) * CHILDREN)
			_exit(1);
	}
}

/* clause 19: processes share a barrier */
TEST_F_TIMEOUT(share, barrier_of_processes_meets, 300)
{
	EXPECT_EQ(CHILDREN, run(self->fd, meet));
	EXPECT_EQ(ROUNDS / 5 * CHILDREN, self->common->count);
}

TEST_HARNESS_MAIN
