/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/exclude.h"

#include <stdio.h>
#include <string.h>

#include "vmm/x86/core.h"

/* ---- Cases that are not run, or not judged ---- */

static const char *const reasons[EXCLUDE_REASONS] = {
    [EXCLUDE_NOT] = "compared",
    [EXCLUDE_SYSCALL] = "SYSCALL, SYSENTER, INT 80h: enter the host's kernel, which does not come back with a fault",
    [EXCLUDE_HYPERCALL] = "VMCALL, VMMCALL: this host may itself be a guest whose hypervisor would answer",
    [EXCLUDE_UMIP] =
        "SGDT, SIDT, SLDT, STR, SMSW: Linux catches the fault of UMIP and emulates them with values of its own",
    [EXCLUDE_WAIT] = "MONITOR, MWAIT: a hypervisor decides between #UD, no-op and waiting",
    [EXCLUDE_FEATURE] =
        "feature that the host's CPUID does not offer: it may be hidden rather than absent, so #UD cannot be expected",
    [EXCLUDE_HIDDEN] = "the bytes hold one of the above at some offset, where a jump could land",
    [EXCLUDE_UNKNOWN_SYSTEM] = "0F 01 with a register operand that is no user instruction the executor knows: may "
                               "wait, leave or need a monitor",
    [EXCLUDE_UNIMPLEMENTED] =
        "random bytes the host executes and the executor by plan does not: VEX, EVEX and XOP maps, AES, SHA, GFNI, ...",
    [EXCLUDE_COMPONENTS] = "XSAVE or XRSTOR with a mask or header that names state components which the host enables "
                           "and the executor does not have",
    [EXCLUDE_PARTIAL] =
        "POPA, PUSHA that fault midway: some processors keep what was moved so far, the executor leaves all as it was",
    [EXCLUDE_OFFSET] = "FS or GS with a non-canonical offset whose sum with the base is canonical: AMD faults, Intel "
                       "and the executor do not",
    [EXCLUDE_LENGTH] =
        "an undefined opcode whose unknown operands may pass 15 bytes (#GP) or the end of the page (#PF): else #UD",
    [EXCLUDE_LIMIT] =
        "a taken branch that ends at the very limit of CS: AMD faults because of the instruction behind it",
    [EXCLUDE_ALIGN] = "FXSAVE, FXRSTOR, MASKMOVQ, MASKMOVDQU at odd addresses with alignment checks on: #AC or not is "
                      "up to the processor",
    [EXCLUDE_HEADER] =
        "XRSTOR whose header is both invalid (#GP) and across the limit of the stack segment (#SS): either may win",
    [EXCLUDE_OPERANDS] = "CMPS whose two operands both fault: which is read first is up to the processor",
    [EXCLUDE_LOOP] =
        "a loop through a backward branch that the host ends in time and the executor not within its limit",
    [EXCLUDE_STUCK] =
        "far call from a stack segment with a base into 64-bit code: some hosts take the same page fault for ever",
    [EXCLUDE_RUNAWAY] = "neither side came to an end within its limit (a loop made of random bytes)",
    [EXCLUDE_UNSTABLE] = "the host gave different results when asked again",
    [EXCLUDE_TAINTED] = "a stream went on with a flag or register that an instruction before had left undefined; each "
                        "instruction alone agreed",
};

const char *exclude_text(unsigned reason)
{
    return reason < EXCLUDE_REASONS ? reasons[reason] : "?";
}

static const struct excluded_op {
    uint16_t op;
    uint8_t reason;
} excluded_ops[] = {
    {X86_OP_SYSCALL, EXCLUDE_SYSCALL},   {X86_OP_SYSENTER, EXCLUDE_SYSCALL}, {X86_OP_VMCALL, EXCLUDE_HYPERCALL},
    {X86_OP_VMMCALL, EXCLUDE_HYPERCALL}, {X86_OP_SGDT, EXCLUDE_UMIP},        {X86_OP_SIDT, EXCLUDE_UMIP},
    {X86_OP_SLDT, EXCLUDE_UMIP},         {X86_OP_STR, EXCLUDE_UMIP},         {X86_OP_SMSW, EXCLUDE_UMIP},
    {X86_OP_MONITOR, EXCLUDE_WAIT},      {X86_OP_MWAIT, EXCLUDE_WAIT},
};

static unsigned op_reason(const struct x86_insn *in)
{
    for (size_t i = 0; i < sizeof excluded_ops / sizeof excluded_ops[0]; i++) {
        if (excluded_ops[i].op == in->op)
            return excluded_ops[i].reason;
    }
    return EXCLUDE_NOT;
}

unsigned exclude_pair(const struct x86_encoding *e, const struct x86_insn *in, unsigned mode, const struct host *h)
{
    (void)mode;
    unsigned reason = op_reason(in);
    if (reason != EXCLUDE_NOT)
        return reason;
    return x86_feature_has(&h->features, x86_encoding_feature(e)) ? EXCLUDE_NOT : EXCLUDE_FEATURE;
}

unsigned exclude_insn(const struct x86_insn *in, const struct host *h)
{
    unsigned reason = op_reason(in);
    if (reason != EXCLUDE_NOT)
        return reason;
    if (in->op == X86_OP_INT && in->imm == 0x80)
        return EXCLUDE_SYSCALL;
    return x86_feature_has(&h->features, x86_op_feature(in->op)) ? EXCLUDE_NOT : EXCLUDE_FEATURE;
}

/* Of 0F 01 C0 to FF, one bit per ModRM byte: those the executor knows and the host may run or refuse at user level. */
static bool known_system(uint8_t modrm)
{
    switch (modrm) {
    case 0xca:                                      /* CLAC */
    case 0xcb:                                      /* STAC */
    case 0xd0:                                      /* XGETBV */
    case 0xd1:                                      /* XSETBV */
    case 0xf8:                                      /* SWAPGS */
    case 0xf9: return true;                         /* RDTSCP */
    default: return modrm >= 0xf0 && modrm <= 0xf7; /* LMSW */
    }
}

/* p: three bytes. */
static unsigned forbidden(const uint8_t *p)
{
    if (p[0] == 0xcd && p[1] == 0x80)
        return EXCLUDE_SYSCALL;
    if (p[0] != 0x0f)
        return EXCLUDE_NOT;
    if (p[1] == 0x05 || p[1] == 0x34)
        return EXCLUDE_SYSCALL;
    unsigned reg = p[2] >> 3 & 7;
    if ((p[1] == 0x00 && reg < 2) || (p[1] == 0x01 && (reg == 4 || (reg < 2 && p[2] < 0xc0))))
        return EXCLUDE_UMIP;
    return p[1] == 0x01 && p[2] >= 0xc0 && !known_system(p[2]) ? EXCLUDE_UNKNOWN_SYSTEM : EXCLUDE_NOT;
}

unsigned exclude_code(const struct case_in *in, const struct host *h)
{
    uint8_t bytes[CASE_CODE_MAX + X86_INSN_MAX + 1];
    struct x86_insn insn;
    memset(bytes, ARENA_FILL, sizeof bytes);
    memcpy(bytes, in->code, in->code_len);
    for (unsigned i = 0; i < in->code_len; i++) {
        if (forbidden(bytes + i) != EXCLUDE_NOT)
            return EXCLUDE_HIDDEN;
    }
    if (!in->random_bytes || x86_decode(bytes, X86_INSN_MAX, gen_dec_mode(in->mode, h), &insn) != X86_DEC_OK)
        return EXCLUDE_NOT;
    return exclude_insn(&insn, h);
}

/* ---- Bytes the executor refuses by plan ---- */

static const struct planned {
    uint8_t map; /* 1: 0F, 2: 0F38, 3: 0F3A, 0: one byte */
    uint8_t from, to;
    const char *what;
} planned[] = {
    {1, 0x00, 0x00, "LOCK VERW, which processors that clear buffers by VERW accept"},
    {1, 0x0d, 0x0f, "3DNow! and its prefetches"},
    {1, 0x1e, 0x1e, "RDSSP and ENDBR (CET)"},
    {1, 0x2b, 0x2b, "MOVNTSS, MOVNTSD (SSE4A)"},
    {1, 0x78, 0x79, "EXTRQ, INSERTQ (SSE4A)"},
    {1, 0xae, 0xae, "INCSSP, UMONITOR, UMWAIT, TPAUSE, PTWRITE"},
    {1, 0xa6, 0xa7, "PadLock"},
    {1, 0xc7, 0xc7, "SENDUIPI and the like"},
    {2, 0xc8, 0xcf, "SHA, GFNI"},
    {2, 0xd8, 0xdf, "AES-NI, Key Locker"},
    {2, 0xf5, 0xf6, "WRSS, WRUSS (CET)"},
    {2, 0xf8, 0xfc, "MOVDIRI, MOVDIR64B, ENQCMD, RAO-INT"},
    {3, 0x44, 0x44, "PCLMULQDQ"},
    {3, 0xcc, 0xcf, "SHA, GFNI"},
    {3, 0xdf, 0xdf, "AES-NI"},
    {0, 0xc6, 0xc7, "XABORT, XBEGIN (TSX)"},
};

static bool is_prefix(uint8_t b, unsigned dec_mode)
{
    static const uint8_t list[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
    if ((dec_mode & X86_DEC_BITS) == X86_DEC_64 && (b & 0xf0) == 0x40)
        return true;
    return memchr(list, b, sizeof list) != NULL;
}

bool exclude_may_be_long(const uint8_t *p, unsigned dec_mode)
{
    unsigned n = 0;
    while (n < X86_INSN_MAX && is_prefix(p[n], dec_mode))
        n++;
    return n >= 7;
}

bool exclude_is_planned(const uint8_t *p, unsigned dec_mode)
{
    bool mode64 = (dec_mode & X86_DEC_BITS) == X86_DEC_64;
    unsigned i = 0, map = 0;
    while (i < X86_INSN_MAX - 3 && is_prefix(p[i], dec_mode))
        i++;
    if (p[i] == 0xc4 || p[i] == 0xc5 || p[i] == 0x62)
        return mode64 || p[i + 1] >= 0xc0;
    if (p[i] == 0x8f)
        return (p[i + 1] & 0x38) != 0;
    if (p[i] == 0x0f) {
        map = p[i + 1] == 0x38 ? 2 : p[i + 1] == 0x3a ? 3 : 1;
        i += map == 1 ? 1 : 2;
    }
    for (size_t k = 0; k < sizeof planned / sizeof planned[0]; k++) {
        if (planned[k].map == map && p[i] >= planned[k].from && p[i] <= planned[k].to)
            return true;
    }
    return false;
}

/* ---- Undefined and host-dependent results ---- */

#define CF X86_FL_CF
#define PF X86_FL_PF
#define AF X86_FL_AF
#define ZF X86_FL_ZF
#define SF X86_FL_SF
#define OF X86_FL_OF

static const struct undefined {
    uint16_t op;
    uint16_t flags;
    const char *source;
} undefined[] = {
    {X86_OP_AND, AF, "SDM 2 AND: AF undefined"},
    {X86_OP_OR, AF, "SDM 2 OR: AF undefined"},
    {X86_OP_XOR, AF, "SDM 2 XOR: AF undefined"},
    {X86_OP_TEST, AF, "SDM 2 TEST: AF undefined"},
    {X86_OP_SHL, OF | AF, "SDM 2 SHL: AF, OF unless the count is 1"},
    {X86_OP_SHR, OF | AF, "SDM 2 SHR: AF, OF unless the count is 1"},
    {X86_OP_SAR, OF | AF, "SDM 2 SAR: AF, OF unless the count is 1"},
    {X86_OP_ROL, OF, "SDM 2 ROL: OF unless the count is 1"},
    {X86_OP_ROR, OF, "SDM 2 ROR: OF unless the count is 1"},
    {X86_OP_RCL, OF, "SDM 2 RCL: OF unless the count is 1"},
    {X86_OP_RCR, OF, "SDM 2 RCR: OF unless the count is 1"},
    {X86_OP_SHLD, OF | AF, "SDM 2 SHLD: AF, OF unless the count is 1"},
    {X86_OP_SHRD, OF | AF, "SDM 2 SHRD: AF, OF unless the count is 1"},
    {X86_OP_MUL, SF | ZF | AF | PF, "SDM 2 MUL: SF, ZF, AF, PF undefined"},
    {X86_OP_IMUL1, SF | ZF | AF | PF, "SDM 2 IMUL: SF, ZF, AF, PF undefined"},
    {X86_OP_IMUL, SF | ZF | AF | PF, "SDM 2 IMUL: SF, ZF, AF, PF undefined"},
    {X86_OP_DIV, CF | PF | AF | ZF | SF | OF, "SDM 2 DIV: all undefined"},
    {X86_OP_IDIV, CF | PF | AF | ZF | SF | OF, "SDM 2 IDIV: all undefined"},
    {X86_OP_BT, OF | SF | AF | PF, "SDM 2 BT: OF, SF, AF, PF undefined"},
    {X86_OP_BTS, OF | SF | AF | PF, "SDM 2 BTS: OF, SF, AF, PF undefined"},
    {X86_OP_BTR, OF | SF | AF | PF, "SDM 2 BTR: OF, SF, AF, PF undefined"},
    {X86_OP_BTC, OF | SF | AF | PF, "SDM 2 BTC: OF, SF, AF, PF undefined"},
    {X86_OP_BSF, CF | OF | SF | AF | PF, "SDM 2 BSF: all but ZF undefined"},
    {X86_OP_BSR, CF | OF | SF | AF | PF, "SDM 2 BSR: all but ZF undefined"},
    {X86_OP_AAA, OF | SF | ZF | PF, "SDM 2 AAA: OF, SF, ZF, PF undefined"},
    {X86_OP_AAS, OF | SF | ZF | PF, "SDM 2 AAS: OF, SF, ZF, PF undefined"},
    {X86_OP_AAM, OF | AF | CF, "SDM 2 AAM: OF, AF, CF undefined"},
    {X86_OP_AAD, OF | AF | CF, "SDM 2 AAD: OF, AF, CF undefined"},
    {X86_OP_DAA, OF, "SDM 2 DAA: OF undefined"},
    {X86_OP_DAS, OF, "SDM 2 DAS: OF undefined"},
    {X86_OP_LZCNT, OF | SF | PF | AF, "SDM 2 LZCNT: OF, SF, PF, AF undefined"},
    {X86_OP_TZCNT, OF | SF | PF | AF, "SDM 2 TZCNT: OF, SF, PF, AF undefined"},
    {X86_OP_ANDN, AF | PF, "SDM 2 ANDN: AF, PF undefined"},
    {X86_OP_BEXTR, AF | SF | PF, "SDM 2 BEXTR: AF, SF, PF undefined"},
    {X86_OP_BLSI, AF | PF, "SDM 2 BLSI: AF, PF undefined"},
    {X86_OP_BLSR, AF | PF, "SDM 2 BLSR: AF, PF undefined"},
    {X86_OP_BLSMSK, AF | PF, "SDM 2 BLSMSK: AF, PF undefined"},
    {X86_OP_BZHI, AF | PF, "SDM 2 BZHI: AF, PF undefined"},
};

#define R(n) (1u << (n))

static const struct host_value {
    uint16_t op;
    uint16_t gprs;
    bool rm;
    const char *why;
} host_values[] = {
    {X86_OP_CPUID, R(X86_RAX) | R(X86_RBX) | R(X86_RCX) | R(X86_RDX), false, "the host's own identity"},
    {X86_OP_RDTSC, R(X86_RAX) | R(X86_RDX), false, "time"},
    {X86_OP_RDTSCP, R(X86_RAX) | R(X86_RCX) | R(X86_RDX), false, "time and processor number"},
    {X86_OP_RDPID, 0, true, "processor number"},
    {X86_OP_RDRAND, 0, true, "random"},
    {X86_OP_RDSEED, 0, true, "random"},
    {X86_OP_XGETBV, R(X86_RAX) | R(X86_RDX), false, "the host enables more state components than the executor has"},
};

/* A count that is known to be 1 leaves OF defined. */
static bool count_is_one(const struct x86_insn *in)
{
    unsigned mask = in->size == 8 ? 63 : 31;
    return (in->form == X86_FORM_RM_I || in->form == X86_FORM_RM_R_I) && (in->imm & mask) == 1;
}

static bool is_shift(unsigned op)
{
    return op >= X86_OP_ROL && op <= X86_OP_SHRD;
}

bool exclude_components(const struct x86_insn *in, const struct case_regs *g)
{
    switch (in->op) {
    case X86_OP_XSAVE:
    case X86_OP_XSAVEOPT:
    case X86_OP_XSAVEC:
    case X86_OP_XRSTOR: return ((uint32_t)g->gpr[X86_RAX] & ~3u) != 0 || (uint32_t)g->gpr[X86_RDX] != 0;
    default: return false;
    }
}

static bool canonical(uint64_t a)
{
    return (a + (UINT64_C(1) << 47)) >> 48 == 0;
}

/* Where a bit string's element of `size` bytes lies, relative to the operand: the bit number is signed. */
static uint64_t bit_string_offset(uint64_t bit, unsigned size)
{
    int64_t n = size == 8 ? (int64_t)bit : size == 4 ? (int32_t)bit : (int16_t)bit;
    int64_t bits = (int64_t)size * 8;
    int64_t element = (n - (n & (bits - 1))) / bits; /* rounded down */
    return (uint64_t)element * size;
}

bool exclude_offset(const struct x86_insn *in, const struct case_regs *g)
{
    bool string = x86_op_family(in->op) == X86_FAM_STR;
    bool implied = in->op == X86_OP_MASKMOVQ || in->op == X86_OP_MASKMOVDQU;
    if (!(string || implied || (in->flags & X86_IF_MEM)) || (in->seg != X86_FS && in->seg != X86_GS))
        return false;
    uint64_t ea = string ? g->gpr[X86_RSI] : (uint64_t)in->disp + (in->base < 16 ? g->gpr[in->base] : 0);
    ea += in->index < 16 ? g->gpr[in->index] << in->scale : 0;
    if (in->op >= X86_OP_BT && in->op <= X86_OP_BTC && in->form == X86_FORM_RM_R)
        ea += bit_string_offset(g->gpr[in->reg], in->size);
    uint64_t base = in->seg == X86_FS ? g->fs_base : g->gs_base;
    return !canonical(ea) && canonical(ea + base);
}

static bool up_to_processor(unsigned op)
{
    return op == X86_OP_FXSAVE || op == X86_OP_FXRSTOR || op == X86_OP_MASKMOVQ || op == X86_OP_MASKMOVDQU;
}

/* The executor refused the opcode, the host went on fetching what it takes for its operands. */
static bool fetched_on(const struct case_in *in, const struct case_out *native, const struct case_out *soft)
{
    uint64_t lin = native->regs.rip + (in->code_lin - in->regs.rip);
    return soft->vector == X86_UD && native->vector == X86_PF && (native->error & 0x10) &&
           native->regs.rip == soft->regs.rip && native->cr2 - lin < X86_INSN_MAX;
}

static bool ends_at_limit(const struct case_in *in, const struct x86_insn *last, const struct case_out *native)
{
    uint64_t next = in->regs.rip + in->code_len;
    return last->form == X86_FORM_REL && in->regs.sel[X86_CS] == LDT_SEL(LDT_CODE32) && native->vector == X86_GP &&
           next == ldt_entries[LDT_CODE32].limit + 1u && native->regs.rip == next - last->len;
}

static bool is_access_fault(unsigned vector)
{
    return vector == X86_GP || vector == X86_SS_FAULT || vector == X86_PF || vector == X86_AC;
}

/* Zen 3 reads ES:(R)DI first, Zen 5 DS:(R)SI; no register has moved, so both stand at the same element. */
static bool faults_in_other_operand(const struct x86_insn *last, const struct case_out *native,
                                    const struct case_out *soft)
{
    const struct case_regs *a = &native->regs, *b = &soft->regs;
    return last->op == X86_OP_CMPS && is_access_fault(native->vector) && is_access_fault(soft->vector) &&
           a->rip == b->rip && a->gpr[X86_RSI] == b->gpr[X86_RSI] && a->gpr[X86_RDI] == b->gpr[X86_RDI] &&
           a->gpr[X86_RCX] == b->gpr[X86_RCX];
}

unsigned exclude_outcome(const struct case_in *in, const struct x86_insn *last, const struct case_out *native,
                         const struct case_out *soft)
{
    if (fetched_on(in, native, soft))
        return EXCLUDE_LENGTH;
    if (in->mode == CASE_32 && ends_at_limit(in, last, native))
        return EXCLUDE_LIMIT;
    bool aligned = native->vector == X86_AC || soft->vector == X86_AC;
    if (up_to_processor(last->op) && aligned && native->vector != soft->vector)
        return EXCLUDE_ALIGN;
    bool header = last->op == X86_OP_XRSTOR && native->vector == X86_GP && soft->vector == X86_SS_FAULT;
    if (header && native->regs.rip == soft->regs.rip)
        return EXCLUDE_HEADER;
    if (faults_in_other_operand(last, native, soft))
        return EXCLUDE_OPERANDS;
    bool refused = soft->vector == X86_GP && soft->regs.rip == in->regs.rip + in->code_len - last->len;
    return last->op == X86_OP_XRSTOR && refused && native->regs.rip != soft->regs.rip ? EXCLUDE_COMPONENTS
                                                                                      : EXCLUDE_NOT;
}

static bool saves_mxcsr_mask(unsigned op)
{
    return op == X86_OP_FXSAVE || op == X86_OP_XSAVE || op == X86_OP_XSAVEOPT || op == X86_OP_XSAVEC;
}

static void add_undefined_flags(struct exclude_mask *m, const struct x86_insn *in)
{
    for (size_t i = 0; i < sizeof undefined / sizeof undefined[0]; i++) {
        if (undefined[i].op == in->op)
            m->flags |= undefined[i].flags & ~(is_shift(in->op) && count_is_one(in) ? (unsigned)OF : 0u);
    }
}

void exclude_mask_add_target(struct exclude_mask *m, const struct x86_insn *in)
{
    if (in->op == X86_OP_LZCNT || in->op == X86_OP_TZCNT)
        m->flags |= CF | OF | SF | AF | PF;
}

bool exclude_host_value(unsigned op)
{
    if (saves_mxcsr_mask(op))
        return true;
    for (size_t i = 0; i < sizeof host_values / sizeof host_values[0]; i++) {
        if (host_values[i].op == op)
            return true;
    }
    return false;
}

void exclude_mask_add(struct exclude_mask *m, const struct x86_insn *in, bool strict)
{
    if (!strict)
        add_undefined_flags(m, in);
    m->sp_carry |= in->op == X86_OP_RET_FAR && in->form == X86_FORM_I;
    m->mxcsr_mask |= saves_mxcsr_mask(in->op);
    for (size_t i = 0; i < sizeof host_values / sizeof host_values[0]; i++) {
        const struct host_value *v = &host_values[i];
        if (v->op != in->op)
            continue;
        m->gprs |= v->gprs;
        m->gprs |= (uint16_t)(v->rm ? R(in->rm & 15) : 0);
    }
}

/* ---- For readers ---- */

static void print_flags(unsigned flags)
{
    static const struct name {
        unsigned bit;
        const char *name;
    } names[] = {{CF, "CF"}, {PF, "PF"}, {AF, "AF"}, {ZF, "ZF"}, {SF, "SF"}, {OF, "OF"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (flags & names[i].bit)
            printf(" %s", names[i].name);
    }
}

void exclude_print(void)
{
    puts("Cases not run or not judged:");
    for (unsigned i = 1; i < EXCLUDE_REASONS; i++)
        printf("  %s\n", reasons[i]);
    puts("Flags not compared without --strict-flags, being undefined:");
    for (size_t i = 0; i < sizeof undefined / sizeof undefined[0]; i++) {
        printf("  %-8s", x86_op_name(undefined[i].op));
        print_flags(undefined[i].flags);
        printf("  (%s)\n", undefined[i].source);
    }
    puts("Results not compared, being the host's own:");
    for (size_t i = 0; i < sizeof host_values / sizeof host_values[0]; i++)
        printf("  %-8s %s\n", x86_op_name(host_values[i].op), host_values[i].why);
    puts("  INT1: RIP; a hypervisor that intercepts debug exceptions injects this one as a fault, so that RIP is that "
         "of the instruction");
    puts("  null selectors in DS, ES, FS, GS: their RPL, which the return to user level clears before it can be seen");
    puts("  RSP bits 16 to 31 after RET FAR n on a 16-bit stack: n may carry into them or not");
    puts("  RSP bits 32 to 63 when a far transfer has left 64-bit code: undefined in compatibility mode (SDM 1, "
         "3.4.1.1)");
    puts("  FXSAVE, XSAVE, XSAVEOPT, XSAVEC: bit 17 of the stored MXCSR_MASK, AMD's misaligned SSE mode, which the "
         "executor does not offer");
    puts("  x87 error pointers (FOP, FIP, FDP) in the registers, on AMD unless an exception is pending: FXSAVE and "
         "XSAVE, by which the host's");
    puts("    kernel shows them, store zeros otherwise. FNSTENV and FNSAVE show them always, and are compared.");
    puts("  FIP and FDP that are not canonical, when loaded by FXRSTOR or XRSTOR: some processors extend bit 47");
    puts("  LZCNT, TZCNT behind a branch, which may land behind their prefix: the flags BSF and BSR leave undefined");
    puts("Bytes the executor refuses by plan, whatever the host does:");
    puts("  VEX, EVEX and XOP maps other than BMI");
    for (size_t i = 0; i < sizeof planned / sizeof planned[0]; i++)
        printf("  map %u, %02X to %02X: %s\n", planned[i].map, planned[i].from, planned[i].to, planned[i].what);
}
