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

/* ---- Role ---- */

static void expect_role(struct bundle_rig *r, const char *annotations, enum oci_role role, const char *sandbox)
{
    bundle_must(r, bundle_plan_wish(r, annotations));
    assert_int_equal(r->plan.role, role);
    assert_string_equal(r->plan.sandbox, sandbox);
}

static void annotations_say_which_pod(void **state)
{
    struct bundle_rig *r = *state;
    expect_role(r, "", OCI_ROLE_SINGLE, "c1");
    expect_role(r, "'io.kubernetes.cri.container-type':'sandbox','io.kubernetes.cri.sandbox-id':'c1'", OCI_ROLE_SANDBOX,
                "c1");
    expect_role(r, "'io.kubernetes.cri.container-type':'sandbox'", OCI_ROLE_SANDBOX, "c1");
    expect_role(r, "'io.kubernetes.cri.container-type':'container','io.kubernetes.cri.sandbox-id':'s1'",
                OCI_ROLE_MEMBER, "s1");
    expect_role(r, "'io.kubernetes.cri-o.ContainerType':'container','io.kubernetes.cri-o.SandboxID':'s2'",
                OCI_ROLE_MEMBER, "s2");
    expect_role(r, "'io.kubernetes.cri-o.SandboxID':'s3'", OCI_ROLE_MEMBER, "s3");
    expect_role(r, "'io.kubernetes.cri-o.SandboxID':'c1'", OCI_ROLE_SANDBOX, "c1");
}

static void wrong_roles_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_wish(r, "'io.kubernetes.cri.container-type':'pod'"), -EINVAL, "'pod' is not known");
    bundle_refuses(r, bundle_plan_wish(r, "'io.kubernetes.cri.container-type':'container'"), -EINVAL,
                   "sandbox-id: it is missing");
    bundle_refuses(r, bundle_plan_wish(r, "'io.kubernetes.cri.sandbox-id':'../x'"), -EINVAL, "'../x' is no id");
    bundle_refuses(r, bundle_plan_wish(r, "'io.kubernetes.cri.sandbox-id':'..'"), -EINVAL, "is no id");
    bundle_refuses(r, bundle_plan_wish(r, "'io.kubernetes.cri.sandbox-id':''"), -EINVAL, "is no id");
}

#define MEMBER "'io.kubernetes.cri.container-type':'container','io.kubernetes.cri.sandbox-id':'s1'"

static void a_member_brings_no_pod(void **state)
{
    struct bundle_rig *r = *state;
    r->config.kernel = strdup("/k");
    bundle_must(r, bundle_plan_wish(r, MEMBER));
    assert_int_equal(r->plan.memory_bytes, 0);
    assert_null(r->plan.kernel);
    assert_null(r->plan.create_sandbox.sandbox_id);
    assert_int_equal(r->plan.create_sandbox.storages_count, 0);
    free(r->config.kernel);
}

/* ---- Size ---- */

static void has_memory(struct bundle_rig *r, const char *limit, uint64_t bytes)
{
    char linux[256];
    snprintf(linux, sizeof linux, "'resources':{'memory':{'limit':%s}}", limit);
    bundle_must(r, bundle_plan_linux(r, linux));
    if (r->plan.memory_bytes != bytes)
        fail_msg("limit %s: %llu MiB", limit, (unsigned long long)(r->plan.memory_bytes / MIB));
}

static void memory_is_the_limit_and_what_the_guest_needs(void **state)
{
    struct bundle_rig *r = *state;
    has_memory(r, "-1", 512 * MIB);
    has_memory(r, "0", 512 * MIB);
    has_memory(r, "9223372036854771712", 512 * MIB);
    has_memory(r, "1048576", 128 * MIB);
    has_memory(r, "67108864", 162 * MIB);
    has_memory(r, "536870912", 624 * MIB);
    has_memory(r, "536870913", 626 * MIB);
}

static void more_memory_than_the_host_has_is_all_it_has(void **state)
{
    struct bundle_rig *r = *state;
    long pages = sysconf(_SC_PHYS_PAGES);
    uint64_t host = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    if (host > OCI_MEMORY_MAX)
        host = OCI_MEMORY_MAX;
    has_memory(r, "1125899906842624", host & ~(2 * MIB - 1));
}

static void an_annotation_beats_the_limit_and_an_option_both(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.memory':'300M','io.caisson.vps':'3'"));
    assert_int_equal(r->plan.memory_bytes, 300 * MIB);
    assert_int_equal(r->plan.vps, 3);
    r->request.memory_bytes = 256 * MIB;
    r->request.vps = 2;
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.memory':'300M','io.caisson.vps':'3'"));
    assert_int_equal(r->plan.memory_bytes, 256 * MIB);
    assert_int_equal(r->plan.vps, 2);
}

static void a_sandbox_is_as_large_as_its_containers_will_be(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(
        r, bundle_plan_wish(
               r, "'io.kubernetes.cri.container-type':'sandbox','io.kubernetes.cri.sandbox-memory':'67108864',"
                  "'io.kubernetes.cri.sandbox-cpu-quota':'250000','io.kubernetes.cri.sandbox-cpu-period':'100000'"));
    assert_int_equal(r->plan.memory_bytes, 162 * MIB);
    assert_int_equal(r->plan.vps, 3);
    assert_true(r->plan.create_sandbox.sandbox_pidns);
    bundle_must(
        r, bundle_plan_wish(r, "'io.kubernetes.cri.container-type':'sandbox','io.kubernetes.cri.sandbox-memory':'0',"
                               "'io.kubernetes.cri.sandbox-cpu-quota':'0'"));
    assert_int_equal(r->plan.memory_bytes, 512 * MIB);
    assert_int_equal(r->plan.vps, 1);
}

static void has_vps(struct bundle_rig *r, const char *cpu, uint32_t vps)
{
    char linux[256];
    snprintf(linux, sizeof linux, "'resources':{'cpu':{%s}}", cpu);
    bundle_must(r, bundle_plan_linux(r, linux));
    if (r->plan.vps != vps)
        fail_msg("%s: %u VPs", cpu, r->plan.vps);
}

static void vps_follow_quota_and_cpuset(void **state)
{
    struct bundle_rig *r = *state;
    has_vps(r, "", 1);
    has_vps(r, "'quota':-1", 1);
    has_vps(r, "'quota':50000", 1);
    has_vps(r, "'quota':100000,'period':100000", 1);
    has_vps(r, "'quota':100001,'period':100000", 2);
    has_vps(r, "'quota':400000,'cpus':'0'", 4);
    has_vps(r, "'cpus':'0-2,8'", 4);
    has_vps(r, "'quota':9223372036854775807,'period':1000", 16);
    assert_int_equal(r->plan.notes.count, 2);
    r->config.vps = 4;
    has_vps(r, "", 4);
}

static void wrong_wishes_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memory':'lots'"), -EINVAL,
                   "io.caisson.memory: 'lots' is no size");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memory':'64M'"), -EINVAL, "give 128M to 1T");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memory':'2T'"), -EINVAL, "give 128M to 1T");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memory':'99999999999999999999'"), -EINVAL, "is no size");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.vps':'0'"), -EINVAL, "io.caisson.vps: '0' is no number of VPs");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.vps':'17'"), -EINVAL, "io.caisson.vps");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.vps':'-1'"), -EINVAL, "io.caisson.vps");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.vps':''"), -EINVAL, "io.caisson.vps");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.rootfs':'copy'"), -EINVAL,
                   "io.caisson.rootfs: 'copy' is not known");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.hugepages':'yes'"), -EINVAL, "io.caisson.hugepages: 'yes'");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memroy':'1G'"), -EINVAL,
                   "annotations: there is no 'io.caisson.memroy'");
}

static void wishes_need_the_owners_leave(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.kernel':'/k'"), -EPERM,
                   "io.caisson.kernel: the configuration does not let");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.cmdline':'a'"), -EPERM, "io.caisson.cmdline");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.policy':'p'"), -EPERM, "io.caisson.policy");
    r->config.wishes = 0;
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.vps':'1'"), -EPERM, "io.caisson.vps");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.memory':'1G'"), -EPERM, "io.caisson.memory");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.rootfs':'share'"), -EPERM, "io.caisson.rootfs");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.hugepages':'0'"), -EPERM, "io.caisson.hugepages");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.verity':'0'"), -EPERM, "io.caisson.verity");
}

static void a_kernel_comes_from_configuration_or_wish(void **state)
{
    struct bundle_rig *r = *state;
    r->config.kernel = strdup("/configured");
    r->config.modules = strdup("/modules");
    r->config.cmdline = strdup("one");
    bundle_must(r, bundle_plan_wish(r, ""));
    assert_string_equal(r->plan.kernel, "/configured");
    assert_string_equal(r->plan.modules, "/modules");
    assert_string_equal(r->plan.cmdline, "one");
    r->config.wishes |= OCI_WISH_KERNEL | OCI_WISH_CMDLINE;
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.kernel':'/wished','io.caisson.cmdline':'two three'"));
    assert_string_equal(r->plan.kernel, "/wished");
    assert_null(r->plan.modules);
    assert_string_equal(r->plan.cmdline, "one two three");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.kernel':'wished'"), -EINVAL, "is not absolute");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.cmdline':'a\\nb'"), -EINVAL, "printable");
    free(r->config.kernel);
    free(r->config.modules);
    free(r->config.cmdline);
}

static void a_policy_comes_from_option_wish_or_configuration_in_this_order(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_wish(r, ""));
    assert_null(r->plan.policy);
    r->config.trust.policy = strdup("/configured");
    bundle_must(r, bundle_plan_wish(r, ""));
    assert_string_equal(r->plan.policy, "/configured");
    r->config.wishes |= OCI_WISH_POLICY;
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.policy':'/wished'"));
    assert_string_equal(r->plan.policy, "/wished");
    bundle_refuses(r, bundle_plan_wish(r, "'io.caisson.policy':'wished'"), -EINVAL, "is not absolute");
    r->request.policy = "given";
    bundle_must(r, bundle_plan_wish(r, "'io.caisson.policy':'/wished'"));
    assert_string_equal(r->plan.policy, "given");
    free(r->config.trust.policy);
}

/* ---- Namespaces ---- */

static void the_network_namespace_is_taken_out_and_named(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(
        r, bundle_plan_linux(
               r, "'namespaces':[{'type':'network','path':'/run/netns/a'},{'type':'ipc','path':'/proc/1/ns/ipc'}]"));
    assert_string_equal(r->plan.netns, "/run/netns/a");
    assert_int_equal(bundle_guest(r)->Linux.Namespaces_count, 2);
    assert_null(bundle_guest(r)->Linux.Namespaces[0].Path);
    assert_null(bundle_guest(r)->Linux.Namespaces[1].Path);
    assert_int_equal(r->plan.notes.count, 1);
}

static void a_network_without_a_path_is_a_loopback(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_linux(r, "'namespaces':[{'type':'network'}]"));
    assert_null(r->plan.netns);
    assert_int_equal(r->plan.notes.count, 0);
    bundle_must(r, bundle_plan_linux(r, "'namespaces':[]"));
    assert_non_null(strstr(r->plan.notes.text[0], "cannot use the host's network"));
}

/* In the pod of MEMBER, process 9 stands for container "neighbour". */
static bool find_process(void *ctx, const char *pod, pid_t pid, char id[OCI_ID_BYTES_MAX + 1])
{
    assert_string_equal(pod, ctx);
    if (pid != 9)
        return false;
    strcpy(id, "neighbour");
    return true;
}

static void a_member_with_a_path_shares_the_processes_of_that_container(void **state)
{
    struct bundle_rig *r = *state;
    char pod[] = "s1";
    r->request.find_process = find_process;
    r->request.ctx = pod;
    bundle_must(
        r,
        bundle_plan(r, "", "'path':'rootfs'",
                    "'namespaces':[{'type':'pid','path':'/proc/9/ns/pid'},{'type':'network','path':'/proc/9/ns/net'}]",
                    MEMBER));
    assert_true(r->plan.create_container.sandbox_pidns);
    assert_string_equal(r->plan.create_container.pid_container, "neighbour");
    assert_int_equal(bundle_guest(r)->Linux.Namespaces_count, 1);
    assert_string_equal(bundle_guest(r)->Linux.Namespaces[0].Type, "network");
    assert_null(r->plan.netns);
    bundle_must(r, bundle_plan(r, "", "'path':'rootfs'", "'namespaces':[{'type':'pid'}]", MEMBER));
    assert_false(r->plan.create_container.sandbox_pidns);
    assert_null(r->plan.create_container.pid_container);
    assert_int_equal(bundle_guest(r)->Linux.Namespaces_count, 1);
}

static void processes_of_no_container_of_the_pod_are_not_shared(void **state)
{
    static const char *const paths[] = {
        "/proc/10/ns/pid", "/proc/self/ns/pid",   "/proc/09/ns/pid",         "/proc/-9/ns/pid",
        "/run/netns/9",    "/proc/9/ns/pid/",     "/proc/9/ns/mnt",          "/proc/9",
        "/proc/ 9/ns/pid", "/proc/1/root/ns/pid", "/proc/4294967305/ns/pid", "/proc/99999999999999999999/ns/pid"};
    struct bundle_rig *r = *state;
    char pod[] = "s1";
    r->request.find_process = find_process;
    r->request.ctx = pod;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char linux[128];
        snprintf(linux, sizeof linux, "'namespaces':[{'type':'pid','path':'%s'}]", paths[i]);
        bundle_refuses(r, bundle_plan(r, "", "'path':'rootfs'", linux, MEMBER), -EOPNOTSUPP,
                       "is of no container of this pod; give /proc/PID/ns/pid");
    }
    r->request.find_process = NULL;
    bundle_refuses(
        r, bundle_plan(r, "", "'path':'rootfs'", "'namespaces':[{'type':'pid','path':'/proc/9/ns/pid'}]", MEMBER),
        -EOPNOTSUPP, "is of no container of this pod");
}

static void the_guest_learns_the_path_of_the_bundle(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_mount(r, PROC));
    assert_string_equal(bundle_guest(r)->Bundle, r->path);
}

static void namespaces_of_the_host_are_refused(void **state)
{
    struct bundle_rig *r = *state;
    bundle_refuses(r, bundle_plan_linux(r, "'namespaces':[{'type':'pid','path':'/proc/1/ns/pid'}]"), -EOPNOTSUPP,
                   "linux.namespaces[0].path: processes of the host");
    bundle_refuses(r, bundle_plan_linux(r, "'namespaces':[{'type':'mount','path':'/proc/1/ns/mnt'}]"), -EOPNOTSUPP,
                   "a mount namespace");
    bundle_refuses(r, bundle_plan_linux(r, "'namespaces':[{'type':'time','path':'/proc/1/ns/time'}]"), -EOPNOTSUPP,
                   "a time namespace");
}

/* ---- What the guest is not told ---- */

static void what_belongs_to_the_host_is_taken_out(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r,
                bundle_plan_linux(
                    r, "'cgroupsPath':'/a/b','mountLabel':'l','resources':{'cpu':{'cpus':'3','mems':'0','shares':512},"
                       "'network':{'classID':0},'pids':{'limit':9},"
                       "'blockIO':{'weight':500,'throttleReadBpsDevice':[{'major':8,'minor':0,'rate':1}]}}"));
    const grpc_Linux *l = &bundle_guest(r)->Linux;
    assert_null(l->CgroupsPath);
    assert_null(l->MountLabel);
    assert_null(l->Resources.CPU.Cpus);
    assert_null(l->Resources.CPU.Mems);
    assert_int_equal(l->Resources.CPU.Shares, 512);
    assert_false(l->Resources.has_Network);
    assert_int_equal(l->Resources.BlockIO.Weight, 500);
    assert_int_equal(l->Resources.BlockIO.ThrottleReadBpsDevice_count, 0);
    assert_int_equal(l->Resources.Pids.Limit, 9);
    assert_int_equal(r->plan.notes.count, 5);
    assert_string_equal(r->spec.spec.Linux.CgroupsPath, "/a/b");
}

static void only_hooks_of_the_guest_travel(void **state)
{
    struct bundle_rig *r = *state;
    static const char text[] =
        "{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},\"root\":{\"path\":\"rootfs\"},"
        "\"hooks\":{\"prestart\":[{\"path\":\"/a\"}],\"createRuntime\":[{\"path\":\"/b\"}],"
        "\"createContainer\":[{\"path\":\"/c\"}],\"startContainer\":[{\"path\":\"/d\"}],"
        "\"poststart\":[{\"path\":\"/e\"}],\"poststop\":[{\"path\":\"/f\"}]}}";
    assert_int_equal(oci_spec_parse(text, strlen(text), "x", r->path, &r->spec, &r->err), 0);
    bundle_must(r, oci_plan_make(&r->request, &r->plan, &r->err));
    const grpc_Hooks *h = &bundle_guest(r)->Hooks;
    assert_int_equal(h->Prestart_count + h->CreateRuntime_count + h->CreateContainer_count + h->Poststart_count +
                         h->Poststop_count,
                     0);
    assert_int_equal(h->StartContainer_count, 1);
    assert_string_equal(h->StartContainer[0].Path, "/d");
    assert_string_equal(r->spec.spec.Hooks.Poststop[0].Path, "/f");
}

static void descriptors_are_not_left_open(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "data");
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['bind']}"));
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 20; i++) {
        bundle_must(r, bundle_plan(r, DEV ",{'destination':'/d','source':'data','options':['bind']}",
                                   "'path':'rootfs','readonly':true", NAMESPACES, ""));
        bundle_refuses(r,
                       bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['bind']},"
                                            "{'destination':'/e','source':'gone','options':['bind']}"),
                       -ENOENT, "gone");
    }
    bundle_must(r, bundle_plan_mount(r, "{'destination':'/d','source':'data','options':['bind']}"));
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(before, after);
}

static void the_hosts_share_of_a_pod_is_larger_than_the_guest(void **state)
{
    (void)state;
    assert_int_equal(oci_host_memory(128 * MIB), 258 * MIB);
    assert_int_equal(oci_host_memory(1024 * MIB), 1168 * MIB);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bundle_setup, bundle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(annotations_say_which_pod),
        CASE(wrong_roles_are_refused),
        CASE(a_member_brings_no_pod),
        CASE(memory_is_the_limit_and_what_the_guest_needs),
        CASE(more_memory_than_the_host_has_is_all_it_has),
        CASE(an_annotation_beats_the_limit_and_an_option_both),
        CASE(a_sandbox_is_as_large_as_its_containers_will_be),
        CASE(vps_follow_quota_and_cpuset),
        CASE(wrong_wishes_are_refused),
        CASE(wishes_need_the_owners_leave),
        CASE(a_kernel_comes_from_configuration_or_wish),
        CASE(a_policy_comes_from_option_wish_or_configuration_in_this_order),
        CASE(the_network_namespace_is_taken_out_and_named),
        CASE(a_network_without_a_path_is_a_loopback),
        CASE(a_member_with_a_path_shares_the_processes_of_that_container),
        CASE(processes_of_no_container_of_the_pod_are_not_shared),
        CASE(the_guest_learns_the_path_of_the_bundle),
        CASE(namespaces_of_the_host_are_refused),
        CASE(what_belongs_to_the_host_is_taken_out),
        CASE(only_hooks_of_the_guest_travel),
        CASE(descriptors_are_not_left_open),
        CASE(the_hosts_share_of_a_pod_is_larger_than_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
