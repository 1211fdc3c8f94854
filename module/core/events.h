/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls for tracing: trace.h defines the events, and trace.c emits them. While an event is
 * disabled, a call costs one static branch and computes nothing.
 */
#ifndef _ARENA_EVENTS_H
#define _ARENA_EVENTS_H

#include <linux/tracepoint-defs.h>

#include "core/core.h"

DECLARE_TRACEPOINT(arena_create);
DECLARE_TRACEPOINT(arena_destroy);
DECLARE_TRACEPOINT(arena_grow);
DECLARE_TRACEPOINT(arena_alloc);
DECLARE_TRACEPOINT(arena_alloc_fail);
DECLARE_TRACEPOINT(arena_reset);

/* The kinds of resets that arena_reset events show. */
enum arena_event_reset {
	ARENA_EVENT_KEEP,
	ARENA_EVENT_RCU,
	ARENA_EVENT_RELEASE,
	ARENA_EVENT_ZERO,
	ARENA_EVENT_REWIND,
	ARENA_EVENT_SHRINK,
};

void __arena_trace_create(const struct arena *arena);
void __arena_trace_destroy(const struct arena *arena);
void __arena_trace_grow(const struct arena *arena, size_t index, gfp_t gfp);
void __arena_trace_alloc(const struct arena *arena, unsigned long generation, size_t offset,
			 size_t size, size_t align, gfp_t gfp);
void __arena_trace_alloc_fail(const struct arena *arena, size_t size, size_t align, gfp_t gfp,
			      int err);
void __arena_trace_reset(const struct arena *arena, enum arena_event_reset mode);

static inline void arena_trace_create(const struct arena *arena)
{
	if (tracepoint_enabled(arena_create))
		__arena_trace_create(arena);
}

static inline void arena_trace_destroy(const struct arena *arena)
{
	if (tracepoint_enabled(arena_destroy))
		__arena_trace_destroy(arena);
}

/* The caller has committed slab @index. */
static inline void arena_trace_grow(const struct arena *arena, size_t index, gfp_t gfp)
{
	if (tracepoint_enabled(arena_grow))
		__arena_trace_grow(arena, index, gfp);
}

static inline void arena_trace_alloc(const struct arena *arena, unsigned long generation,
				     size_t offset, size_t size, size_t align, gfp_t gfp)
{
	if (tracepoint_enabled(arena_alloc))
		__arena_trace_alloc(arena, generation, offset, size, align, gfp);
}

static inline void arena_trace_alloc_fail(const struct arena *arena, size_t size, size_t align,
					  gfp_t gfp, int err)
{
	if (tracepoint_enabled(arena_alloc_fail))
		__arena_trace_alloc_fail(arena, size, align, gfp, err);
}

/*
 * A reset or rewind of kind @mode has begun a generation. The caller may hold the lock of a
 * typed arena, with interrupts off.
 */
static inline void arena_trace_reset(const struct arena *arena, enum arena_event_reset mode)
{
	if (tracepoint_enabled(arena_reset))
		__arena_trace_reset(arena, mode);
}

#endif /* _ARENA_EVENTS_H */
