/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of all arena suites: kinds of arenas, patterns that identify the owner of an object,
 * comparisons of statistics, and groups of kernel threads.
 *
 * "Clause 4" in a comment means that clause of the contract,
 * include/CONTRACT.md. A glossary is in module/README.md.
 */
#ifndef _ARENA_KUNIT_TEST_H
#define _ARENA_KUNIT_TEST_H

#include <kunit/test.h>
#include <linux/arena.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "core/core.h"
#include "compat.h"

/* Most test arenas have small slabs, so that allocations often reach the end of a slab. */
#define SLAB		((size_t)4 * PAGE_SIZE)

/* A case about a property that all arenas have runs once for each of these kinds of arenas. */
struct arena_kind {
	const char	*name;
	unsigned int	flags;
};

static const struct arena_kind arena_kinds[] __maybe_unused = {
	{ "dense",		0 },
	{ "spans",		ARENA_SPANS },
	{ "dense, zero",	ARENA_ZERO },
	{ "spans, zero",	ARENA_SPANS | ARENA_ZERO },
};

static inline void arena_kind_desc(const struct arena_kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

static inline bool arena_kind_is_dense(const struct arena_kind *kind)
{
	return !(kind->flags & ARENA_SPANS);
}

/*
 * Returns whether the arena of the running case is dense. The parameter of the case must be a
 * struct arena_kind.
 */
static inline bool arena_test_is_dense(struct kunit *test)
{
	return arena_kind_is_dense(test->param_value);
}

static inline void arena_test_destroy(void *arena)
{
	arena_destroy(arena);
}

/* Create an arena that is destroyed when the test case ends, even if an assertion fails. */
static inline struct arena *arena_test_create(struct kunit *test, size_t capacity,
					      size_t slab_size, unsigned int flags)
{
	const struct arena_config config = {
		.name = test->name,
		.capacity = capacity,
		.slab_size = slab_size,
		.flags = flags,
	};
	struct arena *arena = arena_create(&config);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, arena_test_destroy, arena));
	return arena;
}

/* Create an arena of the kind that the parameter of the case selects. @flags: further flags. */
static inline struct arena *arena_test_create_kind(struct kunit *test, size_t capacity,
						   unsigned int flags)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, capacity, SLAB, kind->flags | flags);
}

static inline struct arena_stats arena_test_stats(const struct arena *arena)
{
	struct arena_stats stats;

	/* If arena_stats() forgets to set a member, that member must not be 0 by chance. */
	memset(&stats, 0xa5, sizeof(stats));
	arena_stats(arena, &stats);
	return stats;
}

/*
 * Byte @i of the pattern of @owner. The byte depends on both, so a check of an object notices bytes
 * of another object as well as the object's own bytes at a wrong place.
 */
static inline u8 arena_pattern(u32 owner, size_t i)
{
	return (u8)((owner * 2654435761u) >> 24) + 7 * i + (i >> 8);
}

static inline void arena_pattern_fill(void *ptr, size_t size, u32 owner)
{
	u8 *byte = ptr;
	size_t i;

	for (i = 0; i < size; i++)
		byte[i] = arena_pattern(owner, i);
}

/* Returns the index of the first wrong byte, or @size if there is none. */
static inline size_t arena_pattern_check(const void *ptr, size_t size, u32 owner)
{
	const u8 *byte = ptr;
	size_t i;

	for (i = 0; i < size; i++)
		if (byte[i] != arena_pattern(owner, i))
			break;
	return i;
}

static inline bool arena_is_zero(const void *ptr, size_t size)
{
	return !memchr_inv(ptr, 0, size);
}

/*
 * Overwrite memory that may be free. KASAN would report a memset(), which it checks; it does not
 * check __memset().
 */
static inline void arena_test_spoil(void *ptr, u8 value, size_t size)
{
#ifdef CONFIG_KASAN_GENERIC
	__memset(ptr, value, size);
#else
	memset(ptr, value, size);
#endif
}

/* A small random number generator: it yields the same sequence in each run. */
static inline u32 arena_rnd(u32 *state)
{
	u32 x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

static inline u32 arena_rnd_below(u32 *state, u32 limit)
{
	return arena_rnd(state) % limit;
}

/*
 * Returns a random size: mostly at most 200 bytes, sometimes up to 4096, rarely nearly a slab or
 * more than a slab.
 */
static inline size_t arena_rnd_size(u32 *state)
{
	switch (arena_rnd_below(state, 256)) {
	case 0:
		return SLAB + 1 + arena_rnd_below(state, 2 * SLAB);
	case 1 ... 3:
		return SLAB - arena_rnd_below(state, 64);
	case 4 ... 20:
		return 1 + arena_rnd_below(state, 4096);
	default:
		return 1 + arena_rnd_below(state, 200);
	}
}

/* An allocated object. @owner identifies the pattern that the object contains. */
struct arena_extent {
	void	*ptr;
	size_t	size;
	u32	owner;
};

static inline int arena_extent_cmp(const void *a, const void *b)
{
	const struct arena_extent *x = a, *y = b;

	if (x->ptr == y->ptr)
		return 0;
	return x->ptr < y->ptr ? -1 : 1;
}

/* Sorts the extents by address, and returns how many of them overlap their successor. */
static inline size_t arena_extents_overlap(struct arena_extent *ext, size_t nr)
{
	size_t i, bad = 0;

	sort(ext, nr, sizeof(*ext), arena_extent_cmp, NULL);
	for (i = 1; i < nr; i++)
		if (ext[i - 1].ptr + ext[i - 1].size > ext[i].ptr)
			bad++;
	return bad;
}

/* Returns how many of the extents contain a byte that differs from their owner's pattern. */
static inline size_t arena_extents_spoiled(const struct arena_extent *ext, size_t nr)
{
	size_t i, bad = 0;

	for (i = 0; i < nr; i++)
		if (arena_pattern_check(ext[i].ptr, ext[i].size, ext[i].owner) != ext[i].size)
			bad++;
	return bad;
}

/* Clause 7: expects the relations between statistics that hold while no allocation is under way. */
static inline void arena_expect_sane(struct kunit *test, const struct arena *arena)
{
	const struct arena_stats s = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, s.used + s.padding + s.free, s.capacity);
	KUNIT_EXPECT_EQ(test, s.capacity, arena_capacity(arena));
	KUNIT_EXPECT_EQ(test, s.used, arena_offset(arena));
	KUNIT_EXPECT_EQ(test, s.high, arena_high(arena));
	KUNIT_EXPECT_LE(test, s.used, s.high);
	KUNIT_EXPECT_LE(test, s.high, s.capacity);
	KUNIT_EXPECT_LE(test, s.high, s.peak);
	KUNIT_EXPECT_LE(test, s.peak, s.capacity);
	KUNIT_EXPECT_EQ(test, s.slabs * s.slab_size, s.committed);
	KUNIT_EXPECT_LE(test, s.committed, s.committed_peak);
	KUNIT_EXPECT_LE(test, s.slabs_kept, s.slabs);
	KUNIT_EXPECT_GE(test, s.page_allocs + s.pool_hits, s.slabs);
}

/*
 * Allocate objects of @size until the arena is full. Expects that all keep their pattern and that
 * no two overlap. Objects larger than a slab are not checked for overlaps: their views never
 * overlap, even if the objects do. Returns the number of objects.
 */
static inline size_t arena_test_fill(struct kunit *test, struct arena *arena, size_t size,
				     size_t align, gfp_t gfp)
{
	size_t max = arena_capacity(arena) / size + 1, nr;
	struct arena_extent *ext = kvcalloc(max, sizeof(*ext), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ext);
	for (nr = 0; nr < max; nr++) {
		void *ptr = arena_alloc_aligned(arena, size, align, gfp);

		if (!ptr)
			break;
		arena_pattern_fill(ptr, size, nr);
		ext[nr] = (struct arena_extent){ ptr, size, nr };
	}
	KUNIT_EXPECT_LT(test, nr, max);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, nr));
	if (size <= arena_test_stats(arena).slab_size)
		KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, nr));
	kvfree(ext);
	return nr;
}

/*
 * Reset an arena that no other thread uses. @way selects one of four kinds of reset: two release
 * slabs, one zeroes the memory, and one keeps all memory as it is.
 */
static inline void arena_test_reset(struct kunit *test, struct arena *arena, unsigned int way)
{
	switch (way % 4) {
	case 0:
		arena_reset_release(arena, 0);
		break;
	case 1:
		arena_reset_release(arena, arena_capacity(arena) / 2);
		break;
	case 2:
		arena_reset_zero(arena);
		break;
	default:
		KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
	}
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
	KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
}

enum arena_cause {
	ARENA_CAUSE_NONE,
	ARENA_CAUSE_SPACE,
	ARENA_CAUSE_MEMORY,
	ARENA_CAUSE_ARG,
	ARENA_CAUSE_ANY,	/* one failure, where the contract does not say of which cause */
};

struct arena_delta {
	const char	*changed;
	u64		space;
	u64		memory;
	u64		arg;
};

/*
 * The names of all members of struct arena_stats except the failure counts, in the order of
 * arena_stats_values().
 */
static const char * const arena_stats_names[] = {
	"generation", "capacity", "used", "padding", "free", "high", "peak", "committed",
	"committed_peak", "slab_size", "slabs", "slabs_kept", "resets", "allocs",
	"page_allocs", "page_frees", "pool_hits",
};

struct arena_stats_values {
	u64	value[ARRAY_SIZE(arena_stats_names)];
};

static inline struct arena_stats_values arena_stats_values(const struct arena_stats *s)
{
	return (struct arena_stats_values) { {
		s->generation, s->capacity, s->used, s->padding, s->free, s->high, s->peak,
		s->committed, s->committed_peak, s->slab_size, s->slabs, s->slabs_kept,
		s->resets, s->allocs, s->page_allocs, s->page_frees, s->pool_hits,
	} };
}

/* Returns the name of the first member that differs, or "" if none does. Ignores failure counts. */
static inline const char *arena_stats_differ(const struct arena_stats *a,
					     const struct arena_stats *b)
{
	const struct arena_stats_values x = arena_stats_values(a), y = arena_stats_values(b);
	int i;

	for (i = 0; i < ARRAY_SIZE(x.value); i++)
		if (x.value[i] != y.value[i])
			return arena_stats_names[i];
	return "";
}

static inline struct arena_delta arena_stats_delta(const struct arena_stats *was,
						   const struct arena_stats *now)
{
	return (struct arena_delta) {
		.changed = arena_stats_differ(was, now),
		.space = now->fail_space - was->fail_space,
		.memory = now->fail_memory - was->fail_memory,
		.arg = now->fail_arg - was->fail_arg,
	};
}

static inline bool arena_delta_is(const struct arena_delta *delta, enum arena_cause cause)
{
	const u64 sum = delta->space + delta->memory + delta->arg;

	switch (cause) {
	case ARENA_CAUSE_NONE:
		return sum == 0;
	case ARENA_CAUSE_SPACE:
		return sum == 1 && delta->space == 1;
	case ARENA_CAUSE_MEMORY:
		return sum == 1 && delta->memory == 1;
	case ARENA_CAUSE_ARG:
		return sum == 1 && delta->arg == 1;
	case ARENA_CAUSE_ANY:
		return sum == 1;
	}
	return false;
}

/*
 * Clause 4: expects that one allocation has failed, for the cause @cause, since the statistics @was
 * were read, and that nothing else has changed in the arena. With ARENA_CAUSE_NONE, expects that no
 * allocation has failed either.
 */
static inline __printf(5, 6)
void arena_expect_unchanged(struct kunit *test, const struct arena *arena,
			    const struct arena_stats *was, enum arena_cause cause,
			    const char *fmt, ...)
{
	const struct arena_stats now = arena_test_stats(arena);
	const struct arena_delta delta = arena_stats_delta(was, &now);
	char what[80];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	KUNIT_EXPECT_STREQ_MSG(test, delta.changed, "", "%s", what);
	KUNIT_EXPECT_TRUE_MSG(test, arena_delta_is(&delta, cause),
			      "%s: failures counted: space %llu memory %llu argument %llu",
			      what, delta.space, delta.memory, delta.arg);
}

/*
 * These functions compare the number of pages that all arenas have before and after a suite. The
 * count includes the pool, whose blocks belong to no arena, so the functions first empty the pool.
 * The count is not exported to modules, so suites that are modules skip the comparison.
 */
#ifdef MODULE
static inline void arena_remember_total(void)
{
}

static inline long arena_total_now(void)
{
	return 0;
}

static inline void arena_expect_nothing_left(struct kunit *test)
{
	kunit_skip(test, "the total is not exported to modules");
}
#else
static long arena_total_before;

static inline long arena_total_now(void)
{
	arena_pool_drain();
	return arena_total_pages();
}

static inline void arena_remember_total(void)
{
	arena_total_before = arena_total_now();
}

static inline void arena_expect_nothing_left(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, arena_total_now(), arena_total_before);
}
#endif

static inline int arena_test_suite_init(struct kunit_suite *suite)
{
	arena_remember_total();
	return 0;
}

/*
 * The last case of each suite: expects that the arenas of the other cases have returned all memory.
 */
static __maybe_unused void destroy_all_memory_returned(struct kunit *test)
{
	arena_expect_nothing_left(test);
}

/*
 * Suites with exact counts keep each case on one CPU. If the task migrated during a case, it would
 * claim another span on the new CPU, and the counts would differ.
 */
static inline int arena_test_stay_on_cpu(struct kunit *test)
{
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

/*
 * A crew is a group of kernel threads that run one function, the job, at the same time, as often
 * as the test case asks. The threads are stopped when the case ends, even if an assertion fails.
 * A job must not assert, as a failed assertion ends the thread that makes it, and not the case;
 * the job counts errors in arena_hand.bad instead. Each thread has a struct arena_hand. Where a
 * comment says "thread 0", it means the thread whose arena_hand.id is 0.
 */
struct arena_crew;

struct arena_hand {
	struct arena_crew	*crew;
	unsigned int		id;
	u32			rnd;
	struct task_struct	*task;
	struct completion	go;
	struct arena_extent	*ext;
	size_t			nr_ext;
	size_t			bytes;
	unsigned long		allocs;
	unsigned long		max;
	unsigned long		bad;
};

struct arena_crew {
	struct kunit		*test;
	struct arena		*arena;
	void			(*job)(struct arena_hand *hand);
	void			*data;
	unsigned long		until;
	bool			stop;
	atomic_t		arrived;
	atomic_t		busy;
	struct completion	idle;
	unsigned int		nr;
	size_t			max_ext;
	struct arena_hand	hand[];
};

static inline int arena_crew_thread(void *data)
{
	struct arena_hand *hand = data;
	struct arena_crew *crew = hand->crew;

	for (;;) {
		wait_for_completion(&hand->go);
		if (!crew->job)
			break;
		crew->job(hand);
		if (atomic_dec_and_test(&crew->busy))
			complete(&crew->idle);
	}
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static inline void arena_crew_stop(void *data)
{
	struct arena_crew *crew = data;
	unsigned int i;

	/* If the case ended in the middle of a job, let the threads finish it. */
	WRITE_ONCE(crew->stop, true);
	if (atomic_read(&crew->busy))
		wait_for_completion(&crew->idle);
	crew->job = NULL;
	for (i = 0; i < crew->nr; i++) {
		if (!crew->hand[i].task)
			continue;
		complete(&crew->hand[i].go);
		kthread_stop(crew->hand[i].task);
	}
	for (i = 0; i < crew->nr; i++)
		kvfree(crew->hand[i].ext);
	kfree(crew);
}

/* Create a crew of @nr threads. Each thread can record @max_ext objects in arena_hand.ext. */
static inline struct arena_crew *arena_crew_create(struct kunit *test, struct arena *arena,
						   unsigned int nr, size_t max_ext)
{
	struct arena_crew *crew = kzalloc(struct_size(crew, hand, nr), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, crew);
	crew->test = test;
	crew->arena = arena;
	crew->max_ext = max_ext;
	crew->nr = nr;
	init_completion(&crew->idle);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, arena_crew_stop, crew));

	for (i = 0; i < nr; i++) {
		struct arena_hand *hand = &crew->hand[i];
		struct task_struct *task;

		hand->crew = crew;
		hand->id = i;
		hand->rnd = 0x9e3779b9 * (i + 1);
		init_completion(&hand->go);
		if (max_ext) {
			hand->ext = kvcalloc(max_ext, sizeof(*hand->ext), GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, hand->ext);
		}
		task = kthread_create(arena_crew_thread, hand, "arena_hand/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		hand->task = task;
		wake_up_process(task);
	}
	return crew;
}

/* Start @job in all threads. arena_crew_on() then returns true for at most @ms milliseconds. */
static inline void arena_crew_go(struct arena_crew *crew, void (*job)(struct arena_hand *),
				 unsigned int ms)
{
	unsigned int i;

	reinit_completion(&crew->idle);
	crew->job = job;
	crew->until = jiffies + msecs_to_jiffies(ms);
	WRITE_ONCE(crew->stop, false);
	atomic_set(&crew->arrived, 0);
	atomic_set(&crew->busy, crew->nr);
	for (i = 0; i < crew->nr; i++)
		complete(&crew->hand[i].go);
}

/* Seconds after which a crew that has not finished its job is considered stuck. */
#define ARENA_CREW_TIMEOUT	60

static inline void arena_crew_wait(struct arena_crew *crew)
{
	if (!wait_for_completion_timeout(&crew->idle, ARENA_CREW_TIMEOUT * HZ)) {
		WRITE_ONCE(crew->stop, true);
		KUNIT_FAIL(crew->test, "%d threads are stuck\n", atomic_read(&crew->busy));
		wait_for_completion(&crew->idle);
	}
}

static inline bool arena_crew_on(struct arena_crew *crew)
{
	return !READ_ONCE(crew->stop) && time_before(jiffies, crew->until);
}

/*
 * A job calls this function first, so that its threads start together. Each thread waits here until
 * as many threads have arrived as there are online CPUs; if the crew has fewer threads, until all
 * have arrived. The wait is bounded.
 */
static inline void arena_crew_meet(struct arena_crew *crew)
{
	const int want = min(crew->nr, num_online_cpus());
	unsigned int spins = 100000;

	atomic_inc(&crew->arrived);
	while (atomic_read(&crew->arrived) < want && --spins)
		cpu_relax();
}

static inline unsigned long arena_crew_bad(const struct arena_crew *crew)
{
	unsigned long bad = 0;
	unsigned int i;

	for (i = 0; i < crew->nr; i++)
		bad += crew->hand[i].bad;
	return bad;
}

static inline size_t arena_crew_bytes(const struct arena_crew *crew)
{
	size_t bytes = 0;
	unsigned int i;

	for (i = 0; i < crew->nr; i++)
		bytes += crew->hand[i].bytes;
	return bytes;
}

static inline unsigned long arena_crew_allocs(const struct arena_crew *crew)
{
	unsigned long allocs = 0;
	unsigned int i;

	for (i = 0; i < crew->nr; i++)
		allocs += crew->hand[i].allocs;
	return allocs;
}

/*
 * Returns the objects of all threads, and those in @more, in one array, which the caller frees by
 * kvfree().
 */
static inline struct arena_extent *arena_crew_extents(struct arena_crew *crew,
						      const struct arena_extent *more,
						      size_t nr_more, size_t *nr)
{
	struct arena_extent *all;
	unsigned int i;

	*nr = nr_more;
	for (i = 0; i < crew->nr; i++)
		*nr += crew->hand[i].nr_ext;
	all = kvcalloc(*nr + 1, sizeof(*all), GFP_KERNEL);
	if (!all)
		return NULL;
	memcpy(all, more, nr_more * sizeof(*all));
	*nr = nr_more;
	for (i = 0; i < crew->nr; i++) {
		memcpy(all + *nr, crew->hand[i].ext,
		       crew->hand[i].nr_ext * sizeof(*all));
		*nr += crew->hand[i].nr_ext;
	}
	return all;
}

static inline void arena_hand_forget(struct arena_hand *hand)
{
	hand->nr_ext = 0;
	hand->bytes = 0;
	hand->allocs = 0;
}

/*
 * Discards an allocated object that the case does not use, or NULL. The compiler warns if a caller
 * ignores the result of an allocation call.
 */
static inline void arena_ignore(const void *object)
{
}

/*
 * Some cases show something only if certain events coincide, such as an interrupt and a copy. Such
 * a case repeats its test until these events have coincided, which may take a while on a busy host.
 * The case gives up after ARENA_PATIENCE seconds.
 */
#define ARENA_PATIENCE	60

/*
 * Returns true for ARENA_PATIENCE seconds from the first call on: the case may repeat its test. At
 * the first call, *@until must be 0.
 */
static inline bool arena_patient(unsigned long *until)
{
	if (!*until)
		*until = jiffies + ARENA_PATIENCE * HZ;
	return time_before(jiffies, *until);
}

/*
 * Sleep for a tick, then return what arena_patient() returns. For cases in which the arena must
 * start a grace period by itself: this function starts none, so such a case fails if the arena does
 * not start one.
 */
static inline bool arena_sleep_until(unsigned long *until)
{
	schedule_timeout_uninterruptible(1);
	return arena_patient(until);
}

#endif /* _ARENA_KUNIT_TEST_H */
