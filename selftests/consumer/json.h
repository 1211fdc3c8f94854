/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON text to a tree of nodes and strings, in memory of the caller's choice.
 *
 * All of the language (RFC 8259) but for: the character NUL, which ends strings
 * here; and bytes above 127, which are taken as they come. Numbers stay text.
 */
#ifndef _ARENA_CONSUMER_JSON_H
#define _ARENA_CONSUMER_JSON_H

#include <linux/types.h>

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
		 JSON_OBJECT };

/**
 * struct json_node - a value.
 * @parent: the array or object that it is in, or NULL.
 * @next:   its neighbour there.
 * @child:  the first of those in it.
 * @tail:   where to hang the next one.
 * @name:   in an object, else NULL.
 * @text:   of a number or string, else NULL.
 * @type:   what it is.
 */
struct json_node {
	struct json_node	*parent;
	struct json_node	*next;
	struct json_node	*child;
	struct json_node	**tail;
	char			*name;
	char			*text;
	enum json_type		type;
};

struct json_memory;

/**
 * struct json_parser - a text on its way to a tree.
 * @memory: where the tree goes.
 * @text:   what is parsed, need not end in NUL.
 * @pos:    how far it is.
 * @end:    of the text.
 * @root:   of the tree, as far as there is one.
 * @open:   the innermost array or object that has not ended.
 * @why:    what is wrong at @pos, or NULL.
 */
struct json_parser {
	struct json_memory	*memory;
	const char		*text;
	const char		*pos;
	const char		*end;
	struct json_node	*root;
	struct json_node	*open;
	const char		*why;
};

/* 0, -EINVAL with the reason in @parser->why, or -ENOMEM. On error the part in @root stays. */
int json_parse(struct json_parser *parser, struct json_memory *memory, const char *text,
	       size_t size);
const struct json_node *json_find(const struct json_node *root, const char *path);
unsigned int json_children(const struct json_node *node);
const struct json_node *json_walk(const struct json_node *node);
bool json_same(const struct json_node *a, const struct json_node *b);

#endif /* _ARENA_CONSUMER_JSON_H */
