// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers and strings that grow, on top of arena_realloc() and arena_private_realloc(). Only the
 * caller writes to a buffer, so this code takes no lock.
 */
#include <linux/arena_buf.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "core/core.h"

#define ROOM_MIN	64

/**
 * arena_buf_init() - Begin a buffer in a shared arena (clause 28).
 * @buf:   the buffer, filled in; its former contents do not matter.
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc(); __GFP_ZERO is ignored.
 *
 * Allocates nothing yet.
 *
 * Context: Any.
 */
void arena_buf_init(struct arena_buf *buf, struct arena *arena, gfp_t gfp)
{
	*buf = (struct arena_buf) {
		.arena = arena, .gfp = gfp & ~__GFP_ZERO, .caller = _RET_IP_,
	};
}
EXPORT_SYMBOL_GPL(arena_buf_init);

/**
 * arena_buf_init_private() - Begin a buffer in a private arena (clause 28).
 * @buf:   the buffer, filled in; its former contents do not matter.
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc(); __GFP_ZERO is ignored.
 *
 * Context: Any; the caller of this and of each later call on @buf is the owner of the arena.
 */
void arena_buf_init_private(struct arena_buf *buf, struct arena_private *arena, gfp_t gfp)
{
	*buf = (struct arena_buf) { .private = arena, .gfp = gfp & ~__GFP_ZERO };
}
EXPORT_SYMBOL_GPL(arena_buf_init_private);

static bool set_room(struct arena_buf *buf, size_t room)
{
	char *data = buf->private ?
		arena_private_realloc(buf->private, buf->data, buf->room, room, buf->gfp) :
		arena_realloc_for(buf->arena, buf->data, buf->room, room, buf->gfp, buf->caller);

	if (!data)
		return false;
	buf->data = data;
	buf->room = room;
	return true;
}

/*
 * Make room for @size bytes more. Ask for twice the present room, so that n bytes take no more than
 * log n copies. If the arena cannot give so much, ask for no more than is needed.
 */
static bool make_room(struct arena_buf *buf, size_t size)
{
	size_t need, room;

	if (buf->failed || check_add_overflow(buf->len, size, &need)) {
		buf->failed = true;
		return false;
	}
	if (need <= buf->room)
		return true;
	room = max3(2 * buf->room, need, (size_t)ROOM_MIN);
	buf->failed = !set_room(buf, room) && (room == need || !set_room(buf, need));
	return !buf->failed;
}

/**
 * arena_buf_append() - Append bytes to a buffer.
 * @buf:  the buffer.
 * @src:  the bytes; not in the buffer itself.
 * @size: their number; may be 0.
 *
 * Context: Any that the gfp flags of @buf fit. Takes no lock.
 * Return: true; false, with nothing appended, if there is no space or no memory, or if the buffer
 * has failed before.
 */
bool arena_buf_append(struct arena_buf *buf, const void *src, size_t size)
{
	if (!make_room(buf, size))
		return false;
	memcpy(buf->data + buf->len, src, size);
	buf->len += size;
	return true;
}
EXPORT_SYMBOL_GPL(arena_buf_append);

/**
 * arena_buf_vprintf() - Format a string at the end of a buffer.
 * @buf:  the buffer.
 * @fmt:  as for printk().
 * @args: the arguments for @fmt.
 *
 * Formats in place, and once more if the room does not suffice. The NUL is not appended:
 * arena_buf_finish_string() does that.
 *
 * Context: Any that the gfp flags of @buf fit. Takes no lock.
 * Return: true; false, with nothing appended, if there is no space or no memory, or if the buffer
 * has failed before.
 */
bool arena_buf_vprintf(struct arena_buf *buf, const char *fmt, va_list args)
{
	size_t len, room;
	va_list again;
	bool fits;

	if (!make_room(buf, 1))
		return false;
	/* vsnprintf() warns if its size argument exceeds INT_MAX. */
	room = min_t(size_t, buf->room - buf->len, INT_MAX);
	va_copy(again, args);
	len = vsnprintf(buf->data + buf->len, room, fmt, args);
	fits = len < room;
	if (!fits && make_room(buf, len + 1)) {
		/* If the arguments have changed meanwhile, the string may be shorter now. */
		len = min_t(size_t, len, vsnprintf(buf->data + buf->len, len + 1, fmt, again));
		fits = true;
	}
	va_end(again);
	if (fits)
		buf->len += len;
	return fits;
}
EXPORT_SYMBOL_GPL(arena_buf_vprintf);

/**
 * arena_buf_printf() - Format a string at the end of a buffer.
 * @buf: the buffer.
 * @fmt: as for printk(); the compiler checks the arguments against it.
 *
 * Formats in place, and once more if the room does not suffice. The NUL is not appended.
 *
 * Context: Any that the gfp flags of @buf fit. Takes no lock.
 * Return: true; false, with nothing appended, if there is no space or no memory, or if the buffer
 * has failed before.
 */
bool arena_buf_printf(struct arena_buf *buf, const char *fmt, ...)
{
	va_list args;
	bool done;

	va_start(args, fmt);
	done = arena_buf_vprintf(buf, fmt, args);
	va_end(args);
	return done;
}
EXPORT_SYMBOL_GPL(arena_buf_printf);

/**
 * arena_buf_finish() - Make an object of what was appended.
 * @buf:  the buffer; empty afterwards, and ready for the next object.
 * @size: set to the size of the object, in bytes; may be NULL.
 *
 * Gives back the room that is left, if nothing was allocated after the buffer.
 *
 * Context: As arena_buf_append().
 * Return: The object, aligned to %ARENA_MIN_ALIGN; NULL if it is empty, or if something could not
 * be appended.
 */
void *arena_buf_finish(struct arena_buf *buf, size_t *size)
{
	void *object = NULL;

	/* Making an object smaller always succeeds. */
	if (!buf->failed && buf->len && set_room(buf, buf->len))
		object = buf->data;
	if (size)
		*size = object ? buf->len : 0;
	buf->data = NULL;
	buf->len = 0;
	buf->room = 0;
	buf->failed = false;
	return object;
}
EXPORT_SYMBOL_GPL(arena_buf_finish);

/**
 * arena_buf_finish_string() - Make a string of what was appended.
 * @buf: the buffer; empty afterwards, and ready for the next object.
 *
 * Context: As arena_buf_append().
 * Return: The string, with a NUL behind it; NULL if something could not be appended.
 */
char *arena_buf_finish_string(struct arena_buf *buf)
{
	arena_buf_append(buf, "", 1);
	return arena_buf_finish(buf, NULL);
}
EXPORT_SYMBOL_GPL(arena_buf_finish_string);

/**
 * arena_private_vprintf() - Format a string into a private arena (clause 1).
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc().
 * @fmt:   as for printk().
 * @args:  the arguments for @fmt.
 *
 * Formats in place, and once more if the string turns out longer than 63 characters.
 *
 * Context: As arena_private_alloc().
 * Return: The string, or NULL as arena_private_alloc().
 */
char *arena_private_vprintf(struct arena_private *arena, gfp_t gfp, const char *fmt, va_list args)
{
	struct arena_private_mark mark = arena_private_mark(arena);
	struct arena_buf buf;
	char *string;

	arena_buf_init_private(&buf, arena, gfp);
	arena_buf_vprintf(&buf, fmt, args);
	string = arena_buf_finish_string(&buf);
	/* After a failure, give back what the buffer has allocated. */
	if (!string)
		arena_private_rewind(arena, &mark);
	arena_private_unmark(arena, &mark);
	return string;
}
EXPORT_SYMBOL_GPL(arena_private_vprintf);

/**
 * arena_private_printf() - Format a string into a private arena (clause 1).
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc().
 * @fmt:   as for printk(); the compiler checks the arguments against it.
 *
 * Context: As arena_private_alloc().
 * Return: The string, or NULL as arena_private_alloc().
 */
char *arena_private_printf(struct arena_private *arena, gfp_t gfp, const char *fmt, ...)
{
	va_list args;
	char *string;

	va_start(args, fmt);
	string = arena_private_vprintf(arena, gfp, fmt, args);
	va_end(args);
	return string;
}
EXPORT_SYMBOL_GPL(arena_private_printf);
