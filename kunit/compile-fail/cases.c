// SPDX-License-Identifier: GPL-2.0
/*
 * Code that must not compile (clauses 14, 23 and 26), except case 0, which is correct code of the
 * same kind. compile-fail.sh builds this file once for each case. The script reads from the comment
 * "case N:" a pattern that the compiler's message about case N must match.
 */
#include <linux/arena.h>
#include <linux/arena_device.h>
#include <linux/arena_private.h>

struct apple {
	int seeds;
};

struct pear {
	int seeds;
};

DEFINE_ARENA(apples, struct apple);
DEFINE_ARENA(pears, struct pear);

/* case 0: right */
#if CASE == 0
long right(struct arena *arena, struct apples *apples, struct arena_dev *dev);
long right(struct arena *arena, struct apples *apples, struct arena_dev *dev)
{
	const struct apple constant = { 5 };
	struct apple *apple, apple_array[2] = { { 1 }, { 2 } };
	size_t i, seeds = 0;
	char *text;

	apple = apples_alloc(apples, &constant);
	apples_free(apples, apple);
	arena_for_each(apples, apples, i, apple)
		seeds += apple->seeds;
	apple = arena_new(arena_dev_arena(dev), struct apple, GFP_KERNEL);
	arena_unhold(dev);
	apple = arena_new(arena, struct apple, GFP_KERNEL);
	apple = arena_store(arena, apple_array[1], GFP_KERNEL);
	apple = arena_alloc_obj(arena, *apple);
	apple = arena_alloc_objs(arena, struct apple, seeds, GFP_NOWAIT);
	text = arena_printf(arena, GFP_KERNEL, "%zu %s", seeds, "seeds");
	text = arena_alloc(arena, 16, GFP_KERNEL);
	memset(text, 0, 16);
	text = arena_resize(arena, text, 16, 32);
	memset(text, 0, 32);
	return apples_append(apples, apple_array, 2) + apples_at(apples, 0)->seeds + !!apple +
	       !!text;
}
#endif

/* case 1: incompatible pointer type */
#if CASE == 1
struct apple *wrong(struct apples *apples, const struct pear *pear);
struct apple *wrong(struct apples *apples, const struct pear *pear)
{
	return apples_alloc(apples, pear);
}
#endif

/* case 2: incompatible pointer type */
#if CASE == 2
long wrong(struct apples *apples, const struct pear *pear);
long wrong(struct apples *apples, const struct pear *pear)
{
	return apples_append(apples, pear, 1);
}
#endif

/* case 3: incompatible (pointer type|return type) */
#if CASE == 3
struct pear *wrong(struct apples *apples);
struct pear *wrong(struct apples *apples)
{
	return apples_at(apples, 0);
}
#endif

/* case 4: incompatible pointer type */
#if CASE == 4
void wrong(struct apples *apples, struct pear *pear);
void wrong(struct apples *apples, struct pear *pear)
{
	apples_free(apples, pear);
}
#endif

/* case 5: incompatible pointer type */
#if CASE == 5
size_t wrong(struct pears *pears);
size_t wrong(struct pears *pears)
{
	return apples_len(pears);
}
#endif

/* case 6: incompatible pointer type */
#if CASE == 6
size_t wrong(struct arena *arena);
size_t wrong(struct arena *arena)
{
	return apples_offset(arena);
}
#endif

/* case 7: incompatible pointer type */
#if CASE == 7
long wrong(struct apples *apples);
long wrong(struct apples *apples)
{
	struct pear *pear;
	long seeds = 0;
	size_t i;

	arena_for_each(apples, apples, i, pear)
		seeds += pear->seeds;
	return seeds;
}
#endif

/* case 8: incompatible (pointer type|return type) */
#if CASE == 8
struct pear *wrong(struct arena *arena);
struct pear *wrong(struct arena *arena)
{
	return arena_new(arena, struct apple, GFP_KERNEL);
}
#endif

/* case 9: incompatible (pointer type|return type) */
#if CASE == 9
struct pear *wrong(struct arena *arena, struct apple apple);
struct pear *wrong(struct arena *arena, struct apple apple)
{
	return arena_store(arena, apple, GFP_KERNEL);
}
#endif

/* case 10: format .* expects */
#if CASE == 10
char *wrong(struct arena *arena, int seeds);
char *wrong(struct arena *arena, int seeds)
{
	return arena_printf(arena, GFP_KERNEL, "%s", seeds);
}
#endif

/* case 11: incompatible pointer type */
#if CASE == 11
void *wrong(struct arena_private *arena);
void *wrong(struct arena_private *arena)
{
	return arena_alloc(arena, 8, GFP_KERNEL);
}
#endif

/* case 12: discards .*const.* qualifier */
#if CASE == 12
struct apple *wrong(struct arena *arena, const struct apple *apple);
struct apple *wrong(struct arena *arena, const struct apple *apple)
{
	const struct apple *const copy = arena_store(arena, *apple, GFP_KERNEL);

	return copy;
}
#endif

/* case 13: incompatible (pointer type|return type) */
#if CASE == 13
struct pear *wrong(struct arena *arena);
struct pear *wrong(struct arena *arena)
{
	return arena_alloc_obj(arena, struct apple);
}
#endif

/* case 14: incompatible (pointer type|return type) */
#if CASE == 14
struct pear *wrong(struct arena *arena, struct apple *apple);
struct pear *wrong(struct arena *arena, struct apple *apple)
{
	return arena_alloc_objs(arena, *apple, 2);
}
#endif

/* case 15: not an array|must_be_array|negative width */
#if CASE == 15
struct apple *wrong(struct arena *arena);
struct apple *wrong(struct arena *arena)
{
	return arena_alloc_flex(arena, struct apple, seeds, 2);
}
#endif

/* case 16: incompatible pointer type */
#if CASE == 16
void wrong(int fd);
void wrong(int fd)
{
	arena_put(arena_get_from_fd(fd, 0));
}
#endif

/* case 17: incompatible pointer type */
#if CASE == 17
void wrong(struct arena *arena);
void wrong(struct arena *arena)
{
	arena_unhold(arena);
}
#endif

/* case 18: detected write beyond size of */
#if CASE == 18
void wrong(struct arena *arena);
void wrong(struct arena *arena)
{
	char *bytes = arena_alloc(arena, 16, GFP_KERNEL);

	memset(bytes, 0, 17);
}
#endif

/* case 19: detected write beyond size of */
#if CASE == 19
void wrong(struct arena *arena);
void wrong(struct arena *arena)
{
	char *bytes = arena_alloc_array(arena, 4, 10, GFP_KERNEL);

	memset(bytes, 0, 41);
}
#endif

/* case 20: detected write beyond size of */
#if CASE == 20
void wrong(struct arena_private *arena);
void wrong(struct arena_private *arena)
{
	char *bytes = __arena_private_alloc(arena, 16, 16, GFP_KERNEL);

	memset(bytes, 0, 17);
}
#endif

/* case 21: detected write beyond size of */
#if CASE == 21
void wrong(struct arena *arena, void *ptr);
void wrong(struct arena *arena, void *ptr)
{
	char *bytes = arena_resize(arena, ptr, 64, 32);

	memset(bytes, 0, 33);
}
#endif

/* case 22: ignoring return value */
#if CASE == 22
void wrong(struct arena *arena);
void wrong(struct arena *arena)
{
	arena_alloc(arena, 16, GFP_KERNEL);
}
#endif
