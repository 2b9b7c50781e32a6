/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_STORE_H
#define CAISSON_VMM_OCI_STORE_H

/*
 * Where containers are remembered: one folder for each under --root. That the folder can be made decides between two
 * creates of one name; a lock in it keeps commands that change the container from each other; files in it appear by
 * rename, so that readers need no lock. Everything is reached below descriptors, never by a path that somebody could
 * exchange meanwhile.
 *
 * Source: docs/pod.md, On disk.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define OCI_ROOT_DEFAULT   "/run/caisson"
#define OCI_ID_BYTES_MAX   128u /* that the agent takes */
#define OCI_STORE_IDS_MAX  65536u
#define OCI_FILE_BYTES_MAX (8u << 20)

struct oci_store {
    int fd;     /* of the folder; -1: there is none, so there are no containers */
    char *path; /* absolute */
};

/* One container's folder. Zeroed with fd and lock -1: none. */
struct oci_entry {
    const struct oci_store *store; /* borrowed */
    char *id, *path;               /* path: absolute, of the folder */
    int fd;
    int lock; /* -1: not locked */
};

/* May this be the name of a container? Letters, digits and _ + - . but neither "." nor "..", up to OCI_ID_BYTES_MAX. */
bool oci_id_is_valid(const char *id);

/*
 * Open the folder that --root names. make: create it, mode 0700, with what is missing above. Without make a folder that
 * does not exist is no error. 0, or a negative errno with *err; then there is nothing to close.
 */
int oci_store_open(struct oci_store *s, const char *root, bool make, struct err *err);
void oci_store_close(struct oci_store *s);

/*
 * Names of all containers, sorted; those that are being made as well. The caller releases them with oci_store_free_ids.
 * 0, or a negative errno with *err: a folder with more than OCI_STORE_IDS_MAX entries is refused (-E2BIG).
 */
int oci_store_list(const struct oci_store *s, char ***ids, size_t *count, struct err *err);
void oci_store_free_ids(char **ids, size_t count);

/*
 * Make a container's folder and lock it, so that nobody who holds the store's own lock (flock of its folder, held for
 * this moment) sees the one without the other. 0, or with *err: -EINVAL: no valid name; -EEXIST: there is one ("already
 * exists"); others from the file system, after which nothing is left of it.
 */
int oci_entry_create(const struct oci_store *s, const char *id, struct oci_entry *e, struct err *err);
/*
 * Find a container's folder; lock: and wait up to ten seconds for its lock. 0, or with *err: -ENOENT: there is none
 * ("does not exist"), also if it went away while we waited; -EINVAL: no valid name; -EBUSY: the lock is held.
 */
int oci_entry_open(const struct oci_store *s, const char *id, bool lock, struct oci_entry *e, struct err *err);
/*
 * Find a container's folder and lock it, without waiting, if nobody is at work on it. 0, or with *err as
 * oci_entry_open; -EBUSY: somebody is. After 0 no create of this name is under way: the one that made the folder has
 * ended, or was killed.
 */
int oci_entry_try(const struct oci_store *s, const char *id, struct oci_entry *e, struct err *err);
/* Give lock and descriptors back. Accepts one that was not opened, if it was zeroed with fd and lock -1. */
void oci_entry_close(struct oci_entry *e);
/* Only the lock: others may change the container while we go on reading. */
void oci_entry_unlock(struct oci_entry *e);
/* Remove the folder with all in it; the lock goes last. 0 or a negative errno with *err. The entry is to be closed. */
int oci_entry_remove(struct oci_entry *e, struct err *err);

/*
 * Write a file of the folder: as a temporary one, to the disk, then renamed, so that a full disk leaves what was there.
 * 0, or a negative errno with *err.
 */
int oci_entry_write(struct oci_entry *e, const char *name, const char *bytes, size_t n, struct err *err);
/*
 * Read one, at most OCI_FILE_BYTES_MAX; *bytes is NUL-terminated and the caller's to free. 0, or a negative errno with
 * *err: -EFBIG: too large, -ENOENT.
 */
int oci_entry_read(const struct oci_entry *e, const char *name, char **bytes, size_t *n, struct err *err);

#endif
