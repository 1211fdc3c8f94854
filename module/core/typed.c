// SPDX-License-Identifier: GPL-2.0
/*
 * Typed arenas: elements of one size, by index, with readers beside writers.
 *
 * Dense, and committed at creation, so that allocation needs no gfp flags: it is
 * the compare-and-swap of the cursor, a copy, and a store-release of the mark.
 * Freeing takes a raw spinlock, and so does a reset. Reuse does not: what may be reused is a
 * chain that is pushed to under the lock and popped from by compare-and-swap, in any
 * context. Its head carries a count of changes, so that the head that a pop has read does
 * not come back while it looks at the next element: that takes four thousand million changes
 * during a few instructions with preemption off.
 *
 * Marks lie outside the data. An element is published while its mark equals
 * the generation, so that a reset unpublishes all of them in one step. A mark
 * only ever advances: who publishes too late for a newer generation leaves the
 * mark of that one alone. Marks have 32 bits; before the distance to one that
 * was left behind could become ambiguous, all are brought up to date.
 */
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/cursor.h"
#include "core/events.h"

#define NO_INDEX		U32_MAX
/*
 * How far behind the mark of an unpublished element is: a generation that no reader looks
 * for, as only a rewind could have begun it, and typed arenas are not rewound.
 */
#define UNPUBLISHED		ARENA_GEN_REWOUND
/* How often marks are brought up to date, in generations. */
#define MARK_EPOCH_SHIFT	30
/* What is copied, and published, with preemption off in one go. */
#define RUN_BYTES		SZ_64K
#define RUN_MAX			64

/**
 * struct typed_mark - what is known of an element.
 * @published: the generation in which it is published, else an older one.
 * @next:      next in a chain of free elements, under the lock.
 */
struct typed_mark {
	u32	published;
	u32	next;
};

/* Free elements, newest first; @tail is meaningful while @head is an index. */
struct typed_chain {
	u32	head;
	u32	tail;
};

/**
 * struct arena_typed - a typed arena.
 * @arena:    where the elements are.
 * @size:     bytes of an element.
 * @nr:	      elements in all.
 * @per_slab: elements in a slab; none straddles two.
 * @marks:    one an element.
 * @lock:     protects what follows, and makes a reset one with emptying it.
 * @free:     may be reused: the first in the low half, changes in the high half.
 * @emptied:  changes of @free when a reset last emptied it.
 * @waiting:  may be reused after the grace period under way.
 * @pending:  came later.
 * @rcu_busy: @rcu is queued.
 * @rcu:      says when a grace period has passed.
 */
struct arena_typed {
	struct arena		*arena;
	size_t			size;
	u32			nr;
	u32			per_slab;
	struct typed_mark	*marks;

	raw_spinlock_t		lock;
	atomic64_t		free;
	u32			emptied;
	struct typed_chain	waiting;
	struct typed_chain	pending;
	bool			rcu_busy;
	struct rcu_head		rcu;
};

static bool has_readers(const struct arena_typed *typed)
{
	return typed->arena->flags & ARENA_READERS;
}

static size_t index_to_offset(const struct arena_typed *typed, u32 index)
{
	return ((size_t)(index / typed->per_slab) << typed->arena->slab_shift) +
	       index % typed->per_slab * typed->size;
}

/* The first element at or above @offset. */
static u32 offset_to_index(const struct arena_typed *typed, size_t offset)
{
	size_t slab = offset >> typed->arena->slab_shift;
	size_t in_slab = offset & (arena_slab_size(typed->arena) - 1);

	return slab * typed->per_slab + DIV_ROUND_UP(in_slab, typed->size);
}

static void *element(const struct arena_typed *typed, unsigned long generation, u32 index)
{
	size_t offset = index_to_offset(typed, index);

	return arena_slab_base(typed->arena, generation, offset) +
	       (offset & (arena_slab_size(typed->arena) - 1));
}

/* Advance the mark of @index from an older generation; false if it is not older. */
static bool publish(struct arena_typed *typed, u32 index, u32 generation)
{
	u32 *mark = &typed->marks[index].published;
	u32 old = READ_ONCE(*mark);

	do {
		if ((s32)(generation - old) <= 0)
			return false;
		/*
		 * Release: the element is complete before it is seen. Pairs
		 * with the smp_load_acquire() in arena_typed_at().
		 */
	} while (!try_cmpxchg_release(mark, &old, generation));
	return true;
}

/* Chains, all under the lock. */
static void chain_empty(struct typed_chain *chain)
{
	WRITE_ONCE(chain->head, NO_INDEX);
}

static void chain_push(struct arena_typed *typed, struct typed_chain *chain, u32 index)
{
	if (chain->head == NO_INDEX)
		chain->tail = index;
	/* A pop that lost its race may be reading it. */
	WRITE_ONCE(typed->marks[index].next, chain->head);
	WRITE_ONCE(chain->head, index);
}

static void chain_splice(struct arena_typed *typed, struct typed_chain *from,
			 struct typed_chain *to)
{
	if (from->head == NO_INDEX)
		return;
	if (to->head == NO_INDEX)
		to->tail = from->tail;
	/* As in chain_push(). */
	WRITE_ONCE(typed->marks[from->tail].next, to->head);
	WRITE_ONCE(to->head, from->head);
	chain_empty(from);
}

/* The head @index after one more change of @word. */
static s64 free_head(s64 word, u32 index)
{
	return (s64)(((u64)word >> 32) + 1) << 32 | index;
}

/* Let elements from @head to @tail be reused. Under the lock; others may be popping. */
static void free_push(struct arena_typed *typed, u32 head, u32 tail)
{
	s64 old = atomic64_read(&typed->free);

	do {
		WRITE_ONCE(typed->marks[tail].next, (u32)old);
		/*
		 * Full barrier: what comes next is in place before the head. Pairs with the
		 * address dependency in free_pop().
		 */
	} while (!atomic64_try_cmpxchg(&typed->free, &old, free_head(old, head)));
}

/* Changes that @word counts. */
static u32 free_changes(s64 word)
{
	return (u64)word >> 32;
}

static void free_empty(struct arena_typed *typed)
{
	s64 old = atomic64_read(&typed->free), new;

	do {
		new = free_head(old, NO_INDEX);
	} while (!atomic64_try_cmpxchg(&typed->free, &old, new));
	WRITE_ONCE(typed->emptied, free_changes(new));
}

/* Any context. NO_INDEX if there is none. @changes says when it was taken. */
static u32 free_pop(struct arena_typed *typed, u32 *changes)
{
	s64 old;
	u32 index, next;

	preempt_disable();
	old = atomic64_read(&typed->free);
	do {
		index = old;
		if (index == NO_INDEX)
			break;
		/* Of an element that others have taken since, if the exchange fails. */
		next = READ_ONCE(typed->marks[index].next);
	} while (!atomic64_try_cmpxchg(&typed->free, &old, free_head(old, next)));
	preempt_enable();
	*changes = free_changes(old) + 1;
	return index;
}

DEFINE_PER_CPU(bool, arena_in_chains);

/*
 * The lock, unless that could be waiting for ourselves: a probe in what runs from before the
 * lock is taken until after it is dropped interrupts its holder on this CPU. Hence a mark of
 * each CPU around the lock of any typed arena, which only that CPU sets and looks at. Not
 * in NMI.
 */
static bool lock_chains(struct arena_typed *typed, unsigned long *flags)
{
	local_irq_save(*flags);
	if (in_nmi() || __this_cpu_read(arena_in_chains)) {
		local_irq_restore(*flags);
		return false;
	}
	__this_cpu_write(arena_in_chains, true);
	raw_spin_lock(&typed->lock);
	__release(&typed->lock);	/* sparse: it is unlock_chains() that balances */
	return true;
}

static void unlock_chains(struct arena_typed *typed, unsigned long flags)
{
	__acquire(&typed->lock);
	raw_spin_unlock(&typed->lock);
	__this_cpu_write(arena_in_chains, false);
	local_irq_restore(flags);
}

/* A grace period has passed for those waiting; go on with those that came later. */
static void reusable(struct rcu_head *rcu)
{
	struct arena_typed *typed = container_of(rcu, struct arena_typed, rcu);
	unsigned long flags;
	bool again;

	if (WARN_ON_ONCE(!lock_chains(typed, &flags)))
		return;
	if (typed->waiting.head != NO_INDEX)
		free_push(typed, typed->waiting.head, typed->waiting.tail);
	chain_empty(&typed->waiting);
	chain_splice(typed, &typed->pending, &typed->waiting);
	again = typed->waiting.head != NO_INDEX;
	typed->rcu_busy = again;
	unlock_chains(typed, flags);
	if (again)
		arena_call_rcu_hurry(&typed->rcu, reusable);
}

/*
 * An element to reuse, or NO_INDEX. What was freed in @generation has a mark that says so. A
 * reset that has not come to emptying the chain yet leaves others in it: they are for the
 * cursor to hand out.
 */
static u32 take_recycled(struct arena_typed *typed, unsigned long *generation)
{
	u32 changes, index = free_pop(typed, &changes);

	if (likely(index == NO_INDEX))
		return NO_INDEX;
	*generation = arena_peek(typed->arena).generation;
	if (READ_ONCE(typed->marks[index].published) != (u32)*generation - UNPUBLISHED)
		return NO_INDEX;
	/*
	 * A reset may have come since the element was taken, and the element may have been
	 * allocated and freed again: then it is in the chain once more, or waits to be. Pairs
	 * with the lock: a task that frees it after that reset has the lock after the reset
	 * has set @emptied, so a mark that it wrote shows @emptied, too.
	 */
	smp_rmb();
	return (s32)(changes - READ_ONCE(typed->emptied)) > 0 ? index : NO_INDEX;
}

/* Move the cursor over @nr elements. 0, -ENOSPC, or -EBUSY if it is not settled. */
static int claim_run(struct arena_typed *typed, u32 nr, u32 *first, unsigned long *generation)
{
	struct arena *arena = typed->arena;
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_view view = arena_look(arena);
	long cursor = view.cursor;
	size_t end;
	int err = 0;

	do {
		view.generation = cursor_generation(cursor, view.generation);
		*first = offset_to_index(typed, cursor_offset(cursor));
		if (!cursor_settled(cursor))
			err = -EBUSY;
		else if (nr > typed->nr - *first)
			err = -ENOSPC;
		end = index_to_offset(typed, *first + nr - 1) + typed->size;
	} while (!err && (!cursor_count(arena, &cursor) ||
			  !atomic_long_try_cmpxchg(&arena->cursor, &cursor,
						   cursor_move(cursor, end))));
	if (!err) {
		arena_account(arena, arena_slot(cpu), view.generation, nr * typed->size);
		count_objects(arena, cpu, 1);
	}
	arena_leave(cpu);
	*generation = view.generation;
	return err;
}

/*
 * Copy @nr elements of one slab in, and publish them. False if the generation is
 * over. Preemption is off between a copy and its publication, and nobody hands
 * the memory out anew: a mark that is seen tells of this element, complete.
 */
static bool write_run(struct arena_typed *typed, unsigned long generation, u32 first,
		      const void *src, u32 nr)
{
	struct arena_cpu *cpu = arena_enter(typed->arena);
	void *to = element(typed, generation, first);
	bool live = arena_write_begin(typed->arena, cpu, generation, to);
	u32 i;

	if (live) {
		memcpy(to, src, nr * typed->size);
		for (i = 0; i < nr; i++)
			publish(typed, first + i, generation);
		arena_write_end(typed->arena, cpu);
	}
	arena_leave(cpu);
	return live;
}

/* The same of an element that takes long to copy: in parts. */
static bool write_big(struct arena_typed *typed, unsigned long generation, u32 index,
		      const void *src)
{
	if (arena_write(typed->arena, generation, index_to_offset(typed, index), src,
			 typed->size, ARENA_NOGROW))
		return false;
	publish(typed, index, generation);
	return true;
}

/* How many elements from @first on can be copied in one go. */
static u32 run_length(const struct arena_typed *typed, u32 first, u32 nr)
{
	u32 in_slab = typed->per_slab - first % typed->per_slab;

	return min3(min_t(u32, nr, in_slab), (u32)(RUN_BYTES / typed->size), (u32)RUN_MAX);
}

/* False if the generation ended meanwhile: then nothing was published in a newer one. */
static bool fill_run(struct arena_typed *typed, unsigned long generation, u32 first,
		     const void *src, u32 nr)
{
	u32 done, run;

	for (done = 0; done < nr; done += run, src += run * typed->size) {
		bool big = typed->size > RUN_BYTES;

		run = big ? 1 : run_length(typed, first + done, nr - done);
		if (big ? !write_big(typed, generation, first + done, src) :
			  !write_run(typed, generation, first + done, src, run))
			return false;
	}
	return true;
}

static int append(struct arena_typed *typed, const void *src, u32 nr, u32 *first,
		  unsigned long *generation)
{
	int err;

	do {
		err = claim_run(typed, nr, first, generation);
		if (err == -EBUSY && arena_settle(typed->arena))
			continue;
		if (err)
			return err == -EBUSY ? -ENOMEM : err;
		if (!fill_run(typed, *generation, *first, src, nr)) {
			arena_uncount(typed->arena);
			err = -ESTALE;
		}
	} while (err);
	return 0;
}

/* For tracers. Elements are aligned by where the arena begins: nobody asks for it. */
static void tell_success(struct arena_typed *typed, unsigned long generation, u32 first, u32 nr)
{
	arena_tell_alloc(typed->arena, generation, index_to_offset(typed, first),
			 nr * typed->size, 0, ARENA_NOGROW);
}

static void count_failure(struct arena_typed *typed, u32 nr, int err)
{
	arena_count_failure(typed->arena, err);
	arena_tell_fail(typed->arena, nr * typed->size, 0, ARENA_NOGROW, err);
}

/*
 * All memory of the elements is committed; what this CPU may get when it first comes is only
 * for speed. No call says what its context allows, and it may be a probe in the allocator.
 */
static void prepare(struct arena_typed *typed)
{
	arena_cpu_prepare(typed->arena, preemptible() ? GFP_NOWAIT : ARENA_NOGROW);
}

/**
 * arena_typed_append() - Copy several elements in, all or none.
 * @typed: the arena, not NULL.
 * @src:   @nr elements.
 * @nr:    how many, not 0.
 *
 * They get consecutive indices, and become visible one by one. Does not reuse
 * freed elements.
 *
 * Context: Any. Takes no lock.
 * Return: Index of the first; -EINVAL for none; -ENOSPC if there is no room for
 * all; -ENOMEM while a reset waits for a late writer.
 */
long arena_typed_append(struct arena_typed *typed, const void *src, u32 nr)
{
	unsigned long generation;
	u32 first;
	int err;

	prepare(typed);
	err = nr ? append(typed, src, nr, &first, &generation) : -EINVAL;
	if (err) {
		count_failure(typed, nr, err);
		return err;
	}
	tell_success(typed, generation, first, nr);
	return first;
}
EXPORT_SYMBOL_GPL(arena_typed_append);

/**
 * arena_typed_alloc() - Copy an element in.
 * @typed: the arena, not NULL.
 * @src:   the element.
 *
 * Reuses a freed element if there is one. Readers see the element complete or
 * not at all (clause 15).
 *
 * Context: Any. Takes no lock.
 * Return: The copy, or NULL if there is no room, or while a reset waits for a late
 * writer.
 */
void *arena_typed_alloc(struct arena_typed *typed, const void *src)
{
	unsigned long generation;
	int err = 0;
	u32 index;

	prepare(typed);
	index = take_recycled(typed, &generation);
	if (index == NO_INDEX || !fill_run(typed, generation, index, src, 1))
		err = append(typed, src, 1, &index, &generation);
	else
		/* Its place was claimed before; to be allocated again counts (clause 8). */
		arena_count_objects(typed->arena, 1);
	if (err) {
		count_failure(typed, 1, err);
		return NULL;
	}
	tell_success(typed, generation, index, 1);
	return element(typed, generation, index);
}
EXPORT_SYMBOL_GPL(arena_typed_alloc);

/**
 * arena_typed_at() - Find an element by its index.
 * @typed: the arena, not NULL.
 * @index: from 0 on, in order of allocation.
 *
 * Context: Any. Takes no lock. Inside rcu_read_lock() the element stays as it is
 * even if it is freed or the arena reset meanwhile, if created with readers;
 * otherwise the caller excludes both.
 * Return: The element; NULL if none is published under @index.
 */
void *arena_typed_at(const struct arena_typed *typed, size_t index)
{
	unsigned long generation = arena_peek(typed->arena).generation;

	if (index >= typed->nr)
		return NULL;
	/* Acquire: pairs with the release in publish(). */
	if (smp_load_acquire(&typed->marks[index].published) != (u32)generation)
		return NULL;
	return element(typed, generation, index);
}
EXPORT_SYMBOL_GPL(arena_typed_at);

/**
 * arena_typed_next() - Find the next published element.
 * @typed: the arena, not NULL.
 * @index: where to look first; past the element found, on return.
 *
 * Context: As arena_typed_at().
 * Return: The element; NULL if there is none left.
 */
void *arena_typed_next(const struct arena_typed *typed, size_t *index)
{
	size_t len = arena_typed_len(typed);

	while (*index < len) {
		void *found = arena_typed_at(typed, (*index)++);

		if (found)
			return found;
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(arena_typed_next);

/**
 * arena_typed_len() - How many indices have been handed out since the last reset.
 * @typed: the arena, not NULL.
 *
 * Freed elements, and those that are not published yet, count.
 *
 * Context: Any. Takes no lock.
 * Return: One more than the largest index in use, or 0.
 */
size_t arena_typed_len(const struct arena_typed *typed)
{
	return offset_to_index(typed, arena_high(typed->arena));
}
EXPORT_SYMBOL_GPL(arena_typed_len);

/**
 * arena_typed_arena() - The arena beneath, to look at.
 * @typed: the arena, not NULL.
 *
 * Context: Any.
 * Return: For arena_offset(), arena_stats() and the like.
 */
const struct arena *arena_typed_arena(const struct arena_typed *typed)
{
	return typed->arena;
}
EXPORT_SYMBOL_GPL(arena_typed_arena);

/* Index of an element of either slab set, or NO_INDEX if it is none of ours. */
static u32 element_index(const struct arena_typed *typed, const void *element, bool *current_set)
{
	unsigned long generation = arena_peek(typed->arena).generation;
	size_t offset;
	u32 index;

	*current_set = arena_find(typed->arena, generation, element, &offset);
	if (!*current_set && (!has_readers(typed) ||
			      !arena_find(typed->arena, generation + 1, element, &offset)))
		return NO_INDEX;
	index = offset_to_index(typed, offset);
	return index < typed->nr && index_to_offset(typed, index) == offset ? index : NO_INDEX;
}

/* Put an unpublished element where it will be reused; true if @typed->rcu is to be queued. */
static bool recycle(struct arena_typed *typed, u32 index)
{
	if (!has_readers(typed)) {
		free_push(typed, index, index);
		return false;
	}
	chain_push(typed, typed->rcu_busy ? &typed->pending : &typed->waiting, index);
	if (typed->rcu_busy)
		return false;
	typed->rcu_busy = true;
	return true;
}

/**
 * arena_typed_free() - Take one element out, to be reused by later allocations.
 * @typed:   the arena, not NULL.
 * @element: from this arena, not freed yet, neither by itself nor by a reset: its place
 *	     may be another's by then.
 *
 * The element is not found any more. It is reused only after a grace period,
 * unless the arena was created without readers (clause 15).
 *
 * Context: Any but NMI. Takes a raw spinlock. A probe in what runs under that lock
 * frees nothing.
 */
void arena_typed_free(struct arena_typed *typed, void *element)
{
	bool current_set, misuse, queue = false;
	u32 index, generation, mark;
	unsigned long flags;

	if (WARN_ON_ONCE(in_nmi()) || !lock_chains(typed, &flags))
		return;
	generation = arena_look(typed->arena).generation;
	index = element_index(typed, element, &current_set);
	misuse = index == NO_INDEX;
	if (current_set && !misuse) {
		mark = cmpxchg(&typed->marks[index].published, generation,
			       generation - UNPUBLISHED);
		misuse = mark == generation - UNPUBLISHED;
		if (mark == generation)
			queue = recycle(typed, index);
	}
	unlock_chains(typed, flags);
	if (queue)
		arena_call_rcu_hurry(&typed->rcu, reusable);
	/* Freed twice, or not from here. */
	WARN_ON_ONCE(misuse);
}
EXPORT_SYMBOL_GPL(arena_typed_free);

/* What was left behind long ago must not look like the future, nor as if freed just now. */
static void refresh_marks(struct arena_typed *typed, u32 generation)
{
	u32 i;

	for (i = 0; i < typed->nr; i++)
		publish(typed, i, generation - ARENA_GEN_STEP - UNPUBLISHED);
}

/**
 * arena_typed_reset() - Free all elements at once.
 * @typed: the arena, not NULL.
 *
 * By arena_reset_rcu() if the arena was created with readers, otherwise by
 * arena_reset(): then nobody may be using it.
 *
 * Context: Any but NMI. Takes raw spinlocks, interrupts off. Never waits.
 * Return: 0; -EBUSY with nothing changed, see arena_reset_rcu().
 */
int arena_typed_reset(struct arena_typed *typed)
{
	unsigned long before, after, flags;
	int err;

	if (!lock_chains(typed, &flags))
		return -EBUSY;
	before = arena_look(typed->arena).generation;
	err = has_readers(typed) ? arena_reset_rcu(typed->arena) : arena_reset(typed->arena);
	after = arena_look(typed->arena).generation;
	if (!err) {
		free_empty(typed);
		chain_empty(&typed->waiting);
		chain_empty(&typed->pending);
	}
	unlock_chains(typed, flags);
	if ((before ^ after) >> MARK_EPOCH_SHIFT)
		refresh_marks(typed, after);
	return err;
}
EXPORT_SYMBOL_GPL(arena_typed_reset);

/* A slab that holds several elements wastes less. */
static size_t typed_slab_size(size_t size, u32 nr)
{
	size_t want = max_t(size_t, 8 * size, ARENA_SLAB_DEFAULT);

	if (want > ARENA_SLAB_MAX)
		want = size;
	want = min_t(u64, want, (u64)size * nr);
	return max_t(size_t, roundup_pow_of_two(want), PAGE_SIZE);
}

static int typed_layout(struct arena_typed *typed, struct arena_config *config, size_t size,
			u32 nr)
{
	if (!size || !nr || nr == NO_INDEX || size > ARENA_SLAB_MAX)
		return -EINVAL;
	typed->size = size;
	typed->nr = nr;
	config->slab_size = typed_slab_size(typed->size, nr);
	typed->per_slab = config->slab_size / typed->size;
	config->capacity = (size_t)((nr - 1) / typed->per_slab) * config->slab_size +
			   ((nr - 1) % typed->per_slab + 1) * typed->size;
	return 0;
}

static size_t marks_size(const struct arena_typed *typed)
{
	return array_size(typed->nr, sizeof(*typed->marks));
}

static int typed_init(struct arena_typed *typed, struct arena_config *config, size_t size, u32 nr)
{
	int err = typed_layout(typed, config, size, nr);

	if (err)
		return err;
	raw_spin_lock_init(&typed->lock);
	atomic64_set(&typed->free, NO_INDEX);
	chain_empty(&typed->waiting);
	chain_empty(&typed->pending);
	typed->marks = arena_table_alloc(&arena_total, marks_size(typed),
					 arena_account_gfp(config->flags));
	if (!typed->marks)
		return -ENOMEM;
	typed->arena = arena_create(config);
	if (IS_ERR(typed->arena)) {
		err = PTR_ERR(typed->arena);
		typed->arena = NULL;
		return err;
	}
	return arena_populate(typed->arena, typed->arena->capacity, GFP_KERNEL);
}

static void typed_release(struct arena_typed *typed)
{
	arena_destroy(typed->arena);
	arena_table_free(&arena_total, typed->marks, marks_size(typed));
	kfree(typed);
}

/**
 * arena_typed_create() - Make a typed arena.
 * @name:  for humans.
 * @size:  bytes of an element, at most %ARENA_SLAB_MAX.
 * @nr:    elements: room for exactly so many (clause 16).
 * @flags: %ARENA_READERS, %ARENA_ACCOUNT.
 *
 * All memory is committed here, twice with readers; each element costs eight bytes
 * more for its mark.
 *
 * Context: Task, may sleep.
 * Return: The arena; ERR_PTR(-EINVAL); ERR_PTR(-ENOMEM); ERR_PTR(-EINTR) if the task is
 * being killed.
 */
struct arena_typed *arena_typed_create(const char *name, size_t size, u32 nr, unsigned int flags)
{
	struct arena_config config = { .name = name, .flags = flags };
	struct arena_typed *typed;
	int err;

	if (flags & ~(ARENA_READERS | ARENA_ACCOUNT))
		return ERR_PTR(-EINVAL);
	typed = kzalloc_obj(*typed, ARENA_GFP_META);
	if (!typed)
		return ERR_PTR(-ENOMEM);
	err = typed_init(typed, &config, size, nr);
	if (err) {
		typed_release(typed);
		return ERR_PTR(err);
	}
	return typed;
}
EXPORT_SYMBOL_GPL(arena_typed_create);

/**
 * arena_typed_destroy() - Give back a typed arena.
 * @typed: the arena, or NULL. Nobody else may be using it.
 *
 * Context: Task, may sleep: waits for grace periods under way.
 */
void arena_typed_destroy(struct arena_typed *typed)
{
	if (!typed)
		return;
	/* Twice: what is freed last may wait for what was freed before. */
	if (has_readers(typed)) {
		rcu_barrier();
		rcu_barrier();
	}
	typed_release(typed);
}
EXPORT_SYMBOL_GPL(arena_typed_destroy);
