/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The names of the C library that libcaisson-softhv.so stands before (docs/preload.md). Calls that do not concern the
 * device go on to the function behind, with the same arguments; what that costs is said in state.h.
 *
 * Our own calls of these functions, those of softhv included, do not come back here: the linker's --wrap gives them the
 * functions at the end of this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/preload/guard.h"
#include "vmm/softhv/preload/path.h"
#include "vmm/softhv/preload/state.h"

#define EXPORT __attribute__((visibility("default")))

/* What programs built with _FORTIFY_SOURCE call where no mode is given. No header declares them outside of that. */
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int dirfd, const char *path, int flags);
EXPORT int __openat64_2(int dirfd, const char *path, int flags);

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__wrap_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);

/* ---- open ---- */

/* The flags with which open looks at its mode. */
static bool has_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

/* With O_PATH a file is found and not opened: if there is none, that is the truth. */
static bool is_ours(const char *path, int flags)
{
    return preload_path_is_device(path) && (flags & O_PATH) == 0;
}

/* What the kernel says to these flags, for a file that is there and is a device. */
static int flags_error(int flags)
{
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
        return -EEXIST;
    return (flags & O_DIRECTORY) != 0 ? -ENOTDIR : 0;
}

static int open_device(int flags)
{
    struct preload_guard g = preload_guard(true);
    struct softhv_instance *instance;
    int result = flags_error(flags);
    if (result == 0)
        result = preload_start(&instance);
    if (result == 0)
        result = softhv_open(instance, flags);
    return preload_answer(&g, result);
}

/* The mode from behind the last named argument, 0 where there is none. */
#define TAKE_MODE(mode, flags)                                                                                         \
    mode_t mode = 0;                                                                                                   \
    if (has_mode(flags)) {                                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

EXPORT int open(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return is_ours(path, flags) ? open_device(flags) : preload_next()->open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return is_ours(path, flags) ? open_device(flags) : preload_next()->open64(path, flags, mode);
}

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return is_ours(path, flags) ? open_device(flags) : preload_next()->openat(dirfd, path, flags, mode);
}

EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return is_ours(path, flags) ? open_device(flags) : preload_next()->openat64(dirfd, path, flags, mode);
}

/* Flags that want a mode are the program's bug here, which the function behind ends with a message. */
EXPORT int __open_2(const char *path, int flags)
{
    return is_ours(path, flags) && !has_mode(flags) ? open_device(flags) : preload_next()->open_2(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
    return is_ours(path, flags) && !has_mode(flags) ? open_device(flags) : preload_next()->open64_2(path, flags);
}

EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
    return is_ours(path, flags) && !has_mode(flags) ? open_device(flags) : preload_next()->openat_2(dirfd, path, flags);
}

EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
    return is_ours(path, flags) && !has_mode(flags) ? open_device(flags)
                                                    : preload_next()->openat64_2(dirfd, path, flags);
}

/* ---- ioctl ---- */

/*
 * False if the descriptor is not the device's. MSHV_RUN_VP is tried without asking first, as it is what programs do
 * most: it has no use for EBADF of its own. The kernel, too, looks at 32 bits of the request.
 */
static bool ioctl_device(int fd, uint32_t request, const void *arg, int *result)
{
    bool run = request == MSHV_RUN_VP;
    struct softhv_instance *instance = run ? preload_device() : preload_owner(fd);
    if (instance == NULL)
        return false;
    struct preload_guard g = preload_guard(!run);
    int err = softhv_ioctl(instance, fd, request, (uintptr_t)arg);
    if (run && err == -EBADF) {
        preload_unguard(&g);
        return false;
    }
    *result = preload_answer(&g, err);
    return true;
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    int result;
    va_list rest;
    va_start(rest, request);
    void *arg = va_arg(rest, void *);
    va_end(rest);
    bool possible = ((request >> 8) & 0xff) == MSHV_IOCTL;
    if (possible && ioctl_device(fd, (uint32_t)request, arg, &result))
        return result;
    return preload_next()->ioctl(fd, request, arg);
}

/* ---- mmap ---- */

struct map {
    void *address;
    size_t bytes;
    int prot, flags, fd;
    off_t offset;
};

static struct softhv_instance *map_owner(const struct map *m)
{
    return m->fd < 0 || (m->flags & MAP_ANONYMOUS) != 0 ? NULL : preload_owner(m->fd);
}

static void *map_device(struct softhv_instance *instance, const struct map *m)
{
    struct preload_guard g = preload_guard(true);
    void *out = MAP_FAILED;
    int result = softhv_mmap(instance, m->fd, m->address, m->bytes, m->prot, m->flags, (uint64_t)m->offset, &out);
    return preload_answer(&g, result) < 0 ? MAP_FAILED : out;
}

EXPORT void *mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    const struct map m = {address, bytes, prot, flags, fd, offset};
    struct softhv_instance *instance = map_owner(&m);
    return instance != NULL ? map_device(instance, &m) : preload_next()->mmap(address, bytes, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t bytes, int prot, int flags, int fd, off64_t offset)
{
    const struct map m = {address, bytes, prot, flags, fd, offset};
    struct softhv_instance *instance = map_owner(&m);
    return instance != NULL ? map_device(instance, &m)
                            : preload_next()->mmap64(address, bytes, prot, flags, fd, offset);
}

/* ---- close ---- */

EXPORT int close(int fd)
{
    struct softhv_instance *instance = preload_owner(fd);
    if (instance == NULL)
        return preload_next()->close(fd);
    struct preload_guard g = preload_guard(true);
    return preload_answer(&g, softhv_close(instance, fd));
}

/* ---- For ourselves ---- */

int __wrap_open(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return preload_next()->open(path, flags, mode);
}

int __wrap_close(int fd)
{
    return preload_next()->close(fd);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *arg = va_arg(rest, void *);
    va_end(rest);
    return preload_next()->ioctl(fd, request, arg);
}

void *__wrap_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    return preload_next()->mmap(address, bytes, prot, flags, fd, offset);
}
