/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/partition.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "vmm/mshv/names.h"

#define V2 (UINT64_C(1) << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)

/*
 * A signal during the wait for memory is no failure; the bound is there so that a broken device cannot keep us for
 * ever.
 */
#define MAX_INTERRUPTIONS 100

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static int create_once(const struct mshv_device *device, const struct mshv_partition_config *config, uint64_t flags)
{
    int result = -EINTR;
    for (int i = 0; i < MAX_INTERRUPTIONS && result == -EINTR; i++) {
        struct mshv_create_partition_v2 args = {
            .pt_flags = flags,
            .pt_isolation = MSHV_PT_ISOLATION_NONE,
        };
        if ((flags & V2) != 0) {
            args.pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS;
            args.pt_cpu_fbanks[0] = config->disabled_cpu_features[0];
            args.pt_cpu_fbanks[1] = config->disabled_cpu_features[1];
            args.pt_disabled_xsave = config->disabled_xsave_features;
        }
        result = mshv_port_ioctl(device->port, device->fd, MSHV_CREATE_PARTITION, &args);
    }
    return result;
}

/* Forms to try, the best first; each is tried only if the kernel refuses the one before with EINVAL. */
static int list_forms(const struct mshv_device *device, const struct mshv_partition_config *config, uint64_t forms[4])
{
    int count = 0;
    const uint64_t known = config->optional_flags & ~config->flags;
    if (device->has_hvcall) {
        if (known != 0) {
            forms[count++] = config->flags | known | V2;
        }
        forms[count++] = config->flags | V2;
    }
    if (!config->need_features) {
        if (known != 0 && !device->has_hvcall) {
            forms[count++] = config->flags | known;
        }
        forms[count++] = config->flags;
    }
    return count;
}

int mshv_partition_create(struct mshv_partition *partition, const struct mshv_device *device,
                          const struct mshv_partition_config *config, struct err *err)
{
    uint64_t forms[4];
    const int count = list_forms(device, config, forms);
    int result = -EOPNOTSUPP;
    *partition = (struct mshv_partition){.fd = -1};
    assert((config->flags & V2) == 0 && (config->optional_flags & V2) == 0);
    for (int i = 0; i < count; i++) {
        result = create_once(device, config, forms[i]);
        if (result >= 0) {
            partition->port = device->port;
            partition->fd = result;
            partition->flags = forms[i];
            partition->features_applied = (forms[i] & V2) != 0;
            return 0;
        }
        if (result != -EINVAL) {
            break;
        }
    }
    const struct err_context context = {
        "create a partition on", device->port->ops->name,
        result == -EOPNOTSUPP ? "use Linux 6.19 or later, or do without masking features" : "see the kernel's log"};
    return err_fail(err, result, &context);
}

int mshv_partition_initialize(struct mshv_partition *partition, struct err *err)
{
    if (partition->initialized) {
        return 0;
    }
    int result = mshv_port_ioctl(partition->port, partition->fd, MSHV_INITIALIZE_PARTITION, NULL);
    if (result < 0) {
        const struct err_context context = {"initialize the partition", NULL, "see the kernel's log"};
        return err_fail(err, result, &context);
    }
    partition->initialized = true;
    return 0;
}

void mshv_partition_destroy(struct mshv_partition *partition)
{
    if (partition->port != NULL) {
        mshv_port_close(partition->port, partition->fd);
    }
    *partition = (struct mshv_partition){.fd = -1};
}

/* ---- Properties -------------------------------------------------------------------------------------------------- */

static int property_error(struct err *err, int code, const struct mshv_hvcall *call, const char *attempted,
                          uint32_t property)
{
    const char *name = mshv_name_property(property);
    char number[32];
    snprintf(number, sizeof number, "0x%08x", property);
    const struct err_context context = {attempted, name != NULL ? name : number, "see the kernel's log"};
    return mshv_hvcall_error(err, code, call, &context);
}

int mshv_partition_set_property(struct mshv_partition *partition, uint32_t code, uint64_t value, struct err *err)
{
    const struct hv_input_set_partition_property in = {.property_code = code, .property_value = value};
    struct mshv_hvcall call = {.code = HVCALL_SET_PARTITION_PROPERTY, .in = &in, .in_bytes = sizeof in};
    int result = mshv_hvcall_simple(partition->port, partition->fd, &call);
    return result < 0 ? property_error(err, result, &call, "set partition property", code) : 0;
}

int mshv_partition_get_property(const struct mshv_partition *partition, uint32_t code, uint64_t *value, struct err *err)
{
    const struct hv_input_get_partition_property in = {.property_code = code};
    struct hv_output_get_partition_property out = {0};
    struct mshv_hvcall call = {
        .code = HVCALL_GET_PARTITION_PROPERTY, .in = &in, .in_bytes = sizeof in, .out = &out, .out_bytes = sizeof out};
    int result = mshv_hvcall_simple(partition->port, partition->fd, &call);
    if (result < 0) {
        return property_error(err, result, &call, "read partition property", code);
    }
    *value = out.property_value;
    return 0;
}

int mshv_partition_set_synthetic_features(struct mshv_partition *partition, uint64_t features, struct err *err)
{
    if (partition->initialized) {
        const struct err_context context = {"set the synthetic features of the partition", NULL,
                                            "set them before it is initialized"};
        return err_fail_because(err, -EBUSY, &context, "its processors have their shape already");
    }
    return mshv_partition_set_property(partition, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, features, err);
}

int mshv_partition_freeze_time(struct mshv_partition *partition, bool frozen, struct err *err)
{
    return mshv_partition_set_property(partition, HV_PARTITION_PROPERTY_TIME_FREEZE, frozen ? 1 : 0, err);
}

int mshv_partition_install_intercept(struct mshv_partition *partition, uint32_t type, uint32_t access,
                                     uint64_t parameter, struct err *err)
{
    const struct hv_input_install_intercept in = {
        .access_type = access, .intercept_type = type, .intercept_parameter = parameter};
    struct mshv_hvcall call = {.code = HVCALL_INSTALL_INTERCEPT, .in = &in, .in_bytes = sizeof in};
    int result = mshv_hvcall_simple(partition->port, partition->fd, &call);
    const struct err_context context = {"install an intercept", NULL, "see the kernel's log"};
    return result < 0 ? mshv_hvcall_error(err, result, &call, &context) : 0;
}
