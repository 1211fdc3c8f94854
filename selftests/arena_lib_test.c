// SPDX-License-Identifier: GPL-2.0
/*
 * Tests libarena in one thread (clauses 1, 4, 5, 6, 7, 16, 17, 20, 21 and 23). This file is also
 * built as a 32-bit program.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "arena_lib.h"

/* Clause 7: arena_offset() counts objects exactly, and not the unused bytes of the lease. */
TEST_F_TIMEOUT(lib, offset_with_leases_exact, PATIENCE)
{
	const struct point { double x, y; } point = { 1.5, 3.7 }, *stored;
	const int hundred = 100, *first, *second;

	first = arena_store(self->arena, hundred);
	second = arena_store(self->arena, 2 * hundred);
	ASSERT_NE(NULL, second);
	EXPECT_EQ(100, *first);
	EXPECT_EQ(200, *second);
	EXPECT_EQ(16, arena_offset(self->arena));
	EXPECT_LE(16, arena_high(self->arena));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(0, arena_offset(self->arena));
	stored = arena_store(self->arena, point);
	ASSERT_NE(NULL, stored);
	EXPECT_EQ(0, memcmp(stored, &point, sizeof(point)));
	EXPECT_EQ(16, arena_offset(self->arena));
	EXPECT_EQ(0, arena_off(self->arena, stored));
	EXPECT_EQ(stored, arena_ptr(self->arena, 0));
	stored = arena_store(self->arena, (struct point){ 3.7, 1.5 });
	ASSERT_NE(NULL, stored);
	EXPECT_EQ(0, memcmp(&stored->y, &point.x, sizeof(point.x)));
	EXPECT_EQ(32, arena_offset(self->arena));
}

/* Clause 5: arena_ptr() and arena_off() recognise offsets and addresses outside of the arena. */
TEST_F_TIMEOUT(lib, ptr_of_bad_offset_null, PATIENCE)
{
	EXPECT_EQ(MB, arena_capacity(self->arena));
	EXPECT_NE(NULL, arena_ptr(self->arena, MB - 1));
	EXPECT_EQ(NULL, arena_ptr(self->arena, MB));
	EXPECT_EQ(NULL, arena_ptr(self->arena, -1ULL));
	EXPECT_LE(MB, arena_off(self->arena, self));
	EXPECT_LE(MB, arena_off(self->arena, self->arena->base - 1));
	EXPECT_EQ(0, (uintptr_t)self->arena->base % SLAB);
}

/* Clauses 4, 5: a call with a bad argument fails with an errno, and allocates nothing. */
TEST_F_TIMEOUT(lib, alloc_bad_argument_refused, PATIENCE)
{
	static const struct { size_t size, align; int err; } calls[] = {
		{ 0, 8, EINVAL }, { 0, 64, EINVAL }, { 8, 3, EINVAL }, { 8, 24, EINVAL },
		{ 8, 2 * SLAB, EINVAL }, { 8, ~(SIZE_MAX / 2), EINVAL },
		{ 8, ~(SIZE_MAX / 2) >> 3, EINVAL },
		{ SIZE_MAX, 8, ENOSPC }, { SIZE_MAX - 7, 8, ENOSPC },
		{ SIZE_MAX / 2, 8, ENOSPC }, { MB + 1, 8, ENOSPC }, { MB, 8, ENOSPC },
	};
	struct arena_cursor other = { 0 };
	__u64 before;
	size_t i;

	/* The thread has no lease in the first round, and has a lease in the second round. */
	for (int round = 0; round < 2; round++) {
		before = arena_offset(self->arena);
		for (i = 0; i < ARRAY_SIZE(calls) - !round; i++) {
			errno = 0;
			EXPECT_EQ(NULL, arena_alloc_aligned(self->arena, calls[i].size,
							    calls[i].align));
			EXPECT_EQ(calls[i].err, errno) TH_LOG("%zu %zu", calls[i].size,
							      calls[i].align);
		}
		EXPECT_EQ(NULL, arena_memdup(self->arena, "", 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(before, arena_offset(self->arena));
		EXPECT_GT(MB, arena_off(self->arena, arena_alloc(self->arena, 1)));
	}
	EXPECT_EQ(NULL, arena_cursor_alloc(&other, 8));
	EXPECT_EQ(EINVAL, errno);
}

/*
 * Clause 1: offset and address of an object are aligned; arena_offset() counts each size rounded up
 * to a multiple of 8.
 */
TEST_F_TIMEOUT(lib, alloc_with_alignment_aligned, PATIENCE)
{
	char *at;

	for (size_t align = 0; align <= SLAB; align = align ? 2 * align : 1) {
		at = arena_alloc_aligned(self->arena, 24, align);
		ASSERT_NE(NULL, at) TH_LOG("%zu: %s", align, strerror(errno));
		EXPECT_EQ(0, (uintptr_t)at & (align ? align - 1 : 7));
		EXPECT_EQ(0, arena_off(self->arena, at) & (align ? align - 1 : 7));
		memset(at, 0xff, 24);
	}
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	for (size_t size = 1; size <= 40; size++)
		ASSERT_NE(NULL, arena_alloc(self->arena, size));
	EXPECT_EQ(8 * (8 + 16 + 24 + 32 + 40), arena_offset(self->arena));
}

/* Clause 7: an alignment larger than a lease does not make the library take a larger lease. */
TEST(alloc_large_alignment_no_lease)
{
	struct arena *arena = arena_open("large slabs", 1 << 30, 0);
	__u64 offset, before = 0;

	ASSERT_NE(NULL, arena) TH_LOG("%s", strerror(errno));
	ASSERT_NE(NULL, arena_alloc(arena, 8));
	ASSERT_NE(NULL, arena_alloc_aligned(arena, 8, 2 << 20));
	EXPECT_GE(2 * 4096, arena_offset(arena));
	for (size_t i = 0; i < (2 << 20) / CELL; i++) {
		ASSERT_NE(NULL, arena_alloc(arena, CELL));
		offset = arena_offset(arena);
		ASSERT_LE(before + CELL, offset);
		before = offset;
	}
	arena_close(arena);
}

/* Clauses 4, 16: one thread can allocate every byte; after a failure, smaller objects still fit. */
TEST_F_TIMEOUT(lib, alloc_when_full_takes_every_byte, PATIENCE)
{
	size_t nr = 0;

	while (stamped(self->arena, CELL, 1, nr))
		nr++;
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(MB / CELL, nr);
	EXPECT_EQ(MB, arena_offset(self->arena));
	for (size_t i = 0; i < nr; i++)
		ASSERT_TRUE(is_stamped(self->arena, i * CELL, 1, i));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	for (nr = 1; nr < MB / CELL; nr++)
		ASSERT_NE(NULL, arena_alloc(self->arena, CELL));
	EXPECT_EQ(NULL, arena_alloc(self->arena, CELL + 1));
	EXPECT_EQ(MB - CELL, arena_offset(self->arena));
	EXPECT_NE(NULL, arena_alloc(self->arena, CELL / 2));
	EXPECT_NE(NULL, arena_alloc(self->arena, CELL / 2));
	EXPECT_EQ(NULL, arena_alloc(self->arena, 1));
	EXPECT_EQ(ENOSPC, errno);
}

/*
 * Clause 16: even if the size of a slab is not a multiple of the object size, a thread can fill
 * each slab with as many objects as fit into the slab.
 */
TEST_F_TIMEOUT(lib, alloc_odd_sizes_until_full_as_kernel, PATIENCE)
{
	static const size_t sizes[] = { 24, 40, 56, 72, 1000, 5000, 9000, 20000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t nr = 0;

		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
		while (arena_alloc(self->arena, sizes[i]))
			nr++;
		EXPECT_EQ(ENOSPC, errno);
		EXPECT_LE(MB / SLAB * (SLAB / sizes[i]), nr) TH_LOG("size %zu", sizes[i]);
		EXPECT_GE(MB / sizes[i], nr);
		EXPECT_LE(nr * sizes[i], arena_offset(self->arena));
	}
}

/* Clause 5: objects may be larger than a lease or a slab, and as large as the arena. */
TEST_F_TIMEOUT(lib, alloc_large_ok, PATIENCE)
{
	char *at = arena_alloc(self->arena, 8);

	ASSERT_NE(NULL, at);
	for (size_t size = SLAB / 16; size <= 4 * SLAB; size *= 2) {
		at = arena_alloc(self->arena, size);
		ASSERT_NE(NULL, at) TH_LOG("%zu: %s", size, strerror(errno));
		memset(at, 1, size);
	}
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	at = arena_alloc(self->arena, MB);
	ASSERT_NE(NULL, at);
	memset(at, 1, MB);
	EXPECT_EQ(MB, arena_offset(self->arena));
	EXPECT_EQ(NULL, arena_alloc(self->arena, 1));
}

/* Clause 1: the calls for strings, formatted text and bytes store a copy in the arena. */
TEST_F_TIMEOUT(lib, strdup_copies, PATIENCE)
{
	char text[1000], *copy;

	EXPECT_STREQ("hello", arena_strdup(self->arena, "hello"));
	EXPECT_STREQ("hel", arena_strndup(self->arena, "hello", 3));
	EXPECT_STREQ("hello", arena_strndup(self->arena, "hello", 100));
	EXPECT_STREQ("", arena_strndup(self->arena, "hello", 0));
	EXPECT_STREQ("7 of nine", arena_printf(self->arena, "%d of %s", 7, "nine"));
	for (size_t len = 254; len < 259; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		copy = arena_printf(self->arena, "%s", text);
		EXPECT_STREQ(text, copy);
	}
	EXPECT_EQ(0, memcmp("a\0b", arena_memdup(self->arena, "a\0b", 3), 3));
}

/* Clause 6: arena_zalloc() returns zeroed memory even where an older object lay. */
TEST_F_TIMEOUT(lib, zalloc_after_reset_zeroed, PATIENCE)
{
	static const char none[SLAB];
	char *object;

	for (size_t size = 1; size <= SLAB; size *= 4) {
		ASSERT_NE(NULL, object = arena_alloc(self->arena, size));
		memset(object, 0xff, size);
		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
		ASSERT_EQ(object, arena_zalloc(self->arena, size));
		EXPECT_EQ(0, memcmp(object, none, size)) TH_LOG("size %zu", size);
		ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	}
	EXPECT_EQ(NULL, arena_zalloc(self->arena, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, arena_zalloc(self->arena, MB + 1));
	EXPECT_EQ(ENOSPC, errno);
}

/* Clauses 1, 4: a batch makes all its objects, or none. */
TEST_F_TIMEOUT(lib, batch_all_or_none, PATIENCE)
{
	struct arena_batch_item items[3] = {
		{ .bytes = 6, .src = (uintptr_t)"first" }, { .bytes = SLAB + 8 },
		{ .bytes = 7, .src = (uintptr_t)"second" },
	};
	__u64 before;

	ASSERT_NE(NULL, arena_alloc(self->arena, 8));
	ASSERT_EQ(0, arena_batch(self->arena, items, 3, 0));
	EXPECT_STREQ("first", arena_ptr(self->arena, items[0].offset));
	EXPECT_STREQ("second", arena_ptr(self->arena, items[2].offset));
	EXPECT_LE(items[0].offset + 6, items[1].offset);
	EXPECT_LE(items[1].offset + SLAB + 8, items[2].offset);
	before = arena_offset(self->arena);
	items[1].bytes = MB;
	EXPECT_EQ(-1, arena_batch(self->arena, items, 3, 0));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, arena_batch(self->arena, items, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(before, arena_offset(self->arena));
}

/* Clauses 4, 21: arena_commit() commits whole slabs, and refuses more than the capacity. */
TEST_F_TIMEOUT(lib, commit_beforehand_in_slabs, PATIENCE)
{
	struct arena_info_args info = { .size = sizeof(info) };

	ASSERT_EQ(0, arena_commit(self->arena, SLAB + 1));
	ASSERT_EQ(0, ioctl(arena_fd(self->arena), ARENA_IOC_INFO, &info));
	EXPECT_EQ(2 * SLAB, info.committed);
	EXPECT_EQ(-1, arena_commit(self->arena, arena_capacity(self->arena) + 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ioctl(arena_fd(self->arena), ARENA_IOC_INFO, &info));
	EXPECT_EQ(2 * SLAB, info.committed);
}

/*
 * Clause 28: arena_resize() grows and shrinks the last object in place, even beyond the end of the
 * lease.
 */
TEST_F_TIMEOUT(lib, resize_last_in_place, PATIENCE)
{
	char *object = arena_strdup(self->arena, "seven..");
	size_t size = 8;

	ASSERT_NE(NULL, object);
	for (; size < MB / 2; size *= 2) {
		ASSERT_EQ(0, arena_resize(self->arena, object, size, 2 * size));
		EXPECT_STREQ("seven..", object);
		memset(object + size, 'x', size);
		EXPECT_EQ(2 * size, arena_offset(self->arena));
	}
	ASSERT_EQ(0, arena_resize(self->arena, object, size, 13));
	EXPECT_EQ(16, arena_offset(self->arena));
	EXPECT_EQ(object + 16, arena_alloc(self->arena, 8));
	/* @object is no longer the last object, and can grow only into its own padding. */
	EXPECT_EQ(0, arena_resize(self->arena, object, 13, 16));
	EXPECT_EQ(-1, arena_resize(self->arena, object, 16, 17));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(0, arena_resize(self->arena, object, 16, 8));
	EXPECT_EQ(24, arena_offset(self->arena));
	EXPECT_EQ(-1, arena_resize(self->arena, object, 8, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, arena_resize(self->arena, object + 16, 8, SIZE_MAX));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, arena_resize(self->arena, object + 16, 8, MB));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(24, arena_offset(self->arena));
}

/* Clause 28: arena_realloc() copies an object that cannot grow in place. */
TEST_F_TIMEOUT(lib, realloc_copies, PATIENCE)
{
	char *object = arena_realloc(self->arena, NULL, 0, 6), *copy;

	ASSERT_NE(NULL, object);
	memcpy(object, "hello", 6);
	EXPECT_EQ(object, arena_realloc(self->arena, object, 6, 100));
	ASSERT_NE(NULL, arena_alloc(self->arena, 1));
	copy = arena_realloc(self->arena, object, 100, 1000);
	ASSERT_NE(NULL, copy);
	EXPECT_NE(object, copy);
	EXPECT_STREQ("hello", copy);
	/*
	 * libarena allocates an object that is too large for a lease by an ioctl of its own.
	 * arena_realloc() also copies such an object.
	 */
	copy = arena_realloc(self->arena, copy, 1000, 2 * SLAB);
	EXPECT_STREQ("hello", copy);
	copy = arena_realloc(self->arena, copy, 2 * SLAB, 3 * SLAB);
	EXPECT_STREQ("hello", copy);
	EXPECT_EQ(NULL, arena_realloc(self->arena, copy, 3 * SLAB, MB));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(NULL, arena_realloc(self->arena, copy, 3 * SLAB, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* Clause 28: after a reset, arena_resize() no longer treats an older object as the last object. */
TEST_F_TIMEOUT(lib, resize_after_reset_fails, PATIENCE)
{
	char *object = arena_alloc(self->arena, 8);

	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(-1, arena_resize(self->arena, object, 8, 16));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(0, arena_offset(self->arena));
}

/* Returns whether SIGSEGV kills a child process that stores a byte at @at. */
static bool store_faults(char *at)
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		*at = 'x';
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

/*
 * Clauses 17, 19: a sealed arena stays readable at the same address, and all calls that would
 * change it fail.
 */
TEST_F_TIMEOUT(lib, seal_then_all_change_eperm, PATIENCE)
{
	char *text = arena_strdup(self->arena, "sealed");

	ASSERT_NE(NULL, text);
	EXPECT_FALSE(store_faults(text + 5));
	text[5] = 'd';
	ASSERT_EQ(0, arena_seal(self->arena));
	EXPECT_STREQ("sealed", text);
	EXPECT_TRUE(store_faults(text));
	/* This call fails although the lease of this thread has room. */
	EXPECT_EQ(NULL, arena_alloc(self->arena, 8));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(NULL, arena_strdup(self->arena, "more"));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, arena_commit(self->arena, SLAB));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(0, arena_seal(self->arena));
	EXPECT_STREQ("sealed", text);
}

/* Clause 12: a rewind frees exactly the bytes that were allocated after the mark. */
TEST_F_TIMEOUT(lib, rewind_to_mark_restores_offset, PATIENCE)
{
	char *kept = arena_strdup(self->arena, "kept"), *first = NULL, *object;
	struct arena_mark mark, inner;

	ASSERT_NE(NULL, kept);
	ASSERT_EQ(0, arena_mark(self->arena, &mark));
	for (size_t round = 0; round < 100; round++) {
		object = arena_alloc(self->arena, 8);
		EXPECT_EQ(kept + 8, object);
		ASSERT_EQ(0, arena_mark(self->arena, &inner));
		ASSERT_NE(NULL, arena_alloc(self->arena, 2 * SLAB));
		for (size_t i = 0; i < round * 20; i++)
			ASSERT_NE(NULL, stamped(self->arena, CELL, round, i));
		ASSERT_EQ(0, arena_rewind(self->arena, &inner));
		EXPECT_EQ(16, arena_offset(self->arena));
		first = arena_alloc(self->arena, 8);
		EXPECT_EQ(object + 8, first);
		ASSERT_EQ(0, arena_rewind(self->arena, &mark));
		EXPECT_EQ(8, arena_offset(self->arena));
		EXPECT_STREQ("kept", kept);
		EXPECT_EQ(-1, arena_rewind(self->arena, &inner));
		EXPECT_EQ(ESTALE, errno);
	}
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(-1, arena_rewind(self->arena, &mark));
	EXPECT_EQ(ESTALE, errno);
}

static int allocate_in_scope(struct arena *arena, bool leave, int failed)
{
	arena_scope(arena, return failed) {
		if (!arena_alloc(arena, 1000))
			break;
		arena_scope(arena, return failed)
			if (!arena_alloc(arena, SLAB))
				break;
		if (leave)
			return 1;
	}
	return 0;
}

/*
 * Clause 12: arena_scope() frees the objects that its block allocated, even if a return statement
 * leaves the block.
 */
TEST_F_TIMEOUT(lib, scope_end_frees, PATIENCE)
{
	ASSERT_NE(NULL, arena_alloc(self->arena, 8));
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(i % 2, allocate_in_scope(self->arena, i % 2, -1));
		EXPECT_EQ(8, arena_offset(self->arena));
	}
}

/* Clause 13: a handle names its object until a reset or a rewind frees the object. */
TEST_F_TIMEOUT(lib, deref_of_freed_object_null, PATIENCE)
{
	struct arena_handle below, above, forged;
	struct arena_mark mark;

	below = arena_handle(self->arena, arena_strdup(self->arena, "below"));
	ASSERT_EQ(0, arena_mark(self->arena, &mark));
	above = arena_handle(self->arena, arena_strdup(self->arena, "above"));
	EXPECT_STREQ("below", arena_deref(self->arena, below));
	EXPECT_STREQ("above", arena_deref(self->arena, above));
	ASSERT_EQ(0, arena_rewind(self->arena, &mark));
	ASSERT_NE(NULL, arena_strdup(self->arena, "other"));
	EXPECT_STREQ("below", arena_deref(self->arena, below));
	EXPECT_EQ(NULL, arena_deref(self->arena, above));
	EXPECT_EQ(ESTALE, errno);
	forged = arena_handle(self->arena, self->arena->base);
	for (int bit = 0; bit < 64; bit++) {
		forged.offset = arena_high(self->arena) + (1ULL << bit) - 1;
		EXPECT_EQ(NULL, arena_deref(self->arena, forged));
	}
	EXPECT_EQ(NULL, arena_deref(self->arena, arena_handle(self->arena, self)));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_KEEP));
	EXPECT_EQ(NULL, arena_deref(self->arena, below));
	EXPECT_EQ(ESTALE, errno);
}

/*
 * Clause 18: a program can choose the size of a slab; arena_open_setup() refuses a size that is not
 * a power of two.
 */
TEST(open_setup_slab_size)
{
	struct arena_setup_args setup = {
		.size = sizeof(setup),
		.capacity = 64 * MB,
		.slab_size = 2 * MB,
	};
	struct arena *arena = arena_open_setup(&setup);

	if (!arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, arena);
	EXPECT_EQ(64 * MB, arena_capacity(arena));
	/* The largest alignment is the size of a slab. */
	EXPECT_NE(NULL, arena_alloc_aligned(arena, 8, 2 * MB));
	EXPECT_EQ(NULL, arena_alloc_aligned(arena, 8, 4 * MB));
	arena_close(arena);
	setup.slab_size = 3 * MB;
	EXPECT_EQ(NULL, arena_open_setup(&setup));
	EXPECT_EQ(EINVAL, errno);
}

/* Clause 1: a thread that uses several arenas has a lease in each of them. */
TEST_F_TIMEOUT(lib, alloc_in_several_arenas_disjoint, PATIENCE)
{
	struct arena *arenas[3];

	for (int i = 0; i < 3; i++)
		ASSERT_NE(NULL, arenas[i] = arena_open(NULL, 4 * MB, 0));
	for (int nr = 0; nr < OBJECTS; nr++)
		for (int i = 0; i < 3; i++)
			ASSERT_NE(NULL, stamped(arenas[i], CELL, i, nr));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(OBJECTS * CELL, arena_offset(arenas[i]));
		for (int nr = 0; nr < OBJECTS; nr++)
			ASSERT_TRUE(is_stamped(arenas[i], nr * CELL, i, nr));
		arena_close(arenas[i]);
	}
}

/* Clause 21: a process can have at most ARENA_OPEN_MAX arenas open. */
TEST_F_TIMEOUT(lib, open_too_many_fails, PATIENCE)
{
	static struct arena *arenas[ARENA_OPEN_MAX];
	struct rlimit many = { 4096, 4096 };
	int nr = 0, fd = arena_fd(self->arena);

	if (setrlimit(RLIMIT_NOFILE, &many))
		SKIP(return, "no more descriptors");
	while (nr < ARENA_OPEN_MAX && (arenas[nr] = arena_attach(fd)))
		nr++;
	EXPECT_EQ(ARENA_OPEN_MAX - 1, nr);
	EXPECT_EQ(EMFILE, errno);
	/*
	 * The thread has a lease for each entry of arenas[], although all entries are attached to
	 * one arena.
	 */
	for (int i = 0; i < 20; i++)
		EXPECT_NE(NULL, stamped(arenas[i], CELL, i, 0));
	EXPECT_LE(20 * CELL, arena_offset(self->arena));
	while (nr--)
		arena_close(arenas[nr]);
}

#ifndef FAKE

static sigjmp_buf back;

static void caught(int sig)
{
	siglongjmp(back, sig);
}

/* Returns whether a store to @at succeeds, and does not raise SIGBUS. */
static bool test_memory(char *at)
{
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_NODEFER }, old;
	bool there = false;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(back, 1)) {
		__atomic_fetch_add(at, 1, __ATOMIC_RELAXED);
		there = true;
	}
	sigaction(SIGBUS, &old, NULL);
	return there;
}

/*
 * Clause 20: after a strict reset, a store to an old object faults until a new object lies there.
 */
TEST_F_TIMEOUT(lib, store_after_strict_reset_faults, PATIENCE)
{
	char *object = arena_alloc(self->arena, CELL);

	ASSERT_NE(NULL, object);
	EXPECT_TRUE(test_memory(object));
	ASSERT_EQ(0, arena_reset(self->arena, ARENA_RESET_STRICT));
	EXPECT_FALSE(test_memory(object));
	ASSERT_EQ(object, arena_alloc(self->arena, CELL));
	EXPECT_EQ(0, *object);
	EXPECT_TRUE(test_memory(object));
}

/*
 * Clause 6: in an arena with ARENA_SETUP_ZERO, objects are zero even in memory that older objects
 * used.
 */
TEST(alloc_in_zero_arena_zeroed)
{
	struct arena *arena = arena_open("zero", MB, ARENA_SETUP_ZERO);
	char *object, none[CELL] = { 0 };

	if (!arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, arena);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			object = arena_alloc(arena, CELL);
			ASSERT_EQ(0, memcmp(object, none, CELL));
			memset(object, 0xff, CELL);
		}
		ASSERT_EQ(0, arena_reset(arena, ARENA_RESET_KEEP));
	}
	arena_close(arena);
}

/*
 * Clauses 6, 28: in an arena with ARENA_SETUP_ZERO, a new object is zero even if it lies where a
 * shrunk object ended before.
 */
TEST(alloc_after_shrink_zeroed)
{
	struct arena *arena = arena_open("zero", MB, ARENA_SETUP_ZERO);
	char *object, none[CELL] = { 0 };

	if (!arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, arena);
	object = arena_alloc(arena, 2 * CELL);
	memset(object, 0xff, 2 * CELL);
	ASSERT_EQ(0, arena_resize(arena, object, 2 * CELL, CELL));
	object = arena_alloc(arena, CELL);
	EXPECT_EQ(0, memcmp(object, none, CELL));
	arena_close(arena);
}

/*
 * Clause 12: an arena with spans has no marks, so arena_scope() fails and does not run its block.
 */
TEST(scope_without_marks_fails)
{
	struct arena *arena = arena_open("spans", MB, ARENA_SETUP_SPANS);

	if (!arena && errno == ENOENT)
		SKIP(return, "no /dev/arena");
	ASSERT_NE(NULL, arena);
	EXPECT_EQ(-7, allocate_in_scope(arena, false, -7));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, arena_offset(arena));
	arena_close(arena);
}

/* Clause 17: a call through a descriptor that lacks the necessary right fails with an errno. */
TEST_F_TIMEOUT(lib, call_without_right_fails, PATIENCE)
{
	int read_only = arena_share(self->arena, ARENA_RIGHT_READ);
	int append = arena_share(self->arena, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC);
	int blind = arena_share(self->arena, ARENA_RIGHT_ALLOC);
	struct arena *arena;
	char *copy;

	ASSERT_NE(NULL, arena_strdup(self->arena, "first"));
	EXPECT_EQ(NULL, arena_attach(blind));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_attach(-1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(NULL, arena_attach(0));
	arena = arena_attach(read_only);
	ASSERT_NE(NULL, arena);
	EXPECT_STREQ("first", arena_ptr(arena, 0));
	EXPECT_EQ(NULL, arena_alloc(arena, 8));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_strdup(arena, "x"));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(NULL, arena_strndup(arena, "x", 1));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, arena_reset(arena, ARENA_RESET_KEEP));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, arena_share(arena, ARENA_RIGHT_READ | ARENA_RIGHT_ALLOC));
	EXPECT_EQ(EACCES, errno);
	arena_close(arena);
	arena = arena_attach(append);
	ASSERT_NE(NULL, arena);
	EXPECT_EQ(NULL, arena_alloc(arena, 8));
	EXPECT_EQ(EACCES, errno);
	copy = arena_strdup(arena, "second");
	EXPECT_STREQ("second", copy);
	EXPECT_STREQ("second", arena_ptr(self->arena, arena_off(arena, copy)));
	EXPECT_STREQ("thi", arena_strndup(arena, "third", 3));
	EXPECT_STREQ("4", arena_printf(arena, "%d", 4));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, arena_off(arena, arena_store(arena, (char)i)) % 8);
	EXPECT_EQ(-1, mprotect(arena->base, SLAB, PROT_READ | PROT_WRITE));
	arena_close(arena);
	close(read_only);
	close(append);
	close(blind);
}

/* Clause 23: only the kernel writes the status page. */
TEST_F_TIMEOUT(lib, store_to_status_page_faults, PATIENCE)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *status = (void *)self->arena->status;
	__u64 lie = 0;
	int fd;

	EXPECT_EQ(-1, mprotect(status, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
				   arena_fd(self->arena), ARENA_STATUS_OFFSET));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, &lie, sizeof(lie), (off_t)(uintptr_t)status));
	close(fd);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, read(fd, status, sizeof(lie)));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
	EXPECT_EQ(1, self->arena->status->version);
	EXPECT_EQ(MB, self->arena->status->capacity);
}

/* Clause 17: while another mapping is writable, arena_seal() fails and changes nothing. */
TEST_F_TIMEOUT(lib, seal_while_mapped_writable_ebusy, PATIENCE)
{
	char *text = arena_strdup(self->arena, "open"), *other;

	ASSERT_NE(NULL, text);
	other = mmap(NULL, SLAB, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd(self->arena), 0);
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(-1, arena_seal(self->arena));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_STREQ("open", text);
	text[0] = 'O';
	EXPECT_STREQ("Open", other);
	EXPECT_EQ(text + 8, arena_strdup(self->arena, "next"));
	munmap(other, SLAB);
	EXPECT_EQ(0, arena_seal(self->arena));
	EXPECT_STREQ("Open", text);
}

#endif /* FAKE */

TEST_HARNESS_MAIN
