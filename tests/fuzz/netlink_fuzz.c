/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: replies of rtnetlink.
 *
 * Input: the first byte says whether a dump is expected (bit 0); the rest are datagrams, each behind its length (two
 * bytes, little endian). Messages with sequence 1 and port 77 count. Checked: what is parsed obeys the structs' limits,
 * texts end and are printable, every address can be written and read again.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/rtnl.h"

#define PORT 77u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_ip(const struct ip *ip)
{
    char text[IP_TEXT_BYTES];
    struct ip again;
    require(ip->family == 0 || (ip_size(ip) > 0 && ip->prefix <= ip_bits(ip)));
    ip_format(ip, IP_WITH_PREFIX, text);
    require((text[0] == '\0') == (ip->family == 0));
    require(ip->family == 0 || (ip_parse(text, &again) == 0 && ip_equal(ip, &again)));
}

static int see_link(const struct netlink_message *m)
{
    struct rtnl_link l;
    int code = rtnl_parse_link(m, &l);
    if (code == 1)
        require(l.name[0] != '\0' && strnlen(l.name, sizeof(l.name)) < sizeof(l.name) && l.index != 0 &&
                strnlen(l.kind, sizeof(l.kind)) < sizeof(l.kind));
    return code;
}

static int see_address(const struct netlink_message *m)
{
    struct rtnl_address a;
    int code = rtnl_parse_address(m, &a);
    if (code == 1) {
        require(a.local.family != 0);
        check_ip(&a.local);
        check_ip(&a.peer);
    }
    return code;
}

static int see_route(const struct netlink_message *m)
{
    struct rtnl_route r;
    int code = rtnl_parse_route(m, &r);
    if (code == 1) {
        require(r.destination.family != 0);
        check_ip(&r.destination);
        check_ip(&r.gateway);
        check_ip(&r.source);
        check_ip(&r.from);
    }
    return code;
}

static int see_neighbour(const struct netlink_message *m)
{
    struct rtnl_neighbour n;
    int code = rtnl_parse_neighbour(m, &n);
    if (code == 1)
        check_ip(&n.address);
    return code;
}

/* Each message is of at most one kind. A bad one ends the dump, as for those who list. */
static int see(void *ctx, const struct netlink_message *m)
{
    const int codes[] = {see_link(m), see_address(m), see_route(m), see_neighbour(m)};
    int good = 0;
    (void)ctx;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        require(codes[i] == 0 || codes[i] == 1 || codes[i] == -EBADMSG);
        if (codes[i] < 0)
            return codes[i];
        good += codes[i];
    }
    require(good <= 1);
    return 0;
}

/* A datagram in memory of just its size. */
static int take(struct netlink_reply *r, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    require(copy != NULL);
    memcpy(copy, bytes, n);
    int code = netlink_reply_take(r, copy, n);
    free(copy);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct netlink_reply r = {.sequence = 1, .port = PORT, .each = see};
    int code = 0;
    if (size == 0)
        return 0;
    r.dump = (data[0] & 1) != 0;
    data++;
    size--;
    while (code == 0 && size >= 2) {
        size_t n = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        code = take(&r, data, n);
        data += n;
        size -= n;
    }
    require(code == 0 || code == 1 || code == -EBADMSG || code == -E2BIG);
    require(r.code <= 0 && r.code >= -4095);
    for (size_t i = 0; r.words[i] != '\0'; i++)
        require(i + 1 < sizeof(r.words) && (uint8_t)r.words[i] >= 0x20 && r.words[i] != 0x7f);
    return 0;
}
