// SPDX-License-Identifier: GPL-2.0
/* Private arenas: each lives for one call of a task, in memory of its own or of a target. */
#include <linux/arena_private.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "torture.h"

#define OBJECTS	12

struct object {
	void	*ptr;
	size_t	size;
	u64	key;
};

static void check(const struct object *object, unsigned int nr)
{
	for (; nr; nr--, object++)
		if (object->ptr && !stamped(object->ptr, object->size, object->key))
			violation("private", "an object of %zu bytes was overwritten",
				  object->size);
}

static void fill(struct caller *caller, struct arena_private *arena, struct object *object,
		 unsigned int nr)
{
	for (; nr; nr--, object++) {
		bool zero = below(caller, 2);
		gfp_t gfp = pick_gfp(caller, true) | (zero ? __GFP_ZERO : 0);

		object->size = 1 + below(caller, below(caller, 4) ? 100 : 3000);
		object->key = below(caller, U32_MAX);
		object->ptr = arena_private_alloc(arena, object->size, gfp);
		count(CALL_private_alloc);
		if (!object->ptr)
			continue;
		if (!IS_ALIGNED((unsigned long)object->ptr, ARENA_MIN_ALIGN) ||
		    (zero && memchr_inv(object->ptr, 0, object->size)))
			violation("private", "an object is not aligned or not zeroed");
		stamp(object->ptr, object->size, object->key);
	}
}

static void resize(struct caller *caller, struct arena_private *arena, struct object *object)
{
	size_t size = 1 + below(caller, 3000);
	void *ptr;

	if (!object->ptr)
		return;
	ptr = arena_private_realloc(arena, object->ptr, object->size, size, GFP_KERNEL);
	count(CALL_private_resize);
	if (!ptr)
		return;
	if (!stamped(ptr, min(size, object->size), object->key))
		violation("private", "an object of %zu bytes changed by resizing", object->size);
	object->ptr = ptr;
	object->size = size;
	stamp(ptr, size, object->key);
}

static void add_one(void *data)
{
	++*(int *)data;
}

/* Uses a private arena and destroys it. */
static void use(struct caller *caller, struct arena_private *arena)
{
	struct object older[OBJECTS], younger[OBJECTS];
	struct arena_private_mark mark;
	int ran = 0, err, added;

	fill(caller, arena, older, OBJECTS);
	resize(caller, arena, &older[below(caller, OBJECTS)]);
	err = arena_private_add_action(arena, add_one, &ran, GFP_KERNEL);
	count(CALL_private_action);
	added = !err;
	mark = arena_private_mark(arena);
	fill(caller, arena, younger, OBJECTS);
	check(younger, OBJECTS);
	if (arena_private_rewind(arena, &mark))
		violation("private", "a rewind failed");
	count(CALL_private_rewind);
	fill(caller, arena, younger, OBJECTS);
	check(older, OBJECTS);
	check(younger, OBJECTS);
	if (ran)
		violation("private", "a rewind ran an older action");
	if (below(caller, 2)) {
		arena_private_reset(arena);
		count(CALL_private_reset);
		if (arena_private_offset(arena))
			violation("private", "%zu bytes after a reset",
				  arena_private_offset(arena));
		fill(caller, arena, older, OBJECTS);
		check(older, OBJECTS);
	}
	arena_private_destroy(arena);
	if (ran != added)
		violation("private", "of %d actions, %d have run", added, ran);
}

void private_call(struct caller *caller)
{
	struct arena_private arena;
	u64 buffer[24];

	if (below(caller, 2))
		arena_private_init(&arena, buffer, sizeof(buffer));
	else
		arena_private_init_charged(&arena, NULL, 0);
	use(caller, &arena);
}

/* The chunks are objects of the target. The caller is inside its gate. */
void private_call_in(struct caller *caller, struct target *target)
{
	struct arena_private arena;

	WRITE_ONCE(target->inexact, true);
	if (arena_private_init_in(&arena, target->arena, NULL, 0))
		violation(target->name, "arena_private_init_in() fails");
	count(CALL_private_in);
	use(caller, &arena);
}
