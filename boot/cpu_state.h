/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The state in which the first virtual processor meets the kernel's first instruction, and the tables it needs: a GDT,
 * and page tables for the 64-bit entry. The other processors wait for their start-up interrupts as after reset.
 *
 *                LINUX64                              PVH
 *     mode       64-bit, 4 GiB mapped one to one      32-bit, paging off
 *     segments   flat, CS 10h (64-bit), data 18h      flat, CS 10h (32-bit), data 18h
 *     pointer    RSI: zero page                       EBX: start info
 *     flags      interrupts off                       interrupts off
 *
 * Sources: Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol"; Xen, docs/misc/pvh.pandoc; Intel SDM 3A,
 * 3.4.5 (descriptors), 4.5 (page tables).
 */
#ifndef CAISSON_BOOT_CPU_STATE_H
#define CAISSON_BOOT_CPU_STATE_H

#include <stdint.h>

#include "boot/kernel.h"
#include "boot/parts.h"

/* A segment register with its hidden part; attr: the second descriptor word >> 8 without limit bits. */
struct boot_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint16_t selector;
    uint16_t attr;
};

struct boot_table_register {
    uint64_t base;
    uint16_t limit;
};

/* Registers not named here are zero. */
struct boot_cpu_state {
    uint64_t rip, rsp, rflags;
    uint64_t rbx, rsi;
    uint64_t cr0, cr3, cr4, efer;
    struct boot_segment cs, ds, es, fs, gs, ss, tr, ldt;
    struct boot_table_register gdt, idt;
};

#define BOOT_GDT_ENTRIES  6u /* null, unused, code, data, task state (two) */
#define BOOT_GDT_BYTES    (BOOT_GDT_ENTRIES * 8)
#define BOOT_SELECTOR_CS  0x10u
#define BOOT_SELECTOR_DS  0x18u
#define BOOT_SELECTOR_TSS 0x20u

#define BOOT_PAGE_TABLES_BYTES (6 * GUEST_PAGE_BYTES) /* one PML4, one PDPT, four page directories of 2 MiB pages */

/* Add GDT and, for LINUX64, page tables to the list, and fill *out. Returns 0, or what the list says. */
int boot_cpu_state_place(const struct boot_kernel *kernel, struct boot_parts *parts, struct boot_cpu_state *out,
                         struct err *err);

#endif
