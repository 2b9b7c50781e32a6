/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* More than are open when a machine starts: connections of a guest, clients of a pod, and some to spare. */
#define DESCRIPTORS_MORE 1280u

static const char *const net_folders[IO_NETS_MAX] = {"net0", "net1", "net2", "net3"};

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void keep_folder(struct jail_config *cfg, const char *path, const char *name, char inside[CONFINE_PATH])
{
    cfg->folders[cfg->folder_count++] = (struct jail_folder){.path = path, .name = name};
    (void)snprintf(inside, CONFINE_PATH, "/%s/%s", name, name_of(path));
}

/* Sockets that are connected to while the machine runs, by path. */
static void keep_folders(struct confine *c, const struct io_config *io, struct jail_config *cfg)
{
    if (io->vsock.path != NULL)
        keep_folder(cfg, io->vsock.path, CONFINE_VSOCK, c->vsock);
    for (unsigned i = 0; i < io->net_count; i++)
        if (io->nets[i].kind == IO_NET_STREAM)
            keep_folder(cfg, io->nets[i].name, net_folders[i], c->nets[i]);
}

static void show_paths(const struct confine *c, struct io_config *io)
{
    if (!jail_has_root(&c->jail))
        return;
    if (io->vsock.path != NULL)
        io->vsock.inside = c->vsock;
    for (unsigned i = 0; i < io->net_count; i++)
        if (io->nets[i].kind == IO_NET_STREAM)
            io->nets[i].inside = c->nets[i];
}

static bool has_exports(const struct io_config *io)
{
    for (unsigned i = 0; i < io->share_count; i++)
        if (io->shares[i].exports)
            return true;
    return false;
}

/* Where the socket is, which has to go at the end. */
static int open_folder(const char *path, struct err *err)
{
    const struct err_context context = {
        .attempted = "open the folder of", .on_what = path, .what_to_do = "name a socket in a folder that there is"};
    char folder[4096];
    int n = snprintf(folder, sizeof(folder), "%.*s", (int)(name_of(path) - path), path);
    if (n < 0 || (size_t)n >= sizeof(folder))
        return err_fail(err, -ENAMETOOLONG, &context);
    int fd = open(n > 0 ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_fail(err, -errno, &context) : fd;
}

static int find_folder(const struct confine_machine *m, struct err *err)
{
    return m->folder >= 0 || m->io->vsock.path == NULL ? m->folder : open_folder(m->io->vsock.path, err);
}

int confine_prepare(struct confine *c, const struct confine_options *options, const struct confine_machine *machine,
                    struct err *err)
{
    *c = (struct confine){.jail = {.on = false}};
    if (!CONFIG_JAIL || options->off)
        return 0;
    struct io_config *io = machine->io;
    struct jail_config cfg = {.require = options->require,
                              .serves_as_root = io->share_count > 0 && geteuid() == 0 && !options->drops_ids,
                              .exports = has_exports(io),
                              .main_folder = find_folder(machine, err),
                              .drops_ids = options->drops_ids,
                              .uid = options->uid,
                              .gid = options->gid,
                              .descriptors = io->share_count == 0 ? DESCRIPTORS_MORE : 0,
                              .pid_step = machine->pid_step,
                              .tell = machine->tell,
                              .ctx = machine->ctx};
    if (cfg.main_folder < -1)
        return cfg.main_folder;
    keep_folders(c, io, &cfg);
    io->as_user = options->drops_ids && options->uid != 0;
    int code = jail_prepare(&c->jail, &cfg, err);
    if (cfg.main_folder >= 0 && cfg.main_folder != machine->folder)
        close(cfg.main_folder);
    if (code == 0)
        show_paths(c, io);
    return code;
}

/* The main thread is the last, when nobody else is in here any more. */
static int confine_thread(void *ctx, enum seccomp_role role, struct err *err)
{
    struct confine *c = ctx;
    int code = CONFIG_JAIL ? jail_confine(&c->jail, role, err) : 0;
    if (CONFIG_JAIL && (role == SECCOMP_CONTROL || role == SECCOMP_POD))
        jail_settle(&c->jail);
    return code;
}

void confine_threads(struct confine *c, struct seccomp_lock *lock)
{
    if (CONFIG_JAIL && CONFIG_SECCOMP && c->jail.on)
        seccomp_lock_also(lock, confine_thread, c);
}

int confine_enter(struct confine *c, struct err *err)
{
    return CONFIG_JAIL ? jail_enter(&c->jail, err) : 0;
}

void confine_fini(struct confine *c)
{
    if (CONFIG_JAIL)
        jail_fini(&c->jail);
}

const char *confine_path(const struct confine *c, const char *inside, const char *path)
{
    return CONFIG_JAIL && jail_has_root(&c->jail) ? inside : path;
}
