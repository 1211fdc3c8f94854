/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module arena_torture makes all calls of linux/arena.h at once, from tasks, softirqs, hard
 * interrupts, irq_works and NMIs, until it is unloaded, and checks what the arenas promise. A
 * promise that is broken is one line "arena_torture: VIOLATION" in the kernel's log.
 *
 * A target is an arena with the log of its objects. The keeper of a target is the kernel thread
 * that resets, destroys and recreates the arena. A caller is a kernel thread, a timer, an irq_work
 * or the NMI handler of a CPU; callers allocate from all targets.
 *
 * A life of a target is the time from the creation of its arena to its destruction. The rule of a
 * life says what protects the objects:
 *  - RULE_GUARDED: the keeper closes the gate of the target before it resets the arena, and callers
 *    use objects only while they are inside the gate;
 *  - RULE_RCU: callers use objects only inside rcu_read_lock(), and any caller resets the arena by
 *    arena_reset_rcu() at any time;
 *  - RULE_RACING: any caller resets the arena in any way at any time, so no caller touches an
 *    object.
 * Under each rule, callers also make loose calls, which race with the resets of the keeper, and
 * whose objects no caller touches.
 */
#ifndef _ARENA_TORTURE_H
#define _ARENA_TORTURE_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/percpu.h>
#include <linux/timer.h>
#include <linux/types.h>

/* The kinds of calls, each of which must happen in a run. */
#define TORTURE_CALLS(X)							\
	X(alloc) X(alloc_words) X(zalloc) X(alloc_aligned) X(alloc_array) X(alloc_obj)	\
	X(alloc_flex) X(alloc_handle) X(alloc_large) X(memdup) X(memdup_aligned) X(store)	\
	X(strdup) X(strndup) X(printf) X(buf) X(burst) X(loose) X(failed)		\
	X(reserve) X(reserve_alloc) X(unreserve) X(resize) X(realloc)		\
	X(action) X(action_ran) X(handle) X(deref) X(deref_stale) X(owns) X(verify) X(read)	\
	X(stats) X(populate) X(get_put) X(create) X(destroy) X(put_last)	\
	X(reset) X(reset_release) X(reset_zero) X(reset_rcu) X(mark) X(rewind)	\
	X(race_reset) X(busy)							\
	X(typed_alloc) X(typed_append) X(typed_free) X(typed_read) X(typed_reset)	\
	X(private_alloc) X(private_resize) X(private_rewind) X(private_reset)	\
	X(private_in) X(private_action)						\
	X(in_task) X(in_softirq) X(in_hardirq) X(in_irq_work) X(in_nmi)

#define TORTURE_ENUM(name)	CALL_##name,
#define TORTURE_NAME(name)	#name,
enum call { TORTURE_CALLS(TORTURE_ENUM) NR_CALLS };

/* In the order of the last names of TORTURE_CALLS. */
enum context { IN_TASK, IN_SOFTIRQ, IN_HARDIRQ, IN_IRQ_WORK, IN_NMI, NR_CONTEXTS };

enum rule { RULE_GUARDED, RULE_RCU, RULE_RACING, NR_RULES };

/**
 * struct caller - what makes calls: a thread, or an interrupt of one CPU.
 * @context: where it runs.
 * @random:  state of its generator of choices, which no other caller uses.
 */
struct caller {
	enum context	context;
	u64		random;
};

/**
 * struct gate - lets callers in, or keeps them out.
 * @inside: number of callers inside; plus INT_MIN while the gate is closed.
 */
struct gate {
	atomic_t	inside;
};

/**
 * struct entry - an object in the log of a target.
 * @locked:  bit 0 is set while a caller uses the entry.
 * @fixed:   the size must not change: the object is a string or from a reservation.
 * @segment: the segment in which the object was allocated, see &struct target.
 * @ptr:     the object; NULL in an unused entry.
 * @size:    its bytes.
 * @key:     what its stamp depends on, besides the address.
 * @handle:  its handle.
 */
struct entry {
	unsigned long	locked;
	bool		fixed;
	u8		segment;
	void		*ptr;
	size_t		size;
	u64		key;
	arena_handle_t	handle;
};

#define LOG_MAX		2048
#define SEGMENTS	64
#define MARKS		6
#define STALE		16
#define ACTIONS		64

/**
 * struct act - an action that a caller has added to a target.
 * @state:  0 if unused, 1 from before it is added until it runs.
 * @target: the target.
 * @ptr:    an object that ends with it; or NULL.
 * @size:   bytes of the object.
 * @key:    what the stamp of the object depends on.
 */
struct act {
	atomic_t	state;
	struct target	*target;
	void		*ptr;
	size_t		size;
	u64		key;
};

/**
 * struct target - an arena and the log of its objects.
 * @arena:   the arena of this life.
 * @name:    of the arena; shows the number of the target and of the life.
 * @flags:   ARENA_* of this life.
 * @rule:    what protects the objects in this life.
 * @tight:   no loose calls in this life, so that the used bytes can be compared with the log.
 * @slab:    bytes of a slab.
 * @capacity: of the arena.
 * @generation: the latest generation that the keeper has seen.
 * @gate:    callers inside may use objects of the log.
 * @loose:   callers inside may make loose calls.
 * @log:     LOG_MAX entries.
 * @nr:	     number of entries in use; under RULE_RCU, entries are used in a circle.
 * @segment: the part of a generation between marks or rewinds; 0 after a reset. A segment ends with
 *	     each mark and each rewind.
 * @dead:    bit s is set if a rewind has freed what was allocated in segment s.
 * @used:    bytes allocated in each segment.
 * @inexact: calls have allocated bytes that @used does not count.
 * @mark:    marks that the arena can be rewound to, the oldest first.
 * @mark_segment: the first segment after each mark.
 * @nr_marks: number of marks.
 * @stale:   handles of objects that the last reset has freed.
 * @nr_stale: number of these.
 * @reserve: a reservation.
 * @reserve_state: 0: none; 1: a caller makes it; 2: to be used.
 * @reserve_segment: in which it was made.
 * @reserve_nr: number of objects that it was made for.
 * @reserve_begun, @reserve_taken: calls to take an object from it; successful ones.
 * @act:     the actions.
 * @added:   number of actions that were added in this life.
 * @ran:     number of actions that have run in this life.
 * @full:    the log is full, the keeper is to reset the arena.
 * @keeper:  choices of the keeper.
 * @task:    the keeper.
 */
struct target {
	struct arena		*arena;
	char			name[24];
	unsigned int		flags;
	enum rule		rule;
	bool			tight;
	size_t			slab;
	size_t			capacity;
	u64			generation;
	struct gate		gate;
	struct gate		loose;
	struct entry		*log;
	atomic_t		nr;
	unsigned int		segment;
	u64			dead;
	atomic_long_t		used[SEGMENTS];
	bool			inexact;
	struct arena_mark	mark[MARKS];
	unsigned int		mark_segment[MARKS];
	unsigned int		nr_marks;
	arena_handle_t		stale[STALE];
	unsigned int		nr_stale;
	struct arena_reserve	reserve;
	atomic_t		reserve_state;
	unsigned int		reserve_segment;
	unsigned int		reserve_nr;
	atomic_t		reserve_begun;
	atomic_t		reserve_taken;
	struct act		act[ACTIONS];
	atomic_long_t		added;
	atomic_long_t		ran;
	bool			full;
	unsigned int		life;
	struct caller		keeper;
	struct task_struct	*task;
};

/* main.c */
extern struct target *targets;
extern unsigned int nr_targets;
extern unsigned long capacity_max;
extern unsigned int kinds;
DECLARE_PER_CPU(unsigned long [NR_CALLS], torture_counts);

__printf(2, 3) void violation(const char *name, const char *fmt, ...);
bool torture_broken(void);

static inline void count(enum call call)
{
	this_cpu_inc(torture_counts[call]);
}

static inline void seed_caller(struct caller *caller, enum context context, u64 seed)
{
	caller->context = context;
	caller->random = seed * 0x9e3779b97f4a7c15ULL + context;
}

/* Returns the next number of the generator, from 0 to @n - 1. */
static inline u32 below(struct caller *caller, u32 n)
{
	caller->random = caller->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(caller->random >> 33) % n;
}

/* target.c */
bool gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);
void gate_close(struct gate *gate);
void gate_open(struct gate *gate);
void stamp(void *ptr, size_t size, u64 key);
bool stamped(const void *ptr, size_t size, u64 key);
bool entry_lock(struct entry *entry);
void entry_unlock(struct entry *entry);
bool entry_is_dead(const struct target *target, const struct entry *entry);
void entry_verify(struct target *target, const struct entry *entry);
void race_reset(struct caller *caller, struct target *target);
int target_open(struct target *target, unsigned int index, u64 seed);
void target_close(struct target *target);

/* calls.c */
gfp_t pick_gfp(struct caller *caller, bool may_sleep);
void call_once(struct caller *caller);

/* typed.c */
int typed_open(u64 seed);
void typed_close(void);
void typed_call(struct caller *caller);

/* private.c */
void private_call(struct caller *caller);
void private_call_in(struct caller *caller, struct target *target);

#endif /* _ARENA_TORTURE_H */
