/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/device.h"

#include <errno.h>

#include "vmm/mshv/hvcall.h"

static int get_property(const struct mshv_device *device, uint32_t code, uint64_t *value, struct mshv_hvcall *call)
{
    const struct hv_input_get_partition_property in = {.property_code = code};
    struct hv_output_get_partition_property out = {0};
    *call = (struct mshv_hvcall){
        .code = HVCALL_GET_PARTITION_PROPERTY, .in = &in, .in_bytes = sizeof in, .out = &out, .out_bytes = sizeof out};
    int result = mshv_hvcall_simple(device->port, device->fd, call);
    call->in = NULL;
    call->out = NULL;
    if (result == 0) {
        *value = out.property_value;
    }
    return result;
}

int mshv_device_get_property(const struct mshv_device *device, uint32_t code, uint64_t *value, struct err *err)
{
    struct mshv_hvcall call;
    int result = get_property(device, code, value, &call);
    const struct err_context context = {"read a property of the host from", device->port->ops->name,
                                        "use Linux 6.19 or later"};
    return result < 0 ? mshv_hvcall_error(err, result, &call, &context) : 0;
}

int mshv_device_synthetic_features(const struct mshv_device *device, uint64_t *mask)
{
    const struct hv_input_get_partition_property_ex in = {.property_code =
                                                              HV_PARTITION_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES};
    struct hv_output_get_partition_property_ex out = {0};
    struct mshv_hvcall call = {.code = HVCALL_GET_PARTITION_PROPERTY_EX,
                               .in = &in,
                               .in_bytes = sizeof in,
                               .out = &out,
                               .out_bytes = sizeof out};
    *mask = UINT64_MAX;
    if (mshv_hvcall_simple(device->port, device->fd, &call) < 0 || out.bank_count == 0) {
        return -EOPNOTSUPP;
    }
    *mask = out.bank[0];
    return 0;
}

/* Only ENOTTY means an old kernel; anything else is a new one in trouble, and worth a message. */
static int probe(struct mshv_device *device, struct err *err)
{
    static const uint32_t codes[MSHV_NUM_CPU_FEATURES_BANKS] = {HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0,
                                                                HV_PARTITION_PROPERTY_PROCESSOR_FEATURES1};
    for (int i = 0; i < MSHV_NUM_CPU_FEATURES_BANKS; i++) {
        struct mshv_hvcall call;
        int result = get_property(device, codes[i], &device->cpu_features[i], &call);
        if (result == -ENOTTY && i == 0) {
            return 0;
        }
        if (result < 0) {
            const struct err_context context = {"read the processor features of the host from", device->port->ops->name,
                                                "see the kernel's log"};
            return mshv_hvcall_error(err, result, &call, &context);
        }
    }
    device->has_hvcall = true;
    return 0;
}

static const char *remedy(int code)
{
    switch (code) {
    case -ENOENT: return "run on a host whose kernel has the driver mshv_root and is the hypervisor's parent partition";
    case -EACCES:
    case -EPERM: return "run as a user who may open the device";
    default: return "see the kernel's log";
    }
}

int mshv_device_open(struct mshv_device *device, const struct mshv_port *port, struct err *err)
{
    int fd = mshv_port_open(port);
    *device = (struct mshv_device){.port = port, .fd = fd};
    if (fd < 0) {
        *device = (struct mshv_device){.fd = -1};
        const struct err_context context = {"open", port->ops->name, remedy(fd)};
        return err_fail(err, fd, &context);
    }
    int result = probe(device, err);
    if (result < 0) {
        mshv_device_close(device);
    }
    return result;
}

void mshv_device_close(struct mshv_device *device)
{
    if (device->port != NULL) {
        mshv_port_close(device->port, device->fd);
    }
    *device = (struct mshv_device){.fd = -1};
}
