// SPDX-License-Identifier: GPL-2.0
/*
 * arena_alone: a module that carries private arenas inside itself, as an outside author would write
 * it. It checks these arenas when user space writes the name of a check to a parameter:
 *
 *	echo objects >/sys/module/arena_alone/parameters/run
 *
 * If the check fails, the write fails with EPROTO, and the kernel's log says what is not true.
 *
 * "fill" allocates 16 MiB from an arena that charges a memory cgroup: that of the task which wrote
 * "fill" when there was no such arena. "trim" resets and trims the arena, "drop" destroys it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "arena_private.h"

#define OBJECTS		240
#define LARGEST		(ARENA_SLAB_MAX - PAGE_SIZE)

/* If the condition is false, the kernel's log says so. Returns the condition. */
#define holds(condition)	noted(condition, #condition, __LINE__)

static bool noted(bool condition, const char *what, int line)
{
	if (!condition)
		pr_err("line %d: not true: %s\n", line, what);
	return condition;
}

static bool aligned(const void *object, size_t align)
{
	return IS_ALIGNED((unsigned long)object, align);
}

static size_t object_size(int i)
{
	static const size_t sizes[] = { 1, 8, 13, 100, 4096, 20000 };

	return sizes[i % ARRAY_SIZE(sizes)];
}

static bool objects_filled(struct arena_private *arena)
{
	static u8 *object[OBJECTS];
	size_t used = 0;
	int i;

	for (i = 0; i < OBJECTS; i++) {
		const size_t size = object_size(i), align = ARENA_MIN_ALIGN << i % 10;

		object[i] = align == ARENA_MIN_ALIGN ?
			    arena_private_alloc(arena, size, GFP_KERNEL) :
			    __arena_private_alloc(arena, size, align, GFP_KERNEL);
		if (!holds(object[i]) || !holds(aligned(object[i], align)))
			return false;
		memset(object[i], i, size);
		used += size;
	}
	for (i = 0; i < OBJECTS; i++)
		if (!holds(!memchr_inv(object[i], i, object_size(i))))
			return false;
	return holds(arena_private_offset(arena) == used);
}

/* Objects of all sizes and alignments keep their bytes, also in memory that a reset has kept. */
static bool check_objects(struct arena_private *arena)
{
	void *large;
	int round;

	for (round = 0; round < 3; round++) {
		if (!objects_filled(arena))
			return false;
		arena_private_reset(arena);
	}
	/* There need not be memory for the largest object. */
	large = arena_private_alloc(arena, LARGEST, GFP_KERNEL);
	if (large)
		memset(large, 0xff, LARGEST);
	return holds(arena_private_offset(arena) == (large ? LARGEST : 0));
}

/* The first objects lie in the buffer, here on the stack, and further ones do not. */
static bool check_buffer(struct arena_private *arena)
{
	u8 buffer[256] __aligned(ARENA_MIN_ALIGN);
	bool good = true;
	int i;

	arena_private_init(arena, buffer, sizeof(buffer));
	for (i = 0; good && i < 400; i++) {
		u8 *object = arena_private_alloc(arena, 24, GFP_KERNEL);
		bool inside = object >= buffer && object < buffer + sizeof(buffer);

		good = holds(object) && holds(inside == (i % 200 < sizeof(buffer) / 24));
		if (i == 199)
			arena_private_reset(arena);
	}
	arena_private_destroy(arena);
	return good;
}

static bool refused(struct arena_private *arena, size_t size, size_t align)
{
	return !__arena_private_alloc(arena, size, align, GFP_KERNEL) &&
	       !arena_private_offset(arena);
}

static bool check_arguments(struct arena_private *arena)
{
	return holds(!arena_private_alloc(arena, 8, ARENA_NOGROW)) &&
	       holds(!arena_private_alloc(arena, 8, ARENA_NOGROW | __GFP_ZERO)) &&
	       holds(!arena_private_alloc(arena, 0, GFP_KERNEL)) &&
	       holds(!arena_private_alloc(arena, SIZE_MAX, GFP_KERNEL)) &&
	       holds(refused(arena, LARGEST + 1, 8)) && holds(refused(arena, 8, 0)) &&
	       holds(refused(arena, 8, 24)) && holds(refused(arena, 8, 2 * PAGE_SIZE));
}

static size_t alloc_until_full(struct arena_private *arena, size_t bytes, gfp_t gfp)
{
	while (arena_private_offset(arena) < bytes) {
		void *object = arena_private_alloc(arena, 1000, gfp);

		if (!object)
			break;
		memset(object, 0xff, 1000);
	}
	return arena_private_offset(arena);
}

/* A reset keeps the memory, and a trim gives it back. Objects are zeroed on request. */
static bool check_kept(struct arena_private *arena)
{
	void *zeroed;

	if (!holds(alloc_until_full(arena, 100000, GFP_KERNEL) == 100000))
		return false;
	arena_private_reset(arena);
	zeroed = arena_private_alloc(arena, 2000, ARENA_NOGROW | __GFP_ZERO);
	if (!holds(zeroed) || !holds(!memchr_inv(zeroed, 0, 2000)) ||
	    !holds(alloc_until_full(arena, 100000, ARENA_NOGROW) == 100000))
		return false;
	arena_private_trim(arena);
	arena_private_reset(arena);
	if (!holds(alloc_until_full(arena, 50000, ARENA_NOGROW) == 50000))
		return false;
	arena_private_reset(arena);
	arena_private_trim(arena);
	return holds(!arena_private_alloc(arena, 8, ARENA_NOGROW));
}

/* A rewind frees what is newer than the mark, and neither older objects nor the memory. */
static bool check_marks(struct arena_private *arena)
{
	char *old = arena_private_alloc(arena, 4, GFP_KERNEL);
	struct arena_private_mark outer, inner;

	if (!holds(old))
		return false;
	strscpy(old, "old", 4);
	outer = arena_private_mark(arena);
	if (!holds(alloc_until_full(arena, 40004, GFP_KERNEL) == 40004))
		return false;
	inner = arena_private_mark(arena);
	{
		arena_scratch(arena);
		if (!holds(alloc_until_full(arena, 80004, GFP_KERNEL) == 80004))
			return false;
	}
	if (!holds(arena_private_offset(arena) == 40004) ||
	    !holds(!arena_private_rewind(arena, &outer)) ||
	    !holds(arena_private_offset(arena) == 4) || !holds(!strcmp(old, "old")) ||
	    !holds(arena_private_rewind(arena, &inner) == -ESTALE) ||
	    !holds(alloc_until_full(arena, 80004, ARENA_NOGROW) == 80004))
		return false;
	inner = arena_private_mark(arena);
	arena_private_unmark(arena, &inner);
	if (!holds(arena_private_rewind(arena, &inner) == -ESTALE) ||
	    !holds(!arena_private_rewind(arena, &outer)))
		return false;
	arena_private_reset(arena);
	return holds(arena_private_rewind(arena, &outer) == -ESTALE);
}

static char order[8];

static void append(void *data)
{
	order[strlen(order)] = *(const char *)data;
}

/* Each action runs once, when what is older than it is freed; the last one first. */
static bool check_actions(struct arena_private *arena)
{
	struct arena_private_mark mark;

	memset(order, 0, sizeof(order));
	if (!holds(!arena_private_add_action(arena, append, "a", GFP_KERNEL)))
		return false;
	mark = arena_private_mark(arena);
	if (!holds(!arena_private_add_action(arena, append, "b", GFP_KERNEL)) ||
	    !holds(!arena_private_add_action_or_run(arena, append, "c", GFP_KERNEL)) ||
	    !holds(!strcmp(order, "")) || !holds(!arena_private_rewind(arena, &mark)) ||
	    !holds(!strcmp(order, "cb")))
		return false;
	arena_private_reset(arena);
	arena_private_trim(arena);
	if (!holds(!strcmp(order, "cba")) ||
	    !holds(arena_private_add_action_or_run(arena, append, "d", ARENA_NOGROW) == -ENOMEM) ||
	    !holds(!strcmp(order, "cbad")) ||
	    !holds(!arena_private_add_action(arena, append, "e", GFP_KERNEL)))
		return false;
	arena_private_destroy(arena);
	return holds(!strcmp(order, "cbade"));
}

/* The last object grows and shrinks where it is; another object is copied. */
static bool check_resize(struct arena_private *arena)
{
	char *first = arena_private_alloc(arena, 6, GFP_KERNEL), *next, *moved;

	if (!holds(first))
		return false;
	strscpy(first, "first", 6);
	if (!holds(arena_private_resize(arena, first, 6, 1000) == first) ||
	    !holds(arena_private_resize(arena, first, 1000, 8) == first) ||
	    !holds(arena_private_offset(arena) == 8))
		return false;
	next = arena_private_alloc(arena, 8, ARENA_NOGROW);
	moved = arena_private_realloc(arena, first, 8, 20000, GFP_KERNEL | __GFP_ZERO);
	return holds(next == first + 8) && holds(!arena_private_resize(arena, first, 8, 16)) &&
	       holds(moved) && holds(moved != first) && holds(!strcmp(moved, "first")) &&
	       holds(arena_private_free_last(arena, moved, 20000)) &&
	       holds(!arena_private_free_last(arena, first, 8));
}

/* An arena grows and gives its memory back with interrupts off. */
static bool check_atomic(struct arena_private *arena)
{
	unsigned long flags;
	size_t used;

	local_irq_save(flags);
	used = alloc_until_full(arena, 50000, GFP_ATOMIC);
	arena_private_destroy(arena);
	local_irq_restore(flags);
	/* There need not be memory for all of that. */
	return holds(used);
}

static struct arena_private charged;
static bool is_filled;

static bool drop(struct arena_private *unused)
{
	if (is_filled)
		arena_private_destroy(&charged);
	is_filled = false;
	return true;
}

static bool trim(struct arena_private *unused)
{
	if (!holds(is_filled))
		return false;
	arena_private_reset(&charged);
	arena_private_trim(&charged);
	return true;
}

static bool fill(struct arena_private *unused)
{
	if (!is_filled)
		arena_private_init_charged(&charged, NULL, 0);
	is_filled = true;
	return holds(alloc_until_full(&charged, SZ_16M, GFP_KERNEL) >= SZ_16M);
}

static const struct {
	const char	*name;
	bool		(*run)(struct arena_private *arena);
} checks[] = {
	{ "objects", check_objects },
	{ "buffer", check_buffer },
	{ "arguments", check_arguments },
	{ "kept", check_kept },
	{ "marks", check_marks },
	{ "actions", check_actions },
	{ "resize", check_resize },
	{ "atomic", check_atomic },
	{ "fill", fill },
	{ "trim", trim },
	{ "drop", drop },
};

/* The kernel serialises the writes to the parameters of a module. */
static int run_set(const char *name, const struct kernel_param *kp)
{
	struct arena_private embedded;
	struct arena_private *arena __free(arena_private_destroy) = &embedded;
	int i;

	arena_private_init(arena, NULL, 0);
	for (i = 0; i < ARRAY_SIZE(checks); i++)
		if (sysfs_streq(name, checks[i].name))
			return checks[i].run(arena) ? 0 : -EPROTO;
	return -EINVAL;
}

static const struct kernel_param_ops run_ops = { .set = run_set };
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "Name of a check to run");

static int __init alone_init(void)
{
	return 0;
}
module_init(alone_init);

static void __exit alone_exit(void)
{
	drop(NULL);
}
module_exit(alone_exit);

MODULE_DESCRIPTION("Private arenas in a module that does not use the arena module");
MODULE_LICENSE("GPL");
