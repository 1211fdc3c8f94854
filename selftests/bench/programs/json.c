// SPDX-License-Identifier: GPL-2.0
/*
 * cJSON: a tree of nodes, each with its name and its string.
 */
#include <err.h>

#include <cjson/cJSON.h>

#include "program.h"

static cJSON *tree;

static void set_up(const struct region *region)
{
	cJSON_Hooks hooks = { .free_fn = free_nothing };

	if (!region)
		return;
	hooks.malloc_fn = region->alloc;
	cJSON_InitHooks(&hooks);
}

static __u64 sum_tree(__u64 sum, const cJSON *node)
{
	for (; node; node = node->next) {
		sum = sum_number(sum, node->type);
		sum = sum_string(sum, node->string);
		sum = sum_string(sum, node->valuestring);
		sum = sum_bytes(sum, &node->valuedouble, sizeof(node->valuedouble));
		sum = sum_tree(sum, node->child);
	}
	return sum;
}

static __u64 parse(const char *text, size_t bytes)
{
	tree = cJSON_ParseWithLength(text, bytes);
	if (!tree)
		errx(1, "cJSON: no tree");
	return sum_tree(0, tree);
}

static void drop(void)
{
	cJSON_Delete(tree);
}

const struct client client = { set_up, parse, drop };
