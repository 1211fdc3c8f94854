// SPDX-License-Identifier: GPL-2.0
/*
 * The naive bumps as functions: in a file of their own, so that no compiler
 * inlines them into the loops.
 */
#include <linux/string.h>

#include "naive.h"

void *bump_bounded_call(struct bump *bump, size_t size)
{
	return bump_bounded(bump, size);
}

void *bump_xadd_call(struct bump *bump, size_t size)
{
	return bump_xadd(bump, size);
}

void *bump_cmpxchg_call(struct bump *bump, size_t size)
{
	return bump_cmpxchg(bump, size);
}

void *bump_bounded_zero_call(struct bump *bump, size_t size)
{
	void *object = bump_bounded(bump, size);

	return object ? memset(object, 0, size) : NULL;
}

void *bump_cmpxchg_zero_call(struct bump *bump, size_t size)
{
	void *object = bump_cmpxchg(bump, size);

	return object ? memset(object, 0, size) : NULL;
}
