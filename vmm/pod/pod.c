/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Forking a pod process, and waiting for what it becomes.
 */
#include "vmm/pod/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/seccomp/trap.h"
#include "vmm/pod/pod_internal.h"
#include "vmm/pod/title.h"

#define SPARE_SECONDS 30u /* beyond the guest's time: for building the machine, and for the end */
#define KEEP_MAX      (5u + IO_NETS_MAX * IO_QUEUES_MAX)

/* ---- The pod process ---- */

static unsigned kept_descriptors(const struct pod *p, int keep[KEEP_MAX])
{
    unsigned count = 0;
    const struct io_config *io = &p->cfg->io;
    keep[count++] = p->folder;
    keep[count++] = p->parent_fd;
    if (p->cfg->lock_fd > 0)
        keep[count++] = p->cfg->lock_fd;
    if (p->files.key_fd >= 0)
        keep[count++] = p->files.key_fd;
    if (p->files.node_key_fd >= 0)
        keep[count++] = p->files.node_key_fd;
    for (unsigned i = 0; i < io->net_count; i++)
        for (unsigned k = 0; io->nets[i].kind == IO_NET_DESCRIPTOR && k < io->nets[i].pairs; k++)
            keep[count++] = io->nets[i].fds[k];
    return count;
}

static int open_logs(struct pod *p, struct err *err)
{
    int code = pod_log_file_open(&p->log_file, p->folder, POD_LOG_NAME, POD_LOG_FILE_BYTES, err);
    if (code == 0)
        code = pod_log_file_open(&p->console_file, p->folder, POD_CONSOLE_NAME, POD_LOG_FILE_BYTES, err);
    if (code < 0)
        return code;
    log_init(&p->log, p->log_file.fd, (enum log_level)p->cfg->log_level, NULL, NULL);
    code = pod_console_init(&p->console, &p->console_file, err);
    p->has_console = code == 0;
    return code;
}

static int become_pod(struct pod *p, struct err *err)
{
    int keep[KEEP_MAX];
    int code = p->cfg->enter == NULL ? 0 : p->cfg->enter(p->cfg->enter_ctx, err);
    code = code != 0 ? code : pod_process_detach(keep, kept_descriptors(p, keep), &p->signal_fd, err);
    if (code < 0)
        return code;
    launch_raise_descriptors();
    p->process_start = pod_process_start();
    p->pid = pod_process_id();
    code = open_logs(p, err);
    code = code != 0 ? code : pod_enter_phase(p, POD_BUILDING, err);
    code = code != 0 ? code : pod_name_process(p, err);
    /* If the command has been killed, this was the last that held the lock, and now everybody can find us. */
    if (p->cfg->lock_fd > 0)
        close(p->cfg->lock_fd);
    return code;
}

/* From any thread, and to the file without going through anything that could be locked. */
static void tell_of_jail(void *ctx, const char *line)
{
    struct pod *p = ctx;
    log_write(&p->log, LOG_LEVEL_WARN, LOG_NO_VCPU, "%s", line);
}

/*
 * What the machine will have that matters to its jail: the rest of its shape comes from files that are foreign. The
 * folder goes by its own path: a mount that a descriptor leads to is not of the new namespace, and cannot be kept.
 */
static int prepare_jail(struct pod *p, struct err *err)
{
    char socket[PATH_MAX];
    (void)snprintf(socket, sizeof(socket), "%s/" POD_VSOCK_NAME, p->cfg->folder);
    struct io_config io = {.vsock = {.path = socket}, .shares = {{.exports = true}}, .share_count = 1};
    const struct confine_options options = {.off = p->cfg->no_jail || !p->io->jail, .require = p->cfg->require_jail};
    const struct confine_machine machine = {
        .io = &io, .folder = p->folder, .pid_step = p->pid_step, .tell = tell_of_jail, .ctx = p};
    int code = confine_prepare(&p->confine, &options, &machine, err);
    p->vsock_inside = io.vsock.inside;
    return code;
}

static int lock_down(struct pod *p, struct err *err)
{
    int code = prepare_jail(p, err);
    if (code < 0 || !CONFIG_SECCOMP || !p->io->seccomp)
        return code;
    code = seccomp_lock_init(&p->lock, p->log_file.fd, "pod", err);
    if (code == 0)
        confine_threads(&p->confine, &p->lock);
    return code;
}

static int move_in(struct pod *p, struct err *err)
{
    int code = confine_enter(&p->confine, err);
    p->dial_path = confine_path(&p->confine, "/" CONFINE_VSOCK "/" POD_VSOCK_NAME, p->vsock_path);
    return code;
}

static int build(struct pod *p, struct err *err)
{
    int code = lock_down(p, err);
    code = code != 0 ? code : pod_machine_build(p, err);
    code = code != 0 ? code : pod_server_open(&p->server, p->folder, POD_SOCKET_NAME, &pod_control_ops, p, err);
    if (code < 0)
        return code;
    /* Names relative to the caller's folder, and those in argv, are not needed any more. */
    (void)!chdir("/");
    title_set("caisson-pod", p->title);
    code = pod_enter_phase(p, POD_BOOTING, err);
    p->start_ns = pod_now_ns();
    code = code != 0 ? code : move_in(p, err);
    if (code == 0 && CONFIG_SECCOMP && p->io->seccomp)
        code = pod_clerk_start(&p->clerk, &p->lock, err);
    code = code != 0 ? code : pod_machine_start(p, err);
    /* The guest boots meanwhile, and nobody can report or ask for evidence before this thread serves. */
    code = code != 0 ? code : pod_machine_measure(p, err);
    if (code == 0 && CONFIG_ATTEST)
        code = pod_trust_take_key(p->trust, &p->files, err);
    if (CONFIG_MEASURE)
        pod_trust_close(&p->files);
    return code;
}

static int run(struct pod *p, struct err *err)
{
    const struct err_context context = {
        .attempted = "start the pod", .on_what = p->id, .what_to_do = "look at " POD_CONSOLE_NAME " in its folder"};
    int code = become_pod(p, err);
    code = code != 0 ? code : build(p, err);
    if (code < 0) {
        (void)snprintf(p->why, sizeof(p->why), "%s", err->text);
        return code;
    }
    code = pod_serve(p);
    pod_machine_stop(p);
    pod_explain_end(p);
    pod_say(p, code < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "ended: %s", p->why);
    /* Whoever waits for a pod to run has none if it was stopped before. */
    if (code == 0 && p->parent_fd >= 0)
        code = -ECANCELED;
    return code < 0 ? err_fail_because(err, code, &context, "%s", p->why) : 0;
}

static void clean_up(struct pod *p)
{
    pod_guest_fini(&p->guest);
    pod_agent_log_fini(&p->agent_log);
    pod_machine_end(p);
    if (CONFIG_MEASURE)
        pod_trust_free(p->trust);
    p->trust = NULL;
    if (p->owns_vsock)
        (void)unlinkat(p->folder, POD_VSOCK_NAME, 0);
    (void)pod_enter_phase(p, POD_STOPPED, NULL);
    confine_fini(&p->confine);
}

/* The console goes last of what the guest can reach; who asked for the end hears of it when nothing else is left. */
static _Noreturn void pod_main(struct pod *p)
{
    struct err err = {.code = 0};
    int code = run(p, &err);
    clean_up(p);
    pod_tell_parent(p, code, err.text);
    pod_server_finish(&p->server);
    pod_clerk_stop(&p->clerk);
    _exit(code < 0 ? 1 : 0);
}

/* ---- Who makes it ---- */

static int fail(const struct pod_config *cfg, int code, const char *what_to_do, struct err *err)
{
    const struct err_context context = {.attempted = "start the pod", .on_what = cfg->id, .what_to_do = what_to_do};
    return err_fail(err, code, &context);
}

/* What waitpid says of a process that left no word. */
static int say_dead(const struct pod_config *cfg, int status, struct err *err)
{
    const struct err_context context = {.attempted = "start the pod",
                                        .on_what = cfg->id,
                                        .what_to_do =
                                            "look at " POD_LOG_NAME " and " POD_CONSOLE_NAME " in its folder"};
    if (WIFSIGNALED(status))
        return err_fail_because(err, -EHOSTDOWN, &context, "its process was ended by a signal (%s)",
                                strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == SECCOMP_EXIT)
        return err_fail_because(
            err, -EHOSTDOWN, &context,
            "one of its threads has ended by itself, or made a system call that is none of its own");
    return err_fail_because(err, -EHOSTDOWN, &context, "its process ended with code %d and said nothing",
                            WEXITSTATUS(status));
}

/* It did not say anything in time, or nobody wants to hear it any more. */
static int give_up(const struct pod_config *cfg, pid_t pid, int code, struct err *err)
{
    const struct err_context hung = {.attempted = "start the pod",
                                     .on_what = cfg->id,
                                     .what_to_do = "look at the host: its disks, its memory and its hypervisor"};
    const struct err_context interrupted = {.attempted = "start the pod", .on_what = cfg->id};
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    if (code == -EINTR)
        return err_fail_because(err, code, &interrupted, "interrupted by a signal");
    return err_fail_because(err, code, &hung, "its process did not say anything within %u s",
                            cfg->ready_seconds + SPARE_SECONDS);
}

/*
 * Made readable by signals that ask for an end and that the caller has blocked; they stay pending for it. -1: cannot
 * be had.
 */
static int watch_ends(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t blocked, watched;
    (void)sigemptyset(&watched);
    (void)sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (sigismember(&blocked, ends[i]) == 1)
            (void)sigaddset(&watched, ends[i]);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Read the result. 1: all of it; 0: there is none; -ETIMEDOUT; -EINTR: by a signal of watch_ends. */
static int hear(int fd, int ends, uint64_t deadline, struct pod_result *result)
{
    size_t have = 0;
    while (have < sizeof(*result)) {
        uint64_t now = pod_now_ns();
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = ends, .events = POLLIN}};
        int n = now >= deadline ? 0 : poll(fds, 2, (int)((deadline - now) / 1000000 + 1));
        if (n == 0)
            return -ETIMEDOUT;
        if (n > 0 && fds[0].revents == 0)
            return -EINTR;
        ssize_t got = n < 0 ? -1 : read(fd, (char *)result + have, sizeof(*result) - have);
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        have += got > 0 ? (size_t)got : 0;
    }
    result->text[sizeof(result->text) - 1] = result->tail[sizeof(result->tail) - 1] = '\0';
    return 1;
}

static int wait_until_ready(const struct cli_io *io, const struct pod_config *cfg, int fd, pid_t pid, struct err *err)
{
    struct pod_result result;
    int status = 0;
    int ends = watch_ends();
    int heard = hear(fd, ends, pod_now_ns() + (cfg->ready_seconds + SPARE_SECONDS) * POD_NS_PER_S, &result);
    if (ends >= 0)
        close(ends);
    if (heard < 0)
        return give_up(cfg, pid, heard, err);
    if (heard > 0 && result.code == 0)
        return 0;
    (void)waitpid(pid, &status, 0);
    if (heard == 0)
        return say_dead(cfg, status, err);
    if (io->err != NULL && result.tail[0] != '\0')
        fprintf(io->err, "caisson: the last lines of the guest's console:\n%s\n", result.tail);
    if (err == NULL)
        return result.code;
    err->code = result.code;
    (void)snprintf(err->text, sizeof(err->text), "%s", result.text);
    return result.code;
}

static struct pod *new_pod(const struct cli_io *io, const struct pod_config *cfg, const struct pod_trust_files *files,
                           int folder, int parent_fd)
{
    struct pod *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->io = io;
    p->cfg = cfg;
    p->files = *files;
    p->folder = folder;
    p->parent_fd = parent_fd;
    p->signal_fd = p->log_file.fd = p->console_file.fd = -1;
    (void)snprintf(p->id, sizeof(p->id), "%s", cfg->id);
    (void)snprintf(p->kernel, sizeof(p->kernel), "%s", cfg->kernel);
    (void)snprintf(p->title, sizeof(p->title), "caisson: pod %s", cfg->id);
    (void)snprintf(p->vsock_path, sizeof(p->vsock_path), "/proc/self/fd/%d/" POD_VSOCK_NAME, folder);
    p->dial_path = p->vsock_path;
    pod_guest_init(&p->guest);
    pod_agent_log_init(&p->agent_log);
    return p;
}

/* files: of the child from now on as well; the caller closes its own. */
static int spawn(const struct cli_io *io, const struct pod_config *cfg, const struct pod_trust_files *files, int folder,
                 const int pipe_fds[2], pid_t *pid, struct err *err)
{
    struct pod *p = new_pod(io, cfg, files, folder, pipe_fds[1]);
    if (p == NULL)
        return fail(cfg, -ENOMEM, "free memory on the host", err);
    p->pid_step = 1;
    *pid = CONFIG_JAIL && io->jail && !cfg->no_jail ? jail_fork(&p->pid_step) : fork();
    if (*pid == 0) {
        close(pipe_fds[0]);
        pod_main(p);
    }
    int code = *pid < 0 ? -errno : 0;
    free(p);
    close(pipe_fds[1]);
    return code < 0 ? fail(cfg, code, "raise the limit of processes, or end some", err)
                    : wait_until_ready(io, cfg, pipe_fds[0], *pid, err);
}

static int open_folder(const struct pod_config *cfg, struct err *err)
{
    const struct err_context context = {
        .attempted = "open the pod's folder", .on_what = cfg->folder, .what_to_do = "make it, with mode 0700"};
    int fd = open(cfg->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? err_fail(err, -errno, &context) : fd;
}

/* Without measurements there can be no policy either. */
static int open_files(const struct pod_config *cfg, struct pod_trust_files *files, struct err *err)
{
    const struct err_context context = {.attempted = "use the launch policy",
                                        .on_what = cfg->trust.policy,
                                        .what_to_do = "use a build with CONFIG_LAUNCH_POLICY, or name no policy"};
    *files = (struct pod_trust_files){.key_fd = -1, .node_key_fd = -1};
    if (CONFIG_MEASURE)
        return pod_trust_open(&cfg->trust, (int64_t)time(NULL), files, err);
    return cfg->trust.policy == NULL
               ? 0
               : err_fail_because(err, -EOPNOTSUPP, &context, "this build has no launch policies");
}

static int spawn_in(const struct cli_io *io, const struct pod_config *cfg, const struct pod_trust_files *files,
                    pid_t *pid, struct err *err)
{
    int pipe_fds[2], folder = open_folder(cfg, err);
    if (folder < 0)
        return folder;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        int code = -errno;
        close(folder);
        return fail(cfg, code, "raise the limit of open files (ulimit -n)", err);
    }
    int code = spawn(io, cfg, files, folder, pipe_fds, pid, err);
    close(pipe_fds[0]);
    close(folder);
    return code;
}

int pod_spawn(const struct cli_io *io, const struct pod_config *asked, pid_t *pid, struct err *err)
{
    struct pod_config cfg = *asked;
    struct pod_trust_files files;
    if (cfg.ready_seconds == 0)
        cfg.ready_seconds = POD_READY_SECONDS;
    int code = open_files(&cfg, &files, err);
    code = code != 0 ? code : spawn_in(io, &cfg, &files, pid, err);
    if (CONFIG_MEASURE)
        pod_trust_close(&files);
    return code;
}
