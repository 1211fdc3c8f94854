// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: mappings. Offset x of the arena lies at file offset x. The DOC block of
 * device.c describes the lock, and how a reset revokes what is mapped.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "compat.h"
#include "device/device.h"

/* A fault also maps committed pages around its page, in an aligned group of this many pages. */
#define ARENA_AROUND	DIV_ROUND_UP(SZ_64K, PAGE_SIZE)

static vm_fault_t arena_fault_result(int err)
{
	switch (err) {
	case 0:
	case -EBUSY:	/* another thread has mapped the page meanwhile */
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:	/* the kernel refuses to map the page here */
		return VM_FAULT_SIGBUS;
	}
}

/*
 * The offset up to which programs may touch the arena: its capacity or, in a strict arena, the end
 * of the last object of this generation. It is rounded up to a page, as a page cannot be mapped in
 * part.
 */
static size_t arena_map_end(const struct arena_dev *dev)
{
	return PAGE_ALIGN(dev->strict ? arena_high(dev->arena) : arena_capacity(dev->arena));
}

/*
 * Set mapping and index of the page at @at before a program maps it: by these two the kernel
 * identifies futexes that processes share. Faults on the same page may race here, and write the
 * same values. Returns the page.
 */
static struct page *arena_name_page(const struct arena_dev *dev, const void *at, pgoff_t pgoff)
{
	struct page *page = arena_block_page(at);
	struct folio *folio = page_folio(page);

	WRITE_ONCE(folio->index, pgoff - folio_page_idx(folio, page));
	WRITE_ONCE(folio->mapping, dev->inode->i_mapping);
	arena_shadow_map_page(at);
	return page;
}

/* Returns the page at @pgoff, ready to be mapped, or NULL if it is not committed. */
static struct page *arena_map_find(const struct arena_dev *dev, pgoff_t pgoff)
{
	const void *at = arena_page_address(dev->arena, (size_t)pgoff << PAGE_SHIFT);

	return at ? arena_name_page(dev, at, pgoff) : NULL;
}

/*
 * Unmap everything from offset @from on, in all mappings of the arena. This unmaps the status page,
 * too, which the next access to it faults in again.
 */
void arena_map_revoke(struct arena_dev *dev, size_t from)
{
	unmap_mapping_range(dev->inode->i_mapping, from, 0, 1);
}

void arena_map_trim(struct arena_dev *dev)
{
	lockdep_assert_held_write(&dev->lock);
	if (dev->strict)
		arena_map_revoke(dev, arena_map_end(dev));
}

/*
 * Map @page and the committed pages around it, as a program that touches one page is likely to
 * touch its neighbours. Fails with -EBUSY if some of them are mapped already.
 */
static int arena_map_around(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t start = round_down(vmf->pgoff, ARENA_AROUND);
	pgoff_t low = max(start, vma->vm_pgoff), first = vmf->pgoff, end = first + 1;
	pgoff_t high = min3(start + ARENA_AROUND, vma->vm_pgoff + vma_pages(vma),
			    (pgoff_t)(arena_map_end(dev) >> PAGE_SHIFT));
	struct page *pages[ARENA_AROUND];
	unsigned long nr;

	pages[first - start] = page;
	for (; first > low; first--) {
		pages[first - 1 - start] = arena_map_find(dev, first - 1);
		if (!pages[first - 1 - start])
			break;
	}
	for (; end < high; end++) {
		pages[end - start] = arena_map_find(dev, end);
		if (!pages[end - start])
			break;
	}
	nr = end - first;
	return vm_insert_pages(vma, vmf->address - ((vmf->pgoff - first) << PAGE_SHIFT),
			       &pages[first - start], &nr);
}

#ifdef CONFIG_ARENA_HUGE
/*
 * Map one page of a slab that a PMD may map. In a strict arena, the program may touch all of a slab
 * only once enough has been allocated, so one fault may map a page of a slab, and a later fault the
 * whole slab by a PMD. The kernel warns or fails if one kind of entry is inserted where the other
 * is already. So both kinds of faults first look at the page table, and hold map_lock so that no
 * other fault changes it before they insert. If a PMD maps @page already, the program retries the
 * access.
 */
static vm_fault_t arena_map_small(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	vm_fault_t result = VM_FAULT_NOPAGE;

	/* Killable: another fault may hold the lock for long, while it allocates a page table. */
	if (mutex_lock_killable(&dev->map_lock))
		return VM_FAULT_SIGBUS;
	/* Does a PMD map the address? */
	if (!pmd_trans_huge(pmdp_get_lockless(vmf->pmd)))
		result = vmf_insert_page_mkwrite(vmf, page, vmf->flags & FAULT_FLAG_WRITE);
	mutex_unlock(&dev->map_lock);
	return result;
}

/* Map a slab by a PMD. If single pages map some of it already, the kernel calls arena_fault(). */
static vm_fault_t arena_map_huge(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	vm_fault_t result = VM_FAULT_FALLBACK;
	pmd_t pmd;

	if (mutex_lock_killable(&dev->map_lock))
		return VM_FAULT_SIGBUS;
	pmd = pmdp_get_lockless(vmf->pmd);
	if (pmd_none(pmd) || pmd_trans_huge(pmd))
		result = vmf_insert_folio_pmd(vmf, page_folio(page), vmf->flags & FAULT_FLAG_WRITE);
	mutex_unlock(&dev->map_lock);
	return result;
}

/*
 * Map a slab, which is as large as a PMD maps, by one PMD, if the address of the slab is aligned to
 * its size, the VMA contains all of it, and the program may touch all of it. Otherwise return
 * VM_FAULT_FALLBACK: the kernel then calls arena_fault() for a single page.
 */
static vm_fault_t arena_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	const struct vm_area_struct *vma = vmf->vma;
	struct arena_file *af = vma->vm_file->private_data;
	unsigned long start = vmf->address & PMD_MASK;
	size_t offset = ((size_t)vmf->pgoff << PAGE_SHIFT) - (vmf->address - start);
	vm_fault_t result = VM_FAULT_FALLBACK;
	struct arena_dev *dev = af->dev;
	struct page *page;

	if (order != PMD_SHIFT - PAGE_SHIFT || vma->vm_flags & VM_MIXEDMAP ||
	    start < vma->vm_start || start + PMD_SIZE > vma->vm_end || offset & ~PMD_MASK)
		return VM_FAULT_FALLBACK;
	if (down_read_killable(&dev->lock))
		return VM_FAULT_SIGBUS;
	page = offset + PMD_SIZE <= arena_map_end(dev) ?
	       arena_map_find(dev, offset >> PAGE_SHIFT) : NULL;
	/* Where memory is fragmented, a slab consists of single pages. */
	if (page && folio_order(page_folio(page)) == order)
		result = arena_map_huge(dev, vmf, page);
	up_read(&dev->lock);
	return result;
}
#else
/* Never called: without CONFIG_ARENA_HUGE, each VMA has VM_MIXEDMAP. */
static vm_fault_t arena_map_small(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	return VM_FAULT_SIGBUS;
}
#endif

static vm_fault_t arena_map_page(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	if (!(vmf->vma->vm_flags & VM_MIXEDMAP))
		return arena_map_small(dev, vmf, page);
	if (!arena_map_around(dev, vmf, page))
		return VM_FAULT_NOPAGE;
	return arena_fault_result(vm_insert_page(vmf->vma, vmf->address, page));
}

/*
 * From 6.7 on, userfaultfd can leave a marker in the page table where nothing is mapped. Inserting
 * a page fails there, and a fault handler may not remove the marker. The caller returns
 * VM_FAULT_SIGBUS then, because the task would otherwise fault again for ever.
 */
static bool arena_fault_marked(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_ORIG_PTE_VALID && !pte_none(vmf->orig_pte);
}

/*
 * Map the page that a program has touched. The VMA has a reference to its file, so the arena
 * exists. The lock of the VMA suffices in place of mmap_lock: nothing here depends on the VMA's
 * neighbours.
 */
static vm_fault_t arena_fault(struct vm_fault *vmf)
{
	struct arena_file *af = vmf->vma->vm_file->private_data;
	size_t offset = (size_t)vmf->pgoff << PAGE_SHIFT;
	struct arena_dev *dev = af->dev;
	vm_fault_t result = VM_FAULT_SIGBUS;
	struct page *page;

	if (arena_fault_marked(vmf))
		return VM_FAULT_SIGBUS;
	/* Killable, so that a task that is being killed does not wait for a reset to end. */
	if (down_read_killable(&dev->lock))
		return VM_FAULT_SIGBUS;
	page = offset < arena_map_end(dev) ? arena_map_find(dev, vmf->pgoff) : NULL;
	if (page)
		result = arena_map_page(dev, vmf, page);
	up_read(&dev->lock);
	return result;
}

/*
 * The kernel has made @vma from another VMA of the arena, for fork(), mremap(), or munmap() of a
 * part. Each VMA with VM_MAYWRITE counts in may_write.
 */
static void arena_vm_open(struct vm_area_struct *vma)
{
	struct arena_file *af = vma->vm_file->private_data;

	if (vma->vm_flags & VM_MAYWRITE)
		atomic_long_inc(&af->dev->may_write);
}

/* The kernel calls this after it has cleared all page table entries of @vma. */
static void arena_vm_close(struct vm_area_struct *vma)
{
	struct arena_file *af = vma->vm_file->private_data;

	/*
	 * Release: stores through the mapping come before a seal that finds may_write at 0. Pairs
	 * with atomic_long_read_acquire() in arena_dev_seal().
	 */
	if (vma->vm_flags & VM_MAYWRITE)
		(void)atomic_long_dec_return_release(&af->dev->may_write);
}

static const struct vm_operations_struct arena_vm_ops = {
	.open  = arena_vm_open,
	.close = arena_vm_close,
	.fault = arena_fault,
#ifdef CONFIG_ARENA_HUGE
	.huge_fault = arena_huge_fault,
#endif
};

/* The status page exists: its arena_dev keeps it, and the file of the VMA keeps the arena_dev. */
static vm_fault_t arena_status_fault(struct vm_fault *vmf)
{
	struct arena_file *af = vmf->vma->vm_file->private_data;
	struct page *page;

	if (arena_fault_marked(vmf))
		return VM_FAULT_SIGBUS;
	page = arena_name_page(af->dev, af->dev->status, vmf->pgoff);
	return arena_fault_result(vm_insert_page(vmf->vma, vmf->address, page));
}

static const struct vm_operations_struct arena_status_vm_ops = {
	.fault = arena_status_fault,
};

/*
 * Map the status page. Reading it needs no right. Writing it is never allowed: VM_MAYWRITE is
 * cleared, so that mprotect() cannot make the mapping writable.
 */
static int arena_mmap_status(struct arena_dev *dev, struct vm_area_struct *vma)
{
	int err;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (vma_pages(vma) != 1)
		return -ENXIO;
	err = arena_dev_make_default(dev);
	if (err)
		return err;
	if (down_write_killable(&dev->lock))
		return -EINTR;
	err = arena_status_make(dev);
	up_write(&dev->lock);
	if (err)
		return err;
	vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP,
		     VM_MAYEXEC | VM_MAYWRITE);
	vma->vm_ops = &arena_status_vm_ops;
	return 0;
}

/*
 * May a program map the arena through @af with @vm_flags? Returns 0 or an errno. VM_MAYSHARE says
 * whether the program asked for MAP_SHARED. VM_SHARED does not: mmap() clears it if the file is not
 * open for writing.
 */
static int arena_may_map(const struct arena_file *af, unsigned long vm_flags)
{
	if (!(vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vm_flags & VM_EXEC)
		return -EPERM;
	if (!(af->rights & ARENA_RIGHT_READ))
		return -EACCES;
	if (vm_flags & VM_WRITE && !(af->rights & ARENA_RIGHT_WRITE))
		return -EACCES;
	return 0;
}

/*
 * Under READ_IMPLIES_EXEC, the kernel adds VM_EXEC where a program asks for PROT_READ only. Remove
 * VM_EXEC, or arena_may_map() would refuse the mapping. If the program has asked for PROT_EXEC
 * itself, the flags look the same here, so the program gets a mapping without VM_EXEC instead of an
 * error.
 */
static void arena_drop_implied_exec(struct vm_area_struct *vma)
{
	if (current->personality & READ_IMPLIES_EXEC && vma->vm_flags & VM_READ)
		vm_flags_mod(vma, 0, VM_EXEC);
}

/*
 * May a mapping through @af become writable? Returns 1 if so, and counts the mapping in may_write;
 * 0 if the descriptor does not have the right, or if the arena is sealed; -EINTR.
 */
static int arena_map_may_write(const struct arena_file *af)
{
	struct arena_dev *dev = af->dev;
	bool may_write;

	if (!(af->rights & ARENA_RIGHT_WRITE))
		return 0;
	if (down_read_killable(&dev->lock))
		return -EINTR;
	may_write = !(dev->flags & ARENA_SEALED);
	if (may_write)
		atomic_long_inc(&dev->may_write);
	up_read(&dev->lock);
	return may_write;
}

int arena_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct arena_file *af = file->private_data;
	unsigned long set = VM_DONTEXPAND | VM_DONTDUMP, clear = VM_MAYEXEC, pages;
	int err, may_write;

	arena_drop_implied_exec(vma);
	if (vma->vm_pgoff == ARENA_STATUS_OFFSET >> PAGE_SHIFT)
		return arena_mmap_status(af->dev, vma);
	err = arena_may_map(af, vma->vm_flags);
	if (err)
		return err;
	err = arena_dev_make_default(af->dev);
	if (err)
		return err;
	pages = DIV_ROUND_UP(arena_capacity(af->dev->arena), PAGE_SIZE);
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -ENXIO;

	may_write = arena_map_may_write(af);
	if (may_write < 0)
		return may_write;
	/* arena_may_map() has found that @af may write, so the arena is sealed. */
	if (!may_write && vma->vm_flags & VM_WRITE)
		return -EPERM;
	/* Without VM_MAYWRITE, mprotect() cannot make the mapping writable. */
	if (!may_write)
		clear |= VM_MAYWRITE;
	/*
	 * With VM_MIXEDMAP, the kernel miscounts the references of a huge page when it splits the
	 * PMD that maps the page. So arenas whose slabs a PMD may map do not set it.
	 */
	if (!arena_maps_huge(af->dev->arena->slab_shift))
		set |= VM_MIXEDMAP;
	vm_flags_mod(vma, set, clear);
	vma->vm_ops = &arena_vm_ops;
	return 0;
}
