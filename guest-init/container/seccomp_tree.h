/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_SECCOMP_TREE_H
#define CAISSON_GUEST_INIT_CONTAINER_SECCOMP_TREE_H

/*
 * The part of a seccomp filter that looks at no arguments: most of every profile. A library that takes rules one by one
 * spends tens of millions of instructions on some hundred of them; here they are collected, sorted, joined to ranges of
 * numbers, and become a binary search for each architecture. What the search does not find goes on behind it, where the
 * library's program decides about the rest.
 *
 * A call is decided here if all that is said of it, by whatever rule, is one action without conditions, and if it is a
 * system call of its own on every architecture of the filter, not one behind socketcall(2) or ipc(2).
 * Source: seccomp(2); the kernel's Documentation/networking/filter.rst.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One thing that is said of a call. */
struct seccomp_saying {
    int number;       /* seccomp_syscall_resolve_name */
    const char *name; /* borrowed */
    uint32_t action;
    bool conditional;
};

#define SECCOMP_ARCHITECTURES_MAX 32

/* Zeroed: empty. Released by seccomp_tree_release. */
struct seccomp_tree {
    struct seccomp_saying *sayings; /* sorted after seccomp_tree_make: those that are decided here */
    size_t count, room;
    uint32_t architectures[SECCOMP_ARCHITECTURES_MAX]; /* of the library, SCMP_ARCH_* */
    size_t architecture_count;
    struct sock_filter *program;
    size_t length, program_room;
};

/* Add what is said, or an architecture. 0, -ENOMEM, -E2BIG. */
int seccomp_tree_say(struct seccomp_tree *t, const struct seccomp_saying *s);
int seccomp_tree_add_architecture(struct seccomp_tree *t, uint32_t token);

/* Decide, and make the program. 0 or -ENOMEM. */
int seccomp_tree_make(struct seccomp_tree *t);

/* After that: does the program decide about this call? */
bool seccomp_tree_has(const struct seccomp_tree *t, int number);

void seccomp_tree_release(struct seccomp_tree *t);

#endif
