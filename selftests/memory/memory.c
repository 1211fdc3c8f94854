// SPDX-License-Identifier: GPL-2.0
/*
 * arena_memory: shows where the memory of an arena comes from, and which cgroup is charged for it.
 *
 *	echo "node 1 1048576" >/sys/kernel/debug/arena_memory
 *	echo "local 1048576" >/sys/kernel/debug/arena_memory
 *	echo "account 1048576" >/sys/kernel/debug/arena_memory
 *	echo "idle 1048576" >/sys/kernel/debug/arena_memory
 *	echo "private 1048576" >/sys/kernel/debug/arena_memory
 *	cat /sys/kernel/debug/arena_memory
 *	echo drop >/sys/kernel/debug/arena_memory
 *
 * A write makes an arena of the given capacity and fills it: "node" with memory of the given node,
 * "local" with memory of the writing CPU's node. With "account", a kernel thread, which is in the
 * root cgroup, fills the arena, and the kernel must charge the writer's cgroup; "private" does the
 * same with a private arena. "idle" is like "local", but the arena has ARENA_SHRINK and is reset at
 * the end. "drop" destroys the arena.
 *
 *	echo fragment >/sys/kernel/debug/arena_memory
 *	echo mend >/sys/kernel/debug/arena_memory
 *
 * "fragment" takes one page of every 16 until no 16 free pages lie in a row, and "mend" gives these
 * pages back.
 */
#include <linux/arena.h>
#include <linux/arena_private.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define SLAB		SZ_64K
#define OBJECT		SZ_4K
#define FRAGMENT_ORDER	4

static DEFINE_MUTEX(lock);		/* protects what follows, up to @file */
static struct arena *arena;
static struct arena_private private;
static size_t private_bytes;
static unsigned long pages[MAX_NUMNODES];
static unsigned long pieced;		/* objects in slabs that are made of single pages */
static LIST_HEAD(fragments);
static unsigned long nr_fragments;
static struct dentry *file;

struct filler {
	struct arena		*arena;		/* NULL for the private arena */
	struct completion	done;
};

static struct page *object_page(const void *object)
{
	return is_vmalloc_addr(object) ? vmalloc_to_page(object) : virt_to_page(object);
}

static void mend(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &fragments, lru) {
		list_del(&page->lru);
		__free_page(page);
		cond_resched();
	}
	nr_fragments = 0;
}

/* The kernel does not move these pages, so that compaction does not help. */
static void fragment(void)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page;
	unsigned int i;

	while ((page = alloc_pages(gfp, FRAGMENT_ORDER))) {
		split_page(page, FRAGMENT_ORDER);
		list_add(&page->lru, &fragments);
		nr_fragments++;
		for (i = 1; i < 1 << FRAGMENT_ORDER; i++)
			__free_page(page + i);
		cond_resched();
	}
}

/* Fills the arena and counts on which nodes its objects lie. */
static void fill(struct arena *from)
{
	void *object;

	memset(pages, 0, sizeof(pages));
	pieced = 0;
	while ((object = arena_alloc(from, OBJECT, GFP_KERNEL))) {
		memset(object, 0xff, OBJECT);
		if (is_vmalloc_addr(object))
			pieced++;
		pages[page_to_nid(object_page(object))]++;
		cond_resched();
	}
}

/* Allocates from the private arena until it has handed out @private_bytes, or fails. */
static void fill_private(void)
{
	arena_private_adopt(&private);
	while (arena_private_offset(&private) < private_bytes &&
	       arena_private_alloc(&private, OBJECT, GFP_KERNEL))
		cond_resched();
}

static int fill_thread(void *data)
{
	struct filler *filler = data;

	if (filler->arena)
		fill(filler->arena);
	else
		fill_private();
	/* Do not return: after the completion, this code may be unloaded at any time. */
	kthread_complete_and_exit(&filler->done, 0);
}

static int fill_by_thread(struct arena *from)
{
	struct filler filler = { .arena = from };
	struct task_struct *task;

	init_completion(&filler.done);
	task = kthread_run(fill_thread, &filler, "arena_memory");
	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&filler.done);
	return 0;
}

static int make(unsigned int flags, int node, size_t bytes)
{
	const struct arena_config config = {
		.name = "memory",
		.capacity = bytes,
		.slab_size = SLAB,
		.node = node,
		.flags = flags,
	};
	struct arena *new = arena_create(&config);

	if (IS_ERR(new))
		return PTR_ERR(new);
	arena = new;
	if (flags & ARENA_ACCOUNT)
		return fill_by_thread(new);
	fill(new);
	return 0;
}

static int make_private(size_t bytes)
{
	arena_private_init_charged(&private, NULL, 0);
	private_bytes = bytes;
	return fill_by_thread(NULL);
}

static void drop(void)
{
	arena_destroy(arena);
	arena = NULL;
	arena_private_destroy(&private);
	private_bytes = 0;
}

static int command(const char *line)
{
	size_t bytes;
	int node;

	if (sysfs_streq(line, "drop")) {
		drop();
		return 0;
	}
	if (sysfs_streq(line, "fragment")) {
		fragment();
		return 0;
	}
	if (sysfs_streq(line, "mend")) {
		mend();
		return 0;
	}
	if (arena || private_bytes)
		return -EBUSY;
	if (sscanf(line, "node %d %zu", &node, &bytes) == 2)
		return make(ARENA_ON_NODE, node, bytes);
	if (sscanf(line, "local %zu", &bytes) == 1)
		return make(0, 0, bytes);
	if (sscanf(line, "account %zu", &bytes) == 1)
		return make(ARENA_ACCOUNT, 0, bytes);
	if (sscanf(line, "idle %zu", &bytes) == 1)
		return make(ARENA_SHRINK, 0, bytes) ?: arena_reset(arena);
	if (sscanf(line, "private %zu", &bytes) == 1)
		return make_private(bytes);
	return -EINVAL;
}

static ssize_t memory_write(struct file *unused, const char __user *from, size_t size, loff_t *pos)
{
	char line[64];
	int err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	line[size] = '\0';
	if (mutex_lock_interruptible(&lock))
		return -EINTR;
	err = command(line);
	mutex_unlock(&lock);
	return err ?: size;
}

static int memory_show(struct seq_file *m, void *unused)
{
	struct arena_stats stats = {};
	int node;

	mutex_lock(&lock);
	if (arena)
		arena_stats(arena, &stats);
	seq_printf(m, "committed %zu\n", stats.committed);
	seq_printf(m, "private %zu\n", arena_private_offset(&private));
	seq_printf(m, "page_allocs %llu\npool_hits %llu\n", stats.page_allocs, stats.pool_hits);
	seq_printf(m, "pieced %lu\nfragments %lu\n", pieced, nr_fragments);
	seq_printf(m, "fail_memory %llu\nfail_space %llu\n", stats.fail_memory, stats.fail_space);
	for_each_online_node(node)
		seq_printf(m, "node%d %lu\n", node, pages[node]);
	mutex_unlock(&lock);
	return 0;
}

static int memory_open(struct inode *inode, struct file *opened)
{
	return single_open(opened, memory_show, NULL);
}

static const struct file_operations memory_fops = {
	.owner		= THIS_MODULE,
	.open		= memory_open,
	.read		= seq_read,
	.write		= memory_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int __init memory_init(void)
{
	file = debugfs_create_file("arena_memory", 0600, NULL, NULL, &memory_fops);
	return 0;
}
module_init(memory_init);

static void __exit memory_exit(void)
{
	debugfs_remove(file);
	drop();
	mend();
}
module_exit(memory_exit);

MODULE_DESCRIPTION("Where the memory of arenas comes from");
MODULE_LICENSE("GPL");
