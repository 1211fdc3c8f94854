// SPDX-License-Identifier: GPL-2.0
/*
 * The code of the module under test: where it lies, and its functions.
 *
 * Found by asking for the symbol at an address, so that the test knows no name
 * but that of one exported function.
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

/* The function that @address lies in, if it is one of the module under test. */
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
	/* Behind the code come symbols of data, whose sizes make no sense. */
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
	/* Built in, there is no module to be told by its name. */
	return nr_functions ? 0 : -ENOENT;
}

bool text_has(unsigned long address)
{
	return address >= text_start && address < text_end;
}

/* Whether the interrupt that we are in came in the middle of an allocation. */
bool text_interrupted(void)
{
	struct pt_regs *regs = get_irq_regs();

	return regs && text_has(regs->ip);
}

/* The begin of a function, 0 if there are no more. */
unsigned long text_function(unsigned int index, unsigned long *size)
{
	if (index >= nr_functions)
		return 0;
	*size = functions[index].size;
	return functions[index].start;
}

/* @buffer holds KSYM_SYMBOL_LEN. */
int text_name(char *buffer, unsigned long address)
{
	return sprint_symbol(buffer, address);
}
