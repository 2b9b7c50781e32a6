/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the owner of the host has laid down for pods: read, verified and opened by the command that makes one, before
 * the pod's process is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/launch/signed.h"
#include "vmm/attest/chain.h"
#include "vmm/file.h"
#include "vmm/pod/trust.h"

#define FD_PREFIX "fd:"

/* ---- Policies ---- */

static int load_jws(const char *policy, struct file *out, char **path, struct err *err)
{
    static const struct err_context context = {.attempted = "read the policy", .what_to_do = "free memory on the host"};
    if (asprintf(path, "%s.jws", policy) >= 0)
        return file_load(out, *path, "policy's signature", JWS_MAX, err);
    *path = NULL;
    return err_fail(err, -ENOMEM, &context);
}

static int load_keys(const struct pod_trust_config *cfg, struct pubkey *keys[POD_TRUST_KEYS_MAX], size_t *count,
                     struct err *err)
{
    int code = 0;
    for (*count = 0; code == 0 && *count < cfg->policy_key_count;) {
        struct file f;
        const char *path = cfg->policy_keys[*count];
        code = file_load(&f, path, "key that policies are signed by", KEY_FILE_MAX, err);
        if (code != 0)
            break;
        code = pubkey_load(f.bytes, f.length, path, &keys[*count], err);
        file_fini(&f);
        *count += code == 0;
    }
    return code;
}

static int verify(const struct pod_trust_config *cfg, const struct file *document, const struct file *jws,
                  struct policy **out, struct err *err)
{
    struct pubkey *keys[POD_TRUST_KEYS_MAX] = {NULL};
    const struct pubkey *trusted[POD_TRUST_KEYS_MAX];
    size_t count;
    int code = load_keys(cfg, keys, &count, err);
    for (size_t i = 0; i < count; i++)
        trusted[i] = keys[i];
    if (code == 0)
        code = policy_open((const char *)document->bytes, document->length, (const char *)jws->bytes, jws->length,
                           trusted, count, out, err);
    for (size_t i = 0; i < count; i++)
        pubkey_free(keys[i]);
    return code;
}

/* A policy that was replaced by a later one must not come back. */
static int judge(const struct pod_trust_config *cfg, const struct policy *p, int64_t now_s, struct err *err)
{
    const struct err_context context = {.attempted = "use the launch policy",
                                        .on_what = cfg->policy,
                                        .what_to_do = "use a later one, or lower policy_serial"};
    if (policy_serial(p) < cfg->policy_serial)
        return err_fail_because(err, -EACCES, &context, "its serial number is %llu, and %llu is the least allowed",
                                (unsigned long long)policy_serial(p), (unsigned long long)cfg->policy_serial);
    return policy_judge_time(p, now_s, err);
}

static int take_policy(const struct pod_trust_config *cfg, const struct file *document, struct pod_trust_files *out,
                       struct err *err)
{
    static const struct err_context context = {.attempted = "read the policy", .what_to_do = "free memory on the host"};
    struct file jws = {.name = NULL};
    char *path = NULL;
    int code = load_jws(cfg->policy, &jws, &path, err);
    code = code != 0 ? code : verify(cfg, document, &jws, &out->parsed, err);
    file_fini(&jws);
    free(path);
    if (code != 0)
        return code;
    out->policy = malloc(document->length + 1);
    if (out->policy == NULL)
        return err_fail(err, -ENOMEM, &context);
    memcpy(out->policy, document->bytes, document->length);
    out->policy[document->length] = '\0';
    out->policy_bytes = document->length;
    return 0;
}

static int open_policy(const struct pod_trust_config *cfg, int64_t now_s, struct pod_trust_files *out, struct err *err)
{
    const struct err_context untrusted = {.attempted = "use the launch policy",
                                          .on_what = cfg->policy,
                                          .what_to_do =
                                              "name the signer's public key as policy_keys in the configuration"};
    struct file document;
    if (cfg->policy_key_count == 0)
        return err_fail_because(err, -EACCES, &untrusted, "no key is trusted to sign policies");
    int code = file_load(&document, cfg->policy, "policy", POLICY_BYTES_MAX, err);
    if (code != 0)
        return code;
    code = take_policy(cfg, &document, out, err);
    file_fini(&document);
    return code != 0 ? code : judge(cfg, out->parsed, now_s, err);
}

/* ---- Keys ---- */

static int take_number(const char *text, int *fd)
{
    char *rest;
    long number = strtol(text, &rest, 10);
    if (text[0] < '0' || text[0] > '9' || *rest != '\0' || number > 65535)
        return -EINVAL;
    *fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    return *fd < 0 ? -errno : 0;
}

/* Whoever can read the file can sign in the pod's name. */
static int check_private(int fd, const struct err_context *context, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_fail(err, -errno, context);
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return err_fail_because(err, -EINVAL, context, "it is neither a file nor a pipe");
    if ((st.st_mode & 077) != 0)
        return err_fail_because(err, -EPERM, context, "others can read or write it (chmod 600)");
    return 0;
}

/* An inherited descriptor was somebody's decision; a path is looked at. */
static int open_key(const char *name, int *fd, struct err *err)
{
    const struct err_context context = {.attempted = "open the key",
                                        .on_what = name,
                                        .what_to_do = "name a file or FIFO of mode 600, or an open descriptor as fd:N"};
    if (strncmp(name, FD_PREFIX, strlen(FD_PREFIX)) == 0) {
        int code = take_number(name + strlen(FD_PREFIX), fd);
        return code < 0 ? err_fail(err, code, &context) : 0;
    }
    *fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return *fd < 0 ? err_fail(err, -errno, &context) : check_private(*fd, &context, err);
}

static int load_chain(const char *path, struct pod_trust_files *out, struct err *err)
{
    static const struct err_context context = {.attempted = "read the certificates of the node's key",
                                               .what_to_do = "free memory on the host"};
    struct file f;
    int code = file_load(&f, path, "certificates of the node's key", CHAIN_BYTES_MAX, err);
    if (code != 0)
        return code;
    out->node_chain = malloc(f.length + 1);
    if (out->node_chain != NULL) {
        memcpy(out->node_chain, f.bytes, f.length);
        out->node_chain[f.length] = '\0';
        out->node_chain_bytes = f.length;
    }
    file_fini(&f);
    return out->node_chain != NULL ? 0 : err_fail(err, -ENOMEM, &context);
}

static int open_node(const struct pod_trust_config *cfg, struct pod_trust_files *out, struct err *err)
{
    static const struct err_context context = {.attempted = "certify the keys of pods",
                                               .what_to_do = "give attest_node_key and attest_node_chain, or neither"};
    if ((cfg->node_key != NULL) != (cfg->node_chain != NULL))
        return err_fail_because(err, -EINVAL, &context, "the node's key and its certificates belong together");
    if (cfg->node_key == NULL)
        return 0;
    int code = load_chain(cfg->node_chain, out, err);
    return code != 0 ? code : open_key(cfg->node_key, &out->node_key_fd, err);
}

/* ---- The whole ---- */

static int open_keys(const struct pod_trust_config *cfg, struct pod_trust_files *out, struct err *err)
{
    out->key_kind = cfg->key_kind;
    int code = cfg->key != NULL ? open_key(cfg->key, &out->key_fd, err) : 0;
    return code != 0 ? code : open_node(cfg, out, err);
}

int pod_trust_open(const struct pod_trust_config *cfg, int64_t now_s, struct pod_trust_files *out, struct err *err)
{
    const struct err_context context = {.attempted = "use the launch policy",
                                        .on_what = cfg->policy,
                                        .what_to_do = "use a build with CONFIG_LAUNCH_POLICY, or name no policy"};
    *out = (struct pod_trust_files){.key_fd = -1, .node_key_fd = -1};
    if (cfg->policy != NULL && !CONFIG_LAUNCH_POLICY)
        return err_fail_because(err, -EOPNOTSUPP, &context, "this build has no launch policies");
    int code = CONFIG_LAUNCH_POLICY && cfg->policy != NULL ? open_policy(cfg, now_s, out, err) : 0;
    return code != 0 || !CONFIG_ATTEST ? code : open_keys(cfg, out, err);
}

void pod_trust_close(struct pod_trust_files *files)
{
    if (files->key_fd >= 0)
        close(files->key_fd);
    if (files->node_key_fd >= 0)
        close(files->node_key_fd);
    if (CONFIG_LAUNCH_POLICY)
        policy_free(files->parsed);
    free(files->policy);
    free(files->node_chain);
    *files = (struct pod_trust_files){.key_fd = -1, .node_key_fd = -1};
}
