/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of networks as text and as bytes: IP addresses with the length of their prefix, hardware addresses, names
 * of interfaces. Text comes from configurations and messages of others, so only what is certainly meant is taken.
 */
#ifndef CAISSON_COMMON_IP_H
#define CAISSON_COMMON_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IP_TEXT_BYTES  50u /* of the longest address with prefix, and the NUL */
#define MAC_BYTES      6u
#define MAC_TEXT_BYTES 18u

/* family 0: no address. */
struct ip {
    uint8_t family;    /* AF_INET or AF_INET6 */
    uint8_t prefix;    /* at most ip_bits */
    uint8_t bytes[16]; /* in the order of the network; the rest is 0 */
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::1/64"; without a prefix it is the longest one. 0 or -EINVAL. */
int ip_parse(const char *text, struct ip *out);
/* From bytes of the network. False if there are not as many as the family has, or the prefix is too long. */
bool ip_set(struct ip *out, uint8_t family, const void *bytes, size_t n, uint8_t prefix);
enum ip_style { IP_ADDRESS, IP_WITH_PREFIX };
/* "" for none. */
void ip_format(const struct ip *ip, enum ip_style style, char out[IP_TEXT_BYTES]);

/* Bytes and bits of an address of its family: 4, 16; 0 for none. */
size_t ip_size(const struct ip *ip);
uint8_t ip_bits(const struct ip *ip);
/* Zero the bits behind the prefix: the address becomes that of its network. */
void ip_clear_host(struct ip *ip);
bool ip_equal(const struct ip *a, const struct ip *b);
/* All bits zero: 0.0.0.0 or ::. */
bool ip_is_unspecified(const struct ip *ip);
/* 169.254.0.0/16 or fe80::/10. */
bool ip_is_link_local(const struct ip *ip);
/* 127.0.0.0/8 or ::1. */
bool ip_is_loopback(const struct ip *ip);
bool ip_is_multicast(const struct ip *ip);

/* "02:00:00:00:00:01", either case; six pairs of digits and nothing else. 0 or -EINVAL. */
int mac_parse(const char *text, uint8_t out[MAC_BYTES]);
void mac_format(const uint8_t mac[MAC_BYTES], char out[MAC_TEXT_BYTES]);

/*
 * May an interface have this name? As the kernel decides (dev_valid_name), without '%', which asks it to choose a
 * number.
 */
bool ip_is_interface_name(const char *name);

#endif
