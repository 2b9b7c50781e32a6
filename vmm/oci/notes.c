/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/notes.h"

#include <stdarg.h>

#include "common/text.h"

void oci_note(struct oci_notes *notes, const char *format, ...)
{
    struct text t;
    va_list arguments;
    if (notes == NULL)
        return;
    if (notes->count == OCI_NOTES_MAX) {
        notes->lost++;
        return;
    }
    text_init(&t, notes->text[notes->count++], OCI_NOTE_BYTES);
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
}
