// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that something else still refers to when their arena gives them back: a pipe, a read or
 * write in flight, a buffer that io_uring has registered. No other arena may use them yet. As an
 * arena has caused them to be allocated, they stay charged until they are freed (clause 20):
 * otherwise a program could hold more memory than its limits allow, in pipes for instance.
 *
 * The list below keeps each such page, with one reference. Once that reference is the only one, the
 * page is freed and uncharged. The kernel notifies no code when a page's reference count drops, so
 * a worker scans the list once a second while it is not empty, and charges that fail scan it, too.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "mem/mem.h"

#define PINNED_DELAY	HZ
/* The worker scans at most this many pages each time. */
#define PINNED_AT_ONCE	8192

/* The pages, linked by their lru field; page_private() is the budget. */
static LIST_HEAD(pinned);
static DEFINE_SPINLOCK(pinned_lock);
/* Number of entries of the list, including those that a scan has taken off it for a while. */
static unsigned long nr_pinned;
/*
 * Serializes scans. A scan takes the pages off the list for a while, so a charge that fails must
 * wait for it: otherwise the charge would miss pages that could be freed.
 */
static DEFINE_MUTEX(pinned_mutex);

static void pinned_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(pinned_work, pinned_worker);

/*
 * Keep @page, a single page or the head of a compound page, with the caller's reference and its
 * charge to @budget. Any context but NMI.
 */
void arena_pinned_add(struct arena_budget *budget, struct page *page)
{
	unsigned long flags;

	arena_budget_get(budget);
	set_page_private(page, (unsigned long)budget);
	spin_lock_irqsave(&pinned_lock, flags);
	list_add_tail(&page->lru, &pinned);
	nr_pinned++;
	spin_unlock_irqrestore(&pinned_lock, flags);
	schedule_delayed_work(&pinned_work, PINNED_DELAY);
}

static void pinned_free(struct page *page)
{
	struct arena_budget *budget = (struct arena_budget *)page_private(page);
	long pages = 1L << compound_order(page);

	set_page_private(page, 0);
	put_page(page);
	arena_budget_uncharge(budget, pages);
	arena_budget_put(budget);
}

/* Move the first @nr pages of the list to @some, or all of them if @nr is ULONG_MAX. */
static void pinned_take(struct list_head *some, unsigned long nr)
{
	struct page *page;
	unsigned long flags;

	spin_lock_irqsave(&pinned_lock, flags);
	if (nr == ULONG_MAX)
		list_splice_init(&pinned, some);
	while (nr-- && (page = list_first_entry_or_null(&pinned, struct page, lru)))
		list_move_tail(&page->lru, some);
	spin_unlock_irqrestore(&pinned_lock, flags);
}

/*
 * Free those of the first @nr pages of the list that nothing else refers to any more. Returns true
 * if any page was freed. The caller holds pinned_mutex.
 */
static bool pinned_scan(unsigned long nr)
{
	struct page *page, *next;
	unsigned long flags, freed = 0;
	LIST_HEAD(some);

	lockdep_assert_held(&pinned_mutex);
	pinned_take(&some, nr);
	list_for_each_entry_safe(page, next, &some, lru) {
		if (page_count(page) == 1) {
			list_del_init(&page->lru);
			pinned_free(page);
			freed++;
		}
		cond_resched();
		if (fatal_signal_pending(current))
			break;
	}
	spin_lock_irqsave(&pinned_lock, flags);
	list_splice_tail(&some, &pinned);
	nr_pinned -= freed;
	spin_unlock_irqrestore(&pinned_lock, flags);
	return freed;
}

/*
 * Free all pages in the list that nothing else refers to any more. Returns true if any page was
 * freed. Takes time linear in the length of the list, which the budgets bound. May sleep; a killed
 * task does not wait for another scan.
 */
bool arena_pinned_reap(void)
{
	bool freed;

	if (!READ_ONCE(nr_pinned) || mutex_lock_killable(&pinned_mutex))
		return false;
	freed = pinned_scan(ULONG_MAX);
	mutex_unlock(&pinned_mutex);
	return freed;
}

static void pinned_worker(struct work_struct *work)
{
	mutex_lock(&pinned_mutex);
	pinned_scan(PINNED_AT_ONCE);
	mutex_unlock(&pinned_mutex);
	if (READ_ONCE(nr_pinned))
		schedule_delayed_work(&pinned_work, PINNED_DELAY);
}

/*
 * No arena exists any more. Drop the module's reference to each page that is left: its other
 * references keep it from now on, and the last of them frees it.
 */
void arena_pinned_exit(void)
{
	struct page *page, *next;

	cancel_delayed_work_sync(&pinned_work);
	list_for_each_entry_safe(page, next, &pinned, lru) {
		list_del_init(&page->lru);
		pinned_free(page);
	}
}
