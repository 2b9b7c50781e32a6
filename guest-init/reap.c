/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/reap.h"

#include <errno.h>
#include <sys/wait.h>

struct session_exit reap_exit_of(int status)
{
    bool signaled = WIFSIGNALED(status);
    return (struct session_exit){.signaled = signaled,
                                 .code = (uint8_t)(signaled ? WTERMSIG(status) : WEXITSTATUS(status))};
}

bool reap_children(pid_t command, struct session_exit *exit)
{
    bool found = false;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid <= 0) {
            return found;
        }
        if (pid == command) {
            *exit = reap_exit_of(status);
            found = true;
        }
    }
}
