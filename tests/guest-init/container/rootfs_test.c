/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of file systems: mounts, their options, protection, and images that try to get out. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/container.h"
#include "guest-init/container/rootfs.h"
#include "guest-init/container/storage.h"
#include "tests/lib/box.h"

#define SHARED CONTAINER_SHARED "/data"

/* A folder as the host would have shared it, with a file, and one that is nobody's business. */
static int setup(void **state)
{
    struct box *b = calloc(1, sizeof *b);
    *state = b;
    if (access("/.caisson-test", F_OK) != 0)
        return b != NULL ? 0 : -1;
    return b != NULL &&
                   system("rm -rf " SHARED " /run/outside; mkdir -p " SHARED "/sub /run/outside && echo data >" SHARED
                          "/file && echo secret >/run/outside/secret") == 0
               ? 0
               : -1;
}

static int teardown(void **state)
{
    box_scrap(*state);
    free(*state);
    return access("/.caisson-test", F_OK) != 0 || system("cd " BOX_ROOT " && rm -rf evil made x") == 0 ? 0 : -1;
}

#define BOX(script)                                                                                                    \
    struct box *b = *state;                                                                                            \
    box_need_guest();                                                                                                  \
    box_init(b, script)

static void expect(struct box *b, int code, const char *out)
{
    int result = box_run(b);
    if (result != code)
        fail_msg("result %d, not %d; %s; output: %s", result, code, b->err.text, b->out);
    assert_string_equal(b->out, out);
}

static void expect_refusal(struct box *b, int code, const char *text)
{
    int result = box_run(b);
    if (result != code || strstr(b->err.text, text) == NULL)
        fail_msg("result %d, not %d; %s", result, code, b->err.text);
}

/* ---- What is there ----------------------------------------------------------------------------------------------- */

static void nothing_of_the_guest_is_left_in_sight(void **state)
{
    BOX("cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '; ls -d /run /.caisson-test 2>&1 | wc -l");
    expect(b, 0, "/ /dev /dev/pts /proc /tmp 2\n");
}

/* In a mount namespace whose root can be exchanged, as process 1 makes it. */
static int run_on_prepared_root(struct box *b)
{
    pid_t pid = fork();
    if (pid == 0) {
        bool ready =
            unshare(CLONE_NEWNS) == 0 && system("mkdir -p /run/new") == 0 && rootfs_prepare_machine("/run/new") == 0;
        _exit(ready && box_run(b) == 0 && strcmp(b->out, "/ /dev /dev/pts /proc /tmp \n") == 0 ? 0 : 1);
    }
    int status;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void a_root_that_can_be_exchanged_is_exchanged(void **state)
{
    BOX("cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '; echo");
    assert_int_equal(run_on_prepared_root(b), 0);
}

static void the_usual_devices_and_links_are_there(void **state)
{
    BOX("cd /dev; stat -c '%n %t:%T %a' null zero full random urandom tty; "
        "for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x >null; head -c 2 zero | wc -c");
    expect(b, 0,
           "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\ntty 5:0 666\n"
           "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n2\n");
}

static void a_file_in_the_place_of_a_device_is_an_error(void **state)
{
    BOX("true");
    assert_int_equal(system("mkdir -p " BOX_ROOT "/x && echo >" BOX_ROOT "/x/null"), 0);
    grpc_LinuxDevice d = {.Path = (char[]){"/x/null"}, .Type = (char[]){"c"}, .Major = 1, .Minor = 3};
    b->spec.Linux.Devices = &d;
    b->spec.Linux.Devices_count = 1;
    expect_refusal(b, -EEXIST, "cannot make the device /x/null");
}

static void mounts_of_every_kind_come_in_order(void **state)
{
    BOX("cat /x/file; touch /x/new && echo writable; grep -E ' /(sys|dev/mqueue|x|x/sub) ' /proc/self/mountinfo | "
        "sed 's/.* - //' | cut -d' ' -f1 | tr '\\n' ' '");
    box_mount(b, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
    box_mount(b, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
    box_mount(b, "/x", "bind", SHARED, "rbind,rw");
    box_mount(b, "/x/sub", "tmpfs", "tmpfs", "size=64k");
    expect(b, 0, "data\nwritable\nsysfs mqueue tmpfs tmpfs ");
}

static void a_file_is_bound_on_a_file_that_is_made(void **state)
{
    BOX("cat /made/deep/file; ! echo x 2>/dev/null >/made/deep/file");
    box_mount(b, "/made/deep/file", "bind", SHARED "/file", "bind,ro");
    expect(b, 0, "data\n");
}

static void options_reach_the_mount(void **state)
{
    BOX("grep ' /x ' /proc/self/mountinfo | cut -d' ' -f6; grep ' /x ' /proc/self/mountinfo | grep -o 'size=[0-9k]*'");
    box_mount(b, "/x", "tmpfs", "tmpfs", "nosuid,nodev,noexec,noatime,ro,size=128k,mode=700");
    expect(b, 0, "ro,nosuid,nodev,noexec,noatime\nsize=128k\n");
}

static void read_only_for_a_tree_covers_what_is_mounted_below(void **state)
{
    BOX("touch /x/sub/y 2>&1");
    assert_int_equal(system("mount -t tmpfs t " SHARED "/sub"), 0);
    box_mount(b, "/x", "bind", SHARED, "rbind,rro");
    int result = box_run(b);
    assert_int_equal(system("umount " SHARED "/sub"), 0);
    assert_int_equal(result, 1);
    assert_non_null(strstr(b->out, "Read-only file system"));
}

static void read_only_alone_does_not(void **state)
{
    BOX("touch /x/sub/y && ! touch /x/y 2>/dev/null");
    assert_int_equal(system("mount -t tmpfs t " SHARED "/sub"), 0);
    box_mount(b, "/x", "bind", SHARED, "rbind,ro");
    int result = box_run(b);
    assert_int_equal(system("umount " SHARED "/sub"), 0);
    assert_int_equal(result, 0);
}

static void a_tmpfs_takes_over_what_it_hides(void **state)
{
    BOX("cat /etc/passwd | head -n 1; touch /etc/new && stat -c %a /etc/group");
    box_mount(b, "/etc", "tmpfs", "tmpfs", "tmpcopyup");
    expect(b, 0, "root:x:0:0::/root:/bin/sh\n644\n");
    assert_int_equal(access(BOX_ROOT "/etc/new", F_OK), -1);
}

static void owners_of_a_mount_are_mapped(void **state)
{
    grpc_LinuxIDMapping map[] = {{.HostID = 5000, .ContainerID = 0, .Size = 1000}};
    BOX("stat -c %u /x/file");
    /* Which file systems can do it depends on the kernel; where it cannot, it has to say so. */
    grpc_Mount *m = box_mount(b, "/x", "bind", SHARED, "rbind,idmap");
    m->UIDMappings = m->GIDMappings = map;
    m->UIDMappings_count = m->GIDMappings_count = 1;
    int result = box_run(b);
    assert_true(result == 0 ? strcmp(b->out, "5000\n") == 0
                            : result == -EINVAL && strstr(b->err.text, "leave idmap out") != NULL);
}

static void idmap_without_maps_is_an_error(void **state)
{
    BOX("true");
    box_mount(b, "/x", "bind", SHARED, "rbind,idmap");
    expect_refusal(b, -EINVAL, "neither the mount nor the container has ID mappings");
}

static void a_mount_is_changed_by_remount(void **state)
{
    BOX("grep ' /tmp ' /proc/self/mountinfo | cut -d' ' -f6");
    box_mount(b, "/tmp", "tmpfs", "tmpfs", "remount,noexec,size=64k");
    expect(b, 0, "rw,noexec,relatime\n");
}

static void the_root_can_be_shared_slave_or_private(void **state)
{
    static const char *const words[][2] = {
        {"rshared", "shared"}, {"rslave", ""}, {"rprivate", ""}, {"unbindable", "unbindable"}};
    for (size_t i = 0; i < 4; i++) {
        BOX("grep ' / / ' /proc/self/mountinfo || grep -E '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / ' /proc/self/mountinfo");
        b->spec.Linux.RootfsPropagation = strdup(words[i][0]);
        assert_int_equal(box_run(b), 0);
        bool shown = strstr(b->out, "shared:") != NULL || strstr(b->out, "unbindable") != NULL;
        assert_int_equal(shown, words[i][1][0] != '\0');
        free(b->spec.Linux.RootfsPropagation);
    }
}

static void an_unknown_propagation_is_refused(void **state)
{
    BOX("true");
    b->spec.Linux.RootfsPropagation = (char[]){"sideways"};
    expect_refusal(b, -EINVAL, "sideways");
}

/* ---- Protection -------------------------------------------------------------------------------------------------- */

static void paths_are_masked_and_read_only(void **state)
{
    char *masked[] = {(char[]){"/proc/version"}, (char[]){"/proc/irq"}, (char[]){"/not/there"}};
    char *fixed[] = {(char[]){"/proc/sys"}, (char[]){"/etc"}};
    BOX("cat /proc/version | wc -c; ls /proc/irq | wc -l; touch /proc/irq/x 2>&1 | grep -c Read-only; "
        "echo 1 2>&1 >/proc/sys/kernel/shmmni; touch /etc/x 2>&1; ls /etc");
    b->spec.Linux.MaskedPaths = masked;
    b->spec.Linux.MaskedPaths_count = 3;
    b->spec.Linux.ReadonlyPaths = fixed;
    b->spec.Linux.ReadonlyPaths_count = 2;
    expect(b, 0,
           "0\n0\n1\n/bin/sh: can't create /proc/sys/kernel/shmmni: Read-only file system\n"
           "touch: /etc/x: Read-only file system\ngroup\npasswd\n");
}

static void a_read_only_root_still_has_its_mounts(void **state)
{
    BOX("touch /x 2>&1; touch /tmp/x && echo tmp; echo >/dev/null && echo dev");
    b->spec.Root.Readonly = true;
    expect(b, 0, "touch: /x: Read-only file system\ntmp\ndev\n");
}

static void kernel_parameters_are_those_of_the_namespaces(void **state)
{
    grpc_Linux_SysctlEntry entries[] = {{(char[]){"kernel.shmmni"}, (char[]){"777"}},
                                        {(char[]){"fs/mqueue/msg_max"}, (char[]){"55"}}};
    BOX("cat /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max");
    b->spec.Linux.Sysctl = entries;
    b->spec.Linux.Sysctl_count = 2;
    expect(b, 0, "777\n55\n");
    assert_int_equal(system("[ $(cat /proc/sys/kernel/shmmni) != 777 ]"), 0);
}

static void unknown_kernel_parameters_are_told(void **state)
{
    grpc_Linux_SysctlEntry entry = {(char[]){"kernel.no_such_thing"}, (char[]){"1"}};
    BOX("true");
    b->spec.Linux.Sysctl = &entry;
    b->spec.Linux.Sysctl_count = 1;
    expect_refusal(b, -ENOENT, "kernel.no_such_thing");
}

/* ---- Hostile images ---------------------------------------------------------------------------------------------- */

static void a_link_out_of_the_image_does_not_lead_a_mount_out(void **state)
{
    BOX("true");
    assert_int_equal(system("mkdir " BOX_ROOT "/evil && ln -s ../../../../../../run/outside " BOX_ROOT "/evil/up && "
                            "ln -s /run/outside " BOX_ROOT "/evil/over"),
                     0);
    box_mount(b, "/evil/up/a", "tmpfs", "tmpfs", NULL);
    box_mount(b, "/evil/over/b", "tmpfs", "tmpfs", NULL);
    box_mount(b, "/../../../../run/outside/c", "tmpfs", "tmpfs", NULL);
    expect(b, 0, "");
    assert_int_equal(system("[ \"$(ls /run/outside)\" = secret ]"), 0);
    assert_int_equal(system("rm -r " BOX_ROOT "/run"), 0);
}

static void masks_and_devices_stay_inside_as_well(void **state)
{
    char *masked[] = {(char[]){"/evil/secret"}};
    BOX("true");
    grpc_LinuxDevice d = {.Path = (char[]){"/evil/dev/node"}, .Type = (char[]){"c"}, .Major = 1, .Minor = 3};
    assert_int_equal(system("mkdir " BOX_ROOT "/evil && ln -s /run/outside/secret " BOX_ROOT "/evil/secret && "
                            "ln -s ../../../../../../run/outside " BOX_ROOT "/evil/dev"),
                     0);
    b->spec.Linux.MaskedPaths = masked;
    b->spec.Linux.MaskedPaths_count = 1;
    b->spec.Linux.Devices = &d;
    b->spec.Linux.Devices_count = 1;
    expect(b, 0, "");
    assert_int_equal(system("[ \"$(ls /run/outside)\" = secret ] && [ -s /run/outside/secret ]"), 0);
    assert_int_equal(system("rm -r " BOX_ROOT "/run"), 0);
}

static void a_link_in_a_shared_folder_is_no_source(void **state)
{
    BOX("cat /x/secret");
    assert_int_equal(symlink("/run/outside", SHARED "/link"), 0);
    box_mount(b, "/x", "bind", SHARED "/link", "rbind");
    expect_refusal(b, -ELOOP, "without symbolic links");
}

static void a_working_folder_outside_is_not_reached(void **state)
{
    BOX("pwd");
    assert_int_equal(system("mkdir " BOX_ROOT "/evil && ln -s ../../../../run/outside " BOX_ROOT "/evil/cwd"), 0);
    b->spec.Process.Cwd = (char[]){"/evil/cwd"};
    expect(b, 0, "/run/outside\n");
    assert_int_equal(system("rmdir " BOX_ROOT "/run/outside " BOX_ROOT "/run"), 0);
}

static void the_image_cannot_become_passwd(void **state)
{
    grpc_StringUser user = {.uid = (char[]){"root"}};
    BOX("id -u");
    assert_int_equal(system("mv " BOX_ROOT "/etc/passwd " BOX_ROOT "/etc/kept && mkfifo " BOX_ROOT "/etc/passwd"), 0);
    b->request.string_user = &user;
    int result = box_run(b);
    assert_int_equal(system("mv " BOX_ROOT "/etc/kept " BOX_ROOT "/etc/passwd"), 0);
    assert_int_equal(result, -ENOENT);
}

/* ---- Storages ---------------------------------------------------------------------------------------------------- */

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static grpc_Storage storage_of(const char *driver, const char *source, const char *point, char **options, size_t count)
{
    return (grpc_Storage){.driver = literal(driver),
                          .source = literal(source),
                          .mount_point = literal(point),
                          .options = options,
                          .options_count = (pb_size_t)count};
}

static void memory_is_mounted_with_its_options(void **state)
{
    char *options[] = {(char[]){"size=64k"}, (char[]){"mode=1777"}, (char[]){"noexec"}};
    grpc_Storage s = storage_of("ephemeral", "", "/run/caisson/storage/m", options, 3);
    struct err err;
    (void)state;
    box_need_guest();
    s.has_fs_group = true;
    s.fs_group.group_id = 77;
    assert_int_equal(storage_mount(&s, &err), 0);
    assert_int_equal(system("grep -q ' /run/caisson/storage/m .*noexec.*size=64k' /proc/self/mountinfo && "
                            "[ $(stat -c %g:%a /run/caisson/storage/m) = 77:2775 ]"),
                     0);
    assert_int_equal(storage_unmount(s.mount_point), 0);
    assert_int_equal(access(s.mount_point, F_OK), -1);
    assert_int_equal(storage_unmount(s.mount_point), 0);
}

static void an_overlay_makes_its_upper_folders(void **state)
{
    char *options[] = {(char[]){"lowerdir=" SHARED}, (char[]){"upperdir=/run/caisson/storage/o.up/fs"},
                       (char[]){"workdir=/run/caisson/storage/o.up/work"}};
    grpc_Storage s = storage_of("overlayfs", "", "/run/caisson/storage/o", options, 3);
    struct err err = {0};
    (void)state;
    box_need_guest();
    if (storage_mount(&s, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(system("echo new >/run/caisson/storage/o/file && grep -q data " SHARED "/file"), 0);
    assert_int_equal(storage_unmount(s.mount_point), 0);
}

static void folders_are_made_and_bound(void **state)
{
    char *mode[] = {(char[]){"mode=0711"}}, *ro[] = {(char[]){"ro"}};
    grpc_Storage local = storage_of("local", "", "/run/caisson/storage/l", mode, 1);
    grpc_Storage bind = storage_of("bind", SHARED, "/run/caisson/storage/b", ro, 1);
    struct err err = {0};
    (void)state;
    box_need_guest();
    assert_int_equal(storage_mount(&local, &err), 0);
    assert_int_equal(system("[ $(stat -c %a /run/caisson/storage/l) = 711 ]"), 0);
    assert_int_equal(storage_mount(&bind, &err), 0);
    assert_int_equal(system("grep -q data /run/caisson/storage/b/file && ! touch /run/caisson/storage/b/x 2>/dev/null"),
                     0);
    assert_int_equal(storage_unmount(bind.mount_point), 0);
}

static void storages_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *driver, *source, *point;
        int code;
    } cases[] = {
        {"floppy", "", "/run/caisson/storage/x", -ENOTSUP},         {"ephemeral", "", "/etc", -EINVAL},
        {"ephemeral", "", "/run/caisson/../../etc", -EINVAL},       {"ephemeral", "", "/run/link/x", -ENOTDIR},
        {"virtio-fs", "no-tag", "/run/caisson/storage/x", -EINVAL}, {"bind", "/etc", "/run/caisson/storage/x", -EINVAL},
        {"bind", SHARED "/link", "/run/caisson/storage/x", -ELOOP},
    };
    struct err err;
    (void)state;
    box_need_guest();
    (void)symlink("/etc", "/run/link");
    (void)symlink("/etc", SHARED "/link");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grpc_Storage s = storage_of(cases[i].driver, cases[i].source, cases[i].point, NULL, 0);
        err_clear(&err);
        int result = storage_mount(&s, &err);
        if (result != cases[i].code || err.text[0] == '\0')
            fail_msg("case %zu: %d: %s", i, result, err.text);
    }
}

static void a_disk_that_is_not_there_is_told(void **state)
{
    grpc_Storage s = storage_of("blk", "serial=none", "/run/caisson/storage/d", NULL, 0);
    struct err err;
    (void)state;
    box_need_guest();
    s.fstype = (char[]){"ext4"};
    assert_int_equal(storage_mount(&s, &err), -ENODEV);
    assert_non_null(strstr(err.text, "cannot find the disk serial=none"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_of_the_guest_is_left_in_sight),
        CASE(a_root_that_can_be_exchanged_is_exchanged),
        CASE(the_usual_devices_and_links_are_there),
        CASE(a_file_in_the_place_of_a_device_is_an_error),
        CASE(mounts_of_every_kind_come_in_order),
        CASE(a_file_is_bound_on_a_file_that_is_made),
        CASE(options_reach_the_mount),
        CASE(read_only_for_a_tree_covers_what_is_mounted_below),
        CASE(read_only_alone_does_not),
        CASE(a_tmpfs_takes_over_what_it_hides),
        CASE(owners_of_a_mount_are_mapped),
        CASE(idmap_without_maps_is_an_error),
        CASE(a_mount_is_changed_by_remount),
        CASE(the_root_can_be_shared_slave_or_private),
        CASE(an_unknown_propagation_is_refused),
        CASE(paths_are_masked_and_read_only),
        CASE(a_read_only_root_still_has_its_mounts),
        CASE(kernel_parameters_are_those_of_the_namespaces),
        CASE(unknown_kernel_parameters_are_told),
        CASE(a_link_out_of_the_image_does_not_lead_a_mount_out),
        CASE(masks_and_devices_stay_inside_as_well),
        CASE(a_link_in_a_shared_folder_is_no_source),
        CASE(a_working_folder_outside_is_not_reached),
        CASE(the_image_cannot_become_passwd),
        CASE(memory_is_mounted_with_its_options),
        CASE(an_overlay_makes_its_upper_folders),
        CASE(folders_are_made_and_bound),
        CASE(storages_that_cannot_be_are_refused),
        CASE(a_disk_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests_name("container/rootfs", tests, NULL, NULL);
}
