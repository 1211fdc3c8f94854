// SPDX-License-Identifier: GPL-2.0
/*
 * Writing to claimed memory without running into the next generation.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "compat.h"
#include "core/cursor.h"

/* Enough to make a task that is being killed wait. Less than that is always written. */
#define LONG_WRITE	ARENA_SLAB_MAX

/*
 * Write @src, or zeroes, to a place of @generation, slab by slab and never
 * long with preemption off. 0; -ESTALE if the generation ended meanwhile; -EINTR if the
 * task is being killed, @gfp lets it sleep, and it is a long write: then a part is missing.
 */
int arena_write(struct arena *arena, unsigned long generation, size_t offset,
		const void *src, size_t size, gfp_t gfp)
{
	const size_t mask = arena_slab_size(arena) - 1;
	const bool killable = gfpflags_allow_blocking(gfp) && size > LONG_WRITE;

	while (size) {
		size_t chunk = min3(size, (offset | mask) + 1 - offset, (size_t)ARENA_COPY_CHUNK);
		struct arena_cpu *cpu = arena_enter(arena);
		/* NULL only where a reset has released the slab: then the generation is over. */
		void *base = arena_slab_base(arena, generation, offset);
		void *to = base + (offset & mask);
		bool live = base && arena_write_begin(arena, cpu, generation, to);

		if (live) {
			if (src)
				memcpy(to, src, chunk);
			else
				memset(to, 0, chunk);
			arena_write_end(arena, cpu);
		}
		arena_leave(cpu);
		if (!live)
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
