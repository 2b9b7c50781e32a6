/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/cgroup_device.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/sys.h"

/* What the program keeps where: the answer in r0, the kernel's question in r1. */
enum { ANSWER, QUESTION, TYPE, OPEN, MAJOR, MINOR };

struct program {
    struct bpf_insn *at;
    size_t count;
};

/* A rule, checked. type: 0 for all; major, minor: -1 for all. */
struct rule {
    bool allow;
    int type, rights;
    int64_t major, minor;
};

#define ALL_RIGHTS (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static const struct rule standard[] = {
    {true, BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_MKNOD, -1, -1},
    {true, BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_ACC_MKNOD, -1, -1},
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 1, 3},    /* null */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 1, 5},    /* zero */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 1, 7},    /* full */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 1, 8},    /* random */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 1, 9},    /* urandom */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 5, 0},    /* tty */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 5, 2},    /* ptmx */
    {true, BPF_DEVCG_DEV_CHAR, ALL_RIGHTS, 136, -1}, /* terminals */
};

static void add(struct program *p, uint8_t code, unsigned destination, unsigned source, int16_t offset, int32_t value)
{
    struct bpf_insn *i = &p->at[p->count++];
    *i = (struct bpf_insn){.code = code, .off = offset, .imm = value};
    i->dst_reg = destination & 15;
    i->src_reg = source & 15;
}

static void add_answer(struct program *p, bool allow)
{
    add(p, BPF_ALU64 | BPF_MOV | BPF_K, ANSWER, 0, 0, allow);
    add(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void add_beginning(struct program *p)
{
    add(p, BPF_LDX | BPF_MEM | BPF_W, TYPE, QUESTION, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
    add(p, BPF_LDX | BPF_MEM | BPF_W, MAJOR, QUESTION, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
    add(p, BPF_LDX | BPF_MEM | BPF_W, MINOR, QUESTION, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
    add(p, BPF_ALU64 | BPF_MOV | BPF_X, OPEN, TYPE, 0, 0);
    add(p, BPF_ALU64 | BPF_RSH | BPF_K, OPEN, 0, 0, 16);
    add(p, BPF_ALU64 | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
}

/* Leave this rule if the register is something else; the distance is known at its end. */
static void add_unless_equal(struct program *p, unsigned reg, int64_t value)
{
    add(p, BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, (int32_t)value);
}

static void add_rule(struct program *p, const struct rule *r)
{
    size_t first = p->count;
    if (r->type != 0)
        add_unless_equal(p, TYPE, r->type);
    if (r->major >= 0)
        add_unless_equal(p, MAJOR, r->major);
    if (r->minor >= 0)
        add_unless_equal(p, MINOR, r->minor);
    size_t tests_end = p->count;
    if (r->allow) {
        add(p, BPF_ALU64 | BPF_AND | BPF_K, OPEN, 0, 0, ALL_RIGHTS & ~r->rights);
        add(p, BPF_JMP | BPF_JNE | BPF_K, OPEN, 0, 2, 0);
    } else {
        add(p, BPF_JMP | BPF_JSET | BPF_K, OPEN, 0, 1, r->rights);
        add(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
    }
    add_answer(p, r->allow);
    for (size_t i = first; i < tests_end; i++)
        p->at[i].off = (int16_t)(p->count - i - 1);
}

static int rights_of(const char *access)
{
    int rights = 0;
    for (; access != NULL && *access != '\0'; access++) {
        int right = *access == 'r'   ? BPF_DEVCG_ACC_READ
                    : *access == 'w' ? BPF_DEVCG_ACC_WRITE
                    : *access == 'm' ? BPF_DEVCG_ACC_MKNOD
                                     : 0;
        if (right == 0)
            return -EINVAL;
        rights |= right;
    }
    return rights;
}

static int check(const grpc_LinuxDeviceCgroup *d, struct rule *r, struct err *err)
{
    static const char doing[] = "apply the device rule of type";
    const char *type = d->Type != NULL && *d->Type != '\0' ? d->Type : "a";
    *r = (struct rule){.allow = d->Allow, .major = d->Major, .minor = d->Minor};
    r->rights = rights_of(d->Access);
    if (strcmp(type, "a") == 0) {
        *r = (struct rule){d->Allow, 0, ALL_RIGHTS, -1, -1};
        return 0;
    }
    if (strcmp(type, "c") != 0 && strcmp(type, "b") != 0)
        return fail_invalid(err, doing, type, "the types are a, b and c");
    r->type = *type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
    if (r->rights <= 0)
        return fail_invalid(err, doing, type, "its access has to consist of r, w and m");
    if (r->major < -1 || r->minor < -1 || r->major > INT32_MAX || r->minor > INT32_MAX)
        return fail_invalid(err, doing, type, "its device number is out of range");
    return 0;
}

int cgroup_device_program(const grpc_LinuxDeviceCgroup *rules, size_t count, struct bpf_insn *out, struct err *err)
{
    struct program p = {out, 0};
    struct rule r;
    if (count > CGROUP_DEVICE_RULES_MAX)
        return fail_invalid(err, "apply the device rules", NULL, "there are more than 1024");
    add_beginning(&p);
    for (size_t i = sizeof standard / sizeof standard[0]; i > 0; i--)
        add_rule(&p, &standard[i - 1]);
    for (size_t i = count; i > 0; i--) {
        int result = check(&rules[i - 1], &r, err);
        if (result < 0)
            return result;
        if (r.type == 0) {
            /* What came before does not count any more, and the kernel refuses what cannot be reached. */
            add_answer(&p, r.allow);
            return (int)p.count;
        }
        add_rule(&p, &r);
    }
    add_answer(&p, false);
    return (int)p.count;
}

static int load(const struct bpf_insn *program, size_t count)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uint64_t)(uintptr_t)program;
    attr.insn_cnt = (uint32_t)count;
    attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
    return sys_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
}

static int attach(const struct cgroup *c, int program)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.target_fd = (uint32_t)c->fd;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    if (c->devices >= 0) {
        attr.attach_flags |= BPF_F_REPLACE;
        attr.replace_bpf_fd = (uint32_t)c->devices;
    }
    return sys_bpf(BPF_PROG_ATTACH, &attr, sizeof attr);
}

int cgroup_device_apply(struct cgroup *c, const grpc_LinuxDeviceCgroup *rules, size_t count, struct err *err)
{
    struct bpf_insn *program = malloc(CGROUP_DEVICE_INSTRUCTIONS * sizeof *program);
    if (program == NULL)
        return fail_with(err, -ENOMEM, "apply the device rules", NULL, "give the pod more memory");
    int length = cgroup_device_program(rules, count, program, err);
    int fd = length < 0 ? length : load(program, (size_t)length);
    free(program);
    if (length < 0)
        return length;
    int result = fd < 0 ? fd : attach(c, fd);
    if (result < 0) {
        fail_close(&fd);
        return fail_with(err, result, "apply the device rules", NULL, "use a guest kernel with CONFIG_CGROUP_BPF");
    }
    fail_close(&c->devices);
    c->devices = fd;
    return 0;
}
