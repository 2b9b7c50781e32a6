# SPDX-License-Identifier: Apache-2.0
"""Which calls fail how. What is not named here fails with ENOMEM, which most calls may."""
import ctypes
import functools
import os
from errno import (EACCES, EADDRINUSE, EAGAIN, ECONNREFUSED, EFAULT, EINTR, EIO, EMFILE, ENOMEM, ENOSPC, ENOSYS, ENOTCONN,
                   EPERM)

SHORT, EXIT = "short", "exit"

# By these a call changes nothing that anybody may notice.
INVISIBLE = (EINTR, SHORT)

READS = "read readv pread64 preadv preadv2 recvfrom recvmsg getdents64"
WRITES = "write writev pwrite64 pwritev pwritev2 sendto sendmsg"
WAITS = "epoll_pwait epoll_wait nanosleep clock_nanosleep"
MAKES_DESCRIPTORS = ("open openat openat2 open_by_handle_at eventfd2 epoll_create1 timerfd_create signalfd4 socket socketpair dup dup2 "
                     "dup3 pipe2 memfd_create pidfd_open fcntl")
MAKES_FILES = "mkdir mkdirat symlinkat linkat rename renameat renameat2 fallocate ftruncate copy_file_range fsync fdatasync fsetxattr"
LOOKS = "fstat stat lstat statx newfstatat fstatfs statfs lseek ioctl name_to_handle_at readlink readlinkat fgetxattr flistxattr"

FAULTS = {
    **dict.fromkeys(READS.split(), (EIO, EINTR, SHORT)),
    **dict.fromkeys(WRITES.split(), (ENOSPC, EINTR, SHORT)),
    **dict.fromkeys(WAITS.split(), (EINTR,)),
    **dict.fromkeys(MAKES_DESCRIPTORS.split(), (EMFILE,)),
    **dict.fromkeys(MAKES_FILES.split(), (ENOSPC,)),
    **dict.fromkeys(LOOKS.split(), (EIO,)),
    "poll": (EINTR, ENOMEM),
    "ppoll": (EINTR, ENOMEM),
    "wait4": (EINTR,),
    "futex": (EINTR,),
    "close": (EINTR, EIO),
    "accept4": (EINTR, EMFILE),
    "connect": (EINTR, ECONNREFUSED),
    "flock": (EINTR, ENOMEM),
    "bind": (EADDRINUSE,),
    "listen": (EADDRINUSE,),
    "shutdown": (ENOTCONN,),
    "clone": (EAGAIN,),
    "fork": (EAGAIN,),
    "getrandom": (ENOSYS,),  # up to 256 bytes are not interrupted
    "process_vm_readv": (EFAULT, ENOMEM),
    "process_vm_writev": (EFAULT, ENOMEM),
    "unshare": (EPERM,),
    "prlimit64": (EPERM,),
    "fchmod": (EPERM,),
    "fchown": (EPERM,),
    "unlink": (EACCES,),
    "unlinkat": (EACCES,),
    "rmdir": (EACCES,),
    "umount2": (EACCES,),
}


def may_end(place):
    """Does a thread wait for work there that can end by itself? softhv's serve the machine while it is built, too."""
    return place.call in ("epoll_pwait", "ppoll") and place.thread.startswith(("io-", "vcpu"))


@functools.cache
def threads_are_watched():
    """Has this kernel descriptors for threads (PIDFD_THREAD)?"""
    fd = ctypes.CDLL(None).syscall(434, os.getpid(), os.O_EXCL)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


# Those that the kernel never fails when they are called as they are here.
NEVER_FAIL = set("""
    exit exit_group rt_sigreturn getpid gettid getppid getuid geteuid getgid getegid umask rt_sigprocmask rt_sigaction
    sched_yield set_tid_address arch_prctl prctl timerfd_settime clock_gettime getpgrp capget uname tkill kill
""".split())

# By these a file is looked at before it is removed.
LOOKS_BY_NAME = {"lstat", "newfstatat", "fstatat", "statx"}

# Calls that clean up: where one fails, what it should have removed stays.
REMOVES = {"unlink", "unlinkat", "rmdir", "umount2"}


# The end of the process when one of its threads has ended (docs/seccomp.md).
LOST_THREAD = 109


def faults_of(place):
    """All that may happen at a place."""
    if place.is_allocation():
        return (ENOMEM,)
    if place.call in NEVER_FAIL:
        return ()
    if place.target == "event":
        return (EINTR,) if place.call in READS.split() else ()
    faults = tuple(f for f in FAULTS.get(place.call, (ENOMEM,)) if f != SHORT or place.target == "stream")
    return faults + ((EXIT,) if may_end(place) and threads_are_watched() else ())
