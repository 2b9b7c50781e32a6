/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host's end of the session with guest-init: this process's standard streams, its terminal and its signals on one
 * side, the session channel (common/session.h) on the other. The transport is two functions, so that a serial port and
 * a socket are the same to it.
 *
 * All of it belongs to the main thread, which polls: attach_poll says for what, attach_step does what can be done
 * without waiting. Descriptors of the caller are never made non-blocking, since others may share them: a write is only
 * made when poll allows one, and is short enough for a pipe to take it whole.
 */
#ifndef CAISSON_VMM_ATTACH_H
#define CAISSON_VMM_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "common/err.h"
#include "common/session.h"

/* Bytes to and from the guest. Never wait; 0: nothing now. */
struct attach_transport {
    size_t (*read)(void *ctx, uint8_t *bytes, size_t n);
    size_t (*write)(void *ctx, const uint8_t *bytes, size_t n);
    void *ctx;
};

/* Output of the command on its way to one of our descriptors. */
struct attach_sink {
    int fd;
    uint8_t bytes[SESSION_WINDOW_BYTES];
    size_t begin, end;
    bool broken; /* nobody reads it any more */
};

/* How far the guest has come. */
enum attach_state {
    ATTACH_SILENT,    /* nothing heard of guest-init */
    ATTACH_PREPARING, /* it is there, and says what it does */
    ATTACH_RUNNING,   /* the command was handed over */
    ATTACH_EXITED,    /* with `exit`; output may still be on its way to us */
    ATTACH_FAILED     /* the other side gave up or broke the rules; `text` says how */
};

struct attach_config {
    struct attach_transport transport;
    int in, out, err;                      /* descriptors of ours, borrowed; in -1: the command's input is at its end */
    const struct session_command *command; /* borrowed; its size is taken from the terminal when tty is set */
};

struct attach {
    struct attach_config cfg;
    struct session session;
    enum attach_state state;
    struct session_exit exit;
    char text[SESSION_TEXT_MAX + 1]; /* last step, or what failed */
    uint8_t *start;                  /* the start block */
    struct attach_sink out, err;
    uint8_t input[4096]; /* bytes of the transport not yet looked at */
    size_t input_begin, input_end;
    bool in_ended;
    bool raw; /* the terminal is to be put back */
    struct termios before;
    uint64_t hello_ns, ready_ns, exit_ns;                    /* CLOCK_MONOTONIC, 0: not yet */
    void (*step)(void *ctx, const char *text, bool warning); /* told of each step; NULL: nobody */
    void *step_ctx;
};

/*
 * Prepare. With command->tty set and cfg->in a terminal, it is put into raw mode until attach_fini. 0, or -errno:
 * -E2BIG: the command with its environment is too long, -ENOMEM.
 */
int attach_init(struct attach *a, const struct attach_config *cfg, struct err *err);
/* Also puts the terminal back. Accepts a zeroed one. */
void attach_fini(struct attach *a);

/* Fill at most ATTACH_POLL entries with what to wait for besides the transport; how many. */
#define ATTACH_POLL 3u
unsigned attach_poll(const struct attach *a, struct pollfd fds[ATTACH_POLL]);

/* Go on: fds as poll returned them. Also to be called when the transport may have something. */
void attach_step(struct attach *a, const struct pollfd *fds, unsigned count);

/* Pass a signal on to the command: its process group if it has a terminal. False before the command runs. */
bool attach_signal(struct attach *a, int signal);
/* The terminal has another size. */
void attach_resize(struct attach *a);

/* The command has ended and all its output was written, or cannot be. */
bool attach_is_done(const struct attach *a);

#endif
