/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What arena_consumer writes into the arena of a program that asks for records, for
 * the module and for programs.
 */
#ifndef _ARENA_CONSUMER_RECORD_H
#define _ARENA_CONSUMER_RECORD_H

#include <linux/types.h>

#define PRODUCE_PATH	"/sys/kernel/debug/arena_consumer/produce"

/**
 * struct produce_record - one record, aligned to its size.
 * @number: from 1; stored last, so that who reads it first may read the rest.
 * @time:   of CLOCK_MONOTONIC, in nanoseconds.
 * @text:   zero-terminated.
 */
struct produce_record {
	__aligned_u64 number;
	__aligned_u64 time;
	char text[48];
};

#endif /* _ARENA_CONSUMER_RECORD_H */
