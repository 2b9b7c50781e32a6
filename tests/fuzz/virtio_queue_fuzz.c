/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a ring of either kind in memory that a hostile driver writes as it likes, and a device that takes and
 * returns chains in any order that it may.
 *
 * Input: 1 byte kind (bit 0 packed, 1 event indexes, 2 indirect tables), 1 byte size, 3 times 2 bytes where the parts
 * of the ring are; then actions of 1 byte and what they need:
 *
 *     0 write a byte           2 address, 1 value
 *     1 write a descriptor     1 index, 2 address, 2 length, 2 flags, 2 next or id; in the ring, or from bit 7 of the
 *                              action on, in a table at 100h
 *     2 write 16 bits          1 offset into the driver's part, 2 value
 *     3 pop                    4 push: 1 which of the chains that are held, 1 how much was written
 *     5 unpop                  6 publish
 *     7 quiet or, with bit 7, listen
 *
 * Checked: chains lie in RAM, have no more buffers than the ring entries, and their sums are right; a broken ring stays
 * broken; a device never holds more than the ring has; an interrupt is only wanted for something; the device writes
 * nowhere but where its part of the ring is. RAM is on the heap, in two pieces: the sanitizer sees what leaves it.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/devices/virtio/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIRST_BYTES  0x2000u
#define SECOND_GPA   0x4000u
#define SECOND_BYTES 0x1000u
#define TABLE        0x100u
#define HELD_MAX     8u
#define HEADER_BYTES 8u
#define ACTION_KINDS 7u /* mask */
#define VARIANT      0x80u

struct input {
    const uint8_t *at;
    size_t left;
};

struct held {
    struct virtq_chain chain;
    bool out; /* with the device */
    uint64_t order;
};

struct world {
    struct input in;
    struct memory memory;
    uint8_t *before; /* copy of both ranges */
    struct virtq_config config;
    struct virtq q;
    struct held held[HELD_MAX];
    uint64_t order; /* pops so far, less what was taken back */
    unsigned taken; /* popped and not published: chains, or slots */
    unsigned fresh; /* pushed and not published, likewise */
    bool broken;
};

static uint8_t next8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static uint16_t next16(struct input *in)
{
    uint16_t low = next8(in);
    return (uint16_t)(low | next8(in) << 8);
}

/* ---- Memory ---- */

static void make_memory(struct world *w)
{
    w->memory.count = 2;
    w->memory.range[0] = (struct memory_range){.bytes = FIRST_BYTES, .host = calloc(1, FIRST_BYTES)};
    w->memory.range[1] =
        (struct memory_range){.gpa = gpa_make(SECOND_GPA), .bytes = SECOND_BYTES, .host = calloc(1, SECOND_BYTES)};
    w->before = malloc(FIRST_BYTES + SECOND_BYTES);
    assert(w->memory.range[0].host != NULL && w->memory.range[1].host != NULL && w->before != NULL);
}

static void free_memory(struct world *w)
{
    free(w->memory.range[0].host);
    free(w->memory.range[1].host);
    free(w->before);
}

static void remember(struct world *w)
{
    memcpy(w->before, w->memory.range[0].host, FIRST_BYTES);
    memcpy(w->before + FIRST_BYTES, w->memory.range[1].host, SECOND_BYTES);
}

/* Where the device may write: its own part, and the descriptors if the ring is packed. */
static bool is_devices(const struct world *w, uint64_t gpa)
{
    uint64_t n = w->config.size, device = w->q.packed ? 4 : 6 + 8 * n;
    return gpa - w->config.device.value < device || (w->q.packed && gpa - w->config.descriptors.value < 16 * n);
}

static void check_writes(const struct world *w)
{
    const uint8_t *before = w->before;
    for (unsigned r = 0; r < 2; before += w->memory.range[r].bytes, r++) {
        const struct memory_range *range = &w->memory.range[r];
        if (memcmp(before, range->host, range->bytes) == 0)
            continue;
        for (uint64_t i = 0; i < range->bytes; i++)
            assert(before[i] == range->host[i] || is_devices(w, range->gpa.value + i));
    }
}

/* What the driver writes: addresses beyond the second piece wrap to the first. */
static void store8(struct world *w, uint64_t gpa, uint8_t value)
{
    uint8_t *at = memory_at(&w->memory, gpa_make(gpa), 1);
    if (at != NULL)
        *at = value;
}

static void store16(struct world *w, uint64_t gpa, uint16_t value)
{
    store8(w, gpa, (uint8_t)value);
    store8(w, gpa + 1, (uint8_t)(value >> 8));
}

/* The upper half of the two long fields is 0, or all ones if the lower half is 0xffff. */
static void store_descriptor(struct world *w, uint64_t at)
{
    uint16_t gpa = next16(&w->in), bytes = next16(&w->in), flags = next16(&w->in), next = next16(&w->in);
    for (unsigned i = 0; i < 12; i += 2)
        store16(w, at + i, i == 0 ? gpa : i == 8 ? bytes : (i < 8 ? gpa : bytes) == 0xffff ? 0xffff : 0);
    store16(w, at + 12, w->q.packed ? next : flags);
    store16(w, at + 14, w->q.packed ? flags : next);
}

/* ---- Chains ---- */

static bool is_in_ram(const struct world *w, const struct iovec *v)
{
    const uint8_t *at = v->iov_base;
    for (unsigned r = 0; r < 2; r++) {
        const struct memory_range *range = &w->memory.range[r];
        if (at >= range->host && at < range->host + range->bytes)
            return v->iov_len <= (size_t)(range->host + range->bytes - at);
    }
    return false;
}

static uint64_t check_part(const struct world *w, const struct iovec *list, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        assert(list[i].iov_len > 0 && is_in_ram(w, &list[i]));
        sum += list[i].iov_len;
    }
    return sum;
}

static void check_chain(const struct world *w, const struct virtq_chain *chain)
{
    struct iovec slice[VIRTQ_SIZE_MAX];
    uint8_t bytes[3];
    assert(chain->out + chain->in <= w->config.size);
    assert(chain->slots >= 1 && chain->slots <= w->config.size);
    assert(w->q.packed || chain->id < w->config.size);
    assert(check_part(w, chain->iov, chain->out) == chain->out_bytes);
    assert(check_part(w, virtq_chain_in(chain), chain->in) == chain->in_bytes);
    unsigned n = virtq_slice(virtq_chain_in(chain), chain->in, 5, 100, slice);
    uint64_t behind = chain->in_bytes > 5 ? chain->in_bytes - 5 : 0;
    assert(n <= chain->in && check_part(w, slice, n) == (behind < 100 ? behind : 100));
    assert(virtq_chain_read(chain, 1, bytes, sizeof(bytes)) == (chain->out_bytes >= 4));
}

static unsigned weight(const struct world *w, const struct virtq_chain *chain)
{
    return w->q.packed ? chain->slots : 1;
}

static struct held *free_place(struct world *w)
{
    for (unsigned i = 0; i < HELD_MAX; i++)
        if (!w->held[i].out)
            return &w->held[i];
    return NULL;
}

/* ---- The device ---- */

static void do_pop(struct world *w)
{
    struct held *h = free_place(w);
    if (h == NULL)
        return;
    int got = virtq_pop(&w->q, &h->chain);
    assert(!w->broken || got == -EPROTO);
    if (got > 0) {
        check_chain(w, &h->chain);
        h->out = true;
        h->order = ++w->order;
        w->taken += weight(w, &h->chain);
        assert(w->taken <= w->config.size);
    } else if (got < 0) {
        assert(got == -EPROTO && w->q.broken && w->q.why != NULL);
        w->broken = true;
    }
}

static void do_push(struct world *w)
{
    struct held *h = &w->held[next8(&w->in) % HELD_MAX];
    uint8_t written = next8(&w->in);
    if (!h->out)
        return;
    h->out = false;
    w->fresh += weight(w, &h->chain);
    virtq_push(&w->q, &h->chain, written < h->chain.in_bytes ? written : h->chain.in_bytes);
}

/* Only the chain that was popped last, if it is still there. */
static void do_unpop(struct world *w)
{
    for (unsigned i = 0; i < HELD_MAX; i++) {
        struct held *h = &w->held[i];
        if (!h->out || h->order != w->order)
            continue;
        h->out = false;
        w->order--;
        w->taken -= weight(w, &h->chain);
        virtq_unpop(&w->q, &h->chain);
        return;
    }
}

static void do_publish(struct world *w)
{
    bool wanted = virtq_publish(&w->q);
    assert(!wanted || w->fresh > 0);
    w->taken -= w->fresh;
    w->fresh = 0;
}

static void do_listen(struct world *w, bool listen)
{
    if (!listen)
        virtq_quiet(&w->q);
    else if (virtq_listen(&w->q))
        assert(!w->broken);
}

static void act(struct world *w, uint8_t action)
{
    bool variant = (action & VARIANT) != 0;
    uint64_t at;
    switch (action & ACTION_KINDS) {
    case 0:
        at = next16(&w->in) % (SECOND_GPA + SECOND_BYTES);
        store8(w, at, next8(&w->in));
        return;
    case 1:
        at = 16u * (next8(&w->in) % 64u);
        store_descriptor(w, (variant ? TABLE : w->config.descriptors.value) + at);
        return;
    case 2:
        at = w->config.driver.value + next8(&w->in);
        store16(w, at, next16(&w->in));
        return;
    default: break;
    }
    remember(w);
    switch (action & ACTION_KINDS) {
    case 3: do_pop(w); break;
    case 4: do_push(w); break;
    case 5: do_unpop(w); break;
    case 6: do_publish(w); break;
    default: do_listen(w, variant); break;
    }
    check_writes(w);
}

static gpa_t place(struct world *w, unsigned alignment)
{
    /* Mostly aligned: those that are not are refused, which is soon known. */
    uint64_t at = next16(&w->in) % (SECOND_GPA + SECOND_BYTES);
    return gpa_make((at & 1) != 0 ? at : at & ~(uint64_t)(alignment - 1));
}

static bool make_ring(struct world *w)
{
    uint8_t kind = next8(&w->in), size = next8(&w->in);
    bool packed = CONFIG_VIRTIO_PACKED && (kind & 1) != 0;
    w->config.size = (uint16_t)(packed ? size % 40u : 1u << size % 7);
    w->config.features = (packed ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0) |
                         ((kind & 2) != 0 ? UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX : 0) |
                         ((kind & 4) != 0 ? UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC : 0);
    w->config.descriptors = place(w, 16);
    w->config.driver = place(w, 4);
    w->config.device = place(w, 4);
    return virtq_init(&w->q, &w->memory, &w->config, NULL) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEADER_BYTES)
        return 0;
    struct world *w = calloc(1, sizeof(*w));
    assert(w != NULL);
    w->in = (struct input){.at = data, .left = size};
    make_memory(w);
    if (make_ring(w))
        while (w->in.left > 0)
            act(w, next8(&w->in));
    free_memory(w);
    free(w);
    return 0;
}
