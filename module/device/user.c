// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: limits on arenas and memory, for all programs together and for each user (clause 21).
 *
 * A user is the effective uid of the task that opens the device. A task in a user namespace
 * could switch between many uids and so evade its limits. For such a task the user is the owner
 * of the namespace. Where namespaces are nested, the user is the owner of the outermost namespace
 * that root does not own: root hands out the uids of its namespaces on purpose. A task with
 * CAP_SYS_RESOURCE is bound only by the limits for all programs.
 *
 * A struct arena_user exists from the first arena that the user opens until the last page
 * charged to it is free, which may be after its last arena was closed.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "device/device.h"

static unsigned long max_device_mb;
module_param(max_device_mb, ulong, 0644);
MODULE_PARM_DESC(max_device_mb,
		 "Memory for all arenas of programs, in MiB (0: three quarters of max_total_mb)");

static unsigned long max_user_mb;
module_param(max_user_mb, ulong, 0644);
MODULE_PARM_DESC(max_user_mb, "Memory for all arenas of one user, in MiB (0: half of max_device_mb)");

static unsigned int max_arenas = 1024;
module_param(max_arenas, uint, 0644);
MODULE_PARM_DESC(max_arenas, "Arenas that programs may have open at the same time");

static unsigned int max_user_arenas;
module_param(max_user_arenas, uint, 0644);
MODULE_PARM_DESC(max_user_arenas, "Arenas that one user may have open (0: half of max_arenas)");

/**
 * struct arena_user - a user, and what it has.
 * @budget: counts the pages charged to the user; its reference count is that of this struct.
 * @arenas: how many arenas the user has open.
 * @uid:    the uid that identifies the user.
 * @node:   entry in users, the hash table.
 */
struct arena_user {
	struct arena_budget	budget;
	atomic_t		arenas;
	kuid_t			uid;
	struct hlist_node	node;
};

static atomic_t nr_arenas = ATOMIC_INIT(0);
static DEFINE_HASHTABLE(users, 6);
/* Protects the hash table. */
static DEFINE_SPINLOCK(users_lock);

static long device_limit(void)
{
	unsigned long mb = READ_ONCE(max_device_mb);

	return mb ? arena_mb_to_pages(mb) : arena_total.limit() / 4 * 3;
}

static long user_limit(void)
{
	unsigned long mb = READ_ONCE(max_user_mb);

	return mb ? arena_mb_to_pages(mb) : device_limit() / 2;
}

static unsigned int user_arenas(void)
{
	return READ_ONCE(max_user_arenas) ?: DIV_ROUND_UP(READ_ONCE(max_arenas), 2);
}

/* The budget of all programs. It is the parent of the budget of each user. */
static struct arena_budget device_budget = {
	.parent = &arena_total,
	.limit = device_limit,
};

static struct arena_user *user_of(struct arena_budget *budget)
{
	return budget == &device_budget ? NULL : container_of(budget, struct arena_user, budget);
}

/* Raise @count by one unless it has reached @limit. */
static bool count_up(atomic_t *count, unsigned int limit)
{
	int nr = atomic_read(count);

	do {
		if (nr >= min_t(unsigned int, limit, INT_MAX))
			return false;
	} while (!atomic_try_cmpxchg(count, &nr, nr + 1));
	return true;
}

static kuid_t opener(void)
{
	const struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_euid();

	for (; ns->parent; ns = ns->parent)
		if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
			uid = ns->owner;
	return uid;
}

static void user_release(struct arena_budget *budget)
{
	struct arena_user *user = user_of(budget);

	spin_lock(&users_lock);
	hash_del(&user->node);
	spin_unlock(&users_lock);
	kfree(user);
}

/*
 * Return the user with @uid, with a new reference, or NULL. Skip a user whose last reference is
 * gone: user_release() is about to remove it from the table.
 */
static struct arena_user *user_find(kuid_t uid)
{
	struct arena_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid) && refcount_inc_not_zero(&user->budget.refs))
			return user;
	return NULL;
}

static struct arena_user *user_get(kuid_t uid)
{
	struct arena_user *user, *new;

	spin_lock(&users_lock);
	user = user_find(uid);
	spin_unlock(&users_lock);
	if (user)
		return user;
	new = kzalloc_obj(*new, ARENA_DEV_GFP);
	if (!new)
		return NULL;
	new->budget.parent = &device_budget;
	new->budget.limit = user_limit;
	new->budget.release = user_release;
	refcount_set(&new->budget.refs, 1);
	new->uid = uid;
	spin_lock(&users_lock);
	user = user_find(uid);
	if (!user)
		hash_add(users, &new->node, __kuid_val(uid));
	spin_unlock(&users_lock);
	if (!user)
		return new;
	kfree(new);
	return user;
}

/*
 * Count one more arena for the user of the calling task, and return the user's budget. A task with
 * CAP_SYS_RESOURCE is counted for no user and gets the budget of all programs.
 */
static struct arena_budget *user_count(void)
{
	struct arena_user *user;

	if (ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE))
		return &device_budget;
	user = user_get(opener());
	if (!user)
		return ERR_PTR(-ENOMEM);
	if (count_up(&user->arenas, user_arenas()))
		return &user->budget;
	arena_budget_put(&user->budget);
	return ERR_PTR(-EMFILE);
}

/*
 * Count an arena that the calling task opens. Returns the budget for its memory, or an ERR_PTR():
 * -ENFILE if all programs together have as many arenas as they may, -EMFILE if this user has,
 * -ENOMEM.
 */
struct arena_budget *arena_user_add(void)
{
	struct arena_budget *budget;

	if (!count_up(&nr_arenas, READ_ONCE(max_arenas)))
		return ERR_PTR(-ENFILE);
	budget = user_count();
	if (IS_ERR(budget))
		atomic_dec(&nr_arenas);
	return budget;
}

/* Stop counting an arena for which arena_user_add() returned @budget. */
void arena_user_remove(struct arena_budget *budget)
{
	struct arena_user *user = user_of(budget);

	if (user)
		atomic_dec(&user->arenas);
	arena_budget_put(budget);
	atomic_dec(&nr_arenas);
}
