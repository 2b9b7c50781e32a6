/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is measured before the first instruction, and into which register: the one description of docs/trust.md's map
 * that both a starting machine and `caisson measure` use. Pure: bytes in, events out.
 */
#ifndef CAISSON_BOOT_MEASURE_H
#define CAISSON_BOOT_MEASURE_H

#include "boot/event_log.h"
#include "boot/image.h"

#define MEASURE_IMAGES_MAX 8u

/* A disk. root_hash: lower-case hexadecimal of dm-verity (SHA-256), NULL: the disk is not verified. */
struct measure_image {
    const char *serial; /* NULL: none */
    bool read_only;
    const char *root_hash;
};

/* All borrowed. */
struct measure_input {
    const char *version;              /* of caisson: "0.1.0 (commit)" */
    const struct digest *monitor;     /* of caisson's own file */
    const char *machine_json;         /* canonical JSON: VPs, memory, devices in their order, CPUID, hypervisor kind */
    const struct boot_config *config; /* files (kernel, initrds) as they are loaded */
    const struct digest *kernel;      /* of config->kernel, if known already; NULL: computed here */
    const struct boot_image *image;   /* tables and first registers */
    const struct measure_image *images;
    size_t image_count;
    const void *policy; /* bytes of the launch policy; NULL: none */
    size_t policy_bytes;
    bool debug; /* the policy permits debugging, or there is no policy */
};

/* Append everything in the order of docs/trust.md. 0, or -errno with *err; the log is then of no use. */
int boot_measure(const struct measure_input *in, struct event_log *log, struct err *err);

/* Events of a running pod, which the guest's agent reports. data: as in common/proto/trust.proto. */
int boot_measure_agent_key(struct event_log *log, const void *spki, size_t n);
int boot_measure_container(struct event_log *log, const char *description, size_t n);
int boot_measure_exec(struct event_log *log, const char *description, size_t n);

#endif
