/* SPDX-License-Identifier: Apache-2.0 */
/* The search and the library's own program decide alike, for every call and architecture. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/seccomp_filter.h"
#include "guest-init/container/seccomp_tree.h"

#define NAMES_MAX 1200
#define RULES_MAX 8

static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* ---- A kernel for filters ---------------------------------------------------------------------------------------- */

struct program {
    struct sock_filter *code;
    size_t length;
};

static struct program read_program(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    struct program p = {malloc((size_t)st.st_size), ((size_t)st.st_size - 8) / sizeof(struct sock_filter)};
    assert_non_null(p.code);
    assert_int_equal(pread(fd, p.code, (size_t)st.st_size - 8, 8), st.st_size - 8);
    close(fd);
    return p;
}

static bool holds(const struct sock_filter *i, uint32_t a)
{
    switch (BPF_OP(i->code)) {
    case BPF_JEQ: return a == i->k;
    case BPF_JGT: return a > i->k;
    case BPF_JGE: return a >= i->k;
    default: assert_int_equal(BPF_OP(i->code), BPF_JSET); return (a & i->k) != 0;
    }
}

static uint32_t decide(const struct program *p, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t at = 0;; at++) {
        assert_in_range(at, 0, p->length - 1);
        const struct sock_filter *i = &p->code[at];
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            assert_int_equal(i->code, BPF_LD | BPF_W | BPF_ABS);
            assert_in_range(i->k, 0, sizeof *data - 4);
            memcpy(&a, (const char *)data + i->k, sizeof a);
            break;
        case BPF_ALU:
            assert_int_equal(i->code, BPF_ALU | BPF_AND | BPF_K);
            a &= i->k;
            break;
        case BPF_JMP: at += i->code == (BPF_JMP | BPF_JA) ? i->k : holds(i, a) ? i->jt : i->jf; break;
        default: assert_int_equal(i->code, BPF_RET | BPF_K); return i->k;
        }
    }
}

/* ---- Profiles ---------------------------------------------------------------------------------------------------- */

struct profile {
    grpc_LinuxSeccomp s;
    grpc_LinuxSyscall rules[RULES_MAX];
    grpc_LinuxSeccompArg conditions[RULES_MAX][2];
    char *names[RULES_MAX][NAMES_MAX];
    char *architectures[3];
};

static grpc_LinuxSyscall *add_rule(struct profile *p, const char *action)
{
    size_t i = p->s.Syscalls_count++;
    assert_in_range(i, 0, RULES_MAX - 1);
    grpc_LinuxSyscall *r = &p->rules[i];
    *r = (grpc_LinuxSyscall){.Action = literal(action), .Names = p->names[i], .Args = p->conditions[i]};
    return r;
}

static void add_name(grpc_LinuxSyscall *r, const char *name)
{
    assert_in_range(r->Names_count, 0, NAMES_MAX - 1);
    r->Names[r->Names_count++] = strdup(name);
}

static void add_condition(grpc_LinuxSyscall *r, unsigned index, uint64_t value, uint64_t two, const char *operator)
{
    r->Args[r->Args_count++] = (grpc_LinuxSeccompArg){index, value, two, literal(operator)};
}

/* Every step-th call that x86 in any form has. */
static void add_many(grpc_LinuxSyscall *r, int from, int step)
{
    static const uint32_t forms[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
    for (size_t f = 0; f < 2; f++)
        for (int n = from; n < 470; n += step) {
            char *name = seccomp_syscall_resolve_num_arch(forms[f], n);
            if (name != NULL && r->Names_count < NAMES_MAX)
                add_name(r, name);
            free(name);
        }
}

static struct profile *new_profile(const char *standard, size_t architectures)
{
    struct profile *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->architectures[0] = literal("SCMP_ARCH_X86_64");
    p->architectures[1] = literal("SCMP_ARCH_X86");
    p->architectures[2] = literal("SCMP_ARCH_X32");
    p->s = (grpc_LinuxSeccomp){.DefaultAction = literal(standard), .Syscalls = p->rules};
    p->s.Architectures = p->architectures;
    p->s.Architectures_count = (pb_size_t)architectures;
    return p;
}

static void free_profile(struct profile *p)
{
    for (size_t i = 0; i < p->s.Syscalls_count; i++)
        for (size_t k = 0; k < p->rules[i].Names_count; k++)
            free(p->rules[i].Names[k]);
    free(p);
}

/* ---- Comparison -------------------------------------------------------------------------------------------------- */

static void compare(const struct program *a, const struct program *b, uint32_t arch, uint32_t nr)
{
    static const uint64_t values[][2] = {{0, 0}, {1, 1}, {8, 7}, {UINT64_C(1) << 32 | 8, 16}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const uint64_t x = values[i][0], y = values[i][1];
        const struct seccomp_data data = {.nr = (int)nr, .arch = arch, .args = {x, y, x, y, x, y}};
        uint32_t ours = decide(a, &data), theirs = decide(b, &data);
        if (ours != theirs)
            fail_msg("architecture %x, call %u, arguments %zu: %x, not %x", arch, nr, i, ours, theirs);
    }
}

/* Both programs, about everything; returns how long the library's is, in halves of ours. */
static void judge(struct profile *p)
{
    static const uint32_t kernels[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0};
    static const uint32_t bases[] = {0, 0x40000000, 0x7ffffc00, 0x80000000, 0xfffffc00};
    struct err err = {0};
    int ours = seccomp_filter_compile(&p->s, &err), theirs = seccomp_filter_compile_plain(&p->s, &err);
    if (ours < 0 || theirs < 0)
        fail_msg("%s", err.text);
    struct program a = read_program(ours), b = read_program(theirs);
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++)
        for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
            for (uint32_t n = 0; n < 1024; n++)
                compare(&a, &b, kernels[k], bases[i] + n);
    free(a.code);
    free(b.code);
    free_profile(p);
}

static void a_list_of_the_allowed_is_the_same_with_any_architectures(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 3; n++) {
        struct profile *p = new_profile("SCMP_ACT_ERRNO", n);
        add_many(add_rule(p, "SCMP_ACT_ALLOW"), 0, 1);
        judge(p);
    }
}

static void gaps_and_different_actions_are_kept(void **state)
{
    static const int steps[] = {2, 3, 7};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct profile *p = new_profile("SCMP_ACT_KILL_PROCESS", 3);
        add_many(add_rule(p, "SCMP_ACT_ALLOW"), 0, steps[i]);
        add_many(add_rule(p, "SCMP_ACT_ERRNO"), 1, 2 * steps[i]);
        add_many(add_rule(p, "SCMP_ACT_LOG"), 4, 5);
        judge(p);
    }
}

static void a_list_of_the_forbidden_is_the_same(void **state)
{
    struct profile *p = new_profile("SCMP_ACT_ALLOW", 3);
    grpc_LinuxSyscall *r = add_rule(p, "SCMP_ACT_ERRNO");
    (void)state;
    r->which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag;
    r->ErrnoRet.errnoret = ENOSYS;
    add_name(r, "mount");
    add_name(r, "no_such_call");
    add_name(r, "keyctl");
    add_name(add_rule(p, "SCMP_ACT_TRAP"), "ptrace");
    judge(p);
}

static void calls_with_conditions_are_the_librarys(void **state)
{
    struct profile *p = new_profile("SCMP_ACT_ERRNO", 3);
    (void)state;
    add_many(add_rule(p, "SCMP_ACT_ALLOW"), 0, 2);
    grpc_LinuxSyscall *r = add_rule(p, "SCMP_ACT_ALLOW");
    add_name(r, "personality");
    add_name(r, "clone");
    add_condition(r, 0, 8, 0, "SCMP_CMP_EQ");
    r = add_rule(p, "SCMP_ACT_KILL_PROCESS");
    add_name(r, "personality");
    add_name(r, "ioctl");
    add_condition(r, 1, 0xf, 0x7, "SCMP_CMP_MASKED_EQ");
    r = add_rule(p, "SCMP_ACT_LOG");
    add_name(r, "write");
    add_condition(r, 0, 1, 0, "SCMP_CMP_GT");
    add_condition(r, 0, 8, 0, "SCMP_CMP_LE");
    /* Said without conditions, too, before and after. */
    add_name(add_rule(p, "SCMP_ACT_ALLOW"), "ioctl");
    judge(p);
}

static void calls_behind_others_are_the_librarys(void **state)
{
    static const char *const names[] = {"socket", "connect", "accept4",  "semop",
                                        "shmat",  "msgget",  "recvmmsg", "getpid"};
    struct profile *p = new_profile("SCMP_ACT_ERRNO", 3);
    grpc_LinuxSyscall *r = add_rule(p, "SCMP_ACT_ALLOW");
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_name(r, names[i]);
    r = add_rule(p, "SCMP_ACT_LOG");
    add_name(r, "socket");
    add_name(r, "socketcall");
    add_condition(r, 0, 16, 0, "SCMP_CMP_EQ");
    judge(p);
}

static void two_opinions_are_decided_as_before(void **state)
{
    struct profile *p = new_profile("SCMP_ACT_ERRNO", 3);
    (void)state;
    add_many(add_rule(p, "SCMP_ACT_ALLOW"), 0, 2);
    add_many(add_rule(p, "SCMP_ACT_LOG"), 0, 3);
    add_many(add_rule(p, "SCMP_ACT_KILL_PROCESS"), 0, 4);
    add_name(add_rule(p, "SCMP_ACT_ERRNO"), "read");
    judge(p);
}

static void most_of_a_profile_is_decided_by_the_search(void **state)
{
    struct seccomp_tree t = {.count = 0};
    char *names[300];
    int decided = 0;
    (void)state;
    assert_int_equal(seccomp_tree_add_architecture(&t, SCMP_ARCH_X86_64), 0);
    assert_int_equal(seccomp_tree_add_architecture(&t, SCMP_ARCH_X86), 0);
    for (int n = 0; n < 300; n++) {
        names[n] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, n);
        struct seccomp_saying s = {n, names[n], SCMP_ACT_ALLOW, n == 16};
        assert_int_equal(names[n] != NULL ? seccomp_tree_say(&t, &s) : 0, 0);
    }
    assert_int_equal(seccomp_tree_make(&t), 0);
    for (int n = 0; n < 300; n++)
        decided += seccomp_tree_has(&t, n);
    assert_in_range(decided, 250, 299);
    assert_false(seccomp_tree_has(&t, 16) || seccomp_tree_has(&t, 41) || seccomp_tree_has(&t, -1));
    for (size_t i = 0; i < t.count; i++)
        assert_true(seccomp_tree_has(&t, t.sayings[i].number));
    seccomp_tree_release(&t);
    for (int n = 0; n < 300; n++)
        free(names[n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_the_allowed_is_the_same_with_any_architectures),
        cmocka_unit_test(gaps_and_different_actions_are_kept),
        cmocka_unit_test(a_list_of_the_forbidden_is_the_same),
        cmocka_unit_test(calls_with_conditions_are_the_librarys),
        cmocka_unit_test(calls_behind_others_are_the_librarys),
        cmocka_unit_test(two_opinions_are_decided_as_before),
        cmocka_unit_test(most_of_a_profile_is_decided_by_the_search),
    };
    return cmocka_run_group_tests_name("container/seccomp_tree", tests, NULL, NULL);
}
