/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parses JSON text into a tree of nodes and strings, in memory of the caller's choice.
 *
 * The parser accepts the whole language (RFC 8259), except for the character NUL, which ends
 * strings here. The parser does not check that bytes above 127 are valid UTF-8. The tree keeps
 * numbers as text.
 */
#ifndef _ARENA_CONSUMER_JSON_H
#define _ARENA_CONSUMER_JSON_H

#include <linux/types.h>

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
		 JSON_OBJECT };

/**
 * struct json_node - a value.
 * @parent: the array or object that contains the value, or NULL.
 * @next:   the next value in @parent, or NULL.
 * @child:  the first value in this array or object, or NULL.
 * @tail:   the pointer that will point to the next value in this array or object.
 * @name:   the name of the value if @parent is an object, else NULL.
 * @text:   the text of a number or string, else NULL.
 * @type:   the type of the value.
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
 * struct json_parser - the state of parsing one text.
 * @memory: the memory for the tree.
 * @text:   the text, which need not end in NUL.
 * @pos:    the next byte to parse.
 * @end:    the end of the text.
 * @root:   the root of the tree, or NULL before the first node.
 * @open:   the innermost array or object that has not ended, or NULL.
 * @why:    what is wrong with the text at @pos, or NULL.
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

/*
 * Returns 0, -EINVAL (@parser->why says why) or -ENOMEM. On error, @parser->root is an incomplete
 * tree.
 */
int json_parse(struct json_parser *parser, struct json_memory *memory, const char *text,
	       size_t size);
const struct json_node *json_find(const struct json_node *root, const char *path);
unsigned int json_children(const struct json_node *node);
const struct json_node *json_walk(const struct json_node *node);
bool json_same(const struct json_node *a, const struct json_node *b);

#endif /* _ARENA_CONSUMER_JSON_H */
