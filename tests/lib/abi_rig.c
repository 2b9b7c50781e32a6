/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/abi_rig.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE         MSHV_HV_PAGE_SIZE
#define EAGAIN_TRIES 4096
#define KICK         SIGUSR1

/* ---- Requests ---- */

int abi_ioctl(struct abi *a, int fd, uint32_t request, uintptr_t argument)
{
    return mshv_port_ioctl(&a->port, fd, request, (void *)argument);
}

int abi_open(struct abi *a)
{
    int fd = mshv_port_open(&a->port);
    assert_true(fd >= 0);
    return fd;
}

int abi_new_partition(struct abi *a, uint64_t flags)
{
    struct mshv_create_partition c = {.pt_flags = flags};
    int fd = ABI_IOCTL(a, a->device, MSHV_CREATE_PARTITION, &c);
    assert_true(fd >= 0);
    return fd;
}

void abi_initialize(struct abi *a, int partition)
{
    assert_int_equal(ABI_IOCTL(a, partition, MSHV_INITIALIZE_PARTITION, NULL), 0);
}

int abi_new_vp(struct abi *a, int partition, uint32_t index)
{
    struct mshv_create_vp c = {.vp_index = index};
    int fd = ABI_IOCTL(a, partition, MSHV_CREATE_VP, &c);
    assert_true(fd >= 0);
    return fd;
}

void abi_close(struct abi *a, int fd)
{
    assert_int_equal(mshv_port_close(&a->port, fd), 0);
}

#define REQUEST(dir, number, bytes) MSHV_REQUEST((uint32_t)(dir), (uint32_t)(number), bytes)

const struct abi_request abi_requests[] = {
    {"CREATE_PARTITION", MSHV_CREATE_PARTITION, ABI_ON_DEVICE},
    {"ROOT_HVCALL", MSHV_ROOT_HVCALL, ABI_ON_DEVICE | ABI_ON_PARTITION | ABI_ON_VP},
    {"INITIALIZE_PARTITION", MSHV_INITIALIZE_PARTITION, ABI_ON_PARTITION},
    {"CREATE_VP", MSHV_CREATE_VP, ABI_ON_PARTITION},
    {"SET_GUEST_MEMORY", MSHV_SET_GUEST_MEMORY, ABI_ON_PARTITION},
    {"IRQFD", MSHV_IRQFD, ABI_ON_PARTITION},
    {"IOEVENTFD", MSHV_IOEVENTFD, ABI_ON_PARTITION},
    {"SET_MSI_ROUTING", MSHV_SET_MSI_ROUTING, ABI_ON_PARTITION},
    {"GET_GPAP_ACCESS_BITMAP", MSHV_GET_GPAP_ACCESS_BITMAP, ABI_ON_PARTITION},
    {"RUN_VP", MSHV_RUN_VP, ABI_ON_VP},
    {"GET_VP_STATE", MSHV_GET_VP_STATE, ABI_ON_VP},
    {"SET_VP_STATE", MSHV_SET_VP_STATE, ABI_ON_VP},
    /* Of kernels outside the mainline; GET_HOST_PARTITION_PROPERTY has the number of GET_VP_STATE. */
    {"CREATE_DEVICE", REQUEST(3, 0x08, 12), 0},
    {"MODIFY_GPA_HOST_ACCESS", REQUEST(1, 0x09, 16), 0},
    {"IMPORT_ISOLATED_PAGES", REQUEST(1, 0x0a, 16), 0},
    {"INSTALL_INTERCEPT", REQUEST(1, 0xf0, 16), 0},
    {"ASSERT_INTERRUPT", REQUEST(1, 0xf1, 24), 0},
    {"SET_PARTITION_PROPERTY", REQUEST(1, 0xf2, 16), 0},
    {"GET_PARTITION_PROPERTY", REQUEST(3, 0xf3, 16), 0},
    {"COMPLETE_ISOLATED_IMPORT", REQUEST(1, 0xf4, 3334), 0},
    {"ISSUE_PSP_GUEST_REQUEST", REQUEST(1, 0xf5, 16), 0},
    {"SEV_SNP_AP_CREATE", REQUEST(1, 0xf6, 16), 0},
    {"SIGNAL_EVENT_DIRECT", REQUEST(3, 0xf7, 12), 0},
    {"POST_MESSAGE_DIRECT", REQUEST(1, 0xf8, 16), 0},
    {"REGISTER_DELIVERABILITY_NOTIFICATIONS", REQUEST(1, 0xf9, 16), 0},
    {"GET_VP_REGISTERS", REQUEST(3, 0xf0, 16), 0},
    {"SET_VP_REGISTERS", REQUEST(1, 0xf1, 16), 0},
    {"VP_TRANSLATE_GVA", MSHV_LEGACY_VP_TRANSLATE_GVA, 0},
    {"VP_REGISTER_INTERCEPT_RESULT", REQUEST(1, 0xf3, 48), 0},
    {"GET_VP_CPUID_VALUES", REQUEST(3, 0xf4, 40), 0},
    {"READ_GPA", REQUEST(3, 0xf5, 32), 0},
    {"WRITE_GPA", REQUEST(1, 0xf6, 32), 0},
    {"SET_DEVICE_ATTR", REQUEST(1, 0x00, 24), 0},
    {"GET_DEVICE_ATTR", REQUEST(1, 0x01, 24), 0},
    {"HAS_DEVICE_ATTR", REQUEST(1, 0x02, 24), 0},
    /* Of the driver for virtual trust levels. */
    {"CHECK_EXTENSION", REQUEST(1, 0x00, 4), 0},
    {"CREATE_VTL", REQUEST(2, 0x1d, 1), 0},
    /* Of nobody. */
    {"zero", 0, 0},
    {"all ones", UINT32_MAX, 0},
    {"the next free number", REQUEST(0, 0x0b, 0), 0},
    {"KVM's GET_API_VERSION", 0x0000ae00u, 0},
};
const size_t abi_request_count = ABI_COUNT(abi_requests);

static bool known(const struct abi *a, uint32_t request, unsigned kind)
{
    if (request == MSHV_ROOT_HVCALL && kind == ABI_ON_DEVICE && !a->facts->device_hvcall)
        return false;
    for (size_t i = 0; i < abi_request_count; i++)
        if (abi_requests[i].request == request && (abi_requests[i].on & kind) != 0)
            return true;
    return false;
}

static void expect_enotty(struct abi *a, int fd, unsigned kind, const char *name, uint32_t request)
{
    if (known(a, request, kind))
        return;
    int result = ABI_IOCTL(a, fd, request, NULL);
    if (result != -ENOTTY)
        print_error("%s, %#x: %d\n", name, request, result);
    assert_int_equal(result, -ENOTTY);
}

void abi_expect_strangers_refused(struct abi *a, int fd, unsigned kind)
{
    static const uint32_t changes[] = {1u << 16, 8u << 16, 0x2000u << 16, 1u << 30,
                                       2u << 30, 3u << 30, 1u << 8,       1u << 7};
    for (size_t i = 0; i < abi_request_count; i++) {
        const struct abi_request *r = &abi_requests[i];
        expect_enotty(a, fd, kind, r->name, r->request);
        for (size_t k = 0; (r->on & kind) != 0 && k < ABI_COUNT(changes); k++)
            expect_enotty(a, fd, kind, r->name, r->request ^ changes[k]);
    }
}

/* ---- Memory of the client ---- */

uint8_t *abi_pages(size_t bytes)
{
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
    return m;
}

void abi_pages_free(uint8_t *pages, size_t bytes)
{
    assert_int_equal(munmap(pages, bytes), 0);
}

uint8_t *abi_edge(void)
{
    uint8_t *m = abi_pages(2 * PAGE);
    assert_int_equal(mprotect(m + PAGE, PAGE, PROT_NONE), 0);
    return m;
}

void abi_edge_free(uint8_t *edge)
{
    abi_pages_free(edge, 2 * PAGE);
}

void abi_expect_efault(struct abi *a, int fd, uint32_t request)
{
    uint8_t *edge = abi_edge();
    const uintptr_t bad[] = {0,
                             8,
                             ABI_NOWHERE,
                             (uintptr_t)edge + PAGE,
                             (uintptr_t)edge + PAGE - 1,
                             (uintptr_t)UINT64_C(0x7ffffffffff8),
                             (uintptr_t)UINT64_C(0x800000000000),
                             (uintptr_t)UINT64_C(0xffff800000000000),
                             UINTPTR_MAX - 7};
    for (size_t i = 0; i < ABI_COUNT(bad); i++) {
        int result = abi_ioctl(a, fd, request, bad[i]);
        if (result != -EFAULT)
            print_error("argument at %#jx: %d\n", (uintmax_t)bad[i], result);
        assert_int_equal(result, -EFAULT);
    }
    abi_edge_free(edge);
}

/* ---- Hypercalls ---- */

int abi_errno_of(uint16_t status)
{
    static const struct {
        uint16_t status;
        int error;
    } table[] = {
#define HV_STATUS_CODE(name, value, error) {(value), (error)},
#include "vmm/mshv/abi_hvcall.def"
    };
    for (size_t i = 0; i < ABI_COUNT(table); i++)
        if (table[i].status == status)
            return table[i].error;
    return EIO;
}

struct abi_call abi_hvcall(struct abi *a, int fd, uint16_t code, uint16_t reps, const void *in, size_t in_bytes,
                           void *out, size_t out_bytes)
{
    const struct mshv_root_hvcall ask = {.code = code,
                                         .reps = reps,
                                         .in_sz = (uint16_t)in_bytes,
                                         .out_sz = (uint16_t)out_bytes,
                                         .in_ptr = (uintptr_t)in,
                                         .out_ptr = (uintptr_t)out};
    struct mshv_root_hvcall c;
    int result = -EAGAIN;
    for (unsigned i = 0; i < EAGAIN_TRIES && result == -EAGAIN; i++) {
        c = ask;
        result = ABI_IOCTL(a, fd, MSHV_ROOT_HVCALL, &c);
    }
    if (c.status != HV_STATUS_SUCCESS)
        assert_int_equal(result, -abi_errno_of(c.status));
    return (struct abi_call){.result = result, .status = c.status, .reps = c.reps};
}

uint16_t abi_status(struct abi *a, int fd, uint16_t code, const void *in, size_t in_bytes)
{
    struct abi_call c = abi_hvcall(a, fd, code, 0, in, in_bytes, NULL, 0);
    if (c.status == HV_STATUS_SUCCESS)
        assert_int_equal(c.result, 0);
    return c.status;
}

uint16_t abi_set_property(struct abi *a, int fd, uint32_t property, uint64_t value)
{
    const struct hv_input_set_partition_property in = {.property_code = property, .property_value = value};
    return abi_status(a, fd, HVCALL_SET_PARTITION_PROPERTY, &in, sizeof(in));
}

uint16_t abi_get_property(struct abi *a, int fd, uint32_t property, uint64_t *value)
{
    const struct hv_input_get_partition_property in = {.property_code = property};
    struct hv_output_get_partition_property out = {.property_value = 0};
    struct abi_call c = abi_hvcall(a, fd, HVCALL_GET_PARTITION_PROPERTY, 0, &in, sizeof(in), &out, sizeof(out));
    if (c.status == HV_STATUS_SUCCESS) {
        assert_int_equal(c.result, 0);
        *value = out.property_value;
    }
    return c.status;
}

uint16_t abi_set_register(struct abi *a, int fd, uint32_t vp, uint32_t name, union hv_register_value value)
{
    const struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in = {.head = {.vp_index = vp}, .reg = {.name = name, .value = value}};
    struct abi_call c = abi_hvcall(a, fd, HVCALL_SET_VP_REGISTERS, 1, &in, sizeof(in), NULL, 0);
    assert_int_equal(c.reps, c.status == HV_STATUS_SUCCESS);
    assert_int_equal(c.result == 0, c.status == HV_STATUS_SUCCESS);
    return c.status;
}

uint16_t abi_get_register(struct abi *a, int fd, uint32_t vp, uint32_t name, union hv_register_value *value)
{
    const struct {
        struct hv_input_vp_registers head;
        uint32_t name, more;
    } in = {.head = {.vp_index = vp}, .name = name};
    struct abi_call c =
        abi_hvcall(a, fd, HVCALL_GET_VP_REGISTERS, 1, &in, sizeof(in.head) + sizeof(in.name), value, sizeof(*value));
    assert_int_equal(c.reps, c.status == HV_STATUS_SUCCESS);
    assert_int_equal(c.result == 0, c.status == HV_STATUS_SUCCESS);
    return c.status;
}

void abi_set64(struct abi *a, int fd, uint32_t vp, uint32_t name, uint64_t value)
{
    uint16_t status = abi_set_register(a, fd, vp, name, (union hv_register_value){.reg64 = value});
    if (status != HV_STATUS_SUCCESS)
        print_error("register %#x = %#jx: status %#x\n", name, (uintmax_t)value, status);
    assert_int_equal(status, HV_STATUS_SUCCESS);
}

uint64_t abi_get64(struct abi *a, int fd, uint32_t vp, uint32_t name)
{
    union hv_register_value value;
    uint16_t status = abi_get_register(a, fd, vp, name, &value);
    if (status != HV_STATUS_SUCCESS)
        print_error("register %#x: status %#x\n", name, status);
    assert_int_equal(status, HV_STATUS_SUCCESS);
    return value.reg64;
}

void abi_set_segment(struct abi *a, int fd, uint32_t vp, uint32_t name, uint16_t selector, uint64_t base)
{
    uint16_t attributes = name == HV_X64_REGISTER_CS ? 0x9b : 0x93;
    const struct hv_x64_segment_register s = {
        .base = base, .limit = 0xffff, .selector = selector, .attributes = attributes};
    assert_int_equal(abi_set_register(a, fd, vp, name, (union hv_register_value){.segment = s}), HV_STATUS_SUCCESS);
}

/* ---- A partition with a guest ---- */

static void place(struct abi *a, int fd, uint32_t vp, uint64_t rip)
{
    static const uint32_t segments[] = {HV_X64_REGISTER_CS, HV_X64_REGISTER_DS, HV_X64_REGISTER_ES, HV_X64_REGISTER_SS};
    for (size_t i = 0; i < ABI_COUNT(segments); i++)
        abi_set_segment(a, fd, vp, segments[i], 0, 0);
    abi_set64(a, fd, vp, HV_X64_REGISTER_RIP, rip);
    abi_set64(a, fd, vp, HV_X64_REGISTER_RSP, ABI_STACK - vp * 0x100);
    abi_set64(a, fd, vp, HV_X64_REGISTER_RFLAGS, 2);
    abi_set64(a, fd, vp, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
}

void abi_vm_init(struct abi *a, struct abi_vm *vm)
{
    *vm = (struct abi_vm){.a = a, .partition = abi_new_partition(a, ABI_FLAGS), .ram = abi_pages(ABI_RAM_BYTES)};
    assert_int_equal(abi_set_property(a, vm->partition, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, ABI_SYNTHETIC),
                     0);
    abi_initialize(a, vm->partition);
    struct mshv_user_mem_region m = {.size = ABI_RAM_BYTES, .userspace_addr = (uintptr_t)vm->ram, .flags = 3};
    assert_int_equal(ABI_IOCTL(a, vm->partition, MSHV_SET_GUEST_MEMORY, &m), 0);
    vm->vp = abi_new_vp(a, vm->partition, 0);
    place(a, vm->vp, 0, ABI_CODE);
}

int abi_vm_add(struct abi_vm *vm, uint32_t index)
{
    int fd = abi_new_vp(vm->a, vm->partition, index);
    place(vm->a, fd, index, ABI_CODE1);
    abi_set64(vm->a, fd, index, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    return fd;
}

void abi_vm_fini(struct abi_vm *vm)
{
    abi_close(vm->a, vm->vp);
    abi_close(vm->a, vm->partition);
    abi_pages_free(vm->ram, ABI_RAM_BYTES);
}

void abi_vm_set_vector(struct abi_vm *vm, uint8_t vector, uint16_t handler)
{
    ABI_PUT(vm, vector * 4u, (uint8_t)handler, (uint8_t)(handler >> 8), 0, 0);
}

int abi_run_once(struct abi *a, int vp, struct hv_message *m)
{
    int result;
    memset(m, 0xee, sizeof(*m));
    do
        result = ABI_IOCTL(a, vp, MSHV_RUN_VP, m);
    while (result == -EINTR || result == -EAGAIN);
    return result;
}

const void *abi_run(struct abi *a, int vp, uint32_t type, struct hv_message *m)
{
    assert_int_equal(abi_run_once(a, vp, m), 0);
    assert_int_equal(m->header.message_type, type);
    return m->payload;
}

uint64_t abi_run_to_port(struct abi *a, int vp, uint32_t index, uint16_t port)
{
    struct hv_message m;
    const struct hv_x64_io_port_intercept_message *io = abi_run(a, vp, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, port);
    abi_set64(a, vp, index, HV_X64_REGISTER_RIP,
              io->header.rip + (io->header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK));
    return io->rax;
}

/* The guest's stores are plain ones of natural size. */
uint32_t abi_vm_word(const struct abi_vm *vm, uint32_t at)
{
    return __atomic_load_n((const uint16_t *)(const void *)(vm->ram + at), __ATOMIC_ACQUIRE);
}

uint32_t abi_vm_await(const struct abi_vm *vm, uint32_t at, uint32_t old)
{
    uint32_t now;
    while ((now = abi_vm_word(vm, at)) == old)
        sched_yield();
    return now;
}

void abi_vm_await_times(const struct abi_vm *vm, uint32_t at, unsigned times)
{
    uint32_t seen = abi_vm_word(vm, at);
    for (unsigned i = 0; i < times; i++)
        seen = abi_vm_await(vm, at, seen);
}

/* ---- A VP on a thread ---- */

/* Only there so that the signal interrupts. */
static void on_kick(int number)
{
    (void)number;
}

static void *runner_main(void *arg)
{
    struct abi_runner *r = arg;
    atomic_store(&r->begun, true);
    do
        r->result = ABI_IOCTL(r->a, r->fd, MSHV_RUN_VP, &r->message);
    while ((r->result == -EINTR || r->result == -EAGAIN) && !atomic_load(&r->stop));
    atomic_store(&r->done, true);
    return NULL;
}

struct abi_runner *abi_runner_start(struct abi *a, int vp)
{
    struct sigaction action = {.sa_handler = on_kick};
    struct abi_runner *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    assert_int_equal(sigaction(KICK, &action, NULL), 0);
    r->a = a;
    r->fd = vp;
    assert_int_equal(pthread_create(&r->thread, NULL, runner_main, r), 0);
    while (!atomic_load(&r->begun))
        sched_yield();
    return r;
}

int abi_runner_join(struct abi_runner *r, struct hv_message *m)
{
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    int result = r->result;
    if (result == 0 && m != NULL)
        *m = r->message;
    free(r);
    return result;
}

int abi_runner_kick(struct abi_runner *r, struct hv_message *m)
{
    atomic_store(&r->stop, true);
    while (!atomic_load(&r->done)) {
        (void)pthread_kill(r->thread, KICK);
        sched_yield();
    }
    return abi_runner_join(r, m);
}
