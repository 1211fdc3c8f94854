/* SPDX-License-Identifier: GPL-2.0 */
/* Passes a descriptor to another process over a Unix socket. */
#ifndef ARENA_PASS_H
#define ARENA_PASS_H

#include <string.h>
#include <sys/socket.h>

/* Sends a descriptor; returns 0, or -1 with errno set. */
static inline int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, data = 'x';
	struct iovec part = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

/* Receives a message; returns the descriptor that came with it, or -1 if none did. */
static inline int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, data;
	struct iovec part = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

#endif /* ARENA_PASS_H */
