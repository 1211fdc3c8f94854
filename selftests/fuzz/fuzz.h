/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer of /dev/arena. An input is an array of bytes. To play an input is to turn it into a
 * sequence of operations. main.c makes inputs and keeps those that reach new code, round.c plays an
 * input, calls.c has an operation for each ioctl, mappings.c has operations on mappings and
 * descriptors, and model.c knows what each arena must contain.
 */
#ifndef ARENA_FUZZ_H
#define ARENA_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "../arena_test.h"

#define INPUT_MAX	512
#define ARENAS		3
#define FDS		5
#define MAPS		12
#define OBJECTS		256
#define MARKS		8
#define PAGE		page_size()
#define COVER_SLOTS	32768UL

struct input {
	unsigned char bytes[INPUT_MAX];
	unsigned int len;
	unsigned int at;
};

struct object {
	__u64 offset;
	__u64 bytes;
};

/*
 * What the fuzzer knows of an arena. If @lost is true, the fuzzer does not know the used bytes and
 * the objects until the next reset.
 */
struct arena {
	int fd[FDS];
	__u32 rights[FDS];
	bool made;
	bool lost;
	bool sealed;
	bool alien;	/* the arena may contain bytes that are neither zero nor @tag */
	unsigned char tag;
	struct arena_info_args info;
	__u64 used;
	unsigned int nr;
	struct object object[OBJECTS];
	unsigned int depth;
	struct {
		struct arena_mark_args mark;
		__u64 high;
		__u64 used;
	} mark[MARKS];
};

struct map {
	char *at;
	size_t bytes;
	int arena;
	bool writable;
};

/* Counts that all processes of the fuzzer share. */
struct shared {
	unsigned long rounds;
	unsigned long calls;
	unsigned long successes;
	unsigned long covered;
	unsigned long failures;
	unsigned long cover[COVER_SLOTS];
};

extern struct shared *shared;
extern struct arena arenas[ARENAS];
extern struct map maps[MAPS];
extern struct input *in;	/* the input that this process plays */
extern bool alone;		/* no other process uses the arenas of this process */
extern char *args_page;		/* a page; the page behind it cannot be touched */

/* Prints the input of this process, in which a check has failed, and ends the process. */
void end_broken(void);

#define broken(...)	do { printf("BROKEN: " __VA_ARGS__); end_broken(); } while (0)

/* model.c */
unsigned int get_byte(void);
unsigned int get_short(void);
__u64 get_number(const struct arena *a);
struct arena *get_arena(void);
int get_fd(const struct arena *a);
struct map *get_map(void);
struct map *free_map(void);
void forget(struct arena *a);
void lose(struct arena *a);
void check_info(struct arena *a);
void add_object(struct arena *a, __u64 offset, __u64 bytes, __u64 align);
void close_arena(struct arena *a);
void keep_fd(struct arena *a, int fd, __u32 rights);

/* calls.c */
extern void (*const ops_of_calls[])(struct arena *a);
extern const unsigned int nr_ops_of_calls;
void op_open(void);

/* mappings.c */
extern void (*const ops_of_mappings[])(void);
extern const unsigned int nr_ops_of_mappings;
void op_mmap(struct arena *a);
void op_status(struct arena *a);
void op_close(struct arena *a);
void op_send(struct arena *a);
void op_reopen(struct arena *a);

/* round.c: returns 0, 1 if a check failed, or 2 if the input reached new code. */
int round_main(void);

#endif /* ARENA_FUZZ_H */
