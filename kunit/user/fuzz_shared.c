// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz shared arenas, and compare them with a model: a list of live objects, a map of the bytes
 * that they take, and statistics.
 *
 * In a dense arena the model predicts the offset of each object. In an arena with spans it checks
 * only what must hold wherever an object lies. An interrupt that allocates and resets can come in
 * the middle of an operation, at a place that the input chooses.
 */
#include "fuzz.h"

#define CAPACITY_MAX	SZ_512K
#define OBJECTS		512
#define STALES		64
#define MARKS		6
#define RESERVES	4
#define EVENTS		3
#define BATCH		8
#define ACTIONS		64

struct object {
	void		*ptr;
	size_t		offset;
	size_t		size;
	u8		fill;
	bool		large;	/* allocated larger than a slab, so it lies in a view */
	bool		named;
	arena_handle_t	handle;
	unsigned int	rewinds;
};

struct taken_mark {
	struct arena_mark	mark;
	size_t			used;
	bool			good;
	unsigned int		rewinds;
};

struct reservation {
	struct arena_reserve	reserve;
	bool			made;
	bool			live;
	unsigned int		rewinds;
	u8			fill;
	unsigned int		taken;
	unsigned int		nr;
	size_t			size;
	size_t			align;
	size_t			offset;
	size_t			end; /* offset in the reservation where its last object ends */
};

struct action {
	size_t		offset;		/* set in dense arenas only */
	u64		generation;
	unsigned int	ran;
	bool		dead;
};

/* The effects of one interrupt. */
struct event {
	bool		reset;
	bool		flipped;
	unsigned int	failed;		/* FAILED_*: why the allocation failed */
	struct object	object;
	char		*piece;		/* bytes taken from m.shared_reserve */
};

static struct model {
	struct arena		*arena;
	bool			spans;
	bool			zero;
	bool			readers;
	bool			wrapping;	/* the tag must not enter another eighth yet */
	bool			wrap_waits;	/* @wrapping ends only after the reader has left */
	bool			tight;	/* arenas may reach the limit of the module, 1 MiB */
	size_t			slab;
	size_t			capacity;

	u64			generation;
	size_t			used;
	size_t			high;
	size_t			peak;
	u64			allocs;
	u64			allocs_seen;	/* stats.allocs when an interrupt last read it */
	u64			resets;
	u64			fails[ARENA_NR_FAILS];
	u64			either;	/* failures whose cause is either space or memory */
	unsigned int		nr;
	struct object		live[OBJECTS];
	u8			taken[CAPACITY_MAX];

	unsigned int		nr_stale;
	arena_handle_t		stale[STALES];

	struct taken_mark	marks[MARKS];
	unsigned int		rewinds;

	struct reservation	reserves[RESERVES];
	struct reservation	*shared_reserve;	/* interrupts use it, too */

	unsigned int		nr_actions;
	struct action		actions[ACTIONS];

	bool			reading;
	unsigned int		nr_seen;
	struct object		seen[OBJECTS];
	bool			retiring;	/* readers may be in the other slab set */
	bool			retire_waits;	/* @retiring ends only after the reader has left */

	unsigned int		act[EVENTS];
	unsigned int		nr_acts;
	unsigned int		nr_events;
	struct event		events[EVENTS];
} m;

static u8 source[CAPACITY_MAX + SZ_64K];

/* Objects. */

static void verify(const struct object *objects, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		CHECK(filled(objects[i].ptr, objects[i].fill, objects[i].size));
}

static void forget(const struct object *object)
{
	if (object->named)
		m.stale[m.nr_stale++ % STALES] = object->handle;
}

/* Record in the model that an object takes bytes, which must have been free. */
static void take_bytes(size_t offset, size_t size)
{
	CHECK(offset <= m.capacity && size <= m.capacity - offset);
	CHECK(filled(m.taken + offset, 0, size));
	memset(m.taken + offset, 1, size);
}

static void place_object(struct object *object)
{
	CHECK(object->offset + object->size <= arena_high(m.arena));
	object->large = object->size > m.slab;
	if (!object->large)
		CHECK((object->offset & (m.slab - 1)) + object->size <= m.slab);
	take_bytes(object->offset, object->size);
	object->rewinds = m.rewinds;
	if (m.nr < OBJECTS)
		m.live[m.nr++] = *object;
}

static size_t offset_of(const void *ptr, size_t size)
{
	arena_handle_t handle = arena_handle(m.arena, ptr);

	CHECK(handle.generation == m.generation);
	CHECK(arena_deref(m.arena, handle) == ptr);
	CHECK(arena_owns(m.arena, ptr + size - 1));
	return handle.offset;
}

/* Readers. */

static void reader_ends(void)
{
	if (!m.reading)
		return;
	verify(m.seen, m.nr_seen);
	m.reading = false;
	m.retire_waits = false;
	m.wrap_waits = false;
	user_reader_end();
}

static void reader_begins(void)
{
	if (m.reading)
		return;
	user_reader_begin();
	m.reading = true;
	m.nr_seen = m.nr;
	memcpy(m.seen, m.live, m.nr * sizeof(m.live[0]));
}

/*
 * Run what a kernel runs by itself: the input decides when RCU callbacks run, and when work items
 * run.
 */
static void time_passes(bool callbacks, bool works)
{
	if (callbacks) {
		user_rcu_poll();
		m.retiring &= m.retire_waits;
		m.wrapping &= m.wrap_waits;
	}
	if (works)
		user_run_works();
}

/* Causes of a failed allocation, as far as the model can tell. */
#define FAILED_SPACE	BIT(ARENA_FAIL_SPACE)
#define FAILED_MEMORY	BIT(ARENA_FAIL_MEMORY)
#define FAILED_ARG	BIT(ARENA_FAIL_ARG)
#define FAILED_EITHER	(FAILED_SPACE | FAILED_MEMORY)

static void count_failure(unsigned int causes)
{
	if (causes == FAILED_EITHER)
		m.either++;
	else if (causes)
		m.fails[ilog2(causes)]++;
}

/* Returns whether the tag enters another eighth of its range when @generation ends. */
static bool crosses(u64 generation)
{
	return (generation ^ (generation + ARENA_GEN_STEP)) & ARENA_TAG_EIGHTH;
}

/* An interrupt called arena_reset(), which may fail only if the tag would enter another eighth. */
static void check_reset(int err)
{
	CHECK(!err || (err == -EBUSY && crosses(arena_snap(m.arena).generation)));
}

/*
 * Returns what arena_reset() must return if no interrupt comes: -EBUSY if the tag would enter
 * another eighth of its range too early.
 */
static int expect_reset(void)
{
	return m.wrapping && crosses(m.generation) ? -EBUSY : 0;
}

static void generation_is(u64 generation)
{
	if ((generation ^ m.generation) & ARENA_TAG_EIGHTH) {
		m.wrapping = true;
		m.wrap_waits = m.reading;
	}
	m.generation = generation;
}

/* Interrupts. */

/*
 * Returns why an interrupt got no object of @size bytes, at most a slab. While the generation is
 * not settled, the arena counts the failure as a lack of memory.
 */
static unsigned int why_no_small(size_t size)
{
	size_t at = ALIGN(arena_high(m.arena), ARENA_MIN_ALIGN);

	if (size <= m.capacity && !cursor_settled(arena_snap(m.arena).cursor))
		return FAILED_MEMORY;
	if ((at & (m.slab - 1)) + size > m.slab)
		at = ALIGN(at, m.slab);
	return at > m.capacity || size > m.capacity - at ? FAILED_SPACE : FAILED_MEMORY;
}

/* clauses 4 and 8: the number of objects never falls, as the arena counts only complete objects */
static void see_allocs(void)
{
	struct arena_stats stats;

	arena_stats(m.arena, &stats);
	CHECK(stats.allocs >= m.allocs_seen);
	CHECK(stats.used <= stats.high && stats.high <= stats.capacity);
	m.allocs_seen = stats.allocs;
}

static void interrupt(void)
{
	unsigned int i;

	see_allocs();
	for (i = 0; i < m.nr_acts; i++) {
		struct event *event = &m.events[m.nr_events];
		unsigned int act = m.act[i];
		int err;

		*event = (struct event) { };
		switch (act & 7) {
		case 0:
			if (in_nmi() || m.reading)
				continue;
			err = arena_reset(m.arena);
			check_reset(err);
			event->reset = !err;
			break;
		case 2:
			if (!m.shared_reserve)
				continue;
			event->object.size = 1 + (act >> 3) % m.shared_reserve->size;
			event->piece = arena_reserve_alloc(&m.shared_reserve->reserve,
							   event->object.size, 1);
			break;
		case 1:
			if (in_nmi())
				continue;
			err = arena_reset_rcu(m.arena);
			CHECK(!err || err == -EBUSY || (!m.readers && err == -EOPNOTSUPP));
			event->reset = !err;
			event->flipped = !err;
			break;
		default:
			event->object = (struct object) {
				.size = 1 + (act >> 2), .fill = next_fill(), .named = true,
			};
			event->object.ptr = arena_alloc_handle(m.arena, event->object.size,
							       act & 8 ? GFP_ATOMIC : ARENA_NOGROW,
							       &event->object.handle);
			if (event->object.ptr)
				memset(event->object.ptr, event->object.fill, event->object.size);
			else
				event->failed = why_no_small(event->object.size);
		}
		m.nr_events++;
	}
}

static void arm(struct input *in)
{
	unsigned int how = get_byte(in), i;

	m.nr_events = 0;
	user_self.fuse = 0;
	if (how & 3)
		return;
	user_nmi = how & 4;
	m.nr_acts = 1 + (how >> 3) % EVENTS;
	for (i = 0; i < m.nr_acts; i++)
		m.act[i] = get_byte(in);
	/* Let half of the interrupts begin with a reset, so that they go on in a new generation. */
	if (how & 0x80)
		m.act[0] &= ~7;
	user_interrupt = interrupt;
	user_self.fuse = 1 + get_byte(in) % 48;
}

/* Actions: clause 27. */

/* An action. It must run after all actions that were added later in the same generation. */
static void act(void *data)
{
	struct action *action = data, *later;

	for (later = action + 1; later < m.actions + m.nr_actions; later++)
		CHECK(later->ran || later->generation != action->generation);
	action->ran++;
}

/*
 * Check that each action whose generation has ended has run once, or waits for readers, and that no
 * other action has run.
 */
static void check_actions(void)
{
	unsigned int i;

	while (m.nr_actions && m.actions[m.nr_actions - 1].ran == 1 &&
	       m.actions[m.nr_actions - 1].dead)
		m.nr_actions--;
	for (i = 0; i < m.nr_actions; i++) {
		const struct action *action = &m.actions[i];

		CHECK(action->ran == action->dead ||
		      (!action->ran && action->dead && m.retiring));
	}
}

static void actions_die(size_t offset)
{
	unsigned int i;

	for (i = 0; i < m.nr_actions; i++)
		m.actions[i].dead |= m.actions[i].offset >= offset;
}

/* Record in the model that @generation has begun by a reset, which freed all objects. */
static void empty_model(u64 generation)
{
	unsigned int i;

	CHECK(generation > m.generation);
	actions_die(0);
	for (i = 0; i < m.nr; i++)
		forget(&m.live[i]);
	for (i = 0; i < RESERVES; i++)
		m.reserves[i].live = false;
	for (i = 0; i < MARKS; i++)
		m.marks[i].good = false;
	generation_is(generation);
	m.nr = 0;
	m.used = 0;
	m.peak = max(m.peak, m.high);
	m.high = 0;
	m.resets++;
	memset(m.taken, 0, m.capacity);
}

static void allocated(size_t size)
{
	m.used += size;
	m.allocs++;
}

/*
 * Record in the model what the interrupts did. @resets is 1 if they interrupted a reset, and @flips
 * is 1 if that was arena_reset_rcu(), which leaves a slab set to its readers. In whatever order
 * resets and allocations came, exactly the objects of the present generation live. Returns whether
 * the arena was reset.
 */
static bool after_interrupts(unsigned int resets, unsigned int flips)
{
	unsigned int i;
	u64 generation;

	user_self.fuse = 0;
	generation = arena_snap(m.arena).generation;
	for (i = 0; i < m.nr_events; i++) {
		resets += m.events[i].reset;
		flips += m.events[i].flipped;
		count_failure(m.events[i].failed);
	}
	CHECK(m.retiring + flips <= 1);
	if (flips) {
		m.retiring = true;
		m.retire_waits = m.reading;
	}
	if (resets) {
		m.resets += resets - 1;
		empty_model(generation);
	}
	for (i = 0; i < m.nr_events; i++) {
		struct object *object = &m.events[i].object;

		if (!object->ptr)
			continue;
		m.allocs++;
		if (object->handle.generation != generation) {
			forget(object);
			continue;
		}
		object->offset = object->handle.offset;
		CHECK(filled(object->ptr, object->fill, object->size));
		place_object(object);
		m.used += object->size;
	}
	return resets;
}

/* Statistics. */

/* clause 4: the arena counts each failure by its cause */
static void check_fails(const struct arena_stats *stats)
{
	CHECK(stats->fail_arg == m.fails[ARENA_FAIL_ARG]);
	CHECK(stats->fail_space >= m.fails[ARENA_FAIL_SPACE]);
	CHECK(stats->fail_memory >= m.fails[ARENA_FAIL_MEMORY]);
	CHECK(stats->fail_space + stats->fail_memory ==
	      m.fails[ARENA_FAIL_SPACE] + m.fails[ARENA_FAIL_MEMORY] + m.either);
	m.fails[ARENA_FAIL_SPACE] = stats->fail_space;
	m.fails[ARENA_FAIL_MEMORY] = stats->fail_memory;
	m.either = 0;
}

/* clauses 7 and 8: the statistics of the arena are those of the model */
static void check_quiet(void)
{
	struct arena_stats stats;

	arena_stats(m.arena, &stats);
	check_fails(&stats);
	check_actions();
	if (m.spans) {
		CHECK(stats.high >= m.high);
		m.high = stats.high;
	}
	CHECK(stats.generation == m.generation);
	CHECK(stats.capacity == m.capacity);
	CHECK(stats.used == m.used);
	CHECK(stats.high == m.high);
	CHECK(stats.used + stats.padding + stats.free == stats.capacity);
	CHECK(stats.free == m.capacity - m.high);
	CHECK(stats.peak >= max(m.peak, m.high) && stats.peak <= m.capacity);
	m.peak = stats.peak;
	CHECK(stats.allocs == m.allocs && stats.allocs >= m.allocs_seen);
	CHECK(stats.resets == m.resets);
	CHECK(stats.slab_size == m.slab);
	CHECK(stats.committed == stats.slabs * m.slab);
	CHECK(stats.committed <= stats.committed_peak);
	CHECK(stats.slabs <= arena_nr_slabs(m.arena) * (1 + m.readers));
	CHECK(stats.slabs <= stats.page_allocs + stats.pool_hits);
	CHECK(arena_offset(m.arena) == m.used);
	CHECK(arena_high(m.arena) == m.high);
}

/* Allocation. */

enum way {
	WAY_ALLOC, WAY_ZALLOC, WAY_ALIGNED, WAY_HANDLE, WAY_ARRAY, WAY_MEMDUP, WAY_MEMDUP_ALIGNED,
	WAY_STRDUP, WAY_STRNDUP, WAY_PRINTF, WAY_RESERVE, NR_WAYS
};

struct request {
	enum way		way;
	size_t			size;
	size_t			align;
	gfp_t			gfp;
	bool			zeroed;
	bool			copied;
	u8			fill;
	struct reservation	*reservation;
};

static const gfp_t gfps[] = {
	GFP_KERNEL, GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, ARENA_NOGROW, GFP_NOIO,
	GFP_KERNEL | __GFP_ZERO, GFP_ATOMIC | __GFP_ZERO,
};

static size_t get_align(struct input *in)
{
	unsigned int how = get_byte(in);

	return how < 240 ? 1UL << how % 17 : how & 1 ? 0 : how;
}

static void get_reserve(struct input *in, struct request *request)
{
	struct reservation *reservation = &m.reserves[get_byte(in) % RESERVES];

	memset(reservation, 0, sizeof(*reservation));
	reservation->nr = get_byte(in) % 32;
	reservation->size = request->size;
	reservation->align = request->align;
	request->reservation = reservation;
	if (!reservation->nr || !request->size || !is_power_of_2(request->align) ||
	    request->align > PAGE_SIZE || request->size > SIZE_MAX - request->align ||
	    check_mul_overflow((size_t)reservation->nr,
			       ALIGN(request->size, request->align), &request->size)) {
		request->size = 0;
		request->align = 1;
	}
	request->align = max(request->align, ARENA_MIN_ALIGN);
}

static struct request get_request(struct input *in)
{
	struct request request = { .align = ARENA_MIN_ALIGN, .fill = next_fill() };

	request.way = get_byte(in) % NR_WAYS;
	request.gfp = gfps[get_byte(in) % ARRAY_SIZE(gfps)];
	request.size = get_size(in, m.slab, m.capacity);
	switch (request.way) {
	case WAY_ZALLOC:
		request.zeroed = true;
		break;
	case WAY_ALIGNED:
		request.align = get_align(in);
		break;
	case WAY_MEMDUP_ALIGNED:
		request.align = get_align(in);
		request.copied = true;
		break;
	case WAY_MEMDUP:
		request.copied = true;
		break;
	case WAY_STRDUP:
	case WAY_STRNDUP:
	case WAY_PRINTF:
		request.size = request.size % (2 * m.slab) + 1;
		request.align = 1;
		request.copied = true;
		break;
	case WAY_RESERVE:
		request.align = get_align(in);
		get_reserve(in, &request);
		break;
	default:
		break;
	}
	request.zeroed |= (request.gfp & __GFP_ZERO || m.zero) && !request.copied;
	return request;
}

/* Fill source[] with what the call copies: @size bytes, or a string that takes @size bytes. */
static void make_source(const struct request *request)
{
	size_t size = min(request->size, sizeof(source));

	memset(source, request->fill, size);
	if (request->way >= WAY_STRDUP && size)
		source[size - 1] = 0;
}

static void *perform(const struct request *request, arena_handle_t *handle)
{
	size_t size = request->size;

	switch (request->way) {
	case WAY_ALLOC:
		return arena_alloc(m.arena, size, request->gfp);
	case WAY_ZALLOC:
		return arena_zalloc(m.arena, size, request->gfp);
	case WAY_ALIGNED:
		return arena_alloc_aligned(m.arena, size, request->align, request->gfp);
	case WAY_HANDLE:
		return arena_alloc_handle(m.arena, size, request->gfp, handle);
	case WAY_ARRAY:
		return size % 3 ? arena_alloc_array(m.arena, size, 1, request->gfp) :
				  arena_alloc_array(m.arena, size / 3, 3, request->gfp);
	case WAY_MEMDUP:
		return arena_memdup(m.arena, source, size, request->gfp);
	case WAY_MEMDUP_ALIGNED:
		return arena_memdup_aligned(m.arena, source, size, request->align, request->gfp);
	case WAY_STRDUP:
		return arena_strdup(m.arena, (char *)source, request->gfp);
	case WAY_STRNDUP:
		/* Overwrite the NUL: arena_strndup() must not read beyond size - 1 characters. */
		source[size - 1] = request->fill;
		return arena_strndup(m.arena, (char *)source, size - 1, request->gfp);
	case WAY_PRINTF:
		return arena_printf(m.arena, request->gfp, "%s", source);
	default:
		return arena_reserve(m.arena, &request->reservation->reserve,
				     request->reservation->nr, request->reservation->size,
				     request->reservation->align, request->gfp) ?
		       NULL : request->reservation->reserve.base;
	}
}

/*
 * Returns the error with which the request must fail; or 1 if it must fail unless a span has room
 * for the object; or 0, with *@place set to the offset that the object must have in a dense arena.
 * Sets *@cause to the cause that the arena counts if the request fails.
 */
static int expect(const struct request *request, size_t *place, unsigned int *cause)
{
	bool large = request->size > m.slab;
	size_t align = m.spans ? max(request->align, ARENA_MIN_ALIGN) : request->align;
	size_t at;

	*cause = FAILED_ARG;
	if (!request->size || !is_power_of_2(request->align) ||
	    request->align > (large ? PAGE_SIZE : m.slab))
		return -EINVAL;
	*cause = FAILED_SPACE;
	if (request->size > m.capacity)
		return -ENOSPC;
	*cause = FAILED_MEMORY;
	if (large && (request->gfp & GFP_KERNEL) != GFP_KERNEL)
		return -ENOMEM;
	at = ALIGN(m.high, large ? m.slab : align);
	if (!large && (at & (m.slab - 1)) + request->size > m.slab)
		at = ALIGN(at, m.slab);
	*place = at;
	if (at > m.capacity || request->size > m.capacity - at) {
		*cause = FAILED_SPACE;
		return m.spans && !large ? 1 : -ENOSPC;
	}
	if (!(request->gfp & ~__GFP_ZERO) && !arena_page_address(m.arena, at))
		return m.spans ? 1 : -ENOMEM;
	return 0;
}

static void check_contents(const struct request *request, const u8 *at)
{
	if (request->copied && request->way >= WAY_STRDUP)
		CHECK(filled(at, request->fill, request->size - 1) && !at[request->size - 1]);
	else if (request->copied)
		CHECK(filled(at, request->fill, request->size));
	else if (request->zeroed)
		CHECK(filled(at, 0, request->size));
}

/*
 * Record the failure of a request. @before is the cause that the model expected before the call.
 * The arena may have counted another cause in two cases: interrupts came, and the model now expects
 * the other cause; or the fuzzer made an allocation fail in arena_printf(), which first allocates a
 * buffer.
 */
static void failed_for(const struct request *request, unsigned int before, bool injected)
{
	unsigned int after, cause = before;
	size_t place;

	if (m.nr_events && before != FAILED_ARG && request->size <= m.capacity) {
		expect(request, &place, &after);
		if (after != before)
			cause = FAILED_EITHER;
	}
	if (injected && request->way == WAY_PRINTF)
		cause = FAILED_EITHER;
	count_failure(cause);
	if (request->reservation)
		CHECK(!request->reservation->reserve.base);
}

static void born(const struct request *request, struct object *object, size_t place)
{
	object->offset = object->named ? object->handle.offset :
					 offset_of(object->ptr, object->size);
	CHECK(IS_ALIGNED((unsigned long)object->ptr, request->align));
	CHECK(IS_ALIGNED(object->offset, request->align));
	check_contents(request, object->ptr);
	if (!m.spans && !m.nr_events) {
		CHECK(object->offset == place);
		m.high = place + object->size;
	} else {
		CHECK(arena_high(m.arena) >= m.high);
		m.high = arena_high(m.arena);
	}
	memset(object->ptr, object->fill, object->size);
	place_object(object);
	allocated(object->size);
	if (request->reservation) {
		request->reservation->made = true;
		request->reservation->live = true;
		request->reservation->rewinds = m.rewinds;
		request->reservation->fill = object->fill;
		request->reservation->offset = object->offset;
	}
}

/*
 * An interrupt has reset the arena during the call, before or after the allocation. The generation
 * in the handle or, without a handle, the number of used bytes shows whether the object is of the
 * new generation.
 */
static void born_or_dead(const struct request *request, struct object *object)
{
	bool alive = object->named ? object->handle.generation == m.generation :
				     arena_offset(m.arena) == m.used + object->size;

	if (object->named || !request->reservation)
		m.high = arena_high(m.arena);
	if (alive) {
		born(request, object, 0);
		return;
	}
	m.allocs++;
	forget(object);
}

static void op_alloc(struct input *in)
{
	struct request request = get_request(in);
	struct object object = {
		.size = request.size, .fill = request.fill, .named = request.way == WAY_HANDLE,
	};
	unsigned long injected = user_failed;
	bool was_reset;
	size_t place = 0;
	unsigned int cause;
	int expected;

	if (m.nr >= OBJECTS - EVENTS - 1)
		return;
	make_source(&request);
	expected = expect(&request, &place, &cause);
	arm(in);
	object.ptr = perform(&request, &object.handle);
	was_reset = after_interrupts(0, 0);
	if (object.ptr) {
		CHECK(expected >= 0 || m.nr_events);
		CHECK(expected != -EINVAL);
		if (was_reset)
			born_or_dead(&request, &object);
		else
			born(&request, &object, place);
		if (!m.spans)
			m.high = arena_high(m.arena);
	} else {
		CHECK(expected || m.nr_events || m.tight || user_failed != injected);
		if (request.reservation)
			request.reservation->made = false;
		m.high = arena_high(m.arena);
		failed_for(&request, cause, user_failed != injected);
	}
	check_quiet();
	m.nr_events = 0;
}

/*
 * Returns the error with which a batch must fail in a dense arena; or 0, with @at set to the
 * offsets of its parts, which follow one another from the cursor on.
 */
static int expect_batch(struct arena_part *part, unsigned int nr, size_t align, size_t *at)
{
	size_t used = 0, next = m.high;
	unsigned int i;

	if (!nr || !is_power_of_2(align) || align > m.slab)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (!part[i].bytes)
			return -EINVAL;
		used += part[i].bytes;
		if (used > m.capacity)
			return -ENOSPC;
	}
	for (i = 0; i < nr; i++) {
		next = ALIGN(next, align);
		if ((next & (m.slab - 1)) + part[i].bytes > m.slab)
			next = ALIGN(next, m.slab);
		if (next > m.capacity || part[i].bytes > m.capacity - next)
			return -ENOSPC;
		at[i] = next;
		next += part[i].bytes;
	}
	return 0;
}

static void count_batch_failure(int err)
{
	count_failure(err == -EINVAL ? FAILED_ARG : err == -ENOSPC ? FAILED_SPACE : FAILED_MEMORY);
}

static void born_in_batch(const struct arena_part *part, u8 fill, bool zeroed)
{
	struct object object = { .offset = part->offset, .size = part->bytes, .fill = next_fill() };

	object.ptr = arena_slab_base(m.arena, m.generation, part->offset) + part->offset % m.slab;
	if (part->src)
		CHECK(filled(object.ptr, fill, object.size));
	else if (zeroed)
		CHECK(filled(object.ptr, 0, object.size));
	memset(object.ptr, object.fill, object.size);
	place_object(&object);
	allocated(object.size);
}

static void op_batch(struct input *in)
{
	unsigned long failed = user_failed;
	unsigned int flags = get_byte(in), i;
	gfp_t gfp = GFP_KERNEL | (flags & 1 ? __GFP_ZERO : 0);
	struct arena_part part[BATCH] = { };
	struct arena_batch batch = { .part = part, .nr = flags >> 1 & (BATCH - 1) };
	size_t at[BATCH];
	u64 generation;
	int expected, err;
	u8 fill = next_fill();

	if (m.nr >= OBJECTS - BATCH - EVENTS)
		return;
	memset(source, fill, m.slab);
	batch.align = flags & 0x80 ? get_align(in) : ARENA_MIN_ALIGN;
	for (i = 0; i < batch.nr; i++) {
		part[i].bytes = get_size(in, m.slab, m.capacity) % (m.slab + 1);
		part[i].src = get_byte(in) & 1 ? source : NULL;
	}
	expected = expect_batch(part, batch.nr, batch.align, at);
	arm(in);
	err = arena_claim_batch(m.arena, &batch, gfp, &generation);
	after_interrupts(0, 0);
	if (err) {
		CHECK((err == -EINVAL) == (expected == -EINVAL));
		CHECK(err == expected || m.nr_events ||
		      (err == -ENOMEM && (m.tight || user_failed != failed)));
		count_batch_failure(err);
	} else if (generation != m.generation) {
		CHECK(m.nr_events && generation < m.generation);
		m.allocs += batch.nr;
	} else {
		/* If the cursor is exhausted, the batch may lie in the tail of a span. */
		CHECK(!expected || m.nr_events ||
		      (expected == -ENOSPC && m.spans && batch.end <= m.high));
		for (i = 0; i < batch.nr; i++) {
			CHECK(expected || m.nr_events ? IS_ALIGNED(part[i].offset, batch.align) :
							part[i].offset == at[i]);
			born_in_batch(&part[i], fill, m.zero || flags & 1);
		}
	}
	if (m.nr_events)
		m.high = arena_high(m.arena);
	else if (!err)
		m.high = max(m.high, batch.end);
	check_quiet();
	m.nr_events = 0;
}

static unsigned int count_pieces(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < m.nr_events; i++)
		nr += !!m.events[i].piece;
	return nr;
}

static void place_piece(struct reservation *reservation, const char *piece, size_t size)
{
	CHECK(piece >= (char *)reservation->reserve.base + reservation->end);
	reservation->end = piece + size - (char *)reservation->reserve.base;
	CHECK(reservation->end <= reservation->reserve.size);
	CHECK(filled(piece, reservation->fill, size));
	reservation->taken++;
}

/*
 * Record in the model what the operation and the interrupts took from the reservation. Each
 * interrupt may have come before or after the operation: the addresses show in which order they
 * came.
 */
static void place_pieces(struct reservation *reservation, const char *object, size_t size,
			 size_t align)
{
	unsigned int i;

	CHECK(IS_ALIGNED((unsigned long)object, align));
	for (i = 0; i < m.nr_events; i++) {
		const char *piece = m.events[i].piece;

		if (piece && object && object < piece) {
			place_piece(reservation, object, size);
			object = NULL;
		}
		if (piece)
			place_piece(reservation, piece, m.events[i].object.size);
	}
	if (object)
		place_piece(reservation, object, size);
}

/* clause 3: an allocation from a reservation cannot fail until the reservation is used up */
static void op_reserve_alloc(struct input *in)
{
	struct reservation *reservation = &m.reserves[get_byte(in) % RESERVES];
	size_t size, align;
	bool was_live;
	char *object;

	if (!reservation->made)
		return;
	/* clause 5: refused allocations take nothing from the reservation */
	CHECK(!arena_reserve_alloc(&reservation->reserve, 0, 8));
	CHECK(!arena_reserve_alloc(&reservation->reserve, 1, 0));
	CHECK(!arena_reserve_alloc(&reservation->reserve, 1, 24));
	CHECK(!arena_reserve_alloc(&reservation->reserve, SIZE_MAX, 1));
	CHECK(!arena_reserve_alloc(&reservation->reserve, SIZE_MAX - 7, reservation->align));
	size = 1 + get_short(in) % reservation->size;
	align = min(1UL << get_byte(in) % 13, reservation->align);
	m.shared_reserve = reservation;
	was_live = reservation->live;
	arm(in);
	object = arena_reserve_alloc(&reservation->reserve, size, align);
	m.shared_reserve = NULL;
	after_interrupts(0, 0);
	m.high = arena_high(m.arena);
	check_quiet();
	CHECK(was_live || !object);
	if (reservation->live) {
		CHECK(object || reservation->taken + count_pieces() >= reservation->nr);
		place_pieces(reservation, object, size, align);
	}
	m.nr_events = 0;
}

/* Resizing: clauses 3 and 28. */

/*
 * The end of the object that begins at @above has moved. Forget the marks above @above, as a rewind
 * to such a mark could cut the object short.
 */
static void forget_marks(size_t above)
{
	unsigned int i;

	for (i = 0; i < MARKS; i++)
		if (m.marks[i].mark.offset > above)
			memset(&m.marks[i], 0, sizeof(m.marks[i]));
}

/*
 * Returns whether the end of an object or reservation can move from @from to @to. It can move only
 * in a dense arena, only if nothing lies behind it, and only inside its slab. It can move back only
 * on a CPU with a state, as the arena subtracts the bytes from the counts there.
 */
static bool may_move_end(size_t from, size_t to)
{
	if (m.spans || from != m.high)
		return false;
	if (to <= from)
		return from / m.slab == to / m.slab &&
		       (from == to || !arena_cpu_missing(arena_cpu_find(m.arena)));
	return to <= m.capacity && (from - 1) / m.slab == (to - 1) / m.slab;
}

static void end_moved(size_t offset, size_t old, size_t new)
{
	if (new > old)
		take_bytes(offset + old, new - old);
	else
		memset(m.taken + offset + new, 0, old - new);
	m.used += new - old;
	m.high = arena_high(m.arena);
	if (!m.spans)
		CHECK(m.high == offset + new);
	m.peak = max(m.peak, offset + old);
	forget_marks(offset);
}

static bool is_reserved(size_t offset)
{
	unsigned int i;

	for (i = 0; i < RESERVES; i++)
		if (m.reserves[i].made && m.reserves[i].offset == offset)
			return true;
	return false;
}

static void op_resize(struct input *in)
{
	size_t new = get_size(in, m.slab, m.capacity), kept;
	unsigned int which = get_byte(in);
	struct object *object;
	bool expected, resized, moved;

	/* A caller must not resize an object that readers may be using. */
	if (!m.nr || m.reading)
		return;
	/* Resize the last object more often than others, because only the last one can grow. */
	object = &m.live[which & 1 ? (which >> 1) % m.nr : m.nr - 1];
	/* The object may be a reservation: arena_resize() must not be called for one. */
	if (is_reserved(object->offset))
		return;
	expected = new && !object->large && new <= m.slab &&
		   (object->offset & (m.slab - 1)) + max(object->size, new) <= m.slab &&
		   may_move_end(object->offset + object->size, object->offset + new);
	resized = arena_resize(m.arena, object->ptr, object->size, new);
	kept = min(object->size, new);
	CHECK(filled(object->ptr, object->fill, object->size < new ? object->size : kept));
	if (!resized) {
		CHECK(!new || new > object->size);
		CHECK(!expected);
		check_quiet();
		return;
	}
	moved = arena_offset(m.arena) == m.used + new - object->size;
	CHECK(m.spans || moved == (expected || new == object->size));
	CHECK(moved || new < object->size);
	if (moved && new != object->size) {
		if (new > object->size && m.zero)
			CHECK(filled((u8 *)object->ptr + object->size, 0, new - object->size));
		end_moved(object->offset, object->size, new);
	}
	object->size = new;
	memset(object->ptr, object->fill, new);
	check_quiet();
}

/*
 * In the model, the reservation is an object: shorten it to the part of the reservation that was
 * used.
 */
static void unreserved(const struct reservation *reservation, size_t used)
{
	unsigned int i;

	for (i = 0; i < m.nr; i++) {
		if (m.live[i].offset != reservation->offset)
			continue;
		m.live[i].size = used;
		if (!used)
			m.live[i] = m.live[--m.nr];
		return;
	}
}

static void op_unreserve(struct input *in)
{
	struct reservation *reservation = &m.reserves[get_byte(in) % RESERVES];
	struct arena_reserve *reserve = &reservation->reserve;
	size_t used, given;
	bool expected;

	if (!reservation->made)
		return;
	used = atomic_long_read(&reserve->used);
	expected = reservation->live && used < reserve->size &&
		   may_move_end(reserve->offset + reserve->size, reserve->offset + used);
	given = arena_unreserve(reserve);
	CHECK(!given || given == reserve->size - used);
	CHECK(m.spans || !!given == expected);
	CHECK(reservation->live || !given);
	CHECK(!arena_unreserve(reserve));
	CHECK(!arena_reserve_alloc(reserve, 1, 1));
	if (given) {
		end_moved(reserve->offset, reserve->size, used);
		unreserved(reservation, used);
	}
	reservation->made = false;
	reservation->live = false;
	check_quiet();
}

/* Resets. */

static void op_reset_keep(struct input *in)
{
	int err, expected;

	reader_ends();
	verify(m.live, m.nr);
	arm(in);
	expected = expect_reset();
	err = arena_reset(m.arena);
	if (m.nr_events)
		CHECK(!err || err == -EBUSY);
	else
		CHECK(err == expected);
	after_interrupts(!err, 0);
	m.high = arena_high(m.arena);
	check_quiet();
	m.nr_events = 0;
}

static void op_reset_rcu(struct input *in)
{
	bool retiring = m.retiring;
	int err, expected = retiring ? -EBUSY : expect_reset();

	if (!m.readers)
		expected = -EOPNOTSUPP;
	arm(in);
	err = arena_reset_rcu(m.arena);
	if (m.nr_events && m.readers)
		CHECK((!err && !retiring) || err == -EBUSY);
	else
		CHECK(err == expected);
	after_interrupts(!err, !err);
	m.high = arena_high(m.arena);
	check_quiet();
	m.nr_events = 0;
}

static void check_asleep(bool zero, size_t keep)
{
	struct arena_stats stats;
	unsigned int i;

	for (i = 0; zero && i < m.nr; i++)
		if (!m.live[i].large)
			CHECK(filled(m.live[i].ptr, 0, m.live[i].size));
	if (zero)
		return;
	arena_stats(m.arena, &stats);
	CHECK(stats.slabs <= DIV_ROUND_UP(min(keep, m.capacity), m.slab));
	CHECK(stats.slabs == stats.slabs_kept);
}

/*
 * Record in the model a reset that may sleep. In the course of it, arena_reset_rcu() fails for a
 * while, and the reset waits for the readers of the slab set that the last arena_reset_rcu() left.
 * If an interrupt called arena_reset_rcu() before that wait, the readers of the set that this call
 * left are gone; if after the wait, they may still be there. arena->retiring shows which of the two
 * happened.
 */
static void settle_asleep(void)
{
	unsigned int i;
	bool flipped = false;

	for (i = 0; i < m.nr_events; i++) {
		flipped |= m.events[i].flipped;
		m.events[i].flipped = false;
	}
	after_interrupts(1, 0);
	m.retiring = flipped && READ_ONCE(m.arena->retiring);
	m.retire_waits = false;
	m.wrapping &= READ_ONCE(m.arena->wrapping);
}

static void op_reset_asleep(struct input *in)
{
	unsigned int how = get_byte(in);
	size_t keep = how & 2 ? 0 : get_short(in) * 16UL;

	reader_ends();
	/*
	 * The reset may wait for an RCU callback, which the shim would run only after 64 waits. Run
	 * the callback now.
	 */
	if (crosses(m.generation))
		time_passes(true, false);
	verify(m.live, m.nr);
	arm(in);
	if (how & 1)
		arena_reset_zero(m.arena);
	else
		arena_reset_release(m.arena, keep);
	if (!m.nr_events)
		check_asleep(how & 1, keep);
	m.retiring = false;
	settle_asleep();
	m.high = arena_high(m.arena);
	check_quiet();
	m.nr_events = 0;
}

/*
 * Reset the arena, which frees all objects, and set its generation far ahead, as if many more
 * resets had followed: to shortly before the tag wraps or enters another part of its range, or to a
 * generation with nearly the present tag, one wrap later.
 */
static void op_jump(struct input *in)
{
	unsigned int how = get_byte(in);
	u64 part = (u64)ARENA_TAG_EIGHTH << (how & 3), generation;

	reader_ends();
	time_passes(true, true);
	verify(m.live, m.nr);
	if (arena_reset(m.arena))
		return;
	empty_model(arena_snap(m.arena).generation);
	generation = ALIGN(m.generation + 1, part) - (1 + (how >> 2 & 7)) * ARENA_GEN_STEP;
	if (how & 0x80)
		generation = ALIGN_DOWN(m.generation, ARENA_GEN_STEP) - ARENA_GEN_STEP +
			     BIT(ARENA_TAG_BITS);
	if (generation <= m.generation)
		return;
	arena_set_generation(m.arena, generation);
	m.generation = generation;
	check_quiet();
}

/* Marks and rewinds (clause 12). */

/*
 * Returns whether the arena may report a valid handle, mark or reservation as stale: it may do so
 * after ARENA_REWINDS further rewinds. @rewinds is the number of rewinds before the handle, mark or
 * reservation was made.
 */
static bool may_be_forgotten(unsigned int rewinds)
{
	return m.rewinds - rewinds >= ARENA_REWINDS;
}

static void op_mark(struct input *in)
{
	struct taken_mark *taken = &m.marks[get_byte(in) % MARKS];
	struct arena_mark mark;
	int err;

	arm(in);
	err = arena_mark(m.arena, &mark);
	after_interrupts(0, 0);
	m.high = arena_high(m.arena);
	check_quiet();
	CHECK(err == (m.spans ? -EOPNOTSUPP : 0));
	if (!err && !m.nr_events) {
		CHECK(mark.generation == m.generation);
		CHECK(mark.offset == m.high && mark.used == m.used);
	}
	if (!err)
		*taken = (struct taken_mark) {
			.mark = mark, .used = mark.used, .rewinds = m.rewinds,
			.good = mark.generation == m.generation,
		};
	m.nr_events = 0;
}

static void rewound_objects(size_t offset)
{
	unsigned int i, nr = 0;

	for (i = 0; i < m.nr; i++) {
		if (m.live[i].offset < offset)
			m.live[nr++] = m.live[i];
		else
			forget(&m.live[i]);
	}
	m.nr = nr;
}

static void rewound(const struct taken_mark *taken)
{
	size_t offset = taken->mark.offset;
	unsigned int i;

	rewound_objects(offset);
	actions_die(offset);
	m.used = taken->used;
	m.peak = max(m.peak, m.high);
	m.rewinds += m.generation != arena_snap(m.arena).generation;
	memset(m.taken + offset, 0, m.capacity - offset);
	for (i = 0; i < MARKS; i++)
		m.marks[i].good &= m.marks[i].mark.offset <= offset;
	for (i = 0; i < RESERVES; i++) {
		struct reservation *reservation = &m.reserves[i];

		reservation->live &= reservation->offset < offset;
		reservation->made &= !may_be_forgotten(reservation->rewinds);
	}
}

/* Rewind to a mark that was never made. */
static void rewind_forged(struct input *in, struct arena_mark mark)
{
	int err = -ESTALE;

	switch (get_byte(in)) {
	case 0:
		mark.used = mark.offset + 1;
		err = -EINVAL;
		break;
	case 1:
		mark.generation = m.generation + 1;
		break;
	case 2:
		mark.generation = m.generation;
		mark.offset = m.high + 1;
		mark.used = 0;
		break;
	default:
		return;
	}
	CHECK(arena_rewind(m.arena, &mark) == (m.spans ? -EOPNOTSUPP : err));
}

static void op_rewind(struct input *in)
{
	struct taken_mark *taken = &m.marks[get_byte(in) % MARKS];
	unsigned long failed;
	bool here;
	int err;

	reader_ends();
	verify(m.live, m.nr);
	rewind_forged(in, taken->mark);
	failed = user_failed;
	here = taken->mark.generation == m.generation && taken->mark.offset == m.high;
	arm(in);
	err = arena_rewind(m.arena, &taken->mark);
	if (m.spans)
		CHECK(err == -EOPNOTSUPP);
	else if (!taken->good)
		CHECK(err == -ESTALE);
	else if (err == -ESTALE)
		CHECK(m.nr_events || may_be_forgotten(taken->rewinds));
	else if (err == -ENOMEM)
		CHECK(user_failed != failed);
	else if (m.nr_events)
		CHECK(!err || err == -EBUSY);
	else
		CHECK(err == (here ? 0 : expect_reset()));
	if (!err)
		rewound(taken);
	if (!after_interrupts(0, 0))
		generation_is(arena_snap(m.arena).generation);
	/*
	 * Run the reaper, which unmaps views: if a refused rewind has wrongly made the reaper unmap
	 * views of live objects, the checks below notice.
	 */
	if (err)
		user_run_works();
	m.high = arena_high(m.arena);
	if (!err && !m.nr_events)
		CHECK(m.high == taken->mark.offset);
	verify(m.live, m.nr);
	check_quiet();
	m.nr_events = 0;
}

static void op_action(struct input *in)
{
	struct request request = {
		.size = ARENA_WORD, .align = ARENA_MIN_ALIGN,
		.gfp = gfps[get_byte(in) % ARRAY_SIZE(gfps)],
	};
	unsigned long injected = user_failed;
	struct action *action;
	unsigned int cause;
	size_t place = 0;
	int expected, err;

	if (m.nr_actions == ACTIONS) {
		/* The table is full, and remains so until a reset runs all of the actions. */
		check_actions();
		return;
	}
	action = &m.actions[m.nr_actions++];
	*action = (struct action) { .generation = m.generation };
	expected = expect(&request, &place, &cause);
	err = arena_add_action(m.arena, act, action, request.gfp);
	CHECK(!action->ran);
	if (err) {
		m.nr_actions--;
		CHECK(expected || m.tight || user_failed != injected);
		count_failure(injected != user_failed ? FAILED_EITHER : cause);
	} else {
		CHECK(expected >= 0);
		action->offset = place;
		if (!m.spans)
			take_bytes(place, ARENA_WORD);
		allocated(ARENA_WORD);
	}
	m.high = arena_high(m.arena);
	check_quiet();
}

/* Handles (clause 13). */

static void op_deref(struct input *in)
{
	unsigned int i = get_byte(in);
	struct object *object = m.nr ? &m.live[i % m.nr] : NULL;
	void *found;

	if (object && (!object->large || object->named)) {
		/*
		 * arena_owns() cannot know an address in a view here, as is_vmalloc_addr() returns
		 * false.
		 */
		CHECK(object->large || arena_owns(m.arena, (u8 *)object->ptr + object->size - 1));
		if (!object->named) {
			object->handle = arena_handle(m.arena, object->ptr);
			object->rewinds = m.rewinds;
			object->named = true;
		}
		found = arena_deref(m.arena, object->handle);
		CHECK(found == object->ptr ||
		      (!found && may_be_forgotten(object->rewinds)));
	}
	if (m.nr_stale) {
		i %= min_t(unsigned int, m.nr_stale, STALES);
		CHECK(!arena_deref(m.arena, m.stale[i]));
	}
}

static void op_forged(struct input *in)
{
	arena_handle_t handle = {
		.generation = m.generation + (get_byte(in) & 3) - 1,
		.offset = get_short(in) * 8ULL | (u64)(get_byte(in) & 1) << 40,
	};
	void *found = arena_deref(m.arena, handle);

	if (found) {
		CHECK(handle.offset < m.high);
		CHECK(arena_owns(m.arena, found));
	}
	/* Forge a generation with the present tag, one wrap of the tag later or earlier. */
	handle.generation = m.generation + (get_byte(in) & 1 ? 1 : -1UL) * BIT(ARENA_TAG_BITS);
	CHECK(!arena_deref(m.arena, handle));
	CHECK(!arena_owns(m.arena, source));
	handle = arena_handle(m.arena, source);
	CHECK(!arena_deref(m.arena, handle));
}

/* Other operations. */

static void op_populate(struct input *in)
{
	unsigned int how = get_byte(in);
	gfp_t gfp = gfps[how % ARRAY_SIZE(gfps)];
	unsigned long failed = user_failed;
	size_t bytes = get_short(in) * 16UL, at;
	bool was_reset;
	int err;

	if (how > 240)
		bytes = how & 1 ? SIZE_MAX - bytes : m.capacity + 1;
	arm(in);
	err = arena_populate(m.arena, bytes, gfp);
	was_reset = after_interrupts(0, 0);
	if (bytes > m.capacity)
		CHECK(err == -EINVAL);
	else if (err)
		CHECK(err == -ENOMEM && (user_failed != failed || !(gfp & ~__GFP_ZERO) ||
					 m.tight || m.nr_events));
	for (at = 0; !err && !was_reset && at < bytes; at += m.slab)
		CHECK(arena_page_address(m.arena, at));
	m.high = arena_high(m.arena);
	check_quiet();
	m.nr_events = 0;
}

static void get_config(struct input *in, struct arena_config *config)
{
	unsigned int flags = get_byte(in), shape = get_byte(in);

	*config = (struct arena_config) {
		.name = "fuzz",
		.slab_size = shape & 7 ? PAGE_SIZE << (shape & 4 ? 5 : shape & 3) : 0,
		.capacity = (get_short(in) << 3 >> 2 * (shape >> 4 & 3)) + 1,
		.node = shape >> 6 & 1,
		.flags = (flags & 1 ? ARENA_SPANS : 0) | (flags & 2 ? ARENA_ZERO : 0) |
			 (flags & 4 ? ARENA_READERS : 0) | (flags & 8 ? ARENA_ON_NODE : 0) |
			 (flags & 0x30 ? 0 : ARENA_ACCOUNT),
	};
	if (!(flags & 0x40))
		config->capacity = ALIGN(config->capacity, 8);
	m.tight = (flags & 0x80) && (flags & 0x40);
	*user_param_max_total_mb = m.tight ? 1 : 0;
}

static bool create(struct input *in)
{
	struct arena_config config;
	bool tight;
	unsigned long failed = user_failed;

	get_config(in, &config);
	tight = m.tight;
	memset(&m, 0, sizeof(m));
	m.tight = tight;
	m.arena = arena_create(&config);
	if (IS_ERR(m.arena)) {
		CHECK(PTR_ERR(m.arena) == -ENOMEM && (user_failed != failed || m.tight));
		m.arena = NULL;
		return false;
	}
	m.spans = config.flags & ARENA_SPANS;
	m.zero = config.flags & ARENA_ZERO || user_init_on_alloc;
	m.readers = config.flags & ARENA_READERS;
	m.capacity = config.capacity;
	CHECK(arena_capacity(m.arena) == m.capacity);
	m.slab = arena_slab_size(m.arena);
	CHECK(!config.slab_size || m.slab == config.slab_size);
	m.generation = arena_snap(m.arena).generation;
	user_waiting = reader_ends;
	check_quiet();
	return true;
}

static void destroy(void)
{
	if (!m.arena)
		return;
	verify(m.live, m.nr);
	reader_ends();
	user_fail_nth = 0;
	arena_destroy(m.arena);
	m.arena = NULL;
	m.retiring = false;
	actions_die(0);
	check_actions();
}

static void op_misc(struct input *in)
{
	unsigned int how = get_byte(in);

	switch (how & 7) {
	case 0:
		user_shrink(how >> 3 & 1, how);
		break;
	case 1:
		CHECK(arena_get(m.arena) == m.arena);
		arena_put(m.arena);
		break;
	case 2:
		user_fail_nth = 1 + (how >> 3) % 8;
		user_fragmented = how & 0x40;
		break;
	case 3:
		verify(m.live, m.nr);
		if (m.reading)
			verify(m.seen, m.nr_seen);
		break;
	case 4:
		if (how > 200) {
			destroy();
			create(in);
		}
		break;
	default:
		time_passes(how & 8, how & 16);
	}
}

static void step(struct input *in)
{
	unsigned int op = get_byte(in);

	user_self.cpu = op >> 6;
	user_self.task = &fuzz_tasks[op >> 5 & 1 && get_byte(in) & 1];
	switch (op & 31) {
	case 0:
		op_reset_keep(in);
		break;
	case 1:
		op_reset_asleep(in);
		break;
	case 2:
		op_reset_rcu(in);
		break;
	case 3:
		op_jump(in);
		break;
	case 4:
		op_mark(in);
		break;
	case 5:
	case 6:
		op_rewind(in);
		break;
	case 7:
		op_mark(in);
		break;
	case 8:
		op_deref(in);
		break;
	case 9:
		op_forged(in);
		break;
	case 10:
	case 11:
		op_reserve_alloc(in);
		break;
	case 12:
		reader_begins();
		break;
	case 13:
		reader_ends();
		break;
	case 14:
		op_populate(in);
		break;
	case 15:
		op_misc(in);
		break;
	case 16:
		op_batch(in);
		break;
	case 21:
		if (get_byte(in) & 3)
			op_resize(in);
		else
			op_unreserve(in);
		break;
	case 24:
		op_action(in);
		break;
	default:
		op_alloc(in);
	}
}

void fuzz_shared(struct input *in)
{
	bool made = create(in);

	while (made && in->left) {
		step(in);
		made = m.arena;
	}
	destroy();
	user_self.fuse = 0;
	user_waiting = NULL;
	user_interrupt = NULL;
	*user_param_max_total_mb = 0;
}
