/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define LVT_TIMER    0x320u
#define INITIAL      0x380u
#define CURRENT      0x390u
#define DIVIDE       0x3e0u
#define PERIODIC     (1u << 17)
#define DEADLINE     (2u << 17)
#define MASKED       (1u << 16)
#define TSC_DEADLINE 0x6e0u
#define VECTOR       0x58u

#define STIMER_CONFIG(n) (0x400000b0u + 2 * (n))
#define STIMER_COUNT(n)  (0x400000b1u + 2 * (n))
#define ENABLE           UINT64_C(1)
#define STIMER_PERIODIC  UINT64_C(2)
#define LAZY             UINT64_C(4)
#define AUTO             UINT64_C(8)
#define DIRECT           UINT64_C(0x1000)
#define SCONTROL         0x40000080u
#define SIMP             0x40000083u
#define EOM              0x40000084u
#define SINT(n)          (0x40000090u + (n))

static void timers_off(struct machine *m, unsigned cpu)
{
    lapic_write(LVT_TIMER, MASKED);
    lapic_write(INITIAL, 0);
    for (unsigned n = 0; n < 4; n++)
        (void)msr_write(m, cpu, STIMER_CONFIG(n), 0);
}

/* So many turns with interrupts on; then all is quiet and well. */
static void bear(struct machine *m, uint64_t turns)
{
    uint64_t words[64] = {0};
    interrupts_on();
    for (uint64_t i = 0; i < turns; i++)
        words[i & 63] += i;
    interrupts_off();
    timers_off(m, 0);
    must(words[63] + turns > 0, "no work was done");
    all_must_work(m);
}

/* ---- The APIC's timer ---- */

static void apic_periods_of_nothing(struct machine *m)
{
    lapic_write(DIVIDE, 0xb);
    lapic_write(LVT_TIMER, PERIODIC | VECTOR);
    lapic_write(INITIAL, 1);
    bear(m, 3000000);
    must(load32(&m->interrupts[VECTOR]) > 0, "the timer never expired");
}

static void apic_dividers_and_modes(struct machine *m)
{
    interrupts_on();
    for (unsigned i = 0; i < 20000; i++) {
        lapic_write(DIVIDE, i & 0xf);
        lapic_write(LVT_TIMER, (i & 3) << 17 | VECTOR);
        lapic_write(INITIAL, i & 4 ? UINT32_MAX : i & 7);
        (void)lapic_read(CURRENT);
    }
    bear(m, 1000);
}

/* Exceptions' vectors, and those that cannot be. */
static void apic_vectors_that_are_none(struct machine *m)
{
    for (unsigned vector = 0; vector < 16; vector++) {
        lapic_write(DIVIDE, 0xb);
        lapic_write(LVT_TIMER, PERIODIC | vector);
        lapic_write(INITIAL, 1);
        bear(m, 100000);
    }
}

static void deadlines_in_the_past(struct machine *m)
{
    lapic_write(LVT_TIMER, DEADLINE | VECTOR);
    interrupts_on();
    for (unsigned i = 0; i < 20000; i++)
        (void)msr_write(m, 0, TSC_DEADLINE, i & 1 ? 1 : now_tsc() + (i & 2 ? UINT64_MAX / 2 : 0));
    (void)msr_write(m, 0, TSC_DEADLINE, UINT64_MAX);
    (void)msr_write(m, 0, TSC_DEADLINE, 0);
    bear(m, 1000);
}

/* ---- Synthetic timers ---- */

static void arm_all(struct machine *m, unsigned cpu, uint64_t more)
{
    for (unsigned n = 0; n < 4; n++) {
        (void)msr_write(m, cpu, STIMER_COUNT(n), 1);
        (void)msr_write(m, cpu, STIMER_CONFIG(n), ENABLE | STIMER_PERIODIC | more | (uint64_t)(VECTOR + n) << 4);
    }
}

static void other_timers(struct machine *m, unsigned cpu)
{
    uint64_t turns = 0;
    arm_all(m, cpu, DIRECT);
    lapic_write(DIVIDE, 0xb);
    lapic_write(LVT_TIMER, PERIODIC | VECTOR);
    lapic_write(INITIAL, 1);
    interrupts_on();
    while (!is_stopping(m))
        turns++;
    interrupts_off();
    timers_off(m, cpu);
    must(turns > 0, "the other processor came to nothing");
}

/* All timers of both processors, each with the shortest period there is. */
static void synthetic_periods_of_nothing(struct machine *m)
{
    others_start(m, 1, other_timers);
    arm_all(m, 0, DIRECT);
    interrupts_on();
    for (volatile unsigned i = 0; i < 3000000; i++)
        ;
    interrupts_off();
    others_stop(m, 1);
    bear(m, 1000);
    must(load32(&m->interrupts[VECTOR + 1]) > 0, "no synthetic timer expired");
}

static void synthetic_messages_nobody_takes(struct machine *m)
{
    uint64_t page = address_of(memory_take(m, PAGE));
    (void)msr_write(m, 0, SCONTROL, 1);
    (void)msr_write(m, 0, SIMP, page | 1);
    for (unsigned n = 0; n < 16; n++)
        (void)msr_write(m, 0, SINT(n), 0x70 + n);
    for (unsigned round = 0; round < 200; round++) {
        for (uint64_t n = 0; n < 4; n++) {
            (void)msr_write(m, 0, STIMER_COUNT((unsigned)n), 1);
            (void)msr_write(m, 0, STIMER_CONFIG((unsigned)n), ENABLE | STIMER_PERIODIC | (n + 1) << 16);
        }
        interrupts_on();
        pause_for(2000);
        interrupts_off();
        if (round & 1)
            (void)msr_write(m, 0, EOM, 0);
        if (round & 2)
            set32(page + 256, 0);
    }
    (void)msr_write(m, 0, SIMP, 0);
    (void)msr_write(m, 0, SCONTROL, 0);
    bear(m, 1000);
}

static void synthetic_registers_at_random(struct machine *m)
{
    interrupts_on();
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t x = random_next(m);
        uint64_t config = (x & 0xfff0f00f & ~UINT64_C(0xff0)) | (uint64_t)(VECTOR + (x >> 40 & 7)) << 4;
        (void)msr_write(m, 0, STIMER_CONFIG((unsigned)(x >> 60 & 3)),
                        i & 1 ? config : (config & (DIRECT | LAZY | AUTO | 0xff3)));
        (void)msr_write(m, 0, STIMER_COUNT((unsigned)(x >> 58 & 3)), i & 2 ? random_next(m) : x >> 50);
    }
    bear(m, 1000);
}

const struct attack attacks[] = {
    {"apic_periods_of_nothing", apic_periods_of_nothing},
    {"apic_dividers_and_modes", apic_dividers_and_modes},
    {"apic_vectors_that_are_none", apic_vectors_that_are_none},
    {"deadlines_in_the_past", deadlines_in_the_past},
    {"synthetic_periods_of_nothing", synthetic_periods_of_nothing},
    {"synthetic_messages_nobody_takes", synthetic_messages_nobody_takes},
    {"synthetic_registers_at_random", synthetic_registers_at_random},
    {NULL, NULL},
};
