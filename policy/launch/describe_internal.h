/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between the files that describe: members are added to objects, and the first failure is kept and ends the work. What
 * the agent does when a field is empty or 0 is what it does without it, so such a field is left out, unless it says
 * otherwise here.
 */
#ifndef CAISSON_POLICY_LAUNCH_DESCRIBE_INTERNAL_H
#define CAISSON_POLICY_LAUNCH_DESCRIBE_INTERNAL_H

#include "policy/launch/describe.h"

#define DESCRIBE_WORD_BYTES 17u /* with a NUL */
#define DESCRIBE_ID         "{id}"

struct describe {
    char word[DESCRIBE_WORD_BYTES]; /* what stands for the container in names of exports, storages and disks */
    int code;                       /* 0, or of the first failure */
    struct err *err;
};

/* A new object or list at `key` of object (borrowed from it), or in a list if key is NULL. NULL: no memory. */
json_t *describe_object(struct describe *d, json_t *parent, const char *key);
json_t *describe_list(struct describe *d, json_t *parent, const char *key);
/* The same, and NULL for a list of no elements. */
json_t *describe_list_of(struct describe *d, json_t *parent, const char *key, size_t count);

void describe_text(struct describe *d, json_t *object, const char *key, const char *text);
/* The container's word becomes "{id}"; -EINVAL for a text that has that already. */
void describe_named(struct describe *d, json_t *object, const char *key, const char *text);
void describe_texts(struct describe *d, json_t *object, const char *key, char *const *texts, size_t count);
void describe_named_texts(struct describe *d, json_t *object, const char *key, char *const *texts, size_t count);
void describe_flag(struct describe *d, json_t *object, const char *key, bool flag);
/* Left out if it is 0, and always there. Numbers that JSON does not have are written as text. */
void describe_number(struct describe *d, json_t *object, const char *key, int64_t number);
void describe_each_number(struct describe *d, json_t *object, const char *key, int64_t number);
/* Always there. */
void describe_unsigned(struct describe *d, json_t *object, const char *key, uint64_t number);
void describe_numbers(struct describe *d, json_t *object, const char *key, const uint32_t *numbers, size_t count);
void describe_mappings(struct describe *d, json_t *object, const char *key, const grpc_LinuxIDMapping *m, size_t count);

/* Parts. */
void describe_root(struct describe *d, json_t *object, const grpc_Root *root);
void describe_storages(struct describe *d, json_t *object, const grpc_Storage *storages, size_t count);
void describe_mounts(struct describe *d, json_t *object, const grpc_Mount *mounts, size_t count);
void describe_linux(struct describe *d, json_t *object, const grpc_Linux *l);

#endif
