/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_CHECK_H
#define CAISSON_VMM_OCI_CHECK_H

/*
 * Rules that tables cannot say: what depends on several properties, or on how a text is written. They run once, after
 * read.h, and put right what may be put right (a relative mount point, an unknown capability), with a note.
 * All return 0, or -EINVAL, -ENOMEM with the reader's error filled in.
 */

#include <stdbool.h>

#include "oci.pb.h"
#include "vmm/oci/read.h"

int oci_check_spec(struct oci_reader *r, grpc_Spec *spec);
/* at: what stands before a property's name: "process." or "". */
int oci_check_process(struct oci_reader *r, const char *at, grpc_Process *process);
int oci_check_linux(struct oci_reader *r, const grpc_Spec *spec);
int oci_check_seccomp(struct oci_reader *r, const grpc_LinuxSeccomp *seccomp);
/* at: "linux.resources." or "". */
int oci_check_resources(struct oci_reader *r, const char *at, const grpc_LinuxResources *resources);

/* A list such as "0-3,7", or empty. *count: how many numbers are in it; may be NULL. */
bool oci_cpu_list_parse(const char *text, unsigned *count);
/* Does the specification list a namespace of that type? Its entry, or NULL. */
const grpc_LinuxNamespace *oci_namespace_find(const grpc_Spec *spec, const char *type);
/* NAME=VALUE with a name. */
bool oci_is_variable(const char *text);
/* Is one of a mount's options that word? */
bool oci_mount_has(const grpc_Mount *mount, const char *option);

#endif
