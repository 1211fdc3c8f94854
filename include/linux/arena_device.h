/* SPDX-License-Identifier: GPL-2.0 */
/**
 * DOC: Arenas of programs in the kernel
 *
 * Arenas that programs made by opening /dev/arena, for kernel code that allocates in them, or reads
 * what programs have written there.
 *
 * Kernel code holds such an arena (clause 23): from arena_get_from_fd() until arena_unhold(), the
 * memory stays, and the program cannot reset the arena. Kernel code that holds an arena has no
 * reference which it could drop by arena_put(), so a held arena has a type of its own, struct
 * arena_dev, which arena_put() and arena_destroy() do not take.
 *
 * A program that maps the arena can change each byte of it at any time. Read each value once, and
 * check it before you rely on it.
 */
#ifndef _LINUX_ARENA_DEVICE_H
#define _LINUX_ARENA_DEVICE_H

#include <linux/arena.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/types.h>

struct arena_dev;

/* @rights are ARENA_RIGHT_* of uapi/linux/arena.h. */
struct arena_dev *arena_get_from_fd(int fd, u32 rights) __must_check;
struct arena *arena_dev_arena(const struct arena_dev *dev);
void arena_unhold(struct arena_dev *dev);
void arena_notify(struct arena_dev *dev);

DEFINE_FREE(arena_unhold, struct arena_dev *, if (!IS_ERR_OR_NULL(_T)) arena_unhold(_T))

#endif /* _LINUX_ARENA_DEVICE_H */
