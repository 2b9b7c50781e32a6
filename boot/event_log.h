/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A measurement log in the TCG's crypto-agile format, and the platform configuration registers (PCRs) it replays to.
 * Events are appended and never change. One owner; who shares it between threads locks.
 *
 *     register = H(register || digest of the event), for each bank; all registers start as zeros
 *
 * Source: TCG PC Client Platform Firmware Profile 1.06, chapter 10.
 */
#ifndef CAISSON_BOOT_EVENT_LOG_H
#define CAISSON_BOOT_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto/digest.h"
#include "common/err.h"

#define EVENT_LOG_PCRS      24u
#define EVENT_LOG_BYTES_MAX (1u << 20)
#define EVENT_DATA_MAX      (16u << 10) /* of one event */
/* tpm2_checkquote (5.4) refuses larger logs. */
#define EVENT_LOG_BYTES_TPM2_TOOLS 65535u

/* Types of events, as the specification numbers them. */
#define EV_POST_CODE             0x00000001u
#define EV_NO_ACTION             0x00000003u
#define EV_SEPARATOR             0x00000004u
#define EV_ACTION                0x00000005u
#define EV_EVENT_TAG             0x00000006u
#define EV_S_CRTM_CONTENTS       0x00000007u
#define EV_S_CRTM_VERSION        0x00000008u
#define EV_PLATFORM_CONFIG_FLAGS 0x0000000au
#define EV_TABLE_OF_DEVICES      0x0000000bu
#define EV_COMPACT_HASH          0x0000000cu
#define EV_IPL                   0x0000000du

/* Banks, as the first event and each other one name them: numbers of TCG_ALG_ID. */
#define EVENT_ALG_SHA256 0x000bu
#define EVENT_ALG_SHA384 0x000cu

/* The registers; docs/trust.md says what each holds and why it is that one. */
enum trust_pcr {
    TRUST_PCR_MONITOR = 0,     /* caisson itself */
    TRUST_PCR_MACHINE = 1,     /* shape, devices, tables, first registers */
    TRUST_PCR_POLICY = 7,      /* launch policy, and whether it permits debugging */
    TRUST_PCR_CMDLINE = 8,     /* the kernel's command line */
    TRUST_PCR_KERNEL = 9,      /* kernel and ramdisks */
    TRUST_PCR_IMAGES = 13,     /* disks: root hashes of dm-verity */
    TRUST_PCR_CONTAINERS = 14, /* each container, and once the agent's key */
    TRUST_PCR_EXECS = 15,      /* each process executed in one */
};
/* Those eight, as a bit mask: what a quote covers. */
#define TRUST_PCR_MASK 0x0000e383u

/* Zeroed: not begun. */
struct event_log {
    uint8_t *bytes; /* owned */
    size_t length, size;
    uint32_t events; /* without the first, which says what the log is */
    uint8_t sha256[EVENT_LOG_PCRS][DIGEST_SHA256_BYTES];
    uint8_t sha384[EVENT_LOG_PCRS][DIGEST_SHA384_BYTES];
};

/* Write the first event. 0 or -ENOMEM; event_log_fini ends it either way. */
int event_log_init(struct event_log *log);
void event_log_fini(struct event_log *log);

/*
 * Append an event and extend its register. digest: NULL: of the data itself. 0; -EINVAL: no such register, data longer
 * than EVENT_DATA_MAX, or EV_NO_ACTION, which by the specification extends nothing; -ENOSPC: the log would exceed
 * EVENT_LOG_BYTES_MAX; -ENOMEM. After an error log and registers are as before.
 */
int event_log_add(struct event_log *log, uint32_t pcr, uint32_t type, const struct digest *digest, const void *data,
                  size_t n);

/* Extend a register without an event: what replaying is made of. pcr: below EVENT_LOG_PCRS. Counts as an event. */
void event_log_extend(struct event_log *log, uint32_t pcr, const struct digest *digest);

/* A register's value: digest_bytes(alg) bytes. */
const uint8_t *event_log_pcr(const struct event_log *log, enum digest_alg alg, uint32_t pcr);

#endif
