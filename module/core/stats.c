// SPDX-License-Identifier: GPL-2.0
/*
 * What an arena says of itself: offset, high, capacity, statistics.
 */
#include <linux/export.h>

#include "core/cursor.h"

/* What the slots counted in @generation. */
static size_t counted_in_slots(const struct arena *arena, unsigned long generation)
{
	unsigned long deep = atomic_long_read(&arena->deep_used);
	size_t used = 0;
	int cpu, i;

	if (cursor_tag(deep) == (generation & ARENA_TAG_MASK))
		used = cursor_offset(deep);
	for_each_possible_cpu(cpu) {
		const struct arena_slot *slot = per_cpu_ptr(arena->cpu, cpu)->slot;

		for (i = 0; i < ARENA_SLOTS; i++)
			/* Pairs with the smp_store_release() in slot_adopt(). */
			if (smp_load_acquire(&slot[i].generation) == generation)
				used += READ_ONCE(slot[i].used) + READ_ONCE(slot[i].taken);
	}
	return used;
}

/* See cursor_count(). */
static size_t used_in_view(const struct arena *arena, const struct arena_view *view)
{
	unsigned long noted;

	if (arena->spans)
		return counted_in_slots(arena, view->generation);
	if (!(view->cursor & ARENA_COUNTED))
		return cursor_offset(view->cursor);
	/*
	 * Pairs with the compare-and-swap of the cursor by whoever claimed after it was
	 * noted: who sees that claim sees the note.
	 */
	smp_rmb();
	noted = atomic_long_read(&arena->uncounted);
	if (cursor_tag(noted) != cursor_tag(view->cursor))
		return cursor_offset(view->cursor);
	return cursor_offset(noted) + counted_in_slots(arena, view->generation);
}

/**
 * arena_offset() - How many bytes have been handed out since the last reset.
 * @arena: the arena, not NULL.
 *
 * The sum of the sizes asked for, without padding: exact when nobody allocates,
 * and otherwise never less than what it was before (clause 7). Not an end: see
 * arena_high().
 *
 * Context: Any. Takes no lock; linear in possible CPUs.
 * Return: Bytes.
 */
size_t arena_offset(const struct arena *arena)
{
	struct arena_view view = arena_peek(arena);

	return used_in_view(arena, &view);
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
	return min(cursor_offset(atomic_long_read(&arena->cursor)), arena->capacity);
}
EXPORT_SYMBOL_GPL(arena_high);

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

/* Sums what each CPU counted. */
static void stats_sum(const struct arena *arena, struct arena_stats *stats)
{
	int cpu, i;

	stats->allocs = atomic_long_read(&arena->deep_allocs);
	for_each_possible_cpu(cpu) {
		const struct arena_cpu *c = per_cpu_ptr(arena->cpu, cpu);

		stats->allocs += local_read(&c->allocs);
		stats->fail_space += READ_ONCE(c->fails[ARENA_FAIL_SPACE]);
		stats->fail_memory += READ_ONCE(c->fails[ARENA_FAIL_MEMORY]);
		stats->fail_arg += READ_ONCE(c->fails[ARENA_FAIL_ARG]);
		for (i = 0; i < ARENA_SLOTS; i++)
			/* Each may be below zero, see arena_count_objects(). */
			stats->allocs += (long)READ_ONCE(c->slot[i].allocs);
	}
}

/**
 * arena_stats() - What an arena holds and what it has done (clause 8).
 * @arena: the arena, not NULL.
 * @stats: filled in.
 *
 * A coherent picture when the arena is quiet; while others allocate, each number
 * is one that was true at some moment during the call.
 *
 * Context: Any. Takes no lock; linear in possible CPUs.
 */
void arena_stats(const struct arena *arena, struct arena_stats *stats)
{
	struct arena_view view = arena_peek(arena);

	*stats = (struct arena_stats) {
		.generation	= view.generation,
		.capacity	= arena->capacity,
		.used		= used_in_view(arena, &view),
		.high		= arena_high(arena),
		.committed	= atomic_long_read(&arena->committed),
		.committed_peak	= atomic_long_read(&arena->committed_peak),
		.slab_size	= arena_slab_size(arena),
		.slabs_kept	= READ_ONCE(arena->slabs_kept),
		.resets		= (unsigned long)atomic_long_read(&arena->resets),
		.page_allocs	= atomic_long_read(&arena->page_allocs),
		.page_frees	= atomic_long_read(&arena->page_frees),
		.pool_hits	= atomic_long_read(&arena->pool_hits),
	};
	/* A reset in between: the numbers of two generations do not mix. */
	stats->used = min(stats->used, stats->high);
	stats->padding = stats->high - stats->used;
	stats->free = stats->capacity - stats->high;
	stats->peak = max_t(size_t, atomic_long_read(&arena->peak), stats->high);
	stats->slabs = stats->committed >> arena->slab_shift;
	stats_sum(arena, stats);
}
EXPORT_SYMBOL_GPL(arena_stats);
