/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_COMMANDS_H
#define CAISSON_VMM_OCI_COMMANDS_H

/*
 * The commands of an OCI runtime: each a row of cli.c's table with a usage line, a help text and a function as cli.h
 * describes them. Options, output and words of errors are those that container engines expect of such a program.
 *
 * Sources: OCI runtime specification, runtime.md; baselines of engines in docs/pod.md.
 */

#include "vmm/cli.h"

#define OCI_COMMANDS(X)                                                                                                \
    X(create)                                                                                                          \
    X(start)                                                                                                           \
    X(exec)                                                                                                            \
    X(state)                                                                                                           \
    X(list)                                                                                                            \
    X(ps)                                                                                                              \
    X(kill)                                                                                                            \
    X(delete)                                                                                                          \
    X(pause)                                                                                                           \
    X(resume)                                                                                                          \
    X(update)                                                                                                          \
    X(events)                                                                                                          \
    X(spec)                                                                                                            \
    X(features)

#define OCI_DECLARE_COMMAND(name)                                                                                      \
    extern const char oci_##name##_usage[], oci_##name##_help[];                                                       \
    int oci_##name##_main(const struct cli_io *io, int argc, char **argv);
OCI_COMMANDS(OCI_DECLARE_COMMAND)
#undef OCI_DECLARE_COMMAND

/*
 * The two forms of `run` for containers. oci_run_wants: are these arguments of one of them, and not of the machine's
 * form (run.h)? It is that if --rootfs is given, or if there is no "--" and no --kernel.
 */
bool oci_run_wants(int argc, char **argv);
int oci_run_main(const struct cli_io *io, int argc, char **argv);
extern const char oci_run_usage[], oci_run_help[];

#endif
