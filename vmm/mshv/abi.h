/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_H
#define CAISSON_VMM_MSHV_ABI_H

/*
 * The interface of Linux's /dev/mshv: requests and structures, as the kernel's own header linux/mshv.h (Linux 6.15 to
 * 7.3) has them, under the same names so that one source compiles against either (tests/abi). What the hypervisor
 * behind the device defines is next door: abi_hvcall.h (hypercalls, statuses, properties), abi_features.h (processor
 * features), abi_regs.h (registers, virtual processor state), abi_msgs.h (intercept messages)
 * and abi_guest.h (what the guest itself sees).
 *
 * ABI and no logic. x86-64, little-endian; every reserved field must be zero unless something else is said. GPA: guest
 * physical address, PFN: GPA >> 12, VP: virtual processor.
 */

#include <stddef.h>
#include <stdint.h>

#define ABI_SIZE(type, bytes)       _Static_assert(sizeof(type) == (bytes), #type " has another size")
#define ABI_AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")

#include "vmm/mshv/abi_features.h"
#include "vmm/mshv/abi_guest.h"
#include "vmm/mshv/abi_hvcall.h"
#include "vmm/mshv/abi_msgs.h"
#include "vmm/mshv/abi_regs.h"

#define MSHV_DEVICE_PATH "/dev/mshv"

/* ---- Requests --------------------------------------------------------------------------------------------------- */

/* direction (0 none, 1 the kernel reads, 2 it writes, 3 both) << 30 | size << 16 | type << 8 | number */
#define MSHV_IOCTL                       0xB8u
#define MSHV_REQUEST(dir, number, bytes) ((dir) << 30 | (uint32_t)(bytes) << 16 | MSHV_IOCTL << 8 | (number))
#define MSHV_REQUEST_NONE(number)        MSHV_REQUEST(0u, number, 0)
#define MSHV_REQUEST_W(number, type)     MSHV_REQUEST(1u, number, sizeof(type))
#define MSHV_REQUEST_R(number, type)     MSHV_REQUEST(2u, number, sizeof(type))
#define MSHV_REQUEST_WR(number, type)    MSHV_REQUEST(3u, number, sizeof(type))

/* The same number means different things on different objects: the kind of descriptor comes first. */

/* device */
#define MSHV_CREATE_PARTITION MSHV_REQUEST_W(0x00u, struct mshv_create_partition) /* returns a descriptor */
/* device (Linux 6.19 and later), partition, VP */
#define MSHV_ROOT_HVCALL MSHV_REQUEST_WR(0x07u, struct mshv_root_hvcall)
/* partition */
#define MSHV_INITIALIZE_PARTITION   MSHV_REQUEST_NONE(0x00u)
#define MSHV_CREATE_VP              MSHV_REQUEST_W(0x01u, struct mshv_create_vp) /* returns a descriptor */
#define MSHV_SET_GUEST_MEMORY       MSHV_REQUEST_W(0x02u, struct mshv_user_mem_region)
#define MSHV_IRQFD                  MSHV_REQUEST_W(0x03u, struct mshv_user_irqfd)
#define MSHV_IOEVENTFD              MSHV_REQUEST_W(0x04u, struct mshv_user_ioeventfd)
#define MSHV_SET_MSI_ROUTING        MSHV_REQUEST_W(0x05u, struct mshv_user_irq_table)
#define MSHV_GET_GPAP_ACCESS_BITMAP MSHV_REQUEST_WR(0x06u, struct mshv_gpap_access_bitmap)
/* VP */
#define MSHV_RUN_VP       MSHV_REQUEST_R(0x00u, struct mshv_run_vp)
#define MSHV_GET_VP_STATE MSHV_REQUEST_WR(0x01u, struct mshv_get_set_vp_state)
#define MSHV_SET_VP_STATE MSHV_REQUEST_WR(0x02u, struct mshv_get_set_vp_state)

/* ---- Limits of the driver ---------------------------------------------------------------------------------------- */

#define MSHV_HV_PAGE_SIZE       4096u
#define MSHV_PAGE_SHIFT         12u
#define MSHV_MAX_VPS            256u  /* indices 0..255 */
#define MSHV_MAX_GUEST_IRQS     4096u /* routes; gsi 0..4095 */
#define MSHV_RUN_VP_BUF_SZ      256
#define MSHV_HVCALL_MAX_IN      4096u /* one page each */
#define MSHV_HVCALL_MIN_IN      8u    /* the partition id */
#define MSHV_HVCALL_MAX_OUT     4096u
#define MSHV_VP_STATE_MAX_PAGES 507u

/* ---- Device: partitions ------------------------------------------------------------------------------------------ */

enum {
    MSHV_PT_BIT_LAPIC = 0, /* the hypervisor has the local APICs */
    MSHV_PT_BIT_X2APIC = 1,
    MSHV_PT_BIT_GPA_SUPER_PAGES = 2,
    MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES = 3, /* the argument is struct mshv_create_partition_v2; Linux 6.19 */
    MSHV_PT_BIT_NESTED_VIRTUALIZATION = 4,  /* later than bit 3; in 7.2 */
    MSHV_PT_BIT_SMT_ENABLED_GUEST = 5       /* as bit 4 */
};
#define MSHV_PT_FLAGS_6_15 UINT64_C(0x07)
#define MSHV_PT_FLAGS_6_19 UINT64_C(0x0f)
#define MSHV_PT_FLAGS_MASK UINT64_C(0x3f) /* all of 7.2 */

enum {
    MSHV_PT_ISOLATION_NONE = 0,
    MSHV_PT_ISOLATION_SNP = 1 /* only kernels outside the mainline */
};

#define MSHV_NUM_CPU_FEATURES_BANKS 2

struct mshv_create_partition {
    uint64_t pt_flags; /* 1 << MSHV_PT_BIT_* */
    uint64_t pt_isolation;
};
ABI_SIZE(struct mshv_create_partition, 16);
ABI_AT(struct mshv_create_partition, pt_flags, 0);
ABI_AT(struct mshv_create_partition, pt_isolation, 8);

/* A longer argument under the same request number, announced by MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES. */
struct mshv_create_partition_v2 {
    uint64_t pt_flags;
    uint64_t pt_isolation;
    uint16_t pt_num_cpu_fbanks; /* MSHV_NUM_CPU_FEATURES_BANKS */
    uint8_t pt_rsvd[6];
    uint64_t
        pt_cpu_fbanks[MSHV_NUM_CPU_FEATURES_BANKS]; /* a bit that is set takes the feature away: HV_CPU0_*, HV_CPU1_* */
    uint64_t pt_rsvd1[2];
    uint64_t pt_disabled_xsave; /* HV_XSAVE_* */
} __attribute__((packed));
ABI_SIZE(struct mshv_create_partition_v2, 64);
ABI_AT(struct mshv_create_partition_v2, pt_isolation, 8);
ABI_AT(struct mshv_create_partition_v2, pt_num_cpu_fbanks, 16);
ABI_AT(struct mshv_create_partition_v2, pt_rsvd, 18);
ABI_AT(struct mshv_create_partition_v2, pt_cpu_fbanks, 24);
ABI_AT(struct mshv_create_partition_v2, pt_rsvd1, 40);
ABI_AT(struct mshv_create_partition_v2, pt_disabled_xsave, 56);

/*
 * Make the hypercall `code` on behalf of the object; the driver puts the partition's id into the first 8 input
 * bytes.
 */
struct mshv_root_hvcall {
    uint16_t code;
    uint16_t reps;   /* in: elements, 0 for a simple call; out: elements completed */
    uint16_t in_sz;  /* bytes, 8..4096 */
    uint16_t out_sz; /* bytes, 1..4096 if out_ptr is not 0 */
    uint16_t status; /* in: 0; out: HV_STATUS_*, also when the request fails because of it */
    uint8_t rsvd[6];
    uint64_t in_ptr;
    uint64_t out_ptr; /* may be 0 */
};
ABI_SIZE(struct mshv_root_hvcall, 32);
ABI_AT(struct mshv_root_hvcall, code, 0);
ABI_AT(struct mshv_root_hvcall, reps, 2);
ABI_AT(struct mshv_root_hvcall, in_sz, 4);
ABI_AT(struct mshv_root_hvcall, out_sz, 6);
ABI_AT(struct mshv_root_hvcall, status, 8);
ABI_AT(struct mshv_root_hvcall, rsvd, 10);
ABI_AT(struct mshv_root_hvcall, in_ptr, 16);
ABI_AT(struct mshv_root_hvcall, out_ptr, 24);

/* ---- Partition --------------------------------------------------------------------------------------------------- */

struct mshv_create_vp {
    uint32_t vp_index;
};
ABI_SIZE(struct mshv_create_vp, 4);
ABI_AT(struct mshv_create_vp, vp_index, 0);

enum { MSHV_SET_MEM_BIT_WRITABLE = 0, MSHV_SET_MEM_BIT_EXECUTABLE = 1, MSHV_SET_MEM_BIT_UNMAP = 2 };
#define MSHV_SET_MEM_FLAGS_MASK 0x7u

/* A region is known by exactly these three numbers; there are no slots. */
struct mshv_user_mem_region {
    uint64_t size; /* bytes, a multiple of the page */
    uint64_t guest_pfn;
    uint64_t userspace_addr; /* on a page boundary */
    uint8_t flags;           /* 1 << MSHV_SET_MEM_BIT_* */
    uint8_t rsvd[7];
};
ABI_SIZE(struct mshv_user_mem_region, 32);
ABI_AT(struct mshv_user_mem_region, size, 0);
ABI_AT(struct mshv_user_mem_region, guest_pfn, 8);
ABI_AT(struct mshv_user_mem_region, userspace_addr, 16);
ABI_AT(struct mshv_user_mem_region, flags, 24);
ABI_AT(struct mshv_user_mem_region, rsvd, 25);

enum { MSHV_IRQFD_BIT_DEASSIGN = 0, MSHV_IRQFD_BIT_RESAMPLE = 1 };
#define MSHV_IRQFD_FLAGS_MASK 0x3u

struct mshv_user_irqfd {
    int32_t fd;
    int32_t resamplefd; /* written at the guest's EOI */
    uint32_t gsi;
    uint32_t flags; /* 1 << MSHV_IRQFD_BIT_* */
};
ABI_SIZE(struct mshv_user_irqfd, 16);
ABI_AT(struct mshv_user_irqfd, fd, 0);
ABI_AT(struct mshv_user_irqfd, resamplefd, 4);
ABI_AT(struct mshv_user_irqfd, gsi, 8);
ABI_AT(struct mshv_user_irqfd, flags, 12);

enum {
    MSHV_IOEVENTFD_BIT_DATAMATCH = 0,
    MSHV_IOEVENTFD_BIT_PIO = 1, /* refused: EOPNOTSUPP */
    MSHV_IOEVENTFD_BIT_DEASSIGN = 2
};
#define MSHV_IOEVENTFD_FLAGS_MASK 0x7u

struct mshv_user_ioeventfd {
    uint64_t datamatch;
    uint64_t addr; /* GPA in bytes */
    uint32_t len;  /* 0 (any), 1, 2, 4, 8 */
    int32_t fd;
    uint32_t flags; /* 1 << MSHV_IOEVENTFD_BIT_* */
    uint8_t rsvd[4];
};
ABI_SIZE(struct mshv_user_ioeventfd, 32);
ABI_AT(struct mshv_user_ioeventfd, datamatch, 0);
ABI_AT(struct mshv_user_ioeventfd, addr, 8);
ABI_AT(struct mshv_user_ioeventfd, len, 16);
ABI_AT(struct mshv_user_ioeventfd, fd, 20);
ABI_AT(struct mshv_user_ioeventfd, flags, 24);
ABI_AT(struct mshv_user_ioeventfd, rsvd, 28);

struct mshv_user_irq_entry {
    uint32_t gsi;
    uint32_t address_lo; /* MSHV_MSI_ADDR_* */
    uint32_t address_hi; /* 0 */
    uint32_t data;       /* MSHV_MSI_DATA_* */
};
ABI_SIZE(struct mshv_user_irq_entry, 16);
ABI_AT(struct mshv_user_irq_entry, gsi, 0);
ABI_AT(struct mshv_user_irq_entry, address_lo, 4);
ABI_AT(struct mshv_user_irq_entry, address_hi, 8);
ABI_AT(struct mshv_user_irq_entry, data, 12);

/* What the driver takes out of an entry; all else is ignored. */
#define MSHV_MSI_ADDR_LOGICAL     0x00000004u
#define MSHV_MSI_ADDR_DEST_SHIFT  12u /* 8 bits of APIC id */
#define MSHV_MSI_ADDR_DEST_MASK   0x000ff000u
#define MSHV_MSI_DATA_VECTOR_MASK 0x000000ffu
#define MSHV_MSI_DATA_TYPE_SHIFT  8u /* 3 bits: enum hv_interrupt_type */
#define MSHV_MSI_DATA_TYPE_MASK   0x00000700u
#define MSHV_MSI_DATA_LEVEL       0x00008000u

/* Replaces the whole table; nr = 0 empties it. The request number has the size of the header. */
struct mshv_user_irq_table {
    uint32_t nr;
    uint32_t rsvd;
    struct mshv_user_irq_entry entries[];
};
ABI_SIZE(struct mshv_user_irq_table, 8);
ABI_AT(struct mshv_user_irq_table, nr, 0);
ABI_AT(struct mshv_user_irq_table, rsvd, 4);
ABI_AT(struct mshv_user_irq_table, entries, 8);

enum { MSHV_GPAP_ACCESS_TYPE_ACCESSED = 0, MSHV_GPAP_ACCESS_TYPE_DIRTY = 1, MSHV_GPAP_ACCESS_TYPE_COUNT = 2 };

enum {
    MSHV_GPAP_ACCESS_OP_NOOP = 0, /* every driver so far treats it as SET */
    MSHV_GPAP_ACCESS_OP_CLEAR = 1,
    MSHV_GPAP_ACCESS_OP_SET = 2,
    MSHV_GPAP_ACCESS_OP_COUNT = 3
};

struct mshv_gpap_access_bitmap {
    uint8_t access_type;
    uint8_t access_op;
    uint8_t rsvd[6];
    uint64_t page_count;
    uint64_t gpap_base;  /* PFN */
    uint64_t bitmap_ptr; /* one bit for each page, lowest first: the state before the operation */
};
ABI_SIZE(struct mshv_gpap_access_bitmap, 32);
ABI_AT(struct mshv_gpap_access_bitmap, access_type, 0);
ABI_AT(struct mshv_gpap_access_bitmap, access_op, 1);
ABI_AT(struct mshv_gpap_access_bitmap, rsvd, 2);
ABI_AT(struct mshv_gpap_access_bitmap, page_count, 8);
ABI_AT(struct mshv_gpap_access_bitmap, gpap_base, 16);
ABI_AT(struct mshv_gpap_access_bitmap, bitmap_ptr, 24);

/* ---- Virtual processor ------------------------------------------------------------------------------------------- */

/* Offsets, in pages, of what mmap on a VP shows. */
enum {
    MSHV_VP_MMAP_OFFSET_REGISTERS = 0,         /* struct hv_vp_register_page; may be absent (ENODEV) */
    MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE = 1, /* struct hv_message */
    MSHV_VP_MMAP_OFFSET_GHCB = 2,              /* encrypted partitions */
    MSHV_VP_MMAP_OFFSET_COUNT = 3
};

struct mshv_run_vp {
    uint8_t msg_buf[MSHV_RUN_VP_BUF_SZ]; /* struct hv_message, filled if the request returns 0 */
};
ABI_SIZE(struct mshv_run_vp, 256);
ABI_AT(struct mshv_run_vp, msg_buf, 0);

enum {
    MSHV_VP_STATE_LAPIC = 0,            /* struct hv_local_interrupt_controller_state */
    MSHV_VP_STATE_XSAVE = 1,            /* compacted XSAVE area */
    MSHV_VP_STATE_SIMP = 2,             /* 16 struct hv_message */
    MSHV_VP_STATE_SIEFP = 3,            /* 16 struct hv_synic_event_flags */
    MSHV_VP_STATE_SYNTHETIC_TIMERS = 4, /* struct hv_synthetic_timers_state */
    MSHV_VP_STATE_COUNT = 5
};

struct mshv_get_set_vp_state {
    uint8_t type; /* MSHV_VP_STATE_* */
    uint8_t rsvd[3];
    uint32_t buf_sz;  /* in: bytes of the buffer, whole pages; out: bytes needed */
    uint64_t buf_ptr; /* on a page boundary */
};
ABI_SIZE(struct mshv_get_set_vp_state, 16);
ABI_AT(struct mshv_get_set_vp_state, type, 0);
ABI_AT(struct mshv_get_set_vp_state, rsvd, 1);
ABI_AT(struct mshv_get_set_vp_state, buf_sz, 4);
ABI_AT(struct mshv_get_set_vp_state, buf_ptr, 8);

/* ---- The request numbers, worked out by hand --------------------------------------------------------------------- */

_Static_assert(MSHV_CREATE_PARTITION == 0x4010B800u, "MSHV_CREATE_PARTITION");
_Static_assert(MSHV_ROOT_HVCALL == 0xC020B807u, "MSHV_ROOT_HVCALL");
_Static_assert(MSHV_INITIALIZE_PARTITION == 0x0000B800u, "MSHV_INITIALIZE_PARTITION");
_Static_assert(MSHV_CREATE_VP == 0x4004B801u, "MSHV_CREATE_VP");
_Static_assert(MSHV_SET_GUEST_MEMORY == 0x4020B802u, "MSHV_SET_GUEST_MEMORY");
_Static_assert(MSHV_IRQFD == 0x4010B803u, "MSHV_IRQFD");
_Static_assert(MSHV_IOEVENTFD == 0x4020B804u, "MSHV_IOEVENTFD");
_Static_assert(MSHV_SET_MSI_ROUTING == 0x4008B805u, "MSHV_SET_MSI_ROUTING");
_Static_assert(MSHV_GET_GPAP_ACCESS_BITMAP == 0xC020B806u, "MSHV_GET_GPAP_ACCESS_BITMAP");
_Static_assert(MSHV_RUN_VP == 0x8100B800u, "MSHV_RUN_VP");
_Static_assert(MSHV_GET_VP_STATE == 0xC010B801u, "MSHV_GET_VP_STATE");
_Static_assert(MSHV_SET_VP_STATE == 0xC010B802u, "MSHV_SET_VP_STATE");

/* Requests of kernels outside the mainline that existing programs try first; the mainline answers ENOTTY. */
#define MSHV_LEGACY_GET_HOST_PARTITION_PROPERTY 0xC010B801u /* device */
#define MSHV_LEGACY_VP_TRANSLATE_GVA            0xC020B8F2u /* VP */

#endif
