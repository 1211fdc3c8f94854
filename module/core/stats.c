// SPDX-License-Identifier: GPL-2.0
/* The calls that report on an arena: offset, high, capacity, statistics. */
#include <linux/export.h>

#include "core/cursor.h"

/*
 * Returns the bytes counted in @generation, in all slots and in deep_used. @may_end says that the
 * generation may end meanwhile. This is inline, because each ioctl that allocates from an arena
 * with spans runs it while a program has the status page mapped.
 */
static __always_inline size_t counted_in_slots(const struct arena *arena, unsigned long generation,
					       bool may_end)
{
	unsigned long deep = atomic_long_read(&arena->deep_used);
	const struct arena_cpu *cpu;
	size_t used = 0, bytes;

	if (cursor_tag(deep) == (generation & ARENA_TAG_MASK))
		used = cursor_offset(deep);
	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next) {
		/*
		 * Acquire: pairs with the smp_store_release() in slot_begin(). A reader that finds
		 * @generation in a slot does not find the bytes of an older one there.
		 */
		if (smp_load_acquire(&cpu->slot.generation) != generation)
			continue;
		bytes = READ_ONCE(cpu->slot.used) + READ_ONCE(cpu->slot.taken);
		if (may_end) {
			/*
			 * Pairs with smp_wmb() in slot_generation_ends(): if the bytes read above
			 * are of a newer generation, the slot no longer has @generation here.
			 */
			smp_rmb();
			if (unlikely(READ_ONCE(cpu->slot.generation) != generation))
				continue;
		}
		used += bytes;
	}
	return used;
}

/* Bytes used at @snap, in a generation of a dense arena in which each claim counts its bytes. */
static noinline size_t used_if_counted(const struct arena *arena, struct arena_snap snap)
{
	unsigned long noted, begun, used;

	/*
	 * Pairs with the compare-and-swap in cursor_claim(), which comes after the note: if the
	 * cursor shows such a claim, this CPU sees the note below. Otherwise the padding of that
	 * claim would count as used, and the sum could fall later.
	 */
	smp_rmb();
	noted = atomic_long_read(&arena->uncounted);
	if (cursor_tag(noted) != cursor_tag(snap.cursor)) {
		/*
		 * No CPU has noted yet at which offset counting began, so no claim has succeeded
		 * since counting began. If the generation began with the bit "counted", after a
		 * rewind, the bytes used are those at its start. Otherwise they are the offset.
		 */
		if (arena_begin_word(arena, snap.cursor, &begun, &used) && begun & ARENA_COUNTED)
			return cursor_offset(used);
		return cursor_offset(snap.cursor);
	}
	return cursor_offset(noted) + counted_in_slots(arena, snap.generation, true);
}

static __always_inline size_t used_in_snap(const struct arena *arena, struct arena_snap snap,
					   bool may_end)
{
	if (arena->spans)
		return counted_in_slots(arena, snap.generation, may_end);
	if (unlikely(snap.cursor & ARENA_COUNTED))
		return used_if_counted(arena, snap);
	return cursor_offset(snap.cursor);
}

/*
 * Returns the bytes used at @snap, which arena_snap_begun() has returned. The sum may be below 0
 * for a moment: after this CPU has read the count of one CPU, that CPU may count an object, and
 * another CPU, whose count is read later, may make that object smaller.
 */
size_t arena_used_in_snap(const struct arena *arena, struct arena_snap snap)
{
	return max_t(long, used_in_snap(arena, snap, true), 0);
}

/**
 * arena_offset() - How many bytes are handed out.
 * @arena: the arena, not NULL.
 *
 * This is the sum of the sizes that callers asked for, without padding, over all objects that no
 * reset or rewind has freed. It is exact while no CPU allocates. Four calls lower it: a reset, a
 * rewind, and arena_resize() or arena_unreserve() if they give bytes back. While one of the last
 * two runs, the number may be too low by the bytes that are given back (clause 7). Objects may end
 * above this number; none ends above arena_high().
 *
 * Context: Any. Takes no lock; linear in the CPUs that have used the arena.
 * Return: Bytes.
 */
size_t arena_offset(const struct arena *arena)
{
	return arena_used_in_snap(arena, arena_snap_begun(arena));
}
EXPORT_SYMBOL_GPL(arena_offset);

/**
 * arena_high() - An offset that no object of this generation ends above.
 * @arena: the arena, not NULL.
 *
 * Context: Any. Takes no lock.
 * Return: Bytes from offset 0.
 */
size_t arena_high(const struct arena *arena)
{
	return min(cursor_offset(arena_snap_begun(arena).cursor), arena->capacity);
}
EXPORT_SYMBOL_GPL(arena_high);

/*
 * Returns bytes used and high at @snap. The counts are read after the cursor, and may include
 * objects that were claimed later, above high: then the bytes used are reduced to high. Objects
 * that the caller had claimed before it took @snap lie below high, and are counted.
 */
static __always_inline struct arena_usage usage_in_snap(const struct arena *arena,
							struct arena_snap snap, bool may_end)
{
	size_t high = min(cursor_offset(snap.cursor), arena->capacity);

	return (struct arena_usage) {
		.used = min(used_in_snap(arena, snap, may_end), high),
		.high = high,
	};
}

static noinline struct arena_usage usage_read(const struct arena *arena)
{
	return usage_in_snap(arena, arena_snap_begun(arena), true);
}

/*
 * Returns bytes used and high, for a caller that keeps resets and rewinds out. While a program has
 * the status page mapped, each ioctl that allocates calls this function. So the rare cases are left
 * to usage_read(), by a tail call: then the common case needs no stack frame.
 */
struct arena_usage arena_usage_no_reset(const struct arena *arena)
{
	struct arena_snap snap = __arena_snap(arena);

	if (unlikely(!cursor_settled(snap.cursor) || snap.cursor & ARENA_COUNTED))
		return usage_read(arena);
	return usage_in_snap(arena, snap, false);
}

/*
 * Read generation, bytes used and high of one moment. Each call in the loop reads the cursor, and a
 * later read of a word never returns an older value of it. So if the first and the last call find
 * the same generation, the calls between them have found it, too.
 */
void arena_moment_read(const struct arena *arena, struct arena_moment *now)
{
	struct arena_usage usage;

	do {
		now->generation = arena_snap(arena).generation;
		usage = usage_read(arena);
	} while (arena_snap(arena).generation != now->generation);
	now->used = usage.used;
	now->high = usage.high;
}

/**
 * arena_capacity() - The size of the space, as asked for at creation.
 * @arena: the arena, not NULL.
 *
 * Context: Any.
 * Return: Bytes.
 */
size_t arena_capacity(const struct arena *arena)
{
	return arena->capacity;
}
EXPORT_SYMBOL_GPL(arena_capacity);

/* The number of objects handed out: the sum over all states, and over CPUs without state. */
static unsigned long count_allocs(const struct arena *arena)
{
	unsigned long allocs = atomic_long_read(&arena->deep_allocs);
	const struct arena_cpu *cpu;

	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next)
		allocs += local_read(&cpu->allocs);
	return allocs;
}

/**
 * arena_stats() - Read the statistics of an arena (clause 8).
 * @arena: the arena, not NULL.
 * @stats: filled in.
 *
 * The numbers agree with each other while no CPU uses the arena. Otherwise each of them was
 * true at some moment during the call.
 *
 * Context: Any. Takes no lock; linear in the CPUs that have used the arena.
 */
void arena_stats(const struct arena *arena, struct arena_stats *stats)
{
	struct arena_snap snap = arena_snap_begun(arena);

	*stats = (struct arena_stats) {
		.generation	= snap.generation,
		.capacity	= arena->capacity,
		.used		= arena_used_in_snap(arena, snap),
		.high		= arena_high(arena),
		.committed	= atomic_long_read(&arena->committed),
		.committed_peak	= atomic_long_read(&arena->committed_peak),
		.slab_size	= arena_slab_size(arena),
		.slabs_kept	= READ_ONCE(arena->slabs_kept),
		.allocs		= count_allocs(arena),
		.fail_space	= atomic_long_read(&arena->fails[ARENA_FAIL_SPACE]),
		.fail_memory	= atomic_long_read(&arena->fails[ARENA_FAIL_MEMORY]),
		.fail_arg	= atomic_long_read(&arena->fails[ARENA_FAIL_ARG]),
		.resets		= (unsigned long)atomic_long_read(&arena->resets),
		.page_allocs	= atomic_long_read(&arena->page_allocs),
		.page_frees	= atomic_long_read(&arena->page_frees),
		.pool_hits	= atomic_long_read(&arena->pool_hits),
		.findings	= arena_check_findings(arena),
	};
	/*
	 * If a reset came between the reads, high may be lower than used: keep the padding from
	 * going negative.
	 */
	stats->used = min(stats->used, stats->high);
	stats->padding = stats->high - stats->used;
	stats->free = stats->capacity - stats->high;
	stats->peak = max_t(size_t, atomic_long_read(&arena->peak), stats->high);
	stats->slabs = stats->committed >> arena->slab_shift;
}
EXPORT_SYMBOL_GPL(arena_stats);
