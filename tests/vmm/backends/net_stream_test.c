/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/backends/net_stream.h"

#define PATIENCE_MS 10000

/* The device's side is the test, the peer's is the other end of a pair of sockets or a listener. */
struct rig {
    struct loop loop;
    struct net_backend *b;
    int peer, listener;
    char folder[32], path[64];
    bool started;
    unsigned readable, writable, ups, downs;
    bool hungry;   /* take all frames when told that there are some */
    bool no_room;  /* or say that there is no room */
    unsigned came; /* frames, the last one of which is */
    ssize_t length;
    uint8_t frame[NET_FRAME_MAX + 8];
    uint8_t pattern[NET_FRAME_MAX + 8]; /* what is sent */
    uint8_t got[4 + NET_FRAME_MAX];     /* what the peer got last */
};

static ssize_t receive(struct rig *r, size_t room)
{
    struct iovec iov = {.iov_base = r->frame, .iov_len = room};
    return r->b->ops->receive(r->b->self, 0, &iov, 1);
}

static void on_readable(void *ctx, unsigned pair)
{
    struct rig *r = ctx;
    ssize_t n;
    assert_int_equal(pair, 0);
    r->readable++;
    while (r->hungry && (n = receive(r, sizeof(r->frame))) > 0) {
        r->came++;
        r->length = n;
    }
    if (r->no_room)
        r->b->ops->wait(r->b->self, 0, false);
}

static void on_writable(void *ctx, unsigned pair)
{
    struct rig *r = ctx;
    assert_int_equal(pair, 0);
    r->writable++;
}

static void on_link(void *ctx, bool up)
{
    struct rig *r = ctx;
    if (up)
        r->ups++;
    else
        r->downs++;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || loop_init(&r->loop, "test", NULL) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(r->pattern); i++)
        r->pattern[i] = (uint8_t)(i * 11 + i / 256);
    r->peer = r->listener = -1;
    r->hungry = true;
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/net_stream.XXXXXX");
    if (mkdtemp(r->folder) == NULL)
        return -1;
    (void)snprintf(r->path, sizeof(r->path), "%s/socket", r->folder);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    if (r->started)
        r->b->ops->stop(r->b->self);
    net_backend_close(r->b);
    loop_fini(&r->loop);
    if (r->peer >= 0)
        close(r->peer);
    if (r->listener >= 0)
        close(r->listener);
    (void)unlink(r->path);
    (void)rmdir(r->folder);
    free(r);
    return 0;
}

static void start(struct rig *r)
{
    struct loop *loops[1] = {&r->loop};
    const struct net_events events = {.readable = on_readable, .writable = on_writable, .link = on_link, .ctx = r};
    assert_int_equal(r->b->ops->start(r->b->self, loops, &events), 0);
    r->started = true;
    r->b->ops->wait(r->b->self, 0, true);
}

/* A back end on one end of a pair. */
static void start_pair(struct rig *r)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    const struct net_stream_config cfg = {.fd = fds[0]};
    assert_int_equal(net_stream_open(&cfg, &r->b, NULL), 0);
    r->peer = fds[1];
    start(r);
}

static void listen_at(struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, r->path, strlen(r->path) + 1);
    r->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(r->listener, (const struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(r->listener, 4), 0);
}

static void stop_listening(struct rig *r)
{
    close(r->listener);
    r->listener = -1;
    assert_int_equal(unlink(r->path), 0);
}

static void accept_peer(struct rig *r)
{
    r->peer = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(r->peer >= 0);
}

/* A back end that is connected to a listener, and tries again at once. */
static void start_connected(struct rig *r)
{
    const struct net_stream_config cfg = {.path = r->path, .retry_ns = 1};
    listen_at(r);
    assert_int_equal(net_stream_open(&cfg, &r->b, NULL), 0);
    accept_peer(r);
    start(r);
}

static void drop_peer(struct rig *r)
{
    close(r->peer);
    r->peer = -1;
}

static void turn(struct rig *r)
{
    for (int i = 0; i < 1000 && loop_turn(&r->loop) > 0; i++) {
    }
}

/* Until something happens, and what that brings. */
static void turn_when_ready(struct rig *r)
{
    struct pollfd p = {.fd = r->loop.epoll, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    (void)loop_turn(&r->loop);
}

static void peer_writes(struct rig *r, const void *bytes, size_t n)
{
    assert_int_equal(write(r->peer, bytes, n), n);
}

static void peer_sends(struct rig *r, uint32_t length, const uint8_t *bytes, size_t n)
{
    const uint8_t prefix[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                               (uint8_t)length};
    peer_writes(r, prefix, sizeof(prefix));
    if (n > 0)
        peer_writes(r, bytes, n);
}

static int send_frame(struct rig *r, const uint8_t *bytes, size_t n)
{
    /* Two parts of which the first is odd. */
    struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)bytes, .iov_len = 5},
                           {.iov_base = (void *)(uintptr_t)(bytes + 5), .iov_len = n - 5}};
    return r->b->ops->send(r->b->self, 0, iov, 2);
}

/* Read at the peer until so many bytes came, letting the loop turn where the socket is empty. */
static void peer_reads(struct rig *r, uint8_t *to, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(r->peer, to + done, n - done);
        if (got > 0) {
            done += (size_t)got;
            continue;
        }
        assert_true(got < 0 && errno == EAGAIN);
        turn_when_ready(r);
    }
}

static void check_peer_gets(struct rig *r, const uint8_t *bytes, size_t n)
{
    uint8_t *got = r->got;
    peer_reads(r, got, 4 + n);
    assert_int_equal((uint32_t)got[0] << 24 | (uint32_t)got[1] << 16 | (uint32_t)got[2] << 8 | got[3], n);
    assert_memory_equal(got + 4, bytes, n);
}

/* ---- Opening ---- */

static void it_has_one_pair_no_headers_and_no_offloads(void **state)
{
    struct rig *r = *state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    const struct net_stream_config cfg = {.fd = fds[0], .mtu = 65520};
    assert_int_equal(net_stream_open(&cfg, &r->b, NULL), 0);
    r->peer = fds[1];
    assert_int_equal(r->b->pairs, 1);
    assert_int_equal(r->b->offloads, 0);
    assert_false(r->b->header);
    assert_int_equal(r->b->mtu, 65520);
    assert_null(r->b->ops->set_pairs);
    assert_null(r->b->ops->set_offloads);
}

static void without_a_peer_it_says_what_to_start(void **state)
{
    struct rig *r = *state;
    struct err err;
    const struct net_stream_config cfg = {.path = r->path};
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -ENOENT);
    assert_non_null(strstr(err.text, r->path));
    assert_non_null(strstr(err.text, "passt"));
    listen_at(r);
    close(r->listener);
    r->listener = -1;
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -ECONNREFUSED);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct rig *r = *state;
    struct err err;
    char path[109];
    memset(path, 'x', sizeof(path) - 1);
    path[108] = 0;
    struct net_stream_config cfg = {.path = path};
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -EINVAL);
    assert_non_null(strstr(err.text, "107"));
    cfg.path = "";
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -EINVAL);
}

static void a_descriptor_that_is_no_stream_is_refused_and_left_open(void **state)
{
    struct rig *r = *state;
    struct err err;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct net_stream_config cfg = {.fd = fds[0]};
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -EINVAL);
    assert_int_equal(close(fds[0]), 0);
    close(fds[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    cfg.fd = fds[0];
    assert_int_equal(net_stream_open(&cfg, &r->b, &err), -EINVAL);
    assert_non_null(strstr(err.text, "stream"));
    assert_int_equal(close(fds[0]), 0);
    close(fds[1]);
}

/* ---- Receiving ---- */

static void a_frame_of_the_peer_is_received(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    peer_sends(r, 60, r->pattern, 60);
    turn(r);
    assert_int_equal(r->came, 1);
    assert_int_equal(r->length, 60);
    assert_memory_equal(r->frame, r->pattern, 60);
}

static void a_frame_that_comes_byte_by_byte_is_put_together(void **state)
{
    struct rig *r = *state;
    static const uint8_t prefix[4] = {0, 0, 1, 44};
    start_pair(r);
    for (size_t i = 0; i < 304; i++) {
        assert_int_equal(r->came, 0);
        peer_writes(r, i < 4 ? prefix + i : r->pattern + i - 4, 1);
        turn(r);
    }
    assert_int_equal(r->came, 1);
    assert_int_equal(r->length, 300);
    assert_memory_equal(r->frame, r->pattern, 300);
    assert_int_equal(r->downs, 0);
}

static void frames_that_come_in_one_piece_are_told_apart(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->hungry = false;
    peer_sends(r, 60, r->pattern, 60);
    peer_sends(r, 1, r->pattern + 1, 1);
    peer_sends(r, 70, r->pattern + 2, 70);
    assert_int_equal(receive(r, 100), 60);
    assert_int_equal(receive(r, 100), 1);
    assert_int_equal(r->frame[0], r->pattern[1]);
    assert_int_equal(receive(r, 100), 70);
    assert_memory_equal(r->frame, r->pattern + 2, 70);
    assert_int_equal(receive(r, 100), -EAGAIN);
}

static void many_large_frames_pass_through_the_buffer(void **state)
{
    struct rig *r = *state;
    int bytes = 1 << 20;
    start_pair(r);
    assert_int_equal(setsockopt(r->peer, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    for (unsigned i = 0; i < 20; i++) {
        size_t n = NET_FRAME_MAX - i * 997;
        size_t half = n / (i + 2);
        peer_sends(r, (uint32_t)n, r->pattern, half);
        turn(r);
        assert_int_equal(r->came, i);
        peer_writes(r, r->pattern + half, n - half);
        turn(r);
        assert_int_equal(r->came, i + 1);
        assert_int_equal(r->length, n);
        assert_memory_equal(r->frame, r->pattern, n);
    }
}

static void what_does_not_fit_is_lost_and_the_next_frame_whole(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->hungry = false;
    peer_sends(r, 60, r->pattern, 60);
    peer_sends(r, 20, r->pattern + 7, 20);
    assert_int_equal(receive(r, 50), 50);
    assert_int_equal(receive(r, 50), 20);
    assert_memory_equal(r->frame, r->pattern + 7, 20);
}

static void a_frame_is_spread_over_the_list(void **state)
{
    struct rig *r = *state;
    uint8_t a[10], b[10], c[100];
    const struct iovec iov[3] = {{a, sizeof(a)}, {b, sizeof(b)}, {c, sizeof(c)}};
    start_pair(r);
    r->hungry = false;
    peer_sends(r, 60, r->pattern, 60);
    assert_int_equal(r->b->ops->receive(r->b->self, 0, iov, 3), 60);
    assert_memory_equal(a, r->pattern, 10);
    assert_memory_equal(b, r->pattern + 10, 10);
    assert_memory_equal(c, r->pattern + 20, 40);
}

static void who_does_not_want_frames_does_not_hear_of_them(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->b->ops->wait(r->b->self, 0, false);
    peer_sends(r, 60, r->pattern, 60);
    assert_int_equal(loop_turn(&r->loop), 0);
    r->b->ops->wait(r->b->self, 0, true);
    turn(r);
    assert_int_equal(r->came, 1);
}

static void lengths_that_cannot_be_end_the_connection(void **state)
{
    struct rig *r = *state;
    static const uint32_t lies[] = {0, NET_FRAME_MAX + 1, 0x01000000, 0xffffffff};
    start_connected(r);
    for (unsigned i = 0; i < 4; i++) {
        peer_sends(r, 60, r->pattern, 60);
        peer_sends(r, lies[i], r->pattern, 60);
        turn_when_ready(r);
        assert_int_equal(r->came, i + 1);
        assert_int_equal(r->downs, i + 1);
        drop_peer(r);
        while (r->ups < i + 1)
            turn_when_ready(r);
        accept_peer(r);
    }
}

/* ---- Sending ---- */

static void a_frame_goes_out_behind_its_length(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    assert_int_equal(send_frame(r, r->pattern, 60), 0);
    check_peer_gets(r, r->pattern, 60);
    assert_int_equal(send_frame(r, r->pattern, NET_FRAME_MAX), 0);
    check_peer_gets(r, r->pattern, NET_FRAME_MAX);
}

static void a_frame_that_is_too_long_is_refused(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    assert_int_equal(send_frame(r, r->pattern, NET_FRAME_MAX + 1), -EMSGSIZE);
    assert_int_equal(send_frame(r, r->pattern, 60), 0);
    check_peer_gets(r, r->pattern, 60);
}

/* Send frames until one is refused. Returns how many went. */
static unsigned send_until_full(struct rig *r, size_t n)
{
    unsigned sent = 0;
    int code;
    while ((code = send_frame(r, r->pattern + sent % 8, n)) == 0)
        assert_true(++sent < 10000);
    assert_int_equal(code, -EAGAIN);
    return sent;
}

static void a_peer_that_does_not_read_makes_frames_wait(void **state)
{
    struct rig *r = *state;
    static const size_t lengths[] = {60, 1514, NET_FRAME_MAX - 8};
    start_pair(r);
    for (unsigned k = 0; k < 3; k++) {
        r->writable = 0;
        unsigned sent = send_until_full(r, lengths[k]);
        assert_true(sent > 0);
        assert_int_equal(loop_turn(&r->loop), 0);
        assert_int_equal(r->writable, 0);
        /* Nothing is lost or doubled, also where a frame was cut by the full socket. */
        for (unsigned i = 0; i < sent; i++)
            check_peer_gets(r, r->pattern + i % 8, lengths[k]);
        turn(r);
        assert_int_equal(r->writable, 1);
        assert_int_equal(loop_turn(&r->loop), 0);
    }
}

static void a_frame_that_is_half_sent_is_finished_before_the_next(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->hungry = false;
    /* The kernel takes part of the last one. */
    (void)send_until_full(r, NET_FRAME_MAX - 8);
    uint8_t one[1];
    ssize_t n;
    size_t drained = 0;
    /* Byte by byte, the loop turning in between: what follows is still in step. */
    while (drained < 4 + NET_FRAME_MAX - 8) {
        n = read(r->peer, one, 1);
        assert_int_equal(n, 1);
        drained++;
        if (drained % 4096 == 0)
            (void)loop_turn(&r->loop);
    }
    turn(r);
    check_peer_gets(r, r->pattern + 1, NET_FRAME_MAX - 8);
}

/* ---- Peers that vanish ---- */

static void a_peer_that_vanishes_takes_the_link_down_once(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    drop_peer(r);
    turn(r);
    assert_int_equal(r->downs, 1);
    assert_int_equal(loop_turn(&r->loop), 0);
    assert_int_equal(send_frame(r, r->pattern, 60), -ENOTCONN);
    assert_int_equal(receive(r, 100), -EAGAIN);
    assert_int_equal(r->downs, 1);
    assert_int_equal(r->ups, 0);
}

static void what_a_peer_sent_before_it_vanished_arrives(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    peer_sends(r, 60, r->pattern, 60);
    peer_sends(r, 61, r->pattern, 61);
    drop_peer(r);
    turn(r);
    assert_int_equal(r->came, 2);
    assert_int_equal(r->length, 61);
    assert_int_equal(r->downs, 1);
}

static void a_peer_that_vanishes_is_noticed_by_who_wants_nothing(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->b->ops->wait(r->b->self, 0, false);
    drop_peer(r);
    turn(r);
    assert_int_equal(r->downs, 1);
    assert_int_equal(loop_turn(&r->loop), 0);
}

static void a_peer_that_vanishes_is_noticed_by_who_has_no_room(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    r->hungry = false;
    r->no_room = true;
    peer_sends(r, 60, r->pattern, 60);
    drop_peer(r);
    turn(r);
    assert_int_equal(r->readable, 1);
    assert_int_equal(r->downs, 1);
}

static void a_peer_that_only_stops_sending_is_gone_too(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    assert_int_equal(shutdown(r->peer, SHUT_WR), 0);
    turn(r);
    assert_int_equal(r->downs, 1);
}

static void a_peer_that_vanishes_is_noticed_by_sending(void **state)
{
    struct rig *r = *state;
    start_pair(r);
    drop_peer(r);
    assert_int_equal(send_frame(r, r->pattern, 60), -ENOTCONN);
    assert_int_equal(r->downs, 1);
    assert_int_equal(loop_turn(&r->loop), 0);
}

static void a_peer_that_vanishes_within_a_frame_leaves_nothing_behind(void **state)
{
    struct rig *r = *state;
    start_connected(r);
    for (unsigned cut = 0; cut < 7; cut++) {
        static const uint8_t begin[7] = {0, 0, 0, 60, 1, 2, 3};
        if (cut > 0)
            peer_writes(r, begin, cut);
        turn(r);
        drop_peer(r);
        while (r->ups < 2 * cut + 1)
            turn_when_ready(r);
        accept_peer(r);
        peer_sends(r, 50, r->pattern, 50);
        turn(r);
        assert_int_equal(r->came, cut + 1);
        assert_int_equal(r->length, 50);
        /* And with a frame of ours that is half sent. */
        (void)send_until_full(r, NET_FRAME_MAX - 8);
        drop_peer(r);
        while (r->ups < 2 * cut + 2)
            turn_when_ready(r);
        accept_peer(r);
        assert_int_equal(send_frame(r, r->pattern, 60), 0);
        check_peer_gets(r, r->pattern, 60);
    }
    assert_int_equal(r->downs, 14);
}

static void it_tries_until_the_peer_is_back(void **state)
{
    struct rig *r = *state;
    start_connected(r);
    stop_listening(r);
    drop_peer(r);
    turn_when_ready(r);
    assert_int_equal(r->downs, 1);
    /* Several attempts fail, and nobody is told of them. */
    for (int i = 0; i < 3; i++)
        turn_when_ready(r);
    assert_int_equal(r->ups, 0);
    assert_int_equal(r->downs, 1);
    listen_at(r);
    while (r->ups == 0)
        turn_when_ready(r);
    accept_peer(r);
    peer_sends(r, 60, r->pattern, 60);
    turn(r);
    assert_int_equal(r->came, 1);
}

/* As after the process got another root: the first connection went to the path, the next ones go elsewhere. */
static void from_inside_of_a_jail_the_path_is_another(void **state)
{
    struct rig *r = *state;
    char inside[128];
    (void)snprintf(inside, sizeof(inside), "%s.in", r->path);
    const struct net_stream_config cfg = {.path = r->path, .inside = inside, .retry_ns = 1};
    listen_at(r);
    assert_int_equal(net_stream_open(&cfg, &r->b, NULL), 0);
    accept_peer(r);
    start(r);
    assert_int_equal(rename(r->path, inside), 0);
    drop_peer(r);
    while (r->ups == 0)
        turn_when_ready(r);
    assert_int_equal(rename(inside, r->path), 0);
    accept_peer(r);
}

static void it_does_not_spin_while_it_waits_for_the_next_attempt(void **state)
{
    struct rig *r = *state;
    const struct net_stream_config cfg = {.path = r->path};
    listen_at(r);
    assert_int_equal(net_stream_open(&cfg, &r->b, NULL), 0);
    accept_peer(r);
    start(r);
    stop_listening(r);
    drop_peer(r);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(r->downs, 1);
    assert_int_equal(loop_turn(&r->loop), 0);
}

static void a_wish_for_frames_survives_a_new_connection(void **state)
{
    struct rig *r = *state;
    start_connected(r);
    r->b->ops->wait(r->b->self, 0, false);
    drop_peer(r);
    while (r->ups == 0)
        turn_when_ready(r);
    accept_peer(r);
    peer_sends(r, 60, r->pattern, 60);
    turn(r);
    assert_int_equal(r->readable, 0);
    r->b->ops->wait(r->b->self, 0, true);
    turn(r);
    assert_int_equal(r->came, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_has_one_pair_no_headers_and_no_offloads),
        CASE(without_a_peer_it_says_what_to_start),
        CASE(a_path_that_is_too_long_is_refused),
        CASE(a_descriptor_that_is_no_stream_is_refused_and_left_open),
        CASE(a_frame_of_the_peer_is_received),
        CASE(a_frame_that_comes_byte_by_byte_is_put_together),
        CASE(frames_that_come_in_one_piece_are_told_apart),
        CASE(many_large_frames_pass_through_the_buffer),
        CASE(what_does_not_fit_is_lost_and_the_next_frame_whole),
        CASE(a_frame_is_spread_over_the_list),
        CASE(who_does_not_want_frames_does_not_hear_of_them),
        CASE(lengths_that_cannot_be_end_the_connection),
        CASE(a_frame_goes_out_behind_its_length),
        CASE(a_frame_that_is_too_long_is_refused),
        CASE(a_peer_that_does_not_read_makes_frames_wait),
        CASE(a_frame_that_is_half_sent_is_finished_before_the_next),
        CASE(a_peer_that_vanishes_takes_the_link_down_once),
        CASE(what_a_peer_sent_before_it_vanished_arrives),
        CASE(a_peer_that_vanishes_is_noticed_by_who_wants_nothing),
        CASE(a_peer_that_vanishes_is_noticed_by_who_has_no_room),
        CASE(a_peer_that_only_stops_sending_is_gone_too),
        CASE(a_peer_that_vanishes_is_noticed_by_sending),
        CASE(a_peer_that_vanishes_within_a_frame_leaves_nothing_behind),
        CASE(it_tries_until_the_peer_is_back),
        CASE(from_inside_of_a_jail_the_path_is_another),
        CASE(it_does_not_spin_while_it_waits_for_the_next_attempt),
        CASE(a_wish_for_frames_survives_a_new_connection),
    };
    return cmocka_run_group_tests_name("backends/net_stream", tests, NULL, NULL);
}
