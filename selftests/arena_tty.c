// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a program on a pseudo terminal of its own, for scripts that have no terminal:
 *
 *	arena_tty KEYS COMMAND [ARGUMENT...]
 *
 * Types one of KEYS each time that COMMAND clears the screen, and copies what COMMAND draws to
 * standard output. COMMAND is a child of a process that acts like a shell with job control: if
 * COMMAND stops, that process prints the line "stopped" and continues COMMAND. The exit status is
 * that of COMMAND, 126 if a signal ended COMMAND, or 125 if COMMAND did not restore the mode of the
 * terminal before it stopped or ended.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CLEAR	"\033[J"

static struct termios before;

static bool mode_changed(int fd)
{
	struct termios now;

	tcgetattr(fd, &now);
	return before.c_lflag != now.c_lflag || memcmp(before.c_cc, now.c_cc, sizeof(now.c_cc));
}

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

/* Starts COMMAND in a process group of its own, in the foreground. */
static pid_t start_job(char **argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	tcsetpgrp(STDIN_FILENO, getpid());
	signal(SIGTTOU, SIG_DFL);
	execvp(*argv, argv);
	err(127, "%s", *argv);
}

/*
 * Starts COMMAND and continues it when it stops, as a shell with job control does: the kernel does
 * not stop a program at Ctrl-Z unless a parent in the same session can continue it.
 */
static int run_job(char **argv)
{
	pid_t pid;
	int status;

	signal(SIGTTOU, SIG_IGN);
	pid = start_job(argv);
	while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
		tcsetpgrp(STDIN_FILENO, getpid());
		if (mode_changed(STDIN_FILENO)) {
			kill(pid, SIGKILL);
			return 125;
		}
		if (write(STDOUT_FILENO, "stopped\n", 8) != 8)
			return 1;
		tcsetpgrp(STDIN_FILENO, pid);
		kill(pid, SIGCONT);
	}
	if (!WIFEXITED(status))
		return 126;
	return WEXITSTATUS(status);
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
	_exit(run_job(argv));
}

/*
 * Handles one character that COMMAND has written. Types the next key if the character completes the
 * sequence that clears the screen.
 */
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
	/* This process has the terminal open, so read() reports no end of file: poll the child. */
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
	if (mode_changed(slave))
		return 125;
	fcntl(master, F_SETFL, O_NONBLOCK);
	while (read(master, &c, 1) == 1)
		if (write(STDOUT_FILENO, &c, 1) != 1)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
