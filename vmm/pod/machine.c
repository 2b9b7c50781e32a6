/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a pod. Its first process is guest-init from the built-in ramdisk, which finds nothing else there: root
 * file systems come by exports and disks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/pod/pod_internal.h"

/* ---- What the guest says ---- */

static void on_console(void *ctx, const uint8_t *bytes, size_t n)
{
    pod_console_output(&((struct pod *)ctx)->console, bytes, n);
}

static void on_panic(void *ctx)
{
    struct pod *p = ctx;
    const uint64_t one = 1;
    atomic_store(&p->panicked, true);
    (void)!write(p->console.wake_fd, &one, sizeof(one));
}

/* ---- Building ---- */

/* What every pod has, besides what it was asked for. */
static int add_devices(struct pod *p, struct err *err)
{
    static const struct err_context context = {.attempted = "give the pod its devices",
                                               .what_to_do = "share fewer folders by io_config"};
    struct io_config *io = &p->devices;
    *io = p->cfg->io;
    if (io->share_count == IO_SHARES_MAX)
        return err_fail_because(err, -ENOSPC, &context, "there are %u shares, and none is left for exports",
                                IO_SHARES_MAX);
    io->shares[io->share_count++] =
        (struct io_share){.tag = POD_EXPORTS_TAG, .exports = true, .cache = IO_CACHE_AUTO, .queues = 1};
    io->vsock = (struct io_vsock){
        .path = p->vsock_path, .cid = POD_GUEST_CID, .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};
    io->rng = true;
    /* Registers of a device that is left out would still be described. */
    io->balloon = io->balloon_optional = CONFIG_VIRTIO_PCI && !p->cfg->hugepages;
    return 0;
}

static char *kernel_words(const struct pod *p, struct err *err)
{
    static const struct err_context context = {.attempted = "build kernel command line",
                                               .what_to_do = "free memory on the host"};
    const char *more = p->cfg->cmdline;
    char *words = NULL;
    if (asprintf(&words, POD_WORDS_KERNEL "%s%s", more == NULL ? "" : " ", more == NULL ? "" : more) >= 0)
        return words;
    (void)err_fail(err, -ENOMEM, &context);
    return NULL;
}

static int make_image(struct pod *p, struct err *err)
{
    char *words = kernel_words(p, err);
    if (words == NULL)
        return -ENOMEM;
    const struct launch_config cfg = {.kernel = p->cfg->kernel,
                                      .modules = p->cfg->modules,
                                      .cmdline = words,
                                      .memory_bytes = p->cfg->memory_bytes,
                                      .vps = p->cfg->vps,
                                      .io = &p->devices};
    int code = launch_load(&p->launch, &cfg, err);
    code = code != 0 ? code : launch_build(&p->launch, &cfg, err);
    free(words);
    return code;
}

static int open_hypervisor(struct pod *p, struct err *err)
{
    static const struct err_context nothing = {.attempted = "find a hypervisor",
                                               .what_to_do = "use a build that has one"};
    if (p->io->hv == NULL)
        return err_fail_because(err, -EOPNOTSUPP, &nothing, "this program was given none");
    int code = p->io->hv->open(&p->cfg->hv, &p->hv, err);
    if (code == 0)
        p->hypervisor = p->hv.soft ? "softhv" : MSHV_DEVICE_PATH;
    if (code == 0 && p->hv.soft && p->cfg->hv.choice == HV_AUTO)
        pod_say(p, LOG_LEVEL_WARN,
                MSHV_DEVICE_PATH " cannot be opened: the guest runs on the software hypervisor, without isolation by "
                                 "hardware");
    return code;
}

int pod_machine_build(struct pod *p, struct err *err)
{
    int code = add_devices(p, err);
    code = code != 0 ? code : make_image(p, err);
    code = code != 0 ? code : open_hypervisor(p, err);
    if (code == 0) {
        const struct vm_config cfg = {.vps = p->cfg->vps,
                                      .hugepages = p->cfg->hugepages,
                                      .image = &p->launch.image,
                                      .kernel = &p->launch.kernel,
                                      .console = {.output = on_console, .ctx = p},
                                      .console_virtio = {.output = on_console, .ctx = p},
                                      .panicked = on_panic,
                                      .panicked_ctx = p,
                                      .io = &p->devices,
                                      .log = &p->log};
        code = vm_build(&p->vm, &cfg, &p->hv.port, err);
        p->built = code == 0;
    }
    launch_fini(&p->launch);
    return code;
}

int pod_machine_start(struct pod *p, struct err *err)
{
    p->started = true;
    return vm_start(&p->vm, err);
}

void pod_machine_stop(struct pod *p)
{
    if (!p->started)
        return;
    vm_stop(&p->vm, VM_END_ASKED, "%s", "");
    vm_join(&p->vm);
    if (p->late)
        launch_sample_vps(&p->vm, p->vp);
    p->started = false;
}

void pod_machine_end(struct pod *p)
{
    pod_machine_stop(p);
    if (p->built)
        vm_fini(&p->vm);
    if (p->hv.port.ops != NULL)
        p->io->hv->close(&p->hv);
    launch_fini(&p->launch);
    p->built = false;
}
