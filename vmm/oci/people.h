/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PEOPLE_H
#define CAISSON_VMM_OCI_PEOPLE_H

/*
 * Commands that no other program asks for: what a pod's log and console say, all that is known of a container, what
 * runs and what it uses. Each is a row of cli.c's table. All of them only look: they take no locks, and a guest that
 * does not answer costs them a bounded time.
 */

#include "vmm/cli.h"

#define OCI_PEOPLE_COMMANDS(X)                                                                                         \
    X(logs)                                                                                                            \
    X(console)                                                                                                         \
    X(inspect)                                                                                                         \
    X(top)

#define OCI_PEOPLE_DECLARE(name)                                                                                       \
    extern const char oci_##name##_usage[], oci_##name##_help[];                                                       \
    int oci_##name##_main(const struct cli_io *io, int argc, char **argv);
OCI_PEOPLE_COMMANDS(OCI_PEOPLE_DECLARE)
#undef OCI_PEOPLE_DECLARE

#endif
