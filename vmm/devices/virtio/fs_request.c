/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "vmm/devices/virtio/fs_ops.h"

enum flag {
    CHANGES = 1, /* something: EROFS for a folder that is read-only */
    SILENT = 2,  /* there is no answer */
    URGENT = 4,  /* may come on the urgent queue */
    EARLY = 8,   /* may come before INIT */
    DATA = 16,   /* behind the argument's struct is data, which is left where it is */
    BY_FH = 32,  /* what it changes is not the request's node but an open file, which is open for writing or not */
};

struct op {
    int64_t (*run)(struct fs_request *r);
    uint16_t arg;       /* least bytes of the argument before its names */
    uint16_t reply;     /* bytes of the answer that must have room */
    uint8_t names;      /* strings behind the struct */
    uint8_t components; /* how many of them are names of entries; the first ones */
    uint8_t flags;
};

#define ENTRY     sizeof(struct fuse_entry_out)
#define ATTR      sizeof(struct fuse_attr_out)
#define OPEN      sizeof(struct fuse_open_out)
#define ARG(type) .arg = sizeof(struct type)

static const struct op ops[] = {
    [FUSE_LOOKUP] = {fs_op_lookup, .reply = ENTRY, .names = 1, .components = 1},
    [FUSE_FORGET] = {fs_op_forget, ARG(fuse_forget_in), .flags = SILENT | URGENT | EARLY},
    [FUSE_GETATTR] = {fs_op_getattr, ARG(fuse_getattr_in), .reply = ATTR},
    [FUSE_SETATTR] = {fs_op_setattr, ARG(fuse_setattr_in), .reply = ATTR, .flags = CHANGES},
    [FUSE_READLINK] = {.run = fs_op_readlink},
    [FUSE_SYMLINK] = {fs_op_symlink, .reply = ENTRY, .names = 2, .components = 1, .flags = CHANGES},
    [FUSE_MKNOD] = {fs_op_mknod, ARG(fuse_mknod_in), .reply = ENTRY, .names = 1, .components = 1, .flags = CHANGES},
    [FUSE_MKDIR] = {fs_op_mkdir, ARG(fuse_mkdir_in), .reply = ENTRY, .names = 1, .components = 1, .flags = CHANGES},
    [FUSE_UNLINK] = {fs_op_unlink, .names = 1, .components = 1, .flags = CHANGES},
    [FUSE_RMDIR] = {fs_op_rmdir, .names = 1, .components = 1, .flags = CHANGES},
    [FUSE_RENAME] = {fs_op_rename, ARG(fuse_rename_in), .names = 2, .components = 2, .flags = CHANGES},
    [FUSE_LINK] = {fs_op_link, ARG(fuse_link_in), .reply = ENTRY, .names = 1, .components = 1, .flags = CHANGES},
    [FUSE_OPEN] = {fs_op_open, ARG(fuse_open_in), .reply = OPEN},
    [FUSE_READ] = {fs_op_read, ARG(fuse_read_in)},
    [FUSE_WRITE] = {fs_op_write, ARG(fuse_write_in), .reply = sizeof(struct fuse_write_out), .flags = CHANGES | DATA},
    [FUSE_STATFS] = {fs_op_statfs, .reply = sizeof(struct fuse_statfs_out)},
    [FUSE_RELEASE] = {fs_op_release, ARG(fuse_release_in)},
    [FUSE_FSYNC] = {fs_op_fsync, ARG(fuse_fsync_in)},
    /* The short form of the struct, as SETXATTR_EXT is not negotiated. */
    [FUSE_SETXATTR] = {fs_op_setxattr, .arg = FUSE_COMPAT_SETXATTR_IN_SIZE, .names = 1, .flags = CHANGES},
    [FUSE_GETXATTR] = {fs_op_getxattr, ARG(fuse_getxattr_in), .names = 1},
    [FUSE_LISTXATTR] = {fs_op_listxattr, ARG(fuse_getxattr_in)},
    [FUSE_REMOVEXATTR] = {fs_op_removexattr, .names = 1, .flags = CHANGES},
    [FUSE_FLUSH] = {fs_op_flush, ARG(fuse_flush_in)},
    [FUSE_INIT] = {fs_op_init, .arg = FS_INIT_IN_BYTES, .reply = sizeof(struct fuse_init_out), .flags = EARLY},
    [FUSE_OPENDIR] = {fs_op_opendir, ARG(fuse_open_in), .reply = OPEN},
    [FUSE_READDIR] = {fs_op_readdir, ARG(fuse_read_in)},
    [FUSE_RELEASEDIR] = {fs_op_releasedir, ARG(fuse_release_in)},
    [FUSE_FSYNCDIR] = {fs_op_fsyncdir, ARG(fuse_fsync_in)},
    [FUSE_GETLK] = {fs_op_getlk, ARG(fuse_lk_in), .reply = sizeof(struct fuse_lk_out)},
    [FUSE_SETLK] = {fs_op_setlk, ARG(fuse_lk_in)},
    [FUSE_SETLKW] = {fs_op_setlkw, ARG(fuse_lk_in)},
    [FUSE_ACCESS] = {fs_op_access, ARG(fuse_access_in)},
    [FUSE_CREATE] = {fs_op_create, ARG(fuse_create_in), .reply = ENTRY + OPEN, .names = 1, .components = 1,
                     .flags = CHANGES},
    [FUSE_INTERRUPT] = {fs_op_interrupt, ARG(fuse_interrupt_in), .flags = SILENT | URGENT | EARLY},
    [FUSE_DESTROY] = {.run = fs_op_destroy},
    [FUSE_IOCTL] = {fs_op_ioctl, ARG(fuse_ioctl_in), .flags = DATA},
    [FUSE_BATCH_FORGET] = {fs_op_batch_forget, ARG(fuse_batch_forget_in), .flags = SILENT | URGENT | EARLY | DATA},
    [FUSE_FALLOCATE] = {fs_op_fallocate, ARG(fuse_fallocate_in), .flags = CHANGES},
    [FUSE_READDIRPLUS] = {fs_op_readdirplus, ARG(fuse_read_in)},
    [FUSE_RENAME2] = {fs_op_rename2, ARG(fuse_rename2_in), .names = 2, .components = 2, .flags = CHANGES},
    [FUSE_LSEEK] = {fs_op_lseek, ARG(fuse_lseek_in), .reply = sizeof(struct fuse_lseek_out)},
    [FUSE_COPY_FILE_RANGE] = {fs_op_copy_file_range, ARG(fuse_copy_file_range_in),
                              .reply = sizeof(struct fuse_write_out), .flags = CHANGES | BY_FH},
    [FUSE_SYNCFS] = {fs_op_syncfs, ARG(fuse_syncfs_in)},
    [FUSE_TMPFILE] = {fs_op_tmpfile, ARG(fuse_create_in), .reply = ENTRY + OPEN, .names = 1, .flags = CHANGES},
    [FS_OP_STATX] = {fs_op_statx, ARG(fs_statx_in), .reply = sizeof(struct fs_statx_out)},
};

/* ---- For handlers ---- */

void fs_argument(const struct fs_request *r, void *to, size_t bytes)
{
    memcpy(to, r->w->arg, bytes);
}

bool fs_answer_part(const struct fs_request *r, uint32_t offset, const void *from, size_t bytes)
{
    return virtq_chain_write(&r->w->chain, sizeof(struct fuse_out_header) + offset, from, bytes);
}

int64_t fs_answer(const struct fs_request *r, const void *from, size_t bytes)
{
    return fs_answer_part(r, 0, from, bytes) ? (int64_t)bytes : -ERANGE;
}

/* ---- Checking ---- */

int fs_check_component(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return strlen(name) > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Strings one after the other, each ended by a NUL inside of the argument. */
static int take_names(struct fs_request *r, const struct op *op)
{
    uint32_t at = op->arg;
    for (unsigned i = 0; i < op->names; i++) {
        const char *name = (const char *)r->w->arg + at;
        const char *end = memchr(name, '\0', r->arg_bytes - at);
        if (end == NULL)
            return -EINVAL;
        int code = i < op->components ? fs_check_component(name) : 0;
        if (code < 0)
            return code;
        r->name[i] = name;
        at += (uint32_t)(end - name) + 1;
    }
    r->tail = r->w->arg + at;
    r->tail_bytes = r->arg_bytes - at;
    return 0;
}

static int take_argument(struct fs_request *r, const struct op *op)
{
    const struct virtq_chain *chain = &r->w->chain;
    if (r->in.len < sizeof(r->in) || r->in.len > chain->out_bytes)
        return -EINVAL;
    r->arg_bytes = r->in.len - (uint32_t)sizeof(r->in);
    uint32_t copied = (op->flags & DATA) != 0 ? op->arg : r->arg_bytes;
    if (r->arg_bytes < op->arg || copied > FS_ARG_MAX)
        return -EINVAL;
    (void)virtq_chain_read(chain, sizeof(r->in), r->w->arg, copied);
    return op->names == 0 ? 0 : take_names(r, op);
}

static bool is_read_only(const struct fs_request *r, const struct op *op)
{
    if ((op->flags & CHANGES) == 0)
        return false;
    return r->s->read_only || ((op->flags & BY_FH) == 0 && fs_node_is_read_only(&r->s->nodes, r->in.nodeid));
}

static int check(struct fs_request *r, const struct op *op, bool urgent)
{
    if (op->run == NULL)
        return -ENOSYS;
    if (urgent && (op->flags & URGENT) == 0)
        return -EINVAL;
    if ((op->flags & EARLY) == 0 && !r->s->begun)
        return -EIO;
    int code = take_argument(r, op);
    if (code < 0)
        return code;
    if ((op->flags & SILENT) == 0 && r->room < op->reply)
        return -EINVAL;
    return is_read_only(r, op) ? -EROFS : 0;
}

/* ---- Serving ---- */

static int64_t run(struct fs_request *r, const struct op *op)
{
    int64_t done = op->run(r);
    /* The process has no more descriptors: nodes may have some to spare. */
    if ((done == -EMFILE || done == -ENFILE) && (op->flags & CHANGES) == 0 && fs_nodes_relieve(&r->s->nodes))
        done = op->run(r);
    return done;
}

uint32_t fs_request_serve(struct fs_server *s, struct fs_worker *w, bool urgent)
{
    static const struct op unknown = {.run = NULL};
    struct fs_request r = {.s = s, .w = w};
    struct fuse_out_header out = {.len = sizeof(out)};
    if (!virtq_chain_read(&w->chain, 0, &r.in, sizeof(r.in)))
        return 0;
    const struct op *op = r.in.opcode < sizeof(ops) / sizeof(ops[0]) ? &ops[r.in.opcode] : &unknown;
    if ((op->flags & SILENT) == 0 && w->chain.in_bytes < sizeof(out))
        return 0;
    r.room = w->chain.in_bytes < sizeof(out) ? 0 : w->chain.in_bytes - (uint32_t)sizeof(out);
    int64_t done = check(&r, op, urgent);
    if (done == 0)
        done = run(&r, op);
    if ((op->flags & SILENT) != 0)
        return 0;
    out.unique = r.in.unique;
    out.error = done < 0 ? (int32_t)done : 0;
    out.len += done < 0 ? 0 : (uint32_t)done;
    (void)virtq_chain_write(&w->chain, 0, &out, sizeof(out));
    return out.len;
}

/* ---- Life ---- */

/* Nodes take half of the process's descriptors at most: there are open files, and everything else. */
static unsigned budget_from(const struct fs_config *config)
{
    unsigned budget = config->fd_budget != 0 ? config->fd_budget : FS_BUDGET_DEFAULT;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < budget)
        budget = (unsigned)(limit.rlim_cur / 2);
    return budget < FS_BUDGET_MIN ? FS_BUDGET_MIN : budget;
}

static int make_tables(struct fs_server *s, const struct fs_config *config)
{
    unsigned nodes = config->nodes_max != 0 ? config->nodes_max : FS_NODES_DEFAULT;
    if (s->lock_on_host && (s->locks = calloc(FS_LOCKS_MAX, sizeof(*s->locks))) == NULL)
        return -ENOMEM;
    int code = fs_nodes_init(&s->nodes, &s->host, s->whole, nodes, budget_from(config));
    return code < 0 ? code : fs_handles_init(&s->handles, &s->nodes, FS_HANDLES_MAX);
}

static int open_whole(struct fs_server *s, const struct fs_config *config, struct err *err)
{
    static const struct err_context context = {
        .attempted = "open the folder to be shared",
        .what_to_do = "name a folder that this user may enter and read, on a kernel from 5.8 on"};
    int code = config->exports ? 0 : fs_export_new(&s->host, config->root_fd, true, &s->whole);
    if (code < 0)
        return err_fail(err, code, &context);
    if (s->whole != NULL)
        fs_server_note_device(s, s->whole);
    return 0;
}

int fs_server_init(struct fs_server *s, const struct fs_config *config, struct err *err)
{
    static const struct err_context context = {.attempted = "share a folder with the guest",
                                               .what_to_do = "free memory on the host"};
    const struct fs_host_config host = {.as_root = config->as_root, .one_device = config->one_device};
    *s = (struct fs_server){.cache = config->cache, .read_only = config->read_only, .lock_on_host = config->locks};
    int code = fs_host_init(&s->host, &host, err);
    if (code < 0)
        return code;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->session_lock, NULL);
    fs_exports_init(&s->exports);
    code = open_whole(s, config, err);
    if (code == 0 && (code = make_tables(s, config)) < 0)
        (void)err_fail(err, code, &context);
    if (code < 0)
        fs_server_fini(s);
    return code;
}

void fs_server_note_device(struct fs_server *s, const struct fs_export *e)
{
    struct fs_statx st;
    uint_fast64_t none = 0;
    if (fs_host_stat(e->base.fd, &st) == 0)
        (void)atomic_compare_exchange_strong(&s->device, &none, fs_device_of(&st));
}

/* Under session_lock. */
static void forget(struct fs_server *s)
{
    s->begun = false;
    s->gone = false;
    fs_locks_end_all(s);
    fs_handles_release_all(&s->handles);
    fs_nodes_forget_all(&s->nodes);
}

void fs_server_forget(struct fs_server *s)
{
    pthread_mutex_lock(&s->session_lock);
    forget(s);
    pthread_mutex_unlock(&s->session_lock);
}

void fs_server_begin(struct fs_server *s)
{
    pthread_mutex_lock(&s->session_lock);
    forget(s);
    s->begun = true;
    pthread_mutex_unlock(&s->session_lock);
}

void fs_server_end(struct fs_server *s)
{
    s->begun = false;
    s->gone = true;
}

void fs_server_tidy(struct fs_server *s)
{
    pthread_mutex_lock(&s->session_lock);
    if (s->gone)
        forget(s);
    pthread_mutex_unlock(&s->session_lock);
}

void fs_server_fini(struct fs_server *s)
{
    if (s->host.resolve == 0)
        return;
    fs_locks_end_all(s);
    fs_handles_fini(&s->handles);
    fs_nodes_fini(&s->nodes);
    fs_exports_fini(&s->exports);
    fs_export_drop(s->whole);
    fs_host_fini(&s->host);
    free(s->locks);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->session_lock);
    memset(s, 0, sizeof(*s));
}
