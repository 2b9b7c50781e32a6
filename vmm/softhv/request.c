/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source of the checks and their order: torvalds/linux drivers/hv/mshv_root_main.c, behaviour.
 */
#include "vmm/softhv/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/softhv/user.h"
#include "vmm/softhv/vpstate.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One request on its way. */
struct job {
    const struct softhv_target *t;
    uint64_t arg;
    uint64_t id;
    const sigset_t *open;
    struct softhv_reply *r;
};

/* ---- Copies ---- */

/* The argument, copied once; the trace sees the same copy. */
static int take(const struct job *j, void *to, size_t bytes)
{
    if (softhv_user_read(to, j->arg, bytes) != 0)
        return -EFAULT;
    memcpy(j->r->before.bytes, to, bytes);
    j->r->record.before = j->r->before.bytes;
    j->r->record.bytes = bytes;
    return 0;
}

static int give(const struct job *j, const void *from, size_t bytes)
{
    memcpy(j->r->after.bytes, from, bytes);
    j->r->record.after = j->r->after.bytes;
    j->r->record.bytes = bytes;
    return softhv_user_write(j->arg, from, bytes);
}

/* ---- Device ---- */

/* For the trace only; softhv_partition_new makes its own copies and judges them. */
static void note_create(const struct job *j)
{
    struct mshv_create_partition_v2 a;
    bool wide = softhv_user_read(&a, j->arg, sizeof(struct mshv_create_partition)) == 0 &&
                (a.pt_flags & UINT64_C(1) << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES) != 0;
    (void)take(j, &a, wide ? sizeof(a) : sizeof(struct mshv_create_partition));
}

static int create_partition(const struct job *j)
{
    note_create(j);
    return softhv_partition_new(j->t->host, j->id, j->arg, &j->r->made_p);
}

/* ---- Hypercalls ---- */

static int hvcall_back(const struct job *j, struct mshv_root_hvcall *a, const struct softhv_hvcall *c, int result)
{
    a->status = c->status;
    a->reps = c->done;
    bool output = a->out_ptr != 0 && (result == 0 || j->t->host->kernel < SOFTHV_KERNEL_7_2);
    if (give(j, a, sizeof(*a)) != 0)
        return -EFAULT;
    if (!output)
        return result;
    j->r->record.call_out = c->out;
    return softhv_user_write(a->out_ptr, c->out, a->out_sz) == 0 ? result : -EFAULT;
}

static int root_hvcall(const struct job *j)
{
    struct mshv_root_hvcall a;
    struct softhv_reply *r = j->r;
    int err = take(j, &a, sizeof(a));
    err = err != 0 ? err : softhv_hvcall_check(&a);
    err = err != 0 ? err : softhv_hvcall_known(j->t->host, j->t->on, a.code);
    if (err != 0)
        return err;
    memset(r->call_in, 0, sizeof(r->call_in));
    memset(r->call_out, 0, sizeof(r->call_out));
    if (softhv_user_read(r->call_in, a.in_ptr, a.in_sz) != 0)
        return -EFAULT;
    r->record.call_in = r->call_in;
    struct softhv_hvcall c = {.code = a.code, .reps = a.reps, .in = r->call_in, .out = r->call_out};
    err = softhv_hvcall(j->t->host, j->t->p, j->t->on, &c);
    return hvcall_back(j, &a, &c, err);
}

/* The request does not exist on the device of older kernels. */
static int device_hvcall(const struct job *j)
{
    return j->t->host->kernel < SOFTHV_KERNEL_6_19 ? -ENOTTY : root_hvcall(j);
}

/* ---- Partition ---- */

static int initialise(const struct job *j)
{
    return softhv_partition_initialise(j->t->p);
}

static int create_vp(const struct job *j)
{
    struct mshv_create_vp a;
    int err = take(j, &a, sizeof(a));
    return err != 0 ? err : softhv_vp_new(j->t->p, a.vp_index, &j->r->made_vp);
}

static int set_memory(const struct job *j)
{
    struct mshv_user_mem_region a;
    int err = take(j, &a, sizeof(a));
    return err != 0 ? err : softhv_gpa_set_memory(j->t->p->gpa, &a);
}

static int irqfd(const struct job *j)
{
    struct mshv_user_irqfd a;
    int err = take(j, &a, sizeof(a));
    return err != 0 ? err : softhv_irqfds_request(j->t->p->irqfds, &a);
}

static int ioeventfd(const struct job *j)
{
    struct mshv_user_ioeventfd a;
    int err = take(j, &a, sizeof(a));
    return err != 0 ? err : softhv_doorbells_request(j->t->p->doorbells, &a);
}

/* For the trace: the header and as many entries as the driver would read. */
static void note_routes(const struct job *j)
{
    struct mshv_user_irq_table head;
    if (take(j, &head, sizeof(head)) != 0 || head.nr > MSHV_MAX_GUEST_IRQS)
        return;
    size_t bytes = sizeof(head) + head.nr * sizeof(struct mshv_user_irq_entry);
    j->r->room = malloc(bytes);
    if (j->r->room == NULL || softhv_user_read(j->r->room, j->arg, bytes) != 0)
        return;
    j->r->record.before = j->r->room;
    j->r->record.bytes = bytes;
}

static int set_routes(const struct job *j)
{
    if (j->t->traced)
        note_routes(j);
    return softhv_routes_request(&j->t->p->routes, j->arg);
}

static int access_bitmap(const struct job *j)
{
    struct mshv_gpap_access_bitmap a;
    int err = take(j, &a, sizeof(a));
    return err != 0 ? err : softhv_gpa_access_bitmap(j->t->p->gpa, &a);
}

/* ---- VP ---- */

static int run_vp(const struct job *j)
{
    struct hv_message m;
    int err = softhv_vp_run_open(j->t->vp, j->open, &m);
    return err != 0 ? err : give(j, &m, sizeof(m));
}

static const struct softhv_vpstate_ops *state_ops(void);

static struct softhv_vpstate_view state_view(struct softhv_vp *vp)
{
    return (struct softhv_vpstate_view){.state = &vp->state,
                                        .xsave_states = softhv_features_xsave_states(&vp->p->features),
                                        .ops = state_ops(),
                                        .ctx = vp};
}

/* The hypervisor reads or writes our copy of the block. */
static enum hv_status move_state(struct softhv_vp *vp, unsigned type, uint8_t *block, uint32_t bytes, bool set)
{
    struct softhv_regs_view regs;
    softhv_vp_begin(vp, &regs);
    const struct softhv_vpstate_view v = state_view(vp);
    enum hv_status status =
        set ? softhv_vpstate_set(&v, type, block, bytes) : softhv_vpstate_get(&v, type, block, bytes);
    softhv_vp_end(vp, true);
    return status;
}

static int exchange_state(const struct job *j, const struct mshv_get_set_vp_state *a, uint32_t bytes, bool set)
{
    uint8_t *block = calloc(1, bytes);
    if (block == NULL)
        return -ENOMEM;
    int err = set ? softhv_user_read(block, a->buf_ptr, bytes) : 0;
    if (err == 0)
        err = softhv_status_error((uint16_t)move_state(j->t->vp, a->type, block, bytes, set));
    if (err == 0 && !set)
        err = softhv_user_write(a->buf_ptr, block, bytes);
    free(block);
    return err;
}

/* The driver pins all pages of the buffer for writing, whichever way the block goes; timers are merely copied. */
static int pin(const struct mshv_get_set_vp_state *a, uint32_t buffer_bytes)
{
    if (a->type == MSHV_VP_STATE_SYNTHETIC_TIMERS)
        return 0;
    return softhv_vpstate_pages_fit(a->type, buffer_bytes) ? softhv_user_fault_in(a->buf_ptr, buffer_bytes)
                                                           : softhv_user_pin_check(a->buf_ptr, buffer_bytes);
}

static int vp_state(const struct job *j, bool set)
{
    struct mshv_get_set_vp_state a;
    uint32_t buffer_bytes, xsave_bytes = softhv_features_xsave_bytes(&j->t->p->features);
    bool unchanged;
    int err = take(j, &a, sizeof(a));
    if (err != 0)
        return err;
    err = softhv_vpstate_check(&a, xsave_bytes, &buffer_bytes, &unchanged);
    if (!unchanged && give(j, &a, sizeof(a)) != 0)
        return -EFAULT;
    err = err != 0 ? err : pin(&a, buffer_bytes);
    if (err == 0 && !softhv_vpstate_pages_fit(a.type, buffer_bytes))
        err = -EINVAL;
    return err != 0 ? err : exchange_state(j, &a, softhv_vpstate_bytes(a.type, xsave_bytes), set);
}

static int get_vp_state(const struct job *j)
{
    return vp_state(j, false);
}

static int set_vp_state(const struct job *j)
{
    return vp_state(j, true);
}

/* ---- Blocks of state that other modules hold ---- */

static void lapic_get(void *ctx, uint8_t out[176])
{
    softhv_lapic_get_state(((struct softhv_vp *)ctx)->lapic, out);
}

static void lapic_set(void *ctx, const uint8_t in[176])
{
    softhv_lapic_set_state(((struct softhv_vp *)ctx)->lapic, in);
}

static void messages_get(void *ctx, uint8_t *out)
{
    memcpy(out, softhv_vp_page(ctx, SOFTHV_VP_PAGE_MESSAGES), MSHV_HV_PAGE_SIZE);
}

static void messages_set(void *ctx, const uint8_t *in)
{
    memcpy(softhv_vp_page(ctx, SOFTHV_VP_PAGE_MESSAGES), in, MSHV_HV_PAGE_SIZE);
}

static void events_get(void *ctx, uint8_t *out)
{
    memcpy(out, softhv_vp_page(ctx, SOFTHV_VP_PAGE_EVENTS), MSHV_HV_PAGE_SIZE);
}

static void events_set(void *ctx, const uint8_t *in)
{
    memcpy(softhv_vp_page(ctx, SOFTHV_VP_PAGE_EVENTS), in, MSHV_HV_PAGE_SIZE);
}

static void timers_get(void *ctx, struct hv_synthetic_timers_state *out)
{
    softhv_stimer_save(&((struct softhv_vp *)ctx)->hv.stimers, out);
}

static enum hv_status timers_set(void *ctx, const struct hv_synthetic_timers_state *in)
{
    struct softhv_vp *vp = ctx;
    bool good = softhv_stimer_load(&vp->hv.stimers, in, softhv_clock_ref(&vp->p->clock));
    return good ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_REGISTER_VALUE;
}

static const struct softhv_vpstate_ops *state_ops(void)
{
    static const struct softhv_vpstate_ops ops = {.lapic_get = lapic_get,
                                                  .lapic_set = lapic_set,
                                                  .messages_get = messages_get,
                                                  .messages_set = messages_set,
                                                  .events_get = events_get,
                                                  .events_set = events_set,
                                                  .timers_get = timers_get,
                                                  .timers_set = timers_set};
    return &ops;
}

/* ---- Table ---- */

static const struct {
    enum softhv_on on;
    uint32_t request;
    int (*serve)(const struct job *j);
} rows[] = {
    {SOFTHV_ON_DEVICE, MSHV_CREATE_PARTITION, create_partition},
    {SOFTHV_ON_DEVICE, MSHV_ROOT_HVCALL, device_hvcall},
    {SOFTHV_ON_PARTITION, MSHV_INITIALIZE_PARTITION, initialise},
    {SOFTHV_ON_PARTITION, MSHV_CREATE_VP, create_vp},
    {SOFTHV_ON_PARTITION, MSHV_SET_GUEST_MEMORY, set_memory},
    {SOFTHV_ON_PARTITION, MSHV_IRQFD, irqfd},
    {SOFTHV_ON_PARTITION, MSHV_IOEVENTFD, ioeventfd},
    {SOFTHV_ON_PARTITION, MSHV_SET_MSI_ROUTING, set_routes},
    {SOFTHV_ON_PARTITION, MSHV_GET_GPAP_ACCESS_BITMAP, access_bitmap},
    {SOFTHV_ON_PARTITION, MSHV_ROOT_HVCALL, root_hvcall},
    {SOFTHV_ON_VP, MSHV_RUN_VP, run_vp},
    {SOFTHV_ON_VP, MSHV_GET_VP_STATE, get_vp_state},
    {SOFTHV_ON_VP, MSHV_SET_VP_STATE, set_vp_state},
    {SOFTHV_ON_VP, MSHV_ROOT_HVCALL, root_hvcall},
};

static void reply_init(struct softhv_reply *r, uint32_t request)
{
    r->record = (struct softhv_trace_record){.request = request};
    r->made_p = NULL;
    r->made_vp = NULL;
    r->room = NULL;
}

int softhv_request(const struct softhv_target *t, uint32_t request, uint64_t arg, uint64_t id, const sigset_t *open,
                   struct softhv_reply *r)
{
    const struct job j = {.t = t, .arg = arg, .id = id, .open = open, .r = r};
    reply_init(r, request);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].on == t->on && rows[i].request == request)
            return rows[i].serve(&j);
    return -ENOTTY;
}

void softhv_reply_fini(struct softhv_reply *r)
{
    free(r->room);
    r->room = NULL;
}
