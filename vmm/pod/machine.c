/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a pod. Its first process is guest-init from the built-in ramdisk, which finds nothing else there: root
 * file systems come by exports and disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/pod/pod_internal.h"
#include "vmm/trust/machine.h"

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

/* Copying a kernel that is measured takes as long as making everything that needs no kernel. */
static int begin_image(struct pod *p, struct err *err)
{
    int code = pod_shape_make(p->cfg, p->vsock_path, p->files.policy, p->files.policy_bytes, &p->shape, err);
    p->shape.launch.lock = &p->lock;
    p->shape.io.vsock.inside = p->vsock_inside;
    if (code == 0)
        launch_begin(&p->launch, &p->shape.launch);
    return code;
}

static int make_image(void *ctx, struct err *err)
{
    struct pod *p = ctx;
    int code = launch_load(&p->launch, &p->shape.launch, err);
    return code != 0 ? code : launch_build(&p->launch, &p->shape.launch, err);
}

static int open_hypervisor(struct pod *p, struct err *err)
{
    static const struct err_context nothing = {.attempted = "find a hypervisor",
                                               .what_to_do = "use a build that has one"};
    if (p->io->hv == NULL)
        return err_fail_because(err, -EOPNOTSUPP, &nothing, "this program was given none");
    struct hv_request request = p->cfg->hv;
    request.lock = p->lock.on ? &p->lock : NULL;
    int code = p->io->hv->open(&request, &p->hv, err);
    if (code == 0)
        p->hypervisor = p->hv.soft ? "softhv" : MSHV_DEVICE_PATH;
    if (code == 0 && p->hv.soft && p->cfg->hv.choice == HV_AUTO)
        pod_say(p, LOG_LEVEL_WARN,
                MSHV_DEVICE_PATH " cannot be opened: the guest runs on the software hypervisor, without isolation by "
                                 "hardware");
    return code;
}

static int build_vm(struct pod *p, struct err *err)
{
    const struct vm_config cfg = {.vps = p->cfg->vps,
                                  .hugepages = p->cfg->hugepages,
                                  .lock_memory = p->cfg->lock_memory,
                                  .image = &p->launch.image,
                                  .kernel = &p->launch.kernel,
                                  .make_image = make_image,
                                  .image_ctx = p,
                                  .console = {.output = on_console, .ctx = p},
                                  .console_virtio = {.output = on_console, .ctx = p},
                                  .panicked = on_panic,
                                  .panicked_ctx = p,
                                  .io = &p->shape.io,
                                  .lock_down = &p->lock,
                                  .main_role = SECCOMP_POD,
                                  .log = &p->log};
    /* Nobody else makes names in the pod's folder: what is not there yet, this pod will have made. */
    struct stat st;
    p->owns_vsock = fstatat(p->folder, POD_VSOCK_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    int code = vm_build(&p->vm, &cfg, &p->hv.port, err);
    p->built = code == 0;
    return code;
}

/* ---- Measuring ---- */

/* A policy that was good when its file was read may have run out since, in a queue of starting pods. */
static int judge(const struct pod *p, const struct trust_machine *m, struct err *err)
{
    const struct policy_machine machine = trust_machine_for_policy(m);
    int code = policy_judge_time(p->files.parsed, (int64_t)time(NULL), err);
    return code != 0 ? code : policy_judge_machine(p->files.parsed, &machine, err);
}

static bool permits_debug(const struct pod *p)
{
    return !CONFIG_LAUNCH_POLICY || p->files.parsed == NULL || policy_debug(p->files.parsed);
}

/* What is permitted is known before the first instruction: of what is not, nothing is left behind but the reason. */
static int judge_machine(struct pod *p, struct err *err)
{
    struct trust_machine m;
    int code = trust_machine_describe(&m, &p->launch, &p->shape.launch, p->hv.soft, err);
    code = code != 0 ? code : judge(p, &m, err);
    trust_machine_fini(&m);
    return code;
}

/* The guest's agent may dial as soon as it likes; it is answered when this thread serves. */
static int open_trust(struct pod *p, struct err *err)
{
    const struct pod_trust_setup setup = {.folder = p->folder, .id = p->id, .debug = permits_debug(p)};
    int code = pod_trust_new(&setup, &p->trust, err);
    code = code != 0 ? code : pod_trust_keep_log(p->trust, err);
    return code != 0 ? code : pod_trust_listen(p->trust, err);
}

int pod_machine_build(struct pod *p, struct err *err)
{
    int code = begin_image(p, err);
    code = code != 0 ? code : open_hypervisor(p, err);
    code = code != 0 ? code : build_vm(p, err);
    if (code == 0 && CONFIG_LAUNCH_POLICY && p->files.parsed != NULL)
        code = judge_machine(p, err);
    return code == 0 && CONFIG_MEASURE ? open_trust(p, err) : code;
}

/* The digests are being made since the files were sealed, beside the guest's first instructions. */
int pod_machine_measure(struct pod *p, struct err *err)
{
    struct trust_machine m;
    int code = 0;
    if (CONFIG_MEASURE) {
        code = trust_machine_describe(&m, &p->launch, &p->shape.launch, p->hv.soft, err);
        if (code == 0)
            code = trust_machine_measure(&m, p->files.policy, p->files.policy_bytes, permits_debug(p),
                                         pod_trust_log(p->trust), err);
        trust_machine_fini(&m);
        code = code != 0 ? code : pod_trust_keep_log(p->trust, err);
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
    pod_shape_fini(&p->shape);
    p->built = false;
}
