/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "vmm/x86/descriptor.h"

bool x86_desc_find(const struct x86_cpu *c, uint16_t sel, unsigned bytes, uint64_t *lin)
{
    uint32_t off = sel & 0xfff8u;
    uint64_t base = c->gdtr.base;
    uint32_t limit = c->gdtr.limit;
    if (sel & 4) {
        const struct x86_seg *ldt = &c->seg[X86_LDTR];
        if (ldt->attr & X86_SEG_UNUSABLE)
            return false;
        base = ldt->base;
        limit = ldt->limit;
    }
    if (off + bytes - 1 > limit)
        return false;
    *lin = x86_table_lin(c, base, off);
    return true;
}

int x86_desc_fetch(struct x86_cpu *c, uint16_t sel, unsigned vector, uint32_t ext, struct x86_desc *d)
{
    d->sel = sel;
    d->raw = 0;
    if (!x86_desc_find(c, sel, 8, &d->lin))
        return x86_raise_sel(c, vector, sel, ext);
    return x86_sys_read(c, d->lin, &d->raw, 8);
}

int x86_desc_fetch_high(struct x86_cpu *c, const struct x86_desc *d, uint64_t *high)
{
    uint64_t lin, v = 0;
    if (!x86_desc_find(c, d->sel, 16, &lin))
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    int r = x86_sys_read(c, lin + 8, &v, 8);
    if (x86_failed(r))
        return r;
    if ((v >> 40 & 0x1f) != 0)
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    *high = v << 32;
    return X86_NEXT;
}

/* Only the byte with the type is written: a write of all eight could undo what another processor changes meanwhile. */
static int set_type_bits(struct x86_cpu *c, struct x86_desc *d, unsigned bits)
{
    uint64_t raw = d->raw | (uint64_t)bits << 40;
    if (raw == d->raw)
        return X86_NEXT;
    uint8_t byte = (uint8_t)(raw >> 40);
    d->raw = raw;
    return x86_sys_write(c, d->lin + 5, &byte, 1);
}

int x86_desc_mark(struct x86_cpu *c, struct x86_desc *d)
{
    return set_type_bits(c, d, X86_SEG_ACCESSED);
}

int x86_desc_mark_busy(struct x86_cpu *c, struct x86_desc *d)
{
    return set_type_bits(c, d, 2);
}

uint32_t x86_desc_limit(const struct x86_desc *d)
{
    uint32_t limit = (uint32_t)(d->raw & 0xffff) | ((uint32_t)(d->raw >> 32) & 0xf0000);
    return x86_desc_attr(d) & X86_SEG_G ? limit << 12 | 0xfff : limit;
}

struct x86_seg x86_desc_expand(const struct x86_desc *d, uint16_t sel)
{
    uint64_t base = (d->raw >> 16 & 0xffffff) | (d->raw >> 32 & 0xff000000);
    return (struct x86_seg){.base = base, .limit = x86_desc_limit(d), .attr = x86_desc_attr(d), .sel = sel};
}

struct x86_seg x86_seg_null(uint16_t sel, unsigned dpl)
{
    return (struct x86_seg){.attr = X86_SEG_UNUSABLE | dpl << X86_SEG_DPL_SHIFT, .sel = sel};
}
