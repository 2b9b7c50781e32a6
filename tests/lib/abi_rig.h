/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_ABI_RIG_H
#define CAISSON_TESTS_LIB_ABI_RIG_H

/*
 * What the cases of the conformance suite share: raw requests, bad addresses, a small partition with a guest in real
 * mode, and a VP on a thread of its own. Everything goes through the port. Functions that "must" succeed fail the case
 * otherwise; those that return a result leave the judgement to the case. Except for struct abi_runner, the thread of
 * the case only.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/lib/abi_port.h"
#include "vmm/mshv/abi.h"

#define ABI_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Requests ---- */

/* argument: the structure's address, which the case may have made a bad one. Returns >= 0 or a negative errno. */
int abi_ioctl(struct abi *a, int fd, uint32_t request, uintptr_t argument);
#define ABI_IOCTL(a, fd, request, pointer) abi_ioctl(a, fd, request, (uintptr_t)(pointer))

/* All must succeed. Descriptors are the caller's to close. */
int abi_open(struct abi *a);
int abi_new_partition(struct abi *a, uint64_t flags);
void abi_initialize(struct abi *a, int partition);
int abi_new_vp(struct abi *a, int partition, uint32_t index);
void abi_close(struct abi *a, int fd);

/* Every request of the interface and some that are not of it; on: which kinds of descriptor know it. */
enum { ABI_ON_DEVICE = 1, ABI_ON_PARTITION = 2, ABI_ON_VP = 4 };
struct abi_request {
    const char *name;
    uint32_t request;
    unsigned on;
};
extern const struct abi_request abi_requests[];
extern const size_t abi_request_count;

/* Each request that a descriptor of this kind does not know must be ENOTTY, and each it knows with a size or direction
 * that is off by something. */
void abi_expect_strangers_refused(struct abi *a, int fd, unsigned kind);

/* ---- Memory of the client ---- */

/* Pages of the case, zeroed, readable and writable. */
uint8_t *abi_pages(size_t bytes);
void abi_pages_free(uint8_t *pages, size_t bytes);

/* A page where nothing ever is (vm.mmap_min_addr): one that was unmapped may be another thread's a moment later. */
#define ABI_NOWHERE ((uintptr_t)0x1000)

/* Two pages: the first writable, behind it none. The end of the first is where a structure that is too long ends. */
uint8_t *abi_edge(void);
void abi_edge_free(uint8_t *edge);

/* A request whose argument cannot be read must be EFAULT: not mapped, no rights, kernel's half, NULL. */
void abi_expect_efault(struct abi *a, int fd, uint32_t request);

/* ---- Hypercalls ---- */

struct abi_call {
    int result;      /* of the request */
    uint16_t status; /* HV_STATUS_* */
    uint16_t reps;   /* completed */
};

/*
 * Make one on a descriptor. out may be NULL. Lack of memory that old kernels show (EAGAIN) is retried. Result and
 * status must go together as the driver's table has it; a result without a status is one the driver made itself.
 */
struct abi_call abi_hvcall(struct abi *a, int fd, uint16_t code, uint16_t reps, const void *in, size_t in_bytes,
                           void *out, size_t out_bytes);
/* A simple one without output; its status. */
uint16_t abi_status(struct abi *a, int fd, uint16_t code, const void *in, size_t in_bytes);
/* The driver's errno for a status, positive. */
int abi_errno_of(uint16_t status);

/* Properties by hypercall; the status. */
uint16_t abi_set_property(struct abi *a, int fd, uint32_t property, uint64_t value);
uint16_t abi_get_property(struct abi *a, int fd, uint32_t property, uint64_t *value);

/* Registers by hypercall on any descriptor of the partition; the status. */
uint16_t abi_set_register(struct abi *a, int fd, uint32_t vp, uint32_t name, union hv_register_value value);
uint16_t abi_get_register(struct abi *a, int fd, uint32_t vp, uint32_t name, union hv_register_value *value);
/* These must succeed. */
void abi_set64(struct abi *a, int fd, uint32_t vp, uint32_t name, uint64_t value);
uint64_t abi_get64(struct abi *a, int fd, uint32_t vp, uint32_t name);
void abi_set_segment(struct abi *a, int fd, uint32_t vp, uint32_t name, uint16_t selector, uint64_t base);

/* ---- A partition with a guest ---- */

#define ABI_RAM_BYTES    0x100000u /* at 0 */
#define ABI_CODE         0x1000u   /* where VP 0 starts */
#define ABI_HANDLER      0x2000u
#define ABI_CODE1        0x3000u
#define ABI_STACK        0x8000u
#define ABI_DATA         0x9000u
#define ABI_VECTOR       0x40u
#define ABI_FLAGS        (UINT64_C(1) << MSHV_PT_BIT_LAPIC | UINT64_C(1) << MSHV_PT_BIT_X2APIC)
#define ABI_APIC_BASE    0xfee00000u
#define ABI_SYNTHETIC    UINT64_C(0x06400ffb) /* what QEMU asks for */
#define ABI_ACCESS_READ  HV_INTERCEPT_ACCESS_READ
#define ABI_ACCESS_WRITE HV_INTERCEPT_ACCESS_WRITE

struct abi_vm {
    struct abi *a;
    int partition;
    int vp; /* VP 0 */
    uint8_t *ram;
};

/*
 * An initialised partition with ABI_SYNTHETIC, memory, and VP 0 in real mode at ABI_CODE with a flat 64 KiB of data at
 * 0, its local APIC enabled. Must succeed.
 */
void abi_vm_init(struct abi *a, struct abi_vm *vm);
void abi_vm_fini(struct abi_vm *vm);
/* Another VP, as VP 0 but at ABI_CODE1, ready to run. Returns its descriptor, the caller's. */
int abi_vm_add(struct abi_vm *vm, uint32_t index);

/* Code or data at a guest address. */
#define ABI_PUT(vm, at, ...)                                                                                           \
    (void)memcpy((vm)->ram + (at), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
/* Real-mode vector to a handler in segment 0. */
void abi_vm_set_vector(struct abi_vm *vm, uint8_t vector, uint16_t handler);

/* Run to the next message; calls that were interrupted are made again. Returns 0 or the errno. */
int abi_run_once(struct abi *a, int vp, struct hv_message *m);
/* The same; it must be a message of this type. Returns its payload, in *m. */
const void *abi_run(struct abi *a, int vp, uint32_t type, struct hv_message *m);
/* Run to an OUT to this port, and move RIP behind it. Returns RAX. */
uint64_t abi_run_to_port(struct abi *a, int vp, uint32_t index, uint16_t port);

/* A word of guest memory that the guest changes meanwhile. */
uint32_t abi_vm_word(const struct abi_vm *vm, uint32_t at);
/* Wait until it is no longer `old`: the guest is running. Returns what it is then. */
uint32_t abi_vm_await(const struct abi_vm *vm, uint32_t at, uint32_t old);
/* Let the guest change it so many times. */
void abi_vm_await_times(const struct abi_vm *vm, uint32_t at, unsigned times);

/* ---- A VP on a thread ---- */

struct abi_runner {
    pthread_t thread;
    struct abi *a;
    int fd;
    struct hv_message message;
    int result;
    atomic_bool begun, stop, done;
};

/*
 * Start MSHV_RUN_VP on a thread. It repeats what was interrupted until abi_runner_kick asks it to stop; a message ends
 * it. The struct has to live until abi_runner_join or _kick: allocate it with abi_runner_start's return.
 */
struct abi_runner *abi_runner_start(struct abi *a, int vp);
/* Wait for its message. Returns the result and frees it; *m is written if the result is 0. */
int abi_runner_join(struct abi_runner *r, struct hv_message *m);
/* Signal the thread until it has left MSHV_RUN_VP, as any client must. Returns as abi_runner_join. */
int abi_runner_kick(struct abi_runner *r, struct hv_message *m);

#endif
