/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what a hostile guest can say to the hypervisor: MSRs, hypercalls with parameters in memory, CPUID, time
 * that passes, message slots it empties; and, between them, messages and events of the VMM.
 *
 * Input: actions of 20 bytes: kind, a byte, u16, u64, u64. A rest shorter than that is ignored. Checked: one call does
 * bounded work, a read after a granted write is granted, time never runs backwards.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "tests/vmm/softhv/hv_rig.h"
#include "vmm/softhv/hvcpuid.h"
#include "vmm/softhv/hvguest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTION_BYTES 20u
#define PARAM        UINT64_C(0x10000)

struct world {
    struct rig *rig;
    struct softhv_cpuid_table table;
    uint8_t memory[4096]; /* at PARAM */
    unsigned ranges;
};

struct action {
    uint8_t kind, small;
    uint16_t medium;
    uint64_t a, b;
};

static bool hook_read(void *ctx, uint64_t gpa, void *buf, uint32_t len)
{
    struct world *w = ctx;
    if (gpa < PARAM || gpa - PARAM + len > sizeof(w->memory))
        return false;
    memcpy(buf, w->memory + (gpa - PARAM), len);
    return true;
}

static bool hook_write(void *ctx, uint64_t gpa, const void *buf, uint32_t len)
{
    struct world *w = ctx;
    if (gpa < PARAM || gpa - PARAM + len > sizeof(w->memory))
        return false;
    memcpy(w->memory + (gpa - PARAM), buf, len);
    return true;
}

static bool hook_flush(void *ctx, const struct softhv_vp_set *set, const struct softhv_flush *flush)
{
    struct world *w = ctx;
    w->ranges += flush->count;
    for (unsigned i = 0; i < flush->count; i++)
        assert(flush->ranges[i].pages >= 1 && flush->ranges[i].pages <= 4096);
    return !softhv_vp_set_has(set, 7); /* VP 7 is slow */
}

static void hook_ipi(void *ctx, const struct softhv_vp_set *set, uint8_t vector)
{
    (void)ctx;
    (void)set;
    assert(vector >= HV_IPI_LOW_VECTOR);
}

static const struct softhv_call_ops call_ops = {
    .read = hook_read, .write = hook_write, .flush = hook_flush, .ipi = hook_ipi};

static struct softhv_hv_vp *vp_of(struct world *w, const struct action *a)
{
    return &w->rig->vps[a->small & 1].vp;
}

/* Numbers near those that exist. */
static uint32_t msr_of(const struct action *a)
{
    static const uint32_t bases[] = {0x40000000, 0x40000080, 0x200, 0};
    return bases[a->small >> 6] + (a->medium & 0x3ff);
}

static void do_write(struct world *w, const struct action *a)
{
    uint64_t v;
    uint32_t msr = msr_of(a);
    bool write_only = msr == HV_MSR_EOI || msr == 0x79;
    if (softhv_msr_guest_write(vp_of(w, a), msr, a->a) == SOFTHV_MSR_OK && !write_only && msr != 0x80f)
        assert(softhv_msr_guest_read(vp_of(w, a), msr, &v) == SOFTHV_MSR_OK);
}

static void do_vmm_write(struct world *w, const struct action *a)
{
    (void)softhv_msr_write(vp_of(w, a), msr_of(a), SOFTHV_BY_VMM, a->a);
}

static void do_call(struct world *w, const struct action *a)
{
    struct softhv_call c = {.wide = (a->small & 2) != 0, .protected_mode = true, .cpl = (a->small & 12) == 12 ? 3 : 0};
    unsigned before = w->ranges;
    c.gpr[1] = a->a;
    c.gpr[2] = c.wide ? PARAM + (a->b & 0xff8) : a->a >> 32;
    c.gpr[8] = a->b;
    if (!c.wide) {
        c.gpr[0] = (uint32_t)a->a;
        c.gpr[1] = PARAM + (a->b & 0xff8);
    }
    (void)softhv_guest_call(&w->rig->hv, &call_ops, w, &c);
    assert(w->ranges - before <= SOFTHV_CALL_BATCH);
}

static void do_memory(struct world *w, const struct action *a)
{
    bytes_store_le64(w->memory + (a->medium & 0xff8), a->a);
}

/* The guest writes its message and event pages. */
static void do_slot(struct world *w, const struct action *a)
{
    struct rig_vp *v = &w->rig->vps[a->small & 1];
    bytes_store_le64(((a->small & 2) != 0 ? v->messages : v->events) + (a->medium & 0xff8), a->a);
}

static void do_post(struct world *w, const struct action *a)
{
    uint8_t m[HV_MESSAGE_BYTES] = {0};
    bytes_store_le64(m, a->a);
    (void)softhv_synic_post(&vp_of(w, a)->synic, a->medium, m);
}

static void do_signal(struct world *w, const struct action *a)
{
    bool newly;
    (void)softhv_synic_signal(&vp_of(w, a)->synic, a->small >> 3, a->medium, &newly);
    softhv_synic_notify(&vp_of(w, a)->synic, (uint16_t)a->a);
}

/* At most an hour at a time. */
static void do_time(struct world *w, const struct action *a)
{
    uint64_t before = softhv_clock_ns(&w->rig->clock); /* the TSC itself may wrap, where a VMM set it so */
    w->rig->now += a->a % UINT64_C(3600000000000);
    assert(softhv_clock_ns(&w->rig->clock) >= before);
    (void)softhv_hv_vp_tick(vp_of(w, a));
    softhv_hv_vp_eoi(vp_of(w, a), (uint8_t)a->medium);
}

static void do_stop(struct world *w, const struct action *a)
{
    softhv_hv_freeze(&w->rig->hv, (a->small & 2) != 0);
    softhv_hv_suspend(&w->rig->hv, (a->small & 4) != 0);
    if ((a->small & 8) != 0)
        softhv_hv_vp_reset(vp_of(w, a), (a->small & 16) != 0);
}

static void do_register(struct world *w, const struct action *a)
{
    struct softhv_cpuid_entry e = {.leaf = (uint32_t)a->a, .subleaf = a->medium};
    e.subleaf_specific = (a->small & 1) != 0;
    e.always_override = (a->small & 2) != 0;
    for (unsigned i = 0; i < 4; i++) {
        e.value[i] = (uint32_t)a->b;
        e.mask[i] = (uint32_t)(a->b >> 32);
    }
    (void)softhv_cpuid_register(&w->table, &e);
}

static void do_cpuid(struct world *w, const struct action *a)
{
    struct softhv_cpuid_env env = {.features = &w->rig->features, .vp = &w->table, .partition = &w->table};
    env.info = (struct x86_cpuid_info){.vp_count = RIG_VPS, .phys_bits = RIG_PHYS_BITS, .xcr0 = 1};
    memcpy(env.info.vendor, "GenuineIntel", sizeof(env.info.vendor));
    (void)softhv_cpuid_query(&env, a->small, (uint32_t)a->a, a->medium, a->b, a->b);
    struct x86_cpuid_regs r = softhv_cpuid(&env, 1, 0), own = softhv_cpuid_own(&env, 1, 0);
    assert((r.ecx & ~own.ecx & ~(1u << 31)) == 0);
}

static void act(struct world *w, const struct action *a)
{
    static void (*const kinds[])(struct world *, const struct action *) = {
        do_write,  do_vmm_write, do_call, do_memory,   do_slot,  do_post,
        do_signal, do_time,      do_stop, do_register, do_cpuid,
    };
    kinds[a->kind % (sizeof(kinds) / sizeof(kinds[0]))](w, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        abort();
    w->rig = rig_new(SOFTHV_SYNTH_SUPPORTED, UINT64_MAX, (size & 1) != 0);
    if (w->rig == NULL)
        abort();
    for (; size >= ACTION_BYTES; data += ACTION_BYTES, size -= ACTION_BYTES) {
        struct action a = {.kind = data[0], .small = data[1], .medium = bytes_load_le16(data + 2)};
        a.a = bytes_load_le64(data + 4);
        a.b = bytes_load_le64(data + 12);
        act(w, &a);
    }
    rig_free(w->rig);
    free(w);
    return 0;
}
