/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for tests, made by certificates.py with another library: those of a chain (root, node, leaf), whose leaf
 * is the P-256 key of keys.h and whose node is keys_node, and one for each thing that can be wrong with them. They are
 * valid from 2020 to 2040.
 */
#ifndef CAISSON_TESTS_LIB_CERTIFICATES_H
#define CAISSON_TESTS_LIB_CERTIFICATES_H

/* PEM of one, as certificates.py names it; NULL: there is none of that name. */
const char *certificates_pem(const char *name);

#endif
