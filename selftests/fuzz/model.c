// SPDX-License-Identifier: GPL-2.0
/* The model of the arenas that the fuzzer uses, and functions that read choices from the input. */
#include "fuzz.h"

struct shared *shared;
struct arena arenas[ARENAS];
struct map maps[MAPS];
struct input *in;
bool alone;
char *args_page;

void end_broken(void)
{
	unsigned int i;

	printf("\n  again: arena_fuzz -i ");
	for (i = 0; i < in->len; i++)
		printf("%02x", in->bytes[i]);
	printf("\n");
	fflush(stdout);
	__atomic_fetch_add(&shared->failures, 1, __ATOMIC_RELAXED);
	_exit(1);
}

unsigned int get_byte(void)
{
	return in->at < in->len ? in->bytes[in->at++] : 0;
}

unsigned int get_short(void)
{
	unsigned int low = get_byte();

	return low | get_byte() << 8;
}

/* Returns a number that is likely to be near a limit. */
__u64 get_number(const struct arena *a)
{
	unsigned int kind = get_byte(), extra = get_byte();
	__u64 slab = a->info.slab_size ?: PAGE, capacity = a->info.capacity ?: SLAB;

	switch (kind & 15) {
	case 0:
		return slab + extra - 128;
	case 1:
		return capacity + 8 - (extra & 15);
	case 2:
		return slab * (extra & 7) + (extra >> 3);
	case 3:
		return 1ULL << (extra & 63);
	case 4:
		return (extra & 64 ? UINT64_MAX : UINT32_MAX) - (extra & 63);
	case 5:
		return extra & 3;
	case 6:
		return PAGE * extra;
	default:
		return 1 + (__u64)extra * (kind >> 6);
	}
}

void forget(struct arena *a)
{
	a->used = 0;
	a->nr = 0;
	a->depth = 0;
	a->lost = !alone;
}

void lose(struct arena *a)
{
	a->lost = true;
}

/* Returns an arena whose descriptor 0, which has all rights, is open, or NULL. */
struct arena *get_arena(void)
{
	struct arena *a = &arenas[get_byte() % ARENAS];

	return a->fd[0] >= 0 ? a : NULL;
}

int get_fd(const struct arena *a)
{
	int fd = a->fd[get_byte() % FDS];

	return fd >= 0 ? fd : a->fd[0];
}

void check_info(struct arena *a)
{
	__u64 generation = a->info.generation;
	int err = arena_info(a->fd[0], &a->info);

	if (err == -ENOMEM && !a->made)
		return;
	if (err)
		broken("INFO: %s", strerror(-err));
	a->made = true;
	if (a->info.generation < generation)
		broken("generation %llu after %llu", a->info.generation, generation);
	if (a->info.high > a->info.capacity || a->info.peak > a->info.capacity)
		broken("high %llu, peak %llu of %llu", a->info.high, a->info.peak,
		       a->info.capacity);
	if (a->info.slabs * a->info.slab_size != a->info.committed)
		broken("%llu slabs of %llu are not %llu", a->info.slabs, a->info.slab_size,
		       a->info.committed);
	if (!alone)
		return;
	if (a->info.used + a->info.padding + a->info.free != a->info.capacity)
		broken("%llu used, %llu padding, %llu free: not %llu", a->info.used,
		       a->info.padding, a->info.free, a->info.capacity);
	if (!a->lost && a->info.used != a->used)
		broken("%llu used and not %llu", a->info.used, a->used);
}

/*
 * Records a new object, after checking that it lies inside the arena, is aligned, and overlaps no
 * other object.
 */
void add_object(struct arena *a, __u64 offset, __u64 bytes, __u64 align)
{
	unsigned int i;

	if (offset % (align ?: 8) || offset > a->info.capacity ||
	    bytes > a->info.capacity - offset)
		broken("%llu bytes by %llu at %llu of %llu", bytes, align, offset,
		       a->info.capacity);
	a->used += bytes;
	if (a->lost)
		return;
	for (i = 0; i < a->nr; i++)
		if (offset < a->object[i].offset + a->object[i].bytes &&
		    a->object[i].offset < offset + bytes)
			broken("%llu+%llu overlaps %llu+%llu", offset, bytes,
			       a->object[i].offset, a->object[i].bytes);
	if (a->nr < OBJECTS)
		a->object[a->nr++] = (struct object) { offset, bytes };
}

void close_arena(struct arena *a)
{
	int i;

	for (i = 0; i < FDS; i++) {
		if (a->fd[i] >= 0)
			close(a->fd[i]);
		a->fd[i] = -1;
	}
}

void keep_fd(struct arena *a, int fd, __u32 rights)
{
	unsigned int i = 1 + get_byte() % (FDS - 1);

	if (a->fd[i] >= 0)
		close(a->fd[i]);
	a->fd[i] = fd;
	a->rights[i] = rights;
}

struct map *get_map(void)
{
	struct map *map = &maps[get_byte() % MAPS];

	return map->at ? map : NULL;
}

struct map *free_map(void)
{
	int i;

	for (i = 0; i < MAPS; i++)
		if (!maps[i].at)
			return &maps[i];
	return NULL;
}
