/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel versions, 6.1 to 7.3. The module is written for the newest version,
 * and this file defines what older ones lack. No other file of the module tests the version. In a
 * kernel tree, the module is built without this file.
 */
#ifndef _ARENA_COMPAT_H
#define _ARENA_COMPAT_H

#include <linux/cacheinfo.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>
#if defined(CONFIG_MIPS) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#include <asm/cpu-features.h>
#endif

/*
 * From 6.15 on, PMDs can map pages of a driver. Out of tree, no Kconfig defines CONFIG_ARENA_HUGE;
 * in an older tree, module/Kconfig defines it although the kernel lacks the functions.
 */
#undef CONFIG_ARENA_HUGE
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define CONFIG_ARENA_HUGE	1
#endif

/* 6.4 made MAX_ORDER inclusive, 6.8 renamed it to MAX_PAGE_ORDER. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define MAX_PAGE_ORDER	(MAX_ORDER - 1)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define MAX_PAGE_ORDER	MAX_ORDER
#endif

/* 7.0 added kzalloc_obj(). Its arguments are an lvalue of the type to allocate, and gfp flags. */
#ifndef kzalloc_obj
#define kzalloc_obj(P, gfp)	kzalloc(sizeof(P), gfp)
#endif

/*
 * 6.10 added memory allocation profiling. Memory from a *_noprof() function counts for the line of
 * code that a caller has set by alloc_hooks(), memory from kmalloc() for the line that calls it.
 */
#ifndef alloc_hooks
#define alloc_pages_noprof		alloc_pages
#define alloc_pages_node_noprof		alloc_pages_node
#define kmalloc_noprof			kmalloc
#define kvmalloc_node_noprof		kvmalloc_node
#define mem_alloc_profiling_enabled()	false
#endif

/*
 * 6.9 added cpu_dcache_is_aliasing(): can the data cache have different contents for two addresses
 * of one page? Of the 64-bit architectures, MIPS finds out at run time, and the caches of parisc
 * and sparc64 are assumed to alias.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#ifdef CONFIG_MIPS
#define cpu_dcache_is_aliasing()	(!!cpu_has_dc_aliases)
#else
#define cpu_dcache_is_aliasing()	(IS_ENABLED(CONFIG_PARISC) || IS_ENABLED(CONFIG_SPARC64))
#endif
#endif

/* From 6.2 on, call_rcu() is lazy under CONFIG_RCU_LAZY; call_rcu_hurry() never is. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define call_rcu_hurry	call_rcu
#endif

/*
 * 6.3 made vm_flags const and added functions that change it. Only some of the 6.1 stable kernels
 * have these functions, so before 6.3 this one assigns to the field.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void arena_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				      unsigned long clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}

#define vm_flags_mod	arena_vm_flags_mod
#endif

/*
 * 6.7 added shrinker_alloc() and shrinker_register(), which cannot fail. Before, it is registering
 * that fails if there is no memory. So this shrinker_alloc() registers the shrinker, with functions
 * that find nothing to shrink until the caller sets others.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline unsigned long arena_shrink_nothing(struct shrinker *shrinker,
						 struct shrink_control *sc)
{
	return 0;
}

/* @format is "%s": the module needs no other one. */
static inline struct shrinker *arena_shrinker_alloc(unsigned int flags, const char *format,
						    const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = arena_shrink_nothing;
	shrinker->scan_objects = arena_shrink_nothing;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->flags = flags;
	if (register_shrinker(shrinker, "%s", name)) {
		kfree(shrinker);
		return NULL;
	}
	return shrinker;
}

static inline void arena_shrinker_is_registered(struct shrinker *shrinker)
{
}

static inline void arena_shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}

#define shrinker_alloc		arena_shrinker_alloc
#define shrinker_register	arena_shrinker_is_registered
#define shrinker_free		arena_shrinker_free
#endif

#endif /* _ARENA_COMPAT_H */
