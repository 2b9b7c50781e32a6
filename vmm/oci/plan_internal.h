/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PLAN_INTERNAL_H
#define CAISSON_VMM_OCI_PLAN_INTERNAL_H

/* Between the files of the plan. */

#include <sys/stat.h>

#include "vmm/oci/plan.h"

#define OCI_WORD_MAX 17u /* bytes of a container's short name with its NUL */

struct oci_planner {
    const struct oci_plan_request *request;
    struct oci_plan *plan;
    grpc_Spec *guest;        /* the copy that becomes the agent's */
    const char *name;        /* of the document, for messages */
    char word[OCI_WORD_MAX]; /* stands for the container in names of exports and folders */
    struct err *err;
};

/* A path of the bundle, opened. */
struct oci_found {
    int fd; /* O_PATH */
    struct stat st;
    char *path; /* absolute, symbolic links resolved */
};

/* "cannot use NAME: PROPERTY: why; what to do". */
int oci_plan_fail(const struct oci_planner *p, int code, const char *property, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
/* Open a path as the caller sees it, relative ones from the bundle. 0, or with the error filled in. */
int oci_plan_find(const struct oci_planner *p, const char *property, const char *path, struct oci_found *out);
void oci_found_release(struct oci_found *found);
/* Add an export; takes found->fd over. *name: borrowed from the plan. */
int oci_plan_export(const struct oci_planner *p, const char *name, bool read_only, struct oci_found *found,
                    const char *property);

/* One more file system for the guest to mount. All texts are copied; options: ended by NULL. */
int oci_plan_storage(grpc_Storage **list, pb_size_t *count, const char *driver, const char *source, const char *fstype,
                     const char *mount_point, const char *const *options);
/* One more of its driver_options, copied. 0 or -ENOMEM. */
int oci_plan_driver_option(grpc_Storage *s, const char *text);

/* Parts of oci_plan_make, each 0 or with the error filled in. */
int oci_plan_root(const struct oci_planner *p, struct oci_found *root);
int oci_plan_mounts(const struct oci_planner *p);
int oci_plan_size(const struct oci_planner *p);
int oci_plan_namespaces(const struct oci_planner *p);

/* Make mount points that are missing in a root folder. What cannot be made is noted. */
void oci_plan_mount_points(const struct oci_planner *p, int root_fd);
bool oci_plan_covers_dev(const grpc_Spec *spec);

/* Replace a string of a message. False: no memory. */
bool oci_plan_set(char **at, const char *text);

#endif
