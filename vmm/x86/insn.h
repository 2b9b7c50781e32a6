/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One decoded x86 instruction and the decoder that makes it.
 *
 * The decoder is a pure function from bytes to struct x86_insn. It never touches guest memory or processor state, so
 * the MMIO emulator, the software processor, the tests and the fuzzers share it. Encodings that mean the same to the
 * executor are folded: an opcode that carries its register in the low bits, an accumulator form or a moffs form comes
 * out as the ModRM form would, so the executor sees few operand forms.
 *
 * The structure is also what the executor caches (one per instruction of a block), hence its size matters.
 */
#ifndef CAISSON_VMM_X86_INSN_H
#define CAISSON_VMM_X86_INSN_H

#include <stddef.h>
#include <stdint.h>

struct x86_cpu;
struct x86_insn;

/* What the executor does for one instruction; see core.h for the result codes. */
typedef int x86_handler(struct x86_cpu *c, const struct x86_insn *in);

/* Instruction families: which file of the executor binds an operation to its handler. */
enum x86_family {
    X86_FAM_BAD,
    X86_FAM_ALU,  /* exec_alu.c: moves, arithmetic, logic, compares */
    X86_FAM_INT,  /* exec_int.c and friends: shifts, multiply, divide, bits, BCD, BMI, atomics */
    X86_FAM_STR,  /* exec_string.c: string operations, string port input and output */
    X86_FAM_FLOW, /* exec_flow.c: near branches, calls, loops, stack */
    X86_FAM_SYS,  /* exec_sys.c and friends: segments, far transfers, control registers, MSRs, ports, time */
    X86_FAM_X87,  /* exec_x87.c */
    X86_FAM_VEC,  /* exec_vec_*.c: MMX and SSE */
    X86_FAM_XSAVE /* exec_xsave.c: FXSAVE and XSAVE families */
};

enum x86_op {
#define X86_OP(id, family, feature) X86_OP_##id,
#include "vmm/x86/ops.def"
#undef X86_OP
    X86_OP_COUNT
};

/* Operand form. "rm" is a register when X86_IF_MEM is clear, else the memory operand. */
enum x86_form {
    X86_FORM_NONE,   /* no explicit operand */
    X86_FORM_RM,     /* rm */
    X86_FORM_RM_R,   /* rm, reg */
    X86_FORM_R_RM,   /* reg, rm */
    X86_FORM_RM_I,   /* rm, imm */
    X86_FORM_RM_CL,  /* rm, CL */
    X86_FORM_R_RM_I, /* reg, rm, imm */
    X86_FORM_RM_R_I, /* rm, reg, imm */
    X86_FORM_RM_R_C, /* rm, reg, CL */
    X86_FORM_R_V_RM, /* reg, vreg, rm (VEX) */
    X86_FORM_R_RM_V, /* reg, rm, vreg (VEX) */
    X86_FORM_V_RM,   /* vreg, rm (VEX) */
    X86_FORM_I,      /* imm */
    X86_FORM_I_I,    /* imm, imm2 (ENTER; EXTRQ/INSERTQ place) */
    X86_FORM_REL,    /* branch displacement in imm, relative to the next instruction */
    X86_FORM_FAR,    /* pointer: offset in imm, selector in imm2 */
    X86_FORM_RM_S,   /* rm, segment register number in reg */
    X86_FORM_S_RM,   /* segment register number in reg, rm */
    X86_FORM_R_C,    /* GPR in rm, control or debug register number in reg: read */
    X86_FORM_C_R,    /* the same: write */
    X86_FORM_A_I,    /* accumulator, imm (IN) */
    X86_FORM_A_DX,   /* accumulator, DX (IN) */
    X86_FORM_I_A,    /* imm, accumulator (OUT) */
    X86_FORM_DX_A,   /* DX, accumulator (OUT) */
    X86_FORM_STI,    /* x87: ST(i), i in rm */
    X86_FORM_ST0_STI,
    X86_FORM_STI_ST0,
    X86_FORM_COUNT
};

/* Segment registers, in the order of their encoding; LDTR and TR share the structures. */
enum x86_segno { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDTR, X86_TR, X86_SEG_COUNT };

enum { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI };

/* Slots behind the sixteen general registers in struct x86_cpu's array: always zero, and the block's RIP. */
#define X86_SLOT_ZERO 16
#define X86_SLOT_RIP  17

/* Flags of struct x86_insn. */
#define X86_IF_MEM    0x0001u /* rm is memory: base, index, scale, disp, seg, msize are valid */
#define X86_IF_LOCK   0x0002u /* LOCK given, and allowed here */
#define X86_IF_REP    0x0004u /* F3 given and not a mandatory prefix */
#define X86_IF_REPNE  0x0008u /* F2 given and not a mandatory prefix */
#define X86_IF_A16    0x0010u /* address size 16 */
#define X86_IF_A32    0x0020u /* address size 32; neither bit: 64 */
#define X86_IF_M64    0x0040u /* decoded for 64-bit mode */
#define X86_IF_RIPREL 0x0080u /* base is X86_SLOT_RIP; disp is relative to the next instruction */
#define X86_IF_O16    0x0100u /* 66 given (whatever it meant) */
#define X86_IF_REXW   0x0200u /* REX.W or VEX.W */
#define X86_IF_REX    0x0400u /* a REX prefix took effect */
#define X86_IF_SEGOVR 0x0800u /* a segment override took effect */
#define X86_IF_VEX    0x1000u /* VEX encoded */
#define X86_IF_M16    0x2000u /* decoded for a 16-bit code segment; neither M64 nor M16: 32-bit */

struct x86_insn {
    x86_handler *fn; /* set by the executor when it binds; NULL after decoding */
    uint64_t imm;    /* immediate, sign-extended to 64 bits where the instruction does so; zero-extended otherwise */
    int64_t disp;    /* displacement, sign-extended; absolute offset for moffs (then base and index are ZERO) */
    uint16_t op;     /* enum x86_op */
    uint16_t imm2;   /* second immediate: ENTER level, far selector */
    uint16_t flags;  /* X86_IF_* */
    uint16_t end;    /* offset of the next instruction from the block's first; the decoder sets it to len */
    uint8_t len;     /* bytes, 1 to 15 */
    uint8_t form;    /* enum x86_form */
    uint8_t size;    /* operand size in bytes: 1, 2, 4, 8 (integer); 8 MMX, 16 XMM, 10 x87 register */
    uint8_t msize;   /* bytes of the memory operand, 0 when it is not a plain load or store (LEA, FXSAVE, XSAVE, ...) */
    uint8_t reg;     /* ModRM.reg with REX.R or the folded register, as number */
    uint8_t rm;      /* ModRM.rm with REX.B when a register, or the folded register, as number */
    uint8_t vreg;    /* VEX.vvvv */
    uint8_t base;    /* 0..15, X86_SLOT_ZERO, X86_SLOT_RIP */
    uint8_t index;   /* 0..15, X86_SLOT_ZERO */
    uint8_t scale;   /* 0..3, shift count */
    uint8_t seg;     /* segment of the memory operand after defaults and overrides (string operations: of the source) */
    uint8_t modrm;   /* raw ModRM byte, or 0 */
    uint8_t opcode;  /* last opcode byte */
    uint8_t map;     /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    uint8_t reg8;    /* byte offset of register `reg` in the register file, for size-1 operands (AH..DH: n*8+1) */
    uint8_t rm8;     /* the same for `rm` */
};

_Static_assert(sizeof(struct x86_insn) == 48, "cached once per guest instruction: keep it at 48 bytes");

#define X86_INSN_MAX 15

/* Decoder mode word. */
#define X86_DEC_16   0u
#define X86_DEC_32   1u
#define X86_DEC_64   2u
#define X86_DEC_BITS 3u
#define X86_DEC_AMD  4u /* AMD's reading where the vendors differ: operand size of near branches in 64-bit mode */

enum x86_dec_result {
    X86_DEC_OK,
    X86_DEC_SHORT, /* the bytes end inside the instruction */
    X86_DEC_LONG,  /* longer than 15 bytes: #GP(0) */
    X86_DEC_UD     /* no such instruction, or LOCK where it is not allowed: #UD */
};

/*
 * Decode one instruction.
 * p: bytes, n: how many are there (0 to any; at most 15 are looked at). mode: X86_DEC_*. out: written wholly on every
 * result; on OK all fields are valid and fn is NULL; on UD and LONG op is X86_OP_UD and len says how many bytes were
 * looked at. Pure; any thread. Source: Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3, appendix A.
 */
enum x86_dec_result x86_decode(const uint8_t *p, size_t n, unsigned mode, struct x86_insn *out);

/* Name of an operation ("ADD"), for messages and test reports. op: below X86_OP_COUNT, else "?". Static string. */
const char *x86_op_name(unsigned op);

/* Family and feature (enum x86_feature) of an operation. */
enum x86_family x86_op_family(unsigned op);
unsigned x86_op_feature(unsigned op);

#endif
