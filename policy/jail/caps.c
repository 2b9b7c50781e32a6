/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jail/caps.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
    struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];
};

static int get(struct sets *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, s->half) < 0 ? -errno : 0;
}

static int set(const struct sets *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, s->half) < 0 ? -errno : 0;
}

uint64_t jail_caps_effective(void)
{
    struct sets s;
    return get(&s) < 0 ? 0 : s.half[0].effective | (uint64_t)s.half[1].effective << 32;
}

/* Ambient ones go with the permitted and inheritable ones that they need. */
int jail_caps_keep(uint64_t caps)
{
    struct sets s;
    int code = get(&s);
    if (code < 0)
        return code;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        s.half[i].permitted &= (uint32_t)(caps >> 32 * i);
        s.half[i].effective = s.half[i].permitted;
        s.half[i].inheritable = 0;
    }
    return set(&s);
}

int jail_caps_bound(void)
{
    if ((jail_caps_effective() & JAIL_CAP(CAP_SETPCAP)) == 0)
        return 0;
    for (unsigned long n = 0; prctl(PR_CAPBSET_READ, n, 0L, 0L, 0L) >= 0; n++)
        if (prctl(PR_CAPBSET_DROP, n, 0L, 0L, 0L) < 0)
            return -errno;
    return 0;
}
