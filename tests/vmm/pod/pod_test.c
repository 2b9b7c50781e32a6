/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pod processes, whole: with kernels of a few instructions that end before any agent answers, each in its own way; and,
 * if scripts/guest-kernel has made one, with Linux and the agent.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto/jws.h"
#include "tests/lib/fs_rig.h"
#include "tests/lib/keys.h"
#include "vmm/attest/log_read.h"
#include "vmm/pod/control.h"
#include "vmm/pod/pod.h"
#include "vmm/softhv/options.h"
#include "vmm/softhv/port_soft.h"

#define KERNEL_GPA 0x1000000u
#define MIB        ((uint64_t)1 << 20)

/* ---- Kernels ---- */

/* 64-bit code that prints a text on COM1 and then does something. */
#define KERNEL(name, text, then)                                                                                       \
    extern const uint8_t name[], name##_end[];                                                                         \
    __asm__(".pushsection .rodata\n.code64\n.globl " #name "\n.globl " #name "_end\n" #name ":\n"                      \
            "lea 8f(%rip), %rsi\nmov $0x3f8, %edx\n1: lodsb\ntest %al, %al\njz 2f\nout %al, %dx\njmp 1b\n2:\n" then    \
            "\n3: cli\nhlt\njmp 3b\n8: .asciz \"" text "\"\n7: .word 0\n.quad 0\n" #name "_end:\n.popsection\n")

#define OFF    "mov $0x600, %edx\nmov $0x34, %al\nout %al, %dx"
#define RESET  "mov $0x602, %edx\nmov $1, %al\nout %al, %dx"
#define TRIPLE "lidt 7f(%rip)\nud2"

KERNEL(kernel_off, "hello\\nguest-init: step: loaded 3 kernel modules\\n", OFF);
KERNEL(kernel_reset, "one\\ntwo\\nthree\\n", RESET);
KERNEL(kernel_triple, "", TRIPLE);
KERNEL(kernel_panic, "BUG: first\\nKernel panic - not syncing: \\033[2Jno init\\n", RESET);
KERNEL(kernel_halt, "guest-init: step: agent listens on port 1024\\n", "");

struct rig {
    char path[64], kernel[96], linux_kernel[512];
    int folder;
    struct pod_config cfg;
    struct cli_io io;
    char *said; /* on io.err */
    size_t said_bytes;
    pid_t pid;
    struct err err;
};

static void write_kernel(const char *path, const uint8_t *code, const uint8_t *end)
{
    size_t bytes = (size_t)((uintptr_t)end - (uintptr_t)code);
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr load;
    } file = {.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_entry = KERNEL_GPA,
                       .e_phoff = sizeof(Elf64_Ehdr),
                       .e_ehsize = sizeof(Elf64_Ehdr),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 1},
              .load = {.p_type = PT_LOAD,
                       .p_flags = PF_R | PF_X | PF_W,
                       .p_offset = sizeof(file),
                       .p_vaddr = KERNEL_GPA,
                       .p_paddr = KERNEL_GPA,
                       .p_filesz = bytes,
                       .p_memsz = bytes}};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
    assert_int_equal(write(fd, code, bytes), bytes);
    close(fd);
}

/* ---- A hypervisor ---- */

static int open_soft(const struct hv_request *request, struct hv *hv, struct err *err)
{
    struct softhv_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .kicks = softhv_option_kicks_default(), .trace = NULL};
    struct softhv_instance *instance;
    (void)err;
    if (request->kernel != NULL && softhv_option_kernel(request->kernel, &cfg.kernel) < 0)
        return -EINVAL;
    int code = softhv_instance_new(&cfg, &instance);
    if (code == 0)
        *hv = (struct hv){.port = mshv_port_soft(instance), .soft = true, .state = instance};
    return code;
}

static void close_soft(struct hv *hv)
{
    softhv_instance_free(hv->state);
    memset(hv, 0, sizeof(*hv));
}

static const struct hv_offer offer = {.open = open_soft, .close = close_soft};

/* ---- Life ---- */

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    (void)strcpy(r->path, "/tmp/caisson-pod-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    (void)snprintf(r->kernel, sizeof(r->kernel), "%s.kernel", r->path);
    r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->io = (struct cli_io){.err = open_memstream(&r->said, &r->said_bytes), .hv = &offer};
    r->cfg = (struct pod_config){.id = "test-pod",
                                 .folder = r->path,
                                 .kernel = r->kernel,
                                 .vps = 1,
                                 .memory_bytes = 64 * MIB,
                                 .ready_seconds = 30,
                                 .log_level = LOG_LEVEL_DEBUG};
    /* Pod processes whose maker has gone come to us. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    return 0;
}

static const char *const kept[] = {POD_STATE_NAME,   POD_LOG_NAME,          POD_LOG_NAME ".1",
                                   POD_CONSOLE_NAME, POD_CONSOLE_NAME ".1", POD_TRUST_LOG_NAME};

/* Nothing is left but what is meant to be. */
static int tear_down(void **state)
{
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        (void)unlinkat(r->folder, kept[i], 0);
    close(r->folder);
    (void)unlink(r->kernel);
    (void)fclose(r->io.err);
    free(r->said);
    assert_int_equal(rmdir(r->path), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    free(r);
    return 0;
}

static int spawn(struct rig *r)
{
    return pod_spawn(&r->io, &r->cfg, &r->pid, &r->err);
}

static int spawn_kernel(struct rig *r, const uint8_t *code, const uint8_t *end)
{
    write_kernel(r->kernel, code, end);
    return spawn(r);
}

static bool file_has(struct rig *r, const char *name, const char *text)
{
    char have[16384];
    int fd = openat(r->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, have, sizeof(have) - 1);
    close(fd);
    have[n < 0 ? 0 : n] = '\0';
    return strstr(have, text) != NULL;
}

static void expect_words(struct rig *r, const char *words)
{
    if (strstr(r->err.text, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, r->err.text);
    assert_true(file_has(r, POD_STATE_NAME, "\"phase\": \"stopped\""));
    assert_true(file_has(r, POD_LOG_NAME, words));
}

/* ---- Guests that end before the agent answers ---- */

static void a_guest_that_switches_off_is_reported_with_its_step(void **state)
{
    struct rig *r = *state;
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EHOSTDOWN);
    expect_words(r, "the guest switched off");
    expect_words(r, "its last step: loaded 3 kernel modules");
    (void)fflush(r->io.err);
    assert_non_null(strstr(r->said, "hello\nguest-init: step: loaded"));
    assert_true(file_has(r, POD_CONSOLE_NAME, "hello\n"));
    assert_true(file_has(r, POD_STATE_NAME, "\"why\": \"the guest switched off"));
}

static void a_guest_that_resets_is_reported_with_its_last_line(void **state)
{
    struct rig *r = *state;
    assert_int_equal(spawn_kernel(r, kernel_reset, kernel_reset_end), -EHOSTDOWN);
    expect_words(r, "the guest reset itself while its kernel booted");
    expect_words(r, "the last line on its console: three");
    assert_true(file_has(r, POD_STATE_NAME, "\"reached\": \"booting\""));
}

static void a_triple_fault_is_reported(void **state)
{
    struct rig *r = *state;
    assert_int_equal(spawn_kernel(r, kernel_triple, kernel_triple_end), -EHOSTDOWN);
    expect_words(r, "triple fault");
}

static void a_panic_is_reported_with_its_words_made_safe(void **state)
{
    struct rig *r = *state;
    assert_int_equal(spawn_kernel(r, kernel_panic, kernel_panic_end), -EHOSTDOWN);
    expect_words(r, "the guest's kernel failed while its kernel booted: Kernel panic - not syncing: ?[2Jno init");
    expect_words(r, "BUG: first");
}

static void a_guest_that_does_not_get_on_is_reported_with_its_processors(void **state)
{
    struct rig *r = *state;
    r->cfg.ready_seconds = 2; /* under ASan files are hashed for nearly one, before anything is looked at */
    assert_int_equal(spawn_kernel(r, kernel_halt, kernel_halt_end), -ETIMEDOUT);
    expect_words(r, "did not answer within 2 s");
    expect_words(r, "before its agent answered (its last step: agent listens on port 1024)");
    expect_words(r, "VP 0 is halted with interrupts off, RIP 10000");
    assert_true(file_has(r, POD_STATE_NAME, "\"reached\": \"agent\""));
}

/* Its driver holds on to a guest's memory, so there can be no balloon. */
static void a_pod_goes_without_a_balloon_where_the_host_cannot_have_one(void **state)
{
    struct rig *r = *state;
    r->cfg.hv.kernel = "6.15";
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EHOSTDOWN);
    expect_words(r, "the guest switched off");
}

/* ---- What cannot be begun ---- */

/* ---- Measurements ---- */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Signed and in force, for another kernel. */
static void a_machine_that_the_policy_does_not_name_never_runs(void **state)
{
    static const char document[] =
        "{\"caisson_policy\":1,\"cmdline\":{\"any\":true},\"devices\":{\"any\":true},\"hypervisors\":{\"any\":true},"
        "\"images\":{\"any\":true},\"initrds\":{\"any\":true},\"kernels\":[\"sha256:"
        "00000000000000000000000000000000000000000000000000000000000000ff\"],\"monitors\":{\"any\":true},"
        "\"name\":\"web\",\"serial\":3,\"vm\":{\"any\":true}}";
    struct rig *r = *state;
    char policy[96], jws_path[104], key_path[104], jws[JWS_MAX];
    const char *const keys[] = {key_path};
    struct key *key = keys_private(KEY_P256);
    if (!CONFIG_LAUNCH_POLICY)
        skip();
    (void)snprintf(policy, sizeof(policy), "%s/policy", r->path);
    (void)snprintf(jws_path, sizeof(jws_path), "%s.jws", policy);
    (void)snprintf(key_path, sizeof(key_path), "%s.key", policy);
    assert_int_equal(jws_sign(key, document, strlen(document), jws, &r->err), 0);
    key_free(key);
    write_text(policy, document);
    write_text(jws_path, jws);
    write_text(key_path, keys_public_pem(KEY_P256));
    r->cfg.trust = (struct pod_trust_config){.policy = policy, .policy_keys = keys, .policy_key_count = 1};
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EACCES);
    assert_non_null(strstr(r->err.text, "kernels permits"));
    assert_true(file_has(r, POD_STATE_NAME, "kernels permits"));
    assert_false(file_has(r, POD_CONSOLE_NAME, "hello"));
    assert_true(file_has(r, POD_STATE_NAME, "\"reached\": \"building\""));
    struct stat st;
    assert_int_equal(fstatat(r->folder, POD_TRUST_LOG_NAME, &st, 0), -1);
    (void)unlink(policy);
    (void)unlink(jws_path);
    (void)unlink(key_path);
}

static void a_build_without_policies_refuses_to_start_with_one(void **state)
{
    struct rig *r = *state;
    if (CONFIG_LAUNCH_POLICY)
        skip();
    r->cfg.trust.policy = "/policy";
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EOPNOTSUPP);
    assert_non_null(strstr(r->err.text, "no launch policies"));
}

/* A guest that says nothing to the agent's port ends, and what was measured of it stays. */
static void the_log_of_a_pod_that_ended_replays(void **state)
{
    uint8_t bytes[65536];
    struct rig *r = *state;
    struct event_log log;
    if (!CONFIG_MEASURE || !CONFIG_ATTEST)
        skip();
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EHOSTDOWN);
    int fd = openat(r->folder, POD_TRUST_LOG_NAME, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    close(fd);
    assert_int_equal(log_replay(bytes, (size_t)n, &log, &r->err), 0);
    static const uint8_t zeros[DIGEST_SHA256_BYTES];
    assert_memory_not_equal(event_log_pcr(&log, DIGEST_SHA256, TRUST_PCR_KERNEL), zeros, sizeof(zeros));
    assert_memory_equal(event_log_pcr(&log, DIGEST_SHA256, TRUST_PCR_CONTAINERS), zeros, sizeof(zeros));
}

static void a_missing_kernel_is_reported_as_such(void **state)
{
    struct rig *r = *state;
    assert_int_equal(spawn(r), -ENOENT);
    assert_non_null(strstr(r->err.text, r->kernel));
    assert_true(file_has(r, POD_STATE_NAME, "\"phase\": \"stopped\""));
    assert_true(file_has(r, POD_STATE_NAME, "No such file"));
}

static void what_is_no_kernel_is_reported_as_such(void **state)
{
    struct rig *r = *state;
    int fd = open(r->kernel, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
    close(fd);
    assert_int_equal(spawn(r), -ENOEXEC);
    assert_true(strlen(r->err.text) > 20);
}

static void too_many_processors_are_refused(void **state)
{
    struct rig *r = *state;
    r->cfg.vps = 1000;
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EINVAL);
}

static void a_missing_folder_is_reported(void **state)
{
    struct rig *r = *state;
    r->cfg.folder = "/nonexistent/pod";
    assert_int_equal(spawn(r), -ENOENT);
    assert_non_null(strstr(r->err.text, "/nonexistent/pod"));
}

static int refuse_to_enter(void *ctx, struct err *err)
{
    static const struct err_context context = {.attempted = "join the cgroup", .what_to_do = "make it"};
    assert_ptr_equal(ctx, &offer);
    return err_fail(err, -EPERM, &context);
}

static void what_fails_first_in_the_new_process_is_reported(void **state)
{
    struct rig *r = *state;
    union {
        const void *in;
        void *out;
    } ctx = {.in = &offer};
    r->cfg.enter = refuse_to_enter;
    r->cfg.enter_ctx = ctx.out;
    assert_int_equal(spawn(r), -EPERM);
    assert_non_null(strstr(r->err.text, "join the cgroup"));
}

static void a_socket_that_is_there_already_is_not_taken_over(void **state)
{
    struct rig *r = *state;
    assert_int_equal(mknodat(r->folder, POD_SOCKET_NAME, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -EADDRINUSE);
    assert_non_null(strstr(r->err.text, POD_SOCKET_NAME));
    assert_int_equal(unlinkat(r->folder, POD_SOCKET_NAME, 0), 0);
}

static void a_pod_that_cannot_be_named_does_not_start(void **state)
{
    struct rig *r = *state;
    r->cfg.process_file = "/nonexistent/pod.pid";
    assert_int_equal(spawn_kernel(r, kernel_off, kernel_off_end), -ENOENT);
    assert_non_null(strstr(r->err.text, "cannot write /nonexistent/pod.pid"));
}

/* ---- While it boots ---- */

/* Another process makes the pod, and waits. */
static pid_t spawn_elsewhere(struct rig *r)
{
    write_kernel(r->kernel, kernel_halt, kernel_halt_end);
    pid_t maker = fork();
    if (maker == 0) {
        int code = spawn(r);
        _exit(code == -ECANCELED && strstr(r->err.text, "stopped as asked") != NULL ? 7 : code == -ECANCELED ? 8 : 9);
    }
    return maker;
}

static int wait_for_control(struct rig *r)
{
    int fd;
    for (unsigned i = 0; i < 2000; i++) {
        if (pod_control_open(r->path, &fd, NULL) == 0)
            return fd;
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    fail_msg("there is no pod process");
    return -1;
}

static pid_t pid_of_pod(int control)
{
    json_t *status = NULL;
    assert_int_equal(pod_control_status(control, &status, NULL), 0);
    const json_t *pod = json_object_get(status, "pod");
    pid_t pid = (pid_t)json_integer_value(json_object_get(pod, "pid"));
    assert_string_equal(json_string_value(json_object_get(pod, "id")), "test-pod");
    assert_true(json_integer_value(json_object_get(pod, "startTime")) > 0);
    json_decref(status);
    assert_true(pid > 1);
    return pid;
}

static int exit_code(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_pod_that_boots_can_be_asked_and_stopped(void **state)
{
    struct rig *r = *state;
    pid_t maker = spawn_elsewhere(r);
    int control = wait_for_control(r);
    json_t *status = NULL;
    struct err err;
    assert_int_equal(pod_control_export(control, "rootfs", r->folder, true, NULL), 0);
    assert_int_equal(pod_control_export(control, "rootfs", r->folder, true, &err), -EEXIST);
    assert_int_equal(pod_control_unexport(control, "other", &err), -ENOENT);
    assert_int_equal(pod_control_status(control, &status, NULL), 0);
    const json_t *export = json_array_get(json_object_get(status, "exports"), 0);
    assert_string_equal(json_string_value(json_object_get(export, "name")), "rootfs");
    assert_true(json_is_true(json_object_get(export, "readOnly")));
    json_decref(status);
    assert_int_equal(pod_control_stop(control, NULL), 0);
    assert_int_equal(exit_code(maker), 7);
    assert_true(file_has(r, POD_STATE_NAME, "stopped as asked"));
    close(control);
}

static void a_signal_ends_a_pod_that_boots(void **state)
{
    struct rig *r = *state;
    pid_t maker = spawn_elsewhere(r);
    int control = wait_for_control(r);
    assert_int_equal(kill(pid_of_pod(control), SIGTERM), 0);
    assert_int_equal(exit_code(maker), 8);
    assert_true(file_has(r, POD_STATE_NAME, "ended by a signal (Terminated)"));
    close(control);
}

static void a_pod_whose_maker_dies_before_it_is_ready_ends(void **state)
{
    struct rig *r = *state;
    pid_t maker = spawn_elsewhere(r);
    int control = wait_for_control(r), status;
    pid_t pod = pid_of_pod(control);
    assert_int_equal(kill(maker, SIGKILL), 0);
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_int_equal(exit_code(pod), 1);
    assert_true(file_has(r, POD_STATE_NAME, "ended before the guest was ready"));
    close(control);
}

static int kill_the_maker(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    pid_t maker = getppid();
    int code = kill(maker, SIGKILL);
    while (getppid() == maker)
        (void)sched_yield();
    return code;
}

/* So nobody who has the lock takes it for a folder without a process. */
static void a_lock_that_its_killed_maker_held_is_free_when_the_pod_can_be_found(void **state)
{
    struct rig *r = *state;
    char named[80];
    int status, ready[2];
    char y;
    (void)snprintf(named, sizeof(named), "%s.pid", r->path);
    r->cfg.process_file = named;
    write_kernel(r->kernel, kernel_off, kernel_off_end);
    int waiting = open(r->kernel, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t maker = fork();
    if (maker == 0) {
        r->cfg.lock_fd = open(r->kernel, O_RDONLY | O_CLOEXEC);
        r->cfg.enter = kill_the_maker;
        if (flock(r->cfg.lock_fd, LOCK_EX) == 0 && write(ready[1], "y", 1) == 1)
            (void)spawn(r);
        _exit(1);
    }
    assert_int_equal(read(ready[0], &y, 1), 1);
    assert_int_equal(flock(waiting, LOCK_EX), 0);
    assert_true(file_has(r, named, "\"pid\": ") && file_has(r, named, "\"startTime\": "));
    assert_int_equal(unlink(named), 0);
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_true(WIFSIGNALED(status));
    assert_true(waitpid(-1, &status, 0) > 0); /* the pod */
    for (int i = 0; i < 2; i++)
        close(ready[i]);
    close(waiting);
}

static void a_pod_that_is_killed_is_reported(void **state)
{
    struct rig *r = *state;
    write_kernel(r->kernel, kernel_halt, kernel_halt_end);
    pid_t killer = fork();
    if (killer == 0) {
        (void)kill(pid_of_pod(wait_for_control(r)), SIGKILL);
        _exit(0);
    }
    assert_int_equal(spawn(r), -EHOSTDOWN);
    assert_non_null(strstr(r->err.text, "Killed"));
    assert_int_equal(exit_code(killer), 0);
    (void)unlinkat(r->folder, POD_SOCKET_NAME, 0);
    (void)unlinkat(r->folder, POD_VSOCK_NAME, 0);
    (void)unlinkat(r->folder, POD_TRUST_SOCKET_NAME, 0);
    (void)unlinkat(r->folder, POD_STATE_NAME ".new", 0);
}

static void read_proc(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    memset(out, 0, size);
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, out, size - 1) > 0);
    close(fd);
}

static void the_process_is_one_of_its_own(void **state)
{
    struct rig *r = *state;
    char text[256], link[64];
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* not to be closed by exec, to be inherited */
    pid_t maker = spawn_elsewhere(r);
    close(ends[1]);
    int control = wait_for_control(r);
    pid_t pod = pid_of_pod(control);
    assert_int_equal(getsid(pod), pod);
    read_proc(pod, "comm", text, sizeof(text));
    assert_string_equal(text, "caisson-pod\n");
    read_proc(pod, "cmdline", text, sizeof(text));
    assert_int_equal(strncmp(text, "caisson: pod test-pod", 12), 0);
    (void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pod);
    memset(text, 0, sizeof(text));
    assert_int_equal(readlink(link, text, sizeof(text) - 1), 1);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pod, i);
        memset(text, 0, sizeof(text));
        assert_true(readlink(link, text, sizeof(text) - 1) > 0);
        assert_string_equal(text, "/dev/null");
    }
    (void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pod, ends[1]);
    memset(text, 0, sizeof(text));
    (void)!readlink(link, text, sizeof(text) - 1);
    assert_null(strstr(text, "pipe:"));
    assert_int_equal(kill(pod, SIGTERM), 0);
    (void)exit_code(maker);
    assert_int_equal(read(ends[0], text, 1), 0);
    close(ends[0]);
    close(control);
}

/* ---- With Linux and the agent ---- */

static void use_linux(struct rig *r)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache != NULL)
        (void)snprintf(r->linux_kernel, sizeof(r->linux_kernel), "%s/caisson/guest-kernels/tailored/vmlinux", cache);
    else
        (void)snprintf(r->linux_kernel, sizeof(r->linux_kernel), "%s/.cache/caisson/guest-kernels/tailored/vmlinux",
                       home != NULL ? home : "");
    if (access(r->linux_kernel, R_OK) < 0) {
        print_message("no kernel here: 'scripts/guest-kernel tailored' makes it; skipped\n");
        skip();
    }
    r->cfg.kernel = r->linux_kernel;
    r->cfg.memory_bytes = 128 * MIB;
    r->cfg.ready_seconds = 60;
    if (spawn(r) != 0)
        fail_msg("%s", r->err.text);
}

static void a_pod_runs_until_it_is_asked_to_stop(void **state)
{
    struct rig *r = *state;
    use_linux(r);
    int control = wait_for_control(r);
    assert_int_equal(pid_of_pod(control), r->pid);
    assert_true(file_has(r, POD_STATE_NAME, "\"phase\": \"running\""));
    assert_true(file_has(r, POD_STATE_NAME, "\"step\": \"agent listens on port 1024\""));
    assert_int_equal(pod_control_export(control, "rootfs", r->folder, true, NULL), 0);
    assert_int_equal(pod_control_stop(control, NULL), 0);
    assert_int_equal(exit_code(r->pid), 0);
    assert_true(file_has(r, POD_STATE_NAME, "stopped as asked"));
    assert_false(file_has(r, POD_LOG_NAME, "it is switched off")); /* by itself, not by us */
    close(control);
}

static void a_running_pod_ends_in_order_when_it_is_signalled(void **state)
{
    struct rig *r = *state;
    use_linux(r);
    assert_int_equal(kill(r->pid, SIGTERM), 0);
    assert_int_equal(exit_code(r->pid), 0);
    assert_true(file_has(r, POD_STATE_NAME, "\"reached\": \"running\""));
    assert_false(file_has(r, POD_LOG_NAME, "it is switched off"));
}

static void processes_of_nobody_do_not_keep_a_pod_from_stopping(void **state)
{
    struct rig *r = *state;
    use_linux(r);
    int control = wait_for_control(r), holder = wait_for_control(r);
    assert_int_equal(pod_control_hold(holder, "gone", "exec-1", NULL), 0);
    close(holder);
    assert_int_equal(pod_control_stop(control, NULL), 0);
    assert_int_equal(exit_code(r->pid), 0);
    assert_true(file_has(r, POD_LOG_NAME, "nobody stands for gone exec-1"));
    close(control);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_guest_that_switches_off_is_reported_with_its_step),
        CASE(a_guest_that_resets_is_reported_with_its_last_line),
        CASE(a_triple_fault_is_reported),
        CASE(a_panic_is_reported_with_its_words_made_safe),
        CASE(a_guest_that_does_not_get_on_is_reported_with_its_processors),
        CASE(a_pod_goes_without_a_balloon_where_the_host_cannot_have_one),
        CASE(a_machine_that_the_policy_does_not_name_never_runs),
        CASE(a_build_without_policies_refuses_to_start_with_one),
        CASE(the_log_of_a_pod_that_ended_replays),
        CASE(a_missing_kernel_is_reported_as_such),
        CASE(what_is_no_kernel_is_reported_as_such),
        CASE(too_many_processors_are_refused),
        CASE(a_missing_folder_is_reported),
        CASE(what_fails_first_in_the_new_process_is_reported),
        CASE(a_socket_that_is_there_already_is_not_taken_over),
        CASE(a_pod_that_cannot_be_named_does_not_start),
        CASE(a_pod_that_boots_can_be_asked_and_stopped),
        CASE(a_signal_ends_a_pod_that_boots),
        CASE(a_pod_whose_maker_dies_before_it_is_ready_ends),
        CASE(a_lock_that_its_killed_maker_held_is_free_when_the_pod_can_be_found),
        CASE(a_pod_that_is_killed_is_reported),
        CASE(the_process_is_one_of_its_own),
        CASE(a_pod_runs_until_it_is_asked_to_stop),
        CASE(a_running_pod_ends_in_order_when_it_is_signalled),
        CASE(processes_of_nobody_do_not_keep_a_pod_from_stopping),
    };
    return cmocka_run_group_tests_name("pod/pod", tests, NULL, NULL);
}
