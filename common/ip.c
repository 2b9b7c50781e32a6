/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ip.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

size_t ip_size(const struct ip *ip)
{
    return ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0;
}

uint8_t ip_bits(const struct ip *ip)
{
    return (uint8_t)(ip_size(ip) * 8);
}

bool ip_set(struct ip *out, uint8_t family, const void *bytes, size_t n, uint8_t prefix)
{
    *out = (struct ip){.family = family, .prefix = prefix};
    if (n == 0 || n != ip_size(out) || prefix > ip_bits(out)) {
        *out = (struct ip){.family = 0};
        return false;
    }
    memcpy(out->bytes, bytes, n);
    return true;
}

/* One to three digits and no more; *out at most `max`. */
static bool parse_prefix(const char *text, unsigned max, uint8_t *out)
{
    unsigned value = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 3 || text[n] != '\0')
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    *out = (uint8_t)value;
    return value <= max;
}

int ip_parse(const char *text, struct ip *out)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    *out = (struct ip){.family = 0};
    if (n >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, n);
    address[n] = '\0';
    struct ip ip = {.family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET};
    ip.prefix = ip_bits(&ip);
    if (inet_pton(ip.family, address, ip.bytes) != 1 ||
        (slash != NULL && !parse_prefix(slash + 1, ip.prefix, &ip.prefix)))
        return -EINVAL;
    *out = ip;
    return 0;
}

void ip_format(const struct ip *ip, enum ip_style style, char out[IP_TEXT_BYTES])
{
    char address[INET6_ADDRSTRLEN];
    out[0] = '\0';
    if (ip_size(ip) == 0 || inet_ntop(ip->family, ip->bytes, address, sizeof(address)) == NULL)
        return;
    (void)snprintf(out, IP_TEXT_BYTES, style == IP_WITH_PREFIX ? "%s/%u" : "%s", address, ip->prefix);
}

void ip_clear_host(struct ip *ip)
{
    for (unsigned i = 0; i < sizeof(ip->bytes); i++) {
        unsigned kept = ip->prefix > i * 8 ? ip->prefix - i * 8 : 0;
        if (kept < 8)
            ip->bytes[i] = (uint8_t)(ip->bytes[i] & ~(0xffu >> kept));
    }
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && a->prefix == b->prefix && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_unspecified(const struct ip *ip)
{
    static const uint8_t zero[sizeof(ip->bytes)];
    return memcmp(ip->bytes, zero, sizeof(zero)) == 0;
}

bool ip_is_link_local(const struct ip *ip)
{
    return ip->family == AF_INET ? ip->bytes[0] == 169 && ip->bytes[1] == 254
                                 : ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[sizeof(ip->bytes)] = {[15] = 1};
    return ip->family == AF_INET ? ip->bytes[0] == 127 : memcmp(ip->bytes, one, sizeof(one)) == 0;
}

bool ip_is_multicast(const struct ip *ip)
{
    return ip->family == AF_INET ? ip->bytes[0] >= 224 && ip->bytes[0] < 240 : ip->bytes[0] == 0xff;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(const char *text, uint8_t out[MAC_BYTES])
{
    if (strlen(text) != MAC_TEXT_BYTES - 1)
        return -EINVAL;
    for (unsigned i = 0; i < MAC_BYTES; i++) {
        const char *at = text + (size_t)i * 3;
        int high = digit(at[0]), low = digit(at[1]);
        if (high < 0 || low < 0 || at[2] != (i + 1 < MAC_BYTES ? ':' : '\0'))
            return -EINVAL;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return 0;
}

void mac_format(const uint8_t mac[MAC_BYTES], char out[MAC_TEXT_BYTES])
{
    (void)snprintf(out, MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                   mac[5]);
}

bool ip_is_interface_name(const char *name)
{
    size_t n = strnlen(name, IF_NAMESIZE);
    if (n == 0 || n >= IF_NAMESIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (isspace((unsigned char)name[i]) || iscntrl((unsigned char)name[i]) || strchr("/:%", name[i]) != NULL)
            return false;
    return true;
}
