/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-only after relocation. The linker puts tables that hold addresses (const to the compiler, but filled in by the
 * start-up code of a position-independent program) into pages that are meant to become read-only then. glibc's start-up
 * code does that; musl's does not for a static program, so without this call every table of function pointers stays
 * writable.
 */
#ifndef CAISSON_COMMON_RELRO_H
#define CAISSON_COMMON_RELRO_H

/*
 * Make those pages of this program read-only. Call it first in main(), before there is a second thread or a filter that
 * forbids mprotect; calling it again does no harm.
 * Returns 0, also when the program has no such pages, or the negative errno of mprotect (nothing has changed then).
 * Source: ELF's PT_GNU_RELRO, dl_iterate_phdr(3).
 */
int relro_seal(void);

#endif
