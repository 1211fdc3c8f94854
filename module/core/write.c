// SPDX-License-Identifier: GPL-2.0
/*
 * arena_write() zeroes claimed memory or copies to it. A reset may free that memory meanwhile; even
 * then, no late write lands in an object of a newer generation.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "compat.h"
#include "core/cursor.h"

/* A fatal signal ends only writes of more bytes than this: shorter writes are soon done. */
#define LONG_WRITE	ARENA_SLAB_MAX

/*
 * Write @src, or zeroes if @src is NULL, to an object of @generation at @offset. Preemption is off
 * for one chunk at a time.
 *
 * Return: 0; -ESTALE if a reset or rewind has freed the object meanwhile; -EINTR, with a part
 * written, if the task is being killed, @gfp lets it sleep, and the write is a long one.
 */
int arena_write(struct arena *arena, unsigned long generation, size_t offset,
		const void *src, size_t size, gfp_t gfp)
{
	const size_t mask = arena_slab_size(arena) - 1;
	const bool killable = gfpflags_allow_blocking(gfp) && size > LONG_WRITE;

	while (size) {
		size_t chunk = min3(size, (offset | mask) + 1 - offset, (size_t)ARENA_COPY_CHUNK);
		struct arena_cpu *cpu = arena_enter(arena);
		/* @base is NULL only if a reset released the slab: the generation is over. */
		void *base = arena_slab_base(arena, generation, offset);
		void *to = base + (offset & mask);
		struct arena_cpu *writer = base ? arena_write_begin(arena, cpu, generation, to) :
						  NULL;

		if (writer) {
			if (src)
				arena_copy(to, src, chunk);
			else
				arena_zero(to, chunk);
			arena_write_end(arena, writer);
		}
		arena_leave(cpu);
		if (!writer)
			return -ESTALE;
		src = src ? src + chunk : NULL;
		offset += chunk;
		size -= chunk;
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
		if (killable && size && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}
