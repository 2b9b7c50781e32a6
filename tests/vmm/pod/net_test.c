/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/netns.h"
#include "vmm/pod/net_internal.h"

#define HEADER_BYTES 10u     /* struct virtio_net_hdr as a new TAP has it */
#define OUR_TYPE     0x88b5u /* for experiments: nobody else sends it */
#define WAIT_MS      10000

/* Like a network plugin: eth0 with addresses in a namespace, its peer outside. */
struct world {
    struct netns pod;
    struct netlink outside;
    struct pod_net net;
};

static int set_up(void **state)
{
    struct world *w;
    *state = NULL;
    if (!netns_can() || access("/dev/net/tun", R_OK | W_OK) < 0)
        return 0;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -1;
    assert_int_equal(netlink_open(&w->outside, NULL), 0);
    netns_make(&w->pod);
    netns_add_veth(&w->outside, "plug0", "eth0", w->pod.fd);
    netns_set_mac(&w->pod.nl, "eth0", "02:00:00:00:00:21");
    netns_set_mtu(&w->pod.nl, "eth0", 1450);
    netns_up(&w->pod.nl, "lo");
    netns_up(&w->pod.nl, "eth0");
    netns_up(&w->outside, "plug0");
    netns_add_address(&w->pod.nl, "eth0", "10.88.0.5/16");
    netns_add_route(&w->pod.nl, "eth0", "0.0.0.0/0", "10.88.0.1", 0);
    netns_add_neighbour(&w->pod.nl, "eth0", "10.88.0.9", "02:00:00:00:00:09");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    if (w != NULL) {
        pod_net_release(&w->net);
        netns_end(&w->pod);
        netlink_close(&w->outside);
    }
    free(w);
    return 0;
}

static struct world *need(void **state)
{
    if (*state == NULL) {
        print_message("network namespaces or TAPs cannot be made here\n");
        skip();
    }
    return *state;
}

static void attach(struct world *w)
{
    struct err err;
    int code = pod_net_attach(w->pod.path, &w->net, &err);
    if (code < 0)
        print_error("%s\n", err.text);
    assert_int_equal(code, 0);
}

static int wiring_of(struct world *w, const char *name)
{
    struct rtnl_link l = netns_link(&w->pod.nl, name);
    return pod_net_look(&w->pod.nl, &l, NULL);
}

/* The namespace is as the plugin left it. */
static void expect_untouched(struct world *w, size_t links)
{
    assert_int_equal(netns_count_links(&w->pod.nl), links);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_FREE);
}

static void add_pair(struct world *w, const char *name, const char *peer)
{
    netns_add_veth(&w->outside, peer, name, w->pod.fd);
    netns_up(&w->pod.nl, name);
}

/* ---- Attach ---- */

static void interface_gets_a_tap_and_messages(void **state)
{
    struct world *w = need(state);
    attach(w);
    assert_int_equal(w->net.count, 1);
    assert_string_equal(w->net.link[0].name, "tap0_csn");
    assert_int_equal(w->net.link[0].mtu, 1450);
    assert_int_equal(w->net.link[0].mac[5], 0x21);
    const types_Interface *f = &w->net.interfaces[0].interface;
    assert_true(w->net.interfaces[0].has_interface);
    assert_string_equal(f->name, "eth0");
    assert_string_equal(f->hwAddr, "02:00:00:00:00:21");
    assert_int_equal(f->mtu, 1450);
    assert_int_equal(f->IPAddresses_count, 1);
    assert_string_equal(f->IPAddresses[0].address, "10.88.0.5");
    assert_string_equal(f->IPAddresses[0].mask, "16");
    assert_int_equal(w->net.routes.Routes_count, 1);
    assert_string_equal(w->net.routes.Routes[0].gateway, "10.88.0.1");
    assert_int_equal(w->net.neighbours.ARPNeighbors_count, 1);
    assert_string_equal(w->net.neighbours.ARPNeighbors[0].toIPAddress.address, "10.88.0.9");
    assert_string_equal(w->net.notes, "");
    struct rtnl_link tap = netns_link(&w->pod.nl, "tap0_csn");
    assert_int_equal(tap.mtu, 1450);
    assert_true((tap.flags & IFF_UP) != 0);
}

static void caller_stays_in_its_namespace(void **state)
{
    struct world *w = need(state);
    struct stat before, after;
    size_t links = netns_count_links(&w->outside);
    assert_int_equal(stat("/proc/thread-self/ns/net", &before), 0);
    attach(w);
    assert_int_equal(stat("/proc/thread-self/ns/net", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(netns_count_links(&w->outside), links);
}

static void namespace_with_a_loopback_only_is_no_network(void **state)
{
    need(state);
    struct netns empty;
    struct pod_net net;
    netns_make(&empty);
    netns_up(&empty.nl, "lo");
    assert_int_equal(pod_net_attach(empty.path, &net, NULL), 0);
    assert_int_equal(net.count, 0);
    pod_net_release(&net);
    netns_end(&empty);
}

static void several_interfaces_get_taps_of_their_own(void **state)
{
    struct world *w = need(state);
    add_pair(w, "net1", "plug1");
    attach(w);
    assert_int_equal(w->net.count, 2);
    assert_string_equal(w->net.link[1].name, "tap1_csn");
    assert_string_not_equal(w->net.interfaces[0].interface.name, w->net.interfaces[1].interface.name);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
    assert_int_equal(wiring_of(w, "net1"), POD_NET_OURS);
}

static void interface_that_is_down_and_has_no_address_is_left_alone(void **state)
{
    struct world *w = need(state);
    netns_add_veth(&w->outside, "plug1", "spare", w->pod.fd);
    attach(w);
    assert_int_equal(w->net.count, 1);
    assert_int_equal(wiring_of(w, "spare"), POD_NET_FREE);
}

static void mtu_that_no_tap_can_have_is_cut(void **state)
{
    struct world *w = need(state);
    netns_set_mtu(&w->pod.nl, "eth0", 65535);
    attach(w);
    assert_int_equal(w->net.link[0].mtu, 65521);
    assert_int_equal(w->net.interfaces[0].interface.mtu, 65521);
}

/* ---- Frames ---- */

static int open_raw(const char *name)
{
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = htons(OUR_TYPE), .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(OUR_TYPE));
    assert_return_code(fd, errno);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static size_t make_frame(uint8_t *out, char mark)
{
    static const uint8_t header[14] = {0x02, 0, 0, 0, 0, 0x21, 0x02, 0, 0, 0, 0, 0x22, OUR_TYPE >> 8, OUR_TYPE & 0xff};
    memcpy(out, header, sizeof(header));
    memset(out + sizeof(header), mark, 100);
    return sizeof(header) + 100;
}

/* The next frame of our type, of whatever the kernel says by itself. */
static void expect_frame(int fd, size_t skip, const uint8_t *frame, size_t n)
{
    uint8_t got[2048];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t length = read(fd, got, sizeof(got));
        assert_true(length >= (ssize_t)(skip + 14));
        if (got[skip + 12] != OUR_TYPE >> 8 || got[skip + 13] != (OUR_TYPE & 0xff))
            continue;
        assert_int_equal((size_t)length, skip + n);
        assert_memory_equal(got + skip, frame, n);
        return;
    }
}

static void frames_go_from_the_plugin_to_the_tap(void **state)
{
    struct world *w = need(state);
    uint8_t frame[128];
    attach(w);
    int fd = open_raw("plug0");
    size_t n = make_frame(frame, 'a');
    assert_int_equal(write(fd, frame, n), n);
    expect_frame(w->net.link[0].tap_fd, HEADER_BYTES, frame, n);
    close(fd);
}

static void frames_go_from_the_tap_to_the_plugin(void **state)
{
    struct world *w = need(state);
    uint8_t frame[HEADER_BYTES + 128] = {0};
    attach(w);
    int fd = open_raw("plug0");
    size_t n = make_frame(frame + HEADER_BYTES, 'b');
    assert_int_equal(write(w->net.link[0].tap_fd, frame, HEADER_BYTES + n), HEADER_BYTES + n);
    expect_frame(fd, 0, frame + HEADER_BYTES, n);
    close(fd);
}

static void frames_do_not_reach_the_namespaces_own_stack(void **state)
{
    struct world *w = need(state);
    uint8_t frame[128];
    attach(w);
    netns_in(&w->pod);
    int inside = open_raw("eth0");
    netns_out(&w->pod);
    int fd = open_raw("plug0");
    size_t n = make_frame(frame, 'c');
    assert_int_equal(write(fd, frame, n), n);
    expect_frame(w->net.link[0].tap_fd, HEADER_BYTES, frame, n);
    assert_int_equal(recv(inside, frame, sizeof(frame), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    close(fd);
    close(inside);
}

/* ---- Detach ---- */

static void nothing_is_left_after_detach(void **state)
{
    struct world *w = need(state);
    attach(w);
    pod_net_release(&w->net);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
    assert_int_equal(pod_net_detach(w->pod.path, NULL), 0);
    expect_untouched(w, 2);
}

static void detach_of_a_running_pod_changes_nothing(void **state)
{
    struct world *w = need(state);
    struct err err;
    attach(w);
    assert_int_equal(pod_net_detach(w->pod.path, &err), -EBUSY);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
}

static void detach_twice_or_without_attach_is_nothing(void **state)
{
    struct world *w = need(state);
    assert_int_equal(pod_net_detach(w->pod.path, NULL), 0);
    assert_int_equal(pod_net_detach(w->pod.path, NULL), 0);
    expect_untouched(w, 2);
}

static void detach_of_a_vanished_namespace_is_nothing(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(pod_net_detach("/proc/self/fd/9999", &err), 0);
    assert_int_equal(pod_net_detach("/dev/null", &err), 0);
}

static void namespace_of_a_dead_pod_can_be_attached_anew(void **state)
{
    struct world *w = need(state);
    attach(w);
    pod_net_release(&w->net);
    attach(w);
    assert_int_equal(w->net.count, 1);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
}

/* ---- Refusals ---- */

static void second_pod_is_refused(void **state)
{
    struct world *w = need(state);
    struct pod_net other;
    struct err err;
    attach(w);
    assert_int_equal(pod_net_attach(w->pod.path, &other, &err), -EBUSY);
    assert_int_equal(other.count, 0);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
}

static void add_ingress(struct netlink *nl, const char *name, const char *kind)
{
    const struct err_context doing = {.attempted = "prepare the test"};
    const struct tcmsg h = {.tcm_ifindex = (int)netns_index(nl, name),
                            .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0),
                            .tcm_parent = TC_H_INGRESS};
    struct netlink_request q;
    netlink_request_init(&q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
    netlink_add_string(&q, TCA_KIND, kind);
    assert_int_equal(netlink_call(nl, &q, &doing, NULL), 0);
}

static void filters_of_others_are_not_touched(void **state)
{
    struct world *w = need(state);
    struct err err;
    add_pair(w, "net1", "plug1");
    add_ingress(&w->pod.nl, "net1", "clsact");
    assert_int_equal(pod_net_attach(w->pod.path, &w->net, &err), -EBUSY);
    assert_non_null(strstr(err.text, "net1"));
    assert_int_equal(wiring_of(w, "net1"), POD_NET_FOREIGN);
    assert_int_equal(pod_net_detach(w->pod.path, NULL), 0);
    assert_int_equal(wiring_of(w, "net1"), POD_NET_FOREIGN);
    expect_untouched(w, 3);
}

static void empty_qdisc_of_a_pod_that_died_early_is_replaced(void **state)
{
    struct world *w = need(state);
    add_ingress(&w->pod.nl, "eth0", "ingress");
    attach(w);
    assert_int_equal(wiring_of(w, "eth0"), POD_NET_OURS);
}

static void failure_at_the_second_interface_undoes_the_first(void **state)
{
    struct world *w = need(state);
    struct err err;
    add_pair(w, "net1", "plug1");
    netns_add_veth(&w->outside, "plug2", "tap1_csn", w->pod.fd);
    assert_int_equal(pod_net_attach(w->pod.path, &w->net, &err), -EBUSY);
    assert_non_null(strstr(err.text, "tap1_csn"));
    assert_int_equal(w->net.count, 0);
    assert_int_equal(wiring_of(w, "net1"), POD_NET_FREE);
    expect_untouched(w, 4);
}

static void more_interfaces_than_a_pod_can_have_are_refused(void **state)
{
    struct world *w = need(state);
    struct err err;
    for (unsigned i = 1; i <= IO_NETS_MAX; i++) {
        char name[IF_NAMESIZE], peer[IF_NAMESIZE];
        (void)snprintf(name, sizeof(name), "net%u", i);
        (void)snprintf(peer, sizeof(peer), "plug%u", i);
        add_pair(w, name, peer);
    }
    assert_int_equal(pod_net_attach(w->pod.path, &w->net, &err), -E2BIG);
    assert_non_null(strstr(err.text, "more than 4 interfaces"));
    expect_untouched(w, 2 + IO_NETS_MAX);
}

static void own_namespace_is_refused(void **state)
{
    struct world *w = need(state);
    struct err err;
    assert_int_equal(pod_net_attach("/proc/self/ns/net", &w->net, &err), -EINVAL);
    assert_int_equal(pod_net_detach("/proc/self/ns/net", &err), -EINVAL);
    assert_non_null(strstr(err.text, "own"));
}

static void what_is_no_network_namespace_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int code;
    } cases[] = {{"/run/netns/there-is-none-of-this-name", -ENOENT},
                 {"/proc/4194304/ns/net", -ENOENT},
                 {"/dev/null/x", -ENOENT},
                 {"/dev/null", -ENOENT},
                 {"/", -ENOENT},
                 {"", -ENOENT},
                 {"/proc/self/ns/pid", -EINVAL},
                 {"/proc/self/ns/user", -EINVAL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod_net net;
        struct err err;
        assert_int_equal(pod_net_attach(cases[i].path, &net, &err), cases[i].code);
        assert_int_equal(net.count, 0);
        assert_non_null(strstr(err.text, cases[i].path));
    }
}

static void pipe_in_place_of_a_namespace_does_not_block(void **state)
{
    (void)state;
    char folder[] = "/tmp/pod-net-XXXXXX", path[64];
    struct pod_net net;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pod_net_attach(path, &net, NULL), -ENOENT);
    unlink(path);
    rmdir(folder);
}

static void no_descriptor_stays_open(void **state)
{
    struct world *w = need(state);
    struct err err;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    attach(w);
    pod_net_release(&w->net);
    (void)pod_net_attach("/proc/self/ns/pid", &w->net, &err);
    (void)pod_net_attach("/proc/self/ns/net", &w->net, &err);
    assert_int_equal(pod_net_detach(w->pod.path, NULL), 0);
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(before, after);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(interface_gets_a_tap_and_messages),
        CASE(caller_stays_in_its_namespace),
        CASE(namespace_with_a_loopback_only_is_no_network),
        CASE(several_interfaces_get_taps_of_their_own),
        CASE(interface_that_is_down_and_has_no_address_is_left_alone),
        CASE(mtu_that_no_tap_can_have_is_cut),
        CASE(frames_go_from_the_plugin_to_the_tap),
        CASE(frames_go_from_the_tap_to_the_plugin),
        CASE(frames_do_not_reach_the_namespaces_own_stack),
        CASE(nothing_is_left_after_detach),
        CASE(detach_of_a_running_pod_changes_nothing),
        CASE(detach_twice_or_without_attach_is_nothing),
        cmocka_unit_test(detach_of_a_vanished_namespace_is_nothing),
        CASE(namespace_of_a_dead_pod_can_be_attached_anew),
        CASE(second_pod_is_refused),
        CASE(filters_of_others_are_not_touched),
        CASE(empty_qdisc_of_a_pod_that_died_early_is_replaced),
        CASE(failure_at_the_second_interface_undoes_the_first),
        CASE(more_interfaces_than_a_pod_can_have_are_refused),
        CASE(own_namespace_is_refused),
        cmocka_unit_test(what_is_no_network_namespace_is_refused),
        cmocka_unit_test(pipe_in_place_of_a_namespace_does_not_block),
        CASE(no_descriptor_stays_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
