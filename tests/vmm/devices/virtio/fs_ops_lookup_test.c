/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "tests/lib/namespace.h"

#define ENTRY sizeof(struct fuse_entry_out)

static struct fuse_entry_out entry_out(const struct fs_rig *r)
{
    struct fuse_entry_out out;
    assert_true(r->out_bytes >= sizeof(out));
    memcpy(&out, r->out, sizeof(out));
    return out;
}

/* ---- Lookup ---- */

static void lookup_tells_what_the_host_has(void **state)
{
    struct fs_rig *r = *state;
    fs_host_put(r, "file", "12345");
    assert_int_equal(fchmodat(r->tree, "file", 0604, 0), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", NULL), 0);
    struct fuse_entry_out out = entry_out(r);
    struct stat st = fs_host_lstat(r, "file");
    assert_int_not_equal(out.nodeid, 0);
    assert_int_equal(out.generation, 0);
    assert_int_equal(out.attr.ino, st.st_ino);
    assert_int_equal(out.attr.mode, S_IFREG | 0604);
    assert_int_equal(out.attr.size, 5);
    assert_int_equal(out.attr.nlink, 1);
    assert_int_equal(out.attr.uid, st.st_uid);
    assert_int_equal(out.attr.gid, st.st_gid);
    assert_int_equal(out.attr.blksize, st.st_blksize);
    assert_int_equal(out.attr.mtime, st.st_mtim.tv_sec);
    assert_int_equal(out.attr.mtimensec, st.st_mtim.tv_nsec);
    assert_int_equal(r->out_bytes, sizeof(out));
}

static void check_valid(struct fs_rig *r, enum fs_cache cache, uint64_t seconds)
{
    const struct fs_config config = {.cache = cache};
    fs_host_put(r, "file", "");
    fs_rig_start(r, &config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", NULL), 0);
    struct fuse_entry_out out = entry_out(r);
    assert_int_equal(out.entry_valid, seconds);
    assert_int_equal(out.attr_valid, seconds);
    assert_int_equal(out.entry_valid_nsec | out.attr_valid_nsec, 0);
}

static void without_a_cache_nothing_is_good_for_any_time(void **state)
{
    check_valid(*state, FS_CACHE_NONE, 0);
}

static void the_automatic_cache_is_good_for_a_second(void **state)
{
    check_valid(*state, FS_CACHE_AUTO, 1);
}

static void the_full_cache_is_good_for_a_day(void **state)
{
    check_valid(*state, FS_CACHE_ALWAYS, 86400);
}

static void lookup_of_nothing_is_enoent(void **state)
{
    struct fs_rig *r = *state;
    uint64_t file;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "none", NULL), -ENOENT);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &file), 0);
    assert_int_equal(fs_lookup(r, file, "x", NULL), -ENOTDIR);
    assert_int_equal(fs_lookup(r, 0, "file", NULL), -ENOENT);
    assert_int_equal(fs_lookup(r, file + 1, "file", NULL), -ENOENT);
    assert_int_equal(fs_lookup(r, UINT64_MAX, "file", NULL), -ENOENT);
}

static void one_object_is_one_node_under_all_its_names(void **state)
{
    struct fs_rig *r = *state;
    uint64_t first, second, other;
    fs_host_put(r, "a", "");
    fs_host_put(r, "b", "");
    assert_int_equal(linkat(r->tree, "a", r->tree, "link", 0), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "a", &first), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &second), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "b", &other), 0);
    assert_int_equal(first, second);
    assert_int_not_equal(first, other);
}

/* ---- Escapes ---- */

static const char *const bad_names[] = {"", ".", "..", "/", "/etc", "a/b", "../outside", "d/..", "./x", "..//"};

static void names_that_lead_elsewhere_are_refused(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_mkdir_in dir = {.mode = 0755};
    const struct fuse_mknod_in node = {.mode = S_IFREG | 0644};
    const struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
    const struct fuse_rename2_in rename2 = {.newdir = FUSE_ROOT_ID};
    const uint64_t root = FUSE_ROOT_ID;
    assert_int_equal(mkdirat(r->tree, "d", 0755), 0);
    fs_host_put(r, "x", "");
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
        const char *name = bad_names[i];
        assert_int_equal(fs_lookup(r, root, name, NULL), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_MKDIR, root, &dir, sizeof(dir), name, NULL, ENTRY), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_MKNOD, root, &node, sizeof(node), name, NULL, ENTRY), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_CREATE, root, &create, sizeof(create), name, NULL, 144), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_SYMLINK, root, NULL, 0, name, "to", ENTRY), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_UNLINK, root, NULL, 0, name, NULL, 0), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_RMDIR, root, NULL, 0, name, NULL, 0), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_LINK, root, &root, 8, name, NULL, ENTRY), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_RENAME, root, &root, 8, name, "y", 0), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_RENAME, root, &root, 8, "x", name, 0), -EINVAL);
        assert_int_equal(fs_call_names(r, FUSE_RENAME2, root, &rename2, sizeof(rename2), "x", name, 0), -EINVAL);
    }
    assert_true(fs_host_exists(r, "x"));
}

static void a_name_of_more_than_255_bytes_is_too_long(void **state)
{
    struct fs_rig *r = *state;
    char name[300];
    fs_rig_start(r, NULL);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, name, NULL), -ENAMETOOLONG);
    name[255] = '\0';
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, name, NULL), -ENOENT);
}

static void symbolic_links_are_told_and_never_followed(void **state)
{
    struct fs_rig *r = *state;
    static const char *const targets[] = {"../secret", "/etc/passwd", "/proc/self/root", ".."};
    assert_int_equal(mkdirat(r->outside, "secret", 0755), 0);
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t link;
        assert_int_equal(symlinkat(targets[i], r->tree, "link"), 0);
        assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &link), 0);
        assert_true(S_ISLNK(entry_out(r).attr.mode));
        assert_int_equal(fs_lookup(r, link, "x", NULL), -ENOTDIR);
        assert_int_equal(fs_open(r, link, O_RDONLY, NULL), -ELOOP);
        assert_int_equal(fs_opendir(r, link, NULL), -ENOTDIR);
        assert_int_equal(fs_call(r, FUSE_READLINK, link, NULL, 0, 4096), 0);
        assert_int_equal(r->out_bytes, strlen(targets[i]));
        assert_memory_equal(r->out, targets[i], r->out_bytes);
        assert_int_equal(unlinkat(r->tree, "link", 0), 0);
        fs_forget(r, link, 1);
    }
}

static void a_link_put_in_place_of_a_file_changes_nothing(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "../secret", "secret");
    fs_host_put(r, "file", "public");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(unlinkat(r->tree, "file", 0), 0);
    assert_int_equal(symlinkat("../secret", r->tree, "file"), 0);
    /* The node is the file that was found, which has no name any more. */
    assert_int_equal(fs_open(r, node, O_RDWR, &fh), 0);
    assert_int_equal(fs_read(r, fh, 0, 100), 6);
    assert_memory_equal(r->out, "public", 6);
    const struct fuse_create_in create = {.flags = O_RDWR | O_TRUNC, .mode = 0644};
    assert_int_equal(fs_call_names(r, FUSE_CREATE, FUSE_ROOT_ID, &create, sizeof(create), "file", NULL, 144), -ELOOP);
    assert_true(fs_host_has(r, "../secret", "secret"));
}

static void a_folder_that_is_moved_out_leads_nowhere_else(void **state)
{
    struct fs_rig *r = *state;
    uint64_t folder, inner;
    assert_int_equal(mkdirat(r->tree, "d", 0755), 0);
    fs_host_put(r, "d/file", "");
    fs_host_put(r, "../secret", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "d", &folder), 0);
    assert_int_equal(renameat(r->tree, "d", r->outside, "moved"), 0);
    assert_int_equal(fs_lookup(r, folder, "file", &inner), 0); /* as with any open folder */
    assert_int_equal(fs_lookup(r, folder, "..", NULL), -EINVAL);
    assert_int_equal(fs_lookup(r, folder, "secret", NULL), -ENOENT);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "d", NULL), -ENOENT);
}

static void what_is_no_file_is_shown_and_never_opened(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fifo, device;
    assert_int_equal(mknodat(r->tree, "fifo", S_IFIFO | 0666, 0), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "fifo", &fifo), 0);
    assert_true(S_ISFIFO(entry_out(r).attr.mode));
    assert_int_equal(fs_open(r, fifo, O_RDONLY, NULL), -EACCES);
    assert_int_equal(fs_open(r, fifo, O_RDWR, NULL), -EACCES);
    const struct fuse_create_in create = {.flags = O_WRONLY, .mode = 0644};
    assert_int_equal(fs_call_names(r, FUSE_CREATE, FUSE_ROOT_ID, &create, sizeof(create), "fifo", NULL, 144), -EACCES);
    const struct fuse_setattr_in cut = {.valid = FATTR_SIZE};
    assert_int_equal(fs_call(r, FUSE_SETATTR, fifo, &cut, sizeof(cut), 104), -EINVAL);
    if (mknodat(r->tree, "device", S_IFCHR | 0666, (1u << 8) | 3) < 0)
        return; /* not root: the rest cannot be set up */
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "device", &device), 0);
    assert_int_equal(entry_out(r).attr.rdev, (1u << 8) | 3);
    assert_int_equal(fs_open(r, device, O_RDONLY, NULL), -EACCES);
}

/* In namespaces of its own: something is mounted in the folder. */
static int look_into_mount(struct fs_rig *r, const struct fs_config *config, int *code, uint64_t *node)
{
    char where[96];
    (void)snprintf(where, sizeof(where), "%s/tree/d", r->base);
    if (mkdirat(r->tree, "d", 0755) < 0 || mount("tmpfs", where, "tmpfs", 0, NULL) < 0)
        return NAMESPACE_REFUSED;
    /* The descriptor is of the mounts before; the folder is opened anew. */
    (void)snprintf(where, sizeof(where), "%s/tree", r->base);
    r->tree = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fs_rig_start(r, config);
    *code = fs_lookup(r, FUSE_ROOT_ID, "d", node);
    return 0;
}

static int enter_mount(void *ctx)
{
    static const struct fs_config config = {.cache = FS_CACHE_AUTO};
    struct fs_rig *r = ctx;
    uint64_t node;
    int code, refused = look_into_mount(r, &config, &code, &node);
    if (refused != 0)
        return refused;
    if (code != 0 || fs_create(r, node, "inside", O_RDWR, 0644, NULL, NULL) != 0)
        return 1;
    return fs_host_exists(r, "d/inside") ? 0 : 2;
}

static int stay_out_of_mount(void *ctx)
{
    static const struct fs_config config = {.one_device = true};
    uint64_t node;
    int code, refused = look_into_mount(ctx, &config, &code, &node);
    return refused != 0 ? refused : code == -EXDEV ? 0 : 1;
}

static void in_namespace(void **state, int (*function)(void *))
{
    int code = namespace_run(CLONE_NEWNS, function, *state);
    if (code == NAMESPACE_REFUSED)
        skip();
    assert_int_equal(code, 0);
}

static void what_is_mounted_in_the_folder_can_be_entered(void **state)
{
    in_namespace(state, enter_mount);
}

static void what_is_mounted_in_the_folder_is_closed_when_asked(void **state)
{
    in_namespace(state, stay_out_of_mount);
}

/* ---- Forgetting ---- */

static void a_node_lives_for_as_many_lookups_as_there_were(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, again;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    fs_forget(r, node, 2);
    assert_int_equal(fs_getattr(r, node, NULL), 0);
    fs_forget(r, node, 1);
    assert_int_equal(fs_getattr(r, node, NULL), -ENOENT);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &again), 0);
    assert_int_not_equal(again, node);
    assert_int_equal(fs_getattr(r, node, NULL), -ENOENT);
}

static void forgetting_too_much_is_forgetting_all(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    unsigned before;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    before = fs_host_descriptors();
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_host_descriptors(), before + 1);
    fs_forget(r, node, UINT64_MAX);
    assert_int_equal(fs_getattr(r, node, NULL), -ENOENT);
    assert_int_equal(fs_host_descriptors(), before);
    fs_forget(r, node, 1);
    fs_forget(r, 12345, 1);
    fs_forget(r, FUSE_ROOT_ID, UINT64_MAX);
    assert_int_equal(fs_getattr(r, FUSE_ROOT_ID, NULL), 0);
}

static void many_are_forgotten_at_once(void **state)
{
    struct fs_rig *r = *state;
    struct {
        struct fuse_in_header head;
        struct fuse_batch_forget_in in;
        struct fuse_forget_one one[3];
    } request = {.head = {.opcode = FUSE_BATCH_FORGET}, .in = {.count = 3}};
    uint64_t node[3];
    char name[2] = "a";
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < 3; i++, name[0]++) {
        fs_host_put(r, name, "");
        assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, name, &node[i]), 0);
        request.one[i] = (struct fuse_forget_one){.nodeid = node[i], .nlookup = 1};
    }
    /* The last is not inside of what the header announces. */
    request.head.len = sizeof(request) - sizeof(request.one[2]);
    (void)fs_raw(r, FS_RIG_URGENT, &request, sizeof(request), 0);
    assert_int_equal(r->written, 0);
    assert_int_equal(fs_getattr(r, node[0], NULL), -ENOENT);
    assert_int_equal(fs_getattr(r, node[1], NULL), -ENOENT);
    assert_int_equal(fs_getattr(r, node[2], NULL), 0);
    request.in.count = UINT32_MAX;
    request.head.len = sizeof(request);
    (void)fs_raw(r, FS_RIG_URGENT, &request, sizeof(request), 0);
    assert_int_equal(fs_getattr(r, node[2], NULL), -ENOENT);
}

static void a_short_forget_is_passed_over(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_in_header head = {.len = 40, .opcode = FUSE_FORGET, .nodeid = FUSE_ROOT_ID};
    fs_rig_start(r, NULL);
    (void)fs_raw(r, FS_RIG_URGENT, &head, sizeof(head), 64);
    assert_int_equal(r->written, 0);
}

static void an_open_file_outlives_its_node(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, &fh), 0);
    fs_forget(r, node, 1);
    assert_int_equal(fs_read(r, fh, 0, 100), 7);
    assert_int_equal(fs_getattr(r, node, NULL), -ENOENT);
    assert_int_equal(fs_release(r, fh), 0);
}

static void there_are_no_more_nodes_than_configured(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config config = {.nodes_max = 3};
    uint64_t a, c;
    fs_host_put(r, "a", "");
    fs_host_put(r, "b", "");
    fs_host_put(r, "c", "");
    fs_rig_start(r, &config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "a", &a), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "b", NULL), 0);
    unsigned before = fs_host_descriptors();
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "c", NULL), -ENOMEM);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "a", NULL), 0);
    assert_int_equal(fs_host_descriptors(), before);
    fs_forget(r, a, 2);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "c", &c), 0);
}

/* ---- Few descriptors ---- */

#define MANY 200u

static void make_many(struct fs_rig *r, uint64_t *node)
{
    static const struct fs_config config = {.cache = FS_CACHE_ALWAYS, .fd_budget = FS_BUDGET_MIN};
    char name[16], content[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        (void)snprintf(content, sizeof(content), "content %u", i);
        fs_host_put(r, name, content);
    }
    fs_rig_start(r, &config);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, name, &node[i]), 0);
    }
}

static void check_found_again(struct fs_rig *r)
{
    uint64_t node[MANY], fh;
    char content[16];
    unsigned before = fs_host_descriptors();
    make_many(r, node);
    assert_true(fs_host_descriptors() <= before + FS_BUDGET_MIN + 10);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(content, sizeof(content), "content %u", i);
        assert_int_equal(fs_open(r, node[i], O_RDONLY, &fh), 0);
        assert_int_equal(fs_read(r, fh, 0, 100), strlen(content));
        assert_memory_equal(r->out, content, strlen(content));
        assert_int_equal(fs_release(r, fh), 0);
    }
    assert_true(fs_host_descriptors() <= before + FS_BUDGET_MIN + 10);
}

static void nodes_beyond_the_budget_are_found_again(void **state)
{
    check_found_again(*state);
}

static void nodes_beyond_the_budget_are_found_again_by_name(void **state)
{
    fs_rig_forbid_keys(*state);
    check_found_again(*state);
}

static void check_stale(struct fs_rig *r)
{
    uint64_t node[MANY], again;
    make_many(r, node);
    assert_int_equal(unlinkat(r->tree, "f0", 0), 0);
    fs_host_put(r, "f0", "another");
    assert_int_equal(fs_getattr(r, node[0], NULL), -ESTALE);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "f0", &again), 0);
    assert_int_not_equal(again, node[0]);
    assert_int_equal(fs_getattr(r, again, NULL), 0);
    assert_int_equal(fs_getattr(r, node[0], NULL), -ESTALE);
    fs_forget(r, node[0], 1);
    assert_int_equal(fs_getattr(r, node[0], NULL), -ENOENT);
    assert_int_equal(unlinkat(r->tree, "f1", 0), 0);
    assert_int_equal(fs_getattr(r, node[1], NULL), -ESTALE);
}

static void a_node_without_a_descriptor_whose_file_was_replaced_is_stale(void **state)
{
    check_stale(*state);
}

static void a_node_without_a_descriptor_is_not_mistaken_for_another_of_its_name(void **state)
{
    fs_rig_forbid_keys(*state);
    check_stale(*state);
}

static void a_moved_file_is_found_by_its_key(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[MANY];
    if (geteuid() != 0)
        return; /* keys take rights */
    make_many(r, node);
    assert_int_equal(renameat(r->tree, "f0", r->tree, "moved"), 0);
    assert_int_equal(fs_getattr(r, node[0], NULL), 0);
}

/* Move by the guest, which the device sees, so that no key is needed. */
static void a_file_that_the_guest_moved_is_found_by_its_new_name(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[MANY], folder, to[2];
    fs_rig_forbid_keys(r);
    make_many(r, node);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, &folder), 0);
    to[0] = folder;
    assert_int_equal(fs_call_names(r, FUSE_RENAME, FUSE_ROOT_ID, to, 8, "f0", "moved", 0), 0);
    const struct fuse_rename2_in swap = {.newdir = folder, .flags = 2};
    assert_int_equal(fs_call_names(r, FUSE_RENAME2, FUSE_ROOT_ID, &swap, sizeof(swap), "f1", "moved", 0), 0);
    for (unsigned i = 2; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    assert_int_equal(fs_getattr(r, node[0], NULL), 0);
    assert_int_equal(fs_getattr(r, node[1], NULL), 0);
    assert_int_equal(renameat(r->tree, "d/moved", r->tree, "d/again"), 0);
    for (unsigned i = 2; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    assert_int_equal(fs_getattr(r, node[1], NULL), -ESTALE);
    assert_int_equal(fs_lookup(r, folder, "again", &to[1]), 0);
    assert_int_equal(to[1], node[1]);
    assert_int_equal(fs_getattr(r, node[1], NULL), 0);
}

/* The host turns a tree inside out while the guest remembers the old one: no circle, and all ends well. */
static void folders_that_change_places_make_no_circle(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[MANY], a, b;
    fs_rig_forbid_keys(r);
    assert_int_equal(mkdirat(r->tree, "a", 0755), 0);
    assert_int_equal(mkdirat(r->tree, "a/b", 0755), 0);
    make_many(r, node);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "a", &a), 0);
    assert_int_equal(fs_lookup(r, a, "b", &b), 0);
    assert_int_equal(renameat(r->tree, "a/b", r->tree, "b"), 0);
    assert_int_equal(renameat(r->tree, "a", r->tree, "b/a"), 0);
    assert_int_equal(fs_lookup(r, b, "a", NULL), 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    assert_int_equal(fs_getattr(r, a, NULL), -ESTALE); /* where b is now, nobody has said */
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "b", NULL), 0);
    assert_int_equal(fs_getattr(r, a, NULL), 0);
    fs_forget(r, a, 2);
    fs_forget(r, b, 2);
    assert_int_equal(fs_getattr(r, a, NULL), -ENOENT);
}

static void a_folder_is_kept_for_those_that_were_seen_in_it(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[MANY], folder, file;
    fs_rig_forbid_keys(r);
    assert_int_equal(mkdirat(r->tree, "d", 0755), 0);
    fs_host_put(r, "d/file", "");
    make_many(r, node);
    unsigned before = fs_host_descriptors();
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "d", &folder), 0);
    assert_int_equal(fs_lookup(r, folder, "file", &file), 0);
    fs_forget(r, folder, 1);
    assert_int_equal(fs_getattr(r, folder, NULL), -ENOENT);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    assert_int_equal(fs_getattr(r, file, NULL), 0);
    fs_forget(r, file, 1);
    assert_true(fs_host_descriptors() <= before);
}

static void check_deep(struct fs_rig *r)
{
    uint64_t node[MANY], at = FUSE_ROOT_ID, deep[20];
    make_many(r, node);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(fs_mkdir(r, at, "d", 0755, &deep[i]), 0);
        at = deep[i];
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(fs_getattr(r, deep[19 - i], NULL), 0);
}

static void nodes_in_deep_folders_are_found_again(void **state)
{
    check_deep(*state);
}

static void nodes_in_deep_folders_are_found_again_by_their_names(void **state)
{
    fs_rig_forbid_keys(*state);
    check_deep(*state);
}

static void open_files_keep_their_descriptors(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[MANY], first, fh;
    fs_rig_forbid_keys(r);
    fs_host_put(r, "open", "content");
    make_many(r, node);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "open", &first), 0);
    assert_int_equal(fs_open(r, first, O_RDONLY, &fh), 0);
    assert_int_equal(unlinkat(r->tree, "open", 0), 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(fs_getattr(r, node[i], NULL), 0);
    assert_int_equal(fs_getattr(r, first, NULL), 0);
}

/* ---- Attributes ---- */

static struct fuse_attr set(struct fs_rig *r, uint64_t node, const struct fuse_setattr_in *in, int code)
{
    struct fuse_attr_out out = {.attr_valid = 0};
    assert_int_equal(fs_call(r, FUSE_SETATTR, node, in, sizeof(*in), sizeof(out)), code);
    if (code == 0)
        memcpy(&out, r->out, sizeof(out));
    return out.attr;
}

static void setattr_changes_the_mode(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    const struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = S_IFREG | 04711};
    assert_int_equal(set(r, node, &in, 0).mode, S_IFREG | 04711);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 04711);
}

static void setattr_cuts_and_lengthens(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh, folder;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 3};
    assert_int_equal(set(r, node, &in, 0).size, 3);
    assert_true(fs_host_has(r, "file", "con"));
    assert_int_equal(fs_open(r, node, O_RDWR, &fh), 0);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 5};
    assert_int_equal(set(r, node, &in, 0).size, 5);
    in.size = UINT64_MAX;
    (void)set(r, node, &in, -EFBIG);
    in.fh = 77; /* no such handle: the node it is */
    in.size = 1;
    assert_int_equal(set(r, node, &in, 0).size, 1);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, &folder), 0);
    (void)set(r, folder, &in, -EISDIR);
}

static void setattr_sets_times(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    struct fuse_setattr_in in = {
        .valid = FATTR_ATIME | FATTR_MTIME, .atime = 1000, .atimensec = 5, .mtime = 2000, .mtimensec = 6};
    struct fuse_attr attr = set(r, node, &in, 0);
    assert_int_equal(attr.atime, 1000);
    assert_int_equal(attr.mtimensec, 6);
    struct stat st = fs_host_lstat(r, "file");
    assert_int_equal(st.st_atim.tv_sec, 1000);
    assert_int_equal(st.st_atim.tv_nsec, 5);
    assert_int_equal(st.st_mtim.tv_sec, 2000);
    in = (struct fuse_setattr_in){.valid = FATTR_ATIME | FATTR_ATIME_NOW};
    attr = set(r, node, &in, 0);
    assert_true(attr.atime > 1000000);
    assert_int_equal(attr.mtime, 2000);
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtimensec = 2000000000};
    (void)set(r, node, &in, -EINVAL);
}

static void times_of_a_symbolic_link_are_its_own(void **state)
{
    struct fs_rig *r = *state;
    uint64_t link;
    fs_host_put(r, "file", "");
    time_t before = fs_host_lstat(r, "file").st_mtim.tv_sec;
    assert_int_equal(symlinkat("file", r->tree, "link"), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &link), 0);
    struct fuse_setattr_in in = {.valid = FATTR_MTIME, .mtime = 1234};
    (void)set(r, link, &in, 0);
    assert_int_equal(fs_host_lstat(r, "link").st_mtim.tv_sec, 1234);
    assert_int_equal(fs_host_lstat(r, "file").st_mtim.tv_sec, before);
    in = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0};
    (void)set(r, link, &in, -EOPNOTSUPP);
    assert_int_not_equal(fs_host_lstat(r, "file").st_mode & 0777, 0);
}

static void setattr_changes_the_owner_as_far_as_the_host_lets(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "file", "");
    assert_int_equal(fchmodat(r->tree, "file", 06755, 0), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    const struct fuse_setattr_in in = {.valid = FATTR_UID, .uid = 1234};
    struct fuse_attr attr = set(r, node, &in, geteuid() == 0 ? 0 : -EPERM);
    if (geteuid() != 0)
        return;
    assert_int_equal(attr.uid, 1234);
    assert_int_equal(attr.gid, getegid());
    assert_int_equal(attr.mode, S_IFREG | 0755); /* set-id bits go with the owner */
    assert_int_equal(fs_host_lstat(r, "file").st_uid, 1234);
}

static void getattr_by_handle_works_without_a_name(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "gone", O_RDWR, 0600, &node, &fh), 0);
    assert_int_equal(unlinkat(r->tree, "gone", 0), 0);
    const struct fuse_getattr_in in = {.getattr_flags = FUSE_GETATTR_FH, .fh = fh};
    struct fuse_attr_out out;
    assert_int_equal(fs_call(r, FUSE_GETATTR, node, &in, sizeof(in), sizeof(out)), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.attr.nlink, 0);
}

static void statx_tells_the_time_of_birth_and_hides_the_hosts_device(void **state)
{
    struct fs_rig *r = *state;
    const struct fs_statx_in in = {.mask = 0xfff};
    struct fs_statx_out out;
    uint64_t node;
    fs_host_put(r, "file", "12345");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_call(r, FS_OP_STATX, node, &in, sizeof(in), sizeof(out)), 0);
    memcpy(&out, r->out, sizeof(out));
    struct stat st = fs_host_lstat(r, "file");
    assert_int_equal(out.attr_valid, 1);
    assert_int_equal(out.stat.mask & 0x7ff, 0x7ff);
    assert_int_equal(out.stat.mask & ~0xfffu, 0);
    assert_int_equal(out.stat.ino, st.st_ino);
    assert_int_equal(out.stat.size, 5);
    assert_int_equal(out.stat.mtime.seconds, st.st_mtim.tv_sec);
    if ((out.stat.mask & 0x800) != 0)
        assert_true(out.stat.btime.seconds > 0);
    assert_int_equal(out.stat.dev_major | out.stat.dev_minor, 0);
    assert_int_equal(out.stat.mount, 0);
    assert_int_equal(fs_call(r, FS_OP_STATX, 99, &in, sizeof(in), sizeof(out)), -ENOENT);
}

static void readlink_of_what_is_no_link_is_einval(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call(r, FUSE_READLINK, FUSE_ROOT_ID, NULL, 0, 4096), -EINVAL);
}

static void readlink_without_room_is_an_error(void **state)
{
    struct fs_rig *r = *state;
    uint64_t link;
    assert_int_equal(symlinkat("0123456789", r->tree, "link"), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &link), 0);
    assert_int_equal(fs_call(r, FUSE_READLINK, link, NULL, 0, 9), -ERANGE);
    assert_int_equal(fs_call(r, FUSE_READLINK, link, NULL, 0, 10), 0);
}

static void access_answers_for_the_host(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config read_only = {.read_only = true};
    const struct fuse_access_in read = {.mask = R_OK}, write = {.mask = W_OK}, bad = {.mask = 0x100};
    fs_rig_start(r, &read_only);
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &read, sizeof(read), 0), 0);
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &write, sizeof(write), 0), -EROFS);
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &bad, sizeof(bad), 0), -EINVAL);
    assert_int_equal(fs_call(r, FUSE_ACCESS, 99, &read, sizeof(read), 0), -ENOENT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lookup_tells_what_the_host_has),
        CASE(without_a_cache_nothing_is_good_for_any_time),
        CASE(the_automatic_cache_is_good_for_a_second),
        CASE(the_full_cache_is_good_for_a_day),
        CASE(lookup_of_nothing_is_enoent),
        CASE(one_object_is_one_node_under_all_its_names),
        CASE(names_that_lead_elsewhere_are_refused),
        CASE(a_name_of_more_than_255_bytes_is_too_long),
        CASE(symbolic_links_are_told_and_never_followed),
        CASE(a_link_put_in_place_of_a_file_changes_nothing),
        CASE(a_folder_that_is_moved_out_leads_nowhere_else),
        CASE(what_is_no_file_is_shown_and_never_opened),
        CASE(what_is_mounted_in_the_folder_can_be_entered),
        CASE(what_is_mounted_in_the_folder_is_closed_when_asked),
        CASE(a_node_lives_for_as_many_lookups_as_there_were),
        CASE(forgetting_too_much_is_forgetting_all),
        CASE(many_are_forgotten_at_once),
        CASE(a_short_forget_is_passed_over),
        CASE(an_open_file_outlives_its_node),
        CASE(there_are_no_more_nodes_than_configured),
        CASE(nodes_beyond_the_budget_are_found_again),
        CASE(nodes_beyond_the_budget_are_found_again_by_name),
        CASE(a_node_without_a_descriptor_whose_file_was_replaced_is_stale),
        CASE(a_node_without_a_descriptor_is_not_mistaken_for_another_of_its_name),
        CASE(a_moved_file_is_found_by_its_key),
        CASE(a_file_that_the_guest_moved_is_found_by_its_new_name),
        CASE(folders_that_change_places_make_no_circle),
        CASE(a_folder_is_kept_for_those_that_were_seen_in_it),
        CASE(nodes_in_deep_folders_are_found_again),
        CASE(nodes_in_deep_folders_are_found_again_by_their_names),
        CASE(open_files_keep_their_descriptors),
        CASE(setattr_changes_the_mode),
        CASE(setattr_cuts_and_lengthens),
        CASE(setattr_sets_times),
        CASE(times_of_a_symbolic_link_are_its_own),
        CASE(setattr_changes_the_owner_as_far_as_the_host_lets),
        CASE(getattr_by_handle_works_without_a_name),
        CASE(statx_tells_the_time_of_birth_and_hides_the_hosts_device),
        CASE(readlink_of_what_is_no_link_is_einval),
        CASE(readlink_without_room_is_an_error),
        CASE(access_answers_for_the_host),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_lookup", tests, NULL, NULL);
}
