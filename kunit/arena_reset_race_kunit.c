// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of resets at any time, by threads and interrupts, while other threads allocate.
 *
 * A reset may free an object before its caller has received it, so the threads that allocate never
 * touch their objects. These cases test the allocator itself (clause 10): that its counters are
 * right, and that it never writes into memory of a newer generation.
 */
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 300;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case");

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

/*
 * More threads than CPUs, so that the scheduler preempts threads at every place in the allocator.
 */
#define HANDS		8

static void spin(unsigned int loops)
{
	while (loops--)
		cpu_relax();
}

/*
 * Resets that race with each other
 */
struct rush {
	struct arena_irq_source	source;
	/* Only hard interrupts of one CPU write these counts, so plain additions are enough. */
	unsigned long		resets;
	unsigned long		backward;
};

/*
 * A reset ends the generation that was current before. After arena_reset() has returned, a read of
 * the generation must yield a newer one.
 */
static bool rush_reset(struct arena *arena, unsigned long *resets, unsigned long *backward)
{
	unsigned long before = READ_ONCE(arena->generation);

	if (arena_reset(arena))
		return false;
	(*resets)++;
	*backward += READ_ONCE(arena->generation) < before + ARENA_GEN_STEP;
	return true;
}

static void rush_hardirq(void *data)
{
	struct arena *arena = ((struct arena_hand *)data)->crew->arena;
	struct rush *rush = ((struct arena_hand *)data)->crew->data;

	rush_reset(arena, &rush->resets, &rush->backward);
}

static void rush_job(struct arena_hand *hand)
{
	struct arena *arena = hand->crew->arena;
	struct rush *rush = hand->crew->data;
	unsigned long last = 0;

	if (hand->id == 0) {
		arena_irq_source_pester(&rush->source, hand);
		return;
	}
	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew)) {
		unsigned long generation = READ_ONCE(arena->generation);

		hand->bad += generation < last;
		last = generation;
		/* Threads with odd numbers allocate, so that resets have a peak to update. */
		if (hand->id & 1)
			arena_ignore(arena_alloc(arena, 64 * hand->id, ARENA_NOGROW));
		if (!rush_reset(arena, &hand->allocs, &hand->bad))
			schedule_timeout_uninterruptible(1);
	}
}

/*
 * Clauses 8, 10, 13: resets race with each other and interrupt each other. The arena counts each
 * reset, each has begun a new generation when it returns, and the generation never goes back.
 */
static void reset_race_each_counted(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	struct rush *rush = kunit_kzalloc(test, sizeof(*rush), GFP_KERNEL);
	struct arena_stats was, now;
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, rush);
	KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, 16 * SLAB, GFP_KERNEL));
	crew->data = rush;
	was = arena_test_stats(arena);
	arena_irq_source_start(&rush->source, arena_irq_cpu(), rush_hardirq, &crew->hand[0]);
	do {
		arena_crew_go(crew, rush_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((!rush->resets || arena_crew_allocs(crew) < 10000) && arena_patient(&patience));
	arena_irq_source_stop(&rush->source);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, rush->backward, 0);
	KUNIT_EXPECT_GT(test, rush->resets, 0);
	KUNIT_EXPECT_GE(test, arena_crew_allocs(crew), 10000);

	now = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, now.resets - was.resets, rush->resets + arena_crew_allocs(crew));
	KUNIT_EXPECT_EQ(test, now.generation - was.generation,
			ARENA_GEN_STEP * (now.resets - was.resets));
	KUNIT_EXPECT_EQ(test, READ_ONCE(arena->generation), now.generation);
	KUNIT_EXPECT_GE(test, now.peak, 64);
	arena_expect_sane(test, arena);
}

/*
 * Resets at any time
 */

/*
 * Thread 0 sends interrupts, threads 1 to 4 allocate, and threads 5 to 7 reset, each in its own
 * way.
 */
enum { STORM_KEEP = 5, STORM_RELEASE, STORM_ZERO };

struct storm {
	struct arena		*arena;
	struct arena_irq_source	source;
	/* Only hard interrupts of one CPU write these counts, so plain additions are enough. */
	unsigned long		resets;
	unsigned long		allocs;
	unsigned long		nulls;
};

static void storm_hardirq(void *data)
{
	struct storm *storm = data;

	if (storm->allocs % 3 == 0 && !arena_reset(storm->arena))
		storm->resets++;
	if (arena_zalloc(storm->arena, 256, ARENA_NOGROW))
		storm->allocs++;
	else
		storm->nulls++;
}

static void storm_alloc(struct arena_hand *hand)
{
	static const gfp_t gfp[] = {
		GFP_KERNEL, GFP_KERNEL | __GFP_ZERO, GFP_KERNEL | __GFP_ZERO,
		GFP_NOWAIT | __GFP_ZERO, ARENA_NOGROW | __GFP_ZERO, ARENA_NOGROW,
	};
	struct arena_crew *crew = hand->crew;

	while (arena_crew_on(crew)) {
		const size_t size = arena_rnd_size(&hand->rnd);
		const size_t align = BIT(arena_rnd_below(&hand->rnd, 7));
		gfp_t how = gfp[arena_rnd_below(&hand->rnd, ARRAY_SIZE(gfp))];
		void *ptr = arena_alloc_aligned(crew->arena, size, align, how);

		/* A reset may already have freed the object, so this thread must not touch it. */
		if (!ptr)
			hand->nr_ext++;
		else if (IS_ALIGNED((unsigned long)ptr, align))
			hand->allocs++;
		else
			hand->bad++;
		if (!ptr)
			cond_resched();
	}
}

static void storm_reset(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena *arena = crew->arena;

	do {
		switch (hand->id) {
		case STORM_KEEP:
			if (arena_reset(arena))
				continue;
			break;
		case STORM_RELEASE:
			arena_reset_release(arena, arena_rnd_below(&hand->rnd, 4) * SLAB);
			break;
		default:
			arena_reset_zero(arena);
		}
		hand->bytes++;
		if (arena_rnd_below(&hand->rnd, 8) == 0)
			schedule_timeout_uninterruptible(1);
	} while (arena_crew_on(crew));
}

static void storm_job(struct arena_hand *hand)
{
	struct storm *storm = hand->crew->data;

	if (hand->id == 0)
		arena_irq_source_pester(&storm->source, hand);
	else if (hand->id < STORM_KEEP)
		storm_alloc(hand);
	else
		storm_reset(hand);
}

/*
 * While the threads run their job, check the statistics. Sleep only after every second look: two
 * looks in quick succession notice a value that is wrong only for a moment.
 */
static void storm_watch(struct kunit *test, struct arena_crew *crew, unsigned int *looks)
{
	struct arena *arena = crew->arena;
	u64 generation = 0, resets = 0, allocs = 0;

	while (atomic_read(&crew->busy)) {
		const struct arena_stats s = arena_test_stats(arena);

		KUNIT_EXPECT_GE(test, s.generation, generation);
		KUNIT_EXPECT_GE(test, s.resets, resets);
		KUNIT_EXPECT_GE(test, s.allocs, allocs);
		KUNIT_EXPECT_LE(test, s.high, s.capacity);
		KUNIT_EXPECT_LE(test, s.used, s.high);
		KUNIT_EXPECT_LE(test, s.peak, s.capacity);
		KUNIT_EXPECT_LE(test, s.padding, s.capacity);
		KUNIT_EXPECT_LE(test, s.free, s.capacity);
		KUNIT_EXPECT_LE(test, arena_offset(arena), s.capacity);
		KUNIT_EXPECT_LE(test, arena_high(arena), s.capacity);
		generation = s.generation;
		resets = s.resets;
		allocs = s.allocs;
		if (++*looks % 2)
			schedule_timeout_uninterruptible(1);
	}
}

/*
 * Clause 10: resets of every kind race with allocations of all sizes, some zeroed, and with hard
 * interrupts that reset and allocate. At the end, the counts of the arena agree with those of its
 * callers, and the arena works as a new one does.
 */
static void reset_race_alloc_counts_agree(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 16 * SLAB, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	u64 resets, allocs, nulls;
	unsigned int looks = 0, i;
	unsigned long patience = 0;
	struct arena_stats s;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->arena = arena;
	crew->data = storm;
	arena_irq_source_start(&storm->source, arena_irq_cpu(), storm_hardirq, storm);
	do {
		arena_crew_go(crew, storm_job, runtime_ms);
		storm_watch(test, crew, &looks);
		arena_crew_wait(crew);
	} while ((!looks || !storm->resets || arena_crew_allocs(crew) <= 100) &&
		 arena_patient(&patience));
	arena_irq_source_stop(&storm->source);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);

	resets = storm->resets;
	allocs = storm->allocs;
	nulls = storm->nulls;
	for (i = 0; i < STORM_KEEP; i++) {
		allocs += crew->hand[i].allocs;
		nulls += crew->hand[i].nr_ext;
		crew->hand[i].nr_ext = 0;
	}
	for (; i < HANDS; i++) {
		KUNIT_EXPECT_GT(test, crew->hand[i].bytes, 0);
		resets += crew->hand[i].bytes;
	}
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.resets, resets);
	KUNIT_EXPECT_EQ(test, s.allocs, allocs);
	KUNIT_EXPECT_EQ(test, s.fail_space + s.fail_memory, nulls);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 0);
	arena_expect_sane(test, arena);
	/* The case has shown something only if interrupts reset while threads allocated. */
	KUNIT_EXPECT_GT(test, looks, 0);
	KUNIT_EXPECT_GT(test, storm->resets, 0);
	KUNIT_EXPECT_GT(test, allocs, 100);

	/* After the race, the arena can be reset in each way, and yields zeroed objects. */
	for (i = 0; i < 4; i++) {
		size_t n, size = 100 + i;
		u8 *ptr[32];

		arena_test_reset(test, arena, i);
		for (n = 0; n < ARRAY_SIZE(ptr); n++) {
			ptr[n] = arena_zalloc(arena, size, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, ptr[n]);
			KUNIT_EXPECT_TRUE(test, arena_is_zero(ptr[n], size));
			arena_pattern_fill(ptr[n], size, n);
		}
		for (n = 0; n < ARRAY_SIZE(ptr); n++)
			KUNIT_EXPECT_EQ(test, arena_pattern_check(ptr[n], size, n), size);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), size * ARRAY_SIZE(ptr));
	}
}

/*
 * The allocator's own writes
 *
 * One thread or interrupt, the stamper, resets the arena and lets other threads allocate zeroed
 * objects. A moment later, it resets again, allocates all of the arena, and writes stamps into it.
 * If the allocator was zeroing an object for another thread at that moment, this object's memory
 * now belongs to the stamper, and the allocator must not write there any more. The other threads
 * never write to their objects: if a stamp disappears before the next reset, the allocator has
 * zeroed memory for a generation that is over.
 */
#define LATE_SLAB	((size_t)SZ_512K)
#define LATE_CAPACITY	(4 * LATE_SLAB)
#define LATE_SIZE	(LATE_SLAB / 2)
#define LATE_OBJECTS	(LATE_CAPACITY / LATE_SIZE)
/* Distance of the stamps in bytes: zeroing clears whole objects, so a few stamps suffice. */
#define LATE_STRIDE	1024

struct late {
	struct arena		*arena;
	struct late		*other;
	struct arena_irq_source	source;
	u8			*object[LATE_OBJECTS];
	unsigned int		nr;
	u64			stamp;
	bool			zero;
	const struct late_way	*way;
	/*
	 * Counts of events: the case shows something only if these happen. @inside is true while a
	 * thread is in the allocator.
	 */
	unsigned long		taken;
	unsigned long		inside_hits;
	bool			inside;
	/* Counts of errors of the allocator, which must remain 0. */
	unsigned long		wiped;
	unsigned long		not_zero;
};

static void late_check(struct late *late)
{
	unsigned int i;
	size_t at;

	for (i = 0; i < late->nr; i++)
		for (at = 0; at < LATE_SIZE; at += LATE_STRIDE)
			if (*(u64 *)(late->object[i] + at) != late->stamp + i)
				late->wiped++;
}

static void late_take(struct late *late, gfp_t gfp)
{
	u8 *object;
	size_t at;

	late->stamp += LATE_OBJECTS;
	while (late->nr < LATE_OBJECTS) {
		object = arena_alloc(late->arena, LATE_SIZE, gfp);
		if (!object)
			break;
		for (at = 0; at < LATE_SIZE; at += LATE_STRIDE) {
			if (late->zero && *(u64 *)(object + at))
				late->not_zero++;
			*(u64 *)(object + at) = late->stamp + late->nr;
		}
		late->object[late->nr++] = object;
	}
	late->taken += late->nr;
}

/*
 * The objects that threads other than the stamper allocate. They are so large that the threads
 * spend nearly all their time zeroing, and nearly every interrupt comes while a thread is zeroing.
 * So the interrupts of the timer suffice, if no other CPU has time to send more. An object of the
 * last kind takes so long to zero that none would ever be complete if another CPU sent interrupts,
 * too.
 */
struct late_way {
	const char	*what;
	size_t		size;
	gfp_t		gfp;
	bool		pester;
};

static const struct late_way late_ways[] = {
	{ "in one go",		LATE_SLAB - 64,		GFP_NOWAIT,	true },
	{ "in chunks",		LATE_SLAB - 64,		GFP_KERNEL,	true },
	{ "by way of a span",	2000,			GFP_KERNEL,	true },
	{ "large",		2 * LATE_SLAB + 100,	GFP_KERNEL,	false },
};

/*
 * One interrupt resets the arena and allocates all of it. The next one only resets it, so that the
 * interrupted thread can allocate, and so on by turns. If an interrupt resets the arena while the
 * thread is zeroing, the new generation is not settled: the interrupt gets no object, and a later
 * interrupt tries again.
 */
static void late_hardirq(void *data)
{
	struct late *late = data;
	const bool take = !late->nr;

	late_check(late);
	if (arena_reset(late->arena))
		return;
	late->nr = 0;
	if (!take)
		return;
	if (READ_ONCE(late->inside))
		late->inside_hits++;
	late_take(late, ARENA_NOGROW);
}

static void late_zalloc(struct arena_hand *hand, const struct late_way *way)
{
	if (arena_zalloc(hand->crew->arena, way->size, way->gfp))
		hand->allocs++;
	else
		cond_resched();
}

/*
 * Allocates one zeroed object. If that fails, resets the arena, unless the arena contains objects
 * of the interrupt (@late->nr), which the reset would free. The interrupt runs on this CPU, so
 * @late->nr does not change while interrupts are off.
 */
static void late_zalloc_again(struct arena_hand *hand, struct late *late)
{
	const struct late_way *way = late->way;
	unsigned long was = hand->allocs;

	WRITE_ONCE(late->inside, true);
	late_zalloc(hand, way);
	WRITE_ONCE(late->inside, false);
	if (hand->allocs != was)
		return;
	local_irq_disable();
	if (!late->nr && arena_reset(late->arena))
		hand->bad++;
	local_irq_enable();
}

/* Thread 0 is interrupted, thread 1 sends interrupts. */
static void late_irq_job(struct arena_hand *hand)
{
	struct late *late = hand->crew->data;

	if (hand->id == 1) {
		if (late->way->pester)
			arena_irq_source_pester(&late->source, hand);
		return;
	}
	if (set_cpus_allowed_ptr(current, cpumask_of(late->source.cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew))
		late_zalloc_again(hand, late);
}

static bool late_seen(const struct late *late, const struct arena_crew *crew)
{
	return late->taken >= 20 && arena_crew_allocs(crew) >= 20 &&
	       (late->inside_hits >= 5 || !late->way);
}

static void late_expect(struct kunit *test, struct late *late, struct arena_crew *crew)
{
	const char *what = late->way ? late->way->what : "threads";

	late_check(late);
	KUNIT_EXPECT_EQ_MSG(test, late->wiped, 0, "%s", what);
	if (late->other)
		KUNIT_EXPECT_EQ(test, late->other->wiped, 0);
	KUNIT_EXPECT_EQ_MSG(test, late->not_zero, 0, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, arena_crew_bad(crew), 0, "%s", what);
	arena_expect_sane(test, late->arena);
	KUNIT_EXPECT_TRUE_MSG(test, late_seen(late, crew),
			      "%s: taken %lu, inside the allocator %lu, zeroed %lu", what,
			      late->taken, late->inside_hits, arena_crew_allocs(crew));
}

/* Clause 10: hard interrupts reset the arena while the allocator zeroes an object. */
static void zalloc_reset_by_irq_no_late_write(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct arena_crew *crew;
	struct arena *arena;
	unsigned long patience;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, late);
	for (i = 0; i < ARRAY_SIZE(late_ways); i++) {
		memset(late, 0, sizeof(*late));
		late->way = &late_ways[i];
		late->zero = kind->flags & ARENA_ZERO;
		arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, kind->flags);
		KUNIT_ASSERT_EQ(test, 0, arena_populate(arena, LATE_CAPACITY, GFP_KERNEL));
		late->arena = arena;
		crew = arena_crew_create(test, arena, 2, 0);
		crew->data = late;
		arena_irq_source_start(&late->source, arena_irq_cpu(), late_hardirq, late);
		patience = 0;
		do {
			arena_crew_go(crew, late_irq_job, runtime_ms / ARRAY_SIZE(late_ways));
			arena_crew_wait(crew);
		} while (!late_seen(late, crew) && arena_patient(&patience));
		arena_irq_source_stop(&late->source);
		late_expect(test, late, crew);
		kunit_release_action(test, arena_crew_stop, crew);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/*
 * The arena of @other takes the slabs that arena_reset_release() of the first arena has just given
 * back. No thread may still be zeroing objects of the first arena in these slabs.
 */
static void late_pass_on(struct late *other)
{
	late_take(other, GFP_KERNEL);
	spin(300);
	late_check(other);
	arena_reset_release(other->arena, 0);
	other->nr = 0;
}

static void late_reset(struct arena_crew *crew, struct late *late, unsigned int way)
{
	switch (way % 8) {
	case 0 ... 2:
		arena_reset_release(late->arena, 0);
		late_pass_on(late->other);
		break;
	case 3:
		arena_reset_release(late->arena, LATE_SLAB);
		break;
	case 4:
		arena_reset_zero(late->arena);
		break;
	default:
		KUNIT_EXPECT_EQ(crew->test, 0, arena_reset(late->arena));
	}
	late->nr = 0;
}

static void late_thread_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct late *late = crew->data;

	if (hand->id) {
		while (arena_crew_on(crew))
			late_zalloc(hand, &late_ways[hand->id % ARRAY_SIZE(late_ways)]);
		return;
	}
	while (arena_crew_on(crew)) {
		unsigned int looks = 1 + arena_rnd_below(&hand->rnd, 4);

		/* arena_reset() does not wait, so the other threads can allocate at once. */
		late->nr = 0;
		KUNIT_EXPECT_EQ(crew->test, 0, arena_reset(late->arena));
		if (arena_rnd_below(&hand->rnd, 4))
			spin(arena_rnd_below(&hand->rnd, 1000));
		else
			schedule_timeout_uninterruptible(1);
		late_reset(crew, late, arena_rnd(&hand->rnd));
		late_take(late, GFP_KERNEL);
		while (looks--) {
			late_check(late);
			spin(arena_rnd_below(&hand->rnd, 200));
		}
	}
}

/* Clause 10: another thread resets the arena while the allocator zeroes an object. */
static void zalloc_reset_by_thread_no_late_write(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct late *other = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, late);
	KUNIT_ASSERT_NOT_NULL(test, other);
	other->arena = arena_test_create(test, LATE_CAPACITY, LATE_SLAB, 0);
	late->other = other;
	late->arena = arena;
	late->zero = kind->flags & ARENA_ZERO;
	crew->data = late;
	do {
		/*
		 * A reset that sleeps takes time, so run for twice as long as the other cases do.
		 */
		arena_crew_go(crew, late_thread_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (!late_seen(late, crew) && arena_patient(&patience));
	late_expect(test, late, crew);
}

static struct kunit_case arena_reset_race_cases[] = {
	KUNIT_CASE_PARAM(reset_race_each_counted, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_race_alloc_counts_agree, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_reset_by_irq_no_late_write, arena_kind_gen_params),
	KUNIT_CASE_PARAM(zalloc_reset_by_thread_no_late_write, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_reset_race_suite = {
	.name = "arena_reset_race",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_reset_race_cases,
};

kunit_test_suite(arena_reset_race_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: resets that race");
MODULE_LICENSE("GPL");
