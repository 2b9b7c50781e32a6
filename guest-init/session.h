/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_SESSION_H
#define CAISSON_GUEST_INIT_SESSION_H

/*
 * The guest's end of the session channel and the command behind it: moves bytes between the transport, common/session.h
 * and the command's descriptors, and turns what happens into events for guest-init/events.h. Nothing here waits except
 * guest_step, and nothing stores more than one window of input; output stays in the command's pipes until the monitor
 * has given credit for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/session.h"
#include "guest-init/exec.h"
#include "guest-init/report.h"

/* Where the monitor is reached if the kernel's command line has no caisson_session=PATH. */
#define GUEST_SESSION_DEVICE "/dev/ttyS1"

enum guest_state {
    GUEST_IDLE,     /* no command yet */
    GUEST_RUNNING,  /* the command runs */
    GUEST_STOPPING, /* everything was asked to end; at the deadline it is killed */
    GUEST_DRAINING, /* the command has ended; its last output is on its way */
    GUEST_LEAVING,  /* the last frames are on their way */
    GUEST_OFF,      /* the machine can be switched off */
    GUEST_STATES,
};

/* What guest-init does to the world outside its own descriptors; other functions in tests. */
struct guest_ops {
    void (*kill_all)(void *context, int signal); /* every process but this one */
    uint64_t (*now_ms)(void *context);           /* a clock that never goes back */
    void *context;
};

struct guest {
    const struct guest_ops *ops;
    struct report report;
    enum guest_state state;
    int channel; /* owned, non-blocking; -1: lost */
    int signals; /* owned signalfd; -1: none */
    struct exec_child child;
    struct session_exit exit;
    uint64_t deadline_ms; /* 0: none */
    bool in_end;          /* close the input when the buffer is empty */
    bool in_inside_line;  /* the last byte written was no end of line */
    size_t in_begin, in_bytes;
    uint8_t in[SESSION_WINDOW_BYTES]; /* ring of input for the command */
    struct session session;
    uint8_t start[SESSION_START_MAX_BYTES];
};

/*
 * Prepare a guest without a channel. ops: borrowed. console: where reports go besides the channel, borrowed. g: zeroed
 * and filled; it is large, so allocate it. guest_fini closes what it owns, including the command's descriptors.
 */
void guest_init(struct guest *g, const struct guest_ops *ops, int console);
void guest_fini(struct guest *g);

/*
 * Open the transport at a path and give it to *g: a terminal line is switched to raw bytes, so that nothing is echoed
 * or translated. Other transports are added here. Returns 0 or -errno.
 */
int guest_open_channel(struct guest *g, const char *path);

/* Let SIGCHLD, and the signals that ask the machine to stop, come as events. Returns 0 or -errno. */
int guest_take_signals(struct guest *g);

/* Write what waits for the monitor as far as the transport takes it now. */
void guest_flush(struct guest *g);

/*
 * Wait until something can be moved, at most until the deadline and at most max_ms milliseconds (-1: without limit),
 * move it and handle the events. Returns 0 or -errno.
 */
int guest_step(struct guest *g, int max_ms);

/* Start the command of a start block (g->start). Returns 0, -EPROTO for a bad block, or another -errno. */
int guest_start(struct guest *g, size_t block_bytes);

/* Put input into the buffer of the command; what does not fit cannot come, see flow control. */
void guest_take_input(struct guest *g, const uint8_t *bytes, size_t length, bool end);

/* Throw the buffered input away and take no more. */
void guest_close_input(struct guest *g);

/* The monitor takes no more of a stream: its writer gets SIGPIPE; a terminal is read and forgotten. */
void guest_close_output(struct guest *g, enum session_stream stream);

#endif
