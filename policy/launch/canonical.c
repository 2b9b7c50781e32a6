/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/launch/policy.h"

/* RFC 7493, 2.2: what a double, and so every reader, holds exactly. */
#define INTEGER_MAX INT64_C(9007199254740991)

struct canonical {
    char *bytes;
    size_t length, size;
    int code; /* of the first failure; nothing is added after it */
};

/* What a container's description takes, mostly. */
#define FIRST_BYTES 4096u

/* An object's keys lie here while they are sorted, unless there are more. */
#define KEYS_MAX 32u

/* Room for n bytes more and a NUL. */
static bool grow(struct canonical *c, size_t n)
{
    size_t size = (c->size + n) * 2 + FIRST_BYTES;
    char *larger = realloc(c->bytes, size);
    if (larger == NULL) {
        c->code = -ENOMEM;
        return false;
    }
    c->bytes = larger;
    c->size = size;
    return true;
}

static void put(struct canonical *c, const char *bytes, size_t n)
{
    if (c->code != 0 || (c->size - c->length <= n && !grow(c, n)))
        return;
    memcpy(c->bytes + c->length, bytes, n);
    c->length += n;
    c->bytes[c->length] = '\0';
}

static void put_text(struct canonical *c, const char *text)
{
    put(c, text, strlen(text));
}

/* Most of a text's punctuation, in a guest whose processor is emulated. */
static inline void put_byte(struct canonical *c, char byte)
{
    if (c->code != 0 || c->size - c->length <= 1) {
        put(c, &byte, 1);
        return;
    }
    c->bytes[c->length++] = byte;
    c->bytes[c->length] = '\0';
}

/* RFC 8785, 3.2.2.2: the short escapes, \u00xx for other control characters, everything else as it is. */
static void put_escaped(struct canonical *c, unsigned char byte)
{
    static const char letters[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char escape[8];
    if (byte == '"' || byte == '\\')
        (void)snprintf(escape, sizeof escape, "\\%c", byte);
    else if (letters[byte] != '\0')
        (void)snprintf(escape, sizeof escape, "\\%c", letters[byte]);
    else
        (void)snprintf(escape, sizeof escape, "\\u%04x", byte);
    put_text(c, escape);
}

static void put_string(struct canonical *c, const char *text, size_t n)
{
    size_t from = 0;
    put_byte(c, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        put(c, text + from, i - from);
        put_escaped(c, byte);
        from = i + 1;
    }
    put(c, text + from, n - from);
    put_byte(c, '"');
}

static void put_integer(struct canonical *c, json_int_t value)
{
    char text[32];
    if (value > INTEGER_MAX || value < -INTEGER_MAX) {
        c->code = c->code != 0 ? c->code : -EINVAL;
        return;
    }
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, value);
    put_text(c, text);
}

/* ---- Objects ---- */

/*
 * The place of a byte among those that begin a character, in the order of UTF-16: characters from U+10000 on, which
 * begin with F0 and more, are pairs of D800..DFFF there and come before U+E000, which begins with EE.
 */
static int rank(unsigned char byte)
{
    return byte == 0xee || byte == 0xef ? byte + 0x10 : byte;
}

static int compare_keys(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    const unsigned char *l = (const unsigned char *)*left, *r = (const unsigned char *)*right;
    while (*l != '\0' && *l == *r) {
        l++;
        r++;
    }
    return rank(*l) - rank(*r);
}

static void put_value(struct canonical *c, const json_t *value);

static void put_members(struct canonical *c, const json_t *object, const char **keys)
{
    size_t count = 0;
    for (void *i = json_object_iter((json_t *)(uintptr_t)object); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)object, i))
        keys[count++] = json_object_iter_key(i);
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count && c->code == 0; i++) {
        if (i > 0)
            put_byte(c, ',');
        put_string(c, keys[i], strlen(keys[i]));
        put_byte(c, ':');
        put_value(c, json_object_get(object, keys[i]));
    }
}

static void put_object(struct canonical *c, const json_t *object)
{
    const char *few[KEYS_MAX];
    const size_t count = json_object_size(object);
    const char **keys = count <= KEYS_MAX ? few : calloc(count, sizeof *keys);
    if (keys == NULL) {
        c->code = c->code != 0 ? c->code : -ENOMEM;
        return;
    }
    put_byte(c, '{');
    put_members(c, object, keys);
    put_byte(c, '}');
    if (keys != few)
        free(keys);
}

static void put_array(struct canonical *c, const json_t *array)
{
    put_byte(c, '[');
    for (size_t i = 0; i < json_array_size(array) && c->code == 0; i++) {
        if (i > 0)
            put_byte(c, ',');
        put_value(c, json_array_get(array, i));
    }
    put_byte(c, ']');
}

/* As deep as the value: what was parsed has at most 32 levels, what is made here fewer. */
static void put_value(struct canonical *c, const json_t *value)
{
    switch (value != NULL ? json_typeof(value) : JSON_REAL) {
    case JSON_OBJECT: put_object(c, value); break;
    case JSON_ARRAY: put_array(c, value); break;
    case JSON_STRING: put_string(c, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: put_integer(c, json_integer_value(value)); break;
    case JSON_TRUE: put_text(c, "true"); break;
    case JSON_FALSE: put_text(c, "false"); break;
    case JSON_NULL: put_text(c, "null"); break;
    case JSON_REAL: c->code = c->code != 0 ? c->code : -EINVAL; break;
    }
}

int policy_canonical(const json_t *value, char **out, size_t *length, struct err *err)
{
    const struct err_context form = {"write canonical JSON", NULL, "use whole numbers of at most 2^53 - 1"};
    const struct err_context memory = {"write canonical JSON", NULL, "free some memory"};
    struct canonical c = {.bytes = NULL};
    put_value(&c, value);
    *out = NULL;
    if (c.code != 0) {
        free(c.bytes);
        return c.code == -ENOMEM ? err_fail(err, c.code, &memory)
                                 : err_fail_because(err, c.code, &form, "a number has a fraction or is too large");
    }
    *out = c.bytes;
    *length = c.length;
    return 0;
}
