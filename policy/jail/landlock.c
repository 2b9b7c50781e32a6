/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jail/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, of which systems have versions of different ages. */
#define VERSION_FLAG 1u
#define PATH_BENEATH 1

#define WRITE_FILE  (UINT64_C(1) << 1)
#define READ_DIR    (UINT64_C(1) << 3)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_REG    (UINT64_C(1) << 8)
#define TRUNCATE    (UINT64_C(1) << 14)
#define FILES_OF_1  ((UINT64_C(1) << 13) - 1)
#define REFER       (UINT64_C(1) << 13) /* 2 */
#define IOCTL_DEV   (UINT64_C(1) << 15) /* 5 */
#define TCP         UINT64_C(3)         /* bind and connect; 4 */
#define SCOPES      UINT64_C(3)         /* abstract sockets and signals; 6 */

struct ruleset {
    uint64_t files, net, scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static int make(const struct ruleset *r)
{
    long fd = syscall(SYS_landlock_create_ruleset, r, sizeof(*r), 0u);
    return fd < 0 ? -errno : (int)fd;
}

int jail_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0L, VERSION_FLAG);
    return abi < 0 ? -errno : (int)abi;
}

int jail_landlock_outward(int abi)
{
    const struct ruleset r = {.net = TCP, .scoped = abi >= 6 ? SCOPES : 0};
    return abi < 4 ? -ENOMSG : make(&r);
}

static uint64_t files_of(int abi)
{
    return FILES_OF_1 | (abi >= 2 ? REFER : 0) | (abi >= 3 ? TRUNCATE : 0) | (abi >= 5 ? IOCTL_DEV : 0);
}

static int allow(int ruleset, int folder, uint64_t what)
{
    const struct beneath rule = {.allowed = what, .parent = folder};
    return syscall(SYS_landlock_add_rule, ruleset, PATH_BENEATH, &rule, 0u) < 0 ? -errno : 0;
}

int jail_landlock_files(int abi, int folder, bool folders_open)
{
    const struct ruleset r = {.files = files_of(abi) & ~(folders_open ? READ_DIR : 0)};
    int fd = make(&r);
    int code = fd < 0 || folder < 0 ? 0 : allow(fd, folder, (WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE) & r.files);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int jail_landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0 ? -errno : 0;
}
