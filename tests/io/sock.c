/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_MAX 64u /* "OK <port>\n" */
#define ECHO_BYTES   16u

/* Where to connect or listen. Stream sockets over vsock itself, over the host's side of it, or TCP. */
struct place {
    sa_family_t family;
    const char *path;   /* AF_UNIX: of the monitor's socket */
    uint32_t cid, port; /* AF_VSOCK, AF_INET; AF_UNIX: the port asked for */
    struct in_addr inet;
};

static struct place vsock_place(const char *where, const char *port)
{
    struct place p = {.family = AF_VSOCK, .port = (uint32_t)number("PORT", port), .cid = VMADDR_CID_ANY};
    if (where != NULL && strncmp(where, "unix:", 5) == 0) {
        p.family = AF_UNIX;
        p.path = where + 5;
    } else if (where != NULL)
        p.cid = (uint32_t)number("CID", where);
    return p;
}

static struct place tcp_place(const char *address, const char *port)
{
    struct place p = {.family = AF_INET, .port = (uint32_t)number("PORT", port)};
    if (address != NULL && inet_pton(AF_INET, address, &p.inet) != 1)
        die(0, "not an IPv4 address: '%s'", address);
    return p;
}

/* The host listens for port N of guests at PATH_N, and connects to PATH itself. */
static struct sockaddr_un unix_address(const struct place *p, bool listening)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char suffix[16] = "";
    if (listening)
        (void)snprintf(suffix, sizeof(suffix), "_%u", p->port);
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", p->path, suffix);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        die(0, "path is too long for a socket: %s", p->path);
    return a;
}

union address {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
    struct sockaddr_in in;
};

static socklen_t address_of(const struct place *p, bool listening, union address *a)
{
    memset(a, 0, sizeof(*a));
    switch (p->family) {
    case AF_UNIX: a->un = unix_address(p, listening); return sizeof(a->un);
    case AF_VSOCK:
        a->vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = p->cid, .svm_port = p->port};
        return sizeof(a->vm);
    default:
        a->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port), .sin_addr = p->inet};
        return sizeof(a->in);
    }
}

static int new_socket(const struct place *p)
{
    int fd = socket(p->family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        die(errno, "no socket of family %d", p->family);
    if (p->family == AF_INET)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* The monitor says which port the host's end has got. Byte by byte: what follows the line is the stream's. */
static void expect_greeting(int fd, const char *path)
{
    char line[GREETING_MAX + 1] = "";
    for (size_t n = 0; n < GREETING_MAX && (n == 0 || line[n - 1] != '\n'); n++)
        if (read_all(fd, line + n, 1, path) != 1)
            die(0, "%s: closed before its greeting", path);
    unsigned port;
    char end;
    if (sscanf(line, "OK %u%c", &port, &end) != 2 || end != '\n')
        die(0, "%s: greets with '%s'", path, line);
}

static int connect_to(const struct place *p)
{
    union address a;
    socklen_t size = address_of(p, false, &a);
    int fd = new_socket(p), r;
    do
        r = connect(fd, &a.any, size);
    while (r != 0 && errno == EINTR);
    if (r != 0)
        die(errno, "cannot connect");
    if (p->family == AF_UNIX) {
        char line[GREETING_MAX];
        int n = snprintf(line, sizeof(line), "CONNECT %u\n", p->port);
        write_all(fd, line, (size_t)n, p->path);
        expect_greeting(fd, p->path);
    }
    return fd;
}

/* "listening" on standard output: whoever started us may connect from now on. */
static int listen_at(const struct place *p)
{
    union address a;
    socklen_t size = address_of(p, true, &a);
    int fd = new_socket(p), on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &a.any, size) != 0 || listen(fd, SOMAXCONN) != 0)
        die(errno, "cannot listen at port %u", p->port);
    printf("listening at %u\n", p->port);
    (void)fflush(stdout);
    return fd;
}

static int accept_one(int listener)
{
    int fd;
    do
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        die(errno, "cannot accept");
    return fd;
}

static int serve_at(const struct place *p)
{
    int listener = listen_at(p), fd = accept_one(listener);
    (void)close(listener);
    if (p->family == AF_UNIX)
        (void)unlink(unix_address(p, true).sun_path);
    return fd;
}

/* A reader opens a FIFO when a writer does. */
static void wait_for_fifo(const struct options *o)
{
    if (o->after == NULL)
        return;
    int fd = open(o->after, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(errno, "%s: cannot open", o->after);
    (void)close(fd);
}

static void expect_end(int fd, const char *what)
{
    char more;
    if (read_all(fd, &more, 1, what) != 0)
        die(0, "%s: more bytes than there should be", what);
}

/* The end of our stream is told apart from the end of the connection, which comes when the peer has read it all. */
static void send_stream(const struct options *o, int fd, char **argv)
{
    wait_for_fifo(o);
    stream_send(fd, number("BYTES", argv[0]), number("SEED", argv[1]), "connection");
    if (shutdown(fd, SHUT_WR) != 0)
        die(errno, "cannot shut down");
    expect_end(fd, "answer");
    (void)close(fd);
}

static void receive_stream(const struct options *o, int fd, char **argv)
{
    wait_for_fifo(o);
    stream_receive(fd, number("BYTES", argv[0]), number("SEED", argv[1]), "connection");
    expect_end(fd, "connection");
    (void)close(fd);
}

/* ---- vsock ---- */

void do_send(const struct options *o, char **argv)
{
    struct place p = vsock_place(argv[0], argv[1]);
    send_stream(o, connect_to(&p), argv + 2);
}

void do_recv(const struct options *o, char **argv)
{
    struct place p = vsock_place(argv[0], argv[1]);
    receive_stream(o, connect_to(&p), argv + 2);
}

/* "[unix:PATH] PORT": moves *argv behind them. */
static struct place serving_place(char ***argv)
{
    const char *where = strncmp(**argv, "unix:", 5) == 0 ? *(*argv)++ : NULL;
    struct place p = vsock_place(where, *(*argv)++);
    if ((*argv)[0] == NULL)
        die(0, "words are missing");
    return p;
}

void do_serve_send(const struct options *o, char **argv)
{
    struct place p = serving_place(&argv);
    if (argv[1] == NULL)
        die(0, "no SEED");
    send_stream(o, serve_at(&p), argv);
}

void do_serve_recv(const struct options *o, char **argv)
{
    struct place p = serving_place(&argv);
    if (argv[1] == NULL)
        die(0, "no SEED");
    receive_stream(o, serve_at(&p), argv);
}

void do_churn(const struct options *o, char **argv)
{
    struct place p = vsock_place(argv[0], argv[1]);
    uint64_t count = number("N", argv[2]);
    (void)o;
    for (uint64_t i = 0; i < count; i++) {
        char out[ECHO_BYTES + 1], in[ECHO_BYTES];
        (void)snprintf(out, sizeof(out), "%016llx", (unsigned long long)(i * 0x9e3779b97f4a7c15u));
        int fd = connect_to(&p);
        write_all(fd, out, ECHO_BYTES, "connection");
        if (read_all(fd, in, ECHO_BYTES, "connection") != ECHO_BYTES || memcmp(in, out, ECHO_BYTES) != 0)
            die(0, "connection %llu: other bytes came back than went out", (unsigned long long)i);
        (void)close(fd);
    }
}

/* Standard input is taken first, and one read long. */
void do_talk(const struct options *o, char **argv)
{
    struct place p = vsock_place(argv[0], argv[1]);
    char bytes[4096];
    (void)o;
    size_t n = read_all(STDIN_FILENO, bytes, sizeof(bytes), "standard input");
    int fd = connect_to(&p);
    write_all(fd, bytes, n, "connection");
    if (shutdown(fd, SHUT_WR) != 0)
        die(errno, "cannot shut down");
    while ((n = read_all(fd, bytes, sizeof(bytes), "connection")) > 0)
        write_all(STDOUT_FILENO, bytes, n, "standard output");
    (void)close(fd);
}

static void echo(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        write_all(fd, bytes, (size_t)n, "connection");
    /* A reset is an end like any other: who churns does not wait for ours. */
    if (n < 0 && errno != ECONNRESET)
        die(errno, "connection: cannot read");
    (void)close(fd);
}

void do_echo(const struct options *o, char **argv)
{
    struct place p = serving_place(&argv);
    uint64_t count = number("N", argv[0]);
    int listener = listen_at(&p);
    (void)o;
    for (uint64_t i = 0; i < count; i++)
        echo(accept_one(listener));
}

/* ---- TCP ---- */

void do_tcp_send(const struct options *o, char **argv)
{
    struct place p = tcp_place(argv[0], argv[1]);
    send_stream(o, connect_to(&p), argv + 2);
}

void do_tcp_recv(const struct options *o, char **argv)
{
    struct place p = tcp_place(argv[0], argv[1]);
    receive_stream(o, connect_to(&p), argv + 2);
}

void do_tcp_serve_send(const struct options *o, char **argv)
{
    struct place p = tcp_place(NULL, argv[0]);
    send_stream(o, serve_at(&p), argv + 1);
}

void do_tcp_serve_recv(const struct options *o, char **argv)
{
    struct place p = tcp_place(NULL, argv[0]);
    receive_stream(o, serve_at(&p), argv + 1);
}
