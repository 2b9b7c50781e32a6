/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A small VMM of its own for /dev/mshv: two VPs, some ports, a device, a ROM, and a trace of everything the hypervisor
 * says. It shares no line with caisson: where both understand a message differently, one of them is wrong.
 *
 * The same object files are linked twice. With sys_libc.c the VMM is an ordinary program that opens /dev/mshv, be it
 * the kernel's or that of the preload library; with sys_softhv.c its system calls on the device go to softhv in the
 * same process. run_test compares the two traces, and each with the reviewed one in <guest>.expected.
 *
 *     minivmm real|prot|long IMAGE        prints the trace of VP 0, then that of VP 1; exit code 0 when the guest ended
 *
 * The trace holds what is the same in every run: each message with all its fields and what the VMM did about it; no
 * time, no addresses of this process, nothing that depends on which VP was faster (each has a trace of its own).
 */
#ifndef MINIVMM_H
#define MINIVMM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "sys.h"

/* ---- The machine; guest.inc has the guest's side of these numbers ---- */

#define PAGE_BYTES 0x1000u
#define RAM_BYTES  0x80000u
#define ROM_GPA    0xe0000u
#define DEV_GPA    0xd0000u
#define BELL_GPA   0xd1000u /* the next page */
#define IMAGE_GPA  0x8000u
#define PML4_GPA   0x1000u

enum {
    PORT_ASK = 0x600,
    PORT_RINGS = 0x601,
    PORT_END = 0xf4,
    ASK_IRQFD = 1,
    ASK_ASSERT = 2,
    ASK_LEVEL = 3,
    VECTOR_IRQFD = 0x51,
    VECTOR_ASSERT = 0x52,
    VECTOR_LEVEL = 0x53,
    GSI = 5
};

enum mini_mode { MODE_REAL, MODE_PROT, MODE_LONG };

#define VPS   2
#define BELLS 2

struct mini_vp {
    struct mini_vm *vm;
    uint32_t index;
    int fd;
    struct register_page *page; /* NULL: registers by hypercalls. VP 1 always uses those */
    pthread_t thread;
    bool done;        /* its own thread's */
    atomic_bool left; /* its thread has ended */
    unsigned exits;
    char *trace;
    size_t trace_bytes;
};

struct mini_vm {
    const struct mini_sys *sys;
    enum mini_mode mode;
    int device, partition;
    uint8_t *ram, *rom;
    int irq;         /* eventfd of GSI */
    int bell[BELLS]; /* rung by the guest */
    uint8_t dev[PAGE_BYTES];
    uint32_t port_reads[VPS]; /* what the next IN shows */
    atomic_bool ended;        /* VP 0 is done: VP 1 is told by a signal */
    struct mini_vp vp[VPS];
};

/* Says what could not be done, with errno, and ends the program with 1. */
_Noreturn void mini_die(const char *what);

/* ---- vm.c: life ---- */

void mini_vm_make(struct mini_vm *vm, const struct mini_sys *sys, enum mini_mode mode, const char *image);
/* Closes everything, descriptors in an order that is not that of their making. */
void mini_vm_free(struct mini_vm *vm);

/* ---- hv.c: hypercalls and registers. A hypercall that fails ends the program ---- */

/* On a descriptor of the partition or a VP. reps: 0 for a simple one. */
void mini_call(struct mini_vm *vm, int fd, uint16_t code, uint16_t reps, void *in, size_t in_bytes, void *out,
               size_t out_bytes);
void mini_assert(struct mini_vm *vm, uint32_t vector, uint64_t control);
/* Where VP 0 begins. */
void mini_vp_start(struct mini_vp *vp);

uint64_t mini_vp_gpr(struct mini_vp *vp, unsigned gpr);
/* What a handled exit changes, handed to the hypervisor as one. */
struct mini_change {
    bool has_rip;
    uint64_t rip;
    uint16_t gprs; /* a bit for each that changes */
    uint64_t gpr[GPRS];
};
void mini_vp_change(struct mini_vp *vp, const struct mini_change *c);

/* ---- run.c: the loop of a VP, on its own thread ---- */

void *mini_vp_main(void *vp);

/* ---- mov.c: the instructions our guests use on the device ---- */

struct mini_mov {
    uint8_t length; /* bytes of the instruction */
    uint8_t size;   /* of the access, 1 to 8 */
    bool write;
    bool has_value;   /* an immediate is written, */
    uint64_t value;   /* this */
    uint8_t gpr;      /* else the register that is read or written; */
    uint8_t shift;    /* 8: its second byte */
    uint8_t reg_size; /* bytes of the register that a read sets, the rest of it zero: MOVZX and all 32-bit forms */
};

/* bits: 16, 32 or 64, of the code segment. False: not one of them. */
bool mini_mov_decode(const uint8_t *bytes, size_t count, unsigned bits, struct mini_mov *out);

/* ---- trace.c ---- */

void mini_trace(struct mini_vp *vp, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mini_trace_message(struct mini_vp *vp, const struct message *m);

#endif
