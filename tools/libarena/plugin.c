// SPDX-License-Identifier: GPL-2.0
/*
 * A shared object that uses libarena. plugin_host.c loads it, to test that the library works in
 * programs that load it by dlopen().
 */
#include <stdbool.h>
#include <libarena.h>

/* Uses the library, and its inline functions, in the calling thread. */
bool plugin_use(void)
{
	struct arena *arena = arena_open("plugin", 1 << 20, 0);
	bool ok = arena;
	int i;

	for (i = 0; ok && i < 1000; i++)
		ok = arena_alloc(arena, 24) && arena_strdup(arena, "text");
	ok = ok && !arena_reset(arena, ARENA_RESET_KEEP) && arena_alloc(arena, 8);
	arena_close(arena);
	return ok;
}
