/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a seccomp filter says of a call, by reading its instructions as the kernel does (seccomp(2), net/core/filter.c):
 * for calls that no test may really make.
 */
#ifndef CAISSON_TESTS_LIB_BPF_H
#define CAISSON_TESTS_LIB_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* SECCOMP_RET_*. A test that meets an instruction which seccomp's filters may not have, or the end, fails. */
uint32_t bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data);

#endif
