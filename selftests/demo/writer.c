// SPDX-License-Identifier: GPL-2.0
/* The writing process stores words in the arena, in the hash table that words.h describes. */
#include "demo.h"

/* Returns a number of buckets that is at least a quarter of the number of words, with repeats. */
static __u64 buckets_for(size_t words)
{
	__u64 nr = 16;

	while (nr < words / 4)
		nr *= 2;
	return nr;
}

/*
 * Finds a word in a chain. Does not check the links, because the writing process itself has made
 * them.
 */
static struct words_entry *find_word(struct arena *arena, __u64 offset, __u64 key,
				     const char *text, size_t len)
{
	struct words_entry *entry;

	for (; offset != WORDS_END; offset = entry->next) {
		entry = arena_ptr(arena, offset);
		if (entry->key == key && !memcmp(entry->text, text, len))
			return entry;
	}
	return NULL;
}

static int add_word(struct arena *arena, struct words_root *root, const char *text, size_t len)
{
	__u64 *buckets = arena_ptr(arena, root->index), key = words_key(text, len), *bucket;
	struct words_entry *entry;

	bucket = &buckets[words_bucket(key, root->nr_buckets)];
	root->total++;
	entry = find_word(arena, *bucket, key, text, len);
	if (entry) {
		entry->count++;
		return 0;
	}
	entry = arena_alloc(arena, sizeof(*entry) + len);
	if (!entry) {
		warn("arena_alloc");
		return -1;
	}
	entry->next = *bucket;
	entry->count = 1;
	entry->key = key;
	memcpy(entry->text, text, len);
	*bucket = arena_off(arena, entry);
	root->nr_words++;
	return 0;
}

/* Stores all words; writes the root, which makes the table visible, when the table is complete. */
int write_words(struct arena *arena, const struct input *input)
{
	struct words_root root = { .nr_buckets = buckets_for(input->words) }, *shared;
	size_t pos = 0, len, bytes = root.nr_buckets * sizeof(__u64);
	const char *word;
	__u64 *buckets;

	shared = arena_alloc(arena, sizeof(*shared));
	buckets = arena_alloc(arena, bytes);
	if (!shared || !buckets) {
		warn("arena_alloc");
		return -1;
	}
	if (arena_off(arena, shared) != WORDS_ROOT) {
		warnx("the first object is at offset %llu", arena_off(arena, shared));
		return -1;
	}
	shared->magic = 0;
	memset(buckets, 0, bytes);
	root.index = arena_off(arena, buckets);
	while ((word = next_word(input, &pos, &len))) {
		if (add_word(arena, &root, word, len))
			return -1;
	}
	*shared = root;
	__atomic_store_n(&shared->magic, WORDS_MAGIC, __ATOMIC_RELEASE);
	return 0;
}
