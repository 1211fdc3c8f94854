// SPDX-License-Identifier: GPL-2.0
/* The reading process, which may only read the arena, and does not trust the bytes in the arena. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "../consumer/record.h"
#include "demo.h"

#define PATIENCE	20000	/* milliseconds */

/*
 * An access to memory that is not committed or not writable raises a signal. The signal handler
 * jumps to this buffer, so that the reader survives: a process with the right to reset can revoke
 * pages at any time.
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

/*
 * Tries to make the kernel store to the mapping: if the store fails, read() returns an error, while
 * a store instruction would raise a signal.
 */
static int try_store(struct arena *arena)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return 0;
	err = refuse(read(fd, arena->base, 1));
	close(fd);
	return err;
}

/* Tries to write through /proc/self/mem, which ignores the protection of private mappings. */
static int try_proc_mem(struct arena *arena)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return 0;
	err = refuse(pwrite(fd, "", 1, (uintptr_t)arena->base));
	close(fd);
	return err;
}

/*
 * Tries to open the arena again through /proc/self/fd/N. Returns the errno of the refusal; EACCES
 * if the open gives a fresh arena, in which nothing is allocated; or 0 if it gives the old arena.
 */
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

static int try_status(struct arena *arena)
{
	return refuse(mprotect((void *)arena->status, sizeof(*arena->status),
			       PROT_READ | PROT_WRITE));
}

/* The calls that the reader tries, and the errno with which each of them must fail. */
static const struct attempt {
	const char *what;
	int (*try)(struct arena *arena);	/* returns the errno, or 0 after a success */
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

/* Looks up the count of each word of a request, which has one word in each line. */
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
 * Reads the records that are complete. Needs no system call: arena_high() reads the status page,
 * which each notice of kernel code updates.
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

/*
 * Waits for the kernel's records and reads them. No notice is lost: if a notice comes between
 * arena_watch() and poll(), poll() returns at once.
 */
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

/* Answers a request in @packet; returns the size of the answer. */
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
	/*
	 * arena_high() reads the end of the last object from the status page, which only the kernel
	 * writes.
	 */
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

int reader(int sock)
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
