// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/arena: what all programs together may have, and what each user may: a number of
 * arenas, and bytes (clause 21).
 *
 * A user is the effective uid of the task that opens the device. A task in a user namespace
 * could have many uids, so there it is the owner of the namespace; of nested ones, of the
 * outermost that root does not own, as root hands out uids on purpose. Tasks with
 * CAP_SYS_RESOURCE are only bound by what holds for all programs.
 *
 * A user is known from the first arena it opens until the last page charged to it is free,
 * which may be later than its last arena is closed.
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
 * struct arena_user - a user and what it has.
 * @budget: what it is charged; its references keep the user.
 * @arenas: how many it has open.
 * @uid:    who it is.
 * @node:   in users.
 */
struct arena_user {
	struct arena_budget	budget;
	atomic_t		arenas;
	kuid_t			uid;
	struct hlist_node	node;
};

static atomic_t nr_arenas = ATOMIC_INIT(0);
static DEFINE_HASHTABLE(users, 6);
/* Protects users. */
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

/* Of all programs. */
static struct arena_budget device_budget = {
	.parent = &arena_total,
	.limit = device_limit,
};

static struct arena_user *user_of(struct arena_budget *budget)
{
	return budget == &device_budget ? NULL : container_of(budget, struct arena_user, budget);
}

/* Add one unless there are @limit of them. */
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

/* A reference to the user with that uid, or NULL. One without references is going. */
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

/* Count one more arena of the calling task's user; its budget, or what all programs share. */
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
 * One more arena, opened by the calling task. Returns what its memory is to be charged to;
 * ERR_PTR(): -ENFILE if programs have as many as they may, -EMFILE if this user has, -ENOMEM.
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

/* The end of an arena whose memory was charged to @budget. */
void arena_user_remove(struct arena_budget *budget)
{
	struct arena_user *user = user_of(budget);

	if (user)
		atomic_dec(&user->arenas);
	arena_budget_put(budget);
	atomic_dec(&nr_arenas);
}
