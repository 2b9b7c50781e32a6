/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's part of trust on a real guest: the host's port, and the folder that containers see. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest-init/agent/trust.h"

/* Room for SECRETS_MAX secrets of the largest size, one that replaces another, and little else. */
#define FOLDER_OPTIONS "mode=0711,size=4m,nr_inodes=256"
#define BACKLOG        16

/* ---- The host ---- */

static int connect_host(void *context)
{
    const struct trust_port *port = context;
    const struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port->number};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&host, sizeof(host)) == 0 || errno == EINPROGRESS)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

void trust_port_ops(struct trust_port *port, struct trust_channel_ops *out)
{
    *out = (struct trust_channel_ops){.context = port,
                                      .connect = connect_host,
                                      .wait = trust_channel_poll,
                                      .now_ms = trust_channel_clock_ms,
                                      .wait_ms = TRUST_WAIT_MS,
                                      .peer = "the host"};
}

/* ---- The folder ---- */

/* The command is the file itself: nothing of it is copied, nobody can change it, and everybody may run it. */
static int show_program(void)
{
    const unsigned long sealed = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
    static const char path[] = TRUST_FOLDER "/" TRUST_QUOTE;
    if (chmod(TRUST_PROGRAM, 0555) != 0)
        return -errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);
    if (fd < 0)
        return -errno;
    close(fd);
    bool shown = mount(TRUST_PROGRAM, path, NULL, MS_BIND, NULL) == 0 && mount(NULL, path, NULL, sealed, NULL) == 0;
    return shown ? 0 : -errno;
}

/* Everybody in a container that has the mount may ask. */
static int open_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = TRUST_FOLDER "/" TRUST_SOCKET};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && chmod(address.sun_path, 0666) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

static int make_folder(void *context, struct err *err)
{
    (void)context;
    const struct err_context make = {"make", TRUST_FOLDER, "use a guest kernel with tmpfs and Unix sockets"};
    if (mkdir(TRUST_FOLDER, 0711) != 0 && errno != EEXIST)
        return err_fail(err, -errno, &make);
    if (mount("trust", TRUST_FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, FOLDER_OPTIONS) != 0 ||
        mkdir(TRUST_FOLDER "/" TRUST_SECRETS, 0700) != 0)
        return err_fail(err, -errno, &make);
    int result = show_program();
    result = result < 0 ? result : open_socket();
    return result < 0 ? err_fail(err, result, &make) : result;
}

const struct agent_trust_place trust_folder = {.folder = TRUST_FOLDER, .make = make_folder};
