/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_OCI_TEXT_H
#define CAISSON_TESTS_LIB_OCI_TEXT_H

/* Texts of configurations to test with: one that has nearly everything, and the same with one value changed. */

/* The caller frees them. */
char *oci_base_text(void);
/*
 * path: names and indices between slashes; what is missing on the way is made. value: JSON with ' for ", or NULL to
 * remove the property; numbers that are too long for jansson stand as "#digits".
 */
char *oci_base_changed(const char *path, const char *value);

#endif
