/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/oci/hostcgroup.h"

/* Folders that look like trees of control groups. A kernel makes the files in new groups, here the tests do. */
struct rig {
    char path[64];
    struct oci_cgroup_host host;
    struct oci_cgroup group;
    struct err err;
};

static void put(const struct rig *r, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", r->path, name);
    for (char *p = path + strlen(r->path) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static const char *get(const struct rig *r, const char *name, char text[256])
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", r->path, name);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        fail_msg("there is no %s", name);
    text[fread(text, 1, 255, in)] = '\0';
    fclose(in);
    return text;
}

static void holds(const struct rig *r, const char *name, const char *expected)
{
    char text[256];
    assert_string_equal(get(r, name, text), expected);
}

static bool exists(const struct rig *r, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", r->path, name);
    return stat(path, &st) == 0;
}

static int find(struct rig *r)
{
    char mounts[128], own[128];
    snprintf(mounts, sizeof mounts, "%s/mountinfo", r->path);
    snprintf(own, sizeof own, "%s/cgroup", r->path);
    oci_cgroup_host_release(&r->host);
    return oci_cgroup_host_find(mounts, own, &r->host, &r->err);
}

static void write_mounts(struct rig *r, const char *format)
{
    char text[4096], *to = text;
    for (const char *p = format; *p != '\0'; p++) {
        if (*p == '@')
            to = stpcpy(to, r->path);
        else
            *to++ = *p;
    }
    *to = '\0';
    put(r, "mountinfo", text);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    strcpy(r->path, "/tmp/caisson-cgroup-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    *state = r;
    return 0;
}

static int setup_v1(void **state)
{
    setup(state);
    struct rig *r = *state;
    put(r, "cpu/tasks", "");
    put(r, "memory/tasks", "");
    put(r, "cpuset/cpuset.cpus", "0-1\n");
    put(r, "cpuset/cpuset.mems", "0\n");
    put(r, "blkio/tasks", "");
    put(r, "systemd/tasks", "");
    put(r, "unified/cgroup.controllers", "");
    write_mounts(r, "20 1 0:20 / /proc rw - proc proc rw\n"
                    "30 1 0:30 / @/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
                    "31 1 0:31 / @/memory rw - cgroup cgroup rw,memory\n"
                    "32 1 0:32 / @/cpuset rw - cgroup cgroup rw,cpuset\n"
                    "33 1 0:33 / @/blkio rw - cgroup cgroup rw,blkio\n"
                    "34 1 0:34 / @/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
                    "35 1 0:35 / @/unified rw - cgroup2 cgroup2 rw\n"
                    "36 1 0:31 / @/memory rw - cgroup again rw,memory\n");
    put(r, "cgroup", "6:name=systemd:/s\n5:blkio:/\n4:memory:/mine/here\n3:cpuset:/\n2:cpu,cpuacct:/mine\n0::/u\n");
    if (find(r) != 0)
        fail_msg("%s", r->err.text);
    return 0;
}

static int setup_v2(void **state)
{
    setup(state);
    struct rig *r = *state;
    put(r, "v2/cgroup.subtree_control", "");
    write_mounts(r, "35 1 0:35 / @/v2 rw - cgroup2 cgroup2 rw,nsdelegate\n");
    put(r, "cgroup", "0::/user.slice/me\n");
    if (find(r) != 0)
        fail_msg("%s", r->err.text);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    oci_cgroup_host_release(&r->host);
    nftw(r->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

static void must(const struct rig *r, int result)
{
    if (result != 0)
        fail_msg("%d: %s", result, r->err.text);
}

static const struct oci_cgroup_tree *tree(const struct rig *r, const char *words)
{
    for (unsigned i = 0; i < r->host.count; i++) {
        if (strcmp(r->host.tree[i].words, words) == 0)
            return &r->host.tree[i];
    }
    fail_msg("no tree %s", words);
    return &r->host.tree[0];
}

/* ---- Finding ---- */

static void trees_are_found_with_their_controllers(void **state)
{
    struct rig *r = *state;
    assert_int_equal(r->host.count, 6);
    assert_string_equal(tree(r, "cpu,cpuacct")->self, "mine");
    assert_string_equal(tree(r, "memory")->self, "mine/here");
    assert_string_equal(tree(r, "cpuset")->self, "");
    assert_string_equal(tree(r, "name=systemd")->self, "s");
    assert_true(tree(r, "")->v2);
    assert_string_equal(tree(r, "")->self, "u");
}

static void a_mount_of_a_part_and_blanks_in_names_are_understood(void **state)
{
    struct rig *r = *state;
    put(r, "a b/tasks", "");
    write_mounts(r, "30 1 0:30 /docker/x @/a\\040b rw - cgroup cgroup rw,memory\n"
                    "broken line\n"
                    "31 1 0:31 / @/gone rw - cgroup cgroup rw,pids\n");
    put(r, "cgroup", "4:memory:/docker/x/inner/\n");
    must(r, find(r));
    assert_int_equal(r->host.count, 1);
    assert_string_equal(r->host.tree[0].self, "inner");
    put(r, "cgroup", "4:memory:/elsewhere\n");
    must(r, find(r));
    assert_string_equal(r->host.tree[0].self, "");
    put(r, "cgroup", "4:memory:/../../escape\n");
    must(r, find(r));
    assert_string_equal(r->host.tree[0].self, "");
}

static void a_host_without_trees_is_fine(void **state)
{
    struct rig *r = *state;
    write_mounts(r, "");
    put(r, "cgroup", "");
    must(r, find(r));
    assert_int_equal(r->host.count, 0);
    must(r, oci_cgroup_create(&r->group, &r->host, "/a", "c1", &r->err));
    must(r, oci_cgroup_limit(&r->group, NULL, 1, &r->err));
    must(r, oci_cgroup_join(&r->group, 0, &r->err));
    must(r, oci_cgroup_remove(&r->group, 0, &r->err));
}

static void files_that_are_missing_are_an_error(void **state)
{
    struct rig *r = *state;
    assert_int_equal(find(r), -ENOENT);
    assert_int_equal(r->host.count, 0);
}

/* Or whoever removes a group would forget it in the trees that were not seen. */
static void no_tree_is_overlooked_for_want_of_descriptors(void **state)
{
    struct rig *r = *state;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    oci_cgroup_host_release(&r->host);
    int next = dup(STDIN_FILENO);
    close(next);
    few = before;
    few.rlim_cur = (rlim_t)next + 2; /* for two trees of six, and for one file at a time before them */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int result = find(r);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(r->host.count, 0);
}

/* ---- Paths ---- */

static void paths_are_understood(void **state)
{
    static const struct {
        const char *path, *expected;
        bool relative;
    } rows[] = {
        {"/a/b", "a/b", false},
        {"//a/b", "a/b", false},
        {"a/b", "a/b", true},
        {NULL, "caisson/c1", false},
        {"", "caisson/c1", false},
        {"system.slice:crio:x", "system.slice/crio-x.scope", false},
        {":crio:x", "system.slice/crio-x.scope", false},
        {"a-b.slice::x", "a.slice/a-b.slice/x.scope", false},
        {"-.slice:p:x", "p-x.scope", false},
        {"a:b:c", "a:b:c", true},
        {"/a.slice:b:c", "a.slice:b:c", false},
        {"kubepods-besteffort-pod1.slice:cri-containerd:ff",
         "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-ff.scope", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[OCI_CGROUP_PATH_MAX];
        bool relative;
        struct err err;
        if (oci_cgroup_path(rows[i].path, "c1", out, &relative, &err) != 0)
            fail_msg("%s: %s", rows[i].path, err.text);
        assert_string_equal(out, rows[i].expected);
        assert_int_equal(relative, rows[i].relative);
    }
}

static void wrong_paths_are_refused(void **state)
{
    static const char *const rows[] = {"/",          "//",         "/a/../b",        "..",           "a/..",
                                       "/a\nb",      "a.slice:b:", "a--b.slice:b:c", "-a.slice:b:c", "a-.slice:b:c",
                                       ".slice:b:c", "/\x7f"};
    char out[OCI_CGROUP_PATH_MAX], long_path[2000];
    struct err err;
    bool relative;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (oci_cgroup_path(rows[i], "c1", out, &relative, &err) != -EINVAL)
            fail_msg("'%s' was taken as '%s'", rows[i], out);
    }
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(oci_cgroup_path(long_path, "c1", out, &relative, &err), -EINVAL);
    for (size_t i = 0; i < sizeof long_path - 1; i += 100)
        long_path[i] = '/';
    assert_int_equal(oci_cgroup_path(long_path, "c1", out, &relative, &err), -ENAMETOOLONG);
}

/* ---- Making and removing ---- */

static void a_group_is_made_in_every_tree_and_removed(void **state)
{
    struct rig *r = *state;
    must(r, oci_cgroup_create(&r->group, &r->host, "/pods/p1", "c1", &r->err));
    assert_true(exists(r, "cpu/pods/p1"));
    assert_true(exists(r, "memory/pods/p1"));
    assert_true(exists(r, "systemd/pods/p1"));
    assert_true(exists(r, "unified/pods/p1"));
    must(r, oci_cgroup_remove(&r->group, 0, &r->err));
    assert_false(exists(r, "cpu/pods/p1"));
    assert_false(exists(r, "unified/pods/p1"));
    assert_true(exists(r, "cpu/pods"));
    must(r, oci_cgroup_remove(&r->group, 0, &r->err));
}

static void a_relative_path_begins_where_the_caller_is(void **state)
{
    struct rig *r = *state;
    must(r, oci_cgroup_create(&r->group, &r->host, "p1", "c1", &r->err));
    assert_true(exists(r, "cpu/mine/p1"));
    assert_true(exists(r, "memory/mine/here/p1"));
    assert_true(exists(r, "cpuset/p1"));
    must(r, oci_cgroup_remove(&r->group, 0, &r->err));
    assert_false(exists(r, "memory/mine/here/p1"));
}

static void the_default_group_leaves_no_parent_behind(void **state)
{
    struct rig *r = *state;
    struct oci_cgroup other;
    must(r, oci_cgroup_create(&r->group, &r->host, NULL, "c1", &r->err));
    must(r, oci_cgroup_create(&other, &r->host, NULL, "c2", &r->err));
    assert_true(exists(r, "cpu/caisson/c1"));
    must(r, oci_cgroup_remove(&r->group, 0, &r->err));
    assert_true(exists(r, "cpu/caisson/c2"));
    must(r, oci_cgroup_remove(&other, 0, &r->err));
    assert_false(exists(r, "cpu/caisson"));
}

static void other_commands_find_the_group_again(void **state)
{
    struct rig *r = *state;
    struct oci_cgroup again;
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    must(r, oci_cgroup_open(&again, &r->host, "/p1", "c1", &r->err));
    must(r, oci_cgroup_remove(&again, 0, &r->err));
    assert_false(exists(r, "cpu/p1"));
}

static void a_failure_takes_back_what_was_made(void **state)
{
    struct rig *r = *state;
    put(r, "blkio/pods", "a file is in the way");
    assert_int_equal(oci_cgroup_create(&r->group, &r->host, "/pods/p1", "c1", &r->err), -ENOTDIR);
    assert_non_null(strstr(r->err.text, "blkio/pods/p1"));
    assert_false(exists(r, "cpu/pods"));
    assert_false(exists(r, "memory/pods"));
}

static void folders_that_were_there_stay_after_a_failure(void **state)
{
    struct rig *r = *state;
    put(r, "cpu/pods/other/tasks", "");
    put(r, "blkio/pods", "a file is in the way");
    assert_int_equal(oci_cgroup_create(&r->group, &r->host, "/pods/p1", "c1", &r->err), -ENOTDIR);
    assert_true(exists(r, "cpu/pods/other/tasks"));
    assert_false(exists(r, "cpu/pods/p1"));
}

static void a_link_in_the_tree_leads_nowhere(void **state)
{
    struct rig *r = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/cpu/pods", r->path);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(oci_cgroup_create(&r->group, &r->host, "/pods/caisson-escape", "c1", &r->err), -ELOOP);
    struct stat st;
    assert_int_not_equal(stat("/tmp/caisson-escape", &st), 0);
}

static void a_group_that_was_there_is_left_as_it_is(void **state)
{
    struct rig *r = *state;
    put(r, "cpuset/p1/cpuset.cpus", "\n");
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    holds(r, "cpuset/p1/cpuset.cpus", "\n");
}

static void what_cannot_be_removed_is_named(void **state)
{
    struct rig *r = *state;
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    put(r, "memory/p1/child/tasks", "");
    assert_int_equal(oci_cgroup_remove(&r->group, 0, &r->err), -ENOTEMPTY);
    assert_non_null(strstr(r->err.text, "memory/p1"));
    assert_false(exists(r, "cpu/p1"));
    assert_false(exists(r, "unified/p1"));
}

static void controllers_are_passed_down_in_v2(void **state)
{
    struct rig *r = *state;
    put(r, "v2/a/cgroup.subtree_control", "");
    must(r, oci_cgroup_create(&r->group, &r->host, "/a/b", "c1", &r->err));
    holds(r, "v2/a/cgroup.subtree_control", "+pids");
    holds(r, "v2/cgroup.subtree_control", "");
}

/* ---- Limits ---- */

static void limits_are_written_in_v1(void **state)
{
    struct rig *r = *state;
    grpc_LinuxThrottleDevice device = {.Major = 8, .Minor = 16, .Rate = 1000};
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    static const char *const files[] = {"cpu/p1/cpu.shares",
                                        "cpu/p1/cpu.cfs_period_us",
                                        "cpu/p1/cpu.cfs_quota_us",
                                        "memory/p1/memory.limit_in_bytes",
                                        "cpuset/p1/cpuset.cpus",
                                        "cpuset/p1/cpuset.mems",
                                        "blkio/p1/blkio.throttle.write_iops_device"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(r, files[i], "old value, longer than the new one");
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    res.CPU.Shares = 512;
    res.CPU.Period = 50000;
    res.CPU.Quota = 75000;
    res.CPU.Cpus = (char[]){"0"};
    res.CPU.Mems = (char[]){"0"};
    res.BlockIO.Weight = 100;
    res.BlockIO.ThrottleWriteIOPSDevice = &device;
    res.BlockIO.ThrottleWriteIOPSDevice_count = 1;
    must(r, oci_cgroup_limit(&r->group, &res, 134217728, &r->err));
    holds(r, "cpu/p1/cpu.shares", "512");
    holds(r, "cpu/p1/cpu.cfs_period_us", "50000");
    holds(r, "cpu/p1/cpu.cfs_quota_us", "75000");
    holds(r, "memory/p1/memory.limit_in_bytes", "134217728");
    holds(r, "cpuset/p1/cpuset.cpus", "0");
    holds(r, "blkio/p1/blkio.throttle.write_iops_device", "8:16 1000");
    assert_false(exists(r, "unified/p1/memory.max"));
}

static void limits_are_written_in_v2(void **state)
{
    struct rig *r = *state;
    grpc_LinuxThrottleDevice device = {.Major = 8, .Minor = 16, .Rate = 1000};
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    static const char *const files[] = {"v2/p1/cpu.weight", "v2/p1/cpu.max", "v2/p1/memory.max", "v2/p1/io.max",
                                        "v2/p1/cpuset.cpus"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(r, files[i], "");
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    res.CPU.Shares = 1024;
    res.CPU.Quota = 150000;
    res.CPU.Cpus = (char[]){"0-1"};
    res.BlockIO.ThrottleReadBpsDevice = &device;
    res.BlockIO.ThrottleReadBpsDevice_count = 1;
    must(r, oci_cgroup_limit(&r->group, &res, 1 << 20, &r->err));
    holds(r, "v2/p1/cpu.weight", "39");
    holds(r, "v2/p1/cpu.max", "150000 100000");
    holds(r, "v2/p1/memory.max", "1048576");
    holds(r, "v2/p1/io.max", "8:16 rbps=1000");
    holds(r, "v2/p1/cpuset.cpus", "0-1");
    res.CPU = (grpc_LinuxCPU){.Quota = -1, .Shares = 262144};
    must(r, oci_cgroup_limit(&r->group, &res, 0, &r->err));
    holds(r, "v2/p1/cpu.max", "max 100000");
    holds(r, "v2/p1/cpu.weight", "10000");
    holds(r, "v2/p1/memory.max", "1048576");
}

static void a_limit_that_cannot_be_set_is_named(void **state)
{
    struct rig *r = *state;
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    res.CPU.Shares = 2;
    assert_int_equal(oci_cgroup_limit(&r->group, &res, 0, &r->err), -ENOENT);
    assert_non_null(strstr(r->err.text, "cpu/p1/cpu.shares"));
}

static void controllers_that_the_host_has_not_are_skipped(void **state)
{
    struct rig *r = *state;
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    res.CPU.Shares = 2;
    res.CPU.Cpus = (char[]){"0"};
    res.BlockIO.Weight = 100;
    must(r, oci_cgroup_limit(&r->group, &res, 1 << 20, &r->err));
}

/* ---- Use ---- */

static void use_is_read_wherever_it_stands(void **state)
{
    struct rig *r = *state;
    struct oci_cgroup_usage usage;
    put(r, "cpu/p1/cpuacct.usage", "123456\n");
    put(r, "memory/p1/memory.usage_in_bytes", "4096\n");
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    oci_cgroup_usage(&r->group, &usage);
    assert_int_equal(usage.cpu_ns, 123456);
    assert_int_equal(usage.memory_bytes, 4096);
}

static void use_is_read_in_v2(void **state)
{
    struct rig *r = *state;
    struct oci_cgroup_usage usage;
    put(r, "v2/p1/cpu.stat", "usage_usec 77\nuser_usec 1\n");
    put(r, "v2/p1/memory.current", "8192\n");
    must(r, oci_cgroup_create(&r->group, &r->host, "/p1", "c1", &r->err));
    oci_cgroup_usage(&r->group, &usage);
    assert_int_equal(usage.cpu_ns, 77000);
    assert_int_equal(usage.memory_bytes, 8192);
}

static void a_group_that_is_gone_has_no_use(void **state)
{
    struct rig *r = *state;
    struct oci_cgroup_usage usage = {1, 1};
    must(r, oci_cgroup_open(&r->group, &r->host, "/p1", "c1", &r->err));
    oci_cgroup_usage(&r->group, &usage);
    assert_int_equal(usage.cpu_ns + usage.memory_bytes, 0);
}

/* ---- The kernel's ---- */

/* A child that waits to be killed. */
static pid_t start_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    return pid;
}

static int setup_kernel(void **state)
{
    setup(state);
    struct rig *r = *state;
    char id[32];
    snprintf(id, sizeof id, "test-%d", getpid());
    if (oci_cgroup_host_find(NULL, NULL, &r->host, &r->err) != 0 || r->host.count == 0 ||
        oci_cgroup_create(&r->group, &r->host, NULL, id, &r->err) != 0)
        r->group.host = NULL;
    return 0;
}

static int teardown_kernel(void **state)
{
    struct rig *r = *state;
    if (r->group.host != NULL)
        (void)oci_cgroup_remove(&r->group, 5000, &r->err);
    return teardown(state);
}

static void the_kernel_takes_limits_and_processes(void **state)
{
    struct rig *r = *state;
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    char path[64], text[4096] = "", expected[300];
    if (r->group.host == NULL)
        skip();
    res.CPU.Shares = 256;
    res.CPU.Quota = 50000;
    res.CPU.Period = 100000;
    must(r, oci_cgroup_limit(&r->group, &res, 64 << 20, &r->err));
    pid_t pid = start_child();
    must(r, oci_cgroup_join(&r->group, pid, &r->err));
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    FILE *in = fopen(path, "r");
    (void)!fread(text, 1, sizeof text - 1, in);
    fclose(in);
    snprintf(expected, sizeof expected, ":/%.255s\n", r->group.path);
    assert_non_null(strstr(text, expected));
    assert_int_equal(oci_cgroup_remove(&r->group, 0, &r->err), -EBUSY);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    must(r, oci_cgroup_remove(&r->group, 5000, &r->err));
}

static void joining_with_a_process_that_is_gone_fails(void **state)
{
    struct rig *r = *state;
    if (r->group.host == NULL)
        skip();
    pid_t pid = start_child();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(oci_cgroup_join(&r->group, pid, &r->err), -ESRCH);
    assert_non_null(strstr(r->err.text, "cgroup.procs"));
}

#define V1(f)     cmocka_unit_test_setup_teardown(f, setup_v1, teardown)
#define V2(f)     cmocka_unit_test_setup_teardown(f, setup_v2, teardown)
#define PLAIN(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define KERNEL(f) cmocka_unit_test_setup_teardown(f, setup_kernel, teardown_kernel)

int main(void)
{
    const struct CMUnitTest tests[] = {
        V1(trees_are_found_with_their_controllers),
        PLAIN(a_mount_of_a_part_and_blanks_in_names_are_understood),
        PLAIN(a_host_without_trees_is_fine),
        PLAIN(files_that_are_missing_are_an_error),
        V1(no_tree_is_overlooked_for_want_of_descriptors),
        cmocka_unit_test(paths_are_understood),
        cmocka_unit_test(wrong_paths_are_refused),
        V1(a_group_is_made_in_every_tree_and_removed),
        V1(a_relative_path_begins_where_the_caller_is),
        V1(the_default_group_leaves_no_parent_behind),
        V1(other_commands_find_the_group_again),
        V1(a_failure_takes_back_what_was_made),
        V1(folders_that_were_there_stay_after_a_failure),
        V1(a_link_in_the_tree_leads_nowhere),
        V1(a_group_that_was_there_is_left_as_it_is),
        V1(what_cannot_be_removed_is_named),
        V2(controllers_are_passed_down_in_v2),
        V1(limits_are_written_in_v1),
        V2(limits_are_written_in_v2),
        V1(a_limit_that_cannot_be_set_is_named),
        V2(controllers_that_the_host_has_not_are_skipped),
        V1(use_is_read_wherever_it_stands),
        V2(use_is_read_in_v2),
        V1(a_group_that_is_gone_has_no_use),
        KERNEL(the_kernel_takes_limits_and_processes),
        KERNEL(joining_with_a_process_that_is_gone_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
