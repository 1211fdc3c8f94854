// SPDX-License-Identifier: GPL-2.0
/*
 * A program on a terminal, for scripts that have none:
 *
 *	arena_tty KEYS COMMAND [ARGUMENT...]
 *
 * Each key is typed when the program has cleared its screen once more, and what
 * it draws is copied to standard output. Ends as the program does, or with 125 if
 * that left the terminal in another mode than it found it in.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CLEAR	"\033[J"

static int open_pty(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) || unlockpt(master))
		err(1, "pty");
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0)
		err(1, "%s", ptsname(master));
	return master;
}

static pid_t start(int slave, char **argv)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	for (fd = 0; fd < 3; fd++)
		dup2(slave, fd);
	execvp(*argv, argv);
	err(127, "%s", *argv);
}

/* One character of the screen: a key is due when it completes a clearing of it. */
static void look(int master, char c, const char **keys)
{
	static size_t matched;

	matched = c == CLEAR[matched] ? matched + 1 : c == CLEAR[0];
	if (CLEAR[matched])
		return;
	matched = 0;
	if (**keys && write(master, (*keys)++, 1) != 1)
		err(1, "key");
}

int main(int argc, char **argv)
{
	struct termios before, after;
	int master, slave, status;
	const char *keys;
	pid_t pid;
	char c;

	if (argc < 3)
		errx(2, "usage: arena_tty KEYS COMMAND [ARGUMENT...]");
	keys = argv[1];
	master = open_pty(&slave);
	tcgetattr(slave, &before);
	pid = start(slave, argv + 2);
	/* Ours is open, too, so that its end is seen by the child alone. */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int waiting = 0;

		ioctl(master, FIONREAD, &waiting);
		if (!waiting) {
			usleep(10000);
			continue;
		}
		while (waiting-- && read(master, &c, 1) == 1) {
			if (write(STDOUT_FILENO, &c, 1) != 1)
				return 1;
			look(master, c, &keys);
		}
	}
	tcgetattr(slave, &after);
	fcntl(master, F_SETFL, O_NONBLOCK);
	while (read(master, &c, 1) == 1)
		if (write(STDOUT_FILENO, &c, 1) != 1)
			return 1;
	if (before.c_lflag != after.c_lflag || memcmp(before.c_cc, after.c_cc, sizeof(after.c_cc)))
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
