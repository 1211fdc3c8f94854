// SPDX-License-Identifier: GPL-2.0
/*
 * arenactl - show the arenas of the kernel; arenactl(8) is its manual.
 *
 * arenactl reads a table in debugfs that has a line for each arena. The first line names the
 * columns: if a newer module has further columns, "arenactl show" shows them, too.
 * The commands who and pid read /proc/PID/fdinfo.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>

/* A makefile that compiles this program defines the version. */
#ifndef ARENACTL_VERSION
#define ARENACTL_VERSION "(unknown)"
#endif

#define MAX_COLUMNS	64
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __noreturn	__attribute__((noreturn))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* One line of the table. Each @word points into @line. */
struct row {
	char		*line;
	const char	*word[MAX_COLUMNS];
	double		rate;		/* allocations a second since the table was last read */
};

struct table {
	char		*heading;
	const char	*column[MAX_COLUMNS];
	int		nr_columns;
	struct row	*row;
	size_t		nr_rows;
	struct timespec	when;
};

static struct {
	const char	*debugfs;
	const char	*sort;
	bool		reverse;
	bool		bytes;
	bool		batch;
	bool		json;
	long		times;		/* how often watch reads the table; 0: for ever */
	double		delay;
} opt = {
	.debugfs = "/sys/kernel/debug",
	.sort = "id",
	.delay = 2,
};

enum form { PLAIN, TEXT, LAST, SIZE };

/* The columns that watch and list show of each arena. */
static const struct shown {
	const char	*column;
	const char	*title;
	int		width;
	enum form	form;
	char		key;		/* pressing this key makes watch sort by the column */
} shown[] = {
	{ "id",		"ID",		 6, PLAIN, 'i' },
	{ "name",	"NAME",		 18, TEXT, 'n' },
	{ "capacity",	"CAPACITY",	 9, SIZE, 'p' },
	{ "used",	"USED",		 9, SIZE, 'u' },
	{ "high",	"HIGH",		 9, SIZE, 'h' },
	{ "committed",	"COMMITTED",	 9, SIZE, 'c' },
	{ "generation",	"GENERATION",	 10, PLAIN, 'g' },
	{ "allocs",	"ALLOCS",	 10, PLAIN, 'a' },
	{ "rate",	"ALLOCS/S",	 9, PLAIN, 'r' },
	{ "fails",	"FAILS",	 6, PLAIN, 'f' },
	{ "flags",	"FLAGS",	 0, LAST, 'l' },
};

static const char usage[] =
	"usage: arenactl [-BRj] [-D debugfs] [-s column] list\n"
	"       arenactl [-Bj] [-D debugfs] show id | name\n"
	"       arenactl [-BRb] [-D debugfs] [-d seconds] [-n times] [-s column] watch\n"
	"       arenactl [-j] who [id | name]\n"
	"       arenactl [-j] pid pid\n"
	"       arenactl --help | --version\n";

static void misused(void)
{
	fputs(usage, stderr);
	exit(2);
}

static void help(void)
{
	fputs(usage, stdout);
	puts("\n"
	     "list   one line an arena, and a sum\n"
	     "show   all that is known of an arena\n"
	     "watch  the list again and again, with rates\n"
	     "who    the processes that have an arena open, or any arena\n"
	     "pid    the arenas that a process has open\n"
	     "\n"
	     "-B, --bytes    sizes in bytes\n"
	     "-b, --batch    watch without a terminal\n"
	     "-D directory   where debugfs is mounted\n"
	     "-d seconds     watch: between two looks\n"
	     "-j, --json     for other programs to read\n"
	     "-n times       watch: how often\n"
	     "-R, --reverse  reverse the order\n"
	     "-s column      sort by a column\n"
	     "\n"
	     "arenactl(8) is the manual.");
}

static struct termios cooked, uncooked;
static bool raw;		/* the terminal is in the mode @uncooked */

static void leave_screen(void)
{
	if (!raw)
		return;
	raw = false;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &cooked);
	/* Show the cursor and the normal screen again. */
	printf("\033[?25h\033[?1049l");
	fflush(stdout);
}

/* Leaves the alternate screen first, so that the message stays visible. */
static void __printf(1, 2) __noreturn fail(const char *format, ...)
{
	va_list args;

	leave_screen();
	va_start(args, format);
	verrx(1, format, args);
}

/* Says why a file of debugfs cannot be read, and what the user can do about it. */
static void explain(const char *path)
{
	int error = errno;
	struct statfs fs;

	if (error == EACCES || error == EPERM)
		fail("%s: permission denied: only root may look", path);
	if (statfs(opt.debugfs, &fs) || fs.f_type != DEBUGFS_MAGIC)
		fail("no debugfs at %s: mount -t debugfs none %s",
		     opt.debugfs, opt.debugfs);
	if (error == ENOENT)
		fail("%s: not there: the module arena is not loaded", path);
	fail("%s: %s", path, strerror(error));
}

static FILE *open_file(const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/arena/%s", opt.debugfs, name);
	file = fopen(path, "re");
	if (!file)
		explain(path);
	return file;
}

/* Splits a line into words, at most MAX_COLUMNS; returns how many. */
static int split(char *line, const char **word)
{
	int nr = 0;
	char *save;

	for (line = strtok_r(line, "\n ", &save); line && nr < MAX_COLUMNS;
	     line = strtok_r(NULL, "\n ", &save))
		word[nr++] = line;
	return nr;
}

static int find_column(const struct table *table, const char *name)
{
	int i;

	for (i = 0; i < table->nr_columns; i++)
		if (!strcmp(table->column[i], name))
			return i;
	return -1;
}

static const char *word(const struct table *table, const struct row *row, const char *name)
{
	int i = find_column(table, name);

	return i < 0 ? "-" : row->word[i];
}

static unsigned long long number(const struct table *table, const struct row *row,
				 const char *name)
{
	if (!strcmp(name, "fails"))
		return number(table, row, "fail_space") + number(table, row, "fail_memory") +
		       number(table, row, "fail_arg");
	if (!strcmp(name, "rate"))
		return (unsigned long long)row->rate;
	return strtoull(word(table, row, name), NULL, 10);
}

static void add_row(struct table *table, char *line)
{
	struct row *row;

	table->row = reallocarray(table->row, table->nr_rows + 1, sizeof(*row));
	if (!table->row)
		fail("no memory");
	row = &table->row[table->nr_rows];
	memset(row, 0, sizeof(*row));
	row->line = line;
	/* A line with more or fewer words than the heading cannot be interpreted. */
	if (split(line, row->word) != table->nr_columns)
		fail("a line of %s/arena/arenas has not as many words as the first one",
		     opt.debugfs);
	table->nr_rows++;
}

static char *read_line(FILE *file)
{
	char *line = NULL;
	size_t room = 0;

	errno = 0;
	if (getline(&line, &room, file) >= 0)
		return line;
	if (errno)
		fail("%s/arena/arenas: %s", opt.debugfs, strerror(errno));
	free(line);
	return NULL;
}

static void read_table(struct table *table)
{
	FILE *file = open_file("arenas");
	char *line;

	memset(table, 0, sizeof(*table));
	clock_gettime(CLOCK_MONOTONIC, &table->when);
	table->heading = read_line(file);
	if (table->heading)
		table->nr_columns = split(table->heading, table->column);
	if (find_column(table, "id") < 0 || find_column(table, "name") < 0)
		fail("%s/arena/arenas is of a version that this program does not know",
		     opt.debugfs);
	while ((line = read_line(file)))
		add_row(table, line);
	fclose(file);
}

static void free_table(struct table *table)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		free(table->row[i].line);
	free(table->row);
	free(table->heading);
	memset(table, 0, sizeof(*table));
}

/* Returns the row of an arena in a table, or NULL if it has none. */
static const struct row *find_row(const struct table *table, unsigned long long id)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		if (number(table, &table->row[i], "id") == id)
			return &table->row[i];
	return NULL;
}

static void set_rates(struct table *now, const struct table *before)
{
	double seconds = now->when.tv_sec - before->when.tv_sec +
			 (now->when.tv_nsec - before->when.tv_nsec) / 1e9;
	size_t i;

	if (!before->nr_columns || seconds <= 0)
		return;
	for (i = 0; i < now->nr_rows; i++) {
		struct row *row = &now->row[i];
		const struct row *was = find_row(before, number(now, row, "id"));
		double allocs = number(now, row, "allocs");

		if (was)
			allocs -= number(before, was, "allocs");
		row->rate = allocs / seconds;
	}
}

/* compare() sorts the rows of this table: text and IDs ascend, other numbers descend. */
static const struct table *sort_table;

static int compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	unsigned long long x, y;
	int order;

	if (!strcmp(opt.sort, "name") || !strcmp(opt.sort, "flags")) {
		order = strcmp(word(sort_table, a, opt.sort), word(sort_table, b, opt.sort));
	} else {
		x = number(sort_table, a, opt.sort);
		y = number(sort_table, b, opt.sort);
		order = !strcmp(opt.sort, "id") ? (x > y) - (x < y) : (y > x) - (y < x);
	}
	if (opt.reverse)
		order = -order;
	if (order)
		return order;
	x = number(sort_table, a, "id");
	y = number(sort_table, b, "id");
	return (x > y) - (x < y);
}

static void sort(struct table *table)
{
	sort_table = table;
	if (table->nr_rows)
		qsort(table->row, table->nr_rows, sizeof(*table->row), compare);
}

static void check_sort(const struct table *table)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (!strcmp(shown[i].column, opt.sort))
			return;
	if (find_column(table, opt.sort) < 0)
		errx(2, "no column %s to sort by", opt.sort);
}

/* Writes a size as a few digits and a unit, or with -B as all digits. */
static const char *size_text(unsigned long long bytes, char *text, size_t room)
{
	static const char units[] = " KMGT";
	double value = bytes;
	int unit = 0;

	while (value >= 1024 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (opt.bytes || !unit)
		snprintf(text, room, "%llu", bytes);
	else
		snprintf(text, room, value < 100 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return text;
}

/* Returns the width of a column: with -B, columns of sizes are wider. */
static int width(const struct shown *s)
{
	return s->form == SIZE && opt.bytes ? 15 : s->width;
}

static void print_cell(const struct table *table, const struct row *row, const struct shown *s)
{
	char text[32];

	switch (s->form) {
	case TEXT:
		printf("%-*.*s ", width(s), width(s), word(table, row, s->column));
		break;
	case LAST:
		printf("%s", word(table, row, s->column));
		break;
	case SIZE:
		size_text(number(table, row, s->column), text, sizeof(text));
		printf("%*s ", width(s), text);
		break;
	case PLAIN:
		printf("%*llu ", width(s), number(table, row, s->column));
		break;
	}
}

static unsigned long long read_number(const char *name)
{
	FILE *file = open_file(name);
	unsigned long long value = 0;

	if (fscanf(file, "%llu", &value) != 1)
		fail("%s/arena/%s holds no number", opt.debugfs, name);
	fclose(file);
	return value;
}

/* Prints at most @lines rows of a table, or all if @lines is 0; @rates: with rates. */
static void print_table(const struct table *table, bool rates, size_t lines)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (rates || strcmp(shown[i].column, "rate"))
			printf(shown[i].form == TEXT ? "%-*s " : "%*s ", width(&shown[i]),
			       shown[i].title);
	putchar('\n');
	for (j = 0; j < table->nr_rows && (!lines || j < lines); j++) {
		for (i = 0; i < ARRAY_SIZE(shown); i++)
			if (rates || strcmp(shown[i].column, "rate"))
				print_cell(table, &table->row[j], &shown[i]);
		putchar('\n');
	}
}

static void print_summary(const struct table *table)
{
	char total[32], pool[32];

	size_text(read_number("total_bytes"), total, sizeof(total));
	size_text(read_number("pool_bytes"), pool, sizeof(pool));
	printf("%zu arenas, %s held, %s of it in the pool\n", table->nr_rows, total, pool);
}

/* JSON */

/*
 * Prints a string in JSON. A byte that is not ASCII is printed as \u00XX, so that the output is
 * valid.
 */
static void json_text(const char *text, size_t length)
{
	putchar('"');
	for (; length--; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* Prints the words of @words, which commas separate, as a list in JSON; a dash is no words. */
static void json_words(const char *words)
{
	const char *before = "";

	putchar('[');
	while (*words && strcmp(words, "-")) {
		size_t length = strcspn(words, ",");

		fputs(before, stdout);
		json_text(words, length);
		before = ", ";
		words += length + !!words[length];
	}
	putchar(']');
}

/* Decodes the character at @word, which the kernel may show as \ and three octal digits. */
static char octal(const char *word)
{
	if (*word != '\\' || strlen(word) < 4)
		return *word;
	return (word[1] - '0') * 64 + (word[2] - '0') * 8 + word[3] - '0';
}

/*
 * Prints the name of an arena as its creator gave it. The kernel shows some characters of names in
 * octal, and the name of an arena without one as a dash.
 */
static void json_name(const char *word)
{
	char *name = strdup(word), *to = name;

	if (!name)
		fail("no memory");
	if (strcmp(word, "-"))
		for (; *word; word += *word == '\\' && strlen(word) >= 4 ? 4 : 1)
			*to++ = octal(word);
	json_text(name, to - name);
	free(name);
}

static void json_cell(const char *column, const char *value)
{
	printf("\"%s\": ", column);
	if (!strcmp(column, "name"))
		json_name(value);
	else if (!strcmp(column, "flags"))
		json_words(value);
	else if (value[strspn(value, "0123456789")])
		json_text(value, strlen(value));
	else
		fputs(value, stdout);
}

static bool json_begun;		/* an object of the list was printed */

static void json_begin_object(void)
{
	fputs(json_begun ? ",\n  {" : "[\n  {", stdout);
	json_begun = true;
}

static void json_end_list(void)
{
	puts(json_begun ? "\n]" : "[]");
}

static void json_row(const struct table *table, const struct row *row)
{
	int i;

	json_begin_object();
	for (i = 0; i < table->nr_columns; i++) {
		fputs(i ? ", " : "", stdout);
		json_cell(table->column[i], row->word[i]);
	}
	putchar('}');
}

static void json_table(const struct table *table)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		json_row(table, &table->row[i]);
	json_end_list();
}

static int do_list(void)
{
	struct table table;

	read_table(&table);
	check_sort(&table);
	sort(&table);
	if (opt.json) {
		json_table(&table);
	} else {
		print_table(&table, false, 0);
		print_summary(&table);
	}
	free_table(&table);
	return 0;
}

static bool is_size(const char *column)
{
	static const char * const sizes[] = {
		"capacity", "used", "padding", "free", "high", "peak", "committed",
		"committed_peak", "slab_size",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		if (!strcmp(column, sizes[i]))
			return true;
	return false;
}

static void print_row(const struct table *table, const struct row *row)
{
	char text[32];
	int i;

	for (i = 0; i < table->nr_columns; i++) {
		printf("%-16s %s", table->column[i], row->word[i]);
		if (is_size(table->column[i]) && !opt.bytes)
			printf(" (%s)", size_text(strtoull(row->word[i], NULL, 10), text,
						  sizeof(text)));
		putchar('\n');
	}
}

/* Ends the output. Fails if some of it could not be written, for instance to a full disk. */
static int finish(void)
{
	if (fflush(stdout) || ferror(stdout))
		fail("output: %s", strerror(errno));
	return 0;
}

static size_t show_by(const struct table *table, const char *column, const char *which)
{
	size_t i, found = 0;

	for (i = 0; i < table->nr_rows; i++) {
		if (strcmp(word(table, &table->row[i], column), which))
			continue;
		if (opt.json) {
			json_row(table, &table->row[i]);
			found++;
			continue;
		}
		if (found++)
			putchar('\n');
		print_row(table, &table->row[i]);
	}
	return found;
}

/* Escapes blanks and backslashes in a name, as the kernel does in the table. */
static char *escaped(const char *name)
{
	char *text = malloc(4 * strlen(name) + 1), *to = text;

	if (!text)
		err(1, "memory");
	for (; *name; name++)
		if (strchr(" \t\n\\", *name))
			to += sprintf(to, "\\%03o", *name);
		else
			*to++ = *name;
	*to = '\0';
	return text;
}

/* Shows the arena with the ID @which; if there is none, all arenas with that name. */
static int do_show(const char *which)
{
	char *name = escaped(which);
	struct table table;

	read_table(&table);
	if (!show_by(&table, "id", which) && !show_by(&table, "name", name))
		errx(1, "no arena %s", which);
	if (opt.json)
		json_end_list();
	free_table(&table);
	free(name);
	return finish();
}

/* The values that /proc/PID/fdinfo/FD has for a descriptor of an arena. */
struct descriptor {
	char	id[32];		/* a dash while the arena has neither been set up nor used */
	char	name[160];	/* with blanks and backslashes escaped by the kernel */
	char	rights[64];
};

/* Copies to @value what follows @key and a tab, if @line begins with these. */
static void take_value(const char *line, const char *key, char *value, size_t room)
{
	size_t length = strlen(key);

	if (!strncmp(line, key, length) && line[length] == '\t')
		snprintf(value, room, "%.*s", (int)strcspn(line + length + 1, "\n"),
			 line + length + 1);
}

/* Reads the fdinfo file at @path; returns whether its descriptor is one of an arena. */
static bool read_descriptor(const char *path, struct descriptor *found)
{
	FILE *file = fopen(path, "re");
	char line[512];

	*found = (struct descriptor) { .id = "-", .name = "-" };
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		take_value(line, "arena-rights:", found->rights, sizeof(found->rights));
		take_value(line, "arena-id:", found->id, sizeof(found->id));
		take_value(line, "arena-name:", found->name, sizeof(found->name));
	}
	fclose(file);
	return *found->rights;
}

/* Reads the name of the program that a process runs. The name may contain any character. */
static void read_command(const char *pid, char *command, int room)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(command, room, file))
		snprintf(command, room, "-");
	command[strcspn(command, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void print_descriptor(const char *pid, const char *fd, const struct descriptor *found)
{
	char command[64], *c;

	read_command(pid, command, sizeof(command));
	if (opt.json) {
		json_begin_object();
		printf("\"id\": %s, ", strcmp(found->id, "-") ? found->id : "null");
		json_cell("name", found->name);
		printf(", \"pid\": %s, \"fd\": %s, \"rights\": ", pid, fd);
		json_words(found->rights);
		fputs(", \"command\": ", stdout);
		json_text(command, strlen(command));
		putchar('}');
		return;
	}
	for (c = command; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	printf("%6s %-18s %7s %5s %-22s %s\n", found->id, found->name, pid, fd, found->rights,
	       command);
}

/*
 * Prints a line for each descriptor that process @pid has of an arena: of the arena with the ID
 * @which if @which is a number, of arenas with the name @name if not, of any arena if @which is
 * NULL. Returns the number of lines, or -1 with errno set if the descriptors cannot be read.
 */
static int print_process(const char *pid, const char *which, const char *name)
{
	const bool by_id = which && !which[strspn(which, "0123456789")];
	struct descriptor found;
	struct dirent *entry;
	char path[512];
	int nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, entry->d_name);
		if (!isdigit((unsigned char)*entry->d_name) || !read_descriptor(path, &found))
			continue;
		if (which && strcmp(by_id ? found.id : found.name, by_id ? which : name))
			continue;
		print_descriptor(pid, entry->d_name, &found);
		nr++;
	}
	closedir(dir);
	return nr;
}

static void begin_descriptors(void)
{
	if (!opt.json)
		printf("%6s %-18s %7s %5s %-22s %s\n", "ID", "NAME", "PID", "FD", "RIGHTS",
		       "COMMAND");
}

static int end_descriptors(void)
{
	if (opt.json)
		json_end_list();
	return finish();
}

/* Shows the processes that have the arena @which open, or any arena if @which is NULL. */
static int do_who(const char *which)
{
	char *name = which ? escaped(which) : NULL;
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool denied = false;
	int nr, sum = 0;

	if (!proc)
		err(1, "/proc");
	begin_descriptors();
	while ((entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		nr = print_process(entry->d_name, which, name);
		/* Another errno means that the process has ended meanwhile: ignore the process. */
		denied |= nr < 0 && errno == EACCES;
		sum += nr < 0 ? 0 : nr;
	}
	closedir(proc);
	free(name);
	if (denied)
		warnx("processes of others were left out: only root may look");
	if (which && !sum)
		errx(1, "no process has an arena %s open", which);
	return end_descriptors();
}

/* Shows the arenas that process @pid has open. */
static int do_pid(const char *pid)
{
	char path[64];

	if (!*pid || pid[strspn(pid, "0123456789")])
		errx(2, "%s is no process ID", pid);
	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	if (access(path, R_OK))
		err(1, "process %s", pid);
	begin_descriptors();
	if (print_process(pid, NULL, NULL) < 0)
		err(1, "process %s", pid);
	return end_descriptors();
}

/* The command watch. */

static bool stop;

static void enter_screen(void)
{
	if (raw)
		return;
	raw = true;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &uncooked);
	printf("\033[?1049h\033[?25l");
}

static void take_terminal(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		errx(1, "no terminal: try watch -b");
	if (tcgetattr(STDIN_FILENO, &cooked))
		err(1, "terminal");
	uncooked = cooked;
	uncooked.c_lflag &= ~(ICANON | ECHO);
	uncooked.c_cc[VMIN] = 0;
	uncooked.c_cc[VTIME] = 0;
	atexit(leave_screen);
	enter_screen();
}

static size_t screen_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 5)
		return 20;
	return size.ws_row - 4;
}

static void draw(struct table *table)
{
	/* Move to the top of the screen, and clear it. */
	if (raw)
		printf("\033[H\033[J");
	sort(table);
	print_summary(table);
	print_table(table, true, raw ? screen_lines() : 0);
	if (raw)
		printf("by %s; q quits, R reverses, one of inpuhcgarfl sorts", opt.sort);
	else
		putchar('\n');
	finish();
}

static void key(char c)
{
	size_t i;

	if (c == 'q')
		stop = true;
	if (c == 'R')
		opt.reverse = !opt.reverse;
	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (shown[i].key == c)
			opt.sort = shown[i].column;
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - then->tv_sec + (now.tv_nsec - then->tv_nsec) / 1e9;
}

/*
 * Restores the terminal's mode for the shell, and stops the program as SIGTSTP does by default. If
 * the shell has no job control, the kernel discards the signal, and the program goes on.
 */
static void suspend(void)
{
	sigset_t set;

	leave_screen();
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	enter_screen();
}

/* Handles a signal; returns false if it ends the program. */
static bool handle_signal(int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return false;
	switch (info.ssi_signo) {
	case SIGTSTP:
		suspend();
		return true;
	case SIGCONT:
		/* Set the mode again: if SIGSTOP stopped the program, the shell has changed it. */
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &uncooked);
		return true;
	default:
		return false;
	}
}

/* Waits until the table is due to be read again. Meanwhile, redraws it when a key is pressed. */
static void wait_for_time(struct table *table, int signals)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = opt.batch ? -1 : STDIN_FILENO, .events = POLLIN },
	};
	double left;
	char c;

	while (!stop && (left = opt.delay - seconds_since(&table->when)) > 0) {
		if (poll(fds, ARRAY_SIZE(fds), (int)(left * 1000) + 1) <= 0)
			continue;
		if (fds[0].revents)
			stop = !handle_signal(signals);
		else	/* end of file or an error quits, too */
			key(read(STDIN_FILENO, &c, 1) == 1 ? c : 'q');
		if (!stop)
			draw(table);
	}
}

/*
 * Makes signals that end or stop the program come through a descriptor, so that the program can
 * restore the terminal first. In batch mode, it does not change the terminal, and SIGTSTP keeps its
 * default action.
 */
static int catch_signals(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;
	size_t i;
	int fd;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&set, ending[i]);
	if (!opt.batch) {
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGCONT);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		err(1, "signalfd");
	return fd;
}

static int do_watch(void)
{
	struct table before = {}, now;
	int signals = catch_signals();
	long looks = 0;

	/* Read the table before the screen changes, so that an error message stays visible. */
	read_table(&now);
	check_sort(&now);
	if (!opt.batch)
		take_terminal();
	for (;;) {
		set_rates(&now, &before);
		draw(&now);
		if (++looks == opt.times)
			break;
		wait_for_time(&now, signals);
		if (stop)
			break;
		free_table(&before);
		before = now;
		read_table(&now);
	}
	free_table(&before);
	free_table(&now);
	return 0;
}

static double positive(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0 && value < 1e6))
		errx(2, "%s is no number above 0", text);
	return value;
}

static const struct option long_options[] = {
	{ "bytes", no_argument, NULL, 'B' },
	{ "batch", no_argument, NULL, 'b' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "reverse", no_argument, NULL, 'R' },
	{ "version", no_argument, NULL, 'V' },
	{}
};

static void take_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "BRbhjVd:n:s:D:", long_options, NULL)) != -1) {
		switch (c) {
		case 'B':
			opt.bytes = true;
			break;
		case 'R':
			opt.reverse = true;
			break;
		case 'b':
			opt.batch = true;
			break;
		case 'h':
			help();
			exit(finish());
		case 'j':
			opt.json = true;
			break;
		case 'V':
			puts("arenactl " ARENACTL_VERSION);
			exit(finish());
		case 'd':
			opt.delay = positive(optarg);
			break;
		case 'n':
			opt.times = positive(optarg);
			if (!opt.times)
				errx(2, "-n %s: at least once", optarg);
			break;
		case 's':
			opt.sort = optarg;
			break;
		case 'D':
			opt.debugfs = optarg;
			break;
		default:
			misused();
		}
	}
}

int main(int argc, char **argv)
{
	const char *command, *which;

	take_options(argc, argv);
	command = argv[optind] ? argv[optind++] : "list";
	which = argv[optind] ? argv[optind++] : NULL;
	if (argc != optind)
		misused();
	if (!strcmp(command, "show") && which)
		return do_show(which);
	if (!strcmp(command, "who"))
		return do_who(which);
	if (!strcmp(command, "pid") && which)
		return do_pid(which);
	if (which)
		misused();
	if (!strcmp(command, "list"))
		return do_list() ?: finish();
	if (!strcmp(command, "watch") && !opt.json)
		return do_watch();
	misused();
}
