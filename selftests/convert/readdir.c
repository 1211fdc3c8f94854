// SPDX-License-Identifier: GPL-2.0
/*
 * Makes and reads directories, for the tests of converted file systems. Reads by getdents64(), so
 * that no C library buffers or sorts.
 *
 *   readdir make DIR PREFIX FROM TO  make empty files PREFIX00001 and so on
 *   readdir list DIR [BYTES]         print the names in the order of the kernel, by a buffer of
 *                                    BYTES
 *   readdir inos DIR                 compare inode numbers of entries with those of stat()
 *   readdir seek DIR                 go back to each entry by lseek(), and read it again
 *   readdir change DIR               add a file while the directory is being read
 *   readdir race DIR PREFIX FROM TO  four tasks look for these names, while a fifth makes, renames
 *                                    and removes others
 *   readdir fail DIR                 the 1st, 2nd, ... nth allocation of a reader fails
 *   readdir fold DIR                 make the empty directory ignore case
 *   readdir hold BYTES               use memory until BYTES are available; keep it until killed
 *   readdir time DIR ROUNDS          print nanoseconds of the fastest open, read and close
 *   readdir kept DIR...              print bytes that the kernel takes for a directory that was
 *                                    read and is open
 *   readdir run COMMAND...           print nanoseconds, and microseconds of system time
 *
 * A check that fails prints why and ends with 1.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER		32768
#define READERS		4
#define ROUNDS		20
#define NTH_MAX		20000

struct names {
	struct name {
		unsigned long long ino;
		off_t off;
		char *text;
	} *at;
	size_t nr;
};

static char buffer[BUFFER];

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(1, "open %s", path);
	return fd;
}

static void add_name(struct names *names, const struct dirent64 *entry)
{
	if (!(names->nr & (names->nr - 1))) {
		size_t room = names->nr ? 2 * names->nr : 1;

		names->at = realloc(names->at, room * sizeof(*names->at));
		if (!names->at)
			err(1, "realloc");
	}
	names->at[names->nr++] = (struct name) { entry->d_ino, entry->d_off,
						 strdup(entry->d_name) };
}

/* Appends what one call reads; returns its result. */
static ssize_t read_some(int fd, struct names *names, size_t size)
{
	ssize_t n = syscall(SYS_getdents64, fd, buffer, size), at = 0;

	while (at < n) {
		const struct dirent64 *entry = (void *)(buffer + at);

		add_name(names, entry);
		at += entry->d_reclen;
	}
	return n;
}

static struct names read_rest(int fd, struct names names, size_t size)
{
	ssize_t n;

	while ((n = read_some(fd, &names, size)) > 0)
		;
	if (n < 0)
		err(1, "getdents64");
	return names;
}

static struct names read_all(const char *path, size_t size)
{
	int fd = open_dir(path);
	struct names names = read_rest(fd, (struct names) { }, size);

	close(fd);
	return names;
}

static void free_names(struct names *names)
{
	while (names->nr)
		free(names->at[--names->nr].text);
	free(names->at);
	*names = (struct names) { };
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void sort_names(struct names *names)
{
	qsort(names->at, names->nr, sizeof(*names->at), by_text);
}

static struct name *find_name(struct names *names, const char *text)
{
	struct name key = { .text = (char *)text };

	return bsearch(&key, names->at, names->nr, sizeof(key), by_text);
}

/*
 * Are all names there from @prefix@from to @prefix@to, and each name that begins with @prefix only
 * once? Sorts the names.
 */
static bool complete(struct names *names, const char *prefix, int from, int to)
{
	char text[300];
	size_t i;

	sort_names(names);
	for (i = 1; i < names->nr; i++) {
		if (!strncmp(names->at[i].text, prefix, strlen(prefix)) &&
		    !strcmp(names->at[i - 1].text, names->at[i].text)) {
			printf("# twice: %s\n", names->at[i].text);
			return false;
		}
	}
	for (; from <= to; from++) {
		snprintf(text, sizeof(text), "%s%05d", prefix, from);
		if (!find_name(names, text)) {
			printf("# missing: %s\n", text);
			return false;
		}
	}
	return true;
}

static void make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "create %s", path);
	close(fd);
}

static int make(char **args)
{
	char path[600];
	int i;

	for (i = atoi(args[2]); i <= atoi(args[3]); i++) {
		snprintf(path, sizeof(path), "%s/%s%05d", args[0], args[1], i);
		make_file(path);
	}
	return 0;
}

static int list_dir(char **args)
{
	struct names names = read_all(args[0], args[1] ? atoi(args[1]) : BUFFER);
	size_t i;

	for (i = 0; i < names.nr; i++)
		puts(names.at[i].text);
	return 0;
}

static int inos(char **args)
{
	struct names names = read_all(args[0], BUFFER);
	struct stat st;
	size_t i;
	int bad = 0;

	if (chdir(args[0]))
		err(1, "chdir %s", args[0]);
	for (i = 0; i < names.nr; i++) {
		if (lstat(names.at[i].text, &st))
			err(1, "stat %s", names.at[i].text);
		if (st.st_ino != names.at[i].ino) {
			printf("# %s: d_ino %llu, st_ino %llu\n", names.at[i].text,
			       names.at[i].ino, (unsigned long long)st.st_ino);
			bad = 1;
		}
	}
	return bad;
}

/* The offset in an entry is the position of the next one. */
static int seek(char **args)
{
	struct names names = read_all(args[0], BUFFER), one = { };
	int fd = open_dir(args[0]);
	size_t i;

	for (i = names.nr; --i;) {
		if (lseek(fd, names.at[i - 1].off, SEEK_SET) < 0)
			err(1, "lseek");
		if (read_some(fd, &one, 300) <= 0 || strcmp(one.at[0].text, names.at[i].text)) {
			printf("# at %lld: %s, expected %s\n", (long long)names.at[i - 1].off,
			       one.nr ? one.at[0].text : "nothing", names.at[i].text);
			return 1;
		}
		free_names(&one);
	}
	return 0;
}

/*
 * Reads a part, adds a file, reads the rest, and reads all again after a rewind. The rest must have
 * what was there before, and the second reading the new file.
 */
static int change(char **args)
{
	struct names before = read_all(args[0], BUFFER), names = { };
	int fd = open_dir(args[0]);
	char path[600];
	size_t i;

	if (read_some(fd, &names, 512) <= 0)
		errx(1, "nothing to read in %s", args[0]);
	snprintf(path, sizeof(path), "%s/added", args[0]);
	make_file(path);
	names = read_rest(fd, names, 512);
	sort_names(&names);
	for (i = 0; i < before.nr; i++)
		if (!find_name(&names, before.at[i].text))
			errx(1, "lost: %s", before.at[i].text);
	free_names(&names);
	if (lseek(fd, 0, SEEK_SET))
		err(1, "lseek");
	names = read_rest(fd, names, BUFFER);
	if (!complete(&names, "added", 1, 0) || !find_name(&names, "added"))
		errx(1, "not there after a rewind: added");
	if (names.nr != before.nr + 1)
		errx(1, "%zu names after a rewind, expected %zu", names.nr, before.nr + 1);
	return unlink(path);
}

static void disturb(const char *dir)
{
	char a[600], b[600];
	int i;

	for (i = 0;; i = (i + 1) % 100) {
		snprintf(a, sizeof(a), "%s/tmp%d", dir, i);
		snprintf(b, sizeof(b), "%s/other%d", dir, i);
		make_file(a);
		if (rename(a, b) || (i % 2 && unlink(b)))
			err(1, "rename or unlink %s", b);
	}
}

static int read_often(char **args)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		struct names names = read_all(args[0], round % 2 ? BUFFER : 700);

		if (!complete(&names, args[1], atoi(args[2]), atoi(args[3])))
			return 1;
		free_names(&names);
	}
	return 0;
}

static pid_t spawn(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	return pid;
}

static int race(char **args)
{
	pid_t writer = spawn(), readers[READERS];
	int i, status, bad = 0;

	if (!writer)
		disturb(args[0]);
	for (i = 0; i < READERS; i++) {
		readers[i] = spawn();
		if (!readers[i])
			exit(read_often(args));
	}
	for (i = 0; i < READERS; i++) {
		waitpid(readers[i], &status, 0);
		bad |= status;
	}
	if (waitpid(writer, &status, WNOHANG))
		errx(1, "the writer has ended");
	kill(writer, SIGKILL);
	waitpid(writer, &status, 0);
	return !!bad;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* By default, allocations that may sleep, and single pages, do not fail. */
static void fail_all_kinds(void)
{
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
}

/* Reads with the nth allocation failing. Returns 0 or an errno, and how many names were read. */
static int read_failing(int nth_fd, const char *dir, int nth, size_t *nr, bool *reached)
{
	char text[16] = "";
	int fd, error = 0, len = snprintf(text, sizeof(text), "%d", nth);
	ssize_t n = 0, at;

	*nr = 0;
	/* The failure may hit this write already; a second one then succeeds. */
	if (pwrite(nth_fd, text, len, 0) != len && pwrite(nth_fd, text, len, 0) != len)
		err(1, "fail-nth");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buffer, BUFFER)) > 0)
		for (at = 0; at < n; at += ((struct dirent64 *)(buffer + at))->d_reclen)
			++*nr;
	if (fd < 0 || n < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	memset(text, 0, sizeof(text));
	*reached = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	if (pwrite(nth_fd, "0", 1, 0) != 1 && pwrite(nth_fd, "0", 1, 0) != 1)
		err(1, "fail-nth");
	return error;
}

static int fail_each(char **args)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), nth, failed = 0, error;
	size_t all, nr;
	bool reached = true;

	if (fd < 0)
		errx(4, "this kernel injects no faults");
	fail_all_kinds();
	if (read_failing(fd, args[0], 0, &all, &reached))
		errx(1, "the directory cannot be read");
	for (nth = 1, reached = true; reached; nth++) {
		if (nth == NTH_MAX)
			errx(1, "no end after %d failures", nth);
		error = read_failing(fd, args[0], nth, &nr, &reached);
		if (error && error != ENOMEM && error != EFAULT)
			errx(1, "failure %d: %s", nth, strerror(error));
		if (!error && nr != all)
			errx(1, "failure %d: %zu names instead of %zu, and no error", nth, nr, all);
		failed += !!error;
		if (read_failing(fd, args[0], 0, &nr, &(bool) { false }) || nr != all)
			errx(1, "after failure %d: %zu names instead of %zu", nth, nr, all);
	}
	printf("# %d allocations failed, of which %d made the call fail\n", nth - 2, failed);
	return failed ? 0 : 1;
}

static int fold(char **args)
{
	int fd = open_dir(args[0]), flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return 1;
	flags |= FS_CASEFOLD_FL;
	return !!ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static long long available(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	long long kb = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lld", &kb) == 1)
			break;
	fclose(file);
	return kb << 10;
}

static int hold(char **args)
{
	const size_t piece = 1 << 20;

	while (available() > atoll(args[0])) {
		void *p = mmap(NULL, piece, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (p == MAP_FAILED)
			err(1, "mmap");
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int time_dir(char **args)
{
	long long best = INT64_MAX, start;
	int round, fd;

	for (round = 0; round < atoi(args[1]); round++) {
		start = now();
		fd = open_dir(args[0]);
		while (syscall(SYS_getdents64, fd, buffer, BUFFER) > 0)
			;
		close(fd);
		start = now() - start;
		if (start < best)
			best = start;
	}
	printf("%lld\n", best);
	return 0;
}

/* Gives back the slabs that are empty, so that the slabs in use can be compared. */
static void shrink_slabs(void)
{
	glob_t found;
	size_t i;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++)
		write_file(found.gl_pathv[i], "1");
	globfree(&found);
}

static long long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long long value = 0;

	if (file) {
		if (fscanf(file, "%lld", &value) != 1)
			value = 0;
		fclose(file);
	}
	return value;
}

/* Bytes of all slabs of the kernel, and of all arenas without their pool. */
static long long taken(void)
{
	long long bytes, pages, slabs;
	FILE *file = fopen("/proc/slabinfo", "r");
	char line[512];
	/* Of a line: pages of a slab, and number of slabs. */
	const char *format = "%*s %*d %*d %*d %*d %lld : tunables %*d %*d %*d : slabdata %*d %lld";

	if (!file)
		err(1, "/proc/slabinfo");
	bytes = read_number("/sys/kernel/debug/arena/total_bytes") -
		read_number("/sys/kernel/debug/arena/pool_bytes");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &pages, &slabs) == 2)
			bytes += pages * slabs * getpagesize();
	fclose(file);
	return bytes;
}

static void read_fd(int fd)
{
	while (syscall(SYS_getdents64, fd, buffer, BUFFER) > 0)
		;
}

static int kept(char **args)
{
	long long before, after;
	int fds[1000], nr, i;

	/* The first reading fills the caches of dentries and inodes. */
	for (nr = 0; args[nr] && nr < 1000; nr++) {
		fds[nr] = open_dir(args[nr]);
		read_fd(fds[nr]);
		close(fds[nr]);
	}
	for (i = 0; i < nr; i++)
		fds[i] = open_dir(args[i]);
	shrink_slabs();
	before = taken();
	for (i = 0; i < nr; i++)
		read_fd(fds[i]);
	shrink_slabs();
	after = taken();
	printf("%lld\n", (after - before) / nr);
	return 0;
}

static int run(char **args)
{
	long long start = now();
	struct rusage usage;
	int status, null;
	pid_t pid = spawn();

	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execvp(args[0], args);
		err(127, "%s", args[0]);
	}
	if (wait4(pid, &status, 0, &usage) != pid || status)
		errx(1, "%s failed", args[0]);
	printf("%lld %lld\n", now() - start,
	       usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(char **args);
		int args;
	} verbs[] = {
		{ "make", make, 4 }, { "list", list_dir, 1 }, { "inos", inos, 1 },
		{ "seek", seek, 1 }, { "change", change, 1 }, { "race", race, 4 },
		{ "fail", fail_each, 1 }, { "fold", fold, 1 }, { "hold", hold, 1 },
		{ "time", time_dir, 2 }, { "kept", kept, 1 }, { "run", run, 1 },
	};
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(argv[1], verbs[i].name) && argc - 2 >= verbs[i].args)
			return verbs[i].fn(argv + 2);
	errx(2, "unknown verb, or too few arguments");
}
