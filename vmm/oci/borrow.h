/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_BORROW_H
#define CAISSON_VMM_OCI_BORROW_H

/*
 * A constant string for a message that is only encoded: nanopb's structs have no const members, and encoding does not
 * write to them. Such a message is never released.
 */
static inline char *oci_borrow(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};
    return u.out;
}

#endif
