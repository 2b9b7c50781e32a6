/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pod process's loop: the machine's end, signals, the control socket, and the guest's agent. It waits in poll and
 * nowhere else; the guest can make it busy, and never make it wait.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/devices/virtio/fs.h"
#include "vmm/pod/pod_internal.h"

#define MS             UINT64_C(1000000)
#define DIAL_FIRST_NS  (250 * MS) /* between questions whether the agent is there */
#define DIAL_LATER_NS  (500 * MS) /* and once it was there */
#define PANIC_GRACE_NS (3 * POD_NS_PER_S)
#define STOP_ASK_NS    (10 * POD_NS_PER_S) /* for the agent to end what runs */
#define STOP_WAIT_NS   (10 * POD_NS_PER_S) /* for the guest to switch off then */
#define TRIM_NS        (30 * POD_NS_PER_S)
#define LOG_BURST      200u /* lines of the agent a second */
#define FIXED          7u

uint64_t pod_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * POD_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- Exports ---- */

static int refuse_export(const char *name, int code, struct err *err)
{
    struct err_context context = {.attempted = "export", .on_what = name};
    switch (code) {
    case -EEXIST: context.what_to_do = "use another name, or take the export of this name away first"; break;
    case -ENOSPC:
        context.what_to_do = "give the containers of the pod fewer mounts";
        return err_fail_because(err, code, &context, "the pod has %u exports already", FS_EXPORTS_MAX);
    case -EINVAL:
        context.what_to_do = "export a folder or a regular file, under a name of one component";
        return err_fail_because(err, code, &context, "it is neither a folder nor a regular file, or its name is bad");
    default: context.what_to_do = "look at the permissions of what is exported"; break;
    }
    return err_fail(err, code, &context);
}

struct opening {
    struct fs *fs;
    struct fs_export *export;
    int fd, code;
};

/* By the clerk. */
static void open_export(void *ctx)
{
    struct opening *o = ctx;
    o->code = fs_export_open(o->fs, o->export, o->fd);
}

static int add_export(struct pod *p, const char *name, int fd, bool read_only)
{
    struct opening o = {.fs = io_exports(p->vm.io), .export = fs_export_blank(), .fd = fd};
    if (o.export == NULL)
        return -ENOMEM;
    pod_clerk_do(&p->clerk, open_export, &o);
    if (o.code == 0)
        return fs_export_put(o.fs, name, o.export, read_only);
    fs_export_drop(o.export);
    return o.code;
}

static int on_export(void *ctx, const char *name, int fd, bool read_only, struct err *err)
{
    struct pod *p = ctx;
    int code = add_export(p, name, fd, read_only);
    if (code < 0)
        return refuse_export(name, code, err);
    pod_say(p, LOG_LEVEL_DEBUG, "export %s, %s", name, read_only ? "read-only" : "writable");
    return 0;
}

static int on_unexport(void *ctx, const char *name, struct err *err)
{
    struct pod *p = ctx;
    const struct err_context context = {
        .attempted = "take an export away", .on_what = name, .what_to_do = "name one that there is"};
    int code = fs_export_remove(io_exports(p->vm.io), name);
    if (code < 0)
        return err_fail(err, code, &context);
    pod_say(p, LOG_LEVEL_DEBUG, "unexport %s", name);
    return 0;
}

static void list_export(void *ctx, const char *name, bool read_only)
{
    struct json_writer *w = ctx;
    json_begin_object(w);
    json_key(w, "name");
    json_text(w, name);
    json_key(w, "readOnly");
    json_bool(w, read_only);
    json_end_object(w);
}

static void on_status(void *ctx, struct json_writer *w)
{
    struct pod *p = ctx;
    json_key(w, "pod");
    json_begin_object(w);
    pod_describe(p, w);
    json_end_object(w);
    json_key(w, "exports");
    json_begin_array(w);
    fs_export_list(io_exports(p->vm.io), list_export, w);
    json_end_array(w);
}

/* ---- Processes that have to go ---- */

static void forget_kill(struct pod *p, struct pod_kill **at)
{
    struct pod_kill *kill = *at;
    *at = kill->next;
    p->kill_count--;
    free(kill->container);
    free(kill->exec);
    free(kill);
}

/* More than there can be processes are none that anybody stood for. */
static void on_lost(void *ctx, const char *container, const char *exec)
{
    struct pod *p = ctx;
    struct pod_kill *kill = p->kill_count < POD_KILLS_MAX ? calloc(1, sizeof(*kill)) : NULL;
    pod_say(p, LOG_LEVEL_WARN, "nobody stands for %s%s%s any more: it is killed", container, exec[0] == '\0' ? "" : " ",
            exec);
    if (kill == NULL)
        return;
    *kill =
        (struct pod_kill){.next = p->kills, .tag = ++p->next_tag, .container = strdup(container), .exec = strdup(exec)};
    p->kills = kill;
    p->kill_count++;
    if (kill->container == NULL || kill->exec == NULL)
        forget_kill(p, &p->kills);
}

static void send_kills(struct pod *p)
{
    for (struct pod_kill *k = p->kills; k != NULL; k = k->next)
        if (!k->under_way)
            k->under_way = pod_guest_call(&p->guest, POD_CALL_SIGNAL, k->tag, k->container, k->exec) == 0;
}

/* A refusal is final (there is no such process); a broken connection is not. */
static void kill_answered(struct pod *p, uint64_t tag, int code, const char *text)
{
    for (struct pod_kill **at = &p->kills; *at != NULL; at = &(*at)->next) {
        if ((*at)->tag != tag)
            continue;
        (*at)->under_way = false;
        if (code == -ECONNRESET)
            return;
        if (code < 0 && code != -ENOENT && code != -ESRCH)
            pod_say(p, LOG_LEVEL_WARN, "the agent did not kill %s: %s", (*at)->container, text != NULL ? text : "");
        forget_kill(p, at);
        return;
    }
}

/* ---- Stopping ---- */

static void wait_for_power_off(struct pod *p)
{
    p->stop = POD_STOP_WAITING;
    p->stop_ns = pod_now_ns() + STOP_WAIT_NS;
}

static void begin_stop(struct pod *p)
{
    if (p->stop != POD_STOP_NOT)
        return;
    pod_say(p, LOG_LEVEL_INFO, "stopping");
    p->stop = POD_STOP_ASKING;
    /* There is nothing to end in order before the agent is there. */
    p->stop_ns = p->phase == POD_RUNNING ? pod_now_ns() + STOP_ASK_NS : 0;
    p->dial_ns = 0;
}

static void on_stop(void *ctx)
{
    begin_stop(ctx);
}

/* ---- Evidence ---- */

static int on_quote(void *ctx, const uint8_t *nonce, size_t n, bool bind, struct evidence *out, struct err *err)
{
    static const struct err_context context = {.attempted = "make evidence",
                                               .what_to_do = "use a build with CONFIG_ATTEST"};
    struct pod *p = ctx;
    if (!CONFIG_ATTEST)
        return err_fail_because(err, -EOPNOTSUPP, &context, "this build signs nothing");
    return pod_trust_quote(p->trust, nonce, n, bind, out, err);
}

const struct pod_server_ops pod_control_ops = {.export = on_export,
                                               .unexport = on_unexport,
                                               .status = on_status,
                                               .stop = on_stop,
                                               .lost = on_lost,
                                               .quote = on_quote};

static void destroy_answered(struct pod *p, int code, const char *text)
{
    if (code < 0 && code != -ECONNRESET)
        pod_say(p, LOG_LEVEL_WARN, "the agent did not end its sandbox: %s", text != NULL ? text : strerror(-code));
    if (p->stop == POD_STOP_ASKING)
        wait_for_power_off(p);
}

/* The second signal is from somebody who does not want to wait. */
static void on_signals(struct pod *p)
{
    struct signalfd_siginfo info;
    while (read(p->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        pod_say(p, LOG_LEVEL_INFO, "signal: %s", strsignal((int)info.ssi_signo));
        if (p->caught != 0)
            p->stop_ns = 0;
        p->caught = (int)info.ssi_signo;
        if (p->stop == POD_STOP_NOT)
            begin_stop(p);
    }
}

/* ---- The agent ---- */

static void check_answered(struct pod *p, int code, const char *text)
{
    p->check_under_way = false;
    if (code == 0 && p->phase < POD_RUNNING) {
        (void)pod_enter_phase(p, POD_RUNNING, NULL);
        pod_say(p, LOG_LEVEL_INFO, "the agent answered after %llu ms",
                (unsigned long long)((pod_now_ns() - p->start_ns) / MS));
        pod_tell_parent(p, 0, "");
    } else if (code != -ECONNRESET && code < 0) {
        pod_say(p, LOG_LEVEL_WARN, "the agent is not well: %s", text != NULL ? text : strerror(-code));
    }
}

static void on_answer(void *ctx, enum pod_call call, uint64_t tag, int code, const char *text)
{
    struct pod *p = ctx;
    switch (call) {
    case POD_CALL_CHECK: check_answered(p, code, text); break;
    case POD_CALL_SIGNAL: kill_answered(p, tag, code, text); break;
    case POD_CALL_DESTROY: destroy_answered(p, code, text); break;
    }
}

/* What there is to say to the agent now. */
static bool has_business(const struct pod *p)
{
    return p->phase < POD_RUNNING || p->kills != NULL || p->stop == POD_STOP_ASKING;
}

static bool has_calls(const struct pod *p)
{
    for (unsigned i = 0; i < POD_CALLS_MAX; i++)
        if (p->guest.calls[i].stream != 0)
            return true;
    return false;
}

static void say_to_agent(struct pod *p)
{
    if (p->phase < POD_RUNNING && !p->check_under_way)
        p->check_under_way = pod_guest_call(&p->guest, POD_CALL_CHECK, 0, NULL, NULL) == 0;
    if (p->phase == POD_RUNNING)
        send_kills(p);
    if (p->stop == POD_STOP_ASKING && !has_calls(p) && p->kills == NULL)
        (void)pod_guest_call(&p->guest, POD_CALL_DESTROY, 0, NULL, NULL);
}

/* The agent has few connections: ours is there only while there is something to say. */
static void tend_guest(struct pod *p, uint64_t now)
{
    if (!has_business(p) && !has_calls(p)) {
        pod_guest_fini(&p->guest);
        return;
    }
    if (p->guest.dial.fd < 0 && now >= p->dial_ns) {
        (void)pod_guest_dial(&p->guest, p->dial_path, POD_AGENT_PORT);
        p->dial_ns = now + (p->phase < POD_RUNNING ? DIAL_FIRST_NS : DIAL_LATER_NS);
    }
    if (pod_guest_is_open(&p->guest))
        say_to_agent(p);
}

static void on_agent_line(void *ctx, const char *line, bool cut)
{
    struct pod *p = ctx;
    uint64_t left_out = 0;
    if (!log_limit_allow(&p->agent_lines, pod_now_ns(), &left_out))
        return;
    if (left_out > 0)
        pod_say(p, LOG_LEVEL_WARN, "agent: %llu lines were left out", (unsigned long long)left_out);
    pod_say(p, LOG_LEVEL_INFO, "agent: %s%s", line, cut ? "..." : "");
}

static void tend_agent_log(struct pod *p, uint64_t now)
{
    if (p->phase < POD_RUNNING || p->agent_log.dial.fd >= 0 || now < p->log_dial_ns)
        return;
    pod_agent_log_init(&p->agent_log);
    (void)pod_dial_start(&p->agent_log.dial, p->dial_path, POD_LOG_PORT);
    p->log_dial_ns = now + POD_NS_PER_S;
}

/* ---- The guest's console ---- */

static void on_console(struct pod *p)
{
    struct pod_console_progress seen;
    uint64_t count;
    (void)!read(p->console.wake_fd, &count, sizeof(count));
    if (pod_log_file_is_full(&p->console_file))
        pod_trim(p, &p->console_file);
    pod_console_look(&p->console, &seen);
    if (seen.init && p->phase == POD_BOOTING)
        (void)pod_enter_phase(p, POD_INIT, NULL);
    if (seen.agent && (p->phase == POD_BOOTING || p->phase == POD_INIT)) {
        (void)pod_enter_phase(p, POD_AGENT, NULL);
        /* What was asked before there was anybody to answer is not waited for. */
        if (!pod_guest_is_open(&p->guest))
            pod_guest_fini(&p->guest);
        p->dial_ns = 0;
    }
    /* A kernel that panics resets at once by our command line, and with another one may halt for ever. */
    if (p->panic_ns == 0 && (seen.panicked || atomic_load(&p->panicked)))
        p->panic_ns = pod_now_ns() + PANIC_GRACE_NS;
}

/* ---- The loop ---- */

/*
 * Words of a panic decide nothing by themselves, since a container may print them: while the agent answers, the machine
 * lives. Before it did, or when the kernel reported the panic by a device that only it reaches, they do.
 */
static bool panic_counts(const struct pod *p)
{
    return p->panic_ns != 0 && (p->phase < POD_RUNNING || atomic_load(&p->panicked));
}

static uint64_t ready_deadline(const struct pod *p)
{
    return p->phase < POD_RUNNING ? p->start_ns + p->cfg->ready_seconds * POD_NS_PER_S : UINT64_MAX;
}

/* When something is to be done though nothing happened. */
static uint64_t next_ns(const struct pod *p)
{
    uint64_t at = p->trim_ns;
    const uint64_t others[] = {
        ready_deadline(p),
        panic_counts(p) ? p->panic_ns : UINT64_MAX,
        p->stop != POD_STOP_NOT ? p->stop_ns : UINT64_MAX,
        has_business(p) && p->guest.dial.fd < 0 ? p->dial_ns : UINT64_MAX,
        p->phase == POD_RUNNING && p->agent_log.dial.fd < 0 ? p->log_dial_ns : UINT64_MAX,
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        at = others[i] < at ? others[i] : at;
    return at;
}

static int wait_ms(const struct pod *p, uint64_t now)
{
    uint64_t at = next_ns(p);
    return at <= now ? 0 : (int)((at - now) / MS + 1);
}

/* True: the machine has to go, because of p->late, p->orphaned, p->stop or a panic. */
static bool patience_ends(struct pod *p, uint64_t now)
{
    if (p->stop == POD_STOP_ASKING && now >= p->stop_ns && p->stop_ns != 0)
        wait_for_power_off(p);
    if (p->stop != POD_STOP_NOT && now >= p->stop_ns) {
        if (p->stop_ns != 0)
            pod_say(p, LOG_LEVEL_WARN, "the guest does not switch off: it is switched off");
        return true;
    }
    p->late = now >= ready_deadline(p);
    return p->late || p->orphaned || (panic_counts(p) && now >= p->panic_ns);
}

static void tend(struct pod *p, uint64_t now)
{
    tend_guest(p, now);
    tend_agent_log(p, now);
    if (now < p->trim_ns)
        return;
    pod_trim(p, &p->log_file);
    p->trim_ns = now + TRIM_NS;
}

static void wait_and_step(struct pod *p, struct pollfd *fds, uint64_t now)
{
    fds[0] = (struct pollfd){.fd = p->vm.stop_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->signal_fd, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = p->console.wake_fd, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = p->parent_fd, .events = 0};
    fds[4] = (struct pollfd){.fd = p->guest.dial.fd, .events = pod_guest_events(&p->guest)};
    fds[5] = (struct pollfd){.fd = p->agent_log.dial.fd, .events = POLLIN};
    fds[6] = (struct pollfd){.fd = CONFIG_SECCOMP ? seccomp_lock_watch(&p->lock) : -1, .events = POLLIN};
    unsigned n = pod_server_poll(&p->server, fds + FIXED);
    struct pollfd *trust = fds + FIXED + n;
    unsigned trust_count = CONFIG_MEASURE ? pod_trust_poll(p->trust, trust) : 0;
    if (poll(fds, FIXED + n + trust_count, wait_ms(p, now)) < 0)
        return; /* EINTR: once more round */
    if (CONFIG_SECCOMP && fds[6].revents != 0 && !vm_is_stopping(&p->vm))
        seccomp_lock_lose_thread(&p->lock);
    if (fds[1].revents != 0)
        on_signals(p);
    if (fds[2].revents != 0)
        on_console(p);
    p->orphaned = p->parent_fd >= 0 && fds[3].revents != 0;
    if (fds[4].revents != 0 && p->guest.dial.fd >= 0)
        (void)pod_guest_step(&p->guest, on_answer, p);
    if (fds[5].revents != 0)
        (void)pod_agent_log_step(&p->agent_log, on_agent_line, p);
    if (CONFIG_MEASURE)
        pod_trust_step(p->trust, trust, trust_count);
    pod_server_step(&p->server, fds + FIXED, n);
}

int pod_serve(struct pod *p)
{
    struct pollfd *fds = calloc(FIXED + POD_SERVER_POLL + POD_TRUST_POLL, sizeof(*fds));
    if (fds == NULL)
        return -ENOMEM;
    p->agent_lines = (struct log_limit){.burst = LOG_BURST, .interval_ns = POD_NS_PER_S};
    p->trim_ns = p->start_ns + TRIM_NS;
    for (uint64_t now = pod_now_ns(); !vm_is_stopping(&p->vm) && !patience_ends(p, now); now = pod_now_ns()) {
        tend(p, now);
        wait_and_step(p, fds, now);
    }
    free(fds);
    return p->stop != POD_STOP_NOT ? 0 : p->late ? -ETIMEDOUT : p->orphaned ? -ECANCELED : -EHOSTDOWN;
}
