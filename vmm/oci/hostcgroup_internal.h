/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_HOSTCGROUP_INTERNAL_H
#define CAISSON_VMM_OCI_HOSTCGROUP_INTERNAL_H

/* Between the files of the host's control groups. What returns int: 0 (or a descriptor), or a negative errno. */

#include <stddef.h>

#include "vmm/oci/hostcgroup.h"

#define CGROUP_FULL_MAX 4096

/* The group's folder in a tree, O_PATH. */
int cgroup_open(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree);
/* Write a file of a group in one go, or read it; text always ends with NUL. */
int hostcgroup_write(int folder, const char *name, const char *text);
int hostcgroup_read(int folder, const char *name, char *text, size_t size);
/* Has a tree of v1 that controller? */
bool cgroup_has(const struct oci_cgroup_tree *tree, const char *controller);
/* Fill *err with the full path. Returns code. */
int cgroup_fail(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, int code, const char *attempted,
                const char *file, struct err *err);

#endif
