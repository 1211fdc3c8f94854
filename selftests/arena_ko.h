/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of the device that need a module of the tests: it is loaded if it is not there,
 * and goes with the test.
 */
#ifndef ARENA_KO_H
#define ARENA_KO_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether it was not there. To be called before main(), and so in no child. */
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

#endif /* ARENA_KO_H */
