/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Many connections at once, and packets that belong to none.
 */
#include "vmm/devices/virtio/vsock_mux.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/vsock_rig.h"

#define SECOND_NS UINT64_C(1000000000)

static int set_up(void **state)
{
    struct vsock_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vsock_rig_init(r);
    return 0;
}

static int tear_down(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_fini(r);
    free(r);
    return 0;
}

static struct vsock_stats stats(struct vsock_rig *r)
{
    struct vsock_stats s;
    vsock_stats(r->v, &s);
    return s;
}

static bool set_file_limit(rlim_t files)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < files)
        return false;
    limit.rlim_cur = files;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* ---- Many ---- */

static void there_may_be_1023_connections_and_no_more(void **state)
{
    struct vsock_rig *r = *state;
    int fd[VSOCK_CONNS];
    uint32_t port[VSOCK_CONNS];
    char byte;
    if (!set_file_limit(2 * VSOCK_CONNS + 100))
        skip();
    for (unsigned i = 0; i < VSOCK_CONNS; i++)
        fd[i] = vsock_rig_open_by_host(r, 52, &port[i]);
    int more = vsock_rig_dial(r, "");
    assert_true(vsock_rig_is_at_end(more));
    close(more);
    int listener = vsock_rig_listen(r, 9);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    assert_int_equal(stats(r).refused[VSOCK_TOO_MANY], 2);
    assert_int_equal(stats(r).connections, VSOCK_CONNS);
    /* Each is its own. */
    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        byte = (char)i;
        vsock_rig_send_data(r, 52, port[i], &byte, 1);
        byte = 0;
        assert_int_equal(vsock_rig_read(fd[i], &byte, 1), 1);
        assert_int_equal(byte, (char)i);
        assert_int_equal(port[i], VSOCK_FIRST_PORT + i);
    }
    /* One that ends makes room. */
    h = vsock_rig_header(r, VSOCK_OP_RST, 52, port[500]);
    vsock_rig_send(r, &h, NULL);
    h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    (void)vsock_rig_expect(r, VSOCK_OP_RESPONSE);
    for (unsigned i = 0; i < VSOCK_CONNS; i++)
        close(fd[i]);
    close(listener);
}

static void everyone_of_many_gets_a_turn(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t bytes[20000] = {0};
    int fd[4];
    uint32_t port[4], turns[4] = {0};
    struct vsock_header h;
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 1);
    for (unsigned i = 0; i < 4; i++)
        fd[i] = vsock_rig_open_by_host(r, 52, &port[i]);
    r->keep_posted = false;
    for (unsigned i = 0; i < 4; i++)
        vsock_rig_write(r, fd[i], bytes, sizeof(bytes));
    /* One buffer was there, for the first; after that each has one in four. */
    assert_true(vsock_rig_next(r, &h));
    for (unsigned i = 0; i < 12; i++) {
        vsock_rig_post(r, 1);
        h = vsock_rig_expect(r, VSOCK_OP_RW);
        turns[h.src_port - port[0]]++;
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(turns[i], 3);
        close(fd[i]);
    }
}

static void a_host_that_does_not_read_holds_up_nobody_else(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t bytes[4096], got[4096];
    struct vsock_header h;
    int slow = vsock_rig_open_by_guest(r, 700, 9), fast = vsock_rig_open_by_guest(r, 701, 10);
    uint32_t sent = 0, known = 0;
    /* Until the guest has no credit left. */
    while (sent - known <= 65536 - 4096) {
        vsock_rig_send_data(r, 700, 9, bytes, 4096);
        sent += 4096;
        while (vsock_rig_next(r, &h))
            known = h.fwd_cnt;
    }
    for (unsigned i = 0; i < 200; i++) {
        vsock_rig_send_data(r, 701, 10, bytes, 4096);
        assert_int_equal(vsock_rig_read(fast, got, 4096), 4096);
        h = vsock_rig_expect(r, VSOCK_OP_CREDIT_UPDATE);
        assert_int_equal(h.dst_port, 701);
        assert_int_equal(h.fwd_cnt, (i + 1) * 4096);
    }
    close(slow);
    close(fast);
}

static void a_guest_that_does_not_read_holds_up_nobody_else(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port[2];
    int fd[2];
    fd[0] = vsock_rig_open_by_host(r, 52, &port[0]);
    fd[1] = vsock_rig_open_by_host(r, 53, &port[1]);
    r->guest_room = 1;
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_CREDIT_UPDATE, 52, port[0]);
    vsock_rig_send(r, &h, NULL);
    vsock_rig_write(r, fd[0], "abc", 3);
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RW).len, 1);
    (void)vsock_rig_expect(r, VSOCK_OP_CREDIT_REQUEST);
    for (unsigned i = 0; i < 20; i++) {
        vsock_rig_write(r, fd[1], "abc", 3);
        assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RW).dst_port, 53);
    }
    vsock_rig_expect_none(r);
    close(fd[0]);
    close(fd[1]);
}

static void more_packets_than_one_round_takes_are_all_sent(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t bytes[100000] = {0};
    uint32_t port, total = 0;
    int fd = vsock_rig_open_by_host(r, 52, &port);
    /* Many small buffers: more than the device fills in one call. */
    vsock_rig_start(r, 0);
    close(fd);
    vsock_rig_post(r, 1);
    fd = vsock_rig_dial(r, "CONNECT 52\n");
    r->keep_posted = false;
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
    vsock_rig_write(r, fd, bytes, 64 * 100);
    uint64_t gpa = vdrv_alloc(&r->d, 64 * 144, 8);
    for (unsigned i = 0; i < 64; i++)
        (void)vdrv_post(&r->d, VSOCK_QUEUE_RX,
                        &(struct vdrv_buffer){.gpa = gpa + i * 144, .bytes = 144, .writable = true}, 1);
    vdrv_kick(&r->d, VSOCK_QUEUE_RX);
    uint32_t written;
    while (vdrv_take(&r->d, VSOCK_QUEUE_RX, NULL, &written))
        total += written - VSOCK_HEADER_BYTES;
    assert_int_equal(total, 64 * 100);
    close(fd);
}

/* As many buffers as the device fills in one call; each takes 100 bytes of data. */
static void post_64(struct vsock_rig *r)
{
    uint64_t gpa = vdrv_alloc(&r->d, 64 * 144, 8);
    for (unsigned i = 0; i < 64; i++)
        (void)vdrv_post(&r->d, VSOCK_QUEUE_RX,
                        &(struct vdrv_buffer){.gpa = gpa + i * 144, .bytes = 144, .writable = true}, 1);
    vdrv_kick(&r->d, VSOCK_QUEUE_RX);
}

/* Whether the socket or the guest's credit sets it off: when the buffers are used up, the driver is asked for more. */
static void data_for_more_than_one_round_is_sent_to_the_end(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t bytes[64 * 100 + 1] = {0};
    for (unsigned by_credit = 0; by_credit < 2; by_credit++) {
        unsigned came = 0;
        vsock_rig_start(r, 0);
        const uint8_t *flags = vdrv_at(&r->d, r->d.queue[VSOCK_QUEUE_RX].used, 2);
        vsock_rig_post(r, 1 + by_credit);
        r->keep_posted = false;
        r->guest_room = by_credit ? 0 : VSOCK_RIG_GUEST_ROOM;
        int fd = vsock_rig_dial(r, "CONNECT 52\n");
        struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST), update;
        vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
        if (by_credit)
            (void)vsock_rig_expect(r, VSOCK_OP_CREDIT_REQUEST);
        post_64(r);
        assert_int_equal(flags[0], 1);
        vsock_rig_write(r, fd, bytes, sizeof(bytes));
        r->guest_room = VSOCK_RIG_GUEST_ROOM;
        update = vsock_rig_header(r, VSOCK_OP_CREDIT_UPDATE, h.dst_port, h.src_port);
        if (by_credit)
            vsock_rig_send(r, &update, NULL);
        while (vdrv_take(&r->d, VSOCK_QUEUE_RX, NULL, NULL))
            came++;
        assert_int_equal(came, 64);
        assert_int_equal(flags[0], 0);
        close(fd);
    }
}

static void hosts_ports_are_not_used_twice(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port[2];
    int fd[2];
    /* A guest may take the port that would be next. */
    close(vsock_rig_open_by_guest(r, 52, VSOCK_FIRST_PORT));
    fd[0] = vsock_rig_dial(r, "CONNECT 52\n");
    struct vsock_header h;
    do
        assert_true(vsock_rig_next(r, &h));
    while (h.op != VSOCK_OP_REQUEST);
    assert_int_equal(h.src_port, VSOCK_FIRST_PORT + 1);
    close(fd[0]);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    fd[0] = vsock_rig_open_by_host(r, 53, &port[0]);
    fd[1] = vsock_rig_open_by_host(r, 53, &port[1]);
    assert_true(port[0] != port[1]);
    close(fd[0]);
    close(fd[1]);
}

static void what_went_through_is_counted(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    int fd = vsock_rig_open_by_host(r, 52, &port), of_guest = vsock_rig_open_by_guest(r, 700, 9);
    vsock_rig_write(r, fd, "abc", 3);
    vsock_rig_send_data(r, 700, 9, "12345", 5);
    struct vsock_stats s = stats(r);
    assert_int_equal(s.connections, 2);
    assert_int_equal(s.by_host, 1);
    assert_int_equal(s.by_guest, 1);
    assert_int_equal(s.bytes_to_guest, 3);
    assert_int_equal(s.bytes_from_guest, 5);
    assert_int_equal(s.bad_packets, 0);
    close(fd);
    close(of_guest);
}

/* ---- Packets that belong to nobody ---- */

static void packets_of_no_connection_are_reset(void **state)
{
    struct vsock_rig *r = *state;
    static const unsigned ops[] = {VSOCK_OP_INVALID,
                                   VSOCK_OP_RESPONSE,
                                   VSOCK_OP_SHUTDOWN,
                                   VSOCK_OP_RW,
                                   VSOCK_OP_CREDIT_UPDATE,
                                   VSOCK_OP_CREDIT_REQUEST,
                                   8,
                                   0xffff};
    for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        struct vsock_header h = vsock_rig_header(r, (enum vsock_op)ops[i], 70 + i, 90 + i);
        vsock_rig_send(r, &h, NULL);
        h = vsock_rig_expect(r, VSOCK_OP_RST);
        assert_int_equal(h.src_port, 90 + i);
        assert_int_equal(h.dst_port, 70 + i);
        assert_true(h.src_cid == VSOCK_HOST_CID);
    }
    vsock_rig_expect_none(r);
}

static void a_reset_is_never_answered(void **state)
{
    struct vsock_rig *r = *state;
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RST, 70, 90);
    vsock_rig_send(r, &h, NULL);
    h.type = 9;
    h.dst_cid = 5;
    vsock_rig_send(r, &h, NULL);
    vsock_rig_expect_none(r);
}

static void unknown_types_are_reset_with_their_type(void **state)
{
    struct vsock_rig *r = *state;
    static const uint16_t types[] = {0, 2, 3, 0xffff};
    int listener = vsock_rig_listen(r, 9);
    for (unsigned i = 0; i < 4; i++) {
        struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
        h.type = types[i];
        vsock_rig_send(r, &h, NULL);
        h = vsock_rig_expect(r, VSOCK_OP_RST);
        assert_int_equal(h.type, types[i]);
    }
    assert_int_equal(stats(r).bad_packets, 4);
    close(listener);
}

static void other_destinations_are_reset_in_their_name(void **state)
{
    struct vsock_rig *r = *state;
    static const uint64_t cids[] = {0, 1, 3, VSOCK_RIG_CID, UINT32_MAX, UINT64_C(0x100000002)};
    int fd = vsock_rig_open_by_guest(r, 700, 9);
    for (unsigned i = 0; i < 6; i++) {
        struct vsock_header h = vsock_rig_header(r, VSOCK_OP_SHUTDOWN, 700, 9);
        h.dst_cid = cids[i];
        h.flags = VSOCK_SHUTDOWN_BOTH;
        vsock_rig_send(r, &h, NULL);
        h = vsock_rig_expect(r, VSOCK_OP_RST);
        assert_true(h.src_cid == cids[i] && h.dst_cid == VSOCK_RIG_CID);
    }
    /* The connection of these ports did not notice. */
    assert_false(vsock_rig_is_at_end(fd));
    close(fd);
}

static void packets_in_the_name_of_others_touch_nothing(void **state)
{
    struct vsock_rig *r = *state;
    static const uint64_t cids[] = {0, 1, 2, 43, UINT64_C(0x10000002a), UINT64_MAX};
    int fd = vsock_rig_open_by_guest(r, 700, 9);
    for (unsigned i = 0; i < 6; i++) {
        struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RST, 700, 9);
        h.src_cid = cids[i];
        vsock_rig_send(r, &h, NULL);
        vsock_rig_expect_none(r);
        h.op = VSOCK_OP_REQUEST;
        vsock_rig_send(r, &h, NULL);
        h = vsock_rig_expect(r, VSOCK_OP_RST);
        assert_true(h.dst_cid == VSOCK_RIG_CID);
    }
    assert_false(vsock_rig_is_at_end(fd));
    assert_int_equal(stats(r).bad_packets, 12);
    close(fd);
}

static void packets_that_are_cut_short_are_dropped(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t packet[VSOCK_HEADER_BYTES];
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, 700, 9);
    vsock_header_encode(&h, packet);
    for (uint32_t n = 1; n < VSOCK_HEADER_BYTES; n++)
        assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, packet, n, NULL, 0), 0);
    vsock_rig_expect_none(r);
    assert_int_equal(stats(r).bad_packets, 43);
}

static void buffers_that_are_to_be_written_are_no_packets(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t packet[VSOCK_HEADER_BYTES] = {0}, in[64];
    assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, NULL, 0, in, sizeof(in)), 0);
    assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, packet, 20, in, sizeof(in)), 0);
    vsock_rig_expect_none(r);
    assert_int_equal(stats(r).bad_packets, 2);
}

static void a_length_beyond_the_chain_is_reset(void **state)
{
    struct vsock_rig *r = *state;
    static const uint32_t lengths[] = {11, 1000, 0x80000000, UINT32_MAX};
    uint8_t packet[VSOCK_HEADER_BYTES + 10] = {0}, got[16];
    for (unsigned i = 0; i < 4; i++) {
        uint32_t port;
        int fd = vsock_rig_open_by_host(r, 52, &port);
        struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, 52, port);
        h.len = lengths[i];
        vsock_header_encode(&h, packet);
        assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, packet, sizeof(packet), NULL, 0), 0);
        assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).src_port, port);
        assert_int_equal(vsock_rig_read(fd, got, sizeof(got)), 0);
        close(fd);
        /* Without a connection, too. */
        assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, packet, sizeof(packet), NULL, 0), 0);
        (void)vsock_rig_expect(r, VSOCK_OP_RST);
    }
    assert_int_equal(stats(r).connections, 0);
}

static void a_request_with_a_length_beyond_the_chain_opens_nothing(void **state)
{
    struct vsock_rig *r = *state;
    uint8_t packet[VSOCK_HEADER_BYTES];
    int listener = vsock_rig_listen(r, 9);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    h.len = 1;
    vsock_header_encode(&h, packet);
    assert_int_equal(vdrv_request(&r->d, VSOCK_QUEUE_TX, packet, sizeof(packet), NULL, 0), 0);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    assert_int_equal(stats(r).connections, 0);
    close(listener);
}

/* ---- The queue of resets ---- */

/* Post packets of no connection until the ring is full; returns how many the device took. */
static unsigned flood(struct vsock_rig *r, unsigned count)
{
    uint8_t packet[VSOCK_HEADER_BYTES];
    unsigned taken = 0;
    for (unsigned i = 0; i < count; i++) {
        struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, i, 1);
        vsock_header_encode(&h, packet);
        if (r->d.queue[VSOCK_QUEUE_TX].in_use < r->d.queue[VSOCK_QUEUE_TX].size)
            (void)vdrv_post(
                &r->d, VSOCK_QUEUE_TX,
                &(struct vdrv_buffer){.gpa = vdrv_put(&r->d, packet, sizeof(packet)), .bytes = sizeof(packet)}, 1);
        vdrv_kick(&r->d, VSOCK_QUEUE_TX);
        while (vdrv_take(&r->d, VSOCK_QUEUE_TX, NULL, NULL))
            taken++;
    }
    return taken;
}

static void a_guest_without_buffers_is_not_heard_for_ever(void **state)
{
    struct vsock_rig *r = *state;
    unsigned came = 0;
    vsock_rig_start(r, 0);
    assert_int_equal(flood(r, VSOCK_RSTS + 20), VSOCK_RSTS);
    vsock_rig_turn(r);
    /* Each buffer makes room for one answer, and lets one more packet in; none is lost. */
    vsock_rig_post(r, 1);
    for (unsigned i = 0; i < VSOCK_RSTS + 20; i++) {
        assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).dst_port, i);
        while (vdrv_take(&r->d, VSOCK_QUEUE_TX, NULL, NULL))
            came++;
    }
    assert_int_equal(came, 20);
    vsock_rig_expect_none(r);
}

static void a_reset_hears_the_guest_again(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    assert_int_equal(flood(r, VSOCK_RSTS + 1), VSOCK_RSTS);
    vdrv_reset(&r->d);
    vsock_rig_start(r, 0);
    assert_int_equal(flood(r, 1), 1);
    vsock_rig_post(r, 2);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    vsock_rig_expect_none(r);
}

static void a_transport_reset_hears_the_guest_again(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    assert_int_equal(flood(r, VSOCK_RSTS + 1), VSOCK_RSTS);
    vsock_transport_reset(r->v);
    vsock_rig_turn(r);
    assert_true(vdrv_take(&r->d, VSOCK_QUEUE_TX, NULL, NULL));
    vsock_rig_post(r, 2);
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).dst_port, VSOCK_RSTS);
    vsock_rig_expect_none(r);
}

/* ---- The host's limits ---- */

static void a_host_without_descriptors_is_asked_again_later(void **state)
{
    struct vsock_rig *r = *state;
    int spare = dup(0), fd = vsock_rig_dial(r, "");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    close(fd);
    /* The client's descriptor is the last one that is free. */
    close(spare);
    assert_true(set_file_limit((rlim_t)spare + 1));
    fd = vsock_rig_dial(r, "CONNECT 52\n");
    assert_int_equal(fd, spare);
    vsock_rig_pass(r, SECOND_NS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    vsock_rig_expect_none(r);
    vsock_rig_pass(r, SECOND_NS);
    (void)vsock_rig_expect(r, VSOCK_OP_REQUEST);
    close(fd);
}

static void a_guest_is_refused_when_the_host_has_no_descriptors(void **state)
{
    struct vsock_rig *r = *state;
    struct rlimit before;
    int listener = vsock_rig_listen(r, 9), spare = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    close(spare);
    assert_true(set_file_limit((rlim_t)spare));
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    assert_int_equal(stats(r).connections, 0);
    close(listener);
}

static void what_the_loop_does_not_take_is_refused(void **state)
{
    struct vsock_rig *r = *state;
    char path[] = "/tmp/vsock-file-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)unlink(path);
    /* epoll takes no regular files. */
    vsock_take(r->v, file);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_int_equal(stats(r).connections, 0);
}

static void refusals_are_logged_with_their_reason(void **state)
{
    struct vsock_rig *r = *state;
    char text[4096] = {0};
    int pipe_fd[2];
    struct log log;
    struct vsock *v;
    assert_int_equal(pipe(pipe_fd), 0);
    log_init(&log, pipe_fd[1], LOG_LEVEL_DEBUG, NULL, NULL);
    const struct vsock_config cfg = {.memory = &r->d.memory, .loop = &r->d.loop, .guest_cid = 3, .log = &log};
    assert_int_equal(vsock_new(&cfg, &v, NULL), 0);
    for (unsigned i = 0; i < 30; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        vsock_take(v, pair[0]);
        close(pair[1]);
    }
    vsock_free(v);
    close(pipe_fd[1]);
    assert_int_equal(read(pipe_fd[0], text, sizeof(text) - 1) > 0, CONFIG_LOG_DEBUG);
    if (CONFIG_LOG_DEBUG)
        assert_non_null(strstr(text, "virtio-vsock: refused a connection, port 0: the guest has no driver (yet)"));
    unsigned lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, CONFIG_LOG_DEBUG ? 10 : 0);
    close(pipe_fd[0]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(there_may_be_1023_connections_and_no_more),
        CASE(everyone_of_many_gets_a_turn),
        CASE(a_host_that_does_not_read_holds_up_nobody_else),
        CASE(a_guest_that_does_not_read_holds_up_nobody_else),
        CASE(more_packets_than_one_round_takes_are_all_sent),
        CASE(data_for_more_than_one_round_is_sent_to_the_end),
        CASE(hosts_ports_are_not_used_twice),
        CASE(what_went_through_is_counted),
        CASE(packets_of_no_connection_are_reset),
        CASE(a_reset_is_never_answered),
        CASE(unknown_types_are_reset_with_their_type),
        CASE(other_destinations_are_reset_in_their_name),
        CASE(packets_in_the_name_of_others_touch_nothing),
        CASE(packets_that_are_cut_short_are_dropped),
        CASE(buffers_that_are_to_be_written_are_no_packets),
        CASE(a_length_beyond_the_chain_is_reset),
        CASE(a_request_with_a_length_beyond_the_chain_opens_nothing),
        CASE(a_guest_without_buffers_is_not_heard_for_ever),
        CASE(a_reset_hears_the_guest_again),
        CASE(a_transport_reset_hears_the_guest_again),
        CASE(a_host_without_descriptors_is_asked_again_later),
        CASE(a_guest_is_refused_when_the_host_has_no_descriptors),
        CASE(what_the_loop_does_not_take_is_refused),
        CASE(refusals_are_logged_with_their_reason),
    };
    return cmocka_run_group_tests_name("virtio/vsock_mux", tests, NULL, NULL);
}
