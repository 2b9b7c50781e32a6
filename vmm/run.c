/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * `caisson run`: files to a boot image to a machine, then the main thread's loop between the machine and this process's
 * streams, then what to say about the end.
 */
#include "vmm/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/attach.h"
#include "vmm/confine.h"
#include "vmm/console.h"
#include "vmm/launch.h"
#include "vmm/line.h"
#include "vmm/run_options.h"
#include "vmm/run_report.h"
#include "vmm/vm.h"

#define POLL_MAX      (4 + ATTACH_POLL)
#define NS_PER_S      UINT64_C(1000000000)
#define PANIC_GRACE_S 5u
#define TERMS_MAX     3u /* so many SIGTERMs end a run whose command does not */

struct run {
    const struct cli_io *io;
    struct run_options options;
    struct launch launch;
    struct confine confine;
    struct seccomp_lock lock;
    struct hv hv;
    struct vm vm;
    struct line line;
    struct log log;       /* of devices */
    atomic_bool panicked; /* reported by the guest's kernel */
    struct console console;
    bool has_console;
    int console_fd; /* of --console FILE, or -1 */
    struct session_command command;
    uint8_t seed[SESSION_SEED_MAX];
    struct attach attach;
    int signal_fd;
    int caught;     /* a signal that ends the run */
    unsigned terms; /* SIGTERMs passed on */
    bool more;      /* the session may have more to read at once */
    bool heard_all; /* the machine is stopping, and all that it sent was looked at */
    sigset_t mask;
    struct run_times times;
    uint64_t heard_ns; /* last byte of the session */
    uint64_t panic_ns; /* the console said so, and nothing was heard since */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- Files ---- */

static struct launch_config launch_of(const struct run_options *o)
{
    return (struct launch_config){.kernel = o->kernel,
                                  .initrds = o->initrds,
                                  .initrd_count = o->initrd_count,
                                  .modules = o->modules,
                                  .cmdline = o->append,
                                  .no_default_cmdline = o->no_default_args,
                                  .channel = true,
                                  .protocol = o->protocol,
                                  .memory_bytes = o->memory_bytes,
                                  .vps = o->vps,
                                  .io = &o->io};
}

/* ---- The machine ---- */

static int open_console(struct run *r, struct err *err)
{
    const char *path = r->options.console;
    const struct err_context context = {
        .attempted = "open the console's file", .on_what = path, .what_to_do = "name a file that can be written"};
    r->console_fd = -1;
    if (path != NULL && strcmp(path, "-") != 0) {
        r->console_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
        if (r->console_fd < 0)
            return err_fail(err, -errno, &context);
    }
    int sink = path == NULL ? -1 : r->console_fd >= 0 ? r->console_fd : STDERR_FILENO;
    const struct console_config cfg = {
        .sink_fd = sink, .sink_wait_ms = CONSOLE_SINK_WAIT_MS, .sink_safe = sink >= 0 && isatty(sink) == 1};
    int code = console_init(&r->console, &cfg, err);
    r->has_console = code == 0;
    return code;
}

static void to_line(void *ctx, const uint8_t *bytes, size_t n)
{
    line_put(&((struct run *)ctx)->line, bytes, n);
}

static void line_has_room(void *ctx)
{
    line_wake(&((struct run *)ctx)->line);
}

static bool has_panicked(struct run *r)
{
    struct console_report report;
    console_report(&r->console, &report);
    return report.worst == CONSOLE_TROUBLE_PANIC || atomic_load(&r->panicked);
}

/* A kernel that panics may say so long before it does something about it: let the main thread look at the clock. */
static void to_console(void *ctx, const uint8_t *bytes, size_t n)
{
    struct run *r = ctx;
    console_output(&r->console, bytes, n);
    if (has_panicked(r))
        line_wake(&r->line);
}

static void on_panic(void *ctx)
{
    struct run *r = ctx;
    atomic_store(&r->panicked, true);
    line_wake(&r->line);
}

static int build_machine(struct run *r, struct err *err)
{
    const struct vm_config cfg = {
        .vps = r->options.vps,
        .image = &r->launch.image,
        .kernel = &r->launch.kernel,
        .lock_memory = r->options.lock_memory,
        .console = {.output = to_console, .ctx = r},
        .channel = {.output = to_line, .room = line_has_room, .ctx = r},
        .console_virtio = {.output = to_console, .ctx = r},
        .panicked = on_panic,
        .panicked_ctx = r,
        .io = &r->options.io,
        .lock_down = &r->lock,
        .main_role = SECCOMP_CONTROL,
        .log = &r->log,
    };
    static const struct err_context nothing = {.attempted = "find a hypervisor",
                                               .what_to_do = "use a build that has one"};
    if (r->io->hv == NULL)
        return err_fail_because(err, -EOPNOTSUPP, &nothing, "this program was given none");
    r->options.hv.lock = r->lock.on ? &r->lock : NULL;
    int code = r->io->hv->open(&r->options.hv, &r->hv, err);
    if (code < 0)
        return code;
    if (r->hv.soft && r->options.hv.choice == HV_AUTO)
        fputs("caisson run: " MSHV_DEVICE_PATH " cannot be opened: the guest runs on the software hypervisor, without "
              "isolation by hardware\n",
              r->io->err);
    return vm_build(&r->vm, &cfg, &r->hv.port, err);
}

/* ---- The session ---- */

static size_t read_line(void *ctx, uint8_t *bytes, size_t n)
{
    struct run *r = ctx;
    size_t taken = line_take(&r->line, bytes, n);
    if (taken > 0)
        r->heard_ns = now_ns();
    return taken;
}

static size_t write_line(void *ctx, const uint8_t *bytes, size_t n)
{
    return serial_input(&((struct run *)ctx)->vm.com2, bytes, n);
}

static bool wants_tty(const struct run_options *o)
{
    if (o->tty != RUN_TTY_AUTO)
        return o->tty == RUN_TTY_YES;
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

static uint64_t wall_clock_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_REALTIME, &t) == 0 ? (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec : 0;
}

static int start_session(struct run *r, struct err *err)
{
    const struct run_options *o = &r->options;
    unsigned envc = 0;
    while (o->env[envc] != NULL)
        envc++;
    ssize_t seed = getrandom(r->seed, sizeof(r->seed), GRND_NONBLOCK);
    r->command = (struct session_command){.tty = wants_tty(o),
                                          .seed = r->seed,
                                          .seed_bytes = (uint16_t)(seed > 0 ? seed : 0),
                                          .argc = (uint16_t)o->command_count,
                                          .envc = (uint16_t)envc,
                                          .realtime_ns = wall_clock_ns(),
                                          .cwd = o->cwd != NULL ? o->cwd : "",
                                          .hostname = o->hostname != NULL ? o->hostname : "",
                                          .argv = o->command,
                                          .envp = r->options.env};
    const struct attach_config cfg = {.transport = {.read = read_line, .write = write_line, .ctx = r},
                                      .in = STDIN_FILENO,
                                      .out = STDOUT_FILENO,
                                      .err = STDERR_FILENO,
                                      .command = &r->command};
    return attach_init(&r->attach, &cfg, err);
}

/* ---- Signals ---- */

/* Those that are passed on to the command; the others keep their meaning for this process. */
static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

/* Whoever started us with one of them ignored (nohup, a shell's "&") wants that for the command, too. */
static sigset_t signals_to_take(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        struct sigaction now;
        if (sigaction(passed_on[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&set, passed_on[i]);
    }
    return set;
}

static int take_signals(struct run *r, struct err *err)
{
    static const struct err_context context = {
        .attempted = "receive signals by descriptor",
        .what_to_do = "raise the limit of open files (ulimit -n)",
    };
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const sigset_t set = signals_to_take();
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)pthread_sigmask(SIG_BLOCK, &set, &r->mask);
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd < 0)
        return err_fail(err, -errno, &context);
    int code = vcpu_prepare_process();
    return code < 0 ? err_fail(err, code, &context) : 0;
}

/* False when the signal is for us: there is no command, or it had its chances. */
static bool pass_on(struct run *r, int n)
{
    if (!attach_signal(&r->attach, n))
        return false;
    return n != SIGTERM || ++r->terms < TERMS_MAX;
}

static void on_signals(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int n = (int)info.ssi_signo;
        if (n == SIGWINCH)
            attach_resize(&r->attach);
        else if (!pass_on(r, n) && n != SIGCONT && n != SIGUSR1 && n != SIGUSR2)
            r->caught = n;
    }
}

/* ---- The loop ---- */

static int ms_until(uint64_t limit)
{
    uint64_t now = now_ns();
    return now >= limit ? 0 : (int)((limit - now) / 1000000 + 1);
}

/* Milliseconds until the guest has to be ready; -1: no limit, or it is. */
static int ready_ms(const struct run *r)
{
    if (r->options.ready_seconds == 0 || r->attach.ready_ns != 0)
        return -1;
    return ms_until(r->times.start_ns + r->options.ready_seconds * NS_PER_S);
}

static bool is_late(const struct run *r)
{
    return ready_ms(r) == 0;
}

/*
 * A guest whose console says that its kernel has panicked resets itself at once by our command line, and with another
 * one may halt for ever. Words alone decide nothing: only a guest that is silent for some seconds after them is ended.
 */
static int panic_ms(struct run *r)
{
    if (!has_panicked(r))
        return -1;
    if (r->panic_ns == 0 || r->heard_ns > r->panic_ns)
        r->panic_ns = now_ns();
    return ms_until(r->panic_ns + PANIC_GRACE_S * NS_PER_S);
}

/* Nothing more comes of the guest; its output may still have to go somewhere. */
static bool has_ended(const struct run *r)
{
    return r->attach.state == ATTACH_EXITED || r->attach.state == ATTACH_FAILED || r->heard_all;
}

/* For poll: the nearer of two, where -1 is for ever. */
static int patience_ms(struct run *r)
{
    if (has_ended(r))
        return -1;
    int ready = ready_ms(r), panic = panic_ms(r);
    if (ready < 0 || panic < 0)
        return ready < 0 ? panic : ready;
    return ready < panic ? ready : panic;
}

/* True when the loop has nothing more to do: the command is done, or the machine is. */
static bool is_over(struct run *r)
{
    if (r->caught != 0)
        return true;
    if (has_ended(r))
        return attach_is_flushed(&r->attach);
    return is_late(r) || panic_ms(r) == 0;
}

/*
 * A machine may stop between our last look at what it sent and our look at whether it still runs. So it counts as heard
 * only by a step that began after it was known to be stopping.
 */
static void wait_and_step(struct run *r)
{
    bool stopping = vm_is_stopping(&r->vm);
    bool at_once = r->more || (stopping && !r->heard_all);
    struct pollfd fds[POLL_MAX] = {
        {.fd = r->vm.stop_fd, .events = stopping ? 0 : POLLIN},
        {.fd = r->line.wake_fd, .events = POLLIN},
        {.fd = r->signal_fd, .events = POLLIN},
        {.fd = CONFIG_SECCOMP && !stopping ? seccomp_lock_watch(&r->lock) : -1, .events = POLLIN},
    };
    unsigned n = attach_poll(&r->attach, fds + 4);
    if (poll(fds, 4 + n, at_once ? 0 : patience_ms(r)) < 0)
        return; /* EINTR: once more round */
    if (CONFIG_SECCOMP && fds[3].revents != 0 && !vm_is_stopping(&r->vm))
        seccomp_lock_lose_thread(&r->lock);
    if (fds[1].revents != 0)
        line_calm(&r->line);
    if (fds[2].revents != 0)
        on_signals(r);
    r->more = attach_step(&r->attach, fds + 4, n);
    r->heard_all = r->heard_all || (stopping && !r->more);
}

/* ---- The end ---- */

static int conclude(struct run *r)
{
    struct run_report report = {.io = r->io,
                                .attach = &r->attach,
                                .console = &r->console,
                                .end = atomic_load(&r->vm.end),
                                .why = r->vm.why,
                                .exit_code = r->vm.exit_code,
                                .caught = r->caught,
                                .panicked = atomic_load(&r->panicked),
                                .late = !has_ended(r) && is_late(r),
                                .ready_seconds = r->options.ready_seconds,
                                .console_shown = r->options.console != NULL};
    attach_release_terminal(&r->attach);
    vm_stop(&r->vm, VM_END_ASKED, "%s", "");
    vm_join(&r->vm);
    if (report.late) {
        report.vps = r->vm.vps;
        launch_sample_vps(&r->vm, report.processor);
    }
    r->times.entered_ns = atomic_load(&r->vm.vcpu[0].entered_ns);
    r->times.hello_ns = r->attach.hello_ns;
    r->times.ready_ns = r->attach.ready_ns;
    r->times.exit_ns = r->attach.exit_ns;
    r->times.end_ns = now_ns();
    int code = run_report(&report);
    if (r->options.timings) {
        run_report_times(r->io, &r->times);
        run_report_exits(r->io, &r->vm);
    }
    return code;
}

static int fail(const struct run *r, int code, const struct err *err)
{
    fprintf(r->io->err, "caisson run: %s\n", err->text);
    return code;
}

static int run_machine(struct run *r)
{
    struct err err;
    if (confine_enter(&r->confine, &err) < 0 || vm_start(&r->vm, &err) < 0) {
        vm_stop(&r->vm, VM_END_ASKED, "%s", "");
        vm_join(&r->vm);
        return fail(r, RUN_EXIT_HOST, &err);
    }
    while (!is_over(r))
        wait_and_step(r);
    return conclude(r);
}

/* One write for each line, from whatever thread. */
static void tell_of_jail(void *ctx, const char *line)
{
    (void)ctx;
    (void)dprintf(STDERR_FILENO, "caisson run: %s\n", line);
}

static int prepare_jail(struct run *r, struct err *err)
{
    const struct confine_machine machine = {.io = &r->options.io, .folder = -1, .pid_step = 1, .tell = tell_of_jail};
    r->options.confine.off |= !r->io->jail;
    return confine_prepare(&r->confine, &r->options.confine, &machine, err);
}

static int lock_down(struct run *r, struct err *err)
{
    int code = prepare_jail(r, err);
    if (code < 0 || !CONFIG_SECCOMP || !r->io->seccomp || r->options.no_seccomp)
        return code;
    code = seccomp_lock_init(&r->lock, STDERR_FILENO, "main", err);
    if (code == 0)
        confine_threads(&r->confine, &r->lock);
    return code;
}

static int prepare_and_run(struct run *r)
{
    struct err err;
    if (lock_down(r, &err) < 0)
        return fail(r, RUN_EXIT_HOST, &err);
    int code = start_session(r, &err);
    if (code < 0)
        return fail(r, code == -ENOMEM ? RUN_EXIT_HOST : CLI_EXIT_USAGE, &err);
    const struct launch_config cfg = launch_of(&r->options);
    if (launch_load(&r->launch, &cfg, &err) < 0 || launch_build(&r->launch, &cfg, &err) < 0)
        return fail(r, RUN_EXIT_FILE, &err);
    r->times.image_ns = now_ns();
    if (open_console(r, &err) < 0)
        return fail(r, RUN_EXIT_FILE, &err);
    code = take_signals(r, &err);
    code = code != 0 ? code : build_machine(r, &err);
    launch_fini(&r->launch);
    if (code < 0)
        return fail(r, RUN_EXIT_HOST, &err);
    r->times.built_ns = now_ns();
    return run_machine(r);
}

static void clean_up(struct run *r)
{
    attach_fini(&r->attach);
    vm_fini(&r->vm);
    if (r->hv.port.ops != NULL)
        r->io->hv->close(&r->hv);
    launch_fini(&r->launch);
    if (r->has_console)
        console_fini(&r->console);
    if (r->console_fd >= 0)
        close(r->console_fd);
    line_fini(&r->line);
    if (CONFIG_SECCOMP)
        seccomp_lock_fini(&r->lock);
    confine_fini(&r->confine);
    if (r->signal_fd >= 0) {
        close(r->signal_fd);
        (void)pthread_sigmask(SIG_SETMASK, &r->mask, NULL);
    }
    free(r);
}

int run_main(const struct cli_io *io, int argc, char **argv)
{
    struct run *r = calloc(1, sizeof(*r));
    if (r == NULL || line_init(&r->line) < 0) {
        free(r);
        fputs("caisson run: cannot start: out of memory or descriptors\n", io->err);
        return RUN_EXIT_HOST;
    }
    r->io = io;
    r->signal_fd = r->console_fd = -1;
    r->times.start_ns = now_ns();
    log_init(&r->log, STDERR_FILENO, LOG_LEVEL_WARN, NULL, NULL);
    int code = run_options_parse(io, argc, argv, &r->options);
    if (code == CLI_EXIT_OK) {
        launch_raise_descriptors();
        code = prepare_and_run(r);
    }
    clean_up(r);
    return code;
}
