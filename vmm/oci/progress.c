/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/oci/deadline.h"
#include "vmm/oci/pods.h"

#define LINE_BYTES 128
#define ERASE      "\r\x1b[K"

/* ---- The process that shows it ---- */

/* The word that the pod's process has written last, or "". */
static void read_phase(const char *folder, char *out, size_t size)
{
    out[0] = '\0';
    if (folder == NULL)
        return;
    json_t *pod = oci_pod_read(folder);
    const char *phase = json_string_value(json_object_get(pod, "phase"));
    if (phase != NULL)
        (void)snprintf(out, size, ": %s", phase);
    json_decref(pod);
}

/* Shorter than any terminal is wide, so that erasing the line erases all of it. */
static void show_line(int terminal, const char *what, const char *folder, uint64_t since_ms)
{
    char phase[32], line[LINE_BYTES];
    struct text t;
    read_phase(folder, phase, sizeof(phase));
    text_init(&t, line, 72);
    text_add(&t, "caisson: %s%s, %u s", what, phase, (unsigned)((deadline_now_ms() - since_ms) / 1000));
    dprintf(terminal, ERASE "%s", line);
}

/* True when time has come; false when the other end is gone. */
static bool wait_quietly(int fd, unsigned ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, (int)ms) == 0;
}

/* A signal to the whole job is the command's to act on; it then closes the pipe, or is gone. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTOU, SIGPIPE};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)signal(signals[i], SIG_IGN);
}

static void show(int terminal, int fd, const char *what, const char *folder)
{
    uint64_t begin = deadline_now_ms();
    ignore_signals();
    if (!wait_quietly(fd, PROGRESS_AFTER_MS))
        return;
    do
        show_line(terminal, what, folder, begin);
    while (wait_quietly(fd, PROGRESS_STEP_MS));
    dprintf(terminal, ERASE);
}

/* Only these two: others, such as a lock, are not to be held by somebody who merely looks on. */
static void keep_only(int *terminal, int *fd)
{
    *terminal = dup2(*terminal, STDERR_FILENO);
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    *fd = dup2(high, STDERR_FILENO + 1);
    (void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0u, 0);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
}

/* ---- The caller ---- */

static bool is_for_people(FILE *err)
{
    const char *term = getenv("TERM");
    return fileno(err) >= 0 && isatty(fileno(err)) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

void progress_begin(struct progress *p, FILE *err, const char *what, const char *pod_folder)
{
    int ends[2];
    *p = (struct progress){.fd = -1};
    (void)fflush(err);
    if (!is_for_people(err) || pipe2(ends, O_CLOEXEC) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        int terminal = fileno(err), fd = ends[0];
        close(ends[1]);
        keep_only(&terminal, &fd);
        show(terminal, fd, what, pod_folder);
        _exit(0);
    }
    close(ends[0]);
    if (pid < 0)
        close(ends[1]);
    else
        *p = (struct progress){.pid = pid, .fd = ends[1]};
}

void progress_end(struct progress *p)
{
    if (p->pid <= 0)
        return;
    /* A byte, since the end of the pipe is not seen while anybody else has it open. */
    (void)!write(p->fd, "", 1);
    close(p->fd);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *p = (struct progress){.fd = -1};
}
