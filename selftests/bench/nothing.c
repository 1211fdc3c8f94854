// SPDX-License-Identifier: GPL-2.0
/*
 * The device /dev/arena_bench, with which calls of /dev/arena are compared. Its only ioctl has the
 * number and the struct of ARENA_IOC_ALLOC. It copies the struct in and out, as ARENA_IOC_ALLOC
 * does, and does nothing in between.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <uapi/linux/arena.h>

#include "bench.h"

static long nothing_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct arena_alloc_args __user *user = (void __user *)arg;
	struct arena_alloc_args args;
	u32 size;
	int err;

	if (cmd != ARENA_IOC_ALLOC)
		return -ENOTTY;
	if (get_user(size, &user->size))
		return -EFAULT;
	if (size < sizeof(args))
		return -EINVAL;
	err = copy_struct_from_user(&args, sizeof(args), user, size);
	if (err)
		return err;
	return copy_to_user(user, &args, sizeof(args)) ? -EFAULT : 0;
}

static const struct file_operations nothing_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= nothing_ioctl,
};

static struct miscdevice nothing_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "arena_bench",
	.fops	= &nothing_fops,
};

int bench_nothing_init(void)
{
	return misc_register(&nothing_device);
}

void bench_nothing_exit(void)
{
	misc_deregister(&nothing_device);
}
