/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Files without a name (memfd_create(2)) that nobody can run as programs: MFD_NOEXEC_SEAL, where the kernel has it
 * (Linux 6.3). A descriptor that gets into wrong hands is then no way around a host that lets only known programs run,
 * and hosts that insist (sysctl vm.memfd_noexec=2) let us make them.
 */
#ifndef CAISSON_COMMON_MEMFD_H
#define CAISSON_COMMON_MEMFD_H

#include <stdbool.h>

/* In no C library yet. */
#define MEMFD_NOEXEC_SEAL 0x8u
#define MEMFD_SEAL_EXEC   0x20 /* F_SEAL_EXEC: the rights to run it stay as they are */

/*
 * Make one, empty, closed in programs that are started. name: for /proc, at most 249 bytes. seals: can it be sealed? On
 * kernels with MFD_NOEXEC_SEAL every one can. A descriptor, or what memfd_create says. Any thread.
 */
int memfd_new(const char *name, bool seals);

#endif
