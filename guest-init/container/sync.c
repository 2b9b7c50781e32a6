/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/sync.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/text.h"

/* As it is sent: the text follows without its terminator. */
struct header {
    int32_t kind, value;
};

int sync_open(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ? 0 : -errno;
}

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_packet(int socket, const struct header *h, const char *text, int fd)
{
    union control control = {.bytes = {0}};
    char packet[sizeof *h + ERR_TEXT_BYTES];
    size_t length = strnlen(text, ERR_TEXT_BYTES - 1);
    memcpy(packet, h, sizeof *h);
    memcpy(packet + sizeof *h, text, length);
    struct iovec part = {.iov_base = packet, .iov_len = sizeof *h + length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int sync_send(int socket, enum sync_kind kind, int32_t value)
{
    return send_packet(socket, &(struct header){(int32_t)kind, value}, "", -1);
}

int sync_send_ready(int socket, int fd)
{
    return send_packet(socket, &(struct header){SYNC_READY, 0}, "", fd);
}

void sync_send_failed(int socket, const struct err *err)
{
    (void)send_packet(socket, &(struct header){SYNC_FAILED, err->code}, err->text, -1);
}

static int take_descriptor(struct msghdr *m)
{
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static int understand(const char *packet, size_t length, struct sync_message *m)
{
    struct header h;
    struct text t;
    if (length == 0) {
        m->kind = SYNC_END;
        return 0;
    }
    if (length < sizeof h)
        return -EPROTO;
    memcpy(&h, packet, sizeof h);
    m->kind = (enum sync_kind)h.kind;
    m->value = h.value;
    text_init(&t, m->text, sizeof m->text);
    text_add(&t, "%.*s", (int)(length - sizeof h), packet + sizeof h);
    return 0;
}

int sync_receive(int socket, bool wait, struct sync_message *m)
{
    union control control;
    char packet[sizeof(struct header) + ERR_TEXT_BYTES];
    struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    ssize_t got;
    h.msg_controllen = CMSG_LEN(sizeof(int)); /* without its padding, which is room for another one */
    *m = (struct sync_message){.fd = -1};
    do {
        got = recvmsg(socket, &h, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        /* Reset: the peer died with a message of ours unread. */
        return errno == ECONNRESET ? understand(packet, 0, m) : -errno;
    }
    m->fd = take_descriptor(&h);
    return understand(packet, (size_t)got, m);
}

int sync_wait_go(int socket)
{
    struct sync_message m;
    int result = sync_receive(socket, true, &m);
    if (result == 0 && m.kind != SYNC_GO)
        result = -ECANCELED;
    return result;
}
