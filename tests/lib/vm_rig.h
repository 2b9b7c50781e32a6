/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_VM_RIG_H
#define CAISSON_TESTS_LIB_VM_RIG_H

/*
 * A whole machine of vmm/vm.h on softhv, from a boot image made by hand: 1 MiB of memory, a few bytes of guest code,
 * and VP 0 in real mode with segments of 4 GiB, so that devices in memory are within reach. The port between the two
 * counts calls and makes a chosen one fail. Functions that "must" succeed fail the test otherwise.
 *
 * Guests are written with VM_GUEST, in 16-bit code that may lie anywhere.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/vm.h"

#define VM_RIG_CODE      0x1000u
#define VM_RIG_HANDLER   0x2000u /* where vector VM_RIG_VECTOR leads */
#define VM_RIG_AP        0x3000u /* for start-up interrupts: vector 3 */
#define VM_RIG_STACK     0x8000u
#define VM_RIG_DATA      0x9000u
#define VM_RIG_RAM_BYTES 0x100000u
#define VM_RIG_VECTOR    0x40u

/* Define bytes of guest code as name[] to name_end[]. source: lines of assembler. */
#define VM_GUEST(name, source)                                                                                         \
    extern const uint8_t name[], name##_end[];                                                                         \
    __asm__(".pushsection .rodata\n.code16\n.globl " #name "\n.globl " #name "_end\n" #name ":\n" source "\n" #name    \
            "_end:\n.code64\n.popsection\n")

struct softhv_instance;

struct vm_rig {
    struct softhv_instance *soft;
    struct mshv_port inner, port;
    atomic_uint calls; /* of open, ioctl and mmap through the port */
    unsigned fail_at;  /* the call with this number fails, 1 is the first; 0: none */
    int fail_with;     /* positive errno */
    atomic_int open;   /* descriptors and mappings that the client holds */
    struct boot_image image;
    struct vm_config config;
    struct vm vm;
    char console[4096], channel[4096]; /* what the guest sent, as strings */
    atomic_size_t console_bytes, channel_bytes;
    atomic_uint rooms; /* calls of channel.room */
    uint64_t utc_s;    /* the guest's clock */
};

/* Make image and configuration: one VP, console, no channel. Then change what is to be otherwise, then vm_rig_build. */
void vm_rig_init(struct vm_rig *r, const uint8_t *code, const uint8_t *code_end);
void vm_rig_fini(struct vm_rig *r);
/* More code or data. bytes: borrowed. */
void vm_rig_add(struct vm_rig *r, uint64_t gpa, const uint8_t *bytes, const uint8_t *end);
/* Let COM2 be there. */
void vm_rig_add_channel(struct vm_rig *r);

/* vm_build, which must succeed. */
void vm_rig_build(struct vm_rig *r);
/* vm_start, wait for the end (a minute at most, or the test fails), vm_join. Returns the end. */
enum vm_end vm_rig_run(struct vm_rig *r);
/* Build and run. */
enum vm_end vm_rig_build_and_run(struct vm_rig *r);

/* How many descriptors this process has open. */
unsigned vm_rig_descriptors(void);

#endif
