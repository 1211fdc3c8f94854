// SPDX-License-Identifier: GPL-2.0
/*
 * Parses one text several times in each kind of memory, checks that the trees are equal, and
 * measures how long it takes to build a tree and to free it.
 *
 * The result is the time of the shortest round, because interrupts make rounds longer. The first
 * round takes longer than later rounds, because it commits memory that later rounds reuse. On a
 * machine whose clock counts instructions (QEMU's icount), a nanosecond is an instruction.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "consumer.h"
#include "json.h"
#include "memory.h"

#define ROUNDS_MAX	1000U

static unsigned int rounds = 20;
module_param(rounds, uint, 0600);
MODULE_PARM_DESC(rounds, "How often compare parses the text in each kind of memory (1 to 1000)");

/**
 * struct contender - a kind of memory and its results.
 * @ops:     the kind of memory.
 * @objects: number of nodes and strings in the tree.
 * @bytes:   bytes that the parser asked for.
 * @held:    bytes that this kind of memory took from the kernel.
 * @first:   nanoseconds to build the first tree.
 * @build:   nanoseconds to build a tree, in the shortest round.
 * @clear:   nanoseconds to free a tree, in the shortest round.
 */
struct contender {
	const struct json_memory_ops	*ops;
	unsigned long			objects;
	size_t				bytes;
	size_t				held;
	u64				first;
	u64				build;
	u64				clear;
};

static DEFINE_MUTEX(compare_mutex);	/* protects the contenders */
static struct contender contenders[] = {
	{ .ops = &json_in_kmalloc },
	{ .ops = &json_in_dense },
	{ .ops = &json_in_spans },
	{ .ops = &json_in_private },
};

/* Parses the text once and frees the tree, which must equal @like unless @like is NULL. */
static int round_once(struct contender *c, struct json_memory *memory, const char *text,
		      size_t size, const struct json_node *like)
{
	struct json_parser parser;
	u64 begin, built, end;
	int err;

	begin = ktime_get_ns();
	err = json_parse(&parser, memory, text, size);
	built = ktime_get_ns();
	if (!err && like && !json_same(parser.root, like))
		err = -EILSEQ;
	c->objects = memory->objects;
	c->bytes = memory->bytes;
	if (!err)
		c->held = memory->ops->held(memory, parser.root);
	c->first = c->first ?: built - begin;
	c->build = min(c->build, built - begin);
	begin = ktime_get_ns();
	json_clear(memory, parser.root);
	end = ktime_get_ns();
	c->clear = min(c->clear, end - begin);
	return err;
}

static int run_contender(struct contender *c, const char *text, size_t size,
			 const struct json_node *like)
{
	unsigned int todo = clamp(READ_ONCE(rounds), 1U, ROUNDS_MAX);
	struct json_memory memory = { .ops = c->ops };
	int err;

	err = c->ops->open(&memory);
	if (err)
		return err;
	*c = (struct contender) { .ops = c->ops, .build = U64_MAX, .clear = U64_MAX };
	while (!err && todo--) {
		err = round_once(c, &memory, text, size, like);
		if (!err && signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	c->ops->close(&memory);
	return err;
}

static int run_all(const char *text, size_t size)
{
	struct json_memory memory = { .ops = &json_in_kmalloc };
	struct json_parser like;
	int err, i;

	err = json_parse(&like, &memory, text, size);
	for (i = 0; !err && i < ARRAY_SIZE(contenders); i++)
		err = run_contender(&contenders[i], text, size, like.root);
	json_clear(&memory, like.root);
	return err;
}

/* Returns 0, -EINVAL if the text is not JSON, -EILSEQ if two trees differ, -ENOMEM or -EINTR. */
int compare_run(const char *text, size_t size)
{
	int err, i;

	if (mutex_lock_interruptible(&compare_mutex))
		return -EINTR;
	err = run_all(text, size);
	for (i = 0; err && i < ARRAY_SIZE(contenders); i++)
		contenders[i] = (struct contender) { .ops = contenders[i].ops };
	mutex_unlock(&compare_mutex);
	return err;
}

void compare_show(struct seq_file *m)
{
	int i;

	seq_puts(m, "memory objects bytes held first_ns build_ns clear_ns\n");
	mutex_lock(&compare_mutex);
	for (i = 0; i < ARRAY_SIZE(contenders); i++) {
		const struct contender *c = &contenders[i];

		seq_printf(m, "%s %lu %zu %zu %llu %llu %llu\n", c->ops->name, c->objects,
			   c->bytes, c->held, c->first, c->build, c->clear);
	}
	mutex_unlock(&compare_mutex);
}
