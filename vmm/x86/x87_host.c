/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One x87 instruction on the host's x87. See x87.h.
 */
#include "vmm/x86/x87.h"

/*
 * A stub of 16 bytes for each pair of opcode bytes, D8 to DF with a register ModRM (8 x 64), then D8 to DF with the
 * memory operand (RSI) (8 x 8). A stub is a function of (image in RDI, mem in RSI, flags in DH):
 *     mov %edx,%eax; sahf; frstor (%rdi); <opcode> <modrm>; fnsave (%rdi); lahf; ret
 * Stubs for control instructions and holes of the opcode map exist, for a uniform index, and are never called: see
 * x86_bind_x87().
 */
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".hidden x87_stubs\n"
        ".globl x87_stubs\n"
        ".type x87_stubs, @function\n"
        "x87_stubs:\n"
        ".set x87_stub_opcode, 0xd8\n"
        ".rept 8\n"
        ".set x87_stub_modrm, 0xc0\n"
        ".rept 64\n"
        ".byte 0x89, 0xd0, 0x9e, 0xdd, 0x27, x87_stub_opcode, x87_stub_modrm, 0xdd, 0x37, 0x9f, 0xc3\n"
        ".balign 16, 0xcc\n"
        ".set x87_stub_modrm, x87_stub_modrm + 1\n"
        ".endr\n"
        ".set x87_stub_opcode, x87_stub_opcode + 1\n"
        ".endr\n"
        ".set x87_stub_opcode, 0xd8\n"
        ".rept 8\n"
        ".set x87_stub_modrm, 0x06\n"
        ".rept 8\n"
        ".byte 0x89, 0xd0, 0x9e, 0xdd, 0x27, x87_stub_opcode, x87_stub_modrm, 0xdd, 0x37, 0x9f, 0xc3\n"
        ".balign 16, 0xcc\n"
        ".set x87_stub_modrm, x87_stub_modrm + 8\n"
        ".endr\n"
        ".set x87_stub_opcode, x87_stub_opcode + 1\n"
        ".endr\n"
        ".size x87_stubs, . - x87_stubs\n"
        ".popsection\n");

typedef uint32_t x87_stub(struct x87_image *im, uint8_t *mem, uint32_t flags);

extern x87_stub x87_stubs;

#define X87_STUB_BYTES  16u
#define X87_STUB_MEMORY 512u /* index of the first with a memory operand */

uint32_t x87_image_run(struct x87_image *im, unsigned opcode, unsigned modrm, uint8_t mem[16], uint32_t flags)
{
    unsigned row = opcode & 7;
    unsigned n = modrm >= 0xc0 ? row * 64 + (modrm & 63) : X87_STUB_MEMORY + row * 8 + (modrm >> 3 & 7);
    x87_stub *stub = (x87_stub *)((uintptr_t)&x87_stubs + n * X87_STUB_BYTES);
    uint32_t out = stub(im, mem, flags << 8) >> 8;
    return out & (X86_FL_SF | X86_FL_ZF | X86_FL_AF | X86_FL_PF | X86_FL_CF);
}

uint16_t x87_tags_expand(uint8_t ftw)
{
    unsigned x = (uint8_t)~ftw;
    x = (x | x << 4) & 0x0f0f;
    x = (x | x << 2) & 0x3333;
    x = (x | x << 1) & 0x5555;
    return (uint16_t)(x * 3);
}

uint8_t x87_tags_abridge(uint16_t tags)
{
    unsigned x = ~(unsigned)(tags & tags >> 1) & 0x5555;
    x = (x | x >> 1) & 0x3333;
    x = (x | x >> 2) & 0x0f0f;
    return (uint8_t)(x | x >> 4);
}

void x87_image_load(const struct x86_fpu *f, struct x87_image *im)
{
    unsigned top = x86_fpu_top(f);
    im->fcw = f->fcw;
    im->fsw = f->fsw & (X86_FSW_TOP | X86_FSW_C0 | X86_FSW_C1 | X86_FSW_C2 | X86_FSW_C3);
    im->ftw = x87_tags_expand(f->ftw);
    im->fip = im->fcs_fop = im->fdp = im->fds = 0;
    for (unsigned i = 0; i < 8; i++)
        memcpy(im->st[i], f->st[(top + i) & 7], 10);
}

void x87_image_commit(struct x86_fpu *f, const struct x87_image *im)
{
    unsigned fsw = (im->fsw & 0xffff) | (f->fsw & (X86_FSW_EXC | X86_FSW_SF));
    f->fsw = x86_fpu_summary((uint16_t)fsw, f->fcw);
    f->ftw = x87_tags_abridge((uint16_t)im->ftw);
    unsigned top = x86_fpu_top(f);
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[(top + i) & 7], im->st[i], 10);
}
