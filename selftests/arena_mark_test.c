// SPDX-License-Identifier: GPL-2.0
/*
 * ARENA_IOC_MARK, REWIND and UNMARK (clause 12): go back where it is sound, and an
 * errno with nothing changed where it is not. The same source is built for 32 bits,
 * too.
 */
#include "kselftest_harness.h"
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include "arena_calls.h"

#ifdef NO_32_BIT

int main(void)
{
	printf("TAP version 13\n1..0 # SKIP no C library to build a 32 bit program with\n");
	return KSFT_SKIP;
}

#else

#define CAPACITY	(64 * SLAB)
#define DEPTH		32		/* as documented */

FIXTURE(mark)
{
	int fd;
	char *map;
	__u64 mark[DEPTH + 1];
	__u64 offset;
	struct arena_info_args before;
	struct arena_info_args info;
};

FIXTURE_VARIANT(mark)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(mark, dense)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(mark, zero)
{
	.flags = ARENA_SETUP_ZERO,
};

FIXTURE_SETUP(mark)
{
	self->fd = arena_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, arena_setup(self->fd, CAPACITY, SLAB, variant->flags));
	self->map = arena_map(self->fd, CAPACITY, PROT_READ | PROT_WRITE, 0);
	ASSERT_NE(NULL, self->map);
}

FIXTURE_TEARDOWN(mark)
{
	munmap(self->map, CAPACITY);
	close(self->fd);
}

/* In a process of its own, which then ends: its answer, or what killed it. */
#define elsewhere(expression) ({						\
	pid_t _pid = fork();							\
										\
	if (!_pid)								\
		_exit(-(expression));						\
	-wait_for(_pid);							\
})

/* clauses 4, 12: an errno, and nothing changed */
#define refused(err, expression) do {						\
		ASSERT_EQ(0, arena_info(self->fd, &self->before));		\
		EXPECT_EQ(err, expression);					\
		ASSERT_EQ(0, arena_info(self->fd, &self->info));		\
		EXPECT_TRUE(arena_same_state(&self->before, &self->info));	\
	} while (0)

/* clauses 7, 12: all is as it was but for what only counts upwards; bytes stay mapped */
TEST_F(mark, rewinds)
{
	struct arena_batch_item item[3] = { { .bytes = 5 }, { .bytes = 3 * SLAB }, { .bytes = 1 } };
	int round;

	ASSERT_EQ(0, arena_store(self->fd, "kept", 5, NULL));
	ASSERT_EQ(0, arena_info(self->fd, &self->before));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, arena_store(self->fd, "freed", 6, &self->offset));
		EXPECT_EQ(8, self->offset);
		ASSERT_EQ(0, arena_alloc(self->fd, 2 * SLAB, NULL));
		ASSERT_EQ(0, arena_batch(self->fd, item, 3, 0, NULL));
		ASSERT_EQ(0, arena_alloc(self->fd, 100, NULL));
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
		ASSERT_EQ(0, arena_info(self->fd, &self->info));
		EXPECT_EQ(self->before.used, self->info.used);
		EXPECT_EQ(self->before.high, self->info.high);
		EXPECT_EQ(self->before.padding, self->info.padding);
		EXPECT_EQ(self->before.free, self->info.free);
		EXPECT_EQ(self->before.generation, self->info.generation);
		EXPECT_EQ(self->before.resets, self->info.resets);
		EXPECT_EQ(1 + 6 * (round + 1), self->info.allocs);
		EXPECT_LT(5 * SLAB, self->info.peak);
		EXPECT_STREQ("kept", self->map);
		EXPECT_STREQ("freed", self->map + 8);
		/* Nothing since: once more does no harm. */
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	}
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	refused(-ESTALE, arena_rewind(self->fd, self->mark[0]));
	refused(-ESTALE, arena_unmark(self->fd, self->mark[0]));
}

/* clause 6: what is allocated after a rewind is zero where zero was asked for */
TEST_F(mark, zero_after_rewind)
{
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 1000, &self->offset));
	memset(self->map + self->offset, 0xff, 1000);
	ASSERT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, arena_alloc_flags(self->fd, 1000, 0, ARENA_ALLOC_ZERO, &self->offset));
	EXPECT_TRUE(all_bytes(self->map + self->offset, 0, 1000));
}

/* clause 12: marks nest to the documented depth; an outer rewind ends the inner ones */
TEST_F(mark, nested)
{
	int i, to;

	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[i]));
		ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	}
	refused(-EBUSY, arena_mark(self->fd, &self->mark[DEPTH]));
	for (to = DEPTH - 1; to >= 0; to -= 3) {
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[to]));
		EXPECT_EQ(8 * to, arena_used(self->fd));
		for (i = to + 1; i < DEPTH; i++)
			refused(-ESTALE, arena_rewind(self->fd, self->mark[i]));
	}
	/* What an ended inner mark was for belongs to the outer one. */
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[DEPTH]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, arena_unmark(self->fd, self->mark[DEPTH]));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[1]));
	EXPECT_EQ(8, arena_used(self->fd));
	/* Ending the outermost ends all. */
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	refused(-ESTALE, arena_rewind(self->fd, self->mark[1]));
}

/* clause 12: -EBUSY if others allocated since that mark; before it is no matter */
TEST_F(mark, others_allocate)
{
	EXPECT_EQ(0, elsewhere(arena_alloc(self->fd, 8, NULL)));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, elsewhere(arena_alloc(self->fd, 8, NULL)));
	refused(-EBUSY, arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	refused(-EBUSY, arena_rewind(self->fd, self->mark[0]));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[1]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[1]));
	EXPECT_EQ(32, arena_used(self->fd));
	refused(-EBUSY, arena_rewind(self->fd, self->mark[0]));
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
}

/* clause 12: one thread at a time has marks, and nobody can use them for it */
TEST_F(mark, others_mark)
{
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	refused(-EBUSY, elsewhere(arena_mark(self->fd, &self->mark[1])));
	refused(-ESTALE, elsewhere(arena_rewind(self->fd, self->mark[0])));
	refused(-ESTALE, elsewhere(arena_unmark(self->fd, self->mark[0])));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	EXPECT_EQ(0, elsewhere(arena_mark(self->fd, &self->mark[1])));
}

/* clause 12: -ESTALE after a reset of any kind, and for ever */
TEST_F(mark, reset_since)
{
	__u32 mode;

	for (mode = ARENA_RESET_KEEP; mode <= ARENA_RESET_ZERO; mode++) {
		ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
		ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
		ASSERT_EQ(0, arena_reset(self->fd, mode, 0));
		refused(-ESTALE, arena_rewind(self->fd, self->mark[0]));
		ASSERT_EQ(0, arena_alloc(self->fd, 80, NULL));
		refused(-ESTALE, arena_rewind(self->fd, self->mark[0]));
		refused(-ESTALE, arena_unmark(self->fd, self->mark[0]));
		/* Not in the way, neither of others nor of new ones. */
		EXPECT_EQ(0, elsewhere(arena_mark(self->fd, &self->mark[1])));
		ASSERT_EQ(0, arena_mark(self->fd, &self->mark[1]));
		ASSERT_EQ(0, arena_alloc(self->fd, 40, NULL));
		refused(-ESTALE, arena_rewind(self->fd, self->mark[0]));
		EXPECT_EQ(0, arena_rewind(self->fd, self->mark[1]));
		EXPECT_EQ(80, arena_used(self->fd));
	}
}

/* clause 12: numbers that were never given out, or by another arena */
TEST_F(mark, forged)
{
	int other = arena_open(), bit;
	__u64 theirs;

	ASSERT_LE(0, other);
	refused(-ESTALE, arena_rewind(self->fd, 0));
	refused(-ESTALE, arena_rewind(self->fd, 1));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	for (bit = 0; bit < 64; bit++) {
		refused(-ESTALE, arena_rewind(self->fd, self->mark[0] ^ 1ULL << bit));
		refused(-ESTALE, arena_unmark(self->fd, self->mark[0] ^ 1ULL << bit));
	}
	refused(-ESTALE, arena_rewind(self->fd, ~0ULL));
	refused(-ESTALE, arena_rewind(other, self->mark[0]));
	ASSERT_EQ(0, arena_mark(other, &theirs));
	ASSERT_EQ(0, arena_mark(other, &theirs));
	refused(-ESTALE, arena_rewind(self->fd, theirs));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	close(other);
}

static int mark_and_end(int fd, bool killed)
{
	__u64 mark;
	int i;

	for (i = 0; i < 5; i++)
		if (arena_mark(fd, &mark) || arena_alloc(fd, 8, NULL))
			return -1;
	if (killed)
		raise(SIGKILL);
	return 0;
}

/* clause 12: the marks of a process end with it, before and after its parent reaps it */
TEST_F(mark, end_with_their_process)
{
	siginfo_t info;
	pid_t pid;
	int i;

	EXPECT_EQ(0, elsewhere(mark_and_end(self->fd, false)));
	EXPECT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	EXPECT_EQ(40, arena_used(self->fd));
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	EXPECT_EQ(1 + SIGKILL, elsewhere(mark_and_end(self->fd, true)));
	EXPECT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	/* Many of them: each gets a pid, and many a task, that another one had. */
	for (i = 0; i < 200; i++) {
		pid = fork();
		if (!pid)
			_exit(mark_and_end(self->fd, i & 1));
		EXPECT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
		EXPECT_EQ(0, arena_mark(self->fd, &self->mark[0]));
		EXPECT_EQ(i & 1 ? -1 - SIGKILL : 0, wait_for(pid));
		EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
	}
}

static void *mark_in_thread(void *arg)
{
	return (void *)(long)mark_and_end(*(int *)arg, false);
}

/* clause 12: the marks of a thread end with it, although its process goes on */
TEST_F(mark, end_with_their_thread)
{
	pthread_t thread;
	void *answer;
	int err;

	ASSERT_EQ(0, pthread_create(&thread, NULL, mark_in_thread, &self->fd));
	ASSERT_EQ(0, pthread_join(thread, &answer));
	EXPECT_EQ(NULL, answer);
	/* Joined a moment before it is dead for the kernel. */
	do {
		err = arena_mark(self->fd, &self->mark[0]);
	} while (err == -EBUSY && !sched_yield());
	EXPECT_EQ(0, err);
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
}

/* clauses 4, 12: a mark that cannot be told is none */
TEST_F(mark, that_cannot_be_told)
{
	struct arena_mark_args *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, args);
	args->size = sizeof(*args);
	ASSERT_EQ(0, mprotect(args, 4096, PROT_READ));
	refused(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_MARK, args));
	EXPECT_EQ(0, elsewhere(arena_mark(self->fd, &self->mark[0])));
	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(self->fd, 8, NULL));
	ASSERT_EQ(0, mprotect(args, 4096, PROT_READ | PROT_WRITE));
	args->mark = self->mark[0];
	ASSERT_EQ(0, mprotect(args, 4096, PROT_READ));
	refused(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_REWIND, args));
	refused(-EFAULT, arena_ioctl(self->fd, ARENA_IOC_UNMARK, args));
	EXPECT_EQ(0, arena_rewind(self->fd, self->mark[0]));
	munmap(args, 4096);
}

/* clause 17: adding and freeing are two rights, and this needs both */
TEST_F(mark, rights)
{
	const __u32 both = ARENA_RIGHT_ALLOC | ARENA_RIGHT_RESET;
	int enough = arena_dup(self->fd, both);
	int less[] = { arena_dup(self->fd, ARENA_RIGHTS_ALL & ~ARENA_RIGHT_ALLOC),
		       arena_dup(self->fd, ARENA_RIGHTS_ALL & ~ARENA_RIGHT_RESET) };
	unsigned int i;

	ASSERT_EQ(0, arena_mark(enough, &self->mark[0]));
	ASSERT_EQ(0, arena_alloc(enough, 8, NULL));
	for (i = 0; i < ARRAY_SIZE(less); i++) {
		refused(-EACCES, arena_mark(less[i], &self->mark[1]));
		refused(-EACCES, arena_rewind(less[i], self->mark[0]));
		refused(-EACCES, arena_unmark(less[i], self->mark[0]));
		close(less[i]);
	}
	EXPECT_EQ(0, arena_rewind(enough, self->mark[0]));
	EXPECT_EQ(0, arena_unmark(enough, self->mark[0]));
	close(enough);
}

/* clause 18 */
TEST_F(mark, unknown_flags)
{
	const unsigned int cmds[] = { ARENA_IOC_MARK, ARENA_IOC_REWIND, ARENA_IOC_UNMARK };
	unsigned int i, bit;

	ASSERT_EQ(0, arena_mark(self->fd, &self->mark[0]));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		for (bit = 0; bit < 32; bit++) {
			struct arena_mark_args args = {
				.size = sizeof(args),
				.flags = 1U << bit,
				.mark = self->mark[0],
			};

			refused(-EINVAL, arena_ioctl(self->fd, cmds[i], &args));
		}
	}
	EXPECT_EQ(0, arena_unmark(self->fd, self->mark[0]));
}

/* clause 12: not with spans */
TEST(spans)
{
	int fd = arena_open();
	__u64 mark;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, arena_setup(fd, CAPACITY, SLAB, ARENA_SETUP_SPANS));
	ASSERT_EQ(0, arena_alloc(fd, 8, NULL));
	EXPECT_EQ(-EOPNOTSUPP, arena_mark(fd, &mark));
	EXPECT_EQ(-EOPNOTSUPP, arena_rewind(fd, 1));
	EXPECT_EQ(-EOPNOTSUPP, arena_unmark(fd, 1));
	EXPECT_EQ(8, arena_used(fd));
	close(fd);
}

/*
 * clause 12: one that rewinds, others that allocate: no rewind ever takes what
 * another one has
 */
static int rewind_until_stopped(int fd, char *map, int *stop)
{
	__u64 mark, at[6];
	int i, err;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		if (arena_mark(fd, &mark))
			return 1;
		for (i = 0; i < 6; i++)
			if (arena_store(fd, "rewinder", 9, &at[i]))
				return 2;
		for (i = 0; i < 6; i++)
			if (strcmp(map + at[i], "rewinder"))
				return 3;
		err = arena_rewind(fd, mark);
		if (err && err != -EBUSY)
			return 4;
		if (arena_unmark(fd, mark))
			return 5;
		/* Where it failed, this has used up room. */
		if (arena_used(fd) > CAPACITY / 2)
			return 0;
	}
	return 0;
}

TEST_F_TIMEOUT(mark, beside_others, 120)
{
	int *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u64 at[2000];
	unsigned int i;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, stop);
	pid = fork();
	if (!pid)
		_exit(rewind_until_stopped(self->fd, self->map, stop));
	for (i = 0; i < ARRAY_SIZE(at); i++)
		ASSERT_EQ(0, arena_store(self->fd, "other one", 10, &at[i]));
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, wait_for(pid));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		EXPECT_STREQ("other one", self->map + at[i]);
		if (i)
			EXPECT_LT(at[i - 1], at[i]);
	}
	ASSERT_EQ(0, arena_info(self->fd, &self->info));
	EXPECT_EQ(self->info.capacity,
		  self->info.used + self->info.padding + self->info.free);
	munmap(stop, 4096);
}

static_assert(sizeof(struct arena_mark_args) == 24, "mark");

TEST_HARNESS_MAIN

#endif /* NO_32_BIT */
