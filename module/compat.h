/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel versions, 6.1 to 7.3. No other file of the module tests the version.
 */
#ifndef _ARENA_COMPAT_H
#define _ARENA_COMPAT_H

#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#include <linux/cacheinfo.h>
#elif defined(CONFIG_MIPS)
#include <asm/cpu-features.h>
#endif

/* 6.4 made MAX_ORDER inclusive, 6.8 renamed it to MAX_PAGE_ORDER. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define ARENA_PAGE_ORDER_MAX	MAX_PAGE_ORDER
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define ARENA_PAGE_ORDER_MAX	MAX_ORDER
#else
#define ARENA_PAGE_ORDER_MAX	(MAX_ORDER - 1)
#endif

/* 7.0 added kzalloc_obj(). Its arguments are an lvalue of the type to allocate, and gfp flags. */
#ifndef kzalloc_obj
#define kzalloc_obj(P, gfp)	kzalloc(sizeof(P), gfp)
#endif

/*
 * 6.10 added memory allocation profiling. Memory from a *_noprof() function counts for the line of
 * code that a caller has set by alloc_hooks(), memory from kmalloc() for the line that calls it.
 */
#ifdef alloc_hooks
static inline bool arena_profiled(void)
{
	return mem_alloc_profiling_enabled();
}
#else
#define alloc_pages_noprof		alloc_pages
#define alloc_pages_node_noprof		alloc_pages_node
#define kmalloc_noprof			kmalloc
#define kvmalloc_node_noprof		kvmalloc_node

static inline bool arena_profiled(void)
{
	return false;
}
#endif

/*
 * Can the data cache have different contents for two addresses of one page? 6.9 added
 * cpu_dcache_is_aliasing(). On older kernels, of the 64-bit architectures, MIPS finds out at run
 * time, and the caches of parisc and sparc64 are assumed to alias.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#define arena_caches_alias()	cpu_dcache_is_aliasing()
#elif defined(CONFIG_MIPS)
#define arena_caches_alias()	(!!cpu_has_dc_aliases)
#else
#define arena_caches_alias()	(IS_ENABLED(CONFIG_PARISC) || IS_ENABLED(CONFIG_SPARC64))
#endif

/* From 6.2 on, call_rcu() is lazy under CONFIG_RCU_LAZY; call_rcu_hurry() never is. */
static inline void arena_call_rcu_hurry(struct rcu_head *head, rcu_callback_t func)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	call_rcu_hurry(head, func);
#else
	call_rcu(head, func);
#endif
}

/*
 * 6.3 made vm_flags const and added functions that change it. Only some of the 6.1 stable kernels
 * have these functions, so before 6.3 this function assigns to the field.
 */
static inline void arena_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				      unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/*
 * From 6.15 on, a driver can insert its own pages into a VMA without VM_MIXEDMAP, and, with
 * transparent huge pages, map a large folio by one PMD.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define ARENA_HUGE_FAULT(fn)	.huge_fault = fn,

/* Can a PMD map a slab of this size? */
static inline bool arena_maps_huge(unsigned int slab_shift)
{
	return slab_shift == PMD_SHIFT;
}

static inline vm_fault_t arena_insert_huge(struct vm_fault *vmf, struct page *page)
{
	return vmf_insert_folio_pmd(vmf, page_folio(page), vmf->flags & FAULT_FLAG_WRITE);
}

static inline vm_fault_t arena_insert_page(struct vm_fault *vmf, struct page *page)
{
	return vmf_insert_page_mkwrite(vmf, page, vmf->flags & FAULT_FLAG_WRITE);
}

/* Does a PMD map the faulting address? Racy unless the caller keeps other faults out. */
static inline bool arena_mapped_huge(const struct vm_fault *vmf)
{
	return pmd_trans_huge(pmdp_get_lockless(vmf->pmd));
}

/* Does the faulting address have a page table for single pages? Racy with other faults. */
static inline bool arena_mapped_by_pages(const struct vm_fault *vmf)
{
	pmd_t pmd = pmdp_get_lockless(vmf->pmd);

	return !pmd_none(pmd) && !pmd_trans_huge(pmd);
}
#else
#define ARENA_HUGE_FAULT(fn)

static inline bool arena_maps_huge(unsigned int slab_shift)
{
	return false;
}

static inline vm_fault_t arena_insert_huge(struct vm_fault *vmf, struct page *page)
{
	return VM_FAULT_FALLBACK;
}

/* Stubs that are never called: arena_maps_huge() is false, so each VMA has VM_MIXEDMAP. */
static inline vm_fault_t arena_insert_page(struct vm_fault *vmf, struct page *page)
{
	return VM_FAULT_SIGBUS;
}

static inline bool arena_mapped_huge(const struct vm_fault *vmf)
{
	return false;
}

static inline bool arena_mapped_by_pages(const struct vm_fault *vmf)
{
	return false;
}
#endif

/* From 6.7 on, shrinker_alloc() allocates a shrinker; before 6.7, this module does. */
typedef unsigned long (*arena_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

static inline struct shrinker *arena_shrinker_register(const char *name, unsigned int flags,
						       arena_shrink_fn count,
						       arena_shrink_fn scan)
{
	struct shrinker *shrinker;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker = shrinker_alloc(flags, "%s", name);
#else
	shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
#endif
	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_register(shrinker);
#else
	shrinker->flags = flags;
	if (register_shrinker(shrinker, "%s", name)) {
		kfree(shrinker);
		return NULL;
	}
#endif
	return shrinker;
}

static inline void arena_shrinker_unregister(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
	kfree(shrinker);
#endif
}

#endif /* _ARENA_COMPAT_H */
