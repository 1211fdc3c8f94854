// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of tracepoints: which events a probe sees, and that a probe may itself use the arena that
 * an event is about. selftests/arena_trace_test.sh tests the files in tracefs.
 */
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "core/trace.h"
#include "arena_test.h"

/* The events of one arena that the probes have seen. */
struct seen {
	struct arena	*arena;
	unsigned int	allocs, fails, grows, resets;
	unsigned long	generation;
	size_t		offset, bytes, align;
	int		error, mode;
	bool		quiet;		/* the probe does not allocate */
	void		*mine;		/* the object that the probe allocated */
	struct irq_work	work;		/* the probe queues it if work.func is set */
	bool		inside;		/* an interrupt has called the probe while the probe ran */
};

/* Milliseconds to wait for irq_work. UML runs it at the next tick, which may come late. */
#define TICKS_MS	1000

static void alloc_in_irq(struct irq_work *work)
{
	struct seen *seen = container_of(work, struct seen, work);

	arena_ignore(arena_alloc(seen->arena, 8, ARENA_NOGROW));
}

/* Probes run with preemption off and interrupts on, so the irq work interrupts this loop. */
static void be_interrupted(struct seen *seen)
{
	int ms;

	irq_work_queue(&seen->work);
	for (ms = 0; ms < TICKS_MS && !READ_ONCE(seen->inside); ms++)
		mdelay(1);
}

static void see_alloc(void *data, const struct arena *arena, unsigned long generation,
		      size_t offset, size_t bytes, size_t align, gfp_t gfp)
{
	struct seen *seen = data;

	if (arena != seen->arena)
		return;
	if (in_hardirq()) {
		WRITE_ONCE(seen->inside, true);
		return;
	}
	seen->allocs++;
	seen->generation = generation;
	seen->offset = offset;
	seen->bytes = bytes;
	seen->align = align;
	/* If the arena reported this allocation, too, this probe would call itself without end. */
	if (!seen->quiet)
		seen->mine = arena_alloc(seen->arena, 16, ARENA_NOGROW);
	if (seen->work.func && !seen->inside)
		be_interrupted(seen);
}

static void see_fail(void *data, const struct arena *arena, size_t bytes, size_t align, gfp_t gfp,
		     int error)
{
	struct seen *seen = data;

	if (arena != seen->arena)
		return;
	seen->fails++;
	seen->bytes = bytes;
	seen->error = error;
	/*
	 * The arena must not report this failed allocation: the probe would call itself without
	 * end.
	 */
	arena_ignore(arena_alloc(seen->arena, bytes, ARENA_NOGROW));
}

static void see_grow(void *data, const struct arena *arena, size_t offset, gfp_t gfp)
{
	struct seen *seen = data;

	if (arena != seen->arena)
		return;
	seen->grows++;
	seen->offset = offset;
	/* The arena must not report that this call makes it grow: the probe would call itself. */
	arena_populate(seen->arena, arena->capacity, GFP_ATOMIC);
}

static void see_reset(void *data, const struct arena *arena, unsigned long generation, int mode)
{
	struct seen *seen = data;

	if (arena != seen->arena)
		return;
	seen->resets++;
	seen->generation = generation;
	seen->mode = mode;
	arena_reset(seen->arena);
}

static void start(struct kunit *test, struct seen *seen)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "this kernel has no tracepoints");
	KUNIT_ASSERT_EQ(test, register_trace_arena_alloc(see_alloc, seen), 0);
	KUNIT_ASSERT_EQ(test, register_trace_arena_alloc_fail(see_fail, seen), 0);
	KUNIT_ASSERT_EQ(test, register_trace_arena_grow(see_grow, seen), 0);
	KUNIT_ASSERT_EQ(test, register_trace_arena_reset(see_reset, seen), 0);
}

static void stop(struct seen *seen)
{
	unregister_trace_arena_reset(see_reset, seen);
	unregister_trace_arena_grow(see_grow, seen);
	unregister_trace_arena_alloc_fail(see_fail, seen);
	unregister_trace_arena_alloc(see_alloc, seen);
	tracepoint_synchronize_unregister();
}

static struct arena *make(struct kunit *test, unsigned int flags)
{
	const struct arena_config config = {
		.name = "traced",
		.capacity = SZ_256K,
		.slab_size = SZ_64K,
		.flags = flags,
	};
	struct arena *arena = arena_create(&config);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, arena);
	return arena;
}

static const unsigned int flags[] = { 0, ARENA_SPANS, ARENA_ZERO, ARENA_SPANS | ARENA_ZERO };

static void flags_desc(const unsigned int *value, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "flags %x", *value);
}

KUNIT_ARRAY_PARAM(flags, flags, flags_desc);

/*
 * A probe sees each event once, with the arguments of the call. It does not see the events that its
 * own calls would cause.
 */
static void trace_nested_probe_each_event_once(struct kunit *test)
{
	struct arena *arena = make(test, *(const unsigned int *)test->param_value);
	struct seen seen = { .arena = arena };
	void *first, *second;

	start(test, &seen);
	first = arena_alloc_aligned(arena, 100, 64, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, first);
	KUNIT_EXPECT_EQ(test, seen.grows, 1u);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).slabs, 4u);
	KUNIT_EXPECT_EQ(test, seen.allocs, 1u);
	KUNIT_EXPECT_EQ(test, seen.bytes, (size_t)100);
	KUNIT_EXPECT_EQ(test, seen.align, (size_t)64);
	KUNIT_EXPECT_EQ(test, seen.offset, arena_handle(arena, first).offset);
	KUNIT_EXPECT_NOT_NULL(test, seen.mine);

	second = arena_alloc(arena, 24, ARENA_NOGROW);
	KUNIT_EXPECT_EQ(test, seen.allocs, 2u);
	KUNIT_EXPECT_EQ(test, seen.bytes, (size_t)24);
	KUNIT_EXPECT_EQ(test, seen.align, ARENA_MIN_ALIGN);
	KUNIT_EXPECT_EQ(test, seen.offset, arena_handle(arena, second).offset);
	KUNIT_EXPECT_EQ(test, seen.generation, arena_handle(arena, second).generation);
	/* The offset counts the two objects of this case and the two of the probe. */
	KUNIT_EXPECT_EQ(test, arena_offset(arena), (size_t)(100 + 24 + 2 * 16));

	KUNIT_EXPECT_NULL(test, arena_alloc(arena, 0, ARENA_NOGROW));
	KUNIT_EXPECT_EQ(test, seen.fails, 1u);
	KUNIT_EXPECT_EQ(test, seen.error, -EINVAL);
	KUNIT_EXPECT_NULL(test, arena_alloc(arena, SZ_1M, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, seen.fails, 2u);
	KUNIT_EXPECT_EQ(test, seen.error, -ENOSPC);
	KUNIT_EXPECT_EQ(test, seen.bytes, (size_t)SZ_1M);

	KUNIT_EXPECT_EQ(test, arena_reset(arena), 0);
	KUNIT_EXPECT_EQ(test, seen.resets, 1u);
	KUNIT_EXPECT_EQ(test, seen.mode, (int)ARENA_EVENT_KEEP);
	/* see_reset() has reset the arena, too: its generation is newer than that of the event. */
	KUNIT_EXPECT_LT(test, seen.generation, (unsigned long)arena_test_stats(arena).generation);
	arena_reset_zero(arena);
	KUNIT_EXPECT_EQ(test, seen.mode, (int)ARENA_EVENT_ZERO);
	arena_reset_release(arena, 0);
	KUNIT_EXPECT_EQ(test, seen.mode, (int)ARENA_EVENT_RELEASE);
	KUNIT_EXPECT_EQ(test, seen.resets, 3u);
	stop(&seen);

	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, seen.allocs, 2u);
	arena_destroy(arena);
}

/* The probe also sees an allocation in an interrupt that comes while the probe runs. */
static void trace_interrupt_during_probe_seen(struct kunit *test)
{
	struct arena *arena = make(test, 0);
	struct seen seen = { .arena = arena, .work = IRQ_WORK_INIT_HARD(alloc_in_irq) };

	KUNIT_ASSERT_EQ(test, arena_populate(arena, SZ_64K, GFP_KERNEL), 0);
	start(test, &seen);
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 32, ARENA_NOGROW));
	KUNIT_EXPECT_TRUE(test, seen.inside);
	KUNIT_EXPECT_EQ(test, seen.allocs, 1u);
	/* When the interrupt has ended, the probe sees the next allocation as well. */
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc(arena, 32, ARENA_NOGROW));
	KUNIT_EXPECT_EQ(test, seen.allocs, 2u);
	stop(&seen);
	arena_destroy(arena);
}

DEFINE_ARENA(traced, u32);

/*
 * A probe sees the allocation of a reused element like that of a new one, and an append as one
 * event.
 */
static void trace_typed_calls_seen(struct kunit *test)
{
	struct traced *typed = traced_create_flags(4, 0);
	const u32 values[] = { 1, 2, 3 };
	struct seen seen = { .quiet = true };

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, typed);
	seen.arena = (struct arena *)arena_typed_arena((struct arena_typed *)typed);
	start(test, &seen);
	KUNIT_EXPECT_NOT_NULL(test, traced_alloc(typed, &values[0]));
	KUNIT_EXPECT_EQ(test, seen.allocs, 1u);
	KUNIT_EXPECT_EQ(test, traced_append(typed, values, 3), 1l);
	KUNIT_EXPECT_EQ(test, seen.allocs, 2u);
	KUNIT_EXPECT_EQ(test, seen.bytes, sizeof(values));
	KUNIT_EXPECT_EQ(test, traced_append(typed, values, 2), (long)-ENOSPC);
	KUNIT_EXPECT_EQ(test, seen.fails, 1u);
	KUNIT_EXPECT_EQ(test, seen.bytes, 2 * sizeof(u32));
	traced_free(typed, traced_at(typed, 2));
	KUNIT_EXPECT_PTR_EQ(test, traced_alloc(typed, &values[0]), traced_at(typed, 2));
	KUNIT_EXPECT_EQ(test, seen.allocs, 3u);
	KUNIT_EXPECT_EQ(test, seen.offset, 2 * sizeof(u32));
	KUNIT_EXPECT_EQ(test, seen.bytes, sizeof(u32));
	stop(&seen);
	traced_destroy(typed);
}

static struct kunit_case arena_trace_cases[] = {
	KUNIT_CASE_PARAM(trace_nested_probe_each_event_once, flags_gen_params),
	KUNIT_CASE(trace_interrupt_during_probe_seen),
	KUNIT_CASE(trace_typed_calls_seen),
	{ }
};

static struct kunit_suite arena_trace_suite = {
	.name = "arena_trace",
	.test_cases = arena_trace_cases,
};

kunit_test_suite(arena_trace_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: tracepoints");
MODULE_LICENSE("GPL");
