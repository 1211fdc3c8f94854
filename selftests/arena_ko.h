/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for test programs that need a test module: load the module if it is not loaded yet, and
 * unload it when the program ends.
 */
#ifndef ARENA_KO_H
#define ARENA_KO_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Returns true if this call has loaded the module, and false if it was loaded already or cannot be
 * loaded.
 */
static inline bool ko_load(const char *name)
{
	bool loaded;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/ko/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	loaded = !syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return loaded;
}

static inline void ko_unload(const char *name)
{
	syscall(SYS_delete_module, name, O_NONBLOCK);
}

/*
 * Loads a module before main() and unloads it at exit. A forked child that ends by exit() tries to
 * unload the module, too, which fails while the test uses the module. A child that ends by _exit()
 * does not try, because _exit() calls no destructors.
 */
#define KO_FOR_TESTS(name)							\
static bool loaded_##name;							\
static void __attribute__((constructor)) load_##name(void)			\
{										\
	loaded_##name = ko_load(#name);						\
}										\
static void __attribute__((destructor)) unload_##name(void)			\
{										\
	if (loaded_##name)							\
		ko_unload(#name);						\
}

#endif /* ARENA_KO_H */
