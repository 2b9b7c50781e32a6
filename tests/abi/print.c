/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Prints what the device's interface looks like through one of two headers: ours, or with ABI_FROM_KERNEL defined the
 * kernel's own. scripts/abi-compare builds both and compares. One line for each size, offset and value.
 */

#if defined(ABI_FROM_KERNEL)
#include <linux/ioctl.h>
#include <linux/mshv.h>
#else
#include "vmm/mshv/abi.h"
#endif

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIZE(type)  printf("sizeof struct %s %zu\n", #type, sizeof(struct type))
#define VALUE(name) printf("%s 0x%" PRIx64 "\n", #name, (uint64_t)(name))
/* Place and length of a field. */
#define FIELD(type, field)                                                                                             \
    printf("struct %s.%s at %zu, %zu bytes\n", #type, #field, offsetof(struct type, field),                            \
           sizeof(((struct type *)0)->field))
/* Place of the array at the end. */
#define TAIL(type, field)                                                                                              \
    printf("struct %s.%s at %zu, %zu bytes each\n", #type, #field, offsetof(struct type, field),                       \
           sizeof(((struct type *)0)->field[0]))

static void print_requests(void)
{
    VALUE(MSHV_CREATE_PARTITION);
    VALUE(MSHV_ROOT_HVCALL);
    VALUE(MSHV_INITIALIZE_PARTITION);
    VALUE(MSHV_CREATE_VP);
    VALUE(MSHV_SET_GUEST_MEMORY);
    VALUE(MSHV_IRQFD);
    VALUE(MSHV_IOEVENTFD);
    VALUE(MSHV_SET_MSI_ROUTING);
    VALUE(MSHV_GET_GPAP_ACCESS_BITMAP);
    VALUE(MSHV_RUN_VP);
    VALUE(MSHV_GET_VP_STATE);
    VALUE(MSHV_SET_VP_STATE);
}

static void print_values(void)
{
    VALUE(MSHV_IOCTL);
    VALUE(MSHV_HV_PAGE_SIZE);
    VALUE(MSHV_RUN_VP_BUF_SZ);
    VALUE(MSHV_NUM_CPU_FEATURES_BANKS);
    VALUE(MSHV_PT_BIT_LAPIC);
    VALUE(MSHV_PT_BIT_X2APIC);
    VALUE(MSHV_PT_BIT_GPA_SUPER_PAGES);
    VALUE(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES);
    VALUE(MSHV_PT_BIT_NESTED_VIRTUALIZATION);
    VALUE(MSHV_PT_BIT_SMT_ENABLED_GUEST);
    VALUE(MSHV_PT_FLAGS_MASK);
    VALUE(MSHV_PT_ISOLATION_NONE);
    VALUE(MSHV_SET_MEM_BIT_WRITABLE);
    VALUE(MSHV_SET_MEM_BIT_EXECUTABLE);
    VALUE(MSHV_SET_MEM_BIT_UNMAP);
    VALUE(MSHV_SET_MEM_FLAGS_MASK);
    VALUE(MSHV_IRQFD_BIT_DEASSIGN);
    VALUE(MSHV_IRQFD_BIT_RESAMPLE);
    VALUE(MSHV_IRQFD_FLAGS_MASK);
    VALUE(MSHV_IOEVENTFD_BIT_DATAMATCH);
    VALUE(MSHV_IOEVENTFD_BIT_PIO);
    VALUE(MSHV_IOEVENTFD_BIT_DEASSIGN);
    VALUE(MSHV_IOEVENTFD_FLAGS_MASK);
    VALUE(MSHV_GPAP_ACCESS_TYPE_ACCESSED);
    VALUE(MSHV_GPAP_ACCESS_TYPE_DIRTY);
    VALUE(MSHV_GPAP_ACCESS_TYPE_COUNT);
    VALUE(MSHV_GPAP_ACCESS_OP_NOOP);
    VALUE(MSHV_GPAP_ACCESS_OP_CLEAR);
    VALUE(MSHV_GPAP_ACCESS_OP_SET);
    VALUE(MSHV_GPAP_ACCESS_OP_COUNT);
    VALUE(MSHV_VP_MMAP_OFFSET_REGISTERS);
    VALUE(MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE);
    VALUE(MSHV_VP_MMAP_OFFSET_GHCB);
    VALUE(MSHV_VP_MMAP_OFFSET_COUNT);
    VALUE(MSHV_VP_STATE_LAPIC);
    VALUE(MSHV_VP_STATE_XSAVE);
    VALUE(MSHV_VP_STATE_SIMP);
    VALUE(MSHV_VP_STATE_SIEFP);
    VALUE(MSHV_VP_STATE_SYNTHETIC_TIMERS);
    VALUE(MSHV_VP_STATE_COUNT);
}

static void print_device_structures(void)
{
    SIZE(mshv_create_partition);
    FIELD(mshv_create_partition, pt_flags);
    FIELD(mshv_create_partition, pt_isolation);
    SIZE(mshv_create_partition_v2);
    FIELD(mshv_create_partition_v2, pt_flags);
    FIELD(mshv_create_partition_v2, pt_isolation);
    FIELD(mshv_create_partition_v2, pt_num_cpu_fbanks);
    FIELD(mshv_create_partition_v2, pt_rsvd);
    FIELD(mshv_create_partition_v2, pt_cpu_fbanks);
    FIELD(mshv_create_partition_v2, pt_rsvd1);
    FIELD(mshv_create_partition_v2, pt_disabled_xsave);
    SIZE(mshv_root_hvcall);
    FIELD(mshv_root_hvcall, code);
    FIELD(mshv_root_hvcall, reps);
    FIELD(mshv_root_hvcall, in_sz);
    FIELD(mshv_root_hvcall, out_sz);
    FIELD(mshv_root_hvcall, status);
    FIELD(mshv_root_hvcall, rsvd);
    FIELD(mshv_root_hvcall, in_ptr);
    FIELD(mshv_root_hvcall, out_ptr);
}

static void print_partition_structures(void)
{
    SIZE(mshv_create_vp);
    FIELD(mshv_create_vp, vp_index);
    SIZE(mshv_user_mem_region);
    FIELD(mshv_user_mem_region, size);
    FIELD(mshv_user_mem_region, guest_pfn);
    FIELD(mshv_user_mem_region, userspace_addr);
    FIELD(mshv_user_mem_region, flags);
    FIELD(mshv_user_mem_region, rsvd);
    SIZE(mshv_user_irqfd);
    FIELD(mshv_user_irqfd, fd);
    FIELD(mshv_user_irqfd, resamplefd);
    FIELD(mshv_user_irqfd, gsi);
    FIELD(mshv_user_irqfd, flags);
    SIZE(mshv_user_ioeventfd);
    FIELD(mshv_user_ioeventfd, datamatch);
    FIELD(mshv_user_ioeventfd, addr);
    FIELD(mshv_user_ioeventfd, len);
    FIELD(mshv_user_ioeventfd, fd);
    FIELD(mshv_user_ioeventfd, flags);
    FIELD(mshv_user_ioeventfd, rsvd);
    SIZE(mshv_user_irq_entry);
    FIELD(mshv_user_irq_entry, gsi);
    FIELD(mshv_user_irq_entry, address_lo);
    FIELD(mshv_user_irq_entry, address_hi);
    FIELD(mshv_user_irq_entry, data);
    SIZE(mshv_user_irq_table);
    FIELD(mshv_user_irq_table, nr);
    FIELD(mshv_user_irq_table, rsvd);
    TAIL(mshv_user_irq_table, entries);
    SIZE(mshv_gpap_access_bitmap);
    FIELD(mshv_gpap_access_bitmap, access_type);
    FIELD(mshv_gpap_access_bitmap, access_op);
    FIELD(mshv_gpap_access_bitmap, rsvd);
    FIELD(mshv_gpap_access_bitmap, page_count);
    FIELD(mshv_gpap_access_bitmap, gpap_base);
    FIELD(mshv_gpap_access_bitmap, bitmap_ptr);
}

static void print_vp_structures(void)
{
    SIZE(mshv_run_vp);
    FIELD(mshv_run_vp, msg_buf);
    SIZE(mshv_get_set_vp_state);
    FIELD(mshv_get_set_vp_state, type);
    FIELD(mshv_get_set_vp_state, rsvd);
    FIELD(mshv_get_set_vp_state, buf_sz);
    FIELD(mshv_get_set_vp_state, buf_ptr);
}

int main(void)
{
    print_requests();
    print_values();
    print_device_structures();
    print_partition_structures();
    print_vp_structures();
    return 0;
}
