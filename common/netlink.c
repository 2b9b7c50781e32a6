/* SPDX-License-Identifier: Apache-2.0 */
#include "common/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/text.h"

#define ATTRIBUTE_BYTES sizeof(struct nlattr)
#define MESSAGE_BYTES   sizeof(struct nlmsghdr)

static size_t padded(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* ---- Requests ---- */

/* Room for n bytes and their padding, zeroed; NULL and q->overflow if there is none. */
static uint8_t *extend(struct netlink_request *q, size_t n)
{
    if (q->overflow || n > sizeof(q->bytes) || padded(n) > sizeof(q->bytes) - q->length) {
        q->overflow = true;
        return NULL;
    }
    uint8_t *at = q->bytes + q->length;
    memset(at, 0, padded(n));
    q->length += padded(n);
    return at;
}

void netlink_request_init(struct netlink_request *q, uint16_t type, uint16_t flags, const void *header, size_t n)
{
    const struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST)};
    q->length = 0;
    q->overflow = false;
    memcpy(extend(q, sizeof(h)), &h, sizeof(h));
    uint8_t *at = extend(q, n);
    if (at != NULL && n > 0)
        memcpy(at, header, n);
}

void netlink_add(struct netlink_request *q, uint16_t type, const void *data, size_t n)
{
    const struct nlattr a = {.nla_len = (uint16_t)(ATTRIBUTE_BYTES + n), .nla_type = type};
    uint8_t *at = n <= sizeof(q->bytes) ? extend(q, ATTRIBUTE_BYTES + n) : NULL;
    if (at == NULL) {
        q->overflow = true;
        return;
    }
    memcpy(at, &a, sizeof(a));
    if (n > 0)
        memcpy(at + ATTRIBUTE_BYTES, data, n);
}

void netlink_add_u32(struct netlink_request *q, uint16_t type, uint32_t value)
{
    netlink_add(q, type, &value, sizeof(value));
}

void netlink_add_string(struct netlink_request *q, uint16_t type, const char *text)
{
    netlink_add(q, type, text, strlen(text) + 1);
}

size_t netlink_nest_begin(struct netlink_request *q, uint16_t type)
{
    size_t at = q->length;
    netlink_add(q, type | NLA_F_NESTED, NULL, 0);
    return at;
}

void netlink_nest_end(struct netlink_request *q, size_t at)
{
    if (q->overflow)
        return;
    uint16_t length = (uint16_t)(q->length - at);
    memcpy(q->bytes + at + offsetof(struct nlattr, nla_len), &length, sizeof(length));
}

/* ---- Replies ---- */

int netlink_next(const uint8_t **bytes, size_t *n, struct netlink_message *out)
{
    struct nlmsghdr h;
    if (*n == 0)
        return 0;
    if (*n < sizeof(h))
        return -EBADMSG;
    memcpy(&h, *bytes, sizeof(h));
    if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > *n)
        return -EBADMSG;
    *out = (struct netlink_message){.type = h.nlmsg_type,
                                    .flags = h.nlmsg_flags,
                                    .sequence = h.nlmsg_seq,
                                    .port = h.nlmsg_pid,
                                    .payload = *bytes + sizeof(h),
                                    .bytes = h.nlmsg_len - sizeof(h)};
    /* The last message need not be padded. */
    size_t step = padded(h.nlmsg_len) < *n ? padded(h.nlmsg_len) : *n;
    *bytes += step;
    *n -= step;
    return 1;
}

int netlink_sort(const uint8_t *bytes, size_t n, struct netlink_attribute *table, size_t count)
{
    struct nlattr a;
    memset(table, 0, count * sizeof(*table));
    while (n > 0) {
        if (n < sizeof(a))
            goto bad;
        memcpy(&a, bytes, sizeof(a));
        if (a.nla_len < sizeof(a) || a.nla_len > n)
            goto bad;
        unsigned type = a.nla_type & (unsigned)NLA_TYPE_MASK;
        if (type < count)
            table[type] = (struct netlink_attribute){.data = bytes + sizeof(a), .bytes = a.nla_len - sizeof(a)};
        size_t step = padded(a.nla_len) < n ? padded(a.nla_len) : n;
        bytes += step;
        n -= step;
    }
    return 0;
bad:
    memset(table, 0, count * sizeof(*table));
    return -EBADMSG;
}

uint32_t netlink_u32(const struct netlink_attribute *a, uint32_t otherwise)
{
    uint32_t value;
    if (a->data == NULL || a->bytes != sizeof(value))
        return otherwise;
    memcpy(&value, a->data, sizeof(value));
    return value;
}

bool netlink_string(const struct netlink_attribute *a, char *out, size_t size)
{
    size_t n = a->data != NULL ? strnlen((const char *)a->data, a->bytes) : size;
    out[0] = '\0';
    if (n >= size)
        return false;
    memcpy(out, a->data, n);
    out[n] = '\0';
    return true;
}

/* The kernel's words behind an acknowledgement: `skip` bytes of the payload come before the attributes. */
static void take_words(struct netlink_reply *r, const struct netlink_message *m, size_t skip)
{
    struct netlink_attribute table[NLMSGERR_ATTR_MSG + 1];
    char raw[NETLINK_WORDS_BYTES];
    struct text t;
    if ((m->flags & NLM_F_ACK_TLVS) == 0 || skip > m->bytes ||
        netlink_sort(m->payload + skip, m->bytes - skip, table, NLMSGERR_ATTR_MSG + 1) < 0)
        return;
    if (!netlink_string(&table[NLMSGERR_ATTR_MSG], raw, sizeof(raw)))
        return;
    text_init(&t, r->words, sizeof(r->words));
    text_add(&t, "%s", raw);
}

/* The number at the begin of an acknowledgement, or of a dump's end, where it may be missing. */
static int take_code(struct netlink_reply *r, const struct netlink_message *m)
{
    int32_t code = 0;
    struct nlmsghdr h;
    bool ack = m->type == NLMSG_ERROR;
    if (m->bytes >= sizeof(code))
        memcpy(&code, m->payload, sizeof(code));
    else if (ack || m->bytes > 0)
        return -EBADMSG;
    /* No errno of Linux is outside of this; a positive length at a dump's end is no error. */
    if (code < -4095 || (ack && code > 0))
        return -EBADMSG;
    r->code = code < 0 ? code : 0;
    if (!ack) {
        take_words(r, m, sizeof(code));
        return 1;
    }
    if (m->bytes < sizeof(code) + sizeof(h))
        return -EBADMSG;
    memcpy(&h, m->payload + sizeof(code), sizeof(h));
    bool capped = (m->flags & NLM_F_CAPPED) != 0 || h.nlmsg_len < sizeof(h);
    take_words(r, m, sizeof(code) + (capped ? sizeof(h) : padded(h.nlmsg_len)));
    return 1;
}

static int take_message(struct netlink_reply *r, const struct netlink_message *m)
{
    if (++r->messages > NETLINK_MESSAGES_MAX)
        return -E2BIG;
    if (m->sequence != r->sequence || m->port != r->port)
        return 0;
    if (r->dump && (m->flags & NLM_F_DUMP_INTR) != 0)
        r->interrupted = true;
    switch (m->type) {
    case NLMSG_NOOP: return 0;
    case NLMSG_OVERRUN: return -EBADMSG;
    case NLMSG_ERROR:
    case NLMSG_DONE: return take_code(r, m);
    default: return r->each != NULL ? r->each(r->ctx, m) : 0;
    }
}

int netlink_reply_take(struct netlink_reply *r, const uint8_t *bytes, size_t n)
{
    struct netlink_message m;
    int code;
    while ((code = netlink_next(&bytes, &n, &m)) == 1) {
        code = take_message(r, &m);
        if (code != 0)
            break;
    }
    if (code == 1 && r->code == 0 && r->interrupted)
        r->code = -EINTR;
    return code;
}

/* ---- The socket ---- */

int netlink_open(struct netlink *nl, struct err *err)
{
    static const struct err_context context = {.attempted = "open a netlink socket",
                                               .what_to_do = "use a kernel with CONFIG_NET, or free memory"};
    /* Connected to the kernel (port 0), so that nobody else's datagrams arrive. */
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK}, own = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof(own);
    const int one = 1;
    *nl = (struct netlink){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    nl->datagram = malloc(NETLINK_DATAGRAM_BYTES);
    int code = nl->fd < 0 ? -errno : nl->datagram == NULL ? -ENOMEM : 0;
    if (code == 0 && (connect(nl->fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
                      getsockname(nl->fd, (struct sockaddr *)&own, &length) < 0))
        code = -errno;
    if (code < 0) {
        if (nl->fd >= 0)
            close(nl->fd);
        free(nl->datagram);
        *nl = (struct netlink){.fd = -1};
        return err_fail(err, code, &context);
    }
    nl->port = own.nl_pid;
    /* Old kernels have none of these: then errors are shorter. */
    (void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
    (void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
    return 0;
}

void netlink_close(struct netlink *nl)
{
    /* A zeroed one has no buffer, and descriptor 0 is not its own. */
    if (nl->datagram != NULL)
        close(nl->fd);
    free(nl->datagram);
    *nl = (struct netlink){.fd = -1};
}

static int send_request(struct netlink *nl, struct netlink_request *q)
{
    struct nlmsghdr h;
    if (q->overflow)
        return -EMSGSIZE;
    memcpy(&h, q->bytes, sizeof(h));
    h.nlmsg_len = (uint32_t)q->length;
    h.nlmsg_seq = ++nl->sequence;
    h.nlmsg_pid = nl->port;
    memcpy(q->bytes, &h, sizeof(h));
    ssize_t n;
    do {
        n = send(nl->fd, q->bytes, q->length, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n == q->length ? 0 : -EMSGSIZE;
}

static int receive(struct netlink *nl, size_t *n)
{
    ssize_t got;
    do {
        got = recv(nl->fd, nl->datagram, NETLINK_DATAGRAM_BYTES, MSG_TRUNC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    /* Nothing: the other end of what is no netlink socket has gone. */
    if (got == 0 || (size_t)got > NETLINK_DATAGRAM_BYTES)
        return -EBADMSG;
    *n = (size_t)got;
    return 0;
}

static int exchange(struct netlink *nl, struct netlink_request *q, struct netlink_reply *r)
{
    size_t n = 0;
    int code = send_request(nl, q);
    r->sequence = nl->sequence;
    r->port = nl->port;
    while (code == 0) {
        code = receive(nl, &n);
        if (code == 0)
            code = netlink_reply_take(r, nl->datagram, n);
    }
    return code < 0 ? code : r->code;
}

static void set_flags(struct netlink_request *q, uint16_t flags)
{
    struct nlmsghdr h;
    memcpy(&h, q->bytes, sizeof(h));
    h.nlmsg_flags |= flags;
    memcpy(q->bytes, &h, sizeof(h));
}

static int fail(const struct netlink_reply *r, int code, const struct err_context *what, struct err *err)
{
    if (code == -E2BIG && r->messages > NETLINK_MESSAGES_MAX)
        return err_fail_because(err, code, what, "the kernel lists more than %u of them", NETLINK_MESSAGES_MAX);
    if (r->words[0] != '\0')
        return err_fail_because(err, code, what, "%s (%s)", strerror(-code), r->words);
    return err_fail(err, code, what);
}

int netlink_call(struct netlink *nl, struct netlink_request *q, const struct err_context *what, struct err *err)
{
    struct netlink_reply r = {.each = NULL};
    set_flags(q, NLM_F_ACK);
    int code = exchange(nl, q, &r);
    return code < 0 ? fail(&r, code, what, err) : 0;
}

int netlink_dump(struct netlink *nl, struct netlink_request *q, netlink_each each, void *ctx,
                 const struct err_context *what, struct err *err)
{
    struct netlink_reply r = {.dump = true, .each = each, .ctx = ctx};
    set_flags(q, NLM_F_DUMP);
    int code = exchange(nl, q, &r);
    return code == -EINTR ? code : code < 0 ? fail(&r, code, what, err) : 0;
}
