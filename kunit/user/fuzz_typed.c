// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz typed arenas, and compare them with a model: an array that says what each index must hold
 * (clauses 14, 15 and 16).
 */
#include "fuzz.h"

#define ELEMENTS	256
#define SIZE_LARGEST	70000	/* so large that the arena copies an element in chunks */
#define SOURCE_MAX	(40 * SIZE_LARGEST)	/* the longest append that the fuzzer tries */
#define EVENTS		3

/*
 * Each element was never allocated, is live, or was freed. After a grace period, an allocation may
 * reuse a freed element. When the model knows that a grace period has passed for an element, it
 * sets the state to REUSABLE. While an element is REUSABLE, an allocation must reuse a freed
 * element, and must not take a new one.
 */
enum state { NEVER, LIVE, FREED, REUSABLE };

struct element {
	enum state	state;
	u8		fill;
	void		*at;
	unsigned long	freed;	/* grace periods that had passed when the element was freed */
};

/* An element that an interrupt allocated. */
struct event {
	struct element	element;
	u64		generation;
};

static struct {
	struct arena_typed	*typed;
	bool			readers;
	size_t			size;
	u32			nr;
	u32			len;
	struct element		element[ELEMENTS];
	unsigned long		periods;

	bool			reading;
	struct element		seen[ELEMENTS];
	bool			retiring;
	bool			retire_waits;

	bool			wrapping;	/* the tag must not enter another eighth yet */
	bool			wrap_waits;
	u64			generation;
	u64			fails[ARENA_NR_FAILS];

	unsigned int		nr_acts;
	unsigned int		act[EVENTS];
	unsigned int		came;	/* calls that interrupts made during the operation */
	unsigned int		flips;	/* how many of @came were successful resets */
	unsigned int		nr_events;
	struct event		events[EVENTS];
} t;

static const u32 sizes[] = { 1, 4, 8, 12, 24, 100, 5000, SIZE_LARGEST };
static u8 source[SOURCE_MAX];

static void verify(const struct element *elements)
{
	u32 i;

	for (i = 0; i < t.nr; i++)
		if (elements[i].state == LIVE)
			CHECK(filled(elements[i].at, elements[i].fill, t.size));
}

static void reader_ends(void)
{
	if (!t.reading)
		return;
	verify(t.seen);
	user_reader_end();
	t.reading = false;
	t.retire_waits = false;
	t.wrap_waits = false;
}

static void reader_begins(void)
{
	/* Without ARENA_READERS, the arena does not wait for readers. */
	if (t.reading || !t.readers)
		return;
	user_reader_begin();
	t.reading = true;
	memcpy(t.seen, t.element, sizeof(t.seen));
}

static void grace_period(void)
{
	u32 i;

	user_rcu_poll();
	t.periods++;
	t.retiring &= t.retire_waits;
	t.wrapping &= t.wrap_waits;
	for (i = 0; i < t.nr && !t.reading; i++)
		if (t.element[i].state == FREED)
			t.element[i].state = REUSABLE;
}

static u32 count(enum state state)
{
	u32 i, n = 0;

	for (i = 0; i < t.nr; i++)
		n += t.element[i].state == state;
	return n;
}

/* Check the element at @index against the model. */
static void check_index(u32 index)
{
	void *at = arena_typed_at(t.typed, index);

	if (index >= t.nr || t.element[index].state != LIVE) {
		CHECK(!at);
		return;
	}
	CHECK(at == t.element[index].at);
	CHECK(filled(at, t.element[index].fill, t.size));
}

static void check_all(void)
{
	size_t at = 0;
	u32 i, found = 0;

	for (i = 0; i < t.nr + 2; i++)
		check_index(i);
	while (arena_typed_next(t.typed, &at)) {
		CHECK(t.element[at - 1].state == LIVE);
		found++;
	}
	CHECK(found == count(LIVE));
}

static void check_sums(void)
{
	struct arena_stats stats;

	CHECK(arena_typed_len(t.typed) == t.len);
	CHECK(arena_offset(arena_typed_arena(t.typed)) == (size_t)t.len * t.size);
	arena_stats(arena_typed_arena(t.typed), &stats);
	CHECK(stats.generation == t.generation);
	/* clause 4: the arena counts each failure by its cause */
	CHECK(stats.fail_space == t.fails[ARENA_FAIL_SPACE]);
	CHECK(stats.fail_memory == t.fails[ARENA_FAIL_MEMORY]);
	CHECK(stats.fail_arg == t.fails[ARENA_FAIL_ARG]);
}

/* Record in the model that the element at @index is live. */
static void publish(u32 index, void *at, u8 fill)
{
	struct element *element = &t.element[index];

	CHECK(index < t.nr && element->state != LIVE);
	if (t.readers && element->state == FREED)
		CHECK(t.periods > element->freed);
	CHECK(index <= t.len);
	t.len += index == t.len;
	*element = (struct element) { .state = LIVE, .fill = fill, .at = at };
	check_index(index);
}

static u32 index_of(const void *at)
{
	u32 i;

	for (i = 0; i < t.nr; i++)
		if (arena_typed_at(t.typed, i) == at)
			return i;
	CHECK(!"an element without an index");
	return 0;
}

static struct arena *under(void)
{
	return (struct arena *)arena_typed_arena(t.typed);
}

/* Returns whether the tag enters another eighth of its range when @generation ends. */
static bool crosses(u64 generation)
{
	return (generation ^ (generation + ARENA_GEN_STEP)) & ARENA_TAG_EIGHTH;
}

static void interrupt_resets(void)
{
	int err;

	/* Without ARENA_READERS, the caller of a reset must exclude all users of elements. */
	if (in_nmi() || !t.readers)
		return;
	err = arena_typed_reset(t.typed);
	CHECK(!err || err == -EBUSY);
	t.flips += !err;
}

static void interrupt_allocates(void)
{
	struct event *event = &t.events[t.nr_events];
	u8 buffer[SIZE_LARGEST];

	event->element.fill = next_fill();
	memset(buffer, event->element.fill, t.size);
	event->element.at = arena_typed_alloc(t.typed, buffer);
	event->generation = arena_snap(under()).generation;
	if (event->element.at)
		t.nr_events++;
	else if (cursor_settled(arena_snap(under()).cursor))
		t.fails[ARENA_FAIL_SPACE]++;
	else
		t.fails[ARENA_FAIL_MEMORY]++;
}

static void interrupt(void)
{
	unsigned int i;

	for (i = 0; i < t.nr_acts; i++) {
		t.came++;
		if (t.act[i] & 7)
			interrupt_allocates();
		else
			interrupt_resets();
	}
}

static void arm(struct input *in)
{
	unsigned int how = get_byte(in), i;

	t.came = 0;
	t.flips = 0;
	t.nr_events = 0;
	user_self.fuse = 0;
	if (how & 7)
		return;
	user_nmi = how & 8;
	t.nr_acts = 1 + (how >> 4) % EVENTS;
	for (i = 0; i < t.nr_acts; i++)
		t.act[i] = get_byte(in);
	user_interrupt = interrupt;
	user_self.fuse = 1 + get_byte(in) % 48;
}

/* Record in the model that a reset has freed all elements. */
static void empty_model(void)
{
	u64 generation = arena_snap(under()).generation;

	CHECK(generation > t.generation);
	if ((generation ^ t.generation) & ARENA_TAG_EIGHTH) {
		t.wrapping = true;
		t.wrap_waits = t.reading;
	}
	t.generation = generation;
	memset(t.element, 0, sizeof(t.element));
	t.len = 0;
}

/*
 * Record in the model what interrupts allocated during the operation. The model does not know when
 * they ran, so it records their elements in the order of the index.
 */
static void publish_events(void)
{
	u32 index, i, done = 0, alive = 0;

	for (i = 0; i < t.nr_events; i++)
		alive += t.events[i].generation == t.generation;
	for (index = 0; index < t.nr && done < alive; index++) {
		void *at = arena_typed_at(t.typed, index);

		for (i = 0; at && i < t.nr_events; i++) {
			if (t.events[i].element.at != at ||
			    t.events[i].generation != t.generation ||
			    t.element[index].state == LIVE)
				continue;
			t.len = max(t.len, index);
			publish(index, at, t.events[i].element.fill);
			done++;
		}
	}
	CHECK(done == alive);
}

/*
 * Record in the model the resets that interrupts did and, if @flips is 1, the reset that was the
 * operation.
 */
static void after_resets(unsigned int flips)
{
	user_self.fuse = 0;
	flips += t.flips;
	CHECK(!t.readers || t.retiring + flips <= 1);
	if (!flips)
		return;
	empty_model();
	t.retiring = t.readers;
	t.retire_waits = t.reading;
}

/*
 * Returns whether the element @at, which the operation allocated, is live. If an interrupt has
 * reset the arena since the allocation, the element is not live, and a later interrupt may have got
 * its place.
 */
static bool is_alive(const void *at)
{
	u32 i;

	for (i = 0; i < t.nr_events; i++)
		if (t.events[i].element.at == at && t.events[i].generation == t.generation)
			return false;
	for (i = 0; at && i < t.nr; i++)
		if (arena_typed_at(t.typed, i) == at)
			return true;
	CHECK(t.flips);
	return false;
}

static void op_alloc(struct input *in)
{
	u32 reusable = count(REUSABLE), freed = count(FREED), before = t.len;
	u8 fill = next_fill();
	u32 index;
	void *at;

	memset(source, fill, t.size);
	arm(in);
	at = arena_typed_alloc(t.typed, source);
	after_resets(0);
	if (!at) {
		CHECK((before == t.nr && !reusable) || t.came);
		t.fails[ARENA_FAIL_SPACE]++;
	} else if (is_alive(at)) {
		index = index_of(at);
		CHECK(index < before || before < t.nr || t.flips);
		if (!t.came && reusable)
			CHECK(t.element[index].state == REUSABLE || (freed && index < before));
		t.len = max(t.len, index);
		publish(index, at, fill);
	}
	publish_events();
}

static u8 nth_fill(u32 i)
{
	return 101 + i % 100;
}

static void op_append(struct input *in)
{
	u32 nr = get_byte(in) % 40, before = t.len, i;
	long first;

	if (nr > 36)
		nr = t.nr;
	for (i = 0; i < nr; i++)
		memset(source + i * t.size, nth_fill(i), t.size);
	arm(in);
	first = arena_typed_append(t.typed, source, nr);
	after_resets(0);
	if (first < 0) {
		CHECK(first == (nr ? -ENOSPC : -EINVAL));
		t.fails[nr ? ARENA_FAIL_SPACE : ARENA_FAIL_ARG]++;
		CHECK(nr > t.nr - before || t.came || !nr);
	} else {
		CHECK(nr && (t.came || (first == before && nr <= t.nr - before)));
	}
	if (first >= 0 && is_alive(arena_typed_at(t.typed, first))) {
		t.len = max_t(u32, t.len, first);
		for (i = 0; i < nr; i++)
			publish(first + i, arena_typed_at(t.typed, first + i), nth_fill(i));
	}
	publish_events();
}

static void op_free(struct input *in)
{
	struct element *element = &t.element[get_byte(in) % t.nr];

	if (element->state != LIVE)
		return;
	arm(in);
	arena_typed_free(t.typed, element->at);
	element->state = t.readers ? FREED : REUSABLE;
	element->freed = t.periods;
	after_resets(0);
	publish_events();
}

static void op_reset(struct input *in)
{
	bool retiring = t.retiring, busy = t.wrapping && crosses(t.generation);
	int err;

	verify(t.element);
	arm(in);
	err = arena_typed_reset(t.typed);
	if (t.came)
		CHECK(!err || err == -EBUSY);
	else
		CHECK(err == ((t.readers && retiring) || busy ? -EBUSY : 0));
	after_resets(!err);
	publish_events();
}

/*
 * Advance the generation, as many resets would: to shortly before the tag wraps or enters another
 * eighth or half of its range, or to shortly before the arena renews its stamps, which are narrower
 * than generations. That frees all elements.
 */
static void op_jump(struct input *in)
{
	unsigned int how = get_byte(in);
	u64 part = how & 4 ? (u64)ARENA_TAG_EIGHTH << (how & 3) : 1UL << 30, generation;

	reader_ends();
	grace_period();
	verify(t.element);
	if (arena_typed_reset(t.typed))
		return;
	empty_model();
	t.retiring = false;
	grace_period();
	generation = ALIGN(t.generation + 1, part) - (1 + (how >> 3 & 3)) * ARENA_GEN_STEP;
	if (generation <= t.generation)
		return;
	arena_set_generation(under(), generation);
	t.generation = generation;
}

static void step(struct input *in)
{
	unsigned int op = get_byte(in);

	user_self.cpu = op >> 6;
	switch (op & 15) {
	case 0:
		op_reset(in);
		break;
	case 1:
	case 2:
		op_append(in);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		op_free(in);
		break;
	case 7:
	case 8:
		grace_period();
		break;
	case 9:
		reader_begins();
		break;
	case 10:
		reader_ends();
		break;
	case 11:
		check_all();
		break;
	case 12:
		op_jump(in);
		break;
	default:
		op_alloc(in);
	}
	check_sums();
}

void fuzz_typed(struct input *in)
{
	unsigned int how = get_byte(in);

	memset(&t, 0, sizeof(t));
	t.readers = how & 1;
	t.size = sizes[how >> 1 & 7];
	t.nr = 1 + get_byte(in) % (t.size > 1000 ? 20 : ELEMENTS - 1);
	t.typed = arena_typed_create("fuzz", t.size, t.nr, t.readers ? ARENA_READERS : 0);
	CHECK(!IS_ERR(t.typed));
	t.generation = arena_snap(under()).generation;
	user_waiting = reader_ends;
	while (in->left)
		step(in);
	check_all();
	/* clause 16: all of the capacity can be used, and no more than that */
	grace_period();
	reader_ends();
	grace_period();
	memset(source, 1, t.size);
	while (count(LIVE) < t.nr) {
		void *at = arena_typed_alloc(t.typed, source);

		CHECK(at);
		publish(index_of(at), at, 1);
	}
	CHECK(!arena_typed_alloc(t.typed, source));
	arena_typed_destroy(t.typed);
	user_self.fuse = 0;
	user_waiting = NULL;
	user_interrupt = NULL;
}
