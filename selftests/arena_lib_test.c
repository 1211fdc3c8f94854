// SPDX-License-Identifier: GPL-2.0
/*
 * libarena: clauses 1, 4, 5, 7, 9, 17, 19 and 20 as they look to programs that
 * allocate without calls. With -DFAKE, what does not need the kernel, on top of
 * tools/libarena/fake.c. The same source is built for 32 bits, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libarena.h>

#include "arena_pass.h"
#include "kselftest_harness.h"

#define MB		(1024 * 1024UL)
#define SLAB		65536UL
#define CELL		64
#define PATIENCE	200	/* seconds; hosts are busy, sanitizers slow */
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* Who made an object: its first bytes say. Objects know nothing else. */
struct stamp {
	__u64 maker;
	__u64 number;
};

struct place {
	__u64 generation;
	__u64 offset;
	__u64 bytes;
};

static int by_place(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	if (p->generation != q->generation)
		return p->generation < q->generation ? -1 : 1;
	return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* How many of them overlap their neighbour; sorts them. */
static size_t overlaps(struct place *places, size_t nr)
{
	size_t i, bad = 0;

	qsort(places, nr, sizeof(*places), by_place);
	for (i = 1; i < nr; i++)
		bad += places[i - 1].generation == places[i].generation &&
		       places[i - 1].offset + places[i - 1].bytes > places[i].offset;
	return bad;
}

static void *stamped(struct arena *arena, size_t bytes, __u64 maker, __u64 number)
{
	struct stamp *stamp = arena_alloc(arena, bytes);

	if (stamp)
		*stamp = (struct stamp){ .maker = maker, .number = number };
	return stamp;
}

static bool is_stamped(struct arena *arena, __u64 offset, __u64 maker, __u64 number)
{
	const struct stamp *stamp = arena_ptr(arena, offset);

	return stamp && stamp->maker == maker && stamp->number == number;
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1 - WTERMSIG(status);
}

/* Two sides that take turns. */
struct turns {
	pthread_barrier_t barrier;
};

static void turn(struct turns *turns)
{
	pthread_barrier_wait(&turns->barrier);
}

/* Slabs of a page: User-Mode Linux cannot fork with others mapped. */
static struct arena *open_to_fork(void)
{
	struct arena_setup_args args = {
		.size = sizeof(args),
		.capacity = MB,
		.slab_size = sysconf(_SC_PAGESIZE),
	};
	int fd = open("/dev/arena", O_RDWR | O_CLOEXEC);
	struct arena *arena = NULL;

	if (fd >= 0 && !ioctl(fd, ARENA_IOC_SETUP, &args))
		arena = arena_attach(fd);
	if (fd >= 0)
		close(fd);
	return arena;
}

FIXTURE(lib)
{
	struct arena *arena;
};

FIXTURE_SETUP(lib)
{
	self->arena = arena_open("lib", MB, 0);
	if (!self->arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, self->arena) TH_LOG("arena_open: %s", strerror(errno));
}

FIXTURE_TEARDOWN(lib)
{
	arena_close(self->arena);
}

/* Clause 7: the offset is exact although threads have leases. */
TEST_F_TIMEOUT(lib, offset_with_leases_exact, PATIENCE)
{
	const struct { double x, y; } point = { 1.5, 3.7 };
	const int hundred = 100, *first, *second;
	__typeof__(point) *stored;

	first = arena_store(self->arena, hundred);
	second = arena_store(self->arena, 2 * hundred);
	ASSERT_NE(NULL, second);
	EXPECT_EQ(100, *first);
	EXPECT_EQ(200, *second);
	EXPECT_EQ(16, arena_offset(self->arena));
	EXPECT_LE(16, arena_high(self->arena));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(0, arena_offset(self->arena));
	stored = arena_store(self->arena, point);
	ASSERT_NE(NULL, stored);
	EXPECT_EQ(0, memcmp(stored, &point, sizeof(point)));
	EXPECT_EQ(16, arena_offset(self->arena));
	EXPECT_EQ(0, arena_off(self->arena, stored));
	EXPECT_EQ(stored, arena_ptr(self->arena, 0));
}

/* Clause 5: any offset may be asked for, and any address. */
TEST_F_TIMEOUT(lib, ptr_of_bad_offset_null, PATIENCE)
{
	EXPECT_EQ(MB, arena_capacity(self->arena));
	EXPECT_NE(NULL, arena_ptr(self->arena, MB - 1));
	EXPECT_EQ(NULL, arena_ptr(self->arena, MB));
	EXPECT_EQ(NULL, arena_ptr(self->arena, -1ULL));
	EXPECT_LE(MB, arena_off(self->arena, self));
	EXPECT_LE(MB, arena_off(self->arena, self->arena->base - 1));
	EXPECT_EQ(0, (uintptr_t)self->arena->base % SLAB);
}

/* Clauses 4, 5: bad arguments are refused with an errno, and cost no memory. */
TEST_F_TIMEOUT(lib, alloc_bad_argument_refused, PATIENCE)
{
	static const struct { size_t size, align; int err; } calls[] = {
		{ 0, 8, EINVAL }, { 0, 64, EINVAL }, { 8, 3, EINVAL }, { 8, 24, EINVAL },
		{ 8, 2 * SLAB, EINVAL }, { 8, ~(SIZE_MAX / 2), EINVAL },
		{ 8, ~(SIZE_MAX / 2) >> 3, EINVAL },
		{ SIZE_MAX, 8, ENOSPC }, { SIZE_MAX - 7, 8, ENOSPC },
		{ SIZE_MAX / 2, 8, ENOSPC }, { MB + 1, 8, ENOSPC }, { MB, 8, ENOSPC },
	};
	struct arena_cursor other = { 0 };
	__u64 before;
	size_t i;

	/* With a lease and without. */
	for (int round = 0; round < 2; round++) {
		before = arena_offset(self->arena);
		for (i = 0; i < ARRAY_SIZE(calls) - !round; i++) {
			errno = 0;
			EXPECT_EQ(NULL, arena_alloc_aligned(self->arena, calls[i].size,
							    calls[i].align));
			EXPECT_EQ(calls[i].err, errno) TH_LOG("%zu %zu", calls[i].size,
							      calls[i].align);
		}
		EXPECT_EQ(NULL, arena_memdup(self->arena, "", 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(before, arena_offset(self->arena));
		EXPECT_GT(MB, arena_off(self->arena, arena_alloc(self->arena, 1)));
	}
	EXPECT_EQ(NULL, arena_cursor_alloc(&other, 8));
	EXPECT_EQ(EINVAL, errno);
}

/* Clause 1: offset and address are aligned; without an alignment, the sizes add up exactly. */
TEST_F_TIMEOUT(lib, alloc_with_alignment_aligned, PATIENCE)
{
	char *at;

	for (size_t align = 0; align <= SLAB; align = align ? 2 * align : 1) {
		at = arena_alloc_aligned(self->arena, 24, align);
		ASSERT_NE(NULL, at) TH_LOG("%zu: %s", align, strerror(errno));
		EXPECT_EQ(0, (uintptr_t)at & (align ? align - 1 : 7));
		EXPECT_EQ(0, arena_off(self->arena, at) & (align ? align - 1 : 7));
		memset(at, 0xff, 24);
	}
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	for (size_t size = 1; size <= 40; size++)
		ASSERT_NE(NULL, arena_alloc(self->arena, size));
	EXPECT_EQ(8 * (8 + 16 + 24 + 32 + 40), arena_offset(self->arena));
}

/* Clause 7: an alignment that is larger than a lease does not take a lease of that length. */
TEST(alloc_large_alignment_no_lease)
{
	struct arena *arena = arena_open("large slabs", 1 << 30, 0);
	__u64 offset, before = 0;

	ASSERT_NE(NULL, arena) TH_LOG("%s", strerror(errno));
	ASSERT_NE(NULL, arena_alloc(arena, 8));
	ASSERT_NE(NULL, arena_alloc_aligned(arena, 8, 2 << 20));
	EXPECT_GE(2 * 4096, arena_offset(arena));
	for (size_t i = 0; i < (2 << 20) / CELL; i++) {
		ASSERT_NE(NULL, arena_alloc(arena, CELL));
		offset = arena_offset(arena);
		ASSERT_LE(before + CELL, offset);
		before = offset;
	}
	arena_close(arena);
}

/* Clauses 4, 16: one thread gets every byte, and a failure leaves room for smaller objects. */
TEST_F_TIMEOUT(lib, alloc_when_full_takes_every_byte, PATIENCE)
{
	size_t nr = 0;

	while (stamped(self->arena, CELL, 1, nr))
		nr++;
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(MB / CELL, nr);
	EXPECT_EQ(MB, arena_offset(self->arena));
	for (size_t i = 0; i < nr; i++)
		ASSERT_TRUE(is_stamped(self->arena, i * CELL, 1, i));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	for (nr = 1; nr < MB / CELL; nr++)
		ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	EXPECT_EQ(NULL, arena_alloc(self->arena, CELL + 1));
	EXPECT_EQ(MB - CELL, arena_offset(self->arena));
	EXPECT_NE(NULL, arena_alloc(self->arena, CELL / 2));
	EXPECT_NE(NULL, arena_alloc(self->arena, CELL / 2));
	EXPECT_EQ(NULL, arena_alloc(self->arena, 1));
	EXPECT_EQ(ENOSPC, errno);
}

/*
 * Clause 16: of sizes that do not fill the arena evenly, as many fit as the kernel would have
 * placed.
 */
TEST_F_TIMEOUT(lib, alloc_odd_sizes_until_full_as_kernel, PATIENCE)
{
	static const size_t sizes[] = { 24, 40, 56, 72, 1000, 5000, 9000, 20000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t nr = 0;

		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
		while (arena_alloc(self->arena, sizes[i]))
			nr++;
		EXPECT_EQ(ENOSPC, errno);
		EXPECT_LE(MB / SLAB * (SLAB / sizes[i]), nr) TH_LOG("size %zu", sizes[i]);
		EXPECT_GE(MB / sizes[i], nr);
		EXPECT_LE(nr * sizes[i], arena_offset(self->arena));
	}
}

/* Clause 5: objects may be as large as a slab, and as the arena. */
TEST_F_TIMEOUT(lib, alloc_large_ok, PATIENCE)
{
	char *at = arena_alloc(self->arena, 8);

	ASSERT_NE(NULL, at);
	for (size_t size = SLAB / 16; size <= 4 * SLAB; size *= 2) {
		at = arena_alloc(self->arena, size);
		ASSERT_NE(NULL, at) TH_LOG("%zu: %s", size, strerror(errno));
		memset(at, 1, size);
	}
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	at = arena_alloc(self->arena, MB);
	ASSERT_NE(NULL, at);
	memset(at, 1, MB);
	EXPECT_EQ(MB, arena_offset(self->arena));
	EXPECT_EQ(NULL, arena_alloc(self->arena, 1));
}

TEST_F_TIMEOUT(lib, strdup_copies, PATIENCE)
{
	char text[1000], *copy;

	EXPECT_STREQ("hello", arena_strdup(self->arena, "hello"));
	EXPECT_STREQ("hel", arena_strndup(self->arena, "hello", 3));
	EXPECT_STREQ("hello", arena_strndup(self->arena, "hello", 100));
	EXPECT_STREQ("", arena_strndup(self->arena, "hello", 0));
	EXPECT_STREQ("7 of nine", arena_printf(self->arena, "%d of %s", 7, "nine"));
	for (size_t len = 254; len < 259; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		copy = arena_printf(self->arena, "%s", text);
		EXPECT_STREQ(text, copy);
	}
	EXPECT_EQ(0, memcmp("a\0b", arena_memdup(self->arena, "a\0b", 3), 3));
}

/* Threads. */

#define THREADS		4
#define OBJECTS		3000

struct worker {
	pthread_t thread;
	struct arena *arena;
	struct turns *turns;
	unsigned int number;
	size_t nr;
	struct place places[OBJECTS];
};

/* Objects of all sizes, each stamped; where they are is noted. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned int seed = worker->number;

	for (worker->nr = 0; worker->nr < OBJECTS; worker->nr++) {
		struct place *place = &worker->places[worker->nr];
		void *object;

		place->bytes = sizeof(struct stamp) + rand_r(&seed) % 100 / 8 * 8;
		object = stamped(worker->arena, place->bytes, worker->number, worker->nr);
		if (!object)
			break;
		place->offset = arena_off(worker->arena, object);
	}
	return NULL;
}

static void start(struct worker *workers, unsigned int nr, struct arena *arena,
		  struct turns *turns, void *(*run)(void *arg))
{
	for (unsigned int i = 0; i < nr; i++) {
		workers[i].arena = arena;
		workers[i].turns = turns;
		workers[i].number = i + 1;
		pthread_create(&workers[i].thread, NULL, run, &workers[i]);
	}
}

static void finish(struct worker *workers, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Clause 1: objects of several threads do not overlap, and all that was written is there. */
TEST_F_TIMEOUT(lib, alloc_by_threads_disjoint, PATIENCE)
{
	static struct worker workers[THREADS];
	static struct place all[THREADS * OBJECTS];
	__u64 bytes = 0;
	size_t nr = 0;

	arena_close(self->arena);
	self->arena = arena_open("threads", 8 * MB, 0);
	ASSERT_NE(NULL, self->arena);
	start(workers, THREADS, self->arena, NULL, work);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++) {
		ASSERT_EQ(OBJECTS, workers[i].nr);
		for (size_t j = 0; j < OBJECTS; j++) {
			all[nr] = workers[i].places[j];
			bytes += all[nr].bytes;
			ASSERT_TRUE(is_stamped(self->arena, all[nr++].offset, i + 1, j));
		}
	}
	EXPECT_EQ(0, overlaps(all, nr));
	/* Rests that no object of its thread fitted in are used, too. */
	EXPECT_LE(bytes, arena_offset(self->arena));
	EXPECT_LE(arena_offset(self->arena), arena_high(self->arena));
}

static void *fill_cells(void *arg)
{
	struct worker *worker = arg;

	for (worker->nr = 0; arena_alloc(worker->arena, CELL); worker->nr++)
		;
	return errno == ENOSPC ? arg : NULL;
}

/* Clause 16: where there is room for N objects, all threads together allocate N. */
TEST_F_TIMEOUT(lib, alloc_by_threads_exact_capacity, PATIENCE)
{
	static struct worker workers[THREADS];
	size_t nr = 0;

	start(workers, THREADS, self->arena, NULL, fill_cells);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++)
		nr += workers[i].nr;
	EXPECT_EQ(MB / CELL, nr);
	EXPECT_EQ(MB, arena_offset(self->arena));
}

static void *one_cell(void *arg)
{
	return arena_alloc(arg, CELL);
}

/* Clause 16: a thread that ends leaves the rest of its lease to the next thread. */
TEST_F_TIMEOUT(lib, alloc_after_thread_exit_uses_lease, PATIENCE)
{
	pthread_t thread;
	void *cell;

	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, one_cell, self->arena));
		pthread_join(thread, &cell);
		ASSERT_EQ(i * CELL, arena_off(self->arena, cell));
	}
	EXPECT_EQ(200 * CELL, arena_offset(self->arena));
}

static void one_cell_more(void *arg)
{
	one_cell(arg);
}

/* What a destructor of a thread's end allocates, after ours has run, too. */
static void *alloc_late(void *arg)
{
	static pthread_key_t key;

	arena_alloc(arg, CELL);
	/* Made after the library's, so it runs after that. */
	pthread_key_create(&key, one_cell_more);
	pthread_setspecific(key, arg);
	return NULL;
}

TEST_F_TIMEOUT(lib, alloc_in_destructor_ok, PATIENCE)
{
	pthread_t thread;

	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, alloc_late, self->arena));
	pthread_join(thread, NULL);
	EXPECT_EQ(3 * CELL, arena_offset(self->arena));
}

/* Resets. */

static void *alloc_in_turns(void *arg)
{
	struct worker *worker = arg;

	for (worker->nr = 0; worker->nr < OBJECTS; worker->nr++) {
		struct place *place = &worker->places[worker->nr];

		turn(worker->turns);
		place->offset = arena_off(worker->arena, arena_alloc(worker->arena, CELL));
		turn(worker->turns);
		/* Here the other side looks, and may end it. */
		turn(worker->turns);
		if (!worker->arena)
			break;
	}
	return NULL;
}

/*
 * Clauses 9, 20: after a reset in any mode, a thread's lease is void. The thread had allocated 4
 * KiB, so with a stale lease its next object would not lie at the begin.
 */
TEST_F_TIMEOUT(lib, alloc_after_reset_new_lease, PATIENCE)
{
	static const enum arena_reset_mode modes[] = {
		ARENA_RESET_KEEP, ARENA_RESET_RELEASE, ARENA_RESET_ZERO, ARENA_RESET_STRICT,
	};
	static struct worker worker;
	struct turns turns;
	__u64 generation;

	pthread_barrier_init(&turns.barrier, NULL, 2);
	start(&worker, 1, self->arena, &turns, alloc_in_turns);
	for (int i = 0; i < 8; i++) {
		turn(&turns);
		turn(&turns);
		EXPECT_EQ(0, worker.places[i].offset);
		EXPECT_EQ(CELL, arena_offset(self->arena));
		generation = arena_generation(self->arena);
		EXPECT_EQ(0, arena_reset(self->arena, modes[i % 4]));
		EXPECT_LT(generation, arena_generation(self->arena));
		EXPECT_EQ(0, arena_offset(self->arena));
		if (i == 7)
			worker.arena = NULL;
		turn(&turns);
	}
	finish(&worker, 1);
}

static void *alloc_until_told(void *arg)
{
	struct worker *worker = arg;
	unsigned int seed = worker->number;
	__u64 before, bytes;
	void *object;

	while (__atomic_load_n(&worker->turns, __ATOMIC_RELAXED)) {
		struct place *place = &worker->places[worker->nr % OBJECTS];

		before = arena_generation(worker->arena);
		bytes = 8 + rand_r(&seed) % 500 / 8 * 8;
		object = arena_alloc(worker->arena, bytes);
		if (!object || arena_generation(worker->arena) != before)
			continue;
		place->generation = before;
		place->bytes = bytes;
		place->offset = arena_off(worker->arena, object);
		worker->nr++;
	}
	return NULL;
}

/*
 * Clauses 1, 10: resets race with allocations. Objects that were surely allocated in one
 * generation do not overlap.
 */
TEST_F_TIMEOUT(lib, reset_beside_threads_disjoint, PATIENCE)
{
	static struct worker workers[THREADS];
	static struct place all[THREADS * OBJECTS];
	struct turns turns;
	size_t nr = 0;

	start(workers, THREADS, self->arena, &turns, alloc_until_told);
	for (int i = 0; i < 400; i++) {
		ASSERT_EQ(0, arena_reset(self->arena, i % 4));
		sched_yield();
	}
	for (int i = 0; i < THREADS; i++)
		__atomic_store_n(&workers[i].turns, NULL, __ATOMIC_RELAXED);
	finish(workers, THREADS);
	for (int i = 0; i < THREADS; i++) {
		size_t mine = workers[i].nr < OBJECTS ? workers[i].nr : OBJECTS;

		memcpy(all + nr, workers[i].places, mine * sizeof(*all));
		nr += mine;
	}
	EXPECT_EQ(0, overlaps(all, nr));
	for (size_t i = 0; i < nr; i++)
		ASSERT_LE(all[i].offset + all[i].bytes, MB);
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	EXPECT_EQ(CELL, arena_offset(self->arena));
}

/* Several arenas. */

/* Clause 1: a thread that uses several arenas has a lease of each. */
TEST_F_TIMEOUT(lib, alloc_in_several_arenas_disjoint, PATIENCE)
{
	struct arena *arenas[3];

	for (int i = 0; i < 3; i++)
		ASSERT_NE(NULL, arenas[i] = arena_open(NULL, 4 * MB, 0));
	for (int nr = 0; nr < OBJECTS; nr++)
		for (int i = 0; i < 3; i++)
			ASSERT_NE(NULL, stamped(arenas[i], CELL, i, nr));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(OBJECTS * CELL, arena_offset(arenas[i]));
		for (int nr = 0; nr < OBJECTS; nr++)
			ASSERT_TRUE(is_stamped(arenas[i], nr * CELL, i, nr));
		arena_close(arenas[i]);
	}
}

static void *alloc_where_told(void *arg)
{
	struct worker *worker = arg;

	for (;;) {
		turn(worker->turns);
		if (!worker->arena)
			return NULL;
		worker->places[0].offset =
			arena_off(worker->arena, arena_alloc(worker->arena, CELL));
		turn(worker->turns);
	}
}

/*
 * Clause 13: a thread does not use its lease of a closed arena for the next arena at the same
 * address.
 */
TEST_F_TIMEOUT(lib, open_after_close_new_lease, PATIENCE)
{
	static struct worker worker;
	struct turns turns;

	pthread_barrier_init(&turns.barrier, NULL, 2);
	start(&worker, 1, NULL, &turns, alloc_where_told);
	for (int i = 0; i < 50; i++) {
		worker.arena = arena_open(NULL, MB, 0);
		ASSERT_NE(NULL, worker.arena);
		turn(&turns);
		turn(&turns);
		EXPECT_EQ(0, worker.places[0].offset);
		EXPECT_EQ(CELL, arena_offset(worker.arena));
		arena_close(worker.arena);
	}
	worker.arena = NULL;
	turn(&turns);
	finish(&worker, 1);
}

/*
 * Clause 21: more arenas than the tables have room for are refused, and leave no descriptor open.
 */
TEST_F_TIMEOUT(lib, open_too_many_fails, PATIENCE)
{
	static struct arena *arenas[ARENA_OPEN_MAX];
	struct rlimit many = { 4096, 4096 };
	int nr = 0, fd = arena_fd(self->arena);

	if (setrlimit(RLIMIT_NOFILE, &many))
		SKIP(return, "no more descriptors");
	while (nr < ARENA_OPEN_MAX && (arenas[nr] = arena_attach(fd)))
		nr++;
	EXPECT_EQ(ARENA_OPEN_MAX - 1, nr);
	EXPECT_EQ(EMFILE, errno);
	/* All are of one arena, and each has a lease of its own. */
	for (int i = 0; i < 20; i++)
		EXPECT_NE(NULL, stamped(arenas[i], CELL, i, 0));
	EXPECT_LE(20 * CELL, arena_offset(self->arena));
	while (nr--)
		arena_close(arenas[nr]);
}

/* Processes. */

FIXTURE(forked)
{
	struct arena *arena;
};

FIXTURE_SETUP(forked)
{
	self->arena = open_to_fork();
	if (!self->arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, self->arena) TH_LOG("open: %s", strerror(errno));
}

FIXTURE_TEARDOWN(forked)
{
	arena_close(self->arena);
}

/* Clause 1: a child process has leases of its own, without any call. */
TEST_F_TIMEOUT(forked, fork_child_new_lease, PATIENCE)
{
	struct arena_cursor *cursor = arena_cursor(self->arena);
	static struct place all[2 * OBJECTS];
	struct place *shared;
	pid_t pid;

	shared = mmap(NULL, sizeof(all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(NULL, cursor);
	ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	pid = fork();
	ASSERT_LE(0, pid);
	for (int i = !pid; i < 2 * OBJECTS; i += 2) {
		struct stamp *stamp = i % 4 < 2 ? arena_alloc(self->arena, CELL) :
						  arena_cursor_alloc(cursor, CELL);

		if (!stamp && !pid)
			_exit(1);
		ASSERT_NE(NULL, stamp);
		*stamp = (struct stamp){ .maker = i % 2, .number = i };
		shared[i].bytes = CELL;
		shared[i].offset = arena_off(self->arena, stamp);
	}
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, wait_for(pid));
	for (int i = 0; i < 2 * OBJECTS; i++)
		ASSERT_TRUE(is_stamped(self->arena, shared[i].offset, i % 2, i));
	memcpy(all, shared, sizeof(all));
	EXPECT_EQ(0, overlaps(all, 2 * OBJECTS));
	munmap(shared, sizeof(all));
}

/*
 * Clause 1: so has a child made by the bare system call, of which pthread_atfork() handlers do
 * not know.
 */
TEST_F_TIMEOUT(forked, clone_child_new_lease, PATIENCE)
{
	__u64 offset = arena_off(self->arena, arena_alloc(self->arena, CELL));
	pid_t pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0UL);

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(arena_off(self->arena, arena_alloc(self->arena, CELL)) == offset + CELL);
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(offset + CELL, arena_off(self->arena, arena_alloc(self->arena, CELL)));
}

/*
 * Clause 1: at the time of the fork, other threads may hold the library's lock. The child
 * allocates, starts threads and closes nonetheless.
 */
TEST_F_TIMEOUT(forked, fork_beside_threads_child_works, PATIENCE)
{
	static struct worker workers[2], one;
	struct turns turns;
	pid_t pid;

	start(workers, 2, self->arena, &turns, alloc_until_told);
	for (int i = 0; i < 30; i++) {
		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			alarm(PATIENCE);
			stamped(self->arena, CELL, 1, 1);
			/* A sanitizer would not have it. */
			if (!getenv("NO_THREADS_AFTER_FORK")) {
				start(&one, 1, self->arena, NULL, work);
				finish(&one, 1);
			}
			arena_offset(self->arena);
			arena_close(self->arena);
			_exit(0);
		}
		EXPECT_EQ(0, wait_for(pid));
	}
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&workers[i].turns, NULL, __ATOMIC_RELAXED);
	finish(workers, 2);
}

/* The other process knows nothing but what comes over the socket. */
static int attach_and_fill(int sock, __u64 maker)
{
	int fd = receive_fd(sock);
	struct arena *arena = arena_attach(fd);
	__u64 offset;

	close(fd);
	if (!arena)
		return 1;
	for (int i = 0; i < OBJECTS; i++) {
		void *object = stamped(arena, CELL + i % 5 * 8, maker, i);

		offset = object ? arena_off(arena, object) : -1ULL;
		if (write(sock, &offset, sizeof(offset)) != sizeof(offset))
			return 2;
	}
	arena_close(arena);
	return 0;
}

FIXTURE(processes)
{
	struct arena *arena;
};

FIXTURE_VARIANT(processes)
{
	int nr;
};

FIXTURE_VARIANT_ADD(processes, two)
{
	.nr = 2,
};

FIXTURE_VARIANT_ADD(processes, four)
{
	.nr = 4,
};

FIXTURE_SETUP(processes)
{
	self->arena = NULL;
}

FIXTURE_TEARDOWN(processes)
{
	arena_close(self->arena);
}

/* Clauses 1, 17: processes that share only a descriptor allocate from one arena. */
TEST_F_TIMEOUT(processes, alloc_by_processes_disjoint, PATIENCE)
{
	static struct place all[4 * OBJECTS];
	int ends[4][2], fd;
	pid_t pids[4];

	for (int i = 0; i < variant->nr; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]));
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			_exit(attach_and_fill(ends[i][1], i));
	}
	self->arena = arena_open("processes", 8 * MB, 0);
	if (!self->arena && errno == ENOENT)
		SKIP(goto out, "no /dev/arena");
	ASSERT_NE(NULL, self->arena);
	fd = arena_share(self->arena, ARENA_RIGHT_READ | ARENA_RIGHT_WRITE | ARENA_RIGHT_ALLOC);
	ASSERT_LE(0, fd);
	for (int i = 0; i < variant->nr; i++)
		ASSERT_EQ(0, send_fd(ends[i][0], fd));
	for (int nr = 0; nr < OBJECTS; nr++)
		for (int i = 0; i < variant->nr; i++) {
			struct place *place = &all[i * OBJECTS + nr];

			ASSERT_EQ(8, recv(ends[i][0], &place->offset, 8, MSG_WAITALL));
			place->bytes = CELL + nr % 5 * 8;
			ASSERT_TRUE(is_stamped(self->arena, place->offset, i, nr));
		}
	EXPECT_EQ(0, overlaps(all, variant->nr * OBJECTS));
	for (int i = 0; i < variant->nr; i++)
		EXPECT_EQ(0, wait_for(pids[i]));
	return;
out:
	for (int i = 0; i < variant->nr; i++) {
		kill(pids[i], SIGKILL);
		wait_for(pids[i]);
	}
}

#ifndef FAKE

static sigjmp_buf back;

static void caught(int sig)
{
	siglongjmp(back, sig);
}

/* Whether it can be written. */
static bool test_memory(char *at)
{
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_NODEFER }, old;
	bool there = false;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(back, 1)) {
		__atomic_fetch_add(at, 1, __ATOMIC_RELAXED);
		there = true;
	}
	sigaction(SIGBUS, &old, NULL);
	return there;
}

/* Clause 20: after a strict reset, a late store faults until something is allocated there. */
TEST_F_TIMEOUT(lib, store_after_strict_reset_faults, PATIENCE)
{
	char *object = arena_alloc(self->arena, CELL);

	ASSERT_NE(NULL, object);
	EXPECT_TRUE(test_memory(object));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_STRICT));
	EXPECT_FALSE(test_memory(object));
	ASSERT_EQ(object, arena_alloc(self->arena, CELL));
	EXPECT_EQ(0, *object);
	EXPECT_TRUE(test_memory(object));
}

/* Clause 6: objects of an arena with ARENA_SETUP_ZERO are zero, in memory that was used before. */
TEST(alloc_in_zero_arena_zeroed)
{
	struct arena *arena = arena_open("zero", MB, ARENA_SETUP_ZERO);
	char *object, none[CELL] = { 0 };

	if (!arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, arena);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			object = arena_alloc(arena, CELL);
			ASSERT_EQ(0, memcmp(object, none, CELL));
			memset(object, 0xff, CELL);
		}
		ASSERT_EQ(0, arena_reset(arena, ARENA_RESET_KEEP));
	}
	arena_close(arena);
}

/* Clause 17: a call for which the descriptor lacks the right fails with an errno. */
TEST_F_TIMEOUT(lib, call_without_right_fails, PATIENCE)
{
	int read_only = arena_share(self->arena, ARENA_RIGHT_READ);
	int append = arena_share(self->arena, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC);
	int blind = arena_share(self->arena, ARENA_RIGHT_ALLOC);
	struct arena *arena;
	char *copy;

	ASSERT_NE(NULL, arena_strdup(self->arena, "first"));
	EXPECT_EQ(NULL, arena_attach(blind));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_attach(-1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(NULL, arena_attach(0));
	arena = arena_attach(read_only);
	ASSERT_NE(NULL, arena);
	EXPECT_STREQ("first", arena_ptr(arena, 0));
	EXPECT_EQ(NULL, arena_alloc(arena, 8));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_strdup(arena, "x"));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_strndup(arena, "x", 1));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, arena_reset(arena, ARENA_RESET_KEEP));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, arena_share(arena, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC));
	EXPECT_EQ(EACCES, errno);
	arena_close(arena);
	arena = arena_attach(append);
	ASSERT_NE(NULL, arena);
	EXPECT_EQ(NULL, arena_alloc(arena, 8));
	EXPECT_EQ(EACCES, errno);
	copy = arena_strdup(arena, "second");
	EXPECT_STREQ("second", copy);
	EXPECT_STREQ("second", arena_ptr(self->arena, arena_off(arena, copy)));
	EXPECT_STREQ("thi", arena_strndup(arena, "third", 3));
	EXPECT_STREQ("4", arena_printf(arena, "%d", 4));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, arena_off(arena, arena_store(arena, (char)i)) % 8);
	EXPECT_EQ(-1, mprotect(arena->base, SLAB, PROT_READ | PROT_WRITE));
	arena_close(arena);
	close(read_only);
	close(append);
	close(blind);
}

/* Clause 23: only the kernel writes the status page. */
TEST_F_TIMEOUT(lib, store_to_status_page_faults, PATIENCE)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *status = (void *)self->arena->status;
	__u64 lie = 0;
	int fd;

	EXPECT_EQ(-1, mprotect(status, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
				   arena_fd(self->arena), ARENA_STATUS_OFFSET));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, &lie, sizeof(lie), (off_t)(uintptr_t)status));
	close(fd);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, read(fd, status, sizeof(lie)));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
	EXPECT_EQ(1, self->arena->status->version);
	EXPECT_EQ(MB, self->arena->status->capacity);
}

/* Clause 17: across exec, where the program wants it; started with a descriptor. */
static int executed(const char *number)
{
	struct arena *arena = arena_attach(atoi(number));

	if (!arena || strcmp(arena_ptr(arena, 0), "before"))
		return 1;
	return arena_strdup(arena, "after") ? 0 : 2;
}

TEST_F_TIMEOUT(forked, exec_shared_descriptor_closed, PATIENCE)
{
	int fd = arena_share(self->arena, ARENA_RIGHTS_ALL);
	char number[16];
	bool found = false;
	pid_t pid;

	ASSERT_STREQ("before", arena_strdup(self->arena, "before"));
	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid) {
		fcntl(fd, F_SETFD, 0);
		snprintf(number, sizeof(number), "%d", fd);
		setenv("ARENA_LIB_TEST_FD", number, 1);
		execl("/proc/self/exe", "arena_lib_test", (char *)NULL);
		_exit(3);
	}
	EXPECT_EQ(0, wait_for(pid));
	for (__u64 at = 0; at < arena_high(self->arena); at += 8)
		found |= !strcmp(arena_ptr(self->arena, at), "after");
	EXPECT_TRUE(found);
	close(fd);
}

static void __attribute__((constructor)) before_main(void)
{
	const char *number = getenv("ARENA_LIB_TEST_FD");

	if (number)
		_exit(executed(number));
}

#endif /* !FAKE */

TEST_HARNESS_MAIN
