/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The demonstration: main.c has main(), input.c reads a text, writer.c stores the words of the text
 * in an arena, reader.c is the reading process, check.c asks the reading process for counts, and
 * packets.c sends and receives the messages between the two processes.
 */
#ifndef ARENA_DEMO_H
#define ARENA_DEMO_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <libarena.h>

#include "words.h"

#define RECORDS		10000

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * The text whose words are stored: a copy of the file, because reading /proc/kallsyms twice may
 * give different symbols. A word is a run of letters, digits and underscores.
 */
struct input {
	int fd;
	char *text;
	size_t size;
	size_t words;
	size_t longest;
};

int input_open(struct input *input, const char *path);
const char *next_word(const struct input *input, size_t *pos, size_t *len);
char *count_by_uniq(const struct input *input, size_t *size);

/* Stores the words of @input; returns 0 or -1. */
int write_words(struct arena *arena, const struct input *input);

/* What the writing process can ask the reading process to do. */
enum request {
	REQ_ADOPT,		/* use the arena of the descriptor in the message */
	REQ_COUNTS,		/* count the words in the message, one in each line */
	REQ_CENSUS,		/* answer with a struct words_census of the whole table */
	REQ_BREAK_OUT,		/* try each call that the kernel must refuse */
	REQ_FOLLOW,		/* read the kernel's records; answer when ready and when done */
};

#define PACKET_WORDS	1024
#define PACKET_TEXT	(32 << 10)

/* The request to read the kernel's records, and the answer of the reading process. */
struct followed {
	__u64 start;		/* in the request: offset of the first record */
	__u64 records;
	__u64 wakes;		/* how often poll() returned */
	__u64 age;		/* the largest age of a record when it was read, in ns */
	char last[48];
};

/* A message between the two processes: a request or its answer. */
struct packet {
	__s32 status;		/* a request, or its result: 0 or -errno */
	__u32 nr;		/* number of words, or of counts */
	union {
		char text[PACKET_TEXT];
		__s64 counts[PACKET_WORDS];
		struct words_census census;
		struct followed followed;
	};
};

#define PACKET_HEAD	offsetof(struct packet, text)

int send_packet(int sock, const struct packet *packet, size_t payload, int fd);
ssize_t receive_packet(int sock, struct packet *packet, int *fd);

/* The main loop of the reading process; returns its exit status. */
int reader(int sock);

/* The writing process calls these; they return 0, -1 or a negative errno. */
int hear(int sock, struct packet *packet);
int ask(int sock, struct packet *packet, enum request request, size_t payload, int fd);
int hand_over(int sock, struct arena *arena);
int check_reader(int sock, const char *list);

#endif /* ARENA_DEMO_H */
