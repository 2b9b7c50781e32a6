/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_JSON_H
#define CAISSON_VMM_OCI_JSON_H

/*
 * JSON of strangers: text of bounded size, depth and number of values becomes jansson's tree.
 *
 * jansson's integers are those of int64_t, and configurations do hold 18446744073709551615 (a resource limit that is
 * none). Whole numbers with 19 or more digits therefore arrive as strings that begin with OCI_JSON_NUMBER: read.h.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "common/err.h"

/* U+0001: no text of a configuration has a reason to begin with it. */
#define OCI_JSON_NUMBER '\1'

struct oci_json_limits {
    size_t bytes, values;
    unsigned depth;
};

/*
 * Parse text. name: for messages. *out: for json_decref. 0, or with *err: -EFBIG: over a limit; -EINVAL: no JSON, not
 * UTF-8, a NUL in a string, a property given twice; -ENOMEM.
 */
int oci_json_parse(const char *bytes, size_t size, const struct oci_json_limits *limits, const char *name, json_t **out,
                   struct err *err);

/*
 * Read a stream to its end, at most `max` bytes. *bytes: malloc'ed, with a NUL behind it. 0, or with *err: -EFBIG; what
 * read says.
 */
int oci_text_read(FILE *in, size_t max, const char *name, char **bytes, size_t *size, struct err *err);

/*
 * Open a regular file for reading without being held up by a FIFO or sent elsewhere by a symbolic link.
 * folder_fd: AT_FDCWD or a folder. flags: more flags for open(2), such as O_NOFOLLOW. 0 with *out, which the caller
 * closes, or a negative errno with *err (-EINVAL: no regular file).
 */
int oci_text_open(int folder_fd, const char *path, int flags, const char *name, FILE **out, struct err *err);

#endif
