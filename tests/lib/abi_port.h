/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_ABI_PORT_H
#define CAISSON_TESTS_LIB_ABI_PORT_H

/*
 * Runner of the conformance suite: the same cases against every port there is.
 *
 * A case gets a port and facts. By default the port is softhv and each case runs four times, once for each generation
 * of the driver that softhv plays; with CAISSON_TEST_HV=kernel it is /dev/mshv, once, and the generation is found out.
 * A case never asks which port it has. What differs between generations is a column of the table of facts, so that
 * there is one place that says what changed when.
 *
 * What no public text settles is compared through abi_uncertain: softhv has to do what docs/open-points.md says it
 * chose; a kernel that does something else does not fail, the difference is printed as a line that begins with
 * "[ UNCERTAIN ]" for scripts/check to collect.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/port.h"
#include "vmm/softhv/kernel.h"

/* What a generation of the driver does. */
struct abi_facts {
    const char *name;               /* as people call it: "6.15" */
    enum softhv_kernel kernel;      /* which generation softhv plays for it */
    uint64_t pt_flags;              /* flags MSHV_CREATE_PARTITION knows */
    bool device_hvcall;             /* MSHV_ROOT_HVCALL on the device */
    bool property_ex;               /* GET_PARTITION_PROPERTY_EX is let through */
    bool output_on_failure;         /* the output page is copied out though the call failed */
    bool pinned;                    /* RAM is pinned when it is mapped: a read-only backing is refused at once */
    bool alias_allowed;             /* one range of the client's at two guest addresses */
    bool enclosing_gpa_detected;    /* a new range around an old one is seen */
    bool resample;                  /* resampling irqfds work */
    bool level_checked_before_busy; /* a resampling irqfd without a level route is EINVAL, also when it is busy */
    int unmap_unknown_errno;        /* unmapping where nothing is */
};

struct abi;
struct softhv_instance;

struct abi_case {
    const char *name;
    void (*run)(struct abi *a);
};
#define ABI_CASE(function)                                                                                             \
    {                                                                                                                  \
#function, function                                                                                            \
    }

/* What a case gets. */
struct abi {
    struct mshv_port port;
    const struct abi_facts *facts;
    int device; /* an open descriptor of the device, the runner's */

    /* The runner's own. */
    struct abi_case test;
    struct softhv_instance *soft; /* NULL on the kernel's port */
    bool finished;
};

/*
 * Run the cases against the port the environment asks for and print what cmocka prints. Returns main's exit code: not 0
 * when a case failed, or when the kernel's device was asked for and cannot be opened. A case that hangs for two minutes
 * ends the program. What a case that failed has open stays open.
 */
int abi_main(const struct abi_case *cases, size_t n);
#define ABI_MAIN(cases) abi_main(cases, sizeof(cases) / sizeof((cases)[0]))

/*
 * Compare what was found with the choice that docs/open-points.md has. question: a short text, what is being asked. On
 * softhv a difference fails the case; on a kernel it is printed. True if they are equal.
 */
#define abi_uncertain(a, question, found, chosen)                                                                      \
    abi_compare_uncertain(a, question, (int64_t)(found), (int64_t)(chosen), __FILE__, __LINE__)
bool abi_compare_uncertain(struct abi *a, const char *question, int64_t found, int64_t chosen, const char *file,
                           int line);

#endif
