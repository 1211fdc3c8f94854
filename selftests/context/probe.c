// SPDX-License-Identifier: GPL-2.0
/*
 * This test interrupts allocations and resets at as many of their instructions as there is time
 * for. A task repeats the same calls, work(), each time with a kprobe at another instruction of the
 * arena module.
 *
 * The handler of the kprobe allocates from the arena that the task is using. The handler also
 * raises an NMI, whose handler allocates, and queues an irq_work, which allocates as soon as
 * interrupts are on again. The irq_work may hit the kprobe as well.
 *
 * A first run, with a kprobe in each function of the module, finds the functions that work() calls.
 */
#include <linux/cpumask.h>
#include <linux/gcd.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include "context.h"

#define CAPACITY	SZ_512K
#define ENTRIES		4096
#define LARGE		(SZ_64K + 512)
#define RESERVED	16
#define OBJECT		32
#define HITS_EACH	6		/* how often one probe allocates */
#define FIRST_TRIES	32		/* how many bytes of a function to try */
#define MAX_CODE	SZ_16K
#define SLOW_AFTER	16		/* probes after which to estimate the time for all */
#define SLOW_SECONDS	30		/* skip the test if all probes take longer */

static unsigned int seconds = 10;
module_param(seconds, uint, 0600);
MODULE_PARM_DESC(seconds, "How long to probe instructions, for each kind of arena");

/* An element of a typed arena. @inverse is ~@value, so that the test recognises a torn element. */
struct twin {
	u64	value;
	u64	inverse;
};

DEFINE_ARENA(twins, struct twin);

/**
 * struct site - a probe.
 * @kprobe: the probe.
 * @hit:    work() has executed the probed instruction.
 */
struct site {
	struct kprobe	kprobe;
	bool		hit;
};

/**
 * struct prober - the state of the test that runs.
 * @stage: the arena and the log of its allocations.
 * @flags: ARENA_* flags of the arena.
 * @twins: the typed arena, which has ARENA_READERS if @flags has ARENA_SPANS.
 * @taken: number of elements that interrupts have allocated from @twins since its last reset.
 * @task:  the task whose work the probes interrupt.
 * @live:  the task is in a part of work() that probes may interrupt.
 * @reserved: the stage has a reservation.
 * @act:   a probe that is hit allocates; otherwise it only sets @hit of its site.
 * @left:  how often the current probe may still allocate.
 * @hits:  how often probes have allocated.
 * @struck: number of instructions at which a probe has allocated.
 * @code:  address of each byte of the functions that work() calls.
 * @bytes: number of entries in @code.
 * @functions: number of functions that work() calls.
 * @work:  irq_work that a probe queues; it runs as soon as interrupts are on again.
 */
static struct prober {
	struct stage		stage;
	unsigned int		flags;
	struct twins		*twins;
	atomic_t		taken;
	struct task_struct	*task;
	bool			live;
	bool			reserved;
	bool			act;
	unsigned int		left;
	unsigned int		hits;
	unsigned int		struck;
	unsigned long		*code;
	unsigned int		bytes;
	unsigned int		functions;
	struct irq_work		work;
} prober;

static struct twin *twin_take(u64 value)
{
	return twins_alloc(prober.twins, &(struct twin){ value, ~value });
}

static void take(enum source source, size_t size)
{
	stage_alloc(&prober.stage, source, size, ARENA_NOGROW);
	if (READ_ONCE(prober.reserved))
		stage_alloc_reserved(&prober.stage, source, OBJECT);
	/* During a reset there may be no free element. */
	if (twin_take(source))
		atomic_inc(&prober.taken);
}

static void probe_nmi(struct pt_regs *regs, void *unused)
{
	take(BY_NMI, 72);
}

static void probe_irq(struct irq_work *work)
{
	if (!READ_ONCE(prober.live))
		return;
	if (READ_ONCE(prober.stage.busy))
		atomic_inc(&prober.stage.inside[BY_IRQ_WORK]);
	take(BY_IRQ_WORK, 56);
}

static int on_probe(struct kprobe *kprobe, struct pt_regs *regs)
{
	struct site *site = container_of(kprobe, struct site, kprobe);

	if (current != prober.task || !READ_ONCE(prober.live))
		return 0;
	site->hit = true;
	if (!prober.act || !prober.left)
		return 0;
	prober.left--;
	prober.hits++;
	atomic_inc(&prober.stage.inside[BY_PROBE]);
	atomic_inc(&prober.stage.inside[BY_NMI]);
	take(BY_PROBE, 40 + prober.left * 24);
	if (!nmi_raise(smp_processor_id()))
		prober.act = false;
	irq_work_queue(&prober.work);
	return 0;
}

/*
 * Does nothing. Without a post handler, the kernel could replace the breakpoint of the kprobe by a
 * jump, but the test needs the exception that the breakpoint raises.
 */
static void after_probe(struct kprobe *kprobe, struct pt_regs *regs, unsigned long flags)
{
}

static int site_register(struct site *site, unsigned long address, unsigned int flags)
{
	*site = (struct site) {
		.kprobe = {
			.addr = (kprobe_opcode_t *)address,
			.pre_handler = on_probe,
			.post_handler = after_probe,
			.flags = flags,
		},
	};
	return register_kprobe(&site->kprobe);
}

/* Allocates by each kind of call, so that all paths of an allocation run. */
static void work_alloc(struct stage *stage)
{
	struct arena *arena = stage->arena;
	arena_handle_t handle;
	size_t used;
	int i;

	for (i = 0; i < 4; i++)
		stage_alloc(stage, BY_TASK, 64, ARENA_NOGROW);
	stage_log(stage, arena_alloc_aligned(arena, 100, 256, ARENA_NOGROW), 100);
	stage_log(stage, arena_zalloc(arena, 5000, ARENA_NOGROW), 5000);
	stage_log(stage, arena_zalloc(arena, 24, ARENA_NOGROW), 24);
	stage_log(stage, arena_memdup(arena, "0123456", 8, ARENA_NOGROW), 8);
	stage_log(stage, arena_alloc_handle(arena, 48, ARENA_NOGROW, &handle), 48);
	expect(!arena_alloc(arena, CAPACITY, ARENA_NOGROW), "more than there is");
	used = arena_offset(arena);
	expect(arena_high(arena) >= used, "more used than handed out");
}

/* Makes a reservation, from which task and interrupts allocate until it is used up. */
static void work_reserved(struct stage *stage)
{
	if (stage_reserve(stage, RESERVED, OBJECT))
		return;
	WRITE_ONCE(prober.reserved, true);
	while (stage_alloc_reserved(stage, BY_TASK, OBJECT))
		;
	WRITE_ONCE(prober.reserved, false);
}

static void work_large(struct stage *stage)
{
	stage_log_large(stage, arena_alloc(stage->arena, LARGE, GFP_KERNEL), LARGE);
}

static void set_live(bool live)
{
	WRITE_ONCE(prober.live, live);
	/*
	 * Probes read prober.live on the CPU that they interrupt, so a compiler barrier is enough.
	 */
	barrier();
}

/*
 * Returns how many elements have at least the value @least; fails the test if an element is torn.
 */
static unsigned int twins_count(u64 least, const char *where)
{
	unsigned int nr = 0, torn = 0;
	struct twin *twin;
	size_t i;

	arena_for_each(twins, prober.twins, i, twin) {
		nr += twin->value >= least;
		torn += twin->value != ~twin->inverse;
	}
	expect(!torn, "%u elements are torn, %s", torn, where);
	return nr;
}

/*
 * Allocates elements of the typed arena, one at a time and several at once, and frees some of them.
 */
static void work_twins(void)
{
	struct twin some[3] = { { 7, ~7ULL }, { 8, ~8ULL }, { 9, ~9ULL } };
	struct twin *twin[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(twin); i++)
		twin[i] = twin_take(100 + i);
	expect(twins_append(prober.twins, some, ARRAY_SIZE(some)) >= 0, "nothing appended");
	for (i = 0; i < ARRAY_SIZE(twin); i += 2)
		if (expect(twin[i], "no element"))
			twins_free(prober.twins, twin[i]);
	expect(twin_take(200), "no element once more");
}

#define TWINS_LEFT	(4 / 2 + 3 + 1)

static void work_typed(const char *where)
{
	unsigned int before = twins_count(0, where), now;
	int err;

	atomic_set(&prober.taken, 0);
	set_live(true);
	work_twins();
	set_live(false);
	irq_work_sync(&prober.work);
	now = twins_count(0, where);
	expect(now == before + TWINS_LEFT + atomic_read(&prober.taken),
	       "%u elements after %u and %u, %s", now, before,
	       TWINS_LEFT + atomic_read(&prober.taken), where);
	/* With ARENA_READERS, a reset may fail with EBUSY until a grace period has ended. */
	set_live(true);
	err = twins_reset(prober.twins);
	set_live(false);
	irq_work_sync(&prober.work);
	expect(!err || err == -EBUSY, "reset of elements: %d", err);
	if (!err)
		expect(!twins_count(NR_SOURCES, where), "the task's elements outlived a reset, %s",
		       where);
}

/* Resets the arena, which frees its slabs if @release, and commits all memory again. */
static void work_reset(struct stage *stage, bool release)
{
	stage->may_refuse = true;
	if (release)
		arena_reset_release(stage->arena, 0);
	else
		expect(!arena_reset(stage->arena), "no reset");
	expect(!arena_populate(stage->arena, CAPACITY, GFP_KERNEL), "no memory");
	stage->may_refuse = false;
}

static void work(const char *where)
{
	int round;

	for (round = 0; round < 2; round++) {
		set_live(true);
		work_reset(&prober.stage, round);
		set_live(false);
		irq_work_sync(&prober.work);
		stage_forget(&prober.stage);
		set_live(true);
		work_alloc(&prober.stage);
		work_reserved(&prober.stage);
		if (round)
			work_large(&prober.stage);
		set_live(false);
		irq_work_sync(&prober.work);
		stage_verify_reserve(&prober.stage, RESERVED, OBJECT);
		stage_verify(&prober.stage, where);
	}
	work_typed(where);
}

/* Runs work() with one probe armed. */
static void work_at(struct site *site)
{
	char where[KSYM_SYMBOL_LEN];
	unsigned int before = prober.hits;

	if (!expect(!enable_kprobe(&site->kprobe), "a probe cannot be armed"))
		return;
	text_name(where, (unsigned long)site->kprobe.addr);
	prober.left = HITS_EACH;
	work(where);
	disable_kprobe(&site->kprobe);
	if (prober.hits > before)
		prober.struck++;
}

static void unregister_sites(struct site *sites, unsigned int nr)
{
	struct kprobe **list = kvcalloc(nr, sizeof(*list), GFP_KERNEL);
	unsigned int i;

	for (i = 0; list && i < nr; i++)
		list[i] = &sites[i].kprobe;
	if (list)
		unregister_kprobes(list, nr);
	else
		for (i = 0; i < nr; i++)
			unregister_kprobe(&sites[i].kprobe);
	kvfree(list);
}

/*
 * Returns whether probes in all functions would take too long, and if so, skips the test. To set a
 * probe, the kernel interrupts all CPUs; on an emulated real-time kernel, the CPUs answer so slowly
 * that setting a probe in each function takes minutes. The estimate is the time that the first @nr
 * probes took since @begin.
 */
static bool probes_are_slow(unsigned long begin, unsigned int nr)
{
	unsigned long size, took = jiffies - begin;
	unsigned int functions = 0;

	while (text_function(functions, &size))
		functions++;
	if (took * functions / nr < SLOW_SECONDS * HZ)
		return false;
	skip("a probe takes %u ms here, and there are %u functions",
	     jiffies_to_msecs(took) / nr, functions);
	return true;
}

/*
 * Puts one probe into each function of the module, not at the first instruction, where kprobes
 * would use ftrace. Returns the number of probes; stops early, and skips the test, if probes are
 * slow.
 */
static unsigned int probe_each(struct site *sites, unsigned int max)
{
	unsigned long begin = jiffies, start, size;
	unsigned int nr = 0, i, k;

	for (i = 0; nr < max && (start = text_function(i, &size)); i++) {
		if (nr == SLOW_AFTER && probes_are_slow(begin, nr))
			break;
		for (k = 1; k < min_t(unsigned long, size, FIRST_TRIES); k++) {
			if (site_register(&sites[nr], start + k, 0))
				continue;
			nr++;
			break;
		}
	}
	return nr;
}

static bool passed(const struct site *sites, unsigned int nr, unsigned long start,
		   unsigned long size)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (sites[i].hit && (unsigned long)sites[i].kprobe.addr - start < size)
			return true;
	return false;
}

/* Stores in prober.code each byte of the functions that work() calls, unless probes are slow. */
static void find_code(struct site *sites, unsigned int functions)
{
	unsigned int nr = probe_each(sites, functions), i, k;
	unsigned long start, size;

	if (skipped()) {
		unregister_sites(sites, nr);
		return;
	}
	work("before anything was interrupted");
	unregister_sites(sites, nr);
	for (i = 0; (start = text_function(i, &size)); i++) {
		if (!passed(sites, nr, start, size))
			continue;
		for (k = 0; k < size && prober.bytes < MAX_CODE; k++)
			prober.code[prober.bytes++] = start + k;
		prober.functions++;
	}
}

/*
 * Tries a probe at each byte in prober.code until the time is over. There may not be time for all
 * bytes, so go from one byte to the next by a large step that has no common divisor with the number
 * of bytes: this spreads the probes over the code and reaches each byte once. The kernel refuses a
 * probe where no instruction begins.
 */
static void probe_code(struct site *sites)
{
	unsigned long end = jiffies + seconds * HZ;
	unsigned int step = prober.bytes * 5 / 8, at = 0, nr = 0, i;

	while (gcd(step, prober.bytes) != 1)
		step++;
	prober.act = true;
	for (i = 0; i < prober.bytes && time_before(jiffies, end) && !failed(); i++) {
		if (!site_register(&sites[nr], prober.code[at], KPROBE_FLAG_DISABLED))
			work_at(&sites[nr++]);
		at = (at + step) % prober.bytes;
	}
	unregister_sites(sites, nr);
	expect(prober.act, "an NMI did not come");
	note("%u of %u bytes in %u functions tried: %u instructions, %u interrupted", i,
	     prober.bytes, prober.functions, nr, prober.struck);
}

static long probe_work(void *unused)
{
	struct site *sites = kvcalloc(MAX_CODE, sizeof(*sites), GFP_KERNEL);

	prober.code = kvcalloc(MAX_CODE, sizeof(*prober.code), GFP_KERNEL);
	prober.task = current;
	if (expect(sites && prober.code, "no memory for probes")) {
		find_code(sites, MAX_CODE);
		if (!skipped() && expect(prober.bytes, "no function was passed"))
			probe_code(sites);
	}
	kvfree(prober.code);
	kvfree(sites);
	return 0;
}

static void check(const struct stage *stage)
{
	int i;

	if (skipped())
		return;
	stage_report(stage);
	expect(prober.struck, "no probe was hit inside an allocation");
	for (i = BY_IRQ_WORK; i < NR_SOURCES; i++)
		expect(atomic_read(&stage->taken[i]), "nothing came of source %d", i);
}

static void run(unsigned int flags)
{
	struct stage *stage = &prober.stage;

	memset(&prober, 0, sizeof(prober));
	init_irq_work(&prober.work, probe_irq);
	prober.twins = twins_create_flags(ENTRIES, flags & ARENA_SPANS ? ARENA_READERS : 0);
	if (IS_ERR(prober.twins)) {
		fail("no memory for the test");
		return;
	}
	if (stage_open(stage, CAPACITY, flags, ENTRIES))
		goto out;
	if (expect(!nmi_open(probe_nmi, NULL), "no NMI handler")) {
		work_on_cpu(cpumask_first(cpu_online_mask), probe_work, NULL);
		nmi_close();
		irq_work_sync(&prober.work);
		check(stage);
	}
	stage_close(stage);
out:
	twins_destroy(prober.twins);
}

void test_probe_dense(void)
{
	run(0);
}

void test_probe_spans(void)
{
	run(ARENA_SPANS);
}
