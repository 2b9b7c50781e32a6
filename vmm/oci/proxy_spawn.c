/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/oci/proxy_parts.h"
#include "vmm/pod/title.h"

#define FIRST_KEPT 3
/* Above whatever is to be rearranged below. */
#define PARKED_FROM 64

/* ---- Signals ---- */

static void block_signals(sigset_t *before)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, before);
}

/* Handlers of the command mean nothing here; a signal that was ignored would never reach the process in the guest. */
static void reset_signals(void)
{
    for (int n = 1; n <= 64; n++)
        (void)signal(n, n == SIGPIPE ? SIG_IGN : SIG_DFL);
}

/* ---- Descriptors ---- */

/* What the new process needs, in the order of the numbers it gets: 0, 1, 2, and from FIRST_KEPT on. */
struct kept {
    int *fds[7];
    size_t count;
};

static int park(const struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        if (*kept->fds[i] < 0 && i >= FIRST_KEPT)
            continue;
        int given = *kept->fds[i] >= 0 ? *kept->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        *kept->fds[i] = fcntl(given, F_DUPFD_CLOEXEC, PARKED_FROM);
        if (*kept->fds[i] < 0)
            return -errno;
    }
    return 0;
}

static int unpark(const struct kept *kept)
{
    int next = FIRST_KEPT;
    for (size_t i = 0; i < kept->count; i++) {
        if (*kept->fds[i] < 0)
            continue;
        int to = i < FIRST_KEPT ? (int)i : next++;
        int done = i < FIRST_KEPT ? dup2(*kept->fds[i], to) : dup3(*kept->fds[i], to, O_CLOEXEC);
        if (done < 0)
            return -errno;
        *kept->fds[i] = to;
    }
    return syscall(SYS_close_range, next, ~0u, 0) < 0 ? -errno : 0;
}

/* Keep what the configuration names and nothing else; its numbers are changed accordingly. */
static int arrange(struct oci_proxy_config *cfg, int *report, struct err *err)
{
    static const struct err_context context = {.attempted = "prepare the descriptors of the container's process",
                                               .what_to_do = "raise the limit of open files"};
    const struct kept kept = {
        .fds = {&cfg->in, &cfg->out, &cfg->err, report, &cfg->console_socket, &cfg->log_fd, &cfg->lock}, .count = 7};
    if (cfg->lock == 0)
        cfg->lock = -1;
    int code = park(&kept);
    code = code < 0 ? code : unpark(&kept);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

/* All streams are the terminal's, so that whoever waits for the end of the command's own need not wait for us. */
static int use_console(struct oci_proxy_config *cfg, struct err *err)
{
    int slave;
    int code = proxy_terminal_open(cfg->console_socket, cfg->rows, cfg->columns, &slave, err);
    if (code < 0)
        return code;
    for (int fd = 0; fd <= 2; fd++)
        (void)dup2(slave, fd);
    close(slave);
    close(cfg->console_socket);
    cfg->console_socket = -1;
    return 0;
}

/* ---- The new process ---- */

/* The command's arguments, which strings of the configuration may be part of, give way to a title. */
static int set_title(struct oci_proxy *p, struct oci_proxy_config *cfg, struct err *err)
{
    static const struct err_context context = {.attempted = "name the process of the container",
                                               .what_to_do = "free memory on the host"};
    char *title;
    cfg->folder = strdup(cfg->folder);
    cfg->container = strdup(cfg->container);
    cfg->exec = cfg->exec != NULL ? strdup(cfg->exec) : NULL;
    p->process = cfg->exec != NULL ? cfg->exec : cfg->container;
    if (cfg->folder == NULL || cfg->container == NULL || p->process == NULL ||
        asprintf(&title, "caisson: %s", cfg->container) < 0)
        return err_fail(err, -ENOMEM, &context);
    title_set(title, title);
    free(title);
    return 0;
}

static int prepare(struct oci_proxy *p, struct oci_proxy_config *cfg, int *report, struct err *err)
{
    (void)setsid();
    reset_signals();
    /* Before descriptors are closed: what leads to the cgroup may be one. */
    int code = cfg->enter != NULL ? cfg->enter(cfg->ctx, err) : 0;
    code = code == 0 ? arrange(cfg, report, err) : code;
    /* Whatever folder it was, it is to be free to be unmounted. */
    (void)!chdir("/");
    if (code == 0 && cfg->tty && cfg->console_socket >= 0)
        code = use_console(cfg, err);
    code = code < 0 ? code : proxy_attach(p, cfg, true, err);
    return code < 0 ? code : set_title(p, cfg, err);
}

/* False: whoever started us is gone, and has not told anybody that we exist. */
static bool tell(int report, int code, struct err *err)
{
    err->code = code;
    bool told = write(report, err, sizeof(*err)) == (ssize_t)sizeof(*err);
    close(report);
    return told;
}

static int run_child(const struct oci_proxy_config *given, int report)
{
    struct oci_proxy_config cfg = *given;
    struct err err;
    int exit_code = OCI_PROXY_POD_LOST;
    struct oci_proxy *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return OCI_PROXY_POD_LOST;
    err_clear(&err);
    int code = prepare(p, &cfg, &report, &err);
    if (!tell(report, code, &err) || code < 0)
        return OCI_PROXY_POD_LOST;
    if (cfg.lock >= 0)
        close(cfg.lock);
    if (proxy_loop(p, &exit_code, &err) < 0)
        dprintf(STDERR_FILENO, "caisson: %s\n", err.text);
    return exit_code;
}

/* ---- The caller ---- */

/* False: it ended before it had said all. */
static bool read_report(int fd, struct err *err)
{
    size_t have = 0;
    while (have < sizeof(*err)) {
        ssize_t n = read(fd, (char *)err + have, sizeof(*err) - have);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int await_report(pid_t pid, int fd, struct err *err)
{
    static const struct err_context context = {.attempted = "start the process of the container",
                                               .what_to_do = "look into the kernel's log for who killed it"};
    struct err told;
    int status = 0;
    bool complete = read_report(fd, &told);
    if (complete && told.code == 0)
        return 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!complete)
        return err_fail_because(err, -EPIPE, &context, "it ended without a word (status 0x%x)", (unsigned)status);
    if (err != NULL)
        *err = told;
    return told.code;
}

static int spawn(const struct oci_proxy_config *cfg, const int report[2], pid_t *pid, struct err *err)
{
    static const struct err_context context = {.attempted = "start a process for the container",
                                               .what_to_do = "raise the limit of processes, or free memory"};
    sigset_t before;
    block_signals(&before);
    pid_t child = fork();
    if (child == 0)
        _exit(run_child(cfg, report[1]));
    int code = child < 0 ? -errno : 0;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (code < 0)
        return err_fail(err, code, &context);
    code = await_report(child, report[0], err);
    if (code == 0)
        *pid = child;
    return code;
}

int oci_proxy_spawn(const struct oci_proxy_config *cfg, pid_t *pid, struct err *err)
{
    static const struct err_context context = {.attempted = "make a pipe",
                                               .what_to_do = "raise the limit of open files"};
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_fail(err, -errno, &context);
    int code = spawn(cfg, report, pid, err);
    close(report[0]);
    return code;
}

int oci_proxy_tell_started(pid_t pid)
{
    return kill(pid, OCI_PROXY_STARTED_SIGNAL) < 0 ? -errno : 0;
}

/* ---- In the calling process ---- */

/* On a connection of its own: on the other one an answer is due. */
static int start(const struct oci_proxy_config *cfg, struct err *err)
{
    struct oci_agent agent;
    if (cfg->start == NULL)
        return 0;
    int code = proxy_dial(cfg, &agent, err);
    if (code < 0)
        return code;
    code = cfg->start(cfg->ctx, &agent, err);
    oci_agent_close(&agent);
    return code;
}

static int run(struct oci_proxy *p, const struct oci_proxy_config *cfg, int *exit_code, struct err *err)
{
    int code = proxy_attach(p, cfg, false, err);
    code = code < 0 ? code : start(cfg, err);
    if (code == 0) {
        p->started = true;
        code = proxy_loop(p, exit_code, err);
    }
    proxy_detach(p);
    return code;
}

/* With a console socket, the streams are the slave of its terminal. */
static int run_on_console(struct oci_proxy *p, const struct oci_proxy_config *given, int *exit_code, struct err *err)
{
    struct oci_proxy_config cfg = *given;
    int slave;
    int code = proxy_terminal_open(cfg.console_socket, cfg.rows, cfg.columns, &slave, err);
    if (code < 0)
        return code;
    cfg.in = cfg.out = slave;
    code = run(p, &cfg, exit_code, err);
    close(slave);
    return code;
}

int oci_proxy_run(const struct oci_proxy_config *cfg, int *exit_code, struct err *err)
{
    static const struct err_context context = {.attempted = "carry the container's streams",
                                               .what_to_do = "free memory on the host"};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, pipe_before;
    sigset_t before;
    struct oci_proxy *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return err_fail(err, -ENOMEM, &context);
    block_signals(&before);
    (void)sigaction(SIGPIPE, &ignore, &pipe_before);
    int code =
        cfg->tty && cfg->console_socket >= 0 ? run_on_console(p, cfg, exit_code, err) : run(p, cfg, exit_code, err);
    (void)sigaction(SIGPIPE, &pipe_before, NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    free(p);
    return code;
}
