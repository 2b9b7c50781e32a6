/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/jose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/base64.h"

static bool is_listed(const char *name, const char *const *members)
{
    for (; *members != NULL; members++)
        if (strcmp(name, *members) == 0)
            return true;
    return false;
}

static bool has_only(json_t *object, const char *const *members)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) if (!is_listed(name, members)) return false;
    return json_is_object(object);
}

int jose_header_read(const char *text, size_t n, const char *const *members, json_t **out)
{
    uint8_t bytes[JOSE_HEADER_MAX];
    json_error_t error;
    int64_t length = n <= JOSE_HEADER_MAX ? base64_url_decode(text, n, bytes) : -EBADMSG;
    if (length < 0)
        return -EBADMSG;
    json_t *object = json_loadb((const char *)bytes, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    if (has_only(object, members)) {
        *out = object;
        return 0;
    }
    json_decref(object);
    return -EBADMSG;
}

const char *jose_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool jose_text_or_nothing(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return value == NULL || json_is_string(value);
}

int64_t jose_bytes(const json_t *object, const char *name, uint8_t *out, size_t size)
{
    const json_t *value = json_object_get(object, name);
    size_t n = json_string_length(value);
    if (!json_is_string(value) || n * 3 / 4 > size)
        return -EBADMSG;
    return base64_url_decode(json_string_value(value), n, out);
}

static bool says(const json_t *object, const char *name, const char *wanted)
{
    const char *text = jose_text(object, name);
    return text != NULL && strcmp(text, wanted) == 0;
}

int jose_key_read(const json_t *object, struct pubkey **out)
{
    uint8_t xy[64];
    if (json_object_size(object) != 4 || !says(object, "kty", "EC") || !says(object, "crv", "P-256"))
        return -EBADMSG;
    if (jose_bytes(object, "x", xy, 32) != 32 || jose_bytes(object, "y", xy + 32, 32) != 32)
        return -EBADMSG;
    int code = pubkey_from_raw(KEY_P256, xy, 64, out, NULL);
    return code == -EINVAL ? -EBADMSG : code;
}

size_t jose_key_write(const struct pubkey *key, char out[JOSE_KEY_MAX])
{
    uint8_t raw[KEY_SIGNATURE_MAX];
    char first[BASE64_LENGTH(KEY_SIGNATURE_MAX) + 1], second[BASE64_LENGTH(48) + 1];
    size_t n = pubkey_raw(key, raw);
    if (pubkey_kind(key) == KEY_RSA) {
        base64_url_encode(raw, n, first);
        return (size_t)snprintf(out, JOSE_KEY_MAX, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"%s\"}", first);
    }
    base64_url_encode(raw, n / 2, first);
    base64_url_encode(raw + n / 2, n / 2, second);
    return (size_t)snprintf(out, JOSE_KEY_MAX, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                            pubkey_kind(key) == KEY_P256 ? "P-256" : "P-384", first, second);
}
