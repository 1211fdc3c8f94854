// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the life of an arena: creation, the state of each CPU, resets, statistics, destruction.
 */
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sizes.h>

#include "core/cursor.h"
#include "arena_test.h"

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

#define CAPACITY	(8 * SLAB)

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, 0);
}

/*
 * Creation
 */
static const struct arena_config good_config = {
	.name = "good",
	.capacity = CAPACITY,
	.slab_size = SLAB,
};

static void expect_create(struct kunit *test, const struct arena_config *config, int err,
			  const char *what)
{
	struct arena *arena = arena_create(config);

	if (err) {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(arena), err, "%s", what);
	} else {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(arena), 0, "%s", what);
		KUNIT_EXPECT_NOT_NULL_MSG(test, arena, "%s", what);
	}
	if (!IS_ERR_OR_NULL(arena))
		arena_destroy(arena);
}

/* Clause 5: arena_create() refuses a configuration in which any single field is bad. */
static void create_bad_config_einval(struct kunit *test)
{
	static const size_t bad_capacity[] = { 0, SIZE_MAX, SIZE_MAX / 2 + 1 };
	static const size_t bad_slab_size[] = {
		1, PAGE_SIZE / 2, PAGE_SIZE - 1, PAGE_SIZE + 1, 3 * PAGE_SIZE,
		SZ_4M, SIZE_MAX, SIZE_MAX / 2 + 1,
	};
	static const int bad_node[] = { -2, MAX_NUMNODES, INT_MAX, INT_MIN };
	struct arena_config config;
	char what[48];
	int i;

	expect_create(test, &good_config, 0, "good configuration");
	for (i = 0; i < ARRAY_SIZE(bad_capacity); i++) {
		config = good_config;
		config.capacity = bad_capacity[i];
		snprintf(what, sizeof(what), "capacity %zx", bad_capacity[i]);
		expect_create(test, &config, -EINVAL, what);
	}
	config = good_config;
	config.capacity = arena_capacity_max() + 1;
	expect_create(test, &config, -EINVAL, "capacity above the maximum");

	for (i = 0; i < ARRAY_SIZE(bad_slab_size); i++) {
		config = good_config;
		config.slab_size = bad_slab_size[i];
		snprintf(what, sizeof(what), "slab size %zx", bad_slab_size[i]);
		expect_create(test, &config, -EINVAL, what);
	}
	for (i = 0; i < ARRAY_SIZE(bad_node); i++) {
		config = good_config;
		config.node = bad_node[i];
		config.flags = ARENA_ON_NODE;
		snprintf(what, sizeof(what), "node %d", bad_node[i]);
		expect_create(test, &config, -EINVAL, what);
		config.flags = 0;
		expect_create(test, &config, 0, "a node that is not asked for");
	}
	for (i = 0; i < BITS_PER_TYPE(config.flags); i++) {
		const unsigned int known = ARENA_SPANS | ARENA_ON_NODE | ARENA_ACCOUNT |
					   ARENA_ZERO | ARENA_READERS | ARENA_SHRINK;

		config = good_config;
		config.node = first_online_node;
		config.flags = BIT(i);
		snprintf(what, sizeof(what), "flags %x", config.flags);
		expect_create(test, &config, config.flags & known ? 0 : -EINVAL, what);
	}
}

static void create_good_config_ok(struct kunit *test)
{
	static const size_t capacity[] = {
		1, 7, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, SZ_1M, SZ_16M + 3,
	};
	static const size_t slab_size[] = { 0, PAGE_SIZE, SZ_64K, SZ_2M };
	struct arena_config config = { };
	char name[] = "a name that is far longer than any name that one wants to keep of an arena";
	unsigned int flags, cases = 0;
	struct arena *arena;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(capacity); i++) {
		for (j = 0; j < ARRAY_SIZE(slab_size); j++) {
			for (flags = 0; flags < 2; flags++) {
				config.capacity = capacity[i];
				config.slab_size = slab_size[j];
				config.flags = flags ? ARENA_SPANS : 0;
				arena = arena_create(&config);
				KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
				KUNIT_EXPECT_EQ(test, arena_capacity(arena), capacity[i]);
				KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
				KUNIT_EXPECT_EQ(test, arena_high(arena), 0);
				KUNIT_EXPECT_NOT_NULL(test, arena_alloc_aligned(arena, 1, 1,
										GFP_KERNEL));
				if (slab_size[j])
					KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slab_size,
							slab_size[j]);
				arena_destroy(arena);
				cases++;
			}
		}
	}
	KUNIT_EXPECT_EQ(test, cases,
			2 * ARRAY_SIZE(capacity) * ARRAY_SIZE(slab_size));

	/* The arena copies the name, so the caller may reuse its memory. */
	config.name = name;
	arena = arena_create(&config);
	memset(name, 0xff, sizeof(name) - 1);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_EXPECT_STREQ(test, arena->name, "a name that is far longer than ");
	arena_destroy(arena);
	config.name = NULL;
	arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_EXPECT_STREQ(test, arena->name, "");
	arena_destroy(arena);

	/* In the largest possible arena, an allocation of one byte commits one slab. */
	config = (struct arena_config) {
		.capacity = arena_capacity_max(),
		.slab_size = SZ_2M,
	};
	arena = arena_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 1, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, SZ_2M);
	arena_destroy(arena);
}

/* A new arena has committed nothing, and all its counts are 0. */
static void create_new_arena_uses_nothing(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats s = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, s.capacity, CAPACITY);
	KUNIT_EXPECT_EQ(test, s.slab_size, SLAB);
	KUNIT_EXPECT_EQ(test, s.free, CAPACITY);
	KUNIT_EXPECT_EQ(test, s.used, 0);
	KUNIT_EXPECT_EQ(test, s.padding, 0);
	KUNIT_EXPECT_EQ(test, s.high, 0);
	KUNIT_EXPECT_EQ(test, s.peak, 0);
	KUNIT_EXPECT_EQ(test, s.committed, 0);
	KUNIT_EXPECT_EQ(test, s.committed_peak, 0);
	KUNIT_EXPECT_EQ(test, s.slabs, 0);
	KUNIT_EXPECT_EQ(test, s.slabs_kept, 0);
	KUNIT_EXPECT_EQ(test, s.resets, 0);
	KUNIT_EXPECT_EQ(test, s.allocs, 0);
	KUNIT_EXPECT_EQ(test, s.fail_space, 0);
	KUNIT_EXPECT_EQ(test, s.fail_memory, 0);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 0);
	KUNIT_EXPECT_EQ(test, s.page_allocs, 0);
	KUNIT_EXPECT_EQ(test, s.page_frees, 0);
	KUNIT_EXPECT_EQ(test, s.pool_hits, 0);
	arena_expect_sane(test, arena);
}

/* Each call allocates the same series of objects, with patterns that depend on @seed. */
static void work(struct kunit *test, struct arena *arena, u32 seed)
{
	struct arena_extent ext[48];
	size_t used = 0;
	int n;

	for (n = 0; n < ARRAY_SIZE(ext); n++) {
		size_t size = 1 + (n * 97) % 900;
		void *ptr = arena_alloc(arena, size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		arena_pattern_fill(ptr, size, seed + n);
		ext[n] = (struct arena_extent){ ptr, size, seed + n };
		used += size;
	}
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	arena_expect_sane(test, arena);
}

/* Clause 9: arena_reset() keeps all slabs, and the same objects fit into these slabs again. */
static void reset_keep_reuses_slabs(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats first, s;
	int round;

	work(test, arena, 0);
	first = arena_test_stats(arena);
	KUNIT_EXPECT_GE(test, first.slabs, 2);
	for (round = 1; round < 20; round++) {
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		KUNIT_EXPECT_EQ(test, s.padding, 0);
		KUNIT_EXPECT_EQ(test, s.high, 0);
		KUNIT_EXPECT_EQ(test, s.free, CAPACITY);
		KUNIT_EXPECT_EQ(test, s.peak, first.high);
		KUNIT_EXPECT_EQ(test, s.resets, round);
		KUNIT_EXPECT_EQ(test, s.slabs, first.slabs);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, first.slabs);
		work(test, arena, round);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.page_allocs, first.page_allocs);
		KUNIT_EXPECT_EQ(test, s.pool_hits, first.pool_hits);
		KUNIT_EXPECT_EQ(test, s.page_frees, first.page_frees);
		KUNIT_EXPECT_EQ(test, s.used, first.used);
		KUNIT_EXPECT_EQ(test, s.high, first.high);
		KUNIT_EXPECT_EQ(test, s.padding, first.padding);
	}
}

/* Clauses 9, 13: the generation grows at every reset of every kind. */
static void reset_any_kind_generation_grows(struct kunit *test)
{
	struct arena *arena = usual(test);
	u64 last = arena_test_stats(arena).generation;
	int i;

	for (i = 0; i < 1000; i++) {
		u64 now;

		switch (i % 5) {
		case 0:
			arena_reset_release(arena, 0);
			break;
		case 1:
			arena_reset_zero(arena);
			break;
		default:
			KUNIT_ASSERT_EQ(test, 0, arena_reset(arena));
		}
		now = arena_test_stats(arena).generation;
		KUNIT_EXPECT_GT(test, now, last);
		last = now;
		if (i % 3 == 0)
			KUNIT_ASSERT_NOT_NULL(test, arena_zalloc(arena, 100, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).resets, 1000);
}

/* Clause 9: arena_reset_release() gives back all slabs but those that the caller asked to keep. */
static void reset_release_keeps_asked_slabs(struct kunit *test)
{
	static const size_t keep[] = {
		0, 1, SLAB - 1, SLAB, SLAB + 1, 3 * SLAB, CAPACITY, SIZE_MAX,
	};
	const size_t all = CAPACITY / SLAB;
	int i;

	for (i = 0; i < ARRAY_SIZE(keep); i++) {
		size_t want = min(all, DIV_ROUND_UP(min(keep[i], CAPACITY), SLAB));
		struct arena *arena = usual(test);
		struct arena_stats s;

		KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
		work(test, arena, i);
		arena_reset_release(arena, keep[i]);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ_MSG(test, s.slabs, want, "keep %zx", keep[i]);
		KUNIT_EXPECT_EQ(test, s.slabs_kept, want);
		KUNIT_EXPECT_EQ(test, s.committed, want * SLAB);
		KUNIT_EXPECT_EQ(test, s.committed_peak, CAPACITY);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		KUNIT_EXPECT_EQ(test, s.resets, 1);

		/* Without growth, allocations can use exactly the slabs that were kept. */
		if (arena_test_is_dense(test))
			KUNIT_EXPECT_EQ(test, arena_test_fill(test, arena, 64, 64, ARENA_NOGROW),
					want * SLAB / 64);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		work(test, arena, i);
		kunit_release_action(test, arena_test_destroy, arena);
	}
}

/*
 * Clause 8: the peak is the highest offset that objects of any generation have reached. The high
 * offset is that of the current generation.
 */
static void reset_peak_kept_high_cleared(struct kunit *test)
{
	static const size_t objects[] = { 10, 500, 20, 400, 501, 1 };
	struct arena *arena = usual(test);
	size_t peak = 0;
	int i, n;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		struct arena_stats s;

		for (n = 0; n < objects[i]; n++)
			KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 128, GFP_KERNEL));
		s = arena_test_stats(arena);
		peak = max(peak, s.high);
		KUNIT_EXPECT_EQ(test, s.used, objects[i] * 128);
		KUNIT_EXPECT_GE(test, s.high, s.used);
		if (arena_test_is_dense(test))
			KUNIT_EXPECT_EQ(test, s.high, s.used);
		KUNIT_EXPECT_EQ(test, s.peak, peak);
		KUNIT_EXPECT_EQ(test, arena_high(arena), s.high);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).peak, peak);
	}
}

/*
 * Statistics while other threads allocate
 */
static void alloc_until_full(struct arena_hand *hand)
{
	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew) && arena_alloc(hand->crew->arena, 40, GFP_KERNEL))
		hand->allocs++;
}

/* Clause 7: while other threads allocate, arena_offset() never falls. Afterwards it is exact. */
static void offset_during_allocation_monotonic(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const size_t capacity = SZ_256K;
	struct arena *arena = arena_test_create(test, capacity, SLAB, kind->flags);
	struct arena_crew *crew = arena_crew_create(test, arena, 3, 0);
	unsigned long looks = 0, back = 0, beyond = 0, moved = 0, patience = 0;
	unsigned int i, round;

	for (round = 0; round < 10 || ((looks <= 10 || moved <= 3) && arena_patient(&patience));
	     round++) {
		size_t last = 0, last_high = 0;
		u64 last_allocs = 0;

		arena_crew_go(crew, alloc_until_full, 1000);
		while (atomic_read(&crew->busy)) {
			size_t now = arena_offset(arena), high = arena_high(arena);
			struct arena_stats s = arena_test_stats(arena);

			back += now < last || high < last_high || s.used < now ||
				s.allocs < last_allocs;
			beyond += s.used > capacity || high > capacity || s.high > capacity ||
				  s.used > s.high;
			moved += now != last;
			last = now;
			last_high = high;
			last_allocs = s.allocs;
			looks++;
			cond_resched();
		}
		arena_crew_wait(crew);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 40 * arena_crew_allocs(crew));
		arena_expect_sane(test, arena);
		KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
	}
	KUNIT_EXPECT_EQ(test, back, 0);
	KUNIT_EXPECT_EQ(test, beyond, 0);
	/* The case has shown something only if some reads found that the offset had moved. */
	KUNIT_EXPECT_GT(test, looks, 10);
	KUNIT_EXPECT_GT(test, moved, 3);
}

/*
 * An arena can be destroyed right after its creation, after a reset, and while it has objects
 * larger than a slab, whose views must be unmapped.
 */
static void destroy_any_state_ok(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena_config config = good_config;
	int i, cases = 0;

	config.flags = kind->flags;
	for (i = 0; i < 6; i++) {
		struct arena *arena = arena_create(&config);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
		if (i >= 1)
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 10, GFP_KERNEL));
		if (i >= 2)
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 2 * SLAB, GFP_KERNEL));
		if (i >= 3)
			KUNIT_EXPECT_EQ(test, 0, arena_reset(arena));
		if (i >= 4)
			KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, CAPACITY, GFP_KERNEL));
		if (i >= 5)
			arena_reset_release(arena, 0);
		arena_destroy(arena);
		cases++;
	}
	KUNIT_EXPECT_EQ(test, cases, 6);
}

static unsigned int nr_states(const struct arena *arena)
{
	const struct arena_cpu *cpu;
	unsigned int nr = 0;

	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		nr++;
	return nr;
}

/*
 * Clause 25: a new arena has no state for any CPU. The first allocation on a CPU creates the state
 * of that CPU only, and a reset keeps it.
 */
static void alloc_first_on_cpu_creates_state(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	unsigned int cpu = get_cpu(), round;

	put_cpu();
	KUNIT_EXPECT_EQ(test, nr_states(arena), 0);
	KUNIT_EXPECT_LE(test, sizeof(struct arena_cpu) + sizeof(struct arena_leaf), 512);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
	for (round = 0; round < 3; round++) {
		KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, nr_states(arena), 1);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 64);
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, round + 1);
		arena_reset(arena);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 4, 25: the first allocation from an arena commits one slab and is counted like any other.
 * If it is larger than the arena, or must not grow the arena, it fails and commits nothing.
 */
static void alloc_first_commits_what_it_uses(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, 64, SLAB, kind->flags);
	struct arena_stats s;

	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 96, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 32, ARENA_NOGROW));
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.committed, 0);
	KUNIT_EXPECT_EQ(test, s.allocs, 0);
	KUNIT_EXPECT_EQ(test, s.fail_space, 1);
	KUNIT_EXPECT_EQ(test, s.fail_memory, 1);

	arena = arena_test_create(test, CAPACITY, SLAB, kind->flags);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 96, GFP_KERNEL));
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.slabs, 1);
	KUNIT_EXPECT_EQ(test, s.allocs, 1);
	KUNIT_EXPECT_EQ(test, s.used, 96);
	KUNIT_EXPECT_EQ(test, s.page_allocs + s.pool_hits, 1);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 2, 8, 25: with ARENA_NOGROW, an allocation uses committed memory, even if its CPU has no
 * state in the arena and gets none. The arena counts each byte, object and failure. The counts
 * remain right when the arena is reset, and when the CPU later gets a state, which has counts of
 * its own.
 */
static void alloc_without_cpu_state_counted(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	struct arena_stats s;
	unsigned int i, n;
	u8 *ptr;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, SZ_64K, GFP_KERNEL), 0);
	/*
	 * Pretend that another CPU uses arena->first_cpu, the state that is part of the arena. The
	 * current CPU would then need memory for a state, which ARENA_NOGROW does not permit.
	 */
	set_bit(ARENA_FIRST_USED, &arena->state);
	for (n = 0; n < 2; n++) {
		for (i = 0; (ptr = arena_zalloc(arena, 100, ARENA_NOGROW)); i++) {
			KUNIT_ASSERT_NULL(test, memchr_inv(ptr, 0, 100));
			memset(ptr, 0x5a, 100);
		}
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, i, SZ_64K / 104);
		KUNIT_EXPECT_EQ(test, nr_states(arena), 0);
		KUNIT_EXPECT_EQ(test, s.used, i * 100);
		KUNIT_EXPECT_EQ(test, s.allocs, (n + 1) * i);
		KUNIT_EXPECT_EQ(test, s.fail_space, n + 1);
		arena_expect_sane(test, arena);
		arena_reset(arena);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, ARENA_NOGROW));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	KUNIT_EXPECT_GE(test, nr_states(arena), 1);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 264);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, 2 * i + 3);
	arena_expect_sane(test, arena);
}

static unsigned int nr_written(struct arena *arena)
{
	return hweight_long(atomic_long_read(&arena->written) & ARENA_WRITTEN_MASK);
}

static int run_on(unsigned int cpu)
{
	return set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

/*
 * Clauses 9, 10: a reset looks only at CPUs on which the allocator has written since the reset
 * before, and at the CPU that used the arena first. The case sets cpu->writers of the second CPU,
 * as if that CPU were writing. If the second CPU has written in the last generation, the new
 * generation remains unsettled. Otherwise the reset does not look at that CPU, and allocations
 * succeed.
 */
static void reset_cpus_that_wrote_looked_at(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	unsigned int first = raw_smp_processor_id(), second, round;
	struct arena_cpu *cpu;

	second = cpumask_any_but(cpu_online_mask, first);
	if (second >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, run_on(second), 0);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	cpu = arena_cpu_nr(arena, second);
	KUNIT_ASSERT_PTR_EQ(test, cpu, arena->cpus);
	for (round = 0; round < 3; round++) {
		/*
		 * After a reset, a kept slab holds bytes of the former generation, so
		 * arena_zalloc() zeroes them, which counts as a write.
		 */
		KUNIT_ASSERT_EQ(test, run_on(first), 0);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, nr_written(arena), 0);
		KUNIT_ASSERT_EQ(test, run_on(second), 0);
		KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, 64, ARENA_NOGROW));
		KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, 60, ARENA_NOGROW));
		KUNIT_EXPECT_EQ(test, nr_written(arena), 1);

		WRITE_ONCE(cpu->writers, 1);
		KUNIT_ASSERT_EQ(test, run_on(first), 0);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 64, ARENA_NOGROW));
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NULL(test, arena_alloc(arena, 64, ARENA_NOGROW));
		WRITE_ONCE(cpu->writers, 0);
		KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, 64, ARENA_NOGROW));
		KUNIT_EXPECT_EQ(test, nr_written(arena), 0);

		WRITE_ONCE(cpu->writers, 1);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_NOT_NULL(test, arena_zalloc(arena, 64, ARENA_NOGROW));
		WRITE_ONCE(cpu->writers, 0);
	}
	arena_expect_sane(test, arena);
}

#ifdef MODULE
static void write_after_generation_refused(struct kunit *test)
{
	kunit_skip(test, "needs functions that modules do not have");
}
#else
/*
 * Clause 10: a CPU sets its bit in arena->written before it writes, as the next reset looks only at
 * CPUs with a bit. If the generation is over, the CPU must not write, sets no bit, and leaves the
 * bits of the newer generation.
 */
static void write_after_generation_refused(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, SZ_64K, SZ_64K, kind->flags);
	unsigned long generation;
	struct arena_cpu *cpu;
	void *ptr;

	/*
	 * Pretend that another CPU has used the arena first. Otherwise this CPU would be the first
	 * one, which sets no bit in arena->written.
	 */
	set_bit(ARENA_FIRST_USED, &arena->state);
	KUNIT_ASSERT_NOT_NULL(test, arena_alloc(arena, 64, GFP_KERNEL));
	preempt_disable();
	cpu = arena_cpu_find(arena);
	generation = __arena_snap(arena).generation;
	KUNIT_EXPECT_TRUE(test, arena_may_write(arena, cpu, generation));
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	ptr = arena_zalloc(arena, 60, ARENA_NOGROW);
	KUNIT_EXPECT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_EQ(test, nr_written(arena), 1);
	KUNIT_EXPECT_FALSE(test, arena_may_write(arena, cpu, generation));
	KUNIT_EXPECT_EQ(test, nr_written(arena), 1);
	KUNIT_EXPECT_NULL(test, arena_write_begin(arena, cpu, generation, ptr));
	KUNIT_EXPECT_EQ(test, cpu->writers, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&arena->writers), 0);
	preempt_enable();
	arena_expect_sane(test, arena);
}
#endif

static struct kunit_case arena_lifetime_cases[] = {
	KUNIT_CASE(create_bad_config_einval),
	KUNIT_CASE(create_good_config_ok),
	KUNIT_CASE_PARAM(create_new_arena_uses_nothing, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_keep_reuses_slabs, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_any_kind_generation_grows, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_release_keeps_asked_slabs, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_peak_kept_high_cleared, arena_kind_gen_params),
	KUNIT_CASE_PARAM(offset_during_allocation_monotonic, arena_kind_gen_params),
	KUNIT_CASE_PARAM(destroy_any_state_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_first_on_cpu_creates_state, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_first_commits_what_it_uses, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_without_cpu_state_counted, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_cpus_that_wrote_looked_at, arena_kind_gen_params),
	KUNIT_CASE_PARAM(write_after_generation_refused, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_lifetime_suite = {
	.name = "arena_lifetime",
	.suite_init = arena_test_suite_init,
	.init = arena_test_stay_on_cpu,
	.test_cases = arena_lifetime_cases,
};

kunit_test_suite(arena_lifetime_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: creation, resets, destruction");
MODULE_LICENSE("GPL");
