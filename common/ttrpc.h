/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_TTRPC_H
#define CAISSON_COMMON_TTRPC_H

/*
 * ttrpc, the protocol of the agent: frames over a byte stream, each with a protobuf message. This module makes frames
 * and finds them in what was read; it does no input or output, and both ends use it.
 *
 *     u32 length of the payload | u32 stream | u8 type | u8 flags | payload          (big endian)
 *
 * A client opens streams with odd numbers, each larger than the last, and sends one REQUEST on it; the server answers
 * with one RESPONSE with the same number, in any order. Streaming calls (DATA frames) are not used by the agent.
 *
 * Bounds: a payload has at most TTRPC_PAYLOAD_MAX bytes. A larger one is skipped without being stored, so that its
 * stream can be refused and the others go on. Memory for a payload grows with what has arrived, not with what the
 * header promises.
 *
 * No state but in the structs; no thread, no lock. Source: containerd/ttrpc, PROTOCOL.md.
 */

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTRPC_HEADER_BYTES 10u
#define TTRPC_PAYLOAD_MAX  (4u << 20)

enum ttrpc_type {
    TTRPC_REQUEST = 1,
    TTRPC_RESPONSE = 2,
    TTRPC_DATA = 3,
};

/* Numbers of gRPC's status codes. */
enum ttrpc_code {
    TTRPC_OK = 0,
    TTRPC_CANCELLED = 1,
    TTRPC_UNKNOWN = 2,
    TTRPC_INVALID_ARGUMENT = 3,
    TTRPC_DEADLINE_EXCEEDED = 4,
    TTRPC_NOT_FOUND = 5,
    TTRPC_ALREADY_EXISTS = 6,
    TTRPC_PERMISSION_DENIED = 7,
    TTRPC_RESOURCE_EXHAUSTED = 8,
    TTRPC_FAILED_PRECONDITION = 9,
    TTRPC_ABORTED = 10,
    TTRPC_OUT_OF_RANGE = 11,
    TTRPC_UNIMPLEMENTED = 12,
    TTRPC_INTERNAL = 13,
    TTRPC_UNAVAILABLE = 14,
};

struct ttrpc_header {
    uint32_t bytes; /* of the payload */
    uint32_t stream;
    uint8_t type, flags;
};

/* ---- Finding frames ---- */

/* Zeroed: ready. The caller owns it; ttrpc_reader_fini releases what it holds. */
struct ttrpc_reader {
    struct ttrpc_header header; /* of the frame that is complete, or under way */
    uint8_t *payload;           /* of a complete frame: header.bytes bytes, valid until the next call; NULL: none */
    uint32_t max;               /* larger payloads are skipped; 0: TTRPC_PAYLOAD_MAX */
    uint8_t raw[TTRPC_HEADER_BYTES];
    size_t have; /* bytes of header and payload that have arrived */
    size_t room; /* of payload */
    bool done;   /* the frame was handed out */
};

enum ttrpc_found {
    TTRPC_MORE,      /* all bytes were used and the frame is not complete */
    TTRPC_FRAME,     /* header and payload are a frame */
    TTRPC_OVERSIZED, /* a frame larger than max was skipped; header is its header, there is no payload */
};

/*
 * Take bytes of the stream. *used: how many were taken; call again with the rest after a frame. Returns a ttrpc_found,
 * or -ENOMEM, after which the stream cannot be continued.
 */
int ttrpc_reader_take(struct ttrpc_reader *r, const uint8_t *bytes, size_t n, size_t *used);
void ttrpc_reader_fini(struct ttrpc_reader *r);

/* ---- Making frames ---- */

/* Header and payload as they travel; the caller frees bytes with free(). */
struct ttrpc_frame {
    uint8_t *bytes;
    size_t size;
};

/*
 * A constant string for a message that is only encoded: nanopb's structs have no const members, and encoding does not
 * write to them. Such a message is never released.
 */
static inline char *ttrpc_borrow(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};
    return u.out;
}

/* A call. message: the method's argument, a nanopb struct with its descriptor. timeout_ns: 0 for none. 0, or -ENOMEM,
 * -EMSGSIZE: larger than a frame may be, -EINVAL: nanopb refused it. */
int ttrpc_pack_request(struct ttrpc_frame *out, uint32_t stream, const char *service, const char *method,
                       const pb_msgdesc_t *fields, const void *message, int64_t timeout_ns);
/*
 * The answer to a call that worked. Bytes of its strings that are no UTF-8 become '?', in the message itself, as no
 * client could read it otherwise. Errors as above.
 */
int ttrpc_pack_response(struct ttrpc_frame *out, uint32_t stream, const pb_msgdesc_t *fields, const void *message);
/* The answer to one that did not. text: for people, cut at 4 KiB. 0 or -ENOMEM. */
int ttrpc_pack_error(struct ttrpc_frame *out, uint32_t stream, enum ttrpc_code code, const char *text);

/* ---- Reading messages ---- */

/*
 * Decode a message that nanopb allocates for. out: zeroed by this; on success the caller releases it with
 * pb_release(fields, out). 0, or -EBADMSG with *out released.
 */
int ttrpc_unpack(const pb_msgdesc_t *fields, void *out, const uint8_t *bytes, size_t n);

/* The status code that says best what a negative errno means, and the other way round (negative errno; 0 for OK). */
enum ttrpc_code ttrpc_code_of(int error);
int ttrpc_error_of(int32_t code);

#endif
