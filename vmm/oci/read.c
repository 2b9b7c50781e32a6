/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/read.h"

#include <errno.h>
#include <pb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/oci_names.h"
#include "common/text.h"
#include "vmm/oci/json.h"

#define KEY_SHOWN_BYTES 40 /* of a property's name that a stranger chose */

/* A JSON whole number: up to 64 bits and a sign. */
struct number {
    bool negative;
    uint64_t magnitude;
};

struct pair {
    char *key, *value;
};

void oci_reader_init(struct oci_reader *r, const char *name, const char *root, struct oci_notes *notes, struct err *err)
{
    *r = (struct oci_reader){.name = name, .notes = notes, .err = err};
    if (root != NULL)
        oci_reader_at(r, "%s", root);
}

struct oci_reader *oci_reader_at(struct oci_reader *r, const char *format, ...)
{
    struct text t;
    va_list arguments;
    text_init(&t, r->path, sizeof r->path);
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    return r;
}

static int fail(struct oci_reader *r, int code, const char *text)
{
    const struct err_context c = {"use", r->name, NULL};
    return err_fail_because(r->err, code, &c, "%s%s%s", r->path, r->path[0] != '\0' ? ": " : "", text);
}

int oci_refuse(struct oci_reader *r, const char *format, ...)
{
    char buffer[ERR_TEXT_BYTES];
    struct text t;
    va_list arguments;
    text_init(&t, buffer, sizeof buffer);
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    return fail(r, -EINVAL, buffer);
}

static int out_of_memory(struct oci_reader *r)
{
    return fail(r, -ENOMEM, "out of memory; free some");
}

/* Go one level down; the result is for leave(). */
static size_t enter(struct oci_reader *r, const char *key)
{
    size_t length = strlen(r->path);
    struct text t = {.start = r->path, .size = sizeof r->path, .length = length};
    text_add(&t, "%s%.*s", length > 0 ? "." : "", KEY_SHOWN_BYTES, key);
    return length;
}

static size_t enter_element(struct oci_reader *r, size_t index)
{
    size_t length = strlen(r->path);
    struct text t = {.start = r->path, .size = sizeof r->path, .length = length};
    text_add(&t, "[%zu]", index);
    return length;
}

static void leave(struct oci_reader *r, size_t length)
{
    r->path[length] = '\0';
}

static const char *type_name(json_t *json)
{
    if (json_is_string(json) && json_string_value(json)[0] == OCI_JSON_NUMBER)
        return "a number";
    switch (json_typeof(json)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL:
    default: return "null";
    }
}

static int wrong_type(struct oci_reader *r, json_t *json, const char *wanted)
{
    return oci_refuse(r, "it is %s; it must be %s", type_name(json), wanted);
}

/* ---- Numbers ---- */

static bool parse_long(const char *text, struct number *out)
{
    char *end;
    out->negative = text[0] == '-';
    text += out->negative;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
    }
    errno = 0;
    out->magnitude = strtoull(text, &end, 10);
    return errno == 0 && end > text;
}

static int read_number(struct oci_reader *r, json_t *json, struct number *out)
{
    if (json_is_integer(json)) {
        json_int_t value = json_integer_value(json);
        *out = (struct number){value < 0, value < 0 ? (uint64_t)-value : (uint64_t)value};
        return 0;
    }
    if (!json_is_string(json) || json_string_value(json)[0] != OCI_JSON_NUMBER)
        return wrong_type(r, json, "a whole number");
    const char *text = json_string_value(json) + 1;
    if (!parse_long(text, out))
        return oci_refuse(r, "%.40s does not fit into 64 bits; give a smaller number", text);
    return 0;
}

struct range {
    int64_t min;
    uint64_t max;
};

static struct range range_of(const struct oci_member *m)
{
    static const struct range of[] = {
        [OCI_U32] = {0, UINT32_MAX},        [OCI_U32S] = {0, UINT32_MAX},       [OCI_U64] = {0, UINT64_MAX},
        [OCI_I32] = {INT32_MIN, INT32_MAX}, [OCI_I64] = {INT64_MIN, INT64_MAX},
    };
    if (m->kind != OCI_U32S && (m->min != 0 || m->max != 0))
        return (struct range){m->min, m->max};
    return of[m->kind];
}

static bool below(struct number n, int64_t min)
{
    uint64_t least = min < 0 ? -(uint64_t)min : (uint64_t)min;
    if (n.negative)
        return min >= 0 || n.magnitude > least;
    return min > 0 && n.magnitude < least;
}

/* As an unsigned value with the sign folded in: what its low bits are in any of the integer types. */
static int read_in_range(struct oci_reader *r, json_t *json, const struct oci_member *m, uint64_t *out)
{
    struct number n = {false, 0};
    struct range range = range_of(m);
    int result = read_number(r, json, &n);
    if (result != 0)
        return result;
    if (below(n, range.min) || (!n.negative && n.magnitude > range.max))
        return oci_refuse(r, "%s%llu is out of range; give %lld to %llu", n.negative ? "-" : "",
                          (unsigned long long)n.magnitude, (long long)range.min, (unsigned long long)range.max);
    *out = n.negative ? -n.magnitude : n.magnitude;
    return 0;
}

static int read_integer(struct oci_reader *r, json_t *json, const struct oci_member *m, void *at)
{
    uint64_t value;
    int result = read_in_range(r, json, m, &value);
    if (result != 0)
        return result;
    if (m->kind == OCI_U64 || m->kind == OCI_I64)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    return 0;
}

/* ---- Strings ---- */

static int refuse_word(struct oci_reader *r, const char *word, const char *const *words)
{
    char list[160];
    struct text t;
    text_init(&t, list, sizeof list);
    for (size_t i = 0; words[i] != NULL; i++)
        text_add(&t, "%s%s", i > 0 ? ", " : "", words[i]);
    return oci_refuse(r, "'%.60s' is not known; give one of %s", word, list);
}

static int read_string(struct oci_reader *r, json_t *json, size_t max, const char *const *words, char **out)
{
    if (!json_is_string(json) || json_string_value(json)[0] == OCI_JSON_NUMBER)
        return wrong_type(r, json, "a string");
    const char *text = json_string_value(json);
    if (json_string_length(json) > max)
        return oci_refuse(r, "it has %zu bytes; give at most %zu", json_string_length(json), max);
    if (words != NULL && oci_name_find(words, text) < 0)
        return refuse_word(r, text, words);
    *out = strdup(text);
    return *out != NULL ? 0 : out_of_memory(r);
}

/* ---- Lists ---- */

static int begin_list(struct oci_reader *r, size_t count, size_t max, size_t size, void *list, void *seen)
{
    if (count > max)
        return oci_refuse(r, "it has %zu elements; give at most %zu", count, max);
    void *elements = count > 0 ? calloc(count, size) : NULL;
    if (count > 0 && elements == NULL)
        return out_of_memory(r);
    memcpy(list, &elements, sizeof elements);
    *(pb_size_t *)seen = (pb_size_t)count;
    return 0;
}

static size_t list_max(const struct oci_member *m)
{
    return m->max != 0 ? (size_t)m->max : OCI_LIST_MAX;
}

/* Arguments of programs may be as long as the kernel takes them; so the lists that may be long have long strings. */
static size_t element_max(const struct oci_member *m)
{
    return list_max(m) > OCI_LIST_MAX ? 131071 : OCI_STRING_MAX;
}

static size_t element_size(const struct oci_member *m)
{
    switch (m->kind) {
    case OCI_STRINGS: return sizeof(char *);
    case OCI_U32S: return sizeof(uint32_t);
    case OCI_MAP: return sizeof(struct pair);
    default: return m->shape->size;
    }
}

static int read_element(struct oci_reader *r, json_t *json, const struct oci_member *m, void *at)
{
    if (m->kind == OCI_STRINGS)
        return read_string(r, json, element_max(m), m->words, at);
    if (m->kind == OCI_U32S)
        return read_integer(r, json, m, at);
    return oci_read_object(r, json, m->shape, at);
}

static int read_list(struct oci_reader *r, json_t *json, const struct oci_member *m, void *list, void *seen)
{
    if (!json_is_array(json))
        return wrong_type(r, json, "a list");
    size_t count = json_array_size(json), size = element_size(m);
    int result = begin_list(r, count, list_max(m), size, list, seen);
    for (size_t i = 0; i < count && result == 0; i++) {
        size_t length = enter_element(r, i);
        result = read_element(r, json_array_get(json, i), m, *(char **)list + i * size);
        leave(r, length);
    }
    return result;
}

static int read_entry(struct oci_reader *r, const char *key, json_t *json, const struct oci_member *m, char *at)
{
    if (key[0] == '\0')
        return oci_refuse(r, "a property has an empty name; give it one");
    char **name = (char **)(void *)(at + m->key_at);
    *name = strdup(key);
    if (*name == NULL)
        return out_of_memory(r);
    if (m->kind == OCI_KEYED)
        return oci_read_object(r, json, m->shape, at);
    return read_string(r, json, 262144, NULL, &((struct pair *)(void *)at)->value);
}

static int read_map(struct oci_reader *r, json_t *json, const struct oci_member *m, void *list, void *seen)
{
    const char *key;
    json_t *value;
    size_t i = 0, size = element_size(m);
    if (!json_is_object(json))
        return wrong_type(r, json, "an object");
    int result = begin_list(r, json_object_size(json), list_max(m), size, list, seen);
    if (result != 0)
        return result;
    json_object_foreach(json, key, value)
    {
        size_t length = enter(r, key);
        result = read_entry(r, key, value, m, *(char **)list + i++ * size);
        leave(r, length);
        if (result != 0)
            break;
    }
    return result;
}

/* ---- Objects ---- */

static int read_refused(struct oci_reader *r, json_t *json, const struct oci_member *m)
{
    if (m->kind == OCI_EMPTY && (json_is_object(json) || json_is_array(json)) && json_object_size(json) == 0 &&
        json_array_size(json) == 0)
        return 0;
    return oci_refuse(r, "%s", m->why);
}

static int read_value(struct oci_reader *r, json_t *json, const struct oci_member *m, char *object)
{
    void *at = object + m->at;
    switch (m->kind) {
    case OCI_BOOL:
        if (!json_is_boolean(json))
            return wrong_type(r, json, "true or false");
        *(bool *)at = json_is_true(json);
        return 0;
    case OCI_U32:
    case OCI_I32:
    case OCI_U64:
    case OCI_I64: return read_integer(r, json, m, at);
    case OCI_STRING: return read_string(r, json, m->max != 0 ? (size_t)m->max : OCI_STRING_MAX, m->words, at);
    case OCI_OBJECT: return oci_read_object(r, json, m->shape, at);
    case OCI_STRINGS:
    case OCI_U32S:
    case OCI_OBJECTS: return read_list(r, json, m, at, object + m->seen_at);
    case OCI_KEYED:
    case OCI_MAP: return read_map(r, json, m, at, object + m->seen_at);
    case OCI_NEVER:
    case OCI_EMPTY:
    default: return read_refused(r, json, m);
    }
}

static void mark_seen(const struct oci_member *m, char *object)
{
    bool list = m->kind == OCI_STRINGS || m->kind == OCI_U32S || m->kind == OCI_OBJECTS || m->kind == OCI_KEYED ||
                m->kind == OCI_MAP;
    if (list || m->seen_at == OCI_NOWHERE)
        return;
    if (m->tag != 0)
        *(pb_size_t *)(void *)(object + m->seen_at) = m->tag;
    else
        *(bool *)(object + m->seen_at) = true;
}

static int read_member(struct oci_reader *r, json_t *json, const struct oci_member *m, char *object)
{
    size_t length = enter(r, m->key);
    int result = 0;
    if (json == NULL || json_is_null(json)) {
        if (m->required)
            result = oci_refuse(r, "it is missing; add it");
    } else {
        mark_seen(m, object);
        result = read_value(r, json, m, object);
    }
    leave(r, length);
    return result;
}

int oci_read_object(struct oci_reader *r, json_t *json, const struct oci_shape *shape, void *object)
{
    if (!json_is_object(json))
        return wrong_type(r, json, "an object");
    if (shape->init != NULL)
        shape->init(object);
    for (size_t i = 0; i < shape->count; i++) {
        const struct oci_member *m = &shape->members[i];
        int result = read_member(r, json_object_get(json, m->key), m, object);
        if (result != 0)
            return result;
    }
    return 0;
}
