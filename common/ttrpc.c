/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ttrpc.h"

#include <errno.h>
#include <pb_common.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "ttrpc.pb.h"

#define FIRST_ROOM     4096u
#define ERROR_TEXT_MAX 4096u

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* ---- Finding frames ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void begin_frame(struct ttrpc_reader *r)
{
    r->have = 0;
    r->done = false;
}

static size_t take_header(struct ttrpc_reader *r, const uint8_t *bytes, size_t n)
{
    size_t taken = smaller(n, TTRPC_HEADER_BYTES - r->have);
    if (taken > 0)
        memcpy(r->raw + r->have, bytes, taken);
    r->have += taken;
    if (r->have == TTRPC_HEADER_BYTES)
        r->header = (struct ttrpc_header){
            .bytes = load_be32(r->raw), .stream = load_be32(r->raw + 4), .type = r->raw[8], .flags = r->raw[9]};
    return taken;
}

/* At least room for `need` bytes, at most for twice as many or the whole payload. */
static int make_room(struct ttrpc_reader *r, size_t need)
{
    if (need <= r->room)
        return 0;
    size_t room = r->room == 0 ? FIRST_ROOM : r->room;
    while (room < need)
        room *= 2;
    uint8_t *grown = realloc(r->payload, room);
    if (grown == NULL)
        return -ENOMEM;
    r->payload = grown;
    r->room = room;
    return 0;
}

static bool is_too_large(const struct ttrpc_reader *r)
{
    return r->header.bytes > (r->max != 0 ? r->max : TTRPC_PAYLOAD_MAX);
}

static int take_payload(struct ttrpc_reader *r, const uint8_t *bytes, size_t n, size_t *taken)
{
    size_t have = r->have - TTRPC_HEADER_BYTES;
    *taken = smaller(n, r->header.bytes - have);
    if (!is_too_large(r)) {
        if (make_room(r, have + *taken) < 0)
            return -ENOMEM;
        if (*taken > 0)
            memcpy(r->payload + have, bytes, *taken);
    }
    r->have += *taken;
    return 0;
}

int ttrpc_reader_take(struct ttrpc_reader *r, const uint8_t *bytes, size_t n, size_t *used)
{
    size_t taken = 0;
    if (r->done)
        begin_frame(r);
    *used = 0;
    if (r->have < TTRPC_HEADER_BYTES)
        *used = take_header(r, bytes, n);
    if (r->have < TTRPC_HEADER_BYTES)
        return TTRPC_MORE;
    if (take_payload(r, bytes + *used, n - *used, &taken) < 0)
        return -ENOMEM;
    *used += taken;
    if (r->have - TTRPC_HEADER_BYTES < r->header.bytes)
        return TTRPC_MORE;
    r->done = true;
    return is_too_large(r) ? TTRPC_OVERSIZED : TTRPC_FRAME;
}

void ttrpc_reader_fini(struct ttrpc_reader *r)
{
    free(r->payload);
    memset(r, 0, sizeof(*r));
}

/* ---- Making frames ---- */

static int encoded_bytes(const pb_msgdesc_t *fields, const void *message, size_t *size)
{
    if (!pb_get_encoded_size(size, fields, message))
        return -EINVAL;
    return *size > TTRPC_PAYLOAD_MAX ? -EMSGSIZE : 0;
}

/* ---- Strings ---- */

static void clean_message(const pb_msgdesc_t *fields, const void *message);

static void clean_texts(const pb_field_iter_t *f, pb_size_t count)
{
    char **texts = f->pData;
    for (pb_size_t i = 0; i < count; i++)
        if (texts[i] != NULL)
            utf8_clean(texts[i]);
}

static void clean_messages(const pb_field_iter_t *f, pb_size_t count)
{
    const char *message = f->pData;
    for (pb_size_t i = 0; i < count; i++)
        clean_message(f->submsg_desc, message + (size_t)i * f->data_size);
}

/* How many there are of a field: elements, or whether it is there. */
static pb_size_t count_of(const pb_field_iter_t *f)
{
    const pb_type_t kind = PB_HTYPE(f->type);
    if (f->pData == NULL || (kind == PB_HTYPE_ONEOF && *(const pb_size_t *)f->pSize != f->tag))
        return 0;
    return kind == PB_HTYPE_REPEATED ? *(const pb_size_t *)f->pSize : 1;
}

static void clean_field(const pb_field_iter_t *f)
{
    const pb_type_t type = PB_LTYPE(f->type);
    const bool pointer = PB_ATYPE(f->type) == PB_ATYPE_POINTER;
    const pb_size_t count = count_of(f);
    if (count > 0 && PB_LTYPE_IS_SUBMSG(type))
        clean_messages(f, count);
    else if (count > 0 && type == PB_LTYPE_STRING && pointer && PB_HTYPE(f->type) == PB_HTYPE_REPEATED)
        clean_texts(f, count);
    else if (count > 0 && type == PB_LTYPE_STRING)
        utf8_clean(f->pData);
}

/*
 * Strings of protobuf are UTF-8, and other libraries refuse a whole message for one byte. Writes only where it is
 * wrong, so that a message may point to constants.
 */
static void clean_message(const pb_msgdesc_t *fields, const void *message)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin_const(&f, fields, message))
        return;
    do
        clean_field(&f);
    while (pb_field_iter_next(&f));
}

/* ---- Writing ---- */

/* A message as nanopb's bytes, to be put into another. */
static int pack_payload(pb_bytes_array_t **out, const pb_msgdesc_t *fields, const void *message)
{
    size_t size = 0;
    int code = encoded_bytes(fields, message, &size);
    if (code < 0)
        return code;
    *out = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(size));
    if (*out == NULL)
        return -ENOMEM;
    pb_ostream_t stream = pb_ostream_from_buffer((*out)->bytes, size);
    (*out)->size = (pb_size_t)size;
    if (pb_encode(&stream, fields, message))
        return 0;
    free(*out);
    *out = NULL;
    return -EINVAL;
}

static int pack_frame(struct ttrpc_frame *out, uint32_t number, enum ttrpc_type type, const pb_msgdesc_t *fields,
                      const void *message)
{
    size_t size = 0;
    int code = encoded_bytes(fields, message, &size);
    if (code < 0)
        return code;
    uint8_t *bytes = malloc(TTRPC_HEADER_BYTES + size);
    if (bytes == NULL)
        return -ENOMEM;
    store_be32(bytes, (uint32_t)size);
    store_be32(bytes + 4, number);
    bytes[8] = (uint8_t)type;
    bytes[9] = 0;
    pb_ostream_t stream = pb_ostream_from_buffer(bytes + TTRPC_HEADER_BYTES, size);
    if (!pb_encode(&stream, fields, message)) {
        free(bytes);
        return -EINVAL;
    }
    *out = (struct ttrpc_frame){.bytes = bytes, .size = TTRPC_HEADER_BYTES + size};
    return 0;
}

int ttrpc_pack_request(struct ttrpc_frame *out, uint32_t stream, const char *service, const char *method,
                       const pb_msgdesc_t *fields, const void *message, int64_t timeout_ns)
{
    ttrpc_Request request = {
        .service = ttrpc_borrow(service), .method = ttrpc_borrow(method), .timeout_nano = timeout_ns};
    int code = pack_payload(&request.payload, fields, message);
    code = code < 0 ? code : pack_frame(out, stream, TTRPC_REQUEST, ttrpc_Request_fields, &request);
    free(request.payload);
    return code;
}

int ttrpc_pack_response(struct ttrpc_frame *out, uint32_t stream, const pb_msgdesc_t *fields, const void *message)
{
    ttrpc_Response response = ttrpc_Response_init_zero;
    clean_message(fields, message);
    int code = pack_payload(&response.payload, fields, message);
    code = code < 0 ? code : pack_frame(out, stream, TTRPC_RESPONSE, ttrpc_Response_fields, &response);
    free(response.payload);
    return code;
}

int ttrpc_pack_error(struct ttrpc_frame *out, uint32_t stream, enum ttrpc_code code, const char *text)
{
    ttrpc_Response response = {.has_status = true, .status = {.code = (int32_t)code}};
    response.status.message = strndup(text, ERROR_TEXT_MAX);
    if (response.status.message == NULL)
        return -ENOMEM;
    utf8_clean(response.status.message);
    int result = pack_frame(out, stream, TTRPC_RESPONSE, ttrpc_Response_fields, &response);
    free(response.status.message);
    return result;
}

/* ---- Reading messages ---- */

int ttrpc_unpack(const pb_msgdesc_t *fields, void *out, const uint8_t *bytes, size_t n)
{
    pb_istream_t stream = pb_istream_from_buffer(bytes, n);
    /* pb_decode sets defaults first, and releases what it allocated when it fails. */
    return pb_decode(&stream, fields, out) ? 0 : -EBADMSG;
}

struct pair {
    int error;
    enum ttrpc_code code;
};

/* The first row of a code is what it means the other way round. */
static const struct pair pairs[] = {
    {0, TTRPC_OK},
    {ECANCELED, TTRPC_CANCELLED},
    {EIO, TTRPC_UNKNOWN},
    {EINVAL, TTRPC_INVALID_ARGUMENT},
    {EBADMSG, TTRPC_INVALID_ARGUMENT},
    {ENAMETOOLONG, TTRPC_INVALID_ARGUMENT},
    {ETIMEDOUT, TTRPC_DEADLINE_EXCEEDED},
    {ENOENT, TTRPC_NOT_FOUND},
    {ESRCH, TTRPC_NOT_FOUND},
    {EEXIST, TTRPC_ALREADY_EXISTS},
    {EPERM, TTRPC_PERMISSION_DENIED},
    {EACCES, TTRPC_PERMISSION_DENIED},
    {ENOSPC, TTRPC_RESOURCE_EXHAUSTED},
    {ENOMEM, TTRPC_RESOURCE_EXHAUSTED},
    {EMSGSIZE, TTRPC_RESOURCE_EXHAUSTED},
    {EBUSY, TTRPC_FAILED_PRECONDITION},
    {ENOKEY, TTRPC_FAILED_PRECONDITION},
    {EINTR, TTRPC_ABORTED},
    {ERANGE, TTRPC_OUT_OF_RANGE},
    {ENOSYS, TTRPC_UNIMPLEMENTED},
    {EOPNOTSUPP, TTRPC_UNIMPLEMENTED},
    {EPROTO, TTRPC_INTERNAL},
    {ECONNREFUSED, TTRPC_UNAVAILABLE},
    {EPIPE, TTRPC_UNAVAILABLE},
    {EAGAIN, TTRPC_UNAVAILABLE},
};

enum ttrpc_code ttrpc_code_of(int error)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i].error == -error)
            return pairs[i].code;
    return TTRPC_INTERNAL;
}

int ttrpc_error_of(int32_t code)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if ((int32_t)pairs[i].code == code)
            return -pairs[i].error;
    return -EIO;
}
