/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX_BYTES (sizeof("_4294967295") - 1)
#define BACKLOG      128
#define SECOND_NS    UINT64_C(1000000000)

/* ---- The real host ---- */

static int connect_to(void *ctx, uint32_t port)
{
    const struct vsock_listener *l = ctx;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = l->inside != NULL ? l->inside : l->path;
    if (path == NULL)
        return -ENOENT;
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", path, port);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Unix sockets connect at once or not at all; a full queue of the listener is EAGAIN. */
    int code;
    do
        code = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    while (code == -EINTR);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

static uint64_t now_ns(void *ctx)
{
    struct timespec t;
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static int make_timer(void *ctx)
{
    (void)ctx;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static void wake(void *ctx, int timer, uint64_t at_ns)
{
    (void)ctx;
    /* All zeroes would switch it off. */
    at_ns = at_ns == 0 ? 1 : at_ns;
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / SECOND_NS), .tv_nsec = (long)(at_ns % SECOND_NS)}};
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

struct vsock_host vsock_host_real(struct vsock_listener *l)
{
    return (struct vsock_host){.connect = connect_to, .now_ns = now_ns, .timer = make_timer, .wake = wake, .ctx = l};
}

/* ---- The listening socket ---- */

/* Who may connect. Nobody can yet: the socket does not listen. */
static int set_access(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    struct stat s;
    if (fstatat(AT_FDCWD, path, &s, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    /* bind() took the mode of the socket, less the umask. */
    if ((s.st_mode & 07777) != mode && fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

/* What stands behind the last slash. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int open_folder(const char *path)
{
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int n = snprintf(folder, sizeof(folder), "%.*s", (int)(name_of(path) - path), path);
    int fd = open(n > 0 ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* What was bound a moment ago is ours; who does not know it again later cannot remove it then. */
static int remember(struct vsock_listener *l, const char *path)
{
    struct stat s;
    int code = fstatat(AT_FDCWD, path, &s, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    l->folder = code < 0 ? code : open_folder(path);
    if (l->folder < 0) {
        (void)unlink(path);
        return l->folder;
    }
    l->path = path;
    l->device = s.st_dev;
    l->inode = s.st_ino;
    return 0;
}

static int bind_to(int fd, const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int listen_on(struct vsock_listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int code = l->fd < 0 ? -errno : bind_to(l->fd, path, mode);
    if (code == 0)
        code = remember(l, path);
    if (code == 0)
        code = set_access(path, mode, uid, gid);
    if (code == 0 && listen(l->fd, BACKLOG) < 0)
        code = -errno;
    return code;
}

int vsock_listener_init(struct vsock_listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 - SUFFIX_BYTES;
    struct err_context context = {.attempted = "listen on the vsock socket", .on_what = path};
    *l = (struct vsock_listener){.fd = -1, .folder = -1};
    if (path[0] == '\0' || strlen(path) > most) {
        context.what_to_do = "choose a shorter path: the ports of the guest are put behind it";
        return err_fail_because(err, -ENAMETOOLONG, &context, "the path has %zu bytes, it may have 1 to %zu",
                                strlen(path), most);
    }
    int code = listen_on(l, path, mode, uid, gid);
    if (code == 0)
        return 0;
    vsock_listener_fini(l);
    if (code == -EADDRINUSE) {
        context.what_to_do = "remove it if no other virtual machine uses it, or choose another path";
        return err_fail_because(err, code, &context, "there is a file of that name already");
    }
    context.what_to_do = "look at the folder and its permissions";
    return err_fail(err, code, &context);
}

void vsock_listener_fini(struct vsock_listener *l)
{
    struct stat s;
    if (l->fd < 0)
        return;
    /* As long as our socket is open, its inode's number goes to no other file. */
    if (l->path != NULL && !l->leave && fstatat(l->folder, name_of(l->path), &s, AT_SYMLINK_NOFOLLOW) == 0 &&
        s.st_dev == l->device && s.st_ino == l->inode)
        (void)unlinkat(l->folder, name_of(l->path), 0);
    close(l->fd);
    if (l->folder >= 0)
        close(l->folder);
    *l = (struct vsock_listener){.fd = -1, .folder = -1};
}
