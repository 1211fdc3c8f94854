// SPDX-License-Identifier: GPL-2.0
/*
 * One interrupt, or NMI, at each place in turn where it could change what an operation
 * does: not by chance, but all of them. A test sets its scene anew for each place, runs the
 * operation, and checks what must hold wherever the interrupt came.
 *
 *   points [TEST]
 */
#include "core/core.h"

#define CHECK(x)	do { if (!(x)) user_die(__FILE__, __LINE__, #x); } while (0)

/* More places than any operation has. */
#define POINTS_MAX	5000

static struct arena *arena;
static void *ours, *theirs;

/* Run @operation, interrupted at its @point-th place. False if it has fewer. */
static bool interrupted_at(unsigned long point, bool nmi, void (*operation)(void),
			   void (*interrupt)(void))
{
	bool came;

	user_interrupt = interrupt;
	user_nmi = nmi;
	user_self.fuse = point;
	operation();
	came = !user_self.fuse;
	user_self.fuse = 0;
	user_interrupt = NULL;
	return came;
}

static struct arena *create(size_t capacity, size_t slab_size, unsigned int flags)
{
	struct arena_config config = {
		.name = "points", .capacity = capacity, .slab_size = slab_size, .flags = flags,
	};
	struct arena *made = arena_create(&config);

	CHECK(!IS_ERR(made));
	return made;
}

/* What all arenas may hold together: @pages more than they do. */
static void leave_budget(unsigned long pages)
{
	arena_pool_drain();
	user_ram_pages = 8 * (arena_total_pages() + pages);
}

static void alloc_ours(void)
{
	ours = arena_alloc(arena, 64, GFP_KERNEL);
}

static void alloc_theirs(void)
{
	theirs = arena_alloc(arena, 64, GFP_ATOMIC);
}

/* clause 2: a caller that loses the race to grow uses the slab of the one that won */
static bool grow_budget_of_one_slab(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	arena = create(SZ_16K, SZ_16K, 0);
	leave_budget(SZ_16K >> PAGE_SHIFT);
	came = interrupted_at(point, false, alloc_ours, alloc_theirs);
	CHECK(ours && (theirs || !came) && ours != theirs);
	CHECK(arena->page_allocs.counter - arena->page_frees.counter == 1);
	CHECK(arena->committed.counter == SZ_16K && arena->committed_peak.counter == SZ_16K);
	user_ram_pages = ram;
	arena_destroy(arena);
	return came;
}

static void populate_ours(void)
{
	CHECK(!arena_populate(arena, arena_capacity(arena), GFP_KERNEL));
}

static void populate_theirs(void)
{
	CHECK(!arena_populate(arena, arena_capacity(arena), GFP_ATOMIC));
}

/* clause 2: so it is with several slabs at once */
static bool populate_budget_of_one_arena(unsigned long point)
{
	unsigned long ram = user_ram_pages;
	bool came;

	arena = create(SZ_64K, SZ_16K, 0);
	leave_budget(SZ_64K >> PAGE_SHIFT);
	came = interrupted_at(point, false, populate_ours, populate_theirs);
	CHECK(arena->committed.counter == SZ_64K);
	user_ram_pages = ram;
	arena_destroy(arena);
	return came;
}

static const struct {
	const char	*name;
	bool		(*run)(unsigned long point);
} tests[] = {
	{ "grow_budget_of_one_slab", grow_budget_of_one_slab },
	{ "populate_budget_of_one_arena", populate_budget_of_one_arena },
};

int main(int argc, char **argv)
{
	unsigned long point, i;

	CHECK(!arena_pool_init());
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name))
			continue;
		for (point = 1; tests[i].run(point); point++)
			CHECK(point < POINTS_MAX);
		printf("ok: %s: %lu places\n", tests[i].name, point - 1);
	}
	rcu_barrier();
	user_run_works();
	arena_pool_exit();
	CHECK(!arena_total_pages() && !user_blocks && !user_objects);
	return 0;
}
