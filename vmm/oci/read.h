/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_READ_H
#define CAISSON_VMM_OCI_READ_H

/*
 * From a JSON tree to a C struct, by tables: a shape lists an object's properties with their types, ranges and places
 * in the struct. The structs are nanopb's: strings are malloc'ed, lists are a pointer and a count, and what was read
 * can be released with pb_release() even if reading stopped half way.
 *
 * The reader knows where in the document it is, so that a refusal can say "mounts[3].destination: ...".
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/oci/notes.h"

#define OCI_NOWHERE SIZE_MAX

enum oci_kind {
    OCI_BOOL,
    OCI_U32,
    OCI_U64,
    OCI_I32,
    OCI_I64,
    OCI_STRING,
    OCI_STRINGS, /* list of strings */
    OCI_U32S,    /* list of numbers */
    OCI_OBJECT,
    OCI_OBJECTS, /* list of objects */
    OCI_KEYED,   /* object of objects, stored as a list; the key goes to key_at of each element */
    OCI_MAP,     /* object of strings, stored as a list of {char *key, *value} */
    OCI_NEVER,   /* nothing that we could serve: refused when given, with `why` */
    OCI_EMPTY,   /* the same, but an empty object or list is fine */
};

struct oci_shape;

struct oci_member {
    const char *key;
    enum oci_kind kind;
    bool required;
    size_t at;      /* offset of the value */
    size_t seen_at; /* of the list's count (pb_size_t), of an object's or value's has_ (bool); OCI_NOWHERE: none */
    uint32_t tag;   /* not 0: seen_at is a oneof's which_, and this its value */
    size_t key_at;
    int64_t min;  /* numbers; both 0: what the kind can hold */
    uint64_t max; /* numbers; most bytes of strings and most elements of lists, 0: OCI_STRING_MAX, OCI_LIST_MAX */
    const char *const *words; /* strings and elements: one of these, or NULL: any */
    const struct oci_shape *shape;
    const char *why;
};

#define OCI_STRING_MAX 4095u
#define OCI_LIST_MAX   4096u

struct oci_shape {
    const struct oci_member *members;
    size_t count;
    size_t size;                /* of the struct */
    void (*init)(void *object); /* sets what properties that are missing mean, if that is not 0; or NULL */
};

#define OCI_READER_PATH_BYTES 192u

struct oci_reader {
    const char *name; /* of the document */
    struct err *err;
    struct oci_notes *notes; /* may be NULL */
    char path[OCI_READER_PATH_BYTES];
};

/* Start: the path is empty, or `root` (may be NULL). */
void oci_reader_init(struct oci_reader *r, const char *name, const char *root, struct oci_notes *notes,
                     struct err *err);

/* Fill *object, zeroed by the caller, from an object. 0, or -EINVAL, -EFBIG, -ENOMEM with *err. */
int oci_read_object(struct oci_reader *r, json_t *json, const struct oci_shape *shape, void *object);

/* Say where the next refusal is. Returns r. */
struct oci_reader *oci_reader_at(struct oci_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Refuse: "cannot use NAME: PATH: ...". The text ends with what to do. Returns -EINVAL. */
int oci_refuse(struct oci_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
