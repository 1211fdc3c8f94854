/* SPDX-License-Identifier: GPL-2.0 */
/* Differences between kernel versions and architectures, for the benchmarks. */
#ifndef _ARENA_BENCH_COMPAT_H
#define _ARENA_BENCH_COMPAT_H

#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

/*
 * kmalloc_nolock() and mempool_alloc_bulk() are newer than 6.12, and macros where they exist.
 * kmalloc_nolock() needs cmpxchg_double().
 */
#if defined(kmalloc_nolock) && defined(CONFIG_HAVE_CMPXCHG_DOUBLE)
#define BENCH_NOLOCK
#endif
#ifdef mempool_alloc_bulk
#define BENCH_MEMPOOL_BULK
#endif

/*
 * Kbuild defines BENCH_OBJPOOL if the kernel has objpool, and BENCH_FRAG_PACKED if the members of
 * its struct page_frag_cache are packed into one word.
 */
#ifdef BENCH_OBJPOOL
#include <linux/objpool.h>
#endif

static inline void bench_frag_drain(struct page_frag_cache *cache)
{
#ifdef BENCH_FRAG_PACKED
	page_frag_cache_drain(cache);
#else
	if (cache->va)
		__page_frag_cache_drain(virt_to_head_page(cache->va), cache->pagecnt_bias);
	cache->va = NULL;
#endif
}

/*
 * Reads the clock that takes the least time to read. Under QEMU's icount, the time stamp counter of
 * the guest counts instructions. On UML, rdtsc reads the counter of the host; the headers of UML
 * have no function for that.
 */
static __always_inline u64 bench_ticks(void)
{
#if defined(CONFIG_X86) || defined(CONFIG_UML_X86)
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
#else
	return ktime_get_ns();
#endif
}

#endif /* _ARENA_BENCH_COMPAT_H */
