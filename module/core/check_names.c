// SPDX-License-Identifier: GPL-2.0
/* The module parameter "debug" selects, by name, the arenas that are checked (check.c). */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "core/core.h"

static DEFINE_SPINLOCK(names_lock);	/* Protects names. */
static char names[256];
bool arena_check_named;			/* The string in names is not empty. */

/*
 * Does @name match @pattern, which is @len bytes long? A * at the end of @pattern stands for
 * anything. An arena keeps only the first ARENA_NAME_MAX - 1 bytes of its name, so this compares no
 * more bytes of @pattern.
 */
static bool name_fits(const char *name, const char *pattern, size_t len)
{
	if (!len)
		return false;
	if (pattern[len - 1] == '*')
		return !strncmp(name, pattern, min_t(size_t, len - 1, ARENA_NAME_MAX - 1));
	len = min_t(size_t, len, ARENA_NAME_MAX - 1);
	return strlen(name) == len && !memcmp(name, pattern, len);
}

/*
 * Is @arena to be checked, by its name? Arenas of the device never are, as programs may write
 * anywhere in them.
 */
static bool arena_is_named(const struct arena *arena)
{
	const char *at = names;

	lockdep_assert_held(&names_lock);
	while (*at && !(arena->flags & ARENA_MAPPABLE)) {
		size_t len = strcspn(at, ",");

		if (name_fits(arena->name, at, len))
			return true;
		at += len + !!at[len];
	}
	return false;
}

static bool lacks_checks(struct arena *arena, void *unused)
{
	bool lacks;

	spin_lock(&names_lock);
	lacks = !arena->check && arena_is_named(arena);
	spin_unlock(&names_lock);
	return lacks;
}

static bool install_checks(struct arena *arena, void *check)
{
	return lacks_checks(arena, NULL) && arena_check_install(arena, check);
}

static bool want_checks(struct arena *arena, void *unused)
{
	spin_lock(&names_lock);
	if (arena->check)
		arena_check_want(arena, arena_is_named(arena));
	spin_unlock(&names_lock);
	return false;
}

/*
 * Switch the checks of each arena on or off, as its name says. First install a struct arena_check
 * in each arena that is to be checked and has none. CPUs settle generations with preemption off: so
 * after a grace period, each CPU that settles a generation of such an arena calls
 * arena_check_settle(). Switch the checks on only then: otherwise a generation could be checked in
 * part.
 */
static int names_apply(void)
{
	struct arena_check *check;
	bool installed = false;
	int err = 0;

	while (!err && arena_debug_each(lacks_checks, NULL)) {
		cond_resched();
		check = fatal_signal_pending(current) ? NULL : arena_checks_new();
		if (!check)
			err = fatal_signal_pending(current) ? -EINTR : -ENOMEM;
		else if (arena_debug_each(install_checks, check))
			installed = true;
		else
			arena_checks_free(check);
	}
	if (installed)
		synchronize_rcu();
	arena_debug_each(want_checks, NULL);
	return err;
}

/*
 * Check the arenas that @value names, and no others. The caller makes sure that no other task is in
 * this function.
 */
int arena_check_select(const char *value)
{
	size_t len = strcspn(value, "\n");

	if (len >= sizeof(names))
		return -EINVAL;
	spin_lock(&names_lock);
	memcpy(names, value, len);
	names[len] = '\0';
	spin_unlock(&names_lock);
	WRITE_ONCE(arena_check_named, len);
	/*
	 * Pairs with the exchange in arena_debug_add(): either names_apply() finds the new arena,
	 * or arena_check_create() finds that there are names.
	 */
	smp_mb();
	return names_apply();
}

static int names_set(const char *value, const struct kernel_param *param)
{
	return arena_check_select(value);
}

static int names_get(char *value, const struct kernel_param *param)
{
	int len;

	spin_lock(&names_lock);
	len = sprintf(value, "%s\n", names);
	spin_unlock(&names_lock);
	return len;
}

static const struct kernel_param_ops names_ops = {
	.set = names_set,
	.get = names_get,
};
module_param_cb(debug, &names_ops, NULL, 0644);
MODULE_PARM_DESC(debug, "Arenas to check for writes behind objects and after resets: NAME[,NAME...], a * at the end of a name stands for anything (default: none)");

void __arena_check_create(struct arena *arena)
{
	struct arena_check *check;

	if (!lacks_checks(arena, NULL))
		return;
	check = arena_checks_new();
	if (!check) {
		pr_warn("%s: no memory to check it\n", arena->name);
		return;
	}
	/* names_apply() on another CPU may have installed checks already. */
	if (!arena_check_install(arena, check))
		arena_checks_free(check);
	want_checks(arena, NULL);
	if (arena_check_wanted(arena))
		arena_check_first(arena);
}
