/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/io/io.h"

int send_all(int fd, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = write(fd, (const uint8_t *)bytes + done, n - done);
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            return r == 0 ? -EPIPE : -errno;
    }
    return 0;
}

int receive_all(int fd, void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = read(fd, (uint8_t *)bytes + done, n - done);
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            return r == 0 ? -EPIPE : -errno;
    }
    return 0;
}

static size_t piece(uint64_t left)
{
    return left < STREAM_BLOCK ? (size_t)left : STREAM_BLOCK;
}

static int sink(int fd, uint64_t amount, uint8_t *block)
{
    while (amount > 0) {
        ssize_t r = read(fd, block, piece(amount));
        if (r <= 0)
            return -EPIPE;
        amount -= (uint64_t)r;
    }
    return send_all(fd, block, 1);
}

static int source(int fd, uint64_t amount, const uint8_t *block)
{
    int r = 0;
    for (uint64_t left = amount; left > 0 && r == 0; left -= piece(left))
        r = send_all(fd, block, piece(left));
    return r;
}

static int echo(int fd, uint64_t amount, uint8_t *block)
{
    int r = 0;
    for (uint64_t i = 0; i < amount && r == 0; i++) {
        r = receive_all(fd, block, ECHO_BYTES);
        if (r == 0)
            r = send_all(fd, block, ECHO_BYTES);
    }
    return r;
}

static int serve_request(int fd, uint8_t *block)
{
    struct stream_request q;
    int r = receive_all(fd, &q, sizeof(q));
    if (r < 0)
        return r;
    switch (q.what) {
    case STREAM_SINK: return sink(fd, q.amount, block);
    case STREAM_SOURCE: return source(fd, q.amount, block);
    case STREAM_ECHO: return echo(fd, q.amount, block);
    default: return -EPROTO;
    }
}

static int serve_streams(int listening, uint8_t *block)
{
    const int yes = 1;
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        if (fd < 0)
            return 1;
        /* Fails for what is not TCP, where nothing is held back anyway. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        while (serve_request(fd, block) == 0)
            ;
        (void)close(fd);
    }
}

static int serve_datagrams(int fd, uint8_t *block)
{
    for (;;) {
        struct sockaddr_storage from;
        socklen_t bytes = sizeof(from);
        ssize_t n = recvfrom(fd, block, STREAM_BLOCK, 0, (struct sockaddr *)&from, &bytes);
        if (n < 0 || sendto(fd, block, (size_t)n, 0, (struct sockaddr *)&from, bytes) < 0)
            return 1;
    }
}

int peer_main(char **words)
{
    uint8_t *block = calloc(1, STREAM_BLOCK);
    if (block == NULL || words[0] == NULL || words[1] == NULL)
        return 2;
    /* A guest that goes away ends its connection, not the peer. */
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = atoi(words[1]);
    int code = strcmp(words[0], "stream") == 0 ? serve_streams(fd, block) : serve_datagrams(fd, block);
    perror("bench-io-init: peer");
    free(block);
    return code;
}
