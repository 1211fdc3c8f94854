/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function for each kernel interface by which programs wait for events of a file. Each function
 * waits until @fd has one of @events, at most POLLER_PATIENCE seconds. The functions call io_uring
 * and AIO without their libraries.
 *
 * Each function returns a mask of POLL* bits, 0 if nothing happened in time, POLLER_MISSING if
 * the kernel does not have the interface or forbids it, or a negative errno.
 */
#ifndef ARENA_POLLER_H
#define ARENA_POLLER_H

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POLLER_MISSING	(-10000)
#define POLLER_PATIENCE	60	/* seconds; only a test that fails waits for so long */

static inline int poller_poll(int fd, int events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	if (poll(&poller, 1, POLLER_PATIENCE * 1000) < 0)
		return -errno;
	return poller.revents;
}

/* Returns POLLIN if select() reports @fd as readable, and POLLPRI if it reports an exception. */
static inline int poller_select(int fd, int events)
{
	struct timeval timeout = { .tv_sec = POLLER_PATIENCE };
	fd_set in, pri;

	FD_ZERO(&in);
	FD_ZERO(&pri);
	if (events & POLLIN)
		FD_SET(fd, &in);
	if (events & POLLPRI)
		FD_SET(fd, &pri);
	if (select(fd + 1, &in, NULL, &pri, &timeout) < 0)
		return -errno;
	return (FD_ISSET(fd, &in) ? POLLIN : 0) | (FD_ISSET(fd, &pri) ? POLLPRI : 0);
}

static inline int poller_epoll(int fd, int events)
{
	struct epoll_event event = { .events = events }, got = {};
	int epoll = epoll_create1(EPOLL_CLOEXEC), nr;

	if (epoll < 0)
		return -errno;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		nr = -1;
	else
		nr = epoll_wait(epoll, &got, 1, POLLER_PATIENCE * 1000);
	close(epoll);
	if (nr < 0)
		return -errno;
	return got.events;
}

static inline int poller_epoll_edge(int fd, int events)
{
	return poller_epoll(fd, events | EPOLLET);
}

static inline int poller_epoll_oneshot(int fd, int events)
{
	return poller_epoll(fd, events | EPOLLONESHOT);
}

static inline int poller_epoll_exclusive(int fd, int events)
{
	/* The kernel refuses EPOLLEXCLUSIVE together with EPOLLPRI: leave EPOLLEXCLUSIVE out. */
	if (events & POLLPRI)
		return poller_epoll(fd, events);
	return poller_epoll(fd, events | EPOLLEXCLUSIVE);
}

/* Waits by one request of AIO, IOCB_CMD_POLL. */

static inline int poller_aio(int fd, int events)
{
	struct timespec timeout = { .tv_sec = POLLER_PATIENCE };
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = fd,
		.aio_buf = events,
	}, *iocbs[] = { &iocb };
	struct io_event event = {};
	aio_context_t context = 0;
	int answer;

	if (syscall(SYS_io_setup, 1, &context))
		return POLLER_MISSING;
	if (syscall(SYS_io_submit, context, 1, iocbs) != 1)
		answer = -errno;
	else if (syscall(SYS_io_getevents, context, 1, 1, &event, &timeout) < 0)
		answer = -errno;
	else
		answer = event.res;
	syscall(SYS_io_destroy, context);
	return answer;
}

/* An io_uring, set up by system calls and without liburing. */

struct uring {
	int fd;
	char *ring;			/* one mapping of both rings */
	size_t ring_bytes;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static inline __u32 *uring_word(struct uring *uring, __u32 at)
{
	return (__u32 *)(uring->ring + at);
}

static inline void uring_exit(struct uring *uring)
{
	if (uring->sqes)
		munmap(uring->sqes, uring->params.sq_entries * sizeof(*uring->sqes));
	if (uring->ring)
		munmap(uring->ring, uring->ring_bytes);
	close(uring->fd);
}

static inline void *uring_map(struct uring *uring, size_t bytes, off_t offset)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, uring->fd, offset);

	return map == MAP_FAILED ? NULL : map;
}

static inline bool uring_init(struct uring *uring)
{
	struct io_uring_params *p = &uring->params;
	size_t sq_bytes, cq_bytes;

	memset(uring, 0, sizeof(*uring));
	uring->fd = syscall(__NR_io_uring_setup, 4, p);
	if (uring->fd < 0)
		return false;
	if (!(p->features & IORING_FEAT_SINGLE_MMAP) || !(p->features & IORING_FEAT_EXT_ARG)) {
		close(uring->fd);
		errno = EOPNOTSUPP;
		return false;
	}
	sq_bytes = p->sq_off.array + p->sq_entries * sizeof(__u32);
	cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	uring->ring_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
	uring->ring = uring_map(uring, uring->ring_bytes, IORING_OFF_SQ_RING);
	uring->sqes = uring_map(uring, p->sq_entries * sizeof(*uring->sqes), IORING_OFF_SQES);
	if (uring->ring && uring->sqes)
		return true;
	uring_exit(uring);
	return false;
}

/* Queues one poll request, which the next uring_wait() submits. */
static inline void uring_poll_add(struct uring *uring, int fd, int events, __u32 flags)
{
	__u32 *tail = uring_word(uring, uring->params.sq_off.tail);

	uring->sqes[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.len = flags,
		.poll32_events = events,
	};
	uring_word(uring, uring->params.sq_off.array)[*tail & (uring->params.sq_entries - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

/* Submits @submit requests and waits for one completion; returns false on a timeout. */
static inline bool uring_wait(struct uring *uring, int submit, int ms, struct io_uring_cqe *cqe)
{
	struct __kernel_timespec timeout = { ms / 1000, ms % 1000 * 1000000LL };
	struct io_uring_getevents_arg arg = { .ts = (unsigned long)&timeout };
	__u32 *head = uring_word(uring, uring->params.cq_off.head);
	__u32 *tail = uring_word(uring, uring->params.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(uring->ring + uring->params.cq_off.cqes);

	/*
	 * io_uring_enter() reports no timeout in a call that submits requests, so submit by a
	 * separate call.
	 */
	if (submit)
		syscall(__NR_io_uring_enter, uring->fd, submit, 0, 0, NULL, 0);
	syscall(__NR_io_uring_enter, uring->fd, 0, 1,
		IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
	if (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = cqes[*head & (uring->params.cq_entries - 1)];
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

static inline int poller_uring_flags(int fd, int events, __u32 flags)
{
	struct io_uring_cqe cqe = {};
	struct uring uring;

	if (!uring_init(&uring))
		return POLLER_MISSING;
	uring_poll_add(&uring, fd, events, flags);
	uring_wait(&uring, 1, POLLER_PATIENCE * 1000, &cqe);
	uring_exit(&uring);
	return cqe.res;
}

static inline int poller_uring(int fd, int events)
{
	return poller_uring_flags(fd, events, 0);
}

static inline int poller_uring_multishot(int fd, int events)
{
	return poller_uring_flags(fd, events, IORING_POLL_ADD_MULTI);
}

#endif /* ARENA_POLLER_H */
