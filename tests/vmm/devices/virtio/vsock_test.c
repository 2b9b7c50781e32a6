/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The device as such: configuration, life, handshakes of either side, time limits, resets.
 */
#include "vmm/devices/virtio/vsock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
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

static int set_up_without_driver(void **state)
{
    struct vsock_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vsock_rig_make(r);
    return 0;
}

static int tear_down(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_fini(r);
    free(r);
    return 0;
}

static uint64_t refused(struct vsock_rig *r, enum vsock_refusal why)
{
    struct vsock_stats s;
    vsock_stats(r->v, &s);
    return s.refused[why];
}

static unsigned connections(struct vsock_rig *r)
{
    struct vsock_stats s;
    vsock_stats(r->v, &s);
    return s.connections;
}

/* ---- The device ---- */

static void the_guest_reads_its_cid(void **state)
{
    struct vsock_rig *r = *state;
    assert_true(virtio_read_config(r->d.v, 0, 8) == VSOCK_RIG_CID);
    assert_int_equal(virtio_read_config(r->d.v, 4, 4), 0);
    assert_int_equal(virtio_read_config(r->d.v, 8, 4), 0);
    virtio_write_config(r->d.v, 0, 8, 7);
    assert_true(virtio_read_config(r->d.v, 0, 8) == VSOCK_RIG_CID);
}

static void it_has_three_queues_and_offers_streams(void **state)
{
    struct vsock_rig *r = *state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(virtio_get_queue(r->d.v, i, VIRTIO_QUEUE_SIZE_MAX), 256);
    assert_int_equal(virtio_get_queue(r->d.v, 3, VIRTIO_QUEUE_SIZE_MAX), 0);
    assert_int_equal(virtio_get_offered(r->d.v, 0),
                     1 | 1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC);
}

static void a_cid_that_no_guest_can_have_is_refused(void **state)
{
    struct vsock_rig *r = *state;
    static const uint64_t bad[] = {0, 1, 2, UINT32_MAX, UINT64_C(0x100000003)};
    struct vsock *v = NULL;
    struct err err;
    for (unsigned i = 0; i < 5; i++) {
        const struct vsock_config cfg = {.memory = &r->d.memory, .loop = &r->d.loop, .guest_cid = bad[i]};
        assert_int_equal(vsock_new(&cfg, &v, &err), -EINVAL);
        assert_non_null(strstr(err.text, "context id"));
        assert_null(v);
    }
}

static void a_path_that_is_taken_is_refused(void **state)
{
    struct vsock_rig *r = *state;
    const struct vsock_config cfg = {
        .memory = &r->d.memory, .loop = &r->d.loop, .guest_cid = 3, .path = r->path, .mode = 0600};
    struct vsock *v = NULL;
    struct err err;
    assert_int_equal(vsock_new(&cfg, &v, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, r->path));
    assert_null(v);
    close(vsock_rig_dial(r, ""));
}

static void a_device_without_a_path_connects_to_nobody(void **state)
{
    struct vsock_rig *r = *state;
    const struct vsock_config cfg = {.memory = &r->d.memory, .loop = &r->d.loop, .guest_cid = 3};
    struct vsock *v = NULL;
    assert_int_equal(vsock_new(&cfg, &v, NULL), 0);
    vsock_free(v);
    vsock_free(NULL);
}

static void the_real_clock_closes_what_a_reset_ends(void **state)
{
    struct vsock_rig *r = *state;
    char path[64];
    int pair[2];
    (void)snprintf(path, sizeof(path), "%s/real", r->folder);
    const struct vsock_config cfg = {.memory = &r->d.memory,
                                     .loop = &r->d.loop,
                                     .guest_cid = 3,
                                     .path = path,
                                     .mode = 0600,
                                     .uid = (uid_t)-1,
                                     .gid = (gid_t)-1};
    struct vsock *v = NULL;
    assert_int_equal(vsock_new(&cfg, &v, NULL), 0);
    vdrv_attach(&r->d, vsock_virtio(v));
    assert_true(vdrv_start(&r->d, 0));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    vsock_take(v, pair[0]);
    assert_int_equal(send(pair[1], "CONNECT 1\n", 10, 0), 10);
    vsock_rig_turn(r);
    vdrv_reset(&r->d);
    vsock_rig_turn(r);
    assert_true(vsock_rig_is_at_end(pair[1]));
    close(pair[1]);
    vsock_free(v);
}

/* ---- Host to guest ---- */

static void a_host_connects_to_the_guest(void **state)
{
    struct vsock_rig *r = *state;
    char line[32] = {0};
    int fd = vsock_rig_dial(r, "CONNECT 1024\n");
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    assert_true(h.src_cid == 2 && h.dst_cid == VSOCK_RIG_CID);
    assert_int_equal(h.type, VSOCK_TYPE_STREAM);
    assert_int_equal(h.dst_port, 1024);
    assert_int_equal(h.src_port, 1u << 30);
    assert_int_equal(h.buf_alloc, 65536);
    assert_int_equal(h.fwd_cnt, 0);
    assert_int_equal(h.flags, 0);
    assert_int_equal(vsock_rig_read(fd, line, sizeof(line)), -1);
    vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
    assert_int_equal(vsock_rig_read(fd, line, sizeof(line)), 14);
    assert_string_equal(line, "OK 1073741824\n");
    close(fd);
}

static void the_word_may_be_in_any_case(void **state)
{
    struct vsock_rig *r = *state;
    static const char *const lines[] = {"connect 5\n", "Connect 5\n", "cOnNeCt 5\n", "CONNECT 0000000005\n"};
    for (unsigned i = 0; i < 4; i++) {
        int fd = vsock_rig_dial(r, lines[i]);
        assert_int_equal(vsock_rig_expect(r, VSOCK_OP_REQUEST).dst_port, 5);
        close(fd);
        (void)vsock_rig_expect(r, VSOCK_OP_RST);
    }
}

static void the_largest_port_is_asked_for(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 4294967295\n");
    assert_true(vsock_rig_expect(r, VSOCK_OP_REQUEST).dst_port == UINT32_MAX);
    close(fd);
}

static void other_lines_are_refused(void **state)
{
    struct vsock_rig *r = *state;
    static const char *const lines[] = {"\n",
                                        "CONNECT\n",
                                        "CONNECT \n",
                                        "CONNECT 0\n",
                                        "CONNECT -1\n",
                                        "CONNECT +1\n",
                                        "CONNECT 1 \n",
                                        "CONNECT  1\n",
                                        "CONNECT 1\r\n",
                                        "CONNECT 0x10\n",
                                        "CONNECT 4294967296\n",
                                        "CONNECT 18446744073709551617\n",
                                        "CONNECTS 1\n",
                                        "GET / HTTP/1.1\n",
                                        "CONNECT 000000000000000000000001\n",
                                        "01234567890123456789012345678901"};
    const unsigned count = sizeof(lines) / sizeof(*lines);
    for (unsigned i = 0; i < count; i++) {
        int fd = vsock_rig_dial(r, lines[i]);
        assert_true(vsock_rig_is_at_end(fd));
        close(fd);
    }
    vsock_rig_expect_none(r);
    assert_int_equal(refused(r, VSOCK_BAD_LINE), count);
    assert_int_equal(connections(r), 0);
}

static void a_line_of_32_bytes_is_read(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 00000000000000000000052\n");
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_REQUEST).dst_port, 52);
    close(fd);
}

static void a_line_may_come_byte_by_byte(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "");
    for (const char *p = "CONNECT 52\n"; *p != '\0'; p++) {
        vsock_rig_expect_none(r);
        vsock_rig_write(r, fd, p, 1);
    }
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_REQUEST).dst_port, 52);
    close(fd);
}

static void nothing_behind_the_line_is_lost(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 52\nhello\nworld");
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    vsock_rig_expect_none(r);
    vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
    h = vsock_rig_expect(r, VSOCK_OP_RW);
    assert_int_equal(h.len, 11);
    assert_memory_equal(r->data, "hello\nworld", 11);
    close(fd);
}

static void a_guest_that_refuses_closes_the_hosts_socket(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 52\n");
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    vsock_rig_answer(r, &h, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(fd));
    vsock_rig_expect_none(r);
    assert_int_equal(refused(r, VSOCK_NO_GUEST_LISTENER), 1);
    assert_int_equal(connections(r), 0);
    close(fd);
}

static void a_guest_that_answers_otherwise_is_reset(void **state)
{
    struct vsock_rig *r = *state;
    static const enum vsock_op ops[] = {VSOCK_OP_INVALID,       VSOCK_OP_REQUEST,        VSOCK_OP_SHUTDOWN, VSOCK_OP_RW,
                                        VSOCK_OP_CREDIT_UPDATE, VSOCK_OP_CREDIT_REQUEST, (enum vsock_op)8};
    for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        int fd = vsock_rig_dial(r, "CONNECT 52\n");
        struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
        vsock_rig_answer(r, &h, ops[i]);
        assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).src_port, h.src_port);
        assert_true(vsock_rig_is_at_end(fd));
        close(fd);
    }
    assert_int_equal(connections(r), 0);
}

static void a_host_that_leaves_during_the_line_leaves_nothing(void **state)
{
    struct vsock_rig *r = *state;
    close(vsock_rig_dial(r, ""));
    close(vsock_rig_dial(r, "CONN"));
    vsock_rig_turn(r);
    int fd = vsock_rig_dial(r, "CONN");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    vsock_rig_turn(r);
    assert_true(vsock_rig_is_at_end(fd));
    close(fd);
    vsock_rig_expect_none(r);
    assert_int_equal(connections(r), 0);
    assert_int_equal(refused(r, VSOCK_BAD_LINE), 3);
}

static void a_host_that_leaves_before_the_answer_resets_the_guest(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 52\n");
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    close(fd);
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).src_port, h.src_port);
    /* Its answer is under way and finds nobody. */
    vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    assert_int_equal(connections(r), 0);
}

static void a_host_that_leaves_before_the_guest_was_asked_is_not_mentioned(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    close(vsock_rig_dial(r, "CONNECT 52\n"));
    vsock_rig_turn(r);
    vsock_rig_post(r, 1);
    vsock_rig_expect_none(r);
    assert_int_equal(connections(r), 0);
}

static void an_answer_to_a_question_that_was_not_asked_yet_is_refused(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    int fd = vsock_rig_dial(r, "CONNECT 52\n");
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RESPONSE, 52, 1u << 30);
    vsock_rig_send(r, &h, NULL);
    assert_true(vsock_rig_is_at_end(fd));
    assert_int_equal(connections(r), 0);
    close(fd);
}

static void without_a_driver_the_host_is_refused_at_once(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT 52\n");
    assert_true(vsock_rig_is_at_end(fd));
    close(fd);
    assert_int_equal(refused(r, VSOCK_NO_DRIVER), 1);
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 2);
    fd = vsock_rig_dial(r, "CONNECT 52\n");
    (void)vsock_rig_expect(r, VSOCK_OP_REQUEST);
    close(fd);
}

static void a_driver_without_all_queues_is_none(void **state)
{
    struct vsock_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, 0));
    vdrv_make_queue(&r->d, VSOCK_QUEUE_RX);
    vdrv_enable_queue(&r->d, VSOCK_QUEUE_RX);
    virtio_set_status(r->d.v, 15);
    vsock_rig_turn(r);
    int fd = vsock_rig_dial(r, "");
    assert_true(vsock_rig_is_at_end(fd));
    close(fd);
    vsock_transport_reset(r->v);
    vsock_rig_turn(r);
}

/* ---- Guest to host ---- */

static void the_guest_connects_to_a_host(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_open_by_guest(r, 700, 9);
    vsock_rig_send_data(r, 700, 9, "hello", 5);
    char got[8] = {0};
    assert_int_equal(vsock_rig_read(fd, got, sizeof(got)), 5);
    assert_string_equal(got, "hello");
    close(fd);
}

static void a_port_where_no_host_listens_is_refused_at_once(void **state)
{
    struct vsock_rig *r = *state;
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    h = vsock_rig_expect(r, VSOCK_OP_RST);
    assert_true(h.src_cid == 2);
    assert_int_equal(h.src_port, 9);
    assert_int_equal(h.dst_port, 700);
    assert_int_equal(h.type, VSOCK_TYPE_STREAM);
    assert_int_equal(refused(r, VSOCK_NO_HOST_LISTENER), 1);
    assert_int_equal(connections(r), 0);
}

static void a_host_that_stopped_listening_is_refused_at_once(void **state)
{
    struct vsock_rig *r = *state;
    close(vsock_rig_listen(r, 9));
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
}

static void a_second_request_of_the_same_ports_ends_the_first(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_open_by_guest(r, 700, 9);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    assert_true(vsock_rig_is_at_end(fd));
    vsock_rig_expect_none(r);
    close(fd);
}

static void the_same_guest_port_reaches_two_host_ports(void **state)
{
    struct vsock_rig *r = *state;
    char got[2];
    int first = vsock_rig_open_by_guest(r, 700, 9), second = vsock_rig_open_by_guest(r, 700, 10);
    vsock_rig_send_data(r, 700, 10, "b", 1);
    vsock_rig_send_data(r, 700, 9, "a", 1);
    assert_int_equal(vsock_rig_read(first, got, 2), 1);
    assert_int_equal(got[0], 'a');
    assert_int_equal(vsock_rig_read(second, got, 2), 1);
    assert_int_equal(got[0], 'b');
    close(first);
    close(second);
}

static void data_before_our_answer_is_refused(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    int listener = vsock_rig_listen(r, 9);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, 700, 9);
    vsock_rig_send(r, &h, NULL);
    vsock_rig_send_data(r, 700, 9, "x", 1);
    vsock_rig_post(r, 2);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    vsock_rig_expect_none(r);
    close(listener);
}

/* ---- Time ---- */

static void a_host_has_two_seconds_for_its_line(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "CONNECT");
    vsock_rig_pass(r, 2 * SECOND_NS - 1);
    assert_false(vsock_rig_is_at_end(fd));
    int later = vsock_rig_dial(r, "");
    vsock_rig_pass(r, 1);
    assert_true(vsock_rig_is_at_end(fd));
    assert_false(vsock_rig_is_at_end(later));
    vsock_rig_pass(r, 2 * SECOND_NS);
    assert_true(vsock_rig_is_at_end(later));
    assert_int_equal(refused(r, VSOCK_NO_LINE), 2);
    assert_int_equal(connections(r), 0);
    close(fd);
    close(later);
}

static void a_guest_has_two_seconds_for_its_answer(void **state)
{
    struct vsock_rig *r = *state;
    int fd = vsock_rig_dial(r, "");
    vsock_rig_pass(r, SECOND_NS);
    vsock_rig_write(r, fd, "CONNECT 52\n", 11);
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    vsock_rig_pass(r, 2 * SECOND_NS - 1);
    assert_false(vsock_rig_is_at_end(fd));
    vsock_rig_pass(r, 1);
    assert_true(vsock_rig_is_at_end(fd));
    assert_int_equal(vsock_rig_expect(r, VSOCK_OP_RST).src_port, h.src_port);
    assert_int_equal(refused(r, VSOCK_NO_GUEST_ANSWER), 1);
    close(fd);
}

static void a_guest_without_buffers_is_not_reset_for_a_question_it_never_got(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    int fd = vsock_rig_dial(r, "CONNECT 52\n");
    vsock_rig_pass(r, 2 * SECOND_NS);
    assert_true(vsock_rig_is_at_end(fd));
    vsock_rig_post(r, 1);
    vsock_rig_expect_none(r);
    close(fd);
}

static void an_answer_in_time_ends_the_limit(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    int fd = vsock_rig_open_by_host(r, 52, &port);
    vsock_rig_pass(r, 100 * SECOND_NS);
    assert_false(vsock_rig_is_at_end(fd));
    vsock_rig_expect_none(r);
    close(fd);
}

/* ---- Resets ---- */

static void a_reset_ends_all_connections(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    int line = vsock_rig_dial(r, "CONN"), asked = vsock_rig_dial(r, "CONNECT 1\n");
    (void)vsock_rig_expect(r, VSOCK_OP_REQUEST);
    int open = vsock_rig_open_by_host(r, 52, &port), of_guest = vsock_rig_open_by_guest(r, 700, 9);
    vdrv_reset(&r->d);
    vsock_rig_turn(r);
    assert_true(vsock_rig_is_at_end(line) && vsock_rig_is_at_end(asked));
    assert_true(vsock_rig_is_at_end(open) && vsock_rig_is_at_end(of_guest));
    assert_int_equal(connections(r), 0);
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 4);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, 52, port);
    vsock_rig_send(r, &h, NULL);
    (void)vsock_rig_expect(r, VSOCK_OP_RST);
    close(line);
    close(asked);
    close(open);
    close(of_guest);
}

static void a_reset_forgets_answers_that_wait(void **state)
{
    struct vsock_rig *r = *state;
    vsock_rig_start(r, 0);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, 1, 2);
    vsock_rig_send(r, &h, NULL);
    vdrv_reset(&r->d);
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 1);
    vsock_rig_expect_none(r);
}

static void a_driver_that_comes_back_before_the_loop_turned_finds_nothing_old(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    int fd = vsock_rig_open_by_host(r, 52, &port);
    vdrv_reset(&r->d);
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 2);
    assert_true(vsock_rig_is_at_end(fd));
    vsock_rig_expect_none(r);
    close(fd);
}

/* On a thread that calls no handler itself: what a VP does. */
static void start_as_vp(struct vsock_rig *r)
{
    assert_true(vdrv_negotiate(&r->d, 0));
    r->d.heap = 0x10000;
    for (unsigned i = 0; i < VSOCK_QUEUES; i++) {
        vdrv_make_queue(&r->d, i);
        vdrv_enable_queue(&r->d, i);
    }
    virtio_set_status(r->d.v, 15);
    for (unsigned i = 0; i < 4; i++) {
        const struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 4096, 8), .bytes = 4096, .writable = true};
        (void)vdrv_post(&r->d, VSOCK_QUEUE_RX, &b, 1);
    }
    virtio_kick(r->d.v, VSOCK_QUEUE_RX);
}

/* Dial, and let the socket wait for what comes. */
static int dial_and_wait(struct vsock_rig *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/real", r->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)send(fd, "CONNECT 52\n", 11, MSG_NOSIGNAL);
    return fd;
}

static void a_reset_while_the_loop_runs_leaves_no_host_waiting(void **state)
{
    struct vsock_rig *r = *state;
    char path[64], byte;
    (void)snprintf(path, sizeof(path), "%s/real", r->folder);
    const struct vsock_config cfg = {.memory = &r->d.memory,
                                     .loop = &r->d.loop,
                                     .guest_cid = 3,
                                     .path = path,
                                     .mode = 0600,
                                     .uid = (uid_t)-1,
                                     .gid = (gid_t)-1};
    struct vsock *v = NULL;
    assert_int_equal(vsock_new(&cfg, &v, NULL), 0);
    vdrv_attach(&r->d, vsock_virtio(v));
    assert_int_equal(loop_start(&r->d.loop, NULL), 0);
    for (unsigned round = 0; round < 40; round++) {
        int fd[3];
        start_as_vp(r);
        for (unsigned i = 0; i < 3; i++)
            fd[i] = dial_and_wait(r);
        if (round % 4 == 0)
            vsock_transport_reset(v);
        virtio_set_status(r->d.v, 0);
        /* Closed, whether they were accepted before the reset or after it. */
        for (unsigned i = 0; i < 3; i++) {
            assert_true(recv(fd[i], &byte, 1, 0) <= 0);
            close(fd[i]);
        }
    }
    loop_stop(&r->d.loop);
    vsock_free(v);
}

static uint64_t post_event(struct vsock_rig *r, uint32_t bytes)
{
    uint64_t gpa = vdrv_alloc(&r->d, 8, 8);
    bytes_store_le32(vdrv_at(&r->d, gpa, 4), 0xffffffff);
    (void)vdrv_post(&r->d, VSOCK_QUEUE_EVENT, &(struct vdrv_buffer){.gpa = gpa, .bytes = bytes, .writable = true}, 1);
    vdrv_kick(&r->d, VSOCK_QUEUE_EVENT);
    vsock_rig_turn(r);
    return gpa;
}

static void a_transport_reset_ends_connections_and_tells_the_driver(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port, written;
    int fd = vsock_rig_open_by_host(r, 52, &port);
    uint64_t gpa = post_event(r, 4);
    assert_false(vdrv_take(&r->d, VSOCK_QUEUE_EVENT, NULL, NULL));
    vsock_transport_reset(r->v);
    vsock_rig_turn(r);
    assert_true(vsock_rig_is_at_end(fd));
    assert_true(vdrv_take(&r->d, VSOCK_QUEUE_EVENT, NULL, &written));
    assert_int_equal(written, 4);
    assert_int_equal(bytes_load_le32(vdrv_at(&r->d, gpa, 4)), 0);
    assert_int_equal(r->d.interrupts[VSOCK_QUEUE_EVENT], 1);
    close(fd);
    fd = vsock_rig_open_by_host(r, 52, &port);
    close(fd);
}

static void a_transport_reset_waits_for_a_buffer(void **state)
{
    struct vsock_rig *r = *state;
    vsock_transport_reset(r->v);
    vsock_rig_turn(r);
    (void)post_event(r, 4);
    assert_true(vdrv_take(&r->d, VSOCK_QUEUE_EVENT, NULL, NULL));
    (void)post_event(r, 4);
    assert_false(vdrv_take(&r->d, VSOCK_QUEUE_EVENT, NULL, NULL));
}

static void a_transport_reset_is_nothing_without_a_driver(void **state)
{
    struct vsock_rig *r = *state;
    vsock_transport_reset(r->v);
    vsock_rig_turn(r);
    vsock_rig_start(r, 0);
    (void)post_event(r, 4);
    assert_false(vdrv_take(&r->d, VSOCK_QUEUE_EVENT, NULL, NULL));
}

static void an_event_buffer_without_room_breaks_the_device(void **state)
{
    struct vsock_rig *r = *state;
    (void)post_event(r, 3);
    vsock_transport_reset(r->v);
    assert_true((virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET) != 0);
}

static void a_receive_buffer_without_room_breaks_the_device(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    vsock_rig_start(r, 0);
    vsock_rig_post(r, 2);
    int fd = vsock_rig_open_by_host(r, 52, &port);
    (void)vdrv_post(&r->d, VSOCK_QUEUE_RX, &(struct vdrv_buffer){.gpa = r->gpa[0], .bytes = 44, .writable = true}, 1);
    vsock_rig_write(r, fd, "x", 1);
    vsock_rig_write(r, fd, "x", 1);
    vsock_rig_write(r, fd, "x", 1);
    assert_true((virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET) != 0);
    vsock_rig_turn(r);
    assert_int_equal(connections(r), 0);
    close(fd);
    fd = vsock_rig_dial(r, "");
    assert_true(vsock_rig_is_at_end(fd));
    close(fd);
}

static void break_ring(struct vsock_rig *r, unsigned queue)
{
    /* More posted than the ring holds. */
    bytes_store_le16(vdrv_at(&r->d, r->d.queue[queue].available + 2, 2), 30000);
    vdrv_kick(&r->d, queue);
    vsock_rig_turn(r);
}

static void a_broken_ring_ends_all_connections(void **state)
{
    struct vsock_rig *r = *state;
    uint32_t port;
    for (unsigned queue = 0; queue < 2; queue++) {
        vsock_rig_start(r, 0);
        vsock_rig_post(r, 4);
        int fd = vsock_rig_open_by_host(r, 52, &port);
        break_ring(r, queue);
        vsock_rig_write(r, fd, "x", 1);
        assert_true((virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET) != 0);
        assert_int_equal(connections(r), 0);
        close(fd);
    }
    vsock_rig_start(r, 0);
    break_ring(r, VSOCK_QUEUE_EVENT);
    vsock_transport_reset(r->v);
    assert_true((virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET) != 0);
}

#define CASE(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CASE_BARE(name) cmocka_unit_test_setup_teardown(name, set_up_without_driver, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_guest_reads_its_cid),
        CASE(it_has_three_queues_and_offers_streams),
        CASE(a_cid_that_no_guest_can_have_is_refused),
        CASE(a_path_that_is_taken_is_refused),
        CASE(a_device_without_a_path_connects_to_nobody),
        CASE(the_real_clock_closes_what_a_reset_ends),
        CASE(a_host_connects_to_the_guest),
        CASE(the_word_may_be_in_any_case),
        CASE(the_largest_port_is_asked_for),
        CASE(other_lines_are_refused),
        CASE(a_line_of_32_bytes_is_read),
        CASE(a_line_may_come_byte_by_byte),
        CASE(nothing_behind_the_line_is_lost),
        CASE(a_guest_that_refuses_closes_the_hosts_socket),
        CASE(a_guest_that_answers_otherwise_is_reset),
        CASE(a_host_that_leaves_during_the_line_leaves_nothing),
        CASE(a_host_that_leaves_before_the_answer_resets_the_guest),
        CASE(a_host_that_leaves_before_the_guest_was_asked_is_not_mentioned),
        CASE(an_answer_to_a_question_that_was_not_asked_yet_is_refused),
        CASE_BARE(without_a_driver_the_host_is_refused_at_once),
        CASE_BARE(a_driver_without_all_queues_is_none),
        CASE(the_guest_connects_to_a_host),
        CASE(a_port_where_no_host_listens_is_refused_at_once),
        CASE(a_host_that_stopped_listening_is_refused_at_once),
        CASE(a_second_request_of_the_same_ports_ends_the_first),
        CASE(the_same_guest_port_reaches_two_host_ports),
        CASE(data_before_our_answer_is_refused),
        CASE(a_host_has_two_seconds_for_its_line),
        CASE(a_guest_has_two_seconds_for_its_answer),
        CASE(a_guest_without_buffers_is_not_reset_for_a_question_it_never_got),
        CASE(an_answer_in_time_ends_the_limit),
        CASE(a_reset_ends_all_connections),
        CASE(a_reset_forgets_answers_that_wait),
        CASE(a_driver_that_comes_back_before_the_loop_turned_finds_nothing_old),
        CASE_BARE(a_reset_while_the_loop_runs_leaves_no_host_waiting),
        CASE(a_transport_reset_ends_connections_and_tells_the_driver),
        CASE(a_transport_reset_waits_for_a_buffer),
        CASE_BARE(a_transport_reset_is_nothing_without_a_driver),
        CASE(an_event_buffer_without_room_breaks_the_device),
        CASE(a_receive_buffer_without_room_breaks_the_device),
        CASE(a_broken_ring_ends_all_connections),
    };
    return cmocka_run_group_tests_name("virtio/vsock", tests, NULL, NULL);
}
