// SPDX-License-Identifier: GPL-2.0
/*
 * Parses one text several times in each kind of memory, checks that the trees are equal, and
 * measures how long it takes to build a tree and to free it. A text that is not JSON must be
 * refused at the same byte in each kind of memory; what was built of its tree is freed, too.
 *
 * The shortest round shows the cost, because interrupts make rounds longer. The first round takes
 * longer than later rounds, because it commits memory that later rounds reuse. On a machine whose
 * clock counts instructions (QEMU's icount), a nanosecond is an instruction.
 *
 * Each open file has results of its own. So several programs can compare at the same time, which
 * shows how each kind of memory serves several CPUs; then the mean of all rounds is the result.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
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
 * @sum:     nanoseconds to build and to free the trees of all rounds.
 * @nr:      number of rounds.
 */
struct contender {
	const struct json_memory_ops	*ops;
	unsigned long			objects;
	size_t				bytes;
	size_t				held;
	u64				first;
	u64				build;
	u64				clear;
	u64				sum;
	unsigned int			nr;
};

static const struct json_memory_ops * const kinds[] = {
	&json_in_kmalloc, &json_in_dense, &json_in_spans, &json_in_private,
};

/**
 * struct comparison - the results of an open file.
 * @mutex:      held while a program compares or reads the results.
 * @contenders: one for each kind of memory.
 */
struct comparison {
	struct mutex		mutex;		/* protects contenders */
	struct contender	contenders[ARRAY_SIZE(kinds)];
};

/* Has the parser ended where @like has, with an equal tree? */
static bool same(const struct json_parser *parser, const struct json_parser *like)
{
	return parser->pos == like->pos && json_same(parser->root, like->root);
}

/*
 * Parses the text once and frees the tree. Returns what the parser has returned, or -EILSEQ if its
 * result is another one than @like.
 */
static int round_once(struct contender *c, struct json_memory *memory,
		      const struct json_parser *like)
{
	struct json_parser parser;
	u64 begin, built, cleared;
	int err;

	begin = ktime_get_ns();
	err = json_parse(&parser, memory, like->text, like->end - like->text);
	built = ktime_get_ns() - begin;
	if (err != -ENOMEM && !same(&parser, like))
		err = -EILSEQ;
	c->objects = memory->objects;
	c->bytes = memory->bytes;
	c->held = memory->ops->held(memory, parser.root);
	begin = ktime_get_ns();
	json_clear(memory, parser.root);
	cleared = ktime_get_ns() - begin;
	c->first = c->first ?: built;
	c->build = min(c->build, built);
	c->clear = min(c->clear, cleared);
	c->sum += built + cleared;
	c->nr++;
	return err;
}

static int run_contender(struct contender *c, const struct json_parser *like, int expected)
{
	unsigned int todo = clamp(READ_ONCE(rounds), 1U, ROUNDS_MAX);
	struct json_memory memory = { .ops = c->ops };
	int err;

	err = c->ops->open(&memory);
	if (err)
		return err;
	*c = (struct contender) { .ops = c->ops, .build = U64_MAX, .clear = U64_MAX };
	do {
		err = round_once(c, &memory, like);
		if (signal_pending(current))
			err = -EINTR;
		cond_resched();
	} while (err == expected && --todo);
	c->ops->close(&memory);
	return err;
}

static int run_all(struct comparison *comparison, const char *text, size_t size)
{
	struct json_memory memory = { .ops = &json_in_kmalloc };
	struct json_parser like;
	int expected, err, i;

	expected = json_parse(&like, &memory, text, size);
	err = expected;
	for (i = 0; err == expected && err != -ENOMEM && i < ARRAY_SIZE(kinds); i++)
		err = run_contender(&comparison->contenders[i], &like, expected);
	json_clear(&memory, like.root);
	return err;
}

static void forget(struct comparison *comparison)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		comparison->contenders[i] = (struct contender) { .ops = kinds[i] };
}

/*
 * Returns 0, or -EINVAL if the text is not JSON. If two results differ, returns -EILSEQ, and there
 * are no results; likewise after -ENOMEM and -EINTR.
 */
int compare_run(struct comparison *comparison, const char *text, size_t size)
{
	int err;

	if (mutex_lock_interruptible(&comparison->mutex))
		return -EINTR;
	err = run_all(comparison, text, size);
	if (err && err != -EINVAL)
		forget(comparison);
	mutex_unlock(&comparison->mutex);
	return err;
}

void compare_show(struct seq_file *m, struct comparison *comparison)
{
	int i;

	seq_puts(m, "memory objects bytes held first_ns build_ns clear_ns mean_ns\n");
	mutex_lock(&comparison->mutex);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct contender *c = &comparison->contenders[i];

		seq_printf(m, "%s %lu %zu %zu %llu %llu %llu %llu\n", c->ops->name, c->objects,
			   c->bytes, c->held, c->first, c->build, c->clear,
			   div_u64(c->sum, c->nr ?: 1));
	}
	mutex_unlock(&comparison->mutex);
}

/* Returns NULL without memory. The caller frees it by kfree(). */
struct comparison *compare_new(void)
{
	struct comparison *comparison = kzalloc(sizeof(*comparison), GFP_KERNEL);

	if (!comparison)
		return NULL;
	mutex_init(&comparison->mutex);
	forget(comparison);
	return comparison;
}
