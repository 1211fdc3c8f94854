/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shim: the functions of the kernel that the core uses, implemented with a C library.
 *
 * The core is compiled unchanged: for each <linux/...> header that it includes, the Makefile makes
 * a file that includes this one instead. Each function here promises at least what the function of
 * the kernel promises. If a function is missing here that the core uses, the core does not compile.
 *
 *  - Atomics and barriers are those of the compiler, so that ThreadSanitizer understands them.
 *    READ_ONCE() and WRITE_ONCE() are relaxed atomics.
 *  - A thread runs on one of USER_CPUS simulated CPUs. A thread with preemption off holds its CPU:
 *    no other thread with preemption off runs there meanwhile.
 *  - RCU is implemented here, not by a library: a fuzzer has to decide when a grace period ends, or
 *    the same input would not always do the same, and ThreadSanitizer has to see the order that RCU
 *    makes. A region with preemption off is a reader, as in the kernel.
 *  - Pages lie in one stretch of a file in memory, so that vmap() can map them once more. Free
 *    pages, and a gap behind each block, are poisoned for AddressSanitizer.
 *  - A call that might sleep in atomic context aborts the program, and so does a warning.
 *
 * The functions here call user_point() at each place where an interrupt could change what comes
 * next. A test chooses such a place by user_self.fuse, and sets user_interrupt to the function that
 * runs there.
 */
#ifndef USER_SHIM_H
#define USER_SHIM_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The version of the kernel that this program pretends to be: the newest one. */
#define KERNEL_VERSION(a, b, c)	(((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE	KERNEL_VERSION(7, 3, 0)
#define CONFIG_64BIT		1
#define CONFIG_SMP		1
#define CONFIG_DEBUG_ATOMIC_SLEEP 1
#define BITS_PER_LONG		64
#define BITS_PER_LONG_LONG	64
#define IS_ENABLED(option)	0
#define IS_BUILTIN(option)	0

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef unsigned int gfp_t;

/* Compiler attributes. The C library defines some of them differently. */
#undef __always_inline
#undef __attribute_const__
#define __always_inline		inline __attribute__((__always_inline__))
#define noinline		__attribute__((__noinline__))
#define notrace
#define __maybe_unused		__attribute__((__unused__))
#define __always_unused		__attribute__((__unused__))
#define __must_check		__attribute__((__warn_unused_result__))
#define __malloc		__attribute__((__malloc__))
#define __printf(a, b)		__attribute__((__format__(printf, a, b)))
#define __aligned(x)		__attribute__((__aligned__(x)))
#define __packed		__attribute__((__packed__))
#define __cold			__attribute__((__cold__))
#define __pure			__attribute__((__pure__))
#define __assume_aligned(...)
#define __alloc_size(...)
#define __realloc_size(...)
#define __counted_by(x)
#define __no_kcsan
#define fallthrough		__attribute__((__fallthrough__))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define __force
#define __user
#define __percpu
#define __rcu
#define __init
#define __exit
#define __ro_after_init
#define __read_mostly
#define __acquire(x)		((void)0)
#define __release(x)		((void)0)
#define __acquires(x)
#define __releases(x)
#define __must_hold(x)
#define SMP_CACHE_BYTES		64
#define L1_CACHE_BYTES		64
#define ____cacheline_aligned	__aligned(64)
#define ____cacheline_aligned_in_smp __aligned(64)
#define __cacheline_group_begin(x)
#define __cacheline_group_end(x)
#define __PASTE2(a, b)		a##b
#define __PASTE(a, b)		__PASTE2(a, b)
#define __UNIQUE_ID(prefix)	__PASTE(__PASTE(prefix, _), __COUNTER__)
#define EXPORT_SYMBOL_GPL(x)
#define EXPORT_SYMBOL(x)
#define BUILD_BUG_ON(x)		_Static_assert(!(x), #x)
#define static_assert		_Static_assert

/* Numbers. */
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK(h, l)		((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define U8_MAX			UINT8_MAX
#define U16_MAX			UINT16_MAX
#define U32_MAX			UINT32_MAX
#define U64_MAX			(~0ULL)
#define SZ_64			64
#define SZ_256			256
#define SZ_512			512
#define SZ_1K			0x400
#define SZ_2K			0x800
#define SZ_4K			0x1000
#define SZ_8K			0x2000
#define SZ_16K			0x4000
#define SZ_32K			0x8000
#define SZ_64K			0x10000
#define SZ_128K			0x20000
#define SZ_256K			0x40000
#define SZ_512K			0x80000
#define SZ_1M			0x100000
#define SZ_2M			0x200000
#define SZ_4M			0x400000
#define SZ_64M			0x4000000
#define SZ_1G			0x40000000

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define __ALIGN_MASK(x, mask)	(((x) + (mask)) & ~(mask))
#define ALIGN(x, a)		__ALIGN_MASK(x, (typeof(x))(a) - 1)
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))
#define PTR_ALIGN(p, a)		((typeof(p))ALIGN((unsigned long)(p), (a)))
#define IS_ALIGNED(x, a)	(!((x) & ((typeof(x))(a) - 1)))
#define round_up(x, y)		((((x) - 1) | ((typeof(x))(y) - 1)) + 1)
#define round_down(x, y)	((x) & ~((typeof(x))(y) - 1))

#define __compare(op, a, b, x, y) \
	({ typeof(a) x = (a); typeof(b) y = (b); x op y ? x : y; })
#define min(a, b)		__compare(<, a, b, __UNIQUE_ID(x), __UNIQUE_ID(y))
#define max(a, b)		__compare(>, a, b, __UNIQUE_ID(x), __UNIQUE_ID(y))
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define min3(a, b, c)		min(min(a, b), c)
#define max3(a, b, c)		max(max(a, b), c)
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi)	min_t(t, max_t(t, v, lo), hi)
#define swap(a, b)		do { typeof(a) __t = (a); (a) = (b); (b) = __t; } while (0)

#define check_mul_overflow(a, b, d)	__builtin_mul_overflow(a, b, d)
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d)	__builtin_sub_overflow(a, b, d)

static inline size_t size_mul(size_t a, size_t b)
{
	size_t product;

	return check_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t sum;

	return check_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

#define array_size(a, b)	size_mul(a, b)
#define struct_size(p, member, n) \
	size_add(sizeof(*(p)), size_mul(sizeof((p)->member[0]), n))
#define struct_size_t(type, member, n)	struct_size((type *)NULL, member, n)
#define flex_array_size(p, member, n)	size_mul(sizeof((p)->member[0]), n)

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline int fls_long(unsigned long n)
{
	return n ? BITS_PER_LONG - __builtin_clzl(n) : 0;
}

#define ilog2(n)		(BITS_PER_LONG - 1 - __builtin_clzl(n))
#define __ffs(n)		((unsigned long)__builtin_ctzl(n))
#define fls64(n)		fls_long(n)
#define hweight_long(n)		__builtin_popcountl(n)
#define roundup_pow_of_two(n)	(1UL << fls_long((unsigned long)(n) - 1))

/* Error codes in pointers. */
#define MAX_ERRNO		4095
#define ERR_PTR(err)		((void *)(long)(err))
#define PTR_ERR(ptr)		((long)(ptr))
#define IS_ERR(ptr)		((unsigned long)(ptr) >= (unsigned long)-MAX_ERRNO)
#define IS_ERR_OR_NULL(ptr)	(!(ptr) || IS_ERR(ptr))
#define ERR_CAST(ptr)		((void *)(ptr))
#define PTR_ERR_OR_ZERO(ptr)	(IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0)

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/* Cleanup at the end of a scope, as in linux/cleanup.h. */
#define DEFINE_FREE(name, type, free)						\
	static inline void __free_##name(void *p) { type _T = *(type *)p; free; }
#define __free(name)		__attribute__((__cleanup__(__free_##name)))
#define DEFINE_CLASS(name, type, exit, init, args...)				\
typedef type class_##name##_t;							\
static inline void class_##name##_destructor(type *p) { type _T = *p; exit; }	\
static inline type class_##name##_constructor(args) { type t = init; return t; }
#define CLASS(name, var)							\
	class_##name##_t var __maybe_unused					\
	__attribute__((__cleanup__(class_##name##_destructor)))			\
	= class_##name##_constructor

/*
 * user_die() ends the program after a failed check. A warning does so, too, unless the test expects
 * it (user_expect_warning).
 */
void user_die(const char *file, int line, const char *what) __attribute__((__noreturn__));
extern bool user_expect_warning;
extern bool user_warned;

static inline bool user_warn(bool condition, const char *file, int line, const char *what)
{
	if (!condition)
		return false;
	if (!user_expect_warning)
		user_die(file, line, what);
	user_warned = true;
	return true;
}

#define WARN_ON(x)		user_warn(!!(x), __FILE__, __LINE__, "WARN_ON(" #x ")")
#define WARN_ON_ONCE(x)		WARN_ON(x)
#define WARN_ONCE(x, ...)	WARN_ON(x)
#define VM_WARN_ON_ONCE(x)	WARN_ON(x)

/* The number of the bug of planted.txt that the program has; 0: none. */
extern int user_planted;
#define planted(n)		(user_planted == (n))

/* How many CPUs are simulated, and how many threads there can be. */
#define USER_CPUS		4
#define USER_THREADS		16

struct task_struct;

/* Kernel code refers to a task by its struct pid, which is reference-counted. */
struct pid {
	int			refs;
	struct task_struct	*task;
};

struct task_struct {
	struct pid	pid;
	int		exit_state;
};

#define PIDTYPE_PID		0
#define pid_task(pid, type)	((pid)->task)

static inline struct pid *task_pid(struct task_struct *task)
{
	task->pid.task = task;
	return &task->pid;
}

static inline struct pid *get_pid(struct pid *pid)
{
	__atomic_fetch_add(&pid->refs, 1, __ATOMIC_RELAXED);
	return pid;
}

void put_pid(struct pid *pid);

enum user_context { USER_TASK, USER_SOFTIRQ, USER_HARDIRQ, USER_NMI };

struct user_thread {
	unsigned int		preempt;
	unsigned int		irqs_off;
	unsigned int		readers;
	enum user_context	context;
	int			cpu;
	bool			roams;
	bool			killed;
	unsigned long		fuse;
	unsigned long		seed;
	unsigned long		*reading;
	struct task_struct	*task;
};

extern __thread struct user_thread user_self;

/*
 * user_self.fuse is the number of places that this thread has yet to reach until the interrupt,
 * which comes once: at the last one, user_burnt() calls user_interrupt(), in NMI context if
 * user_nmi is set.
 */
extern void (*user_interrupt)(void);
extern bool user_nmi;
/*
 * If user_preempting is set, user_interrupt() stands for another task: it runs only where this task
 * can be preempted.
 */
extern bool user_preempting;
void user_burnt(void);
void user_thread_start(int cpu, struct task_struct *task);
void user_thread_stop(void);
void user_cpu_take(void);
void user_cpu_give(void);

static __always_inline void user_point(void)
{
	if (unlikely(user_self.fuse) && !--user_self.fuse)
		user_burnt();
}

#define current			(user_self.task)
#define in_nmi()		(user_self.context == USER_NMI)
#define in_task()		(user_self.context == USER_TASK)
#define in_hardirq()		(user_self.context == USER_HARDIRQ)
#define in_interrupt()		(user_self.context != USER_TASK)
#define irqs_disabled()		(user_self.irqs_off > 0)
#define fatal_signal_pending(t)	((void)(t), user_self.killed)
#define signal_pending(t)	((void)(t), user_self.killed)

static __always_inline void preempt_disable(void)
{
	user_point();
	if (!user_self.preempt++)
		user_cpu_take();
}

static __always_inline void preempt_enable(void)
{
	if (!--user_self.preempt)
		user_cpu_give();
	user_point();
}

#define preempt_disable_notrace()	preempt_disable()
#define preempt_enable_notrace()	preempt_enable()
#define preempt_enable_no_resched()	preempt_enable()
#define preemptible()		(!user_self.preempt && !user_self.irqs_off)
#define raw_smp_processor_id()	(user_self.cpu)
#define smp_processor_id()	(user_self.cpu)
#define nr_cpu_ids		USER_CPUS
#define num_possible_cpus()	((unsigned int)USER_CPUS)
#define num_online_cpus()	((unsigned int)USER_CPUS)
#define for_each_possible_cpu(cpu)	for ((cpu) = 0; (cpu) < USER_CPUS; (cpu)++)
#define for_each_online_cpu(cpu)	for_each_possible_cpu(cpu)

void user_might_sleep(const char *file, int line);
#define might_sleep()		user_might_sleep(__FILE__, __LINE__)
extern bool user_threads;	/* the program has several threads */
void user_yield(void);
#define cond_resched()		do { might_sleep(); user_yield(); } while (0)
#define cpu_relax()		user_yield()

/* Atomics: relaxed, acquire, release and full, as the kernel orders them. */
#define barrier()		do { user_point(); __asm__ __volatile__("" ::: "memory"); } while (0)
/*
 * In the kernel, the load of a pointer comes before reads through the pointer. ThreadSanitizer does
 * not know this rule, so here the load of a pointer is an acquire.
 */
#define user_is_pointer(x)	(__builtin_classify_type(x) == 5)
#define user_once(x)		(user_is_pointer(x) ? __ATOMIC_ACQUIRE : __ATOMIC_RELAXED)
#define READ_ONCE(x)		({ user_point(); __atomic_load_n(&(x), user_once(x)); })
#define WRITE_ONCE(x, v)	\
	do { user_point(); __atomic_store_n(&(x), (v), __ATOMIC_RELAXED); } while (0)
/* Static keys, which the kernel implements by patching its code, are variables here. */
#define DECLARE_STATIC_KEY_FALSE(key)	extern bool key
#define DEFINE_STATIC_KEY_FALSE(key)	bool key
#define static_branch_likely(key)	likely(__atomic_load_n(key, __ATOMIC_RELAXED))
#define static_branch_enable(key)	__atomic_store_n(key, true, __ATOMIC_RELAXED)
#define static_branch_disable(key)	__atomic_store_n(key, false, __ATOMIC_RELAXED)

#define OPTIMIZER_HIDE_VAR(x)	__asm__ ("" : "=r" (x) : "0" (x))
#define smp_load_acquire(p)	({ user_point(); __atomic_load_n(p, __ATOMIC_ACQUIRE); })
#define smp_store_release(p, v)	\
	do { user_point(); __atomic_store_n(p, v, __ATOMIC_RELEASE); } while (0)
#define rcu_dereference(p)	smp_load_acquire(&(p))
#define rcu_dereference_raw(p)	smp_load_acquire(&(p))
#define rcu_assign_pointer(p, v)	smp_store_release(&(p), v)

/*
 * ThreadSanitizer does not know fences. For its sake, each fence is an atomic add to one variable.
 */
#ifdef __SANITIZE_THREAD__
extern unsigned long user_fence;
#define user_fence(order)	((void)__atomic_fetch_add(&user_fence, 0, order))
#else
#define user_fence(order)	__atomic_thread_fence(order)
#endif
#define smp_mb()		do { user_point(); user_fence(__ATOMIC_SEQ_CST); } while (0)
#define smp_rmb()		do { user_point(); user_fence(__ATOMIC_ACQUIRE); } while (0)
#define smp_wmb()		do { user_point(); user_fence(__ATOMIC_RELEASE); } while (0)
#define smp_mb__before_atomic()	smp_mb()
#define smp_mb__after_atomic()	smp_mb()

/* A race that the caller intends: ThreadSanitizer ignores it. */
#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define data_race(expr)								\
({										\
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);				\
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);				\
	typeof(expr) __value = (expr);						\
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);				\
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);				\
	__value;								\
})
#else
#define data_race(expr)		(expr)
#endif

#define user_cmpxchg(p, oldp, new, order)					\
({										\
	user_point();								\
	__atomic_compare_exchange_n(p, oldp, new, false, order, __ATOMIC_RELAXED); \
})
#define try_cmpxchg(p, oldp, new)	user_cmpxchg(p, oldp, new, __ATOMIC_SEQ_CST)
#define try_cmpxchg_acquire(p, oldp, new) user_cmpxchg(p, oldp, new, __ATOMIC_ACQUIRE)
#define try_cmpxchg_release(p, oldp, new) user_cmpxchg(p, oldp, new, __ATOMIC_RELEASE)
#define try_cmpxchg_relaxed(p, oldp, new) user_cmpxchg(p, oldp, new, __ATOMIC_RELAXED)
#define cmpxchg(p, old, new)							\
({										\
	typeof(*(p)) __old = (old);						\
	try_cmpxchg(p, &__old, new);						\
	__old;									\
})
#define xchg(p, v)	({ user_point(); __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); })

#define USER_ATOMIC(name, type, number)						\
typedef struct { number counter; } type;					\
static inline number name##_read(const type *v)					\
{ return READ_ONCE(v->counter); }						\
static inline number name##_read_acquire(const type *v)				\
{ return smp_load_acquire(&v->counter); }					\
static inline void name##_set(type *v, number i)				\
{ WRITE_ONCE(v->counter, i); }							\
static inline void name##_set_release(type *v, number i)			\
{ smp_store_release(&v->counter, i); }						\
static inline number name##_xchg(type *v, number i)				\
{ return xchg(&v->counter, i); }						\
static inline bool name##_try_cmpxchg(type *v, number *old, number new)		\
{ return try_cmpxchg(&v->counter, old, new); }					\
static inline bool name##_try_cmpxchg_acquire(type *v, number *old, number new)	\
{ return try_cmpxchg_acquire(&v->counter, old, new); }				\
static inline bool name##_try_cmpxchg_release(type *v, number *old, number new)	\
{ return try_cmpxchg_release(&v->counter, old, new); }				\
static inline bool name##_try_cmpxchg_relaxed(type *v, number *old, number new)	\
{ return try_cmpxchg_relaxed(&v->counter, old, new); }				\
static inline number name##_cmpxchg(type *v, number old, number new)		\
{ return cmpxchg(&v->counter, old, new); }					\
static inline void name##_add(number i, type *v)				\
{ user_point(); __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED); }		\
static inline void name##_sub(number i, type *v)				\
{ name##_add(-i, v); }								\
static inline void name##_inc(type *v)						\
{ name##_add(1, v); }								\
static inline void name##_dec(type *v)						\
{ name##_add(-1, v); }								\
static inline number name##_add_return(number i, type *v)			\
{ user_point(); return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST); }	\
static inline number name##_fetch_add(number i, type *v)			\
{ user_point(); return __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST); }	\
static inline number name##_fetch_inc(type *v)					\
{ return name##_fetch_add(1, v); }						\
static inline void name##_or(number i, type *v)					\
{ user_point(); __atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED); }		\
static inline number name##_sub_return(number i, type *v)			\
{ return name##_add_return(-i, v); }						\
static inline number name##_inc_return(type *v)					\
{ return name##_add_return(1, v); }						\
static inline number name##_fetch_dec_release(type *v)				\
{ user_point(); return __atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELEASE); }	\
static inline bool name##_dec_and_test(type *v)					\
{ return !name##_add_return(-1, v); }

USER_ATOMIC(atomic, atomic_t, int)
USER_ATOMIC(atomic_long, atomic_long_t, long)
USER_ATOMIC(atomic64, atomic64_t, s64)
USER_ATOMIC(local, local_t, long)
#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC_LONG_INIT(i)	{ (i) }

/* Bits of a word, and bit locks. */
static inline bool test_bit(long nr, const unsigned long *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED) & BIT(nr);
}

static inline bool test_and_set_bit(long nr, unsigned long *at)
{
	user_point();
	return __atomic_fetch_or(at, BIT(nr), __ATOMIC_SEQ_CST) & BIT(nr);
}

static inline bool test_and_set_bit_lock(long nr, unsigned long *at)
{
	user_point();
	return __atomic_fetch_or(at, BIT(nr), __ATOMIC_ACQUIRE) & BIT(nr);
}

static inline void clear_bit_unlock(long nr, unsigned long *at)
{
	user_point();
	__atomic_fetch_and(at, ~BIT(nr), __ATOMIC_RELEASE);
}

typedef struct { atomic_t refs; } refcount_t;

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}

static inline int refcount_read(const refcount_t *r)
{
	return atomic_read(&r->refs);
}

static inline void refcount_inc(refcount_t *r)
{
	WARN_ON(atomic_inc_return(&r->refs) <= 1);
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	int left = atomic_add_return(-1, &r->refs);

	WARN_ON(left < 0);
	return !left;
}

/* Per-CPU variables are arrays with an element for each CPU. */
#define DECLARE_PER_CPU(type, name)	extern type name[USER_CPUS]
#define DEFINE_PER_CPU(type, name)	type name[USER_CPUS]
#define per_cpu(name, cpu)		((name)[cpu])
#define user_cpu_op(var, op)							\
({										\
	preempt_disable();							\
	typeof(&(var)[0]) __at = &(var)[user_self.cpu];				\
	typeof(op) __result = op;						\
	preempt_enable();							\
	__result;								\
})
#define this_cpu_read(var)	user_cpu_op(var, __atomic_load_n(__at, __ATOMIC_RELAXED))
#define this_cpu_add(var, n)	user_cpu_op(var, __atomic_add_fetch(__at, n, __ATOMIC_RELAXED))
#define this_cpu_add_return(var, n) this_cpu_add(var, n)
#define this_cpu_inc(var)	this_cpu_add(var, 1)
#define this_cpu_dec(var)	this_cpu_add(var, -1)
#define this_cpu_inc_return(var) this_cpu_add(var, 1)
#define this_cpu_write(var, v)	\
	((void)user_cpu_op(var, (__atomic_store_n(__at, v, __ATOMIC_RELAXED), 0)))
#define __this_cpu_read(var)	this_cpu_read(var)
#define __this_cpu_write(var, v)	this_cpu_write(var, v)
#define __this_cpu_inc(var)	this_cpu_inc(var)
#define __this_cpu_dec(var)	this_cpu_dec(var)
#define __this_cpu_add(var, n)	this_cpu_add(var, n)
#define raw_cpu_read(var)	this_cpu_read(var)
#define raw_cpu_write(var, v)	this_cpu_write(var, v)
#define raw_cpu_inc(var)	this_cpu_inc(var)

/* Locks. The holder of a raw spinlock has preemption off. */
typedef struct {
	pthread_mutex_t	lock;
	int		owner;	/* number of the holder's CPU plus one, or 0 if free */
} raw_spinlock_t;
typedef raw_spinlock_t spinlock_t;

#define DEFINE_RAW_SPINLOCK(name)	raw_spinlock_t name = { PTHREAD_MUTEX_INITIALIZER, 0 }
#define DEFINE_SPINLOCK(name)		DEFINE_RAW_SPINLOCK(name)
void raw_spin_lock_init(raw_spinlock_t *lock);
void raw_spin_lock(raw_spinlock_t *lock);
void raw_spin_unlock(raw_spinlock_t *lock);
bool raw_spin_trylock(raw_spinlock_t *lock);

static inline void user_irq_disable(unsigned long *flags)
{
	*flags = 0;
	preempt_disable();
	user_self.irqs_off++;
}

static inline void user_irq_restore(void)
{
	user_self.irqs_off--;
	preempt_enable();
}

static inline bool user_irq_trylock(raw_spinlock_t *lock, unsigned long *flags)
{
	user_irq_disable(flags);
	if (raw_spin_trylock(lock))
		return true;
	user_irq_restore();
	return false;
}

#define local_irq_save(flags)		user_irq_disable(&(flags))
#define local_irq_restore(flags)	((void)(flags), user_irq_restore())
#define raw_spin_lock_irqsave(lock, flags)	\
	do { user_irq_disable(&(flags)); raw_spin_lock(lock); } while (0)
#define raw_spin_trylock_irqsave(lock, flags)	user_irq_trylock(lock, &(flags))
#define raw_spin_unlock_irqrestore(lock, flags)	\
	do { raw_spin_unlock(lock); (void)(flags); user_irq_restore(); } while (0)
#define spin_lock_irqsave(lock, flags)		raw_spin_lock_irqsave(lock, flags)
#define spin_unlock_irqrestore(lock, flags)	raw_spin_unlock_irqrestore(lock, flags)

struct mutex {
	pthread_mutex_t		lock;
	struct user_thread	*owner;
};

/* lockdep_assert_held() checks raw spinlocks, but no mutexes. */
#define lockdep_assert_held(l)	\
	_Generic((l), raw_spinlock_t *: user_assert_held, struct mutex *: user_assert_nothing)(l)

static inline void user_assert_held(const void *lock)
{
	WARN_ON(((const raw_spinlock_t *)lock)->owner != user_self.cpu + 1);
}

static inline void user_assert_nothing(const void *lock)
{
}

#define DEFINE_MUTEX(name)	struct mutex name = { PTHREAD_MUTEX_INITIALIZER }

void mutex_init(struct mutex *mutex);
void user_mutex_lock(struct mutex *mutex, const char *file, int line);
void mutex_unlock(struct mutex *mutex);
bool mutex_trylock(struct mutex *mutex);
#define mutex_lock(m)		user_mutex_lock(m, __FILE__, __LINE__)
/* As in the kernel, a task that is being killed still gets a mutex that is free. */
#define mutex_lock_killable(m)							\
	(user_self.killed && __atomic_load_n(&(m)->owner, __ATOMIC_RELAXED) ?	\
	 -EINTR : (mutex_lock(m), 0))

/* RCU. */
struct rcu_head {
	struct rcu_head	*next;
	void		(*func)(struct rcu_head *head);
	unsigned long	epoch;
};

typedef void (*rcu_callback_t)(struct rcu_head *head);

/*
 * If user_rcu_idle is set, rcu_is_watching() returns false, as it does in the idle loop, where no
 * grace period waits for a CPU.
 */
extern bool user_rcu_idle;
#define rcu_is_watching()	(!user_rcu_idle)
#define RCU_LOCKDEP_WARN(x, s)	WARN_ON(x)

void rcu_read_lock(void);
void rcu_read_unlock(void);
/* call_rcu() is missing on purpose: it may delay a callback by seconds (CONFIG_RCU_LAZY). */
void call_rcu_hurry(struct rcu_head *head, void (*func)(struct rcu_head *head));
void user_synchronize_rcu(const char *file, int line);
void user_rcu_barrier(const char *file, int line);
#define synchronize_rcu()	user_synchronize_rcu(__FILE__, __LINE__)
#define synchronize_rcu_expedited() synchronize_rcu()
#define rcu_barrier()		user_rcu_barrier(__FILE__, __LINE__)

/* Run the callbacks whose grace period is over. */
void user_rcu_poll(void);
/*
 * Begin and end a reader that belongs to no thread. A thread that waits for a grace period calls
 * user_waiting(), which may end this reader.
 */
void user_reader_begin(void);
void user_reader_end(void);
extern void (*user_waiting)(void);

/* Work items, which run when a test calls user_run_works(). */
struct work_struct {
	void			(*func)(struct work_struct *work);
	struct work_struct	*next;
	bool			pending;
};

#define INIT_WORK(w, f)		(*(w) = (struct work_struct) { .func = (f) })
bool schedule_work(struct work_struct *work);
bool cancel_work_sync(struct work_struct *work);
bool flush_work(struct work_struct *work);
void user_run_works(void);

/* Time stands still, so delayed work never runs. */
#define HZ			100
#define jiffies			0UL
#define time_before(a, b)	((long)((a) - (b)) < 0)
struct delayed_work {
	struct work_struct	work;
};

#define DECLARE_WORK(name, f)		struct work_struct name = { .func = (f) }
#define DECLARE_DELAYED_WORK(name, f)	struct delayed_work name = { { .func = (f) } }
#define schedule_delayed_work(w, delay)	((void)(w))
#define cancel_delayed_work_sync(w)	((void)(w))

/* Lists. */
struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_add(struct list_head *item, struct list_head *head)
{
	item->next = head->next;
	item->prev = head;
	head->next->prev = item;
	head->next = item;
}

static inline void list_add_tail(struct list_head *item, struct list_head *head)
{
	list_add(item, head->prev);
}

static inline void list_del(struct list_head *item)
{
	item->next->prev = item->prev;
	item->prev->next = item->next;
	item->next = NULL;
	item->prev = NULL;
}

static inline void list_del_init(struct list_head *item)
{
	list_del(item);
	INIT_LIST_HEAD(item);
}

static inline void list_move_tail(struct list_head *item, struct list_head *head)
{
	list_del(item);
	list_add_tail(item, head);
}

static inline void list_rotate_to_front(struct list_head *item, struct list_head *head)
{
	list_move_tail(head, item);
}

static inline void list_splice_tail(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
}

static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	list_splice_tail(from, to);
	INIT_LIST_HEAD(from);
}

#define list_empty_careful(head)	list_empty(head)
#define list_entry(p, type, member)	container_of(p, type, member)
#define list_next_entry(p, member)	list_entry((p)->member.next, typeof(*(p)), member)
#define list_entry_is_head(p, head, member)	(&(p)->member == (head))
#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
#define list_first_entry_or_null(head, type, member)	\
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_for_each_entry(p, head, member)					\
	for ((p) = list_entry((head)->next, typeof(*(p)), member);		\
	     &(p)->member != (head);						\
	     (p) = list_entry((p)->member.next, typeof(*(p)), member))
#define list_for_each_entry_safe(p, n, head, member)				\
	for ((p) = list_entry((head)->next, typeof(*(p)), member),		\
	     (n) = list_entry((p)->member.next, typeof(*(p)), member);		\
	     &(p)->member != (head);						\
	     (p) = (n), (n) = list_entry((n)->member.next, typeof(*(n)), member))

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

#define LLIST_HEAD(name)	struct llist_head name = { NULL }
#define init_llist_head(head)	((head)->first = NULL)
#define llist_empty(head)	(!READ_ONCE((head)->first))
#define llist_del_all(head)	xchg(&(head)->first, NULL)

static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	struct llist_node *first = READ_ONCE(head->first);

	do {
		node->next = first;
	} while (!try_cmpxchg(&head->first, &first, node));
	return !first;
}

static inline bool llist_add_batch(struct llist_node *first, struct llist_node *last,
				   struct llist_head *head)
{
	struct llist_node *old = READ_ONCE(head->first);

	do {
		last->next = old;
	} while (!try_cmpxchg(&head->first, &old, first));
	return !old;
}

#define llist_entry(p, type, member)	container_of(p, type, member)
#define user_llist_item(node, p, member) \
	((node) ? container_of(node, typeof(*(p)), member) : NULL)
#define llist_for_each_entry_safe(p, n, node, member)				\
	for ((p) = user_llist_item(node, p, member);				\
	     (p) && ((n) = user_llist_item((p)->member.next, p, member), true);	\
	     (p) = (n))
#define llist_for_each_entry(p, node, member)					\
	for ((p) = user_llist_item(node, p, member); (p);			\
	     (p) = user_llist_item((p)->member.next, p, member))

/* Memory. */
#define __GFP_DMA		0x01u
#define __GFP_DMA32		0x04u
#define __GFP_HIGH		0x20u
#define __GFP_IO		0x40u
#define __GFP_FS		0x80u
#define __GFP_ZERO		0x100u
#define __GFP_DIRECT_RECLAIM	0x400u
#define __GFP_KSWAPD_RECLAIM	0x800u
#define __GFP_RECLAIM		0xc00u
#define __GFP_NOWARN		0x2000u
#define __GFP_RETRY_MAYFAIL	0x4000u
#define __GFP_NOFAIL		0x8000u
#define __GFP_NORETRY		0x10000u
#define __GFP_MEMALLOC		0x20000u
#define __GFP_COMP		0x40000u
#define __GFP_NOMEMALLOC	0x80000u
#define __GFP_HARDWALL		0x100000u
#define __GFP_THISNODE		0x200000u
#define __GFP_ACCOUNT		0x400000u
#define __GFP_NOLOCKDEP		0x800000u
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOIO		__GFP_RECLAIM
#define GFP_NOFS		(__GFP_RECLAIM | __GFP_IO)
#define GFP_ATOMIC		(__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT		(__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)

#define gfpflags_allow_blocking(gfp)	(!!((gfp) & __GFP_DIRECT_RECLAIM))
void user_might_alloc(gfp_t gfp, const char *file, int line);
#define might_alloc(gfp)	user_might_alloc(gfp, __FILE__, __LINE__)

/*
 * The hook of a test. An allocation that may sleep calls it, as the kernel would call a shrinker.
 */
extern void (*user_reclaim)(void);

/* The settings of init_on_alloc and init_on_free. */
extern bool user_init_on_alloc, user_init_on_free;
#define want_init_on_alloc(gfp)	(user_init_on_alloc || (gfp) & __GFP_ZERO)
#define want_init_on_free()	user_init_on_free

/*
 * If user_fail_nth is n, the n-th allocation from now on fails. user_failed counts such failures.
 */
extern unsigned long user_fail_nth, user_failed;
/* If set, only single pages can be allocated. */
extern bool user_fragmented;
/*
 * The blocks of pages, and the objects of kmalloc() and vmap(), in use: both must be 0 at the end.
 */
extern long user_blocks, user_objects;

void *user_kmalloc(size_t size, gfp_t gfp);
void kfree(const void *object);
char *kvasprintf(gfp_t gfp, const char *fmt, va_list args);
#define kmalloc(size, gfp)	user_kmalloc(size, gfp)
#define kzalloc(size, gfp)	user_kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp)	kzalloc(size_mul(n, size), gfp)
#define kmalloc_array(n, size, gfp)	kmalloc(size_mul(n, size), gfp)
#define kvmalloc(size, gfp)	kmalloc(size, gfp)
#define kvzalloc(size, gfp)	kzalloc(size, gfp)
#define kvmalloc_node(size, gfp, node)	kmalloc(size, gfp)
#define kvcalloc(n, size, gfp)	kcalloc(n, size, gfp)
#define kvmalloc_array(n, size, gfp)	kmalloc_array(n, size, gfp)
#define kvfree(object)		kfree(object)

#define PAGE_SHIFT		12
#define PMD_SHIFT		21
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		ALIGN(x, PAGE_SIZE)
#define MAX_PAGE_ORDER		10
#define PAGE_KERNEL		0
#define VM_MAP			4
#define MAX_NUMNODES		2
#define NUMA_NO_NODE		(-1)
#define nr_node_ids		2

/* While a page is free, @lru links it in the list of free blocks. */
struct page {
	void			*mapping;
	unsigned long		index;
	struct list_head	lru;
	unsigned long		private;
	struct page		*head;
	atomic_t		refs;
	unsigned int		order;
	int			node;
};

struct folio {
	union {
		struct page	page;
		struct {
			void		*mapping;
			unsigned long	index;
		};
	};
};

static inline int get_order(unsigned long size)
{
	return fls_long((size - 1) >> PAGE_SHIFT);
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order);
struct page *virt_to_page(const void *address);
void *page_address(const struct page *page);
bool virt_addr_valid(const void *address);
void get_page(struct page *page);
void put_page(struct page *page);
void *vmap(struct page **pages, unsigned int nr, unsigned long flags, int prot);
void vunmap(const void *address);
/* Could vmap() return this address? */
bool is_vmalloc_addr(const void *address);
/* The page that is mapped at @address, or NULL. */
struct page *vmalloc_to_page(const void *address);

/* The core's only xarray. Its indices are addresses of pages that vmap() returned. */
struct xarray {
	bool	unused;
};

#define DEFINE_XARRAY(name)	struct xarray name
void *xa_load(struct xarray *xa, unsigned long index);
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
void xa_erase(struct xarray *xa, unsigned long index);
#define xa_err(entry)		((entry) == (void *)-1L ? -ENOMEM : 0)

#define rol64(word, shift)		((word) << (shift) | (word) >> (64 - (shift)))
#define offset_in_page(address)		((unsigned long)(address) & ~PAGE_MASK)
#define virt_to_head_page(address)	(virt_to_page(address)->head)
#define compound_head(page)	((page)->head)
#define page_private(page)	READ_ONCE((page)->private)
#define set_page_private(page, v)	WRITE_ONCE((page)->private, v)
#define page_count(page)	atomic_read(&(page)->head->refs)
#define page_to_nid(page)	((page)->head->node)
#define compound_order(page)	((page)->order)
#define numa_mem_id()		(user_self.cpu & 1)
#define numa_node_id()		(user_self.cpu & 1)
#define alloc_pages(gfp, order)	alloc_pages_node(numa_node_id(), gfp, order)
/* The core splits only blocks that programs map, and no program maps blocks here. */
#define PAGE_ALLOC_COSTLY_ORDER	3
#define split_page(page, order)	WARN_ON((order) && (page))
#define page_folio(p)		((struct folio *)(p)->head)
#define folio_nr_pages(folio)	(1UL << (folio)->page.order)
#define folio_ref_count(folio)	page_count(&(folio)->page)
#define folio_put(folio)	put_page(&(folio)->page)
#define folio_lock(folio)	((void)(folio))
#define folio_unlock(folio)	((void)(folio))
#define node_online(node)	((node) < nr_node_ids)

extern unsigned long user_ram_pages;
#define totalram_pages()	user_ram_pages

/* There are no cgroups here, and LeakSanitizer takes the place of kmemleak. */
struct mem_cgroup;
struct mm_struct;
#define get_mem_cgroup_from_mm(mm)	((struct mem_cgroup *)NULL)
#define mem_cgroup_put(memcg)	((void)(memcg))
#define set_active_memcg(memcg)	((void)(memcg), (struct mem_cgroup *)NULL)
#define kmsan_poison_memory(p, size, gfp)	((void)(p))
#define kmemleak_alloc(p, size, n, gfp)	((void)(p))
#define kmemleak_free(p)	((void)(p))
#define kmemleak_not_leak(p)	((void)(p))

/* Memory pressure: user_shrink() calls the registered shrinker; the core has only one. */
struct shrink_control {
	int		nid;
	unsigned long	nr_to_scan;
};

struct shrinker {
	unsigned long	(*count_objects)(struct shrinker *s, struct shrink_control *sc);
	unsigned long	(*scan_objects)(struct shrinker *s, struct shrink_control *sc);
	int		seeks;
	unsigned int	flags;
};

#define SHRINKER_NUMA_AWARE	1
#define DEFAULT_SEEKS		2
#define SHRINK_EMPTY		(~0UL - 1)
#define SHRINK_STOP		(~0UL)
#define shrinker_alloc(flags, ...)	((struct shrinker *)kzalloc(sizeof(struct shrinker), \
								    GFP_KERNEL))
void shrinker_register(struct shrinker *shrinker);
void shrinker_free(struct shrinker *shrinker);
unsigned long user_shrink(int nid, unsigned long nr);

/* Modules, devices, mappings of programs. */
#define MODULE_PARM_DESC(name, text)
#define module_param(name, type, perm)	user_##type *const user_param_##name = &(name)
typedef unsigned long user_ulong;
typedef unsigned int user_uint;
typedef bool user_bool;

struct device {
	void	(*action)(void *data);
	void	*data;
};

static inline int devm_add_action_or_reset(struct device *dev, void (*action)(void *), void *data)
{
	if (dev->action) {
		action(data);
		return -ENOMEM;
	}
	dev->action = action;
	dev->data = data;
	return 0;
}

struct vm_fault;
typedef unsigned int vm_fault_t;
#define VM_FAULT_SIGBUS		0x2
#define VM_FAULT_FALLBACK	0x800

struct vm_area_struct {
	unsigned long flags;
};

static inline void vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				unsigned long clear)
{
	vma->flags = (vma->flags | set) & ~clear;
}

static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = 0;
	return from[len] ? -E2BIG : (ssize_t)len;
}

/* Returns the first of @size bytes that is not @byte, or NULL. */
static inline void *memchr_inv(const void *start, int byte, size_t size)
{
	const u8 *at = start;

	for (; size; size--, at++)
		if (*at != (u8)byte)
			return (void *)at;
	return NULL;
}

/* Messages of the kernel are not printed. */
#define pr_err(...)		((void)0)
#define pr_info(...)		((void)0)
#define DEFINE_RATELIMIT_STATE(name, interval, burst) int name
#define __ratelimit(state)	((void)(state), true)
#define _RET_IP_		((unsigned long)__builtin_return_address(0))
#define POISON_INUSE		0x5a
#define POISON_FREE		0x6b
#define SLUB_RED_ACTIVE		0xcc

/* Tracepoints, which are always off here. */
#define TP_PROTO(args...)	args
#define TP_ARGS(args...)	args
#define TP_CONDITION(args...)	args
#define user_trace(name, proto)							\
	static inline void trace_##name(proto) {}				\
	static inline bool trace_##name##_enabled(void) { return false; }
#define TRACE_EVENT(name, proto, args, fields, assign, print)	user_trace(name, PARAMS(proto))
#define DECLARE_EVENT_CLASS(name, proto, args, fields, assign, print)
#define DEFINE_EVENT(class, name, proto, args)	user_trace(name, PARAMS(proto))
#define DECLARE_TRACEPOINT(name)
#define tracepoint_enabled(name)	false
#define PARAMS(args...)		args

#endif /* USER_SHIM_H */
