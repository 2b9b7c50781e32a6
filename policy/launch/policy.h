/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A launch policy: what may be started, by a document that somebody signed. Without a match nothing starts. Used by the
 * monitor (machine), by the guest's agent (containers, processes, files) and by verifiers (both, from the log).
 * docs/policy.md describes the document. A policy is const once read; any thread.
 */
#ifndef CAISSON_POLICY_LAUNCH_POLICY_H
#define CAISSON_POLICY_LAUNCH_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/digest.h"
#include "common/err.h"

#define POLICY_BYTES_MAX (1u << 20)

struct policy;

/*
 * Read a document. It has to be canonical JSON (RFC 8785, numbers integers only), so that it has one form and one
 * digest; one newline at its end is not part of it and is refused. 0 with *out; -EINVAL with *err naming the place:
 * unknown key, wrong type, doubled key, not canonical, a version that is not known; -EFBIG; -ENOMEM.
 */
int policy_parse(const char *bytes, size_t n, struct policy **out, struct err *err);
void policy_free(struct policy *p);
const char *policy_name(const struct policy *p);
uint64_t policy_serial(const struct policy *p);
bool policy_debug(const struct policy *p);
/* The document itself, borrowed and const; for explanations. */
const json_t *policy_document(const struct policy *p);
/* Is it in force at a time? 0, or -EKEYEXPIRED: not yet, or not any more, with *err. */
int policy_judge_time(const struct policy *p, int64_t now_s, struct err *err);

/*
 * The canonical form of any JSON value (RFC 8785): malloc'ed, with a NUL. -EINVAL: it holds a real number, or one
 * beyond 2^53 - 1, which readers of other languages would change; -ENOMEM. err may be NULL.
 */
int policy_canonical(const json_t *value, char **out, size_t *length, struct err *err);

/* ---- Machines ---- */

struct policy_image {
    const char *serial;
    const char *root_hash; /* dm-verity, lower-case hexadecimal; NULL: not verified */
    bool read_only;
};

struct policy_machine {
    struct digest kernel;
    const struct digest *initrds; /* the user's, in their order */
    size_t initrd_count;
    const char *cmdline;    /* the whole line as it is loaded */
    const char *hypervisor; /* "mshv" or "softhv" */
    const char *monitor;    /* version */
    struct digest monitor_file;
    uint32_t vps;
    uint64_t memory_bytes;
    const char *const *devices; /* kinds in their order: "blk", "fs", "net", ... */
    size_t device_count;
    const struct policy_image *images;
    size_t image_count;
};
/* 0; -EACCES with *err: the rule, what it wants and what there is, short. */
int policy_judge_machine(const struct policy *p, const struct policy_machine *m, struct err *err);

/* ---- What the agent is asked for ---- */

/* container, exec: descriptions (describe.h). *rule: which of the policy's containers it is. 0 or -EACCES with *err. */
int policy_judge_container(const struct policy *p, const json_t *container, size_t *rule, struct err *err);
/* How many containers of that rule may run at once; 0: any number. */
unsigned policy_rule_count_max(const struct policy *p, size_t rule);
const char *policy_rule_name(const struct policy *p, size_t rule);
int policy_judge_exec(const struct policy *p, size_t rule, const json_t *exec, struct err *err);
/* CopyFile to a path of the guest. */
int policy_judge_copy(const struct policy *p, const char *path, struct err *err);
/* Any other call of the agent that changes something: "UpdateContainer", "ReseedRandomDev", "PutSecret"... */
int policy_judge_call(const struct policy *p, const char *method, struct err *err);

#endif
