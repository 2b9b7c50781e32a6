/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/seccomp_tree.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of libseccomp: below are calls that an architecture does not have, from there to -1 those behind others. */
#define ABSENT (-9999)

/* Numbers from first on, up to the next one's. */
struct segment {
    uint32_t first, action;
    bool decided;
};

/* A decided call on one architecture. */
struct point {
    uint32_t number, action;
};

/* ---- Collecting -------------------------------------------------------------------------------------------------- */

int seccomp_tree_say(struct seccomp_tree *t, const struct seccomp_saying *s)
{
    if (t->count == t->room) {
        size_t room = t->room > 0 ? t->room * 2 : 512;
        struct seccomp_saying *more = realloc(t->sayings, room * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        t->sayings = more;
        t->room = room;
    }
    t->sayings[t->count++] = *s;
    return 0;
}

int seccomp_tree_add_architecture(struct seccomp_tree *t, uint32_t token)
{
    for (size_t i = 0; i < t->architecture_count; i++)
        if (t->architectures[i] == token)
            return 0;
    if (t->architecture_count == SECCOMP_ARCHITECTURES_MAX)
        return -E2BIG;
    t->architectures[t->architecture_count++] = token;
    return 0;
}

static int compare_sayings(const void *a, const void *b)
{
    const struct seccomp_saying *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Is it a call of its own, or none, everywhere? */
static bool is_plain(const struct seccomp_tree *t, const char *name)
{
    bool plain = true;
    for (size_t i = 0; i < t->architecture_count && plain; i++) {
        int number = seccomp_syscall_resolve_name_arch(t->architectures[i], name);
        plain = number >= 0 || number < ABSENT;
    }
    return plain;
}

/* Keep one of each group about the same call, if it can be decided. */
static void decide(struct seccomp_tree *t)
{
    size_t kept = 0, next;
    for (size_t i = 0; i < t->count; i = next) {
        struct seccomp_saying s = t->sayings[i];
        for (next = i; next < t->count && t->sayings[next].number == s.number; next++)
            s.conditional = s.conditional || t->sayings[next].conditional || t->sayings[next].action != s.action;
        if (!s.conditional && is_plain(t, s.name))
            t->sayings[kept++] = s;
    }
    t->count = kept;
}

bool seccomp_tree_has(const struct seccomp_tree *t, int number)
{
    const struct seccomp_saying key = {.number = number};
    return t->count > 0 && bsearch(&key, t->sayings, t->count, sizeof key, compare_sayings) != NULL;
}

/* ---- The program ------------------------------------------------------------------------------------------------- */

static int put(struct seccomp_tree *t, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    if (t->length == t->program_room) {
        size_t room = t->program_room > 0 ? t->program_room * 2 : 512;
        struct sock_filter *more = realloc(t->program, room * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        t->program = more;
        t->program_room = room;
    }
    t->program[t->length++] = (struct sock_filter){code, if_true, if_false, k};
    return 0;
}

/* A jump to the end of the program, which is not known yet. */
#define TO_THE_END UINT32_MAX

static int put_leaf(struct seccomp_tree *t, const struct segment *s)
{
    return s->decided ? put(t, BPF_RET | BPF_K, s->action, 0, 0) : put(t, BPF_JMP | BPF_JA, TO_THE_END, 0, 0);
}

/*
 * The jump at `at`, with a long one behind it, has what is not taken next and what is taken from here on. Most reach
 * that far by themselves; the long one is then taken out.
 */
static void aim(struct seccomp_tree *t, size_t at)
{
    size_t between = t->length - at - 2;
    struct sock_filter *jump = &t->program[at];
    if (between > UINT8_MAX) {
        jump[0].jf = 1;
        jump[1].k = (uint32_t)between;
        return;
    }
    memmove(jump + 1, jump + 2, between * sizeof *jump);
    t->length--;
    jump[0].jt = (uint8_t)between;
}

static int put_search(struct seccomp_tree *t, const struct segment *s, size_t count)
{
    const size_t at = t->length, half = count / 2;
    if (count == 1)
        return put_leaf(t, s);
    int result = put(t, BPF_JMP | BPF_JGE | BPF_K, s[half].first, 0, 0);
    result = result < 0 ? result : put(t, BPF_JMP | BPF_JA, 0, 0, 0);
    result = result < 0 ? result : put_search(t, s, half);
    if (result < 0)
        return result;
    aim(t, at);
    return put_search(t, s + half, count - half);
}

/* ---- One architecture -------------------------------------------------------------------------------------------- */

/* What the kernel calls it: x32 is x86-64 with numbers of its own. */
static uint32_t audit_of(uint32_t token)
{
    return token == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : token;
}

static int compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static size_t find_points(const struct seccomp_tree *t, uint32_t audit, struct point *points)
{
    size_t count = 0;
    for (size_t a = 0; a < t->architecture_count; a++)
        for (size_t i = 0; i < t->count && audit_of(t->architectures[a]) == audit; i++) {
            int number = seccomp_syscall_resolve_name_arch(t->architectures[a], t->sayings[i].name);
            if (number >= 0)
                points[count++] = (struct point){(uint32_t)number, t->sayings[i].action};
        }
    qsort(points, count, sizeof *points, compare_points);
    return count;
}

/* All numbers, as ranges. segments: room for 2 * count + 1. */
static size_t find_segments(const struct point *points, size_t count, struct segment *segments)
{
    size_t n = 1;
    segments[0] = (struct segment){.first = 0};
    for (size_t i = 0; i < count; i++) {
        struct segment *last = &segments[n - 1];
        if (i > 0 && points[i].number == points[i - 1].number)
            continue;
        if (last->first == points[i].number)
            *last = (struct segment){points[i].number, points[i].action, true};
        else
            segments[n++] = (struct segment){points[i].number, points[i].action, true};
        if (n > 1 && segments[n - 2].decided && segments[n - 2].action == segments[n - 1].action)
            n--;
        /* Up to here; the next may be the one behind. */
        segments[n++] = (struct segment){.first = points[i].number + 1};
    }
    return n;
}

static int put_architecture(struct seccomp_tree *t, uint32_t audit, struct point *points, struct segment *segments)
{
    const size_t at = t->length + 1;
    size_t count = find_segments(points, find_points(t, audit, points), segments);
    int result = put(t, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    /* If it is another one, over the search to the next. */
    result = result < 0 ? result : put(t, BPF_JMP | BPF_JEQ | BPF_K, audit, 1, 0);
    result = result < 0 ? result : put(t, BPF_JMP | BPF_JA, 0, 0, 0);
    result = result < 0 ? result : put(t, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    result = result < 0 ? result : put_search(t, segments, count);
    if (result == 0)
        t->program[at + 1].k = (uint32_t)(t->length - at - 2);
    return result;
}

static bool was_before(const struct seccomp_tree *t, size_t index)
{
    bool before = false;
    for (size_t i = 0; i < index; i++)
        before = before || audit_of(t->architectures[i]) == audit_of(t->architectures[index]);
    return before;
}

static void end_program(struct seccomp_tree *t)
{
    for (size_t i = 0; i < t->length; i++)
        if (t->program[i].code == (BPF_JMP | BPF_JA) && t->program[i].k == TO_THE_END)
            t->program[i].k = (uint32_t)(t->length - i - 1);
}

int seccomp_tree_make(struct seccomp_tree *t)
{
    if (t->count > 0)
        qsort(t->sayings, t->count, sizeof *t->sayings, compare_sayings);
    decide(t);
    struct point *points = calloc(2 * t->count + 1, sizeof *points);
    struct segment *segments = calloc(4 * t->count + 1, sizeof *segments);
    int result = points != NULL && segments != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < t->architecture_count && t->count > 0 && result == 0; i++)
        if (!was_before(t, i))
            result = put_architecture(t, audit_of(t->architectures[i]), points, segments);
    free(points);
    free(segments);
    end_program(t);
    return result;
}

void seccomp_tree_release(struct seccomp_tree *t)
{
    free(t->sayings);
    free(t->program);
    *t = (struct seccomp_tree){.count = 0};
}
