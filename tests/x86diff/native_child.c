/* SPDX-License-Identifier: Apache-2.0 */
#include <asm/ldt.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/x86diff/native_channel.h"

/*
 * Signal entry. The case may have left any segment register, FS base or flag (alignment checks!) behind: save what
 * the kernel's frame does not hold, put the C library's own back, and let native_step collect this case and prepare
 * the next. Then load the next case's segment state and return into it. 158 is arch_prctl: 0x1001 sets the GS base,
 * 0x1002 FS, 0x1003 gets FS, 0x1004 GS.
 */
/* clang-format off */
__asm__(".pushsection .text.native_entry,\"ax\",@progbits\n"
        ".globl native_entry\n"
        ".hidden native_entry\n"
        ".type native_entry,@function\n"
        "native_entry:\n"
        "    pushq $0x202\n"
        "    popfq\n"
        "    movabsq $0x5a5512340000, %rbx\n"
        "    movw %ds, 48(%rbx)\n"
        "    movw %es, 50(%rbx)\n"
        "    movw %fs, 52(%rbx)\n"
        "    movw %gs, 54(%rbx)\n"
        "    movl %edi, %ebp\n"
        "    movq %rdx, %r12\n"
        "    movl $0x1003, %edi\n"
        "    leaq 16(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movl $0x1004, %edi\n"
        "    leaq 24(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movl $0x1002, %edi\n"
        "    movq 0(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movl $0x1001, %edi\n"
        "    movq 8(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movl %ebp, %edi\n"
        "    movq %r12, %rsi\n"
        "    movq %rbx, %rdx\n"
        "    subq $8, %rsp\n"
        "    call native_step\n"
        "    addq $8, %rsp\n"
        "    movl $0x1002, %edi\n"
        "    movq 32(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movl $0x1001, %edi\n"
        "    movq 40(%rbx), %rsi\n"
        "    movl $158, %eax\n"
        "    syscall\n"
        "    movw 56(%rbx), %ds\n"
        "    movw 58(%rbx), %es\n"
        "    cmpw $0, 60(%rbx)\n"
        "    je 1f\n"
        "    movw 60(%rbx), %fs\n"
        "1:  cmpw $0, 62(%rbx)\n"
        "    je 2f\n"
        "    movw 62(%rbx), %gs\n"
        "2:  ret\n"
        ".size native_entry, . - native_entry\n"
        ".popsection\n");
/* clang-format on */
_Static_assert(offsetof(struct native_channel, out_sel) == 48 && offsetof(struct native_channel, in_sel) == 56 &&
                   offsetof(struct native_channel, in_fs) == 32,
               "the entry code knows these offsets");

void native_entry(int sig, siginfo_t *info, void *uc) __attribute__((visibility("hidden")));
void native_step(int sig, ucontext_t *uc, struct native_channel *ch) __attribute__((visibility("hidden"), used));

/* ---- Between the signal frame and struct case_regs ---- */

static const uint8_t frame_order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

/* Bytes of the FXSAVE image that are registers; the kernel keeps its own data behind. */
#define FX_BYTES 416
/* MXCSR_MASK is the processor's, not ours to set. */
#define FX_MASK_AT 28

static void store_frame(ucontext_t *uc, const struct case_in *in)
{
    greg_t *g = uc->uc_mcontext.gregs;
    for (unsigned i = 0; i < 16; i++)
        g[frame_order[i]] = (greg_t)in->regs.gpr[i];
    g[REG_RIP] = (greg_t)in->regs.rip;
    g[REG_EFL] = (greg_t)(in->regs.rflags | (in->step ? 0x100u : 0u));
    g[REG_CSGSFS] = (greg_t)(in->regs.sel[1] | (uint64_t)in->regs.sel[2] << 48);
    uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
    const uint8_t *from = (const uint8_t *)&in->regs.fx;
    memcpy(fx, from, FX_MASK_AT);
    memcpy(fx + FX_MASK_AT + 4, from + FX_MASK_AT + 4, FX_BYTES - FX_MASK_AT - 4);
    const uint64_t present = 3; /* x87 and SSE from here, all else in its initial state */
    memcpy(fx + 512, &present, 8);
}

static void load_frame(const ucontext_t *uc, struct case_out *out)
{
    const greg_t *g = uc->uc_mcontext.gregs;
    for (unsigned i = 0; i < 16; i++)
        out->regs.gpr[i] = (uint64_t)g[frame_order[i]];
    out->regs.rip = (uint64_t)g[REG_RIP];
    out->regs.rflags = (uint64_t)g[REG_EFL];
    out->regs.sel[1] = (uint16_t)g[REG_CSGSFS];
    out->regs.sel[2] = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
    memset(&out->regs.fx, 0, sizeof(out->regs.fx));
    memcpy(&out->regs.fx, (const void *)uc->uc_mcontext.fpregs, FX_BYTES);
    out->vector = (uint8_t)g[REG_TRAPNO];
    out->error = (uint32_t)g[REG_ERR];
    out->cr2 = out->vector == 14 ? (uint64_t)g[REG_CR2] : 0;
}

/* ---- Steps ---- */

static void collect(struct native_channel *ch, int sig, const ucontext_t *uc)
{
    unsigned n = atomic_load(&ch->next);
    struct case_out *out = &ch->out[n];
    load_frame(uc, out);
    out->regs.sel[3] = ch->out_sel[0];
    out->regs.sel[0] = ch->out_sel[1];
    out->regs.sel[4] = ch->out_sel[2];
    out->regs.sel[5] = ch->out_sel[3];
    out->regs.fs_base = ch->out_fs;
    out->regs.gs_base = ch->out_gs;
    out->end = sig == SIGSYS ? END_SYSCALL : END_EXCEPTION;
    memcpy(out->mem, ch->store, ARENA_RW_BYTES);
    arena_clean(ch->store, &ch->in[n]);
}

static void wait_turn(struct native_channel *ch)
{
    atomic_store(&ch->turn, TURN_PARENT);
    syscall(SYS_futex, &ch->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    while (atomic_load(&ch->turn) == TURN_PARENT)
        syscall(SYS_futex, &ch->turn, FUTEX_WAIT, TURN_PARENT, NULL, NULL, 0);
}

static void prepare(struct native_channel *ch, ucontext_t *uc)
{
    const struct case_in *in = &ch->in[atomic_load(&ch->next)];
    arena_prepare(ch->store, ch->templates, in);
    store_frame(uc, in);
    memset(&uc->uc_sigmask, 0, sizeof(uc->uc_sigmask));
    ch->in_sel[0] = in->regs.sel[3];
    ch->in_sel[1] = in->regs.sel[0];
    ch->in_sel[2] = in->regs.sel[4];
    ch->in_sel[3] = in->regs.sel[5];
    ch->in_fs = in->regs.fs_base;
    ch->in_gs = in->regs.gs_base;
}

void native_step(int sig, ucontext_t *uc, struct native_channel *ch)
{
    if (ch->running) {
        collect(ch, sig, uc);
        atomic_fetch_add(&ch->next, 1);
        ch->running = false;
    }
    while (atomic_load(&ch->next) >= ch->count)
        wait_turn(ch);
    prepare(ch, uc);
    ch->running = true;
}

/* ---- Start ---- */

static bool map_at(uint64_t lin, int fd, unsigned page, int prot)
{
    void *want = (void *)(uintptr_t)lin;
    return mmap(want, ARENA_PAGE, prot, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
                (off_t)page * ARENA_PAGE) == want;
}

static bool map_windows(uint64_t shift, int fd)
{
    for (unsigned i = 0; i < ARENA_DATA_PAGES; i++) {
        const struct arena_page *p = &arena_pages[i];
        int prot = p->kind == ARENA_RW ? PROT_READ | PROT_WRITE : PROT_READ;
        if (p->kind != ARENA_HOLE && !map_at(ARENA_DATA + shift + (uint64_t)i * ARENA_PAGE, fd, p->backing, prot))
            return false;
    }
    for (unsigned i = 0; i < ARENA_CODE_BYTES / ARENA_PAGE; i++) {
        if (!map_at(ARENA_CODE + shift + (uint64_t)i * ARENA_PAGE, fd, ARENA_STORE_CODE / ARENA_PAGE + i,
                    PROT_READ | PROT_EXEC))
            return false;
    }
    return true;
}

static uint8_t *map_store(void)
{
    int fd = (int)syscall(SYS_memfd_create, "x86diff", 0);
    if (fd < 0 || ftruncate(fd, ARENA_STORE_BYTES) != 0)
        return NULL;
    uint8_t *p = mmap(NULL, ARENA_STORE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED || !map_windows(0, fd) || !map_windows(ARENA_HIGH, fd))
        return NULL;
    mlock(p, ARENA_STORE_BYTES);
    return p;
}

static bool set_ldt(void)
{
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        const struct ldt_entry *e = &ldt_entries[i];
        const struct user_desc d = {.entry_number = i,
                                    .base_addr = e->base,
                                    .limit = e->limit,
                                    .seg_32bit = e->big,
                                    .contents = e->contents & 3u,
                                    .read_exec_only = e->read_only,
                                    .limit_in_pages = e->pages,
                                    .seg_not_present = e->absent,
                                    .useable = 1};
        if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)) != 0)
            return false;
    }
    return true;
}

static bool ldt_has_avl(void)
{
    uint32_t access = 0;
    __asm__ volatile("lar %1, %0" : "+r"(access) : "r"((uint32_t)LDT_SEL(LDT_DATA16)) : "cc");
    return (access >> 20 & 1) != 0;
}

static void set_limits(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_NPROC, &none);
    setrlimit(RLIMIT_NOFILE, &none);
}

static bool set_signals(uint8_t *altstack, size_t bytes)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGSYS};
    const stack_t ss = {.ss_sp = altstack, .ss_size = bytes};
    if (sigaltstack(&ss, NULL) != 0)
        return false;
    struct sigaction sa = {.sa_sigaction = native_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], &sa, NULL) != 0)
            return false;
    }
    return true;
}

_Noreturn void native_child(struct native_channel *ch, const struct templates *t, uint8_t *altstack,
                            size_t altstack_bytes)
{
    ch->store = map_store();
    if (ch->store == NULL || !set_signals(altstack, altstack_bytes))
        _exit(2);
    ch->templates = t;
    ch->have_ldt = set_ldt();
    ch->ldt_avl = ch->have_ldt && ldt_has_avl();
    arena_init(ch->store, t);
    syscall(SYS_arch_prctl, 0x1003, &ch->host_fs);
    syscall(SYS_arch_prctl, 0x1004, &ch->host_gs);
    set_limits();
    syscall(SYS_close_range, 0u, ~0u, 0u);
    ch->running = false;
    if (native_confine() != 0)
        _exit(3);
    __builtin_trap(); /* into native_entry, for good */
}
