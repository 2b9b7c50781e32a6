/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_WAIT_MS 60000

/* Lists of options live as long as the program. */
static char *copy(const char *text)
{
    char *result = strdup(text);
    assert_non_null(result);
    return result;
}

void box_need_guest(void)
{
    if (access("/.caisson-test", F_OK) != 0)
        skip();
}

grpc_Mount *box_mount(struct box *b, const char *destination, const char *type, const char *source, const char *options)
{
    assert_true(b->spec.Mounts_count < BOX_LIST_MAX);
    grpc_Mount *m = &b->mounts[b->spec.Mounts_count++];
    *m = (grpc_Mount){.destination = copy(destination), .type = copy(type), .source = copy(source)};
    m->options = calloc(BOX_LIST_MAX, sizeof *m->options);
    assert_non_null(m->options);
    char *rest = options != NULL ? copy(options) : NULL;
    for (char *word; rest != NULL && (word = strsep(&rest, ",")) != NULL;)
        m->options[m->options_count++] = word;
    return m;
}

void box_namespace(struct box *b, const char *type, const char *path)
{
    assert_true(b->spec.Linux.Namespaces_count < BOX_LIST_MAX);
    b->namespaces[b->spec.Linux.Namespaces_count++] =
        (grpc_LinuxNamespace){copy(type), path != NULL ? copy(path) : NULL};
}

void box_without_namespace(struct box *b, const char *type)
{
    pb_size_t kept = 0;
    for (pb_size_t i = 0; i < b->spec.Linux.Namespaces_count; i++)
        if (strcmp(b->namespaces[i].Type, type) != 0)
            b->namespaces[kept++] = b->namespaces[i];
    b->spec.Linux.Namespaces_count = kept;
}

void box_init(struct box *b, const char *script)
{
    static const char *const kinds[] = {"pid", "mount", "ipc", "uts", "network", "cgroup"};
    *b = (struct box){.output = -1, .input = -1};
    grpc_Process *p = &b->spec.Process;
    p->Args = b->args;
    p->Env = b->env;
    p->Args_count = 3;
    b->args[0] = copy("/bin/sh");
    b->args[1] = copy("-c");
    b->args[2] = copy(script);
    p->Env_count = 1;
    b->env[0] = copy("PATH=/bin");
    p->Cwd = copy("/");
    b->spec.has_Process = b->spec.has_Root = b->spec.has_Linux = true;
    b->spec.Mounts = b->mounts;
    b->spec.Linux.Namespaces = b->namespaces;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        box_namespace(b, kinds[i], NULL);
    box_mount(b, "/proc", "proc", "proc", "nosuid,noexec,nodev");
    box_mount(b, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
    box_mount(b, "/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
    box_mount(b, "/tmp", "tmpfs", "tmpfs", "mode=1777");
    b->pod = (struct container_pod){-1, -1, -1, -1, NULL, NULL};
    b->request = (struct container_request){.id = "box",
                                            .spec = &b->spec,
                                            .rootfs = BOX_ROOT,
                                            .pod = &b->pod,
                                            .stdio = {.in = -1, .out = -1, .err = -1, .tty_slave = -1},
                                            .log_fd = 2};
}

void box_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, MAX_WAIT_MS), 1);
}

static int advance(struct box *b)
{
    int result;
    do {
        box_wait(container_sync_fd(b->container));
        result = container_advance(b->container, &b->err);
    } while (result == -EAGAIN);
    return result;
}

int box_create(struct box *b)
{
    int out[2], in[2];
    err_clear(&b->err);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    if (!b->request.stdio.tty) {
        b->request.stdio.in = in[0];
        b->request.stdio.out = b->request.stdio.err = out[1];
    }
    int result = container_create(&b->request, &b->container, &b->err);
    close(out[1]);
    close(in[0]);
    b->output = out[0];
    b->input = in[1];
    if (result == 0) {
        b->pid = container_pid(b->container);
        result = advance(b);
    }
    return result;
}

int box_start(struct box *b)
{
    int result = container_start(b->container, &b->err);
    return result < 0 ? result : advance(b);
}

static void read_all(int fd, char *out, size_t size)
{
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < size - 1) {
        box_wait(fd);
        got = read(fd, out + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    out[length] = '\0';
}

static int exit_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void collect(struct box *b)
{
    if (b->container != NULL && container_pid(b->container) > 0) {
        assert_int_equal(waitpid(b->pid, &b->status, 0), b->pid);
        container_exited(b->container, b->status);
    }
}

int box_finish(struct box *b)
{
    read_all(b->output, b->out, sizeof b->out);
    collect(b);
    return exit_of(b->status);
}

void box_remove(struct box *b)
{
    struct err err;
    err_clear(&err);
    if (b->container != NULL) {
        (void)container_kill(b->container, SIGKILL);
        collect(b);
        int result = container_destroy(b->container, &err);
        if (result != 0)
            fail_msg("%s", err.text);
    }
    b->container = NULL;
    if (b->output >= 0) {
        close(b->output);
        close(b->input);
    }
    b->output = b->input = -1;
    assert_int_equal(access("/sys/fs/cgroup/caisson/box", F_OK), -1);
    /* No child of ours is left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

void box_scrap(struct box *b)
{
    if (b->container == NULL)
        return;
    (void)container_kill(b->container, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    container_exited(b->container, 0);
    (void)container_destroy(b->container, NULL);
}

int box_run(struct box *b)
{
    int result = box_create(b);
    result = result < 0 ? result : box_start(b);
    result = result < 0 ? result : box_finish(b);
    box_remove(b);
    return result;
}

int box_exec(struct box *b, const char *script, char *out, size_t size)
{
    char *args[] = {copy("/bin/sh"), copy("-c"), copy(script)};
    grpc_Process p = b->spec.Process;
    struct container_stdio io = {.in = -1, .tty_slave = -1};
    int pair[2], sync = -1, status, result;
    pid_t pid;
    p.Args = args;
    p.Args_count = 3;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    io.out = io.err = pair[1];
    result = container_exec(b->container, &p, NULL, &io, &pid, &sync, &b->err);
    close(pair[1]);
    if (result == 0) {
        do {
            box_wait(sync);
            result = container_exec_result(sync, &b->err);
        } while (result == -EAGAIN);
        close(sync);
        read_all(pair[0], out, size);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        result = result < 0 ? result : exit_of(status);
    }
    close(pair[0]);
    return result;
}
