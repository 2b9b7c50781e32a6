/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ports. Source: Intel SDM volume 1, chapter 19 (permission), volume 2, IN and OUT; volume 3, 17.2.4 (I/O breakpoints).
 */
#include "vmm/x86/sys.h"

/*
 * The bitmap in a 32- or 64-bit TSS; two bytes are read because an access can straddle, and both must lie within the
 * limit.
 */
static int check_bitmap(struct x86_cpu *c, uint16_t port, unsigned size)
{
    const struct x86_seg *tr = &c->seg[X86_TR];
    uint8_t b[2] = {0};
    unsigned type = tr->attr & X86_SEG_TYPE;
    if ((type != X86_DT_TSS && type != X86_DT_TSS_BUSY) || tr->limit < 103)
        return x86_gp0(c);
    int r = x86_sys_read(c, x86_table_lin(c, tr->base, 102), b, 2);
    if (x86_failed(r))
        return r;
    uint32_t at = ((uint32_t)b[0] | (uint32_t)b[1] << 8) + port / 8u;
    if (at + 1 > tr->limit)
        return x86_gp0(c);
    r = x86_sys_read(c, x86_table_lin(c, tr->base, at), b, 2);
    if (x86_failed(r))
        return r;
    unsigned bits = ((unsigned)b[0] | (unsigned)b[1] << 8) >> (port & 7);
    return (bits & ((1u << size) - 1)) != 0 ? x86_gp0(c) : X86_NEXT;
}

/* DR7 length field to bytes: 1, 2, 8, 4. */
static unsigned watch_length(uint64_t dr7, unsigned i)
{
    static const uint8_t len[4] = {1, 2, 8, 4};
    return len[dr7 >> (18 + 4 * i) & 3];
}

/* I/O breakpoints exist under CR4.DE, with R/W = 10. */
static void note_breakpoints(struct x86_cpu *c, uint16_t port, unsigned size)
{
    if (!c->watch_on || !(c->cr4 & X86_CR4_DE))
        return;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t len = watch_length(c->dr7, i), first = c->dr[i] & ~(len - 1);
        bool armed = (c->dr7 >> (2 * i) & 3) != 0 && (c->dr7 >> (16 + 4 * i) & 3) == 2;
        if (armed && port < first + len && first < (uint64_t)port + size)
            c->db_pending |= 1u << i;
    }
}

int x86_io_check(struct x86_cpu *c, uint16_t port, unsigned size)
{
    if (x86_protected(c) && c->cpl > (c->eflags & X86_FL_IOPL) >> 12) {
        int r = check_bitmap(c, port, size);
        if (x86_failed(r))
            return r;
    }
    note_breakpoints(c, port, size);
    return X86_NEXT;
}

static uint16_t port_of(const struct x86_cpu *c, const struct x86_insn *in)
{
    bool dx = in->form == X86_FORM_A_DX || in->form == X86_FORM_DX_A;
    return (uint16_t)(dx ? c->r[X86_RDX] : in->imm & 0xff);
}

static int do_in(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t port = port_of(c, in);
    uint32_t v = ~0u;
    int r = x86_io_check(c, port, in->size);
    if (x86_failed(r))
        return r;
    if (c->ops->port_in != NULL)
        r = x86_from_cb(c, c->ops->port_in(c->opaque, port, in->size, &v), X86_GP);
    if (x86_failed(r))
        return r;
    if (in->size == 1)
        x86_set8(c, 0, (uint8_t)v);
    else
        x86_set_n(c, X86_RAX, in->size, v);
    return X86_NEXT;
}

static int do_out(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t port = port_of(c, in);
    uint32_t v = in->size == 1 ? (uint8_t)c->r[X86_RAX] : (uint32_t)x86_get_n(c, X86_RAX, in->size);
    int r = x86_io_check(c, port, in->size);
    if (x86_failed(r))
        return r;
    if (c->ops->port_out != NULL)
        r = x86_from_cb(c, c->ops->port_out(c->opaque, port, in->size, v), X86_GP);
    return x86_failed(r) ? r : X86_LEAVE; /* a device may have raised an interrupt */
}

x86_handler *x86_bind_io(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_IN: return do_in;
    case X86_OP_OUT: return do_out;
    default: return NULL;
    }
}
