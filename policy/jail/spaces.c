/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jail/spaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/jail/root.h"

#define FIRST JAIL_USER
#define LAST  JAIL_CGROUP
#define COUNT (LAST - FIRST + 1)

static const struct kind {
    int flag;
    const char *link;
} kinds[JAIL_STEPS] = {
    [JAIL_USER] = {CLONE_NEWUSER, "/proc/self/ns/user"}, [JAIL_ROOT] = {CLONE_NEWNS, "/proc/self/ns/mnt"},
    [JAIL_NET] = {CLONE_NEWNET, "/proc/self/ns/net"},    [JAIL_IPC] = {CLONE_NEWIPC, "/proc/self/ns/ipc"},
    [JAIL_UTS] = {CLONE_NEWUTS, "/proc/self/ns/uts"},    [JAIL_CGROUP] = {CLONE_NEWCGROUP, "/proc/self/ns/cgroup"},
};

/* ---- In the child ---- */

/* By step: a descriptor, -1 and why not. */
struct found {
    int fd[COUNT];
    int result[COUNT];
};

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int code = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return code;
}

/* user_namespaces(7): who has no rights outside may map himself, once he has given up setgroups(2). */
static int map_self(uid_t uid, gid_t gid)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
    int code = write_file("/proc/self/setgroups", "deny");
    code = code != 0 ? code : write_file("/proc/self/uid_map", line);
    (void)snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
    return code != 0 ? code : write_file("/proc/self/gid_map", line);
}

static int make_one(enum jail_step step, int *fd)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int code = unshare(kinds[step].flag) < 0 ? -errno : 0;
    if (code == 0 && step == JAIL_USER)
        code = map_self(uid, gid);
    if (code == 0)
        *fd = open(kinds[step].link, O_RDONLY | O_CLOEXEC);
    return code == 0 && *fd < 0 ? -errno : code;
}

/* The root last: behind it there is no /proc. */
static void make_all(const struct jail *jail, bool with_user, struct found *found)
{
    for (int i = 0; i < COUNT; i++) {
        found->fd[i] = -1;
        found->result[i] = 1;
        if (FIRST + i != JAIL_ROOT && (FIRST + i != JAIL_USER || with_user))
            found->result[i] = make_one((enum jail_step)(FIRST + i), &found->fd[i]);
    }
    found->result[JAIL_ROOT - FIRST] =
        jail_root_make(jail->cfg.folders, jail->cfg.folder_count, &found->fd[JAIL_ROOT - FIRST]);
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(COUNT * sizeof(int))];
};

/* Descriptors of what worked, in the order of steps. */
static void hand_over(int to, const struct found *found)
{
    union control control = {.bytes = {0}};
    int fds[COUNT];
    unsigned count = 0;
    for (int i = 0; i < COUNT; i++)
        if (found->result[i] == 0)
            fds[count++] = found->fd[i];
    /* Copied, because a structure for the kernel has no const. */
    int results[COUNT];
    memcpy(results, found->result, sizeof(results));
    struct iovec iov = {.iov_base = results, .iov_len = sizeof(results)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    (void)sendmsg(to, &m, MSG_NOSIGNAL);
}

static _Noreturn void child_main(const struct jail *jail, bool with_user, int to)
{
    struct found found;
    make_all(jail, with_user, &found);
    hand_over(to, &found);
    _exit(0);
}

/* ---- In the parent ---- */

static void take(struct jail *jail, const int results[COUNT], const int *fds)
{
    for (int i = 0; i < COUNT; i++) {
        jail->result[FIRST + i] = results[i];
        if (results[i] == 0)
            jail->space[FIRST + i] = *fds++;
    }
}

static int receive(struct jail *jail, int from)
{
    union control control = {.bytes = {0}};
    int results[COUNT] = {0}, fds[COUNT];
    struct iovec iov = {.iov_base = results, .iov_len = sizeof(results)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    do
        n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(results))
        return n < 0 ? -errno : -ECHILD;
    size_t expected = 0, count = 0;
    for (int i = 0; i < COUNT; i++)
        expected += results[i] == 0;
    if (m.msg_controllen >= CMSG_LEN(0) && control.header.cmsg_type == SCM_RIGHTS)
        count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(&control.header), count * sizeof(int));
    /* A limit of descriptors cuts the list. */
    for (size_t i = 0; count != expected && i < count; i++)
        close(fds[i]);
    if (count != expected)
        return -EMFILE;
    take(jail, results, fds);
    return 0;
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int make(struct jail *jail, bool with_user)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        child_main(jail, with_user, ends[1]);
    int code = pid < 0 ? -errno : 0;
    close(ends[1]);
    code = code != 0 ? code : receive(jail, ends[0]);
    close(ends[0]);
    if (pid > 0)
        wait_for(pid);
    return code;
}

int jail_spaces_make(struct jail *jail, bool with_user)
{
    int code = make(jail, with_user);
    for (int step = FIRST; code < 0 && step <= LAST; step++)
        jail->result[step] = step == JAIL_USER && !with_user ? 1 : code;
    return code;
}

int jail_space_enter(const struct jail *jail, enum jail_step step)
{
    return setns(jail->space[step], kinds[step].flag) < 0 ? -errno : 0;
}

void jail_spaces_close(struct jail *jail)
{
    for (int step = FIRST; step <= LAST; step++) {
        if (jail->space[step] >= 0)
            close(jail->space[step]);
        jail->space[step] = -1;
    }
}
