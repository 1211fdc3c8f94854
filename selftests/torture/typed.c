// SPDX-License-Identifier: GPL-2.0
/*
 * Typed arenas, one with readers and one without: callers allocate, append and free elements, read
 * them under RCU, and a keeper resets and recreates the arenas.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "torture.h"

#define ELEMENTS	300
#define WORDS		6

struct element {
	u64	word[WORDS];
};

DEFINE_ARENA(elements, struct element);

/**
 * struct typed - a typed arena.
 * @arena:   the arena.
 * @readers: it has ARENA_READERS.
 * @gate:    callers inside may allocate and free.
 * @reading: callers inside may read, under RCU.
 * @keeper:  choices of the keeper.
 * @task:    the keeper.
 */
struct typed {
	struct elements		*arena;
	bool			readers;
	struct gate		gate;
	struct gate		reading;
	struct caller		keeper;
	struct task_struct	*task;
};

static struct typed typed[2] = { { .readers = false }, { .readers = true } };

static const char *name(const struct typed *t)
{
	return t->readers ? "typed with readers" : "typed";
}

static void make(struct caller *caller, struct element *element)
{
	stamp(element, sizeof(*element), 0);
	element->word[0] = below(caller, U32_MAX);
	stamp(&element->word[1], sizeof(*element) - sizeof(u64), element->word[0]);
}

static bool whole(const struct element *element)
{
	return stamped(&element->word[1], sizeof(*element) - sizeof(u64), element->word[0]);
}

/* Allocates an element, and frees it in half of the cases. */
static void alloc_and_free(struct caller *caller, struct typed *t)
{
	struct element made, *element;

	make(caller, &made);
	element = elements_alloc(t->arena, &made);
	count(CALL_typed_alloc);
	if (!element)
		return;
	if (!IS_ALIGNED((unsigned long)element, __alignof__(*element)) ||
	    memcmp(element, &made, sizeof(made)))
		violation(name(t), "an element differs from what was copied in");
	if (caller->context == IN_NMI || below(caller, 2))
		return;
	if (memcmp(element, &made, sizeof(made)))
		violation(name(t), "an element changed before it was freed");
	elements_free(t->arena, element);
	count(CALL_typed_free);
}

static void append(struct caller *caller, struct typed *t)
{
	struct element made[3];
	unsigned int i, nr = 1 + below(caller, ARRAY_SIZE(made));
	long index;

	for (i = 0; i < nr; i++)
		make(caller, &made[i]);
	index = elements_append(t->arena, made, nr);
	count(CALL_typed_append);
	if (index < 0) {
		if (index != -ENOSPC && index != -ENOMEM)
			violation(name(t), "arena_typed_append: %ld", index);
		return;
	}
	for (i = 0; i < nr; i++) {
		const struct element *element = elements_at(t->arena, index + i);

		if (!element || memcmp(element, &made[i], sizeof(made[i])))
			violation(name(t), "element %ld is not what was appended", index + i);
	}
}

/*
 * Reads all elements. Each is complete when it is found, and under RCU remains so, even if it is
 * freed.
 */
static void read_all(struct typed *t)
{
	const struct element *element, *first = NULL;
	size_t i, len;
	u64 seed = 0;

	rcu_read_lock();
	arena_for_each(elements, t->arena, i, element) {
		if (!whole(element))
			violation(name(t), "element %zu is torn", i - 1);
		if (!first) {
			first = element;
			seed = element->word[0];
		}
	}
	if (first && (first->word[0] != seed || !whole(first)))
		violation(name(t), "an element changed under a reader");
	rcu_read_unlock();
	len = elements_len(t->arena);
	if (len > ELEMENTS)
		violation(name(t), "%zu elements in room for %u", len, ELEMENTS);
	count(CALL_typed_read);
}

void typed_call(struct caller *caller)
{
	struct typed *t = &typed[below(caller, ARRAY_SIZE(typed))];

	if (t->readers && caller->context == IN_TASK && below(caller, 2)) {
		if (!gate_enter(&t->reading))
			return;
		read_all(t);
		return gate_leave(&t->reading);
	}
	if (!gate_enter(&t->gate))
		return;
	if (below(caller, 4))
		alloc_and_free(caller, t);
	else
		append(caller, t);
	gate_leave(&t->gate);
}

static bool typed_create(struct typed *t)
{
	struct elements *arena = elements_create_flags(ELEMENTS, t->readers ? ARENA_READERS : 0);

	if (IS_ERR(arena) && arena != ERR_PTR(-ENOMEM))
		violation(name(t), "arena_typed_create: %ld", PTR_ERR(arena));
	t->arena = IS_ERR(arena) ? NULL : arena;
	return t->arena;
}

static void typed_keep_once(struct typed *t)
{
	bool end = !below(&t->keeper, 16);
	int err;

	gate_close(&t->gate);
	read_all(t);
	if (end) {
		gate_close(&t->reading);
		elements_destroy(t->arena);
		while (!typed_create(t) && !kthread_should_stop())
			msleep(20);
		if (!t->arena)
			return;
		gate_open(&t->reading);
	} else if (below(&t->keeper, 2)) {
		err = elements_reset(t->arena);
		count(CALL_typed_reset);
		if (err && err != -EBUSY)
			violation(name(t), "arena_typed_reset: %d", err);
		if (!err && elements_len(t->arena))
			violation(name(t), "%zu elements after a reset", elements_len(t->arena));
	}
	gate_open(&t->gate);
}

static int typed_keep(void *data)
{
	struct typed *t = data;

	while (!kthread_should_stop()) {
		msleep(5 + below(&t->keeper, 20));
		if (!torture_broken())
			typed_keep_once(t);
	}
	return 0;
}

int typed_open(u64 seed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(typed); i++) {
		struct typed *t = &typed[i];

		seed_caller(&t->keeper, IN_TASK, seed + i);
		if (!typed_create(t))
			return -ENOMEM;
		t->task = kthread_run(typed_keep, t, "torture_typed%u", i);
		if (IS_ERR(t->task)) {
			t->task = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

/* Called when no caller makes calls any more. */
void typed_close(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(typed); i++) {
		if (typed[i].task)
			kthread_stop(typed[i].task);
		if (typed[i].arena)
			elements_destroy(typed[i].arena);
	}
}
