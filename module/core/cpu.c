// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU state, which a CPU gets when it first allocates from an arena.
 *
 * A CPU finds its state in a table of two levels: arena->root points to leaves, and a leaf to
 * states. An absent leaf is &leaf_none, and an absent state &arena_cpu_none. Both are constant. The
 * span of &arena_cpu_none is 0, which equals no generation: a fast path that finds &arena_cpu_none
 * fails when it compares span and generation, which it does anyway, before it writes anything.
 *
 * On a machine with no more CPUs than a leaf has places, the only leaf is part of the arena, if it
 * fits, and is initialised with it. The fast paths read it without a look at arena->root: the
 * static key arena_flat is true.
 *
 * The slow path installs a state. The first CPU takes the state that is part of the arena. For
 * another CPU, the slow path allocates one, if the caller's gfp permits. Only after that does the
 * CPU turn interrupts off, push the state on arena->cpus and store it in the leaf: so a task and an
 * interrupt on one CPU do not both install a state. An NMI installs nothing. A CPU without state
 * (in an NMI, with ARENA_NOGROW, without memory) claims from the shared cursor, and counts in
 * arena->writers, deep_used and deep_allocs.
 *
 * Statistics and the collection of tails walk arena->cpus, which only grows. A CPU may install its
 * state while such a walk is under way. That is safe:
 *
 *  - A state is on the list before its CPU can use it, as the push is a full barrier. So a state
 *    that a walk misses was empty when the walk began: it had counted nothing. Nor had it a span:
 *    to get one, its CPU moves the cursor, and the CPU that collects tails has read the cursor, and
 *    found it exhausted, before it walks.
 *  - A CPU that settles a generation does not walk the list: it looks at arena->first_cpu and at
 *    the CPUs whose bits are set in arena->written ("DOC: generations").
 *  - The window of a new state is closed: its limits are the cursor word at which the present
 *    generation starts. The CPU reads that generation and publishes the state in one section with
 *    interrupts off, so the grace period before wrapped() waits for that section, and wrapped()
 *    finds the state on the list.
 *  - The caller of arena_destroy() excludes all users of the arena.
 *
 * A CPU that goes offline, or stops using the arena, leaves its state and its counts behind until
 * the arena is destroyed. Freeing the state earlier would slow down code outside of the fast path.
 * The arena would have to reset the entry in the leaf first; take the state off the list after a
 * grace period, as its CPU may still be using it; and free it after another grace period, as walks
 * may still be using it. All walks would have to be RCU readers. arena_stats() would need a lock,
 * or a second list for the states taken off: while the counts move from a state to the shared
 * words, a walk would find them twice or not at all, and the number of objects must not fall
 * (clause 8). All this would gain less than 512 bytes for each CPU, beside slabs of 64 KiB.
 */
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/cursor.h"

const struct arena_cpu arena_cpu_none;

static const struct arena_leaf leaf_none = {
	.cpu = { [0 ... ARENA_LEAF_CPUS - 1] = (struct arena_cpu *)&arena_cpu_none },
};

DEFINE_PER_CPU(unsigned long, arena_root_position);
DEFINE_PER_CPU(unsigned long, arena_leaf_position);
DEFINE_PER_CPU(unsigned long, arena_flat_position);
DEFINE_STATIC_KEY_FALSE(arena_flat);

static unsigned int nr_leaves(void)
{
	return DIV_ROUND_UP(nr_cpu_ids, ARENA_LEAF_CPUS);
}

static size_t leaf_size(void)
{
	return min_t(size_t, nr_cpu_ids, ARENA_LEAF_CPUS) * sizeof(struct arena_cpu *);
}

static size_t table_size(void)
{
	return offsetof(struct arena, root) + (1 + nr_leaves()) * sizeof(struct arena_leaf *);
}

/* Does the first leaf fit behind the table, in the one KiB that an arena may take? */
static bool leaf_fits(void)
{
	return table_size() + leaf_size() <= SZ_1K;
}

/* The leaf that is part of the arena, or NULL if there is none, as it would not fit. */
static struct arena_leaf *first_leaf(struct arena *arena)
{
	return leaf_fits() ? (void *)arena + table_size() : NULL;
}

/* Size of a struct arena with its table, and with the first leaf if that fits. */
size_t arena_cpus_size(void)
{
	return max(sizeof(struct arena), table_size() + (leaf_fits() ? leaf_size() : 0));
}

/* Does the leaf that is part of the arena serve all CPUs? */
static bool is_flat(void)
{
	return nr_cpu_ids <= ARENA_LEAF_CPUS && leaf_fits();
}

void arena_cpus_init(struct arena *arena)
{
	unsigned int i;

	arena->no_cpu = &arena_cpu_none;
	for (i = 0; i < 1 + nr_leaves(); i++)
		arena->root[i] = (struct arena_leaf *)&leaf_none;
	if (is_flat()) {
		struct arena_leaf *leaf = first_leaf(arena);

		arena->root[1] = leaf;
		for (i = 0; i < nr_cpu_ids; i++)
			leaf->cpu[i] = (struct arena_cpu *)&arena_cpu_none;
	}
}

void arena_cpus_exit(struct arena *arena)
{
	struct arena_cpu *cpu = arena->cpus, *next;
	unsigned int i;

	for (; cpu; cpu = next) {
		next = cpu->next;
		if (cpu != &arena->first_cpu)
			kfree(cpu);
	}
	/* The leaf that is part of the arena is freed with it. */
	if (static_branch_likely(&arena_flat))
		return;
	for (i = 1; i < 1 + nr_leaves(); i++)
		if (arena->root[i] != &leaf_none && arena->root[i] != first_leaf(arena))
			kfree(arena->root[i]);
}

/*
 * Set the bit of this CPU, whose state is @cpu, in arena->written for @generation. False if the CPU
 * has no state, or if @generation is over.
 *
 * The tag in arena->written wraps as that of the cursor does. A word without bits may be of any
 * age, as this function replaces it whatever its tag is. A word with bits is recent, as the CPU
 * that settles a generation clears the bits of older ones. @generation is recent, too, as this
 * function finds it to be the present one while preemption is off. So their tags are less than half
 * a turn apart, and the comparison tells which is newer.
 */
noinline bool __arena_may_write(struct arena *arena, const struct arena_cpu *cpu,
				unsigned long generation)
{
	const unsigned long bit = BIT(raw_smp_processor_id() % ARENA_WRITTEN_CPUS);
	const unsigned long start = cursor_start(generation);
	long word = atomic_long_read(&arena->written);
	unsigned long bits;

	if (arena_cpu_missing(cpu) || __arena_snap(arena).generation != generation)
		return false;
	do {
		bits = word & ARENA_WRITTEN_MASK;
		if (cursor_tag(word) != cursor_tag(start)) {
			if (bits && (long)(word - start) > 0)
				return false;
			bits = 0;
		}
		if (bits & bit)
			return true;
		/*
		 * Full barrier: pairs with B in arena_settle(). This CPU reads the generation after
		 * it has set its bit: either this CPU sees that @generation is over, or the CPU
		 * that settles the next one sees the bit. Without the barrier, a late store of this
		 * CPU could land in an object of the next generation.
		 */
	} while (!atomic_long_try_cmpxchg(&arena->written, &word, start | bits | bit));
	return true;
}

/*
 * Open this CPU's window on the slab at @offset, whose address is @base, so that further claims in
 * this slab and in @generation need not look at the directory. This function closes the window
 * before it changes the delta: an interrupt in between must not use the delta of one slab with the
 * limit of another.
 *
 * bump_zeroed() writes to what it claims in the window, so the CPU that settles the next generation
 * must look at this CPU from now on. Where arena_may_write() cannot ensure that, as @generation is
 * over, the window stays as it is.
 */
void arena_window_open(struct arena *arena, struct arena_cpu *cpu, unsigned long generation,
		       size_t offset, void *base)
{
	const size_t size = arena_slab_size(arena);
	size_t start = ALIGN_DOWN(offset, size), end = min(start + size, arena->capacity);
	unsigned long closed = cursor_start(generation);
	unsigned long limit = cursor_move(closed, ALIGN_DOWN(end, ARENA_WORD));

	if (cpu->zero_limit == limit || !arena_may_write(arena, cpu, generation))
		return;
	WRITE_ONCE(cpu->limit, closed);
	WRITE_ONCE(cpu->zero_limit, closed);
	barrier();
	WRITE_ONCE(cpu->delta, (unsigned long)base - cursor_move(closed, start));
	barrier();
	WRITE_ONCE(cpu->zero_limit, limit);
	if (!arena->zero)
		WRITE_ONCE(cpu->limit, limit);
}

/*
 * Close the windows of all CPUs: each limit becomes the word at which the present generation
 * starts, so that no cursor word of this generation, nor of one less than half a turn of the tag
 * ahead, lies in a window. The CPU that owns a window may be opening it at the same time, and
 * either store may be the last one. Either result is safe: a grace period has passed since the tag
 * entered the present eighth of its range, so a window that is being opened is of this eighth, and
 * the next call closes it in time.
 */
void arena_windows_close(struct arena *arena)
{
	unsigned long closed = cursor_start(READ_ONCE(arena->generation));
	struct arena_cpu *cpu;

	for (cpu = arena_cpus_first(arena); cpu; cpu = cpu->next) {
		WRITE_ONCE(cpu->limit, closed);
		WRITE_ONCE(cpu->zero_limit, closed);
	}
}

/*
 * Allocate zeroed memory for what an arena keeps beside its slabs: states, leaves, actions and the
 * history. The memory is charged as slabs are (clause 21). All callers cope with failure, so the
 * page allocator need not try hard.
 */
void *arena_state_alloc(const struct arena *arena, size_t size, gfp_t gfp)
{
	struct mem_cgroup *old;
	void *state;

	gfp = (gfp & ARENA_GFP_MASK & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY | __GFP_NOWARN;
	if (arena->flags & ARENA_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	old = set_active_memcg(arena->memcg);
	state = arena_tagged(arena, kmalloc_noprof(size, gfp | __GFP_ZERO));
	set_active_memcg(old);
	return state;
}

static struct arena_leaf **leaf_of(struct arena *arena, unsigned int cpu)
{
	return &arena->root[1 + cpu / ARENA_LEAF_CPUS];
}

/*
 * Install @leaf for the present CPU and those with which it shares a leaf. Returns false if they
 * have one already.
 */
static bool leaf_install(struct arena *arena, struct arena_leaf *leaf)
{
	struct arena_leaf **entry = leaf_of(arena, raw_smp_processor_id());
	struct arena_leaf *none = (struct arena_leaf *)&leaf_none;

	if (READ_ONCE(*entry) != none)
		return false;
	memcpy(leaf, none, leaf_size());
	/*
	 * Full barrier: pairs with the address dependency in arena_cpu_fast(). A CPU that
	 * finds the leaf must not see it uninitialised.
	 */
	return cmpxchg(entry, none, leaf) == none;
}

/* Allocate a leaf for the present CPU, unless it has one. */
static void leaf_grow(struct arena *arena, gfp_t gfp)
{
	struct arena_leaf *leaf;

	if (READ_ONCE(*leaf_of(arena, raw_smp_processor_id())) != &leaf_none)
		return;
	leaf = arena_state_alloc(arena, leaf_size(), gfp);
	if (leaf && !leaf_install(arena, leaf))
		kfree(leaf);
}

/*
 * Make @cpu the state of the present CPU. Returns false if the present CPU has a state by now, or
 * if the task has moved to a CPU without a leaf. This calls nothing that can be probed: a probe
 * that allocates from this arena would install another state.
 */
static bool cpu_publish(struct arena *arena, struct arena_cpu *cpu)
{
	struct arena_cpu **entry, *head;
	struct arena_leaf *leaf;
	unsigned long flags;
	unsigned int nth;
	bool missing;

	local_irq_save(flags);
	nth = raw_smp_processor_id();
	leaf = READ_ONCE(*leaf_of(arena, nth));
	entry = &leaf->cpu[nth % ARENA_LEAF_CPUS];
	missing = leaf != &leaf_none && arena_cpu_missing(READ_ONCE(*entry));
	if (missing) {
		cpu->limit = cursor_start(READ_ONCE(arena->generation));
		cpu->zero_limit = cpu->limit;
		head = READ_ONCE(arena->cpus);
		do {
			cpu->next = head;
			/*
			 * Full barrier: pairs with the load-acquire in arena_cpus_first(). A walk
			 * must not see the state before it was filled in.
			 */
		} while (!try_cmpxchg(&arena->cpus, &head, cpu));
		/*
		 * Release: pairs with the address dependency in arena_cpu_fast(). A fast path
		 * that finds the state must not see it uninitialised.
		 */
		smp_store_release(entry, cpu);
	}
	local_irq_restore(flags);
	return missing;
}

/* Initialise a state and publish it. Returns false if the CPU has a state, or has no leaf. */
static bool cpu_install(struct arena *arena, struct arena_cpu *cpu)
{
	cpu->slot.span = arena->spans ? 0 : ARENA_SPAN_WINDOW;
	return cpu_publish(arena, cpu);
}

/*
 * Install the state that is part of the arena, for the first CPU only. If the leaf is part of the
 * arena, too, this allocates nothing, so @gfp need not permit growing. If the task moves to another
 * CPU meanwhile, the state may stay unused, which only costs memory.
 */
static bool cpu_install_first(struct arena *arena, gfp_t gfp)
{
	struct arena_leaf *leaf = first_leaf(arena);

	if (!leaf && !arena_may_grow(gfp))
		return false;
	if (test_bit(ARENA_FIRST_USED, &arena->state) ||
	    test_and_set_bit(ARENA_FIRST_USED, &arena->state))
		return false;
	if (!leaf)
		leaf_grow(arena, gfp);
	else if (!static_branch_likely(&arena_flat))
		leaf_install(arena, leaf);
	return cpu_install(arena, &arena->first_cpu);
}

/* Install a state for the present CPU, which has none, if @gfp permits that. */
noinline void arena_cpu_install(struct arena *arena, gfp_t gfp)
{
	struct arena_cpu *cpu;

	if (in_nmi() || cpu_install_first(arena, gfp) || !arena_may_grow(gfp))
		return;
	leaf_grow(arena, gfp);
	cpu = arena_state_alloc(arena, sizeof(*cpu), gfp);
	if (cpu && !cpu_install(arena, cpu))
		kfree(cpu);
}

static bool hidden;

/*
 * With @hide, fast paths find no state from now on, so that every allocation takes the slow
 * path, where it is traced. Without @hide, fast paths find the states of their CPUs again.
 */
void arena_cpus_hide(bool hide)
{
	unsigned int cpu;

	hidden = hide;
	for_each_possible_cpu(cpu) {
		WRITE_ONCE(per_cpu(arena_root_position, cpu),
			   hide ? 0 : (1 + cpu / ARENA_LEAF_CPUS) * sizeof(struct arena_leaf *));
		WRITE_ONCE(per_cpu(arena_flat_position, cpu),
			   (hide ? offsetof(struct arena, no_cpu) :
				   table_size() + cpu * sizeof(struct arena_cpu *)) -
			   offsetof(struct arena, root));
	}
}

void arena_cpus_setup(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		per_cpu(arena_leaf_position, cpu) = cpu % ARENA_LEAF_CPUS *
						  sizeof(struct arena_cpu *);
	/*
	 * A fast path reads arena_root_position and arena_leaf_position with preemption off. After
	 * a grace period, none still has the former arena_leaf_position, with which it would find
	 * the state of another CPU in a leaf.
	 */
	synchronize_rcu();
	arena_cpus_hide(hidden);
	if (is_flat())
		static_branch_enable(&arena_flat);
}
