/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "vmm/devices/virtio/net_internal.h"

static int drop(_Atomic uint64_t *number)
{
    net_add(number);
    return 0;
}

static int drop_malformed(struct net *net)
{
    if (net->cfg.log != NULL && log_once_first(&net->said))
        log_write(net->cfg.log, LOG_LEVEL_WARN, LOG_NO_VCPU,
                  "virtio-net: the driver sent a frame that cannot be; it and others like it are dropped");
    return drop(&net->numbers.malformed);
}

/* 0: the chain is done with. -EAGAIN: it has to wait. */
static int send_chain(struct net *net, unsigned pair)
{
    struct net_pair *p = &net->pair[pair];
    uint8_t raw[NET_HEADER_BYTES];
    if (!virtq_chain_read(&p->tx, 0, raw, sizeof(raw)))
        return drop_malformed(net);
    uint32_t frame = p->tx.out_bytes - NET_HEADER_BYTES;
    struct net_header header = net_header_load(raw);
    if (frame < NET_FRAME_MIN || frame > NET_FRAME_MAX || !net_header_clean_out(&header, net->host_offloads, frame))
        return drop_malformed(net);
    if (!net_is_up(net) || pair >= atomic_load(&net->current))
        return drop(&net->numbers.not_sent);
    net_header_store(&header, raw);
    p->tx_list[0] = (struct iovec){.iov_base = raw, .iov_len = sizeof(raw)};
    unsigned count = 1 + virtq_slice(p->tx.iov, p->tx.out, NET_HEADER_BYTES, frame, p->tx_list + 1);
    unsigned skip = net->backend->header ? 0 : 1;
    int code = net->backend->ops->send(net->backend->self, pair, p->tx_list + skip, count - skip);
    if (code == -EAGAIN)
        return code;
    net_add(code == 0 ? &net->numbers.sent : &net->numbers.not_sent);
    return 0;
}

enum virtio_served net_transmit(struct net *net, unsigned pair, struct virtq *q)
{
    struct virtq_chain *chain = &net->pair[pair].tx;
    for (unsigned i = 0; i < NET_BUDGET; i++) {
        if (virtq_pop(q, chain) <= 0)
            return VIRTIO_DRAINED;
        if (send_chain(net, pair) == -EAGAIN) {
            virtq_unpop(q, chain);
            return VIRTIO_ENOUGH;
        }
        virtq_push(q, chain, 0);
    }
    return VIRTIO_MORE;
}
