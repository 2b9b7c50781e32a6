/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_SPEC_H
#define CAISSON_VMM_OCI_SPEC_H

/*
 * Bundles: a folder with config.json, read once and checked as a whole. What comes out is the agent's message, with
 * every value of a known type, range and spelling, so that nobody behind this module has to doubt it again.
 *
 * A bundle may be hostile. The file is a regular one of at most OCI_CONFIG_MAX bytes, at most OCI_VALUES_MAX values and
 * OCI_DEPTH_MAX levels deep; lists are bounded; a property given twice is refused, because readers would differ about
 * it. Unknown properties are ignored and a null is an absent property, as the specification and Go's readers have it.
 *
 * Every refusal names the property: "cannot use /b/config.json: linux.resources.memory.limit: -5 is no limit; ...".
 *
 * Source: OCI runtime specification 1.3, config.md and config-linux.md. No state; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/err.h"
#include "oci.pb.h"
#include "vmm/oci/notes.h"

#define OCI_CONFIG_MAX (4u << 20)
#define OCI_VALUES_MAX 262144u
#define OCI_DEPTH_MAX  32u

/* Versions of the specification that are understood; 1.x beyond the last is tried, with a note. */
#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

#define OCI_MOUNTS_MAX 1024u /* more are refused: each may become an export */

/* config-vm.md: what a bundle wishes for its machine. NULL and 0: nothing. */
struct oci_vm_wish {
    char *kernel;            /* absolute path on the host */
    char *kernel_parameters; /* words, separated by blanks */
    uint32_t vps;
    uint64_t memory_bytes;
};

/* Zeroed: none. oci_spec_release ends it. */
struct oci_spec {
    grpc_Spec spec; /* Root.Path and sources of mounts as the bundle has them */
    char *bundle;   /* absolute path of the folder, symbolic links resolved */
    int bundle_fd;  /* O_PATH of it, or -1: a specification made in memory (oci_spec_parse without a bundle) */
    struct oci_vm_wish vm;
    struct oci_notes notes;
};

/*
 * Read <bundle>/config.json. bundle: path of the folder, absolute or relative to the working directory.
 * out: written whole; on failure it holds nothing. 0, or with *err: -ENOENT: no folder or no config.json; -ENOTDIR,
 * -EACCES, -ELOOP (config.json is a symbolic link), -EINVAL: not a regular file, not JSON, or a value that is refused;
 * -EFBIG: over a limit; -ENOMEM.
 */
int oci_spec_load(const char *bundle, struct oci_spec *out, struct err *err);

/*
 * The same from text. bytes: `size` of them. name: for messages. bundle: folder to which relative paths belong, or NULL
 * (relative paths are then refused by oci_plan_make).
 */
int oci_spec_parse(const char *bytes, size_t size, const char *name, const char *bundle, struct oci_spec *out,
                   struct err *err);

/* Value of an annotation, borrowed from *spec; NULL: not given. */
const char *oci_annotation(const struct oci_spec *spec, const char *key);

/* Accepts a zeroed one and leaves one. */
void oci_spec_release(struct oci_spec *spec);

/*
 * `exec --process FILE`: a process object. notes: may be NULL. out: for pb_release(grpc_Process_fields, out); zeroed on
 * failure. 0 or a negative errno as oci_spec_load.
 */
int oci_process_load(const char *path, grpc_Process *out, struct oci_notes *notes, struct err *err);
/* Check one that was put together from options (`exec -- CMD`), by the same rules; its strings are malloc'ed, as
 * unknown capabilities are freed and left out. name: for messages. */
int oci_process_check(grpc_Process *process, const char *name, struct oci_notes *notes, struct err *err);

/* `update -r FILE`: a resources object. in: a stream that is read to its end, at most OCI_CONFIG_MAX bytes. */
int oci_resources_load(FILE *in, const char *name, grpc_LinuxResources *out, struct err *err);
/* Check one that was put together from options (`update --memory ...`), by the same rules. */
int oci_resources_check(const grpc_LinuxResources *resources, const char *name, struct err *err);

#endif
