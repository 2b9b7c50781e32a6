/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool enter(int flags)
{
    char uids[64], gids[64];
    (void)snprintf(uids, sizeof uids, "0 %u 1", (unsigned)getuid());
    (void)snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER | flags) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", uids) && write_text("/proc/self/gid_map", gids) &&
           ((flags & CLONE_NEWNS) == 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

int namespace_run(int flags, int (*function)(void *context), void *context)
{
    pid_t pid = fork();
    if (pid != 0) {
        return wait_for(pid);
    }
    if (!enter(flags)) {
        namespace_leave(NAMESPACE_REFUSED);
    }
    if ((flags & CLONE_NEWPID) == 0) {
        namespace_leave(function(context));
    }
    pid = fork();
    namespace_leave(pid == 0 ? function(context) : wait_for(pid));
}

/* Of gcc's library for counting, where a program is linked with it. */
void __gcov_dump(void) __attribute__((weak));

_Noreturn void namespace_leave(int code)
{
    if (__gcov_dump != NULL)
        __gcov_dump();
    _exit(code);
}
