/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Watches a program and everything that comes of it by ptrace(2), from a process of its own that nobody waits for, so
 * that the program keeps its parent, its streams and its descriptors. The program is this process itself: it asks to
 * be watched and then executes what it is to become.
 *
 * When the watcher dies, the kernel ends all that it watches. Source: ptrace(2).
 */
#ifndef CAISSON_TESTS_LIB_TRACER_H
#define CAISSON_TESTS_LIB_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* linux/ptrace.h and sys/ptrace.h do not go together: what PTRACE_GET_SYSCALL_INFO writes. */
#define TRACER_ENTRY 1u
#define TRACER_EXIT  2u
struct tracer_call {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp;
    union {
        struct {
            uint64_t nr, args[6];
        } entry;
        struct {
            int64_t result;
            uint8_t is_error;
        } exit;
    };
};

/* What happens to threads that are watched; each may be NULL. Called in the watcher, while the thread stands still. */
struct tracer_ops {
    /* Watching begins. */
    void (*began)(void *ctx);
    /* A thread or process was made by another. */
    void (*born)(void *ctx, pid_t maker, pid_t tid);
    /* It executes another program now, and is the only thread of its process. False: it is not watched any more. */
    bool (*executed)(void *ctx, pid_t tid);
    /* It enters or leaves a system call. */
    void (*called)(void *ctx, pid_t tid, const struct tracer_call *call);
    /* Are its calls of interest from here on? NULL: always. Without them it runs about as fast as ever. */
    bool (*wants_calls)(void *ctx, pid_t tid);
    /* It got SIGTRAP. True: by a breakpoint of ours, it is not to hear of it. */
    bool (*trapped)(void *ctx, pid_t tid);
    /* A signal by which it is likely to die is about to be delivered. */
    void (*struck)(void *ctx, pid_t tid, int signal);
    /* It is gone; status: of wait(2). */
    void (*gone)(void *ctx, pid_t tid, int status);
    /* Nothing is left to watch. */
    void (*ended)(void *ctx);
};

/*
 * Let this process be watched from now on. Returns in this process; the watcher returns from here only by _exit, with
 * code 0 when nothing is left to watch. ops and ctx: of the watcher, its own copy. Descriptors 0 to 2 are not kept
 * open by the watcher. 0, or a negative errno: -EPERM, ptrace is not allowed here; nothing watches then.
 */
int tracer_start(const struct tracer_ops *ops, void *ctx);

/* Copy memory of a thread that stands still. Returns the bytes that could be read. */
size_t tracer_peek(pid_t tid, uint64_t from, void *to, size_t bytes);
/* The other way, also where the thread itself may only read. False if not all could be written. */
bool tracer_poke(pid_t tid, uint64_t to, const void *from, size_t bytes);

#endif
