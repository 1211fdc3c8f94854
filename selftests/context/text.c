// SPDX-License-Identifier: GPL-2.0
/*
 * Finds where in memory the code of the arena module lies, and where each of its functions begins.
 * text_find() starts at __arena_alloc(), which is exported, and looks up the neighbouring addresses
 * with sprint_symbol() until an address does not belong to the module. This way, the file needs the
 * name of only one function of the module.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/irq_regs.h>
#include <asm/ptrace.h>

#include "context.h"

#define MAX_FUNCTIONS	1024
#define MAX_TEXT	SZ_1M

static struct {
	unsigned long	start;
	unsigned long	size;
} functions[MAX_FUNCTIONS];
static unsigned int nr_functions;
static unsigned long text_start, text_end;

/* Finds the function that contains @address, if it belongs to the arena module. */
static bool function_at(unsigned long address, unsigned long *start, unsigned long *size)
{
	static char name[KSYM_SYMBOL_LEN];
	unsigned long offset;
	const char *plus;

	sprint_symbol(name, address);
	plus = strrchr(name, '+');
	if (!plus || !strstr(plus, " [arena]") ||
	    sscanf(plus, "+%lx/%lx", &offset, size) != 2)
		return false;
	*start = address - offset;
	/*
	 * Behind the code lie symbols of data, whose sizes are meaningless. Refuse sizes that no
	 * function has: 0, for which the subtraction wraps, and sizes above MAX_TEXT.
	 */
	return *size - 1 < MAX_TEXT;
}

int text_find(void)
{
	unsigned long start, size;

	text_start = (unsigned long)__arena_alloc;
	while (function_at(text_start - 1, &start, &size))
		text_start = start;
	text_end = text_start;
	while (nr_functions < MAX_FUNCTIONS && text_end - text_start < MAX_TEXT &&
	       function_at(text_end, &start, &size) && start == text_end) {
		functions[nr_functions].start = text_end;
		functions[nr_functions].size = size;
		nr_functions++;
		text_end += size;
	}
	/* If the arena is built into the kernel, no symbol has the name of the module. */
	return nr_functions ? 0 : -ENOENT;
}

bool text_has(unsigned long address)
{
	return address >= text_start && address < text_end;
}

/* Returns whether the current interrupt has interrupted code of the arena module. */
bool text_interrupted(void)
{
	struct pt_regs *regs = get_irq_regs();

	return regs && text_has(regs->ip);
}

/* Returns the address of the function number @index, or 0 if the module has fewer functions. */
unsigned long text_function(unsigned int index, unsigned long *size)
{
	if (index >= nr_functions)
		return 0;
	*size = functions[index].size;
	return functions[index].start;
}

/* Writes the name of the symbol at @address to @buffer, which has KSYM_SYMBOL_LEN bytes. */
int text_name(char *buffer, unsigned long address)
{
	return sprint_symbol(buffer, address);
}
