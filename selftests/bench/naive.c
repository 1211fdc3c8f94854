// SPDX-License-Identifier: GPL-2.0
/*
 * The bump allocators of naive.h as functions. They are in a file of their own, so that the
 * compiler cannot inline them into the loops of rivals.c.
 */
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
