/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest that speaks FUSE to a shared folder, while the host changes what is in it.
 *
 * Input: one byte of configuration (32: exports instead of one folder), then actions. Low 2 bits of an action's first
 * byte: 0, 1 a request; 2 the host does something in the folder, or to what is exported; 3 the driver does something to
 * registers and rings. A request has the opcode (1 byte), the node (1 byte: an index of what was told before, or else a
 * number), flags (1 byte: low 4 bits: the room for the answer; 16: the first 8 bytes of the argument are replaced by a
 * handle; 32: the header lies; 64: the argument comes in pieces; 128: on the urgent queue), its length (1 byte) and
 * that many bytes of argument.
 *
 * Checked: nothing outside of the folder and nothing in a read-only export changes, whatever happens; answers are as
 * long as they say and fit where they were posted; the process has as many descriptors in the end as before.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/fs.h"
#include "vmm/devices/virtio/fs_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KNOWN       16u
#define ROOM_MAX    65536u
#define ACTIONS_MAX 200u
#define SECRET      "not for guests"
#define SEALED      4 /* what must be the same in the end */

struct input {
    const uint8_t *data;
    size_t size;
};

struct world {
    struct vdrv d;
    struct fs *fs;
    struct fs_config config;
    char base[64];
    int outside, tree;
    uint64_t node[KNOWN], handle[KNOWN];
    unsigned nodes, handles;
    uint64_t unique;
};

static void require(bool good)
{
    if (!good)
        abort();
}

static uint8_t next(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

/* ---- The host ---- */

static void put(int dir, const char *name, const char *content)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    (void)!write(fd, content, strlen(content));
    close(fd);
}

static void populate(struct world *w)
{
    (void)strcpy(w->base, "/tmp/caisson-fuzz-fs-XXXXXX");
    if (mkdtemp(w->base) == NULL)
        abort();
    w->outside = open(w->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(w->outside, "secret", SECRET);
    (void)mkdirat(w->outside, "sealed", 0755);
    put(w->outside, "sealed/file", SECRET);
    (void)mkdirat(w->outside, "tree", 0755);
    w->tree = openat(w->outside, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(w->tree, "a", "first");
    (void)mkdirat(w->tree, "d", 0755);
    put(w->tree, "d/b", "second");
    (void)symlinkat("../secret", w->tree, "l");
    (void)mknodat(w->tree, "f", S_IFIFO | 0644, 0);
}

/* "t" is the tree, "a" its file, "r" a folder that may only be read. */
static void export_one(struct world *w, const char *name, const char *path, bool read_only)
{
    int fd = openat(w->outside, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fs_export_add(w->fs, name, fd, read_only);
    close(fd);
}

static void act_on_exports(struct world *w, uint8_t what)
{
    switch (what % 6) {
    case 0: export_one(w, "t", "tree", false); break;
    case 1: export_one(w, "a", "tree/a", false); break;
    case 2: export_one(w, "r", "sealed", true); break;
    case 3: (void)fs_export_remove(w->fs, "t"); break;
    case 4: (void)fs_export_remove(w->fs, "a"); break;
    default: (void)fs_export_remove(w->fs, "r"); break;
    }
}

static void act_as_host(struct world *w, uint8_t what)
{
    if (w->config.exports && what >= 32) {
        act_on_exports(w, what);
        return;
    }
    switch (what % 8) {
    case 0:
        (void)unlinkat(w->tree, "a", 0);
        (void)symlinkat("../secret", w->tree, "a");
        break;
    case 1: (void)renameat(w->tree, "d", w->tree, "e"); break;
    case 2: (void)renameat(w->tree, "e", w->tree, "d"); break;
    case 3: (void)unlinkat(w->tree, "a", 0); break;
    case 4: put(w->tree, "a", "again"); break;
    case 5:
        (void)renameat(w->tree, "d", w->tree, "x");
        (void)symlinkat("..", w->tree, "d");
        break;
    case 6: (void)renameat(w->tree, "d/b", w->tree, "b"); break;
    default: (void)unlinkat(w->tree, "d", 0); break;
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    require(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* ---- The guest ---- */

static void begin(struct world *w)
{
    struct {
        struct fuse_in_header head;
        struct fuse_init_in in;
    } init = {.head = {.len = sizeof(init), .opcode = FUSE_INIT}, .in = {.major = 7, .minor = 38, .flags = 0x7fffffff}};
    uint8_t answer[128];
    bool good = vdrv_start(&w->d, 0);
    require(good);
    w->nodes = w->handles = 0;
    int64_t n = vdrv_request(&w->d, 1, &init, sizeof(init), answer, sizeof(answer));
    require(n == 80);
    w->node[w->nodes++] = FUSE_ROOT_ID;
}

static void learn(uint64_t *list, unsigned *count, const void *from)
{
    memcpy(&list[*count < KNOWN ? (*count)++ : KNOWN - 1], from, 8);
}

static void take_answer(struct world *w, uint32_t opcode, const uint8_t *answer, uint32_t bytes)
{
    bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_MKNOD || opcode == FUSE_SYMLINK ||
                 opcode == FUSE_LINK || opcode == FUSE_CREATE || opcode == FUSE_TMPFILE;
    if (entry && bytes >= 128)
        learn(w->node, &w->nodes, answer);
    if ((opcode == FUSE_CREATE || opcode == FUSE_TMPFILE) && bytes >= 144)
        learn(w->handle, &w->handles, answer + 128);
    if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) && bytes >= 16)
        learn(w->handle, &w->handles, answer);
}

static void request(struct world *w, struct input *in)
{
    static uint8_t answer[ROOM_MAX + 16];
    struct {
        struct fuse_in_header head;
        uint8_t arg[256];
    } r;
    uint8_t opcode = next(in), node = next(in), flags = next(in), length = next(in);
    uint32_t room = (flags & 15) == 15 ? ROOM_MAX : (uint32_t)(flags & 15) * 16;
    memset(&r, 0, sizeof(r));
    for (unsigned i = 0; i < length; i++)
        r.arg[i] = next(in);
    r.head = (struct fuse_in_header){.len = (uint32_t)sizeof(r.head) + length, .opcode = opcode, .unique = ++w->unique};
    r.head.nodeid = node < w->nodes ? w->node[node] : node;
    if ((flags & 16) != 0 && w->handles > 0)
        memcpy(r.arg, &w->handle[r.arg[0] % w->handles], 8);
    if ((flags & 32) != 0)
        r.head.len = r.arg[8];
    uint32_t bytes = (uint32_t)sizeof(r.head) + length;
    int64_t n = -1;
    if ((flags & 64) == 0) {
        n = vdrv_request(&w->d, flags >> 7 & 1 ? 0 : 1, &r, bytes, answer, room);
    } else {
        uint64_t heap = w->d.heap;
        uint64_t from = vdrv_put(&w->d, &r, bytes), to = vdrv_alloc(&w->d, room + 8, 8);
        const struct vdrv_buffer pieces[4] = {{.gpa = from, .bytes = 13},
                                              {.gpa = from + 13, .bytes = bytes - 13},
                                              {.gpa = to, .bytes = room / 3, .writable = true},
                                              {.gpa = to + room / 3, .bytes = room - room / 3, .writable = true}};
        (void)vdrv_post(&w->d, 1, pieces, 4);
        vdrv_kick(&w->d, 1);
        uint32_t written;
        n = vdrv_take(&w->d, 1, NULL, &written) ? (int64_t)written : -1;
        memcpy(answer, vdrv_at(&w->d, to, room), room);
        w->d.heap = heap;
    }
    struct fuse_out_header head;
    require(n == 0 || (n >= (int64_t)sizeof(head) && n <= room));
    if (n == 0)
        return;
    memcpy(&head, answer, sizeof(head));
    require(head.len == n && head.error <= 0 && head.error > -512 && head.unique == r.head.unique);
    require(head.error == 0 || n == sizeof(head));
    take_answer(w, opcode, answer + sizeof(head), (uint32_t)n - (uint32_t)sizeof(head));
}

/* Registers and rings as no driver uses them; whatever breaks is mended by a reset. */
static void act_as_driver(struct world *w, struct input *in)
{
    uint8_t what = next(in), where = next(in), value = next(in);
    static uint8_t pattern[8];
    memset(pattern, value, sizeof(pattern));
    switch (what % 4) {
    case 0: (void)virtio_read_config(w->d.v, where, 1u << (value & 3)); break;
    case 1: virtio_write_config(w->d.v, where, 1u << (value & 3), value); break;
    case 2: virtio_set_status(w->d.v, value); break;
    default: {
        const struct vdrv_queue *q = &w->d.queue[what >> 7];
        uint64_t at[4] = {q->descriptors, q->available, q->used, q->descriptors + 64};
        memcpy(vdrv_at(&w->d, at[what >> 2 & 3] + (where & 63), 8), pattern, 8);
        virtio_kick(w->d.v, what >> 7);
        vdrv_turn(&w->d);
    }
    }
    vdrv_reset(&w->d);
    w->d.heap = 0x10000;
    begin(w);
}

static void start(struct world *w, uint8_t configuration)
{
    vdrv_init(&w->d);
    w->config = (struct fs_config){.memory = &w->d.memory,
                                   .loops = {&w->d.loop, &w->d.loop},
                                   .queues = 1,
                                   .tag = "fuzz",
                                   .root_fd = (configuration & 32) != 0 ? -1 : w->tree,
                                   .exports = (configuration & 32) != 0,
                                   .read_only = (configuration & 1) != 0,
                                   .locks = (configuration & 2) != 0,
                                   .one_device = (configuration & 4) != 0,
                                   .cache = (enum fs_cache)((configuration >> 3) % 3),
                                   .fd_budget = FS_BUDGET_MIN,
                                   .nodes_max = 8};
    int code = fs_new(&w->config, &w->fs, NULL);
    require(code == 0);
    for (uint8_t i = 0; w->config.exports && i < 3; i++)
        act_on_exports(w, i);
    vdrv_attach(&w->d, fs_virtio(w->fs));
    begin(w);
}

static void run(struct world *w, struct input *in)
{
    start(w, next(in));
    for (unsigned i = 0; i < ACTIONS_MAX && in->size > 0; i++) {
        uint8_t action = next(in);
        if ((action & 3) < 2)
            request(w, in);
        else if ((action & 3) == 2)
            act_as_host(w, action >> 2);
        else
            act_as_driver(w, in);
    }
    fs_free(w->fs);
    vdrv_fini(&w->d);
}

static void look(const struct world *w, struct stat st[SEALED])
{
    static const char *const names[SEALED] = {".", "secret", "sealed", "sealed/file"};
    for (unsigned i = 0; i < SEALED; i++)
        require(fstatat(w->outside, names[i], &st[i], AT_SYMLINK_NOFOLLOW) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rlimit limit = {.rlim_cur = 1u << 20, .rlim_max = RLIM_INFINITY};
    struct input in = {.data = data, .size = size};
    struct stat before[SEALED], after[SEALED];
    char secret[32] = "";
    /* Files of the folder stay small, whatever is asked for; libFuzzer's own are smaller still. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    unsigned open_before = descriptors();
    struct world *w = calloc(1, sizeof(*w));
    require(w != NULL);
    populate(w);
    look(w, before);
    run(w, &in);
    look(w, after);
    for (unsigned i = 0; i < SEALED; i++) {
        require(before[i].st_mode == after[i].st_mode && before[i].st_uid == after[i].st_uid);
        require(before[i].st_nlink == after[i].st_nlink && before[i].st_gid == after[i].st_gid);
        require(before[i].st_mtim.tv_nsec == after[i].st_mtim.tv_nsec);
        require(before[i].st_ctim.tv_nsec == after[i].st_ctim.tv_nsec);
    }
    int fd = openat(w->outside, "secret", O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && read(fd, secret, sizeof(secret)) == sizeof(SECRET) - 1 && strcmp(secret, SECRET) == 0);
    close(fd);
    close(w->tree);
    close(w->outside);
    (void)nftw(w->base, remove_one, 64, FTW_DEPTH | FTW_PHYS);
    free(w);
    require(descriptors() == open_before);
    return 0;
}
