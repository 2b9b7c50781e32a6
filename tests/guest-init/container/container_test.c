/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a container: creation, start, end, more processes, limits, what is left afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/container.h"
#include "tests/lib/box.h"

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int setup(void **state)
{
    struct box *b = calloc(1, sizeof *b);
    *state = b;
    return b != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    box_scrap(*state);
    free(*state);
    return 0;
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

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void a_container_runs_its_program_and_tells_its_exit_code(void **state)
{
    BOX("echo hello; exit 42");
    expect(b, 42, "hello\n");
}

static void nothing_runs_before_start(void **state)
{
    BOX("echo ran");
    assert_int_equal(box_create(b), 0);
    struct pollfd p = {.fd = b->output, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 100), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_finish(b), 0);
    assert_string_equal(b->out, "ran\n");
    box_remove(b);
}

static void a_missing_program_is_an_error_of_creation(void **state)
{
    BOX("");
    b->args[0] = (char[]){"no-such-program"};
    assert_int_equal(box_create(b), -ENOENT);
    assert_non_null(strstr(b->err.text, "no-such-program: executable file not found in $PATH"));
    box_remove(b);
}

static void a_program_that_a_hook_may_bring_is_missed_at_the_start(void **state)
{
    char *args[] = {(char[]){"true"}};
    grpc_Hook hook = {(char[]){"/bin/true"}, 1, args, 0, NULL, 0};
    BOX("");
    b->args[0] = (char[]){"no-such-program"};
    b->spec.has_Hooks = true;
    b->spec.Hooks.StartContainer = &hook;
    b->spec.Hooks.StartContainer_count = 1;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), -ENOENT);
    box_remove(b);
}

static void a_file_that_is_no_program_is_an_error_of_start(void **state)
{
    BOX("");
    b->args[0] = (char[]){"/etc/passwd"};
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), -EACCES);
    assert_non_null(strstr(b->err.text, "cannot run the program /etc/passwd: Permission denied"));
    box_remove(b);
}

static void a_container_starts_once(void **state)
{
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(container_start(b->container, &b->err), -EINVAL);
    assert_non_null(strstr(b->err.text, "not in the state created"));
    box_remove(b);
}

static void a_created_container_can_be_removed(void **state)
{
    struct err err;
    BOX("true");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(container_destroy(b->container, &err), 0);
    b->container = NULL;
    box_remove(b);
}

static void a_running_container_cannot_be_removed(void **state)
{
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(container_destroy(b->container, &b->err), -EBUSY);
    char out[64];
    assert_int_equal(box_exec(b, "echo alive", out, sizeof out), 0);
    assert_string_equal(out, "alive\n");
    box_remove(b);
}

static void a_first_process_that_is_killed_before_start_is_told(void **state)
{
    BOX("true");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(kill(b->pid, SIGKILL), 0);
    box_wait(container_sync_fd(b->container));
    assert_int_equal(container_advance(b->container, &b->err), -EIO);
    assert_non_null(strstr(b->err.text, "it ended before it was ready"));
    box_remove(b);
}

static void an_id_in_use_is_refused_and_the_first_lives(void **state)
{
    struct container *second = NULL;
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(container_create(&b->request, &second, &b->err), -EEXIST);
    assert_null(second);
    char out[64];
    assert_int_equal(box_exec(b, "echo alive", out, sizeof out), 0);
    box_remove(b);
}

static void ids_are_checked(void **state)
{
    static const char *const wrong[] = {"", ".", "..", "a/b", "a b", "a\n"};
    char longest[CONTAINER_ID_MAX + 2];
    BOX("true");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        b->request.id = wrong[i];
        assert_int_equal(container_create(&b->request, &b->container, &b->err), -EINVAL);
    }
    b->request.id = longest;
    assert_int_equal(container_create(&b->request, &b->container, &b->err), -EINVAL);
    box_remove(b);
}

static void a_failing_mount_is_told_with_its_destination(void **state)
{
    BOX("true");
    box_mount(b, "/x", "tmpfs", "tmpfs", "nonsense=1");
    assert_int_equal(box_create(b), -EINVAL);
    assert_non_null(strstr(b->err.text, "nonsense=1"));
    box_remove(b);
}

static void a_missing_root_is_told(void **state)
{
    BOX("true");
    b->request.rootfs = "/run/caisson/none";
    assert_int_equal(box_create(b), -ENOENT);
    assert_non_null(strstr(b->err.text, "cannot mount the root file system /run/caisson/none"));
    box_remove(b);
}

static void no_descriptor_of_the_agent_reaches_the_program(void **state)
{
    BOX("ls /proc/self/fd");
    int leak = open("/", O_RDONLY | O_DIRECTORY); /* on purpose without O_CLOEXEC */
    assert_true(leak > 2);
    expect(b, 0, "0\n1\n2\n3\n");
    close(leak);
}

static void a_waiting_container_holds_nothing_of_the_agent_open(void **state)
{
    int pair[2];
    char byte;
    BOX("true");
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(box_create(b), 0);
    close(pair[1]);
    box_wait(pair[0]);
    assert_int_equal(read(pair[0], &byte, 1), 0);
    close(pair[0]);
    box_remove(b);
}

/* ---- Namespaces -------------------------------------------------------------------------------------------------- */

static void the_first_process_is_number_one_and_has_its_names(void **state)
{
    BOX("echo $$; hostname; cat /proc/sys/kernel/domainname");
    b->spec.Hostname = (char[]){"inside"};
    b->spec.Domainname = (char[]){"example"};
    expect(b, 0, "1\ninside\nexample\n");
    char name[65];
    assert_int_equal(gethostname(name, sizeof name), 0);
    assert_string_not_equal(name, "inside");
}

static void a_host_name_needs_its_namespace(void **state)
{
    BOX("true");
    b->spec.Hostname = (char[]){"inside"};
    box_without_namespace(b, "uts");
    assert_int_equal(box_create(b), -EINVAL);
    box_remove(b);
}

static void a_user_namespace_maps_ids_both_ways(void **state)
{
    grpc_LinuxIDMapping map[] = {{.HostID = 100000, .ContainerID = 0, .Size = 65536}};
    BOX("id -u; cat /proc/self/uid_map; touch /tmp/x; stat -c %u /tmp/x /bin/busybox");
    box_namespace(b, "user", NULL);
    b->spec.Linux.UIDMappings = b->spec.Linux.GIDMappings = map;
    b->spec.Linux.UIDMappings_count = b->spec.Linux.GIDMappings_count = 1;
    expect(b, 0, "0\n         0     100000      65536\n0\n65534\n");
}

static void a_user_namespace_has_all_the_devices(void **state)
{
    grpc_LinuxIDMapping map[] = {{.HostID = 100000, .ContainerID = 0, .Size = 65536}};
    BOX("echo x >/dev/null && head -c 3 /dev/zero | wc -c; ls /sys >/dev/null && echo sys; cat /proc/self/cgroup");
    box_namespace(b, "user", NULL);
    box_mount(b, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
    box_mount(b, "/sys/fs/cgroup", "cgroup", "cgroup", "ro");
    b->spec.Linux.UIDMappings = b->spec.Linux.GIDMappings = map;
    b->spec.Linux.UIDMappings_count = b->spec.Linux.GIDMappings_count = 1;
    expect(b, 0, "3\nsys\n0::/\n");
}

static void processes_join_a_user_namespace(void **state)
{
    grpc_LinuxIDMapping map[] = {{.HostID = 100000, .ContainerID = 0, .Size = 65536}};
    char out[256];
    BOX("sleep 1000");
    box_namespace(b, "user", NULL);
    b->spec.Linux.UIDMappings = b->spec.Linux.GIDMappings = map;
    b->spec.Linux.UIDMappings_count = b->spec.Linux.GIDMappings_count = 1;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_exec(b, "id -u; echo again >/dev/stdout", out, sizeof out), 0);
    assert_string_equal(out, "0\nagain\n");
    box_remove(b);
}

static void a_time_namespace_moves_the_clock(void **state)
{
    grpc_LinuxTimeOffset offset[] = {{.Clock = (char[]){"boottime"}, .Secs = 1000000}};
    BOX("read up rest </proc/uptime; [ ${up%.*} -ge 1000000 ] && echo moved");
    box_namespace(b, "time", NULL);
    b->spec.Linux.TimeOffsets = offset;
    b->spec.Linux.TimeOffsets_count = 1;
    expect(b, 0, "moved\n");
}

static void a_namespace_is_joined_by_its_path(void **state)
{
    struct box *other;
    char path[64];
    BOX("hostname");
    other = calloc(1, sizeof *other);
    assert_non_null(other);
    box_init(other, "sleep 1000");
    other->request.id = "other";
    other->spec.Hostname = (char[]){"there"};
    assert_int_equal(box_create(other), 0);
    (void)snprintf(path, sizeof path, "/proc/%d/ns/uts", (int)other->pid);
    box_without_namespace(b, "uts");
    box_namespace(b, "uts", path);
    int result = box_create(b);
    assert_int_equal(result < 0 ? result : box_start(b), 0);
    assert_int_equal(box_finish(b), 0);
    assert_string_equal(b->out, "there\n");
    assert_int_equal(container_destroy(b->container, &b->err), 0);
    b->container = NULL;
    box_remove(other);
    box_remove(b);
    free(other);
}

static void a_path_to_another_kind_of_namespace_is_refused(void **state)
{
    BOX("true");
    box_without_namespace(b, "uts");
    box_namespace(b, "uts", "/proc/self/ns/ipc");
    assert_int_equal(box_create(b), -EINVAL);
    assert_non_null(strstr(b->err.text, "not one of the type"));
    box_remove(b);
}

static void process_ids_can_be_the_pods(void **state)
{
    struct box *first;
    char path[64];
    BOX("[ $$ != 1 ] && tr '\\0' ' ' </proc/1/cmdline");
    first = calloc(1, sizeof *first);
    assert_non_null(first);
    box_init(first, "sleep 777 & wait");
    first->request.id = "first";
    assert_int_equal(box_create(first), 0);
    assert_int_equal(box_start(first), 0);
    (void)snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)first->pid);
    b->pod.pid_ns = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(b->pod.pid_ns >= 0);
    b->request.pod_pid_ns = true;
    int result = box_create(b);
    assert_int_equal(result < 0 ? result : box_start(b), 0);
    assert_int_equal(box_finish(b), 0);
    assert_non_null(strstr(b->out, "sleep 777"));
    assert_int_equal(container_destroy(b->container, &b->err), 0);
    b->container = NULL;
    close(b->pod.pid_ns);
    box_remove(first);
    box_remove(b);
    free(first);
}

/* ---- The process ------------------------------------------------------------------------------------------------- */

static void a_process_gets_user_groups_umask_folder_and_home(void **state)
{
    uint32_t groups[] = {7, 8};
    BOX("id -u; id -g; id -G; umask; pwd; echo $HOME; echo $A");
    grpc_Process *p = &b->spec.Process;
    p->User = (grpc_User){
        .UID = 1000, .GID = 5, .AdditionalGids_count = 2, .AdditionalGids = groups, .has_Umask = true, .Umask = 027};
    p->Cwd = (char[]){"/made/for/me"};
    b->env[p->Env_count++] = (char[]){"A=b c"};
    expect(b, 0, "1000\n5\n5 7 8\n0027\n/made/for/me\n/home/someone\nb c\n");
}

static void names_of_users_are_found_in_the_image(void **state)
{
    char *groups[] = {(char[]){"video"}};
    grpc_StringUser user = {
        .uid = (char[]){"someone"}, .gid = (char[]){"audio"}, .additionalGids_count = 1, .additionalGids = groups};
    BOX("id -u; id -g; id -G");
    b->request.string_user = &user;
    expect(b, 0, "1000\n29\n29 44\n");
}

static void an_unknown_name_of_a_user_is_an_error(void **state)
{
    grpc_StringUser user = {.uid = (char[]){"nobody-here"}};
    BOX("true");
    b->request.string_user = &user;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), -ENOENT);
    assert_non_null(strstr(b->err.text, "nobody-here"));
    box_remove(b);
}

static void capabilities_are_those_given_and_no_more(void **state)
{
    char *some[] = {(char[]){"CAP_KILL"}, (char[]){"CAP_CHOWN"}, (char[]){"CAP_FROM_THE_FUTURE"}};
    BOX("grep -E '^(Cap|NoNew)' /proc/self/status | tr '\\t\\n' '  '");
    grpc_Process *p = &b->spec.Process;
    p->has_Capabilities = p->NoNewPrivileges = true;
    p->Capabilities = (grpc_LinuxCapabilities){.Bounding = some,
                                               .Bounding_count = 3,
                                               .Effective = some,
                                               .Effective_count = 1,
                                               .Permitted = some,
                                               .Permitted_count = 3};
    expect(b, 0,
           "CapInh: 0000000000000000 CapPrm: 0000000000000021 CapEff: 0000000000000021 CapBnd: 0000000000000021 "
           "CapAmb: 0000000000000000 NoNewPrivs: 1 ");
}

static void ambient_capabilities_reach_a_user(void **state)
{
    char *some[] = {(char[]){"CAP_NET_BIND_SERVICE"}};
    BOX("grep -E '^Cap(Eff|Amb)' /proc/self/status | tr '\\t\\n' '  '");
    grpc_Process *p = &b->spec.Process;
    p->User.UID = 1000;
    p->has_Capabilities = true;
    p->Capabilities = (grpc_LinuxCapabilities){1, some, 1, some, 1, some, 1, some, 1, some};
    expect(b, 0, "CapEff: 0000000000000400 CapAmb: 0000000000000400 ");
}

static void forbid_mkdir(struct box *b)
{
    b->call_names[0] = literal("mkdir");
    b->call_names[1] = literal("mkdirat");
    b->call_names[2] = literal("not_a_call");
    b->call = (grpc_LinuxSyscall){.Names = b->call_names,
                                  .Names_count = 3,
                                  .Action = literal("SCMP_ACT_ERRNO"),
                                  .which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag,
                                  .ErrnoRet = {ENOTEMPTY}};
    b->spec.Linux.has_Seccomp = true;
    b->spec.Linux.Seccomp =
        (grpc_LinuxSeccomp){.DefaultAction = literal("SCMP_ACT_ALLOW"), .Syscalls = &b->call, .Syscalls_count = 1};
}

static void a_seccomp_filter_counts_with_and_without_new_privileges(void **state)
{
    for (int nnp = 0; nnp < 2; nnp++) {
        BOX("mkdir /tmp/x; grep -E '^(CapEff|Seccomp:)' /proc/self/status | tr '\\t\\n' '  '");
        forbid_mkdir(b);
        b->spec.Process.NoNewPrivileges = nnp;
        expect(b, 0,
               "mkdir: can't create directory '/tmp/x': Directory not empty\n"
               "CapEff: 0000000000000000 Seccomp: 2 ");
    }
}

static void further_processes_are_under_the_filter_as_well(void **state)
{
    char out[256];
    BOX("sleep 1000");
    forbid_mkdir(b);
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_exec(b, "mkdir /tmp/x", out, sizeof out), 1);
    assert_non_null(strstr(out, "Directory not empty"));
    box_remove(b);
}

static void limits_and_oom_score_are_set(void **state)
{
    grpc_POSIXRlimit limits[] = {{(char[]){"RLIMIT_NOFILE"}, 100, 50}};
    BOX("ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj");
    b->spec.Process.Rlimits = limits;
    b->spec.Process.Rlimits_count = 1;
    b->spec.Process.OOMScoreAdj = 321;
    expect(b, 0, "50\n100\n321\n");
}

static void scheduler_and_io_priority_are_set(void **state)
{
    BOX("cut -d' ' -f19,41 /proc/1/stat; ionice -p 1");
    b->spec.Process.has_Scheduler = b->spec.Process.has_IOPriority = true;
    b->spec.Process.Scheduler = (grpc_LinuxScheduler){.Policy = (char[]){"SCHED_BATCH"}, .Nice = 5};
    b->spec.Process.IOPriority = (grpc_LinuxIOPriority){(char[]){"IOPRIO_CLASS_BE"}, 6};
    expect(b, 0, "5 3\nbest-effort: prio 6\n");
}

static int open_terminal(const char *ptmx, int *slave)
{
    int unlock = 0, master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(ioctl(master, TIOCSPTLCK, &unlock), 0);
    *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*slave >= 0);
    return master;
}

static void a_terminal_is_the_console_and_controls(void **state)
{
    char text[256] = "";
    BOX("tty; [ -t 0 ] && [ -t 2 ] && echo yes >/dev/tty && [ /dev/console -ef /proc/self/fd/0 ] && echo same");
    int master = open_terminal("/dev/ptmx", &b->request.stdio.tty_slave);
    b->request.stdio.tty = true;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    close(b->request.stdio.tty_slave);
    assert_int_equal(box_finish(b), 0);
    box_wait(master);
    assert_true(read(master, text, sizeof text - 1) > 0);
    assert_string_equal(text, "/dev/console\r\nyes\r\nsame\r\n");
    close(master);
    box_remove(b);
}

/* ---- More processes ---------------------------------------------------------------------------------------------- */

static void a_further_process_lives_in_the_container(void **state)
{
    char out[512];
    BOX("sleep 1000");
    b->spec.Hostname = (char[]){"inside"};
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(
        box_exec(b, "tr '\\0' ' ' </proc/1/cmdline; hostname; cat /proc/self/cgroup; ls -d /bin /proc /made; exit 7",
                 out, sizeof out),
        7);
    assert_string_equal(out, "sleep 1000 inside\n0::/\n/bin\n/made\n/proc\n");
    box_remove(b);
}

static int exec_on_terminal(struct box *b, const char *script, int slave)
{
    struct container_stdio io = {.in = -1, .out = -1, .err = -1, .tty = true, .tty_slave = slave};
    int sync, status, result;
    pid_t pid;
    grpc_Process p = b->spec.Process;
    p.Args = (char *[]){(char[]){"/bin/sh"}, (char[]){"-c"}, (char *)(uintptr_t)script};
    p.Args_count = 3;
    p.Terminal = true;
    assert_int_equal(container_exec(b->container, &p, NULL, &io, &pid, &sync, &b->err), 0);
    do {
        box_wait(sync);
        result = container_exec_result(sync, &b->err);
    } while (result == -EAGAIN);
    assert_int_equal(result, 0);
    close(sync);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void a_further_process_finds_the_name_of_its_terminal(void **state)
{
    char text[256] = "", path[64];
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", container_ptmx(b->container));
    int slave, master = open_terminal(path, &slave);
    assert_int_equal(exec_on_terminal(b, "tty; [ -t 0 ] && echo yes >/dev/tty", slave), 0);
    close(slave);
    box_wait(master);
    assert_true(read(master, text, sizeof text - 1) > 0);
    assert_string_equal(text, "/dev/pts/0\r\nyes\r\n");
    close(master);
    box_remove(b);
}

static void without_terminals_of_its_own_a_container_makes_none(void **state)
{
    BOX("sleep 1000");
    memcpy(b->mounts[2].destination, "/dev/xyz", 8); /* where terminals were */
    assert_int_equal(box_create(b), 0);
    assert_int_equal(container_ptmx(b->container), -1);
    box_remove(b);
}

static void a_further_program_that_is_missing_is_told(void **state)
{
    char out[64];
    struct container_stdio io = {.in = -1, .out = -1, .err = -1, .tty_slave = -1};
    int sync, result;
    pid_t pid;
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    grpc_Process p = b->spec.Process;
    p.Args = (char *[]){(char[]){"nothing"}};
    p.Args_count = 1;
    assert_int_equal(container_exec(b->container, &p, NULL, &io, &pid, &sync, &b->err), 0);
    do {
        box_wait(sync);
        result = container_exec_result(sync, &b->err);
    } while (result == -EAGAIN);
    assert_int_equal(result, -ENOENT);
    assert_non_null(strstr(b->err.text, "nothing"));
    close(sync);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(box_exec(b, "echo alive", out, sizeof out), 0);
    box_remove(b);
}

static void a_process_in_an_ended_container_is_refused(void **state)
{
    char out[64];
    BOX("true");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_finish(b), 0);
    assert_int_equal(box_exec(b, "true", out, sizeof out), -ESRCH);
    box_remove(b);
}

/* ---- Control ----------------------------------------------------------------------------------------------------- */

static void a_signal_reaches_every_process(void **state)
{
    BOX("trap 'exit 9' TERM; (trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.01; done) & "
        "while :; do sleep 0.01; done");
    char text[16];
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    box_wait(b->output);
    assert_int_equal(read(b->output, text, sizeof text), 6);
    assert_int_equal(container_kill(b->container, SIGTERM), 0);
    assert_int_equal(box_finish(b), 9);
    box_remove(b);
}

/* Bounded by the guest's own end. */
static int freeze(struct box *b, bool frozen)
{
    int result;
    do
        result = container_freeze(b->container, frozen, &b->err);
    while (result == -EAGAIN);
    return result;
}

static void a_paused_container_stands_still_and_can_be_killed(void **state)
{
    char out[64], state_of[512];
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(freeze(b, true), 0);
    assert_int_equal(box_exec(b, "true", out, sizeof out), -EBUSY);
    assert_int_equal(freeze(b, false), 0);
    assert_int_equal(box_exec(b, "true", out, sizeof out), 0);
    assert_int_equal(freeze(b, true), 0);
    assert_int_equal(container_kill(b->container, SIGKILL), 0);
    assert_int_equal(box_finish(b), 137);
    (void)state_of;
    box_remove(b);
}

static void memory_beyond_the_limit_is_counted_as_oom(void **state)
{
    BOX("head -c 60000000 /dev/zero | tail | wc -c; true");
    b->spec.Linux.has_Resources = b->spec.Linux.Resources.has_Memory = true;
    b->spec.Linux.Resources.Memory.Limit = 16 << 20;
    assert_int_equal(box_create(b), 0);
    assert_true(container_events_fd(b->container) >= 0);
    assert_int_equal(container_oom_count(b->container), 0);
    assert_int_equal(box_start(b), 0);
    (void)box_finish(b);
    box_wait(container_events_fd(b->container));
    assert_true(container_oom_count(b->container) > 0);
    box_remove(b);
}

static void a_limit_too_small_to_begin_is_told(void **state)
{
    BOX("true");
    b->spec.Linux.has_Resources = b->spec.Linux.Resources.has_Memory = true;
    b->spec.Linux.Resources.Memory.Limit = 4096;
    int result = box_create(b);
    assert_true(result < 0);
    assert_non_null(strstr(b->err.text, "cannot"));
    box_remove(b);
}

static void limits_are_seen_inside_and_can_be_changed(void **state)
{
    char out[128];
    const char *const look = "cd /sys/fs/cgroup; cat pids.max memory.max cpu.weight cpu.max";
    BOX("sleep 1000");
    grpc_LinuxResources *r = &b->spec.Linux.Resources;
    box_mount(b, "/sys", "sysfs", "sysfs", "ro");
    box_mount(b, "/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid");
    b->spec.Linux.has_Resources = r->has_Memory = r->has_CPU = r->has_Pids = true;
    r->Memory.Limit = 64 << 20;
    r->CPU = (grpc_LinuxCPU){.Shares = 1024, .Quota = 50000};
    r->Pids.Limit = 20;
    int result = box_create(b);
    if (result != 0)
        fail_msg("%s", b->err.text);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_exec(b, look, out, sizeof out), 0);
    assert_string_equal(out, "20\n67108864\n39\n50000 100000\n");
    const grpc_LinuxResources change = {.has_Pids = true, .Pids = {.Limit = -1}, .has_CPU = true, .CPU = {.Quota = -1}};
    assert_int_equal(container_update(b->container, &change, &b->err), 0);
    assert_int_equal(box_exec(b, look, out, sizeof out), 0);
    assert_string_equal(out, "max\n67108864\n39\nmax 100000\n");
    box_remove(b);
}

static void statistics_tell_what_was_used(void **state)
{
    grpc_CgroupStats s;
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(container_stats(b->container, &s), 0);
    assert_true(s.cpu_stats.cpu_usage.total_usage > 0);
    assert_true(s.memory_stats.usage.usage > 0);
    assert_true(s.memory_stats.usage.limit == UINT64_MAX);
    assert_true(s.memory_stats.stats_count > 10);
    assert_int_equal(s.pids_stats.current, 1);
    pb_release(grpc_CgroupStats_fields, &s);
    box_remove(b);
}

static void processes_are_listed(void **state)
{
    pid_t pids[4];
    BOX("sleep 1000");
    assert_int_equal(box_create(b), 0);
    assert_int_equal(container_processes(b->container, pids, 4), 1);
    assert_int_equal(pids[0], b->pid);
    box_remove(b);
}

static void devices_without_a_rule_cannot_be_opened(void **state)
{
    grpc_LinuxDevice device[] = {{.Path = (char[]){"/dev/kmsg2"},
                                  .Type = (char[]){"c"},
                                  .Major = 1,
                                  .Minor = 11,
                                  .FileMode = 0606,
                                  .UID = 3,
                                  .GID = 4}};
    grpc_LinuxDeviceCgroup rules[] = {
        {.Allow = false, .Type = (char[]){"a"}, .Major = -1, .Minor = -1, .Access = (char[]){"rwm"}},
        {.Allow = true, .Type = (char[]){"c"}, .Major = 1, .Minor = 11, .Access = (char[]){"r"}}};
    char out[256];
    BOX("sleep 1000");
    b->spec.Linux.Devices = device;
    b->spec.Linux.Devices_count = 1;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_exec(b, "stat -c '%a %u %g %t %T' /dev/kmsg2; true </dev/kmsg2", out, sizeof out), 1);
    assert_string_equal(out, "606 3 4 1 b\n/bin/sh: can't open /dev/kmsg2: Operation not permitted\n");
    const grpc_LinuxResources change = {.Devices = rules, .Devices_count = 2};
    assert_int_equal(container_update(b->container, &change, &b->err), 0);
    assert_int_equal(box_exec(b, "true </dev/kmsg2 && ! true >/dev/kmsg2", out, sizeof out), 0);
    box_remove(b);
}

/* ---- Hooks ------------------------------------------------------------------------------------------------------- */

static void hooks_run_at_their_time_with_the_state(void **state)
{
    char *early[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"cat >/run/hook-state; echo $X >>/run/hook-state"}};
    char *late[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo from the hook >/tmp/hook; exit $Y"}};
    char *env[] = {(char[]){"X=7"}, (char[]){"Y=0"}};
    grpc_Hook hooks[2];
    char text[512] = "";
    BOX("cat /tmp/hook");
    hooks[0] = (grpc_Hook){(char[]){"/bin/sh"}, 3, early, 2, env, 10};
    hooks[1] = (grpc_Hook){(char[]){"/bin/sh"}, 3, late, 2, env, 0};
    b->spec.has_Hooks = true;
    b->spec.Hooks.CreateContainer = &hooks[0];
    b->spec.Hooks.StartContainer = &hooks[1];
    b->spec.Hooks.CreateContainer_count = b->spec.Hooks.StartContainer_count = 1;
    b->spec.Version = (char[]){"1.2.0"};
    assert_int_equal(box_create(b), 0);
    int fd = open("/run/hook-state", O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_non_null(strstr(text, "\"ociVersion\": \"1.2.0\""));
    assert_non_null(strstr(text, "\"status\": \"creating\""));
    assert_non_null(strstr(text, "7\n"));
    assert_int_equal(box_start(b), 0);
    assert_int_equal(box_finish(b), 0);
    assert_string_equal(b->out, "from the hook\n");
    box_remove(b);
}

static void a_failing_hook_ends_the_creation(void **state)
{
    char *args[] = {(char[]){"false"}};
    grpc_Hook hook = {(char[]){"/bin/false"}, 1, args, 0, NULL, 0};
    BOX("true");
    b->spec.has_Hooks = true;
    b->spec.Hooks.CreateContainer = &hook;
    b->spec.Hooks.CreateContainer_count = 1;
    assert_int_equal(box_create(b), -ECHILD);
    assert_non_null(strstr(b->err.text, "/bin/false: it ended with exit code 1"));
    box_remove(b);
}

static void a_hook_that_takes_too_long_is_killed(void **state)
{
    char *args[] = {(char[]){"sleep"}, (char[]){"1000"}};
    grpc_Hook hook = {(char[]){"/bin/sleep"}, 2, args, 0, NULL, 1};
    BOX("true");
    b->spec.has_Hooks = true;
    b->spec.Hooks.StartContainer = &hook;
    b->spec.Hooks.StartContainer_count = 1;
    assert_int_equal(box_create(b), 0);
    assert_int_equal(box_start(b), -ETIMEDOUT);
    box_remove(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_container_runs_its_program_and_tells_its_exit_code),
        CASE(nothing_runs_before_start),
        CASE(a_missing_program_is_an_error_of_creation),
        CASE(a_program_that_a_hook_may_bring_is_missed_at_the_start),
        CASE(a_file_that_is_no_program_is_an_error_of_start),
        CASE(a_container_starts_once),
        CASE(a_created_container_can_be_removed),
        CASE(a_running_container_cannot_be_removed),
        CASE(a_first_process_that_is_killed_before_start_is_told),
        CASE(an_id_in_use_is_refused_and_the_first_lives),
        CASE(ids_are_checked),
        CASE(a_failing_mount_is_told_with_its_destination),
        CASE(a_missing_root_is_told),
        CASE(no_descriptor_of_the_agent_reaches_the_program),
        CASE(a_waiting_container_holds_nothing_of_the_agent_open),
        CASE(the_first_process_is_number_one_and_has_its_names),
        CASE(a_host_name_needs_its_namespace),
        CASE(a_user_namespace_maps_ids_both_ways),
        CASE(a_user_namespace_has_all_the_devices),
        CASE(processes_join_a_user_namespace),
        CASE(a_time_namespace_moves_the_clock),
        CASE(a_namespace_is_joined_by_its_path),
        CASE(a_path_to_another_kind_of_namespace_is_refused),
        CASE(process_ids_can_be_the_pods),
        CASE(a_process_gets_user_groups_umask_folder_and_home),
        CASE(names_of_users_are_found_in_the_image),
        CASE(an_unknown_name_of_a_user_is_an_error),
        CASE(capabilities_are_those_given_and_no_more),
        CASE(ambient_capabilities_reach_a_user),
        CASE(a_seccomp_filter_counts_with_and_without_new_privileges),
        CASE(further_processes_are_under_the_filter_as_well),
        CASE(limits_and_oom_score_are_set),
        CASE(scheduler_and_io_priority_are_set),
        CASE(a_terminal_is_the_console_and_controls),
        CASE(a_further_process_lives_in_the_container),
        CASE(a_further_process_finds_the_name_of_its_terminal),
        CASE(without_terminals_of_its_own_a_container_makes_none),
        CASE(a_further_program_that_is_missing_is_told),
        CASE(a_process_in_an_ended_container_is_refused),
        CASE(a_signal_reaches_every_process),
        CASE(a_paused_container_stands_still_and_can_be_killed),
        CASE(memory_beyond_the_limit_is_counted_as_oom),
        CASE(a_limit_too_small_to_begin_is_told),
        CASE(limits_are_seen_inside_and_can_be_changed),
        CASE(statistics_tell_what_was_used),
        CASE(processes_are_listed),
        CASE(devices_without_a_rule_cannot_be_opened),
        CASE(hooks_run_at_their_time_with_the_state),
        CASE(a_failing_hook_ends_the_creation),
        CASE(a_hook_that_takes_too_long_is_killed),
    };
    return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
