/* SPDX-License-Identifier: GPL-2.0 */
/* Functions of newer kernels that the suites use, defined for kernels as old as 6.1. */
#ifndef _ARENA_KUNIT_COMPAT_H
#define _ARENA_KUNIT_COMPAT_H

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
typedef void (kunit_action_t)(void *);

struct arena_test_action {
	kunit_action_t	*action;
	void		*ctx;
};

static void arena_test_action_free(struct kunit_resource *res)
{
	struct arena_test_action *act = res->data;

	act->action(act->ctx);
	kfree(act);
}

static bool arena_test_action_match(struct kunit *test, struct kunit_resource *res, void *data)
{
	const struct arena_test_action *have = res->data, *want = data;

	return res->free == arena_test_action_free &&
	       have->action == want->action && have->ctx == want->ctx;
}

static inline int kunit_add_action_or_reset(struct kunit *test, kunit_action_t *action,
					    void *ctx)
{
	struct arena_test_action *act = kzalloc(sizeof(*act), GFP_KERNEL);

	if (act) {
		act->action = action;
		act->ctx = ctx;
		if (kunit_alloc_resource(test, NULL, arena_test_action_free, GFP_KERNEL, act))
			return 0;
	}
	kfree(act);
	action(ctx);
	return -ENOMEM;
}

static inline void kunit_release_action(struct kunit *test, kunit_action_t *action, void *ctx)
{
	struct arena_test_action want = { .action = action, .ctx = ctx };

	WARN_ON(kunit_destroy_resource(test, arena_test_action_match, &want));
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#endif /* _ARENA_KUNIT_COMPAT_H */
