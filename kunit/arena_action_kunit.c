// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of reset actions: which actions a reset runs, when, in which order and in which context,
 * and that the objects which the actions use are intact until the actions have run.
 */
#include <linux/arena_private.h>
#include <linux/delay.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 60;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		4
#define SLAB		((size_t)4 * PAGE_SIZE)
#define CAPACITY	(32 * SLAB)
#define STEPS		40

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;

	return arena_test_create(test, CAPACITY, SLAB, kind->flags | ARENA_READERS);
}

/* The action of most cases is note(): each call appends the number of the action to @id. */
struct journal {
	unsigned int	nr;
	unsigned int	in_irq;
	unsigned int	in_softirq;
	int		id[4 * STEPS];
};

struct entry {
	struct journal	*journal;
	int		id;
};

static void note(void *data)
{
	struct entry *entry = data;
	struct journal *journal = entry->journal;

	if (journal->nr < ARRAY_SIZE(journal->id))
		journal->id[journal->nr] = entry->id;
	journal->nr++;
	journal->in_irq += !!in_hardirq();
	journal->in_softirq += !!in_serving_softirq();
}

static struct journal *journal_create(struct kunit *test)
{
	struct journal *journal = kunit_kzalloc(test, sizeof(*journal), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, journal);
	return journal;
}

/*
 * Add @nr actions, numbered from @first on. When an action runs, it enters its number in @journal.
 * The number is kept in an object of the arena, which must be intact when the action runs.
 */
static void add_notes(struct kunit *test, struct arena *arena, struct journal *journal, int first,
		      int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		struct entry *entry = arena_alloc_obj(arena, *entry);

		KUNIT_ASSERT_NOT_NULL(test, entry);
		*entry = (struct entry) { journal, first + i };
		KUNIT_ASSERT_EQ(test, arena_add_action(arena, note, entry, GFP_KERNEL), 0);
	}
}

/*
 * Expects that the journal has the numbers from @first + @nr - 1 down to @first and no others: @nr
 * actions have run, and the one that was added last ran first. Empties the journal.
 */
static void expect_notes(struct kunit *test, struct journal *journal, int first, unsigned int nr)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, journal->nr, nr);
	for (i = 0; i < min(nr, journal->nr); i++)
		KUNIT_EXPECT_EQ(test, journal->id[i], first + (int)(nr - 1 - i));
	journal->nr = 0;
}

/* Clause 27: each kind of reset runs all actions once, beginning with the one added last. */
static void reset_of_any_kind_runs_last_first(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);
	int round;

	for (round = 0; round < 9; round++) {
		add_notes(test, arena, journal, 0, STEPS);
		KUNIT_EXPECT_EQ(test, journal->nr, 0);
		switch (round % 3) {
		case 0:
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
			break;
		case 1:
			arena_reset_release(arena, SLAB);
			break;
		case 2:
			arena_reset_zero(arena);
			break;
		}
		expect_notes(test, journal, 0, STEPS);
		arena_expect_sane(test, arena);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), 0);
		KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
		KUNIT_EXPECT_EQ(test, journal->nr, 0);
	}
	KUNIT_EXPECT_EQ(test, journal->in_irq + journal->in_softirq, 0);
}

/* Clause 27: the destruction of an arena runs its actions. */
static void destroy_with_actions_runs_all(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);

	add_notes(test, arena, journal, 0, STEPS);
	kunit_release_action(test, arena_test_destroy, arena);
	expect_notes(test, journal, 0, STEPS);
}

/* Clauses 12, 27: a rewind runs the actions that were added after its mark, and no others. */
static void rewind_nested_runs_freed_only(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);
	struct arena_mark mark[6];
	int i;

	if (!arena_kind_is_dense(kind))
		kunit_skip(test, "arenas with spans have no marks");
	for (i = 0; i < ARRAY_SIZE(mark); i++) {
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &mark[i]), 0);
		/* After each mark, add one action or three, with their objects. */
		add_notes(test, arena, journal, 10 * i, i & 1 ? 1 : 3);
	}
	/* Rewind to mark[5] twice, and then to the marks below it. */
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark[5]), 0);
	expect_notes(test, journal, 50, 1);
	add_notes(test, arena, journal, 60, 2);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark[5]), 0);
	expect_notes(test, journal, 60, 2);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark[4]), 0);
	expect_notes(test, journal, 40, 3);
	add_notes(test, arena, journal, 31, 4);
	KUNIT_ASSERT_EQ(test, arena_rewind(arena, &mark[3]), 0);
	KUNIT_EXPECT_EQ(test, journal->id[4], 30);
	KUNIT_EXPECT_EQ(test, journal->nr, 5);
	journal->nr = 0;
	/*
	 * Rewind eight times, each time to a mark above the mark of the rewind before. The arena
	 * remembers only ARENA_REWINDS (four) rewinds that each go higher than the one before, and
	 * merges older ones. It must still find out which actions are to run.
	 */
	for (i = 0; i < 8; i++) {
		struct arena_mark high;

		add_notes(test, arena, journal, 100 + i, 1);
		KUNIT_ASSERT_EQ(test, arena_mark(arena, &high), 0);
		add_notes(test, arena, journal, 200 + i, 1);
		KUNIT_ASSERT_EQ(test, arena_rewind(arena, &high), 0);
		expect_notes(test, journal, 200 + i, 1);
	}
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, journal->nr, 8 + 3 + 1 + 3);
	KUNIT_EXPECT_EQ(test, journal->id[0], 107);
	KUNIT_EXPECT_EQ(test, journal->id[7], 100);
	KUNIT_EXPECT_EQ(test, journal->id[8], 22);
	KUNIT_EXPECT_EQ(test, journal->id[14], 0);
	arena_expect_sane(test, arena);
}

/* Clauses 11, 27: after arena_reset_rcu(), actions run only after all readers have left. */
static void reset_rcu_with_reader_runs_after_it(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);
	int round;

	for (round = 0; round < 3; round++) {
		add_notes(test, arena, journal, 0, STEPS);
		rcu_read_lock();
		KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
		mdelay(2);
		KUNIT_EXPECT_EQ(test, journal->nr, 0);
		rcu_read_unlock();
		/*
		 * arena_reset_rcu() has changed to the other slab set. Until the grace period ends,
		 * arena_reset() runs the actions that were added after this change, and not those
		 * of the old set, whose objects readers may still use.
		 */
		rcu_read_lock();
		if (READ_ONCE(arena->retiring)) {
			struct journal other = { };
			struct entry entry = { &other, 1 };

			if (!arena_add_action(arena, note, &entry, GFP_ATOMIC)) {
				KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
				KUNIT_EXPECT_EQ(test, other.nr, 1);
			}
		}
		rcu_read_unlock();
		rcu_barrier();
		expect_notes(test, journal, 0, STEPS);
	}
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, journal->nr, 0);
	add_notes(test, arena, journal, 0, STEPS);
	KUNIT_EXPECT_EQ(test, arena_reset_rcu(arena), 0);
	kunit_release_action(test, arena_test_destroy, arena);
	expect_notes(test, journal, 0, STEPS);
}

/*
 * Clauses 4, 27: if an action cannot be added, the arena remains unchanged.
 * arena_add_action_or_run() calls the function at once if it cannot add the action;
 * arena_add_action() never calls the function.
 */
static void add_without_memory_refused(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);
	struct entry entry = { journal, 5 };
	struct arena_stats was = arena_test_stats(arena);

	KUNIT_EXPECT_EQ(test, arena_add_action(arena, note, &entry, ARENA_NOGROW), -ENOMEM);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "not committed");
	KUNIT_EXPECT_EQ(test, journal->nr, 0);
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_add_action_or_run(arena, note, &entry, ARENA_NOGROW), -ENOMEM);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_MEMORY, "not committed, run");
	expect_notes(test, journal, 5, 1);

	while (arena_alloc(arena, SLAB, GFP_KERNEL))
		;
	while (arena_alloc(arena, 8, GFP_KERNEL))
		;
	was = arena_test_stats(arena);
	KUNIT_EXPECT_EQ(test, arena_add_action(arena, note, &entry, GFP_KERNEL), -ENOSPC);
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "full");
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, journal->nr, 0);
	KUNIT_EXPECT_EQ(test, arena_add_action_or_run(arena, note, &entry, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, journal->nr, 0);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), ARENA_WORD);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	expect_notes(test, journal, 5, 1);
}

struct by_irq {
	struct arena	*arena;
	struct entry	entry;
	int		added;
	int		reset;
};

static void add_in_irq(void *data)
{
	struct by_irq *irq = data;

	irq->added = arena_add_action(irq->arena, note, &irq->entry, GFP_ATOMIC);
}

static void reset_in_irq(void *data)
{
	struct by_irq *irq = data;

	irq->reset = arena_reset(irq->arena);
}

/*
 * Clauses 2, 27: a hard interrupt can add an action. An action runs in the context of the caller
 * that resets, task or hard interrupt.
 */
static void add_in_hardirq_runs(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct journal *journal = journal_create(test);
	struct by_irq irq = { arena, { journal, 7 }, 1, 1 };

	arena_in_irq(add_in_irq, &irq);
	KUNIT_EXPECT_EQ(test, irq.added, 0);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	expect_notes(test, journal, 7, 1);
	KUNIT_EXPECT_EQ(test, journal->in_irq, 0);

	add_notes(test, arena, journal, 0, 3);
	arena_in_irq(reset_in_irq, &irq);
	KUNIT_EXPECT_EQ(test, irq.reset, 0);
	expect_notes(test, journal, 0, 3);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		KUNIT_EXPECT_EQ(test, journal->in_irq, 3);
}

/* An object whose action checks the object's bytes repeatedly for a while. */
struct watched {
	atomic_t	*spoiled;
	u32		owner;
	u8		bytes[52];
};

static void look_at(void *data)
{
	struct watched *watched = data;
	int i;

	for (i = 0; i < 20; i++) {
		if (arena_pattern_check(watched->bytes, sizeof(watched->bytes), watched->owner) !=
		    sizeof(watched->bytes))
			atomic_inc(watched->spoiled);
		cpu_relax();
	}
}

struct race {
	struct arena	*arena;
	atomic_t	spoiled;
	atomic_long_t	added;
	atomic_long_t	ran;
};

static void count_run(void *data)
{
	struct race *race = data;

	atomic_long_inc(&race->ran);
}

/*
 * Thread 0 adds actions and resets. The other threads fill all memory that they can get. They use
 * arena_memdup(), whose copy never lands in a newer generation. If such a thread allocated an
 * object and then filled it itself, a reset could come in between, and the thread would overwrite
 * an object of thread 0.
 */
static void fill_while_actions_run(struct arena_hand *hand)
{
	struct race *race = hand->crew->data;
	unsigned int round = 0, i;
	u8 bytes[64];

	memset(bytes, hand->id, sizeof(bytes));
	arena_crew_meet(hand->crew);
	while (arena_crew_on(hand->crew)) {
		struct watched *watched;

		if (hand->id) {
			if (!arena_memdup(race->arena, bytes, sizeof(bytes), ARENA_NOGROW))
				cond_resched();
			continue;
		}
		for (i = 0; i < 5; i++) {
			watched = arena_alloc_obj(race->arena, *watched);
			if (!watched)
				break;
			watched->spoiled = &race->spoiled;
			watched->owner = arena_rnd(&hand->rnd);
			arena_pattern_fill(watched->bytes, sizeof(watched->bytes), watched->owner);
			/* The test can check only objects with an action. */
			if (arena_add_action(race->arena, look_at, watched, GFP_KERNEL))
				break;
		}
		if (round++ % 8)
			hand->bad += !!arena_reset(race->arena);
		else
			arena_reset_zero(race->arena);
	}
}

/*
 * Clauses 10, 27: an arena hands out the memory of an object again only after the action that uses
 * the object has returned.
 */
static void alloc_while_actions_run_spares_objects(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct race race = { .arena = arena };

	KUNIT_ASSERT_EQ(test, arena_populate(arena, 2 * SLAB, GFP_KERNEL), 0);
	crew->data = &race;
	arena_crew_go(crew, fill_while_actions_run, 3 * runtime_ms);
	arena_crew_wait(crew);
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&race.spoiled), 0);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
}

/* What reap_and_look(), the action of an object larger than a slab, finds. */
struct large_look {
	struct arena	*arena;
	u8		*object;
	unsigned int	ran;
	unsigned int	unmapped;
};

/*
 * Run the reaper, as a second reset could do while this action runs. The reaper unmaps the views of
 * freed objects. The reset that runs this action has freed look->object, yet its view must stay
 * until all actions have returned, as they may access the object.
 */
static void reap_and_look(void *data)
{
	struct large_look *look = data;

	look->ran++;
	schedule_work(&look->arena->reaper);
	flush_work(&look->arena->reaper);
	if (!vmalloc_to_page(look->object))
		look->unmapped++;
	else
		look->unmapped += arena_pattern_check(look->object, 2 * SLAB, 5) != 2 * SLAB;
}

static bool has_views(struct arena *arena)
{
	flush_work(&arena->reaper);
	return !llist_empty(&arena->larges);
}

/* Clauses 10, 27: an object larger than a slab stays mapped until all actions have returned. */
static void reset_with_large_object_unmaps_after_actions(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct large_look look = { .arena = arena };
	struct arena_mark mark = { };
	int round;

	for (round = 0; round < 4; round++) {
		if (round == 3 && arena_mark(arena, &mark))
			break;
		look.object = arena_alloc(arena, 2 * SLAB, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, look.object);
		arena_pattern_fill(look.object, 2 * SLAB, 5);
		KUNIT_ASSERT_EQ(test, arena_add_action(arena, reap_and_look, &look, GFP_KERNEL), 0);
		switch (round) {
		case 0:
			KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
			break;
		case 1:
			arena_reset_release(arena, SLAB);
			break;
		case 2:
			arena_reset_zero(arena);
			break;
		case 3:
			KUNIT_EXPECT_EQ(test, arena_rewind(arena, &mark), 0);
			break;
		}
		KUNIT_EXPECT_EQ(test, look.ran, round + 1);
		KUNIT_EXPECT_EQ(test, look.unmapped, 0);
		KUNIT_EXPECT_FALSE(test, has_views(arena));
	}
}

/* All threads add actions. Threads 0 and 1 also reset; thread 1 does so by arena_reset_rcu(). */
static void add_and_reset(struct arena_hand *hand)
{
	struct race *race = hand->crew->data;
	unsigned int round;

	arena_crew_meet(hand->crew);
	for (round = 0; arena_crew_on(hand->crew); round++) {
		if (!arena_add_action(race->arena, count_run, race, GFP_KERNEL))
			atomic_long_inc(&race->added);
		if (hand->id == 0 && round % 16 == 0)
			arena_reset(race->arena);
		else if (hand->id == 0 && round % 256 == 1)
			arena_reset_release(race->arena, SLAB);
		else if (hand->id == 1 && round % 16 == 0)
			arena_reset_rcu(race->arena);
		cond_resched();
	}
}

/* Clause 27: while threads add actions and reset, each action that was added runs exactly once. */
static void add_racing_with_resets_runs_once(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_crew *crew = arena_crew_create(test, arena, HANDS, 0);
	struct race race = { .arena = arena };

	crew->data = &race;
	arena_crew_go(crew, add_and_reset, 3 * runtime_ms);
	arena_crew_wait(crew);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race.ran), atomic_long_read(&race.added));
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	arena_expect_sane(test, arena);
}

struct shared {
	struct kref	kref;
	bool		released;
};

struct holder {
	struct shared	*shared;
};

static void shared_release(struct kref *kref)
{
	container_of(kref, struct shared, kref)->released = true;
}

static void holder_put(void *data)
{
	struct holder *holder = data;

	kref_put(&holder->shared->kref, shared_release);
}

/* Clause 27: objects of an arena may hold references, which their actions drop at a reset. */
static void reset_with_references_drops_them(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct shared shared = { };
	int i;

	kref_init(&shared.kref);
	for (i = 0; i < 5; i++) {
		struct holder *holder = arena_alloc_obj(arena, *holder);

		KUNIT_ASSERT_NOT_NULL(test, holder);
		kref_get(&shared.kref);
		holder->shared = &shared;
		KUNIT_ASSERT_EQ(test, 0,
				arena_add_action_or_run(arena, holder_put, holder, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, kref_read(&shared.kref), 6);
	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&shared.kref), 1);
	kref_put(&shared.kref, shared_release);
	KUNIT_EXPECT_TRUE(test, shared.released);
}

static void private_add(struct kunit *test, struct arena_private *arena, struct journal *journal,
			int id)
{
	struct entry *entry = arena_private_alloc(arena, sizeof(*entry), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, entry);
	*entry = (struct entry) { journal, id };
	KUNIT_ASSERT_EQ(test, arena_private_add_action(arena, note, entry, GFP_KERNEL), 0);
}

/*
 * Clauses 12, 27: a rewind of a private arena runs the actions that were added since the mark; a
 * reset and the destruction run all actions. The action that was added last runs first.
 */
static void private_reset_runs_last_first(struct kunit *test)
{
	struct journal *journal = journal_create(test);
	struct entry failed = { journal, 99 };
	struct arena_private_mark mark;
	struct arena_private arena;
	int i;

	arena_private_init(&arena, NULL, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			arena_private_add_action_or_run(&arena, note, &failed, ARENA_NOGROW));
	expect_notes(test, journal, 99, 1);
	for (i = 0; i < STEPS; i++)
		private_add(test, &arena, journal, i);
	mark = arena_private_mark(&arena);
	KUNIT_EXPECT_EQ(test, arena_private_rewind(&arena, &mark), 0);
	KUNIT_EXPECT_EQ(test, journal->nr, 0);
	for (i = 0; i < STEPS; i++)
		private_add(test, &arena, journal, 100 + i);
	KUNIT_EXPECT_EQ(test, arena_private_rewind(&arena, &mark), 0);
	expect_notes(test, journal, 100, STEPS);
	arena_private_reset(&arena);
	expect_notes(test, journal, 0, STEPS);
	{
		arena_scratch(&arena);
		private_add(test, &arena, journal, 3);
	}
	expect_notes(test, journal, 3, 1);
	for (i = 0; i < STEPS; i++)
		private_add(test, &arena, journal, i);
	arena_private_destroy(&arena);
	expect_notes(test, journal, 0, STEPS);
}

static struct kunit_case arena_action_cases[] = {
	KUNIT_CASE_PARAM(reset_of_any_kind_runs_last_first, arena_kind_gen_params),
	KUNIT_CASE_PARAM(destroy_with_actions_runs_all, arena_kind_gen_params),
	KUNIT_CASE_PARAM(rewind_nested_runs_freed_only, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_rcu_with_reader_runs_after_it, arena_kind_gen_params),
	KUNIT_CASE_PARAM(add_without_memory_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(add_in_hardirq_runs, arena_kind_gen_params),
	KUNIT_CASE_PARAM(alloc_while_actions_run_spares_objects, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_with_large_object_unmaps_after_actions, arena_kind_gen_params),
	KUNIT_CASE_PARAM(add_racing_with_resets_runs_once, arena_kind_gen_params),
	KUNIT_CASE_PARAM(reset_with_references_drops_them, arena_kind_gen_params),
	KUNIT_CASE(private_reset_runs_last_first),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_action_suite = {
	.name = "arena_action",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_action_cases,
};

kunit_test_suite(arena_action_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: reset actions");
MODULE_LICENSE("GPL");
