// SPDX-License-Identifier: GPL-2.0
/*
 * Checks: report writes behind the end of an object, and to memory that a reset has freed.
 *
 * The module parameter "debug" selects arenas by name (check_names.c). Each generation that such an
 * arena begins after that is checked. In a checked generation,
 *
 *  - a new object that is not zeroed is filled with POISON_INUSE;
 *  - behind it lies a redzone: REDZONE_MIN bytes, and up to ARENA_WORD - 1 more, filled with
 *    SLUB_RED_ACTIVE. A redzone ends with the slab and with the arena at the latest, so an object
 *    near their end has a shorter one or none. Redzones are padding: they do not count as used;
 *  - a record holds the offset of the object, and the caller that allocated it. Records lie outside
 *    the memory of the arena, where stray writes to the arena cannot change them. Their number is
 *    limited: if an object gets no record, its redzone is not checked.
 *
 * When the generation is over, the CPU that settles the next one checks the redzones, and fills the
 * freed memory with POISON_FREE. An allocation that gets such memory checks that it still holds
 * POISON_FREE.
 *
 * In a generation that is not checked, allocations are as fast as without this file. A checked
 * generation begins with %ARENA_COUNTED set in the cursor: no window matches such a word, and
 * span_refill() gets no span. So each allocation reaches cursor_claim(), which finds the bit, and
 * finds by arena_is_checked() that arena_check_claim() has to make the claim instead.
 *
 * Whether a generation is checked does not change between its first claim and its last. A CPU that
 * is about to settle a generation finds %ARENA_BLOCKED_CHECKS in arena->settle_blocked. It then
 * takes check->busy, checks the redzones of the former generation, and settles the new one. Before
 * it takes check->busy, all writes of allocations to memory of the former generation have ended,
 * and its actions have returned; no claim succeeds in the new generation yet. So nothing else uses
 * the memory or the records, and there are no false reports. retired() in reset.c checks the slab
 * set that arena_reset_rcu() has left, after its readers are gone.
 *
 * A CPU counts itself as a writer while it fills an object, its redzone and its record. So the next
 * generation is not settled, and the redzones are not checked, before the CPU is done. An object
 * that was freed before the CPU has counted itself is not filled.
 *
 * On a kernel with KASAN, redzones and memory that is filled with POISON_FREE are poisoned for
 * KASAN, too (poison.c): KASAN reports the instruction that accesses them, and the checks find what
 * KASAN does not see, such as a write by a device. Kbuild keeps the compiler from instrumenting
 * this file, and the file passes no poisoned memory to functions that KASAN instruments.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "core/cursor.h"

#define REDZONE_MIN	16

/**
 * struct check_record - an object of a checked generation.
 * @place:	its offset plus one; 0 while the record is not in use.
 * @size:	its size, as it was asked for.
 * @end:	offset of the end of its redzone.
 * @generation: the generation that it was allocated in.
 * @caller:	return address of the call that allocated it, or 0.
 */
struct check_record {
	size_t		place;
	size_t		size;
	size_t		end;
	unsigned long	generation;
	unsigned long	caller;
};

/* How many records an arena has; with %ARENA_READERS, each slab set has half of them. */
#define CHECK_RECORDS	8192
/*
 * A CPU fills at most this many bytes in one section with preemption off. It leaves the rest as it
 * is, and no check looks at the rest.
 */
#define CHECK_FILL_MAX	(16UL << 20)

/**
 * struct check_set - what is known of a slab set.
 * @checked:  the generation that uses the set now, or used it last, is checked.
 * @high:     no object of the present generation ends above this offset, its redzone included.
 * @poisoned: below this offset, memory that is not handed out is filled with POISON_FREE.
 * @nr:	      how many objects were to get a record; if the set has fewer records, some got none.
 * @record:   its first record.
 */
struct check_set {
	bool			checked;
	atomic_long_t		high;
	size_t			poisoned;
	atomic_t		nr;
	struct check_record	*record;
};

/**
 * struct arena_check - the checks of an arena; allocated when they are first switched on.
 * @busy:     bit lock, held by a CPU that checks a generation and settles the next one, or that
 *	      changes a record.
 * @wanted:   the next generation is to be checked.
 * @lost:     the message that some objects got no record was logged; it is not repeated.
 * @findings: number of findings.
 * @last:     the last finding, for tests; written without a lock.
 * @set:      what is known of each slab set.
 * @record:   the records.
 */
struct arena_check {
	unsigned long		busy;
	bool			wanted;
	bool			lost;
	atomic_long_t		findings;
	struct arena_finding	last;
	struct check_set	set[2];
	struct check_record	record[CHECK_RECORDS];
};

static DEFINE_RATELIMIT_STATE(check_reports, 5 * HZ, 10);

static int check_set_records(const struct arena *arena)
{
	return CHECK_RECORDS / arena_nr_dirs(arena);
}

static struct check_set *check_set(const struct arena *arena, unsigned long generation)
{
	return &arena->check->set[generation & ARENA_GEN_SET];
}

/*
 * Take check->busy. The caller has preemption off, and keeps it off until check_unlock(). So if
 * arena_check_asleep() finds the lock taken, it waits for a grace period, by the end of which the
 * holder has dropped the lock.
 */
static bool check_trylock(struct arena_check *check)
{
	return !test_and_set_bit_lock(0, &check->busy);
}

static void check_unlock(struct arena_check *check)
{
	clear_bit_unlock(0, &check->busy);
}

/*
 * Report a finding: of the @len bytes at @wrong, from offset @f->at on, the first one and perhaps
 * others are not @f->expected.
 */
static void check_report(struct arena *arena, struct arena_finding *f, const u8 *wrong, size_t len)
{
	u8 first[16];
	size_t i;

	f->found = *wrong;
	for (i = 0; i < len; i++) {
		f->wrong += wrong[i] != f->expected;
		if (i < sizeof(first))
			first[i] = wrong[i];
	}
	atomic_long_inc(&arena->check->findings);
	/* Racy with another finding: only tests read @last. */
	data_race(arena->check->last = *f);
	if (!__ratelimit(&check_reports))
		return;
	if (f->kind == ARENA_FINDING_REDZONE)
		pr_err("%s: write behind an object of %zu bytes at offset %zu, allocated in generation %lu by %pS\n",
		       arena->name, f->size, f->offset, f->generation, (void *)f->caller);
	else
		pr_err("%s: write to free memory, which %pS gets now for an object of %zu bytes at offset %zu\n",
		       arena->name, (void *)f->caller, f->size, f->offset);
	pr_err("%s: offset %zu, byte %zu of the object: expected %02x, found %*ph, %zu wrong in all\n",
	       arena->name, f->at, f->at - f->offset, f->expected, (int)min(len, sizeof(first)),
	       first, f->wrong);
}

/* Returns the first of the @len bytes at @at that is not @expected, or NULL. */
static const u8 *first_wrong(const u8 *at, u8 expected, size_t len)
{
	/* KASAN and KMSAN check what memchr_inv() reads, and would report poisoned memory. */
	if (!ARENA_SHADOW)
		return memchr_inv(at, expected, len);
	for (; len; at++, len--)
		if (*at != expected)
			return at;
	return NULL;
}

/*
 * Check that the @len bytes at @at, from offset @offset on, are @f->expected. They lie in one slab.
 */
static void check_bytes(struct arena *arena, struct arena_finding *f, const u8 *at, size_t offset,
			size_t len)
{
	const u8 *wrong = first_wrong(at, f->expected, len);

	if (likely(!wrong))
		return;
	f->at = offset + (wrong - at);
	check_report(arena, f, wrong, len - (wrong - at));
}

/* Kernel address of offset @offset in slab set @set; NULL if the slab is not committed. */
static u8 *check_address(const struct arena *arena, unsigned long set, size_t offset)
{
	void *base = arena_slab_base(arena, set, offset);

	return base ? base + (offset & (arena_slab_size(arena) - 1)) : NULL;
}

/* How many bytes there are from @offset to @end, or to the end of the slab if that is nearer. */
static size_t check_chunk(const struct arena *arena, size_t offset, size_t end)
{
	return min(end, (offset | (arena_slab_size(arena) - 1)) + 1) - offset;
}

/*
 * Check the redzone of a recorded object. The redzone may span several slabs if the object was
 * larger than a slab and was made smaller.
 */
static void check_redzone(struct arena *arena, unsigned long set, const struct check_record *record)
{
	struct arena_finding finding = {
		.kind	    = ARENA_FINDING_REDZONE,
		.expected   = SLUB_RED_ACTIVE,
		.generation = record->generation,
		.offset	    = record->place - 1,
		.size	    = record->size,
		.caller	    = record->caller,
	};
	size_t at = finding.offset + finding.size, len;

	for (; at < record->end && !finding.wrong; at += len) {
		const u8 *address = check_address(arena, set, at);

		len = check_chunk(arena, at, record->end);
		if (address)
			check_bytes(arena, &finding, address, at, len);
	}
}

static void check_tell_lost(struct arena *arena, int lost)
{
	if (lost <= 0 || arena->check->lost)
		return;
	arena->check->lost = true;
	pr_info("%s: more than %d objects in a generation: the redzones of %d are not checked\n",
		arena->name, check_set_records(arena), lost);
}

/*
 * Check the redzones of the objects at or above @low, and drop their records. With @all, check all
 * redzones and drop all records.
 */
static void check_records(struct arena *arena, unsigned long set, size_t low, bool all)
{
	struct check_set *known = &arena->check->set[set];
	int nr = atomic_read(&known->nr), i, kept = 0;

	check_tell_lost(arena, nr - check_set_records(arena));
	nr = min(nr, check_set_records(arena));
	for (i = 0; i < nr; i++) {
		const struct check_record record = known->record[i];

		/*
		 * check_record() sets the place of a new object last: until then, check_find() must
		 * not find the place of an older object here.
		 */
		WRITE_ONCE(known->record[i].place, 0);
		if (!all && record.place <= low)
			known->record[kept++] = record;
		else
			check_redzone(arena, set, &record);
	}
	atomic_set(&known->nr, kept);
}

/*
 * Fill the memory that was handed out, from offset @low on, with POISON_FREE. A slab that the
 * cursor has skipped may not be committed: then only memory below that slab counts as filled.
 */
static void check_poison(struct arena *arena, unsigned long set, size_t low)
{
	struct check_set *known = &arena->check->set[set];
	size_t high = atomic_long_read(&known->high), to = max(high, known->poisoned), at, len;
	size_t stop = min(high, low + CHECK_FILL_MAX);

	for (at = low; at < stop; at += len) {
		u8 *address = check_address(arena, set, at);

		len = check_chunk(arena, at, stop);
		if (address)
			arena_fill(address, POISON_FREE, len);
		else
			to = min(to, at);
	}
	if (stop < high)
		to = min(to, stop);
	if (known->poisoned >= low)
		known->poisoned = to;
	/* Objects below @low are alive: their memory is filled after a reset has freed them. */
	atomic_long_set(&known->high, low);
}

/*
 * Record that the memory of slab set @set is not filled with POISON_FREE from offset @from on, and
 * that nothing of what was handed out so far is to be filled.
 */
static void check_forget(struct arena *arena, unsigned long set, size_t from)
{
	struct check_set *known = &arena->check->set[set];

	known->poisoned = min(known->poisoned, from);
	atomic_long_set(&known->high, 0);
}

/*
 * The former generation in slab set @set is over: check and fill what it has freed, and decide
 * whether the next generation is checked. The caller holds check->busy and is about to settle the
 * next generation, which begins at offset @low. Returns the bits to set in the settled cursor word.
 */
static unsigned long check_turn(struct arena *arena, unsigned long set, size_t low)
{
	struct arena_check *check = arena->check;
	struct check_set *known = &check->set[set];
	bool wanted = READ_ONCE(check->wanted);

	check_records(arena, set, low, !wanted);
	if (wanted)
		check_poison(arena, set, low);
	else
		check_forget(arena, set, 0);
	/*
	 * Ordered before the compare-and-swap of the cursor that settles the generation: pairs
	 * with smp_rmb() in __arena_is_checked().
	 */
	WRITE_ONCE(known->checked, wanted);
	return wanted ? ARENA_COUNTED : 0;
}

/*
 * The generation of @cursor is about to be settled: take check->busy, and check what the former
 * generation has freed. Sets *@bits to the bits to set in the settled cursor word. Returns false if
 * another CPU holds check->busy, if the cursor has changed, or in NMI. The caller has preemption
 * off, and keeps it off until arena_check_settled().
 */
bool arena_check_settle(struct arena *arena, unsigned long cursor, unsigned long *bits)
{
	unsigned long begun, used;

	if (in_nmi() || !check_trylock(arena->check))
		return false;
	if (atomic_long_read(&arena->cursor) != cursor ||
	    !arena_begin_word(arena, cursor, &begun, &used)) {
		check_unlock(arena->check);
		return false;
	}
	*bits = check_turn(arena, cursor_tag(cursor) & ARENA_GEN_SET, cursor_offset(begun));
	return true;
}

void arena_check_settled(struct arena *arena)
{
	check_unlock(arena->check);
}

/*
 * arena_reset_rcu() is about to begin a generation, which is settled at once, in the slab set that
 * is not in use. Returns the bits to set in its first cursor word. The caller holds reset_lock.
 */
unsigned long arena_check_flip(struct arena *arena)
{
	unsigned long set = ~arena_snap(arena).generation & ARENA_GEN_SET;
	bool wanted = READ_ONCE(arena->check->wanted);

	if (!wanted)
		check_forget(arena, set, 0);
	/*
	 * Ordered before the compare-and-swap of the cursor by the caller: pairs with smp_rmb() in
	 * __arena_is_checked().
	 */
	WRITE_ONCE(arena->check->set[set].checked, wanted);
	return wanted ? ARENA_COUNTED : 0;
}

/*
 * Check the slab set that arena_reset_rcu() has left. Its readers and actions are gone, and as
 * arena->acting is raised, no reset returns to the set meanwhile.
 */
void arena_check_retired(struct arena *arena)
{
	unsigned long set = ~arena_snap(arena).generation & ARENA_GEN_SET;

	check_records(arena, set, 0, true);
	if (arena->check->set[set].checked)
		check_poison(arena, set, 0);
	else
		check_forget(arena, set, 0);
}

/*
 * Check all redzones. The caller is a reset that may sleep: it has emptied the arena, keeps the
 * generation unsettled, and is about to zero the slabs (@zero) or to release those from offset
 * @keep on.
 */
void arena_check_asleep(struct arena *arena, bool zero, size_t keep)
{
	unsigned long set, now = arena_snap(arena).generation & ARENA_GEN_SET;

	preempt_disable();
	/* The holder has preemption off, and drops the lock before a grace period has passed. */
	while (!check_trylock(arena->check)) {
		preempt_enable();
		synchronize_rcu();
		preempt_disable();
	}
	for (set = 0; set < arena_nr_dirs(arena); set++) {
		check_records(arena, set, 0, true);
		if (!zero && arena->check->set[set].checked)
			check_poison(arena, set, 0);
		check_forget(arena, set, zero || set != now ? 0 : keep);
	}
	check_unlock(arena->check);
	preempt_enable();
}

/*
 * The shrinker is about to release the slabs of slab set @set from offset @keep on. The arena is
 * empty, and the shrinker keeps its generation unsettled, so there are no records. No other CPU
 * changes the check_set meanwhile. A CPU in check_turn() has not settled its generation yet, so
 * next_generation_empty() would have failed. arena_check_retired() has returned, as former_unused()
 * has found no readers and no actions.
 */
void arena_check_shrink(struct arena *arena, unsigned long set, size_t keep)
{
	struct check_set *known = &arena->check->set[set];

	known->poisoned = min(known->poisoned, keep);
}

/*
 * The offset at which the redzone behind an object ends, if the object ends at @end: at most the
 * end of the slab, and the capacity.
 */
size_t arena_check_end(const struct arena *arena, size_t end)
{
	size_t slab_end = ((end - 1) | (arena_slab_size(arena) - 1)) + 1;

	return min3(ALIGN(end + REDZONE_MIN, ARENA_WORD), slab_end, arena->capacity);
}

/* Record an object that is complete. The caller has counted itself as a writer. */
static void check_record(struct arena *arena, const struct arena_place *place, size_t size,
			 size_t end)
{
	struct check_set *known = check_set(arena, place->generation);
	struct check_record *record;
	int nr = atomic_read(&known->nr);

	/* Stop counting well above the number of records, so that the count cannot overflow. */
	if (nr >= 2 * CHECK_RECORDS)
		return;
	nr = atomic_fetch_inc(&known->nr);
	if (nr >= check_set_records(arena))
		return;
	record = &known->record[nr];
	record->size = size;
	record->end = end;
	record->generation = place->generation;
	record->caller = place->caller;
	/* Racy with check_find() on a CPU that looks for the record of another object. */
	WRITE_ONCE(record->place, place->offset + 1);
}

/* The memory at @to is handed out: check that nothing has written to it since it was freed. */
static void check_still_free(struct arena *arena, const struct arena_place *place, size_t size,
			     const u8 *to, size_t offset, size_t len)
{
	struct check_set *known = check_set(arena, place->generation);
	struct arena_finding finding = {
		.kind	    = ARENA_FINDING_FREE,
		.expected   = POISON_FREE,
		.generation = place->generation,
		.offset	    = place->offset,
		.size	    = size,
		.caller	    = place->caller,
	};

	if (offset < known->poisoned)
		check_bytes(arena, &finding, to, offset, min(len, known->poisoned - offset));
}

/*
 * Fill @len bytes of an object and its redzone. They lie at @to, from offset @offset on. The caller
 * has counted itself as a writer. If another generation has begun since the claim, this neither
 * checks nor records the object. If a rewind began that generation, another CPU may be in
 * check_turn() now, but fills nothing below the mark, where the object lies. If a reset frees the
 * object meanwhile, these bytes are filled with POISON_FREE once this writer is done, as this
 * function has raised check_set.high above them.
 */
static void check_complete(struct arena *arena, const struct arena_place *place, size_t size,
			   size_t end, bool zero, u8 *to, size_t offset, size_t len)
{
	size_t object_end = place->offset + size;
	bool present = __arena_snap(arena).generation == place->generation;
	size_t body = offset < object_end ? min(len, object_end - offset) : 0;

	arena_raise(&check_set(arena, place->generation)->high, end);
	if (present)
		check_still_free(arena, place, size, to, offset, len);
	arena_fill(to, zero ? 0 : POISON_INUSE, body);
	arena_fill(to + body, SLUB_RED_ACTIVE, len - body);
	if (present && offset + len == end)
		check_record(arena, place, size, end);
}

/*
 * Complete an object that was claimed in a checked generation, with a redzone up to offset @end:
 * check that its memory was left alone, fill it, with zeroes if @zero, and record it. Preemption is
 * off for one chunk at a time. Returns 0; -ESTALE if a reset or rewind has freed the object; -EINTR
 * if the object is larger than %ARENA_SLAB_MAX and the task is being killed.
 */
int arena_check_object(struct arena *arena, const struct arena_place *place, size_t size,
		       size_t end, bool zero, gfp_t gfp)
{
	size_t offset = place->offset, len;

	for (; offset < end; offset += len) {
		struct arena_cpu *cpu = arena_enter(arena);
		u8 *to = check_address(arena, place->generation, offset);
		struct arena_cpu *writer = NULL;

		len = min_t(size_t, check_chunk(arena, offset, end), ARENA_COPY_CHUNK);
		if (to)
			writer = arena_write_begin(arena, cpu, place->generation, to);
		if (writer) {
			check_complete(arena, place, size, end, zero, to, offset, len);
			arena_write_end(arena, writer);
		}
		arena_leave(cpu);
		if (!writer)
			return -ESTALE;
		if (!gfpflags_allow_blocking(gfp))
			continue;
		cond_resched();
		if (size > ARENA_SLAB_MAX && offset + len < end && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/*
 * Move the cursor past an object and its redzone, which ends at *@end. Errors are those of
 * cursor_claim(); -EBUSY also if the generation is not checked.
 */
static int check_claim(struct arena *arena, size_t size, size_t align, struct arena_place *place,
		       size_t *end)
{
	const size_t mask = arena_slab_size(arena) - 1;
	struct arena_cpu *cpu = arena_enter(arena);
	struct arena_snap snap = __arena_snap(arena);
	long cursor = snap.cursor;
	int err = 0;
	u8 *object;

	align = max(align, ARENA_MIN_ALIGN);
	for (;; snap.generation = cursor_generation(cursor, snap.generation)) {
		size_t at = ALIGN(cursor_offset(cursor), align);

		if ((at & mask) + size > mask + 1)
			at = ALIGN(at, mask + 1);
		place->offset = at;
		err = -EBUSY;
		if (!cursor_settled(cursor) || !arena_is_checked(arena, snap.generation))
			break;
		err = -ENOSPC;
		if (at > arena->capacity || size > arena->capacity - at)
			break;
		err = -EAGAIN;
		object = check_address(arena, snap.generation, at);
		if (!object)
			break;
		err = 0;
		*end = arena_check_end(arena, at + size);
		if (cursor_count(arena, &cursor) &&
		    atomic_long_try_cmpxchg(&arena->cursor, &cursor, cursor_move(cursor, *end)))
			break;
	}
	if (!err) {
		arena_account(arena, arena_slot(cpu), snap.generation, size);
		place_set(place, snap.generation, place->offset, object);
		arena_object_claimed(arena, cpu, snap.generation, object, size);
	}
	arena_leave(cpu);
	return err;
}

/*
 * Claim and complete an object in a checked generation. Errors are those of cursor_claim();
 * -EBUSY, too, if the generation is not checked; or -ESTALE, with @place set, if a reset or rewind
 * has freed the object before it was complete.
 */
int arena_check_claim(struct arena *arena, size_t size, size_t align, bool zero, gfp_t gfp,
		      struct arena_place *place)
{
	size_t end;
	int err = check_claim(arena, size, align, place, &end);

	return err ?: arena_check_object(arena, place, size, end, zero, gfp);
}

static struct check_record *check_find(const struct arena *arena, unsigned long generation,
				       size_t offset)
{
	struct check_set *known = check_set(arena, generation);
	int i = min(atomic_read(&known->nr), check_set_records(arena));

	while (i-- > 0)
		if (READ_ONCE(known->record[i].place) == offset + 1)
			return &known->record[i];
	return NULL;
}

/*
 * The object at @offset has shrunk from @old to @new bytes. In a checked generation, no object
 * gives bytes back: the lost bytes become part of its redzone. @generation is one in which the
 * object lived. This does nothing if the object was freed since, if another CPU holds check->busy,
 * or if more than %CHECK_FILL_MAX bytes are lost.
 */
void arena_check_shrunk(struct arena *arena, unsigned long generation, size_t offset, size_t old,
			size_t new)
{
	struct check_record *record = NULL;
	unsigned long now;
	size_t at, len;
	u8 *address;

	preempt_disable();
	if (check_trylock(arena->check)) {
		now = __arena_snap(arena).generation;
		if ((now == generation || arena_outlives(arena, now, generation, offset)) &&
		    arena_is_checked(arena, now))
			record = check_find(arena, now, offset);
		if (record && record->size == old && old - new <= CHECK_FILL_MAX) {
			for (at = offset + new; at < offset + old; at += len) {
				len = check_chunk(arena, at, offset + old);
				address = check_address(arena, now, at);
				if (address)
					arena_fill(address, SLUB_RED_ACTIVE, len);
			}
			record->size = new;
		}
		check_unlock(arena->check);
	}
	preempt_enable();
}

/*
 * Is @generation checked? The caller has read a cursor word of it. If that generation is over by
 * now, the answer may be that for a later one. In that case the cursor changed before the answer
 * did, so the caller's compare-and-swap of the cursor, which is a full barrier if it succeeds,
 * fails.
 */
bool __arena_is_checked(const struct arena *arena, unsigned long generation)
{
	/*
	 * Pairs with the compare-and-swap of the cursor in arena_settle() or next_generation(),
	 * after check_turn() or arena_check_flip(). Without it, a generation that is checked could
	 * pass for one that is not, and objects would have no redzones.
	 */
	smp_rmb();
	return READ_ONCE(check_set(arena, generation)->checked);
}

/* Is the next generation of @arena to be checked? */
bool arena_check_wanted(const struct arena *arena)
{
	const struct arena_check *check = READ_ONCE(arena->check);

	return check && READ_ONCE(check->wanted);
}

/* The number of findings so far. */
unsigned long arena_check_findings(const struct arena *arena)
{
	const struct arena_check *check = READ_ONCE(arena->check);

	return check ? atomic_long_read(&check->findings) : 0;
}

/* For tests: the last finding. The caller knows that there was one. */
struct arena_finding arena_check_last(const struct arena *arena)
{
	return arena->check->last;
}

struct arena_check *arena_checks_new(void)
{
	return kvzalloc(sizeof(struct arena_check), ARENA_GFP_META);
}

void arena_checks_free(struct arena_check *check)
{
	kvfree(check);
}

/*
 * Install @check in @arena. Returns false if another CPU has installed a struct arena_check before.
 * From now on, a CPU that begins to settle a generation calls arena_check_settle(). CPUs that have
 * begun before, and do not call it, have finished after a grace period; then arena_check_want() may
 * switch checks on.
 */
bool arena_check_install(struct arena *arena, struct arena_check *check)
{
	unsigned long flags;
	bool installed;

	check->set[0].record = check->record;
	check->set[1].record = check->record + CHECK_RECORDS / 2;
	installed = !cmpxchg(&arena->check, NULL, check);
	/* Another CPU that was faster may not have set the flag yet: set it in any case. */
	raw_spin_lock_irqsave(&arena->reset_lock, flags);
	/*
	 * Release: pairs with the smp_load_acquire() in settle(). A CPU that sees the flag finds
	 * arena->check.
	 */
	smp_store_release(&arena->settle_blocked,
			  (u8)(arena->settle_blocked | ARENA_BLOCKED_CHECKS));
	raw_spin_unlock_irqrestore(&arena->reset_lock, flags);
	return installed;
}

void arena_check_want(struct arena *arena, bool wanted)
{
	WRITE_ONCE(arena->check->wanted, wanted);
}

/* The arena is new, and has no user but the caller: check its first generation, too. */
void arena_check_first(struct arena *arena)
{
	arena->check->set[0].checked = true;
	atomic_long_or(ARENA_COUNTED, &arena->cursor);
}

/* The arena is being destroyed: check all redzones, and free the checks. */
void arena_check_exit(struct arena *arena)
{
	unsigned long set;

	for (set = 0; set < arena_nr_dirs(arena); set++)
		check_records(arena, set, 0, true);
	arena_checks_free(arena->check);
}
