// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the nth allocation of a task fail, on kernels without fault injection: a kprobe at the
 * entry of each allocating function makes that return NULL at once. Allocations of socket buffers
 * do not fail, because without them a program gets no answer.
 *
 * Test module: /sys/module/arena_fail_nth/parameters/nth counts down while the task whose number is
 * in pid allocates, and an allocation that makes it 0 fails.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

static int pid;
module_param(pid, int, 0644);
MODULE_PARM_DESC(pid, "Task whose allocations are counted; 0: none");

static int nth;
module_param(nth, int, 0644);
MODULE_PARM_DESC(nth, "Which allocation fails");

static void *return_null(void)
{
	return NULL;
}

static int at_entry(struct kprobe *probe, struct pt_regs *regs)
{
	if (in_interrupt() || READ_ONCE(pid) != current->pid || --nth)
		return 0;
	instruction_pointer_set(regs, (unsigned long)return_null);
	return 1;
}
NOKPROBE_SYMBOL(at_entry);

/* A kprobe that has a post_handler may change the instruction pointer. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(after);

#define PROBE(name)	{ .symbol_name = name, .pre_handler = at_entry, .post_handler = after }

/* Each kernel has some of these. */
static struct kprobe probes[] = {
	PROBE("__kmalloc"), PROBE("kmalloc_trace"), PROBE("krealloc"),
	PROBE("__kmalloc_noprof"), PROBE("__kmalloc_cache_noprof"),
	PROBE("krealloc_noprof"), PROBE("krealloc_node_align_noprof"), PROBE("arena_block_alloc"),
};

static bool registered[ARRAY_SIZE(probes)];

static int __init fail_init(void)
{
	int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		registered[i] = !register_kprobe(&probes[i]);
		nr += registered[i];
		if (registered[i])
			pr_info("arena_fail_nth: %s\n", probes[i].symbol_name);
	}
	return nr ? 0 : -ENOENT;
}

static void __exit fail_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (registered[i])
			unregister_kprobe(&probes[i]);
}

module_init(fail_init);
module_exit(fail_exit);
MODULE_DESCRIPTION("Makes the nth allocation of a task fail");
MODULE_LICENSE("GPL");
