/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls through the driver, and registers by them or by the shared page. */
#include <stdio.h>
#include <string.h>

#include "mini.h"

void mini_call(struct mini_vm *vm, int fd, uint16_t code, uint16_t reps, void *in, size_t in_bytes, void *out,
               size_t out_bytes)
{
    struct mshv_root_hvcall c;
    char what[64];
    memset(&c, 0, sizeof(c));
    c.code = code;
    c.reps = reps;
    c.in_sz = (uint16_t)in_bytes;
    c.out_sz = (uint16_t)out_bytes;
    c.in_ptr = (uintptr_t)in;
    c.out_ptr = (uintptr_t)out;
    int result = vm->sys->ioctl(vm->sys->ctx, fd, MSHV_ROOT_HVCALL, &c);
    if (result == 0 && c.status == 0 && c.reps == reps)
        return;
    snprintf(what, sizeof(what), "hypercall 0x%x (status 0x%x, %u of %u)", code, c.status, c.reps, reps);
    mini_die(what);
}

void mini_assert(struct mini_vm *vm, uint32_t vector, uint64_t control)
{
    struct {
        uint64_t partition, control, destination;
        uint32_t vector, target;
    } in = {.control = control, .destination = 0, .vector = vector};
    mini_call(vm, vm->partition, CALL_ASSERT_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
}

/* ---- Registers ---- */

#define SET_MAX 24

struct set_list {
    struct registers_head head;
    struct register_value value[SET_MAX];
};

static void add(struct set_list *l, unsigned *n, uint32_t name, uint64_t value)
{
    l->value[(*n)++] = (struct register_value){.name = name, .u64 = {value, 0}};
}

static void add_segment(struct set_list *l, unsigned *n, uint32_t name, struct segment s)
{
    l->value[(*n)++] = (struct register_value){.name = name, .segment = s};
}

static void set(struct mini_vp *vp, struct set_list *l, unsigned n)
{
    l->head = (struct registers_head){.vp = vp->index};
    mini_call(vp->vm, vp->fd, CALL_SET_REGISTERS, (uint16_t)n, l, sizeof(l->head) + n * sizeof(l->value[0]), NULL, 0);
}

static void start_registers(struct mini_vp *vp)
{
    struct set_list l;
    unsigned n = 0;
    for (unsigned i = 0; i < GPRS; i++)
        add(&l, &n, NAME_GPR + i, 0);
    add(&l, &n, NAME_RIP, IMAGE_GPA);
    add(&l, &n, NAME_RFLAGS, 2);
    set(vp, &l, n);
}

static const struct segment code_segments[] = {
    [MODE_REAL] = {0, 0xffff, 0, 0x9b},
    [MODE_PROT] = {0, 0xffffffff, 8, 0xc09b},
    [MODE_LONG] = {0, 0xffffffff, 0x18, 0xa09b},
};
static const struct segment data_segments[] = {
    [MODE_REAL] = {0, 0xffff, 0, 0x93},
    [MODE_PROT] = {0, 0xffffffff, 0x10, 0xc093},
    [MODE_LONG] = {0, 0xffffffff, 0x10, 0xc093},
};

static void start_mode(struct mini_vp *vp)
{
    struct set_list l;
    unsigned n = 0;
    enum mini_mode mode = vp->vm->mode;
    add_segment(&l, &n, NAME_CS, code_segments[mode]);
    for (uint32_t name = NAME_ES; name <= NAME_GS; name++)
        if (name != NAME_CS)
            add_segment(&l, &n, name, data_segments[mode]);
    if (mode == MODE_LONG) {
        add(&l, &n, NAME_CR3, PML4_GPA);
        add(&l, &n, NAME_CR4, 0x20);       /* PAE */
        add(&l, &n, NAME_EFER, 0x500);     /* LME, LMA */
        add(&l, &n, NAME_CR0, 0x80000011); /* PG, ET, PE */
    } else {
        add(&l, &n, NAME_CR0, mode == MODE_PROT ? 0x11 : 0x10);
    }
    set(vp, &l, n);
}

void mini_vp_start(struct mini_vp *vp)
{
    start_registers(vp);
    start_mode(vp);
}

static bool page_valid(const struct mini_vp *vp)
{
    return vp->page != NULL && vp->page->valid != 0;
}

uint64_t mini_vp_gpr(struct mini_vp *vp, unsigned gpr)
{
    struct {
        struct registers_head head;
        uint32_t name, rsvd;
    } in = {.head = {.vp = vp->index}, .name = NAME_GPR + gpr};
    uint64_t value[2];
    if (page_valid(vp))
        return vp->page->gpr[gpr];
    mini_call(vp->vm, vp->fd, CALL_GET_REGISTERS, 1, &in, offsetof(__typeof__(in), rsvd), value, sizeof(value));
    return value[0];
}

static void change_page(struct register_page *page, const struct mini_change *c)
{
    for (unsigned i = 0; i < GPRS; i++)
        if (c->gprs & 1u << i)
            page->gpr[i] = c->gpr[i];
    if (c->has_rip)
        page->rip = c->rip;
    page->dirty |= (c->gprs != 0 ? DIRTY_GPR : 0) | (c->has_rip ? DIRTY_RIP : 0);
}

void mini_vp_change(struct mini_vp *vp, const struct mini_change *c)
{
    struct set_list l;
    unsigned n = 0;
    if (page_valid(vp)) {
        change_page(vp->page, c);
        return;
    }
    for (unsigned i = 0; i < GPRS; i++)
        if (c->gprs & 1u << i)
            add(&l, &n, NAME_GPR + i, c->gpr[i]);
    if (c->has_rip)
        add(&l, &n, NAME_RIP, c->rip);
    if (n != 0)
        set(vp, &l, n);
}
