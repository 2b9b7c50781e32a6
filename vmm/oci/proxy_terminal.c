/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/oci/proxy_parts.h"

/* ---- The user's, or a slave of ours ---- */

void proxy_terminal_init(struct proxy_terminal *t, int fd)
{
    *t = (struct proxy_terminal){.fd = fd >= 0 && isatty(fd) == 1 ? fd : -1};
}

bool proxy_terminal_is_lent(const struct proxy_terminal *t)
{
    pid_t foreground = t->fd >= 0 ? tcgetpgrp(t->fd) : -1;
    return foreground > 0 && foreground != getpgrp();
}

void proxy_terminal_take(struct proxy_terminal *t)
{
    struct termios wanted;
    if (t->fd < 0 || t->raw || proxy_terminal_is_lent(t) || tcgetattr(t->fd, &t->before) < 0)
        return;
    wanted = t->before;
    cfmakeraw(&wanted);
    t->raw = tcsetattr(t->fd, TCSADRAIN, &wanted) == 0;
}

/* A shell that has put this process into the background has set the terminal for another job. */
void proxy_terminal_restore(struct proxy_terminal *t)
{
    if (t->raw && !proxy_terminal_is_lent(t))
        (void)tcsetattr(t->fd, TCSADRAIN, &t->before);
    t->raw = false;
}

bool proxy_terminal_size(const struct proxy_terminal *t, uint16_t *rows, uint16_t *columns)
{
    struct winsize w;
    if (t->fd < 0 || ioctl(t->fd, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
        return false;
    *rows = w.ws_row;
    *columns = w.ws_col;
    return true;
}

/* ---- A pseudo-terminal for a console socket ---- */

/* The master with its name as data, as receivers of runc's console sockets expect it. */
static int send_master(int socket, int master, const char *name)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char text[64];
    int n = snprintf(text, sizeof(text), "%s", name);
    struct iovec data = {.iov_base = text, .iov_len = (size_t)n};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes)};
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.header), &master, sizeof(int));
    ssize_t done;
    do
        done = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : 0;
}

/* By the master's descriptor: a path could lead to another mount's terminal. */
static int open_slave(int master, uint16_t rows, uint16_t columns)
{
    const struct winsize size = {.ws_row = rows, .ws_col = columns};
    int unlocked = 0;
    struct termios wanted;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -errno;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    if (tcgetattr(slave, &wanted) == 0) {
        cfmakeraw(&wanted);
        (void)tcsetattr(slave, TCSANOW, &wanted);
    }
    if (rows != 0 && columns != 0)
        (void)ioctl(slave, TIOCSWINSZ, &size);
    /* Changes of the size are announced to the session of the terminal only. */
    (void)ioctl(slave, TIOCSCTTY, 0);
    return slave;
}

static int open_pair(int socket, int master, uint16_t rows, uint16_t columns, struct err *err)
{
    static const struct err_context open = {.attempted = "make a pseudo-terminal",
                                            .what_to_do =
                                                "look at how many there are and may be: /proc/sys/kernel/pty"};
    static const struct err_context send = {.attempted = "send the terminal through the console socket",
                                            .what_to_do =
                                                "give --console-socket the path of a socket that is accepted"};
    char name[32] = "";
    int slave = open_slave(master, rows, columns);
    if (slave < 0)
        return err_fail(err, slave, &open);
    (void)ptsname_r(master, name, sizeof(name));
    int code = send_master(socket, master, name);
    if (code == 0)
        return slave;
    close(slave);
    return err_fail(err, code, &send);
}

int proxy_terminal_open(int socket, uint16_t rows, uint16_t columns, int *slave, struct err *err)
{
    static const struct err_context context = {.attempted = "open /dev/ptmx",
                                               .what_to_do = "mount devpts at /dev/pts, or run without a terminal"};
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0)
        return err_fail(err, -errno, &context);
    int code = open_pair(socket, master, rows, columns, err);
    close(master);
    if (code < 0)
        return code;
    *slave = code;
    return 0;
}
