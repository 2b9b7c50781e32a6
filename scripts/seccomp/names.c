/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What rules may call by name: requests and flags, with the numbers that the sources get from the same headers.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#include "scripts/seccomp/rules.h"
#include "vmm/mshv/abi.h"

/* clang-format off */
#define NAME(name) {#name, (uint64_t)(name)}
/* clang-format on */

static const struct {
    const char *name;
    uint64_t value;
} names[] = {
    NAME(AF_UNIX),
    NAME(SOCK_STREAM),
    NAME(SOCK_CLOEXEC),
    NAME(SOCK_NONBLOCK),
    NAME(PROT_NONE),
    NAME(PROT_READ),
    NAME(PROT_WRITE),
    NAME(PROT_EXEC),
    NAME(MAP_PRIVATE),
    NAME(MAP_ANONYMOUS),
    NAME(MAP_NORESERVE),
    NAME(MREMAP_MAYMOVE),
    NAME(MADV_DONTNEED),
    NAME(MADV_FREE),
    NAME(MADV_DONTDUMP),
    NAME(MADV_WIPEONFORK),
    {"MADV_POPULATE_WRITE", 23},
    {"MADV_DONTNEED_LOCKED", 24},
    {"MFD_NOEXEC_SEAL", 8},
    {"CLONE_FS", 0x200},
    {"CLONE_NEWNS", 0x20000},
    {"CLONE_NEWCGROUP", 0x2000000},
    {"CLONE_NEWUTS", 0x4000000},
    {"CLONE_NEWIPC", 0x8000000},
    {"CLONE_NEWNET", 0x40000000},
    {"CLONE_THREAD", 0x10000},
    /* time, mount, cgroup, uts, ipc, user, pid, net */
    {"CLONE_NAMESPACES", 0x7e020080},
    NAME(F_ADD_SEALS),
    NAME(MFD_CLOEXEC),
    NAME(MFD_ALLOW_SEALING),
    NAME(F_GETFD),
    NAME(F_SETFD),
    NAME(F_GETFL),
    NAME(F_SETFL),
    NAME(F_DUPFD_CLOEXEC),
    NAME(F_OFD_GETLK),
    NAME(F_OFD_SETLK),
    NAME(FUTEX_WAIT),
    NAME(FUTEX_WAKE),
    NAME(FUTEX_PRIVATE_FLAG),
    NAME(FALLOC_FL_KEEP_SIZE),
    NAME(FALLOC_FL_PUNCH_HOLE),
    NAME(FALLOC_FL_ZERO_RANGE),
    NAME(BLKDISCARD),
    NAME(BLKZEROOUT),
    NAME(TUNSETOFFLOAD),
    NAME(TUNSETQUEUE),
    NAME(TUNGETIFF),
    NAME(TIOCGWINSZ),
    NAME(TIOCGPGRP),
    NAME(TCGETS),
    NAME(TCSETSW),
    NAME(MSHV_RUN_VP),
    NAME(MSHV_IRQFD),
    NAME(MSHV_IOEVENTFD),
    NAME(MSHV_SET_MSI_ROUTING),
    NAME(MSHV_SET_GUEST_MEMORY),
    NAME(MSHV_ROOT_HVCALL),
};

bool rules_constant(const char *name, uint64_t *value)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, name) != 0)
            continue;
        *value = names[i].value;
        return true;
    }
    return false;
}
