// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz private arenas, and compare them with a model: a stack of objects.
 */
#include <linux/arena_private.h>

#include "fuzz.h"

#define OBJECTS		512
#define MARKS		(ARENA_PRIVATE_MARKS + 4)

struct object {
	u8	*at;
	size_t	size;
	u8	fill;
};

struct open_mark {
	struct arena_private_mark	mark;
	size_t				used;
	unsigned int			nr;
};

static struct {
	struct arena_private	arena;
	size_t			used;
	u64			generation;
	unsigned int		nr;
	struct object		live[OBJECTS];
	unsigned int		depth;
	struct open_mark	marks[MARKS];
} p;

static void verify(void)
{
	unsigned int i;

	for (i = 0; i < p.nr; i++)
		CHECK(filled(p.live[i].at, p.live[i].fill, p.live[i].size));
	CHECK(arena_private_offset(&p.arena) == p.used);
	CHECK(p.arena.generation == p.generation);
}

static void check_alone(const u8 *at, size_t size)
{
	unsigned int i;

	for (i = 0; i < p.nr; i++)
		CHECK(at + size <= p.live[i].at || p.live[i].at + p.live[i].size <= at);
}

static void op_alloc(struct input *in)
{
	unsigned int how = get_byte(in);
	size_t size = get_size(in, SZ_16K, SZ_64K), align = ARENA_MIN_ALIGN;
	gfp_t gfp = how & 1 ? GFP_KERNEL : how & 2 ? GFP_ATOMIC : ARENA_NOGROW;
	unsigned long failed = user_failed;
	struct object object = { .size = size, .fill = next_fill() };

	if (how & 4)
		gfp |= __GFP_ZERO;
	if (how & 8)
		align = how & 0x80 ? how >> 4 : 1UL << (how >> 4 & 7) * 2;
	if (p.nr == OBJECTS)
		return;
	object.at = how & 8 ? __arena_private_alloc(&p.arena, size, align, gfp) :
			      arena_private_alloc(&p.arena, size, gfp);
	if (!size || size > ARENA_SLAB_MAX - PAGE_SIZE || !is_power_of_2(align) ||
	    align > PAGE_SIZE) {
		CHECK(!object.at);
		return;
	}
	if (!object.at) {
		CHECK(!(gfp & ~__GFP_ZERO) || user_failed != failed);
		return;
	}
	CHECK(IS_ALIGNED((unsigned long)object.at, align));
	CHECK(!want_init_on_alloc(gfp) || filled(object.at, 0, size));
	check_alone(object.at, size);
	memset(object.at, object.fill, size);
	p.live[p.nr++] = object;
	p.used += size;
}

/* clause 28: the last object grows and shrinks in its place */
static void op_resize(struct input *in)
{
	size_t size = get_size(in, SZ_16K, SZ_64K);
	unsigned int which = get_byte(in), depth = p.depth;
	struct object *object;
	bool last, resized;

	if (!p.nr)
		return;
	object = &p.live[which & 1 ? (which >> 1) % p.nr : p.nr - 1];
	/* A caller must not resize an object that is older than the innermost mark. */
	if (depth && object - p.live < p.marks[depth - 1].nr)
		return;
	last = PTR_ALIGN((char *)object->at + object->size, ARENA_MIN_ALIGN) == p.arena.pos;
	resized = arena_private_resize(&p.arena, object->at, object->size, size);
	CHECK(filled(object->at, object->fill, object->size < size ? object->size :
					       resized ? size : object->size));
	if (!resized) {
		CHECK(!size || size > object->size);
		return;
	}
	CHECK(size <= object->size || last);
	if (size > object->size && user_init_on_alloc)
		CHECK(filled(object->at + object->size, 0, size - object->size));
	if (last)
		p.used += size - object->size;
	object->size = size;
	memset(object->at, object->fill, size);
	which = object - p.live;
	for (depth = 0; depth < p.nr; depth++)
		if (depth != which)
			CHECK(object->at + size <= p.live[depth].at ||
			      p.live[depth].at + p.live[depth].size <= object->at);
}

/* clause 28: only the last object is freed alone */
static void op_free_last(struct input *in)
{
	unsigned int which = get_byte(in);
	struct object *object;
	bool last;

	if (!p.nr)
		return;
	object = &p.live[which & 1 ? (which >> 1) % p.nr : p.nr - 1];
	/* A caller must not free an object that is older than the innermost mark. */
	if (p.depth && object - p.live < p.marks[p.depth - 1].nr)
		return;
	last = PTR_ALIGN((char *)object->at + object->size, ARENA_MIN_ALIGN) == p.arena.pos;
	CHECK(arena_private_free_last(&p.arena, object->at, object->size) == last);
	if (!last)
		return;
	CHECK(object == &p.live[p.nr - 1]);
	p.used -= object->size;
	p.nr--;
}

static void op_mark(void)
{
	if (p.depth == MARKS)
		return;
	p.marks[p.depth++] = (struct open_mark) {
		.mark = arena_private_mark(&p.arena), .used = p.used, .nr = p.nr,
	};
}

/*
 * clause 12: a rewind succeeds only to an open mark: the arena had room to record the mark, and
 * neither a rewind nor arena_private_unmark() has ended it since
 */
static void op_rewind(struct input *in)
{
	unsigned int level = get_byte(in) % MARKS;
	bool open = level < min(p.depth, ARENA_PRIVATE_MARKS);
	int err = arena_private_rewind(&p.arena, &p.marks[level].mark);

	CHECK(err == (open ? 0 : -ESTALE));
	if (!open)
		return;
	p.depth = level + 1;
	p.nr = p.marks[level].nr;
	p.used = p.marks[level].used;
}

static void op_unmark(struct input *in)
{
	unsigned int level = get_byte(in) % MARKS;

	arena_private_unmark(&p.arena, &p.marks[level].mark);
	if (level < min(p.depth, ARENA_PRIVATE_MARKS))
		p.depth = level;
}

static void op_scratch(struct input *in)
{
	unsigned int nr = p.nr, depth = p.depth;
	size_t used = p.used;

	if (depth >= ARENA_PRIVATE_MARKS)
		return;
	{
		arena_scratch(&p.arena);

		op_alloc(in);
		op_alloc(in);
		verify();
	}
	p.nr = nr;
	p.used = used;
	p.depth = depth;
}

static void op_reset(void)
{
	arena_private_reset(&p.arena);
	p.nr = 0;
	p.used = 0;
	p.depth = 0;
	p.generation++;
}

void fuzz_private(struct input *in)
{
	static u8 first[1000];
	unsigned int how = get_byte(in);
	size_t size = how & 1 ? how * 3 : 0;

	memset(&p, 0, sizeof(p));
	arena_private_init(&p.arena, size ? first + (how >> 1 & 7) : NULL, size);
	p.generation = p.arena.generation;
	while (in->left) {
		unsigned int op = get_byte(in);

		switch (op & 15) {
		case 0:
			op_mark();
			break;
		case 1:
		case 2:
			op_rewind(in);
			break;
		case 3:
			op_unmark(in);
			break;
		case 4:
			op_scratch(in);
			break;
		case 5:
			if (op & 0x10)
				op_reset();
			break;
		case 6:
			arena_private_trim(&p.arena);
			break;
		case 7:
			user_fail_nth = op >> 4;
			break;
		case 8:
		case 9:
			op_resize(in);
			break;
		case 10:
			op_free_last(in);
			break;
		default:
			op_alloc(in);
		}
		verify();
	}
	arena_private_destroy(&p.arena);
}
