/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_REPORT_H
#define CAISSON_VMM_OCI_REPORT_H

/*
 * What a container command says: a line on standard error for people, and with --log FILE a record for the program
 * above, which takes the last one of level "error" for the reason of a failure. Both formats are those of the runtimes
 * that such programs know: lines of JSON with level, msg and time, or the same as key=value.
 */

#include "common/err.h"
#include "vmm/cli.h"

enum oci_level { OCI_LEVEL_ERROR, OCI_LEVEL_WARNING, OCI_LEVEL_INFO, OCI_LEVEL_DEBUG };

/*
 * Write one record to the log that --log names. If it names none, a warning is a line on standard error, and the rest
 * is lost. Debug records only with --debug. A log that cannot be written is no reason to fail.
 */
void oci_log(const struct cli_io *io, enum oci_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Report a failure on standard error and in the log. Returns CLI_EXIT_FAILURE. */
int oci_report(const struct cli_io *io, const struct err *err);
/* The same for something that went wrong without ending the command. */
void oci_warn(const struct cli_io *io, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* cli_refuse, and the log. Returns CLI_EXIT_USAGE. */
int oci_report_usage(const struct cli_io *io, const char *command, const char *what, const char *which);

/*
 * The exit code for a program that the guest refused to run, as shells have it: 127 if it is not there (-ENOENT), 126
 * if it must not be run (-EACCES, -EPERM); `other` for any other reason.
 */
int oci_exit_of_refusal(int code, int other);

#endif
