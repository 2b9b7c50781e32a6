/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_FEATURES_H
#define CAISSON_VMM_MSHV_ABI_FEATURES_H

/*
 * Features of a partition's processors, as bit numbers. In struct mshv_create_partition_v2 a set bit takes a processor
 * or XSAVE feature away; the properties PROCESSOR_FEATURES0, PROCESSOR_FEATURES1 and PROCESSOR_XSAVE_FEATURES show them
 * with 1 = present. The synthetic ones are granted by the property SYNTHETIC_PROC_FEATURES, 1 = granted.
 */

#include <stdint.h>

enum hv_cpu_feature0 {
#define HV_FEATURE_BANK0(name, bit) name = (bit),
#include "vmm/mshv/abi_features.def"
};

enum hv_cpu_feature1 {
#define HV_FEATURE_BANK1(name, bit) name = (bit),
#include "vmm/mshv/abi_features.def"
};

enum hv_xsave_feature {
#define HV_FEATURE_XSAVE(name, bit) name = (bit),
#include "vmm/mshv/abi_features.def"
};

enum hv_synthetic_feature {
#define HV_FEATURE_SYNTHETIC(name, bit) name = (bit),
#include "vmm/mshv/abi_features.def"
};

#define HV_FEATURE(bit) (UINT64_C(1) << (bit))

/* Bits with a name. */
#define HV_CPU0_NAMED      UINT64_C(0x7fffffffffffffff)
#define HV_CPU1_NAMED      UINT64_C(0x1fffffffffffffff)
#define HV_XSAVE_NAMED     UINT64_C(0x000000ffffffffff)
#define HV_SYNTHETIC_NAMED UINT64_C(0x003deb6fff558fff)

#endif
