/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/compare.h"

#include <stdio.h>
#include <string.h>

#include "vmm/x86/core.h"

/*
 * Flags that are compared where defined. RF is the debug exception's own business, IF and IOPL cannot change at user
 * level.
 */
#define FLAGS_COMPARED (X86_FL_ARITH | X86_FL_TF | X86_FL_DF | X86_FL_NT | X86_FL_AC | X86_FL_ID)

/* Linux hides whether kernel addresses are mapped: it sets P in the error code of every user fault above this. */
#define KERNEL_FROM UINT64_C(0x00007ffffffff000)

struct exclude_mask compare_mask(const struct case_in *in, const struct host *h, bool strict)
{
    struct exclude_mask m = {0};
    struct x86_insn insn;
    bool branched = false;
    unsigned at = 0;
    for (unsigned i = 0; i < in->insns; i++) {
        if (x86_decode(in->code + at, in->code_len - at, gen_dec_mode(in->mode, h), &insn) == X86_DEC_OK) {
            exclude_mask_add(&m, &insn, strict);
            if (branched)
                exclude_mask_add_target(&m, &insn);
            branched |= insn.form == X86_FORM_REL;
        }
        at += in->insn_len[i];
    }
    return m;
}

/* One difference, or many, goes to this; printing when out is not NULL. */
struct judge {
    FILE *out;
    bool amd;
    bool differs;
};

static void check(struct judge *j, const char *what, unsigned n, uint64_t native, uint64_t soft)
{
    if (native == soft)
        return;
    j->differs = true;
    if (j->out != NULL)
        fprintf(j->out, "    %-8s%-3u native %016llx  executor %016llx  xor %llx\n", what, n,
                (unsigned long long)native, (unsigned long long)soft, (unsigned long long)(native ^ soft));
}

static void check_bytes(struct judge *j, const char *what, unsigned n, const uint8_t *native, const uint8_t *soft,
                        unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8) {
        uint64_t a = 0, b = 0;
        unsigned k = bytes - i < 8 ? bytes - i : 8;
        memcpy(&a, native + i, k);
        memcpy(&b, soft + i, k);
        check(j, what, n, a, b);
    }
}

static uint64_t plain_error(const struct case_out *o)
{
    return o->vector == X86_PF && o->cr2 >= KERNEL_FROM ? o->error | 1u : o->error;
}

/* Going back to user level the processor clears the RPL of null selectors, before the native side can look at them. */
static uint16_t shown_selector(uint16_t sel)
{
    return sel < 4 ? 0 : sel;
}

/* INT1 ended the case: a hypervisor that intercepts debug exceptions may have put RIP back to its start. */
static bool is_int1(const struct case_in *in, unsigned vector, uint64_t native_rip, uint64_t soft_rip)
{
    uint64_t from = native_rip - in->regs.rip, to = soft_rip - in->regs.rip;
    return vector == X86_DB && from < to && to <= in->code_len && in->code[to - 1] == 0xf1;
}

static void judge_integer(struct judge *j, const struct case_in *in, const struct exclude_mask *m, unsigned n,
                          const struct case_regs *a, const struct case_regs *b)
{
    static const char *const segs[6] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    uint64_t width = in->mode == CASE_64 ? ~UINT64_C(0) : 0xffffffff;
    uint64_t rsp_width = a->sel[X86_CS] == SEL_CODE64 ? width : 0xffffffff; /* undefined above in compatibility mode */
    bool stack16 =
        (a->sel[X86_SS] & 4) != 0 && (a->sel[X86_SS] >> 3) < LDT_COUNT && !ldt_entries[a->sel[X86_SS] >> 3].big;
    if (m->sp_carry && stack16)
        rsp_width = 0xffff;
    if (!is_int1(in, n, a->rip, b->rip))
        check(j, "RIP", 0, a->rip & width, b->rip & width);
    uint64_t flags = FLAGS_COMPARED & ~(uint64_t)m->flags;
    check(j, "RFLAGS", 0, a->rflags & flags, b->rflags & flags);
    for (unsigned i = 0; i < (in->mode == CASE_64 ? 16u : 8u); i++) {
        uint64_t w = i == X86_RSP ? rsp_width : width;
        if (!(m->gprs >> i & 1))
            check(j, "R", i, a->gpr[i] & w, b->gpr[i] & w);
    }
    for (unsigned i = 0; i < 6; i++)
        check(j, segs[i], i, shown_selector(a->sel[i]), shown_selector(b->sel[i]));
    if (in->mode == CASE_64) {
        check(j, "FSBASE", 0, a->fs_base, b->fs_base);
        check(j, "GSBASE", 0, a->gs_base, b->gs_base);
    }
}

/* The executor keeps what was loaded; a processor may have extended bit 47. */
static uint64_t as_pointer(uint64_t native, uint64_t soft)
{
    uint64_t extended = (uint64_t)((int64_t)(soft << 16) >> 16);
    return native == extended ? extended : soft;
}

static void judge_float(struct judge *j, const struct case_in *in, const struct fx_image *a, const struct fx_image *b)
{
    check(j, "FCW", 0, a->fcw, b->fcw);
    check(j, "FSW", 0, a->fsw, b->fsw);
    check(j, "FTW", 0, a->ftw, b->ftw);
    check(j, "MXCSR", 0, a->mxcsr, b->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        check_bytes(j, "ST", i, a->st[i], b->st[i], 10);
    for (unsigned i = 0; i < (in->mode == CASE_64 ? 16u : 8u); i++)
        check_bytes(j, "XMM", i, a->xmm[i], b->xmm[i], 16);
    if (j->amd && !(a->fsw & b->fsw & 0x80))
        return; /* not shown by the host, see exclude.c */
    check(j, "FOP", 0, a->fop, b->fop);
    check(j, "FIP", 0, a->fip, as_pointer(a->fip, b->fip));
    check(j, "FDP", 0, a->fdp, as_pointer(a->fdp, b->fdp));
}

/* Byte i is bits 16 to 23 of MXCSR_MASK in an image at a multiple of 16. */
static bool is_mask_byte(unsigned i, const struct case_out *a, const struct case_out *b)
{
    return i % 16 == 14 && (a->mem[i] ^ b->mem[i]) == 2;
}

static void judge_memory(struct judge *j, const struct exclude_mask *m, const struct case_out *a,
                         const struct case_out *b)
{
    if (memcmp(a->mem, b->mem, ARENA_RW_BYTES) == 0)
        return;
    for (unsigned i = 0, shown = 0; i < ARENA_RW_BYTES && shown < 24; i++) {
        if (a->mem[i] == b->mem[i] || (m->mxcsr_mask && is_mask_byte(i, a, b)))
            continue;
        j->differs = true;
        if (j->out == NULL)
            return;
        fprintf(j->out, "    memory  page %u + %03x  native %02x  executor %02x\n", i / ARENA_PAGE, i % ARENA_PAGE,
                a->mem[i], b->mem[i]);
        shown++;
    }
}

static void judge_all(struct judge *j, const struct case_in *in, const struct exclude_mask *m, const struct case_out *a,
                      const struct case_out *b)
{
    check(j, "end", 0, a->end, b->end);
    if (a->end != END_EXCEPTION || b->end != END_EXCEPTION)
        return;
    check(j, "vector", 0, a->vector, b->vector);
    check(j, "error", 0, plain_error(a), plain_error(b));
    check(j, "CR2", 0, a->cr2, b->cr2);
    judge_integer(j, in, m, a->vector, &a->regs, &b->regs);
    judge_float(j, in, &a->regs.fx, &b->regs.fx);
    judge_memory(j, m, a, b);
}

bool compare_outcomes(const struct case_in *in, const struct host *h, const struct exclude_mask *m,
                      const struct case_out *native, const struct case_out *soft)
{
    struct judge j = {.out = NULL, .amd = h->amd};
    judge_all(&j, in, m, native, soft);
    return !j.differs;
}

/* ---- Printing ---- */

static void print_insns(const struct case_in *in, const struct host *h)
{
    unsigned at = 0;
    for (unsigned i = 0; i < in->insns; i++) {
        struct x86_insn insn;
        enum x86_dec_result res = x86_decode(in->code + at, in->code_len - at, gen_dec_mode(in->mode, h), &insn);
        printf("    %llx: ", (unsigned long long)(in->code_lin + at));
        for (unsigned b = 0; b < in->insn_len[i]; b++)
            printf("%02x", in->code[at + b]);
        printf("  %s", res == X86_DEC_OK ? x86_op_name(insn.op) : "(no instruction)");
        if (res == X86_DEC_OK)
            printf(" form %u size %u msize %u%s%s", insn.form, insn.size, insn.msize,
                   insn.flags & X86_IF_MEM ? " memory" : "", insn.flags & X86_IF_LOCK ? " lock" : "");
        printf("\n");
        at += in->insn_len[i];
    }
}

static void print_bytes(const uint8_t *p, unsigned n)
{
    for (unsigned i = n; i > 0; i--)
        printf("%02x", p[i - 1]);
}

static void print_state(const struct case_regs *g)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < 16; i++)
        printf("    %-3s %016llx%s", names[i], (unsigned long long)g->gpr[i], i % 4 == 3 ? "\n" : "");
    printf("    rflags %llx fs_base %llx gs_base %llx es %x cs %x ss %x ds %x fs %x gs %x\n",
           (unsigned long long)g->rflags, (unsigned long long)g->fs_base, (unsigned long long)g->gs_base, g->sel[0],
           g->sel[1], g->sel[2], g->sel[3], g->sel[4], g->sel[5]);
    printf("    fcw %x fsw %x ftw %x mxcsr %x\n", g->fx.fcw, g->fx.fsw, g->fx.ftw, g->fx.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        printf("    st%u ", i);
        print_bytes(g->fx.st[i], 10);
        printf("  xmm%u ", i);
        print_bytes(g->fx.xmm[i], 16);
        printf("  xmm%u ", i + 8);
        print_bytes(g->fx.xmm[i + 8], 16);
        printf("\n");
    }
}

void compare_print(const struct case_in *in, const struct host *h, const struct exclude_mask *m,
                   const struct case_out *native, const struct case_out *soft)
{
    static const char *const modes[CASE_MODES] = {"64", "32", "16"};
    struct judge j = {.out = stdout, .amd = h->amd};
    printf("MISMATCH seed %llu case %llu, %s-bit code, %u instruction(s)%s\n", (unsigned long long)in->seed,
           (unsigned long long)in->number, modes[in->mode], in->insns, in->step ? ", single step" : "");
    print_insns(in, h);
    printf("  before:\n");
    print_state(&in->regs);
    for (unsigned i = 0; i < in->patches; i++) {
        printf("    at %llx: ", (unsigned long long)in->patch[i].lin);
        for (unsigned b = 0; b < in->patch[i].len; b++)
            printf("%02x", in->patch[i].bytes[b]);
        printf("\n");
    }
    printf("  native: vector %u error %x cr2 %llx; executor: vector %u error %x cr2 %llx\n", native->vector,
           native->error, (unsigned long long)native->cr2, soft->vector, soft->error, (unsigned long long)soft->cr2);
    printf("  differences:\n");
    judge_all(&j, in, m, native, soft);
}
