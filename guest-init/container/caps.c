/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/caps.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/sys.h"

/* By number, without "CAP_". */
static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

#define COUNT (sizeof names / sizeof names[0])

int caps_number(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) != 0)
        return -1;
    for (size_t i = 0; i < COUNT; i++)
        if (strcasecmp(names[i], name + 4) == 0)
            return (int)i;
    return -1;
}

unsigned caps_last(void)
{
    unsigned last = 0;
    while (last + 1 < COUNT && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0)
        last++;
    return last;
}

struct parser {
    unsigned last;
    void (*unknown)(void *context, const char *name);
    void *context;
};

static uint64_t parse_set(const struct parser *p, char *const *list, size_t count)
{
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++) {
        int number = caps_number(list[i]);
        if (number >= 0 && (unsigned)number <= p->last)
            set |= UINT64_C(1) << number;
        else if (p->unknown != NULL)
            p->unknown(p->context, list[i]);
    }
    return set;
}

/* What the larger set lacks cannot be granted, and is left out with a warning like a name that is unknown. */
static void grant(const struct parser *p, uint64_t *set, uint64_t of)
{
    for (unsigned i = 0; p->unknown != NULL && i < COUNT; i++)
        if ((*set & ~of) >> i & 1)
            p->unknown(p->context, names[i]);
    *set &= of;
}

int caps_parse(const grpc_LinuxCapabilities *c, unsigned last, void (*unknown)(void *context, const char *name),
               void *context, struct caps *out, struct err *err)
{
    const struct parser p = {last, unknown, context};
    (void)err; /* nothing in it is a failure today */
    *out = (struct caps){0};
    if (c == NULL)
        return 0;
    out->bounding = parse_set(&p, c->Bounding, c->Bounding_count);
    out->effective = parse_set(&p, c->Effective, c->Effective_count);
    out->inheritable = parse_set(&p, c->Inheritable, c->Inheritable_count);
    out->permitted = parse_set(&p, c->Permitted, c->Permitted_count);
    out->ambient = parse_set(&p, c->Ambient, c->Ambient_count);
    grant(&p, &out->effective, out->permitted);
    grant(&p, &out->ambient, out->permitted & out->inheritable);
    return 0;
}

int caps_limit(const struct caps *c, unsigned last, struct err *err)
{
    for (unsigned i = 0; i <= last; i++)
        if ((c->bounding >> i & 1) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
            return fail_errno(err, "limit the capabilities of the process", NULL, "try again");
    return 0;
}

static void split(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct __user_cap_data_struct out[2])
{
    for (int i = 0; i < 2; i++) {
        out[i] = (struct __user_cap_data_struct){(uint32_t)(effective >> (32 * i)), (uint32_t)(permitted >> (32 * i)),
                                                 (uint32_t)(inheritable >> (32 * i))};
    }
}

static int set(const struct caps *c, uint64_t keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    split(c->effective | keep, c->permitted | keep, c->inheritable, data);
    return sys_capset(&header, data);
}

static int fail(struct err *err, int code)
{
    return fail_with(err, code, "set the capabilities of the process", NULL,
                     "ask for none that the bounding set lacks");
}

int caps_apply(const struct caps *c, uint64_t keep, struct err *err)
{
    int result = set(c, keep);
    for (unsigned i = 0; i < COUNT && result == 0; i++)
        if ((c->ambient >> i & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
            result = -errno;
    return result == 0 ? 0 : fail(err, result);
}

int caps_give_up(const struct caps *c, struct err *err)
{
    int result = set(c, 0);
    return result == 0 ? 0 : fail(err, result);
}
