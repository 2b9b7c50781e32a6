/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what a pod's process hears from a hostile guest on the port of measurements.
 *
 * Input: the lower seven bits of byte 0 say in what pieces the rest comes (0: all at once), which is the stream of one
 * connection; its highest bit that it is not the pod's first. The pod has no key, so that no signatures are made.
 * Checked: the log only grows, at its end, and replays to its registers; no more is stored than a request may have;
 * only the first connection tells a key; the connection is closed when the guest has closed it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/attest/log_read.h"
#include "vmm/pod/trust_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As much as a fresh socket takes in one piece. */
#define INPUT_MAX 65536u
#define OTHER     0x80u

static void require(int condition)
{
    if (!condition)
        abort();
}

static void connect_guest(struct pod_trust *t, int fd, bool first)
{
    struct trust_conn *c = calloc(1, sizeof(*c));
    require(c != NULL);
    c->fd = fd;
    c->first = first;
    c->reader.max = POD_TRUST_FRAME_MAX;
    t->met = true;
    t->conn[t->conn_count++] = c;
}

/* The pod's loop, until it has nothing to do; what it answers is read and thrown away. */
static void settle(struct pod_trust *t, int guest)
{
    uint8_t answers[4096];
    struct pollfd fds[POD_TRUST_POLL];
    for (;;) {
        unsigned n = pod_trust_poll(t, fds);
        while (recv(guest, answers, sizeof(answers), MSG_DONTWAIT) > 0)
            ;
        if (poll(fds, n, 0) <= 0)
            return;
        pod_trust_step(t, fds, n);
        for (unsigned i = 0; i < t->conn_count; i++)
            require(t->conn[i]->reader.room <= 2 * POD_TRUST_FRAME_MAX); /* it grows by doubling */
    }
}

static void check_log(const struct pod_trust *t, const uint8_t *before, size_t n)
{
    struct event_log replayed;
    struct err err;
    require(t->log.length >= n && t->log.length <= EVENT_LOG_BYTES_MAX);
    require(memcmp(t->log.bytes, before, n) == 0);
    require(log_replay(t->log.bytes, t->log.length, &replayed, &err) == 0);
    require(memcmp(replayed.sha256, t->log.sha256, sizeof(t->log.sha256)) == 0);
    require(memcmp(replayed.sha384, t->log.sha384, sizeof(t->log.sha384)) == 0);
    require(t->seen_count <= t->log.events);
}

static void talk(struct pod_trust *t, int guest, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (send(guest, data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
            break; /* it was hung up on */
        settle(t, guest);
    }
    shutdown(guest, SHUT_WR);
    settle(t, guest);
    require(t->conn_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pod_trust_setup setup = {.folder = -1, .id = "fuzzed"};
    struct pod_trust *t;
    struct err err;
    uint8_t first[64];
    int pair[2];
    if (size < 2 || size > INPUT_MAX)
        return 0;
    require(pod_trust_new(&setup, &t, &err) == 0);
    require(t->log.length <= sizeof(first) * 2);
    size_t kept = t->log.length < sizeof(first) ? t->log.length : sizeof(first);
    memcpy(first, t->log.bytes, kept);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const bool agent = (data[0] & OTHER) == 0;
    const size_t piece = data[0] & ~OTHER;
    connect_guest(t, pair[0], agent);
    talk(t, pair[1], data + 1, size - 1, piece == 0 ? size : piece);
    check_log(t, first, kept);
    require(agent || t->agent_key_bytes == 0);
    require(t->parted == agent);
    close(pair[1]);
    pod_trust_free(t);
    return 0;
}
