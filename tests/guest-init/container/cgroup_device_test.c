/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules: the program is run by an interpreter of the few instructions that it consists of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/cgroup_device.h"

/* The program that is judged; a case at a time. */
struct judged {
    struct bpf_insn at[CGROUP_DEVICE_INSTRUCTIONS];
};

static int judge(const struct judged *j, int length, uint32_t type, uint32_t rights, uint32_t major, uint32_t minor)
{
    const uint32_t question[3] = {rights << 16 | type, major, minor};
    uint64_t r[6] = {0};
    for (int at = 0; at >= 0 && at < length; at++) {
        const struct bpf_insn *i = &j->at[at];
        uint64_t *d = &r[i->dst_reg];
        switch (i->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            assert_true(i->src_reg == 1 && i->off >= 0 && i->off <= 8 && i->off % 4 == 0);
            *d = question[i->off / 4];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X: *d = r[i->src_reg]; break;
        case BPF_ALU64 | BPF_MOV | BPF_K: *d = (uint64_t)i->imm; break;
        case BPF_ALU64 | BPF_RSH | BPF_K: *d >>= i->imm; break;
        case BPF_ALU64 | BPF_AND | BPF_K: *d &= (uint64_t)i->imm; break;
        case BPF_JMP | BPF_JNE | BPF_K: at += *d != (uint64_t)i->imm ? i->off : 0; break;
        case BPF_JMP | BPF_JSET | BPF_K: at += (*d & (uint64_t)i->imm) != 0 ? i->off : 0; break;
        case BPF_JMP | BPF_JA: at += i->off; break;
        case BPF_JMP | BPF_EXIT: return (int)r[0];
        default: fail_msg("instruction %d has code %#x", at, i->code);
        }
    }
    fail_msg("the program does not end");
    return -1;
}

enum { M = BPF_DEVCG_ACC_MKNOD, R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE };
enum { BLOCK = BPF_DEVCG_DEV_BLOCK, CHAR = BPF_DEVCG_DEV_CHAR };

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static grpc_LinuxDeviceCgroup rule(bool allow, const char *type, int64_t major, int64_t minor, const char *access)
{
    return (grpc_LinuxDeviceCgroup){allow, literal(type), major, minor, literal(access)};
}

static int make(struct judged *j, const grpc_LinuxDeviceCgroup *rules, size_t count)
{
    return cgroup_device_program(rules, count, j->at, NULL);
}

static int setup(void **state)
{
    *state = malloc(sizeof(struct judged));
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void without_rules_only_standard_devices_are_open(void **state)
{
    static const uint32_t open[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, 0}, {136, 77}};
    int length = make(*state, NULL, 0);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        assert_int_equal(judge(*state, length, CHAR, R | W | M, open[i][0], open[i][1]), 1);
    assert_int_equal(judge(*state, length, BLOCK, R, 1, 3), 0);
    assert_int_equal(judge(*state, length, CHAR, R, 1, 1), 0);
    assert_int_equal(judge(*state, length, CHAR, M, 1, 1), 1);
    assert_int_equal(judge(*state, length, BLOCK, M, 8, 0), 1);
    assert_int_equal(judge(*state, length, BLOCK, M | R, 8, 0), 0);
}

static void rights_of_several_rules_add_up(void **state)
{
    const grpc_LinuxDeviceCgroup rules[] = {rule(false, "a", -1, -1, "rwm"), rule(true, "b", 8, 0, "r"),
                                            rule(true, "b", 8, -1, "w")};
    int length = make(*state, rules, 3);
    assert_int_equal(judge(*state, length, BLOCK, R | W, 8, 0), 1);
    assert_int_equal(judge(*state, length, BLOCK, R | W, 8, 1), 0);
    assert_int_equal(judge(*state, length, BLOCK, W, 8, 1), 1);
    assert_int_equal(judge(*state, length, BLOCK, R, 8, 1), 0);
    assert_int_equal(judge(*state, length, CHAR, W, 8, 1), 0);
}

static void the_last_rule_about_a_right_decides(void **state)
{
    const grpc_LinuxDeviceCgroup rules[] = {rule(true, "c", 10, -1, "rw"), rule(false, "c", 10, 200, "w")};
    int length = make(*state, rules, 2);
    assert_int_equal(judge(*state, length, CHAR, R, 10, 200), 1);
    assert_int_equal(judge(*state, length, CHAR, W, 10, 200), 0);
    assert_int_equal(judge(*state, length, CHAR, R | W, 10, 200), 0);
    assert_int_equal(judge(*state, length, CHAR, R | W, 10, 201), 1);
}

static void a_rule_about_all_ends_what_came_before(void **state)
{
    const grpc_LinuxDeviceCgroup open[] = {rule(false, "b", 8, 0, "r"), rule(true, "a", -1, -1, "")};
    const grpc_LinuxDeviceCgroup closed[] = {rule(true, "b", 8, 0, "r"), rule(false, "", -1, -1, "rwm")};
    int length = make(*state, open, 2);
    assert_int_equal(judge(*state, length, BLOCK, R | W | M, 8, 0), 1);
    length = make(*state, closed, 2);
    assert_int_equal(judge(*state, length, BLOCK, R, 8, 0), 0);
    assert_int_equal(judge(*state, length, CHAR, R, 1, 3), 1);
}

static void rules_that_say_nothing_are_refused(void **state)
{
    const grpc_LinuxDeviceCgroup wrong[] = {rule(true, "x", 1, 1, "r"), rule(true, "c", 1, 1, ""),
                                            rule(true, "c", 1, 1, "rx"), rule(true, "c", -2, 1, "r"),
                                            rule(true, "c", 1, INT64_C(1) << 32, "r")};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(make(*state, &wrong[i], 1), -EINVAL);
}

static void the_most_rules_fit_and_one_more_is_refused(void **state)
{
    grpc_LinuxDeviceCgroup *rules = calloc(CGROUP_DEVICE_RULES_MAX + 1, sizeof *rules);
    assert_non_null(rules);
    for (int i = 0; i <= CGROUP_DEVICE_RULES_MAX; i++)
        rules[i] = rule(i % 2 == 0, "c", i, i, "rwm");
    int length = make(*state, rules, CGROUP_DEVICE_RULES_MAX);
    assert_in_range(length, 1, CGROUP_DEVICE_INSTRUCTIONS);
    assert_int_equal(judge(*state, length, CHAR, R, 1000, 1000), 1);
    assert_int_equal(judge(*state, length, CHAR, R, 1001, 1001), 0);
    assert_int_equal(make(*state, rules, CGROUP_DEVICE_RULES_MAX + 1), -EINVAL);
    free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_rules_only_standard_devices_are_open, setup, teardown),
        cmocka_unit_test_setup_teardown(rights_of_several_rules_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_rule_about_a_right_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rule_about_all_ends_what_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_that_say_nothing_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_most_rules_fit_and_one_more_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests_name("container/cgroup_device", tests, NULL, NULL);
}
