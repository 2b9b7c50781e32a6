/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_EMULATE_RIG_H
#define CAISSON_TESTS_LIB_EMULATE_RIG_H

/*
 * An instruction executor of vmm/emulate.h over memory and devices that write down what is done to them. Functions that
 * "must" succeed fail the test otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/emulate.h"
#include "vmm/x86/cpu.h"

/* RAM, a device where a PC has its display, nothing, RAM. */
#define DEVICE       0xa0000u
#define DEVICE_BYTES 0x2000u
#define EMPTY        0xb0000u
#define CODE         0x1000u
#define STACK        0x8000u
#define DATA         0x9000u
#define ABSENT       0x20000u /* a page that is not there */
#define READ_ONLY    0x21000u
#define PORT         0x300u

#define PT 0x13000u /* the page table */

#define CR4_PKE     UINT64_C(0x400000)
#define FLAG_CARRY  UINT64_C(1)
#define FLAG_ZERO   UINT64_C(0x40)
#define FLAG_TRAP   UINT64_C(0x100)
#define FLAG_DF     UINT64_C(0x400)
#define FLAGS_EMPTY UINT64_C(2)

#define PATTERN UINT64_C(0x1122334455667788)

struct emulate_rig {
    struct memory memory;
    struct bus bus;
    struct emulate *emulate;
    struct mshv_vp_context context;
    struct emulate_fault fault;
    struct err err;
    struct mshv_exit exit;
    uint8_t device[DEVICE_BYTES];
    char log[1024]; /* accesses to devices, as "r4@10 w1@3=7f " */
    unsigned accesses;
    uint64_t port_value; /* what the port reads next; counts up */
};

/* A rig in 64-bit mode with RIP at CODE, RDI in the device, RAX the PATTERN. Fit for cmocka. */
int emulate_rig_set_up(void **state);
int emulate_rig_tear_down(void **state);

/* Other modes; RIP stays. All have flat segments of 4 GiB or, in real mode, 64 KiB. */
void emulate_rig_be_long(struct emulate_rig *r);
void emulate_rig_be_protected(struct emulate_rig *r);
void emulate_rig_be_real(struct emulate_rig *r);
/* Level 3, in the mode that it is in. */
void emulate_rig_be_user(struct emulate_rig *r);
struct hv_x64_segment_register emulate_rig_segment(uint16_t attributes, uint32_t limit, uint64_t base);

/* Memory; must be there. n: at most 8 for get. */
void emulate_rig_put(struct emulate_rig *r, uint64_t gpa, const void *bytes, size_t n);
uint64_t emulate_rig_get(struct emulate_rig *r, uint64_t gpa, size_t n);
void emulate_rig_put64(struct emulate_rig *r, uint64_t gpa, uint64_t value);

/* The last call must have raised this. */
void emulate_rig_expect_fault(const struct emulate_rig *r, uint8_t vector, bool has_error, uint32_t error,
                              uint64_t cr2);

#endif
