/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int oci_pid_file_write(const char *path, pid_t pid, struct err *err)
{
    const struct err_context context = {.attempted = "write the pid file",
                                        .on_what = path,
                                        .what_to_do = "give a path in a folder that can be written to"};
    char *temporary = NULL;
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld", (long)pid);
    if (asprintf(&temporary, "%s.%ld.new", path, (long)getpid()) < 0)
        return err_fail(err, -ENOMEM, &context);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    int code = fd < 0 ? -errno : 0;
    if (code == 0 && write(fd, text, (size_t)n) != n)
        code = errno != 0 ? -errno : -EIO;
    if (fd >= 0 && close(fd) < 0 && code == 0)
        code = -errno;
    if (code == 0 && rename(temporary, path) < 0)
        code = -errno;
    if (code != 0 && fd >= 0)
        (void)unlink(temporary);
    free(temporary);
    return code != 0 ? err_fail(err, code, &context) : 0;
}

/* A path that is too long for a socket's address is reached through a descriptor of its folder. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    int folder_fd = folder == NULL ? -1 : open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (folder_fd < 0)
        return -errno;
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder_fd,
                     slash == NULL ? path : slash + 1);
    int fd = -1, code = n < 0 || (size_t)n >= sizeof(address.sun_path) ? -ENAMETOOLONG : 0;
    if (code == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        code = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    }
    close(folder_fd);
    if (code != 0 && fd >= 0)
        close(fd);
    return code != 0 ? code : fd;
}

int oci_console_connect(const char *path, int *fd, struct err *err)
{
    const struct err_context context = {.attempted = "connect to the console socket",
                                        .on_what = path,
                                        .what_to_do = "listen on it before the container is made"};
    *fd = connect_to(path);
    return *fd < 0 ? err_fail(err, *fd, &context) : 0;
}
