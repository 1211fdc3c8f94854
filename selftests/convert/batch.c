// SPDX-License-Identifier: GPL-2.0
/*
 * Sends batches to nf_tables, each by one sendmsg(), for the tests of the converted module. Works
 * on the table "t", which has the set "s", of keys of 4 bytes, and the chain "c".
 *
 *   batch make               make the table
 *   batch add KIND FROM TO   add elements or rules FROM to TO; KIND is elements, new (elements that
 *                            must not exist) or rules
 *   batch delete elements FROM TO, delete all, delete table
 *   batch mixed NR           delete the table, and make it again with NR elements and rules
 *   batch many NR            make NR tables, and delete them, in a batch each
 *   batch list               print the keys in the set, sorted, and the number of rules
 *   batch race TASKS ROUNDS  tasks in network namespaces of their own send batches at the same
 *                            time, some of which fail
 *   batch fail NR            the 1st, 2nd, ... nth allocation of a batch fails, by the module
 *                            arena_fail_nth
 *   batch hook               remove the hook of a chain, in a batch that fails and in one that
 *                            succeeds
 *   batch time WHAT NR ROUNDS  print nanoseconds of the fastest sendmsg(); WHAT is elements, rules,
 *                            again (elements that exist), delete, flush or abort
 *
 * Prints the error and ends with 1 if a batch fails.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER		(4 << 20)
#define PER_MESSAGE	1000	/* elements: an attribute has at most 64 KiB */
#define NTH_MAX		5000

static char buffer[BUFFER];
static size_t used;
static struct nlmsghdr *message;
static const char *table = "t";
static int sock;

static void *take(size_t size)
{
	void *at = buffer + used;

	used += NLMSG_ALIGN(size);
	if (used > BUFFER)
		errx(1, "the batch is too large");
	memset(at, 0, NLMSG_ALIGN(size));
	return at;
}

static void begin_message(int type, int flags, int family)
{
	struct nfgenmsg *gen;

	message = take(sizeof(*message));
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	gen = take(sizeof(*gen));
	gen->nfgen_family = family;
	gen->version = NFNETLINK_V0;
	if (type < NLMSG_MIN_TYPE + 2)
		gen->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

static void end_message(void)
{
	message->nlmsg_len = buffer + used - (char *)message;
}

static struct nlattr *attr(int type, const void *data, size_t size)
{
	struct nlattr *at = take(NLA_HDRLEN);
	void *to = take(size);

	at->nla_type = type;
	at->nla_len = NLA_HDRLEN + size;
	if (size)
		memcpy(to, data, size);
	return at;
}

static struct nlattr *nest(int type)
{
	return attr(type | NLA_F_NESTED, NULL, 0);
}

static void unnest(struct nlattr *at)
{
	at->nla_len = buffer + used - (char *)at;
}

static void attr_text(int type, const char *text)
{
	attr(type, text, strlen(text) + 1);
}

static void attr_u32(int type, __u32 value)
{
	value = htonl(value);
	attr(type, &value, sizeof(value));
}

static void begin(void)
{
	used = 0;
	begin_message(NFNL_MSG_BATCH_BEGIN, 0, 0);
	end_message();
}

static void nft_message(int type, int flags)
{
	begin_message(NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_INET);
}

static void put_table(int type)
{
	nft_message(type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);
	attr_text(NFTA_TABLE_NAME, table);
	end_message();
}

static void put_set(void)
{
	struct nlattr *desc;

	nft_message(NFT_MSG_NEWSET, NLM_F_CREATE);
	attr_text(NFTA_SET_TABLE, table);
	attr_text(NFTA_SET_NAME, "s");
	attr_u32(NFTA_SET_ID, 1);
	attr_u32(NFTA_SET_KEY_LEN, 4);
	desc = nest(NFTA_SET_DESC);
	attr_u32(NFTA_SET_DESC_SIZE, 65536);
	unnest(desc);
	end_message();
}

static void put_chain(void)
{
	nft_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	attr_text(NFTA_CHAIN_TABLE, table);
	attr_text(NFTA_CHAIN_NAME, "c");
	end_message();
}

/* Adds messages with the elements @from to @to; with @to below @from, one without elements. */
static void put_elements(int type, int flags, int from, int to)
{
	do {
		struct nlattr *list, *elem, *key;
		__u32 value;
		int i, last = to - from < PER_MESSAGE ? to : from + PER_MESSAGE - 1;

		nft_message(type, flags);
		attr_text(NFTA_SET_ELEM_LIST_TABLE, table);
		attr_text(NFTA_SET_ELEM_LIST_SET, "s");
		list = from <= last ? nest(NFTA_SET_ELEM_LIST_ELEMENTS) : NULL;
		for (i = from; i <= last; i++) {
			value = htonl(i);
			elem = nest(NFTA_LIST_ELEM);
			key = nest(NFTA_SET_ELEM_KEY);
			attr(NFTA_DATA_VALUE, &value, sizeof(value));
			unnest(key);
			unnest(elem);
		}
		if (list)
			unnest(list);
		end_message();
		from = last + 1;
	} while (from <= to);
}

/* Adds the expression of the verdict "accept". */
static void put_verdict(void)
{
	struct nlattr *elem = nest(NFTA_LIST_ELEM), *data, *value, *verdict;

	attr_text(NFTA_EXPR_NAME, "immediate");
	data = nest(NFTA_EXPR_DATA);
	attr_u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	value = nest(NFTA_IMMEDIATE_DATA);
	verdict = nest(NFTA_DATA_VERDICT);
	attr_u32(NFTA_VERDICT_CODE, NF_ACCEPT);
	unnest(verdict);
	unnest(value);
	unnest(data);
	unnest(elem);
}

static void put_rules(int from, int to)
{
	struct nlattr *list;

	for (; from <= to; from++) {
		nft_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
		attr_text(NFTA_RULE_TABLE, table);
		attr_text(NFTA_RULE_CHAIN, "c");
		list = nest(NFTA_RULE_EXPRESSIONS);
		put_verdict();
		unnest(list);
		end_message();
	}
}

static void put(const char *what, int from, int to)
{
	if (!strcmp(what, "rules"))
		put_rules(from, to);
	else
		put_elements(NFT_MSG_NEWSETELEM,
			     NLM_F_CREATE | (strcmp(what, "new") ? 0 : NLM_F_EXCL), from, to);
}

static void put_all(int nr)
{
	put_table(NFT_MSG_NEWTABLE);
	put_set();
	put_chain();
	if (!nr)
		return;
	put("elements", 1, nr);
	put("rules", 1, nr);
}

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Returns the first error among the answers, or 0. */
static int get_error(void)
{
	static char in[1 << 16];
	struct nlmsghdr *nlh;
	bool any = false;
	int error = 0;
	ssize_t n;

	while ((n = recv(sock, in, sizeof(in), MSG_DONTWAIT)) > 0) {
		for (nlh = (void *)in; NLMSG_OK(nlh, n); nlh = NLMSG_NEXT(nlh, n)) {
			const struct nlmsgerr *msg = NLMSG_DATA(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			any = true;
			if (!error)
				error = msg->error;
		}
	}
	if (n < 0 && errno != EAGAIN)
		err(1, "recv");
	if (!any)
		errx(1, "no answer");
	return error;
}

/* Sends the batch; returns 0 or a negative errno, and how long the call took. */
static int commit(unsigned long long *took)
{
	unsigned long long start;
	ssize_t sent;

	message->nlmsg_flags |= NLM_F_ACK;
	begin_message(NFNL_MSG_BATCH_END, 0, 0);
	end_message();
	start = now();
	sent = send(sock, buffer, used, 0);
	if (took)
		*took = now() - start;
	if (sent < 0)
		return -errno;
	return get_error();
}

static void must(int error, const char *what)
{
	if (error)
		errx(1, "%s: %s", what, strerror(-error));
}

static void open_socket(void)
{
	int size = BUFFER;

	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (sock < 0)
		err(1, "socket");
	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		err(1, "setsockopt");
}

static int make_table(int nr)
{
	begin();
	put_all(nr);
	return commit(NULL);
}

static int delete_table(void)
{
	begin();
	put_table(NFT_MSG_DELTABLE);
	return commit(NULL);
}

static int add(const char *what, int from, int to)
{
	begin();
	put(what, from, to);
	return commit(NULL);
}

static int delete_elements(int from, int to)
{
	begin();
	put_elements(NFT_MSG_DELSETELEM, 0, from, to);
	return commit(NULL);
}

#define DATA(at)	((void *)((at) + 1))
#define SIZE(at)	((at)->nla_len - NLA_HDRLEN)

static const struct nlattr *next(const struct nlattr *at)
{
	return (const void *)at + NLA_ALIGN(at->nla_len);
}

static const struct nlattr *find(const void *data, size_t size, int type)
{
	const struct nlattr *at = data, *end = data + size;

	for (; at + 1 <= end && at->nla_len >= NLA_HDRLEN; at = next(at))
		if ((at->nla_type & NLA_TYPE_MASK) == type)
			return at;
	return NULL;
}

struct listing {
	__u32 *keys;
	int nr;
	int rules;
};

static void add_keys(struct listing *listing, const struct nlattr *list)
{
	const void *end = DATA(list) + SIZE(list);
	const struct nlattr *elem, *at;

	for (elem = DATA(list); (void *)elem < end; elem = next(elem)) {
		at = find(DATA(elem), SIZE(elem), NFTA_SET_ELEM_KEY);
		at = at ? find(DATA(at), SIZE(at), NFTA_DATA_VALUE) : NULL;
		if (!at)
			errx(1, "an element without a key");
		listing->keys = realloc(listing->keys, (listing->nr + 1) * sizeof(__u32));
		listing->keys[listing->nr++] = ntohl(*(__u32 *)DATA(at));
	}
}

/* Dumps the elements or rules of the table; returns 0 or a negative errno. */
static int dump(struct listing *listing, int type, int reply)
{
	static char in[1 << 18];
	ssize_t n;

	used = 0;
	nft_message(type, NLM_F_DUMP);
	attr_text(type == NFT_MSG_GETRULE ? NFTA_RULE_TABLE : NFTA_SET_ELEM_LIST_TABLE, table);
	if (type == NFT_MSG_GETSETELEM)
		attr_text(NFTA_SET_ELEM_LIST_SET, "s");
	end_message();
	if (send(sock, buffer, used, 0) < 0)
		err(1, "send");
	while ((n = recv(sock, in, sizeof(in), 0)) > 0) {
		struct nlmsghdr *nlh = (void *)in;

		for (; NLMSG_OK(nlh, n); nlh = NLMSG_NEXT(nlh, n)) {
			const void *at = NLMSG_DATA(nlh) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
			size_t size = NLMSG_PAYLOAD(nlh, sizeof(struct nfgenmsg));
			const struct nlattr *list;

			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
			if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | reply))
				errx(1, "an unknown answer");
			if (reply == NFT_MSG_NEWRULE) {
				listing->rules++;
				continue;
			}
			list = find(at, size, NFTA_SET_ELEM_LIST_ELEMENTS);
			if (list)
				add_keys(listing, list);
		}
	}
	err(1, "recv");
}

static int by_value(const void *a, const void *b)
{
	__u32 x = *(__u32 *)a, y = *(__u32 *)b;

	return x < y ? -1 : x > y;
}

static struct listing get_listing(void)
{
	struct listing listing = { };

	must(dump(&listing, NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM), "list elements");
	must(dump(&listing, NFT_MSG_GETRULE, NFT_MSG_NEWRULE), "list rules");
	qsort(listing.keys, listing.nr, sizeof(__u32), by_value);
	return listing;
}

static void print_listing(void)
{
	struct listing listing = get_listing();
	int i;

	for (i = 0; i < listing.nr; i++)
		printf("%u\n", listing.keys[i]);
	printf("rules %d\n", listing.rules);
}

/* Has the set exactly the elements 1 to @nr, and the chain @rules rules? */
static bool listed(int nr, int rules)
{
	struct listing listing = get_listing();
	bool good = listing.nr == nr && listing.rules == rules;
	int i;

	for (i = 0; good && i < nr; i++)
		good = listing.keys[i] == (__u32)i + 1;
	if (!good)
		warnx("%d elements and %d rules, instead of %d and %d", listing.nr, listing.rules,
		      nr, rules);
	free(listing.keys);
	return good;
}

/* Replaces the table by one with @nr elements and rules, in a batch that fails if @bad. */
static int replace(int nr, bool bad)
{
	begin();
	put_table(NFT_MSG_DELTABLE);
	put_all(nr);
	if (bad)
		put("new", nr, nr);
	return commit(NULL);
}

static void race_task(int task, int rounds)
{
	int i, nr, error;

	if (unshare(CLONE_NEWNET))
		err(1, "unshare");
	open_socket();
	must(make_table(10), "make");
	for (i = 0, nr = 10; i < rounds; i++) {
		int next = (i * 37 + task * 11) % 300 + 1;

		error = replace(next, i % 3 == 2);
		if (error != (i % 3 == 2 ? -EEXIST : 0))
			errx(1, "round %d: %s", i, strerror(-error));
		if (!error)
			nr = next;
		if (i % 5 == 0) {
			must(delete_elements(1, nr), "delete");
			must(add("new", 1, nr), "add");
		}
		if (!listed(nr, nr))
			exit(1);
	}
	/* Namespaces of tasks with odd numbers end with a table in them. */
	if (task % 2 == 0)
		must(delete_table(), "delete the table");
}

static void race(int tasks, int rounds)
{
	int i, status;

	for (i = 0; i < tasks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			race_task(i, rounds);
			exit(0);
		}
	}
	for (i = 0; i < tasks; i++)
		if (wait(&status) < 0 || status)
			errx(1, "a task failed");
}

/* Returns false if an allocation of the call itself fails. */
static bool write_parameter(const char *name, int value)
{
	char path[100], text[20];
	int fd, len = snprintf(text, sizeof(text), "%d", value);
	bool done;

	snprintf(path, sizeof(path), "/sys/module/arena_fail_nth/parameters/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, text, len) == len;
	if (!done && errno != ENOMEM)
		err(1, "%s", path);
	if (fd >= 0)
		close(fd);
	return done;
}

static int read_parameter(const char *name)
{
	char path[100];
	FILE *file;
	int value;

	snprintf(path, sizeof(path), "/sys/module/arena_fail_nth/parameters/%s", name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &value) != 1)
		err(1, "%s", path);
	fclose(file);
	return value;
}

/*
 * Repeats a batch, in which the 1st, 2nd, ... allocation fails, until it succeeds because it makes
 * fewer allocations. Whenever it fails, the old table must be there. Prints how often it failed.
 */
static void fail_each(int nr)
{
	int nth, failed = 0, error;
	bool reached = true;

	must(make_table(nr), "make");
	for (nth = 1; nth < NTH_MAX; nth++) {
		write_parameter("nth", nth);
		write_parameter("pid", getpid());
		error = replace(nr + nth % 7 + 1, false);
		/* If the batch made fewer allocations, the nth may be one of this call. */
		while (!write_parameter("pid", 0))
			reached = false;
		if (!reached || read_parameter("nth") > 0)
			break;
		if (error && error != -ENOMEM)
			errx(1, "allocation %d: %s", nth, strerror(-error));
		/* An allocation that nf_tables can do without has failed. */
		if (!error)
			must(replace(nr, false), "restore");
		else
			failed++;
		if (!listed(nr, nr))
			errx(1, "after allocation %d failed", nth);
	}
	must(delete_table(), "delete the table");
	if (nth == NTH_MAX || failed < nr)
		errx(1, "%d of %d failed", failed, nth);
	printf("# %d of %d allocations made the batch fail\n", failed, nth - 1);
}

/* A message about a chain of the family netdev that has the device lo. */
static void put_hook(int type, int flags)
{
	struct nlattr *hook, *devices;

	begin_message(NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_NETDEV);
	attr_text(NFTA_CHAIN_TABLE, table);
	attr_text(NFTA_CHAIN_NAME, "c");
	hook = nest(NFTA_CHAIN_HOOK);
	attr_u32(NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS);
	attr_u32(NFTA_HOOK_PRIORITY, 0);
	devices = nest(NFTA_HOOK_DEVS);
	attr_text(NFTA_DEVICE_NAME, "lo");
	unnest(devices);
	unnest(hook);
	if (type == NFT_MSG_NEWCHAIN)
		attr_text(NFTA_CHAIN_TYPE, "filter");
	end_message();
}

static void put_netdev_table(int type, int flags)
{
	begin_message(NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_NETDEV);
	attr_text(NFTA_TABLE_NAME, table);
	end_message();
}

/* Returns the number of devices of the chain. */
static int hooks(void)
{
	static char in[1 << 16];
	const struct nlattr *at = NULL;
	struct nlmsghdr *nlh = (void *)in;
	const size_t head = NLMSG_ALIGN(sizeof(struct nfgenmsg));
	ssize_t n;

	used = 0;
	begin_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, 0, NFPROTO_NETDEV);
	attr_text(NFTA_CHAIN_TABLE, table);
	attr_text(NFTA_CHAIN_NAME, "c");
	end_message();
	if (send(sock, buffer, used, 0) < 0)
		err(1, "send");
	n = recv(sock, in, sizeof(in), 0);
	if (n < 0)
		err(1, "recv");
	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN))
		errx(1, "no chain");
	at = find(NLMSG_DATA(nlh) + head, NLMSG_PAYLOAD(nlh, head), NFTA_CHAIN_HOOK);
	at = at ? find(DATA(at), SIZE(at), NFTA_HOOK_DEVS) : NULL;
	return at && find(DATA(at), SIZE(at), NFTA_DEVICE_NAME) ? 1 : 0;
}

static void remove_hook(void)
{
	bool bad;

	begin();
	put_netdev_table(NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_hook(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	must(commit(NULL), "make a chain with a hook");
	for (bad = true;; bad = false) {
		int error;

		begin();
		put_hook(NFT_MSG_DELCHAIN, 0);
		if (bad)
			put_netdev_table(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
		error = commit(NULL);
		if (error != (bad ? -EEXIST : 0))
			errx(1, "remove the hook: %s", strerror(-error));
		if (hooks() != bad)
			errx(1, "%d hooks", hooks());
		if (!bad)
			break;
	}
	begin();
	put_netdev_table(NFT_MSG_DELTABLE, 0);
	must(commit(NULL), "delete the table");
}

/* Prepares the table, and builds the batch that is measured. */
static void prepare(const char *what, int nr)
{
	bool there = strcmp(what, "elements") && strcmp(what, "rules") && strcmp(what, "abort");

	must(make_table(0), "make");
	if (there)
		must(add("elements", 1, nr), "add");
	begin();
	if (!strcmp(what, "delete"))
		put_elements(NFT_MSG_DELSETELEM, 0, 1, nr);
	else if (!strcmp(what, "flush"))
		put_elements(NFT_MSG_DELSETELEM, 0, 1, 0);
	else
		put(what, 1, nr);
	if (!strcmp(what, "abort"))
		put("new", nr, nr);
}

static void measure(const char *what, int nr, int rounds)
{
	unsigned long long best = ULLONG_MAX, took;
	int error;

	while (rounds--) {
		prepare(what, nr);
		error = commit(&took);
		if (error != (strcmp(what, "abort") ? 0 : -EEXIST))
			errx(1, "%s: %s", what, strerror(-error));
		if (took < best)
			best = took;
		must(delete_table(), "delete the table");
		/* Let the work that destroys objects end. */
		usleep(50000);
	}
	printf("%llu\n", best);
}

static void many(int nr)
{
	char name[20];
	int i;

	for (i = 0; i < 2 * nr; i++) {
		snprintf(name, sizeof(name), "t%d", i % nr);
		table = name;
		must(i < nr ? make_table(20) : delete_table(), name);
	}
}

static int delete(const char *what, int from, int to)
{
	if (!strcmp(what, "table"))
		return delete_table();
	return delete_elements(strcmp(what, "all") ? from : 1, strcmp(what, "all") ? to : 0);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int a = argc > 3 ? atoi(argv[3]) : 0, b = argc > 4 ? atoi(argv[4]) : 0;

	open_socket();
	if (!strcmp(what, "make"))
		must(make_table(0), what);
	else if (!strcmp(what, "add") && argc == 5)
		must(add(argv[2], a, b), what);
	else if (!strcmp(what, "delete") && argc >= 3)
		must(delete(argv[2], a, b), what);
	else if (!strcmp(what, "mixed") && argc == 3)
		must(replace(atoi(argv[2]), false), what);
	else if (!strcmp(what, "many") && argc == 3)
		many(atoi(argv[2]));
	else if (!strcmp(what, "list"))
		print_listing();
	else if (!strcmp(what, "race") && argc == 4)
		race(atoi(argv[2]), a);
	else if (!strcmp(what, "fail") && argc == 3)
		fail_each(atoi(argv[2]));
	else if (!strcmp(what, "hook"))
		remove_hook();
	else if (!strcmp(what, "time") && argc == 5)
		measure(argv[2], a, b);
	else
		errx(2, "see the top of batch.c");
	return 0;
}
