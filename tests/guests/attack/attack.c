/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/attack.h"

#define LOST_CODE   99u
#define STACK_BYTES 0x4000u
#define GATE        0x8e00u
#define NMI         2u
#define EXCEPTIONS  32u

#define LAPIC_EOI      0xb0u
#define LAPIC_SPURIOUS 0xf0u
#define LAPIC_ICR_LOW  0x300u
#define LAPIC_ICR_HIGH 0x310u
#define ICR_INIT       0x4500u
#define ICR_STARTUP    0x4600u

/* What start.S pushes, and the processor before it. */
struct frame {
    uint64_t gpr[15]; /* R15 to RAX */
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
#define FRAME_RAX 14
#define CS_KERNEL 0x08u
#define SS_KERNEL 0x10u

extern uint8_t stubs[], other_stacks[], attempt_over[];
extern uint64_t gdt_task[2];

void attack_main(struct machine *m);
void attack_other(struct machine *m, unsigned cpu);
void attack_trap(struct machine *m, struct frame *f);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

/* ---- What the compiler may call ---- */

void *memcpy(void *to, const void *from, size_t n)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int value, size_t n)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(value) : "memory");
    return to;
}

/* ---- Words and ends ---- */

void say(const char *text)
{
    for (; *text != '\0'; text++)
        out8(COM1, (uint8_t)*text);
}

void say_number(uint64_t value)
{
    char text[17];
    for (unsigned i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    text[16] = '\0';
    say(text);
}

void ready(void)
{
    say("ready\n");
}

void stand_still(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

void leave(uint8_t code)
{
    out8(EXIT_PORT, code);
    stand_still();
}

void lost(const char *what, unsigned line)
{
    say("\nlost: ");
    say(what);
    say(" (line ");
    say_number(line);
    say(")\n");
    leave(LOST_CODE);
}

/* ---- Memory, numbers, time ---- */

void *memory_take(struct machine *m, uint64_t bytes)
{
    uint64_t at = m->heap;
    m->heap += (bytes + PAGE - 1) & ~(PAGE - 1);
    must(m->heap <= HEAP_END, "no memory left for the attack");
    return memset(pointer_to(at), 0, m->heap - at);
}

/* xorshift64* */
uint64_t random_next(struct machine *m)
{
    uint64_t x = m->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    m->random = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

void pause_for(uint64_t turns)
{
    for (; turns > 0; turns--)
        __asm__ volatile("pause");
}

uint64_t now_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

bool text_is(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* ---- Exceptions and interrupts ---- */

static unsigned cpu_of(const struct frame *f)
{
    /* Ring 3 is of processor 0 alone, whose stack for that lies elsewhere. */
    uint64_t at = address_of(f), first = address_of(other_stacks);
    return at < first || at >= first + CPUS_MAX * STACK_BYTES ? 0 : (unsigned)((at - first) / STACK_BYTES);
}

static void report(const struct frame *f)
{
    uint64_t cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    say("\nexception ");
    say_number(f->vector);
    say(" code ");
    say_number(f->error);
    say(" at ");
    say_number(f->rip);
    say(" CR2 ");
    say_number(cr2);
    lost("an exception nobody expected", (unsigned)f->vector);
}

void attack_trap(struct machine *m, struct frame *f)
{
    struct cpu *cpu = &m->cpu[cpu_of(f)];
    __atomic_fetch_add(&m->interrupts[f->vector], 1, __ATOMIC_RELAXED);
    if (f->vector >= EXCEPTIONS) {
        if (m->hook != NULL)
            m->hook(m, (unsigned)f->vector);
        if (m->keep_eoi == 0)
            lapic_write(LAPIC_EOI, 0);
        return;
    }
    if (f->vector == NMI)
        return;
    if (cpu->resume == 0)
        report(f);
    f->rip = cpu->resume;
    f->rsp = cpu->stack;
    f->cs = CS_KERNEL;
    f->ss = SS_KERNEL;
    f->gpr[FRAME_RAX] = f->vector + 1;
}

static void make_idt(struct machine *m)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t at = address_of(stubs) + i * STUB_BYTES;
        m->idt[2 * i] = (at & 0xffff) | (uint64_t)CS_KERNEL << 16 | (uint64_t)GATE << 32 | (at >> 16 & 0xffff) << 48;
        m->idt[2 * i + 1] = at >> 32;
    }
    m->idt_pointer.limit = sizeof(m->idt) - 1;
    m->idt_pointer.base = address_of(m->idt);
}

/* For interrupts out of ring 3: the stack at the upper end of the heap. */
static void make_task(struct machine *m)
{
    uint64_t at = address_of(m->task), stack = RAM_END - PAGE;
    memcpy(m->task + 4, &stack, sizeof(stack));
    gdt_task[0] = (sizeof(m->task) - 1) | (at & 0xffffff) << 16 | UINT64_C(0x89) << 40 | (at >> 24 & 0xff) << 56;
    gdt_task[1] = at >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TASK));
}

/* ---- Model-specific registers ---- */

struct msr {
    uint32_t number, low, high;
};

static void do_wrmsr(void *ctx)
{
    const struct msr *r = ctx;
    __asm__ volatile("wrmsr" : : "c"(r->number), "a"(r->low), "d"(r->high) : "memory");
}

static void do_rdmsr(void *ctx)
{
    struct msr *r = ctx;
    __asm__ volatile("rdmsr" : "=a"(r->low), "=d"(r->high) : "c"(r->number) : "memory");
}

bool msr_write(struct machine *m, unsigned cpu, uint32_t msr, uint64_t value)
{
    struct msr r = {msr, (uint32_t)value, (uint32_t)(value >> 32)};
    return attempt(&m->cpu[cpu], do_wrmsr, &r) == 0;
}

bool msr_read(struct machine *m, unsigned cpu, uint32_t msr, uint64_t *value)
{
    struct msr r = {msr, 0, 0};
    bool good = attempt(&m->cpu[cpu], do_rdmsr, &r) == 0;
    *value = (uint64_t)r.high << 32 | r.low;
    return good;
}

/* ---- Interrupt controllers ---- */

void lapic_write(uint32_t reg, uint32_t value)
{
    set32(LAPIC + reg, value);
}

uint32_t lapic_read(uint32_t reg)
{
    return get32(LAPIC + reg);
}

void lapic_on(void)
{
    lapic_write(LAPIC_SPURIOUS, 0x1ff);
}

void ipi(uint8_t to, uint32_t command)
{
    lapic_write(LAPIC_ICR_HIGH, (uint32_t)to << 24);
    lapic_write(LAPIC_ICR_LOW, command);
}

void ioapic_write(uint32_t reg, uint32_t value)
{
    set32(IOAPIC, reg);
    set32(IOAPIC + 0x10, value);
}

uint32_t ioapic_read(uint32_t reg)
{
    set32(IOAPIC, reg);
    return get32(IOAPIC + 0x10);
}

/* ---- Other processors ---- */

void attack_other(struct machine *m, unsigned cpu)
{
    __asm__ volatile("lidt %0" : : "m"(m->idt_pointer));
    lapic_on();
    __atomic_fetch_add(&m->others, 1, __ATOMIC_RELEASE);
    m->work(m, cpu);
    __atomic_fetch_add(&m->stopped, 1, __ATOMIC_RELEASE);
}

void others_start(struct machine *m, unsigned n, void (*work)(struct machine *m, unsigned cpu))
{
    m->work = work;
    __atomic_store_n(&m->others, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&m->stopped, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&m->stop, 0, __ATOMIC_RELEASE);
    for (unsigned i = 1; i <= n; i++) {
        ipi((uint8_t)i, ICR_INIT);
        ipi((uint8_t)i, ICR_STARTUP | TRAMPOLINE_PAGE);
    }
    while (load32(&m->others) < n)
        pause_for(1);
}

void others_stop(struct machine *m, unsigned n)
{
    __atomic_store_n(&m->stop, 1, __ATOMIC_RELEASE);
    while (load32(&m->stopped) < n)
        pause_for(1);
}

/* ---- Start ---- */

static const char *last_word(const char *line)
{
    const char *word = line;
    for (; *line != '\0'; line++)
        if (*line == ' ')
            word = line + 1;
    return word;
}

/* Says what there is, for the test that compares it with the catalogue. */
static void list(void)
{
    for (const struct attack *a = attacks; a->name != NULL; a++) {
        say(a->name);
        say("\n");
    }
    leave(0);
}

void attack_main(struct machine *m)
{
    const char *name = last_word(m->command_line);
    m->heap = HEAP;
    m->random = UINT64_C(0x9e3779b97f4a7c15);
    make_idt(m);
    make_task(m);
    __asm__ volatile("lidt %0" : : "m"(m->idt_pointer));
    if (text_is(name, "list"))
        list();
    for (const struct attack *a = attacks; a->name != NULL; a++)
        if (text_is(a->name, name)) {
            lapic_on();
            ready();
            a->run(m);
            interrupts_off();
            say("\nend\n");
            stand_still();
        }
    lost("no such attack", __LINE__);
}
