/* SPDX-License-Identifier: Apache-2.0 */
/* What process 1 does to processes of containers from outside, with the rights of the guest. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/process.h"
#include "guest-init/container/sys.h"

#define LIST_WORDS 16 /* 1024 processors */

struct number {
    const char *name;
    int value;
};

static int find(const struct number *table, size_t count, const char *name)
{
    for (size_t i = 0; name != NULL && i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].value;
    return -1;
}

#define FIND(table, name) find(table, sizeof(table) / sizeof((table)[0]), name)

static const struct number limits[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", 10},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", 12},
    {"RLIMIT_NICE", 13},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", 14},
    {"RLIMIT_RTTIME", 15},
    {"RLIMIT_SIGPENDING", 11},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static const struct number policies[] = {
    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},       {"SCHED_BATCH", 3},
    {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
};

static const struct number scheduler_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},     {"SCHED_FLAG_DL_OVERRUN", 0x04},
    {"SCHED_FLAG_KEEP_POLICY", 0x08},    {"SCHED_FLAG_KEEP_PARAMS", 0x10}, {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

static const struct number io_classes[] = {
    {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static int check_limits(const grpc_Process *p, struct err *err)
{
    unsigned seen = 0;
    for (pb_size_t i = 0; i < p->Rlimits_count; i++) {
        const grpc_POSIXRlimit *r = &p->Rlimits[i];
        int number = FIND(limits, r->Type);
        if (number < 0)
            return fail_invalid(err, "set the limit", r->Type, "there is no such resource");
        if ((seen >> number & 1) != 0)
            return fail_invalid(err, "set the limit", r->Type, "it is given twice");
        if (r->Soft > r->Hard)
            return fail_invalid(err, "set the limit", r->Type, "the soft limit is above the hard one");
        seen |= 1u << number;
    }
    return 0;
}

static int check_scheduler(const grpc_LinuxScheduler *s, struct err *err)
{
    if (FIND(policies, s->Policy) < 0)
        return fail_invalid(err, "set the scheduling policy", s->Policy, "there is no such policy");
    for (pb_size_t i = 0; i < s->Flags_count; i++)
        if (FIND(scheduler_flags, s->Flags[i]) < 0)
            return fail_invalid(err, "set the scheduling flag", s->Flags[i], "there is no such flag");
    return 0;
}

static int check_strings(const grpc_Process *p, struct err *err)
{
    if (p->Args_count == 0 || *p->Args[0] == '\0')
        return fail_invalid(err, "run a program", NULL, "process.args is empty");
    if (p->Cwd == NULL || p->Cwd[0] != '/')
        return fail_invalid(err, "change to the working directory", p->Cwd, "process.cwd is not an absolute path");
    for (pb_size_t i = 0; i < p->Env_count; i++)
        if (strchr(p->Env[i], '=') == NULL || p->Env[i][0] == '=')
            return fail_invalid(err, "set the environment variable", p->Env[i], "it has not the form NAME=VALUE");
    return 0;
}

int process_check(const grpc_Process *p, struct err *err)
{
    unsigned long bits[LIST_WORDS];
    int result = check_strings(p, err);
    result = result < 0 ? result : check_limits(p, err);
    result = result == 0 && p->has_Scheduler ? check_scheduler(&p->Scheduler, err) : result;
    if (result < 0)
        return result;
    if (p->has_IOPriority &&
        (FIND(io_classes, p->IOPriority.Class) < 0 || p->IOPriority.Priority < 0 || p->IOPriority.Priority > 7)) {
        return fail_invalid(err, "set the I/O priority", p->IOPriority.Class,
                            "the classes are IOPRIO_CLASS_RT, _BE, _IDLE, the priorities 0 to 7");
    }
    if (p->OOMScoreAdj < -1000 || p->OOMScoreAdj > 1000)
        return fail_invalid(err, "set process.oomScoreAdj", NULL, "it lies between -1000 and 1000");
    const char *const lists[] = {p->ExecCPUAffinity.Initial, p->ExecCPUAffinity.Final};
    for (int i = 0; i < 2; i++)
        if (lists[i] != NULL && process_parse_list(lists[i], bits, LIST_WORDS) < 0)
            return fail_invalid(err, "set the processors", lists[i], "they are no list like 0-3,7");
    return 0;
}

int process_parse_list(const char *list, unsigned long *bits, size_t words)
{
    memset(bits, 0, words * sizeof *bits);
    while (*list != '\0') {
        char *end;
        if (*list < '0' || *list > '9')
            return -EINVAL;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (*end == '-') {
            if (end[1] < '0' || end[1] > '9')
                return -EINVAL;
            last = strtoul(end + 1, &end, 10);
        }
        if (first > last || last >= words * 64 || (*end != '\0' && (*end != ',' || end[1] == '\0')))
            return -EINVAL;
        for (unsigned long i = first; i <= last; i++)
            bits[i / 64] |= 1ul << (i % 64);
        list = *end == ',' ? end + 1 : end;
    }
    return 0;
}

/* ---- Settings ---------------------------------------------------------------------------------------------------- */

static int apply_limits(pid_t pid, const grpc_Process *p, struct err *err)
{
    for (pb_size_t i = 0; i < p->Rlimits_count; i++) {
        const grpc_POSIXRlimit *r = &p->Rlimits[i];
        /* As the kernel takes it: all ones are "no limit". */
        const uint64_t pair[2] = {r->Soft, r->Hard};
        if (syscall(SYS_prlimit64, pid, FIND(limits, r->Type), pair, NULL) != 0)
            return fail_errno(err, "set the limit", r->Type, "choose a lower one");
    }
    return 0;
}

static int apply_oom_score(pid_t pid, const grpc_Process *p, struct err *err)
{
    char path[64], text[16];
    if (!p->HasOOMScoreAdj && p->OOMScoreAdj == 0)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
    int length = snprintf(text, sizeof text, "%" PRId64, p->OOMScoreAdj);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int result = fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -errno;
    fail_close(&fd);
    return result == 0 ? 0 : fail_with(err, result, "set process.oomScoreAdj to", text, "choose a higher number");
}

/* struct sched_attr of sched_setattr(2), as of Linux 5.3. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static int apply_scheduler(pid_t pid, const grpc_LinuxScheduler *s, struct err *err)
{
    struct attributes a = {.size = sizeof a,
                           .policy = (uint32_t)FIND(policies, s->Policy),
                           .nice = s->Nice,
                           .priority = (uint32_t)s->Priority,
                           .runtime = s->Runtime,
                           .deadline = s->Deadline,
                           .period = s->Period};
    for (pb_size_t i = 0; i < s->Flags_count; i++)
        a.flags |= (uint64_t)(unsigned)FIND(scheduler_flags, s->Flags[i]);
    int result = sys_sched_setattr(pid, &a);
    return result == 0 ? 0 : fail_with(err, result, "set the scheduling policy", s->Policy, "correct its parameters");
}

static int apply_io_priority(pid_t pid, const grpc_LinuxIOPriority *p, struct err *err)
{
    int value = FIND(io_classes, p->Class) << IOPRIO_CLASS_SHIFT | p->Priority;
    int result = sys_ioprio_set(IOPRIO_WHO_PROCESS, pid, value);
    return result == 0 ? 0 : fail_with(err, result, "set the I/O priority", p->Class, "leave it out");
}

int process_apply_affinity(pid_t pid, const char *list, struct err *err)
{
    unsigned long bits[LIST_WORDS];
    if (list == NULL || *list == '\0')
        return 0;
    if (process_parse_list(list, bits, LIST_WORDS) < 0)
        return fail_invalid(err, "set the processors", list, "they are no list like 0-3,7");
    if (syscall(SYS_sched_setaffinity, pid, sizeof bits, bits) < 0)
        return fail_errno(err, "set the processors", list, "name some that the pod has");
    return 0;
}

int process_apply_outside(pid_t pid, const grpc_Process *p, struct err *err)
{
    int result = apply_limits(pid, p, err);
    result = result < 0 ? result : apply_oom_score(pid, p, err);
    result = result == 0 && p->has_Scheduler ? apply_scheduler(pid, &p->Scheduler, err) : result;
    return result == 0 && p->has_IOPriority ? apply_io_priority(pid, &p->IOPriority, err) : result;
}
