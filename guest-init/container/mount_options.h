/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_MOUNT_OPTIONS_H
#define CAISSON_GUEST_INIT_CONTAINER_MOUNT_OPTIONS_H

/*
 * The words in a mount's options, sorted by what they become: attributes of the mount (once or recursively), settings
 * of the file system, propagation, or what only a container runtime knows. Unknown words are the file system's.
 * Source: OCI runtime-spec, config.md, Linux mount options; mount(8); mount_setattr(2).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define MOUNT_OPTIONS_MAX   64
#define MOUNT_OPTIONS_BYTES 4096 /* all data words with their commas */

struct mount_options {
    bool bind, recursive, remount;
    bool copy_up;                  /* tmpcopyup */
    bool id_map, id_map_recursive; /* idmap, ridmap */
    uint64_t set, clear;           /* MOUNT_ATTR_*, for the mount itself */
    uint64_t tree_set, tree_clear; /* for it and all below */
    uint64_t propagation;          /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0 */
    bool propagation_recursive;
    const char *flags[MOUNT_OPTIONS_MAX]; /* words of the file system's super block without value: "ro", "sync" */
    size_t flags_count;
    const char *data[MOUNT_OPTIONS_MAX]; /* the file system's own words, "size=64k"; borrowed */
    size_t data_count;
};

/*
 * Sort the words. options: borrowed, and kept in *out. -EINVAL with *err for words that exclude each other or too many
 * of them.
 */
int mount_options_parse(char *const *options, size_t count, struct mount_options *out, struct err *err);

/* A propagation word ("rslave", also ""): MS_* with MS_REC, 0 for NULL or "", -1 for what is none. */
long mount_options_propagation(const char *word);

#endif
