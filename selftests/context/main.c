// SPDX-License-Identifier: GPL-2.0
/*
 * arena_context runs a test when user space writes the name of the test to the debugfs file "run",
 * and shows the result in the file "result":
 *
 *	cat /sys/kernel/debug/arena_context/list
 *	echo nmi_spans >/sys/kernel/debug/arena_context/run
 *	cat /sys/kernel/debug/arena_context/result
 *
 * The first line of a result is "ok", "not ok" or "skip"; all other lines begin with "#". If the
 * test was skipped, the last line says why. A fourth file, notify, makes kernel code call
 * arena_notify() (notify.c).
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "context.h"

#define NAME_MAX_LEN	32
#define NOTICES_MAX	100000
#define RESULT_MAX	SZ_4K
#define FAILURES_SHOWN	16

static const struct {
	const char	*name;
	void		(*run)(void);
} tests[] = {
	{ "timer_dense", test_timer_dense },
	{ "timer_spans", test_timer_spans },
	{ "timer_reserved", test_timer_reserved },
	{ "nmi_dense", test_nmi_dense },
	{ "nmi_spans", test_nmi_spans },
	{ "nmi_reserved", test_nmi_reserved },
	{ "typed_timer", test_typed_timer },
	{ "typed_readers", test_typed_readers },
	{ "reset_rcu", test_reset_rcu },
	{ "probe_dense", test_probe_dense },
	{ "probe_spans", test_probe_spans },
	{ "cpu_gone", test_gone },
	{ "hotplug", test_hotplug },
};

static DEFINE_MUTEX(run_mutex);		/* held while a test runs, to serialise tests */
static DEFINE_MUTEX(result_mutex);	/* protects the next four variables */
static char result[RESULT_MAX];
static size_t result_len;
static unsigned int failures;
static bool not_here;		/* the test was skipped */
static struct dentry *dir;

__printf(1, 0)
static void say(const char *fmt, va_list args)
{
	result_len += scnprintf(result + result_len, sizeof(result) - result_len, "# ");
	result_len += vscnprintf(result + result_len, sizeof(result) - result_len, fmt, args);
	result_len += scnprintf(result + result_len, sizeof(result) - result_len, "\n");
}

void note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mutex_lock(&result_mutex);
	say(fmt, args);
	mutex_unlock(&result_mutex);
	va_end(args);
}

__printf(1, 0)
static void vfail(const char *fmt, va_list args)
{
	mutex_lock(&result_mutex);
	if (failures++ < FAILURES_SHOWN)
		say(fmt, args);
	mutex_unlock(&result_mutex);
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfail(fmt, args);
	va_end(args);
}

bool expect(bool condition, const char *fmt, ...)
{
	va_list args;

	if (condition)
		return true;
	va_start(args, fmt);
	vfail(fmt, args);
	va_end(args);
	return false;
}

bool failed(void)
{
	return READ_ONCE(failures);
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mutex_lock(&result_mutex);
	not_here = true;
	say(fmt, args);
	mutex_unlock(&result_mutex);
	va_end(args);
}

bool skipped(void)
{
	return READ_ONCE(not_here);
}

static const char *verdict(void)
{
	if (failures)
		return "not ok";
	return not_here ? "skip" : "ok";
}

static int run(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!sysfs_streq(name, tests[i].name))
			continue;
		if (mutex_lock_interruptible(&run_mutex))
			return -EINTR;
		mutex_lock(&result_mutex);
		result_len = 0;
		failures = 0;
		not_here = false;
		mutex_unlock(&result_mutex);
		tests[i].run();
		mutex_unlock(&run_mutex);
		return 0;
	}
	return -EINVAL;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char name[NAME_MAX_LEN] = "";
	int err;

	if (size >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, from, size))
		return -EFAULT;
	err = run(name);
	return err ?: size;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.write	= run_write,
};

static int notify(const char *line)
{
	unsigned int nr;
	char name[8];
	int fd, err;

	if (sscanf(line, "%d %7s %u", &fd, name, &nr) != 3 || nr > NOTICES_MAX)
		return -EINVAL;
	if (mutex_lock_interruptible(&run_mutex))
		return -EINTR;
	err = notify_from(fd, name, nr);
	mutex_unlock(&run_mutex);
	return err;
}

static ssize_t notify_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char line[NAME_MAX_LEN] = "";
	int err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	err = notify(line);
	return err ?: size;
}

static const struct file_operations notify_fops = {
	.owner	= THIS_MODULE,
	.write	= notify_write,
};

static int result_show(struct seq_file *m, void *unused)
{
	mutex_lock(&result_mutex);
	seq_printf(m, "%s\n", verdict());
	seq_write(m, result, result_len);
	mutex_unlock(&result_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int list_show(struct seq_file *m, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++)
		seq_printf(m, "%s\n", tests[i].name);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(list);

static int __init context_init(void)
{
	int err = text_find();

	if (err)
		return err;
	dir = debugfs_create_dir("arena_context", NULL);
	debugfs_create_file("list", 0400, dir, NULL, &list_fops);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("result", 0400, dir, NULL, &result_fops);
	debugfs_create_file("notify", 0200, dir, NULL, &notify_fops);
	return 0;
}
module_init(context_init);

static void __exit context_exit(void)
{
	debugfs_remove(dir);
}
module_exit(context_exit);

MODULE_DESCRIPTION("Allocation from arenas in interrupts, NMI and probes");
MODULE_LICENSE("GPL");
