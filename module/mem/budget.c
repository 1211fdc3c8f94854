// SPDX-License-Identifier: GPL-2.0
/*
 * Budgets: how many pages arenas may have, and how many they have.
 *
 * Budgets form a tree. Its root, arena_total, counts the pages of all arenas; kernel callers charge
 * it directly. A charge to a budget below it, such as that of all programs or of one user, is also
 * charged to all its ancestors. So the pages by which the limit of the root exceeds the limit of
 * all programs are for kernel callers alone.
 *
 * A charge never raises a count above its limit, not even for a moment, and a charge that fails
 * has changed no count. The root is charged by one compare-and-swap. Counts below the root are
 * only raised with charge_lock held, so a holder of the lock that has seen room at those levels can
 * charge them without fail. The root, which kernel callers charge without the lock, may still
 * refuse, and is therefore charged before them.
 */
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "mem/mem.h"

static unsigned long max_total_mb;
module_param(max_total_mb, ulong, 0644);
MODULE_PARM_DESC(max_total_mb, "Memory for all arenas, in MiB (0: an eighth of RAM)");

static DEFINE_RAW_SPINLOCK(charge_lock);

/* The result saturates, so that no value of a module parameter overflows. */
long arena_mb_to_pages(unsigned long mb)
{
	return min(mb, (unsigned long)LONG_MAX >> (20 - PAGE_SHIFT)) << (20 - PAGE_SHIFT);
}

static long total_limit(void)
{
	unsigned long mb = READ_ONCE(max_total_mb);

	return mb ? arena_mb_to_pages(mb) : totalram_pages() / 8;
}

struct arena_budget arena_total = { .limit = total_limit };

static long room(const struct arena_budget *budget)
{
	return budget->limit() - atomic_long_read(&budget->pages);
}

static bool has_room(const struct arena_budget *budget, long pages)
{
	for (; budget; budget = budget->parent)
		if (pages > room(budget))
			return false;
	return true;
}

/* Add @pages to @charged. Returns false, with nothing changed, if the sum would exceed @limit. */
bool arena_charge(atomic_long_t *charged, long pages, long limit)
{
	long old = atomic_long_read(charged);

	do {
		if (pages > limit - old)
			return false;
	} while (!atomic_long_try_cmpxchg(charged, &old, old + pages));
	return true;
}

static bool charge_levels(struct arena_budget *budget, long pages)
{
	struct arena_budget *level;
	bool done = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&charge_lock, flags);
	for (level = budget; level->parent; level = level->parent)
		if (pages > room(level))
			goto out;
	done = arena_charge(&level->pages, pages, level->limit());
	for (level = budget; done && level->parent; level = level->parent)
		atomic_long_add(pages, &level->pages);
out:
	raw_spin_unlock_irqrestore(&charge_lock, flags);
	return done;
}

/* Charge @pages to a budget and its ancestors if they have room now. Any context; bounded time. */
bool arena_budget_try_charge(struct arena_budget *budget, long pages)
{
	if (budget->parent)
		return charge_levels(budget, pages);
	return arena_charge(&budget->pages, pages, budget->limit());
}

void arena_budget_uncharge(struct arena_budget *budget, long pages)
{
	for (; budget; budget = budget->parent)
		atomic_long_sub(pages, &budget->pages);
}

/*
 * Blocks in the pool are charged to the root. After the charge of a kernel caller to the root has
 * failed, free as many of these blocks as the charge needs, but none if even the whole pool would
 * not be enough. A charge of a program does not empty the pool: arenas of programs do not fill it
 * either. Returns true if the charge is worth another try.
 */
static bool pool_gives_way(const struct arena_budget *budget, long pages)
{
	long lack = pages - room(budget);

	if (budget->parent)
		return false;
	/* Other callers have made room since the charge failed. */
	if (lack <= 0)
		return true;
	if (lack > arena_pool_pages())
		return false;
	/*
	 * If the pool had no block to free although it counts pages, other callers have just picked
	 * its blocks. They uncharge these blocks, or subtract them from the pool's count, very
	 * soon; the caller tries again, and then finds either room or fewer pages in the pool.
	 */
	if (!arena_pool_shrink(lack))
		cpu_relax();
	return true;
}

/*
 * After a charge of @pages failed, free charged pages that no arena uses: blocks in the pool, and,
 * if @gfp allows to sleep, pages that something else still referred to when their arena gave them
 * back and that have no other reference by now. Returns true if the charge is worth another try.
 */
bool arena_budget_make_room(const struct arena_budget *budget, long pages, gfp_t gfp)
{
	if (pool_gives_way(budget, pages))
		return true;
	if (!gfpflags_allow_blocking(gfp))
		return false;
	/*
	 * arena_pinned_reap() may have freed nothing itself, but waited while another scan freed
	 * pages: so look for room, too.
	 */
	return arena_pinned_reap() || has_room(budget, pages);
}

/* Charge @pages to a budget and its ancestors; returns false if one of the limits forbids it. */
bool arena_budget_charge(struct arena_budget *budget, long pages, gfp_t gfp)
{
	unsigned int tries = 0;

	do {
		if (likely(arena_budget_try_charge(budget, pages)))
			return true;
	} while (tries++ < ARENA_ROOM_TRIES && arena_budget_make_room(budget, pages, gfp));
	return false;
}

/* Pages that may still be charged, the pool included. Racy: for statistics and hints only. */
unsigned long arena_budget_room(const struct arena_budget *budget)
{
	unsigned long pool = budget->parent ? 0 : arena_pool_pages();
	long left = room(budget);

	for (budget = budget->parent; budget; budget = budget->parent)
		left = min(left, room(budget));
	return max(left, 0L) + pool;
}

/*
 * Budgets with @release are reference-counted: a page that something else refers to may outlive its
 * arena, and must not outlive the budget that it is charged to.
 */
void arena_budget_get(struct arena_budget *budget)
{
	if (budget->release)
		refcount_inc(&budget->refs);
}

void arena_budget_put(struct arena_budget *budget)
{
	if (budget->release && refcount_dec_and_test(&budget->refs))
		budget->release(budget);
}

long arena_total_pages(void)
{
	return atomic_long_read(&arena_total.pages);
}
