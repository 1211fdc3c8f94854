/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bump allocators that do as little as possible: no zeroing, no accounting, no
 * reset that is safe against anybody, and memory committed beforehand. How
 * fast one could be if nothing else mattered.
 */
#ifndef _ARENA_BENCH_NAIVE_H
#define _ARENA_BENCH_NAIVE_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct bump - one stretch of memory.
 * @base:     kernel address.
 * @capacity: bytes.
 * @shared:   offset of what is free, of the atomic ones.
 * @plain:    the same, of those without atomics.
 */
struct bump {
	unsigned long	base;
	unsigned long	capacity;
	atomic_long_t	shared ____cacheline_aligned;
	unsigned long	plain;
};

/* Unbounded and not atomic: the least that a bump can be. */
static __always_inline void *bump_plain(struct bump *bump, size_t size)
{
	unsigned long offset = READ_ONCE(bump->plain);

	WRITE_ONCE(bump->plain, offset + size);
	return (void *)(bump->base + offset);
}

static __always_inline void *bump_bounded(struct bump *bump, size_t size)
{
	unsigned long offset = READ_ONCE(bump->plain);

	if (unlikely(size > bump->capacity - offset))
		return NULL;
	WRITE_ONCE(bump->plain, offset + size);
	return (void *)(bump->base + offset);
}

/* Adds first: overshoots when full. */
static __always_inline void *bump_xadd(struct bump *bump, size_t size)
{
	unsigned long offset = atomic_long_fetch_add(size, &bump->shared);

	if (unlikely(offset + size > bump->capacity))
		return NULL;
	return (void *)(bump->base + offset);
}

static __always_inline void *bump_cmpxchg(struct bump *bump, size_t size)
{
	long offset = atomic_long_read(&bump->shared);

	do {
		if (unlikely(size > bump->capacity - offset))
			return NULL;
	} while (!atomic_long_try_cmpxchg(&bump->shared, &offset, offset + size));
	return (void *)(bump->base + offset);
}

/* The same through a call, as an allocator in another module would be. */
void *bump_bounded_call(struct bump *bump, size_t size);
void *bump_xadd_call(struct bump *bump, size_t size);
void *bump_cmpxchg_call(struct bump *bump, size_t size);

#endif /* _ARENA_BENCH_NAIVE_H */
