/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_SHAPES_H
#define CAISSON_VMM_OCI_SHAPES_H

/* Tables of what a configuration may hold, for read.h. Source: OCI runtime specification 1.3, config*.md, schema/. */

#include <pb.h>

#include "vmm/oci/read.h"

#define OCI_MAPPINGS_MAX 340u /* of a user namespace, as the kernel has it */

/* config.json without "vm": grpc_Spec. */
extern const struct oci_shape oci_shape_spec;
extern const struct oci_shape oci_shape_process;   /* grpc_Process */
extern const struct oci_shape oci_shape_resources; /* grpc_LinuxResources */
extern const struct oci_shape oci_shape_mapping;   /* grpc_LinuxIDMapping */
extern const struct oci_shape oci_shape_linux;     /* grpc_Linux; shapes_linux.c */

/* "vm" of config-vm.md. */
struct oci_vm {
    bool has_kernel;
    struct oci_vm_kernel {
        char *path;
        char **parameters;
        pb_size_t parameters_count;
    } kernel;
    bool has_hardware;
    struct oci_vm_hardware {
        uint32_t vcpus;
        uint64_t memory;
    } hardware;
};
extern const struct oci_shape oci_shape_vm;

/* Rows of the tables: type of the struct, name of the property, its kind, field of the struct. */
#define OCI_VALUE(type, name, value_kind, field)                                                                       \
    .key = name, .kind = OCI_##value_kind, .at = offsetof(type, field), .seen_at = OCI_NOWHERE
#define OCI_PART(type, name, field, its_shape)                                                                         \
    .key = name, .kind = OCI_OBJECT, .at = offsetof(type, field), .seen_at = offsetof(type, has_##field),              \
    .shape = &(its_shape)
#define OCI_LIST(type, name, list_kind, field)                                                                         \
    .key = name, .kind = OCI_##list_kind, .at = offsetof(type, field), .seen_at = offsetof(type, field##_count)
#define OCI_REFUSED(name, how, reason) .key = name, .kind = OCI_##how, .seen_at = OCI_NOWHERE, .why = reason
#define OCI_SHAPE(type, members_of)                                                                                    \
    .members = (members_of), .count = sizeof(members_of) / sizeof((members_of)[0]), .size = sizeof(type)

#endif
