/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition of softhv with 1 MiB of memory, for tests that run small guests on it and act as the client.
 *
 * Functions check for themselves, by cmocka's assertions, that what they do succeeds.
 */
#ifndef CAISSON_TESTS_LIB_SOFTHV_RIG_H
#define CAISSON_TESTS_LIB_SOFTHV_RIG_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/softhv/hvcall.h"
#include "vmm/softhv/vp.h"

#define RIG_RAM_BYTES  0x100000u
#define RIG_CODE       0x1000u /* where VP 0 starts, in real mode */
#define RIG_HANDLER    0x2000u /* free for an interrupt handler */
#define RIG_STACK      0x8000u
#define RIG_VECTOR     0x40u
#define RIG_FLAGS_BASE UINT64_C(3) /* of MSHV_CREATE_PARTITION: LAPIC, X2APIC */

struct softhv_rig {
    struct softhv_host host;
    struct softhv_partition *p;
    uint8_t *ram; /* at guest address 0 */
};

/* The machine as of some kernel, with the processor's whole model. */
struct softhv_host rig_host(enum softhv_kernel kernel);

/*
 * An initialised partition with synthetic features (property SYNTHETIC_PROC_FEATURES, 0 in rig_init), its memory, and
 * VP 0 in real mode at RIG_CODE, its local APIC enabled. Then rig_fini.
 */
void rig_init_with(struct softhv_rig *r, uint64_t synthetic);
void rig_init(struct softhv_rig *r);
void rig_fini(struct softhv_rig *r);

struct softhv_vp *rig_vp(struct softhv_rig *r, uint32_t index);
/* Make another VP. */
struct softhv_vp *rig_vp_new(struct softhv_rig *r, uint32_t index);

/* One call on the partition's descriptor: its status. out: MSHV_HVCALL_MAX_OUT bytes, or NULL. */
int rig_hvcall(struct softhv_rig *r, uint16_t code, uint16_t reps, const void *in, size_t bytes, uint8_t *out);

void rig_set_register(struct softhv_rig *r, uint32_t vp, uint32_t name, union hv_register_value value);
union hv_register_value rig_get_register(struct softhv_rig *r, uint32_t vp, uint32_t name);
void rig_set64(struct softhv_rig *r, uint32_t vp, uint32_t name, uint64_t value);
uint64_t rig_get64(struct softhv_rig *r, uint32_t vp, uint32_t name);
void rig_set_segment(struct softhv_rig *r, uint32_t vp, uint32_t name, uint16_t selector, uint64_t base, uint16_t attr);
int rig_set_property(struct softhv_rig *r, uint32_t property, uint64_t value);
uint64_t rig_get_property(struct softhv_rig *r, uint32_t property);
/* INSTALL_INTERCEPT, and REGISTER_INTERCEPT_RESULT for an MSR: the status. */
int rig_install(struct softhv_rig *r, uint32_t type, uint32_t access, uint64_t parameter);
int rig_msr_result(struct softhv_rig *r, uint32_t vp, uint32_t type, uint32_t msr, uint32_t access, uint32_t action);
/* REGISTER_INTERCEPT_RESULT for CPUID, all bits of all registers, always. */
void rig_cpuid(struct softhv_rig *r, uint32_t vp, uint32_t leaf, const struct hv_cpuid_result *value);
/* A fixed interrupt for APIC id 0; more: other bits of the control word. */
void rig_interrupt(struct softhv_rig *r, uint32_t vector, uint64_t more);

void rig_put(struct softhv_rig *r, uint32_t at, const void *code, size_t bytes);
/* Bytes into memory. */
#define RIG_PUT(r, at, ...) rig_put((r), (at), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
/* A real-mode interrupt vector that leads to address `at`, below 64 KiB. */
void rig_vector(struct softhv_rig *r, unsigned vector, uint32_t at);

/* Run a VP to its next message, which is of this type; the payload, in *m. */
const void *rig_run(struct softhv_rig *r, uint32_t vp, uint32_t type, struct hv_message *m);
/* Run a VP to its next port access, which is of this port, and step over it. Returns EAX as it was written. */
uint32_t rig_run_to_port(struct softhv_rig *r, uint32_t vp, uint16_t port);

/* A VP on a thread of its own. */
struct rig_runner {
    pthread_t thread;
    struct softhv_vp *vp;
    struct hv_message message;
    int result;
};
void rig_start(struct rig_runner *t, struct softhv_vp *vp);
void rig_join(struct rig_runner *t);
/* Until the VP has executed something and stopped to wait: a turn is longer than any of the programs here. */
void rig_until_waiting(struct softhv_vp *vp, uint64_t since);

#endif
