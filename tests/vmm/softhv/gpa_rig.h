/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_VMM_SOFTHV_GPA_RIG_H
#define CAISSON_TESTS_VMM_SOFTHV_GPA_RIG_H

/* For the tests of the guest memory map: an active map of a chosen kernel and memory of a client. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vmm/softhv/gpa.h"

#define PAGE      UINT64_C(4096)
#define CHUNK     (512 * PAGE)
#define WRITABLE  (1u << MSHV_SET_MEM_BIT_WRITABLE)
#define EXEC      (1u << MSHV_SET_MEM_BIT_EXECUTABLE)
#define UNMAP     (1u << MSHV_SET_MEM_BIT_UNMAP)
#define GPA_R     SOFTHV_GPA_R
#define GPA_RW    (SOFTHV_GPA_R | SOFTHV_GPA_W)
#define GPA_RX    (SOFTHV_GPA_R | SOFTHV_GPA_X)
#define PHYS_BITS 40

static inline struct softhv_gpa *rig_new(enum softhv_kernel kernel)
{
    struct softhv_gpa *g = NULL;
    struct softhv_gpa_config cfg = {.kernel = kernel, .phys_bits = PHYS_BITS, .overlays = 4};
    assert_int_equal(softhv_gpa_new(&cfg, &g), 0);
    softhv_gpa_activate(g);
    return g;
}

static inline uint8_t *rig_memory(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(p != MAP_FAILED);
    return p;
}

static inline int rig_request(struct softhv_gpa *g, uint64_t gpa, const void *user, uint64_t bytes, unsigned flags)
{
    struct mshv_user_mem_region r = {
        .size = bytes, .guest_pfn = gpa / PAGE, .userspace_addr = (uintptr_t)user, .flags = (uint8_t)flags};
    return softhv_gpa_set_memory(g, &r);
}

/* Verdict of one access. */
static inline int rig_access(struct softhv_gpa *g, uint64_t gpa, unsigned rights)
{
    uint8_t *host;
    return (int)softhv_gpa_access(g, gpa, rights, &host);
}

/* Rights of a page that is there. */
static inline unsigned rig_rights(struct softhv_gpa *g, uint64_t gpa)
{
    unsigned rights;
    assert_non_null(softhv_gpa_page(g, gpa, &rights));
    return rights;
}

#endif
