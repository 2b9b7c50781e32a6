/* SPDX-License-Identifier: Apache-2.0 */
#include "common/relro.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int seal_range(uintptr_t start, uintptr_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    /* Whole pages only: what shares the last page with ordinary data has to stay writable. */
    start &= ~(page - 1);
    end &= ~(page - 1);
    if (end <= start) {
        return 0;
    }
    /* The one place where a number becomes a pointer here: the program header gives offsets from the load address. */
    return mprotect((void *)start, end - start, PROT_READ) == 0 ? 0 : -errno;
}

static int seal_program(struct dl_phdr_info *info, size_t size, void *result)
{
    int *error = result;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum && *error == 0; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_GNU_RELRO) {
            uintptr_t start = (uintptr_t)info->dlpi_addr + (uintptr_t)header->p_vaddr;
            *error = seal_range(start, start + (uintptr_t)header->p_memsz);
        }
    }
    return 1; /* the first object is the program; others have their own loader */
}

int relro_seal(void)
{
    int error = 0;

    dl_iterate_phdr(seal_program, &error);
    return error;
}
