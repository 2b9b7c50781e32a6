/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_DEFAULT_SPEC_H
#define CAISSON_VMM_OCI_DEFAULT_SPEC_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"

/* The config.json that `caisson spec` starts a bundle with: a shell on a terminal, its root in rootfs/, read-only.
 * rootless: with a user namespace for the caller. Errors of the stream stay with the stream. */
void oci_default_spec_print(FILE *out, bool rootless);

/*
 * Write it to <bundle>/config.json. bundle: NULL for the working directory. 0, or with *err and nothing written:
 * -EEXIST: there is one already; what open and write say.
 */
int oci_default_spec_write(const char *bundle, bool rootless, struct err *err);

#endif
