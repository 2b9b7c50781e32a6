/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_PROCESS_H
#define CAISSON_GUEST_INIT_AGENT_PROCESS_H

/*
 * A process of a container as the agent's clients see it: three streams, one exit status. Output stays in its pipe or
 * terminal until a client reads it, input is answered when it has been written: the agent stores neither, so that a
 * process that writes, or does not read, waits for its client as it would on a pipe.
 *
 * Reading at the end of an output gives an empty answer, as Kata's agent does; its clients take that as the end. A read
 * of 0 bytes closes the output: nobody is interested any more, and the process is told as by a pipe.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "guest-init/agent/server.h"
#include "guest-init/container/container.h"

/* Most that one read brings: what a pipe holds. */
#define PROCESS_READ_MAX 65536u

struct agent_container;
struct agent_process;

struct agent_stream {
    struct agent_process *process;
    struct reactor_watch watch; /* fd owned, non-blocking; -1: closed */
    struct call_list calls;     /* that wait to read or write */
    bool ended;                 /* nothing more comes, and a client knows */
};

struct agent_process {
    struct agent_container *container; /* for its owner, as is the next */
    struct agent_process *next;
    struct reactor *loop;
    char id[CONTAINER_ID_MAX + 1];
    pid_t pid;      /* 0: not started, or collected */
    bool exited;    /* pid was collected */
    bool failed;    /* was never more than an attempt to start */
    bool forgotten; /* its exit status was asked for: only its output can still be read */
    bool tty, inside_line, close_in;
    int32_t status; /* exit code, or 128 and the signal's number */
    struct agent_stream in, out, err;
    struct reactor_watch sync; /* of its start; fd owned; -1: none */
    struct call_list starting; /* calls that wait for that */
    struct call_list waiters;
    bool *changed; /* set whenever process_is_over may have become true */
};

/*
 * Make the record and its streams. spec: NULL or without a terminal gives pipes. ptmx: what makes its terminal, with
 * O_PATH, borrowed; -1: the guest's. id: copied, checked by the caller.
 * stdio: the process's ends, to be closed with process_close_ends in any case. changed: borrowed. Returns 0, with *out
 * for process_free, or -errno with nothing left.
 */
int process_new(struct reactor *loop, const char *id, const grpc_Process *spec, int ptmx, bool *changed,
                struct container_stdio *stdio, struct agent_process **out);
void process_close_ends(struct container_stdio *stdio);

/* Answers what still waits: readers with the end, others with an error. Closes the streams. */
void process_free(struct agent_process *p);

/* Serve these calls now or later. What they say about the process has been looked up; the rest is checked here. */
void process_read(struct agent_stream *s, struct call *c, uint32_t bytes);
void process_write(struct agent_process *p, struct call *c);
void process_close_in(struct agent_process *p); /* when what is to be written has been */
void process_wait(struct agent_process *p, struct call *c);
/* -ENOTTY without a terminal, -EINVAL for a size over 65535. */
int process_resize(struct agent_process *p, uint32_t rows, uint32_t columns);

/* Its pid was collected with this status of waitpid(2). */
void process_exited(struct agent_process *p, int wait_status);

/* Nobody can learn anything more from it. */
bool process_is_over(const struct agent_process *p);

#endif
