/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_NAMESPACE_H
#define CAISSON_TESTS_LIB_NAMESPACE_H

/*
 * Run part of a test in namespaces of its own, as root there, without rights outside: for what would otherwise change
 * the machine. Always with a user namespace, also when the test is run by root.
 */

#include <stdbool.h>

/*
 * Fork a child in new namespaces (flags: CLONE_NEW*; the user namespace is added) and run a function there. Mounts are
 * private. With CLONE_NEWPID the function runs as process 1. Returns what the function returned (0 to 125), 126 if the
 * machine does not allow namespaces, 127 if the child died.
 */
int namespace_run(int flags, int (*function)(void *context), void *context);

#define NAMESPACE_REFUSED 126

/* End a child process as _exit does; programs that count lines (scripts/coverage) write their counts first. */
_Noreturn void namespace_leave(int code);

#endif
