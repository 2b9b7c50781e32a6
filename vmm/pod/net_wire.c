/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/pod/net_internal.h"

#define TUN_PATH       "/dev/net/tun"
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)

/* By this priority our filters are known again. */
#define FILTER_PRIORITY 0xc5a1u

#define BUSY_ATTEMPTS 20u
#define BUSY_WAIT_NS  10000000

bool pod_net_is_tap(const struct rtnl_link *link)
{
    unsigned number;
    int end = 0;
    return strcmp(link->kind, "tun") == 0 && sscanf(link->name, "tap%1u_csn%n", &number, &end) == 1 && end > 0 &&
           link->name[end] == '\0';
}

/* ---- Traffic control ---- */

static const struct err_context redirect = {
    .attempted = "redirect packets of",
    .what_to_do = "use a kernel with sch_ingress, cls_u32 and act_mirred (modprobe them), and CAP_NET_ADMIN"};

static struct err_context redirect_of(const char *name)
{
    struct err_context c = redirect;
    c.on_what = name;
    return c;
}

static int add_qdisc(struct netlink *nl, uint32_t index, const char *name, struct err *err)
{
    const struct tcmsg h = {
        .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)index, .tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS};
    const struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
    const struct err_context what = redirect_of(name);
    int code = -EBUSY;
    /* Kernels since 6.5 refuse while somebody still looks at one that was removed just now. */
    for (unsigned i = 0; code == -EBUSY && i < BUSY_ATTEMPTS; i++) {
        struct netlink_request q;
        if (i > 0)
            (void)nanosleep(&wait, NULL);
        netlink_request_init(&q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
        netlink_add_string(&q, TCA_KIND, "ingress");
        code = netlink_call(nl, &q, &what, err);
    }
    return code;
}

static void add_action(struct netlink_request *q, uint32_t to)
{
    const struct tc_mirred parameters = {.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to};
    size_t list = netlink_nest_begin(q, TCA_U32_ACT);
    size_t first = netlink_nest_begin(q, 1);
    netlink_add_string(q, TCA_ACT_KIND, "mirred");
    size_t options = netlink_nest_begin(q, TCA_ACT_OPTIONS);
    netlink_add(q, TCA_MIRRED_PARMS, &parameters, sizeof(parameters));
    netlink_nest_end(q, options);
    netlink_nest_end(q, first);
    netlink_nest_end(q, list);
}

/* Whatever comes in at `from` leaves by `to`: one key whose mask is empty matches everything. */
static int add_filter(struct netlink *nl, uint32_t from, uint32_t to, const char *name, struct err *err)
{
    const struct tcmsg h = {.tcm_family = AF_UNSPEC,
                            .tcm_ifindex = (int)from,
                            .tcm_parent = INGRESS_HANDLE,
                            .tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL))};
    const struct tc_u32_sel selector = {.flags = TC_U32_TERMINAL, .nkeys = 1};
    const struct tc_u32_key key = {.mask = 0};
    const struct err_context what = redirect_of(name);
    uint8_t match[sizeof(selector) + sizeof(key)];
    struct netlink_request q;
    memcpy(match, &selector, sizeof(selector));
    memcpy(match + sizeof(selector), &key, sizeof(key));
    netlink_request_init(&q, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
    netlink_add_string(&q, TCA_KIND, "u32");
    size_t options = netlink_nest_begin(&q, TCA_OPTIONS);
    netlink_add(&q, TCA_U32_SEL, match, sizeof(match));
    add_action(&q, to);
    netlink_nest_end(&q, options);
    return netlink_call(nl, &q, &what, err);
}

int pod_net_unwire(struct netlink *nl, const struct rtnl_link *link, struct err *err)
{
    const struct tcmsg h = {.tcm_family = AF_UNSPEC,
                            .tcm_ifindex = (int)link->index,
                            .tcm_handle = INGRESS_HANDLE,
                            .tcm_parent = TC_H_INGRESS};
    const struct err_context what = {.attempted = "stop redirecting packets of",
                                     .on_what = link->name,
                                     .what_to_do = "tc qdisc del dev NAME ingress"};
    struct netlink_request q;
    netlink_request_init(&q, RTM_DELQDISC, 0, &h, sizeof(h));
    int code = netlink_call(nl, &q, &what, err);
    /* No such qdisc; the interface has gone. */
    return code == -ENOENT || code == -EINVAL || code == -ENODEV ? 0 : code;
}

/* ---- What is there ---- */

struct look {
    uint32_t index;
    bool qdisc, ingress;       /* there is one in its place; of the kind "ingress" */
    unsigned filters, foreign; /* in it; of others among them */
};

/* 1 with header and kind, 0: another type or interface, -EBADMSG. */
static int open_tc(const struct look *l, const struct netlink_message *m, uint16_t type, struct tcmsg *h, char *kind,
                   size_t size)
{
    struct netlink_attribute table[TCA_KIND + 1];
    if (m->type != type)
        return 0;
    if (m->bytes < sizeof(*h))
        return -EBADMSG;
    memcpy(h, m->payload, sizeof(*h));
    if ((uint32_t)h->tcm_ifindex != l->index)
        return 0;
    if (netlink_sort(m->payload + sizeof(*h), m->bytes - sizeof(*h), table, TCA_KIND + 1) < 0)
        return -EBADMSG;
    (void)netlink_string(&table[TCA_KIND], kind, size);
    return 1;
}

static int see_qdisc(void *ctx, const struct netlink_message *m)
{
    struct look *l = ctx;
    struct tcmsg h;
    char kind[RTNL_KIND_BYTES];
    int code = open_tc(l, m, RTM_NEWQDISC, &h, kind, sizeof(kind));
    if (code == 1 && h.tcm_parent == TC_H_INGRESS) {
        l->qdisc = true;
        l->ingress = strcmp(kind, "ingress") == 0;
    }
    return code < 0 ? code : 0;
}

static int see_filter(void *ctx, const struct netlink_message *m)
{
    struct look *l = ctx;
    struct tcmsg h;
    char kind[RTNL_KIND_BYTES];
    int code = open_tc(l, m, RTM_NEWTFILTER, &h, kind, sizeof(kind));
    if (code == 1) {
        l->filters++;
        l->foreign += TC_H_MAJ(h.tcm_info) >> 16 != FILTER_PRIORITY || strcmp(kind, "u32") != 0;
    }
    return code < 0 ? code : 0;
}

/* One list, begun anew as long as it changes; *l is what it was before. */
static int dump(struct netlink *nl, uint16_t type, const struct tcmsg *h, netlink_each each, struct look *l,
                const char *name, struct err *err)
{
    const struct err_context what = {
        .attempted = "see the packet filters of", .on_what = name, .what_to_do = "try again"};
    const struct look before = *l;
    int code = -EINTR;
    for (unsigned i = 0; code == -EINTR && i < BUSY_ATTEMPTS; i++) {
        struct netlink_request q;
        *l = before;
        netlink_request_init(&q, type, 0, h, sizeof(*h));
        code = netlink_dump(nl, &q, each, l, &what, err);
    }
    return code == -EINTR ? err_fail_because(err, code, &what, "they change faster than they can be read") : code;
}

int pod_net_look(struct netlink *nl, const struct rtnl_link *link, struct err *err)
{
    const struct tcmsg any = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)link->index};
    const struct tcmsg inside = {
        .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)link->index, .tcm_parent = INGRESS_HANDLE};
    struct look l = {.index = link->index};
    int code = dump(nl, RTM_GETQDISC, &any, see_qdisc, &l, link->name, err);
    if (code == 0 && l.qdisc)
        code = dump(nl, RTM_GETTFILTER, &inside, see_filter, &l, link->name, err);
    if (code < 0)
        return code;
    if (!l.qdisc)
        return POD_NET_FREE;
    /* An empty one: somebody died between two steps, and nobody can miss it. */
    return l.ingress && l.foreign == 0 ? POD_NET_OURS : POD_NET_FOREIGN;
}

/* ---- TAPs ---- */

/* C libraries disagree about the type of ioctl's request. */
static int make_tap(int fd, const char *name)
{
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL)};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    return syscall(SYS_ioctl, fd, (unsigned long)TUNSETIFF, &request) < 0 ? -errno : 0;
}

static int open_tap(const char *name, int *fd, uint32_t *index, struct err *err)
{
    const struct err_context open_tun = {
        .attempted = "open", .on_what = TUN_PATH, .what_to_do = "load the module tun (modprobe tun) and run as root"};
    const struct err_context make = {
        .attempted = "make the TAP", .on_what = name, .what_to_do = "run as root of the namespace (CAP_NET_ADMIN)"};
    *fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return err_fail(err, -errno, &open_tun);
    int code = make_tap(*fd, name);
    *index = code == 0 ? if_nametoindex(name) : 0;
    if (code == 0 && *index == 0)
        code = -errno;
    if (code < 0) {
        close(*fd);
        *fd = -1;
        return err_fail(err, code, &make);
    }
    return 0;
}

static int start_tap(struct netlink *nl, uint32_t index, const char *name, uint32_t mtu, struct err *err)
{
    /* Nobody on the host speaks by it, so the kernel shall not either. Kernels without IPv6 refuse that. */
    const struct rtnl_link_change quiet = {.index = index, .no_link_local = true};
    const struct rtnl_link_change up = {.index = index, .mtu = mtu, .flags = IFF_UP, .mask = IFF_UP};
    const struct err_context what = {
        .attempted = "switch on the TAP", .on_what = name, .what_to_do = "look at the MTU of the interface beside it"};
    (void)rtnl_set_link(nl, &quiet, &what, NULL);
    return rtnl_set_link(nl, &up, &what, err);
}

static int connect_both(struct netlink *nl, const struct rtnl_link *link, uint32_t tap, const char *tap_name,
                        struct err *err)
{
    int code = add_qdisc(nl, tap, tap_name, err);
    if (code == 0)
        code = add_filter(nl, tap, link->index, tap_name, err);
    if (code == 0)
        code = add_qdisc(nl, link->index, link->name, err);
    if (code < 0)
        return code;
    code = add_filter(nl, link->index, tap, link->name, err);
    if (code < 0)
        (void)pod_net_unwire(nl, link, NULL);
    return code;
}

int pod_net_wire(struct netlink *nl, const struct rtnl_link *link, unsigned number, struct pod_net_link *out,
                 struct err *err)
{
    uint32_t tap, mtu = link->mtu < POD_NET_MTU_MAX ? link->mtu : POD_NET_MTU_MAX;
    *out = (struct pod_net_link){.tap_fd = -1, .mtu = (uint16_t)mtu};
    memcpy(out->mac, link->mac, sizeof(out->mac));
    (void)snprintf(out->name, sizeof(out->name), "tap%u_csn", number);
    int code = open_tap(out->name, &out->tap_fd, &tap, err);
    if (code < 0)
        return code;
    code = start_tap(nl, tap, out->name, mtu, err);
    if (code == 0)
        code = connect_both(nl, link, tap, out->name, err);
    if (code < 0) {
        close(out->tap_fd);
        out->tap_fd = -1;
    }
    return code;
}
