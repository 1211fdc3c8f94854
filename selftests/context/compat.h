/* SPDX-License-Identifier: GPL-2.0 */
/* Differences between kernel versions, for the tests of contexts. */
#ifndef _ARENA_CONTEXT_COMPAT_H
#define _ARENA_CONTEXT_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/version.h>

typedef enum hrtimer_restart (*context_timer_fn)(struct hrtimer *timer);

/* hrtimer_setup() came with 6.13. From 6.15 on, it is the only way to set up a timer. */
static inline void context_timer_setup(struct hrtimer *timer, context_timer_fn fn,
				       enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, mode);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = fn;
#endif
}

#endif /* _ARENA_CONTEXT_COMPAT_H */
