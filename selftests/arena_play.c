// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the calls on an arena that its arguments name. The test scripts run this program to inspect
 * its arena through debugfs, fdinfo and arenactl:
 *
 *	arena_play [STEP...]
 *
 *	setup=NAME,CAPACITY,SLAB[,spans][,zero]
 *	alloc=BYTES[,ALIGN]	store=TEXT	reset=keep|release|zero
 *	rights=N		continue with a descriptor that has only the rights N
 *	info			print what ARENA_IOC_INFO reports, one number a line
 *	fdinfo			print the fdinfo of the descriptor
 *	pid			print the process ID and the number of the descriptor
 *	pause			wait until the process is killed
 *	uid=N			become the user N
 *	exec=COMMAND		execute a shell with this command
 *
 * If a call fails, the program prints the name of the error and continues with the next step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/arena.h>

static int fd = -1;

static void answer(const char *step, int err)
{
	if (err)
		printf("%s: %s\n", step, strerrorname_np(errno));
}

static void do_setup(const char *step, char *what)
{
	struct arena_setup_args args = { .size = sizeof(args) };
	char *word = strtok(what, ",");

	snprintf((char *)args.name, sizeof(args.name), "%s", word ? word : "");
	word = strtok(NULL, ",");
	args.capacity = word ? strtoull(word, NULL, 0) : 0;
	word = strtok(NULL, ",");
	args.slab_size = word ? strtoul(word, NULL, 0) : 0;
	while ((word = strtok(NULL, ",")))
		args.flags |= strcmp(word, "spans") ? ARENA_SETUP_ZERO : ARENA_SETUP_SPANS;
	answer(step, ioctl(fd, ARENA_IOC_SETUP, &args));
}

static void do_alloc(const char *step, char *what)
{
	struct arena_alloc_args args = { .size = sizeof(args) };
	char *end;

	args.bytes = strtoull(what, &end, 0);
	if (*end)
		args.align = strtoull(end + 1, NULL, 0);
	answer(step, ioctl(fd, ARENA_IOC_ALLOC, &args));
}

static void do_store(const char *step, char *what)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (unsigned long)what,
		.bytes = strlen(what),
	};

	answer(step, ioctl(fd, ARENA_IOC_STORE, &args));
}

static void do_reset(const char *step, char *what)
{
	struct arena_reset_args args = { .size = sizeof(args) };

	if (!strcmp(what, "release"))
		args.mode = ARENA_RESET_RELEASE;
	else if (!strcmp(what, "zero"))
		args.mode = ARENA_RESET_ZERO;
	answer(step, ioctl(fd, ARENA_IOC_RESET, &args));
}

static void do_rights(const char *step, char *what)
{
	struct arena_dup_args args = { .size = sizeof(args), .rights = strtoul(what, NULL, 0) };
	int err = ioctl(fd, ARENA_IOC_DUP, &args);

	answer(step, err);
	if (err)
		return;
	close(fd);
	fd = args.fd;
}

#define NUMBER(_member)	printf(#_member " %llu\n", (unsigned long long)args._member)

static void do_info(const char *step, char *what)
{
	struct arena_info_args args = { .size = sizeof(args) };

	if (ioctl(fd, ARENA_IOC_INFO, &args)) {
		answer(step, -1);
		return;
	}
	printf("name %s\n", *args.name ? args.name : "-");
	NUMBER(generation);
	NUMBER(capacity);
	NUMBER(used);
	NUMBER(padding);
	NUMBER(free);
	NUMBER(high);
	NUMBER(peak);
	NUMBER(committed);
	NUMBER(committed_peak);
	NUMBER(slab_size);
	NUMBER(slabs);
	NUMBER(slabs_kept);
	NUMBER(resets);
	NUMBER(allocs);
	NUMBER(fail_space);
	NUMBER(fail_memory);
	NUMBER(fail_arg);
	NUMBER(page_allocs);
	NUMBER(page_frees);
	NUMBER(pool_hits);
}

static void do_fdinfo(const char *step, char *what)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file) {
		answer(step, -1);
		return;
	}
	while (fgets(line, sizeof(line), file))
		fputs(line, stdout);
	fclose(file);
}

static void do_pid(const char *step, char *what)
{
	printf("pid %d fd %d\n", getpid(), fd);
}

static void do_pause(const char *step, char *what)
{
	pause();
}

static void do_uid(const char *step, char *what)
{
	uid_t uid = strtoul(what, NULL, 0);

	answer(step, setgid(uid) || setuid(uid));
}

static void do_exec(const char *step, char *what)
{
	answer(step, execl("/bin/sh", "sh", "-c", what, NULL));
}

static const struct step {
	const char	*name;
	void		(*run)(const char *step, char *what);
} steps[] = {
	{ "setup", do_setup }, { "alloc", do_alloc }, { "store", do_store },
	{ "reset", do_reset }, { "rights", do_rights }, { "info", do_info },
	{ "fdinfo", do_fdinfo }, { "pid", do_pid }, { "pause", do_pause }, { "uid", do_uid },
	{ "exec", do_exec },
};

static void play(const char *arg)
{
	char *copy = strdup(arg), *what = strchrnul(copy, '=');
	size_t i;

	if (*what)
		*what++ = '\0';
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (strcmp(copy, steps[i].name))
			continue;
		steps[i].run(arg, what);
		fflush(stdout);
		free(copy);
		return;
	}
	fprintf(stderr, "arena_play: unknown step %s\n", arg);
	exit(2);
}

int main(int argc, char **argv)
{
	int i;

	fd = open("/dev/arena", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		perror("/dev/arena");
		return 1;
	}
	for (i = 1; i < argc; i++)
		play(argv[i]);
	return 0;
}
