/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_KERNEL_H
#define CAISSON_VMM_SOFTHV_KERNEL_H

/*
 * The generations of Linux's driver that softhv can play, oldest first: "since 6.19" is `kernel >= SOFTHV_KERNEL_6_19`.
 */
enum softhv_kernel {
    SOFTHV_KERNEL_6_15,        /* 6.15 to about 6.18 as released */
    SOFTHV_KERNEL_6_15_STABLE, /* the same with the overlap tests of updated stable trees */
    SOFTHV_KERNEL_6_19,
    SOFTHV_KERNEL_7_2
};

#endif
