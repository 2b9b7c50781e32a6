/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The control queue: commands of the driver, each answered with one byte. Source: 5.1.6.5.
 */
#include "common/bytes.h"
#include "vmm/devices/virtio/net_internal.h"

#define BUDGET        16
#define COMMAND_BYTES 2u /* class and command */

enum answer {
    OK = 0,
    ERR = 1,
};

/* Classes and their commands. */
#define CLASS_RX             0
#define RX_PROMISCUOUS       0
#define RX_ALL_MULTICAST     1
#define CLASS_MAC            1
#define MAC_TABLE_SET        0
#define CLASS_MQ             4
#define MQ_PAIRS_SET         0
#define CLASS_GUEST_OFFLOADS 5
#define GUEST_OFFLOADS_SET   0

/* Copy the command's data, which has to have exactly this length. */
static bool read_data(const struct virtq_chain *chain, void *to, uint32_t bytes)
{
    return chain->out_bytes == COMMAND_BYTES + bytes && virtq_chain_read(chain, COMMAND_BYTES, to, bytes);
}

/* Nothing is filtered: what a driver switches on is on, and what it switches off it merely asks for (5.1.6.5.1). */
static enum answer set_receive_mode(const struct virtq_chain *chain, uint8_t command)
{
    uint8_t on;
    return command <= RX_ALL_MULTICAST && read_data(chain, &on, sizeof(on)) && on <= 1 ? OK : ERR;
}

/* Two tables of addresses: a number of entries, 4 bytes, and the entries. They are checked and, likewise, not used. */
static enum answer set_mac_table(const struct virtq_chain *chain)
{
    uint64_t at = COMMAND_BYTES;
    for (int i = 0; i < 2; i++) {
        uint8_t entries[4];
        if (!virtq_chain_read(chain, at, entries, sizeof(entries)))
            return ERR;
        at += sizeof(entries) + (uint64_t)NET_MAC_BYTES * bytes_load_le32(entries);
    }
    return at == chain->out_bytes ? OK : ERR;
}

static enum answer set_pairs(struct net *net, const struct virtq_chain *chain)
{
    uint8_t data[2];
    if (!read_data(chain, data, sizeof(data)))
        return ERR;
    unsigned pairs = bytes_load_le16(data);
    const struct net_backend *b = net->backend;
    if (pairs == 0 || pairs > net->pairs || b->ops->set_pairs(b->self, pairs) < 0)
        return ERR;
    atomic_store(&net->current, pairs);
    /* Each looks at its back end, on its own loop; those that are in use no more stop doing so. */
    for (unsigned i = 0; i < net->pairs; i++)
        virtio_kick(&net->virtio, 2 * i);
    return OK;
}

static enum answer set_guest_offloads(struct net *net, const struct virtq_chain *chain)
{
    const uint64_t possible = VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_TSO4) |
                              VIRTIO_FEATURE(NET_F_GUEST_TSO6) | VIRTIO_FEATURE(NET_F_GUEST_ECN);
    uint8_t data[8];
    if (!read_data(chain, data, sizeof(data)))
        return ERR;
    /* The bits are those of the features. */
    uint64_t bits = bytes_load_le64(data);
    if ((bits & ~(possible & net->virtio.features)) != 0)
        return ERR;
    unsigned offloads = net_offloads_of(bits, NET_F_GUEST_CSUM, NET_F_GUEST_TSO4, NET_F_GUEST_TSO6, NET_F_GUEST_ECN);
    if (offloads != net_offloads_sane(offloads))
        return ERR;
    return net_accept(net, offloads) == 0 ? OK : ERR;
}

static enum answer obey(struct net *net, const struct virtq_chain *chain)
{
    const struct virtio *v = &net->virtio;
    uint8_t what[COMMAND_BYTES];
    if (!virtq_chain_read(chain, 0, what, sizeof(what)))
        return ERR;
    if (what[0] == CLASS_RX && virtio_has(v, NET_F_CTRL_RX))
        return set_receive_mode(chain, what[1]);
    if (what[0] == CLASS_MAC && what[1] == MAC_TABLE_SET && virtio_has(v, NET_F_CTRL_RX))
        return set_mac_table(chain);
    if (what[0] == CLASS_MQ && what[1] == MQ_PAIRS_SET && virtio_has(v, NET_F_MQ))
        return set_pairs(net, chain);
    if (what[0] == CLASS_GUEST_OFFLOADS && what[1] == GUEST_OFFLOADS_SET && virtio_has(v, NET_F_CTRL_GUEST_OFFLOADS))
        return set_guest_offloads(net, chain);
    return ERR;
}

static uint32_t answer(struct net *net, const struct virtq_chain *chain)
{
    /* Without a place for the answer it is no command. */
    if (chain->in_bytes == 0)
        return 0;
    uint8_t byte = (uint8_t)obey(net, chain);
    if (byte != OK)
        net_add(&net->numbers.control_failures);
    return virtq_chain_write(chain, 0, &byte, sizeof(byte)) ? sizeof(byte) : 0;
}

enum virtio_served net_control(struct net *net, struct virtq *q)
{
    for (int i = 0; i < BUDGET; i++) {
        if (virtq_pop(q, &net->control) <= 0)
            return VIRTIO_DRAINED;
        virtq_push(q, &net->control, answer(net, &net->control));
    }
    return VIRTIO_MORE;
}
