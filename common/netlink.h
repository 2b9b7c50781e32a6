/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Talking to the kernel by netlink: requests with attributes are built in a bounded buffer, replies are taken apart
 * with every length checked, and the kernel's own words for a refusal (extended acknowledgements) become part of the
 * error. Nothing in here knows what the messages mean: that is rtnl.h.
 *
 *     message:   u32 length | u16 type | u16 flags | u32 sequence | u32 port | header of the type | attributes
 *     attribute: u16 length | u16 type | data, padded to 4 bytes; data may be attributes again
 *
 * One request is under way at a time. A struct netlink belongs to one thread and to the network namespace in which it
 * was opened. Source: Documentation/userspace-api/netlink/intro.rst; netlink(7).
 */
#ifndef CAISSON_COMMON_NETLINK_H
#define CAISSON_COMMON_NETLINK_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define NETLINK_REQUEST_BYTES  1024u
#define NETLINK_DATAGRAM_BYTES 32768u /* the kernel makes dumps as large as what is read at once, up to this */
#define NETLINK_MESSAGES_MAX   65536u /* of one reply; a longer one is given up */
#define NETLINK_WORDS_BYTES    160u

/* ---- Requests ---- */

struct netlink_request {
    size_t length;
    bool overflow; /* something did not fit; the request will not be sent */
    alignas(4) uint8_t bytes[NETLINK_REQUEST_BYTES];
};

/* Begin one. flags: NLM_F_* besides REQUEST and ACK. header: that of the type, n bytes. */
void netlink_request_init(struct netlink_request *q, uint16_t type, uint16_t flags, const void *header, size_t n);
void netlink_add(struct netlink_request *q, uint16_t type, const void *data, size_t n);
void netlink_add_u32(struct netlink_request *q, uint16_t type, uint32_t value);
/* With the NUL at its end. */
void netlink_add_string(struct netlink_request *q, uint16_t type, const char *text);
/* Attributes within an attribute: what is added between both lies in it. end: `at` is what begin returned. */
size_t netlink_nest_begin(struct netlink_request *q, uint16_t type);
void netlink_nest_end(struct netlink_request *q, size_t at);

/* ---- Replies ---- */

struct netlink_message {
    uint16_t type, flags;
    uint32_t sequence, port;
    const uint8_t *payload; /* within what is taken apart; need not be aligned */
    size_t bytes;
};

struct netlink_attribute {
    const uint8_t *data; /* NULL: there is none of this type */
    size_t bytes;
};

/* Take the next message off *bytes, *n. 1; 0 at the end; -EBADMSG: what is left is no message. */
int netlink_next(const uint8_t **bytes, size_t *n, struct netlink_message *out);

/*
 * Sort attributes by type into table[0 .. count - 1]; unknown types are skipped, of several with one type the last
 * counts. 0, or -EBADMSG: lengths contradict each other; the table is empty then.
 */
int netlink_sort(const uint8_t *bytes, size_t n, struct netlink_attribute *table, size_t count);

/* The value, or `otherwise` if there is no such attribute or its size is another. */
uint32_t netlink_u32(const struct netlink_attribute *a, uint32_t otherwise);
/* Is it a string that fits with its NUL into out? Copied then; *out is "" otherwise. */
bool netlink_string(const struct netlink_attribute *a, char *out, size_t size);

/*
 * One message of a dump. 0: go on; a negative errno ends the reading and becomes the result.
 * The message is valid until it returns.
 */
typedef int (*netlink_each)(void *ctx, const struct netlink_message *m);

/* A reply on its way; for netlink_exchange and tests. */
struct netlink_reply {
    uint32_t sequence, port; /* that its messages have; others are skipped */
    bool dump;               /* it ends by NLMSG_DONE, otherwise by an acknowledgement */
    netlink_each each;       /* may be NULL */
    void *ctx;
    unsigned messages; /* so far */
    bool interrupted;  /* what is listed changed meanwhile */
    int code;          /* at the end: 0 or a negative errno */
    char words[NETLINK_WORDS_BYTES];
};

/*
 * Take a datagram. 1: the reply is complete, see `code`; 0: more is to come; -EBADMSG or -E2BIG, or what `each`
 * returned.
 */
int netlink_reply_take(struct netlink_reply *r, const uint8_t *bytes, size_t n);

/* ---- The socket ---- */

struct netlink {
    int fd;
    uint32_t port, sequence;
    uint8_t *datagram; /* NETLINK_DATAGRAM_BYTES */
};

/*
 * Open one to rtnetlink in the calling thread's network namespace. 0, or a negative errno with *err and nothing to
 * close.
 */
int netlink_open(struct netlink *nl, struct err *err);
/* Zeroed or closed ones are allowed. */
void netlink_close(struct netlink *nl);

/*
 * Send a request and wait for its acknowledgement. what: for the error's text. 0 or a negative errno with *err: the
 * kernel's, with its words if it gave some; -EMSGSIZE: the request is too large; -EBADMSG: the reply makes no sense.
 */
int netlink_call(struct netlink *nl, struct netlink_request *q, const struct err_context *what, struct err *err);

/*
 * Send a request for a list and take it. -EINTR without *err: it changed while it was read, begin anew. Else as above.
 */
int netlink_dump(struct netlink *nl, struct netlink_request *q, netlink_each each, void *ctx,
                 const struct err_context *what, struct err *err);

#endif
