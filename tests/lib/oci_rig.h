/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_OCI_RIG_H
#define CAISSON_TESTS_LIB_OCI_RIG_H

/*
 * Container commands on a folder of their own, with output in memory, and containers that consist of what is remembered
 * of them and of a child of the test as their process. No pod runs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vmm/cli.h"
#include "vmm/oci/state.h"

#define OCI_RIG_CHILDREN_MAX 8

struct oci_rig {
    char root[64];
    struct cli_global global;
    struct cli_io io;
    char *out, *err;
    size_t out_size, err_size;
    pid_t children[OCI_RIG_CHILDREN_MAX];
    unsigned child_count;
};

/* cmocka's fixtures. */
int oci_rig_set_up(void **state);
int oci_rig_tear_down(void **state);

/* Run a command: words with blanks between them. What it printed is in r->out and r->err until the next one. */
int oci_rig_run(struct oci_rig *r, int (*command)(const struct cli_io *io, int argc, char **argv), const char *line);

/* A process that stays until the rig ends, and its description. */
struct oci_process oci_rig_process(struct oci_rig *r);

/* Remember a container. lives: with a process. Its pod's folder is there and empty. */
void oci_rig_add(struct oci_rig *r, const char *id, bool lives, bool started, bool paused);

/* Read what is remembered of one. The caller releases it. */
int oci_rig_load(struct oci_rig *r, const char *id, struct oci_state *out);

#endif
