/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/io_options.h"

#define TEXT_BYTES 8192

typedef bool parser(struct io_config *config, char *text);

/* A parser writes into its text, which a literal is not made for; the copy lives until the next call. */
static bool parse(parser *p, struct io_config *config, char text[TEXT_BYTES], const char *words)
{
    memset(text, 0, TEXT_BYTES);
    assert_true(strlen(words) < TEXT_BYTES);
    memcpy(text, words, strlen(words));
    return p(config, text);
}

static void refuses(parser *p, const char *words)
{
    struct io_config config = {.packed = false}, before = {.packed = false};
    char text[TEXT_BYTES];
    if (parse(p, &config, text, words))
        fail_msg("'%s' was accepted", words);
    assert_memory_equal(&config, &before, sizeof(config));
}

static void a_disk_is_a_path(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_disk, &c, text, "/var/a.img"));
    assert_int_equal(c.disk_count, 1);
    assert_string_equal(c.disks[0].path, "/var/a.img");
    assert_null(c.disks[0].serial);
    assert_null(c.disks[0].root_hash);
    assert_false(c.disks[0].read_only);
    assert_int_equal(c.disks[0].queues, 1);
}

static void a_disk_has_words_in_any_order(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_disk, &c, text, "a,queues=4,serial=root-1,ro"));
    assert_true(c.disks[0].read_only);
    assert_string_equal(c.disks[0].serial, "root-1");
    assert_int_equal(c.disks[0].queues, 4);
}

#define HASH "8bc9d9b20b712b54f1ad4d57b430f4bf7338d3eedce5766e59b9c9bb905f5d8f"

static void a_disk_with_a_root_hash_is_read_only(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    if (!CONFIG_VERITY) {
        refuses(io_parse_disk, "a,verity=" HASH);
        return;
    }
    assert_true(parse(io_parse_disk, &c, text, "a,verity=" HASH ",queues=2"));
    assert_string_equal(c.disks[0].root_hash, HASH);
    assert_true(c.disks[0].read_only);
    refuses(io_parse_disk, "a,verity=");
    refuses(io_parse_disk, "a,verity=" HASH "0");
    refuses(io_parse_disk, "a,verity=8BC9D9B20B712B54F1AD4D57B430F4BF7338D3EEDCE5766E59B9C9BB905F5D8F");
}

static void a_comma_in_a_path_is_doubled(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_disk, &c, text, "a,,b,ro"));
    assert_string_equal(c.disks[0].path, "a,b");
    assert_true(c.disks[0].read_only);
}

static void wrong_disks_are_refused(void **state)
{
    (void)state;
    refuses(io_parse_disk, "");
    refuses(io_parse_disk, ",ro");
    refuses(io_parse_disk, "a,rw");
    refuses(io_parse_disk, "a,");
    refuses(io_parse_disk, "a,queues=0");
    refuses(io_parse_disk, "a,queues=5");
    refuses(io_parse_disk, "a,queues=1x");
    refuses(io_parse_disk, "a,queues= 1");
    refuses(io_parse_disk, "a,serial=");
    refuses(io_parse_disk, "a,serial=123456789012345678901");
}

static void there_is_room_for_eight_disks(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    for (unsigned i = 0; i < IO_DISKS_MAX; i++)
        assert_true(parse(io_parse_disk, &c, text, "a"));
    assert_false(parse(io_parse_disk, &c, text, "a"));
    assert_int_equal(c.disk_count, IO_DISKS_MAX);
}

static void a_share_is_a_name_and_a_folder(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_share, &c, text, "src=/home/a=b,ro,cache=always,queues=2"));
    assert_string_equal(c.shares[0].tag, "src");
    assert_string_equal(c.shares[0].path, "/home/a=b");
    assert_true(c.shares[0].read_only);
    assert_int_equal(c.shares[0].cache, IO_CACHE_ALWAYS);
    assert_int_equal(c.shares[0].queues, 2);
}

static void a_share_is_cached_for_a_moment_by_default(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_share, &c, text, "a=b"));
    assert_int_equal(c.shares[0].cache, IO_CACHE_AUTO);
}

static void two_shares_of_one_name_are_refused(void **state)
{
    struct io_config c = {.packed = false};
    char first[TEXT_BYTES], second[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_share, &c, first, "a=b"));
    assert_false(parse(io_parse_share, &c, second, "a=c"));
    assert_int_equal(c.share_count, 1);
}

static void wrong_shares_are_refused(void **state)
{
    (void)state;
    refuses(io_parse_share, "");
    refuses(io_parse_share, "a");
    refuses(io_parse_share, "=b");
    refuses(io_parse_share, "a=");
    refuses(io_parse_share, "a=b,cache=never");
    refuses(io_parse_share, "1234567890123456789012345678901234567=b");
}

static void a_socket_has_defaults(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_vsock, &c, text, "/run/v.sock"));
    assert_string_equal(c.vsock.path, "/run/v.sock");
    assert_int_equal(c.vsock.cid, 3);
    assert_int_equal(c.vsock.mode, 0600);
    assert_int_equal(c.vsock.uid, (uid_t)-1);
    assert_int_equal(c.vsock.gid, (gid_t)-1);
}

static void a_socket_has_an_owner_and_a_mode(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_vsock, &c, text, "v,cid=4294967294,mode=660,uid=0,gid=107"));
    assert_int_equal(c.vsock.cid, UINT32_MAX - 1);
    assert_int_equal(c.vsock.mode, 0660);
    assert_int_equal(c.vsock.uid, 0);
    assert_int_equal(c.vsock.gid, 107);
}

static void wrong_sockets_are_refused(void **state)
{
    (void)state;
    refuses(io_parse_vsock, "");
    refuses(io_parse_vsock, "v,cid=2");
    refuses(io_parse_vsock, "v,cid=4294967295");
    refuses(io_parse_vsock, "v,mode=888");
    refuses(io_parse_vsock, "v,mode=1777");
    refuses(io_parse_vsock, "v,uid=-1");
    refuses(io_parse_vsock, "v,gid=4294967295");
    refuses(io_parse_vsock, "v,ro");
}

static void there_is_one_socket(void **state)
{
    struct io_config c = {.packed = false};
    char first[TEXT_BYTES], second[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_vsock, &c, first, "v"));
    assert_false(parse(io_parse_vsock, &c, second, "w"));
}

static void a_network_is_a_tap(void **state)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0xab, 0xCD, 0x01};
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_net, &c, text, "tap=tap0,mac=52:54:00:ab:CD:01,mtu=9000,queues=2"));
    assert_int_equal(c.nets[0].kind, IO_NET_TAP);
    assert_string_equal(c.nets[0].name, "tap0");
    assert_true(c.nets[0].has_mac);
    assert_memory_equal(c.nets[0].mac, mac, 6);
    assert_int_equal(c.nets[0].mtu, 9000);
    assert_int_equal(c.nets[0].pairs, 2);
}

static void a_network_is_descriptors(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_net, &c, text, "fd=7:8:12"));
    assert_int_equal(c.nets[0].kind, IO_NET_DESCRIPTOR);
    assert_int_equal(c.nets[0].pairs, 3);
    assert_int_equal(c.nets[0].fds[2], 12);
    assert_false(c.nets[0].has_mac);
}

static void a_network_is_a_stream(void **state)
{
    struct io_config c = {.packed = false};
    char text[TEXT_BYTES];
    (void)state;
    assert_true(parse(io_parse_net, &c, text, "stream=/tmp/p.sock"));
    assert_int_equal(c.nets[0].kind, IO_NET_STREAM);
    assert_string_equal(c.nets[0].name, "/tmp/p.sock");
    assert_int_equal(c.nets[0].pairs, 1);
}

static void wrong_networks_are_refused(void **state)
{
    (void)state;
    refuses(io_parse_net, "");
    refuses(io_parse_net, "tap0");
    refuses(io_parse_net, "tap=");
    refuses(io_parse_net, "fd=");
    refuses(io_parse_net, "fd=2");
    refuses(io_parse_net, "fd=3:");
    refuses(io_parse_net, "fd=3:4:5:6:7");
    refuses(io_parse_net, "fd=3,queues=2");
    refuses(io_parse_net, "stream=a,queues=2");
    refuses(io_parse_net, "tap=a,mtu=67");
    refuses(io_parse_net, "tap=a,mac=52:54:00:ab:cd");
    refuses(io_parse_net, "tap=a,mac=53:54:00:ab:cd:01");
    refuses(io_parse_net, "tap=a,mac=00:00:00:00:00:00");
    refuses(io_parse_net, "tap=a,mac=52-54-00-ab-cd-01");
    refuses(io_parse_net, "tap=a,mac=52:54:00:ab:cd:0g");
    refuses(io_parse_net, "tap=a,mac=+1:54:00:ab:cd:01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_a_path),
        cmocka_unit_test(a_disk_has_words_in_any_order),
        cmocka_unit_test(a_disk_with_a_root_hash_is_read_only),
        cmocka_unit_test(a_comma_in_a_path_is_doubled),
        cmocka_unit_test(wrong_disks_are_refused),
        cmocka_unit_test(there_is_room_for_eight_disks),
        cmocka_unit_test(a_share_is_a_name_and_a_folder),
        cmocka_unit_test(a_share_is_cached_for_a_moment_by_default),
        cmocka_unit_test(two_shares_of_one_name_are_refused),
        cmocka_unit_test(wrong_shares_are_refused),
        cmocka_unit_test(a_socket_has_defaults),
        cmocka_unit_test(a_socket_has_an_owner_and_a_mode),
        cmocka_unit_test(wrong_sockets_are_refused),
        cmocka_unit_test(there_is_one_socket),
        cmocka_unit_test(a_network_is_a_tap),
        cmocka_unit_test(a_network_is_descriptors),
        cmocka_unit_test(a_network_is_a_stream),
        cmocka_unit_test(wrong_networks_are_refused),
    };
    return cmocka_run_group_tests_name("vmm/io_options", tests, NULL, NULL);
}
