/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/bytes.h"
#include "common/text.h"
#include "vmm/doctor.h"

/* Hypervisor leaves may start at any of these bases: a second interface sits at a higher one. */
#define CPUID_HYPERVISOR_FIRST 0x40000000u
#define CPUID_HYPERVISOR_LAST  0x4000ff00u
#define CPUID_HYPERVISOR_STEP  0x100u

#define HV_INTERFACE_SIGNATURE 0x31237648u /* "Hv#1", leaf 0x40000001 EAX */
#define HV_PRIVILEGES_LEAF     0x40000003u
#define HV_CREATE_PARTITIONS   (1u << 0) /* leaf 0x40000003 EBX */
#define HV_CPU_MANAGEMENT      (1u << 12)
#define HV_ISOLATION           (1u << 22)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

typedef void cpuid_query(void *context, uint32_t leaf, struct doctor_cpuid *out);

static void read_vendor(cpuid_query *query, void *context, uint32_t base, char vendor[13])
{
    struct doctor_cpuid leaf;
    query(context, base, &leaf);
    bytes_store_le32(vendor, leaf.ebx);
    bytes_store_le32(vendor + 4, leaf.ecx);
    bytes_store_le32(vendor + 8, leaf.edx);
    vendor[12] = '\0';
}

/* KVM that offers Hyper-V's interface to its guest moves its own to 0x40000100: look at every base. */
static bool any_base_has_vendor(cpuid_query *query, void *context, const char *wanted)
{
    for (uint32_t base = CPUID_HYPERVISOR_FIRST; base <= CPUID_HYPERVISOR_LAST; base += CPUID_HYPERVISOR_STEP) {
        char vendor[13];
        read_vendor(query, context, base, vendor);
        if (strcmp(vendor, wanted) == 0) {
            return true;
        }
    }
    return false;
}

static enum doctor_hypervisor identify_mshv(cpuid_query *query, void *context)
{
    struct doctor_cpuid leaf;
    query(context, CPUID_HYPERVISOR_FIRST + 1, &leaf);
    if (leaf.eax != HV_INTERFACE_SIGNATURE) {
        return DOCTOR_HYPERVISOR_OTHER;
    }
    query(context, HV_PRIVILEGES_LEAF, &leaf);
    if (leaf.ebx & HV_ISOLATION) {
        return DOCTOR_HYPERVISOR_MSHV_ISOLATED;
    }
    if (!(leaf.ebx & HV_CREATE_PARTITIONS)) {
        return DOCTOR_HYPERVISOR_MSHV_CHILD;
    }
    return leaf.ebx & HV_CPU_MANAGEMENT ? DOCTOR_HYPERVISOR_MSHV_ROOT : DOCTOR_HYPERVISOR_MSHV_L1VH;
}

enum doctor_hypervisor doctor_identify_hypervisor(cpuid_query *query, void *context, char vendor[13])
{
    struct doctor_cpuid leaf;
    vendor[0] = '\0';
    query(context, 1, &leaf);
    if (!(leaf.ecx & CPUID_1_ECX_HYPERVISOR)) {
        return DOCTOR_HYPERVISOR_NONE;
    }
    read_vendor(query, context, CPUID_HYPERVISOR_FIRST, vendor);
    if (any_base_has_vendor(query, context, "KVMKVMKVM")) {
        return DOCTOR_HYPERVISOR_KVM;
    }
    if (any_base_has_vendor(query, context, "XenVMMXenVMM")) {
        return DOCTOR_HYPERVISOR_XEN;
    }
    if (strcmp(vendor, "VMwareVMware") == 0) {
        return DOCTOR_HYPERVISOR_VMWARE;
    }
    if (strcmp(vendor, "Microsoft Hv") == 0) {
        return identify_mshv(query, context);
    }
    return DOCTOR_HYPERVISOR_OTHER;
}

static const char known_controllers[] =
    "cpu cpuacct cpuset memory devices freezer blkio pids net_cls net_prio perf_event hugetlb rdma misc";

/* The options of a v1 mount name its controllers among other things. */
static void add_v1_controllers(struct text *t, const char *options, size_t options_length)
{
    for (size_t at = 0; at < options_length;) {
        const char *word = options + at;
        size_t length = strcspn(word, ", \n");
        if (text_has_word(known_controllers, word, length)) {
            text_add(t, "%s%.*s", t->length > 0 ? " " : "", (int)length, word);
        }
        at += length + 1;
    }
}

struct field {
    const char *start;
    size_t length;
};

static struct field next_field(const char **line)
{
    struct field f = {*line, strcspn(*line, " \n")};
    *line += f.length;
    *line += **line == ' ';
    return f;
}

static bool field_is(struct field f, const char *word)
{
    return f.length == strlen(word) && strncmp(f.start, word, f.length) == 0;
}

/* Line format: device, mount point, type, options, and two numbers. Source: fstab(5). */
static void parse_mount(const char *line, struct doctor_cgroups *out, struct text *v1)
{
    next_field(&line);
    struct field mount_point = next_field(&line);
    struct field type = next_field(&line);
    struct field options = next_field(&line);
    if (field_is(type, "cgroup")) {
        out->v1 = true;
        add_v1_controllers(v1, options.start, options.length);
    } else if (field_is(type, "cgroup2") && !out->v2) {
        struct text t;
        out->v2 = true;
        text_init(&t, out->v2_mount_point, sizeof out->v2_mount_point);
        text_add(&t, "%.*s", (int)mount_point.length, mount_point.start);
    }
}

void doctor_parse_mounts(const char *mounts, struct doctor_cgroups *out)
{
    struct text v1;
    *out = (struct doctor_cgroups){0};
    text_init(&v1, out->v1_controllers, sizeof out->v1_controllers);
    for (const char *line = mounts; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        parse_mount(line, out, &v1);
        line += length;
        line += *line == '\n';
    }
}
