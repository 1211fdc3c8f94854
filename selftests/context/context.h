/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module arena_context tests allocation in contexts that User-Mode Linux does not have: hard
 * interrupts, NMIs and kprobes that interrupt an allocation from the same arena on the same CPU.
 *
 * A stage is an arena with a log, in which each allocation in any context is one entry. When no
 * allocation runs, stage_verify() compares the log with the arena. A reservation is a part of the
 * arena that arena_reserve() has set aside for allocations that cannot fail.
 */
#ifndef _ARENA_CONTEXT_H
#define _ARENA_CONTEXT_H

#include <linux/arena.h>
#include <linux/atomic.h>
#include <linux/types.h>

struct pt_regs;

enum source { BY_TASK, BY_TIMER, BY_IRQ_WORK, BY_NMI, BY_PROBE, NR_SOURCES };

/**
 * struct entry - one allocation in the log of a stage.
 * @ptr:	the object. NULL until the entry is complete, and if the allocation failed.
 * @size:	bytes that were asked for.
 * @reserved:	the object comes from the reservation of the stage.
 * @handle:	the handle of the object.
 */
struct entry {
	void		*ptr;
	u32		size;
	bool		reserved;
	arena_handle_t	handle;
};

/**
 * struct stage - an arena and the log of its allocations.
 * @arena:	the arena.
 * @reserve:	a reservation in @arena, if the test has made one.
 * @reserved:	bytes of @arena that have no entry of their own: those of @reserve and @large.
 * @large:	an object larger than a slab, of @large_size bytes, or NULL.
 * @log:	array of @max entries.
 * @sorted:	array of @max pointers, for sorting the entries.
 * @max:	number of entries that the log has room for.
 * @nr:		number of entries in use, including incomplete ones.
 * @allocs:	number of successful allocations of the arena since its creation.
 * @from_reserve: number of successful allocations from the reservation.
 * @busy:	the task is inside of a call that allocates.
 * @may_refuse:	a reset is under way, so allocations may fail and do not count in @refused.
 * @taken:	number of successful allocations by source, also from the reservation.
 * @refused:	number of failed allocations by source, without those from the reservation.
 * @spent:	number of failed allocations from the reservation, by source.
 * @inside:	number of allocations that interrupted another allocation, by source.
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

/* stage.c: any context may call stage_alloc*(); only tasks may call the other functions. */
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

/* main.c: these functions write the result of a test. Only tasks may call them. */
__printf(1, 2) void note(const char *fmt, ...);
__printf(1, 2) void fail(const char *fmt, ...);
__printf(1, 2) void skip(const char *fmt, ...);
bool skipped(void);
bool failed(void);
__printf(2, 3) bool expect(bool condition, const char *fmt, ...);

/* text.c: where the code of the arena module lies */
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

/* Uses the result of an allocation that a test ignores: the compiler warns of an unused result. */
static inline void ignore(const void *object)
{
}

#endif /* _ARENA_CONTEXT_H */
