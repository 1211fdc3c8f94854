// SPDX-License-Identifier: GPL-2.0
/* Copies the file, divides its text into words, and lets "sort | uniq -c" count them. */
#include "demo.h"

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') ||
	       (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Returns the next word at or after *@pos, and moves *@pos behind it; returns NULL at the end. */
const char *next_word(const struct input *input, size_t *pos, size_t *len)
{
	size_t first = *pos, end;

	while (first < input->size && !is_word(input->text[first]))
		first++;
	for (end = first; end < input->size && is_word(input->text[end]); )
		end++;
	*pos = end;
	*len = end - first;
	return *len ? input->text + first : NULL;
}

static int copy_file(int from, int to)
{
	static char buffer[1 << 16];
	ssize_t got, put;

	while ((got = read(from, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0; done < got; done += put) {
			put = write(to, buffer + done, got - done);
			if (put < 0)
				return -1;
		}
	}
	return got < 0 ? -1 : 0;
}

int input_open(struct input *input, const char *path)
{
	size_t pos = 0, len;
	int fd, err;

	/* Not close-on-exec, because the shell in count_by_uniq() reads this descriptor. */
	input->fd = memfd_create("input", 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (input->fd < 0 || fd < 0) {
		warn("%s", fd < 0 ? path : "memfd_create");
		return -1;
	}
	err = copy_file(fd, input->fd);
	if (err)
		warn("copy of %s", path);
	close(fd);
	if (err)
		return -1;

	input->size = lseek(input->fd, 0, SEEK_END);
	if (!input->size) {
		warnx("%s is empty", path);
		return -1;
	}
	input->text = mmap(NULL, input->size, PROT_READ, MAP_SHARED, input->fd, 0);
	if (input->text == MAP_FAILED) {
		warn("mmap of the input");
		return -1;
	}
	for (; next_word(input, &pos, &len); input->words++)
		input->longest = len > input->longest ? len : input->longest;
	if (input->longest > WORDS_LEN_MAX) {
		warnx("a word of %zu bytes, more than the %d that the demo takes",
		      input->longest, WORDS_LEN_MAX);
		return -1;
	}
	printf("input:  %s, %zu bytes, %zu words\n", path, input->size, input->words);
	return 0;
}

/* Returns the output of "uniq -c": lines of blanks, a count, a blank and a word. */
char *count_by_uniq(const struct input *input, size_t *size)
{
	static const char format[] =
		"LC_ALL=C; export LC_ALL; "
		"tr -cs 'A-Za-z0-9_' '\\n' </proc/self/fd/%d | sort | uniq -c";
	char command[sizeof(format) + 16], *text = NULL;
	FILE *pipe, *copy;
	int c;

	snprintf(command, sizeof(command), format, input->fd);
	pipe = popen(command, "r");
	copy = open_memstream(&text, size);
	if (!pipe || !copy) {
		warn("sort | uniq -c");
		goto err;
	}
	while ((c = getc_unlocked(pipe)) != EOF)
		putc_unlocked(c, copy);
	c = pclose(pipe);
	pipe = NULL;
	if (c) {
		warnx("sort | uniq -c ended with %d", c);
		goto err;
	}
	if (fclose(copy)) {
		warn("sort | uniq -c");
		free(text);
		return NULL;
	}
	return text;

err:
	if (pipe)
		pclose(pipe);
	if (copy)
		fclose(copy);
	free(text);
	return NULL;
}
