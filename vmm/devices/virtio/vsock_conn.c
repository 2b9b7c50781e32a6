/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock_conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PENDING(op) (1u << (op))

/* ---- Small questions ---- */

static bool has_closed(unsigned flags, unsigned which)
{
    return (flags & which) == which;
}

/* Does the guest want more of what the host sends, and may the host send more? */
static bool flows_to_guest(const struct vsock_conn *c)
{
    return c->state == VSOCK_OPEN && !has_closed(c->told, VSOCK_SHUTDOWN_SEND) &&
           !has_closed(c->heard, VSOCK_SHUTDOWN_RECEIVE);
}

static bool flows_to_host(const struct vsock_conn *c)
{
    return c->state == VSOCK_OPEN && !has_closed(c->told, VSOCK_SHUTDOWN_RECEIVE) &&
           !has_closed(c->heard, VSOCK_SHUTDOWN_SEND);
}

bool vsock_conn_is_closing(const struct vsock_conn *c)
{
    return c->state == VSOCK_OPEN && has_closed(c->told, VSOCK_SHUTDOWN_BOTH);
}

bool vsock_conn_needs_socket(const struct vsock_conn *c)
{
    switch (c->state) {
    case VSOCK_HANDSHAKE:
    case VSOCK_REQUESTED:
    case VSOCK_ORPHAN: return true;
    case VSOCK_OPEN: return !vsock_conn_is_closing(c);
    default: return false;
    }
}

uint32_t vsock_conn_events(const struct vsock_conn *c)
{
    uint32_t in = c->state == VSOCK_ORPHAN ? 0 : EPOLLIN;
    uint32_t out = vsock_conn_buffered(c) > 0 ? EPOLLOUT : 0;
    return in | out | EPOLLET;
}

/* ---- Begin ---- */

void vsock_conn_begin_host(struct vsock_conn *c, int fd)
{
    c->source.fd = fd;
    c->state = VSOCK_HANDSHAKE;
}

void vsock_conn_begin_guest(struct vsock_conn *c, int fd, const struct vsock_header *request)
{
    c->source.fd = fd;
    c->state = VSOCK_OPEN;
    c->local_port = request->dst_port;
    c->peer_port = request->src_port;
    c->pending = PENDING(VSOCK_OP_RESPONSE);
    vsock_credit_hear(&c->credit, request);
}

void vsock_conn_request(struct vsock_conn *c, uint32_t local_port, uint32_t peer_port)
{
    c->state = VSOCK_REQUESTED;
    c->local_port = local_port;
    c->peer_port = peer_port;
    c->pending = PENDING(VSOCK_OP_REQUEST);
    /* The host may have sent more with its line, and that was reported already. */
    c->readable = true;
}

/* ---- The first line ---- */

bool vsock_conn_parse_line(const char *line, size_t bytes, uint32_t *port)
{
    static const char word[] = "connect ";
    const size_t digits = sizeof(word) - 1;
    uint64_t value = 0;
    if (bytes <= digits || strncasecmp(line, word, digits) != 0)
        return false;
    for (size_t i = digits; i < bytes; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(line[i] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *port = (uint32_t)value;
    return value != 0;
}

static int no_more_of_line(void)
{
    if (errno == EINTR)
        return 0;
    return errno == EAGAIN ? -EAGAIN : -EPIPE;
}

/* 0: took some of it, there may be more. */
static int read_some(struct vsock_conn *c, uint32_t *port)
{
    char *at = c->line + c->line_bytes;
    size_t room = sizeof(c->line) - c->line_bytes;
    /* Looked at first and then taken up to the newline: what follows is for the guest. */
    ssize_t seen = recv(c->source.fd, at, room, MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0)
        return no_more_of_line();
    if (seen == 0)
        return -EPIPE;
    const char *end = memchr(at, '\n', (size_t)seen);
    size_t wanted = end != NULL ? (size_t)(end - at) + 1 : (size_t)seen;
    ssize_t taken = recv(c->source.fd, at, wanted, MSG_DONTWAIT);
    if (taken < 0)
        return no_more_of_line();
    c->line_bytes += (unsigned)taken;
    if (end != NULL && (size_t)taken == wanted)
        return vsock_conn_parse_line(c->line, c->line_bytes - 1, port) ? 1 : -EINVAL;
    return c->line_bytes == sizeof(c->line) ? -EINVAL : 0;
}

int vsock_conn_read_line(struct vsock_conn *c, uint32_t *port)
{
    int code;
    do
        code = read_some(c, port);
    while (code == 0);
    return code;
}

/* ---- Ends ---- */

void vsock_conn_abort(struct vsock_conn *c)
{
    bool known =
        c->state == VSOCK_OPEN || (c->state == VSOCK_REQUESTED && (c->pending & PENDING(VSOCK_OP_REQUEST)) == 0);
    if (c->state == VSOCK_ENDING)
        return;
    c->state = known ? VSOCK_ENDING : VSOCK_GONE;
    c->pending = known ? PENDING(VSOCK_OP_RST) : 0;
}

void vsock_conn_orphan(struct vsock_conn *c)
{
    bool rest = c->state == VSOCK_OPEN && vsock_conn_buffered(c) > 0;
    if (c->state == VSOCK_ORPHAN)
        return;
    c->state = rest ? VSOCK_ORPHAN : VSOCK_GONE;
    c->pending = 0;
    if (rest)
        (void)shutdown(c->source.fd, SHUT_RD);
}

/* Say something new about what we closed. */
static void tell(struct vsock_conn *c, unsigned flags)
{
    if (c->state != VSOCK_OPEN || has_closed(c->told, flags))
        return;
    c->told |= flags;
    c->pending |= PENDING(VSOCK_OP_SHUTDOWN);
}

static void drop_buffer(struct vsock_conn *c)
{
    vsock_credit_forward(&c->credit, vsock_conn_buffered(c));
}

/*
 * The host takes nothing any more; it may still have sent something. Where the socket has failed otherwise (-ENOBUFS),
 * bytes are missing, and neither side may take the connection for whole.
 */
static void lose_reader(struct vsock_conn *c, int code)
{
    if (code != -EPIPE && code != -ECONNRESET) {
        vsock_conn_abort(c);
        return;
    }
    drop_buffer(c);
    if (c->state == VSOCK_ORPHAN)
        c->state = VSOCK_GONE;
    else if (flows_to_host(c))
        tell(c, VSOCK_SHUTDOWN_RECEIVE);
}

/* After anything that may have closed one way. Source: 5.10.6.5. */
static void look_for_end(struct vsock_conn *c)
{
    bool sent_all = has_closed(c->told, VSOCK_SHUTDOWN_SEND) || has_closed(c->heard, VSOCK_SHUTDOWN_RECEIVE);
    bool delivered = has_closed(c->heard, VSOCK_SHUTDOWN_SEND) && vsock_conn_buffered(c) == 0;
    /* If the guest closed nothing, it answers our SHUTDOWN by an RST of its own, when its program has read all. */
    if (c->state == VSOCK_OPEN && c->heard != 0 && sent_all &&
        (delivered || has_closed(c->told, VSOCK_SHUTDOWN_RECEIVE)))
        vsock_conn_abort(c);
}

/* ---- From the guest to the host ---- */

/* How much of a list went into the socket; 0 also when it takes nothing now. -errno: it never will. */
static int send_list(struct vsock_conn *c, struct iovec *list, unsigned count, size_t *sent)
{
    const struct msghdr message = {.msg_iov = list, .msg_iovlen = (uint16_t)count};
    ssize_t n = sendmsg(c->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    *sent = n > 0 ? (size_t)n : 0;
    return n >= 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Parts of the ring buffer: at most two. */
static unsigned slice_buffer(const struct vsock_conn *c, uint32_t first, uint32_t bytes, struct iovec *out)
{
    const struct iovec twice[] = {{.iov_base = c->buffer, .iov_len = VSOCK_CREDIT_BYTES},
                                  {.iov_base = c->buffer, .iov_len = VSOCK_CREDIT_BYTES}};
    return virtq_slice(twice, 2, first % VSOCK_CREDIT_BYTES, bytes, out);
}

static void end_of_guest_data(struct vsock_conn *c)
{
    if (has_closed(c->heard, VSOCK_SHUTDOWN_SEND) && vsock_conn_buffered(c) == 0)
        (void)shutdown(c->source.fd, SHUT_WR);
}

static void flush(struct vsock_conn *c)
{
    struct iovec part[2];
    size_t sent = 1;
    while (vsock_conn_buffered(c) > 0 && sent > 0) {
        int code = send_list(c, part, slice_buffer(c, c->first, vsock_conn_buffered(c), part), &sent);
        if (code < 0) {
            lose_reader(c, code);
            return;
        }
        c->first += (uint32_t)sent;
        vsock_credit_forward(&c->credit, (uint32_t)sent);
    }
    if (vsock_conn_buffered(c) > 0)
        return;
    if (c->state == VSOCK_ORPHAN)
        c->state = VSOCK_GONE;
    else
        end_of_guest_data(c);
}

/* Data that is inside the chain and counted as received; `direct` bytes of it are in the socket already. */
static void keep(struct vsock_conn *c, const struct virtq_chain *chain, size_t direct, uint32_t bytes)
{
    struct iovec part[2];
    size_t offset = VSOCK_HEADER_BYTES + direct;
    /* It goes behind what was there before. */
    uint32_t behind = c->first + vsock_conn_buffered(c) - bytes;
    unsigned count = slice_buffer(c, behind, bytes, part);
    for (unsigned i = 0; i < count; i++) {
        (void)virtq_chain_read(chain, offset, part[i].iov_base, part[i].iov_len);
        offset += part[i].iov_len;
    }
    c->used_buffer = c->used_buffer || bytes > 0;
}

static void hear_data(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain,
                      struct iovec *scratch)
{
    bool empty = vsock_conn_buffered(c) == 0;
    size_t sent = 0;
    bool allowed = (c->pending & PENDING(VSOCK_OP_RESPONSE)) == 0 && !has_closed(c->heard, VSOCK_SHUTDOWN_SEND);
    if (!allowed || !vsock_credit_receive(&c->credit, h->len)) {
        vsock_conn_abort(c);
        return;
    }
    if (has_closed(c->told, VSOCK_SHUTDOWN_RECEIVE)) {
        drop_buffer(c);
        return;
    }
    unsigned count = empty ? virtq_slice(chain->iov, chain->out, VSOCK_HEADER_BYTES, h->len, scratch) : 0;
    int code = count > 0 ? send_list(c, scratch, count, &sent) : 0;
    if (code < 0) {
        lose_reader(c, code);
        return;
    }
    vsock_credit_forward(&c->credit, (uint32_t)sent);
    keep(c, chain, sent, h->len - (uint32_t)sent);
}

static void hear_shutdown(struct vsock_conn *c, unsigned flags)
{
    unsigned fresh = flags & VSOCK_SHUTDOWN_BOTH & ~c->heard;
    c->heard |= fresh;
    if (!vsock_conn_needs_socket(c))
        return;
    if ((fresh & VSOCK_SHUTDOWN_RECEIVE) != 0)
        (void)shutdown(c->source.fd, SHUT_RD);
    if ((fresh & VSOCK_SHUTDOWN_SEND) != 0)
        end_of_guest_data(c);
}

/* The first bytes that the socket gets: they fit, or it is dead. */
static bool send_first(int fd, const char *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t n = send(fd, bytes + done, count - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void hear_response(struct vsock_conn *c)
{
    char line[sizeof("OK 4294967295\n")];
    int bytes = snprintf(line, sizeof(line), "OK %u\n", c->local_port);
    c->state = VSOCK_OPEN;
    if (!send_first(c->source.fd, line, (size_t)bytes))
        vsock_conn_abort(c);
}

static void hear_open(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain,
                      struct iovec *scratch)
{
    switch (h->op) {
    case VSOCK_OP_RW: hear_data(c, h, chain, scratch); break;
    case VSOCK_OP_SHUTDOWN: hear_shutdown(c, h->flags); break;
    case VSOCK_OP_CREDIT_UPDATE: break;
    case VSOCK_OP_CREDIT_REQUEST: c->pending |= PENDING(VSOCK_OP_CREDIT_UPDATE); break;
    default: vsock_conn_abort(c);
    }
}

/* After anything that may have changed what the guest has to know. */
static void refresh(struct vsock_conn *c)
{
    look_for_end(c);
    if (flows_to_host(c) && vsock_credit_is_due(&c->credit))
        c->pending |= PENDING(VSOCK_OP_CREDIT_UPDATE);
    if (vsock_credit_left(&c->credit) > 0)
        c->asked = false;
    else if (flows_to_guest(c) && c->readable && !c->asked) {
        c->asked = true;
        c->pending |= PENDING(VSOCK_OP_CREDIT_REQUEST);
    }
}

void vsock_conn_hear(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain,
                     struct iovec *scratch)
{
    bool unasked = (c->pending & PENDING(VSOCK_OP_REQUEST)) != 0;
    vsock_credit_hear(&c->credit, h);
    if (h->op == VSOCK_OP_RST)
        vsock_conn_orphan(c);
    else if (c->state == VSOCK_OPEN)
        hear_open(c, h, chain, scratch);
    else if (c->state == VSOCK_REQUESTED && h->op == VSOCK_OP_RESPONSE && !unasked)
        hear_response(c);
    else
        vsock_conn_abort(c);
    refresh(c);
}

/* ---- The socket ---- */

void vsock_conn_ready(struct vsock_conn *c, uint32_t events)
{
    bool dead = (events & (EPOLLHUP | EPOLLERR)) != 0;
    c->readable = c->readable || (events & EPOLLIN) != 0 || dead;
    if (c->state == VSOCK_REQUESTED && dead)
        vsock_conn_abort(c);
    else if (dead)
        lose_reader(c, -EPIPE);
    else if ((events & EPOLLOUT) != 0)
        flush(c);
    refresh(c);
}

/* ---- From the host to the guest ---- */

static bool may_read(const struct vsock_conn *c)
{
    return flows_to_guest(c) && c->readable && vsock_credit_left(&c->credit) > 0;
}

bool vsock_conn_has_packet(const struct vsock_conn *c)
{
    return c->pending != 0 || may_read(c);
}

/* Data for the guest, straight into its buffer. False: there is none now, or none any more. */
static bool fill_data(struct vsock_conn *c, struct vsock_header *h, const struct virtq_chain *chain,
                      struct iovec *scratch)
{
    uint32_t most = chain->in_bytes - VSOCK_HEADER_BYTES;
    uint32_t credit = vsock_credit_left(&c->credit);
    most = most < VSOCK_DATA_BYTES ? most : VSOCK_DATA_BYTES;
    most = most < credit ? most : credit;
    unsigned count = virtq_slice(virtq_chain_in(chain), chain->in, VSOCK_HEADER_BYTES, most, scratch);
    struct msghdr message = {.msg_iov = scratch, .msg_iovlen = (uint16_t)count};
    ssize_t n;
    do
        n = recvmsg(c->source.fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        h->len = (uint32_t)n;
        vsock_credit_spend(&c->credit, (uint32_t)n);
        return true;
    }
    int code = n < 0 ? -errno : 0;
    c->readable = false;
    if (code == -EAGAIN)
        return false;
    tell(c, VSOCK_SHUTDOWN_SEND);
    if (code < 0)
        lose_reader(c, code);
    return false;
}

static enum vsock_op first_of(unsigned pending)
{
    static const uint8_t order[] = {VSOCK_OP_RST,      VSOCK_OP_REQUEST,        VSOCK_OP_RESPONSE,
                                    VSOCK_OP_SHUTDOWN, VSOCK_OP_CREDIT_REQUEST, VSOCK_OP_CREDIT_UPDATE};
    for (unsigned i = 0; i < sizeof(order); i++)
        if ((pending & PENDING(order[i])) != 0)
            return (enum vsock_op)order[i];
    return VSOCK_OP_INVALID;
}

/* What goes before data. The rest has time until there is no data, no credit, or no more to come. */
#define URGENT (PENDING(VSOCK_OP_RST) | PENDING(VSOCK_OP_REQUEST) | PENDING(VSOCK_OP_RESPONSE))

static enum vsock_op choose(struct vsock_conn *c, struct vsock_header *h, const struct virtq_chain *chain,
                            struct iovec *scratch)
{
    if ((c->pending & URGENT) == 0 && may_read(c) && fill_data(c, h, chain, scratch))
        return VSOCK_OP_RW;
    /* A read may have found the end. */
    refresh(c);
    return first_of(c->pending);
}

bool vsock_conn_fill(struct vsock_conn *c, struct vsock_header *h, const struct virtq_chain *chain,
                     struct iovec *scratch)
{
    *h = (struct vsock_header){.src_port = c->local_port, .dst_port = c->peer_port};
    h->op = (uint16_t)choose(c, h, chain, scratch);
    if (h->op == VSOCK_OP_INVALID)
        return false;
    /* Every packet carries our credit. */
    c->pending &= ~(PENDING(h->op) | PENDING(VSOCK_OP_CREDIT_UPDATE));
    h->flags = h->op == VSOCK_OP_SHUTDOWN ? c->told : 0;
    vsock_credit_tell(&c->credit, h);
    if (h->op == VSOCK_OP_RST)
        c->state = VSOCK_GONE;
    refresh(c);
    return true;
}
