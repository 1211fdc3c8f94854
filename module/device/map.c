// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: mappings. Offset x of the arena lies at file offset x. See the DOC
 * block of device.c for the lock, and for how a reset revokes what is mapped.
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

/* How many pages a fault maps where it can, aligned to as many. */
#define ARENA_AROUND	DIV_ROUND_UP(SZ_64K, PAGE_SIZE)

static vm_fault_t arena_fault_result(int err)
{
	switch (err) {
	case 0:
	case -EBUSY:	/* another thread was faster */
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:	/* not committed */
		return VM_FAULT_SIGBUS;
	}
}

/*
 * Where what may be touched ends. Beyond, in a strict arena, nothing was allocated
 * in this generation; what lies on the page that the last object ends on was not
 * either, but pages cannot be had by halves.
 */
static size_t arena_map_end(const struct arena_dev *dev)
{
	return PAGE_ALIGN(dev->strict ? arena_high(dev->arena) : arena_capacity(dev->arena));
}

/*
 * Give @page the arena's mapping, and an index: shared futexes are named by these. To be
 * done before it is mapped. Faults on the same page write the same values.
 */
static void arena_name_page(const struct arena_dev *dev, struct page *page, pgoff_t pgoff)
{
	struct folio *folio = page_folio(page);

	WRITE_ONCE(folio->index, pgoff - folio_page_idx(folio, page));
	WRITE_ONCE(folio->mapping, dev->inode->i_mapping);
}

/* The page at @pgoff, ready to be mapped; NULL if it is not committed. */
static struct page *arena_map_find(const struct arena_dev *dev, pgoff_t pgoff)
{
	struct page *page = arena_page(dev->arena, (size_t)pgoff << PAGE_SHIFT);

	if (page)
		arena_name_page(dev, page, pgoff);
	return page;
}

/* The status page goes, too, and comes back when it is touched. */
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
 * Map the committed pages around the fault, too, @page among them: whoever touches
 * one touches the next. -EBUSY if some are mapped already.
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

/*
 * Whether a PMD or pages map a slab is decided anew by each fault, as more is allocated, and
 * the kernel warns, or fails, where one finds the other: so look at what is there, and
 * between that and adding to it nobody else does. Who finds the other goes its way.
 */
static vm_fault_t arena_map_small(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	vm_fault_t result = VM_FAULT_NOPAGE;

	mutex_lock(&dev->map_lock);
	if (!arena_mapped_huge(vmf))
		result = arena_insert_page(vmf, page);
	mutex_unlock(&dev->map_lock);
	return result;
}

static vm_fault_t arena_map_huge(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	vm_fault_t result = VM_FAULT_FALLBACK;

	mutex_lock(&dev->map_lock);
	if (!arena_mapped_by_pages(vmf))
		result = arena_insert_huge(vmf, page);
	mutex_unlock(&dev->map_lock);
	return result;
}

static vm_fault_t arena_map_page(struct arena_dev *dev, struct vm_fault *vmf, struct page *page)
{
	if (!(vmf->vma->vm_flags & VM_MIXEDMAP))
		return arena_map_small(dev, vmf, page);
	if (!arena_map_around(dev, vmf, page))
		return VM_FAULT_NOPAGE;
	return arena_fault_result(vm_insert_page(vmf->vma, vmf->address, page));
}

/*
 * Kernels from 6.7 on let userfaultfd leave marks where nothing is mapped. They are not ours
 * to take away, and whoever faults there must not try for ever.
 */
static bool arena_fault_marked(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_ORIG_PTE_VALID && !pte_none(vmf->orig_pte);
}

/*
 * The mapping of a file keeps it, so the arena is there. Per-VMA locks do as
 * well as mmap_lock: nothing here depends on the VMA's neighbours.
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
	/* Whoever is to die need not wait. */
	if (down_read_killable(&dev->lock))
		return VM_FAULT_SIGBUS;
	page = offset < arena_map_end(dev) ? arena_map_find(dev, vmf->pgoff) : NULL;
	if (page)
		result = arena_map_page(dev, vmf, page);
	up_read(&dev->lock);
	return result;
}

/*
 * A slab as large as a PMD maps goes in by one, where it lies right in the address
 * space and all of it may be touched; if not, page by page.
 */
static vm_fault_t __maybe_unused arena_huge_fault(struct vm_fault *vmf, unsigned int order)
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
	if (page)
		result = arena_map_huge(dev, vmf, page);
	up_read(&dev->lock);
	return result;
}

static const struct vm_operations_struct arena_vm_ops = {
	.fault = arena_fault,
	ARENA_HUGE_FAULT(arena_huge_fault)
};

/* One page, and it is there as long as there are files. */
static vm_fault_t arena_status_fault(struct vm_fault *vmf)
{
	struct arena_file *af = vmf->vma->vm_file->private_data;
	struct page *page = virt_to_page(af->dev->status);

	if (arena_fault_marked(vmf))
		return VM_FAULT_SIGBUS;
	arena_name_page(af->dev, page, vmf->pgoff);
	return arena_fault_result(vm_insert_page(vmf->vma, vmf->address, page));
}

static const struct vm_operations_struct arena_status_vm_ops = {
	.fault = arena_status_fault,
};

/*
 * Reading it needs no right, and writing is never allowed: what lets mprotect()
 * add that is cleared.
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
	err = arena_dev_settle(dev);
	if (err)
		return err;
	if (down_write_killable(&dev->lock))
		return -EINTR;
	err = arena_status_make(dev);
	up_write(&dev->lock);
	if (err)
		return err;
	arena_vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP,
			   VM_MAYEXEC | VM_MAYWRITE);
	vma->vm_ops = &arena_status_vm_ops;
	return 0;
}

/*
 * VM_MAYSHARE and not VM_SHARED: that is what is left of MAP_SHARED when the
 * file is not open for writing.
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
 * Under READ_IMPLIES_EXEC the kernel asks for VM_EXEC wherever a program asks to read. The
 * program gets what it asked for, without. A program that asked for both cannot be told apart.
 */
static void arena_drop_implied_exec(struct vm_area_struct *vma)
{
	if (current->personality & READ_IMPLIES_EXEC && vma->vm_flags & VM_READ)
		arena_vm_flags_mod(vma, 0, VM_EXEC);
}

int arena_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct arena_file *af = file->private_data;
	unsigned long set = VM_DONTEXPAND | VM_DONTDUMP, clear = VM_MAYEXEC, pages;
	int err;

	arena_drop_implied_exec(vma);
	if (vma->vm_pgoff == ARENA_STATUS_OFFSET >> PAGE_SHIFT)
		return arena_mmap_status(af->dev, vma);
	err = arena_may_map(af, vma->vm_flags);
	if (err)
		return err;
	err = arena_dev_settle(af->dev);
	if (err)
		return err;
	pages = DIV_ROUND_UP(arena_capacity(af->dev->arena), PAGE_SIZE);
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -ENXIO;

	/* By our rights, whatever the mode of the file: for mprotect(). */
	if (!(af->rights & ARENA_RIGHT_WRITE))
		clear |= VM_MAYWRITE;
	/* The kernel loses count of huge pages in mixed mappings when it splits them. */
	if (!arena_maps_huge(af->dev->arena->slab_shift))
		set |= VM_MIXEDMAP;
	arena_vm_flags_mod(vma, set, clear);
	vma->vm_ops = &arena_vm_ops;
	return 0;
}
