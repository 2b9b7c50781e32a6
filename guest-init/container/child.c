/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/child.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/hooks.h"
#include "guest-init/container/process.h"
#include "guest-init/container/rootfs.h"
#include "guest-init/container/seccomp_filter.h"
#include "guest-init/container/sync.h"
#include "guest-init/container/sys.h"
#include "guest-init/container/sysctl.h"

/* Numbers of what is kept, after 0, 1 and 2. */
enum { SOCKET = 3, LOG = 4, FILTER = 5, KEPT = 6 };

static _Noreturn void give_up(int socket, const struct err *err)
{
    sync_send_failed(socket, err);
    _exit(1);
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

/* from: KEPT of them, in the order of their numbers; -1: /dev/null for streams, closed for the rest. */
static int keep_descriptors(int *from, struct err *err)
{
    for (int i = 0; i < KEPT; i++) {
        int fd = from[i] >= 0 ? from[i] : i < SOCKET ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        from[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 64);
        if (from[i] < 0 && (fd >= 0 || i < SOCKET))
            return fail_errno(err, "give the process its streams", NULL, "raise the limit of open files");
    }
    for (int i = 0; i < KEPT; i++)
        if (from[i] < 0)
            close(i);
        else if (dup3(from[i], i, i < SOCKET ? 0 : O_CLOEXEC) < 0)
            return fail_errno(err, "give the process its streams", NULL, "try again");
    (void)sys_close_from(KEPT);
    return 0;
}

static int keep(const struct container_stdio *io, int socket, int log_fd, int filter, struct err *err)
{
    int slave = io->tty_slave;
    int from[KEPT] = {io->in, io->out, io->err, socket, log_fd, filter};
    for (int i = 0; i < SOCKET && io->tty; i++)
        from[i] = slave;
    return keep_descriptors(from, err);
}

/* ---- The container's first process ------------------------------------------------------------------------------- */

/* What it works with. */
struct init {
    const struct child *c;
    const grpc_Spec *spec;
    const int *prepared; /* mounts with other owners */
    struct rootfs rootfs;
    int filter;
    int log_fd;
};

static struct hooks_state state_of(const struct init *i, const char *status)
{
    const struct container_request *r = i->c->request;
    const char *bundle = i->spec->Bundle != NULL && *i->spec->Bundle != '\0' ? i->spec->Bundle : r->rootfs;
    return (struct hooks_state){r->id, status, bundle, i->spec, i->log_fd};
}

static int run_create_hooks(const struct init *i, struct err *err)
{
    char folder[PATH_MAX];
    const char *base = i->c->request->pod->hook_path;
    const struct hooks_state state = state_of(i, "creating");
    int result = 0;
    if (base != NULL && *base != '\0' && snprintf(folder, sizeof folder, "%s/prestart", base) < (int)sizeof folder)
        result = hooks_run_folder(folder, &state, err);
    if (result == 0 && i->spec->has_Hooks)
        result = hooks_run(i->spec->Hooks.CreateContainer, i->spec->Hooks.CreateContainer_count, &state, err);
    return result;
}

/* Before the cgroup namespace is made, the process has to be in its cgroup: process 1 has put it there. */
static int enter_cgroup_namespace(const struct init *i, struct err *err)
{
    if (i->c->namespaces->make[NAMESPACE_CGROUP] && unshare(CLONE_NEWCGROUP) != 0)
        return fail_errno(err, "make a cgroup namespace", NULL, "use a guest kernel with CONFIG_CGROUPS");
    return 0;
}

static int compile_filter(struct init *i, struct err *err)
{
    if (!i->spec->Linux.has_Seccomp)
        return 0;
    i->filter = seccomp_filter_compile(&i->spec->Linux.Seccomp, err);
    return i->filter < 0 ? i->filter : 0;
}

static int make_root(struct init *i, struct err *err)
{
    const struct container_request *r = i->c->request;
    const struct namespaces *n = i->c->namespaces;
    i->rootfs.place = (struct mount_place){.root = -1,
                                           .cgroup_folder = i->c->cgroup_folder,
                                           .cgroup_namespace = n->make[NAMESPACE_CGROUP],
                                           .user_namespace = n->listed[NAMESPACE_USER]};
    (void)umask(0);
    int result = rootfs_open(&i->rootfs, i->spec, r->rootfs, err);
    result = result < 0 ? result
                        : rootfs_mount(&i->rootfs, i->spec, (struct rootfs_prepared){i->prepared}, i->c->terminal, err);
    result = result < 0 ? result : run_create_hooks(i, err);
    result = result < 0 ? result : sysctl_apply(i->spec->Linux.Sysctl, i->spec->Linux.Sysctl_count, err);
    result = result < 0 ? result : rootfs_close(&i->rootfs, i->spec, err);
    result = result < 0 ? result : rootfs_enter(&i->rootfs, i->spec, err);
    rootfs_release(&i->rootfs);
    return result;
}

static int set_names(const struct init *i, struct err *err)
{
    const char *host = i->spec->Hostname, *domain = i->spec->Domainname;
    if (!i->c->namespaces->make[NAMESPACE_UTS])
        return 0;
    if (host == NULL || *host == '\0')
        host = i->c->request->pod->hostname;
    if (host != NULL && *host != '\0' && sethostname(host, strlen(host)) != 0)
        return fail_errno(err, "set the host name", host, "choose one of at most 64 bytes");
    if (domain != NULL && *domain != '\0' && setdomainname(domain, strlen(domain)) != 0)
        return fail_errno(err, "set the domain name", domain, "choose one of at most 64 bytes");
    return 0;
}

static int close_and_open_root(const struct init *i)
{
    for (pb_size_t k = 0; i->prepared != NULL && k < i->spec->Mounts_count; k++)
        if (i->prepared[k] >= 0)
            close(i->prepared[k]);
    return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int make_container(struct init *i, struct err *err)
{
    int result = sync_wait_go(SOCKET);
    if (result < 0)
        return fail_with(err, result, "make the container", NULL, "try again");
    result = process_begin(i->c->request->stdio.tty, err);
    result = result < 0 ? result : enter_cgroup_namespace(i, err);
    result = result < 0 ? result : compile_filter(i, err);
    result = result < 0 ? result : make_root(i, err);
    return result < 0 ? result : set_names(i, err);
}

static int run_container(struct init *i, struct err *err)
{
    const struct hooks_state state = state_of(i, "created");
    const grpc_Linux *l = &i->spec->Linux;
    struct process_setup setup = {.string_user = i->c->request->string_user,
                                  .root = close_and_open_root(i),
                                  .seccomp = i->filter,
                                  .memory_policy = l->has_MemoryPolicy ? &l->MemoryPolicy : NULL,
                                  .log_fd = i->log_fd};
    int result = l->has_Personality ? process_personality(&l->Personality, &setup.personality, err) : 0;
    /* A hook may still put the program there. */
    if (result == 0 && i->spec->Hooks.StartContainer_count == 0)
        result = process_expect_program(&i->spec->Process, err);
    if (result < 0)
        return result;
    result = sync_send_ready(SOCKET, i->filter);
    result = result < 0 ? result : sync_wait_go(SOCKET);
    if (result < 0)
        return result == -EINVAL ? result : fail_with(err, result, "start the container", NULL, "create it anew");
    if (i->spec->has_Hooks)
        result = hooks_run(i->spec->Hooks.StartContainer, i->spec->Hooks.StartContainer_count, &state, err);
    return result < 0 ? result : process_run(&i->spec->Process, &setup, err);
}

static _Noreturn void be_container(const struct child *c, const int *prepared)
{
    struct err err;
    struct init i = {.c = c,
                     .spec = c->request->spec,
                     .prepared = prepared,
                     .filter = -1,
                     .log_fd = c->request->log_fd >= 0 ? LOG : -1};
    err_clear(&err);
    /* Containers of the pod may share its process IDs; they must not reach this program through it (/proc/PID/exe). */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (make_container(&i, &err) == 0)
        (void)run_container(&i, &err);
    give_up(SOCKET, &err);
}

/* ---- Helpers ----------------------------------------------------------------------------------------------------- */

static _Noreturn void leave_behind(pid_t pid, struct err *err)
{
    if (pid < 0) {
        (void)fail_with(err, pid, "make the process", NULL,
                        pid == -ENOMEM ? "give the pod more memory, or start the container anew"
                                       : "allow the pod more processes");
        give_up(SOCKET, err);
    }
    (void)sync_send(SOCKET, SYNC_PROCESS, pid);
    _exit(0);
}

static int prepare_mounts(const grpc_Spec *spec, int **out, struct err *err)
{
    *out = calloc((size_t)spec->Mounts_count + 1, sizeof **out);
    if (*out == NULL)
        return fail_with(err, -ENOMEM, "prepare the mounts", NULL, "give the pod more memory");
    return rootfs_prepare_mounts(spec, *out, err);
}

_Noreturn void child_make_container(const struct child *c)
{
    struct err err;
    int *prepared = NULL;
    const struct container_request *r = c->request;
    err_clear(&err);
    int result = namespaces_join(c->namespaces, &err);
    result = result < 0 ? result : keep(&r->stdio, c->socket, r->log_fd, -1, &err);
    if (result < 0)
        give_up(c->socket, &err);
    result = prepare_mounts(r->spec, &prepared, &err);
    result = result < 0 ? result : namespaces_enter_user(c->namespaces, SOCKET, &err);
    result = result < 0 ? result : namespaces_make_time(c->namespaces, &err);
    if (result < 0)
        give_up(SOCKET, &err);
    pid_t pid = sys_fork(namespaces_clone_flags(c->namespaces) | CLONE_PARENT, 0);
    if (pid == 0)
        be_container(c, prepared);
    leave_behind(pid, &err);
}

static _Noreturn void be_process(const struct child *c)
{
    struct err err;
    const struct process_setup setup = {.string_user = c->user,
                                        .root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                                        .seccomp = c->seccomp >= 0 ? FILTER : -1,
                                        .personality = c->personality,
                                        .log_fd = c->log_fd >= 0 ? LOG : -1};
    err_clear(&err);
    int result = sync_wait_go(SOCKET);
    if (result < 0)
        (void)fail_with(&err, result, "run the process", NULL, "try again");
    result = result < 0 ? result : process_begin(c->stdio->tty, &err);
    if (result == 0)
        (void)process_run(c->process, &setup, &err);
    give_up(SOCKET, &err);
}

_Noreturn void child_make_process(const struct child *c)
{
    struct err err;
    err_clear(&err);
    /* Once it is among the container's processes, these must not trace it: it still has rights that they lack. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int result = namespaces_join_process(c->pidfd, c->pid, &err);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    result = result < 0 ? result : keep(c->stdio, c->socket, c->log_fd, c->seccomp, &err);
    if (result < 0)
        give_up(c->socket, &err);
    pid_t pid = sys_fork(CLONE_PARENT, 0);
    if (pid == 0)
        be_process(c);
    leave_behind(pid, &err);
}
