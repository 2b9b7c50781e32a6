/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/console.h"

#define SAID_BYTES   0x80000u
#define ALL_FEATURES (VIRTIO_FEATURE(VCONSOLE_F_SIZE) | VIRTIO_FEATURE(VCONSOLE_F_EMERG_WRITE))

/* Input counts up, so that it shows what was lost or came twice. */
struct rig {
    struct vdrv d;
    struct vconsole *c;
    uint8_t *said;
    size_t said_bytes, longest;
    unsigned rooms;
    uint8_t next; /* to be put */
    size_t again; /* bytes that room puts */
};

static void hear_output(void *ctx, const uint8_t *bytes, size_t n)
{
    struct rig *r = ctx;
    assert_true(n > 0 && r->said_bytes + n <= SAID_BYTES);
    memcpy(r->said + r->said_bytes, bytes, n);
    r->said_bytes += n;
    r->longest = n > r->longest ? n : r->longest;
}

static size_t put(struct rig *r, size_t n)
{
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(r->next + i);
    size_t took = vconsole_put(r->c, bytes, n);
    r->next = (uint8_t)(r->next + took);
    free(bytes);
    return took;
}

static void hear_room(void *ctx)
{
    struct rig *r = ctx;
    r->rooms++;
    if (r->again > 0)
        (void)put(r, r->again);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || (r->said = malloc(SAID_BYTES)) == NULL)
        return -1;
    vdrv_init(&r->d);
    const struct vconsole_config cfg = {.memory = &r->d.memory,
                                        .loop = &r->d.loop,
                                        .output = hear_output,
                                        .room = hear_room,
                                        .ctx = r,
                                        .columns = 80,
                                        .rows = 25};
    if (vconsole_new(&cfg, &r->c, NULL) != 0)
        return -1;
    vdrv_attach(&r->d, vconsole_virtio(r->c));
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    vconsole_free(r->c);
    vdrv_fini(&r->d);
    free(r->said);
    free(r);
    return 0;
}

static struct rig *start(void **state)
{
    struct rig *r = *state;
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    return r;
}

/* Post a buffer to be heard into; its address. */
static uint64_t post_rx(struct rig *r, uint32_t bytes)
{
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, bytes, 8), .bytes = bytes, .writable = true};
    (void)vdrv_post(&r->d, VCONSOLE_RX, &b, 1);
    return b.gpa;
}

static void assert_said(const struct rig *r, const char *text)
{
    assert_int_equal(r->said_bytes, strlen(text));
    assert_memory_equal(r->said, text, strlen(text));
}

/* ---- Output ---- */

static void what_the_guest_says_comes_out(void **state)
{
    struct rig *r = start(state);
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_TX, "hello\n", 6, NULL, 0), 0);
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_TX, "world", 5, NULL, 0), 0);
    assert_said(r, "hello\nworld");
}

static void one_word_may_come_in_many_buffers(void **state)
{
    struct rig *r = start(state);
    struct vdrv_buffer b[3] = {{.gpa = vdrv_put(&r->d, "a", 1), .bytes = 1},
                               {.gpa = vdrv_put(&r->d, "bcd", 3), .bytes = 3},
                               {.gpa = vdrv_put(&r->d, "ef", 2), .bytes = 2}};
    (void)vdrv_post(&r->d, VCONSOLE_TX, b, 3);
    vdrv_kick(&r->d, VCONSOLE_TX);
    assert_said(r, "abcdef");
}

static void a_long_speech_takes_several_turns(void **state)
{
    struct rig *r = start(state);
    uint32_t bytes = 3 * VCONSOLE_TURN_BYTES + 5;
    uint64_t at = vdrv_alloc(&r->d, bytes, 8);
    for (uint32_t i = 0; i < bytes; i++)
        *vdrv_at(&r->d, at + i, 1) = (uint8_t)(i * 7 / 3);
    struct vdrv_buffer b = {.gpa = at, .bytes = bytes};
    (void)vdrv_post(&r->d, VCONSOLE_TX, &b, 1);
    virtio_kick(r->d.v, VCONSOLE_TX);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(r->said_bytes, VCONSOLE_TURN_BYTES);
    assert_false(vdrv_take(&r->d, VCONSOLE_TX, NULL, NULL));
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, VCONSOLE_TX, NULL, NULL));
    assert_int_equal(r->said_bytes, bytes);
    assert_memory_equal(r->said, vdrv_at(&r->d, at, bytes), bytes);
    assert_int_equal(r->longest, VCONSOLE_OUTPUT_BYTES);
}

static void a_reset_forgets_a_speech_that_was_half_said(void **state)
{
    struct rig *r = start(state);
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 2 * VCONSOLE_TURN_BYTES, 8), .bytes = 2 * VCONSOLE_TURN_BYTES};
    (void)vdrv_post(&r->d, VCONSOLE_TX, &b, 1);
    virtio_kick(r->d.v, VCONSOLE_TX);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    vdrv_reset(&r->d);
    vdrv_turn(&r->d);
    r->said_bytes = 0;
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_TX, "new", 3, NULL, 0), 0);
    assert_said(r, "new");
}

/* The driver cuts the chain short while it is in the ring again. */
static void a_speech_that_was_cut_short_between_turns_is_over(void **state)
{
    struct rig *r = start(state);
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 2 * VCONSOLE_TURN_BYTES, 8), .bytes = 2 * VCONSOLE_TURN_BYTES};
    (void)vdrv_post(&r->d, VCONSOLE_TX, &b, 1);
    virtio_kick(r->d.v, VCONSOLE_TX);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    bytes_store_le32(vdrv_at(&r->d, r->d.queue[VCONSOLE_TX].descriptors + 8, 4), 3);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, VCONSOLE_TX, NULL, NULL));
    assert_int_equal(r->said_bytes, VCONSOLE_TURN_BYTES);
    r->said_bytes = 0;
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_TX, "next", 4, NULL, 0), 0);
    assert_said(r, "next");
}

static void a_buffer_to_be_written_says_nothing(void **state)
{
    struct rig *r = start(state);
    uint8_t bytes[4];
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_TX, NULL, 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(r->said_bytes, 0);
}

static void many_words_are_said_by_one_notification(void **state)
{
    struct rig *r = start(state);
    for (unsigned i = 0; i < 60; i++) {
        struct vdrv_buffer b = {.gpa = vdrv_put(&r->d, "x", 1), .bytes = 1};
        (void)vdrv_post(&r->d, VCONSOLE_TX, &b, 1);
    }
    vdrv_kick(&r->d, VCONSOLE_TX);
    assert_int_equal(r->said_bytes, 60);
}

static void an_emergency_write_needs_no_driver(void **state)
{
    struct rig *r = *state;
    virtio_write_config(r->d.v, 8, 4, 'h');
    virtio_write_config(r->d.v, 8, 1, 'i');
    virtio_write_config(r->d.v, 0, 4, 'x');
    virtio_write_config(r->d.v, 9, 1, 'x');
    assert_said(r, "hi");
    assert_int_equal(virtio_read_config(r->d.v, 8, 4), 0);
}

/* ---- Input ---- */

static void what_is_typed_is_heard(void **state)
{
    struct rig *r = start(state);
    uint32_t written;
    uint64_t at = post_rx(r, 16);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_false(vdrv_take(&r->d, VCONSOLE_RX, NULL, NULL));
    assert_int_equal(vconsole_put(r->c, (const uint8_t *)"ls\n", 3), 3);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, &written));
    assert_int_equal(written, 3);
    assert_memory_equal(vdrv_at(&r->d, at, 4), "ls\n", 4);
    assert_int_equal(r->d.interrupts[VCONSOLE_RX], 1);
}

static void what_is_typed_before_there_is_a_driver_waits(void **state)
{
    struct rig *r = *state;
    uint32_t written;
    assert_int_equal(vconsole_put(r->c, (const uint8_t *)"early", 5), 5);
    vdrv_turn(&r->d);
    (void)start(state);
    uint64_t at = post_rx(r, 16);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, &written));
    assert_int_equal(written, 5);
    assert_memory_equal(vdrv_at(&r->d, at, 5), "early", 5);
}

static void input_fills_buffer_after_buffer(void **state)
{
    struct rig *r = start(state);
    uint64_t at[3];
    uint32_t written[3];
    for (unsigned i = 0; i < 3; i++)
        at[i] = post_rx(r, 4);
    assert_int_equal(put(r, 10), 10);
    vdrv_turn(&r->d);
    for (unsigned i = 0; i < 3; i++)
        assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, &written[i]));
    assert_int_equal(written[0], 4);
    assert_int_equal(written[1], 4);
    assert_int_equal(written[2], 2);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(*vdrv_at(&r->d, at[i / 4] + i % 4, 1), i);
}

static void a_buffer_to_be_read_hears_nothing(void **state)
{
    struct rig *r = start(state);
    assert_int_equal(put(r, 1), 1);
    assert_int_equal(vdrv_request(&r->d, VCONSOLE_RX, "x", 1, NULL, 0), 0);
    uint64_t at = post_rx(r, 1);
    *vdrv_at(&r->d, at, 1) = 0xff;
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_int_equal(*vdrv_at(&r->d, at, 1), 0);
}

static void a_full_buffer_refuses_and_invites_once_half_is_free(void **state)
{
    struct rig *r = start(state);
    assert_int_equal(put(r, VCONSOLE_INPUT_BYTES - 1), VCONSOLE_INPUT_BYTES - 1);
    assert_int_equal(put(r, 2), 1);
    assert_int_equal(put(r, 2), 0);
    (void)post_rx(r, VCONSOLE_INPUT_BYTES / 2 - 1);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_int_equal(r->rooms, 0);
    (void)post_rx(r, 1);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_int_equal(r->rooms, 1);
    (void)post_rx(r, VCONSOLE_INPUT_BYTES);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_int_equal(r->rooms, 1);
}

/* The buffer wraps many times, and room puts more from inside. */
static void nothing_is_lost_or_doubled(void **state)
{
    struct rig *r = start(state);
    uint8_t want = 0;
    size_t heard = 0;
    r->again = VCONSOLE_INPUT_BYTES;
    assert_int_equal(put(r, VCONSOLE_INPUT_BYTES + 1), VCONSOLE_INPUT_BYTES);
    while (heard < 5 * VCONSOLE_INPUT_BYTES) {
        uint64_t heap = r->d.heap, at = post_rx(r, 7777);
        uint32_t written;
        vdrv_kick(&r->d, VCONSOLE_RX);
        assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, &written));
        assert_true(written > 0);
        for (uint32_t i = 0; i < written; i++)
            assert_int_equal(*vdrv_at(&r->d, at + i, 1), want++);
        heard += written;
        r->d.heap = heap;
    }
    assert_true(r->rooms > 2);
}

static void input_outlives_a_reset(void **state)
{
    struct rig *r = start(state);
    assert_int_equal(vconsole_put(r->c, (const uint8_t *)"kept", 4), 4);
    vdrv_turn(&r->d);
    vdrv_reset(&r->d);
    (void)start(state);
    uint64_t at = post_rx(r, 4);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, NULL));
    assert_memory_equal(vdrv_at(&r->d, at, 4), "kept", 4);
}

static void no_far_end_has_to_hear_of_room(void **state)
{
    struct rig *r = *state;
    vconsole_free(r->c);
    const struct vconsole_config cfg = {.memory = &r->d.memory, .loop = &r->d.loop, .output = hear_output, .ctx = r};
    assert_int_equal(vconsole_new(&cfg, &r->c, NULL), 0);
    vdrv_attach(&r->d, vconsole_virtio(r->c));
    (void)start(state);
    assert_int_equal(put(r, VCONSOLE_INPUT_BYTES + 1), VCONSOLE_INPUT_BYTES);
    (void)post_rx(r, VCONSOLE_INPUT_BYTES);
    vdrv_kick(&r->d, VCONSOLE_RX);
    assert_true(vdrv_take(&r->d, VCONSOLE_RX, NULL, NULL));
    assert_int_equal(r->rooms, 0);
}

#define TYPED_BYTES 200000u

static void *type(void *ctx)
{
    struct rig *r = ctx;
    for (size_t done = 0; done < TYPED_BYTES;) {
        size_t took = put(r, TYPED_BYTES - done < 1000 ? TYPED_BYTES - done : 1000);
        done += took;
        if (took == 0)
            sched_yield();
    }
    return NULL;
}

/* No sleeps: either side goes on when the other one has. */
static void another_thread_types_while_the_guest_listens(void **state)
{
    struct rig *r = start(state);
    pthread_t typist;
    uint8_t want = 0;
    assert_int_equal(pthread_create(&typist, NULL, type, r), 0);
    uint64_t heap = r->d.heap;
    for (size_t heard = 0; heard < TYPED_BYTES;) {
        uint64_t at = post_rx(r, 512);
        uint32_t written = 0;
        vdrv_kick(&r->d, VCONSOLE_RX);
        while (!vdrv_take(&r->d, VCONSOLE_RX, NULL, &written)) {
            sched_yield();
            vdrv_turn(&r->d);
        }
        for (uint32_t i = 0; i < written; i++)
            assert_int_equal(*vdrv_at(&r->d, at + i, 1), want++);
        heard += written;
        r->d.heap = heap;
    }
    pthread_join(typist, NULL);
}

/* ---- Configuration ---- */

static void the_size_is_told_and_told_again(void **state)
{
    struct rig *r = start(state);
    assert_int_equal(virtio_read_config(r->d.v, 0, 2), 80);
    assert_int_equal(virtio_read_config(r->d.v, 2, 2), 25);
    vconsole_resize(r->c, 132, 43);
    assert_int_equal(virtio_read_config(r->d.v, 0, 2), 132);
    assert_int_equal(virtio_read_config(r->d.v, 2, 2), 43);
    assert_int_equal(r->d.config_interrupts, 1);
}

static void it_offers_size_and_emergency_writes(void **state)
{
    struct rig *r = *state;
    uint32_t rings = 1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC;
    assert_int_equal(virtio_get_offered(r->d.v, 0), rings | ALL_FEATURES);
    assert_int_equal(virtio_get_queue(r->d.v, 1, VIRTIO_QUEUE_SIZE_MAX), VCONSOLE_QUEUE_SIZE);
    assert_int_equal(virtio_get_queue(r->d.v, 2, VIRTIO_QUEUE_SIZE_MAX), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_guest_says_comes_out),
        CASE(one_word_may_come_in_many_buffers),
        CASE(a_long_speech_takes_several_turns),
        CASE(a_reset_forgets_a_speech_that_was_half_said),
        CASE(a_speech_that_was_cut_short_between_turns_is_over),
        CASE(a_buffer_to_be_written_says_nothing),
        CASE(many_words_are_said_by_one_notification),
        CASE(an_emergency_write_needs_no_driver),
        CASE(what_is_typed_is_heard),
        CASE(what_is_typed_before_there_is_a_driver_waits),
        CASE(input_fills_buffer_after_buffer),
        CASE(a_buffer_to_be_read_hears_nothing),
        CASE(a_full_buffer_refuses_and_invites_once_half_is_free),
        CASE(nothing_is_lost_or_doubled),
        CASE(input_outlives_a_reset),
        CASE(no_far_end_has_to_hear_of_room),
        CASE(another_thread_types_while_the_guest_listens),
        CASE(the_size_is_told_and_told_again),
        CASE(it_offers_size_and_emergency_writes),
    };
    return cmocka_run_group_tests_name("virtio/console", tests, NULL, NULL);
}
