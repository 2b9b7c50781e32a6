/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs the bare-metal guests of this folder, one test case for each row of the table at the end and way of running it.
 * A guest checks itself and says through a port which line of its source did not hold; guest.inc lists the ports and
 * the memory map.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/guests/guest_list.h"
#include "vmm/x86/cpu.h"

#define RAM_BYTES  (16u << 20)
#define HIGH_GPA   (UINT64_C(4) << 30)
#define HIGH_BYTES (4u << 20)
#define MMIO_GPA   UINT64_C(0xfeb00000)
#define LOAD_GPA   0x8000u
#define RECORD_GPA 0x500u
#define SLICE      20000u              /* instructions between looks at whether another VP has ended the run */
#define BUDGET     UINT64_C(20000000)  /* instructions of a guest */
#define BUDGET_SMP UINT64_C(400000000) /* of a VP that may have to wait for another: that one may wait for a core */
#define NO_VECTOR  (-1)

enum end { END_NONE, END_EXIT, END_SHUTDOWN, END_BUDGET, END_HALTED, END_ODD };

static const char *const end_names[] = {
    "still running", "exit port", "shutdown", "out of budget: it hangs", "halted with nothing to wake it", "odd exit"};

struct machine;

struct vp {
    struct machine *m;
    struct x86_cpu *cpu;
    pthread_t thread;
    unsigned index;
    bool started;
    _Atomic int vector;     /* interrupt offered to it */
    _Atomic unsigned waked; /* events sent to it so far */
    enum end end;
};

struct machine {
    const struct guest_case *test;
    uint8_t *ram, *high;
    struct vp vp[GUEST_VPS_MAX];
    void *bus_lock;
    cpu_set_t cores; /* what we may run on */
    atomic_bool stop;
    /* Under lock: who waits in HLT. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned running;
    /* Only the first VP uses what follows. */
    uint32_t exit_code, device_addr;
    uint32_t mmio_count, mmio_how, mmio_value;
    char console[2048];
    size_t console_len;
};

/* ---- Memory ---- */

static uint8_t *on_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    const struct machine *m = ((struct vp *)ctx)->m;
    *rights = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    if (gpa < RAM_BYTES)
        return m->ram + gpa;
    if (gpa >= HIGH_GPA && gpa < HIGH_GPA + HIGH_BYTES)
        return m->high + (gpa - HIGH_GPA);
    return NULL;
}

static void note_mmio(struct machine *m, const struct x86_mem_access *a)
{
    m->mmio_count++;
    m->mmio_how = (uint32_t)(a->gpa & 0xfff) | a->len << 16 | (a->kind == X86_ACCESS_WRITE ? 1u << 24 : 0);
}

/* The MMIO page reads as its offset, byte by byte; everything else that is no memory reads as ones. */
static int on_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct machine *m = ((struct vp *)ctx)->m;
    uint8_t *b = buf;
    if ((a->gpa & ~UINT64_C(0xfff)) != MMIO_GPA) {
        memset(buf, 0xff, a->len);
        return X86_CB_OK;
    }
    for (uint32_t i = 0; i < a->len; i++)
        b[i] = (uint8_t)(a->gpa + i);
    note_mmio(m, a);
    return X86_CB_OK;
}

static int on_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    struct machine *m = ((struct vp *)ctx)->m;
    if ((a->gpa & ~UINT64_C(0xfff)) != MMIO_GPA)
        return X86_CB_OK;
    m->mmio_value = 0;
    memcpy(&m->mmio_value, buf, a->len < 4 ? a->len : 4);
    note_mmio(m, a);
    return X86_CB_OK;
}

/* ---- Events between VPs ---- */

/* The signal goes first: a VP that sees the count has it, one that does not will see the count when it halts. */
static void signal_vp(struct vp *v, unsigned sig)
{
    x86_cpu_signal(v->cpu, sig);
    pthread_mutex_lock(&v->m->lock);
    atomic_fetch_add(&v->waked, 1);
    pthread_cond_broadcast(&v->m->wake);
    pthread_mutex_unlock(&v->m->lock);
}

static void raise_vector(struct vp *v, uint32_t vector)
{
    if (vector == 2) {
        signal_vp(v, X86_SIG_NMI);
        return;
    }
    atomic_store(&v->vector, (int)vector);
    signal_vp(v, X86_SIG_INTR);
}

static int on_intr_ack(void *ctx)
{
    struct vp *v = ctx;
    return atomic_exchange(&v->vector, NO_VECTOR);
}

static void start_vp(struct machine *m, uint32_t value);

/* ---- Ports ---- */

/* As a disk controller would: the processors are not told. */
static void device_write(struct machine *m, uint32_t value)
{
    uint32_t at = m->device_addr;
    for (unsigned i = 0; i < 4 && at + i < RAM_BYTES; i++)
        __atomic_store_n(&m->ram[at + i], (uint8_t)(value >> (8 * i)), __ATOMIC_RELAXED);
}

static int on_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    struct vp *v = ctx;
    struct machine *m = v->m;
    (void)size;
    switch (port) {
    case 0xe9:
        if (m->console_len < sizeof(m->console) - 1)
            m->console[m->console_len++] = (char)value;
        break;
    case 0xf4: m->exit_code = value; return X86_CB_EXIT;
    case 0xf5: raise_vector(v, value & 0xff); break;
    case 0xf6: raise_vector(v, 2); break;
    case 0xe4:
        if (value >> 8 < m->test->vps)
            raise_vector(&m->vp[value >> 8], value & 0xff);
        break;
    case 0xf0: start_vp(m, value); break;
    case 0xf8: m->device_addr = value; break;
    case 0xfc: device_write(m, value); break;
    case 0xdc: x86_cpu_signal(v->cpu, X86_SIG_FLUSH); break;
    default: break;
    }
    return X86_CB_OK;
}

static int on_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    const struct vp *v = ctx;
    const struct machine *m = v->m;
    (void)size;
    switch (port) {
    case 0xe8: *value = v->index; break;
    case 0xec: *value = m->test->param; break;
    case 0xd0: *value = m->mmio_count; break;
    case 0xd4: *value = m->mmio_how; break;
    case 0xd8: *value = m->mmio_value; break;
    default: *value = 0xffffffff; break;
    }
    return X86_CB_OK;
}

/* ---- The rest of the outside ---- */

static int on_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx, (void)msr;
    *value = 0;
    return X86_CB_FAULT;
}

static int on_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx, (void)msr, (void)value;
    return X86_CB_FAULT;
}

/* Time is what has been done: the same in every run. */
static uint64_t on_rdtsc(void *ctx)
{
    return x86_cpu_insns(((struct vp *)ctx)->cpu);
}

static uint64_t on_cr8_read(void *ctx)
{
    (void)ctx;
    return 0;
}

static int on_cr8_write(void *ctx, uint64_t value)
{
    (void)ctx, (void)value;
    return X86_CB_OK;
}

static void on_pause(void *ctx)
{
    (void)ctx;
    sched_yield();
}

static const struct x86_ops runner_ops = {.page = on_page,
                                          .read = on_read,
                                          .write = on_write,
                                          .port_in = on_port_in,
                                          .port_out = on_port_out,
                                          .rdmsr = on_rdmsr,
                                          .wrmsr = on_wrmsr,
                                          .rdtsc = on_rdtsc,
                                          .cr8_read = on_cr8_read,
                                          .cr8_write = on_cr8_write,
                                          .intr_ack = on_intr_ack,
                                          .pause = on_pause};

/* ---- Running ---- */

/* Wait in HLT until an event comes or the run ends. False when nobody is left who could send one. */
static bool wait_for_event(struct vp *v, unsigned seen)
{
    struct machine *m = v->m;
    pthread_mutex_lock(&m->lock);
    m->running--;
    while (!atomic_load(&m->stop) && atomic_load(&v->waked) == seen && m->running > 0)
        pthread_cond_wait(&m->wake, &m->lock);
    bool waked = atomic_load(&v->waked) != seen || atomic_load(&m->stop);
    m->running++;
    pthread_mutex_unlock(&m->lock);
    return waked;
}

/* True: go on. */
static bool after_slice(struct vp *v, enum x86_exit e, unsigned seen, uint64_t before)
{
    switch (e) {
    case X86_EXIT_BUDGET:
        if (x86_cpu_insns(v->cpu) > (v->m->test->vps > 1 ? BUDGET_SMP : BUDGET))
            v->end = END_BUDGET;
        break;
    case X86_EXIT_CALLBACK: v->end = END_EXIT; break;
    case X86_EXIT_SHUTDOWN: v->end = END_SHUTDOWN; break;
    case X86_EXIT_HALT:
        /* A run that ended with HLT itself has not looked for events yet; one that did nothing has. */
        if (x86_cpu_insns(v->cpu) == before && !wait_for_event(v, seen))
            v->end = END_HALTED;
        break;
    case X86_EXIT_KICK: break;
    default: v->end = END_ODD; break;
    }
    return v->end == END_NONE;
}

/*
 * Each VP on a core of its own as far as there are some: threads of so short a life may otherwise take turns on one
 * core, and races would never happen.
 */
static void pin_vp(const struct vp *v)
{
    cpu_set_t all = v->m->cores; /* a copy: the macros of some C libraries drop const */
    unsigned n = v->index % (unsigned)CPU_COUNT(&all);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all) && n-- == 0)
            CPU_SET(i, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(one), &one); /* without it the test is only weaker */
}

static void run_vp(struct vp *v)
{
    struct machine *m = v->m;
    unsigned seen;
    uint64_t before;
    enum x86_exit e;
    if (m->test->vps > 1)
        pin_vp(v);
    do {
        /* Events from before this look wake the cpu inside of the run; only later ones have to wake it outside. */
        seen = atomic_load(&v->waked);
        before = x86_cpu_insns(v->cpu);
        e = x86_cpu_run(v->cpu, m->test->step ? 1 : SLICE);
    } while (after_slice(v, e, seen, before) && !atomic_load(&m->stop));
    pthread_mutex_lock(&m->lock);
    m->running--;
    if (v->index == 0 || v->end == END_EXIT || v->end == END_SHUTDOWN)
        atomic_store(&m->stop, true);
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

static void *vp_thread(void *arg)
{
    run_vp(arg);
    return NULL;
}

static void point_at(struct x86_cpu *cpu, uint32_t at)
{
    struct x86_state s;
    x86_cpu_get_state(cpu, &s);
    s.seg[X86_CS].sel = 0;
    s.seg[X86_CS].base = 0;
    s.rip = at & 0xffff;
    s.gpr[X86_RSP] = 0x7c00;
    s.cr0 &= ~UINT64_C(0x60000000); /* caches on */
    assert_int_equal(x86_cpu_set_state(cpu, &s), 0);
}

static void start_vp(struct machine *m, uint32_t value)
{
    unsigned n = value >> 24;
    if (n == 0 || n >= m->test->vps || m->vp[n].started)
        return;
    point_at(m->vp[n].cpu, value & 0xffff);
    m->vp[n].started = true;
    pthread_mutex_lock(&m->lock);
    m->running++;
    pthread_mutex_unlock(&m->lock);
    if (pthread_create(&m->vp[n].thread, NULL, vp_thread, &m->vp[n]) != 0)
        abort();
}

/* ---- Life of a machine ---- */

static struct x86_cpu *new_cpu(struct machine *m, unsigned n)
{
    const struct guest_case *t = m->test;
    struct x86_config cfg = {.ops = &runner_ops,
                             .ctx = &m->vp[n],
                             .features = x86_features_supported(),
                             .cpuid = {.signature = t->guest->intel ? 0x000906a3 : 0x00a20f10,
                                       .apic_id = n,
                                       .vp_count = t->vps,
                                       .phys_bits = 40},
                             .phys_bits = 40,
                             .amd = !t->guest->intel,
                             .cache_bytes = 1u << 20,
                             .bus_lock = m->bus_lock};
    memcpy(cfg.cpuid.vendor, t->guest->intel ? "GenuineIntel" : "AuthenticAMD", sizeof(cfg.cpuid.vendor));
    for (unsigned i = 0; i < GUEST_WITHOUT_MAX; i++)
        if (t->guest->without[i] != X86_F_ALWAYS)
            x86_feature_set(&cfg.features, t->guest->without[i], false);
    x86_features_close(&cfg.features);
    return x86_cpu_new(&cfg);
}

static void load_image(struct machine *m)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.bin", GUEST_DIR, m->test->guest->image);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open the guest %s; build it with 'make guests' and run from the root of the tree", path);
    size_t n = fread(m->ram + LOAD_GPA, 1, 0x8000, f);
    fclose(f);
    assert_true(n > 0);
}

static uint8_t *new_memory(size_t bytes)
{
    uint8_t *p = aligned_alloc(4096, bytes);
    assert_non_null(p);
    memset(p, 0, bytes);
    return p;
}

static void machine_init(struct machine *m, const struct guest_case *test)
{
    memset(m, 0, sizeof(*m));
    m->test = test;
    m->ram = new_memory(RAM_BYTES);
    m->high = new_memory(HIGH_BYTES);
    m->bus_lock = x86_bus_lock_new();
    assert_non_null(m->bus_lock);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->wake, NULL);
    m->running = 1;
    if (pthread_getaffinity_np(pthread_self(), sizeof(m->cores), &m->cores) != 0)
        CPU_SET(0, &m->cores);
    for (unsigned i = 0; i < test->vps; i++) {
        m->vp[i].m = m;
        m->vp[i].index = i;
        atomic_store(&m->vp[i].vector, NO_VECTOR);
        m->vp[i].cpu = new_cpu(m, i);
        assert_non_null(m->vp[i].cpu);
    }
    load_image(m);
    point_at(m->vp[0].cpu, LOAD_GPA);
}

static void machine_fini(struct machine *m)
{
    (void)pthread_setaffinity_np(pthread_self(), sizeof(m->cores), &m->cores);
    for (unsigned i = 0; i < m->test->vps; i++)
        x86_cpu_free(m->vp[i].cpu);
    x86_bus_lock_free(m->bus_lock);
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m->ram);
    free(m->high);
}

/* ---- What to say when it failed ---- */

static void print_vp(const struct vp *v)
{
    struct x86_state s;
    x86_cpu_get_state(v->cpu, &s);
    printf("VP %u: %s after %llu instructions\n", v->index, end_names[v->end],
           (unsigned long long)x86_cpu_insns(v->cpu));
    printf("  cs:rip %04x:%llx rflags %llx cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx activity %u\n",
           s.seg[X86_CS].sel, (unsigned long long)s.rip, (unsigned long long)s.rflags, (unsigned long long)s.cr0,
           (unsigned long long)s.cr2, (unsigned long long)s.cr3, (unsigned long long)s.cr4, (unsigned long long)s.efer,
           s.activity);
    for (unsigned i = 0; i < 16; i++)
        printf("  r%-2u %016llx%s", i, (unsigned long long)s.gpr[i], i % 4 == 3 ? "\n" : "");
}

static void print_record(const struct machine *m)
{
    static const char *const names[] = {"vector", "error", "rip", "cs", "rflags", "rsp", "ss", "cr2", "count"};
    printf("last event:");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t v;
        memcpy(&v, m->ram + RECORD_GPA + 8 * i, 8);
        printf(" %s %llx", names[i], (unsigned long long)v);
    }
    printf("\n");
}

static void print_failure(const struct machine *m)
{
    if (m->exit_code >> 31 != 0)
        printf("unexpected exception %u\n", m->exit_code & 0xff);
    else if (m->exit_code != 0)
        printf("tests/guests/%s.%s:%u: does not hold\n", m->exit_code > 100000 ? "paging" : m->test->guest->image,
               m->exit_code > 100000 ? "inc" : "S", m->exit_code % 100000);
    for (unsigned i = 0; i < m->test->vps; i++)
        print_vp(&m->vp[i]);
    print_record(m);
    if (m->console_len > 0)
        printf("console: %s\n", m->console);
}

static void run_guest(void **state)
{
    struct machine m;
    const struct guest_case *test = *state;
    machine_init(&m, test);
    run_vp(&m.vp[0]);
    for (unsigned i = 1; i < test->vps; i++)
        if (m.vp[i].started)
            pthread_join(m.vp[i].thread, NULL);
    enum end want = test->guest->shutdown ? END_SHUTDOWN : END_EXIT;
    bool good = m.vp[0].end == want && m.exit_code == 0;
    for (unsigned i = 1; i < test->vps; i++)
        good = good && (m.vp[i].end == END_NONE || m.vp[i].end == END_HALTED || m.vp[i].end == END_BUDGET);
    if (!good)
        print_failure(&m);
    machine_fini(&m);
    assert_true(good);
}

/* ---- The list ---- */

#define CASES_MAX 512

static size_t add_cases(const struct guest *g, struct guest_case *cases, struct CMUnitTest *tests, size_t n)
{
    for (unsigned step = 0; step < 2; step++) {
        if (step && (g->vps > 1 || g->no_step))
            continue;
        struct guest_case *c = &cases[n];
        *c = (struct guest_case){.guest = g, .vps = g->vps > 0 ? g->vps : 1, .param = g->param, .step = step == 1};
        snprintf(c->name, sizeof(c->name), "%s%s", g->name, step ? " (in single instructions)" : "");
        tests[n++] = (struct CMUnitTest){.name = c->name, .test_func = run_guest, .initial_state = c};
    }
    return n;
}

int main(int argc, char **argv)
{
    struct guest_case *cases = calloc(CASES_MAX, sizeof(*cases));
    struct CMUnitTest *tests = calloc(CASES_MAX, sizeof(*tests));
    size_t n = 0;
    if (cases == NULL || tests == NULL)
        return 1;
    for (const struct guest *g = guest_list(); g->name != NULL && n + 2 <= CASES_MAX; g++)
        if (argc < 2 || strstr(g->name, argv[1]) != NULL)
            n = add_cases(g, cases, tests, n);
    int failed = _cmocka_run_group_tests("guests", tests, n, NULL, NULL);
    free(cases);
    free(tests);
    return failed;
}
