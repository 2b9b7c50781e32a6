/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the child and its parent share, mapped at a fixed address because the child's entry code must find it without
 * any register.
 */
#ifndef CAISSON_TESTS_X86DIFF_NATIVE_CHANNEL_H
#define CAISSON_TESTS_X86DIFF_NATIVE_CHANNEL_H

#include <stdatomic.h>

#include "tests/x86diff/native.h"

#define CHANNEL_ADDRESS 0x5a5512340000 /* also written in the entry code */

struct native_channel {
    /* Offsets known to the entry code in native_child.c. */
    uint64_t host_fs, host_gs; /* 0 */
    uint64_t out_fs, out_gs;   /* 16 */
    uint64_t in_fs, in_gs;     /* 32 */
    uint16_t out_sel[4];       /* 48: DS ES FS GS */
    uint16_t in_sel[4];        /* 56 */

    _Atomic uint32_t turn; /* futex: who works */
    uint32_t count;        /* cases in this batch */
    _Atomic uint32_t next; /* case being run */
    bool have_ldt, ldt_avl;
    bool running;   /* the child is inside case `next` */
    uint8_t *store; /* writable view of the child's memory */
    const struct templates *templates;
    struct case_in in[NATIVE_BATCH];
    struct case_out out[NATIVE_BATCH];
};

enum { TURN_PARENT, TURN_CHILD };

/* The child's life; never returns. ch: at CHANNEL_ADDRESS. */
_Noreturn void native_child(struct native_channel *ch, const struct templates *t, uint8_t *altstack,
                            size_t altstack_bytes);

/* Let no system call through but those of signal handling, futex and exit; others raise SIGSYS. 0 or -errno. */
int native_confine(void);

#endif
