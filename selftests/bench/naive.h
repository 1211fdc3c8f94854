/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bump allocators that do as little as possible, to measure how fast an allocator could be: they
 * neither zero nor count objects, a reset does not exclude allocations by other CPUs, and all
 * memory is allocated beforehand.
 */
#ifndef _ARENA_BENCH_NAIVE_H
#define _ARENA_BENCH_NAIVE_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct bump - memory that bump allocators divide.
 * @base:     kernel address of the memory.
 * @capacity: bytes of memory.
 * @shared:   offset of the free memory, for the functions that use atomics.
 * @plain:    offset of the free memory, for the functions without atomics.
 */
struct bump {
	unsigned long	base;
	unsigned long	capacity;
	atomic_long_t	shared ____cacheline_aligned;
	unsigned long	plain;
};

/* The smallest bump allocator: it has no bounds check and is not atomic. */
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

/* Adds before it checks, so the offset goes past the end when the memory is used up. */
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

/* These functions are never inlined: like an allocator in another module, they cost a call. */
void *bump_bounded_call(struct bump *bump, size_t size);
void *bump_xadd_call(struct bump *bump, size_t size);
void *bump_cmpxchg_call(struct bump *bump, size_t size);

#endif /* _ARENA_BENCH_NAIVE_H */
