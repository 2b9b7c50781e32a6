/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Life of a cpu, state in and out, signals, faults.
 */
#include "vmm/x86/cpu.h"

#include <stdlib.h>

#include "common/mapping.h"
#include "vmm/x86/block.h"
#include "vmm/x86/fpu.h"
#include "vmm/x86/mmu.h"

#define DEFAULT_CACHE (16u << 20)

void *x86_bus_lock_new(void)
{
    atomic_flag *f = malloc(sizeof(*f));
    if (f != NULL)
        atomic_flag_clear(f);
    return f;
}

void x86_bus_lock_free(void *lock)
{
    free(lock);
}

struct x86_cpu *x86_cpu_new(const struct x86_config *cfg)
{
    void *memory;
    if (mapping_new(sizeof(struct x86_cpu), 0, &memory) < 0)
        return NULL;
    struct x86_cpu *c = memory;
    c->mmu = x86_mmu_new();
    c->cache = x86_cache_new(cfg->cache_bytes != 0 ? cfg->cache_bytes : DEFAULT_CACHE);
    if (c->mmu == NULL || c->cache == NULL) {
        x86_cpu_free(c);
        return NULL;
    }
    c->ops = cfg->ops;
    c->opaque = cfg->ctx;
    c->features = cfg->features;
    c->cpuid = cfg->cpuid;
    c->cpuid.features = &c->features;
    c->phys_bits = cfg->phys_bits;
    c->amd = cfg->amd;
    c->bus_lock = cfg->bus_lock;
    x86_cpu_reset(c, false);
    return c;
}

void x86_cpu_free(struct x86_cpu *c)
{
    if (c == NULL)
        return;
    x86_mmu_free(c->mmu);
    x86_cache_free(c->cache);
    mapping_free(c, sizeof(*c));
}

/* ---- Reset ---- */

static void reset_segments(struct x86_cpu *c)
{
    const uint32_t data = X86_SEG_P | X86_SEG_S | X86_SEG_WRITE | X86_SEG_ACCESSED;
    for (unsigned i = 0; i < 6; i++)
        c->seg[i] = (struct x86_seg){.limit = 0xffff, .attr = data};
    c->seg[X86_CS] = (struct x86_seg){.sel = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attr = data | X86_SEG_CODE};
    c->seg[X86_LDTR] = (struct x86_seg){.limit = 0xffff, .attr = X86_SEG_P | 2};
    c->seg[X86_TR] = (struct x86_seg){.limit = 0xffff, .attr = X86_SEG_P | 11};
    c->gdtr = c->idtr = (struct x86_dtr){.limit = 0xffff};
}

static void reset_fpu(struct x86_fpu *f)
{
    memset(f, 0, sizeof(*f));
    f->fcw = 0x40;
    f->mxcsr = 0x1f80;
    f->ftw = 0xff; /* FTW 5555h at power-on: all registers hold zero */
}

/* What INIT leaves alone and power-on sets. */
static void reset_cold(struct x86_cpu *c)
{
    reset_fpu(&c->fpu);
    c->xcr0 = 1;
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->tsc_aux = c->xss = 0;
    c->pat = UINT64_C(0x0007040600070406);
}

void x86_cpu_reset(struct x86_cpu *c, bool init)
{
    uint64_t cache_bits = init ? c->cr0 & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;
    if (!init)
        reset_cold(c);
    memset(c->r, 0, sizeof(c->r));
    c->r[X86_RDX] = c->cpuid.signature;
    c->rip = 0xfff0;
    c->eflags = 2;
    x86_flags_set(c, 0);
    reset_segments(c);
    c->cr0 = X86_CR0_ET | cache_bits;
    c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
    memset(c->dr, 0, sizeof(c->dr));
    c->dr6 = 0xffff0ff0;
    c->dr7 = 0x400;
    c->cpl = 0;
    c->activity = X86_ACTIVE;
    c->shadow_sti = c->shadow_ss = c->nmi_blocked = 0;
    c->pending.kind = X86_EV_NONE;
    c->db_pending = 0;
    atomic_fetch_and(&c->attention, ~X86_ATT_PENDING);
    x86_tlb_flush_all(c);
    x86_mode_update(c);
}

/* ---- State in and out ---- */

void x86_cpu_get_state(struct x86_cpu *c, struct x86_state *s)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->gpr, c->r, sizeof(s->gpr));
    s->rip = c->rip;
    s->rflags = x86_rflags(c);
    memcpy(s->seg, c->seg, sizeof(s->seg));
    s->gdtr = c->gdtr;
    s->idtr = c->idtr;
    s->cr0 = c->cr0;
    s->cr2 = c->cr2;
    s->cr3 = c->cr3;
    s->cr4 = c->cr4;
    s->xcr0 = c->xcr0;
    memcpy(s->dr, c->dr, sizeof(s->dr));
    s->dr6 = c->dr6;
    s->dr7 = c->dr7;
    s->efer = c->efer;
    s->star = c->star;
    s->lstar = c->lstar;
    s->cstar = c->cstar;
    s->sfmask = c->sfmask;
    s->kernel_gs_base = c->kernel_gs_base;
    s->sysenter_cs = c->sysenter_cs;
    s->sysenter_esp = c->sysenter_esp;
    s->sysenter_eip = c->sysenter_eip;
    s->tsc_aux = c->tsc_aux;
    s->pat = c->pat;
    s->xss = c->xss;
    s->fpu = c->fpu;
    s->pending = c->pending;
    s->activity = c->activity;
    s->shadow_sti = c->shadow_sti;
    s->shadow_ss = c->shadow_ss;
    s->nmi_blocked = c->nmi_blocked;
}

static bool control_possible(const struct x86_cpu *c, const struct x86_state *s)
{
    bool pg = (s->cr0 & X86_CR0_PG) != 0, pe = (s->cr0 & X86_CR0_PE) != 0, pae = (s->cr4 & X86_CR4_PAE) != 0;
    bool lma = (s->efer & X86_EFER_LMA) != 0, lme = (s->efer & X86_EFER_LME) != 0;
    if ((s->cr0 >> 32) != 0 || (pg && !pe) || ((s->cr0 & X86_CR0_NW) && !(s->cr0 & X86_CR0_CD)))
        return false;
    if (lma != (lme && pg) || (lma && !pae) || ((s->cr4 & X86_CR4_PCIDE) && !lma))
        return false;
    if ((s->cr4 & (X86_CR4_LA57 | X86_CR4_PKE | X86_CR4_VME | X86_CR4_PVI)) != 0 || (s->cr3 >> c->phys_bits) != 0)
        return false;
    return (s->xcr0 & 1) != 0 && (s->fpu.mxcsr >> 16) == 0 && (s->dr6 | s->dr7) >> 32 == 0;
}

/* All bits of RFLAGS that exist, but for virtual-8086 mode. */
#define RFLAGS_POSSIBLE (UINT64_C(0x3f7fd7) & ~(uint64_t)X86_FL_VM)

static unsigned state_cpl(const struct x86_state *s)
{
    return s->cr0 & X86_CR0_PE ? (s->seg[X86_SS].attr & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT : 0;
}

/* FS and GS keep the upper half of their bases when long mode is left. */
static bool bases_possible(const struct x86_state *s)
{
    for (unsigned i = X86_ES; i <= X86_DS; i++)
        if ((s->efer & X86_EFER_LMA) == 0 && s->seg[i].base >> 32 != 0)
            return false;
    return true;
}

static bool event_possible(const struct x86_event *ev)
{
    if (ev->kind > X86_EV_PRIV_EXCEPTION || ev->insn_len > X86_INSN_MAX)
        return false;
    return ev->kind != X86_EV_EXCEPTION || ev->vector < 32;
}

static bool state_possible(const struct x86_cpu *c, const struct x86_state *s)
{
    return control_possible(c, s) && bases_possible(s) && event_possible(&s->pending) &&
           (s->rflags & ~RFLAGS_POSSIBLE) == 0 && s->activity <= X86_WAIT_SIPI;
}

static void set_system(struct x86_cpu *c, const struct x86_state *s)
{
    c->cr0 = s->cr0 | X86_CR0_ET;
    c->cr2 = s->cr2;
    c->cr3 = s->cr3;
    c->cr4 = s->cr4;
    c->xcr0 = s->xcr0;
    memcpy(c->dr, s->dr, sizeof(c->dr));
    c->dr6 = s->dr6;
    c->dr7 = s->dr7 | 0x400;
    c->efer = s->efer;
    c->star = s->star;
    c->lstar = s->lstar;
    c->cstar = s->cstar;
    c->sfmask = s->sfmask;
    c->kernel_gs_base = s->kernel_gs_base;
    c->sysenter_cs = s->sysenter_cs;
    c->sysenter_esp = s->sysenter_esp;
    c->sysenter_eip = s->sysenter_eip;
    c->tsc_aux = s->tsc_aux;
    c->pat = s->pat;
    c->xss = s->xss;
}

/* Entries that cannot be read, or that no load of CR3 would have taken, count as not present. */
static void set_pdptes(struct x86_cpu *c)
{
    bool pae = (c->cr0 & X86_CR0_PG) && (c->cr4 & X86_CR4_PAE) && !(c->efer & X86_EFER_LMA);
    if (pae && x86_failed(x86_mmu_load_pdptes(c, c->cr3, c->cr4, c->pdpte)))
        memset(c->pdpte, 0, sizeof(c->pdpte));
}

int x86_cpu_set_state(struct x86_cpu *c, const struct x86_state *s)
{
    if (!state_possible(c, s))
        return -EINVAL;
    bool same_space = c->cr0 == s->cr0 && c->cr3 == s->cr3 && c->cr4 == s->cr4 && c->efer == s->efer;
    memcpy(c->r, s->gpr, sizeof(s->gpr));
    c->rip = s->rip;
    memcpy(c->seg, s->seg, sizeof(s->seg));
    if (!(s->cr0 & X86_CR0_PE))
        c->seg[X86_SS].attr &= ~X86_SEG_DPL; /* the level is 0, and stays so when protection goes on */
    c->gdtr = s->gdtr;
    c->idtr = s->idtr;
    set_system(c, s);
    c->fpu = s->fpu;
    c->fpu.fsw = x86_fpu_summary(c->fpu.fsw, c->fpu.fcw);
    c->cpl = (uint8_t)state_cpl(s);
    c->pending = s->pending;
    c->activity = s->activity;
    c->shadow_sti = s->shadow_sti;
    c->shadow_ss = s->shadow_ss;
    c->nmi_blocked = s->nmi_blocked;
    c->db_pending = 0;
    if (s->pending.kind != X86_EV_NONE)
        atomic_fetch_or(&c->attention, X86_ATT_PENDING);
    else
        atomic_fetch_and(&c->attention, ~X86_ATT_PENDING);
    if (!same_space) {
        x86_tlb_flush_all(c);
        x86_mmu_heed_flush(c);
        set_pdptes(c);
    }
    x86_set_rflags(c, s->rflags);
    x86_mode_update(c);
    return 0;
}

uint64_t x86_cpu_gpr(const struct x86_cpu *c, unsigned n)
{
    return c->r[n & 15];
}

void x86_cpu_set_gpr(struct x86_cpu *c, unsigned n, uint64_t v)
{
    c->r[n & 15] = v;
}

const struct x86_insn *x86_cpu_current(const struct x86_cpu *c)
{
    return c->cur;
}

uint64_t x86_cpu_insns(const struct x86_cpu *c)
{
    return c->insns;
}

void x86_cpu_signal(struct x86_cpu *c, unsigned sig)
{
    atomic_fetch_or_explicit(&c->attention, sig, memory_order_release);
}

int x86_cpu_inject(struct x86_cpu *c, const struct x86_event *ev)
{
    if (ev->kind == X86_EV_NONE || !event_possible(ev))
        return -EINVAL;
    if (c->pending.kind != X86_EV_NONE)
        return -EBUSY;
    c->pending = *ev;
    atomic_fetch_or(&c->attention, X86_ATT_PENDING);
    return 0;
}

/* ---- Faults ---- */

int x86_raise(struct x86_cpu *c, unsigned vector)
{
    c->fault = (struct x86_event){.kind = X86_EV_EXCEPTION, .vector = (uint8_t)vector};
    return X86_FAULT;
}

int x86_raise_error(struct x86_cpu *c, unsigned vector, uint32_t error)
{
    c->fault = (struct x86_event){.kind = X86_EV_EXCEPTION, .vector = (uint8_t)vector, .has_error = 1, .error = error};
    return X86_FAULT;
}

int x86_raise_pf(struct x86_cpu *c, uint64_t gva, uint32_t error)
{
    (void)x86_raise_error(c, X86_PF, error);
    c->fault.cr2 = gva;
    return X86_FAULT;
}

int x86_from_cb(struct x86_cpu *c, int cb, unsigned vector)
{
    if (x86_likely(cb == X86_CB_OK))
        return X86_NEXT;
    if (cb == X86_CB_EXIT) {
        c->exit = X86_EXIT_CALLBACK;
        return X86_EXIT;
    }
    return vector == X86_UD ? x86_ud(c) : x86_raise_error(c, vector, 0);
}
