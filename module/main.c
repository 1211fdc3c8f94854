// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "device/device.h"

static int __init arena_module_init(void)
{
	int err;

	err = arena_pool_init();
	if (err)
		return err;
	arena_debug_init();
	err = arena_device_init();
	if (err) {
		arena_debug_exit();
		arena_pool_exit();
	}
	return err;
}

static void __exit arena_module_exit(void)
{
	arena_device_exit();
	arena_debug_exit();
	/* Nothing of ours may be called back once the code is gone. */
	rcu_barrier();
	arena_pool_exit();
	WARN_ON_ONCE(arena_total_pages());
}

module_init(arena_module_init);
module_exit(arena_module_exit);
MODULE_DESCRIPTION("In-kernel arenas");
MODULE_AUTHOR("The arena developers");
MODULE_VERSION("0.1.0");	/* as in dkms.conf */
MODULE_LICENSE("GPL");
