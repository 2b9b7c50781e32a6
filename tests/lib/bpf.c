/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/bpf.h"

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
    uint32_t word;
    assert_true(at % 4 == 0 && at <= sizeof *data - sizeof word);
    memcpy(&word, (const uint8_t *)data + at, sizeof word);
    return word;
}

static bool compare(const struct sock_filter *i, uint32_t a)
{
    switch (BPF_OP(i->code)) {
    case BPF_JEQ: return a == i->k;
    case BPF_JGT: return a > i->k;
    case BPF_JGE: return a >= i->k;
    case BPF_JSET: return (a & i->k) != 0;
    default: fail_msg("comparison %#x", i->code); return false;
    }
}

/* How many instructions to leave out. */
static uint32_t jump(const struct sock_filter *i, uint32_t a)
{
    if (BPF_OP(i->code) == BPF_JA)
        return i->k;
    return compare(i, a) ? i->jt : i->jf;
}

uint32_t bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *i = &code[at];
        switch (BPF_CLASS(i->code)) {
        case BPF_LD: a = load(data, i->k); break;
        case BPF_ALU:
            assert_int_equal(BPF_OP(i->code), BPF_AND);
            a &= i->k;
            break;
        case BPF_JMP: at += jump(i, a); break;
        case BPF_RET: return i->k;
        default: fail_msg("instruction %#x", i->code);
        }
    }
    fail_msg("the filter has no end");
    return 0;
}
