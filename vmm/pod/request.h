/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The words of the control socket (control.h): a request as a struct, and back. Pure functions; whoever can connect may
 * send any bytes.
 */
#ifndef CAISSON_VMM_POD_REQUEST_H
#define CAISSON_VMM_POD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define POD_REQUEST_BYTES 4096u /* of one request, and more than the longest */
#define POD_NAME_MAX      255u  /* of an export */
#define POD_WORD_MAX      1024u /* of a container's or process's id */
#define POD_NONCE_MIN     8u
#define POD_NONCE_MAX     64u

enum pod_verb { POD_EXPORT, POD_UNEXPORT, POD_STATUS, POD_HOLD, POD_DONE, POD_STOP, POD_QUOTE };

struct pod_request {
    enum pod_verb verb;
    char name[POD_NAME_MAX + 1];                              /* POD_EXPORT, POD_UNEXPORT */
    bool read_only;                                           /* POD_EXPORT */
    char container[POD_WORD_MAX + 1], exec[POD_WORD_MAX + 1]; /* POD_HOLD; exec "": the container's first process */
    uint8_t nonce[POD_NONCE_MAX];                             /* POD_QUOTE */
    size_t nonce_bytes;
    bool bind; /* POD_QUOTE: to the agent's key */
};

/* Read n bytes, which need no NUL; one newline at the end is allowed. 0, or -EINVAL with words. */
int pod_request_parse(const char *bytes, size_t n, struct pod_request *out, struct err *err);

/* Write one as text. Returns its length, or -EINVAL with words: a name that is none. out: POD_REQUEST_BYTES. */
int pod_request_format(const struct pod_request *r, char *out, struct err *err);

#endif
