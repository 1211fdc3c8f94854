// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what an object costs: allocates batches of 4,096 objects of 64 bytes, writes to each
 * object, and then frees all of them or resets the arena. The result includes opening the arena and
 * the first page faults.
 *
 *	bench KIND WORKERS threads|processes ROUNDS
 *
 * KIND is what allocates: malloc (of the C library, or of a preloaded library), arena
 * (arena_alloc()), cursor (arena_cursor_alloc()), or bump, which only moves a pointer, to show how
 * fast an allocator could be. The program prints a line with the nanoseconds that an object takes:
 * in all batches, in the first batch, and in the other batches.
 *
 *	bench,KIND,threads|processes,WORKERS,ALL,FIRST,REST
 *
 * All workers share an arena. They wait for each other after each batch, because a reset frees the
 * objects of all of them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libarena.h>

#define OBJECTS		4096
#define SIZE		64
#define WORKERS_MAX	8

/* Memory that the workers share, also if they are processes. */
struct common {
	pthread_barrier_t barrier;
	double begin;
	double first;
	double end;
};

struct worker {
	pthread_t thread;
	pid_t pid;
	unsigned int number;
	void *objects[OBJECTS];
};

static struct common *common;
static struct arena *arena;
static unsigned int nr_workers, nr_rounds;
static void (*batch)(struct worker *worker);
static void (*set_up)(void);
static char *block;
static struct worker workers[WORKERS_MAX];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void together(void)
{
	if (nr_workers > 1)
		pthread_barrier_wait(&common->barrier);
}

static inline void *note(struct worker *worker, unsigned int i, void *object)
{
	if (__builtin_expect(!object, 0))
		err(1, "allocation");
	memset(object, (int)i, SIZE);
	return worker->objects[i] = object;
}

static void batch_malloc(struct worker *worker)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		note(worker, i, malloc(SIZE));
	for (unsigned int i = 0; i < OBJECTS; i++)
		free(worker->objects[i]);
}

static void open_arena(void)
{
	arena = arena_open("bench", 0, 0);
	if (!arena)
		err(1, "arena_open");
}

/* One worker resets the arena, after all workers have used their objects. */
static void take_back(struct worker *worker)
{
	together();
	if (!worker->number && arena_reset(arena, ARENA_RESET_KEEP))
		err(1, "arena_reset");
	together();
}

static void batch_arena(struct worker *worker)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		note(worker, i, arena_alloc(arena, SIZE));
	take_back(worker);
}

static void batch_cursor(struct worker *worker)
{
	struct arena_cursor *cursor = arena_cursor(arena);

	for (unsigned int i = 0; i < OBJECTS; i++)
		note(worker, i, arena_cursor_alloc(cursor, SIZE));
	take_back(worker);
}

static void make_block(void)
{
	block = mmap(NULL, (size_t)nr_workers * OBJECTS * SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		err(1, "mmap");
}

/* A bump allocator without a check, whose position is in a thread-local variable. */
static void batch_bump(struct worker *worker)
{
	static __thread char *pos;

	pos = block + (size_t)worker->number * OBJECTS * SIZE;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		note(worker, i, pos);
		pos += SIZE;
		__asm__ volatile("" : : : "memory");
	}
}

static void nothing(void)
{
}

static const struct kind {
	const char *name;
	void (*set_up)(void);
	void (*batch)(struct worker *worker);
} kinds[] = {
	{ "malloc", nothing, batch_malloc },
	{ "arena", open_arena, batch_arena },
	{ "cursor", open_arena, batch_cursor },
	{ "bump", make_block, batch_bump },
	{ NULL, NULL, NULL },
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned int round = 0; round < nr_rounds; round++) {
		batch(worker);
		if (!round && !worker->number)
			common->first = now();
	}
	return NULL;
}

static void run_threads(void)
{
	for (unsigned int i = 1; i < nr_workers; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			errx(1, "pthread_create");
	work(&workers[0]);
	for (unsigned int i = 1; i < nr_workers; i++)
		pthread_join(workers[i].thread, NULL);
}

static void run_processes(void)
{
	int status;

	for (unsigned int i = 1; i < nr_workers; i++) {
		workers[i].pid = fork();
		if (workers[i].pid < 0)
			err(1, "fork");
		if (!workers[i].pid) {
			work(&workers[i]);
			_exit(0);
		}
	}
	work(&workers[0]);
	for (unsigned int i = 1; i < nr_workers; i++)
		if (waitpid(workers[i].pid, &status, 0) != workers[i].pid || status)
			errx(1, "a worker failed");
}

static void make_common(void)
{
	pthread_barrierattr_t attr;

	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (common == MAP_FAILED)
		err(1, "mmap");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&common->barrier, &attr, nr_workers);
}

int main(int argc, char **argv)
{
	const struct kind *kind = kinds;
	double batch_objects;

	if (argc != 5)
		errx(2, "usage: bench KIND WORKERS threads|processes ROUNDS");
	while (kind->name && strcmp(kind->name, argv[1]))
		kind++;
	nr_workers = atoi(argv[2]);
	nr_rounds = atoi(argv[4]);
	if (!kind->name || !nr_workers || nr_workers > WORKERS_MAX || nr_rounds < 2)
		errx(2, "what?");
	set_up = kind->set_up;
	batch = kind->batch;
	for (unsigned int i = 0; i < nr_workers; i++)
		workers[i].number = i;
	make_common();
	/* Touch the arrays of pointers, so that their page faults are not measured. */
	for (unsigned int i = 0; i < nr_workers; i++)
		memset(workers[i].objects, 0, sizeof(workers[i].objects));
	common->begin = now();
	set_up();
	if (!strcmp(argv[3], "threads"))
		run_threads();
	else
		run_processes();
	common->end = now();
	batch_objects = (double)nr_workers * OBJECTS;
	printf("bench,%s,%s,%u,%.1f,%.1f,%.1f\n", kind->name, argv[3], nr_workers,
	       (common->end - common->begin) / batch_objects / nr_rounds,
	       (common->first - common->begin) / batch_objects,
	       (common->end - common->first) / batch_objects / (nr_rounds - 1));
	return 0;
}
