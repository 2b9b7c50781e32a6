/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-init/agent/agent.h"
#include "guest-init/agent/policy.h"
#include "guest-init/cgroups.h"
#include "guest-init/container/rootfs.h"
#include "guest-init/modules.h"
#include "guest-init/mounts.h"
#include "guest-init/net.h"

#define PORT_MAX 65534u /* the log is on the next one */

/* What the command line says of trust; lives as long as the agent. */
struct trust {
    const char *word; /* NULL: nothing */
    struct trust_port port;
    struct trust_channel_ops host;
};

/* 1 to PORT_MAX; 0 otherwise. */
static unsigned port_of(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return end != text && *end == '\0' && port <= PORT_MAX ? (unsigned)port : 0;
}

static unsigned parse_port(const char *text, struct report *r)
{
    unsigned port = port_of(text);
    if (port > 0)
        return port;
    report_warning(r, "%s=%s on the command line is no port; using %u", AGENT_WORD, text, AGENT_PORT);
    return AGENT_PORT;
}

/* Streams of containers take many descriptors. Those without limits of their own inherit these. */
static void raise_descriptors(struct report *r)
{
    struct rlimit l = {.rlim_cur = 65536, .rlim_max = 65536};
    if (setrlimit(RLIMIT_NOFILE, &l) != 0)
        report_warning(r, "cannot have more descriptors: %s; going on with fewer", strerror(errno));
}

/* Passable: root of a container's user namespace is nobody here, and has to find its image and its mounts. */
static void make_folders(struct report *r)
{
    static const char *const folders[] = {"/run/caisson", CONTAINER_FOLDER, CONTAINER_SHARED, "/run/caisson/storage"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(folders[i], 0711) != 0 && errno != EEXIST)
            report_warning(r, "cannot make %s: %s; containers cannot be made", folders[i], strerror(errno));
}

static void make_cgroups(struct report *r)
{
    char names[256];
    struct text t;
    text_init(&t, names, sizeof(names));
    if (cgroups_make("/sys/fs/cgroup", "caisson", &t, r) == 0)
        report_step(r, "control groups: %s", t.length > 0 ? names : "no controllers");
}

/*
 * Nothing here protects this process from being killed for want of memory: the kernel never kills a process 1, and a
 * lower oom_score_adj would be inherited by every container.
 */
static void prepare(struct report *r)
{
    if (mounts_make("", r) == 0)
        report_step(r, "file systems mounted");
    unsigned loaded = modules_load(MODULES_FOLDER, modules_finit, NULL, r);
    if (loaded > 0)
        report_step(r, "loaded %u kernel modules", loaded);
    raise_descriptors(r);
    make_cgroups(r);
    make_folders(r);
    if (net_loopback_up(r) == 0)
        report_step(r, "loopback interface is up");
}

/* A listening socket, or -errno. */
static int listen_on(unsigned port)
{
    const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, SERVER_CONNECTIONS_MAX) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

static int open_ports(struct agent *a, unsigned port)
{
    int log = listen_on(port + 1);
    int result = log < 0 ? log : journal_listen(&a->journal, log);
    if (result < 0)
        return result;
    int calls = listen_on(port);
    return calls < 0 ? calls : server_listen(&a->server, calls);
}

static void run(struct agent *a, struct report *r)
{
    int result = 0;
    while (a->stage != AGENT_OFF && result == 0)
        result = agent_step(a, -1);
    if (result < 0)
        report_warning(r, "cannot wait for events: %s; stopping", strerror(-result));
    report_step(r, "agent has ended, switching off");
}

/* Serve with an agent that is ready but for its ports and signals. */
static void serve(struct agent *a, unsigned port, struct report *r)
{
    int result = agent_take_signals(a);
    if (result < 0) {
        report_warning(r, "cannot take signals: %s; stopping", strerror(-result));
        return;
    }
    result = open_ports(a, port);
    if (result < 0) {
        report_warning(r, "cannot listen on vsock port %u: %s; the kernel needs VSOCKETS and VIRTIO_VSOCKETS", port,
                       strerror(-result));
        return;
    }
    report_step(r, "agent listens on port %u", port);
    agent_say(a, "info listening on port %u", port);
    run(a, r);
}

/* ---- Trust ---- */

static bool be_measured(struct agent *a, struct trust *t, struct report *r)
{
    t->port.number = port_of(t->word);
    if (t->port.number == 0) {
        report_warning(r, "%s=%s on the command line is no port; not starting", TRUST_WORD, t->word);
        return false;
    }
    trust_port_ops(&t->port, &t->host);
    agent_trust_begin(a, &t->host);
    report_step(r, "the host measures what is started here");
    agent_trust_offer(a, &trust_folder);
    return true;
}

/* Whoever put a policy there, or the word, relies on it: not understanding either is no reason to go on. */
static bool be_trusted(struct agent *a, struct trust *t, struct report *r)
{
    struct err err;
    err_clear(&err);
    if (CONFIG_LAUNCH_POLICY && agent_policy_load(a, AGENT_POLICY_FILE, &err) < 0) {
        report_warning(r, "%s; not starting", err.text);
        return false;
    }
    if (CONFIG_LAUNCH_POLICY && a->trust.policy != NULL)
        report_step(r, "launch policy '%s' is in force", policy_name(a->trust.policy));
    if (!CONFIG_LAUNCH_POLICY && access(AGENT_POLICY_FILE, F_OK) == 0) {
        report_warning(r, "there is a launch policy, and this program was built without them; not starting");
        return false;
    }
    if (!CONFIG_MEASURE && t->word != NULL)
        report_warning(r, "%s is on the command line, and this program was built without it; not starting", TRUST_WORD);
    return t->word == NULL || (CONFIG_MEASURE && be_measured(a, t, r));
}

int agent_prepare_root(void)
{
    if (mkdir("/run", 0755) != 0 && errno != EEXIST)
        return -errno;
    return rootfs_prepare_machine("/run");
}

void agent_serve(const char *text, struct report *r)
{
    r->step_word = "step: ";
    unsigned port = parse_port(text, r);
    prepare(r);
    struct trust t = {.word = getenv(TRUST_WORD)};
    struct agent *a = malloc(sizeof(*a));
    int result = a != NULL ? agent_init(a, &agent_ops_guest, r) : -ENOMEM;
    if (result < 0) {
        report_warning(r, "cannot make the agent: %s; give the guest more memory", strerror(-result));
        free(a);
        return;
    }
    if (be_trusted(a, &t, r))
        serve(a, port, r);
    agent_fini(a);
    free(a);
}
