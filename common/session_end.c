/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a session channel: what may come in which state, credits, and what waits to be sent. */
#include "common/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"

/* Data leaves this much of the output to frames without a credit of their own. */
#define CONTROL_BYTES 1024u
#define CREDIT_BYTES  5u
/* Given back in larger steps than single reads, so that credits are a small part of the traffic. */
#define CREDIT_STEP (SESSION_WINDOW_BYTES / 4)

static const uint8_t stream_types[SESSION_STREAMS] = {SESSION_IN, SESSION_OUT, SESSION_ERR};

/* Does this side send the stream? */
static bool sends(const struct session *s, enum session_stream stream)
{
    return (s->role == SESSION_HOST) == (stream == SESSION_STDIN);
}

void session_init(struct session *s, enum session_role role, uint8_t *start_buffer, size_t bytes)
{
    memset(s, 0, sizeof *s);
    s->role = role;
    s->start_buffer = start_buffer;
    s->start_bytes = bytes;
    for (int i = 0; i < SESSION_STREAMS; i++) {
        s->flow[i].credit = SESSION_WINDOW_BYTES;
    }
    if (role == SESSION_GUEST) {
        uint8_t version[2];
        bytes_store_le16(version, SESSION_VERSION);
        struct session_frame hello = {.type = SESSION_HELLO, .length = sizeof version, .payload = version};
        memcpy(s->out, session_preamble, SESSION_PREAMBLE_BYTES);
        s->out_end = SESSION_PREAMBLE_BYTES;
        s->out_end += session_encode(s->out + s->out_end, &hello);
        s->phase = SESSION_PHASE_PREPARING;
    }
}

/* ---- Output ---------------------------------------------------------------------------------------------------- */

static size_t out_room(const struct session *s)
{
    return SESSION_OUT_BYTES - (s->out_end - s->out_begin);
}

/* Put a frame behind what waits already. False, and nothing done, if there is no room. */
static bool put(struct session *s, uint8_t type, uint8_t flags, const uint8_t *payload, size_t length)
{
    if (SESSION_HEADER_BYTES + length > out_room(s)) {
        return false;
    }
    if (SESSION_HEADER_BYTES + length > SESSION_OUT_BYTES - s->out_end) {
        memmove(s->out, s->out + s->out_begin, s->out_end - s->out_begin);
        s->out_end -= s->out_begin;
        s->out_begin = 0;
    }
    struct session_frame frame = {.type = type, .flags = flags, .length = (uint16_t)length, .payload = payload};
    s->out_end += session_encode(s->out + s->out_end, &frame);
    return true;
}

static void put_signals(struct session *s)
{
    for (unsigned group = 0; group < 2; group++) {
        while (s->signals[group] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(s->signals[group]);
            uint8_t number = (uint8_t)(bit + 1);
            if (!put(s, SESSION_SIGNAL, group != 0 ? SESSION_FLAG_GROUP : 0, &number, 1)) {
                return;
            }
            s->signals[group] &= ~(UINT64_C(1) << bit);
        }
    }
}

static void put_stream_control(struct session *s, enum session_stream stream)
{
    struct session_flow *flow = &s->flow[stream];
    uint8_t payload[CREDIT_BYTES] = {(uint8_t)stream};
    if (flow->close_waits) {
        flow->close_waits = !put(s, SESSION_CLOSE, 0, payload, 1);
    }
    bytes_store_le32(payload + 1, flow->owed);
    if (flow->owed >= CREDIT_STEP && !flow->ended && put(s, SESSION_CREDIT, 0, payload, CREDIT_BYTES)) {
        flow->credit += flow->owed;
        flow->owed = 0;
    }
}

static void put_start(struct session *s)
{
    while (s->start_done < s->start_bytes) {
        size_t left = s->start_bytes - s->start_done;
        size_t piece = left < SESSION_PAYLOAD_MAX ? left : SESSION_PAYLOAD_MAX;
        if (!put(s, SESSION_START, piece < left ? SESSION_FLAG_MORE : 0, s->start + s->start_done, piece)) {
            return;
        }
        s->start_done += piece;
    }
    s->start = NULL;
    s->phase = SESSION_PHASE_RUNNING;
}

static void put_host_control(struct session *s)
{
    if (s->shutdown_waits) {
        uint8_t grace[4];
        bytes_store_le32(grace, s->grace_ms);
        s->shutdown_waits = !put(s, SESSION_SHUTDOWN, 0, grace, sizeof grace);
    }
    if (s->phase == SESSION_PHASE_WAITING && s->start != NULL) {
        put_start(s);
    }
    if (s->phase != SESSION_PHASE_RUNNING) {
        return;
    }
    if (s->size_waits) {
        uint8_t size[4];
        bytes_store_le16(size, s->size.rows);
        bytes_store_le16(size + 2, s->size.cols);
        s->size_waits = !put(s, SESSION_WINSIZE, 0, size, sizeof size);
    }
    put_signals(s);
}

static bool ends_wait(const struct session *s)
{
    bool waits = false;
    for (int i = 0; i < SESSION_STREAMS; i++) {
        waits = waits || s->flow[i].end_waits;
    }
    return waits;
}

/* All that waits and finds room. */
static void put_waiting(struct session *s)
{
    if (s->phase == SESSION_PHASE_SILENT || s->phase == SESSION_PHASE_OVER) {
        return;
    }
    if (s->ready_waits) {
        s->ready_waits = !put(s, SESSION_READY, 0, NULL, 0);
    }
    if (s->role == SESSION_HOST) {
        put_host_control(s);
    }
    for (enum session_stream i = SESSION_STDIN; i < SESSION_STREAMS && s->phase == SESSION_PHASE_RUNNING; i++) {
        if (!sends(s, i)) {
            put_stream_control(s, i);
        } else if (s->flow[i].end_waits) {
            s->flow[i].end_waits = !put(s, stream_types[i], SESSION_FLAG_END, NULL, 0);
        }
    }
    if (s->exit_waits && !ends_wait(s)) {
        uint8_t exit[2] = {s->exit.signaled, s->exit.code};
        s->exit_waits = !put(s, SESSION_EXIT, 0, exit, sizeof exit);
        s->phase = s->exit_waits ? s->phase : SESSION_PHASE_OVER;
    }
}

const uint8_t *session_output(struct session *s, size_t *length)
{
    put_waiting(s);
    *length = s->out_end - s->out_begin;
    return s->out + s->out_begin;
}

void session_output_done(struct session *s, size_t written)
{
    assert(written <= s->out_end - s->out_begin);
    s->out_begin += written;
    if (s->out_begin == s->out_end) {
        s->out_begin = 0;
        s->out_end = 0;
    }
}

bool session_flushed(struct session *s)
{
    size_t length;
    (void)session_output(s, &length);
    return length == 0;
}

/* ---- Data ------------------------------------------------------------------------------------------------------ */

size_t session_room(const struct session *s, enum session_stream stream)
{
    const struct session_flow *flow = &s->flow[stream];
    size_t room = out_room(s);
    bool open = s->phase == SESSION_PHASE_RUNNING && !flow->ended && !flow->closed && !s->exit_waits;
    if (!open || !sends(s, stream) || room <= CONTROL_BYTES + SESSION_HEADER_BYTES) {
        return 0;
    }
    room -= CONTROL_BYTES + SESSION_HEADER_BYTES;
    room = room < SESSION_PAYLOAD_MAX ? room : SESSION_PAYLOAD_MAX;
    return room < flow->credit ? room : flow->credit;
}

size_t session_send(struct session *s, enum session_stream stream, const uint8_t *bytes, size_t length)
{
    size_t room = session_room(s, stream);
    size_t taken = length < room ? length : room;
    if (taken > 0 && put(s, stream_types[stream], 0, bytes, taken)) {
        s->flow[stream].credit -= (uint32_t)taken;
    }
    return taken;
}

void session_send_end(struct session *s, enum session_stream stream)
{
    struct session_flow *flow = &s->flow[stream];
    if (sends(s, stream) && !flow->ended) {
        flow->ended = true;
        flow->end_waits = !flow->closed;
    }
}

void session_consumed(struct session *s, enum session_stream stream, size_t bytes)
{
    struct session_flow *flow = &s->flow[stream];
    assert(!sends(s, stream) && bytes <= SESSION_WINDOW_BYTES - flow->credit - flow->owed);
    flow->owed += (uint32_t)bytes;
}

void session_close(struct session *s, enum session_stream stream)
{
    struct session_flow *flow = &s->flow[stream];
    if (!sends(s, stream) && !flow->closed && !flow->ended) {
        flow->closed = true;
        flow->close_waits = true;
    }
}

/* ---- Requests and reports -------------------------------------------------------------------------------------- */

int session_start(struct session *s, const uint8_t *block, size_t length)
{
    assert(s->role == SESSION_HOST);
    if (length == 0 || length > SESSION_START_MAX_BYTES) {
        return -EINVAL;
    }
    if (s->start_bytes != 0) {
        return -EBUSY;
    }
    s->start = block;
    s->start_bytes = length;
    return 0;
}

void session_signal(struct session *s, unsigned number, bool group)
{
    if (number >= 1 && number <= SESSION_SIGNAL_MAX) {
        s->signals[group] |= UINT64_C(1) << (number - 1);
    }
}

void session_winsize(struct session *s, struct session_size size)
{
    s->size = size;
    s->size_waits = true;
}

void session_shutdown(struct session *s, uint32_t grace_ms)
{
    s->grace_ms = grace_ms;
    s->shutdown_waits = true;
}

void session_step(struct session *s, bool warning, const char *text)
{
    if (s->role == SESSION_GUEST && s->phase != SESSION_PHASE_OVER) {
        (void)put(s, SESSION_STEP, warning ? SESSION_FLAG_WARN : 0, (const uint8_t *)text,
                  strnlen(text, SESSION_TEXT_MAX));
    }
}

void session_ready(struct session *s)
{
    if (s->role == SESSION_GUEST && s->phase == SESSION_PHASE_PREPARING) {
        s->phase = SESSION_PHASE_WAITING;
        s->ready_waits = true;
    }
}

void session_exit(struct session *s, struct session_exit exit)
{
    assert(s->role == SESSION_GUEST);
    s->exit = exit;
    s->exit_waits = true;
}

void session_abort(struct session *s, const char *text)
{
    if (s->phase == SESSION_PHASE_OVER) {
        return;
    }
    /* Before HELLO the host has not sent its preamble, and the guest would not find the frame. */
    if (s->phase != SESSION_PHASE_SILENT) {
        (void)put(s, SESSION_ERROR, 0, (const uint8_t *)text, strnlen(text, SESSION_TEXT_MAX));
    }
    s->phase = SESSION_PHASE_OVER;
}

/* ---- Input ----------------------------------------------------------------------------------------------------- */

/* What a handler found: an event, nothing worth one, or a broken rule (s->broken says which). */
typedef int (*handler)(struct session *s, const struct session_frame *f, struct session_event *event);

static int break_session(struct session *s, const char *why)
{
    s->broken = why;
    session_abort(s, why);
    return -EPROTO;
}

static int ignore(struct session_event *event, const char *why)
{
    event->kind = SESSION_EVENT_IGNORED;
    event->text = why;
    event->text_bytes = strlen(why);
    return 1;
}

static int on_hello(struct session *s, const struct session_frame *f, struct session_event *event)
{
    if (s->phase != SESSION_PHASE_SILENT) {
        return break_session(s, "a second HELLO");
    }
    if (bytes_load_le16(f->payload) != SESSION_VERSION) {
        return break_session(s, "HELLO of a version of the protocol that is not known here");
    }
    memcpy(s->out, session_preamble, SESSION_PREAMBLE_BYTES);
    s->out_end = SESSION_PREAMBLE_BYTES;
    s->phase = SESSION_PHASE_PREPARING;
    event->kind = SESSION_EVENT_HELLO;
    return 1;
}

static void event_text(const struct session_frame *f, struct session_event *event)
{
    event->text = (const char *)f->payload;
    event->text_bytes = f->length;
}

static int on_step(struct session *s, const struct session_frame *f, struct session_event *event)
{
    (void)s;
    event->kind = (f->flags & SESSION_FLAG_WARN) != 0 ? SESSION_EVENT_WARNING : SESSION_EVENT_STEP;
    event_text(f, event);
    return 1;
}

static int on_ready(struct session *s, const struct session_frame *f, struct session_event *event)
{
    (void)f;
    if (s->phase != SESSION_PHASE_PREPARING) {
        return break_session(s, "a second READY");
    }
    s->phase = SESSION_PHASE_WAITING;
    event->kind = SESSION_EVENT_READY;
    return 1;
}

static int on_start(struct session *s, const struct session_frame *f, struct session_event *event)
{
    if (s->phase != SESSION_PHASE_WAITING) {
        return break_session(s, s->phase == SESSION_PHASE_RUNNING ? "a second START" : "START before READY");
    }
    if (f->length > s->start_bytes - s->start_done) {
        return break_session(s, "a start block that is too long");
    }
    memcpy(s->start_buffer + s->start_done, f->payload, f->length);
    s->start_done += f->length;
    if ((f->flags & SESSION_FLAG_MORE) != 0) {
        return 0;
    }
    s->phase = SESSION_PHASE_RUNNING;
    event->kind = SESSION_EVENT_START;
    event->data = s->start_buffer;
    event->data_bytes = s->start_done;
    return 1;
}

/* Bytes of a stream that is closed are thrown away, and count as consumed. */
static int on_data(struct session *s, const struct session_frame *f, struct session_event *event)
{
    enum session_stream stream = f->type == SESSION_IN    ? SESSION_STDIN
                                 : f->type == SESSION_OUT ? SESSION_STDOUT
                                                          : SESSION_STDERR;
    struct session_flow *flow = &s->flow[stream];
    if (s->phase != SESSION_PHASE_RUNNING) {
        return break_session(s, "data before START");
    }
    if (flow->ended) {
        return break_session(s, "data after the end of its stream");
    }
    if (f->length > flow->credit) {
        return break_session(s, "more data than there was credit for");
    }
    flow->ended = (f->flags & SESSION_FLAG_END) != 0;
    flow->credit -= f->length;
    if (flow->closed) {
        flow->owed += f->length;
        return 0;
    }
    event->kind = SESSION_EVENT_DATA;
    event->stream = stream;
    event->data = f->payload;
    event->data_bytes = f->length;
    event->end = flow->ended;
    return 1;
}

static int on_signal(struct session *s, const struct session_frame *f, struct session_event *event)
{
    if (f->payload[0] == 0 || f->payload[0] > SESSION_SIGNAL_MAX) {
        return ignore(event, "SIGNAL with a number that is none");
    }
    if (s->phase != SESSION_PHASE_RUNNING) {
        return ignore(event, "SIGNAL before START");
    }
    event->kind = SESSION_EVENT_SIGNAL;
    event->signal = f->payload[0];
    event->group = (f->flags & SESSION_FLAG_GROUP) != 0;
    return 1;
}

static int on_winsize(struct session *s, const struct session_frame *f, struct session_event *event)
{
    if (s->phase != SESSION_PHASE_RUNNING) {
        return ignore(event, "WINSIZE before START");
    }
    event->kind = SESSION_EVENT_WINSIZE;
    event->size.rows = bytes_load_le16(f->payload);
    event->size.cols = bytes_load_le16(f->payload + 2);
    return 1;
}

static int on_shutdown(struct session *s, const struct session_frame *f, struct session_event *event)
{
    (void)s;
    event->kind = SESSION_EVENT_SHUTDOWN;
    event->grace_ms = bytes_load_le32(f->payload);
    return 1;
}

static int on_exit_frame(struct session *s, const struct session_frame *f, struct session_event *event)
{
    bool signaled = f->payload[0] == 1;
    if (s->phase != SESSION_PHASE_RUNNING) {
        return break_session(s, "EXIT before START");
    }
    if (f->payload[0] > 1 || (signaled && (f->payload[1] == 0 || f->payload[1] > SESSION_SIGNAL_MAX))) {
        return break_session(s, "EXIT that is neither a code nor a signal");
    }
    s->phase = SESSION_PHASE_OVER;
    event->kind = SESSION_EVENT_EXIT;
    event->exit.signaled = signaled;
    event->exit.code = f->payload[1];
    return 1;
}

/* The stream that a CREDIT or CLOSE of the other side is about, or SESSION_STREAMS if it has no say there. */
static enum session_stream own_stream(const struct session *s, const struct session_frame *f)
{
    enum session_stream stream = f->payload[0];
    return f->payload[0] < SESSION_STREAMS && sends(s, stream) ? stream : SESSION_STREAMS;
}

static int on_credit(struct session *s, const struct session_frame *f, struct session_event *event)
{
    enum session_stream stream = own_stream(s, f);
    uint32_t bytes = bytes_load_le32(f->payload + 1);
    if (stream == SESSION_STREAMS) {
        return break_session(s, "CREDIT for a stream that is not ours to send");
    }
    if (bytes > SESSION_WINDOW_BYTES - s->flow[stream].credit) {
        return break_session(s, "CREDIT beyond the window");
    }
    s->flow[stream].credit += bytes;
    event->kind = SESSION_EVENT_ROOM;
    event->stream = stream;
    return 1;
}

static int on_close(struct session *s, const struct session_frame *f, struct session_event *event)
{
    enum session_stream stream = own_stream(s, f);
    if (stream == SESSION_STREAMS) {
        return break_session(s, "CLOSE of a stream that is not ours to send");
    }
    s->flow[stream].closed = true;
    s->flow[stream].end_waits = false;
    event->kind = SESSION_EVENT_CLOSED;
    event->stream = stream;
    return 1;
}

static int on_error(struct session *s, const struct session_frame *f, struct session_event *event)
{
    s->phase = SESSION_PHASE_OVER;
    event->kind = SESSION_EVENT_ERROR;
    event_text(f, event);
    return 1;
}

#define TO_GUEST 1u
#define TO_HOST  2u

static const struct kind {
    uint8_t type;
    uint8_t to; /* who may get it */
    uint16_t min, max;
    handler handle;
} kinds[] = {
    {SESSION_START, TO_GUEST, 1, SESSION_PAYLOAD_MAX, on_start},
    {SESSION_IN, TO_GUEST, 0, SESSION_PAYLOAD_MAX, on_data},
    {SESSION_SIGNAL, TO_GUEST, 1, 1, on_signal},
    {SESSION_WINSIZE, TO_GUEST, 4, 4, on_winsize},
    {SESSION_SHUTDOWN, TO_GUEST, 4, 4, on_shutdown},
    {SESSION_HELLO, TO_HOST, 2, 2, on_hello},
    {SESSION_STEP, TO_HOST, 0, SESSION_TEXT_MAX, on_step},
    {SESSION_READY, TO_HOST, 0, 0, on_ready},
    {SESSION_OUT, TO_HOST, 0, SESSION_PAYLOAD_MAX, on_data},
    {SESSION_ERR, TO_HOST, 0, SESSION_PAYLOAD_MAX, on_data},
    {SESSION_EXIT, TO_HOST, 2, 2, on_exit_frame},
    {SESSION_CREDIT, TO_GUEST | TO_HOST, 5, 5, on_credit},
    {SESSION_CLOSE, TO_GUEST | TO_HOST, 1, 1, on_close},
    {SESSION_ERROR, TO_GUEST | TO_HOST, 0, SESSION_TEXT_MAX, on_error},
};

static int take_frame(struct session *s, const struct session_frame *f, struct session_event *event)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kind = kinds[i].type == f->type ? &kinds[i] : kind;
    }
    if (s->phase == SESSION_PHASE_SILENT && f->type != SESSION_HELLO) {
        return break_session(s, "the first frame is not HELLO");
    }
    if (kind == NULL) {
        return ignore(event, "a frame of unknown type");
    }
    if ((kind->to & (s->role == SESSION_HOST ? TO_HOST : TO_GUEST)) == 0) {
        return break_session(s, "a frame of a type that only this side sends");
    }
    if (f->length < kind->min || f->length > kind->max) {
        return break_session(s, "a frame too long or too short for its type");
    }
    return kind->handle(s, f, event);
}

int session_receive(struct session *s, const uint8_t *bytes, size_t length, size_t *used, struct session_event *event)
{
    *used = 0;
    if (s->broken != NULL) {
        return -EPROTO;
    }
    while (*used < length) {
        struct session_frame frame;
        size_t taken;
        int found = session_decode(&s->decoder, bytes + *used, length - *used, &taken, &frame);
        *used += taken;
        if (found < 0) {
            return break_session(s, "a frame header that cannot be");
        }
        /* After the last frame of a session whatever still comes is read and forgotten. */
        if (found == 0 || s->phase == SESSION_PHASE_OVER) {
            continue;
        }
        struct session_event made = {.kind = SESSION_EVENT_IGNORED};
        int result = take_frame(s, &frame, &made);
        if (result != 0) {
            if (result > 0) {
                *event = made;
            }
            return result;
        }
    }
    return 0;
}
