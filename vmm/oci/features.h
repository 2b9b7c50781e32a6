/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_FEATURES_H
#define CAISSON_VMM_OCI_FEATURES_H

#include <stdio.h>

/* `caisson features`: what features.md of the OCI runtime specification wants. Errors of the stream stay with it. */
void oci_features_print(FILE *out);

#endif
