/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/shape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Behind the default words (docs/boot.md): warnings and worse are shown, for who looks for the reason of a failure. No
 * tracefs is filled, which no container sees, and which takes a seventh of the start of Debian's kernels.
 */
#define WORDS "loglevel=4 caisson_agent=1024 initcall_blacklist=trace_eval_init,tracer_init_tracefs"
/* The port of the host that the agent measures at (POD_TRUST_PORT). */
#define WORDS_MEASURED " caisson_trust=1026"

/* What every pod has, besides what it was asked for. */
static int add_devices(const struct pod_config *cfg, const char *vsock_path, struct io_config *io, struct err *err)
{
    static const struct err_context context = {.attempted = "give the pod its devices",
                                               .what_to_do = "share fewer folders by io_config"};
    *io = cfg->io;
    if (io->share_count == IO_SHARES_MAX)
        return err_fail_because(err, -ENOSPC, &context, "there are %u shares, and none is left for exports",
                                IO_SHARES_MAX);
    io->shares[io->share_count++] =
        (struct io_share){.tag = POD_EXPORTS_TAG, .exports = true, .cache = IO_CACHE_AUTO, .queues = 1};
    /* Names are for pod.c to remove, which knows the folder: the path leads through it. */
    io->vsock = (struct io_vsock){.path = vsock_path,
                                  .cid = POD_GUEST_CID,
                                  .mode = 0600,
                                  .uid = (uid_t)-1,
                                  .gid = (gid_t)-1,
                                  .leave_socket = true};
    io->rng = true;
    /* Registers of a device that is left out would still be described. */
    io->balloon = io->balloon_optional = CONFIG_VIRTIO_PCI && !cfg->hugepages;
    return 0;
}

static char *make_words(const char *more, struct err *err)
{
    static const struct err_context context = {.attempted = "build kernel command line",
                                               .what_to_do = "free memory on the host"};
    char *words = NULL;
    if (asprintf(&words, WORDS "%s%s%s", CONFIG_MEASURE ? WORDS_MEASURED : "", more == NULL ? "" : " ",
                 more == NULL ? "" : more) >= 0)
        return words;
    (void)err_fail(err, -ENOMEM, &context);
    return NULL;
}

int pod_shape_make(const struct pod_config *cfg, const char *vsock_path, const void *policy, size_t policy_bytes,
                   struct pod_shape *out, struct err *err)
{
    *out = (struct pod_shape){.words = NULL};
    int code = add_devices(cfg, vsock_path, &out->io, err);
    if (code != 0)
        return code;
    out->words = make_words(cfg->cmdline, err);
    out->launch = (struct launch_config){.kernel = cfg->kernel,
                                         .modules = cfg->modules,
                                         .cmdline = out->words,
                                         .memory_bytes = cfg->memory_bytes,
                                         .vps = cfg->vps,
                                         .io = &out->io,
                                         .measure = CONFIG_MEASURE,
                                         .policy = policy,
                                         .policy_bytes = policy_bytes};
    return out->words == NULL ? -ENOMEM : 0;
}

void pod_shape_fini(struct pod_shape *shape)
{
    free(shape->words);
    *shape = (struct pod_shape){.words = NULL};
}
