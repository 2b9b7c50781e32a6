/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/work.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/x86diff/compare.h"
#include "tests/x86diff/native.h"
#include "vmm/x86/core.h"

struct worker {
    struct shared *sh;
    struct native *native;
    struct soft *soft;
    struct templates *templates; /* shared with the child: investigations write to it */
    struct gen gen;
    unsigned number, reports;
    struct case_in in[NATIVE_BATCH];
    struct case_out soft_out;
};

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static bool make_sides(struct worker *w)
{
    char err[160] = "out of memory";
    struct shared *sh = w->sh;
    void *p = mmap(NULL, sizeof(*w->templates), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    w->templates = p;
    *w->templates = sh->templates;
    w->native = native_new(w->templates, err, sizeof err);
    w->soft = w->native != NULL ? soft_new(w->templates, &sh->host, native_ldt_avl(w->native), err, sizeof err) : NULL;
    if (w->soft == NULL)
        fprintf(stderr, "x86diff: %s\n", err);
    w->gen = (struct gen){
        .host = &sh->host, .cover = &sh->cover, .ldt = sh->res.ldt, .modes = sh->res.modes, .only_op = sh->opt.only_op};
    w->gen.only_mode = sh->opt.only_mode;
    w->gen.fixed = sh->opt.code_len != 0 ? sh->opt.code : NULL;
    w->gen.fixed_len = sh->opt.code_len;
    w->gen.fixed_mode = sh->opt.only_mode >= 0 ? (unsigned)sh->opt.only_mode : (unsigned)CASE_64;
    return w->soft != NULL;
}

/* Run one case alone on both sides. */
static const struct case_out *run_both(struct worker *w, const struct case_in *in, struct case_out *soft)
{
    native_cases(w->native)[0] = *in;
    if (!native_run(w->native, 1))
        return NULL;
    soft_run(w->soft, in, soft);
    return &native_outcomes(w->native)[0];
}

/* ---- After a mismatch ---- */

static void note_planned(struct worker *w, const struct case_in *in)
{
    struct x86_insn insn;
    x86_decode(in->code, in->code_len, gen_dec_mode(in->mode, w->gen.host), &insn);
    atomic_fetch_add(&w->sh->res.planned[insn.map & 3][insn.opcode], 1);
}

static struct x86_insn last_insn(const struct worker *w, const struct case_in *in)
{
    struct x86_insn insn;
    unsigned at = 0;
    for (unsigned i = 0; i + 1 < in->insns; i++)
        at += in->insn_len[i];
    x86_decode(in->code + at, in->code_len - at, gen_dec_mode(in->mode, w->gen.host), &insn);
    return insn;
}

static bool has_branch(const struct worker *w, const struct case_in *in)
{
    struct x86_insn insn;
    for (unsigned i = 0, at = 0; i < in->insns; at += in->insn_len[i++]) {
        x86_decode(in->code + at, in->code_len - at, gen_dec_mode(in->mode, w->gen.host), &insn);
        if (insn.form == X86_FORM_REL)
            return true;
    }
    return false;
}

/* Reason why a mismatch is none, or EXCLUDE_NOT. */
static unsigned excuse(struct worker *w, const struct case_in *in, const struct case_out *native,
                       const struct case_out *soft)
{
    if (native->end == END_SYSCALL)
        return EXCLUDE_HIDDEN;
    if (native->end == END_RUNAWAY && soft->end == END_RUNAWAY)
        return EXCLUDE_RUNAWAY;
    struct x86_insn last = last_insn(w, in);
    unsigned why = exclude_outcome(in, &last, native, soft);
    if (why != EXCLUDE_NOT)
        return why;
    bool far_call = last.op == X86_OP_CALL_FAR || last.op == X86_OP_CALL_FAR_IND;
    if (native->end == END_RUNAWAY && far_call && (in->regs.sel[X86_SS] & 4))
        return EXCLUDE_STUCK;
    if (exclude_components(&last, &native->regs))
        return EXCLUDE_COMPONENTS;
    if ((last.op == X86_OP_POPA || last.op == X86_OP_PUSHA) && native->vector == soft->vector &&
        native->regs.rip == soft->regs.rip && native->cr2 == soft->cr2 &&
        native->regs.rip != in->regs.rip + in->code_len)
        return EXCLUDE_PARTIAL;
    if (in->mode == CASE_64 && native->vector == X86_GP && exclude_offset(&last, &native->regs))
        return EXCLUDE_OFFSET;
    if (native->end == END_EXCEPTION && soft->end == END_RUNAWAY && has_branch(w, in))
        return EXCLUDE_LOOP;
    bool refused = soft->vector == X86_UD && soft->regs.rip == in->regs.rip;
    if (in->random_bytes && refused && native->vector == X86_GP && native->regs.rip == in->regs.rip &&
        exclude_may_be_long(in->code, gen_dec_mode(in->mode, w->gen.host)))
        return EXCLUDE_LENGTH;
    if (in->random_bytes && refused && exclude_is_planned(in->code, gen_dec_mode(in->mode, w->gen.host))) {
        note_planned(w, in);
        return EXCLUDE_UNIMPLEMENTED;
    }
    return EXCLUDE_NOT;
}

/*
 * Instruction k of a stream alone, from the state that k-1 instructions left natively. True when both sides agree on
 * it.
 */
static bool agrees_alone(struct worker *w, const struct case_in *whole, unsigned k)
{
    struct case_in in = *whole;
    struct case_out soft, before;
    gen_cut(&in, k);
    const struct case_out *native = run_both(w, &in, &soft);
    if (native == NULL || native->end != END_EXCEPTION)
        return false;
    before = *native;
    memcpy(w->templates->rw[TEMPLATE_CUSTOM], before.mem, ARENA_RW_BYTES);
    uint8_t at = in.code_len;
    in = *whole;
    in.regs = before.regs;
    in.regs.rflags &= ~(uint64_t)X86_FL_RF;
    in.templ = TEMPLATE_CUSTOM;
    in.patches = 0;
    in.code_lin += at;
    in.code_len = in.insn_len[0] = whole->insn_len[k];
    in.insns = 1;
    memcpy(in.code, whole->code + at, in.code_len);
    native = run_both(w, &in, &soft);
    const struct exclude_mask m = compare_mask(&in, w->gen.host, w->sh->opt.strict_flags);
    return native != NULL && compare_outcomes(&in, w->gen.host, &m, native, &soft);
}

/* A stream fails at its k-th instruction: is that because something before it left a flag undefined? */
static bool tainted(struct worker *w, const struct case_in *in, unsigned k)
{
    struct case_in before = *in;
    gen_cut(&before, k);
    struct exclude_mask m = compare_mask(&before, w->gen.host, w->sh->opt.strict_flags);
    return k > 0 && (m.flags != 0 || m.gprs != 0) && agrees_alone(w, in, k);
}

static void print_again(const struct worker *w, const struct case_in *in)
{
    static const char *const modes[CASE_MODES] = {"64", "32", "16"};
    const struct options *o = &w->sh->opt;
    printf("  again: x86diff --replay %llu:%llu", (unsigned long long)in->seed, (unsigned long long)in->number);
    if (o->only_op >= 0)
        printf(" --op %s", x86_op_name((unsigned)o->only_op));
    if (o->only_mode >= 0)
        printf(" --mode %s", modes[o->only_mode]);
    printf(o->code_len != 0 ? " --code " : "");
    for (unsigned i = 0; i < o->code_len; i++)
        printf("%02x", o->code[i]);
    printf("\n");
    fflush(stdout);
}

static void report(struct worker *w, const struct case_in *in, const struct exclude_mask *m,
                   const struct case_out *native)
{
    struct results *res = &w->sh->res;
    count(&res->mismatches);
    atomic_fetch_add(&res->op_mismatches[last_insn(w, in).op], 1);
    if (w->reports++ < w->sh->opt.max_reports) {
        compare_print(in, w->gen.host, m, native, &w->soft_out);
        print_again(w, in);
    }
}

static unsigned shortest_prefix(struct worker *w, struct case_in *in)
{
    struct case_in whole = *in;
    struct case_out soft;
    for (unsigned n = 1; n < whole.insns; n++) {
        *in = whole;
        gen_cut(in, n);
        const struct case_out *native = run_both(w, in, &soft);
        struct exclude_mask m = compare_mask(in, w->gen.host, w->sh->opt.strict_flags);
        if (native == NULL || !compare_outcomes(in, w->gen.host, &m, native, &soft))
            return n;
    }
    *in = whole;
    return whole.insns;
}

static unsigned excuse_prefix(struct worker *w, const struct case_in *in)
{
    const struct case_out *native = run_both(w, in, &w->soft_out);
    return native != NULL ? excuse(w, in, native, &w->soft_out) : EXCLUDE_NOT;
}

static void investigate(struct worker *w, const struct case_in *failed, const struct case_out *first)
{
    struct results *res = &w->sh->res;
    struct case_out seen = *first;
    struct case_in in = *failed;
    unsigned why = excuse(w, &in, &seen, &w->soft_out);
    const struct case_out *native = why == EXCLUDE_NOT ? run_both(w, &in, &w->soft_out) : NULL;
    const struct exclude_mask mask = compare_mask(&in, w->gen.host, w->sh->opt.strict_flags);
    if (native != NULL && !compare_outcomes(&in, w->gen.host, &mask, &seen, native))
        why = EXCLUDE_UNSTABLE;
    unsigned n = why == EXCLUDE_NOT ? shortest_prefix(w, &in) : 0;
    if (why == EXCLUDE_NOT && n < failed->insns)
        why = excuse_prefix(w, &in);
    if (why == EXCLUDE_NOT && n > 1 && tainted(w, &in, n - 1))
        why = EXCLUDE_TAINTED;
    if (why != EXCLUDE_NOT) {
        count(&res->skipped[why]);
        if (w->sh->opt.verbose)
            printf("NOT JUDGED seed %llu case %llu, last %s: %s\n", (unsigned long long)in.seed,
                   (unsigned long long)in.number, x86_op_name(last_insn(w, &in).op), exclude_text(why));
        return;
    }
    native = run_both(w, &in, &w->soft_out);
    struct exclude_mask m = compare_mask(&in, w->gen.host, w->sh->opt.strict_flags);
    report(w, &in, &m, native != NULL ? native : &seen);
}

/* ---- Batches ---- */

static void note_coverage(struct worker *w, const struct case_in *in, const struct case_out *native)
{
    struct results *res = &w->sh->res;
    uint64_t end = in->regs.rip + in->code_len;
    unsigned n = native->end == END_EXCEPTION && native->regs.rip == end ? in->insns : 1;
    for (unsigned i = 0; i < n && i < in->insns; i++) {
        count(&res->insns);
        if (in->key[i] != COVER_NONE)
            count(&res->compared[in->key[i]]);
    }
    count(&res->vectors[native->vector & 31]);
}

/*
 * Compare what the batch gave; those that disagree are listed, because looking into them needs the native side again.
 */
static unsigned judge_batch(struct worker *w, unsigned n, unsigned failed[NATIVE_BATCH], struct case_out *kept)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct case_in *in = &w->in[i];
        const struct case_out *native = &native_outcomes(w->native)[i];
        atomic_store_explicit(&w->sh->res.at[w->number], in->number, memory_order_relaxed);
        soft_run(w->soft, in, &w->soft_out);
        struct exclude_mask m = compare_mask(in, w->gen.host, w->sh->opt.strict_flags);
        count(&w->sh->res.cases);
        note_coverage(w, in, native);
        if (compare_outcomes(in, w->gen.host, &m, native, &w->soft_out))
            continue;
        kept[bad] = *native;
        failed[bad++] = i;
    }
    return bad;
}

static bool run_batch(struct worker *w, uint64_t from, unsigned n, struct case_out *kept)
{
    unsigned failed[NATIVE_BATCH];
    for (unsigned i = 0; i < n; i++)
        gen_case(&w->gen, w->sh->opt.seed, from + i, &w->in[i]);
    memcpy(native_cases(w->native), w->in, n * sizeof(w->in[0]));
    if (!native_run(w->native, n))
        return false;
    unsigned bad = judge_batch(w, n, failed, kept);
    for (unsigned i = 0; i < bad; i++) {
        atomic_store(&w->sh->res.at[w->number], w->in[failed[i]].number);
        soft_run(w->soft, &w->in[failed[i]], &w->soft_out);
        investigate(w, &w->in[failed[i]], &kept[i]);
    }
    return true;
}

static int run_all(struct worker *w)
{
    const struct options *o = &w->sh->opt;
    struct case_out *kept = calloc(NATIVE_BATCH, sizeof(*kept));
    if (kept == NULL)
        return 2;
    for (uint64_t b = w->number; b * NATIVE_BATCH < o->count; b += o->jobs) {
        uint64_t left = o->count - b * NATIVE_BATCH;
        if (!run_batch(w, o->first + b * NATIVE_BATCH, left < NATIVE_BATCH ? (unsigned)left : NATIVE_BATCH, kept)) {
            fprintf(stderr, "x86diff: the native child cannot be started again\n");
            free(kept);
            return 2;
        }
    }
    free(kept);
    return 0;
}

/* One processor per worker and child: what LSL says of the per-processor segment must not change in between. */
static void pin_to_processor(unsigned n)
{
    cpu_set_t have, one;
    if (sched_getaffinity(0, sizeof have, &have) != 0 || CPU_COUNT(&have) == 0)
        return;
    unsigned skip = n % (unsigned)CPU_COUNT(&have);
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &have) || skip-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

int work_run(struct shared *sh, unsigned n)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 2;
    w->sh = sh;
    w->number = n;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* reports of several workers stay whole */
    pin_to_processor(n);
    int status = make_sides(w) ? run_all(w) : 2;
    soft_free(w->soft);
    native_free(w->native);
    if (w->templates != NULL)
        munmap(w->templates, sizeof(*w->templates));
    free(w);
    return status;
}

/* ---- What this host can do ---- */

/* Does a lone HLT in this code segment come back as #GP from there? */
static bool segment_works(struct native *n, uint16_t cs, uint64_t base)
{
    struct case_in *in = native_cases(n);
    memset(in, 0, sizeof(*in));
    in->code_lin = ARENA_CODE;
    in->regs.rip = ARENA_CODE - base;
    in->regs.sel[X86_CS] = cs;
    in->regs.sel[X86_SS] = SEL_DATA;
    in->regs.gpr[X86_RSP] = ARENA_FIRST + 64;
    in->regs.rflags = 0x202;
    in->regs.fx.fcw = 0x37f;
    in->regs.fx.mxcsr = 0x1f80;
    in->code[0] = ARENA_FILL;
    in->code_len = 1;
    if (!native_run(n, 1))
        return false;
    const struct case_out *out = native_outcomes(n);
    return out->end == END_EXCEPTION && out->vector == X86_GP && out->regs.sel[X86_CS] == cs &&
           out->regs.rip == in->regs.rip;
}

bool work_probe(struct shared *sh)
{
    char err[160] = "out of memory";
    struct native *n = native_new(&sh->templates, err, sizeof err);
    if (n == NULL || !segment_works(n, SEL_CODE64, 0)) {
        fprintf(stderr, "x86diff: %s\n", n == NULL ? err : "the native child does not run 64-bit code");
        native_free(n);
        return false;
    }
    sh->res.modes = 1;
    if (segment_works(n, SEL_CODE32, 0)) {
        sh->res.ldt = native_has_ldt(n);
        sh->res.modes = sh->res.ldt && segment_works(n, LDT_SEL(LDT_CODE16), ARENA_CODE) ? 3 : 2;
    }
    native_free(n);
    cover_find(&sh->cover, &sh->host, sh->res.modes);
    return true;
}
