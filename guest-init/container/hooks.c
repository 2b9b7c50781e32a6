/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/hooks.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/json.h"
#include "common/memfd.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/sys.h"

/* Longest time that can be asked for: poll takes no more. */
#define SECONDS_MAX (INT_MAX / 1000)

/* A hook may exit before it has read all, so the state is a file and not a pipe. */
static int open_state(const struct hooks_state *s)
{
    struct json_writer w;
    int fd = memfd_new("state", false);
    if (fd < 0)
        return fd;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *f = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (f == NULL) {
        int code = -errno;
        fail_close(&copy);
        fail_close(&fd);
        return code;
    }
    json_writer_init(&w, f);
    json_begin_object(&w);
    json_key(&w, "ociVersion");
    json_text(&w, s->spec->Version != NULL ? s->spec->Version : "1.2.0");
    json_key(&w, "id");
    json_text(&w, s->id);
    json_key(&w, "status");
    json_text(&w, s->status);
    json_key(&w, "pid");
    json_int(&w, getpid());
    json_key(&w, "bundle");
    json_text(&w, s->bundle);
    json_key(&w, "annotations");
    json_begin_object(&w);
    for (pb_size_t i = 0; i < s->spec->Annotations_count; i++) {
        json_key(&w, s->spec->Annotations[i].key != NULL ? s->spec->Annotations[i].key : "");
        json_text(&w, s->spec->Annotations[i].value != NULL ? s->spec->Annotations[i].value : "");
    }
    json_end_object(&w);
    json_end_object(&w);
    json_finish(&w);
    if (fclose(f) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        fail_close(&fd);
        return -EIO;
    }
    return fd;
}

/* A list with a terminator; what is missing of memory shows as NULL. */
static char **terminated(char *const *list, size_t count)
{
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        copy[i] = list[i];
    return copy;
}

static _Noreturn void become_hook(const grpc_Hook *h, int state, int log_fd)
{
    char *alone[] = {h->Path, NULL};
    char **argv = h->Args_count > 0 ? terminated(h->Args, h->Args_count) : alone;
    char **envp = terminated(h->Env, h->Env_count);
    int output = log_fd >= 0 ? log_fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(state, 0);
    (void)dup2(output, 1);
    (void)dup2(output, 2);
    (void)sys_close_from_on_exec(3);
    if (argv != NULL && envp != NULL) {
        (void)execve(h->Path, argv, envp);
        (void)dprintf(2, "cannot run the hook %.256s: %s\n", h->Path, strerror(errno));
    }
    _exit(127);
}

static int wait_for(const grpc_Hook *h, pid_t pid, struct err *err)
{
    int status = 0, pidfd = sys_pidfd_open(pid);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int timeout = h->Timeout > 0 && h->Timeout <= SECONDS_MAX ? (int)h->Timeout * 1000 : -1;
    int ready = pidfd < 0 ? 1 : poll(&p, 1, timeout);
    if (ready == 0)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    fail_close(&pidfd);
    const struct err_context context = {"run the hook", h->Path, "read its output in the agent's log"};
    if (ready == 0)
        return err_fail_because(err, -ETIMEDOUT, &context, "it did not end within %d seconds", timeout / 1000);
    if (WIFSIGNALED(status))
        return err_fail_because(err, -ECHILD, &context, "signal %d ended it", WTERMSIG(status));
    return WEXITSTATUS(status) == 0
               ? 0
               : err_fail_because(err, -ECHILD, &context, "it ended with exit code %d", WEXITSTATUS(status));
}

static int run_one(const grpc_Hook *h, const struct hooks_state *s, struct err *err)
{
    if (h->Path == NULL || h->Path[0] != '/')
        return fail_invalid(err, "run the hook", h->Path, "its path is not absolute");
    if (h->Timeout < 0)
        return fail_invalid(err, "run the hook", h->Path, "its timeout is negative");
    int state = open_state(s);
    if (state < 0)
        return fail_with(err, state, "run the hook", h->Path, "give the container more memory");
    pid_t pid = fork();
    if (pid == 0)
        become_hook(h, state, s->log_fd);
    int result = pid < 0 ? fail_errno(err, "run the hook", h->Path, "allow the container more processes")
                         : wait_for(h, pid, err);
    close(state);
    return result;
}

int hooks_run(const grpc_Hook *hooks, size_t count, const struct hooks_state *state, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = run_one(&hooks[i], state, err);
    return result;
}

static int run_file(const char *folder, const char *name, const struct hooks_state *state, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 0111) == 0)
        return 0;
    return run_one(&(grpc_Hook){.Path = path}, state, err);
}

int hooks_run_folder(const char *folder, const struct hooks_state *state, struct err *err)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort), result = 0;
    for (int i = 0; i < count; i++) {
        result = result == 0 ? run_file(folder, names[i]->d_name, state, err) : result;
        free(names[i]);
    }
    free(names);
    return result;
}
