/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what a client can say to a software /dev/mshv: requests on valid, stale and foreign descriptors, with
 * arguments in memory that is there, read-only, missing or cut short, and short guest programs between them.
 *
 * Input: one byte for the kernel generation and the device's first VM, then actions: a byte that names it, and what it
 * takes from the bytes that follow (zeros when there are none left); new actions go to the end of the table, so that
 * the corpus keeps its meaning. port_fuzz_world.h has the memory and the numbers that a client owns; everything that is
 * written through a pointer stays inside of it, so that what breaks is softhv's fault.
 *
 * Each run of a VP comes back: either a kick is pending when it begins, or its program is a few straight instructions
 * and a timer kicks it in case it sleeps. Checked: results are in the range of errno, foreign descriptors are refused,
 * no descriptor is left.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/port_fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTIONS_MAX    64u
#define PARTITIONS_MAX 4u
#define VPS_MAX        6u
#define MAPS_MAX       4u
#define REGISTERS_MAX  8u
#define EXITS_MAX      12u
#define SNIPPETS_MAX   6u
#define PATIENCE_NS    3000000 /* a program that sleeps */

/* In the client's memory. */
static uint8_t *at(uint64_t address)
{
    return (uint8_t *)(uintptr_t)address;
}

/* ---- Requests with their arguments ---- */

/* The structure is copied to a place in the client's memory, which may be one that refuses it. */
static int request(struct world *w, const struct number *n, uint32_t request, const void *arg, size_t bytes)
{
    uint64_t where = ARG_PLAIN;
    if (take8(w) % 16 == 0)
        where = pointer(w);
    if (world_holds(w, where, bytes))
        memcpy(at(where), arg, bytes);
    return world_ioctl(w, n, request, where);
}

static void create_partition(struct world *w, const struct number *on, uint8_t how)
{
    struct mshv_create_partition_v2 a = {.pt_flags = 3, .pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS};
    if (how & 1)
        a.pt_flags = take8(w);
    if (how & 2) {
        a.pt_flags |= 8;
        a.pt_cpu_fbanks[0] = take64(w);
        a.pt_cpu_fbanks[1] = take64(w);
        a.pt_disabled_xsave = take64(w);
    }
    if (how & 4)
        a.pt_isolation = take8(w);
    if (how & 8)
        a.pt_rsvd[take8(w) % sizeof(a.pt_rsvd)] = 1;
    if (w->partitions >= PARTITIONS_MAX)
        return;
    int fd = request(w, on, MSHV_CREATE_PARTITION, &a, sizeof(a));
    w->partitions += fd >= 0;
    world_keep(w, fd, 0);
}

static void do_open(struct world *w)
{
    world_keep(w, softhv_open(w->s, take8(w) & 1 ? 02000000 : 0), 0);
}

static void do_create(struct world *w)
{
    struct number n = number(w);
    create_partition(w, &n, take8(w));
}

static void do_initialise(struct world *w)
{
    struct number n = number(w);
    (void)world_ioctl(w, &n, MSHV_INITIALIZE_PARTITION, take8(w) % 16 == 0 ? pointer(w) : 0);
}

static void create_vp(struct world *w, const struct number *on, uint32_t index)
{
    const struct mshv_create_vp a = {.vp_index = index};
    if (w->vps >= VPS_MAX)
        return;
    int fd = request(w, on, MSHV_CREATE_VP, &a, sizeof(a));
    w->vps += fd >= 0;
    world_keep(w, fd, index);
}

static void do_create_vp(struct world *w)
{
    struct number n = number(w);
    uint8_t index = take8(w);
    create_vp(w, &n, index < 0xf0 ? index % 4u : (uint32_t)take64(w));
}

/* Guest pages near those of the first VM, or anywhere. */
static uint64_t take_pfn(struct world *w)
{
    uint8_t how = take8(w);
    return how < 0xc0 ? how % 64u : take64(w) >> (how & 31);
}

static void do_memory(struct world *w)
{
    struct number n = number(w);
    uint8_t how = take8(w);
    struct mshv_user_mem_region a = {.guest_pfn = take_pfn(w)};
    a.userspace_addr = pointer(w) & ~UINT64_C(0xfff);
    a.size = (how & 0x80) != 0 ? take64(w) : (how >> 3 & 15) * (uint64_t)MSHV_HV_PAGE_SIZE;
    a.flags = how & 7;
    /* Nothing that is not the client's lies within reach of its own memory. */
    if (world_owns_from(w, a.userspace_addr))
        a.size %= WORLD_GUARD_BYTES;
    if (how == 0xff)
        a.rsvd[0] = 1;
    (void)request(w, &n, MSHV_SET_GUEST_MEMORY, &a, sizeof(a));
}

/* An eventfd of the client, some number of the device, or none. */
static int take_event(struct world *w)
{
    uint8_t how = take8(w);
    if (how < 0xc0)
        return w->event[how % EVENTS];
    return how < 0xe0 ? w->number[how % NUMBERS].fd : -(int)(how & 1) - 1;
}

static void do_irqfd(struct world *w)
{
    struct number n = number(w);
    struct mshv_user_irqfd a = {.fd = take_event(w)};
    a.resamplefd = take_event(w);
    uint8_t how = take8(w);
    a.gsi = how < 0xf0 ? how % 8u : (uint32_t)take64(w);
    a.flags = take8(w) % 5;
    (void)request(w, &n, MSHV_IRQFD, &a, sizeof(a));
}

static void do_ioeventfd(struct world *w)
{
    static const uint32_t lengths[] = {0, 1, 2, 4, 8, 3, 16, UINT32_MAX};
    struct number n = number(w);
    uint8_t how = take8(w);
    struct mshv_user_ioeventfd a = {.addr = UINT64_C(0xd0000) + (how & 7), .fd = take_event(w)};
    a.len = lengths[how >> 3 & 7];
    a.flags = take8(w) % 9;
    a.datamatch = take8(w);
    if (how & 0x80)
        a.addr = take64(w);
    if (how & 0x40)
        a.rsvd[how & 3] = 1;
    (void)request(w, &n, MSHV_IOEVENTFD, &a, sizeof(a));
}

static void do_routes(struct world *w)
{
    struct {
        uint32_t nr, rsvd; /* struct mshv_user_irq_table, which has no end */
        struct mshv_user_irq_entry entry[8];
    } a;
    struct number n = number(w);
    uint8_t how = take8(w);
    memset(&a, 0, sizeof(a));
    a.nr = how < 0xc0 ? how % 9u : (uint32_t)take64(w);
    a.rsvd = how == 0xbf;
    for (uint32_t i = 0; i < a.nr && i < 8; i++) {
        uint64_t word = take64(w);
        a.entry[i] = (struct mshv_user_irq_entry){.gsi = (uint32_t)word & 0x100f,
                                                  .address_lo = (uint32_t)(word >> 8) & 0xff004,
                                                  .address_hi = (word >> 63) != 0,
                                                  .data = (uint32_t)(word >> 32)};
    }
    (void)request(w, &n, MSHV_SET_MSI_ROUTING, &a, sizeof(a));
}

static void do_bitmap(struct world *w)
{
    struct number n = number(w);
    struct mshv_gpap_access_bitmap a = {.access_type = take8(w) % 3};
    a.access_op = take8(w) % 4;
    a.gpap_base = take_pfn(w);
    uint8_t how = take8(w);
    a.page_count = how < 0xe0 ? how : take64(w);
    a.bitmap_ptr = pointer(w);
    /* What is there must be long enough; what is not may be as short as it likes. */
    if (world_owns_from(w, a.bitmap_ptr))
        a.page_count %= WORLD_GUARD_BYTES;
    (void)request(w, &n, MSHV_GET_GPAP_ACCESS_BITMAP, &a, sizeof(a));
}

/* ---- Hypercalls ---- */

static void hypercall(struct world *w, const struct number *n, struct mshv_root_hvcall *a, const void *in, size_t bytes)
{
    uint8_t how = take8(w);
    a->in_sz = (uint16_t)bytes;
    a->in_ptr = HVCALL_IN;
    a->out_ptr = HVCALL_OUT;
    a->out_sz = MSHV_HV_PAGE_SIZE;
    if (how == 0xff) {
        a->in_sz = take16(w);
        a->out_sz = take16(w);
        a->rsvd[take8(w) % sizeof(a->rsvd)] = take8(w) & 1;
        a->status = take8(w) & 1;
    }
    if (how >= 0xf0) {
        a->in_ptr = pointer(w);
        a->out_ptr = pointer(w);
    }
    memcpy(at(HVCALL_IN), in, bytes);
    (void)request(w, n, MSHV_ROOT_HVCALL, a, sizeof(*a));
}

static void do_hypercall(struct world *w)
{
    static const uint16_t codes[] = {
        HVCALL_GET_PARTITION_PROPERTY,  HVCALL_SET_PARTITION_PROPERTY,    HVCALL_INSTALL_INTERCEPT,
        HVCALL_GET_VP_REGISTERS,        HVCALL_SET_VP_REGISTERS,          HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
        HVCALL_CLEAR_VIRTUAL_INTERRUPT, HVCALL_REGISTER_INTERCEPT_RESULT, HVCALL_ASSERT_VIRTUAL_INTERRUPT,
        HVCALL_SIGNAL_EVENT_DIRECT,     HVCALL_POST_MESSAGE_DIRECT,       HVCALL_GET_GPA_PAGES_ACCESS_STATES,
        HVCALL_GET_VP_CPUID_VALUES,     HVCALL_GET_PARTITION_PROPERTY_EX, HVCALL_READ_GPA,
    };
    uint8_t in[MSHV_HV_PAGE_SIZE] = {0};
    struct number n = number(w);
    uint8_t how = take8(w);
    struct mshv_root_hvcall a = {.code = how < 0xf0 ? codes[how % (sizeof(codes) / sizeof(codes[0]))] : take16(w)};
    uint8_t reps = take8(w);
    a.reps = reps < 0xf0 ? reps % 8u : take16(w);
    size_t bytes = 8 + take8(w);
    take(w, in + 8, bytes - 8);
    /* Bytes behind what the input has are zeros: long arguments of nothing are tried, too. */
    if (reps >= 0xe0)
        bytes = sizeof(in);
    hypercall(w, &n, &a, in, bytes);
}

/* Names that exist, mostly. */
static uint32_t take_register(struct world *w)
{
    static const uint32_t bases[] = {0x00000000, 0x00010000, 0x00020000, 0x00030000, 0x00040000,
                                     0x00050000, 0x00060000, 0x00070000, 0x00080000, 0x00084800,
                                     0x00090000, 0x000a0000, 0x000b0000, 0x00041000};
    uint8_t base = take8(w);
    return bases[base % (sizeof(bases) / sizeof(bases[0]))] + (base & 0x80 ? take16(w) : take8(w) % 64u);
}

static void do_set_registers(struct world *w)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg[REGISTERS_MAX];
    } in;
    struct number n = number(w);
    memset(&in, 0, sizeof(in));
    uint16_t reps = (uint16_t)(1 + take8(w) % REGISTERS_MAX);
    struct mshv_root_hvcall a = {.code = HVCALL_SET_VP_REGISTERS, .reps = reps};
    in.head.vp_index = n.vp;
    for (unsigned i = 0; i < reps; i++) {
        in.reg[i].name = take_register(w);
        in.reg[i].value.reg64 = take64(w);
        take(w, (uint8_t *)&in.reg[i].value + 8, 8);
    }
    hypercall(w, &n, &a, &in, sizeof(in.head) + reps * sizeof(in.reg[0]));
}

static void do_get_registers(struct world *w)
{
    struct {
        struct hv_input_vp_registers head;
        uint32_t name[REGISTERS_MAX];
    } in;
    struct number n = number(w);
    memset(&in, 0, sizeof(in));
    uint16_t reps = (uint16_t)(1 + take8(w) % REGISTERS_MAX);
    struct mshv_root_hvcall a = {.code = HVCALL_GET_VP_REGISTERS, .reps = reps};
    in.head.vp_index = n.vp;
    for (unsigned i = 0; i < reps; i++)
        in.name[i] = take_register(w);
    hypercall(w, &n, &a, &in, sizeof(in.head) + reps * sizeof(in.name[0]));
}

/* ---- Running ---- */

/* A thread's first run comes back without having begun. */
static void first_run(struct world *w, const struct number *n)
{
    if (!w->ran)
        w->ran = world_ioctl(w, n, MSHV_RUN_VP, ARG_PLAIN) == -EINTR;
}

static void do_run_kicked(struct world *w)
{
    struct number n = number(w);
    first_run(w, &n);
    world_kick();
    (void)world_ioctl(w, &n, MSHV_RUN_VP, take8(w) % 16 == 0 ? pointer(w) : ARG_PLAIN);
    world_forget_kicks(w);
}

struct program {
    uint8_t bytes[256];
    size_t count;
};

static void put(struct program *p, const void *bytes, size_t count)
{
    memcpy(p->bytes + p->count, bytes, count);
    p->count += count;
}
#define PUT(p, ...) put((p), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* mov r32, imm32 in 16-bit code */
static void put_load(struct program *p, uint8_t gpr, uint64_t value)
{
    PUT(p, 0x66, (uint8_t)(0xb8 + gpr), (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
        (uint8_t)(value >> 24));
}

/* Straight on, all of them; REP counts CX, which is small. */
static void put_snippet(struct world *w, struct program *p)
{
    static const struct {
        uint8_t count, bytes[6];
    } snippets[] = {
        {2, {0x0f, 0xa2}},                   /* cpuid */
        {2, {0x0f, 0x32}},                   /* rdmsr */
        {2, {0x0f, 0x30}},                   /* wrmsr */
        {3, {0x0f, 0x01, 0xc1}},             /* vmcall */
        {3, {0x0f, 0x01, 0xd9}},             /* vmmcall */
        {2, {0xe6, 0x80}},                   /* out 80h, al */
        {3, {0x66, 0xed, 0x90}},             /* in eax, dx */
        {4, {0x67, 0x66, 0x89, 0x03}},       /* mov [ebx], eax */
        {4, {0x67, 0x66, 0x8b, 0x03}},       /* mov eax, [ebx] */
        {5, {0x67, 0xf0, 0x66, 0x01, 0x03}}, /* lock add [ebx], eax */
        {4, {0x67, 0xf3, 0xaa, 0x90}},       /* rep stosb */
        {4, {0x67, 0xf3, 0x6e, 0x90}},       /* rep outsb */
        {4, {0x67, 0xf3, 0x6c, 0x90}},       /* rep insb */
        {2, {0xfb, 0xf4}},                   /* sti; hlt */
        {2, {0xcd, 0x20}},                   /* int 20h */
        {2, {0x0f, 0x0b}},                   /* ud2 */
        {3, {0x0f, 0x22, 0xd8}},             /* mov cr3, eax */
        {3, {0x0f, 0x22, 0xe0}},             /* mov cr4, eax */
        {3, {0x0f, 0x01, 0xd1}},             /* xsetbv */
        {3, {0x0f, 0x09, 0x90}},             /* wbinvd */
    };
    uint8_t which = take8(w) % (sizeof(snippets) / sizeof(snippets[0]));
    uint64_t a = take64(w);
    put_load(p, 0, a);
    put_load(p, 2, a >> 32);
    put_load(p, 1, take64(w));
    put_load(p, 3, take64(w));
    put(p, snippets[which].bytes, snippets[which].count);
}

/* Each vector, in either mode, leads to a port access and back. */
static void set_up_tables(void)
{
    static const uint8_t handler[] = {0xe6, 0x99, 0xcf};                         /* out 99h, al; iret */
    static const uint8_t gate[8] = {0, GUEST_HANDLER >> 8, 8, 0, 0, 0x86, 0, 0}; /* 16-bit */
    static const uint8_t code[8] = {0xff, 0xff, 0, 0, 0, 0x9b, 0, 0};
    memcpy(at(GUEST_RAM) + GUEST_HANDLER, handler, sizeof(handler));
    memcpy(at(GUEST_RAM) + GUEST_GDT + 8, code, sizeof(code));
    for (unsigned i = 0; i < 256; i++) {
        memcpy(at(GUEST_RAM) + i * 4, gate, 2);
        memset(at(GUEST_RAM) + i * 4 + 2, 0, 2);
        memcpy(at(GUEST_RAM) + GUEST_IDT + i * sizeof(gate), gate, sizeof(gate));
    }
}

struct set_up {
    struct hv_input_vp_registers head;
    struct hv_register_assoc reg[10];
};

static void add(struct set_up *in, uint16_t *reps, uint32_t name, union hv_register_value value)
{
    in->reg[(*reps)++] = (struct hv_register_assoc){.name = name, .value = value};
}

static void add64(struct set_up *in, uint16_t *reps, uint32_t name, uint64_t value)
{
    add(in, reps, name, (union hv_register_value){.reg64 = value});
}

/* Real mode, or protected mode with 16-bit code; DS of 4 GiB; straight to the program. Refusals are ignored. */
static void set_up(struct world *w, const struct number *n, bool protected_mode, const struct program *p)
{
    const struct hv_x64_segment_register cs = {.limit = 0xffff, .selector = protected_mode ? 8 : 0, .attributes = 0x9b};
    const struct hv_x64_segment_register ds = {.limit = UINT32_MAX, .attributes = 0xc093};
    const struct hv_x64_table_register gdt = {.base = GUEST_GDT, .limit = 15};
    const struct hv_x64_table_register idt = {.base = protected_mode ? GUEST_IDT : 0, .limit = 0x7ff};
    struct set_up in;
    uint16_t reps = 0;
    memset(&in, 0, sizeof(in));
    in.head.vp_index = n->vp;
    set_up_tables();
    memcpy(at(GUEST_RAM) + GUEST_CODE, p->bytes, sizeof(p->bytes));
    add64(&in, &reps, HV_X64_REGISTER_CR0, protected_mode ? 0x11 : 0x10);
    add(&in, &reps, HV_X64_REGISTER_CS, (union hv_register_value){.segment = cs});
    add(&in, &reps, HV_X64_REGISTER_DS, (union hv_register_value){.segment = ds});
    add(&in, &reps, HV_X64_REGISTER_GDTR, (union hv_register_value){.table = gdt});
    add(&in, &reps, HV_X64_REGISTER_IDTR, (union hv_register_value){.table = idt});
    add64(&in, &reps, HV_X64_REGISTER_RIP, GUEST_CODE);
    add64(&in, &reps, HV_X64_REGISTER_RSP, GUEST_STACK);
    add64(&in, &reps, HV_X64_REGISTER_RFLAGS, 2);
    add64(&in, &reps, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    const struct mshv_root_hvcall a = {
        .code = HVCALL_SET_VP_REGISTERS, .reps = reps, .in_sz = sizeof(in), .in_ptr = HVCALL_IN};
    memcpy(at(HVCALL_IN), &in, sizeof(in));
    memcpy(at(ARG_PLAIN), &a, sizeof(a));
    (void)world_ioctl(w, n, MSHV_ROOT_HVCALL, ARG_PLAIN);
}

/* Behind the instruction, as far as the message tells. */
static void step_over(struct world *w, const struct number *n, const struct hv_message *m)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in;
    struct mshv_root_hvcall a = {.code = HVCALL_SET_VP_REGISTERS, .reps = 1, .in_sz = sizeof(in), .in_ptr = HVCALL_IN};
    struct hv_x64_intercept_message_header h;
    memcpy(&h, m->payload, sizeof(h));
    memset(&in, 0, sizeof(in));
    in.head.vp_index = n->vp;
    in.reg.name = HV_X64_REGISTER_RIP;
    in.reg.value.reg64 = h.rip + (h.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK);
    memcpy(at(HVCALL_IN), &in, sizeof(in));
    memcpy(at(ARG_PLAIN), &a, sizeof(a));
    (void)world_ioctl(w, n, MSHV_ROOT_HVCALL, ARG_PLAIN);
}

static void run_for_a_while(struct world *w, const struct number *n)
{
    for (unsigned i = 0; i < EXITS_MAX; i++) {
        struct hv_message m;
        world_kick_after(w, PATIENCE_NS);
        int result = world_ioctl(w, n, MSHV_RUN_VP, ARG_PLAIN);
        world_forget_kicks(w);
        if (result != 0)
            return;
        memcpy(&m, at(ARG_PLAIN), sizeof(m));
        assert(m.header.message_type != HVMSG_NONE && m.header.payload_size <= sizeof(m.payload));
        if (m.header.message_type != HVMSG_X64_APIC_EOI)
            step_over(w, n, &m);
    }
}

static void do_run(struct world *w)
{
    struct number n = number(w);
    struct program p = {.count = 0};
    uint8_t how = take8(w);
    for (unsigned count = (how & 0x7f) % (SNIPPETS_MAX + 1); count > 0; count--)
        put_snippet(w, &p);
    PUT(&p, 0xe6, 0x98, 0xeb, 0xfc); /* out 98h, al; jmp back */
    first_run(w, &n);
    set_up(w, &n, (how & 0x80) != 0, &p);
    run_for_a_while(w, &n);
}

/* ---- State, pages, numbers ---- */

static void do_state(struct world *w)
{
    struct number n = number(w);
    uint8_t how = take8(w), pages = take8(w);
    struct mshv_get_set_vp_state a = {.type = take8(w) % 6, .buf_ptr = STATE_BUFFER, .buf_sz = MSHV_HV_PAGE_SIZE};
    if (how & 2)
        a.buf_ptr = pointer(w) & ~UINT64_C(0xfff);
    if (how & 4)
        a.buf_sz = pages * MSHV_HV_PAGE_SIZE;
    if (how & 8)
        a.buf_sz = (uint32_t)take64(w);
    if (how & 16)
        a.rsvd[0] = 1;
    if (how & 32)
        take(w, at(STATE_BUFFER), 256);
    (void)request(w, &n, how & 1 ? MSHV_SET_VP_STATE : MSHV_GET_VP_STATE, &a, sizeof(a));
}

static void do_map(struct world *w)
{
    struct number n = number(w);
    uint8_t how = take8(w);
    size_t bytes = (how >> 3 & 7) * (size_t)MSHV_HV_PAGE_SIZE;
    if (how & 0x40)
        bytes += (how & 0x80) != 0 ? SIZE_MAX >> take8(w) % 64 : 1;
    void *out = NULL;
    struct mapping *m = &w->map[w->maps % MAPS_MAX];
    if (w->maps >= MAPS_MAX)
        return;
    int prot = (how & 0x80) != 0 ? PROT_NONE : PROT_READ | PROT_WRITE;
    int result = softhv_mmap(w->s, n.fd, NULL, bytes, prot, MAP_SHARED, (how & 7) * (uint64_t)0x800, &out);
    assert(result <= 0 && result > -4096);
    if (result != 0)
        return;
    *m = (struct mapping){.at = out, .bytes = bytes, .writable = prot != PROT_NONE};
    w->maps++;
}

static void do_edit_page(struct world *w)
{
    const struct mapping *m = &w->map[take8(w) % MAPS_MAX];
    uint16_t offset = take16(w) % MSHV_HV_PAGE_SIZE & 0xff8;
    uint64_t value = take64(w);
    if (m->at != NULL && m->writable)
        memcpy((uint8_t *)m->at + offset, &value, sizeof(value));
}

static void do_close(struct world *w)
{
    world_close(w, take8(w) % NUMBERS);
}

static void do_dup(struct world *w)
{
    struct number n = number(w);
    if (softhv_owns(w->s, n.fd))
        world_keep(w, dup(n.fd), n.vp);
}

/* Any number of any size, on memory the input has filled; those that follow pointers are left to the actions above. */
static void do_raw(struct world *w)
{
    struct number n = number(w);
    uint32_t request = (uint32_t)take64(w);
    static const uint32_t inner[] = {MSHV_ROOT_HVCALL,  MSHV_SET_GUEST_MEMORY, MSHV_GET_GPAP_ACCESS_BITMAP,
                                     MSHV_GET_VP_STATE, MSHV_SET_VP_STATE,     MSHV_RUN_VP,
                                     MSHV_CREATE_VP,    MSHV_CREATE_PARTITION};
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++)
        if (request == inner[i])
            return;
    take(w, at(ARG_PLAIN), 64);
    (void)world_ioctl(w, &n, request, take8(w) & 1 ? pointer(w) : ARG_PLAIN);
}

static void do_event(struct world *w)
{
    uint8_t how = take8(w);
    uint64_t value = take8(w) + UINT64_C(1);
    if (how & 0x80)
        (void)!read(w->event[how % EVENTS], &value, sizeof(value));
    else
        (void)!write(w->event[how % EVENTS], &value, sizeof(value));
}

static void do_fill(struct world *w)
{
    uint16_t offset = take16(w) & 0xfff8;
    take(w, at(GUEST_RAM) + offset, 8);
}

static void do_foreign(struct world *w)
{
    const struct number foreign = {.fd = w->event[take8(w) % EVENTS]};
    assert(world_ioctl(w, &foreign, (uint32_t)take64(w), 0) == -EBADF);
}

/* ---- All together ---- */

/* Takes nothing from the input. */
static int plain(struct world *w, unsigned on, uint32_t request, const void *arg, size_t bytes)
{
    memcpy(at(ARG_PLAIN), arg, bytes);
    return world_ioctl(w, &w->number[on], request, ARG_PLAIN);
}

/* An initialised partition with memory and a VP, so that short inputs get far. Its numbers are the first three. */
static void first_vm(struct world *w)
{
    const struct mshv_create_partition p = {.pt_flags = 3};
    const struct mshv_user_mem_region m = {.size = GUEST_RAM_BYTES, .userspace_addr = GUEST_RAM, .flags = 3};
    const struct mshv_create_vp v = {.vp_index = 0};
    world_keep(w, softhv_open(w->s, 0), 0);
    world_keep(w, plain(w, 0, MSHV_CREATE_PARTITION, &p, sizeof(p)), 0);
    assert(plain(w, 1, MSHV_INITIALIZE_PARTITION, &p, 0) == 0);
    assert(plain(w, 1, MSHV_SET_GUEST_MEMORY, &m, sizeof(m)) == 0);
    world_keep(w, plain(w, 1, MSHV_CREATE_VP, &v, sizeof(v)), 0);
    assert(w->numbers == 3);
    w->partitions = w->vps = 1;
}

static void act(struct world *w)
{
    static void (*const actions[])(struct world *) = {
        do_open,   do_create, do_initialise,    do_create_vp,     do_memory,    do_irqfd,      do_ioeventfd,
        do_routes, do_bitmap, do_hypercall,     do_hypercall,     do_hypercall, do_run_kicked, do_run,
        do_run,    do_state,  do_set_registers, do_get_registers, do_map,       do_edit_page,  do_close,
        do_dup,    do_raw,    do_event,         do_fill,          do_foreign,
    };
    actions[take8(w) % (sizeof(actions) / sizeof(actions[0]))](w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    world_init(&w, data, size);
    uint8_t how = take8(&w);
    world_start(&w, (enum softhv_kernel)(how % 4));
    if ((how & 0x80) == 0)
        first_vm(&w);
    for (unsigned i = 0; i < ACTIONS_MAX && w.left > 0; i++)
        act(&w);
    world_fini(&w);
    return 0;
}
