/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel versions, 6.1 to 7.3. They live here and nowhere
 * else.
 */
#ifndef _ARENA_COMPAT_H
#define _ARENA_COMPAT_H

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/version.h>

/* 7.0 allocates by object. Arguments: an lvalue of the type, gfp flags. */
#ifndef kzalloc_obj
#define kzalloc_obj(P, gfp)	kzalloc(sizeof(P), gfp)
#endif

/* 6.3 made vm_flags read-only but for functions; some 6.1 kernels have those, some not. */
static inline void arena_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				      unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

#endif /* _ARENA_COMPAT_H */
