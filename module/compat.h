/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel versions, 6.1 to 7.3. They live here and nowhere
 * else.
 */
#ifndef _ARENA_COMPAT_H
#define _ARENA_COMPAT_H

#include <linux/version.h>

#endif /* _ARENA_COMPAT_H */
