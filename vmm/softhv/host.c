/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/host.h"

#include <cpuid.h>

#define MEASURE_NS UINT64_C(2000000)
#define PHYS_BITS  40u
#define HYGON_EBX  0x6f677948u /* "Hygo" */

/* Guests get a round number of kHz: what they are told must be what passes. */
static struct softhv_clock_source time_source(void)
{
    uint64_t hz = softhv_clock_measure_tsc(MEASURE_NS);
    return hz != 0 ? softhv_clock_host_tsc(hz) : softhv_clock_monotonic();
}

/* "AuthenticAMD" and "HygonGenuine" processors behave alike where the vendors differ. */
static bool is_amd(void)
{
    unsigned max, b, c, d;
    return __get_cpuid(0, &max, &b, &c, &d) != 0 && (b == signature_AMD_ebx || b == HYGON_EBX);
}

static uint32_t signature(void)
{
    unsigned a = 0, b, c, d;
    (void)__get_cpuid(1, &a, &b, &c, &d);
    return a;
}

struct softhv_host softhv_host_probe(enum softhv_kernel kernel)
{
    return (struct softhv_host){.kernel = kernel,
                                .features = x86_features_supported(),
                                .source = time_source(),
                                .signature = signature(),
                                .phys_bits = PHYS_BITS,
                                .amd = is_amd()};
}
