/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the software processor beside the host's own: the same machine code, the same memory, alternating runs.
 * Prints medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/bench/kernels.h"
#include "vmm/x86/cpu.h"

#define RUNS        5
#define GUEST_CODE  0x100000u
#define GUEST_MEM   0x1000000u /* where the kernels' memory is in the guest */
#define GUEST_STACK 0xf0000u
#define GUEST_RAM   (GUEST_MEM + BENCH_MEM_BYTES)

struct bench {
    const char *name, *unit;
    bench_kernel *kernel;
    uint64_t rounds;
    double units_per_round;
};

static const struct bench benches[] = {
    {"integer loop", "Mloops/s", bench_integer, 3000000, 1e-6},
    {"SHA-256", "MB/s", bench_sha256, 150, 4096e-6},
    {"copy, REP MOVSQ", "MB/s", bench_copy_rep, 3000, 131072e-6},
    {"copy, SSE loop", "MB/s", bench_copy_sse, 300, 131072e-6},
    {"pointer chase", "Mloads/s", bench_chase, 3000000, 1e-6},
};

static uint8_t *ram_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    *rights = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    return gpa < GUEST_RAM ? (uint8_t *)ctx + gpa : NULL;
}

static int no_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    (void)ctx;
    (void)a;
    (void)buf;
    return X86_CB_EXIT;
}

static int no_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    (void)ctx;
    (void)a;
    (void)buf;
    return X86_CB_EXIT;
}

static const struct x86_ops ops = {.page = ram_page, .read = no_read, .write = no_write};

static void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

/* 64-bit mode, identity mapped by one 1 GiB page, no interrupts. */
static struct x86_cpu *make_cpu(uint8_t *ram, struct x86_state *s)
{
    struct x86_config cfg = {
        .ops = &ops, .ctx = ram, .features = x86_features_supported(), .phys_bits = 40, .amd = true};
    struct x86_cpu *c = x86_cpu_new(&cfg);
    if (c == NULL)
        return NULL;
    put64(ram + 0x1000, 0x2003);
    put64(ram + 0x2000, 0x83);
    x86_cpu_get_state(c, s);
    s->cr0 = 0x80010033;
    s->cr3 = 0x1000;
    s->cr4 = 0x620;
    s->efer = 0xd01;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct x86_seg){.sel = 0x10, .limit = 0xffffffff, .attr = 0xc093};
    s->seg[X86_CS] = (struct x86_seg){.sel = 0x08, .limit = 0xffffffff, .attr = 0xa09b};
    return c;
}

/* Processor time of this thread: other programs on the machine disturb it least. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double run_native(const struct bench *b, uint8_t *mem, uint64_t *sum)
{
    double t = seconds();
    *sum = b->kernel(mem, b->rounds);
    return seconds() - t;
}

/* Calls the kernel in the guest: arguments in RDI and RSI, return address at a HLT. */
static double run_guest(const struct bench *b, struct x86_cpu *c, struct x86_state s, uint8_t *ram, uint64_t *sum,
                        double *mips)
{
    uint64_t offset = (uint64_t)((uintptr_t)b->kernel - (uintptr_t)bench_image_start);
    uint64_t before = x86_cpu_insns(c);
    s.rip = GUEST_CODE + offset;
    s.gpr[X86_RDI] = GUEST_MEM;
    s.gpr[X86_RSI] = b->rounds;
    s.gpr[X86_RSP] = GUEST_STACK - 8;
    put64(ram + GUEST_STACK - 8, GUEST_STACK);
    ram[GUEST_STACK] = 0xf4;
    if (x86_cpu_set_state(c, &s) != 0)
        return -1;
    double t = seconds();
    enum x86_exit e = x86_cpu_run(c, 0);
    t = seconds() - t;
    *sum = x86_cpu_gpr(c, X86_RAX);
    *mips = (double)(x86_cpu_insns(c) - before) / t / 1e6;
    return e == X86_EXIT_HALT ? t : -1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, RUNS, sizeof(*v), by_value);
    return v[RUNS / 2];
}

static int run_bench(const struct bench *b, struct x86_cpu *c, const struct x86_state *s, uint8_t *ram, uint8_t *native)
{
    double tn[RUNS], tg[RUNS], mips[RUNS];
    for (unsigned i = 0; i < RUNS; i++) {
        uint64_t sn, sg;
        tn[i] = run_native(b, native, &sn);
        tg[i] = run_guest(b, c, *s, ram, &sg, &mips[i]);
        if (tg[i] < 0 || sn != sg) {
            fprintf(stderr, "bench-cpu: %s: the guest run %s\n", b->name,
                    tg[i] < 0 ? "did not end at its HLT" : "computed something else");
            return 1;
        }
    }
    double units = (double)b->rounds * b->units_per_round, n = median(tn), g = median(tg);
    printf("%-16s %10.0f %12.1f %12.1f %-9s %8.1fx\n", b->name, median(mips), units / g, units / n, b->unit, g / n);
    return 0;
}

int main(void)
{
    uint8_t *ram = mmap(NULL, GUEST_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *native = mmap(NULL, BENCH_MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct x86_state s;
    struct x86_cpu *c = ram != MAP_FAILED ? make_cpu(ram, &s) : NULL;
    if (c == NULL || native == MAP_FAILED) {
        fprintf(stderr, "bench-cpu: cannot allocate %u bytes of guest memory\n", GUEST_RAM);
        return 1;
    }
    bench_prepare(ram + GUEST_MEM);
    bench_prepare(native);
    memcpy(ram + GUEST_CODE, bench_image_start, (size_t)(bench_image_end - bench_image_start));
    printf("%-16s %10s %12s %12s %-9s %9s\n", "program", "guest MIPS", "guest", "native", "unit", "slowdown");
    int failed = 0;
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
        failed |= run_bench(&benches[i], c, &s, ram, native);
    x86_cpu_free(c);
    return failed;
}
