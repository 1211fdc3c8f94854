// SPDX-License-Identifier: GPL-2.0
/*
 * What /dev/arena is good for, to run and to read.
 *
 *	arena_demo [FILE]		(default: /proc/kallsyms)
 *
 * First the smallest example: two numbers, a reset, a point. Then a real job, with
 * two processes and the kernel in one arena.
 *
 * One process stores every distinct word of FILE by libarena, without system
 * calls, under a hash index that lies in the arena, too (arena_words.h). A second
 * process, which was forked before the arena existed, is handed a read-only
 * descriptor over a socket and nothing else: it answers look-ups from its own
 * mapping, and fails at everything that would change the arena. Its counts are
 * compared with those of "sort | uniq -c". Then kernel code (the module in
 * consumer/), which was given a descriptor as well, writes records behind the words;
 * poll() wakes the second process, which reads them as they come. At last the arena
 * is reset and filled again, which must not take one more page.
 *
 * The last line is a verdict; the exit status is 0 for PASS.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libarena.h>

#include "arena_words.h"
#include "consumer/record.h"

#define DEFAULT_INPUT	"/proc/kallsyms"
#define RECORDS		10000
#define PATIENCE	20000	/* milliseconds */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ----------------------------------------------------- the smallest example */

struct point {
	double x;
	double y;
};

static int two_numbers(struct arena *arena)
{
	const __s64 *first = arena_store(arena, (__s64)100);
	const __s64 *second = arena_store(arena, (__s64)200);

	if (!first || !second)
		return -1;
	printf("%lld\n%lld\n", *first, *second);
	printf("Total bytes: %llu\n", arena_offset(arena));
	return arena_offset(arena) == 16 ? 0 : -1;
}

static int empty_again(struct arena *arena)
{
	if (arena_reset(arena, ARENA_RESET_KEEP))
		return -1;
	printf("After reset, offset: %llu\n", arena_offset(arena));
	return arena_offset(arena) ? -1 : 0;
}

static int one_point(struct arena *arena)
{
	const struct point value = { .x = 1.5, .y = 3.7 }, *stored = arena_store(arena, value);

	if (!stored)
		return -1;
	printf("Allocated point: {X:%g Y:%g}\n", stored->x, stored->y);
	return memcmp(stored, &value, sizeof(value)) ? -1 : 0;
}

static int smallest_example(void)
{
	struct arena *arena = arena_open("example", 4096, 0);
	int ret = -1;

	if (!arena) {
		warn("arena_open");
		return -1;
	}
	if (!two_numbers(arena) && !empty_again(arena) && !one_point(arena))
		ret = 0;
	arena_close(arena);
	if (ret)
		warnx("the smallest example does not give what it should");
	return ret;
}

/* ------------------------------------------------------------------- input */

/*
 * A copy of the file that nobody changes: two readers of /proc/kallsyms need not
 * see the same symbols. A word is a run of letters, digits and underscores.
 */
struct input {
	int fd;
	char *text;
	size_t size;
	size_t words;
	size_t longest;
};

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') ||
	       (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The next word at or after *@pos, which moves behind it; NULL at the end. */
static const char *next_word(const struct input *input, size_t *pos, size_t *len)
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

static int input_open(struct input *input, const char *path)
{
	size_t pos = 0, len;
	int fd, err;

	/* Inherited by "sort | uniq -c", so not close-on-exec. */
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

/*
 * Enough room for any text of this size: no word costs more than a link, a
 * count, a key and some padding beside its own bytes. Room is only a number
 * until it is used.
 */
static size_t room_for(const struct input *input)
{
	return input->words * (sizeof(struct words_entry) + 2 * sizeof(__u64)) +
	       2 * input->size + RECORDS * sizeof(struct produce_record) + (1 << 20);
}

/* ------------------------------------------------------------------ writer */

/* At most four words a bucket on average, less where words repeat. */
static __u64 buckets_for(size_t words)
{
	__u64 nr = 16;

	while (nr < words / 4)
		nr *= 2;
	return nr;
}

/* The writer follows its own links and need not doubt them. */
static struct words_entry *find_word(struct arena *arena, __u64 offset, __u64 key,
				     const char *text, size_t len)
{
	struct words_entry *entry;

	for (; offset != WORDS_END; offset = entry->next) {
		entry = arena_ptr(arena, offset);
		if (entry->key == key && !memcmp(entry->text, text, len))
			return entry;
	}
	return NULL;
}

static int add_word(struct arena *arena, struct words_root *root, const char *text, size_t len)
{
	__u64 *buckets = arena_ptr(arena, root->index), key = words_key(text, len), *bucket;
	struct words_entry *entry;

	bucket = &buckets[words_bucket(key, root->nr_buckets)];
	root->total++;
	entry = find_word(arena, *bucket, key, text, len);
	if (entry) {
		entry->count++;
		return 0;
	}
	entry = arena_alloc(arena, sizeof(*entry) + len);
	if (!entry) {
		warn("arena_alloc");
		return -1;
	}
	entry->next = *bucket;
	entry->count = 1;
	entry->key = key;
	memcpy(entry->text, text, len);
	*bucket = arena_off(arena, entry);
	root->nr_words++;
	return 0;
}

/* The root is private until the table is complete, then published at once. */
static int write_words(struct arena *arena, const struct input *input)
{
	struct words_root root = { .nr_buckets = buckets_for(input->words) }, *shared;
	size_t pos = 0, len, bytes = root.nr_buckets * sizeof(__u64);
	const char *word;
	__u64 *buckets;

	shared = arena_alloc(arena, sizeof(*shared));
	buckets = arena_alloc(arena, bytes);
	if (!shared || !buckets) {
		warn("arena_alloc");
		return -1;
	}
	if (arena_off(arena, shared) != WORDS_ROOT) {
		warnx("the first object is at offset %llu", arena_off(arena, shared));
		return -1;
	}
	shared->magic = 0;
	memset(buckets, 0, bytes);
	root.index = arena_off(arena, buckets);
	while ((word = next_word(input, &pos, &len))) {
		if (add_word(arena, &root, word, len))
			return -1;
	}
	*shared = root;
	__atomic_store_n(&shared->magic, WORDS_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/* -------------------------------------------- what writer and reader say */

enum request {
	REQ_ADOPT,		/* with a descriptor: this is your arena */
	REQ_COUNTS,		/* words, a line each; the answer is a count each */
	REQ_CENSUS,		/* the answer is a struct words_census */
	REQ_BREAK_OUT,		/* try all that you must not do */
	REQ_FOLLOW,		/* read the kernel's records; answers when ready, and when done */
};

#define PACKET_WORDS	1024
#define PACKET_TEXT	(32 << 10)

/* What a reader of records has seen. */
struct followed {
	__u64 start;		/* in the request: offset of the first one */
	__u64 records;
	__u64 wakes;		/* by poll() */
	__u64 age;		/* of a record when read, at most, in nanoseconds */
	char last[48];
};

/* One datagram of the socket, in both directions. */
struct packet {
	__s32 status;		/* a request, or what became of it: 0 or -errno */
	__u32 nr;		/* words, or counts */
	union {
		char text[PACKET_TEXT];
		__s64 counts[PACKET_WORDS];
		struct words_census census;
		struct followed followed;
	};
};

#define PACKET_HEAD	offsetof(struct packet, text)

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int send_packet(int sock, const struct packet *packet, size_t payload, int fd)
{
	struct iovec iov = {
		.iov_base = (void *)packet,
		.iov_len = PACKET_HEAD + payload,
	};
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0) {
		warn("sendmsg");
		return -1;
	}
	return 0;
}

/* The size of the payload, or -1; *@fd is what came along, or -1. */
static ssize_t receive_packet(int sock, struct packet *packet, int *fd)
{
	struct iovec iov = { .iov_base = packet, .iov_len = sizeof(*packet) };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;
	ssize_t got;

	*fd = -1;
	got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	if (got < (ssize_t)PACKET_HEAD)
		return -1;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(*fd)))
		memcpy(fd, CMSG_DATA(head), sizeof(*fd));
	return got - PACKET_HEAD;
}

/* ------------------------------------------------------------------ reader */

/*
 * Touching memory that is not there, or not writable, is a signal. The reader
 * takes it as an answer: whoever may reset the arena may withdraw its pages at
 * any time.
 */
static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static int refuse(int ret)
{
	return ret < 0 ? errno : 0;
}

static int try_mmap(struct arena *arena)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd(arena), 0);

	return map == MAP_FAILED ? errno : 0;
}

static int try_mprotect(struct arena *arena)
{
	return refuse(mprotect(arena->base, arena_capacity(arena), PROT_READ | PROT_WRITE));
}

/* The kernel stores on our behalf, and says EFAULT where we would get a signal. */
static int try_store(struct arena *arena)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return 0;
	err = refuse(read(fd, arena->base, 1));
	close(fd);
	return err;
}

/* A debugger's way in, which does not ask the protection of the mapping. */
static int try_proc_mem(struct arena *arena)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return 0;
	err = refuse(pwrite(fd, "", 1, (uintptr_t)arena->base));
	close(fd);
	return err;
}

/* What opens is an arena of its own, in which nothing was allocated: no way to this one. */
static int try_reopen(struct arena *arena)
{
	struct arena_offset_args args = { .size = sizeof(args) };
	char path[32];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", arena_fd(arena));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = refuse(ioctl(fd, ARENA_IOC_OFFSET, &args));
	close(fd);
	return err ?: args.offset ? 0 : EACCES;
}

static int try_alloc(struct arena *arena)
{
	struct arena_alloc_args args = { .size = sizeof(args), .bytes = 8 };

	return refuse(ioctl(arena_fd(arena), ARENA_IOC_ALLOC, &args));
}

static int try_copy_in(struct arena *arena)
{
	struct arena_store_args args = {
		.size = sizeof(args),
		.src = (uintptr_t)"x",
		.bytes = 1,
	};

	return refuse(ioctl(arena_fd(arena), ARENA_IOC_STORE, &args));
}

static int try_reset(struct arena *arena)
{
	struct arena_reset_args args = { .size = sizeof(args) };

	return refuse(ioctl(arena_fd(arena), ARENA_IOC_RESET, &args));
}

static int try_more_rights(struct arena *arena)
{
	struct arena_dup_args args = {
		.size = sizeof(args),
		.rights = ARENA_RIGHT_READ | ARENA_RIGHT_WRITE,
	};

	return refuse(ioctl(arena_fd(arena), ARENA_IOC_DUP, &args));
}

/* The page that tells the generation, too. */
static int try_status(struct arena *arena)
{
	return refuse(mprotect((void *)arena->status, sizeof(*arena->status),
			       PROT_READ | PROT_WRITE));
}

/* What a reader must not be able to do, and how it is to be told. */
static const struct attempt {
	const char *what;
	int (*try)(struct arena *arena);	/* errno, or 0 if it worked */
	int err;
} attempts[] = {
	{ "mmap(PROT_WRITE)", try_mmap, EACCES },
	{ "mprotect(PROT_WRITE)", try_mprotect, EACCES },
	{ "mprotect of the status page", try_status, EACCES },
	{ "read() into the mapping", try_store, EFAULT },
	{ "write to /proc/self/mem", try_proc_mem, EIO },
	{ "open(/proc/self/fd/N, O_RDWR)", try_reopen, EACCES },
	{ "ARENA_IOC_ALLOC", try_alloc, EACCES },
	{ "ARENA_IOC_STORE", try_copy_in, EACCES },
	{ "ARENA_IOC_RESET", try_reset, EACCES },
	{ "ARENA_IOC_DUP with more rights", try_more_rights, EACCES },
	{ NULL, NULL, 0 },
};

static int break_out(struct arena *arena)
{
	const struct attempt *attempt;
	int wrong = 0, err;

	for (attempt = attempts; attempt->what; attempt++) {
		err = attempt->try(arena);
		if (err == attempt->err)
			continue;
		printf("reader: %s: %s, which is WRONG\n", attempt->what,
		       err ? strerror(err) : "done");
		wrong++;
	}
	printf("reader: %d of %zu ways to write, allocate, reset or get more rights refused\n",
	       (int)(attempt - attempts) - wrong, attempt - attempts);
	return wrong ? -EPERM : 0;
}

static int adopt(struct arena **arena, int fd)
{
	arena_close(*arena);
	*arena = arena_attach(fd);
	close(fd);
	return *arena ? 0 : -errno;
}

/* As many counts as there are lines in the request. */
static int answer_counts(const struct words_view *view, struct packet *packet, size_t size)
{
	static char text[PACKET_TEXT];
	const char *word = text, *end;
	__u32 nr = 0;

	memcpy(text, packet->text, size);
	while (nr < PACKET_WORDS && (end = memchr(word, '\n', text + size - word))) {
		packet->counts[nr++] = words_count(view, word, end - word);
		word = end + 1;
	}
	packet->nr = nr;
	return 0;
}

/*
 * Records up to where objects end, as far as they are complete. What kernel code
 * allocated shows when it notifies, so nothing is asked of the kernel here.
 */
static void read_records(struct arena *arena, struct followed *seen)
{
	const struct produce_record *record;
	__u64 at, age;

	for (; seen->records < RECORDS; seen->records++) {
		at = seen->start + seen->records * sizeof(*record);
		record = arena_ptr(arena, at);
		if (!record || at + sizeof(*record) > arena_high(arena) ||
		    __atomic_load_n(&record->number, __ATOMIC_ACQUIRE) != seen->records + 1)
			return;
		age = (__u64)(now() * 1e9) - record->time;
		seen->age = age > seen->age ? age : seen->age;
		memcpy(seen->last, record->text, sizeof(seen->last) - 1);
	}
}

/* What is notified between the watch and the wait ends the wait at once. */
static int follow(int sock, struct arena *arena, struct packet *packet)
{
	struct pollfd wait = { .fd = arena_fd(arena), .events = POLLIN };
	struct followed seen = { .start = packet->followed.start };

	if (arena_watch(arena, -1ULL))
		return -errno;
	packet->status = 0;
	if (send_packet(sock, packet, 0, -1))
		return -ECONNRESET;
	while (seen.records < RECORDS) {
		if (poll(&wait, 1, PATIENCE) != 1)
			return -ETIMEDOUT;
		seen.wakes++;
		if (arena_watch(arena, -1ULL))
			return -errno;
		read_records(arena, &seen);
	}
	packet->followed = seen;
	return 0;
}

/* The size of the answer. */
static size_t answer(int sock, struct arena **arena, struct packet *packet, size_t size, int fd)
{
	struct words_view view = { 0 };

	if (packet->status == REQ_ADOPT) {
		packet->status = adopt(arena, fd);
		return 0;
	}
	if (!*arena) {
		packet->status = -EBADF;
		return 0;
	}
	/* How far objects reach is the kernel's word, not the writer's. */
	view.map = (*arena)->base;
	view.high = arena_high(*arena);
	if (sigsetjmp(fault, 1)) {
		packet->status = -EFAULT;
		return 0;
	}
	switch (packet->status) {
	case REQ_COUNTS:
		packet->status = answer_counts(&view, packet, size);
		return packet->nr * sizeof(packet->counts[0]);
	case REQ_CENSUS:
		packet->status = words_take_census(&view, &packet->census);
		return sizeof(packet->census);
	case REQ_BREAK_OUT:
		packet->status = break_out(*arena);
		return 0;
	case REQ_FOLLOW:
		packet->status = follow(sock, *arena, packet);
		return sizeof(packet->followed);
	default:
		packet->status = -EINVAL;
		return 0;
	}
}

/* Until the writer closes its end. */
static int reader(int sock)
{
	struct sigaction action = { .sa_handler = on_fault };
	static struct arena *arena;
	static struct packet packet;
	ssize_t size;
	int fd;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	while ((size = receive_packet(sock, &packet, &fd)) >= 0) {
		if (send_packet(sock, &packet, answer(sock, &arena, &packet, size, fd), -1))
			return 1;
	}
	arena_close(arena);
	return 0;
}

/* -------------------------------------------------- the writer's questions */

static int hear(int sock, struct packet *packet)
{
	int ignored;

	if (receive_packet(sock, packet, &ignored) < 0) {
		warnx("the reader is gone");
		return -ECONNRESET;
	}
	return packet->status;
}

static int ask(int sock, struct packet *packet, enum request request, size_t payload, int fd)
{
	packet->status = request;
	if (send_packet(sock, packet, payload, fd))
		return -ECONNRESET;
	return hear(sock, packet);
}

static int hand_over(int sock, struct arena *arena)
{
	static struct packet packet;
	int fd = arena_share(arena, ARENA_RIGHT_READ), err;

	if (fd < 0) {
		warn("arena_share");
		return -1;
	}
	err = ask(sock, &packet, REQ_ADOPT, 0, fd);
	close(fd);
	if (!err)
		err = ask(sock, &packet, REQ_BREAK_OUT, 0, -1);
	if (err)
		warnx("the reader: %s", strerror(-err));
	return err;
}

/* What "uniq -c" says, as it says it: blanks, a count, a blank, a word. */
static char *count_by_uniq(const struct input *input, size_t *size)
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

struct tally {
	__u64 words;
	__u64 total;
	__u64 differ;
	__s64 most;		/* the count of the most frequent word, */
	const char *top;	/* and where uniq has it */
};

/* Ask for the words of one packet, compare with what uniq counted. */
static int compare_packet(int sock, struct packet *packet, size_t size,
			  const __s64 *expected, __u32 nr, struct tally *tally)
{
	int err = ask(sock, packet, REQ_COUNTS, size, -1);

	if (err || packet->nr != nr) {
		warnx("look-ups: %s", err ? strerror(-err) : "too few answers");
		return -1;
	}
	for (__u32 i = 0; i < nr; i++)
		tally->differ += packet->counts[i] != expected[i];
	return 0;
}

/* Look up every word of uniq's list. */
static int compare_counts(int sock, const char *list, struct tally *tally)
{
	static __s64 expected[PACKET_WORDS];
	static struct packet packet;
	size_t size = 0, len;
	__u32 nr = 0;
	char *word;

	memset(tally, 0, sizeof(*tally));
	for (; *list; list = word + len + 1) {
		expected[nr] = strtoll(list, &word, 10);
		word += *word == ' ';
		len = strcspn(word, "\n");
		if (!len)	/* what stands before the first word of the file */
			continue;
		if (expected[nr] > tally->most) {
			tally->most = expected[nr];
			tally->top = word;
		}
		tally->words++;
		tally->total += expected[nr++];
		memcpy(packet.text + size, word, len + 1);
		size += len + 1;
		if (nr < PACKET_WORDS && size + WORDS_LEN_MAX + 1 <= PACKET_TEXT)
			continue;
		if (compare_packet(sock, &packet, size, expected, nr, tally))
			return -1;
		nr = 0;
		size = 0;
	}
	return nr ? compare_packet(sock, &packet, size, expected, nr, tally) : 0;
}

/* One look-up, for people to see. */
static int look_up(int sock, const char *word, __s64 expected)
{
	static struct packet packet;
	size_t len = strcspn(word, "\n");
	int err;

	memcpy(packet.text, word, len);
	packet.text[len] = '\n';
	err = ask(sock, &packet, REQ_COUNTS, len + 1, -1);
	if (err || packet.nr != 1) {
		warnx("look-up: %s", strerror(-err));
		return -1;
	}
	printf("reader: \"%.*s\" was read %lld times\n", (int)len, word, packet.counts[0]);
	return packet.counts[0] == expected ? 0 : -1;
}

/*
 * Each word of uniq's has the reader's count, and the reader has neither more
 * words nor a larger total: then the two lists are the same.
 */
static int check_reader(int sock, const char *list)
{
	static struct packet packet;
	struct words_census census;
	struct tally tally;
	double start;
	int err;

	err = ask(sock, &packet, REQ_CENSUS, 0, -1);
	if (err) {
		warnx("the reader's census: %s", strerror(-err));
		return -1;
	}
	census = packet.census;
	start = now();
	if (compare_counts(sock, list, &tally))
		return -1;
	printf("reader: %llu distinct words, %llu in all; all looked up in %.2f s\n",
	       census.words, census.total, now() - start);
	printf("uniq:   %llu distinct words, %llu in all, %llu counts differ\n",
	       tally.words, tally.total, tally.differ);
	if (tally.differ || tally.words != census.words || tally.total != census.total)
		return -1;
	if (tally.top && look_up(sock, tally.top, tally.most))
		return -1;
	return look_up(sock, "no such word", 0);
}

/* -------------------------------------------------------------- the kernel */

/* Kernel code stores records in the arena behind @fd, and tells who poll()s. */
static int produce(int producer, int fd)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%d %d records", fd, RECORDS);

	if (write(producer, line, len) == len)
		return 0;
	warn("the kernel's producer");
	return -1;
}

/* It has a descriptor that can add, and holds the arena for as long as it likes. */
static int kernel_writes(struct arena *arena, int sock, int producer)
{
	static struct packet packet;
	const __u64 align = sizeof(struct produce_record);
	int fd = arena_share(arena, ARENA_RIGHT_ALLOC), err;

	if (fd < 0) {
		warn("arena_share");
		return -1;
	}
	packet.followed.start = (arena_high(arena) + align - 1) & -align;
	err = ask(sock, &packet, REQ_FOLLOW, sizeof(packet.followed), -1);
	if (!err)
		err = produce(producer, fd) ? -EIO : hear(sock, &packet);
	close(fd);
	if (err) {
		warnx("records: %s", strerror(-err));
		return -1;
	}
	printf("kernel: %d records of \"%s\"\n", RECORDS, packet.followed.last);
	printf("reader: %llu of them read after %llu wake-ups, the oldest %.1f ms old\n",
	       packet.followed.records, packet.followed.wakes, packet.followed.age / 1e6);
	if (!arena_reset(arena, ARENA_RESET_KEEP) || errno != EBUSY) {
		warnx("a reset takes the arena from under the kernel");
		return -1;
	}
	printf("reset:  refused while the kernel holds the arena: %s\n", strerror(errno));
	return 0;
}

static int kernel_and_reader(struct arena *arena, int sock)
{
	int producer = open(PRODUCE_PATH, O_WRONLY | O_CLOEXEC), ret;

	if (producer < 0) {
		printf("kernel: no module arena_consumer here, left out\n");
		return 0;
	}
	ret = kernel_writes(arena, sock, producer);
	close(producer);
	return ret;
}

/* ---------------------------------------------------------------- the job */

static int info(struct arena *arena, struct arena_info_args *info)
{
	*info = (struct arena_info_args){ .size = sizeof(*info) };
	if (!ioctl(arena_fd(arena), ARENA_IOC_INFO, info))
		return 0;
	warn("ARENA_IOC_INFO");
	return -1;
}

static int fill(struct arena *arena, const struct input *input, struct arena_info_args *after)
{
	const struct words_root *root = arena_ptr(arena, WORDS_ROOT);
	struct arena_info_args before;
	double start, seconds;

	if (info(arena, &before))
		return -1;
	start = now();
	if (write_words(arena, input))
		return -1;
	seconds = now() - start;
	if (info(arena, after))
		return -1;
	printf("writer: %llu objects, %llu bytes, by %llu calls of the kernel in %.2f s\n",
	       root->nr_words + 2, arena_offset(arena), after->allocs - before.allocs, seconds);
	printf("arena:  %llu slabs of %llu bytes, %llu of them new\n", after->slabs,
	       after->slab_size, after->page_allocs + after->pool_hits -
				 before.page_allocs - before.pool_hits);
	return 0;
}

/* After a reset the reader must find nothing, although its mapping stays. */
static int empty(struct arena *arena, int sock)
{
	static struct packet packet;
	double start = now(), seconds;
	int err;

	if (arena_reset(arena, ARENA_RESET_KEEP)) {
		warn("arena_reset");
		return -1;
	}
	seconds = now() - start;
	err = ask(sock, &packet, REQ_CENSUS, 0, -1);
	printf("reset:  in %.0f us; offset %llu, the reader finds %s\n", 1e6 * seconds,
	       arena_offset(arena), err == -ENODATA ? "no table" : "something left");
	return arena_offset(arena) || err != -ENODATA ? -1 : 0;
}

static int no_new_memory(const struct arena_info_args *first,
			 const struct arena_info_args *second)
{
	if (second->page_allocs == first->page_allocs && second->pool_hits == first->pool_hits)
		return 0;
	warnx("the second run does not reuse the slabs of the first");
	return -1;
}

/* The same twice; the second time in the memory of the first. */
static int fill_twice(struct arena *arena, const struct input *input, int sock,
		      const char *list)
{
	struct arena_info_args first, second;

	if (fill(arena, input, &first) || hand_over(sock, arena) || check_reader(sock, list))
		return -1;
	if (kernel_and_reader(arena, sock) || info(arena, &first))
		return -1;
	if (empty(arena, sock) || fill(arena, input, &second) || check_reader(sock, list))
		return -1;
	return no_new_memory(&first, &second);
}

static int count_words(const char *path, int sock)
{
	struct input input = { .fd = -1, .text = MAP_FAILED };
	struct arena *arena = NULL;
	char *list = NULL;
	int ret = -1;
	size_t size;

	printf("\n");
	if (input_open(&input, path))
		goto out;
	list = count_by_uniq(&input, &size);
	if (!list)
		goto out;
	arena = arena_open("words", room_for(&input), 0);
	if (arena)
		ret = fill_twice(arena, &input, sock, list);
	else
		warn("arena_open");
out:
	arena_close(arena);
	free(list);
	if (input.text != MAP_FAILED)
		munmap(input.text, input.size);
	if (input.fd >= 0)
		close(input.fd);
	return ret;
}

/*
 * The reader is forked here, before the first arena is opened: what it knows of
 * one it has from the socket.
 */
static int start_reader(int *sock, pid_t *pid)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		warn("socketpair");
		return -1;
	}
	*pid = fork();
	if (*pid < 0) {
		warn("fork");
		return -1;
	}
	if (!*pid) {
		close(ends[0]);
		_exit(reader(ends[1]));
	}
	close(ends[1]);
	*sock = ends[0];
	return 0;
}

static int end_reader(int sock, pid_t pid)
{
	int status;

	close(sock);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status)) {
		warnx("the reader did not end well");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : DEFAULT_INPUT;
	int sock, ret;
	pid_t pid;

	if (argc > 2) {
		fprintf(stderr, "usage: arena_demo [FILE]\n");
		return 2;
	}
	/* Two processes print: whole lines, in the order of what they say. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = start_reader(&sock, &pid);
	if (!ret) {
		ret = smallest_example();
		if (!ret)
			ret = count_words(path, sock);
		if (end_reader(sock, pid))
			ret = -1;
	}
	printf("arena_demo: %s\n", ret ? "FAIL" : "PASS");
	return ret ? 1 : 0;
}
