// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of arrays, of copies of memory, strings and values into arenas, and of buffers that grow.
 */
#include <linux/arena_buf.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "arena_irq.h"
#include "arena_test.h"

static unsigned int runtime_ms = 60;
module_param(runtime_ms, uint, 0644);
MODULE_PARM_DESC(runtime_ms, "Milliseconds for each case that races");

#define CAPACITY	(16 * SLAB)

KUNIT_ARRAY_PARAM(arena_kind, arena_kinds, arena_kind_desc);

static struct arena *usual(struct kunit *test)
{
	return arena_test_create_kind(test, CAPACITY, 0);
}

/*
 * Returns a source of exactly @size bytes, so that KASAN reports a copy that reads one byte more.
 */
static u8 *source(struct kunit *test, size_t size, u32 owner)
{
	u8 *bytes = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	arena_pattern_fill(bytes, size, owner);
	return bytes;
}

/*
 * Returns a string of @len characters. No byte follows the NUL, so KASAN reports a read behind it.
 */
static char *text(struct kunit *test, size_t len)
{
	char *s = kunit_kmalloc(test, len + 1, GFP_KERNEL);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	for (i = 0; i < len; i++)
		s[i] = 'a' + i % 26;
	s[len] = 0;
	return s;
}

static const size_t lengths[] = {
	0, 1, 2, 7, 8, 9, 63, 100, 1000, 4095, 4096, SLAB - 2, SLAB - 1, SLAB, 3 * SLAB + 17,
};

/* Clauses 4, 5: an array has n * size bytes; a product that overflows is refused. */
static void alloc_array_overflow_refused(struct kunit *test)
{
	static const struct {
		size_t n;
		size_t size;
	} bad[] = {
		{ 0, 8 }, { 8, 0 }, { 0, 0 },
		{ SIZE_MAX, 2 }, { 2, SIZE_MAX }, { SIZE_MAX, SIZE_MAX },
		{ SIZE_MAX / 2 + 1, 2 },			/* the product wraps to 0 */
		{ SIZE_MAX / 8 + 2, 8 },			/* the product wraps to 8 */
		{ BIT(BITS_PER_LONG / 2), BIT(BITS_PER_LONG / 2) },
	};
	struct arena *arena = usual(test);
	struct arena_stats was;
	size_t used = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_alloc_array(arena, bad[i].n, bad[i].size,
							  GFP_KERNEL));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "%zu times %zu",
				       bad[i].n, bad[i].size);
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_alloc_array(arena, CAPACITY / 8 + 1, 8, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "more than there is");

	for (i = 1; i < 40; i++) {
		u64 *array = arena_alloc_array(arena, i, sizeof(*array), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, array);
		memset(array, 0xff, i * sizeof(*array));
		used += i * sizeof(*array);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	}
	KUNIT_EXPECT_NOT_NULL(test, arena_alloc_array(arena, 3, SLAB, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, arena_is_zero(arena_alloc_array(arena, 10, 20, GFP_KERNEL |
								__GFP_ZERO), 200));
}

/* Clauses 1, 4, 5: a copy has all bytes of its source, and copies do not overlap. */
static void memdup_each_length_copied(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_extent ext[2 * ARRAY_SIZE(lengths)];
	struct arena_stats was;
	size_t n = 0, used = 0;
	u32 i, round;

	for (round = 0; round < 2; round++) {
		for (i = 1; i < ARRAY_SIZE(lengths); i++) {
			u8 *src = source(test, lengths[i], n);
			u8 *copy = arena_memdup(arena, src, lengths[i], round ? GFP_KERNEL :
						GFP_KERNEL | __GFP_ZERO);

			KUNIT_ASSERT_NOT_NULL_MSG(test, copy, "%zu bytes", lengths[i]);
			KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)copy, ARENA_MIN_ALIGN));
			ext[n] = (struct arena_extent){ copy, lengths[i], n };
			n++;
			used += lengths[i];
			KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
			KUNIT_EXPECT_EQ(test, arena_pattern_check(src, lengths[i], n - 1),
					lengths[i]);
		}
	}
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(ext, n));
	KUNIT_EXPECT_EQ(test, 0, arena_extents_overlap(ext, n));
	arena_expect_sane(test, arena);

	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_memdup(arena, "x", 0, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "no bytes");
}

/* Clauses 1, 5: the copy is aligned as asked; a bad alignment is refused. */
static void memdup_aligned_each_alignment_kept(struct kunit *test)
{
	static const size_t bad[] = { 0, 3, 24, 2 * SLAB, SIZE_MAX, (SIZE_MAX >> 1) + 1 };
	struct arena *arena = usual(test);
	u8 *src = source(test, 100, 1);
	struct arena_stats was;
	size_t align;
	u32 i;

	for (align = 1; align <= SLAB; align *= 2) {
		u8 *copy = arena_memdup_aligned(arena, src, 100, align, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL_MSG(test, copy, "align %zu", align);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)copy, align));
		KUNIT_EXPECT_EQ(test, arena_pattern_check(copy, 100, 1), 100);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, arena_memdup_aligned(arena, src, 100, bad[i], GFP_KERNEL));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_ARG, "align %zu", bad[i]);
	}
}

/* Clauses 1, 4: the copy of a string ends with a NUL, and uses one byte more than its length. */
static void strdup_each_length_copied(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	size_t used = 0;
	char *s, *copy;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		s = text(test, lengths[i]);
		copy = arena_strdup(arena, s, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL_MSG(test, copy, "%zu characters", lengths[i]);
		KUNIT_EXPECT_EQ(test, strlen(copy), lengths[i]);
		KUNIT_EXPECT_EQ(test, strcmp(copy, s), 0);
		used += lengths[i] + 1;
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	}
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_strdup(arena, NULL, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, arena_strndup(arena, NULL, 10, GFP_KERNEL));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_NONE, "no string");
	arena_expect_sane(test, arena);

	/* In a dense arena, strings are not aligned, so there is no padding between them. */
	if (!arena_test_is_dense(test))
		return;
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	for (i = 0, used = 0; i < 50; i++) {
		s = text(test, i);
		KUNIT_ASSERT_NOT_NULL(test, arena_strdup(arena, s, GFP_KERNEL));
		used += i + 1;
	}
	KUNIT_EXPECT_EQ(test, arena_high(arena), used);
}

/* Clauses 1, 4: arena_strndup() copies at most @max bytes, and the copy always ends with a NUL. */
static void strndup_each_limit_terminated(struct kunit *test)
{
	static const struct {
		const char	*s;
		size_t		max;
		const char	*want;
	} cases[] = {
		{ "", 0, "" }, { "", 10, "" }, { "abc", 0, "" }, { "abc", 1, "a" },
		{ "abc", 2, "ab" }, { "abc", 3, "abc" }, { "abc", 4, "abc" },
		{ "abc", SIZE_MAX, "abc" }, { "ab\0cd", 5, "ab" },
	};
	struct arena *arena = usual(test);
	size_t used = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char *copy = arena_strndup(arena, cases[i].s, cases[i].max, GFP_KERNEL);

		KUNIT_EXPECT_STREQ(test, copy, cases[i].want);
		used += strlen(cases[i].want) + 1;
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	}
	/* These sources contain no NUL, so only the limit can stop the copy. */
	for (i = 1; i < ARRAY_SIZE(lengths); i++) {
		char *s = kunit_kmalloc(test, lengths[i], GFP_KERNEL), *copy;

		KUNIT_ASSERT_NOT_NULL(test, s);
		memset(s, 'x', lengths[i]);
		copy = arena_strndup(arena, s, lengths[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL_MSG(test, copy, "%zu characters", lengths[i]);
		KUNIT_EXPECT_EQ(test, strlen(copy), lengths[i]);
		KUNIT_EXPECT_FALSE(test, memchr_inv(copy, 'x', lengths[i]));
	}
}

static __printf(2, 3)
char *by_vprintf(struct arena *arena, const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = arena_vprintf(arena, GFP_KERNEL, fmt, args);
	va_end(args);
	return s;
}

/* Clause 4: arena_printf() takes the formats of printk(), with results of any length. */
static void printf_each_format_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	char *long_one, *s;
	int len;

	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL, "plain"), "plain");
	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL, "%s", ""), "");
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 6 + 1);
	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL, "%d-%s-%#x", -5, "abc", 0xbeef),
			   "-5-abc-0xbeef");
	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL, "%*ph", 3, "\1\2\3"), "01 02 03");
	KUNIT_EXPECT_STREQ(test, arena_printf(arena, GFP_KERNEL | __GFP_ZERO, "%c%%", 'x'), "x%");
	KUNIT_EXPECT_STREQ(test, by_vprintf(arena, "%lu %s", 7UL, "dwarfs"), "7 dwarfs");

	long_one = text(test, SLAB + 100);
	for (len = 253; len < 260; len++) {
		s = arena_printf(arena, GFP_KERNEL, "%.*s", len, long_one);
		KUNIT_ASSERT_NOT_NULL(test, s);
		KUNIT_EXPECT_EQ(test, strlen(s), len);
		KUNIT_EXPECT_EQ(test, memcmp(s, long_one, len), 0);
	}
	s = arena_printf(arena, GFP_KERNEL, "<%s>", long_one);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, strlen(s), SLAB + 102);
	KUNIT_EXPECT_EQ(test, memcmp(s + 1, long_one, SLAB + 100), 0);

	/* With GFP_ATOMIC, arena_printf() works in atomic context. */
	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	preempt_disable();
	s = arena_printf(arena, GFP_ATOMIC, "atomic %d", 1);
	preempt_enable();
	KUNIT_EXPECT_STREQ(test, s, "atomic 1");

	while (arena_alloc(arena, 1, GFP_KERNEL))
		;
	was = arena_test_stats(arena);
	KUNIT_EXPECT_NULL(test, arena_printf(arena, GFP_KERNEL, "%s", "no room for this"));
	arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "printf when full");
}

/* Types of different sizes and alignments. */
struct wide {
	u8	byte[200];
} __aligned(64);

struct odd {
	u8	byte[13];
};

struct pair {
	u32	a;
	u32	b;
};

/*
 * Clauses 1, 16: in a dense arena, objects have only the padding that their types need, also in the
 * fast path that arena_new() takes if the compiler knows size and alignment. The arena can be
 * filled to the last byte.
 */
static void new_dense_arena_packed(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, 4 + 3 * sizeof(struct pair), 0, 0);
	struct pair *pair;
	int i;

	KUNIT_EXPECT_NOT_NULL(test, arena_new(arena, u32, GFP_KERNEL));
	for (i = 0; i < 3; i++) {
		pair = arena_new(arena, struct pair, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pair);
		memset(pair, 0xff, sizeof(*pair));
		KUNIT_EXPECT_EQ(test, arena_high(arena), 4 + (i + 1) * sizeof(*pair));
	}
	KUNIT_EXPECT_NULL(test, arena_new(arena, char, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, arena_offset(arena), arena_capacity(arena));
	arena_expect_sane(test, arena);
}

/* Clauses 1, 14: an object of a type has the size and alignment of this type. */
static void new_each_type_aligned(struct kunit *test)
{
	struct arena *arena = usual(test);
	size_t used = 0;
	u32 i;

	for (i = 0; i < 40; i++) {
		struct wide *wide;
		struct odd *odd;
		char *c;
		u64 *u;

		odd = arena_new(arena, struct odd, GFP_KERNEL);
		wide = arena_new(arena, struct wide, GFP_KERNEL);
		c = arena_new(arena, char, GFP_KERNEL);
		u = arena_new(arena, u64, GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_TRUE(test, odd && wide && c && u);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)wide, 64));
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)u, __alignof__(u64)));
		KUNIT_EXPECT_EQ(test, *u, 0);
		memset(wide, 0xff, sizeof(*wide));
		memset(odd, 0xff, sizeof(*odd));
		*c = 0xff;
		*u = ~0ULL;
		used += sizeof(*odd) + sizeof(*wide) + sizeof(*c) + sizeof(*u);
		KUNIT_EXPECT_EQ(test, arena_offset(arena), used);
	}
}

/* Clause 14: arena_store() copies lvalues and literals with their type, and evaluates them once. */
static void store_each_type_copied(struct kunit *test)
{
	struct arena *arena = usual(test);
	const struct wide constant = { .byte = { 1, 2, 3 } };
	struct odd odd = { .byte = { 9, 8, 7 } };
	const struct wide *wide;
	int *one, calls = 0, i = 41;
	const char **name;
	struct odd *copy;
	u8 *narrow;
	u64 *big;

	copy = arena_store(arena, odd, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	odd.byte[0] = 0;
	KUNIT_EXPECT_EQ(test, copy->byte[0], 9);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), sizeof(odd));

	wide = arena_store(arena, constant, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, wide);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)wide, 64));
	KUNIT_EXPECT_EQ(test, memcmp(wide, &constant, sizeof(constant)), 0);

	one = arena_store(arena, ++i + 0 * calls++, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, one);
	KUNIT_EXPECT_EQ(test, *one, 42);
	KUNIT_EXPECT_EQ(test, i, 42);
	KUNIT_EXPECT_EQ(test, calls, 1);

	copy = arena_store(arena, ((struct odd){ .byte = { 1, [12] = 5 } }), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_EQ(test, copy->byte[12], 5);
	big = arena_store(arena, 0x0123456789abcdefULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, big);
	KUNIT_EXPECT_EQ(test, *big, 0x0123456789abcdefULL);
	narrow = arena_store(arena, (u8)255, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, narrow);
	KUNIT_EXPECT_EQ(test, *narrow, 255);
	name = arena_store(arena, test->name, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, name);
	KUNIT_EXPECT_PTR_EQ(test, *name, test->name);

	static_assert(__same_type(arena_store(arena, odd, 0), struct odd *));
	static_assert(__same_type(arena_store(arena, (u8)1, 0), u8 *));
	static_assert(__same_type(arena_new(arena, struct odd, 0), struct odd *));
}

/*
 * Buffers that grow
 */
static u8 buf_room[128] __aligned(8);

static void buf_appends_follow_model(struct kunit *test, struct arena_buf *buf,
				     struct arena *disturber)
{
	char *model = text(test, 20000);
	size_t len = 0, size, got;
	unsigned int i;
	void *object;

	for (i = 0; i < 400; i++) {
		size = i * 7 % 90;
		if (i % 3) {
			KUNIT_EXPECT_TRUE(test, arena_buf_append(buf, model + len, size));
		} else {
			KUNIT_EXPECT_TRUE(test, arena_buf_printf(buf, "%.*s", (int)size,
								 model + len));
		}
		len += size;
		KUNIT_EXPECT_EQ(test, buf->len, len);
		if (disturber && i % 50 == 49)
			KUNIT_EXPECT_NOT_NULL(test, arena_alloc(disturber, 8, GFP_KERNEL));
	}
	object = arena_buf_finish(buf, &got);
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_EQ(test, got, len);
	KUNIT_EXPECT_EQ(test, memcmp(object, model, len), 0);
}

/*
 * Clause 28: a buffer contains all bytes that were appended, whether it has grown in place or has
 * been copied to a larger object.
 */
static void buf_any_appends_kept(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_private private;
	struct arena_buf buf;

	arena_buf_init(&buf, arena, GFP_KERNEL);
	buf_appends_follow_model(test, &buf, NULL);
	buf_appends_follow_model(test, &buf, arena);
	arena_private_init(&private, NULL, 0);
	arena_buf_init_private(&buf, &private, GFP_KERNEL);
	buf_appends_follow_model(test, &buf, NULL);
	arena_private_destroy(&private);
	arena_expect_sane(test, arena);
}

/*
 * Clauses 7, 28: a buffer that is the arena's last object grows in place, and
 * arena_buf_finish_string() gives back the bytes that the buffer has not used.
 */
static void buf_last_object_in_place(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, CAPACITY, SLAB, 0);
	struct arena_private private;
	struct arena_buf buf;
	char *begin, *string;
	unsigned int i;

	arena_buf_init(&buf, arena, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, arena_buf_append(&buf, "<", 1));
	begin = buf.data;
	for (i = 0; i < 200; i++)
		KUNIT_EXPECT_TRUE(test, arena_buf_printf(&buf, "%03u,", i));
	string = arena_buf_finish_string(&buf);
	KUNIT_EXPECT_PTR_EQ(test, string, begin);
	KUNIT_EXPECT_EQ(test, strlen(string), 801);
	KUNIT_EXPECT_EQ(test, arena_offset(arena), 802);
	KUNIT_EXPECT_EQ(test, arena_high(arena), 802);

	arena_private_init(&private, NULL, 0);
	string = arena_private_printf(&private, GFP_KERNEL, "%s %d", "seven", 7);
	KUNIT_EXPECT_STREQ(test, string, "seven 7");
	KUNIT_EXPECT_EQ(test, arena_private_offset(&private), 8);
	string = arena_private_printf(&private, GFP_KERNEL, "%0*d", 300, 5);
	KUNIT_ASSERT_NOT_NULL(test, string);
	KUNIT_EXPECT_EQ(test, strlen(string), 300);
	KUNIT_EXPECT_EQ(test, arena_private_offset(&private), 8 + 301);
	KUNIT_EXPECT_STREQ(test, arena_private_printf(&private, GFP_KERNEL, "%s", ""), "");
	KUNIT_EXPECT_EQ(test, arena_private_offset(&private), 8 + 301 + 1);
	arena_private_destroy(&private);
}

/* Clause 4: a failed append changes no byte of a buffer. Finishing the buffer then returns NULL. */
static void buf_without_memory_null(struct kunit *test)
{
	struct arena *arena = arena_test_create(test, SLAB, SLAB, 0);
	char *many = text(test, SLAB);
	struct arena_private private;
	struct arena_buf buf;
	size_t size = 1;

	arena_buf_init(&buf, arena, GFP_KERNEL);
	KUNIT_EXPECT_NULL(test, arena_buf_finish(&buf, &size));
	KUNIT_EXPECT_EQ(test, size, 0);
	KUNIT_EXPECT_TRUE(test, arena_buf_append(&buf, many, SLAB - 1));
	KUNIT_EXPECT_FALSE(test, arena_buf_append(&buf, many, 2));
	KUNIT_EXPECT_EQ(test, buf.len, SLAB - 1);
	KUNIT_EXPECT_FALSE(test, arena_buf_append(&buf, many, 1));
	KUNIT_EXPECT_FALSE(test, arena_buf_printf(&buf, "x"));
	KUNIT_EXPECT_NULL(test, arena_buf_finish_string(&buf));
	KUNIT_EXPECT_EQ(test, buf.len, 0);
	KUNIT_EXPECT_FALSE(test, arena_buf_append(&buf, many, SIZE_MAX));
	KUNIT_EXPECT_NULL(test, arena_buf_finish(&buf, NULL));

	arena_private_init(&private, buf_room, sizeof(buf_room));
	KUNIT_EXPECT_NULL(test, arena_private_printf(&private, ARENA_NOGROW, "%0*d", 200, 5));
	KUNIT_EXPECT_EQ(test, arena_private_offset(&private), 0);
	KUNIT_EXPECT_NOT_NULL(test, arena_private_printf(&private, ARENA_NOGROW, "%0*d", 99, 5));
	arena_private_destroy(&private);
}

/*
 * Calls one of the functions that this suite tests, selected by @which, and returns its result. If
 * there is no such function, returns ERR_PTR(-ENOENT).
 */
static const void *take_some(struct arena *arena, unsigned int which, gfp_t gfp)
{
	static const struct odd odd = { };

	switch (which) {
	case 0:
		return arena_alloc_array(arena, 5, 10, gfp);
	case 1:
		return arena_memdup(arena, &odd, sizeof(odd), gfp);
	case 2:
		return arena_memdup_aligned(arena, &odd, sizeof(odd), 1, gfp);
	case 3:
		return arena_strdup(arena, "a string that is somewhat long", gfp);
	case 4:
		return arena_strndup(arena, "a string that is somewhat long", 20, gfp);
	case 5:
		return arena_printf(arena, gfp, "%s", "a string that is somewhat long");
	case 6:
		return arena_new(arena, struct wide, gfp);
	case 7:
		return arena_store(arena, odd, gfp);
	default:
		return ERR_PTR(-ENOENT);
	}
}

/* Clause 4: a function of take_some() that fails returns NULL, and the arena counts one failure. */
static void copy_without_memory_null(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	unsigned int which, met = 0;
	const void *got;

	/* No slab is committed yet, and ARENA_NOGROW permits no growth. */
	for (which = 0; (got = take_some(arena, which, ARENA_NOGROW)) != ERR_PTR(-ENOENT);
	     which++, met++) {
		KUNIT_EXPECT_NULL(test, got);
		was = arena_test_stats(arena);
		KUNIT_EXPECT_EQ(test, was.fail_memory, which + 1);
		KUNIT_EXPECT_EQ(test, was.used + was.high + was.committed + was.allocs, 0);
	}
	while (arena_alloc(arena, 1, GFP_KERNEL))
		;
	for (which = 0; which < met; which++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NULL(test, take_some(arena, which, GFP_KERNEL));
		arena_expect_unchanged(test, arena, &was, ARENA_CAUSE_SPACE, "function %u",
				       which);
	}
	KUNIT_ASSERT_EQ(test, arena_reset(arena), 0);
	for (which = 0; which < met; which++) {
		was = arena_test_stats(arena);
		KUNIT_EXPECT_NOT_NULL(test, take_some(arena, which, ARENA_NOGROW));
		KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, was.allocs + 1);
	}
	KUNIT_EXPECT_EQ(test, met, 8);
}

static void take_all_irq(void *data)
{
	struct arena *arena = data;
	unsigned int which;

	for (which = 0; which < 8; which++)
		if (!take_some(arena, which, ARENA_NOGROW))
			arena_reset(arena);
}

/* Clause 2: copies into committed memory succeed in hard interrupts. */
static void copy_in_hardirq_ok(struct kunit *test)
{
	struct arena *arena = usual(test);
	struct arena_stats was;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, arena_populate(arena, CAPACITY, GFP_KERNEL), 0);
	was = arena_test_stats(arena);
	for (i = 0; i < 3; i++)
		arena_in_irq(take_all_irq, arena);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).allocs, was.allocs + 3 * 8);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).resets, 0);
	KUNIT_EXPECT_EQ(test, arena_test_stats(arena).committed, was.committed);
	arena_expect_sane(test, arena);
}

/*
 * Resets in the middle of a copy
 *
 * A timer (struct arena_alarm) interrupts a task that copies into the arena. The timer function
 * resets the arena, allocates all objects that it can get, and writes late.stamp at several places
 * of these objects. If the interrupted copy then continued into their memory, it would overwrite
 * some of these numbers. Sources are long, so most interrupts come in the middle of a copy. Some
 * come between two chunks of the copy, when the CPU is not a writer: before it writes the next
 * chunk, the CPU must find that the generation is over.
 */
#define LATE_SLAB	((size_t)SZ_512K)
#define LATE_OBJECTS	2
/* Bytes between two places with late.stamp. Few suffice: a copy overwrites whole objects. */
#define LATE_STRIDE	1024

struct late {
	struct arena		*arena;
	struct arena_alarm	alarm;
	u8			*src;
	char			*text;
	u8			*object[LATE_OBJECTS];
	unsigned int		nr;
	u64			stamp;
	bool			inside;		/* the task is copying */
	/* The test proves something only if each of these three counts becomes large enough. */
	unsigned long		hits;		/* resets by interrupts during a copy */
	unsigned long		taken;		/* objects that interrupts have allocated */
	unsigned long		copies;		/* copies that have succeeded */
};

/* The lengths of the copies: the first fits into a span, the second does not. */
static const size_t late_sizes[] = { SZ_64K - 64, LATE_SLAB - 64 };

static void late_alarm(void *data)
{
	struct late *late = data;
	size_t at;

	if (!READ_ONCE(late->inside) || arena_reset(late->arena))
		return;
	late->hits++;
	while (late->nr < LATE_OBJECTS) {
		u8 *object = arena_alloc(late->arena, LATE_SLAB, ARENA_NOGROW);

		/*
		 * While the interrupted copy is a writer, the new generation is unsettled, and this
		 * allocation fails.
		 */
		if (!object)
			break;
		for (at = 0; at < LATE_SLAB; at += LATE_STRIDE)
			*(u64 *)(object + at) = late->stamp;
		late->object[late->nr++] = object;
		late->taken++;
	}
}

/*
 * Forgets the objects of the timer function. Returns how many places no longer contain late.stamp.
 */
static unsigned int late_spoiled(struct late *late)
{
	unsigned int bad = 0;
	size_t at;

	for (; late->nr; late->nr--)
		for (at = 0; at < LATE_SLAB; at += LATE_STRIDE)
			bad += *(u64 *)(late->object[late->nr - 1] + at) != late->stamp;
	late->stamp++;
	return bad;
}

static void *late_copy(struct late *late, size_t size, bool string)
{
	void *copy;

	WRITE_ONCE(late->inside, true);
	copy = string ? arena_strndup(late->arena, late->text, size - 1, GFP_KERNEL) :
			arena_memdup(late->arena, late->src, size, GFP_KERNEL);
	WRITE_ONCE(late->inside, false);
	return copy;
}

/* Copy once. The alarm comes within twice the time that the last copy of this length took. */
static unsigned int late_round(struct kunit *test, struct late *late, unsigned int round)
{
	const size_t size = late_sizes[round % ARRAY_SIZE(late_sizes)];
	static u32 took[ARRAY_SIZE(late_sizes)] = { 20000, 100000 };
	u32 *within = &took[round % ARRAY_SIZE(late_sizes)];
	u64 begin;

	KUNIT_ASSERT_EQ(test, arena_reset(late->arena), 0);
	begin = ktime_get_ns();
	arena_alarm_set(&late->alarm, *within);
	late->copies += !!late_copy(late, size, round & 2);
	*within = clamp_t(u64, 2 * (ktime_get_ns() - begin), 2000, NSEC_PER_MSEC);
	arena_alarm_stop(&late->alarm);
	return late_spoiled(late);
}

/* Clause 10: a copy that a reset interrupts does not write into objects of the new generation. */
static void copy_reset_by_irq_no_late_write(struct kunit *test)
{
	const struct arena_kind *kind = test->param_value;
	struct arena *arena = arena_test_create(test, LATE_OBJECTS * LATE_SLAB, LATE_SLAB,
						kind->flags);
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	const unsigned long until = jiffies + msecs_to_jiffies(runtime_ms);
	unsigned int round = 0, spoiled = 0;
	unsigned long patience = 0;

	KUNIT_ASSERT_NOT_NULL(test, late);
	KUNIT_ASSERT_EQ(test, arena_populate(arena, LATE_OBJECTS * LATE_SLAB, GFP_KERNEL), 0);
	late->arena = arena;
	late->src = source(test, LATE_SLAB, 123456);
	late->text = text(test, LATE_SLAB);
	arena_alarm_setup(&late->alarm, late_alarm, late);
	do {
		spoiled += late_round(test, late, round++);
	} while (time_before(jiffies, until) ||
		 ((late->hits < 100 || late->taken < 10 || late->copies < 10) &&
		  arena_patient(&patience)));
	KUNIT_EXPECT_EQ(test, spoiled, 0);
	KUNIT_EXPECT_GE(test, late->hits, 100);
	KUNIT_EXPECT_GE(test, late->taken, 10);
	KUNIT_EXPECT_GE(test, late->copies, 10);
	arena_expect_sane(test, arena);
}

static struct kunit_case arena_bytes_cases[] = {
	KUNIT_CASE_PARAM(alloc_array_overflow_refused, arena_kind_gen_params),
	KUNIT_CASE_PARAM(memdup_each_length_copied, arena_kind_gen_params),
	KUNIT_CASE_PARAM(memdup_aligned_each_alignment_kept, arena_kind_gen_params),
	KUNIT_CASE_PARAM(strdup_each_length_copied, arena_kind_gen_params),
	KUNIT_CASE_PARAM(strndup_each_limit_terminated, arena_kind_gen_params),
	KUNIT_CASE_PARAM(printf_each_format_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(buf_any_appends_kept, arena_kind_gen_params),
	KUNIT_CASE(buf_last_object_in_place),
	KUNIT_CASE(buf_without_memory_null),
	KUNIT_CASE_PARAM(new_each_type_aligned, arena_kind_gen_params),
	KUNIT_CASE(new_dense_arena_packed),
	KUNIT_CASE_PARAM(store_each_type_copied, arena_kind_gen_params),
	KUNIT_CASE_PARAM(copy_without_memory_null, arena_kind_gen_params),
	KUNIT_CASE_PARAM(copy_in_hardirq_ok, arena_kind_gen_params),
	KUNIT_CASE_PARAM(copy_reset_by_irq_no_late_write, arena_kind_gen_params),
	KUNIT_CASE(destroy_all_memory_returned),
	{ }
};

static struct kunit_suite arena_bytes_suite = {
	.name = "arena_bytes",
	.suite_init = arena_test_suite_init,
	.init = arena_test_stay_on_cpu,
	.test_cases = arena_bytes_cases,
};

kunit_test_suite(arena_bytes_suite);

MODULE_DESCRIPTION("KUnit tests of arenas: copies, arrays and strings");
MODULE_LICENSE("GPL");
