/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROC_FD "/proc/self/fd"

/* STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID: the header that has them disagrees with some C libraries'. */
#define STATX_WANTED (FS_STATX_BASIC | 0x800u | 0x1000u)

/* ---- Objects ---- */

static int open_name(int dir, const char *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    const struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW, .mode = mode, .resolve = resolve};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

/* What a descriptor stands for, by its link in /proc/self/fd, which is to be followed. No such link: no descriptor. */
static int open_again(const struct fs_host *h, int fd, int flags)
{
    const struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC};
    long again = syscall(SYS_openat2, h->proc, fs_host_fd_name(fd).text, &how, sizeof(how));
    return again >= 0 ? (int)again : errno == ENOENT ? -EBADF : -errno;
}

int fs_host_stat(int fd, struct fs_statx *out)
{
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_WANTED, out) < 0)
        return -errno;
    return 0;
}

/* A file handle with room for its bytes. */
union key {
    struct file_handle handle;
    uint8_t bytes[sizeof(struct file_handle) + FS_KEY_BYTES];
};

static void read_key(int fd, struct fs_ident *ident)
{
    union key key = {.handle = {.handle_bytes = FS_KEY_BYTES}};
    int mount;
    if (name_to_handle_at(fd, "", &key.handle, &mount, AT_EMPTY_PATH) < 0 || key.handle.handle_bytes > FS_KEY_BYTES)
        return;
    ident->key_bytes = (uint8_t)key.handle.handle_bytes;
    ident->key_type = key.handle.handle_type;
    memcpy(ident->key, key.bytes + sizeof(struct file_handle), ident->key_bytes);
}

/* Takes the descriptor over, or closes it. */
static int describe(int fd, struct fs_object *out)
{
    *out = (struct fs_object){.fd = fd};
    int code = fs_host_stat(fd, &out->st);
    if (code < 0) {
        close(fd);
        return code;
    }
    const struct fs_statx *st = &out->st;
    out->ident = (struct fs_ident){
        .device = fs_device_of(st), .ino = st->ino, .mount = st->mount, .btime = st->btime, .type = st->mode & S_IFMT};
    read_key(fd, &out->ident);
    return 0;
}

int fs_object_at(const struct fs_host *h, int dir, const char *name, struct fs_object *out)
{
    int fd = open_name(dir, name, O_PATH, 0, h->resolve);
    return fd < 0 ? fd : describe(fd, out);
}

int fs_object_of(const struct fs_host *h, int fd, struct fs_object *out)
{
    int again = open_again(h, fd, O_PATH);
    return again < 0 ? again : describe(again, out);
}

int fs_object_by_key(const struct fs_base *b, const struct fs_ident *ident, struct fs_object *out)
{
    union key key = {.handle = {.handle_bytes = ident->key_bytes, .handle_type = ident->key_type}};
    /* The key says nothing about mounts: behind another one there may be other rights. */
    if (!b->by_key || ident->key_bytes == 0 || ident->mount != b->mount_id)
        return -ESTALE;
    memcpy(key.bytes + sizeof(struct file_handle), ident->key, ident->key_bytes);
    int fd = open_by_handle_at(b->mount, &key.handle, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? -errno : -ESTALE;
    int code = describe(fd, out);
    if (code < 0 || fs_ident_same(ident, &out->ident))
        return code;
    close(fd);
    return -ESTALE;
}

bool fs_ident_same(const struct fs_ident *a, const struct fs_ident *b)
{
    if (a->device != b->device || a->ino != b->ino || a->mount != b->mount || a->type != b->type)
        return false;
    if (a->btime.seconds != b->btime.seconds || a->btime.nanoseconds != b->btime.nanoseconds)
        return false;
    return a->key_bytes == b->key_bytes && a->key_type == b->key_type && memcmp(a->key, b->key, a->key_bytes) == 0;
}

struct fs_fd_name fs_host_fd_name(int fd)
{
    struct fs_fd_name name;
    (void)snprintf(name.text, sizeof(name.text), "%d", fd);
    return name;
}

int fs_host_reopen(const struct fs_host *h, int fd, int flags)
{
    /* Not to wait for whoever holds a lease. */
    return open_again(h, fd, flags | O_NOCTTY | O_NONBLOCK);
}

int fs_host_create(const struct fs_host *h, int dir, const char *name, int flags, uint32_t mode)
{
    return open_name(dir, name, (uint64_t)(unsigned)flags | O_NOCTTY | O_NONBLOCK, mode & 07777, h->resolve);
}

/* ---- Life ---- */

static int open_proc(struct fs_host *h)
{
    struct statfs st;
    h->proc = open(PROC_FD, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->proc < 0 || fstatfs(h->proc, &st) < 0)
        return -errno;
    return (uint64_t)st.f_type == PROC_SUPER_MAGIC ? 0 : -ENOTTY;
}

int fs_host_init(struct fs_host *h, const struct fs_host_config *config, struct err *err)
{
    static const struct err_context proc = {
        .attempted = "open", .on_what = PROC_FD, .what_to_do = "mount a procfs at /proc before a folder is shared"};
    static const struct err_context user = {.attempted = "share a folder with the owners that the guest asks for",
                                            .what_to_do =
                                                "start the monitor as root, or share the folder as this user"};
    *h = (struct fs_host){.proc = -1, .as_root = config->as_root};
    h->resolve =
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | (config->one_device ? RESOLVE_NO_XDEV : 0);
    bool allowed = !config->as_root || geteuid() == 0;
    int code = allowed ? open_proc(h) : -EPERM;
    if (code == 0)
        return 0;
    fs_host_fini(h);
    return err_fail(err, code, allowed ? &proc : &user);
}

static void shut(int fd)
{
    if (fd >= 0)
        close(fd);
}

void fs_host_fini(struct fs_host *h)
{
    if (h->resolve == 0)
        return;
    shut(h->proc);
    *h = (struct fs_host){.proc = 0};
}

/* ---- Bases ---- */

/* Whether keys lead back: that takes a right (CAP_DAC_READ_SEARCH) and a file system that can. */
static bool try_keys(struct fs_base *b, const struct fs_ident *ident)
{
    struct fs_object again;
    b->by_key = true;
    if (fs_object_by_key(b, ident, &again) < 0)
        return false;
    close(again.fd);
    return true;
}

static int open_folder(const struct fs_host *h, bool whole, const struct fs_ident *ident, struct fs_base *b)
{
    b->mount = open_name(b->fd, ".", O_RDONLY | O_DIRECTORY, 0, h->resolve);
    if (b->mount < 0 && whole)
        return b->mount;
    b->by_key = b->mount >= 0 && try_keys(b, ident);
    return 0;
}

static int open_base(const struct fs_host *h, bool whole, const struct fs_ident *ident, struct fs_base *b)
{
    if (ident->type == S_IFDIR)
        return open_folder(h, whole, ident, b);
    if (whole)
        return -ENOTDIR;
    return ident->type == S_IFREG ? 0 : -EINVAL;
}

int fs_base_open(const struct fs_host *h, int fd, bool whole, struct fs_base *out)
{
    struct fs_object object;
    *out = (struct fs_base){.fd = -1, .mount = -1};
    int code = fs_object_of(h, fd, &object);
    if (code < 0)
        return code;
    *out = (struct fs_base){.fd = object.fd, .mount = -1, .mount_id = object.ident.mount};
    code = open_base(h, whole, &object.ident, out);
    if (code < 0)
        fs_base_close(out);
    return code;
}

void fs_base_close(struct fs_base *b)
{
    shut(b->fd);
    shut(b->mount);
    *b = (struct fs_base){.fd = -1, .mount = -1};
}

/* ---- Rights: of the thread, so by system calls and not by the C library, which changes those of all threads ---- */

static bool get_caps(struct fs_caps *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, caps->data) == 0;
}

static bool set_caps(const struct fs_caps *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, caps->data) == 0;
}

static bool set_user(uint32_t uid)
{
    return syscall(SYS_setresuid, -1, uid, -1) == 0;
}

static bool set_group(uint32_t gid)
{
    return syscall(SYS_setresgid, -1, gid, -1) == 0;
}

void fs_host_begin_thread(struct fs_host *h)
{
    int shared = FS_UMASK_SHARED;
    if (unshare(CLONE_FS) == 0)
        (void)atomic_compare_exchange_strong(&h->umask, &shared, FS_UMASK_OWN);
    else
        atomic_store(&h->umask, FS_UMASK_REFUSED);
}

/* What was in force before must come back, or the thread would go on with somebody else's rights. */
static void must(bool good)
{
    if (!good)
        abort();
}

static void become_self(const struct fs_actor *actor)
{
    if (actor->user)
        must(set_user(0) && set_caps(&actor->caps));
    if (actor->group)
        must(set_group(0));
}

static int become(const struct fs_host *h, uint32_t uid, uint32_t gid, bool override, struct fs_actor *actor)
{
    *actor = (struct fs_actor){.masked = false};
    if (!h->as_root)
        return 0;
    if (uid == UINT32_MAX || gid == UINT32_MAX)
        return -EINVAL;
    if (!get_caps(&actor->caps))
        return -errno;
    /* The group first: afterwards there is no right to. */
    if (gid != 0 && !(actor->group = set_group(gid)))
        return -errno;
    if (uid != 0 && !(actor->user = set_user(uid))) {
        int code = -errno;
        become_self(actor);
        return code;
    }
    /* The kernel took all rights to files away with the user. */
    struct fs_caps caps = actor->caps;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        caps.data[i].effective = 0;
    caps.data[0].effective = 1u << CAP_DAC_OVERRIDE & caps.data[0].permitted;
    if (actor->user && override)
        (void)set_caps(&caps);
    return 0;
}

int fs_act_as(const struct fs_host *h, uint32_t uid, uint32_t gid, uint32_t umask_bits, struct fs_actor *actor)
{
    int code = become(h, uid, gid, true, actor);
    if (code < 0)
        return code;
    actor->masked = atomic_load(&h->umask) == FS_UMASK_OWN;
    if (actor->masked)
        actor->umask = umask(umask_bits & 0777);
    return 0;
}

int fs_act_to_ask(const struct fs_host *h, uint32_t uid, uint32_t gid, struct fs_actor *actor)
{
    return become(h, uid, gid, false, actor);
}

uint32_t fs_act_mode(const struct fs_actor *actor, uint32_t mode, uint32_t umask_bits)
{
    return actor->masked ? mode : mode & ~(umask_bits & 0777);
}

void fs_act_back(const struct fs_actor *actor)
{
    if (actor->masked)
        (void)umask(actor->umask);
    become_self(actor);
}

bool fs_caps_drop_fsetid(struct fs_caps *saved)
{
    if (!get_caps(saved) || (saved->data[0].effective >> CAP_FSETID & 1) == 0)
        return false;
    struct fs_caps caps = *saved;
    caps.data[0].effective &= ~(1u << CAP_FSETID);
    return set_caps(&caps);
}

void fs_caps_restore(const struct fs_caps *saved)
{
    must(set_caps(saved));
}
