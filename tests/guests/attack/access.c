/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

/* Pages of devices, of the hypervisor, of nobody, and where one ends and the other begins. */
static const uint64_t windows[] = {
    BAR(SLOT_CONSOLE),
    BAR(SLOT_VSOCK),
    BAR(SLOT_RNG),
    BAR(SLOT_DISK),
    BAR(SLOT_SHARE),
    BAR(SLOT_NET),
    BAR(SLOT_DISK) + BAR_ISR,
    BAR(SLOT_DISK) + BAR_CONFIG,
    BAR(SLOT_NET) + BAR_CONFIG,
    BAR(SLOT_DISK) + BAR_NOTIFY,
    BAR(SLOT_DISK) + BAR_TABLE,
    BAR(SLOT_DISK) + BAR_BITS,
    BAR(SLOT_DISK) + BAR_BYTES - PAGE,
    ECAM,
    ECAM + 0x8000 * SLOT_DISK,
    ECAM + 0xff000,
    IOAPIC,
    LAPIC,
    HOLE,
    0xfee01000,
    0xfed00000,
    0xfeb00000,
    0xfffff000,
};
#define WINDOWS (sizeof(windows) / sizeof(windows[0]))

static void sse_on(void)
{
    uint64_t cr4, cr0;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 0x600));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"((cr0 & ~UINT64_C(4)) | 2));
}

/* ---- Each an instruction that touches memory, in ctx ---- */

static void do_get8(void *ctx)
{
    (void)get8(address_of(ctx));
}

static void do_get16(void *ctx)
{
    (void)get16(address_of(ctx));
}

static void do_get32(void *ctx)
{
    (void)get32(address_of(ctx));
}

static void do_get64(void *ctx)
{
    (void)get64(address_of(ctx));
}

static void do_add(void *ctx)
{
    __asm__ volatile("addl $0, (%0)" : : "r"(ctx) : "memory", "cc");
}

static void do_locked_add(void *ctx)
{
    __asm__ volatile("lock addq $0, (%0)" : : "r"(ctx) : "memory", "cc");
}

static void do_cmpxchg(void *ctx)
{
    __asm__ volatile("lock cmpxchgl %%ecx, (%0)" : : "r"(ctx), "a"(0), "c"(0) : "memory", "cc");
}

static void do_cmpxchg16b(void *ctx)
{
    __asm__ volatile("lock cmpxchg16b (%0)" : : "r"(ctx), "a"(1), "b"(0), "c"(0), "d"(1) : "memory", "cc");
}

static void do_bts(void *ctx)
{
    __asm__ volatile("lock btsl $31, (%0)" : : "r"(ctx) : "memory", "cc");
}

static void do_movups(void *ctx)
{
    __asm__ volatile("movups (%0), %%xmm0\n\tmovups %%xmm0, (%0)" : : "r"(ctx) : "memory");
}

static void do_fxsave(void *ctx)
{
    __asm__ volatile("fxsave (%0)" : : "r"(ctx) : "memory");
}

static void do_fld(void *ctx)
{
    __asm__ volatile("fldt (%0)\n\tfstpt (%0)" : : "r"(ctx) : "memory");
}

static void do_push(void *ctx)
{
    __asm__ volatile("xchg %0, %%rsp\n\tpush %%rax\n\tpop %%rcx\n\txchg %0, %%rsp" : "+r"(ctx) : : "memory", "rcx");
}

static void do_movs(void *ctx)
{
    uint64_t from = address_of(ctx), to = from, n = 64;
    __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
}

static void do_scas(void *ctx)
{
    uint64_t at = address_of(ctx), n = 600;
    __asm__ volatile("repne scasb" : "+D"(at), "+c"(n) : "a"(0x5a) : "memory", "cc");
}

static void do_maskmov(void *ctx)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tmaskmovdqu %%xmm0, %%xmm0" : : "D"(ctx) : "memory");
}

static void do_sgdt(void *ctx)
{
    __asm__ volatile("sgdt (%0)\n\tsidt (%0)" : : "r"(ctx) : "memory");
}

static void do_far(void *ctx)
{
    __asm__ volatile("ljmpl *(%0)" : : "r"(ctx) : "memory");
}

static void do_iret(void *ctx)
{
    __asm__ volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\tiretq" : : "r"(ctx) : "memory", "r12");
}

static void do_clflush(void *ctx)
{
    __asm__ volatile("clflush (%0)\n\tprefetcht0 (%0)" : : "r"(ctx) : "memory");
}

static void (*const instructions[])(void *ctx) = {do_get8,       do_get16,   do_get32,     do_get64, do_add,
                                                  do_locked_add, do_bts,     do_cmpxchg,   do_push,  do_movs,
                                                  do_scas,       do_clflush, do_cmpxchg16b};
#define INSTRUCTIONS (sizeof(instructions) / sizeof(instructions[0]))

/* What was written at random may have masked or enabled it. */
static void msix_off(void)
{
    for (unsigned slot = 1; slot < SLOTS; slot++)
        if (pci_read(slot, 0) != UINT32_MAX)
            pci_write(slot, pci_msix_at(slot), 0);
}

static void use_gdt(void *ctx)
{
    struct {
        uint16_t limit;
        uint64_t base __attribute__((packed));
    } there = {.limit = 0xffff, .base = address_of(ctx)};
    __asm__ volatile("lgdt %0" : : "m"(there));
    __asm__ volatile("mov %w0, %%fs" : : "r"(0x38) : "memory");
}

/* ---- Memory of devices ---- */

static void reads_at_every_alignment(struct machine *m)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        for (uint64_t at = 0; at < 0x48; at++)
            for (unsigned i = 0; i < 4; i++)
                (void)attempt(&m->cpu[0], instructions[i], pointer_to(windows[w] + at));
    all_must_work(m);
}

/* Over the end of one page into the next: 8 bytes that belong to two devices, or to one and nobody. */
static void accesses_across_pages(struct machine *m)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        for (uint64_t back = 1; back < 16; back++)
            for (unsigned i = 0; i < INSTRUCTIONS && windows[w] != LAPIC; i++)
                (void)attempt(&m->cpu[0], instructions[i], pointer_to((windows[w] & ~(PAGE - 1)) - back));
    /* RAM's last bytes, and behind them nothing. */
    for (uint64_t back = 1; back < 16; back++)
        for (unsigned i = 0; i < INSTRUCTIONS; i++)
            (void)attempt(&m->cpu[0], instructions[i], pointer_to(RAM_END - back));
    all_must_work(m);
}

static void writes_at_every_alignment(struct machine *m)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        for (uint64_t at = 0; at < 0x48 && windows[w] != LAPIC && windows[w] != IOAPIC; at++) {
            uint64_t gpa = windows[w] + at;
            uint64_t x = random_next(m);
            set8(gpa, (uint8_t)x);
            set16(gpa, (uint16_t)x);
            set32(gpa, (uint32_t)x);
            set64(gpa, x);
        }
    msix_off();
    all_must_work(m);
}

/* What has an operand in memory has it in a device. */
static void every_kind_of_instruction(struct machine *m)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        for (uint64_t at = 0; at < 0x40; at += 7)
            for (unsigned i = 0; i < INSTRUCTIONS && windows[w] != LAPIC; i++)
                (void)attempt(&m->cpu[0], instructions[i], pointer_to(windows[w] + at));
    msix_off();
    all_must_work(m);
}

/* What a monitor need not do on behalf of a guest: it may end the guest instead. */
static void end_by(struct machine *m, void (*run)(void *ctx))
{
    sse_on();
    (void)attempt(&m->cpu[0], run, pointer_to(BAR(SLOT_DISK)));
}

static void vector_instruction_on_device(struct machine *m)
{
    end_by(m, do_movups);
}

static void masked_store_on_device(struct machine *m)
{
    end_by(m, do_maskmov);
}

static void x87_instruction_on_device(struct machine *m)
{
    end_by(m, do_fld);
}

static void state_saved_on_device(struct machine *m)
{
    end_by(m, do_fxsave);
}

static void tables_stored_on_device(struct machine *m)
{
    end_by(m, do_sgdt);
}

static void far_jump_through_device(struct machine *m)
{
    end_by(m, do_far);
}

static void frame_in_device(struct machine *m)
{
    end_by(m, do_iret);
}

static void segments_from_device(struct machine *m)
{
    end_by(m, use_gdt);
}

/* Strings that fill devices, copy one to another, and run out of them. */
static void long_strings_over_devices(struct machine *m)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        uint64_t to = windows[w], from = windows[(w + 5) % WINDOWS], n = 3000;
        if (to == LAPIC || to == IOAPIC)
            continue;
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
        to = windows[w];
        n = 512;
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0) : "memory");
        from = windows[w];
        n = 512;
        __asm__ volatile("rep lodsq" : "+S"(from), "+c"(n) : : "rax", "memory");
    }
    msix_off();
    all_must_work(m);
}

/* ---- Tables of the processor in devices ---- */

/* The walk of a page table that is a device's register gives back what no page table holds. */
static void page_tables_in_devices(struct machine *m)
{
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    volatile uint64_t *pml4 = pointer_to(cr3);
    for (unsigned w = 0; w < WINDOWS; w++) {
        pml4[5] = windows[w] | 7;
        __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
        for (unsigned i = 0; i < 4; i++)
            (void)attempt(&m->cpu[0], instructions[i], pointer_to((UINT64_C(5) << 39) + i * 0x40000000 + 0x1234));
        (void)attempt(&m->cpu[0], do_locked_add, pointer_to((UINT64_C(5) << 39) + 0x2000));
    }
    pml4[5] = 0;
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
    all_must_work(m);
}

/* ---- Ports ---- */

/* Those that end the machine, or its console, are other attacks. */
static bool is_deadly(unsigned port, unsigned bytes)
{
    static const uint16_t deadly[] = {EXIT_PORT, 0x64, 0x600, 0x602, 0xcf9, 0x505};
    for (unsigned i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        if (port <= deadly[i] && deadly[i] < port + bytes)
            return true;
    return (port + bytes > COM1 && port < COM1 + 8) || (port + bytes > COM2 && port < COM2 + 8);
}

static void every_port_in_every_size(struct machine *m)
{
    for (unsigned port = 0; port < 0x10000; port += port < 0x1000 ? 1 : 61) {
        (void)in8((uint16_t)port);
        (void)in16((uint16_t)port);
        (void)in32((uint16_t)port);
        if (!is_deadly(port, 1))
            out8((uint16_t)port, 0xff);
        if (!is_deadly(port, 2))
            out16((uint16_t)port, 0xa5a5);
        if (!is_deadly(port, 4))
            out32((uint16_t)port, 0x5a5a5a5a);
    }
    all_must_work(m);
}

struct string {
    uint16_t port;
    uint64_t at, count;
    bool down;
};

static void do_outsb(void *ctx)
{
    struct string *s = ctx;
    if (s->down)
        __asm__ volatile("std");
    __asm__ volatile("rep outsb\n\tcld" : "+S"(s->at), "+c"(s->count) : "d"(s->port) : "memory", "cc");
}

static void do_insl(void *ctx)
{
    struct string *s = ctx;
    if (s->down)
        __asm__ volatile("std");
    __asm__ volatile("rep insl\n\tcld" : "+D"(s->at), "+c"(s->count) : "d"(s->port) : "memory", "cc");
}

/* From memory, through devices, to where nothing is mapped: 1,024 times more than there is. */
static void strings_of_ports_without_end(struct machine *m)
{
    /* Upwards they end where 4 GiB do, downwards at 0: both by a page fault. To be bounded they begin near there. */
    static const struct string strings[] = {
        {0x80, UINT64_C(0x100000000) - 0x3000, UINT64_C(1) << 40, false},
        {0x80, RAM_END - 0x1000, 0x2000, false},
        {0x80, BAR(SLOT_DISK) + 0x6800, 0x3000, false},
        {0x80, 0x2000, UINT64_MAX, true},
        {0xffff, UINT64_C(0x7ffffffff000), UINT64_MAX, false},
        {0xffff, UINT64_C(1) << 47, UINT64_MAX, false},
        {0x80, UINT64_MAX - 4, UINT64_MAX, false},
    };
    for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct string s = strings[i];
        (void)attempt(&m->cpu[0], do_outsb, &s);
        __asm__ volatile("cld");
    }
    all_must_work(m);
}

static void strings_into_devices(struct machine *m)
{
    static const struct string strings[] = {
        {0x3fd, UINT64_C(0x100000000) - 0x4000, UINT64_MAX, false},
        {0x3fd, RAM_END - 0x1003, 0x2000, false},
        {0x3fd, BAR(SLOT_RNG) + 1, 0x1800, false},
        {0xcfc, BAR(SLOT_NET) + 3, 0x1000, false},
        {0x70, UINT64_C(1) << 47, UINT64_MAX, false},
        {0x70, HEAP_END, 0x4000, true},
    };
    for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct string s = strings[i];
        (void)attempt(&m->cpu[0], do_insl, &s);
        __asm__ volatile("cld");
    }
    msix_off();
    all_must_work(m);
}

/* A terabyte of output to a port nobody serves, ended by the other processor, with an interrupt in between. */
static void endless(struct machine *m, unsigned cpu)
{
    struct string s = {.port = 0x80, .at = HEAP, .count = UINT64_C(1) << 40};
    (void)cpu;
    interrupts_on();
    __asm__ volatile("1: outsb\n\tdec %%rsi\n\tcmpl $0, %2\n\tje 1b"
                     : "+S"(s.at), "+c"(s.count)
                     : "m"(m->stop), "d"(s.port)
                     : "memory", "cc");
    s.count = UINT64_C(1) << 40;
    do_outsb(&s);
}

static void string_is_interrupted(struct machine *m)
{
    others_start(m, 1, endless);
    __atomic_store_n(&m->stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 2000; i++)
        ipi(1, 0x4000 | 0x41);
    uint32_t before = load32(&m->interrupts[0x41]);
    while (load32(&m->interrupts[0x41]) < before + 1)
        ipi(1, 0x4000 | 0x41);
    all_must_work(m);
    /* And the machine is ended while it goes on. */
}

const struct attack attacks[] = {
    {"reads_at_every_alignment", reads_at_every_alignment},
    {"writes_at_every_alignment", writes_at_every_alignment},
    {"accesses_across_pages", accesses_across_pages},
    {"every_kind_of_instruction", every_kind_of_instruction},
    {"long_strings_over_devices", long_strings_over_devices},
    {"page_tables_in_devices", page_tables_in_devices},
    {"vector_instruction_on_device", vector_instruction_on_device},
    {"masked_store_on_device", masked_store_on_device},
    {"x87_instruction_on_device", x87_instruction_on_device},
    {"state_saved_on_device", state_saved_on_device},
    {"tables_stored_on_device", tables_stored_on_device},
    {"far_jump_through_device", far_jump_through_device},
    {"frame_in_device", frame_in_device},
    {"segments_from_device", segments_from_device},
    {"every_port_in_every_size", every_port_in_every_size},
    {"strings_of_ports_without_end", strings_of_ports_without_end},
    {"strings_into_devices", strings_into_devices},
    {"string_is_interrupted", string_is_interrupted},
    {NULL, NULL},
};
