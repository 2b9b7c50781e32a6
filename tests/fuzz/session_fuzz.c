/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: one end of a session channel against hostile bytes, and the start block.
 *
 * Input: the first byte says which end (bit 0), how it stands (bits 1 and 2: steps of the greeting already taken) and
 * in what pieces the bytes come (bits 3 to 7); the rest is what the other side sends. Checked: events obey their
 * limits, no stream brings more than the window before it is consumed, the output is a sequence of whole frames, and a
 * broken session stays broken.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

struct world {
    struct session s;
    size_t held[SESSION_STREAMS]; /* bytes brought and not consumed */
    struct session_decoder out;
    uint8_t start[SESSION_START_MAX_BYTES];
};

static void give_frame(struct world *w, uint8_t type, const uint8_t *payload, uint16_t length)
{
    uint8_t bytes[SESSION_PREAMBLE_BYTES + 64];
    struct session_event e;
    size_t used, n = 0;
    if (!w->s.decoder.synced) {
        memcpy(bytes, session_preamble, SESSION_PREAMBLE_BYTES);
        n = SESSION_PREAMBLE_BYTES;
    }
    n += session_encode(bytes + n, &(struct session_frame){type, 0, length, payload});
    require(session_receive(&w->s, bytes, n, &used, &e) == 1);
}

/* Go some way into the session, so that short inputs reach every state. */
static void advance(struct world *w, unsigned steps)
{
    static const uint8_t version[2] = {SESSION_VERSION};
    bool host = w->s.role == SESSION_HOST;
    size_t length;
    if (steps >= 1 && host)
        give_frame(w, SESSION_HELLO, version, 2);
    if (steps >= 2 && host)
        give_frame(w, SESSION_READY, NULL, 0);
    if (steps >= 2 && !host)
        session_ready(&w->s);
    if (steps >= 3 && host) {
        (void)session_start(&w->s, version, 1);
        (void)session_output(&w->s, &length);
    }
    if (steps >= 3 && !host)
        give_frame(w, SESSION_START, version, 1);
}

static void check_command(const struct session_command *c, const uint8_t *block, size_t length)
{
    size_t size = length;
    uint8_t *again = malloc(size);
    require(again != NULL && c->argc >= 1);
    /* What was decoded encodes to the same bytes. */
    require(session_command_encode(c, again, size) == (int)length);
    require(memcmp(again, block, length) == 0);
    free(again);
}

static void check_block(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    char **pointers = malloc((size + 2) * sizeof *pointers);
    struct session_command c;
    require(copy != NULL && pointers != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    if (session_command_decode(copy, size, pointers, size + 2, &c) == 0)
        check_command(&c, data, size);
    free(pointers);
    free(copy);
}

static void check_event(struct world *w, const struct session_event *e)
{
    require(e->stream < SESSION_STREAMS && e->data_bytes <= SESSION_START_MAX_BYTES);
    require(e->text_bytes <= SESSION_TEXT_MAX);
    if (e->kind == SESSION_EVENT_DATA) {
        w->held[e->stream] += e->data_bytes;
        require(w->held[e->stream] <= SESSION_WINDOW_BYTES);
        if ((e->data_bytes & 3) == 0) {
            session_consumed(&w->s, e->stream, w->held[e->stream]);
            w->held[e->stream] = 0;
        }
    }
    if (e->kind == SESSION_EVENT_START)
        check_block(e->data, e->data_bytes);
    if (e->kind == SESSION_EVENT_SIGNAL)
        require(e->signal >= 1 && e->signal <= SESSION_SIGNAL_MAX);
}

static void drain(struct world *w)
{
    size_t length, used;
    const uint8_t *bytes = session_output(&w->s, &length);
    for (size_t at = 0; at < length; at += used) {
        struct session_frame f;
        require(session_decode(&w->out, bytes + at, length - at, &used, &f) >= 0);
    }
    require(w->out.have == 0 && w->out.skipped == 0);
    session_output_done(&w->s, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how = size > 0 ? data[0] : 0;
    size_t piece = (size_t)(how >> 3) + 1, used;
    struct world *w = calloc(1, sizeof *w);
    require(w != NULL);
    check_block(data, size);
    session_init(&w->s, (how & 1) != 0 ? SESSION_HOST : SESSION_GUEST, w->start, (how & 1) != 0 ? 0 : sizeof w->start);
    advance(w, (how >> 1) & 3);
    for (size_t at = size > 0; at < size;) {
        struct session_event e;
        size_t length = size - at < piece ? size - at : piece;
        int result = session_receive(&w->s, data + at, length, &used, &e);
        at += used;
        if (result < 0) {
            require(w->s.broken != NULL && session_receive(&w->s, data, size, &used, &e) < 0);
            break;
        }
        if (result > 0)
            check_event(w, &e);
        session_send(&w->s, SESSION_STDIN, data, size);
        session_send(&w->s, SESSION_STDOUT, data, size);
        drain(w);
    }
    drain(w);
    free(w);
    return 0;
}
