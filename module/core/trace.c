// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that emit events. The inline functions in events.h call them only while the event
 * is enabled.
 *
 * A tracer may itself allocate from an arena, even from the arena whose event it handles. If that
 * allocation emitted an event, too, the tracer would recurse without end. So while a tracer runs on
 * a CPU, events of arenas on that CPU are dropped in the same context (task, softirq, hardirq or
 * NMI). Events in an interrupt that interrupts the tracer are emitted.
 */
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/tracepoint.h>

#include "core/events.h"

#define CREATE_TRACE_POINTS
#include "core/trace.h"

/* One bit for each context level (task, softirq, hardirq, NMI) in which a tracer runs. */
static DEFINE_PER_CPU(unsigned int, tracing);

static bool tracer_enter(void)
{
	unsigned int bit = BIT(interrupt_context_level());

	preempt_disable_notrace();
	if (!(__this_cpu_read(tracing) & bit)) {
		__this_cpu_or(tracing, bit);
		return true;
	}
	preempt_enable_notrace();
	return false;
}

/*
 * The update need not be atomic: an interrupt between the load and the store of @tracing leaves the
 * value as it found it.
 */
static void tracer_leave(void)
{
	__this_cpu_and(tracing, ~BIT(interrupt_context_level()));
	preempt_enable_notrace();
}

#define EMIT(_event, ...)				\
do {							\
	if (tracer_enter()) {				\
		trace_arena_##_event(__VA_ARGS__);	\
		tracer_leave();				\
	}						\
} while (0)

void __arena_trace_create(const struct arena *arena)
{
	EMIT(create, arena);
}

void __arena_trace_destroy(const struct arena *arena)
{
	EMIT(destroy, arena, arena_snap(arena).generation);
}

void __arena_trace_grow(const struct arena *arena, size_t index, gfp_t gfp)
{
	EMIT(grow, arena, index << arena->slab_shift, gfp);
}

void __arena_trace_alloc(const struct arena *arena, unsigned long generation, size_t offset,
			 size_t size, size_t align, gfp_t gfp)
{
	EMIT(alloc, arena, generation, offset, size, align, gfp);
}

void __arena_trace_alloc_fail(const struct arena *arena, size_t size, size_t align, gfp_t gfp,
			      int err)
{
	EMIT(alloc_fail, arena, size, align, gfp, err);
}

void __arena_trace_reset(const struct arena *arena, enum arena_event_reset mode)
{
	EMIT(reset, arena, arena_snap(arena).generation, mode);
}

int arena_trace_enable(void)
{
	arena_cpus_hide(true);
	return 0;
}

void arena_trace_disable(void)
{
	arena_cpus_hide(false);
}

/* Tracers that are modules need these exports. */
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_create);
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_destroy);
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_grow);
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_alloc);
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_alloc_fail);
EXPORT_TRACEPOINT_SYMBOL_GPL(arena_reset);
