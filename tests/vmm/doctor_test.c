/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"
#include "vmm/doctor.h"

/* A host where everything is right. */
static struct doctor_facts perfect_host(void)
{
    return (struct doctor_facts){
        .hypervisor = DOCTOR_HYPERVISOR_MSHV_ROOT,
        .hypervisor_vendor = "Microsoft Hv",
        .kernel_release = "6.15.0",
        .landlock_abi = 7,
        .softhv = true,
        .cgroups = {.v2 = true, .v2_controllers = "cpuset cpu io memory pids", .v2_mount_point = "/sys/fs/cgroup"},
    };
}

static const struct doctor_finding *finding(const struct doctor_report *report, const char *id)
{
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        if (strcmp(report->findings[i].check->id, id) == 0) {
            return &report->findings[i];
        }
    }
    fail_msg("no check is called %s", id);
    abort();
}

static void assert_found(const struct doctor_facts *facts, const char *id, enum doctor_status status, const char *text)
{
    struct doctor_report report;
    doctor_judge(facts, &report);
    const struct doctor_finding *f = finding(&report, id);
    assert_string_equal(f->found, text);
    assert_int_equal(f->status, status);
}

/* ---- verdict ---- */

static void perfect_host_runs_on_the_kernel_and_needs_nothing(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    doctor_judge(&facts, &report);
    assert_true(report.can_run);
    assert_int_equal(report.port, DOCTOR_PORT_KERNEL);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        assert_int_equal(report.findings[i].status, DOCTOR_OK);
        assert_null(report.findings[i].what_to_do);
    }
}

static void host_without_mshv_runs_on_softhv(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    facts.mshv_open = -ENOENT;
    doctor_judge(&facts, &report);
    assert_true(report.can_run);
    assert_int_equal(report.port, DOCTOR_PORT_SOFTHV);
}

static void host_without_mshv_cannot_run_a_build_without_softhv(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    facts.mshv_open = -ENOENT;
    facts.softhv = false;
    doctor_judge(&facts, &report);
    assert_false(report.can_run);
    assert_int_equal(report.port, DOCTOR_PORT_NONE);
}

static void mshv_of_an_older_kernel_is_not_used(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    strcpy(facts.kernel_release, "6.6.96.mshv1");
    facts.softhv = false;
    doctor_judge(&facts, &report);
    assert_int_equal(report.port, DOCTOR_PORT_NONE);
}

static void host_without_memfd_sealing_cannot_run(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    facts.memfd_sealing = -ENOSYS;
    doctor_judge(&facts, &report);
    assert_false(report.can_run);
}

static void host_without_seccomp_filters_cannot_run(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    facts.seccomp_filter = -ENOSYS;
    doctor_judge(&facts, &report);
    assert_false(report.can_run);
}

static void host_without_comforts_can_run(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    facts.seccomp_notify = -EOPNOTSUPP;
    facts.landlock_abi = -ENOSYS;
    facts.tun_open = -ENOENT;
    facts.user_namespace = -EPERM;
    facts.cgroups = (struct doctor_cgroups){0};
    doctor_judge(&facts, &report);
    assert_true(report.can_run);
}

static void everything_not_ok_is_explained(void **state)
{
    struct doctor_facts facts = {.mshv_open = -ENOENT,
                                 .landlock_abi = -ENOSYS,
                                 .seccomp_filter = -ENOSYS,
                                 .tun_open = -ENOENT,
                                 .user_namespace = -EINVAL,
                                 .memfd_sealing = -ENOSYS,
                                 .kernel_release = "5.10.0"};
    struct doctor_report report;
    (void)state;
    facts.softhv = false;
    doctor_judge(&facts, &report);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        const struct doctor_finding *f = &report.findings[i];
        assert_true(f->found[0] != '\0' && f->check->why[0] != '\0' && f->check->title[0] != '\0');
        assert_true(f->status != DOCTOR_MISSING || f->what_to_do != NULL);
    }
}

/* ---- /dev/mshv ---- */

struct open_case {
    int code;
    const char *found;
    const char *do_has; /* a part of what_to_do */
};

static void mshv_open_errors_are_told_apart(void **state)
{
    const struct open_case cases[] = {
        {-ENOENT, "does not exist", "root (or an L1VH) partition"},
        {-EACCES, "exists, but this user may not open it", "run as root"},
        {-EPERM, "exists, but this user may not open it", "run as root"},
        {-ENODEV, "exists, but there is no driver behind it", "root (or an L1VH) partition"},
        {-ENXIO, "exists, but there is no driver behind it", "root (or an L1VH) partition"},
        {-EMFILE, strerror(EMFILE), "root (or an L1VH) partition"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct doctor_facts facts = perfect_host();
        struct doctor_report report;
        facts.hypervisor = DOCTOR_HYPERVISOR_KVM;
        facts.mshv_open = cases[i].code;
        doctor_judge(&facts, &report);
        const struct doctor_finding *f = finding(&report, "mshv-device");
        assert_int_equal(f->status, DOCTOR_MISSING);
        assert_string_equal(f->found, cases[i].found);
        assert_non_null(strstr(f->what_to_do, cases[i].do_has));
    }
}

static void absent_mshv_on_a_parent_partition_asks_for_the_module(void **state)
{
    const enum doctor_hypervisor parents[] = {DOCTOR_HYPERVISOR_MSHV_ROOT, DOCTOR_HYPERVISOR_MSHV_L1VH};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct doctor_facts facts = perfect_host();
        struct doctor_report report;
        facts.hypervisor = parents[i];
        facts.mshv_open = -ENOENT;
        doctor_judge(&facts, &report);
        assert_non_null(strstr(finding(&report, "mshv-device")->what_to_do, "load the module mshv_root"));
    }
}

/* ---- hypervisor ---- */

struct cpuid_row {
    uint32_t leaf;
    struct doctor_cpuid value;
};

/* The leaves that are not zero; ends with leaf 0. */
static void query_rows(void *context, uint32_t leaf, struct doctor_cpuid *out)
{
    *out = (struct doctor_cpuid){0};
    for (const struct cpuid_row *row = context; row->leaf != 0; row++) {
        if (row->leaf == leaf) {
            *out = row->value;
        }
    }
}

#define VIRTUAL                                                                                                        \
    {                                                                                                                  \
        1,                                                                                                             \
        {                                                                                                              \
            .ecx = 1u << 31                                                                                            \
        }                                                                                                              \
    }
#define VENDOR_HV                                                                                                      \
    {                                                                                                                  \
        0x40000005u, 0x7263694du, 0x666f736fu, 0x76482074u                                                             \
    }
#define VENDOR_KVM                                                                                                     \
    {                                                                                                                  \
        0x40000001u, 0x4b4d564bu, 0x564b4d56u, 0x0000004du                                                             \
    }
#define VENDOR_XEN                                                                                                     \
    {                                                                                                                  \
        0x40000004u, 0x566e6558u, 0x65584d4du, 0x4d4d566eu                                                             \
    }
#define VENDOR_VMWARE                                                                                                  \
    {                                                                                                                  \
        0x40000010u, 0x61774d56u, 0x4d566572u, 0x65726177u                                                             \
    }
#define HV_INTERFACE                                                                                                   \
    {                                                                                                                  \
        0x40000001u,                                                                                                   \
        {                                                                                                              \
            .eax = 0x31237648u                                                                                         \
        }                                                                                                              \
    }
#define HV_RIGHTS(ebx_)                                                                                                \
    {                                                                                                                  \
        0x40000003u,                                                                                                   \
        {                                                                                                              \
            .ebx = (ebx_)                                                                                              \
        }                                                                                                              \
    }

static void assert_identified(struct cpuid_row *rows, enum doctor_hypervisor wanted, const char *wanted_vendor)
{
    char vendor[13];
    assert_int_equal(doctor_identify_hypervisor(query_rows, rows, vendor), wanted);
    assert_string_equal(vendor, wanted_vendor);
}

static void cpuid_without_the_hypervisor_bit_is_bare_metal(void **state)
{
    struct cpuid_row rows[] = {{0x40000000u, VENDOR_KVM}, {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_NONE, "");
}

static void cpuid_with_both_partition_rights_is_root(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_HV}, HV_INTERFACE, HV_RIGHTS(1u | 1u << 12), {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_MSHV_ROOT, "Microsoft Hv");
}

static void cpuid_that_may_create_partitions_only_is_l1vh(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_HV}, HV_INTERFACE, HV_RIGHTS(1u), {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_MSHV_L1VH, "Microsoft Hv");
}

static void cpuid_without_partition_rights_is_a_child(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_HV}, HV_INTERFACE, HV_RIGHTS(1u << 12), {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_MSHV_CHILD, "Microsoft Hv");
}

static void cpuid_of_an_isolated_partition_is_never_root(void **state)
{
    struct cpuid_row rows[] = {
        VIRTUAL, {0x40000000u, VENDOR_HV}, HV_INTERFACE, HV_RIGHTS(1u | 1u << 12 | 1u << 22), {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_MSHV_ISOLATED, "Microsoft Hv");
}

static void microsoft_vendor_without_its_interface_is_unknown(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_HV}, HV_RIGHTS(1u | 1u << 12), {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_OTHER, "Microsoft Hv");
}

static void kvm_behind_a_hyperv_interface_is_kvm(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_HV}, HV_INTERFACE, {0x40000100u, VENDOR_KVM}, {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_KVM, "Microsoft Hv");
}

static void kvm_alone_is_kvm(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, VENDOR_KVM}, {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_KVM, "KVMKVMKVM");
}

static void xen_and_vmware_are_known(void **state)
{
    struct cpuid_row xen[] = {VIRTUAL, {0x40000000u, VENDOR_XEN}, {0}};
    struct cpuid_row vmware[] = {VIRTUAL, {0x40000000u, VENDOR_VMWARE}, {0}};
    (void)state;
    assert_identified(xen, DOCTOR_HYPERVISOR_XEN, "XenVMMXenVMM");
    assert_identified(vmware, DOCTOR_HYPERVISOR_VMWARE, "VMwareVMware");
}

static void other_vendor_is_unknown(void **state)
{
    struct cpuid_row rows[] = {VIRTUAL, {0x40000000u, {0, 0x41414141u, 0x42424242u, 0x43434343u}}, {0}};
    (void)state;
    assert_identified(rows, DOCTOR_HYPERVISOR_OTHER, "AAAABBBBCCCC");
}

static void hypervisor_line_quotes_the_vendor(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    assert_found(&facts, "hypervisor", DOCTOR_OK, "Microsoft hypervisor, root partition (CPUID says \"Microsoft Hv\")");
}

static void hypervisor_line_on_bare_metal_quotes_nothing(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    facts.hypervisor = DOCTOR_HYPERVISOR_NONE;
    facts.hypervisor_vendor[0] = '\0';
    assert_found(&facts, "hypervisor", DOCTOR_NOTE, "none: this is bare metal");
}

static void every_hypervisor_kind_has_a_text_of_its_own(void **state)
{
    char texts[DOCTOR_HYPERVISOR_COUNT][640];
    (void)state;
    for (unsigned kind = 0; kind < DOCTOR_HYPERVISOR_COUNT; kind++) {
        struct doctor_facts facts = perfect_host();
        struct doctor_report report;
        facts.hypervisor = kind;
        doctor_judge(&facts, &report);
        snprintf(texts[kind], sizeof texts[kind], "%s", finding(&report, "hypervisor")->found);
        for (unsigned earlier = 0; earlier < kind; earlier++) {
            assert_string_not_equal(texts[earlier], texts[kind]);
        }
    }
}

/* ---- kernel ---- */

static void assert_kernel(const char *release, int mshv_open, enum doctor_status status, const char *text)
{
    struct doctor_facts facts = perfect_host();
    snprintf(facts.kernel_release, sizeof facts.kernel_release, "%s", release);
    facts.mshv_open = mshv_open;
    assert_found(&facts, "kernel", status, text);
}

static void kernel_versions_are_compared_as_numbers(void **state)
{
    (void)state;
    assert_kernel("6.15.0", -ENOENT, DOCTOR_OK, "Linux 6.15.0");
    assert_kernel("6.100.1-x", -ENOENT, DOCTOR_OK, "Linux 6.100.1-x");
    assert_kernel("7.0", -ENOENT, DOCTOR_OK, "Linux 7.0");
    assert_kernel("10.1.0", -ENOENT, DOCTOR_OK, "Linux 10.1.0");
    assert_kernel("6.14.99", -ENOENT, DOCTOR_MISSING, "Linux 6.14.99 is older than 6.15");
    assert_kernel("5.19.0", -ENOENT, DOCTOR_MISSING, "Linux 5.19.0 is older than 6.15");
}

static void older_kernel_with_a_device_has_the_old_interface(void **state)
{
    (void)state;
    assert_kernel("6.6.96", 0, DOCTOR_NOTE, "Linux 6.6.96 has a /dev/mshv from before the upstream interface");
}

static void kernel_release_that_is_no_version_is_a_note(void **state)
{
    (void)state;
    assert_kernel("weird", -ENOENT, DOCTOR_NOTE, "version unknown: \"weird\"");
    assert_kernel("", -ENOENT, DOCTOR_NOTE, "version unknown: \"\"");
}

/* ---- the rest of the host ---- */

static void softhv_line_follows_the_build(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    (void)state;
    assert_found(&facts, "softhv", DOCTOR_OK, "built in");
    facts.softhv = false;
    doctor_judge(&facts, &report);
    assert_int_equal(finding(&report, "softhv")->status, DOCTOR_NOTE);
}

static void memfd_failure_gives_its_reason(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    facts.memfd_sealing = -EPERM;
    assert_found(&facts, "memfd-sealing", DOCTOR_MISSING, "memfd_create or its sealing fails: Operation not permitted");
}

static void seccomp_has_three_levels(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    assert_found(&facts, "seccomp", DOCTOR_OK, "filters and user notification");
    facts.seccomp_notify = -EINVAL;
    assert_found(&facts, "seccomp", DOCTOR_NOTE, "filters, but no user notification: Invalid argument");
    facts.seccomp_filter = -EINVAL;
    assert_found(&facts, "seccomp", DOCTOR_MISSING, "no filters: Invalid argument");
}

static void landlock_has_five_answers(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    facts.landlock_abi = 6;
    assert_found(&facts, "landlock", DOCTOR_OK, "ABI 6");
    facts.landlock_abi = 5;
    assert_found(&facts, "landlock", DOCTOR_NOTE, "ABI 5: confines files, not yet signals and abstract sockets");
    facts.landlock_abi = -ENOSYS;
    assert_found(&facts, "landlock", DOCTOR_MISSING, "not in this kernel");
    facts.landlock_abi = -EOPNOTSUPP;
    assert_found(&facts, "landlock", DOCTOR_MISSING, "in this kernel, but switched off at boot");
    facts.landlock_abi = -EPERM;
    assert_found(&facts, "landlock", DOCTOR_MISSING, "cannot be used: Operation not permitted");
}

static void steps_of_the_jail_are_named_with_their_reason(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    if (!CONFIG_JAIL)
        skip();
    facts.jail[JAIL_USER] = 1;
    assert_found(&facts, "jail", DOCTOR_OK, "all steps work");
    facts.jail[JAIL_NET] = -EPERM;
    facts.jail[JAIL_ROOT] = -EPERM;
    facts.jail[JAIL_LANDLOCK] = -ENOSYS;
    char expected[200];
    (void)snprintf(expected, sizeof(expected), "not here: empty root, network namespace (%s); landlock (%s)",
                   strerror(EPERM), strerror(ENOSYS));
    assert_found(&facts, "jail", DOCTOR_NOTE, expected);
}

static void user_namespace_refusals_are_told_apart(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    facts.user_namespace = -EPERM;
    assert_found(&facts, "user-namespace", DOCTOR_MISSING, "this user may not make one, or we are inside a chroot");
    facts.user_namespace = -ENOSPC;
    assert_found(&facts, "user-namespace", DOCTOR_MISSING, "the limit on their number is reached");
    facts.user_namespace = -EINVAL;
    assert_found(&facts, "user-namespace", DOCTOR_MISSING, "cannot be made: Invalid argument");
}

static void tap_line_names_the_device(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    facts.tun_open = -ENOENT;
    assert_found(&facts, "tap", DOCTOR_MISSING, "/dev/net/tun does not exist");
    facts.tun_open = -EACCES;
    assert_found(&facts, "tap", DOCTOR_MISSING, "/dev/net/tun exists, but this user may not open it");
}

/* ---- cgroups ---- */

static void parse(const char *mounts, struct doctor_cgroups *out)
{
    memset(out, 0x5a, sizeof *out);
    doctor_parse_mounts(mounts, out);
}

static void mounts_of_v2_alone_are_recognised(void **state)
{
    struct doctor_cgroups c;
    (void)state;
    parse("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", &c);
    assert_true(c.v2);
    assert_false(c.v1);
    assert_string_equal(c.v2_mount_point, "/sys/fs/cgroup");
    assert_string_equal(c.v1_controllers, "");
}

static void mounts_of_a_hybrid_give_controllers_without_other_options(void **state)
{
    struct doctor_cgroups c;
    (void)state;
    parse("cgroup /c/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
          "cgroup /c/systemd cgroup rw,xattr,name=systemd 0 0\n"
          "cgroup /c/memory cgroup rw,memory 0 0\n"
          "cgroup2 /c/unified cgroup2 rw 0 0\n",
          &c);
    assert_true(c.v1 && c.v2);
    assert_string_equal(c.v1_controllers, "cpu cpuacct memory");
    assert_string_equal(c.v2_mount_point, "/c/unified");
}

static void first_of_several_v2_mounts_counts(void **state)
{
    struct doctor_cgroups c;
    (void)state;
    parse("cgroup2 /a cgroup2 rw 0 0\ncgroup2 /b cgroup2 rw 0 0\n", &c);
    assert_string_equal(c.v2_mount_point, "/a");
}

static void mounts_without_cgroups_give_none(void **state)
{
    struct doctor_cgroups c;
    (void)state;
    parse("tmpfs /sys/fs/cgroup tmpfs rw 0 0\n", &c);
    assert_false(c.v1 || c.v2);
}

static void mount_table_cut_anywhere_is_survived(void **state)
{
    const char table[] = "cgroup /c cgroup rw,cpu 0 0\ncgroup2 /u cgroup2 rw 0 0\n\n \n";
    (void)state;
    for (size_t length = 0; length <= sizeof table; length++) {
        struct doctor_cgroups c;
        char *cut = strndup(table, length);
        parse(cut, &c);
        assert_int_equal(c.v2_mount_point[0] != '\0', c.v2);
        free(cut);
    }
}

static void cgroup_kinds_are_told_apart(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    assert_found(&facts, "cgroup", DOCTOR_OK, "v2: cpuset cpu io memory pids");
    facts.cgroups = (struct doctor_cgroups){.v1 = true, .v1_controllers = "cpu memory pids"};
    assert_found(&facts, "cgroup", DOCTOR_NOTE, "v1: cpu memory pids");
    facts.cgroups.v2 = true;
    assert_found(&facts, "cgroup", DOCTOR_NOTE, "hybrid; v1: cpu memory pids; v2: none");
    facts.cgroups = (struct doctor_cgroups){0};
    assert_found(&facts, "cgroup", DOCTOR_MISSING, "none mounted");
}

static void absent_controller_is_named(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    strcpy(facts.cgroups.v2_controllers, "cpuset memory pids");
    assert_found(&facts, "cgroup", DOCTOR_MISSING, "no cpu controller; v2: cpuset memory pids");
    strcpy(facts.cgroups.v2_controllers, "cpu memory");
    assert_found(&facts, "cgroup", DOCTOR_MISSING, "no pids controller; v2: cpu memory");
}

/* ---- printing ---- */

struct printed {
    char *text;
    size_t size;
};

static void print(struct printed *p, const struct doctor_facts *facts,
                  void (*printer)(FILE *out, const struct doctor_report *report))
{
    struct doctor_report report;
    FILE *out = open_memstream(&p->text, &p->size);
    assert_non_null(out);
    doctor_judge(facts, &report);
    printer(out, &report);
    fclose(out);
}

static void assert_lines_fit(const char *text, size_t columns)
{
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= columns);
        line += length + (line[length] == '\n');
    }
}

static void text_has_status_subject_reason_and_remedy(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct printed p;
    (void)state;
    facts.tun_open = -EACCES;
    print(&p, &facts, doctor_print_text);
    assert_non_null(strstr(
        p.text, "missing  tap devices      /dev/net/tun exists, but this user may not open it\n"
                "                          why: connect a guest's network card to the host\n"
                "                          do:  make /dev/net/tun readable and writable (mode 0666 is usual)\n"));
    free(p.text);
}

static void text_never_passes_100_columns(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct printed p;
    (void)state;
    facts.user_namespace = -EPERM;
    facts.cgroups = (struct doctor_cgroups){.v1 = true, .v2 = true};
    strcpy(facts.cgroups.v1_controllers, "cpu cpuacct cpuset memory devices freezer blkio pids net_cls net_prio");
    strcpy(facts.cgroups.v2_controllers, "hugetlb rdma misc");
    print(&p, &facts, doctor_print_text);
    assert_lines_fit(p.text, 100);
    free(p.text);
}

static void assert_last_line(const struct doctor_facts *facts, const char *wanted)
{
    struct printed p;
    print(&p, facts, doctor_print_text);
    assert_true(p.size > strlen(wanted));
    assert_string_equal(p.text + p.size - strlen(wanted), wanted);
    free(p.text);
}

static void text_ends_with_the_verdict(void **state)
{
    struct doctor_facts facts = perfect_host();
    (void)state;
    assert_last_line(&facts, "\n\ncaisson can run here, on /dev/mshv.\n");
    facts.mshv_open = -ENOENT;
    assert_last_line(&facts,
                     "\n\ncaisson can run here, on softhv, its software hypervisor (no /dev/mshv that it can use).\n");
    facts.memfd_sealing = -ENOSYS;
    assert_last_line(&facts, "\n\ncaisson cannot run here: it needs memfd sealing and seccomp filters.\n");
    facts.softhv = false;
    assert_last_line(
        &facts,
        "\n\ncaisson cannot run here: there is no /dev/mshv that it can use, and softhv is not in this build.\n");
}

static void json_names_port_verdict_and_every_check(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct doctor_report report;
    struct printed p;
    (void)state;
    facts.mshv_open = -ENOENT;
    print(&p, &facts, doctor_print_json);
    assert_non_null(strstr(p.text, "\"can_run\": true"));
    assert_non_null(strstr(p.text, "\"port\": \"softhv\""));
    doctor_judge(&facts, &report);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        assert_non_null(strstr(p.text, report.findings[i].check->id));
    }
    free(p.text);
}

static void json_of_a_host_without_a_port_says_null(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct printed p;
    (void)state;
    facts.mshv_open = -ENOENT;
    facts.softhv = false;
    print(&p, &facts, doctor_print_json);
    assert_non_null(strstr(p.text, "\"can_run\": false"));
    assert_non_null(strstr(p.text, "\"port\": null"));
    free(p.text);
}

static void json_escapes_what_the_host_says(void **state)
{
    struct doctor_facts facts = perfect_host();
    struct printed p;
    (void)state;
    strcpy(facts.hypervisor_vendor, "a\"b\\c\xff");
    print(&p, &facts, doctor_print_json);
    assert_non_null(strstr(p.text, "(CPUID says \\\"a\\\"b\\\\c\\ufffd\\\")"));
    free(p.text);
}

/* ---- the real host ---- */

static void probe_finds_out_about_this_host(void **state)
{
    struct doctor_facts facts;
    (void)state;
    doctor_probe(&facts);
    assert_true(facts.kernel_release[0] != '\0');
    assert_true(facts.mshv_open <= 0 && facts.tun_open <= 0 && facts.landlock_abi != 0);
    assert_true(facts.seccomp_filter <= 0 && facts.memfd_sealing <= 0 && facts.user_namespace <= 0);
}

/* Run `caisson doctor` with at most one option. */
static int run_doctor(struct printed *out, struct printed *err, const char *option)
{
    struct cli_io io = {.out = open_memstream(&out->text, &out->size), .err = open_memstream(&err->text, &err->size)};
    char *argv[] = {strdup("doctor"), option != NULL ? strdup(option) : NULL, NULL};
    int code = doctor_main(&io, option != NULL ? 2 : 1, argv);
    fclose(io.out);
    fclose(io.err);
    free(argv[0]);
    free(argv[1]);
    return code;
}

static void command_refuses_an_unknown_option(void **state)
{
    struct printed out;
    struct printed err;
    (void)state;
    assert_int_equal(run_doctor(&out, &err, "--xml"), 2);
    assert_string_equal(err.text, "caisson doctor: unknown option '--xml'; see 'caisson help doctor'\n");
    assert_string_equal(out.text, "");
    free(out.text);
    free(err.text);
}

static void command_exits_as_its_text_says(void **state)
{
    struct printed out;
    struct printed err;
    (void)state;
    int code = run_doctor(&out, &err, NULL);
    assert_int_equal(code, strstr(out.text, "\ncaisson can run here") != NULL ? 0 : 1);
    assert_string_equal(err.text, "");
    free(out.text);
    free(err.text);
}

static void command_has_json_as_configured(void **state)
{
    struct printed out;
    struct printed err;
    (void)state;
    int code = run_doctor(&out, &err, "--json");
    assert_int_equal(code == 2, !CONFIG_DOCTOR_JSON);
    assert_int_equal(out.text[0] == '{', CONFIG_DOCTOR_JSON);
    free(out.text);
    free(err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_host_runs_on_the_kernel_and_needs_nothing),
        cmocka_unit_test(host_without_mshv_runs_on_softhv),
        cmocka_unit_test(host_without_mshv_cannot_run_a_build_without_softhv),
        cmocka_unit_test(mshv_of_an_older_kernel_is_not_used),
        cmocka_unit_test(host_without_memfd_sealing_cannot_run),
        cmocka_unit_test(host_without_seccomp_filters_cannot_run),
        cmocka_unit_test(host_without_comforts_can_run),
        cmocka_unit_test(everything_not_ok_is_explained),
        cmocka_unit_test(mshv_open_errors_are_told_apart),
        cmocka_unit_test(absent_mshv_on_a_parent_partition_asks_for_the_module),
        cmocka_unit_test(cpuid_without_the_hypervisor_bit_is_bare_metal),
        cmocka_unit_test(cpuid_with_both_partition_rights_is_root),
        cmocka_unit_test(cpuid_that_may_create_partitions_only_is_l1vh),
        cmocka_unit_test(cpuid_without_partition_rights_is_a_child),
        cmocka_unit_test(cpuid_of_an_isolated_partition_is_never_root),
        cmocka_unit_test(microsoft_vendor_without_its_interface_is_unknown),
        cmocka_unit_test(kvm_behind_a_hyperv_interface_is_kvm),
        cmocka_unit_test(kvm_alone_is_kvm),
        cmocka_unit_test(xen_and_vmware_are_known),
        cmocka_unit_test(other_vendor_is_unknown),
        cmocka_unit_test(hypervisor_line_quotes_the_vendor),
        cmocka_unit_test(hypervisor_line_on_bare_metal_quotes_nothing),
        cmocka_unit_test(every_hypervisor_kind_has_a_text_of_its_own),
        cmocka_unit_test(kernel_versions_are_compared_as_numbers),
        cmocka_unit_test(older_kernel_with_a_device_has_the_old_interface),
        cmocka_unit_test(kernel_release_that_is_no_version_is_a_note),
        cmocka_unit_test(softhv_line_follows_the_build),
        cmocka_unit_test(memfd_failure_gives_its_reason),
        cmocka_unit_test(seccomp_has_three_levels),
        cmocka_unit_test(landlock_has_five_answers),
        cmocka_unit_test(steps_of_the_jail_are_named_with_their_reason),
        cmocka_unit_test(user_namespace_refusals_are_told_apart),
        cmocka_unit_test(tap_line_names_the_device),
        cmocka_unit_test(mounts_of_v2_alone_are_recognised),
        cmocka_unit_test(mounts_of_a_hybrid_give_controllers_without_other_options),
        cmocka_unit_test(first_of_several_v2_mounts_counts),
        cmocka_unit_test(mounts_without_cgroups_give_none),
        cmocka_unit_test(mount_table_cut_anywhere_is_survived),
        cmocka_unit_test(cgroup_kinds_are_told_apart),
        cmocka_unit_test(absent_controller_is_named),
        cmocka_unit_test(text_has_status_subject_reason_and_remedy),
        cmocka_unit_test(text_never_passes_100_columns),
        cmocka_unit_test(text_ends_with_the_verdict),
        cmocka_unit_test(json_names_port_verdict_and_every_check),
        cmocka_unit_test(json_of_a_host_without_a_port_says_null),
        cmocka_unit_test(json_escapes_what_the_host_says),
        cmocka_unit_test(probe_finds_out_about_this_host),
        cmocka_unit_test(command_refuses_an_unknown_option),
        cmocka_unit_test(command_exits_as_its_text_says),
        cmocka_unit_test(command_has_json_as_configured),
    };
    return cmocka_run_group_tests_name("vmm/doctor", tests, NULL, NULL);
}
