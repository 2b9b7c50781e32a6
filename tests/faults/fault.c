/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/inject.h"
#include "tests/lib/tracer.h"

/* Where a call has what says how much: a register, or a vector in memory. */
enum amount { AMOUNT_NONE, AMOUNT_DX, AMOUNT_VECTOR, AMOUNT_MESSAGE };

static enum amount amount_of(unsigned long nr)
{
    switch (nr) {
    case SYS_read:
    case SYS_write:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_recvfrom:
    case SYS_sendto: return AMOUNT_DX;
    case SYS_readv:
    case SYS_writev:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2: return AMOUNT_VECTOR;
    case SYS_recvmsg:
    case SYS_sendmsg: return AMOUNT_MESSAGE;
    default: return AMOUNT_NONE;
    }
}

/* ---- Descriptors ---- */

static pid_t process_of(pid_t tid)
{
    char path[64], line[128];
    int pid = tid;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", tid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Tgid: %d", &pid) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return pid;
}

static int socket_type(int fd, int option)
{
    int value = -1;
    socklen_t n = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &n) == 0 ? value : -1;
}

/* Files that the kernel makes up take and give whole values. */
static bool is_made_up(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    return fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
           fs.f_type == PROC_SUPER_MAGIC;
}

/* Packets and what the kernel writes as records come whole or not at all. */
static enum fault_target kind_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return TARGET_OTHER;
    if ((st.st_mode & S_IFMT) == 0)
        return TARGET_EVENT;
    bool stream = S_ISSOCK(st.st_mode)
                      ? socket_type(fd, SO_TYPE) == SOCK_STREAM && socket_type(fd, SO_DOMAIN) == AF_UNIX
                      : (S_ISREG(st.st_mode) && !is_made_up(fd)) || S_ISFIFO(st.st_mode);
    return stream ? TARGET_STREAM : TARGET_OTHER;
}

static enum fault_target kind_in(pid_t tid, int fd)
{
    int process = (int)syscall(SYS_pidfd_open, process_of(tid), 0);
    int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    enum fault_target result = copy >= 0 ? kind_of(copy) : TARGET_OTHER;
    if (copy >= 0)
        close(copy);
    if (process >= 0)
        close(process);
    return result;
}

/* ---- Less than asked for ---- */

/* The vector of the call: its address, and where its number of parts is if that is in memory. */
static bool find_vector(pid_t tid, const struct user_regs_struct *regs, uint64_t *vector, uint64_t *parts)
{
    struct msghdr head;
    if (amount_of(regs->orig_rax) == AMOUNT_VECTOR) {
        *vector = regs->rsi;
        *parts = regs->rdx;
        return true;
    }
    if (tracer_peek(tid, regs->rsi, &head, sizeof(head)) != sizeof(head))
        return false;
    *vector = (uint64_t)(uintptr_t)head.msg_iov;
    *parts = (uint64_t)head.msg_iovlen;
    return true;
}

/* The last part, if it has more than one byte: nothing may follow what is left out. */
static bool find_part(pid_t tid, const struct user_regs_struct *regs, uint64_t *at, struct iovec *part)
{
    uint64_t vector, parts;
    if (!find_vector(tid, regs, &vector, &parts) || parts == 0)
        return false;
    *at = vector + (parts - 1) * sizeof(*part);
    return tracer_peek(tid, *at, part, sizeof(*part)) == sizeof(*part) && part->iov_len > 1;
}

static bool moves_several(pid_t tid, const struct user_regs_struct *regs)
{
    uint64_t at;
    struct iovec part;
    return amount_of(regs->orig_rax) == AMOUNT_DX ? regs->rdx > 1 : find_part(tid, regs, &at, &part);
}

enum fault_target fault_target(pid_t tid, const struct user_regs_struct *regs)
{
    if (amount_of(regs->orig_rax) == AMOUNT_NONE)
        return TARGET_NONE;
    enum fault_target kind = kind_in(tid, (int)regs->rdi);
    return kind == TARGET_STREAM && !moves_several(tid, regs) ? TARGET_OTHER : kind;
}

bool fault_can_happen(const struct tracer_call *call)
{
    uint64_t op = call->entry.args[1] & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    return call->entry.nr != SYS_futex || op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
}

static bool make_short(struct fault *f)
{
    struct user_regs_struct regs = f->regs;
    struct iovec part;
    if (fault_target(f->tid, &f->regs) != TARGET_STREAM)
        return false;
    if (amount_of(regs.orig_rax) == AMOUNT_DX) {
        regs.rdx /= 2;
        return ptrace(PTRACE_SETREGS, f->tid, NULL, &regs) == 0;
    }
    if (!find_part(f->tid, &regs, &f->length_at, &part))
        return false;
    f->length = part.iov_len;
    part.iov_len /= 2;
    return tracer_poke(f->tid, f->length_at, &part, sizeof(part));
}

/* ---- Faults ---- */

/* A descriptor is closed whatever close returns, and whoever is told otherwise would wait for it. */
static bool is_made_anyway(unsigned long nr)
{
    return nr == SYS_close;
}

static bool set_call(const struct fault *f, unsigned long nr)
{
    struct user_regs_struct regs = f->regs;
    regs.orig_rax = nr;
    return ptrace(PTRACE_SETREGS, f->tid, NULL, &regs) == 0;
}

/*
 * A system call in place of the one that is to fail. None would be best, but a filter sees the number -1 as well; each
 * role's list has this one, which here does nothing.
 */
static bool set_idle_call(const struct fault *f)
{
    struct user_regs_struct regs = f->regs;
    regs.orig_rax = SYS_futex;
    regs.rdi = 0;
    regs.rsi = FUTEX_WAKE;
    regs.rdx = 0;
    return ptrace(PTRACE_SETREGS, f->tid, NULL, &regs) == 0;
}

bool fault_begin(struct fault *f, pid_t tid)
{
    f->tid = tid;
    f->length_at = 0;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &f->regs) < 0)
        return false;
    if (f->kind == FAULT_SHORT)
        return make_short(f);
    if (f->kind == FAULT_EXIT)
        return set_call(f, SYS_exit);
    return is_made_anyway(f->regs.orig_rax) || set_idle_call(f);
}

void fault_end(struct fault *f)
{
    struct user_regs_struct regs;
    struct iovec part;
    if (ptrace(PTRACE_GETREGS, f->tid, NULL, &regs) < 0)
        return;
    if (f->kind == FAULT_ERRNO)
        regs.rax = (unsigned long)-(long)f->code;
    regs.rdi = f->regs.rdi;
    regs.rsi = f->regs.rsi;
    regs.rdx = f->regs.rdx;
    (void)ptrace(PTRACE_SETREGS, f->tid, NULL, &regs);
    if (f->length_at != 0 && tracer_peek(f->tid, f->length_at, &part, sizeof(part)) == sizeof(part)) {
        part.iov_len = f->length;
        (void)tracer_poke(f->tid, f->length_at, &part, sizeof(part));
    }
}
