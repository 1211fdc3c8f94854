/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arena_context: allocation from contexts that a user-mode kernel has not, on
 * the CPU and in the middle of an allocation of the same arena.
 *
 * A stage is an arena with a log: every allocation, whoever made it, is one
 * entry. When all is quiet the log is held against the arena (stage_verify()).
 */
#ifndef _ARENA_CONTEXT_H
#define _ARENA_CONTEXT_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/types.h>

struct pt_regs;

enum source { BY_TASK, BY_TIMER, BY_IRQ_WORK, BY_NMI, BY_PROBE, NR_SOURCES };

/**
 * struct entry - one allocation.
 * @ptr:	NULL if there was none.
 * @size:	bytes asked for.
 * @reserved:	out of the reservation.
 * @handle:	where in the arena.
 */
struct entry {
	void		*ptr;
	u32		size;
	bool		reserved;
	arena_handle_t	handle;
};

/**
 * struct stage - an arena and what is known of it.
 * @arena:	whose allocations the log lists.
 * @reserve:	a reservation in it, for those who have one.
 * @reserved:	bytes taken otherwise: by the reservation, or by @large.
 * @large:	an object larger than a slab, of @large_size bytes, or NULL.
 * @log:	@max entries.
 * @sorted:	of @max entries, to sort them.
 * @max:	entries there is room for.
 * @nr:		entries begun.
 * @allocs:	successful allocations of the arena since its creation.
 * @from_reserve: successful allocations from the reservation.
 * @busy:	the task is allocating: set around the call.
 * @may_refuse:	memory is not committed now, or the generation not settled:
 *		refusals do not count.
 * @taken:	successful allocations by source, reservation included.
 * @refused:	failed ones by source, and
 * @spent:	those that failed for want of a reservation.
 * @inside:	those that interrupted an allocation, by source.
 */
struct stage {
	struct arena		*arena;
	struct arena_reserve	reserve;
	size_t			reserved;
	void			*large;
	size_t			large_size;
	struct entry		*log;
	const struct entry	**sorted;
	unsigned int		max;
	atomic_t		nr;
	atomic_t		allocs;
	atomic_t		from_reserve;
	bool			busy;
	bool			may_refuse;
	atomic_t		taken[NR_SOURCES];
	atomic_t		refused[NR_SOURCES];
	atomic_t		spent[NR_SOURCES];
	atomic_t		inside[NR_SOURCES];
};

/* stage.c: allocation from any context, all else from tasks */
int stage_open(struct stage *stage, size_t capacity, unsigned int flags, unsigned int max);
void stage_close(struct stage *stage);
int stage_reserve(struct stage *stage, size_t nr, size_t size);
void *stage_alloc(struct stage *stage, enum source source, size_t size, gfp_t gfp);
void *stage_alloc_reserved(struct stage *stage, enum source source, size_t size);
void stage_log(struct stage *stage, void *ptr, size_t size);
void stage_log_large(struct stage *stage, void *ptr, size_t size);
void stage_verify(struct stage *stage, const char *when);
void stage_verify_reserve(struct stage *stage, size_t nr, size_t size);
void stage_report(const struct stage *stage);
void stage_forget(struct stage *stage);

/* main.c: what a test has to say. Not for interrupts. */
__printf(1, 2) void note(const char *fmt, ...);
__printf(1, 2) void fail(const char *fmt, ...);
__printf(1, 2) void skip(const char *fmt, ...);
bool skipped(void);
bool failed(void);
__printf(2, 3) bool expect(bool condition, const char *fmt, ...);

/* text.c: the code of the module under test */
int text_find(void);
bool text_has(unsigned long address);
bool text_interrupted(void);
unsigned long text_function(unsigned int index, unsigned long *size);
int text_name(char *buffer, unsigned long address);

/* irq.c */
void test_timer_dense(void);
void test_timer_spans(void);
void test_timer_reserved(void);

/* nmi.c */
typedef void (*nmi_fn)(struct pt_regs *regs, void *data);

int nmi_open(nmi_fn fn, void *data);
void nmi_close(void);
bool nmi_raise(int cpu);
void test_nmi_dense(void);
void test_nmi_spans(void);
void test_nmi_reserved(void);

/* probe.c */
void test_probe_dense(void);
void test_probe_spans(void);

/* typed.c */
void test_typed_timer(void);
void test_typed_readers(void);
void test_reset_rcu(void);

/* notify.c */
int notify_from(int fd, const char *name, unsigned int nr);

/* hotplug.c */
void test_gone(void);
void test_hotplug(void);

#endif /* _ARENA_CONTEXT_H */
