/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void addresses_are_read_and_written_again(void **state)
{
    (void)state;
    static const struct {
        const char *text, *with_prefix;
    } cases[] = {{"192.0.2.1", "192.0.2.1/32"},           {"192.0.2.0/24", "192.0.2.0/24"}, {"0.0.0.0/0", "0.0.0.0/0"},
                 {"2001:DB8::1", "2001:db8::1/128"},      {"fe80::1/64", "fe80::1/64"},     {"::/0", "::/0"},
                 {"::ffff:1.2.3.4", "::ffff:1.2.3.4/128"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip ip;
        char text[IP_TEXT_BYTES];
        assert_int_equal(ip_parse(cases[i].text, &ip), 0);
        ip_format(&ip, IP_WITH_PREFIX, text);
        assert_string_equal(text, cases[i].with_prefix);
    }
}

static void text_that_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "/",
                                        "/24",
                                        "1.2.3",
                                        "1.2.3.4.5",
                                        "1.2.3.256",
                                        "1.2.3.4/",
                                        "1.2.3.4/33",
                                        "1.2.3.4/-1",
                                        "1.2.3.4/ 8",
                                        "1.2.3.4/8 ",
                                        "1.2.3.4/8/8",
                                        "1.2.3.4/0008",
                                        "1.2.3.4/256",
                                        "1.2.3.4/4294967296",
                                        "01.2.3.4x",
                                        ":",
                                        ":::",
                                        "fe80::1%eth0",
                                        "::1/129",
                                        "g::1",
                                        "localhost",
                                        " 1.2.3.4",
                                        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip ip;
        assert_int_equal(ip_parse(cases[i], &ip), -EINVAL);
        assert_int_equal(ip.family, 0);
    }
}

static void bytes_must_fit_their_family(void **state)
{
    (void)state;
    static const uint8_t bytes[16] = {10, 1};
    struct ip ip;
    assert_true(ip_set(&ip, AF_INET, bytes, 4, 8));
    assert_true(ip_set(&ip, AF_INET6, bytes, 16, 128));
    assert_false(ip_set(&ip, AF_INET, bytes, 16, 8));
    assert_false(ip_set(&ip, AF_INET, bytes, 4, 33));
    assert_false(ip_set(&ip, AF_INET6, bytes, 15, 64));
    assert_false(ip_set(&ip, AF_UNSPEC, bytes, 0, 0));
    assert_false(ip_set(&ip, AF_BRIDGE, bytes, 4, 8));
    assert_int_equal(ip.family, 0);
}

static struct ip parsed(const char *text)
{
    struct ip ip;
    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static bool says(bool (*is)(const struct ip *), const char *text)
{
    struct ip ip = parsed(text);
    return is(&ip);
}

static void kinds_of_addresses_are_told_apart(void **state)
{
    (void)state;
    assert_true(says(ip_is_link_local, "169.254.0.1") && says(ip_is_link_local, "fe80::1"));
    assert_true(says(ip_is_link_local, "febf::1"));
    assert_false(says(ip_is_link_local, "169.253.0.1") || says(ip_is_link_local, "fec0::1"));
    assert_true(says(ip_is_loopback, "127.9.9.9") && says(ip_is_loopback, "::1"));
    assert_false(says(ip_is_loopback, "128.0.0.1") || says(ip_is_loopback, "::2"));
    assert_true(says(ip_is_multicast, "224.0.0.1") && says(ip_is_multicast, "239.1.1.1") &&
                says(ip_is_multicast, "ff02::1"));
    assert_false(says(ip_is_multicast, "240.0.0.1") || says(ip_is_multicast, "fe80::1"));
    assert_true(says(ip_is_unspecified, "0.0.0.0") && says(ip_is_unspecified, "::"));
    assert_false(says(ip_is_unspecified, "0.0.0.1"));
}

static void host_bits_are_cleared(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {{"10.1.2.3/24", "10.1.2.0/24"},          {"10.1.2.255/25", "10.1.2.128/25"},
                 {"10.1.2.3/32", "10.1.2.3/32"},          {"10.1.2.3/0", "0.0.0.0/0"},
                 {"255.255.255.255/1", "128.0.0.0/1"},    {"2001:db8::ff/65", "2001:db8::/65"},
                 {"2001:db8::ff/128", "2001:db8::ff/128"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip ip = parsed(cases[i].from), wanted = parsed(cases[i].to);
        ip_clear_host(&ip);
        assert_true(ip_equal(&ip, &wanted));
    }
}

static void addresses_with_other_prefixes_differ(void **state)
{
    (void)state;
    struct ip a = parsed("10.0.0.0/8"), b = parsed("10.0.0.0/9"), c = parsed("10.0.0.0/8");
    assert_false(ip_equal(&a, &b));
    assert_true(ip_equal(&a, &c));
}

static void no_address_is_an_empty_text(void **state)
{
    (void)state;
    const struct ip none = {.family = 0};
    char text[IP_TEXT_BYTES] = "x";
    ip_format(&none, IP_WITH_PREFIX, text);
    assert_string_equal(text, "");
}

static void hardware_addresses_are_read_and_written_again(void **state)
{
    (void)state;
    uint8_t mac[MAC_BYTES];
    char text[MAC_TEXT_BYTES];
    assert_int_equal(mac_parse("02:aB:Cd:00:9f:FF", mac), 0);
    mac_format(mac, text);
    assert_string_equal(text, "02:ab:cd:00:9f:ff");
}

static void text_that_is_no_hardware_address_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "02:00:00:00:00",
                                        "02:00:00:00:00:0",
                                        "02:00:00:00:00:00:",
                                        "02:00:00:00:00:00:00",
                                        "02-00-00-00-00-00",
                                        "02:00:00:00:00:0g",
                                        "+2:00:00:00:00:00",
                                        "2::00:00:00:00:000"};
    uint8_t mac[MAC_BYTES];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(mac_parse(cases[i], mac), -EINVAL);
}

static void names_are_those_that_the_kernel_takes(void **state)
{
    (void)state;
    static const char *const good[] = {"eth0", "a", "veth-0123456789", "br.100", "...", "\xc3\xa4"};
    static const char *const bad[] = {"",    ".",   "..",    "a/b",     "a:b",   "a b",
                                      "a\n", "a\t", "eth%d", "\x1b[0m", "a\x7f", "veth-01234567890"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(ip_is_interface_name(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(ip_is_interface_name(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_again),
        cmocka_unit_test(text_that_is_no_address_is_refused),
        cmocka_unit_test(bytes_must_fit_their_family),
        cmocka_unit_test(kinds_of_addresses_are_told_apart),
        cmocka_unit_test(host_bits_are_cleared),
        cmocka_unit_test(addresses_with_other_prefixes_differ),
        cmocka_unit_test(no_address_is_an_empty_text),
        cmocka_unit_test(hardware_addresses_are_read_and_written_again),
        cmocka_unit_test(text_that_is_no_hardware_address_is_refused),
        cmocka_unit_test(names_are_those_that_the_kernel_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
