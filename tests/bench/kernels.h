/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark programs: self-contained machine code that runs the same natively and as a guest. Each works on one
 * block of memory and returns a checksum, so that both runs can be compared. mem: at least BENCH_MEM_BYTES, prepared
 * by bench_prepare; n: rounds.
 */
#ifndef CAISSON_TESTS_BENCH_KERNELS_H
#define CAISSON_TESTS_BENCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_MEM_BYTES (16u << 20)

typedef uint64_t bench_kernel(uint8_t *mem, uint64_t n);

bench_kernel bench_integer, bench_sha256, bench_copy_rep, bench_copy_sse, bench_chase;

/* Tables and data for the kernels: SHA-256 constants, a random cycle of pointers (as offsets), bytes to copy. */
void bench_prepare(uint8_t *mem);

/*
 * The program's own image as it lies in memory. Kernels are position-independent but may refer to constants elsewhere
 * in the image, so a guest gets all of it.
 */
extern const uint8_t bench_image_start[] __asm__("__executable_start");
extern const uint8_t bench_image_end[] __asm__("_end");

#endif
