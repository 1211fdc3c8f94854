// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that libFuzzer calls. The first byte of the input selects the kind of arena. At the
 * end of each run, arenas must have given back all memory.
 */
#include "fuzz.h"

struct task_struct fuzz_tasks[2];
u8 fuzz_fill;

bool filled(const void *at, u8 byte, size_t size)
{
	const u8 *bytes = at;

	return !size || (bytes[0] == byte && !memcmp(bytes, bytes + 1, size - 1));
}

size_t get_size(struct input *in, size_t slab, size_t capacity)
{
	unsigned int kind = get_byte(in), extra = get_byte(in);

	switch (kind & 15) {
	case 0:
		return slab + extra - 128;
	case 1:
		return capacity + 8 - (extra & 15);
	case 2:
		return slab * (extra & 7) + (extra >> 3);
	case 3:
		return PAGE_SIZE + 8 - (extra & 15);
	case 4:
		return extra & 1 ? SIZE_MAX - extra / 2 : extra / 2;
	case 5:
		return extra * 16;
	case 6:
		return slab / 2 - 8 + (extra & 15);
	case 7:
		return extra;
	default:
		return 1 + extra % 64;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CHECK(!arena_pool_init());
	arena_cpus_setup();
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size };
	long objects = user_objects;
	unsigned int kind = get_byte(&in);

	fuzz_fill = 0;
	user_self.cpu = 0;
	user_self.task = &fuzz_tasks[0];
	user_init_on_alloc = kind & 0x10;
	user_init_on_free = kind & 0x20;
	switch (kind & 7) {
	case 0:
		fuzz_private(&in);
		break;
	case 1:
	case 2:
		fuzz_typed(&in);
		break;
	default:
		fuzz_shared(&in);
	}
	user_fail_nth = 0;
	user_fragmented = false;
	rcu_barrier();
	user_run_works();
	arena_pool_drain();
	CHECK(!arena_total_pages());
	CHECK(!user_blocks);
	CHECK(user_objects == objects);
	CHECK(!fuzz_tasks[0].pid.refs && !fuzz_tasks[1].pid.refs);
	CHECK(!user_self.preempt && !user_self.irqs_off && !user_self.readers);
	return 0;
}
