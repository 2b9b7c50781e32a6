/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A machine for tests.
 */
#include "tests/lib/vm_rig.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/softhv/options.h"
#include "vmm/softhv/port_soft.h"

#define WAIT_MS 60000

/* ---- The port between ---- */

static bool fails(struct vm_rig *r)
{
    return atomic_fetch_add(&r->calls, 1) + 1 == r->fail_at;
}

static bool makes_descriptor(uint32_t request)
{
    return request == MSHV_CREATE_PARTITION || request == MSHV_CREATE_VP;
}

static int port_open(void *self)
{
    struct vm_rig *r = self;
    int fd = fails(r) ? -r->fail_with : mshv_port_open(&r->inner);
    atomic_fetch_add(&r->open, fd >= 0);
    return fd;
}

static int port_ioctl(void *self, int fd, uint32_t request, void *arg)
{
    struct vm_rig *r = self;
    int result = fails(r) ? -r->fail_with : mshv_port_ioctl(&r->inner, fd, request, arg);
    atomic_fetch_add(&r->open, result >= 0 && makes_descriptor(request));
    return result;
}

static int port_mmap(void *self, int fd, size_t bytes, uint64_t offset, void **out)
{
    struct vm_rig *r = self;
    int result = fails(r) ? -r->fail_with : mshv_port_mmap(&r->inner, fd, bytes, offset, out);
    atomic_fetch_add(&r->open, result == 0);
    return result;
}

static int port_munmap(void *self, void *address, size_t bytes)
{
    struct vm_rig *r = self;
    atomic_fetch_sub(&r->open, 1);
    return mshv_port_munmap(&r->inner, address, bytes);
}

static int port_close(void *self, int fd)
{
    struct vm_rig *r = self;
    atomic_fetch_sub(&r->open, 1);
    return mshv_port_close(&r->inner, fd);
}

static const struct mshv_port_ops port_ops = {.name = "softhv, counted",
                                              .open = port_open,
                                              .ioctl = port_ioctl,
                                              .mmap = port_mmap,
                                              .munmap = port_munmap,
                                              .close = port_close};

/* ---- What the guest sends ---- */

static void keep(char *to, size_t size, atomic_size_t *have, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n && *have + 1 < size; i++)
        to[(*have)++] = (char)bytes[i];
}

static void on_console(void *ctx, const uint8_t *bytes, size_t n)
{
    struct vm_rig *r = ctx;
    keep(r->console, sizeof(r->console), &r->console_bytes, bytes, n);
}

static void on_channel(void *ctx, const uint8_t *bytes, size_t n)
{
    struct vm_rig *r = ctx;
    keep(r->channel, sizeof(r->channel), &r->channel_bytes, bytes, n);
}

static void on_room(void *ctx)
{
    atomic_fetch_add(&((struct vm_rig *)ctx)->rooms, 1);
}

static uint64_t clock_of(void *ctx)
{
    return ((const struct vm_rig *)ctx)->utc_s;
}

/* ---- The image ---- */

void vm_rig_add(struct vm_rig *r, uint64_t gpa, const uint8_t *bytes, const uint8_t *end)
{
    struct boot_parts *parts = &r->image.parts;
    assert_true(parts->count < BOOT_PARTS_MAX);
    parts->part[parts->count++] = (struct boot_part){
        .gpa = gpa_make(gpa), .bytes = bytes, .length = (uint64_t)(end - bytes), .kind = BOOT_PART_KERNEL};
}

static void make_image(struct vm_rig *r)
{
    static const uint8_t vector[] = {VM_RIG_HANDLER & 0xff, VM_RIG_HANDLER >> 8, 0, 0};
    const struct boot_segment data = {.limit = UINT32_MAX, .attr = 0x8093};
    r->image.parts.ram[0] = (struct boot_range){.gpa = 0, .bytes = VM_RIG_RAM_BYTES};
    r->image.parts.ram_count = 1;
    r->image.cpu = (struct boot_cpu_state){.rip = VM_RIG_CODE,
                                           .rsp = VM_RIG_STACK,
                                           .rflags = 2,
                                           .cr0 = 0x10,
                                           .cs = {.limit = 0xffff, .attr = 0x009b},
                                           .ds = data,
                                           .es = data,
                                           .fs = data,
                                           .gs = data,
                                           .ss = data,
                                           .tr = {.limit = 0xffff, .attr = 0x008b},
                                           .ldt = {.limit = 0xffff, .attr = 0x0082},
                                           .gdt = {.limit = 0xffff},
                                           .idt = {.limit = 0x3ff}};
    vm_rig_add(r, VM_RIG_VECTOR * 4, vector, vector + sizeof(vector));
}

/* ---- Life ---- */

void vm_rig_init(struct vm_rig *r, const uint8_t *code, const uint8_t *code_end)
{
    const struct softhv_config soft = {.kernel = SOFTHV_KERNEL_7_2, .kicks = softhv_option_kicks_default()};
    memset(r, 0, sizeof(*r));
    assert_int_equal(softhv_instance_new(&soft, &r->soft), 0);
    assert_int_equal(vcpu_prepare_process(), 0);
    r->inner = mshv_port_soft(r->soft);
    r->port = (struct mshv_port){.ops = &port_ops, .self = r};
    make_image(r);
    vm_rig_add(r, VM_RIG_CODE, code, code_end);
    r->config = (struct vm_config){.vps = 1,
                                   .image = &r->image,
                                   .console = {.output = on_console, .ctx = r},
                                   .clock = {.utc_s = clock_of, .ctx = r}};
}

void vm_rig_add_channel(struct vm_rig *r)
{
    r->config.channel = (struct vm_line){.output = on_channel, .room = on_room, .ctx = r};
}

void vm_rig_fini(struct vm_rig *r)
{
    vm_fini(&r->vm);
    assert_int_equal(r->open, 0);
    softhv_instance_free(r->soft);
    r->soft = NULL;
}

void vm_rig_build(struct vm_rig *r)
{
    struct err err;
    if (vm_build(&r->vm, &r->config, &r->port, &err) < 0)
        fail_msg("%s", err.text);
}

enum vm_end vm_rig_run(struct vm_rig *r)
{
    struct err err;
    struct pollfd p = {.fd = r->vm.stop_fd, .events = POLLIN};
    if (vm_start(&r->vm, &err) < 0)
        fail_msg("%s", err.text);
    bool ended = poll(&p, 1, WAIT_MS) == 1;
    vm_stop(&r->vm, VM_END_ASKED, "%s", "");
    vm_join(&r->vm);
    if (!ended)
        fail_msg("the guest did not end; it printed '%s'", r->console);
    return r->vm.end;
}

enum vm_end vm_rig_build_and_run(struct vm_rig *r)
{
    vm_rig_build(r);
    return vm_rig_run(r);
}

unsigned vm_rig_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}
