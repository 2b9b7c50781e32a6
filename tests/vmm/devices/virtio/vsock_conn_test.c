/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One open connection: data both ways, credit both ways, buffers, half-closes and ends of every order.
 */
#include "vmm/devices/virtio/vsock_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/vsock_rig.h"

#define SECOND_NS UINT64_C(1000000000)
#define GUEST     700u
#define HOST      9u

/* One connection, opened by the guest: ports GUEST and HOST, the host's socket is fd. */
struct rig {
    struct vsock_rig r;
    int fd;
    uint8_t bytes[1 << 17];
    uint32_t seen; /* fwd_cnt when fill_socket begins */
};

static int set_up(void **state)
{
    struct rig *g = calloc(1, sizeof(*g));
    *state = g;
    if (g == NULL)
        return -1;
    vsock_rig_init(&g->r);
    g->fd = vsock_rig_open_by_guest(&g->r, GUEST, HOST);
    for (unsigned i = 0; i < sizeof(g->bytes); i++)
        g->bytes[i] = (uint8_t)(i % 4096 * 7 + (i % 4096 >> 8));
    return 0;
}

static int tear_down(void **state)
{
    struct rig *g = *state;
    if (g->fd >= 0)
        close(g->fd);
    vsock_rig_fini(&g->r);
    free(g);
    return 0;
}

static void send_op(struct rig *g, enum vsock_op op, uint32_t flags)
{
    struct vsock_header h = vsock_rig_header(&g->r, op, GUEST, HOST);
    h.flags = flags;
    vsock_rig_send(&g->r, &h, NULL);
}

static void send_data(struct rig *g, const void *data, uint32_t bytes)
{
    vsock_rig_send_data(&g->r, GUEST, HOST, data, bytes);
}

static unsigned connections(struct rig *g)
{
    struct vsock_stats s;
    vsock_stats(g->r.v, &s);
    return s.connections;
}

/* Fill the socket from the guest's side, so that what follows stays in the device. Returns how much it took. */
static uint32_t fill_socket(struct rig *g)
{
    struct vsock_header h;
    uint32_t sent = 0;
    /* Credit comes back for all that went into the socket; when none does, it went into the buffer. */
    for (;;) {
        send_data(g, g->bytes + sent % 4096, 4096);
        sent += 4096;
        if (!vsock_rig_next(&g->r, &h))
            return sent;
        assert_int_equal(h.op, VSOCK_OP_CREDIT_UPDATE);
        if (h.fwd_cnt - g->seen < sent)
            return sent;
    }
}

static uint32_t drain_socket(struct rig *g)
{
    uint8_t got[65536] = {0};
    uint32_t total = 0;
    for (;;) {
        int64_t n = vsock_rig_read(g->fd, got, sizeof(got));
        if (n > 0) {
            for (int64_t i = 0; i < n; i++)
                assert_int_equal(got[i], g->bytes[(total + (uint32_t)i) % 4096]);
            total += (uint32_t)n;
        }
        vsock_rig_turn(&g->r);
        if (n <= 0)
            return total;
    }
}

/* ---- Host to guest ---- */

static void single_bytes_reach_the_guest(void **state)
{
    struct rig *g = *state;
    for (unsigned i = 0; i < 100; i++) {
        vsock_rig_write(&g->r, g->fd, g->bytes + i, 1);
        struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_RW);
        assert_int_equal(h.len, 1);
        assert_int_equal(g->r.data[0], g->bytes[i]);
        assert_int_equal(h.src_port, HOST);
        assert_int_equal(h.dst_port, GUEST);
    }
}

static void data_is_cut_to_the_buffers_of_the_guest(void **state)
{
    struct rig *g = *state;
    uint32_t total = 0;
    vsock_rig_write(&g->r, g->fd, g->bytes, 10000);
    while (total < 10000) {
        struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_RW);
        assert_int_equal(h.len, 10000 - total < 4096 ? 10000 - total : 4096);
        assert_memory_equal(g->r.data, g->bytes + total, h.len);
        total += h.len;
    }
    vsock_rig_expect_none(&g->r);
}

static void a_packet_has_at_most_64_kib(void **state)
{
    struct rig *g = *state;
    uint16_t head;
    uint32_t written;
    vsock_rig_start(&g->r, 0);
    close(g->fd);
    vsock_rig_post(&g->r, 1);
    g->fd = vsock_rig_dial(&g->r, "CONNECT 52\n");
    g->r.keep_posted = false;
    struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_REQUEST);
    vsock_rig_answer(&g->r, &h, VSOCK_OP_RESPONSE);
    vsock_rig_write(&g->r, g->fd, g->bytes, 100000);
    uint64_t gpa = vdrv_alloc(&g->r.d, 200000, 8);
    head = vdrv_post(&g->r.d, VSOCK_QUEUE_RX, &(struct vdrv_buffer){.gpa = gpa, .bytes = 200000, .writable = true}, 1);
    vdrv_kick(&g->r.d, VSOCK_QUEUE_RX);
    uint16_t got;
    assert_true(vdrv_take(&g->r.d, VSOCK_QUEUE_RX, &got, &written));
    assert_int_equal(got, head);
    assert_int_equal(written, VSOCK_HEADER_BYTES + 65536);
    const uint8_t *packet = vdrv_at(&g->r.d, gpa, written);
    assert_int_equal(vsock_header_decode(packet).len, 65536);
    assert_memory_equal(packet + VSOCK_HEADER_BYTES, g->bytes, 65536);
}

static void the_guest_gets_no_more_than_its_credit(void **state)
{
    struct rig *g = *state;
    g->r.guest_room = 100;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    vsock_rig_write(&g->r, g->fd, g->bytes, 250);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 100);
    /* It is asked once; saying the same again changes nothing. */
    (void)vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_REQUEST);
    vsock_rig_expect_none(&g->r);
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    vsock_rig_expect_none(&g->r);
    g->r.guest_taken = 30;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 30);
    assert_memory_equal(g->r.data, g->bytes + 100, 30);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_REQUEST);
    g->r.guest_room = 1000;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 120);
    vsock_rig_expect_none(&g->r);
}

static void a_guest_without_any_credit_is_asked_when_there_is_data(void **state)
{
    struct rig *g = *state;
    g->r.guest_room = 0;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    vsock_rig_expect_none(&g->r);
    vsock_rig_write(&g->r, g->fd, "x", 1);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_REQUEST);
    vsock_rig_write(&g->r, g->fd, "x", 1);
    vsock_rig_expect_none(&g->r);
    g->r.guest_room = 10;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 2);
}

static void data_waits_for_a_buffer_and_needs_one_notification(void **state)
{
    struct rig *g = *state;
    for (unsigned i = 0; i < 2; i++) {
        vsock_rig_start(&g->r, i == 0 ? 0 : VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
        close(g->fd);
        vsock_rig_post(&g->r, 1);
        g->r.keep_posted = false;
        g->fd = vsock_rig_dial(&g->r, "CONNECT 52\n");
        struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_REQUEST);
        vsock_rig_answer(&g->r, &h, VSOCK_OP_RESPONSE);
        vsock_rig_write(&g->r, g->fd, g->bytes, 5000);
        vsock_rig_expect_none(&g->r);
        vsock_rig_post(&g->r, 1);
        assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 4096);
        vsock_rig_expect_none(&g->r);
        vsock_rig_post(&g->r, 2);
        assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 904);
        vsock_rig_expect_none(&g->r);
    }
}

/* The driver sleeps unless the device asks to be told: the flag or the index of the used ring says so. */
static void a_device_that_waits_for_buffers_asks_to_be_told(void **state)
{
    struct rig *g = *state;
    struct vdrv_queue *q = &g->r.d.queue[VSOCK_QUEUE_RX];
    vsock_rig_start(&g->r, 0);
    assert_int_equal(vdrv_at(&g->r.d, q->used, 2)[0], 1);
    close(g->fd);
    g->fd = vsock_rig_dial(&g->r, "CONNECT 52\n");
    assert_int_equal(vdrv_at(&g->r.d, q->used, 2)[0], 0);
    vsock_rig_post(&g->r, 2);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_REQUEST);
    assert_int_equal(vdrv_at(&g->r.d, q->used, 2)[0], 1);
}

/* ---- Guest to host ---- */

static void a_header_may_lie_in_several_buffers(void **state)
{
    struct rig *g = *state;
    uint8_t packet[VSOCK_HEADER_BYTES + 6], got[8] = {0};
    struct vdrv_buffer parts[VSOCK_HEADER_BYTES / 2];
    struct vsock_header h = vsock_rig_header(&g->r, VSOCK_OP_RW, GUEST, HOST);
    h.len = 6;
    vsock_header_encode(&h, packet);
    memcpy(packet + VSOCK_HEADER_BYTES, "abcdef", 6);
    uint64_t at = vdrv_put(&g->r.d, packet, sizeof(packet));
    for (unsigned i = 0; i < 22; i++)
        parts[i] = (struct vdrv_buffer){.gpa = at + i * 2, .bytes = i < 21 ? 2 : 8};
    (void)vdrv_post(&g->r.d, VSOCK_QUEUE_TX, parts, 22);
    vdrv_kick(&g->r.d, VSOCK_QUEUE_TX);
    assert_true(vdrv_take(&g->r.d, VSOCK_QUEUE_TX, NULL, NULL));
    assert_int_equal(vsock_rig_read(g->fd, got, sizeof(got)), 6);
    assert_string_equal((char *)got, "abcdef");
}

static void what_is_behind_the_length_is_not_data(void **state)
{
    struct rig *g = *state;
    uint8_t packet[VSOCK_HEADER_BYTES + 6] = {0}, got[8];
    struct vsock_header h = vsock_rig_header(&g->r, VSOCK_OP_RW, GUEST, HOST);
    h.len = 4;
    vsock_header_encode(&h, packet);
    assert_int_equal(vdrv_request(&g->r.d, VSOCK_QUEUE_TX, packet, sizeof(packet), NULL, 0), 0);
    assert_int_equal(vsock_rig_read(g->fd, got, sizeof(got)), 4);
}

static void credit_comes_back_with_what_the_host_took(void **state)
{
    struct rig *g = *state;
    send_data(g, g->bytes, 4095);
    vsock_rig_expect_none(&g->r);
    send_data(g, g->bytes, 1);
    struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_UPDATE);
    assert_int_equal(h.fwd_cnt, 4096);
    assert_int_equal(h.buf_alloc, 65536);
    vsock_rig_expect_none(&g->r);
}

static void many_packets_of_one_notification_give_one_update(void **state)
{
    struct rig *g = *state;
    struct vsock_header h = vsock_rig_header(&g->r, VSOCK_OP_RW, GUEST, HOST);
    h.len = 4096;
    vsock_header_encode(&h, g->bytes);
    uint64_t at = vdrv_put(&g->r.d, g->bytes, VSOCK_HEADER_BYTES + 4096);
    for (unsigned i = 0; i < 8; i++)
        (void)vdrv_post(&g->r.d, VSOCK_QUEUE_TX, &(struct vdrv_buffer){.gpa = at, .bytes = VSOCK_HEADER_BYTES + 4096},
                        1);
    vdrv_kick(&g->r.d, VSOCK_QUEUE_TX);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 8 * 4096);
    vsock_rig_expect_none(&g->r);
}

static void a_question_about_credit_is_answered(void **state)
{
    struct rig *g = *state;
    send_data(g, g->bytes, 10);
    send_op(g, VSOCK_OP_CREDIT_REQUEST, 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 10);
    vsock_rig_expect_none(&g->r);
}

static void data_carries_credit_too(void **state)
{
    struct rig *g = *state;
    send_data(g, g->bytes, 10);
    vsock_rig_write(&g->r, g->fd, "x", 1);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).fwd_cnt, 10);
}

static void a_host_that_does_not_read_gets_all_of_it_later(void **state)
{
    struct rig *g = *state;
    struct vsock_header h;
    uint32_t sent = fill_socket(g);
    for (unsigned i = 1; i < 16; i++) {
        send_data(g, g->bytes, 4096);
        sent += 4096;
    }
    vsock_rig_expect_none(&g->r);
    assert_int_equal(drain_socket(g), sent);
    /* What was buffered became credit again. */
    uint32_t known = 0;
    while (vsock_rig_next(&g->r, &h))
        known = h.fwd_cnt;
    assert_int_equal(known, sent);
}

static void the_buffer_wraps(void **state)
{
    struct rig *g = *state;
    struct vsock_header h;
    for (unsigned round = 0; round < 6; round++) {
        uint32_t sent = fill_socket(g);
        /* Odd pieces, so that the end of the buffer is anywhere in one of them. */
        for (uint32_t more = 0; more < 14 * 4096; more += 1024) {
            send_data(g, g->bytes + (sent + more) % 4096, 1024 - 1);
            send_data(g, g->bytes + (sent + more) % 4096 + 1023, 1);
        }
        assert_int_equal(drain_socket(g), sent + 14 * 4096);
        while (vsock_rig_next(&g->r, &h))
            assert_int_equal(h.op, VSOCK_OP_CREDIT_UPDATE);
        g->seen = h.fwd_cnt;
    }
}

static void a_guest_that_ignores_our_credit_is_reset(void **state)
{
    struct rig *g = *state;
    (void)fill_socket(g);
    for (unsigned i = 1; i < 16; i++)
        send_data(g, g->bytes, 4096);
    send_data(g, g->bytes, 4096);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_int_equal(connections(g), 0);
}

static void a_packet_larger_than_our_room_is_reset(void **state)
{
    struct rig *g = *state;
    send_data(g, g->bytes, 65537);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(g->fd));
    vsock_rig_expect_none(&g->r);
}

static void a_packet_as_large_as_our_room_is_delivered(void **state)
{
    struct rig *g = *state;
    uint8_t got[65537] = {0};
    send_data(g, g->bytes, 65536);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 65536);
    assert_int_equal(vsock_rig_read(g->fd, got, sizeof(got)), 65536);
    assert_memory_equal(got, g->bytes, 65536);
}

/* ---- Half-closes ---- */

static void a_host_that_stops_sending_still_receives(void **state)
{
    struct rig *g = *state;
    char got[4];
    vsock_rig_write(&g->r, g->fd, "last", 4);
    assert_int_equal(shutdown(g->fd, SHUT_WR), 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 4);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
    send_data(g, "more", 4);
    assert_int_equal(vsock_rig_read(g->fd, got, 4), 4);
    vsock_rig_pass(&g->r, 10 * SECOND_NS);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 1);
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(g->fd));
    assert_int_equal(connections(g), 0);
}

static void a_guest_that_stops_sending_still_receives(void **state)
{
    struct rig *g = *state;
    char got[8];
    send_data(g, "last", 4);
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
    assert_int_equal(vsock_rig_read(g->fd, got, 8), 4);
    assert_true(vsock_rig_is_at_end(g->fd));
    vsock_rig_write(&g->r, g->fd, "answer", 6);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 6);
    assert_int_equal(shutdown(g->fd, SHUT_WR), 0);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

static void a_guest_that_stops_receiving_still_sends(void **state)
{
    struct rig *g = *state;
    char got[8];
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_RECEIVE);
    assert_int_equal(send(g->fd, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    vsock_rig_expect_none(&g->r);
    send_data(g, "data", 4);
    assert_int_equal(vsock_rig_read(g->fd, got, 8), 4);
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(g->fd));
    assert_int_equal(connections(g), 0);
}

/* The device's socket of the only connection there is. */
static int find_socket(const struct rig *g)
{
    struct sockaddr_un peer;
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        socklen_t n = sizeof(peer);
        if (fd != g->fd && getpeername(fd, (struct sockaddr *)&peer, &n) == 0)
            return fd;
    }
    return -1;
}

/* Other than one that is closed: some of the guest's bytes are missing, and nobody must wait for what comes next. */
static void a_socket_that_fails_ends_the_connection(void **state)
{
    struct rig *g = *state;
    int fd = find_socket(g), null = open("/dev/null", O_RDWR);
    assert_true(fd >= 0 && null >= 0);
    assert_int_equal(dup2(null, fd), fd); /* ENOTSOCK */
    close(null);
    send_data(g, "lost", 4);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(g->fd));
    assert_int_equal(connections(g), 0);
}

static void a_host_that_stops_receiving_still_sends(void **state)
{
    struct rig *g = *state;
    assert_int_equal(shutdown(g->fd, SHUT_RD), 0);
    vsock_rig_turn(&g->r);
    send_data(g, "lost", 4);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_RECEIVE);
    send_data(g, "lost too", 8);
    vsock_rig_expect_none(&g->r);
    vsock_rig_write(&g->r, g->fd, "still", 5);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 5);
    assert_int_equal(shutdown(g->fd, SHUT_WR), 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    send_op(g, VSOCK_OP_RST, 0);
    assert_int_equal(connections(g), 0);
}

static void a_shutdown_of_nothing_is_nothing(void **state)
{
    struct rig *g = *state;
    char got[4];
    send_op(g, VSOCK_OP_SHUTDOWN, 0);
    send_op(g, VSOCK_OP_SHUTDOWN, 0xfffffffc);
    send_data(g, "data", 4);
    assert_int_equal(vsock_rig_read(g->fd, got, 4), 4);
    vsock_rig_expect_none(&g->r);
}

static void data_after_the_guests_end_is_reset(void **state)
{
    struct rig *g = *state;
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
    send_data(g, "more", 4);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
}

/* ---- Ends ---- */

static void a_guest_that_closes_is_told_when_all_is_delivered(void **state)
{
    struct rig *g = *state;
    struct vsock_header h;
    uint32_t sent = fill_socket(g);
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(drain_socket(g), sent);
    assert_true(vsock_rig_is_at_end(g->fd));
    while (vsock_rig_next(&g->r, &h) && h.op != VSOCK_OP_RST)
        assert_int_equal(h.op, VSOCK_OP_CREDIT_UPDATE);
    assert_int_equal(h.op, VSOCK_OP_RST);
    assert_int_equal(connections(g), 0);
}

static void a_guest_that_resets_has_its_data_delivered(void **state)
{
    struct rig *g = *state;
    uint32_t sent = fill_socket(g);
    send_op(g, VSOCK_OP_RST, 0);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(send(g->fd, "x", 1, MSG_NOSIGNAL), -1);
    /* For the guest it is gone: the same ports may be used again. */
    send_op(g, VSOCK_OP_CREDIT_REQUEST, 0);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_int_equal(connections(g), 1);
    assert_int_equal(drain_socket(g), sent);
    assert_true(vsock_rig_is_at_end(g->fd));
    assert_int_equal(connections(g), 0);
}

static void a_device_that_is_reset_delivers_what_it_has(void **state)
{
    struct rig *g = *state;
    uint32_t sent = fill_socket(g);
    vdrv_reset(&g->r.d);
    assert_int_equal(drain_socket(g), sent);
    assert_true(vsock_rig_is_at_end(g->fd));
    assert_int_equal(connections(g), 0);
}

static void a_host_that_leaves_what_is_not_delivered_is_forgotten(void **state)
{
    struct rig *g = *state;
    (void)fill_socket(g);
    send_op(g, VSOCK_OP_RST, 0);
    close(g->fd);
    g->fd = -1;
    vsock_rig_turn(&g->r);
    assert_int_equal(connections(g), 0);
    vsock_rig_expect_none(&g->r);
}

static void a_reset_with_nothing_to_deliver_ends_at_once(void **state)
{
    struct rig *g = *state;
    send_op(g, VSOCK_OP_RST, 0);
    assert_true(vsock_rig_is_at_end(g->fd));
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

static void a_host_that_closes_has_its_data_delivered(void **state)
{
    struct rig *g = *state;
    uint32_t total = 0;
    g->r.guest_room = 5000;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    vsock_rig_write(&g->r, g->fd, g->bytes, 12000);
    close(g->fd);
    g->fd = -1;
    while (total < 12000) {
        struct vsock_header h;
        if (!vsock_rig_next(&g->r, &h)) {
            g->r.guest_taken = total;
            send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
            continue;
        }
        if (h.op == VSOCK_OP_RW)
            assert_memory_equal(g->r.data, g->bytes + total, h.len);
        total += h.len;
    }
    struct vsock_header h;
    do
        assert_true(vsock_rig_next(&g->r, &h));
    while (h.op != VSOCK_OP_SHUTDOWN || h.flags != VSOCK_SHUTDOWN_BOTH);
    send_op(g, VSOCK_OP_RST, 0);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

static void a_host_that_closes_tells_the_guest_at_once(void **state)
{
    struct rig *g = *state;
    close(g->fd);
    g->fd = -1;
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    /* Data that was under way goes nowhere, and is no offence. */
    send_data(g, "data", 4);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 1);
}

static void a_guest_has_two_seconds_to_agree(void **state)
{
    struct rig *g = *state;
    close(g->fd);
    g->fd = -1;
    (void)vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN);
    vsock_rig_pass(&g->r, 2 * SECOND_NS - 1);
    vsock_rig_expect_none(&g->r);
    vsock_rig_pass(&g->r, 1);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    assert_int_equal(connections(g), 0);
}

static void a_guest_that_closes_in_return_is_reset(void **state)
{
    struct rig *g = *state;
    close(g->fd);
    g->fd = -1;
    (void)vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN);
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

static void a_host_that_leaves_unread_data_is_gone(void **state)
{
    struct rig *g = *state;
    send_data(g, "unread", 6);
    close(g->fd);
    g->fd = -1;
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
}

static void a_host_that_leaves_a_full_buffer_is_gone(void **state)
{
    struct rig *g = *state;
    (void)fill_socket(g);
    close(g->fd);
    g->fd = -1;
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    send_op(g, VSOCK_OP_RST, 0);
    assert_int_equal(connections(g), 0);
}

static void a_host_that_leaves_while_the_guest_has_no_credit_wakes_nobody(void **state)
{
    struct rig *g = *state;
    g->r.guest_room = 0;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    vsock_rig_write(&g->r, g->fd, "data", 4);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_CREDIT_REQUEST);
    close(g->fd);
    g->fd = -1;
    /* Its writes have no sense any more, its data has: the rig would notice if this span. */
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_RECEIVE);
    vsock_rig_expect_none(&g->r);
    g->r.guest_room = 100;
    send_op(g, VSOCK_OP_CREDIT_UPDATE, 0);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RW).len, 4);
    assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
}

static void a_guest_that_stopped_receiving_learns_that_the_host_left(void **state)
{
    struct rig *g = *state;
    send_op(g, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_RECEIVE);
    close(g->fd);
    g->fd = -1;
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

static void operations_that_have_no_place_are_reset(void **state)
{
    static const unsigned ops[] = {VSOCK_OP_INVALID, VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 8, 0xffff};
    for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        struct rig *g = *state;
        uint32_t port;
        int fd = vsock_rig_open_by_host(&g->r, 52, &port);
        struct vsock_header h = vsock_rig_header(&g->r, (enum vsock_op)ops[i], 52, port);
        vsock_rig_send(&g->r, &h, NULL);
        assert_int_equal(vsock_rig_expect(&g->r, VSOCK_OP_RST).src_port, port);
        assert_true(vsock_rig_is_at_end(fd));
        close(fd);
        assert_int_equal(connections(g), 1);
    }
}

static void a_connection_that_waits_for_its_reset_hears_nothing(void **state)
{
    struct rig *g = *state;
    vsock_rig_start(&g->r, 0);
    close(g->fd);
    vsock_rig_post(&g->r, 1);
    g->r.keep_posted = false;
    g->fd = vsock_rig_dial(&g->r, "CONNECT 52\n");
    struct vsock_header h = vsock_rig_expect(&g->r, VSOCK_OP_REQUEST);
    vsock_rig_answer(&g->r, &h, VSOCK_OP_INVALID);
    vsock_rig_answer(&g->r, &h, VSOCK_OP_RESPONSE);
    vsock_rig_answer(&g->r, &h, VSOCK_OP_RW);
    assert_int_equal(connections(g), 1);
    vsock_rig_post(&g->r, 4);
    (void)vsock_rig_expect(&g->r, VSOCK_OP_RST);
    vsock_rig_expect_none(&g->r);
    assert_int_equal(connections(g), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(single_bytes_reach_the_guest),
        CASE(data_is_cut_to_the_buffers_of_the_guest),
        CASE(a_packet_has_at_most_64_kib),
        CASE(the_guest_gets_no_more_than_its_credit),
        CASE(a_guest_without_any_credit_is_asked_when_there_is_data),
        CASE(data_waits_for_a_buffer_and_needs_one_notification),
        CASE(a_device_that_waits_for_buffers_asks_to_be_told),
        CASE(a_header_may_lie_in_several_buffers),
        CASE(what_is_behind_the_length_is_not_data),
        CASE(credit_comes_back_with_what_the_host_took),
        CASE(many_packets_of_one_notification_give_one_update),
        CASE(a_question_about_credit_is_answered),
        CASE(data_carries_credit_too),
        CASE(a_host_that_does_not_read_gets_all_of_it_later),
        CASE(the_buffer_wraps),
        CASE(a_guest_that_ignores_our_credit_is_reset),
        CASE(a_packet_larger_than_our_room_is_reset),
        CASE(a_packet_as_large_as_our_room_is_delivered),
        CASE(a_host_that_stops_sending_still_receives),
        CASE(a_guest_that_stops_sending_still_receives),
        CASE(a_guest_that_stops_receiving_still_sends),
        CASE(a_host_that_stops_receiving_still_sends),
        CASE(a_socket_that_fails_ends_the_connection),
        CASE(a_shutdown_of_nothing_is_nothing),
        CASE(data_after_the_guests_end_is_reset),
        CASE(a_guest_that_closes_is_told_when_all_is_delivered),
        CASE(a_guest_that_resets_has_its_data_delivered),
        CASE(a_device_that_is_reset_delivers_what_it_has),
        CASE(a_host_that_leaves_what_is_not_delivered_is_forgotten),
        CASE(a_reset_with_nothing_to_deliver_ends_at_once),
        CASE(a_host_that_closes_has_its_data_delivered),
        CASE(a_host_that_closes_tells_the_guest_at_once),
        CASE(a_guest_has_two_seconds_to_agree),
        CASE(a_guest_that_closes_in_return_is_reset),
        CASE(a_host_that_leaves_unread_data_is_gone),
        CASE(a_host_that_leaves_a_full_buffer_is_gone),
        CASE(a_host_that_leaves_while_the_guest_has_no_credit_wakes_nobody),
        CASE(a_guest_that_stopped_receiving_learns_that_the_host_left),
        CASE(operations_that_have_no_place_are_reset),
        CASE(a_connection_that_waits_for_its_reset_hears_nothing),
    };
    return cmocka_run_group_tests_name("virtio/vsock_conn", tests, NULL, NULL);
}
