// SPDX-License-Identifier: GPL-2.0
/*
 * Zeroing of, and copying to, claimed memory, such that a late write never lands in an object
 * of a newer generation.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "compat.h"
#include "core/cursor.h"

/*
 * Set the bit of this CPU, whose state is @cpu, in arena->written for @generation. False if the CPU
 * has no state, or if @generation is over.
 *
 * The tag in arena->written wraps as that of the cursor does. A word without bits may be as old as
 * it likes, and is replaced whatever its tag. One with bits is not old: the CPU that settles a
 * generation clears the bits of former ones. Nor is @generation, as preemption is off since it was
 * found to be the present one. So the two are less than half a turn of the tag apart.
 */
noinline bool __arena_may_write(struct arena *arena, const struct arena_cpu *cpu,
				unsigned long generation)
{
	const unsigned long bit = BIT(raw_smp_processor_id() % ARENA_WRITTEN_CPUS);
	const unsigned long start = cursor_start(generation);
	long word = atomic_long_read(&arena->written);
	unsigned long bits;

	if (arena_cpu_missing(cpu) || __arena_snap(arena).generation != generation)
		return false;
	do {
		bits = word & ARENA_WRITTEN_MASK;
		if (cursor_tag(word) != cursor_tag(start)) {
			if (bits && (long)(word - start) > 0)
				return false;
			bits = 0;
		}
		if (bits & bit)
			return true;
		/*
		 * Full barrier: pairs with B in arena_settle(). This CPU reads the generation after
		 * it has set its bit: it sees that @generation is over, or the CPU that settles the
		 * next one sees the bit. Without it, a late store of this CPU could land in an
		 * object of the next generation.
		 */
	} while (!atomic_long_try_cmpxchg(&arena->written, &word, start | bits | bit));
	return true;
}

/* A fatal signal ends only writes of more bytes than this: the others are soon done. */
#define LONG_WRITE	ARENA_SLAB_MAX

/*
 * Write @src, or zeroes if that is NULL, to an object of @generation at @offset. Preemption is
 * off for one chunk at a time.
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
		/* NULL only if a reset has released the slab, so the generation is over. */
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
