/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: how long things live. Closing in any order and while something runs, copies of descriptors, descriptors
 * that travel, exec.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/abi_rig.h"

#define PAGE MSHV_HV_PAGE_SIZE
#define BELL 0x200000u

/* ---- Orders of closing ---- */

/* A partition with a VP that says 0x80 again and again, and a device of its own. */
struct rig {
    struct abi_vm vm;
    int device;
};

enum { DEVICE, PARTITION, VP, KINDS };

static void rig_init(struct abi *a, struct rig *r)
{
    r->device = abi_open(a);
    abi_vm_init(a, &r->vm);
    ABI_PUT(&r->vm, ABI_CODE, 0xe6, 0x80, 0xeb, 0xfc); /* out 0x80, al; jmp back */
}

static int fd_of(const struct rig *r, unsigned kind)
{
    return kind == DEVICE ? r->device : kind == PARTITION ? r->vm.partition : r->vm.vp;
}

static void expect_alive(struct rig *r, bool partition, bool vp)
{
    uint64_t value;
    struct abi *a = r->vm.a;
    if (partition)
        assert_int_equal(abi_get_property(a, r->vm.partition, HV_PARTITION_PROPERTY_PROCESSOR_VENDOR, &value), 0);
    if (vp)
        (void)abi_run_to_port(a, r->vm.vp, 0, 0x80);
}

static void descriptors_close_in_any_order(struct abi *a)
{
    static const unsigned orders[][KINDS] = {{DEVICE, PARTITION, VP}, {DEVICE, VP, PARTITION}, {PARTITION, DEVICE, VP},
                                             {PARTITION, VP, DEVICE}, {VP, DEVICE, PARTITION}, {VP, PARTITION, DEVICE}};
    for (size_t i = 0; i < ABI_COUNT(orders); i++) {
        struct rig r;
        bool open[KINDS] = {true, true, true};
        rig_init(a, &r);
        for (size_t k = 0; k < KINDS; k++) {
            expect_alive(&r, open[PARTITION], open[VP]);
            abi_close(a, fd_of(&r, orders[i][k]));
            open[orders[i][k]] = false;
        }
        abi_pages_free(r.vm.ram, ABI_RAM_BYTES);
    }
}

/* The VP's own descriptor is enough to go on. */
static void a_vp_keeps_its_partition(struct abi *a)
{
    struct abi_vm vm;
    uint64_t value;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xeb, 0xfc);
    abi_close(a, vm.partition);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    assert_int_equal(abi_get_property(a, vm.vp, HV_PARTITION_PROPERTY_PROCESSOR_VENDOR, &value), 0);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    abi_close(a, vm.vp);
    abi_pages_free(vm.ram, ABI_RAM_BYTES);
}

/* Its eventfds go with the partition's descriptor. */
static void doorbells_go_with_the_partitions_descriptor(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    abi_vm_init(a, &vm);
    struct mshv_user_ioeventfd bell = {.addr = BELL + 0x10, .len = 2, .fd = fd};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_IOEVENTFD, &bell), 0);
    ABI_PUT(&vm, ABI_CODE, 0xa3, 0x10, 0x00); /* mov [0x10], ax */
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, BELL);
    abi_close(a, vm.partition);
    (void)abi_run(a, vm.vp, HVMSG_UNMAPPED_GPA, &m);
    abi_close(a, vm.vp);
    abi_pages_free(vm.ram, ABI_RAM_BYTES);
    close(fd);
}

static void a_vp_without_a_descriptor_is_still_there(struct abi *a)
{
    struct mshv_create_vp c = {.vp_index = 1};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    int other = abi_vm_add(&vm, 1);
    abi_close(a, other);
    assert_int_equal(abi_get64(a, vm.partition, 1, HV_X64_REGISTER_RIP), ABI_CODE1);
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_CREATE_VP, &c), -EEXIST);
    abi_vm_fini(&vm);
}

/* ---- Closing while something runs ---- */

static void closing_a_running_vp_does_not_stop_it(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xeb, 0xfa); /* inc word [0x9000]; jmp back */
    int copy = fcntl(vm.vp, F_DUPFD_CLOEXEC, 0);
    assert_true(copy >= 0);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, ABI_DATA, 2);
    abi_close(a, copy);
    abi_close(a, vm.partition);
    abi_vm_await_times(&vm, ABI_DATA, 2);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_close(a, vm.vp);
    abi_pages_free(vm.ram, ABI_RAM_BYTES);
}

/* The request under way holds what it needs. Spurious EINTR is the client's to repeat, so the guest is seen first. */
static void closing_everything_leaves_the_run(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90,    /* inc word [0x9000] */
            0x83, 0x3e, 0x04, 0x90, 0x00, 0x74, 0xf5, /* cmp word [0x9004], 0; je back */
            0xe6, 0x80);                              /* out 0x80, al */
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, ABI_DATA, 2);
    abi_close(a, vm.vp);
    abi_close(a, vm.partition);
    abi_vm_await_times(&vm, ABI_DATA, 2);
    ABI_PUT(&vm, ABI_DATA + 4, 1);
    assert_int_equal(abi_runner_join(r, &m), 0);
    assert_int_equal(m.header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
    abi_pages_free(vm.ram, ABI_RAM_BYTES);
}

/* ---- Copies ---- */

static void a_copy_is_the_same_object(struct abi *a)
{
    struct abi_vm vm;
    uint64_t value;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xeb, 0xfc);
    int partition = fcntl(vm.partition, F_DUPFD_CLOEXEC, 100), vp = fcntl(vm.vp, F_DUPFD_CLOEXEC, 100);
    assert_true(partition >= 100 && vp >= 100);
    abi_set64(a, vp, 0, HV_X64_REGISTER_RBX, 77);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_RBX), 77);
    abi_close(a, vm.partition);
    abi_close(a, vm.vp);
    (void)abi_run_to_port(a, vp, 0, 0x80);
    assert_int_equal(abi_get_property(a, partition, HV_PARTITION_PROPERTY_PROCESSOR_VENDOR, &value), 0);
    vm.partition = partition;
    vm.vp = vp;
    abi_vm_fini(&vm);
}

/* Only the last of them takes the eventfds along. */
static void a_copy_keeps_the_eventfds(struct abi *a)
{
    struct abi_vm vm;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    abi_vm_init(a, &vm);
    struct mshv_user_ioeventfd bell = {.addr = BELL + 0x10, .len = 2, .fd = fd};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_IOEVENTFD, &bell), 0);
    ABI_PUT(&vm, ABI_CODE, 0xa3, 0x10, 0x00, 0xe6, 0x80); /* mov [0x10], ax; out 0x80, al */
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, BELL);
    int copy = fcntl(vm.partition, F_DUPFD_CLOEXEC, 0);
    assert_true(copy >= 0);
    abi_close(a, vm.partition);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    vm.partition = copy;
    abi_vm_fini(&vm);
    close(fd);
}

/* dup2 over a descriptor closes what it was. */
static void a_number_can_become_another_object(struct abi *a)
{
    uint64_t value;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    int spare = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(dup3(vm.partition, spare, O_CLOEXEC), spare);
    assert_int_equal(abi_get_property(a, spare, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, &value), 0);
    assert_int_not_equal(value, 0); /* it is the first one now */
    abi_close(a, spare);
    abi_vm_fini(&vm);
}

/* ---- Travelling ---- */

static void send_fd(int socket, int fd)
{
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec io = {&byte, 1};
    struct msghdr h = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    assert_int_equal(sendmsg(socket, &h, 0), 1);
}

static int receive_fd(int socket)
{
    char byte, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec io = {&byte, 1};
    struct msghdr h = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    int fd;
    assert_int_equal(recvmsg(socket, &h, MSG_CMSG_CLOEXEC), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(fd));
    return fd;
}

/* Closed here while they are under way: what is in a socket is as good as open. */
static void descriptors_can_be_sent(struct abi *a)
{
    int sockets[2];
    struct abi_vm vm;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xeb, 0xfc);
    send_fd(sockets[0], vm.partition);
    send_fd(sockets[0], vm.vp);
    abi_close(a, vm.partition);
    abi_close(a, vm.vp);
    vm.partition = receive_fd(sockets[1]);
    vm.vp = receive_fd(sockets[1]);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RAX, 0x5a);
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, 0x5a);
    abi_close(a, abi_new_vp(a, vm.partition, 1));
    abi_vm_fini(&vm);
    close(sockets[0]);
    close(sockets[1]);
}

static void the_device_can_be_sent(struct abi *a)
{
    int sockets[2], fd = abi_open(a);
    struct mshv_create_partition c = {.pt_flags = ABI_FLAGS};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    send_fd(sockets[0], fd);
    abi_close(a, fd);
    fd = receive_fd(sockets[1]);
    int partition = ABI_IOCTL(a, fd, MSHV_CREATE_PARTITION, &c);
    assert_true(partition >= 0);
    abi_close(a, partition);
    abi_close(a, fd);
    close(sockets[0]);
    close(sockets[1]);
}

/* The driver has no poll: such files are always ready for both. */
static void descriptors_are_always_ready(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct pollfd fds[] = {{.fd = a->device, .events = POLLIN | POLLOUT},
                           {.fd = vm.partition, .events = POLLIN | POLLOUT},
                           {.fd = vm.vp, .events = POLLIN | POLLOUT}};
    assert_int_equal(poll(fds, ABI_COUNT(fds), 0), ABI_COUNT(fds));
    for (size_t i = 0; i < ABI_COUNT(fds); i++)
        assert_int_equal(fds[i].revents, POLLIN | POLLOUT);
    abi_vm_fini(&vm);
}

/* Of the descriptors here none is open in a program that was executed. */
static void an_executed_program_has_none(struct abi *a)
{
    char script[160];
    int status = -1;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    (void)snprintf(script, sizeof(script), "for n in %d %d %d; do [ ! -e /proc/self/fd/$n ] || exit 1; done", a->device,
                   vm.partition, vm.vp);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    abi_vm_fini(&vm);
}

/* Many lives one after another: nothing is used up. */
static void machines_come_and_go(struct abi *a)
{
    int lowest = -1;
    for (unsigned i = 0; i < 40; i++) {
        struct abi_vm vm;
        abi_vm_init(a, &vm);
        ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
        (void)abi_run_to_port(a, vm.vp, 0, 0x80);
        if (i == 0)
            lowest = vm.partition;
        assert_int_equal(vm.partition, lowest); /* no descriptor was left behind */
        abi_vm_fini(&vm);
    }
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(descriptors_close_in_any_order),
        ABI_CASE(a_vp_keeps_its_partition),
        ABI_CASE(doorbells_go_with_the_partitions_descriptor),
        ABI_CASE(a_vp_without_a_descriptor_is_still_there),
        ABI_CASE(closing_a_running_vp_does_not_stop_it),
        ABI_CASE(closing_everything_leaves_the_run),
        ABI_CASE(a_copy_is_the_same_object),
        ABI_CASE(a_copy_keeps_the_eventfds),
        ABI_CASE(a_number_can_become_another_object),
        ABI_CASE(descriptors_can_be_sent),
        ABI_CASE(the_device_can_be_sent),
        ABI_CASE(descriptors_are_always_ready),
        ABI_CASE(an_executed_program_has_none),
        ABI_CASE(machines_come_and_go),
    };
    return ABI_MAIN(cases);
}
