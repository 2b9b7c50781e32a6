/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/proxy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "agent.pb.h"
#include "common/text.h"
#include "vmm/console_text.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/proxy_parts.h"
#include "vmm/pod/control.h"

/* For the pod process to say why it ends, after its connections have closed. */
#define LAST_WORDS_MS 2000
/* Answers taken in one round of the loop, so that signals and streams get their turn. */
#define ANSWERS_MAX 64u

#define METHOD(name) "grpc.AgentService/" name

/* ---- Connections ---- */

int proxy_dial(const struct oci_proxy_config *cfg, struct oci_agent *a, struct err *err)
{
    static const struct err_context context = {.attempted = "reach the agent", .what_to_do = "free memory on the host"};
    char *path;
    if (asprintf(&path, "%s/vsock", cfg->folder) < 0)
        return err_fail(err, -ENOMEM, &context);
    int code = oci_agent_dial(path, OCI_AGENT_PORT, OCI_PROXY_DIAL_MS, a, err);
    free(path);
    return code;
}

static int hold(struct oci_proxy *p, struct err *err)
{
    int code = pod_control_open(p->cfg->folder, &p->control, err);
    if (code < 0)
        return code;
    return pod_control_hold(p->control, p->cfg->container, p->cfg->exec, err);
}

static int watch_signals(struct oci_proxy *p, struct err *err)
{
    static const struct err_context context = {.attempted = "receive signals",
                                               .what_to_do = "raise the limit of open files"};
    sigset_t all;
    (void)sigfillset(&all);
    p->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return p->signals < 0 ? err_fail(err, -errno, &context) : 0;
}

static int send_wait(struct oci_proxy *p, struct err *err)
{
    static const struct err_context context = {.attempted = "wait for the process in the guest"};
    const grpc_WaitProcessRequest request = {.container_id = ttrpc_borrow(p->cfg->container),
                                             .exec_id = ttrpc_borrow(p->process)};
    int code = oci_agent_send(&p->agent, METHOD("WaitProcess"), grpc_WaitProcessRequest_fields, &request, &p->wait);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static void init_log(struct oci_proxy *p)
{
    log_init(&p->log, p->cfg->log_fd, p->cfg->log_level, p->cfg->container, NULL);
    if (p->cfg->preserve > 0)
        log_write(&p->log, LOG_LEVEL_WARN, LOG_NO_VCPU,
                  "--preserve-fds %u: descriptors cannot be taken into a virtual machine, they are closed",
                  p->cfg->preserve);
}

static void init_streams(struct oci_proxy *p)
{
    const struct oci_proxy_config *cfg = p->cfg;
    proxy_terminal_init(&p->terminal, cfg->tty ? cfg->in : -1);
    proxy_input_init(&p->in, cfg->in, p->own_streams);
    proxy_output_init(&p->out, METHOD("ReadStdout"), cfg->out, p->own_streams);
    /* The standard error keeps its descriptor for last words. A terminal has no stream of its own for it. */
    proxy_output_init(&p->err, METHOD("ReadStderr"), cfg->tty ? -1 : cfg->err, false);
    p->err.ended = cfg->tty;
    p->resize_due = p->terminal.fd >= 0;
}

int proxy_attach(struct oci_proxy *p, const struct oci_proxy_config *cfg, bool own_streams, struct err *err)
{
    memset(p, 0, sizeof(*p));
    p->cfg = cfg;
    p->own_streams = own_streams;
    p->process = cfg->exec != NULL ? cfg->exec : cfg->container;
    p->control = p->signals = p->agent.fd = -1;
    p->started = cfg->started;
    init_log(p);
    init_streams(p);
    int code = watch_signals(p, err);
    code = code < 0 ? code : hold(p, err);
    code = code < 0 ? code : proxy_dial(cfg, &p->agent, err);
    if (code == 0 && cfg->begin != NULL)
        code = cfg->begin(cfg->ctx, &p->agent, err);
    return code < 0 ? code : send_wait(p, err);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void proxy_detach(struct oci_proxy *p)
{
    proxy_terminal_restore(&p->terminal);
    proxy_input_fini(&p->in);
    proxy_output_fini(&p->out);
    proxy_output_fini(&p->err);
    oci_agent_close(&p->agent);
    close_fd(&p->control);
    close_fd(&p->signals);
}

/* ---- Signals ---- */

/* Stopped by the terminal, as the shell expects of a job; the process in the guest is held up by its streams. */
static void stop_here(struct oci_proxy *p)
{
    proxy_terminal_restore(&p->terminal);
    (void)kill(getpid(), SIGSTOP);
    p->in.lent = false;
    p->resize_due = p->terminal.fd >= 0;
    if (p->started)
        proxy_terminal_take(&p->terminal);
}

static bool is_job_control(const struct signalfd_siginfo *s)
{
    return s->ssi_code == SI_KERNEL && (s->ssi_signo == SIGTSTP || s->ssi_signo == SIGTTIN || s->ssi_signo == SIGTTOU);
}

static void on_signal(struct oci_proxy *p, const struct signalfd_siginfo *s)
{
    switch (s->ssi_signo) {
    case SIGCHLD:
    case SIGPIPE: return;
    case SIGWINCH: p->resize_due = p->terminal.fd >= 0; return;
    case OCI_PROXY_STARTED_SIGNAL: p->started = true; return;
    default: break;
    }
    if (is_job_control(s))
        stop_here(p);
    else if (s->ssi_signo >= 1 && s->ssi_signo <= 64)
        p->signals_due |= UINT64_C(1) << (s->ssi_signo - 1);
}

static void take_signals(struct oci_proxy *p)
{
    struct signalfd_siginfo s;
    while (read(p->signals, &s, sizeof(s)) == (ssize_t)sizeof(s))
        on_signal(p, &s);
}

static int send_signal(struct oci_proxy *p)
{
    if (p->signals_due == 0 || p->signal != 0 || p->exited)
        return 0;
    unsigned bit = (unsigned)__builtin_ctzll(p->signals_due);
    p->signals_due &= p->signals_due - 1;
    const grpc_SignalProcessRequest request = {
        .container_id = ttrpc_borrow(p->cfg->container), .exec_id = ttrpc_borrow(p->process), .signal = bit + 1};
    return oci_agent_send(&p->agent, METHOD("SignalProcess"), grpc_SignalProcessRequest_fields, &request, &p->signal);
}

static int send_resize(struct oci_proxy *p)
{
    uint16_t rows, columns;
    if (!p->resize_due || p->resize != 0 || p->exited)
        return 0;
    p->resize_due = false;
    if (!proxy_terminal_size(&p->terminal, &rows, &columns))
        return 0;
    const grpc_TtyWinResizeRequest request = {.container_id = ttrpc_borrow(p->cfg->container),
                                              .exec_id = ttrpc_borrow(p->process),
                                              .row = rows,
                                              .column = columns};
    return oci_agent_send(&p->agent, METHOD("TtyWinResize"), grpc_TtyWinResizeRequest_fields, &request, &p->resize);
}

/* ---- The end ---- */

static void lose(struct oci_proxy *p, const char *why)
{
    struct text t;
    if (p->lost)
        return;
    p->lost = true;
    text_init(&t, p->why, sizeof(p->why));
    text_add(&t, "%s", why);
}

static void on_wait(struct oci_proxy *p, const struct oci_agent_answer *answer)
{
    grpc_WaitProcessResponse r = grpc_WaitProcessResponse_init_zero;
    p->wait = 0;
    if (answer->code < 0) {
        lose(p, answer->text);
        return;
    }
    if (oci_agent_unpack(answer, grpc_WaitProcessResponse_fields, &r) < 0 || r.status < 0 || r.status > 255) {
        lose(p, "the agent tells an exit code that there is not");
        return;
    }
    p->exited = true;
    p->status = r.status;
    p->drain = deadline_in_ms(OCI_PROXY_DRAIN_MS);
}

static bool is_drained(const struct proxy_output *o)
{
    return o->ended && attach_sink_held(&o->sink) == 0;
}

/* What is still in our hands goes out however long the reader takes; only for the guest is there a limit. */
static void drain(struct oci_proxy *p)
{
    bool held = attach_sink_held(&p->out.sink) + attach_sink_held(&p->err.sink) > 0;
    if (p->out.moved || p->err.moved || held)
        p->drain = deadline_in_ms(OCI_PROXY_DRAIN_MS);
    p->out.moved = p->err.moved = false;
    if (deadline_is_over(&p->drain))
        p->out.ended = p->err.ended = true;
}

static bool is_done(const struct oci_proxy *p)
{
    return p->lost || (p->exited && is_drained(&p->out) && is_drained(&p->err));
}

/* After the exit, a connection that ends is the end of the output. */
static void lose_agent(struct oci_proxy *p)
{
    if (p->exited)
        p->out.ended = p->err.ended = true;
    else
        lose(p, p->agent.why);
}

/* ---- The loop ---- */

static void on_answer(struct oci_proxy *p, const struct oci_agent_answer *answer)
{
    int code = 0;
    if (answer->stream == p->wait)
        on_wait(p, answer);
    else if (answer->stream == p->out.read)
        code = proxy_output_take(p, &p->out, answer);
    else if (answer->stream == p->err.read)
        code = proxy_output_take(p, &p->err, answer);
    else if (answer->stream == p->in.write)
        code = proxy_input_take(p, answer);
    else if (answer->stream == p->signal)
        p->signal = 0;
    else if (answer->stream == p->resize)
        p->resize = 0;
    if (code < 0)
        lose(p, "the agent answers more than it was asked for");
}

static void take_answers(struct oci_proxy *p)
{
    struct oci_agent_answer answer;
    for (unsigned i = 0; i < ANSWERS_MAX && !p->lost; i++) {
        int code = oci_agent_receive(&p->agent, &answer);
        if (code < 0)
            lose_agent(p);
        if (code <= 0)
            return;
        on_answer(p, &answer);
        oci_agent_answer_fini(&answer);
    }
}

/* Ask for all that may be asked for now. A connection that has ended is noticed by take_answers. */
static void ask(struct oci_proxy *p)
{
    int code = send_signal(p);
    code = code < 0 ? code : send_resize(p);
    code = code < 0 ? code : proxy_input_send(p);
    code = code < 0 ? code : proxy_output_ask(p, &p->out);
    code = code < 0 ? code : proxy_output_ask(p, &p->err);
    if (code < 0 && code != -EPIPE)
        lose(p, strerror(-code));
}

/* On the control connection nothing comes unasked. */
static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

enum place {
    AT_SIGNALS,
    AT_AGENT,
    AT_CONTROL,
    AT_IN,
    AT_OUT,
    AT_ERR,
    PLACES,
};

static void fill_polls(const struct oci_proxy *p, struct pollfd fds[PLACES])
{
    fds[AT_SIGNALS] = (struct pollfd){.fd = p->signals, .events = POLLIN};
    fds[AT_AGENT] = (struct pollfd){.fd = p->agent.broken ? -1 : p->agent.fd, .events = oci_agent_events(&p->agent)};
    fds[AT_CONTROL] = (struct pollfd){.fd = p->exited ? -1 : p->control, .events = POLLIN};
    fds[AT_IN] = (struct pollfd){.fd = proxy_input_wants(p) ? p->in.fd : -1, .events = POLLIN};
    fds[AT_OUT] = (struct pollfd){.fd = attach_sink_held(&p->out.sink) > 0 ? p->out.sink.fd : -1, .events = POLLOUT};
    fds[AT_ERR] = (struct pollfd){.fd = attach_sink_held(&p->err.sink) > 0 ? p->err.sink.fd : -1, .events = POLLOUT};
}

static void serve(struct oci_proxy *p, const struct pollfd fds[PLACES])
{
    if (fds[AT_SIGNALS].revents != 0)
        take_signals(p);
    if (fds[AT_OUT].revents != 0)
        (void)attach_sink_write(&p->out.sink);
    if (fds[AT_ERR].revents != 0)
        (void)attach_sink_write(&p->err.sink);
    if (fds[AT_IN].revents != 0)
        proxy_input_read(&p->in);
    take_answers(p);
    if (fds[AT_CONTROL].revents != 0 && !p->exited && is_closed(p->control))
        lose(p, "the pod has ended");
    if (p->in.lent)
        stop_here(p);
}

static void step(struct oci_proxy *p)
{
    struct pollfd fds[PLACES];
    ask(p);
    fill_polls(p, fds);
    if (poll(fds, PLACES, p->exited ? deadline_left_ms(&p->drain) : -1) < 0)
        return;
    serve(p, fds);
    if (p->exited)
        drain(p);
}

/* ---- Last words ---- */

/* When the pod process is gone, its record is complete. False: it goes on, the fault is another. */
static bool await_pod_end(const struct oci_proxy *p)
{
    struct pollfd fd = {.fd = p->control, .events = POLLIN};
    if (!p->agent.closed && !is_closed(p->control))
        return false;
    (void)poll(&fd, 1, LAST_WORDS_MS);
    return is_closed(p->control);
}

/* Why the pod says it has ended; false if it does not. It quotes the guest, so it is made printable once more. */
static bool read_reason(const struct oci_proxy *p, char *out, size_t size)
{
    const char *why = NULL;
    json_t *pod = oci_pod_read(p->cfg->folder);
    json_t *value = json_object_get(pod, "why");
    if (json_is_string(value))
        why = json_string_value(value);
    if (why != NULL)
        (void)console_text_make((const uint8_t *)why, strlen(why), out, size);
    json_decref(pod);
    return why != NULL && out[0] != '\0';
}

static int report_loss(struct oci_proxy *p, struct err *err)
{
    char reason[OCI_AGENT_TEXT_BYTES];
    char what[96 + sizeof(p->why)];
    struct text t;
    const struct err_context context = {.attempted = "keep container",
                                        .on_what = p->cfg->container,
                                        .what_to_do = "look at console.log and pod.log in the pod's folder"};
    text_init(&t, what, sizeof(what));
    text_add(&t, "%s", p->why);
    if (await_pod_end(p) && read_reason(p, reason, sizeof(reason)))
        text_add(&t, ": %s", reason);
    (void)err_fail_because(err, -EPIPE, &context, "%s", what);
    log_write(&p->log, LOG_LEVEL_ERROR, LOG_NO_VCPU, "%s", err->text);
    return -EPIPE;
}

int proxy_loop(struct oci_proxy *p, int *exit_code, struct err *err)
{
    struct err ignored;
    if (p->started)
        proxy_terminal_take(&p->terminal);
    while (!is_done(p))
        step(p);
    proxy_terminal_restore(&p->terminal);
    if (p->lost)
        return report_loss(p, err);
    /* A pod that has ended meanwhile needs no telling. */
    (void)pod_control_done(p->control, &ignored);
    *exit_code = p->status;
    return 0;
}
