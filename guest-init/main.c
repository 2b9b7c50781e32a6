/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a guest: makes the machine usable, runs one command for the monitor or serves a pod as its
 * agent, switches the machine off.
 * Only here does anything touch the machine as a whole; what is done in which order is in main().
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "common/relro.h"
#include "guest-init/agent/serve.h"
#include "guest-init/agent/trust_quote.h"
#include "guest-init/events.h"
#include "guest-init/modules.h"
#include "guest-init/mounts.h"
#include "guest-init/net.h"

static void kill_all(void *context, int signal)
{
    (void)context;
    /* ESRCH: there is nobody else. */
    (void)kill(-1, signal);
}

static uint64_t now_ms(void *context)
{
    struct timespec t = {0};
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const struct guest_ops ops = {.kill_all = kill_all, .now_ms = now_ms};

/*
 * Standard input, output and error on the console. The kernel has done that if the initramfs has a /dev/console; after
 * devtmpfs is mounted it is there in any case, or else it is made.
 */
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0 && mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1)) == 0) {
        fd = open("/dev/console", O_RDWR | O_NOCTTY);
    }
    for (int i = 0; i < 3 && fd >= 0; i++) {
        (void)dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
}

/* Numbers 0 to 2 must never be given to something else. */
static void fill_standard_numbers(void)
{
    int fd;
    do {
        fd = open("/", O_RDONLY | O_DIRECTORY);
    } while (fd >= 0 && fd < 2);
    if (fd > 2) {
        close(fd);
    }
}

static int open_channel(struct guest *g)
{
    const char *path = getenv("caisson_session");
    path = path != NULL ? path : GUEST_SESSION_DEVICE;
    int result = guest_open_channel(g, path);
    if (result < 0) {
        report_warning(&g->report, "cannot open %s, the channel to the monitor: %s; without it there is nothing to do",
                       path, strerror(-result));
    }
    return result;
}

static void prepare(struct guest *g)
{
    (void)mounts_make("", &g->report);
    guest_flush(g);
    unsigned loaded = modules_load(MODULES_FOLDER, modules_finit, NULL, &g->report);
    if (loaded > 0) {
        report_step(&g->report, "loaded %u kernel modules", loaded);
    }
    (void)net_loopback_up(&g->report);
    guest_flush(g);
}

static void serve(struct guest *g)
{
    int result = guest_take_signals(g);
    session_ready(&g->session);
    while (result == 0 && g->state != GUEST_OFF) {
        result = guest_step(g, -1);
    }
    if (result < 0) {
        report_warning(&g->report, "cannot wait for events: %s; stopping", strerror(-result));
    }
    if (g->channel >= 0) {
        /* What the serial port still holds would be lost with the power. */
        (void)tcdrain(g->channel);
    }
}

static _Noreturn void power_off(struct report *r)
{
    sync();
    if (reboot(RB_POWER_OFF) != 0) {
        report_warning(r, "cannot switch the machine off: %s; waiting for the monitor to do it", strerror(errno));
    }
    for (;;) {
        pause();
    }
}

static void run_session(struct report *r)
{
    struct guest *g = malloc(sizeof *g);
    if (g == NULL) {
        report_warning(r, "no memory for guest-init itself; give the guest more");
        return;
    }
    guest_init(g, &ops, 2);
    if (open_channel(g) == 0) {
        prepare(g);
        serve(g);
    }
}

int main(int argc, char **argv)
{
    const char *port = getenv(AGENT_WORD);
    if (CONFIG_AGENT && CONFIG_MEASURE && trust_quote_is_meant(argv[0]))
        return trust_quote_main(argc, argv, stdout, stderr);
    if (getpid() != 1) {
        fprintf(stderr, "guest-init: this is the first process of a caisson guest; run by hand it does nothing\n");
        return 2;
    }
    struct report early = {.fd = 2};
    int sealed = relro_seal();
    int rooted = CONFIG_AGENT && port != NULL ? agent_prepare_root() : 0;
    int mounted = mounts_make_dev("");
    open_console();
    fill_standard_numbers();
    if (sealed < 0) {
        report_warning(&early, "cannot make its tables read-only: %s; going on without", strerror(-sealed));
    }
    if (rooted < 0) {
        report_warning(&early, "cannot make a root that can be exchanged: %s; containers cover the guest's instead",
                       strerror(-rooted));
    }
    if (mounted < 0) {
        report_warning(&early, "cannot mount /dev: %s; going on with what is there", strerror(-mounted));
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del is then a SIGINT for us */
    if (CONFIG_AGENT && port != NULL)
        agent_serve(port, &early);
    else
        run_session(&early);
    power_off(&early);
}
