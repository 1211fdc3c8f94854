// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that copy memory or strings into an arena, or format strings. Like other allocations, they
 * take no lock.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core/cursor.h"

static void *copy_in(struct arena *arena, const void *src, size_t size, size_t align, gfp_t gfp,
		     unsigned long caller)
{
	struct arena_place place = { .caller = caller };

	size = size_with_address(arena, size);
	return arena_claim_copy(arena, src, size, size, align, gfp, &place) ? NULL : place.ptr;
}

/**
 * arena_memdup() - Copy memory into an arena.
 * @arena: the arena, not NULL.
 * @src:   what to copy, @size bytes.
 * @size:  bytes, not 0, at most the capacity.
 * @gfp:   how the arena may grow, see arena_alloc(); __GFP_ZERO is ignored.
 *
 * The copy never lands in an object of a newer generation (clause 10).
 *
 * Context: Any that @gfp fits.
 * Return: The copy, aligned to %ARENA_MIN_ALIGN; NULL on failure, also if the task is killed
 * during a copy of more than %ARENA_SLAB_MAX.
 */
void *arena_memdup(struct arena *arena, const void *src, size_t size, gfp_t gfp)
{
	return copy_in(arena, src, size, ARENA_MIN_ALIGN, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(arena_memdup);

/**
 * arena_memdup_aligned() - Copy memory into an arena, aligned as asked (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @src:   what to copy, @size bytes.
 * @size:  bytes, not 0, at most the capacity.
 * @align: bytes, see arena_alloc_aligned().
 * @gfp:   how the arena may grow, see arena_alloc(); __GFP_ZERO is ignored.
 *
 * Context: Any that @gfp fits.
 * Return: The copy, aligned to @align, or NULL on failure.
 */
void *arena_memdup_aligned(struct arena *arena, const void *src, size_t size, size_t align,
			   gfp_t gfp)
{
	return copy_in(arena, src, size, align, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(arena_memdup_aligned);

/*
 * Copy @len bytes and put a NUL behind them. The NUL is a write of its own, so that the copy
 * is terminated even if another CPU changes the source meanwhile.
 */
static char *copy_string(struct arena *arena, const char *src, size_t len, gfp_t gfp,
			 unsigned long caller)
{
	size_t size = size_with_address(arena, len + 1);
	struct arena_place place = { .caller = caller };
	unsigned int lost = 0;
	int err;

	gfp &= ~__GFP_ZERO;
	do {
		err = __arena_claim(arena, size, 1, gfp, &place) ?:
		      arena_write(arena, place.generation, place.offset, src, len, gfp) ?:
		      arena_write(arena, place.generation, place.offset + len, NULL, 1, gfp);
	} while (err == -ESTALE && lost++ < ARENA_LOST_MAX);
	/* A string without its NUL must not be returned, even if a reset has freed it already. */
	if (err == -ESTALE)
		err = -ENOMEM;
	return arena_claim_report(arena, size, 1, gfp, &place, err) ? NULL : place.ptr;
}

/**
 * arena_strdup() - Copy a string into an arena (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @s:     the string, or NULL.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The copy, not aligned in a dense arena; NULL if @s is NULL, or on failure, also if
 * resets have freed every copy before it was complete.
 */
char *arena_strdup(struct arena *arena, const char *s, gfp_t gfp)
{
	return s ? copy_string(arena, s, strlen(s), gfp, _RET_IP_) : NULL;
}
EXPORT_SYMBOL_GPL(arena_strdup);

/**
 * arena_strndup() - Copy the beginning of a string into an arena (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @s:     the string, or NULL; it need not be terminated within @max bytes.
 * @max:   copy at most this many bytes, not counting the NUL, which is always added.
 * @gfp:   how the arena may grow, see arena_alloc().
 *
 * Context: Any that @gfp fits.
 * Return: The copy, not aligned in a dense arena; NULL if @s is NULL, or on failure.
 */
char *arena_strndup(struct arena *arena, const char *s, size_t max, gfp_t gfp)
{
	return s ? copy_string(arena, s, strnlen(s, max), gfp, _RET_IP_) : NULL;
}
EXPORT_SYMBOL_GPL(arena_strndup);

/* Strings up to this size, their NUL included, are formatted once, on the stack. */
#define PRINTF_ON_STACK	256

/*
 * Format a string that is too long for the stack. The buffer comes from kmalloc(), which must not
 * be called in NMI.
 */
static __printf(3, 0)
char *print_long(struct arena *arena, gfp_t gfp, const char *fmt, va_list args,
		 unsigned long caller)
{
	char *buffer = in_nmi() ? NULL :
				  kvasprintf(arena_gfp_quiet(gfp & ~__GFP_ZERO), fmt, args);
	char *string;

	if (!buffer) {
		arena_count_failure(arena, -ENOMEM);
		return NULL;
	}
	string = copy_string(arena, buffer, strlen(buffer), gfp, caller);
	kfree(buffer);
	return string;
}

static __printf(3, 0)
char *print(struct arena *arena, gfp_t gfp, const char *fmt, va_list args, unsigned long caller)
{
	char buffer[PRINTF_ON_STACK];
	va_list again;
	char *string;
	int len;

	va_copy(again, args);
	len = vsnprintf(buffer, sizeof(buffer), fmt, args);
	if (len < PRINTF_ON_STACK)
		string = copy_string(arena, buffer, len, gfp, caller);
	else
		string = print_long(arena, gfp, fmt, again, caller);
	va_end(again);
	return string;
}

/**
 * arena_vprintf() - Format a string into an arena (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc(). A string of more than 255 characters also
 *	takes a temporary buffer of its size from kmalloc().
 * @fmt:   as for printk().
 * @args:  the arguments for @fmt.
 *
 * The string is formatted outside of the arena and then copied, as arena_memdup() does, so that it
 * never lands in an object of a newer generation. arena_buf_vprintf() formats in place, for callers
 * that exclude resets.
 *
 * Context: Any that @gfp fits; in NMI at most 255 characters.
 * Return: The string; NULL on failure, also if the buffer cannot be allocated.
 */
char *arena_vprintf(struct arena *arena, gfp_t gfp, const char *fmt, va_list args)
{
	return print(arena, gfp, fmt, args, _RET_IP_);
}
EXPORT_SYMBOL_GPL(arena_vprintf);

/**
 * arena_printf() - Format a string into an arena (clauses 1 and 10).
 * @arena: the arena, not NULL.
 * @gfp:   how the arena may grow, see arena_alloc().
 * @fmt:   as for printk(); the compiler checks the arguments against it.
 *
 * Context: Any that @gfp fits; in NMI at most 255 characters.
 * Return: The string, or NULL on failure.
 */
char *arena_printf(struct arena *arena, gfp_t gfp, const char *fmt, ...)
{
	va_list args;
	char *string;

	va_start(args, fmt);
	string = print(arena, gfp, fmt, args, _RET_IP_);
	va_end(args);
	return string;
}
EXPORT_SYMBOL_GPL(arena_printf);
