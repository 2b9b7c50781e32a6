/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The form of descriptions, and of the rules that are compared with them. A rule has the form of what it permits: the
 * same keys, the same nesting. In place of a value it may have a pattern:
 *
 *     {"any":true}                whatever it is, and whether it is there
 *     {"glob":"/data/?*"}         in place of a text
 *     {"one_of":["a","b"]}        in place of a text: any of these texts or patterns
 *     {"min":1,"max":4}           in place of a number
 *     {"optional":...}            in a set: may be missing
 *
 * Everything else is compared exactly, and a key has to be in both or in neither: what a rule does not mention is not
 * permitted, and what it mentions cannot be left away. So every description is a rule that permits just that.
 *
 * Shapes are const tables; nothing here allocates. Any thread.
 */
#ifndef CAISSON_POLICY_LAUNCH_SHAPE_H
#define CAISSON_POLICY_LAUNCH_SHAPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define SHAPE_PATH_BYTES  192u
#define SHAPE_VALUE_BYTES 96u
#define SHAPE_LIST_MAX    1024u /* elements of a list or set of a rule */
#define SHAPE_SET_MAX     4096u /* elements of a set that is compared */

enum shape_kind {
    SHAPE_TEXT,
    SHAPE_NUMBER, /* a whole number; larger ones than JSON has are text */
    SHAPE_FLAG,
    SHAPE_LIST,   /* elements in their order */
    SHAPE_SET,    /* each element is permitted by one of the rule's; each of the rule's is there */
    SHAPE_OBJECT, /* members that are known */
    SHAPE_MAP,    /* members by any name, with texts */
};

struct shape_member;
struct shape {
    enum shape_kind kind;
    const struct shape *element;        /* of lists and sets */
    const struct shape_member *members; /* of objects; ends with a NULL key */
};
struct shape_member {
    const char *key;
    const struct shape *shape;
};

extern const struct shape shape_text;
extern const struct shape shape_container; /* describe_container; without "id" */
extern const struct shape shape_exec;      /* describe_exec; without "container" */

/* Where in a document something is: "containers[1].args[2]". */
struct shape_path {
    char text[SHAPE_PATH_BYTES];
    size_t length; /* may be more than what is in `text` */
};
void shape_path_init(struct shape_path *p, const char *text);
/* Returns what shape_path_leave wants to go back. key or index: key NULL. */
size_t shape_path_enter(struct shape_path *p, const char *key, size_t index);
void shape_path_leave(struct shape_path *p, size_t length);

/* Is `rule` of the shape? NULL, or what is wrong with *path, which then names the place. */
const char *shape_check(const struct shape *shape, const json_t *rule, struct shape_path *path);

/* The first difference between a rule and what is compared with it. */
struct shape_difference {
    bool found;
    struct shape_path path;                                /* of the rule */
    char wanted[SHAPE_VALUE_BYTES], is[SHAPE_VALUE_BYTES]; /* for people */
};
/*
 * Does a rule permit a value? rule, value: NULL if it is not there. skip: a key of the outermost object that is not
 * compared, NULL: none. *matching: the members of the outermost object that are permitted are added to it, for finding
 * the rule that is nearest; may be NULL. difference: written on false; may be NULL.
 */
bool shape_match(const struct shape *shape, const json_t *rule, const json_t *value, const char *skip,
                 struct shape_path *path, size_t *matching, struct shape_difference *difference);

/* A short form of a value for messages. out: SHAPE_VALUE_BYTES. */
void shape_show(const json_t *value, char *out);

#endif
