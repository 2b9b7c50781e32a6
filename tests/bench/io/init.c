/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First process of the guests that scripts/bench io measures. The word io=ITEM:AMOUNT,... of the kernel's command line
 * says what to do, one after the other; the console gets
 *
 *   CLOCK <ticks>                     first and last, so that the host can tell what a tick of this guest's TSC is
 *   BEGIN <item>
 *   RESULT <item> <amount> <ticks>    an item that was done
 *   FAIL <item> <why>                 one that was not; the rest goes on
 *
 * with numbers of 20 digits, so that exits of the console are the same in every run.
 * Then the machine is reset. Time is the TSC itself: what the kernel makes of it depends on what the monitor tells the
 * kernel, and reading any other clock would be an exit in the middle of what is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/io/io.h"

#define FILE_BLOCK    ((size_t)1 << 20)
#define SECTOR_BLOCK  ((size_t)4096)
#define WARM_UP       64u /* requests before the clock runs, where each one is timed alone */
#define CMDLINE_BYTES 4096
#define PATIENCE_MS   5000 /* for devices that appear a while after the kernel has started us */
#define HOST_ADDRESS  "10.99.0.1"
#define GUEST_ADDRESS "10.99.0.2"

struct item {
    const char *name;
    uint64_t amount;   /* bytes, or requests */
    const char *doing; /* for FAIL */
    uint8_t *block;    /* FILE_BLOCK bytes, aligned for O_DIRECT */
    uint64_t begin, end;
};

static uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}

static int result(long r)
{
    return r < 0 ? -errno : 0;
}

/* ---- Files and disks ---- */

static int open_for(struct item *it, const char *path, int flags)
{
    it->doing = path;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

static int read_blocks(struct item *it, int fd)
{
    int r = 0;
    it->begin = ticks();
    for (uint64_t done = 0; done < it->amount && r == 0; done += FILE_BLOCK)
        r = receive_all(fd, it->block, FILE_BLOCK);
    it->end = ticks();
    return r;
}

/* fsync is part of it: without, the last blocks would be on their way still. */
static int write_blocks(struct item *it, int fd)
{
    int r = 0;
    it->begin = ticks();
    for (uint64_t done = 0; done < it->amount && r == 0; done += FILE_BLOCK)
        r = send_all(fd, it->block, FILE_BLOCK);
    if (r == 0)
        r = result(fsync(fd));
    it->end = ticks();
    return r;
}

static int with_file(struct item *it, const char *path, int flags, int (*work)(struct item *it, int fd))
{
    int fd = open_for(it, path, flags);
    if (fd < 0)
        return fd;
    int r = work(it, fd);
    (void)close(fd);
    return r;
}

static int blk_read(struct item *it)
{
    return with_file(it, "/dev/vda", O_RDONLY | O_DIRECT, read_blocks);
}

static int blk_write(struct item *it)
{
    return with_file(it, "/dev/vda", O_WRONLY | O_DIRECT, write_blocks);
}

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int read_randomly(struct item *it, int fd)
{
    off_t bytes = lseek(fd, 0, SEEK_END);
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    if (bytes < (off_t)SECTOR_BLOCK)
        return -ENXIO;
    uint64_t blocks = (uint64_t)bytes / SECTOR_BLOCK;
    for (uint64_t i = 0; i < it->amount + WARM_UP; i++) {
        if (i == WARM_UP)
            it->begin = ticks();
        off_t at = (off_t)(xorshift(&state) % blocks * SECTOR_BLOCK);
        if (pread(fd, it->block, SECTOR_BLOCK, at) != (ssize_t)SECTOR_BLOCK)
            return errno != 0 ? -errno : -EIO;
    }
    it->end = ticks();
    return 0;
}

static int blk_latency(struct item *it)
{
    return with_file(it, "/dev/vda", O_RDONLY | O_DIRECT, read_randomly);
}

static int mount_share(struct item *it)
{
    it->doing = "mount -t virtiofs bench /mnt";
    (void)mkdir("/mnt", 0755);
    int r = result(mount("bench", "/mnt", "virtiofs", 0, NULL));
    return r == -EBUSY ? 0 : r;
}

static int fs_read(struct item *it)
{
    int r = mount_share(it);
    return r < 0 ? r : with_file(it, "/mnt/data", O_RDONLY, read_blocks);
}

static int fs_write(struct item *it)
{
    int r = mount_share(it);
    return r < 0 ? r : with_file(it, "/mnt/out", O_WRONLY | O_CREAT | O_TRUNC, write_blocks);
}

static int open_once(struct item *it)
{
    struct stat s;
    int fd = open_for(it, "/mnt/small", O_RDONLY);
    if (fd < 0)
        return fd;
    int r = result(fstat(fd, &s));
    return close(fd) < 0 && r == 0 ? -errno : r;
}

static int fs_open(struct item *it)
{
    int r = mount_share(it);
    for (uint64_t i = 0; i < it->amount + WARM_UP && r == 0; i++) {
        if (i == WARM_UP)
            it->begin = ticks();
        r = open_once(it);
    }
    it->end = ticks();
    return r;
}

/* ---- Streams: AF_VSOCK, a port of virtio-serial, TCP ---- */

static int ask(int fd, enum stream_what what, uint64_t amount)
{
    const struct stream_request q = {.what = what, .amount = amount};
    return send_all(fd, &q, sizeof(q));
}

static int stream_send(struct item *it, int fd)
{
    it->begin = ticks();
    int r = ask(fd, STREAM_SINK, it->amount);
    for (uint64_t done = 0; done < it->amount && r == 0; done += STREAM_BLOCK)
        r = send_all(fd, it->block, STREAM_BLOCK);
    if (r == 0)
        r = receive_all(fd, it->block, 1);
    it->end = ticks();
    return r;
}

static int stream_receive(struct item *it, int fd)
{
    it->begin = ticks();
    int r = ask(fd, STREAM_SOURCE, it->amount);
    for (uint64_t done = 0; done < it->amount && r == 0; done += STREAM_BLOCK)
        r = receive_all(fd, it->block, STREAM_BLOCK);
    it->end = ticks();
    return r;
}

static int stream_echo(struct item *it, int fd)
{
    int r = ask(fd, STREAM_ECHO, it->amount + WARM_UP);
    for (uint64_t i = 0; i < it->amount + WARM_UP && r == 0; i++) {
        if (i == WARM_UP)
            it->begin = ticks();
        r = send_all(fd, it->block, ECHO_BYTES);
        if (r == 0)
            r = receive_all(fd, it->block, ECHO_BYTES);
    }
    it->end = ticks();
    return r;
}

static int stream_item(struct item *it, int fd)
{
    const char *what = strchr(it->name, '-') + 1;
    it->doing = "the exchange with the host's peer";
    if (strcmp(what, "send") == 0)
        return stream_send(it, fd);
    return strcmp(what, "receive") == 0 ? stream_receive(it, fd) : stream_echo(it, fd);
}

static int connected_item(struct item *it, int family, const struct sockaddr *to, socklen_t bytes)
{
    const int yes = 1;
    it->doing = "connect to the host";
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : result(connect(fd, to, bytes));
    if (r == 0 && family == AF_INET)
        r = result(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)));
    if (r == 0)
        r = stream_item(it, fd);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static int vsock_item(struct item *it)
{
    const struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = VSOCK_PORT};
    return connected_item(it, AF_VSOCK, (const struct sockaddr *)&to, sizeof(to));
}

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000 * 1000};
    (void)nanosleep(&t, NULL);
}

/* The driver makes its ports when the device has told it about them, in its own time. */
static int serial_item(struct item *it)
{
    int fd = -ENOENT;
    for (int waited = 0; waited < PATIENCE_MS && fd == -ENOENT; waited += 10) {
        fd = open_for(it, "/dev/vport0p1", O_RDWR);
        if (fd == -ENOENT)
            pause_ms(10);
    }
    if (fd < 0)
        return fd;
    int r = stream_item(it, fd);
    (void)close(fd);
    return r;
}

/* ---- Network ---- */

static int set_address(int fd, struct ifreq *r, int request, const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    (void)inet_pton(AF_INET, address, &a.sin_addr);
    memcpy(&r->ifr_addr, &a, sizeof(a));
    return result(ioctl(fd, request, r));
}

static int net_up(struct item *it)
{
    struct ifreq q = {.ifr_name = "eth0"};
    it->doing = "set up eth0";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : set_address(fd, &q, SIOCSIFADDR, GUEST_ADDRESS);
    if (r == 0)
        r = set_address(fd, &q, SIOCSIFNETMASK, "255.255.255.0");
    if (r == 0)
        r = result(ioctl(fd, SIOCGIFFLAGS, &q));
    q.ifr_flags = (short)(q.ifr_flags | IFF_UP);
    if (r == 0)
        r = result(ioctl(fd, SIOCSIFFLAGS, &q));
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static struct sockaddr_in host_address(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(INET_PORT)};
    (void)inet_pton(AF_INET, HOST_ADDRESS, &a.sin_addr);
    return a;
}

static int tcp_item(struct item *it)
{
    const struct sockaddr_in to = host_address();
    int r = net_up(it);
    return r < 0 ? r : connected_item(it, AF_INET, (const struct sockaddr *)&to, sizeof(to));
}

static int udp_exchange(struct item *it, int fd)
{
    for (uint64_t i = 0; i < it->amount + WARM_UP; i++) {
        if (i == WARM_UP)
            it->begin = ticks();
        if (send(fd, it->block, ECHO_BYTES, 0) < 0 || recv(fd, it->block, ECHO_BYTES, 0) < 0)
            return -errno;
    }
    it->end = ticks();
    return 0;
}

static int udp_item(struct item *it)
{
    const struct sockaddr_in to = host_address();
    const struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};
    int r = net_up(it);
    if (r < 0)
        return r;
    it->doing = "datagrams to the host and back";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r = fd < 0 ? -errno : result(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    if (r == 0)
        r = result(connect(fd, (const struct sockaddr *)&to, sizeof(to)));
    if (r == 0)
        r = udp_exchange(it, fd);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* ---- Items ---- */

static const struct {
    const char *name; /* the item's, or what it begins with */
    int (*run)(struct item *it);
} kinds[] = {
    {"blk-read", blk_read}, {"blk-write", blk_write}, {"blk-latency", blk_latency}, {"fs-read", fs_read},
    {"fs-write", fs_write}, {"fs-open", fs_open},     {"vsock-", vsock_item},       {"serial-", serial_item},
    {"tcp-", tcp_item},     {"udp-echo", udp_item},
};

static int run_item(struct item *it)
{
    it->doing = "look it up";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(it->name, kinds[i].name, strlen(kinds[i].name)) == 0)
            return kinds[i].run(it);
    return -ENOSYS;
}

static void do_item(char *word, uint8_t *block)
{
    char *colon = strchr(word, ':');
    struct item it = {.name = word, .block = block};
    if (colon != NULL) {
        *colon = '\0';
        it.amount = strtoull(colon + 1, NULL, 10);
    }
    printf("BEGIN %s\n", it.name);
    int r = run_item(&it);
    if (r < 0)
        printf("FAIL %s %s: %s\n", it.name, it.doing, strerror(-r));
    else
        printf("RESULT %s %020" PRIu64 " %020" PRIu64 "\n", it.name, it.amount, it.end - it.begin);
}

static void do_items(char *list)
{
    void *block = NULL;
    char *rest = NULL;
    if (posix_memalign(&block, SECTOR_BLOCK, FILE_BLOCK) != 0) {
        printf("FAIL all out of memory\n");
        return;
    }
    memset(block, 0x5a, FILE_BLOCK);
    for (char *word = strtok_r(list, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest))
        do_item(word, block);
    free(block);
}

/* ---- The guest ---- */

static void prepare(void)
{
    (void)mkdir("/proc", 0755);
    (void)mkdir("/sys", 0755);
    (void)mkdir("/dev", 0755);
    (void)mount("proc", "/proc", "proc", 0, "");
    (void)mount("sysfs", "/sys", "sysfs", 0, "");
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int i = 0; i <= STDERR_FILENO && fd >= 0; i++)
        (void)dup2(fd, i);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

static void obey_cmdline(void)
{
    static const char key[] = "io=";
    char line[CMDLINE_BYTES] = "", *rest = NULL;
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    if (n < 0)
        printf("FAIL all /proc/cmdline: %s\n", strerror(errno));
    for (char *word = strtok_r(line, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest))
        if (strncmp(word, key, sizeof(key) - 1) == 0)
            do_items(word + sizeof(key) - 1);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    if (getpid() != 1)
        return argc == 4 && strcmp(argv[1], "peer") == 0 ? peer_main(argv + 2) : 2;
    prepare();
    printf("CLOCK %020" PRIu64 "\n", ticks());
    obey_cmdline();
    printf("CLOCK %020" PRIu64 "\n", ticks());
    (void)tcdrain(STDOUT_FILENO);
    (void)reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}
