/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of a connection, without waiting and without a signal when nobody is there any more. By the calls that take
 * descriptors along, too: a pod's main thread has them anyway (server.c), and so needs no others.
 */
#ifndef CAISSON_VMM_POD_STREAM_H
#define CAISSON_VMM_POD_STREAM_H

#include <stddef.h>
#include <sys/socket.h>

/* send(2) and recv(2): how many bytes, or -1 with errno, EAGAIN when it would have to wait. */
static inline ssize_t pod_stream_send(int fd, const void *bytes, size_t n)
{
    /* sendmsg only reads. */
    union {
        const void *constant;
        void *plain;
    } at = {.constant = bytes};
    struct iovec iov = {.iov_base = at.plain, .iov_len = n};
    const struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline ssize_t pod_stream_receive(int fd, void *to, size_t n)
{
    struct iovec iov = {.iov_base = to, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(fd, &m, MSG_DONTWAIT);
}

#endif
