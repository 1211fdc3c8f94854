/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of suites that test allocation in interrupts: functions that are called in hard
 * interrupts, races between these and threads, and warnings that are provoked on purpose.
 */
#ifndef _ARENA_KUNIT_IRQ_H
#define _ARENA_KUNIT_IRQ_H

#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/smp.h>

#include "arena_test.h"

struct arena_irq_call {
	struct irq_work	work;
	void		(*fn)(void *data);
	void		*data;
};

static inline void arena_irq_call_fn(struct irq_work *work)
{
	struct arena_irq_call *call = container_of(work, struct arena_irq_call, work);

	call->fn(call->data);
}

/*
 * Call a function once in an interrupt of the current CPU, and wait until it has returned. The
 * function may grow arenas, which takes locks of the page allocator that sleep on PREEMPT_RT.
 * Therefore IRQ_WORK_INIT() initialises the irq_work, and not IRQ_WORK_INIT_HARD(): on PREEMPT_RT,
 * a kernel thread then calls the function.
 */
static inline void arena_in_irq(void (*fn)(void *data), void *data)
{
	struct arena_irq_call call = {
		.work = IRQ_WORK_INIT(arena_irq_call_fn),
		.fn = fn,
		.data = data,
	};

	irq_work_queue(&call.work);
	irq_work_sync(&call.work);
}

/*
 * Called by one thread of a crew: interrupt CPU @cpu at random times while arena_crew_on() is true.
 * Each interrupt calls @fn. The calling thread sends the interrupts from another CPU, or from @cpu
 * if no other CPU is online. Returns the number of interrupts.
 */
static inline unsigned long arena_irq_pester(struct arena_hand *hand, int cpu,
					     void (*fn)(void *data), void *data)
{
	int other = cpumask_any_but(cpu_online_mask, cpu);
	bool alone = other >= nr_cpu_ids;
	unsigned long calls = 0;

	if (set_cpus_allowed_ptr(current, cpumask_of(alone ? cpu : other)))
		return 0;
	while (arena_crew_on(hand->crew)) {
		unsigned int spins = arena_rnd_below(&hand->rnd, 500);

		while (spins--)
			cpu_relax();
		if (alone)
			arena_in_irq(fn, data);
		else
			smp_call_function_single(cpu, fn, data, 1);
		calls++;
		cond_resched();
	}
	return calls;
}

/* Returns the CPU to which suites send interrupts. Threads to be interrupted must move there. */
static inline int arena_irq_cpu(void)
{
	return cpumask_first(cpu_online_mask);
}

/*
 * A source of hard interrupts on one CPU. Each interrupt calls a function. The interrupts come from
 * a timer, and from another CPU as well if a thread calls arena_irq_source_pester(). After each
 * interrupt, the timer leaves the interrupted thread enough time to allocate an object larger than
 * a slab, which takes milliseconds under sanitizers: if the function resets the arena, and the
 * timer called it more often, such an allocation would never succeed.
 */
#define ARENA_IRQ_PERIOD	(10 * NSEC_PER_MSEC)

struct arena_irq_source {
	int		cpu;
	void		(*fn)(void *data);
	void		*data;
	bool		stop;
	struct hrtimer	timer;
};

static inline enum hrtimer_restart arena_irq_source_timer(struct hrtimer *timer)
{
	struct arena_irq_source *source = container_of(timer, struct arena_irq_source, timer);
	ktime_t begin, end;

	if (READ_ONCE(source->stop))
		return HRTIMER_NORESTART;
	begin = ktime_get();
	source->fn(source->data);
	end = ktime_get();
	/*
	 * A busy host slows down this function and the interrupted thread alike. So the longer the
	 * function has taken, the longer the thread runs before the next interrupt.
	 */
	hrtimer_set_expires(timer, ktime_add_ns(end, ARENA_IRQ_PERIOD +
						4 * ktime_to_ns(ktime_sub(end, begin))));
	return HRTIMER_RESTART;
}

static inline void arena_irq_source_begin(void *data)
{
	struct arena_irq_source *source = data;

	hrtimer_start(&source->timer, ns_to_ktime(ARENA_IRQ_PERIOD), HRTIMER_MODE_REL_PINNED_HARD);
}

static inline void arena_irq_source_start(struct arena_irq_source *source, int cpu,
					  void (*fn)(void *), void *data)
{
	source->cpu = cpu;
	source->fn = fn;
	source->data = data;
	source->stop = false;
	hrtimer_setup(&source->timer, arena_irq_source_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);
	smp_call_function_single(cpu, arena_irq_source_begin, source, 1);
}

static inline void arena_irq_source_stop(struct arena_irq_source *source)
{
	WRITE_ONCE(source->stop, true);
	hrtimer_cancel(&source->timer);
}

/*
 * Called by one thread of a crew: interrupt the CPU of @source from another CPU while
 * arena_crew_on() is true. If no other CPU is online, the calling thread only sleeps, and all
 * interrupts come from the timer.
 */
static inline void arena_irq_source_pester(struct arena_irq_source *source, struct arena_hand *hand)
{
	if (cpumask_any_but(cpu_online_mask, source->cpu) < nr_cpu_ids)
		arena_irq_pester(hand, source->cpu, source->fn, source->data);
	while (arena_crew_on(hand->crew))
		schedule_timeout_uninterruptible(1);
}

/*
 * An alarm is a timer that interrupts the CPU that has set it, at a random time soon afterwards. An
 * interrupt from another CPU could come late, if that CPU is busy. A test that sets the alarm often
 * enough is interrupted at every place in the tested code at which the CPU spends some time.
 */
struct arena_alarm {
	struct hrtimer	timer;
	void		(*fn)(void *data);
	void		*data;
	u32		rnd;
};

static inline enum hrtimer_restart arena_alarm_fn(struct hrtimer *timer)
{
	struct arena_alarm *alarm = container_of(timer, struct arena_alarm, timer);

	alarm->fn(alarm->data);
	return HRTIMER_NORESTART;
}

static inline void arena_alarm_setup(struct arena_alarm *alarm, void (*fn)(void *data), void *data)
{
	*alarm = (struct arena_alarm) { .fn = fn, .data = data, .rnd = 4711 };
	hrtimer_setup(&alarm->timer, arena_alarm_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * Set the alarm. The timer interrupts the CPU of the caller, which must stay on this CPU.
 * @within: the interrupt comes at most this many nanoseconds later.
 */
static inline void arena_alarm_set(struct arena_alarm *alarm, u32 within)
{
	hrtimer_start(&alarm->timer, ns_to_ktime(1 + arena_rnd_below(&alarm->rnd, within)),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

static inline void arena_alarm_stop(struct arena_alarm *alarm)
{
	hrtimer_cancel(&alarm->timer);
}

/*
 * A race: the threads of a crew and hard interrupts allocate objects by arena_race.take() until
 * none is left. Thread 1 sends interrupts to the CPU of thread 0, and the other threads compete.
 * When a thread has taken its share of half of the objects, it waits until interrupts have taken
 * ARENA_RACE_SHARE objects. Then all race for the rest. Without this wait, the threads could take
 * all objects before the first interrupt comes.
 */
#define ARENA_RACE_SHARE	20

struct arena_race {
	/* Returns an object of @size bytes that contains the pattern of @owner, or NULL. */
	void			*(*take)(struct arena_race *race, u32 owner);
	void			*from;
	size_t			size;
	int			cpu;
	atomic_t		left;	/* threads that still take objects */
	struct arena_extent	*ext;	/* the objects that interrupts took */
	size_t			nr_ext;
	size_t			max_ext;
	unsigned long		refused;
	u32			owner;
};

static inline bool arena_race_take(struct arena_race *race, struct arena_extent *ext, size_t *nr,
				   u32 owner)
{
	void *ptr = race->take(race, owner);

	if (!ptr)
		return false;
	ext[*nr] = (struct arena_extent){ ptr, race->size, owner };
	WRITE_ONCE(*nr, *nr + 1);
	return true;
}

static inline void arena_race_irq(void *data)
{
	struct arena_race *race = data;

	if (race->nr_ext < race->max_ext &&
	    !arena_race_take(race, race->ext, &race->nr_ext, ++race->owner))
		race->refused++;
}

/*
 * Each thread calls this function first. On thread 1, the function sends interrupts until the race
 * ends, and returns false. On the other threads, it returns true at once, and the thread takes
 * objects. Thread 0 first moves to @race->cpu, to be interrupted.
 */
static inline bool arena_race_enter(struct arena_hand *hand, struct arena_race *race)
{
	if (hand->id == 1) {
		arena_irq_pester(hand, race->cpu, arena_race_irq, race);
		return false;
	}
	if (hand->id == 0 && set_cpus_allowed_ptr(current, cpumask_of(race->cpu)))
		hand->bad++;
	return true;
}

static inline void arena_race_job(struct arena_hand *hand)
{
	struct arena_crew *crew = hand->crew;
	struct arena_race *race = crew->data;

	if (!arena_race_enter(hand, race))
		return;
	arena_crew_meet(crew);
	do {
		/* Sleep: on a busy host, spinning would keep thread 1 from sending interrupts. */
		while (hand->nr_ext == race->max_ext / 2 / crew->nr && arena_crew_on(crew) &&
		       READ_ONCE(race->nr_ext) < ARENA_RACE_SHARE)
			schedule_timeout_uninterruptible(1);
	} while (hand->nr_ext < crew->max_ext &&
		 arena_race_take(race, hand->ext, &hand->nr_ext, arena_rnd(&hand->rnd)));
	if (atomic_dec_and_test(&race->left))
		WRITE_ONCE(crew->stop, true);
}

static inline void arena_race_free(void *ext)
{
	kvfree(ext);
}

static inline struct arena_race *
arena_race_create(struct kunit *test, void *(*take)(struct arena_race *, u32), void *from,
		  size_t size, size_t max_ext)
{
	struct arena_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->take = take;
	race->from = from;
	race->size = size;
	race->cpu = arena_irq_cpu();
	race->max_ext = max_ext;
	race->ext = kvcalloc(max_ext, sizeof(*race->ext), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race->ext);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, arena_race_free, race->ext));
	return race;
}

/* Run the race. Expects that each object was handed out exactly once (clauses 1, 16). */
static inline void arena_race_run(struct kunit *test, struct arena_race *race,
				  struct arena_crew *crew)
{
	struct arena_extent *all;
	size_t got, overlap;
	unsigned int i;

	for (i = 0; i < crew->nr; i++)
		arena_hand_forget(&crew->hand[i]);
	race->nr_ext = 0;
	atomic_set(&race->left, crew->nr - 1);
	crew->data = race;
	arena_crew_go(crew, arena_race_job, ARENA_CREW_TIMEOUT / 2 * MSEC_PER_SEC);
	arena_crew_wait(crew);
	KUNIT_ASSERT_EQ(test, arena_crew_bad(crew), 0);

	all = arena_crew_extents(crew, race->ext, race->nr_ext, &got);
	KUNIT_ASSERT_NOT_NULL(test, all);
	KUNIT_EXPECT_EQ(test, got, race->max_ext);
	KUNIT_EXPECT_EQ(test, 0, arena_extents_spoiled(all, got));
	overlap = arena_extents_overlap(all, got);
	kvfree(all);
	KUNIT_ASSERT_EQ(test, overlap, 0);
	/* If interrupts took fewer objects, they have hardly taken part in the race. */
	KUNIT_EXPECT_GE(test, race->nr_ext, ARENA_RACE_SHARE);
}

/*
 * If a caller misuses the API, the call warns once a boot, and has no other effect. KUnit of newer
 * kernels can suppress and count the warnings that a task causes. On older kernels, the warnings
 * are printed between two lines that tell readers of the log to expect them.
 */
#ifdef kunit_warning_suppress
static inline void *arena_warnings_begin(struct kunit *test)
{
	return kunit_start_suppress_warning(test);
}

/* Returns the number of warnings, or -1 if this kernel cannot count them. */
static inline int arena_warnings_end(struct kunit *test, void *warnings)
{
	int nr = kunit_suppressed_warning_count(warnings);

	kunit_end_suppress_warning(test, warnings);
	return nr;
}
#else
static inline void *arena_warnings_begin(struct kunit *test)
{
	pr_warn("arena-test: expect splat\n");
	return NULL;
}

static inline int arena_warnings_end(struct kunit *test, void *warnings)
{
	pr_warn("arena-test: end of splat\n");
	return -1;
}
#endif

#endif /* _ARENA_KUNIT_IRQ_H */
