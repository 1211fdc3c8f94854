// SPDX-License-Identifier: GPL-2.0
/*
 * arena_unload destroys arenas whose RCU callbacks may not have run yet, or drops the last
 * reference to them, so that user space can unload the arena module at that moment.
 *
 *	echo 20 >/sys/kernel/debug/arena_unload && rmmod arena
 *
 * arena_unload stays loaded, and holds a reference to the arena module only while it calls
 * functions of that module. On the same CPU, arena_unload queues slow RCU callbacks of its own
 * between the callbacks of the arenas. The slow callbacks delay the callbacks of the arenas beyond
 * the grace periods for which the unloading waits.
 */
#include <linux/arena.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#define SLOW_MS		5

struct slow {
	struct rcu_head	rcu;
};

/* The functions of the arena module that this module calls. */
static struct {
	typeof(arena_create_noprof)	*create_noprof;
	typeof(arena_alloc)		*alloc;
	typeof(arena_reset_rcu)	*reset_rcu;
	typeof(arena_destroy)		*destroy;
	typeof(arena_put)		*put;
	typeof(arena_typed_create_noprof) *typed_create_noprof;
	typeof(arena_typed_alloc)	*typed_alloc;
	typeof(arena_typed_free)	*typed_free;
	typeof(arena_typed_destroy)	*typed_destroy;
} call;

static struct dentry *file;

static void slow_callback(struct rcu_head *rcu)
{
	mdelay(SLOW_MS);
	kfree(container_of(rcu, struct slow, rcu));
}

static void queue_slow(void)
{
	struct slow *slow = kmalloc(sizeof(*slow), GFP_KERNEL);

	if (slow)
		call_rcu(&slow->rcu, slow_callback);
}

/*
 * Makes an arena and resets it by arena_reset_rcu(). Then @end destroys the arena or drops the last
 * reference to it.
 */
static int come_and_go(void (*end)(struct arena *arena))
{
	static const struct arena_config config = {
		.name = "unload",
		.capacity = SZ_64K,
		.flags = ARENA_READERS,
	};
	struct arena *arena = call.create_noprof(&config);
	int err = 0;

	if (IS_ERR(arena))
		return PTR_ERR(arena);
	queue_slow();
	if (!call.alloc(arena, 100, GFP_KERNEL))
		err = -ENOMEM;
	err = err ?: call.reset_rcu(arena);
	end(arena);
	return err;
}

/* Makes a typed arena, frees one of its elements, and destroys the arena. */
static int come_and_go_typed(void)
{
	static const int value = 5;
	struct arena_typed *typed;
	void *element;

	typed = call.typed_create_noprof("unload", sizeof(int), 10, ARENA_READERS);
	if (IS_ERR(typed))
		return PTR_ERR(typed);
	queue_slow();
	element = call.typed_alloc(typed, &value);
	if (element)
		call.typed_free(typed, element);
	call.typed_destroy(typed);
	return element ? 0 : -ENOMEM;
}

static long run_here(void *data)
{
	unsigned int nr = *(unsigned int *)data;
	int err = 0;

	for (; nr && !err; nr--)
		err = !(nr % 4) ? come_and_go_typed() :
		      come_and_go(nr % 2 ? call.put : call.destroy);
	return err;
}

#define GET(name)	(call.name = symbol_get(arena_##name))
#define PUT(name)	do { if (call.name) symbol_put(arena_##name); } while (0)

static long run(unsigned int nr)
{
	long err = -ENOENT;

	GET(create_noprof);
	call.alloc = symbol_get(__arena_alloc);
	GET(reset_rcu);
	GET(destroy);
	GET(put);
	GET(typed_create_noprof);
	GET(typed_alloc);
	GET(typed_free);
	GET(typed_destroy);
	if (call.create_noprof && call.alloc && call.reset_rcu && call.destroy && call.put &&
	    call.typed_create_noprof && call.typed_alloc && call.typed_free && call.typed_destroy)
		err = work_on_cpu(cpumask_last(cpu_online_mask), run_here, &nr);
	PUT(create_noprof);
	if (call.alloc)
		symbol_put(__arena_alloc);
	PUT(reset_rcu);
	PUT(destroy);
	PUT(put);
	PUT(typed_create_noprof);
	PUT(typed_alloc);
	PUT(typed_free);
	PUT(typed_destroy);
	return err;
}

static ssize_t unload_write(struct file *unused, const char __user *from, size_t size, loff_t *pos)
{
	unsigned int nr;
	int err = kstrtouint_from_user(from, size, 10, &nr);

	err = err ?: run(nr);
	return err ?: size;
}

static const struct file_operations unload_fops = {
	.owner	= THIS_MODULE,
	.write	= unload_write,
};

static int __init unload_init(void)
{
	file = debugfs_create_file("arena_unload", 0200, NULL, NULL, &unload_fops);
	return 0;
}
module_init(unload_init);

static void __exit unload_exit(void)
{
	debugfs_remove(file);
	rcu_barrier();
}
module_exit(unload_exit);

MODULE_DESCRIPTION("Arenas that are gone just before their module is");
MODULE_LICENSE("GPL");
