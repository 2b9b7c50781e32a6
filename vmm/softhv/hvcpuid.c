/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CPUID of a guest. Source: TLFS, feature discovery; Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */
#include "vmm/softhv/hvcpuid.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { EAX, EBX, ECX, EDX };

#define ANY_SUBLEAF 0xffffffffu

static void to_array(const struct x86_cpuid_regs *r, uint32_t v[4])
{
    v[EAX] = r->eax;
    v[EBX] = r->ebx;
    v[ECX] = r->ecx;
    v[EDX] = r->edx;
}

static struct x86_cpuid_regs from_array(const uint32_t v[4])
{
    return (struct x86_cpuid_regs){.eax = v[EAX], .ebx = v[EBX], .ecx = v[ECX], .edx = v[EDX]};
}

/* ---- Hypervisor leaves ---- */

#define HV_FIRST HV_CPUID_VENDOR_AND_MAX
#define HV_LAST  0x4000ffffu
#define HV_MAX   HV_CPUID_ISOLATION_CONFIG
/* Of a release whose interfaces this software follows; nothing is known to compare them. */
#define HV_BUILD 27744u
#define HV_MAJOR 10u
#define HV_MINOR 0u
/* Spins after which a guest should tell us (HvCallNotifyLongSpinWait). */
#define HV_SPIN_RETRIES 0xfffu
/* Interrupt vectors for remapping: none here, the number is what single-socket machines show. */
#define HV_MAX_LPS 64u

static struct x86_cpuid_regs hv_vendor(bool hv1)
{
    return (struct x86_cpuid_regs){.eax = hv1 ? HV_MAX : HV_FIRST + 1,
                                   .ebx = HV_CPUID_SIGNATURE_EBX,
                                   .ecx = HV_CPUID_SIGNATURE_ECX,
                                   .edx = HV_CPUID_SIGNATURE_EDX};
}

static uint32_t hv_features(const struct softhv_features *f)
{
    uint32_t v = HV_FEATURE_EDX_CRASH_MSRS | HV_FEATURE_EDX_HYPERCALL_MSR_LOCK;
    if (f->privileges & HV_PRIVILEGE_GUEST_IDLE)
        v |= HV_FEATURE_EDX_GUEST_IDLE;
    if (f->privileges & HV_PRIVILEGE_FREQUENCY)
        v |= HV_FEATURE_EDX_FREQUENCY_MSRS;
    if (f->privileges & HV_PRIVILEGE_SYNIC)
        v |= HV_FEATURE_EDX_SINT_POLLING;
    if ((f->privileges & HV_PRIVILEGE_SYNTIMER) && (f->synthetic & HV_FEATURE(HV_SYNTHETIC_DIRECT_SYNTHETIC_TIMERS)))
        v |= HV_FEATURE_EDX_DIRECT_STIMER;
    return v;
}

static uint32_t hv_hints(const struct softhv_features *f)
{
    uint32_t v = 0;
    if (f->synthetic & HV_FEATURE(HV_SYNTHETIC_TB_FLUSH_HYPERCALLS))
        v |= HV_HINT_REMOTE_TLB_FLUSH;
    if (f->synthetic & HV_FEATURE(HV_SYNTHETIC_SYNTHETIC_CLUSTER_IPI))
        v |= HV_HINT_CLUSTER_IPI;
    if (f->synthetic & HV_FEATURE(HV_SYNTHETIC_EXTENDED_PROCESSOR_MASKS))
        v |= HV_HINT_EX_PROCESSOR_MASKS;
    return v;
}

static struct x86_cpuid_regs hv1_leaf(const struct softhv_cpuid_env *env, uint32_t leaf)
{
    const struct softhv_features *f = env->features;
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    switch (leaf) {
    case HV_CPUID_INTERFACE: r.eax = HV_CPUID_INTERFACE_EAX; break;
    case HV_CPUID_VERSION: r.eax = HV_BUILD, r.ebx = HV_MAJOR << 16 | HV_MINOR; break;
    case HV_CPUID_FEATURES:
        r.eax = (uint32_t)f->privileges;
        r.ebx = (uint32_t)(f->privileges >> 32);
        r.edx = hv_features(f);
        break;
    case HV_CPUID_ENLIGHTMENT_INFO:
        r.eax = hv_hints(f);
        r.ebx = f->synthetic & HV_FEATURE(HV_SYNTHETIC_NOTIFY_LONG_SPIN_WAIT) ? HV_SPIN_RETRIES
                                                                              : HV_NEVER_NOTIFY_LONG_SPIN_WAIT;
        r.ecx = env->info.phys_bits & 0x7f;
        break;
    case HV_CPUID_IMPLEMENTATION_LIMITS: r.eax = env->max_vps, r.ebx = HV_MAX_LPS; break;
    default: break; /* 6 to 0xC: nothing of the hardware is used, nothing nested, no isolation */
    }
    return r;
}

/* All leaves of the range that are not named above read as zero: guests probe without looking at the maximum. */
static struct x86_cpuid_regs hv_leaf(const struct softhv_cpuid_env *env, uint32_t leaf)
{
    bool present = (env->features->synthetic & HV_FEATURE(HV_SYNTHETIC_HYPERVISOR_PRESENT)) != 0;
    bool hv1 = (env->features->synthetic & HV_FEATURE(HV_SYNTHETIC_HV1)) != 0;
    if (present && leaf == HV_FIRST)
        return hv_vendor(hv1);
    if (present && hv1)
        return hv1_leaf(env, leaf);
    return (struct x86_cpuid_regs){0, 0, 0, 0};
}

/* ---- Own values ---- */

#define LEAF7_ARCH_CAPABILITIES (1u << 29)
#define AMD_SSB_NO              (1u << 26) /* 0x80000008 EBX */
#define AMD_BTC_NO              (1u << 29) /* 0x80000008 EBX */
#define AMD_SRSO_NO             (1u << 29) /* 0x80000021 EAX */
#define INVARIANT_TSC           (1u << 8)

static bool is_amd(const struct softhv_cpuid_env *env)
{
    return env->info.vendor[0] == 'A';
}

static bool bank_bit(const struct softhv_cpuid_env *env, unsigned bank, unsigned bit)
{
    return (env->features->banks[bank] >> bit & 1) != 0;
}

/* "Not affected" bits, which the executor knows nothing about. */
static void add_immunity(const struct softhv_cpuid_env *env, uint32_t leaf, uint32_t sub, struct x86_cpuid_regs *r)
{
    if (leaf == 7 && sub == 0 && env->features->arch_capabilities != 0)
        r->edx |= LEAF7_ARCH_CAPABILITIES;
    if (leaf == 0x80000008 && is_amd(env))
        r->ebx |=
            (bank_bit(env, 0, HV_CPU0_SSB_NO) ? AMD_SSB_NO : 0) | (bank_bit(env, 1, HV_CPU1_BTC_NO) ? AMD_BTC_NO : 0);
    if (leaf == 0x80000021 && is_amd(env) && bank_bit(env, 1, HV_CPU1_SRSO_NO))
        r->eax |= AMD_SRSO_NO;
}

struct x86_cpuid_regs softhv_cpuid_own(const struct softhv_cpuid_env *env, uint32_t leaf, uint32_t subleaf)
{
    struct x86_cpuid_info info = env->info;
    struct x86_cpuid_regs r;
    if (leaf >= HV_FIRST && leaf <= HV_LAST)
        return hv_leaf(env, leaf);
    info.features = info.features != NULL ? info.features : &env->features->x86;
    r = x86_cpuid(&info, leaf, subleaf);
    add_immunity(env, leaf, subleaf, &r);
    /* The guest shows it to itself by MSR, when it may. */
    if (leaf == 0x80000007 && (env->features->privileges & HV_PRIVILEGE_TSC_INVARIANT) && !env->tsc_invariant_shown)
        r.edx &= ~INVARIANT_TSC;
    return r;
}

/* ---- Overrides ---- */

uint16_t softhv_cpuid_register(struct softhv_cpuid_table *t, const struct softhv_cpuid_entry *entry)
{
    struct softhv_cpuid_entry e = *entry;
    uint32_t i = 0;
    e.subleaf = e.subleaf_specific ? e.subleaf : 0;
    while (i < t->count && !(t->entry[i].leaf == e.leaf && t->entry[i].subleaf == e.subleaf &&
                             t->entry[i].subleaf_specific == e.subleaf_specific))
        i++;
    if (i == SOFTHV_CPUID_ENTRIES)
        return HV_STATUS_NO_RESOURCES;
    t->entry[i] = e;
    t->count += i == t->count;
    return HV_STATUS_SUCCESS;
}

/* The entry for this subleaf, before the one for all. */
static const struct softhv_cpuid_entry *find(const struct softhv_cpuid_table *t, uint32_t leaf, uint32_t sub)
{
    const struct softhv_cpuid_entry *general = NULL;
    for (uint32_t i = 0; t != NULL && i < t->count; i++) {
        const struct softhv_cpuid_entry *e = &t->entry[i];
        if (e->leaf != leaf)
            continue;
        if (e->subleaf_specific && e->subleaf == sub)
            return e;
        if (!e->subleaf_specific)
            general = e;
    }
    return general;
}

static void apply(const struct softhv_cpuid_table *t, uint32_t leaf, uint32_t sub, const uint32_t own[4], uint32_t v[4])
{
    const struct softhv_cpuid_entry *e = find(t, leaf, sub);
    bool absent = (own[EAX] | own[EBX] | own[ECX] | own[EDX]) == 0;
    if (e == NULL || (absent && !e->always_override))
        return;
    for (unsigned i = 0; i < 4; i++)
        v[i] = (v[i] & ~e->mask[i]) | (e->value[i] & e->mask[i]);
}

/* ---- Limits ---- */

#define FREE 0xffffffffu

/*
 * Leaves in which an override may clear bits but set only those of `free`, bits that promise nothing we would have to
 * keep; with `own`, our value stands as it is.
 */
struct limit {
    uint32_t first, last, subleaf;
    bool own;
    uint32_t free[4];
};

/* clang-format off */
static const struct limit limits[] = {
    {1, 1, ANY_SUBLEAF, false, {FREE, FREE, 1u << 31, 1u << 28 | 1u << 27}},     /* hypervisor; HTT, self-snoop */
    {5, 5, ANY_SUBLEAF, true, {0, 0, 0, 0}},                                     /* MONITOR */
    {6, 6, ANY_SUBLEAF, false, {0, 0, 0, 0}},                                    /* power: needs MSRs */
    {7, 7, 0, false, {FREE, 0, 0, 1u << 10}},                                    /* MD_CLEAR: nothing to clear */
    {7, 7, ANY_SUBLEAF, false, {0, 0, 0, 0}},
    {0xa, 0xa, ANY_SUBLEAF, false, {0, 0, 0, 0}},                                /* performance counters */
    {0xd, 0xd, 0, false, {0, 0, 0, 0}},
    {0xd, 0xd, 1, false, {0, 0, 0, 0}},
    {0xd, 0xd, ANY_SUBLEAF, true, {0, 0, 0, 0}},                                 /* where components lie */
    {0xf, 0x10, ANY_SUBLEAF, false, {0, 0, 0, 0}},                               /* resource control */
    {0x12, 0x14, ANY_SUBLEAF, false, {0, 0, 0, 0}},                              /* SGX, trace */
    {0x15, 0x16, ANY_SUBLEAF, true, {0, 0, 0, 0}},                               /* frequencies */
    {0x19, 0x19, ANY_SUBLEAF, false, {0, 0, 0, 0}},                              /* key locker */
    {0x1c, 0x1e, ANY_SUBLEAF, false, {0, 0, 0, 0}},                              /* last branches, AMX */
    {0x20, 0x24, ANY_SUBLEAF, false, {0, 0, 0, 0}},                              /* history reset, counters, AVX10 */
    {0x80000001, 0x80000001, ANY_SUBLEAF, false, {FREE, FREE, 1u << 22 | 1u << 1, 0}}, /* topology */
    {0x80000007, 0x80000007, ANY_SUBLEAF, false, {0, 0, 0, 0}},
    {0x80000008, 0x80000008, ANY_SUBLEAF, false, {FREE, AMD_SSB_NO | AMD_BTC_NO, FREE, 0}},
    {0x8000000a, 0x8000000a, ANY_SUBLEAF, false, {0, 0, 0, 0}},                  /* SVM */
    {0x8000001b, 0x8000001c, ANY_SUBLEAF, false, {0, 0, 0, 0}},                  /* sampling, profiling */
    {0x8000001f, 0x80000020, ANY_SUBLEAF, false, {0, 0, 0, 0}},                  /* SEV, resource control */
    {0x80000021, 0x80000021, ANY_SUBLEAF, false, {AMD_SRSO_NO, 0, 0, 0}},
    {0x80000022, 0x80000025, ANY_SUBLEAF, false, {0, 0, 0, 0}},
};
/* clang-format on */

static const struct limit *limit_of(uint32_t leaf, uint32_t sub)
{
    for (size_t i = 0; i < COUNT(limits); i++)
        if (leaf >= limits[i].first && leaf <= limits[i].last &&
            (limits[i].subleaf == ANY_SUBLEAF || limits[i].subleaf == sub))
            return &limits[i];
    return NULL;
}

/* The address width is a number: the smaller one. Linear addresses stay as they are. */
static uint32_t width_of(uint32_t own, uint32_t v)
{
    uint32_t width = (v & 0xff) < (own & 0xff) ? v & 0xff : own & 0xff;
    return (v & ~0xffffu) | (own & 0xff00) | (width < 32 ? own & 0xff : width);
}

static void restrain(uint32_t leaf, uint32_t sub, const uint32_t own[4], uint32_t v[4])
{
    const struct limit *l = limit_of(leaf, sub);
    for (unsigned i = 0; l != NULL && i < 4; i++)
        v[i] = l->own ? own[i] : v[i] & (own[i] | l->free[i]);
    if (leaf == 0x80000008)
        v[EAX] = width_of(own[EAX], v[EAX]);
}

/* ---- Run-time bits ---- */

struct runtime {
    uint32_t leaf, subleaf, reg, bits;
};

/* clang-format off */
static const struct runtime runtimes[] = {
    {1, ANY_SUBLEAF, ECX, 1u << 27},          /* OSXSAVE */
    {1, ANY_SUBLEAF, EDX, 1u << 9},           /* APIC globally enabled */
    {7, 0, ECX, 1u << 4},                     /* OSPKE */
    {0xd, 0, EBX, FREE},                      /* XSAVE area for XCR0 */
    {0xd, 1, EBX, FREE},                      /* and for XCR0 | XSS */
    {0x80000001, ANY_SUBLEAF, EDX, 1u << 9},  /* AMD's repetition */
};
/* clang-format on */

/* A feature that the VMM took away shows no sign of being in use. */
static void hide_unused(uint32_t leaf, uint32_t v[4])
{
    if (leaf == 1 && (v[ECX] & 1u << 26) == 0)
        v[ECX] &= ~(1u << 27);
}

static void refresh(uint32_t leaf, uint32_t sub, const uint32_t own[4], uint32_t v[4])
{
    for (size_t i = 0; i < COUNT(runtimes); i++) {
        const struct runtime *r = &runtimes[i];
        if (r->leaf == leaf && (r->subleaf == ANY_SUBLEAF || r->subleaf == sub))
            v[r->reg] = (v[r->reg] & ~r->bits) | (own[r->reg] & r->bits);
    }
    hide_unused(leaf, v);
}

/* ---- Together ---- */

struct x86_cpuid_regs softhv_cpuid(const struct softhv_cpuid_env *env, uint32_t leaf, uint32_t subleaf)
{
    struct x86_cpuid_regs r = softhv_cpuid_own(env, leaf, subleaf);
    uint32_t own[4], v[4];
    to_array(&r, own);
    to_array(&r, v);
    apply(env->partition, leaf, subleaf, own, v);
    apply(env->vp, leaf, subleaf, own, v);
    restrain(leaf, subleaf, own, v);
    refresh(leaf, subleaf, own, v);
    return from_array(v);
}

struct x86_cpuid_regs softhv_cpuid_query(const struct softhv_cpuid_env *env, uint32_t flags, uint32_t leaf,
                                         uint32_t subleaf, uint64_t xfem, uint64_t xss)
{
    struct softhv_cpuid_env e = *env;
    if (!(flags & SOFTHV_CPUID_VP_STATES)) {
        uint64_t states = softhv_features_xsave_states(e.features);
        e.info.xcr0 = (xfem & states) | (states & 1);
        e.info.xss = xss & states;
    }
    return flags & SOFTHV_CPUID_REGISTERED ? softhv_cpuid(&e, leaf, subleaf) : softhv_cpuid_own(&e, leaf, subleaf);
}

/* Does an entry for this VP say something of these bits? */
static bool names(const struct softhv_cpuid_env *env, uint32_t leaf, unsigned reg, uint32_t bits)
{
    const struct softhv_cpuid_entry *e = find(env->vp, leaf, 0);
    return e != NULL && (e->mask[reg] & bits) != 0;
}

/* Leaf 0xB counts when it has levels (SDM volume 2, CPUID): models without topology have zeros there. */
uint32_t softhv_cpuid_apic_id(const struct softhv_cpuid_env *env)
{
    struct x86_cpuid_regs topology = softhv_cpuid(env, 0xb, 0);
    if (names(env, 0xb, EDX, FREE) && (topology.ebx & 0xffff) != 0)
        return topology.edx;
    return names(env, 1, EBX, 0xff000000u) ? softhv_cpuid(env, 1, 0).ebx >> 24 : env->info.apic_id;
}
