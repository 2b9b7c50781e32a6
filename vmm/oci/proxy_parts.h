/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PROXY_PARTS_H
#define CAISSON_VMM_OCI_PROXY_PARTS_H

/*
 * What the files of the container process share; for everybody else there is proxy.h.
 *
 *     proxy_spawn.c     the new process and what it inherits
 *     proxy.c           connections, the loop, signals, the end
 *     proxy_stream.c    input and output, each with at most one call under way
 *     proxy_terminal.c  raw mode, sizes, the pseudo-terminal for a console socket
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "common/err.h"
#include "common/log.h"
#include "vmm/attach_sink.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/deadline.h"
#include "vmm/oci/proxy.h"

#define PROXY_PIECE_BYTES SESSION_WINDOW_BYTES /* what a sink takes */

/* ---- Terminal ---- */

struct proxy_terminal {
    int fd; /* borrowed; -1: none */
    bool raw;
    struct termios before;
};

/* Use a descriptor if it is a terminal. */
void proxy_terminal_init(struct proxy_terminal *t, int fd);
/*
 * Make a pseudo-terminal, send its master through a connected AF_UNIX socket, and make the slave raw and, in a session
 * leader without one, the controlling terminal. *slave: the caller's to close. 0, or with *err.
 */
int proxy_terminal_open(int socket, uint16_t rows, uint16_t columns, int *slave, struct err *err);
/* Raw mode, unless there is no terminal or another job has it. */
void proxy_terminal_take(struct proxy_terminal *t);
/* As it was before. Accepts one that is not raw. */
void proxy_terminal_restore(struct proxy_terminal *t);
/* False when it has none, or says 0. */
bool proxy_terminal_size(const struct proxy_terminal *t, uint16_t *rows, uint16_t *columns);
/* It is our controlling terminal, and another job is in the foreground. */
bool proxy_terminal_is_lent(const struct proxy_terminal *t);

/* ---- Streams ---- */

struct proxy_output {
    const char *method;
    int fd; /* to be closed with the stream, -1: it is not ours to close */
    struct attach_sink sink;
    uint32_t read; /* the call under way, 0: none */
    bool ended;    /* no more will be read */
    bool moved;    /* something came since the flag was cleared */
};

struct proxy_input {
    int fd;       /* -1: nothing to read */
    int given_fd; /* to be closed with the stream, -1: it is not ours to close */
    bool own_fd, is_socket, is_terminal;
    bool ended;     /* nothing more is read from fd */
    bool close_due; /* the guest is to be told */
    bool lent;      /* the terminal was another job's when there was something to read */
    uint32_t write; /* the call under way, 0: none */
    uint8_t bytes[PROXY_PIECE_BYTES];
    size_t begin, end;
};

struct oci_proxy {
    const struct oci_proxy_config *cfg;
    bool own_streams;    /* this is the process's only purpose */
    const char *process; /* the agent's name for it */
    struct log log;
    int control, signals; /* -1: none */
    struct oci_agent agent;
    struct proxy_terminal terminal;
    struct proxy_output out, err;
    struct proxy_input in;
    uint32_t wait, signal, resize; /* calls under way, 0: none */
    uint64_t signals_due;          /* bit n - 1: signal n */
    bool started, resize_due;
    bool exited;
    int status;
    struct deadline drain; /* after the exit */
    bool lost;             /* the pod, or its sense */
    char why[OCI_AGENT_TEXT_BYTES];
};

/* fd: borrowed until fini; -1: nobody reads it. own: when the stream ends, so does the descriptor. */
void proxy_output_init(struct proxy_output *o, const char *method, int fd, bool own);
void proxy_output_fini(struct proxy_output *o);
/* Ask for more if there is room for it. 0 or what oci_agent_send says. */
int proxy_output_ask(struct oci_proxy *p, struct proxy_output *o);
/* Take the answer to o->read. 0; -EPROTO: it is more than was asked for. */
int proxy_output_take(struct oci_proxy *p, struct proxy_output *o, const struct oci_agent_answer *answer);

/* fd: borrowed until fini, -1: none. own: when the stream ends, so does the descriptor. */
void proxy_input_init(struct proxy_input *in, int fd, bool own);
void proxy_input_fini(struct proxy_input *in);
bool proxy_input_wants(const struct oci_proxy *p);
/* The descriptor has something. */
void proxy_input_read(struct proxy_input *in);
/* Send what there is. 0 or what oci_agent_send says. */
int proxy_input_send(struct oci_proxy *p);
/* Take the answer to in->write. 0; -EPROTO: it takes more than was sent. */
int proxy_input_take(struct oci_proxy *p, const struct oci_agent_answer *answer);

/* ---- Life ---- */

/* One more connection to the agent. 0, or with *err. */
int proxy_dial(const struct oci_proxy_config *cfg, struct oci_agent *a, struct err *err);
/*
 * Connect, hold, begin, wait. All signals are blocked, and SIGPIPE is ignored. own_streams: the configuration's
 * descriptors are this process's own, so that closing them means something to the other side.
 * 0, or with *err.
 */
int proxy_attach(struct oci_proxy *p, const struct oci_proxy_config *cfg, bool own_streams, struct err *err);
/* Until the end. 0 with *exit_code, or -EPIPE with *err. */
int proxy_loop(struct oci_proxy *p, int *exit_code, struct err *err);
/* Puts the terminal back. Accepts one that proxy_attach refused. */
void proxy_detach(struct oci_proxy *p);

#endif
