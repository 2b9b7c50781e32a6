/* SPDX-License-Identifier: Apache-2.0 */
#include "common/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT 77u
#define TYPE 100u

static const struct err_context doing = {.attempted = "ask the kernel", .what_to_do = "ask better"};

/* ---- Requests ---- */

static void request_has_its_header_and_padded_attributes(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {/* message, whose length is set when it is sent */
                                     0, 0, 0, 0, TYPE, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0,
                                     /* header of the type, padded */
                                     'h', 0, 0, 0,
                                     /* string of three bytes and the NUL */
                                     8, 0, 3, 0, 'a', 'b', 'c', 0,
                                     /* nest with one byte in it */
                                     12, 0, 5, 0x80, 5, 0, 1, 0, 9, 0, 0, 0};
    struct netlink_request q;
    const uint8_t nine = 9;
    netlink_request_init(&q, TYPE, NLM_F_CREATE, "h", 1);
    netlink_add_string(&q, 3, "abc");
    size_t at = netlink_nest_begin(&q, 5);
    netlink_add(&q, 1, &nine, 1);
    netlink_nest_end(&q, at);
    assert_int_equal(q.length, sizeof(wanted));
    assert_memory_equal(q.bytes, wanted, sizeof(wanted));
    assert_false(q.overflow);
}

static void request_that_does_not_fit_stays_marked(void **state)
{
    (void)state;
    uint8_t large[NETLINK_REQUEST_BYTES] = {0};
    struct netlink_request q;
    netlink_request_init(&q, TYPE, 0, NULL, 0);
    netlink_add(&q, 1, large, sizeof(large) - 24);
    assert_false(q.overflow);
    size_t length = q.length;
    netlink_add(&q, 1, large, 1);
    netlink_add(&q, 1, large, SIZE_MAX);
    size_t at = netlink_nest_begin(&q, 2);
    netlink_nest_end(&q, at);
    netlink_add_u32(&q, 1, 1);
    assert_true(q.overflow);
    assert_int_equal(q.length, length);
}

/* ---- Replies ---- */

struct reply {
    uint8_t bytes[4096];
    size_t length;
};

static void add_message(struct reply *r, uint16_t type, uint16_t flags, const void *payload, size_t n)
{
    struct nlmsghdr h = {.nlmsg_len = (uint32_t)(sizeof(h) + n),
                         .nlmsg_type = type,
                         .nlmsg_flags = flags,
                         .nlmsg_seq = 1,
                         .nlmsg_pid = PORT};
    memcpy(r->bytes + r->length, &h, sizeof(h));
    if (n > 0)
        memcpy(r->bytes + r->length + sizeof(h), payload, n);
    r->length += (sizeof(h) + n + 3) & ~(size_t)3;
}

/* An acknowledgement as kernels since 4.12 make it, capped, with words. */
static void add_ack(struct reply *r, int32_t code, const char *words)
{
    struct {
        int32_t code;
        struct nlmsghdr h;
        struct nlattr a;
        char text[64];
    } ack = {.code = code, .a = {.nla_type = NLMSGERR_ATTR_MSG}};
    size_t n = offsetof(__typeof__(ack), a);
    uint16_t flags = NLM_F_CAPPED;
    if (words != NULL) {
        size_t length = strlen(words) + 1;
        ack.a.nla_len = (uint16_t)(sizeof(ack.a) + length);
        memcpy(ack.text, words, length);
        n += sizeof(ack.a) + length;
        flags |= NLM_F_ACK_TLVS;
    }
    add_message(r, NLMSG_ERROR, flags, &ack, n);
}

static int count(void *ctx, const struct netlink_message *m)
{
    unsigned *n = ctx;
    assert_int_equal(m->type, TYPE);
    ++*n;
    return 0;
}

static struct netlink_reply expecting(bool dump, unsigned *n)
{
    return (struct netlink_reply){.sequence = 1, .port = PORT, .dump = dump, .each = count, .ctx = n};
}

static void dump_is_taken_to_its_end(void **state)
{
    (void)state;
    struct reply first = {.length = 0}, second = {.length = 0};
    unsigned n = 0;
    struct netlink_reply r = expecting(true, &n);
    add_message(&first, TYPE, NLM_F_MULTI, "abc", 3);
    add_message(&first, TYPE, NLM_F_MULTI, "", 0);
    add_message(&second, TYPE, NLM_F_MULTI, "", 0);
    add_message(&second, NLMSG_DONE, NLM_F_MULTI, "\0\0\0", 4);
    assert_int_equal(netlink_reply_take(&r, first.bytes, first.length), 0);
    assert_int_equal(netlink_reply_take(&r, second.bytes, second.length), 1);
    assert_int_equal(r.code, 0);
    assert_int_equal(n, 3);
}

static void messages_of_others_are_skipped(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    unsigned n = 0;
    struct netlink_reply r = expecting(true, &n);
    r.sequence = 2;
    add_message(&b, TYPE, 0, "", 0);
    add_ack(&b, -EPERM, NULL);
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), 0);
    r = expecting(true, &n);
    r.port = PORT + 1;
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), 0);
    assert_int_equal(n, 0);
}

static void refusal_brings_the_kernels_words(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    struct netlink_reply r = expecting(false, NULL);
    add_ack(&b, -EINVAL, "Nexthop has \x1b invalid gateway");
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), 1);
    assert_int_equal(r.code, -EINVAL);
    assert_string_equal(r.words, "Nexthop has ? invalid gateway");
}

static void end_of_a_dump_can_be_a_refusal(void **state)
{
    (void)state;
    const int32_t code = -ENOENT;
    struct reply b = {.length = 0};
    struct netlink_reply r = expecting(true, NULL);
    add_message(&b, NLMSG_DONE, NLM_F_MULTI, &code, sizeof(code));
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), 1);
    assert_int_equal(r.code, -ENOENT);
}

static void dump_that_changed_meanwhile_is_interrupted(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    unsigned n = 0;
    struct netlink_reply r = expecting(true, &n);
    add_message(&b, TYPE, NLM_F_MULTI | NLM_F_DUMP_INTR, "", 0);
    add_message(&b, NLMSG_DONE, NLM_F_MULTI, "\0\0\0", 4);
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), 1);
    assert_int_equal(r.code, -EINTR);
}

static void endless_dump_is_given_up(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    unsigned n = 0;
    int code = 0;
    struct netlink_reply r = expecting(true, &n);
    for (unsigned i = 0; i < 100; i++)
        add_message(&b, TYPE, NLM_F_MULTI, "", 0);
    for (unsigned i = 0; code == 0 && i <= NETLINK_MESSAGES_MAX / 100 + 1; i++)
        code = netlink_reply_take(&r, b.bytes, b.length);
    assert_int_equal(code, -E2BIG);
    assert_int_equal(n, NETLINK_MESSAGES_MAX);
}

static int stop(void *ctx, const struct netlink_message *m)
{
    (void)ctx;
    (void)m;
    return -ENOMEM;
}

static void receiver_can_end_a_dump(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    struct netlink_reply r = expecting(true, NULL);
    r.each = stop;
    add_message(&b, TYPE, 0, "", 0);
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), -ENOMEM);
}

static void every_truncation_of_a_reply_is_noticed(void **state)
{
    (void)state;
    struct reply b = {.length = 0};
    add_ack(&b, -EINVAL, "words");
    for (size_t n = 1; n < b.length; n++) {
        /* Exactly as many bytes as are said, for the sanitizer. */
        uint8_t *copy = malloc(n);
        struct netlink_reply r = expecting(false, NULL);
        memcpy(copy, b.bytes, n);
        int code = netlink_reply_take(&r, copy, n);
        free(copy);
        /* Only the padding behind the last message may be missing. */
        assert_int_equal(code, n >= b.length - 2 ? 1 : -EBADMSG);
    }
}

static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 15, 17 + 16, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct reply b = {.length = 0};
        struct netlink_reply r = expecting(true, NULL);
        add_message(&b, TYPE, 0, "abcd", 4);
        memcpy(b.bytes, &lengths[i], sizeof(lengths[i]));
        assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), -EBADMSG);
    }
}

static void acknowledgements_without_sense_are_refused(void **state)
{
    (void)state;
    static const int32_t codes[] = {1, -4096, INT32_MIN};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct reply b = {.length = 0};
        struct netlink_reply r = expecting(false, NULL);
        add_ack(&b, codes[i], NULL);
        assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), -EBADMSG);
    }
    struct reply b = {.length = 0};
    struct netlink_reply r = expecting(false, NULL);
    add_message(&b, NLMSG_ERROR, 0, "\0\0", 2);
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), -EBADMSG);
    b.length = 0;
    add_message(&b, NLMSG_OVERRUN, 0, "", 0);
    assert_int_equal(netlink_reply_take(&r, b.bytes, b.length), -EBADMSG);
}

/* ---- Attributes ---- */

static void attributes_are_sorted_and_the_last_counts(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {5, 0, 1, 0, 'a', 0, 0, 0, 5, 0, 9, 0, 'x', 0, 0, 0, 5, 0, 1, 0x80, 'b'};
    struct netlink_attribute table[3];
    assert_int_equal(netlink_sort(bytes, sizeof(bytes), table, 3), 0);
    assert_null(table[0].data);
    assert_int_equal(table[1].bytes, 1);
    assert_int_equal(table[1].data[0], 'b');
    assert_null(table[2].data);
}

static void attributes_with_wrong_lengths_leave_an_empty_table(void **state)
{
    (void)state;
    static const uint8_t cases[][10] = {{5, 0, 1, 0, 'a', 0, 0, 0, 4, 0}, /* half a header */
                                        {3, 0, 1, 0, 'a', 0, 0, 0, 0, 0},
                                        {0, 0, 1, 0, 'a', 0, 0, 0, 0, 0},
                                        {11, 0, 1, 0, 'a', 0, 0, 0, 0, 0},
                                        {0xff, 0xff, 1, 0, 'a', 0, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct netlink_attribute table[2];
        assert_int_equal(netlink_sort(cases[i], sizeof(cases[i]), table, 2), -EBADMSG);
        assert_null(table[1].data);
    }
}

static void values_of_other_sizes_are_none(void **state)
{
    (void)state;
    static const uint8_t bytes[8] = {1};
    char text[4];
    assert_int_equal(netlink_u32(&(struct netlink_attribute){bytes, 4}, 9), 1);
    assert_int_equal(netlink_u32(&(struct netlink_attribute){bytes, 3}, 9), 9);
    assert_int_equal(netlink_u32(&(struct netlink_attribute){bytes, 8}, 9), 9);
    assert_int_equal(netlink_u32(&(struct netlink_attribute){NULL, 0}, 9), 9);
    assert_true(netlink_string(&(struct netlink_attribute){(const uint8_t *)"abc", 4}, text, sizeof(text)));
    assert_string_equal(text, "abc");
    assert_true(netlink_string(&(struct netlink_attribute){(const uint8_t *)"ab", 2}, text, sizeof(text)));
    assert_string_equal(text, "ab");
    assert_false(netlink_string(&(struct netlink_attribute){(const uint8_t *)"abcd", 5}, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_false(netlink_string(&(struct netlink_attribute){NULL, 0}, text, sizeof(text)));
}

/* ---- The socket ---- */

/* One whose other end is ours. */
static void open_pair(struct netlink *nl, int *other)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    *nl = (struct netlink){.fd = fds[0], .port = PORT, .datagram = malloc(NETLINK_DATAGRAM_BYTES)};
    *other = fds[1];
}

static void call_asks_for_an_acknowledgement_and_tells_its_words(void **state)
{
    (void)state;
    struct netlink nl;
    struct netlink_request q;
    struct reply b = {.length = 0};
    struct nlmsghdr sent;
    struct err err;
    int other;
    open_pair(&nl, &other);
    add_ack(&b, -EEXIST, "There is one");
    assert_int_equal(write(other, b.bytes, b.length), b.length);
    netlink_request_init(&q, TYPE, 0, NULL, 0);
    assert_int_equal(netlink_call(&nl, &q, &doing, &err), -EEXIST);
    assert_string_equal(err.text, "cannot ask the kernel: File exists (There is one); ask better");
    assert_int_equal(read(other, &sent, sizeof(sent)), sizeof(sent));
    assert_int_equal(sent.nlmsg_len, sizeof(sent));
    assert_int_equal(sent.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
    assert_int_equal(sent.nlmsg_seq, 1);
    close(other);
    netlink_close(&nl);
}

static void peer_that_vanishes_ends_the_call(void **state)
{
    (void)state;
    struct netlink nl;
    struct netlink_request q;
    struct err err;
    int other;
    open_pair(&nl, &other);
    netlink_request_init(&q, TYPE, 0, NULL, 0);
    assert_int_equal(shutdown(other, SHUT_WR), 0);
    assert_int_equal(netlink_call(&nl, &q, &doing, &err), -EBADMSG);
    close(other);
    /* It never read what we sent. */
    assert_int_equal(netlink_call(&nl, &q, &doing, &err), -ECONNRESET);
    netlink_close(&nl);
}

static void request_that_overflowed_is_not_sent(void **state)
{
    (void)state;
    struct netlink nl;
    struct netlink_request q;
    struct err err;
    uint8_t byte;
    int other;
    open_pair(&nl, &other);
    netlink_request_init(&q, TYPE, 0, NULL, 0);
    q.overflow = true;
    assert_int_equal(netlink_call(&nl, &q, &doing, &err), -EMSGSIZE);
    assert_int_equal(recv(other, &byte, 1, MSG_DONTWAIT), -1);
    close(other);
    netlink_close(&nl);
}

static void real_socket_gets_a_refusal_from_the_kernel(void **state)
{
    (void)state;
    struct netlink nl;
    struct netlink_request q;
    struct err err;
    if (netlink_open(&nl, &err) < 0)
        skip();
    netlink_request_init(&q, 0x7fff, 0, "\0\0\0", 4);
    assert_int_equal(netlink_call(&nl, &q, &doing, &err), -EOPNOTSUPP);
    netlink_close(&nl);
    netlink_close(&nl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_has_its_header_and_padded_attributes),
        cmocka_unit_test(request_that_does_not_fit_stays_marked),
        cmocka_unit_test(dump_is_taken_to_its_end),
        cmocka_unit_test(messages_of_others_are_skipped),
        cmocka_unit_test(refusal_brings_the_kernels_words),
        cmocka_unit_test(end_of_a_dump_can_be_a_refusal),
        cmocka_unit_test(dump_that_changed_meanwhile_is_interrupted),
        cmocka_unit_test(endless_dump_is_given_up),
        cmocka_unit_test(receiver_can_end_a_dump),
        cmocka_unit_test(every_truncation_of_a_reply_is_noticed),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(acknowledgements_without_sense_are_refused),
        cmocka_unit_test(attributes_are_sorted_and_the_last_counts),
        cmocka_unit_test(attributes_with_wrong_lengths_leave_an_empty_table),
        cmocka_unit_test(values_of_other_sizes_are_none),
        cmocka_unit_test(call_asks_for_an_acknowledgement_and_tells_its_words),
        cmocka_unit_test(peer_that_vanishes_ends_the_call),
        cmocka_unit_test(request_that_overflowed_is_not_sent),
        cmocka_unit_test(real_socket_gets_a_refusal_from_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
