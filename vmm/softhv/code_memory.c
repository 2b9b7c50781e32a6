/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/code_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mapping.h"
#include "common/memfd.h"

/* Linux 5.1; in headers of the kernel only. */
#define SEAL_FUTURE_WRITE 0x10
/* Not F_SEAL_EXEC, which the kernel has set already where it knows it; on a file that can be run it would mean more. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* Into the middle of a mapping that guards it. */
static int show(int fd, size_t bytes, int rights, void **out)
{
    int code = mapping_new(bytes, 0, out);
    if (code < 0)
        return code;
    if (mmap(*out, bytes, rights, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        madvise(*out, bytes, MADV_DONTDUMP) < 0 || madvise(*out, bytes, MADV_DONTFORK) < 0)
        code = -errno;
    return code;
}

static int make(struct code_memory *m, int fd)
{
    void *writable = NULL, *executable = NULL;
    int code = ftruncate(fd, (off_t)m->bytes) < 0 ? -errno : show(fd, m->bytes, PROT_READ | PROT_WRITE, &writable);
    m->writable = writable;
    if (code == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        code = -errno;
    if (code == 0)
        code = show(fd, m->bytes, PROT_READ | PROT_EXEC, &executable);
    m->executable = executable;
    return code;
}

int code_memory_init(struct code_memory *m, size_t bytes, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make memory for translated code",
        .what_to_do = "let the sandbox around this process map executable memory, or do without translation"};
    *m = (struct code_memory){.bytes = bytes};
    int fd = bytes == 0 || bytes % MAPPING_PAGE_BYTES != 0 ? -EINVAL : memfd_new("caisson-code", true);
    int code = fd < 0 ? fd : make(m, fd);
    if (fd >= 0)
        close(fd);
    if (code == 0)
        return 0;
    code_memory_fini(m);
    return err_fail(err, code, &context);
}

/* The address of the executable view without its const, which is for those who run it. */
static void *plain(const uint8_t *at)
{
    return (void *)(uintptr_t)at;
}

void code_memory_fini(struct code_memory *m)
{
    mapping_free(plain(m->executable), m->bytes);
    mapping_free(m->writable, m->bytes);
    *m = (struct code_memory){.bytes = 0};
}
