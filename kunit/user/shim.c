// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs, RCU, work items, locks and pages, as the kernel has them, implemented for a user program.
 */
#include "shim.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/core.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define poison(at, size)	ASAN_POISON_MEMORY_REGION(at, size)
#define unpoison(at, size)	ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define poison(at, size)	((void)(at), (void)(size))
#define unpoison(at, size)	((void)(at), (void)(size))
#endif

__thread struct user_thread user_self;
void (*user_interrupt)(void);
void (*user_waiting)(void);
void (*user_reclaim)(void);
bool user_nmi, user_preempting, user_expect_warning, user_warned;
bool user_rcu_idle;
bool user_init_on_alloc, user_init_on_free;
unsigned long user_fail_nth, user_failed, user_fence;
bool user_fragmented;
unsigned long user_ram_pages = SZ_64M >> PAGE_SHIFT;
long user_blocks, user_objects;
int user_planted;

void user_die(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* Threads and CPUs. */

void put_pid(struct pid *pid)
{
	if (pid)
		WARN_ON(__atomic_sub_fetch(&pid->refs, 1, __ATOMIC_ACQ_REL) < 0);
}

static struct user_cpu {
	pthread_mutex_t lock __aligned(64);
} cpus[USER_CPUS] = {
	[0 ... USER_CPUS - 1] = { PTHREAD_MUTEX_INITIALIZER }
};

static unsigned long epoch = 1;
static struct user_reading {
	unsigned long since __aligned(64);	/* epoch in which the reader began; 0: no reader */
} reading[USER_THREADS];
static int nr_threads;

static unsigned long next_random(void)
{
	user_self.seed = user_self.seed * 6364136223846793005UL + 1442695040888963407UL;
	return user_self.seed >> 33;
}

void user_thread_start(int cpu, struct task_struct *task)
{
	int id = __atomic_fetch_add(&nr_threads, 1, __ATOMIC_RELAXED);

	if (id >= USER_THREADS - 1)
		user_die(__FILE__, __LINE__, "too many threads");
	user_self = (struct user_thread) {
		.cpu = cpu, .task = task, .seed = cpu + 1, .reading = &reading[id].since,
	};
}

/* Forget the thread that started last, for tests that join all their threads. */
void user_thread_stop(void)
{
	WARN_ON(user_self.preempt || user_self.readers);
	__atomic_fetch_sub(&nr_threads, 1, __ATOMIC_RELAXED);
}

bool user_threads;

/*
 * Threads stand for CPUs, but the machine may preempt a thread at any time, even one that has
 * interrupts off. A loop that waits for another thread calls this function, which sleeps now and
 * then, so that the other thread can run even on a busy machine.
 */
void user_yield(void)
{
	static __thread unsigned int calls;

	if (user_self.roams)
		sched_yield();
	if (user_threads && !(++calls % 64))
		usleep(1000);
}

static void reader_enter(void)
{
	if (!user_self.readers++)
		__atomic_exchange_n(user_self.reading, __atomic_load_n(&epoch, __ATOMIC_RELAXED),
				    __ATOMIC_SEQ_CST);
}

static void reader_leave(void)
{
	if (!--user_self.readers)
		__atomic_store_n(user_self.reading, 0, __ATOMIC_RELEASE);
}

void user_cpu_take(void)
{
	pthread_mutex_lock(&cpus[user_self.cpu].lock);
	reader_enter();
}

/*
 * The thread has enabled preemption. If user_self.roams is set, the thread may go on as another
 * CPU.
 */
void user_cpu_give(void)
{
	int cpu = user_self.cpu;

	reader_leave();
	if (user_self.roams && !(next_random() & 7))
		user_self.cpu = next_random() % USER_CPUS;
	pthread_mutex_unlock(&cpus[cpu].lock);
}

/*
 * Run user_interrupt(), as user_self.fuse has reached 0. If interrupts or preemption are off, so
 * that it must not run here, set the fuse to try again at the next place.
 */
void user_burnt(void)
{
	struct user_thread *self = &user_self;
	enum user_context before = self->context;

	if (!user_interrupt)
		return;
	if (user_preempting ? self->preempt || self->readers : self->irqs_off && !user_nmi) {
		self->fuse = 1;
		return;
	}
	if (user_preempting) {
		user_interrupt();
		return;
	}
	if (!self->preempt++)
		user_cpu_take();
	self->context = user_nmi ? USER_NMI : USER_HARDIRQ;
	self->irqs_off++;
	user_interrupt();
	self->irqs_off--;
	self->context = before;
	if (!--self->preempt)
		user_cpu_give();
}

void user_might_sleep(const char *file, int line)
{
	user_warn(user_self.preempt || user_self.irqs_off || user_self.readers ||
		  user_self.context != USER_TASK, file, line, "sleeps where one may not");
}

void user_might_alloc(gfp_t gfp, const char *file, int line)
{
	if (gfpflags_allow_blocking(gfp))
		user_might_sleep(file, line);
}

/*
 * Call the hook of a test where the kernel could reclaim memory. As in the kernel, reclaim does not
 * recurse.
 */
static void reclaim(gfp_t gfp)
{
	void (*hook)(void) = user_reclaim;

	if (likely(!hook) || !gfpflags_allow_blocking(gfp))
		return;
	user_reclaim = NULL;
	hook();
	user_reclaim = hook;
}

/*
 * RCU. The epoch is a number that grows with each call of synchronize_rcu() and call_rcu_hurry().
 * The grace period of a call is over when no reader of an older epoch is left.
 */

static pthread_mutex_t rcu_queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t rcu_run_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *rcu_first, **rcu_last = &rcu_first;
static unsigned long rcu_queued, rcu_done;

void rcu_read_lock(void)
{
	user_point();
	reader_enter();
}

void rcu_read_unlock(void)
{
	reader_leave();
	user_point();
}

void user_reader_begin(void)
{
	__atomic_exchange_n(&reading[USER_THREADS - 1].since, epoch, __ATOMIC_SEQ_CST);
}

void user_reader_end(void)
{
	__atomic_store_n(&reading[USER_THREADS - 1].since, 0, __ATOMIC_RELEASE);
}

static bool older_readers(unsigned long than)
{
	int i;

	for (i = 0; i < USER_THREADS; i++) {
		unsigned long since = __atomic_load_n(&reading[i].since, __ATOMIC_SEQ_CST);

		if (since && since < than)
			return true;
	}
	return false;
}

/* How many times in a row this thread has waited for a grace period in one line of the source. */
static __thread unsigned int waits_here;
static __thread int waits_line;

void user_synchronize_rcu(const char *file, int line)
{
	unsigned long target;

	user_might_sleep(file, line);
	target = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
	while (older_readers(target)) {
		if (user_waiting)
			user_waiting();
		sched_yield();
	}
	/*
	 * In a kernel, RCU callbacks run while a task waits for grace periods in a loop. Here they
	 * run after 64 such waits.
	 */
	waits_here = line == waits_line ? waits_here + 1 : 0;
	waits_line = line;
	if (user_waiting && waits_here >= 64)
		user_rcu_poll();
}

void call_rcu_hurry(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	user_point();
	head->func = func;
	head->next = NULL;
	head->epoch = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&rcu_queue_lock);
	*rcu_last = head;
	rcu_last = &head->next;
	rcu_queued++;
	pthread_mutex_unlock(&rcu_queue_lock);
}

static struct rcu_head *rcu_take(void)
{
	struct rcu_head *head;

	pthread_mutex_lock(&rcu_queue_lock);
	head = rcu_first;
	if (head && older_readers(head->epoch))
		head = NULL;
	if (head) {
		rcu_first = head->next;
		if (!rcu_first)
			rcu_last = &rcu_first;
	}
	pthread_mutex_unlock(&rcu_queue_lock);
	return head;
}

/* Run the callbacks whose grace periods are over, one after another, in softirq context. */
void user_rcu_poll(void)
{
	struct rcu_head *head;

	user_might_sleep(__FILE__, __LINE__);
	pthread_mutex_lock(&rcu_run_lock);
	while ((head = rcu_take())) {
		preempt_disable();
		user_self.context = USER_SOFTIRQ;
		head->func(head);
		user_self.context = USER_TASK;
		preempt_enable();
		__atomic_fetch_add(&rcu_done, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&rcu_run_lock);
}

void user_rcu_barrier(const char *file, int line)
{
	unsigned long wanted;

	pthread_mutex_lock(&rcu_queue_lock);
	wanted = rcu_queued;
	pthread_mutex_unlock(&rcu_queue_lock);
	while (__atomic_load_n(&rcu_done, __ATOMIC_ACQUIRE) < wanted) {
		user_synchronize_rcu(file, line);
		user_rcu_poll();
	}
}

/* Work items: they run, in task context, when a test calls user_run_works(). */

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t work_run_lock = PTHREAD_MUTEX_INITIALIZER;
static struct work_struct *works;

bool schedule_work(struct work_struct *work)
{
	bool queued;

	user_point();
	pthread_mutex_lock(&work_lock);
	queued = !work->pending;
	if (queued) {
		work->pending = true;
		work->next = works;
		works = work;
	}
	pthread_mutex_unlock(&work_lock);
	return queued;
}

static bool work_take(struct work_struct *work)
{
	struct work_struct **link;
	bool found = false;

	pthread_mutex_lock(&work_lock);
	for (link = &works; *link && *link != work; link = &(*link)->next)
		;
	if (*link) {
		*link = work->next;
		work->pending = false;
		found = true;
	}
	pthread_mutex_unlock(&work_lock);
	return found;
}

static struct work_struct *work_first(void)
{
	struct work_struct *work;

	pthread_mutex_lock(&work_lock);
	work = works;
	if (work) {
		works = work->next;
		work->pending = false;
	}
	pthread_mutex_unlock(&work_lock);
	return work;
}

void user_run_works(void)
{
	struct work_struct *work;

	user_might_sleep(__FILE__, __LINE__);
	pthread_mutex_lock(&work_run_lock);
	while ((work = work_first()))
		work->func(work);
	pthread_mutex_unlock(&work_run_lock);
}

bool cancel_work_sync(struct work_struct *work)
{
	bool pending = work_take(work);

	user_might_sleep(__FILE__, __LINE__);
	pthread_mutex_lock(&work_run_lock);
	pthread_mutex_unlock(&work_run_lock);
	return pending;
}

bool flush_work(struct work_struct *work)
{
	user_run_works();
	return !work->pending;
}

/* Locks. */

void raw_spin_lock_init(raw_spinlock_t *lock)
{
	pthread_mutex_init(&lock->lock, NULL);
	lock->owner = 0;
}

void raw_spin_lock(raw_spinlock_t *lock)
{
	preempt_disable();
	pthread_mutex_lock(&lock->lock);
	lock->owner = user_self.cpu + 1;
}

bool raw_spin_trylock(raw_spinlock_t *lock)
{
	preempt_disable();
	if (!pthread_mutex_trylock(&lock->lock)) {
		lock->owner = user_self.cpu + 1;
		return true;
	}
	preempt_enable();
	return false;
}

void raw_spin_unlock(raw_spinlock_t *lock)
{
	lock->owner = 0;
	pthread_mutex_unlock(&lock->lock);
	preempt_enable();
}

void mutex_init(struct mutex *mutex)
{
	pthread_mutex_init(&mutex->lock, NULL);
	mutex->owner = NULL;
}

void user_mutex_lock(struct mutex *mutex, const char *file, int line)
{
	user_might_sleep(file, line);
	if (__atomic_load_n(&mutex->owner, __ATOMIC_RELAXED) == &user_self)
		user_die(file, line, "waits for itself");
	pthread_mutex_lock(&mutex->lock);
	__atomic_store_n(&mutex->owner, &user_self, __ATOMIC_RELAXED);
	user_point();
}

bool mutex_trylock(struct mutex *mutex)
{
	if (pthread_mutex_trylock(&mutex->lock))
		return false;
	__atomic_store_n(&mutex->owner, &user_self, __ATOMIC_RELAXED);
	user_point();
	return true;
}

void mutex_unlock(struct mutex *mutex)
{
	__atomic_store_n(&mutex->owner, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&mutex->lock);
	user_point();
}

/* Small objects. */

static bool must_fail(void)
{
	unsigned long nth = __atomic_load_n(&user_fail_nth, __ATOMIC_RELAXED);

	if (likely(!nth))
		return false;
	__atomic_store_n(&user_fail_nth, nth - 1, __ATOMIC_RELAXED);
	if (nth != 1)
		return false;
	user_failed++;
	return true;
}

void *user_kmalloc(size_t size, gfp_t gfp)
{
	void *object;

	might_alloc(gfp);
	reclaim(gfp);
	if (must_fail() || size > SZ_64M)
		return NULL;
	object = gfp & __GFP_ZERO || user_init_on_alloc ? calloc(1, size ?: 1) :
							  malloc(size ?: 1);
	if (object)
		__atomic_fetch_add(&user_objects, 1, __ATOMIC_RELAXED);
	return object;
}

void kfree(const void *object)
{
	if (IS_ERR_OR_NULL(object))
		return;
	__atomic_fetch_sub(&user_objects, 1, __ATOMIC_RELAXED);
	free((void *)object);
}

char *kvasprintf(gfp_t gfp, const char *fmt, va_list args)
{
	va_list again;
	char *string;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	string = kmalloc(len + 1, gfp);
	if (string)
		vsnprintf(string, len + 1, fmt, args);
	return string;
}

/*
 * Pages. block_cut() cuts a new block from a file in memory, and a gap of the same size behind it.
 * A freed block goes to the end of the list of free blocks of its order, so that it is reused late.
 */
#define RAM_PAGES	(SZ_1G >> PAGE_SHIFT)

static struct page pages[RAM_PAGES];
static char *ram;
static int ram_fd;
static size_t ram_cut;
static pthread_mutex_t ram_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list_head ram_free[MAX_PAGE_ORDER + 1];

__attribute__((__constructor__))
static void ram_init(void)
{
	static struct task_struct main_task;
	size_t i;

	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	if (ram_fd < 0 || ftruncate(ram_fd, SZ_1G))
		user_die(__FILE__, __LINE__, "no memory file");
	/* Align the mapping of the file to the size of the largest block. */
	ram = mmap(NULL, SZ_1G + SZ_4M, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	ram = PTR_ALIGN(ram, SZ_4M);
	if (mmap(ram, SZ_1G, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
		 ram_fd, 0) == MAP_FAILED)
		user_die(__FILE__, __LINE__, "no memory");
	for (i = 0; i < ARRAY_SIZE(ram_free); i++)
		INIT_LIST_HEAD(&ram_free[i]);
	user_thread_start(0, &main_task);
	if (getenv("PLANTED_BUG"))
		user_planted = atoi(getenv("PLANTED_BUG"));
}

void *page_address(const struct page *page)
{
	return ram + ((size_t)(page - pages) << PAGE_SHIFT);
}

bool virt_addr_valid(const void *address)
{
	return (size_t)((const char *)address - ram) < SZ_1G;
}

/* Returns the page at @address. A page that was never in a block is its own head. */
struct page *virt_to_page(const void *address)
{
	struct page *page = &pages[((const char *)address - ram) >> PAGE_SHIFT];

	if (!virt_addr_valid(address))
		user_die(__FILE__, __LINE__, "the page of what is in none");
	if (!page->head)
		page->head = page;
	return page;
}

static struct page *block_cut(unsigned int order)
{
	size_t bytes = PAGE_SIZE << order, i;
	struct page *page;

	ram_cut = ALIGN(ram_cut, 2 * bytes);
	if (ram_cut + 2 * bytes > SZ_1G)
		return NULL;
	page = &pages[ram_cut >> PAGE_SHIFT];
	poison(ram + ram_cut, 2 * bytes);
	ram_cut += 2 * bytes;
	for (i = 0; i < 1UL << order; i++)
		page[i].head = page;
	page->order = order;
	return page;
}

static struct page *block_get(unsigned int order)
{
	struct page *page;

	pthread_mutex_lock(&ram_lock);
	page = list_first_entry_or_null(&ram_free[order], struct page, lru);
	if (page)
		list_del(&page->lru);
	else
		page = block_cut(order);
	pthread_mutex_unlock(&ram_lock);
	return page;
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order)
{
	struct page *page;
	void *block;

	might_alloc(gfp);
	reclaim(gfp);
	if (WARN_ON(order > MAX_PAGE_ORDER || !(gfp & __GFP_COMP)) || must_fail())
		return NULL;
	if (unlikely(order && READ_ONCE(user_fragmented))) {
		__atomic_fetch_add(&user_failed, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	page = block_get(order);
	if (!page)
		return NULL;
	block = page_address(page);
	unpoison(block, PAGE_SIZE << order);
	memset(block, want_init_on_alloc(gfp) ? 0 : 0xa5, PAGE_SIZE << order);
	page->private = 0;
	page->node = node;
	atomic_set(&page->refs, 1);
	__atomic_fetch_add(&user_blocks, 1, __ATOMIC_RELAXED);
	return page;
}

void get_page(struct page *page)
{
	WARN_ON(atomic_inc_return(&page->head->refs) <= 1);
}

void put_page(struct page *page)
{
	int left;

	page = page->head;
	left = atomic_add_return(-1, &page->refs);
	WARN_ON(left < 0);
	if (left)
		return;
	poison(page_address(page), PAGE_SIZE << page->order);
	__atomic_fetch_sub(&user_blocks, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&ram_lock);
	list_add_tail(&page->lru, &ram_free[page->order]);
	pthread_mutex_unlock(&ram_lock);
}

/*
 * Views lie in a stretch of addresses of their own, one after the other, each with a gap that
 * faults behind it. When the last one goes, the stretch begins anew.
 */
#define VIEW_PAGES	(64UL * (SZ_1G >> PAGE_SHIFT))

static char *views;
static struct page **view_pages;	/* the page at each address, NULL in gaps */
static void **view_entries;		/* what xa_store() has stored for each address */
static size_t view_end, view_nr;
static pthread_mutex_t view_lock = PTHREAD_MUTEX_INITIALIZER;

static void *view_reserve(size_t bytes, int prot)
{
	void *at = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		user_die(__FILE__, __LINE__, "no addresses");
	return at;
}

static size_t view_index(const void *address)
{
	return (size_t)((const char *)address - views) >> PAGE_SHIFT;
}

/* These are no points for an interrupt: view_lock is held, and an interrupt may call vmap(). */
static struct page *view_get(size_t index)
{
	return __atomic_load_n(&view_pages[index], __ATOMIC_RELAXED);
}

static void view_set(size_t index, struct page *page)
{
	__atomic_store_n(&view_pages[index], page, __ATOMIC_RELAXED);
}

bool is_vmalloc_addr(const void *address)
{
	const char *first = __atomic_load_n(&views, __ATOMIC_RELAXED);

	return first && (size_t)((const char *)address - first) < VIEW_PAGES << PAGE_SHIFT;
}

void *vmap(struct page **page, unsigned int nr, unsigned long flags, int prot)
{
	unsigned int i;
	char *view;

	user_might_sleep(__FILE__, __LINE__);
	if (must_fail())
		return NULL;
	pthread_mutex_lock(&view_lock);
	if (!views) {
		view_pages = view_reserve(VIEW_PAGES * sizeof(*view_pages),
					  PROT_READ | PROT_WRITE);
		view_entries = view_reserve(VIEW_PAGES * sizeof(*view_entries),
					    PROT_READ | PROT_WRITE);
		__atomic_store_n(&views, view_reserve(VIEW_PAGES << PAGE_SHIFT, PROT_NONE),
				 __ATOMIC_RELAXED);
	}
	if (view_end + nr + 1 > VIEW_PAGES)
		user_die(__FILE__, __LINE__, "vmap");
	view = views + (view_end << PAGE_SHIFT);
	for (i = 0; i < nr; i++) {
		if (!page[i])
			user_die(__FILE__, __LINE__, "a view of no page");
		view_set(view_end + i, page[i]);
		if (mmap(view + i * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, ram_fd,
			 (off_t)(page[i] - pages) << PAGE_SHIFT) == MAP_FAILED)
			user_die(__FILE__, __LINE__, "vmap");
	}
	view_end += nr + 1;
	view_nr++;
	pthread_mutex_unlock(&view_lock);
	__atomic_fetch_add(&user_objects, 1, __ATOMIC_RELAXED);
	return view;
}

struct page *vmalloc_to_page(const void *address)
{
	user_point();
	return view_get(view_index(address));
}

void vunmap(const void *address)
{
	size_t i;

	user_might_sleep(__FILE__, __LINE__);
	__atomic_fetch_sub(&user_objects, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&view_lock);
	for (i = view_index(address); view_get(i); i++)
		view_set(i, NULL);
	if (mmap((void *)address, (i - view_index(address)) << PAGE_SHIFT, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		user_die(__FILE__, __LINE__, "vunmap");
	if (!--view_nr)
		view_end = 0;
	pthread_mutex_unlock(&view_lock);
}

static void **view_entry(unsigned long index)
{
	return &view_entries[view_index((void *)(index << PAGE_SHIFT))];
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	return __atomic_load_n(view_entry(index), __ATOMIC_ACQUIRE);
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	user_might_sleep(__FILE__, __LINE__);
	if (must_fail())
		return (void *)-1L;
	__atomic_store_n(view_entry(index), entry, __ATOMIC_RELEASE);
	return NULL;
}

void xa_erase(struct xarray *xa, unsigned long index)
{
	__atomic_store_n(view_entry(index), NULL, __ATOMIC_RELEASE);
}

/* Memory pressure. */

static struct shrinker *the_shrinker;

void shrinker_register(struct shrinker *shrinker)
{
	the_shrinker = shrinker;
}

void shrinker_free(struct shrinker *shrinker)
{
	the_shrinker = NULL;
	kfree(shrinker);
}

unsigned long user_shrink(int nid, unsigned long nr)
{
	struct shrink_control sc = { .nid = nid, .nr_to_scan = nr };
	unsigned long count = the_shrinker->count_objects(the_shrinker, &sc);

	return count == SHRINK_EMPTY ? 0 : the_shrinker->scan_objects(the_shrinker, &sc);
}

/* Stubs for debug.c and check_names.c, which are not part of this program. */

bool arena_check_named;

void __arena_check_create(struct arena *arena)
{
}

void arena_debug_add(struct arena *arena)
{
}

void arena_debug_remove(struct arena *arena)
{
}
