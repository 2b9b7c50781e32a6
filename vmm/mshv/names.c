/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/names.h"

#include <errno.h>
#include <stddef.h>

#include "vmm/mshv/abi.h"

struct name {
    uint32_t value;
    const char *text;
};

static const char *find(const struct name *names, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].value == value) {
            return names[i].text;
        }
    }
    return NULL;
}

#define FIND(table, value) find(table, sizeof(table) / sizeof(table)[0], value)

const char *mshv_name_hvcall(uint32_t code)
{
    static const struct name names[] = {
#define HV_CALL(name, value) {(value), #name},
#include "vmm/mshv/abi_hvcall.def"
    };
    return FIND(names, code);
}

const char *mshv_name_status(uint32_t status)
{
    static const struct name names[] = {
#define HV_STATUS_CODE(name, value, error) {(value), #name},
#include "vmm/mshv/abi_hvcall.def"
    };
    return FIND(names, status);
}

const char *mshv_name_property(uint32_t code)
{
    static const struct name names[] = {
#define HV_PROPERTY(name, value) {(value), #name},
#include "vmm/mshv/abi_hvcall.def"
    };
    return FIND(names, code);
}

const char *mshv_name_register(uint32_t name)
{
    static const struct name names[] = {
#define HV_REGISTER(text, value) {(value), #text},
#include "vmm/mshv/abi_regs.def"
    };
    return FIND(names, name);
}

const char *mshv_name_message(uint32_t type)
{
    static const struct name names[] = {
#define NAMED(suffix) {HVMSG_##suffix, "HVMSG_" #suffix},
        HVMSG_LIST(NAMED)
#undef NAMED
    };
    return FIND(names, type);
}

/* An entry of an enumeration that has no list of its own. */
#define N(symbol)                                                                                                      \
    {                                                                                                                  \
        (symbol), #symbol                                                                                              \
    }

const char *mshv_name_intercept(uint32_t type)
{
    static const struct name names[] = {N(HV_INTERCEPT_TYPE_X64_IO_PORT),
                                        N(HV_INTERCEPT_TYPE_X64_MSR),
                                        N(HV_INTERCEPT_TYPE_X64_CPUID),
                                        N(HV_INTERCEPT_TYPE_EXCEPTION),
                                        N(HV_INTERCEPT_TYPE_MMIO),
                                        N(HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID),
                                        N(HV_INTERCEPT_TYPE_X64_APIC_SMI),
                                        N(HV_INTERCEPT_TYPE_HYPERCALL),
                                        N(HV_INTERCEPT_TYPE_X64_APIC_INIT_SIPI),
                                        N(HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ),
                                        N(HV_INTERCEPT_TYPE_X64_APIC_WRITE),
                                        N(HV_INTERCEPT_TYPE_X64_MSR_INDEX),
                                        N(HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION),
                                        N(HV_INTERCEPT_TYPE_X64_APIC_EOI),
                                        N(HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE),
                                        N(HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE)};
    return FIND(names, type);
}

const char *mshv_name_interrupt(uint32_t type)
{
    static const struct name names[] = {N(HV_X64_INTERRUPT_TYPE_FIXED),     N(HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY),
                                        N(HV_X64_INTERRUPT_TYPE_SMI),       N(HV_X64_INTERRUPT_TYPE_REMOTEREAD),
                                        N(HV_X64_INTERRUPT_TYPE_NMI),       N(HV_X64_INTERRUPT_TYPE_INIT),
                                        N(HV_X64_INTERRUPT_TYPE_SIPI),      N(HV_X64_INTERRUPT_TYPE_EXTINT),
                                        N(HV_X64_INTERRUPT_TYPE_LOCALINT0), N(HV_X64_INTERRUPT_TYPE_LOCALINT1)};
    return FIND(names, type);
}

const char *mshv_name_translation(uint32_t result)
{
    static const struct name names[] = {N(HV_TRANSLATE_GVA_SUCCESS),
                                        N(HV_TRANSLATE_GVA_PAGE_NOT_PRESENT),
                                        N(HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION),
                                        N(HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS),
                                        N(HV_TRANSLATE_GVA_GPA_UNMAPPED),
                                        N(HV_TRANSLATE_GVA_GPA_NO_READ_ACCESS),
                                        N(HV_TRANSLATE_GVA_GPA_NO_WRITE_ACCESS),
                                        N(HV_TRANSLATE_GVA_GPA_ILLEGAL_OVERLAY_ACCESS),
                                        N(HV_TRANSLATE_GVA_INTERCEPT),
                                        N(HV_TRANSLATE_GVA_GPA_UNACCEPTED)};
    return FIND(names, result);
}

const char *mshv_name_gpa_access(uint32_t result)
{
    static const struct name names[] = {N(HV_ACCESS_GPA_SUCCESS), N(HV_ACCESS_GPA_UNMAPPED),
                                        N(HV_ACCESS_GPA_READ_INTERCEPT), N(HV_ACCESS_GPA_WRITE_INTERCEPT),
                                        N(HV_ACCESS_GPA_ILLEGAL_OVERLAY_ACCESS)};
    return FIND(names, result);
}

const char *mshv_name_cache_type(uint32_t type)
{
    static const struct name names[] = {N(HV_CACHE_TYPE_UNCACHED), N(HV_CACHE_TYPE_WRITE_COMBINING),
                                        N(HV_CACHE_TYPE_WRITE_THROUGH), N(HV_CACHE_TYPE_WRITE_PROTECTED),
                                        N(HV_CACHE_TYPE_WRITE_BACK)};
    return FIND(names, type);
}

const char *mshv_name_vp_state(uint32_t type)
{
    static const struct name names[] = {N(MSHV_VP_STATE_LAPIC), N(MSHV_VP_STATE_XSAVE), N(MSHV_VP_STATE_SIMP),
                                        N(MSHV_VP_STATE_SIEFP), N(MSHV_VP_STATE_SYNTHETIC_TIMERS)};
    return FIND(names, type);
}

const char *mshv_name_vp_mmap(uint64_t offset_pages)
{
    static const struct name names[] = {N(MSHV_VP_MMAP_OFFSET_REGISTERS), N(MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE),
                                        N(MSHV_VP_MMAP_OFFSET_GHCB)};
    return offset_pages > UINT32_MAX ? NULL : FIND(names, (uint32_t)offset_pages);
}

const char *mshv_name_gpap_access_type(uint32_t type)
{
    static const struct name names[] = {N(MSHV_GPAP_ACCESS_TYPE_ACCESSED), N(MSHV_GPAP_ACCESS_TYPE_DIRTY)};
    return FIND(names, type);
}

const char *mshv_name_gpap_access_op(uint32_t op)
{
    static const struct name names[] = {N(MSHV_GPAP_ACCESS_OP_NOOP), N(MSHV_GPAP_ACCESS_OP_CLEAR),
                                        N(MSHV_GPAP_ACCESS_OP_SET)};
    return FIND(names, op);
}

int mshv_status_errno(uint32_t status)
{
    static const struct {
        uint32_t status;
        int error;
    } errors[] = {
#define HV_STATUS_CODE(name, value, error) {(value), (error)},
#include "vmm/mshv/abi_hvcall.def"
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].status == status) {
            return errors[i].error;
        }
    }
    return EIO;
}
