/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: several threads. Who waits for whom, and what may be done while a VP runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/lib/abi_rig.h"

#define PAGE    MSHV_HV_PAGE_SIZE
#define COUNTER ABI_DATA          /* what the busy guest counts in */
#define HANDLED (ABI_DATA + 2)    /* what handlers count in */
#define SHARED  (ABI_DATA + 0x10) /* what VPs count in together */
#define WORKERS 4u

/* inc word [COUNTER]; jmp back, with interrupts; the handlers of ABI_VECTOR and NMI count in HANDLED. */
static void busy(struct abi *a, struct abi_vm *vm)
{
    abi_vm_init(a, vm);
    ABI_PUT(vm, ABI_CODE, 0xfb, 0xff, 0x06, 0x00, 0x90, 0xeb, 0xfa); /* sti; inc word [0x9000]; jmp back */
    ABI_PUT(vm, ABI_HANDLER, 0xff, 0x06, 0x02, 0x90,                 /* inc word [0x9002] */
            0x50, 0x51, 0x52,                                        /* push ax, cx, dx */
            0x66, 0xb9, 0x70, 0x00, 0x00, 0x40,                      /* mov ecx, 0x40000070: EOI */
            0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30,          /* xor eax, eax; xor edx, edx; wrmsr */
            0x5a, 0x59, 0x58, 0xcf);                                 /* pop dx, cx, ax; iret */
    ABI_PUT(vm, ABI_HANDLER + 0x40, 0xff, 0x06, 0x02, 0x90, 0xcf);   /* inc word [0x9002]; iret */
    abi_vm_set_vector(vm, ABI_VECTOR, ABI_HANDLER);
    abi_vm_set_vector(vm, 2, ABI_HANDLER + 0x40);
}

static void fire(struct abi_vm *vm, uint64_t type, uint64_t dest)
{
    const struct hv_input_assert_virtual_interrupt in = {.control = type, .dest_addr = dest, .vector = ABI_VECTOR};
    assert_int_equal(abi_status(vm->a, vm->partition, HVCALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in)),
                     HV_STATUS_SUCCESS);
}

/* ---- One VP, two threads ---- */

static void a_second_run_waits_for_the_first(struct abi *a)
{
    struct abi_vm vm;
    busy(a, &vm);
    struct abi_runner *one = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, COUNTER, 2);
    struct abi_runner *two = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, COUNTER, 3);
    assert_false(atomic_load(&two->done));
    assert_int_equal(abi_runner_kick(one, NULL), -EINTR);
    abi_vm_await_times(&vm, COUNTER, 2); /* now the second one has it */
    assert_int_equal(abi_runner_kick(two, NULL), -EINTR);
    abi_vm_fini(&vm);
}

/* A request on a descriptor from a thread of its own. */
struct asker {
    pthread_t thread;
    struct abi *a;
    int fd, result;
    uint32_t request;
    void *argument;
    atomic_bool begun, done;
};

static void *asker_main(void *arg)
{
    struct asker *k = arg;
    atomic_store(&k->begun, true);
    k->result = abi_ioctl(k->a, k->fd, k->request, (uintptr_t)k->argument);
    atomic_store(&k->done, true);
    return NULL;
}

static void ask(struct asker *k)
{
    assert_int_equal(pthread_create(&k->thread, NULL, asker_main, k), 0);
    while (!atomic_load(&k->begun))
        sched_yield();
}

/* Every request on a VP takes its lock, MSHV_RUN_VP too. */
static void requests_on_a_running_vp_wait(struct abi *a)
{
    const struct {
        struct hv_input_vp_registers head;
        uint32_t name, more;
    } in = {.name = HV_X64_REGISTER_RIP};
    uint64_t value[2] = {0};
    struct mshv_root_hvcall call = {.code = HVCALL_GET_VP_REGISTERS,
                                    .reps = 1,
                                    .in_sz = 20,
                                    .out_sz = 16,
                                    .in_ptr = (uintptr_t)&in,
                                    .out_ptr = (uintptr_t)value};
    uint8_t *page = abi_pages(PAGE);
    struct mshv_get_set_vp_state state = {.type = MSHV_VP_STATE_LAPIC, .buf_sz = PAGE, .buf_ptr = (uintptr_t)page};
    struct abi_vm vm;
    busy(a, &vm);
    struct asker askers[] = {{.a = a, .fd = vm.vp, .request = MSHV_ROOT_HVCALL, .argument = &call},
                             {.a = a, .fd = vm.vp, .request = MSHV_GET_VP_STATE, .argument = &state}};
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, COUNTER, 2);
    for (size_t i = 0; i < ABI_COUNT(askers); i++)
        ask(&askers[i]);
    abi_vm_await_times(&vm, COUNTER, 5);
    for (size_t i = 0; i < ABI_COUNT(askers); i++)
        assert_false(atomic_load(&askers[i].done));
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    for (size_t i = 0; i < ABI_COUNT(askers); i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].result, 0);
    }
    assert_in_range(value[0], ABI_CODE, ABI_CODE + 6);
    abi_vm_fini(&vm);
    abi_pages_free(page, PAGE);
}

/* The driver itself reads a running VP's suspension this way. */
static void a_running_vp_can_be_asked_on_the_partition(struct abi *a)
{
    struct abi_vm vm;
    busy(a, &vm);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, COUNTER, 2);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(abi_get64(a, vm.partition, 0, HV_REGISTER_INTERCEPT_SUSPEND), 0);
        uint64_t rip = abi_get64(a, vm.partition, 0, HV_X64_REGISTER_RIP);
        (void)abi_uncertain(a, "RIP of a running VP can be read", rip >= ABI_CODE && rip <= ABI_CODE + 6, true);
    }
    assert_false(atomic_load(&r->done));
    abi_vm_await_times(&vm, COUNTER, 2);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
}

/* ---- What reaches a VP that runs ---- */

static void interrupts_reach_a_running_vp(struct abi *a)
{
    struct abi_vm vm;
    busy(a, &vm);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    for (uint32_t i = 0; i < 20; i++) {
        fire(&vm, i % 2 == 0 ? HV_X64_INTERRUPT_TYPE_FIXED : HV_X64_INTERRUPT_TYPE_NMI, 0);
        assert_int_equal(abi_vm_await(&vm, HANDLED, i), i + 1);
    }
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
}

static void interrupts_wake_a_halted_vp(struct abi *a)
{
    struct abi_vm vm;
    busy(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xfb, 0xf4, 0xeb, 0xf8); /* inc word [0x9000]; sti; hlt; back */
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(abi_vm_await(&vm, COUNTER, i), i + 1);
        fire(&vm, i % 2 == 0 ? HV_X64_INTERRUPT_TYPE_FIXED : HV_X64_INTERRUPT_TYPE_NMI, 0);
    }
    assert_int_equal(abi_vm_await(&vm, COUNTER, 20), 21);
    assert_int_equal(abi_vm_word(&vm, HANDLED), 20);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
}

static void eventfds_wake_a_halted_vp(struct abi *a)
{
    const struct mshv_user_irq_table head = {.nr = 1};
    const struct mshv_user_irq_entry entry = {.gsi = 5, .address_lo = ABI_APIC_BASE, .data = ABI_VECTOR};
    uint8_t routes[sizeof(head) + sizeof(entry)];
    memcpy(routes, &head, sizeof(head));
    memcpy(routes + sizeof(head), &entry, sizeof(entry));
    const uint64_t one = 1;
    struct abi_vm vm;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    struct mshv_user_irqfd irqfd = {.fd = fd, .gsi = 5};
    busy(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xfb, 0xf4, 0xeb, 0xf8);
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_MSI_ROUTING, routes), 0);
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_IRQFD, &irqfd), 0);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(abi_vm_await(&vm, COUNTER, i), i + 1);
        assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
    }
    assert_int_equal(abi_vm_await(&vm, COUNTER, 20), 21);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
    close(fd);
}

static void memory_changes_under_a_running_vp(struct abi *a)
{
    struct abi_vm vm;
    uint8_t *m = abi_pages(PAGE);
    busy(a, &vm);
    struct mshv_user_mem_region x = {.size = PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)m};
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, COUNTER, 2);
    for (unsigned i = 0; i < 100; i++) {
        x.flags = 3;
        assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &x), 0);
        x.flags = 1u << MSHV_SET_MEM_BIT_UNMAP;
        assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &x), 0);
    }
    abi_vm_await_times(&vm, COUNTER, 2);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
    abi_pages_free(m, PAGE);
}

/* The page under a running guest's counter is taken away: it stops with a message, and nobody writes there any more. */
static void memory_taken_away_stops_a_running_vp(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    uint8_t *p = abi_pages(PAGE);
    busy(a, &vm);
    struct mshv_user_mem_region x = {.size = PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)p, .flags = 3};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &x), 0);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000 - ABI_DATA);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    while (__atomic_load_n((uint16_t *)(void *)p, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    x.flags = 1u << MSHV_SET_MEM_BIT_UNMAP;
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &x), 0);
    abi_pages_free(p, PAGE); /* at once, as clients do */
    assert_int_equal(abi_runner_join(r, &m), 0);
    assert_true(m.header.message_type == HVMSG_UNMAPPED_GPA || m.header.message_type == HVMSG_GPA_INTERCEPT);
    abi_vm_fini(&vm);
}

static void many_kicks_end_many_runs(struct abi *a)
{
    struct abi_vm vm;
    busy(a, &vm);
    for (unsigned i = 0; i < 100; i++) {
        struct abi_runner *r = abi_runner_start(a, vm.vp);
        assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    }
    abi_vm_fini(&vm);
}

/* ---- Which signals end a run ---- */

/* inc word [COUNTER]; cmp word [COUNTER + 4], 0; je back; out 0x80, al: it runs until it is told. */
static void busy_until_told(struct abi *a, struct abi_vm *vm)
{
    abi_vm_init(a, vm);
    ABI_PUT(vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0x83, 0x3e, 0x04, 0x90, 0x00, 0x74, 0xf5, 0xe6, 0x80);
}

static void expect_undisturbed(struct abi_vm *vm, struct abi_runner *r, int number)
{
    struct hv_message m;
    abi_vm_await_times(vm, COUNTER, 2);
    atomic_store(&r->stop, true); /* an EINTR would end it */
    assert_int_equal(pthread_kill(r->thread, number), 0);
    abi_vm_await_times(vm, COUNTER, 5);
    assert_false(atomic_load(&r->done));
    ABI_PUT(vm, COUNTER + 4, 1);
    assert_int_equal(abi_runner_join(r, &m), 0);
    assert_int_equal(m.header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
}

static void a_blocked_signal_does_not(struct abi *a)
{
    struct abi_vm vm;
    sigset_t blocked, before;
    busy_until_told(a, &vm);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    struct abi_runner *r = abi_runner_start(a, vm.vp); /* inherits the mask */
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    expect_undisturbed(&vm, r, SIGUSR1);
    abi_vm_fini(&vm);
}

static void an_ignored_signal_does_not(struct abi *a)
{
    struct abi_vm vm;
    busy_until_told(a, &vm);
    expect_undisturbed(&vm, abi_runner_start(a, vm.vp), SIGWINCH);
    abi_vm_fini(&vm);
}

static void on_signal(int number)
{
    (void)number;
}

/* SA_RESTART makes no difference. */
static void a_handler_that_restarts_does(struct abi *a)
{
    const struct sigaction restarting = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct abi_vm vm;
    busy(a, &vm);
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    assert_int_equal(sigaction(SIGUSR1, &restarting, NULL), 0);
    abi_vm_await_times(&vm, COUNTER, 2);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    abi_vm_fini(&vm);
}

/* ---- Several VPs ---- */

/* Each adds with a locked instruction: none may be lost. */
static void vps_share_memory(struct abi *a)
{
    enum { VPS = 4, EACH = 16000 };
    struct abi_runner *r[VPS];
    int fd[VPS];
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE1, 0xb9, EACH & 0xff, EACH >> 8, /* mov cx, EACH */
            0xf0, 0xff, 0x06, 0x10, 0x90,                 /* lock inc word [SHARED] */
            0x49, 0x75, 0xf8,                             /* dec cx; jnz back */
            0xe6, 0x85);                                  /* out 0x85, al */
    for (uint32_t i = 0; i < VPS; i++)
        fd[i] = abi_vm_add(&vm, i + 1);
    for (uint32_t i = 0; i < VPS; i++)
        r[i] = abi_runner_start(a, fd[i]);
    for (uint32_t i = 0; i < VPS; i++) {
        assert_int_equal(abi_runner_join(r[i], &m), 0);
        assert_int_equal(m.header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
        assert_int_equal(((const struct hv_x64_io_port_intercept_message *)(const void *)m.payload)->header.vp_index,
                         i + 1);
        abi_close(a, fd[i]);
    }
    assert_int_equal(abi_vm_word(&vm, SHARED), VPS * EACH);
    abi_vm_fini(&vm);
}

static void a_vp_starts_another(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    int other = abi_new_vp(a, vm.partition, 1);
    ABI_PUT(&vm, ABI_CODE, 0x66, 0xc7, 0x06, 0x10, 0x03, 0, 0, 0, 1, /* mov dword [0x310], 1 << 24 */
            0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0, 0,          /* mov dword [0x300], INIT */
            0x66, 0xc7, 0x06, 0x00, 0x03, 0x03, 0x46, 0, 0,          /* mov dword [0x300], SIPI at ABI_CODE1 */
            0xfa, 0xf4);                                             /* cli; hlt */
    ABI_PUT(&vm, ABI_CODE1, 0xe6, 0x84);                             /* out 0x84, al */
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, ABI_APIC_BASE);
    struct abi_runner *second = abi_runner_start(a, other), *first = abi_runner_start(a, vm.vp);
    assert_int_equal(abi_runner_join(second, &m), 0);
    const struct hv_x64_io_port_intercept_message *io = (const void *)m.payload;
    assert_int_equal(m.header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
    assert_int_equal(io->port_number, 0x84);
    assert_int_equal(io->header.cs_segment.selector, ABI_CODE1 >> 4);
    assert_int_equal(abi_runner_kick(first, NULL), -EINTR);
    abi_close(a, other);
    abi_vm_fini(&vm);
}

/* ---- Requests from many threads ---- */

struct worker {
    pthread_t thread;
    struct abi *a;
    const struct abi_vm *vm;
    uint8_t *memory; /* pages, one for each worker, or NULL */
    uint32_t number;
    unsigned made, refused, failed;
};

static void run_workers(struct abi *a, const struct abi_vm *vm, uint8_t *memory, void *(*work)(void *),
                        struct worker *w)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        w[i] = (struct worker){.a = a, .vm = vm, .memory = memory, .number = i};
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
}

static void *create_vps(void *arg)
{
    struct worker *w = arg;
    for (uint32_t i = 1; i < 33; i++) {
        struct mshv_create_vp c = {.vp_index = i};
        int fd = ABI_IOCTL(w->a, w->vm->partition, MSHV_CREATE_VP, &c);
        w->made += fd >= 0;
        w->refused += fd == -EEXIST;
        if (fd >= 0)
            (void)mshv_port_close(&w->a->port, fd);
    }
    return NULL;
}

static void each_index_is_created_once(struct abi *a)
{
    struct worker w[WORKERS];
    struct abi_vm vm;
    unsigned made = 0, refused = 0;
    abi_vm_init(a, &vm);
    run_workers(a, &vm, NULL, create_vps, w);
    for (size_t i = 0; i < WORKERS; i++) {
        made += w[i].made;
        refused += w[i].refused;
    }
    assert_int_equal(made, 32);
    assert_int_equal(refused, (WORKERS - 1) * 32);
    abi_vm_fini(&vm);
}

static void *map_and_unmap(void *arg)
{
    struct worker *w = arg;
    struct mshv_user_mem_region x = {
        .size = PAGE, .guest_pfn = 0x1000 + w->number, .userspace_addr = (uintptr_t)w->memory + w->number * PAGE};
    for (unsigned i = 0; i < 100; i++) {
        x.flags = 3;
        w->failed += ABI_IOCTL(w->a, w->vm->partition, MSHV_SET_GUEST_MEMORY, &x) != 0;
        x.flags = 1u << MSHV_SET_MEM_BIT_UNMAP;
        w->failed += ABI_IOCTL(w->a, w->vm->partition, MSHV_SET_GUEST_MEMORY, &x) != 0;
    }
    return NULL;
}

static void regions_change_from_many_threads(struct abi *a)
{
    struct worker w[WORKERS];
    uint8_t *m = abi_pages(WORKERS * PAGE);
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    run_workers(a, &vm, m, map_and_unmap, w);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(w[i].failed, 0);
    abi_vm_fini(&vm);
    abi_pages_free(m, WORKERS * PAGE);
}

static void *ask_property(void *arg)
{
    struct worker *w = arg;
    const struct hv_input_get_partition_property in = {.property_code = HV_PARTITION_PROPERTY_PHYSICAL_ADDRESS_WIDTH};
    for (unsigned i = 0; i < 200; i++) {
        uint64_t value = 0;
        struct mshv_root_hvcall c = {.code = HVCALL_GET_PARTITION_PROPERTY,
                                     .in_sz = sizeof(in),
                                     .out_sz = sizeof(value),
                                     .in_ptr = (uintptr_t)&in,
                                     .out_ptr = (uintptr_t)&value};
        int fd = i % 2 == 0 ? w->vm->partition : w->vm->vp;
        w->failed += ABI_IOCTL(w->a, fd, MSHV_ROOT_HVCALL, &c) != 0 || value < 32 || value > 52;
    }
    return NULL;
}

static void hypercalls_come_from_many_threads(struct abi *a)
{
    struct worker w[WORKERS];
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    run_workers(a, &vm, NULL, ask_property, w);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(w[i].failed, 0);
    abi_vm_fini(&vm);
}

static void *make_partitions(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < 20; i++) {
        struct mshv_create_partition c = {.pt_flags = ABI_FLAGS};
        struct mshv_create_vp v = {.vp_index = i};
        int fd = ABI_IOCTL(w->a, w->a->device, MSHV_CREATE_PARTITION, &c);
        bool good = fd >= 0 && ABI_IOCTL(w->a, fd, MSHV_INITIALIZE_PARTITION, NULL) == 0;
        int vp = good ? ABI_IOCTL(w->a, fd, MSHV_CREATE_VP, &v) : -1;
        w->failed += vp < 0 || mshv_port_close(&w->a->port, fd) != 0 || mshv_port_close(&w->a->port, vp) != 0;
    }
    return NULL;
}

static void partitions_come_and_go_in_many_threads(struct abi *a)
{
    struct worker w[WORKERS];
    run_workers(a, NULL, NULL, make_partitions, w);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(w[i].failed, 0);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(a_second_run_waits_for_the_first),
        ABI_CASE(requests_on_a_running_vp_wait),
        ABI_CASE(a_running_vp_can_be_asked_on_the_partition),
        ABI_CASE(interrupts_reach_a_running_vp),
        ABI_CASE(interrupts_wake_a_halted_vp),
        ABI_CASE(eventfds_wake_a_halted_vp),
        ABI_CASE(memory_changes_under_a_running_vp),
        ABI_CASE(memory_taken_away_stops_a_running_vp),
        ABI_CASE(many_kicks_end_many_runs),
        ABI_CASE(a_blocked_signal_does_not),
        ABI_CASE(an_ignored_signal_does_not),
        ABI_CASE(a_handler_that_restarts_does),
        ABI_CASE(vps_share_memory),
        ABI_CASE(a_vp_starts_another),
        ABI_CASE(each_index_is_created_once),
        ABI_CASE(regions_change_from_many_threads),
        ABI_CASE(hypercalls_come_from_many_threads),
        ABI_CASE(partitions_come_and_go_in_many_threads),
    };
    return ABI_MAIN(cases);
}
