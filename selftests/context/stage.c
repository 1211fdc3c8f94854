// SPDX-License-Identifier: GPL-2.0
/*
 * A stage: an arena, and a log of the allocations from it.
 *
 * The log needs no lock: only the context that has incremented stage->nr writes the new entry.
 */
#include <linux/mm.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "context.h"

static const char * const source_names[] = { "task", "timer", "irq_work", "nmi", "probe" };

int stage_open(struct stage *stage, size_t capacity, unsigned int flags, unsigned int max)
{
	const struct arena_config config = {
		.name = "context",
		.capacity = capacity,
		.flags = flags,
	};

	*stage = (struct stage) { .max = max };
	stage->log = kvcalloc(max, sizeof(*stage->log), GFP_KERNEL);
	stage->sorted = kvcalloc(max, sizeof(*stage->sorted), GFP_KERNEL);
	stage->arena = arena_create(&config);
	if (IS_ERR(stage->arena))
		stage->arena = NULL;
	if (!stage->log || !stage->sorted || !stage->arena ||
	    arena_populate(stage->arena, capacity, GFP_KERNEL)) {
		fail("no memory for the test");
		stage_close(stage);
		return -ENOMEM;
	}
	return 0;
}

void stage_close(struct stage *stage)
{
	arena_destroy(stage->arena);
	kvfree(stage->sorted);
	kvfree(stage->log);
}

int stage_reserve(struct stage *stage, size_t nr, size_t size)
{
	int err = arena_reserve(stage->arena, &stage->reserve, nr, size, sizeof(long),
				GFP_KERNEL);

	if (err) {
		fail("arena_reserve: %d", err);
		return err;
	}
	/* arena_reserve() rounds the size of each object up to the alignment. */
	stage->reserved += nr * ALIGN(size, sizeof(long));
	atomic_inc(&stage->allocs);
	return 0;
}

/* Returns the byte to fill an object with, which differs between neighbouring entries. */
static int pattern(const struct stage *stage, const struct entry *entry)
{
	return (entry - stage->log) % 251 + 1;
}

static struct entry *entry_begin(struct stage *stage)
{
	unsigned int i = atomic_inc_return(&stage->nr) - 1;

	if (i < stage->max)
		return &stage->log[i];
	atomic_dec(&stage->nr);
	return NULL;
}

static void entry_end(struct stage *stage, struct entry *entry, void *ptr, size_t size)
{
	entry->handle = arena_handle(stage->arena, ptr);
	entry->size = size;
	memset(ptr, pattern(stage, entry), size);
	/* Store the pointer last: it marks the entry as complete. */
	WRITE_ONCE(entry->ptr, ptr);
}

static void *entry_settle(struct stage *stage, enum source source, struct entry *entry,
			  void *ptr, size_t size)
{
	if (!ptr) {
		if (entry->reserved)
			atomic_inc(&stage->spent[source]);
		else if (!READ_ONCE(stage->may_refuse))
			atomic_inc(&stage->refused[source]);
		return NULL;
	}
	atomic_inc(&stage->taken[source]);
	entry_end(stage, entry, ptr, size);
	return ptr;
}

static void *task_alloc(struct stage *stage, size_t size, gfp_t gfp)
{
	void *ptr;

	WRITE_ONCE(stage->busy, true);
	barrier();
	ptr = arena_alloc(stage->arena, size, gfp);
	barrier();
	WRITE_ONCE(stage->busy, false);
	return ptr;
}

/* Allocates and logs an object. Returns NULL if the arena has no memory or the log is full. */
void *stage_alloc(struct stage *stage, enum source source, size_t size, gfp_t gfp)
{
	struct entry *entry = entry_begin(stage);
	void *ptr;

	if (!entry)
		return NULL;
	entry->reserved = false;
	ptr = source == BY_TASK ? task_alloc(stage, size, gfp) :
				  arena_alloc(stage->arena, size, gfp);
	if (ptr)
		atomic_inc(&stage->allocs);
	return entry_settle(stage, source, entry, ptr, size);
}

void *stage_alloc_reserved(struct stage *stage, enum source source, size_t size)
{
	struct entry *entry = entry_begin(stage);
	void *ptr;

	if (!entry)
		return NULL;
	entry->reserved = true;
	ptr = arena_reserve_alloc(&stage->reserve, size, sizeof(long));
	if (ptr)
		atomic_inc(&stage->from_reserve);
	return entry_settle(stage, source, entry, ptr, size);
}

/* Logs an object that the task has allocated by another call than stage_alloc(). */
void stage_log(struct stage *stage, void *ptr, size_t size)
{
	struct entry *entry = entry_begin(stage);

	if (!expect(entry, "the log is full"))
		return;
	entry->reserved = false;
	if (ptr)
		atomic_inc(&stage->allocs);
	entry_settle(stage, BY_TASK, entry, ptr, size);
}

/* Records an object larger than a slab outside of the log: stage_verify() checks only its bytes. */
void stage_log_large(struct stage *stage, void *ptr, size_t size)
{
	if (!expect(ptr, "no object of %zu bytes", size))
		return;
	atomic_inc(&stage->allocs);
	memset(ptr, 0xee, size);
	stage->large = ptr;
	stage->large_size = size;
	stage->reserved += size;
}

static int by_offset(const void *a, const void *b)
{
	const struct entry *left = *(const struct entry * const *)a;
	const struct entry *right = *(const struct entry * const *)b;

	return left->handle.offset < right->handle.offset ? -1 :
	       left->handle.offset > right->handle.offset;
}

/* Sorts the entries of @generation by offset into stage->sorted; returns how many there are. */
static unsigned int sort_entries(struct stage *stage, u64 generation)
{
	unsigned int nr = 0, i;

	for (i = 0; i < atomic_read(&stage->nr); i++) {
		const struct entry *entry = &stage->log[i];

		if (!entry->ptr)
			continue;
		if (entry->handle.generation == generation)
			stage->sorted[nr++] = entry;
		else if (entry->handle.generation > generation || !entry->handle.generation)
			fail("entry %u is of generation %llu", i, entry->handle.generation);
	}
	sort(stage->sorted, nr, sizeof(*stage->sorted), by_offset, NULL);
	return nr;
}

static void verify_entry(struct stage *stage, const struct entry *entry, size_t high)
{
	const void *bad = memchr_inv(entry->ptr, pattern(stage, entry), entry->size);

	if (bad)
		fail("object at %llu of %u bytes was overwritten at byte %zd",
		     entry->handle.offset, entry->size, bad - entry->ptr);
	if (!IS_ALIGNED((unsigned long)entry->ptr, ARENA_MIN_ALIGN))
		fail("object at %llu is not aligned", entry->handle.offset);
	if (entry->handle.offset + entry->size > high)
		fail("object at %llu of %u bytes ends above %zu", entry->handle.offset,
		     entry->size, high);
	if (arena_deref(stage->arena, entry->handle) != entry->ptr)
		fail("object at %llu is not where its handle says", entry->handle.offset);
}

static void verify_overlap(const struct entry *left, const struct entry *right)
{
	if (left->handle.offset + left->size > right->handle.offset)
		fail("objects at %llu of %u and at %llu of %u bytes overlap",
		     left->handle.offset, left->size, right->handle.offset, right->size);
}

static void verify_accounts(struct stage *stage, size_t used)
{
	struct arena_stats stats;

	arena_stats(stage->arena, &stats);
	expect(arena_offset(stage->arena) == used, "arena_offset() is %zu, handed out were %zu",
	       arena_offset(stage->arena), used);
	expect(stats.used == used, "used is %zu, handed out were %zu", stats.used, used);
	expect(stats.used + stats.padding + stats.free == stats.capacity,
	       "%zu used, %zu padding and %zu free are not %zu", stats.used, stats.padding,
	       stats.free, stats.capacity);
	expect(stats.allocs == atomic_read(&stage->allocs), "%llu allocations counted, %d made",
	       stats.allocs, atomic_read(&stage->allocs));
	expect(!stats.fail_arg, "%llu bad arguments", stats.fail_arg);
}

/* Compares the log with the arena; no allocation may run meanwhile. */
void stage_verify(struct stage *stage, const char *when)
{
	arena_handle_t now = {};
	struct arena_stats stats;
	size_t used = stage->reserved;
	unsigned int nr, i;

	arena_stats(stage->arena, &stats);
	now.generation = stats.generation;
	nr = sort_entries(stage, now.generation);
	for (i = 0; i < nr && !failed(); i++) {
		verify_entry(stage, stage->sorted[i], stats.high);
		if (i)
			verify_overlap(stage->sorted[i - 1], stage->sorted[i]);
		if (!stage->sorted[i]->reserved)
			used += stage->sorted[i]->size;
	}
	if (stage->large)
		expect(!memchr_inv(stage->large, 0xee, stage->large_size),
		       "the large object was overwritten");
	if (!failed())
		verify_accounts(stage, used);
	if (failed())
		note("found %s", when);
}

/*
 * Expects that all contexts together got exactly as many objects as were reserved, and that no
 * allocation from the reservation failed earlier.
 *
 * In the log, an entry of a failed allocation may precede the entry of the last object: between
 * entry_begin() and the allocation, an interrupt may take the last object. At most one entry of
 * each source can precede it.
 */
void stage_verify_reserve(struct stage *stage, size_t nr, size_t size)
{
	unsigned int refused = 0, i;

	expect(atomic_read(&stage->from_reserve) == nr, "%d of %zu reserved objects were to be had",
	       atomic_read(&stage->from_reserve), nr);
	expect(!arena_reserve_alloc(&stage->reserve, size, sizeof(long)),
	       "an object that was not reserved");
	for (i = 0; i < atomic_read(&stage->nr); i++) {
		const struct entry *entry = &stage->log[i];

		if (entry->reserved && !entry->ptr)
			refused++;
		else if (entry->reserved && !expect(refused < NR_SOURCES,
						    "refused while the reservation lasted"))
			break;
	}
}

/* Drops all entries of older generations from the log, after a reset. */
void stage_forget(struct stage *stage)
{
	struct arena_stats stats;
	unsigned int nr = 0, i;

	arena_stats(stage->arena, &stats);
	stage->reserved = 0;
	stage->large = NULL;
	atomic_set(&stage->from_reserve, 0);
	for (i = 0; i < atomic_read(&stage->nr); i++) {
		struct entry entry = stage->log[i];

		stage->log[i].ptr = NULL;
		stage->log[i].reserved = false;
		if (entry.ptr && entry.handle.generation == stats.generation) {
			stage->log[nr] = entry;
			memset(entry.ptr, pattern(stage, &stage->log[nr]), entry.size);
			nr++;
		}
	}
	atomic_set(&stage->nr, nr);
}

static void report(const struct stage *stage, enum source i)
{
	note("%s: %d taken, %d refused, %d when the reservation was spent; %d inside an allocation",
	     source_names[i], atomic_read(&stage->taken[i]), atomic_read(&stage->refused[i]),
	     atomic_read(&stage->spent[i]), atomic_read(&stage->inside[i]));
}

/*
 * Reports how many allocations each context made, and fails the test if an allocation outside of
 * the reservation failed.
 */
void stage_report(const struct stage *stage)
{
	int i;

	for (i = 0; i < NR_SOURCES; i++) {
		if (atomic_read(&stage->taken[i]))
			report(stage, i);
		expect(!atomic_read(&stage->refused[i]), "an allocation was refused");
	}
}
