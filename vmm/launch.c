/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "vmm/mshv/abi.h"

#define KERNEL_BYTES_MAX  ((size_t)1 << 30)
#define KERNEL_HEAD_BYTES ((size_t)64 << 10)
#define INITRD_BYTES_MAX  ((size_t)4 << 30)
#define MONITOR_BYTES_MAX ((size_t)1 << 30)
#define RFLAGS_IF         UINT64_C(0x200)

/* ---- Files ---- */

/*
 * boot/ looks at a kernel's headers, which are in its head, and at the notes of an ELF file, which may be anywhere.
 * Only these have to stay as they are while it looks.
 */
static bool freeze_notes(struct file *f)
{
    Elf64_Ehdr head;
    Elf64_Phdr entry;
    if (f->length < sizeof(head) || memcmp(f->bytes, ELFMAG, SELFMAG) != 0)
        return true;
    memcpy(&head, f->bytes, sizeof(head));
    for (unsigned i = 0; i < head.e_phnum; i++) {
        uint64_t at = head.e_phoff + (uint64_t)i * sizeof(entry);
        if (at > KERNEL_HEAD_BYTES - sizeof(entry) || at > f->length - sizeof(entry))
            return head.e_phoff >= f->length; /* what is beyond the file is refused as such later */
        memcpy(&entry, f->bytes + at, sizeof(entry));
        if (entry.p_type == PT_NOTE && !file_freeze(f, entry.p_offset, entry.p_filesz))
            return false;
    }
    return true;
}

static int refuse_notes(const struct file *f, struct err *err)
{
    const struct err_context context = {
        .attempted = "read the kernel", .on_what = f->name, .what_to_do = "give a vmlinux as Linux's build makes it"};
    return err_fail_because(err, -ENOEXEC, &context, "its program headers are far from its head, or it has many notes");
}

static int map_kernel(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    int code = file_map(&l->kernel, cfg->kernel, "kernel", KERNEL_BYTES_MAX, KERNEL_HEAD_BYTES, err);
    return code == 0 && !freeze_notes(&l->kernel) ? refuse_notes(&l->kernel, err) : code;
}

static int load_initrds(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    int code = 0;
    for (; code == 0 && l->initrd_count < cfg->initrd_count; l->initrd_count++)
        code = file_load(&l->initrds[l->initrd_count], cfg->initrds[l->initrd_count], "initial ramdisk",
                         INITRD_BYTES_MAX, err);
    return code;
}

/* ---- Measured files ---- */

static void hash(struct launch *l)
{
    digest_make(l->kernel.bytes, l->kernel.length, &l->digests.kernel);
    for (unsigned i = 0; i < l->initrd_count; i++)
        digest_make(l->initrds[i].bytes, l->initrds[i].length, &l->digests.initrds[i]);
    digest_make(l->monitor.bytes, l->monitor.length, &l->digests.monitor);
}

static void *run_hasher(void *arg)
{
    struct launch *l = arg;
    if (CONFIG_SECCOMP)
        seccomp_lock_enter(l->lock, SECCOMP_HASH, "hasher");
    hash(l);
    return NULL;
}

/* A host that has no thread left has them hashed now. */
static void start_hasher(struct launch *l)
{
    if (CONFIG_SECCOMP)
        seccomp_lock_expect(l->lock);
    l->hashing = thread_start(&l->hasher, 0, run_hasher, l) == 0;
    if (l->hashing)
        return;
    if (CONFIG_SECCOMP)
        seccomp_lock_unexpect(l->lock);
    hash(l);
}

static void wait_for_hasher(struct launch *l)
{
    if (l->hashing)
        thread_join(&l->hasher);
    l->hashing = false;
}

const struct launch_digests *launch_get_digests(struct launch *l)
{
    wait_for_hasher(l);
    return &l->digests;
}

static void *run_reader(void *arg)
{
    struct launch *l = arg;
    l->reading.code = file_load(&l->kernel, l->reading.path, "kernel", KERNEL_BYTES_MAX, &l->reading.err);
    return NULL;
}

void launch_begin(struct launch *l, const struct launch_config *cfg)
{
    if (!CONFIG_MEASURE || !cfg->measure)
        return;
    l->reading.path = cfg->kernel;
    err_clear(&l->reading.err);
    l->reading.begun = thread_start(&l->reading.thread, 0, run_reader, l) == 0;
}

static void wait_for_reader(struct launch *l)
{
    if (l->reading.begun)
        thread_join(&l->reading.thread);
    l->reading.begun = false;
}

static int read_kernel(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    if (!l->reading.begun)
        return file_load(&l->kernel, cfg->kernel, "kernel", KERNEL_BYTES_MAX, err);
    wait_for_reader(l);
    if (l->reading.code != 0)
        *err = l->reading.err;
    return l->reading.code;
}

static int load_measured(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    int code = load_initrds(l, cfg, err);
    /* Not a copy: the very pages that run, which whoever could change them now would change for what runs as well. */
    code = code != 0 ? code : file_map(&l->monitor, "/proc/self/exe", "program itself", MONITOR_BYTES_MAX, 0, err);
    code = code != 0 ? code : read_kernel(l, cfg, err);
    if (code == 0)
        start_hasher(l);
    return code;
}

int launch_load(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    struct boot_module_wish wishes[IO_MODULES_MAX];
    const struct initramfs_content content = {.modules = cfg->modules,
                                              .wishes = wishes,
                                              .wish_count = io_modules(cfg->io, wishes),
                                              .policy = cfg->policy,
                                              .policy_bytes = cfg->policy_bytes};
    int code;
    l->lock = cfg->lock;
    if (CONFIG_MEASURE && cfg->measure) {
        code = load_measured(l, cfg, err);
    } else {
        code = map_kernel(l, cfg, err);
        code = code != 0 ? code : load_initrds(l, cfg, err);
    }
    return code != 0 ? code : initramfs_build(&l->initramfs, &content, err);
}

/* ---- The image ---- */

static struct boot_file boot_file_of(const struct file *f)
{
    return (struct boot_file){.bytes = f->bytes, .length = f->length, .name = f->name};
}

void launch_describe(const struct launch *l, const struct launch_config *cfg,
                     struct boot_file parts[1 + LAUNCH_INITRDS_MAX], struct boot_config *out)
{
    parts[0] = initramfs_file(&l->initramfs);
    for (unsigned i = 0; i < l->initrd_count; i++)
        parts[1 + i] = boot_file_of(&l->initrds[i]);
    *out = (struct boot_config){
        .kernel = boot_file_of(&l->kernel),
        .initrds = parts,
        .initrd_count = 1 + l->initrd_count,
        .init = INITRAMFS_INIT,
        .cmdline = cfg->cmdline,
        .without_default_cmdline = cfg->no_default_cmdline,
        .protocol = cfg->protocol,
        .memory_bytes = cfg->memory_bytes,
        .devices = {.vps = cfg->vps, .com1 = true, .com2 = cfg->channel, .rtc = CONFIG_RTC, .panic = CONFIG_PVPANIC},
    };
    if (CONFIG_VIRTIO)
        io_describe(cfg->io, &out->devices);
}

int launch_build(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    struct boot_file parts[1 + LAUNCH_INITRDS_MAX];
    struct boot_config boot;
    launch_describe(l, cfg, parts, &boot);
    return boot_image_build(&boot, &l->image, err);
}

void launch_fini(struct launch *l)
{
    wait_for_reader(l);
    wait_for_hasher(l);
    boot_image_fini(&l->image);
    initramfs_fini(&l->initramfs);
    for (unsigned i = 0; i < LAUNCH_INITRDS_MAX; i++)
        file_fini(&l->initrds[i]);
    l->initrd_count = 0;
    file_fini(&l->kernel);
    file_fini(&l->monitor);
}

/* ---- The process ---- */

void launch_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- Processors ---- */

void launch_sample_vps(struct vm *vm, struct launch_vp out[VM_VPS_MAX])
{
    for (uint32_t i = 0; i < vm->vps; i++) {
        struct launch_vp *p = &out[i];
        const struct mshv_vp *vp = &vm->vcpu[i].vp;
        p->known = mshv_vp_get_register(vp, HV_X64_REGISTER_RIP, &p->rip, NULL) == 0 &&
                   mshv_vp_get_register(vp, HV_X64_REGISTER_RFLAGS, &p->rflags, NULL) == 0 &&
                   mshv_vp_get_register(vp, HV_REGISTER_INTERNAL_ACTIVITY_STATE, &p->activity, NULL) == 0;
    }
}

const char *launch_vp_activity(const struct launch_vp *p)
{
    if ((p->activity & HV_ACTIVITY_STARTUP_SUSPEND) != 0)
        return "waits to be started";
    if ((p->activity & (HV_ACTIVITY_HALT_SUSPEND | HV_ACTIVITY_IDLE_SUSPEND)) != 0)
        return (p->rflags & RFLAGS_IF) != 0 ? "is halted and waits for an interrupt" : "is halted with interrupts off";
    return (p->rflags & RFLAGS_IF) != 0 ? "runs" : "runs with interrupts off";
}
