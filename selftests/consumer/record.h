/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record that the module arena_consumer writes into the arena of a program. Both the module and
 * the programs include this file.
 */
#ifndef _ARENA_CONSUMER_RECORD_H
#define _ARENA_CONSUMER_RECORD_H

#include <linux/types.h>

#define PRODUCE_PATH	"/sys/kernel/debug/arena_consumer/produce"

/**
 * struct produce_record - one record, aligned to its size.
 * @number: counts the records from 1. The module stores @number last, by a store-release: a program
 *	    that has read @number by a load-acquire may read the other members.
 * @time:   the time of CLOCK_MONOTONIC, in nanoseconds.
 * @text:   a zero-terminated string.
 */
struct produce_record {
	__aligned_u64 number;
	__aligned_u64 time;
	char text[48];
};

#endif /* _ARENA_CONSUMER_RECORD_H */
