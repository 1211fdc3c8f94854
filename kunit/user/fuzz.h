/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differential fuzzer: it reads its input, a stream of bytes, as a list of operations, and
 * performs each operation both on an arena and on a model, which knows nothing of cursors, spans
 * and tags. If the arena does not do what the model predicts, the program aborts.
 *
 * "Clause N" in a comment means clause N of include/CONTRACT.md.
 */
#ifndef USER_FUZZ_H
#define USER_FUZZ_H

#include "core/core.h"

#define CHECK(x)	do { if (!(x)) user_die(__FILE__, __LINE__, #x); } while (0)

/*
 * The part of the input that has not been read yet. After the end of the input, get_byte() returns
 * 0.
 */
struct input {
	const u8	*at;
	size_t		left;
};

static inline unsigned int get_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline unsigned int get_short(struct input *in)
{
	unsigned int low = get_byte(in);

	return low | get_byte(in) << 8;
}

/* Returns a size that the input selects: often one near a word, a page, @slab or @capacity. */
size_t get_size(struct input *in, size_t slab, size_t capacity);

bool filled(const void *at, u8 byte, size_t size);

extern u8 fuzz_fill;

/*
 * Returns a byte to fill an object with: different from the bytes of its neighbours, and never 0.
 */
static inline u8 next_fill(void)
{
	fuzz_fill = fuzz_fill % 100 + 1;
	return fuzz_fill;
}

/* libFuzzer calls these functions by their names. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

extern user_ulong *const user_param_max_total_mb;
extern struct task_struct fuzz_tasks[2];

void fuzz_shared(struct input *in);
void fuzz_typed(struct input *in);
void fuzz_private(struct input *in);

#endif /* USER_FUZZ_H */
