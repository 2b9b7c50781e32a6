/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_SESSION_H
#define CAISSON_COMMON_SESSION_H

/*
 * The session channel: how the monitor (host) runs a command in a guest through guest-init, its first process.
 *
 * It lives on any reliable, ordered stream of bytes. Today that is the second serial port, /dev/ttyS1 in the guest; a
 * virtio-vsock connection would do as well: nothing below knows which. Either side takes the other for hostile: every
 * length and number is checked, and neither stores more than the windows below.
 *
 * Bytes. A side begins with the eight bytes of the preamble, then sends frames:
 *
 *     u8 type | u8 flags | u16 length, little-endian, at most 4096 | payload of `length` bytes
 *
 * Until it has seen the preamble, a receiver throws away what it reads: a serial line may carry noise from the time
 * before its owner took it. After that, framing is exact; there is no second preamble. The guest begins; the host sends
 * nothing before it has HELLO, because until then the guest's terminal line could echo it.
 *
 *     type           way        payload
 *     HELLO          guest      u16 version (1). First frame
 *     STEP           guest      text for people: what the guest is doing; flag WARN: something went wrong
 *     READY          guest      none: START may come
 *     START          host       the next piece of a start block (below); flag MORE on all pieces but the last
 *     IN             host       bytes for the command's standard input; flag END: no more follow
 *     OUT, ERR       guest      bytes of its standard output and error (a terminal has only OUT); flag END as above
 *     SIGNAL         host       u8 signal number, 1 to 64; flag GROUP: to its process group and not to it alone
 *     WINSIZE        host       u16 rows, u16 columns: new size of its terminal
 *     SHUTDOWN       host       u32 milliseconds: end everything (SIGTERM, after that time SIGKILL), power off
 *     EXIT           guest      u8 kind (0 exit code, 1 signal), u8 code or signal number. Last frame
 *     CREDIT         both       u8 stream (0 IN, 1 OUT, 2 ERR), u32 bytes: so many more may be sent on this stream
 *     CLOSE          both       u8 stream: its receiver takes no more of it; what is under way is thrown away
 *     ERROR          both       text for people: the sender gives the session up. Last frame
 *
 * Order: HELLO, any STEPs, READY; then START; then IN, SIGNAL, WINSIZE one way and OUT, ERR the other; then EXIT.
 * SHUTDOWN may come any time after HELLO, STEP until EXIT. Frames of unknown type are skipped (a later version may have
 * more), as is what has a good form but no meaning now, like a SIGNAL before START; each gives SESSION_EVENT_IGNORED.
 *
 * Flow control. For each of the three streams the sender has a credit of bytes, at first SESSION_WINDOW_BYTES. Data
 * frames use it up, CREDIT frames give back what the receiver's consumer has taken. So a receiver that sets aside
 * SESSION_WINDOW_BYTES for a stream can never be overrun, and a consumer that does not read stops only its own stream.
 * More data than credit, or a credit of more than the window in sum, breaks the session. Signals and sizes are not
 * queued but merged: a signal that is still waiting to be sent is not sent twice, and only the newest size counts.
 *
 * The start block, at most SESSION_START_MAX_BYTES:
 *
 *     u16 flags (1: terminal) | u16 rows | u16 columns | u16 number of arguments, at least 1 | u16 number of variables
 *     | u16 bytes of seed, at most 64 | u64 wall clock in ns since 1970, 0: leave the clock | seed
 *     | strings, each ended by NUL: working directory ("" is /), host name ("" leaves it), arguments, variables
 *
 * Usage, the same for both sides: bytes read from the transport go through session_receive, which gives at most one
 * event per call; bytes to write come from session_output. Everything else changes only the state in memory: nothing
 * here reads, writes, allocates or waits. One thread at a time uses a struct session. Source: our own, docs/guest.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_VERSION         1u
#define SESSION_PREAMBLE_BYTES  8u
#define SESSION_HEADER_BYTES    4u
#define SESSION_PAYLOAD_MAX     4096u
#define SESSION_FRAME_MAX       (SESSION_HEADER_BYTES + SESSION_PAYLOAD_MAX)
#define SESSION_WINDOW_BYTES    32768u
#define SESSION_TEXT_MAX        256u /* STEP, ERROR: longer ones are cut by the sender and refused by the receiver */
#define SESSION_START_MAX_BYTES 131072u
#define SESSION_SEED_MAX        64u
#define SESSION_SIGNAL_MAX      64u
#define SESSION_OUT_BYTES       16384u /* room for encoded frames that wait for the transport */

/* Its first byte occurs once, so that a search never has to go back. */
extern const uint8_t session_preamble[SESSION_PREAMBLE_BYTES];

enum session_type {
    SESSION_START = 0x01,
    SESSION_IN = 0x02,
    SESSION_SIGNAL = 0x03,
    SESSION_WINSIZE = 0x04,
    SESSION_SHUTDOWN = 0x05,
    SESSION_HELLO = 0x41,
    SESSION_STEP = 0x42,
    SESSION_READY = 0x43,
    SESSION_OUT = 0x44,
    SESSION_ERR = 0x45,
    SESSION_EXIT = 0x46,
    SESSION_CREDIT = 0x81,
    SESSION_CLOSE = 0x82,
    SESSION_ERROR = 0x83,
};

/* Bit 0 of flags; its meaning depends on the type. The other bits are 0, or the frame breaks the session. */
#define SESSION_FLAG_END   0x01u /* IN, OUT, ERR */
#define SESSION_FLAG_MORE  0x01u /* START */
#define SESSION_FLAG_GROUP 0x01u /* SIGNAL */
#define SESSION_FLAG_WARN  0x01u /* STEP */

/* ---- Frames ---------------------------------------------------------------------------------------------------- */

struct session_frame {
    uint8_t type;
    uint8_t flags;
    uint16_t length;
    const uint8_t *payload; /* `length` bytes */
};

/*
 * Write one frame. out: room for SESSION_HEADER_BYTES + frame->length bytes; frame->length is at most
 * SESSION_PAYLOAD_MAX. Returns the bytes written.
 */
size_t session_encode(uint8_t *out, const struct session_frame *frame);

/* Finds frames in a stream that arrives in pieces. All zero is its first state: looking for the preamble. */
struct session_decoder {
    bool synced;      /* the preamble was seen */
    bool broken;      /* a header made no sense: nothing can be found any more */
    size_t have;      /* bytes of the preamble matched, or of the frame collected */
    uint64_t skipped; /* noise before the preamble, in bytes */
    uint8_t bytes[SESSION_FRAME_MAX];
};

/*
 * Take bytes up to the end of the next frame. bytes, length: what arrived. used: how many were taken; the caller calls
 * again with the rest. frame: written on 1; its payload lies in the decoder and is valid until the next call.
 * Returns 1 with a frame, 0 if all bytes were taken and no frame is complete, -EPROTO if a header announces more than
 * SESSION_PAYLOAD_MAX or has flags that do not exist; from then on always.
 */
int session_decode(struct session_decoder *decoder, const uint8_t *bytes, size_t length, size_t *used,
                   struct session_frame *frame);

/* ---- The start block ------------------------------------------------------------------------------------------- */

/* A command to run. Encoding reads it; decoding lets it point into the block and into the caller's table. */
struct session_command {
    bool tty;            /* with a pseudo-terminal of rows x cols; else three pipes */
    uint16_t rows, cols; /* 0 x 0: unknown */
    uint16_t seed_bytes;
    uint16_t argc, envc;
    uint64_t realtime_ns; /* wall clock of the host, 0: not told */
    const uint8_t *seed;  /* for the guest's random numbers */
    const char *cwd;
    const char *hostname;
    char *const *argv; /* argc strings, then NULL */
    char *const *envp; /* envc strings NAME=VALUE, then NULL */
};

/* Entries that session_command_decode can need: each string takes a byte of the block, and two NULLs end the lists. */
#define SESSION_POINTERS_MAX (SESSION_START_MAX_BYTES + 2u)

/*
 * Write the start block of a command. block: `size` bytes of the caller. Returns the bytes written (at most
 * SESSION_START_MAX_BYTES), -E2BIG if it does not fit there or in `size`, -EINVAL if argc is 0 or the seed too long.
 */
int session_command_encode(const struct session_command *command, uint8_t *block, size_t size);

/*
 * Read a start block from the other side. block: `length` bytes, which *command points into afterwards. pointers: a
 * table of `count` entries for argv and envp. Returns 0, -EPROTO if the block is not exactly one well-formed command,
 * -E2BIG if the table is too small; on failure *command is not written.
 */
int session_command_decode(char *block, size_t length, char **pointers, size_t count, struct session_command *command);

/* ---- One end of a channel -------------------------------------------------------------------------------------- */

enum session_role { SESSION_HOST, SESSION_GUEST };

enum session_stream { SESSION_STDIN, SESSION_STDOUT, SESSION_STDERR, SESSION_STREAMS };

enum session_phase {
    SESSION_PHASE_SILENT,    /* no HELLO yet */
    SESSION_PHASE_PREPARING, /* HELLO, no READY yet */
    SESSION_PHASE_WAITING,   /* READY; the host's START is missing or not complete */
    SESSION_PHASE_RUNNING,
    SESSION_PHASE_OVER, /* EXIT or ERROR */
};

struct session_exit {
    bool signaled; /* killed by signal `code`; else it exited with `code` */
    uint8_t code;
};

struct session_size {
    uint16_t rows, cols;
};

enum session_event_kind {
    SESSION_EVENT_HELLO,    /* host: the guest is there */
    SESSION_EVENT_STEP,     /* host: text */
    SESSION_EVENT_WARNING,  /* host: text */
    SESSION_EVENT_READY,    /* host */
    SESSION_EVENT_START,    /* guest: data is the whole start block, valid as long as the start buffer */
    SESSION_EVENT_DATA,     /* stream, data (perhaps empty), end */
    SESSION_EVENT_SIGNAL,   /* guest: signal, group */
    SESSION_EVENT_WINSIZE,  /* guest: size */
    SESSION_EVENT_SHUTDOWN, /* guest: grace_ms */
    SESSION_EVENT_EXIT,     /* host: exit; the guest says nothing more */
    SESSION_EVENT_ROOM,     /* stream: the other side gave credit; session_room may have grown */
    SESSION_EVENT_CLOSED,   /* stream: the other side takes no more of it; whoever fills it should stop */
    SESSION_EVENT_ERROR,    /* text: the other side gave up */
    SESSION_EVENT_IGNORED,  /* text: a literal that says what was skipped and why */
};

/* Pointers are valid until the next session_receive, if nothing else is said. Text may hold any byte. */
struct session_event {
    enum session_event_kind kind;
    enum session_stream stream;
    bool end, group;
    uint8_t signal;
    uint32_t grace_ms;
    struct session_exit exit;
    struct session_size size;
    const uint8_t *data; /* DATA, START */
    size_t data_bytes;
    const char *text; /* text_bytes long, no NUL */
    size_t text_bytes;
};

/* State of one stream, seen from one side. */
struct session_flow {
    uint32_t credit;  /* bytes that may still be sent on it */
    uint32_t owed;    /* receiver: consumed and not yet given back */
    bool ended;       /* END was sent or came */
    bool end_waits;   /* sender: END is to be sent */
    bool closed;      /* CLOSE was sent or came */
    bool close_waits; /* receiver: CLOSE is to be sent */
};

struct session {
    enum session_role role;
    enum session_phase phase;
    const char *broken; /* why the other side's bytes make no sense; NULL as long as they do */
    struct session_flow flow[SESSION_STREAMS];
    uint64_t signals[2]; /* to be sent: bit n - 1 for signal n; [1]: to the group */
    struct session_size size;
    bool size_waits, shutdown_waits, exit_waits, ready_waits;
    uint32_t grace_ms;
    struct session_exit exit;
    const uint8_t *start;  /* host: the block to send, borrowed; guest: NULL */
    uint8_t *start_buffer; /* guest: where START is collected, borrowed */
    size_t start_bytes;    /* of the block (host), of the buffer (guest) */
    size_t start_done;     /* sent, or collected */
    size_t out_begin, out_end;
    uint8_t out[SESSION_OUT_BYTES];
    struct session_decoder decoder;
};

/*
 * Prepare one end. start_buffer: guest: `bytes` (SESSION_START_MAX_BYTES for all that can come) for the start block,
 * borrowed as long as *s is used; host: NULL and 0. A guest sends HELLO first, so its output is not empty afterwards.
 */
void session_init(struct session *s, enum session_role role, uint8_t *start_buffer, size_t bytes);

/*
 * Take bytes from the transport up to the next event. used: bytes taken, call again with the rest. event: written on 1.
 * Returns 1 with an event, 0 if all bytes were taken and there is none, -EPROTO if the other side broke the rules;
 * s->broken then says how, an ERROR frame with the same text is put into the output, and every later call fails alike.
 */
int session_receive(struct session *s, const uint8_t *bytes, size_t length, size_t *used, struct session_event *event);

/*
 * Bytes to write to the transport, in order, perhaps 0; waiting signals, credits and so on are made into frames here.
 * Valid until the next call of anything with *s. session_output_done: so many of them were written.
 */
const uint8_t *session_output(struct session *s, size_t *length);
void session_output_done(struct session *s, size_t written);

/* True if nothing waits to be written: after EXIT or ERROR the transport may then be closed. */
bool session_flushed(struct session *s);

/*
 * Data. The sender of a stream is the host for stdin, the guest for the others.
 * session_room: bytes that session_send would take now (credit and room for frames); 0 before START, after the end,
 * and when the other side closed the stream. session_send: takes at most that many, returns how many.
 * session_send_end: no more follow; ignored the second time.
 */
size_t session_room(const struct session *s, enum session_stream stream);
size_t session_send(struct session *s, enum session_stream stream, const uint8_t *bytes, size_t length);
void session_send_end(struct session *s, enum session_stream stream);

/*
 * The receiver's side. session_consumed: `bytes` of what DATA events brought have left this side's buffer, so the
 * other may send as many more; never more than came. session_close: no more is wanted; DATA events stop.
 */
void session_consumed(struct session *s, enum session_stream stream, size_t bytes);
void session_close(struct session *s, enum session_stream stream);

/*
 * The host's requests. session_start: block of session_command_encode, borrowed until the phase is RUNNING; may be
 * called before READY and is sent when that has come. Returns 0, -EINVAL for a length of 0 or over
 * SESSION_START_MAX_BYTES, -EBUSY the second time. session_signal: number 1 to 64, else ignored.
 */
int session_start(struct session *s, const uint8_t *block, size_t length);
void session_signal(struct session *s, unsigned number, bool group);
void session_winsize(struct session *s, struct session_size size);
void session_shutdown(struct session *s, uint32_t grace_ms);

/*
 * The guest's reports. session_step: text of at most SESSION_TEXT_MAX bytes (more is cut); it is dropped when there is
 * no room, for the console has it too. session_ready: once. session_exit: after the data and the END of both streams
 * were handed over; ends the session.
 */
void session_step(struct session *s, bool warning, const char *text);
void session_ready(struct session *s);
void session_exit(struct session *s, struct session_exit exit);

/* Give up for a reason of our own: an ERROR frame, then nothing. text: as for session_step. Both sides. */
void session_abort(struct session *s, const char *text);

#endif
