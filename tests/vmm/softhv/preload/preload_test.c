/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program that knows nothing of softhv and meets it through LD_PRELOAD. Started by hand or by a test run it starts
 * itself again with the library before the C library and a file for the trace. With arguments it is one of the small
 * programs that the cases start: what it was asked for is in its exit code.
 *
 * usage: preload_test [open | generation]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/mshv/abi.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define PAGE        4096u
#define TRACE_BYTES (1u << 20)
#define TRACE       "CAISSON_SOFTHV_TRACE"
#define PATH        MSHV_DEVICE_PATH

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

/* ---- Opening ---- */

/* The variants under one signature; dirfd means nothing to some. */
static int by_open(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)dirfd;
    return open(path, flags, mode);
}

static int by_open64(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)dirfd;
    return open64(path, flags, mode);
}

static int by_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return openat(dirfd, path, flags, mode);
}

static int by_openat64(int dirfd, const char *path, int flags, mode_t mode)
{
    return openat64(dirfd, path, flags, mode);
}

static int by_open_2(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)dirfd;
    (void)mode;
    return __open_2(path, flags);
}

static int by_open64_2(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)dirfd;
    (void)mode;
    return __open64_2(path, flags);
}

static int by_openat_2(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)mode;
    return __openat_2(dirfd, path, flags);
}

static int by_openat64_2(int dirfd, const char *path, int flags, mode_t mode)
{
    (void)mode;
    return __openat64_2(dirfd, path, flags);
}

static const struct variant {
    const char *name;
    int (*open)(int dirfd, const char *path, int flags, mode_t mode);
    bool at;        /* has a dirfd */
    bool with_mode; /* has a mode */
} variants[] = {
    {"open", by_open, false, true},           {"open64", by_open64, false, true},
    {"openat", by_openat, true, true},        {"openat64", by_openat64, true, true},
    {"__open_2", by_open_2, false, false},    {"__open64_2", by_open64_2, false, false},
    {"__openat_2", by_openat_2, true, false}, {"__openat64_2", by_openat64_2, true, false},
};

/* Only the device makes partitions. */
static bool is_device(int fd)
{
    struct mshv_create_partition a = {.pt_flags = 3};
    int partition = ioctl(fd, MSHV_CREATE_PARTITION, &a);
    if (partition < 0)
        return false;
    close(partition);
    return true;
}

static void every_open_reaches_the_device(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++) {
        int fd = variants[i].open(-17, PATH, O_RDWR | O_CLOEXEC, 0);
        if (fd < 0 || !is_device(fd))
            fail_msg("%s", variants[i].name);
        assert_int_equal(close(fd), 0);
    }
}

static void other_spellings_reach_it_too(void **state)
{
    (void)state;
    static const char *const paths[] = {"//dev/mshv", "/dev//mshv", "/./dev/././mshv", "///.//dev/.///mshv"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        int fd = open(paths[i], O_RDWR);
        if (fd < 0 || !is_device(fd))
            fail_msg("%s", paths[i]);
        close(fd);
    }
}

/* None of these files exists, so that the kernel's answer tells. */
static void similar_paths_are_left_to_the_kernel(void **state)
{
    (void)state;
    static const char *const paths[] = {"/dev/mshv/", "/dev/mshvx",    "/dev/mshv.", "/dev./mshv",  "/devmshv",
                                        "/dev/.mshv", "/tmp/dev/mshv", "./dev/mshv", "dev/mshv",    "mshv",
                                        "",           "/dev/msh",      "/.dev/mshv", "/dev/mshv/a", "/DEV/MSHV"};
    for (size_t i = 0; i < COUNT(paths); i++)
        for (size_t v = 0; v < COUNT(variants); v++) {
            errno = 0;
            int fd = variants[v].open(AT_FDCWD, paths[i], O_RDWR, 0);
            if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR))
                fail_msg("%s of '%s': %d, errno %d", variants[v].name, paths[i], fd, errno);
        }
}

static void a_path_that_is_none_is_left_to_the_kernel(void **state)
{
    (void)state;
    const char *volatile none = NULL;
    for (size_t v = 0; v < COUNT(variants); v++) {
        errno = 0;
        assert_int_equal(variants[v].open(AT_FDCWD, none, O_RDONLY, 0), -1);
        assert_int_equal(errno, EFAULT);
    }
}

static void close_on_exec_is_as_asked(void **state)
{
    (void)state;
    int with = open(PATH, O_RDWR | O_CLOEXEC), without = open(PATH, O_RDWR);
    assert_int_equal(fcntl(with, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(without, F_GETFD), 0);
    close(with);
    close(without);
}

static void flags_that_do_not_fit_a_device_are_refused(void **state)
{
    (void)state;
    assert_int_equal(open(PATH, O_RDONLY | O_DIRECTORY), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(open(PATH, O_RDWR | O_CREAT | O_EXCL, 0600), -1);
    assert_int_equal(errno, EEXIST);
    int fd = open(PATH, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && is_device(fd));
    close(fd);
}

/* ---- Other files ---- */

static void other_files_have_mode_and_content(void **state)
{
    (void)state;
    char folder[] = "/tmp/preload_test.XXXXXX", path[64], text[4] = "";
    struct stat st;
    mode_t mask = umask(0);
    assert_non_null(mkdtemp(folder));
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    for (size_t i = 0; i < COUNT(variants); i++) {
        if (!variants[i].with_mode)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, "file");
        int fd = variants[i].open(dir, variants[i].at ? "file" : path, O_RDWR | O_CREAT | O_EXCL, 0641);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0641);
        assert_int_equal(write(fd, "abc", 3), 3);
        assert_int_equal(close(fd), 0);
        fd = variants[COUNT(variants) - 1 - i].open(AT_FDCWD, path, O_RDONLY, 0);
        assert_int_equal(read(fd, text, sizeof(text)), 3);
        assert_memory_equal(text, "abc", 3);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink(path), 0);
    }
    (void)umask(mask);
    assert_int_equal(close(dir), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void files_without_a_name_have_their_mode(void **state)
{
    (void)state;
    struct stat st;
    mode_t mask = umask(0);
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0604);
    (void)umask(mask);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);
    close(fd);
}

static void other_ioctls_are_left_to_the_kernel(void **state)
{
    (void)state;
    int device = open(PATH, O_RDWR), ends[2], pending = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "xyz", 3), 3);
    errno = 77;
    assert_int_equal(ioctl(ends[0], FIONREAD, &pending), 0);
    assert_int_equal(errno, 77);
    assert_int_equal(pending, 3);
    assert_int_equal(ioctl(ends[0], MSHV_CREATE_PARTITION, &pending), -1);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(ioctl(ends[0], MSHV_RUN_VP, &pending), -1);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(ioctl(-1, MSHV_CREATE_PARTITION, &pending), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioctl(-1, MSHV_RUN_VP, &pending), -1);
    assert_int_equal(errno, EBADF);
    close(ends[0]);
    close(ends[1]);
    close(device);
}

static void other_sockets_stay_sockets(void **state)
{
    (void)state;
    int device = open(PATH, O_RDWR), ends[2];
    char text[2] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(ioctl(ends[0], MSHV_CREATE_PARTITION, NULL), -1);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(write(ends[0], "a", 1), 1);
    assert_int_equal(read(ends[1], text, 2), 1);
    errno = 77;
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(errno, 77);
    assert_int_equal(close(ends[0]), -1);
    assert_int_equal(errno, EBADF);
    close(ends[1]);
    close(device);
}

static void other_mappings_are_left_to_the_kernel(void **state)
{
    (void)state;
    int device = open(PATH, O_RDWR), file = memfd_create("file", 0);
    assert_int_equal(pwrite(file, "page one", 8, PAGE), 8);
    assert_int_equal(ftruncate(file, 2 * PAGE), 0);
    char *a = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    char *b = mmap64(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, PAGE);
    char *c = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, device, 0);
    assert_true(a != MAP_FAILED && b != MAP_FAILED && c != MAP_FAILED);
    assert_memory_equal(a, "page one", 8);
    assert_memory_equal(b, "page one", 8);
    assert_int_equal(c[0], 0);
    assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 1) == MAP_FAILED);
    assert_int_equal(errno, EINVAL);
    munmap(a, PAGE);
    munmap(b, PAGE);
    munmap(c, PAGE);
    close(file);
    close(device);
}

/* ---- A machine ---- */

struct machine {
    int device, partition, vp;
    uint8_t *ram;
};

static int set_registers(int fd, const struct hv_register_assoc *regs, uint16_t count)
{
    uint8_t in[sizeof(struct hv_input_vp_registers) + 2 * sizeof(*regs)] = {0};
    memcpy(in + sizeof(struct hv_input_vp_registers), regs, count * sizeof(*regs));
    struct mshv_root_hvcall a = {.code = HVCALL_SET_VP_REGISTERS,
                                 .reps = count,
                                 .in_sz = (uint16_t)(sizeof(struct hv_input_vp_registers) + count * sizeof(*regs)),
                                 .in_ptr = (uintptr_t)in};
    return ioctl(fd, MSHV_ROOT_HVCALL, &a);
}

/* One VP in real mode, with the code at 0. */
static struct machine machine_new(const void *code, size_t bytes)
{
    struct mshv_create_partition a = {.pt_flags = 3};
    struct mshv_create_vp v = {.vp_index = 0};
    struct machine m = {.device = open(PATH, O_RDWR | O_CLOEXEC)};
    const struct hv_register_assoc regs[2] = {
        {.name = HV_X64_REGISTER_CS, .value.segment = {.limit = 0xffff, .attributes = 0x9b}},
        {.name = HV_X64_REGISTER_RIP, .value.reg64 = 0}};
    m.partition = ioctl(m.device, MSHV_CREATE_PARTITION, &a);
    assert_true(m.partition >= 0);
    assert_int_equal(ioctl(m.partition, MSHV_INITIALIZE_PARTITION), 0);
    m.ram = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(m.ram != MAP_FAILED);
    memcpy(m.ram, code, bytes);
    struct mshv_user_mem_region region = {.size = PAGE, .userspace_addr = (uintptr_t)m.ram, .flags = 3};
    assert_int_equal(ioctl(m.partition, MSHV_SET_GUEST_MEMORY, &region), 0);
    m.vp = ioctl(m.partition, MSHV_CREATE_VP, &v);
    assert_true(m.vp >= 0);
    assert_int_equal(set_registers(m.vp, regs, 2), 0);
    return m;
}

static void machine_free(struct machine *m)
{
    close(m->vp);
    close(m->partition);
    close(m->device);
    munmap(m->ram, PAGE);
}

/* The first call of a thread may say EINTR: kick.h. */
static uint32_t run(int vp)
{
    struct mshv_run_vp r;
    struct hv_message_header head;
    int result;
    do
        result = ioctl(vp, MSHV_RUN_VP, &r);
    while (result < 0 && errno == EINTR);
    assert_int_equal(result, 0);
    memcpy(&head, r.msg_buf, sizeof(head));
    return head.message_type;
}

static const uint8_t out_forever[] = {0xe6, 0x10, 0xeb, 0xfc};

static void a_guest_runs_to_its_first_exit(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    assert_int_equal(run(m.vp), HVMSG_X64_IO_PORT_INTERCEPT);
    machine_free(&m);
}

static void a_vp_shows_its_message_page(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    const struct hv_message *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m.vp, PAGE);
    struct hv_vp_register_page *regs = mmap64(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m.vp, 0);
    assert_true(page != MAP_FAILED && (void *)regs != MAP_FAILED);
    assert_int_equal(run(m.vp), HVMSG_X64_IO_PORT_INTERCEPT);
    assert_int_equal(page->header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
    assert_int_equal(regs->version, HV_VP_REGISTER_PAGE_VERSION);
    assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, m.device, 0) == MAP_FAILED);
    assert_int_equal(errno, ENODEV);
    assert_true(mmap64(NULL, PAGE, PROT_READ, MAP_SHARED, m.vp, 64 * PAGE) == MAP_FAILED);
    assert_int_equal(errno, EINVAL);
    machine_free(&m);
}

static void refusals_are_the_drivers(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    struct mshv_create_vp again = {.vp_index = 0};
    assert_int_equal(ioctl(m.partition, MSHV_CREATE_VP, &again), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(ioctl(m.vp, MSHV_LEGACY_VP_TRANSLATE_GVA, &again), -1);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(ioctl(m.partition, MSHV_CREATE_VP, NULL), -1);
    assert_int_equal(errno, EFAULT);
    /* EBADF of an argument is not that of the descriptor. */
    struct mshv_user_irqfd irqfd = {.fd = -1, .gsi = 5};
    assert_int_equal(ioctl(m.partition, MSHV_IRQFD, &irqfd), -1);
    assert_int_equal(errno, EBADF);
    machine_free(&m);
}

static void requests_that_succeed_leave_errno_alone(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    const struct hv_register_assoc rip = {.name = HV_X64_REGISTER_RIP};
    errno = 77;
    assert_int_equal(set_registers(m.vp, &rip, 1), 0);
    assert_int_equal(errno, 77);
    int fd = open(PATH, O_RDWR);
    assert_int_equal(close(fd), 0);
    assert_int_equal(errno, 77);
    machine_free(&m);
}

/* A handler that does what it must not do with locks held: it asks the device. */
static int handler_device = -1;
static volatile sig_atomic_t handler_result = 77;

static void on_signal(int signal)
{
    (void)signal;
    int error = errno;
    handler_result =
        ioctl(handler_device, MSHV_RUN_VP, NULL) == -1 && errno == ENOTTY ? close(dup(handler_device)) : 78;
    errno = error;
}

static void signal_handlers_may_use_the_device(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal}, before;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    handler_device = m.device;
    assert_int_equal(sigaction(SIGUSR2, &action, &before), 0);
    assert_int_equal(raise(SIGUSR2), 0);
    assert_int_equal(handler_result, 0);
    assert_int_equal(run(m.vp), HVMSG_X64_IO_PORT_INTERCEPT);
    (void)sigaction(SIGUSR2, &before, NULL);
    machine_free(&m);
}

static void requests_leave_the_signal_mask_alone(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    sigset_t mask;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    assert_int_equal(sigismember(&mask, SIGUSR2), 0);
    machine_free(&m);
}

static void a_thread_is_not_cancelled_in_a_request(void **state)
{
    (void)state;
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    int type, cancel;
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel), 0);
    (void)run(m.vp);
    /* What it was is what it is again. */
    assert_int_equal(pthread_setcancelstate(cancel, &type), 0);
    assert_int_equal(type, PTHREAD_CANCEL_ENABLE);
    machine_free(&m);
}

/* ---- Trace ---- */

/* All lines so far, with a newline before the first. */
static char *trace_read(void)
{
    char *text = malloc(TRACE_BYTES);
    int fd = open(getenv(TRACE), O_RDONLY | O_CLOEXEC);
    assert_non_null(text);
    assert_true(fd >= 0);
    ssize_t bytes = pread(fd, text + 1, TRACE_BYTES - 2, 0);
    assert_true(bytes >= 0);
    text[0] = '\n';
    text[bytes + 1] = '\0';
    close(fd);
    return text;
}

/* How many of the lines written by `act` begin with the text. */
static size_t lines_of(void (*act)(void), const char *begin)
{
    char *before = trace_read();
    size_t known = strlen(before), count = 0;
    char wanted[512];
    free(before);
    act();
    char *after = trace_read();
    (void)snprintf(wanted, sizeof(wanted), "\n%s", begin);
    for (const char *p = after + known - 1; (p = strstr(p, wanted)) != NULL; p++)
        count++;
    free(after);
    return count;
}

static void act_open_and_close(void)
{
    close(open(PATH, O_RDWR));
}

static void act_whole_machine(void)
{
    struct machine m = machine_new(out_forever, sizeof(out_forever));
    (void)run(m.vp);
    machine_free(&m);
}

static void act_close_one_of_two(void)
{
    int fd = open(PATH, O_RDWR), copy = dup(fd);
    close(fd);
    assert_true(is_device(copy));
    (void)fcntl(copy, F_SETFD, 0); /* stays open */
}

static void act_close_both_backwards(void)
{
    int fd = open(PATH, O_RDWR), copy = dup(fd);
    close(copy);
    assert_true(is_device(fd));
    close(fd);
}

static void requests_are_traced(void **state)
{
    (void)state;
    assert_int_equal(lines_of(act_open_and_close, "device open = "), 1);
    assert_int_equal(
        lines_of(act_whole_machine, "device MSHV_CREATE_PARTITION pt_flags=LAPIC|X2APIC pt_isolation=NONE = "), 1);
    assert_true(lines_of(act_whole_machine, "partition=") > 6);
}

static void lines_hold_registers_and_messages(void **state)
{
    (void)state;
    char *all = (act_whole_machine(), trace_read());
    assert_non_null(strstr(all, " MSHV_ROOT_HVCALL code=HVCALL_SET_VP_REGISTERS reps=2 in_sz=80 out_sz=0 vp_index=0 "
                                "HV_X64_REGISTER_CS={selector=0x0,base=0x0,limit=0xffff,attributes=0x9b} "
                                "HV_X64_REGISTER_RIP=0x0 -> status=HV_STATUS_SUCCESS reps=2 = 0\n"));
    assert_non_null(strstr(all, " vp=0 MSHV_RUN_VP -> message_type=HVMSG_X64_IO_PORT_INTERCEPT access=write "
                                "port_number=0x10 access_size=1 "));
    assert_int_equal(all[strlen(all) - 1], '\n');
    free(all);
}

/* The line is there when close returns. */
static void objects_go_with_their_last_descriptor(void **state)
{
    (void)state;
    assert_int_equal(lines_of(act_open_and_close, "device close = 0"), 1);
    assert_int_equal(lines_of(act_close_both_backwards, "device close = 0"), 1);
    assert_int_equal(lines_of(act_close_one_of_two, "device close = 0"), 0);
}

/* ---- Processes ---- */

struct outcome {
    int code; /* exit code, -1 if it was killed */
    char text[2048];
};

/* This program again, with one variable set, or none. What it says on standard error is in the outcome. */
static void start(struct outcome *o, const char *argument, const char *variable, const char *value)
{
    int ends[2], status;
    size_t bytes = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        unsetenv(TRACE);
        if (variable != NULL)
            setenv(variable, value, 1);
        execl("/proc/self/exe", "preload_test", argument, NULL);
        _exit(126);
    }
    close(ends[1]);
    while (bytes < sizeof(o->text) - 1 && (got = read(ends[0], o->text + bytes, sizeof(o->text) - 1 - bytes)) > 0)
        bytes += (size_t)got;
    o->text[bytes] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    o->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void words_of_the_environment_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value;
    } cases[] = {{NULL, NULL},
                 {"CAISSON_SOFTHV_KERNEL", "6.15"},
                 {"CAISSON_SOFTHV_KERNEL", "6.15-stable"},
                 {"CAISSON_SOFTHV_KICK", "none"},
                 {"CAISSON_SOFTHV_KICK", "SIGRTMIN+1,10"},
                 {TRACE, "/dev/null"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome o;
        start(&o, "open", cases[i].variable, cases[i].value);
        assert_string_equal(o.text, "");
        assert_int_equal(o.code, 0);
    }
}

static void other_words_are_refused_with_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value, *line;
    } cases[] = {
        {"CAISSON_SOFTHV_KERNEL", "5.4",
         "caisson-softhv: cannot use CAISSON_SOFTHV_KERNEL: '5.4' is no generation of the driver; give one of 6.15, "
         "6.15-stable, 6.19, 7.2\n"},
        {"CAISSON_SOFTHV_KERNEL", "",
         "caisson-softhv: cannot use CAISSON_SOFTHV_KERNEL: '' is no generation of the driver; give one of 6.15, "
         "6.15-stable, 6.19, 7.2\n"},
        {"CAISSON_SOFTHV_KICK", "SIGKILL\n",
         "caisson-softhv: cannot use CAISSON_SOFTHV_KICK: 'SIGKILL?' is no list of signals that can be blocked; give "
         "names like SIGUSR1,SIGRTMIN+1, numbers, or none\n"},
        {TRACE, "/proc/no/such/file",
         "caisson-softhv: cannot use CAISSON_SOFTHV_TRACE: '/proc/no/such/file' No such file or directory; name a "
         "file that can be written\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome o;
        start(&o, "open", cases[i].variable, cases[i].value);
        assert_string_equal(o.text, cases[i].line);
        assert_int_equal(o.code, EINVAL);
    }
}

static void the_generation_played_is_the_one_asked_for(void **state)
{
    (void)state;
    struct outcome o;
    start(&o, "generation", "CAISSON_SOFTHV_KERNEL", "6.15");
    assert_int_equal(o.code, 15);
    start(&o, "generation", "CAISSON_SOFTHV_KERNEL", "6.19");
    assert_int_equal(o.code, 72);
    start(&o, "generation", NULL, NULL);
    assert_int_equal(o.code, 72);
}

/* Not an error of the process that inherited it, but nothing answers there. */
static void a_child_has_a_device_of_its_own(void **state)
{
    (void)state;
    int status, device = open(PATH, O_RDWR);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool inherited = is_device(device) || errno != ENOTTY || close(device) != 0;
        int own = open(PATH, O_RDWR);
        _exit(inherited ? 1 : own < 0 ? 2 : !is_device(own) ? 3 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_device(device));
    close(device);
}

static void *open_in_thread(void *arg)
{
    pthread_barrier_wait(arg);
    int fd = open(PATH, O_RDWR | O_CLOEXEC);
    bool good = fd >= 0 && is_device(fd);
    close(fd);
    return good ? arg : NULL;
}

/* In a child, where there is no device yet. */
static void threads_that_open_at_once_get_one_device(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_barrier_t together;
        pthread_t thread[4];
        void *good;
        int bad = 0;
        pthread_barrier_init(&together, NULL, COUNT(thread));
        for (size_t i = 0; i < COUNT(thread); i++)
            bad += pthread_create(&thread[i], NULL, open_in_thread, &together) != 0;
        for (size_t i = 0; i < COUNT(thread); i++)
            bad += pthread_join(thread[i], &good) != 0 || good == NULL;
        _exit(bad);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Is this one of the descriptors of the trace's file? */
static bool is_trace(int fd)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(getenv(TRACE), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Daemons close what they do not know; then the number is somebody else's. */
static void a_trace_that_was_closed_writes_into_nobodys_file(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct stat st;
        int closed = 0, device = open(PATH, O_RDWR), file = memfd_create("file", 0);
        for (int fd = 3; fd < 256; fd++)
            if (is_trace(fd))
                closed += dup2(file, fd) == fd;
        bool works = is_device(device) && close(device) == 0;
        _exit(closed == 0 ? 1 : !works ? 2 : fstat(file, &st) != 0 || st.st_size != 0 ? 3 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- Programs ---- */

static int program_open(void)
{
    int fd = open(PATH, O_RDWR | O_CLOEXEC);
    int again = fd < 0 ? open(PATH, O_RDWR | O_CLOEXEC) : fd; /* the line is not said twice */
    return fd < 0 ? errno : again == fd ? 0 : 1;
}

/* The device of kernels before 6.19 knows no hypercalls. */
static int program_generation(void)
{
    struct hv_input_get_partition_property in = {.property_code = HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0};
    uint64_t out;
    struct mshv_root_hvcall a = {.code = HVCALL_GET_PARTITION_PROPERTY,
                                 .in_sz = sizeof(in),
                                 .out_sz = sizeof(out),
                                 .in_ptr = (uintptr_t)&in,
                                 .out_ptr = (uintptr_t)&out};
    int result = ioctl(open(PATH, O_RDWR), MSHV_ROOT_HVCALL, &a);
    return result == 0 ? 72 : errno == ENOTTY ? 15 : 1;
}

/* Start this program with the library, and a new file for the trace. Returns only on errors. */
static int restart(char **argv)
{
    char trace[] = "/tmp/preload_test.trace.XXXXXX";
    char *library = realpath(PRELOAD_LIBRARY, NULL);
    int fd = mkstemp(trace);
    if (library == NULL || fd < 0)
        return 1;
    close(fd);
    setenv("LD_PRELOAD", library, 1);
    setenv(TRACE, trace, 1);
    unsetenv("CAISSON_SOFTHV_KERNEL");
    unsetenv("CAISSON_SOFTHV_KICK");
    execv("/proc/self/exe", argv);
    return 1;
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_open_reaches_the_device),
        cmocka_unit_test(other_spellings_reach_it_too),
        cmocka_unit_test(similar_paths_are_left_to_the_kernel),
        cmocka_unit_test(a_path_that_is_none_is_left_to_the_kernel),
        cmocka_unit_test(close_on_exec_is_as_asked),
        cmocka_unit_test(flags_that_do_not_fit_a_device_are_refused),
        cmocka_unit_test(other_files_have_mode_and_content),
        cmocka_unit_test(files_without_a_name_have_their_mode),
        cmocka_unit_test(other_ioctls_are_left_to_the_kernel),
        cmocka_unit_test(other_sockets_stay_sockets),
        cmocka_unit_test(other_mappings_are_left_to_the_kernel),
        cmocka_unit_test(a_guest_runs_to_its_first_exit),
        cmocka_unit_test(a_vp_shows_its_message_page),
        cmocka_unit_test(refusals_are_the_drivers),
        cmocka_unit_test(requests_that_succeed_leave_errno_alone),
        cmocka_unit_test(signal_handlers_may_use_the_device),
        cmocka_unit_test(requests_leave_the_signal_mask_alone),
        cmocka_unit_test(a_thread_is_not_cancelled_in_a_request),
        cmocka_unit_test(requests_are_traced),
        cmocka_unit_test(lines_hold_registers_and_messages),
        cmocka_unit_test(objects_go_with_their_last_descriptor),
        cmocka_unit_test(words_of_the_environment_are_taken),
        cmocka_unit_test(other_words_are_refused_with_one_line),
        cmocka_unit_test(the_generation_played_is_the_one_asked_for),
        cmocka_unit_test(a_child_has_a_device_of_its_own),
        cmocka_unit_test(threads_that_open_at_once_get_one_device),
        cmocka_unit_test(a_trace_that_was_closed_writes_into_nobodys_file),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(getenv(TRACE));
    return failed;
}

int main(int argc, char **argv)
{
    if (getenv("LD_PRELOAD") == NULL)
        return restart(argv);
    if (argc > 1 && strcmp(argv[1], "open") == 0)
        return program_open();
    if (argc > 1 && strcmp(argv[1], "generation") == 0)
        return program_generation();
    return run_all();
}
