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
