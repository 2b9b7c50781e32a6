/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_OCI_BUNDLE_H
#define CAISSON_TESTS_LIB_OCI_BUNDLE_H

/* A bundle in a folder of its own with a folder rootfs, and what came of the last plan for it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "vmm/oci/plan.h"

#define MIB (UINT64_C(1) << 20)

struct bundle_rig {
    char path[64];
    struct oci_spec spec;
    struct oci_config config;
    struct oci_plan_request request;
    struct oci_plan plan;
    struct err err;
};

/* Parts of a configuration; ' stands for ". */
#define NAMESPACES "'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'},{'type':'mount'}]"
#define PROC       "{'destination':'/proc','type':'proc','source':'proc'}"
#define DEV        "{'destination':'/dev','type':'tmpfs','source':'tmpfs'}"

/* Absolute path of something in the bundle. */
void bundle_path(const struct bundle_rig *r, const char *name, char out[512]);
void bundle_make_dir(const struct bundle_rig *r, const char *name);
void bundle_make_file(const struct bundle_rig *r, const char *name, const void *bytes, size_t size);
void bundle_make_link(const struct bundle_rig *r, const char *target, const char *name);
/* Is there something of that type (S_IFDIR, ...)? Links are not followed. */
bool bundle_has(const struct bundle_rig *r, const char *name, mode_t type);
/* For cmocka: *state is a struct bundle_rig with a request for container "c1". */
int bundle_setup(void **state);
int bundle_teardown(void **state);
/* Plan anew for a configuration of these parts; the last plan is released. */
int bundle_plan(struct bundle_rig *r, const char *mounts, const char *root, const char *linux, const char *annotations);
int bundle_plan_mount(struct bundle_rig *r, const char *mount);
int bundle_plan_linux(struct bundle_rig *r, const char *linux);
int bundle_plan_wish(struct bundle_rig *r, const char *annotations);
/* Fail the test if a plan was not made; if it was not refused with that code and words, or left something. */
void bundle_must(const struct bundle_rig *r, int result);
void bundle_refuses(struct bundle_rig *r, int result, int code, const char *words);
/* What the agent would get. */
const grpc_Spec *bundle_guest(const struct bundle_rig *r);
/* Is a path of the guest that of an export? Does a descriptor lead to something in the bundle? */
bool bundle_is_shared(const char *path, const char *export);
bool bundle_leads_to(const struct bundle_rig *r, int fd, const char *name);

#endif
