/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define OS_ID         0x40000000u
#define HYPERCALL     0x40000001u
#define REFERENCE_TSC 0x40000021u
#define ASSIST        0x40000073u
#define SCONTROL      0x40000080u
#define SIEFP         0x40000082u
#define SIMP          0x40000083u
#define SINT(n)       (0x40000090u + (n))
#define STIMER_CONFIG 0x400000b0u
#define STIMER_COUNT  0x400000b1u
#define ENABLED       UINT64_C(1)
#define FAST          (UINT64_C(1) << 16)

#define FLUSH_SPACE   2u
#define FLUSH_LIST    3u
#define SEND_IPI      0x0bu
#define FLUSH_LIST_EX 0x14u
#define SEND_IPI_EX   0x15u

struct call {
    uint64_t page, control, in, out, result;
};

static void do_call(void *ctx)
{
    struct call *c = ctx;
    uint64_t control = c->control, in = c->in, result;
    register uint64_t out __asm__("r8") = c->out;
    __asm__ volatile("call *%[page]"
                     : "=a"(result), "+c"(control), "+d"(in), "+r"(out)
                     : [page] "r"(c->page)
                     : "memory", "cc", "r9", "r10", "r11");
    c->result = result;
}

/* The low 16 bits of the result, or 0x10000 + the vector of an exception. */
static unsigned call(struct machine *m, struct call *c, uint64_t control, uint64_t in, uint64_t out)
{
    c->control = control;
    c->in = in;
    c->out = out;
    unsigned trap = attempt(&m->cpu[0], do_call, c);
    return trap != 0 ? 0x10000 + trap - 1 : (unsigned)(c->result & 0xffff);
}

static struct call calls_on(struct machine *m)
{
    struct call c = {.page = address_of(memory_take(m, PAGE))};
    must(msr_write(m, 0, OS_ID, UINT64_C(0x8100) << 48), "no OS id");
    must(msr_write(m, 0, HYPERCALL, c.page | ENABLED), "no hypercall page");
    return c;
}

static void must_be_well(struct machine *m, struct call *c)
{
    uint64_t in = address_of(memory_take(m, PAGE));
    set64(in + 8, 3); /* all processors, all spaces */
    must(call(m, c, FLUSH_SPACE, in, 0) == 0, "a hypercall that is right is refused after the attack");
    all_must_work(m);
}

/* ---- Hypercalls ---- */

/* Those that are there get a mask without processors or a list without pages. */
static void every_call_code(struct machine *m)
{
    struct call c = calls_on(m);
    uint64_t page = address_of(memory_take(m, 2 * PAGE));
    for (unsigned code = 0; code <= 0xffff; code += code < 0x200 || code > 0x7ff0 ? 1 : 7) {
        (void)call(m, &c, code, page, page + PAGE);
        if (code < 0x200)
            (void)call(m, &c, code | FAST, 0, 0);
    }
    must_be_well(m, &c);
}

static void control_words_at_random(struct machine *m)
{
    static const uint16_t codes[] = {2, 3, 8, 0x0b, 0x13, 0x14, 0x15, 0x46, 0x5c, 0x5d, 0x8001, 0x7e, 0xaf};
    struct call c = calls_on(m);
    uint64_t page = address_of(memory_take(m, 2 * PAGE));
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t x = random_next(m);
        set64(page + (x & 0xff8), random_next(m));
        set64(page + (x >> 12 & 0xff8), 0);
        uint64_t control = codes[i % 13] | (random_next(m) & ~UINT64_C(0xffff));
        /* IPIs of random vectors would be taken for exceptions by the guest itself. */
        set64(page, (get64(page) & 0xff) | 0x20);
        if (codes[i % 13] == SEND_IPI && (control & FAST) != 0)
            control &= ~FAST;
        (void)call(m, &c, i & 1 ? control : control & UINT64_C(0xfff0fff0001ffff), i & 2 ? page : x, page + PAGE);
    }
    must_be_well(m, &c);
}

static const uint64_t places[] = {
    1,    RAM_END,           RAM_END - 8, HOLE,           BAR(SLOT_DISK),        LAPIC,
    ECAM, UINT64_C(1) << 52, UINT64_MAX,  UINT64_MAX - 7, UINT64_C(0x100000000), 0xff8,
};

static void parameters_out_of_memory(struct machine *m)
{
    struct call c = calls_on(m);
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (unsigned code = 0; code < 0x80; code++) {
            unsigned status = call(m, &c, code, places[i], places[i]);
            must(status != 0, "a hypercall takes parameters from where there is no memory");
            (void)call(m, &c, code | UINT64_C(400) << 32, places[i], places[(i + 3) % 12]);
        }
    must_be_well(m, &c);
}

static void repeat_counts(struct machine *m)
{
    struct call c = calls_on(m);
    uint64_t page = address_of(memory_take(m, PAGE));
    set64(page + 16, 3);
    for (unsigned i = 24; i < PAGE; i += 8)
        set64(page + i, UINT64_MAX);
    for (uint64_t count = 0; count < 4096; count += 63)
        for (uint64_t start = 0; start < 4096; start += 601) {
            (void)call(m, &c, FLUSH_LIST | count << 32 | start << 48, page, 0);
            (void)call(m, &c, FLUSH_LIST_EX | count << 32 | start << 48 | (count & 0x3ff) << 17, page, 0);
        }
    must(call(m, &c, FLUSH_LIST | UINT64_C(509) << 32, page, 0) == 0, "the longest list is refused");
    must_be_well(m, &c);
}

static void flush_other(struct machine *m, unsigned cpu)
{
    (void)cpu;
    uint64_t sum = 0;
    for (uint64_t at = HEAP; !is_stopping(m); at = at + PAGE < HEAP_END ? at + PAGE : HEAP)
        sum += get64(at);
    must(sum != 1, "not a sum of zeroes");
}

static void flush_and_ipi_storm(struct machine *m)
{
    struct call c = calls_on(m);
    uint64_t page = address_of(memory_take(m, PAGE));
    others_start(m, 1, flush_other);
    for (unsigned i = 0; i < 300; i++) {
        set64(page + 8, 3);
        set64(page + 16, UINT64_MAX);
        must(call(m, &c, FLUSH_SPACE, page, 0) == 0, "a flush is refused");
        (void)call(m, &c, SEND_IPI | FAST, 0x55, UINT64_MAX);
    }
    others_stop(m, 1);
    must_be_well(m, &c);
}

static void user_calls(void *ctx)
{
    const struct call *c = ctx;
    /* IRET to ring 3, which calls and is thrown out by the exception; its stack is the caller's. */
    __asm__ volatile("mov %%rsp, %%rax\n\tpushq $0x23\n\tpush %%rax\n\tpushq $2\n\tpushq $0x1b\n\t"
                     "lea 1f(%%rip), %%rax\n\tpush %%rax\n\tiretq\n1:\tmov %0, %%rax\n\tcall *%%rax\n\tud2"
                     :
                     : "r"(c->page)
                     : "rax", "memory");
}

/* Pages of the program are given to ring 3 for this. */
static void call_from_user_mode(struct machine *m)
{
    struct call c = calls_on(m);
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    uint64_t pdpt = get64(cr3) & ~(PAGE - 1), directory = get64(pdpt) & ~(PAGE - 1);
    set64(cr3, get64(cr3) | 4);
    set64(pdpt, get64(pdpt) | 4);
    for (unsigned i = 0; i < 32; i++)
        set64(directory + 8 * i, get64(directory + 8 * i) | 4);
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
    for (unsigned i = 0; i < 100; i++)
        must(attempt(&m->cpu[0], user_calls, &c) == 7, "a hypercall of ring 3 is no undefined instruction");
    must_be_well(m, &c);
}

/* ---- Pages over pages ---- */

static const uint32_t overlays[] = {HYPERCALL, REFERENCE_TSC, ASSIST, SIEFP, SIMP};

/* Over memory that is there, over devices, over nothing, over each other, thousands of times. */
static void overlays_everywhere(struct machine *m)
{
    struct call c = calls_on(m);
    static const uint64_t at[] = {HEAP_END - PAGE,         BAR(SLOT_RNG), LAPIC, IOAPIC, ECAM, HOLE, RAM_END, 0,
                                  UINT64_C(0xfffffffff000)};
    (void)msr_write(m, 0, SCONTROL, 1);
    for (unsigned i = 0; i < 2000; i++) {
        (void)msr_write(m, 0, overlays[i % 5], at[(i / 5) % 9] | (i & 1 ? ENABLED : 0));
        if (i % 16 == 0)
            for (unsigned k = 0; k < 7; k++)
                (void)get32(at[k]);
    }
    for (unsigned i = 1; i < 5; i++)
        (void)msr_write(m, 0, overlays[i], 0);
    must(msr_write(m, 0, HYPERCALL, c.page | ENABLED), "no hypercall page after the attack");
    must_be_well(m, &c);
}

/* The messages' page over a ring in use: the device's ring is below it, and gets what was posted before. */
static void messages_over_rings(struct machine *m)
{
    struct ring r;
    struct call c = calls_on(m);
    (void)msr_write(m, 0, SCONTROL, 1);
    (void)msr_write(m, 0, SINT(2), 0x72);
    for (unsigned part = 0; part < 60; part++) {
        uint64_t heap = m->heap;
        uint32_t bytes;
        device_begin(SLOT_RNG, 0);
        ring_make(m, &r, SLOT_RNG, 0);
        device_ok(SLOT_RNG);
        ring_set(&r, 0, address_of(memory_take(m, PAGE)), 64, WRITE, 0);
        const volatile void *over[] = {r.desc, r.avail, r.used};
        (void)msr_write(m, 0, part & 4 ? SIEFP : SIMP, address_of(over[part % 3]) | ENABLED);
        (void)msr_write(m, 0, STIMER_COUNT, 1);
        (void)msr_write(m, 0, STIMER_CONFIG, 3 | 2 << 16);
        interrupts_on();
        for (uint16_t i = 0; i < 4; i++) {
            ring_post(&r, 0);
            ring_kick(&r);
            (void)ring_try(&r, &bytes);
        }
        interrupts_off();
        (void)msr_write(m, 0, STIMER_CONFIG, 0);
        (void)msr_write(m, 0, SIMP, 0);
        (void)msr_write(m, 0, SIEFP, 0);
        ring_kick(&r);
        device_reset(SLOT_RNG);
        m->heap = heap;
    }
    must_be_well(m, &c);
}

/* The pages over those that translate addresses, and over the code that runs. */
static void overlay_at_random(struct machine *m, unsigned cpu)
{
    uint64_t x = cpu + 3;
    while (!is_stopping(m)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (void)msr_write(m, cpu, x & 1 ? SIMP : SIEFP, (HEAP_END - (x >> 8 & 7) * PAGE) | (x >> 4 & 1));
        (void)msr_write(m, cpu, ASSIST, (HEAP_END - (x >> 16 & 7) * PAGE) | (x >> 5 & 1));
    }
    (void)msr_write(m, cpu, SIMP, 0);
    (void)msr_write(m, cpu, SIEFP, 0);
    (void)msr_write(m, cpu, ASSIST, 0);
}

static void overlays_move_while_used(struct machine *m)
{
    struct call c = calls_on(m);
    struct ring r;
    device_begin(SLOT_RNG, 0);
    ring_make(m, &r, SLOT_RNG, 0);
    device_ok(SLOT_RNG);
    others_start(m, 1, overlay_at_random);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t at = HEAP_END - (i & 7) * PAGE;
        set64(at + 8 * (i & 0x1ff), i);
        (void)get64(at + 4096 - 4);
        ring_set(&r, (uint16_t)(i % r.size), at + 16, 512, WRITE, 0);
        ring_post(&r, (uint16_t)(i % r.size));
        ring_kick(&r);
        must(ring_take(&r) == 512, "no random numbers under an overlay");
    }
    others_stop(m, 1);
    must_be_well(m, &c);
}

/* Registers that are not there, or not writable, or not a guest's. */
static void every_synthetic_register(struct machine *m)
{
    (void)calls_on(m);
    for (uint32_t msr = 0x40000000; msr < 0x40000200; msr++) {
        uint64_t value;
        /* Reading this one halts; those report the guest's end. */
        if (msr == 0x400000f0 || (msr >= 0x40000100 && msr <= 0x40000105))
            continue;
        (void)msr_read(m, 0, msr, &value);
        if (msr >= 0x40000070 && msr <= 0x40000072)
            continue;
        for (unsigned i = 0; i < 8; i++)
            (void)msr_write(m, 0, msr, i == 0 ? UINT64_MAX : random_next(m) & ~UINT64_C(1));
        (void)msr_write(m, 0, msr, 0);
    }
    /* The hypercall page stays where it was locked; the rest is a machine as ever. */
    all_must_work(m);
}

static void every_register_of_the_processor(struct machine *m)
{
    for (uint32_t i = 0; i < 0x2000; i++) {
        uint64_t value;
        uint32_t msr = i < 0x1000 ? i : 0xc0000000 + (i & 0xfff);
        /* The APIC's, EFER and segment bases would end the attack; the x2APIC's are another one. */
        if (msr == 0x1b || msr == 0xc0000080 || (msr >= 0x800 && msr < 0x900))
            continue;
        if (msr_read(m, 0, msr, &value)) {
            (void)msr_write(m, 0, msr, UINT64_MAX);
            (void)msr_write(m, 0, msr, random_next(m));
            (void)msr_write(m, 0, msr, value);
        }
    }
    all_must_work(m);
}

const struct attack attacks[] = {
    {"every_call_code", every_call_code},
    {"control_words_at_random", control_words_at_random},
    {"parameters_out_of_memory", parameters_out_of_memory},
    {"repeat_counts", repeat_counts},
    {"flush_and_ipi_storm", flush_and_ipi_storm},
    {"call_from_user_mode", call_from_user_mode},
    {"overlays_everywhere", overlays_everywhere},
    {"messages_over_rings", messages_over_rings},
    {"overlays_move_while_used", overlays_move_while_used},
    {"every_synthetic_register", every_synthetic_register},
    {"every_register_of_the_processor", every_register_of_the_processor},
    {NULL, NULL},
};
