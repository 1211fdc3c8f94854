// SPDX-License-Identifier: GPL-2.0
/*
 * Tests typed arenas and resets under readers. While a task uses the arenas, hard interrupts on its
 * CPU allocate, free and reset, and NMIs allocate.
 *
 * The seed of an element determines all of its words, so that the test recognises an incomplete
 * element.
 */
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <asm/irq_regs.h>
#include <asm/ptrace.h>

#include "compat.h"
#include "context.h"

#define ELEMENTS	512
#define HELD		16	/* the most elements that a context holds at a time */
#define PERIOD_NS	20000
#define TIMERS		1500
#define RESETS		10
#define PATIENCE	60	/* seconds */
#define WORDS		12

struct element {
	u64	seed;
	u64	word[WORDS];
};

DEFINE_ARENA(elements, struct element);

/**
 * struct holder - the elements that one context has allocated.
 * @held:   the elements; NULL for unused places.
 * @seed:   the seed of each element.
 * @rnd:    state of the random generator, which decides what to do next.
 * @taken:  number of allocated elements.
 * @freed:  number of freed elements.
 * @bad:    number of elements whose words had changed.
 */
struct holder {
	struct element	*held[HELD];
	u64		seed[HELD];
	u32		rnd;
	unsigned long	taken;
	unsigned long	freed;
	unsigned long	bad;
};

/**
 * struct scene - what the task and its interrupts share.
 * @elements: a typed arena.
 * @bytes:    an arena of bytes.
 * @timer:    raises hard interrupts at irregular times.
 * @work:     irq_work that the NMI handler queues.
 * @resets:   the timer handler resets @elements and @bytes.
 * @task:     elements that the task has allocated.
 * @irq:      elements that the timer handler has allocated.
 * @nmi:      elements that the NMI handler has allocated; @work frees those at even places.
 * @timers:   how often the timer has fired.
 * @inside:   how often the timer interrupted code of the module.
 * @done:     number of resets of @elements.
 * @bytes_done: number of resets of @bytes.
 * @refused:  number of resets that returned -EBUSY.
 * @missed:   on_nmi() did not serve an NMI in time.
 */
static struct scene {
	struct elements	*elements;
	struct arena	*bytes;
	struct hrtimer	timer;
	struct irq_work	work;
	bool		resets;
	struct holder	task;
	struct holder	irq;
	struct holder	nmi;
	unsigned long	timers;
	unsigned long	inside;
	unsigned long	done;
	unsigned long	bytes_done;
	unsigned long	refused;
	bool		missed;
} scene;

static u32 next(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void element_make(struct element *e, u64 seed)
{
	int i;

	e->seed = seed;
	for (i = 0; i < WORDS; i++)
		e->word[i] = (seed + i) * 0x9e3779b97f4a7c15ULL;
}

static bool element_is(const struct element *e, u64 seed)
{
	int i;

	for (i = 0; i < WORDS; i++)
		if (e->word[i] != (seed + i) * 0x9e3779b97f4a7c15ULL)
			return false;
	return e->seed == seed;
}

static void take(struct holder *holder, unsigned int i, bool append)
{
	struct element made;
	long index;

	holder->seed[i] = 1 + next(&holder->rnd);
	element_make(&made, holder->seed[i]);
	if (append) {
		index = elements_append(scene.elements, &made, 1);
		holder->held[i] = index < 0 ? NULL : elements_at(scene.elements, index);
	} else {
		holder->held[i] = elements_alloc(scene.elements, &made);
	}
	holder->taken += !!holder->held[i];
}

static void give_back(struct holder *holder, unsigned int i)
{
	holder->bad += !element_is(holder->held[i], holder->seed[i]);
	elements_free(scene.elements, holder->held[i]);
	holder->held[i] = NULL;
	holder->freed++;
}

/* Allocates an element, or checks an allocated element and frees it. */
static void churn(struct holder *holder)
{
	unsigned int i = next(&holder->rnd) % HELD;

	if (holder->held[i])
		give_back(holder, i);
	else
		take(holder, i, false);
}

/*
 * Allocates an element, and leaves the freeing to on_work(): an NMI handler may not free elements.
 */
static void on_nmi(struct pt_regs *regs, void *unused)
{
	unsigned int i = next(&scene.nmi.rnd) % HELD;

	if (!scene.nmi.held[i])
		take(&scene.nmi, i, i & 1);
	irq_work_queue(&scene.work);
}

/*
 * Frees the elements at even places of scene.nmi, which on_nmi() has allocated. No NMI interrupts
 * this function, because only on_timer() raises NMIs.
 */
static void on_work(struct irq_work *work)
{
	unsigned int i;

	for (i = 0; i < HELD; i += 2)
		if (scene.nmi.held[i])
			give_back(&scene.nmi, i);
}

static void count_reset(int err, unsigned long *done)
{
	if (!err)
		(*done)++;
	else if (err == -EBUSY)
		scene.refused++;
	else
		scene.irq.bad++;
}

/* Called by the timer handler: resets both arenas, which the interrupted task may be using. */
static void reset_all(void)
{
	struct element made, *e;

	count_reset(elements_reset(scene.elements), &scene.done);
	count_reset(arena_reset_rcu(scene.bytes), &scene.bytes_done);
	/* Allocate again at once, while the task may still use older objects. */
	element_make(&made, 1 + next(&scene.irq.rnd));
	e = elements_alloc(scene.elements, &made);
	if (e && scene.timers % 2)
		elements_free(scene.elements, e);
	scene.irq.taken += !!e;
	ignore(arena_zalloc(scene.bytes, 200, ARENA_NOGROW));
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	scene.timers++;
	scene.inside += text_interrupted();
	if (scene.resets) {
		reset_all();
	} else {
		churn(&scene.irq);
		/* The NMI interrupts the timer handler, which interrupts the task. */
		if (scene.timers % 4 == 0 && !nmi_raise(smp_processor_id()))
			scene.missed = true;
	}
	hrtimer_forward_now(timer, ns_to_ktime(PERIOD_NS + next(&scene.irq.rnd) % PERIOD_NS));
	return HRTIMER_RESTART;
}

/* Checks that all elements are complete. Inside rcu_read_lock(), resets must not change them. */
static void look_around(void)
{
	const struct element *e;
	size_t i;

	arena_for_each(elements, scene.elements, i, e)
		scene.task.bad += !element_is(e, e->seed);
}

/*
 * Uses objects while the timer resets their arenas: the objects must stay intact until
 * rcu_read_unlock().
 */
static void use_under_resets(void)
{
	struct element made, *e;
	u64 seed = 1 + next(&scene.task.rnd);
	u8 *ptr;

	rcu_read_lock();
	element_make(&made, seed);
	e = elements_alloc(scene.elements, &made);
	ptr = arena_alloc(scene.bytes, 100 + seed % 100, ARENA_NOGROW);
	if (ptr)
		memset(ptr, (u8)seed, 100);
	look_around();
	scene.task.bad += e && !element_is(e, seed);
	scene.task.bad += ptr && memchr_inv(ptr, (u8)seed, 100);
	scene.task.taken += e && ptr;
	rcu_read_unlock();
}

static bool enough(void)
{
	return READ_ONCE(scene.timers) >= TIMERS && READ_ONCE(scene.inside) &&
	       (!scene.resets || READ_ONCE(scene.done) >= RESETS);
}

static long under_timer(void *unused)
{
	unsigned long end = jiffies + PATIENCE * HZ;

	context_timer_setup(&scene.timer, on_timer, HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&scene.timer, ns_to_ktime(PERIOD_NS), HRTIMER_MODE_REL_PINNED_HARD);
	while (!enough() && !READ_ONCE(scene.missed) && time_before(jiffies, end)) {
		if (scene.resets)
			use_under_resets();
		else
			churn(&scene.task);
		cond_resched();
	}
	hrtimer_cancel(&scene.timer);
	irq_work_sync(&scene.work);
	return 0;
}

static void give_all_back(struct holder *holder)
{
	unsigned int i;

	for (i = 0; i < HELD; i++)
		if (holder->held[i])
			give_back(holder, i);
}

/*
 * Allocates elements until an allocation fails, and expects as many elements as the arena has room
 * for: fewer mean that the module has lost elements, and more mean that it has handed out an
 * element twice.
 */
static void expect_whole(void)
{
	unsigned int nr = 0;
	struct element made;

	element_make(&made, 5);
	rcu_barrier();
	rcu_barrier();
	while (nr <= ELEMENTS && elements_alloc(scene.elements, &made))
		nr++;
	expect(nr == ELEMENTS, "%u elements of %d were to be had", nr, ELEMENTS);
	look_around();
}

static void report(const char *name, const struct holder *holder)
{
	note("%s: %lu taken, %lu freed", name, holder->taken, holder->freed);
	expect(holder->taken, "nothing was taken by %s", name);
	expect(!holder->bad, "%lu of %s were spoiled", holder->bad, name);
}

static bool scene_open(unsigned int flags, bool resets)
{
	static const struct arena_config config = {
		.name = "scene", .capacity = SZ_1M, .flags = ARENA_SPANS | ARENA_READERS,
	};

	memset(&scene, 0, sizeof(scene));
	scene.resets = resets;
	scene.task.rnd = 1;
	scene.irq.rnd = 2;
	scene.nmi.rnd = 3;
	init_irq_work(&scene.work, on_work);
	scene.elements = elements_create_flags(ELEMENTS, flags);
	scene.bytes = arena_create(&config);
	return expect(!IS_ERR(scene.bytes) && !IS_ERR(scene.elements) &&
		      !arena_populate(scene.bytes, SZ_1M, GFP_KERNEL), "no memory for the test") &&
	       expect(!nmi_open(on_nmi, NULL), "no NMI handler");
}

static void scene_close(void)
{
	if (!IS_ERR(scene.elements))
		elements_destroy(scene.elements);
	if (!IS_ERR(scene.bytes))
		arena_destroy(scene.bytes);
}

static void check_resets(void)
{
	note("%lu and %lu resets, %lu refused", scene.done, scene.bytes_done, scene.refused);
	expect(scene.done >= RESETS && scene.bytes_done, "hardly any reset");
	rcu_barrier();
	expect(!elements_reset(scene.elements), "a reset is refused when all is quiet");
}

static void check(void)
{
	note("%lu timers, %lu inside of the module", scene.timers, scene.inside);
	expect(enough(), "not enough interrupts in %d seconds", PATIENCE);
	expect(!scene.missed, "an NMI did not come");
	if (scene.resets) {
		check_resets();
	} else {
		give_all_back(&scene.task);
		give_all_back(&scene.irq);
		give_all_back(&scene.nmi);
		report("the NMI", &scene.nmi);
	}
	report("the task", &scene.task);
	report("the timer", &scene.irq);
	expect_whole();
}

static void run(unsigned int flags, bool resets)
{
	if (scene_open(flags, resets)) {
		work_on_cpu(cpumask_first(cpu_online_mask), under_timer, NULL);
		nmi_close();
		check();
	}
	scene_close();
}

void test_typed_timer(void)
{
	run(0, false);
}

void test_typed_readers(void)
{
	run(ARENA_READERS, false);
}

void test_reset_rcu(void)
{
	run(ARENA_READERS, true);
}
