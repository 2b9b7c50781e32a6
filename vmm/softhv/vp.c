/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Life of a VP, and MSHV_RUN_VP: run in short turns, obey what came from outside, wait in HLT, turn stops into
 * messages.
 */
#include "vmm/softhv/vp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mapping.h"

/* Instructions between two looks at timers: well below a millisecond, and clock readings stay below one percent. */
#define TURN_INSNS UINT64_C(20000)
/* The longest wait in one go, ns: it only bounds what a forgotten wake-up could cost. */
#define WAIT_MAX UINT64_C(1000000000)
/* Of the local APIC's timer, as of synthetic ones: a shorter one would leave its guest no time but for interrupts. */
#define TIMER_MIN_PERIOD_NS (SOFTHV_STIMER_MIN_PERIOD * 100)
/* Signals let in at the end of a run; a handler that raises its own for ever has them pending in the next one. */
#define SIGNALS_MAX 64u

#define RFLAGS_IF   0x200u
#define CR4_OSXSAVE (UINT64_C(1) << 18)

/* ---- CPUID ---- */

struct softhv_cpuid_env softhv_vp_cpuid_env(struct softhv_vp *vp, const struct x86_state *s)
{
    struct softhv_partition *p = vp->p;
    struct softhv_cpuid_env env = {.features = &p->features,
                                   .partition = &p->cpuid,
                                   .vp = &vp->cpuid,
                                   .max_vps = MSHV_MAX_VPS,
                                   .tsc_invariant_shown = (atomic_load(&p->hv.tsc_invariant) & 1) != 0};
    env.info = (struct x86_cpuid_info){.signature = p->host.signature,
                                       .apic_id = softhv_lapic_id(vp->lapic),
                                       .vp_count = atomic_load(&p->vps),
                                       .phys_bits = p->host.phys_bits,
                                       .osxsave = (s->cr4 & CR4_OSXSAVE) != 0,
                                       .apic_on = (softhv_lapic_base(vp->lapic) & SOFTHV_LAPIC_BASE_ENABLE) != 0,
                                       .xcr0 = s->xcr0,
                                       .xss = s->xss,
                                       .tsc_hz = p->clock.tsc_hz};
    memcpy(env.info.vendor, p->host.amd ? "AuthenticAMD" : "GenuineIntel", sizeof(env.info.vendor));
    return env;
}

struct x86_cpuid_regs softhv_vp_cpuid(struct softhv_vp *vp, const struct x86_state *s, uint32_t leaf, uint32_t subleaf)
{
    const struct softhv_cpuid_env env = softhv_vp_cpuid_env(vp, s);
    pthread_mutex_lock(&vp->p->cpuid_lock);
    struct x86_cpuid_regs r = softhv_cpuid(&env, leaf, subleaf);
    pthread_mutex_unlock(&vp->p->cpuid_lock);
    return r;
}

/* Under the VP's lock. */
static void follow_cpuid(struct softhv_vp *vp)
{
    if (!atomic_exchange(&vp->id_stale, false))
        return;
    const struct softhv_cpuid_env env = softhv_vp_cpuid_env(vp, &vp->state);
    pthread_mutex_lock(&vp->p->cpuid_lock);
    uint32_t id = softhv_cpuid_apic_id(&env);
    pthread_mutex_unlock(&vp->p->cpuid_lock);
    softhv_lapic_set_id(vp->lapic, id);
}

void softhv_vp_cpuid_changed(struct softhv_vp *vp)
{
    atomic_store(&vp->id_stale, true);
    if (pthread_mutex_trylock(&vp->lock) != 0)
        return; /* whoever has it runs the VP or serves a request; the next one follows */
    follow_cpuid(vp);
    pthread_mutex_unlock(&vp->lock);
}

/* ---- Life ---- */

static struct hv_vp_register_page *regpage(struct softhv_vp *vp)
{
    return (void *)softhv_vp_page(vp, SOFTHV_VP_PAGE_REGISTERS);
}

static struct softhv_regs_view view_of(struct softhv_vp *vp)
{
    return (struct softhv_regs_view){
        .state = &vp->state, .control = &vp->control, .limits = &vp->p->limits, .ops = &softhv_vp_regs_ops, .ctx = vp};
}

static void poke(void *ctx, enum softhv_poke what)
{
    x86_cpu_signal(((struct softhv_vp *)ctx)->cpu, what == SOFTHV_POKE_FORGET ? X86_SIG_FLUSH : X86_SIG_KICK);
}

static int make_wake(struct softhv_vp *vp)
{
    vp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return vp->wake_fd < 0 ? -ENOMEM : 0;
}

static struct x86_cpu *make_cpu(struct softhv_vp *vp)
{
    const struct x86_config cfg = {.ops = &softhv_vp_x86_ops,
                                   .ctx = vp,
                                   .features = vp->p->features.x86,
                                   .phys_bits = vp->p->host.phys_bits,
                                   .amd = vp->p->host.amd,
                                   .bus_lock = vp->p->bus_lock};
    return x86_cpu_new(&cfg);
}

static struct softhv_lapic *make_lapic(struct softhv_vp *vp)
{
    const struct softhv_partition *p = vp->p;
    const struct softhv_lapic_config cfg = {
        .ops = &softhv_vp_lapic_ops,
        .ctx = vp,
        .bus = &vp->p->bus,
        .id = vp->index,
        .bsp = vp->index == 0,
        .x2apic = x86_feature_has(&p->features.x86, X86_F_X2APIC),
        .tsc_deadline = x86_feature_has(&p->features.x86, X86_F_TSC_DEADLINE),
        .phys_bits = p->host.phys_bits,
        .timer_hz = p->clock.apic_hz,
        .tsc_hz = p->clock.tsc_hz,
        .min_period_ns = TIMER_MIN_PERIOD_NS,
    };
    return softhv_lapic_new(&cfg);
}

static void init_hv(struct softhv_vp *vp)
{
    const struct softhv_hv_vp_config cfg = {.ops = &softhv_vp_hv_ops,
                                            .ctx = vp,
                                            .index = vp->index,
                                            .assist_page = softhv_vp_page(vp, SOFTHV_VP_PAGE_ASSIST),
                                            .message_page = softhv_vp_page(vp, SOFTHV_VP_PAGE_MESSAGES),
                                            .event_page = softhv_vp_page(vp, SOFTHV_VP_PAGE_EVENTS)};
    softhv_hv_vp_init(&vp->hv, &vp->p->hv, &cfg);
}

static bool make_memory(struct softhv_vp *vp)
{
    void *m;
    if (mapping_new(SOFTHV_VP_PAGES * MSHV_HV_PAGE_SIZE, MAPPING_SHARED, &m) < 0)
        return false;
    vp->pages = m;
    return true;
}

static void unmake(struct softhv_vp *vp)
{
    x86_cpu_free(vp->cpu);
    mapping_free(vp->pages, SOFTHV_VP_PAGES * MSHV_HV_PAGE_SIZE);
    if (vp->wake_fd >= 0)
        close(vp->wake_fd);
    pthread_mutex_destroy(&vp->lock);
    mapping_free(vp, sizeof(*vp));
}

static int make(struct softhv_vp *vp)
{
    int err = make_wake(vp);
    if (err != 0 || !make_memory(vp) || (vp->cpu = make_cpu(vp)) == NULL || (vp->lapic = make_lapic(vp)) == NULL)
        return err != 0 ? err : -ENOMEM;
    err = softhv_apic_bus_attach(&vp->p->bus, vp->index, vp->lapic);
    if (err != 0) {
        softhv_lapic_free(vp->lapic);
        return err;
    }
    init_hv(vp);
    softhv_quiesce_join(softhv_gpa_members(vp->p->gpa), &vp->member, poke, vp);
    vp->control.explicit_suspend = HV_SUSPENDED;
    x86_cpu_get_state(vp->cpu, &vp->state);
    if (softhv_lapic_waiting(vp->lapic))
        vp->state.activity = X86_WAIT_SIPI;
    vp->stop_rip = vp->state.rip;
    return 0;
}

static int new_locked(struct softhv_partition *p, uint32_t index, struct softhv_vp **out)
{
    if (atomic_load(&p->vp[index]) != NULL)
        return -EEXIST;
    if (!p->initialised)
        return -EIO; /* INVALID_PARTITION_STATE */
    void *memory;    /* with the guest's registers in it */
    if (mapping_new(sizeof(struct softhv_vp), 0, &memory) < 0)
        return -ENOMEM;
    struct softhv_vp *vp = memory;
    vp->p = p;
    vp->index = index;
    vp->wake_fd = -1;
    int err = -pthread_mutex_init(&vp->lock, NULL);
    if (err != 0) {
        mapping_free(vp, sizeof(*vp));
        return err;
    }
    err = make(vp);
    if (err != 0) {
        unmake(vp);
        return err;
    }
    const struct softhv_regs_view view = view_of(vp);
    softhv_regpage_fill(&view, regpage(vp));
    atomic_fetch_add(&p->vps, 1);
    atomic_store_explicit(&p->vp[index], vp, memory_order_release);
    *out = vp;
    return 0;
}

int softhv_vp_new(struct softhv_partition *p, uint32_t index, struct softhv_vp **out)
{
    if (index >= MSHV_MAX_VPS)
        return -EINVAL;
    pthread_mutex_lock(&p->lock);
    int err = new_locked(p, index, out);
    pthread_mutex_unlock(&p->lock);
    return err;
}

/* The local APIC stays on the bus, which outlives all VPs. */
void softhv_vp_free(struct softhv_vp *vp)
{
    softhv_quiesce_leave(softhv_gpa_members(vp->p->gpa), &vp->member);
    softhv_hv_vp_fini(&vp->hv);
    unmake(vp);
}

/* ---- Requests ---- */

/* Time runs while some VP is not explicitly suspended. */
static void count_awake(struct softhv_vp *vp)
{
    bool awake = vp->control.explicit_suspend == 0;
    if (awake != vp->awake)
        softhv_partition_awake(vp->p, awake);
    vp->awake = awake;
}

/* Under the lock, of a VP that does not run. */
static void take_over(struct softhv_vp *vp)
{
    const struct softhv_regs_view view = view_of(vp);
    follow_cpuid(vp);
    /* A register that cannot hold what the client wrote keeps its value. */
    (void)softhv_regpage_merge(&view, regpage(vp));
}

/* Also the end of a run. */
static void settle(struct softhv_vp *vp)
{
    const struct softhv_regs_view view = view_of(vp);
    if (!atomic_load(&vp->running))
        softhv_regpage_fill(&view, regpage(vp));
    count_awake(vp);
}

/* Either the run sees that there is a visitor before it executes anything, or the visitor sees that it runs. */
void softhv_vp_begin(struct softhv_vp *vp, struct softhv_regs_view *view)
{
    atomic_fetch_add(&vp->visitors, 1);
    if (atomic_load(&vp->running)) {
        x86_cpu_kick(vp->cpu);
        softhv_vp_wake(vp);
    }
    pthread_mutex_lock(&vp->lock);
    if (!atomic_load(&vp->running))
        take_over(vp);
    *view = view_of(vp);
}

void softhv_vp_end(struct softhv_vp *vp, bool changed)
{
    if (changed)
        settle(vp);
    pthread_mutex_unlock(&vp->lock);
    if (atomic_fetch_sub(&vp->visitors, 1) == 1)
        softhv_vp_wake(vp);
}

/*
 * ---- Waking and waiting ----
 *
 * Whoever gives a VP a reason to go on publishes the reason first and calls softhv_vp_wake then; a VP that is about to
 * sleep reads wake_seq first, then looks for every reason, and sleeps only if wake_seq is still the same after it said
 * that it sleeps. All four accesses to wake_seq and sleeping are sequentially consistent:
 *
 *     waker                                 VP's thread
 *     reason                                seq = wake_seq
 *     wake_seq++                            reasons?  (one: do not sleep)
 *     sleeping?  (yes: write wake_fd)       sleeping = true
 *                                           wake_seq == seq?  (no: do not sleep)
 *                                           poll wake_fd
 *
 * If the waker does not see `sleeping`, the VP sees the new wake_seq; if it counted before the VP read seq, the VP sees
 * the reason. Reasons, and who publishes them: interrupts and events under the local APIC's lock (any thread: other
 * VPs' hypercalls and ICR, irqfds, requests), `kicked`, `visitors`, `sints`, a clock that was changed. Timers are not
 * among them: only the VP itself sets them, and it sleeps no longer than to the next one.
 *
 * Nobody waits for a VP that sleeps: it is offline (quiesce.h), its `turns` are even (TLB flushes of other VPs), and
 * lets in visitors as soon as it is woken.
 */

void softhv_vp_wake(struct softhv_vp *vp)
{
    const uint64_t one = 1;
    atomic_fetch_add(&vp->wake_seq, 1);
    if (atomic_load(&vp->sleeping))
        (void)!write(vp->wake_fd, &one, sizeof(one));
}

void softhv_vp_kick(struct softhv_vp *vp)
{
    atomic_store(&vp->kicked, true);
    x86_cpu_kick(vp->cpu);
    softhv_vp_wake(vp);
}

/* Wait on n descriptors, signals open. Notes when a handler ran: only then does ppoll say EINTR. */
static void wait_open(struct softhv_vp *vp, struct pollfd *fds, nfds_t n, uint64_t ns)
{
    const struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    if (ppoll(fds, n, &limit, vp->open) < 0 && errno == EINTR && vp->open != NULL)
        vp->interrupted = true;
}

/* Sleep until somebody wakes the VP after wake_seq was seq, or for ns. */
static void nap(struct softhv_vp *vp, uint32_t seq, uint64_t ns)
{
    struct pollfd wake = {.fd = vp->wake_fd, .events = POLLIN};
    uint64_t count;
    atomic_store(&vp->sleeping, true);
    if (atomic_load(&vp->wake_seq) == seq)
        wait_open(vp, &wake, 1, ns < WAIT_MAX ? ns : WAIT_MAX);
    atomic_store(&vp->sleeping, false);
    (void)!read(vp->wake_fd, &count, sizeof(count));
}

/*
 * Let in what handlers raised, as a return from the kernel does: QEMU's kicks its own thread unless a kick is under
 * way, and a signal that stayed for the next run would end it, raise the next one, and so on for ever.
 */
static void let_more_in(struct softhv_vp *vp)
{
    const struct timespec now = {0, 0};
    for (unsigned i = 0; i < SIGNALS_MAX && ppoll(NULL, 0, &now, vp->open) < 0 && errno == EINTR; i++)
        ;
}

/* Let signals in that came since the last look. True when the run is to end. */
static bool called_off(struct softhv_vp *vp)
{
    if (vp->open != NULL && !vp->interrupted)
        wait_open(vp, NULL, 0, 0);
    if (vp->interrupted)
        let_more_in(vp);
    return vp->interrupted || atomic_exchange(&vp->kicked, false);
}

/* Let timers expire; host ns until the next does. */
static uint64_t tick(struct softhv_vp *vp)
{
    softhv_lapic_poll(vp->lapic);
    uint64_t synthetic = softhv_hv_vp_tick(&vp->hv);
    uint64_t expiry = softhv_lapic_expiry(vp->lapic);
    uint64_t apic = expiry == SOFTHV_LAPIC_NEVER ? SOFTHV_CLOCK_NEVER : softhv_clock_wait_ns(&vp->p->clock, expiry);
    return synthetic < apic ? synthetic : apic;
}

static bool reports_wait(struct softhv_vp *vp)
{
    return atomic_load(&vp->sints) != 0 || (vp->eoi[0] | vp->eoi[1] | vp->eoi[2] | vp->eoi[3]) != 0;
}

/* Nothing to do but to wait: no kick, no visitor, no report. */
static bool may_wait(struct softhv_vp *vp)
{
    return !atomic_load(&vp->kicked) && atomic_load(&vp->visitors) == 0 && !reports_wait(vp);
}

/* ---- What came from outside ---- */

static void set_activity(struct softhv_vp *vp, uint8_t activity)
{
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    s.activity = activity;
    (void)x86_cpu_set_state(vp->cpu, &s);
}

/* Source: SDM volume 3, 9.4.4: CS is vector * 256, its base vector * 4096. */
static void start_at(struct softhv_vp *vp, uint8_t vector)
{
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    s.seg[X86_CS].sel = (uint16_t)(vector << 8);
    s.seg[X86_CS].base = (uint64_t)vector << 12;
    s.rip = 0;
    s.activity = X86_ACTIVE;
    (void)x86_cpu_set_state(vp->cpu, &s);
}

static void obey_events(struct softhv_vp *vp)
{
    uint8_t vector = 0;
    unsigned events = softhv_lapic_take_events(vp->lapic, &vector);
    if (events & SOFTHV_LAPIC_EV_INIT) {
        x86_cpu_reset(vp->cpu, true);
        softhv_vp_reset_rest(vp);
        if (softhv_lapic_waiting(vp->lapic))
            set_activity(vp, X86_WAIT_SIPI);
    }
    if (events & SOFTHV_LAPIC_EV_SIPI)
        start_at(vp, vector);
    if (events & SOFTHV_LAPIC_EV_NMI)
        x86_cpu_signal(vp->cpu, X86_SIG_NMI);
    if (events != 0)
        vp->control.idle = false; /* what is taken here idle() does not see any more */
}

/* ---- Reports ---- */

static bool report_eoi(struct softhv_vp *vp, struct hv_message *out)
{
    for (unsigned i = 0; i < 4; i++) {
        if (vp->eoi[i] == 0)
            continue;
        unsigned bit = (unsigned)__builtin_ctzll(vp->eoi[i]);
        vp->eoi[i] &= vp->eoi[i] - 1;
        softhv_msg_apic_eoi(vp->index, (uint8_t)(i * 64 + bit), out);
        return true;
    }
    return false;
}

static bool report_sints(struct softhv_vp *vp, struct hv_message *out)
{
    struct softhv_vp_frame f;
    uint16_t sints = (uint16_t)atomic_exchange(&vp->sints, 0);
    if (sints == 0)
        return false;
    softhv_vp_frame(vp, SOFTHV_SHOW_REGISTERS, &f);
    vp->control.deliverability &= ~((uint64_t)sints << HV_DELIVERABILITY_SINTS_SHIFT);
    softhv_msg_sint_deliverable(&f.exit, sints, out);
    return true;
}

/* ---- Running ---- */

/* HLT, or waiting for a SIPI: until an event or, when interrupts count, a deliverable interrupt. */
static void halted(struct softhv_vp *vp)
{
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    bool interrupts = s.activity == X86_HALTED && (s.rflags & RFLAGS_IF) != 0;
    unsigned wanted = SOFTHV_LAPIC_WAKE_EVENT | (interrupts ? SOFTHV_LAPIC_WAKE_INTR : 0);
    uint32_t seq = atomic_load(&vp->wake_seq);
    uint64_t ns = tick(vp);
    if (may_wait(vp) && (softhv_lapic_pending(vp->lapic) & wanted) == 0)
        nap(vp, seq, ns);
}

/* After the guest idle MSR: see softhv_lapic_ends_idle; of events, those that obey_events has not taken yet. */
static void idle(struct softhv_vp *vp)
{
    uint32_t seq = atomic_load(&vp->wake_seq);
    uint64_t ns = tick(vp);
    if (may_wait(vp) && !softhv_lapic_ends_idle(vp->lapic))
        nap(vp, seq, ns);
    if (softhv_lapic_ends_idle(vp->lapic))
        vp->control.idle = false;
}

/* What an earlier instruction of the same block has to tell comes first; the one that stopped is met again. */
static bool told_first(struct softhv_vp *vp)
{
    bool again = vp->stop.kind > SOFTHV_STOP_GP && vp->stop.kind != SOFTHV_STOP_EXCEPTION;
    if (!again || !reports_wait(vp))
        return false;
    vp->stop.kind = SOFTHV_STOP_NONE;
    return true;
}

static void note_executed(struct softhv_vp *vp)
{
    if (!atomic_load_explicit(&vp->p->executed, memory_order_relaxed) && x86_cpu_insns(vp->cpu) != 0)
        atomic_store(&vp->p->executed, true);
}

/* One turn, online. True with a message. */
static bool execute(struct softhv_vp *vp, enum x86_exit *e, struct hv_message *out)
{
    struct softhv_quiesce *q = softhv_gpa_members(vp->p->gpa);
    bool message = false;
    softhv_quiesce_enter(q, &vp->member);
    atomic_fetch_add(&vp->turns, 1);
    *e = x86_cpu_run(vp->cpu, TURN_INSNS);
    note_executed(vp);
    if (*e == X86_EXIT_CALLBACK && !told_first(vp))
        message = softhv_vp_stopped(vp, out);
    atomic_fetch_add(&vp->turns, 1);
    softhv_quiesce_exit(q, &vp->member);
    return message;
}

/* True with a message. */
static bool turn(struct softhv_vp *vp, struct hv_message *out)
{
    enum x86_exit e;
    obey_events(vp);
    if (vp->control.idle) {
        idle(vp);
        return false;
    }
    (void)tick(vp);
    if (execute(vp, &e, out))
        return true;
    if (e == X86_EXIT_SHUTDOWN) {
        softhv_vp_shut_down(vp, out);
        return true;
    }
    if (e == X86_EXIT_HALT)
        halted(vp);
    return false;
}

/* An interrupt shadow covers one instruction, which is over when the client has moved RIP. */
static void drop_shadow(struct softhv_vp *vp)
{
    if (vp->state.rip != vp->stop_rip)
        vp->state.shadow_sti = vp->state.shadow_ss = 0;
}

/* Give the processor its registers. False when there is no such state. */
static bool load(struct softhv_vp *vp)
{
    drop_shadow(vp);
    softhv_regs_settle(&vp->state);
    (void)softhv_regs_take_event(&vp->control, &vp->state);
    if (x86_cpu_set_state(vp->cpu, &vp->state) != 0)
        return false;
    vp->control.idle &= vp->state.pending.kind == X86_EV_NONE; /* an event of the client's */
    x86_cpu_signal(vp->cpu, X86_SIG_INTR);                     /* what is requested may have been set as a register */
    softhv_synic_notify(&vp->hv.synic, (uint16_t)(vp->control.deliverability >> HV_DELIVERABILITY_SINTS_SHIFT));
    return true;
}

static bool cannot_run(const struct softhv_vp *vp, struct hv_message *out)
{
    softhv_msg_invalid_state(vp->index, out);
    return true;
}

/* Pause for visitors. False when they left a state that cannot exist. */
static bool let_in(struct softhv_vp *vp)
{
    x86_cpu_get_state(vp->cpu, &vp->state);
    vp->stop_rip = vp->state.rip;
    pthread_mutex_unlock(&vp->lock);
    for (uint32_t seq = atomic_load(&vp->wake_seq); atomic_load(&vp->visitors) != 0; seq = atomic_load(&vp->wake_seq))
        nap(vp, seq, WAIT_MAX);
    pthread_mutex_lock(&vp->lock);
    return load(vp);
}

static bool is_suspended(const struct softhv_vp *vp)
{
    return (vp->control.explicit_suspend | vp->control.intercept_suspend | vp->control.dispatch_suspend) != 0;
}

/* True with a message, false when kicked. */
static bool loop(struct softhv_vp *vp, struct hv_message *out)
{
    for (;;) {
        if (report_eoi(vp, out) || report_sints(vp, out))
            return true;
        if (called_off(vp))
            return false;
        uint32_t seq = atomic_load(&vp->wake_seq);
        if (atomic_load(&vp->visitors) != 0) {
            if (!let_in(vp))
                return cannot_run(vp, out);
        } else if (is_suspended(vp)) {
            nap(vp, seq, WAIT_MAX);
        } else if (turn(vp, out)) {
            return true;
        }
    }
}

static bool run_locked(struct softhv_vp *vp, struct hv_message *out)
{
    if (!load(vp))
        return cannot_run(vp, out);
    bool message = loop(vp, out);
    x86_cpu_get_state(vp->cpu, &vp->state);
    vp->stop_rip = vp->state.rip;
    return message;
}

int softhv_vp_run_open(struct softhv_vp *vp, const sigset_t *open, struct hv_message *out)
{
    pthread_mutex_lock(&vp->lock);
    take_over(vp);
    atomic_store(&vp->running, true);
    vp->open = open;
    vp->interrupted = false;
    softhv_regpage_invalidate(regpage(vp));
    vp->control.intercept_suspend = vp->control.explicit_suspend = 0;
    count_awake(vp);
    bool message = run_locked(vp, out);
    if (message) {
        vp->control.intercept_suspend = HV_SUSPENDED;
        memcpy(softhv_vp_page(vp, SOFTHV_VP_PAGE_INTERCEPT), out, sizeof(*out));
    } else {
        vp->control.explicit_suspend = HV_SUSPENDED;
    }
    atomic_store(&vp->running, false);
    settle(vp);
    pthread_mutex_unlock(&vp->lock);
    return message ? 0 : -EINTR;
}

int softhv_vp_run(struct softhv_vp *vp, struct hv_message *out)
{
    return softhv_vp_run_open(vp, NULL, out);
}
