/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/events.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef void action(struct guest *g, const struct session_event *data);

static void set_deadline(struct guest *g, uint32_t after_ms)
{
    uint64_t now = g->ops->now_ms(g->ops->context);
    g->deadline_ms = now + after_ms > 0 ? now + after_ms : 1;
}

static void leave(struct guest *g, const struct session_event *data)
{
    (void)data;
    g->state = GUEST_LEAVING;
}

/* The same, but not for longer than the monitor may take to read. */
static void leave_soon(struct guest *g, const struct session_event *data)
{
    set_deadline(g, GUEST_LEAVE_MS);
    leave(g, data);
}

static void off(struct guest *g, const struct session_event *data)
{
    (void)data;
    g->state = GUEST_OFF;
}

/* A command that cannot even be forked ends like one that cannot be executed, with the reason on its standard error. */
static void refuse_command(struct guest *g, int error)
{
    char text[160];
    int length = snprintf(text, sizeof text, "caisson: the guest cannot start the command: %s\n", strerror(-error));
    report_warning(&g->report, "cannot start the command: %s", strerror(-error));
    if (length > 0) {
        (void)session_send(&g->session, SESSION_STDERR, (const uint8_t *)text, strlen(text));
    }
    g->exit = (struct session_exit){.code = 126};
    g->state = GUEST_DRAINING;
}

static void start(struct guest *g, const struct session_event *data)
{
    int result = guest_start(g, data->data_bytes);
    if (result == 0) {
        g->state = GUEST_RUNNING;
    } else if (result == -EPROTO) {
        report_warning(&g->report, "cannot read the start block of the monitor: it is malformed; giving up");
        session_abort(&g->session, "malformed start block");
        leave_soon(g, data);
    } else {
        refuse_command(g, result);
    }
}

static void input(struct guest *g, const struct session_event *data)
{
    guest_take_input(g, data->data, data->data_bytes, data->end);
}

/* Nobody is there to read it. */
static void forget_input(struct guest *g, const struct session_event *data)
{
    session_consumed(&g->session, SESSION_STDIN, data->data_bytes);
}

static void send_signal(struct guest *g, const struct session_event *data)
{
    /* The command is not reaped yet, so the number is still its own. */
    if (kill(data->group ? -g->child.pid : g->child.pid, data->signal) != 0) {
        report_warning(&g->report, "cannot send signal %u to the command: %s", data->signal, strerror(errno));
    }
}

static void resize(struct guest *g, const struct session_event *data)
{
    int result = exec_resize(&g->child, data->size);
    if (result < 0) {
        report_warning(&g->report, "cannot resize the terminal of the command: %s", strerror(-result));
    }
}

static void close_output(struct guest *g, const struct session_event *data)
{
    guest_close_output(g, data->stream);
}

static uint32_t grace_of(const struct session_event *data)
{
    return data != NULL ? data->grace_ms : GUEST_GRACE_MS;
}

static void stop(struct guest *g, const struct session_event *data)
{
    report_step(&g->report, "stopping, at most %u ms", grace_of(data));
    set_deadline(g, grace_of(data));
    g->ops->kill_all(g->ops->context, SIGTERM);
    g->state = GUEST_STOPPING;
}

/* A second request can only shorten the time. */
static void hurry(struct guest *g, const struct session_event *data)
{
    uint64_t before = g->deadline_ms;
    set_deadline(g, grace_of(data));
    if (before != 0 && before < g->deadline_ms) {
        g->deadline_ms = before;
    }
}

static void kill_rest(struct guest *g, const struct session_event *data)
{
    (void)data;
    g->deadline_ms = 0;
    g->ops->kill_all(g->ops->context, SIGKILL);
}

/* Whatever the command left running holds its pipes open and would never let the output end. */
static void drain(struct guest *g, const struct session_event *data)
{
    (void)data;
    g->ops->kill_all(g->ops->context, SIGKILL);
    guest_close_input(g);
    g->child.pid = 0;
    g->state = GUEST_DRAINING;
}

static void report_exit(struct guest *g, const struct session_event *data)
{
    session_exit(&g->session, g->exit);
    leave(g, data);
}

/* The command is out of everybody's control, so it ends. */
static void give_up(struct guest *g, const struct session_event *data)
{
    g->ops->kill_all(g->ops->context, SIGKILL);
    leave_soon(g, data);
}

static void lost(struct guest *g, const struct session_event *data)
{
    g->ops->kill_all(g->ops->context, SIGKILL);
    off(g, data);
}

/* NULL: the event means nothing in that state. */
static action *const table[GUEST_STATES][GUEST_EVENTS] = {
    [GUEST_IDLE] =
        {
            [GUEST_EVENT_START] = start,
            [GUEST_EVENT_SHUTDOWN] = leave_soon,
            [GUEST_EVENT_BROKEN] = leave_soon,
            [GUEST_EVENT_LOST] = off,
        },
    [GUEST_RUNNING] =
        {
            [GUEST_EVENT_DATA] = input,
            [GUEST_EVENT_SIGNAL] = send_signal,
            [GUEST_EVENT_WINSIZE] = resize,
            [GUEST_EVENT_CLOSED] = close_output,
            [GUEST_EVENT_SHUTDOWN] = stop,
            [GUEST_EVENT_EXITED] = drain,
            [GUEST_EVENT_BROKEN] = give_up,
            [GUEST_EVENT_LOST] = lost,
        },
    [GUEST_STOPPING] =
        {
            [GUEST_EVENT_DATA] = input,
            [GUEST_EVENT_SIGNAL] = send_signal,
            [GUEST_EVENT_WINSIZE] = resize,
            [GUEST_EVENT_CLOSED] = close_output,
            [GUEST_EVENT_SHUTDOWN] = hurry,
            [GUEST_EVENT_EXITED] = drain,
            [GUEST_EVENT_DEADLINE] = kill_rest,
            [GUEST_EVENT_BROKEN] = give_up,
            [GUEST_EVENT_LOST] = lost,
        },
    [GUEST_DRAINING] =
        {
            [GUEST_EVENT_DATA] = forget_input,
            [GUEST_EVENT_CLOSED] = close_output,
            [GUEST_EVENT_SHUTDOWN] = hurry,
            [GUEST_EVENT_DRY] = report_exit,
            [GUEST_EVENT_DEADLINE] = report_exit,
            [GUEST_EVENT_BROKEN] = leave_soon,
            [GUEST_EVENT_LOST] = off,
        },
    [GUEST_LEAVING] =
        {
            [GUEST_EVENT_SHUTDOWN] = leave_soon,
            [GUEST_EVENT_FLUSHED] = off,
            [GUEST_EVENT_DEADLINE] = off,
            [GUEST_EVENT_LOST] = off,
        },
};

void guest_handle(struct guest *g, enum guest_event event, const struct session_event *data)
{
    assert(g->state < GUEST_STATES && event < GUEST_EVENTS);
    action *act = table[g->state][event];
    if (act != NULL) {
        act(g, data);
    }
}
