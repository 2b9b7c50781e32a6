/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/seccomp_filter.h"

#include <ctype.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/memfd.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/seccomp_tree.h"

/* System calls of the x32 ABI have this bit; they are no newer ones. */
#define X32_BIT 0x40000000

/* Beginning of the memory file. Instructions follow. */
struct head {
    uint32_t flags;
    uint32_t unused;
};

struct action {
    const char *name;
    uint32_t value;
    bool takes_errno;
};

static const struct action actions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
};

static const struct {
    const char *name;
    enum scmp_compare value;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const struct {
    const char *name;
    uint32_t value;
} flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    /* About listeners, of which there is none. */
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- Words ------------------------------------------------------------------------------------------------------- */

/* errno_value: NULL: not given. */
static int parse_action(const char *name, const uint32_t *errno_value, uint32_t *out, struct err *err)
{
    name = name != NULL ? name : "";
    if (strcmp(name, "SCMP_ACT_NOTIFY") == 0) {
        return fail_with(err, -ENOTSUP, "use the seccomp action", name,
                         "choose another one: there is nobody in the guest to be notified");
    }
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) != 0)
            continue;
        if (errno_value != NULL && (!actions[i].takes_errno || *errno_value > 0xffff))
            return fail_invalid(err, "use the seccomp action", name, "the errno that is given does not go with it");
        uint32_t data = errno_value != NULL ? *errno_value : EPERM;
        *out = actions[i].value | (actions[i].takes_errno ? data : 0);
        return 0;
    }
    return fail_invalid(err, "use the seccomp action", name, "there is no such action");
}

static int parse_flags(const grpc_LinuxSeccomp *s, uint32_t *out, struct err *err)
{
    /* What other runtimes do as well if nothing is said. */
    *out = s->Flags_count == 0 ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
    for (pb_size_t i = 0; i < s->Flags_count; i++) {
        size_t k = 0;
        while (k < COUNT(flags) && strcmp(flags[k].name, s->Flags[i]) != 0)
            k++;
        if (k == COUNT(flags))
            return fail_invalid(err, "use the seccomp flag", s->Flags[i], "there is no such flag");
        *out |= flags[k].value;
    }
    return 0;
}

static uint32_t parse_architecture(const char *name)
{
    static const char prefix[] = "SCMP_ARCH_";
    char lower[32];
    size_t i = 0;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    for (name += sizeof prefix - 1; i < sizeof lower - 1 && name[i] != '\0'; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = '\0';
    return seccomp_arch_resolve_name(lower);
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

/* A filter that is being made. */
struct maker {
    scmp_filter_ctx filter;
    uint32_t default_action;
    int newest;  /* highest number of a native system call that is named */
    bool plain;  /* all by the library */
    bool saying; /* rules are collected for the tree; else those that it does not decide go to the library */
    size_t rules;
    struct seccomp_tree tree;
    struct err *err;
};

static int parse_condition(const grpc_LinuxSeccompArg *a, struct scmp_arg_cmp *out, struct err *err)
{
    const char *name = a->Op != NULL ? a->Op : "";
    for (size_t i = 0; i < COUNT(operators); i++) {
        if (strcmp(operators[i].name, name) == 0 && a->Index < 6) {
            *out = (struct scmp_arg_cmp){(unsigned)a->Index, operators[i].value, a->Value, a->ValueTwo};
            return 0;
        }
    }
    return fail_invalid(err, "use the seccomp comparison", name, "there is no such operator, or no such argument");
}

static int add_rule(struct maker *m, uint32_t action, int number, const struct scmp_arg_cmp *conditions, unsigned count)
{
    int result = seccomp_rule_add_array(m->filter, action, number, count, conditions);
    /* The same rule twice, as generated profiles have it. */
    return result == 0 || result == -EEXIST
               ? 0
               : fail_with(m->err, result, "add a rule to the seccomp filter", NULL, "correct the profile");
}

static int say(struct maker *m, const struct seccomp_saying *s, size_t rules)
{
    m->rules += rules;
    if (m->rules > SECCOMP_RULES_MAX)
        return fail_invalid(m->err, "make the seccomp filter", NULL, "it has more than 8192 rules");
    int result = seccomp_tree_say(&m->tree, s);
    return result == 0 ? 0 : fail_with(m->err, result, "make the seccomp filter", NULL, "give the pod more memory");
}

static bool one_condition_each(const struct scmp_arg_cmp *conditions, size_t count)
{
    unsigned seen = 0;
    for (size_t i = 0; i < count; i++) {
        if ((seen >> conditions[i].arg & 1) != 0)
            return false;
        seen |= 1u << conditions[i].arg;
    }
    return true;
}

static int add_call(struct maker *m, const char *name, uint32_t action, const struct scmp_arg_cmp *conditions,
                    size_t count)
{
    int number = seccomp_syscall_resolve_name(name), result = 0;
    if (number == __NR_SCMP_ERROR)
        return 0;
    if (number > m->newest && number < X32_BIT)
        m->newest = number;
    if (action == m->default_action)
        return 0;
    if (m->saying)
        return say(m, &(struct seccomp_saying){number, name, action, count > 0 || m->plain}, count > 0 ? count : 1);
    if (seccomp_tree_has(&m->tree, number))
        return 0;
    if (one_condition_each(conditions, count))
        return add_rule(m, action, number, conditions, (unsigned)count);
    /* Several about one argument are alternatives. */
    for (size_t i = 0; i < count && result == 0; i++)
        result = add_rule(m, action, number, &conditions[i], 1);
    return result;
}

#define CONDITIONS_MAX 64

static int add_calls(struct maker *m, const grpc_LinuxSyscall *s)
{
    struct scmp_arg_cmp conditions[CONDITIONS_MAX];
    uint32_t action;
    bool given = s->which_ErrnoRet == grpc_LinuxSyscall_errnoret_tag;
    int result = parse_action(s->Action, given ? &s->ErrnoRet.errnoret : NULL, &action, m->err);
    if (result == 0 && s->Names_count == 0)
        result = fail_invalid(m->err, "add a rule to the seccomp filter", NULL, "it names no system call");
    if (result == 0 && s->Args_count > CONDITIONS_MAX)
        result = fail_invalid(m->err, "add a rule to the seccomp filter", NULL, "it has more than 64 conditions");
    for (pb_size_t i = 0; i < s->Args_count && result == 0; i++)
        result = parse_condition(&s->Args[i], &conditions[i], m->err);
    for (pb_size_t i = 0; i < s->Names_count && result == 0; i++)
        result = add_call(m, s->Names[i], action, conditions, s->Args_count);
    return result;
}

static int add_architectures(struct maker *m, const grpc_LinuxSeccomp *s)
{
    for (pb_size_t i = 0; i < s->Architectures_count; i++) {
        uint32_t token = parse_architecture(s->Architectures[i]);
        if (token == 0)
            return fail_invalid(m->err, "use the seccomp architecture", s->Architectures[i], "there is no such one");
        int result = seccomp_arch_add(m->filter, token);
        /* EDOM: of the other byte order, as no program of this machine is. */
        if (result < 0 && result != -EEXIST && result != -EDOM)
            return fail_with(m->err, result, "use the seccomp architecture", s->Architectures[i], "leave it out");
        result = result == -EDOM ? 0 : seccomp_tree_add_architecture(&m->tree, token);
        if (result < 0)
            return fail_with(m->err, result, "use the seccomp architecture", s->Architectures[i], "name fewer");
    }
    return 0;
}

/* The rules one after the other: to be collected, then to the library. */
static int add_all_calls(struct maker *m, const grpc_LinuxSeccomp *s, bool saying)
{
    int result = 0;
    m->saying = saying;
    for (pb_size_t i = 0; i < s->Syscalls_count && result == 0; i++)
        result = add_calls(m, &s->Syscalls[i]);
    return result;
}

static int make_tree(struct maker *m, const grpc_LinuxSeccomp *s)
{
    int result = add_all_calls(m, s, true);
    if (result < 0)
        return result;
    result = seccomp_tree_make(&m->tree);
    return result == 0 ? 0 : fail_with(m->err, result, "make the seccomp filter", NULL, "give the pod more memory");
}

/* ---- The program ------------------------------------------------------------------------------------------------- */

static bool refuses(uint32_t action)
{
    return action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG && (action & 0x7fff0000u) != SCMP_ACT_TRACE(0);
}

static int write_all(int fd, const void *bytes, size_t length)
{
    ssize_t written = write(fd, bytes, length);
    return written < 0 ? -errno : (size_t)written == length ? 0 : -EIO;
}

/* Before all else: calls younger than the profile do not exist. */
static int write_head(const struct maker *m, uint32_t flag_bits, int fd)
{
    const struct head head = {.flags = flag_bits};
    const struct sock_filter younger[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)m->newest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    int result = write_all(fd, &head, sizeof head);
    if (result == 0 && m->newest >= 0 && refuses(m->default_action))
        result = write_all(fd, younger, sizeof younger);
    return result;
}

static int export(const struct maker *m, uint32_t flag_bits)
{
    int fd = memfd_new("seccomp", false);
    if (fd < 0)
        return fd;
    int result = write_head(m, flag_bits, fd);
    if (result == 0 && m->tree.length > 0)
        result = write_all(fd, m->tree.program, m->tree.length * sizeof *m->tree.program);
    result = result < 0 ? result : seccomp_export_bpf(m->filter, fd);
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}

static int make(struct maker *m, const grpc_LinuxSeccomp *s, struct err *err)
{
    uint32_t flag_bits;
    int result = parse_flags(s, &flag_bits, err);
    result = result < 0 ? result : seccomp_tree_add_architecture(&m->tree, seccomp_arch_native());
    result = result < 0 ? result : add_architectures(m, s);
    result = result < 0 ? result : make_tree(m, s);
    result = result < 0 ? result : add_all_calls(m, s, false);
    if (result < 0)
        return result;
    /* A search tree where the library can: a list of four hundred comparisons slows every system call down. */
    (void)seccomp_attr_set(m->filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    result = export(m, flag_bits);
    return result >= 0 ? result : fail_with(err, result, "make the seccomp filter", NULL, "make the profile smaller");
}

static int compile(const grpc_LinuxSeccomp *s, bool plain, struct err *err)
{
    struct maker m = {.newest = -1, .plain = plain, .err = err};
    int result =
        parse_action(s->DefaultAction, s->has_DefaultErrnoRet ? &s->DefaultErrnoRet : NULL, &m.default_action, err);
    if (result < 0)
        return result;
    if ((s->ListenerPath != NULL && *s->ListenerPath != '\0') ||
        (s->ListenerMetadata != NULL && *s->ListenerMetadata != '\0')) {
        return fail_with(err, -ENOTSUP, "use a seccomp listener", s->ListenerPath,
                         "leave it out: there is nobody in the guest to be notified");
    }
    m.filter = seccomp_init(m.default_action);
    if (m.filter == NULL)
        return fail_with(err, -ENOMEM, "make the seccomp filter", NULL, "give the pod more memory");
    result = make(&m, s, err);
    seccomp_release(m.filter);
    seccomp_tree_release(&m.tree);
    return result;
}

int seccomp_filter_compile(const grpc_LinuxSeccomp *s, struct err *err)
{
    return compile(s, false, err);
}

int seccomp_filter_compile_plain(const grpc_LinuxSeccomp *s, struct err *err)
{
    return compile(s, true, err);
}

int seccomp_filter_load(int filter, struct err *err)
{
    static const char doing[] = "load the seccomp filter";
    struct stat st;
    const struct head *head = fstat(filter, &st) == 0 && st.st_size > (off_t)sizeof *head
                                  ? mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, filter, 0)
                                  : MAP_FAILED;
    if (head == MAP_FAILED)
        return fail_with(err, -EIO, doing, NULL, "try again");
    size_t count = ((size_t)st.st_size - sizeof *head) / sizeof(struct sock_filter);
    struct sock_fprog program = {(unsigned short)count, (struct sock_filter *)((uintptr_t)head + sizeof *head)};
    if (count > BPF_MAXINSNS)
        return fail_with(err, -E2BIG, doing, NULL, "make the profile smaller");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, head->flags, &program) != 0) {
        return fail_errno(err, doing, NULL,
                          errno == EACCES ? "set noNewPrivileges, or give CAP_SYS_ADMIN"
                                          : "use a guest kernel with CONFIG_SECCOMP_FILTER");
    }
    return 0;
}
