/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: partition, memory, interrupts, virtual processors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mini.h"

void mini_die(const char *what)
{
    fprintf(stderr, "minivmm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int request(struct mini_vm *vm, int fd, unsigned long number, void *arg, const char *what)
{
    int result = vm->sys->ioctl(vm->sys->ctx, fd, number, arg);
    if (result < 0)
        mini_die(what);
    return result;
}

/* ---- Memory ---- */

static uint8_t *map(struct mini_vm *vm, uint64_t gpa, size_t bytes, unsigned flags)
{
    struct mshv_user_mem_region r;
    uint8_t *m = vm->sys->mmap(vm->sys->ctx, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        mini_die("memory for the guest");
    memset(&r, 0, sizeof(r));
    r.size = bytes;
    r.guest_pfn = gpa / PAGE_BYTES;
    r.userspace_addr = (uintptr_t)m;
    r.flags = (uint8_t)flags;
    (void)request(vm, vm->partition, MSHV_SET_GUEST_MEMORY, &r, "guest memory");
    return m;
}

static void load(struct mini_vm *vm, const char *image)
{
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        mini_die(image);
    ssize_t n = read(fd, vm->ram + IMAGE_GPA, RAM_BYTES - IMAGE_GPA);
    if (n <= 0)
        mini_die(image);
    close(fd);
}

/* One table of each level, and one page of 2 MiB: as much as there is. */
static void page_tables(struct mini_vm *vm)
{
    const uint64_t entries[] = {PML4_GPA + 0x1000 + 3, PML4_GPA + 0x2000 + 3, 0x83};
    for (unsigned level = 0; level < 3; level++)
        memcpy(vm->ram + PML4_GPA + level * PAGE_BYTES, &entries[level], sizeof(entries[level]));
}

static void make_memory(struct mini_vm *vm, const char *image)
{
    vm->ram = map(vm, 0, RAM_BYTES, 1u << MSHV_SET_MEM_BIT_WRITABLE | 1u << MSHV_SET_MEM_BIT_EXECUTABLE);
    vm->rom = map(vm, ROM_GPA, PAGE_BYTES, 0);
    for (unsigned i = 0; i < PAGE_BYTES; i++) {
        vm->rom[i] = (uint8_t)(i ^ 0x3c);
        vm->dev[i] = (uint8_t)(i * 7 + 1);
    }
    load(vm, image);
    page_tables(vm);
}

/* ---- Interrupts and doorbells ---- */

static int event(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        mini_die("eventfd");
    return fd;
}

static void make_interrupts(struct mini_vm *vm)
{
    struct {
        struct mshv_user_irq_entry entry;
    } e = {{.gsi = GSI, .address_lo = 0xfee00000, .data = VECTOR_IRQFD}};
    uint8_t table[sizeof(struct mshv_user_irq_table) + sizeof(e)] = {1};
    struct mshv_user_irqfd a = {.gsi = GSI};
    memcpy(table + sizeof(struct mshv_user_irq_table), &e, sizeof(e));
    (void)request(vm, vm->partition, MSHV_SET_MSI_ROUTING, table, "MSI routing");
    vm->irq = event();
    a.fd = vm->irq;
    (void)request(vm, vm->partition, MSHV_IRQFD, &a, "irqfd");
}

static void make_bells(struct mini_vm *vm)
{
    struct mshv_user_ioeventfd a[BELLS];
    memset(a, 0, sizeof(a));
    a[0].addr = BELL_GPA;
    a[0].len = 4;
    a[1].addr = BELL_GPA + 8;
    a[1].len = 2;
    a[1].datamatch = 0x1234;
    a[1].flags = 1u << MSHV_IOEVENTFD_BIT_DATAMATCH;
    for (unsigned i = 0; i < BELLS; i++) {
        vm->bell[i] = a[i].fd = event();
        (void)request(vm, vm->partition, MSHV_IOEVENTFD, &a[i], "ioeventfd");
    }
}

/* ---- Partition and virtual processors ---- */

static void make_partition(struct mini_vm *vm)
{
    struct mshv_create_partition a;
    struct {
        uint64_t partition;
        uint32_t code, rsvd;
        uint64_t value;
    } property = {.code = PROPERTY_UNIMPLEMENTED_MSR, .value = 1};
    memset(&a, 0, sizeof(a));
    a.pt_flags = 1u << MSHV_PT_BIT_LAPIC | 1u << MSHV_PT_BIT_X2APIC;
    vm->device = vm->sys->open(vm->sys->ctx, "/dev/mshv", O_RDWR | O_CLOEXEC);
    if (vm->device < 0)
        mini_die("/dev/mshv");
    vm->partition = request(vm, vm->device, MSHV_CREATE_PARTITION, &a, "partition");
    (void)request(vm, vm->partition, MSHV_INITIALIZE_PARTITION, NULL, "initialisation");
    mini_call(vm, vm->partition, CALL_SET_PROPERTY, 0, &property, sizeof(property), NULL, 0);
}

/* Registers of VP 0 go through its page, if there is one; those of VP 1 through hypercalls. */
static void make_vp(struct mini_vm *vm, uint32_t index)
{
    struct mini_vp *vp = &vm->vp[index];
    struct mshv_create_vp a = {.vp_index = index};
    *vp = (struct mini_vp){.vm = vm, .index = index};
    vp->fd = request(vm, vm->partition, MSHV_CREATE_VP, &a, "virtual processor");
    if (index != 0)
        return;
    void *page = vm->sys->mmap(vm->sys->ctx, NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vp->fd, 0);
    if (page == MAP_FAILED && errno != ENODEV)
        mini_die("register page");
    vp->page = page != MAP_FAILED ? page : NULL;
}

void mini_vm_make(struct mini_vm *vm, const struct mini_sys *sys, enum mini_mode mode, const char *image)
{
    memset(vm, 0, sizeof(*vm));
    vm->sys = sys;
    vm->mode = mode;
    make_partition(vm);
    make_memory(vm, image);
    for (uint32_t i = 0; i < VPS; i++)
        make_vp(vm, i);
    make_interrupts(vm);
    make_bells(vm);
    mini_vp_start(&vm->vp[0]);
}

void mini_vm_free(struct mini_vm *vm)
{
    const struct mini_sys *sys = vm->sys;
    int failed = sys->close(sys->ctx, vm->partition) | sys->close(sys->ctx, vm->device);
    for (uint32_t i = 0; i < VPS; i++) {
        failed |= sys->close(sys->ctx, vm->vp[i].fd);
        if (vm->vp[i].page != NULL)
            failed |= sys->munmap(sys->ctx, vm->vp[i].page, PAGE_BYTES);
        free(vm->vp[i].trace);
    }
    failed |= sys->munmap(sys->ctx, vm->ram, RAM_BYTES) | sys->munmap(sys->ctx, vm->rom, PAGE_BYTES);
    failed |= close(vm->irq) | close(vm->bell[0]) | close(vm->bell[1]);
    if (failed != 0)
        mini_die("the end");
}
