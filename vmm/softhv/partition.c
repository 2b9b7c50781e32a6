/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Life of a partition. Source for the checks: torvalds/linux drivers/hv/mshv_root_main.c, behaviour.
 */
#include "vmm/softhv/partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mapping.h"
#include "vmm/softhv/user.h"
#include "vmm/softhv/vp.h"

#define SHARED_PAGES 2u
#define FLAG(bit)    (UINT64_C(1) << (bit))

/* ---- Arguments ---- */

static uint64_t flags_known(enum softhv_kernel kernel)
{
    if (kernel < SOFTHV_KERNEL_6_19)
        return MSHV_PT_FLAGS_6_15;
    return kernel < SOFTHV_KERNEL_7_2 ? MSHV_PT_FLAGS_6_19 : MSHV_PT_FLAGS_MASK;
}

static bool head_is_valid(enum softhv_kernel kernel, uint64_t flags, uint64_t isolation)
{
    return (flags & ~flags_known(kernel)) == 0 && isolation == MSHV_PT_ISOLATION_NONE;
}

static bool tail_is_valid(const struct mshv_create_partition_v2 *a)
{
    uint8_t used = 0;
    for (size_t i = 0; i < sizeof(a->pt_rsvd); i++)
        used |= a->pt_rsvd[i];
    return a->pt_num_cpu_fbanks == MSHV_NUM_CPU_FEATURES_BANKS && used == 0 && a->pt_rsvd1[0] == 0 &&
           a->pt_rsvd1[1] == 0;
}

/* Copy and check; a short argument comes out as a long one that disables nothing. */
static int read_argument(enum softhv_kernel kernel, uint64_t argument, struct mshv_create_partition_v2 *a)
{
    struct mshv_create_partition head;
    if (softhv_user_read(&head, argument, sizeof(head)) != 0)
        return -EFAULT;
    if (!head_is_valid(kernel, head.pt_flags, head.pt_isolation))
        return -EINVAL;
    *a = (struct mshv_create_partition_v2){.pt_flags = head.pt_flags};
    if ((head.pt_flags & FLAG(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)) == 0)
        return 0;
    if (softhv_user_read(a, argument, sizeof(*a)) != 0)
        return -EFAULT;
    return head_is_valid(kernel, a->pt_flags, a->pt_isolation) && tail_is_valid(a) ? 0 : -EINVAL;
}

static struct softhv_feature_request request_of(const struct softhv_host *host,
                                                const struct mshv_create_partition_v2 *a)
{
    return (struct softhv_feature_request){
        .disabled_banks = {a->pt_cpu_fbanks[0], a->pt_cpu_fbanks[1]},
        .disabled_xsave = a->pt_disabled_xsave,
        .lapic = (a->pt_flags & FLAG(MSHV_PT_BIT_LAPIC)) != 0,
        .x2apic = (a->pt_flags & FLAG(MSHV_PT_BIT_X2APIC)) != 0,
        .amd = host->amd,
    };
}

/* ---- Interrupts of the client ---- */

enum hv_status softhv_partition_assert(struct softhv_partition *p, const struct softhv_apic_msg *msg)
{
    return softhv_apic_bus_deliver(&p->bus, msg) < 0 ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
}

static void assert_msi(void *ctx, const struct softhv_msi *msi)
{
    const struct softhv_apic_msg msg = {.dest = msi->dest,
                                        .type = msi->type,
                                        .vector = msi->vector,
                                        .level = msi->level,
                                        .logical = msi->logical,
                                        .narrow = true};
    (void)softhv_partition_assert(ctx, &msg);
}

static void clear_extint(void *ctx)
{
    softhv_apic_bus_clear_extint(&((struct softhv_partition *)ctx)->bus);
}

/* ---- Life ---- */

static void resolve(struct softhv_partition *p)
{
    softhv_features_resolve(&p->host.features, &p->request, &p->features);
    softhv_regs_limits_init(&p->limits, &p->features.x86, p->host.phys_bits, p->request.lapic);
}

static int make_locks(struct softhv_partition *p)
{
    int err = pthread_mutex_init(&p->lock, NULL);
    err = err != 0 ? err : pthread_mutex_init(&p->cpuid_lock, NULL);
    err = err != 0 ? err : pthread_mutex_init(&p->awake_lock, NULL);
    return -err;
}

static int make_pages(struct softhv_partition *p)
{
    void *m;
    if (mapping_new(SHARED_PAGES * MSHV_HV_PAGE_SIZE, 0, &m) < 0)
        return -ENOMEM;
    p->pages = m;
    return 0;
}

/* Everything that can fail; softhv_partition_free takes back what was made. */
static int make_parts(struct softhv_partition *p)
{
    const struct softhv_gpa_config memory = {
        .kernel = p->host.kernel, .phys_bits = p->host.phys_bits, .overlays = SOFTHV_OVERLAYS};
    const struct softhv_irqfd_hooks hooks = {
        .assert_msi = assert_msi, .clear_extint = clear_extint, .ctx = p, .threads = p->host.threads};
    int err = make_pages(p);
    err = err != 0 ? err : softhv_gpa_new(&memory, &p->gpa);
    err = err != 0 ? err : softhv_doorbells_new(&p->doorbells);
    err = err != 0 ? err : softhv_irqfds_new(p->host.kernel, &p->routes, &hooks, &p->irqfds);
    if (err != 0)
        return err;
    p->bus_lock = x86_bus_lock_new();
    return p->bus_lock != NULL ? 0 : -ENOMEM;
}

static void init_hv(struct softhv_partition *p)
{
    const struct softhv_hv_config c = {.features = &p->features,
                                       .amd = p->host.amd,
                                       .phys_bits = p->host.phys_bits,
                                       .partition_id = p->id,
                                       .hypercall_page = p->pages,
                                       .tsc_page = p->pages + MSHV_HV_PAGE_SIZE};
    softhv_hv_init(&p->hv, &c, &p->clock);
}

static void free_parts(struct softhv_partition *p)
{
    softhv_irqfds_free(p->irqfds);
    softhv_doorbells_free(p->doorbells);
    softhv_gpa_free(p->gpa);
    x86_bus_lock_free(p->bus_lock);
    mapping_free(p->pages, SHARED_PAGES * MSHV_HV_PAGE_SIZE);
    softhv_routes_fini(&p->routes);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->cpuid_lock);
    pthread_mutex_destroy(&p->awake_lock);
    free(p);
}

static int make(struct softhv_partition *p)
{
    int err = make_locks(p);
    err = err != 0 ? err : softhv_routes_init(&p->routes);
    err = err != 0 ? err : softhv_clock_init(&p->clock, &p->host.source, p->host.tsc_hz, 0);
    if (err != 0) {
        free(p); /* attributes of the defaults hold nothing that would leak */
        return err;
    }
    err = make_parts(p);
    if (err != 0) {
        free_parts(p);
        return err;
    }
    resolve(p);
    init_hv(p);
    return 0;
}

int softhv_partition_new(const struct softhv_host *host, uint64_t id, uint64_t argument, struct softhv_partition **out)
{
    struct mshv_create_partition_v2 a;
    int err = read_argument(host->kernel, argument, &a);
    if (err != 0)
        return err;
    if ((a.pt_flags & FLAG(MSHV_PT_BIT_LAPIC)) == 0)
        return -EINVAL;
    struct softhv_partition *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->host = *host;
    p->id = id;
    p->request = request_of(host, &a);
    err = make(p);
    if (err == 0)
        *out = p;
    return err;
}

void softhv_partition_free(struct softhv_partition *p)
{
    if (p == NULL)
        return;
    struct softhv_lapic *lapics[MSHV_MAX_VPS] = {NULL};
    softhv_irqfds_close(p->irqfds);
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *vp = softhv_partition_vp(p, i);
        lapics[i] = vp != NULL ? vp->lapic : NULL;
        if (vp != NULL)
            softhv_vp_free(vp);
    }
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++)
        softhv_lapic_free(lapics[i]);
    softhv_hv_fini(&p->hv);
    free_parts(p);
}

int softhv_partition_initialise(struct softhv_partition *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->initialised) {
        softhv_gpa_activate(p->gpa);
        p->initialised = true;
    }
    pthread_mutex_unlock(&p->lock);
    /* Who wants to know of threads may not let any be made later. */
    return p->host.threads.hook != NULL ? softhv_irqfds_start(p->irqfds) : 0;
}

/* ---- Time ---- */

void softhv_partition_wake(struct softhv_partition *p)
{
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *vp = softhv_partition_vp(p, i);
        if (vp != NULL)
            softhv_vp_wake(vp);
    }
}

void softhv_partition_awake(struct softhv_partition *p, bool more)
{
    pthread_mutex_lock(&p->awake_lock);
    uint32_t before = p->awake;
    p->awake = more ? before + 1 : before - 1;
    bool turned = (before == 0) != (p->awake == 0);
    if (turned)
        softhv_hv_suspend(&p->hv, p->awake == 0);
    pthread_mutex_unlock(&p->awake_lock);
    if (turned)
        softhv_partition_wake(p);
}

/* ---- Properties ---- */

static uint64_t vendor(const struct softhv_host *host)
{
    return host->amd ? HV_PROCESSOR_VENDOR_AMD : HV_PROCESSOR_VENDOR_INTEL;
}

/* Those that follow from the processor's features. */
static enum hv_status get_feature(const struct softhv_host *host, const struct softhv_features *f, uint32_t property,
                                  uint64_t *value)
{
    switch (property) {
    case HV_PARTITION_PROPERTY_PRIVILEGE_FLAGS: *value = f->privileges; break;
    case HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES: *value = f->synthetic; break;
    case HV_PARTITION_PROPERTY_PROCESSOR_VENDOR: *value = vendor(host); break;
    case HV_PARTITION_PROPERTY_PHYSICAL_ADDRESS_WIDTH: *value = host->phys_bits; break;
    case HV_PARTITION_PROPERTY_PROCESSOR_XSAVE_FEATURES: *value = f->xsave; break;
    case HV_PARTITION_PROPERTY_XSAVE_STATES: *value = softhv_features_xsave_states(f); break;
    case HV_PARTITION_PROPERTY_MAX_XSAVE_DATA_SIZE: *value = softhv_features_xsave_bytes(f); break;
    case HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0: *value = f->banks[0]; break;
    case HV_PARTITION_PROPERTY_PROCESSOR_FEATURES1: *value = f->banks[1]; break;
    default: return HV_STATUS_UNKNOWN_PROPERTY;
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_host_get(const struct softhv_host *host, uint32_t property, uint64_t *value)
{
    struct softhv_features f;
    softhv_features_host(&host->features, host->amd, &f);
    return get_feature(host, &f, property, value);
}

static enum hv_status get_locked(struct softhv_partition *p, uint32_t property, uint64_t *value)
{
    switch (property) {
    case HV_PARTITION_PROPERTY_TIME_FREEZE: *value = p->clock.frozen; break;
    case HV_PARTITION_PROPERTY_REFERENCE_TIME: *value = softhv_clock_ref(&p->clock); break;
    case HV_PARTITION_PROPERTY_APIC_FREQUENCY: *value = p->clock.apic_hz; break;
    case HV_PARTITION_PROPERTY_PROCESSOR_CLOCK_FREQUENCY: *value = p->clock.tsc_hz; break;
    case HV_PARTITION_PROPERTY_PROCESSORS_PER_SOCKET: *value = p->per_socket; break;
    case HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING: *value = softhv_gpa_tracking(p->gpa); break;
    case HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION: *value = atomic_load(&p->hv.ignore_unknown); break;
    case HV_PARTITION_PROPERTY_GUEST_OS_ID: *value = atomic_load(&p->hv.guest_os_id); break;
    default: return get_feature(&p->host, &p->features, property, value);
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_partition_get(struct softhv_partition *p, uint32_t property, uint64_t *value)
{
    pthread_mutex_lock(&p->lock);
    enum hv_status status = get_locked(p, property, value);
    pthread_mutex_unlock(&p->lock);
    return status;
}

static bool is_early(uint32_t property)
{
    return property == HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES ||
           property == HV_PARTITION_PROPERTY_PRIVILEGE_FLAGS;
}

static enum hv_status set_early(struct softhv_partition *p, uint32_t property, uint64_t value)
{
    if (p->initialised)
        return HV_STATUS_INVALID_PARTITION_STATE;
    if (property == HV_PARTITION_PROPERTY_PRIVILEGE_FLAGS)
        p->request.privileges = value;
    else
        p->request.synthetic = value;
    resolve(p);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_freeze(struct softhv_partition *p, uint64_t value)
{
    if (value > 1)
        return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
    softhv_hv_freeze(&p->hv, value != 0);
    softhv_partition_wake(p);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_reference_time(struct softhv_partition *p, uint64_t value)
{
    softhv_hv_set_reference_time(&p->hv, value);
    softhv_partition_wake(p);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_msr_action(struct softhv_partition *p, uint64_t value)
{
    if (value > HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO)
        return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
    atomic_store(&p->hv.ignore_unknown, value != 0);
    return HV_STATUS_SUCCESS;
}

/* uncertain: the range. It changes nothing here; the client's CPUID results say how threads share a socket. */
static enum hv_status set_per_socket(struct softhv_partition *p, uint64_t value)
{
    if (value > MSHV_MAX_VPS)
        return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
    p->per_socket = value;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_late(struct softhv_partition *p, uint32_t property, uint64_t value)
{
    uint64_t present;
    if (get_locked(p, property, &present) != HV_STATUS_SUCCESS)
        return HV_STATUS_UNKNOWN_PROPERTY;
    if (!p->initialised)
        return HV_STATUS_INVALID_PARTITION_STATE;
    switch (property) {
    case HV_PARTITION_PROPERTY_TIME_FREEZE: return set_freeze(p, value);
    case HV_PARTITION_PROPERTY_REFERENCE_TIME: return set_reference_time(p, value);
    case HV_PARTITION_PROPERTY_PROCESSORS_PER_SOCKET: return set_per_socket(p, value);
    case HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING: return (enum hv_status)softhv_gpa_set_tracking(p->gpa, value);
    case HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION: return set_msr_action(p, value);
    default: return HV_STATUS_OPERATION_DENIED;
    }
}

enum hv_status softhv_partition_set(struct softhv_partition *p, uint32_t property, uint64_t value)
{
    pthread_mutex_lock(&p->lock);
    enum hv_status status = is_early(property) ? set_early(p, property, value) : set_late(p, property, value);
    pthread_mutex_unlock(&p->lock);
    return status;
}

static uint64_t bank_of(uint32_t property)
{
    if (property == HV_PARTITION_PROPERTY_VMM_CAPABILITIES)
        return HV_VMM_CAPABILITY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES;
    return property == HV_PARTITION_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES ? SOFTHV_SYNTH_SUPPORTED : 0;
}

enum hv_status softhv_property_ex(uint32_t property, struct hv_output_get_partition_property_ex *out)
{
    uint64_t bank = bank_of(property);
    if (bank == 0)
        return HV_STATUS_UNKNOWN_PROPERTY;
    memset(out, 0, sizeof(*out));
    out->bank_count = 1;
    out->bank[0] = bank;
    return HV_STATUS_SUCCESS;
}
