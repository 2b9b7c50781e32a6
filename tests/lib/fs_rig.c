/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fs_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_FLAGS 0x7fffffffu
#define NO_ANSWER (-1000)

static void require(bool good)
{
    if (!good)
        abort();
}

/* ---- Life ---- */

int fs_rig_set_up(void **state)
{
    struct fs_rig *r = calloc(1, sizeof(*r));
    *state = r;
    require(r != NULL);
    vdrv_init(&r->d);
    (void)snprintf(r->base, sizeof(r->base), "%s/caisson-fs-XXXXXX", "/tmp");
    require(mkdtemp(r->base) != NULL && chmod(r->base, 0755) == 0);
    r->outside = open(r->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(r->outside >= 0 && mkdirat(r->outside, "tree", 0755) == 0);
    r->tree = openat(r->outside, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(r->tree >= 0);
    r->uid = geteuid();
    r->gid = getegid();
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void fs_rig_forbid_keys(struct fs_rig *r)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    require(syscall(SYS_capget, &head, r->caps) == 0);
    struct __user_cap_data_struct less[2] = {r->caps[0], r->caps[1]};
    less[0].effective &= ~(1u << CAP_DAC_READ_SEARCH);
    require(syscall(SYS_capset, &head, less) == 0);
    r->caps_changed = true;
}

int fs_rig_tear_down(void **state)
{
    struct fs_rig *r = *state;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    if (r->caps_changed)
        require(syscall(SYS_capset, &head, r->caps) == 0);
    fs_free(r->fs);
    vdrv_fini(&r->d);
    close(r->tree);
    close(r->outside);
    (void)nftw(r->base, remove_one, 64, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

void fs_rig_start_silent(struct fs_rig *r, const struct fs_config *config)
{
    struct fs_config c = config != NULL ? *config : (struct fs_config){.cache = FS_CACHE_AUTO};
    c.memory = &r->d.memory;
    for (unsigned i = 0; i <= FS_REQUEST_QUEUES_MAX; i++)
        c.loops[i] = &r->d.loop;
    c.queues = c.queues != 0 ? c.queues : 1;
    c.tag = c.tag != NULL ? c.tag : "shared";
    c.root_fd = c.exports ? -1 : r->tree;
    require(fs_new(&c, &r->fs, NULL) == 0);
    r->d.loop.begin(r->d.loop.begin_ctx); /* it is this thread that serves */
    vdrv_attach(&r->d, fs_virtio(r->fs));
    require(vdrv_start(&r->d, 0));
}

int fs_rig_init(struct fs_rig *r, uint32_t minor, uint32_t flags)
{
    const struct fuse_init_in in = {.major = 7, .minor = minor, .max_readahead = 131072, .flags = flags};
    struct fuse_init_out out;
    int code = fs_call(r, FUSE_INIT, 0, &in, sizeof(in), sizeof(out));
    if (code < 0)
        return code;
    memcpy(&out, r->out, sizeof(out));
    r->init_flags = out.flags;
    return 0;
}

void fs_rig_start(struct fs_rig *r, const struct fs_config *config)
{
    fs_rig_start_silent(r, config);
    require(fs_rig_init(r, 38, ALL_FLAGS) == 0);
}

/* ---- Requests ---- */

int64_t fs_raw(struct fs_rig *r, unsigned queue, const void *bytes, uint32_t count, uint32_t in_bytes)
{
    uint8_t *in = calloc(1, in_bytes + 1);
    require(in != NULL);
    r->out_bytes = 0;
    r->written = vdrv_request(&r->d, queue, bytes, count, in, in_bytes);
    struct fuse_out_header head = {.error = NO_ANSWER};
    if (r->written >= (int64_t)sizeof(head)) {
        memcpy(&head, in, sizeof(head));
        require(head.len == r->written && r->written - (int64_t)sizeof(head) <= (int64_t)sizeof(r->out));
        r->out_bytes = head.len - (uint32_t)sizeof(head);
        memcpy(r->out, in + sizeof(head), r->out_bytes);
        require(head.error <= 0 && (head.error == 0 || r->out_bytes == 0));
    }
    free(in);
    return head.error;
}

int fs_call(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *arg, size_t bytes, uint32_t room)
{
    struct fuse_in_header head = {.len = (uint32_t)(sizeof(head) + bytes),
                                  .opcode = opcode,
                                  .unique = ++r->unique,
                                  .nodeid = node,
                                  .uid = r->uid,
                                  .gid = r->gid,
                                  .pid = 1};
    uint8_t *request = malloc(head.len);
    require(request != NULL);
    memcpy(request, &head, sizeof(head));
    if (bytes > 0)
        memcpy(request + sizeof(head), arg, bytes);
    int64_t code = fs_raw(r, FS_RIG_QUEUE, request, head.len, (uint32_t)sizeof(struct fuse_out_header) + room);
    free(request);
    return (int)code;
}

int fs_call_names(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *arg, size_t bytes, const char *name,
                  const char *second, uint32_t room)
{
    size_t first = strlen(name) + 1, other = second == NULL ? 0 : strlen(second) + 1;
    uint8_t *all = malloc(bytes + first + other);
    require(all != NULL);
    if (bytes > 0)
        memcpy(all, arg, bytes);
    memcpy(all + bytes, name, first);
    if (other > 0)
        memcpy(all + bytes + first, second, other);
    int code = fs_call(r, opcode, node, all, bytes + first + other, room);
    free(all);
    return code;
}

static int entry_of(const struct fs_rig *r, int code, uint64_t *node)
{
    struct fuse_entry_out out;
    if (code < 0)
        return code;
    require(r->out_bytes >= sizeof(out));
    memcpy(&out, r->out, sizeof(out));
    if (node != NULL)
        *node = out.nodeid;
    return 0;
}

int fs_lookup(struct fs_rig *r, uint64_t folder, const char *name, uint64_t *node)
{
    int code = fs_call_names(r, FUSE_LOOKUP, folder, NULL, 0, name, NULL, sizeof(struct fuse_entry_out));
    return entry_of(r, code, node);
}

void fs_forget(struct fs_rig *r, uint64_t node, uint64_t count)
{
    struct {
        struct fuse_in_header head;
        struct fuse_forget_in in;
    } request = {.head = {.len = sizeof(request), .opcode = FUSE_FORGET, .unique = ++r->unique, .nodeid = node},
                 .in = {.nlookup = count}};
    (void)fs_raw(r, FS_RIG_URGENT, &request, sizeof(request), 0);
    require(r->written == 0);
}

int fs_getattr(struct fs_rig *r, uint64_t node, struct fuse_attr *attr)
{
    const struct fuse_getattr_in in = {.getattr_flags = 0};
    struct fuse_attr_out out;
    int code = fs_call(r, FUSE_GETATTR, node, &in, sizeof(in), sizeof(out));
    if (code < 0)
        return code;
    memcpy(&out, r->out, sizeof(out));
    if (attr != NULL)
        *attr = out.attr;
    return 0;
}

static int open_either(struct fs_rig *r, uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *fh)
{
    const struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out out;
    int code = fs_call(r, opcode, node, &in, sizeof(in), sizeof(out));
    if (code < 0)
        return code;
    memcpy(&out, r->out, sizeof(out));
    if (fh != NULL)
        *fh = out.fh;
    return 0;
}

int fs_open(struct fs_rig *r, uint64_t node, uint32_t flags, uint64_t *fh)
{
    return open_either(r, FUSE_OPEN, node, flags, fh);
}

int fs_opendir(struct fs_rig *r, uint64_t node, uint64_t *fh)
{
    return open_either(r, FUSE_OPENDIR, node, 0, fh);
}

int fs_release(struct fs_rig *r, uint64_t fh)
{
    const struct fuse_release_in in = {.fh = fh};
    return fs_call(r, FUSE_RELEASE, 0, &in, sizeof(in), 0);
}

int fs_create(struct fs_rig *r, uint64_t folder, const char *name, uint32_t flags, uint32_t mode, uint64_t *node,
              uint64_t *fh)
{
    const struct fuse_create_in in = {.flags = flags, .mode = mode, .umask = 022};
    struct fuse_open_out out;
    int code = entry_of(r, fs_call_names(r, FUSE_CREATE, folder, &in, sizeof(in), name, NULL, 144), node);
    if (code < 0)
        return code;
    memcpy(&out, r->out + sizeof(struct fuse_entry_out), sizeof(out));
    if (fh != NULL)
        *fh = out.fh;
    return 0;
}

int fs_read(struct fs_rig *r, uint64_t fh, uint64_t offset, uint32_t size)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
    int code = fs_call(r, FUSE_READ, 0, &in, sizeof(in), size);
    return code < 0 ? code : (int)r->out_bytes;
}

int fs_write(struct fs_rig *r, uint64_t fh, uint64_t offset, const void *data, uint32_t bytes)
{
    struct fuse_write_in in = {.fh = fh, .offset = offset, .size = bytes};
    struct fuse_write_out out;
    uint8_t *all = malloc(sizeof(in) + bytes);
    require(all != NULL);
    memcpy(all, &in, sizeof(in));
    memcpy(all + sizeof(in), data, bytes);
    int code = fs_call(r, FUSE_WRITE, 0, all, sizeof(in) + bytes, sizeof(out));
    free(all);
    if (code < 0)
        return code;
    memcpy(&out, r->out, sizeof(out));
    return (int)out.size;
}

int fs_mkdir(struct fs_rig *r, uint64_t folder, const char *name, uint32_t mode, uint64_t *node)
{
    const struct fuse_mkdir_in in = {.mode = mode, .umask = 022};
    int code = fs_call_names(r, FUSE_MKDIR, folder, &in, sizeof(in), name, NULL, sizeof(struct fuse_entry_out));
    return entry_of(r, code, node);
}

/* ---- The host's side ---- */

void fs_host_put(struct fs_rig *r, const char *path, const char *content)
{
    int fd = openat(r->tree, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    require(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
}

bool fs_host_has(struct fs_rig *r, const char *path, const char *content)
{
    char have[4096];
    int fd = openat(r->tree, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, have, sizeof(have));
    close(fd);
    return n == (ssize_t)strlen(content) && memcmp(have, content, (size_t)n) == 0;
}

struct stat fs_host_lstat(struct fs_rig *r, const char *path)
{
    struct stat st;
    require(fstatat(r->tree, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
    return st;
}

bool fs_host_exists(struct fs_rig *r, const char *path)
{
    struct stat st;
    return fstatat(r->tree, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned fs_host_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    require(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 3; /* itself, and the two that are in every folder */
}
