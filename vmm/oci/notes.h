/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_NOTES_H
#define CAISSON_VMM_OCI_NOTES_H

/*
 * Warnings of the OCI runtime specification: things about a bundle that do not stop it and that its author should know.
 * They are collected by the functions that read it and belong into the log of the command.
 */

#include <stddef.h>

#define OCI_NOTES_MAX  32u
#define OCI_NOTE_BYTES 256u

/* Zeroed: none. */
struct oci_notes {
    size_t count; /* of `text` */
    size_t lost;  /* that had no room */
    char text[OCI_NOTES_MAX][OCI_NOTE_BYTES];
};

/* Add one; control bytes become '?', what is too long is cut. notes: may be NULL. */
void oci_note(struct oci_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
