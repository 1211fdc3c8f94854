// SPDX-License-Identifier: GPL-2.0
/*
 * libxml2: a document tree. Its realloc hook does not learn the size of the object, so each object
 * of a region has a header with its size.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "program.h"

#define OPTIONS	(XML_PARSE_NONET | XML_PARSE_HUGE)

static const struct region *region;
static xmlDoc *document;

/* Objects of the library that outlive documents are made while this is set. */
static int lasting = 1;

static void *alloc(size_t bytes)
{
	size_t *object = lasting ? malloc(sizeof(*object) + bytes) :
				   region->alloc(sizeof(*object) + bytes);

	if (!object)
		return NULL;
	*object = bytes;
	return object + 1;
}

static void *resize(void *at, size_t bytes)
{
	size_t *object = at, old;

	if (!at)
		return alloc(bytes);
	if (lasting)
		errx(1, "libxml2: a lasting object grows");
	old = *--object;
	if (bytes <= old)
		return at;
	object = region_grow(region, object, sizeof(*object) + old, sizeof(*object) + bytes);
	if (!object)
		return NULL;
	*object = bytes;
	return object + 1;
}

static char *copy(const char *string)
{
	size_t bytes = strlen(string) + 1;
	char *at = alloc(bytes);

	return at ? memcpy(at, string, bytes) : NULL;
}

static void set_up(const struct region *chosen)
{
	region = chosen;
	if (region && xmlMemSetup(free_nothing, alloc, resize, copy))
		errx(1, "xmlMemSetup");
	xmlInitParser();
	lasting = 0;
}

static __u64 sum_tree(__u64 sum, const xmlNode *node)
{
	for (; node; node = node->next) {
		sum = sum_number(sum, node->type);
		sum = sum_string(sum, node->name);
		/* Only the first members of declarations are those of a node. */
		if (node->type != XML_ELEMENT_NODE) {
			if (node->type == XML_TEXT_NODE)
				sum = sum_string(sum, node->content);
			continue;
		}
		for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
			sum = sum_string(sum, attr->name);
			sum = sum_tree(sum, attr->children);
		}
		sum = sum_tree(sum, node->children);
	}
	return sum;
}

static __u64 parse(const char *text, size_t bytes)
{
	document = xmlReadMemory(text, bytes, "document.xml", NULL, OPTIONS);
	if (!document)
		errx(1, "libxml2: no tree");
	return sum_tree(0, document->children);
}

static void drop(void)
{
	xmlFreeDoc(document);
}

const struct client client = { set_up, parse, drop };
