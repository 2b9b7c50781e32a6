/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/memfd.h"

#define CLOSE_ON_EXEC 4u /* CLOSE_RANGE_CLOEXEC */

/* One hook that runs. Descriptors are -1 when closed. */
struct running {
    pid_t pid;
    int pidfd;
    int words;     /* reading end of what it writes to its standard error */
    int exec;      /* reading end of what becomes of execve: an errno, or nothing */
    int64_t until; /* ms of CLOCK_MONOTONIC; -1: for ever */
    char last[OCI_HOOK_STDERR_MAX + 1];
    size_t length;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- Starting ---- */

/* A file without a name rather than a pipe: a hook that does not read cannot hold us up. Returns it, or -errno. */
static int make_input(const char *text)
{
    int fd = memfd_new("caisson-state", false);
    size_t size = strlen(text), at = 0;
    if (fd < 0)
        return fd;
    while (at < size) {
        ssize_t n = write(fd, text + at, size - at);
        if (n < 0 && errno != EINTR) {
            int code = -errno;
            close(fd);
            return code;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -EIO;
    }
    return fd;
}

struct start {
    const char *path, *bundle;
    char *const *argv, *const *envp;
    int in, out, err, exec;
};

/* In the new process, where only system calls may be made. */
static _Noreturn void become(const struct start *s)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* The pipes may have numbers below 3 if the caller was started without streams. */
    int exec = fcntl(s->exec, F_DUPFD_CLOEXEC, 3), in = fcntl(s->in, F_DUPFD, 3), err = fcntl(s->err, F_DUPFD, 3);
    bool ok = exec >= 0 && dup2(s->out, 1) >= 0 && dup2(in, 0) >= 0 && dup2(err, 2) >= 0;
    ok = ok && (s->bundle == NULL || chdir(s->bundle) == 0);
    ok = ok && syscall(SYS_close_range, 3u, ~0u, CLOSE_ON_EXEC) == 0;
    if (ok)
        execve(s->path, s->argv, s->envp);
    int code = errno;
    (void)!write(exec >= 0 ? exec : s->exec, &code, sizeof code);
    _exit(127);
}

static int spawn(struct start *s, struct running *run)
{
    int words[2], exec[2];
    if (pipe2(words, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(exec, O_CLOEXEC) != 0) {
        int code = -errno;
        close(words[0]);
        close(words[1]);
        return code;
    }
    s->err = words[1];
    s->exec = exec[1];
    run->words = words[0];
    run->exec = exec[0];
    run->pid = fork();
    if (run->pid == 0)
        become(s);
    int code = run->pid < 0 ? -errno : 0;
    close(words[1]);
    close(exec[1]);
    if (code == 0)
        run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    return code;
}

/* A list of strings with the NULL that execve wants; the strings stay the message's. */
static char **with_end(char *const *list, size_t count, char *instead)
{
    char **out = calloc(count + 2, sizeof *out);
    if (out != NULL && count > 0)
        memcpy(out, list, count * sizeof *out);
    else if (out != NULL)
        out[0] = instead;
    return out;
}

static int start_hook(const grpc_Hook *hook, const struct oci_hooks_run *r, struct running *run)
{
    char **argv = with_end(hook->Args, hook->Args_count, hook->Path);
    char **envp = with_end(hook->Env, hook->Env_count, NULL);
    int in = make_input(r->state), out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct start s = {.path = hook->Path, .bundle = r->bundle, .argv = argv, .envp = envp, .in = in, .out = out};
    int result = argv == NULL || envp == NULL ? -ENOMEM : in < 0 ? in : out < 0 ? -errno : spawn(&s, run);
    if (in >= 0)
        close(in);
    close_fd(&out);
    free(argv);
    free(envp);
    return result;
}

/* ---- Waiting ---- */

/* Keep the last bytes of what it writes. True: there may be more. */
static bool take_words(struct running *run)
{
    char bytes[1024];
    ssize_t n = read(run->words, bytes, sizeof bytes);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    size_t take = (size_t)n < OCI_HOOK_STDERR_MAX ? (size_t)n : OCI_HOOK_STDERR_MAX;
    size_t keep = run->length + take > OCI_HOOK_STDERR_MAX ? OCI_HOOK_STDERR_MAX - take : run->length;
    memmove(run->last, run->last + run->length - keep, keep);
    memcpy(run->last + keep, bytes + (size_t)n - take, take);
    run->length = keep + take;
    return true;
}

/* What is in the pipe already; whoever else holds its other end is not waited for. */
static void drain_words(struct running *run)
{
    struct pollfd p = {.fd = run->words, .events = POLLIN};
    while (run->words >= 0 && poll(&p, 1, 0) > 0 && take_words(run))
        continue;
}

static void kill_all(const struct running *run)
{
    kill(-run->pid, SIGKILL);
    kill(run->pid, SIGKILL);
}

static int wait_ms(const struct running *run)
{
    int64_t left = run->until - now_ms();
    if (run->until < 0)
        return -1;
    return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

/* Until it has ended. -ETIMEDOUT: it had to be killed. */
static int wait_hook(struct running *run)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = run->pidfd, .events = POLLIN}, {.fd = run->words, .events = POLLIN}};
        int n = poll(p, 2, wait_ms(run));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && p[1].revents != 0 && !take_words(run))
            close_fd(&run->words);
        if (n > 0 && p[0].revents != 0)
            return 0;
        if (run->until >= 0 && now_ms() >= run->until)
            return -ETIMEDOUT;
    }
}

/* 0 and *status, or -errno. */
static int collect(struct running *run, int *status)
{
    pid_t pid;
    do {
        pid = waitpid(run->pid, status, 0);
    } while (pid < 0 && errno == EINTR);
    return pid < 0 ? -errno : 0;
}

/* The errno that execve gave, or 0. */
static int exec_result(const struct running *run)
{
    int code;
    ssize_t n = read(run->exec, &code, sizeof code);
    return n == (ssize_t)sizeof code ? -code : 0;
}

/* ---- Judging ---- */

struct place {
    const struct oci_hooks_run *run;
    const grpc_Hook *hook;
    struct err *err;
};

static int fail_with_words(const struct place *at, struct running *run, int code, const char *what, int number)
{
    const struct err_context c = {"run hook", at->hook->Path, NULL};
    while (run->length > 0 && (run->last[run->length - 1] == '\n' || run->last[run->length - 1] == ' '))
        run->length--;
    run->last[run->length] = '\0';
    return err_fail_because(at->err, code, &c, "%s: it %s %d%s%s; look into the hook, or take it out of the bundle",
                            at->run->kind, what, number, run->length > 0 ? ": " : "", run->last);
}

static int judge(const struct place *at, struct running *run, int status)
{
    if (WIFSIGNALED(status))
        return fail_with_words(at, run, -ECANCELED, "was killed by signal", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return fail_with_words(at, run, -ECANCELED, "ended with code", WEXITSTATUS(status));
    return 0;
}

static int fail_start(const struct place *at, int code)
{
    const struct err_context c = {"run hook", at->hook->Path, NULL};
    return err_fail_because(at->err, code, &c, "%s: %s; make it a program of this host, or take it out of the bundle",
                            at->run->kind, strerror(-code));
}

static int finish(const struct place *at, struct running *run, unsigned seconds)
{
    int status = 0, code = exec_result(run);
    int waited = code == 0 ? wait_hook(run) : 0;
    if (waited != 0)
        kill_all(run);
    int collected = collect(run, &status);
    drain_words(run);
    if (code != 0)
        return fail_start(at, code);
    if (waited == -ETIMEDOUT)
        return fail_with_words(at, run, -ETIMEDOUT, "was killed after seconds:", (int)seconds);
    if (waited != 0 || collected != 0)
        return fail_start(at, waited != 0 ? waited : collected);
    return judge(at, run, status);
}

static int run_hook(const struct place *at)
{
    struct running run = {.pid = -1, .pidfd = -1, .words = -1, .exec = -1, .until = -1};
    int64_t seconds = at->hook->Timeout > 0 ? at->hook->Timeout : (int64_t)at->run->default_timeout_s;
    int result = start_hook(at->hook, at->run, &run);
    if (seconds > 0)
        run.until = now_ms() + seconds * 1000;
    if (result != 0)
        result = fail_start(at, result);
    else
        result = finish(at, &run, (unsigned)seconds);
    close_fd(&run.pidfd);
    close_fd(&run.words);
    close_fd(&run.exec);
    return result;
}

int oci_hooks_run(const struct oci_hooks_run *run, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < run->count && result == 0; i++)
        result = run_hook(&(struct place){run, &run->hook[i], err});
    return result;
}
