/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Makes one system call or one allocation of a program fail, chosen by the place in the program that it is made from.
 *
 * A place is what the call is and where in the program's own code it comes from: the nearest return addresses on the
 * stack that lie in it. What the C library's functions have between them and the system call does not count. So that
 * `read` in two functions is two places, and ten thousand calls in a loop are one.
 */
#ifndef CAISSON_TESTS_FAULTS_INJECT_H
#define CAISSON_TESTS_FAULTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#define PLACE_DEPTH 4u

/* ---- The program's code (code.c) ---- */

enum code_class {
    CODE_OTHER, /* the C library */
    CODE_TEST,  /* what tests themselves consist of */
    CODE_OWN,
    CODE_ALLOCATOR, /* a function that hands out memory */
};

struct tracer_call;

struct code_function {
    uint64_t begin, end; /* as linked */
    enum code_class class;
    char name[64];
};

struct code {
    struct code_function *functions; /* by address */
    size_t count;
    const uint8_t *file; /* the program's file, mapped */
    size_t file_bytes;
    uint64_t entry; /* as linked */
};

/*
 * Read the list of functions ("BEGIN END own|allocator|test|other NAME", by address) and map the program. Exits on
 * errors.
 */
void code_open(struct code *code, const char *list, const char *program);
/* Whose doing is what happens at an instruction: the nearest code on the stack that is not the C library's. */
enum code_class code_nearest(const struct code *code, uint64_t base, uint64_t ip, const uint64_t *words, size_t count);
/* NULL: in none. */
const struct code_function *code_find(const struct code *code, uint64_t at);
/*
 * The return addresses into the program's own code on a stack, nearest first. words: of the stack, from its pointer;
 * base: where the program lies. Returns how many, up to depth. An address counts as the next one if what is called
 * before it is the function of the one before, or is not written in the instruction.
 */
unsigned code_walk(const struct code *code, uint64_t base, const uint64_t *words, size_t count, uint64_t *places,
                   unsigned depth);

/* ---- Faults (fault.c) ---- */

enum fault_kind {
    FAULT_NONE,
    FAULT_ERRNO, /* the call is not made, and fails */
    FAULT_SHORT, /* it is made for half of the bytes */
    FAULT_EXIT,  /* the thread ends instead */
};

struct fault {
    enum fault_kind kind;
    int code; /* FAULT_ERRNO */
    /* Between entry and exit of the call. */
    pid_t tid;
    struct user_regs_struct regs; /* as they were */
    uint64_t length_at, length;   /* of a vector in its memory that was made shorter; 0: none */
};

/* What a call moves bytes to or from. */
enum fault_target {
    TARGET_NONE,
    TARGET_STREAM, /* it may move less than it was asked to */
    TARGET_EVENT,  /* an eventfd, timerfd or their like: writing does not fail, and reading only waits */
    TARGET_OTHER,
};

enum fault_target fault_target(pid_t tid, const struct user_regs_struct *regs);
/* Is it a call that can fail? Of futex(2), only waiting does. */
bool fault_can_happen(const struct tracer_call *call);
/* The thread stands at the entry. False: it cannot be done to this call. */
bool fault_begin(struct fault *f, pid_t tid);
/* The thread stands at the exit of that call. */
void fault_end(struct fault *f);

#endif
