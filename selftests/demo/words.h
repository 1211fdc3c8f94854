/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of words and their counts that lives in an arena.
 *
 * A process with a descriptor of the arena needs no further information to read the table: the root
 * is the first object of the generation, and so always lies at offset 0. Links are offsets, so that
 * every process may map the arena at any address.
 *
 *	root     | magic | index | buckets | words | total |
 *	                     |
 *	index                +-> | first | first | first | ... |
 *	                             |
 *	entries       | next | count | key | text | <-+
 *
 * A chain runs from newer entries to older ones. The arena hands out rising offsets, so every link
 * points to a lower offset, and 0, the offset of the root, ends a chain. A reader that checks the
 * order of offsets cannot loop for ever in a chain.
 *
 * The reader does not trust the contents: a process that may write to the arena may change any
 * byte at any time. So the reader reads each number once, then checks it, then uses it.
 */
#ifndef ARENA_WORDS_H
#define ARENA_WORDS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORDS_MAGIC	0x017364726f77ULL
#define WORDS_ROOT	0ULL
#define WORDS_END	0ULL
#define WORDS_LEN_MAX	4095

struct words_root {
	__u64 magic;		/* WORDS_MAGIC, stored last, when the table is complete */
	__u64 index;		/* offset of the buckets */
	__u64 nr_buckets;	/* a power of two */
	__u64 nr_words;	/* number of distinct words */
	__u64 total;		/* number of words, counting repeats */
};

struct words_entry {
	__u64 next;		/* offset of an older entry, or WORDS_END */
	__u64 count;
	__u64 key;		/* hash and length, see words_key() */
	char text[];		/* not terminated */
};

/* Where a reader has mapped the arena, and where the last object ends. */
struct words_view {
	const char *map;
	__u64 high;
};

struct words_census {
	__u64 words;
	__u64 total;
	__u64 longest_chain;
};

/* Computes the hash FNV-1a. */
static inline __u32 words_hash(const char *text, size_t len)
{
	__u32 hash = 2166136261u;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

static inline __u64 words_key(const char *text, size_t len)
{
	return (__u64)words_hash(text, len) << 32 | len;
}

static inline __u64 words_bucket(__u64 key, __u64 nr_buckets)
{
	return (key >> 32) & (nr_buckets - 1);
}

static inline int words_in_view(const struct words_view *view, __u64 offset, __u64 size)
{
	return offset <= view->high && size <= view->high - offset;
}

/* Reads the number at @offset exactly once. */
static inline int words_peek(const struct words_view *view, __u64 offset, __u64 *value)
{
	if (offset % sizeof(*value) || !words_in_view(view, offset, sizeof(*value)))
		return -EBADMSG;
	*value = __atomic_load_n((const __u64 *)(view->map + offset), __ATOMIC_ACQUIRE);
	return 0;
}

/* Reads the root; returns -ENODATA if there is no complete table, -EBADMSG for bad values. */
static inline int words_read_root(const struct words_view *view, struct words_root *root)
{
	if (words_peek(view, offsetof(struct words_root, magic), &root->magic) ||
	    root->magic != WORDS_MAGIC)
		return -ENODATA;
	if (words_peek(view, offsetof(struct words_root, index), &root->index) ||
	    words_peek(view, offsetof(struct words_root, nr_buckets), &root->nr_buckets) ||
	    words_peek(view, offsetof(struct words_root, nr_words), &root->nr_words) ||
	    words_peek(view, offsetof(struct words_root, total), &root->total))
		return -EBADMSG;
	if (!root->nr_buckets || root->nr_buckets & (root->nr_buckets - 1) ||
	    root->nr_buckets > view->high / sizeof(__u64) ||
	    !words_in_view(view, root->index, root->nr_buckets * sizeof(__u64)))
		return -EBADMSG;
	return 0;
}

/* Reads the entry at @offset without its text, and checks that the text ends before @view->high. */
static inline int words_read_entry(const struct words_view *view, __u64 offset,
				   struct words_entry *entry)
{
	if (words_peek(view, offset + offsetof(struct words_entry, next), &entry->next) ||
	    words_peek(view, offset + offsetof(struct words_entry, count), &entry->count) ||
	    words_peek(view, offset + offsetof(struct words_entry, key), &entry->key))
		return -EBADMSG;
	if (entry->next >= offset ||
	    !words_in_view(view, offset + sizeof(*entry), (__u32)entry->key))
		return -EBADMSG;
	return 0;
}

/*
 * Returns the count of @text: 0 if the table has no such word, a negative errno if the table has
 * bad values.
 */
static inline __s64 words_count(const struct words_view *view, const char *text, size_t len)
{
	__u64 key = words_key(text, len), offset;
	struct words_entry entry;
	struct words_root root;
	int err;

	err = words_read_root(view, &root);
	if (err)
		return err;
	offset = root.index + words_bucket(key, root.nr_buckets) * sizeof(__u64);
	if (words_peek(view, offset, &offset))
		return -EBADMSG;

	for (; offset != WORDS_END; offset = entry.next) {
		if (words_read_entry(view, offset, &entry))
			return -EBADMSG;
		if (entry.key == key && !memcmp(view->map + offset + sizeof(entry), text, len))
			return entry.count <= INT64_MAX ? (__s64)entry.count : -EBADMSG;
	}
	return 0;
}

/*
 * Walks all chains and counts their entries. If a hostile process lets chains share entries, the
 * walk could take very long. So the walk ends with an error when it has met more entries than the
 * arena has room for.
 */
static inline int words_take_census(const struct words_view *view, struct words_census *census)
{
	__u64 bucket, length, offset, room = view->high / sizeof(struct words_entry);
	struct words_entry entry;
	struct words_root root;
	int err;

	memset(census, 0, sizeof(*census));
	err = words_read_root(view, &root);
	if (err)
		return err;

	for (bucket = 0; bucket < root.nr_buckets; bucket++) {
		if (words_peek(view, root.index + bucket * sizeof(__u64), &offset))
			return -EBADMSG;
		for (length = 0; offset != WORDS_END; offset = entry.next, length++) {
			if (words_read_entry(view, offset, &entry) || census->words == room)
				return -EBADMSG;
			census->words++;
			census->total += entry.count;
		}
		if (length > census->longest_chain)
			census->longest_chain = length;
	}
	if (census->words != root.nr_words || census->total != root.total)
		return -EBADMSG;
	return 0;
}

#endif /* ARENA_WORDS_H */
