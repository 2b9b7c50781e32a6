/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors of a software device: which number means what, who goes when, and signals around MSHV_RUN_VP.
 */
#include "vmm/softhv/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"

#define PAGE      4096u
#define KICK      SIGUSR1
#define KICK_MASK (UINT64_C(1) << (KICK - 1))

struct rig {
    struct softhv_instance *s;
    int device, partition, vp;
    uint8_t *ram;
    _Atomic unsigned closed; /* objects of each kind that went, 8 bits each */
    int run_blocks;          /* is SIGUSR2 blocked when a run is told of? */
};

static void count(void *ctx, const struct softhv_trace_record *r)
{
    struct rig *rig = ctx;
    if (r->request == SOFTHV_TRACE_CLOSE)
        atomic_fetch_add(&rig->closed, 1u << 8 * (unsigned)r->on);
    if (r->request == MSHV_RUN_VP) {
        sigset_t mask;
        (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
        rig->run_blocks = sigismember(&mask, SIGUSR2);
    }
}

static int request(struct rig *r, int fd, uint32_t number, void *arg)
{
    return softhv_ioctl(r->s, fd, number, (uintptr_t)arg);
}

static int hvcall(struct rig *r, int fd, uint16_t code, uint16_t reps, void *in, uint16_t in_bytes)
{
    struct mshv_root_hvcall a = {.code = code, .reps = reps, .in_sz = in_bytes, .in_ptr = (uintptr_t)in};
    return request(r, fd, MSHV_ROOT_HVCALL, &a);
}

static int set64(struct rig *r, int fd, uint32_t name, uint64_t value)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in = {.reg = {.name = name, .value.reg64 = value}};
    return hvcall(r, fd, HVCALL_SET_VP_REGISTERS, 1, &in, sizeof(in));
}

static int set_code_segment(struct rig *r)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in = {.reg = {.name = HV_X64_REGISTER_CS, .value.segment = {.limit = 0xffff, .attributes = 0x9b}}};
    return hvcall(r, r->vp, HVCALL_SET_VP_REGISTERS, 1, &in, sizeof(in));
}

static void open_device(struct rig *r, uint64_t kicks)
{
    const struct softhv_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .kicks = kicks, .trace = count, .trace_ctx = r};
    *r = (struct rig){.partition = -1, .vp = -1};
    assert_int_equal(softhv_instance_new(&cfg, &r->s), 0);
    r->device = softhv_open(r->s, O_RDWR | O_CLOEXEC);
    assert_true(r->device >= 0);
}

/* A VP whose code at 0 is `code`. */
static void open_vp(struct rig *r, uint64_t kicks, const void *code, size_t bytes)
{
    struct mshv_create_partition a = {.pt_flags = 3};
    struct mshv_create_vp v = {.vp_index = 0};
    open_device(r, kicks);
    r->partition = request(r, r->device, MSHV_CREATE_PARTITION, &a);
    assert_true(r->partition >= 0);
    assert_int_equal(request(r, r->partition, MSHV_INITIALIZE_PARTITION, NULL), 0);
    r->ram = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r->ram != MAP_FAILED);
    memcpy(r->ram, code, bytes);
    struct mshv_user_mem_region m = {.size = PAGE, .userspace_addr = (uintptr_t)r->ram, .flags = 3};
    assert_int_equal(request(r, r->partition, MSHV_SET_GUEST_MEMORY, &m), 0);
    r->vp = request(r, r->partition, MSHV_CREATE_VP, &v);
    assert_true(r->vp >= 0);
    assert_int_equal(set_code_segment(r), 0);
    assert_int_equal(set64(r, r->vp, HV_X64_REGISTER_RIP, 0), 0);
}

static void close_if(struct rig *r, int fd)
{
    if (fd >= 0)
        assert_int_equal(softhv_close(r->s, fd), 0);
}

static void rig_close(struct rig *r)
{
    close_if(r, r->vp);
    close_if(r, r->partition);
    close_if(r, r->device);
    softhv_instance_free(r->s);
    if (r->ram != NULL)
        munmap(r->ram, PAGE);
}

static unsigned gone(struct rig *r, enum softhv_on on)
{
    return atomic_load(&r->closed) >> 8 * (unsigned)on & 0xff;
}

static const uint8_t hlt_forever[] = {0xfa, 0xf4}; /* cli; hlt */
static const uint8_t out_forever[] = {0xe6, 0x10, 0xeb, 0xfc};

/* ---- Numbers ---- */

static void a_foreign_descriptor_is_not_owned(void **state)
{
    struct rig r;
    (void)state;
    open_device(&r, 0);
    assert_true(softhv_owns(r.s, r.device));
    assert_false(softhv_owns(r.s, STDIN_FILENO));
    assert_false(softhv_owns(r.s, -1));
    assert_int_equal(request(&r, STDIN_FILENO, MSHV_ROOT_HVCALL, NULL), -EBADF);
    rig_close(&r);
}

static void another_socket_is_not_owned(void **state)
{
    struct rig r;
    int ends[2];
    (void)state;
    open_device(&r, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_false(softhv_owns(r.s, ends[0]));
    close(ends[0]);
    close(ends[1]);
    rig_close(&r);
}

static void close_on_exec_follows_the_flag(void **state)
{
    struct rig r;
    (void)state;
    open_device(&r, 0);
    int fd = softhv_open(r.s, O_RDWR);
    assert_int_equal(fcntl(r.device, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    close_if(&r, fd);
    rig_close(&r);
}

static void descriptors_are_ready_for_reading_and_writing(void **state)
{
    struct rig r;
    (void)state;
    open_device(&r, 0);
    struct pollfd p = {.fd = r.device, .events = POLLIN | POLLOUT};
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(p.revents, POLLIN | POLLOUT);
    rig_close(&r);
}

static void requests_reach_the_object_through_a_duplicate(void **state)
{
    struct rig r;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    int copy = dup(r.vp);
    assert_int_equal(set64(&r, copy, HV_X64_REGISTER_RAX, 1), 0);
    close_if(&r, copy);
    rig_close(&r);
}

static void a_child_gets_eio(void **state)
{
    struct rig r;
    int status;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(set64(&r, r.vp, HV_X64_REGISTER_RAX, 1) == -EIO ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    rig_close(&r);
}

/* ---- Lives ---- */

static void the_last_duplicate_closes_the_object(void **state)
{
    struct rig r;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    int copy = dup(r.partition);
    close_if(&r, r.partition);
    assert_int_equal(gone(&r, SOFTHV_ON_PARTITION), 0);
    close_if(&r, copy);
    assert_int_equal(gone(&r, SOFTHV_ON_PARTITION), 1);
    r.partition = -1;
    rig_close(&r);
}

static void a_vp_keeps_its_partition_running(void **state)
{
    struct rig r;
    struct mshv_run_vp m;
    (void)state;
    open_vp(&r, 0, out_forever, sizeof(out_forever));
    close_if(&r, r.partition);
    close_if(&r, r.device);
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), 0);
    r.partition = r.device = -1;
    rig_close(&r);
}

static void a_closed_vp_keeps_its_index(void **state)
{
    struct rig r;
    struct mshv_create_vp v = {.vp_index = 0};
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    close_if(&r, r.vp);
    assert_int_equal(request(&r, r.partition, MSHV_CREATE_VP, &v), -EEXIST);
    r.vp = -1;
    rig_close(&r);
}

/* The other process has it in its hands only as a message: when both are closed, the object goes by itself. */
static void a_descriptor_in_a_message_keeps_the_object(void **state)
{
    struct rig r;
    int ends[2];
    char byte = 0;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    (void)state;
    open_device(&r, 0);
    memcpy(CMSG_DATA(&control.head), &r.device, sizeof(int));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(sendmsg(ends[0], &m, 0), 1);
    close_if(&r, r.device);
    assert_int_equal(gone(&r, SOFTHV_ON_DEVICE), 0);
    assert_int_equal(recvmsg(ends[1], &m, 0), 1);
    memcpy(&r.device, CMSG_DATA(&control.head), sizeof(int));
    assert_true(softhv_owns(r.s, r.device));
    close(ends[0]);
    close(ends[1]);
    rig_close(&r);
}

static void freeing_the_instance_takes_what_is_left(void **state)
{
    struct rig r;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    softhv_instance_free(r.s);
    assert_int_equal(atomic_load(&r.closed), 0x010101);
    close(r.vp);
    close(r.partition);
    close(r.device);
    munmap(r.ram, PAGE);
}

/* ---- Pages ---- */

static void the_register_page_can_be_mapped(void **state)
{
    struct rig r;
    void *at;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &at), 0);
    const struct hv_vp_register_page *page = at;
    assert_int_equal(page->isvalid, 1);
    assert_int_equal(set64(&r, r.vp, HV_X64_REGISTER_RBX, 77), 0);
    assert_int_equal(page->gpr[3], 77);
    munmap(at, PAGE);
    rig_close(&r);
}

static void a_mapping_outlives_the_partition(void **state)
{
    struct rig r;
    void *at;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, PAGE, PROT_READ, MAP_SHARED, PAGE, &at), 0);
    rig_close(&r);
    assert_int_equal(*(const uint32_t *)at, HVMSG_NONE);
    munmap(at, PAGE);
}

static void pages_that_do_not_exist_cannot_be_mapped(void **state)
{
    struct rig r;
    void *at;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, PAGE, PROT_READ, MAP_SHARED, 2 * PAGE, &at), -ENODEV);
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, PAGE, PROT_READ, MAP_SHARED, 3 * PAGE, &at), -EINVAL);
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, 0, PROT_READ, MAP_SHARED, 0, &at), -EINVAL);
    assert_int_equal(softhv_mmap(r.s, r.partition, NULL, PAGE, PROT_READ, MAP_SHARED, 0, &at), -ENODEV);
    rig_close(&r);
}

static void every_page_of_a_longer_mapping_is_the_same(void **state)
{
    struct rig r;
    void *at;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, 2 * PAGE, PROT_READ, MAP_SHARED, 0, &at), 0);
    assert_memory_equal(at, (const uint8_t *)at + PAGE, PAGE);
    assert_int_equal(((const struct hv_vp_register_page *)at)->version, 1);
    munmap(at, 2 * PAGE);
    rig_close(&r);
}

/* ---- Signals ---- */

static void ignore(int signal)
{
    (void)signal;
}

static void handle(int signal)
{
    struct sigaction a = {.sa_handler = ignore};
    assert_int_equal(sigaction(signal, &a, NULL), 0);
}

struct runner {
    struct rig *r;
    pthread_t thread;
    int first, second;
    _Atomic bool ready;
    _Atomic bool kicked;
};

static void *run_twice(void *arg)
{
    struct runner *t = arg;
    struct mshv_run_vp m;
    t->first = request(t->r, t->r->vp, MSHV_RUN_VP, &m);
    atomic_store(&t->ready, true);
    while (!atomic_load(&t->kicked))
        sched_yield();
    t->second = request(t->r, t->r->vp, MSHV_RUN_VP, &m);
    return NULL;
}

static void start(struct runner *t, struct rig *r)
{
    *t = (struct runner){.r = r, .first = 1, .second = 1};
    assert_int_equal(pthread_create(&t->thread, NULL, run_twice, t), 0);
    while (!atomic_load(&t->ready))
        sched_yield();
}

static void finish(struct runner *t)
{
    atomic_store(&t->kicked, true);
    assert_int_equal(pthread_join(t->thread, NULL), 0);
}

static void a_threads_first_run_returns_eintr(void **state)
{
    struct rig r;
    struct runner t;
    (void)state;
    handle(KICK);
    open_vp(&r, KICK_MASK, out_forever, sizeof(out_forever));
    start(&t, &r);
    finish(&t);
    assert_int_equal(t.first, -EINTR);
    assert_int_equal(t.second, 0);
    rig_close(&r);
}

/* The VP halts for ever: only the kick can end the second run. */
static void a_kick_before_the_run_ends_it(void **state)
{
    struct rig r;
    struct runner t;
    (void)state;
    handle(KICK);
    open_vp(&r, KICK_MASK, hlt_forever, sizeof(hlt_forever));
    start(&t, &r);
    assert_int_equal(pthread_kill(t.thread, KICK), 0);
    finish(&t);
    assert_int_equal(t.second, -EINTR);
    rig_close(&r);
}

/* Sent again until it is answered, as it may come at any time: the run has a handler to run each time. */
static void a_kick_during_the_run_ends_it(void **state)
{
    static const uint8_t spin[] = {0xeb, 0xfe};
    struct rig r;
    struct runner t;
    (void)state;
    handle(KICK);
    open_vp(&r, KICK_MASK, spin, sizeof(spin));
    start(&t, &r);
    atomic_store(&t.kicked, true);
    assert_int_equal(pthread_kill(t.thread, KICK), 0);
    finish(&t);
    assert_int_equal(t.second, -EINTR);
    rig_close(&r);
}

/* Another follows, and only one: as a client's handler that kicks its thread unless a kick is under way. */
static void raise_another(int signal)
{
    handle(signal);
    (void)raise(signal);
}

static void what_a_handler_raises_ends_with_the_same_run(void **state)
{
    const struct sigaction a = {.sa_handler = raise_another};
    struct rig r;
    struct mshv_run_vp m;
    sigset_t before, pending;
    (void)state;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    open_vp(&r, KICK_MASK, out_forever, sizeof(out_forever));
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), -EINTR);
    assert_int_equal(sigaction(KICK, &a, NULL), 0);
    assert_int_equal(raise(KICK), 0);
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), -EINTR);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, KICK), 0);
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), 0);
    rig_close(&r);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0); /* which threads to come inherit */
}

/* With no signal to hold, the first run is as good as any; any handled signal ends it. */
static void without_kicks_the_first_run_runs(void **state)
{
    struct rig r;
    struct mshv_run_vp m;
    (void)state;
    open_vp(&r, 0, out_forever, sizeof(out_forever));
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), 0);
    rig_close(&r);
}

static void a_signal_the_client_blocks_stays_pending(void **state)
{
    struct rig r;
    struct mshv_run_vp m;
    sigset_t set, before, pending;
    (void)state;
    handle(SIGUSR2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    open_vp(&r, 0, out_forever, sizeof(out_forever));
    assert_int_equal(pthread_kill(pthread_self(), SIGUSR2), 0);
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGUSR2), 1);
    rig_close(&r);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

/* A handler that closes a descriptor of ours must not meet a lock that its own thread holds. */
static void handlers_do_not_run_inside_of_a_run(void **state)
{
    struct rig r;
    struct mshv_run_vp m;
    sigset_t mask;
    (void)state;
    open_vp(&r, 0, out_forever, sizeof(out_forever));
    r.run_blocks = 0;
    assert_int_equal(request(&r, r.vp, MSHV_RUN_VP, &m), 0);
    assert_int_equal(r.run_blocks, 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGUSR2), 0);
    rig_close(&r);
}

/* ---- Requests meeting a run ---- */

/* A register is read through the partition while the VP spins; its RAX counts, so it is seen to go on. */
static void the_partition_reaches_a_running_vp(void **state)
{
    static const uint8_t counting[] = {0x66, 0x40, 0xeb, 0xfc}; /* inc eax; jmp */
    struct rig r;
    struct runner t;
    struct {
        struct hv_input_vp_registers head;
        uint32_t name;
    } in = {.name = HV_X64_REGISTER_RAX};
    union hv_register_value first = {.reg64 = 0}, later = {.reg64 = 0};
    struct mshv_root_hvcall a = {.code = HVCALL_GET_VP_REGISTERS,
                                 .reps = 1,
                                 .in_sz = sizeof(in),
                                 .out_sz = sizeof(first),
                                 .in_ptr = (uintptr_t)&in,
                                 .out_ptr = (uintptr_t)&first};
    (void)state;
    handle(KICK);
    open_vp(&r, KICK_MASK, counting, sizeof(counting));
    start(&t, &r);
    atomic_store(&t.kicked, true);
    while (first.reg64 == 0) {
        assert_int_equal(request(&r, r.partition, MSHV_ROOT_HVCALL, &a), 0);
        a.status = 0;
        a.reps = 1;
    }
    a.out_ptr = (uintptr_t)&later;
    do {
        assert_int_equal(request(&r, r.partition, MSHV_ROOT_HVCALL, &a), 0);
        a.status = 0;
        a.reps = 1;
    } while (later.reg64 == first.reg64);
    assert_int_equal(pthread_kill(t.thread, KICK), 0);
    finish(&t);
    assert_int_equal(t.second, -EINTR);
    rig_close(&r);
}

static void closing_a_running_vp_lets_it_run(void **state)
{
    struct rig r;
    struct runner t;
    (void)state;
    handle(KICK);
    open_vp(&r, KICK_MASK, hlt_forever, sizeof(hlt_forever));
    int copy = dup(r.vp);
    start(&t, &r);
    atomic_store(&t.kicked, true);
    close_if(&r, copy);
    close_if(&r, r.partition);
    assert_int_equal(pthread_kill(t.thread, KICK), 0);
    finish(&t);
    assert_int_equal(t.second, -EINTR);
    r.partition = -1;
    rig_close(&r);
}

static void a_mapping_of_more_pages_than_a_process_may_have_is_refused(void **state)
{
    struct rig r;
    void *at = &r;
    (void)state;
    open_vp(&r, 0, hlt_forever, sizeof(hlt_forever));
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, 1024 * PAGE + 1, PROT_READ, MAP_SHARED, 0, &at), -ENOMEM);
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, SIZE_MAX, PROT_READ, MAP_SHARED, 0, &at), -ENOMEM);
    assert_ptr_equal(at, &r);
    assert_int_equal(softhv_mmap(r.s, r.vp, NULL, 1024 * PAGE, PROT_READ, MAP_SHARED, 0, &at), 0);
    munmap(at, 1024 * PAGE);
    rig_close(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_descriptor_is_not_owned),
        cmocka_unit_test(another_socket_is_not_owned),
        cmocka_unit_test(close_on_exec_follows_the_flag),
        cmocka_unit_test(descriptors_are_ready_for_reading_and_writing),
        cmocka_unit_test(requests_reach_the_object_through_a_duplicate),
        cmocka_unit_test(a_child_gets_eio),
        cmocka_unit_test(the_last_duplicate_closes_the_object),
        cmocka_unit_test(a_vp_keeps_its_partition_running),
        cmocka_unit_test(a_closed_vp_keeps_its_index),
        cmocka_unit_test(a_descriptor_in_a_message_keeps_the_object),
        cmocka_unit_test(freeing_the_instance_takes_what_is_left),
        cmocka_unit_test(the_register_page_can_be_mapped),
        cmocka_unit_test(a_mapping_outlives_the_partition),
        cmocka_unit_test(pages_that_do_not_exist_cannot_be_mapped),
        cmocka_unit_test(every_page_of_a_longer_mapping_is_the_same),
        cmocka_unit_test(a_mapping_of_more_pages_than_a_process_may_have_is_refused),
        cmocka_unit_test(a_threads_first_run_returns_eintr),
        cmocka_unit_test(a_kick_before_the_run_ends_it),
        cmocka_unit_test(a_kick_during_the_run_ends_it),
        cmocka_unit_test(what_a_handler_raises_ends_with_the_same_run),
        cmocka_unit_test(without_kicks_the_first_run_runs),
        cmocka_unit_test(a_signal_the_client_blocks_stays_pending),
        cmocka_unit_test(handlers_do_not_run_inside_of_a_run),
        cmocka_unit_test(the_partition_reaches_a_running_vp),
        cmocka_unit_test(closing_a_running_vp_lets_it_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
