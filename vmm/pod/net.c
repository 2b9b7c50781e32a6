/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pb_decode.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/thread.h"
#include "vmm/pod/net_internal.h"

/* ---- The namespace ---- */

static int refuse(const char *path, int code, const char *why, const char *what_to_do, struct err *err)
{
    const struct err_context context = {
        .attempted = "use the network namespace", .on_what = path, .what_to_do = what_to_do};
    return why != NULL ? err_fail_because(err, code, &context, "%s", why) : err_fail(err, code, &context);
}

static bool is_network(int fd)
{
    /* C libraries disagree about the type of ioctl's request. */
    return syscall(SYS_ioctl, fd, (unsigned long)NS_GET_NSTYPE, NULL) == CLONE_NEWNET;
}

/* Redirecting our own interfaces would cut the host off. */
static bool is_own(int fd)
{
    struct stat own, other;
    return stat("/proc/self/ns/net", &own) < 0 || fstat(fd, &other) < 0 ||
           (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

/* Look before opening: to open a device or a pipe that a bundle names could already do something, or never return. */
static int open_checked(const char *path, int looked, int *fd, struct err *err)
{
    static const char what_to_do[] = "name a file of /run/netns, or /proc/PID/ns/net of a process that runs";
    char again[32];
    struct statfs fs;
    if (fstatfs(looked, &fs) < 0)
        return refuse(path, -errno, NULL, what_to_do, err);
    /* `ip netns` mounts the namespace over an empty file, which is all that is there after a restart. */
    if (fs.f_type != NSFS_MAGIC)
        return refuse(path, -ENOENT, "it is no namespace (any more)", what_to_do, err);
    (void)snprintf(again, sizeof(again), "/proc/self/fd/%d", looked);
    *fd = open(again, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return refuse(path, -errno, NULL, what_to_do, err);
    int code = 0;
    if (!is_network(*fd))
        code = refuse(path, -EINVAL, "it is another kind of namespace", what_to_do, err);
    else if (is_own(*fd))
        code = refuse(path, -EINVAL, "it is this process's own one, and taking its interfaces over would cut it off",
                      "give the pod a network namespace of its own", err);
    if (code < 0)
        close(*fd);
    return code;
}

static int open_namespace(const char *path, int *fd, struct err *err)
{
    int looked = open(path, O_PATH | O_CLOEXEC);
    if (looked < 0 && (errno == ENOENT || errno == ESRCH || errno == ENOTDIR))
        return refuse(path, -ENOENT, "there is none (any more)",
                      "make it before the pod, and keep it until the pod is deleted", err);
    if (looked < 0)
        return refuse(path, -errno, NULL, "run as root", err);
    int code = open_checked(path, looked, fd, err);
    close(looked);
    return code;
}

/* ---- A thread inside ---- */

struct visit {
    int namespace_fd;
    const char *path;
    int (*work)(struct visit *v);
    struct pod_net *out; /* attach only */
    struct err err;
    int code;
};

static void *visit_main(void *arg)
{
    struct visit *v = arg;
    if (setns(v->namespace_fd, CLONE_NEWNET) < 0)
        v->code = refuse(v->path, -errno, NULL, "run as root (CAP_SYS_ADMIN over the namespace)", &v->err);
    else
        v->code = v->work(v);
    return NULL;
}

/* Signals stay with the threads that expect them. */
static int start_and_join(struct visit *v)
{
    struct thread thread;
    int code = thread_start(&thread, 0, visit_main, v);
    if (code < 0)
        return refuse(v->path, code, NULL, "let this user have more threads", &v->err);
    thread_join(&thread);
    return v->code;
}

static int visit(struct visit *v, struct err *err)
{
    int code = open_namespace(v->path, &v->namespace_fd, err);
    if (code < 0)
        return code;
    code = start_and_join(v);
    close(v->namespace_fd);
    if (code < 0 && err != NULL)
        *err = v->err;
    return code;
}

/* ---- Attach ---- */

static int in_use(const struct visit *v, const struct rtnl_link *links, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (pod_net_is_tap(&links[i]))
            return refuse(v->path, -EBUSY, "a pod that runs has its interfaces", "end that pod, or take another one",
                          err);
    return 0;
}

/* What a pod left that died is taken away; what others made stops us. */
static int clear_way(struct netlink *nl, const struct rtnl_link *link, struct err *err)
{
    const struct err_context context = {.attempted = "redirect packets of",
                                        .on_what = link->name,
                                        .what_to_do =
                                            "look at: tc filter show dev NAME ingress; let the network plugin "
                                            "work without"};
    int wiring = pod_net_look(nl, link, err);
    switch (wiring) {
    case POD_NET_FREE: return 0;
    case POD_NET_OURS: return pod_net_unwire(nl, link, err);
    case POD_NET_FOREIGN: return err_fail_because(err, -EBUSY, &context, "somebody else's ingress filters are on it");
    default: return wiring;
    }
}

static int wire_all(struct netlink *nl, const struct pod_net_space *space, struct pod_net *out, struct err *err)
{
    int code = 0;
    unsigned done = 0;
    for (unsigned i = 0; code == 0 && i < space->chosen_count; i++)
        code = clear_way(nl, space->chosen[i], err);
    while (code == 0 && done < space->chosen_count) {
        code = pod_net_wire(nl, space->chosen[done], done, &out->link[done], err);
        done += code == 0;
    }
    while (code < 0 && done > 0)
        (void)pod_net_unwire(nl, space->chosen[--done], NULL);
    return code;
}

static int attach_all(struct visit *v, struct netlink *nl, struct pod_net_space *space)
{
    struct text notes;
    text_init(&notes, v->out->notes, sizeof(v->out->notes));
    int code = pod_net_space_read(nl, space, &v->err);
    if (code == 0)
        code = in_use(v, space->links, space->link_count, &v->err);
    if (code == 0)
        code = pod_net_choose(space, &notes, &v->err);
    if (code == 0)
        code = pod_net_describe(space, v->out, &notes, &v->err);
    return code == 0 ? wire_all(nl, space, v->out, &v->err) : code;
}

static int attach(struct visit *v)
{
    struct netlink nl;
    struct pod_net_space space = {.links = NULL};
    int code = netlink_open(&nl, &v->err);
    if (code < 0)
        return code;
    code = attach_all(v, &nl, &space);
    pod_net_space_release(&space);
    netlink_close(&nl);
    return code;
}

int pod_net_attach(const char *netns_path, struct pod_net *out, struct err *err)
{
    struct visit v = {.path = netns_path, .work = attach, .out = out};
    *out = (struct pod_net){.count = 0};
    int code = visit(&v, err);
    if (code < 0)
        pod_net_release(out);
    return code;
}

/* ---- Detach ---- */

static int detach_all(struct visit *v, struct netlink *nl, const struct rtnl_link *links, size_t count)
{
    int code = in_use(v, links, count, &v->err);
    for (size_t i = 0; code == 0 && i < count; i++) {
        int wiring = pod_net_look(nl, &links[i], &v->err);
        code = wiring == POD_NET_OURS ? pod_net_unwire(nl, &links[i], &v->err) : wiring < 0 ? wiring : 0;
    }
    return code;
}

static int detach(struct visit *v)
{
    struct netlink nl;
    struct rtnl_link *links = NULL;
    size_t count = 0;
    int code = netlink_open(&nl, &v->err);
    if (code < 0)
        return code;
    code = rtnl_list_links(&nl, &links, &count, &v->err);
    if (code == 0)
        code = detach_all(v, &nl, links, count);
    free(links);
    netlink_close(&nl);
    return code;
}

int pod_net_detach(const char *netns_path, struct err *err)
{
    struct visit v = {.path = netns_path, .work = detach};
    int code = visit(&v, err);
    return code == -ENOENT ? 0 : code;
}

void pod_net_release(struct pod_net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        if (net->link[i].tap_fd >= 0)
            close(net->link[i].tap_fd);
        pb_release(grpc_UpdateInterfaceRequest_fields, &net->interfaces[i]);
    }
    pb_release(grpc_Routes_fields, &net->routes);
    pb_release(grpc_ARPNeighbors_fields, &net->neighbours);
    *net = (struct pod_net){.count = 0};
}
