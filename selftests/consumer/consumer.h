/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ARENA_CONSUMER_H
#define _ARENA_CONSUMER_H

#include <linux/sizes.h>
#include <linux/types.h>

struct comparison;
struct file_operations;
struct seq_file;

/* Bytes in the longest text that the module accepts. */
#define CONSUMER_TEXT_MAX	SZ_256K

/* produce.c */
extern const struct file_operations produce_fops;

/* compare.c */
struct comparison *compare_new(void);
int compare_run(struct comparison *comparison, const char *text, size_t size);
void compare_show(struct seq_file *m, struct comparison *comparison);

#endif /* _ARENA_CONSUMER_H */
