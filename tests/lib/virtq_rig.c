/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/virtq_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/bytes.h"

int vqr_set_up(void **state)
{
    struct virtq_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vdrv_init(&r->d);
    r->buffer = vdrv_alloc(&r->d, VQR_BUFFER_BYTES, 4096);
    return 0;
}

int vqr_tear_down(void **state)
{
    struct virtq_rig *r = *state;
    vdrv_fini(&r->d);
    free(r);
    return 0;
}

struct virtq_config vqr_config(const struct virtq_rig *r)
{
    const struct vdrv_queue *at = &r->d.queue[0];
    return (struct virtq_config){.size = at->size,
                                 .descriptors = gpa_make(at->descriptors),
                                 .driver = gpa_make(at->available),
                                 .device = gpa_make(at->used),
                                 .features = r->d.features};
}

void vqr_start(struct virtq_rig *r, uint16_t size, uint64_t features)
{
    r->d.features = features;
    vdrv_place_queue(&r->d, 0, size);
    const struct virtq_config config = vqr_config(r);
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
}

struct vdrv_buffer vqr_buffer(const struct virtq_rig *r, uint32_t bytes, bool writable)
{
    return (struct vdrv_buffer){.gpa = r->buffer, .bytes = bytes, .writable = writable};
}

uint16_t vqr_post(struct virtq_rig *r, unsigned count)
{
    struct vdrv_buffer b[VDRV_BUFFERS_MAX];
    assert_true(count <= VDRV_BUFFERS_MAX);
    for (unsigned i = 0; i < count; i++)
        b[i] = vqr_buffer(r, 8, true);
    return vdrv_post(&r->d, 0, b, count);
}

void vqr_put(struct virtq_rig *r, uint64_t table, uint16_t index, uint64_t gpa, uint32_t bytes, uint16_t third,
             uint16_t fourth)
{
    uint8_t *at = vdrv_at(&r->d, table + 16u * index, 16);
    bytes_store_le64(at, gpa);
    bytes_store_le32(at + 8, bytes);
    bytes_store_le16(at + 12, third);
    bytes_store_le16(at + 14, fourth);
}

uint16_t vqr_load(struct virtq_rig *r, uint64_t gpa)
{
    return bytes_load_le16(vdrv_at(&r->d, gpa, 2));
}

void vqr_store(struct virtq_rig *r, uint64_t gpa, uint16_t value)
{
    bytes_store_le16(vdrv_at(&r->d, gpa, 2), value);
}

void vqr_pop(struct virtq_rig *r)
{
    assert_int_equal(virtq_pop(&r->q, &r->chain), 1);
}

void vqr_serve(struct virtq_rig *r, uint32_t written)
{
    vqr_pop(r);
    virtq_push(&r->q, &r->chain, written);
}

void vqr_expect_broken(struct virtq_rig *r, const char *why)
{
    assert_int_equal(virtq_pop(&r->q, &r->chain), -EPROTO);
    assert_string_equal(r->q.why, why);
    assert_int_equal(virtq_pop(&r->q, &r->chain), -EPROTO);
    assert_false(virtq_listen(&r->q));
}

void vqr_expect_taken(struct virtq_rig *r, uint16_t id, uint32_t written)
{
    uint16_t got_id;
    uint32_t got_written;
    assert_true(vdrv_take(&r->d, 0, &got_id, &got_written));
    assert_int_equal(got_id, id);
    assert_int_equal(got_written, written);
}
