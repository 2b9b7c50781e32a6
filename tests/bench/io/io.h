/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * bench-io-init: one static program that stands at both ends of what scripts/bench io measures. As process 1 of a guest
 * it does the items that the kernel's command line names and prints what each took; on the host it is the peer that
 * sockets and ports of the guest talk to. Both monitors' guests run the same bytes, and nobody measures Python.
 */
#ifndef CAISSON_TESTS_BENCH_IO_H
#define CAISSON_TESTS_BENCH_IO_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_BLOCK ((size_t)64 << 10) /* what one read or write of a stream moves at most */
#define ECHO_BYTES   ((size_t)64)
#define VSOCK_PORT   1000u
#define INET_PORT    5000u

/* What the guest asks for over a stream; any number of them follow one another. */
enum stream_what {
    STREAM_SINK = 1, /* the guest sends `amount` bytes, the peer one byte when it has them all */
    STREAM_SOURCE,   /* the peer sends `amount` bytes */
    STREAM_ECHO,     /* `amount` times ECHO_BYTES there and back */
};

struct stream_request {
    uint64_t what, amount;
};

/* All n bytes: 0, or a negative errno (-EPIPE: the other side is gone). */
int send_all(int fd, const void *bytes, size_t n);
int receive_all(int fd, void *bytes, size_t n);

/*
 * The host's side; words are "stream FD", a listening socket whose connections are served one after the other, or
 * "datagram FD", where each datagram is sent back. Runs until it is killed; returns an exit code if it cannot.
 */
int peer_main(char **words);

#endif
