/* SPDX-License-Identifier: Apache-2.0 */
/* A VP's loop: run, write the message down, do what it asks for, go on behind the instruction. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mini.h"

static void change_gpr(struct mini_change *c, unsigned gpr, uint64_t value)
{
    c->gprs = (uint16_t)(c->gprs | 1u << gpr);
    c->gpr[gpr] = value;
}

/* The low bytes of a register; all of it for four and eight. */
static uint64_t merged(uint64_t old, uint64_t value, unsigned bytes)
{
    uint64_t mask = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1;
    return (bytes < 4 ? old & ~mask : 0) | (value & mask);
}

/* Our guests' linear addresses are physical ones. */
static uint8_t *ram(struct mini_vm *vm, uint64_t address, size_t bytes)
{
    errno = EFAULT;
    if (address >= RAM_BYTES || bytes > RAM_BYTES - address)
        mini_die("the guest's own memory");
    return vm->ram + address;
}

/* ---- Ports ---- */

static void ask(struct mini_vm *vm, uint32_t what)
{
    static const uint64_t one = 1;
    switch (what) {
    case ASK_IRQFD:
        if (write(vm->irq, &one, sizeof(one)) != sizeof(one))
            mini_die("writing to the irqfd");
        break;
    case ASK_ASSERT: mini_assert(vm, VECTOR_ASSERT, INTERRUPT_FIXED); break;
    case ASK_LEVEL: mini_assert(vm, VECTOR_LEVEL, INTERRUPT_FIXED | INTERRUPT_LEVEL); break;
    default: break;
    }
}

/* Four bits for each doorbell. */
static uint32_t rings(struct mini_vm *vm)
{
    uint32_t all = 0;
    for (unsigned i = 0; i < BELLS; i++) {
        uint64_t count = 0;
        if (read(vm->bell[i], &count, sizeof(count)) != sizeof(count))
            count = 0;
        all |= (uint32_t)(count & 15) << 4 * i;
    }
    return all;
}

static uint32_t port_in(struct mini_vp *vp, uint16_t port, unsigned size)
{
    uint32_t value = port == PORT_RINGS ? rings(vp->vm) : ++vp->vm->port_reads[vp->index] * 0x9e3779b1u;
    value = (uint32_t)merged(0, value, size);
    mini_trace(vp, "    in %x: %x\n", port, value);
    return value;
}

static void port_out(struct mini_vp *vp, uint16_t port, unsigned size, uint64_t rax)
{
    uint32_t value = (uint32_t)merged(0, rax, size);
    mini_trace(vp, "    out %x: %x\n", port, value);
    if (port == PORT_ASK)
        ask(vp->vm, value);
    vp->done = port == PORT_END;
}

static void element(struct mini_vp *vp, const struct port_exit *p, unsigned size, uint64_t offset)
{
    bool in = p->head.access == 0;
    uint32_t value = 0;
    uint8_t *at = ram(vp->vm, (in ? p->es.base : p->ds.base) + offset, size);
    if (in) {
        value = port_in(vp, p->port, size);
        memcpy(at, &value, size);
    } else {
        memcpy(&value, at, size);
        port_out(vp, p->port, size, value);
    }
}

/* With REP all of it; else one element, be it that the hypervisor counts RCX by itself. */
static void string(struct mini_vp *vp, const struct port_exit *p, struct mini_change *c)
{
    unsigned size = p->info & 7u, index = p->head.access == 0 ? RDI : RSI;
    uint64_t offset = index == RDI ? p->rdi : p->rsi, count = p->info & PORT_REP ? p->rcx : 1;
    for (uint64_t i = 0; i < count; i++) {
        element(vp, p, size, offset);
        offset += p->head.rflags & 0x400 ? 0 - (uint64_t)size : size;
    }
    change_gpr(c, index, offset);
    if (p->info & PORT_REP)
        change_gpr(c, RCX, 0);
}

static void on_port(struct mini_vp *vp, const struct port_exit *p)
{
    struct mini_change c = {.has_rip = true, .rip = p->head.rip + (p->head.length_cr8 & 15u)};
    unsigned size = p->info & 7u;
    errno = EPROTO;
    if (size != 1 && size != 2 && size != 4)
        mini_die("a port access of a strange size");
    if (p->info & PORT_STRING_OP)
        string(vp, p, &c);
    else if (p->head.access == 1)
        port_out(vp, p->port, size, p->rax);
    else
        change_gpr(&c, RAX, merged(p->rax, port_in(vp, p->port, size), size));
    mini_vp_change(vp, &c);
}

/* ---- Memory ---- */

static uint64_t device(struct mini_vp *vp, uint64_t gpa, unsigned size, bool write, uint64_t value)
{
    bool there = gpa >= DEV_GPA && gpa - DEV_GPA <= PAGE_BYTES - size;
    uint8_t *at = vp->vm->dev + (there ? gpa - DEV_GPA : 0);
    if (!there && !write)
        value = UINT64_MAX;
    else if (there && !write)
        memcpy(&value, at, size);
    else if (there)
        memcpy(at, &value, size);
    value = merged(0, value, size);
    mini_trace(vp, "    %s %" PRIx64 " size %u: %" PRIx64 "%s\n", write ? "write" : "read", gpa, size, value,
               there   ? ""
               : write ? ", dropped"
                       : ", nobody's");
    return value;
}

static unsigned code_bits(const struct exit_head *h)
{
    if ((h->state & STATE_LMA) != 0 && (h->cs.attributes & SEGMENT_LONG) != 0)
        return 64;
    return h->cs.attributes & SEGMENT_BIG ? 32 : 16;
}

/* The message's bytes, or what is in memory when there are too few. */
static void decode(struct mini_vp *vp, const struct memory_exit *m, struct mini_mov *mov)
{
    unsigned bits = code_bits(&m->head);
    if (mini_mov_decode(m->bytes, m->count, bits, mov))
        return;
    if (!mini_mov_decode(ram(vp->vm, m->head.cs.base + m->head.rip, 15), 15, bits, mov)) {
        errno = EILSEQ;
        mini_die("an instruction that is none of our guests'");
    }
}

static uint64_t written(struct mini_vp *vp, const struct mini_mov *mov)
{
    return mov->has_value ? mov->value : mini_vp_gpr(vp, mov->gpr) >> mov->shift;
}

static void loaded(struct mini_vp *vp, const struct mini_mov *mov, uint64_t value, struct mini_change *c)
{
    uint64_t old = mini_vp_gpr(vp, mov->gpr);
    if (mov->shift != 0)
        value = (old & ~UINT64_C(0xff00)) | value << 8;
    else
        value = merged(old, value, mov->reg_size);
    change_gpr(c, mov->gpr, value);
    mini_trace(vp, "    register %u: %" PRIx64 "\n", mov->gpr, value);
}

/* The low bits are taken from the linear address, because the other ones may have been rounded down to the page. */
static void on_memory(struct mini_vp *vp, const struct memory_exit *m)
{
    uint64_t low = PAGE_BYTES - 1, gpa = (m->gpa & ~low) | (m->gva & low);
    struct mini_mov mov;
    decode(vp, m, &mov);
    struct mini_change c = {.has_rip = true, .rip = m->head.rip + mov.length};
    if (mov.write)
        (void)device(vp, gpa, mov.size, true, written(vp, &mov));
    else
        loaded(vp, &mov, device(vp, gpa, mov.size, false, 0), &c);
    mini_vp_change(vp, &c);
}

/* ---- The loop ---- */

static void handle(struct mini_vp *vp, const struct message *m)
{
    union {
        struct memory_exit memory;
        struct port_exit port;
    } payload;
    memcpy(&payload, m->payload, sizeof(payload));
    switch (m->type) {
    case MESSAGE_UNMAPPED_GPA:
    case MESSAGE_GPA_INTERCEPT: on_memory(vp, &payload.memory); break;
    case MESSAGE_IO_PORT: on_port(vp, &payload.port); break;
    case MESSAGE_APIC_EOI: break;
    default:
        fprintf(stderr, "minivmm: message %x on VP %u\n", m->type, vp->index);
        errno = EPROTO;
        mini_die("a message our guests do not cause");
    }
}

/* A signal comes back as EINTR, and so may a run that never began: then it is just made again. */
void *mini_vp_main(void *arg)
{
    struct mini_vp *vp = arg;
    const struct mini_sys *sys = vp->vm->sys;
    while (!vp->done && !atomic_load(&vp->vm->ended)) {
        struct message m;
        memset(&m, 0xee, sizeof(m));
        if (sys->ioctl(sys->ctx, vp->fd, MSHV_RUN_VP, &m) == 0) {
            mini_trace_message(vp, &m);
            handle(vp, &m);
        } else if (errno != EINTR) {
            mini_die("running a VP");
        }
    }
    mini_trace(vp, "%u left %s\n", vp->index, vp->done ? "because the guest is done" : "by a signal");
    atomic_store(&vp->left, true);
    return NULL;
}
