// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt an operation at a chosen place, which is a call of user_point() in the shim: by an
 * interrupt, by an NMI, or by another task. A test tries one place after another. For each place,
 * it prepares the arena, runs the operation, and checks what must hold wherever the interrupt came.
 * "Clause N" in a comment means clause N of include/CONTRACT.md.
 *
 *   points [TEST]
 */
#include <unistd.h>

#include <linux/arena_private.h>

#include "core/cursor.h"

#define CHECK(x)	do { if (!(x)) user_die(__FILE__, __LINE__, #x); } while (0)

/* clause 1: the default alignment is the same on every architecture */
static_assert(ARENA_MIN_ALIGN == 8, "default alignment");

/* An upper bound of the number of calls of user_point() in one operation. */
#define POINTS_MAX	5000

static struct arena *arena;
static void *ours, *theirs;

enum how { BY_IRQ, BY_NMI, BY_TASK };

/*
 * Run @operation, and interrupt it at call number @point of user_point(). Returns false if
 * @operation makes fewer calls.
 */
static bool interrupted_at(unsigned long point, enum how how, void (*operation)(void),
			   void (*interrupt)(void))
{
	bool came;

	user_interrupt = interrupt;
	user_nmi = how == BY_NMI;
	user_preempting = how == BY_TASK;
	user_self.fuse = point;
	operation();
	came = !user_self.fuse;
	user_self.fuse = 0;
	user_interrupt = NULL;
	return came;
}

static struct arena *create(size_t capacity, size_t slab_size, unsigned int flags)
{
	struct arena_config config = {
		.name = "points", .capacity = capacity, .slab_size = slab_size, .flags = flags,
	};
	struct arena *made = arena_create(&config);

	CHECK(!IS_ERR(made));
	return made;
}

/* Set the limit on all arenas, an eighth of RAM, to @pages more than they hold now. */
static void leave_budget(unsigned long pages)
{
	arena_pool_drain();
	user_ram_pages = 8 * (arena_total_pages() + pages);
}

static void alloc_ours(void)
{
	ours = arena_alloc(arena, 64, GFP_KERNEL);
}

static void alloc_ours_atomic(void)
{
	ours = arena_alloc(arena, 64, GFP_ATOMIC);
}

static void alloc_theirs(void)
{
	theirs = arena_alloc(arena, 64, GFP_ATOMIC);
}

/* clause 2: a caller that loses the race to grow uses the slab of the caller that won */
static bool grow_budget_of_one_slab(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	arena = create(SZ_16K, SZ_16K, 0);
	leave_budget(SZ_16K >> PAGE_SHIFT);
	came = interrupted_at(point, BY_IRQ, alloc_ours, alloc_theirs);
	CHECK(ours && (theirs || !came) && ours != theirs);
	CHECK(arena->page_allocs.counter - arena->page_frees.counter == 1);
	CHECK(arena->committed.counter == SZ_16K && arena->committed_peak.counter == SZ_16K);
	user_ram_pages = ram;
	arena_destroy(arena);
	return came;
}

/*
 * clause 2: a caller that loses the race to grow uses the slab of the caller that won, even if the
 * winner has taken the last block of the pool
 */
static bool grow_from_pool_of_one_slab(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	arena = create(SZ_16K, SZ_16K, 0);
	leave_budget(SZ_16K >> PAGE_SHIFT);
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	arena_destroy(arena);
	CHECK(arena_pool_pages() == SZ_16K >> PAGE_SHIFT);
	arena = create(SZ_16K, SZ_16K, 0);
	came = interrupted_at(point, BY_IRQ, alloc_ours, alloc_theirs);
	CHECK(ours && (theirs || !came) && ours != theirs);
	CHECK(arena->committed.counter == SZ_16K && arena->committed_peak.counter == SZ_16K);
	CHECK(arena->pool_hits.counter == 1 && !arena->page_allocs.counter);
	user_ram_pages = ram;
	arena_destroy(arena);
	return came;
}

static void populate_ours(void)
{
	CHECK(!arena_populate(arena, arena_capacity(arena), GFP_KERNEL));
}

static void alloc_theirs_asleep(void)
{
	theirs = arena_alloc(arena, 64, GFP_KERNEL);
}

/* clause 2: where memory is fragmented, two tasks grow by the same slab of single pages */
static bool grow_budget_of_one_pieced_slab(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	user_fragmented = true;
	theirs = NULL;
	arena = create(SZ_16K, SZ_16K, 0);
	leave_budget(SZ_16K >> PAGE_SHIFT);
	came = interrupted_at(point, BY_TASK, alloc_ours, alloc_theirs_asleep);
	CHECK(ours && (theirs || !came) && ours != theirs && is_vmalloc_addr(ours));
	CHECK(arena->page_allocs.counter - arena->page_frees.counter == 1);
	CHECK(arena->committed.counter == SZ_16K && arena->committed_peak.counter == SZ_16K);
	user_ram_pages = ram;
	user_fragmented = false;
	arena_destroy(arena);
	return came;
}

static void alloc_32k(void)
{
	ours = arena_alloc(arena, SZ_32K, GFP_KERNEL);
}

static void release_all(void)
{
	arena_reset_release(arena, 0);
}

/* clause 5: an object larger than a slab is served while its slabs of single pages are released */
static bool large_beside_release_of_pieced_slabs(unsigned long point)
{
	bool came;

	user_fragmented = true;
	arena = create(SZ_64K, SZ_16K, 0);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	came = interrupted_at(point, BY_TASK, alloc_32k, release_all);
	CHECK(ours);
	if (!came)
		memset(ours, 1, SZ_32K);
	user_fragmented = false;
	arena_destroy(arena);
	return came;
}

static arena_handle_t large_handle;

static void deref_large(void)
{
	void *found = arena_deref(arena, large_handle);

	CHECK(!found || found == ours);
}

/* clause 13: a handle is resolved while the slabs of single pages behind its object are released */
static bool deref_beside_release_of_pieced_slabs(unsigned long point)
{
	bool came;

	user_fragmented = true;
	arena = create(SZ_64K, SZ_16K, 0);
	ours = arena_alloc_handle(arena, SZ_32K, GFP_KERNEL, &large_handle);
	CHECK(ours && arena_deref(arena, large_handle) == ours);
	came = interrupted_at(point, BY_TASK, deref_large, release_all);
	CHECK(!arena_deref(arena, large_handle) == came);
	user_fragmented = false;
	arena_destroy(arena);
	return came;
}

/*
 * This call may fail: the interrupted arena_populate() may have charged slabs to the budget that it
 * has not installed yet.
 */
static void populate_theirs(void)
{
	int err = arena_populate(arena, arena_capacity(arena), GFP_ATOMIC);

	CHECK(!err || err == -ENOMEM);
}

/* clause 2: a caller that loses the race for several slabs uses the slabs of the caller that won */
static bool populate_budget_of_one_arena(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	arena = create(SZ_64K, SZ_16K, 0);
	leave_budget(SZ_64K >> PAGE_SHIFT);
	came = interrupted_at(point, BY_IRQ, populate_ours, populate_theirs);
	CHECK(arena->committed.counter == SZ_64K);
	user_ram_pages = ram;
	arena_destroy(arena);
	return came;
}

/* Fill an arena that has spans, except for the span of CPU 1. Returns the number of objects. */
static u64 fill_but_for_one_span(size_t size)
{
	u64 nr = 1;

	arena = create(SZ_16K, SZ_16K, ARENA_SPANS);
	user_self.cpu = 1;
	CHECK(arena_alloc(arena, size, GFP_KERNEL));
	user_self.cpu = 0;
	while (arena_alloc(arena, size, ARENA_NOGROW))
		nr++;
	return nr;
}

static u64 count_allocs(void)
{
	struct arena_stats stats;

	arena_stats(arena, &stats);
	CHECK(stats.used + stats.padding + stats.free == stats.capacity);
	return stats.allocs;
}

static void *released;

/* Reset the arena and take its slab away, as arena_reset_release() on another CPU would. */
static void release_slab(void)
{
	CHECK(!arena_reset(arena));
	released = xchg(&arena->dir.first[0].base, NULL);
}

/* clause 8: if the release of a slab voids a claim, the arena counts no object for the claim */
static bool tail_of_a_released_slab(unsigned long point)
{
	u64 nr = fill_but_for_one_span(64);
	bool came;

	released = NULL;
	came = interrupted_at(point, BY_IRQ, alloc_ours, release_slab);
	/* Unless an interrupt released the slab, this allocation must use the span of CPU 1. */
	CHECK(ours || released);
	CHECK(count_allocs() == nr + !!ours);
	if (released && cmpxchg(&arena->dir.first[0].base, NULL, released)) {
		atomic_long_sub(SZ_16K, &arena->committed);
		arena_block_put(&arena_total, released, get_order(SZ_16K));
	}
	arena_destroy(arena);
	return came;
}

/* clause 19: arena_page_address() finds no page at an offset that is not committed */
static bool page_not_committed(unsigned long point)
{
	size_t offset;

	arena = create(SZ_4M, SZ_4K, 0);
	for (offset = 0; offset < SZ_4M; offset += SZ_4K)
		CHECK(!arena_page_address(arena, offset));
	CHECK(!arena_populate(arena, SZ_1M, GFP_KERNEL));
	for (offset = 0; offset < SZ_4M; offset += SZ_4K)
		CHECK(!arena_page_address(arena, offset) == (offset >= SZ_1M));
	arena_destroy(arena);
	return false;
}

static void alloc_in_reclaim(void)
{
	theirs = arena_alloc(arena, 64, GFP_NOFS);
}

/*
 * clause 2: a growing arena holds no lock while it allocates memory, so a shrinker may allocate
 * from the arena
 */
static bool tail_in_reclaim(unsigned long point)
{
	fill_but_for_one_span(64);
	theirs = NULL;
	user_reclaim = alloc_in_reclaim;
	alloc_ours();
	user_reclaim = NULL;
	CHECK(ours && theirs && ours != theirs);
	arena_destroy(arena);
	return false;
}

static void reset_rcu(void)
{
	CHECK(!arena_reset_rcu(arena));
}

static void release(void)
{
	arena_reset_release(arena, 0);
}

/*
 * clause 11: arena_reset_release() waits for readers only. It returns even if its task has
 * preempted a task inside arena_reset_rcu(), which cannot run before arena_reset_release() has
 * returned
 */
static bool release_beside_reset_rcu(unsigned long point)
{
	bool came;

	arena = create(SZ_16K, SZ_16K, ARENA_READERS);
	alloc_ours();
	came = interrupted_at(point, BY_TASK, reset_rcu, release);
	user_rcu_poll();
	CHECK(!arena->retiring);
	arena_destroy(arena);
	return came;
}

static void shrink(void)
{
	arena_idle_shrink(ULONG_MAX, 0);
}

/* Create an empty arena with ARENA_SHRINK in which all slabs are committed. */
static void create_idle(unsigned int flags)
{
	arena = create(SZ_64K, SZ_16K, ARENA_SHRINK | flags);
	populate_ours();
	ours = NULL;
	theirs = NULL;
}

static bool holds(const char *object, char byte)
{
	size_t i;

	for (i = 0; i < 64; i++)
		if (object[i] != byte)
			return false;
	return true;
}

static bool is_zero(const char *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Check that @ours and @theirs, if not NULL, lie in the arena's first slab and do not overlap. */
static void check_both(void)
{
	struct arena_stats stats;
	size_t at;

	if (ours)
		memset(ours, 1, 64);
	if (theirs)
		memset(theirs, 2, 64);
	CHECK((!ours || holds(ours, 1)) && (!theirs || holds(theirs, 2)));
	if (ours)
		CHECK(arena_find(arena, arena_snap(arena).generation, ours, &at) && at < 128);
	if (theirs)
		CHECK(arena_find(arena, arena_snap(arena).generation, theirs, &at) && at < 128);
	arena_stats(arena, &stats);
	CHECK(stats.used == 64 * (!!ours + !!theirs));
	CHECK(stats.used + stats.padding + stats.free == stats.capacity);
}

/* clause 25: an allocation succeeds wherever the shrinker preempts it */
static bool shrink_beside_alloc(unsigned long point)
{
	bool came;

	create_idle(0);
	came = interrupted_at(point, BY_TASK, alloc_ours, shrink);
	CHECK(ours);
	check_both();
	arena_destroy(arena);
	return came;
}

/* clause 25: an allocation that zeroes its span succeeds wherever the shrinker preempts it */
static bool shrink_beside_alloc_from_span(unsigned long point)
{
	bool came;

	create_idle(ARENA_SPANS | ARENA_ZERO);
	came = interrupted_at(point, BY_TASK, alloc_ours, shrink);
	CHECK(ours && holds(ours, 0));
	check_both();
	arena_destroy(arena);
	return came;
}

/*
 * clauses 2, 25: an interrupt allocates while the shrinker releases slabs, and afterwards an
 * allocation still succeeds
 */
static bool alloc_amid_shrink(unsigned long point)
{
	bool came;

	create_idle(0);
	came = interrupted_at(point, BY_IRQ, shrink, alloc_theirs);
	alloc_ours();
	CHECK(ours);
	check_both();
	arena_destroy(arena);
	return came;
}

/*
 * clauses 9, 25: the shrinker may preempt arena_reset_rcu() anywhere, and in the end it has
 * released all slabs
 */
static bool shrink_beside_reset_rcu(unsigned long point)
{
	bool came;

	create_idle(ARENA_READERS);
	alloc_theirs();
	came = interrupted_at(point, BY_TASK, reset_rcu, shrink);
	theirs = NULL;
	user_rcu_poll();
	shrink();
	CHECK(!arena->committed.counter);
	alloc_ours();
	CHECK(ours);
	check_both();
	arena_destroy(arena);
	return came;
}

/*
 * clause 11: arena_reset_rcu() fails if the tag would enter another eighth of its range before a
 * grace period has passed since it entered the last one; the failed call changes nothing
 */
static bool refused_reset_rcu_undone(unsigned long point)
{
	unsigned int resets;

	arena = create(SZ_16K, SZ_16K, ARENA_READERS);
	arena_set_generation(arena, 2 * ARENA_TAG_EIGHTH - ARENA_GEN_STEP);
	/* Pretend that no grace period has passed since the tag entered its present eighth. */
	arena->wrapping = true;
	for (resets = 0; !arena_reset_rcu(arena); resets++)
		user_rcu_poll();
	CHECK(resets <= 1);
	CHECK(arena_reset_rcu(arena) == -EBUSY);
	arena->wrapping = false;
	CHECK(!arena_reset_rcu(arena));
	rcu_barrier();
	arena_destroy(arena);
	return false;
}

/*
 * For calls that must change nothing: the statistics before the call, an object larger than a slab,
 * and the handle of another object.
 */
static struct arena_stats stats_before;
static char *large_object;
static arena_handle_t small_handle;

static void look_before(void)
{
	arena_stats(arena, &stats_before);
}

static void nothing_changed(void)
{
	struct arena_stats stats;

	user_run_works();
	arena_stats(arena, &stats);
	CHECK(!memcmp(&stats, &stats_before, sizeof(stats)));
	CHECK(large_object[0] == 'L' && large_object[3 * SZ_16K - 1] == 'L');
	CHECK(arena_deref(arena, small_handle));
}

static void fill_with_large(unsigned int flags)
{
	arena = create(SZ_256K, SZ_16K, flags);
	CHECK(!arena_populate(arena, SZ_256K, GFP_KERNEL));
	CHECK(arena_alloc(arena, 24, GFP_KERNEL));
}

static void add_large(void)
{
	large_object = arena_alloc(arena, 3 * SZ_16K, GFP_KERNEL);
	CHECK(large_object);
	memset(large_object, 'L', 3 * SZ_16K);
	CHECK(arena_alloc_handle(arena, 40, GFP_KERNEL, &small_handle));
}

static void refused_rewind(struct arena_mark mark, int expected)
{
	look_before();
	CHECK(arena_rewind(arena, &mark) == expected);
	nothing_changed();
}

/* clause 12: a rewind that fails changes nothing, and unmaps no object larger than a slab */
static bool refused_rewind_changes_nothing(unsigned long point)
{
	struct arena_mark mark, old, forged;

	fill_with_large(0);
	CHECK(!arena_mark(arena, &old));
	CHECK(!arena_reset(arena));
	CHECK(arena_alloc(arena, 24, GFP_KERNEL));
	CHECK(!arena_mark(arena, &mark));
	add_large();
	refused_rewind(old, -ESTALE);
	forged = mark;
	forged.used = forged.offset + 1;
	refused_rewind(forged, -EINVAL);
	forged = mark;
	forged.generation++;
	refused_rewind(forged, -ESTALE);
	forged = mark;
	forged.offset = arena_high(arena) + 1;
	refused_rewind(forged, -ESTALE);
	CHECK(!arena_rewind(arena, &mark));
	arena_destroy(arena);

	fill_with_large(ARENA_SPANS);
	add_large();
	refused_rewind(mark, -EOPNOTSUPP);
	arena_destroy(arena);
	return false;
}

/*
 * clause 13: a rewind fails if the tag would enter another eighth of its range before a grace
 * period has passed since it entered the last one
 */
static bool refused_rewind_near_eighth(unsigned long point)
{
	struct arena_mark mark;

	fill_with_large(point & 1 ? ARENA_READERS : 0);
	CHECK(!arena_reset(arena));
	arena_set_generation(arena, (1 + point) * ARENA_TAG_EIGHTH - ARENA_GEN_STEP);
	CHECK(arena_alloc(arena, 24, GFP_KERNEL));
	CHECK(!arena_mark(arena, &mark));
	add_large();
	/* Pretend that no grace period has passed since the tag entered its present eighth. */
	arena->wrapping = true;
	refused_rewind(mark, -EBUSY);
	look_before();
	CHECK(arena_reset(arena) == -EBUSY);
	nothing_changed();
	arena->wrapping = false;
	CHECK(!arena_rewind(arena, &mark));
	CHECK(arena_high(arena) == 24);
	rcu_barrier();
	CHECK(!arena->wrapping);
	arena_destroy(arena);
	return point < 16;
}

static void refused_reserve(size_t nr, size_t size, size_t align)
{
	struct arena_reserve reserve;

	look_before();
	CHECK(arena_reserve(arena, &reserve, nr, size, align, GFP_KERNEL) == -EINVAL);
	CHECK(!reserve.base && !arena_reserve_alloc(&reserve, 1, 1));
	stats_before.fail_arg++;
	nothing_changed();
}

/*
 * clause 5: arena_reserve() refuses and counts bad arguments, never wraps, and changes nothing else
 */
static bool bad_reservations(unsigned long flags)
{
	static const size_t aligns[] = { 0, 3, 24, PAGE_SIZE + 1 };
	size_t i;

	fill_with_large(flags & 1 ? ARENA_SPANS : 0);
	add_large();
	refused_reserve(0, 8, 8);
	refused_reserve(8, 0, 8);
	refused_reserve(0, 0, 8);
	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		refused_reserve(4, 8, aligns[i]);
	for (i = 2 * PAGE_SIZE; i; i *= 2)
		refused_reserve(1, 8, i);
	for (i = 0; i < 8; i++) {
		refused_reserve(1, SIZE_MAX - i, 8);
		refused_reserve(1, SIZE_MAX - i, PAGE_SIZE);
		refused_reserve(2, SIZE_MAX / 2 + 1 + i, 8);
		refused_reserve(SIZE_MAX / 2 + 1 + i, 2, 1 << i);
		refused_reserve(SIZE_MAX - i, 8 + i, 8);
		refused_reserve(SIZE_MAX / PAGE_SIZE + 1 + i, 1, PAGE_SIZE);
	}
	arena_destroy(arena);
	return flags < 2;
}

/* clause 5: populating no bytes, or more than the capacity, commits nothing */
static bool bad_populations(unsigned long flags)
{
	size_t i;

	fill_with_large(flags & 1 ? ARENA_READERS : 0);
	arena_reset_release(arena, 0);
	add_large();
	look_before();
	for (i = 0; i < 64; i++) {
		CHECK(arena_populate(arena, SIZE_MAX >> i, GFP_KERNEL) ==
		      (SIZE_MAX >> i <= SZ_256K ? 0 : -EINVAL));
		if (SIZE_MAX >> (i + 1) <= SZ_256K)
			break;
	}
	CHECK(arena_populate(arena, SZ_256K + 1, GFP_KERNEL) == -EINVAL);
	CHECK(!arena_populate(arena, 0, GFP_KERNEL));
	nothing_changed();
	arena_destroy(arena);
	return flags < 2;
}

/*
 * For interrupts that come again and again: the number of calls of user_point() from one to the
 * next.
 */
static unsigned long every;

static void alloc_a_slab(void)
{
	theirs = arena_alloc(arena, arena_slab_size(arena), ARENA_NOGROW);
	user_self.fuse = every;
}

static void reset_again(void)
{
	int err = arena_reset(arena);

	CHECK(!err || err == -EBUSY);
	user_self.fuse = every;
}

static void alloc_large(void)
{
	ours = arena_alloc(arena, 8 * arena_slab_size(arena), GFP_KERNEL);
}

static void alloc_zeroed_large(void)
{
	ours = arena_zalloc(arena, 100 * arena_slab_size(arena), GFP_KERNEL);
}

/*
 * Allocate and zero 192 KiB: three slabs of 64 KiB, or a part of a larger slab. The allocator
 * zeroes either of them in three steps.
 */
static void alloc_zeroed_steps(void)
{
	ours = arena_zalloc(arena, 3 * SZ_64K, GFP_KERNEL);
}

static void alloc_copy(void)
{
	static char source[SZ_256K];

	ours = arena_memdup(arena, source, sizeof(source), GFP_KERNEL);
}

static void alloc_string(void)
{
	static char source[SZ_256K];

	memset(source, 's', sizeof(source) - 1);
	ours = arena_strdup(arena, source, GFP_KERNEL);
}

static void alloc_batch(void)
{
	struct arena_part part[8] = { };
	struct arena_batch batch = { .part = part, .nr = ARRAY_SIZE(part), .align = 8 };
	u64 generation;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(part); i++)
		part[i].bytes = arena_slab_size(arena);
	ours = arena_claim_batch(arena, &batch, GFP_KERNEL, &generation) ? NULL : part;
}

/*
 * Run an operation, which must succeed although an interrupt comes again and again. @point selects
 * the interval. Returns false after the last interval.
 */
static bool beside_endless(unsigned long point, size_t capacity, size_t slab_size,
			   void (*operation)(void), void (*interrupt)(void))
{
	every = 60 + 15 * point;
	arena = create(capacity, slab_size, 0);
	CHECK(!arena_populate(arena, capacity, GFP_KERNEL));
	ours = NULL;
	interrupted_at(every, BY_IRQ, operation, interrupt);
	CHECK(ours);
	count_allocs();
	user_run_works();
	arena_destroy(arena);
	user_rcu_poll();
	return point < 20;
}

/*
 * clause 5: an allocation of several slabs succeeds while interrupts allocate, if all objects have
 * room
 */
static bool large_beside_allocations(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_4K, alloc_large, alloc_a_slab);
}

static bool batch_beside_allocations(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_4K, alloc_batch, alloc_a_slab);
}

/* clause 5: an allocation of several slabs succeeds although interrupts reset the arena */
static bool large_beside_resets(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_4K, alloc_large, reset_again);
}

static bool zeroed_large_beside_resets(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_4K, alloc_zeroed_large, reset_again);
}

static bool batch_beside_resets(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_4K, alloc_batch, reset_again);
}

/* clause 10: a copy in several chunks succeeds although interrupts reset the arena */
static bool copy_beside_resets(unsigned long point)
{
	return beside_endless(point, SZ_4M, SZ_256K, alloc_copy, reset_again);
}

/*
 * The number of calls of user_point() between the interrupt that resets the arena and the second
 * interrupt.
 */
static unsigned long gap;
static u64 allocs_seen;
static bool was_reset;

static void see_allocs(void)
{
	u64 allocs = count_allocs();

	CHECK(allocs >= allocs_seen);
	allocs_seen = allocs;
}

static void see_allocs_and_reset(void)
{
	see_allocs();
	CHECK(!arena_reset(arena));
	was_reset = true;
	user_interrupt = see_allocs;
	user_self.fuse = gap;
}

static bool allocs_seen_twice(unsigned long point, size_t slab_size, void (*operation)(void))
{
	was_reset = false;
	for (gap = 1; gap <= 60; gap++) {
		arena = create(SZ_1M, slab_size, 0);
		CHECK(!arena_populate(arena, SZ_1M, GFP_KERNEL));
		allocs_seen = 0;
		ours = NULL;
		interrupted_at(point, BY_IRQ, operation, see_allocs_and_reset);
		see_allocs();
		CHECK(ours && allocs_seen == 1);
		user_run_works();
		arena_destroy(arena);
		user_rcu_poll();
	}
	return was_reset;
}

/* clauses 4 and 8: the number of objects never falls, as the arena counts only complete objects */
static bool large_counts_when_complete(unsigned long point)
{
	return allocs_seen_twice(point, SZ_64K, alloc_zeroed_steps);
}

static bool zeroed_counts_when_complete(unsigned long point)
{
	return allocs_seen_twice(point, SZ_256K, alloc_zeroed_steps);
}

static bool copy_counts_when_complete(unsigned long point)
{
	return allocs_seen_twice(point, SZ_256K, alloc_copy);
}

static bool string_counts_when_complete(unsigned long point)
{
	return allocs_seen_twice(point, SZ_256K, alloc_string);
}

/*
 * clause 1: arena_resize() does not take an object for a part of an empty span that begins where
 * the object ends
 */
static bool resize_before_an_empty_span(unsigned long point)
{
	struct arena_reserve reserve;
	char *object, *next;

	arena = create(SZ_4M, SZ_2M, ARENA_SPANS);
	object = arena_alloc(arena, 70000, GFP_KERNEL);
	CHECK(object);
	CHECK(!arena_reserve(arena, &reserve, 1, 64, 8, GFP_KERNEL));
	CHECK(arena_unreserve(&reserve));
	CHECK(arena_resize(arena, object, 70000, 6000));
	next = arena_alloc(arena, 64, GFP_KERNEL);
	CHECK(next && (next + 64 <= object || next >= object + 70000));
	arena_destroy(arena);
	return false;
}

static size_t offset_seen;

static void see_offset(void)
{
	offset_seen = arena_offset(arena);
}

static void alloc_on_cpu(int cpu, size_t size)
{
	user_self.cpu = cpu;
	CHECK(arena_alloc(arena, size, ARENA_NOGROW));
}

/* CPU 1 resets the arena and allocates, while CPU 0 adds up what both CPUs have counted. */
static void reset_on_another_cpu(void)
{
	CHECK(!arena_reset(arena));
	alloc_on_cpu(1, 1024);
	user_self.cpu = 0;
}

/* clause 7: arena_offset() never adds up bytes of two generations */
static bool offset_beside_reset(unsigned long point)
{
	bool came;

	arena = create(SZ_64K, SZ_64K, ARENA_SPANS);
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	user_self.cpu = 1;
	CHECK(arena_alloc(arena, 8, GFP_KERNEL));
	user_self.cpu = 0;
	came = interrupted_at(point, BY_IRQ, see_offset, reset_on_another_cpu);
	CHECK(offset_seen <= 64 + 8 || offset_seen == 1024);
	CHECK(arena_offset(arena) == (came ? 1024 : 64 + 8));
	arena_destroy(arena);
	return came;
}

/*
 * Returns whether an allocation with @gfp warns. All memory is committed, so the arena need not
 * grow.
 */
static bool warns(gfp_t gfp)
{
	user_expect_warning = true;
	user_warned = false;
	CHECK(arena_alloc(arena, 64, gfp));
	user_expect_warning = false;
	return user_warned;
}

/* clause 2: the allocator checks a gfp that may sleep on every call */
static bool gfp_is_checked_on_the_fast_path(unsigned long flags)
{
	bool warned;

	arena = create(SZ_16K, SZ_16K, flags & 1 ? ARENA_SPANS : 0);
	CHECK(!warns(GFP_KERNEL));
	preempt_disable();
	CHECK(!warns(GFP_ATOMIC));
	warned = warns(GFP_KERNEL);
	preempt_enable();
	CHECK(warned);
	arena_destroy(arena);
	return flags < 2;
}

/* clause 2: a gfp flag that an arena cannot honour causes a warning */
static bool gfp_not_honoured(unsigned long flags)
{
	arena = create(SZ_16K, SZ_16K, flags & 1 ? ARENA_ACCOUNT : 0);
	CHECK(warns(GFP_KERNEL | __GFP_NOFAIL));
	arena_reset_release(arena, 0);
	CHECK(warns(GFP_KERNEL | __GFP_DMA));
	arena_reset_release(arena, 0);
	CHECK(warns(GFP_KERNEL | __GFP_DMA32));
	arena_reset_release(arena, 0);
	CHECK(warns(GFP_KERNEL_ACCOUNT) == !(flags & 1));
	arena_destroy(arena);
	return flags < 2;
}

/* The result of an operation whose task is killed, and whether it has once been -EINTR. */
static int outcome;
static bool was_killed;

static void be_killed(void)
{
	user_self.killed = true;
}

/*
 * Run @operation, and kill its task at call number @point of user_point(). The operation may end
 * with -EINTR, and does so at one of the places at least.
 */
static bool killed_at(unsigned long point, void (*operation)(void), void (*interrupt)(void))
{
	bool came = interrupted_at(point, BY_IRQ, operation, interrupt);

	user_self.killed = false;
	CHECK(!outcome || (came && outcome == -EINTR));
	was_killed = outcome || (was_killed && point > 1);
	CHECK(came || was_killed);
	return came;
}

/* Create an arena with all slabs committed, and each byte of them written. */
static void create_dirty(void)
{
	size_t i;

	arena = create(SZ_256K, SZ_16K, 0);
	CHECK(!arena_populate(arena, SZ_256K, GFP_KERNEL));
	for (i = 0; i < SZ_256K / SZ_16K; i++)
		memset(arena_alloc(arena, SZ_16K, ARENA_NOGROW), 0xff, SZ_16K);
}

static bool all_slabs_are_zero(void)
{
	size_t i;

	for (i = 0; i < SZ_256K; i += SZ_16K)
		if (!is_zero(arena_slab_base(arena, 0, i), SZ_16K))
			return false;
	return true;
}

static void populate_outcome(void)
{
	outcome = arena_populate(arena, SZ_256K, GFP_KERNEL);
}

static void alloc_128k_outcome(void)
{
	ours = arena_alloc(arena, SZ_128K, GFP_KERNEL);
	outcome = ours ? 0 : -EINTR;
}

static void batch_outcome(void)
{
	struct arena_part part[8] = { };
	struct arena_batch batch = { .part = part, .nr = ARRAY_SIZE(part), .align = 8 };
	u64 generation;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(part); i++)
		part[i].bytes = 24;
	outcome = arena_claim_batch(arena, &batch, GFP_KERNEL | __GFP_ZERO, &generation);
}

static void zero_outcome(void)
{
	outcome = arena_reset_asleep(arena, 0, true, true);
}

static void release_outcome(void)
{
	outcome = arena_reset_asleep(arena, SZ_64K, false, true);
}

/* clause 21: if the task is killed while it populates an arena, nothing is committed */
static bool killed_in_populate(unsigned long point)
{
	bool came;

	arena = create(SZ_256K, SZ_16K, ARENA_READERS);
	came = killed_at(point, populate_outcome, be_killed);
	CHECK(arena->committed.counter == (outcome ? 0 : 2 * SZ_256K));
	arena_destroy(arena);
	return came;
}

/* clauses 4 and 21: if the task is killed, it gets no object larger than a slab, and uses none */
static bool killed_in_large(unsigned long point)
{
	struct arena_stats stats;
	bool came;

	arena = create(SZ_256K, SZ_16K, 0);
	CHECK(!arena_populate(arena, SZ_256K, GFP_KERNEL));
	came = killed_at(point, alloc_128k_outcome, be_killed);
	arena_stats(arena, &stats);
	CHECK(stats.used == (ours ? SZ_128K : 0) && stats.allocs == !!ours);
	CHECK(stats.fail_memory == !ours && !stats.fail_space && !stats.fail_arg);
	arena_destroy(arena);
	return came;
}

static void reset_and_be_killed(void)
{
	CHECK(!arena_reset(arena));
	be_killed();
}

/* clauses 4 and 21: a batch that a reset frees is not tried again after the task was killed */
static bool killed_in_batch(unsigned long point)
{
	bool came;

	create_dirty();
	CHECK(!arena_reset(arena));
	came = killed_at(point, batch_outcome, reset_and_be_killed);
	CHECK(count_allocs() == SZ_256K / SZ_16K + (outcome ? 0 : 8));
	arena_destroy(arena);
	return came;
}

/* clause 21: a reset that was killed while it zeroed slabs has freed all objects */
static bool killed_in_reset_zero(unsigned long point)
{
	bool came;

	create_dirty();
	came = killed_at(point, zero_outcome, be_killed);
	CHECK(!arena_high(arena));
	CHECK(outcome || all_slabs_are_zero());
	/* The next reset zeroes what the killed one has left. */
	arena_reset_zero(arena);
	CHECK(all_slabs_are_zero());
	arena_destroy(arena);
	return came;
}

/* clause 21: a reset that was killed while it released slabs leaves the others to the next one */
static bool killed_in_reset_release(unsigned long point)
{
	bool came;

	create_dirty();
	came = killed_at(point, release_outcome, be_killed);
	CHECK(!arena_high(arena));
	CHECK(arena->committed.counter == arena->slabs_kept * SZ_16K);
	CHECK(arena->committed.counter == SZ_64K ||
	      (outcome && arena->committed.counter > SZ_64K));
	arena_reset_release(arena, 0);
	CHECK(!arena->committed.counter);
	arena_destroy(arena);
	return came;
}

/* clauses 2 and 9: small allocations, and the resets of kernel callers, work in a killed task */
static bool killed_before(unsigned long flags)
{
	create_dirty();
	user_self.killed = true;
	arena_reset_zero(arena);
	CHECK(all_slabs_are_zero());
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	arena_reset_release(arena, 0);
	CHECK(!arena->committed.counter);
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	user_self.killed = false;
	arena_destroy(arena);
	return false;
}

/* clause 21: a killed task does not wait for another CPU's late write to end */
static bool killed_before_settling(unsigned long flags)
{
	struct arena_cpu *other;

	arena = create(SZ_64K, SZ_16K, flags & 1 ? ARENA_SPANS : 0);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	user_self.cpu = 1;
	alloc_theirs();
	other = arena_write_begin(arena, arena_cpu_find(arena), arena->generation, theirs);
	user_self.cpu = 0;
	CHECK(theirs && other && !arena_reset(arena));
	user_self.killed = true;
	CHECK(!arena_alloc(arena, 64, GFP_KERNEL));
	user_self.killed = false;
	arena_write_end(arena, other);
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	arena_destroy(arena);
	return flags < 2;
}

/* clause 2: an allocation where RCU is not watching causes a warning */
static bool rcu_must_watch(unsigned long flags)
{
	arena = create(SZ_16K, SZ_16K, flags & 1 ? ARENA_SPANS : 0);
	CHECK(!warns(GFP_KERNEL));
	user_rcu_idle = true;
	CHECK(warns(ARENA_NOGROW));
	user_rcu_idle = false;
	arena_destroy(arena);
	return flags < 2;
}

/*
 * The typed arena of the cases below, and the four elements that fill_typed() allocates in it. Each
 * case then frees some of them.
 */
static struct arena_typed *typed;
static void *elements[4];

static void fill_typed(unsigned int flags)
{
	long element = 1;
	unsigned int i;

	typed = arena_typed_create("points", sizeof(element), 4, flags);
	CHECK(!IS_ERR(typed));
	for (i = 0; i < ARRAY_SIZE(elements); i++)
		CHECK((elements[i] = arena_typed_alloc(typed, &element)));
}

static void typed_alloc_ours(void)
{
	long element = 2;

	ours = arena_typed_alloc(typed, &element);
}

static void typed_alloc_theirs(void)
{
	long element = 3;

	theirs = arena_typed_alloc(typed, &element);
}

static void typed_free_third(void)
{
	arena_typed_free(typed, elements[2]);
}

static void typed_reset(void)
{
	CHECK(!arena_typed_reset(typed));
}

static void typed_create_outcome(void)
{
	typed = arena_typed_create("points", sizeof(long), SZ_64K, ARENA_READERS);
	outcome = PTR_ERR_OR_ZERO(typed);
}

/* clause 21: if the task is killed while it creates a typed arena, it gets none, and none leaks */
static bool killed_in_typed_create(unsigned long point)
{
	bool came = killed_at(point, typed_create_outcome, be_killed);

	if (!outcome)
		arena_typed_destroy(typed);
	arena_pool_drain();
	CHECK(!arena_total_pages());
	return came;
}

/* If at least one element is free, an NMI gets an element, whatever the NMI interrupts. */
static bool typed_nmi(unsigned long point, unsigned int flags, void (*operation)(void))
{
	bool came;

	ours = NULL;
	theirs = NULL;
	came = interrupted_at(point, BY_NMI, operation, typed_alloc_theirs);
	CHECK(theirs || !came);
	CHECK(!theirs || ours != theirs);
	/* The next allocation works as before. */
	if (flags)
		rcu_barrier();
	typed_alloc_ours();
	CHECK(ours && ours != theirs);
	arena_typed_destroy(typed);
	return came;
}

/*
 * clause 16: if N elements are free, N allocations succeed, even if some of them are made by NMIs
 */
static bool typed_nmi_in_alloc(unsigned long point)
{
	fill_typed(0);
	arena_typed_free(typed, elements[0]);
	arena_typed_free(typed, elements[1]);
	arena_typed_free(typed, elements[3]);
	return typed_nmi(point, 0, typed_alloc_ours);
}

static bool typed_nmi_in_free(unsigned long point)
{
	fill_typed(0);
	arena_typed_free(typed, elements[0]);
	return typed_nmi(point, 0, typed_free_third);
}

static bool typed_nmi_in_callback(unsigned long point)
{
	fill_typed(ARENA_READERS);
	arena_typed_free(typed, elements[0]);
	user_rcu_poll();
	arena_typed_free(typed, elements[1]);
	return typed_nmi(point, ARENA_READERS, user_rcu_poll);
}

static bool typed_nmi_in_reset(unsigned long point)
{
	fill_typed(0);
	arena_typed_free(typed, elements[0]);
	arena_typed_free(typed, elements[1]);
	return typed_nmi(point, 0, typed_reset);
}

/*
 * clause 10: if an interrupt resets the arena during an allocation, the allocation succeeds and
 * takes at most one element
 */
static bool typed_reset_in_alloc(unsigned long point, unsigned int flags)
{
	bool came;

	fill_typed(flags);
	typed_reset();
	rcu_barrier();
	came = interrupted_at(point, BY_IRQ, typed_alloc_ours, typed_reset);
	CHECK(ours && arena_typed_len(typed) <= 1);
	if (flags)
		rcu_barrier();
	arena_typed_destroy(typed);
	return came;
}

static bool typed_reset_in_alloc_plain(unsigned long point)
{
	return typed_reset_in_alloc(point, 0);
}

static bool typed_reset_in_alloc_readers(unsigned long point)
{
	return typed_reset_in_alloc(point, ARENA_READERS);
}

/* Allocate a zeroed object of three words. */
static void alloc_zeroed(void)
{
	ours = arena_zalloc(arena, 24, GFP_ATOMIC);
}

/*
 * clause 10: interrupts reset the arena, again and again, before the allocator has zeroed an
 * object. The allocation returns an object inside the arena, or NULL
 */
static bool zeroed_beside_resets(unsigned long point)
{
	bool ours_is_in_arena;
	void *base;

	every = 5 + point / 4;
	arena = create(SZ_64K, SZ_16K, (point & 1 ? ARENA_SPANS : 0) |
				       (point & 2 ? ARENA_ZERO : 0));
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	/* Reset the arena, as after a reset the slabs are not known to be zero. */
	CHECK(!arena_reset(arena));
	ours = NULL;
	interrupted_at(every, BY_IRQ, alloc_zeroed, reset_again);
	base = arena_slab_base(arena, 0, 0);
	ours_is_in_arena = ours >= base && ours + 24 <= base + SZ_16K;
	CHECK(ours_is_in_arena || !ours);
	arena_destroy(arena);
	user_rcu_poll();
	return point < 400;
}

static void zalloc_ours(void)
{
	ours = arena_zalloc(arena, 64, GFP_ATOMIC);
}

static void reset_ours(void)
{
	CHECK(!arena_reset(arena));
}

/*
 * clause 10: an interrupt settles the generation that a reset has begun, and writes in it. The
 * reset must not clear the bit in arena->written which says that this CPU writes in that generation
 */
static bool writer_beside_settling(unsigned long point)
{
	struct arena_cpu *cpu;
	struct arena_snap snap;
	unsigned long written;
	bool came;

	arena = create(SZ_64K, SZ_16K, ARENA_ZERO);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	/*
	 * Pretend that another CPU has the state that is part of the arena, so that this CPU needs
	 * a bit in arena->written.
	 */
	CHECK(!test_and_set_bit(ARENA_FIRST_USED, &arena->state));
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	theirs = NULL;
	came = interrupted_at(point, BY_IRQ, reset_ours, alloc_theirs);
	snap = arena_snap(arena);
	cpu = arena_cpu_find(arena);
	written = atomic_long_read(&arena->written);
	/*
	 * If this CPU has a window, it may write without setting its bit again: the bit must be
	 * set.
	 */
	if (cpu->zero_limit > cursor_start(snap.generation))
		CHECK(cursor_tag(written) == cursor_tag(snap.cursor) &&
		      written & ARENA_WRITTEN_MASK);
	arena_destroy(arena);
	return came;
}

/* clause 2: an allocation succeeds although an interrupt has just taken the rest of the span */
static bool span_taken_from_below(unsigned long point)
{
	bool came;

	arena = create(SZ_16K, SZ_16K, ARENA_SPANS);
	CHECK(!arena_populate(arena, SZ_16K, GFP_KERNEL));
	CHECK(!arena_reset(arena));
	do {
		CHECK(arena_alloc(arena, 64, ARENA_NOGROW));
	} while (arena->first_cpu.slot.limit - arena->first_cpu.slot.taken != 64);
	theirs = NULL;
	came = interrupted_at(point, BY_IRQ, zalloc_ours, alloc_theirs);
	CHECK(ours && (theirs || !came) && ours != theirs);
	arena_destroy(arena);
	return came;
}

static void alloc_word(void)
{
	theirs = arena_alloc(arena, 8, ARENA_NOGROW);
}

/*
 * clause 1: a refill that extends a span does not hand out bytes that an interrupt has taken from
 * the span
 */
static bool span_joined_from_below(unsigned long point)
{
	bool came;

	arena = create(SZ_16K, SZ_16K, ARENA_SPANS);
	CHECK(!arena_populate(arena, SZ_16K, GFP_KERNEL));
	do {
		CHECK(arena_alloc(arena, 8, ARENA_NOGROW));
	} while (arena->first_cpu.slot.limit - arena->first_cpu.slot.taken != 32);
	theirs = NULL;
	came = interrupted_at(point, BY_IRQ, alloc_ours, alloc_word);
	CHECK(ours && (theirs || !came));
	CHECK(!theirs || theirs + 8 <= ours || theirs >= ours + 64);
	count_allocs();
	arena_destroy(arena);
	return came;
}

/* clause 1: after a rewind to a mark at an odd offset, objects are aligned */
static bool rewind_to_odd_offset(unsigned long point)
{
	struct arena_mark mark;

	arena = create(SZ_16K, SZ_16K, 0);
	CHECK(arena_alloc_aligned(arena, 13, 1, GFP_KERNEL));
	CHECK(!arena_mark(arena, &mark));
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	CHECK(!arena_rewind(arena, &mark));
	CHECK(arena_alloc_aligned(arena, 8, 1, GFP_KERNEL));
	alloc_ours();
	CHECK(!((unsigned long)ours % ARENA_MIN_ALIGN));
	CHECK(arena_offset(arena) == 13 + 8 + 64);
	arena_destroy(arena);
	return false;
}

/* clause 13: a forged handle with a generation of the other slab set resolves to NULL */
static bool forged_handle_after_rewinds(unsigned long point)
{
	struct arena_mark mark;
	arena_handle_t handle;
	int i;

	arena = create(SZ_16K, SZ_16K, ARENA_READERS);
	CHECK(!arena_populate(arena, SZ_16K, GFP_KERNEL));
	for (i = 0; i < 2; i++) {
		alloc_ours();
		CHECK(!arena_mark(arena, &mark));
		alloc_ours();
		CHECK(!arena_rewind(arena, &mark));
	}
	for (handle = (arena_handle_t) { }; handle.generation < 64; handle.generation++) {
		void *object = arena_deref(arena, handle);

		CHECK(!object || !(handle.generation & ARENA_GEN_SET));
	}
	arena_destroy(arena);
	return false;
}

static void zalloc_odd(void)
{
	ours = arena_zalloc(arena, 13, GFP_KERNEL);
}

/* Allocate an object in committed memory, write to it, and give its end back. */
static void give_back_theirs(void)
{
	theirs = arena_alloc(arena, 64, ARENA_NOGROW);
	if (theirs) {
		memset(theirs, 0xff, 64);
		CHECK(arena_resize(arena, theirs, 64, 8));
	}
}

/*
 * clauses 6 and 28: an object has given bytes back. The allocator zeroes them for the next owner,
 * although the CPU that has installed the slab notes only afterwards that the slab was zero
 */
static bool given_back_while_installed(unsigned long point)
{
	bool came;

	/* Empty the pool: only the page allocator zeroes whole slabs. */
	arena_pool_drain();
	user_init_on_alloc = true;
	arena = create(SZ_64K, SZ_16K, 0);
	theirs = NULL;
	came = interrupted_at(point, BY_IRQ, zalloc_odd, give_back_theirs);
	CHECK(ours && is_zero(ours, 13));
	zalloc_odd();
	CHECK(ours && is_zero(ours, 13));
	user_init_on_alloc = false;
	arena_destroy(arena);
	return came;
}

static size_t kept;

/* Move the cursor ahead and, where arena_unreserve() can, back to where it was. */
static void reserve_and_unreserve(void)
{
	struct arena_reserve reserve;

	if (arena_reserve(arena, &reserve, 16, 8, 8, ARENA_NOGROW))
		return;
	memset(reserve.base, 0xff, 128);
	kept = 128 - arena_unreserve(&reserve);
	CHECK(!kept || kept == 128);
}

/*
 * clauses 1, 7 and 28: an operation gives the right result although the cursor moves away and comes
 * back to the word that the operation has read. If @fill is 8, the cursor comes back from the same
 * slab, and otherwise from the start of the next slab
 */
static bool beside_cursor_that_comes_back(unsigned long point, size_t fill, size_t size,
					  void (*operation)(void))
{
	char *next;
	bool came;

	arena = create(SZ_256K, SZ_4K, 0);
	CHECK(!arena_populate(arena, SZ_256K, GFP_KERNEL));
	CHECK(arena_alloc(arena, fill, GFP_KERNEL));
	kept = 0;
	came = interrupted_at(point, BY_IRQ, operation, reserve_and_unreserve);
	CHECK(ours && arena_offset(arena) == fill + size + kept);
	if (size <= SZ_4K)
		memset(ours, 0x11, size);
	next = arena_zalloc(arena, 128, GFP_KERNEL);
	CHECK(next && is_zero(next, 128));
	CHECK(size > SZ_4K || next >= (char *)ours + size || next + 128 <= (char *)ours);
	count_allocs();
	arena_destroy(arena);
	return came;
}

static bool cursor_comes_back(unsigned long point)
{
	static const struct {
		size_t	size;
		void	(*operation)(void);
	} ops[] = {
		{ 64, alloc_ours }, { 13, zalloc_odd }, { 8 * SZ_4K, alloc_large },
		{ 8 * SZ_4K, alloc_batch },
	};
	bool came = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		came |= beside_cursor_that_comes_back(point, 8, ops[i].size, ops[i].operation);
		came |= beside_cursor_that_comes_back(point, SZ_4K - 96, ops[i].size,
						      ops[i].operation);
	}
	return came;
}

static void reset_and_alloc(void)
{
	CHECK(!arena_reset(arena));
	alloc_theirs();
}

/*
 * clause 7: an interrupt resets the arena and allocates, while another CPU is about to take the
 * tail of this CPU's span. If the interrupted allocation gets an object of the old generation, its
 * bytes do not count in the new one.
 */
static bool reset_amid_collection(unsigned long point)
{
	bool came;

	arena = create(SZ_64K, SZ_16K, ARENA_SPANS);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	CHECK(arena_alloc(arena, 8, GFP_KERNEL));
	/* The other CPU has marked the span, and not cleared it yet. */
	WRITE_ONCE(arena->first_cpu.slot.revoked, true);
	came = interrupted_at(point, BY_IRQ, alloc_ours_atomic, reset_and_alloc);
	CHECK(ours && arena_offset(arena) <= arena_high(arena));
	WRITE_ONCE(arena->first_cpu.slot.revoked, false);
	CHECK(arena_alloc(arena, 8, GFP_KERNEL));
	CHECK(arena_offset(arena) <= arena_high(arena));
	arena_destroy(arena);
	return came;
}

static struct arena_cpu *writer;

static void reset_and_fail(void)
{
	CHECK(!arena_reset(arena));
	CHECK(!arena_alloc(arena, 64, GFP_ATOMIC));
}

/*
 * clause 1: an interrupt resets the arena while CPU 1 writes, so that the next generation is not
 * settled, and drops the span of this CPU. The interrupted fast path writes the span back, and
 * what is left of it is not extended later.
 */
static bool span_dropped_from_below(unsigned long point)
{
	struct arena_cpu *other;
	bool came;

	arena = create(SZ_64K, SZ_16K, ARENA_SPANS);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	CHECK(arena_alloc(arena, 64, GFP_KERNEL));
	user_self.cpu = 1;
	alloc_theirs();
	other = arena_write_begin(arena, arena_cpu_find(arena), arena->generation, theirs);
	user_self.cpu = 0;
	CHECK(theirs && other);
	came = interrupted_at(point, BY_IRQ, alloc_ours_atomic, reset_and_fail);
	arena_write_end(arena, other);
	if (came) {
		user_self.cpu = 1;
		alloc_theirs();
		user_self.cpu = 0;
		alloc_ours_atomic();
		CHECK(ours && theirs && ours != theirs);
	}
	arena_destroy(arena);
	return came;
}

/* Settle the generation on CPU 1, and begin to write to an object of it. */
static void settle_and_write(void)
{
	user_self.cpu = 1;
	alloc_theirs();
	writer = arena_write_begin(arena, arena_cpu_find(arena), arena->generation, theirs);
	user_self.cpu = 0;
	CHECK(theirs && writer);
}

/* clauses 2, 16: a CPU that settles and writes in a generation makes no allocation there fail */
static bool alloc_beside_settling_writer(unsigned long point)
{
	bool came;

	arena = create(SZ_64K, SZ_16K, 0);
	CHECK(!arena_populate(arena, SZ_64K, GFP_KERNEL));
	alloc_theirs();
	/* A writer of the first generation keeps the second one unsettled. */
	writer = arena_write_begin(arena, arena_cpu_find(arena), arena->generation, theirs);
	CHECK(writer && !arena_reset(arena));
	arena_write_end(arena, writer);
	theirs = NULL;
	came = interrupted_at(point, BY_IRQ, alloc_ours_atomic, settle_and_write);
	CHECK(ours && ours != theirs);
	if (came)
		arena_write_end(arena, writer);
	arena_destroy(arena);
	return came;
}

static struct arena_private private;

/* The first chunk has no room for this object. */
static void alloc_in_second_chunk(void)
{
	ours = arena_private_alloc(&private, SZ_4K, GFP_KERNEL);
}

static void reset_parent(void)
{
	CHECK(!arena_reset(arena));
}

/* clause 12: if the parent is reset while an arena takes a chunk there, that arena is void */
static bool parent_reset_while_chunk_taken(unsigned long point)
{
	struct arena_private_mark mark;
	bool came;

	arena = create(SZ_64K, SZ_16K, 0);
	CHECK(!arena_private_init_in(&private, arena, NULL, 0));
	CHECK(arena_private_alloc(&private, 64, GFP_KERNEL));
	mark = arena_private_mark(&private);
	user_expect_warning = true;
	came = interrupted_at(point, BY_TASK, alloc_in_second_chunk, reset_parent);
	user_expect_warning = false;
	CHECK(came || ours);
	CHECK(arena_private_rewind(&private, &mark) == (came ? -ESTALE : 0));
	arena_private_reset(&private);
	CHECK(arena_private_alloc(&private, 64, GFP_KERNEL));
	arena_private_destroy(&private);
	arena_destroy(arena);
	return came;
}

static size_t seen;

static void look_at_offset(void)
{
	seen = arena_offset(arena);
}

/* CPU 1 counts an object, and CPU 0 subtracts the bytes that the object gives back. */
static void give_back_on_another_cpu(void)
{
	user_self.cpu = 1;
	alloc_theirs();
	user_self.cpu = 0;
	CHECK(theirs && arena_resize(arena, theirs, 64, 8));
}

/*
 * clause 7: arena_offset() does not return a negative number if it reads the subtraction of CPU 0,
 * but has read the count of CPU 1 before the addition
 */
static bool offset_beside_a_resize(unsigned long point)
{
	bool came;

	arena = create(SZ_16K, SZ_16K, 0);
	CHECK(arena_alloc(arena, 13, GFP_KERNEL));
	user_self.cpu = 1;
	CHECK(arena_alloc(arena, 8, GFP_KERNEL));
	user_self.cpu = 0;
	came = interrupted_at(point, BY_TASK, look_at_offset, give_back_on_another_cpu);
	CHECK(seen <= 13 + 8 + 64);
	look_at_offset();
	CHECK(seen == 13 + 8 + 8 * came);
	arena_destroy(arena);
	return came;
}

static const struct {
	const char	*name;
	bool		(*run)(unsigned long point);
} tests[] = {
	{ "grow_budget_of_one_slab", grow_budget_of_one_slab },
	{ "grow_from_pool_of_one_slab", grow_from_pool_of_one_slab },
	{ "grow_budget_of_one_pieced_slab", grow_budget_of_one_pieced_slab },
	{ "large_beside_release_of_pieced_slabs", large_beside_release_of_pieced_slabs },
	{ "deref_beside_release_of_pieced_slabs", deref_beside_release_of_pieced_slabs },
	{ "populate_budget_of_one_arena", populate_budget_of_one_arena },
	{ "tail_of_a_released_slab", tail_of_a_released_slab },
	{ "page_not_committed", page_not_committed },
	{ "tail_in_reclaim", tail_in_reclaim },
	{ "release_beside_reset_rcu", release_beside_reset_rcu },
	{ "shrink_beside_alloc", shrink_beside_alloc },
	{ "shrink_beside_alloc_from_span", shrink_beside_alloc_from_span },
	{ "alloc_amid_shrink", alloc_amid_shrink },
	{ "shrink_beside_reset_rcu", shrink_beside_reset_rcu },
	{ "refused_reset_rcu_undone", refused_reset_rcu_undone },
	{ "refused_rewind_changes_nothing", refused_rewind_changes_nothing },
	{ "refused_rewind_near_eighth", refused_rewind_near_eighth },
	{ "bad_reservations", bad_reservations },
	{ "bad_populations", bad_populations },
	{ "large_beside_allocations", large_beside_allocations },
	{ "batch_beside_allocations", batch_beside_allocations },
	{ "large_beside_resets", large_beside_resets },
	{ "zeroed_large_beside_resets", zeroed_large_beside_resets },
	{ "batch_beside_resets", batch_beside_resets },
	{ "copy_beside_resets", copy_beside_resets },
	{ "resize_before_an_empty_span", resize_before_an_empty_span },
	{ "offset_beside_reset", offset_beside_reset },
	{ "large_counts_when_complete", large_counts_when_complete },
	{ "zeroed_counts_when_complete", zeroed_counts_when_complete },
	{ "copy_counts_when_complete", copy_counts_when_complete },
	{ "string_counts_when_complete", string_counts_when_complete },
	{ "typed_nmi_in_alloc", typed_nmi_in_alloc },
	{ "typed_nmi_in_free", typed_nmi_in_free },
	{ "typed_nmi_in_callback", typed_nmi_in_callback },
	{ "typed_nmi_in_reset", typed_nmi_in_reset },
	{ "typed_reset_in_alloc_plain", typed_reset_in_alloc_plain },
	{ "typed_reset_in_alloc_readers", typed_reset_in_alloc_readers },
	{ "zeroed_beside_resets", zeroed_beside_resets },
	{ "writer_beside_settling", writer_beside_settling },
	{ "span_taken_from_below", span_taken_from_below },
	{ "span_joined_from_below", span_joined_from_below },
	{ "rewind_to_odd_offset", rewind_to_odd_offset },
	{ "forged_handle_after_rewinds", forged_handle_after_rewinds },
	{ "given_back_while_installed", given_back_while_installed },
	{ "cursor_comes_back", cursor_comes_back },
	{ "offset_beside_a_resize", offset_beside_a_resize },
	{ "reset_amid_collection", reset_amid_collection },
	{ "span_dropped_from_below", span_dropped_from_below },
	{ "alloc_beside_settling_writer", alloc_beside_settling_writer },
	{ "parent_reset_while_chunk_taken", parent_reset_while_chunk_taken },
	{ "gfp_is_checked_on_the_fast_path", gfp_is_checked_on_the_fast_path },
	{ "gfp_not_honoured", gfp_not_honoured },
	{ "rcu_must_watch", rcu_must_watch },
	{ "killed_in_populate", killed_in_populate },
	{ "killed_in_large", killed_in_large },
	{ "killed_in_batch", killed_in_batch },
	{ "killed_in_reset_zero", killed_in_reset_zero },
	{ "killed_in_reset_release", killed_in_reset_release },
	{ "killed_in_typed_create", killed_in_typed_create },
	{ "killed_before", killed_before },
	{ "killed_before_settling", killed_before_settling },
};

static void run(const char *name)
{
	unsigned long point, i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (name && strcmp(name, tests[i].name))
			continue;
		for (point = 1; tests[i].run(point); point++)
			CHECK(point < POINTS_MAX);
		printf("ok: %s: %lu places\n", tests[i].name, point - 1);
	}
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	setbuf(stdout, NULL);
	/* Kill the program if a test hangs. */
	alarm(3600);
	CHECK(!arena_pool_init());
	arena_cpus_setup();
	run(name);
	/*
	 * Run all tests again, with the table of states that a machine has whose CPUs do not fit in
	 * one leaf of the table.
	 */
	static_branch_disable(&arena_flat);
	run(name);
	rcu_barrier();
	user_run_works();
	arena_pool_exit();
	CHECK(!arena_total_pages() && !user_blocks && !user_objects);
	return 0;
}
