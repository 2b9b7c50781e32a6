/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is measured of a machine that starts, and into which register: the one description of docs/trust.md's map
 * that both a starting machine and `caisson measure` use. Pure: bytes in, events out. Owner of the log only.
 */
#ifndef CAISSON_BOOT_MEASURE_H
#define CAISSON_BOOT_MEASURE_H

#include "boot/event_log.h"
#include "boot/image.h"

#define MEASURE_IMAGES_MAX 8u

/*
 * Types and data of the events whose digest is that of something else. The data are fixed, so that nobody can write
 * anything into them: a file's name is its launcher's affair.
 */
#define MEASURE_TEXT_MONITOR "caisson" /* EV_POST_CODE: tpm2_eventlog takes EV_S_CRTM_CONTENTS for a UEFI volume */
#define MEASURE_TEXT_POLICY  "policy"  /* EV_COMPACT_HASH */
#define MEASURE_TEXT_CMDLINE "kernel_cmdline: " /* EV_IPL; the line behind it, and a NUL */
#define MEASURE_TEXT_KERNEL  "kernel"           /* EV_IPL */
#define MEASURE_TEXT_INITRD  "initrd %u"        /* EV_IPL; from 0 on */

/* The agent's key is not text, and tpm2_eventlog prints EV_IPL as text. */
#define MEASURE_TYPE_AGENT_KEY EV_COMPACT_HASH

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

/*
 * Append everything in the order of docs/trust.md. 0, or -errno with *err; the log is then of no use: -EINVAL for what
 * cannot be put into an event (texts of more than EVENT_DATA_MAX, more than MEASURE_IMAGES_MAX disks, a serial that is
 * not printable ASCII, a root hash that is not 64 lower-case digits), -ENOSPC, -ENOMEM.
 *
 *     0   EV_S_CRTM_VERSION         in->version as UTF-16, little-endian, with a NUL
 *         EV_POST_CODE              "caisson"; digest of the file
 *     1   EV_TABLE_OF_DEVICES       in->machine_json
 *         EV_PLATFORM_CONFIG_FLAGS  for each part of the image "ACPI tables 0xe0000 1234+0 sha384:...": kind, address,
 *                                   bytes, zeros behind them, and their digest; or, of a file, "kernel+0x1000": which
 *                                   file and where in it
 *                                   "registers rip 0x... ...": boot_measure_registers
 *     7   EV_COMPACT_HASH           "policy", digest of the document; or EV_ACTION "no policy"
 *         EV_ACTION                 "debug" or "no debug"
 *     8   EV_IPL                    "kernel_cmdline: LINE\0", digest of LINE
 *     9   EV_IPL                    "kernel", digest of the file; "initrd 0" and so on
 *     13  EV_IPL                    for each disk "disk 0 verity ROOT ro serial SERIAL" or "disk 1 no verity rw"
 *     0, 1, 7  EV_SEPARATOR
 */
int boot_measure(const struct measure_input *in, struct event_log *log, struct err *err);

/* The text of the first registers: names and hexadecimal values, segments as selector:base:limit:attributes. */
#define MEASURE_REGISTERS_BYTES 1024u
void boot_measure_registers(const struct boot_cpu_state *cpu, char out[MEASURE_REGISTERS_BYTES]);

/*
 * Events of a running pod, which the guest's agent reports, with data as in common/proto/trust.proto. What
 * event_log_add returns, and -EINVAL for nothing at all.
 */
int boot_measure_agent_key(struct event_log *log, const void *spki, size_t n);
int boot_measure_container(struct event_log *log, const char *description, size_t n);
int boot_measure_exec(struct event_log *log, const char *description, size_t n);

#endif
