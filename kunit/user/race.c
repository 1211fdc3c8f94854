// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that use one arena, for ThreadSanitizer: they allocate, read and reset. Each check must
 * hold however the scheduler interleaves the threads. "Clause N" in a comment means clause N of
 * include/CONTRACT.md.
 *
 *   race [ROUNDS]
 */
#include <sched.h>

#include "core/core.h"

#define WORKERS		3
/* A flag of play_arena(), besides those of struct arena_config: check each generation (check.c). */
#define CHECKED		BIT(30)
#define CHECK(x)	do { if (!(x)) user_die(__FILE__, __LINE__, #x); } while (0)

static unsigned int rounds = 2000;

/* The state that the threads of one test share. */
struct scene {
	struct arena		*arena;
	struct arena_typed	*typed;
	bool			readers;
	unsigned long		allocs;
	pthread_barrier_t	start;
};

struct actor {
	pthread_t		thread;
	struct task_struct	task;
	struct scene		*scene;
	int			cpu;
	void			(*act)(struct actor *actor, unsigned int round);
};

static void *actor_main(void *arg)
{
	struct actor *actor = arg;
	unsigned int i;

	user_thread_start(actor->cpu, &actor->task);
	user_self.roams = true;
	pthread_barrier_wait(&actor->scene->start);
	for (i = 0; i < rounds; i++) {
		actor->act(actor, i);
		sched_yield();
	}
	return NULL;
}

/* Fill an object of @size bytes with a word that identifies its owner. */
static void fill(unsigned long *at, size_t size, unsigned long word)
{
	size_t i;

	for (i = 0; i < size / sizeof(*at); i++)
		at[i] = word;
}

static bool is_filled(const unsigned long *at, size_t size, unsigned long word)
{
	size_t i;

	for (i = 0; i < size / sizeof(*at); i++)
		if (at[i] != word)
			return false;
	return true;
}

static gfp_t gfp_of(unsigned int round)
{
	static const gfp_t gfps[] = { GFP_ATOMIC, ARENA_NOGROW, GFP_ATOMIC | __GFP_ZERO };

	return gfps[round % ARRAY_SIZE(gfps)];
}

/* clauses 10 and 11: an object keeps its bytes until the end of the read-side critical section */
static void act_alloc(struct actor *actor, unsigned int round)
{
	size_t size = 8 * (1 + (round * 7 + actor->cpu) % 60);
	unsigned long *object, word = round * 4UL + actor->cpu + 1;
	arena_handle_t handle;

	rcu_read_lock();
	object = arena_alloc_handle(actor->scene->arena, size, gfp_of(round), &handle);
	if (object) {
		__atomic_fetch_add(&actor->scene->allocs, 1, __ATOMIC_RELAXED);
		fill(object, size, word);
		user_yield();
		CHECK(is_filled(object, size, word));
	}
	rcu_read_unlock();
	/*
	 * With GFP_KERNEL, the call may collect tails of other CPUs' spans, and may wait for
	 * resets.
	 */
	if (!(round % 16)) {
		object = arena_alloc(actor->scene->arena, 64, GFP_KERNEL);
		__atomic_fetch_add(&actor->scene->allocs, !!object, __ATOMIC_RELAXED);
	}
}

static void act_reset_rcu(struct actor *actor, unsigned int round)
{
	int err = arena_reset_rcu(actor->scene->arena);

	CHECK(!err || err == -EBUSY);
	user_rcu_poll();
	user_run_works();
}

/* Shrink idle arenas in odd rounds, and reset in even rounds. */
static void act_shrink_rcu(struct actor *actor, unsigned int round)
{
	if (round % 2)
		arena_idle_shrink(ULONG_MAX, 0);
	else
		act_reset_rcu(actor, round);
	user_rcu_poll();
}

/* A reset may free the object at any moment, so this thread does not touch the object. */
static void act_alloc_only(struct actor *actor, unsigned int round)
{
	size_t size = 1 + (round * 13 + actor->cpu) % 500;
	gfp_t gfp = round % 4 ? gfp_of(round) : GFP_KERNEL;
	struct arena_stats stats;
	void *object;

	object = round % 3 ? arena_alloc(actor->scene->arena, size, gfp) :
			     arena_memdup(actor->scene->arena, &user_self, sizeof(user_self), gfp);
	__atomic_fetch_add(&actor->scene->allocs, !!object, __ATOMIC_RELAXED);
	if (!(round % 32)) {
		arena_stats(actor->scene->arena, &stats);
		CHECK(stats.used <= stats.high && stats.high <= stats.capacity);
	}
}

static void act_reset_any(struct actor *actor, unsigned int round)
{
	struct arena *arena = actor->scene->arena;

	switch (round % 8) {
	case 0:
		arena_reset_release(arena, round % 3 * SZ_16K);
		break;
	case 1:
		arena_reset_zero(arena);
		break;
	default:
		CHECK(!arena_reset(arena));
	}
	if (arena->check && !(round % 16))
		arena_check_want(arena, round % 64);
	user_run_works();
}

static void act_shrink_any(struct actor *actor, unsigned int round)
{
	if (round % 2)
		arena_idle_shrink(ULONG_MAX, 0);
	else
		act_reset_any(actor, round / 2);
}

/*
 * Fill the arena, which another thread resets now and then. As the gfp is GFP_KERNEL, an allocation
 * from the full arena collects the tails of spans.
 */
static void act_fill(struct actor *actor, unsigned int round)
{
	void *object = arena_alloc(actor->scene->arena, 8 * (1 + round % 8), GFP_KERNEL);

	__atomic_fetch_add(&actor->scene->allocs, !!object, __ATOMIC_RELAXED);
}

static void act_reset_seldom(struct actor *actor, unsigned int round)
{
	if (!(round % 50))
		CHECK(!arena_reset(actor->scene->arena));
}

/* clause 15: a reader finds an element complete, with all its words equal, or not at all */
struct record {
	unsigned long word[6];
};

static void act_typed_writer(struct actor *actor, unsigned int round)
{
	struct arena_typed *typed = actor->scene->typed;
	struct record record, *mine;

	fill(record.word, sizeof(record), round * 4UL + actor->cpu + 1);
	/*
	 * The element stays until this thread frees it: no thread of this test resets, and no other
	 * thread frees this element.
	 */
	mine = arena_typed_alloc(typed, &record);
	__atomic_fetch_add(&actor->scene->allocs, !!mine, __ATOMIC_RELAXED);
	if (mine && round % 3)
		arena_typed_free(typed, mine);
	if (!(round % 64))
		arena_typed_append(typed, &record, 1);
	user_rcu_poll();
}

static void act_typed_reader(struct actor *actor, unsigned int round)
{
	struct arena_typed *typed = actor->scene->typed;
	struct record *record;
	size_t at = 0;

	rcu_read_lock();
	while ((record = arena_typed_next(typed, &at))) {
		unsigned long word = record->word[0];

		CHECK(word && is_filled(record->word, sizeof(*record), word));
		user_yield();
	}
	rcu_read_unlock();
}

static void act_typed_appender(struct actor *actor, unsigned int round)
{
	struct record records[3];

	fill(records[0].word, sizeof(records), round * 4UL + actor->cpu + 1);
	arena_typed_append(actor->scene->typed, records, 1 + round % 3);
}

static void act_typed_resetter(struct actor *actor, unsigned int round)
{
	int err = arena_typed_reset(actor->scene->typed);

	CHECK(!err || err == -EBUSY);
	user_rcu_poll();
}

/* clause 2: the budget has room for one slab only, and each thread gets an object in that slab */
static void act_grow(struct actor *actor, unsigned int round)
{
	struct arena *arena = actor->scene->arena;

	pthread_barrier_wait(&actor->scene->start);
	CHECK(arena_alloc(arena, 64, round + actor->cpu & 1 ? GFP_KERNEL : GFP_ATOMIC));
	__atomic_fetch_add(&actor->scene->allocs, 1, __ATOMIC_RELAXED);
	pthread_barrier_wait(&actor->scene->start);
	if (!actor->cpu)
		arena_reset_release(arena, 0);
}

typedef void (*act_fn)(struct actor *actor, unsigned int round);

static void play(struct scene *scene, act_fn first, act_fn others)
{
	struct actor actors[WORKERS + 1] = { };
	int i;

	CHECK(!pthread_barrier_init(&scene->start, NULL, WORKERS + 1));
	for (i = 0; i <= WORKERS; i++) {
		actors[i].scene = scene;
		actors[i].cpu = i % USER_CPUS;
		actors[i].act = i ? others : first;
		CHECK(!pthread_create(&actors[i].thread, NULL, actor_main, &actors[i]));
	}
	for (i = 0; i <= WORKERS; i++) {
		CHECK(!pthread_join(actors[i].thread, NULL));
		user_thread_stop();
	}
}

static void check_from_now_on(struct arena *arena)
{
	struct arena_check *check = arena_checks_new();

	CHECK(check && arena_check_install(arena, check));
	arena_check_want(arena, true);
	arena_check_first(arena);
}

/*
 * Run @resetter in one thread and @others in the other threads. At the end, the statistics must be
 * exact. No thread writes outside its objects, so the checks of a checked arena must find nothing.
 * @budget: how many pages the arena may get; 0 for no limit.
 */
static void play_arena(const char *what, unsigned int flags, unsigned long budget,
		       act_fn resetter, act_fn others)
{
	struct arena_config config = {
		.name = what, .capacity = SZ_32K + 24, .slab_size = SZ_16K,
		.flags = flags & ~CHECKED,
	};
	struct scene scene = { .arena = arena_create(&config) };
	unsigned long ram = user_ram_pages;
	struct arena_stats stats;

	CHECK(!IS_ERR(scene.arena));
	if (flags & CHECKED)
		check_from_now_on(scene.arena);
	arena_pool_drain();
	if (budget)
		user_ram_pages = 8 * (arena_total_pages() + budget);
	play(&scene, resetter, others);
	user_ram_pages = ram;
	arena_stats(scene.arena, &stats);
	CHECK(stats.used + stats.padding + stats.free == stats.capacity);
	CHECK(stats.allocs == scene.allocs);
	CHECK(!stats.findings);
	arena_destroy(scene.arena);
	printf("ok: %s: %llu allocations, %llu resets\n", what, stats.allocs, stats.resets);
}

static void play_typed(const char *what, act_fn first, act_fn others)
{
	struct scene scene = {
		.typed = arena_typed_create(what, sizeof(struct record), 64, ARENA_READERS),
	};

	CHECK(!IS_ERR(scene.typed));
	play(&scene, first, others);
	arena_typed_destroy(scene.typed);
	printf("ok: %s\n", what);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	CHECK(!arena_pool_init());
	arena_cpus_setup();
	user_threads = true;
	play_arena("dense, readers", ARENA_READERS, 0, act_reset_rcu, act_alloc);
	play_arena("spans, readers", ARENA_READERS | ARENA_SPANS, 0, act_reset_rcu, act_alloc);
	play_arena("dense, zeroed", ARENA_ZERO, 0, act_reset_any, act_alloc_only);
	play_arena("spans", ARENA_SPANS, 0, act_reset_any, act_alloc_only);
	play_arena("spans, zeroed", ARENA_SPANS | ARENA_ZERO, 0, act_reset_any, act_alloc_only);
	play_arena("spans, full", ARENA_SPANS, 0, act_reset_seldom, act_fill);
	play_arena("shrunk", ARENA_SHRINK, 0, act_shrink_any, act_alloc_only);
	play_arena("shrunk, spans, zeroed", ARENA_SHRINK | ARENA_SPANS | ARENA_ZERO, 0,
		   act_shrink_any, act_alloc_only);
	play_arena("shrunk, readers", ARENA_SHRINK | ARENA_READERS, 0, act_shrink_rcu,
		   act_alloc);
	play_arena("growing", 0, SZ_16K >> PAGE_SHIFT, act_grow, act_grow);
	user_fragmented = true;
	play_arena("spans, fragmented", ARENA_SPANS, 0, act_reset_any, act_alloc_only);
	play_arena("zeroed, readers, fragmented", ARENA_ZERO | ARENA_READERS, 0, act_reset_rcu,
		   act_alloc);
	user_fragmented = false;
	play_arena("dense, readers, checked", ARENA_READERS | CHECKED, 0, act_reset_rcu, act_alloc);
	play_arena("spans, readers, checked", ARENA_READERS | ARENA_SPANS | CHECKED, 0,
		   act_reset_rcu, act_alloc);
	play_arena("dense, checked", CHECKED, 0, act_reset_any, act_alloc_only);
	play_arena("spans, zeroed, checked", ARENA_SPANS | ARENA_ZERO | CHECKED, 0, act_reset_any,
		   act_alloc_only);
	play_typed("typed, one writer", act_typed_writer, act_typed_reader);
	play_typed("typed, resets", act_typed_resetter, act_typed_appender);
	rcu_barrier();
	arena_pool_exit();
	CHECK(!arena_total_pages() && !user_blocks && !user_objects);
	return 0;
}
