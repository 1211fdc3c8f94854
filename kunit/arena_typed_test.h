/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of the suites of typed arenas.
 */
#ifndef _ARENA_KUNIT_TYPED_TEST_H
#define _ARENA_KUNIT_TYPED_TEST_H

#include "arena_irq.h"
#include "arena_test.h"

struct element {
	size_t		size;
	unsigned int	flags;
};

static inline void element_desc(const struct element *e, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes%s", e->size,
		 e->flags & ARENA_READERS ? ", readers" : "");
}

/* Parameters of cases whose result does not depend on the size of the elements. */
static const struct element kinds[] = { { 24, 0 }, { 24, ARENA_READERS } };

KUNIT_ARRAY_PARAM(kind, kinds, element_desc);

static inline void typed_destroy(void *typed)
{
	arena_typed_destroy(typed);
}

static inline struct arena_typed *typed_create(struct kunit *test, size_t size, u32 nr,
					       unsigned int flags)
{
	struct arena_typed *typed = arena_typed_create(test->name, size, nr, flags);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, typed);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, typed_destroy, typed));
	return typed;
}

static inline const struct arena *under(const struct arena_typed *typed)
{
	return arena_typed_arena(typed);
}

/*
 * Reset the arena. With ARENA_READERS, a reset returns -EBUSY until a grace period has passed since
 * the reset before, so repeat the call until then.
 */
static inline void typed_reset(struct kunit *test, struct arena_typed *typed)
{
	unsigned long until = 0;
	int err;

	do {
		err = arena_typed_reset(typed);
	} while (err == -EBUSY && arena_sleep_until(&until));
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* Fills the @size bytes of @buffer with the pattern of @owner, and allocates a copy of them. */
static inline void *typed_alloc(struct arena_typed *typed, void *buffer, size_t size, u32 owner)
{
	arena_pattern_fill(buffer, size, owner);
	return arena_typed_alloc(typed, buffer);
}

static inline bool holds(const void *element, size_t size, u32 owner)
{
	return element && arena_pattern_check(element, size, owner) == size;
}

/*
 * Visits all elements, and expects exactly those with the indices 0 to @nr - 1. Returns how many
 * elements are wrong, missing or surplus.
 */
static inline size_t walk(const struct arena_typed *typed, u32 nr)
{
	size_t i = 0, bad = 0, seen = 0;
	void *ptr;

	while ((ptr = arena_typed_next(typed, &i))) {
		bad += i != seen + 1 || ptr != arena_typed_at(typed, seen);
		seen++;
	}
	return bad + (seen > nr ? seen - nr : nr - seen);
}

#endif /* _ARENA_KUNIT_TYPED_TEST_H */
