/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/oci_bundle.h"
#include "tests/lib/verity_fixture.h"

/* ---- Root ---- */

static void the_root_is_an_export(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_mount(r, PROC));
    assert_int_equal(r->plan.export_count, 1);
    assert_true(bundle_is_shared(bundle_guest(r)->Root.Path, r->plan.exports[0].name));
    assert_true(bundle_leads_to(r, r->plan.exports[0].fd, "rootfs"));
    assert_false(r->plan.exports[0].read_only);
    assert_string_equal(r->plan.create_container.container_id, "c1");
    assert_int_equal(r->plan.create_container.storages_count, 0);
    assert_string_equal(r->spec.spec.Root.Path, "rootfs");
}

static void names_of_exports_differ_between_containers(void **state)
{
    struct bundle_rig *r = *state;
    char first[OCI_EXPORT_NAME_MAX];
    bundle_must(r, bundle_plan_mount(r, PROC));
    strcpy(first, r->plan.exports[0].name);
    r->request.id = "c2";
    bundle_must(r, bundle_plan_mount(r, PROC));
    assert_string_not_equal(first, r->plan.exports[0].name);
}

static void a_long_id_makes_a_short_name(void **state)
{
    struct bundle_rig *r = *state;
    char id[1025];
    memset(id, 'a', 1024);
    id[1024] = '\0';
    r->request.id = id;
    bundle_must(r, bundle_plan_mount(r, PROC));
    assert_true(strlen(r->plan.exports[0].name) < OCI_EXPORT_NAME_MAX);
}

static void a_root_that_vanished_is_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan(r, "", "'path':'none'", NAMESPACES, ""), -ENOENT, "root.path: 'none': No such file");
}

static void a_root_that_is_a_file_is_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_file(r, "file", "x", 1);
    bundle_refuses(r, bundle_plan(r, "", "'path':'file'", NAMESPACES, ""), -ENOTDIR,
                   "is no folder; give one, or io.caisson");
}

static void a_root_behind_a_link_is_found(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_link(r, "rootfs", "link");
    bundle_must(r, bundle_plan(r, "", "'path':'link'", NAMESPACES, ""));
    assert_true(bundle_leads_to(r, r->plan.exports[0].fd, "rootfs"));
}

static void a_read_only_root_is_read_only_on_the_host(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan(r, PROC "," DEV, "'path':'rootfs','readonly':true", NAMESPACES, ""));
    assert_true(r->plan.exports[0].read_only);
    assert_true(bundle_has(r, "rootfs/proc", S_IFDIR));
    assert_true(bundle_has(r, "rootfs/dev", S_IFDIR));
}

static void a_read_only_root_without_dev_is_left_to_the_guest(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan(r, PROC, "'path':'rootfs','readonly':true", NAMESPACES, ""));
    assert_false(r->plan.exports[0].read_only);
    assert_false(bundle_has(r, "rootfs/proc", S_IFDIR));
}

static void mount_points_are_made_for_files_and_below_folders(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_file(r, "hosts", "", 0);
    bundle_must(r, bundle_plan(r,
                               DEV ",{'destination':'/etc/x/hosts','source':'hosts','options':['bind']},"
                                   "{'destination':'/dev/shm','type':'tmpfs','source':'shm'},"
                                   "{'destination':'/etc/null','source':'/dev/null','options':['bind']}",
                               "'path':'rootfs','readonly':true", NAMESPACES, ""));
    assert_true(bundle_has(r, "rootfs/etc/x/hosts", S_IFREG));
    assert_true(bundle_has(r, "rootfs/etc/null", S_IFREG));
    assert_false(bundle_has(r, "rootfs/dev/shm", S_IFDIR));
}

static void mount_points_stay_inside_the_root_whatever_its_links_say(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "outside");
    bundle_make_link(r, "/outside", "rootfs/absolute");
    bundle_make_link(r, "../../../../../../outside", "rootfs/up");
    bundle_make_link(r, "nowhere", "rootfs/dangling");
    bundle_make_dir(r, "rootfs/outside");
    bundle_must(r, bundle_plan(r,
                               DEV
                               ",{'destination':'/absolute/a','type':'tmpfs'},{'destination':'/up/b','type':'tmpfs'},"
                               "{'destination':'/dangling/c','type':'tmpfs'},{'destination':'/../../d','type':'tmpfs'}",
                               "'path':'rootfs','readonly':true", NAMESPACES, ""));
    assert_false(bundle_has(r, "outside/a", S_IFDIR));
    assert_false(bundle_has(r, "outside/b", S_IFDIR));
    assert_true(bundle_has(r, "rootfs/outside/a", S_IFDIR));
    assert_true(bundle_has(r, "rootfs/outside/b", S_IFDIR));
    assert_true(bundle_has(r, "rootfs/d", S_IFDIR));
    assert_false(bundle_has(r, "d", S_IFDIR));
    assert_int_equal(r->plan.notes.count, 1);
    assert_non_null(strstr(r->plan.notes.text[0], "/dangling/c is missing"));
}

static const grpc_Storage *storage(const struct bundle_rig *r, size_t i, const char *driver)
{
    assert_true(i < r->plan.create_container.storages_count);
    const grpc_Storage *s = &r->plan.create_container.storages[i];
    assert_string_equal(s->driver, driver);
    return s;
}

static void an_overlay_seals_the_folder_and_writes_to_memory(void **state)
{
    struct bundle_rig *r = *state;
    char lower[128];
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.rootfs':'overlay'"));
    assert_true(r->plan.exports[0].read_only);
    assert_int_equal(r->plan.create_container.storages_count, 2);
    const grpc_Storage *memory = storage(r, 0, "ephemeral"), *sum = storage(r, 1, "overlayfs");
    snprintf(lower, sizeof lower, "lowerdir=" OCI_GUEST_SHARED "/%s", r->plan.exports[0].name);
    assert_string_equal(sum->options[0], lower);
    assert_string_equal(sum->fstype, "overlay");
    assert_non_null(strstr(sum->options[1], memory->mount_point));
    assert_string_equal(bundle_guest(r)->Root.Path, sum->mount_point);
}

static void an_option_beats_the_annotation(void **state)
{
    struct bundle_rig *r = *state;
    r->request.rootfs = OCI_ROOTFS_SHARE;
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.rootfs':'overlay'"));
    assert_false(r->plan.exports[0].read_only);
}

/* ---- Images ---- */

static void make_image(const struct bundle_rig *r, const char *name, size_t at, const char *magic, size_t size)
{
    uint8_t bytes[4096] = {0};
    memcpy(bytes + at, magic, size);
    bundle_make_file(r, name, bytes, sizeof bytes);
}

static int plan_image(struct bundle_rig *r, const char *name)
{
    char root[64];
    r->request.rootfs = OCI_ROOTFS_IMAGE;
    snprintf(root, sizeof root, "'path':'%s'", name);
    return bundle_plan(r, "", root, NAMESPACES, "");
}

static void images_are_known_by_their_first_bytes(void **state)
{
    struct bundle_rig *r = *state;
    char path[512];
    make_image(r, "squash", 0, "hsqs", 4);
    make_image(r, "ero", 1024, "\xe2\xe1\xf5\xe0", 4);
    make_image(r, "ext", 1080, "\x53\xef", 2);
    bundle_must(r, plan_image(r, "squash"));
    assert_string_equal(r->plan.disk.fstype, "squashfs");
    bundle_must(r, plan_image(r, "ext"));
    assert_string_equal(r->plan.disk.fstype, "ext4");
    assert_string_equal(storage(r, 0, "blk")->options[1], "noload");
    bundle_must(r, plan_image(r, "ero"));
    bundle_path(r, "ero", path);
    assert_string_equal(r->plan.disk.path, path);
    assert_int_equal(r->plan.export_count, 0);
    assert_int_equal(r->plan.create_container.storages_count, 3);
    const grpc_Storage *disk = storage(r, 0, "blk");
    assert_string_equal(disk->fstype, "erofs");
    assert_string_equal(disk->options[0], "ro");
    assert_int_equal(strncmp(disk->source, "serial=", 7), 0);
    assert_string_equal(disk->source + 7, r->plan.disk.serial);
    assert_true(strlen(r->plan.disk.serial) <= OCI_SERIAL_NAME_MAX);
}

/* EROFS by its magic, and a superblock of dm-verity where a tree for 200 blocks has it. */
static void make_verified(const struct bundle_rig *r, const char *name, uint8_t block_bits)
{
    const size_t block = VERITY_BLOCK_BYTES, blocks = VERITY_FIXTURE_BLOCKS + 1 + VERITY_FIXTURE_TREE;
    uint8_t *bytes = calloc(blocks, block);
    assert_non_null(bytes);
    memcpy(bytes + 1024, "\xe2\xe1\xf5\xe0", 4);
    bytes[1036] = block_bits;
    verity_fixture_super(bytes + VERITY_FIXTURE_BLOCKS * block);
    bundle_make_file(r, name, bytes, blocks * block);
    free(bytes);
}

static int plan_verified(struct bundle_rig *r, const char *name, const char *kind, const char *hash)
{
    char root[64], annotations[256];
    snprintf(root, sizeof root, "'path':'%s'", name);
    snprintf(annotations, sizeof annotations, "%s'io.caisson.verity':'%s'", kind, hash);
    return bundle_plan(r, "", root, NAMESPACES, annotations);
}

#define IMAGE "'io.caisson.rootfs':'image',"
#define OTHER "0bc9d9b20b712b54f1ad4d57b430f4bf7338d3eedce5766e59b9c9bb905f5d8f"

static void an_image_with_a_root_hash_is_verified_in_the_guest(void **state)
{
    struct bundle_rig *r = *state;
    make_verified(r, "image", 12);
    if (!CONFIG_VERITY) {
        bundle_refuses(r, plan_verified(r, "image", IMAGE, VERITY_FIXTURE_ROOT), -EOPNOTSUPP, "no verified images");
        return;
    }
    bundle_must(r, plan_verified(r, "image", IMAGE, VERITY_FIXTURE_ROOT));
    const grpc_Storage *disk = storage(r, 0, "blk");
    assert_string_equal(r->plan.disk.root_hash, VERITY_FIXTURE_ROOT);
    assert_int_equal(disk->driver_options_count, 2);
    assert_string_equal(disk->driver_options[0], "verity_root=" VERITY_FIXTURE_ROOT);
    assert_string_equal(disk->driver_options[1], "verity_offset=819200");
    assert_int_equal(r->plan.create_container.storages_count, 3);
    assert_int_equal(r->plan.create_container.storages[1].driver_options_count, 0);
}

static void a_root_hash_on_the_command_line_beats_the_bundle_s(void **state)
{
    struct bundle_rig *r = *state;
    if (!CONFIG_VERITY)
        skip();
    make_verified(r, "image", 12);
    r->request.verity = OTHER;
    bundle_must(r, plan_verified(r, "image", IMAGE, VERITY_FIXTURE_ROOT));
    assert_string_equal(storage(r, 0, "blk")->driver_options[0], "verity_root=" OTHER);
    bundle_must(r, plan_image(r, "image"));
    assert_string_equal(r->plan.disk.root_hash, OTHER);
    r->request.verity = "x";
    bundle_refuses(r, plan_image(r, "image"), -EINVAL, "--verity: 'x' is no root hash");
}

static void an_image_without_a_root_hash_is_believed(void **state)
{
    struct bundle_rig *r = *state;
    make_verified(r, "image", 12);
    bundle_must(r, plan_image(r, "image"));
    assert_string_equal(r->plan.disk.root_hash, "");
    assert_int_equal(storage(r, 0, "blk")->driver_options_count, 0);
}

static void what_cannot_be_verified_is_refused(void **state)
{
    struct bundle_rig *r = *state;
    const char *const hash = VERITY_FIXTURE_ROOT;
    if (!CONFIG_VERITY)
        skip();
    make_verified(r, "image", 12);
    make_image(r, "bare", 1024, "\xe2\xe1\xf5\xe0", 4);
    bundle_refuses(r, plan_verified(r, "bare", IMAGE, hash), -EINVAL, "cannot be verified: its size is not that of");
    make_verified(r, "fine", 9);
    bundle_refuses(r, plan_verified(r, "fine", IMAGE, hash), -EINVAL, "has blocks smaller than 4096 bytes");
    bundle_refuses(r, plan_verified(r, "rootfs", "", hash), -EINVAL, "io.caisson.verity: only an image");
    bundle_refuses(r, plan_verified(r, "image", "", hash), -EINVAL, "io.caisson.verity: only an image");
    bundle_refuses(r, plan_verified(r, "image", IMAGE, ""), -EINVAL, "io.caisson.verity: '' is no root hash");
    bundle_refuses(r, plan_verified(r, "image", IMAGE, VERITY_FIXTURE_ROOT "0"), -EINVAL, "is no root hash");
}

static void what_is_no_image_never_becomes_a_disk(void **state)
{
    struct bundle_rig *r = *state;
    uint8_t both[4096] = {0};
    memcpy(both, "hsqs", 4);
    memcpy(both + 1080, "\x53\xef", 2);
    bundle_make_file(r, "both", both, sizeof both);
    bundle_make_file(r, "short", "hsqs", 4);
    make_image(r, "zero", 0, "", 0);
    bundle_refuses(r, plan_image(r, "rootfs"), -EINVAL, "is no regular file");
    bundle_refuses(r, plan_image(r, "/dev/null"), -EINVAL, "is no regular file");
    bundle_refuses(r, plan_image(r, "zero"), -EINVAL, "no file system that is known");
    bundle_refuses(r, plan_image(r, "both"), -EINVAL, "more than one file system at once");
    bundle_refuses(r, plan_image(r, "short"), -EINVAL, "too short");
}

static void an_image_is_no_root_unless_one_says_so(void **state)
{
    struct bundle_rig *r = *state;
    make_image(r, "ero", 1024, "\xe2\xe1\xf5\xe0", 4);
    bundle_refuses(r, bundle_plan(r, "", "'path':'ero'", NAMESPACES, ""), -ENOTDIR, "root.path");
}

static void a_running_pod_gets_no_disk(void **state)
{
    struct bundle_rig *r = *state;
    make_image(r, "ero", 1024, "\xe2\xe1\xf5\xe0", 4);
    bundle_refuses(r,
                   bundle_plan(r, "", "'path':'ero'", NAMESPACES,
                               "'io.caisson.rootfs':'image','io.kubernetes.cri.container-type':'container',"
                               "'io.kubernetes.cri.sandbox-id':'s'"),
                   -EOPNOTSUPP, "a pod that runs gets no more disks");
}

/* ---- Mounts ---- */

static void a_folder_and_a_file_are_exported(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "data");
    bundle_make_file(r, "hosts", "x", 1);
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['rbind','rw']},"
                                        "{'destination':'/etc/hosts','source':'hosts','options':['bind','ro']}"));
    assert_int_equal(r->plan.export_count, 3);
    assert_true(bundle_is_shared(bundle_guest(r)->Mounts[0].source, r->plan.exports[1].name));
    assert_true(bundle_leads_to(r, r->plan.exports[1].fd, "data"));
    assert_false(r->plan.exports[1].read_only);
    assert_true(bundle_is_shared(bundle_guest(r)->Mounts[1].source, r->plan.exports[2].name));
    assert_true(bundle_leads_to(r, r->plan.exports[2].fd, "hosts"));
    assert_true(r->plan.exports[2].read_only);
    assert_string_equal(bundle_guest(r)->Mounts[1].options[1], "ro");
    assert_non_null(strstr(r->plan.exports[2].what, "mounts[1].source"));
}

static void the_last_of_ro_and_rw_counts(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "data");
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['rbind','ro','rw']}"));
    assert_false(r->plan.exports[1].read_only);
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['rbind','rw','rro']}"));
    assert_true(r->plan.exports[1].read_only);
}

static void a_mount_of_type_bind_is_one(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "data");
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','type':'bind'}"));
    assert_int_equal(r->plan.export_count, 2);
}

static void a_source_that_vanished_is_refused_by_name(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_mount(r, PROC ",{'destination':'/d','source':'gone','options':['bind']}"), -ENOENT,
                   "mounts[1].source: 'gone': No such file or directory; make it, or correct the path");
}

static void a_source_that_leads_in_a_circle_is_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_link(r, "loop", "loop");
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/d','source':'loop','options':['bind']}"), -ELOOP,
                   "mounts[0].source");
}

static void sockets_and_fifos_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[512];
    bundle_path(r, "fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/d','source':'socket','options':['bind']}"), -EOPNOTSUPP,
                   "is a socket");
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/d','source':'fifo','options':['bind']}"), -EOPNOTSUPP,
                   "neither folder nor regular file");
    close(fd);
}

static void devices_that_every_linux_has_are_the_guests_own(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_link(r, "/dev/zero", "zero");
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/a','source':'/dev/null','options':['bind']},"
                                        "{'destination':'/b','source':'zero','options':['bind']}"));
    assert_string_equal(bundle_guest(r)->Mounts[0].source, "/dev/null");
    assert_string_equal(bundle_guest(r)->Mounts[1].source, "/dev/zero");
    assert_int_equal(r->plan.export_count, 1);
}

static void other_devices_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','source':'/dev/ptmx','options':['bind']}"), -EOPNOTSUPP,
                   "is a device of the host");
}

static void views_of_the_kernel_are_the_guests_own(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/a','source':'/sys/kernel','options':['rbind']},"
                                        "{'destination':'/b','source':'/proc/../proc/sys','options':['rbind']},"
                                        "{'destination':'/c','source':'/dev','options':['rbind']}"));
    assert_string_equal(bundle_guest(r)->Mounts[0].source, "/sys/kernel");
    assert_string_equal(bundle_guest(r)->Mounts[1].source, "/proc/sys");
    assert_string_equal(bundle_guest(r)->Mounts[2].source, "/dev");
    assert_int_equal(r->plan.export_count, 1);
}

static void processes_of_the_host_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','source':'/proc/self/','options':['bind']}"),
                   -EOPNOTSUPP, "belongs to a process of the host");
}

static void shared_memory_is_the_pods(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "shm");
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/dev/shm','source':'shm','type':'bind','options':['rbind']}"));
    assert_string_equal(bundle_guest(r)->Mounts[0].source, OCI_GUEST_STORAGE "/shm");
    assert_int_equal(r->plan.export_count, 1);
    const grpc_CreateSandboxRequest *s = &r->plan.create_sandbox;
    assert_int_equal(s->storages_count, 2);
    assert_string_equal(s->storages[0].driver, "virtio-fs");
    assert_string_equal(s->storages[0].source, OCI_SHARE_TAG);
    assert_string_equal(s->storages[0].mount_point, OCI_GUEST_SHARED);
    assert_string_equal(s->storages[1].mount_point, OCI_GUEST_STORAGE "/shm");
    assert_string_equal(s->storages[1].options[s->storages[1].options_count - 1], "size=67108864");
}

static void a_tmpfs_at_shm_stays_the_containers(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(
        r, bundle_plan_mount(r, "{'destination':'/dev/shm','source':'shm','type':'tmpfs','options':['size=65536k']}"));
    assert_string_equal(bundle_guest(r)->Mounts[0].source, "shm");
    assert_string_equal(bundle_guest(r)->Mounts[0].type, "tmpfs");
}

static void file_systems_of_the_guests_kernel_pass(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r,
                bundle_plan_mount(r, PROC "," DEV ",{'destination':'/s','type':'sysfs','source':'sysfs'},"
                                          "{'destination':'/p','type':'devpts','source':'devpts','options':['gid=5']},"
                                          "{'destination':'/q','type':'mqueue','source':'mqueue'},"
                                          "{'destination':'/g','type':'cgroup','source':'cgroup','options':['ro']}"));
    assert_int_equal(bundle_guest(r)->Mounts_count, 6);
    assert_string_equal(bundle_guest(r)->Mounts[5].type, "cgroup");
}

static void the_pods_evidence_passes_and_nothing_else_of_its_kind(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/run/caisson','type':'caisson','source':'trust'}"));
    assert_string_equal(bundle_guest(r)->Mounts[0].type, "caisson");
    assert_string_equal(bundle_guest(r)->Mounts[0].source, "trust");
    assert_int_equal(r->plan.export_count, 1);
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','type':'caisson','source':'/etc'}"), -EINVAL,
                   "mounts[0].source: '/etc' is not what type caisson has");
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','type':'caisson'}"), -EINVAL, "'trust'");
}

static void file_systems_of_the_host_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','type':'ext4','source':'/dev/sda1'}"), -EOPNOTSUPP,
                   "mounts[0].type: a pod cannot mount 'ext4'");
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a','type':'overlay','source':'overlay'}"), -EOPNOTSUPP,
                   "'overlay'");
    bundle_refuses(r, bundle_plan_mount(r, "{'destination':'/a'}"), -EOPNOTSUPP, "mounts[0].type");
}

static void a_remount_is_left_alone(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(
        r, bundle_plan_mount(r, PROC ",{'destination':'/proc','source':'gone','options':['remount','bind','ro']}"));
    assert_string_equal(bundle_guest(r)->Mounts[1].source, "gone");
}

static void relative_sources_need_a_bundle(void **state)
{
    struct bundle_rig *r = *state;
    static const char text[] = "{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
                               "\"root\":{\"path\":\"rootfs\"}}";
    assert_int_equal(oci_spec_parse(text, strlen(text), "x", NULL, &r->spec, &r->err), 0);
    bundle_refuses(r, oci_plan_make(&r->request, &r->plan, &r->err), -EINVAL, "root.path: 'rootfs' is relative");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bundle_setup, bundle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_root_is_an_export),
        CASE(names_of_exports_differ_between_containers),
        CASE(a_long_id_makes_a_short_name),
        CASE(a_root_that_vanished_is_refused),
        CASE(a_root_that_is_a_file_is_refused),
        CASE(a_root_behind_a_link_is_found),
        CASE(a_read_only_root_is_read_only_on_the_host),
        CASE(a_read_only_root_without_dev_is_left_to_the_guest),
        CASE(mount_points_are_made_for_files_and_below_folders),
        CASE(mount_points_stay_inside_the_root_whatever_its_links_say),
        CASE(an_overlay_seals_the_folder_and_writes_to_memory),
        CASE(an_option_beats_the_annotation),
        CASE(images_are_known_by_their_first_bytes),
        CASE(an_image_with_a_root_hash_is_verified_in_the_guest),
        CASE(a_root_hash_on_the_command_line_beats_the_bundle_s),
        CASE(an_image_without_a_root_hash_is_believed),
        CASE(what_cannot_be_verified_is_refused),
        CASE(what_is_no_image_never_becomes_a_disk),
        CASE(an_image_is_no_root_unless_one_says_so),
        CASE(a_running_pod_gets_no_disk),
        CASE(a_folder_and_a_file_are_exported),
        CASE(the_last_of_ro_and_rw_counts),
        CASE(a_mount_of_type_bind_is_one),
        CASE(a_source_that_vanished_is_refused_by_name),
        CASE(a_source_that_leads_in_a_circle_is_refused),
        CASE(sockets_and_fifos_are_refused),
        CASE(devices_that_every_linux_has_are_the_guests_own),
        CASE(other_devices_are_refused),
        CASE(views_of_the_kernel_are_the_guests_own),
        CASE(processes_of_the_host_are_refused),
        CASE(shared_memory_is_the_pods),
        CASE(a_tmpfs_at_shm_stays_the_containers),
        CASE(file_systems_of_the_guests_kernel_pass),
        CASE(the_pods_evidence_passes_and_nothing_else_of_its_kind),
        CASE(file_systems_of_the_host_are_refused),
        CASE(a_remount_is_left_alone),
        CASE(relative_sources_need_a_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
