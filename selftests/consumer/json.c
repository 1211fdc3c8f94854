// SPDX-License-Identifier: GPL-2.0
/*
 * The JSON parser. No function recurses, so only the length of a text limits how deep its arrays
 * and objects nest.
 *
 * There are no locks: only one task at a time may use a parser and its tree.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "json.h"
#include "memory.h"

static int wrong(struct json_parser *p, const char *why)
{
	p->why = why;
	return -EINVAL;
}

static int peek(const struct json_parser *p)
{
	return p->pos < p->end ? (unsigned char)*p->pos : -1;
}

static bool accept(struct json_parser *p, char c)
{
	if (peek(p) != c)
		return false;
	p->pos++;
	return true;
}

static void skip_space(struct json_parser *p)
{
	while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n' || peek(p) == '\r')
		p->pos++;
}

/* Parses four hexadecimal digits; returns their value or -EINVAL. */
static int unit(struct json_parser *p)
{
	int value = 0, i, c;

	for (i = 0; i < 4; i++) {
		c = peek(p);
		if (c < 0 || !isxdigit(c))
			return wrong(p, "four hexadecimal digits expected");
		value = value << 4 | (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
		p->pos++;
	}
	return value;
}

/*
 * Parses the four digits behind \u and, if they are the first half of a surrogate pair, the second
 * half.
 */
static int code_point(struct json_parser *p)
{
	int high = unit(p), low;

	if (high < 0)
		return high;
	if (!high)
		return wrong(p, "NUL in a string");
	if ((high & 0xf800) != 0xd800)
		return high;
	if (high >= 0xdc00 || !accept(p, '\\') || !accept(p, 'u'))
		return wrong(p, "half a character");
	low = unit(p);
	if (low < 0)
		return low;
	if ((low & 0xfc00) != 0xdc00)
		return wrong(p, "half a character");
	return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

/* Encodes a character in UTF-8; returns the number of bytes. @to may be NULL. */
static int put_code_point(char *to, int c)
{
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	int len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

	if (!to)
		return len;
	for (i = len - 1; i > 0; i--) {
		to[i] = 0x80 | (c & 0x3f);
		c >>= 6;
	}
	to[0] = first[len > 1 ? len : 0] | c;
	return len;
}

/* Parses what follows a backslash; returns a character or -EINVAL. */
static int escaped(struct json_parser *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = peek(p);
	const char *at = c > 0 ? strchr(from, c) : NULL;

	if (!at && c != 'u')
		return wrong(p, "unknown escape");
	p->pos++;
	return at ? to[at - from] : code_point(p);
}

/* Decodes a string and the quote behind it; returns the number of bytes. @to may be NULL. */
static int decode(struct json_parser *p, char *to)
{
	int len = 0, c;

	while (!accept(p, '"')) {
		c = peek(p);
		if (c < ' ')
			return wrong(p, c < 0 ? "the string does not end" :
				     "control character in a string");
		p->pos++;
		if (c == '\\') {
			c = escaped(p);
			if (c < 0)
				return c;
			len += put_code_point(to ? to + len : NULL, c);
			continue;
		}
		if (to)
			to[len] = c;
		len++;
	}
	return len;
}

/* Decodes a string twice: once to learn its size, and once to store it. */
static int parse_string(struct json_parser *p, char **string)
{
	const char *start;
	int len;

	if (!accept(p, '"'))
		return wrong(p, "string expected");
	start = p->pos;
	len = decode(p, NULL);
	if (len < 0)
		return len;
	*string = json_alloc(p->memory, len + 1, 1);
	if (!*string)
		return -ENOMEM;
	p->pos = start;
	decode(p, *string);
	(*string)[len] = '\0';
	return 0;
}

static bool digits(struct json_parser *p)
{
	const char *start = p->pos;

	while (peek(p) >= '0' && peek(p) <= '9')
		p->pos++;
	return p->pos > start;
}

static bool number(struct json_parser *p)
{
	accept(p, '-');
	if (!accept(p, '0') && !digits(p))
		return false;
	if (accept(p, '.') && !digits(p))
		return false;
	if (!accept(p, 'e') && !accept(p, 'E'))
		return true;
	if (!accept(p, '+'))
		accept(p, '-');
	return digits(p);
}

static int parse_number(struct json_parser *p, struct json_node *node)
{
	const char *start = p->pos;
	size_t len;

	node->type = JSON_NUMBER;
	if (!number(p))
		return wrong(p, "value expected");
	len = p->pos - start;
	node->text = json_alloc(p->memory, len + 1, 1);
	if (!node->text)
		return -ENOMEM;
	memcpy(node->text, start, len);
	node->text[len] = '\0';
	return 0;
}

static bool accept_word(struct json_parser *p, const char *word)
{
	size_t len = strlen(word);

	if (p->end - p->pos < len || memcmp(p->pos, word, len))
		return false;
	p->pos += len;
	return true;
}

/* Parses a value; of an array or object, parses only the opening bracket. */
static int parse_value(struct json_parser *p, struct json_node *node)
{
	switch (peek(p)) {
	case '"':
		node->type = JSON_STRING;
		return parse_string(p, &node->text);
	case '{':
	case '[':
		node->type = *p->pos++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		p->open = node;
		return 0;
	}
	if (accept_word(p, "true"))
		node->type = JSON_TRUE;
	else if (accept_word(p, "false"))
		node->type = JSON_FALSE;
	else if (accept_word(p, "null"))
		node->type = JSON_NULL;
	else
		return parse_number(p, node);
	return 0;
}

static struct json_node *add_node(struct json_parser *p)
{
	struct json_node *node = json_alloc(p->memory, sizeof(*node), __alignof__(*node));

	if (!node)
		return NULL;
	*node = (struct json_node) { .parent = p->open };
	node->tail = &node->child;
	if (p->open) {
		*p->open->tail = node;
		p->open->tail = &node->next;
	} else {
		p->root = node;
	}
	return node;
}

/* Parses an element of an array, or the name and the value of a member of an object. */
static int parse_member(struct json_parser *p)
{
	struct json_node *node = add_node(p);
	int err;

	if (!node)
		return -ENOMEM;
	if (p->open && p->open->type == JSON_OBJECT) {
		err = parse_string(p, &node->name);
		if (err)
			return err;
		skip_space(p);
		if (!accept(p, ':'))
			return wrong(p, "colon expected");
		skip_space(p);
	}
	return parse_value(p, node);
}

static bool accept_close(struct json_parser *p)
{
	if (!accept(p, p->open->type == JSON_OBJECT ? '}' : ']'))
		return false;
	p->open = p->open->parent;
	return true;
}

/*
 * Closes the arrays and objects that end behind a value. Returns 1 if another value must follow, 0
 * at the end of the text, or -EINVAL.
 */
static int more(struct json_parser *p)
{
	skip_space(p);
	/* No comma stands between an opening bracket and the first value. */
	if (p->open && !p->open->child && !accept_close(p))
		return 1;
	for (skip_space(p); p->open; skip_space(p)) {
		if (accept(p, ',')) {
			skip_space(p);
			return 1;
		}
		if (!accept_close(p))
			return wrong(p, "comma or end expected");
	}
	return p->pos < p->end ? wrong(p, "text behind the end") : 0;
}

int json_parse(struct json_parser *p, struct json_memory *memory, const char *text, size_t size)
{
	int err;

	*p = (struct json_parser) {
		.memory = memory,
		.text = text,
		.pos = text,
		.end = text + size,
	};
	skip_space(p);
	do {
		err = parse_member(p);
		if (!err)
			err = more(p);
	} while (err > 0);
	return err;
}

/* Returns the node that follows @node in the order of the text, or NULL behind the last node. */
const struct json_node *json_walk(const struct json_node *node)
{
	if (node->child)
		return node->child;
	while (node && !node->next)
		node = node->parent;
	return node ? node->next : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool json_same(const struct json_node *a, const struct json_node *b)
{
	while (a && b) {
		if (a->type != b->type || !same_text(a->name, b->name) ||
		    !same_text(a->text, b->text) || !a->child != !b->child)
			return false;
		a = json_walk(a);
		b = json_walk(b);
	}
	return a == b;
}

unsigned int json_children(const struct json_node *node)
{
	unsigned int nr = 0;

	for (node = node->child; node; node = node->next)
		nr++;
	return nr;
}

/* Follows one component of a path: the name of a member or the index of an element. */
static const struct json_node *step(const struct json_node *in, const char *name, size_t len)
{
	const struct json_node *node;
	unsigned int nr = 0;
	char number[12];

	for (node = in->child; node; node = node->next, nr++) {
		snprintf(number, sizeof(number), "%u", nr);
		if (!strncmp(node->name ?: number, name, len) &&
		    !(node->name ?: number)[len])
			break;
	}
	return node;
}

/* Finds a node by a path such as "/servers/0/name". Names with a slash cannot be found. */
const struct json_node *json_find(const struct json_node *root, const char *path)
{
	const struct json_node *node = root;

	while (node && *path == '/' && path[1]) {
		size_t len = strcspn(++path, "/");

		node = step(node, path, len);
		path += len;
	}
	return *path && *path != '/' ? NULL : node;
}
