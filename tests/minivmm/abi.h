/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the small VMM knows of /dev/mshv: its own declarations, written from the interface's description and not from
 * caisson's, so that a mistake there is not repeated here. The driver's half comes from the kernel's header where this
 * system has it; the sizes and numbers below hold for either. Hypervisor structures are the VMM's own in both cases.
 */
#ifndef MINIVMM_ABI_H
#define MINIVMM_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#if defined(__has_include) && __has_include(<linux/mshv.h>)
#include <linux/mshv.h>
#else

struct mshv_create_partition {
    uint64_t pt_flags, pt_isolation;
};
struct mshv_create_vp {
    uint32_t vp_index;
};
struct mshv_user_mem_region {
    uint64_t size, guest_pfn, userspace_addr;
    uint8_t flags, rsvd[7];
};
struct mshv_user_irqfd {
    int32_t fd, resamplefd;
    uint32_t gsi, flags;
};
struct mshv_user_ioeventfd {
    uint64_t datamatch, addr;
    uint32_t len;
    int32_t fd;
    uint32_t flags;
    uint8_t rsvd[4];
};
struct mshv_user_irq_entry {
    uint32_t gsi, address_lo, address_hi, data;
};
struct mshv_user_irq_table {
    uint32_t nr, rsvd;
    struct mshv_user_irq_entry entries[];
};
struct mshv_run_vp {
    uint8_t msg_buf[256];
};
struct mshv_root_hvcall {
    uint16_t code, reps, in_sz, out_sz, status;
    uint8_t rsvd[6];
    uint64_t in_ptr, out_ptr;
};

enum { MSHV_PT_BIT_LAPIC, MSHV_PT_BIT_X2APIC };
enum { MSHV_SET_MEM_BIT_WRITABLE, MSHV_SET_MEM_BIT_EXECUTABLE };
enum { MSHV_IOEVENTFD_BIT_DATAMATCH };

#define MSHV_CREATE_PARTITION     _IOW(0xB8, 0x00, struct mshv_create_partition)
#define MSHV_INITIALIZE_PARTITION _IO(0xB8, 0x00)
#define MSHV_CREATE_VP            _IOW(0xB8, 0x01, struct mshv_create_vp)
#define MSHV_SET_GUEST_MEMORY     _IOW(0xB8, 0x02, struct mshv_user_mem_region)
#define MSHV_IRQFD                _IOW(0xB8, 0x03, struct mshv_user_irqfd)
#define MSHV_IOEVENTFD            _IOW(0xB8, 0x04, struct mshv_user_ioeventfd)
#define MSHV_SET_MSI_ROUTING      _IOW(0xB8, 0x05, struct mshv_user_irq_table)
#define MSHV_ROOT_HVCALL          _IOWR(0xB8, 0x07, struct mshv_root_hvcall)
#define MSHV_RUN_VP               _IOR(0xB8, 0x00, struct mshv_run_vp)

#endif

_Static_assert(MSHV_CREATE_PARTITION == 0x4010B800u && MSHV_PT_BIT_LAPIC == 0 && MSHV_PT_BIT_X2APIC == 1, "partition");
_Static_assert(MSHV_INITIALIZE_PARTITION == 0x0000B800u && MSHV_CREATE_VP == 0x4004B801u, "partition");
_Static_assert(MSHV_SET_GUEST_MEMORY == 0x4020B802u && MSHV_SET_MEM_BIT_EXECUTABLE == 1, "memory");
_Static_assert(offsetof(struct mshv_user_mem_region, flags) == 24, "memory");
_Static_assert(MSHV_IRQFD == 0x4010B803u && MSHV_SET_MSI_ROUTING == 0x4008B805u, "interrupts");
_Static_assert(MSHV_IOEVENTFD == 0x4020B804u && MSHV_IOEVENTFD_BIT_DATAMATCH == 0, "doorbells");
_Static_assert(offsetof(struct mshv_user_ioeventfd, fd) == 20, "doorbells");
_Static_assert(MSHV_ROOT_HVCALL == 0xC020B807u && offsetof(struct mshv_root_hvcall, in_ptr) == 16, "hypercalls");
_Static_assert(MSHV_RUN_VP == 0x8100B800u && sizeof(struct mshv_run_vp) == 256, "run");

/* ---- The hypervisor's half ---- */

enum {
    CALL_SET_PROPERTY = 0x45,
    CALL_GET_REGISTERS = 0x50,
    CALL_SET_REGISTERS = 0x51,
    CALL_ASSERT_INTERRUPT = 0x94,
    PROPERTY_UNIMPLEMENTED_MSR = 0x50017,
    INTERRUPT_FIXED = 0
};
#define INTERRUPT_LEVEL (UINT64_C(1) << 32)

enum {
    NAME_GPR = 0x20000, /* RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15 */
    NAME_RIP = 0x20010,
    NAME_RFLAGS = 0x20011,
    NAME_CR0 = 0x40000,
    NAME_CR3 = 0x40002,
    NAME_CR4 = 0x40003,
    NAME_ES = 0x60000,
    NAME_CS = 0x60001,
    NAME_SS = 0x60002,
    NAME_DS = 0x60003,
    NAME_FS = 0x60004,
    NAME_GS = 0x60005,
    NAME_EFER = 0x80001
};
#define GPRS 16
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

struct segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector, attributes; /* L is bit 13, D/B 14 */
};
#define SEGMENT_LONG 0x2000u
#define SEGMENT_BIG  0x4000u

struct registers_head {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, rsvd[3];
};
struct register_value {
    uint32_t name, rsvd0;
    uint64_t rsvd1;
    union {
        uint64_t u64[2];
        struct segment segment;
    };
};
_Static_assert(sizeof(struct registers_head) == 16 && sizeof(struct register_value) == 32, "registers");

struct message {
    uint32_t type;
    uint8_t bytes, flags, rsvd[2];
    uint64_t sender;
    uint8_t payload[240];
};
_Static_assert(sizeof(struct message) == 256, "message");

enum {
    MESSAGE_UNMAPPED_GPA = 0x80000000,
    MESSAGE_GPA_INTERCEPT = 0x80000001,
    MESSAGE_IO_PORT = 0x80010000,
    MESSAGE_APIC_EOI = 0x80010004
};

struct exit_head {
    uint32_t vp;
    uint8_t length_cr8; /* instruction length, CR8 << 4 */
    uint8_t access;     /* 0 read, 1 write, 2 execute */
    uint16_t state;     /* CPL, CR0.PE << 2, ... */
    struct segment cs;
    uint64_t rip, rflags;
};
#define STATE_LMA 0x10u

struct memory_exit {
    struct exit_head head;
    uint32_t cache;
    uint8_t count, info, tpr, rsvd;
    uint64_t gva, gpa;
    uint8_t bytes[16];
};

struct port_exit {
    struct exit_head head;
    uint16_t port;
    uint8_t info; /* size, 8: string, 16: REP */
    uint8_t count;
    uint32_t rsvd;
    uint64_t rax;
    uint8_t bytes[16];
    struct segment ds, es;
    uint64_t rcx, rsi, rdi;
};
#define PORT_STRING_OP 0x08u
#define PORT_REP       0x10u

struct eoi_exit {
    uint32_t vp, vector;
};
_Static_assert(sizeof(struct exit_head) == 40 && sizeof(struct memory_exit) == 80, "exits");
_Static_assert(sizeof(struct port_exit) == 128 && offsetof(struct port_exit, ds) == 72, "exits");

/* The beginning of page 0 of a VP. */
struct register_page {
    uint16_t version;
    uint8_t valid, rsvd;
    uint32_t dirty;
    uint64_t gpr[GPRS];
    uint64_t rip, rflags;
};
#define DIRTY_GPR 1u
#define DIRTY_RIP 2u

#endif
