// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of memory allocation profiling: /proc/allocinfo counts the memory of an arena for the line
 * that created the arena, even if code elsewhere makes the arena grow (clause 26).
 */
#include <linux/arena_private.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "arena_test.h"

#define TEXT_MAX	SZ_8M		/* larger than the text of /proc/allocinfo */
#define FILL		SZ_1M
#define EXTRA		SZ_64K		/* more than an arena of FILL bytes takes besides slabs */

static struct vfsmount *proc;		/* a mount of procfs, which user space does not see */

static struct file *proc_open(const char *name, int flags)
{
	return file_open_root_mnt(proc, name, flags, 0);
}

static int profile_init(struct kunit *test)
{
	struct file_system_type *type;

#ifdef CONFIG_MEM_ALLOC_PROFILING
	if (!mem_alloc_profiling_enabled())
		kunit_skip(test, "not booted with sysctl.vm.mem_profiling=1");
#else
	kunit_skip(test, "no memory allocation profiling");
#endif
	type = get_fs_type("proc");
	KUNIT_ASSERT_NOT_NULL(test, type);
	proc = kern_mount(type);
	put_filesystem(type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(proc));
	return 0;
}

static void profile_exit(struct kunit *test)
{
	if (IS_ERR_OR_NULL(proc))
		return;
	kern_unmount(proc);
	proc = NULL;
}

/* Read /proc/allocinfo into @text, which has room for TEXT_MAX bytes, and terminate it. */
static bool allocinfo_read(char *text)
{
	struct file *file = proc_open("allocinfo", O_RDONLY);
	size_t len = 0;
	ssize_t got;
	loff_t pos = 0;

	if (IS_ERR(file))
		return false;
	do {
		got = kernel_read(file, text + len, TEXT_MAX - 1 - len, &pos);
		len += max_t(ssize_t, got, 0);
	} while (got > 0);
	fput(file);
	text[len] = '\0';
	return !got && len < TEXT_MAX - 1;
}

/*
 * Returns the sum of the bytes that /proc/allocinfo counts for @place: the end of a file name with
 * a colon or, if @place has a line number, that line only. Each line of /proc/allocinfo begins with
 * the number of bytes and the number of calls.
 */
static long counted(struct kunit *test, const char *place)
{
	char *text = vmalloc(TEXT_MAX), *rest = text, *line;
	long bytes, calls, sum = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	if (!allocinfo_read(text)) {
		vfree(text);
		kunit_skip(test, "cannot read /proc/allocinfo");
	}
	while ((line = strsep(&rest, "\n")))
		if (strstr(line, place) && sscanf(line, "%ld %ld", &bytes, &calls) == 2)
			sum += bytes;
	vfree(text);
	return sum;
}

static long counted_here(struct kunit *test, unsigned int line)
{
	char place[64];

	snprintf(place, sizeof(place), "arena_profile_kunit.c:%u ", line);
	return counted(test, place);
}

static void expect_counted(struct kunit *test, unsigned int line, long bytes)
{
	long found = counted_here(test, line);

	kunit_info(test, "%ld bytes are counted for line %u", found, line);
	KUNIT_EXPECT_GE(test, found, bytes);
	KUNIT_EXPECT_LE(test, found, bytes + EXTRA);
}

static struct arena *grow(struct kunit *test, struct arena *arena)
{
	KUNIT_ASSERT_FALSE(test, IS_ERR(arena));
	while (arena_alloc(arena, SZ_4K, GFP_KERNEL))
		;
	return arena;
}

/*
 * Clause 26: /proc/allocinfo counts the slabs of an arena for the line that calls arena_create(),
 * until the arena is destroyed.
 */
static void create_grow_destroy_counted(struct kunit *test)
{
	const struct arena_config config = { .capacity = FILL, .slab_size = SZ_16K };
	long others = counted(test, "core/slab.c:");
	unsigned int line;
	struct arena *arena;

	line = __LINE__ + 1;
	arena = arena_create(&config);
	KUNIT_ASSERT_FALSE(test, IS_ERR(arena));
	expect_counted(test, line, sizeof(long));
	grow(test, arena);
	expect_counted(test, line, FILL);
	KUNIT_EXPECT_EQ(test, counted(test, "core/slab.c:"), others);
	arena_reset_release(arena, 0);
	expect_counted(test, line, sizeof(long));
	arena_destroy(arena);
	KUNIT_EXPECT_EQ(test, counted_here(test, line), 0);
}

/*
 * Clause 26: /proc/allocinfo counts the chunks, which are blocks of pages, of a private arena for
 * the line that calls arena_private_init().
 */
static void private_grow_destroy_counted(struct kunit *test)
{
	struct arena_private arena;
	unsigned int line, i;

	line = __LINE__ + 1;
	arena_private_init(&arena, NULL, 0);
	for (i = 0; i < FILL / SZ_16K; i++)
		if (!arena_private_alloc(&arena, SZ_16K - 64, GFP_KERNEL))
			break;
	KUNIT_EXPECT_EQ(test, i, FILL / SZ_16K);
	expect_counted(test, line, FILL);
	arena_private_destroy(&arena);
	KUNIT_EXPECT_EQ(test, counted_here(test, line), 0);
}

struct brick {
	char	bytes[SZ_1K];
};

DEFINE_ARENA(bricks, struct brick);

static const unsigned int typed_line = __LINE__ - 2;

/*
 * Clause 26: /proc/allocinfo counts a typed arena for the line of DEFINE_ARENA(), with its stamps
 * and, as it has readers, the slabs of both slab sets.
 */
static void typed_create_destroy_counted(struct kunit *test)
{
	struct bricks *bricks = bricks_create(FILL / SZ_1K);

	KUNIT_ASSERT_FALSE(test, IS_ERR(bricks));
	expect_counted(test, typed_line, 2 * FILL + FILL / SZ_1K * sizeof(u64));
	bricks_destroy(bricks);
	KUNIT_EXPECT_EQ(test, counted_here(test, typed_line), 0);
}

static struct kunit_case profile_cases[] = {
	KUNIT_CASE(create_grow_destroy_counted),
	KUNIT_CASE(private_grow_destroy_counted),
	KUNIT_CASE(typed_create_destroy_counted),
	{}
};

static struct kunit_suite profile_suite = {
	.name = "arena_profile",
	.init = profile_init,
	.exit = profile_exit,
	.test_cases = profile_cases,
};

kunit_test_suite(profile_suite);

MODULE_DESCRIPTION("KUnit tests: memory allocation profiling counts arenas");
MODULE_LICENSE("GPL");
