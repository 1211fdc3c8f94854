// SPDX-License-Identifier: GPL-2.0
/*
 * arena_bench compares arenas with the other allocators of the kernel. It is built out of tree and
 * uses exported symbols only.
 *
 *	echo batch >/sys/kernel/debug/arena_bench/run
 *	cat /sys/kernel/debug/arena_bench/results
 *
 * A benchmark runs in the task that writes its name. The program user_ioctl.c measures the calls of
 * /dev/arena.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

static const struct {
	const char	*name;
	int		(*run)(void);
} benches[] = {
	{ "machine", bench_machine },
	{ "batch", bench_batch },
	{ "bulk", bench_bulk },
	{ "pingpong", bench_pingpong },
	{ "mix", bench_mix },
	{ "hardirq", bench_hardirq },
	{ "once", bench_once },
	{ "create", bench_create },
	{ "reset", bench_reset },
	{ "seed", bench_seed },
	{ "latency", bench_latency },
	{ "memory", bench_memory },
	{ "steady", bench_steady },
	{ "full", bench_full },
	{ "threads", bench_threads },
	{ "growth", bench_growth },
	{ "many", bench_many },
};

static DEFINE_MUTEX(lock);
static struct dentry *dir;

static int run(const char *name)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(benches); i++) {
		if (!sysfs_streq(name, benches[i].name))
			continue;
		mutex_lock(&lock);
		bench_clear_output();
		err = benches[i].run() ?: bench_output_error();
		mutex_unlock(&lock);
		return err;
	}
	return -EINVAL;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char name[32] = "";
	int err;

	if (size >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, from, size))
		return -EFAULT;
	err = run(name);
	return err ?: size;
}

static ssize_t results_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	const char *output;
	size_t used;
	ssize_t ret;

	mutex_lock(&lock);
	output = bench_output(&used);
	ret = simple_read_from_buffer(to, size, pos, output, used);
	mutex_unlock(&lock);
	return ret;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.write	= run_write,
};

static const struct file_operations results_fops = {
	.owner	= THIS_MODULE,
	.read	= results_read,
};

static int __init bench_init(void)
{
	int err = bench_measure_init();

	if (err)
		return err;
	err = bench_nothing_init();
	if (err) {
		bench_measure_exit();
		return err;
	}
	dir = debugfs_create_dir("arena_bench", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("results", 0400, dir, NULL, &results_fops);
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	debugfs_remove(dir);
	bench_nothing_exit();
	bench_measure_exit();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmarks of in-kernel arenas and their rivals");
MODULE_LICENSE("GPL");
