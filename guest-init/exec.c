/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

void exec_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* What the child gets as 0, 1 and 2, and what stays here. */
struct ends {
    int child[3];
    int ours[3];
};

static void close_all(struct ends *e)
{
    for (int i = 0; i < 3; i++) {
        exec_close(&e->child[i]);
        exec_close(&e->ours[i]);
    }
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? -errno : 0;
}

static int open_pipes(struct ends *e)
{
    for (int i = 0; i < 3; i++) {
        int pair[2];
        if (pipe2(pair, O_CLOEXEC) != 0) {
            return -errno;
        }
        e->child[i] = pair[i != 0];
        e->ours[i] = pair[i == 0];
    }
    return 0;
}

static int open_terminal(const struct session_command *c, struct ends *e)
{
    struct winsize size = {.ws_row = c->rows, .ws_col = c->cols};
    int unlock = 0;
    e->ours[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (e->ours[0] < 0 || ioctl(e->ours[0], TIOCSPTLCK, &unlock) != 0) {
        return -errno;
    }
    e->child[0] = ioctl(e->ours[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (e->child[0] < 0 || ioctl(e->ours[0], TIOCSWINSZ, &size) != 0) {
        return -errno;
    }
    /* Two descriptors, so that input and output are closed apart from each other. */
    e->ours[1] = fcntl(e->ours[0], F_DUPFD_CLOEXEC, 3);
    return e->ours[1] < 0 ? -errno : 0;
}

static int open_ends(const struct session_command *c, struct ends *e)
{
    *e = (struct ends){.child = {-1, -1, -1}, .ours = {-1, -1, -1}};
    int result = c->tty ? open_terminal(c, e) : open_pipes(e);
    for (int i = 0; i < 3 && result == 0; i++) {
        result = e->ours[i] >= 0 ? set_nonblocking(e->ours[i]) : 0;
    }
    if (result < 0) {
        close_all(e);
    }
    return result;
}

/* ---- In the child ---------------------------------------------------------------------------------------------- */

static _Noreturn void give_up(int code, const char *attempted, const char *on_what, const char *why)
{
    dprintf(2, "caisson: cannot %s '%s': %s\n", attempted, on_what, why);
    _exit(code);
}

/* Numbers 0 to 2 may be taken, so the ends go above them first. */
static void take_ends(const struct ends *e, bool tty)
{
    int high[3];
    for (int i = 0; i < 3; i++) {
        high[i] = fcntl(e->child[tty ? 0 : i], F_DUPFD_CLOEXEC, 3);
    }
    for (int i = 0; i < 3; i++) {
        if (high[i] < 0 || dup2(high[i], i) < 0) {
            _exit(126);
        }
    }
}

static void reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < _NSIG; i++) {
        /* Refused for SIGKILL, SIGSTOP and those the C library keeps: they are what they should be. */
        (void)sigaction(i, &standard, NULL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* execvp looks for PATH in the environment of the process. */
static void set_environment(const struct session_command *c)
{
    int failed = clearenv() | setenv("PATH", EXEC_DEFAULT_PATH, 1);
    for (unsigned i = 0; i < c->envc && failed == 0; i++) {
        failed = putenv(c->envp[i]);
    }
    if (failed != 0) {
        give_up(126, "set", "the environment", strerror(errno));
    }
}

/* started: closed as soon as the process has a session and a group of its own. */
static _Noreturn void execute(const struct session_command *c, const struct ends *e, int started)
{
    const char *cwd = c->cwd[0] != '\0' ? c->cwd : "/";
    (void)setsid();
    close(started);
    take_ends(e, c->tty);
    if (c->tty && ioctl(0, TIOCSCTTY, 0) != 0) {
        give_up(126, "take as controlling terminal", "/dev/pts", strerror(errno));
    }
    reset_signals();
    (void)umask(022);
    if (chdir(cwd) != 0) {
        give_up(126, "change to the working directory", cwd, strerror(errno));
    }
    set_environment(c);
    execvp(c->argv[0], c->argv);
    if (errno == ENOENT || errno == ENOTDIR) {
        give_up(127, "run", c->argv[0], "it, or the interpreter or loader it names, is not there");
    }
    give_up(126, "run", c->argv[0], strerror(errno));
}

/* ---- Here ------------------------------------------------------------------------------------------------------ */

/*
 * Fork, and come back when the child can be signalled as a group: a signal that follows the start at once would find
 * none. Returns the process, or -errno.
 */
static pid_t start_process(const struct session_command *command, const struct ends *e)
{
    int started[2];
    char byte;
    if (pipe2(started, O_CLOEXEC) != 0) {
        return -errno;
    }
    pid_t pid = fork();
    if (pid == 0) {
        execute(command, e, started[1]);
    }
    pid = pid < 0 ? -errno : pid;
    close(started[1]);
    while (pid > 0 && read(started[0], &byte, 1) < 0 && errno == EINTR) {
    }
    close(started[0]);
    return pid;
}

int exec_start(const struct session_command *command, struct exec_child *child)
{
    struct ends e;
    int result = open_ends(command, &e);
    if (result < 0) {
        return result;
    }
    pid_t pid = start_process(command, &e);
    if (pid < 0) {
        close_all(&e);
        return pid;
    }
    for (int i = 0; i < 3; i++) {
        exec_close(&e.child[i]);
    }
    *child = (struct exec_child){.pid = pid, .tty = command->tty, .in = e.ours[0], .out = e.ours[1], .err = e.ours[2]};
    return 0;
}

int exec_resize(const struct exec_child *child, struct session_size size)
{
    struct winsize w = {.ws_row = size.rows, .ws_col = size.cols};
    if (!child->tty) {
        return -ENOTTY;
    }
    return ioctl(child->out, TIOCSWINSZ, &w) == 0 ? 0 : -errno;
}

int exec_end_of_input(const struct exec_child *child, bool inside_line)
{
    struct termios t;
    if (tcgetattr(child->in, &t) != 0) {
        return -errno;
    }
    if ((t.c_lflag & ICANON) == 0) {
        return 0;
    }
    /* Inside a line the character ends only the line. */
    const cc_t end[2] = {t.c_cc[VEOF], t.c_cc[VEOF]};
    return write(child->in, end, inside_line ? 2 : 1) > 0 ? 0 : -errno;
}
