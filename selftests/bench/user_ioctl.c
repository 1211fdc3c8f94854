// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what calls of /dev/arena cost, and compares them with an ioctl of /dev/arena_bench that
 * only copies the same struct in and out, and with a call that copies nothing. Prints lines of the
 * format that measure.c describes.
 *
 *	user_ioctl UNIT ROUNDS [ALLOCATOR]
 *
 * UNIT is the unit to print: ns, or insn on a machine whose clock counts each instruction as a
 * nanosecond. With ALLOCATOR, measures only the benchmark "ioctl" of that allocator.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/arena.h>

#define CALLS		4096	/* calls in a round */
#define OBJECT		64	/* bytes in an object */
#define BATCH		64	/* objects in a call of ARENA_IOC_BATCH */
#define ROUNDS_MAX	512
#define WARM_UP		2

struct rival {
	const char	*bench;
	const char	*name;
	unsigned int	flags;		/* flags to set the arena up with */
	unsigned int	per;		/* objects in a call */
	int		(*open)(const struct rival *rival);
	int		(*call)(int fd);
	int		fd;
	int		absent;
	double		ns[ROUNDS_MAX];	/* time for one object, by round */
};

static int open_nothing(const struct rival *rival)
{
	return open("/dev/arena_bench", O_RDWR | O_CLOEXEC);
}

static int open_arena(const struct rival *rival)
{
	struct arena_setup_args setup = { .size = sizeof(setup), .flags = rival->flags };
	int fd = open("/dev/arena", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, ARENA_IOC_SETUP, &setup))
		return -1;
	return fd;
}

/* Opens an arena and maps its status page, so that each call updates the page. */
static int open_status(const struct rival *rival)
{
	int fd = open_arena(rival);

	if (fd >= 0 && mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd,
			    ARENA_STATUS_OFFSET) == MAP_FAILED)
		return -1;
	return fd;
}

static int call_alloc(int fd)
{
	struct arena_alloc_args alloc = { .size = sizeof(alloc), .bytes = OBJECT };

	return ioctl(fd, ARENA_IOC_ALLOC, &alloc);
}

static int call_store(int fd)
{
	static const char object[OBJECT];
	struct arena_store_args store = {
		.size = sizeof(store), .bytes = OBJECT, .src = (uintptr_t)object,
	};

	return ioctl(fd, ARENA_IOC_STORE, &store);
}

static int call_batch(int fd)
{
	static struct arena_batch_item items[BATCH];
	struct arena_batch_args batch = {
		.size = sizeof(batch), .items = (uintptr_t)items, .count = BATCH,
		.item_size = sizeof(items[0]),
	};
	int i;

	for (i = 0; i < BATCH; i++)
		items[i].bytes = OBJECT;
	return ioctl(fd, ARENA_IOC_BATCH, &batch);
}

static int call_reset(int fd)
{
	struct arena_reset_args reset = { .size = sizeof(reset) };

	return ioctl(fd, ARENA_IOC_RESET, &reset);
}

static int call_getppid(int fd)
{
	return syscall(SYS_getppid) < 0;
}

static const char *only;

static struct rival rivals[] = {
	{ "ioctl", "getppid", 0, 1, open_nothing, call_getppid },
	{ "ioctl", "nothing", 0, 1, open_nothing, call_alloc },
	{ "ioctl", "arena_dense", 0, 1, open_arena, call_alloc },
	{ "ioctl", "arena_spans", ARENA_SETUP_SPANS, 1, open_arena, call_alloc },
	{ "ioctl_status", "arena_dense", 0, 1, open_status, call_alloc },
	{ "ioctl_status", "arena_spans", ARENA_SETUP_SPANS, 1, open_status, call_alloc },
	{ "ioctl_store", "arena_dense", 0, 1, open_arena, call_store },
	{ "ioctl_store", "arena_spans", ARENA_SETUP_SPANS, 1, open_arena, call_store },
	{ "ioctl_batch", "arena_dense", 0, BATCH, open_arena, call_batch },
	{ "ioctl_batch", "arena_spans", ARENA_SETUP_SPANS, BATCH, open_arena, call_batch },
	{ "ioctl_reset", "arena_dense", 0, 1, open_arena, call_reset },
	{ "ioctl_reset", "arena_spans", ARENA_SETUP_SPANS, 1, open_arena, call_reset },
	{ }
};

/* Marks the rival as absent if it is not to be measured, or if the module lacks the call. */
static void open_rival(struct rival *rival)
{
	if (only && (strcmp(rival->bench, "ioctl") || strcmp(rival->name, only))) {
		rival->absent = 1;
		return;
	}
	rival->fd = rival->open(rival);
	if (rival->fd < 0)
		err(1, "cannot open a device for %s", rival->name);
	rival->absent = rival->call(rival->fd) && errno == ENOTTY;
	if (rival->absent)
		printf("not there: %s, %s\n", rival->bench, rival->name);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static double one_round(const struct rival *rival)
{
	int calls = CALLS / rival->per, fd = rival->fd, i;
	double start;

	/* Resets keep the memory that the warm-up has committed, so only calls are measured. */
	if (rival->open != open_nothing && call_reset(fd))
		err(1, "%s: reset", rival->name);
	start = now();
	for (i = 0; i < calls; i++)
		if (rival->call(fd))
			err(1, "%s, %s", rival->bench, rival->name);
	return (now() - start) / (calls * rival->per);
}

/* Each round runs all rivals in turn, so that a disturbance of the machine affects all of them. */
static void measure(int rounds)
{
	struct rival *rival;
	int round;

	for (round = -WARM_UP; round < rounds; round++)
		for (rival = rivals; rival->bench; rival++) {
			double ns = rival->absent ? 0 : one_round(rival);

			if (round >= 0)
				rival->ns[round] = ns;
		}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print(struct rival *rival, const char *unit, int rounds)
{
	double *ns = rival->ns;

	qsort(ns, rounds, sizeof(ns[0]), compare);
	printf("bench,%s,%s,1,%d,%d,%.2f,%s,%.2f,%.2f,%d\n", rival->bench, rival->name,
	       rival->per, OBJECT, ns[rounds / 2], unit, ns[0], ns[rounds - 1], rounds);
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 || argc == 4 ? atoi(argv[2]) : 0;
	struct rival *rival;

	only = argc == 4 ? argv[3] : NULL;
	if (rounds < 1 || rounds > ROUNDS_MAX)
		errx(2, "usage: user_ioctl ns|insn ROUNDS [ALLOCATOR]");
	for (rival = rivals; rival->bench; rival++)
		open_rival(rival);
	measure(rounds);
	for (rival = rivals; rival->bench; rival++)
		if (!rival->absent)
			print(rival, argv[1], rounds);
	return 0;
}
