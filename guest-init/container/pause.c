/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/pause.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/mount.h"
#include "guest-init/container/namespaces.h"
#include "guest-init/container/rootfs.h"
#include "guest-init/container/sys.h"

/* A folder that is there; the empty one comes to lie on it, seen by nobody else. */
#define PLACE "/run"

static int open_place(void)
{
    int fd = open(PLACE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int leave_files(void)
{
    static const grpc_Spec nothing;
    struct rootfs empty = {.null = -1};
    if (unshare(CLONE_NEWNS) != 0)
        return -errno;
    int result = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    int place = result < 0 ? result : open_place();
    if (place < 0)
        return place;
    result = mount_empty_folder(place);
    close(place);
    empty.place.root = result < 0 ? result : open_place();
    if (empty.place.root < 0)
        return empty.place.root;
    result = rootfs_enter(&empty, &nothing, NULL);
    rootfs_release(&empty);
    return result;
}

/* ready: where to say that all is done, by one byte. */
static _Noreturn void keep(int ready)
{
    sigset_t chld;
    int signal;
    (void)prctl(PR_SET_NAME, "pause");
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (leave_files() < 0 || write(ready, "", 1) != 1)
        _exit(1);
    (void)sys_close_from(0);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &chld, NULL);
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        (void)sigwait(&chld, &signal);
    }
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static int wait_for(int ready)
{
    char byte;
    ssize_t got;
    do
        got = read(ready, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 ? 0 : -ECHILD;
}

static int start(const int ready[2], pid_t *pid)
{
    *pid = sys_fork(CLONE_NEWPID, SIGCHLD);
    if (*pid == 0)
        keep(ready[1]);
    return *pid < 0 ? *pid : 0;
}

int pause_make(pid_t *pid, int *pid_ns)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0)
        return -errno;
    int result = start(ready, pid);
    close(ready[1]);
    if (result == 0) {
        result = wait_for(ready[0]);
        *pid_ns = result < 0 ? result : pause_namespace_of(*pid);
        result = *pid_ns < 0 ? *pid_ns : 0;
        if (result < 0)
            end(*pid);
    }
    close(ready[0]);
    return result;
}

int pause_namespace_of(pid_t pid)
{
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    if (!namespaces_pid_is_own(fd))
        return fd;
    close(fd);
    return -EPERM;
}
