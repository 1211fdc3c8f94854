// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of arena_reset_rcu(): an object that an RCU reader has found stays until the reader leaves,
 * the reset does not wait, and the memory becomes free again without any further call.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		6
#define CAPACITY	(8 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, ARENA_READERS);
}

/*
 * Calls arena_reset_rcu() until it succeeds. Returns how often it returned -EBUSY before, or -1 if
 * it never succeeded.
 */
static int reset_patiently(struct arena *arena)
{
	unsigned long until = 0;
	int ticks = 0, err;

	do {
		err = arena_reset_rcu(arena);
	} while (err == -EBUSY && ++ticks && arena_sleep_until(&until));
	return err ? -1 : ticks;
}

/* Clause 11: arena_reset_rcu() needs an arena with ARENA_READERS. */
static void reset_rcu_without_readers_eopnotsupp(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, kind->flags);
	struct arena_stats was;

	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 100, GFP_KERNEL));
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), -EOPNOTSUPP);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "a refused reset");
}

/* Sizes of the objects that a reader uses; one is larger than a slab. */
static const size_t sizes[] = { 1, 8, 100, 4096, SLAB, 2 * SLAB + 5, 30, SLAB - 8 };

static void take_all(struct kunit *test, struct arena *arena, struct arena_extent *ext, u32 owner)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *ptr = arena_alloc(arena, sizes[i], GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, ptr);
		arena_pattern_fill(ptr, sizes[i], owner + i);
		ext[i] = (struct arena_extent){ ptr, sizes[i], owner + i };
	}
}

/* Fill the rest of the arena with objects, and write to them. Returns the sum of their sizes. */
static size_t soil(struct arena *arena, gfp_t gfp)
{
	size_t n = 0, size;
	void *ptr;

	for (size = SLAB; size >= 8; size /= 2)
		while ((ptr = arena_alloc(arena, size, gfp))) {
			memset(ptr, 0xee, size);
			n += size;
		}
	return n;
}

/*
 * Clause 11: the objects that a reader uses keep their bytes while the test fills the new
 * generation with objects, resets it by arena_reset(), and fills the next one.
 */
static void reset_rcu_under_reader_keeps_objects(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent ext[ARRAY_SIZE(sizes)];
	struct arena_stats was, s;
	unsigned int round, i;
	size_t spoiled = 0;
	int ticks;

	for (round = 0; round < 3; round++) {
		take_all(test, arena, ext, 100 * round);
		was = arena_test_stats(arena);

		/*
		 * Wait for the RCU callback of the last arena_reset_rcu(): until then, the call
		 * below would return -EBUSY.
		 */
		rcu_barrier();
		rcu_read_lock();
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.used, 0);
		KUNIT_EXPECT_EQ(test, s.high, 0);
		KUNIT_EXPECT_EQ(test, s.resets, was.resets + 1);
		KUNIT_EXPECT_GT(test, s.generation, was.generation);
		KUNIT_EXPECT_GE(test, s.committed, was.committed);
		/* Objects of the new generation can be allocated at once. */
		KUNIT_EXPECT_GE(test, soil(arena, GFP_ATOMIC), CAPACITY / 2);
		spoiled += arena_extents_spoiled(ext, ARRAY_SIZE(ext));
		for (i = 0; i < 3; i++) {
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
			soil(arena, GFP_ATOMIC);
			mdelay(10);
			spoiled += arena_extents_spoiled(ext, ARRAY_SIZE(ext));
		}
		rcu_read_unlock();

		KUNIT_EXPECT_EQ_MSG(test, spoiled, 0, "round %u", round);
		ticks = reset_patiently(arena);
		KUNIT_ASSERT_GE(test, ticks, 0);
		KUNIT_EXPECT_GE(test, reset_patiently(arena), 0);
		arena_expect_sane(test, arena);
	}
}

/*
 * Clause 11: while readers may be in the slab set that the last arena_reset_rcu() left, the next
 * arena_reset_rcu() is refused and changes nothing.
 */
static void reset_rcu_at_bound_ebusy(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent ext[ARRAY_SIZE(sizes)];
	struct arena_stats was;
	unsigned int i;
	void *ptr;

	KUNIT_ASSERT_EQ(test, arena_reset_rcu(arena), 0);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	take_all(test, arena, ext, 1);
	/*
	 * Wait for the RCU callback of the last arena_reset_rcu(): until then, the call below would
	 * return -EBUSY.
	 */
	rcu_barrier();
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	KUNIT_EXPECT_GE(test, soil(arena, GFP_ATOMIC), SLAB);
	for (i = 0; i < 10; i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), -EBUSY);
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "a refused reset");
		KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, ARRAY_SIZE(ext)));
	}
	rcu_read_unlock();

	/* The reader has left, so a reset succeeds as soon as a grace period has ended. */
	KUNIT_EXPECT_GE(test, reset_patiently(arena), 0);
	ptr = arena_alloc(arena, 100, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, ptr);
	arena_expect_sane(test, arena);
}

/* Clauses 8, 11: however often the arena is reset, it needs two slab sets and no further memory. */
static void reset_rcu_repeated_two_sets_suffice(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats first, s;
	unsigned int round;

	for (round = 0; round < 2; round++) {
		soil(arena, GFP_KERNEL);
		KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	}
	soil(arena, GFP_KERNEL);
	first = arena_test_stats(arena);
	KUNIT_EXPECT_LE(test, first.committed, 2 * CAPACITY);
	KUNIT_EXPECT_EQ(test, first.slabs, 2 * CAPACITY / SLAB);
	for (round = 0; round < 5; round++) {
		KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
		if (arena_kind_is_dense(test->param_value))
			KUNIT_EXPECT_EQ(test, soil(arena, ARENA_NOGROW), first.used);
		else
			KUNIT_EXPECT_GE(test, soil(arena, ARENA_NOGROW), CAPACITY / 2);
		s = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, s.page_allocs, first.page_allocs);
		KUNIT_EXPECT_EQ(test, s.pool_hits, first.pool_hits);
		KUNIT_EXPECT_EQ(test, s.committed, first.committed);
	}
	/* arena_reset_release() releases the slabs of both slab sets. */
	arena_reset_release(arena, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
}

struct from_irq {
	struct arena	*arena;
	int		err;
	int		again;
	bool		hard;
};

static void reset_in_irq(void *data)
{
	struct from_irq *f = data;

	f->hard = in_hardirq();
	f->err = arena_reset_rcu(f->arena);
	/* Interrupts are off, so no grace period can have passed since the first reset. */
	f->again = arena_reset_rcu(f->arena);
}

/*
 * Clause 11: arena_reset_rcu() works in a hard interrupt, with interrupts off, and with softirqs
 * off.
 */
static void reset_rcu_any_context_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct from_irq f = { .arena = arena };
	unsigned long flags;
	int err;

	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 3 * SLAB, GFP_KERNEL));
	arena_in_irq(reset_in_irq, &f);
	KUNIT_EXPECT_TRUE(test, f.hard);
	KUNIT_EXPECT_EQ(test, f.err, 0);
	KUNIT_EXPECT_EQ(test, f.again, -EBUSY);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);

	local_irq_save(flags);
	err = arena_reset_rcu(arena);
	local_irq_restore(flags);
	KUNIT_EXPECT_TRUE(test, err == 0 || err == -EBUSY);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	local_bh_disable();
	err = arena_reset_rcu(arena);
	local_bh_enable();
	KUNIT_EXPECT_TRUE(test, err == 0 || err == -EBUSY);
	arena_expect_sane(test, arena);
}

/*
 * Resets that release or zero slabs while a reader uses objects of the other slab set
 */
struct slow {
	struct arena_extent	ext[ARRAY_SIZE(sizes)];
	struct completion	inside;
	bool			leaving;
};

static void slow_reader(struct arena_hand *hand)
{
	struct slow *slow = hand->crew->data;
	unsigned int i;

	rcu_read_lock();
	complete(&slow->inside);
	for (i = 0; i < 10; i++) {
		mdelay(5);
		hand->bad += arena_extents_spoiled(slow->ext, ARRAY_SIZE(slow->ext));
	}
	WRITE_ONCE(slow->leaving, true);
	rcu_read_unlock();
}

/* Clauses 9, 11: resets that release or zero slabs wait for readers of older generations. */
static void release_under_reader_waits(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	struct slow *slow = kunit_kzalloc(test, sizeof(*slow), GFP_KERNEL);
	unsigned int way;

	KUNIT_ASSERT_NOT_NULL(test, slow);
	crew->data = slow;
	for (way = 0; way < 3; way++) {
		take_all(test, arena, slow->ext, 7 * way);
		/*
		 * Wait for the RCU callback of the last arena_reset_rcu(): until then, the call
		 * below would return -EBUSY.
		 */
		rcu_barrier();
		init_completion(&slow->inside);
		WRITE_ONCE(slow->leaving, false);
		arena_crew_go(crew, slow_reader, 0);
		wait_for_completion(&slow->inside);
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		if (way == 0)
			arena_reset_release(arena, 0);
		else if (way == 1)
			arena_reset_release(arena, SIZE_MAX);
		else
			arena_reset_zero(arena);
		KUNIT_EXPECT_TRUE_MSG(test, READ_ONCE(slow->leaving), "way %u", way);
		soil(arena, GFP_KERNEL);
		arena_crew_wait(crew);
		KUNIT_EXPECT_EQ_MSG(test, arena_crew_bad(crew), 0, "way %u", way);
		KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
		KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	}
}

static void release_job(struct arena_hand *hand)
{
	arena_reset_release(hand->crew->arena, 0);
}

/*
 * Clause 6: if a slab is committed while arena_reset_release() waits for readers, the release takes
 * that slab, too. With init_on_alloc, the arena has noted in the directory that the slab is zero.
 * The note must not hold for the next slab at the same offset, or a zeroed object could contain old
 * bytes.
 */
static void populate_during_release_zero(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB,
						kind->flags | ARENA_READERS | ARENA_ZERO);
	struct arena_crew *crew = arena_crew_create(test, arena, 1, 0);
	unsigned long generation;
	unsigned int waits = 0;
	size_t n, dirty = 0;
	int err;
	u8 *ptr;

	/*
	 * Make one slab set dirty, and change to the other one, which has no slabs. Empty the pool,
	 * so that the next slab comes from the page allocator.
	 */
	soil(arena, GFP_KERNEL);
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	rcu_barrier();
	arena_total_now();

	generation = arena_test_stats(arena).generation;
	rcu_read_lock();
	arena_crew_go(crew, release_job, 0);
	while (arena_test_stats(arena).generation == generation && waits++ < 1000)
		mdelay(1);
	/* arena_reset_release() waits for this reader, and has released nothing yet. */
	err = arena_populate(arena, SLAB, GFP_ATOMIC);
	rcu_read_unlock();
	arena_crew_wait(crew);
	KUNIT_ASSERT_NE(test, arena_test_stats(arena).generation, generation);
	/*
	 * The case shows something only if the release had begun before the call of
	 * arena_populate().
	 */
	KUNIT_ASSERT_LE(test, waits, 1000);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);

	for (n = 0; n < SLAB / 64; n++) {
		ptr = arena_alloc(arena, 64, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		dirty += !arena_is_zero(ptr, 64);
	}
	KUNIT_EXPECT_EQ(test, dirty, 0);
}

/*
 * A shelf is an array of RCU pointers to objects, the books. Thread 0 puts books on the shelf, and
 * now and then clears the shelf and resets the arena. The other threads are readers: each checks
 * one book several times in one read-side critical section.
 */
#define BOOKS	8

struct book {
	u32	owner;
	u8	page[120];
};

struct shelf {
	struct arena	*arena;
	bool		rcu;
	struct book __rcu *book[BOOKS];
	u32		owner;
	atomic_long_t	read;
	atomic_long_t	spoiled;
	unsigned long	resets;
};

static bool book_is_whole(const struct book *book, u32 owner)
{
	return book->owner == owner &&
	       arena_pattern_check(book->page, sizeof(book->page), owner) == sizeof(book->page);
}

/* Clear the shelf and reset the arena. If the arena refuses the reset, put the books back. */
static bool shelf_reset(struct shelf *shelf)
{
	struct book *was[BOOKS];
	unsigned int i;
	int err;

	for (i = 0; i < BOOKS; i++) {
		was[i] = rcu_dereference_protected(shelf->book[i], true);
		RCU_INIT_POINTER(shelf->book[i], NULL);
	}
	/*
	 * A reader that found a book before the shelf was cleared may still use the book, which
	 * arena_reset_rcu() keeps for that reader, and arena_reset() does not.
	 */
	err = shelf->rcu ? arena_reset_rcu(shelf->arena) : arena_reset(shelf->arena);
	for (i = 0; err && i < BOOKS; i++)
		rcu_assign_pointer(shelf->book[i], was[i]);
	shelf->resets += !err;
	return !err;
}

static void shelf_write(struct arena_hand *hand, struct shelf *shelf)
{
	struct book *book = arena_alloc(shelf->arena, sizeof(*book), GFP_KERNEL);

	if (book) {
		book->owner = ++shelf->owner;
		arena_pattern_fill(book->page, sizeof(book->page), book->owner);
		rcu_assign_pointer(shelf->book[shelf->owner % BOOKS], book);
	}
	if ((!book || arena_rnd_below(&hand->rnd, 100) == 0) && !shelf_reset(shelf))
		schedule_timeout_uninterruptible(1);
}

static void shelf_read(struct arena_hand *hand, struct shelf *shelf)
{
	const struct book *book;
	unsigned int looks;
	u32 owner;

	rcu_read_lock();
	book = rcu_dereference(shelf->book[arena_rnd_below(&hand->rnd, BOOKS)]);
	if (book) {
		owner = READ_ONCE(book->owner);
		for (looks = 0; looks < 8; looks++) {
			if (!book_is_whole(book, owner)) {
				atomic_long_inc(&shelf->spoiled);
				break;
			}
			cpu_relax();
		}
		atomic_long_inc(&shelf->read);
	}
	rcu_read_unlock();
}

static void shelf_job(struct arena_hand *hand)
{
	struct shelf *shelf = hand->crew->data;

	while (arena_crew_on(hand->crew))
		if (hand->id)
			shelf_read(hand, shelf);
		else
			shelf_write(hand, shelf);
}

static struct shelf *shelf_run(struct kunit *test, bool rcu)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, 4, 0);
	struct shelf *shelf = kunit_kzalloc(test, sizeof(*shelf), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, shelf);
	shelf->arena = arena;
	shelf->rcu = rcu;
	crew->data = shelf;
	do {
		arena_crew_go(crew, shelf_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((atomic_long_read(&shelf->read) < 100 || shelf->resets < 5 ||
		  (!rcu && !atomic_long_read(&shelf->spoiled))) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_GE(test, atomic_long_read(&shelf->read), 100);
	KUNIT_EXPECT_GE(test, shelf->resets, 5);
	arena_expect_sane(test, arena);
	return shelf;
}

/*
 * Clause 11: while a reader that has found a book is in its critical section, the book does not
 * change.
 */
static void reset_rcu_race_readers_intact(struct kunit *test)
{
	struct shelf *shelf = shelf_run(test, true);

	KUNIT_EXPECT_EQ(test, atomic_long_read(&shelf->spoiled), 0);
}

/*
 * arena_reset() keeps no objects for readers, so readers see their books change. This shows that
 * reset_rcu_race_readers_intact() would notice a book that changes.
 */
static void reset_plain_race_readers_spoiled(struct kunit *test)
{
	struct shelf *shelf;

	if (IS_ENABLED(CONFIG_KCSAN))
		kunit_skip(test, "this case is a data race, which KCSAN would report");
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "this case uses what was freed, which KASAN reports");
	shelf = shelf_run(test, false);
	KUNIT_EXPECT_GT(test, atomic_long_read(&shelf->spoiled), 0);
}

/*
 * Resets of all kinds that race with each other and with allocations
 */
struct storm {
	struct arena	*arena;
	int		cpu;
	unsigned long	irq_rcu;
	unsigned long	irq_keep;
	unsigned int	irqs;
	atomic_long_t	by_rcu;
	atomic_long_t	by_keep;
	atomic_long_t	refused;
	atomic_long_t	other;
};

static void storm_irq(void *data)
{
	struct storm *storm = data;

	if (++storm->irqs % 4)
		arena_ignore(arena_alloc(storm->arena, 100, ARENA_NOGROW));
	else if (storm->irqs % 8)
		storm->irq_rcu += !arena_reset_rcu(storm->arena);
	else
		storm->irq_keep += !arena_reset(storm->arena);
}

static void storm_reset(struct arena_hand *hand, struct storm *storm)
{
	int err;

	switch (arena_rnd_below(&hand->rnd, 64)) {
	case 0:
		arena_reset_release(storm->arena, SLAB);
		atomic_long_inc(&storm->by_keep);
		return;
	case 1:
		arena_reset_zero(storm->arena);
		atomic_long_inc(&storm->by_keep);
		return;
	case 2 ... 20:
		err = arena_reset(storm->arena);
		if (!err)
			atomic_long_inc(&storm->by_keep);
		break;
	default:
		err = arena_reset_rcu(storm->arena);
		if (!err)
			atomic_long_inc(&storm->by_rcu);
	}
	if (err == -EBUSY)
		atomic_long_inc(&storm->refused);
	else if (err)
		atomic_long_inc(&storm->other);
}

/*
 * A reset may free an object before its thread has received it, so threads do not write to objects.
 */
static void storm_job(struct arena_hand *hand)
{
	struct storm *storm = hand->crew->data;

	if (hand->id == 1) {
		arena_irq_pester(hand, storm->cpu, storm_irq, storm);
		return;
	}
	if (hand->id == 0 && set_cpus_allowed_ptr(current, cpumask_of(storm->cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew)) {
		size_t size = arena_rnd_below(&hand->rnd, 100) ? 100 : 2 * SLAB;

		if (hand->id % 2)
			storm_reset(hand, storm);
		else if (arena_zalloc(storm->arena, size, GFP_KERNEL))
			hand->allocs++;
		cond_resched();
	}
}

/* Clauses 7, 10, 11: the arena counts each reset once, and remains usable. */
static void reset_race_all_kinds_counted(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	struct arena_extent ext[ARRAY_SIZE(sizes)];
	const u64 first = arena_test_stats(arena).generation;
	unsigned long by_rcu, by_keep;
	unsigned long patience = 0;
	struct arena_stats s;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->arena = arena;
	storm->cpu = arena_irq_cpu();
	crew->data = storm;
	do {
		arena_crew_go(crew, storm_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while ((atomic_long_read(&storm->by_rcu) < 3 || atomic_long_read(&storm->by_keep) < 10 ||
		  !atomic_long_read(&storm->refused) || !arena_crew_allocs(crew)) &&
		 arena_patient(&patience));
	by_rcu = atomic_long_read(&storm->by_rcu) + storm->irq_rcu;
	by_keep = atomic_long_read(&storm->by_keep) + storm->irq_keep;
	s = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, s.resets, by_rcu + by_keep);
	KUNIT_EXPECT_EQ(test, s.generation / ARENA_GEN_STEP - first / ARENA_GEN_STEP,
			by_rcu + by_keep);
	KUNIT_EXPECT_EQ(test, s.fail_arg, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&storm->other), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&storm->refused), 0);
	KUNIT_EXPECT_GE(test, by_rcu, 3);
	KUNIT_EXPECT_GT(test, arena_crew_allocs(crew), 0);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);

	/* After the race, the arena can be reset, filled and released. */
	KUNIT_ASSERT_GE(test, reset_patiently(arena), 0);
	take_all(test, arena, ext, 1);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, ARRAY_SIZE(ext)));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, ARRAY_SIZE(ext)));
	arena_expect_sane(test, arena);
	arena_reset_release(arena, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, 0);
}

/*
 * Clauses 11, 22: arenas can be destroyed while a grace period is pending.
 * destroy_all_memory_returned() then checks that they have returned their memory.
 */
static void destroy_pending_grace_period_ok(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	const struct arena_config config = {
		.capacity = CAPACITY,
		.slab_size = SLAB,
		.flags = kind->flags | ARENA_READERS,
	};
	struct arena *arena[4];
	unsigned int round, i;

	for (round = 0; round < 6; round++) {
		for (i = 0; i < ARRAY_SIZE(arena); i++) {
			arena[i] = arena_create(&config);
			KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena[i]);
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena[i], 100, GFP_KERNEL));
			/*
			 * This object is larger than a slab, so it has a view. An RCU callback
			 * cannot unmap a view, as vunmap() may sleep.
			 */
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena[i], 2 * SLAB, GFP_KERNEL));
			KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena[i]), 0);
			if (i & 1)
				KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena[i], 2 * SLAB,
									GFP_KERNEL));
		}
		if (round & 1)
			schedule_timeout_uninterruptible(round);
		for (i = 0; i < ARRAY_SIZE(arena); i++)
			arena_destroy(arena[i]);
	}
}

static struct kunit_case arena_rcu_cases[] = {
	KUNIT_CASE_PARAM(reset_rcu_without_readers_eopnotsupp, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_under_reader_keeps_objects, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_at_bound_ebusy, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_repeated_two_sets_suffice, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_any_context_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(release_under_reader_waits, arena_kind_gen_params),
	KUNIT_CASE_PARAM(populate_during_release_zero, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_race_readers_intact, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_plain_race_readers_spoiled, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_race_all_kinds_counted, arena_kind_gen_params),
	KUNIT_CASE_PARAM(destroy_pending_grace_period_ok, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_rcu_suite = {
	.name = "arena_rcu",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_rcu_cases,
};

kunit_test_suite(arena_rcu_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: resets under readers");
MODULE_LICENSE("GPL");
