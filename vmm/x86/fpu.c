/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Helpers of the x87 and state-saving instructions. See fpu.h.
 */
#include "vmm/x86/fpu.h"

#define AREA_STEP 64u /* most that x86_load_bytes and x86_store_bytes take */

void x86_fpu_init_x87(struct x86_fpu *f)
{
    f->fcw = X86_FCW_INIT;
    f->fsw = 0;
    f->ftw = 0;
    f->fop = 0;
    f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
}

int x86_fpu_load_area(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, void *buf, unsigned len)
{
    for (unsigned done = 0; done < len; done += AREA_STEP) {
        unsigned n = len - done < AREA_STEP ? len - done : AREA_STEP;
        int r = x86_load_bytes(c, in, off + done, (uint8_t *)buf + done, n, 0);
        if (x86_failed(r))
            return r;
    }
    return X86_NEXT;
}

int x86_fpu_store_area(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, const void *buf, unsigned len)
{
    int step = X86_NEXT;
    for (unsigned done = 0; done < len; done += AREA_STEP) {
        unsigned n = len - done < AREA_STEP ? len - done : AREA_STEP;
        int r = x86_store_bytes(c, in, off + done, (const uint8_t *)buf + done, n, 0);
        if (x86_failed(r))
            return r;
        if (r != X86_NEXT)
            step = r;
    }
    return step;
}

int x86_fpu_touch(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, bool write)
{
    uint8_t byte;
    return write ? x86_probe_write(c, in, off, 1) : x86_load_bytes(c, in, off, &byte, 1, 0);
}

int x86_fpu_touch_ends(struct x86_cpu *c, const struct x86_insn *in, unsigned len, bool write)
{
    int r = x86_fpu_touch(c, in, 0, write);
    if (x86_failed(r))
        return r;
    return x86_fpu_touch(c, in, len - 1, write);
}
