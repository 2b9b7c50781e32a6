/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A machine as measurements and policies see it: its shape as canonical JSON, digests of its files, its devices and
 * disks. Made of the very structs that a machine is built from, so a pod that starts, `caisson measure` and `caisson
 * policy new` say the same of the same configuration.
 *
 * The JSON has what the guest can see and the host decides: processors, memory, transport and devices in the order of
 * devices/table.h, what is asked of the hypervisor (flags, synthetic features, features of the processor taken away)
 * and which hypervisor it is. It does not have what differs from one pod to the next without meaning anything:
 * addresses of network cards, serial numbers of disks (by which the agent finds them, made of the container's id),
 * paths of the host, sizes of disks (a disk's content is measured by its root hash).
 *
 * One thread for each object.
 */
#ifndef CAISSON_VMM_TRUST_MACHINE_H
#define CAISSON_VMM_TRUST_MACHINE_H

#include "boot/measure.h"
#include "policy/launch/policy.h"
#include "vmm/launch.h"
#include "vmm/pod/shape.h"

#define TRUST_DEVICES_MAX (4u + IO_DISKS_MAX + IO_SHARES_MAX + IO_NETS_MAX)

/* Zeroed: nothing. Borrows the launch and its configuration. */
struct trust_machine {
    const struct launch *launch;
    const struct launch_config *config;
    const struct launch_digests *digests;
    const char *hypervisor; /* "mshv" or "softhv" */
    char *json;             /* canonical, owned */
    const char *devices[TRUST_DEVICES_MAX];
    size_t device_count;
    struct policy_image policy_images[IO_DISKS_MAX];
    struct measure_image images[IO_DISKS_MAX];
    size_t image_count;
};

/*
 * Describe a machine that was loaded with `measure` and built (launch.h). Waits for its digests. 0 or -ENOMEM, -EINVAL
 * (a name that is no UTF-8) with *err; trust_machine_fini ends it either way.
 */
int trust_machine_describe(struct trust_machine *m, struct launch *l, const struct launch_config *cfg, bool soft,
                           struct err *err);
void trust_machine_fini(struct trust_machine *m);

/* The same for policy_judge_machine; borrowed from *m. */
struct policy_machine trust_machine_for_policy(const struct trust_machine *m);

/*
 * Append all events of PCR 0 to 13. policy: bytes in force, NULL: none. debug: it permits debugging, or there is none.
 * 0, or what boot_measure says.
 */
int trust_machine_measure(const struct trust_machine *m, const void *policy, size_t policy_bytes, bool debug,
                          struct event_log *log, struct err *err);

/* The shape alone, canonical JSON, malloc'ed. NULL with *err. */
char *trust_machine_json(const struct launch_config *cfg, const char *hypervisor, struct err *err);

/* ---- Without a machine ---- */

/* A pod that is not started. Zeroed: nothing. Not moved while in use. */
struct trust_pod {
    struct pod_shape shape;
    struct launch launch;
    struct trust_machine machine;
};

/*
 * What pod_spawn would use for a configuration: files are read and hashed, nothing is started or changed. soft: the
 * software hypervisor. policy: bytes for the ramdisk, NULL: none. 0 or -errno with *err, as of launch_load and
 * launch_build; trust_pod_fini ends it either way. Strings of cfg are borrowed until then.
 */
int trust_machine_of_pod(const struct pod_config *cfg, bool soft, const void *policy, size_t policy_bytes,
                         struct trust_pod *out, struct err *err);
void trust_pod_fini(struct trust_pod *pod);

#endif
