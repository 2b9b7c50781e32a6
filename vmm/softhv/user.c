/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/user.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES UINT64_C(4096)
/* End of user space with four-level paging. Five-level hosts hand out more only to programs that ask for it. */
#define USER_END (UINT64_C(0x800000000000) - PAGE_BYTES)
/* One system call moves less than 2 GiB. */
#define COPY_MAX ((size_t)1 << 30)
/* C libraries older than Linux 5.14 lack the name. */
#define POPULATE_WRITE 23

static void *as_pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* Both copies: process_vm_* differ in direction only. */
static int copy(long number, void *mine, uint64_t theirs, size_t bytes)
{
    uint8_t *at = mine;
    while (bytes > 0) {
        size_t part = bytes < COPY_MAX ? bytes : COPY_MAX;
        struct iovec local = {at, part}, remote = {as_pointer(theirs), part};
        long n = syscall(number, getpid(), &local, 1L, &remote, 1L, 0L);
        if (n <= 0)
            return -EFAULT;
        at += n;
        theirs += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

int softhv_user_read(void *to, uint64_t from, size_t bytes)
{
    if (bytes > 0 && !softhv_user_range(from, bytes))
        return -EFAULT;
    return copy(SYS_process_vm_readv, to, from, bytes);
}

int softhv_user_write(uint64_t to, const void *from, size_t bytes)
{
    if (bytes > 0 && !softhv_user_range(to, bytes))
        return -EFAULT;
    /* struct iovec has no const; the system call only reads its local side. */
    return copy(SYS_process_vm_writev, as_pointer((uintptr_t)from), to, bytes);
}

int softhv_user_check(void)
{
    char a = 1, b = 0;
    struct iovec to = {&b, 1}, from = {&a, 1};
    return syscall(SYS_process_vm_readv, getpid(), &to, 1L, &from, 1L, 0L) == 1 ? 0 : -errno;
}

bool softhv_user_range(uint64_t address, uint64_t bytes)
{
    return address <= USER_END && bytes <= USER_END - address;
}

bool softhv_user_mapped(uint64_t address, uint64_t bytes)
{
    return softhv_user_range(address, bytes) && msync(as_pointer(address), bytes, MS_ASYNC) == 0;
}

/*
 * One page, through its first word. The comparison is false for every word with a small value and nobody sleeps on
 * guest memory, so the wake-up half of the operation does nothing; `idle` is a word nobody waits on either.
 */
static int probe_write(uint64_t address)
{
    uint32_t idle = 0;
    long op = FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0x7ff);
    long r = syscall(SYS_futex, &idle, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0L, as_pointer(address), op);
    if (r >= 0)
        return 0;
    return errno == ENOMEM ? -ENOMEM : -EFAULT;
}

static int probe_pages(uint64_t address, uint64_t pages, uint64_t stride)
{
    for (uint64_t i = 0; i < pages; i += stride) {
        int r = probe_write(address + i * PAGE_BYTES);
        if (r < 0)
            return r;
    }
    return 0;
}

int softhv_user_fault_in(uint64_t address, uint64_t bytes)
{
    if (!softhv_user_range(address, bytes))
        return -EFAULT;
    if (madvise(as_pointer(address), bytes, POPULATE_WRITE) == 0)
        return 0;
    /*
     * EINVAL has three reasons: a kernel that does not know the request, no right to write, or memory without struct
     * page (device memory). Only the page-by-page way tells them apart.
     */
    if (errno == EINVAL)
        return probe_pages(address, bytes / PAGE_BYTES, 1);
    return errno == EFAULT || !softhv_user_mapped(address, bytes) ? -EFAULT : -ENOMEM;
}

int softhv_user_pin_check(uint64_t address, uint64_t bytes)
{
    if (!softhv_user_mapped(address, bytes))
        return -EFAULT;
    uint64_t pages = bytes / PAGE_BYTES, stride = 1 + (pages - 1) / SOFTHV_USER_PROBES;
    int r = probe_pages(address, pages, stride);
    return r < 0 ? r : probe_write(address + bytes - PAGE_BYTES);
}
