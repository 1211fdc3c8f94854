// SPDX-License-Identifier: GPL-2.0
/*
 * A fake of /dev/arena in user space, so that libarena can be tested without the module, and under
 * sanitizers, which the guests of the tests lack. Several processes can share an arena. The fake
 * does only what matters to the library: it has no rights and revokes no mapping.
 *
 * A program with this fake is linked with -Wl,--wrap=open,--wrap=open64,--wrap=ioctl. An arena is a
 * memfd. Data that the kernel would keep for an arena lie in the memfd, behind the status page.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/arena.h>

#define PAGE		4096
#define CAPACITY	(64ULL << 20)

#define REWINDS		4096

/*
 * @first: the generation that the last reset began. Each rewind since then has begun the next
 * generation, with a number higher by 2; @low[i] is the offset to which the rewind that ended
 * generation @first + 2 * i went back.
 */
struct fake {
	struct arena_status status;
	char rest_of_page[PAGE - sizeof(struct arena_status)];
	__u32 lock;
	__u64 slab;
	__u64 first;
	__u64 committed;
	__u64 low[REWINDS];
};

int __real_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long cmd, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __wrap_open(const char *path, int flags, ...) __attribute__((alias("__wrap_open64")));

static void set_up(struct fake *fake, __u64 capacity, __u64 slab)
{
	fake->status.version = 1;
	fake->status.generation = 2;
	fake->first = 2;
	fake->status.capacity = capacity ?: CAPACITY;
	fake->slab = slab ?: (capacity >= 1 << 30 ? 2 << 20 : 65536);
	while (!slab && fake->slab > PAGE && fake->slab / 2 >= fake->status.capacity)
		fake->slab /= 2;
}

static struct fake *fake_get(int fd)
{
	struct fake *fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				 ARENA_STATUS_OFFSET);

	return fake == MAP_FAILED ? NULL : fake;
}

int __wrap_open64(const char *path, int flags, ...)
{
	struct fake *fake;
	va_list args;
	int fd, mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	if (strcmp(path, "/dev/arena"))
		return __real_open64(path, flags, mode);
	fd = memfd_create("arena", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, ARENA_STATUS_OFFSET + sizeof(*fake)))
		return -1;
	fake = fake_get(fd);
	if (!fake)
		return -1;
	set_up(fake, 0, 0);
	munmap(fake, sizeof(*fake));
	return fd;
}

/*
 * Claims a stretch as the kernel does: an object of at most a slab does not cross the end of a
 * slab.
 */
static int claim(struct fake *fake, __u64 min, __u64 want, __u64 align, __u64 *offset,
		 __u64 *bytes)
{
	struct arena_status *status = &fake->status;
	__u64 at = status->high, left;

	align = align ?: 8;
	if (!min || want < min || align & (align - 1) || align > fake->slab)
		return -EINVAL;
	at = (at + align - 1) & -align;
	left = fake->slab - at % fake->slab;
	if (left < min && left < fake->slab) {
		at += left;
		left = fake->slab;
	}
	if (at > status->capacity || min > status->capacity - at)
		return -ENOSPC;
	if (left > status->capacity - at)
		left = status->capacity - at;
	*bytes = min > left ? min : want < left ? want : left;
	*offset = at;
	__atomic_store_n(&status->high, at + *bytes, __ATOMIC_RELEASE);
	__atomic_store_n(&status->offset, status->offset + *bytes, __ATOMIC_RELEASE);
	return 0;
}

/* Allocates all objects of a batch, or none of them if one does not fit. */
static int batch(struct fake *fake, const struct arena_batch_args *args, int fd)
{
	struct arena_batch_item *item = (void *)(uintptr_t)args->items, *end = item + args->count;
	const struct arena_status before = fake->status;
	__u64 bytes;
	int err;

	if (!args->count || args->count > ARENA_BATCH_MAX)
		return -EINVAL;
	for (; item < end; item++) {
		err = claim(fake, item->bytes, item->bytes, args->align, &item->offset, &bytes);
		if (err) {
			fake->status = before;
			return err;
		}
		if (item->src && pwrite(fd, (void *)(uintptr_t)item->src, item->bytes,
					item->offset) != (ssize_t)item->bytes)
			return -EFAULT;
	}
	return 0;
}

static void begin(struct fake *fake, __u64 offset, __u64 used)
{
	__u64 next = fake->status.generation + 2;

	__atomic_store_n(&fake->status.offset, used, __ATOMIC_RELEASE);
	__atomic_store_n(&fake->status.high, offset, __ATOMIC_RELEASE);
	__atomic_store_n(&fake->status.generation, next, __ATOMIC_RELEASE);
}

/* Returns the offset below which objects of @generation are still alive. */
static __u64 lives_to(const struct fake *fake, __u64 generation)
{
	__u64 to = fake->status.high, i = (generation - fake->first) / 2;
	__u64 nr = (fake->status.generation - fake->first) / 2;

	if (generation < fake->first || generation > fake->status.generation)
		return 0;
	for (; i < nr; i++)
		to = to < fake->low[i] ? to : fake->low[i];
	return to;
}

static int rewind_to(struct fake *fake, const struct arena_mark_args *mark)
{
	__u64 nr = (fake->status.generation - fake->first) / 2;

	if (mark->used > mark->offset)
		return -EINVAL;
	if (mark->generation < fake->first ||
	    mark->offset > lives_to(fake, mark->generation))
		return -ESTALE;
	if (mark->offset == fake->status.high && mark->generation == fake->status.generation)
		return 0;
	if (nr == REWINDS)
		return -ENOMEM;
	fake->low[nr] = mark->offset;
	begin(fake, mark->offset, mark->used);
	return 0;
}

static int run(struct fake *fake, int fd, unsigned long cmd, void *arg)
{
	struct arena_alloc_args *alloc = arg;
	struct arena_lease_args *lease = arg;
	struct arena_setup_args *setup = arg;
	struct arena_commit_args *commit = arg;
	struct arena_reset_args *reset = arg;
	struct arena_info_args *info = arg;
	struct arena_handle_args *handle = arg;
	struct arena_mark_args *mark = arg;
	struct arena_dup_args *dup = arg;
	__u64 bytes;

	if (fake->status.flags & ARENA_SEALED && (cmd == ARENA_IOC_ALLOC ||
						  cmd == ARENA_IOC_LEASE ||
						  cmd == ARENA_IOC_BATCH ||
						  cmd == ARENA_IOC_COMMIT ||
						  cmd == ARENA_IOC_RESET ||
						  cmd == ARENA_IOC_REWIND))
		return -EPERM;
	switch (cmd) {
	case ARENA_IOC_SEAL:
		fake->status.flags |= ARENA_SEALED;
		return 0;
	case ARENA_IOC_SETUP:
		if (setup->slab_size & (setup->slab_size - 1))
			return -EINVAL;
		set_up(fake, setup->capacity, setup->slab_size);
		return 0;
	case ARENA_IOC_ALLOC:
		alloc->generation = fake->status.generation;
		return claim(fake, alloc->bytes, alloc->bytes, alloc->align, &alloc->offset,
			     &bytes);
	case ARENA_IOC_LEASE:
		lease->generation = fake->status.generation;
		return claim(fake, lease->min, lease->want, lease->align, &lease->offset,
			     &lease->bytes);
	case ARENA_IOC_BATCH:
		return batch(fake, arg, fd);
	case ARENA_IOC_COMMIT:
		if (commit->bytes > fake->status.capacity)
			return -EINVAL;
		bytes = (commit->bytes + fake->slab - 1) / fake->slab * fake->slab;
		if (bytes > fake->committed)
			fake->committed = bytes;
		return 0;
	case ARENA_IOC_RESET:
		begin(fake, 0, 0);
		fake->first = fake->status.generation;
		reset->generation = fake->first;
		return 0;
	case ARENA_IOC_MARK:
		mark->generation = fake->status.generation;
		mark->offset = fake->status.high;
		mark->used = fake->status.offset;
		return 0;
	case ARENA_IOC_REWIND:
		return rewind_to(fake, mark);
	case ARENA_IOC_DEREF:
		handle->offset = handle->handle_offset;
		return handle->offset < lives_to(fake, handle->handle_generation) ? 0 : -ESTALE;
	case ARENA_IOC_INFO:
		info->rights = ARENA_RIGHTS_ALL;
		info->slab_size = fake->slab;
		info->committed = fake->committed;
		info->capacity = fake->status.capacity;
		info->generation = fake->status.generation;
		return 0;
	case ARENA_IOC_DUP:
		dup->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		return dup->fd < 0 ? -errno : 0;
	default:
		return -ENOTTY;
	}
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	struct fake *fake;
	va_list args;
	void *arg;
	int err;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (_IOC_TYPE(cmd) != ARENA_IOC_MAGIC)
		return __real_ioctl(fd, cmd, arg);
	fake = fake_get(fd);
	if (!fake) {
		errno = ENOTTY;
		return -1;
	}
	while (__atomic_exchange_n(&fake->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	err = run(fake, fd, cmd, arg);
	__atomic_store_n(&fake->lock, 0, __ATOMIC_RELEASE);
	munmap(fake, sizeof(*fake));
	if (err)
		errno = -err;
	return err ? -1 : 0;
}
