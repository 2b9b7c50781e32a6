/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/memfd.h"
#include "common/text.h"
#include "vmm/doctor.h"

static void query_cpuid(void *context, uint32_t leaf, struct doctor_cpuid *out)
{
    (void)context;
    __cpuid(leaf, out->eax, out->ebx, out->ecx, out->edx);
}

static void probe_kernel(char *release, size_t size)
{
    struct utsname names;
    struct text t;
    text_init(&t, release, size);
    if (uname(&names) == 0) {
        text_add(&t, "%s", names.release);
    }
}

static int probe_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? -errno : (int)abi;
}

static int probe_seccomp_action(uint32_t action)
{
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static void probe_cgroups(struct doctor_cgroups *cgroups)
{
    char mounts[65536];
    /* A longer table is used as far as it was read: cgroup mounts are made early and stand near its start. */
    host_read_file("/proc/self/mounts", mounts, sizeof mounts);
    doctor_parse_mounts(mounts, cgroups);
    if (!cgroups->v2) {
        return;
    }
    char path[sizeof cgroups->v2_mount_point + sizeof "/cgroup.controllers"];
    struct text t;
    text_init(&t, path, sizeof path);
    text_add(&t, "%s/cgroup.controllers", cgroups->v2_mount_point);
    host_read_file(path, cgroups->v2_controllers, sizeof cgroups->v2_controllers);
    cgroups->v2_controllers[strcspn(cgroups->v2_controllers, "\n")] = '\0';
}

/* Trying is the only reliable way: sysctls, LSM policy, limits and chroots all have a say. The child is thrown away. */
static int probe_user_namespace(void)
{
    pid_t child = fork();
    if (child < 0) {
        return -errno;
    }
    if (child == 0) {
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    /* Killed instead of refused: a seccomp filter around us. */
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static int probe_memfd_sealing(void)
{
    int fd = memfd_new("caisson-doctor", true);
    if (fd < 0) {
        return fd;
    }
    int result = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ? -errno : 0;
    close(fd);
    return result;
}

void doctor_probe(struct doctor_facts *facts)
{
    *facts = (struct doctor_facts){.softhv = CONFIG_SOFTHV};
    facts->mshv_open = host_try_open("/dev/mshv", O_RDWR);
    facts->hypervisor = doctor_identify_hypervisor(query_cpuid, NULL, facts->hypervisor_vendor);
    probe_kernel(facts->kernel_release, sizeof facts->kernel_release);
    facts->landlock_abi = probe_landlock_abi();
    facts->seccomp_filter = probe_seccomp_action(SECCOMP_RET_KILL_PROCESS);
    facts->seccomp_notify = probe_seccomp_action(SECCOMP_RET_USER_NOTIF);
    probe_cgroups(&facts->cgroups);
    facts->tun_open = host_try_open("/dev/net/tun", O_RDWR);
    facts->user_namespace = probe_user_namespace();
    facts->memfd_sealing = probe_memfd_sealing();
    if (CONFIG_JAIL)
        jail_probe(facts->jail);
}
