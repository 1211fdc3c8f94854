// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading. Each part of the module is set up after the parts that it uses, and torn
 * down before them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/cacheinfo.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "compat.h"
#include "core/core.h"
#ifdef CONFIG_ARENA_DEVICE
#include "device/device.h"

static bool device = true;
module_param(device, bool, 0444);
MODULE_PARM_DESC(device, "Register /dev/arena (default: yes)");

static int __init device_init(void)
{
	return device ? arena_device_init() : 0;
}

static void __exit device_exit(void)
{
	if (device)
		arena_device_exit();
}
#else
static int __init device_init(void) { return 0; }
static void __exit device_exit(void) { }
#endif

static int __init arena_module_init(void)
{
	int err;

	BUILD_BUG_ON_MSG(__builtin_constant_p(cpu_dcache_is_aliasing()) && cpu_dcache_is_aliasing(),
			 "arena: data caches that alias are not supported");
	if (cpu_dcache_is_aliasing()) {
		pr_err("data caches that alias are not supported\n");
		return -EOPNOTSUPP;
	}
	err = arena_pool_init();
	if (err)
		return err;
	err = arena_idle_init();
	if (err)
		goto exit_pool;
	arena_cpus_setup();
	arena_debug_init();
	err = device_init();
	if (err)
		goto exit_core;
	return 0;

exit_core:
	arena_debug_exit();
	arena_idle_exit();
exit_pool:
	arena_pool_exit();
	arena_pinned_exit();
	return err;
}

static void __exit arena_module_exit(void)
{
	device_exit();
	/*
	 * Nothing calls this module any more. Wait until a worker has destroyed the arenas whose
	 * last reference arena_put() dropped.
	 */
	arena_put_barrier();
	arena_debug_exit();
	arena_idle_exit();
	/* Wait for the RCU callbacks that arenas have queued: they run code of this module. */
	rcu_barrier();
	arena_pool_exit();
	arena_pinned_exit();
	WARN_ON_ONCE(arena_total_pages());
}

module_init(arena_module_init);
module_exit(arena_module_exit);
MODULE_DESCRIPTION("In-kernel arenas");
MODULE_AUTHOR("The arena developers");
MODULE_VERSION("2.0.0");	/* must equal the one in dkms.conf */
MODULE_LICENSE("GPL");
