/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of the guests of qemu_test. It loads the modules that /modules/order names, then does what its
 * arguments say, one after the other, and ends with "init: done" and a power-off. The kernel hands over as arguments
 * what follows "--" on its command line.
 *
 *   uname        name and release of the kernel, number of processors
 *   blk          /dev/vda: writes to its second 64 KiB and says whether both parts read back as they should
 *   rng          reads /dev/hwrng
 *   net          eth0: sends a text by TCP to 10.0.2.100:7 and wants it back
 *   work         as many processes as processors that compute and give way to each other
 *   tick         a line every 100 ms, for ever
 *   ticks        ten such lines
 *   reboot       restarts the machine, unless /dev/vda begins with the word of an earlier restart
 *   exit         writes 21h to port f4h, where QEMU may have a device that ends it with exit code 67
 *
 * A failure is a line "init: <what>: <why>"; the rest goes on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PART_BYTES = 64 * 1024, EXIT_PORT = 0xf4, EXIT_VALUE = 0x21, TICK_NS = 100 * 1000 * 1000 };
static const char restarted[] = "restarted once";

static void fail(const char *what)
{
    printf("init: %s: %s\n", what, strerror(errno));
}

static void load_modules(void)
{
    char name[256], path[300];
    FILE *order = fopen("/modules/order", "re");
    if (!order)
        return;
    while (fscanf(order, "%255s", name) == 1) {
        (void)snprintf(path, sizeof(path), "/modules/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
            fail(path);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)fclose(order);
}

static void say_uname(void)
{
    struct utsname name;
    (void)uname(&name);
    printf("init: %s %s %s, %ld processors\n", name.sysname, name.release, name.machine, sysconf(_SC_NPROCESSORS_ONLN));
}

/* The byte that belongs at an offset of the disk's first part; qemu_test writes the same. */
static unsigned char pattern(size_t offset)
{
    return (unsigned char)(offset % 251);
}

static void use_disk(void)
{
    unsigned char first[PART_BYTES], second[PART_BYTES];
    int fd = open("/dev/vda", O_RDWR | O_CLOEXEC | O_DSYNC);
    if (fd < 0 || pread(fd, first, sizeof(first), 0) != PART_BYTES) {
        fail("blk");
        return;
    }
    size_t same = 0;
    for (size_t i = 0; i < sizeof(first); i++)
        same += first[i] == pattern(i);
    for (size_t i = 0; i < sizeof(second); i++)
        second[i] = (unsigned char)~pattern(i);
    /* Past the page cache, which would give back what it was given. */
    if (pwrite(fd, second, sizeof(second), PART_BYTES) != PART_BYTES || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
        pread(fd, first, sizeof(first), PART_BYTES) != PART_BYTES)
        fail("blk");
    printf("init: blk: %s, %s\n", same == PART_BYTES ? "read" : "read wrongly",
           memcmp(first, second, sizeof(first)) ? "written wrongly" : "written");
    (void)close(fd);
}

static void use_rng(void)
{
    unsigned char bytes[64] = {0};
    int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (got <= 0) {
        fail("rng");
        return;
    }
    printf("init: rng: read\n");
    (void)close(fd);
}

static int interface_up(int fd)
{
    struct ifreq request = {.ifr_name = "eth0"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(0x0a00020f)}};
    memcpy(&request.ifr_addr, &address, sizeof(address));
    if (ioctl(fd, SIOCSIFADDR, &request))
        return -1;
    address.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&request.ifr_netmask, &address, sizeof(address));
    if (ioctl(fd, SIOCSIFNETMASK, &request))
        return -1;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

static void use_network(void)
{
    static const char text[] = "there and back again";
    char back[sizeof(text)] = "";
    const struct sockaddr_in echo = {
        .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = {.s_addr = htonl(0x0a000264)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || interface_up(fd) || connect(fd, (const struct sockaddr *)&echo, sizeof(echo)) ||
        send(fd, text, sizeof(text), 0) != sizeof(text) || recv(fd, back, sizeof(back), MSG_WAITALL) != sizeof(back))
        fail("net");
    else
        printf("init: net: %s\n", memcmp(text, back, sizeof(text)) ? "came back otherwise" : "came back");
    if (fd >= 0)
        (void)close(fd);
}

/* One process: arithmetic with integers and doubles, whose result is known, and a switch to the others now and then. */
static int compute(void)
{
    uint32_t x = 1;
    double sum = 0;
    for (int i = 1; i <= 20000; i++) {
        x = x * 1664525 + 1013904223;
        sum += 1.0 / i - 1.0 / (i + 1);
        if (i % 100 == 0)
            (void)sched_yield();
    }
    return x == 1453904673u && sum > 0.99994 && sum < 0.99996 ? 0 : 1;
}

static void use_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN), good = 0;
    for (long i = 0; i < n; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("work");
        if (child == 0)
            _exit(compute());
    }
    for (int status = 0; wait(&status) > 0;)
        good += status == 0;
    printf("init: work: %ld of %ld\n", good, n);
}

static void tick(unsigned count)
{
    const struct timespec pause = {.tv_nsec = TICK_NS};
    for (unsigned i = 1; count == 0 || i <= count; i++) {
        printf("init: tick %u\n", i);
        (void)nanosleep(&pause, NULL);
    }
}

static void restart_once(void)
{
    char word[sizeof(restarted)] = "";
    int fd = open("/dev/vda", O_RDWR | O_CLOEXEC | O_DSYNC);
    if (fd < 0 || pread(fd, word, sizeof(word), 0) != sizeof(word))
        fail("reboot");
    if (!memcmp(word, restarted, sizeof(word))) {
        printf("init: reboot: this is the second start\n");
        return;
    }
    if (pwrite(fd, restarted, sizeof(restarted), 0) != sizeof(restarted))
        fail("reboot");
    printf("init: reboot: restarting\n");
    (void)reboot(RB_AUTOBOOT);
}

static void act(const char *what)
{
    if (!strcmp(what, "uname"))
        say_uname();
    else if (!strcmp(what, "blk"))
        use_disk();
    else if (!strcmp(what, "rng"))
        use_rng();
    else if (!strcmp(what, "net"))
        use_network();
    else if (!strcmp(what, "work"))
        use_processors();
    else if (!strcmp(what, "tick"))
        tick(0);
    else if (!strcmp(what, "ticks"))
        tick(10);
    else if (!strcmp(what, "reboot"))
        restart_once();
    else if (!strcmp(what, "exit") && !ioperm(EXIT_PORT, 1, 1))
        outb(EXIT_VALUE, EXIT_PORT);
    else
        printf("init: %s: no such thing\n", what);
}

int main(int argc, char *argv[])
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL) ||
        mount("dev", "/dev", "devtmpfs", 0, NULL))
        fail("mount");
    load_modules();
    for (int i = 1; i < argc; i++)
        act(argv[i]);
    printf("init: done\n");
    (void)reboot(RB_POWER_OFF);
    return 1;
}
