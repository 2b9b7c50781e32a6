/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_CALLER_H
#define CAISSON_VMM_OCI_CALLER_H

/* Files and sockets that whoever calls a container command hands in by name. */

#include <sys/types.h>

#include "common/err.h"

/* Write a pid to a file that appears whole. 0, or a negative errno with *err. */
int oci_pid_file_write(const char *path, pid_t pid, struct err *err);

/* Connect to the socket that gets a terminal's descriptor; its path may be of any length. 0 with *fd, or with *err. */
int oci_console_connect(const char *path, int *fd, struct err *err);

#endif
