// SPDX-License-Identifier: GPL-2.0
/*
 * misuse HOW: use memory of an arena as HOW says. lib-test.sh runs this program under
 * AddressSanitizer and under valgrind. They must report the line that a comment marks with HOW; if
 * HOW is "not", they must report nothing.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libarena.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Atomic accesses, because the compiler might leave out others. */
#define PUT(_at, _value)	__atomic_store_n(_at, _value, __ATOMIC_RELAXED)
#define GET(_at)		__atomic_load_n(_at, __ATOMIC_RELAXED)

static struct arena *arena;

static void after_reset(void)
{
	char *object = arena_alloc(arena, 40);

	PUT(&object[39], 1);
	arena_reset(arena, ARENA_RESET_KEEP);
	PUT(&object[39], 2);	/* after_reset */
}

static void after_reset_and_alloc(void)
{
	char *object, *other = arena_alloc(arena, 1000);

	object = arena_alloc(arena, 40);
	arena_reset(arena, ARENA_RESET_KEEP);
	other = arena_alloc(arena, 8);
	PUT(&other[7], GET(&object[0]));	/* after_reset_and_alloc */
}

static void after_rewind(void)
{
	char *kept = arena_zalloc(arena, 40), *object;
	struct arena_mark mark;

	arena_mark(arena, &mark);
	object = arena_zalloc(arena, 40);
	PUT(&object[0], GET(&kept[39]));
	arena_rewind(arena, &mark);
	PUT(&kept[0], GET(&kept[39]));
	PUT(&object[0], GET(&kept[39]));	/* after_rewind */
}

static void after_scope(void)
{
	char *object = NULL;

	arena_scope(arena, return)
		object = arena_alloc(arena, 100000);
	PUT(&object[99999], 1);	/* after_scope */
}

static void beyond_end(void)
{
	char *object = arena_alloc(arena, 13);

	PUT(&object[12], 1);
	PUT(&object[13], 1);	/* beyond_end */
}

static void beyond_cursor_end(void)
{
	char *object = arena_cursor_alloc(arena_cursor(arena), 16);

	PUT(&object[15], 1);
	PUT(&object[16], 1);	/* beyond_cursor_end */
}

static void beyond_string_end(void)
{
	const char *text = arena_printf(arena, "%d", 1234567);

	if (GET(&text[7]))
		puts("no string");
	if (GET(&text[8]) == 'x')	/* beyond_string_end */
		puts("x");
}

static void beyond_shrunk_end(void)
{
	char *object = arena_alloc(arena, 64);

	arena_resize(arena, object, 64, 20);
	PUT(&object[19], 1);
	PUT(&object[20], 1);	/* beyond_shrunk_end */
}

static void use_all(void)
{
	struct arena_batch_item items[2] = {
		{ .bytes = 100 }, { .bytes = 5, .src = (uintptr_t)"four" },
	};
	char *object = arena_realloc(arena, NULL, 0, 13);

	memset(object, 1, 13);
	if (!arena_resize(arena, object, 13, 16))
		memset(object, 2, 16);
	object = arena_realloc(arena, object, 16, 200);
	memset(object, object[15], 200);
	if (!arena_batch(arena, items, 2, 0))
		memset(arena_ptr(arena, items[0].offset), 3, 100);
	printf("%s %s %s\n", (char *)arena_ptr(arena, items[1].offset),
	       arena_strndup(arena, "sevenseven", 5), arena_printf(arena, "%300d", 7));
	memset(arena_alloc_aligned(arena, 100000, 4096), 4, 100000);
}

/* The child allocates where the parent knows of no object; the parent reads there: no misuse. */
static void use_in_child(void)
{
	int status;
	pid_t pid;

	arena_alloc(arena, 40);
	arena_reset(arena, ARENA_RESET_KEEP);
	pid = fork();
	if (!pid)
		_exit(!arena_strdup(arena, "the child's"));
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the child failed");
	puts(arena_ptr(arena, 0));
}

/* Uses other memory at addresses that an arena may have had before it was closed: no misuse. */
static void use_addresses(void)
{
	char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	memset(at, 5, 1 << 20);
	munmap(at, 1 << 20);
}

static void not(void)
{
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < 3; j++) {
			use_all();
			arena_reset(arena, ARENA_RESET_KEEP);
		}
		arena_close(arena);
		use_addresses();
		arena = arena_open("misuse", 1 << 20, i % 2 ? ARENA_SETUP_ZERO : 0);
		if (!arena)
			err(1, "arena_open");
	}
	use_in_child();
}

#define HOW(name)	{ #name, name }

static const struct {
	const char *name;
	void (*use)(void);
} hows[] = {
	HOW(after_reset), HOW(after_reset_and_alloc), HOW(after_rewind), HOW(after_scope),
	HOW(beyond_end), HOW(beyond_cursor_end), HOW(beyond_string_end), HOW(beyond_shrunk_end),
	HOW(not),
};

int main(int argc, char **argv)
{
	arena = arena_open("misuse", 1 << 20, 0);
	if (!arena)
		err(1, "arena_open");
	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		if (argc != 2 || strcmp(hows[i].name, argv[1]))
			continue;
		hows[i].use();
		arena_close(arena);
		return 0;
	}
	errx(2, "usage: misuse HOW");
}
