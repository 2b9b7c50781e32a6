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

int launch_load(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    struct boot_module_wish wishes[IO_MODULES_MAX];
    int code = file_map(&l->kernel, cfg->kernel, "kernel", KERNEL_BYTES_MAX, KERNEL_HEAD_BYTES, err);
    if (code == 0 && !freeze_notes(&l->kernel))
        code = refuse_notes(&l->kernel, err);
    for (; code == 0 && l->initrd_count < cfg->initrd_count; l->initrd_count++)
        code = file_load(&l->initrds[l->initrd_count], cfg->initrds[l->initrd_count], "initial ramdisk",
                         INITRD_BYTES_MAX, err);
    size_t wished = io_modules(cfg->io, wishes);
    return code != 0 ? code : initramfs_build(&l->initramfs, cfg->modules, wishes, wished, err);
}

static struct boot_file boot_file_of(const struct file *f)
{
    return (struct boot_file){.bytes = f->bytes, .length = f->length, .name = f->name};
}

int launch_build(struct launch *l, const struct launch_config *cfg, struct err *err)
{
    struct boot_file parts[1 + LAUNCH_INITRDS_MAX] = {initramfs_file(&l->initramfs)};
    for (unsigned i = 0; i < l->initrd_count; i++)
        parts[1 + i] = boot_file_of(&l->initrds[i]);
    struct boot_config boot = {
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
        io_describe(cfg->io, &boot.devices);
    return boot_image_build(&boot, &l->image, err);
}

void launch_fini(struct launch *l)
{
    boot_image_fini(&l->image);
    initramfs_fini(&l->initramfs);
    for (unsigned i = 0; i < LAUNCH_INITRDS_MAX; i++)
        file_fini(&l->initrds[i]);
    l->initrd_count = 0;
    file_fini(&l->kernel);
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
