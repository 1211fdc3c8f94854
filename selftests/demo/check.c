// SPDX-License-Identifier: GPL-2.0
/* The writing process asks the reading process for the counts of words, and checks the answers. */
#include "demo.h"

int hear(int sock, struct packet *packet)
{
	int ignored;

	if (receive_packet(sock, packet, &ignored) < 0) {
		warnx("the reader is gone");
		return -ECONNRESET;
	}
	return packet->status;
}

int ask(int sock, struct packet *packet, enum request request, size_t payload, int fd)
{
	packet->status = request;
	if (send_packet(sock, packet, payload, fd))
		return -ECONNRESET;
	return hear(sock, packet);
}

int hand_over(int sock, struct arena *arena)
{
	static struct packet packet;
	int fd = arena_share(arena, ARENA_RIGHT_READ), err;

	if (fd < 0) {
		warn("arena_share");
		return -1;
	}
	err = ask(sock, &packet, REQ_ADOPT, 0, fd);
	close(fd);
	if (!err)
		err = ask(sock, &packet, REQ_BREAK_OUT, 0, -1);
	if (err)
		warnx("the reader: %s", strerror(-err));
	return err;
}

struct tally {
	__u64 words;
	__u64 total;
	__u64 differ;
	__s64 most;		/* the count of the most frequent word */
	const char *top;	/* the most frequent word; points into uniq's output */
};

/* Asks for the words of one packet and compares the answers with the counts of uniq. */
static int compare_packet(int sock, struct packet *packet, size_t size,
			  const __s64 *expected, __u32 nr, struct tally *tally)
{
	int err = ask(sock, packet, REQ_COUNTS, size, -1);

	if (err || packet->nr != nr) {
		warnx("look-ups: %s", err ? strerror(-err) : "too few answers");
		return -1;
	}
	for (__u32 i = 0; i < nr; i++)
		tally->differ += packet->counts[i] != expected[i];
	return 0;
}

/* Looks up every word of the list that uniq made. */
static int compare_counts(int sock, const char *list, struct tally *tally)
{
	static __s64 expected[PACKET_WORDS];
	static struct packet packet;
	size_t size = 0, len;
	__u32 nr = 0;
	char *word;

	memset(tally, 0, sizeof(*tally));
	for (; *list; list = word + len + 1) {
		expected[nr] = strtoll(list, &word, 10);
		word += *word == ' ';
		len = strcspn(word, "\n");
		if (!len)	/* uniq counts an empty line, too */
			continue;
		if (expected[nr] > tally->most) {
			tally->most = expected[nr];
			tally->top = word;
		}
		tally->words++;
		tally->total += expected[nr++];
		memcpy(packet.text + size, word, len + 1);
		size += len + 1;
		if (nr < PACKET_WORDS && size + WORDS_LEN_MAX + 1 <= PACKET_TEXT)
			continue;
		if (compare_packet(sock, &packet, size, expected, nr, tally))
			return -1;
		nr = 0;
		size = 0;
	}
	return nr ? compare_packet(sock, &packet, size, expected, nr, tally) : 0;
}

/* Looks up one word, and prints its count. */
static int look_up(int sock, const char *word, __s64 expected)
{
	static struct packet packet;
	size_t len = strcspn(word, "\n");
	int err;

	memcpy(packet.text, word, len);
	packet.text[len] = '\n';
	err = ask(sock, &packet, REQ_COUNTS, len + 1, -1);
	if (err || packet.nr != 1) {
		warnx("look-up: %s", strerror(-err));
		return -1;
	}
	printf("reader: \"%.*s\" was read %lld times\n", (int)len, word, packet.counts[0]);
	return packet.counts[0] == expected ? 0 : -1;
}

/*
 * Compares the reader's table with uniq's list. They are equal if the reader has the same count for
 * each word of the list, and neither more words nor a larger total.
 */
int check_reader(int sock, const char *list)
{
	static struct packet packet;
	struct words_census census;
	struct tally tally;
	double start;
	int err;

	err = ask(sock, &packet, REQ_CENSUS, 0, -1);
	if (err) {
		warnx("the reader's census: %s", strerror(-err));
		return -1;
	}
	census = packet.census;
	start = now();
	if (compare_counts(sock, list, &tally))
		return -1;
	printf("reader: %llu distinct words, %llu in all; all looked up in %.2f s\n",
	       census.words, census.total, now() - start);
	printf("uniq:   %llu distinct words, %llu in all, %llu counts differ\n",
	       tally.words, tally.total, tally.differ);
	if (tally.differ || tally.words != census.words || tally.total != census.total)
		return -1;
	if (tally.top && look_up(sock, tally.top, tally.most))
		return -1;
	return look_up(sock, "no such word", 0);
}
