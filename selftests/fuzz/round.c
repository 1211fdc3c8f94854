// SPDX-License-Identifier: GPL-2.0
/* A round: a process of its own turns one input into operations. */
#include "fuzz.h"

#define ROUND_LIMIT	120	/* seconds after which a round counts as hanging */
#define COVER_WORDS	65536UL

#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)

static unsigned long *kcov;

static void op_on_arena(unsigned int op)
{
	struct arena *a = get_arena();

	if (!a)
		return;
	ops_of_calls[op % nr_ops_of_calls](a);
	check_info(a);
}

static void step(void)
{
	unsigned int op = get_byte();

	if (op < 8)
		op_open();
	else if (op < 72)
		ops_of_mappings[op % nr_ops_of_mappings]();
	else
		op_on_arena(op);
}

static void kcov_start(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);

	kcov = NULL;
	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, COVER_WORDS))
		return;
	kcov = mmap(NULL, COVER_WORDS * sizeof(*kcov), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kcov == MAP_FAILED || ioctl(fd, KCOV_ENABLE, 0)) {
		kcov = NULL;
		return;
	}
	madvise(kcov, COVER_WORDS * sizeof(*kcov), MADV_DONTFORK);
	__atomic_store_n(&kcov[0], 0, __ATOMIC_RELAXED);
}

/*
 * Records in shared->cover that the kernel has run the code at @pc; returns false if @pc was
 * recorded before.
 */
static bool cover(unsigned long pc)
{
	unsigned long slot = pc * 0x9e3779b97f4a7c15UL >> 49, old = 0;

	while (!__atomic_compare_exchange_n(&shared->cover[slot % COVER_SLOTS], &old, pc, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		if (old == pc)
			return false;
		old = 0;
		slot++;
	}
	__atomic_fetch_add(&shared->covered, 1, __ATOMIC_RELAXED);
	return true;
}

static bool kcov_news(void)
{
	unsigned long i, nr;
	bool news = false;

	if (!kcov)
		return false;
	nr = __atomic_load_n(&kcov[0], __ATOMIC_RELAXED);
	for (i = 1; i <= nr && i < COVER_WORDS; i++)
		news |= cover(kcov[i]);
	return news;
}

static void play(void)
{
	while (in->at < in->len)
		step();
}

/*
 * Two processes play the input on the same arenas. When both have ended, the first process checks
 * INFO.
 */
static void play_together(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < ARENAS; i++)
		op_open();
	alone = false;
	for (i = 0; i < ARENAS; i++)
		arenas[i].lost = true;
	pid = fork();
	if (!pid) {
		/*
		 * The second process starts at another byte of the input, so that it makes other
		 * operations.
		 */
		in->at += 1 + in->bytes[0] % 7;
		kcov = NULL;
		play();
		_exit(0);
	}
	play();
	if (pid > 0 && wait_for(pid))
		_exit(1);
	alone = true;
	for (i = 0; i < ARENAS; i++)
		if (arenas[i].fd[0] >= 0)
			check_info(&arenas[i]);
}

int round_main(void)
{
	struct sigaction fatal = { .sa_handler = SIG_DFL };
	int i, j;

	sigaction(SIGALRM, &fatal, NULL);
	alarm(ROUND_LIMIT);
	for (i = 0; i < ARENAS; i++)
		for (j = 0; j < FDS; j++)
			arenas[i].fd[j] = -1;
	args_page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (args_page == MAP_FAILED || mprotect(args_page + PAGE, PAGE, PROT_NONE))
		return 0;
	kcov_start();
	alone = true;
	if (get_byte() & 3)
		play();
	else
		play_together();
	return kcov_news() ? 2 : 0;
}
