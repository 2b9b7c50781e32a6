/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A pod's network on the host. A network plugin made a network namespace with interfaces, addresses and routes in it,
 * for processes that would live there; the pod's processes live behind virtio-net devices instead. So each interface
 * gets a TAP beside it, and whatever arrives at one of both leaves by the other:
 *
 *     plugin's side ---- eth0 (veth, macvlan, ...) [ingress] ----> tap0_csn ----> virtio-net of the guest
 *     plugin's side <---- eth0 <---- [ingress] tap0_csn <---- virtio-net of the guest
 *
 * The guest's device gets the hardware address, MTU, addresses, routes and neighbours of the interface, as messages for
 * the agent. Nothing of what the plugin made is changed, so any plugin works; only an ingress qdisc is added.
 *
 * TAPs are gone when their descriptors are closed, however the pod's process ends. The qdisc stays until
 * pod_net_detach; meanwhile frames for the interface are dropped.
 *
 * What is read comes from a namespace that others may fill: all lists are bounded, and what the messages or the
 * redirection cannot do is named in `notes`. Source: docs/pod-network.md; tc-mirred(8), tc-u32(8).
 */
#ifndef CAISSON_VMM_POD_NET_H
#define CAISSON_VMM_POD_NET_H

#include <net/if.h>
#include <stdint.h>

#include "agent.pb.h"
#include "common/err.h"
#include "vmm/io.h"

#define POD_NET_ADDRESSES_MAX  64u  /* of one interface */
#define POD_NET_ROUTES_MAX     512u /* of all */
#define POD_NET_NEIGHBOURS_MAX 512u
#define POD_NET_NOTES_BYTES    512u

struct pod_net_link {
    int tap_fd; /* for IO_NET_DESCRIPTOR; whoever takes it leaves -1 here */
    char name[IF_NAMESIZE];
    uint8_t mac[6];
    uint16_t mtu;
};

/* Zeroed: no network; pod_net_release may be called. */
struct pod_net {
    unsigned count;
    struct pod_net_link link[IO_NETS_MAX];
    grpc_UpdateInterfaceRequest interfaces[IO_NETS_MAX]; /* one for each link */
    grpc_Routes routes;
    grpc_ARPNeighbors neighbours;
    char notes[POD_NET_NOTES_BYTES]; /* what was left out and why, printable, for the log; "": nothing */
};

/*
 * Wire up the namespace at netns_path (/run/netns/NAME, /proc/PID/ns/net). The calling process stays in its own
 * namespace: a thread of its own does the work and has ended when this returns. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN
 * over the namespace. out: written; with success to be released. 0, or with *err and nothing left behind: -ENOENT: no
 * such namespace (any more), or a file of another kind; -EINVAL: another kind of namespace, or the caller's own one;
 * -EBUSY: another pod uses it, or somebody's filters are in the way; -E2BIG: more interfaces than a pod can have, or
 * longer lists than allowed; -EPERM; what the kernel says.
 */
int pod_net_attach(const char *netns_path, struct pod_net *out, struct err *err);

/*
 * Remove what attach left on the plugin's interfaces; for when the TAPs' descriptors are closed, by the pod or by its
 * death. A namespace that is gone needs nothing: 0. -EBUSY with *err: a running pod uses it, nothing was changed. Other
 * errors as above.
 */
int pod_net_detach(const char *netns_path, struct err *err);

/* Close the descriptors that are still here, free the messages, leave *net zeroed. */
void pod_net_release(struct pod_net *net);

#endif
