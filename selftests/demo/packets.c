// SPDX-License-Identifier: GPL-2.0
/* Sends and receives messages between the two processes, with or without a descriptor. */
#include <sys/socket.h>

#include "demo.h"

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int send_packet(int sock, const struct packet *packet, size_t payload, int fd)
{
	struct iovec iov = {
		.iov_base = (void *)packet,
		.iov_len = PACKET_HEAD + payload,
	};
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0) {
		warn("sendmsg");
		return -1;
	}
	return 0;
}

/* Returns the size of the payload, or -1; *@fd is the descriptor in the message, or -1. */
ssize_t receive_packet(int sock, struct packet *packet, int *fd)
{
	struct iovec iov = { .iov_base = packet, .iov_len = sizeof(*packet) };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;
	ssize_t got;

	*fd = -1;
	got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	if (got < (ssize_t)PACKET_HEAD)
		return -1;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(*fd)))
		memcpy(fd, CMSG_DATA(head), sizeof(*fd));
	return got - PACKET_HEAD;
}
