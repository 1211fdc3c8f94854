// SPDX-License-Identifier: GPL-2.0
/*
 * Lets a client read documents, one after another, each of which is checked and then freed as a
 * whole:
 *
 *	CLIENT ALLOCATOR MEGABYTES DOCUMENT...
 *
 * ALLOCATOR is a region of region.c, or malloc, which a preloaded library may replace. The program
 * reads the documents in turn until it has read MEGABYTES, and prints a line: bytes read,
 * nanoseconds, the KiB by which the peak of its resident memory has grown, page faults, and a
 * checksum.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

struct document {
	const char *text;
	size_t bytes;
};

static struct document load(const char *path)
{
	struct document document;
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	document.bytes = st.st_size;
	document.text = mmap(NULL, document.bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (document.text == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return document;
}

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* callgrind counts the instructions of this function, and of what it calls. */
static __u64 __attribute__((noinline)) measured(const struct region *region, size_t wanted,
						const struct document *documents, int nr,
						size_t *done)
{
	__u64 sum = 0;

	*done = 0;
	if (region)
		region->open();
	for (int i = 0; *done < wanted; i = (i + 1) % nr) {
		sum = sum_number(sum, client.parse(documents[i].text, documents[i].bytes));
		if (region)
			region->reset();
		else
			client.drop();
		*done += documents[i].bytes;
	}
	return sum;
}

int main(int argc, char **argv)
{
	struct rusage before, after;
	const struct region *region;
	struct document *documents;
	__u64 start, end, sum;
	size_t done;
	long kib;

	if (argc < 4)
		errx(2, "usage: %s ALLOCATOR MEGABYTES DOCUMENT...", argv[0]);
	documents = calloc(argc, sizeof(*documents));
	if (!documents)
		err(1, "calloc");
	for (int i = 3; i < argc; i++)
		documents[i - 3] = load(argv[i]);
	region = region_find(argv[1]);
	client.set_up(region);
	kib = memory_now();
	getrusage(RUSAGE_SELF, &before);
	start = now();
	sum = measured(region, strtoul(argv[2], NULL, 10) * 1000000, documents, argc - 3, &done);
	end = now();
	getrusage(RUSAGE_SELF, &after);
	printf("%zu,%llu,%ld,%ld,%016llx\n", done, end - start,
	       memory_peak() - kib,
	       after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt, sum);
	return 0;
}
