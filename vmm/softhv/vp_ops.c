/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the processor asks while it executes: memory, ports, MSRs, CPUID, interrupts, hypercalls. All on the VP's
 * thread, online.
 */
#include <sched.h>
#include <string.h>

#include "vmm/softhv/vp.h"

#define PAGE_MASK (~UINT64_C(0xfff))

/* Stop before the instruction, for a reason that vp.c acts on. */
static int stop(struct softhv_vp *vp, enum softhv_stop_kind kind)
{
    if (!vp->probing)
        vp->stop.kind = kind;
    return X86_CB_EXIT;
}

/* ---- Memory ---- */

static uint8_t *op_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    struct softhv_vp *vp = ctx;
    return softhv_lapic_claims(vp->lapic, gpa) ? NULL : softhv_gpa_page(vp->p->gpa, gpa, rights);
}

static int stop_memory(struct softhv_vp *vp, const struct x86_mem_access *a, enum softhv_gpa_verdict verdict)
{
    if (verdict == SOFTHV_GPA_OVERLAY_DENIED)
        return stop(vp, SOFTHV_STOP_GP);
    if (!vp->probing)
        vp->stop.memory = (struct softhv_memory_exit){
            .access = *a,
            .mapped = verdict == SOFTHV_GPA_INTERCEPT,
            .cache_type = verdict == SOFTHV_GPA_INTERCEPT ? HV_CACHE_TYPE_WRITE_BACK : HV_CACHE_TYPE_UNCACHED};
    return stop(vp, SOFTHV_STOP_MEMORY);
}

static int op_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct softhv_vp *vp = ctx;
    uint8_t *host;
    if (softhv_lapic_claims(vp->lapic, a->gpa & PAGE_MASK)) {
        softhv_lapic_mmio_read(vp->lapic, (uint32_t)(a->gpa & ~PAGE_MASK), a->len, buf);
        return X86_CB_OK;
    }
    unsigned right = a->kind == X86_ACCESS_FETCH ? SOFTHV_GPA_X : SOFTHV_GPA_R;
    enum softhv_gpa_verdict verdict = softhv_gpa_access(vp->p->gpa, a->gpa, right, &host);
    if (verdict != SOFTHV_GPA_OK && softhv_vp_string_source(vp, a)) {
        memset(buf, 0, a->len);
        return X86_CB_OK;
    }
    if (verdict != SOFTHV_GPA_OK)
        return stop_memory(vp, a, verdict);
    memcpy(buf, host, a->len);
    x86_cpu_signal(vp->cpu, X86_SIG_FLUSH);
    return X86_CB_OK;
}

/*
 * RAM that was not granted for writing is now. The instruction starts again and finds it, so that locked ones are
 * atomic; should the same write come back all the same, it is done here.
 */
static int write_ram(struct softhv_vp *vp, const struct x86_mem_access *a, uint8_t *host, const void *buf)
{
    uint64_t now = x86_cpu_insns(vp->cpu);
    x86_cpu_signal(vp->cpu, X86_SIG_FLUSH);
    if (vp->retry_gpa == a->gpa && vp->retry_insns == now) {
        memcpy(host, buf, a->len);
        return X86_CB_OK;
    }
    vp->retry_gpa = a->gpa;
    vp->retry_insns = now;
    return stop(vp, SOFTHV_STOP_RETRY);
}

static bool rings(struct softhv_vp *vp, const struct x86_mem_access *a, const void *buf)
{
    uint64_t value = 0;
    memcpy(&value, buf, a->len <= sizeof(value) ? a->len : sizeof(value));
    return !a->walk && softhv_doorbells_match(vp->p->doorbells, a->gpa, a->len, value);
}

static int op_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    struct softhv_vp *vp = ctx;
    uint8_t *host;
    if (softhv_lapic_claims(vp->lapic, a->gpa & PAGE_MASK)) {
        softhv_lapic_mmio_write(vp->lapic, (uint32_t)(a->gpa & ~PAGE_MASK), a->len, buf);
        return X86_CB_OK;
    }
    enum softhv_gpa_verdict verdict = softhv_gpa_access(vp->p->gpa, a->gpa, SOFTHV_GPA_W, &host);
    if (verdict == SOFTHV_GPA_OK)
        return write_ram(vp, a, host, buf);
    if (rings(vp, a, buf))
        return X86_CB_OK;
    return stop_memory(vp, a, verdict);
}

/* ---- Ports ---- */

static int stop_port(struct softhv_vp *vp, uint16_t port, unsigned size, bool write)
{
    vp->stop.port = (struct softhv_port_exit){.port = port, .size = (uint8_t)size, .write = write};
    return stop(vp, SOFTHV_STOP_PORT);
}

static int op_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    (void)value;
    return stop_port(ctx, port, size, false);
}

static int op_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    (void)value;
    return stop_port(ctx, port, size, true);
}

/* ---- MSRs, CPUID, time ---- */

static int stop_msr(struct softhv_vp *vp, uint32_t msr, bool write)
{
    vp->stop.msr = msr;
    vp->stop.msr_write = write;
    return stop(vp, SOFTHV_STOP_MSR);
}

static int op_msr(void *ctx, uint32_t msr, bool write)
{
    struct softhv_vp *vp = ctx;
    uint32_t access = write ? HV_INTERCEPT_ACCESS_MASK_WRITE : HV_INTERCEPT_ACCESS_MASK_READ;
    return softhv_installed_msr(&vp->p->hv.installed, msr, access) ? stop_msr(vp, msr, write) : X86_CB_OK;
}

static int op_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    struct softhv_vp *vp = ctx;
    enum softhv_msr_result r = softhv_msr_guest_read(&vp->hv, msr, value);
    if (r == SOFTHV_MSR_INTERCEPT)
        return stop_msr(vp, msr, false);
    return r == SOFTHV_MSR_OK ? X86_CB_OK : X86_CB_FAULT;
}

static int op_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    struct softhv_vp *vp = ctx;
    enum softhv_msr_result r = softhv_msr_guest_write(&vp->hv, msr, value);
    if (r == SOFTHV_MSR_INTERCEPT)
        return stop_msr(vp, msr, true);
    return r == SOFTHV_MSR_OK ? X86_CB_OK : X86_CB_FAULT;
}

static int op_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf, struct x86_cpuid_regs *out)
{
    struct softhv_vp *vp = ctx;
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    *out = softhv_vp_cpuid(vp, &s, leaf, subleaf);
    if (!softhv_installed_leaf(&vp->p->hv.installed, leaf))
        return X86_CB_OK;
    vp->stop.cpuid = *out;
    return stop(vp, SOFTHV_STOP_CPUID);
}

/* Exceptions, INT3 and its kin. */
static int op_exception(void *ctx, const struct x86_event *ev)
{
    struct softhv_vp *vp = ctx;
    if (!softhv_installed_exception(&vp->p->hv.installed, ev->vector))
        return X86_CB_OK;
    vp->stop.event = *ev;
    return stop(vp, SOFTHV_STOP_EXCEPTION);
}

static uint64_t op_rdtsc(void *ctx)
{
    struct softhv_vp *vp = ctx;
    return softhv_vp_tsc_read(&vp->hv.tsc, &vp->p->clock);
}

static uint64_t op_cr8_read(void *ctx)
{
    return softhv_lapic_cr8(((struct softhv_vp *)ctx)->lapic);
}

static int op_cr8_write(void *ctx, uint64_t value)
{
    return softhv_lapic_set_cr8(((struct softhv_vp *)ctx)->lapic, value) == 0 ? X86_CB_OK : X86_CB_FAULT;
}

static int op_intr_ack(void *ctx)
{
    return softhv_lapic_ack(((struct softhv_vp *)ctx)->lapic);
}

/* ---- Hypercalls ---- */

static bool call_read(void *ctx, uint64_t gpa, void *buf, uint32_t len)
{
    return softhv_gpa_read(((struct softhv_vp *)ctx)->p->gpa, gpa, buf, len) == SOFTHV_GPA_OK;
}

static bool call_write(void *ctx, uint64_t gpa, const void *buf, uint32_t len)
{
    return softhv_gpa_write(((struct softhv_vp *)ctx)->p->gpa, gpa, buf, len) == SOFTHV_GPA_OK;
}

/* Ask the VPs of the set to flush, and note where they are; one that is not executing flushes before it does. */
static void flush_ask(struct softhv_vp *vp, const struct softhv_vp_set *set)
{
    struct softhv_flush_ticket *t = &vp->flush;
    *t = (struct softhv_flush_ticket){.open = true, .rsp = x86_cpu_gpr(vp->cpu, X86_RSP), .set = *set};
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *to = softhv_vp_set_has(set, i) ? softhv_partition_vp(vp->p, i) : NULL;
        if (to == NULL)
            continue;
        x86_cpu_signal(to->cpu, X86_SIG_FLUSH | X86_SIG_KICK);
        t->turn[i] = to != vp ? atomic_load(&to->turns) : 0;
    }
}

/* A VP has flushed when it was not executing, or has stopped since. */
static bool flush_done(struct softhv_vp *vp)
{
    const struct softhv_flush_ticket *t = &vp->flush;
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *to = (t->turn[i] & 1) != 0 ? softhv_partition_vp(vp->p, i) : NULL;
        if (to != NULL && atomic_load(&to->turns) == t->turn[i])
            return false;
    }
    return true;
}

/* All addresses are flushed whatever the guest names. The caller's own flush happens when the instruction ends. */
static bool call_flush(void *ctx, const struct softhv_vp_set *set, const struct softhv_flush *flush)
{
    struct softhv_vp *vp = ctx;
    struct softhv_flush_ticket *t = &vp->flush;
    (void)flush;
    bool same = t->open && t->rsp == x86_cpu_gpr(vp->cpu, X86_RSP) && memcmp(&t->set, set, sizeof(*set)) == 0;
    if (!same)
        flush_ask(vp, set);
    t->open = !flush_done(vp);
    if (t->open)
        sched_yield();
    return !t->open;
}

static void call_ipi(void *ctx, const struct softhv_vp_set *set, uint8_t vector)
{
    struct softhv_vp *vp = ctx;
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *to = softhv_vp_set_has(set, i) ? softhv_partition_vp(vp->p, i) : NULL;
        if (to != NULL)
            (void)softhv_lapic_accept(to->lapic, SOFTHV_APIC_FIXED, vector, false);
    }
}

static void call_spin(void *ctx)
{
    (void)ctx;
    sched_yield();
}

static const struct softhv_call_ops call_ops = {
    .read = call_read, .write = call_write, .flush = call_flush, .ipi = call_ipi, .spin = call_spin};

static void call_load(struct softhv_vp *vp, struct softhv_call *call)
{
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    for (unsigned i = 0; i < SOFTHV_CALL_GPRS; i++)
        call->gpr[i] = s.gpr[i];
    call->wide = (s.efer & 0x400) != 0 && (s.seg[X86_CS].attr & X86_SEG_L) != 0;
    call->protected_mode = (s.cr0 & 1) != 0;
    call->cpl = (uint8_t)((s.seg[X86_SS].attr & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT);
}

static void call_store(struct softhv_vp *vp, const struct softhv_call *call)
{
    for (unsigned i = 0; i < SOFTHV_CALL_GPRS; i++)
        x86_cpu_set_gpr(vp->cpu, i, call->gpr[i]);
}

static int op_hypercall(void *ctx, const struct x86_insn *in)
{
    struct softhv_vp *vp = ctx;
    struct softhv_call call;
    (void)in;
    call_load(vp, &call);
    switch (softhv_guest_call(&vp->p->hv, &call_ops, vp, &call)) {
    case SOFTHV_CALL_DONE: call_store(vp, &call); return X86_CB_OK;
    case SOFTHV_CALL_AGAIN: call_store(vp, &call); return stop(vp, SOFTHV_STOP_RETRY);
    case SOFTHV_CALL_INTERCEPT: return stop(vp, SOFTHV_STOP_HYPERCALL);
    case SOFTHV_CALL_UD: break;
    }
    return X86_CB_FAULT;
}

const struct x86_ops softhv_vp_x86_ops = {.page = op_page,
                                          .read = op_read,
                                          .write = op_write,
                                          .port_in = op_port_in,
                                          .port_out = op_port_out,
                                          .rdmsr = op_rdmsr,
                                          .wrmsr = op_wrmsr,
                                          .msr = op_msr,
                                          .cpuid = op_cpuid,
                                          .rdtsc = op_rdtsc,
                                          .cr8_read = op_cr8_read,
                                          .cr8_write = op_cr8_write,
                                          .intr_ack = op_intr_ack,
                                          .hypercall = op_hypercall,
                                          .exception = op_exception,
                                          .trap = op_exception};
