// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that something else still refers to when their arena gives them back: a pipe, a
 * read or write in flight, a buffer that io_uring has registered. They are of no use to
 * any other arena, but they are memory that an arena took, so they stay charged until they
 * are really free (clause 20).
 *
 * Such a page is kept in a list with a reference of ours. Once that is the only one left,
 * the page is freed and uncharged. A page count that drops tells nobody, so the list is
 * looked through by a worker while it is not empty, and whenever a charge fails.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "mem/mem.h"

#define HELD_DELAY	HZ
/* How many pages the worker looks at each time. */
#define HELD_AT_ONCE	8192

/* The pages, linked by their lru field; page_private() is the budget. */
static LIST_HEAD(held);
static DEFINE_SPINLOCK(held_lock);
/* One at a time looks through the list. Nothing is freed behind the back of a failing charge. */
static DEFINE_MUTEX(held_mutex);

static void held_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(held_work, held_worker);

/* Any context but NMI. @page is a page by itself, or the head of a compound one. */
void arena_held_add(struct arena_budget *budget, struct page *page)
{
	unsigned long flags;

	arena_budget_get(budget);
	set_page_private(page, (unsigned long)budget);
	spin_lock_irqsave(&held_lock, flags);
	list_add_tail(&page->lru, &held);
	spin_unlock_irqrestore(&held_lock, flags);
	schedule_delayed_work(&held_work, HELD_DELAY);
}

static void held_free(struct page *page)
{
	struct arena_budget *budget = (struct arena_budget *)page_private(page);
	long pages = 1L << compound_order(page);

	set_page_private(page, 0);
	put_page(page);
	arena_budget_uncharge(budget, pages);
	arena_budget_put(budget);
}

/* Move the first @nr pages of the list, or all, to @some. */
static void held_take(struct list_head *some, unsigned long nr)
{
	struct page *page;
	unsigned long flags;

	spin_lock_irqsave(&held_lock, flags);
	if (nr == ULONG_MAX)
		list_splice_init(&held, some);
	while (nr-- && (page = list_first_entry_or_null(&held, struct page, lru)))
		list_move_tail(&page->lru, some);
	spin_unlock_irqrestore(&held_lock, flags);
}

static bool held_look(unsigned long nr)
{
	struct page *page, *next;
	unsigned long flags;
	bool freed = false;
	LIST_HEAD(some);

	lockdep_assert_held(&held_mutex);
	held_take(&some, nr);
	list_for_each_entry_safe(page, next, &some, lru) {
		if (page_count(page) == 1) {
			list_del_init(&page->lru);
			held_free(page);
			freed = true;
		}
		cond_resched();
	}
	spin_lock_irqsave(&held_lock, flags);
	list_splice_tail(&some, &held);
	spin_unlock_irqrestore(&held_lock, flags);
	return freed;
}

/*
 * Free what nothing else refers to any more; false if that was nothing. Linear in the
 * pages held, which the budgets bound. May sleep; gives up when the task is killed.
 */
bool arena_held_reap(void)
{
	bool freed;

	if (list_empty_careful(&held) || mutex_lock_killable(&held_mutex))
		return false;
	freed = held_look(ULONG_MAX);
	mutex_unlock(&held_mutex);
	return freed;
}

static void held_worker(struct work_struct *work)
{
	mutex_lock(&held_mutex);
	held_look(HELD_AT_ONCE);
	mutex_unlock(&held_mutex);
	if (!list_empty_careful(&held))
		schedule_delayed_work(&held_work, HELD_DELAY);
}

/* There is no arena any more. What is still held now belongs to who holds it. */
void arena_held_exit(void)
{
	struct page *page, *next;

	cancel_delayed_work_sync(&held_work);
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del_init(&page->lru);
		held_free(page);
	}
}
