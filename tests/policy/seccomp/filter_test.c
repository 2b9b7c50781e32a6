/* SPDX-License-Identifier: Apache-2.0 */
/* What the lists allow, read from the filters and compared with what is written here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "policy/seccomp/filter.h"
#include "tests/lib/bpf.h"
#include "vmm/mshv/abi.h"

#define CALLS   1024
#define X32_BIT 0x40000000u
#define KILL    SECCOMP_RET_KILL_PROCESS
#define TRAP    SECCOMP_RET_TRAP
#define ALLOW   SECCOMP_RET_ALLOW

static bool exists(enum seccomp_role role)
{
    return seccomp_filters[role].code != NULL;
}

static uint32_t ask(enum seccomp_role role, const struct seccomp_data *data)
{
    return bpf_run(seccomp_filters[role].code, seccomp_filters[role].length, data);
}

static uint32_t ask_arch(enum seccomp_role role, uint32_t arch, uint32_t call)
{
    const struct seccomp_data data = {.nr = (int)call, .arch = arch};
    return ask(role, &data);
}

static uint32_t ask_args(enum seccomp_role role, int call, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const struct seccomp_data data = {.nr = call, .arch = AUDIT_ARCH_X86_64, .args = {a, b, c, d}};
    return ask(role, &data);
}

static bool is_listed(enum seccomp_role role, int call)
{
    const struct seccomp_filter *f = &seccomp_filters[role];
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i] == call)
            return true;
    return false;
}

/* ---- All lists ---- */

static void what_is_not_listed_traps(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (int call = 0; exists(role) && call < CALLS; call++)
            if (!is_listed(role, call) && ask_args(role, call, 0, 0, 0, 0) != TRAP)
                fail_msg("%s allows %s", seccomp_filters[role].name, seccomp_call_name(call));
}

static void names_have_their_file(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        assert_non_null(seccomp_filters[role].name);
        assert_true(!exists(role) || (is_listed(role, SYS_exit_group) && is_listed(role, SYS_write)));
    }
    assert_string_equal(seccomp_filters[SECCOMP_VP].name, "vp");
    assert_string_equal(seccomp_call_name(SYS_socket), "socket");
    assert_string_equal(seccomp_call_name(-1), "?");
    assert_string_equal(seccomp_call_name(100000), "?");
}

static void other_tables_of_calls_kill(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (uint32_t call = 0; exists(role) && call < CALLS; call++) {
            assert_int_equal(ask_arch(role, AUDIT_ARCH_I386, call), KILL);
            assert_int_equal(ask_arch(role, AUDIT_ARCH_X86_64, call | X32_BIT), KILL);
            assert_int_equal(ask_arch(role, AUDIT_ARCH_AARCH64, call), KILL);
        }
}

/* Arguments that a kernel would take for an attempt at the real thing. */
static void nothing_that_leads_out_is_in_any_list(void **state)
{
    static const int never[] = {
        SYS_execve,
        SYS_execveat,
        SYS_fork,
        SYS_vfork,
        SYS_clone3,
        SYS_ptrace,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_bpf,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_kexec_file_load,
        SYS_reboot,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_swapon,
        SYS_iopl,
        SYS_ioperm,
        SYS_modify_ldt,
        SYS_personality,
        SYS_acct,
        SYS_quotactl,
        SYS_move_mount,
        SYS_fsopen,
        SYS_open_tree,
        SYS_pidfd_getfd,
        SYS_kill,
        SYS_tgkill,
        SYS_setuid,
        SYS_setgid,
        SYS_setgroups,
        SYS_shmat,
        SYS_msgget,
        SYS_semget,
        SYS_pkey_mprotect,
        SYS_lookup_dcookie,
        SYS_vmsplice,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_sethostname,
    };
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (size_t i = 0; exists(role) && i < sizeof never / sizeof never[0]; i++)
            if (is_listed(role, never[i]))
                fail_msg("%s allows %s", seccomp_filters[role].name, seccomp_call_name(never[i]));
}

/* Into one that was made before, of a kind that policy/jail makes. */
static void only_startup_moves_into_namespaces(void **state)
{
    static const uint64_t kinds[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        assert_true(role == SECCOMP_STARTUP || !exists(role) || !is_listed(role, SYS_setns));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_setns, 3, kinds[i], 0, 0), CONFIG_JAIL ? ALLOW : TRAP);
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_setns, 3, 0, 0, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_setns, 3, CLONE_NEWUSER, 0, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_setns, 3, CLONE_NEWPID, 0, 0), TRAP);
}

static void after_the_lock_nothing_makes_threads_or_handlers(void **state)
{
    static const int never[] = {SYS_clone,      SYS_seccomp,         SYS_prctl,  SYS_rt_sigaction,  SYS_sigaltstack,
                                SYS_arch_prctl, SYS_set_tid_address, SYS_open,   SYS_creat,         SYS_bind,
                                SYS_listen,     SYS_socketpair,      SYS_execve, SYS_timerfd_create};
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (size_t i = 0; role != SECCOMP_STARTUP && exists(role) && i < sizeof never / sizeof never[0]; i++)
            if (is_listed(role, never[i]))
                fail_msg("%s allows %s", seccomp_filters[role].name, seccomp_call_name(never[i]));
}

static void memory_is_never_executable(void **state)
{
    static const uint64_t anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (uint64_t prot = PROT_EXEC; exists(role) && prot < 8; prot++) {
            assert_int_equal(ask_args(role, SYS_mmap, 0, 4096, prot, anonymous), TRAP);
            assert_int_equal(ask_args(role, SYS_mmap, 0, 4096, prot, MAP_SHARED), TRAP);
            assert_int_equal(ask_args(role, SYS_mprotect, 0, 4096, prot, 0), TRAP);
            /* Bits that the kernel does not look at. */
            assert_int_equal(ask_args(role, SYS_mprotect, 0, 4096, prot | UINT64_C(1) << 32, 0), TRAP);
        }
}

static void sockets_are_unix_streams(void **state)
{
    static const uint64_t flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        if (role == SECCOMP_STARTUP || !exists(role))
            continue;
        uint32_t wanted = role == SECCOMP_VSOCK || role == SECCOMP_NET || role == SECCOMP_POD ? ALLOW : TRAP;
        assert_int_equal(ask_args(role, SYS_socket, AF_UNIX, SOCK_STREAM | flags, 0, 0), wanted);
        assert_int_equal(ask_args(role, SYS_socket, AF_INET, SOCK_STREAM | flags, 0, 0), TRAP);
        assert_int_equal(ask_args(role, SYS_socket, AF_NETLINK, SOCK_STREAM | flags, 0, 0), TRAP);
        assert_int_equal(ask_args(role, SYS_socket, AF_PACKET, SOCK_RAW, 0, 0), TRAP);
        assert_int_equal(ask_args(role, SYS_socket, AF_VSOCK, SOCK_STREAM | flags, 0, 0), TRAP);
        assert_int_equal(ask_args(role, SYS_socket, AF_UNIX, SOCK_DGRAM | flags, 0, 0), TRAP);
    }
}

/* Filters add up, and every thread is made by one that is held to `startup`. */
static void startup_has_what_others_have(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (size_t i = 0; exists(role) && i < seccomp_filters[role].call_count; i++)
            if (!is_listed(SECCOMP_STARTUP, seccomp_filters[role].calls[i]))
                fail_msg("%s, of %s", seccomp_call_name(seccomp_filters[role].calls[i]), seccomp_filters[role].name);
}

/* ---- One at a time ---- */

static void startup_makes_threads_and_neither_processes_nor_namespaces(void **state)
{
    static const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                   CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    static const uint64_t namespaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                          CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    (void)state;
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_clone, thread, 0, 0, 0), ALLOW);
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_clone, SIGCHLD, 0, 0, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0), TRAP);
    for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
        assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_clone, thread | namespaces[i], 0, 0, 0), TRAP);
        for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
            if (exists(role))
                assert_int_equal(ask_args(role, SYS_unshare, namespaces[i], 0, 0, 0), TRAP);
    }
}

static void vp_makes_the_run_time_requests_of_the_hypervisor_only(void **state)
{
    static const uint32_t allowed[] = {MSHV_RUN_VP, MSHV_ROOT_HVCALL, MSHV_SET_GUEST_MEMORY};
    static const uint32_t refused[] = {MSHV_CREATE_PARTITION, MSHV_INITIALIZE_PARTITION, MSHV_CREATE_VP,
                                       MSHV_GET_VP_STATE,     MSHV_SET_VP_STATE,         MSHV_GET_GPAP_ACCESS_BITMAP,
                                       MSHV_IOEVENTFD};
    static const uint32_t with_msi[] = {MSHV_IRQFD, MSHV_SET_MSI_ROUTING};
    (void)state;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        assert_int_equal(ask_args(SECCOMP_VP, SYS_ioctl, 3, allowed[i], 0, 0), ALLOW);
    for (size_t i = 0; i < sizeof with_msi / sizeof with_msi[0]; i++)
        assert_int_equal(ask_args(SECCOMP_VP, SYS_ioctl, 3, with_msi[i], 0, 0), CONFIG_VIRTIO_PCI ? ALLOW : TRAP);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(ask_args(SECCOMP_VP, SYS_ioctl, 3, refused[i], 0, 0), TRAP);
    /* As a C library passes it whose request is an int, and with another number in the low half. */
    assert_int_equal(ask_args(SECCOMP_VP, SYS_ioctl, 3, UINT64_C(0xffffffff00000000) | MSHV_RUN_VP, 0, 0), ALLOW);
    assert_int_equal(ask_args(SECCOMP_VP, SYS_ioctl, 3, (uint64_t)MSHV_RUN_VP << 32, 0, 0), TRAP);
}

static void others_make_no_requests_of_the_hypervisor_that_build_or_run(void **state)
{
    static const uint32_t never[] = {MSHV_RUN_VP, MSHV_CREATE_VP, MSHV_CREATE_PARTITION, MSHV_SET_GUEST_MEMORY};
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (size_t i = 0; exists(role) && i < sizeof never / sizeof never[0]; i++)
            if (role != SECCOMP_STARTUP && role != SECCOMP_VP)
                assert_int_equal(ask_args(role, SYS_ioctl, 3, never[i], 0, 0), TRAP);
}

static void only_folders_and_the_clerk_of_a_pod_open_files(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        bool may = role == SECCOMP_STARTUP || role == SECCOMP_FS || role == SECCOMP_CLERK;
        assert_true(may || !exists(role) || (!is_listed(role, SYS_openat) && !is_listed(role, SYS_openat2)));
    }
}

static void folders_may_change_a_thread_s_rights_and_no_others(void **state)
{
    static const int calls[] = {SYS_setresuid, SYS_setresgid, SYS_capset, SYS_unshare};
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++)
        for (size_t i = 0; exists(role) && i < sizeof calls / sizeof calls[0]; i++)
            if (is_listed(role, calls[i]) && role != SECCOMP_FS && role != SECCOMP_STARTUP)
                fail_msg("%s allows %s", seccomp_filters[role].name, seccomp_call_name(calls[i]));
    /* Not even a umask of its own: that it has before. */
    if (exists(SECCOMP_FS)) {
        assert_int_equal(ask_args(SECCOMP_STARTUP, SYS_unshare, CLONE_FS, 0, 0, 0), ALLOW);
        assert_int_equal(ask_args(SECCOMP_FS, SYS_unshare, CLONE_FS, 0, 0, 0), TRAP);
    }
}

/* With a descriptor of a process its files could be taken. */
static void only_threads_are_watched_and_only_while_they_are_made(void **state)
{
    (void)state;
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        if (!exists(role))
            continue;
        assert_int_equal(ask_args(role, SYS_pidfd_open, 1, 0, 0, 0), TRAP);
        assert_int_equal(ask_args(role, SYS_pidfd_open, 1, 0x80, 0, 0), role == SECCOMP_STARTUP ? ALLOW : TRAP);
    }
}

static void a_tap_is_not_made_into_another(void **state)
{
    (void)state;
    if (!exists(SECCOMP_NET))
        return;
    assert_int_equal(ask_args(SECCOMP_NET, SYS_ioctl, 3, TUNSETQUEUE, 0, 0), ALLOW);
    assert_int_equal(ask_args(SECCOMP_NET, SYS_ioctl, 3, TUNSETIFF, 0, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_NET, SYS_ioctl, 3, TUNSETPERSIST, 0, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_NET, SYS_ioctl, 3, TUNATTACHFILTER, 0, 0), TRAP);
}

static void memory_is_given_back_by_one_advice(void **state)
{
    (void)state;
    if (!exists(SECCOMP_BALLOON))
        return;
    assert_int_equal(ask_args(SECCOMP_BALLOON, SYS_madvise, 0, 4096, MADV_DONTNEED, 0), ALLOW);
    assert_int_equal(ask_args(SECCOMP_BALLOON, SYS_madvise, 0, 4096, MADV_DODUMP, 0), TRAP);
    assert_int_equal(ask_args(SECCOMP_BALLOON, SYS_madvise, 0, 4096, MADV_MERGEABLE, 0), TRAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_listed_traps),
        cmocka_unit_test(names_have_their_file),
        cmocka_unit_test(other_tables_of_calls_kill),
        cmocka_unit_test(nothing_that_leads_out_is_in_any_list),
        cmocka_unit_test(only_startup_moves_into_namespaces),
        cmocka_unit_test(after_the_lock_nothing_makes_threads_or_handlers),
        cmocka_unit_test(memory_is_never_executable),
        cmocka_unit_test(sockets_are_unix_streams),
        cmocka_unit_test(startup_has_what_others_have),
        cmocka_unit_test(startup_makes_threads_and_neither_processes_nor_namespaces),
        cmocka_unit_test(vp_makes_the_run_time_requests_of_the_hypervisor_only),
        cmocka_unit_test(others_make_no_requests_of_the_hypervisor_that_build_or_run),
        cmocka_unit_test(only_folders_and_the_clerk_of_a_pod_open_files),
        cmocka_unit_test(folders_may_change_a_thread_s_rights_and_no_others),
        cmocka_unit_test(only_threads_are_watched_and_only_while_they_are_made),
        cmocka_unit_test(a_tap_is_not_made_into_another),
        cmocka_unit_test(memory_is_given_back_by_one_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
