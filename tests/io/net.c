/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S      10
#define PING_BYTES    56u
#define DATAGRAM_MAX  1472u /* fills an Ethernet frame */
#define DATAGRAM_STEP 7u

static struct sockaddr_in address(const char *text, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (text != NULL && inet_pton(AF_INET, text, &a.sin_addr) != 1)
        die(0, "not an IPv4 address: '%s'", text);
    return a;
}

static int datagram_socket(int type, int protocol)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
    struct timeval limit = {.tv_sec = ANSWER_S};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
        die(errno, "no socket");
    return fd;
}

/* ---- Addresses ---- */

static void set_address(int fd, struct ifreq *r, unsigned long request, struct sockaddr_in a, const char *what)
{
    memcpy(&r->ifr_addr, &a, sizeof(a));
    if (ioctl(fd, (int)request, r) != 0)
        die(errno, "%s: cannot set %s", r->ifr_name, what);
}

static void add_gateway(int fd, const char *gateway)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct sockaddr_in any = address(NULL, 0), via = address(gateway, 0);
    memcpy(&route.rt_dst, &any, sizeof(any));
    memcpy(&route.rt_genmask, &any, sizeof(any));
    memcpy(&route.rt_gateway, &via, sizeof(via));
    if (ioctl(fd, SIOCADDRT, &route) != 0)
        die(errno, "no route by %s", gateway);
}

void do_net_up(const struct options *o, char **argv)
{
    struct ifreq r = {0};
    char *slash = strchr(argv[1], '/');
    int fd = datagram_socket(SOCK_DGRAM, 0);
    (void)o;
    if (slash == NULL || strlen(argv[0]) >= sizeof(r.ifr_name))
        die(0, "needed are a name of at most 15 characters and ADDRESS/PREFIX");
    *slash = '\0';
    uint64_t prefix = number("PREFIX", slash + 1);
    if (prefix < 1 || prefix > 32)
        die(0, "a prefix is 1 to 32");
    struct sockaddr_in mask = address(NULL, 0);
    mask.sin_addr.s_addr = htonl(UINT32_MAX << (32 - prefix));
    strcpy(r.ifr_name, argv[0]);
    set_address(fd, &r, SIOCSIFADDR, address(argv[1], 0), "address");
    set_address(fd, &r, SIOCSIFNETMASK, mask, "netmask");
    if (ioctl(fd, SIOCGIFFLAGS, &r) != 0)
        die(errno, "%s: no flags", argv[0]);
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
    if (ioctl(fd, SIOCSIFFLAGS, &r) != 0)
        die(errno, "%s: cannot be switched on", argv[0]);
    if (argv[2] != NULL)
        add_gateway(fd, argv[2]);
}

/* ---- ICMP ---- */

/* RFC 1071. n: even. */
static uint16_t checksum(const uint8_t *bytes, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t) ~(sum + (sum >> 16)));
}

struct echo_request {
    struct icmphdr head;
    uint8_t body[PING_BYTES];
};

static void ping_once(int fd, const struct sockaddr_in *to, uint16_t id, uint16_t sequence)
{
    struct echo_request out = {.head = {.type = ICMP_ECHO}};
    uint8_t in[1500];
    out.head.un.echo.id = htons(id);
    out.head.un.echo.sequence = htons(sequence);
    for (size_t i = 0; i < PING_BYTES; i++)
        out.body[i] = (uint8_t)(sequence + i);
    out.head.checksum = checksum((const uint8_t *)&out, sizeof(out));
    if (sendto(fd, &out, sizeof(out), 0, (const struct sockaddr *)to, sizeof(*to)) != (ssize_t)sizeof(out))
        die(errno, "echo request %u: cannot send", sequence);
    for (;;) { /* a raw socket gets all ICMP that arrives, so others' messages are passed over */
        ssize_t n = recv(fd, in, sizeof(in), 0);
        if (n < 0)
            die(errno, "echo request %u: no answer", sequence);
        size_t head = (size_t)(in[0] & 15) * 4;
        struct echo_request answer;
        if ((size_t)n != head + sizeof(answer))
            continue;
        memcpy(&answer, in + head, sizeof(answer));
        if (answer.head.type != ICMP_ECHOREPLY || answer.head.un.echo.id != htons(id) ||
            answer.head.un.echo.sequence != htons(sequence))
            continue;
        if (memcmp(answer.body, out.body, PING_BYTES) != 0)
            die(0, "echo request %u: other bytes came back", sequence);
        return;
    }
}

void do_ping(const struct options *o, char **argv)
{
    struct sockaddr_in to = address(argv[0], 0);
    uint64_t count = number("N", argv[1]);
    int fd = datagram_socket(SOCK_RAW, IPPROTO_ICMP);
    (void)o;
    for (uint64_t i = 1; i <= count; i++)
        ping_once(fd, &to, (uint16_t)getpid(), (uint16_t)i);
}

/* ---- UDP ---- */

void do_udp_echo(const struct options *o, char **argv)
{
    struct sockaddr_in at = address(NULL, (uint16_t)number("PORT", argv[0])), from;
    uint64_t count = number("N", argv[1]);
    uint8_t bytes[DATAGRAM_MAX];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)o;
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
        die(errno, "cannot bind to port %s", argv[0]);
    printf("listening at %s\n", argv[0]);
    (void)fflush(stdout);
    for (uint64_t i = 0; i < count; i++) {
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);
        if (n < 0 || sendto(fd, bytes, (size_t)n, 0, (const struct sockaddr *)&from, size) != n)
            die(errno, "datagram %llu", (unsigned long long)i);
    }
}

void do_udp_ping(const struct options *o, char **argv)
{
    struct sockaddr_in to = address(argv[0], (uint16_t)number("PORT", argv[1]));
    uint64_t count = number("N", argv[2]);
    uint8_t out[DATAGRAM_MAX], in[DATAGRAM_MAX];
    int fd = datagram_socket(SOCK_DGRAM, 0);
    (void)o;
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        die(errno, "cannot connect");
    for (uint64_t i = 0; i < count; i++) {
        size_t size = 1 + (size_t)(i * DATAGRAM_STEP % DATAGRAM_MAX);
        memset(out, (int)(i & 0xff), size);
        if (send(fd, out, size, 0) != (ssize_t)size)
            die(errno, "datagram %llu: cannot send", (unsigned long long)i);
        ssize_t n = recv(fd, in, sizeof(in), 0);
        if (n < 0)
            die(errno, "datagram %llu: no answer", (unsigned long long)i);
        if (n != (ssize_t)size || memcmp(in, out, size) != 0)
            die(0, "datagram %llu: another one came back", (unsigned long long)i);
    }
}

/* ---- Memory ---- */

void do_eat(const struct options *o, char **argv)
{
    size_t bytes = (size_t)number("BYTES", argv[0]);
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)o;
    if (p == MAP_FAILED)
        die(errno, "no memory of %s bytes", argv[0]);
    for (size_t i = 0; i < bytes; i += 4096)
        p[i] = (uint8_t)(i >> 12 | 1);
    puts("eaten");
    (void)fflush(stdout);
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(errno, "%s: cannot open", argv[1]);
    (void)munmap(p, bytes);
    puts("given back");
}
