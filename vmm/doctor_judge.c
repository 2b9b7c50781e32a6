/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "vmm/doctor.h"

/* The first Linux whose own tree has /dev/mshv. */
#define MSHV_KERNEL_MAJOR 6
#define MSHV_KERNEL_MINOR 15

/* From this ABI on (Linux 6.12) landlock also confines signals and abstract sockets. */
#define LANDLOCK_ABI_FULL 6

__attribute__((format(printf, 3, 4))) static void found(struct doctor_finding *f, enum doctor_status status,
                                                        const char *format, ...)
{
    struct text t;
    va_list arguments;
    f->status = status;
    text_init(&t, f->found, sizeof f->found);
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
}

/* What an attempt to open a device says, in words that tell the causes apart. */
static const char *why_not_opened(int code)
{
    switch (-code) {
    case ENOENT: return "does not exist";
    case EACCES:
    case EPERM: return "exists, but this user may not open it";
    case ENODEV:
    case ENXIO: return "exists, but there is no driver behind it";
    default: return strerror(-code);
    }
}

static bool is_denied(int code)
{
    return code == -EACCES || code == -EPERM;
}

static const char *how_to_get_mshv(const struct doctor_facts *facts)
{
    if (is_denied(facts->mshv_open)) {
        return "run as root, or give the device a group of its own by a udev rule and join it";
    }
    if (facts->hypervisor == DOCTOR_HYPERVISOR_MSHV_ROOT || facts->hypervisor == DOCTOR_HYPERVISOR_MSHV_L1VH) {
        return "load the module mshv_root, from a kernel of 6.15 or newer with CONFIG_MSHV_ROOT";
    }
    return "use a host that runs Linux as the root (or an L1VH) partition of the Microsoft hypervisor";
}

static void judge_mshv(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->mshv_open == 0) {
        found(f, DOCTOR_OK, "opens for reading and writing");
        return;
    }
    found(f, DOCTOR_MISSING, "%s", why_not_opened(facts->mshv_open));
    f->what_to_do = how_to_get_mshv(facts);
}

/* Only these two kinds of partition can have child partitions. */
struct hypervisor_text {
    enum doctor_status status;
    const char *text;
};

static const struct hypervisor_text hypervisor_texts[DOCTOR_HYPERVISOR_COUNT] = {
    [DOCTOR_HYPERVISOR_NONE] = {DOCTOR_NOTE, "none: this is bare metal"},
    [DOCTOR_HYPERVISOR_MSHV_ROOT] = {DOCTOR_OK, "Microsoft hypervisor, root partition"},
    [DOCTOR_HYPERVISOR_MSHV_L1VH] = {DOCTOR_OK, "Microsoft hypervisor, L1VH partition"},
    [DOCTOR_HYPERVISOR_MSHV_ISOLATED] = {DOCTOR_NOTE, "Microsoft hypervisor, isolated child partition"},
    [DOCTOR_HYPERVISOR_MSHV_CHILD] = {DOCTOR_NOTE, "Microsoft hypervisor, child partition"},
    [DOCTOR_HYPERVISOR_KVM] = {DOCTOR_NOTE, "KVM"},
    [DOCTOR_HYPERVISOR_VMWARE] = {DOCTOR_NOTE, "VMware"},
    [DOCTOR_HYPERVISOR_XEN] = {DOCTOR_NOTE, "Xen"},
    [DOCTOR_HYPERVISOR_OTHER] = {DOCTOR_NOTE, "unknown"},
};

static void judge_hypervisor(const struct doctor_facts *facts, struct doctor_finding *f)
{
    const struct hypervisor_text *text = &hypervisor_texts[facts->hypervisor];
    if (facts->hypervisor_vendor[0] != '\0') {
        found(f, text->status, "%s (CPUID says \"%s\")", text->text, facts->hypervisor_vendor);
    } else {
        found(f, text->status, "%s", text->text);
    }
}

static bool kernel_has_mshv(const char *release, bool *known)
{
    unsigned major = 0;
    unsigned minor = 0;
    *known = sscanf(release, "%4u.%4u", &major, &minor) == 2;
    return major > MSHV_KERNEL_MAJOR || (major == MSHV_KERNEL_MAJOR && minor >= MSHV_KERNEL_MINOR);
}

static void judge_kernel(const struct doctor_facts *facts, struct doctor_finding *f)
{
    bool known;
    bool new_enough = kernel_has_mshv(facts->kernel_release, &known);
    if (!known) {
        found(f, DOCTOR_NOTE, "version unknown: \"%s\"", facts->kernel_release);
        f->what_to_do = "check by hand that it is Linux 6.15 or newer";
    } else if (new_enough) {
        found(f, DOCTOR_OK, "Linux %s", facts->kernel_release);
    } else if (facts->mshv_open == 0) {
        found(f, DOCTOR_NOTE, "Linux %s has a /dev/mshv from before the upstream interface", facts->kernel_release);
        f->what_to_do = "use Linux 6.15 or newer: caisson speaks the upstream interface only";
    } else {
        found(f, DOCTOR_MISSING, "Linux %s is older than 6.15", facts->kernel_release);
        f->what_to_do = "use Linux 6.15 or newer; softhv does not need it";
    }
}

static void judge_softhv(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->softhv) {
        found(f, DOCTOR_OK, "built in");
        return;
    }
    found(f, DOCTOR_NOTE, "left out of this build (CONFIG_SOFTHV is off)");
    f->what_to_do = "nothing on a production host; elsewhere use a build with CONFIG_SOFTHV";
}

static void judge_memfd(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->memfd_sealing == 0) {
        found(f, DOCTOR_OK, "memfd_create with sealing works");
        return;
    }
    found(f, DOCTOR_MISSING, "memfd_create or its sealing fails: %s", strerror(-facts->memfd_sealing));
    f->what_to_do = "use a kernel with CONFIG_MEMFD_CREATE, and let a surrounding sandbox allow memfd_create";
}

static void judge_seccomp(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->seccomp_filter != 0) {
        found(f, DOCTOR_MISSING, "no filters: %s", strerror(-facts->seccomp_filter));
        f->what_to_do = "use a kernel with CONFIG_SECCOMP_FILTER";
    } else if (facts->seccomp_notify != 0) {
        found(f, DOCTOR_NOTE, "filters, but no user notification: %s", strerror(-facts->seccomp_notify));
        f->what_to_do = "use Linux 5.0 or newer to have a refused system call reported by name";
    } else {
        found(f, DOCTOR_OK, "filters and user notification");
    }
}

static void judge_landlock(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->landlock_abi >= LANDLOCK_ABI_FULL) {
        found(f, DOCTOR_OK, "ABI %d", facts->landlock_abi);
    } else if (facts->landlock_abi > 0) {
        found(f, DOCTOR_NOTE, "ABI %d: confines files, not yet signals and abstract sockets", facts->landlock_abi);
        f->what_to_do = "use Linux 6.12 or newer for all of it";
    } else if (facts->landlock_abi == -EOPNOTSUPP) {
        found(f, DOCTOR_MISSING, "in this kernel, but switched off at boot");
        f->what_to_do = "add landlock to the kernel parameter lsm=";
    } else if (facts->landlock_abi == -ENOSYS) {
        found(f, DOCTOR_MISSING, "not in this kernel");
        f->what_to_do = "use a kernel with CONFIG_SECURITY_LANDLOCK";
    } else {
        found(f, DOCTOR_MISSING, "cannot be used: %s", strerror(-facts->landlock_abi));
        f->what_to_do = "let a surrounding sandbox allow landlock_create_ruleset";
    }
}

static void judge_user_namespace(const struct doctor_facts *facts, struct doctor_finding *f)
{
    switch (-facts->user_namespace) {
    case 0: found(f, DOCTOR_OK, "can be made by this user"); return;
    case EPERM:
        found(f, DOCTOR_MISSING, "this user may not make one, or we are inside a chroot");
        f->what_to_do =
            "look at kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and LSM policy";
        return;
    case ENOSPC:
        found(f, DOCTOR_MISSING, "the limit on their number is reached");
        f->what_to_do = "raise user.max_user_namespaces";
        return;
    default:
        found(f, DOCTOR_MISSING, "cannot be made: %s", strerror(-facts->user_namespace));
        f->what_to_do = "use a kernel with CONFIG_USER_NS";
    }
}

static const char *const needed_controllers[] = {"cpu", "memory", "pids"};

/* First controller that neither hierarchy has, or NULL. */
static const char *absent_controller(const struct doctor_cgroups *cgroups)
{
    for (size_t i = 0; i < sizeof needed_controllers / sizeof needed_controllers[0]; i++) {
        const char *name = needed_controllers[i];
        size_t length = strlen(name);
        if (!text_has_word(cgroups->v2_controllers, name, length) &&
            !text_has_word(cgroups->v1_controllers, name, length)) {
            return name;
        }
    }
    return NULL;
}

static const char *or_none(const char *words)
{
    return words[0] != '\0' ? words : "none";
}

static void describe_cgroups(const struct doctor_cgroups *cgroups, struct doctor_finding *f)
{
    if (cgroups->v1 && cgroups->v2) {
        found(f, DOCTOR_NOTE, "hybrid; v1: %s; v2: %s", or_none(cgroups->v1_controllers),
              or_none(cgroups->v2_controllers));
        f->what_to_do = "boot with systemd.unified_cgroup_hierarchy=1 for v2 alone";
    } else if (cgroups->v1) {
        found(f, DOCTOR_NOTE, "v1: %s", or_none(cgroups->v1_controllers));
        f->what_to_do = "boot with systemd.unified_cgroup_hierarchy=1 for v2";
    } else if (cgroups->v2) {
        found(f, DOCTOR_OK, "v2: %s", or_none(cgroups->v2_controllers));
    } else {
        found(f, DOCTOR_MISSING, "none mounted");
        f->what_to_do = "mount cgroup2 at /sys/fs/cgroup";
    }
}

static void judge_cgroups(const struct doctor_facts *facts, struct doctor_finding *f)
{
    const struct doctor_cgroups *cgroups = &facts->cgroups;
    const char *absent = absent_controller(cgroups);
    describe_cgroups(cgroups, f);
    if (absent != NULL && (cgroups->v1 || cgroups->v2)) {
        char described[sizeof f->found];
        memcpy(described, f->found, sizeof described);
        found(f, DOCTOR_MISSING, "no %s controller; %.*s", absent, (int)(sizeof described - 1), described);
        f->what_to_do = "enable cpu, memory and pids in cgroup.subtree_control of the parent, or as v1 mounts";
    }
}

static void judge_tap(const struct doctor_facts *facts, struct doctor_finding *f)
{
    if (facts->tun_open == 0) {
        found(f, DOCTOR_OK, "/dev/net/tun opens for reading and writing");
        return;
    }
    found(f, DOCTOR_MISSING, "/dev/net/tun %s", why_not_opened(facts->tun_open));
    f->what_to_do = is_denied(facts->tun_open) ? "make /dev/net/tun readable and writable (mode 0666 is usual)"
                                               : "load the module tun; in a container, pass the device in";
}

/* The steps that fail with this errno, behind each other; then the errno. */
static void name_steps(const int jail[JAIL_STEPS], int code, struct text *t)
{
    const char *before = "";
    for (int step = 0; step < JAIL_STEPS; step++) {
        if (jail[step] == code) {
            text_add(t, "%s%s", before, jail_step_name((enum jail_step)step));
            before = ", ";
        }
    }
    text_add(t, " (%s)", strerror(-code));
}

/* Most often all of them fail for one reason. */
static unsigned name_reasons(const int jail[JAIL_STEPS], struct text *t)
{
    unsigned count = 0;
    for (int step = 0; step < JAIL_STEPS; step++) {
        int earlier = 0;
        while (earlier < step && jail[earlier] != jail[step])
            earlier++;
        if (jail[step] >= 0 || earlier < step)
            continue;
        text_add(t, "%s", count++ == 0 ? "" : "; ");
        name_steps(jail, jail[step], t);
    }
    return count;
}

static void judge_jail(const struct doctor_facts *facts, struct doctor_finding *f)
{
    char missing[sizeof f->found - 16];
    struct text t;
    text_init(&t, missing, sizeof missing);
    if (!CONFIG_JAIL) {
        found(f, DOCTOR_NOTE, "left out of this build (CONFIG_JAIL is off)");
        f->what_to_do = "use a build with CONFIG_JAIL";
    } else if (name_reasons(facts->jail, &t) == 0) {
        found(f, DOCTOR_OK, "all steps work");
    } else {
        found(f, DOCTOR_NOTE, "not here: %s", missing);
        f->what_to_do = "run as root, or let this user make user namespaces; docs/jail.md says what each step is for";
    }
}

struct judged_check {
    struct doctor_check check;
    void (*judge)(const struct doctor_facts *facts, struct doctor_finding *f);
};

enum check_index {
    CHECK_MSHV,
    CHECK_HYPERVISOR,
    CHECK_KERNEL,
    CHECK_SOFTHV,
    CHECK_MEMFD,
    CHECK_SECCOMP,
    CHECK_LANDLOCK,
    CHECK_USER_NAMESPACE,
    CHECK_JAIL,
    CHECK_CGROUP,
    CHECK_TAP,
};

static const struct judged_check checks[DOCTOR_CHECK_COUNT] = {
    [CHECK_MSHV] = {{"mshv-device", "/dev/mshv",
                     "runs guests at hardware speed; caisson uses no other such device, never /dev/kvm"},
                    judge_mshv},
    [CHECK_HYPERVISOR] = {{"hypervisor", "hypervisor",
                           "only the root partition or an L1VH partition of the Microsoft hypervisor has /dev/mshv"},
                          judge_hypervisor},
    [CHECK_KERNEL] = {{"kernel", "kernel", "/dev/mshv is part of Linux since 6.15"}, judge_kernel},
    [CHECK_SOFTHV] = {{"softhv", "softhv", "the software hypervisor runs guests without /dev/mshv, slower"},
                      judge_softhv},
    [CHECK_MEMFD] = {{"memfd-sealing", "memfd sealing",
                      "evidence of a pod is handed out in sealed memory files, which nobody can change"},
                     judge_memfd},
    [CHECK_SECCOMP] = {{"seccomp", "seccomp", "each thread of the VMM is held to the few system calls it needs"},
                       judge_seccomp},
    [CHECK_LANDLOCK] = {{"landlock", "landlock", "takes the file system away from the VMM, beyond what seccomp can"},
                        judge_landlock},
    [CHECK_USER_NAMESPACE] = {{"user-namespace", "user namespaces",
                               "the VMM gives up its rights without being root first"},
                              judge_user_namespace},
    [CHECK_JAIL] = {{"jail", "jail", "namespaces, an empty root and no rights for the process of a VM"}, judge_jail},
    [CHECK_CGROUP] = {{"cgroup", "cgroups", "limit the processor time, memory and threads of a VM from outside"},
                      judge_cgroups},
    [CHECK_TAP] = {{"tap", "tap devices", "connect a guest's network card to the host"}, judge_tap},
};

static enum doctor_port choose_port(const struct doctor_report *report)
{
    if (report->findings[CHECK_MSHV].status == DOCTOR_OK && report->findings[CHECK_KERNEL].status == DOCTOR_OK) {
        return DOCTOR_PORT_KERNEL;
    }
    return report->findings[CHECK_SOFTHV].status == DOCTOR_OK ? DOCTOR_PORT_SOFTHV : DOCTOR_PORT_NONE;
}

void doctor_judge(const struct doctor_facts *facts, struct doctor_report *report)
{
    *report = (struct doctor_report){0};
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        report->findings[i].check = &checks[i].check;
        checks[i].judge(facts, &report->findings[i]);
    }
    report->port = choose_port(report);
    report->can_run = report->port != DOCTOR_PORT_NONE && report->findings[CHECK_MEMFD].status == DOCTOR_OK &&
                      report->findings[CHECK_SECCOMP].status != DOCTOR_MISSING;
}
