/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_CONFIG_H
#define CAISSON_VMM_OCI_CONFIG_H

/*
 * What the owner of the machine decides for all pods: docs/pod.md, Configuration. The file is trusted, so it must
 * belong to root or to the caller and be writable by nobody else; a key that is not known is a mistake and is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/hv.h"

#define OCI_CONFIG_PATH     "/etc/caisson/config.json"
#define OCI_CONFIG_VARIABLE "CAISSON_CONFIG"

#define OCI_VPS_MAX           16u
#define OCI_READY_SECONDS_MAX 3600u
#define OCI_MEMORY_MIN        (UINT64_C(128) << 20)
#define OCI_MEMORY_MAX        (UINT64_C(1) << 40)
#define OCI_MEMORY_DEFAULT    (UINT64_C(512) << 20)

/* Annotations of ours, one bit each: which of them bundles may set. */
enum oci_wish {
    OCI_WISH_VPS = 1 << 0,
    OCI_WISH_MEMORY = 1 << 1,
    OCI_WISH_ROOTFS = 1 << 2,
    OCI_WISH_HUGEPAGES = 1 << 3,
    OCI_WISH_KERNEL = 1 << 4,
    OCI_WISH_CMDLINE = 1 << 5,
    OCI_WISH_POLICY = 1 << 6,
    OCI_WISH_VERITY = 1 << 7,
};
#define OCI_WISHES_DEFAULT (OCI_WISH_VPS | OCI_WISH_MEMORY | OCI_WISH_ROOTFS | OCI_WISH_HUGEPAGES | OCI_WISH_VERITY)

/* Measurements, evidence and launch policies: docs/trust.md. Paths but for "fd:N". */
struct oci_trust {
    char *policy; /* of pods whose bundle names none; NULL: none */
    char **policy_keys;
    size_t policy_key_count;
    uint64_t policy_serial;
    char *key;     /* NULL: one is made for each pod */
    bool key_p384; /* one that is made is on P-384, else P-256 */
    char *node_key, *node_chain;
};

/* oci_config_release ends it. */
struct oci_config {
    char *kernel;           /* path; NULL: none configured */
    char *modules;          /* folder of kernel modules, or NULL */
    char *cmdline;          /* more words for the kernel, or NULL */
    uint32_t vps;           /* of a pod whose bundle sets no limit; 0: 1 */
    uint64_t memory_bytes;  /* the same; 0: OCI_MEMORY_DEFAULT */
    uint32_t ready_seconds; /* a pod has to get ready; 0: POD_READY_SECONDS */
    bool hugepages;
    bool lock_memory;
    bool no_jail, require_jail; /* docs/jail.md */
    struct hv_request hv;       /* its strings belong to this struct */
    unsigned wishes;            /* enum oci_wish, or-ed */
    struct oci_trust trust;
};

/*
 * Read the configuration. path: NULL for what the variable says, else OCI_CONFIG_PATH. A missing file is the default
 * one, but not if path or the variable named it. 0, or with *err (and *out released): -EINVAL: wrong content; -EPERM:
 * others may write to it; what open and read say.
 */
int oci_config_load(const char *path, struct oci_config *out, struct err *err);
/* Accepts a zeroed one and leaves one. */
void oci_config_release(struct oci_config *config);

/* The bit of "vps", "memory", ...; with or without "io.caisson." before it. 0: no such annotation. */
unsigned oci_wish_find(const char *name);

/* Bytes as people write them: "268435456", "256M", "1G" (K, M, G, T: powers of 1024). False: no such number. */
bool oci_bytes_parse(const char *text, uint64_t *bytes);

#endif
