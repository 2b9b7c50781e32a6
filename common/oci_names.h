/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_OCI_NAMES_H
#define CAISSON_COMMON_OCI_NAMES_H

/*
 * Words of the OCI runtime specification that both the host, which checks and lists them, and others may want: one list
 * each, sorted as the specification or the kernel sorts them, ended by NULL.
 */

#include <stdbool.h>
#include <stddef.h>

extern const char *const oci_namespace_names[];    /* "pid", "network", ... */
extern const char *const oci_capability_names[];   /* "CAP_CHOWN", ...: index is the kernel's number */
extern const char *const oci_rlimit_names[];       /* "RLIMIT_CPU", ...: index is the kernel's number on x86-64 */
extern const char *const oci_mount_option_names[]; /* those that are flags or work for the runtime; config.md */
extern const char *const oci_seccomp_actions[];    /* that can be had here: all but SCMP_ACT_NOTIFY */
extern const char *const oci_seccomp_operators[];
extern const char *const oci_seccomp_archs[];
extern const char *const oci_seccomp_flags[];
extern const char *const oci_hook_names[];
extern const char *const oci_propagation_names[];
extern const char *const oci_scheduler_policies[];
extern const char *const oci_scheduler_flags[];
extern const char *const oci_io_classes[];
extern const char *const oci_memory_modes[];
extern const char *const oci_memory_flags[];
extern const char *const oci_personalities[];

/* Index of a word in a list, or -1. */
int oci_name_find(const char *const *names, const char *word);

#endif
