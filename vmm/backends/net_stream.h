/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Frames through a Unix stream socket to a network stack in a process of its own, such as passt: no privileges, no
 * interface on the host. Each frame follows its length, 4 bytes big-endian, both ways; there are no headers and
 * therefore no offloads. One queue pair.
 *
 * The peer is not trusted: a length that cannot be one ends the connection. When the peer is gone, the link goes down
 * and a timer tries to connect again.
 *
 * Source: passt(1), "-netdev stream" of QEMU.
 */
#ifndef CAISSON_VMM_BACKENDS_NET_STREAM_H
#define CAISSON_VMM_BACKENDS_NET_STREAM_H

#include "common/err.h"
#include "common/log.h"
#include "vmm/backends/net.h"

#define NET_STREAM_RETRY_NS UINT64_C(1000000000)

struct net_stream_config {
    const char *path;   /* where the peer listens; copied. NULL: fd */
    const char *inside; /* the same for connections after the first, from inside of the process's jail; NULL: path */
    int fd;             /* connected, owned by the back end from success on; there is no second try then */
    uint64_t retry_ns;  /* between attempts to connect; 0: NET_STREAM_RETRY_NS */
    uint16_t mtu;       /* that the peer understands; 0: not known */
    struct log *log;    /* borrowed; may be NULL */
};

/*
 * Connect. 0, or with *err and the descriptor still the caller's: -EINVAL for a path that is too long or a descriptor
 * that is no stream socket; what connect says. End it by net_backend_close.
 */
int net_stream_open(const struct net_stream_config *config, struct net_backend **out, struct err *err);

#endif
