/* SPDX-License-Identifier: GPL-2.0 */
/**
 * DOC: Buffers that grow
 *
 * Buffers and strings that grow, and become objects of an arena when they are complete.
 *
 * Best suited for contents that are put together piece by piece, and whose size is known only at
 * the end. A buffer that is the last object of the arena grows in place; any other buffer is copied
 * when it grows, and the old copy remains until the next reset. So does a buffer that is never
 * finished.
 *
 * Only one task or interrupt at a time may use a buffer, and must exclude resets and rewinds that
 * free the buffer, as for any object. After the first failure a buffer no longer changes, and
 * arena_buf_finish() returns NULL: so a caller need check the result of arena_buf_finish() only::
 *
 *	struct arena_buf buf;
 *
 *	arena_buf_init(&buf, arena, GFP_KERNEL);
 *	for (i = 0; i < nr; i++)
 *		arena_buf_printf(&buf, "%s%u", i ? "," : "", value[i]);
 *	string = arena_buf_finish_string(&buf);
 */
#ifndef _LINUX_ARENA_BUF_H
#define _LINUX_ARENA_BUF_H

#include <linux/arena.h>
#include <linux/arena_private.h>
#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct arena_buf - a buffer that grows; callers may read @len, and do not use the other members.
 * @arena:	the shared arena that it lies in; or NULL.
 * @private:	the private arena that it lies in; or NULL.
 * @gfp:	how the arena may grow.
 * @data:	the bytes; NULL before the first one.
 * @len:	number of bytes appended so far.
 * @room:	number of bytes allocated.
 * @failed:	a call could not append its bytes.
 * @caller:	address of the code that called arena_buf_init(): reports of the module parameter
 *		"debug" show it.
 */
struct arena_buf {
	struct arena		*arena;
	struct arena_private	*private;
	gfp_t			gfp;
	char			*data;
	size_t			len;
	size_t			room;
	bool			failed;
	unsigned long		caller;
};

void arena_buf_init(struct arena_buf *buf, struct arena *arena, gfp_t gfp);
void arena_buf_init_private(struct arena_buf *buf, struct arena_private *arena, gfp_t gfp);
/* Callers need not check these results: after a failure, arena_buf_finish() returns NULL. */
bool arena_buf_append(struct arena_buf *buf, const void *src, size_t size);
__printf(2, 0)
bool arena_buf_vprintf(struct arena_buf *buf, const char *fmt, va_list args);
__printf(2, 3)
bool arena_buf_printf(struct arena_buf *buf, const char *fmt, ...);
void *arena_buf_finish(struct arena_buf *buf, size_t *size) __must_check;
char *arena_buf_finish_string(struct arena_buf *buf) __must_check;

__printf(3, 0) __malloc __must_check
char *arena_private_vprintf(struct arena_private *arena, gfp_t gfp, const char *fmt, va_list args);
__printf(3, 4) __malloc __must_check
char *arena_private_printf(struct arena_private *arena, gfp_t gfp, const char *fmt, ...);

#endif /* _LINUX_ARENA_BUF_H */
