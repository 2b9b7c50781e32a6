/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_RUN_VP and its messages, with guests of a few instructions in real mode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "tests/lib/abi_rig.h"

#define PAGE MSHV_HV_PAGE_SIZE

static const struct hv_x64_io_port_intercept_message *run_io(struct abi_vm *vm, struct hv_message *m)
{
    return abi_run(vm->a, vm->vp, HVMSG_X64_IO_PORT_INTERCEPT, m);
}

static const struct hv_x64_memory_intercept_message *run_memory(struct abi_vm *vm, uint32_t type, struct hv_message *m)
{
    return abi_run(vm->a, vm->vp, type, m);
}

static unsigned length_of(const struct hv_x64_intercept_message_header *h)
{
    return h->instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK;
}

/* ---- Suspending and going on ---- */

static void a_message_suspends_the_vp(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80); /* out 0x80, al */
    (void)run_io(&vm, &m);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_INTERCEPT_SUSPEND), HV_SUSPENDED);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_EXPLICIT_SUSPEND), 0);
    abi_vm_fini(&vm);
}

static void running_again_repeats_the_instruction(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xe6, 0x81);
    for (unsigned i = 0; i < 3; i++) {
        const struct hv_x64_io_port_intercept_message *io = run_io(&vm, &m);
        assert_int_equal(io->port_number, 0x80);
        assert_int_equal(io->header.rip, ABI_CODE);
    }
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, ABI_CODE + 2);
    assert_int_equal(run_io(&vm, &m)->port_number, 0x81);
    abi_vm_fini(&vm);
}

static void the_message_page_shows_the_message(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    void *page;
    abi_vm_init(a, &vm);
    assert_int_equal(mshv_port_mmap(&a->port, vm.vp, PAGE, PAGE, &page), 0);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
    (void)run_io(&vm, &m);
    assert_memory_equal(page, &m, sizeof(m));
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_vm_fini(&vm);
}

/* Clients that have it use the page for all that is in it. */
static void the_register_page_moves_the_vp_on(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    void *map;
    abi_vm_init(a, &vm);
    assert_int_equal(mshv_port_mmap(&a->port, vm.vp, PAGE, 0, &map), 0);
    struct hv_vp_register_page *page = map;
    ABI_PUT(&vm, ABI_CODE, 0xe4, 0x80, 0xe6, 0x81); /* in al, 0x80; out 0x81, al */
    (void)run_io(&vm, &m);
    assert_int_equal(page->isvalid, 1);
    assert_int_equal(page->rip, ABI_CODE);
    page->gpr[0] = 0x99;
    page->rip += 2;
    page->dirty = 1u << HV_X64_REGISTER_CLASS_GENERAL | 1u << HV_X64_REGISTER_CLASS_IP;
    const struct hv_x64_io_port_intercept_message *io = run_io(&vm, &m);
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(io->rax, 0x99);
    assert_int_equal(page->dirty, 0);
    assert_int_equal(page->rip, ABI_CODE + 2);
    assert_int_equal(mshv_port_munmap(&a->port, map, PAGE), 0);
    abi_vm_fini(&vm);
}

/* Running clears both; what a client wrote to them before does not keep the VP. */
static void running_clears_suspension(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xe6, 0x81);
    abi_set64(a, vm.vp, 0, HV_REGISTER_EXPLICIT_SUSPEND, HV_SUSPENDED);
    abi_set64(a, vm.vp, 0, HV_REGISTER_INTERCEPT_SUSPEND, HV_SUSPENDED);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    abi_vm_fini(&vm);
}

/* The buffer is written at the end: a bad one loses the message, which the page still has. */
static void a_buffer_that_cannot_be_written_is_a_fault(struct abi *a)
{
    struct abi_vm vm;
    void *page;
    abi_vm_init(a, &vm);
    uint8_t *edge = abi_edge();
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
    assert_int_equal(mshv_port_mmap(&a->port, vm.vp, PAGE, PAGE, &page), 0);
    const uintptr_t bad[] = {0, 8, (uintptr_t)edge + PAGE - 255, (uintptr_t)edge + PAGE};
    for (size_t i = 0; i < ABI_COUNT(bad); i++) {
        int result;
        do
            result = abi_ioctl(a, vm.vp, MSHV_RUN_VP, bad[i]);
        while (result == -EINTR);
        assert_int_equal(result, -EFAULT);
        assert_int_equal(((struct hv_message *)page)->header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
    }
    abi_edge_free(edge);
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_vm_fini(&vm);
}

/* ---- Ports ---- */

static void port_accesses_have_their_size(struct abi *a)
{
    static const struct {
        uint8_t code[4];
        unsigned length, size;
        bool write;
        uint16_t port;
    } rows[] = {
        {{0xe4, 0x70}, 2, 1, false, 0x70}, {{0xe5, 0x71}, 2, 2, false, 0x71}, {{0x66, 0xe5, 0x72}, 3, 4, false, 0x72},
        {{0xe6, 0x73}, 2, 1, true, 0x73},  {{0xe7, 0x74}, 2, 2, true, 0x74},  {{0x66, 0xe7, 0x75}, 3, 4, true, 0x75},
        {{0xec}, 1, 1, false, 0x3f8},      {{0xed}, 1, 2, false, 0x3f8},      {{0x66, 0xed}, 2, 4, false, 0x3f8},
        {{0xee}, 1, 1, true, 0x3f8},       {{0xef}, 1, 2, true, 0x3f8},       {{0x66, 0xef}, 2, 4, true, 0x3f8},
    };
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RDX, 0x3f8);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RAX, 0x11223344);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        memcpy(vm.ram + ABI_CODE, rows[i].code, sizeof(rows[i].code));
        const struct hv_x64_io_port_intercept_message *io = run_io(&vm, &m);
        assert_int_equal(io->port_number, rows[i].port);
        assert_int_equal(io->access_info, rows[i].size);
        assert_int_equal(io->header.intercept_access_type, rows[i].write ? ABI_ACCESS_WRITE : ABI_ACCESS_READ);
        assert_int_equal(length_of(&io->header), rows[i].length);
        assert_int_equal(io->rax, 0x11223344);
        (void)abi_uncertain(a, "payload_size of a message", m.header.payload_size, sizeof(*io));
    }
    abi_vm_fini(&vm);
}

static void the_header_tells_where_the_guest_is(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR8, 5);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RFLAGS, 0x897);
    const struct hv_x64_io_port_intercept_message *io = run_io(&vm, &m);
    const struct hv_x64_intercept_message_header *h = &io->header;
    assert_int_equal(h->vp_index, 0);
    assert_int_equal(h->rip, ABI_CODE);
    assert_int_equal(h->rflags, 0x897);
    assert_int_equal(h->cs_segment.selector, 0);
    assert_int_equal(h->cs_segment.base, 0);
    assert_int_equal(h->cs_segment.limit, 0xffff);
    assert_int_equal(h->instruction_length_cr8 >> HV_X64_INTERCEPT_CR8_SHIFT, 5);
    assert_int_equal(h->execution_state & (HV_X64_EXECUTION_CPL_MASK | HV_X64_EXECUTION_CR0_PE |
                                           HV_X64_EXECUTION_EFER_LMA | HV_X64_EXECUTION_INTERRUPT_SHADOW),
                     0);
    assert_int_equal(m.header.message_flags, 0);
    abi_vm_fini(&vm);
}

/*
 * As clients serve it: with REP they do RCX elements in one go, else one; then RIP is what the message says. Whether it
 * comes at once or element by element, the same bytes have to arrive.
 */
static void string_output_arrives_in_order(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    char got[8] = "";
    size_t n = 0;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xf3, 0x6e, 0xe6, 0x81); /* rep outsb; out 0x81, al */
    ABI_PUT(&vm, ABI_DATA, 'h', 'e', 'l', 'l', 'o');
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RDX, 0x3f8);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RSI, ABI_DATA);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RCX, 5);
    for (;;) {
        const struct hv_x64_io_port_intercept_message *io = run_io(&vm, &m);
        if (io->port_number == 0x81)
            break;
        assert_int_equal(io->access_info & HV_X64_IO_PORT_STRING_OP, HV_X64_IO_PORT_STRING_OP);
        assert_int_equal(io->access_info & HV_X64_IO_PORT_ACCESS_SIZE_MASK, 1);
        uint64_t count = (io->access_info & HV_X64_IO_PORT_REP_PREFIX) != 0 ? io->rcx : 1;
        for (uint64_t i = 0; i < count && n < sizeof(got) - 1; i++)
            got[n++] = (char)vm.ram[io->ds_segment.base + io->rsi + i];
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RSI, io->rsi + count);
        if ((io->access_info & HV_X64_IO_PORT_REP_PREFIX) != 0)
            abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RCX, 0);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, io->header.rip + length_of(&io->header));
    }
    assert_string_equal(got, "hello");
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_RCX), 0);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_RSI), ABI_DATA + 5);
    abi_vm_fini(&vm);
}

/* ---- Memory ---- */

/* 0x200000 and up is mapped nowhere; DS lies there. */
static void accesses_without_memory_are_reported(struct abi *a)
{
    static const struct {
        uint8_t code[6];
        uint8_t length, access;
    } rows[] = {
        {{0xa1, 0x10, 0x00}, 3, ABI_ACCESS_READ},              /* mov ax, [0x10] */
        {{0xa3, 0x10, 0x00}, 3, ABI_ACCESS_WRITE},             /* mov [0x10], ax */
        {{0xc6, 0x06, 0x10, 0x00, 0x5a}, 5, ABI_ACCESS_WRITE}, /* mov byte [0x10], 0x5a */
        {{0x66, 0x8b, 0x0e, 0x10, 0x00}, 5, ABI_ACCESS_READ},  /* mov ecx, [0x10] */
        {{0x0f, 0xb6, 0x06, 0x10, 0x00}, 5, ABI_ACCESS_READ},  /* movzx ax, byte [0x10] */
        {{0x09, 0x06, 0x10, 0x00}, 4, ABI_ACCESS_READ},        /* or [0x10], ax: reads first */
    };
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        memcpy(vm.ram + ABI_CODE, rows[i].code, sizeof(rows[i].code));
        const struct hv_x64_memory_intercept_message *x = run_memory(&vm, HVMSG_UNMAPPED_GPA, &m);
        (void)abi_uncertain(a, "payload_size of a message", m.header.payload_size, sizeof(*x));
        assert_int_equal(x->guest_physical_address & ~UINT64_C(0xfff), 0x200000);
        (void)abi_uncertain(a, "guest_physical_address in bytes", x->guest_physical_address & 0xfff, 0x10);
        assert_int_equal(x->guest_virtual_address, 0x200010);
        assert_int_equal(x->memory_access_info & 3,
                         HV_X64_MEMORY_ACCESS_GVA_VALID | HV_X64_MEMORY_ACCESS_GVA_GPA_VALID);
        if (i + 1 < ABI_COUNT(rows))
            assert_int_equal(x->header.intercept_access_type, rows[i].access);
        else
            (void)abi_uncertain(a, "access type of a read that will be written", x->header.intercept_access_type,
                                ABI_ACCESS_READ);
        assert_int_equal(x->header.rip, ABI_CODE);
        assert_true(x->instruction_byte_count == 0 || x->instruction_byte_count >= rows[i].length);
        assert_memory_equal(x->instruction_bytes, rows[i].code, x->instruction_byte_count == 0 ? 0 : rows[i].length);
    }
    abi_vm_fini(&vm);
}

static void code_without_memory_is_reported(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_CS, 0, 0x200000);
    const struct hv_x64_memory_intercept_message *x = run_memory(&vm, HVMSG_UNMAPPED_GPA, &m);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_EXECUTE);
    assert_int_equal(x->guest_physical_address & ~UINT64_C(0xfff), 0x201000);
    assert_int_equal(x->instruction_byte_count, 0);
    abi_vm_fini(&vm);
}

/* Four pages at 0x200000 with these flags, where DS and CS can be put. */
static uint8_t *extra(struct abi_vm *vm, uint8_t flags)
{
    uint8_t *m = abi_pages(4 * PAGE);
    struct mshv_user_mem_region r = {
        .size = 4 * PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)m, .flags = flags};
    assert_int_equal(ABI_IOCTL(vm->a, vm->partition, MSHV_SET_GUEST_MEMORY, &r), 0);
    return m;
}

static void read_only_memory_reports_writes(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint8_t *rom = extra(&vm, 1u << MSHV_SET_MEM_BIT_EXECUTABLE);
    rom[0x10] = 0x77;
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000);
    ABI_PUT(&vm, ABI_CODE, 0xa0, 0x10, 0x00, 0xe6, 0x80, 0xa3, 0x10, 0x00); /* mov al, [0x10]; out; mov [0x10], ax */
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, 0x77);
    const struct hv_x64_memory_intercept_message *x = run_memory(&vm, HVMSG_GPA_INTERCEPT, &m);
    assert_int_equal(x->header.intercept_access_type, ABI_ACCESS_WRITE);
    assert_int_equal(x->guest_physical_address & ~UINT64_C(0xfff), 0x200000);
    assert_int_equal(rom[0x10], 0x77);
    abi_vm_fini(&vm);
    abi_pages_free(rom, 4 * PAGE);
}

static void memory_that_is_not_executable_reports_fetches(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint8_t *data = extra(&vm, 1u << MSHV_SET_MEM_BIT_WRITABLE);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_CS, 0, 0x1ff000);
    const struct hv_x64_memory_intercept_message *x = run_memory(&vm, HVMSG_GPA_INTERCEPT, &m);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_EXECUTE);
    assert_int_equal(x->guest_physical_address & ~UINT64_C(0xfff), 0x200000);
    abi_vm_fini(&vm);
    abi_pages_free(data, 4 * PAGE);
}

/* A backing that is read-only is found out by the guest where the driver did not pin it. */
static void a_read_only_backing_is_met_by_the_guest(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    if (a->facts->pinned)
        return;
    abi_vm_init(a, &vm);
    uint8_t *p = abi_pages(4 * PAGE);
    assert_int_equal(mprotect(p, 4 * PAGE, PROT_READ), 0);
    struct mshv_user_mem_region r = {.size = 4 * PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)p, .flags = 3};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &r), 0);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000);
    ABI_PUT(&vm, ABI_CODE, 0xa0, 0x10, 0x00); /* mov al, [0x10] */
    (void)run_memory(&vm, HVMSG_GPA_INTERCEPT, &m);
    abi_vm_fini(&vm);
    abi_pages_free(p, 4 * PAGE);
}

/* Mapping during an exit and running again is how clients swap what they show. */
static void what_is_mapped_during_an_exit_is_there(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000);
    ABI_PUT(&vm, ABI_CODE, 0xa0, 0x10, 0x00, 0xe6, 0x80);
    (void)run_memory(&vm, HVMSG_UNMAPPED_GPA, &m);
    uint8_t *p = extra(&vm, 3);
    p[0x10] = 0x66;
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, 0x66);
    abi_vm_fini(&vm);
    abi_pages_free(p, 4 * PAGE);
}

/* New drivers leave pages behind that were never touched: either message is right. */
static void what_is_unmapped_is_gone(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint8_t *p = extra(&vm, 3);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, 0x200000);
    ABI_PUT(&vm, ABI_CODE, 0xa0, 0x10, 0x00, 0xe6, 0x80, 0xeb, 0xf9); /* mov al, [0x10]; out 0x80, al; jmp back */
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    struct mshv_user_mem_region r = {
        .size = 4 * PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)p, .flags = 1u << MSHV_SET_MEM_BIT_UNMAP};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &r), 0);
    abi_pages_free(p, 4 * PAGE);
    assert_int_equal(abi_run_once(a, vm.vp, &m), 0);
    assert_true(m.header.message_type == HVMSG_UNMAPPED_GPA || m.header.message_type == HVMSG_GPA_INTERCEPT);
    abi_vm_fini(&vm);
}

static void guest_and_client_share_memory(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xa1, 0x00, 0x90, 0x40, 0xa3, 0x02, 0x90, 0xe6, 0x80); /* [0x9002] = [0x9000] + 1; out */
    ABI_PUT(&vm, ABI_DATA, 0x34, 0x12);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    assert_int_equal(abi_vm_word(&vm, ABI_DATA + 2), 0x1235);
    abi_vm_fini(&vm);
}

/* Code that the client changes while the VP does not run is what runs next. */
static void code_changed_by_the_client_runs(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (uint8_t i = 1; i < 5; i++) {
        ABI_PUT(&vm, ABI_CODE, 0xb0, i, 0xe6, 0x80); /* mov al, i; out */
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, ABI_CODE);
        assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, i);
    }
    abi_vm_fini(&vm);
}

static void two_addresses_show_one_page(struct abi *a)
{
    struct abi_vm vm;
    if (!a->facts->alias_allowed)
        return;
    abi_vm_init(a, &vm);
    struct mshv_user_mem_region r = {
        .size = PAGE, .guest_pfn = 0x200, .userspace_addr = (uintptr_t)vm.ram + ABI_DATA, .flags = 3};
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_GUEST_MEMORY, &r), 0);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_ES, 0, 0x200000);
    ABI_PUT(&vm, ABI_CODE, 0x26, 0xc6, 0x06, 0x04, 0x00, 0x5a, /* mov byte es:[4], 0x5a */
            0xa0, 0x04, 0x90, 0xe6, 0x80);                     /* mov al, [0x9004]; out */
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, 0x5a);
    abi_vm_fini(&vm);
}

/* ---- Other ends ---- */

static void a_triple_fault_is_unrecoverable_each_time(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0x0f, 0x0b); /* ud2, and no vectors */
    union hv_register_value idtr = {.table = {.limit = 0}};
    assert_int_equal(abi_set_register(a, vm.vp, 0, HV_X64_REGISTER_IDTR, idtr), HV_STATUS_SUCCESS);
    for (unsigned i = 0; i < 2; i++) {
        const struct hv_x64_header_only_message *x = abi_run(a, vm.vp, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
        assert_int_equal(x->header.vp_index, 0);
    }
    /* The client may set it up anew and go on. */
    idtr.table.limit = 0x3ff;
    assert_int_equal(abi_set_register(a, vm.vp, 0, HV_X64_REGISTER_IDTR, idtr), HV_STATUS_SUCCESS);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, ABI_CODE);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    abi_vm_fini(&vm);
}

static void an_impossible_state_does_not_run(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR0, 0x80000010); /* paging without protection */
    const struct hv_x64_invalid_vp_register_message *x = abi_run(a, vm.vp, HVMSG_INVALID_VP_REGISTER_VALUE, &m);
    assert_int_equal(x->vp_index, 0);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR0, 0x10);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    abi_vm_fini(&vm);
}

static void exceptions_stay_in_the_guest(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0x31, 0xc9, 0xf7, 0xf1); /* xor cx, cx; div cx */
    ABI_PUT(&vm, ABI_HANDLER, 0xe6, 0x82);
    abi_vm_set_vector(&vm, 0, ABI_HANDLER);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    abi_vm_fini(&vm);
}

static void cpuid_and_known_msrs_stay_in_the_guest(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0x66, 0x31, 0xc0, 0x0f, 0xa2,    /* xor eax, eax; cpuid */
            0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32, /* mov ecx, 0x1b; rdmsr */
            0xe6, 0x80);
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xffffffff, 0xfee00900);
    abi_vm_fini(&vm);
}

/* An event the client makes pending happens before the next instruction. */
static void a_pending_exception_is_delivered(struct abi *a)
{
    static const uint32_t names[] = {HV_REGISTER_PENDING_INTERRUPTION, HV_REGISTER_PENDING_EVENT0};
    static const uint64_t values[] = {HV_PENDING_INTERRUPTION_PENDING |
                                          (uint64_t)HV_PENDING_INTERRUPTION_EXCEPTION
                                              << HV_PENDING_INTERRUPTION_TYPE_SHIFT |
                                          UINT64_C(6) << HV_PENDING_INTERRUPTION_VECTOR_SHIFT,
                                      HV_PENDING_EVENT_PENDING | UINT64_C(6) << HV_PENDING_EVENT_VECTOR_SHIFT};
    for (size_t i = 0; i < ABI_COUNT(names); i++) {
        struct abi_vm vm;
        abi_vm_init(a, &vm);
        ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80);
        ABI_PUT(&vm, ABI_HANDLER, 0xe6, 0x86, 0xcf);
        abi_vm_set_vector(&vm, 6, ABI_HANDLER);
        abi_set64(a, vm.vp, 0, names[i], values[i]);
        (void)abi_run_to_port(a, vm.vp, 0, 0x86);
        assert_int_equal(abi_get64(a, vm.vp, 0, names[i]) & 1, 0);
        (void)abi_run_to_port(a, vm.vp, 0, 0x80); /* and returns to where it was */
        abi_vm_fini(&vm);
    }
}

/* ---- Signals ---- */

static void a_signal_ends_a_busy_run(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xeb, 0xfa); /* inc word [0x9000]; jmp back */
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    abi_vm_await_times(&vm, ABI_DATA, 3);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_EXPLICIT_SUSPEND), HV_SUSPENDED);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_INTERCEPT_SUSPEND), 0);
    uint32_t stopped = abi_vm_word(&vm, ABI_DATA);
    (void)abi_get64(a, vm.vp, 0, HV_X64_REGISTER_RIP);
    assert_int_equal(abi_vm_word(&vm, ABI_DATA), stopped);
    abi_vm_fini(&vm);
}

static void a_signal_ends_a_halt(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xfa, 0xf4); /* inc word [0x9000]; cli; hlt: no message */
    struct abi_runner *r = abi_runner_start(a, vm.vp);
    (void)abi_vm_await(&vm, ABI_DATA, 0);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE), HV_ACTIVITY_HALT_SUSPEND);
    abi_vm_fini(&vm);
}

static void a_vp_that_waits_for_sipi_waits(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    int other = abi_new_vp(a, vm.partition, 1);
    struct abi_runner *r = abi_runner_start(a, other);
    assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    assert_int_equal(abi_get64(a, other, 1, HV_REGISTER_INTERNAL_ACTIVITY_STATE), HV_ACTIVITY_STARTUP_SUSPEND);
    abi_close(a, other);
    abi_vm_fini(&vm);
}

static void an_interrupted_run_goes_on_where_it_was(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xff, 0x06, 0x00, 0x90, 0xeb, 0xfa);
    for (unsigned i = 0; i < 5; i++) {
        uint32_t before = abi_vm_word(&vm, ABI_DATA);
        struct abi_runner *r = abi_runner_start(a, vm.vp);
        (void)abi_vm_await(&vm, ABI_DATA, before);
        assert_int_equal(abi_runner_kick(r, NULL), -EINTR);
    }
    abi_vm_fini(&vm);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(a_message_suspends_the_vp),
        ABI_CASE(running_again_repeats_the_instruction),
        ABI_CASE(the_message_page_shows_the_message),
        ABI_CASE(the_register_page_moves_the_vp_on),
        ABI_CASE(running_clears_suspension),
        ABI_CASE(a_buffer_that_cannot_be_written_is_a_fault),
        ABI_CASE(port_accesses_have_their_size),
        ABI_CASE(the_header_tells_where_the_guest_is),
        ABI_CASE(string_output_arrives_in_order),
        ABI_CASE(accesses_without_memory_are_reported),
        ABI_CASE(code_without_memory_is_reported),
        ABI_CASE(read_only_memory_reports_writes),
        ABI_CASE(memory_that_is_not_executable_reports_fetches),
        ABI_CASE(a_read_only_backing_is_met_by_the_guest),
        ABI_CASE(what_is_mapped_during_an_exit_is_there),
        ABI_CASE(what_is_unmapped_is_gone),
        ABI_CASE(guest_and_client_share_memory),
        ABI_CASE(code_changed_by_the_client_runs),
        ABI_CASE(two_addresses_show_one_page),
        ABI_CASE(a_triple_fault_is_unrecoverable_each_time),
        ABI_CASE(an_impossible_state_does_not_run),
        ABI_CASE(exceptions_stay_in_the_guest),
        ABI_CASE(cpuid_and_known_msrs_stay_in_the_guest),
        ABI_CASE(a_pending_exception_is_delivered),
        ABI_CASE(a_signal_ends_a_busy_run),
        ABI_CASE(a_signal_ends_a_halt),
        ABI_CASE(a_vp_that_waits_for_sipi_waits),
        ABI_CASE(an_interrupted_run_goes_on_where_it_was),
    };
    return ABI_MAIN(cases);
}
