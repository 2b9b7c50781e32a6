/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtual machine: memory, partition, devices, processors, and the reason why it ended.
 *
 * Order of life, all but the middle by one thread: vm_build, vm_start, (the machine runs; whoever sees a reason calls
 * vm_stop, the first one wins), vm_join, vm_fini. stop_fd becomes readable when the machine is stopping.
 */
#ifndef CAISSON_VMM_VM_H
#define CAISSON_VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "boot/image.h"
#include "common/err.h"
#include "policy/seccomp/lock.h"
#include "vmm/bus.h"
#include "vmm/devices/ioapic.h"
#include "vmm/devices/power.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc.h"
#include "vmm/devices/serial.h"
#include "vmm/file.h"
#include "vmm/io.h"
#include "vmm/memory.h"
#include "vmm/mshv/device.h"
#include "vmm/mshv/partition.h"
#include "vmm/vcpu.h"

#define VM_VPS_MAX 16u

enum vm_end {
    VM_END_NONE,
    VM_END_ASKED,        /* the host's side had what it wanted */
    VM_END_POWER_OFF,    /* the guest switched off */
    VM_END_RESET,        /* the guest asked for a reset */
    VM_END_TRIPLE_FAULT, /* a processor shut down */
    VM_END_DEBUG_EXIT,   /* the guest wrote to the port that tests end with; see exit_code */
    VM_END_ERROR,        /* the guest did what cannot be served */
    VM_END_HOST          /* the host or the hypervisor failed */
};

/* Where a serial port's output goes, on the thread of the VP that wrote it, and who hears of room for input. */
struct vm_line {
    void (*output)(void *ctx, const uint8_t *bytes, size_t n);
    void (*room)(void *ctx); /* NULL: nobody */
    void *ctx;
};

struct vm_config {
    uint32_t vps;                   /* 1 to VM_VPS_MAX */
    const struct boot_image *image; /* borrowed during vm_build */
    /*
     * Makes the image and the kernel's file, once devices are there and before memory is: files can be read on another
     * thread meanwhile. 0, or -errno with *err. NULL: they are made.
     */
    int (*make_image)(void *ctx, struct err *err);
    void *image_ctx;
    const struct file *kernel;     /* file of the image's kernel, likewise: mapped, it is shown and not copied */
    struct vm_line console;        /* COM1 */
    struct vm_line channel;        /* COM2; output NULL: there is no such port */
    struct vm_line console_virtio; /* hvc0; room is not used */
    void (*panicked)(void *ctx);   /* the guest reported a panic, on the thread of a VP; NULL: nobody wants to know */
    void *panicked_ctx;
    const struct io_config *io;     /* virtio devices, borrowed until vm_fini; NULL: none */
    bool hugepages;                 /* memory from huge pages that are set aside on the host */
    bool lock_memory;               /* not to be swapped out; needs CONFIG_LOCK_MEMORY */
    struct seccomp_lock *lock_down; /* all threads enter it before a guest's instruction runs; borrowed; NULL: none */
    enum seccomp_role main_role;    /* of the thread that calls vm_start */
    struct log *log;                /* what devices have to say; may be NULL */
    struct rtc_config clock;        /* the guest's time of day; utc_s NULL: the host's. Needs CONFIG_RTC */
};

/* What a partition is asked for, the same for every machine; for measurements. */
struct vm_request {
    uint64_t partition_flags;    /* 1 << MSHV_PT_BIT_* */
    uint64_t synthetic_features; /* those of them are granted that the hypervisor has */
    uint64_t disabled_cpu_features[MSHV_NUM_CPU_FEATURES_BANKS];
    uint64_t disabled_xsave_features;
};
void vm_get_request(struct vm_request *out);

struct vm {
    /* Constant between vm_build and vm_fini. */
    struct mshv_device device;
    struct mshv_partition partition;
    struct memory memory;
    struct bus bus;
    struct ioapic ioapic;
    struct serial com1, com2;
    struct power power;
    struct rtc rtc;
    struct pvpanic pvpanic;
    void (*panicked)(void *ctx); /* who wants to know of it; NULL: nobody */
    void *panicked_ctx;
    struct io *io;
    struct seccomp_lock *lock_down;
    enum seccomp_role main_role;
    struct vcpu vcpu[VM_VPS_MAX];
    uint32_t vps;
    int stop_fd;                /* eventfd */
    bool has_aliases;           /* kept from the guest by turns, because the kernel does not map host memory twice */
    pthread_mutex_t alias_lock; /* guards partition.regions while VPs run */

    pthread_mutex_t lock; /* guards what follows */
    _Atomic enum vm_end end;
    uint8_t exit_code;        /* VM_END_DEBUG_EXIT */
    char why[ERR_TEXT_BYTES]; /* empty where the kind says it all */
};

/* Build a machine on the hypervisor behind port, which is borrowed. 0, or a negative errno with *vm ended. */
int vm_build(struct vm *vm, const struct vm_config *cfg, const struct mshv_port *port, struct err *err);
/* The machine must not run. Accepts a zeroed one. */
void vm_fini(struct vm *vm);

/*
 * Let the processors run, once all threads, this one included, are held to their roles. 0, or a negative errno: then
 * vm_stop and vm_join still have to follow. No threads can be made afterwards.
 */
int vm_start(struct vm *vm, struct err *err);
/* Wait until no processor runs; vm_stop must have been called by somebody. */
void vm_join(struct vm *vm);

/* End the machine for a reason, unless it has one already. Any thread; does not wait. */
void vm_stop(struct vm *vm, enum vm_end end, const char *why, ...) __attribute__((format(printf, 3, 4)));
/* The same with the text of an error. */
void vm_stop_with(struct vm *vm, enum vm_end end, const struct err *err);

static inline bool vm_is_stopping(const struct vm *vm)
{
    return atomic_load_explicit(&vm->end, memory_order_acquire) != VM_END_NONE;
}

/*
 * The guest touched gpa, where nothing is mapped: 1 if a dormant alias of memory is there and was mapped now, so that
 * the access is to be made again; 0 if not; negative, with *err, if that failed. Any VP's thread.
 */
int vm_wake_memory(struct vm *vm, gpa_t gpa, struct err *err);

/* The guest completed a level-triggered interrupt. Any thread. */
void vm_end_of_interrupt(struct vm *vm, uint8_t vector);

#endif
