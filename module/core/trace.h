/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints, in tracefs below events/arena. Only trace.c calls them; the other files of
 * the core call the functions of events.h. Sizes and offsets are in bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM arena

#if !defined(_ARENA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _ARENA_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "core/events.h"

#define show_arena_flags(flags)				\
	__print_flags(flags, "|",			\
		{ ARENA_SPANS,		"spans" },	\
		{ ARENA_ON_NODE,	"node" },	\
		{ ARENA_ACCOUNT,	"account" },	\
		{ ARENA_ZERO,		"zero" },	\
		{ ARENA_READERS,	"readers" },	\
		{ ARENA_SHRINK,		"shrink" },	\
		{ ARENA_MAPPABLE,	"mappable" })

#define show_arena_reset(mode)				\
	__print_symbolic(mode,				\
		{ ARENA_EVENT_KEEP,	"keep" },	\
		{ ARENA_EVENT_RCU,	"rcu" },	\
		{ ARENA_EVENT_RELEASE,	"release" },	\
		{ ARENA_EVENT_ZERO,	"zero" },	\
		{ ARENA_EVENT_REWIND,	"rewind" },	\
		{ ARENA_EVENT_SHRINK,	"shrink" })

int arena_trace_enable(void);
void arena_trace_disable(void);

TRACE_EVENT(arena_create,
	TP_PROTO(const struct arena *arena),
	TP_ARGS(arena),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(size_t,		capacity)
		__field(size_t,		slab_size)
		__field(unsigned long,	flags)
		__array(char,		name, ARENA_NAME_MAX)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->capacity = arena->capacity;
		__entry->slab_size = arena_slab_size(arena);
		__entry->flags = arena->flags;
		memcpy(__entry->name, arena->name, ARENA_NAME_MAX);
	),
	TP_printk("id=%llu capacity=%zu slab_size=%zu flags=%s name=%s",
		  __entry->id, __entry->capacity, __entry->slab_size,
		  show_arena_flags(__entry->flags), __entry->name)
);

TRACE_EVENT(arena_destroy,
	TP_PROTO(const struct arena *arena, unsigned long generation),
	TP_ARGS(arena, generation),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(unsigned long,	generation)
		__field(u64,		resets)
		__field(size_t,		committed_peak)
		__array(char,		name, ARENA_NAME_MAX)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->generation = generation;
		__entry->resets = (unsigned long)atomic_long_read(&arena->resets);
		__entry->committed_peak = atomic_long_read(&arena->committed_peak);
		memcpy(__entry->name, arena->name, ARENA_NAME_MAX);
	),
	TP_printk("id=%llu generation=%lu resets=%llu committed_peak=%zu name=%s",
		  __entry->id, __entry->generation, __entry->resets,
		  __entry->committed_peak, __entry->name)
);

TRACE_EVENT(arena_grow,
	TP_PROTO(const struct arena *arena, size_t offset, gfp_t gfp),
	TP_ARGS(arena, offset, gfp),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(size_t,		offset)
		__field(size_t,		bytes)
		__field(size_t,		committed)
		__field(unsigned long,	gfp)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->offset = offset;
		__entry->bytes = arena_slab_size(arena);
		__entry->committed = atomic_long_read(&arena->committed);
		__entry->gfp = (__force unsigned long)gfp;
	),
	TP_printk("id=%llu offset=%zu bytes=%zu committed=%zu gfp=%s",
		  __entry->id, __entry->offset, __entry->bytes, __entry->committed,
		  show_gfp_flags(__entry->gfp))
);

/*
 * While this event is enabled, the states of CPUs are hidden from the fast paths
 * (arena_cpus_hide()), so that every allocation takes a path that traces it.
 */
TRACE_EVENT_FN(arena_alloc,
	TP_PROTO(const struct arena *arena, unsigned long generation, size_t offset,
		 size_t bytes, size_t align, gfp_t gfp),
	TP_ARGS(arena, generation, offset, bytes, align, gfp),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(unsigned long,	generation)
		__field(size_t,		offset)
		__field(size_t,		bytes)
		__field(size_t,		align)
		__field(unsigned long,	gfp)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->generation = generation;
		__entry->offset = offset;
		__entry->bytes = bytes;
		__entry->align = align;
		__entry->gfp = (__force unsigned long)gfp;
	),
	TP_printk("id=%llu generation=%lu offset=%zu bytes=%zu align=%zu gfp=%s",
		  __entry->id, __entry->generation, __entry->offset, __entry->bytes,
		  __entry->align, show_gfp_flags(__entry->gfp)),
	arena_trace_enable, arena_trace_disable
);

TRACE_EVENT(arena_alloc_fail,
	TP_PROTO(const struct arena *arena, size_t bytes, size_t align, gfp_t gfp, int error),
	TP_ARGS(arena, bytes, align, gfp, error),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(size_t,		bytes)
		__field(size_t,		align)
		__field(unsigned long,	gfp)
		__field(int,		error)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->bytes = bytes;
		__entry->align = align;
		__entry->gfp = (__force unsigned long)gfp;
		__entry->error = error;
	),
	TP_printk("id=%llu bytes=%zu align=%zu error=%d gfp=%s",
		  __entry->id, __entry->bytes, __entry->align, __entry->error,
		  show_gfp_flags(__entry->gfp))
);

TRACE_EVENT(arena_reset,
	TP_PROTO(const struct arena *arena, unsigned long generation, int mode),
	TP_ARGS(arena, generation, mode),
	TP_STRUCT__entry(
		__field(u64,		id)
		__field(unsigned long,	generation)
		__field(int,		mode)
		__field(size_t,		kept)
	),
	TP_fast_assign(
		__entry->id = arena->id;
		__entry->generation = generation;
		__entry->mode = mode;
		__entry->kept = (size_t)READ_ONCE(arena->slabs_kept) << arena->slab_shift;
	),
	TP_printk("id=%llu mode=%s generation=%lu kept=%zu",
		  __entry->id, show_arena_reset(__entry->mode), __entry->generation,
		  __entry->kept)
);

#endif /* _ARENA_TRACE_H */

/*
 * TRACE_INCLUDE_PATH is relative to the include path that Kbuild sets, so that the source tree may
 * lie anywhere.
 */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH core
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
