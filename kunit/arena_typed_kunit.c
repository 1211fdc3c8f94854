// SPDX-License-Identifier: GPL-2.0
/*
 * Typed arenas: elements by index, readers beside writers, recycled slots.
 *
 * Hands that race for elements write who they are into each; an element in the
 * hands of two is then one whose contents are wrong.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 100;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define HANDS		6

struct element {
	size_t		size;
	unsigned int	flags;
};

/* Up to a page, and larger than the slab that a small element gets. */
static const struct element elements[] = {
	{ 1 }, { 4 }, { 12 }, { 24 }, { 100 }, { PAGE_SIZE }, { 70000 },
	{ 1, ARENA_READERS }, { 4, ARENA_READERS }, { 12, ARENA_READERS }, { 24, ARENA_READERS },
	{ 100, ARENA_READERS }, { PAGE_SIZE, ARENA_READERS }, { 70000, ARENA_READERS },
};

/* What differs with readers. */
static const struct element unread[] = { { 1 }, { 12 }, { 24 }, { PAGE_SIZE }, { 70000 } };
static const struct element read[] = {
	{ 1, ARENA_READERS }, { 24, ARENA_READERS }, { 70000, ARENA_READERS },
};

static void element_desc(const struct element *e, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes%s", e->size,
		 e->flags & ARENA_READERS ? ", readers" : "");
}

KUNIT_ARRAY_PARAM(element, elements, element_desc);
KUNIT_ARRAY_PARAM(unread, unread, element_desc);
KUNIT_ARRAY_PARAM(read, read, element_desc);

/* The two kinds, where the size makes no difference. */
static const struct element kinds[] = { { 24, 0 }, { 24, ARENA_READERS } };

KUNIT_ARRAY_PARAM(kind, kinds, element_desc);

/* More than fit into one slab. */
static u32 some_nr(size_t size)
{
	return max_t(u32, SZ_64K / size + 13, 19);
}

static void typed_destroy(void *typed)
{
	arena_typed_destroy(typed);
}

static struct arena_typed *typed_create(struct kunit *test, size_t size, u32 nr,
					unsigned int flags)
{
	struct arena_typed *typed = arena_typed_create(test->name, size, nr, flags);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, typed);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, typed_destroy, typed));
	return typed;
}

static const struct arena *under(const struct arena_typed *typed)
{
	return arena_typed_arena(typed);
}

/* Empty it; with readers, one grace period must lie between two such calls. */
static void typed_reset(struct kunit *test, struct arena_typed *typed)
{
	unsigned long until = 0;
	int err;

	do {
		err = arena_typed_reset(typed);
	} while (err == -EBUSY && arena_sleep_until(&until));
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* A copy of the pattern of @owner, or NULL. */
static void *typed_alloc(struct arena_typed *typed, void *buffer, size_t size, u32 owner)
{
	arena_pattern_fill(buffer, size, owner);
	return arena_typed_alloc(typed, buffer);
}

static bool holds(const void *element, size_t size, u32 owner)
{
	return element && arena_pattern_check(element, size, owner) == size;
}

/* Clause 5, 14: what is no typed arena is refused. */
static void create_refuses(struct kunit *test)
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

/* Elements one by one until it is full; how many of them were not as they should be. */
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

/* All of [0, @nr) in order; how many were not what they should be. */
static size_t walk(const struct arena_typed *typed, u32 nr)
{
	size_t i = 0, bad = 0, seen = 0;
	void *ptr;

	while ((ptr = arena_typed_next(typed, &i))) {
		bad += i != seen + 1 || ptr != arena_typed_at(typed, seen);
		seen++;
	}
	return bad + (seen > nr ? seen - nr : nr - seen);
}

/*
 * Clauses 7, 14, 16: room for exactly so many, each where its index says, and
 * an offset of exactly n times the size.
 */
static void fill(struct kunit *test)
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

/* Clauses 4, 14: an append gives all or nothing, consecutive, across slabs. */
static void append(struct kunit *test)
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
 * The functions that DEFINE_ARENA() makes, for types that differ
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
	/* The slot is reused at once, or not before a grace period has passed. */	\
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

/* Clause 14: the same of every type. */
static void types(struct kunit *test)
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

	/* Without being told otherwise, there are readers. */
	a = ints_create(10);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);
	KUNIT_EXPECT_TRUE(test, arena_typed_arena((struct arena_typed *)a)->flags & ARENA_READERS);
	ints_destroy(a);
	KUNIT_EXPECT_TRUE(test, IS_ERR(ints_create(0)));
	ints_destroy(NULL);
}

/*
 * Against a model: who is where, and which slots were freed, newest first
 */
#define MODEL_NR	200
#define MODEL_SIZE	24

struct model {
	u32	owner[MODEL_NR];	/* 0: not published */
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

/* Clauses 7, 14, 15: alloc, append, free and reset in any order do what a model does. */
static void follows_the_model(struct kunit *test)
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

/* No room left; each element holds the pattern of its index. */
static struct arena_typed *typed_full(struct kunit *test, size_t size, u32 nr, unsigned int flags,
				      u8 *buffer)
{
	struct arena_typed *typed = typed_create(test, size, nr, flags);
	u32 i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, size, i));
	return typed;
}

/* Clause 15: without readers a freed slot is the next one to be used. */
static void recycled_at_once(struct kunit *test)
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
	/* Indices that were handed out count, whatever became of them. */
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
 * Clause 15: a reader keeps what it found, even freed, and the slot is reused
 * after it has left. Nobody else starts a grace period.
 */
static void recycled_after_readers(struct kunit *test)
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

	/* What is freed while a grace period is under way comes back as well. */
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

/* Nothing but a warning, once. */
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
	/* Full, and so it stays: no slot has come back. */
	got = typed_alloc(typed, buffer, sizeof(buffer), 77);
	KUNIT_EXPECT_NULL_MSG(test, got, "free of %s", what);
}

/* Clause 14: freeing twice, or what is not an element, warns and changes nothing. */
static void free_refuses(struct kunit *test)
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
	/* An element of the generation before that nobody has taken in this one. */
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

	/* Twice: one slot comes back, and not two. */
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
 * Clauses 11, 15: a reset under a reader. What it holds stays as it is, what it
 * looks up is of the new generation, and a second reset is refused.
 */
static void reset_under_reader(struct kunit *test)
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

	/* The refused one has not lost the freed slot. */
	rcu_barrier();
	rcu_barrier();
	KUNIT_EXPECT_NOT_NULL(test, typed_alloc(typed, buffer, e->size, 104));
	KUNIT_EXPECT_NULL(test, arena_typed_alloc(typed, buffer));
	KUNIT_EXPECT_EQ(test, arena_typed_reset(typed), 0);
}

/* Slots that were freed before a reset do not come back a second time after it. */
static void reset_forgets_freed(struct kunit *test)
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
		/* Some wait for a grace period, some for the one after that. */
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

/* Clauses 11, 22: gone while callbacks are pending. The last case counts the memory. */
static void destroy_while_pending(struct kunit *test)
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
		/* Now there may be some waiting and some that came later. */
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
/* Beside the arena's own: nobody else is using it. */
static void jump_to(struct arena_typed *typed, unsigned long generation)
{
	arena_set_generation((struct arena *)under(typed), generation);
}

/*
 * Clause 13, 15: stamps are narrower than generations. Elements of long ago, left
 * behind at every distance that matters, do not come back to life, and do not
 * stand in the way of new ones.
 */
static void marks_wrap(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 40;
	struct arena_typed *typed = typed_create(test, 24, nr, e->flags);
	u8 buffer[24];
	u64 turn;
	u32 i, n;

	/* Stamp them once, at the beginning, and then only some of them. */
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
static void marks_wrap(struct kunit *test)
{
	kunit_skip(test, "the hook is not exported to modules");
}
#endif

/*
 * Races for elements
 */
#define RACE_SIZE	24

static void *race_take(struct arena_race *race, u32 owner)
{
	u8 buffer[RACE_SIZE];

	return typed_alloc(race->from, buffer, RACE_SIZE, owner);
}

/* Clause 16: room for N, N allocations of threads and interrupts succeed, in any order. */
static void exact_race(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 3000;
	struct arena_typed *typed = typed_create(test, RACE_SIZE, nr, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, nr);
	struct arena_race *race = arena_race_create(test, race_take, typed, RACE_SIZE, nr);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);

	do {
		arena_race_run(test, race, crew);
		KUNIT_EXPECT_EQ(test, arena_offset(under(typed)), nr * RACE_SIZE);
		KUNIT_EXPECT_EQ(test, 0, walk(typed, nr));
		arena_expect_sane(test, under(typed));
		typed_reset(test, typed);
	} while (time_before(jiffies, until));
}

/* Everyone's: who appended, how many at once, and which of them this is. */
struct run {
	u32	owner;
	u32	nr;
	u32	pos;
};

#define RUN_MAX	8

static void append_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena_typed *typed = crew->data;
	struct run run[RUN_MAX];
	u32 n = RUN_MAX, i;

	arena_crew_meet(crew);
	while (n) {
		u32 owner = arena_rnd(&hand->rnd);
		long first;

		for (i = 0; i < n; i++)
			run[i] = (struct run){ owner, n, i };
		first = arena_typed_append(typed, run, n);
		if (first >= 0)
			hand->allocs += n;
		else if (first != -ENOSPC)
			hand->bad++;
		/* Too many: then fewer, until not one has room. */
		n = first >= 0 ? 1 + arena_rnd_below(&hand->rnd, n) : n - 1;
		if (first >= 0 && n < RUN_MAX && arena_typed_len(typed) < 1000)
			n = RUN_MAX;
	}
}

/* Clauses 4, 14: racing appends get runs of their own, and together all there is. */
static void append_race(struct kunit *test)
{
	const struct element *e = test->param_value;
	const u32 nr = 6000;
	struct arena_typed *typed = typed_create(test, sizeof(struct run), nr, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);
	unsigned int i;

	crew->data = typed;
	do {
		u32 at, bad = 0;

		for (i = 0; i < crew->nr; i++)
			arena_hand_forget(&crew->hand[i]);
		arena_crew_go(crew, append_job, 30000);
		arena_crew_wait(crew);
		KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);
		KUNIT_EXPECT_EQ(test, arena_crew_allocs(crew), nr);
		KUNIT_EXPECT_EQ(test, arena_typed_len(typed), nr);
		for (at = 0; at < nr;) {
			const struct run *first = arena_typed_at(typed, at), *r;
			u32 n = first ? first->nr : 0;

			if (!n || n > nr - at || first->pos) {
				bad++;
				break;
			}
			for (i = 0; i < n; i++) {
				r = arena_typed_at(typed, at + i);
				bad += !r || r->owner != first->owner || r->nr != n || r->pos != i;
			}
			at += n;
		}
		KUNIT_ASSERT_EQ(test, bad, 0);
		typed_reset(test, typed);
	} while (time_before(jiffies, until));
}

#ifndef MODULE
/*
 * Clauses 4, 8, 16: a probe that interrupts the owner of the lock on its CPU, also just before
 * or after it, gets the freed element, frees none and resets nothing. What is allocated again
 * counts again.
 */
static void in_the_middle(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct arena_typed *typed = typed_create(test, 24, 4, e->flags);
	u8 buffer[24];
	void *first, *probed, *again;
	int err;

	first = typed_alloc(typed, buffer, 24, 1);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, typed_alloc(typed, buffer, 24, 2));
	arena_typed_free(typed, first);
	/* With readers the place is free after a grace period. */
	rcu_barrier();

	preempt_disable();
	__this_cpu_write(arena_in_chains, true);
	probed = typed_alloc(typed, buffer, 24, 3);
	arena_typed_free(typed, arena_typed_at(typed, 1));
	err = arena_typed_reset(typed);
	__this_cpu_write(arena_in_chains, false);
	preempt_enable();
	KUNIT_EXPECT_PTR_EQ(test, probed, first);
	KUNIT_EXPECT_TRUE(test, holds(arena_typed_at(typed, 1), 24, 2));
	KUNIT_EXPECT_EQ(test, err, -EBUSY);
	KUNIT_EXPECT_EQ(test, arena_test_stats(under(typed)).allocs, 3);

	again = typed_alloc(typed, buffer, 24, 4);
	KUNIT_ASSERT_NOT_NULL(test, again);
	KUNIT_EXPECT_PTR_EQ(test, again, arena_typed_at(typed, 2));
	KUNIT_EXPECT_TRUE(test, holds(again, 24, 4));
	KUNIT_EXPECT_EQ(test, arena_test_stats(under(typed)).allocs, 4);
}
#else
static void in_the_middle(struct kunit *test)
{
	kunit_skip(test, "the mark of a CPU is not exported to modules");
}
#endif

/*
 * Allocated and freed all the time, by threads and interrupts
 */
#define STORM_NR	64
#define STORM_HOLD	12

struct held {
	void	*ptr;
	u32	owner;
};

struct churn {
	struct arena_typed	*typed;
	int			cpu;
	struct held		irq[STORM_HOLD];
	u32			irq_rnd;
	unsigned long		irq_allocs;
	unsigned long		irq_bad;
};

/* Take one, or give one back, if it still is what it was. */
static void churn_step(struct arena_typed *typed, struct held *held, u32 *rnd,
		       unsigned long *allocs, unsigned long *bad)
{
	struct held *h = &held[arena_rnd_below(rnd, STORM_HOLD)];
	u8 buffer[RACE_SIZE];

	if (h->ptr) {
		*bad += !holds(h->ptr, RACE_SIZE, h->owner);
		arena_typed_free(typed, h->ptr);
		h->ptr = NULL;
		return;
	}
	h->owner = arena_rnd(rnd);
	h->ptr = typed_alloc(typed, buffer, RACE_SIZE, h->owner);
	WRITE_ONCE(*allocs, *allocs + !!h->ptr);
}

static void churn_irq(void *data)
{
	struct churn *churn = data;

	churn_step(churn->typed, churn->irq, &churn->irq_rnd, &churn->irq_allocs, &churn->irq_bad);
}

static void churn_job(struct arena_hand *hand)
{
	struct churn *churn = hand->crew->data;
	struct held held[STORM_HOLD] = { };
	unsigned int steps = 0, i;

	if (hand->id == 1) {
		arena_irq_pester(hand, churn->cpu, churn_irq, churn);
		return;
	}
	if (hand->id == 0 && set_cpus_allowed_ptr(current, cpumask_of(churn->cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew)) {
		churn_step(churn->typed, held, &hand->rnd, &hand->allocs, &hand->bad);
		if (++steps % 64)
			continue;
		/* Asleep: threads that spin leave nothing for interrupts on a busy host. */
		if (READ_ONCE(churn->irq_allocs))
			cond_resched();
		else
			schedule_timeout_uninterruptible(1);
	}
	for (i = 0; i < STORM_HOLD; i++) {
		if (!held[i].ptr)
			continue;
		hand->bad += !holds(held[i].ptr, RACE_SIZE, held[i].owner);
		arena_typed_free(churn->typed, held[i].ptr);
	}
}

/* Clauses 1, 15: no slot is in the hands of two, and in the end all are free. */
static void churn(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct arena_typed *typed = typed_create(test, RACE_SIZE, STORM_NR, e->flags);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	struct churn *churn = kunit_kzalloc(test, sizeof(*churn), GFP_KERNEL);
	unsigned long until = 0, patience = 0;
	u8 buffer[RACE_SIZE];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, churn);
	churn->typed = typed;
	churn->cpu = arena_irq_cpu();
	churn->irq_rnd = 815;
	crew->data = churn;
	do {
		arena_crew_go(crew, churn_job, runtime_ms);
		arena_crew_wait(crew);
	} while ((arena_crew_allocs(crew) < 10 * STORM_NR || !churn->irq_allocs) &&
		 arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, churn->irq_bad, 0);
	KUNIT_EXPECT_GT(test, churn->irq_allocs, 0);
	KUNIT_EXPECT_GE(test, arena_crew_allocs(crew), 10 * STORM_NR);
	KUNIT_EXPECT_LE(test, arena_typed_len(typed), STORM_NR);

	for (i = 0; i < STORM_HOLD; i++) {
		if (!churn->irq[i].ptr)
			continue;
		KUNIT_EXPECT_TRUE(test, holds(churn->irq[i].ptr, RACE_SIZE, churn->irq[i].owner));
		arena_typed_free(typed, churn->irq[i].ptr);
	}
	KUNIT_EXPECT_EQ(test, 0, walk(typed, 0));
	for (i = 0; i < STORM_NR && (!until || time_before(jiffies, until));)
		if (typed_alloc(typed, buffer, RACE_SIZE, i))
			i++;
		else
			arena_sleep_until(&until);
	KUNIT_EXPECT_EQ(test, i, STORM_NR);
	KUNIT_EXPECT_NULL(test, typed_alloc(typed, buffer, RACE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, walk(typed, STORM_NR));
}

/*
 * Readers beside writers: an element says by itself whether it is complete
 */
#define WORDS	14
/* One slab of them. */
#define BESIDE_NR	512

struct payload {
	u64	seed;
	u64	word[WORDS];
	u64	sum;
};

static void payload_make(struct payload *p, u64 seed)
{
	int i;

	p->seed = seed;
	p->sum = ~seed;
	for (i = 0; i < WORDS; i++) {
		p->word[i] = (seed + i) * 0x9e3779b97f4a7c15ULL;
		p->sum += p->word[i];
	}
}

/* Not 0, which is what untouched memory has. */
static bool payload_complete(const struct payload *p)
{
	u64 sum = ~p->seed;
	int i;

	for (i = 0; i < WORDS; i++) {
		if (p->word[i] != (p->seed + i) * 0x9e3779b97f4a7c15ULL)
			return false;
		sum += p->word[i];
	}
	return p->seed && sum == p->sum;
}

struct beside {
	struct arena_typed	*typed;
	int			cpu;
	atomic_t		resets;
	atomic_t		frees;
	atomic_long_t		seen;
	atomic_long_t		torn;
	atomic_long_t		changed;
};

/* All that is to be seen, twice, a moment apart. */
static void beside_read(struct beside *b)
{
	const struct payload *p, *first = NULL;
	unsigned long seen = 0;
	u64 seed = 0;
	size_t i = 0;

	rcu_read_lock();
	while ((p = arena_typed_next(b->typed, &i))) {
		if (!payload_complete(p))
			atomic_long_inc(&b->torn);
		if (!first) {
			first = p;
			seed = p->seed;
		}
		seen++;
	}
	if (first && (first->seed != seed || !payload_complete(first)))
		atomic_long_inc(&b->changed);
	rcu_read_unlock();
	atomic_long_add(seen, &b->seen);
}

/* The newest ones, in the middle of what the writer of this CPU is doing. */
static void beside_irq(void *data)
{
	struct beside *b = data;
	size_t len = arena_typed_len(b->typed), i;

	for (i = len - min_t(size_t, len, 4); i < len; i++) {
		const struct payload *p = arena_typed_at(b->typed, i);

		if (p && !payload_complete(p))
			atomic_long_inc(&b->torn);
	}
}

/* Where the elements are in this generation: all in one slab, side by side. */
static struct payload *beside_begin(const struct arena_typed *typed)
{
	struct payload *p;
	size_t i = 0;

	p = arena_typed_next(typed, &i);
	return p ? p - (i - 1) : NULL;
}

/*
 * What was left by the generation before last is complete, and would hide that
 * an element is seen before it is written. Nobody is there when readers have
 * left and before the next reset: spoil it.
 */
static bool beside_reset(struct beside *b)
{
	struct payload *was = beside_begin(b->typed);

	if (arena_typed_reset(b->typed))
		return false;
	synchronize_rcu();
	if (was)
		memset(was, 0xee, BESIDE_NR * sizeof(*was));
	atomic_inc(&b->resets);
	return true;
}

/* The only one that frees and resets: so it knows what is its own. */
static void beside_manage(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;
	struct payload *own[16] = { };
	unsigned long last = jiffies;
	struct payload p;
	unsigned int i;

	while (arena_crew_on(hand->crew)) {
		i = arena_rnd_below(&hand->rnd, ARRAY_SIZE(own));
		if (own[i]) {
			arena_typed_free(b->typed, own[i]);
			atomic_inc(&b->frees);
			own[i] = NULL;
		} else {
			payload_make(&p, 1 + arena_rnd(&hand->rnd));
			own[i] = arena_typed_alloc(b->typed, &p);
		}
		/* Seldom enough to fill up, often enough for many. */
		if (time_after(jiffies, last + 1) && beside_reset(b)) {
			last = jiffies;
			memset(own, 0, sizeof(own));
		}
		cond_resched();
	}
}

static void beside_write(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;
	struct payload p[4];
	unsigned int n, i;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		payload_make(&p[i], 1 + arena_rnd(&hand->rnd));
	n = arena_rnd_below(&hand->rnd, ARRAY_SIZE(p));
	if (n ? arena_typed_append(b->typed, p, n) < 0 : !arena_typed_alloc(b->typed, p))
		cond_resched();
	else
		hand->allocs++;
}

static void beside_job(struct arena_hand *hand)
{
	struct beside *b = hand->crew->data;

	switch (hand->id) {
	case 0:
		beside_manage(hand);
		return;
	case 1:
		arena_irq_pester(hand, b->cpu, beside_irq, b);
		return;
	case 2:
		if (set_cpus_allowed_ptr(current, cpumask_of(b->cpu)))
			hand->bad++;
	}
	while (arena_crew_on(hand->crew))
		if (hand->id & 1)
			beside_read(b);
		else
			beside_write(hand);
}

/*
 * Clauses 11, 15: whatever writers, frees and resets do, a reader sees complete
 * elements, and those that it has found do not change while it is there.
 * Fails if publish() comes before the copy, or free and reset do not wait.
 */
static void readers_beside_writers(struct kunit *test)
{
	struct arena_typed *typed = typed_create(test, sizeof(struct payload), BESIDE_NR,
						 ARENA_READERS);
	struct arena_crew *crew = arena_crew_create(test, NULL, HANDS, 0);
	struct beside *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->typed = typed;
	b->cpu = arena_irq_cpu();
	crew->data = b;
	do {
		arena_crew_go(crew, beside_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while ((atomic_read(&b->resets) < 40 || atomic_read(&b->frees) < 100 ||
		  atomic_long_read(&b->seen) < 10000) && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&b->torn), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&b->changed), 0);
	/* Or nothing was shown. */
	KUNIT_EXPECT_GE(test, atomic_long_read(&b->seen), 10000);
	KUNIT_EXPECT_GE(test, atomic_read(&b->resets), 40);
	KUNIT_EXPECT_GE(test, atomic_read(&b->frees), 100);
	arena_expect_sane(test, under(typed));
}

/*
 * A copy that is interrupted halfway
 */
static const struct element halves[] = { { 50000 }, { 300000 } };

KUNIT_ARRAY_PARAM(half, halves, element_desc);

/* Enough of them, or nothing was shown. */
#define HALVES		30

struct half {
	struct arena_typed	*typed;
	struct arena_alarm	alarm;
	size_t			size;
	u8			*element;	/* what is copied to; ends as it begins */
	unsigned long		halfway;	/* only one of both is new */
	unsigned long		seen;
};

static void half_alarm(void *data)
{
	struct half *half = data;
	size_t index = 0;

	if (READ_ONCE(half->element[0]) == READ_ONCE(half->element[half->size - 1]))
		return;
	half->halfway++;
	half->seen += arena_typed_at(half->typed, 0) || arena_typed_next(half->typed, &index);
}

/*
 * Clause 15: who looks while an element is being copied in does not find it. The
 * slot is one that was in use before, and the only one.
 */
static void unseen_halfway(struct kunit *test)
{
	const struct element *e = test->param_value;
	struct half *half = kunit_kzalloc(test, sizeof(*half), GFP_KERNEL);
	u8 *src = kunit_kzalloc(test, e->size, GFP_KERNEL);
	unsigned long patience = 0;
	u32 within = 20000;

	KUNIT_ASSERT_TRUE(test, half && src);
	half->typed = typed_create(test, e->size, 1, 0);
	half->size = e->size;
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id())));
	half->element = arena_typed_alloc(half->typed, src);
	KUNIT_ASSERT_NOT_NULL(test, half->element);
	arena_alarm_setup(&half->alarm, half_alarm, half);
	do {
		u64 begin = ktime_get_ns();
		void *again;

		arena_typed_free(half->typed, half->element);
		src[0]++;
		src[e->size - 1] = src[0];
		arena_alarm_set(&half->alarm, within);
		again = arena_typed_alloc(half->typed, src);
		within = clamp_t(u64, 2 * (ktime_get_ns() - begin), 2000, NSEC_PER_MSEC);
		arena_alarm_stop(&half->alarm);
		KUNIT_ASSERT_PTR_EQ(test, again, half->element);
	} while (half->halfway < HALVES && arena_patient(&patience));
	KUNIT_EXPECT_GE(test, half->halfway, HALVES);
	KUNIT_EXPECT_EQ(test, half->seen, 0);
}

/*
 * A reader that is overtaken between its look at the generation and its look
 * at the element
 */
struct stale {
	struct arena_typed	*typed;
	int			cpu;
	unsigned long		resets;
};

/* A new generation in which the first element has come and gone. */
static void stale_irq(void *data)
{
	struct stale *stale = data;
	u8 buffer[RACE_SIZE];
	void *ptr;

	if (arena_typed_reset(stale->typed))
		return;
	stale->resets++;
	ptr = typed_alloc(stale->typed, buffer, RACE_SIZE, 1);
	if (ptr)
		arena_typed_free(stale->typed, ptr);
}

static void stale_job(struct arena_hand *hand)
{
	struct stale *stale = hand->crew->data;
	unsigned int i;

	if (hand->id == 1) {
		arena_irq_pester(hand, stale->cpu, stale_irq, stale);
		return;
	}
	if (set_cpus_allowed_ptr(current, cpumask_of(stale->cpu)))
		hand->bad++;
	while (arena_crew_on(hand->crew)) {
		rcu_read_lock();
		for (i = 0; i < 20; i++)
			hand->allocs += !!arena_typed_at(stale->typed, 0);
		rcu_read_unlock();
	}
}

/*
 * Clause 15: interrupts publish the first element and free it again before they
 * return, so that a task of that CPU can never find it. Nor may it find what
 * lies at that place in the slabs of the generation before.
 */
static void overtaken_reader(struct kunit *test)
{
	struct arena_typed *typed = typed_create(test, RACE_SIZE, 10, ARENA_READERS);
	struct arena_crew *crew = arena_crew_create(test, NULL, 2, 0);
	struct stale *stale = kunit_kzalloc(test, sizeof(*stale), GFP_KERNEL);
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, stale);
	stale->typed = typed;
	stale->cpu = arena_irq_cpu();
	crew->data = stale;
	do {
		arena_crew_go(crew, stale_job, 2 * runtime_ms);
		arena_crew_wait(crew);
	} while (stale->resets < 60 && arena_patient(&patience));
	KUNIT_EXPECT_EQ(test, arena_crew_bad(crew), 0);
	KUNIT_EXPECT_EQ(test, arena_crew_allocs(crew), 0);
	KUNIT_EXPECT_GE(test, stale->resets, 60);
}

/* The last case: what all the arenas above held is back. */
static void nothing_is_left(struct kunit *test)
{
	arena_expect_nothing_left(test);
}

static int arena_typed_suite_init(struct kunit_suite *suite)
{
	arena_remember_total();
	return 0;
}

static struct kunit_case arena_typed_cases[] = {
	KUNIT_CASE(create_refuses),
	KUNIT_CASE_PARAM(fill, element_gen_params),
	KUNIT_CASE_PARAM(append, element_gen_params),
	KUNIT_CASE(types),
	KUNIT_CASE(follows_the_model),
	KUNIT_CASE_PARAM(recycled_at_once, unread_gen_params),
	KUNIT_CASE_PARAM(recycled_after_readers, read_gen_params),
	KUNIT_CASE_PARAM(free_refuses, kind_gen_params),
	KUNIT_CASE_PARAM(reset_under_reader, read_gen_params),
	KUNIT_CASE_PARAM(reset_forgets_freed, kind_gen_params),
	KUNIT_CASE(destroy_while_pending),
	KUNIT_CASE_PARAM(marks_wrap, kind_gen_params),
	KUNIT_CASE_PARAM(exact_race, kind_gen_params),
	KUNIT_CASE_PARAM(append_race, kind_gen_params),
	KUNIT_CASE_PARAM(in_the_middle, kind_gen_params),
	KUNIT_CASE_PARAM(churn, kind_gen_params),
	KUNIT_CASE_PARAM(unseen_halfway, half_gen_params),
	KUNIT_CASE(readers_beside_writers),
	KUNIT_CASE(overtaken_reader),
	KUNIT_CASE(nothing_is_left),
	{ }
};

static struct kunit_suite arena_typed_suite = {
	.name = "arena_typed",
	.suite_init = arena_typed_suite_init,
	.test_cases = arena_typed_cases,
};

kunit_test_suite(arena_typed_suite);

MODULE_DESCRIPTION("KUnit tests of typed arenas");
MODULE_LICENSE("GPL");
