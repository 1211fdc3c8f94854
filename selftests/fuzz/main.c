// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer for /dev/arena. Its processes turn bytes into well-formed and hostile calls, and make
 * the checks below after each call. fuzz.h lists the source files.
 *
 *   arena_fuzz [-s SEED] [-t SECONDS] [-n ROUNDS] [-p PROCESSES] [-i HEX]
 *
 * A round is one input, which a process of its own turns into calls. New inputs are random numbers
 * that depend on the seed. If the kernel has KCOV, the fuzzer keeps inputs that reached new code,
 * and most further inputs are variations of kept inputs. Without KCOV, the same seed gives the same
 * calls. The fuzzer prints an input in which a check fails; -i plays such an input again.
 *
 * The checks: each errno is one that <linux/arena.h> names for the call; the sums of INFO add up;
 * each object lies inside its arena, aligned, and overlaps no other object; no page shows a byte
 * that was not written to its arena; and when all arenas are closed, the module holds no memory.
 */
#include <getopt.h>
#include <time.h>

#include "fuzz.h"

#define CORPUS_MAX	512

static unsigned long long state;

static unsigned int random_number(unsigned int below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

static struct input *corpus;
static unsigned int nr_corpus;

static void new_input(struct input *input)
{
	unsigned int i;

	input->len = 32 + random_number(INPUT_MAX - 32);
	for (i = 0; i < input->len; i++)
		input->bytes[i] = random_number(256);
}

static void vary(struct input *input)
{
	const struct input *other = &corpus[random_number(nr_corpus)];
	unsigned int changes = 1 + random_number(8), at, len;

	*input = corpus[random_number(nr_corpus)];
	while (changes--) {
		at = random_number(input->len);
		switch (random_number(4)) {
		case 0:
			input->bytes[at] ^= 1 << random_number(8);
			break;
		case 1:
			input->bytes[at] = random_number(256);
			break;
		case 2:		/* overwrite some bytes by the end of another input */
			len = random_number(other->len) + 1;
			if (at + len > INPUT_MAX)
				len = INPUT_MAX - at;
			memcpy(input->bytes + at, other->bytes + other->len -
			       (len < other->len ? len : other->len),
			       len < other->len ? len : other->len);
			if (at + len > input->len)
				input->len = at + (len < other->len ? len : other->len);
			break;
		default:	/* repeat some bytes */
			len = 1 + random_number(16);
			if (at + len <= input->len && input->len + len <= INPUT_MAX) {
				memmove(input->bytes + at + len, input->bytes + at,
					input->len - at);
				input->len += len;
			}
		}
	}
}

static int play_round(struct input *input, bool murder)
{
	pid_t pid;
	int status;

	in = input;
	in->at = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 0;
	if (!pid)
		_exit(round_main());
	if (murder) {
		usleep(random_number(20000));
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 0;
	__atomic_fetch_add(&shared->rounds, 1, __ATOMIC_RELAXED);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (!murder && !WIFEXITED(status)) {
		printf("signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
		if (!fork())
			broken("killed by a signal");
		wait(NULL);
		return 1;
	}
	return 0;
}

static void work(unsigned long seed, time_t end, unsigned long rounds)
{
	struct input input = { };
	unsigned long i;

	state = seed;
	random_number(1);
	corpus = calloc(CORPUS_MAX, sizeof(*corpus));
	for (i = 0; corpus && (rounds ? i < rounds : time(NULL) < end); i++) {
		int result;

		if (nr_corpus && random_number(8))
			vary(&input);
		else
			new_input(&input);
		result = play_round(&input, !random_number(16));
		if (result == 1)
			_exit(1);
		if (result == 2)
			corpus[nr_corpus < CORPUS_MAX ? nr_corpus++ :
			       random_number(CORPUS_MAX)] = input;
	}
	_exit(0);
}

/* clauses 17, 21: the module holds no memory after the last descriptor and mapping are gone */
static bool all_is_gone(void)
{
	if (arena_held_falls_to(0))
		return true;
	printf("BROKEN: %lld bytes are held, and nobody holds them\n", arena_held_bytes());
	return false;
}

static bool read_hex(const char *hex, struct input *input)
{
	unsigned int byte;

	for (input->len = 0; input->len < INPUT_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		input->bytes[input->len++] = byte;
	return !*hex;
}

int main(int argc, char **argv)
{
	unsigned long seed = 1, seconds = 20, rounds = 0, processes = 2, i;
	struct input input = { };
	bool failed = false;
	time_t end;
	int option;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	while ((option = getopt(argc, argv, "s:t:n:p:i:")) != -1) {
		switch (option) {
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			processes = strtoul(optarg, NULL, 0);
			break;
		case 'i':
			if (!read_hex(optarg, &input))
				return 2;
			break;
		default:
			fprintf(stderr, "-s SEED -t SECONDS -n ROUNDS -p PROCESSES -i HEX\n");
			return 2;
		}
	}
	if (input.len)
		return play_round(&input, false) == 1 || !all_is_gone();

	printf("arena_fuzz: seed %lu, %lu processes\n", seed, processes);
	fflush(stdout);
	end = time(NULL) + seconds;
	for (i = 0; i < processes; i++)
		if (!fork())
			work(seed + i * 1000003, end, rounds);
	for (i = 0; i < processes; i++) {
		int status;

		failed |= wait(&status) < 0 || status;
	}
	failed |= !all_is_gone();
	printf("arena_fuzz: %lu rounds, %lu calls, %lu of them successful, %lu places covered\n",
	       shared->rounds, shared->calls, shared->successes, shared->covered);
	printf("arena_fuzz: %s\n", failed || shared->failures ? "FAILED" : "passed");
	return failed || shared->failures;
}
