/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/jail/jail.h"

/* The next child of this process is to be the first of a PID namespace. *own: the way back. */
static int aim(int *own)
{
    *own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (*own < 0)
        return -errno;
    /* Who may not come back must not go. */
    int code = setns(*own, CLONE_NEWPID) < 0 || unshare(CLONE_NEWPID) < 0 ? -errno : 0;
    if (code == 0)
        return 0;
    close(*own);
    *own = -1;
    return code;
}

pid_t jail_fork(int *step)
{
    int own;
    *step = aim(&own);
    pid_t pid = fork();
    int code = pid < 0 ? errno : 0;
    if (pid != 0 && own >= 0 && setns(own, CLONE_NEWPID) < 0) {
        /* It worked a moment ago. Other children of this process would find themselves in there. */
        code = errno;
        if (pid > 0 && kill(pid, SIGKILL) == 0)
            (void)waitpid(pid, NULL, 0);
        pid = -1;
    }
    if (own >= 0)
        close(own);
    errno = code;
    return pid;
}
