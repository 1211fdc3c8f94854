// SPDX-License-Identifier: GPL-2.0
/*
 * by_name LIBRARY SYMBOL...: load the library by dlopen(), look up each symbol, and use the library
 * by names alone, as a language does that cannot include its header.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libarena.h>

static void *library;

static void *look_up(const char *name)
{
	void *symbol = dlsym(library, name);

	if (!symbol) {
		fprintf(stderr, "by_name: %s\n", dlerror());
		exit(1);
	}
	return symbol;
}

/* Looks up a function of the library by its name. Only its type comes from the header. */
#define BY_NAME(function)	((__typeof__(function) *)look_up(#function))

static bool use(void)
{
	struct arena *arena = BY_NAME(arena_open)("by name", 1 << 20, 0);
	struct arena_mark mark;
	const char *text;
	bool ok;
	int i;

	if (!arena)
		return false;
	text = BY_NAME(arena_strdup)(arena, "text");
	ok = text && !BY_NAME(arena_mark)(arena, &mark);
	for (i = 0; ok && i < 1000; i++)
		ok = BY_NAME(arena_alloc)(arena, 24);
	ok = ok && BY_NAME(arena_offset)(arena) == 8 + 1000 * 24;
	ok = ok && !BY_NAME(arena_rewind)(arena, &mark);
	ok = ok && BY_NAME(arena_offset)(arena) == 8 &&
	     !strcmp(BY_NAME(arena_ptr)(arena, BY_NAME(arena_off)(arena, text)), "text");
	BY_NAME(arena_close)(arena);
	return ok;
}

int main(int argc, char **argv)
{
	int i;

	library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!library) {
		fprintf(stderr, "by_name: %s\n", dlerror());
		return 1;
	}
	for (i = 2; i < argc; i++)
		look_up(argv[i]);
	return !use();
}
