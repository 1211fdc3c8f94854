// SPDX-License-Identifier: GPL-2.0
/*
 * Typed arenas beside an array of what each index must hold (clauses 14 to 16).
 */
#include "fuzz.h"

#define ELEMENTS	256
#define SIZE_LARGEST	70000	/* copied in parts */
#define SOURCE_MAX	(40 * SIZE_LARGEST)	/* the longest append that is tried */
#define EVENTS		3

/*
 * An element is nobody's, somebody's, or freed: then it may be reused as soon as a
 * grace period has passed, and must be once it is known that one has.
 */
enum state { NEVER, LIVE, FREED, REUSABLE };

struct element {
	enum state	state;
	u8		fill;
	void		*at;
	unsigned long	freed;	/* in which grace period */
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

	unsigned int		nr_acts;
	unsigned int		nr_events;
	struct element		events[EVENTS];
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
}

static void reader_begins(void)
{
	/* Without %ARENA_READERS nobody is waited for. */
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
	if (!t.retire_waits)
		t.retiring = false;
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

/* What lies under @index is what the model says. */
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
	CHECK(arena_typed_len(t.typed) == t.len);
	CHECK(arena_offset(arena_typed_arena(t.typed)) == (size_t)t.len * t.size);
}

/* An element is born under @index. */
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

static void interrupt(void)
{
	u8 buffer[SIZE_LARGEST];
	unsigned int i;

	for (i = 0; i < t.nr_acts; i++) {
		struct element *event = &t.events[t.nr_events];

		event->fill = next_fill();
		memset(buffer, event->fill, t.size);
		event->at = arena_typed_alloc(t.typed, buffer);
		t.nr_events += !!event->at;
	}
}

static void arm(struct input *in)
{
	unsigned int how = get_byte(in);

	t.nr_events = 0;
	user_self.fuse = 0;
	if (how & 7)
		return;
	user_nmi = how & 8;
	t.nr_acts = 1 + (how >> 4) % EVENTS;
	user_interrupt = interrupt;
	user_self.fuse = 1 + get_byte(in) % 32;
}

/* What interrupts published may have come before or after us: lower indices first. */
static void publish_events(void)
{
	u32 index, i, done = 0;

	for (index = 0; index < t.nr && done < t.nr_events; index++) {
		void *at = arena_typed_at(t.typed, index);

		for (i = 0; at && i < t.nr_events; i++) {
			if (t.events[i].at != at || t.element[index].state == LIVE)
				continue;
			t.len = max(t.len, index);
			publish(index, at, t.events[i].fill);
			done++;
		}
	}
	CHECK(done == t.nr_events);
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
	user_self.fuse = 0;
	if (!at) {
		CHECK((before == t.nr && !reusable) || t.nr_events);
		publish_events();
		return;
	}
	index = index_of(at);
	CHECK(index < before || before < t.nr);
	if (!t.nr_events && reusable)
		CHECK(t.element[index].state == REUSABLE || (freed && index < before));
	t.len = max(t.len, index);
	publish(index, at, fill);
	publish_events();
}

static void op_append(struct input *in)
{
	u32 nr = get_byte(in) % 40, i;
	long first;

	if (nr > 36)
		nr = t.nr;
	for (i = 0; i < nr; i++)
		memset(source + i * t.size, i % 100 + 1, t.size);
	first = arena_typed_append(t.typed, source, nr);
	if (!nr) {
		CHECK(first == -EINVAL);
		return;
	}
	if (nr > t.nr - t.len) {
		CHECK(first == -ENOSPC);
		return;
	}
	CHECK(first == t.len);
	for (i = 0; i < nr; i++)
		publish(first + i, arena_typed_at(t.typed, first + i), i % 100 + 1);
}

static void op_free(struct input *in)
{
	struct element *element = &t.element[get_byte(in) % t.nr];

	if (element->state != LIVE)
		return;
	arena_typed_free(t.typed, element->at);
	element->state = t.readers ? FREED : REUSABLE;
	element->freed = t.periods;
}

static void op_reset(void)
{
	int err;

	verify(t.element);
	err = arena_typed_reset(t.typed);
	CHECK(err == (t.readers && t.retiring ? -EBUSY : 0));
	if (err)
		return;
	memset(t.element, 0, sizeof(t.element));
	t.len = 0;
	t.retiring = t.readers;
	t.retire_waits = t.reading;
}

static void step(struct input *in)
{
	unsigned int op = get_byte(in);

	user_self.cpu = op >> 6;
	switch (op & 15) {
	case 0:
		op_reset();
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
	user_waiting = reader_ends;
	while (in->left)
		step(in);
	check_all();
	/* clause 16: all of it, and not one more */
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
