// SPDX-License-Identifier: GPL-2.0
/* What callers do: they allocate, check, resize, and add actions. */
#include <linux/arena_buf.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "torture.h"

#define BURST	64

static const char source[] = "an object begins where the one before it ends, or behind padding";

struct words {
	u64	word[9];
};

static struct words value = { { 1, 2, 3, 4, 5, 6, 7, 8, 9 } };

struct flexible {
	u32	nr;
	u16	item[];
};

/**
 * struct object - what an allocating call has returned.
 * @ptr:    the object.
 * @size:   bytes that were asked for.
 * @align:  the alignment that was promised.
 * @zeroed: zeroed memory was promised.
 * @from:   the object must equal this; or NULL.
 * @handle: of the object, if the call has returned one.
 */
struct object {
	void		*ptr;
	size_t		size;
	size_t		align;
	bool		zeroed;
	const void	*from;
	arena_handle_t	handle;
};

gfp_t pick_gfp(struct caller *caller, bool may_sleep)
{
	static const gfp_t gfp[] = {
		ARENA_NOGROW, GFP_NOWAIT, GFP_ATOMIC, GFP_KERNEL | __GFP_NORETRY,
		GFP_KERNEL, GFP_KERNEL, GFP_KERNEL,
	};

	return gfp[below(caller, may_sleep ? ARRAY_SIZE(gfp) : 3)];
}

/* Mostly small sizes, and never more than half of a slab, beside which a redzone fits. */
static size_t pick_size(struct caller *caller, const struct target *target)
{
	u32 most = target->slab / 2;

	switch (below(caller, 8)) {
	case 0:
		return 1 + below(caller, most);
	case 1:
	case 2:
		return 1 + below(caller, 512);
	default:
		return 1 + below(caller, 64);
	}
}

static void by_size(struct caller *caller, struct target *target, gfp_t gfp, struct object *o)
{
	struct arena *arena = target->arena;

	switch (below(caller, 5)) {
	case 0:
		o->ptr = arena_zalloc(arena, o->size, gfp);
		o->zeroed = true;
		return count(CALL_zalloc);
	case 1:
		o->align = 1 << below(caller, 10);
		o->ptr = arena_alloc_aligned(arena, o->size, o->align, gfp);
		return count(CALL_alloc_aligned);
	case 2:
		o->ptr = arena_alloc_handle(arena, o->size, gfp, &o->handle);
		return count(CALL_alloc_handle);
	case 3:
		o->ptr = arena_alloc_array(arena, o->size, 1, gfp);
		return count(CALL_alloc_array);
	default:
		o->ptr = arena_alloc(arena, o->size, gfp);
		return count(CALL_alloc);
	}
}

static void by_type(struct caller *caller, struct target *target, gfp_t gfp, struct object *o)
{
	struct arena *arena = target->arena;
	u32 n = below(caller, 20);

	switch (below(caller, 3)) {
	case 0:
		o->size = struct_size((struct flexible *)NULL, item, n);
		o->align = __alignof__(struct flexible);
		o->ptr = arena_alloc_flex(arena, struct flexible, item, n, gfp);
		return count(CALL_alloc_flex);
	case 1:
		o->size = (n + 1) * sizeof(u32);
		o->align = __alignof__(u32);
		o->ptr = arena_alloc_objs(arena, u32, n + 1, gfp);
		return count(CALL_alloc_obj);
	default:
		o->size = sizeof(struct words);
		o->ptr = arena_alloc(arena, sizeof(struct words), gfp);
		return count(CALL_alloc_words);
	}
}

static void by_copy(struct caller *caller, struct target *target, gfp_t gfp, struct object *o)
{
	struct arena *arena = target->arena;

	o->from = source;
	o->align = 1;
	o->size = 1 + below(caller, sizeof(source) - 1);
	switch (below(caller, 6)) {
	case 0:
		o->align = ARENA_MIN_ALIGN;
		o->ptr = arena_memdup(arena, source, o->size, gfp);
		return count(CALL_memdup);
	case 1:
		o->align = 1 << below(caller, 8);
		o->ptr = arena_memdup_aligned(arena, source, o->size, o->align, gfp);
		return count(CALL_memdup_aligned);
	case 2:
		o->size = sizeof(source);
		o->ptr = arena_strdup(arena, source, gfp);
		return count(CALL_strdup);
	case 3:
		o->size = sizeof(source);
		o->ptr = arena_strndup(arena, source, sizeof(source) + 9, gfp);
		return count(CALL_strndup);
	case 4:
		o->size = sizeof(source);
		o->ptr = arena_printf(arena, gfp, "%s", source);
		return count(CALL_printf);
	default:
		o->size = sizeof(struct words);
		o->align = __alignof__(struct words);
		o->from = &value;
		o->ptr = arena_store(arena, value, gfp);
		return count(CALL_store);
	}
}

/* Allocates in one of many ways. */
static void allocate(struct caller *caller, struct target *target, bool may_sleep,
		     struct object *o)
{
	gfp_t gfp = pick_gfp(caller, may_sleep);

	*o = (struct object) { .size = pick_size(caller, target), .align = ARENA_MIN_ALIGN };
	switch (below(caller, 8)) {
	case 0:
		by_copy(caller, target, gfp, o);
		break;
	case 1:
		by_type(caller, target, gfp, o);
		break;
	case 2:
		if (may_sleep && !below(caller, 4)) {
			o->size = target->slab + 1 + below(caller, 2 * target->slab);
			o->ptr = o->size > target->capacity ? NULL :
				 arena_alloc(target->arena, o->size, GFP_KERNEL);
			count(CALL_alloc_large);
			break;
		}
		fallthrough;
	default:
		by_size(caller, target, gfp, o);
	}
	if (target->flags & ARENA_ZERO && !o->from)
		o->zeroed = true;
	if (!o->ptr)
		count(CALL_failed);
	else if (!IS_ALIGNED((unsigned long)o->ptr, o->align))
		violation(target->name, "%p of %zu bytes is not aligned to %zu", o->ptr, o->size,
			  o->align);
}

/* Returns an unused entry of the log, locked; or NULL. */
static struct entry *entry_begin(struct target *target)
{
	unsigned int i = atomic_inc_return(&target->nr) - 1;
	struct entry *entry;

	if (i >= LOG_MAX && target->rule == RULE_GUARDED) {
		atomic_dec(&target->nr);
		WRITE_ONCE(target->full, true);
		return NULL;
	}
	entry = &target->log[i % LOG_MAX];
	return entry_lock(entry) ? entry : NULL;
}

static void entry_set(struct target *target, struct entry *entry, void *ptr, size_t size)
{
	entry->ptr = ptr;
	entry->size = size;
	entry->segment = target->segment;
	entry->key = (unsigned long)ptr * 0xff51afd7ed558ccdULL + (entry - target->log);
	entry->handle = arena_handle(target->arena, ptr);
	stamp(ptr, size, entry->key);
}

static void add_used(struct target *target, size_t size)
{
	atomic_long_add(size, &target->used[target->segment]);
}

/* Allocates an object and logs it. */
static void call_alloc(struct caller *caller, struct target *target)
{
	bool may_sleep = caller->context == IN_TASK && target->rule == RULE_GUARDED;
	struct entry *entry = entry_begin(target);
	struct object o;

	if (!entry)
		return;
	allocate(caller, target, may_sleep, &o);
	if (o.ptr) {
		if (o.zeroed && memchr_inv(o.ptr, 0, o.size))
			violation(target->name, "%zu bytes are not zeroed", o.size);
		if (o.from && memcmp(o.ptr, o.from, o.size))
			violation(target->name, "a copy of %zu bytes differs", o.size);
		entry_set(target, entry, o.ptr, o.size);
		entry->fixed = false;
		if (o.handle.generation && target->rule == RULE_GUARDED &&
		    o.handle.offset != entry->handle.offset)
			violation(target->name, "two handles of one object differ");
		add_used(target, o.size);
	} else {
		entry->ptr = NULL;
	}
	entry_unlock(entry);
}

/*
 * Allocates objects of @size bytes one right after the other, so that CPUs move the cursor at the
 * same time. The log does not have them: they are checked while the caller is inside the gate.
 */
static void call_burst(struct caller *caller, struct target *target, size_t size)
{
	u64 key = caller->random;
	void *object[BURST];
	unsigned int i, nr;

	count(CALL_burst);
	for (nr = 0; nr < BURST; nr++) {
		object[nr] = arena_alloc(target->arena, size, ARENA_NOGROW);
		if (!object[nr])
			break;
		stamp(object[nr], size, key + nr);
	}
	add_used(target, nr * size);
	for (i = 0; i < nr && target->rule == RULE_GUARDED; i++)
		if (!stamped(object[i], size, key + i))
			violation(target->name, "two callers got one object of %zu bytes", size);
}

/* Returns an entry with an object, locked; or NULL. */
static struct entry *entry_pick(struct caller *caller, struct target *target)
{
	unsigned int nr = min(atomic_read(&target->nr), LOG_MAX);
	struct entry *entry;

	if (!nr)
		return NULL;
	entry = &target->log[below(caller, nr)];
	if (!entry_lock(entry))
		return NULL;
	if (entry->ptr)
		return entry;
	entry_unlock(entry);
	return NULL;
}

static void call_verify(struct caller *caller, struct target *target)
{
	struct entry *entry = entry_pick(caller, target);
	unsigned int spins = below(caller, 200);

	if (!entry)
		return;
	entry_verify(target, entry);
	if (target->rule == RULE_GUARDED && !entry_is_dead(target, entry) &&
	    entry->size <= target->slab) {
		count(CALL_owns);
		if (!arena_owns(target->arena, entry->ptr))
			violation(target->name, "arena_owns() denies an object");
	}
	entry_unlock(entry);
	if (target->rule != RULE_RCU)
		return;
	/* A reader may use an object until rcu_read_unlock(), even if a reset frees it. */
	entry = entry_pick(caller, target);
	if (!entry)
		return;
	count(CALL_read);
	if (arena_deref(target->arena, entry->handle)) {
		while (spins--)
			cpu_relax();
		if (!stamped(entry->ptr, entry->size, entry->key))
			violation(target->name, "an object of %zu bytes changed under a reader",
				  entry->size);
	}
	entry_unlock(entry);
}

/* Checks what arena_realloc() has returned, and logs it as a new object. */
static void moved(struct target *target, struct entry *entry, void *ptr, size_t size, bool zero)
{
	size_t same = min(size, entry->size);

	if (!stamped(ptr, same, entry->key))
		violation(target->name, "an object of %zu bytes changed by resizing", entry->size);
	if (zero && size > same && memchr_inv(ptr + same, 0, size - same))
		violation(target->name, "%zu bytes that were gained are not zeroed", size - same);
	entry_set(target, entry, ptr, size);
}

/* Resizes an object that is younger than all marks. */
static void call_resize(struct caller *caller, struct target *target)
{
	struct entry *entry = entry_pick(caller, target);
	bool zero = target->flags & ARENA_ZERO;
	unsigned int youngest = target->nr_marks ? target->mark_segment[target->nr_marks - 1] : 0;
	u8 segment;
	size_t size;
	void *ptr;

	if (!entry)
		return;
	segment = entry->segment;
	if (entry->fixed || entry->size > target->slab / 2 || segment < youngest ||
	    entry_is_dead(target, entry))
		goto unlock;
	size = 1 + below(caller, min(2 * entry->size, target->slab / 2));
	/* The log does not know whether the bytes that an object loses count as used. */
	WRITE_ONCE(target->inexact, true);
	if (below(caller, 2)) {
		count(CALL_resize);
		ptr = arena_resize(target->arena, entry->ptr, entry->size, size);
		if (ptr && ptr != entry->ptr)
			violation(target->name, "arena_resize() moved an object");
		if (ptr)
			moved(target, entry, ptr, size, zero);
		entry->segment = segment;
	} else {
		gfp_t gfp = pick_gfp(caller, caller->context == IN_TASK);

		zero |= below(caller, 2);
		count(CALL_realloc);
		ptr = arena_realloc(target->arena, entry->ptr, entry->size, size,
				    gfp | (zero ? __GFP_ZERO : 0));
		segment = ptr == entry->ptr ? segment : target->segment;
		if (ptr)
			moved(target, entry, ptr, size, zero);
		entry->segment = segment;
	}
unlock:
	entry_unlock(entry);
}

/* An action: checks that it runs once, and that the object that ends with it is intact. */
static void act_run(void *data)
{
	struct act *act = data;
	struct target *target = act->target;

	count(CALL_action_ran);
	if (atomic_read(&act->state) != 1)
		violation(target->name, "an action ran twice");
	if (act->ptr && !stamped(act->ptr, act->size, act->key))
		violation(target->name, "an object was freed before its action ran");
	atomic_long_inc(&target->ran);
	/* Release: pairs with the compare-and-swap of the caller that uses the action next. */
	atomic_set_release(&act->state, 0);
}

/* Adds an action; if @guarded, with an object that ends with it. */
static void call_action(struct caller *caller, struct target *target, bool guarded)
{
	gfp_t gfp = pick_gfp(caller, caller->context == IN_TASK && target->rule != RULE_RCU);
	struct act *act = &target->act[below(caller, ACTIONS)];
	int err;

	if (atomic_cmpxchg(&act->state, 0, 1))
		return;
	act->size = 1 + below(caller, 100);
	act->key = below(caller, U32_MAX);
	act->ptr = guarded ? arena_alloc(target->arena, act->size, gfp) : NULL;
	if (act->ptr) {
		stamp(act->ptr, act->size, act->key);
		add_used(target, act->size);
	}
	count(CALL_action);
	atomic_long_inc(&target->added);
	if (below(caller, 2)) {
		err = arena_add_action_or_run(target->arena, act_run, act, gfp);
	} else {
		err = arena_add_action(target->arena, act_run, act, gfp);
		if (err) {
			atomic_long_dec(&target->added);
			/* Release: pairs with the compare-and-swap above, in the next caller. */
			atomic_set_release(&act->state, 0);
		}
	}
	if (!err && guarded)
		add_used(target, ARENA_WORD);
	if (err && err != -ENOMEM && err != -ENOSPC)
		violation(target->name, "arena_add_action: %d", err);
}

static void make_reserve(struct caller *caller, struct target *target)
{
	u32 nr = 1 + below(caller, target->slab / 256);
	int err;

	count(CALL_reserve);
	err = arena_reserve(target->arena, &target->reserve, nr, 64, ARENA_MIN_ALIGN,
			    pick_gfp(caller, true));
	if (err) {
		if (err != -ENOSPC && err != -ENOMEM && err != -EINTR)
			violation(target->name, "arena_reserve: %d", err);
		return atomic_set(&target->reserve_state, 0);
	}
	target->reserve_nr = nr;
	target->reserve_segment = target->segment;
	atomic_set(&target->reserve_begun, 0);
	atomic_set(&target->reserve_taken, 0);
	add_used(target, target->reserve.size);
	/* Release: pairs with the acquire in call_reserve(): the reservation is complete. */
	atomic_set_release(&target->reserve_state, 2);
}

static void call_reserve(struct caller *caller, struct target *target)
{
	struct entry *entry;
	size_t size = 1 + below(caller, 64);
	void *ptr;

	if (caller->context == IN_TASK && !atomic_cmpxchg(&target->reserve_state, 0, 1))
		return make_reserve(caller, target);
	/* Acquire: pairs with the release in make_reserve(). */
	if (atomic_read_acquire(&target->reserve_state) != 2)
		return;
	entry = entry_begin(target);
	if (!entry)
		return;
	atomic_inc(&target->reserve_begun);
	ptr = arena_reserve_alloc(&target->reserve, size, ARENA_MIN_ALIGN);
	entry->ptr = NULL;
	if (ptr) {
		count(CALL_reserve_alloc);
		atomic_inc(&target->reserve_taken);
		entry_set(target, entry, ptr, size);
		entry->segment = target->reserve_segment;
		entry->fixed = true;
	}
	entry_unlock(entry);
}

static void call_buf(struct caller *caller, struct target *target)
{
	struct arena_buf buf;
	char *string;
	int i;

	/* The log does not know the copies that a growing buffer leaves behind. */
	WRITE_ONCE(target->inexact, true);
	arena_buf_init(&buf, target->arena, pick_gfp(caller, caller->context == IN_TASK));
	for (i = 0; i < 8; i++)
		arena_buf_printf(&buf, "%d,", i);
	string = arena_buf_finish_string(&buf);
	count(CALL_buf);
	if (string && strcmp(string, "0,1,2,3,4,5,6,7,"))
		violation(target->name, "a buffer reads %s", string);
}

static void call_handles(struct caller *caller, struct target *target)
{
	arena_handle_t forged = { .generation = below(caller, 9), .offset = below(caller, SZ_1M) };
	const char *found;
	arena_handle_t handle;

	if (target->nr_stale) {
		count(CALL_deref_stale);
		if (arena_deref(target->arena, target->stale[below(caller, target->nr_stale)]))
			violation(target->name, "a handle that a reset made stale resolves");
	}
	count(CALL_deref);
	count(CALL_handle);
	found = arena_deref(target->arena, forged);
	if (found && forged.offset >= target->capacity)
		violation(target->name, "a handle beyond the capacity resolves");
	handle = arena_handle(target->arena, source);
	if (arena_deref(target->arena, handle) || arena_owns(target->arena, source))
		violation(target->name, "an address outside of the arena has a handle");
}

/* Calls that are allowed at any time in each context. */
static void call_look(struct caller *caller, struct target *target)
{
	struct arena *arena = target->arena;
	struct arena_stats s;

	arena_stats(arena, &s);
	count(CALL_stats);
	if (s.high > target->capacity || s.used > s.high || s.peak > target->capacity ||
	    s.padding > target->capacity || s.free > target->capacity ||
	    arena_offset(arena) > target->capacity || arena_high(arena) > target->capacity)
		violation(target->name, "used %zu, padding %zu, free %zu, high %zu", s.used,
			  s.padding, s.free, s.high);
	if (caller->context == IN_NMI)
		return;
	arena_put(arena_get(arena));
	count(CALL_get_put);
}

static void call_populate(struct caller *caller, struct target *target)
{
	int err = arena_populate(target->arena, 1 + below(caller, target->capacity), GFP_KERNEL);

	count(CALL_populate);
	if (err && err != -ENOMEM && err != -EINTR)
		violation(target->name, "arena_populate: %d", err);
}

/* Calls that race with resets: touches no object. */
static void call_loose(struct caller *caller, struct target *target)
{
	bool racing = target->rule == RULE_RACING;
	bool task = caller->context == IN_TASK, nmi = caller->context == IN_NMI;
	struct object o;

	if (!gate_enter(&target->loose))
		return;
	if (!target->tight) {
		count(CALL_loose);
		allocate(caller, target, task, &o);
		switch (below(caller, 32)) {
		case 0 ... 1:
			if (racing && !nmi)
				race_reset(caller, target);
			break;
		case 2:
			if (!nmi)
				call_action(caller, target, false);
			break;
		case 3:
			if (task)
				call_populate(caller, target);
			break;
		case 4 ... 5:
			call_look(caller, target);
			break;
		}
	}
	gate_leave(&target->loose);
}

/* Calls that use objects. The caller is inside the gate. */
static void call_guarded(struct caller *caller, struct target *target)
{
	bool task = caller->context == IN_TASK, nmi = caller->context == IN_NMI;

	switch (below(caller, 32)) {
	case 0 ... 7:
		return call_verify(caller, target);
	case 8 ... 9:
		return call_resize(caller, target);
	case 10 ... 12:
		return call_reserve(caller, target);
	case 13:
		if (!nmi)
			call_action(caller, target, true);
		return;
	case 14:
		if (!nmi)
			call_buf(caller, target);
		return;
	case 15:
		return call_handles(caller, target);
	case 16:
		return call_look(caller, target);
	case 17:
		if (task)
			private_call_in(caller, target);
		return;
	case 18:
		if (task)
			call_populate(caller, target);
		return;
	case 19 ... 21:
		return call_burst(caller, target, ARENA_MIN_ALIGN);
	default:
		call_alloc(caller, target);
	}
}

/* Resets the arena twice, and allocates after each reset, while it uses an object as a reader. */
static void call_reset_rcu(struct caller *caller, struct target *target)
{
	struct entry *entry = entry_pick(caller, target);
	bool found = entry && arena_deref(target->arena, entry->handle);
	int i, err;

	for (i = 0; i < 2; i++) {
		err = arena_reset_rcu(target->arena);
		count(err ? CALL_busy : CALL_reset_rcu);
		if (err && err != -EBUSY)
			violation(target->name, "arena_reset_rcu: %d", err);
		call_burst(caller, target, 256);
	}
	if (found && !stamped(entry->ptr, entry->size, entry->key))
		violation(target->name, "an object of %zu bytes changed under its reader's resets",
			  entry->size);
	if (entry)
		entry_unlock(entry);
}

static void call_rcu_reader(struct caller *caller, struct target *target)
{
	rcu_read_lock();
	switch (below(caller, 64)) {
	case 0 ... 24:
		call_verify(caller, target);
		break;
	case 25:
		if (caller->context != IN_NMI)
			call_action(caller, target, false);
		break;
	case 26:
		call_look(caller, target);
		break;
	case 27:
		if (caller->context != IN_NMI)
			call_reset_rcu(caller, target);
		break;
	default:
		call_alloc(caller, target);
	}
	rcu_read_unlock();
}

void call_once(struct caller *caller)
{
	struct target *target = &targets[below(caller, nr_targets)];
	u32 choice = below(caller, 16);
	bool racing;

	if (torture_broken())
		return;
	count(CALL_in_task + caller->context);
	if (!choice)
		return typed_call(caller);
	if (choice == 1 && caller->context == IN_TASK)
		return private_call(caller);
	if (choice < 4 || !gate_enter(&target->gate))
		return call_loose(caller, target);
	racing = target->rule == RULE_RACING;
	if (target->rule == RULE_GUARDED)
		call_guarded(caller, target);
	else if (target->rule == RULE_RCU)
		call_rcu_reader(caller, target);
	gate_leave(&target->gate);
	if (racing)
		call_loose(caller, target);
}
