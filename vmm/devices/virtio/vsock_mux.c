/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock_mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mapping.h"

#define TIMEOUT_NS      UINT64_C(2000000000)
#define PAUSE_NS        UINT64_C(200000000) /* when the host has no descriptors for those who connect */
#define ACCEPT_BUDGET   16
#define BUFFERS_BYTES   ((size_t)VSOCK_CONNS * VSOCK_CREDIT_BYTES)
#define CONN_OF(at, in) ((struct vsock_conn *)(void *)((uint8_t *)(at)-offsetof(struct vsock_conn, in)))

/* ---- Lists ---- */

static void list_init(struct vsock_link *head)
{
    head->prev = head->next = head;
}

static bool list_is_empty(const struct vsock_link *head)
{
    return head->next == head;
}

static void list_remove(struct vsock_link *link)
{
    if (link->next == NULL)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    *link = (struct vsock_link){.next = NULL};
}

static void list_append(struct vsock_link *head, struct vsock_link *link)
{
    list_remove(link);
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* ---- The table ---- */

static struct vsock_conn **bucket_of(struct vsock_mux *m, uint32_t local_port, uint32_t peer_port)
{
    uint32_t hash = (local_port * 0x9e3779b1u) ^ (peer_port * 0x85ebca6bu);
    return &m->bucket[hash >> 22 & (VSOCK_BUCKETS - 1)];
}

static struct vsock_conn *find(struct vsock_mux *m, uint32_t local_port, uint32_t peer_port)
{
    struct vsock_conn *c = *bucket_of(m, local_port, peer_port);
    while (c != NULL && (c->local_port != local_port || c->peer_port != peer_port))
        c = c->next;
    return c;
}

static void table_add(struct vsock_mux *m, struct vsock_conn *c)
{
    struct vsock_conn **at = bucket_of(m, c->local_port, c->peer_port);
    c->next = *at;
    *at = c;
}

static void table_remove(struct vsock_mux *m, struct vsock_conn *c)
{
    struct vsock_conn **at = bucket_of(m, c->local_port, c->peer_port);
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c)
        *at = c->next;
}

/* A port of the host's side that no connection has. There are 2^30, and at most VSOCK_CONNS are taken. */
static uint32_t choose_port(struct vsock_mux *m, uint32_t peer_port)
{
    uint32_t port;
    do {
        port = VSOCK_FIRST_PORT + m->next_port;
        m->next_port = (m->next_port + 1) % VSOCK_FIRST_PORT;
    } while (find(m, port, peer_port) != NULL);
    return port;
}

/* ---- Reasons ---- */

static const char *const reasons[] = {
    [VSOCK_NO_DRIVER] = "the guest has no driver (yet)",
    [VSOCK_BAD_LINE] = "the host did not say CONNECT <port>",
    [VSOCK_NO_LINE] = "the host said nothing for 2 s",
    [VSOCK_TOO_MANY] = "there are as many connections as there may be",
    [VSOCK_NO_GUEST_LISTENER] = "nobody in the guest listens there",
    [VSOCK_NO_GUEST_ANSWER] = "the guest did not answer for 2 s",
    [VSOCK_NO_HOST_LISTENER] = "nobody on the host listens there",
};

static void refuse(struct vsock_mux *m, enum vsock_refusal why, uint32_t port)
{
    m->stats.refused[why]++;
    if (m->cfg.log == NULL || !log_wants(m->cfg.log, LOG_LEVEL_DEBUG))
        return;
    if (log_limit_allow(&m->limit, m->host.now_ns(m->host.ctx), NULL))
        log_write(m->cfg.log, LOG_LEVEL_DEBUG, LOG_NO_VCPU, "virtio-vsock: refused a connection, port %u: %s", port,
                  reasons[why]);
}

/* ---- Life of a connection ---- */

static void on_socket(void *ctx, uint32_t events);

static struct vsock_conn *take_unused(struct vsock_mux *m)
{
    struct vsock_conn *c = m->unused;
    if (c == NULL)
        return NULL;
    uint8_t *buffer = c->buffer;
    m->unused = c->next;
    *c = (struct vsock_conn){.source = {.fd = -1, .ready = on_socket, .ctx = c}, .owner = m, .buffer = buffer};
    m->stats.connections++;
    return c;
}

static void close_socket(struct vsock_mux *m, struct vsock_conn *c)
{
    if (c->source.fd < 0)
        return;
    loop_remove(m->cfg.loop, &c->source);
    close(c->source.fd);
    c->source.fd = -1;
}

static void forget(struct vsock_mux *m, struct vsock_conn *c)
{
    close_socket(m, c);
    table_remove(m, c);
    list_remove(&c->ready);
    list_remove(&c->waiting);
    if (c->used_buffer)
        (void)madvise(c->buffer, VSOCK_CREDIT_BYTES, MADV_DONTNEED);
    c->state = VSOCK_FREE;
    c->next = m->unused;
    m->unused = c;
    m->stats.connections--;
}

/* What a connection waits for with a limit of time; any change begins anew. */
enum {
    WAITS_FOR_NOTHING,
    WAITS_FOR_LINE,
    WAITS_FOR_ANSWER,
    WAITS_FOR_RST,
};

static unsigned waits_for(const struct vsock_conn *c)
{
    if (c->state == VSOCK_HANDSHAKE)
        return WAITS_FOR_LINE;
    if (c->state == VSOCK_REQUESTED)
        return WAITS_FOR_ANSWER;
    return vsock_conn_is_closing(c) ? WAITS_FOR_RST : WAITS_FOR_NOTHING;
}

static void settle_waiting(struct vsock_mux *m, struct vsock_conn *c)
{
    unsigned now = waits_for(c);
    if (now == c->waits_for)
        return;
    c->waits_for = now;
    list_remove(&c->waiting);
    if (now == WAITS_FOR_NOTHING)
        return;
    /* All wait equally long, so the list stays in order of their deadlines. */
    c->deadline_ns = m->host.now_ns(m->host.ctx) + TIMEOUT_NS;
    list_append(&m->waiting, &c->waiting);
}

static void settle_events(struct vsock_mux *m, struct vsock_conn *c)
{
    uint32_t events = vsock_conn_events(c);
    if (events == c->events)
        return;
    c->events = events;
    (void)loop_change(m->cfg.loop, &c->source, events);
}

/* On the loop, after anything was done to a connection: put it where it belongs now. It may be gone afterwards. */
static void settle(struct vsock_mux *m, struct vsock_conn *c)
{
    if (c->state == VSOCK_GONE) {
        forget(m, c);
        return;
    }
    /* The guest may use the ports of one it has forgotten again. */
    if (c->state == VSOCK_ORPHAN)
        table_remove(m, c);
    if (!vsock_conn_needs_socket(c))
        close_socket(m, c);
    else
        settle_events(m, c);
    if (!vsock_conn_has_packet(c))
        list_remove(&c->ready);
    else if (c->ready.next == NULL)
        list_append(&m->ready, &c->ready);
    settle_waiting(m, c);
}

/* Let the loop watch a new connection. False, and it is forgotten: the host refuses. */
static bool watch(struct vsock_mux *m, struct vsock_conn *c)
{
    c->events = vsock_conn_events(c);
    if (loop_add(m->cfg.loop, &c->source, c->events) == 0)
        return true;
    refuse(m, VSOCK_TOO_MANY, c->local_port);
    forget(m, c);
    return false;
}

/* ---- The host's side ---- */

void vsock_mux_take(struct vsock_mux *m, int fd)
{
    struct vsock_conn *c = m->up ? take_unused(m) : NULL;
    if (c == NULL) {
        refuse(m, m->up ? VSOCK_TOO_MANY : VSOCK_NO_DRIVER, 0);
        close(fd);
        return;
    }
    vsock_conn_begin_host(c, fd);
    if (watch(m, c))
        settle(m, c);
}

static void on_line(struct vsock_mux *m, struct vsock_conn *c)
{
    uint32_t port;
    int code = vsock_conn_read_line(c, &port);
    if (code == -EAGAIN)
        return;
    if (code == 1) {
        vsock_conn_request(c, choose_port(m, port), port);
        table_add(m, c);
        return;
    }
    refuse(m, VSOCK_BAD_LINE, 0);
    vsock_conn_abort(c);
}

static void serve_socket(struct vsock_mux *m, struct vsock_conn *c, uint32_t events)
{
    /* A reset came before us. */
    if (c->source.fd < 0)
        return;
    if (c->state == VSOCK_HANDSHAKE && (events & (EPOLLHUP | EPOLLERR)) != 0) {
        refuse(m, VSOCK_BAD_LINE, 0);
        vsock_conn_abort(c);
    } else if (c->state == VSOCK_HANDSHAKE)
        on_line(m, c);
    else if (vsock_conn_needs_socket(c))
        vsock_conn_ready(c, events);
    settle(m, c);
}

static void on_socket(void *ctx, uint32_t events)
{
    struct vsock_conn *c = ctx;
    struct vsock_mux *m = c->owner;
    m->cfg.enter(m->cfg.ctx);
    serve_socket(m, c, events);
    m->cfg.leave(m->cfg.ctx);
}

static void stop_listening(struct vsock_mux *m)
{
    loop_remove(m->cfg.loop, &m->listener);
    m->listen_again_ns = m->host.now_ns(m->host.ctx) + PAUSE_NS;
    m->armed = false;
}

static void on_listener(void *ctx, uint32_t events)
{
    struct vsock_mux *m = ctx;
    (void)events;
    m->cfg.enter(m->cfg.ctx);
    for (int i = 0; i < ACCEPT_BUDGET; i++) {
        int fd = accept4(m->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            vsock_mux_take(m, fd);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR && errno != ECONNABORTED) {
            /* No descriptors, say. They stay in the queue, which would wake us again and again. */
            stop_listening(m);
            break;
        }
    }
    m->cfg.leave(m->cfg.ctx);
}

/* ---- The guest's side ---- */

bool vsock_mux_is_full(const struct vsock_mux *m)
{
    return m->rst_count == VSOCK_RSTS;
}

/* Answer a packet by an RST, from the address that it was sent to. An RST is never answered. */
static void answer_rst(struct vsock_mux *m, const struct vsock_header *h)
{
    if (h->op == VSOCK_OP_RST || vsock_mux_is_full(m))
        return;
    m->rst[(m->rst_first + m->rst_count) % VSOCK_RSTS] =
        (struct vsock_rst){.src_cid = h->dst_cid, .src_port = h->dst_port, .dst_port = h->src_port, .type = h->type};
    m->rst_count++;
}

/* The guest wants to connect. False: refused. */
static bool open_for_guest(struct vsock_mux *m, const struct vsock_header *h)
{
    struct vsock_conn *c = take_unused(m);
    if (c == NULL) {
        refuse(m, VSOCK_TOO_MANY, h->dst_port);
        return false;
    }
    int fd = m->host.connect(m->host.ctx, h->dst_port);
    if (fd < 0) {
        refuse(m, VSOCK_NO_HOST_LISTENER, h->dst_port);
        forget(m, c);
        return false;
    }
    vsock_conn_begin_guest(c, fd, h);
    table_add(m, c);
    if (!watch(m, c))
        return false;
    m->stats.by_guest++;
    settle(m, c);
    return true;
}

static void hear_for(struct vsock_mux *m, struct vsock_conn *c, const struct vsock_header *h,
                     const struct virtq_chain *chain)
{
    bool asked = c->state == VSOCK_REQUESTED;
    uint32_t received = c->credit.received;
    vsock_conn_hear(c, h, chain, m->scratch);
    m->stats.bytes_from_guest += (uint32_t)(c->credit.received - received);
    if (asked && c->state == VSOCK_OPEN)
        m->stats.by_host++;
    if (asked && h->op == VSOCK_OP_RST)
        refuse(m, VSOCK_NO_GUEST_LISTENER, c->peer_port);
    settle(m, c);
}

static bool is_ours(const struct vsock_mux *m, const struct vsock_header *h)
{
    return h->type == VSOCK_TYPE_STREAM && h->src_cid == m->cfg.guest_cid && h->dst_cid == VSOCK_HOST_CID;
}

void vsock_mux_hear(struct vsock_mux *m, const struct virtq_chain *chain)
{
    uint8_t bytes[VSOCK_HEADER_BYTES];
    if (!virtq_chain_read(chain, 0, bytes, sizeof(bytes))) {
        m->stats.bad_packets++;
        return;
    }
    struct vsock_header h = vsock_header_decode(bytes);
    struct vsock_conn *c = is_ours(m, &h) ? find(m, h.dst_port, h.src_port) : NULL;
    bool whole = h.len <= chain->out_bytes - VSOCK_HEADER_BYTES;
    if (!is_ours(m, &h) || !whole)
        m->stats.bad_packets++;
    if (c != NULL && whole)
        hear_for(m, c, &h, chain);
    else if (c != NULL) {
        vsock_conn_abort(c);
        settle(m, c);
    } else if (!is_ours(m, &h) || !whole || h.op != VSOCK_OP_REQUEST || !open_for_guest(m, &h))
        answer_rst(m, &h);
}

bool vsock_mux_has_packets(const struct vsock_mux *m)
{
    return m->rst_count > 0 || !list_is_empty(&m->ready);
}

static void next_rst(struct vsock_mux *m, struct vsock_header *h)
{
    const struct vsock_rst *rst = &m->rst[m->rst_first];
    *h = (struct vsock_header){.src_cid = rst->src_cid,
                               .src_port = rst->src_port,
                               .dst_port = rst->dst_port,
                               .type = rst->type,
                               .op = VSOCK_OP_RST};
    m->rst_first = (m->rst_first + 1) % VSOCK_RSTS;
    m->rst_count--;
}

/* Of the connection whose turn it is; it goes to the end of the line. */
static bool next_of_conn(struct vsock_mux *m, struct vsock_header *h, const struct virtq_chain *chain)
{
    bool filled = false;
    while (!filled && !list_is_empty(&m->ready)) {
        struct vsock_conn *c = CONN_OF(m->ready.next, ready);
        list_remove(&c->ready);
        filled = vsock_conn_fill(c, h, chain, m->scratch);
        h->src_cid = VSOCK_HOST_CID;
        h->type = VSOCK_TYPE_STREAM;
        settle(m, c);
    }
    return filled;
}

uint32_t vsock_mux_fill(struct vsock_mux *m, const struct virtq_chain *chain)
{
    uint8_t bytes[VSOCK_HEADER_BYTES];
    struct vsock_header h;
    if (m->rst_count > 0)
        next_rst(m, &h);
    else if (!next_of_conn(m, &h, chain))
        return 0;
    h.dst_cid = m->cfg.guest_cid;
    vsock_header_encode(&h, bytes);
    (void)virtq_chain_write(chain, 0, bytes, sizeof(bytes));
    m->stats.bytes_to_guest += h.len;
    return VSOCK_HEADER_BYTES + h.len;
}

/* ---- Driver and device come and go ---- */

void vsock_mux_up(struct vsock_mux *m)
{
    m->up = true;
}

void vsock_mux_drop_all(struct vsock_mux *m)
{
    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        struct vsock_conn *c = &m->conn[i];
        if (c->state == VSOCK_FREE)
            continue;
        table_remove(m, c);
        list_remove(&c->ready);
        list_remove(&c->waiting);
        vsock_conn_orphan(c);
    }
    m->rst_count = 0;
    /* Sockets are closed by the loop. */
    m->sweep = true;
    m->armed = false;
}

void vsock_mux_down(struct vsock_mux *m)
{
    m->up = false;
    vsock_mux_drop_all(m);
}

/* ---- Time ---- */

static void expire(struct vsock_mux *m, struct vsock_conn *c)
{
    if (c->waits_for == WAITS_FOR_LINE)
        refuse(m, VSOCK_NO_LINE, 0);
    if (c->waits_for == WAITS_FOR_ANSWER)
        refuse(m, VSOCK_NO_GUEST_ANSWER, c->peer_port);
    vsock_conn_abort(c);
    settle(m, c);
}

static void expire_all(struct vsock_mux *m, uint64_t now)
{
    while (!list_is_empty(&m->waiting) && CONN_OF(m->waiting.next, waiting)->deadline_ns <= now)
        expire(m, CONN_OF(m->waiting.next, waiting));
}

static void sweep(struct vsock_mux *m)
{
    m->sweep = false;
    for (unsigned i = 0; i < VSOCK_CONNS; i++)
        if (m->conn[i].state != VSOCK_FREE)
            settle(m, &m->conn[i]);
}

static void on_timer(void *ctx, uint32_t events)
{
    struct vsock_mux *m = ctx;
    uint64_t times;
    (void)events;
    (void)!read(m->timer.fd, &times, sizeof(times));
    m->cfg.enter(m->cfg.ctx);
    uint64_t now = m->host.now_ns(m->host.ctx);
    m->armed = false;
    if (m->sweep)
        sweep(m);
    expire_all(m, now);
    if (m->listen_again_ns != 0 && m->listen_again_ns <= now)
        m->listen_again_ns = loop_add(m->cfg.loop, &m->listener, EPOLLIN) < 0 ? now + PAUSE_NS : 0;
    m->cfg.leave(m->cfg.ctx);
}

void vsock_mux_arm(struct vsock_mux *m)
{
    uint64_t at = m->sweep ? 0 : UINT64_MAX;
    if (m->armed)
        return;
    if (m->listen_again_ns != 0 && m->listen_again_ns < at)
        at = m->listen_again_ns;
    if (!list_is_empty(&m->waiting) && CONN_OF(m->waiting.next, waiting)->deadline_ns < at)
        at = CONN_OF(m->waiting.next, waiting)->deadline_ns;
    if (at == UINT64_MAX)
        return;
    m->armed = true;
    m->host.wake(m->host.ctx, m->timer.fd, at);
}

/* ---- Life ---- */

static int make_conns(struct vsock_mux *m)
{
    m->conn = calloc(VSOCK_CONNS, sizeof(*m->conn));
    /* Address space only: a page costs memory from its first use to the end of its connection. */
    void *buffers = NULL;
    int code = m->conn == NULL ? -ENOMEM : mapping_new(BUFFERS_BYTES, MAPPING_SPARSE, &buffers);
    m->buffers = buffers;
    if (code < 0)
        return code;
    for (unsigned i = VSOCK_CONNS; i > 0; i--) {
        struct vsock_conn *c = &m->conn[i - 1];
        c->source.fd = -1;
        c->buffer = m->buffers + (size_t)(i - 1) * VSOCK_CREDIT_BYTES;
        c->next = m->unused;
        m->unused = c;
    }
    return 0;
}

static int make_sources(struct vsock_mux *m)
{
    int fd = m->host.timer(m->host.ctx);
    if (fd < 0)
        return fd;
    m->timer = (struct loop_source){.fd = fd, .ready = on_timer, .ctx = m};
    m->listener = (struct loop_source){.fd = m->cfg.listener, .ready = on_listener, .ctx = m};
    int code = loop_add(m->cfg.loop, &m->timer, EPOLLIN);
    if (code == 0 && m->cfg.listener >= 0)
        code = loop_add(m->cfg.loop, &m->listener, EPOLLIN);
    return code;
}

int vsock_mux_init(struct vsock_mux *m, const struct vsock_mux_config *config, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device",
        .on_what = "vsock",
        .what_to_do = "free memory on the host, or raise the limit of open files (ulimit -n)"};
    memset(m, 0, sizeof(*m));
    m->cfg = *config;
    m->host = *config->host;
    m->timer.fd = m->listener.fd = -1;
    m->limit = (struct log_limit){.burst = 10, .interval_ns = UINT64_C(10000000000)};
    list_init(&m->ready);
    list_init(&m->waiting);
    int code = make_conns(m);
    if (code == 0)
        code = make_sources(m);
    if (code == 0)
        return 0;
    vsock_mux_fini(m);
    return err_fail(err, code, &context);
}

void vsock_mux_fini(struct vsock_mux *m)
{
    if (m->cfg.loop == NULL)
        return;
    for (unsigned i = 0; m->conn != NULL && i < VSOCK_CONNS; i++)
        close_socket(m, &m->conn[i]);
    if (m->timer.fd >= 0) {
        loop_remove(m->cfg.loop, &m->timer);
        close(m->timer.fd);
    }
    if (m->listener.fd >= 0)
        loop_remove(m->cfg.loop, &m->listener);
    mapping_free(m->buffers, BUFFERS_BYTES);
    free(m->conn);
    memset(m, 0, sizeof(*m));
}
