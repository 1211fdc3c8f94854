// SPDX-License-Identifier: GPL-2.0
/*
 * Demonstrates /dev/arena.
 *
 *	arena_demo [FILE]		(default: /proc/kallsyms)
 *
 * A small example comes first: store two numbers, reset the arena, store a point. A larger example
 * follows, in which two processes and the kernel use one arena:
 *
 * The writing process stores every distinct word of FILE by libarena, mostly without system calls,
 * with a hash index that also lies in the arena (words.h). The reading process, which was forked
 * before the arena existed, receives over a socket only a descriptor with the right to read. The
 * reading process answers look-ups from its own mapping, and fails when it tries to change the
 * arena. The writing process compares the answers with the counts of "sort | uniq -c". Then kernel
 * code (the module in consumer/) gets a descriptor and writes records behind the words; poll()
 * wakes the reading process, which reads the records as they arrive. At the end, the writing
 * process resets the arena and fills it again, which must take no further page.
 *
 * The last line of the output is "arena_demo: PASS", with exit status 0, or "arena_demo: FAIL".
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../consumer/record.h"
#include "demo.h"

#define DEFAULT_INPUT	"/proc/kallsyms"

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

/*
 * Returns a capacity that is enough for any text of this size: besides its own bytes, a word takes
 * at most a link, a count, a key and some padding. A large capacity costs nothing until it is used.
 */
static size_t room_for(const struct input *input)
{
	return input->words * (sizeof(struct words_entry) + 2 * sizeof(__u64)) +
	       2 * input->size + RECORDS * sizeof(struct produce_record) + (1 << 20);
}

/* Makes kernel code store records in the arena of @fd and notify pollers. */
static int produce(int producer, int fd)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%d %d records", fd, RECORDS);

	if (write(producer, line, len) == len)
		return 0;
	warn("the kernel's producer");
	return -1;
}

/*
 * Gives kernel code a descriptor with the right to allocate, and lets the reader follow the records
 * that the kernel stores. The kernel holds the arena until @producer is closed.
 */
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

/* Resets the arena. Afterwards the reader, whose mapping stays, must find no table in the arena. */
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

/*
 * Fills and checks the arena twice. The second time, the words must fit into the memory that the
 * arena already has.
 */
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

/* Forks the reader before the first arena is opened, so that the reader inherits no descriptor. */
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
	/* Two processes print; line buffering keeps their lines whole and in order. */
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
