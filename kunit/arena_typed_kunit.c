// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of typed arenas with one caller at a time: elements found by index, reuse of freed
 * elements, resets under readers.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_typed_test.h"

/* Sizes up to a page, and one above 64 KiB, the slab size for small elements. */
static const struct element elements[] = {
	{ 1 }, { 4 }, { 12 }, { 24 }, { 100 }, { PAGE_SIZE }, { 70000 },
	{ 1, ARENA_READERS }, { 4, ARENA_READERS }, { 12, ARENA_READERS }, { 24, ARENA_READERS },
	{ 100, ARENA_READERS }, { PAGE_SIZE, ARENA_READERS }, { 70000, ARENA_READERS },
};

/* Parameters of cases that need an arena without ARENA_READERS, or one with that flag. */
static const struct element unread[] = { { 1 }, { 12 }, { 24 }, { PAGE_SIZE }, { 70000 } };
static const struct element read[] = {
	{ 1, ARENA_READERS }, { 24, ARENA_READERS }, { 70000, ARENA_READERS },
};

KUNIT_ARRAY_PARAM(element, elements, element_desc);
KUNIT_ARRAY_PARAM(unread, unread, element_desc);
KUNIT_ARRAY_PARAM(read, read, element_desc);

/* Returns a number of elements that needs more than one slab. */
static u32 some_nr(size_t size)
{
	return max_t(u32, SZ_64K / size + 13, 19);
}

/* Clauses 5, 14: arena_typed_create() refuses bad sizes, capacities and flags. */
static void typed_create_bad_argument_refused(struct kunit *test)
{
	static const struct {
		size_t		size;
		u32		nr;
		unsigned int	flags;
		int		err;
	} bad[] = {
		{ 0, 10, 0, -EINVAL },
		{ 8, 0, 0, -EINVAL },
		{ 0, 0, 0, -EINVAL },
		{ 8, U32_MAX, 0, -EINVAL },
		{ ARENA_SLAB_MAX + 1, 1, 0, -EINVAL },
		{ SIZE_MAX, 1, 0, -EINVAL },
		{ SIZE_MAX, U32_MAX - 1, 0, -EINVAL },
		{ 8, 10, ARENA_SPANS, -EINVAL },
		{ 8, 10, ARENA_ZERO, -EINVAL },
		{ 8, 10, ARENA_ON_NODE, -EINVAL },
		{ 8, 10, BIT(30), -EINVAL },
		{ 8, 10, BIT(31), -EINVAL },
		{ 8, 10, ~0U, -EINVAL },
		{ ARENA_SLAB_MAX, 100000, 0, -ENOMEM },
		{ PAGE_SIZE, 1U << 20, ARENA_READERS, -ENOMEM },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena_typed *typed = arena_typed_create("bad", bad[i].size, bad[i].nr,
							       bad[i].flags);

		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(typed), bad[i].err, "case %d", i);
		if (!IS_ERR(typed))
			arena_typed_destroy(typed);
	}
	arena_typed_destroy(NULL);
}

/*
 * Allocates @nr elements one by one. Returns how many got a wrong address, index or offset, plus
 * how many have lost their contents by the time that all are allocated.
 */
static size_t fill_one_by_one(struct arena_typed *typed, size_t size, u32 nr, u8 *buffer,
			      u32 owner)
{
	const unsigned long align = min_t(size_t, size & -size, PAGE_SIZE);
	size_t bad = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		void *ptr = typed_alloc(typed, buffer, size, owner + i);

		if (!ptr || arena_typed_at(typed, i) != ptr ||
		    !IS_ALIGNED((unsigned long)ptr, align) ||
		    arena_typed_at(typed, i + 1) || arena_typed_len(typed) != i + 1 ||
		    arena_offset(under(typed)) != (i + 1) * size)
			bad++;
	}
	for (i = 0; i < nr; i++)
		bad += !holds(arena_typed_at(typed, i), size, owner + i);
	return bad;
}

/*
 * Clauses 7, 14, 16: exactly @nr elements fit, an index finds each of them, and the offset is
 * exactly the number of elements times their size.
 */
static void typed_alloc_until_full_exact(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = some_nr(e->size);
	struct arena_typed *typed = typed_create(test, e->size, nr, e->flags);
	u8 *buffer = kunit_kzalloc(test, e->size, GFP_KERNEL);
	struct arena_stats was;
	u32 round, i, left;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_EQ(test, 0, fill_one_by_one(typed, e->size, nr, buffer, 7 * round));
		KUNIT_EXPECT_EQ(test, 0, walk(typed, nr));

		was = arena_test_stats(under(typed));
		KUNIT_EXPECT_NULL(test, arena_typed_alloc(typed, buffer));
		arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_SPACE, "N+1");
		was = arena_test_stats(under(typed));
		KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, 1), -ENOSPC);
		arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_SPACE, "one more");
		KUNIT_EXPECT_NULL(test, arena_typed_at(typed, nr));
		KUNIT_EXPECT_NULL(test, arena_typed_at(typed, U32_MAX));
		KUNIT_EXPECT_NULL(test, arena_typed_at(typed, SIZE_MAX));
		KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
		arena_expect_sane(test, under(typed));

		typed_reset(test, typed);
		for (i = 0, left = 0; i < nr; i++)
			left += !!arena_typed_at(typed, i);
		KUNIT_EXPECT_EQ(test, left, 0);
		KUNIT_EXPECT_EQ(test, arena_typed_len(typed), 0);
		KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), 0);
		KUNIT_EXPECT_EQ(test, 0, walk(typed, 0));
	}
}

/* Clauses 4, 14: an append adds consecutive elements across slabs: either all of them or none. */
static void typed_append_across_slabs_all_or_nothing(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = some_nr(e->size), most = min(nr, 300U);
	struct arena_typed *typed = typed_create(test, e->size, nr, e->flags);
	u8 *buffer = kvcalloc(most + 1, e->size, GFP_KERNEL);
	struct arena_stats was;
	u32 len = 0, k, i, n;
	size_t bad = 0;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	was = arena_test_stats(under(typed));
	KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, 0), -EINVAL);
	arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_ARG, "none");

	for (k = 0; len < nr; k++) {
		n = 1 + k * k * 37 % most;
		for (i = 0; i < n; i++)
			arena_pattern_fill(buffer + i * e->size, e->size, len + i);
		if (n > nr - len) {
			was = arena_test_stats(under(typed));
			KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, n), -ENOSPC);
			arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_SPACE,
					       "%u more than %u", n, len);
			KUNIT_EXPECT_NULL(test, arena_typed_at(typed, len));
			n = nr - len;
		}
		KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, n), len);
		len += n;
		bad += arena_typed_len(typed) != len || arena_offset(under(typed)) != len * e->size;
	}
	for (i = 0; i < nr; i++)
		bad += !holds(arena_typed_at(typed, i), e->size, i);
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, 0, walk(typed, nr));
	was = arena_test_stats(under(typed));
	KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, U32_MAX), -ENOSPC);
	arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_SPACE, "all");
	kvfree(buffer);
}

/*
 * The functions that DEFINE_ARENA() defines, for several types
 */
struct c12 {
	u32 a, b, c;
};

struct c24 {
	u64 a, b, c;
};

struct c100 {
	u8 byte[100];
};

struct cpage {
	u8 byte[PAGE_SIZE];
} __aligned(PAGE_SIZE);

DEFINE_ARENA(chars, char);
DEFINE_ARENA(ints, int);
DEFINE_ARENA(c12s, struct c12);
DEFINE_ARENA(c24s, struct c24);
DEFINE_ARENA(c100s, struct c100);
DEFINE_ARENA(pages, struct cpage);
DEFINE_ARENA(pointers, const char *);
DEFINE_ARENA(arrays, int[4]);
DEFINE_ARENA(functions, void (*)(void));

#define DEFINE_USE(name, type)								\
static void use_##name(struct kunit *test, u32 room, unsigned int flags)		\
{											\
	typeof(name##_create(0)) a = name##_create_flags(room, flags);			\
	typeof(type) *some = kunit_kcalloc(test, 3, sizeof(type), GFP_KERNEL);			\
	size_t i, n = 0;								\
	typeof(type) *p;								\
											\
	KUNIT_ASSERT_NOT_NULL(test, some);						\
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);						\
	arena_pattern_fill(some, 3 * sizeof(type), 5);					\
	p = name##_alloc(a, some);							\
	KUNIT_EXPECT_PTR_EQ(test, p, name##_at(a, 0));					\
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)p, __alignof__(type)));	\
	KUNIT_EXPECT_EQ(test, name##_append(a, some + 1, 2), 1);			\
	KUNIT_EXPECT_EQ(test, name##_len(a), 3);					\
	KUNIT_EXPECT_EQ(test, name##_offset(a), 3 * sizeof(type));			\
	arena_for_each(name, a, i, p) {							\
		KUNIT_EXPECT_EQ(test, 0, memcmp(p, some + n, sizeof(type)));		\
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)p, __alignof__(type))); \
		n++;									\
		KUNIT_EXPECT_EQ(test, i, n);						\
	}										\
	KUNIT_EXPECT_EQ(test, n, 3);							\
	p = name##_at(a, 1);								\
	name##_free(a, p);								\
	KUNIT_EXPECT_NULL(test, name##_at(a, 1));					\
	i = 0;										\
	KUNIT_EXPECT_PTR_EQ(test, name##_next(a, &i), name##_at(a, 0));			\
	KUNIT_EXPECT_PTR_EQ(test, name##_next(a, &i), name##_at(a, 2));			\
	KUNIT_EXPECT_NULL(test, name##_next(a, &i));					\
	/* Without readers, the next allocation reuses the freed element. */		\
	if (!(flags & ARENA_READERS))							\
		KUNIT_EXPECT_PTR_EQ(test, name##_alloc(a, some), p);			\
	else										\
		KUNIT_EXPECT_NOT_NULL(test, name##_alloc(a, some));			\
	KUNIT_EXPECT_EQ(test, name##_reset(a), 0);					\
	KUNIT_EXPECT_EQ(test, name##_len(a), 0);					\
	KUNIT_EXPECT_EQ(test, name##_offset(a), 0);					\
	name##_destroy(a);								\
}

DEFINE_USE(chars, char)
DEFINE_USE(ints, int)
DEFINE_USE(c12s, struct c12)
DEFINE_USE(c24s, struct c24)
DEFINE_USE(c100s, struct c100)
DEFINE_USE(pages, struct cpage)
DEFINE_USE(pointers, const char *)
DEFINE_USE(arrays, int[4])
DEFINE_USE(functions, void (*)(void))

/* Clause 14: the functions that DEFINE_ARENA() defines behave alike for each type. */
static void typed_define_each_type_ok(struct kunit *test)
{
	struct ints *a;

	use_chars(test, 100, 0);
	use_ints(test, 100, 0);
	use_c12s(test, 100, 0);
	use_c24s(test, 100, 0);
	use_c100s(test, 100, 0);
	use_pages(test, 20, 0);
	use_arrays(test, 100, 0);
	use_functions(test, 100, 0);
	use_pointers(test, 20, 0);
	use_ints(test, 100, ARENA_READERS);
	use_c12s(test, 100, ARENA_READERS);
	use_pages(test, 20, ARENA_READERS);

	/* By default, a typed arena has ARENA_READERS. */
	a = ints_create(10);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);
	KUNIT_EXPECT_TRUE(test, arena_typed_arena((struct arena_typed *)a)->flags & ARENA_READERS);
	ints_destroy(a);
	KUNIT_EXPECT_TRUE(test, IS_ERR(ints_create(0)));
	ints_destroy(NULL);
}

/*
 * A model of a typed arena: the owner of each element's pattern, and the freed elements, which the
 * arena reuses in reverse order
 */
#define MODEL_NR	200
#define MODEL_SIZE	24

struct model {
	u32	owner[MODEL_NR];	/* by index; 0: no element is published there */
	u32	freed[MODEL_NR];
	u32	nr_freed;
	u32	len;
	u32	next_owner;
	u32	rnd;
};

static bool model_alloc(struct model *m, struct arena_typed *typed)
{
	u8 buffer[MODEL_SIZE];
	u32 index = m->nr_freed ? m->freed[m->nr_freed - 1] : m->len;
	void *ptr = typed_alloc(typed, buffer, MODEL_SIZE, ++m->next_owner);

	if (index == MODEL_NR)
		return !ptr;
	if (m->nr_freed)
		m->nr_freed--;
	else
		m->len++;
	m->owner[index] = m->next_owner;
	return ptr && ptr == arena_typed_at(typed, index);
}

static bool model_append(struct model *m, struct arena_typed *typed)
{
	u8 buffer[8][MODEL_SIZE];
	u32 n = 1 + arena_rnd_below(&m->rnd, ARRAY_SIZE(buffer)), i;
	long first;

	for (i = 0; i < n; i++)
		arena_pattern_fill(buffer[i], MODEL_SIZE, m->next_owner + 1 + i);
	first = arena_typed_append(typed, buffer, n);
	if (n > MODEL_NR - m->len)
		return first == -ENOSPC;
	if (first != m->len)
		return false;
	while (n--)
		m->owner[m->len++] = ++m->next_owner;
	return true;
}

static bool model_free(struct model *m, struct arena_typed *typed)
{
	u32 index = m->len ? arena_rnd_below(&m->rnd, m->len) : 0;

	if (!m->len || !m->owner[index])
		return true;
	arena_typed_free(typed, arena_typed_at(typed, index));
	m->owner[index] = 0;
	m->freed[m->nr_freed++] = index;
	return !arena_typed_at(typed, index);
}

static bool model_reset(struct model *m, struct arena_typed *typed)
{
	memset(m->owner, 0, sizeof(m->owner));
	m->nr_freed = 0;
	m->len = 0;
	return !arena_typed_reset(typed);
}

static bool model_agrees(const struct model *m, struct arena_typed *typed)
{
	size_t next = 0;
	u32 i;

	for (i = 0; i < MODEL_NR; i++) {
		void *ptr = arena_typed_at(typed, i);

		if (!m->owner[i] ? !!ptr : !holds(ptr, MODEL_SIZE, m->owner[i]))
			return false;
		if (ptr && arena_typed_next(typed, &next) != ptr)
			return false;
	}
	return !arena_typed_next(typed, &next) && arena_typed_len(typed) == m->len &&
	       arena_offset(under(typed)) == (size_t)m->len * MODEL_SIZE;
}

/* Clauses 7, 14, 15: random allocs, appends, frees and resets do what a model predicts. */
static void typed_random_calls_follow_model(struct kunit *test)
{
	struct arena_typed *typed = typed_create(test, MODEL_SIZE, MODEL_NR, 0);
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int step, resets = 0;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->rnd = 4711;
	for (step = 0; step < 20000; step++) {
		u32 what = arena_rnd_below(&m->rnd, 1000);
		bool ok;

		if (what < 450)
			ok = model_alloc(m, typed);
		else if (what < 550)
			ok = model_append(m, typed);
		else if (what < 998)
			ok = model_free(m, typed);
		else
			ok = model_reset(m, typed), resets++;
		KUNIT_ASSERT_TRUE_MSG(test, ok, "step %u, what %u", step, what);
		if (step % 16 == 0)
			KUNIT_ASSERT_TRUE_MSG(test, model_agrees(m, typed), "step %u", step);
	}
	KUNIT_EXPECT_GT(test, resets, 10);
}

/* Creates a full typed arena, in which each element holds the pattern of its index. */
static struct arena_typed *typed_full(struct kunit *test, size_t size, u32 nr, unsigned int flags,
				      u8 *buffer)
{
	struct arena_typed *typed = typed_create(test, size, nr, flags);
	u32 i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, size, i));
	return typed;
}

/* Clause 15: without readers, the next allocation reuses the element that was freed last. */
static void typed_free_without_readers_reused_at_once(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 19, some = 7;
	struct arena_typed *typed;
	struct arena_stats was;
	u8 *buffer;
	u32 i;

	buffer = kunit_kzalloc(test, e->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	typed = typed_full(test, e->size, nr, 0, buffer);

	for (i = 0; i < some; i++) {
		arena_typed_free(typed, arena_typed_at(typed, 2 * i));
		KUNIT_EXPECT_NULL(test, arena_typed_at(typed, 2 * i));
	}
	/* The length counts each index that was ever handed out, freed or not. */
	KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
	KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), nr * e->size);
	was = arena_test_stats(under(typed));
	KUNIT_EXPECT_EQ(test, arena_typed_append(typed, buffer, 1), -ENOSPC);
	arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_SPACE, "one more");

	for (i = 0; i < some; i++) {
		void *ptr = typed_alloc(typed, buffer, e->size, 1000 + i);

		KUNIT_EXPECT_PTR_EQ(test, ptr, arena_typed_at(typed, 2 * (some - 1 - i)));
	}
	KUNIT_EXPECT_NULL(test, arena_typed_alloc(typed, buffer));
	for (i = 0; i < nr; i++) {
		u32 owner = i % 2 || i >= 2 * some ? i : 1000 + some - 1 - i / 2;

		KUNIT_EXPECT_TRUE(test, holds(arena_typed_at(typed, i), e->size, owner));
	}
	KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), nr * e->size);
}

/*
 * Clause 15: an element that a reader has found keeps its contents when it is freed, and the arena
 * reuses it only after the reader has left. The arena must start the grace period for that, as this
 * case starts none.
 */
static void typed_free_under_reader_reused_later(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 19;
	struct arena_typed *typed;
	unsigned long until = 0;
	void *found, *again;
	u8 *buffer;
	u32 i;

	buffer = kunit_kzalloc(test, e->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	typed = typed_full(test, e->size, nr, ARENA_READERS, buffer);

	rcu_read_lock();
	found = arena_typed_at(typed, 3);
	arena_typed_free(typed, found);
	KUNIT_EXPECT_NULL(test, arena_typed_at(typed, 3));
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_NULL(test, typed_alloc(typed, buffer, e->size, 99));
		mdelay(1);
		KUNIT_EXPECT_TRUE(test, holds(found, e->size, 3));
	}
	rcu_read_unlock();

	do {
		again = typed_alloc(typed, buffer, e->size, 99);
	} while (!again && arena_sleep_until(&until));
	KUNIT_EXPECT_PTR_EQ(test, again, found);
	KUNIT_EXPECT_PTR_EQ(test, again, arena_typed_at(typed, 3));
	KUNIT_EXPECT_TRUE(test, holds(found, e->size, 99));
	KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
	KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), nr * e->size);

	/* The arena also reuses elements that are freed while a grace period is under way. */
	for (i = 0; i < nr; i++) {
		arena_typed_free(typed, arena_typed_at(typed, i));
		if (i % 4 == 0)
			schedule_timeout_uninterruptible(1);
	}
	for (i = 0, until = 0; i < nr && (!until || time_before(jiffies, until));)
		if (typed_alloc(typed, buffer, e->size, i))
			i++;
		else
			arena_sleep_until(&until);
	KUNIT_EXPECT_EQ(test, i, nr);
	KUNIT_EXPECT_NULL(test, arena_typed_alloc(typed, buffer));
}

/* Frees @ptr, which is no element. Expects a warning at the first call, and no other effect. */
static void bad_free(struct kunit *test, struct arena_typed *typed, void *ptr, const char *what)
{
	const struct arena_stats was = arena_test_stats(under(typed));
	u8 buffer[24];
	static bool warned;
	void *got, *warnings;
	int nr;

	warnings = arena_warnings_begin(test);
	arena_typed_free(typed, ptr);
	nr = arena_warnings_end(test, warnings);
	if (!warned && nr >= 0)
		KUNIT_EXPECT_EQ(test, nr, 1);
	warned = true;
	arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_NONE, "free of %s", what);
	KUNIT_EXPECT_EQ_MSG(test, 0, walk(typed, 4), "free of %s", what);
	/* The arena was full and must still be full: the free has added no element. */
	got = typed_alloc(typed, buffer, sizeof(buffer), 77);
	KUNIT_EXPECT_NULL_MSG(test, got, "free of %s", what);
}

/*
 * Clause 14: arena_typed_free() of a free element, or of an address that is no element, warns and
 * changes nothing.
 */
static void typed_free_bad_pointer_warns(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct arena_typed *typed = typed_create(test, 24, 4, e->flags);
	struct arena_typed *other = typed_create(test, 24, 4, e->flags);
	void *foreign, *kmalloced, *stale, *freed, *warnings;
	u8 buffer[24];
	u32 i;

	for (i = 0; i < 3; i++)
		typed_alloc(typed, buffer, sizeof(buffer), i);
	foreign = typed_alloc(other, buffer, sizeof(buffer), 0);
	kmalloced = kunit_kzalloc(test, 64, GFP_KERNEL);
	/*
	 * The reset below makes this element stale. With readers, the new generation lies in the
	 * other slab set, so no new element has this address.
	 */
	stale = typed_alloc(typed, buffer, sizeof(buffer), 3);
	typed_reset(test, typed);
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, sizeof(buffer), i));

	bad_free(test, typed, NULL, "nothing");
	bad_free(test, typed, foreign, "another arena's");
	bad_free(test, typed, kmalloced, "kmalloc memory");
	bad_free(test, typed, buffer, "the stack");
	bad_free(test, typed, arena_typed_at(typed, 1) + 1, "the middle of one");
	bad_free(test, typed, arena_typed_at(typed, 3) + 24, "the end");
	bad_free(test, typed, arena_typed_at(typed, 0) - 24, "what lies before");
	bad_free(test, typed, (void *)-4096L, "an error pointer");
	if (e->flags & ARENA_READERS)
		bad_free(test, typed, stale, "the last generation's");
	KUNIT_EXPECT_PTR_EQ(test, foreign, arena_typed_at(other, 0));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, holds(arena_typed_at(typed, i), sizeof(buffer), i));

	/* An element that is freed twice can be allocated only once. */
	freed = arena_typed_at(typed, 2);
	arena_typed_free(typed, freed);
	if (!(e->flags & ARENA_READERS)) {
		KUNIT_EXPECT_PTR_EQ(test, freed, typed_alloc(typed, buffer, sizeof(buffer), 2));
		arena_typed_free(typed, freed);
	}
	warnings = arena_warnings_begin(test);
	arena_typed_free(typed, freed);
	arena_typed_free(typed, freed);
	arena_warnings_end(test, warnings);
	KUNIT_EXPECT_EQ(test, arena_typed_len(typed), 4);
	if (e->flags & ARENA_READERS)
		rcu_barrier();
	KUNIT_EXPECT_PTR_EQ(test, freed, typed_alloc(typed, buffer, sizeof(buffer), 2));
	KUNIT_EXPECT_NULL(test, typed_alloc(typed, buffer, sizeof(buffer), 5));
}

/*
 * Clauses 11, 15: elements that a reader holds keep their contents after a reset. Look-ups find
 * elements of the new generation only, and the arena refuses a second reset.
 */
static void typed_reset_under_reader_keeps_elements(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 19;
	struct arena_typed *typed;
	struct arena_stats was;
	void *held[19];
	u8 *buffer;
	u32 i;

	buffer = kunit_kzalloc(test, e->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	typed = typed_full(test, e->size, nr, ARENA_READERS, buffer);

	rcu_read_lock();
	for (i = 0; i < nr; i++)
		held[i] = arena_typed_at(typed, i);
	KUNIT_EXPECT_EQ(test, arena_typed_reset(typed), 0);
	KUNIT_EXPECT_EQ(test, arena_typed_len(typed), 0);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_NULL(test, arena_typed_at(typed, i));
		KUNIT_EXPECT_NOT_NULL(test, typed_alloc(typed, buffer, e->size, 100 + i));
	}
	arena_typed_free(typed, arena_typed_at(typed, 4));
	was = arena_test_stats(under(typed));
	KUNIT_EXPECT_EQ(test, arena_typed_reset(typed), -EBUSY);
	arena_expect_unchanged(test, under(typed), &was, ARENA_CAUSE_NONE, "a refused reset");
	KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, holds(held[i], e->size, i));
		if (i != 4)
			KUNIT_EXPECT_TRUE(test, holds(arena_typed_at(typed, i), e->size, 100 + i));
	}
	rcu_read_unlock();

	/*
	 * The refused reset has not lost the freed element: after the RCU callbacks, the arena
	 * reuses it.
	 */
	rcu_barrier();
	rcu_barrier();
	KUNIT_EXPECT_NOT_NULL(test, typed_alloc(typed, buffer, e->size, 104));
	KUNIT_EXPECT_NULL(test, arena_typed_alloc(typed, buffer));
	KUNIT_EXPECT_EQ(test, arena_typed_reset(typed), 0);
}

/* After a reset, the arena does not hand out an element twice that was freed before the reset. */
static void typed_reset_after_free_slots_once(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 50;
	struct arena_typed *typed = typed_create(test, 24, nr, e->flags);
	u8 buffer[24];
	u32 i, round;

	for (round = 0; round < 6; round++) {
		for (i = 0; i < nr; i++)
			KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, sizeof(buffer), i));
		KUNIT_EXPECT_NULL(test, typed_alloc(typed, buffer, sizeof(buffer), i));
		/*
		 * In the pause, a grace period may begin for the elements freed so far. Elements
		 * that are freed later wait for the next grace period.
		 */
		for (i = 0; i < nr; i += 1 + round) {
			arena_typed_free(typed, arena_typed_at(typed, i));
			if (i == nr / 2)
				schedule_timeout_uninterruptible(1);
		}
		typed_reset(test, typed);
		if (round & 1)
			schedule_timeout_uninterruptible(HZ / 10);
	}
}

/*
 * Clauses 11, 22: arenas can be destroyed while RCU callbacks of freed elements and of resets are
 * pending. destroy_all_memory_returned() then checks that they have returned their memory.
 */
static void typed_destroy_pending_callback_ok(struct kunit *test)
{
	u8 buffer[24];
	u32 i, round;

	for (round = 0; round < 12; round++) {
		struct arena_typed *typed = arena_typed_create("pending", 24, 100, ARENA_READERS);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, typed);
		for (i = 0; i < 60; i++)
			typed_alloc(typed, buffer, sizeof(buffer), i);
		for (i = 0; i < 20; i++)
			arena_typed_free(typed, arena_typed_at(typed, i));
		if (round & 1)
			schedule_timeout_uninterruptible(1);
		/*
		 * A grace period for the first 20 elements may have begun. The elements freed here
		 * wait for the next one.
		 */
		for (; i < 40; i++)
			arena_typed_free(typed, arena_typed_at(typed, i));
		if (round & 2)
			KUNIT_EXPECT_EQ(test, arena_typed_reset(typed), 0);
		if (round & 4)
			for (i = 0; i < 20; i++)
				typed_alloc(typed, buffer, sizeof(buffer), i);
		arena_typed_destroy(typed);
	}
}

#ifndef MODULE
/* Changes the generation directly, which is safe as no other thread uses the arena. */
static void jump_to(struct arena_typed *typed, unsigned long generation)
{
	arena_set_generation((struct arena *)under(typed), generation);
}

/*
 * Clauses 13, 15: the stamp of an element is the low half of the generation in which it was
 * published, so the stamp of an old element could match a later generation. To prevent that, the
 * arena renews all stamps from time to time. Around each generation in which it does so, look-ups
 * find no old elements, and allocations use their places.
 */
static void typed_reset_stamps_wrap_stale_null(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 40;
	struct arena_typed *typed = typed_create(test, 24, nr, e->flags);
	u8 buffer[24];
	u64 turn;
	u32 i, n;

	/* All elements get stamps of the first generation. Later generations use only some. */
	for (i = 0; i < nr; i++)
		typed_alloc(typed, buffer, sizeof(buffer), i);
	for (turn = 1; turn <= 10; turn++) {
		jump_to(typed, (turn << 30) - ARENA_GEN_STEP);
		for (n = 0; n < 4; n++) {
			u32 used = turn & 1 ? nr / 2 : 1;

			KUNIT_EXPECT_EQ(test, arena_typed_len(typed), 0);
			KUNIT_EXPECT_EQ(test, 0, walk(typed, 0));
			for (i = 0; i < nr; i++)
				KUNIT_EXPECT_NULL(test, arena_typed_at(typed, i));
			for (i = 0; i < used; i++)
				KUNIT_EXPECT_NOT_NULL(test, typed_alloc(typed, buffer,
									sizeof(buffer), i));
			KUNIT_EXPECT_EQ(test, 0, walk(typed, used));
			typed_reset(test, typed);
		}
	}
	KUNIT_EXPECT_EQ(test, 0, fill_one_by_one(typed, 24, nr, buffer, 1));
}
#else
static void typed_reset_stamps_wrap_stale_null(struct kunit *test)
{
	kunit_skip(test, "the hook is not exported to modules");
}
#endif

static struct kunit_case arena_typed_cases[] = {
	KUNIT_CASE(typed_create_bad_argument_refused),
	KUNIT_CASE_PARAM(typed_alloc_until_full_exact, element_gen_params),
	KUNIT_CASE_PARAM(typed_append_across_slabs_all_or_nothing, element_gen_params),
	KUNIT_CASE(typed_define_each_type_ok),
	KUNIT_CASE(typed_random_calls_follow_model),
	KUNIT_CASE_PARAM(typed_free_without_readers_reused_at_once, unread_gen_params),
	KUNIT_CASE_PARAM(typed_free_under_reader_reused_later, read_gen_params),
	KUNIT_CASE_PARAM(typed_free_bad_pointer_warns, kind_gen_params),
	KUNIT_CASE_PARAM(typed_reset_under_reader_keeps_elements, read_gen_params),
	KUNIT_CASE_PARAM(typed_reset_after_free_slots_once, kind_gen_params),
	KUNIT_CASE(typed_destroy_pending_callback_ok),
	KUNIT_CASE_PARAM(typed_reset_stamps_wrap_stale_null, kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_typed_suite = {
	.name = "arena_typed",
	.suite_init = arena_test_suite_init,
	.test_cases = arena_typed_cases,
};

kunit_test_suite(arena_typed_suite);

MODULE_DESCRIPTION("KUnit tests of typed arenas");
MODULE_LICENSE("GPL");
