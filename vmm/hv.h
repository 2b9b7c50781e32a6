/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_HV_H
#define CAISSON_VMM_HV_H

/*
 * Which hypervisor a command gets. Commands ask for one here and see only a port; main.c knows what there is.
 */

#include <stdbool.h>

#include "common/err.h"
#include "vmm/mshv/port.h"

enum hv_choice {
    HV_AUTO,   /* /dev/mshv if it can be opened, else softhv */
    HV_KERNEL, /* /dev/mshv */
    HV_SOFT    /* softhv */
};

struct seccomp_lock; /* policy/seccomp/lock.h */

struct hv_request {
    enum hv_choice choice;
    const char *kernel;        /* generation of the driver that softhv plays: "7.2"; NULL: the default */
    const char *trace_path;    /* file for one line per request, softhv only; NULL: none */
    struct seccomp_lock *lock; /* what holds softhv's own threads to their role; NULL: nothing */
};

struct hv {
    struct mshv_port port;
    bool soft;   /* there is no isolation by hardware */
    void *state; /* of hv_offer's */
};

/* Made by main.c, constant. */
struct hv_offer {
    /*
     * Get one. 0, or with *err: -ENOENT, -EACCES, ...: the device cannot be opened and was asked for; -EINVAL: no such
     * generation; -EOPNOTSUPP: this build has no softhv; others from making it. close ends it.
     */
    int (*open)(const struct hv_request *request, struct hv *hv, struct err *err);
    void (*close)(struct hv *hv);
};

#endif
