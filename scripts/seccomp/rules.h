/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The text of policy/seccomp/NAME.rules as values. It is read when caisson is built, never when it runs.
 *
 *     # comment
 *     about TEXT                what the threads of this role are; once
 *     target N                  how many calls were meant to be enough; once
 *     why TEXT                  why there are more; may come several times
 *     needs CONFIG_A CONFIG_B   what follows is for builds that have all of them
 *     always                    what follows is for all builds
 *     joins-all                 what all other files allow, too
 *     CALL : REASON
 *     CALL TEST and TEST : REASON
 *     rare CALL ... : REASON    not every suite makes a thread do it; the reason says when one does
 *
 * A test is "arg1 == VALUE", which compares all 64 bits of an argument (the first is arg0), or "int1 == VALUE" for
 * what the kernel takes 32 bits of, or either of them with "& MASK ==". A value is numbers and names of names.c, joined
 * by |.
 * Several lines for one call are alternatives.
 */
#ifndef CAISSON_SCRIPTS_SECCOMP_RULES_H
#define CAISSON_SCRIPTS_SECCOMP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RULES_MAX       400u
#define RULES_TESTS_MAX 3u

struct rule_test {
    unsigned arg;
    uint64_t mask, value;
};

struct rule {
    int call; /* its number on x86-64 */
    unsigned test_count;
    struct rule_test tests[RULES_TESTS_MAX];
    char *name, *tests_text, *reason;
    bool rare;
    unsigned line;
};

struct rules {
    const char *path; /* borrowed */
    char *about, *why;
    unsigned target;
    bool joins_all;
    struct rule rule[RULES_MAX];
    unsigned count;
};

/* The names of the symbols that are 1 in a config.h, each between blanks, for rules_read. NULL: it cannot be read. */
char *rules_config(const char *path);

/*
 * Read a file, keeping the rules of a build with these symbols. What is wrong goes to `err` as "path:line: text".
 * True: *out is good, until rules_free, which is to be called either way.
 */
bool rules_read(const char *path, const char *config, struct rules *out, FILE *err);
void rules_free(struct rules *r);

/* Add what `from` allows, as rare and of line 0: the other file is where it is to be used. False: there is no room. */
bool rules_join(struct rules *to, const struct rules *from);

/* How many different calls there are. */
unsigned rules_calls(const struct rules *r);

/* The value of a name of names.c. False: there is none. */
bool rules_constant(const char *name, uint64_t *value);

#endif
