// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU state: a CPU gets it when it first allocates from an arena.
 *
 * The CPU that allocates looks itself up in a table of two levels: arena->root points to
 * leaves, and a leaf to states. Where there is no leaf the root shows &leaf_none, and
 * where there is no state the leaf shows &arena_cpu_none. That one is constant; no
 * generation equals its span's, so that a fast path which finds it fails by the check
 * that it makes anyway, before it has written anything.
 *
 * The slow path lets the CPU have a state: the first one to come that which is part of the
 * arena, others if the caller's gfp permits. It is allocated with interrupts on, pushed on
 * arena->cpus, and last put into the leaf, by that CPU with interrupts off, so that no two
 * contexts of one CPU install one each. An NMI installs nothing. Where there is no state (in
 * an NMI, with ARENA_NOGROW, without memory) the shared cursor serves, and arena->writers,
 * deep_used and deep_allocs count.
 *
 * Why a first use is safe against what goes on elsewhere. Resets, settling, statistics
 * and the collection of tails walk arena->cpus, which only grows:
 *
 *  - A state is on the list before its CPU can use it (the push is a full barrier). So
 *    what its CPU does there before barrier A in arena_write_begin() is seen by a settler
 *    that walks the list after barrier B, and likewise for claims: "first" in the table
 *    of "DOC: generations".
 *  - What a walk that began earlier misses is empty: it has counted nothing, written
 *    nothing, and its span is filled by moving the cursor, which the walker has read.
 *  - The window of a new state is closed for the generation of that moment. It is
 *    installed with preemption off, so wrapped() waits for it as for an open window.
 *  - Destruction excludes all users of the arena.
 *
 * A CPU that goes offline leaves its state behind, with what it counted.
 */
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "core/core.h"

const struct arena_cpu arena_cpu_none;

static const struct arena_leaf leaf_none = {
	.cpu = { [0 ... ARENA_LEAF_CPUS - 1] = (struct arena_cpu *)&arena_cpu_none },
};

DEFINE_PER_CPU(unsigned long, arena_root_offset);
DEFINE_PER_CPU(unsigned long, arena_leaf_offset);

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
	return struct_size_t(struct arena, root, 1 + nr_leaves());
}

/* There is room behind the table for the first leaf, and the arena still takes one KiB. */
static bool leaf_fits(void)
{
	return table_size() + leaf_size() <= SZ_1K;
}

static struct arena_leaf *first_leaf(struct arena *arena)
{
	return leaf_fits() ? (void *)arena + table_size() : NULL;
}

/* Of a struct arena with its table, and with the first leaf where that fits. */
size_t arena_cpus_size(void)
{
	return table_size() + (leaf_fits() ? leaf_size() : 0);
}

void arena_cpus_init(struct arena *arena)
{
	unsigned int i;

	for (i = 0; i < 1 + nr_leaves(); i++)
		arena->root[i] = (struct arena_leaf *)&leaf_none;
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
	for (i = 1; i < 1 + nr_leaves(); i++)
		if (arena->root[i] != &leaf_none && arena->root[i] != first_leaf(arena))
			kfree(arena->root[i]);
}

/* Charged as slabs are (clause 21). An allocation goes on without it, so no great effort. */
void *arena_state_alloc(const struct arena *arena, size_t size, gfp_t gfp)
{
	struct mem_cgroup *old;
	void *state;

	gfp = (gfp & ARENA_GFP_MASK & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY | __GFP_NOWARN;
	if (arena->flags & ARENA_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	old = set_active_memcg(arena->memcg);
	state = kzalloc(size, gfp);
	set_active_memcg(old);
	return state;
}

static struct arena_leaf **leaf_of(struct arena *arena, unsigned int cpu)
{
	return &arena->root[1 + cpu / ARENA_LEAF_CPUS];
}

/* Let @leaf serve the CPU that this happens to run on, and its neighbours. False if one does. */
static bool leaf_install(struct arena *arena, struct arena_leaf *leaf)
{
	struct arena_leaf **entry = leaf_of(arena, raw_smp_processor_id());
	struct arena_leaf *none = (struct arena_leaf *)&leaf_none;

	memcpy(leaf, none, leaf_size());
	/* Full barrier: pairs with the address dependency in arena_cpu_fast(). */
	return READ_ONCE(*entry) == none && cmpxchg(entry, none, leaf) == none;
}

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
 * Let this CPU have @cpu. False if it has a state by now, or moved to a leaf that is not
 * there. Calls nothing that a probe could be in.
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
			/* Full barrier: on the list before it is used, see the top. */
		} while (!try_cmpxchg(&arena->cpus, &head, cpu));
		/* Release: pairs with the address dependency in arena_cpu_fast(). */
		smp_store_release(entry, cpu);
	}
	local_irq_restore(flags);
	return missing;
}

static bool cpu_install(struct arena *arena, struct arena_cpu *cpu)
{
	cpu->slot.span = arena->spans ? 0 : ARENA_SPAN_WINDOW;
	return cpu_publish(arena, cpu);
}

/*
 * The state that is part of the arena needs no memory, and no permission where its leaf is
 * part of the arena, too. If another CPU comes between, or this task moves, it stays unused:
 * no reason to try again.
 */
static bool cpu_install_first(struct arena *arena, gfp_t gfp)
{
	struct arena_leaf *leaf = first_leaf(arena);

	if (!leaf && !arena_may_grow(gfp))
		return false;
	if (READ_ONCE(arena->first_used) || cmpxchg(&arena->first_used, 0, 1))
		return false;
	if (leaf)
		leaf_install(arena, leaf);
	else
		leaf_grow(arena, gfp);
	return cpu_install(arena, &arena->first_cpu);
}

/* The CPU that this runs on has no state: let it have one, if @gfp allows that. */
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

/* From now on fast paths find no state, so that each allocation takes the slow path, or do. */
void arena_cpus_hide(bool hide)
{
	unsigned int cpu;

	hidden = hide;
	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(arena_root_offset, cpu),
			   hide ? 0 : (1 + cpu / ARENA_LEAF_CPUS) * sizeof(struct arena_leaf *));
}

void arena_cpus_setup(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		per_cpu(arena_leaf_offset, cpu) = cpu % ARENA_LEAF_CPUS *
						  sizeof(struct arena_cpu *);
	/* Fast paths run with preemption off: none is between its two looks from here on. */
	synchronize_rcu();
	arena_cpus_hide(hidden);
}
