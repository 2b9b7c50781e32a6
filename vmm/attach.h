/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host's end of the session with guest-init: this process's standard streams, its terminal and its signals on one
 * side, the session channel (common/session.h) on the other. The transport is two functions, so that a serial port and
 * a socket are the same to it.
 *
 * All of it belongs to the main thread, which polls: attach_poll says for what, attach_step does what can be done
 * without waiting. Descriptors of the caller are never made non-blocking, since others may share them: see
 * attach_sink.h.
 *
 * A terminal stays as it is until the command is handed over, so that the boot can be interrupted from the keyboard;
 * then it is raw, and every key is the command's.
 */
#ifndef CAISSON_VMM_ATTACH_H
#define CAISSON_VMM_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "common/err.h"
#include "common/session.h"
#include "vmm/attach_sink.h"

/* Bytes to and from the guest. Never wait; 0: nothing now. */
struct attach_transport {
    size_t (*read)(void *ctx, uint8_t *bytes, size_t n);
    size_t (*write)(void *ctx, const uint8_t *bytes, size_t n);
    void *ctx;
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
    int in, out, err; /* descriptors of ours, borrowed; in -1: the command's input is at its end */
    /*
     * Borrowed. Its size is taken from the terminal when tty is set; its realtime_ns, unless 0, is the wall clock at
     * attach_init, and reaches the guest as what that is by then.
     */
    const struct session_command *command;
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
    uint64_t init_ns;                                        /* CLOCK_MONOTONIC */
    uint64_t hello_ns, ready_ns, exit_ns;                    /* CLOCK_MONOTONIC, 0: not yet */
    void (*step)(void *ctx, const char *text, bool warning); /* told of each step; NULL: nobody */
    void *step_ctx;
};

/*
 * Prepare. With command->tty set and cfg->in a terminal, that is put into raw mode when the guest is ready.
 * 0, or -errno with *err and *a ended: -E2BIG: the command with its environment is too long; -EINVAL: it is none;
 * -ENOMEM.
 */
int attach_init(struct attach *a, const struct attach_config *cfg, struct err *err);
/* Also puts the terminal back. Accepts a zeroed one. */
void attach_fini(struct attach *a);

/* Put the terminal back as it was before, if it is raw: before anything else is printed, for one. */
void attach_release_terminal(struct attach *a);

/* Fill at most ATTACH_POLL entries with what to wait for besides the transport; how many. */
#define ATTACH_POLL 3u
unsigned attach_poll(const struct attach *a, struct pollfd fds[ATTACH_POLL]);

/*
 * Go on: fds as poll returned them. Also to be called when the transport may have something. True: the transport may
 * have more; call again without waiting.
 */
bool attach_step(struct attach *a, const struct pollfd *fds, unsigned count);

/* Pass a signal on to the command: its process group if it has a terminal. False before the command runs. */
bool attach_signal(struct attach *a, int signal);
/* The terminal has another size. */
void attach_resize(struct attach *a);

/* All output that came was written, or cannot be. */
bool attach_is_flushed(const struct attach *a);
/* The same, and no more will come: the command has ended, or the session broke. */
bool attach_is_done(const struct attach *a);

#endif
